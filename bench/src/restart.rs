//! A relay that is killed with a large store: how soon it serves again.

use std::path::Path;
use std::time::Duration;

use sync_protocol::frames::RelayFrame;
use sync_protocol::ids::RelayId;
use sync_server::relay::{Identity, Output, Relay, SessionId};
use sync_server::store::RedbStore;

use crate::author::{Author, push, space};
use crate::link::{Link as _, Wire, found, open, unbounded};
use crate::process::Server;
use crate::report::{Measure, Target};
use crate::rounds::{Scale, median};
use crate::{Outcome, failed};

/// Bytes of a lone message's sealed payload.
const PAYLOAD: usize = 330;
/// Authors, each with a conversation of its own.
const AUTHORS: u64 = 64;
/// Envelopes in a push.
const PUSH: usize = 64;
/// How long a relay is under load before it is killed.
const LOAD: Duration = Duration::from_millis(500);

/// Kills a relay with a full store, and one with an empty one.
pub(crate) async fn measure(scale: Scale) -> Outcome<Vec<Measure>> {
    let entries = scale.pick(500, 100_000, 1_000_000);
    let full = tempfile::tempdir()?;
    let path = full.path().to_owned();
    tokio::task::spawn_blocking(move || fill(&path, entries)).await??;
    let empty = tempfile::tempdir()?;
    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    for round in 0..scale.pick(1, 3, 5) {
        ours.push(killed(full.path(), AUTHORS + 1 + round).await?.as_secs_f64());
        bare.push(killed(empty.path(), AUTHORS + 1 + round).await?.as_secs_f64());
    }
    let what = format!("killed with {entries} entries under load, serves again after");
    Ok(vec![
        Measure::new("restart", what, median(&ours), "s")
            .beside("the same with an empty store", median(&bare))
            .toward(Target::AtMost(0.1)),
    ])
}

/// Kills a relay while it writes; how long it then takes from its start to its first answer.
async fn killed(data: &Path, number: u64) -> Outcome<Duration> {
    let relay = Server::relay(data, None)?;
    let mut author = Author::new(number);
    let mut wire = Wire::open(relay.address, None).await?;
    open(&mut wire, &mut author).await?;
    found(&mut wire, &mut author, space(number), &[]).await?;
    let load = async {
        loop {
            let envelopes = (0..PUSH).map(|_| author.content(space(number), PAYLOAD)).collect();
            wire.send(push(space(number), envelopes)).await?;
            crate::link::stored(&mut wire).await?;
        }
    };
    let ended: Result<Outcome<()>, _> = tokio::time::timeout(LOAD, load).await;
    if let Ok(error) = ended {
        return Err(error.err().unwrap_or_else(|| failed("the load ended")));
    }
    relay.kill()?;
    Ok(Server::relay(data, None)?.started_in)
}

/// Writes entries through the relay's own rules, without sockets.
fn fill(data: &Path, entries: usize) -> Outcome<()> {
    let settings = unbounded();
    let identity = Identity { relay: RelayId::from_bytes([5; 32]), generation: 7 };
    let mut relay = Relay::open(RedbStore::open(data)?, identity, settings)?;
    let mut authors: Vec<_> = (0..AUTHORS).map(Author::new).collect();
    let mut now_ms = sync_server::hub::now_ms();
    for n in 0..AUTHORS {
        relay.connect(SessionId(n), [u8::try_from(n)?; 32], now_ms);
    }
    for output in relay.commit(now_ms) {
        let Output::Send { session, frame } = output else { continue };
        let RelayFrame::Challenge(challenge) = RelayFrame::parse(&frame.whole())? else { continue };
        let author = usize::try_from(session.0)?;
        let Some(author) = authors.get_mut(author) else { continue };
        let mut frames = vec![author.hello(&challenge)];
        frames.extend(author.found(space(session.0), &[]));
        for frame in frames {
            relay.receive(session, frame, now_ms);
        }
    }
    relay.commit(now_ms);
    let mut left = entries;
    while left > 0 {
        now_ms += 1;
        for (n, author) in (0..AUTHORS).zip(&mut authors) {
            let count = left.min(PUSH);
            if count > 0 {
                let envelopes = (0..count).map(|_| author.content(space(n), PAYLOAD)).collect();
                relay.receive(SessionId(n), push(space(n), envelopes), now_ms);
            }
            left -= count;
        }
        relay.commit(now_ms);
    }
    let written = relay.counts().appended;
    if written < entries as u64 {
        return Err(failed(format!("only {written} of {entries} entries were taken")));
    }
    Ok(())
}
