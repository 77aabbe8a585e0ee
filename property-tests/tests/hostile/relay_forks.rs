//! A relay that shows its users different histories, and one that forgets.

use property_tests::{Plan, World};
use sync_core::Command;
use sync_core::api::{Member, Progress};
use sync_protocol::SpaceId;
use sync_protocol::envelope::{Envelope, Kind};
use sync_protocol::frames::{ClientFrame, Entries, Entry, RelayFrame, Run, Stored};
use sync_protocol::roster::Role;

use crate::support::cheat::stand;
use crate::support::{
    agree, conversation, entries_frame, evidence, honest_again, lie_to, nothing_is_missing,
    one_by_one, says, shared, shown,
};

/// Keeps the first entry after this point back and gives it out behind the second.
fn swapped(at: u64) -> impl FnMut(Entries) -> Vec<Entries> {
    let mut kept: Option<Entries> = None;
    move |entries| {
        let mut out = Vec::new();
        for one in one_by_one(&entries) {
            if one.first == at {
                kept = Some(one);
            } else if one.first == at + 1 {
                let Some(first) = kept.take() else { continue };
                out.push(Entries { first: at, ..one });
                out.push(Entries { first: at + 1, ..first });
            } else {
                out.push(one);
            }
        }
        out
    }
}

#[test]
fn histories_in_another_order_are_found_out_at_the_first_honest_word() {
    let (mut world, space) = conversation(1, 4);
    let at = stand(&world, 0, space).next;
    lie_to(&mut world, 1, space, swapped(at));
    for author in [0, 2] {
        world.say(author, space).unwrap();
    }
    world.pass(1_500).unwrap();
    evidence(&mut world, 1, space);
    world.say(3, space).unwrap();
    world.pass(10_000).unwrap();
    let told = evidence(&mut world, 1, space);
    assert!(says(&told, "the relay shows its users different histories"), "{told:?}");
    // What the fooled device writes tells the others.
    world.say(1, space).unwrap();
    world.pass(10_000).unwrap();
    for other in [0, 2, 3] {
        let told = evidence(&mut world, other, space);
        assert!(says(&told, "the relay shows its users different histories"), "{other}: {told:?}");
    }
    honest_again(&mut world);
    for device in 0..4 {
        nothing_is_missing(&mut world, device, space);
    }
}

#[test]
fn a_device_that_was_shown_less_than_its_peers_finds_out_from_them() {
    let (mut world, space) = conversation(2, 3);
    let from = stand(&world, 0, space).next;
    // Two entries are withheld, then what comes later is put in their place.
    lie_to(&mut world, 1, space, move |entries| {
        let told =
            one_by_one(&entries).into_iter().filter(|one| !(from..from + 2).contains(&one.first));
        let moved = |one: Entries| {
            let by = if one.first < from { 0 } else { 2 };
            Entries { first: one.first - by, ..one }
        };
        told.map(moved).collect()
    });
    world.say(0, space).unwrap();
    world.say(0, space).unwrap();
    world.pass(1_000).unwrap();
    world.say(2, space).unwrap();
    world.pass(10_000).unwrap();
    let told = evidence(&mut world, 1, space);
    assert!(says(&told, "an author has seen more of the log than there is"), "{told:?}");
    honest_again(&mut world);
    world.say(0, space).unwrap();
    world.settle().unwrap();
    agree(&mut world, &[0, 1, 2], space);
    nothing_is_missing(&mut world, 1, space);
}

/// Ada and Bob, both admins, and with each a friend.
fn two_halves(seed: u64) -> (World, SpaceId) {
    let mut world = World::with(seed, Plan::calm(4));
    world.sign_up().unwrap();
    let space = world.converse(0, &[1, 2, 3]).unwrap();
    world.settle().unwrap();
    let member = Member::Address(world.book().people[1].address.clone());
    let command = Command::SetRole { conversation: space, member, role: Role::Admin };
    world.expect(0, command).unwrap();
    world.settle().unwrap();
    for device in 0..4 {
        world.say(device, space).unwrap();
    }
    world.settle().unwrap();
    (world, space)
}

fn title(world: &mut World, device: usize, conversation: SpaceId, title: &str) {
    let title = format!("{}{title}", property_tests::MARK);
    world.expect(device, Command::SetTitle { conversation, title }).unwrap();
}

fn handshake(push: &ClientFrame, of: SpaceId) -> Option<Vec<u8>> {
    let ClientFrame::Push(push) = push else { return None };
    let bytes = &push.envelopes.first()?.0;
    let parsed = Envelope::parse(bytes).ok()?;
    (push.space == of && parsed.header.kind == Kind::Handshake).then(|| bytes.clone())
}

#[test]
fn of_two_commits_to_one_epoch_the_first_in_the_log_counts_for_all() {
    let (mut world, space) = two_halves(3);
    title(&mut world, 0, space, "of ada");
    title(&mut world, 1, space, "of bob");
    world.settle().unwrap();
    for device in 0..4 {
        world.say(device, space).unwrap();
    }
    world.settle().unwrap();
    agree(&mut world, &[0, 1, 2, 3], space);
    world.check().unwrap();
}

#[test]
fn two_commits_of_one_epoch_shown_to_two_halves_are_found_out_when_the_halves_meet() {
    let (mut world, space) = two_halves(4);
    let fork = stand(&world, 0, space).next;
    let stolen = shared(None::<Vec<u8>>);
    // Bob's commit never reaches the log; he and his friend are told that it stands where Ada's is.
    let steal = stolen.clone();
    world.set_bender(Some(Box::new(move |device, frame| {
        match handshake(&frame, space).filter(|_| device == 1) {
            Some(envelope) => {
                *steal.borrow_mut() = Some(envelope);
                Vec::new()
            }
            None => vec![frame],
        }
    })));
    let bob = crate::support::cheat::Keys::of(&world, 1);
    let writer = writer_of(&world, 1, space, bob.device());
    let envelope = stolen.clone();
    world.set_meddler(Some(Box::new(move |device, frame| match frame {
        RelayFrame::Delivery(sync_protocol::frames::Delivery::Entries(entries))
            if (device == 1 || device == 3) && entries.space == space =>
        {
            let Some(stolen) = envelope.borrow().clone() else { return Vec::new() };
            let swap = |mut one: Entries| {
                if one.first == fork {
                    let time_ms = one.entries[0].time_ms;
                    one.writers = vec![writer];
                    let envelope = stolen.clone().into();
                    one.entries = vec![Entry { writer: 0, time_ms, envelope }];
                }
                entries_frame(one)
            };
            one_by_one(&entries).into_iter().map(swap).collect()
        }
        frame => vec![frame],
    })));
    title(&mut world, 1, space, "of bob");
    world.pass(500).unwrap();
    assert!(stolen.borrow().is_some(), "bob's commit was on its way");
    title(&mut world, 0, space, "of ada");
    world.pass(5_000).unwrap();
    for device in 0..4 {
        evidence(&mut world, device, space);
    }
    world.say(0, space).unwrap();
    world.pass(10_000).unwrap();
    for fooled in [1, 3] {
        let told = evidence(&mut world, fooled, space);
        assert!(says(&told, "keys that this log does not lead to"), "{fooled}: {told:?}");
    }
    // Bob came there by his own commit alone, so he leaves again; his friend had read it in the log.
    world.say(3, space).unwrap();
    world.pass(10_000).unwrap();
    for honest in [0, 2] {
        let told = evidence(&mut world, honest, space);
        assert!(says(&told, "keys that this log does not lead to"), "{honest}: {told:?}");
    }
    // What everybody wrote before and after is still on its author's device.
    for device in 0..4 {
        let shown = shown(&mut world, device, space);
        let own = world.book().written.iter().filter(|(_, written)| written.device == device);
        assert!(own.into_iter().all(|((_, key), _)| shown.iter().any(|f| f.message == *key)));
    }
}

/// A device's writer in a space, as the log knows it.
fn writer_of(
    world: &World,
    device: usize,
    space: SpaceId,
    id: sync_protocol::DeviceId,
) -> sync_protocol::WriterId {
    let prefix = [b"s", space.as_bytes().as_slice(), b"w", id.as_bytes()].concat();
    let records = world.device(device).disk.read(&prefix);
    let key = records.keys().next().unwrap();
    let incarnation = key[prefix.len()..].try_into().unwrap();
    sync_protocol::WriterId { device: id, incarnation: u64::from_be_bytes(incarnation) }
}

#[test]
fn what_a_relay_acknowledged_and_forgot_is_sent_again_at_the_next_exchange() {
    let (mut world, space) = conversation(5, 2);
    let index = stand(&world, 0, space).next;
    let generation = generation(&world, space);
    let forgotten = shared(None::<u64>);
    let (forget, told) = (forgotten.clone(), shared(false));
    world.set_bender(Some(Box::new(move |device, frame| match &frame {
        ClientFrame::Push(push) if device == 0 && push.space == space => {
            let mut forgot = forget.borrow_mut();
            if forgot.is_some() {
                return vec![frame];
            }
            let envelope = Envelope::parse(&push.envelopes[0].0).unwrap();
            *forgot = envelope.header.chain.map(|chain| chain.seq);
            Vec::new()
        }
        _ => vec![frame],
    })));
    let claimed = forgotten.clone();
    world.set_meddler(Some(Box::new(move |device, frame| {
        let seq = claimed.borrow().filter(|_| device == 0);
        let mut out = Vec::new();
        if let Some(seq) = seq.filter(|_| !*told.borrow()) {
            *told.borrow_mut() = true;
            let run = Run { seq, index, count: 1, time_ms: 1_800_000_000_000 };
            out.push(RelayFrame::Stored(Stored { space, generation, runs: vec![run] }));
        }
        out.push(frame);
        out
    })));
    let lost = world.say(0, space).unwrap();
    world.pass(500).unwrap();
    world.expect(0, Command::Typing { conversation: space }).unwrap();
    // The next frame that the relay sends brings the false word.
    world.say(1, space).unwrap();
    world.pass(5_000).unwrap();
    assert!(
        world.progress(0, space, lost).unwrap() >= Progress::Stored,
        "the false word is believed"
    );
    honest_again(&mut world);
    world.say(0, space).unwrap();
    world.settle().unwrap();
    agree(&mut world, &[0, 1], space);
    nothing_is_missing(&mut world, 1, space);
}

/// The generation of a space's log, as a device knows it.
pub(crate) fn generation(world: &World, space: SpaceId) -> u64 {
    #[derive(minicbor::Decode)]
    #[cbor(map)]
    struct Row {
        #[n(4)]
        generation: Option<u64>,
    }
    let key = [b"x", space.as_bytes().as_slice()].concat();
    let records = world.device(0).disk.read(&key);
    let row: Row = sync_protocol::codec::decode("space", &records[&key]).unwrap();
    row.generation.unwrap()
}

#[test]
fn what_was_never_written_is_not_confirmed_by_any_word_of_a_relay() {
    let (mut world, space) = conversation(6, 2);
    let generation = generation(&world, space);
    let index = stand(&world, 0, space).next;
    for (seq, count, at) in [
        (u64::MAX, 1, index),
        (1 << 40, 1, index),
        (1, u64::MAX, index),
        (1, u64::MAX, 0),
        (0, u64::MAX, index),
        (1, 1, u64::MAX),
    ] {
        let run = Run { seq, index: at, count, time_ms: 1_800_000_000_000 };
        let mut lie = Some(RelayFrame::Stored(Stored { space, generation, runs: vec![run] }));
        world.set_meddler(Some(Box::new(move |device, frame| {
            lie.take_if(|_| device == 0).into_iter().chain([frame]).collect()
        })));
        let key = world.say(0, space).unwrap();
        world.say(1, space).unwrap();
        world.pass(20_000).unwrap();
        assert!(
            shown(&mut world, 1, space).iter().any(|face| face.message == key),
            "{seq} {count}"
        );
    }
    honest_again(&mut world);
    agree(&mut world, &[0, 1], space);
    nothing_is_missing(&mut world, 1, space);
}
