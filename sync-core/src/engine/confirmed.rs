//! What the relay confirmed, should that not hold: cuts are kept for a while, and sent again if the
//! relay turns out to lack them; a place that was read as another entry's makes the log be read
//! again.

use sync_protocol::envelope::Envelope;
use sync_protocol::frames::Run;
use sync_protocol::{DeviceId, EpochId, SpaceId, codec};
use tracing::debug;

use crate::engine::Engine;
use crate::engine::rows::{CutRow, Intention};
use crate::engine::space::{Core, SpaceState};
use crate::records::key;
use crate::trust::Invalid;

/// Confirmed cuts that are kept, and their bytes: the newest is kept however large.
const KEPT: usize = 64;
const KEPT_BYTES: usize = 256 * 1024;

impl Engine {
    /// Places of our own that were read already. If something else stood there, the log that was
    /// read is not the log, or the relay's word is not good: all is read again, to see.
    pub(super) fn confirm_passed(&mut self, id: &SpaceId, run: &Run, passed: u64) {
        let Some(space) = self.spaces.get_mut(id) else { return };
        let Some(core) = &space.core else { return };
        let numbers = run.seq..run.seq.saturating_add(run.count.min(passed));
        let misread: Vec<u64> = core.outbox.range(numbers).map(|(seq, _)| *seq).collect();
        if misread.is_empty() && (run.seq > 0 || core.pending.is_none()) {
            return;
        }
        if !space.read_again() {
            // Where the log can't be read again from, the relay's word is all there is.
            for seq in misread {
                self.own_stored(id, seq, run.index + (seq - run.seq), run.time_ms);
            }
        }
        self.evidence(id, Invalid::OtherEntry);
        self.mark_lagging(id);
    }

    /// The relay lacks what it confirmed: what is still kept of it is sent again as it was, and the
    /// log, in which it has no place, read again. Of more than is kept, this device can't mend the
    /// chain: it goes on as somebody new.
    pub(super) fn takes_back(&mut self, id: &SpaceId, have: u64) -> bool {
        let Some(space) = self.spaces.get_mut(id) else { return false };
        let mut lost = have.saturating_add(1)..=space.row.stored;
        if lost.is_empty() {
            return false;
        }
        space.read_again();
        self.evidence(id, Invalid::LostConfirmed);
        let Some(space) = self.spaces.get_mut(id) else { return false };
        let Some(core) = &mut space.core else { return false };
        if !lost.all(|seq| core.kept.contains_key(&seq)) {
            self.mark_lagging(id);
            self.give_up_confirmed(id);
            return true;
        }
        let mut lost = core.kept.split_off(&have.saturating_add(1));
        let abandoned = core.state.abandoned.clone();
        for (seq, cut) in lost.iter_mut() {
            // Under the keys of an epoch that nobody else is in, nobody has read it: it is sealed anew.
            let is_unread = cut.is_sealed_under(&abandoned);
            cut.confirmed = !is_unread;
            cut.sent = cut.sent.take().filter(|_| !is_unread);
            self.batch.put(key::outbox(id, *seq), codec::encode(cut));
        }
        core.outbox.extend(lost);
        space.row.stored = have;
        space.pushed = have;
        self.mark_lagging(id);
        true
    }

    /// What was confirmed once and is lost can't be sent again as it was, and is not sealed anew
    /// for those who came in since. This device goes on as somebody new, with what was not
    /// confirmed yet, in documents that build on nothing that is lost.
    pub(super) fn give_up_confirmed(&mut self, id: &SpaceId) {
        debug!(space = ?id, "what was confirmed is lost: this device goes on as somebody new");
        let Some(space) = self.spaces.get_mut(id) else { return };
        if let Some(core) = &mut space.core {
            let lost: Vec<u64> =
                core.outbox.iter().filter(|(_, cut)| cut.confirmed).map(|(seq, _)| *seq).collect();
            for seq in lost {
                core.outbox.remove(&seq);
                self.batch.delete(key::outbox(id, seq));
            }
        }
        if self.spaces.get(id).is_some_and(|space| !space.row.own) {
            self.intend(id, Intention::NewEra);
        }
        self.new_incarnation();
        self.reconnect();
    }
}

impl CutRow {
    /// Whether it was sent under the keys of one of these epochs.
    fn is_sealed_under(&self, epochs: &[EpochId]) -> bool {
        let sent = self.sent.as_ref().and_then(|sent| Envelope::parse(sent.as_slice()).ok());
        sent.is_some_and(|sent| epochs.contains(&sent.header.epoch))
    }
}

impl SpaceState {
    /// The relay refused a number, and with it all behind it, for a handshake at this index that their
    /// author had not read: what was sealed for them by then is in no log. What was sealed since, and
    /// is on its way, may be. What the relay had confirmed once stays as it was.
    pub(super) fn forget_sent(&mut self, from: u64, index: u64) {
        let Some(core) = &mut self.core else { return };
        for (seq, cut) in core.outbox.iter_mut() {
            let sent = cut.sent.as_ref().and_then(|sent| Envelope::parse(sent.as_slice()).ok());
            let is_refused = sent.is_some_and(|sent| sent.header.cursor <= index);
            if *seq >= from && !cut.confirmed && is_refused {
                cut.sent = None;
            }
        }
    }
}

impl Core {
    /// Whether any other device came in after an epoch had begun.
    pub(super) fn has_newcomers(&self, since: &EpochId, own: &DeviceId) -> bool {
        let Some(began) = self.epochs.get(since).map(|row| row.index) else { return true };
        let mut present = self.state.writers.iter().filter(|row| row.to.is_none());
        present.any(|row| row.from > began && row.device != *own)
    }

    /// Keeps a cut that the relay confirmed; gives the numbers of those that are dropped for it.
    pub(super) fn keep(&mut self, seq: u64, cut: CutRow) -> Vec<u64> {
        self.kept.insert(seq, cut);
        let size = |cut: &CutRow| cut.set.0.len();
        let mut bytes: usize = self.kept.values().map(size).sum();
        let mut dropped = Vec::new();
        while self.kept.len() > KEPT || (bytes > KEPT_BYTES && self.kept.len() > 1) {
            let Some((oldest, cut)) = self.kept.pop_first() else { break };
            bytes -= size(&cut);
            dropped.push(oldest);
        }
        dropped
    }
}
