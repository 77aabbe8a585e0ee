//! A member that seals as it must and puts anything at all inside: its changes go through the relay
//! and whole engines.

use automerge::legacy::{ElementId, Key, OpId, OpType};
use automerge::{Change, ExpandedChange, ScalarValue};
use property_tests::World;
use sha2::{Digest as _, Sha256};
use std::num::NonZeroU64;
use sync_core::Command;
use sync_core::api::Space;
use sync_core::document::{AppOp, Edit, Name, NewMessage, OrderKey, Stamp, Step, actor};
use sync_protocol::SpaceId;
use sync_protocol::codec::Blob;

use crate::support::cheat::{Cheat, document};
use crate::support::forge::{Set, rebuilt};
use crate::support::{agree, conversation, digest, evidence, nothing_is_missing, says, shown};

fn notes() -> Name {
    Name::App(0, "notes".into())
}

fn path(steps: &[&str]) -> Vec<Step> {
    steps.iter().map(|step| Step::Key((*step).into())).collect()
}

fn put(steps: &[&str], json: &str) -> AppOp {
    AppOp::Put { path: path(steps), value: Blob(json.as_bytes().to_vec()) }
}

fn insert(list: &str) -> AppOp {
    let mut at = path(&[list]);
    at.push(Step::Index(1));
    AppOp::Insert { path: at, value: Blob(b"7".to_vec()) }
}

fn note(world: &mut World, device: usize, space: SpaceId, op: AppOp) {
    let space = Space::Conversation(space);
    let command = Command::ChangeDocument { space, name: "notes".into(), ops: vec![op] };
    world.expect(device, command).unwrap();
}

/// A conversation with a document, on which two honest people and a cheat work.
fn with_notes(seed: u64) -> (World, SpaceId) {
    let (mut world, space) = conversation(seed, 3);
    note(&mut world, 0, space, put(&["list"], "[1,2,3]"));
    world.settle().unwrap();
    note(&mut world, 1, space, put(&["map"], r#"{"x":1}"#));
    world.settle().unwrap();
    (world, space)
}

/// Gives an altered chunk its right checksum.
fn mend(change: &mut [u8]) {
    let digest = Sha256::digest(&change[8..]);
    change[4..8].copy_from_slice(&digest[..4]);
}

/// Two honest people work on, one of them starts anew, and all is as if nobody had cheated.
fn honest_work_goes_on(world: &mut World, space: SpaceId, n: usize) {
    note(world, 0, space, put(&["map", &format!("of0/{n}")], "1"));
    note(world, 1, space, insert("list"));
    world.say(0, space).unwrap();
    world.say(1, space).unwrap();
    world.settle().unwrap();
    agree(world, &[0, 1], space);
    world.crash_device(1, 100);
    world.pass(2_000).unwrap();
    world.settle().unwrap();
    agree(world, &[0, 1], space);
    nothing_is_missing(world, 1, space);
}

/// Sends these bytes as a change of the cheat's: refused by both honest people, with no effect.
fn refused(world: &mut World, space: SpaceId, n: usize, alter: &dyn Fn(&World, &Cheat) -> Vec<u8>) {
    let mut cheat = Cheat::with_keys_of(world, 2, n as u64);
    for device in [0, 1] {
        // The document is open, so that the verdict comes at once.
        digest(world, device, space);
        evidence(world, device, space);
    }
    let before = digest(world, 0, space).documents;
    let change = alter(world, &cheat);
    cheat.write(world, space, &Set::of(notes(), vec![change]));
    for device in [0, 1] {
        let told = evidence(world, device, space);
        assert!(says(&told, "1 changes to app/notes were refused"), "case {n}: {told:?}");
    }
    let after = digest(world, 0, space).documents;
    assert_eq!(after.get("app/notes"), before.get("app/notes"), "case {n}");
}

type Alteration = fn(&mut ExpandedChange);

/// Alterations of a well-formed change that sets `map/k`.
const ALTERED: [Alteration; 9] = [
    |parts| parts.start_op = NonZeroU64::new(parts.start_op.get() + 1).unwrap(),
    |parts| parts.start_op = NonZeroU64::new(parts.start_op.get() - 1).unwrap(),
    |parts| parts.time = i64::MIN,
    |parts| parts.message = Some("hello".into()),
    |parts| parts.seq = u64::MAX,
    |parts| parts.start_op = NonZeroU64::new(u64::MAX).unwrap(),
    // What it changes is no longer among what it depends on.
    |parts| {
        parts.deps.clear();
        parts.start_op = NonZeroU64::new(1).unwrap();
    },
    |parts| parts.operations[0].insert = true,
    |parts| parts.operations[0].action = OpType::Increment(1),
];

#[test]
fn malformed_changes_are_refused_by_all_and_honest_work_goes_on() {
    let (mut world, space) = with_notes(1);
    let honest = |world: &World, cheat: &Cheat| {
        let edit = Edit::App { ops: vec![put(&["map", "k"], "9")] };
        cheat.changes(world, space, &notes(), &[edit]).remove(0)
    };
    for (n, alter) in ALTERED.into_iter().enumerate() {
        refused(&mut world, space, n, &|world, cheat| rebuilt(&honest(world, cheat), alter));
    }
    honest_work_goes_on(&mut world, space, 0);
}

#[test]
fn a_key_in_a_list_is_refused_and_the_document_still_loads() {
    let (mut world, space) = with_notes(2);
    for n in 0..2 {
        refused(&mut world, space, n, &|world, cheat| {
            let edit = Edit::App { ops: vec![insert("list")] };
            let change = cheat.changes(world, space, &notes(), &[edit]).remove(0);
            rebuilt(&change, |parts| {
                parts.operations[0].key = match n {
                    0 => Key::Map("k".into()),
                    _ => Key::Seq(ElementId::Id(OpId::new(999, &parts.actor_id))),
                };
            })
        });
    }
    honest_work_goes_on(&mut world, space, 1);
}

#[test]
fn an_operation_outside_its_dependencies_is_refused_though_everybody_has_what_it_names() {
    let (mut world, space) = with_notes(3);
    refused(&mut world, space, 0, &|world, cheat| {
        let edit = Edit::App { ops: vec![put(&["map", "k"], "9")] };
        let change = cheat.changes(world, space, &notes(), &[edit]).remove(0);
        let map = Change::from_bytes(change.clone()).unwrap().decode().operations[0].obj.clone();
        // A change with no ancestry names the map that everybody has.
        rebuilt(&change, |parts| {
            parts.deps.clear();
            parts.start_op = NonZeroU64::new(1).unwrap();
            parts.operations[0].obj = map.clone();
            parts.operations[0].pred = Vec::new().into();
        })
    });
    honest_work_goes_on(&mut world, space, 2);
}

#[test]
fn changes_under_another_writers_actor_are_refused_and_hers_still_count() {
    let (mut world, space) = with_notes(4);
    let writers: Vec<_> = digest(&mut world, 0, space).frontier.into_keys().collect();
    for (n, of) in writers.into_iter().enumerate() {
        refused(&mut world, space, n, &|world, cheat| {
            let edit = Edit::App { ops: vec![put(&["map", "k"], "9")] };
            let change = cheat.changes(world, space, &notes(), &[edit]).remove(0);
            rebuilt(&change, |parts| parts.actor_id = actor(&space, &notes(), &of))
        });
    }
    honest_work_goes_on(&mut world, space, 3);
}

#[test]
fn garbage_in_a_change_set_is_refused_and_panics_nowhere() {
    let (mut world, space) = with_notes(5);
    let honest = |world: &World, cheat: &Cheat| {
        let edit = Edit::App { ops: vec![put(&["map", "k"], "9")] };
        cheat.changes(world, space, &notes(), &[edit]).remove(0)
    };
    type Spoil = fn(&mut Vec<u8>);
    let cases: [Spoil; 8] = [
        Vec::clear,
        |change| change.truncate(change.len() / 2),
        |change| {
            change.truncate(change.len() - 1);
            mend(change);
        },
        |change| change[20] ^= 0x40,
        |change| {
            // Its length.
            change[9] ^= 1;
            mend(change);
        },
        |change| change.push(0),
        |change| *change = vec![0xff; 3_000],
        |change| {
            // A chunk that names another kind.
            change[8] = 2;
            mend(change);
        },
    ];
    for (n, spoil) in cases.into_iter().enumerate() {
        refused(&mut world, space, n, &|world, cheat| {
            let mut change = honest(world, cheat);
            spoil(&mut change);
            change
        });
    }
    honest_work_goes_on(&mut world, space, 4);
}

#[test]
fn thousands_of_dependencies_that_nobody_has_are_refused() {
    let (mut world, space) = with_notes(6);
    refused(&mut world, space, 0, &|world, cheat| {
        let edit = Edit::App { ops: vec![put(&["map", "k"], "9")] };
        let change = cheat.changes(world, space, &notes(), &[edit]).remove(0);
        rebuilt(&change, |parts| {
            let hashes = (0..7_000u64).map(|n| {
                let mut hash = [0; 32];
                hash[..8].copy_from_slice(&n.to_be_bytes());
                automerge::ChangeHash(hash)
            });
            parts.deps = hashes.collect();
        })
    });
    refused(&mut world, space, 1, &|_, _| {
        // Only said to be a million.
        let mut change = vec![0x85, 0x6f, 0x4a, 0x83, 0, 0, 0, 0, 1, 3, 0xc0, 0x84, 0x3d];
        mend(&mut change);
        change
    });
    honest_work_goes_on(&mut world, space, 5);
}

#[test]
fn a_flood_of_changes_whose_dependencies_never_come_stops_nobody_else() {
    let (mut world, space) = with_notes(7);
    let mut cheat = Cheat::with_keys_of(&mut world, 2, 0);
    let edits: Vec<Edit> =
        (0..1_500).map(|n| Edit::App { ops: vec![put(&["map", "k"], &n.to_string())] }).collect();
    let mut flood = Vec::new();
    let mut own = document(&world, 2, space, &notes());
    for edit in &edits {
        own.edit(&cheat.writer, edit).unwrap();
        flood.extend(own.cut());
    }
    // All but the first, which nobody ever gets.
    for part in flood[1..].chunks(300) {
        cheat.write(&mut world, space, &Set::of(notes(), part.to_vec()));
    }
    for device in [0, 1] {
        digest(&mut world, device, space);
        let held = document(&world, device, space, &notes());
        assert_eq!(held.waiting(), sync_protocol::limits::WAITING_CHANGES);
        assert!(held.cost() < 4 * sync_protocol::limits::WAITING_BYTES, "{}", held.cost());
    }
    honest_work_goes_on(&mut world, space, 6);
}

#[test]
fn one_writers_message_sealed_again_as_ones_own_is_not_shown() {
    let (mut world, space) = conversation(8, 3);
    let message = world.say(0, space).unwrap();
    world.settle().unwrap();
    // The very change that Ada made, out of the store of the cheat's device.
    let prefix = sync_core::records::Load::Document(space, Name::Messages(0)).prefix();
    let rows = world.device(2).disk.read(&prefix);
    let ada = sync_core::document::Name::Messages(0);
    let changes: Vec<Vec<u8>> = rows
        .values()
        .filter_map(|row| sync_protocol::codec::decode::<sync_core::document::Row>("row", row).ok())
        .filter(|row| row.writer.tag() == message.tag)
        .map(|row| row.change)
        .collect();
    assert!(!changes.is_empty());
    for device in [0, 1] {
        digest(&mut world, device, space);
        evidence(&mut world, device, space);
    }
    let before = shown(&mut world, 1, space);
    let mut cheat = Cheat::with_keys_of(&mut world, 2, 0);
    cheat.write(&mut world, space, &Set::of(ada, changes));
    for device in [0, 1] {
        let told = evidence(&mut world, device, space);
        assert!(says(&told, "were refused"), "{told:?}");
    }
    assert_eq!(shown(&mut world, 1, space), before);
    world.say(0, space).unwrap();
    world.settle().unwrap();
    agree(&mut world, &[0, 1], space);
}

#[test]
fn what_a_newer_version_writes_is_kept_and_shown_as_such() {
    let (mut world, space) = conversation(9, 3);
    let mut cheat = Cheat::with_keys_of(&mut world, 2, 0);
    let unknown = Name::Unknown { kind: 99, argument: vec![0x81, 0x01] };
    cheat.write(&mut world, space, &Set::of(unknown.clone(), vec![b"of the future".to_vec()]));
    let key = OrderKey { stamp: Stamp { ms: world.now_ms(), counter: 1 }, tag: cheat.writer.tag() };
    let message = NewMessage::new(key, "hi");
    let edits = [Edit::Message(message)];
    let change = cheat.changes(&world, space, &Name::Messages(0), &edits).remove(0);
    let newer = rebuilt(&change, |parts| {
        let OpType::Put(ScalarValue::Bytes(mut bytes)) = parts.operations[0].action.clone() else {
            panic!("a message is bytes")
        };
        // One more field in the same map.
        bytes[0] += 1;
        bytes.extend_from_slice(&[9, 1]);
        parts.operations[0].action = OpType::Put(ScalarValue::Bytes(bytes));
    });
    cheat.write(&mut world, space, &Set::of(Name::Messages(0), vec![newer]));
    for device in [0, 1] {
        let all = world.messages(device, space).unwrap();
        let shown = all.iter().find(|view| view.message == key).unwrap();
        assert!(shown.needs_update && shown.text == "hi", "{shown:?}");
        let prefix = sync_core::records::Load::Document(space, unknown.clone()).prefix();
        let kept = world.device(device).disk.read(&prefix);
        assert_eq!(kept.len(), 1, "what is not understood is kept");
    }
    agree(&mut world, &[0, 1], space);
    world.crash_device(1, 100);
    world.pass(2_000).unwrap();
    world.settle().unwrap();
    agree(&mut world, &[0, 1], space);
}

#[test]
fn an_item_of_a_newer_schema_is_kept_and_harms_nothing() {
    let (mut world, space) = with_notes(10);
    let mut cheat = Cheat::with_keys_of(&mut world, 2, 0);
    let mut set = Set::of(notes(), vec![b"not of this version".to_vec()]);
    set.items[0].schema = 2;
    cheat.write(&mut world, space, &set);
    for device in [0, 1] {
        let prefix = sync_core::records::Load::Document(space, notes()).prefix();
        let rows = world.device(device).disk.read(&prefix);
        let kept = rows.values().any(|row| {
            sync_protocol::codec::decode::<sync_core::document::Row>("row", row)
                .is_ok_and(|row| row.change == b"not of this version")
        });
        assert!(kept, "device {device} dropped what a newer version may read");
    }
    honest_work_goes_on(&mut world, space, 7);
}
