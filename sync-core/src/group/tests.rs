//! Groups of several devices, from founding to removal.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, clippy::print_stderr)]

use proptest::prelude::*;
use sync_protocol::roster::{Role, Roster, RosterChange};
use sync_protocol::signing::SigningKey;
use sync_protocol::{AccountId, DeviceId, SpaceId};

use super::*;

const SPACE: SpaceId = SpaceId::from_bytes([9; 32]);

fn account(n: u8) -> AccountId {
    AccountId::of_root_key(&[n; 32])
}

fn identity(n: u8) -> Identity {
    Identity::new(account(n), SigningKey::from_bytes(&[n; 32]))
}

fn context(title: &str) -> Context {
    Context { min_version: 1, title: title.into(), roster: Roster::founded_by(account(1)), era: 0 }
}

fn seed(n: u16) -> [u8; 32] {
    let mut seed = [0xA5; 32];
    seed[..2].copy_from_slice(&n.to_be_bytes());
    seed
}

/// A device with its records as a host would keep them.
struct Device {
    identity: Identity,
    records: Records,
    key_packages: Records,
    group: Option<Group>,
}

impl Device {
    fn new(n: u8) -> Self {
        let (records, key_packages) = (Records::new(), Records::new());
        Self { identity: identity(n), records, key_packages, group: None }
    }

    /// No two operations of any two devices share a seed.
    fn seed(&self, n: u16) -> [u8; 32] {
        let mut seed = seed(n);
        seed[16..].copy_from_slice(&self.id().as_bytes()[1..17]);
        seed
    }

    fn id(&self) -> DeviceId {
        self.identity.device
    }

    fn key_package(&mut self, n: u16) -> Vec<u8> {
        let made = new_key_package(&self.identity, self.seed(n), false).unwrap();
        made.records.apply_to(&mut self.key_packages);
        made.bytes
    }

    fn found(&mut self) {
        self.group = Some(Group::create(&self.identity, SPACE, &context("a"), seed(1)).unwrap());
        self.restart();
    }

    fn join(&mut self, welcome: &[u8]) -> Leaf {
        let joined = Group::join(SPACE, welcome, &self.key_packages, self.seed(2)).unwrap();
        for key in &joined.used {
            assert!(self.key_packages.remove(key).is_some());
        }
        self.group = Some(joined.group);
        self.restart();
        joined.welcomed_by
    }

    fn group(&mut self) -> &mut Group {
        self.group.as_mut().unwrap()
    }

    /// Persists what changed and loads the group again; the root must not change.
    fn restart(&mut self) {
        let mut group = self.group.take().unwrap();
        group.diff().apply_to(&mut self.records);
        assert!(group.diff().is_empty());
        let mut again = Group::load(SPACE, self.records.clone()).unwrap();
        assert!(again.diff().is_empty());
        assert_eq!(again.root(), group.root());
        assert_eq!(again.leaves(), group.leaves());
        assert_eq!(again.context(), group.context());
        assert_eq!(again.has_pending(), group.has_pending());
        self.group = Some(again);
    }

    fn commit(&mut self, change: &Change, n: u16) -> Commit {
        let (identity, seed) = (self.identity.clone(), self.seed(n));
        let commit = self.group().commit(&identity, change, b"header", seed).unwrap();
        self.restart();
        commit
    }

    fn merge(&mut self, commit: &Commit) {
        self.group().merge_pending().unwrap();
        assert_eq!(self.group().root(), commit.child_root);
        self.restart();
    }

    fn receive(&mut self, commit: &Commit) {
        let incoming = self.group().read_commit(&commit.message).unwrap();
        assert!(self.group().diff().is_empty());
        assert_eq!(incoming.aad, b"header");
        assert_eq!(incoming.child_root.as_ref(), Some(&commit.child_root));
        self.group().apply(incoming).unwrap();
        assert_eq!(self.group().root(), commit.child_root);
        self.restart();
    }
}

fn change() -> Change {
    Change { add: Vec::new(), remove: Vec::new(), context: context("a") }
}

/// A group of `n` devices, all in the same epoch; the first founded it.
fn world(n: u8) -> Vec<Device> {
    let mut devices: Vec<Device> = (1..=n).map(Device::new).collect();
    devices[0].found();
    let add: Vec<_> = devices[1..].iter_mut().map(|d| d.key_package(3)).collect();
    if add.is_empty() {
        return devices;
    }
    let (founder, others) = devices.split_at_mut(1);
    let commit = founder[0].commit(&Change { add, ..change() }, 4);
    founder[0].merge(&commit);
    for device in others {
        let by = device.join(commit.welcome.as_ref().unwrap());
        assert_eq!(by.device, founder[0].id());
        assert_eq!(device.group().root(), commit.child_root);
    }
    devices
}

#[test]
fn all_members_share_every_root_through_adds_updates_and_removals() {
    let mut devices = world(3);
    let mut fourth = Device::new(4);
    let add = vec![fourth.key_package(5)];
    let commit = devices[1].commit(&Change { add, ..change() }, 6);
    devices[1].merge(&commit);
    devices[0].receive(&commit);
    devices[2].receive(&commit);
    assert_eq!(fourth.join(commit.welcome.as_ref().unwrap()).device, devices[1].id());
    assert_eq!(fourth.group().root(), commit.child_root);
    assert!(fourth.key_packages.is_empty());
    devices.push(fourth);

    let update = devices[3].commit(&change(), 7);
    assert!(update.welcome.is_none());
    devices[3].merge(&update);
    for device in &mut devices[..3] {
        device.receive(&update);
        assert_eq!(device.group().epoch(), 3);
    }
}

#[test]
fn the_context_changes_for_everybody_at_once() {
    let mut devices = world(3);
    let changes = [RosterChange::Add { account: account(2), role: Role::Admin, devices: vec![] }];
    let mut next = context("b");
    next.roster = next.roster.after(&account(1), &changes, &[]).unwrap();
    let commit = devices[0].commit(&Change { context: next.clone(), ..change() }, 8);
    devices[0].merge(&commit);
    let incoming = devices[1].group().read_commit(&commit.message).unwrap();
    assert_eq!(incoming.context, next);
    for device in &mut devices[1..] {
        device.receive(&commit);
        assert_eq!(*device.group().context(), next);
        assert_eq!(device.group().context().roster.role(&account(2)), Some(Role::Admin));
    }
}

#[test]
fn of_two_racing_commits_the_loser_drops_its_own_and_builds_again() {
    let mut devices = world(3);
    let first = devices[0].commit(&change(), 10);
    let second = devices[1].commit(&change(), 11);
    let error = devices[0].group().read_commit(&first.message).unwrap_err();
    assert_eq!(error, GroupError::Own);
    devices[0].merge(&first);
    assert!(devices[1].group().has_pending());
    devices[1].receive(&first);
    assert!(!devices[1].group().has_pending());
    devices[2].receive(&first);
    let stale = devices[2].group().read_commit(&second.message).unwrap_err();
    assert_eq!(stale, GroupError::WrongEpoch { expected: 2, found: 1 });
    let again = devices[1].commit(&change(), 12);
    devices[1].merge(&again);
    devices[0].receive(&again);
    devices[2].receive(&again);
}

#[test]
fn a_dropped_commit_leaves_no_trace() {
    let mut devices = world(2);
    let before = devices[0].records.clone();
    devices[0].commit(&change(), 13);
    devices[0].group().drop_pending().unwrap();
    devices[0].restart();
    assert!(devices[0].records == before);
    assert!(matches!(devices[0].group().merge_pending(), Err(GroupError::Usage(_))));
}

#[test]
fn a_removed_device_cannot_derive_the_next_root() {
    let mut devices = world(4);
    let gone = vec![devices[1].id(), devices[3].id()];
    let commit = devices[0].commit(&Change { remove: gone.clone(), ..change() }, 14);
    devices[0].merge(&commit);
    devices[2].receive(&commit);
    let mut sorted = gone;
    sorted.sort_unstable();
    for at in [1, 3] {
        let group = devices[at].group();
        let before = group.root();
        let incoming = group.read_commit(&commit.message).unwrap();
        assert!(incoming.removes_me && incoming.child_root.is_none());
        assert_eq!(incoming.removed, sorted);
        group.apply(incoming).unwrap();
        assert!(!group.is_active() && group.root() == before);
        assert_eq!(group.read_commit(&commit.message).unwrap_err(), GroupError::Inactive);
        let diff = devices[at].group().diff();
        diff.apply_to(&mut devices[at].records);
        assert!(devices[at].records.is_empty());
        assert_eq!(Group::load(SPACE, Records::new()).unwrap_err(), GroupError::Inactive);
    }
    let root = commit.child_root;
    let next = devices[2].commit(&change(), 15);
    devices[2].merge(&next);
    assert_ne!(root, next.child_root);
}

#[test]
fn a_commit_read_in_one_epoch_is_not_applied_in_another() {
    let mut devices = world(3);
    let commit = devices[0].commit(&change(), 16);
    let first = devices[1].group().read_commit(&commit.message).unwrap();
    let second = devices[1].group().read_commit(&commit.message).unwrap();
    devices[1].group().apply(first).unwrap();
    assert!(matches!(devices[1].group().apply(second), Err(GroupError::Usage(_))));
}

#[test]
fn what_a_caller_gets_wrong_changes_nothing() {
    let mut devices = world(2);
    let again = devices[1].key_package(17);
    let (me, other, stranger) = (devices[0].identity.clone(), devices[1].id(), identity(7));
    let group = devices[0].group();
    let add = |add| Change { add, ..change() };
    let remove = |device| Change { remove: vec![device], ..change() };
    let fails = [
        (add(vec![again]), GroupError::AlreadyIn(other)),
        (add(vec![vec![1, 2]]), GroupError::Malformed { what: "key package" }),
        (remove(stranger.device), GroupError::NotIn(stranger.device)),
        (remove(me.device), GroupError::Usage("a device cannot remove itself")),
    ];
    for (change, error) in fails {
        assert_eq!(group.commit(&me, &change, b"", seed(18)).unwrap_err(), error);
        assert!(group.diff().is_empty() && !group.has_pending());
    }
    assert!(group.commit(&stranger, &change(), b"", seed(18)).is_err());
    assert!(group.commit(&me, &change(), b"", seed(18)).is_ok());
    let twice = group.commit(&me, &change(), b"", seed(19)).unwrap_err();
    assert!(matches!(twice, GroupError::Usage(_)));
}

#[test]
fn a_key_package_of_last_resort_is_used_again() {
    let made = new_key_package(&identity(2), seed(20), true).unwrap();
    let mut key_packages = Records::new();
    made.records.apply_to(&mut key_packages);
    for n in [1, 3] {
        let me = identity(n);
        let mut group = Group::create(&me, SPACE, &context("a"), seed(21)).unwrap();
        let change = Change { add: vec![made.bytes.clone()], ..change() };
        let commit = group.commit(&me, &change, b"", seed(22)).unwrap();
        let welcome = commit.welcome.unwrap();
        let joined = Group::join(SPACE, &welcome, &key_packages, seed(23)).unwrap();
        assert!(joined.used.is_empty());
        assert_eq!(joined.group.root(), commit.child_root);
        let elsewhere = SpaceId::from_bytes([8; 32]);
        assert!(matches!(
            Group::join(elsewhere, &welcome, &key_packages, seed(23)),
            Err(GroupError::Invalid(_))
        ));
        let none = Group::join(SPACE, &welcome, &Records::new(), seed(23));
        assert_eq!(none.unwrap_err(), GroupError::NotForUs);
    }
}

#[test]
fn the_same_seeds_give_the_same_bytes() {
    let run = || {
        let mut devices = world(24);
        let mut joiner = Device::new(90);
        let add = vec![joiner.key_package(30)];
        let remove = vec![devices[5].id()];
        let one = devices[0].commit(&Change { add, remove, ..change() }, 31);
        devices[0].merge(&one);
        devices[11].receive(&one);
        let two = devices[11].commit(&change(), 32);
        (one.message, one.welcome, one.child_root, two.message, two.child_root)
    };
    assert!(run() == run());
}

#[test]
fn a_key_package_names_its_device() {
    let me = identity(5);
    let made = new_key_package(&me, seed(40), false).unwrap();
    let leaf = read_key_package(&made.bytes).unwrap();
    assert_eq!((leaf.device, leaf.account), (me.device, me.account));
    let mut liar = identity(6);
    liar.device = me.device;
    let lie = new_key_package(&liar, seed(41), false).unwrap();
    assert_eq!(read_key_package(&lie.bytes).unwrap_err(), GroupError::Credential);
}

#[test]
fn what_records_cost() {
    for n in [2, 8, 64] {
        let mut devices = world(n);
        let total =
            |records: &Records| records.iter().map(|(k, v)| k.len() + v.len()).sum::<usize>();
        let loaded = total(&devices[1].records);
        let commit = devices[0].commit(&change(), 50);
        let pending = total(&devices[0].records);
        devices[0].merge(&commit);
        let after = total(&devices[0].records);
        let key_package = new_key_package(&identity(99), seed(51), false).unwrap();
        let private: usize = key_package.records.puts.iter().map(|(k, v)| k.len() + v.len()).sum();
        eprintln!(
            "{n} leaves: joined {loaded}, pending {pending}, after {after}, commit {}, {} records; \
             key package {} + {private}",
            commit.message.len(),
            devices[0].records.len(),
            key_package.bytes.len(),
        );
        assert!(loaded < 16 * 1024 + usize::from(n) * 8 * 1024);
    }
}

/// Flips one byte, or cuts, or lengthens.
fn damaged(bytes: &[u8], at: usize, flip: u8) -> Vec<u8> {
    let mut out = bytes.to_vec();
    let at = at % out.len();
    match flip {
        0 => out.truncate(at),
        1 => out.push(0),
        flip => out[at] ^= flip,
    }
    out
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn a_damaged_message_is_refused_and_changes_nothing(
        places in prop::collection::vec((any::<usize>(), any::<u8>()), 40),
    ) {
        let mut devices = world(3);
        let mut joiner = Device::new(4);
        let key_package = joiner.key_package(60);
        let add = vec![key_package.clone()];
        let commit = devices[0].commit(&Change { add, context: context("b"), ..change() }, 61);
        devices[1].commit(&change(), 62);
        let welcome = commit.welcome.clone().unwrap();
        for (at, flip) in places {
            let group = devices[1].group();
            let bad = damaged(&commit.message, at, flip);
            prop_assert!(group.read_commit(&bad).is_err());
            prop_assert!(group.diff().is_empty() && group.has_pending() && group.epoch() == 1);
            prop_assert!(read_key_package(&damaged(&key_package, at, flip)).is_err());
            let bad = damaged(&welcome, at, flip);
            prop_assert!(Group::join(SPACE, &bad, &joiner.key_packages, seed(63)).is_err());
        }
        devices[1].receive(&commit);
        joiner.join(&welcome);
    }

    #[test]
    fn noise_is_refused(noise in prop::collection::vec(any::<u8>(), 0..400)) {
        let mut group = Group::create(&identity(1), SPACE, &context("a"), seed(70)).unwrap();
        prop_assert!(group.read_commit(&noise).is_err());
        prop_assert!(read_key_package(&noise).is_err());
        prop_assert!(Group::join(SPACE, &noise, &Records::new(), seed(71)).is_err());
    }
}
