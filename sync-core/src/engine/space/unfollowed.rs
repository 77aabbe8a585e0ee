//! Own changes of members that the relay confirmed, and that nobody was seen to follow yet.
//!
//! A device goes on in the epoch that its commit makes as soon as the relay says that it is stored.
//! Should that word not hold, nobody else is in that epoch: the others write on from the one before,
//! and what they write tells. But so may somebody who lies. So the relay is asked for the commit. If
//! the log does not have it, or if the device had passed over something before it that others may
//! have followed, it gives its epoch up. It comes back in by the newest ticket, and what the commit was
//! to do is wished for once more.

use sync_protocol::envelope::Envelope;
use sync_protocol::frames::{Answer, Entries, Op};
use sync_protocol::{DeviceId, EpochId, SpaceId};
use tracing::debug;

use crate::engine::rooms::{Checks, MemberRows};
use crate::engine::rows::{Intention, StateRow, UnfollowedRow};
use crate::engine::session::Asked;
use crate::engine::space::deliveries::Arrived;
use crate::engine::space::state::SpaceState;
use crate::records::key;
use crate::trust::Invalid;

/// Epochs that were given up and are remembered; the oldest go.
const ABANDONED: usize = 64;

impl MemberRows<'_> {
    /// The relay confirmed a commit of this device that carried these wishes.
    pub(in crate::engine) fn note_unfollowed(
        &mut self,
        id: &SpaceId,
        epoch: EpochId,
        wishes: Vec<Intention>,
    ) {
        let Some(space) = self.spaces.get_mut(id) else { return };
        let row = &space.row;
        let doubted = row.doubted || row.begun.is_some_and(|begun| begun.doubtful);
        let Some(core) = &mut space.core else { return };
        core.state.begin_unfollowed(epoch, wishes, doubted);
        self.turn.save_state(id);
    }
}

impl Checks<'_> {
    /// Somebody wrote where this device is: the log led them there, too.
    pub(in crate::engine) fn note_followed(&mut self, id: &SpaceId, by: &DeviceId) {
        if self.account.me().is_ok_and(|me| me.device() == *by) {
            return;
        }
        let core = self.spaces.get_mut(id).and_then(|space| space.core.as_mut());
        if core.is_some_and(|core| core.state.unfollowed.take().is_some()) {
            self.turn.save_state(id);
        }
    }

    /// Somebody else goes on where this device is not. If it came here by its own commit alone, that
    /// may not be in the log: the relay is asked for it.
    pub(in crate::engine) fn goes_on_elsewhere(&mut self, id: &SpaceId, arrived: &Arrived) {
        if self.account.me().is_ok_and(|me| me.device() == arrived.writer.device) {
            return;
        }
        let space = self.spaces.get_mut(id).filter(|space| space.last_unfollowed().is_some());
        let Some(space) = space else { return };
        if space.follows_doubts() {
            return self.give_up_unfollowed(id, arrived.index, Invalid::OtherHistory);
        }
        space.elsewhere = true;
        self.seek_own_commit(id);
    }

    /// Asks for an own commit that somebody wrote as if it were not there: once in a session.
    pub(in crate::engine) fn seek_own_commit(&mut self, id: &SpaceId) {
        let space = self.spaces.get_mut(id).filter(|space| space.elsewhere);
        let Some(space) = space.filter(|_| self.session.is_open()) else { return };
        let Some((epoch, index)) = space.last_unfollowed() else { return };
        if space.in_session.sought.as_ref().is_some_and(|sought| sought.epoch == epoch) {
            return;
        }
        debug!(space = ?id, index, "an own change is asked for");
        space.in_session.sought = Some(Sought { epoch, index, is_there: false });
        let op = Op::Fetch { space: *id, from: index, to: index.saturating_add(1) };
        self.session.ask(self.turn, op, Asked::OwnCommit(*id));
    }

    /// The relay has shown what it has at the place of an own commit.
    pub(in crate::engine) fn own_commit_shown(&mut self, id: &SpaceId, answer: &Answer) {
        let Some(space) = self.spaces.get_mut(id) else { return };
        match (answer, &space.in_session.sought) {
            (Answer::Done, Some(sought)) if sought.is_there => space.elsewhere = false,
            (Answer::Done, Some(sought)) => {
                let index = sought.index;
                self.give_up_unfollowed(id, index, Invalid::LostConfirmed);
            }
            // Asked again at the next such word, or in the next session.
            _ => space.in_session.sought = None,
        }
    }

    fn give_up_unfollowed(&mut self, id: &SpaceId, index: u64, why: Invalid) {
        let Some(space) = self.spaces.get_mut(id) else { return };
        space.elsewhere = false;
        let Some(given_up) = space.give_up_unfollowed() else { return };
        debug!(space = ?id, index, epochs = given_up.len(), "own epochs are given up");
        for epoch in given_up {
            self.turn.batch.delete(key::epoch(id, &epoch));
        }
        self.turn.save_state(id);
        self.turn.save_space(id);
        self.log_rows().evidence(id, why);
        self.members().lose_track(id, index);
    }
}

/// An own commit that the relay is asked for.
pub(in crate::engine) struct Sought {
    epoch: EpochId,
    index: u64,
    /// Whether the log has it there.
    is_there: bool,
}

impl SpaceState {
    /// The newest own epoch that nobody was seen to follow, and where its commit is said to stand.
    pub(super) fn last_unfollowed(&self) -> Option<(EpochId, u64)> {
        let core = self.core.as_ref()?;
        let epoch = *core.state.unfollowed.as_ref()?.epochs.last()?;
        Some((epoch, core.epochs.get(&epoch)?.index))
    }

    /// Whether something was passed over before an own commit that nobody was seen to follow: others
    /// may have followed that.
    fn follows_doubts(&self) -> bool {
        let core = self.core.as_ref();
        core.and_then(|core| core.state.unfollowed.as_ref()).is_some_and(|row| row.doubted)
    }

    /// Looks whether what the relay brings is the own commit that it was asked for.
    pub(in crate::engine) fn look_for_own_commit(&mut self, entries: &Entries) {
        let Some(sought) = &mut self.in_session.sought else { return };
        let at = sought.index.checked_sub(entries.first).and_then(|at| usize::try_from(at).ok());
        let Some(entry) = at.and_then(|at| entries.entries.get(at)) else { return };
        let Ok(envelope) = Envelope::parse(entry.envelope.as_slice()) else { return };
        let makes_it = envelope.header.child == Some(sought.epoch);
        sought.is_there |= makes_it && envelope.names_its_epoch(&self.id);
    }

    /// Forgets the epochs that nobody followed, and wishes again for what led to them; gives those
    /// epochs, if there are any.
    fn give_up_unfollowed(&mut self) -> Option<Vec<EpochId>> {
        let core = self.core.as_mut()?;
        let UnfollowedRow { epochs, wishes, .. } = core.state.unfollowed.take()?;
        for epoch in &epochs {
            core.epochs.remove(epoch);
        }
        core.state.abandon(&epochs);
        self.row.unvaulted.retain(|epoch| !epochs.contains(epoch));
        self.row.intentions.splice(0..0, wishes);
        if !self.row.own && !self.row.intentions.contains(&Intention::NewEra) {
            // What was written there meanwhile may be lost: nothing builds on it.
            self.row.intentions.push(Intention::NewEra);
        }
        Some(epochs)
    }
}

impl StateRow {
    fn begin_unfollowed(&mut self, epoch: EpochId, wishes: Vec<Intention>, doubted: bool) {
        let row = self.unfollowed.get_or_insert_default();
        row.doubted |= doubted;
        row.epochs.push(epoch);
        row.wishes.extend(wishes);
    }

    fn abandon(&mut self, epochs: &[EpochId]) {
        self.abandoned.extend_from_slice(epochs);
        let most = self.abandoned.len().saturating_sub(ABANDONED);
        self.abandoned.drain(..most);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epoch(n: u8) -> EpochId {
        EpochId::from_bytes([n; 32])
    }

    #[test]
    fn what_own_commits_in_a_row_were_to_do_is_kept_together() {
        let mut state = StateRow::default();
        state.begin_unfollowed(epoch(1), vec![Intention::SetTitle("Tea".to_owned())], true);
        state.begin_unfollowed(epoch(2), vec![Intention::NewEra], false);
        let row = state.unfollowed.unwrap();
        assert!(row.doubted, "one of them follows what others may not");
        assert_eq!(row.epochs, [epoch(1), epoch(2)]);
        assert_eq!(row.wishes, [Intention::SetTitle("Tea".to_owned()), Intention::NewEra]);
    }

    #[test]
    fn epochs_given_up_are_remembered_within_bounds() {
        let mut state = StateRow::default();
        for n in 0..=ABANDONED {
            state.abandon(&[epoch(u8::try_from(n).unwrap())]);
        }
        assert_eq!(state.abandoned.len(), ABANDONED);
        assert!(!state.abandoned.contains(&epoch(0)));
    }
}
