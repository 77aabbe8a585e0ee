//! What all judge a commit by, each way that it can be wrong: without a group or an engine.

use sync_protocol::envelope::{Cut, Header, Kind, epoch_id};
use sync_protocol::ids::Commitment;
use sync_protocol::signing::SigningKey;

use super::*;
use crate::engine::testing::{account, device, epoch, id, writer};
use crate::trust::logs::testing::{log_of, with_device, with_revoked};

const NUMBER: u64 = 6;
const ERA: u32 = 2;
const CURSOR: u64 = 40;

/// A space of an admin, whose log this is, and of a member.
fn context(admin: &DeviceLog) -> Context {
    let joins = RosterChange::Add { account: account(2), role: Role::Member, devices: Vec::new() };
    let roster = Roster::founded_by(admin.account());
    let roster = roster.after(&admin.account(), &[joins], &[]).unwrap();
    Context { min_version: 1, title: String::new(), roster, era: ERA }
}

fn present<'a>(context: &'a Context, leavers: &'a [(AccountId, Blob)]) -> Present<'a> {
    Present {
        epoch: epoch(1),
        number: NUMBER,
        context,
        heads: Heads::default(),
        leavers,
        own: false,
    }
}

/// A commit that follows, and does this.
fn commit(roster: Vec<RosterChange>, logs: &[&DeviceLog]) -> CommitHeader {
    CommitHeader {
        parent: epoch(1),
        number: NUMBER + 1,
        min_version: 1,
        roster,
        logs: logs.iter().map(|log| (log.account(), log.len(), log.head())).collect(),
        cuts: Vec::new(),
        intents: Vec::new(),
        ticket: None,
        era: ERA,
    }
}

fn signed(commit: &CommitHeader) -> Envelope {
    let bytes = codec::encode(commit);
    let commitment = Commitment::from_bytes([5; 32]);
    let child = epoch_id(&id(1), &commit.parent, &bytes, commitment.as_bytes());
    let mut header = Header::new(Kind::Handshake, epoch(1), CURSOR);
    (header.commit, header.child) = (Some(Blob(bytes)), Some(child));
    header.commitment = Some(commitment);
    Envelope::sign(&id(1), &writer(1), header, Vec::new(), &SigningKey::from_bytes(&[1; 32]))
}

fn followed(commit: &CommitHeader) -> Result<(), Void> {
    let context = context(&log_of(1));
    present(&context, &[]).follows(&id(1), &signed(commit)).map(drop)
}

fn allowed(author: AccountId, commit: &CommitHeader, logs: &[&DeviceLog]) -> Result<Roster, Void> {
    let context = context(&log_of(1));
    let logs = logs.iter().map(|log| (log.account(), (*log).clone())).collect();
    present(&context, &[]).allows(&author, commit, &logs)
}

fn founder(log: &DeviceLog) -> DeviceId {
    log.devices().map(|(device, _)| *device).next().unwrap()
}

#[test]
fn the_next_number_in_this_era_or_the_next_follows() {
    let plain = commit(Vec::new(), &[]);
    assert_eq!(followed(&plain), Ok(()));
    assert_eq!(followed(&CommitHeader { era: ERA + 1, ..plain.clone() }), Ok(()));
    for wrong in [
        CommitHeader { era: ERA + 2, ..plain.clone() },
        CommitHeader { era: ERA - 1, ..plain.clone() },
        CommitHeader { number: NUMBER, ..plain.clone() },
        CommitHeader { number: NUMBER + 2, ..plain.clone() },
        CommitHeader { min_version: limits::VERSION + 1, ..plain.clone() },
    ] {
        assert_eq!(followed(&wrong), Err(Void::Header), "{wrong:?}");
    }
}

#[test]
fn what_follows_another_epoch_does_not_follow_this_one() {
    let plain = commit(Vec::new(), &[]);
    let stray = CommitHeader { parent: epoch(2), ..plain.clone() };
    assert_eq!(followed(&stray), Err(Void::Parent));
    let context = context(&log_of(1));
    let present = present(&context, &[]);
    let elsewhere = present.follows(&id(2), &signed(&plain));
    assert_eq!(elsewhere.map(drop), Err(Void::Header), "a copy out of another space");
}

#[test]
fn whoever_ends_a_device_says_where_and_nobody_else_does() {
    let ends = RosterChange::RemoveDevices { account: account(2), devices: vec![device(7)] };
    let cut = |index| Cut { device: device(7), index, seen: [0; 8] };
    let bare = commit(vec![ends], &[]);
    assert_eq!(followed(&bare), Err(Void::Header));
    assert_eq!(followed(&CommitHeader { cuts: vec![cut(CURSOR)], ..bare.clone() }), Ok(()));
    assert_eq!(followed(&CommitHeader { cuts: vec![cut(CURSOR - 1)], ..bare }), Err(Void::Header));
    let idle = CommitHeader { cuts: vec![cut(CURSOR)], ..commit(Vec::new(), &[]) };
    assert_eq!(followed(&idle), Err(Void::Header));
}

#[test]
fn a_commit_names_the_logs_of_members_before_or_after_it_alone() {
    let (admin, other) = (log_of(1), log_of(9));
    let renews = commit(Vec::new(), &[&admin]);
    assert!(allowed(admin.account(), &renews, &[&admin]).is_ok());
    // A ticket renewed for somebody who has left meanwhile.
    let stranger = commit(Vec::new(), &[&other]);
    assert_eq!(allowed(admin.account(), &stranger, &[&other]), Err(Void::Logs));
    let devices = vec![founder(&other)];
    let add = RosterChange::Add { account: other.account(), role: Role::Member, devices };
    let adds = commit(vec![add], &[&other]);
    assert!(allowed(admin.account(), &adds, &[&other]).is_ok());
}

#[test]
fn a_member_changes_nobody_but_itself() {
    let admin = log_of(1);
    let remove = RosterChange::Remove { account: admin.account() };
    let removes = commit(vec![remove], &[]);
    assert_eq!(allowed(account(2), &removes, &[]), Err(Void::Rights));
    assert_eq!(allowed(account(3), &commit(Vec::new(), &[]), &[]), Err(Void::Rights));
}

#[test]
fn an_accounts_own_space_has_that_account_whatever_a_device_says() {
    let (admin, other) = (log_of(1), log_of(9));
    let context = context(&admin);
    let present = Present { own: true, ..present(&context, &[]) };
    let verdict = |change: RosterChange, log: &DeviceLog| {
        let logs = [(log.account(), log.clone())].into_iter().collect();
        present.allows(&admin.account(), &commit(vec![change], &[log]), &logs).map(drop)
    };
    let (account, devices) = (other.account(), vec![founder(&other)]);
    let stranger = RosterChange::Add { account, role: Role::Member, devices };
    assert_eq!(verdict(stranger, &other), Err(Void::Rights));
    assert_eq!(
        verdict(RosterChange::Remove { account: crate::engine::testing::account(2) }, &admin),
        Err(Void::Rights)
    );
    let (account, devices) = (admin.account(), vec![founder(&admin)]);
    assert_eq!(verdict(RosterChange::AddDevices { account, devices }, &admin), Ok(()));
}

#[test]
fn whoever_asked_to_leave_is_let_go_by_anybody_who_names_the_wish() {
    let admin = log_of(1);
    let context = context(&admin);
    let leavers = [(admin.account(), Blob(vec![3; 32]))];
    let present = present(&context, &leavers);
    let remove = RosterChange::Remove { account: admin.account() };
    let removes = commit(vec![remove], &[]);
    let logs = Logs::default();
    assert_eq!(present.allows(&account(2), &removes, &logs), Err(Void::Rights));
    let names = CommitHeader { intents: vec![Blob(vec![3; 32])], ..removes };
    let after = present.allows(&account(2), &names, &logs).unwrap();
    assert_eq!(after.role(&account(2)), Some(Role::Admin), "somebody has to be");
}

#[test]
fn who_comes_in_is_active_and_who_goes_was_ended() {
    let short = log_of(1);
    let two = with_device(&short, 7);
    let device = two.devices().map(|(device, _)| *device).find(|one| *one != founder(&short));
    let device = device.unwrap();
    let ended = with_revoked(&two, device);
    let account = short.account();
    let adds = RosterChange::AddDevices { account, devices: vec![device] };
    let ends = RosterChange::RemoveDevices { account, devices: vec![device] };
    let verdict = |roster: &[&RosterChange], log: &DeviceLog| {
        let roster = roster.iter().map(|change| (*change).clone()).collect();
        allowed(account, &commit(roster, &[log]), &[log]).map(drop)
    };
    assert_eq!(verdict(&[&adds], &short), Err(Void::Certificates));
    assert_eq!(verdict(&[&adds], &two), Ok(()));
    assert_eq!(verdict(&[&adds], &ended), Err(Void::Certificates));
    assert_eq!(verdict(&[&ends], &two), Err(Void::Certificates));
    assert_eq!(verdict(&[&ends], &ended), Ok(()));
    assert_eq!(verdict(&[&ends, &adds], &two), Ok(()), "it comes back");
    let silent = commit(vec![adds], &[]);
    assert_eq!(allowed(account, &silent, &[]).map(drop), Err(Void::Certificates));
}

#[test]
fn a_log_that_is_named_is_carried_and_goes_on_from_what_was_accepted() {
    let short = log_of(1);
    let long = with_device(&short, 7);
    let account = short.account();
    let blobs = |log: &DeviceLog| {
        vec![(account, log.entries().iter().map(|entry| Blob(entry.clone())).collect())]
    };
    let none = Heads::default();
    assert!(proven(&commit(Vec::new(), &[&long]), &blobs(&long), &none).is_some());
    assert!(proven(&commit(Vec::new(), &[&long]), &blobs(&short), &none).is_none());
    assert!(proven(&commit(Vec::new(), &[&long]), &[], &none).is_none());
    let accepted = Heads::of(&[(account, long.len(), long.head())]);
    assert!(proven(&commit(Vec::new(), &[&short]), &blobs(&short), &accepted).is_none());
    let other = with_device(&short, 8);
    assert!(proven(&commit(Vec::new(), &[&other]), &blobs(&other), &accepted).is_none());
}

#[test]
fn an_entrance_is_of_its_author_alone() {
    let author =
        WriterRow { device: device(1), account: account(1), key: [1; 32], from: 0, to: None };
    let adds = |n: u8| RosterChange::AddDevices { account: account(n), devices: vec![device(n)] };
    let ends =
        |n: u8| RosterChange::RemoveDevices { account: account(n), devices: vec![device(n)] };
    let enters = |roster: Vec<RosterChange>| enters(&commit(roster, &[]), &author);
    assert!(enters(vec![adds(1)]));
    assert!(enters(vec![ends(1), adds(1)]));
    assert!(!enters(vec![adds(2)]));
    assert!(!enters(vec![ends(2), adds(1)]));
    assert!(!enters(vec![adds(1), adds(2)]));
    assert!(!enters(Vec::new()));
}
