//! A relay that alters, moves and invents.

use property_tests::chance::Chance;
use property_tests::{Plan, World};
use sync_core::api::Response;
use sync_core::group::{Identity, new_key_package};
use sync_core::{Command, Failure};
use sync_protocol::codec::Blob;
use sync_protocol::device_log::{Action, DeviceKeys, LogEntry, sign_entry};
use sync_protocol::frames::{Answer, Delivery, Entries, Entry, RelayFrame, Reply, Taken};
use sync_protocol::hash::{self, Domain};
use sync_protocol::ids::LogHead;
use sync_protocol::{DeviceId, SpaceId};

use ed25519_dalek::SigningKey;

use crate::support::cheat::stand;
use crate::support::{
    agree, conversation, entries_frame, evidence, honest_again, lie_to, nothing_is_missing, says,
    shared, shown,
};

/// Bits of envelopes that are flipped, one at a time.
const ENVELOPE_BITS: usize = 400;
/// Bits of whole frames.
const FRAME_BITS: usize = 400;

fn flip(bytes: &mut [u8], chance: &mut Chance) {
    let bit = chance.index(bytes.len() * 8);
    if let Some(byte) = bytes.get_mut(bit / 8) {
        *byte ^= 1 << (bit % 8);
    }
}

#[test]
fn an_envelope_with_any_bit_flipped_is_not_taken_and_its_good_copy_is() {
    let (mut world, space) = conversation(1, 2);
    let left = shared(0usize);
    let chance = shared(Chance::new(9));
    let (still, dice) = (left.clone(), chance.clone());
    lie_to(&mut world, 1, space, move |mut entries| {
        for entry in &mut entries.entries {
            if *still.borrow() > 0 {
                *still.borrow_mut() -= 1;
                flip(&mut entry.envelope.0, &mut dice.borrow_mut());
            }
        }
        vec![entries]
    });
    for _ in 0..ENVELOPE_BITS / 4 {
        // The same entry altered four times in different ways, then as it is.
        *left.borrow_mut() = 4;
        let message = world.say(0, space).unwrap();
        world.pass(2_000).unwrap();
        let seen = shown(&mut world, 1, space);
        assert!(seen.iter().all(|face| face.message != message), "taken though altered");
        world.pass(30_000).unwrap();
    }
    assert_eq!(*left.borrow(), 0);
    world.set_meddler(None);
    world.settle().unwrap();
    agree(&mut world, &[0, 1], space);
    nothing_is_missing(&mut world, 1, space);
}

#[test]
fn frames_with_any_bit_flipped_harm_nobody() {
    let (mut world, space) = conversation(2, 3);
    let chance = shared(Chance::new(5));
    let flipped = shared(0usize);
    let (dice, count) = (chance.clone(), flipped.clone());
    world.set_tamperer(Some(Box::new(move |device, message| {
        let mut message = message.to_vec();
        if device == 1 && *count.borrow() < FRAME_BITS && dice.borrow_mut().one_in(3) {
            *count.borrow_mut() += 1;
            flip(&mut message, &mut dice.borrow_mut());
        }
        message
    })));
    for round in 0..FRAME_BITS {
        world.say(round % 3, space).unwrap();
        world.pass(20_000).unwrap();
        if *flipped.borrow() >= FRAME_BITS {
            break;
        }
    }
    assert_eq!(*flipped.borrow(), FRAME_BITS);
    honest_again(&mut world);
    let digests: Vec<_> =
        (0..3).map(|device| crate::support::digest(&mut world, device, space)).collect();
    // Times are the relay's word: all else is the authors', and the same everywhere.
    for digest in &digests {
        assert_eq!(digest.frontier, digests[0].frontier);
        assert_eq!(digest.documents, digests[0].documents);
    }
    // A device that was made believe in a copy of itself wrote on as somebody new: by the text.
    let shown = crate::support::shown(&mut world, 1, space);
    for written in world.book().written.values() {
        assert!(shown.iter().any(|face| face.text == written.first), "{}", written.first);
    }
}

/// The last delivered entry of one writer, put at the end of what another conversation delivers.
fn moved(entries: Entries, from: &Entries) -> Vec<Entries> {
    let end = entries.first + entries.entries.len() as u64;
    let stray = Entries { space: entries.space, first: end, head: end + 1, ..from.clone() };
    vec![entries, stray]
}

#[test]
fn an_envelope_of_another_space_or_of_another_device_is_not_taken() {
    for change_writer in [false, true] {
        let (mut world, space) = conversation(3, 3);
        let other = world.converse(0, &[1, 2]).unwrap();
        world.settle().unwrap();
        let caught = shared(None::<Entries>);
        let (catch, heard) = (caught.clone(), caught.clone());
        world.set_meddler(Some(Box::new(move |device, frame| match frame {
            RelayFrame::Delivery(Delivery::Entries(entries)) if device == 1 => {
                if entries.space == other {
                    *catch.borrow_mut() = Some(entries.clone());
                    return vec![entries_frame(entries)];
                }
                let Some(mut from) = heard.borrow_mut().take() else {
                    return vec![entries_frame(entries)];
                };
                if change_writer && let Some(writer) = entries.writers.first() {
                    from.writers = vec![*writer; from.writers.len()];
                }
                moved(entries, &from).into_iter().map(entries_frame).collect()
            }
            frame => vec![frame],
        })));
        let strays = world.say(0, other).unwrap();
        world.pass(3_000).unwrap();
        assert!(caught.borrow().is_some());
        evidence(&mut world, 1, space);
        for author in [2, 0] {
            world.say(author, space).unwrap();
            world.pass(3_000).unwrap();
        }
        let told = evidence(&mut world, 1, space);
        assert!(!told.is_empty(), "nobody noticed");
        assert!(!says(&told, "one number for two"), "the relay's doing put on a writer: {told:?}");
        assert!(shown(&mut world, 1, space).iter().all(|face| face.message != strays));
        honest_again(&mut world);
        world.say(0, space).unwrap();
        world.settle().unwrap();
        for of in [space, other] {
            agree(&mut world, &[0, 1, 2], of);
            nothing_is_missing(&mut world, 1, of);
        }
    }
}

#[test]
fn an_envelope_under_a_number_that_its_writer_used_is_not_put_on_its_writer() {
    let (mut world, space) = conversation(4, 3);
    lie_to(&mut world, 1, space, |entries| {
        let end = entries.first + entries.entries.len() as u64;
        // The newest envelope once more behind itself, with another link.
        let mut again = entries.entries.last().cloned().into_iter().collect::<Vec<Entry>>();
        for entry in &mut again {
            let link = link_at(&entry.envelope.0);
            if let Some(byte) = link.and_then(|at| entry.envelope.0.get_mut(at)) {
                *byte ^= 1;
            }
        }
        let stray = Entries { first: end, head: end + 1, entries: again, ..entries.clone() };
        vec![entries, stray]
    });
    world.say(0, space).unwrap();
    world.pass(3_000).unwrap();
    let told = evidence(&mut world, 1, space);
    assert!(!told.is_empty() && !says(&told, "one number for two"), "{told:?}");
    honest_again(&mut world);
    world.say(0, space).unwrap();
    world.settle().unwrap();
    agree(&mut world, &[0, 1, 2], space);
}

/// Where the last byte of a content envelope's link lies.
fn link_at(envelope: &[u8]) -> Option<usize> {
    let parsed = sync_protocol::envelope::Envelope::parse(envelope).ok()?;
    let link = parsed.header.chain?.link;
    let at = envelope.windows(32).position(|window| window == link.as_bytes())?;
    Some(at + 31)
}

/// A device that no account has: keys, and the key package that it would like to be added by.
fn stranger(world: &World, of: usize) -> (DeviceKeys, DeviceId, Blob) {
    let signing = SigningKey::from_bytes(&[77; 32]);
    let account = world.book().account_of(of).unwrap();
    let identity = Identity::new(account, signing.clone());
    let made = new_key_package(&identity, [78; 32], false).unwrap();
    let keys = DeviceKeys { signing: signing.verifying_key().to_bytes(), hpke: [9; 32] };
    (keys, identity.device, Blob(made.bytes))
}

fn two_strangers(seed: u64) -> World {
    let mut world = World::with(seed, Plan::calm(3));
    world.sign_up().unwrap();
    world
}

/// Changes the answers that a device gets.
fn answer(world: &mut World, victim: usize, mut change: impl FnMut(Answer) -> Answer + 'static) {
    world.set_meddler(Some(Box::new(move |device, frame| match frame {
        RelayFrame::Reply(Reply { id, answer }) if device == victim => {
            vec![RelayFrame::Reply(Reply { id, answer: change(answer) })]
        }
        frame => vec![frame],
    })));
}

fn devices_of(world: &mut World, device: usize, space: SpaceId) -> Vec<DeviceId> {
    use sync_core::group::Group;
    use sync_core::records::Load;
    let prefix = Load::Group(space).prefix();
    let records = world.device(device).disk.read(&prefix);
    let records = records.into_iter().map(|(key, value)| (key[prefix.len()..].to_vec(), value));
    let group = Group::load(space, records.collect()).unwrap();
    group.leaves().into_iter().map(|leaf| leaf.device).collect()
}

#[test]
fn a_device_that_its_account_never_certified_is_not_added_and_gets_no_key() {
    let mut world = two_strangers(5);
    let (_, device, package) = stranger(&world, 1);
    answer(&mut world, 0, move |answer| match answer {
        Answer::KeyPackages(mut taken) => {
            taken.push(Taken { device, package: package.clone() });
            Answer::KeyPackages(taken)
        }
        other => other,
    });
    let space = world.converse(0, &[1, 2]).unwrap();
    world.settle().unwrap();
    world.say(0, space).unwrap();
    world.set_meddler(None);
    world.settle().unwrap();
    for n in 0..3 {
        let leaves = devices_of(&mut world, n, space);
        assert!(leaves.len() == 3 && !leaves.contains(&device), "{leaves:?}");
    }
    agree(&mut world, &[0, 1, 2], space);
}

#[test]
fn a_key_package_of_somebody_else_in_anothers_name_adds_nobody() {
    let mut world = two_strangers(6);
    let (_, device, package) = stranger(&world, 1);
    answer(&mut world, 0, move |answer| match answer {
        Answer::KeyPackages(taken) => Answer::KeyPackages(
            taken.into_iter().map(|_| Taken { device, package: package.clone() }).collect(),
        ),
        other => other,
    });
    let space = world.converse(0, &[1]).unwrap();
    world.pass(30_000).unwrap();
    let leaves = devices_of(&mut world, 0, space);
    assert!(leaves.len() == 1 && !leaves.contains(&device), "{leaves:?}");
}

#[test]
fn a_device_log_with_an_entry_that_its_account_never_signed_leads_to_nobody() {
    let mut world = two_strangers(7);
    let account = world.book().account_of(1).unwrap();
    let (keys, ..) = stranger(&world, 1);
    let forged = shared(0);
    let count = forged.clone();
    answer(&mut world, 0, move |answer| match answer {
        Answer::Log { account: of, from, mut entries } if of == account => {
            let head = entries.iter().fold([0; 32], |head, entry| {
                let domain = Domain::new("rejoinder device log head v1");
                hash::hash(domain, &[&head, entry.as_slice()])
            });
            let action = Action::AddDevice { device: keys, countersignature: vec![1; 64] };
            let index = entries.len() as u64;
            let previous = LogHead::from_bytes(head);
            let entry = LogEntry { version: 1, index, previous, action, escrow: None };
            let by = SigningKey::from_bytes(&[79; 32]);
            entries.push(Blob(sign_entry(&account, &entry, &by)));
            *count.borrow_mut() += 1;
            Answer::Log { account: of, from, entries }
        }
        other => other,
    });
    let address = world.book().people[1].address.clone();
    let found = world.ask(0, Command::LookupContact { address: address.clone() }).unwrap();
    assert!(matches!(found, Err(Failure::Refused(_))), "{found:?}");
    assert_eq!(*forged.borrow(), 1);
    let command = Command::CreateConversation { title: "t".into(), members: vec![address] };
    if let Ok(Response::Conversation(space)) = world.ask(0, command).unwrap() {
        world.pass(30_000).unwrap();
        assert_eq!(devices_of(&mut world, 0, space).len(), 1);
    }
}

#[test]
fn what_a_relay_altered_before_a_change_of_members_is_read_once_it_is_honest() {
    let (mut world, space) = conversation(21, 3);
    let at = stand(&world, 0, space).next;
    lie_to(&mut world, 0, space, move |mut entries| {
        let place = at.checked_sub(entries.first).and_then(|place| usize::try_from(place).ok());
        if let Some(entry) = place.and_then(|place| entries.entries.get_mut(place))
            && let Some(byte) = entry.envelope.0.last_mut()
        {
            *byte ^= 1;
        }
        vec![entries]
    });
    world.say(1, space).unwrap();
    world.pass(30_000).unwrap();
    let told = evidence(&mut world, 0, space);
    assert!(says(&told, "the relay has no good copy of it"), "{told:?}");
    let title = "Another title".to_owned();
    world.expect(0, Command::SetTitle { conversation: space, title }).unwrap();
    world.pass(10_000).unwrap();
    world.say(1, space).unwrap();
    world.pass(30_000).unwrap();
    honest_again(&mut world);
    world.say(1, space).unwrap();
    world.pass(30_000).unwrap();
    world.settle().unwrap();
    agree(&mut world, &[0, 1, 2], space);
    nothing_is_missing(&mut world, 0, space);
}
