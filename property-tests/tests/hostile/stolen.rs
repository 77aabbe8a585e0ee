//! A device that was stolen and ended, or a member that is gone: with a relay's help, or an admin's,
//! they try to be in again by what is old. They are not, and the owner's devices see to it.

use property_tests::{Plan, World};
use sync_core::Command;
use sync_core::group::{Group, Identity};
use sync_protocol::codec::{self, Blob};
use sync_protocol::envelope::CommitHeader;
use sync_protocol::frames::{Answer, Notice, RelayFrame, Reply};
use sync_protocol::ids::LogHead;
use sync_protocol::roster::RosterChange;
use sync_protocol::{AccountId, DeviceId, SpaceId};

use crate::support::cheat::{Cheat, Keys, stand};
use crate::support::ways_in::{
    Handshake, Logs, SealedCommit, Tap, group, handshake, header, named, read_log, read_logs,
    real_commit, take_packages, writer,
};
use crate::support::{
    account, agree, forge, leaves_and_comes_back, shared, swap, the_group_goes_on, with_laptop_of,
};

/// Three who talk; Bob has a laptop as well, which is device 3.
fn with_a_laptop(seed: u64) -> (World, SpaceId, usize) {
    let (mut world, space, laptop) = with_laptop_of(1, seed, 3, &[1, 2]);
    for device in [0, 1, 2, laptop] {
        world.say(device, space).unwrap();
        world.settle().unwrap();
    }
    (world, space, laptop)
}

fn revoke(world: &mut World, by: usize, device: usize) -> DeviceId {
    let id = world.device(device).id.unwrap();
    world.expect(by, Command::RevokeDevice { device: id }).unwrap();
    world.retire(device);
    world.settle().unwrap();
    id
}

fn nobody_has_it_in(world: &World, space: SpaceId, device: DeviceId, members: &[usize]) {
    for member in members {
        assert!(!group(world, *member, space).contains(&device), "{member} has it in");
    }
}

#[test]
fn an_admin_brings_no_revoked_device_back_by_an_old_log_of_its_account() {
    let (mut world, space, laptop) = with_a_laptop(1);
    let mut cheat = Cheat::with_keys_of(&mut world, 0, 0);
    let bob = account(&world, 1);
    let id = world.device(laptop).id.unwrap();
    let old: Logs = read_logs(&mut world, &mut cheat, &[bob]);
    let packages = take_packages(&mut world, &mut cheat, bob);
    let package = packages.into_iter().find(|taken| taken.device == id).unwrap().package;
    revoke(&mut world, 1, laptop);
    nobody_has_it_in(&world, space, id, &[0, 1, 2]);
    let epoch = stand(&world, 1, space).epoch;
    let roster = group(&world, 0, space).context().roster.clone();
    let header = CommitHeader {
        roster: vec![RosterChange::AddDevices { account: bob, devices: vec![id] }],
        logs: named(&old),
        ..header(&world, 0, space)
    };
    let made = real_commit(&world, &cheat, space, header, (vec![package.0], vec![]), (roster, old));
    cheat.store(&mut world, space, vec![made.envelope]);
    nobody_has_it_in(&world, space, id, &[0, 1, 2]);
    assert_eq!(stand(&world, 1, space).epoch, epoch, "a commit by an old log counts for nothing");
    the_group_goes_on(&mut world, space, &[0, 1, 2]);
}

/// A member takes a place in the log for whatever the relay will show there.
fn take_a_place(world: &mut World, cheat: &mut Cheat, space: SpaceId) {
    let header = header(world, cheat.device, space);
    let (garbage, _) = handshake(world, cheat, space, &header, ([1; 32], b"x"));
    cheat.store(world, space, vec![garbage]);
}

#[test]
fn a_revoked_device_does_not_come_in_from_outside_by_an_old_log() {
    let (mut world, space, laptop) = with_a_laptop(2);
    let mut cheat = Cheat::with_keys_of(&mut world, 2, 0);
    let bob = account(&world, 1);
    let stolen = Keys::of(&world, laptop);
    let author = writer(&world, laptop).unwrap();
    let old = read_logs(&mut world, &mut cheat, &[bob]);
    let id = revoke(&mut world, 1, laptop);
    // A member that cheats gives it the present group's keys, the relay a place in the log.
    let header = CommitHeader {
        roster: vec![RosterChange::AddDevices { account: bob, devices: vec![id] }],
        logs: named(&old),
        ..header(&world, 2, space)
    };
    let bytes = codec::encode(&header);
    let identity = Identity::new(stolen.account, stolen.signing());
    let member = Identity::new(cheat.keys.account, cheat.keys.signing());
    let info = group(&world, 2, space).group_info(&member).unwrap();
    let hash = CommitHeader::hash(&bytes);
    let entered = Group::enter(&identity, space, &info, &hash, [8; 32]).unwrap();
    let binding = Group::binding_of(&entered.group_info).unwrap();
    let commitment = forge::key_commitment(&entered.group.root(), &binding);
    let sealed = SealedCommit { message: Blob(entered.message), logs: old, people: vec![] };
    let thief = cheat.in_the_name_of(&stolen, author);
    let plaintext = codec::encode(&sealed);
    let (envelope, child) = handshake(&world, &thief, space, &header, (commitment, &plaintext));
    let at = stand(&world, 0, space).next;
    swap(&mut world, space, at, author, envelope);
    take_a_place(&mut world, &mut cheat, space);
    world.settle().unwrap();
    nobody_has_it_in(&world, space, id, &[0, 1, 2]);
    assert!([0, 1, 2].iter().all(|member| stand(&world, *member, space).epoch != child));
    the_group_goes_on(&mut world, space, &[0, 1, 2]);
}

#[test]
fn a_revocation_that_a_relay_hides_from_one_is_carried_out_by_the_owner() {
    let mut world = World::with(3, Plan::calm(2).with_devices());
    world.cheat();
    world.sign_up().unwrap();
    let laptop = world.link(0, true).unwrap();
    world.settle().unwrap();
    let ada = account(&world, 0);
    let device = world.device(laptop).id.unwrap();
    let address = world.book().people[0].address.clone();
    world.expect(1, Command::LookupContact { address }).unwrap();
    let mut ghost = Cheat::with_keys_of(&mut world, 1, 0);
    let packages = take_packages(&mut world, &mut ghost, ada);
    let stolen = packages.into_iter().find(|taken| taken.device == device).unwrap();
    let old = read_log(&mut world, &mut ghost, ada).len() as u64;
    revoke(&mut world, 0, laptop);
    // Bob is shown the stolen device's key package, and nothing of Ada's log since.
    world.set_meddler(Some(Box::new(move |to, frame| match frame {
        frame if to != 1 => vec![frame],
        RelayFrame::Reply(Reply { id, answer: Answer::KeyPackages(mut taken) }) => {
            taken.push(stolen.clone());
            vec![RelayFrame::Reply(Reply { id, answer: Answer::KeyPackages(taken) })]
        }
        RelayFrame::Reply(Reply { id, answer: Answer::Log { account, from, mut entries } })
            if account == ada && from + entries.len() as u64 > old =>
        {
            entries.truncate(old.saturating_sub(from) as usize);
            vec![RelayFrame::Reply(Reply { id, answer: Answer::Log { account, from, entries } })]
        }
        RelayFrame::Notice(Notice::LogChanged { .. }) => Vec::new(),
        frame => vec![frame],
    })));
    let space = world.converse(1, &[0]).unwrap();
    world.pass(30_000).unwrap();
    world.say(1, space).unwrap();
    world.say(0, space).unwrap();
    world.pass(120_000).unwrap();
    nobody_has_it_in(&world, space, device, &[0, 1]);
    let after = stand(&world, 0, space).number;
    world.say(1, space).unwrap();
    world.pass(10_000).unwrap();
    assert_eq!(stand(&world, 1, space).number, after);
    agree(&mut world, &[0, 1], space);
}

#[test]
fn an_old_wish_to_leave_puts_nobody_out_who_came_back() {
    let mut world = World::with(4, Plan::calm(3));
    world.sign_up().unwrap();
    let space = world.converse(0, &[1, 2]).unwrap();
    world.settle().unwrap();
    for device in [0, 1, 2] {
        world.say(device, space).unwrap();
    }
    world.settle().unwrap();
    let wish = leaves_and_comes_back(&mut world, space, 2);
    let author = writer(&world, 2).unwrap();
    let mut cheat = Cheat::with_keys_of(&mut world, 1, 0);
    let at = stand(&world, 0, space).next;
    swap(&mut world, space, at, author, wish);
    take_a_place(&mut world, &mut cheat, space);
    world.pass(60_000).unwrap();
    let Keys { account, .. } = Keys::of(&world, 2);
    for member in [0, 1, 2] {
        let roster = group(&world, member, space).context().roster.clone();
        assert!(roster.role(&account).is_some(), "{member}");
    }
    the_group_goes_on(&mut world, space, &[0, 1, 2]);
}

/// What a commit names of others' device logs is looked at before it is remembered.
#[test]
fn a_commit_that_names_a_log_longer_than_there_is_keeps_nobodys_devices_out() {
    let (mut world, space, laptop) = with_a_laptop(5);
    let mut cheat = Cheat::with_keys_of(&mut world, 2, 0);
    let (ada, bob) = (account(&world, 0), account(&world, 1));
    let logs = read_logs(&mut world, &mut cheat, &[ada, bob]);
    let roster = group(&world, 2, space).context().roster.clone();
    let epoch = stand(&world, 0, space).epoch;
    let lies = |len| {
        let long = |(account, _, head): (AccountId, u64, LogHead)| (account, len, head);
        named(&logs).into_iter().map(long).collect::<Vec<_>>()
    };
    for (len, carried) in [(u64::MAX, vec![]), (u64::MAX, logs.clone()), (1 << 40, logs.clone())] {
        let header = CommitHeader { logs: lies(len), ..header(&world, 2, space) };
        let changes = (vec![], vec![]);
        let Handshake { envelope, .. } =
            real_commit(&world, &cheat, space, header, changes, (roster.clone(), carried));
        cheat.store(&mut world, space, vec![envelope]);
        assert!([0, 1, laptop].iter().all(|one| stand(&world, *one, space).epoch == epoch));
    }
    // Both can still end and bring in devices.
    let id = revoke(&mut world, 1, laptop);
    nobody_has_it_in(&world, space, id, &[0, 1, 2]);
    let tablet = world.link(0, true).unwrap();
    world.settle().unwrap();
    the_group_goes_on(&mut world, space, &[0, 1, 2, tablet]);
}

/// Ada lost all her devices; one of them is a thief's, who has the relay's help. It leaves a ticket
/// to its own account's space as it goes on with that alone.
#[test]
fn a_stolen_device_takes_nobody_along_who_brings_the_account_back() {
    let mut world = World::with(6, Plan::calm(2).with_devices());
    world.cheat();
    world.sign_up().unwrap();
    let space = world.converse(0, &[1]).unwrap();
    let laptop = world.link(0, true).unwrap();
    world.settle().unwrap();
    for device in [0, 1, laptop] {
        world.say(device, space).unwrap();
        world.settle().unwrap();
    }
    let ada = account(&world, 0);
    let own = ada.space();
    let thief = Cheat::with_keys_of(&mut world, laptop, 0);
    let mut ghost = Cheat::with_keys_of(&mut world, 1, 0);
    let mut fork = crate::support::ways_in::Fork::of(&world, &thief, own);
    revoke(&mut world, 0, laptop);
    world.retire(0);
    let number = fork.group.epoch() + 2;
    fork.until(number);
    let made_up = sync_protocol::EpochId::from_bytes([0xfc; 32]);
    let tap = Tap::on(&mut world, |_, _| false);
    let logs = read_logs(&mut world, &mut ghost, &[ada]);
    // Sealed to whatever device may come.
    let told = shared(None::<[u8; 32]>);
    let key = told.clone();
    let forger = shared((fork, logs));
    let forged = forger.clone();
    world.set_meddler(Some(Box::new(move |to, frame| match frame {
        RelayFrame::Reply(Reply { id, answer: Answer::Ticket { index, .. } }) if to > 2 => {
            let Some(hpke) = *key.borrow() else { return Vec::new() };
            let (fork, logs) = &*forged.borrow();
            let ticket = fork.ticket(made_up, number, logs, &[hpke]);
            vec![RelayFrame::Reply(Reply { id, answer: Answer::Ticket { ticket, index } })]
        }
        frame => vec![frame],
    })));
    let device = world.begin_recovery(0).unwrap();
    world.pass(10_000).unwrap();
    let id = world.device(device).id.unwrap();
    let logs = read_logs(&mut world, &mut ghost, &[ada]);
    let log = crate::support::ways_in::log_of(&logs, ada);
    *told.borrow_mut() = Some(log.active(&id).unwrap().keys.hpke);
    forger.borrow_mut().1 = logs;
    world.pass(60_000).unwrap();
    let root = forger.borrow().0.root();
    assert_eq!(tap.opened(&world, device, own, &root), 0);
    crate::support::honest_again(&mut world);
    world.pass(180_000).unwrap();
    world.settle().unwrap();
    for device in [1, device] {
        world.say(device, space).unwrap();
        world.settle().unwrap();
    }
    agree(&mut world, &[1, device], space);
    assert_eq!(tap.opened(&world, device, own, &root), 0);
}
