//! What the relay confirmed, should that not hold: cuts are kept for a while, and sent again if the
//! relay turns out to lack them; a place that was read as another entry's makes the log be read
//! again.

use sync_protocol::envelope::Envelope;
use sync_protocol::frames::Run;
use sync_protocol::{DeviceId, EpochId, SpaceId, codec};
use tracing::debug;

use crate::engine::rooms::{Checks, Fetching, LogRows};
use crate::engine::rows::{CutRow, FoundRow, Intention, PendingRow};
use crate::engine::space::deliveries::Delivered;
use crate::engine::space::state::{Core, SpaceState};
use crate::engine::{Step, Task};
use crate::records::{Batch, key};
use crate::trust::Invalid;

/// Confirmed cuts that are kept, and their bytes: the newest is kept however large.
const KEPT: usize = 512;
const KEPT_BYTES: usize = 512 * 1024;
/// Own handshakes that are kept.
const KEPT_HANDSHAKES: usize = 8;
/// How long a handshake of before waits that is not taken yet: it may let in an account that the
/// relay lost, too.
const TRY_AGAIN_MS: u64 = 30_000;

impl Checks<'_> {
    /// Places of our own that were read already. If something else stood there, the log that was
    /// read is not the log, or the relay's word is not good: all is read again, to see.
    pub(in crate::engine) fn confirm_passed(&mut self, id: &SpaceId, run: &Run, passed: u64) {
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
                self.intake().own_stored(id, seq, run.index + (seq - run.seq), run.time_ms);
            }
        }
        self.log_rows().evidence(id, Invalid::OtherEntry);
        self.fetching().mark_lagging(id);
    }

    /// The relay lacks what it confirmed: what is still kept of it is sent again as it was, and the
    /// log, in which it has no place, read again. Of more than is kept, this device can't mend the
    /// chain: it goes on as somebody new.
    pub(in crate::engine) fn takes_back(&mut self, id: &SpaceId, have: u64) -> bool {
        let Some(space) = self.spaces.get_mut(id) else { return false };
        if space.row.stored <= have {
            return false;
        }
        space.read_again();
        self.write_again(id, have)
    }

    /// Writes again what a log that began anew, and was read, lacks of this device's: in the order
    /// in which it was written, so that whoever lacks it can read it. What others wrote between is
    /// waited for. Whether anything is.
    pub(in crate::engine) fn mends_log(&mut self, id: &SpaceId) -> Step<bool> {
        let Some(found) = self.spaces.core(id)?.row.found else { return Ok(false) };
        let is_writer = self.account.numbers_are_current(self.spaces, id);
        if is_writer {
            self.write_again(id, found.seq);
        }
        let space = self.spaces.core(id)?;
        if found.epoch == space.row.epoch {
            space.row.found = None;
            self.turn.save_space(id);
            return Ok(false);
        }
        let pending = space.core.as_ref().and_then(|core| core.pending.as_ref());
        if pending.is_some_and(|pending| pending.carries > 0) {
            // It does not follow from this log. What it was to do is still intended.
            self.member_rows().drop_refused(id)?;
            self.log_rows().drop_pending(id);
        }
        let space = self.spaces.core(id)?;
        if space.row.deciding {
            self.members().push_pending(id);
            return Ok(true);
        }
        let Some(core) = &space.core else { return Ok(true) };
        let is_here = |cut: &CutRow| {
            let sent = cut.sent.as_ref().and_then(|sent| Envelope::parse(sent.as_slice()).ok());
            sent.map_or(cut.confirmed, |sent| sent.header.epoch == found.epoch)
        };
        if is_writer && core.outbox.values().any(is_here) {
            self.outbox().push_content(id);
            return Ok(true);
        }
        let next = core.epochs.get(&found.epoch).map_or(0, |row| row.number.saturating_add(1));
        let next = core.handshakes.get(&next).cloned().filter(|_| space.retry_at.is_none());
        let (writer, key) =
            (self.account.writer()?, self.account.me()?.identity().signing.verifying_key());
        let follows = |row: &PendingRow| {
            Envelope::parse(row.envelope.as_slice()).is_ok_and(|sent| {
                // As somebody that this store was before, it can't be pushed.
                let is_ours = sent.verify(id, &writer, &key.to_bytes()).is_ok();
                is_ours && sent.header.epoch == found.epoch
            })
        };
        match next.filter(follows) {
            Some(row) => {
                self.member_rows().set_pending(id, row);
                self.members().push_pending(id);
            }
            None => self.log_rows().look_for_it(id),
        }
        Ok(true)
    }

    fn write_again(&mut self, id: &SpaceId, have: u64) -> bool {
        let Some(space) = self.spaces.get(id) else { return false };
        let mut lost = have.saturating_add(1)..=space.row.stored;
        if lost.is_empty() {
            return false;
        }
        self.session.note_put_back(self.turn.wall);
        self.turn.unsaved.session = true;
        self.log_rows().evidence(id, Invalid::LostConfirmed);
        let Some(space) = self.spaces.get_mut(id) else { return false };
        let Some(core) = &mut space.core else { return false };
        if !lost.all(|seq| core.kept.contains_key(&seq)) {
            self.fetching().mark_lagging(id);
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
            self.turn.batch.put(key::outbox(id, *seq), codec::encode(cut));
        }
        core.outbox.extend(lost);
        space.row.stored = have;
        space.in_session.pushed = have;
        self.fetching().mark_lagging(id);
        true
    }

    /// What was confirmed once and is lost can't be sent again as it was, and is not sealed anew
    /// for those who came in since. This device goes on as somebody new, with what was not
    /// confirmed yet, in documents that build on nothing that is lost.
    pub(in crate::engine) fn give_up_confirmed(&mut self, id: &SpaceId) {
        debug!(space = ?id, "what was confirmed is lost: this device goes on as somebody new");
        let Some(space) = self.spaces.get_mut(id) else { return };
        if let Some(core) = &mut space.core {
            let lost: Vec<u64> =
                core.outbox.iter().filter(|(_, cut)| cut.confirmed).map(|(seq, _)| *seq).collect();
            for seq in lost {
                core.outbox.remove(&seq);
                self.turn.batch.delete(key::outbox(id, seq));
            }
        }
        if self.spaces.get(id).is_some_and(|space| !space.row.own) {
            self.member_rows().intend(id, Intention::NewEra);
        }
        self.session.new_incarnation(self.turn, self.account);
        self.session.reconnect(self.turn, self.spaces);
    }
}

impl Fetching<'_> {
    /// The relay's log began anew, or is gone: it is read from its start. What is known is passed
    /// over by its number, so nothing is doubled; what is not found of this device's is written again.
    pub(in crate::engine) fn on_new_generation(&mut self, id: &SpaceId, generation: Option<u64>) {
        debug!(space = ?id, "the log began anew");
        let Some(space) = self.spaces.get_mut(id) else { return };
        space
            .in_session
            .deliveries
            .retain(|delivered| generation.is_some_and(|now| delivered.is_of(now)));
        space.row.generation = generation;
        space.row.found = Some(FoundRow { seq: 0, epoch: EpochId::NONE });
        space.row.next = 0;
        space.row.begun = None;
        space.row.log_hash = [0; 32];
        space.recent.clear();
        space.in_session.own_runs.clear();
        (space.in_session.behind, space.in_session.doubt) = (None, None);
        space.in_session.fetch.begin_anew();
        space.row.lagging = false;
        let comes = space.in_session.deliveries.front().is_some_and(Delivered::is_from_start);
        self.log_rows().evidence(id, Invalid::LogBeganAnew);
        match generation {
            Some(_) if !comes => self.mark_lagging(id),
            _ => self.turn.save_space(id),
        }
        self.turn.tasks.push_back(Task::Advance(*id));
    }

    /// Whether the relay's log ends before what this device has read: some of that is in no log, or
    /// was at another place. It is read once more, and what this device decided there is made anew.
    pub(in crate::engine) fn ends_before(&mut self, id: &SpaceId, head: u64) -> bool {
        let Some(space) = self.spaces.get_mut(id).filter(|space| space.row.next > head) else {
            return false;
        };
        let pending = space.core.as_ref().and_then(|core| core.pending.as_ref());
        if pending.is_some_and(|pending| pending.child.is_none()) {
            space.give_up_pending(&mut self.turn.batch);
        }
        (space.in_session.deciding_sent, space.in_session.rebuild) = (false, true);
        let generation = space.row.generation;
        self.on_new_generation(id, generation);
        true
    }

    /// Whether a handshake that was refused is one that stood in the log once. It is tried again.
    pub(in crate::engine) fn handshake_refused(&mut self, id: &SpaceId) -> bool {
        let now = self.turn.now;
        let Some(space) = self.spaces.get_mut(id).filter(|space| space.row.found.is_some()) else {
            return false;
        };
        space.retry_at = Some(now + TRY_AGAIN_MS);
        self.log_rows().drop_pending(id);
        // Something else may stand there, or the same.
        self.mark_lagging(id);
        true
    }
}

impl LogRows<'_> {
    /// A number of ours stands in the log that is read.
    pub(in crate::engine) fn found_again(&mut self, id: &SpaceId, seq: u64) {
        let Some(space) = self.spaces.get_mut(id) else { return };
        if let Some(found) = &mut space.row.found {
            found.seq = found.seq.max(seq);
        }
    }

    /// Whether a log that began anew has a handshake that is known already: it may stand elsewhere
    /// by now.
    pub(in crate::engine) fn finds_handshake(
        &mut self,
        id: &SpaceId,
        child: &EpochId,
        index: u64,
    ) -> bool {
        let Some(space) = self.spaces.get_mut(id) else { return false };
        let Some((found, core)) = space.row.found.as_mut().zip(space.core.as_mut()) else {
            return false;
        };
        let Some(row) = core.epochs.get_mut(child) else { return false };
        let was = std::mem::replace(&mut row.index, index);
        self.turn.batch.put(key::epoch(id, child), codec::encode(row));
        core.state.rights.moved(was, index);
        for writer in &mut core.state.writers {
            if writer.from == was {
                writer.from = index;
            }
            writer.to = writer.to.map(|to| if to == was { index } else { to });
        }
        found.epoch = *child;
        if core.pending.as_ref().is_some_and(|pending| pending.child == Some(*child)) {
            space.give_up_pending(&mut self.turn.batch);
        }
        self.turn.save_space(id);
        self.turn.save_state(id);
        true
    }

    /// A log that was not there may be by now; or it was all along, and the relay did not say so.
    fn look_for_it(&mut self, id: &SpaceId) {
        let at = self.turn.now + TRY_AGAIN_MS;
        let Some(space) = self.spaces.get_mut(id) else { return };
        if space.row.generation.is_none() && space.retry_at.is_none() {
            space.row.lagging = true;
            space.retry_at = Some(at);
            self.turn.save_space(id);
        }
    }

    /// The log is still not there: whoever began it may begin it again.
    pub(in crate::engine) fn is_gone(&mut self, id: &SpaceId) {
        let at = self.turn.now + TRY_AGAIN_MS;
        let Some(space) = self.spaces.get_mut(id) else { return };
        space.row.lagging = false;
        space.retry_at = Some(at);
        self.turn.save_space(id);
    }

    fn drop_pending(&mut self, id: &SpaceId) {
        let Some(space) = self.spaces.get_mut(id) else { return };
        if let Some(core) = &mut space.core {
            core.pending = None;
        }
        space.row.deciding = false;
        space.in_session.deciding_sent = false;
        self.turn.batch.delete(key::pending_commit(id));
        self.turn.save_space(id);
    }

    /// Keeps an own handshake that the log has decided.
    pub(in crate::engine) fn keep_handshake(&mut self, id: &SpaceId, row: PendingRow) {
        let Some(core) = self.spaces.get_mut(id).and_then(|space| space.core.as_mut()) else {
            return;
        };
        let Some(made) = row.child.and_then(|child| core.epochs.get(&child)) else { return };
        let (number, row) = (made.number, PendingRow { carries: 0, enters: false, ..row });
        self.turn.batch.put(key::own_handshake(id, number), codec::encode(&row));
        core.handshakes.insert(number, row);
        while core.handshakes.len() > KEPT_HANDSHAKES
            && let Some((oldest, _)) = core.handshakes.pop_first()
        {
            self.turn.batch.delete(key::own_handshake(id, oldest));
        }
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
    /// An own handshake, if one waits, is not to be decided any more: others' was first, or it stands in
    /// the log. What it was to do and is not done is still intended, and is committed anew.
    pub(in crate::engine) fn give_up_pending(&mut self, batch: &mut Batch) {
        if self.core.as_mut().is_some_and(|core| core.pending.take().is_some()) {
            batch.delete(key::pending_commit(&self.id));
            self.row.deciding = false;
            self.in_session.deciding_sent = false;
        }
    }

    /// The relay refused a number, and with it all behind it, for a handshake at this index that their
    /// author had not read: what was sealed for them by then is in no log. What was sealed since, and
    /// is on its way, may be. What the relay had confirmed once stays as it was, but for the same
    /// readers: in a log that began anew, the handshake may stand further on than it did.
    pub(in crate::engine) fn forget_sent(&mut self, from: u64, index: u64) {
        let here = self.epoch_here();
        let Some(core) = &mut self.core else { return };
        for (seq, cut) in core.outbox.iter_mut() {
            let sent = cut.sent.as_ref().and_then(|sent| Envelope::parse(sent.as_slice()).ok());
            let is_refused = sent.is_some_and(|sent| {
                sent.header.cursor <= index && (!cut.confirmed || sent.header.epoch == here)
            });
            if *seq >= from && is_refused {
                cut.sent = None;
            }
        }
    }
}

impl Core {
    /// Whether any other device came in after an epoch had begun.
    pub(in crate::engine) fn has_newcomers(&self, since: &EpochId, own: &DeviceId) -> bool {
        let Some(began) = self.epochs.get(since).map(|row| row.index) else { return true };
        let mut present = self.state.writers.iter().filter(|row| row.to.is_none());
        present.any(|row| row.from > began && row.device != *own)
    }

    /// Keeps a cut that the relay confirmed; gives the numbers of those that are dropped for it.
    pub(in crate::engine) fn keep(&mut self, seq: u64, cut: CutRow) -> Vec<u64> {
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
