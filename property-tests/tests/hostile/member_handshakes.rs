//! A member that cheats with who is in: commits that are garbage or add whom nobody certified,
//! invitations that make no sense, and history that is not what it was.

use ed25519_dalek::SigningKey;
use minicbor::Encode;
use property_tests::{Plan, World};
use sync_core::Command;
use sync_core::group::{Change, Group, Identity, new_key_package};
use sync_core::records::Load;
use sync_protocol::codec::{self, Blob};
use sync_protocol::envelope::{CommitHeader, Header, Kind, epoch_id};
use sync_protocol::frames::{
    Answer, ClientFrame, InboxPut, Op, Push, RelayFrame, WelcomeFor, Welcomes,
};
use sync_protocol::hash::{self, Domain};
use sync_protocol::ids::{Commitment, LogHead};
use sync_protocol::roster::{Role, RosterChange};
use sync_protocol::{AccountId, DeviceId, SpaceId};

use crate::support::cheat::{Cheat, Keys, root, stand};
use crate::support::{agree, conversation, forge, the_group_goes_on};

/// What a handshake seals.
#[derive(Encode)]
#[cbor(map)]
struct SealedCommit {
    #[n(0)]
    message: Blob,
    #[n(1)]
    logs: Vec<(AccountId, Vec<Blob>)>,
    #[n(2)]
    people: Vec<u8>,
}

/// A commit header that the relay takes for one.
fn commit(world: &World, cheat: &Cheat, space: SpaceId) -> CommitHeader {
    let now = stand(world, cheat.device, space);
    CommitHeader {
        parent: now.epoch,
        number: now.number + 1,
        min_version: 1,
        roster: Vec::new(),
        logs: Vec::new(),
        cuts: Vec::new(),
        intents: Vec::new(),
        ticket: None,
        era: 0,
    }
}

/// Seals anything as a handshake of the cheat's.
fn handshake(
    world: &World,
    cheat: &Cheat,
    space: SpaceId,
    commit: &CommitHeader,
    (commitment, plaintext): ([u8; 32], &[u8]),
) -> Blob {
    let now = stand(world, cheat.device, space);
    let key = forge::handshake_key(&root(world, cheat.device, space, now.epoch));
    let mut header = Header::new(Kind::Handshake, now.epoch, now.next);
    let bytes = codec::encode(commit);
    header.child = Some(epoch_id(&space, &commit.parent, &bytes, &commitment));
    header.commit = Some(Blob(bytes));
    header.commitment = Some(Commitment::from_bytes(commitment));
    cheat.sealed(space, header, &key, plaintext)
}

fn group(world: &World, device: usize, space: SpaceId) -> Group {
    let prefix = Load::Group(space).prefix();
    let records = world.device(device).disk.read(&prefix);
    let records = records.into_iter().map(|(key, value)| (key[prefix.len()..].to_vec(), value));
    Group::load(space, records.collect()).unwrap()
}

#[test]
fn commits_of_garbage_are_passed_over_by_all_and_the_group_goes_on() {
    let (mut world, space) = conversation(1, 3);
    let mut cheat = Cheat::with_keys_of(&mut world, 2, 0);
    let sealed = |message: Vec<u8>| {
        codec::encode(&SealedCommit { message: Blob(message), logs: Vec::new(), people: vec![] })
    };
    let payloads =
        [Vec::new(), vec![0xff; 2_000], sealed(Vec::new()), sealed(vec![0, 1, 0, 1, 9, 9, 9])];
    for (n, payload) in payloads.iter().enumerate() {
        let epoch = stand(&world, 0, space).epoch;
        let header = commit(&world, &cheat, space);
        let commitment = [n as u8 + 1; 32];
        let envelope = handshake(&world, &cheat, space, &header, (commitment, payload));
        cheat.store(&mut world, space, vec![envelope]);
        assert_eq!(stand(&world, 0, space).epoch, epoch);
        world.say(1, space).unwrap();
        world.settle().unwrap();
    }
    the_group_goes_on(&mut world, space, &[0, 1, 2]);
}

#[test]
fn a_commit_that_changes_what_its_author_may_not_is_refused() {
    let (mut world, space) = conversation(2, 3);
    let mut cheat = Cheat::with_keys_of(&mut world, 2, 0);
    let victim = world.book().account_of(1).unwrap();
    let own = cheat.keys.account;
    for change in [
        RosterChange::Remove { account: victim },
        RosterChange::SetRole { account: own, role: Role::Admin },
        RosterChange::SetRole { account: victim, role: Role::Admin },
        RosterChange::AddDevices { account: victim, devices: vec![cheat.writer.device] },
    ] {
        let header = CommitHeader { roster: vec![change], ..commit(&world, &cheat, space) };
        let envelope = handshake(&world, &cheat, space, &header, ([1; 32], b"x"));
        let heard = cheat.push(&mut world, space, vec![envelope]);
        let refused = heard.iter().any(|frame| matches!(frame, RelayFrame::Refused { .. }));
        assert!(refused, "{heard:?}");
    }
    the_group_goes_on(&mut world, space, &[0, 1, 2]);
}

/// An admin's real commit that adds a device which its account's log does not have.
fn smuggle(world: &mut World, cheat: &mut Cheat, space: SpaceId, of: AccountId) -> DeviceId {
    let signing = SigningKey::from_bytes(&[77; 32]);
    let stranger = Identity::new(of, signing);
    let package = new_key_package(&stranger, [78; 32], false).unwrap().bytes;
    let heard = cheat.ask(world, Op::ReadLog { account: of, from: 0 });
    let log = heard.into_iter().find_map(|frame| match frame {
        RelayFrame::Reply(reply) => match reply.answer {
            Answer::Log { entries, .. } => Some(entries),
            _ => None,
        },
        _ => None,
    });
    let log = log.unwrap();
    let head = log.iter().fold([0; 32], |head, entry| {
        hash::hash(Domain::new("rejoinder device log head v1"), &[&head, entry.as_slice()])
    });
    let devices = vec![stranger.device];
    let header = CommitHeader {
        roster: vec![RosterChange::AddDevices { account: of, devices }],
        logs: vec![(of, log.len() as u64, LogHead::from_bytes(head))],
        ..commit(world, cheat, space)
    };
    let bytes = codec::encode(&header);
    let mut group = group(world, cheat.device, space);
    let context = group.context().clone();
    let identity = Identity::new(cheat.keys.account, cheat.keys.signing());
    let change = Change { add: vec![package], remove: Vec::new(), context };
    let made = group.commit(&identity, &change, &CommitHeader::hash(&bytes), [9; 32]).unwrap();
    let binding = Group::binding_of(&made.group_info).unwrap();
    let commitment = forge::key_commitment(&made.child_root, &binding);
    let message = Blob(made.message);
    let sealed = SealedCommit { message, logs: vec![(of, log)], people: Vec::new() };
    let plaintext = codec::encode(&sealed);
    let envelope = handshake(world, cheat, space, &header, (commitment, &plaintext));
    cheat.store(world, space, vec![envelope]);
    stranger.device
}

#[test]
fn an_admins_commit_that_adds_an_uncertified_device_is_passed_over_by_all() {
    let (mut world, space) = conversation(3, 3);
    let mut cheat = Cheat::with_keys_of(&mut world, 0, 0);
    let victim = world.book().account_of(1).unwrap();
    let epoch = stand(&world, 1, space).epoch;
    for of in [cheat.keys.account, victim] {
        let device = smuggle(&mut world, &mut cheat, space, of);
        for member in [0, 1, 2] {
            assert!(!group(&world, member, space).contains(&device), "{member} let it in");
            assert_eq!(stand(&world, member, space).epoch, epoch);
        }
    }
    the_group_goes_on(&mut world, space, &[0, 1, 2]);
}

#[test]
fn invitations_that_make_no_sense_are_dropped_and_a_good_one_still_works() {
    let (mut world, space) = conversation(4, 3);
    let mut cheat = Cheat::with_keys_of(&mut world, 2, 0);
    let account = world.book().account_of(1).unwrap();
    let device = Keys::of(&world, 1).device();
    for item in
        [Vec::new(), vec![0xff; 4_000], vec![0xa2, 0, 0x41, 1, 1, 0x41, 2], vec![0; 500_000]]
    {
        let put = InboxPut { account, device, item: Blob(item) };
        let heard = cheat.ask(&mut world, Op::PutInbox(put));
        assert!(!heard.is_empty());
    }
    let oversized = InboxPut { account, device, item: Blob(vec![0; 600_000]) };
    let heard = cheat.ask(&mut world, Op::PutInbox(oversized));
    let refused = heard.iter().any(|frame| match frame {
        RelayFrame::Reply(reply) => matches!(reply.answer, Answer::Refused(_)),
        _ => false,
    });
    assert!(refused, "{heard:?}");
    // A welcome of garbage with a commit of garbage.
    let header = commit(&world, &cheat, space);
    let envelope = handshake(&world, &cheat, space, &header, ([1; 32], b"x"));
    let items = vec![WelcomeFor { account, device, item: Blob(vec![7; 300]) }];
    let welcomes = Some(Welcomes { common: Blob(vec![7; 300]), items });
    let push = Push { space, envelopes: vec![envelope], welcomes, ticket: None };
    cheat.say(&mut world, &ClientFrame::Push(push));
    world.settle().unwrap();
    let other = world.converse(0, &[1]).unwrap();
    world.settle().unwrap();
    world.say(1, other).unwrap();
    world.settle().unwrap();
    agree(&mut world, &[0, 1], other);
    the_group_goes_on(&mut world, space, &[0, 1, 2]);
}

#[test]
fn a_drain_of_key_packages_keeps_nobody_from_being_added() {
    let mut world = World::with(9, Plan::calm(4));
    world.sign_up().unwrap();
    let mut cheat = Cheat::with_keys_of(&mut world, 3, 0);
    let account = world.book().account_of(1).unwrap();
    // Bob can't make new ones meanwhile.
    world.expect(1, Command::GoOffline).unwrap();
    let mut taken = 0;
    for _ in 0..200 {
        for frame in cheat.ask(&mut world, Op::TakeKeyPackages { account }) {
            if let RelayFrame::Reply(reply) = frame
                && let Answer::KeyPackages(packages) = reply.answer
            {
                taken += packages.len();
            }
        }
    }
    assert!(taken > 60, "all that could be given once, and more: {taken}");
    let space = world.converse(0, &[1, 2]).unwrap();
    world.pass(30_000).unwrap();
    world.expect(1, Command::GoOnline).unwrap();
    world.settle().unwrap();
    for device in 0..3 {
        world.say(device, space).unwrap();
    }
    world.settle().unwrap();
    agree(&mut world, &[0, 1, 2], space);
}
