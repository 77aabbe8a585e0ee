//! A relay that would have an account's device log say two things, or less than there is.

use property_tests::{Plan, World};
use sync_core::Command;
use sync_core::api::Response;
use sync_protocol::AccountId;
use sync_protocol::codec::Blob;
use sync_protocol::frames::{Answer, ClientFrame, Notice, Op, RelayFrame, Reply, Request};

use crate::support::ways_in::group;
use crate::support::{
    Shared, account, agree, conversation, conversation_of_devices, honest_again, says, shared,
};

/// Somebody in a world in which people have many devices.
fn household(seed: u64) -> World {
    let mut world = World::with(seed, Plan::calm(1).with_devices());
    world.sign_up().unwrap();
    world.settle().unwrap();
    world
}

/// What a device signed for its account's log, by index.
type Signed = Shared<Vec<(u64, Blob)>>;

/// A relay that takes down what a device signs for its log, and answers that its place was taken
/// as long as it likes to.
fn taken(world: &mut World, primary: usize, refuses: &Shared<bool>) -> Signed {
    let (signed, refuses) = (shared(Vec::new()), refuses.clone());
    let seen = signed.clone();
    world.set_bender(Some(Box::new(move |device, frame| match frame {
        ClientFrame::Request(Request { id, op: Op::AppendLog { index, entry, rendezvous } })
            if device == primary =>
        {
            seen.borrow_mut().push((index, entry.clone()));
            // What is for a place far beyond the log's end is answered so by the honest rules.
            let index = if *refuses.borrow() { index + 100 } else { index };
            vec![ClientFrame::Request(Request {
                id,
                op: Op::AppendLog { index, entry, rendezvous },
            })]
        }
        other => vec![other],
    })));
    signed
}

/// No index has two entries; gives how many indexes have one.
fn one_for_each(signed: &Signed) -> usize {
    let mut all = signed.borrow().clone();
    all.sort_by(|a, b| (a.0, a.1.as_slice()).cmp(&(b.0, b.1.as_slice())));
    all.dedup();
    let indexes: std::collections::BTreeSet<u64> = all.iter().map(|(index, _)| *index).collect();
    assert_eq!(all.len(), indexes.len(), "one index, two entries");
    indexes.len()
}

fn entries(world: &mut World, device: usize) -> usize {
    match world.expect(device, Command::ListDevices).unwrap() {
        Response::Devices(devices) => devices.len(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_relay_that_says_taken_is_given_the_same_entry_again_and_no_other() {
    let mut world = household(7);
    let laptop = world.link(0, true).unwrap();
    world.settle().unwrap();
    let device = world.status(laptop).unwrap().device.unwrap();
    let refuses = shared(true);
    let signed = taken(&mut world, 0, &refuses);
    for _ in 0..3 {
        let end = world.ask(0, Command::RevokeDevice { device }).unwrap();
        assert_eq!(end.unwrap_err().kind(), "taken");
    }
    // Something else is wanted: it waits for what was signed before it, and is not signed itself.
    assert!(world.ask(0, Command::NewRecoveryCode).unwrap().is_err());
    assert_eq!(one_for_each(&signed), 1);
    *refuses.borrow_mut() = false;
    world.expect(0, Command::NewRecoveryCode).unwrap();
    assert_eq!(one_for_each(&signed), 2, "the end of the laptop, then the code");
    honest_again(&mut world);
    let Response::Devices(devices) = world.expect(0, Command::ListDevices).unwrap() else {
        panic!("no devices")
    };
    assert!(devices.iter().any(|view| view.device == device && view.revoked));
}

#[test]
fn a_certificate_that_was_refused_is_the_only_one_for_its_place() {
    let mut world = household(8);
    let refuses = shared(true);
    let signed = taken(&mut world, 0, &refuses);
    let guest = world.begin_link(0, true).unwrap();
    assert!(world.finish_link(guest).is_err(), "the relay took no certificate");
    assert_eq!(one_for_each(&signed), 1, "however often it was tried again");
    *refuses.borrow_mut() = false;
    let laptop = world.link(0, true).unwrap();
    world.settle().unwrap();
    assert!(one_for_each(&signed) >= 3, "the first, its end, and the second");
    assert!(world.status(laptop).unwrap().account.is_some());
    let Response::Devices(devices) = world.expect(0, Command::ListDevices).unwrap() else {
        panic!("no devices")
    };
    let active = devices.iter().filter(|view| !view.revoked).count();
    assert_eq!((devices.len(), active), (3, 2), "who never came was ended");
}

/// A relay that shows a device nothing more of somebody's log than it has.
pub(crate) fn keep_back(world: &mut World, victim: usize, whose: AccountId) {
    world.set_meddler(Some(Box::new(move |device, frame| match frame {
        RelayFrame::Reply(Reply { id, answer: Answer::Log { account, from, .. } })
            if device == victim && account == whose =>
        {
            let answer = Answer::Log { account, from, entries: Vec::new() };
            vec![RelayFrame::Reply(Reply { id, answer })]
        }
        RelayFrame::Notice(Notice::LogChanged { account, .. })
            if device == victim && account == whose =>
        {
            Vec::new()
        }
        other => vec![other],
    })));
}

#[test]
fn who_is_shown_less_of_a_log_than_others_is_told() {
    let (mut world, space) = conversation(9, 2);
    let ada = account(&world, 0);
    keep_back(&mut world, 1, ada);
    world.expect(0, Command::NewRecoveryCode).unwrap();
    world.settle().unwrap();
    world.device_mut(1).evidence.clear();
    // One change set tells of one member's log, the next of the other's.
    for _ in 0..2 {
        world.say(0, space).unwrap();
    }
    world.settle().unwrap();
    let told: Vec<String> =
        std::mem::take(&mut world.device_mut(1).evidence).into_iter().map(|(_, why)| why).collect();
    assert!(says(&told, "keeps back a part of a device log"), "{told:?}");
    assert!(world.device(0).evidence.is_empty(), "and nobody else");
    let before = entries(&mut world, 1);
    honest_again(&mut world);
    world.say(0, space).unwrap();
    world.settle().unwrap();
    assert_eq!(entries(&mut world, 1), before);
}

/// A new device comes in by a commit of its own. Who was not shown that there is such a device finds
/// its certificate in the commit.
#[test]
fn who_is_shown_less_of_a_log_follows_all_others_when_a_device_comes_in() {
    let (mut world, space) = conversation_of_devices(10, 2);
    let ada = account(&world, 0);
    keep_back(&mut world, 1, ada);
    let laptop = world.link(0, true).unwrap();
    world.settle().unwrap();
    let device = world.device(laptop).id.unwrap();
    for member in [0, 1, laptop] {
        assert!(group(&world, member, space).contains(&device), "{member}");
        world.say(member, space).unwrap();
    }
    world.settle().unwrap();
    agree(&mut world, &[0, 1, laptop], space);
}
