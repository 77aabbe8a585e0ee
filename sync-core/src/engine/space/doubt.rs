//! Entries that make no sense: a number too far on, a signature that does not hold, a payload that
//! is not what was committed to.
//!
//! It may be the relay's doing or the author's. So the relay is asked once more, from where the
//! epoch began, because a place in a log that was lied about once is not to be relied on. If it
//! insists, the entry is passed over and its device set aside, whichever writers it makes up, until
//! a later entry that it did sign vouches for those before it, or until the next session, where all
//! is read again. So neither a relay nor a member can stop the others.

use sync_protocol::{EpochId, SpaceId};
use tracing::debug;

use crate::engine::rooms::{Intake, LogRows};
use crate::engine::rows::Begun;
use crate::engine::space::deliveries::Arrived;
use crate::engine::space::state::SpaceState;
use crate::trust::Invalid;

impl Intake<'_> {
    /// Asks for another copy of an entry, or passes over it if the relay has no other.
    pub(in crate::engine) fn doubt(
        &mut self,
        id: &SpaceId,
        arrived: &Arrived,
        why: Invalid,
        item: &[u8; 32],
    ) {
        let signed = self.log_rows().is_signed(id, arrived);
        let Some(space) = self.spaces.get_mut(id) else { return };
        let copy = (arrived.index, arrived.envelope.to_bytes());
        let device = arrived.writer.device;
        debug!(space = ?id, index = arrived.index, ?device, code = why.code(), "an entry makes no sense");
        let aside = space.in_session.aside.get(&device).copied();
        let vouches = aside == Some(false) && signed;
        if vouches || (aside.is_none() && space.in_session.doubt.as_ref() != Some(&copy)) {
            if vouches {
                space.in_session.aside.insert(device, true);
            }
            space.in_session.doubt = Some(copy);
            space.read_again();
            return self.log_rows().stall(id, arrived.index, why);
        }
        space.in_session.aside.entry(device).or_insert(false);
        if let Some(begun) = &mut space.row.begun {
            begun.doubtful = true;
        }
        if aside.is_none() {
            self.log_rows().evidence(id, Invalid::NoGoodCopy);
            if signed {
                self.checks().goes_on_elsewhere(id, arrived);
            }
        }
        self.log_rows().keep_doubted(id, arrived);
        self.fetching().entry_done(id, arrived.index, arrived.time_ms, item);
        self.log_rows().advance_front(id);
    }
}

impl LogRows<'_> {
    /// A new session: what was passed over may be good now.
    pub(in crate::engine) fn look_again(&mut self) {
        let doubtful = |space: &SpaceState| space.row.begun.is_some_and(|begun| begun.doubtful);
        for (id, space) in self.spaces.iter_mut().filter(|(_, space)| doubtful(space)) {
            if space.row.active && space.read_again() {
                space.row.lagging = true;
                self.turn.unsaved.spaces.insert(*id);
            }
        }
        self.call_what_was_lost();
    }
}

impl SpaceState {
    /// Takes note of where the present epoch begins.
    pub(in crate::engine) fn note_epoch(&mut self) {
        let row = &mut self.row;
        let known = row.begun.is_some_and(|begun| begun.epoch == row.epoch);
        if !known && row.epoch != EpochId::NONE {
            row.doubted |= !row.own && row.begun.is_some_and(|begun| begun.doubtful);
            row.begun = Some(Begun {
                epoch: row.epoch,
                index: row.next,
                log_hash: row.log_hash,
                doubtful: false,
            });
        }
    }

    /// Goes back to where the epoch began, if that is known. What is read again and known is
    /// passed over by its number.
    pub(in crate::engine) fn read_again(&mut self) -> bool {
        let row = &mut self.row;
        let Some(begun) = &mut row.begun else { return false };
        if begun.epoch != row.epoch || begun.index > row.next {
            return false;
        }
        begun.doubtful = false;
        row.next = begun.index;
        row.log_hash = begun.log_hash;
        self.recent.clear();
        true
    }
}
