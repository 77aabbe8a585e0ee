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
use sync_protocol::{AccountId, DeviceId, EpochId, SpaceId, WriterId};
use tracing::debug;

use crate::engine::Step;
use crate::engine::rooms::{MemberRows, Members};
use crate::engine::rows::{EpochRow, NOT_SHOWN, StateRow, WishRow, WriterRow};
use crate::engine::space::deliveries::Arrived;
use crate::engine::space::state::Core;
use crate::records::key;
use crate::trust::{Ancestor, Heads, Invalid, Lineage};

/// Intents that wait at most: more than a group has accounts.
const WISHES: usize = 1_024;
/// How long a space that was not what it was said to be is left alone; twice as long each time.
const DISOWNED_MS: u64 = 60_000;
/// How often that is doubled: to about an hour.
const DOUBLED: u32 = 6;

impl Members<'_> {
    /// Takes in a handshake of the past, or the one that let this device in.
    pub(in crate::engine) fn read_past(
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
        self.member_rows().note_let_go(id, &commit);
        if let Ok(me) = self.account.me().map(|me| me.account()) {
            self.member_rows().note_own_addition(id, &me, (arrived.index, &commit));
        }
        let joining = self.spaces.core(id)?.core.as_ref().and_then(|core| core.state.joining);
        let lets_in = joining == Some(child);
        if lets_in {
            self.spaces.group(id)?;
        }
        let known = self.fitting_epoch(id, arrived, &child)?;
        if lets_in && !known {
            self.disown(id, Invalid::OtherGroup);
            return Ok(());
        }
        if lets_in && !self.member_rows().is_of_a_leaf(id, arrived) {
            self.disown(id, Invalid::Stranger);
            return Ok(());
        }
        let said = (commit.number, commit.era);
        match self.follow_line(id, arrived, child, commit, known)? {
            Ok(()) if lets_in => self.is_let_in(id, arrived, child, said),
            Ok(()) if known => self.past_epoch(id, arrived, child, said),
            Ok(()) => {}
            Err(why) if lets_in => self.disown(id, why),
            // A commit that the group passed over, written down by a device that did not know. Should
            // the log be at fault, the line to where this device was let in is broken as well.
            Err(_) => self.member_rows().forget_epoch(id, &child),
        }
        Ok(())
    }

    /// Whether the epoch that a handshake leads to is known here, with the root and the group that
    /// its name commits to. What is known under the name and does not fit is let go.
    fn fitting_epoch(&mut self, id: &SpaceId, arrived: &Arrived, child: &EpochId) -> Step<bool> {
        let commitment = arrived.envelope.header.commitment;
        let fits = |core: &Core| {
            let row = core.epochs.get(child)?;
            Some(Some(row.commitment()) == commitment)
        };
        let known = self.spaces.core(id)?.core.as_ref().and_then(fits);
        if known == Some(true) {
            return Ok(true);
        }
        let found = match commitment {
            Some(commitment) => self.vault().seek_epoch(id, child, &commitment)?,
            None => false,
        };
        if !found && known == Some(false) {
            self.member_rows().forget_epoch(id, child);
            let joining = self.spaces.space(id)?.core.as_ref().and_then(|core| core.state.joining);
            if joining != Some(*child) {
                self.log_rows().evidence(id, Invalid::HistoryDoesNotFit);
            }
        }
        Ok(found)
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
        let Some(core) = &mut self.spaces.core(id)?.core else { return Ok(Ok(())) };
        let (lets_in, ahead) = (core.state.joining == Some(child), core.state.ahead);
        let Some(lineage) = &mut core.state.lineage else {
            core.state.since.see(Ancestor::new(child, arrived.index, commit));
            self.turn.save_state(id);
            return Ok(Ok(()));
        };
        lineage.see(Ancestor::new(child, arrived.index, commit));
        if !known {
            self.turn.save_state(id);
            return Ok(Ok(()));
        }
        let line = match lineage.line_to(&child) {
            Ok(line) => line,
            Err(why) => return Ok(Err(why)),
        };
        if ahead {
            // It leads through every epoch that the account knows, up to the newest.
            let known = self.invitations().known_epochs(id)?;
            if !line.iter().all(|step| known.admits(&step.child, step.number)) {
                return Ok(Err(Invalid::BrokenLine));
            }
        }
        self.contacts().want_logs(&came(&line))?;
        // Only where this device was let in can the members turn out to be others.
        let core = self.spaces.core(id)?.core.as_ref().filter(|_| lets_in);
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
        self.turn.save_state(id);
        Ok(Ok(()))
    }

    /// What the handshakes of a line did to who can write, and the logs that they were judged
    /// against.
    fn apply_line(&mut self, id: &SpaceId, line: &[Ancestor]) {
        let people = &self.people;
        let own = self.account.own().map(|me| me.row().account);
        let Some(core) = self.spaces.get_mut(id).and_then(|space| space.core.as_mut()) else {
            return;
        };
        let mut heads = Heads::of(&core.state.heads);
        let mut epoch = core.state.lineage.as_ref().map_or(EpochId::NONE, Lineage::good);
        for step in line {
            core.take_wishes(id, &epoch, step.index, own);
            epoch = step.child;
            step.logs.iter().for_each(|head| heads.advance(head));
            core.state.rights.follow(step.index, &step.roster);
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
                        core.state.forget_let_go(change);
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
    fn past_epoch(
        &mut self,
        id: &SpaceId,
        arrived: &Arrived,
        child: EpochId,
        (number, era): (u64, u32),
    ) {
        let Some(space) = self.spaces.get_mut(id) else { return };
        let Some(core) = &mut space.core else { return };
        let before = core.epochs.get(&space.row.epoch).map(|row| row.number);
        let Some(row) = core.epochs.get_mut(&child) else { return };
        if before.is_some_and(|before| number <= before) {
            return;
        }
        if row.is_shown(number, arrived.index, era) {
            self.turn.batch.put(key::epoch(id, &child), codec::encode(row));
        }
        self.end_devices(id, &arrived.envelope, arrived.index);
        self.content_rows().era_begins(id, era, arrived.index);
        let Some(space) = self.spaces.get_mut(id) else { return };
        space.row.epoch = child;
        self.turn.save_space(id);
    }

    /// The handshake that let this device in: from here on it knows for itself who is in.
    fn is_let_in(
        &mut self,
        id: &SpaceId,
        arrived: &Arrived,
        child: EpochId,
        (number, said): (u64, u32),
    ) {
        debug!(space = ?id, index = arrived.index, epoch = ?child, "the log shows this device let in");
        self.end_devices(id, &arrived.envelope, arrived.index);
        let era = self.spaces.get(id).map_or(0, |space| space.row.context.era);
        self.content_rows().era_begins(id, era, arrived.index);
        let own = self.account.own().map(|me| me.row().account);
        let Some(space) = self.spaces.get_mut(id) else { return };
        let Some(core) = &mut space.core else { return };
        // Whoever let this device in may say that somebody asked to leave. Others' acts are judged by
        // that, and this device does nothing about it by itself.
        let told = match core.state.lineage.is_some() {
            true => Vec::new(),
            false => core.state.leavers.iter().map(|(one, _)| *one).collect(),
        };
        core.take_wishes_to(id, &child, own);
        core.state.stop_joining();
        core.state.ahead = false;
        // Known only now; whoever is let in from here with all history needs it.
        if let Some(row) = core.epochs.get_mut(&child)
            && row.is_shown(number, arrived.index, said)
        {
            self.turn.batch.put(key::epoch(id, &child), codec::encode(row));
        }
        // What somebody wrote down and the log does not have is nobody's epoch.
        for epoch in core.drop_unshown() {
            self.turn.batch.delete(key::epoch(id, &epoch));
        }
        let roster = &space.row.context.roster;
        core.state.rights.note(arrived.index, roster);
        core.state.leavers.retain(|(account, _)| roster.role(account).is_some());
        let standing = core.state.leavers.iter().map(|(one, _)| *one);
        let standing: Vec<_> = standing.filter(|one| !told.contains(one)).collect();
        let enters =
            core.pending.as_ref().is_some_and(|own| own.enters && own.child == Some(child));
        // What led here was proven by the log: the account's other devices may believe it.
        let stands = |row: &EpochRow| row.index <= arrived.index && row.number <= number;
        let proven = core.epochs.iter().filter(|(_, row)| stands(row));
        let proven: Vec<EpochId> = proven.map(|(epoch, _)| *epoch).collect();
        space.row.epoch = child;
        space.row.commitment = core.epochs.get(&child).map(EpochRow::commitment);
        // Who wrote what is known only by now: what is unread is counted once more.
        space.row.stale = true;
        space.unread.count_anew();
        for epoch in proven {
            self.vault().owe_vault(id, epoch);
        }
        if enters {
            // The relay's word that it is stored may be lost: the log says so as well.
            self.tickets().entrance_stands(id, arrived.index);
        }
        self.devices().evict_ended(id);
        // Whoever was to let them go may be gone as well.
        for account in standing {
            self.let_go(id, account);
        }
        self.turn.save_state(id);
        self.turn.save_space(id);
    }

    /// A space is not what this device was led to believe: it leaves, and tells. It comes back in by
    /// a ticket that leads where the log goes.
    pub(in crate::engine) fn disown(&mut self, id: &SpaceId, why: Invalid) {
        debug!(space = ?id, code = why.code(), "a space is not what this device was led to believe");
        self.log_rows().evidence(id, why);
        if let Some(space) = self.spaces.get_mut(id) {
            space.in_session.deliveries.clear();
            if let Some(core) = &mut space.core {
                if let Some(epoch) = core.state.joining {
                    // It is nobody's epoch: the account's other devices must not take it for one.
                    core.epochs.remove(&epoch);
                    self.turn.batch.delete(key::epoch(id, &epoch));
                    space.row.unvaulted.retain(|owed| *owed != epoch);
                }
                core.state.stop_joining();
            }
        }
        self.member_rows().left(id);
        self.turn.save_state(id);
        let often = self.spaces.get_mut(id).map_or(0, |space| space.footing.once_more_out());
        let due = self.turn.now + (DISOWNED_MS << often.min(DOUBLED));
        self.tickets().return_by_ticket(id, due);
    }
}

impl MemberRows<'_> {
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
            self.turn.save_state(id);
        }
    }

    /// Takes note of where this account was added, or removed, before this device was let in: what it
    /// can't read of the time between is lost to it.
    fn note_own_addition(
        &mut self,
        id: &SpaceId,
        me: &AccountId,
        (index, commit): (u64, &CommitHeader),
    ) {
        let core = self.spaces.get_mut(id).and_then(|space| space.core.as_mut());
        let Some(core) = core.filter(|core| core.state.joining.is_some()) else { return };
        for change in &commit.roster {
            match change {
                RosterChange::Add { account, .. } if account == me => {
                    core.state.added_at = Some(index);
                }
                RosterChange::Remove { account } if account == me => core.state.added_at = None,
                _ => {}
            }
        }
    }

    fn forget_epoch(&mut self, id: &SpaceId, epoch: &EpochId) {
        debug!(space = ?id, ?epoch, "an epoch that was known is not on the log's line");
        if let Some(core) = self.spaces.get_mut(id).and_then(|space| space.core.as_mut()) {
            core.epochs.remove(epoch);
            self.turn.batch.delete(key::epoch(id, epoch));
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
}

impl StateRow {
    /// The log was read up to where this device was let in, or it is not read any further.
    fn stop_joining(&mut self) {
        (self.joining, self.lineage, self.write_at) = (None, None, None);
        self.added_at = None;
        self.wishes.clear();
        self.since = Lineage::default();
    }

    /// Who asked to leave and was let go asks no more.
    fn forget_let_go(&mut self, change: &RosterChange) {
        if let RosterChange::Remove { account } = change {
            self.leavers.retain(|(leaver, _)| leaver != account);
        }
    }

    /// A writer's own entry says how far it has written. Whether only others had told so far.
    pub(in crate::engine) fn forget_told(&mut self, writer: &WriterId) -> bool {
        let told = self.told.len();
        self.told.retain(|one| one != writer);
        self.told.len() < told
    }
}

impl Core {
    /// Lets go of the epochs that the log does not show up to where this device came in.
    fn drop_unshown(&mut self) -> Vec<EpochId> {
        let unshown = self.epochs.iter().filter(|(_, row)| row.index == NOT_SHOWN);
        let unshown: Vec<EpochId> = unshown.map(|(epoch, _)| *epoch).collect();
        for epoch in &unshown {
            self.epochs.remove(epoch);
        }
        unshown
    }

    /// Keeps an intent of the past until it is known who could write there.
    pub(in crate::engine) fn note_wish(&mut self, arrived: &Arrived) {
        let wishes = &mut self.state.wishes;
        if wishes.len() >= WISHES {
            wishes.remove(0);
        }
        let (index, writer) = (arrived.index, arrived.writer);
        let envelope = Blob(arrived.envelope.to_bytes());
        wishes.push(WishRow { index, writer, envelope });
    }

    /// Judges the intents on the way to the epoch that this device was let into. Where the log was read
    /// from its start, the line has done that.
    fn take_wishes_to(&mut self, id: &SpaceId, child: &EpochId, own: Option<AccountId>) {
        for step in self.state.since.back_from(child) {
            self.take_wishes(id, &step.parent, step.index, own);
            step.roster.iter().for_each(|change| self.state.forget_let_go(change));
        }
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
