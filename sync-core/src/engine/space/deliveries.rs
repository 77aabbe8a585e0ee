//! Taking in what the relay delivers: entry by entry, in the log's order.
//!
//! A signature costs some fifty microseconds, a hash one: of each writer's run in a delivery only
//! the newest signature is verified, and the link chain proves the rest.

use sync_protocol::envelope::{Envelope, Kind};
use sync_protocol::frames::{Answer, Entries, Op};
use sync_protocol::frontier::{Step as Chained, Tip};
use sync_protocol::hash::{self, Domain};
use sync_protocol::signing::PublicKey;
use sync_protocol::sorted::{SortedMap, SortedSet};
use sync_protocol::{Rejection, SpaceId, WriterId};
use tracing::debug;

use crate::api::Event;
use crate::engine::members::handshakes::Follows;
use crate::engine::rooms::{Fetching, Intake, LogRows};
use crate::engine::session::Asked;
use crate::engine::space::state::{Core, SpaceState};
use crate::engine::{Step, Task};
use crate::trust::Invalid;
use crate::trust::entry::item;

const LOG: Domain = Domain::new("rejoinder log hash v1");
/// Log hashes kept to compare with what other authors say they had seen.
const RECENT: usize = 1024;
/// How long a space whose delivery made no sense waits before it asks again.
pub(in crate::engine) const ASK_AGAIN_MS: u64 = 5_000;

/// A delivery, and how far it was taken in.
pub(in crate::engine) struct Delivered {
    entries: Entries,
    at: usize,
    /// Positions whose authorship is proven.
    proven: SortedSet<usize>,
    /// Positions whose own signature does not hold.
    unsigned: SortedSet<usize>,
}

impl From<Entries> for Delivered {
    fn from(entries: Entries) -> Self {
        Self { entries, at: 0, proven: SortedSet::new(), unsigned: SortedSet::new() }
    }
}

/// One entry, parsed.
pub(in crate::engine) struct Arrived {
    pub(in crate::engine) index: u64,
    pub(in crate::engine) time_ms: u64,
    pub(in crate::engine) writer: WriterId,
    pub(in crate::engine) envelope: Envelope,
}

/// What became of an entry.
enum Taken {
    Done,
    /// From here on the log can't be read before this device has come in anew.
    NoMore,
    /// This copy makes no sense, and why. The other is what the entry counts as, should the relay
    /// have no better one.
    Doubtful(Invalid, [u8; 32]),
}

impl Intake<'_> {
    /// Takes in all that was delivered for a space.
    pub(in crate::engine) fn take_in(&mut self, id: &SpaceId) -> Step<()> {
        if !self.spaces.contains_key(id) {
            return Ok(());
        }
        self.spaces.core(id)?;
        while self.take_next(id)? {}
        self.after_take_in(id);
        Ok(())
    }

    /// Takes in one entry; `false` when there is none.
    fn take_next(&mut self, id: &SpaceId) -> Step<bool> {
        self.absorb_own(id)?;
        let space = self.spaces.core(id)?;
        if space.footing.is_lost() {
            // Read anew, from where the ticket says.
            space.in_session.deliveries.clear();
            return Ok(false);
        }
        if !space.row.active {
            // Nothing after the removal is this account's to read; if it is put back, it reads on
            // from where that says.
            space.in_session.deliveries.clear();
            return Ok(false);
        }
        let next = space.row.next;
        let Some(front) = space.in_session.deliveries.front_mut() else { return Ok(false) };
        let generation = front.entries.generation;
        if space.row.generation.is_some_and(|known| known != generation) {
            self.fetching().on_new_generation(id, Some(generation));
            return Ok(true);
        }
        space.row.generation = Some(generation);
        let index = front.entries.first.saturating_add(front.at as u64);
        let Some(entry) = front.entries.entries.get(front.at) else {
            space.in_session.deliveries.pop_front();
            return Ok(true);
        };
        if index < next {
            let by = front.entries.writers.get(entry.writer as usize);
            let item = by.map(|by| item(by, entry.time_ms, entry.envelope.as_slice()));
            let is_another = item.is_some_and(|item| is_another(&space.recent, index, &item));
            // Where nobody was seen to follow an own commit, that commit may be what is not in the log:
            // it is looked for first.
            let is_followed = space.last_unfollowed().is_none();
            if is_another && is_followed && space.another.is_shown(self.turn.now) {
                self.fetching().on_new_generation(id, Some(generation));
            } else {
                self.log_rows().advance_front(id);
            }
            return Ok(true);
        }
        if index > next {
            let end = front.entries.first.saturating_add(front.entries.entries.len() as u64);
            space.in_session.fetch.want(end);
            space.in_session.deliveries.pop_front();
            self.fetching().mark_lagging(id);
            return Ok(true);
        }
        let writer = front.entries.writers.get(entry.writer as usize).copied();
        let parsed = Envelope::parse(entry.envelope.as_slice()).ok();
        let (Some(writer), Some(envelope)) = (writer, parsed) else {
            self.log_rows().stall(id, index, Invalid::Unparsable);
            return Ok(true);
        };
        let arrived = Arrived { index, time_ms: entry.time_ms, writer, envelope };
        match self.take_entry(id, &arrived)? {
            Taken::Done => self.log_rows().advance_front(id),
            Taken::NoMore => self.members().lose_track(id, index),
            Taken::Doubtful(why, item) => self.doubt(id, &arrived, why, &item),
        }
        Ok(true)
    }

    fn take_entry(&mut self, id: &SpaceId, arrived: &Arrived) -> Step<Taken> {
        let (index, time_ms) = (arrived.index, arrived.time_ms);
        let item = item(&arrived.writer, time_ms, arrived.envelope.as_bytes());
        match arrived.envelope.header.kind {
            Kind::Content => {
                if let Err(why) = self.take_content(id, arrived)? {
                    return Ok(Taken::Doubtful(why, item));
                }
            }
            Kind::Handshake => match self.members().take_handshake(id, arrived)? {
                Follows::On => {}
                Follows::NoMore => return Ok(Taken::NoMore),
                Follows::Doubtful => return Ok(Taken::Doubtful(Invalid::Signature, item)),
            },
            Kind::Intent => self.members().take_intent(id, arrived)?,
            // Kinds this version does not use yet count as entries and change nothing.
            Kind::Register | Kind::Signal => {}
        }
        self.fetching().entry_done(id, index, time_ms, &item);
        Ok(Taken::Done)
    }

    fn after_take_in(&mut self, id: &SpaceId) {
        let Some(space) = self.spaces.get_mut(id) else { return };
        if space.row.lagging
            && let Some(from) = space.in_session.fetch.take_in()
        {
            if space.row.next >= space.in_session.fetch.wanted() {
                space.row.lagging = false;
                self.turn.unsaved.spaces.insert(*id);
                // Into its account's own space a device without history is let in by an invitation alone: it
                // waits for what a relay may keep back.
                let is_out =
                    !space.row.own && space.core.as_ref().is_some_and(Core::was_not_let_in);
                if self.fetching().compare_further(id) {
                    self.fetching().mark_lagging(id);
                } else if is_out {
                    self.members().disown(id, Invalid::BrokenLine);
                } else {
                    self.profile().has_read(id);
                }
            } else if space.retry_at.is_none() && space.row.next > from {
                self.fetching().fetch(id);
            } else {
                // A relay that brings nothing is not asked without pause.
                space.retry_at = Some(space.retry_at.unwrap_or(self.turn.now + ASK_AGAIN_MS));
            }
        }
        let Some(space) = self.spaces.get_mut(id) else { return };
        if space.in_session.behind.is_some_and(|index| space.row.next > index) {
            space.in_session.behind = None;
        }
        if let Some((read, total)) = progress(space) {
            self.turn.notify(Event::History { conversation: *id, read, total });
        }
        self.log_rows().tell_unreadable(id);
        let Some(space) = self.spaces.get_mut(id) else { return };
        let stale = space.row.stale;
        let settled = space.row.own && !space.row.lagging;
        if settled {
            self.vault().call_vault_if_owed();
            self.tickets().seek();
            self.turn.tasks.push_back(Task::HostMissing);
        }
        let Some(space) = self.spaces.get_mut(id) else { return };
        if space.is_busy() {
            self.turn.tasks.push_back(Task::Advance(*id));
        }
        self.session.keep_cursor(self.turn, self.spaces);
        if stale && self.session.caught_up() {
            self.turn.tasks.push_back(Task::Summarise(*id));
        }
    }
}

impl LogRows<'_> {
    pub(in crate::engine) fn advance_front(&mut self, id: &SpaceId) {
        if let Some(front) =
            self.spaces.get_mut(id).and_then(|space| space.in_session.deliveries.front_mut())
        {
            front.at += 1;
        }
    }

    pub(in crate::engine) fn advance_tip(&mut self, id: &SpaceId, writer: WriterId, tip: Tip) {
        if let Some(core) = self.spaces.get_mut(id).and_then(|space| space.core.as_mut()) {
            if core.state.forget_told(&writer) {
                core.tips.remove(&writer);
                self.turn.save_state(id);
            }
            core.tips.advance(writer, tip);
            self.turn.unsaved.writers.insert((*id, writer));
        }
    }

    /// Tells the app that something is not believed, at most once a second.
    pub(in crate::engine) fn evidence(&mut self, id: &SpaceId, why: Invalid) {
        debug!(space = ?id, code = why.code(), "not believed");
        let (now, space) = (self.turn.now, self.spaces.get_mut(id));
        if space.is_some_and(|space| !space.in_session.is_news(&why, now)) {
            return;
        }
        self.turn.notify(Event::Evidence { space: *id, why });
    }

    /// Lets go of what was delivered: it can't be built upon. Asked for again later.
    pub(in crate::engine) fn stall(&mut self, id: &SpaceId, index: u64, why: Invalid) {
        debug!(space = ?id, index, code = why.code(), "a delivery can't be built upon");
        let now = self.turn.now;
        if let Some(space) = self.spaces.get_mut(id) {
            space.in_session.deliveries.clear();
            space.in_session.fetch.want(index.saturating_add(1));
            space.row.lagging = true;
            space.retry_at = Some(now + ASK_AGAIN_MS);
        }
        self.turn.save_space(id);
        self.evidence(id, why);
    }
}

impl Fetching<'_> {
    /// The log was read one further.
    pub(in crate::engine) fn entry_done(
        &mut self,
        id: &SpaceId,
        index: u64,
        time_ms: u64,
        item: &[u8; 32],
    ) {
        let Some(space) = self.spaces.get_mut(id) else { return };
        space.row.next = index + 1;
        space.row.activity_ms = space.row.activity_ms.max(time_ms);
        space.row.log_hash = running(&space.row.log_hash, item);
        space.recent.insert(index + 1, space.row.log_hash);
        space.note_epoch();
        if space.recent.len() > RECENT {
            space.recent.pop_first();
        }
        self.sightings.note(id);
        self.turn.save_space(id);
    }

    /// Entries are missing: fetch from where this device stands.
    pub(in crate::engine) fn mark_lagging(&mut self, id: &SpaceId) {
        if let Some(space) = self.spaces.get_mut(id) {
            space.row.lagging = true;
        }
        self.turn.save_space(id);
        self.fetch(id);
    }

    pub(in crate::engine) fn fetch(&mut self, id: &SpaceId) {
        if !self.session.is_open() {
            return;
        }
        let reads = |space: &&mut SpaceState| {
            !space.in_session.fetch.is_under_way() && !space.footing.is_lost()
        };
        let Some(space) = self.spaces.get_mut(id).filter(reads) else { return };
        let from = space.row.next;
        let number = space.in_session.fetch.ask(from);
        self.sightings.note_asked(id);
        self.session.ask(
            self.turn,
            Op::Fetch { space: *id, from, to: u64::MAX },
            Asked::Fetch(*id, number),
        );
    }

    pub(in crate::engine) fn on_fetched(&mut self, id: &SpaceId, number: u64, answer: &Answer) {
        let Some(space) = self.spaces.get_mut(id) else { return };
        if !space.in_session.fetch.answer(number, matches!(answer, Answer::Done)) {
            return;
        }
        match answer {
            Answer::Done => self.turn.tasks.push_back(Task::TakeIn(*id)),
            Answer::Refused(Rejection::NotFound) if space.row.generation.is_some() => {
                self.on_new_generation(id, None);
            }
            Answer::Refused(Rejection::NotFound) if space.row.found.is_some() => {
                self.log_rows().is_gone(id)
            }
            _ => space.retry_at = Some(self.turn.now + ASK_AGAIN_MS),
        }
    }
}

/// The log's running hash after an entry.
fn running(before: &[u8; 32], item: &[u8; 32]) -> [u8; 32] {
    hash::hash(LOG, &[before, item])
}

/// Whether an entry that is shown again is not what was read at its index, as far as that is known.
fn is_another(recent: &SortedMap<u64, [u8; 32]>, index: u64, item: &[u8; 32]) -> bool {
    let known = recent.get(&index).zip(recent.get(&(index + 1)));
    known.is_some_and(|(before, after)| running(before, item) != *after)
}

/// How far a device that came in by a ticket has read what was written before.
fn progress(space: &SpaceState) -> Option<(u64, u64)> {
    let (_, total) = space.core.as_ref()?.state.write_at?;
    (!space.row.own && space.row.next < total).then_some((space.row.next, total))
}

impl Delivered {
    /// Whether it begins where the log does.
    pub(in crate::engine) fn is_from_start(&self) -> bool {
        self.entries.first == 0
    }

    /// Whether it is of the log's life that has this generation.
    pub(in crate::engine) fn is_of(&self, generation: u64) -> bool {
        self.entries.generation == generation
    }

    /// Whether who wrote the entry is proven already.
    pub(in crate::engine) fn is_proven(&self) -> bool {
        self.proven.contains(&self.at)
    }

    /// Proves of a writer's run, from here on, all up to its last envelope with a good signature.
    /// Which entries come in one delivery decides nothing: a bad one among them hides no good one.
    pub(in crate::engine) fn prove_run(
        &mut self,
        space: &SpaceId,
        writer: &WriterId,
        key: &PublicKey,
    ) -> bool {
        let run = self.run_of(writer);
        let is_good = |at: &usize| {
            let entry = self.entries.entries.get(*at);
            let envelope = entry.and_then(|entry| Envelope::parse(entry.envelope.as_slice()).ok());
            envelope.is_some_and(|envelope| envelope.verify(space, writer, key).is_ok())
        };
        // Each signature is looked at once.
        let unknown = run.iter().rev().filter(|at| !self.unsigned.contains(*at));
        let mut bad = Vec::new();
        let mut last = None;
        for at in unknown {
            if is_good(at) {
                last = Some(*at);
                break;
            }
            bad.push(*at);
        }
        self.unsigned.extend(bad);
        let proven = run.into_iter().filter(|at| last.is_some_and(|last| *at <= last));
        self.proven.extend(proven);
        self.proven.contains(&self.at)
    }

    /// The positions, from here on, of a writer's content that chains link by link.
    fn run_of(&self, writer: &WriterId) -> Vec<usize> {
        let number = self.entries.writers.iter().position(|known| known == writer);
        let mut run = Vec::new();
        let mut tip: Option<Tip> = None;
        for (at, entry) in self.entries.entries.iter().enumerate().skip(self.at) {
            if Some(entry.writer as usize) != number {
                continue;
            }
            let Ok(envelope) = Envelope::parse(entry.envelope.as_slice()) else { break };
            let Some(chain) = envelope.header.chain else { continue };
            let follows = tip.is_none_or(|tip| {
                tip.judge(writer, chain.seq, &chain.commitment, &chain.link) == Chained::Next
            });
            if !follows {
                break;
            }
            tip = Some(Tip { seq: chain.seq, link: chain.link });
            run.push(at);
        }
        run
    }
}
