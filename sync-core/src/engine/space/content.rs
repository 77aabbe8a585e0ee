//! Content in the log: what an entry of it counts as, and what it brings.
//!
//! The verdict is [`crate::trust::entry`]'s. Here the facts for it are gathered, signatures are
//! looked at as it asks for them, and what follows is done.

use sync_protocol::envelope::{Envelope, aad};
use sync_protocol::frontier::{Step as Chained, Tip};
use sync_protocol::{EpochId, SpaceId, WriterId, limits};

use crate::document::Placement;
use crate::engine::rooms::{Intake, LogRows};
use crate::engine::space::Spaces;
use crate::engine::space::change_set::{ChangeSet, Seen};
use crate::engine::space::deliveries::Arrived;
use crate::engine::space::state::{Core, SpaceState};
use crate::engine::{Step, seal};
use crate::trust::Invalid;
use crate::trust::entry::{self, Facts, Keys, Proof, Verdict};

/// Writers of whom a newcomer passed over something that it could not judge.
const LOOSE: usize = 256;

/// What became of content.
type Took = Result<(), Invalid>;

/// An entry's authorship, looked at when it is asked for.
struct Authorship<'a> {
    space: &'a mut SpaceState,
    arrived: &'a Arrived,
}

impl Proof for Authorship<'_> {
    fn is_proven(&mut self) -> bool {
        self.is_in_proven_run().unwrap_or_else(|| self.is_signed())
    }

    fn is_signed(&mut self) -> bool {
        self.space.is_signed(self.arrived)
    }
}

impl Authorship<'_> {
    /// Whether a later entry of its chain proves it; `None` if there is none that does.
    fn is_in_proven_run(&mut self) -> Option<bool> {
        let id = self.space.id;
        let core = self.space.core.as_ref()?;
        let front = self.space.in_session.deliveries.front_mut()?;
        if front.is_proven() {
            return Some(true);
        }
        let key = core.writer_at(&self.arrived.writer.device, self.arrived.index)?.key;
        front.prove_run(&id, &self.arrived.writer, &key).then_some(true)
    }
}

impl Intake<'_> {
    /// Takes in content. An error is what is wrong with this copy: another may be good.
    pub(in crate::engine) fn take_content(
        &mut self,
        id: &SpaceId,
        arrived: &Arrived,
    ) -> Step<Took> {
        let Some(chain) = arrived.envelope.header.chain else { return Ok(Err(Invalid::NoChain)) };
        let own = self.account.cut_writer(self.spaces, id) == Some(arrived.writer);
        if !own && self.log_rows().is_one_too_many(id, arrived)? {
            // It counts as an entry and is never opened: whoever reads this log comes to the same.
            self.log_rows().evidence(id, Invalid::TooManyWriters);
            return Ok(Ok(()));
        }
        let mut facts = self.log_rows().facts(id, arrived)?;
        if facts.chain == Chained::Gap && facts.is_leaf && self.prove_doubted(id, arrived) {
            facts = self.log_rows().facts(id, arrived)?;
        }
        let is_missed = facts.chain == Chained::Gap && !facts.may_begin;
        if own && !is_missed && self.log_rows().is_own_cut(id, chain.seq, &chain.link) {
            return Ok(self.take_own(id, arrived, facts));
        }
        let verdict = match authorship(self.spaces, id, arrived) {
            Some(mut proof) => entry::judge(facts, &mut proof),
            None => return Ok(Ok(())),
        };
        match verdict {
            Verdict::Open => {
                self.note_where(id, arrived);
                self.log_rows().compare_seen_from(id, arrived);
                if let Err(why) = self.open_and_apply(id, arrived) {
                    return Ok(Err(why));
                }
            }
            Verdict::Counts(why) => {
                self.log_rows().compare_seen_from(id, arrived);
                self.log_rows().note_unreadable(id, arrived);
                let elsewhere = matches!(why, Some(Invalid::Misplaced | Invalid::ForeignEpoch));
                self.log_rows().tell(id, why);
                if elsewhere {
                    self.checks().goes_on_elsewhere(id, arrived);
                }
            }
            Verdict::Passed(why) => {
                if why.is_none() {
                    self.log_rows().note_unreadable(id, arrived);
                    self.log_rows().note_loose(id, arrived.writer);
                }
                self.log_rows().tell(id, why);
                return Ok(Ok(()));
            }
            Verdict::Known => {
                if own {
                    self.log_rows().found_again(id, chain.seq);
                }
                self.look_at_wanted(id, arrived);
                return Ok(Ok(()));
            }
            Verdict::Doubtful(why) => return Ok(Err(why)),
        }
        self.log_rows().advance_tip(id, arrived.writer, Tip { seq: chain.seq, link: chain.link });
        if let Some(space) = self.spaces.get_mut(id) {
            space.in_session.aside.remove(&arrived.writer.device);
            space.wrote_at.insert(arrived.writer.device, arrived.index);
            space.row.loose.retain(|writer| *writer != arrived.writer);
        }
        self.log_rows().drop_doubted(id, &arrived.writer, chain.seq);
        if own {
            self.on_own_from_elsewhere(id, chain.seq);
        }
        Ok(Ok(()))
    }

    /// A change set of this writer that waits for its place, or a copy of it.
    fn take_own(&mut self, id: &SpaceId, arrived: &Arrived, facts: Facts) -> Took {
        let Some(chain) = arrived.envelope.header.chain else { return Err(Invalid::NoChain) };
        let core = self.spaces.get(id).and_then(|space| space.core.as_ref());
        let cut = core.and_then(|core| core.outbox.get(&chain.seq));
        let is_as_sent = cut
            .and_then(|cut| cut.sent.as_ref())
            .is_some_and(|sent| sent.as_slice() == arrived.envelope.as_bytes());
        if !is_as_sent && !self.log_rows().is_signed(id, arrived) {
            return Err(Invalid::Altered);
        }
        let place = (arrived.index, arrived.time_ms);
        self.own_stands(id, chain.seq, place, facts.keys, facts.is_leaf || facts.past);
        Ok(())
    }

    fn open_and_apply(&mut self, id: &SpaceId, arrived: &Arrived) -> Took {
        if let Some((set, seen)) = self.log_rows().open_content(id, arrived) {
            self.compare_seen(id, arrived, seen);
            let Arrived { index, time_ms, .. } = *arrived;
            let placement = Placement { index, time_ms, ordinal: 0 };
            let era = self.spaces.era_here(id);
            self.content().apply_change_set(id, &arrived.writer, (placement, era), &set);
            return Ok(());
        }
        let Some(mut proof) = authorship(self.spaces, id, arrived) else { return Ok(()) };
        match entry::judge_unfit(&mut proof) {
            Verdict::Counts(why) => self.log_rows().tell(id, why),
            Verdict::Doubtful(why) => return Err(why),
            Verdict::Open | Verdict::Passed(_) | Verdict::Known => {}
        }
        Ok(())
    }

    /// Content of the present epoch says that its author is there as well.
    fn note_where(&mut self, id: &SpaceId, arrived: &Arrived) {
        let present = self.spaces.get(id).map(|space| space.row.epoch);
        if present == Some(arrived.envelope.header.epoch) {
            self.checks().note_followed(id, &arrived.writer.device);
        }
    }

    /// An author names how much of the log it had seen, and must have seen what we saw.
    fn compare_seen(&mut self, id: &SpaceId, arrived: &Arrived, seen: Seen) {
        let cursor = arrived.envelope.header.cursor;
        let Some(space) = self.spaces.get(id) else { return };
        let known = space.recent.get(&cursor);
        let author = space.core.as_ref().and_then(|core| core.account_of(&arrived.writer.device));
        let told = seen.hash != [0; 8];
        if told && known.is_some_and(|known| known[..8] != seen.hash) {
            self.log_rows().evidence(id, Invalid::OtherHistory);
        }
        if let Some((log, author)) = seen.log.zip(author) {
            self.contacts().hear_head(id, author, log);
        }
        self.checks().hear_sightings(id, arrived, &seen);
    }
}

impl LogRows<'_> {
    /// Whether an entry begins another writer of a device that has as many as it may.
    fn is_one_too_many(&mut self, id: &SpaceId, arrived: &Arrived) -> Step<bool> {
        let Some(core) = &self.spaces.core(id)?.core else { return Ok(false) };
        let device = &arrived.writer.device;
        let begins = core.tips.tip(&arrived.writer) == Tip::START;
        // Writers that only somebody told of may never have been: they take nobody's place.
        let told = core.state.told.iter().filter(|writer| writer.device == *device).count();
        let count = || core.tips.writers_of(device).saturating_sub(told);
        Ok(begins && count() >= limits::WRITERS)
    }

    fn facts(&mut self, id: &SpaceId, arrived: &Arrived) -> Step<Facts> {
        let space = self.spaces.core(id)?;
        let row = &space.row;
        let Some(core) = &space.core else {
            return Err(crate::Failure::NotFound("conversation").into());
        };
        let writer = &arrived.writer;
        let tip = core.tip_proven(writer);
        let chain = arrived.envelope.header.chain.map_or(Chained::Known, |chain| {
            tip.judge(writer, chain.seq, &chain.commitment, &chain.link)
        });
        let past = core.state.joining.is_some();
        // Where writers stood before an era that this device begins with, it was told by others.
        let is_new = tip.seq == 0 && row.whole_from > 0;
        let is_told = core.state.told.contains(writer);
        Ok(Facts {
            is_leaf: core.writer_at(&writer.device, arrived.index).is_some(),
            chain,
            past,
            may_begin: past || is_new || is_told || row.loose.contains(writer),
            keys: core.keys_at(&arrived.envelope.header.epoch, &space.epoch_here()),
        })
    }

    /// Whether its writer signed exactly this entry.
    pub(in crate::engine) fn is_signed(&self, id: &SpaceId, arrived: &Arrived) -> bool {
        self.spaces.get(id).is_some_and(|space| space.is_signed(arrived))
    }

    /// Opens a change set; `None` if it is not what its chain commits to.
    pub(in crate::engine) fn open_content(
        &mut self,
        id: &SpaceId,
        arrived: &Arrived,
    ) -> Option<(ChangeSet, Seen)> {
        let header = &arrived.envelope.header;
        let core = self.spaces.get_mut(id)?.core.as_mut()?;
        let secret = core.content_key(&header.epoch, &arrived.writer)?;
        let aad = aad(id, &arrived.writer, arrived.envelope.header_bytes());
        let plaintext = seal::open(&secret, &aad, arrived.envelope.payload()).ok()?;
        let (set, seen) = ChangeSet::from_plaintext(&plaintext).ok()?;
        (set.commitment() == header.chain?.commitment).then_some((set, seen))
    }

    fn tell(&mut self, id: &SpaceId, why: Option<Invalid>) {
        if let Some(why) = why {
            self.evidence(id, why);
        }
    }

    /// A newcomer could not judge an entry of a writer: its next number may be any.
    fn note_loose(&mut self, id: &SpaceId, writer: WriterId) {
        if let Some(space) = self.spaces.get_mut(id)
            && space.row.loose.len() < LOOSE
            && !space.row.loose.contains(&writer)
        {
            space.row.loose.push(writer);
        }
    }

    fn compare_seen_from(&mut self, id: &SpaceId, arrived: &Arrived) {
        if arrived.envelope.header.cursor > arrived.index {
            self.evidence(id, Invalid::MoreThanThereIs);
        }
    }
}

impl SpaceState {
    fn is_signed(&self, arrived: &Arrived) -> bool {
        let rows = self.core.as_ref().map(|core| core.state.writers.as_slice());
        rows.unwrap_or_default().iter().any(|row| {
            row.device == arrived.writer.device
                && arrived.envelope.verify(&self.id, &arrived.writer, &row.key).is_ok()
        })
    }

    /// How keys that an own envelope is sealed under relate to the place read next.
    pub(in crate::engine) fn keys_here(&self, envelope: &Envelope) -> Keys {
        let core = self.core.as_ref();
        let here = self.epoch_here();
        core.map_or(Keys::Unknown, |core| core.keys_at(&envelope.header.epoch, &here))
    }
}

impl Core {
    fn keys_at(&self, sealed: &EpochId, place: &EpochId) -> Keys {
        let number = |epoch: &EpochId| self.epochs.get(epoch).map(|row| row.number);
        entry::keys(sealed, place, self.state.joining.is_some(), number)
    }
}

fn authorship<'a>(
    spaces: &'a mut Spaces,
    id: &SpaceId,
    arrived: &'a Arrived,
) -> Option<Authorship<'a>> {
    let space = spaces.get_mut(id)?;
    Some(Authorship { space, arrived })
}
