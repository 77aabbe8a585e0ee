//! Own entries and their places in the log: confirmed by the relay, or read there.
//!
//! A place counts only where everybody lets the entry stand: under the epoch that it is sealed
//! under. What was put elsewhere is nowhere, and is written again.

use rand_core::Rng;
use sync_protocol::envelope::Envelope;
use sync_protocol::frames::{Run, Stored};
use sync_protocol::frontier::Tip;
use sync_protocol::{Link, SpaceId, codec};

use crate::document::{Name, Placement, Row};
use crate::engine::rooms::{Fetching, Intake, LogRows};
use crate::engine::rows::CutRow;
use crate::engine::space::change_set::ChangeSet;
use crate::engine::space::outbox::numbered;
use crate::engine::{Step, Task};
use crate::records::key;
use crate::trust::Invalid;
use crate::trust::entry::{Keys, item};

/// Confirmations that wait for what lies before them in the log: more than what may be under way.
const RUNS: usize = 128;
/// How long what lies before a confirmed entry may be on its way. Should it not come, it is asked for:
/// a relay that says that all was delivered has kept it back.
const COMES_MS: u64 = 2_000;

impl Intake<'_> {
    /// The relay has made something durable.
    pub(in crate::engine) fn place(&mut self, stored: &Stored) -> Step<()> {
        let (id, now) = (stored.space, self.turn.now);
        if self.session.is_full_no_more() {
            self.turn.tell_status();
        }
        if !self.spaces.contains_key(&id) {
            return Ok(());
        }
        let space = self.spaces.core(&id)?;
        if space.row.generation.is_none_or(|known| known == stored.generation) {
            space.row.generation = Some(stored.generation);
            let core = space.core.as_ref();
            // Before it has read up to where it came in, a device decides nothing but that. This
            // may run again, once what it waits for is loaded: then the entrance stands already.
            let enters = core.is_some_and(|core| core.state.joining.is_some());
            let decides = enters || core.is_some_and(|core| core.pending.is_some());
            let mut entered = None;
            let cut = space.row.cut.0;
            // What was never written is nobody's to confirm.
            let ours = |run: &&Run| match run.seq {
                0 => decides && run.count == 1,
                seq => seq.checked_add(run.count).is_some_and(|end| end <= cut + 1),
            };
            // Nor does anything stand where no place is.
            let has_place = |run: &&Run| run.index.checked_add(run.count).is_some();
            for run in stored.runs.iter().filter(ours).filter(has_place) {
                if enters && run.seq == 0 {
                    entered = Some(run.index);
                } else if space.in_session.own_runs.len() < RUNS {
                    space.in_session.own_runs.insert(run.index, *run);
                    space.shown_less_at.get_or_insert(now + COMES_MS);
                }
            }
            if let Some(index) = entered {
                self.tickets().entered(&id, index)?;
            }
        }
        self.take_in(&id)
    }

    /// Reads the log over entries of our own, which are confirmed instead of delivered.
    pub(in crate::engine) fn absorb_own(&mut self, id: &SpaceId) -> Step<()> {
        loop {
            let space = self.spaces.core(id)?;
            let next = space.row.next;
            let Some((&index, run)) = space.in_session.own_runs.first() else { return Ok(()) };
            let run = *run;
            if index > next {
                return Ok(());
            }
            if index < next {
                self.checks().confirm_passed(id, &run, next - index);
            }
            let space = self.spaces.core(id)?;
            if index.saturating_add(run.count) <= next || space.row.next < next {
                space.in_session.own_runs.remove(&index);
                continue;
            }
            let is_known = if run.seq == 0 {
                let pending = space.core.as_ref().and_then(|core| core.pending.as_ref());
                if pending.is_some_and(|pending| pending.child.is_some()) {
                    self.spaces.group(id)?;
                }
                self.absorb_special(id, index, run.time_ms)
            } else {
                let skip = next - index;
                self.absorb_content(id, run.seq + skip, next, run.time_ms)
            };
            if !is_known {
                self.fetching().read_instead(id, &run);
            }
        }
    }

    fn absorb_content(&mut self, id: &SpaceId, seq: u64, index: u64, time_ms: u64) -> bool {
        let Some(writer) = self.account.cut_writer(self.spaces, id) else { return false };
        let Some(space) = self.spaces.get(id) else { return false };
        let Some(core) = &space.core else { return false };
        let cut = core.outbox.get(&seq).filter(|cut| !cut.copies);
        let Some(sent) = cut.and_then(|cut| cut.sent.clone()) else { return false };
        let Ok(envelope) = Envelope::parse(sent.as_slice()) else { return false };
        let past = core.state.joining.is_some();
        let is_leaf = past || core.writer_at(&writer.device, index).is_some();
        self.own_stands(id, seq, (index, time_ms), space.keys_here(&envelope), is_leaf);
        self.fetching().entry_done(id, index, time_ms, &item(&writer, time_ms, sent.as_slice()));
        true
    }

    fn absorb_special(&mut self, id: &SpaceId, index: u64, time_ms: u64) -> bool {
        let (Ok(writer), Ok(me)) = (self.account.writer(), self.account.me()) else { return false };
        let public = me.identity().signing.verifying_key().to_bytes();
        let Some(space) = self.spaces.get_mut(id) else { return false };
        let Some(pending) = space.core.as_ref().and_then(|core| core.pending.as_ref()) else {
            return false;
        };
        let (decides, sent) = (pending.child.is_some(), pending.envelope.clone());
        // Made before this store began to write as somebody new, it is in the log as that one's.
        let is_ours = Envelope::parse(sent.as_slice())
            .is_ok_and(|envelope| envelope.verify(id, &writer, &public).is_ok());
        if !is_ours {
            return false;
        }
        space.in_session.own_runs.remove(&index);
        if decides {
            self.members().own_decided(id, index);
        } else {
            self.member_rows().own_intent_stored(id);
        }
        self.fetching().entry_done(id, index, time_ms, &item(&writer, time_ms, sent.as_slice()));
        true
    }

    /// One of our change sets stands in the log, where it counts or where nobody takes it.
    pub(in crate::engine) fn own_stands(
        &mut self,
        id: &SpaceId,
        seq: u64,
        (index, time_ms): (u64, u64),
        keys: Keys,
        is_leaf: bool,
    ) {
        match keys {
            Keys::Present | Keys::Unknown if is_leaf => self.own_stored(id, seq, index, time_ms),
            _ => self.own_misplaced(id, seq, is_leaf),
        }
    }

    /// One of our change sets has its place: its changes move there.
    pub(in crate::engine) fn own_stored(
        &mut self,
        id: &SpaceId,
        seq: u64,
        index: u64,
        time_ms: u64,
    ) {
        let Some(writer) = self.account.cut_writer(self.spaces, id) else { return };
        self.vault().release_held();
        let Some(cut) = self.take_from_outbox(id, seq) else { return };
        let set = codec::decode::<ChangeSet>("change set", cut.set.as_slice());
        if let Some(core) = self.spaces.get_mut(id).and_then(|space| space.core.as_mut()) {
            // What was confirmed is never written by somebody else: its edits are not needed.
            for dropped in core.keep(seq, CutRow { edits: Vec::new(), ..cut }) {
                self.turn.batch.delete(key::outbox(id, dropped));
            }
        }
        let Ok(set) = set else { return };
        for (ordinal, name, change) in numbered(&set) {
            if !self.content_rows().may_write(id, &writer, index, name) {
                // Written before this device knew that it might not: it counts nowhere, nor here.
                self.turn.batch.delete(key::unplaced(id, name, seq, ordinal));
                self.content().take_back(id, name);
                continue;
            }
            // As all others take note of it.
            self.content_rows().may_post(id, &writer, name, change.as_slice());
            let placement = Placement { index, time_ms, ordinal: ordinal << 16 };
            self.content_rows().note_handed(
                id,
                (&writer, name),
                (index, ordinal << 16),
                change.as_slice(),
            );
            let row = Row { writer, placement: Some(placement), change: change.0.clone() };
            self.turn.batch.delete(key::unplaced(id, name, seq, ordinal));
            self.turn
                .batch
                .put(key::row(id, name, (index, ordinal), &change.0), codec::encode(&row));
            if let Name::Messages(segment) = name {
                self.content_rows().note_tops(id, *segment, std::slice::from_ref(&row));
            }
            self.content().place_change(id, name, row);
        }
    }

    /// The relay has a number of ours.
    fn take_from_outbox(&mut self, id: &SpaceId, seq: u64) -> Option<CutRow> {
        let writer = self.account.cut_writer(self.spaces, id)?;
        let space = self.spaces.get_mut(id)?;
        space.row.stored = space.row.stored.max(seq);
        space.in_session.pushed = space.in_session.pushed.max(seq);
        if let Some(found) = &mut space.row.found {
            found.seq = found.seq.max(seq);
        }
        let core = space.core.as_mut()?;
        let cut = core.outbox.remove(&seq)?;
        core.tips.advance(writer, Tip { seq, link: cut.link });
        self.turn.unsaved.writers.insert((*id, writer));
        self.turn.unsaved.spaces.insert(*id);
        Some(cut)
    }

    /// A change set of ours stands where nobody lets it count, whoever put it there. Its number is
    /// used up; its changes are written again under the next one, since others of ours build on
    /// them.
    fn own_misplaced(&mut self, id: &SpaceId, seq: u64, is_leaf: bool) {
        self.log_rows().evidence(id, Invalid::Misplaced);
        if !is_leaf || !self.account.numbers_are_current(self.spaces, id) {
            // The others' view of this chain ends there, or it ended already: all that is not
            // confirmed is written again as somebody new.
            if self.account.numbers_are_current(self.spaces, id) {
                self.session.new_incarnation(self.turn, self.account);
                self.session.reconnect(self.turn, self.spaces);
            }
            return;
        }
        let Some(cut) = self.take_from_outbox(id, seq) else { return };
        self.turn.batch.delete(key::outbox(id, seq));
        let Ok(mut set) = codec::decode::<ChangeSet>("change set", cut.set.as_slice()) else {
            return;
        };
        let Ok(writer) = self.account.writer() else { return };
        self.turn.rng.fill_bytes(&mut set.blinding);
        let Some(space) = self.spaces.get_mut(id) else { return };
        let Some(core) = &mut space.core else { return };
        let (again, previous) = (space.row.cut.0 + 1, space.row.cut.1);
        let commitment = set.commitment();
        let link = previous.next(&writer, again, &commitment);
        space.row.cut = (again, link);
        for (ordinal, name, change) in numbered(&set) {
            let row = Row { writer, placement: None, change: change.0.clone() };
            self.turn.batch.delete(key::unplaced(id, name, seq, ordinal));
            self.turn.batch.put(key::unplaced(id, name, again, ordinal), codec::encode(&row));
        }
        let row = CutRow::new(link, commitment, &set, cut.edits);
        self.turn.batch.put(key::outbox(id, again), codec::encode(&row));
        core.outbox.insert(again, row);
        self.turn.save_space(id);
        self.turn.tasks.push_back(Task::Advance(*id));
    }

    /// The log has a change set of this writer that this store does not: the store was put back, or
    /// another one runs on a copy of it. What was written here meanwhile may stand under numbers
    /// that are used, in the log or in a document: from here on this store writes as somebody new.
    pub(in crate::engine) fn on_own_from_elsewhere(&mut self, id: &SpaceId, seq: u64) {
        // What the relay confirmed once was made here, whatever it says of its place by now.
        let confirmed = self.spaces.get(id).is_some_and(|space| seq <= space.row.stored);
        if !confirmed && self.account.numbers_are_current(self.spaces, id) {
            self.session.new_incarnation(self.turn, self.account);
            self.session.reconnect(self.turn, self.spaces);
        }
    }
}

impl Fetching<'_> {
    /// Which bytes the log has under a number is not known here: they are read there.
    fn read_instead(&mut self, id: &SpaceId, run: &Run) {
        if let Some(space) = self.spaces.get_mut(id) {
            space.in_session.own_runs.remove(&run.index);
            space.in_session.fetch.want(run.index.saturating_add(run.count));
        }
        self.mark_lagging(id);
    }
}

impl LogRows<'_> {
    pub(in crate::engine) fn is_own_cut(&self, id: &SpaceId, seq: u64, link: &Link) -> bool {
        let core = self.spaces.get(id).and_then(|space| space.core.as_ref());
        core.and_then(|core| core.outbox.get(&seq)).is_some_and(|cut| cut.link == *link)
    }
}

impl CutRow {
    /// A change set that has its number, and was not sent.
    pub(in crate::engine) fn new(
        link: Link,
        commitment: sync_protocol::ids::Commitment,
        set: &ChangeSet,
        edits: Vec<crate::engine::rows::JournalRow>,
    ) -> Self {
        let set = codec::Blob(codec::encode(set));
        Self { link, commitment, set, edits, sent: None, copies: false, confirmed: false }
    }
}
