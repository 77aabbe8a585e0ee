//! One space in memory: its index row always, the rest when it is needed.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use sync_protocol::frames::Run;
use sync_protocol::frontier::{Frontier, Tip};
use sync_protocol::sorted::{SortedMap, SortedSet};
use sync_protocol::{AccountId, DeviceId, EpochId, Rejection, SpaceId, WriterId, codec};

use crate::document::OrderKey;
use crate::document::messages::MessageView;
use crate::document::receipts::{Mark, ReceiptsView};
use crate::engine::documents::carrying::Handover;
use crate::engine::documents::receipts::Receipting;
use crate::engine::documents::unread::Unread;
use crate::engine::entering::footing::Footing;
use crate::engine::members::additions::Additions;
use crate::engine::rows::{
    CutRow, EpochRow, Intention, JournalRow, PendingRow, SpaceRow, StateRow, WriterRow,
};
use crate::engine::seal::Secret;
use crate::engine::space::another::Another;
use crate::engine::space::deliveries::Delivered;
use crate::engine::space::doubted::DoubtedRow;
use crate::engine::space::fetch::Fetch;
use crate::engine::space::unfollowed::Sought;
use crate::group::Group;
use crate::records::{Records, key, without_prefix};
use crate::trust::Invalid;
use crate::trust::posting::Posted;

/// What holds of a space for one session with the relay alone: another session begins without it.
#[derive(Default)]
pub(in crate::engine) struct InSession {
    /// Deliveries not yet taken in.
    pub(in crate::engine) deliveries: VecDeque<Delivered>,
    /// Own entries stored beyond `next`, by index.
    pub(in crate::engine) own_runs: SortedMap<u64, Run>,
    /// The highest number pushed in this session.
    pub(in crate::engine) pushed: u64,
    /// A handshake or intent was pushed in this session and not answered.
    pub(in crate::engine) deciding_sent: bool,
    /// Nothing is pushed before the log was read up to here.
    pub(in crate::engine) behind: Option<u64>,
    /// Why the relay refused what was written here.
    pub(in crate::engine) problem: Option<Rejection>,
    pub(in crate::engine) fetch: Fetch,
    /// The last entry that made no sense: whether the relay insists on it.
    pub(in crate::engine) doubt: Option<(u64, Vec<u8>)>,
    /// Devices whose entries are passed over in this session where they make no sense, and whether
    /// the relay was asked again since.
    pub(in crate::engine) aside: SortedMap<DeviceId, bool>,
    /// The relay asked for a pause until then.
    pub(in crate::engine) hold_until: u64,
    /// The relay refused a commit of ours that the log does not have: it is to be built anew.
    pub(in crate::engine) rebuild: bool,
    /// Why, if not all whom it adds can be added.
    pub(in crate::engine) refused: Option<Rejection>,
    /// Documents were closed, to see which of what is yet to be cut the log has already.
    pub(in crate::engine) reopens: bool,
    /// An own commit that the relay was asked for.
    pub(in crate::engine) sought: Option<Sought>,
    /// What the app was told is not believed, and when: the same once a second is enough, however often
    /// it comes.
    told: Vec<(String, u64)>,
}

impl InSession {
    /// Whether the app was not told this just now.
    pub(in crate::engine) fn is_news(&mut self, why: &Invalid, now: u64) -> bool {
        /// What is remembered: who says ever other things is told again.
        const TOLD: usize = 32;
        const AGAIN_MS: u64 = 1_000;
        self.told.retain(|(_, at)| now.saturating_sub(*at) < AGAIN_MS);
        let why = why.to_string();
        let is_news = self.told.iter().all(|(told, _)| *told != why);
        if is_news {
            self.told.truncate(TOLD - 1);
            self.told.push((why, now));
        }
        is_news
    }
}

/// One space.
pub(in crate::engine) struct SpaceState {
    pub(in crate::engine) id: SpaceId,
    pub(in crate::engine) row: SpaceRow,
    pub(in crate::engine) core: Option<Core>,
    pub(in crate::engine) group: Option<Group>,
    pub(in crate::engine) view: MessageView,
    pub(in crate::engine) receipts: SortedMap<u32, ReceiptsView>,
    /// What holds for one session with the relay alone.
    pub(in crate::engine) in_session: InSession,
    /// The index of the last entry that each device wrote, of those read since the account was
    /// opened.
    pub(in crate::engine) wrote_at: SortedMap<DeviceId, u64>,
    /// Somebody wrote as if an own commit were not in the log, and it was not looked for yet.
    pub(in crate::engine) elsewhere: bool,
    /// What is known of those who are to be added.
    pub(in crate::engine) additions: Additions,
    /// How far each writer was read before the log was read anew: what was told does not go back.
    pub(in crate::engine) reached: Frontier,
    /// Recent running hashes of the log, by the index after the entry.
    pub(in crate::engine) recent: SortedMap<u64, [u8; 32]>,
    pub(in crate::engine) receipting: Receipting,
    pub(in crate::engine) retry_at: Option<u64>,
    /// When what lies before an own entry that is stored must have come.
    pub(in crate::engine) shown_less_at: Option<u64>,
    pub(in crate::engine) unread: Unread,
    pub(in crate::engine) footing: Footing,
    /// How often new keys were committed for those who may have no good ticket.
    pub(in crate::engine) renewals: u32,
    pub(in crate::engine) another: Another,
    /// An invitation was answered by writing here.
    pub(in crate::engine) answered: bool,
    /// How much the app knows that can't be read.
    pub(in crate::engine) told_lost: u64,
    /// Epochs found in the vault for which the log was read from its start once more.
    pub(in crate::engine) sought: SortedSet<EpochId>,
    /// Edits applied since the last cut, in bytes.
    pub(in crate::engine) uncut_bytes: usize,
    pub(in crate::engine) handover: Handover,
    pub(in crate::engine) used: u64,
}

/// What is read from the store as one.
#[derive(Default)]
pub(in crate::engine) struct Core {
    pub(in crate::engine) state: StateRow,
    pub(in crate::engine) epochs: SortedMap<EpochId, EpochRow>,
    pub(in crate::engine) tips: Frontier,
    /// Content that was passed over, by its index.
    pub(in crate::engine) doubted: SortedMap<u64, DoubtedRow>,
    /// How far each writer has posted messages.
    pub(in crate::engine) posted: SortedMap<WriterId, Posted>,
    pub(in crate::engine) outbox: SortedMap<u64, CutRow>,
    /// The newest cuts that the relay confirmed, under the same keys: to be sent again, should it
    /// have lost them.
    pub(in crate::engine) kept: SortedMap<u64, CutRow>,
    pub(in crate::engine) journal: SortedMap<u64, JournalRow>,
    pub(in crate::engine) pending: Option<PendingRow>,
    /// The newest own handshakes that the log decided, by the numbers of their epochs.
    pub(in crate::engine) handshakes: SortedMap<u64, PendingRow>,
    keys: BTreeMap<(EpochId, WriterId), Secret>,
}

impl Core {
    /// Whether this device waits for the handshake that lets it in, and that is no entrance of its own:
    /// a log that was read to its end should have shown it.
    pub(in crate::engine) fn was_not_let_in(&self) -> bool {
        let enters = self.pending.is_some() || self.state.write_at.is_some();
        self.state.joining.is_some() && !enters
    }

    /// How far a writer was read: from its own word, and not by who let this device in.
    pub(in crate::engine) fn tip_proven(&self, writer: &WriterId) -> Tip {
        if self.state.told.contains(writer) { Tip::START } else { self.tips.tip(writer) }
    }
}

impl SpaceState {
    pub(in crate::engine) fn new(id: SpaceId, row: SpaceRow) -> Self {
        Self {
            id,
            row,
            core: None,
            group: None,
            view: MessageView::default(),
            receipts: SortedMap::new(),
            in_session: InSession::default(),
            elsewhere: false,
            wrote_at: SortedMap::new(),
            additions: Additions::default(),
            reached: Frontier::default(),
            recent: SortedMap::new(),
            receipting: Receipting::default(),
            retry_at: None,
            shown_less_at: None,
            unread: Unread::default(),
            footing: Footing::default(),
            renewals: 0,
            another: Another::default(),
            answered: false,
            told_lost: 0,
            sought: SortedSet::new(),
            uncut_bytes: 0,
            handover: Handover::default(),
            used: 0,
        }
    }

    /// The epoch that counts at the place that is read next.
    pub(in crate::engine) fn epoch_here(&self) -> EpochId {
        self.row.found.map_or(self.row.epoch, |found| found.epoch)
    }

    /// Whether this device has been, by its own reading, in a later epoch than one of this number.
    pub(in crate::engine) fn was_past(&self, number: u64) -> bool {
        let row = self.core.as_ref().and_then(|core| core.epochs.get(&self.row.epoch));
        row.is_some_and(|row| number < row.number)
    }

    /// Whether the log does not have yet what the space begins with.
    pub(in crate::engine) fn is_founding(&self) -> bool {
        let pending = self.core.as_ref().and_then(|core| core.pending.as_ref());
        pending.is_some_and(|pending| !pending.enters && pending.child == Some(self.row.epoch))
    }

    /// The number of the change set by which all that was written here has left.
    pub(in crate::engine) fn last_cut(&self) -> u64 {
        self.row.cut.0 + u64::from(self.row.journal > 0)
    }

    /// Something stands in the log in a message segment, at this place.
    pub(in crate::engine) fn note_top(&mut self, segment: u32, mark: Mark) {
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
    pub(in crate::engine) fn recency_ms(&self) -> u64 {
        let claimed = self.row.last.as_ref().filter(|_| self.unsent()).map_or(0, |last| last.at_ms);
        self.row.activity_ms.max(claimed)
    }

    /// Whether something written here is not yet durable at the relay.
    pub(in crate::engine) fn is_busy(&self) -> bool {
        self.row.active && self.waiting() > 0
    }

    /// Whether edits wait here, of a member or of one who may come back.
    pub(in crate::engine) fn unsent(&self) -> bool {
        self.row.cut.0 > self.row.stored || self.row.journal > 0
    }

    /// How many changes the relay has not confirmed.
    pub(in crate::engine) fn waiting(&self) -> u64 {
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
    pub(in crate::engine) fn observe(&mut self, messages: &BTreeSet<OrderKey>) -> bool {
        let before = self.row.clock;
        for key in messages {
            if let Some((_, effective, Some(_))) = self.view.posted(key) {
                self.row.clock.observe(effective);
            }
        }
        self.row.clock != before
    }

    pub(in crate::engine) fn on_disconnected(&mut self) {
        self.in_session = InSession::default();
        self.additions.on_disconnected();
    }

    pub(in crate::engine) fn read_core(&mut self, records: Records) {
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

    pub(in crate::engine) fn read_group(&mut self, records: Records) {
        let prefix = key::group(&self.id).len();
        self.group = Group::load(self.id, without_prefix(records, prefix)).ok();
    }

    /// Whether this device can read everything that was ever written here: it knows each epoch since
    /// the first, and the era that began with it. The rest of the space must be in memory.
    pub(in crate::engine) fn reads_all(&self) -> bool {
        let Some(core) = &self.core else { return false };
        let known = core.epochs.values().map(|row| row.number).filter(|n| *n < self.row.number);
        let known: SortedSet<u64> = known.collect();
        self.row.whole_from == 0 && known.len() as u64 == self.row.number
    }

    /// Whether the relay has confirmed an own entry behind an entry that it did not deliver.
    pub(in crate::engine) fn is_shown_less(&self) -> bool {
        let behind =
            self.in_session.own_runs.first().is_some_and(|(index, _)| *index > self.row.next);
        behind && self.row.active && self.in_session.deliveries.is_empty()
    }

    pub(in crate::engine) fn role(
        &self,
        account: &AccountId,
    ) -> Option<sync_protocol::roster::Role> {
        self.row.context.roster.role(account)
    }

    pub(in crate::engine) fn intends(&self, intention: &Intention) -> bool {
        self.row.intentions.contains(intention)
    }

    /// Takes note of a wish, once. To leave is always the last: once it stands in the log, the relay
    /// takes nothing more from this account, so whatever else is wished goes before it.
    pub(in crate::engine) fn wish(&mut self, wish: Intention) {
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
    pub(in crate::engine) fn content_key(
        &mut self,
        epoch: &EpochId,
        writer: &WriterId,
    ) -> Option<Secret> {
        if let Some(known) = self.keys.get(&(*epoch, *writer)) {
            return Some(known.clone());
        }
        let root = &self.epochs.get(epoch)?.root;
        let derived = crate::engine::seal::content_key(root, writer);
        if self.keys.len() >= 512 {
            self.keys.clear();
        }
        self.keys.insert((*epoch, *writer), derived.clone());
        Some(derived)
    }

    /// Whether, and with which key, a device may have written the entry at `index`.
    pub(in crate::engine) fn writer_at(&self, device: &DeviceId, index: u64) -> Option<&WriterRow> {
        self.state.writers.iter().find(|row| {
            row.device == *device && row.from <= index && row.to.is_none_or(|to| index < to)
        })
    }

    /// This device came in at an index of the log: it writes from there on. What it wrote as the
    /// leaf that it replaces stays its own.
    pub(in crate::engine) fn begin_to_write(
        &mut self,
        device: Option<DeviceId>,
        index: u64,
        replaces: bool,
    ) {
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
    pub(in crate::engine) fn end_writers(&mut self, index: u64, goes: impl Fn(&WriterRow) -> bool) {
        let open = self.state.writers.iter_mut().filter(|row| row.to.is_none() && goes(row));
        open.for_each(|row| row.to = Some(index));
    }

    /// The account of a device that is or was in the space.
    pub(in crate::engine) fn account_of(&self, device: &DeviceId) -> Option<AccountId> {
        let row = self.state.writers.iter().find(|row| row.device == *device)?;
        Some(row.account)
    }
}

#[cfg(test)]
mod tests {
    use sync_protocol::roster::Roster;

    use super::*;
    use crate::engine::members::commits::fresh_row;
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
