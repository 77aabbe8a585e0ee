//! What can't be read here: written under keys that this device does not have.
//!
//! Where the account was brought back while others went on, no device has them. Otherwise one that
//! was away when this one came in writes them down once it is back, and then all is read once more.

use sync_protocol::{EpochId, SpaceId, codec};

use crate::api::{ConversationChange, Event, Unreadable};
use crate::engine::rooms::{Checks, LogRows};
use crate::engine::rows::{EpochRow, LostRow, StateRow};
use crate::engine::space::deliveries::Arrived;
use crate::engine::{Step, Task};
use crate::records::key;
use crate::trust::Lineage;

impl LogRows<'_> {
    /// An entry was read that could not be opened. Before this device's own entrance that may be
    /// because its epoch is known to nobody here: since this account was added, or since the first
    /// epoch that it knows, so that what was written before it was let in is not told as lost.
    pub(in crate::engine) fn note_unreadable(&mut self, id: &SpaceId, arrived: &Arrived) {
        let Some(space) = self.spaces.get_mut(id) else { return };
        let Some(core) = space.core.as_ref().filter(|_| !space.row.own) else { return };
        let is_known = core.epochs.contains_key(&arrived.envelope.header.epoch);
        let first = core.epochs.values().map(|row| row.index).chain(core.state.added_at).min();
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
        self.turn.save_space(id);
    }

    /// Nothing of what was written before this index can be read, and no device can tell of it.
    pub(in crate::engine) fn note_all_unreadable(&mut self, id: &SpaceId, next: u64) {
        if let Some(space) = self.spaces.get_mut(id).filter(|_| next > 0) {
            let (first_ms, last_ms) = (None, None);
            space.row.lost = Some(LostRow { changes: next, first_ms, last_ms, next });
            self.turn.save_space(id);
        }
    }

    /// Tells the app once the log was read so far that all of it is counted.
    pub(in crate::engine) fn tell_unreadable(&mut self, id: &SpaceId) {
        let Some(space) = self.spaces.get_mut(id) else { return };
        let lost = space.row.lost.as_ref().map_or(0, |lost| lost.changes);
        let joining = space.core.as_ref().is_none_or(|core| core.state.joining.is_some());
        if joining || std::mem::replace(&mut space.told_lost, lost) == lost {
            return;
        }
        let change = ConversationChange::Changed;
        self.turn.notify(Event::Conversation { conversation: *id, change });
        self.turn.tell_status();
    }

    /// Looks whether what was passed over can be read by now.
    pub(in crate::engine) fn call_what_was_lost(&mut self) {
        if self.spaces.values().any(|space| space.row.lost.is_some() || space.row.doubted) {
            self.turn.tasks.push_back(Task::ReadLost);
        }
    }
}

impl Checks<'_> {
    /// Reads the log from its start where another device has written down epochs that this one lacked,
    /// and where something was passed over that a relay may show by now.
    pub(in crate::engine) fn read_what_was_lost(&mut self) -> Step<()> {
        let may_read = self.spaces.iter().filter(|(_, space)| {
            let row = &space.row;
            let settled = !row.lagging
                && !row.deciding
                && !space.footing.is_lost()
                && !space.footing.is_out();
            (row.lost.is_some() || row.doubted) && row.whole_from == 0 && row.active && settled
        });
        for id in may_read.map(|(id, _)| *id).collect::<Vec<_>>() {
            let mut found = self.vault().vaulted(&id)?;
            let space = self.spaces.core(&id)?;
            let (number, sought) = (space.row.number, &space.sought);
            let Some(core) = &space.core else { continue };
            found.retain(|(epoch, row)| {
                let is_news = !core.epochs.contains_key(epoch) && !sought.contains(epoch);
                row.number < number && is_news
            });
            if core.state.joining.is_none() && (!found.is_empty() || space.row.doubted) {
                self.read_from_start(&id, found);
            }
        }
        Ok(())
    }

    /// As a device that has just come in, and writes meanwhile.
    fn read_from_start(&mut self, id: &SpaceId, found: Vec<(EpochId, EpochRow)>) {
        let Some(mut space) = self.spaces.remove(id) else { return };
        if let Some(mut core) = space.core.take() {
            for (epoch, row) in found {
                self.turn.batch.put(key::epoch(id, &epoch), codec::encode(&row));
                core.epochs.insert(epoch, row);
                // Whether it is of any use, the log decides; it is looked for once.
                space.sought.insert(epoch);
            }
            let before = std::mem::take(&mut core.state);
            let StateRow { leavers, invited, unfollowed, abandoned, .. } = before;
            core.state = StateRow {
                leavers,
                invited,
                unfollowed,
                abandoned,
                joining: Some(space.row.epoch),
                write_at: Some((space.row.epoch, space.row.next)),
                lineage: Some(Lineage::default()),
                ..StateRow::default()
            };
            self.invitations().read_anew(&mut space, &mut core);
            space.core = Some(core);
        }
        space.row.next = 0;
        space.row.log_hash = [0; 32];
        space.row.epoch = EpochId::NONE;
        (space.row.begun, space.row.doubted) = (None, false);
        space.row.stale = true;
        (space.row.lost, space.told_lost) = (None, 0);
        space.recent.clear();
        space.in_session.deliveries.clear();
        space.in_session.fetch.lapse();
        self.spaces.insert(*id, space);
        self.turn.save_state(id);
        self.fetching().mark_lagging(id);
    }
}

impl LostRow {
    /// As an app shows it.
    pub(in crate::engine) fn view(&self) -> Unreadable {
        let Self { changes, first_ms, last_ms, .. } = *self;
        Unreadable { changes, first_ms, last_ms }
    }
}
