//! A relay that shows somebody the end of a log as if nothing came behind it. By that log alone it
//! can't be found out: whoever knows better says so elsewhere.

use property_tests::World;
use sync_core::Command;
use sync_core::api::{ConversationView, Response, Vouched};
use sync_protocol::SpaceId;

use crate::support::{
    agree, conversation, conversation_of_devices, evidence, honest_again, lie_to, says,
};

const WITHHELD: &str = "keeps back entries that somebody else was shown";

/// The relay gives a device nothing more of a space.
fn freeze(world: &mut World, victim: usize, space: SpaceId) {
    lie_to(world, victim, space, |_| Vec::new());
}

fn view(world: &mut World, device: usize, space: SpaceId) -> ConversationView {
    match world.expect(device, Command::ListConversations).unwrap() {
        Response::Conversations(views) => {
            views.into_iter().find(|view| view.conversation == space).unwrap()
        }
        other => panic!("{other:?}"),
    }
}

fn own_space(world: &mut World, device: usize) -> SpaceId {
    world.status(device).unwrap().account.unwrap().space()
}

fn set(world: &mut World, device: usize, key: &str) {
    let (key, value) = (key.to_owned(), true.into());
    world.expect(device, Command::SetSetting { key, value }).unwrap();
}

#[test]
fn of_two_people_who_is_shown_no_more_is_told_by_the_first_word_elsewhere() {
    let (mut world, space) = conversation(41, 2);
    let other = world.converse(0, &[1]).unwrap();
    world.settle().unwrap();
    freeze(&mut world, 1, space);
    world.say(0, space).unwrap();
    world.settle().unwrap();
    assert!(world.status(1).unwrap().up_to_date, "nobody who knows better has said anything");
    world.say(0, other).unwrap();
    world.pass(10_000).unwrap();
    let told = evidence(&mut world, 1, space);
    assert!(says(&told, WITHHELD), "{told:?}");
    assert!(!world.status(1).unwrap().up_to_date);
    assert!(view(&mut world, 1, space).withheld && !view(&mut world, 1, other).withheld);
    assert!(world.device(0).evidence.is_empty());
    honest_again(&mut world);
    world.settle().unwrap();
    assert!(world.status(1).unwrap().up_to_date && !view(&mut world, 1, space).withheld);
    agree(&mut world, &[0, 1], space);
}

#[test]
fn a_device_that_is_shown_less_than_its_sibling_is_told_in_the_account_s_own_space() {
    let (mut world, space) = conversation_of_devices(42, 2);
    let tablet = world.link(0, true).unwrap();
    world.settle().unwrap();
    freeze(&mut world, tablet, space);
    world.say(1, space).unwrap();
    world.settle().unwrap();
    set(&mut world, 0, "seen.on.the.phone");
    world.pass(10_000).unwrap();
    let told = evidence(&mut world, tablet, space);
    assert!(says(&told, WITHHELD), "{told:?}");
    honest_again(&mut world);
    world.settle().unwrap();
    agree(&mut world, &[0, 1, tablet], space);
}

#[test]
fn a_device_whose_account_s_own_space_stands_still_is_told_in_a_conversation() {
    let (mut world, space) = conversation_of_devices(43, 2);
    let tablet = world.link(0, true).unwrap();
    world.settle().unwrap();
    let own = own_space(&mut world, 0);
    freeze(&mut world, tablet, own);
    set(&mut world, 0, "kept.from.the.tablet");
    world.settle().unwrap();
    world.say(0, space).unwrap();
    world.pass(10_000).unwrap();
    let told = evidence(&mut world, tablet, own);
    assert!(says(&told, WITHHELD), "{told:?}");
    assert!(world.device(1).evidence.is_empty(), "nobody else can tell that space from noise");
    assert!(!world.status(tablet).unwrap().up_to_date);
}

#[test]
fn where_nobody_else_speaks_the_last_word_of_another_is_as_old_as_it_is() {
    let (mut world, space) = conversation(44, 2);
    let before = view(&mut world, 1, space).vouched;
    let Some(Vouched { account, at_ms, .. }) = before else { panic!("{before:?}") };
    assert_eq!(Some(account), world.status(0).unwrap().account);
    freeze(&mut world, 1, space);
    for _ in 0..4 {
        world.say(0, space).unwrap();
        world.pass(12 * 3_600_000).unwrap();
    }
    world.crash_device(1, 1_000);
    world.settle().unwrap();
    assert_eq!(view(&mut world, 1, space).vouched, before, "the relay's word alone is not that");
    honest_again(&mut world);
    world.say(0, space).unwrap();
    world.settle().unwrap();
    let after = view(&mut world, 1, space).vouched.unwrap();
    assert!(after.at_ms >= at_ms + 36 * 3_600_000, "{after:?}");
}

#[test]
fn another_history_than_others_read_is_found_out_by_a_word_elsewhere() {
    let (mut world, space) = conversation(45, 3);
    let other = world.converse(0, &[1]).unwrap();
    world.settle().unwrap();
    // One of the two that are written is replaced by the other, and the end is left out.
    let hidden = crate::support::cheat::stand(&world, 1, space).next;
    lie_to(&mut world, 1, space, move |entries| {
        let each = crate::support::one_by_one(&entries).into_iter();
        each.filter(|one| one.first != hidden)
            .map(|mut one| {
                one.first -= u64::from(one.first > hidden);
                one
            })
            .collect()
    });
    world.say(0, space).unwrap();
    world.say(2, space).unwrap();
    world.pass(5_000).unwrap();
    evidence(&mut world, 1, space);
    world.say(0, other).unwrap();
    world.pass(20_000).unwrap();
    let told = evidence(&mut world, 1, space);
    assert!(says(&told, WITHHELD) || says(&told, "different histories"), "{told:?}");
}
