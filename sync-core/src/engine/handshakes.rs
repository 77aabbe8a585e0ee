//! Handshakes and intents in the log: which commit decides an epoch.
//!
//! The relay only orders. Everybody applies the first *valid* child of their epoch in log order;
//! what is not valid is passed over by all, so garbage wedges nobody. Validity depends on the
//! commit, its header and what it carries, never on a clock or on what a device happens to know.

use sync_protocol::codec::Blob;
use sync_protocol::device_log::DeviceLog;
use sync_protocol::envelope::{CommitHeader, Intent, aad, epoch_id};
use sync_protocol::roster::RosterChange;
use sync_protocol::sorted::{SortedMap, SortedSet};
use sync_protocol::{AccountId, DeviceId, EpochId, SpaceId, codec};

use crate::api::{ConversationChange, Event};
use crate::engine::deliveries::{Arrived, log_item};
use crate::engine::rows::{EpochRow, Intention, PersonRow, SealedCommit, WriterRow};
use crate::engine::{Engine, Step, Task, seal};
use crate::group::{GroupError, Incoming, Leaf};
use crate::records::key;
use crate::trust::Invalid;

/// How long a member waits before it carries out somebody's wish to leave, so that not all do.
const LET_GO_MS: u64 = 500;

/// How long a device that came back and lost track once more waits before it comes back again; it
/// doubles each time, up to the other.
const RETURN_MS: u64 = 15_000;
const RETURN_SELDOM_MS: u64 = 5 * 60 * 1000;

/// Whether this device's group is where the log is.
enum Follows {
    On,
    /// The log goes on without this device.
    NoMore,
}

/// Why a commit is not applied here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refusal {
    /// Everybody passes it over.
    Void(Void),
    /// It is this device's, by a store that went on: this one is older, or a copy of it.
    Own,
    /// All that everybody can see of it is good, and this device can't open it.
    Closed,
}

/// What everybody sees to be wrong with a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Void {
    /// The header does not parse, is out of number or of a newer version.
    Header,
    /// It follows another epoch than the present one.
    Parent,
    /// It is not sealed by a member of its epoch.
    Sealed,
    /// Its author could not write there, or did not sign it.
    Author,
    /// Its author may not change this.
    Rights,
    /// It breaks a rule of MLS.
    Mls,
    /// The MLS commit does not do what the header says.
    Disagrees,
    /// A device that comes in is not certified, or one that goes was not ended.
    Certificates,
}

impl Engine {
    /// Takes in a handshake; gives what it counts as in the log's running hash, or `None` where this
    /// device can read no further.
    pub(super) fn take_handshake(
        &mut self,
        id: &SpaceId,
        arrived: &Arrived,
    ) -> Step<Option<[u8; 32]>> {
        let header = &arrived.envelope.header;
        let child = header.child.unwrap_or(EpochId::NONE);
        let item = Some(*child.as_bytes());
        let space = self.core_space(id)?;
        let Some(core) = &space.core else { return Ok(item) };
        if let Some(joining) = core.state.joining {
            if child == joining {
                self.group_space(id)?;
                self.take_joining_handshake(id, arrived, child);
            } else {
                if !core.epochs.contains_key(&child) {
                    self.seek_epoch(id, &child)?;
                }
                self.take_past_handshake(id, arrived, child);
            }
            return Ok(item);
        }
        if !space.row.active {
            return Ok(item);
        }
        let pending = core.pending.as_ref();
        let own = pending.is_some_and(|pending| pending.child == Some(child));
        self.group_space(id)?;
        if own {
            self.own_decided(id, arrived.index);
            return Ok(item);
        }
        Ok(match self.take_others_commit(id, arrived, child) {
            Follows::On => item,
            Follows::NoMore => None,
        })
    }

    /// The handshake that let this device in: from here on it knows for itself who is in.
    fn take_joining_handshake(&mut self, id: &SpaceId, arrived: &Arrived, child: EpochId) {
        let Some(space) = self.spaces.get_mut(id) else { return };
        let Some(core) = &mut space.core else { return };
        core.state.joining = None;
        core.state.write_at = None;
        // Known only now; whoever is let in from here with all history needs it.
        if let Some(row) = core.epochs.get_mut(&child) {
            row.index = arrived.index;
            self.batch.put(key::epoch(id, &child), codec::encode(row));
        }
        let roster = &space.row.context.roster;
        core.state.leavers.retain(|(account, _)| roster.role(account).is_some());
        let standing: Vec<_> = core.state.leavers.iter().map(|(one, _)| *one).collect();
        let enters =
            core.pending.as_ref().is_some_and(|own| own.enters && own.child == Some(child));
        space.row.epoch = child;
        self.owe_vault(id, child);
        if enters {
            // The relay's word that it is stored may be lost: the log says so as well.
            self.entrance_stands(id, arrived.index);
        }
        // Whoever was to let them go may be gone as well.
        for account in standing {
            self.let_go(id, account);
        }
        self.save_state(id);
        self.save_space(id);
    }

    /// Before the handshake that let this device in: what is known of the epochs of that time leads
    /// from one to the next. Where one is missing, the next known one goes on.
    fn take_past_handshake(&mut self, id: &SpaceId, arrived: &Arrived, child: EpochId) {
        let Some(space) = self.spaces.get_mut(id) else { return };
        let Some(core) = &mut space.core else { return };
        let before = core.epochs.get(&space.row.epoch).map(|row| row.number);
        let Some(row) = core.epochs.get_mut(&child) else { return };
        if before.is_some_and(|number| row.number <= number) {
            return;
        }
        let header = arrived.envelope.header.commit.as_ref();
        let header = header.map(Blob::as_slice).unwrap_or_default();
        let parent = arrived.envelope.commit().map(|commit| commit.parent);
        let parent = parent.unwrap_or(EpochId::NONE);
        if epoch_id(id, &parent, header, &seal::key_commitment(&row.root)) != child {
            return self.evidence(id, Invalid::HistoryDoesNotFit);
        }
        if row.index != arrived.index {
            row.index = arrived.index;
            self.batch.put(key::epoch(id, &child), codec::encode(row));
        }
        space.row.epoch = child;
        self.save_state(id);
        self.save_space(id);
    }

    /// Takes in a commit that this device did not make, or does not know that it made.
    fn take_others_commit(&mut self, id: &SpaceId, arrived: &Arrived, child: EpochId) -> Follows {
        let (incoming, sealed) = match self.judge(id, arrived, child) {
            Ok(valid) => valid,
            Err(Refusal::Void(_)) => return Follows::On,
            Err(Refusal::Own) => {
                // From here on this store writes as somebody new.
                self.new_incarnation();
                return Follows::NoMore;
            }
            Err(Refusal::Closed) => return Follows::NoMore,
        };
        for (account, log) in sealed.logs {
            let person = PersonRow { log, ..PersonRow::default() };
            // Judged already; what can't be kept now is asked for again when it is needed.
            let _ = self.learn_person(&account, person);
        }
        for hint in sealed.people.iter().take(sync_protocol::limits::LEAVES) {
            self.learn_hint(hint);
        }
        self.apply_commit(id, arrived, child, incoming);
        Follows::On
    }

    /// Whether the commit is valid. Nothing is changed if it is not.
    fn judge(
        &mut self,
        id: &SpaceId,
        arrived: &Arrived,
        child: EpochId,
    ) -> Result<(Incoming, SealedCommit), Refusal> {
        let void = Refusal::Void;
        let commit = arrived.envelope.commit().map_err(|_| void(Void::Header))?;
        let own_device = self.me().map(|me| me.device()).ok();
        let space = self.spaces.get_mut(id).ok_or(void(Void::Parent))?;
        let core = space.core.as_ref().ok_or(void(Void::Parent))?;
        let parent = space.row.epoch;
        if commit.parent != parent || arrived.envelope.header.epoch != parent {
            return Err(void(Void::Parent));
        }
        if commit.number != space.row.number + 1
            || commit.min_version > sync_protocol::limits::VERSION
        {
            return Err(void(Void::Header));
        }
        let root = core.epochs.get(&parent).ok_or(void(Void::Parent))?.root;
        let aad = aad(id, &arrived.writer, arrived.envelope.header_bytes());
        let plaintext = seal::open(&seal::handshake_key(&root), &aad, arrived.envelope.payload());
        let plaintext = plaintext.map_err(|_| void(Void::Sealed))?;
        let sealed: SealedCommit =
            codec::decode("sealed commit", &plaintext).map_err(|_| void(Void::Sealed))?;
        let author = match core.writer_at(&arrived.writer.device, arrived.index) {
            Some(row) => row.clone(),
            None => newcomer(&commit, &sealed.logs, arrived).ok_or(void(Void::Author))?,
        };
        let signed = arrived.envelope.verify(id, &arrived.writer, &author.key);
        signed.map_err(|_| void(Void::Author))?;
        let leavers = carried_out(&commit, &core.state.leavers);
        let context = &space.row.context;
        let roster = context.roster.after(&author.account, &commit.roster, &leavers);
        let roster = roster.map_err(|_| void(Void::Rights))?;
        if !ended(&commit, &sealed.logs) {
            return Err(void(Void::Certificates));
        }
        let header = arrived.envelope.header.commit.as_ref().ok_or(void(Void::Header))?.as_slice();
        let group = space.group.as_mut().ok_or(void(Void::Parent))?;
        let before = group.leaves();
        let incoming = match group.read_commit(sealed.message.as_slice()) {
            Ok(incoming) => incoming,
            // What it does is sealed from here: the header says who comes in.
            Err(GroupError::Own | GroupError::Unopenable) if !begun(&commit, &sealed.logs) => {
                return Err(void(Void::Certificates));
            }
            Err(GroupError::Own) => return Err(Refusal::Own),
            Err(GroupError::Unopenable) => return Err(Refusal::Closed),
            Err(_) => return Err(void(Void::Mls)),
        };
        if Some(arrived.writer.device) == own_device {
            // This very device comes in anew, and knows nothing of it.
            return Err(Refusal::Own);
        }
        let genuine = incoming.committer.device == arrived.writer.device
            && incoming.committer.account == author.account
            && incoming.enters == enters(&commit, &author)
            && incoming.aad == CommitHeader::hash(header)
            && incoming.context.roster == roster
            && incoming.context.min_version == commit.min_version
            && era_follows(context.era, incoming.context.era)
            && (incoming.context.title == context.title
                || roster_admin(&context.roster, &author.account))
            && leaves_fit(&commit, &incoming, &before);
        if !genuine {
            return Err(void(Void::Disagrees));
        }
        if !certified(&commit, &incoming.added, &sealed.logs) {
            return Err(void(Void::Certificates));
        }
        if let Some(root) = &incoming.child_root
            && epoch_id(id, &parent, header, &seal::key_commitment(root)) != child
        {
            return Err(void(Void::Disagrees));
        }
        Ok((incoming, sealed))
    }

    /// The group goes on where this device can't follow. It reads and writes no further, and comes
    /// back in by the newest ticket.
    pub(super) fn lose_track(&mut self, id: &SpaceId, index: u64) {
        let now = self.now;
        let Some(space) = self.spaces.get_mut(id) else { return };
        space.deliveries.clear();
        space.row.lagging = true;
        space.lost = true;
        if space.turned_away {
            return self.save_space(id);
        }
        space.turned_away = true;
        // Two stores of one device would put each other out for ever: each waits longer every time.
        let wait = match space.returns {
            0 => 0,
            often => (RETURN_MS << often.min(6)).min(RETURN_SELDOM_MS),
        };
        space.returns += 1;
        if let Some(core) = &mut space.core
            && core.pending.take().is_some()
        {
            // What it was to do is still intended, and is committed anew.
            self.batch.delete(key::pending_commit(id));
            space.row.deciding = false;
        }
        space.deciding_sent = false;
        space.wanted = space.wanted.max(index.saturating_add(1));
        self.save_space(id);
        self.return_by_ticket(id, now + wait);
        self.report_status();
        if self.me().is_ok_and(|me| me.writer.incarnation != self.session.opened_by) {
            // The session is the writer's before.
            self.reconnect();
        }
    }

    fn apply_commit(
        &mut self,
        id: &SpaceId,
        arrived: &Arrived,
        child: EpochId,
        incoming: Incoming,
    ) {
        let context = incoming.context.clone();
        let added = incoming.added.clone();
        let removed = incoming.removed.clone();
        let root = incoming.child_root.clone();
        let removes_me = incoming.removes_me;
        let Some(space) = self.spaces.get_mut(id) else { return };
        let Some(group) = &mut space.group else { return };
        if group.apply(incoming).is_err() {
            return;
        }
        let diff = group.diff();
        self.batch.absorb(&key::group(id), diff);
        if let Some(core) = &mut space.core
            && core.pending.take().is_some()
        {
            // Ours lost: what it was to do is still intended, and is committed anew.
            self.batch.delete(key::pending_commit(id));
            space.row.deciding = false;
            space.deciding_sent = false;
        }
        self.change_members(id, arrived.index, &added, &removed);
        if let Some(space) = self.spaces.get_mut(id) {
            space.row.context = context;
            if !space.row.own {
                // A ticket came with it.
                space.row.intentions.retain(|wish| *wish != Intention::Renew);
            }
        }
        match root {
            Some(root) if !removes_me => self.enter_epoch(id, child, arrived.index, *root),
            _ => self.left(id),
        }
        self.drop_fulfilled(id);
    }

    /// A new epoch begins.
    pub(super) fn enter_epoch(&mut self, id: &SpaceId, child: EpochId, index: u64, root: [u8; 32]) {
        let Some(space) = self.spaces.get_mut(id) else { return };
        let number = space.group.as_ref().map_or(space.row.number + 1, |group| group.epoch());
        space.row.epoch = child;
        space.row.number = number;
        // Whatever was pushed and not confirmed is sealed again under the new epoch.
        space.pushed = space.row.stored;
        let row = EpochRow { number, index, root };
        self.batch.put(key::epoch(id, &child), codec::encode(&row));
        if let Some(core) = &mut space.core {
            core.epochs.insert(child, row);
            let roster = &space.row.context.roster;
            core.state.leavers.retain(|(account, _)| roster.role(account).is_some());
        }
        let own = space.row.own;
        self.save_space(id);
        self.save_state(id);
        self.owe_vault(id, child);
        if own {
            // A new era of the account's space begins a new vault.
            self.call_vault();
        } else {
            let change = ConversationChange::Changed;
            self.notify(Event::Conversation { conversation: *id, change });
        }
    }

    /// Leaves came and went with the entry at `index`.
    pub(super) fn change_members(
        &mut self,
        id: &SpaceId,
        index: u64,
        added: &[Leaf],
        removed: &[DeviceId],
    ) {
        let Some(core) = self.spaces.get_mut(id).and_then(|space| space.core.as_mut()) else {
            return;
        };
        for row in &mut core.state.writers {
            if removed.contains(&row.device) && row.to.is_none() {
                row.to = Some(index);
            }
        }
        core.state.writers.extend(added.iter().map(|leaf| WriterRow {
            device: leaf.device,
            account: leaf.account,
            key: leaf.signing_key,
            from: index,
            to: None,
        }));
        self.save_state(id);
    }

    /// This account is no longer in the space. What it could read stays.
    pub(super) fn left(&mut self, id: &SpaceId) {
        let Some(space) = self.spaces.get_mut(id) else { return };
        space.row.active = false;
        space.row.stale = true;
        space.row.intentions.clear();
        space.row.deciding = false;
        space.row.lagging = false;
        space.turned_away = false;
        space.lost = false;
        space.group = None;
        if let Some(core) = &mut space.core {
            core.pending = None;
            if core.state.invited.is_some() {
                self.tasks.push_back(Task::Rejoin(*id));
            }
        }
        self.batch.delete(key::pending_commit(id));
        self.batch.clears.push(key::group(id));
        self.save_space(id);
        let change = ConversationChange::Left;
        self.notify(Event::Conversation { conversation: *id, change });
    }

    /// An intent counts when it stands in the log.
    pub(super) fn take_intent(&mut self, id: &SpaceId, arrived: &Arrived) -> Step<[u8; 32]> {
        let hash = arrived.envelope.intent_hash(id, &arrived.writer);
        let item = log_item(&hash);
        let me = self.me().map(|me| me.account()).ok();
        let space = self.core_space(id)?;
        let Some(core) = &mut space.core else { return Ok(item) };
        let Some(author) = core.writer_at(&arrived.writer.device, arrived.index) else {
            return Ok(item);
        };
        let account = author.account;
        let genuine = arrived.envelope.verify(id, &arrived.writer, &author.key).is_ok();
        let leave = arrived.envelope.header.intent == Some(Intent::Leave);
        if !genuine || !leave || core.state.leavers.iter().any(|(known, _)| *known == account) {
            return Ok(item);
        }
        if core.state.joining.is_some() {
            // Before this device was let in: only what still stands will count.
            if Some(account) != me {
                core.state.leavers.push((account, Blob(hash.to_vec())));
                self.save_state(id);
            }
            return Ok(item);
        }
        core.state.leavers.push((account, Blob(hash.to_vec())));
        if Some(account) == me {
            self.own_intent_stored(id);
        }
        self.let_go(id, account);
        self.save_state(id);
        Ok(item)
    }

    /// Wishes to carry out somebody's wish to leave, in a while: not all have to.
    fn let_go(&mut self, id: &SpaceId, account: AccountId) {
        let at = self.now + LET_GO_MS + u64::from(self.seed()[0]) * 8;
        let is_other = !self.is_own_account(&account);
        if let Some(space) = self.spaces.get_mut(id)
            && (is_other && space.row.active && !space.intends(&Intention::LetGo(account)))
        {
            space.wish(Intention::LetGo(account));
            space.retry_at = Some(at);
        }
        self.save_space(id);
    }
}

/// An era is begun one at a time.
fn era_follows(before: u32, after: u32) -> bool {
    after == before || after.checked_sub(before) == Some(1)
}

fn roster_admin(roster: &sync_protocol::roster::Roster, account: &AccountId) -> bool {
    roster.role(account) == Some(sync_protocol::roster::Role::Admin)
}

/// The accounts whose logged intent to leave this commit names.
fn carried_out(commit: &CommitHeader, leavers: &[(AccountId, Blob)]) -> Vec<AccountId> {
    leavers
        .iter()
        .filter(|(_, hash)| commit.intents.contains(hash))
        .map(|(account, _)| *account)
        .collect()
}

/// Whether the leaves added and removed are exactly those the header names.
fn leaves_fit(commit: &CommitHeader, incoming: &Incoming, before: &[Leaf]) -> bool {
    let mut added = Vec::new();
    let mut removed = Vec::new();
    for change in &commit.roster {
        match change {
            RosterChange::Add { account, devices, .. }
            | RosterChange::AddDevices { account, devices } => {
                added.extend(devices.iter().map(|device| (*device, *account)));
            }
            RosterChange::Remove { account } => {
                let leaves = before.iter().filter(|leaf| leaf.account == *account);
                removed.extend(leaves.map(|leaf| leaf.device));
            }
            RosterChange::RemoveDevices { devices, .. } => removed.extend(devices),
            RosterChange::SetRole { .. } => {}
        }
    }
    let leaves = incoming.added.iter().map(|leaf| (leaf.device, leaf.account));
    names(added, leaves) && names(removed, incoming.removed.iter().copied())
}

/// Whether a list has exactly these, each once, in whatever order.
fn names<T: Ord>(list: Vec<T>, sorted: impl ExactSizeIterator<Item = T>) -> bool {
    list.len() == sorted.len() && SortedSet::from_iter(list).into_iter().eq(sorted)
}

/// Whoever enters from outside is a device that its account's log certifies, and does nothing but
/// come in: its first word is signed with the key that the log names.
fn newcomer(
    commit: &CommitHeader,
    logs: &[(AccountId, Vec<Blob>)],
    arrived: &Arrived,
) -> Option<WriterRow> {
    let device = arrived.writer.device;
    let Some(RosterChange::AddDevices { account, devices }) = commit.roster.last() else {
        return None;
    };
    if devices.as_slice() != [device] {
        return None;
    }
    let log = named_log(commit, logs, account)?;
    let key = log.active(&device)?.keys.signing;
    Some(WriterRow { device, account: *account, key, from: arrived.index, to: None })
}

/// Whether the commit is one by which its author comes in from outside, perhaps once more.
fn enters(commit: &CommitHeader, author: &WriterRow) -> bool {
    let own = |changed: &AccountId, devices: &[DeviceId]| {
        *changed == author.account && devices == [author.device]
    };
    match commit.roster.as_slice() {
        [RosterChange::AddDevices { account, devices }] => own(account, devices),
        [
            RosterChange::RemoveDevices { account: left, devices: old },
            RosterChange::AddDevices { account, devices },
        ] => own(left, old) && own(account, devices),
        _ => false,
    }
}

/// The log of an account that the commit carries, if it is the one that its header names.
fn named_log(
    commit: &CommitHeader,
    logs: &[(AccountId, Vec<Blob>)],
    account: &AccountId,
) -> Option<DeviceLog> {
    let (_, entries) = logs.iter().find(|(known, _)| known == account)?;
    let entries: Vec<&[u8]> = entries.iter().map(Blob::as_slice).collect();
    let log = DeviceLog::verify(account, &entries).ok()?;
    commit.logs.contains(&(*account, log.len(), log.head())).then_some(log)
}

/// Whether every device that leaves while its account stays was ended by the account's log, or
/// comes back by the same commit.
fn ended(commit: &CommitHeader, logs: &[(AccountId, Vec<Blob>)]) -> bool {
    commit.roster.iter().all(|change| {
        let RosterChange::RemoveDevices { account, devices } = change else { return true };
        let Some(log) = named_log(commit, logs, account) else { return false };
        let returns = |device: &DeviceId| {
            commit.roster.iter().any(|change| match change {
                RosterChange::AddDevices { devices, .. } => devices.contains(device),
                _ => false,
            })
        };
        devices.iter().all(|device| log.active(device).is_none() || returns(device))
    })
}

/// Whether every device that the header names to come in is active in its account's log.
fn begun(commit: &CommitHeader, logs: &[(AccountId, Vec<Blob>)]) -> bool {
    commit.roster.iter().all(|change| match change {
        RosterChange::Add { account, devices, .. }
        | RosterChange::AddDevices { account, devices } => named_log(commit, logs, account)
            .is_some_and(|log| devices.iter().all(|device| log.active(device).is_some())),
        RosterChange::Remove { .. }
        | RosterChange::SetRole { .. }
        | RosterChange::RemoveDevices { .. } => true,
    })
}

/// Whether every added leaf is an active device of its account, by the log at the head that the
/// header names.
fn certified(commit: &CommitHeader, added: &[Leaf], logs: &[(AccountId, Vec<Blob>)]) -> bool {
    // Each log is verified once, whatever the number of its devices.
    let accounts: SortedSet<AccountId> = added.iter().map(|leaf| leaf.account).collect();
    let proven = accounts.iter().map(|account| (*account, named_log(commit, logs, account)));
    let proven: SortedMap<AccountId, Option<DeviceLog>> = proven.collect();
    added.iter().all(|leaf| {
        let log = proven.get(&leaf.account).and_then(Option::as_ref);
        let device = log.and_then(|log| log.active(&leaf.device));
        device.is_some_and(|device| device.keys.signing == leaf.signing_key)
    })
}
