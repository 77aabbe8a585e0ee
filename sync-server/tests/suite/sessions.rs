//! Who may open a session.

use sync_protocol::codec::Blob;
use sync_protocol::error::Rejection;
use sync_protocol::frames::{ClientFrame, Op, RelayFrame};
use sync_server::relay::Settings;
use sync_server::store::MemoryStore;

use crate::support::{Device, space};
use crate::world::{World, cursor, delivered, welcome};

#[test]
fn a_wrong_signature_another_challenge_or_an_unknown_account_opens_nothing() {
    let mut world = World::new();
    let mut ada = Device::new(1);
    let (session, challenge) = world.dial();
    let mut hello = ada.hello(&challenge);
    hello.next_fence += 1;
    world.send(session, ClientFrame::Hello(hello.clone()));
    let (replayed, _) = world.dial();
    world.send(replayed, ClientFrame::Hello(ada.hello(&challenge)));
    ada.log.clear();
    let mut stranger = Device::new(5);
    stranger.log.clear();
    let unknown = world.hello(&stranger);
    assert_eq!(world.closed[&session], Rejection::Denied);
    assert_eq!(world.closed[&replayed], Rejection::Denied);
    assert_eq!(world.closed[&unknown], Rejection::NotFound);
}

#[test]
fn an_unknown_version_is_told_what_the_relay_speaks() {
    let mut world = World::new();
    let ada = Device::new(1);
    let (session, challenge) = world.dial();
    let mut hello = ada.hello(&challenge);
    hello.version = 99;
    ada.sign(&challenge, &mut hello);
    world.send(session, ClientFrame::Hello(hello));
    world.commit();
    assert_eq!(world.closed[&session], Rejection::Unsupported { min: 1, max: 1 });
}

#[test]
fn a_copied_store_is_fenced_off_and_a_lost_welcome_is_not() {
    let mut world = World::new();
    let mut ada = Device::new(1);
    let lost = world.hello(&ada);
    assert!(world.relay.is_open(lost));
    let again = world.connect(&mut ada);
    assert_eq!(world.closed[&lost], Rejection::Fenced);
    let mut copy = Device::new(1);
    copy.fence = ada.fence;
    copy.next_fence = 5_000;
    let now_copy = world.connect(&mut copy);
    assert_eq!(world.closed[&again], Rejection::Fenced);
    let original = world.hello(&ada);
    assert_eq!(world.closed[&original], Rejection::Fenced);
    assert!(world.relay.is_open(now_copy));
    let mut world = world.crash();
    let original = world.hello(&ada);
    assert_eq!(world.closed[&original], Rejection::Fenced);
}

#[test]
fn a_hello_that_was_overtaken_ends_no_session() {
    let mut world = World::new();
    let mut ada = Device::new(1);
    let (stalled, challenge) = world.dial();
    let late = ada.hello(&challenge);
    let live = world.connect(&mut ada);
    world.send(stalled, ClientFrame::Hello(late));
    world.commit();
    assert_eq!(world.closed[&stalled], Rejection::Unavailable { retry_ms: 0 });
    assert!(world.relay.is_open(live));
}

#[test]
fn a_revoked_device_is_out_at_once() {
    let mut world = World::new();
    let mut ada = Device::new(1);
    let a = world.connect(&mut ada);
    let (mut phone, entry) = ada.link(2);
    world.ask(a, Op::AppendLog { index: 1, entry: entry.clone(), rendezvous: None });
    ada.log.push(entry);
    let p = world.connect(&mut phone);
    let end = ada.revoke(phone.id);
    world.ask(a, Op::AppendLog { index: 2, entry: end, rendezvous: None });
    assert_eq!(world.closed[&p], Rejection::Revoked);
    let again = world.hello(&phone);
    assert_eq!(world.closed[&again], Rejection::Revoked);
}

#[test]
fn silent_sockets_are_closed_and_their_number_is_limited() {
    let settings = Settings { unauthenticated_sessions: 3, ..Settings::default() };
    let mut world = World::over(MemoryStore::new(), settings);
    let sockets: Vec<_> = (0..3).map(|_| world.dial().0).collect();
    // One more takes the place of the one that has waited longest.
    let (late, _) = world.dial();
    assert!(matches!(world.closed[&sockets[0]], Rejection::Unavailable { .. }));
    assert!(!world.closed.contains_key(&sockets[1]) && !world.closed.contains_key(&late));
    world.now += 10_000;
    world.relay.tick(world.now);
    world.commit();
    assert!(sockets.iter().all(|socket| world.closed.contains_key(socket)));
    world.connect(&mut Device::new(1));
}

#[test]
fn frames_before_a_hello_end_the_session() {
    let mut world = World::new();
    let (session, _) = world.dial();
    world.send(session, ClientFrame::Credit { bytes: 1 });
    world.commit();
    assert_eq!(world.closed[&session], Rejection::Invalid);
}

#[test]
fn a_cursor_of_another_store_or_from_the_future_starts_from_the_beginning() {
    let (mut world, mut ada, _) = World::founded();
    for bad in [vec![0; 16], vec![1; 3], [77u64.to_be_bytes(), u64::MAX.to_be_bytes()].concat()] {
        ada.cursor = Some(Blob(bad));
        let session = world.connect(&mut ada);
        let frames = world.take(session);
        assert!(welcome(&frames).from_start);
        assert_eq!(delivered(&frames), [(space(1), 0)]);
        ada.cursor = cursor(&frames);
    }
    let session = world.connect(&mut ada);
    let frames = world.take(session);
    assert!(!welcome(&frames).from_start);
    assert_eq!((welcome(&frames).changed, delivered(&frames)), (0, Vec::new()));
}

#[test]
fn draining_says_goodbye_and_takes_nobody_new() {
    let mut world = World::new();
    let mut ada = Device::new(1);
    let session = world.connect(&mut ada);
    world.relay.drain(500, world.now);
    world.commit();
    assert_eq!(world.closed[&session], Rejection::Unavailable { retry_ms: 500 });
    assert!(matches!(world.take(session).last(), Some(RelayFrame::Goodbye { .. })));
    let late = sync_server::relay::SessionId(99);
    world.relay.connect(late, [0; 32], world.now);
    world.commit();
    assert!(world.closed.contains_key(&late));
}
