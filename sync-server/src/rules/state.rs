//! The state: typed rows over a store, with bounded caches of what is used now.

use std::collections::BTreeMap;
use std::sync::Arc;

use sync_protocol::device_log::DeviceLog;
use sync_protocol::ids::{AccountId, DeviceId, RelayId, SpaceId, WriterId};

use crate::relay::Identity;
use crate::rules::activity::Activity;
use crate::rules::cache::Cache;
use crate::rules::command::Command;
use crate::rules::log::Fresh;
use crate::rules::rows::{
    self, AccountRow, Counters, Membership, RosterRow, SpaceRow, TipRow, key2, numbered,
};
use crate::rules::space::Space;
use crate::store::{Store, StoreError, Table};

pub(super) const IDENTITY: &[u8] = b"identity";
pub(super) const COUNTERS: &[u8] = b"counters";
/// Written where a store was put back to an earlier moment.
pub(super) const PUT_BACK: &[u8] = b"put back";
const CACHED_SPACES: usize = 4_096;
const CACHED_TIPS: usize = 8_192;
const CACHED_WRITERS: usize = 8_192;
const CACHED_LOGS: usize = 4_096;

/// What a command changes in memory, as it was before.
#[derive(Debug)]
struct Before {
    counters: Counters,
    facts: u64,
    taken: u64,
    fresh: usize,
    spaces: Vec<(SpaceId, Option<Option<Space>>)>,
    tips: Vec<((u32, u32), Option<TipRow>)>,
}

/// The relay's state over a store.
#[derive(Debug)]
pub struct State<S> {
    store: S,
    identity: Identity,
    counters: Counters,
    written: Counters,
    /// Whether the store was put back to an earlier moment once: its logs may lack their ends.
    pub(super) was_put_back: bool,
    facts: u64,
    taken: u64,
    /// What changed since the last commit, and is written with the next. A space that is being
    /// changed has only its place here.
    changed: BTreeMap<SpaceId, Option<Space>>,
    changed_tips: BTreeMap<(u32, u32), TipRow>,
    /// While a command is applied.
    before: Option<Before>,
    pub(super) fresh: Fresh,
    pub(super) activity: Activity,
    spaces: Cache<SpaceId, Space>,
    tips: Cache<(u32, u32), TipRow>,
    pub(super) logs: Cache<AccountId, Arc<DeviceLog>>,
    numbers: Cache<WriterId, u32>,
    writers: Cache<u32, WriterId>,
}

impl<S: Store> State<S> {
    /// The state that a store holds, or a new one with this identity.
    ///
    /// # Errors
    /// If the store can't be read.
    pub fn open(mut store: S, identity: Identity) -> Result<Self, StoreError> {
        let identity = match store.row(Table::Meta, IDENTITY)? {
            Some(row) => {
                let (relay, generation) = rows::decode::<(RelayId, u64)>("identity", &row)?;
                Identity { relay, generation }
            }
            None => {
                let row = rows::encode(&(identity.relay, identity.generation));
                store.put(Table::Meta, IDENTITY, row);
                identity
            }
        };
        let counters = match store.row(Table::Meta, COUNTERS)? {
            Some(row) => rows::decode("counters", &row)?,
            None => Counters { position: 1, ..Counters::default() },
        };
        let was_put_back = store.row(Table::Meta, PUT_BACK)?.is_some();
        let mut facts = 0;
        let counted = store.scan(Table::Outbox, &[], &[0xff; 9], &mut |_, _| {
            facts += 1;
            true
        });
        match counted {
            Ok(()) => {}
            // As many as there can be: each is looked for.
            Err(error) if error.is_damage() => facts = counters.outbox,
            Err(error) => return Err(error),
        }
        let mut state = Self {
            store,
            identity,
            counters,
            written: counters,
            was_put_back,
            facts,
            taken: 0,
            changed: BTreeMap::new(),
            changed_tips: BTreeMap::new(),
            before: None,
            fresh: Fresh::default(),
            activity: Activity::default(),
            spaces: Cache::new(CACHED_SPACES),
            tips: Cache::new(CACHED_TIPS),
            logs: Cache::new(CACHED_LOGS),
            numbers: Cache::new(CACHED_WRITERS),
            writers: Cache::new(CACHED_WRITERS),
        };
        state.load_activity()?;
        Ok(state)
    }

    /// Who this relay is.
    #[must_use]
    pub fn identity(&self) -> Identity {
        self.identity
    }

    /// The global position of the newest entry; 0 if there is none.
    #[must_use]
    pub fn newest_position(&self) -> u64 {
        self.counters.position - 1
    }

    /// The store below.
    #[must_use]
    pub fn store(&self) -> &S {
        &self.store
    }

    /// The store below.
    pub fn store_mut(&mut self) -> &mut S {
        &mut self.store
    }

    /// Gives the store back.
    #[must_use]
    pub fn into_store(self) -> S {
        self.store
    }

    /// Makes everything since the last commit durable. Says whether there was anything.
    ///
    /// # Errors
    /// Then nothing of it is durable, and this state must not be used any more.
    pub fn commit(&mut self) -> Result<bool, StoreError> {
        self.write_changed();
        if self.counters != self.written {
            self.store.put(Table::Meta, COUNTERS, rows::encode(&self.counters));
            self.written = self.counters;
        }
        if !self.store.is_dirty() {
            return Ok(false);
        }
        let done = self.store.commit();
        if done.is_err() {
            self.forget();
        }
        done.map(|()| true)
    }

    /// Rows that a batch changed many times are written once.
    fn write_changed(&mut self) {
        for (id, space) in std::mem::take(&mut self.changed) {
            let Some(mut space) = space else { continue };
            self.put_tail(&space);
            self.store.put(Table::Spaces, id.as_bytes(), rows::encode(&space.row));
            space.is_changed = false;
            self.spaces.insert(id, space);
        }
        for ((space, writer), tip) in std::mem::take(&mut self.changed_tips) {
            self.store.put(Table::Tips, &numbered(space, writer), rows::encode(&tip));
            self.tips.insert((space, writer), tip);
        }
    }

    fn forget(&mut self) {
        self.changed.clear();
        self.changed_tips.clear();
        self.end_batch();
        self.spaces.clear();
        self.tips.clear();
        self.logs.clear();
        self.numbers.clear();
        self.writers.clear();
    }

    /// From here on a command is applied, which may come to nothing.
    pub(super) fn mark(&mut self) {
        self.store.mark();
        self.before = Some(Before {
            counters: self.counters,
            facts: self.facts,
            taken: self.taken,
            fresh: self.fresh.len(),
            spaces: Vec::new(),
            tips: Vec::new(),
        });
    }

    /// The command was applied.
    pub(super) fn keep(&mut self) {
        self.store.keep();
        self.before = None;
    }

    /// The command met a damaged row: all is as it was before.
    pub(super) fn undo(&mut self) {
        self.store.undo();
        let Some(before) = self.before.take() else { return };
        (self.counters, self.facts, self.taken) = (before.counters, before.facts, before.taken);
        self.fresh.truncate(before.fresh);
        for (id, space) in before.spaces.into_iter().rev() {
            self.spaces.take(&id);
            match space {
                Some(space) => self.changed.insert(id, space),
                None => self.changed.remove(&id),
            };
        }
        for (key, tip) in before.tips.into_iter().rev() {
            self.tips.take(&key);
            match tip {
                Some(tip) => self.changed_tips.insert(key, tip),
                None => self.changed_tips.remove(&key),
            };
        }
        self.logs.clear();
        self.numbers.clear();
        self.writers.clear();
    }

    /// A fact that can't be applied now waits where it is: for the next start.
    pub(super) fn pass_fact(&mut self) {
        let is_there = |n: &u64| {
            let row = self.store.row(Table::Outbox, &n.to_be_bytes());
            !matches!(row, Ok(None))
        };
        // One by one: its own row may be the damaged one.
        let oldest = (self.taken + 1..=self.counters.outbox).find(is_there);
        self.taken = oldest.unwrap_or(self.counters.outbox);
        self.facts = self.facts.saturating_sub(1);
    }

    /// A space's row and roster.
    ///
    /// # Errors
    /// If the store fails.
    pub fn space(&mut self, id: &SpaceId) -> Result<Option<&Space>, StoreError> {
        if self.changed.contains_key(id) {
            return Ok(self.changed.get(id).and_then(Option::as_ref));
        }
        if self.spaces.get(id).is_none() {
            let Some(space) = self.load_space(id)? else { return Ok(None) };
            self.spaces.insert(*id, space);
        }
        Ok(self.spaces.get(id))
    }

    /// Takes a space out, to be changed and kept again.
    pub(super) fn take_space(&mut self, id: &SpaceId) -> Result<Option<Space>, StoreError> {
        if let Some(before) = &mut self.before {
            before.spaces.push((*id, self.changed.get(id).cloned()));
        }
        if let Some(place) = self.changed.get_mut(id) {
            return Ok(place.take());
        }
        match self.spaces.take(id) {
            Some(space) => Ok(Some(space)),
            None => self.load_space(id),
        }
    }

    /// Keeps a space: its rows are written with the next commit, if it changed.
    pub(super) fn keep_space(&mut self, id: SpaceId, space: Space) {
        if space.is_changed {
            *self.changed.entry(id).or_default() = Some(space);
        } else {
            self.spaces.insert(id, space);
        }
    }

    fn load_space(&self, id: &SpaceId) -> Result<Option<Space>, StoreError> {
        let Some(row) = self.store.row(Table::Spaces, id.as_bytes())? else { return Ok(None) };
        let row: SpaceRow = rows::decode("space", &row)?;
        let roster = self.store.row(Table::Rosters, id.as_bytes())?;
        let roster = roster.ok_or_else(|| StoreError::row("roster"))?;
        let roster: RosterRow = rows::decode("roster", &roster)?;
        let tail = match row.head % u64::from(super::log::CHUNK) {
            0 => Vec::new(),
            _ => self.chunk(row.number, super::log::chunk_of(row.head))?,
        };
        Ok(Some(Space { row, members: Arc::new(roster), tail, is_changed: false }))
    }

    /// A space that ended is not kept.
    pub(super) fn forget_space(&mut self, id: &SpaceId) {
        self.changed.remove(id);
        self.spaces.take(id);
    }

    /// Tips of a space that ended are not kept.
    pub(super) fn forget_tips(&mut self) {
        self.tips.clear();
    }

    pub(super) fn chunk(&self, space: u32, chunk: u32) -> Result<Vec<u8>, StoreError> {
        let row = self.store.row(Table::Index, &numbered(space, chunk))?;
        row.ok_or_else(|| StoreError::row("index"))
    }

    pub(super) fn tip(&mut self, space: u32, writer: u32) -> Result<Option<TipRow>, StoreError> {
        if let Some(tip) = self.changed_tips.get(&(space, writer)) {
            return Ok(Some(*tip));
        }
        if let Some(tip) = self.tips.get(&(space, writer)) {
            return Ok(Some(*tip));
        }
        let row = self.store.row(Table::Tips, &numbered(space, writer))?;
        let tip = row.map(|row| rows::decode("tip", &row)).transpose()?;
        if let Some(tip) = tip {
            self.tips.insert((space, writer), tip);
        }
        Ok(tip)
    }

    pub(super) fn put_tip(&mut self, space: u32, writer: u32, tip: TipRow) {
        if let Some(before) = &mut self.before {
            let key = (space, writer);
            before.tips.push((key, self.changed_tips.get(&key).copied()));
        }
        self.changed_tips.insert((space, writer), tip);
    }

    pub(super) fn new_space_number(&mut self) -> u32 {
        self.counters.space += 1;
        self.counters.space
    }

    pub(super) fn new_position(&mut self) -> u64 {
        self.counters.position += 1;
        self.counters.position - 1
    }

    /// A writer's number, assigned if it has none.
    pub(super) fn number(&mut self, writer: &WriterId) -> Result<u32, StoreError> {
        if let Some(number) = self.known_number(writer)? {
            return Ok(number);
        }
        self.counters.writer += 1;
        let number = self.counters.writer;
        self.store.put(Table::Writers, &writer.to_bytes(), rows::encode(&number));
        self.store.put(Table::WriterIds, &number.to_be_bytes(), rows::encode(writer));
        self.numbers.insert(*writer, number);
        Ok(number)
    }

    /// A writer's number, if it ever pushed.
    pub(super) fn known_number(&mut self, writer: &WriterId) -> Result<Option<u32>, StoreError> {
        if let Some(number) = self.numbers.get(writer) {
            return Ok(Some(*number));
        }
        let row = self.store.row(Table::Writers, &writer.to_bytes())?;
        let number = row.map(|row| rows::decode("writer", &row)).transpose()?;
        if let Some(number) = number {
            self.numbers.insert(*writer, number);
        }
        Ok(number)
    }

    /// All writers of a device that ever pushed anywhere, sorted.
    pub(super) fn writers_of(&self, device: &DeviceId) -> Result<Vec<WriterId>, StoreError> {
        let to = key2(device.as_bytes(), &[0xff; 9]);
        let mut found = Vec::new();
        self.store.scan(Table::Writers, device.as_bytes(), &to, &mut |key, _| {
            let incarnation = key.get(DeviceId::LEN..).and_then(|rest| rest.try_into().ok());
            let incarnation = incarnation.map(u64::from_be_bytes);
            found.extend(incarnation.map(|incarnation| WriterId { device: *device, incarnation }));
            true
        })?;
        Ok(found)
    }

    /// The writer that has a number.
    ///
    /// # Errors
    /// If the store fails.
    pub fn writer(&mut self, number: u32) -> Result<WriterId, StoreError> {
        if let Some(writer) = self.writers.get(&number) {
            return Ok(*writer);
        }
        let row = self.store.row(Table::WriterIds, &number.to_be_bytes())?;
        let row = row.ok_or_else(|| StoreError::row("writer"))?;
        let writer = rows::decode("writer", &row)?;
        self.writers.insert(number, writer);
        Ok(writer)
    }

    /// An account's verified device log.
    ///
    /// # Errors
    /// If the store fails, or what it holds does not verify any more.
    pub fn log(&mut self, account: &AccountId) -> Result<Option<Arc<DeviceLog>>, StoreError> {
        if let Some(log) = self.logs.get(account) {
            return Ok(Some(Arc::clone(log)));
        }
        let to = key2(account.as_bytes(), &[0xff; 9]);
        let mut entries = Vec::new();
        self.store.scan(Table::Logs, account.as_bytes(), &to, &mut |_, entry| {
            entries.push(entry.to_vec());
            true
        })?;
        if entries.is_empty() {
            return Ok(None);
        }
        let log =
            DeviceLog::verify(account, &entries).map_err(|_| StoreError::row("device log"))?;
        let log = Arc::new(log);
        self.logs.insert(*account, Arc::clone(&log));
        Ok(Some(log))
    }

    /// What is counted of an account.
    pub(crate) fn account(&self, account: &AccountId) -> Result<AccountRow, StoreError> {
        let row = self.store.row(Table::Accounts, account.as_bytes())?;
        row.map_or(Ok(AccountRow::default()), |row| rows::decode("account", &row))
    }

    /// Number of spaces that an account is in: those that it wrote in or came into by itself, and those
    /// that others put it into and it never wrote in.
    ///
    /// # Errors
    /// If the store fails.
    pub fn spaces_of(&self, account: &AccountId) -> Result<(u64, u64), StoreError> {
        let row = self.account(account)?;
        Ok((row.spaces.saturating_sub(row.unanswered), row.unanswered))
    }

    /// Number of addresses that an account claimed.
    ///
    /// # Errors
    /// If the store fails.
    pub fn addresses_of(&self, account: &AccountId) -> Result<u64, StoreError> {
        self.account(account).map(|row| row.addresses)
    }

    /// How an account is in a space.
    ///
    /// # Errors
    /// If the store fails.
    pub fn membership(
        &self,
        account: &AccountId,
        space: &SpaceId,
    ) -> Result<Option<Membership>, StoreError> {
        let row = self.store.row(Table::Memberships, &rows::membership(account, space))?;
        row.map(|row| rows::decode("membership", &row)).transpose()
    }

    /// All spaces an account is or was in, sorted by id.
    ///
    /// # Errors
    /// If the store fails.
    pub fn memberships(
        &self,
        account: &AccountId,
    ) -> Result<Vec<(SpaceId, Membership)>, StoreError> {
        let from = key2(account.as_bytes(), &[]);
        let to = key2(account.as_bytes(), &[0xff; 33]);
        let mut found = Vec::new();
        let mut damaged = false;
        self.store.scan(Table::Memberships, &from, &to, &mut |key, row| {
            let space = key.get(AccountId::LEN..).and_then(|id| SpaceId::try_from(id).ok());
            match (space, rows::decode("membership", row)) {
                (Some(space), Ok(membership)) => found.push((space, membership)),
                _ => damaged = true,
            }
            !damaged
        })?;
        if damaged { Err(StoreError::row("membership")) } else { Ok(found) }
    }

    /// Leaves a fact for another partition.
    pub(super) fn put_fact(&mut self, command: &Command) {
        self.counters.outbox += 1;
        self.facts += 1;
        let key = self.counters.outbox.to_be_bytes();
        self.store.put(Table::Outbox, &key, rows::encode(command));
    }

    pub(super) fn take_fact(&mut self) -> Result<Option<Command>, StoreError> {
        if self.facts == 0 {
            return Ok(None);
        }
        let mut oldest = None;
        let from = (self.taken + 1).to_be_bytes();
        self.store.scan(Table::Outbox, &from, &[0xff; 9], &mut |key, row| {
            oldest = Some((key.to_vec(), row.to_vec()));
            false
        })?;
        let Some((key, row)) = oldest else {
            self.facts = 0;
            return Ok(None);
        };
        let command = rows::decode("outbox", &row)?;
        self.taken = key.as_slice().try_into().map_or(0, u64::from_be_bytes);
        self.store.delete(Table::Outbox, &key);
        self.facts -= 1;
        Ok(Some(command))
    }
}
