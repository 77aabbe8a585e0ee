//! One profile used twice: whatever is copied, no number of a writer gets two meanings. The world's
//! monitor watches for that in all these tests.

use property_tests::{Plan, World};
use sync_core::Command;
use sync_protocol::SpaceId;

use crate::support::{agree, conversation, shown};

/// Whatever was written is shown once, by its text: a copy that has to take another number gives
/// what nobody had seen yet another name.
fn all_is_there_once(world: &mut World, device: usize, space: SpaceId) {
    let shown = shown(world, device, space);
    let written = world.book().written.iter().filter(|((of, _), _)| *of == space);
    let texts: Vec<_> = written.map(|(_, written)| written.text.clone()).collect();
    for text in texts {
        let times = shown.iter().filter(|face| text.allows(&face.text)).count();
        assert_eq!(times, 1, "{text:?} on {device}");
    }
}

/// The twins say something each, at once, again and again.
fn both_talk(world: &mut World, space: SpaceId, twins: [usize; 2], rounds: usize) {
    for _ in 0..rounds {
        for device in twins {
            world.say(device, space).unwrap();
        }
        world.pass(700).unwrap();
    }
}

#[test]
fn two_running_copies_of_one_profile_never_give_a_number_two_meanings() {
    let (mut world, space) = conversation(1, 2);
    let twin = world.twin(1);
    world.pass(3_000).unwrap();
    both_talk(&mut world, space, [1, twin], 12);
    world.settle().unwrap();
    agree(&mut world, &[0, 1, twin], space);
    for device in [0, 1, twin] {
        all_is_there_once(&mut world, device, space);
    }
}

#[test]
fn copies_that_both_wrote_while_offline_come_together_under_numbers_of_their_own() {
    let (mut world, space) = conversation(2, 2);
    world.expect(1, Command::GoOffline).unwrap();
    world.say(1, space).unwrap();
    world.pass(1_000).unwrap();
    let twin = world.twin(1);
    world.pass(2_000).unwrap();
    world.isolate(twin, 1);
    world.expect(twin, Command::GoOffline).unwrap();
    both_talk(&mut world, space, [1, twin], 5);
    world.expect(twin, Command::GoOnline).unwrap();
    world.pass(5_000).unwrap();
    world.expect(1, Command::GoOnline).unwrap();
    world.settle().unwrap();
    agree(&mut world, &[0, 1, twin], space);
    for device in [0, 1, twin] {
        all_is_there_once(&mut world, device, space);
    }
}

#[test]
fn an_old_copy_started_next_to_the_profile_that_went_on_is_refused_its_old_numbers() {
    for online in [true, false] {
        let (mut world, space) = conversation(3, 2);
        let copy = world.device(1).disk.copy();
        both_talk(&mut world, space, [1, 0], 6);
        world.settle().unwrap();
        if !online {
            world.expect(1, Command::GoOffline).unwrap();
        }
        let twin = world.twin(1);
        world.device_mut(twin).disk = copy;
        world.pass(3_000).unwrap();
        both_talk(&mut world, space, [twin, 0], 6);
        world.expect(1, Command::GoOnline).unwrap();
        both_talk(&mut world, space, [1, twin], 4);
        world.settle().unwrap();
        agree(&mut world, &[0, 1, twin], space);
        all_is_there_once(&mut world, 0, space);
    }
}

#[test]
fn a_disk_that_fills_up_loses_nothing_and_confirms_nothing_it_has_not() {
    let mut world = World::with(4, Plan::calm(2));
    world.sign_up().unwrap();
    let space = world.converse(0, &[1]).unwrap();
    world.settle().unwrap();
    for round in 0..3 {
        world.device_mut(0).disk.set_full(true);
        let text = format!("{}no room {round}", property_tests::MARK);
        let command = Command::SendMessage { conversation: space, text, reply_to: None };
        let answer = world.ask(0, command).unwrap();
        assert!(answer.is_err(), "confirmed without room: {answer:?}");
        world.device_mut(0).disk.set_full(false);
        world.pass(5_000).unwrap();
        world.say(0, space).unwrap();
        world.settle().unwrap();
        agree(&mut world, &[0, 1], space);
    }
    world.check().unwrap();
}
