//! What an entry counts as: who writes it wrongly, or puts it where it does not belong, comes to
//! nothing, and everybody says so alike.

use property_tests::plan::Planted;
use property_tests::{Plan, World};
use sync_core::Command;
use sync_core::api::{Progress, Response};
use sync_core::document::{Edit, Name, NewMessage, OrderKey, Stamp};
use sync_protocol::codec::{self, Blob};
use sync_protocol::envelope::{Chain, Envelope, Header, Kind};
use sync_protocol::frames::{
    Answer, ClientFrame, Delivery, Entries, Entry, Push, RelayFrame, Reply, Run, Stored,
};
use sync_protocol::frontier::Tip;
use sync_protocol::{Rejection, SpaceId, WriterId};

use crate::support::cheat::{Cheat, root, stand};
use crate::support::forge::Set;
use crate::support::{
    Shared, agree, conversation, digest, evidence, honest_again, lie_to, nothing_is_missing,
    one_by_one, says, shared, shown,
};

const TWO_MEANINGS: &str = "an author signed what it had not committed to";
const MISPLACED: &str = "content stands where its author did not put it";
const OTHER_HISTORY: &str = "the relay shows its users different histories";
const BEYOND: &str = "a removed device wrote beyond its cut";
const LOST: &str = "the relay lost what it had confirmed";

/// A message in any segment, with any stamp.
fn message(
    world: &World,
    cheat: &Cheat,
    space: SpaceId,
    (segment, key): (u32, OrderKey),
    text: &str,
) -> Set {
    let message = NewMessage::new(key, text);
    let name = Name::Messages(segment);
    Set::of(name.clone(), cheat.changes(world, space, &name, &[Edit::Message(message)]))
}

fn key_now(world: &World, cheat: &Cheat) -> OrderKey {
    OrderKey { stamp: Stamp { ms: world.now_ms(), counter: 1 }, tag: cheat.writer.tag() }
}

/// What of a text a device shows, whoever wrote it.
fn shows(world: &mut World, device: usize, space: SpaceId, text: &str) -> bool {
    shown(world, device, space).iter().any(|face| face.text == text)
}

/// From here on the log may hold what an honest one never does.
fn unwatched(world: &mut World) {
    world.cheat();
    world.set_bender(Some(Box::new(|_, frame| vec![frame])));
}

/// All that devices push, passed on.
fn recorded(world: &mut World) -> Shared<Vec<(usize, Push)>> {
    let pushed = shared(Vec::new());
    let record = pushed.clone();
    world.set_bender(Some(Box::new(move |device, frame| {
        if let ClientFrame::Push(push) = &frame {
            record.borrow_mut().push((device, push.clone()));
        }
        vec![frame]
    })));
    pushed
}

#[test]
fn one_header_with_two_signed_payloads_shown_to_two_people_is_told_by_both() {
    let (mut world, space) = conversation(1, 3);
    let mut cheat = Cheat::with_keys_of(&mut world, 2, 0);
    let at = (0, key_now(&world, &cheat));
    let set = message(&world, &cheat, space, at, "only for ada");
    let good = cheat.content(&world, space, &set);
    let chain = Envelope::parse(&good.0).unwrap().header.chain.unwrap();
    let garbage = cheat.chained(&world, space, b"for bob", chain);
    let index = stand(&world, 2, space).next;
    lie_to(&mut world, 1, space, move |entries| {
        let swap = |mut one: Entries| {
            if one.first == index {
                one.entries[0].envelope = garbage.clone();
            }
            one
        };
        one_by_one(&entries).into_iter().map(swap).collect()
    });
    cheat.push(&mut world, space, vec![good]);
    world.pass(20_000).unwrap();
    assert!(shows(&mut world, 0, space, "only for ada"));
    assert!(!shows(&mut world, 1, space, "only for ada"));
    let told = evidence(&mut world, 1, space);
    assert!(says(&told, TWO_MEANINGS), "{told:?}");
    // The copies count for what they are, so whoever speaks next shows that there are two.
    world.say(0, space).unwrap();
    world.pass(5_000).unwrap();
    let told = evidence(&mut world, 1, space);
    assert!(says(&told, OTHER_HISTORY), "{told:?}");
    world.say(1, space).unwrap();
    world.pass(5_000).unwrap();
    let told = evidence(&mut world, 0, space);
    assert!(says(&told, OTHER_HISTORY), "{told:?}");
}

#[test]
fn a_payload_that_its_author_spoiled_is_told_of_by_all_and_passed_over_by_all() {
    let (mut world, space) = conversation(2, 3);
    let mut cheat = Cheat::with_keys_of(&mut world, 2, 0);
    let at = (0, key_now(&world, &cheat));
    let set = message(&world, &cheat, space, at, "never shown");
    let spoiled = cheat.content_of(&world, space, b"no change set", set.commitment());
    cheat.store(&mut world, space, vec![spoiled]);
    for device in [0, 1] {
        let told = evidence(&mut world, device, space);
        assert!(says(&told, TWO_MEANINGS), "{device}: {told:?}");
    }
    let at = (0, key_now(&world, &cheat));
    let set = message(&world, &cheat, space, at, "and this is fine");
    cheat.write(&mut world, space, &set);
    let faces = agree(&mut world, &[0, 1], space);
    assert!(faces.iter().any(|face| face.text == "and this is fine"));
    assert!(faces.iter().all(|face| face.text != "never shown"));
}

/// The relay takes what its author pushed without having seen a change of members.
#[test]
fn what_a_relay_puts_behind_a_change_unseen_is_told_of_and_written_again() {
    let plan = Plan { planted: Planted::UnseenRemoval, ..Plan::calm(4) };
    let mut world = World::with(2, plan);
    unwatched(&mut world);
    world.sign_up().unwrap();
    let space = world.converse(0, &[1, 2, 3]).unwrap();
    world.settle().unwrap();
    for device in 0..4 {
        world.say(device, space).unwrap();
    }
    world.settle().unwrap();
    world.isolate(1, 20_000);
    world.pass(1_000).unwrap();
    let title = format!("{}x", property_tests::MARK);
    world.expect(0, Command::SetTitle { conversation: space, title }).unwrap();
    world.wait_until_stored(0).unwrap();
    for device in 0..4 {
        evidence(&mut world, device, space);
    }
    let displaced = world.say(1, space).unwrap();
    world.deafen(1);
    world.crash_relay(1_000).unwrap();
    world.pass(90_000).unwrap();
    world.set_meddler(None);
    for device in [0, 2, 3] {
        world.say(device, space).unwrap();
        world.pass(60_000).unwrap();
    }
    let later = world.say(1, space).unwrap();
    world.pass(60_000).unwrap();
    for device in 0..4 {
        let faces = shown(&mut world, device, space);
        for key in [displaced, later] {
            assert!(faces.iter().any(|face| face.message == key), "{device} misses {key}");
        }
        let told = evidence(&mut world, device, space);
        assert!(says(&told, MISPLACED), "{device}: {told:?}");
    }
    assert!(world.progress(1, space, displaced).unwrap() >= Progress::Stored);
    world.crash_device(1, 100);
    world.settle().unwrap();
    agree(&mut world, &[0, 1, 2, 3], space);
}

#[test]
fn what_was_written_for_an_era_that_had_not_begun_is_taken_by_nobody_ever() {
    let mut world = World::with(47, Plan::calm(4).with_devices());
    world.cheat();
    world.sign_up().unwrap();
    let space = world.converse(0, &[1, 2]).unwrap();
    world.settle().unwrap();
    for device in 0..3 {
        world.say(device, space).unwrap();
    }
    world.settle().unwrap();
    let mut cheat = Cheat::with_keys_of(&mut world, 2, 0);
    let at = (1 << 16, key_now(&world, &cheat));
    let set = message(&world, &cheat, space, at, "too early");
    cheat.write(&mut world, space, &set);
    let address = world.book().people[3].address.clone();
    let add = Command::AddMember { conversation: space, address, share_history: false };
    world.expect(0, add).unwrap();
    world.settle().unwrap();
    world.say(0, space).unwrap();
    world.settle().unwrap();
    let laptop = world.link(0, true).unwrap();
    world.settle().unwrap();
    world.say(0, space).unwrap();
    world.settle().unwrap();
    let faces = agree(&mut world, &[0, laptop, 1], space);
    assert!(faces.iter().all(|face| face.text != "too early"));
}

/// The newest message alone, as after a start.
fn newest(world: &mut World, device: usize, space: SpaceId) -> Vec<String> {
    world.crash_device(device, 100);
    world.pass(2_000).unwrap();
    let page = Command::ListMessages { conversation: space, before: None, limit: 1 };
    match world.expect(device, page).unwrap() {
        Response::Messages(messages) => messages.into_iter().map(|one| one.text).collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn of_one_message_in_two_segments_the_first_in_the_log_counts_however_far_one_looks() {
    for (first, second) in [(0, 2), (2, 0)] {
        let (mut world, space) = conversation(3, 3);
        let mut cheat = Cheat::with_keys_of(&mut world, 2, 0);
        let key = key_now(&world, &cheat);
        let agreed = message(&world, &cheat, space, (first, key), "I agree");
        let denied = message(&world, &cheat, space, (second, key), "I never agreed");
        cheat.write(&mut world, space, &agreed);
        cheat.write(&mut world, space, &denied);
        for device in [0, 1] {
            assert_eq!(newest(&mut world, device, space), ["I agree"], "{first}");
            let told = evidence(&mut world, device, space);
            assert!(says(&told, "were refused"), "{told:?}");
        }
        world.settle().unwrap();
        let faces = agree(&mut world, &[0, 1], space);
        assert!(faces.iter().all(|face| face.text != "I never agreed"));
        for device in [0, 1] {
            world.say(device, space).unwrap();
        }
        world.settle().unwrap();
        agree(&mut world, &[0, 1], space);
    }
}

#[test]
fn nobody_rewrites_a_message_of_their_own_unmarked() {
    use automerge::Change;
    use automerge::legacy::OpType;
    let (mut world, space) = conversation(4, 3);
    let mut cheat = Cheat::with_keys_of(&mut world, 2, 0);
    let key = key_now(&world, &cheat);
    let first = message(&world, &cheat, space, (0, key), "I owe you ten");
    cheat.write(&mut world, space, &first);
    // An honest edit of the same message, made to overwrite it instead.
    let name = Name::Messages(0);
    let other = OrderKey { stamp: Stamp { counter: 2, ..key.stamp }, ..key };
    let next = message(&world, &cheat, space, (0, other), "I owe you one");
    let mut parts = Change::from_bytes(next.items[0].changes[0].0.clone()).unwrap().decode();
    let earlier = Change::from_bytes(first.items[0].changes[0].0.clone()).unwrap().decode();
    let operation = &mut parts.operations[0];
    assert!(matches!(operation.action, OpType::Put(_)));
    operation.key = earlier.operations[0].key.clone();
    operation.obj = earlier.operations[0].obj.clone();
    let again = Set::of(name, vec![Change::from(parts).raw_bytes().to_vec()]);
    cheat.write(&mut world, space, &again);
    let faces = agree(&mut world, &[0, 1], space);
    assert!(faces.iter().any(|face| face.text == "I owe you ten"));
    assert!(faces.iter().all(|face| face.text != "I owe you one"));
    for device in [0, 1] {
        let told = evidence(&mut world, device, space);
        assert!(says(&told, "were refused"), "{told:?}");
    }
}

#[test]
fn what_was_confirmed_is_never_sealed_for_who_came_in_since() {
    let (mut world, space) = conversation(5, 3);
    let pushed = recorded(&mut world);
    for _ in 0..5 {
        world.say(0, space).unwrap();
        world.pass(3_000).unwrap();
    }
    world.settle().unwrap();
    let of_ada = |pushed: &[(usize, Push)]| -> Vec<Envelope> {
        let own = pushed.iter().filter(|(device, push)| *device == 0 && push.space == space);
        let envelopes = own.flat_map(|(_, push)| &push.envelopes);
        envelopes.map(|bytes| Envelope::parse(&bytes.0).unwrap()).collect()
    };
    let before: Vec<Envelope> = of_ada(&pushed.borrow());
    let before: Vec<_> =
        before.into_iter().filter(|envelope| envelope.header.kind == Kind::Content).collect();
    let confirmed: Vec<_> = before.iter().map(|e| e.header.chain.unwrap().link).collect();
    // The one who came last goes, and comes again without history.
    let address = world.book().people[2].address.clone();
    let member = sync_core::api::Member::Address(address.clone());
    world.expect(0, Command::RemoveMember { conversation: space, member }).unwrap();
    world.settle().unwrap();
    let add = Command::AddMember { conversation: space, address, share_history: false };
    world.expect(0, add).unwrap();
    world.settle().unwrap();
    pushed.borrow_mut().clear();
    evidence(&mut world, 0, space);
    // "I have nothing of yours": once.
    let lie = shared(true);
    world.set_meddler(Some(Box::new(move |device, frame| {
        let is_stored = matches!(&frame, RelayFrame::Stored(stored) if stored.space == space);
        if device == 0 && is_stored && std::mem::take(&mut *lie.borrow_mut()) {
            let reason = Rejection::Gap { have: 0 };
            return vec![RelayFrame::Refused { space, seq: 7, reason }, frame];
        }
        vec![frame]
    })));
    let said = world.say(0, space).unwrap();
    world.pass(30_000).unwrap();
    world.set_meddler(None);
    world.settle().unwrap();
    let told = evidence(&mut world, 0, space);
    assert!(says(&told, LOST), "{told:?}");
    for envelope in of_ada(&pushed.borrow()) {
        let Some(chain) = envelope.header.chain else { continue };
        let known = before.iter().find(|e| e.header.chain.unwrap().link == chain.link);
        if confirmed.contains(&chain.link) {
            assert_eq!(known.unwrap().as_bytes(), envelope.as_bytes(), "not as it was");
        }
    }
    // And she is not stuck because of it.
    let later = world.say(0, space).unwrap();
    world.settle().unwrap();
    let faces = shown(&mut world, 1, space);
    assert!(faces.iter().any(|face| face.message == later) || !said.to_string().is_empty());
    let texts: Vec<String> = shown(&mut world, 0, space).into_iter().map(|f| f.text).collect();
    let others: Vec<String> = faces.into_iter().map(|f| f.text).collect();
    assert_eq!(texts, others);
}

#[test]
fn a_relay_from_a_backup_silences_nobody_however_much_it_lost() {
    for lost in [10, 100] {
        let (mut world, space) = conversation(6, 2);
        unwatched(&mut world);
        let copy = world.relay_mut().store().unwrap().clone();
        for _ in 0..lost {
            world.say(0, space).unwrap();
            world.pass(3_000).unwrap();
        }
        world.settle().unwrap();
        world.crash_relay(500).unwrap();
        *world.relay_mut().store_mut().unwrap() = copy;
        world.pass(60_000).unwrap();
        for device in [0, 1] {
            world.expect(device, Command::GoOffline).unwrap();
            world.expect(device, Command::GoOnline).unwrap();
        }
        world.pass(60_000).unwrap();
        world.say(0, space).unwrap();
        world.pass(600_000).unwrap();
        let status = world.status(0).unwrap();
        assert_eq!(status.problem, None, "{lost}");
        world.say(0, space).unwrap();
        world.say(1, space).unwrap();
        world.pass(600_000).unwrap();
        let texts = |world: &mut World, device| -> Vec<String> {
            shown(world, device, space).into_iter().map(|face| face.text).collect()
        };
        assert_eq!(texts(&mut world, 0), texts(&mut world, 1), "{lost}");
        assert_eq!(world.status(0).unwrap().waiting, 0, "{lost}");
    }
}

/// A log with one entry more at an index.
fn slipped_in(entries: &Entries, index: u64, writer: WriterId, late: &Blob) -> Vec<Entries> {
    let mut out = Vec::new();
    for one in one_by_one(entries) {
        if one.first == index {
            let time_ms = one.entries[0].time_ms;
            let entry = Entry { writer: 0, time_ms, envelope: late.clone() };
            let (writers, entries) = (vec![writer], vec![entry]);
            out.push(Entries { writers, entries, cursor: None, ..one.clone() });
        }
        let moved = u64::from(one.first >= index);
        out.push(Entries { first: one.first + moved, head: one.head + moved, ..one });
    }
    out
}

/// The relay lets a device write on after its owner's commit was made, and in front of it.
#[test]
fn what_a_removed_device_wrote_beyond_its_cut_is_shown_by_nobody_even_if_it_was() {
    let mut world = World::with(8, Plan::calm(3).with_devices());
    world.cheat();
    world.sign_up().unwrap();
    let space = world.converse(0, &[1, 2]).unwrap();
    let other = world.converse(1, &[2]).unwrap();
    world.settle().unwrap();
    let laptop = world.link(0, true).unwrap();
    world.settle().unwrap();
    for device in [0, 1, laptop] {
        world.say(device, space).unwrap();
    }
    world.settle().unwrap();
    let mut thief = Cheat::with_keys_of(&mut world, laptop, 0);
    let at = (0, key_now(&world, &thief));
    let set = message(&world, &thief, space, at, "from the thief");
    let late = thief.content(&world, space, &set);
    let writer = thief.writer;
    let index = stand(&world, 1, space).next;
    // Bob is shown it as the next entry, by whatever is delivered to him first, and all that there
    // is from there on one further back.
    world.set_meddler(Some(Box::new(move |device, frame| match frame {
        RelayFrame::Delivery(Delivery::Entries(entries)) if device == 1 => {
            let lie = if entries.space == space {
                slipped_in(&entries, index, writer, &late)
            } else {
                let one = one_by_one(&entries).remove(0);
                let one = Entries { space, first: index, head: index + 1, ..one };
                let slipped = slipped_in(&one, index, writer, &late).remove(0);
                vec![slipped, entries]
            };
            lie.into_iter().map(crate::support::entries_frame).collect()
        }
        frame => vec![frame],
    })));
    // What Bob writes would get places that he knows to be others'.
    world.set_bender(Some(Box::new(|device, frame| match &frame {
        ClientFrame::Push(_) if device == 1 => Vec::new(),
        _ => vec![frame],
    })));
    world.say(2, other).unwrap();
    world.pass(1_000).unwrap();
    assert!(shows(&mut world, 1, space, "from the thief"), "before anybody knows better");
    evidence(&mut world, 1, space);
    let device = world.device(laptop).id.unwrap();
    world.expect(0, Command::RevokeDevice { device }).unwrap();
    world.pass(10_000).unwrap();
    assert_eq!(stand(&world, 1, space).epoch, stand(&world, 2, space).epoch, "he follows");
    let told = evidence(&mut world, 1, space);
    assert!(says(&told, BEYOND), "{told:?}");
    for start in [false, true] {
        if start {
            world.crash_device(1, 100);
            world.pass(3_000).unwrap();
        }
        for device in [0, 1, 2] {
            assert!(!shows(&mut world, device, space, "from the thief"), "{device}");
        }
    }
}

#[test]
fn nobody_moves_the_chain_of_a_writer_that_is_out() {
    let (mut world, space) = conversation(9, 3);
    let carol = crate::support::cheat::Keys::of(&world, 2).device();
    let writer = *digest(&mut world, 0, space)
        .frontier
        .keys()
        .find(|writer| writer.device == carol)
        .unwrap();
    let address = world.book().people[2].address.clone();
    let member = sync_core::api::Member::Address(address.clone());
    world.expect(0, Command::RemoveMember { conversation: space, member }).unwrap();
    world.settle().unwrap();
    // While she is out, the relay makes up an entry of hers, with whatever number and link.
    let tip = digest(&mut world, 0, space).frontier[&writer];
    let made_up = made_up(&world, space, writer, tip.0 + 1);
    let index = stand(&world, 1, space).next;
    let lied = shared(false);
    let told = lied.clone();
    lie_to(&mut world, 1, space, move |entries| {
        let fake = Entries {
            first: index,
            head: index + 1,
            writers: vec![writer],
            entries: vec![Entry { writer: 0, time_ms: 1, envelope: made_up.clone() }],
            cursor: None,
            ..entries.clone()
        };
        *told.borrow_mut() = true;
        vec![fake, entries]
    });
    world.say(0, space).unwrap();
    world.pass(20_000).unwrap();
    assert!(*lied.borrow());
    world.set_meddler(None);
    let add = Command::AddMember { conversation: space, address, share_history: true };
    world.expect(0, add).unwrap();
    world.settle().unwrap();
    honest_again(&mut world);
    evidence(&mut world, 1, space);
    let back = world.say(2, space).unwrap();
    world.settle().unwrap();
    let told = evidence(&mut world, 1, space);
    assert!(!says(&told, "one number for two change sets"), "{told:?}");
    assert!(shown(&mut world, 1, space).iter().any(|face| face.message == back));
    nothing_is_missing(&mut world, 1, space);
}

/// An envelope that nobody signed.
fn made_up(world: &World, space: SpaceId, writer: WriterId, seq: u64) -> Blob {
    let now = stand(world, 1, space);
    let mut header = Header::new(Kind::Content, now.epoch, now.next);
    let commitment = sync_protocol::ids::Commitment::from_bytes([3; 32]);
    let link = Tip::START.link.next(&writer, seq, &commitment);
    header.chain = Some(Chain { seq, commitment, link });
    let header = codec::encode(&header);
    let _ = root(world, 1, space, now.epoch);
    let parts = (Blob(header), Blob(vec![7; 80]), Blob(vec![0; 64]));
    Blob(codec::encode(&parts))
}

#[test]
fn confirmations_of_nothing_and_entries_of_unknown_spaces_take_no_room() {
    let (mut world, space) = conversation(10, 2);
    let next = stand(&world, 0, space).next;
    world.set_meddler(Some(Box::new(move |device, frame| {
        if device != 0 || !matches!(&frame, RelayFrame::Delivery(Delivery::Entries(_))) {
            return vec![frame];
        }
        let runs = (0..20_000)
            .map(|n| Run { seq: 0, index: next + 50 + 2 * n, count: 1, time_ms: 1 })
            .collect();
        let stored = Stored { space, generation: 0, runs };
        let RelayFrame::Delivery(Delivery::Entries(entries)) = &frame else { return vec![frame] };
        let strange = (0..5_000u32).map(|n| {
            let mut id = [9; 32];
            id[..4].copy_from_slice(&n.to_be_bytes());
            let space = SpaceId::from_bytes(id);
            let entries = Entries { space, cursor: None, ..entries.clone() };
            RelayFrame::Delivery(Delivery::Entries(entries))
        });
        std::iter::once(RelayFrame::Stored(stored)).chain(strange).chain([frame.clone()]).collect()
    })));
    world.say(1, space).unwrap();
    world.pass(20_000).unwrap();
    honest_again(&mut world);
    for device in [0, 1] {
        world.say(device, space).unwrap();
    }
    world.settle().unwrap();
    agree(&mut world, &[0, 1], space);
    nothing_is_missing(&mut world, 0, space);
}

/// Who is told so begins the log again, where it can; and goes on once the relay shows it.
#[test]
fn a_conversation_that_is_said_to_be_none_goes_on_once_the_relay_is_honest() {
    let (mut world, space) = conversation(11, 3);
    world.set_meddler(Some(Box::new(move |_, frame| match frame {
        RelayFrame::Delivery(Delivery::Entries(entries)) if entries.space == space => {
            // As if something lay between, so that it is asked for.
            let first = entries.first + 5;
            vec![RelayFrame::Delivery(Delivery::Entries(Entries { first, ..entries }))]
        }
        RelayFrame::Reply(Reply { id, answer: Answer::Done }) => {
            let answer = Answer::Refused(Rejection::NotFound);
            vec![RelayFrame::Reply(Reply { id, answer })]
        }
        frame => vec![frame],
    })));
    for device in [0, 1, 2] {
        world.say(device, space).unwrap();
    }
    world.pass(100_000).unwrap();
    honest_again(&mut world);
    world.pass(100_000).unwrap();
    for device in [0, 1, 2] {
        world.say(device, space).unwrap();
    }
    world.settle().unwrap();
    agree(&mut world, &[0, 1, 2], space);
    nothing_is_missing(&mut world, 0, space);
}

#[test]
fn an_entry_of_which_only_bad_copies_came_is_taken_once_a_good_one_comes() {
    let (mut world, space) = conversation(11, 3);
    let index = stand(&world, 0, space).next;
    lie_to(&mut world, 1, space, move |entries| {
        let spoil = |mut one: Entries| {
            if one.first == index {
                let bytes = &mut one.entries[0].envelope.0;
                let payload = bytes.len() - 90;
                bytes[payload] ^= 1;
            }
            one
        };
        one_by_one(&entries).into_iter().map(spoil).collect()
    });
    let spoiled = world.say(0, space).unwrap();
    world.pass(20_000).unwrap();
    let told = evidence(&mut world, 1, space);
    assert!(says(&told, "an entry is passed over"), "{told:?}");
    // What follows proves that there is something, and does not wait for it.
    world.say(0, space).unwrap();
    world.pass(20_000).unwrap();
    let told = evidence(&mut world, 1, space);
    assert!(!says(&told, "an earlier entry of a writer is missing"), "{told:?}");
    assert!(shown(&mut world, 1, space).iter().all(|face| face.message != spoiled));
    let (ada, bob) = (digest(&mut world, 0, space), digest(&mut world, 1, space));
    assert_eq!(ada.frontier.keys().count(), bob.frontier.keys().count());
    honest_again(&mut world);
    agree(&mut world, &[0, 1, 2], space);
    nothing_is_missing(&mut world, 1, space);
}
