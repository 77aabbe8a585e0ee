//! What all devices that one handshake lets in have alike: kept once, given to each, and gone with
//! the last.

use sync_protocol::codec::Blob;
use sync_protocol::error::Rejection;
use sync_protocol::frames::{
    Answer, ClientFrame, Delivery, InboxItem, Op, Push, RelayFrame, WelcomeFor, Welcomes,
};
use sync_protocol::limits;
use sync_server::relay::SessionId;
use sync_server::store::Table;

use crate::support::{Device, add, join, space};
use crate::world::{World, refusals};

fn way_in(device: &Device, item: &[u8]) -> WelcomeFor {
    WelcomeFor { account: device.account, device: device.id, item: Blob(item.to_vec()) }
}

/// Adds these, with what they have alike.
fn lets_in(by: &mut Device, cursor: u64, added: &[&Device], common: &[u8]) -> ClientFrame {
    let roster = added.iter().map(|device| add(device)).collect();
    let envelopes = vec![by.handshake(space(1), cursor, roster)];
    let items = added.iter().map(|device| way_in(device, b"own")).collect();
    let welcomes = Some(Welcomes { common: Blob(common.to_vec()), items });
    ClientFrame::Push(Push { space: space(1), envelopes, welcomes, ticket: None })
}

fn items(world: &mut World, session: SessionId) -> Vec<InboxItem> {
    let frames = world.take(session).into_iter();
    frames
        .filter_map(|frame| match frame {
            RelayFrame::Delivery(Delivery::Inbox(items)) => Some(items),
            _ => None,
        })
        .flatten()
        .collect()
}

/// Rows of what is kept for those who were let in.
fn kept(world: &World) -> usize {
    let durable = world.relay.store().durable();
    let rows = durable.rows();
    rows.filter(|(table, ..)| matches!(table, Table::Welcomes | Table::WelcomesLeft)).count()
}

#[test]
fn it_is_kept_once_given_to_each_and_gone_with_the_last() {
    let (mut world, mut ada, a) = World::founded();
    let mut others: Vec<Device> = (2..6).map(Device::new).collect();
    let sessions: Vec<_> = others.iter_mut().map(|one| world.connect(one)).collect();
    let added: Vec<&Device> = others.iter().collect();
    let frame = lets_in(&mut ada, 1, &added, &[8; 100_000]);
    world.send(a, frame);
    world.commit();
    assert_eq!(kept(&world), 2);
    for session in &sessions {
        let got = items(&mut world, *session);
        assert_eq!(got.len(), 1);
        assert_eq!(got[0].common, Some(Blob(vec![8; 100_000])));
        assert_eq!((got[0].item.as_slice(), got[0].space), (b"own".as_slice(), Some(space(1))));
    }
    for (n, session) in sessions.iter().enumerate() {
        assert_eq!(kept(&world), 2, "before {n} has taken it");
        assert_eq!(world.ask(*session, Op::AckInbox { number: 1 }), Answer::Done);
        assert_eq!(world.ask(*session, Op::AckInbox { number: 1 }), Answer::Done);
    }
    assert_eq!(kept(&world), 0);
}

#[test]
fn it_waits_for_a_device_that_is_away_through_crashes() {
    let (mut world, mut ada, a) = World::founded();
    let mut bob = Device::new(2);
    let b = world.connect(&mut bob);
    world.relay.disconnect(b, world.now);
    let frame = lets_in(&mut ada, 1, &[&bob], b"for all");
    world.send(a, frame);
    world.commit();
    let mut world = world.crash();
    let b = world.connect(&mut bob);
    assert_eq!(items(&mut world, b)[0].common, Some(Blob(b"for all".to_vec())));
    // Not acknowledged: it comes again.
    let mut world = world.crash();
    let b = world.connect(&mut bob);
    assert_eq!(items(&mut world, b)[0].common, Some(Blob(b"for all".to_vec())));
    world.ask(b, Op::AckInbox { number: 1 });
    assert_eq!(kept(&world), 0);
}

#[test]
fn nobody_keeps_it_who_has_ended() {
    let (mut world, mut ada, a) = World::founded();
    let (mut bob, mut cyd) = (Device::new(2), Device::new(3));
    let (b, c) = (world.connect(&mut bob), world.connect(&mut cyd));
    let mut phone = world.link(b, &mut bob, 2);
    world.connect(&mut phone);
    let frame = lets_in(&mut ada, 1, &[&bob, &cyd], b"for all");
    world.send(a, frame);
    world.commit();
    assert_eq!(kept(&world), 2);
    world.ask(b, Op::AckInbox { number: u64::MAX });
    world.ask(c, Op::AckInbox { number: u64::MAX });
    assert_eq!(kept(&world), 0);
    let envelopes = vec![ada.handshake(space(1), 2, vec![join(&phone)])];
    let item = |device: &Device| way_in(device, b"own");
    let items = vec![item(&phone)];
    let welcomes = Some(Welcomes { common: Blob(b"for all".to_vec()), items });
    world.send(a, ClientFrame::Push(Push { space: space(1), envelopes, welcomes, ticket: None }));
    world.commit();
    assert_eq!(kept(&world), 2);
    world.revoke(b, &mut bob, phone.id);
    world.commit();
    assert_eq!(kept(&world), 0);
}

#[test]
fn what_is_too_large_is_refused_with_its_handshake() {
    let (mut world, mut ada, a) = World::founded();
    let mut bob = Device::new(2);
    world.connect(&mut bob);
    let frame = lets_in(&mut ada, 1, &[&bob], &vec![8; limits::WELCOME + 1]);
    world.send(a, frame);
    let envelopes = vec![ada.handshake(space(1), 1, vec![add(&bob)])];
    let items = vec![way_in(&bob, &vec![8; limits::WELCOME_ITEM + 1])];
    let welcomes = Some(Welcomes { common: Blob(Vec::new()), items });
    world.send(a, ClientFrame::Push(Push { space: space(1), envelopes, welcomes, ticket: None }));
    world.commit();
    let limit = |limit: usize| Rejection::TooLarge { limit: limit as u64 };
    let refused = refusals(&world.take(a));
    assert_eq!(refused, [limit(limits::WELCOME), limit(limits::WELCOME_ITEM)]);
    assert_eq!(kept(&world), 0);
}
