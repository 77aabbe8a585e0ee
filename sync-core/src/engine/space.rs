//! One space in memory: its index row always, the rest when it is needed.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use sync_protocol::frames::Run;
use sync_protocol::frontier::{Frontier, Tip};
use sync_protocol::sorted::{SortedMap, SortedSet};
use sync_protocol::{AccountId, DeviceId, EpochId, Rejection, SpaceId, WriterId, codec};

use crate::document::OrderKey;
use crate::document::messages::MessageView;
use crate::document::receipts::{Mark, ReceiptsView};
use crate::engine::additions::Additions;
use crate::engine::carrying::Handing;
use crate::engine::deliveries::Delivered;
use crate::engine::doubted::DoubtedRow;
use crate::engine::rows::{
    CutRow, EpochRow, Intention, JournalRow, PendingRow, SpaceRow, StateRow, WriterRow,
};
use crate::engine::seal::Secret;
use crate::engine::{Engine, Step, Stop};
use crate::group::Group;
use crate::records::{Load, Records, key, without_prefix};
use crate::trust::posting::Posted;

/// Spaces whose inner state may stay in memory while idle.
const RESIDENT: usize = 64;
/// Looking for idle spaces costs with their number: once in so many batches.
const EVICT_EVERY: u64 = 32;

/// One space.
pub(super) struct SpaceState {
    pub(super) id: SpaceId,
    pub(super) row: SpaceRow,
    pub(super) core: Option<Core>,
    pub(super) group: Option<Group>,
    pub(super) view: MessageView,
    pub(super) receipts: SortedMap<u32, ReceiptsView>,
    /// Deliveries not yet taken in.
    pub(super) deliveries: VecDeque<Delivered>,
    /// The index of the last entry that each device wrote, of those read since the account was
    /// opened.
    pub(super) wrote_at: SortedMap<DeviceId, u64>,
    /// Own entries stored beyond `next`, by index.
    pub(super) own_runs: SortedMap<u64, Run>,
    /// The highest number pushed in this session.
    pub(super) pushed: u64,
    /// A handshake or intent was pushed in this session and not answered.
    pub(super) deciding_sent: bool,
    /// Nothing is pushed before the log was read up to here.
    pub(super) behind: Option<u64>,
    /// Why the relay refused what was written here.
    pub(super) problem: Option<Rejection>,
    /// What is known of those who are to be added.
    pub(super) additions: Additions,
    pub(super) fetching: bool,
    /// The fetch was answered: once its entries are taken in, nothing is missing.
    pub(super) fetched: bool,
    /// The index after the last entry that came too early to be taken in. A fetch that was under
    /// way by then may end before it.
    pub(super) wanted: u64,
    /// The index that the newest fetch began at.
    pub(super) fetched_from: u64,
    /// The last entry that made no sense: whether the relay insists on it.
    pub(super) doubt: Option<(u64, Vec<u8>)>,
    /// Devices whose entries are passed over in this session where they make no sense, and whether
    /// the relay was asked again since.
    pub(super) aside: SortedMap<DeviceId, bool>,
    /// How far each writer was read before the log was read anew: what was told does not go back.
    pub(super) reached: Frontier,
    /// Recent running hashes of the log, by the index after the entry.
    pub(super) recent: SortedMap<u64, [u8; 32]>,
    pub(super) receipts_at: Option<u64>,
    pub(super) receipts_written_ms: u64,
    pub(super) retry_at: Option<u64>,
    /// When what lies before an own entry that is stored must have come.
    pub(super) shown_less_at: Option<u64>,
    /// The relay asked for a pause until then.
    pub(super) hold_until: u64,
    /// Messages that changed since the list's row was written.
    pub(super) changed: BTreeSet<OrderKey>,
    /// A segment was opened that may hold more than `changed` says.
    pub(super) rescan: bool,
    /// Unread messages of the segments that were counted last.
    pub(super) unread: BTreeSet<OrderKey>,
    pub(super) counted: Vec<u32>,
    /// The relay refused a commit of ours that the log does not have: it is to be built anew.
    pub(super) rebuild: bool,
    /// Why, if not all whom it adds can be added.
    pub(super) refused: Option<Rejection>,
    /// The relay did not take this device's entrance: another is made, with a newer ticket.
    pub(super) turned_away: bool,
    /// How often the relay has not taken it, since it was in last.
    pub(super) refusals: u32,
    /// The log goes on where this device can't follow, until it has come in anew.
    pub(super) lost: bool,
    /// How often it came in anew because of that, since the account was opened.
    pub(super) returns: u32,
    /// An invitation was answered by writing here.
    pub(super) answered: bool,
    /// How much the app knows that can't be read.
    pub(super) told_lost: u64,
    /// Epochs found in the vault for which the log was read from its start once more.
    pub(super) sought: SortedSet<EpochId>,
    /// Edits applied since the last cut, in bytes.
    pub(super) uncut_bytes: usize,
    /// How far this device is with handing over an app's documents, and when it is its turn.
    pub(super) handing: Option<Handing>,
    pub(super) hand_over_at: Option<u64>,
    pub(super) its_turn: bool,
    used: u64,
}

/// What is read from the store as one.
#[derive(Default)]
pub(super) struct Core {
    pub(super) state: StateRow,
    pub(super) epochs: SortedMap<EpochId, EpochRow>,
    pub(super) tips: Frontier,
    /// Content that was passed over, by its index.
    pub(super) doubted: SortedMap<u64, DoubtedRow>,
    /// How far each writer has posted messages.
    pub(super) posted: SortedMap<WriterId, Posted>,
    pub(super) outbox: SortedMap<u64, CutRow>,
    /// The newest cuts that the relay confirmed, under the same keys: to be sent again, should it
    /// have lost them.
    pub(super) kept: SortedMap<u64, CutRow>,
    pub(super) journal: SortedMap<u64, JournalRow>,
    pub(super) pending: Option<PendingRow>,
    /// The newest own handshakes that the log decided, by the numbers of their epochs.
    pub(super) handshakes: SortedMap<u64, PendingRow>,
    keys: BTreeMap<(EpochId, WriterId), Secret>,
}

impl SpaceState {
    pub(super) fn new(id: SpaceId, row: SpaceRow) -> Self {
        Self {
            id,
            row,
            core: None,
            group: None,
            view: MessageView::default(),
            receipts: SortedMap::new(),
            deliveries: VecDeque::new(),
            wrote_at: SortedMap::new(),
            own_runs: SortedMap::new(),
            pushed: 0,
            deciding_sent: false,
            behind: None,
            problem: None,
            additions: Additions::default(),
            fetching: false,
            fetched: false,
            wanted: 0,
            fetched_from: 0,
            doubt: None,
            aside: SortedMap::new(),
            reached: Frontier::default(),
            recent: SortedMap::new(),
            receipts_at: None,
            receipts_written_ms: 0,
            retry_at: None,
            shown_less_at: None,
            hold_until: 0,
            changed: BTreeSet::new(),
            rescan: false,
            unread: BTreeSet::new(),
            counted: Vec::new(),
            rebuild: false,
            refused: None,
            turned_away: false,
            refusals: 0,
            lost: false,
            returns: 0,
            answered: false,
            told_lost: 0,
            sought: SortedSet::new(),
            uncut_bytes: 0,
            handing: None,
            hand_over_at: None,
            its_turn: false,
            used: 0,
        }
    }

    /// The epoch that counts at the place that is read next.
    pub(super) fn epoch_here(&self) -> EpochId {
        self.row.found.map_or(self.row.epoch, |found| found.epoch)
    }

    /// Whether the log does not have yet what the space begins with.
    pub(super) fn is_founding(&self) -> bool {
        let pending = self.core.as_ref().and_then(|core| core.pending.as_ref());
        pending.is_some_and(|pending| !pending.enters && pending.child == Some(self.row.epoch))
    }

    /// The number of the change set by which all that was written here has left.
    pub(super) fn last_cut(&self) -> u64 {
        self.row.cut.0 + u64::from(self.row.journal > 0)
    }

    /// Something stands in the log in a message segment, at this place.
    pub(super) fn note_top(&mut self, segment: u32, mark: Mark) {
        match self.row.tops.binary_search_by_key(&segment, |(of, _)| *of) {
            Ok(at) => {
                if let Some((_, top)) = self.row.tops.get_mut(at) {
                    *top = mark.max(*top);
                }
            }
            Err(at) => self.row.tops.insert(at, (segment, mark)),
        }
    }

    /// When something happened here last, by the relay's time; what it has not got yet, by the
    /// writer's claim.
    pub(super) fn recency_ms(&self) -> u64 {
        let claimed = self.row.last.as_ref().filter(|_| self.unsent()).map_or(0, |last| last.at_ms);
        self.row.activity_ms.max(claimed)
    }

    /// Whether something written here is not yet durable at the relay.
    pub(super) fn is_busy(&self) -> bool {
        self.row.active && self.waiting() > 0
    }

    /// Whether edits wait here, of a member or of one who may come back.
    pub(super) fn unsent(&self) -> bool {
        self.row.cut.0 > self.row.stored || self.row.journal > 0
    }

    /// How many changes the relay has not confirmed.
    pub(super) fn waiting(&self) -> u64 {
        if !self.row.active {
            return 0;
        }
        let cuts = self.row.cut.0.saturating_sub(self.row.stored);
        // While the log lacks what it had, that is under way as well.
        let deciding = u64::from(self.row.deciding || self.row.found.is_some());
        cuts + self.row.journal + deciding + self.row.intentions.len() as u64
    }

    /// Sets the clock after these messages, so that what is written from here on stands behind
    /// them, whichever segments are open by then. Gives whether it moved. What has no place yet is
    /// this device's own, and issued by this clock.
    pub(super) fn observe(&mut self, messages: &BTreeSet<OrderKey>) -> bool {
        let before = self.row.clock;
        for key in messages {
            if let Some((_, effective, Some(_))) = self.view.posted(key) {
                self.row.clock.observe(effective);
            }
        }
        self.row.clock != before
    }

    pub(super) fn on_disconnected(&mut self) {
        self.deliveries.clear();
        self.own_runs.clear();
        self.pushed = 0;
        self.deciding_sent = false;
        self.behind = None;
        self.rebuild = false;
        self.refused = None;
        self.problem = None;
        self.additions.on_disconnected();
        self.fetching = false;
        self.fetched = false;
        self.wanted = 0;
        self.doubt = None;
        self.aside.clear();
        self.hold_until = 0;
    }

    pub(super) fn read_core(&mut self, records: Records) {
        let prefix = key::space(&self.id).len();
        let mut core = Core::default();
        for (record, value) in records {
            // A record that does not read is as if it were lost: what it held is fetched again or
            // shown as missing, and the rest of the space goes on.
            core.read(record.get(prefix..).unwrap_or_default(), &value);
        }
        let unconfirmed = core.outbox.split_off(&self.row.stored.saturating_add(1));
        core.kept = std::mem::replace(&mut core.outbox, unconfirmed);
        self.core = Some(core);
    }

    pub(super) fn read_group(&mut self, records: Records) {
        let prefix = key::group(&self.id).len();
        self.group = Group::load(self.id, without_prefix(records, prefix)).ok();
    }

    /// Whether this device can read everything that was ever written here: it knows each epoch since
    /// the first, and the era that began with it. The rest of the space must be in memory.
    pub(super) fn reads_all(&self) -> bool {
        let Some(core) = &self.core else { return false };
        let known = core.epochs.values().map(|row| row.number).filter(|n| *n < self.row.number);
        let known: SortedSet<u64> = known.collect();
        self.row.whole_from == 0 && known.len() as u64 == self.row.number
    }

    /// Whether the relay has confirmed an own entry behind an entry that it did not deliver.
    pub(super) fn is_shown_less(&self) -> bool {
        let behind = self.own_runs.first().is_some_and(|(index, _)| *index > self.row.next);
        behind && self.row.active && self.deliveries.is_empty()
    }

    pub(super) fn role(&self, account: &AccountId) -> Option<sync_protocol::roster::Role> {
        self.row.context.roster.role(account)
    }

    pub(super) fn intends(&self, intention: &Intention) -> bool {
        self.row.intentions.contains(intention)
    }

    /// Takes note of a wish, once. To leave is always the last: once it stands in the log, the relay
    /// takes nothing more from this account, so whatever else is wished goes before it.
    pub(super) fn wish(&mut self, wish: Intention) {
        if self.intends(&wish) {
            return;
        }
        let wishes = &mut self.row.intentions;
        let leave = wishes.iter().position(|other| *other == Intention::Leave);
        wishes.insert(leave.unwrap_or(wishes.len()), wish);
    }
}

impl Core {
    fn read(&mut self, record: &[u8], value: &[u8]) -> Option<()> {
        let (part, rest) = record.split_first()?;
        let number = || Some(u64::from_be_bytes(rest.try_into().ok()?));
        match part {
            b'e' => {
                let row = codec::decode("epoch", value).ok()?;
                self.epochs.insert(EpochId::try_from(rest).ok()?, row);
            }
            b'w' => {
                let (device, incarnation) = rest.split_at_checked(DeviceId::LEN)?;
                let device = DeviceId::try_from(device).ok()?;
                let incarnation = u64::from_be_bytes(incarnation.try_into().ok()?);
                let tip: Tip = codec::decode("tip", value).ok()?;
                self.tips.advance(WriterId { device, incarnation }, tip);
            }
            b'p' => {
                let (device, incarnation) = rest.split_at_checked(DeviceId::LEN)?;
                let device = DeviceId::try_from(device).ok()?;
                let incarnation = u64::from_be_bytes(incarnation.try_into().ok()?);
                let posted = codec::decode("posted", value).ok()?;
                self.posted.insert(WriterId { device, incarnation }, posted);
            }
            b'd' => {
                self.doubted.insert(number()?, codec::decode("doubted", value).ok()?);
            }
            b'o' => {
                self.outbox.insert(number()?, codec::decode("cut", value).ok()?);
            }
            b'j' => {
                self.journal.insert(number()?, codec::decode("journal", value).ok()?);
            }
            b's' => self.state = codec::decode("state", value).ok()?,
            b'c' => self.pending = Some(codec::decode("pending", value).ok()?),
            b'h' => {
                self.handshakes.insert(number()?, codec::decode("pending", value).ok()?);
            }
            _ => {}
        }
        Some(())
    }

    /// The key of a writer's content in an epoch whose root is known.
    pub(super) fn content_key(&mut self, epoch: &EpochId, writer: &WriterId) -> Option<Secret> {
        if let Some(known) = self.keys.get(&(*epoch, *writer)) {
            return Some(known.clone());
        }
        let root = &self.epochs.get(epoch)?.root;
        let derived = super::seal::content_key(root, writer);
        if self.keys.len() >= 512 {
            self.keys.clear();
        }
        self.keys.insert((*epoch, *writer), derived.clone());
        Some(derived)
    }

    /// Whether, and with which key, a device may have written the entry at `index`.
    pub(super) fn writer_at(&self, device: &DeviceId, index: u64) -> Option<&WriterRow> {
        self.state.writers.iter().find(|row| {
            row.device == *device && row.from <= index && row.to.is_none_or(|to| index < to)
        })
    }

    /// This device came in at an index of the log: it writes from there on. What it wrote as the
    /// leaf that it replaces stays its own.
    pub(super) fn begin_to_write(&mut self, device: Option<DeviceId>, index: u64, replaces: bool) {
        let writers = &mut self.state.writers;
        let mut again = None;
        let is_own = |row: &&mut WriterRow| Some(row.device) == device && row.to.is_none();
        for row in writers.iter_mut().filter(is_own) {
            if replaces && row.from < index {
                row.to = Some(index);
                again = Some(WriterRow { from: index, to: None, ..row.clone() });
            } else {
                row.from = index;
            }
        }
        writers.extend(again);
    }

    /// From this index of the log on, some of those who can write can't any more.
    pub(super) fn end_writers(&mut self, index: u64, goes: impl Fn(&WriterRow) -> bool) {
        let open = self.state.writers.iter_mut().filter(|row| row.to.is_none() && goes(row));
        open.for_each(|row| row.to = Some(index));
    }

    /// The account of a device that is or was in the space.
    pub(super) fn account_of(&self, device: &DeviceId) -> Option<AccountId> {
        let row = self.state.writers.iter().find(|row| row.device == *device)?;
        Some(row.account)
    }
}

impl Engine {
    pub(super) fn space(&self, id: &SpaceId) -> Result<&SpaceState, Stop> {
        let space = self.spaces.get(id).map(Box::as_ref);
        space.ok_or(Stop::Fail(crate::Failure::NotFound("conversation")))
    }

    /// The space with its core in memory.
    pub(super) fn core_space(&mut self, id: &SpaceId) -> Step<&mut SpaceState> {
        let now = self.now;
        let space = self.spaces.get_mut(id).ok_or(crate::Failure::NotFound("conversation"))?;
        if space.core.is_none() {
            return Err(Load::Space(*id).into());
        }
        space.used = now;
        Ok(space)
    }

    /// The space with core and group in memory.
    pub(super) fn group_space(&mut self, id: &SpaceId) -> Step<&mut SpaceState> {
        let space = self.core_space(id)?;
        if space.group.is_none() {
            return Err(Load::Group(*id).into());
        }
        Ok(space)
    }

    pub(super) fn save_space(&mut self, id: &SpaceId) {
        self.unsaved.spaces.insert(*id);
    }

    pub(super) fn save_state(&mut self, id: &SpaceId) {
        self.unsaved.states.insert(*id);
    }

    /// Lets go of the longest unused spaces that have nothing under way.
    pub(super) fn evict_spaces(&mut self) {
        if self.spaces.len() <= RESIDENT || !self.next_batch.is_multiple_of(EVICT_EVERY) {
            return;
        }
        let idle: SortedSet<_> = self
            .spaces
            .iter()
            .filter(|(_, space)| space.core.is_some() && space.deliveries.is_empty())
            .filter(|(id, space)| !space.is_busy() && !self.documents.any_open(id))
            .map(|(id, space)| (space.used, *id))
            .collect();
        if idle.len() <= RESIDENT {
            return;
        }
        let surplus = idle.len() - RESIDENT;
        for (_, id) in idle.into_iter().take(surplus) {
            if let Some(space) = self.spaces.get_mut(&id) {
                space.core = None;
                space.group = None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use sync_protocol::roster::Roster;

    use super::*;
    use crate::engine::commits::fresh_row;
    use crate::group::Context;

    const INDEX: u64 = 9;

    fn account() -> AccountId {
        AccountId::of_root_key(&[1; 32])
    }

    fn device(n: u8) -> DeviceId {
        DeviceId::of_signing_key(&[n; 32])
    }

    fn space() -> SpaceState {
        let roster = Roster::founded_by(account());
        let context = Context { min_version: 1, title: String::new(), roster, era: 0 };
        SpaceState::new(SpaceId::from_bytes([5; 32]), fresh_row(false, context, EpochId::NONE))
    }

    #[test]
    fn to_leave_is_the_last_wish_whatever_is_wished_later() {
        let mut space = space();
        let evict = Intention::Evict { account: account(), device: device(2) };
        let renew = Intention::Renew(account());
        for wish in [renew.clone(), Intention::Leave, evict.clone(), Intention::Leave, evict] {
            space.wish(wish);
        }
        let evict = Intention::Evict { account: account(), device: device(2) };
        assert!(space.row.intentions == [renew, evict, Intention::Leave]);
    }

    fn core() -> Core {
        let row = |n| WriterRow {
            device: device(n),
            account: account(),
            key: [n; 32],
            from: 3,
            to: None,
        };
        let writers = vec![row(1), row(2)];
        Core { state: StateRow { writers, ..StateRow::default() }, ..Core::default() }
    }

    #[test]
    fn what_a_device_wrote_as_the_leaf_that_it_replaces_stays_its_own() {
        let mut core = core();
        core.begin_to_write(Some(device(1)), INDEX, true);
        for index in [3, INDEX - 1, INDEX, INDEX + 1] {
            assert!(core.writer_at(&device(1), index).is_some(), "{index}");
        }
        assert!(core.writer_at(&device(1), 2).is_none());
        let open = core.state.writers.iter().filter(|row| row.to.is_none());
        assert_eq!(open.map(|row| row.from).collect::<Vec<_>>(), [3, INDEX], "one leaf each");
    }

    #[test]
    fn a_device_that_was_not_in_before_writes_from_where_it_came_in() {
        let mut core = core();
        core.begin_to_write(Some(device(1)), INDEX, false);
        assert!(core.writer_at(&device(1), INDEX - 1).is_none());
        assert!(core.writer_at(&device(1), INDEX).is_some());
        assert!(core.writer_at(&device(2), INDEX - 1).is_some(), "others are where they were");
    }
}
