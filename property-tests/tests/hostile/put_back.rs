//! A profile put back to an earlier moment: to before changes of its own that the log has and it
//! does not. It notices by the log, comes back in, and loses nothing that was stored.

use property_tests::book::Person;
use property_tests::{Plan, World};
use sync_core::Command;
use sync_core::api::{Member, Response};
use sync_protocol::SpaceId;
use sync_protocol::roster::Role;

use crate::support::{agree, conversation_of_devices as conversation};

/// Puts a device back to what its disk held before `change`, which it made and which came to rest.
fn put_back_after(world: &mut World, device: usize, change: impl FnOnce(&mut World)) {
    let before = world.device(device).disk.copy();
    change(world);
    world.settle().unwrap();
    world.crash_device(device, 1_000);
    world.device_mut(device).disk = before;
    world.pass(5_000).unwrap();
}

/// Everybody writes and hears everybody.
fn all_goes_on(world: &mut World, space: SpaceId, devices: &[usize]) {
    world.settle().unwrap();
    for device in devices {
        world.say(*device, space).unwrap();
        world.settle().unwrap();
    }
    agree(world, devices, space);
    let written = world.book().written.keys().filter(|(of, _)| *of == space).count();
    let shown = world.messages(devices[0], space).unwrap().len();
    assert_eq!(shown, written, "nothing is lost and nothing doubled");
}

#[test]
fn a_profile_put_back_to_before_it_added_somebody_comes_back() {
    let (mut world, space) = conversation(1, 3);
    let address = world.book().people[2].address.clone();
    let member = Member::Address(address.clone());
    world.expect(0, Command::RemoveMember { conversation: space, member }).unwrap();
    world.settle().unwrap();
    put_back_after(&mut world, 0, |world| {
        world.say(0, space).unwrap();
        let share_history = true;
        world
            .expect(0, Command::AddMember { conversation: space, address, share_history })
            .unwrap();
        world.settle().unwrap();
        world.say(0, space).unwrap();
        world.say(2, space).unwrap();
    });
    all_goes_on(&mut world, space, &[0, 1, 2]);
    world.check().unwrap();
}

#[test]
fn a_profile_put_back_to_before_it_removed_somebody_writes_nothing_that_they_read() {
    let (mut world, space) = conversation(2, 3);
    let member = Member::Address(world.book().people[2].address.clone());
    put_back_after(&mut world, 0, |world| {
        world.expect(0, Command::RemoveMember { conversation: space, member }).unwrap();
        world.settle().unwrap();
        world.say(1, space).unwrap();
    });
    all_goes_on(&mut world, space, &[0, 1]);
    world.check().unwrap();
}

#[test]
fn a_profile_put_back_to_before_a_title_and_a_role_of_its_own_knows_them_again() {
    let (mut world, space) = conversation(3, 3);
    let member = Member::Address(world.book().people[1].address.clone());
    let title = world.text("title");
    put_back_after(&mut world, 0, |world| {
        let role = Role::Admin;
        world.expect(0, Command::SetRole { conversation: space, member, role }).unwrap();
        world.expect(0, Command::SetTitle { conversation: space, title: title.clone() }).unwrap();
    });
    all_goes_on(&mut world, space, &[0, 1, 2]);
    let views = world.expect(0, Command::ListConversations).unwrap();
    let Response::Conversations(views) = views else { panic!("{views:?}") };
    assert!(views.iter().any(|view| view.title == title));
    world.check().unwrap();
}

#[test]
fn a_profile_put_back_to_before_it_linked_a_device_knows_it_again() {
    for history in [true, false] {
        let (mut world, space) = conversation(4, 2);
        let mut linked = 0;
        put_back_after(&mut world, 0, |world| {
            linked = world.link(0, history).unwrap();
            world.settle().unwrap();
            world.say(linked, space).unwrap();
        });
        world.settle().unwrap();
        let answer = world.expect(0, Command::ListDevices).unwrap();
        let Response::Devices(devices) = answer else { panic!("{answer:?}") };
        assert_eq!(devices.len(), 2);
        all_goes_on(&mut world, space, &[0, 1]);
        world.check().unwrap();
    }
}

#[test]
fn a_profile_put_back_to_before_it_ended_a_device_opens_and_seals_by_the_new_key() {
    let (mut world, space) = conversation(5, 2);
    let companion = world.link(0, true).unwrap();
    world.settle().unwrap();
    put_back_after(&mut world, 0, |world| {
        let device = world.device(companion).id.unwrap();
        world.expect(0, Command::RevokeDevice { device }).unwrap();
    });
    all_goes_on(&mut world, space, &[0, 1]);
    // Whoever is linked from here on is let in everywhere by what the profile has again.
    let other = world.link(0, true).unwrap();
    all_goes_on(&mut world, space, &[0, 1, other]);
}

#[test]
fn a_profile_put_back_to_before_a_conversation_of_its_own_finds_it_again() {
    let (mut world, _) = conversation(6, 2);
    let mut founded = None;
    put_back_after(&mut world, 0, |world| {
        let space = world.converse(0, &[1]).unwrap();
        world.say(0, space).unwrap();
        world.settle().unwrap();
        world.say(1, space).unwrap();
        founded = Some(space);
    });
    world.settle().unwrap();
    all_goes_on(&mut world, founded.unwrap(), &[0, 1]);
    world.check().unwrap();
}

#[test]
fn a_profile_put_back_to_before_a_new_recovery_code_can_be_brought_back_by_it() {
    let (mut world, space) = conversation(7, 2);
    put_back_after(&mut world, 0, |world| {
        world.expect(0, Command::NewRecoveryCode).unwrap();
    });
    all_goes_on(&mut world, space, &[0, 1]);
    world.check().unwrap();
}

#[test]
fn what_waited_in_a_profile_and_was_stored_since_is_not_written_twice() {
    let (mut world, space) = conversation(9, 2);
    world.expect(0, Command::GoOffline).unwrap();
    // More than are cut at once.
    for _ in 0..7 {
        world.say(0, space).unwrap();
    }
    put_back_after(&mut world, 0, |world| {
        world.expect(0, Command::GoOnline).unwrap();
    });
    world.expect(0, Command::GoOnline).unwrap();
    all_goes_on(&mut world, space, &[0, 1]);
    world.check().unwrap();
}

#[test]
fn what_waits_in_a_profile_that_was_put_back_is_written_as_somebody_new() {
    let (mut world, space) = conversation(11, 2);
    let before = world.device(0).disk.copy();
    world.expect(0, Command::GoOffline).unwrap();
    world.say(0, space).unwrap();
    world.pass(1_000).unwrap();
    let waiting = world.device(0).disk.copy();
    world.put_back(0, before, 1_000);
    world.pass(2_000).unwrap();
    world.say(0, space).unwrap();
    world.settle().unwrap();
    // What waits in it has the number of what the log has by now.
    world.put_back(0, waiting, 1_000);
    world.pass(2_000).unwrap();
    world.expect(0, Command::GoOnline).unwrap();
    all_goes_on(&mut world, space, &[0, 1]);
    world.check().unwrap();
}

#[test]
fn a_profile_that_lost_what_an_invitation_opens_with_comes_in_and_says_what_it_can_not_read() {
    let mut world = World::with(12, Plan::calm(2).with_devices());
    world.pass(100).unwrap();
    world.isolate(1, 5_000);
    for person in [0, 1] {
        let Person { address, name, .. } = world.book().people[person].clone();
        world.expect(person, Command::CreateAccount { address, name }).unwrap();
    }
    // It makes its key packages when it meets the relay.
    let before = world.device(1).disk.copy();
    world.pass(10_000).unwrap();
    world.settle().unwrap();
    world.put_back(1, before, 60_000);
    let space = world.converse(0, &[1]).unwrap();
    world.pass(1_000).unwrap();
    world.say(0, space).unwrap();
    world.pass(120_000).unwrap();
    world.settle().unwrap();
    assert_eq!(world.status(1).unwrap().unreadable, 1);
    for device in [0, 1] {
        world.say(device, space).unwrap();
    }
    world.settle().unwrap();
    assert_eq!(world.messages(1, space).unwrap().len(), 2, "and all that is written from then on");
    world.check().unwrap();
}

#[test]
fn what_a_profile_founds_before_it_notices_that_it_was_put_back_comes_to_be() {
    let (mut world, space) = conversation(10, 2);
    let before = world.device(0).disk.copy();
    world.say(0, space).unwrap();
    world.settle().unwrap();
    world.crash_device(0, 1_000);
    world.device_mut(0).disk = before;
    world.pass(1_000).unwrap();
    let members = vec![world.book().people[1].address.clone()];
    let title = world.text("title");
    world.expect(0, Command::CreateConversation { title: title.clone(), members }).unwrap();
    all_goes_on(&mut world, space, &[0, 1]);
    for device in [0, 1] {
        let views = world.expect(device, Command::ListConversations).unwrap();
        let Response::Conversations(views) = views else { panic!("{views:?}") };
        assert!(views.iter().any(|view| view.title == title), "of device {device}");
    }
    world.check().unwrap();
}

#[test]
fn two_running_copies_that_both_change_members_come_to_rest_once_one_is_gone() {
    let (mut world, space) = conversation(8, 3);
    let twin = world.twin(0);
    world.pass(3_000).unwrap();
    for round in 0..4 {
        for device in [0, twin] {
            let title = format!("{}{round} by {device}", property_tests::MARK);
            let _ = world.ask(device, Command::SetTitle { conversation: space, title }).unwrap();
            let _ = world.say(device, space);
            world.pass(4_000).unwrap();
        }
    }
    world.retire(twin);
    world.settle().unwrap();
    world.say(0, space).unwrap();
    world.settle().unwrap();
    agree(&mut world, &[0, 1, 2], space);
}

/// Each puts the other out by coming back in: nothing else stops them.
#[test]
fn two_running_copies_that_put_each_other_out_wait_longer_each_time() {
    let (mut world, space) = conversation(9, 2);
    let twin = world.twin(0);
    world.pass(3_000).unwrap();
    for device in [0, twin, 0, twin] {
        let title = format!("{}by {device}", property_tests::MARK);
        let _ = world.ask(device, Command::SetTitle { conversation: space, title }).unwrap();
        world.pass(4_000).unwrap();
    }
    world.pass(60_000).unwrap();
    let before = world.report().acknowledged;
    world.pass(5 * 60_000).unwrap();
    let entries = world.report().acknowledged - before;
    assert!(entries < 40, "{entries} entries in five minutes");
    world.retire(twin);
    world.settle().unwrap();
    agree(&mut world, &[0, 1], space);
}
