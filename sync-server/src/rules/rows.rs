//! The rows: what is in them, and the keys they lie under.

use minicbor::{Decode, Encode};

use sync_protocol::codec::{self, Blob};
use sync_protocol::frontier::Tip;
use sync_protocol::ids::{AccountId, SpaceId};
use sync_protocol::roster::Roster;

use crate::rules::command::{InboxFrom, Position};
use crate::rules::invites::Drawn;
use crate::store::StoreError;

/// What a store counts. Written with each commit that changes one of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Counters {
    /// The newest entry's global position.
    #[n(0)]
    pub(crate) position: u64,
    /// The newest space's number.
    #[n(1)]
    pub(crate) space: u32,
    /// The newest writer's number.
    #[n(2)]
    pub(crate) writer: u32,
}

/// A space's small row, written with every push.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct SpaceRow {
    #[n(0)]
    pub(crate) number: u32,
    #[n(1)]
    pub(crate) generation: u64,
    /// The lowest index still there.
    #[n(2)]
    pub(crate) floor: u64,
    /// The next entry's index.
    #[n(3)]
    pub(crate) head: u64,
    /// The newest entry's time: times never go back.
    #[n(4)]
    pub(crate) time_ms: u64,
    /// The index after the newest handshake.
    #[n(5)]
    pub(crate) handshakes: u64,
    /// The newest entry's global position.
    #[n(6)]
    pub(crate) position: u64,
}

/// A space's members, written with handshakes and intents only.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub(crate) struct RosterRow {
    #[n(0)]
    pub(crate) roster: Roster,
    /// Members that signed an intent to leave.
    #[n(1)]
    pub(crate) leavers: Vec<AccountId>,
    /// Members that have not written here yet, and who added them.
    #[n(2)]
    pub(crate) unanswered: Vec<(AccountId, AccountId)>,
}

/// Where a writer's chain stands, and where its last change set lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct TipRow {
    #[n(0)]
    pub(crate) tip: Tip,
    #[n(1)]
    pub(crate) index: u64,
    #[n(2)]
    pub(crate) time_ms: u64,
}

/// How an account is in a space.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Membership {
    /// Index of the first entry that is the account's to read.
    #[n(0)]
    pub from: u64,
    /// The index after the last one, once it was removed.
    #[n(1)]
    pub until: Option<u64>,
    /// Who added it, until it writes there.
    #[n(2)]
    pub by: Option<AccountId>,
    /// The index after the entry that says so: later ones stand.
    #[n(3)]
    pub index: u64,
    /// The index of what it wrote that answered whoever added it.
    #[n(4)]
    pub answered: u64,
}

/// What the relay counts of an account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub(crate) struct AccountRow {
    /// Entries of its device log.
    #[n(0)]
    pub(crate) log_len: u64,
    /// Spaces it is in.
    #[n(1)]
    pub(crate) spaces: u64,
    /// Addresses it claimed.
    #[n(2)]
    pub(crate) addresses: u64,
    /// What it had stored, in its own spaces and others'.
    #[n(3)]
    pub(crate) stored: StoredBytes,
    /// Spaces that others put it into and that it has not written in.
    #[n(4)]
    pub(crate) unanswered: u64,
    /// Invites that it drew.
    #[n(5)]
    pub(crate) drawn: Option<Drawn>,
}

/// What is known of an address of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct AddressRow {
    /// Whether it leads to the account.
    #[n(0)]
    pub(crate) leads: bool,
    /// The position of the command that says so.
    #[n(1)]
    pub(crate) at: Position,
}

/// Bytes that an account had stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct StoredBytes {
    /// Ever.
    #[n(0)]
    pub all: u64,
    /// The day of the newest, since 1970.
    #[n(1)]
    day: u64,
    /// On that day.
    #[n(2)]
    today: u64,
}

impl StoredBytes {
    /// So many more on a day.
    pub(crate) fn add(&mut self, day: u64, bytes: u64) {
        if is_another_day(self.day, day) {
            (self.day, self.today) = (day, 0);
        }
        self.all = self.all.saturating_add(bytes);
        self.today = self.today.saturating_add(bytes);
    }

    /// How many on a day.
    #[must_use]
    pub fn on(&self, day: u64) -> u64 {
        if is_another_day(self.day, day) { 0 } else { self.today }
    }
}

/// Whether a day is another than the newest one that something was counted on. A day that is just over does
/// not come back; but days of a clock that was further ahead never were, and keep nobody out until they are.
pub(crate) fn is_another_day(newest: u64, day: u64) -> bool {
    day > newest || newest > day.saturating_add(1)
}

/// What the relay counts of a device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub(crate) struct DeviceRow {
    /// The newest inbox item's number.
    #[n(0)]
    pub(crate) inbox_last: u64,
    /// Items up to here were acknowledged.
    #[n(1)]
    pub(crate) inbox_acked: u64,
    /// The next key package's number.
    #[n(2)]
    pub(crate) package_next: u64,
    /// Single-use key packages left.
    #[n(3)]
    pub(crate) packages: u64,
    /// Whether it was taken out of its account: it never comes back under its key.
    #[n(4)]
    pub(crate) has_ended: bool,
    /// Stores that it opened a session with.
    #[n(5)]
    pub(crate) stores: u64,
}

/// How far a device is, and when it was here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct FrontierRow {
    /// The global position up to which it acknowledged everything.
    #[n(0)]
    pub(crate) position: u64,
    /// Unix milliseconds.
    #[n(1)]
    pub(crate) seen_ms: u64,
}

/// A space's ticket.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct TicketRow {
    /// The index of the handshake it came with.
    #[n(0)]
    pub(crate) index: u64,
    #[n(1)]
    pub(crate) ticket: Blob,
}

/// What waits in an inbox from one account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub(crate) struct SenderRow {
    #[n(0)]
    pub(crate) items: u64,
    #[n(1)]
    pub(crate) bytes: u64,
}

/// An item in a device's inbox.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct InboxRow {
    #[n(0)]
    pub(crate) from: InboxFrom,
    #[n(1)]
    pub(crate) time_ms: u64,
    #[n(2)]
    pub(crate) item: Blob,
}

/// Encodes a row.
pub(crate) fn encode<T: Encode<()>>(row: &T) -> Vec<u8> {
    codec::encode(row)
}

/// Decodes a row that this relay wrote.
pub(crate) fn decode<'b, T: Decode<'b, ()>>(
    what: &'static str,
    bytes: &'b [u8],
) -> Result<T, StoreError> {
    codec::decode(what, bytes).map_err(|_| StoreError::row(what))
}

/// Two parts of a key.
pub(crate) fn key2(first: &[u8], second: &[u8]) -> Vec<u8> {
    [first, second].concat()
}

/// The key of a membership.
pub(crate) fn membership(account: &AccountId, space: &SpaceId) -> Vec<u8> {
    key2(account.as_bytes(), space.as_bytes())
}

/// The key of a row of a space that starts with its number.
pub(crate) fn numbered(space: u32, second: u32) -> [u8; 8] {
    ((u64::from(space) << 32) | u64::from(second)).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_that_is_over_does_not_come_back_and_one_that_never_was_is_no_day() {
        let mut stored = StoredBytes::default();
        stored.add(10, 7);
        stored.add(9, 5);
        assert_eq!([stored.on(9), stored.on(10), stored.on(11)], [12, 12, 0]);
        // A clock that was two years ahead.
        stored.add(740, 100);
        assert_eq!([stored.on(740), stored.on(739), stored.on(12)], [100, 100, 0]);
        stored.add(12, 3);
        assert_eq!([stored.on(12), stored.on(13)], [3, 0]);
        assert_eq!(stored.all, 115);
    }
}
