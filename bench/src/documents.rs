//! An app's document of many edits: how soon an engine that has just begun shows it, and what one more
//! edit costs.

use std::time::{Duration, Instant};

use automerge::AutoCommit;
use sync_core::api::Space;
use sync_core::document::{AppOp, Step};
use sync_core::{Command, Response};
use sync_protocol::SpaceId;
use sync_server::store::MemoryStore;

use crate::report::{Measure, Target};
use crate::rounds::{Scale, median};
use crate::town::Town;
use crate::{Outcome, failed};

/// Items of the to-do list.
const ITEMS: u64 = 100;
/// Edits between two looks at the relay.
const BATCH: u64 = 500;
/// The document's name.
const NAME: &str = "plan";

type World = Town<MemoryStore>;

/// Opens a document of many edits, and edits it.
pub(crate) fn measure(scale: Scale) -> Outcome<Vec<Measure>> {
    let edits = scale.pick(500, 10_000, 100_000);
    let (mut town, space) = World::talking(MemoryStore::new(), 1)?;
    fill(&mut town, space, edits)?;
    let bytes = exported(&mut town, space)?;
    let [mut ours, mut bare, mut one] = [const { Vec::new() }; 3];
    for round in 0..scale.pick(1, 3, 5) {
        let before = busy(&town);
        town.restart(0)?;
        let value = town.run(0, read(space))?;
        ours.push((busy(&town) - before).as_secs_f64() * 1e3);
        if !matches!(value, Response::Value(value) if value["items"][0]["title"].is_string()) {
            return Err(failed("the list is not there"));
        }
        let started = Instant::now();
        AutoCommit::load(&bytes)?;
        bare.push(started.elapsed().as_secs_f64() * 1e3);
        town.settle()?;
        let before = busy(&town);
        town.run(0, put(space, edits + round))?;
        one.push((busy(&town) - before).as_secs_f64() * 1e6);
        town.settle()?;
    }
    let what = format!("open a document of {edits} edits, from the start of an engine on");
    Ok(vec![
        Measure::new("documents", what, median(&ours), "ms")
            .beside("raw Automerge, from one file", median(&bare))
            .toward(Target::AtMost(100.0)),
        Measure::new("documents", "one more edit, up to what is kept and sent", median(&one), "us"),
    ])
}

fn busy(town: &World) -> Duration {
    town.devices.first().map_or(Duration::ZERO, |device| device.busy)
}

/// Writes a list, and changes titles in it, one edit each.
fn fill(town: &mut World, space: SpaceId, edits: u64) -> Outcome<()> {
    let item = serde_json::json!({ "title": "item", "done": false });
    let list = serde_json::Value::from(vec![item; usize::try_from(ITEMS)?]);
    let list = AppOp::Put { path: vec![Step::Key("items".to_owned())], value: text(&list) };
    town.run(0, change(space, list))?;
    for n in 0..edits {
        town.run(0, put(space, n))?;
        if n % BATCH == 0 {
            town.settle()?;
        }
    }
    town.settle()
}

fn put(space: SpaceId, n: u64) -> Command {
    let path =
        vec![Step::Key("items".to_owned()), Step::Index(n % ITEMS), Step::Key("title".to_owned())];
    change(space, AppOp::Put { path, value: text(&format!("title {n}").into()) })
}

fn text(value: &serde_json::Value) -> sync_protocol::codec::Blob {
    value.to_string().into_bytes().into()
}

fn change(space: SpaceId, op: AppOp) -> Command {
    let space = Space::Conversation(space);
    Command::ChangeDocument { space, name: NAME.to_owned(), ops: vec![op] }
}

fn read(space: SpaceId) -> Command {
    let space = Space::Conversation(space);
    Command::ReadDocument { space, name: NAME.to_owned(), path: Vec::new() }
}

fn exported(town: &mut World, space: SpaceId) -> Outcome<Vec<u8>> {
    let space = Space::Conversation(space);
    match town.run(0, Command::ExportDocument { space, name: NAME.to_owned() })? {
        Response::Bytes(bytes) => Ok(bytes),
        _ => Err(failed("no file came of it")),
    }
}
