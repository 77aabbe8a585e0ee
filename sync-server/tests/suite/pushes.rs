//! What enters a space's log, and what does not.

use sync_protocol::codec::{self, Blob};
use sync_protocol::error::Rejection;
use sync_protocol::frames::{Answer, ClientFrame, Notice, Op, Push, RelayFrame};
use sync_protocol::limits;
use sync_server::store::{Store as _, Table};

use crate::support::{Device, add, push, remove, space};
use crate::world::{World, delivered, refusals, stored};

#[test]
fn nothing_is_acknowledged_before_the_commit_and_all_of_it_survives_a_crash() {
    let mut world = World::new();
    let mut ada = Device::new(1);
    let session = world.connect(&mut ada);
    world.take(session);
    let first = vec![ada.found(space(1)), ada.content(space(1), 1)];
    world.send(session, push(space(1), first));
    assert!(world.take(session).is_empty());
    world.commit();
    assert_eq!(stored(&world.take(session)).len(), 2);
    let lost = ada.content(space(1), 1);
    world.send(session, push(space(1), vec![lost.clone()]));
    let mut world = world.crash();
    let session = world.connect(&mut ada);
    let seen = delivered(&world.take(session));
    assert_eq!(seen, [(space(1), 0), (space(1), 1)]);
    world.send(session, push(space(1), vec![lost]));
    world.commit();
    let runs = stored(&world.take(session));
    assert_eq!((runs[0].seq, runs[0].index, runs[0].count), (2, 2, 1));
}

#[test]
fn a_full_disk_acknowledges_nothing_and_ends_every_session() {
    let mut world = World::new();
    let mut ada = Device::new(1);
    let session = world.connect(&mut ada);
    let founding = ada.found(space(1));
    world.send(session, push(space(1), vec![founding]));
    world.take(session);
    world.relay.store_mut().set_full(true);
    world.commit();
    let frames = world.take(session);
    assert!(stored(&frames).is_empty());
    assert!(matches!(frames.last(), Some(RelayFrame::Goodbye { .. })));
    assert!(matches!(world.closed[&session], Rejection::Unavailable { .. }));
    assert!(world.relay.failure().is_some());
    let mut world = world.crash();
    let session = world.connect(&mut ada);
    assert!(delivered(&world.take(session)).is_empty());
}

#[test]
fn duplicates_are_confirmed_gaps_and_forks_are_refused() {
    let mut world = World::new();
    let mut ada = Device::new(1);
    let session = world.connect(&mut ada);
    let founding = ada.found(space(1));
    let sets: Vec<_> = (0..4).map(|_| ada.content(space(1), 1)).collect();
    world.send(session, push(space(1), vec![founding, sets[0].clone(), sets[1].clone()]));
    world.commit();
    world.take(session);
    world.send(session, push(space(1), vec![sets[3].clone()]));
    world.send(session, push(space(1), vec![sets[0].clone(), sets[2].clone()]));
    let mut copy = Device::new(1);
    copy.payload = 61;
    copy.content(space(1), 1);
    world.commit();
    let frames = world.take(session);
    assert_eq!(refusals(&frames), [Rejection::Gap { have: 2 }]);
    let runs = stored(&frames);
    assert_eq!((runs[0].seq, runs[0].index, runs[0].count), (2, 2, 2));
    let mut fork = Device::new(1);
    fork.incarnation += 1;
    for _ in 0..3 {
        fork.content(space(1), 1);
    }
    fork.incarnation -= 1;
    let fork = fork.content(space(1), 1);
    world.send(session, push(space(1), vec![fork]));
    world.send(session, push(space(1), vec![sets[3].clone()]));
    world.commit();
    let frames = world.take(session);
    assert_eq!(refusals(&frames), [Rejection::Equivocation]);
    assert_eq!(stored(&frames)[0].seq, 4);
}

#[test]
fn what_comes_before_a_refused_envelope_stays_and_what_comes_after_is_not_looked_at() {
    let mut world = World::new();
    let mut ada = Device::new(1);
    let session = world.connect(&mut ada);
    let good = vec![ada.found(space(1)), ada.content(space(1), 1)];
    let bad = Blob(vec![0xff; 40]);
    let after = ada.content(space(1), 1);
    let all = good.into_iter().chain([bad, after]).collect();
    world.take(session);
    world.send(session, push(space(1), all));
    world.commit();
    let frames = world.take(session);
    assert_eq!(stored(&frames).len(), 2);
    assert_eq!(refusals(&frames), [Rejection::Invalid]);
    assert!(world.relay.is_open(session));
}

#[test]
fn nobody_passes_a_membership_change_unseen() {
    let mut world = World::new();
    let (mut ada, mut bob) = (Device::new(1), Device::new(2));
    let (a, b) = (world.connect(&mut ada), world.connect(&mut bob));
    let start = vec![ada.found(space(1)), ada.handshake(space(1), 1, vec![add(&bob)])];
    world.send(a, push(space(1), start));
    let late = bob.content(space(1), 1);
    world.send(b, push(space(1), vec![late]));
    let handshake = ada.handshake(space(1), 1, Vec::new());
    world.send(a, push(space(1), vec![handshake]));
    world.commit();
    assert_eq!(refusals(&world.take(b)), [Rejection::Behind { index: 1 }]);
    assert_eq!(refusals(&world.take(a)), [Rejection::Behind { index: 1 }]);
    bob.rewind(space(1));
    let again = bob.content(space(1), 2);
    world.send(b, push(space(1), vec![again]));
    world.commit();
    assert_eq!(stored(&world.take(b))[0].index, 2);
}

#[test]
fn a_register_is_appended_and_delivered_without_a_number_and_the_newest_counts() {
    let mut world = World::new();
    let (mut ada, mut bob) = (Device::new(1), Device::new(2));
    let (to_ada, to_bob) = (world.connect(&mut ada), world.connect(&mut bob));
    let handshakes = vec![ada.found(space(1)), ada.handshake(space(1), 1, vec![add(&bob)])];
    world.send(to_ada, push(space(1), handshakes));
    world.commit();
    world.take(to_ada);
    world.take(to_bob);
    let unseen = ada.register(space(1), 1, 9);
    world.send(to_ada, push(space(1), vec![unseen]));
    world.commit();
    assert!(matches!(refusals(&world.take(to_ada))[..], [Rejection::Behind { .. }]));
    let registers = [9, 9, 8].map(|key| ada.register(space(1), 2, key));
    let then = ada.content(space(1), 2);
    world.send(to_ada, push(space(1), registers.into_iter().chain([then]).collect()));
    world.commit();
    let runs = stored(&world.take(to_ada));
    assert_eq!(
        runs.iter().map(|run| (run.seq, run.index)).collect::<Vec<_>>(),
        [(0, 2), (0, 3), (0, 4), (1, 5)]
    );
    assert_eq!(delivered(&world.take(to_bob)).len(), 4);
    let mut newest = Vec::new();
    let scanned = world.relay.store().scan(Table::Registers, &[], &[0xff; 13], &mut |_, index| {
        newest.push(codec::decode::<u64>("index", index).unwrap());
        true
    });
    scanned.unwrap();
    assert_eq!(newest, [4, 3], "of keys 8 and 9");
}

#[test]
fn strangers_leavers_and_removed_members_are_denied() {
    let mut world = World::new();
    let (mut ada, mut bob, mut eve) = (Device::new(1), Device::new(2), Device::new(3));
    let (a, b, e) = (world.connect(&mut ada), world.connect(&mut bob), world.connect(&mut eve));
    let start = vec![ada.found(space(1)), ada.handshake(space(1), 1, vec![add(&bob)])];
    world.send(a, push(space(1), start));
    let (into, nowhere) = (eve.content(space(1), 2), eve.content(space(9), 0));
    world.send(e, push(space(1), vec![into]));
    world.send(e, push(space(9), vec![nowhere]));
    let leave = bob.leave(space(1), 2);
    world.send(b, push(space(1), vec![leave]));
    let after = bob.content(space(1), 3);
    world.send(b, push(space(1), vec![after]));
    world.commit();
    assert_eq!(refusals(&world.take(e)), [Rejection::Denied, Rejection::NotFound]);
    assert_eq!(refusals(&world.take(b)), [Rejection::Denied]);
    let out = ada.handshake(space(1), 3, vec![remove(&bob)]);
    let secret = ada.content(space(1), 4);
    world.send(a, push(space(1), vec![out, secret]));
    world.commit();
    let frames = world.take(b);
    assert_eq!(delivered(&frames), [(space(1), 3)]);
    let notice = RelayFrame::Notice(Notice::Removed { space: space(1) });
    assert!(frames.contains(&notice));
}

#[test]
fn a_space_that_all_have_left_is_nobodys() {
    let mut world = World::new();
    let (mut ada, mut bob) = (Device::new(1), Device::new(2));
    let (a, b) = (world.connect(&mut ada), world.connect(&mut bob));
    let start = vec![ada.found(space(1)), ada.handshake(space(1), 1, vec![add(&bob)])];
    world.send(a, push(space(1), start));
    let leave = bob.leave(space(1), 2);
    world.send(b, push(space(1), vec![leave]));
    assert_eq!(world.ask(b, Op::ReadTicket { space: space(1) }), denied());
    assert_eq!(world.ask(b, Op::Spaces), Answer::Spaces(vec![space(1)]));
    let leave = ada.leave(space(1), 2);
    world.send(a, push(space(1), vec![leave]));
    for session in [a, b] {
        assert_eq!(world.ask(session, Op::Spaces), Answer::Spaces(Vec::new()));
        let notice = RelayFrame::Notice(Notice::Removed { space: space(1) });
        assert!(world.take(session).contains(&notice));
    }
    let again = bob.found(space(1));
    world.send(b, push(space(1), vec![again]));
    world.commit();
    assert_eq!(refusals(&world.take(b)), [Rejection::Taken]);
}

fn denied() -> Answer {
    Answer::Refused(Rejection::Denied)
}

#[test]
fn a_space_is_founded_once_by_its_founder_alone() {
    let mut world = World::new();
    let (mut ada, mut bob) = (Device::new(1), Device::new(2));
    let (a, b) = (world.connect(&mut ada), world.connect(&mut bob));
    let founding = ada.found(space(1));
    world.send(a, push(space(1), vec![founding.clone()]));
    let second = bob.found(space(1));
    world.send(b, push(space(1), vec![second]));
    let own = ada.account.space();
    let squat = bob.found(own);
    world.send(b, push(own, vec![squat]));
    let foreign = push(space(2), vec![founding]);
    world.send(b, foreign);
    world.commit();
    let reasons = refusals(&world.take(b));
    assert_eq!(reasons, [Rejection::Taken, Rejection::Denied, Rejection::Invalid]);
    let mine = ada.found(own);
    world.take(a);
    world.send(a, push(own, vec![mine]));
    world.commit();
    assert_eq!(stored(&world.take(a)).len(), 1);
}

#[test]
fn times_in_a_space_never_go_back() {
    let mut world = World::new();
    let mut ada = Device::new(1);
    let session = world.connect(&mut ada);
    let founding = ada.found(space(1));
    world.send(session, push(space(1), vec![founding]));
    world.now -= 500_000;
    let late = ada.content(space(1), 1);
    world.send(session, push(space(1), vec![late]));
    world.commit();
    let runs = stored(&world.take(session));
    assert_eq!(runs[0].time_ms, runs[1].time_ms);
}

#[test]
fn a_welcome_arrives_with_its_handshake_or_not_at_all() {
    let mut world = World::new();
    let (mut ada, mut bob) = (Device::new(1), Device::new(2));
    let (a, b) = (world.connect(&mut ada), world.connect(&mut bob));
    let items = vec![sync_protocol::frames::WelcomeFor {
        account: bob.account,
        device: bob.id,
        item: Blob(b"way in".to_vec()),
    }];
    let common = Blob(b"for all".to_vec());
    let welcomes = Some(sync_protocol::frames::Welcomes { common: common.clone(), items });
    let envelopes = vec![ada.found(space(1))];
    world.send(a, push(space(1), envelopes));
    world.take(b);
    let behind = ada.handshake(space(1), 0, vec![add(&bob)]);
    let refused =
        Push { space: space(1), envelopes: vec![behind], welcomes: welcomes.clone(), ticket: None };
    world.send(a, ClientFrame::Push(refused.clone()));
    world.commit();
    assert!(world.take(b).is_empty());
    let good = ada.handshake(space(1), 1, vec![add(&bob)]);
    world.send(a, ClientFrame::Push(Push { envelopes: vec![good], ..refused }));
    world.commit();
    let frames = world.take(b);
    let items = frames.iter().any(|frame| {
        matches!(frame, RelayFrame::Delivery(sync_protocol::frames::Delivery::Inbox(items))
            if items[0].space == Some(space(1)) && items[0].number == 1
                && items[0].common == Some(common.clone()))
    });
    assert!(items, "{frames:?}");
    assert_eq!(delivered(&frames), [(space(1), 1)]);
}

#[test]
fn oversized_pushes_are_refused_and_the_session_goes_on() {
    let mut world = World::new();
    let mut ada = Device::new(1);
    let session = world.connect(&mut ada);
    let founding = ada.found(space(1));
    world.send(session, push(space(1), vec![founding]));
    ada.payload = limits::ENVELOPE_CONTENT;
    let large = ada.content(space(1), 1);
    world.send(session, push(space(1), vec![large]));
    world.send(session, push(space(1), vec![Blob::default(); limits::PUSH_ENVELOPES + 1]));
    world.send(session, push(space(1), Vec::new()));
    world.commit();
    let limit = limits::ENVELOPE_CONTENT as u64;
    let reasons = refusals(&world.take(session));
    let too_large = Rejection::TooLarge { limit };
    assert_eq!(reasons, [too_large, Rejection::Invalid, Rejection::Invalid]);
    assert!(world.relay.is_open(session));
}
