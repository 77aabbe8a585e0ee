//! A change of members that reaches all but one: altered on the way, sealed to nobody, or written
//! twice. The one it does not reach stops writing there, says so, and comes back where the others
//! are.

use property_tests::World;
use sync_core::Command;
use sync_core::api::Member;
use sync_protocol::SpaceId;

use sync_protocol::envelope::{Envelope, Kind};
use sync_protocol::frames::{Delivery, RelayFrame};

use crate::support::cheat::{Cheat, stand};
use crate::support::ways_in::{Handshake, Tap, group, handshake, header, real_commit};
use crate::support::{
    conversation, entries_frame, evidence, forge, lie_to, shared, shown, the_group_goes_on,
};

/// Flips one bit of the payload of the first handshake that a member is shown from here on, once.
fn flip_one_bit(world: &mut World, victim: usize, space: SpaceId, at: usize) {
    let mut done = false;
    lie_to(world, victim, space, move |mut entries| {
        for entry in &mut entries.entries {
            let parsed = Envelope::parse(entry.envelope.as_slice()).unwrap();
            if parsed.header.kind == Kind::Handshake && !done {
                let payload = parsed.payload();
                let bytes = &mut entry.envelope.0;
                let begins = bytes.windows(payload.len()).position(|part| part == payload);
                bytes[begins.unwrap() + at] ^= 1;
                done = true;
            }
        }
        vec![entries]
    });
}

#[test]
fn one_flipped_bit_of_a_change_parts_nobody_from_the_others() {
    for (seed, removes, at) in [(1, false, 40), (2, true, 40), (3, true, 0), (4, false, 200)] {
        let (mut world, space) = conversation(seed, 3);
        flip_one_bit(&mut world, 1, space, at);
        let tap = Tap::on(&mut world, |_, _| false);
        let before = group(&world, 2, space);
        if removes {
            let member = Member::Address(world.book().people[2].address.clone());
            world.expect(0, Command::RemoveMember { conversation: space, member }).unwrap();
        } else {
            let title = format!("{}new", property_tests::MARK);
            world.expect(0, Command::SetTitle { conversation: space, title }).unwrap();
        }
        world.wait_until_stored(0).unwrap();
        let said = world.say(1, space).unwrap();
        world.pass(60_000).unwrap();
        world.settle().unwrap();
        assert_eq!(stand(&world, 0, space).epoch, stand(&world, 1, space).epoch);
        assert!(shown(&mut world, 0, space).iter().any(|face| face.message == said));
        let left: [u8; 32] = *before.root();
        assert!(!removes || tap.opened(&world, 1, space, &left) == 0, "it reads what is new");
        world.set_bender(None);
        let members: &[usize] = if removes { &[0, 1] } else { &[0, 1, 2] };
        the_group_goes_on(&mut world, space, members);
    }
}

/// The kind of a group's records that holds private keys.
const KEY_PAIRS: u8 = 15;

/// No library makes a commit that opens for all but one, so it is the victim's own key that does not
/// fit here: to everybody it is the same.
fn spoil_the_keys(world: &mut World, device: usize, space: SpaceId) {
    let prefix = sync_core::records::Load::Group(space).prefix();
    let records = world.device(device).disk.read(&prefix);
    let mut batch = sync_core::records::Batch::default();
    for (key, pairs) in records.into_iter().filter(|(key, _)| key[prefix.len()] == KEY_PAIRS) {
        // How many, and of each the public and the private half, each after its length.
        let spoiled: Vec<u8> = (pairs.iter().enumerate())
            .map(|(at, byte)| if at % 66 == 1 + 34 + 10 { byte ^ 1 } else { *byte })
            .collect();
        batch.put(key, spoiled);
    }
    assert!(!batch.writes.is_empty());
    assert!(world.device_mut(device).disk.write(batch));
}

#[test]
fn a_member_for_whom_a_commit_does_not_open_comes_back_and_goes_on() {
    for seed in [5, 6] {
        let (mut world, space) = conversation(seed, 3);
        world.cheat();
        world.crash_device(2, 1_000);
        spoil_the_keys(&mut world, 2, space);
        world.pass(5_000).unwrap();
        let mut cheat = Cheat::with_keys_of(&mut world, 1, 0);
        let roster = group(&world, 1, space).context().roster.clone();
        let header = header(&world, 1, space);
        let made = real_commit(&world, &cheat, space, header, (vec![], vec![]), (roster, vec![]));
        let heard = cheat.push(&mut world, space, vec![made.envelope]);
        assert!(heard.iter().any(|frame| matches!(frame, RelayFrame::Stored(_))), "{heard:?}");
        world.pass(2_000).unwrap();
        assert_eq!(stand(&world, 0, space).epoch, made.child);
        let tap = Tap::on(&mut world, |_, _| false);
        let lost = world.say(2, space).unwrap();
        let said = world.say(0, space).unwrap();
        world.pass(600_000).unwrap();
        assert!(!world.status(2).unwrap().up_to_date, "it does not say that it is out");
        assert!(tap.written(2, space).is_empty(), "it writes where nobody is any more");
        // The next change by anybody leaves a ticket to where the others are.
        let title = format!("{}on", property_tests::MARK);
        world.expect(0, Command::SetTitle { conversation: space, title }).unwrap();
        world.pass(600_000).unwrap();
        world.settle().unwrap();
        assert!(shown(&mut world, 0, space).iter().any(|face| face.message == lost));
        // What was said meanwhile is sealed from it: it says that there is something.
        let reads = shown(&mut world, 2, space).iter().any(|face| face.message == said);
        assert!(reads || world.status(2).unwrap().unreadable > 0);
        for author in [0, 2] {
            let said = world.say(author, space).unwrap();
            world.settle().unwrap();
            for device in [0, 2] {
                let shown = shown(&mut world, device, space);
                assert!(shown.iter().any(|face| face.message == said), "{author} to {device}");
            }
        }
        assert_eq!(stand(&world, 0, space).epoch, stand(&world, 2, space).epoch);
    }
}

/// A member signs two handshakes of one name, and the relay shows one of them to one alone.
#[test]
fn a_member_that_is_shown_a_twin_of_a_change_is_told() {
    let (mut world, space) = conversation(7, 3);
    let mut cheat = Cheat::with_keys_of(&mut world, 2, 0);
    let roster = group(&world, 2, space).context().roster.clone();
    let header = header(&world, 2, space);
    let changes = (vec![], vec![]);
    let made = real_commit(&world, &cheat, space, header.clone(), changes, (roster, vec![]));
    let Handshake { envelope, child, root, group_info, .. } = made;
    let binding = sync_core::group::Group::binding_of(&group_info).unwrap();
    let commitment = forge::key_commitment(&root, &binding);
    let (twin, named) = handshake(&world, &cheat, space, &header, (commitment, b"nothing"));
    assert_eq!(named, child);
    let shows = shared(true);
    let lies = shows.clone();
    world.set_meddler(Some(Box::new(move |to, frame| match frame {
        RelayFrame::Delivery(Delivery::Entries(mut entries))
            if to == 1 && entries.space == space && *lies.borrow() =>
        {
            for entry in &mut entries.entries {
                let parsed = Envelope::parse(entry.envelope.as_slice()).unwrap();
                if parsed.header.child == Some(child) {
                    entry.envelope = twin.clone();
                }
            }
            vec![entries_frame(entries)]
        }
        frame => vec![frame],
    })));
    cheat.push(&mut world, space, vec![envelope]);
    world.pass(3_000).unwrap();
    assert_eq!(stand(&world, 0, space).epoch, child);
    assert_ne!(stand(&world, 1, space).epoch, child, "it was shown nothing that opens");
    world.say(0, space).unwrap();
    world.pass(60_000).unwrap();
    let told = evidence(&mut world, 1, space);
    assert!(!told.is_empty(), "nothing was told to whom the relay lies");
}
