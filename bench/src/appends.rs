//! Durable appends through the relay's hub, over few and many documents, beside a raw redb loop
//! that writes the same rows in batches of the same size.

use std::time::{Duration, Instant};

use sync_protocol::frames::ClientFrame;
use sync_server::telemetry;

use crate::author::{Author, push, space};
use crate::durable;
use crate::floors::RawLog;
use crate::link::{Seat, found, open, write_all};
use crate::report::{Measure, Target};
use crate::rounds::{Scale, median};
use crate::{Outcome, failed};

/// Bytes of a lone message's sealed payload.
const PAYLOAD: usize = 330;
/// What an entry has beside its envelope.
const ENTRY_HEAD: usize = 9;
/// Pushes of a device under way: what the engine allows itself.
const WINDOW: u64 = 64;

/// 1, 8 and 256 documents.
pub(crate) async fn measure(scale: Scale) -> Outcome<Vec<Measure>> {
    let rounds = scale.pick(1, 3, 7);
    let mut measures = Vec::new();
    for documents in scale.pick([1, 2, 4], [1, 8, 256], [1, 8, 256]) {
        let (mut hub, mut floor, mut batches) = (Vec::new(), Vec::new(), Vec::new());
        let each = (scale.pick(40, 6_000, 20_000) / documents).max(8);
        for _ in 0..rounds {
            let (rate, batch, entry) = through_hub(documents, each).await?;
            hub.push(rate);
            batches.push(batch);
            floor.push(raw(documents, each, batch, entry)?);
        }
        let batch = median(&batches);
        let ratios: Vec<_> = hub.iter().zip(&floor).map(|(hub, floor)| hub / floor).collect();
        let measure = Measure::new(
            "appends",
            format!("durable, over {documents} documents ({batch:.0} in a commit)"),
            median(&hub),
            "1/s",
        );
        let mut measure = measure.beside("raw redb, same rows and batch", median(&floor));
        if let Some(floor) = &mut measure.floor {
            // Each round beside its own floor: the machine's other work comes and goes.
            floor.ratio = median(&ratios);
        }
        let is_held = documents == scale.pick(4, 256, 256);
        measures.push(if is_held { measure.toward(Target::RatioAtLeast(0.5)) } else { measure });
    }
    Ok(measures)
}

/// Appends a second, entries in a commit, and bytes of an entry.
async fn through_hub(documents: usize, each: usize) -> Outcome<(f64, f64, usize)> {
    let directory = tempfile::tempdir()?;
    let metrics = telemetry::init_metrics()?;
    let (hub, thread) = durable::start(directory.path(), durable::Way::Log)?;
    let mut writers = Vec::new();
    let mut entry = 0;
    for number in 0..documents as u64 {
        let mut author = Author::new(number);
        let mut seat = Seat::take(&hub, number + 1).await?;
        open(&mut seat, &mut author).await?;
        found(&mut seat, &mut author, space(number), &[]).await?;
        let envelopes: Vec<_> = (0..each).map(|_| author.content(space(number), PAYLOAD)).collect();
        entry = envelopes.first().map_or(0, |one| one.0.len()) + ENTRY_HEAD;
        let frames = envelopes.into_iter().map(|one| push(space(number), vec![one])).collect();
        writers.push((seat, frames));
    }
    let commits = commits(&metrics.render());
    let took = together(writers).await?;
    let commits = commits_after(&metrics.render(), commits);
    hub.drain().await;
    let ended = tokio::task::spawn_blocking(move || thread.join()).await?;
    ended.map_err(|_| failed("the hub panicked"))??;
    let total = (documents * each) as f64;
    Ok((total / took.as_secs_f64(), total / commits, entry))
}

pub(crate) async fn together(writers: Vec<(Seat, Vec<ClientFrame>)>) -> Outcome<Duration> {
    let started = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for (mut seat, frames) in writers {
        tasks.spawn(async move {
            write_all(&mut seat, frames, WINDOW).await?;
            // Closed only when all are done: an unread queue would end a session.
            Ok::<_, crate::Failure>(seat)
        });
    }
    let mut seats = Vec::new();
    while let Some(done) = tasks.join_next().await {
        seats.push(done??);
    }
    Ok(started.elapsed())
}

/// Durable transactions so far, as the relay counts them.
fn commits(metrics: &str) -> f64 {
    let line = metrics.lines().find_map(|line| line.strip_prefix("relay_commit_seconds_count"));
    line.and_then(|line| line.trim().parse().ok()).unwrap_or(0.0)
}

fn commits_after(metrics: &str, before: f64) -> f64 {
    (commits(metrics) - before).max(1.0)
}

fn raw(documents: usize, each: usize, batch: f64, entry: usize) -> Outcome<f64> {
    let directory = tempfile::tempdir()?;
    let mut log = RawLog::create(directory.path(), documents as u64, entry)?;
    let count = (documents * each) as u64;
    let took = log.append(count, batch.round() as u64)?;
    Ok(count as f64 / took.as_secs_f64())
}
