//! One account that does without end what costs others: it is refused, and they go on.

use property_tests::{Plan, World};
use sync_core::Command;
use sync_core::api::{Member, Progress};
use sync_protocol::codec::{self, Blob};
use sync_protocol::envelope::{CommitHeader, Header, Kind};
use sync_protocol::frames::{ClientFrame, Op, Push, RelayFrame, Request};
use sync_protocol::ids::Commitment;
use sync_protocol::{EpochId, Rejection, SpaceId, limits};

use crate::support::cheat::{Cheat, stand};
use crate::support::forge::Set;
use crate::support::{agree, conversation, digest, entries_frame, is_member, shared, shown};

fn push(space: SpaceId, envelope: Blob) -> ClientFrame {
    ClientFrame::Push(Push { space, envelopes: vec![envelope], welcomes: None, ticket: None })
}

/// A handshake that everybody passes over, by one who has read so far.
fn garbage(world: &World, cheat: &Cheat, space: SpaceId, cursor: u64) -> Blob {
    let now = stand(world, cheat.device, space);
    let commit = CommitHeader {
        parent: now.epoch,
        number: now.number + 1,
        min_version: 1,
        era: 0,
        roster: Vec::new(),
        logs: Vec::new(),
        cuts: Vec::new(),
        intents: Vec::new(),
        ticket: None,
    };
    let mut header = Header::new(Kind::Handshake, now.epoch, cursor);
    header.commit = Some(Blob(codec::encode(&commit)));
    header.child = Some(EpochId::from_bytes([1; 32]));
    header.commitment = Some(Commitment::from_bytes([2; 32]));
    cheat.sealed(space, header, &[1; 32], b"x")
}

fn refusals(heard: &[RelayFrame]) -> Vec<Rejection> {
    let refused = heard.iter().filter_map(|frame| match frame {
        RelayFrame::Refused { reason, .. } => Some(reason.clone()),
        _ => None,
    });
    refused.collect()
}

#[test]
fn commits_of_garbage_without_pause_stop_nobody_and_their_author_is_removed() {
    // At once, and when it has been slowed down for long.
    for removed_at in [20, 1_500] {
        commits_of_garbage(removed_at);
    }
}

fn commits_of_garbage(removed_at: u32) {
    let (mut world, space) = conversation(52, 3);
    let mut cheat = Cheat::with_keys_of(&mut world, 2, 0);
    let mut head = stand(&world, 2, space).next;
    let mut said = None;
    let mut slowed = 0;
    for n in 0..removed_at + 2_000 {
        let envelope = garbage(&world, &cheat, space, head);
        cheat.shout(&mut world, &push(space, envelope));
        world.pass(5).unwrap();
        for frame in cheat.hears(&mut world) {
            match frame {
                RelayFrame::Stored(stored) => {
                    head = stored.runs.iter().map(|run| run.index + run.count).max().unwrap();
                }
                RelayFrame::Refused { reason: Rejection::Behind { index }, .. } => head = index + 1,
                RelayFrame::Refused { reason: Rejection::Rate { .. }, .. } => slowed += 1,
                _ => {}
            }
        }
        if n == removed_at {
            said = Some(world.say(0, space).unwrap());
            let member = Member::Address(world.book().people[2].address.clone());
            world.expect(0, Command::RemoveMember { conversation: space, member }).unwrap();
        }
    }
    // It still goes on.
    assert!(slowed + 100 > removed_at, "{slowed}");
    let said = said.unwrap();
    assert!(world.progress(0, space, said).unwrap() >= Progress::Stored);
    for device in [0, 1] {
        assert!(!is_member(&world, device, space, 2), "{device} still has the flooder");
        assert!(shown(&mut world, device, space).iter().any(|face| face.message == said));
    }
    world.settle().unwrap();
    agree(&mut world, &[0, 1], space);
}

#[test]
fn a_commit_by_one_who_has_read_more_than_there_is_is_refused() {
    let (mut world, space) = conversation(53, 2);
    let mut cheat = Cheat::with_keys_of(&mut world, 1, 0);
    let before = stand(&world, 0, space).next;
    let envelope = garbage(&world, &cheat, space, u64::MAX);
    let heard = cheat.push(&mut world, space, vec![envelope]);
    assert_eq!(refusals(&heard), [Rejection::Ahead { head: before }]);
    assert_eq!(stand(&world, 0, space).next, before);
}

/// Content of a writer of its own, whose signature does not hold.
fn unsigned(world: &World, cheat: &mut Cheat, space: SpaceId) -> Blob {
    let set = Set { blinding: [3; 16], items: Vec::new() };
    let mut bytes = cheat.content(world, space, &set).0;
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    Blob(bytes)
}

#[test]
fn bad_signatures_by_many_writers_are_told_to_their_author_alone() {
    let (mut world, space) = conversation(54, 3);
    let before = stand(&world, 0, space).next;
    for n in 0..20 {
        let mut cheat = Cheat::with_keys_of(&mut world, 2, n);
        let envelope = unsigned(&world, &mut cheat, space);
        let heard = cheat.push(&mut world, space, vec![envelope]);
        assert_eq!(refusals(&heard), [Rejection::Invalid]);
    }
    assert_eq!(stand(&world, 0, space).next, before);
    let said = world.say(0, space).unwrap();
    world.pass(1_000).unwrap();
    assert!(shown(&mut world, 1, space).iter().any(|face| face.message == said));
}

/// The same through a relay that lets them pass: it spoils, for everybody, what the cheat signed.
#[test]
fn bad_signatures_by_many_writers_and_a_relay_cost_one_pause() {
    let (mut world, space) = conversation(55, 3);
    let spoiled = shared(Vec::new());
    let names = spoiled.clone();
    world.set_meddler(Some(Box::new(move |_, frame| match frame {
        RelayFrame::Delivery(sync_protocol::frames::Delivery::Entries(mut entries)) => {
            let bad = |writer| names.borrow().contains(&writer);
            for entry in &mut entries.entries {
                if bad(entries.writers[entry.writer as usize])
                    && let Some(last) = entry.envelope.0.last_mut()
                {
                    *last ^= 1;
                }
            }
            vec![entries_frame(entries)]
        }
        other => vec![other],
    })));
    let mut cheats: Vec<Cheat> = (0..20).map(|n| Cheat::with_keys_of(&mut world, 2, n)).collect();
    for cheat in &mut cheats {
        spoiled.borrow_mut().push(cheat.writer);
        let set = Set { blinding: [3; 16], items: Vec::new() };
        let envelope = cheat.content(&world, space, &set);
        cheat.shout(&mut world, &push(space, envelope));
    }
    world.pass(200).unwrap();
    let begun = world.now_ms();
    let said = world.say(0, space).unwrap();
    while !shown(&mut world, 1, space).iter().any(|face| face.message == said) {
        world.pass(500).unwrap();
        assert!(world.now_ms() - begun < 15_000, "others wait for a device that signs nothing");
    }
}

#[test]
fn a_device_of_many_writers_is_removed_like_any_other() {
    let mut world = World::with(56, Plan::calm(2).with_devices());
    world.sign_up().unwrap();
    let space = world.converse(0, &[1]).unwrap();
    world.settle().unwrap();
    let laptop = world.link(0, true).unwrap();
    world.settle().unwrap();
    for device in [0, 1, laptop] {
        world.say(device, space).unwrap();
    }
    world.settle().unwrap();
    let id = world.device(laptop).id.unwrap();
    let mut writers = 0;
    for n in 0..limits::INCARNATIONS_BURST - 2 {
        let mut thief = Cheat::with_keys_of(&mut world, laptop, n);
        let set = Set { blinding: [n as u8; 16], items: Vec::new() };
        let envelope = thief.content(&world, space, &set);
        let heard = thief.push(&mut world, space, vec![envelope]);
        writers += usize::from(heard.iter().any(|frame| matches!(frame, RelayFrame::Stored(_))));
    }
    assert!(writers > 40, "{writers}");
    world.pass(10_000).unwrap();
    let known = digest(&mut world, 0, space).frontier.len();
    assert!(known >= writers, "{known}");
    world.expect(0, Command::RevokeDevice { device: id }).unwrap();
    world.pass(30_000).unwrap();
    for device in [0, 1] {
        assert!(!crate::support::cheat::has_leaf(&world, device, space, id), "on {device}");
    }
    let said = world.say(0, space).unwrap();
    world.pass(5_000).unwrap();
    assert!(world.progress(0, space, said).unwrap() >= Progress::Stored);
    assert!(shown(&mut world, 1, space).iter().any(|face| face.message == said));
}

#[test]
fn a_stranger_that_takes_key_packages_without_pause_fills_nobodys_disk() {
    let mut world = World::with(57, Plan::calm(3));
    world.sign_up().unwrap();
    let victim = world.book().account_of(1).unwrap();
    let held = |world: &World| world.device(1).disk.read(b"k").len();
    let before = held(&world);
    let mut stranger = Cheat::with_keys_of(&mut world, 0, 0);
    for n in 0..1_500u64 {
        let op = Op::TakeKeyPackages { account: victim };
        stranger.shout(&mut world, &ClientFrame::Request(Request { id: 1_000 + n, op }));
        world.pass(10).unwrap();
    }
    world.pass(60_000).unwrap();
    let after = held(&world);
    assert!(after <= before + limits::PACKAGES_PER_HOUR as usize, "{before} before, {after} after");
    // Everybody else still adds them.
    let space = world.converse(2, &[1]).unwrap();
    world.settle().unwrap();
    let said = world.say(2, space).unwrap();
    world.settle().unwrap();
    assert!(shown(&mut world, 1, space).iter().any(|face| face.message == said));
}

/// Whatever a relay says of how many are left.
#[test]
fn a_relay_that_always_wants_key_packages_gets_a_bounded_number_kept() {
    let mut world = World::with(58, Plan::calm(2));
    world.sign_up().unwrap();
    let space = world.converse(0, &[1]).unwrap();
    world.settle().unwrap();
    let low = shared(true);
    let is_low = low.clone();
    world.set_meddler(Some(Box::new(move |_, frame| {
        let notice = sync_protocol::frames::Notice::KeyPackagesLow { left: 0 };
        match *is_low.borrow() {
            true => vec![frame, RelayFrame::Notice(notice)],
            false => vec![frame],
        }
    })));
    let before = world.device(1).disk.read(b"k").len();
    for _ in 0..60 {
        world.say(0, space).unwrap();
        world.pass(10_000).unwrap();
    }
    let held = world.device(1).disk.read(b"k").len();
    assert!(held > 2 * before, "it was asked for more: {held}");
    assert!(held <= limits::KEY_PACKAGES_HELD + 2, "{held}");
    *low.borrow_mut() = false;
    let space = world.converse(0, &[1]).unwrap();
    world.settle().unwrap();
    let said = world.say(0, space).unwrap();
    world.settle().unwrap();
    assert!(shown(&mut world, 1, space).iter().any(|face| face.message == said));
}

#[test]
fn a_stranger_learns_nothing_before_its_invitation_is_accepted() {
    let mut world = World::with(59, Plan::calm(2).with_devices());
    world.sign_up().unwrap();
    let laptop = world.link(0, true).unwrap();
    world.settle().unwrap();
    let space = world.converse(1, &[0]).unwrap();
    let probe = world.say(1, space).unwrap();
    world.settle().unwrap();
    world.pass(60_000).unwrap();
    for device in [0, laptop] {
        assert!(shown(&mut world, device, space).iter().any(|face| face.message == probe));
    }
    assert_eq!(world.progress(1, space, probe).unwrap(), Progress::Stored);
    assert_eq!(digest(&mut world, 1, space).frontier.len(), 1, "nobody else writes there");
    world.expect(0, Command::AcceptConversation { conversation: space }).unwrap();
    world.settle().unwrap();
    world.pass(10_000).unwrap();
    assert!(world.progress(1, space, probe).unwrap() >= Progress::Delivered);
}

#[test]
fn a_device_linked_before_an_invitation_is_accepted_comes_in_once_it_is() {
    let mut world = World::with(61, Plan::calm(2).with_devices());
    world.sign_up().unwrap();
    let space = world.converse(1, &[0]).unwrap();
    let said = world.say(1, space).unwrap();
    world.settle().unwrap();
    let laptop = world.link(0, true).unwrap();
    world.settle().unwrap();
    world.pass(120_000).unwrap();
    assert!(world.status(laptop).unwrap().up_to_date, "it lacks nothing that the account accepted");
    world.expect(0, Command::AcceptConversation { conversation: space }).unwrap();
    world.pass(60_000).unwrap();
    assert!(shown(&mut world, laptop, space).iter().any(|face| face.message == said));
}
