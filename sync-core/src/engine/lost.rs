//! What can't be read here any more: written under keys that no device of the account has, since it
//! was brought back while others went on.

use sync_protocol::SpaceId;

use crate::api::{ConversationChange, Event, Unreadable};
use crate::engine::Engine;
use crate::engine::deliveries::Arrived;
use crate::engine::rows::LostRow;

impl Engine {
    /// An entry was read that could not be opened. Before this device's own entrance that may be
    /// because its epoch is known to nobody here: since the first that this account knows, so that
    /// what was written before it was let in is not told as lost.
    pub(super) fn note_unreadable(&mut self, id: &SpaceId, arrived: &Arrived) {
        let Some(space) = self.spaces.get_mut(id) else { return };
        let Some(core) = space.core.as_ref().filter(|_| !space.row.own) else { return };
        let is_known = core.epochs.contains_key(&arrived.envelope.header.epoch);
        let first = core.epochs.values().map(|row| row.index).min();
        let since_then = first.is_some_and(|first| first < arrived.index);
        if core.state.joining.is_none() || is_known || !since_then {
            return;
        }
        let lost = space.row.lost.get_or_insert_default();
        if lost.next > arrived.index {
            // Read once more, and counted already.
            return;
        }
        lost.next = arrived.index + 1;
        lost.changes += 1;
        lost.first_ms.get_or_insert(arrived.time_ms);
        lost.last_ms = lost.last_ms.max(Some(arrived.time_ms));
        self.save_space(id);
    }

    /// Nothing of what was written before this index can be read, and no device can tell of it.
    pub(super) fn note_all_unreadable(&mut self, id: &SpaceId, next: u64) {
        if let Some(space) = self.spaces.get_mut(id).filter(|_| next > 0) {
            let (first_ms, last_ms) = (None, None);
            space.row.lost = Some(LostRow { changes: next, first_ms, last_ms, next });
            self.save_space(id);
        }
    }

    /// Tells the app once the log was read so far that all of it is counted.
    pub(super) fn tell_unreadable(&mut self, id: &SpaceId) {
        let Some(space) = self.spaces.get_mut(id) else { return };
        let lost = space.row.lost.as_ref().map_or(0, |lost| lost.changes);
        let joining = space.core.as_ref().is_none_or(|core| core.state.joining.is_some());
        if joining || std::mem::replace(&mut space.told_lost, lost) == lost {
            return;
        }
        let change = ConversationChange::Changed;
        self.notify(Event::Conversation { conversation: *id, change });
        self.report_status();
    }

    /// Conversations of which some can't be read.
    pub(super) fn unreadable(&self) -> u64 {
        self.spaces.values().filter(|space| space.row.lost.is_some()).count() as u64
    }
}

impl LostRow {
    /// As an app shows it.
    pub(super) fn view(&self) -> Unreadable {
        let Self { changes, first_ms, last_ms, .. } = *self;
        Unreadable { changes, first_ms, last_ms }
    }
}
