//! A native client that was away: everything verified, decrypted, kept and on the screen.

use std::time::{Duration, Instant};

use sync_core::api::Until;

use crate::floors::{Crypto, RawStore, noise};
use crate::people::{PATIENCE, People, reached};
use crate::report::{Measure, Target};
use crate::rounds::{Scale, median, ms};
use crate::{Outcome, failed};

/// What is shown after a catch-up.
const PAGE: usize = 100;
/// About what a message of a burst takes on the wire.
const BURST_BYTES: usize = 180;

/// What one return took.
struct Return {
    up_to_date: Duration,
    shown: Duration,
    bytes: f64,
}

/// Many messages, then the last hundred, written at once and one by one.
pub(crate) async fn measure(scale: Scale) -> Outcome<Vec<Measure>> {
    let many = scale.pick(150, 3_000, 10_000);
    let rounds = scale.pick(1, 3, 5);
    let mut large = Vec::new();
    for _ in 0..rounds {
        // A fresh pair, so that each round meets a conversation of the same size.
        let people = People::gather(2).await?;
        large.push(away(&people, many, true).await?);
        people.part().await;
    }
    let people = People::gather(2).await?;
    let (mut burst, mut lone) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        burst.push(away(&people, PAGE, true).await?);
        lone.push(away(&people, PAGE, false).await?);
    }
    people.part().await;
    let floor = median(&(0..rounds).map(|_| raw(many)).collect::<Outcome<Vec<_>>>()?) / 1e3;
    let page_floor = median(&(0..rounds).map(|_| raw(PAGE)).collect::<Outcome<Vec<_>>>()?);
    let name = "raw decrypting and one redb commit";
    let target = Target::AtMost(0.5 * many as f64 / 10_000.0);
    let mut measures = vec![
        Measure::new("catch-up", format!("{many} messages of a burst"), up_to_date_s(&large), "s")
            .beside(name, floor)
            .toward(target),
        Measure::new(
            "catch-up",
            format!("{many} messages: bytes received"),
            bytes(&large),
            "bytes",
        ),
    ];
    for (returns, how, most) in [(burst, "in a burst", 20_480.0), (lone, "one by one", 61_440.0)] {
        let what = format!("the last {PAGE}, written {how}, until shown");
        let shown: Vec<_> = returns.iter().map(|one| ms(one.shown)).collect();
        measures.push(
            Measure::new("catch-up", what, median(&shown), "ms")
                .beside(name, page_floor)
                .toward(Target::AtMost(40.0)),
        );
        let what = format!("the last {PAGE}, written {how}: bytes received");
        measures.push(
            Measure::new("catch-up", what, bytes(&returns), "bytes").toward(Target::AtMost(most)),
        );
    }
    Ok(measures)
}

fn up_to_date_s(returns: &[Return]) -> f64 {
    median(&returns.iter().map(|one| one.up_to_date.as_secs_f64()).collect::<Vec<_>>())
}

fn bytes(returns: &[Return]) -> f64 {
    median(&returns.iter().map(|one| one.bytes).collect::<Vec<_>>())
}

/// The second person leaves, the first writes, the second comes back.
async fn away(people: &People, count: usize, at_once: bool) -> Outcome<Return> {
    let (writer, reader) = (people.client(0)?, people.client(1)?);
    reached(reader.wait(Until::Stored, PATIENCE).await?)?;
    reader.go_offline().await?;
    let mut last = None;
    if at_once {
        writer.go_offline().await?;
        last = Some(people.say(0, count, 0).await?);
        writer.go_online().await?;
        reached(writer.wait(Until::UpToDate, PATIENCE).await?)?;
        reached(writer.wait(Until::Stored, PATIENCE).await?)?;
    } else {
        for n in 0..count {
            last = Some(people.say(0, 1, n).await?);
            reached(writer.wait(Until::Stored, PATIENCE).await?)?;
        }
    }
    // Only the reader's traffic is to be counted.
    writer.go_offline().await?;
    let before = people.relay.sent_bytes()?;
    let started = Instant::now();
    reader.go_online().await?;
    reached(reader.wait(Until::UpToDate, PATIENCE).await?)?;
    let up_to_date = started.elapsed();
    let page = reader.conversation(people.conversation).messages(None, PAGE).await?;
    let shown = started.elapsed();
    let bytes = people.relay.sent_bytes()? - before;
    if page.len() != PAGE || page.last().map(|shown| shown.message) != last {
        return Err(failed("the last message is not shown"));
    }
    writer.go_online().await?;
    reached(writer.wait(Until::UpToDate, PATIENCE).await?)?;
    Ok(Return { up_to_date, shown, bytes })
}

/// The same bytes decrypted, in change sets of a hundred messages with a signature for each
/// delivery, and written in one commit. In milliseconds.
fn raw(count: usize) -> Outcome<f64> {
    let directory = tempfile::tempdir()?;
    let mut store = RawStore::create(directory.path())?;
    let record = noise(BURST_BYTES);
    let sets = count.div_ceil(PAGE);
    let crypto = Crypto::new().open_and_verify(BURST_BYTES * PAGE, sets, 2)?;
    let started = Instant::now();
    store.keep((0..count).map(|_| record.as_slice()))?;
    Ok(ms(crypto + started.elapsed()))
}
