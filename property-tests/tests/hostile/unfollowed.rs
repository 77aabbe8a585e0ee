//! A relay that confirms a change of members and throws it away: its author goes on where nobody else
//! is.

use property_tests::World;
use sync_core::api::Member;
use sync_core::document::{Edit, Name, NewMessage, OrderKey, Stamp};
use sync_core::{Command, Response};
use sync_protocol::codec;
use sync_protocol::envelope::{Chain, Envelope, Header, Kind};
use sync_protocol::frames::{ClientFrame, RelayFrame, Run, Stored};
use sync_protocol::{EpochId, SpaceId};

use crate::relay_forks::generation;
use crate::support::cheat::{Cheat, root, stand};
use crate::support::forge::{self, Set};
use crate::support::{
    agree, conversation, evidence, honest_again, nothing_is_missing, says, shared,
};

/// Throws away the next handshakes of device 0, this many, and says that they are stored.
fn confirm_and_drop(world: &mut World, space: SpaceId, handshakes: u64) {
    let index = stand(world, 0, space).next;
    let generation = generation(world, space);
    let (dropped, told) = (shared(0), shared(0));
    let drops = dropped.clone();
    world.set_bender(Some(Box::new(move |device, frame| match &frame {
        ClientFrame::Push(push) if device == 0 && push.space == space => {
            let first = Envelope::parse(&push.envelopes[0].0).unwrap();
            let is_handshake = first.header.kind == Kind::Handshake;
            if is_handshake && *drops.borrow() < handshakes {
                *drops.borrow_mut() += 1;
                return Vec::new();
            }
            vec![frame]
        }
        _ => vec![frame],
    })));
    world.set_meddler(Some(Box::new(move |device, frame| {
        let mut out = vec![frame];
        if device == 0 && *told.borrow() < *dropped.borrow() {
            let at = index + *told.borrow();
            *told.borrow_mut() += 1;
            let run = Run { seq: 0, index: at, count: 1, time_ms: 1_800_000_000_000 };
            out.push(RelayFrame::Stored(Stored { space, generation, runs: vec![run] }));
        }
        out
    })));
}

/// The relay says something to device 0, and by that the false word as well.
fn bring_the_lie(world: &mut World, space: SpaceId) {
    for _ in 0..3 {
        world.expect(1, Command::Typing { conversation: space }).unwrap();
        world.pass(1_000).unwrap();
    }
}

fn removes_the_third(world: &mut World, space: SpaceId) {
    let member = Member::Address(world.book().people[2].address.clone());
    world.expect(0, Command::RemoveMember { conversation: space, member }).unwrap();
}

/// Whether a device takes itself for a member.
fn is_in(world: &mut World, device: usize, space: SpaceId) -> bool {
    match world.expect(device, Command::ListConversations).unwrap() {
        Response::Conversations(views) => {
            views.iter().any(|view| view.conversation == space && view.active)
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_removal_that_was_confirmed_and_thrown_away_is_made_again() {
    let (mut world, space) = conversation(11, 3);
    confirm_and_drop(&mut world, space, 1);
    removes_the_third(&mut world, space);
    world.pass(1_000).unwrap();
    bring_the_lie(&mut world, space);
    assert!(is_in(&mut world, 2, space), "nobody else has heard of it");
    world.say(1, space).unwrap();
    world.say(1, space).unwrap();
    world.pass(30_000).unwrap();
    let told = evidence(&mut world, 0, space);
    assert!(says(&told, "the relay lost what it had confirmed"), "{told:?}");
    honest_again(&mut world);
    world.say(1, space).unwrap();
    world.pass(60_000).unwrap();
    world.settle().unwrap();
    assert!(!is_in(&mut world, 2, space), "the third is out");
    agree(&mut world, &[0, 1], space);
    nothing_is_missing(&mut world, 0, space);
    nothing_is_missing(&mut world, 1, space);
}

#[test]
fn what_was_written_after_a_change_that_was_thrown_away_is_read_by_all() {
    let (mut world, space) = conversation(12, 3);
    confirm_and_drop(&mut world, space, 1);
    removes_the_third(&mut world, space);
    world.pass(1_000).unwrap();
    bring_the_lie(&mut world, space);
    honest_again(&mut world);
    world.say(1, space).unwrap();
    world.say(1, space).unwrap();
    world.pass(60_000).unwrap();
    world.say(0, space).unwrap();
    world.pass(30_000).unwrap();
    world.settle().unwrap();
    agree(&mut world, &[0, 1], space);
    nothing_is_missing(&mut world, 1, space);
}

/// A message under the keys of an epoch that ended, by who says that it has seen the whole log.
fn writes_past(world: &mut World, cheat: &mut Cheat, space: SpaceId, of: EpochId) {
    let now = stand(world, cheat.device, space);
    let stamp = Stamp { ms: world.now_ms(), counter: 7 };
    let key = OrderKey { stamp, tag: cheat.writer.tag() };
    let edit = Edit::Message(NewMessage::new(key, "as if nothing had happened"));
    let name = Name::Messages(0);
    let set = Set::of(name.clone(), cheat.changes(world, space, &name, &[edit]));
    let commitment = set.commitment();
    // The next of its chain.
    cheat.content_of(world, space, b"", commitment);
    let tip = cheat.tip(space);
    let mut header = Header::new(Kind::Content, of, now.next);
    header.chain = Some(Chain { seq: tip.seq, commitment, link: tip.link });
    let key = forge::content_key(&root(world, cheat.device, space, of), &cheat.writer);
    let plaintext = codec::encode(&set.plaintext([0; 8]));
    let envelope = cheat.sealed(space, header, &key, &plaintext);
    cheat.store(world, space, vec![envelope]);
}

#[test]
fn a_member_that_writes_past_a_change_makes_nobody_give_it_up() {
    let (mut world, space) = conversation(13, 3);
    let mut cheat = Cheat::with_keys_of(&mut world, 1, 0);
    let before = stand(&world, 0, space);
    removes_the_third(&mut world, space);
    world.pass(3_000).unwrap();
    for _ in 0..3 {
        writes_past(&mut world, &mut cheat, space, before.epoch);
        world.pass(10_000).unwrap();
    }
    let told = evidence(&mut world, 0, space);
    assert!(says(&told, "content stands where its author did not put it"), "{told:?}");
    assert!(!says(&told, "the relay lost what it had confirmed"), "{told:?}");
    let after = stand(&world, 0, space);
    assert_eq!(after.number, before.number + 1, "nobody came in anew");
    assert!(!is_in(&mut world, 2, space), "the third is out");
    for device in [0, 1] {
        world.say(device, space).unwrap();
        world.settle().unwrap();
    }
    agree(&mut world, &[0, 1], space);
    nothing_is_missing(&mut world, 1, space);
}
