//! The state: typed rows over a store. Each machine in it keeps what it uses of them in memory, within
//! bounds, and knows how to take back what a command did that came to nothing.

use std::sync::Arc;

use sync_protocol::device_log::DeviceLog;
use sync_protocol::ids::{AccountId, RelayId, SpaceId, WriterId};

use crate::log::LogId;
use crate::relay::Identity;
use crate::rules::activity::{self, Activity};
use crate::rules::command::{Action, CommandId, FactId, Position};
use crate::rules::device_logs::DeviceLogs;
use crate::rules::log::Fresh;
use crate::rules::outbox::{self, Fact, Outbox};
use crate::rules::proposers::Proposers;
use crate::rules::rows::{self, AccountRow, Counters, Membership, TipRow, key2};
use crate::rules::space::Space;
use crate::rules::spaces::Spaces;
use crate::rules::version::{self, Allowed};
use crate::rules::writers::Writers;
use crate::store::{Store, StoreError, Table};

pub(super) const IDENTITY: &[u8] = b"identity";
pub(super) const COUNTERS: &[u8] = b"counters";
/// The position up to which commands were applied, written with what they did.
const APPLIED: &[u8] = b"applied";
/// The version of the rules that are in force.
const RULES: &[u8] = b"rules";
/// The name of the log that goes on behind what was applied.
pub(super) const LOG: &[u8] = b"log";
/// Written where a store was put back to an earlier moment.
pub(super) const PUT_BACK: &[u8] = b"put back";

/// The relay's state over a store.
#[derive(Debug)]
pub struct State<S> {
    store: S,
    /// Who the relay is, once it is founded.
    identity: Option<Identity>,
    /// The version of the rules that are in force.
    rules: u32,
    /// The newest command that was applied.
    applied: Position,
    /// The counters and that position as they are written down.
    written: (Counters, Position),
    /// Whether the store was put back to an earlier moment once: its logs may lack their ends.
    pub(super) was_put_back: bool,
    spaces: Spaces,
    writers: Writers,
    logs: DeviceLogs,
    outbox: Outbox,
    proposers: Proposers,
    fresh: Fresh,
    pub(super) activity: Activity,
}

impl<S: Store> State<S> {
    /// The state that a store holds.
    ///
    /// # Errors
    /// If the store can't be read.
    pub fn open(store: S) -> Result<Self, StoreError> {
        let meta = |key| store.row(Table::Meta, key);
        let identity = match meta(IDENTITY)? {
            Some(row) => {
                let (relay, generation) = rows::decode::<(RelayId, u64)>("identity", &row)?;
                Some(Identity { relay, generation })
            }
            None => None,
        };
        let rules = meta(RULES)?.map(|row| rows::decode("rules", &row)).transpose()?;
        let counters = meta(COUNTERS)?.map(|row| rows::decode("counters", &row)).transpose()?;
        let counters: Counters = counters.unwrap_or_default();
        let applied = applied(&store)?;
        let mut state = Self {
            was_put_back: meta(PUT_BACK)?.is_some(),
            rules: rules.unwrap_or_default(),
            spaces: Spaces::new(counters.space),
            writers: Writers::new(counters.writer),
            logs: DeviceLogs::new(),
            outbox: Outbox::default(),
            proposers: Proposers::open(&store)?,
            fresh: Fresh::new(counters.position),
            activity: Activity::default(),
            identity,
            applied,
            written: (counters, applied),
            store,
        };
        activity::load(&mut state)?;
        Ok(state)
    }

    /// The same, founded as this relay if it was nobody's yet.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn founded(store: S, identity: Identity) -> Result<Self, StoreError> {
        let mut state = Self::open(store)?;
        state.found(identity, version::NEWEST);
        Ok(state)
    }

    /// Who this relay is.
    #[must_use]
    pub fn identity(&self) -> Identity {
        let nobody = Identity { relay: RelayId::from_bytes([0; RelayId::LEN]), generation: 0 };
        self.identity.unwrap_or(nobody)
    }

    /// Whether the relay was founded: before that it serves nobody.
    #[must_use]
    pub fn is_founded(&self) -> bool {
        self.identity.is_some()
    }

    /// The relay is founded, by whoever was first.
    pub(super) fn found(&mut self, identity: Identity, rules: u32) {
        if self.identity.is_none() {
            let row = rows::encode(&(identity.relay, identity.generation));
            self.store.put(Table::Meta, IDENTITY, row);
            self.identity = Some(identity);
            self.activate(rules);
        }
    }

    /// The version of the rules that are in force.
    #[must_use]
    pub fn rules(&self) -> u32 {
        self.rules
    }

    /// What they allow.
    pub(super) fn allowed(&self) -> Allowed {
        version::allowed(self.rules)
    }

    /// Other rules are in force from here on.
    pub(super) fn activate(&mut self, rules: u32) {
        self.rules = rules;
        self.store.put(Table::Meta, RULES, rows::encode(&rules));
    }

    /// The newest command that was applied.
    #[must_use]
    pub fn applied(&self) -> Position {
        self.applied
    }

    /// A command of the log is applied from here on.
    pub(super) fn begin(&mut self, position: Position) {
        self.applied = position;
        self.outbox.begin(position);
        self.fresh.begin(position);
    }

    /// Whether a command is new: what comes again does nothing.
    pub(super) fn is_new(&mut self, id: &CommandId) -> bool {
        self.proposers.take(id)
    }

    /// The newest life of a node that anything was heard of.
    #[must_use]
    pub fn life(&self, node: u64) -> u64 {
        self.proposers.life(node)
    }

    /// The global position of the newest entry; 0 if there is none.
    #[must_use]
    pub fn newest_position(&self) -> u64 {
        self.fresh.newest()
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
        self.settle();
        self.proposers.write(&mut self.store);
        let (space, writer) = (self.spaces.newest(), self.writers.newest());
        let counters = Counters { position: self.fresh.newest(), space, writer };
        if (counters, self.applied) != self.written {
            self.store.put(Table::Meta, COUNTERS, rows::encode(&counters));
            put_applied(&mut self.store, self.applied);
            self.written = (counters, self.applied);
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

    /// A batch is over: rows that it changed many times are written once, into what waits for the
    /// commit.
    pub(crate) fn settle(&mut self) {
        self.spaces.write(&mut self.store);
    }

    /// Lets go of what was handed on.
    pub(crate) fn end_batch(&mut self) {
        self.fresh.clear();
    }

    fn forget(&mut self) {
        self.end_batch();
        self.spaces.forget();
        self.logs.forget();
        self.writers.forget();
    }

    /// From here on a command is applied, which may come to nothing.
    pub(super) fn mark(&mut self) {
        self.store.mark();
        self.spaces.mark();
        self.writers.mark();
        self.outbox.mark();
        self.fresh.mark();
    }

    /// The command was applied.
    pub(super) fn keep(&mut self) {
        self.store.keep();
        self.spaces.keep_all();
        self.writers.keep_all();
        self.outbox.keep_all();
        self.fresh.keep_all();
    }

    /// The command met a damaged row: all is as it was before.
    pub(super) fn undo(&mut self) {
        self.store.undo();
        self.spaces.undo();
        self.writers.undo();
        self.outbox.undo();
        self.fresh.undo();
        self.logs.forget();
    }

    /// A space's row and roster.
    ///
    /// # Errors
    /// If the store fails.
    pub fn space(&mut self, id: &SpaceId) -> Result<Option<&Space>, StoreError> {
        self.spaces.get(&self.store, id)
    }

    /// Takes a space out, to be changed and kept again.
    pub(super) fn take_space(&mut self, id: &SpaceId) -> Result<Option<Space>, StoreError> {
        self.spaces.take(&self.store, id)
    }

    /// The spaces, to be changed.
    pub(super) fn spaces_mut(&mut self) -> &mut Spaces {
        &mut self.spaces
    }

    /// Where a writer's chain stands in a space.
    pub(super) fn tip(&mut self, space: u32, writer: u32) -> Result<Option<TipRow>, StoreError> {
        self.spaces.tip(&self.store, (space, writer))
    }

    /// Entries of this batch.
    pub(super) fn fresh(&self) -> &Fresh {
        &self.fresh
    }

    /// Entries of this batch, to be added to.
    pub(super) fn fresh_mut(&mut self) -> &mut Fresh {
        &mut self.fresh
    }

    /// A writer's number, assigned if it has none.
    pub(super) fn number(&mut self, writer: &WriterId) -> Result<u32, StoreError> {
        self.writers.number(&mut self.store, writer)
    }

    /// A writer's number, if it ever pushed.
    pub(super) fn known_number(&mut self, writer: &WriterId) -> Result<Option<u32>, StoreError> {
        self.writers.known(&self.store, writer)
    }

    /// The writer that has a number.
    ///
    /// # Errors
    /// If the store fails.
    pub fn writer(&mut self, number: u32) -> Result<WriterId, StoreError> {
        self.writers.id(&self.store, number)
    }

    /// An account's verified device log.
    ///
    /// # Errors
    /// If the store fails, or what it holds does not verify any more.
    pub fn log(&mut self, account: &AccountId) -> Result<Option<Arc<DeviceLog>>, StoreError> {
        self.logs.get(&self.store, account)
    }

    /// The device logs in memory: which grew by entries whose rows are written, and how many entries were
    /// verified.
    pub(crate) fn logs_mut(&mut self) -> &mut DeviceLogs {
        &mut self.logs
    }

    /// Leaves a fact for another partition.
    pub(super) fn put_fact(&mut self, time_ms: u64, action: Action) {
        self.outbox.put(&mut self.store, Fact { time_ms, action });
    }

    /// Gives the facts that came up since the last time, to be proposed.
    pub fn take_facts(&mut self) -> Vec<(FactId, Fact)> {
        self.outbox.take_new()
    }

    /// Finds the names of all facts that wait, up to the first that can't be read.
    ///
    /// # Errors
    /// If the store fails, or such a one is met.
    pub fn waiting_facts(&self, found: &mut Vec<FactId>) -> Result<(), StoreError> {
        outbox::waiting(&self.store, found)
    }

    /// A fact that waits still.
    ///
    /// # Errors
    /// If the store fails.
    pub fn fact(&self, id: &FactId) -> Result<Option<Fact>, StoreError> {
        outbox::get(&self.store, id)
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
}

/// The newest command that a store has applied.
///
/// # Errors
/// If the store can't be read.
pub(crate) fn applied<S: Store>(store: &S) -> Result<Position, StoreError> {
    let row = store.row(Table::Meta, APPLIED)?;
    row.map_or(Ok(Position::default()), |row| rows::decode("applied", &row))
}

/// Writes down that a store has applied all commands up to a position.
pub(super) fn put_applied<S: Store>(store: &mut S, position: Position) {
    store.put(Table::Meta, APPLIED, rows::encode(&position));
}

/// The log that goes on behind what a store has applied, if it knows one.
///
/// # Errors
/// If the store can't be read.
pub(crate) fn log_of<S: Store>(store: &S) -> Result<Option<LogId>, StoreError> {
    let row = store.row(Table::Meta, LOG)?;
    row.map(|row| row.as_slice().try_into().map_err(|_| StoreError::row("log"))).transpose()
}

/// From here on a store is nothing without its log.
///
/// # Errors
/// If that can't be written.
pub(crate) fn note_log<S: Store>(store: &mut S, id: &LogId) -> Result<(), StoreError> {
    store.put(Table::Meta, LOG, id.to_vec());
    store.commit()
}
