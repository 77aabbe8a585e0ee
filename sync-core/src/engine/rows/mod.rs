//! What the engine keeps in its store, record by record.

mod account;
mod members;
mod sealed;
mod space;

use std::cmp::Ordering;

use crate::engine::OpenError;

pub(in crate::engine) use account::{
    AccountRow, GuestRow, LinkRow, Named, PersonRow, SessionRow, SignedRow,
};
pub(in crate::engine) use members::{
    EpochRow, Intention, InvitedRow, NOT_SHOWN, PendingRow, StateRow, UnfollowedRow, WishRow,
    WriterRow,
};
pub(in crate::engine) use sealed::{
    Anchor, Grant, Hint, SealedCommit, Ticket, TicketBody, VaultEpoch,
};
pub(in crate::engine) use space::{
    Begun, CutRow, FoundRow, Introduced, JournalRow, LastRow, LostRow, Reach, SpaceRow, VouchedRow,
};

/// The store format that this build writes, and the only one it reads. 1 had MLS records as JSON, 2
/// one certificate under way at most, 3 epochs whose group nobody could check, another running hash of
/// logs, and device logs whose first device had not signed for them, 4 a group's configuration as JSON.
pub(in crate::engine) const FORMAT: u32 = 5;

/// Refuses a row of another format, before anything of its store is used.
pub(in crate::engine) fn check_format(found: u32) -> Result<(), OpenError> {
    match found.cmp(&FORMAT) {
        Ordering::Less => Err(OpenError::Damaged("store of an earlier build")),
        Ordering::Equal => Ok(()),
        Ordering::Greater => Err(OpenError::Newer { found, known: FORMAT }),
    }
}

#[cfg(test)]
mod tests {
    use sync_protocol::{AccountId, codec};

    use super::*;
    use crate::engine::Engine;
    use crate::records::{Records, key};

    fn device(format: u32) -> Vec<u8> {
        let row = AccountRow::new(AccountId::of_root_key(&[1; 32]), [2; 32], [3; 32]);
        codec::encode(&AccountRow { format, complete: true, ..row })
    }

    fn guest(format: u32) -> Vec<u8> {
        codec::encode(&GuestRow {
            format,
            signing: [2; 32],
            hpke: [3; 32],
            account: AccountId::of_root_key(&[1; 32]),
            head: sync_protocol::ids::LogHead::from_bytes([4; 32]),
            index: 1,
            name: String::new(),
            rendezvous: sync_protocol::ids::RendezvousId::from_bytes([6; 16]),
        })
    }

    #[test]
    fn a_store_of_another_format_is_refused() {
        let earlier = OpenError::Damaged("store of an earlier build");
        let newer = OpenError::Newer { found: FORMAT + 1, known: FORMAT };
        for (format, refusal) in [(1, earlier), (FORMAT + 1, newer)] {
            for (name, row) in [("account", device(format)), ("guest", guest(format))] {
                let index = Records::from([(key::meta(name), row)]);
                assert_eq!(Engine::open([5; 32], 0, index).err(), Some(refusal.clone()));
            }
        }
    }
}
