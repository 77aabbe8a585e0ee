//! An account of many conversations: opening it, and coming back to it.

use std::time::Instant;

use sync_client::store::{RecordStore as _, RedbStore};
use sync_core::records::{Batch, Records, index_prefixes};
use sync_core::{Command, Engine};
use sync_protocol::ids::SpaceId;
use sync_server::store::MemoryStore;

use crate::report::{Measure, Target};
use crate::rounds::{Scale, median, ms};
use crate::town::{Town, Traffic, message};
use crate::{Outcome, failed};

/// Conversations in which something was written meanwhile.
const CHANGED: usize = 3;
/// How long nobody does anything before the device goes away: more than what it received last
/// takes to be confirmed.
const IDLE_MS: u64 = 10_000;

type World = Town<MemoryStore>;

/// Opens, then reconnects.
pub(crate) fn measure(scale: Scale) -> Outcome<Vec<Measure>> {
    let conversations = scale.pick(6, 200, 1_000);
    let mut town = World::new(MemoryStore::new(), 2)?;
    town.sign_up(0)?;
    town.sign_up(1)?;
    let spaces = (0..conversations).map(|_| town.found(1, 0..1)).collect::<Outcome<Vec<_>>>()?;
    for (n, space) in spaces.iter().enumerate() {
        town.say(1, *space, message(n))?;
    }
    town.settle()?;
    let mut measures = opening(&town, conversations, scale)?;
    measures.extend(reconnect(&mut town, &spaces)?);
    Ok(measures)
}

/// The first device's account from a file on disk.
fn opening(town: &World, conversations: usize, scale: Scale) -> Outcome<Vec<Measure>> {
    let directory = tempfile::tempdir()?;
    let disk = town.disk(0);
    let mut store = RedbStore::open(directory.path())?;
    let writes = disk.iter().map(|(key, value)| (key.clone(), Some(value.clone()))).collect();
    store.write(&[Batch { number: 1, writes, clears: Vec::new() }])?;
    drop(store);
    let (mut whole, mut raw) = (Vec::new(), Vec::new());
    let mut bytes = 0;
    for round in 0..scale.pick(1, 5, 11) {
        let started = Instant::now();
        let index = read_index(directory.path())?;
        raw.push(ms(started.elapsed()));
        bytes = index.iter().map(|(key, value)| key.len() + value.len()).sum();
        let started = Instant::now();
        let index = read_index(directory.path())?;
        let engine = Engine::open([round; 32], town.now_ms, index)?;
        whole.push(ms(started.elapsed()));
        drop(engine);
    }
    let what = format!("open an account of {conversations} conversations");
    let each = bytes as f64 / conversations as f64;
    Ok(vec![
        Measure::new("account", what, median(&whole), "ms")
            .beside("redb opened, the same rows read", median(&raw)),
        Measure::new("account", "rows read to open, a conversation", each, "bytes")
            .toward(Target::AtMost(2048.0)),
    ])
}

fn read_index(directory: &std::path::Path) -> Outcome<Records> {
    let store = RedbStore::open(directory)?;
    let mut index = Records::new();
    for prefix in index_prefixes() {
        index.extend(store.read(prefix)?);
    }
    Ok(index)
}

/// Away while a few conversations change, then back.
fn reconnect(town: &mut World, spaces: &[SpaceId]) -> Outcome<Vec<Measure>> {
    town.linger(IDLE_MS)?;
    town.run(0, Command::GoOffline)?;
    for (n, space) in spaces.iter().take(CHANGED).enumerate() {
        town.say(1, *space, message(n))?;
    }
    town.settle()?;
    town.restart(0)?;
    let first = town.devices.first_mut().ok_or_else(|| failed("there are two devices"))?;
    first.traffic = Traffic::default();
    first.busy = std::time::Duration::ZERO;
    town.run(0, Command::Wait(sync_core::api::Until::UpToDate))?;
    let device = town.devices.first().ok_or_else(|| failed("there are two devices"))?;
    let (upto, busy) = (device.traffic, device.busy);
    town.settle()?;
    let whole = town.devices.first().map(|device| device.traffic).unwrap_or_default();
    let what = format!("{} conversations, {CHANGED} changed", spaces.len());
    let frames = |traffic: Traffic| (traffic.frames_in + traffic.frames_out) as f64;
    let bytes = |traffic: Traffic| (traffic.bytes_in + traffic.bytes_out) as f64;
    let figure = |what: &str, value, unit| {
        Measure::new("account", format!("reconnect, {what}"), value, unit)
    };
    Ok(vec![
        // What a device sends before it is up to date, each after an answer, is a round trip.
        figure(&format!("{what}: round trips"), upto.frames_out as f64, "")
            .toward(Target::AtMost(1.0)),
        figure("until up to date: frames", frames(upto), "frames"),
        figure("until up to date: both ways", bytes(upto), "bytes")
            .toward(Target::AtMost(65_536.0)),
        figure("receipts after it too: frames", frames(whole), "frames"),
        figure("receipts after it too: both ways", bytes(whole), "bytes"),
        figure("time inside the engine", ms(busy), "ms"),
    ])
}
