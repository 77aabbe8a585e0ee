//! An edit's way out: applied, cut into a numbered change set, sealed, pushed, confirmed.
//!
//! Links are fixed at the cut. With few cuts under way an edit is cut at once, in its own batch;
//! under back-pressure edits wait in the journal and many share one change set.

use rand_core::Rng;
use sync_protocol::codec::{self, Blob};
use sync_protocol::envelope::{Chain, Envelope, Header, Kind, aad};
use sync_protocol::frames::{ClientFrame, Push};
use sync_protocol::sorted::{SortedMap, SortedSet};
use sync_protocol::{AccountId, EpochId, Rejection, SpaceId};
use tracing::debug;

use crate::api::{Failure, Problem};
use crate::document::messages::MessageView;
use crate::document::{Edit, EditError, Name, Row, Touched};
use crate::engine::account::Me;
use crate::engine::rooms::{LogRows, Outbox};
use crate::engine::rows::{CutRow, JournalRow};
use crate::engine::session::jittered;
use crate::engine::space::change_set::{ChangeSet, Item, Seen};
use crate::engine::space::retag::retag;
use crate::engine::{Step, Task, seal};
use crate::records::key;
use crate::trust::logs::begin;
use crate::trust::rights;
use crate::trust::sightings::Beside;

/// Change sets under way in a space before edits wait for one another.
const CUTS: u64 = 4;
/// Edits in one change set.
const EDITS_PER_CUT: usize = 128;
/// Bytes of edits in one change set.
const BYTES_PER_CUT: usize = 32 * 1024;
/// Bytes pushed and not confirmed in a space.
const PUSHED_BYTES: usize = 192 * 1024;
/// Envelopes pushed and not confirmed in a space.
const PUSHED: usize = 64;
/// The only schema so far.
const SCHEMA: u8 = 1;

/// What can be sent for a number.
enum Ready {
    Sealed(Blob),
    /// Nothing before more is known.
    NotNow,
    /// Nothing any more: it would have to be sealed for others than it was written for.
    Never,
}

impl Outbox<'_> {
    /// Makes an edit to an open document: visible at once, journalled or cut in this batch.
    pub(in crate::engine) fn edit(
        &mut self,
        id: &SpaceId,
        name: &Name,
        edit: Edit,
    ) -> Step<Touched> {
        let writer = self.account.writer()?;
        if self.account.was_told_revoked() {
            return Err(Failure::Refused(Rejection::Revoked).into());
        }
        if !self.spaces.core(id)?.row.active {
            return Err(Failure::Denied("no longer a member").into());
        }
        let me = self.account.me()?.account();
        let role = self.spaces.space(id)?.role(&me);
        if role.is_some_and(|role| !rights::writes(role, name)) {
            return Err(Failure::Denied("a member who reads only, or comments only").into());
        }
        let document = self.documents.document(self.spaces, id, name)?;
        let touched = document.edit(&writer, &edit).map_err(|error| match error {
            EditError::TooLarge { what, limit } => Failure::TooLarge { what, limit },
            EditError::Op(error) => Failure::Op(error),
            other => Failure::Invalid(other.to_string()),
        })?;
        self.content_rows().note_document(id, name);
        let space = self.spaces.core(id)?;
        let row = JournalRow::new(name.clone(), edit, space.row.next);
        let encoded = codec::encode(&row);
        let Some(core) = &mut space.core else { return Ok(touched) };
        let number = core.journal.last().map_or(0, |(last, _)| last + 1);
        core.journal.insert(number, row);
        space.row.journal = core.journal.len() as u64;
        space.uncut_bytes += encoded.len();
        self.turn.batch.put(key::journal(id, number), encoded);
        self.turn.save_space(id);
        self.content().touched(id, name, &touched, Some(&writer));
        self.cut_if_due(id);
        Ok(touched)
    }

    fn cut_if_due(&mut self, id: &SpaceId) {
        if !self.account.numbers_are_current(self.spaces, id) {
            self.turn.tasks.push_back(Task::Advance(*id));
            return;
        }
        let Some(space) = self.spaces.get(id) else { return };
        let Some(core) = &space.core else { return };
        let free = space.row.cut.0.saturating_sub(space.row.stored) < CUTS;
        let full = core.journal.len() >= EDITS_PER_CUT || space.uncut_bytes >= BYTES_PER_CUT;
        let ready = |row: &JournalRow| {
            self.documents.is_open(id, &row.name) || self.spaces.is_held(id, &row.name)
        };
        let all_open = core.journal.values().all(ready);
        if (free || full) && all_open {
            self.cut(id);
        }
        if free {
            self.turn.tasks.push_back(Task::Advance(*id));
        }
    }

    /// Cuts what the journal holds, once the documents it touches are open.
    pub(in crate::engine) fn cut_waiting(&mut self, id: &SpaceId) -> Step<()> {
        let space = self.spaces.core(id)?;
        let free = space.row.cut.0.saturating_sub(space.row.stored) < CUTS;
        if free { self.open_and_cut(id) } else { Ok(()) }
    }

    fn open_and_cut(&mut self, id: &SpaceId) -> Step<()> {
        let journal = self.spaces.core(id)?.core.as_ref().map(|core| &core.journal);
        let names = journal.into_iter().flat_map(|rows| rows.values()).map(|row| &row.name);
        let names: SortedSet<Name> = names.cloned().collect();
        let names: Vec<Name> =
            names.into_iter().filter(|name| !self.spaces.is_held(id, name)).collect();
        for name in &names {
            self.documents.document(self.spaces, id, name)?;
        }
        if !names.is_empty() {
            self.cut(id);
        }
        Ok(())
    }

    /// Cuts what the journal holds, however much is under way.
    pub(in crate::engine) fn cut_all(&mut self, id: &SpaceId) -> Step<()> {
        self.reauthor(id)?;
        self.open_and_cut(id)
    }

    /// Fixes number, blinding and link of everything uncut.
    fn cut(&mut self, id: &SpaceId) {
        self.views().ride_along(id);
        let Ok(writer) = self.account.writer() else { return };
        let mut blinding = [0; 16];
        self.turn.rng.fill_bytes(&mut blinding);
        let held = self.log_rows().held_back(id);
        let Some(space) = self.spaces.get_mut(id) else { return };
        let Some(core) = &mut space.core else { return };
        let whole = std::mem::take(&mut core.journal);
        let (held, journal) = whole.into_iter().partition(|(_, row)| held.contains(&row.name));
        core.journal = held;
        let journal: SortedMap<u64, JournalRow> = journal;
        let names: SortedSet<&Name> = journal.values().map(|row| &row.name).collect();
        let mut items = Vec::new();
        for name in names {
            let Some(document) = self.documents.peek(id, name) else { continue };
            let changes: Vec<Blob> = document.cut().into_iter().map(Blob).collect();
            if !changes.is_empty() {
                items.push(Item { name: name.clone(), schema: SCHEMA, changes });
            }
        }
        for number in journal.keys() {
            // Also one that was written in this very batch: an older one of its number may be in the store.
            self.turn.batch.delete(key::journal(id, *number));
        }
        space.row.journal = core.journal.len() as u64;
        space.uncut_bytes = 0;
        self.turn.unsaved.spaces.insert(*id);
        if items.is_empty() {
            return;
        }
        let set = ChangeSet { blinding, items };
        let (seq, previous) = (space.row.cut.0 + 1, space.row.cut.1);
        let commitment = set.commitment();
        let link = previous.next(&writer, seq, &commitment);
        space.row.cut = (seq, link);
        for (ordinal, name, change) in numbered(&set) {
            let row = Row { writer, placement: None, change: change.0.clone() };
            self.turn.batch.put(key::unplaced(id, name, seq, ordinal), codec::encode(&row));
        }
        let edits = journal.into_values().collect();
        let row = CutRow::new(link, commitment, &set, edits);
        self.turn.batch.put(key::outbox(id, seq), codec::encode(&row));
        core.outbox.insert(seq, row);
    }

    /// Pushes what is cut, within what may be under way: as it was sent before, or sealed under the
    /// newest epoch.
    pub(in crate::engine) fn push_content(&mut self, id: &SpaceId) {
        let Ok(account) = self.account.me().map(|me| me.account().space()) else { return };
        if account == *id {
            self.vault().release_held();
        }
        if !self.account.numbers_are_current(self.spaces, id)
            || !self.log_rows().has_unpushed(id)
            || !self.vault().is_vaulted(id)
        {
            return;
        }
        let Some(space) = self.spaces.get(id).filter(|space| space.in_session.problem.is_none())
        else {
            return;
        };
        let from = space.in_session.pushed.max(space.row.stored) + 1;
        let Some(core) = &space.core else { return };
        let under_way: usize = core.outbox.range(..from).map(|(_, cut)| cut.set.0.len()).sum();
        let mut room = PUSHED_BYTES.saturating_sub(under_way);
        let count = PUSHED.saturating_sub(core.outbox.range(..from).count());
        let due = core.outbox.range(from..).take(count);
        let due: Vec<(u64, usize)> = due.map(|(seq, cut)| (*seq, cut.set.0.len())).collect();
        let mut envelopes = Vec::new();
        for (seq, bytes) in due {
            if room == 0 {
                break;
            }
            room = room.saturating_sub(bytes);
            match self.envelope_of(id, seq) {
                Ready::Sealed(envelope) => envelopes.push(envelope),
                Ready::Never => return self.checks().give_up_confirmed(id),
                Ready::NotNow => break,
            }
            if let Some(space) = self.spaces.get_mut(id) {
                space.in_session.pushed = seq;
            }
        }
        if !envelopes.is_empty() {
            let push = Push { space: *id, envelopes, welcomes: None, ticket: None };
            self.turn.send(&ClientFrame::Push(push));
        }
    }

    /// What is sent for a number: the same bytes as before while their epoch is the newest.
    fn envelope_of(&mut self, id: &SpaceId, seq: u64) -> Ready {
        let Ok(device) = self.account.me().map(Me::device) else { return Ready::NotNow };
        let Some(space) = self.spaces.get(id) else { return Ready::NotNow };
        let Some(core) = &space.core else { return Ready::NotNow };
        let Some(cut) = core.outbox.get(&seq) else { return Ready::NotNow };
        let before = cut.sent.as_ref().and_then(|sent| Envelope::parse(sent.as_slice()).ok());
        let under = before.map(|envelope| envelope.header.epoch);
        let here = core.state.write_at.map_or(space.epoch_here(), |(epoch, _)| epoch);
        if under == Some(here) {
            return cut.sent.clone().map_or(Ready::NotNow, Ready::Sealed);
        }
        if space.row.found.is_some() && (under.is_some() || !cut.confirmed) {
            // The log does not lead to where it can be sealed.
            return Ready::NotNow;
        }
        // In one era, whoever came in was given what was written before.
        let is_other_era = |under: &EpochId| {
            core.epochs.get(under).is_none_or(|row| row.era != space.row.context.era)
        };
        if let Some(under) = under
            && cut.confirmed
            && is_other_era(&under)
            && core.has_newcomers(&under, &device)
        {
            return Ready::Never;
        }
        self.seal_cut(id, seq).map_or(Ready::NotNow, Ready::Sealed)
    }

    /// Seals a change set under the newest epoch, with what this device has seen by now.
    fn seal_cut(&mut self, id: &SpaceId, seq: u64) -> Option<Blob> {
        let writer = self.account.writer().ok()?;
        let signing = self.account.me().ok()?.identity().signing.clone();
        let seen = self.seen_by_now(Beside { space: id, writer: &writer, seq })?;
        let space = self.spaces.get_mut(id)?;
        let (read_epoch, next) = (space.epoch_here(), space.row.next);
        let core = space.core.as_mut()?;
        let (epoch, cursor) = core.state.write_at.unwrap_or((read_epoch, next));
        let secret = core.content_key(&epoch, &writer)?;
        let cut = core.outbox.get_mut(&seq)?;
        let set = codec::decode::<ChangeSet>("change set", cut.set.as_slice()).ok()?;
        let mut header = Header::new(Kind::Content, epoch, cursor);
        header.chain = Some(Chain { seq, commitment: cut.commitment, link: cut.link });
        let aad = aad(id, &writer, &codec::encode(&header));
        let payload = seal::seal(&secret, &aad, &set.to_plaintext(seen), &mut self.turn.rng);
        let sealed = Blob(Envelope::sign(id, &writer, header, payload, &signing).into_bytes());
        cut.copies |= cut.sent.is_some();
        cut.sent = Some(sealed.clone());
        // Before it is sent: which bytes the log has is known then, whatever happens.
        self.turn.batch.put(key::outbox(id, seq), codec::encode(&*cut));
        Some(sealed)
    }

    /// What a change set tells of what this device has seen.
    fn seen_by_now(&mut self, beside: Beside<'_>) -> Option<Seen> {
        let elsewhere = self.fetching().sightings(beside);
        let space = self.spaces.get(beside.space)?;
        let mut seen = Seen { at_s: self.turn.wall / 1_000, elsewhere, ..Seen::default() };
        // Whoever writes before it has read the log can't say what it has seen.
        if space.core.as_ref()?.state.write_at.is_none() {
            seen.hash = begin(&space.row.log_hash);
        }
        let members: Vec<AccountId> = space.row.context.roster.iter().map(|(id, _)| id).collect();
        seen.log = self.people.head_of_one(&members, beside.seq);
        Some(seen)
    }

    pub(in crate::engine) fn on_refused(&mut self, id: &SpaceId, seq: u64, reason: Rejection) {
        debug!(space = ?id, seq, %reason, "the relay refuses a push");
        let now = self.turn.now;
        if seq == 0 && self.log_rows().is_about_an_earlier(id, &reason) {
            return;
        }
        if let Rejection::Ahead { head } = reason
            && self.fetching().ends_before(id, head)
        {
            return;
        }
        let passes = reason.retry_ms().is_some();
        if seq == 0 && !passes && self.fetching().handshake_refused(id) {
            return;
        }
        if seq == 0 && !passes && self.member_rows().is_entering(id).is_ok_and(|entering| entering)
        {
            return self.tickets().entrance_refused(id, &reason);
        }
        if let Rejection::Gap { have } = reason
            && self.checks().takes_back(id, have)
        {
            return;
        }
        if seq == 0 && self.member_rows().refuses_additions(id, &reason) {
            return self.turn.tasks.push_back(Task::Advance(*id));
        }
        if reason == Rejection::Denied {
            // Who is out reads up to where that happened. It may not have been shown here.
            self.fetching().mark_lagging(id);
        }
        let Some(space) = self.spaces.get_mut(id) else { return };
        space.in_session.deciding_sent = false;
        if seq > 0 {
            space.in_session.pushed = space.in_session.pushed.min(seq - 1);
        }
        // Once the log was read up to there without it, a refused commit never comes.
        space.in_session.rebuild |= seq == 0 && !passes;
        match reason {
            Rejection::Invalid | Rejection::Denied if seq == 0 && space.row.deciding => {
                space.retry_at = Some(now + 2_000);
            }
            Rejection::Behind { index } if space.row.next > index => {
                space.forget_sent(seq, index);
                self.turn.tasks.push_back(Task::Advance(*id));
            }
            Rejection::Behind { index } => {
                space.forget_sent(seq, index);
                space.in_session.behind = Some(index);
                // What lies between is on its way; should it not come, it is asked for.
                space.retry_at = Some(now + 2_000);
            }
            Rejection::Gap { have } if have >= space.row.stored => {
                space.in_session.pushed = have;
                self.turn.tasks.push_back(Task::Advance(*id));
            }
            Rejection::Equivocation => {
                self.session.new_incarnation(self.turn, self.account);
                self.session.reconnect(self.turn, self.spaces);
            }
            Rejection::Taken => self.fetching().mark_lagging(id),
            Rejection::Rate { retry_ms }
            | Rejection::Unavailable { retry_ms }
            | Rejection::Full { retry_ms } => {
                space.in_session.hold_until = now + jittered(&mut self.turn.rng, retry_ms.max(100));
                space.retry_at = Some(space.in_session.hold_until);
                if let Rejection::Full { .. } = reason {
                    // It passes, but not soon: the person is told.
                    self.session.set_problem(Problem::Space(*id, reason));
                    self.turn.tell_status();
                }
            }
            // Of a handshake that the log has decided since: nothing else has no number.
            _ if seq == 0 && !space.row.deciding => {}
            other => {
                space.in_session.problem = Some(other.clone());
                self.session.set_problem(Problem::Space(*id, other));
                self.turn.tell_status();
            }
        }
    }

    /// Messages of the journal that the log has already: a store that was put back wrote them as the
    /// writer that it was. Their documents are opened anew for it: beside what was journalled, the log's
    /// own word has no place in them.
    fn standing(&mut self, id: &SpaceId) -> Step<SortedSet<u64>> {
        let space = self.spaces.core(id)?;
        let messages = space.core.iter().flat_map(|core| &core.journal).filter_map(|(at, row)| {
            let Edit::Message(message) = &row.edit else { return None };
            Some((*at, row.name.clone(), message.key.to_string()))
        });
        let messages: Vec<_> = messages.collect();
        if !messages.is_empty() && !std::mem::replace(&mut space.in_session.reopens, true) {
            self.documents.close_space(id);
        }
        let mut standing = SortedSet::new();
        for (at, name, key) in messages {
            let entry = self.documents.document(self.spaces, id, &name)?.entry(&key);
            if entry.is_some_and(|entry| entry.placement.is_some()) {
                standing.insert(at);
            }
        }
        if let Some(space) = self.spaces.get_mut(id) {
            space.in_session.reopens = false;
        }
        Ok(standing)
    }

    /// After a new incarnation: takes everything unconfirmed back into the journal, under the
    /// present writer. The log has been read, so what of it got through is confirmed already.
    pub(in crate::engine) fn reauthor(&mut self, id: &SpaceId) -> Step<()> {
        let writer = self.account.writer()?;
        self.spaces.core(id)?;
        if self.account.numbers_are_current(self.spaces, id) {
            return Ok(());
        }
        let standing = self.standing(id)?;
        let Some(space) = self.spaces.get_mut(id) else { return Ok(()) };
        let Some(core) = &mut space.core else { return Ok(()) };
        let mut rows: Vec<JournalRow> = Vec::new();
        for seq in std::mem::take(&mut core.kept).into_keys() {
            self.turn.batch.delete(key::outbox(id, seq));
        }
        for (seq, cut) in std::mem::take(&mut core.outbox) {
            self.turn.batch.delete(key::outbox(id, seq));
            if cut.confirmed {
                // Others may have it: what the relay lost is not written twice.
                continue;
            }
            if let Ok(set) = codec::decode::<ChangeSet>("change set", cut.set.as_slice()) {
                for (ordinal, name, _) in numbered(&set) {
                    self.turn.batch.delete(key::unplaced(id, name, seq, ordinal));
                }
            }
            rows.extend(cut.edits);
        }
        for (number, row) in std::mem::take(&mut core.journal) {
            self.turn.batch.delete(key::journal(id, number));
            if !standing.contains(&number) {
                rows.push(row);
            }
        }
        retag(&mut rows, &writer);
        for (number, row) in (0..).zip(rows) {
            self.turn.batch.put(key::journal(id, number), codec::encode(&row));
            core.journal.insert(number, row);
        }
        let tip = core.tips.tip(&writer);
        space.row.cut = (tip.seq, tip.link);
        space.row.cut_by = writer.incarnation;
        space.row.stored = tip.seq;
        space.row.journal = core.journal.len() as u64;
        space.in_session.pushed = tip.seq;
        space.view = MessageView::default();
        space.row.reach = None;
        space.receipts.clear();
        let own = space.row.own;
        self.documents.close_space(id);
        self.turn.save_space(id);
        if own {
            self.vault().note_vaulted();
        }
        self.turn.tasks.push_back(Task::Advance(*id));
        Ok(())
    }
}

impl LogRows<'_> {
    /// Documents with journalled edits that have to wait until an era counts.
    fn held_back(&self, id: &SpaceId) -> SortedSet<Name> {
        let core = self.spaces.get(id).and_then(|space| space.core.as_ref());
        let names = core.into_iter().flat_map(|core| core.journal.values()).map(|row| &row.name);
        names.filter(|name| self.spaces.is_held(id, name)).cloned().collect()
    }

    fn has_unpushed(&self, id: &SpaceId) -> bool {
        let Some(space) = self.spaces.get(id) else { return false };
        let sent = space.in_session.pushed.max(space.row.stored);
        let last = space.core.as_ref().and_then(|core| core.outbox.last());
        last.is_some_and(|(seq, _)| *seq > sent)
    }

    /// Whether a refusal is of a handshake that the log has decided since: the one under way was
    /// built by who had read further, so the relay can't mean that one.
    fn is_about_an_earlier(&self, id: &SpaceId, reason: &Rejection) -> bool {
        let Rejection::Behind { index } = reason else { return false };
        let core = self.spaces.get(id).and_then(|space| space.core.as_ref());
        let Some(pending) = core.and_then(|core| core.pending.as_ref()) else { return false };
        Envelope::parse(pending.envelope.as_slice())
            .is_ok_and(|envelope| envelope.header.cursor > *index)
    }
}

/// The changes of a set with their ordinals.
pub(in crate::engine) fn numbered(set: &ChangeSet) -> impl Iterator<Item = (u32, &Name, &Blob)> {
    let changes = set
        .items
        .iter()
        .flat_map(|item| item.changes.iter().map(move |change| (&item.name, change)));
    (0u32..).zip(changes).map(|(ordinal, (name, change))| (ordinal, name, change))
}
