//! A message's way from one person's command to another's screen, at 50 a second, beside a durable
//! echo whose clients make each message durable too.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use futures_util::SinkExt as _;
use sync_core::api::Command;
use tokio_tungstenite::tungstenite::Message;

use crate::echo::{self, ALL};
use crate::floors::{RawStore, noise};
use crate::link;
use crate::people::People;
use crate::process::Server;
use crate::report::{Measure, Target};
use crate::rounds::{Scale, median, ms, quantile};
use crate::town::message;
use crate::{Outcome, failed};

const EVERY: Duration = Duration::from_millis(20);
/// Bytes of a message as the echo carries it: the text and its number.
const BYTES: usize = 128;

/// The middle and the slowest hundredth.
pub(crate) async fn measure(scale: Scale) -> Outcome<Vec<Measure>> {
    let count = scale.pick(10, 150, 500);
    let (mut ours, mut bare) = ([Vec::new(), Vec::new()], [Vec::new(), Vec::new()]);
    for _ in 0..scale.pick(1, 2, 3) {
        let native = native(count).await?;
        let echo = echo(count).await?;
        for (all, times) in [(&mut ours, native), (&mut bare, echo)] {
            let [half, most] = all;
            half.push(quantile(&times, 0.5));
            most.push(quantile(&times, 0.99));
        }
    }
    let name = "durable echo, clients fsync too";
    let [half, most] = ours.map(|all| median(&all));
    let [bare_half, bare_most] = bare.map(|all| median(&all));
    Ok(vec![
        Measure::new("latency", "p50 at 50 messages/s, command to screen", half, "ms")
            .beside(name, bare_half)
            .toward(Target::RatioAtMost(2.0)),
        Measure::new("latency", "p99 at 50 messages/s, command to screen", most, "ms")
            .beside(name, bare_most),
    ])
}

/// Two native clients. Times in milliseconds.
async fn native(count: usize) -> Outcome<Vec<f64>> {
    let people = People::gather(2).await?;
    let watch = people.watch(1, count)?;
    let mut sent = BTreeMap::new();
    let mut clock = tokio::time::interval(EVERY);
    let mut under_way = tokio::task::JoinSet::new();
    for n in 0..count {
        clock.tick().await;
        let conversation = people.conversation;
        let text = message(n + 1);
        let started = Instant::now();
        let client = people.client(0)?;
        let send = Command::SendMessage { conversation, text, reply_to: None };
        let submitted = client.submit(send).await;
        under_way.spawn(async move { (started, submitted.answer().await) });
    }
    while let Some(done) = under_way.join_next().await {
        let (started, answer) = done?;
        if let sync_core::Response::Message(key) = answer? {
            sent.insert(key, started);
        }
    }
    let seen = watch.await??;
    people.part().await;
    let times = sent.iter().filter_map(|(key, started)| Some(ms(*seen.get(key)? - *started)));
    let times: Vec<_> = times.collect();
    if times.len() == count { Ok(times) } else { Err(failed("not all messages were seen")) }
}

/// The echo: kept by the sender, by the echo, and by the receiver.
async fn echo(count: usize) -> Outcome<Vec<f64>> {
    let directory = tempfile::tempdir()?;
    let server = Server::echo(&directory.path().join("echo"))?;
    let mut writer = echo::join(server.address, ALL).await?;
    let mut reader = echo::join(server.address, ALL).await?;
    let mut kept = RawStore::create(&directory.path().join("reader"))?;
    let reading = tokio::spawn(async move {
        let mut seen = Vec::with_capacity(count);
        while seen.len() < count {
            let record = link::message(&mut reader).await?;
            kept = tokio::task::spawn_blocking(move || {
                kept.keep(std::iter::once(record.as_ref())).map(|()| kept)
            })
            .await??;
            seen.push(Instant::now());
        }
        Ok::<_, crate::Failure>(seen)
    });
    let mut own = RawStore::create(&directory.path().join("writer"))?;
    let record = noise(BYTES);
    let mut sent = Vec::with_capacity(count);
    let mut clock = tokio::time::interval(EVERY);
    for _ in 0..count {
        clock.tick().await;
        sent.push(Instant::now());
        let kept = record.clone();
        own = tokio::task::spawn_blocking(move || {
            own.keep(std::iter::once(kept.as_slice())).map(|()| own)
        })
        .await??;
        writer.send(Message::Binary(record.clone().into())).await?;
    }
    let seen = reading.await??;
    Ok(sent.iter().zip(seen).map(|(sent, seen)| ms(seen - *sent)).collect())
}
