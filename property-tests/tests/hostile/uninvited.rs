//! Who puts somebody into a conversation and sends no invitation: the device comes in by ticket, and
//! nothing is said there before the person accepts.

use property_tests::{Plan, World};
use sync_core::Command;
use sync_core::api::{Member, Progress, Response};
use sync_protocol::SpaceId;
use sync_protocol::frames::ClientFrame;

use crate::support::digest;

/// Two who know nothing of each other; the second puts the first into a conversation, by a program that
/// sends no invitations.
fn strangers(seed: u64, blocked: bool) -> (World, SpaceId) {
    let mut world = World::with(seed, Plan::calm(2).with_devices());
    world.sign_up().unwrap();
    if blocked {
        let member = Member::Address(world.book().people[1].address.clone());
        world.expect(0, Command::SetBlocked { member, blocked }).unwrap();
    }
    world.settle().unwrap();
    world.set_bender(Some(Box::new(|device, mut frame| {
        if let ClientFrame::Push(push) = &mut frame
            && device == 1
        {
            push.welcomes = None;
        }
        vec![frame]
    })));
    let space = world.converse(1, &[0]).unwrap();
    world.say(1, space).unwrap();
    world.pass(300_000).unwrap();
    (world, space)
}

fn listed(world: &mut World, device: usize, space: SpaceId) -> Option<bool> {
    let Response::Conversations(all) = world.expect(device, Command::ListConversations).unwrap()
    else {
        panic!("no list")
    };
    all.into_iter().find(|view| view.conversation == space).map(|view| view.pending)
}

#[test]
fn a_stranger_that_sends_no_invitation_learns_nothing_before_the_person_accepts() {
    let (mut world, space) = strangers(1_020, false);
    let probe = world.say(1, space).unwrap();
    world.pass(60_000).unwrap();
    let shows = |all: Vec<sync_core::api::MessageView>| all.iter().any(|one| one.message == probe);
    assert!(world.messages(0, space).is_ok_and(shows), "the ticket leads in");
    assert_eq!(world.progress(1, space, probe).unwrap(), Progress::Stored);
    assert_eq!(digest(&mut world, 1, space).frontier.len(), 1, "nobody else writes there");
    assert_eq!(listed(&mut world, 0, space), Some(true), "the person is asked");
    world.expect(0, Command::AcceptConversation { conversation: space }).unwrap();
    world.pass(60_000).unwrap();
    assert!(world.progress(1, space, probe).unwrap() >= Progress::Delivered);
}

#[test]
fn who_is_blocked_shows_nothing_by_sending_no_invitation() {
    let (mut world, space) = strangers(1_021, true);
    world.say(1, space).unwrap();
    world.pass(60_000).unwrap();
    assert_eq!(listed(&mut world, 0, space), None);
    assert_eq!(digest(&mut world, 1, space).frontier.len(), 1, "nobody else writes there");
}
