//! A relay that drops, delays, doubles and shuffles.

use std::collections::VecDeque;

use property_tests::World;
use property_tests::chance::Chance;
use sync_core::Command;
use sync_core::api::{Member, Response};
use sync_protocol::SpaceId;
use sync_protocol::frames::{Delivery, Entries, Notice, RelayFrame};

use crate::support::{
    Shared, agree, conversation, entries_frame, evidence, honest_again, lie_to, nothing_is_missing,
    one_by_one, says, shared, shown,
};

/// Leaves out the entry at an index, as if it had never been there: what follows moves up.
fn without(entries: &Entries, hidden: u64) -> Vec<Entries> {
    let each = one_by_one(entries).into_iter().filter(|one| one.first != hidden);
    each.map(|one| Entries { first: one.first - u64::from(one.first > hidden), ..one }).collect()
}

/// The index that the next entry of a conversation will have.
fn next_index(world: &World, space: SpaceId) -> u64 {
    crate::support::cheat::stand(world, 0, space).next
}

#[test]
fn what_a_dropped_envelope_carries_is_missed_reported_and_made_up_for() {
    let (mut world, space) = conversation(1, 3);
    let hidden = next_index(&world, space);
    lie_to(&mut world, 1, space, move |entries| {
        one_by_one(&entries).into_iter().filter(|one| one.first != hidden).collect()
    });
    let dropped = world.say(0, space).unwrap();
    let later = [world.say(0, space).unwrap(), world.say(2, space).unwrap()];
    world.pass(20_000).unwrap();
    let seen = shown(&mut world, 1, space);
    assert!(seen.iter().all(|face| face.message != dropped && !later.contains(&face.message)));
    assert!(!world.status(1).unwrap().up_to_date, "with an entry missing");
    honest_again(&mut world);
    agree(&mut world, &[0, 1, 2], space);
    nothing_is_missing(&mut world, 1, space);
}

#[test]
fn a_hidden_envelope_shows_as_a_gap_in_its_writers_sequence() {
    let (mut world, space) = conversation(2, 3);
    let hidden = next_index(&world, space);
    lie_to(&mut world, 1, space, move |entries| without(&entries, hidden));
    world.say(0, space).unwrap();
    world.pass(5_000).unwrap();
    evidence(&mut world, 1, space);
    let later = world.say(0, space).unwrap();
    world.pass(5_000).unwrap();
    assert!(says(&evidence(&mut world, 1, space), "an earlier entry of a writer is missing"));
    assert!(shown(&mut world, 1, space).iter().all(|face| face.message != later));
    honest_again(&mut world);
    agree(&mut world, &[0, 1, 2], space);
    nothing_is_missing(&mut world, 1, space);
}

#[test]
fn a_hidden_envelope_is_made_up_for_even_after_others_moved_into_its_place() {
    let (mut world, space) = conversation(3, 3);
    let hidden = next_index(&world, space);
    lie_to(&mut world, 1, space, move |entries| without(&entries, hidden));
    world.say(0, space).unwrap();
    world.pass(5_000).unwrap();
    world.say(2, space).unwrap();
    world.pass(5_000).unwrap();
    world.say(0, space).unwrap();
    world.pass(5_000).unwrap();
    let told = evidence(&mut world, 1, space);
    assert!(says(&told, "an earlier entry of a writer is missing"), "{told:?}");
    honest_again(&mut world);
    agree(&mut world, &[0, 1, 2], space);
    nothing_is_missing(&mut world, 1, space);
}

#[test]
fn an_isolated_device_says_when_it_was_last_confirmed_and_never_that_it_is_up_to_date() {
    let (mut world, space) = conversation(4, 3);
    let before = world.status(1).unwrap();
    assert!(before.up_to_date);
    let since_ms = before.last_confirmed_ms.unwrap();
    world.isolate(1, 600_000);
    for _ in 0..10 {
        world.say(0, space).unwrap();
        world.pass(30_000).unwrap();
        let status = world.status(1).unwrap();
        let still_believes = world.device(1).connection.is_some();
        assert!(still_believes || !status.up_to_date, "{status:?}");
        assert!(status.last_confirmed_ms.unwrap() < since_ms + 60_000, "{status:?}");
    }
    assert!(!world.status(1).unwrap().up_to_date);
    world.pass(400_000).unwrap();
    world.settle().unwrap();
    let status = world.status(1).unwrap();
    assert!(status.up_to_date && status.last_confirmed_ms.unwrap() > since_ms + 300_000);
    world.check().unwrap();
}

#[test]
fn a_device_that_a_relay_answers_with_silence_is_never_up_to_date() {
    let (mut world, space) = conversation(5, 2);
    let since_ms = world.status(1).unwrap().last_confirmed_ms.unwrap();
    world.set_meddler(Some(Box::new(|device, frame| match &frame {
        RelayFrame::Delivery(_) if device == 1 => Vec::new(),
        _ => vec![frame],
    })));
    world.expect(1, Command::GoOffline).unwrap();
    world.expect(1, Command::GoOnline).unwrap();
    for _ in 0..5 {
        world.say(0, space).unwrap();
        world.pass(60_000).unwrap();
        let status = world.status(1).unwrap();
        assert!(status.connected && !status.up_to_date, "{status:?}");
        assert_eq!(status.last_confirmed_ms, Some(since_ms));
    }
    honest_again(&mut world);
    agree(&mut world, &[0, 1], space);
}

/// Keeps entries back, and lets out two for each that comes, whichever.
struct Shuffler {
    chance: Chance,
    kept: Vec<Entries>,
}

impl Shuffler {
    fn pass_on(&mut self, entries: &Entries) -> Vec<RelayFrame> {
        // Given out twice, in whatever order.
        for one in one_by_one(entries) {
            self.kept.extend([one.clone(), one]);
        }
        let mut out = Vec::new();
        for _ in 0..2 * entries.entries.len() {
            if !self.chance.one_in(4) {
                let at = self.chance.index(self.kept.len());
                out.push(entries_frame(self.kept.swap_remove(at)));
            }
        }
        out
    }
}

#[test]
fn entries_in_any_order_and_twice_come_to_the_same_heads_everywhere() {
    for seed in 0..6 {
        let (mut world, space) = conversation(10 + seed, 4);
        let shufflers: Vec<Shared<Shuffler>> = (0..4)
            .map(|n| shared(Shuffler { chance: Chance::new(seed * 4 + n), kept: Vec::new() }))
            .collect();
        world.set_meddler(Some(Box::new(move |device, frame| match &frame {
            RelayFrame::Delivery(Delivery::Entries(entries)) => {
                shufflers[device].borrow_mut().pass_on(entries)
            }
            _ => vec![frame],
        })));
        let mut chance = Chance::new(seed);
        for _ in 0..30 {
            let device = chance.index(4);
            world.say(device, space).unwrap();
            world.pass(chance.below(3_000)).unwrap();
        }
        honest_again(&mut world);
        agree(&mut world, &[0, 1, 2, 3], space);
        nothing_is_missing(&mut world, 3, space);
        world.check().unwrap();
    }
}

#[test]
fn old_envelopes_told_again_at_the_end_change_nothing() {
    let (mut world, space) = conversation(6, 3);
    let told = shared(VecDeque::new());
    let heard = told.clone();
    lie_to(&mut world, 1, space, move |entries| {
        let mut old: VecDeque<Entries> = std::mem::take(&mut *heard.borrow_mut());
        let end = entries.first + entries.entries.len() as u64;
        // Once at their own places, once as if they came now.
        let now = old.iter().cloned().map(|one| Entries { first: end, ..one });
        let out = std::iter::once(entries.clone()).chain(old.iter().cloned()).chain(now).collect();
        old.extend(one_by_one(&entries));
        *heard.borrow_mut() = old;
        out
    });
    for _ in 0..4 {
        world.say(0, space).unwrap();
        world.pass(2_000).unwrap();
        let shown = shown(&mut world, 1, space);
        let mut keys: Vec<_> = shown.iter().map(|face| face.message).collect();
        keys.dedup();
        assert_eq!(keys.len(), shown.len(), "shown twice");
    }
    honest_again(&mut world);
    // The next honest word shows what was left out, and that it stood elsewhere.
    for author in [0, 2] {
        world.say(author, space).unwrap();
        world.pass(10_000).unwrap();
    }
    world.settle().unwrap();
    agree(&mut world, &[0, 1, 2], space);
    nothing_is_missing(&mut world, 1, space);
}

/// A relay has shown one device an old entry behind the log's end, and is honest from then on.
fn shown_too_much() -> (World, SpaceId) {
    let (mut world, space) = conversation(61, 3);
    lie_to(&mut world, 0, space, |entries| {
        let end = entries.first + entries.entries.len() as u64;
        let again = one_by_one(&entries).into_iter().next_back();
        let beyond = again.map(|one| Entries { first: end, ..one });
        std::iter::once(entries).chain(beyond).collect()
    });
    world.say(1, space).unwrap();
    world.pass(10_000).unwrap();
    honest_again(&mut world);
    (world, space)
}

#[test]
fn who_was_shown_more_than_there_is_changes_members_all_the_same() {
    let (mut world, space) = shown_too_much();
    let title = format!("{}mended", property_tests::MARK);
    world.expect(0, Command::SetTitle { conversation: space, title }).unwrap();
    world.wait_until_stored(0).unwrap();
    assert!(says(&evidence(&mut world, 0, space), "log began anew"));
    world.settle().unwrap();
    agree(&mut world, &[0, 1, 2], space);
}

#[test]
fn who_was_shown_more_than_there_is_misses_nothing_that_comes_in_its_place() {
    let (mut world, space) = shown_too_much();
    let said = world.say(2, space).unwrap();
    world.pass(10_000).unwrap();
    assert!(shown(&mut world, 0, space).iter().any(|face| face.message == said));
    assert!(says(&evidence(&mut world, 0, space), "log began anew"));
    world.settle().unwrap();
    agree(&mut world, &[0, 1, 2], space);
}

/// A relay kept somebody's own removal from them, and is honest from then on: what they still write
/// there it does not take, and they learn why.
#[test]
fn who_was_not_shown_that_they_are_out_learns_it_from_the_first_refusal() {
    let (mut world, space) = conversation(40, 3);
    world.set_meddler(Some(Box::new(move |device, frame| match &frame {
        RelayFrame::Delivery(Delivery::Entries(entries))
            if device == 1 && entries.space == space =>
        {
            Vec::new()
        }
        RelayFrame::Notice(Notice::Removed { .. }) if device == 1 => Vec::new(),
        _ => vec![frame],
    })));
    let member = Member::Address(world.book().people[1].address.clone());
    world.expect(0, Command::RemoveMember { conversation: space, member }).unwrap();
    world.pass(20_000).unwrap();
    assert!(is_in(&mut world, 1, space), "it was kept from its own removal");
    world.set_meddler(None);
    world.say(1, space).unwrap();
    world.pass(20_000).unwrap();
    assert!(!is_in(&mut world, 1, space));
    world.settle().unwrap();
}

fn is_in(world: &mut World, device: usize, space: SpaceId) -> bool {
    match world.expect(device, Command::ListConversations).unwrap() {
        Response::Conversations(views) => {
            views.iter().any(|view| view.conversation == space && view.active)
        }
        other => panic!("{other:?}"),
    }
}
