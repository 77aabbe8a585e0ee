//! Own changes of members that the relay confirmed, and that nobody was seen to follow yet.
//!
//! A device goes on in the epoch that its commit makes as soon as the relay says that it is stored.
//! Should that word not hold, nobody else is in that epoch: the others write on from the one before,
//! and what they write tells. Then the device gives its epoch up. It comes back in by the newest ticket,
//! and what the commit was to do is wished for once more.

use sync_protocol::{DeviceId, EpochId, SpaceId};
use tracing::debug;

use crate::engine::Engine;
use crate::engine::deliveries::Arrived;
use crate::engine::rows::{Intention, StateRow, UnfollowedRow};
use crate::engine::space::SpaceState;
use crate::records::key;
use crate::trust::Invalid;

/// Epochs that were given up and are remembered; the oldest go.
const ABANDONED: usize = 64;

impl Engine {
    /// The relay confirmed a commit of this device that carried these wishes.
    pub(super) fn note_unfollowed(&mut self, id: &SpaceId, epoch: EpochId, wishes: Vec<Intention>) {
        let Some(core) = self.spaces.get_mut(id).and_then(|space| space.core.as_mut()) else {
            return;
        };
        core.state.begin_unfollowed(epoch, wishes);
        self.save_state(id);
    }

    /// Somebody wrote where this device is: the log led them there, too.
    pub(super) fn note_followed(&mut self, id: &SpaceId, by: &DeviceId) {
        if self.me().is_ok_and(|me| me.device() == *by) {
            return;
        }
        let core = self.spaces.get_mut(id).and_then(|space| space.core.as_mut());
        if core.is_some_and(|core| core.state.unfollowed.take().is_some()) {
            self.save_state(id);
        }
    }

    /// Somebody else goes on where this device is not. If it came here by its own commit alone, and by
    /// the relay's word, that word was not good.
    pub(super) fn goes_on_elsewhere(&mut self, id: &SpaceId, arrived: &Arrived) {
        if self.me().is_ok_and(|me| me.device() == arrived.writer.device) {
            return;
        }
        let Some(given_up) = self.spaces.get_mut(id).and_then(|space| space.give_up_unfollowed())
        else {
            return;
        };
        debug!(space = ?id, index = arrived.index, epochs = given_up.len(), "own epochs are given up");
        for epoch in given_up {
            self.batch.delete(key::epoch(id, &epoch));
        }
        self.save_state(id);
        self.save_space(id);
        self.evidence(id, Invalid::LostConfirmed);
        self.lose_track(id, arrived.index);
    }
}

impl SpaceState {
    /// Forgets the epochs that nobody followed, and wishes again for what led to them; gives those
    /// epochs, if there are any.
    fn give_up_unfollowed(&mut self) -> Option<Vec<EpochId>> {
        let core = self.core.as_mut()?;
        let UnfollowedRow { epochs, wishes } = core.state.unfollowed.take()?;
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
    fn begin_unfollowed(&mut self, epoch: EpochId, wishes: Vec<Intention>) {
        let row = self.unfollowed.get_or_insert_default();
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
        state.begin_unfollowed(epoch(1), vec![Intention::SetTitle("Tea".to_owned())]);
        state.begin_unfollowed(epoch(2), vec![Intention::NewEra]);
        let row = state.unfollowed.unwrap();
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
