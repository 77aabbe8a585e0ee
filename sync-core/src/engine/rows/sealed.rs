//! What is sealed to somebody else: what lets a device in, and what lies in vaults and commits.

use sync_protocol::codec::{Blob, Decode, Encode};
use sync_protocol::ids::{Commitment, LogHead};
use sync_protocol::{AccountId, DeviceId, EpochId, Link, SpaceId, WriterId};

use super::EpochRow;
use crate::document::Name;
use crate::trust::Head;

/// What whoever adds a device lets it know.
#[derive(Clone, Encode, Decode)]
#[cbor(map)]
pub(in crate::engine) struct Grant {
    /// The index the log is to be read from.
    #[n(0)]
    pub(in crate::engine) from: u64,
    /// Every writer's tip at that index.
    #[n(1)]
    pub(in crate::engine) frontier: Vec<(WriterId, u64, Link)>,
    /// The log's running hash at that index.
    #[cbor(n(2), with = "minicbor::bytes")]
    pub(in crate::engine) log_hash: [u8; 32],
    /// Epochs that may be read, with their roots.
    #[n(3)]
    pub(in crate::engine) epochs: Vec<(EpochId, EpochRow)>,
    /// The device logs that the group's commits were judged against up to that index.
    #[n(4)]
    pub(in crate::engine) heads: Vec<Head>,
    /// Hints: account, address, name.
    #[n(5)]
    pub(in crate::engine) people: Vec<Hint>,
    /// The first segment a member without history can read whole.
    #[n(6)]
    pub(in crate::engine) segment: u32,
    /// Wishes to leave that stand in the log before `from` and are not carried out.
    #[n(7)]
    pub(in crate::engine) leavers: Vec<(AccountId, Blob)>,
    /// For a device of the own account that may not read the log before `from`: documents as they
    /// were then.
    #[n(8)]
    pub(in crate::engine) documents: Vec<(Name, Blob)>,
}

/// What lets a device of a member account in with nobody online: left with each commit, signed by
/// its author.
#[derive(Clone, Encode, Decode)]
#[cbor(map)]
pub(in crate::engine) struct Ticket {
    #[n(0)]
    pub(in crate::engine) version: u8,
    #[n(1)]
    pub(in crate::engine) space: SpaceId,
    /// The epoch it leads into.
    #[n(2)]
    pub(in crate::engine) epoch: EpochId,
    #[n(3)]
    pub(in crate::engine) account: AccountId,
    #[n(4)]
    pub(in crate::engine) device: DeviceId,
    /// The body's key, sealed to each recipient: a hint at the recipient's public key, the seal.
    #[n(5)]
    pub(in crate::engine) keys: Vec<(Blob, Blob)>,
    /// A [`TicketBody`], sealed.
    #[n(6)]
    pub(in crate::engine) body: Blob,
}

/// What a ticket says to those who can open it.
#[derive(Clone, Encode, Decode)]
#[cbor(map)]
pub(in crate::engine) struct TicketBody {
    #[n(0)]
    pub(in crate::engine) group_info: Blob,
    #[cbor(n(1), with = "minicbor::bytes")]
    pub(in crate::engine) root: [u8; 32],
    #[n(2)]
    pub(in crate::engine) number: u64,
    /// As its author had read the log; whoever comes reads on from there.
    #[n(3)]
    pub(in crate::engine) grant: Grant,
    /// The members' device logs, its author's among them.
    #[n(4)]
    pub(in crate::engine) logs: Vec<(AccountId, Vec<Blob>)>,
    /// Those for which there was no room.
    #[n(5)]
    pub(in crate::engine) named: Vec<(AccountId, u64, LogHead)>,
    /// Of the account's own space: the root of its first epoch, sealed to the recovery key, and its epochs,
    /// each sealed for who knows the one before.
    #[n(6)]
    pub(in crate::engine) past: Option<(Blob, Vec<(EpochId, Blob)>)>,
}

/// Where a space stood when a vault was begun: for devices that may not read what was before.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(in crate::engine) struct Anchor {
    #[n(0)]
    pub(in crate::engine) epoch: EpochId,
    #[n(1)]
    pub(in crate::engine) number: u64,
    /// What the epoch's id commits to: not its root, which would open what was written in it.
    #[n(2)]
    pub(in crate::engine) commitment: Commitment,
}

/// An epoch in the vault.
#[derive(Clone, Encode, Decode)]
#[cbor(map)]
pub(in crate::engine) struct VaultEpoch {
    #[n(0)]
    pub(in crate::engine) epoch: EpochRow,
}

/// What one member calls another; the address can be checked in the relay's directory.
#[derive(Clone, Debug, Encode, Decode)]
pub(in crate::engine) struct Hint {
    #[n(0)]
    pub(in crate::engine) account: AccountId,
    #[n(1)]
    pub(in crate::engine) address: Option<String>,
    #[n(2)]
    pub(in crate::engine) name: String,
}

/// What a handshake seals: the commit and what its validity is judged by.
#[derive(Clone, Encode, Decode)]
#[cbor(map)]
pub(in crate::engine) struct SealedCommit {
    #[n(0)]
    pub(in crate::engine) message: Blob,
    /// Device logs of added accounts.
    #[n(1)]
    pub(in crate::engine) logs: Vec<(AccountId, Vec<Blob>)>,
    #[n(2)]
    pub(in crate::engine) people: Vec<Hint>,
}
