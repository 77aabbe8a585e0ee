//! Reading the past: the log up to the handshake that let this device in.
//!
//! Nothing of it can be judged as its members judged it. But whoever was let in knows one epoch to be
//! good once the log shows it, and the names of epochs lead from there back to the founding. What the
//! handshakes on that line say of members is what counts; keys come out of verified device logs, and
//! nobody's word is taken for who wrote what.

use sync_protocol::codec::{self, Blob};
use sync_protocol::envelope::{CommitHeader, Envelope, Intent};
use sync_protocol::roster::RosterChange;
use sync_protocol::sorted::SortedSet;
use sync_protocol::{AccountId, DeviceId, EpochId, SpaceId};
use tracing::debug;

use crate::engine::deliveries::Arrived;
use crate::engine::rows::{EpochRow, WishRow, WriterRow};
use crate::engine::space::Core;
use crate::engine::{Engine, Step};
use crate::records::key;
use crate::trust::{Ancestor, Heads, Invalid, Lineage};

/// Intents that wait at most: more than a group has accounts.
const WISHES: usize = 1_024;
/// How long a space that was not what it was said to be is left alone.
const DISOWNED_MS: u64 = 60_000;

impl Engine {
    /// Takes in a handshake of the past, or the one that let this device in.
    pub(super) fn read_past(
        &mut self,
        id: &SpaceId,
        arrived: &Arrived,
        child: EpochId,
    ) -> Step<()> {
        let Ok(commit) = arrived.envelope.commit() else { return Ok(()) };
        if !arrived.envelope.names_its_epoch(id) {
            // It leads nowhere, for everybody.
            return Ok(());
        }
        self.note_let_go(id, &commit);
        let joining = self.core_space(id)?.core.as_ref().and_then(|core| core.state.joining);
        let lets_in = joining == Some(child);
        if lets_in {
            self.group_space(id)?;
        }
        let known = self.fitting_epoch(id, arrived, &child)?;
        if lets_in && !known {
            self.disown(id, Invalid::OtherGroup);
            return Ok(());
        }
        if lets_in && !self.is_of_a_leaf(id, arrived) {
            self.disown(id, Invalid::Stranger);
            return Ok(());
        }
        match self.follow_line(id, arrived, child, commit, known)? {
            Ok(()) if lets_in => self.is_let_in(id, arrived, child),
            Ok(()) if known => self.past_epoch(id, arrived, child),
            Ok(()) => {}
            Err(why) if lets_in => self.disown(id, why),
            // A commit that the group passed over, written down by a device that did not know. Should
            // the log be at fault, the line to where this device was let in is broken as well.
            Err(_) => self.forget_epoch(id, &child),
        }
        Ok(())
    }

    /// Who asked to leave before this device was let in, and was let go, asks no more, though they
    /// may be back since.
    fn note_let_go(&mut self, id: &SpaceId, commit: &CommitHeader) {
        let gone = |account: &AccountId| {
            commit.roster.iter().any(
                |change| matches!(change, RosterChange::Remove { account: of } if of == account),
            )
        };
        let core = self.spaces.get_mut(id).and_then(|space| space.core.as_mut());
        // Where the log is read from its start, the line says who was let go.
        if let Some(core) = core.filter(|core| core.state.lineage.is_none()) {
            core.state.leavers.retain(|(account, _)| !gone(account));
            self.save_state(id);
        }
    }

    /// Whether the epoch that a handshake leads to is known here, with the root and the group that
    /// its name commits to. What is known under the name and does not fit is let go.
    fn fitting_epoch(&mut self, id: &SpaceId, arrived: &Arrived, child: &EpochId) -> Step<bool> {
        let commitment = arrived.envelope.header.commitment;
        let fits = |core: &Core| {
            let row = core.epochs.get(child)?;
            Some(Some(row.commitment()) == commitment)
        };
        let known = self.core_space(id)?.core.as_ref().and_then(fits);
        if known == Some(true) {
            return Ok(true);
        }
        let found = match commitment {
            Some(commitment) => self.seek_epoch(id, child, &commitment)?,
            None => false,
        };
        if !found && known == Some(false) {
            self.forget_epoch(id, child);
            let joining = self.space(id)?.core.as_ref().and_then(|core| core.state.joining);
            if joining != Some(*child) {
                self.evidence(id, Invalid::HistoryDoesNotFit);
            }
        }
        Ok(found)
    }

    fn forget_epoch(&mut self, id: &SpaceId, epoch: &EpochId) {
        debug!(space = ?id, ?epoch, "an epoch that was known is not on the log's line");
        if let Some(core) = self.spaces.get_mut(id).and_then(|space| space.core.as_mut()) {
            core.epochs.remove(epoch);
            self.batch.delete(key::epoch(id, epoch));
        }
    }

    /// Whether a leaf of the group that this device was let into signed a handshake.
    fn is_of_a_leaf(&self, id: &SpaceId, arrived: &Arrived) -> bool {
        let group = self.spaces.get(id).and_then(|space| space.group.as_ref());
        let leaves = group.map(crate::group::Group::leaves).unwrap_or_default();
        let author = leaves.iter().find(|leaf| leaf.device == arrived.writer.device);
        author.is_some_and(|leaf| {
            arrived.envelope.verify(id, &arrived.writer, &leaf.signing_key).is_ok()
        })
    }

    /// Takes note of a handshake where the log is read from its start; and follows the line to it, if
    /// the epoch it leads to is known.
    fn follow_line(
        &mut self,
        id: &SpaceId,
        arrived: &Arrived,
        child: EpochId,
        commit: CommitHeader,
        known: bool,
    ) -> Step<Result<(), Invalid>> {
        let Some(core) = &mut self.core_space(id)?.core else { return Ok(Ok(())) };
        let (lets_in, ahead) = (core.state.joining == Some(child), core.state.ahead);
        let Some(lineage) = &mut core.state.lineage else { return Ok(Ok(())) };
        lineage.see(Ancestor::new(child, arrived.index, commit));
        if !known {
            self.save_state(id);
            return Ok(Ok(()));
        }
        let line = match lineage.line_to(&child) {
            Ok(line) => line,
            Err(why) => return Ok(Err(why)),
        };
        if ahead {
            // It leads through every epoch that the account knows, up to the newest.
            let known = self.known_epochs(id)?;
            if !line.iter().all(|step| known.admits(&step.child, step.number)) {
                return Ok(Err(Invalid::BrokenLine));
            }
        }
        self.want_logs(&came(&line))?;
        // Only where this device was let in can the members turn out to be others.
        let core = self.core_space(id)?.core.as_ref().filter(|_| lets_in);
        let before = core.map(|core| core.state.writers.clone());
        self.apply_line(id, &line);
        let Some(space) = self.spaces.get_mut(id) else { return Ok(Ok(())) };
        let (Some(core), group) = (&mut space.core, &space.group) else { return Ok(Ok(())) };
        if lets_in && group.as_ref().is_some_and(|group| !has_exactly(core, group)) {
            core.state.writers = before.unwrap_or_default();
            return Ok(Err(Invalid::OtherMembers));
        }
        if let Some(lineage) = &mut core.state.lineage {
            lineage.settle(&line);
        }
        self.save_state(id);
        Ok(Ok(()))
    }

    /// What the handshakes of a line did to who can write, and the logs that they were judged
    /// against.
    fn apply_line(&mut self, id: &SpaceId, line: &[Ancestor]) {
        let people = &self.people;
        let own = self.me.as_ref().map(|me| me.row.account);
        let Some(core) = self.spaces.get_mut(id).and_then(|space| space.core.as_mut()) else {
            return;
        };
        let mut heads = Heads::of(&core.state.heads);
        let mut epoch = core.state.lineage.as_ref().map_or(EpochId::NONE, Lineage::good);
        for step in line {
            core.take_wishes(id, &epoch, step.index, own);
            epoch = step.child;
            step.logs.iter().for_each(|head| heads.advance(head));
            for change in &step.roster {
                match change {
                    RosterChange::Add { account, devices, .. }
                    | RosterChange::AddDevices { account, devices } => {
                        let Some(log) = people.log(account) else { continue };
                        let rows = devices.iter().filter_map(|device| {
                            let key = log.known(device)?.keys.signing;
                            let (account, from) = (*account, step.index);
                            Some(WriterRow { device: *device, account, key, from, to: None })
                        });
                        core.state.writers.extend(rows);
                    }
                    RosterChange::Remove { account } => {
                        core.end_writers(step.index, |row| row.account == *account);
                        // Who asked to leave and was let go asks no more.
                        core.state.leavers.retain(|(leaver, _)| leaver != account);
                    }
                    RosterChange::RemoveDevices { account, devices } => {
                        let goes = |row: &WriterRow| {
                            row.account == *account && devices.contains(&row.device)
                        };
                        core.end_writers(step.index, goes);
                    }
                    RosterChange::SetRole { .. } => {}
                }
            }
        }
        core.state.heads = heads.list();
    }

    /// An epoch before the one that this device was let into, known and on the line.
    fn past_epoch(&mut self, id: &SpaceId, arrived: &Arrived, child: EpochId) {
        let Some(space) = self.spaces.get_mut(id) else { return };
        let Some(core) = &mut space.core else { return };
        let before = core.epochs.get(&space.row.epoch).map(|row| row.number);
        let Some(row) = core.epochs.get_mut(&child) else { return };
        if before.is_some_and(|number| row.number <= number) {
            return;
        }
        // The epoch's id commits to all that its header says.
        let era = arrived.envelope.commit().map_or(0, |commit| commit.era);
        if (row.index, row.era) != (arrived.index, era) {
            (row.index, row.era) = (arrived.index, era);
            self.batch.put(key::epoch(id, &child), codec::encode(row));
        }
        self.end_devices(id, &arrived.envelope, arrived.index);
        self.era_begins(id, era, arrived.index);
        let Some(space) = self.spaces.get_mut(id) else { return };
        space.row.epoch = child;
        self.save_space(id);
    }

    /// The handshake that let this device in: from here on it knows for itself who is in.
    fn is_let_in(&mut self, id: &SpaceId, arrived: &Arrived, child: EpochId) {
        debug!(space = ?id, index = arrived.index, epoch = ?child, "the log shows this device let in");
        self.end_devices(id, &arrived.envelope, arrived.index);
        let era = self.spaces.get(id).map_or(0, |space| space.row.context.era);
        self.era_begins(id, era, arrived.index);
        let Some(space) = self.spaces.get_mut(id) else { return };
        let Some(core) = &mut space.core else { return };
        core.state.joining = None;
        core.state.lineage = None;
        core.state.wishes = Vec::new();
        core.state.write_at = None;
        core.state.ahead = false;
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
        // What led here was proven by the log: the account's other devices may believe it.
        let number = core.epochs.get(&child).map_or(0, |row| row.number);
        let stands = |row: &EpochRow| row.index <= arrived.index && row.number <= number;
        let proven = core.epochs.iter().filter(|(_, row)| stands(row));
        let proven: Vec<EpochId> = proven.map(|(epoch, _)| *epoch).collect();
        space.row.epoch = child;
        space.row.commitment = core.epochs.get(&child).map(EpochRow::commitment);
        // Who wrote what is known only by now: what is unread is counted once more.
        (space.row.stale, space.rescan) = (true, true);
        for epoch in proven {
            self.owe_vault(id, epoch);
        }
        if enters {
            // The relay's word that it is stored may be lost: the log says so as well.
            self.entrance_stands(id, arrived.index);
        }
        self.evict_ended(id);
        // Whoever was to let them go may be gone as well.
        for account in standing {
            self.let_go(id, account);
        }
        self.save_state(id);
        self.save_space(id);
    }

    /// A space is not what this device was led to believe: it leaves, and tells. It comes back in by
    /// a ticket that leads where the log goes.
    pub(super) fn disown(&mut self, id: &SpaceId, why: Invalid) {
        debug!(space = ?id, code = why.code(), "a space is not what this device was led to believe");
        self.evidence(id, why);
        if let Some(space) = self.spaces.get_mut(id) {
            space.deliveries.clear();
            if let Some(core) = &mut space.core {
                core.state.joining = None;
                core.state.lineage = None;
                core.state.wishes = Vec::new();
                core.state.write_at = None;
            }
        }
        self.left(id);
        self.save_state(id);
        self.return_by_ticket(id, self.now + DISOWNED_MS);
    }
}

impl Core {
    /// Keeps an intent of the past until it is known who could write there.
    pub(super) fn note_wish(&mut self, arrived: &Arrived) {
        let wishes = &mut self.state.wishes;
        if wishes.len() >= WISHES {
            wishes.remove(0);
        }
        let (index, writer) = (arrived.index, arrived.writer);
        let envelope = Blob(arrived.envelope.to_bytes());
        wishes.push(WishRow { index, writer, envelope });
    }

    /// Judges the intents before an index as whoever was in this epoch judged them: it is known now who
    /// could write there.
    fn take_wishes(&mut self, id: &SpaceId, epoch: &EpochId, until: u64, own: Option<AccountId>) {
        let wishes = std::mem::take(&mut self.state.wishes);
        let (past, later) = wishes.into_iter().partition::<Vec<_>, _>(|wish| wish.index < until);
        self.state.wishes = later;
        for WishRow { index, writer, envelope } in past {
            let Ok(envelope) = Envelope::parse(envelope.as_slice()) else { continue };
            let Some(author) = self.writer_at(&writer.device, index) else { continue };
            let (account, key) = (author.account, author.key);
            let stands = envelope.header.epoch == *epoch
                && envelope.header.intent == Some(Intent::Leave)
                && envelope.verify(id, &writer, &key).is_ok();
            let is_known = self.state.leavers.iter().any(|(known, _)| *known == account);
            if stands && !is_known && Some(account) != own {
                let hash = envelope.intent_hash(id, &writer);
                self.state.leavers.push((account, Blob(hash.to_vec())));
            }
        }
    }
}

/// The accounts whose devices came with these handshakes.
fn came(line: &[Ancestor]) -> Vec<(AccountId, Vec<DeviceId>)> {
    let changes = line.iter().flat_map(|step| &step.roster);
    let came = changes.filter_map(|change| match change {
        RosterChange::Add { account, devices, .. }
        | RosterChange::AddDevices { account, devices } => Some((*account, devices.clone())),
        RosterChange::Remove { .. }
        | RosterChange::SetRole { .. }
        | RosterChange::RemoveDevices { .. } => None,
    });
    came.collect()
}

/// Whether those who can write are the group's leaves, all of them and nobody else.
fn has_exactly(core: &Core, group: &crate::group::Group) -> bool {
    let open = core.state.writers.iter().filter(|row| row.to.is_none());
    let open: SortedSet<(AccountId, DeviceId)> =
        open.map(|row| (row.account, row.device)).collect();
    let leaves: SortedSet<(AccountId, DeviceId)> =
        group.leaves().iter().map(|leaf| (leaf.account, leaf.device)).collect();
    open == leaves
}

#[cfg(test)]
mod tests;
