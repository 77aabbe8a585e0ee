//! A disk that is full to its reserve: nothing new is taken, and everything else goes on.

use sync_protocol::error::Rejection;
use sync_protocol::frames::{Answer, InboxPut, Op};

use crate::support::{Device, push, space};
use crate::world::{World, refusals, stored};

#[test]
fn a_full_disk_is_told_and_devices_read_acknowledge_and_end_devices_meanwhile() {
    let (mut world, mut ada, session) = World::founded();
    let other = world.link(session, &mut ada, 5);
    world.take(session);
    world.relay.set_full(true);
    let set = ada.content(space(1), 1);
    world.send(session, push(space(1), vec![set.clone()]));
    world.commit();
    let refused = refusals(&world.take(session));
    assert!(matches!(refused.as_slice(), [Rejection::Full { .. }]), "{refused:?}");
    let item = InboxPut { account: ada.account, device: other.id, item: Default::default() };
    assert!(matches!(
        world.ask(session, Op::PutInbox(item)),
        Answer::Refused(Rejection::Full { .. })
    ));
    // Nobody new comes; whoever is known does, reads, acknowledges, and can end a device.
    let eve = Device::new(9);
    let late = world.hello(&eve);
    assert!(matches!(world.closed.get(&late), Some(Rejection::Full { .. })));
    let session = world.connect(&mut ada);
    assert_eq!(world.ask(session, Op::Fetch { space: space(1), from: 0, to: 1 }), Answer::Done);
    assert_eq!(world.ask(session, Op::AckInbox { number: 1 }), Answer::Done);
    world.revoke(session, &mut ada, other.id);
    // With room again, the same is taken.
    world.relay.set_full(false);
    world.take(session);
    world.send(session, push(space(1), vec![set]));
    world.commit();
    assert_eq!(stored(&world.take(session)).len(), 1);
}

#[test]
fn who_is_told_to_come_back_comes_the_later_the_more_they_are() {
    let mut world = World::new();
    let mut sessions = Vec::new();
    for n in 0..100 {
        sessions.push(world.connect(&mut Device::new(n + 1)));
    }
    world.relay.drain(1_000, world.now);
    world.commit();
    let mut told: Vec<u64> = sessions
        .iter()
        .map(|session| match world.closed.get(session) {
            Some(Rejection::Unavailable { retry_ms }) => *retry_ms,
            other => panic!("{other:?}"),
        })
        .collect();
    told.sort_unstable();
    told.dedup();
    assert_eq!(told.len(), 100, "no two at once");
    assert!(told.iter().all(|ms| (1_000..1_000 + 100 * 10).contains(ms)));
}
