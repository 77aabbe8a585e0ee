//! The verdict on a commit: what everybody in an epoch sees of it, and by what they judge it.
//!
//! All who are in an epoch judge its commits alike, and so they judge their own: a device that went
//! on by a commit which the others pass over would be alone where that leads.

use sync_protocol::codec::{self, Blob};
use sync_protocol::device_log::DeviceLog;
use sync_protocol::envelope::{CommitHeader, Envelope, aad};
use sync_protocol::roster::{Role, Roster, RosterChange};
use sync_protocol::signing::PublicKey;
use sync_protocol::sorted::{SortedMap, SortedSet};
use sync_protocol::{AccountId, DeviceId, EpochId, SpaceId, limits};

use crate::engine::rows::{SealedCommit, SpaceRow, WriterRow};
use crate::engine::seal;
use crate::engine::space::deliveries::Arrived;
use crate::engine::space::state::Core;
use crate::group::{Context, Incoming, Leaf};
use crate::trust::Heads;

/// Why a commit is not applied here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Everybody passes it over.
    Void(Void),
    /// It is this device's, by a store that went on: this one is older, or a copy of it.
    Own,
    /// All that everybody can see of it is good, and this device can't open it.
    Closed,
    /// Its author's signature is not on it: the copy may be bad.
    Unsigned,
}

/// What everybody sees to be wrong with a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Void {
    /// The header does not parse, is out of number or of a newer version, or names another epoch.
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
    /// A device log that it names is not there, or older than one that the group has accepted, or of
    /// nobody in the space.
    Logs,
}

/// The logs that a commit names, by account.
pub(super) type Logs = SortedMap<AccountId, DeviceLog>;

/// The present epoch, as all who are in it know it.
pub(super) struct Present<'a> {
    pub(super) epoch: EpochId,
    pub(super) number: u64,
    pub(super) context: &'a Context,
    /// The device logs that the group has accepted.
    pub(super) heads: Heads,
    /// Who asked to leave in this epoch, with the hash of the intent.
    pub(super) leavers: &'a [(AccountId, Blob)],
    /// Whether it is an account's own space: nobody comes or goes there but devices.
    pub(super) own: bool,
}

impl<'a> Present<'a> {
    pub(super) fn of(row: &'a SpaceRow, core: &'a Core) -> Self {
        let (context, leavers) = (&row.context, core.state.leavers.as_slice());
        let heads = Heads::of(&core.state.heads);
        let (epoch, number, own) = (row.epoch, row.number, row.own);
        Self { epoch, number, context, heads, leavers, own }
    }

    /// Whether a commit comes next, by its header.
    ///
    /// # Errors
    /// `Parent` or `Header`.
    pub(super) fn follows(&self, id: &SpaceId, envelope: &Envelope) -> Result<CommitHeader, Void> {
        let commit = envelope.commit().map_err(|_| Void::Header)?;
        if commit.parent != self.epoch || envelope.header.epoch != self.epoch {
            return Err(Void::Parent);
        }
        // An era is begun one at a time.
        let begun = commit.era.checked_sub(self.context.era);
        let fits = self.number.checked_add(1) == Some(commit.number)
            && commit.min_version <= limits::VERSION
            && envelope.names_its_epoch(id)
            && commit.cuts_fit(envelope.header.cursor)
            && begun.is_some_and(|begun| begun <= 1);
        fits.then_some(commit).ok_or(Void::Header)
    }

    /// The roster after a commit, if its author may do what its header says, by these logs.
    ///
    /// # Errors
    /// `Rights`, `Logs` or `Certificates`.
    pub(super) fn allows(
        &self,
        author: &AccountId,
        commit: &CommitHeader,
        logs: &Logs,
    ) -> Result<Roster, Void> {
        let before = &self.context.roster;
        let carried_out = self.leavers.iter().filter(|(_, hash)| commit.intents.contains(hash));
        let leavers: Vec<AccountId> = carried_out.map(|(account, _)| *account).collect();
        let roster = before.after(author, &commit.roster, &leavers).map_err(|_| Void::Rights)?;
        if self.own && roster != *before {
            return Err(Void::Rights);
        }
        let is_member = |of: &AccountId| before.role(of).or(roster.role(of)).is_some();
        if !commit.logs.iter().all(|(account, ..)| is_member(account)) {
            return Err(Void::Logs);
        }
        if !ended(commit, logs) || !begun(commit, logs) {
            return Err(Void::Certificates);
        }
        Ok(roster)
    }
}

/// What is sealed in a commit, and what it proves.
pub(super) struct Opened {
    pub(super) sealed: SealedCommit,
    pub(super) logs: Logs,
    pub(super) author: WriterRow,
}

/// Opens a commit and sees who made it. A relay may have kept back the log of whoever comes in: the
/// commit carries it, sealed, and what counts must not hang on what was shown here.
pub(super) fn open(
    id: &SpaceId,
    arrived: &Arrived,
    (commit, heads): (&CommitHeader, &Heads),
    (member, signer): (Option<WriterRow>, Option<PublicKey>),
    root: Option<&[u8; 32]>,
) -> Result<Opened, Refusal> {
    // Signed, or no one's: a copy that was altered on the way says nothing about the commit.
    let signed = |key: &PublicKey| arrived.envelope.verify(id, &arrived.writer, key).is_ok();
    if signer.as_ref().is_some_and(|key| !signed(key)) {
        return Err(Refusal::Unsigned);
    }
    // Until what is sealed says who signed, nothing is void.
    let void = |why| if signer.is_some() { Refusal::Void(why) } else { Refusal::Unsigned };
    let root = root.ok_or(void(Void::Parent))?;
    let aad = aad(id, &arrived.writer, arrived.envelope.header_bytes());
    let plaintext = seal::open(&seal::handshake_key(root), &aad, arrived.envelope.payload());
    let plaintext = plaintext.map_err(|_| void(Void::Sealed))?;
    let sealed: SealedCommit =
        codec::decode_exact("sealed commit", &plaintext).map_err(|_| void(Void::Sealed))?;
    let logs = proven(commit, &sealed.logs, heads).ok_or(void(Void::Logs))?;
    let author = match member {
        Some(row) => row,
        None => newcomer(commit, &logs, arrived).ok_or(void(Void::Author))?,
    };
    match signer {
        Some(signer) if author.key != signer => Err(void(Void::Author)),
        None if !signed(&author.key) => Err(Refusal::Unsigned),
        Some(_) | None => Ok(Opened { sealed, logs, author }),
    }
}

/// What a commit's header says that it does.
pub(super) struct Said<'a> {
    pub(super) commit: &'a CommitHeader,
    pub(super) author: &'a WriterRow,
    /// Who is in afterwards.
    pub(super) roster: &'a Roster,
    /// The leaves before it.
    pub(super) before: &'a [Leaf],
}

impl Said<'_> {
    /// Whether the MLS commit does that, and nothing else.
    ///
    /// # Errors
    /// `Disagrees`.
    pub(super) fn is_done_by(
        &self,
        envelope: &Envelope,
        incoming: &Incoming,
        context: &Context,
    ) -> Result<(), Void> {
        let Self { commit, author, roster, before } = *self;
        let header = envelope.header.commit.as_ref().ok_or(Void::Header)?;
        let names_title = incoming.context.title == context.title
            || context.roster.role(&author.account) == Some(Role::Admin);
        let is_so = incoming.committer.device == author.device
            && incoming.committer.account == author.account
            && incoming.enters == enters(commit, author)
            && incoming.aad == CommitHeader::hash(header.as_slice())
            && incoming.context.roster == *roster
            && incoming.context.min_version == commit.min_version
            && incoming.context.era == commit.era
            && names_title
            && leaves_fit(commit, incoming, before);
        is_so.then_some(()).ok_or(Void::Disagrees)
    }
}

/// Whether the leaves added and removed are exactly those the header names. That each is certified is
/// known then: a device's id is the hash of its key.
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
fn newcomer(commit: &CommitHeader, logs: &Logs, arrived: &Arrived) -> Option<WriterRow> {
    let device = arrived.writer.device;
    let Some(RosterChange::AddDevices { account, devices }) = commit.roster.last() else {
        return None;
    };
    if devices.as_slice() != [device] {
        return None;
    }
    let key = logs.get(account)?.active(&device)?.keys.signing;
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

/// The key of a device that comes in from outside, as its account's log has it here.
pub(super) fn newcomer_key<'a>(
    commit: &CommitHeader,
    log: impl Fn(&AccountId) -> Option<&'a DeviceLog>,
    arrived: &Arrived,
) -> Option<PublicKey> {
    let Some(RosterChange::AddDevices { account, .. }) = commit.roster.last() else { return None };
    Some(log(account)?.known(&arrived.writer.device)?.keys.signing)
}

/// The logs that a commit is judged against: it carries each that its header names, verified, and
/// none is older than what the group has accepted.
fn proven(
    commit: &CommitHeader,
    carried: &[(AccountId, Vec<Blob>)],
    accepted: &Heads,
) -> Option<Logs> {
    let named = commit.logs.iter().map(|(account, len, head)| {
        let (_, entries) = carried.iter().find(|(known, _)| known == account)?;
        let entries: Vec<&[u8]> = entries.iter().map(Blob::as_slice).collect();
        let log = DeviceLog::verify(account, &entries).ok()?;
        let is_named = log.len() == *len && log.head() == *head;
        (is_named && accepted.accept(&log).is_ok()).then_some((*account, log))
    });
    named.collect()
}

/// Whether every device that leaves while its account stays was ended by the account's log, or
/// comes back by the same commit.
fn ended(commit: &CommitHeader, logs: &Logs) -> bool {
    commit.roster.iter().all(|change| {
        let RosterChange::RemoveDevices { account, devices } = change else { return true };
        let Some(log) = logs.get(account) else { return false };
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
fn begun(commit: &CommitHeader, logs: &Logs) -> bool {
    commit.roster.iter().all(|change| match change {
        RosterChange::Add { account, devices, .. }
        | RosterChange::AddDevices { account, devices } => logs
            .get(account)
            .is_some_and(|log| devices.iter().all(|device| log.active(device).is_some())),
        RosterChange::Remove { .. }
        | RosterChange::SetRole { .. }
        | RosterChange::RemoveDevices { .. } => true,
    })
}

#[cfg(test)]
mod tests;
