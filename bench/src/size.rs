//! Bytes: what a message of 120 bytes takes in the relay's store and on the wire.

use std::path::Path;

use redb::{Database, ReadableDatabase as _, ReadableTableMetadata as _, TableDefinition};
use sync_core::Command;
use sync_protocol::ids::SpaceId;
use sync_server::store::{FILE, RedbStore, Store as _};

use crate::floors::{RawStore, noise};
use crate::report::{Measure, Target};
use crate::rounds::Scale;
use crate::town::{Town, Traffic, message};
use crate::{Outcome, failed};

type World = Town<RedbStore>;

/// How messages are written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum How {
    /// Each is stored before the next.
    Lone,
    /// All at once, by a device that was away.
    Burst,
}

/// What messages cost, each.
struct Cost {
    store: f64,
    up: f64,
    down: f64,
}

/// Lone and in a burst.
pub(crate) fn measure(scale: Scale) -> Outcome<Vec<Measure>> {
    let floor = raw(scale.pick(50, 1_000, 4_000))?;
    let lone = cost(How::Lone, scale.pick(30, 500, 2_000))?;
    let burst = cost(How::Burst, scale.pick(200, 4_000, 16_000))?;
    let mut measures = Vec::new();
    for (cost, name, most) in
        [(lone, "a lone message", 600.0), (burst, "a message of a burst", 200.0)]
    {
        let in_store = format!("{name} in the relay's store");
        measures.push(
            Measure::new("size", in_store, cost.store, "bytes")
                .beside("raw redb, 120 bytes a row", floor)
                .toward(Target::AtMost(most)),
        );
        for (way, bytes) in [("up, to the relay", cost.up), ("down, to one reader", cost.down)] {
            let what = format!("{name} on the wire, {way}");
            measures.push(Measure::new("size", what, bytes, "bytes").beside("its text", 120.0));
        }
    }
    Ok(measures)
}

fn cost(how: How, count: usize) -> Outcome<Cost> {
    let directory = tempfile::tempdir()?;
    let (mut town, space) = World::talking(RedbStore::open(directory.path())?, 2)?;
    say_all(&mut town, space, How::Lone, 2)?;
    let (mut town, before) = weigh(town, directory.path())?;
    let sent = traffic(&town, 0)?.bytes_out;
    let received = traffic(&town, 1)?.bytes_in;
    say_all(&mut town, space, how, count)?;
    let up = traffic(&town, 0)?.bytes_out - sent;
    let down = traffic(&town, 1)?.bytes_in - received;
    let (_, after) = weigh(town, directory.path())?;
    let each = |bytes: usize| bytes as f64 / count as f64;
    // What let the members in goes once they are in: over few messages a store may even shrink.
    let store = (after as f64 - before as f64) / count as f64;
    Ok(Cost { store, up: each(up), down: each(down) })
}

fn traffic(town: &World, n: usize) -> Outcome<Traffic> {
    let device = town.devices.get(n).ok_or_else(|| failed("no such device"))?;
    Ok(device.traffic)
}

fn say_all(town: &mut World, space: SpaceId, how: How, count: usize) -> Outcome<()> {
    if how == How::Burst {
        town.run(0, Command::GoOffline)?;
    }
    for n in 0..count {
        town.say(0, space, message(n))?;
        if how == How::Lone {
            town.quiet()?;
        }
    }
    if how == How::Burst {
        town.run(0, Command::GoOnline)?;
    }
    town.settle()
}

/// Bytes of all rows and of the pages around them. The town's relay sees nothing of it.
fn weigh(mut town: World, directory: &Path) -> Outcome<(World, u64)> {
    if town.relay.store().is_dirty() {
        town.settle()?;
    }
    let copy = directory.join("copy.redb");
    std::fs::copy(directory.join(FILE), &copy)?;
    let bytes = used_bytes(&copy)?;
    std::fs::remove_file(&copy)?;
    Ok((town, bytes))
}

/// Pages in use, whole: the file itself grows by leaps.
fn used_bytes(path: &Path) -> Outcome<u64> {
    let database = Database::create(path)?;
    let transaction = database.begin_write()?;
    let stats = transaction.stats()?;
    let bytes = stats.allocated_pages() * stats.page_size() as u64;
    transaction.abort()?;
    Ok(bytes)
}

/// Rows of 120 bytes, in transactions of a few.
fn raw(count: usize) -> Outcome<f64> {
    let directory = tempfile::tempdir()?;
    let mut store = RawStore::create(directory.path())?;
    let row = noise(120);
    for _ in 0..count / 10 {
        store.keep((0..10).map(|_| row.as_slice()))?;
    }
    drop(store);
    let path = directory.path().join("floor.redb");
    let database = Database::open(&path)?;
    let rows = database.begin_read()?;
    let table: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("records");
    let stats = rows.open_table(table)?.stats()?;
    let bytes = stats.stored_bytes() + stats.metadata_bytes() + stats.fragmented_bytes();
    Ok(bytes as f64 / count as f64)
}
