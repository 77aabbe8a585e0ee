//! Where the relay keeps what it must not forget: ordered tables of byte strings, changed in
//! transactions that are durable as a whole or not at all.
//!
//! Writes collect in memory and are visible to reads at once; [`Store::commit`] makes them durable.
//! One owner, one writer: there is nothing to lock.

mod checksum;
mod copy;
mod error;
mod memory;
mod pending;
pub(crate) mod private;
mod redb;
mod salvage;

pub use self::copy::{Checked, Copier, DamagedRow};
pub use self::error::{StoreError, row_name};
pub use self::memory::MemoryStore;
pub use self::redb::{Contents, FILE, RedbStore};

use self::pending::Pending;

/// The tables. The byte is part of the file format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Table {
    /// What the store is: format, identity, counters.
    Meta = 0,
    /// Space id to its small, often changed row.
    Spaces = 1,
    /// Space id to its members.
    Rosters = 2,
    /// (Space number, writer number) to the writer's tip.
    Tips = 3,
    /// (Space number, chunk) to the global positions of 64 consecutive entries.
    Index = 4,
    /// Global position to an entry.
    Entries = 5,
    /// Writer id to its number.
    Writers = 6,
    /// Writer number to its id.
    WriterIds = 7,
    /// Account id to its row.
    Accounts = 8,
    /// (Account id, index) to a device log entry.
    Logs = 9,
    /// (Account id, space id) to how the account is in the space.
    Memberships = 10,
    /// Address to account id.
    Addresses = 11,
    /// Device id to its inbox and key package counters.
    Devices = 12,
    /// (Device id, incarnation) to its fence.
    Fences = 13,
    /// (Device id, number) to an inbox item.
    Inboxes = 14,
    /// (Device id, number) to a key package.
    KeyPackages = 15,
    /// Space id to its newest ticket, and the index of the handshake it came with.
    Tickets = 16,
    /// (Space number, writer number, key) to the index of the newest register.
    Registers = 17,
    /// Device id to the cursor it acknowledged, and when it was here.
    Frontiers = 18,
    /// (Position of a command, number) to what it means for another partition, until that is applied.
    Outbox = 19,
    /// Space id to the account whose own space it is: nobody else may found it.
    Reservations = 20,
    /// (Space id, index of a handshake) to what all devices that it let in have alike.
    Welcomes = 21,
    /// The same to how many of these devices have not taken it yet.
    WelcomesLeft = 22,
    /// (Device id, account id) to what waits in the device's inbox from that account.
    InboxSenders = 23,
    /// (Account id, account id of another) to the spaces that the other put it into and that it has
    /// not written in.
    Unanswered = 24,
    /// (Account id, position, space id): where each of its spaces was active last.
    Active = 25,
    /// (Account id, space id) to that position.
    ActiveAt = 26,
    /// Space id: it was active since its members' rows of the two were written.
    Noted = 27,
    /// (Kind, id) of a space or an account to what its operator did to it: deleted it, say.
    Marks = 28,
    /// The same to what is still to be swept of it.
    Sweeps = 29,
    /// Hash of a token to how many accounts it lets in; behind a 0, hash of an invite's code to whom.
    Tokens = 30,
    /// (Account id, address) to whether it leads to the account.
    AddressesOf = 31,
    /// Node to which of its commands came.
    Proposers = 32,
    /// Account id to the digest of the spaces that it is in, while they are the same.
    Digests = 33,
}

impl Table {
    /// All tables, in order.
    pub const ALL: [Self; 34] = [
        Self::Meta,
        Self::Spaces,
        Self::Rosters,
        Self::Tips,
        Self::Index,
        Self::Entries,
        Self::Writers,
        Self::WriterIds,
        Self::Accounts,
        Self::Logs,
        Self::Memberships,
        Self::Addresses,
        Self::Devices,
        Self::Fences,
        Self::Inboxes,
        Self::KeyPackages,
        Self::Tickets,
        Self::Registers,
        Self::Frontiers,
        Self::Outbox,
        Self::Reservations,
        Self::Welcomes,
        Self::WelcomesLeft,
        Self::InboxSenders,
        Self::Unanswered,
        Self::Active,
        Self::ActiveAt,
        Self::Noted,
        Self::Marks,
        Self::Sweeps,
        Self::Tokens,
        Self::AddressesOf,
        Self::Proposers,
        Self::Digests,
    ];
}

impl Table {
    /// Whether its rows are this store's own, and follow from what was asked and when: what commands did
    /// lies in all others, equal wherever the same commands were applied.
    #[must_use]
    pub fn is_local(self) -> bool {
        matches!(
            self,
            Self::Frontiers | Self::Active | Self::ActiveAt | Self::Noted | Self::Digests
        )
    }

    /// Its name in the file.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Meta => "meta",
            Self::Spaces => "spaces",
            Self::Rosters => "rosters",
            Self::Tips => "tips",
            Self::Index => "index",
            Self::Entries => "entries",
            Self::Writers => "writers",
            Self::WriterIds => "writer ids",
            Self::Accounts => "accounts",
            Self::Logs => "logs",
            Self::Memberships => "memberships",
            Self::Addresses => "addresses",
            Self::Devices => "devices",
            Self::Fences => "fences",
            Self::Inboxes => "inboxes",
            Self::KeyPackages => "key packages",
            Self::Tickets => "tickets",
            Self::Registers => "registers",
            Self::Frontiers => "frontiers",
            Self::Outbox => "outbox",
            Self::Reservations => "reservations",
            Self::Welcomes => "welcomes",
            Self::WelcomesLeft => "welcomes left",
            Self::InboxSenders => "inbox senders",
            Self::Unanswered => "unanswered",
            Self::Active => "active",
            Self::ActiveAt => "active at",
            Self::Noted => "noted",
            Self::Marks => "marks",
            Self::Sweeps => "sweeps",
            Self::Tokens => "tokens",
            Self::AddressesOf => "addresses of accounts",
            Self::Proposers => "proposers",
            Self::Digests => "digests",
        }
    }
}

/// A key, and what lies under it.
pub type Row = (Vec<u8>, Vec<u8>);

/// Ordered tables with transactions. Keys of [`Table::Entries`] are exactly 8 bytes, big-endian.
pub trait Store {
    /// The row's value, uncommitted writes included.
    ///
    /// # Errors
    /// If the store can't be read; the caller stops serving.
    fn row(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// Writes a row.
    fn put(&mut self, table: Table, key: &[u8], value: Vec<u8>);

    /// Removes a row, if it is there.
    fn delete(&mut self, table: Table, key: &[u8]);

    /// Visits rows with `from <= key < to` in order, uncommitted writes included, until `visit`
    /// says `false`.
    ///
    /// # Errors
    /// As [`row`](Store::row).
    fn scan(
        &self,
        table: Table,
        from: &[u8],
        to: &[u8],
        visit: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), StoreError>;

    /// From here on, until [`keep`](Store::keep), writes can be taken back.
    fn mark(&mut self);

    /// Takes back what was written since the mark. It is gone from then on.
    fn undo(&mut self);

    /// What was written since the mark stays.
    fn keep(&mut self);

    /// Whether something was written since the last commit.
    fn is_dirty(&self) -> bool;

    /// Makes all writes durable, together. When this returns they survive any crash.
    ///
    /// # Errors
    /// Then nothing of the batch is durable, and its writes are dropped.
    fn commit(&mut self) -> Result<(), StoreError>;
}

/// Visits the union of committed rows and pending writes, in key order.
fn merged<'p, E>(
    mut committed: impl Iterator<Item = Result<(Vec<u8>, Vec<u8>), E>>,
    pending: impl Iterator<Item = (&'p [u8], Option<&'p [u8]>)>,
    visit: &mut dyn FnMut(&[u8], &[u8]) -> bool,
) -> Result<(), E> {
    let mut pending = pending.peekable();
    let mut next = committed.next().transpose()?;
    loop {
        let waiting = pending.peek().map(|(key, _)| *key);
        let take_pending = match (&next, waiting) {
            (None, None) => return Ok(()),
            (Some((key, _)), Some(waiting)) => waiting <= key.as_slice(),
            (None, Some(_)) => true,
            (Some(_), None) => false,
        };
        let go_on = if take_pending {
            let Some((key, value)) = pending.next() else { return Ok(()) };
            if next.as_ref().is_some_and(|(committed, _)| committed == key) {
                next = committed.next().transpose()?;
            }
            value.is_none_or(|value| visit(key, value))
        } else {
            let Some((key, value)) = next.take() else { return Ok(()) };
            next = committed.next().transpose()?;
            visit(&key, &value)
        };
        if !go_on {
            return Ok(());
        }
    }
}
