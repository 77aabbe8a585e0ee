//! What is kept of a space's members: epochs, writers, and changes under way.

use sync_protocol::codec::{Blob, Decode, Encode};
use sync_protocol::frames::Welcomes;
use sync_protocol::ids::Commitment;
use sync_protocol::roster::Role;
use sync_protocol::signing::PublicKey;
use sync_protocol::{AccountId, DeviceId, EpochId, WriterId};

use crate::engine::seal;
use crate::trust::{Head, Lineage, Rights};

/// A membership change wished here, until the log has decided it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(in crate::engine) enum Intention {
    #[n(0)]
    Add {
        #[n(0)]
        address: String,
        #[n(1)]
        history: bool,
    },
    #[n(1)]
    Remove(#[n(0)] AccountId),
    #[n(2)]
    SetRole {
        #[n(0)]
        account: AccountId,
        #[n(1)]
        role: Role,
    },
    #[n(3)]
    SetTitle(#[n(0)] String),
    /// This account leaves.
    #[n(4)]
    Leave,
    /// Somebody else's intent to leave is to be carried out.
    #[n(5)]
    LetGo(#[n(0)] AccountId),
    /// A further device of this account comes in.
    #[n(6)]
    AddDevice {
        #[n(0)]
        device: DeviceId,
        #[n(1)]
        package: Blob,
        #[n(2)]
        history: bool,
    },
    /// A device that its account's log has ended goes out.
    #[n(7)]
    Evict {
        #[n(0)]
        account: AccountId,
        #[n(1)]
        device: DeviceId,
    },
    /// Documents begin anew: this device may not read the old ones.
    #[n(8)]
    NewEra,
    /// An account has new keys: nothing but a ticket that opens with them, and the log that names
    /// them.
    #[n(9)]
    Renew(#[n(0)] AccountId),
}

/// The index of an epoch's handshake until the log has shown it to this device.
pub(in crate::engine) const NOT_SHOWN: u64 = u64::MAX;

/// An epoch whose root is known.
#[derive(Clone, Encode, Decode)]
pub(in crate::engine) struct EpochRow {
    #[n(0)]
    pub(in crate::engine) number: u64,
    /// The index of the handshake that made it, or [`NOT_SHOWN`].
    #[n(1)]
    pub(in crate::engine) index: u64,
    #[cbor(n(2), with = "minicbor::bytes")]
    pub(in crate::engine) root: [u8; 32],
    /// Which group the root is of: [`crate::group::Group::binding`].
    #[cbor(n(3), with = "minicbor::bytes")]
    pub(in crate::engine) binding: [u8; 32],
    /// The documents' era in it: known once the log was read so far.
    #[cbor(n(4), default)]
    pub(in crate::engine) era: u32,
}

impl EpochRow {
    /// The log shows it: what its header says of it counts, to which its id commits, whatever was
    /// written down. Gives whether any of that is news.
    pub(in crate::engine) fn is_shown(&mut self, number: u64, index: u64, era: u32) -> bool {
        let is_news = (self.number, self.index, self.era) != (number, index, era);
        (self.number, self.index, self.era) = (number, index, era);
        is_news
    }

    /// What the epoch's id commits to of it.
    pub(in crate::engine) fn commitment(&self) -> Commitment {
        seal::key_commitment(&self.root, &self.binding)
    }
}

/// A device that is or was a leaf, and over which indexes it may write.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(in crate::engine) struct WriterRow {
    #[n(0)]
    pub(in crate::engine) device: DeviceId,
    #[n(1)]
    pub(in crate::engine) account: AccountId,
    #[cbor(n(2), with = "minicbor::bytes")]
    pub(in crate::engine) key: PublicKey,
    #[n(3)]
    pub(in crate::engine) from: u64,
    #[n(4)]
    pub(in crate::engine) to: Option<u64>,
}

/// The rest of a space's state.
#[derive(Clone, Default, Encode, Decode)]
#[cbor(map)]
pub(in crate::engine) struct StateRow {
    #[n(0)]
    pub(in crate::engine) writers: Vec<WriterRow>,
    /// Accounts whose intent to leave stands in the log, with its hash.
    #[n(1)]
    pub(in crate::engine) leavers: Vec<(AccountId, Blob)>,
    /// Until the log is read up to the handshake that let this device in: that handshake's epoch.
    #[n(2)]
    pub(in crate::engine) joining: Option<EpochId>,
    /// An invitation that came before the log showed this account removed: whoever is put back
    /// reads on to the removal first.
    #[n(4)]
    pub(in crate::engine) invited: Option<InvitedRow>,
    /// Whoever entered by a ticket writes before having read all: under this epoch, as one who
    /// has seen every handshake before this index.
    #[n(5)]
    pub(in crate::engine) write_at: Option<(EpochId, u64)>,
    /// While the log is read from its start up to where this device was let in: the handshakes by
    /// which it follows who could write when.
    #[n(6)]
    pub(in crate::engine) lineage: Option<Lineage>,
    /// The device logs that the group's commits were judged against: [`Heads`](crate::trust::Heads).
    #[cbor(n(7), default)]
    pub(in crate::engine) heads: Vec<Head>,
    /// This device was let into an epoch after all that its account knew: it writes nothing before
    /// the log shows how that came to be.
    #[cbor(n(8), default)]
    pub(in crate::engine) ahead: bool,
    /// The last commit that was good to everybody and did not open here.
    #[n(9)]
    pub(in crate::engine) closed: Option<EpochId>,
    /// While the log is read up to where this device was let in: intents in it of which it is not known
    /// yet who could write there, by their place.
    #[cbor(n(10), default)]
    pub(in crate::engine) wishes: Vec<WishRow>,
    /// Own commits up to the present epoch that nobody was seen to follow.
    #[n(11)]
    pub(in crate::engine) unfollowed: Option<UnfollowedRow>,
    /// Epochs that such commits made, and that were given up: the log does not have them.
    #[cbor(n(12), default)]
    pub(in crate::engine) abandoned: Vec<EpochId>,
    /// While the log is read up to where this device was let in: where the last handshake stands that
    /// adds this account, by its header.
    #[n(13)]
    pub(in crate::engine) added_at: Option<u64>,
    /// Who may not write everything, over the log.
    #[cbor(n(14), default)]
    pub(in crate::engine) rights: Rights,
    /// Writers of whom it is only told how far they have written, by who let this device in: their
    /// own first entry says it.
    #[cbor(n(15), default)]
    pub(in crate::engine) told: Vec<WriterId>,
    /// While the log is read from elsewhere than its start up to where this device was let in: the
    /// handshakes seen, by which it follows which epoch counted where.
    #[cbor(n(16), default)]
    pub(in crate::engine) since: Lineage,
}

/// Own commits that the relay confirmed, in a row.
#[derive(Clone, Default, Encode, Decode)]
pub(in crate::engine) struct UnfollowedRow {
    /// The epochs that they made.
    #[n(0)]
    pub(in crate::engine) epochs: Vec<EpochId>,
    /// What they were to do.
    #[n(1)]
    pub(in crate::engine) wishes: Vec<Intention>,
    /// Something was passed over before them.
    #[cbor(n(2), default)]
    pub(in crate::engine) doubted: bool,
}

/// An intent in the log.
#[derive(Clone, Encode, Decode)]
pub(in crate::engine) struct WishRow {
    #[n(0)]
    pub(in crate::engine) index: u64,
    #[n(1)]
    pub(in crate::engine) writer: WriterId,
    #[n(2)]
    pub(in crate::engine) envelope: Blob,
}

/// An item of the inbox that waits.
#[derive(Clone, Encode, Decode)]
pub(in crate::engine) struct InvitedRow {
    #[n(0)]
    pub(in crate::engine) account: AccountId,
    #[n(1)]
    pub(in crate::engine) device: DeviceId,
    #[n(2)]
    pub(in crate::engine) item: Blob,
    #[n(3)]
    pub(in crate::engine) common: Option<Blob>,
}

/// A handshake or intent of ours, persisted before it is sent and never rebuilt until the log has
/// decided.
#[derive(Clone, Encode, Decode)]
#[cbor(map)]
pub(in crate::engine) struct PendingRow {
    /// The epoch it would make; `None` for an intent.
    #[n(0)]
    pub(in crate::engine) child: Option<EpochId>,
    #[n(1)]
    pub(in crate::engine) envelope: Blob,
    #[n(2)]
    pub(in crate::engine) welcomes: Option<Welcomes>,
    /// How many of the leading intentions it carries out.
    #[n(3)]
    pub(in crate::engine) carries: u64,
    /// The ticket to the epoch it would make.
    #[n(4)]
    pub(in crate::engine) ticket: Option<Blob>,
    /// By it this device enters from outside.
    #[n(5)]
    pub(in crate::engine) enters: bool,
}
