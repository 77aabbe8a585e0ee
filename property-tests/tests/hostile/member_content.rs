//! A member that cheats with its chain, its signatures, what it says it saw, and its clock.

use property_tests::World;
use property_tests::clock::Clock;
use sync_core::Command;
use sync_core::api::Progress;
use sync_core::document::receipts::{Mark, Receipt};
use sync_core::document::{Edit, Name, NewMessage, OrderKey, Stamp};
use sync_protocol::codec::{self, Blob};
use sync_protocol::envelope::{Chain, Envelope};
use sync_protocol::frames::RelayFrame;
use sync_protocol::frontier::Tip;
use sync_protocol::ids::Commitment;
use sync_protocol::{Rejection, SpaceId, limits};
use sync_server::store::Table;

use crate::support::cheat::{Cheat, stand};
use crate::support::forge::Set;
use crate::support::{
    agree, conversation, evidence, lie_to, nothing_is_missing, one_by_one, says, shown,
};

const YEARS_MS: i64 = 10 * 365 * 24 * 3600 * 1000;

fn message(world: &World, cheat: &Cheat, space: SpaceId, text: &str) -> (OrderKey, Set) {
    let stamp = Stamp { ms: world.now_ms(), counter: text.len() as u16 };
    let key = OrderKey { stamp, tag: cheat.writer.tag() };
    let message = NewMessage::new(key, text);
    let name = Name::Messages(0);
    (key, Set::of(name.clone(), cheat.changes(world, space, &name, &[Edit::Message(message)])))
}

/// The two honest people write on and agree; gives what they show.
fn go_on(world: &mut World, space: SpaceId) -> Vec<crate::support::Face> {
    for device in [0, 1, 0] {
        world.say(device, space).unwrap();
        world.pass(1_000).unwrap();
    }
    world.settle().unwrap();
    for device in [0, 1] {
        nothing_is_missing(world, device, space);
    }
    agree(world, &[0, 1], space)
}

fn is_refused(heard: &[RelayFrame], why: &Rejection) -> bool {
    heard.iter().any(|frame| matches!(frame, RelayFrame::Refused { reason, .. } if reason == why))
}

#[test]
fn a_second_change_set_under_one_number_is_refused_by_an_honest_relay() {
    let (mut world, space) = conversation(1, 3);
    let mut cheat = Cheat::with_keys_of(&mut world, 2, 0);
    let (first, one) = message(&world, &cheat, space, "one");
    let (second, other) = message(&world, &cheat, space, "another");
    cheat.write(&mut world, space, &one);
    cheat.set_tip(space, Tip::START);
    let envelope = cheat.content(&world, space, &other);
    let heard = cheat.push(&mut world, space, vec![envelope]);
    assert!(is_refused(&heard, &Rejection::Equivocation), "{heard:?}");
    let faces = go_on(&mut world, space);
    assert!(faces.iter().any(|face| face.message == first));
    assert!(faces.iter().all(|face| face.message != second));
}

#[test]
fn of_two_change_sets_under_one_number_in_the_log_the_first_counts_and_the_second_is_evidence() {
    let (mut world, space) = conversation(2, 3);
    let tips = world.relay_mut().store().unwrap().table(Table::Tips);
    let mut cheat = Cheat::with_keys_of(&mut world, 2, 0);
    let (first, one) = message(&world, &cheat, space, "one");
    let (second, other) = message(&world, &cheat, space, "another");
    cheat.write(&mut world, space, &one);
    // A relay that forgets the tip takes the number twice.
    let now = world.relay_mut().store().unwrap().table(Table::Tips);
    world.cheat();
    let made: Vec<_> =
        now.into_iter().filter(|(key, _)| tips.iter().all(|(k, _)| k != key)).collect();
    assert_eq!(made.len(), 1);
    world.crash_relay(100).unwrap();
    let empty = codec::encode(&(codec_tip(), 0u64, 0u64));
    let rows: Vec<_> = made.into_iter().map(|(key, _)| (key, empty.clone())).collect();
    world.relay_mut().store_mut().unwrap().set_table(Table::Tips, &rows);
    // From here on the log holds what an honest one never does.
    world.set_bender(Some(Box::new(|_, frame| vec![frame])));
    world.pass(60_000).unwrap();
    world.settle().unwrap();
    let mut cheat = Cheat::again(&mut world, cheat);
    cheat.set_tip(space, Tip::START);
    for device in [0, 1] {
        evidence(&mut world, device, space);
    }
    cheat.write(&mut world, space, &other);
    for device in [0, 1] {
        let told = evidence(&mut world, device, space);
        assert!(says(&told, "a writer used one number for two change sets"), "{told:?}");
    }
    let faces = go_on(&mut world, space);
    assert!(faces.iter().any(|face| face.message == first));
    assert!(faces.iter().all(|face| face.message != second));
}

/// A tip before everything, as a row holds it.
fn codec_tip() -> (u64, Blob) {
    (0, Blob(vec![0; 32]))
}

#[test]
fn two_change_sets_under_one_number_shown_to_two_people_are_found_out_at_the_next_one() {
    let (mut world, space) = conversation(3, 3);
    let mut cheat = Cheat::with_keys_of(&mut world, 2, 0);
    let (first, one) = message(&world, &cheat, space, "one");
    let (second, other) = message(&world, &cheat, space, "another");
    let index = stand(&world, 2, space).next;
    let shown_to_bob = cheat.content(&world, space, &other);
    cheat.set_tip(space, Tip::START);
    lie_to(&mut world, 1, space, move |entries| {
        let swap = |mut one: sync_protocol::frames::Entries| {
            if one.first == index {
                one.entries[0].envelope = shown_to_bob.clone();
            }
            one
        };
        one_by_one(&entries).into_iter().map(swap).collect()
    });
    let envelope = cheat.content(&world, space, &one);
    cheat.push(&mut world, space, vec![envelope]);
    world.pass(3_000).unwrap();
    assert!(shown(&mut world, 0, space).iter().any(|face| face.message == first));
    assert!(shown(&mut world, 1, space).iter().any(|face| face.message == second));
    evidence(&mut world, 1, space);
    let (_, next) = message(&world, &cheat, space, "and on it goes");
    let envelope = cheat.content(&world, space, &next);
    cheat.push(&mut world, space, vec![envelope]);
    world.pass(3_000).unwrap();
    let told = evidence(&mut world, 1, space);
    assert!(says(&told, "a writer used one number for two change sets"), "{told:?}");
}

/// What is wrong with an envelope that the relay has no means to see.
#[derive(Clone, Copy, Debug)]
enum Wrong {
    Signature,
    Payload,
    Commitment,
    Plaintext,
}

fn wrong(world: &World, cheat: &mut Cheat, space: SpaceId, kind: Wrong) -> Blob {
    let (_, set) = message(world, cheat, space, "never shown");
    let good = cheat.tip(space);
    match kind {
        Wrong::Commitment => {
            let plaintext = codec::encode(&set.plaintext([0; 8]));
            cheat.content_of(world, space, &plaintext, Commitment::from_bytes([3; 32]))
        }
        Wrong::Plaintext => cheat.content_of(world, space, b"no change set", set.commitment()),
        Wrong::Signature | Wrong::Payload => {
            let mut bytes = cheat.content(world, space, &set).0;
            let end = bytes.len();
            let at = if matches!(kind, Wrong::Signature) { end - 3 } else { end - 90 };
            bytes[at] ^= 1;
            assert!(Envelope::parse(&bytes).is_ok() && cheat.tip(space) != good);
            Blob(bytes)
        }
    }
}

#[test]
fn an_envelope_that_nobody_can_open_or_verify_stops_nobody() {
    for (n, kind) in [Wrong::Signature, Wrong::Payload, Wrong::Commitment, Wrong::Plaintext]
        .into_iter()
        .enumerate()
    {
        let (mut world, space) = conversation(10 + n as u64, 3);
        let mut cheat = Cheat::with_keys_of(&mut world, 2, 0);
        let bad = wrong(&world, &mut cheat, space, kind);
        let heard = cheat.push(&mut world, space, vec![bad]);
        // What it did not sign, the relay does not take.
        let is_stored = heard.iter().any(|frame| matches!(frame, RelayFrame::Stored(_)));
        let is_signed = matches!(kind, Wrong::Commitment | Wrong::Plaintext);
        assert_eq!(is_stored, is_signed, "{heard:?}");
        world.pass(20_000).unwrap();
        go_on(&mut world, space);
        // More of the same writer, in one push with a bad one between good ones.
        let (_, set) = message(&world, &cheat, space, "good");
        let before = cheat.content(&world, space, &set);
        let bad = wrong(&world, &mut cheat, space, kind);
        let (_, set) = message(&world, &cheat, space, "good again");
        let after = cheat.content(&world, space, &set);
        cheat.push(&mut world, space, vec![before, bad, after]);
        world.pass(20_000).unwrap();
        go_on(&mut world, space);
        world.crash_device(1, 100);
        world.pass(2_000).unwrap();
        let faces = go_on(&mut world, space);
        assert!(faces.iter().all(|face| face.text != "never shown"), "{kind:?}");
    }
}

#[test]
fn numbers_that_do_not_follow_are_refused_whatever_they_are() {
    let (mut world, space) = conversation(4, 3);
    let cheat = &mut Cheat::with_keys_of(&mut world, 2, 0);
    for seq in [0, 2, 1 << 40, u64::MAX] {
        let (_, set) = message(&world, cheat, space, "never shown");
        let commitment = set.commitment();
        let link = Tip::START.link.next(&cheat.writer, seq, &commitment);
        let plaintext = codec::encode(&set.plaintext([0; 8]));
        let chain = Chain { seq, commitment, link };
        let envelope = cheat.chained(&world, space, &plaintext, chain);
        let heard = cheat.push(&mut world, space, vec![envelope]);
        assert!(
            heard.iter().all(|frame| !matches!(frame, RelayFrame::Delivery(_))),
            "{seq}: {heard:?}"
        );
    }
    let faces = go_on(&mut world, space);
    assert!(faces.iter().all(|face| face.text != "never shown"));
}

#[test]
fn an_author_that_lies_about_what_it_saw_is_told_of_and_read() {
    let (mut world, space) = conversation(5, 3);
    let mut cheat = Cheat::with_keys_of(&mut world, 2, 0);
    let (key, set) = message(&world, &cheat, space, "a lie about the log");
    let plaintext = codec::encode(&set.plaintext([9; 8]));
    let envelope = cheat.content_of(&world, space, &plaintext, set.commitment());
    cheat.store(&mut world, space, vec![envelope]);
    for device in [0, 1] {
        let told = evidence(&mut world, device, space);
        assert!(says(&told, "the relay shows its users different histories"), "{told:?}");
    }
    let faces = go_on(&mut world, space);
    assert!(faces.iter().any(|face| face.message == key));
}

fn receipt(world: &World, cheat: &Cheat, space: SpaceId, mark: Mark) -> Set {
    let name = Name::Receipts(0);
    let edit = Edit::Receipt { delivered: Some(mark), read: Some(mark) };
    Set::of(name.clone(), cheat.changes(world, space, &name, &[edit]))
}

#[test]
fn a_receipt_beyond_the_head_ticks_no_message_that_was_written_later() {
    let (mut world, space) = conversation(6, 2);
    // Bob's own device is silent from here on; who acts is a program with his keys.
    let mut cheat = Cheat::with_keys_of(&mut world, 1, 0);
    for (index, ordinal) in [(u64::MAX, u32::MAX), (1 << 40, 0)] {
        let set = receipt(&world, &cheat, space, Mark { index, ordinal });
        cheat.write(&mut world, space, &set);
    }
    world.expect(1, Command::GoOffline).unwrap();
    world.pass(1_000).unwrap();
    let key = world.say(0, space).unwrap();
    world.wait_until_stored(0).unwrap();
    world.pass(5_000).unwrap();
    assert_eq!(world.progress(0, space, key).unwrap(), Progress::Stored);
    world.crash_device(0, 100);
    world.pass(3_000).unwrap();
    assert_eq!(world.progress(0, space, key).unwrap(), Progress::Stored);
    world.expect(1, Command::GoOnline).unwrap();
    world.settle().unwrap();
    assert!(world.progress(0, space, key).unwrap() >= Progress::Delivered);
}

#[test]
fn a_receipt_that_goes_back_is_refused_and_the_tick_stays() {
    let (mut world, space) = conversation(7, 2);
    let mut cheat = Cheat::with_keys_of(&mut world, 1, 0);
    let message = world.say(0, space).unwrap();
    world.settle().unwrap();
    world.expect(1, Command::MarkRead { conversation: space, message }).unwrap();
    world.settle().unwrap();
    assert_eq!(world.progress(0, space, message).unwrap(), Progress::Read);
    let far = receipt(&world, &cheat, space, Mark { index: 3, ordinal: 0 });
    cheat.write(&mut world, space, &far);
    evidence(&mut world, 0, space);
    let back = lowered(&world, &cheat, space);
    cheat.write(&mut world, space, &back);
    let told = evidence(&mut world, 0, space);
    assert!(says(&told, "were refused"), "{told:?}");
    assert_eq!(world.progress(0, space, message).unwrap(), Progress::Read);
}

/// A receipt of the cheat's with lower marks than its last one.
fn lowered(world: &World, cheat: &Cheat, space: SpaceId) -> Set {
    use automerge::legacy::OpType;
    use automerge::{Change, ScalarValue};
    let name = Name::Receipts(0);
    let higher = Mark { index: 4, ordinal: 0 };
    let edit = Edit::Receipt { delivered: Some(higher), read: Some(higher) };
    let change = cheat.changes(world, space, &name, &[edit]).remove(0);
    let mut parts = Change::from_bytes(change).unwrap().decode();
    let low = Some(Mark { index: 1, ordinal: 0 });
    let bytes = codec::encode(&Receipt { delivered: low, read: low });
    parts.operations[0].action = OpType::Put(ScalarValue::Bytes(bytes));
    Set::of(name, vec![Change::from(parts).raw_bytes().to_vec()])
}

#[test]
fn clocks_ten_years_off_misplace_only_their_own_messages_and_never_an_answer() {
    for skew_ms in [YEARS_MS, -YEARS_MS] {
        let (mut world, space) = conversation(8, 3);
        world.device_mut(1).clock = Clock::off_by(skew_ms);
        let mut said = Vec::new();
        for round in 0..4 {
            for device in [0, 1, 2] {
                said.push((device, world.say(device, space).unwrap()));
                world.pass(if round % 2 == 0 { 3_000 } else { 400_000 }).unwrap();
            }
        }
        world.settle().unwrap();
        let faces = agree(&mut world, &[0, 1, 2], space);
        let place = |key| faces.iter().position(|face| face.message == key).unwrap();
        // Each had seen all before it: the order is the order of writing, for the wild one too.
        let places: Vec<_> = said.iter().map(|(_, key)| place(*key)).collect();
        assert!(places.is_sorted(), "{places:?}");
        let now_ms = world.now_ms();
        for face in &faces {
            assert!(face.at_ms <= now_ms + limits::CLOCK_AHEAD_MS, "{face:?}");
        }
        for (device, key) in said {
            let at_ms = faces[place(key)].at_ms;
            let sane = at_ms.abs_diff(now_ms) < 60 * 60 * 1000;
            assert!(sane || device == 1, "{device} is dragged along to {at_ms}");
        }
        world.check().unwrap();
    }
}
