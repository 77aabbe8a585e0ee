//! Who receives what, in which order, under which credit.

use sync_protocol::codec::Blob;
use sync_protocol::frames::{ClientFrame, Delivery, RelayFrame};
use sync_protocol::limits;

use crate::support::{Device, add, push, space};
use crate::world::{World, cursor, delivered, stored};

fn cost(frames: &[RelayFrame]) -> u64 {
    let costs = frames.iter().map(|frame| match frame {
        RelayFrame::Delivery(delivery) => delivery.cost(),
        _ => 0,
    });
    costs.sum()
}

/// Ada and Bob in space 1, both connected and up to date.
fn two() -> (World, Device, Device) {
    let mut world = World::new();
    let (mut ada, mut bob) = (Device::new(1), Device::new(2));
    let (a, _) = (world.connect(&mut ada), world.connect(&mut bob));
    let start = vec![ada.found(space(1)), ada.handshake(space(1), 1, vec![add(&bob)])];
    world.send(a, push(space(1), start));
    world.commit();
    world.inboxes.clear();
    (world, ada, bob)
}

#[test]
fn what_commits_is_handed_to_everybody_but_its_author() {
    let (mut world, mut ada, mut bob) = two();
    let (a, b) = (world.connect(&mut ada), world.connect(&mut bob));
    world.inboxes.clear();
    let sets = vec![ada.content(space(1), 2), ada.content(space(1), 2)];
    world.send(a, push(space(1), sets));
    let own = bob.content(space(1), 2);
    world.send(b, push(space(1), vec![own]));
    let third = ada.content(space(1), 2);
    world.send(a, push(space(1), vec![third]));
    world.commit();
    let frames = world.take(b);
    assert_eq!(delivered(&frames), [(space(1), 2), (space(1), 3), (space(1), 5)]);
    assert_eq!(stored(&frames).len(), 1);
    assert!(cursor(&frames).is_some());
    assert_eq!(delivered(&world.take(a)), [(space(1), 4)]);
}

#[test]
fn a_cursor_covers_what_was_delivered_and_own_pushes_after_a_tick() {
    let (mut world, mut ada, mut bob) = two();
    let a = world.connect(&mut ada);
    world.inboxes.clear();
    let sets = vec![ada.content(space(1), 2)];
    world.send(a, push(space(1), sets));
    world.commit();
    assert!(cursor(&world.take(a)).is_none());
    world.now += 1_000;
    world.relay.tick(world.now);
    world.commit();
    ada.cursor = cursor(&world.take(a));
    assert!(ada.cursor.is_some());
    let a = world.connect(&mut ada);
    assert!(delivered(&world.take(a)).is_empty());
    bob.cursor = ada.cursor.clone();
    let b = world.connect(&mut bob);
    assert!(delivered(&world.take(b)).is_empty());
}

#[test]
fn a_reader_without_credit_gets_a_window_and_the_rest_when_it_asks() {
    let (mut world, mut ada, mut bob) = two();
    let a = world.connect(&mut ada);
    let b = world.connect(&mut bob);
    world.inboxes.clear();
    ada.payload = 8_000;
    let total = 200;
    for _ in 0..total {
        let set = ada.content(space(1), 2);
        world.send(a, push(space(1), vec![set]));
        world.commit();
    }
    let mut frames = world.take(b);
    let mut seen = delivered(&frames);
    assert!(cost(&frames) <= limits::WINDOW as u64);
    assert!(seen.len() < total);
    let (mut spent, mut granted) = (cost(&frames), limits::WINDOW as u64);
    while seen.len() < total {
        granted += 20_000;
        world.send(b, ClientFrame::Credit { bytes: 20_000 });
        world.commit();
        frames = world.take(b);
        spent += cost(&frames);
        assert!(spent <= granted);
        seen.extend(delivered(&frames));
        assert!(seen.len() == total || cursor(&frames).is_none());
    }
    let expected: Vec<_> = (2..2 + total as u64).map(|n| (space(1), n)).collect();
    assert_eq!(seen, expected);
    world.send(b, ClientFrame::Credit { bytes: u64::MAX });
    world.commit();
    frames.extend(world.take(b));
    assert!(matches!(frames.last(), Some(RelayFrame::Delivery(Delivery::UpToDate { .. }))));
}

#[test]
fn readers_that_give_back_what_they_take_never_stall() {
    let (mut world, mut ada, mut bob) = two();
    let a = world.connect(&mut ada);
    let b = world.connect(&mut bob);
    world.inboxes.clear();
    let (mut seen, mut taken) = (Vec::new(), 0);
    let mut read = |world: &mut World| {
        for frame in world.take(b) {
            taken += cost(std::slice::from_ref(&frame));
            seen.extend(delivered(std::slice::from_ref(&frame)));
            // As devices do: in quarters of a window, not by the frame.
            if taken >= limits::WINDOW as u64 / 4 {
                world.send(b, ClientFrame::Credit { bytes: std::mem::take(&mut taken) });
            }
        }
        world.commit();
        seen.len()
    };
    let total: usize = 400;
    for n in 0..total {
        // Sizes on both sides of a chunk, and up to half a window.
        ada.payload = [300, 31_000, 33_000, 1_000, 250_000, 5_000, 128_000][n % 7];
        let set = ada.content(space(1), 2);
        world.send(a, push(space(1), vec![set]));
        world.commit();
        // Reads after each commit for a while, then falls behind for a while.
        if n % 50 < 25 {
            read(&mut world);
        }
    }
    while world.inboxes.get(&b).is_some_and(|frames| !frames.is_empty()) {
        read(&mut world);
    }
    assert_eq!(read(&mut world), total);
    let expected: Vec<_> = (2..2 + total as u64).map(|n| (space(1), n)).collect();
    assert_eq!(seen, expected);
}

#[test]
fn catching_up_starts_with_the_foreground_then_the_newest() {
    let mut world = World::new();
    let mut ada = Device::new(1);
    let a = world.connect(&mut ada);
    for n in 1..=4 {
        let founding = ada.found(space(n));
        world.send(a, push(space(n), vec![founding]));
    }
    world.commit();
    let (session, challenge) = world.dial();
    let mut hello = ada.hello(&challenge);
    hello.foreground = Some(space(2));
    ada.sign(&challenge, &mut hello);
    world.send(session, ClientFrame::Hello(hello));
    world.commit();
    let order: Vec<_> = delivered(&world.take(session)).into_iter().map(|(s, _)| s).collect();
    assert_eq!(order, [space(2), space(4), space(3), space(1)]);
}

#[test]
fn a_lagging_space_continues_where_the_device_says() {
    let (mut world, mut ada, _) = two();
    let a = world.connect(&mut ada);
    let sets = (0..100).map(|_| ada.content(space(1), 2)).collect();
    world.send(a, push(space(1), sets));
    world.relay.tick(world.now + 1_000);
    world.commit();
    let now = cursor(&world.take(a));
    let (session, challenge) = world.dial();
    ada.cursor = now;
    let mut hello = ada.hello(&challenge);
    hello.lagging = vec![(space(1), 90), (space(8), 3)];
    ada.sign(&challenge, &mut hello);
    world.send(session, ClientFrame::Hello(hello));
    world.commit();
    let seen = delivered(&world.take(session));
    assert_eq!(seen.first(), Some(&(space(1), 90)));
    assert_eq!(seen.len(), 12);
}

#[test]
fn of_a_thousand_spaces_only_the_changed_ones_are_sent() {
    let mut world = World::new();
    let mut ada = Device::new(1);
    let a = world.connect(&mut ada);
    let ids: Vec<_> = (0..1000u32)
        .map(|n| {
            let mut id = [7; 32];
            id[..4].copy_from_slice(&n.to_be_bytes());
            sync_protocol::ids::SpaceId::from_bytes(id)
        })
        .collect();
    for id in &ids {
        let founding = ada.found(*id);
        world.send(a, push(*id, vec![founding]));
    }
    world.relay.tick(world.now + 1_000);
    world.commit();
    let before = cursor(&world.take(a));
    for id in &ids[10..13] {
        let set = ada.content(*id, 1);
        world.send(a, push(*id, vec![set]));
    }
    world.commit();
    ada.cursor = before;
    let session = world.connect(&mut ada);
    let frames = world.take(session);
    let expected: Vec<_> = ids[10..13].iter().rev().map(|id| (*id, 1)).collect();
    assert_eq!(delivered(&frames), expected);
    assert_eq!(frames.len(), 5);
}

#[test]
fn signals_reach_those_who_are_here_and_are_not_stored() {
    let (mut world, mut ada, mut bob) = two();
    let mut eve = Device::new(3);
    let (a, b, e) = (world.connect(&mut ada), world.connect(&mut bob), world.connect(&mut eve));
    world.inboxes.clear();
    let envelope = ada.signal(space(1));
    world.send(a, ClientFrame::Signal { space: space(1), envelope: envelope.clone() });
    let foreign = eve.signal(space(1));
    world.send(e, ClientFrame::Signal { space: space(1), envelope: foreign });
    world.send(a, ClientFrame::Signal { space: space(1), envelope: Blob(vec![1]) });
    world.commit();
    let writer = ada.writer();
    let expected = RelayFrame::Signal { space: space(1), writer, envelope };
    assert_eq!(world.take(b), [expected]);
    assert!(world.take(a).is_empty());
    for _ in 0..10_000 {
        let envelope = ada.signal(space(1));
        world.send(a, ClientFrame::Signal { space: space(1), envelope });
    }
    world.commit();
    assert!(world.take(b).len() <= 1_000);
}

#[test]
fn acknowledged_cursors_are_written_every_five_seconds_not_per_message() {
    let (mut world, mut ada, mut bob) = two();
    let (a, b) = (world.connect(&mut ada), world.connect(&mut bob));
    world.now += 10_000;
    world.relay.tick(world.now);
    world.commit();
    let before = world.relay.counts().commits;
    let now = cursor(&world.take(b)).unwrap();
    for _ in 0..10 {
        world.send(b, ClientFrame::Ack { cursor: now.clone() });
        world.commit();
    }
    assert_eq!(world.relay.counts().commits, before);
    world.now += 5_000;
    world.relay.tick(world.now);
    world.commit();
    assert_eq!(world.relay.counts().commits, before + 1);
    world.relay.disconnect(a, world.now);
}
