//! What others have read of this account's spaces, by what they say elsewhere.
//!
//! A relay can end a log early for somebody, and nothing in that log shows it. Each change set
//! tells, sealed, how far its author has read some other spaces that all its readers share
//! ([`crate::trust::sightings`]). Who has read less asks the relay once more; what it then still
//! keeps back is told, and this device is not up to date until it comes.

use std::collections::VecDeque;

use sync_protocol::hash::{self, Domain};
use sync_protocol::sorted::{SortedMap, SortedSet};
use sync_protocol::{AccountId, DeviceId, SpaceId};

use crate::api::Vouched;
use crate::engine::rooms::{Checks, Fetching};
use crate::engine::rows::VouchedRow;
use crate::engine::space::Spaces;
use crate::engine::space::change_set::Seen;
use crate::engine::space::deliveries::Arrived;
use crate::engine::space::state::SpaceState;
use crate::trust::Invalid;
use crate::trust::logs::{Said, begin};
use crate::trust::sightings::{AT_ONCE, Beside, Reading, Sighting};

const OWN_SPACE: Domain = Domain::new("rejoinder own space sighting v1");

/// Spaces of which something may be told: those that went on last.
const RECENT: usize = 32;
/// Pairs of spaces of which is kept what was told of one in the other.
const TOLD: usize = 4_096;

/// What this device tells of other spaces, and what it heard of them.
#[derive(Debug, Default)]
pub(in crate::engine) struct Sightings {
    /// The spaces whose logs were read on last, the newest last; `None` before that is known.
    recent: Option<VecDeque<SpaceId>>,
    /// How far the second was read when that was last told in the first.
    told: SortedMap<(SpaceId, SpaceId), u64>,
    /// Which devices have read further than this one, by the word of each: nobody takes back another's.
    further: SortedMap<(SpaceId, DeviceId), Further>,
}

/// Somebody has read further.
#[derive(Debug)]
struct Further {
    by: AccountId,
    /// The index after the last entry that they have read, of the log of this generation.
    next: u64,
    generation: u64,
    /// The relay was asked since.
    asked: bool,
    /// The app was told that the relay has no more.
    shown: bool,
}

impl Sightings {
    /// In how many spaces somebody has read further.
    pub(in crate::engine) fn withheld(&self, spaces: &Spaces) -> u64 {
        self.behind(spaces).len() as u64
    }

    fn behind(&self, spaces: &Spaces) -> SortedSet<SpaceId> {
        let further = self.further.iter().filter(|((id, _), further)| further.holds(spaces, id));
        further.map(|((id, _), _)| *id).collect()
    }

    /// Whether somebody has read further in a space than the relay lets this device.
    pub(in crate::engine) fn is_behind_others(&self, spaces: &Spaces, id: &SpaceId) -> bool {
        self.of(id).any(|(_, further)| further.holds(spaces, id))
    }

    /// Who has read further in a space.
    fn of(&self, id: &SpaceId) -> impl Iterator<Item = &((SpaceId, DeviceId), Further)> {
        let [first, last] = [[0; DeviceId::LEN], [0xff; DeviceId::LEN]];
        let all = (*id, DeviceId::from_bytes(first))..=(*id, DeviceId::from_bytes(last));
        self.further.range(all)
    }

    fn of_mut(&mut self, of: &SpaceId) -> impl Iterator<Item = &mut Further> {
        let further = self.further.iter_mut().filter(move |((id, _), _)| id == of);
        further.map(|(_, further)| further)
    }

    /// A space's log was read on.
    pub(in crate::engine) fn note(&mut self, id: &SpaceId) {
        let Some(recent) = &mut self.recent else { return };
        if recent.back() == Some(id) {
            return;
        }
        recent.retain(|known| known != id);
        recent.push_back(*id);
        if recent.len() > RECENT {
            recent.pop_front();
        }
    }

    /// Everything up to what the relay has is being asked for.
    pub(in crate::engine) fn note_asked(&mut self, id: &SpaceId) {
        self.of_mut(id).for_each(|further| further.asked = true);
    }
}

impl Further {
    /// Whether that is more of a space than this device has read.
    fn holds(&self, spaces: &Spaces, id: &SpaceId) -> bool {
        spaces.get(id).is_some_and(|space| {
            space.row.active
                && space.row.context.roster.role(&self.by).is_some()
                && space.row.generation == Some(self.generation)
                && space.row.next < self.next
        })
    }
}

impl Fetching<'_> {
    /// What a change set tells of other spaces: what was not told there yet.
    pub(in crate::engine) fn sightings(&mut self, beside: Beside<'_>) -> Vec<Sighting> {
        self.find_recent();
        let recent: Vec<SpaceId> = self.sightings.recent.iter().flatten().rev().copied().collect();
        let mut all = Vec::new();
        for id in recent {
            let Some((name, reading)) = self.tellable(&id, beside.space) else { continue };
            let told = self.sightings.told.get(&(*beside.space, id));
            if told.is_some_and(|told| *told == reading.next) {
                continue;
            }
            if self.sightings.told.len() >= TOLD {
                self.sightings.told = SortedMap::new();
            }
            self.sightings.told.insert((*beside.space, id), reading.next);
            all.push(Sighting::of(&reading, &name, beside));
            if all.len() == AT_ONCE {
                break;
            }
        }
        all
    }

    /// After a start, what went on last by the relay's clock counts as that.
    fn find_recent(&mut self) {
        if self.sightings.recent.is_none() {
            let spaces = self.spaces.values();
            let mut all: Vec<_> = spaces.map(|space| (space.row.activity_ms, space.id)).collect();
            all.sort_unstable();
            let newest = all.split_off(all.len().saturating_sub(RECENT));
            self.sightings.recent = Some(newest.into_iter().map(|(_, id)| id).collect());
        }
    }

    /// The name of a space and how far it was read here, if that may be told in another: all who
    /// can read the other are in it.
    fn tellable(&self, id: &SpaceId, within: &SpaceId) -> Option<(Vec<u8>, Reading)> {
        let space = self.spaces.get(id).filter(|space| space.row.active && id != within)?;
        let other = self.spaces.get(within)?;
        let is_shared = || {
            let mut readers = other.row.context.roster.iter().map(|(account, _)| account);
            readers.all(|account| space.row.context.roster.role(&account).is_some())
        };
        // The name of the account's own space is known to its own devices only.
        if !space.row.own && !other.row.own && !is_shared() {
            return None;
        }
        Some((space.name()?, space.reading()?))
    }

    /// Which of the spaces that both are in a sighting is of.
    fn recognise(
        &self,
        account: &AccountId,
        sighting: &Sighting,
        beside: Beside<'_>,
    ) -> Option<(SpaceId, Reading)> {
        let active = self.spaces.values().filter(|space| space.row.active);
        let shared = active.filter(|space| space.row.context.roster.role(account).is_some());
        shared.into_iter().find_map(|space| {
            let reading = sighting.reading(&space.name()?, beside)?;
            Some((space.id, reading))
        })
    }

    /// Somebody has read a space so far; whether this device has read as much, and the same.
    fn hear_reading(
        &mut self,
        id: &SpaceId,
        (by, on): (AccountId, DeviceId),
        reading: &Reading,
    ) -> bool {
        let Some(space) = self.spaces.get(id) else { return false };
        let Some(own) = space.reading() else { return false };
        let hash_at = |index| space.recent.get(&index).map(begin);
        match reading.judge(&own, hash_at) {
            Said::NoMore => {
                // Who was misled about the log's end says less once it knows better.
                self.sightings.further.remove(&(*id, on));
                own.generation == reading.generation
            }
            Said::Other => {
                self.log_rows().evidence(id, Invalid::OtherHistory);
                false
            }
            Said::More => {
                let Reading { generation, next, .. } = *reading;
                let known = self.sightings.further.get(&(*id, on));
                if known.is_none_or(|known| known.generation != generation || known.next < next) {
                    let shown = known.is_some_and(|known| known.shown);
                    let further = Further { by, next, generation, asked: false, shown };
                    self.sightings.further.insert((*id, on), further);
                    self.mark_lagging(id);
                }
                false
            }
        }
    }

    /// In a new session, asks again for what others have read.
    pub(in crate::engine) fn ask_for_withheld(&mut self) {
        for id in self.sightings.behind(self.spaces) {
            self.mark_lagging(&id);
        }
    }

    fn note_vouched(&mut self, id: &SpaceId, account: AccountId, device: DeviceId, at_ms: u64) {
        let Some(space) = self.spaces.get_mut(id) else { return };
        if space.row.vouched.as_ref().is_none_or(|known| known.at_ms < at_ms) {
            space.row.vouched = Some(VouchedRow { account, device, at_ms });
            self.turn.save_space(id);
        }
    }

    /// The relay has given all it says it has of a space. Whether it has to be asked again, since
    /// somebody was heard after that to have read further; if they had been before, the app is told.
    pub(in crate::engine) fn compare_further(&mut self, id: &SpaceId) -> bool {
        let spaces = &*self.spaces;
        self.sightings.further.retain(|(of, _), further| of != id || further.holds(spaces, id));
        if self.sightings.of(id).any(|(_, further)| !further.asked) {
            return true;
        }
        let untold = self.sightings.of_mut(id).filter(|further| !further.shown);
        let untold = untold.map(|further| {
            further.shown = true;
            further.by
        });
        for by in untold.collect::<SortedSet<_>>() {
            self.log_rows().evidence(id, Invalid::Withheld { by });
        }
        false
    }
}

impl Checks<'_> {
    /// The author of a change set says how far it has read, here and elsewhere.
    pub(in crate::engine) fn hear_sightings(
        &mut self,
        id: &SpaceId,
        arrived: &Arrived,
        seen: &Seen,
    ) {
        let device = arrived.writer.device;
        let core = self.spaces.get(id).and_then(|space| space.core.as_ref());
        let author = core.and_then(|core| core.writer_at(&device, arrived.index));
        let Some(account) = author.map(|row| row.account) else { return };
        if self.account.own().is_none_or(|me| me.device() == device) {
            return;
        }
        let at_ms = seen.at_s.saturating_mul(1_000).min(self.turn.wall);
        self.fetching().note_vouched(id, account, device, at_ms);
        let Some(seq) = arrived.envelope.header.chain.map(|chain| chain.seq) else { return };
        let beside = Beside { space: id, writer: &arrived.writer, seq };
        for sighting in &seen.elsewhere {
            let Some((space, reading)) = self.fetching().recognise(&account, sighting, beside)
            else {
                continue;
            };
            if self.fetching().hear_reading(&space, (account, device), &reading) {
                self.fetching().note_vouched(&space, account, device, at_ms);
            }
        }
    }
}

impl SpaceState {
    /// What it is known by to all its members, and to nobody else. The id of an account's own space
    /// can be computed by everybody: its devices share its keys.
    fn name(&self) -> Option<Vec<u8>> {
        if !self.row.own {
            return Some(self.id.as_bytes().to_vec());
        }
        let epoch = self.core.as_ref()?.epochs.get(&self.row.epoch)?;
        Some(hash::hash(OWN_SPACE, &[epoch.root.as_slice()]).to_vec())
    }

    /// How far this device has read the log; `None` if it can't say.
    fn reading(&self) -> Option<Reading> {
        let is_ahead = self.core.as_ref().is_some_and(|core| core.state.write_at.is_some());
        if is_ahead || self.footing.is_lost() {
            return None;
        }
        let (generation, next) = (self.row.generation?, self.row.next);
        Some(Reading { generation, next, hash: begin(&self.row.log_hash) })
    }
}

impl VouchedRow {
    /// As an app shows it.
    pub(in crate::engine) fn view(&self) -> Vouched {
        let Self { account, device, at_ms } = *self;
        Vouched { account, device, at_ms }
    }
}
