//! What a ticket, a grant or a header says of others: nobody is put out, muted or kept out by it.

use property_tests::{Plan, World};
use sync_core::Command;
use sync_core::api::Member;
use sync_protocol::codec::Blob;
use sync_protocol::device_log::{DeviceKeys, DeviceLog, Founding, RecoveryKeys, found};
use sync_protocol::envelope::CommitHeader;
use sync_protocol::frames::{ClientFrame, Push, RelayFrame};
use sync_protocol::ids::Link;
use sync_protocol::roster::Role;
use sync_protocol::signing::SigningKey;
use sync_protocol::{AccountId, SpaceId, WriterId};

use crate::support::cheat::{Cheat, stand};
use crate::support::forge::Set;
use crate::support::ways_in::{
    Grant, Handshake, Logs, Tap, TicketBody, group, header, log_of, named, read_log, read_logs,
    real_commit, ticket, writer,
};
use crate::support::{account, is_member, leaves_and_comes_back, shown, swap, talk};

fn set_role(world: &mut World, space: SpaceId, of: usize, role: Role) {
    let member = Member::Address(world.book().people[of].address.clone());
    world.expect(0, Command::SetRole { conversation: space, member, role }).unwrap();
    world.settle().unwrap();
}

/// The log of an account that no relay ever heard of.
fn log_of_nobody(n: u8) -> (AccountId, Vec<Blob>) {
    let key = |n: u8| SigningKey::from_bytes(&[n; 32]);
    let device = DeviceKeys { signing: key(n ^ 0x80).verifying_key().to_bytes(), hpke: [3; 32] };
    let recovery = RecoveryKeys { signing: [4; 32], hpke: [5; 32] };
    let founding = Founding { device, join: [6; 32], recovery, escrow: None };
    let account = AccountId::of_root_key(&key(n).verifying_key().to_bytes());
    let entry = found(&key(n), &key(n ^ 0x80), founding);
    assert!(DeviceLog::verify(&account, &[&entry]).is_ok());
    (account, vec![Blob(entry)])
}

/// A member commits new keys, as it may at any time, and its header names a device log beside those
/// that matter: of an account that it made up.
fn names_a_log_of_nobody(world: &mut World, space: SpaceId, by: usize) {
    let mut cheat = Cheat::with_keys_of(world, by, 0);
    let roster = group(world, by, space).context().roster.clone();
    let logs: Logs = vec![log_of_nobody(7)];
    let header = CommitHeader { logs: named(&logs), ..header(world, by, space) };
    let Handshake { envelope, child, .. } =
        real_commit(world, &cheat, space, header, (vec![], vec![]), (roster, logs));
    world.expect(by, Command::GoOffline).unwrap();
    cheat.shout(
        world,
        &ClientFrame::Push(Push { space, envelopes: vec![envelope], welcomes: None, ticket: None }),
    );
    world.pass(20_000).unwrap();
    assert_ne!(stand(world, 0, space).epoch, child, "nobody takes it");
}

/// Somebody's next change of the title leaves an honest ticket.
fn an_honest_change(world: &mut World, space: SpaceId) {
    let title = format!("{}on", property_tests::MARK);
    world.expect(0, Command::SetTitle { conversation: space, title }).unwrap();
    world.pass(20_000).unwrap();
}

#[test]
fn a_log_of_nobody_that_a_commit_names_keeps_no_linked_device_out() {
    for role in [Role::Member, Role::Reader] {
        let (mut world, space) = talk(900, 3, &[1, 2]);
        set_role(&mut world, space, 2, role);
        names_a_log_of_nobody(&mut world, space, 2);
        an_honest_change(&mut world, space);
        let laptop = world.link(0, true).unwrap();
        world.pass(1_200_000).unwrap();
        an_honest_change(&mut world, space);
        world.pass(1_200_000).unwrap();
        let told = std::mem::take(&mut world.device_mut(laptop).evidence);
        let is_in = world.messages(laptop, space).is_ok_and(|all| !all.is_empty());
        assert!(is_in, "{role:?}: a linked device never comes into the conversation: {told:?}");
    }
}

#[test]
fn a_log_of_nobody_that_a_commit_names_keeps_nobody_out_who_is_added() {
    let (mut world, space) = talk(901, 4, &[1, 2]);
    names_a_log_of_nobody(&mut world, space, 2);
    let address = world.book().people[3].address.clone();
    let add = Command::AddMember { conversation: space, address, share_history: false };
    world.expect(0, add).unwrap();
    world.pass(1_200_000).unwrap();
    let said = world.say(0, space).unwrap();
    world.pass(60_000).unwrap();
    let told = std::mem::take(&mut world.device_mut(3).evidence);
    let shows = world.messages(3, space).is_ok_and(|all| all.iter().any(|one| one.message == said));
    assert!(shows, "who was added never comes in: {told:?}");
}

#[test]
fn a_log_of_nobody_that_a_commit_names_keeps_nobody_out_who_brings_the_account_back() {
    let (mut world, space) = talk(902, 3, &[1, 2]);
    names_a_log_of_nobody(&mut world, space, 2);
    an_honest_change(&mut world, space);
    world.retire(0);
    let device = world.begin_recovery(0).unwrap();
    world.pass(1_200_000).unwrap();
    let said = world.say(1, space).unwrap();
    world.pass(60_000).unwrap();
    let told = std::mem::take(&mut world.device_mut(device).evidence);
    let shows =
        world.messages(device, space).is_ok_and(|all| all.iter().any(|one| one.message == said));
    assert!(shows, "who brings the account back never comes in: {told:?}");
}

#[test]
fn who_brings_the_account_back_comes_in_though_members_leave_worthless_tickets() {
    let (mut world, space) = talk(907, 4, &[1, 2, 3]);
    let junk = Blob(vec![7; 500]);
    let leave = |world: &mut World, by: usize, logs: Logs, ticket: Blob| {
        let mut cheat = Cheat::with_keys_of(world, by, 0);
        let roster = group(world, by, space).context().roster.clone();
        let header = CommitHeader { logs: named(&logs), ..header(world, by, space) };
        let Handshake { envelope, .. } =
            real_commit(world, &cheat, space, header, (vec![], vec![]), (roster, logs));
        world.expect(by, Command::GoOffline).unwrap();
        let push = Push { space, envelopes: vec![envelope], welcomes: None, ticket: Some(ticket) };
        let heard = cheat.say(world, &ClientFrame::Push(push));
        assert!(heard.iter().any(|frame| matches!(frame, RelayFrame::Stored(_))), "{heard:?}");
        world.pass(5_000).unwrap();
    };
    leave(&mut world, 2, vec![], junk.clone());
    world.pass(60_000).unwrap();
    // Ada loses her phone at night: Bob sleeps, and so do the cheats' own programs.
    world.expect(1, Command::GoOffline).unwrap();
    world.retire(0);
    let device = world.begin_recovery(0).unwrap();
    world.pass(20_000).unwrap();
    let ada = account(&world, 0);
    let mut cheat = Cheat::with_keys_of(&mut world, 3, 9);
    let log = read_log(&mut world, &mut cheat, ada);
    leave(&mut world, 3, vec![(ada, log)], junk);
    world.expect(1, Command::GoOnline).unwrap();
    world.pass(3_600_000).unwrap();
    world.say(1, space).unwrap();
    world.pass(3_600_000).unwrap();
    world.expect(device, Command::GoOffline).unwrap();
    world.expect(device, Command::GoOnline).unwrap();
    world.pass(3_600_000).unwrap();
    let all = world.messages(device, space).map(|all| all.len());
    assert!(all.is_ok_and(|all| all > 0), "Ada never comes back into her own conversation");
}

/// How far devices have written, as an honest grant says it.
pub(crate) fn frontier(
    world: &World,
    tap: &Tap,
    space: SpaceId,
    devices: &[usize],
) -> Vec<(WriterId, u64, Link)> {
    let tips = devices.iter().filter_map(|device| {
        let last = tap.written(*device, space);
        let chain = last.last()?.header.chain?;
        Some((writer(world, *device)?, chain.seq, chain.link))
    });
    tips.collect()
}

/// A member makes a good commit, as anybody may, and leaves a ticket with it that is good but for what
/// `lie` makes of what it grants.
pub(crate) fn leaves_a_ticket(
    seed: u64,
    role: Role,
    lie: impl Fn(&World, &mut Grant),
) -> (World, SpaceId) {
    let mut world = World::with(seed, Plan::calm(3).with_devices());
    world.sign_up().unwrap();
    let tap = Tap::on(&mut world, |_, _| false);
    let space = world.converse(0, &[1, 2]).unwrap();
    world.settle().unwrap();
    if role != Role::Member {
        set_role(&mut world, space, 2, role);
    }
    let writers = if role == Role::Reader { &[0, 1][..] } else { &[0, 1, 2] };
    for device in writers.iter().copied() {
        world.say(device, space).unwrap();
        world.settle().unwrap();
    }
    let frontier = frontier(&world, &tap, space, &[0, 1, 2]);
    world.set_bender(None);
    let mut cheat = Cheat::with_keys_of(&mut world, 2, 0);
    let everybody: Vec<AccountId> = (0..3).map(|one| account(&world, one)).collect();
    let logs = read_logs(&mut world, &mut cheat, &everybody);
    let joins: Vec<[u8; 32]> = everybody.iter().map(|one| *log_of(&logs, *one).join()).collect();
    let roster = group(&world, 2, space).context().roster.clone();
    let now = stand(&world, 2, space);
    let header = header(&world, 2, space);
    let number = header.number;
    let Handshake { envelope, child, root, group_info, .. } =
        real_commit(&world, &cheat, space, header, (vec![], vec![]), (roster, vec![]));
    let mut grant = Grant { from: now.next, frontier, log_hash: now.log_hash, ..Grant::default() };
    lie(&world, &mut grant);
    let body =
        TicketBody { group_info: Blob(group_info), root, number, grant, logs, named: vec![] };
    let ticket = ticket(space, &cheat.keys, child, &body, &joins);
    world.expect(2, Command::GoOffline).unwrap();
    let push = Push { space, envelopes: vec![envelope], welcomes: None, ticket: Some(ticket) };
    let heard = cheat.say(&mut world, &ClientFrame::Push(push));
    assert!(heard.iter().any(|frame| matches!(frame, RelayFrame::Stored(_))), "{heard:?}");
    world.pass(20_000).unwrap();
    assert_eq!(stand(&world, 0, space).epoch, child);
    (world, space)
}

/// A member, who may remove nobody, leaves a good ticket with a good commit: but that the ticket says
/// that Bob asked to leave. An admin's device comes in by it that may not read what was before.
#[test]
fn a_ticket_that_says_that_somebody_asked_to_leave_puts_nobody_out() {
    for role in [Role::Member, Role::Reader] {
        let (mut world, space) = leaves_a_ticket(908, role, |world, grant| {
            grant.leavers = vec![(account(world, 1), Blob(vec![9; 32]))];
        });
        world.link(0, false).unwrap();
        world.pass(600_000).unwrap();
        assert!(
            is_member(&world, 0, space, 1),
            "{role:?}: a member that may remove nobody had Bob put out by Ada's new laptop"
        );
    }
}

/// The relay repeats an old wish of Bob's to leave, who came back, where a device stands to come in
/// that may not read what was before.
#[test]
fn an_old_wish_to_leave_that_a_newcomer_reads_puts_nobody_out() {
    let mut world = World::with(909, Plan::calm(3).with_devices());
    world.sign_up().unwrap();
    let space = world.converse(0, &[1, 2]).unwrap();
    world.settle().unwrap();
    for device in [0, 1, 2] {
        world.say(device, space).unwrap();
    }
    world.settle().unwrap();
    let wish = leaves_and_comes_back(&mut world, space, 1);
    let author = writer(&world, 1).unwrap();
    let at = stand(&world, 0, space).next;
    swap(&mut world, space, at, author, wish);
    // Something has to stand there.
    let mut cheat = Cheat::with_keys_of(&mut world, 2, 0);
    let set = Set { blinding: [3; 16], items: Vec::new() };
    let envelope = cheat.content(&world, space, &set);
    let heard = cheat.push(&mut world, space, vec![envelope]);
    assert!(heard.iter().any(|frame| matches!(frame, RelayFrame::Stored(_))), "{heard:?}");
    world.pass(60_000).unwrap();
    for device in [0, 1, 2] {
        assert!(is_member(&world, device, space, 1), "those who are in pay no heed");
    }
    world.link(0, false).unwrap();
    world.pass(600_000).unwrap();
    assert!(
        is_member(&world, 0, space, 1),
        "Bob was put out by a wish that was carried out before"
    );
}

/// A ticket that names a segment in which nobody reads.
#[test]
fn a_ticket_that_names_a_segment_silences_nobody() {
    for (segment, history) in [(0, true), (1 << 16, true), (u32::MAX - 1, true), (1 << 16, false)] {
        let (mut world, space) =
            leaves_a_ticket(910, Role::Member, |_, grant| grant.segment = segment);
        let laptop = world.link(0, history).unwrap();
        world.pass(300_000).unwrap();
        let said = world.say(laptop, space).unwrap();
        world.pass(300_000).unwrap();
        let seen = [0, 1]
            .map(|device| shown(&mut world, device, space).iter().any(|face| face.message == said));
        assert!(seen[0] && seen[1], "{segment} {history}: what is written there reaches nobody");
    }
}

/// A ticket that says of others' chains, of the log's hash or of where to read what is not so, to a
/// device that may not read what was before.
#[test]
fn a_ticket_that_says_how_far_others_have_written_mutes_nobody() {
    type Lie = (&'static str, fn(&World, &mut Grant));
    let lies: [Lie; 4] = [
        ("nothing", |_, _| {}),
        ("frontier", |world, grant| {
            let bob = writer(world, 1).unwrap();
            let link =
                grant.frontier.iter().find(|(one, ..)| *one == bob).map(|(_, _, link)| *link);
            grant.frontier.retain(|(one, ..)| *one != bob);
            grant.frontier.push((bob, 1 << 40, link.unwrap()));
        }),
        ("log hash", |_, grant| grant.log_hash = [5; 32]),
        ("from", |_, grant| grant.from += 1_000),
    ];
    let mut failed = Vec::new();
    for (what, lie) in lies {
        let (mut world, space) = leaves_a_ticket(913, Role::Member, lie);
        let laptop = world.link(0, false).unwrap();
        world.pass(600_000).unwrap();
        let said = world.say(1, space).unwrap();
        world.pass(300_000).unwrap();
        let _ = world.ask(
            laptop,
            Command::SendMessage {
                conversation: space,
                text: format!("{}from the laptop", property_tests::MARK),
                reply_to: None,
            },
        );
        world.pass(600_000).unwrap();
        let heard = world
            .messages(laptop, space)
            .is_ok_and(|all| all.iter().any(|one| one.message == said));
        let reached =
            shown(&mut world, 1, space).iter().any(|face| face.text.contains("from the laptop"));
        if !heard || !reached {
            failed.push(what);
        }
    }
    assert!(failed.is_empty(), "{failed:?}");
}
