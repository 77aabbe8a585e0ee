//! Numbers that no honest relay comes to: it stops nobody by them for longer than by saying nothing.

use property_tests::World;
use sync_core::Command;
use sync_protocol::codec::Blob;
use sync_protocol::frames::{Delivery, RelayFrame};
use sync_protocol::{Rejection, SpaceId};

use crate::support::{agree, honest_again, nothing_is_missing, shown, talk};

const HOUR_MS: u64 = 60 * 60 * 1000;

/// A relay says of a device's entrance that it stands where no entry can.
#[test]
fn a_relay_that_puts_an_entrance_at_the_end_of_all_places_keeps_nobody_out() {
    let (mut world, space) = talk(980, 2, &[1]);
    world.set_meddler(Some(Box::new(move |to, frame| match frame {
        RelayFrame::Stored(mut stored) if to > 1 && stored.space == space => {
            for run in stored.runs.iter_mut().filter(|run| run.seq == 0) {
                run.index = u64::MAX;
            }
            vec![RelayFrame::Stored(stored)]
        }
        frame => vec![frame],
    })));
    let laptop = world.link(0, true).unwrap();
    world.pass(60_000).unwrap();
    honest_again(&mut world);
    for device in [0, 1, laptop] {
        world.say(device, space).unwrap();
        world.settle().unwrap();
    }
    agree(&mut world, &[0, 1, laptop], space);
}

/// The relay takes what Bob says, and answers once with something else.
fn answers_once(world: &mut World, space: SpaceId, answer: impl Fn(u64) -> RelayFrame + 'static) {
    let mut is_due = true;
    world.set_meddler(Some(Box::new(move |to, frame| match frame {
        RelayFrame::Stored(stored) if to == 1 && stored.space == space && is_due => {
            is_due = false;
            vec![answer(stored.runs.first().map_or(0, |run| run.seq))]
        }
        frame => vec![frame],
    })));
    world.say(1, space).unwrap();
    world.pass(5_000).unwrap();
    world.set_meddler(None);
}

#[test]
fn a_relay_that_refuses_by_numbers_without_end_stops_nobody_for_good() {
    let most = u64::MAX;
    let reasons = [
        Rejection::Gap { have: most },
        Rejection::Behind { index: most },
        Rejection::Ahead { head: most },
        Rejection::Rate { retry_ms: most },
        Rejection::Unavailable { retry_ms: 1 << 60 },
        Rejection::Full { retry_ms: most },
    ];
    for (seed, reason) in (990..).zip(reasons) {
        let (mut world, space) = talk(seed, 2, &[1]);
        let why = reason.clone();
        let refused = move |seq| RelayFrame::Refused { space, seq, reason: why.clone() };
        answers_once(&mut world, space, refused);
        if reason.retry_ms().is_some() {
            world.pass(2 * HOUR_MS).unwrap();
            let said = world.say(1, space).unwrap();
            world.pass(10_000).unwrap();
            let shows = shown(&mut world, 0, space).iter().any(|face| face.message == said);
            assert!(shows, "{reason:?}: Bob is silent ever since");
        }
        honest_again(&mut world);
        for device in [0, 1] {
            world.say(device, space).unwrap();
            world.settle().unwrap();
        }
        agree(&mut world, &[0, 1], space);
    }
}

#[test]
fn a_relay_that_asks_for_a_pause_without_end_is_asked_again() {
    for (seed, retry_ms) in [(996, 1 << 60), (997, u64::MAX)] {
        let (mut world, space) = talk(seed, 2, &[1]);
        let reason = Rejection::Unavailable { retry_ms };
        answers_once(&mut world, space, move |_| RelayFrame::Goodbye { reason: reason.clone() });
        world.pass(2 * HOUR_MS).unwrap();
        assert!(world.status(1).unwrap().connected, "{retry_ms}: it never comes back");
        agree(&mut world, &[0, 1], space);
    }
}

/// It is told back in each hello, where an honest relay has room for so much.
#[test]
fn a_relay_that_gives_a_cursor_that_is_too_large_keeps_nobody_away() {
    for (seed, size) in [(998, 65), (999, 70_000)] {
        let (mut world, space) = talk(seed, 2, &[1]);
        world.set_meddler(Some(Box::new(move |to, frame| match frame {
            RelayFrame::Delivery(Delivery::UpToDate { time_ms, .. }) if to == 1 => {
                let cursor = Blob(vec![7; size]);
                vec![RelayFrame::Delivery(Delivery::UpToDate { cursor, time_ms })]
            }
            RelayFrame::Delivery(Delivery::Entries(mut entries)) if to == 1 => {
                entries.cursor = entries.cursor.map(|_| Blob(vec![7; size]));
                vec![RelayFrame::Delivery(Delivery::Entries(entries))]
            }
            frame => vec![frame],
        })));
        for device in [0, 1] {
            world.say(device, space).unwrap();
            world.pass(10_000).unwrap();
        }
        world.set_meddler(None);
        world.expect(1, Command::GoOffline).unwrap();
        world.expect(1, Command::GoOnline).unwrap();
        world.pass(120_000).unwrap();
        assert!(world.status(1).unwrap().connected, "{size}: it never comes back");
        honest_again(&mut world);
        agree(&mut world, &[0, 1], space);
    }
}

/// What is numbered below was taken in before.
#[test]
fn a_relay_that_numbers_one_invitation_at_the_end_of_all_numbers_loses_no_later_one() {
    let (mut world, _) = talk(1_010, 3, &[1]);
    world.set_meddler(Some(Box::new(|to, frame| match frame {
        RelayFrame::Delivery(Delivery::Inbox(mut items)) if to == 2 => {
            items.iter_mut().for_each(|item| item.number = u64::MAX);
            vec![RelayFrame::Delivery(Delivery::Inbox(items))]
        }
        frame => vec![frame],
    })));
    world.converse(0, &[2]).unwrap();
    world.pass(10_000).unwrap();
    honest_again(&mut world);
    let later = world.converse(0, &[1]).unwrap();
    for device in [0, 1] {
        world.say(device, later).unwrap();
        world.settle().unwrap();
    }
    let address = world.book().people[2].address.clone();
    let add = Command::AddMember { conversation: later, address, share_history: true };
    world.expect(0, add).unwrap();
    world.pass(120_000).unwrap();
    world.say(0, later).unwrap();
    world.settle().unwrap();
    nothing_is_missing(&mut world, 2, later);
}
