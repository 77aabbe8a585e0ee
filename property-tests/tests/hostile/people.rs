//! A directory that leads an address to somebody else, and a relay that is not the one it was.

use property_tests::{Plan, World};
use sync_core::Command;
use sync_core::api::{
    Compared, Comparison, ContactCard, Failure, Member, Problem, Response, Space,
};
use sync_protocol::address::Address;
use sync_protocol::frames::{Challenge, ClientFrame, Op, RelayFrame, Request};
use sync_protocol::ids::RelayId;
use sync_protocol::{AccountId, SpaceId};

use crate::support::{account, conversation_of_devices as conversation, honest_again, shared};

fn address(world: &mut World, device: usize) -> Address {
    world.status(device).unwrap().address.unwrap().parse().unwrap()
}

fn card(world: &mut World, device: usize, of: AccountId) -> ContactCard {
    let member = Member::Account(of);
    match world.expect(device, Command::ShowContact { member }).unwrap() {
        Response::Contact(card) => card,
        other => panic!("{other:?}"),
    }
}

fn compare(world: &mut World, device: usize, account: AccountId, shown: String) -> Comparison {
    match world.expect(device, Command::CompareContact { account, shown }).unwrap() {
        Response::Comparison(comparison) => comparison,
        other => panic!("{other:?}"),
    }
}

/// A directory that answers every question for one address with somebody else's log.
fn mislead(world: &mut World, address: &Address, to: Address) {
    let address = address.clone();
    world.set_bender(Some(Box::new(move |_, frame| match frame {
        ClientFrame::Request(Request { id, op: Op::Lookup { address: of } }) if of == address => {
            vec![ClientFrame::Request(Request { id, op: Op::Lookup { address: to.clone() } })]
        }
        other => vec![other],
    })));
}

fn members(world: &mut World, device: usize, space: SpaceId) -> Vec<AccountId> {
    let Response::Conversations(list) = world.expect(device, Command::ListConversations).unwrap()
    else {
        panic!("no list")
    };
    let found = list.into_iter().find(|view| view.conversation == space).unwrap();
    found.members.into_iter().map(|member| member.account).collect()
}

#[test]
fn an_address_that_led_to_somebody_leads_to_nobody_else_until_the_person_says_so() {
    let (mut world, _) = conversation(3, 3);
    let laptop = world.link(0, true).unwrap();
    world.settle().unwrap();
    let (bob, mallory) = (account(&world, 1), account(&world, 2));
    let (of_bob, of_mallory) = (address(&mut world, 1), address(&mut world, 2));
    mislead(&mut world, &of_bob, of_mallory.clone());
    for device in [0, laptop] {
        world.expect(device, Command::GoOffline).unwrap();
        world.expect(device, Command::GoOnline).unwrap();
        world.settle().unwrap();
        let title = format!("{}just us", property_tests::MARK);
        let create = Command::CreateConversation { title, members: vec![of_bob.clone()] };
        let refused = world.ask(device, create).unwrap().unwrap_err();
        assert_eq!(refused, Failure::Moved { was: bob, now: mallory }, "on {device}");
        assert_eq!(refused.kind(), "address_moved");
        let lookup = world.ask(device, Command::LookupContact { address: of_bob.clone() }).unwrap();
        assert!(lookup.is_err(), "on {device}");
    }
    // Only what the directory says now can be accepted.
    let address = of_bob.clone();
    let other = Command::AcceptAddress { address: address.clone(), account: bob };
    assert!(world.ask(0, other).unwrap().is_err());
    let accept = Command::AcceptAddress { address, account: mallory };
    world.expect(0, accept).unwrap();
    world.settle().unwrap();
    // From here on it leads there, on all devices.
    let title = format!("{}accepted", property_tests::MARK);
    let create = Command::CreateConversation { title, members: vec![of_bob] };
    let Response::Conversation(space) = world.expect(laptop, create).unwrap() else {
        panic!("no conversation")
    };
    world.settle().unwrap();
    let inside = members(&mut world, laptop, space);
    assert!(inside.contains(&mallory) && !inside.contains(&bob));
}

#[test]
fn a_number_that_was_compared_is_remembered_on_all_devices_until_a_device_changes() {
    let (mut world, _) = conversation(4, 2);
    let laptop = world.link(0, true).unwrap();
    world.settle().unwrap();
    let (ada, bob) = (account(&world, 0), account(&world, 1));
    let (hers, his) = (card(&mut world, 0, bob), card(&mut world, 1, ada));
    assert_eq!(hers.safety_number, his.safety_number);
    assert_eq!(hers.compared, Compared::Never);
    assert_eq!(compare(&mut world, 0, bob, his.shown), Comparison::Same);
    world.settle().unwrap();
    assert_eq!(card(&mut world, laptop, bob).compared, Compared::Same, "on the laptop, too");
    let tablet = world.link(1, true).unwrap();
    world.settle().unwrap();
    for device in [0, laptop] {
        assert_eq!(card(&mut world, device, bob).compared, Compared::Changed);
    }
    assert!(tablet > laptop);
    // A number that was read out before the change is not taken any more.
    let old = Some(hers.safety_number);
    let stale = Command::VerifyContact { account: bob, safety_number: old };
    assert!(world.ask(0, stale).unwrap().is_err());
    let now = Some(card(&mut world, laptop, bob).safety_number);
    world.expect(laptop, Command::VerifyContact { account: bob, safety_number: now }).unwrap();
    world.settle().unwrap();
    assert_eq!(card(&mut world, 0, bob).compared, Compared::Same);
    world.expect(0, Command::VerifyContact { account: bob, safety_number: None }).unwrap();
    assert_eq!(card(&mut world, 0, bob).compared, Compared::Never);
}

#[test]
fn a_puppet_that_shows_its_own_number_is_found_out() {
    let (mut world, _) = conversation(5, 3);
    let (ada, bob) = (account(&world, 0), account(&world, 1));
    let puppets = card(&mut world, 2, ada).shown;
    assert_eq!(compare(&mut world, 0, bob, puppets), Comparison::Differs);
    assert_eq!(card(&mut world, 0, bob).compared, Compared::Never, "nothing is remembered");
    let nonsense = Command::CompareContact { account: bob, shown: "REJOINDER:X".into() };
    assert_eq!(world.ask(0, nonsense).unwrap().unwrap_err().kind(), "invalid");
}

#[test]
fn another_relay_is_told_nothing_until_the_person_accepts_it() {
    let mut world = World::with(6, Plan::calm(1));
    world.sign_up().unwrap();
    let other = RelayId::from_bytes([42; 32]);
    let said = shared(0);
    let heard = said.clone();
    world.set_meddler(Some(Box::new(move |_, frame| match frame {
        RelayFrame::Challenge(challenge) => {
            vec![RelayFrame::Challenge(Challenge { relay: other, ..challenge })]
        }
        frame => vec![frame],
    })));
    world.set_bender(Some(Box::new(move |_, frame| {
        *heard.borrow_mut() += 1;
        vec![frame]
    })));
    world.expect(0, Command::GoOffline).unwrap();
    world.expect(0, Command::GoOnline).unwrap();
    world.pass(5_000).unwrap();
    let status = world.status(0).unwrap();
    let Some(Problem::OtherRelay { now, was }) = status.problem else { panic!("{status:?}") };
    assert!(now == other && was != other && !status.connected);
    assert_eq!(*said.borrow(), 0, "not even who this is");
    // The one from before is as welcome as ever.
    honest_again(&mut world);
    assert!(world.status(0).unwrap().connected);
    let space = Space::Account;
    world.digest(0, space).unwrap();
}

#[test]
fn a_relay_that_was_accepted_is_met() {
    let mut world = World::with(6, Plan::calm(1));
    world.sign_up().unwrap();
    let other = RelayId::from_bytes([42; 32]);
    world.set_meddler(Some(Box::new(move |_, frame| match frame {
        RelayFrame::Challenge(challenge) => {
            vec![RelayFrame::Challenge(Challenge { relay: other, ..challenge })]
        }
        frame => vec![frame],
    })));
    let heard = shared(0);
    let hellos = heard.clone();
    world.set_bender(Some(Box::new(move |_, frame| {
        *hellos.borrow_mut() += usize::from(matches!(frame, ClientFrame::Hello(_)));
        vec![frame]
    })));
    world.expect(0, Command::GoOffline).unwrap();
    world.expect(0, Command::GoOnline).unwrap();
    world.pass(5_000).unwrap();
    world.expect(0, Command::AcceptRelay { relay: other }).unwrap();
    world.pass(5_000).unwrap();
    // The challenge was bent, so its answer is refused; but it is spoken to.
    assert!(*heard.borrow() > 0);
}
