//! What makes the relay's commands durable: a log of its own with one sync for all that waits, or the
//! store, which commits each batch. Both in turn, in one run.

use std::time::{Duration, Instant};

use sync_protocol::ids::RelayId;
use sync_server::data::Data;
use sync_server::hub::Hub;
use sync_server::log::{AnyLog, Unkept};
use sync_server::relay::{Identity, Relay};
use sync_server::store::RedbStore;

use crate::appends::together;
use crate::author::{Author, push, space};
use crate::link::{Seat, found, open, unbounded, write};
use crate::report::{Measure, Target};
use crate::rounds::{Scale, median, ms, quantile};
use crate::{Outcome, failed};

/// Bytes of a lone message's sealed payload.
const PAYLOAD: usize = 330;
const EVERY: Duration = Duration::from_millis(20);
/// Documents that are written to at once.
const DOCUMENTS: usize = 64;

/// Figures of both ways, round by round.
type Pair = [Vec<f64>; 2];

/// Which way.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Way {
    Log,
    Store,
}

/// Starts a hub over an empty directory.
pub(crate) fn start(
    directory: &std::path::Path,
    way: Way,
) -> Outcome<(Hub, std::thread::JoinHandle<Result<(), sync_server::store::StoreError>>)> {
    let (store, log): (RedbStore, AnyLog) = match way {
        Way::Log => {
            let Data { store, log } = Data::open(directory)?;
            (store, Box::new(log))
        }
        Way::Store => (RedbStore::open(directory)?, Box::<Unkept>::default()),
    };
    let mut relay = Relay::alone(store, log, unbounded())?;
    relay.found(Identity { relay: RelayId::from_bytes([5; 32]), generation: 7 })?;
    Ok(Hub::start(relay)?)
}

/// Acknowledgements at 50 a second, and appends as fast as they go.
pub(crate) async fn measure(scale: Scale) -> Outcome<Vec<Measure>> {
    let (mut half, mut most, mut rates) = (Pair::default(), Pair::default(), Pair::default());
    for _ in 0..scale.pick(1, 3, 7) {
        for (n, way) in [Way::Log, Way::Store].into_iter().enumerate() {
            let acknowledged = acknowledged(way, scale.pick(10, 150, 500)).await?;
            let rate = appended(way, scale.pick(40, 4_000, 32_000) / DOCUMENTS).await?;
            note(&mut half, n, quantile(&acknowledged, 0.5));
            note(&mut most, n, quantile(&acknowledged, 0.99));
            note(&mut rates, n, rate);
        }
    }
    let ratios = |pair: &Pair| {
        let [log, store] = pair;
        let ratios: Vec<_> = log.iter().zip(store).map(|(log, store)| log / store).collect();
        (median(log), median(store), median(&ratios))
    };
    let name = "each batch a commit of the store";
    let figure = |what: &str, pair: &Pair, unit| {
        let (log, store, ratio) = ratios(pair);
        let mut measure = Measure::new("durable", what, log, unit).beside(name, store);
        if let Some(floor) = &mut measure.floor {
            // Each round beside its own: the machine's other work comes and goes.
            floor.ratio = ratio;
        }
        measure
    };
    Ok(vec![
        figure("acknowledged at 50/s, p50", &half, "ms").toward(Target::RatioAtMost(0.6)),
        figure("acknowledged at 50/s, p99", &most, "ms"),
        figure("appended, over 64 documents", &rates, "1/s").toward(Target::RatioAtLeast(1.0)),
    ])
}

fn note(pair: &mut Pair, n: usize, value: f64) {
    if let Some(values) = pair.get_mut(n) {
        values.push(value);
    }
}

/// Milliseconds from each push to its confirmation.
async fn acknowledged(way: Way, count: usize) -> Outcome<Vec<f64>> {
    let directory = tempfile::tempdir()?;
    let (hub, thread) = start(directory.path(), way)?;
    let mut author = Author::new(1);
    let mut seat = Seat::take(&hub, 1).await?;
    open(&mut seat, &mut author).await?;
    found(&mut seat, &mut author, space(1), &[]).await?;
    let mut clock = tokio::time::interval(EVERY);
    let mut times = Vec::with_capacity(count);
    for _ in 0..count {
        clock.tick().await;
        let started = Instant::now();
        write(&mut seat, &mut author, space(1), PAYLOAD).await?;
        times.push(ms(started.elapsed()));
    }
    end(hub, thread).await?;
    Ok(times)
}

/// Appends a second.
async fn appended(way: Way, each: usize) -> Outcome<f64> {
    let directory = tempfile::tempdir()?;
    let (hub, thread) = start(directory.path(), way)?;
    let each = each.max(8);
    let mut writers = Vec::new();
    for number in 0..DOCUMENTS as u64 {
        let mut author = Author::new(number);
        let mut seat = Seat::take(&hub, number + 1).await?;
        open(&mut seat, &mut author).await?;
        found(&mut seat, &mut author, space(number), &[]).await?;
        let envelopes: Vec<_> = (0..each).map(|_| author.content(space(number), PAYLOAD)).collect();
        let frames = envelopes.into_iter().map(|one| push(space(number), vec![one])).collect();
        writers.push((seat, frames));
    }
    let took = together(writers).await?;
    end(hub, thread).await?;
    Ok((DOCUMENTS * each) as f64 / took.as_secs_f64())
}

async fn end(
    hub: Hub,
    thread: std::thread::JoinHandle<Result<(), sync_server::store::StoreError>>,
) -> Outcome<()> {
    hub.drain().await;
    let ended = tokio::task::spawn_blocking(move || thread.join()).await?;
    Ok(ended.map_err(|_| failed("the hub panicked"))??)
}
