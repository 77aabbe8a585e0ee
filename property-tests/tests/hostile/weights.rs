//! What is large, or at the end of what there may be, and whoever writes it: nobody else pays for it.

use property_tests::{Plan, World};
use sync_core::Command;
use sync_core::api::{Response, Space};
use sync_core::document::{AppOp, Edit, Name, NewMessage, OrderKey, Stamp, Step};
use sync_protocol::SpaceId;
use sync_protocol::codec::Blob;
use sync_protocol::envelope::CommitHeader;
use sync_protocol::frames::{Delivery, RelayFrame};
use sync_protocol::ids::LogHead;

use crate::support::cheat::{Cheat, stand};
use crate::support::forge::{Item, Set};
use crate::support::ways_in::{handshake, header};
use crate::support::{account, shown, talk};

fn put(key: &str, value: &str) -> AppOp {
    let value = Blob(format!("\"{value}\"").into_bytes());
    AppOp::Put { path: vec![Step::from(key)], value }
}

fn read(world: &mut World, device: usize, space: SpaceId, name: &str) -> serde_json::Value {
    let read = Command::ReadDocument {
        space: Space::Conversation(space),
        name: name.into(),
        path: vec![],
    };
    match world.ask(device, read).unwrap() {
        Ok(Response::Value(value)) => value,
        other => serde_json::json!({ "failed": format!("{other:?}") }),
    }
}

fn keys(value: &serde_json::Value) -> Vec<String> {
    value.as_object().map(|map| map.keys().cloned().collect()).unwrap_or_default()
}

/// No attacker at all: a document of some large values, and somebody comes in without history.
#[test]
fn a_document_of_large_values_is_whole_after_somebody_came_in_without_history() {
    let mut world = World::with(903, Plan::calm(3));
    world.sign_up().unwrap();
    let space = world.converse(0, &[1]).unwrap();
    world.settle().unwrap();
    let of = Space::Conversation(space);
    for n in 0..16 {
        // Not to be pressed together.
        let text: String = (0..88 * 1024u64)
            .map(|at| char::from(b'a' + ((at * at * 31 + at / 7 + n * 13) % 26) as u8))
            .collect();
        let ops = vec![put(&format!("page {n}"), &text)];
        let write = Command::ChangeDocument { space: of, name: "plan".into(), ops };
        world.expect(n as usize % 2, write).unwrap();
        world.settle().unwrap();
    }
    let before = keys(&read(&mut world, 1, space, "plan"));
    assert_eq!(before.len(), 16);
    let address = world.book().people[2].address.clone();
    let add = Command::AddMember { conversation: space, address, share_history: false };
    world.expect(0, add).unwrap();
    world.settle().unwrap();
    world.pass(600_000).unwrap();
    world.settle().unwrap();
    for device in [0, 1, 2] {
        let after = keys(&read(&mut world, device, space, "plan"));
        assert_eq!(after, before, "on {device}");
    }
}

/// A member begins documents, each of a few bytes.
#[test]
fn documents_that_a_member_begins_do_not_weigh_on_each_message_of_all_others() {
    let (mut world, space) = talk(904, 3, &[1, 2]);
    let size = |world: &World| {
        let key = [b"x", space.as_bytes().as_slice()].concat();
        world.device(1).disk.read(&key).get(&key).map_or(0, Vec::len)
    };
    let before = size(&world);
    let mut cheat = Cheat::with_keys_of(&mut world, 2, 0);
    for set in 0..20 {
        let items = (0..256).map(|n| {
            let name = Name::App(0, format!("{:0>123}", set * 256 + n));
            let changes =
                cheat.changes(&world, space, &name, &[Edit::App { ops: vec![put("a", "")] }]);
            Item { name, schema: 1, changes: changes.into_iter().map(Blob).collect() }
        });
        let set = Set { blinding: [7; 16], items: items.collect() };
        let envelope = cheat.content(&world, space, &set);
        cheat.store(&mut world, space, vec![envelope]);
    }
    let after = size(&world);
    world.say(0, space).unwrap();
    world.settle().unwrap();
    assert!(after < before + 64 * 1024, "each entry writes {after} bytes on each device");
}

/// A member fills the log with commits that all pass over, with headers as large as they may be, and
/// larger.
#[test]
fn large_commits_of_garbage_do_not_weigh_on_who_reads_the_history() {
    for logs in [512, 5_500] {
        large_commits_of_garbage(logs);
    }
}

fn large_commits_of_garbage(logs: u32) {
    let (mut world, space) = talk(906, 3, &[1, 2]);
    let mut cheat = Cheat::with_keys_of(&mut world, 2, 0);
    let logs: Vec<_> = (0..logs)
        .map(|n| {
            let mut bytes = [7; 32];
            bytes[..4].copy_from_slice(&n.to_be_bytes());
            (account(&world, 0), 1, LogHead::from_bytes(bytes))
        })
        .collect();
    for n in 0..40u64 {
        let header = CommitHeader { logs: logs.clone(), ..header(&world, 2, space) };
        let mut commitment = [1; 32];
        commitment[..8].copy_from_slice(&n.to_be_bytes());
        let (envelope, _) = handshake(&world, &cheat, space, &header, (commitment, b"x"));
        // Whether the relay takes it is its own affair.
        cheat.push(&mut world, space, vec![envelope]);
        world.pass(2_000).unwrap();
    }
    let laptop = world.begin_link(0, true).unwrap();
    let mut most = 0;
    for _ in 0..1_200 {
        world.pass(50).unwrap();
        let rows = world.device(laptop).disk.read(&[b"s", space.as_bytes().as_slice()].concat());
        most = most.max(rows.values().map(Vec::len).max().unwrap_or(0));
    }
    world.settle().unwrap();
    assert!(most < 2 * 1024 * 1024, "a row of {most} bytes is written with each step");
}

/// In a conversation of some 16,000 entries a member posts in the last segment that there may be, and
/// fills it.
#[test]
fn a_member_that_fills_the_last_segment_silences_nobody() {
    let (mut world, space) = talk(911, 3, &[1, 2]);
    let mut cheat = Cheat::with_keys_of(&mut world, 2, 0);
    for _ in 0..63 {
        let set = Set { blinding: [3; 16], items: Vec::new() };
        let envelopes: Vec<Blob> = (0..256).map(|_| cheat.content(&world, space, &set)).collect();
        let heard = cheat.push(&mut world, space, envelopes);
        assert!(heard.iter().any(|frame| matches!(frame, RelayFrame::Stored(_))), "{heard:?}");
    }
    world.settle().unwrap();
    let last = (1 << 16) - 1;
    let name = Name::Messages(last);
    let now = world.now_ms();
    let edits: Vec<Edit> = (0..1_000u16)
        .map(|counter| {
            let key = OrderKey { stamp: Stamp { ms: now, counter }, tag: cheat.writer.tag() };
            Edit::Message(NewMessage::new(key, "x"))
        })
        .collect();
    let filled = Set::of(name.clone(), cheat.changes(&world, space, &name, &edits));
    cheat.write(&mut world, space, &filled);
    let said = world.say(0, space).unwrap();
    world.pass(60_000).unwrap();
    let other = shown(&mut world, 1, space).iter().any(|face| face.message == said);
    assert!(other, "nobody is heard any more");
}

/// A relay that dates one entry at the end of time, and a member whose message says that it is then.
/// The relay is honest afterwards.
#[test]
fn a_relay_and_a_member_that_date_one_message_at_the_end_of_time_silence_nobody() {
    let (mut world, space) = talk(912, 3, &[1, 2]);
    let at = stand(&world, 0, space).next;
    let end = (1 << 48) - 1;
    world.set_meddler(Some(Box::new(move |_, frame| match frame {
        RelayFrame::Delivery(Delivery::Entries(mut entries)) if entries.space == space => {
            if let Some(nth) = at.checked_sub(entries.first)
                && let Some(entry) = entries.entries.get_mut(nth as usize)
            {
                entry.time_ms = end;
            }
            vec![RelayFrame::Delivery(Delivery::Entries(entries))]
        }
        frame => vec![frame],
    })));
    let mut cheat = Cheat::with_keys_of(&mut world, 2, 0);
    let name = Name::Messages(0);
    let key = OrderKey { stamp: Stamp { ms: end, counter: u16::MAX }, tag: cheat.writer.tag() };
    let edits = [Edit::Message(NewMessage::new(key, "the last word"))];
    let message = Set::of(name.clone(), cheat.changes(&world, space, &name, &edits));
    let envelope = cheat.content(&world, space, &message);
    let heard = cheat.push(&mut world, space, vec![envelope]);
    assert!(heard.iter().any(|frame| matches!(frame, RelayFrame::Stored(_))), "{heard:?}");
    world.pass(20_000).unwrap();
    world.set_meddler(None);
    for n in 0..3 {
        let text = format!("{}word {n}", property_tests::MARK);
        let send = Command::SendMessage { conversation: space, text, reply_to: None };
        world.ask(0, send).unwrap().unwrap();
        world.pass(20_000).unwrap();
    }
    let words = |world: &mut World, device: usize| {
        let all = shown(world, device, space);
        all.into_iter()
            .filter(|face| face.text.contains("word "))
            .map(|face| face.text)
            .collect::<Vec<_>>()
    };
    let (own, other) = (words(&mut world, 0), words(&mut world, 1));
    assert!(own.len() == 3 && other.len() == 3, "nobody can say anything any more");
}
