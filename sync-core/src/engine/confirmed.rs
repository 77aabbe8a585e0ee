//! What the relay confirmed, should that not hold: cuts are kept for a while, and sent again if the
//! relay turns out to lack them; a place that was read as another entry's makes the log be read
//! again.

use sync_protocol::SpaceId;
use sync_protocol::frames::Run;

use crate::engine::Engine;
use crate::engine::rows::CutRow;
use crate::engine::space::Core;
use crate::trust::Invalid;

/// Confirmed cuts that are kept, and their bytes: the newest is kept however large.
const KEPT: usize = 16;
const KEPT_BYTES: usize = 128 * 1024;

impl Engine {
    /// Places of our own that were read already. If something else stood there, the log that was
    /// read is not the log: what is confirmed is, and all is read again.
    pub(super) fn confirm_passed(&mut self, id: &SpaceId, run: &Run, passed: u64) {
        let core = self.spaces.get(id).and_then(|space| space.core.as_ref());
        let Some(core) = core else { return };
        let numbers = run.seq..run.seq.saturating_add(run.count.min(passed));
        let misread: Vec<u64> = core.outbox.range(numbers).map(|(seq, _)| *seq).collect();
        if misread.is_empty() && (run.seq > 0 || core.pending.is_none()) {
            return;
        }
        for seq in misread {
            self.own_stored(id, seq, run.index + (seq - run.seq), run.time_ms);
        }
        if let Some(space) = self.spaces.get_mut(id) {
            space.read_again();
        }
        self.evidence(id, Invalid::OtherEntry);
        self.mark_lagging(id);
    }

    /// The relay lacks what it confirmed: what is still kept of it is sent again, and the log, in
    /// which it has no place, read again.
    pub(super) fn takes_back(&mut self, id: &SpaceId, have: u64) -> bool {
        let Some(space) = self.spaces.get_mut(id) else { return false };
        let Some(core) = &mut space.core else { return false };
        let mut lost = have.saturating_add(1)..=space.row.stored;
        if lost.is_empty() || !lost.all(|seq| core.kept.contains_key(&seq)) {
            return false;
        }
        let lost = core.kept.split_off(&have.saturating_add(1));
        core.outbox.extend(lost);
        space.row.stored = have;
        space.pushed = have;
        space.read_again();
        true
    }
}

impl Core {
    /// Keeps a cut that the relay confirmed; gives the numbers of those that are dropped for it.
    pub(super) fn keep(&mut self, seq: u64, cut: CutRow) -> Vec<u64> {
        self.kept.insert(seq, cut);
        let mut bytes: usize = self.kept.values().map(|cut| cut.set.0.len()).sum();
        let mut dropped = Vec::new();
        while self.kept.len() > KEPT || (bytes > KEPT_BYTES && self.kept.len() > 1) {
            let Some((oldest, cut)) = self.kept.pop_first() else { break };
            bytes -= cut.set.0.len();
            dropped.push(oldest);
        }
        dropped
    }
}
