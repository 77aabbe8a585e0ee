//! Where a new device meets its account's primary.

use sync_protocol::codec::Blob;
use sync_protocol::error::Rejection;
use sync_protocol::frames::{Answer, ClientFrame, MeetEvent, MeetStep, Op, RelayFrame};
use sync_protocol::ids::RendezvousId;
use sync_protocol::limits;
use sync_server::relay::{SessionId, Settings};
use sync_server::store::MemoryStore;

use crate::support::Device;
use crate::world::World;

const BUSY: MeetEvent = MeetEvent::Ended(Rejection::Unavailable { retry_ms: 2_000 });

fn id(n: u8) -> RendezvousId {
    RendezvousId::from_bytes([n; 16])
}

fn ended(reason: Rejection) -> MeetEvent {
    MeetEvent::Ended(reason)
}

fn said(text: &[u8]) -> Blob {
    Blob(text.to_vec())
}

impl World {
    fn meet(&mut self, session: SessionId, rendezvous: RendezvousId, step: MeetStep) {
        self.send(session, ClientFrame::Meet { rendezvous, step });
        self.commit();
    }

    /// What a session heard of a rendezvous since it was asked last.
    fn met(&mut self, session: SessionId, of: RendezvousId) -> Vec<MeetEvent> {
        let frames = self.take(session).into_iter();
        let events = frames.filter_map(|frame| match frame {
            RelayFrame::Met { rendezvous, event } if rendezvous == of => Some(event),
            _ => None,
        });
        events.collect()
    }

    /// A socket without an account at an open rendezvous.
    fn waiting(&mut self, rendezvous: RendezvousId) -> SessionId {
        let (session, _) = self.dial();
        self.meet(session, rendezvous, MeetStep::Open);
        assert_eq!(self.met(session, rendezvous), [MeetEvent::Opened]);
        session
    }

    /// A new device and a primary at one rendezvous.
    fn pair(&mut self, rendezvous: RendezvousId) -> (SessionId, SessionId) {
        let new = self.waiting(rendezvous);
        let primary = self.connect(&mut Device::new(1));
        self.meet(primary, rendezvous, MeetStep::Join);
        let joined = self.met(new, rendezvous);
        assert!(matches!(joined[..], [MeetEvent::Joined]));
        assert_eq!(self.met(primary, rendezvous), joined);
        (new, primary)
    }
}

#[test]
fn two_sides_hear_each_other_and_nobody_else() {
    let mut world = World::new();
    let (new, primary) = world.pair(id(1));
    let eve = world.connect(&mut Device::new(3));
    world.take(eve);
    world.meet(new, id(1), MeetStep::Say(said(b"a key")));
    world.meet(primary, id(1), MeetStep::Say(said(b"another")));
    world.meet(eve, id(1), MeetStep::Say(said(b"mine")));
    assert_eq!(world.met(primary, id(1)), [MeetEvent::Said(said(b"a key"))]);
    assert_eq!(world.met(new, id(1)), [MeetEvent::Said(said(b"another"))]);
    assert_eq!(world.met(eve, id(1)), [ended(Rejection::NotFound)]);
    world.meet(new, id(1), MeetStep::Leave);
    assert_eq!(world.met(primary, id(1)), [ended(Rejection::Denied)]);
    assert!(world.met(new, id(1)).is_empty());
}

#[test]
fn a_side_whose_socket_broke_ends_the_talk_by_another() {
    let mut world = World::new();
    let (new, primary) = world.pair(id(1));
    let again = world.connect(&mut Device::new(3));
    world.take(again);
    world.meet(again, id(1), MeetStep::Leave);
    assert_eq!(world.met(primary, id(1)), [ended(Rejection::Denied)]);
    assert_eq!(world.met(new, id(1)), [ended(Rejection::Denied)]);
    assert!(world.met(again, id(1)).is_empty());
}

#[test]
fn a_certificate_is_taken_only_while_the_new_device_waits_for_it() {
    for leaves in [true, false] {
        let mut world = World::new();
        let mut ada = Device::new(1);
        let new = world.waiting(id(1));
        let primary = world.connect(&mut ada);
        world.meet(primary, id(1), MeetStep::Join);
        world.take(new);
        let (_, entry) = ada.link(2);
        if leaves {
            world.meet(new, id(1), MeetStep::Leave);
        }
        let op = Op::AppendLog { index: 1, entry, rendezvous: Some(id(1)) };
        let answer = world.ask(primary, op);
        let refused = Answer::Refused(Rejection::NotFound);
        assert_eq!(answer, if leaves { refused } else { Answer::Done });
        let read = world.ask(primary, Op::ReadLog { account: ada.account, from: 0 });
        let Answer::Log { entries, .. } = read else { panic!("{read:?}") };
        assert_eq!(entries.len(), if leaves { 1 } else { 2 });
    }
}

#[test]
fn a_rendezvous_is_used_once_until_its_time_is_over() {
    let mut world = World::new();
    let (new, primary) = world.pair(id(1));
    let bob = world.connect(&mut Device::new(2));
    world.take(bob);
    world.meet(bob, id(1), MeetStep::Join);
    world.meet(bob, id(1), MeetStep::Open);
    world.meet(primary, id(1), MeetStep::Leave);
    world.meet(bob, id(1), MeetStep::Join);
    world.meet(new, id(1), MeetStep::Open);
    assert_eq!(world.met(bob, id(1)), vec![ended(Rejection::Taken); 3]);
    let heard = world.met(new, id(1));
    assert_eq!(heard, [ended(Rejection::Denied), ended(Rejection::Taken)]);
    world.tick(world.now + limits::RENDEZVOUS_MS);
    world.meet(bob, id(1), MeetStep::Join);
    assert_eq!(world.met(bob, id(1)), [ended(Rejection::NotFound)]);
    world.waiting(id(1));
}

#[test]
fn only_a_session_joins_and_only_what_is_open() {
    let mut world = World::new();
    let new = world.waiting(id(1));
    let (stranger, _) = world.dial();
    world.meet(stranger, id(1), MeetStep::Join);
    assert_eq!(world.met(stranger, id(1)), [ended(Rejection::Denied)]);
    let primary = world.connect(&mut Device::new(1));
    world.take(primary);
    world.meet(primary, id(2), MeetStep::Join);
    assert_eq!(world.met(primary, id(2)), [ended(Rejection::NotFound)]);
    world.meet(primary, id(1), MeetStep::Join);
    assert!(matches!(world.met(new, id(1))[..], [MeetEvent::Joined]));
}

#[test]
fn a_rendezvous_ends_for_both_when_its_time_is_up() {
    let mut world = World::new();
    let (new, primary) = world.pair(id(1));
    let alone = world.waiting(id(2));
    world.tick(world.now + limits::RENDEZVOUS_MS - 1);
    assert!(world.met(new, id(1)).is_empty());
    world.now += 1;
    world.meet(primary, id(1), MeetStep::Say(said(b"too late")));
    assert_eq!(world.met(new, id(1)), [ended(Rejection::NotFound)]);
    assert_eq!(world.met(primary, id(1)), vec![ended(Rejection::NotFound); 2]);
    world.tick(world.now);
    assert_eq!(world.met(alone, id(2)), [ended(Rejection::NotFound)]);
    world.meet(primary, id(2), MeetStep::Join);
    assert_eq!(world.met(primary, id(2)), [ended(Rejection::NotFound)]);
}

#[test]
fn a_socket_that_closes_ends_its_rendezvous() {
    let mut world = World::new();
    let (new, primary) = world.pair(id(1));
    world.relay.disconnect(new, world.now);
    world.commit();
    assert_eq!(world.met(primary, id(1)), [ended(Rejection::Denied)]);
    let new = world.waiting(id(2));
    world.meet(primary, id(2), MeetStep::Join);
    world.take(new);
    world.relay.malformed(primary, Rejection::Invalid);
    world.commit();
    assert_eq!(world.met(new, id(2)), [ended(Rejection::Denied)]);
    let alone = world.waiting(id(3));
    world.relay.disconnect(alone, world.now);
    let bob = world.connect(&mut Device::new(2));
    world.take(bob);
    world.meet(bob, id(3), MeetStep::Join);
    assert_eq!(world.met(bob, id(3)), [ended(Rejection::NotFound)]);
}

#[test]
fn too_many_or_too_large_messages_end_it_for_both() {
    let mut world = World::new();
    let (new, primary) = world.pair(id(1));
    let largest = Blob(vec![7; limits::RENDEZVOUS_MESSAGE]);
    for _ in 0..limits::RENDEZVOUS_MESSAGES {
        world.meet(new, id(1), MeetStep::Say(largest.clone()));
    }
    assert_eq!(world.met(primary, id(1)).len(), limits::RENDEZVOUS_MESSAGES);
    world.meet(new, id(1), MeetStep::Say(said(b"one more")));
    assert_eq!(world.met(primary, id(1)), [ended(Rejection::Quota)]);
    assert_eq!(world.met(new, id(1)), [ended(Rejection::Quota)]);
    world.meet(new, id(2), MeetStep::Open);
    world.meet(primary, id(2), MeetStep::Join);
    world.inboxes.clear();
    let too_large = Blob(vec![7; limits::RENDEZVOUS_MESSAGE + 1]);
    world.meet(primary, id(2), MeetStep::Say(too_large));
    let limit = limits::RENDEZVOUS_MESSAGE as u64;
    assert_eq!(world.met(new, id(2)), [ended(Rejection::TooLarge { limit })]);
    assert_eq!(world.met(primary, id(2)), [ended(Rejection::TooLarge { limit })]);
}

#[test]
fn nobody_speaks_before_the_other_side_is_there() {
    let mut world = World::new();
    let new = world.waiting(id(1));
    world.meet(new, id(1), MeetStep::Say(said(b"hello?")));
    assert_eq!(world.met(new, id(1)), [ended(Rejection::Invalid)]);
}

#[test]
fn who_waits_at_a_rendezvous_need_not_say_hello_until_it_is_over() {
    let mut world = World::new();
    let new = world.waiting(id(1));
    let start = world.now;
    world.tick(start + limits::RENDEZVOUS_MS - 1);
    assert!(!world.closed.contains_key(&new));
    world.tick(start + limits::RENDEZVOUS_MS);
    assert_eq!(world.met(new, id(1)), [ended(Rejection::NotFound)]);
    world.tick(start + limits::RENDEZVOUS_MS + 9_999);
    assert!(!world.closed.contains_key(&new));
    world.tick(start + limits::RENDEZVOUS_MS + 10_000);
    assert_eq!(world.closed[&new], Rejection::Invalid);
}

#[test]
fn a_new_device_says_hello_on_the_socket_of_its_rendezvous() {
    let mut world = World::new();
    let (new, challenge) = world.dial();
    world.meet(new, id(1), MeetStep::Open);
    let mut ada = Device::new(1);
    let primary = world.connect(&mut ada);
    world.meet(primary, id(1), MeetStep::Join);
    let phone = world.link(primary, &mut ada, 2);
    world.send(new, ClientFrame::Hello(phone.hello(&challenge)));
    world.commit();
    assert!(world.relay.is_open(new));
    world.take(primary);
    world.meet(new, id(1), MeetStep::Say(said(b"done")));
    assert_eq!(world.met(primary, id(1)), [MeetEvent::Said(said(b"done"))]);
}

#[test]
fn a_session_is_at_one_rendezvous_and_the_relay_has_room_for_a_number_of_them() {
    let settings = Settings { rendezvous: 2, ..Settings::default() };
    let mut world = World::over(MemoryStore::new(), settings);
    let first = world.waiting(id(1));
    world.meet(first, id(2), MeetStep::Open);
    assert_eq!(world.met(first, id(2)), [BUSY]);
    let second = world.waiting(id(2));
    let primary = world.connect(&mut Device::new(1));
    world.take(primary);
    world.meet(primary, id(3), MeetStep::Open);
    assert_eq!(world.met(primary, id(3)), [BUSY]);
    world.meet(primary, id(1), MeetStep::Join);
    world.meet(primary, id(2), MeetStep::Join);
    assert_eq!(world.met(primary, id(2)), [BUSY]);
    world.meet(second, id(2), MeetStep::Leave);
    let third = world.waiting(id(3));
    assert!(!world.closed.contains_key(&third));
}

#[test]
fn without_a_session_there_is_an_end_to_what_one_may_try() {
    let mut world = World::new();
    let (new, _) = world.dial();
    let mut events = Vec::new();
    for n in 0..5 {
        world.meet(new, id(n), MeetStep::Open);
        world.meet(new, id(n), MeetStep::Leave);
        events.extend(world.met(new, id(n)));
    }
    let quota = ended(Rejection::Quota);
    assert_eq!(events[..4], vec![MeetEvent::Opened; 4]);
    assert_eq!(events[4..], [quota]);
    for _ in 0..54 {
        world.meet(new, id(9), MeetStep::Leave);
    }
    assert!(!world.closed.contains_key(&new));
    world.meet(new, id(9), MeetStep::Leave);
    assert_eq!(world.closed[&new], Rejection::Quota);
    let primary = world.connect(&mut Device::new(1));
    world.take(primary);
    for _ in 0..20 {
        world.meet(primary, id(9), MeetStep::Join);
    }
    let heard = world.met(primary, id(9));
    let slowed = heard.iter().filter(|e| matches!(e, MeetEvent::Ended(Rejection::Rate { .. })));
    assert_eq!(slowed.count(), 10);
}
