//! Many at once: whatever fits a group can be asked for in one call, and what does not fit is told
//! once and holds up nothing.

use sync_core::api::{Command, ConversationChange, ConversationView, Event, Member, Response};
use sync_protocol::frames::RelayFrame;
use sync_protocol::{Rejection, SpaceId, limits};
use sync_server::relay::Settings;

use crate::support::Town;
use crate::support::linking::link;

fn view(town: &mut Town, n: usize, id: SpaceId) -> Option<ConversationView> {
    let Response::Conversations(all) = town.run(n, Command::ListConversations) else { panic!() };
    all.into_iter().find(|view| view.conversation == id)
}

fn members(town: &mut Town, n: usize, id: SpaceId) -> usize {
    view(town, n, id).map_or(0, |view| view.members.len())
}

/// Who could not be added, and why, as the app was told.
fn not_added(town: &Town, n: usize) -> Vec<(String, Rejection)> {
    let told = town.devices[n].events.iter().filter_map(|event| match event {
        Event::Conversation {
            change: ConversationChange::NotAdded { address, reason }, ..
        } => Some((address.clone(), reason.clone())),
        _ => None,
    });
    told.collect()
}

fn add(conversation: SpaceId, address: &str) -> Command {
    Command::AddMember { conversation, address: address.parse().unwrap(), share_history: true }
}

/// Everybody has the group with so many members.
fn all_have(town: &mut Town, id: SpaceId, devices: std::ops::Range<usize>, people: usize) {
    for n in devices {
        assert_eq!(members(town, n, id), people, "as device {n} sees it");
    }
}

/// And reads what one of them says.
fn all_are_in(town: &mut Town, id: SpaceId, devices: std::ops::Range<usize>, people: usize) {
    all_have(town, id, devices.clone(), people);
    town.say(devices.start, id, "hello all");
    town.settle();
    for n in devices {
        assert_eq!(town.texts(n, id).last().map(String::as_str), Some("hello all"), "device {n}");
    }
}

/// The relay took all that was sent in one piece.
fn nothing_was_too_large(town: &Town) {
    for (n, device) in town.devices.iter().enumerate() {
        assert!(device.session.is_some(), "device {n} was turned away");
        assert!(device.largest <= limits::MESSAGE, "device {n} sent {}", device.largest);
        for message in &device.heard {
            let refused = matches!(
                RelayFrame::parse(message),
                Ok(RelayFrame::Refused { reason: Rejection::TooLarge { .. }, .. }
                    | RelayFrame::Goodbye { .. })
            );
            assert!(!refused, "device {n} was refused");
        }
    }
}

#[test]
fn thirty_four_people_come_by_one_call() {
    let mut town = Town::new(35);
    let names = town.sign_up_all(0..35);
    let others: Vec<&str> = names[1..].iter().map(String::as_str).collect();
    let id = town.found(0, "Tea", &others);
    town.settle();
    all_are_in(&mut town, id, 0..35, 35);
    nothing_was_too_large(&town);
    assert_eq!(not_added(&town, 0), []);
}

#[test]
fn eighty_people_with_three_devices_each_come_by_one_call() {
    let mut town = Town::new(80);
    let names = town.sign_up_all(0..80);
    for person in 0..80 {
        for _ in 0..2 {
            link(&mut town, person, true);
        }
    }
    for device in &mut town.devices {
        device.heard.clear();
    }
    let others: Vec<&str> = names[1..].iter().map(String::as_str).collect();
    let id = town.found(0, "Tea", &others);
    town.settle();
    println!("the largest message: {} bytes", town.devices[0].largest);
    all_have(&mut town, id, 0..240, 80);
    nothing_was_too_large(&town);
    assert_eq!(not_added(&town, 0), []);
}

#[test]
fn sixty_more_come_in_a_burst() {
    let mut town = Town::new(91);
    let names = town.sign_up_all(0..91);
    let others: Vec<&str> = names[1..31].iter().map(String::as_str).collect();
    let id = town.found(0, "Tea", &others);
    town.settle();
    for name in &names[31..] {
        town.tell(0, add(id, name));
    }
    town.settle();
    all_are_in(&mut town, id, 0..91, 91);
    nothing_was_too_large(&town);
    assert_eq!(not_added(&town, 0), []);
}

#[test]
fn what_does_not_fit_into_a_group_is_told_once_and_the_others_come() {
    let people = limits::LEAVES + 5;
    let mut town = Town::new(people);
    let names = town.sign_up_all(0..people);
    // The last one has two devices, where the group has room for one.
    let fits: Vec<&str> = names[1..limits::LEAVES - 1].iter().map(String::as_str).collect();
    let id = town.found(0, "Tea", &fits);
    town.settle();
    assert_eq!(members(&mut town, 0, id), limits::LEAVES - 1);
    link(&mut town, people - 1, true);
    town.tell(0, add(id, &names[people - 1]));
    for name in &names[limits::LEAVES - 1..people - 1] {
        town.tell(0, add(id, name));
    }
    town.settle();
    let told = not_added(&town, 0);
    let expected: Vec<_> = std::iter::once(&names[people - 1])
        .chain(&names[limits::LEAVES..people - 1])
        .map(|name| (name.clone(), Rejection::Quota))
        .collect();
    assert_eq!(told, expected);
    let seen = view(&mut town, 0, id).unwrap();
    assert_eq!((seen.members.len(), seen.adding, seen.waiting), (limits::LEAVES, Vec::new(), 0));
    all_have(&mut town, id, 0..limits::LEAVES, limits::LEAVES);
    nothing_was_too_large(&town);
}

#[test]
fn one_who_can_not_be_added_holds_up_nobody() {
    let mut town = Town::new(20);
    let names = town.sign_up_all(0..19);
    let id = town.found(0, "Tea", &[names[1].as_str()]);
    town.settle();
    town.run(0, Command::GoOffline);
    town.tell(0, add(id, "nobody"));
    for name in &names[2..] {
        town.tell(0, add(id, name));
    }
    town.tell(0, add(id, "nobody-either"));
    town.run(0, Command::GoOnline);
    town.settle();
    let told = not_added(&town, 0);
    let nobody = |name: &str| (name.to_owned(), Rejection::NotFound);
    assert_eq!(told, [nobody("nobody"), nobody("nobody-either")]);
    all_are_in(&mut town, id, 0..19, 19);
}

#[test]
fn logs_for_which_there_is_no_room_are_read_at_the_relay() {
    let people = 24;
    let mut town = Town::new(people);
    let names = town.sign_up_all(0..people);
    // Long logs: all together are more than one handshake takes, and than goes along with it.
    for _ in 0..60 {
        for n in 1..people {
            town.tell(n, Command::NewRecoveryCode);
        }
        town.settle();
    }
    let (away, late) = (people - 1, people - 2);
    town.run(away, Command::GoOffline);
    let others: Vec<&str> = names[1..].iter().map(String::as_str).collect();
    let id = town.found(0, "Tea", &others);
    town.settle();
    assert!(town.devices[0].largest > limits::MESSAGE / 4);
    // One that comes later has its session cut while it asks.
    town.devices[away].log_requests = 0;
    town.tell(away, Command::GoOnline);
    while !town.devices[away].asked_for_logs() {
        assert!(town.exchange(), "nothing is asked");
    }
    town.restart(away);
    town.settle();
    all_are_in(&mut town, id, 0..people, people);
    // And a device that comes by ticket.
    let (tablet, _) = link(&mut town, late, false);
    assert_eq!(members(&mut town, tablet, id), people);
    town.say(0, id, "to all devices");
    town.settle();
    assert_eq!(town.texts(tablet, id), ["to all devices"]);
    nothing_was_too_large(&town);
    assert_eq!(not_added(&town, 0), []);
}

#[test]
fn who_may_add_no_more_adds_as_many_as_it_may_and_is_told_of_the_others_once() {
    let settings = Settings { invitations_per_hour: 6, ..Settings::default() };
    let mut town = Town::under(settings, 11);
    let names = town.sign_up_all(0..11);
    let id = town.found(0, "Tea", &[names[1].as_str()]);
    town.settle();
    for name in &names[2..] {
        town.tell(0, add(id, name));
    }
    town.pass(60_000);
    let told = not_added(&town, 0);
    assert_eq!(told.len(), 4);
    assert!(told.iter().all(|(_, reason)| matches!(reason, Rejection::Rate { .. })), "{told:?}");
    town.say(0, id, "meanwhile");
    town.pass(60_000);
    assert_eq!(town.texts(1, id), ["meanwhile"]);
    assert_eq!(members(&mut town, 0, id), 7);
    town.settle();
    let seen = view(&mut town, 0, id).unwrap();
    assert_eq!((seen.adding, seen.waiting, not_added(&town, 0).len()), (Vec::new(), 0, 4));
}

#[test]
fn who_is_in_as_many_spaces_as_it_may_be_holds_up_nobody() {
    let settings = Settings { spaces_per_account: 2, ..Settings::default() };
    let mut town = Town::under(settings, 8);
    let names = town.sign_up_all(0..8);
    // Two of them are in a conversation each already; the one who was invited has answered.
    let coffee = town.found(3, "Coffee", &[names[4].as_str()]);
    town.settle();
    town.run(4, Command::AcceptConversation { conversation: coffee });
    town.say(4, coffee, "yes");
    town.settle();
    let others: Vec<&str> = names[1..].iter().map(String::as_str).collect();
    let id = town.found(0, "Tea", &others);
    town.settle();
    let full = |n: usize| (names[n].clone(), Rejection::Quota);
    assert_eq!(not_added(&town, 0), [full(3), full(4)]);
    for n in [0, 1, 2, 5, 6, 7] {
        assert_eq!(members(&mut town, n, id), 6);
    }
}

#[test]
fn whoever_leaves_does_not_wait_for_those_it_was_adding() {
    let mut town = Town::new(3);
    let names = town.sign_up_all(0..3);
    let id = town.found(0, "Tea", &[names[1].as_str()]);
    town.settle();
    town.run(0, Command::GoOffline);
    town.tell(0, add(id, "nobody"));
    town.tell(0, add(id, &names[2]));
    town.tell(0, Command::Leave { conversation: id });
    town.run(0, Command::GoOnline);
    town.settle();
    assert!(view(&mut town, 0, id).is_none_or(|view| !view.active));
    assert_eq!(members(&mut town, 1, id), 2);
    assert_eq!(members(&mut town, 2, id), 2);
    let member = Member::Address(names[0].parse().unwrap());
    assert!(town.try_run(1, Command::RemoveMember { conversation: id, member }).is_err());
}
