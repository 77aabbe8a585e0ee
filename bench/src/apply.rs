//! Changes into a document: Rejoinder's checks and Automerge together, beside Automerge alone.

use std::time::{Duration, Instant};

use sync_core::document::{Clock, Document, Edit, Name, NewMessage, OrderKey, Placement, Row};
use sync_protocol::ids::{DeviceId, SpaceId, WriterId};

use crate::floors::automerge_applies;
use crate::report::Measure;
use crate::rounds::{Scale, each_us, median};
use crate::town::message;
use crate::{Outcome, failed};

const NOW_MS: u64 = 1_700_000_000_000;

/// Apply, alone and in a batch.
pub(crate) fn measure(scale: Scale) -> Outcome<Vec<Measure>> {
    let rounds = scale.pick(1, 5, 11);
    let count = scale.pick(20, 1_000, 1_000);
    let rows = written(count)?;
    // Automerge alone needs the document's first, constant change too.
    let changes = with_genesis(&rows)?;
    let mut figures = [const { Vec::new() }; 4];
    for _ in 0..rounds {
        let now = [
            each_us(receive(&rows, 1)?, count),
            each_us(automerge_applies(&changes, 1)?, count),
            each_us(receive(&rows, count)?, count),
            each_us(automerge_applies(&changes, count + 1)?, count),
        ];
        for (all, one) in figures.iter_mut().zip(now) {
            all.push(one);
        }
    }
    let [alone, raw_alone, batch, raw_batch] = figures.map(|all| median(&all));
    Ok(vec![
        Measure::new("apply", format!("a message alone, into {count}"), alone, "us")
            .beside("raw Automerge, unchecked", raw_alone),
        Measure::new("apply", format!("a message in a batch of {count}"), batch, "us")
            .beside("raw Automerge, unchecked", raw_batch),
    ])
}

fn space() -> SpaceId {
    SpaceId::from_bytes([4; 32])
}

/// A segment of messages, a change for each.
fn written(count: usize) -> Outcome<Vec<Row>> {
    let writer = WriterId { device: DeviceId::of_signing_key(&[1; 32]), incarnation: 1 };
    let mut document = Document::new(space(), Name::Messages(0));
    let mut clock = Clock::default();
    let mut rows = Vec::with_capacity(count);
    for n in 0..count {
        let key = OrderKey { stamp: clock.tick(NOW_MS + n as u64), tag: writer.tag() };
        let message = NewMessage::new(key, message(n));
        document.edit(&writer, &Edit::Message(message))?;
        for change in document.cut() {
            let placement = Placement { index: n as u64, time_ms: NOW_MS + n as u64, ordinal: 0 };
            rows.push(Row { writer, placement: Some(placement), change });
        }
    }
    Ok(rows)
}

fn receive(rows: &[Row], batch: usize) -> Outcome<Duration> {
    let mut document = Document::new(space(), Name::Messages(0));
    let started = Instant::now();
    let mut accepted = 0;
    for batch in rows.chunks(batch.max(1)) {
        accepted += document.receive(batch.to_vec()).accepted.len();
    }
    let spent = started.elapsed();
    if accepted == rows.len() { Ok(spent) } else { Err(failed("not all changes were taken")) }
}

/// The changes as a plain Automerge document needs them.
fn with_genesis(rows: &[Row]) -> Outcome<Vec<Vec<u8>>> {
    let mut document = Document::new(space(), Name::Messages(0));
    let fresh = document.export();
    let mut fresh = automerge::AutoCommit::load(&fresh)?;
    let genesis = fresh.get_changes(&[]).into_iter().map(|change| change.raw_bytes().to_vec());
    Ok(genesis.chain(rows.iter().map(|row| row.change.clone())).collect())
}
