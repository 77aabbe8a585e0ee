//! What is kept of a space: its log, what this device writes into it, and what a list shows.

use sync_protocol::codec::{Blob, Decode, Encode};
use sync_protocol::ids::Commitment;
use sync_protocol::{AccountId, DeviceId, EpochId, Link, WriterId};

use super::Intention;
use crate::document::receipts::Mark;
use crate::document::{Clock, Edit, Ended, Name, OrderKey, Stamp};
use crate::engine::documents::eras::Eras;
use crate::group::Context;

/// The bounded part of a space, read when the account is opened.
#[derive(Clone, Encode, Decode)]
#[cbor(map)]
pub(in crate::engine) struct SpaceRow {
    #[n(0)]
    pub(in crate::engine) own: bool,
    #[n(1)]
    pub(in crate::engine) context: Context,
    #[n(2)]
    pub(in crate::engine) epoch: EpochId,
    #[n(3)]
    pub(in crate::engine) number: u64,
    #[n(4)]
    pub(in crate::engine) generation: Option<u64>,
    /// The index the next entry will have: all before it were taken in.
    #[n(5)]
    pub(in crate::engine) next: u64,
    /// Whether this account is a member.
    #[n(6)]
    pub(in crate::engine) active: bool,
    /// Entries are missing that the cursor claims: to be fetched from `next`.
    #[n(7)]
    pub(in crate::engine) lagging: bool,
    /// The last number cut here, and its link.
    #[n(8)]
    pub(in crate::engine) cut: (u64, Link),
    /// The last number the relay confirmed.
    #[n(9)]
    pub(in crate::engine) stored: u64,
    /// Edits in the journal, waiting for their cut.
    #[n(10)]
    pub(in crate::engine) journal: u64,
    /// A handshake of ours that the log has not decided.
    #[n(11)]
    pub(in crate::engine) deciding: bool,
    #[n(12)]
    pub(in crate::engine) intentions: Vec<Intention>,
    #[n(13)]
    pub(in crate::engine) clock: Clock,
    /// The newest message segment.
    #[n(14)]
    pub(in crate::engine) segment: u32,
    /// All documents seen, sorted. Each has a record of its own.
    #[cbor(skip)]
    pub(in crate::engine) documents: Vec<Name>,
    /// Where they stood before each had a record of its own.
    #[cbor(n(15), default)]
    pub(in crate::engine) documents_before: Vec<Name>,
    #[n(16)]
    pub(in crate::engine) unread: u64,
    #[n(17)]
    pub(in crate::engine) last: Option<LastRow>,
    /// The list's row is older than the documents.
    #[n(18)]
    pub(in crate::engine) stale: bool,
    /// Everything of others up to here was announced.
    #[n(19)]
    pub(in crate::engine) delivered: Option<Mark>,
    #[n(20)]
    pub(in crate::engine) read: Option<Mark>,
    /// Receipts not yet written.
    #[n(21)]
    pub(in crate::engine) receipts_due: bool,
    /// The newest entry's relay time.
    #[n(22)]
    pub(in crate::engine) activity_ms: u64,
    /// Running hash of the log up to `next`.
    #[cbor(n(23), with = "minicbor::bytes")]
    pub(in crate::engine) log_hash: [u8; 32],
    /// The incarnation whose numbers `cut` and `stored` are.
    #[n(24)]
    pub(in crate::engine) cut_by: u64,
    /// Epochs that the account's vault may not have yet.
    #[n(25)]
    pub(in crate::engine) unvaulted: Vec<EpochId>,
    /// Who invited this account, if somebody did.
    #[n(26)]
    pub(in crate::engine) invited_by: Option<AccountId>,
    /// Where the log can be read again from.
    #[n(27)]
    pub(in crate::engine) begun: Option<Begun>,
    /// The era in which names were said that were not read yet; in the account's own space, that
    /// settings or contacts came.
    #[n(29)]
    pub(in crate::engine) unheard: Option<u32>,
    /// How far the segments below the newest reach, once that was seen.
    #[n(30)]
    pub(in crate::engine) reach: Option<Reach>,
    /// The first era whose documents this device can read from their beginning: of those before, it
    /// lacks what their changes build on, and takes none in.
    #[n(31)]
    pub(in crate::engine) whole_from: u32,
    /// What this account was last seen to be called here, and the era in which it said so.
    #[n(40)]
    pub(in crate::engine) introduced: Option<Introduced>,
    /// What was written under keys that this account does not have any more.
    #[n(41)]
    pub(in crate::engine) lost: Option<LostRow>,
    /// The place in the log of the last change to each message segment.
    #[cbor(n(42), default)]
    pub(in crate::engine) tops: Vec<(u32, Mark)>,
    /// Receipts documents in which own devices' marks came that were not read yet.
    #[cbor(n(43), default)]
    pub(in crate::engine) unheeded: Vec<u32>,
    /// The account's settings say who invited it.
    #[cbor(n(44), default)]
    pub(in crate::engine) inviter_kept: bool,
    /// What the present epoch's id commits to, once this device has read so far.
    #[n(45)]
    pub(in crate::engine) commitment: Option<Commitment>,
    /// Writers of whom something was passed over that could not be judged here: their next number
    /// may be any.
    #[cbor(n(50), default)]
    pub(in crate::engine) loose: Vec<WriterId>,
    /// What does not count of devices that were removed.
    #[cbor(n(51), default)]
    pub(in crate::engine) ended: Vec<Ended>,
    /// The newest word of another device on how far it had read this log.
    #[n(52)]
    pub(in crate::engine) vouched: Option<VouchedRow>,
    /// Something was passed over in an epoch that ended since: it may be there now.
    #[cbor(n(54), default)]
    pub(in crate::engine) doubted: bool,
    /// Which era of an app's documents counts.
    #[cbor(n(53), default)]
    pub(in crate::engine) eras: Eras,
    /// Until a log that began anew has again what this device wrote.
    #[n(55)]
    pub(in crate::engine) found: Option<FoundRow>,
}

/// What a log that began anew has of what this device knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub(in crate::engine) struct FoundRow {
    /// The last own number in it.
    #[n(0)]
    pub(in crate::engine) seq: u64,
    /// The epoch that it leads to.
    #[n(1)]
    pub(in crate::engine) epoch: EpochId,
}

/// Another device had read no more of a space than this one has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub(in crate::engine) struct VouchedRow {
    #[n(0)]
    pub(in crate::engine) account: AccountId,
    #[n(1)]
    pub(in crate::engine) device: DeviceId,
    /// When, by its clock and not after this device's: Unix ms.
    #[n(2)]
    pub(in crate::engine) at_ms: u64,
}

/// Entries that could not be opened.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub(in crate::engine) struct LostRow {
    #[n(0)]
    pub(in crate::engine) changes: u64,
    /// The relay's time of the first and the last, Unix ms, where they were read.
    #[n(1)]
    pub(in crate::engine) first_ms: Option<u64>,
    #[n(2)]
    pub(in crate::engine) last_ms: Option<u64>,
    /// The index after the last that was counted.
    #[n(3)]
    pub(in crate::engine) next: u64,
}

/// What an account called itself in a conversation.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(in crate::engine) struct Introduced {
    #[n(0)]
    pub(in crate::engine) era: u32,
    #[n(1)]
    pub(in crate::engine) name: String,
}

/// Where the messages below a segment end: a page that lies behind needs none of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub(in crate::engine) struct Reach {
    /// The segment.
    #[n(0)]
    pub(in crate::engine) segment: u32,
    /// The newest stamp below it.
    #[n(1)]
    pub(in crate::engine) stamp: Stamp,
}

/// Where the present epoch begins in the log.
#[derive(Clone, Copy, Debug, Encode, Decode)]
pub(in crate::engine) struct Begun {
    #[n(0)]
    pub(in crate::engine) epoch: EpochId,
    /// The index after the handshake that made it.
    #[n(1)]
    pub(in crate::engine) index: u64,
    /// Running hash of the log up to there.
    #[cbor(n(2), with = "minicbor::bytes")]
    pub(in crate::engine) log_hash: [u8; 32],
    /// Entries from there on were passed over: another copy may be good.
    #[n(3)]
    pub(in crate::engine) doubtful: bool,
}

/// The newest message, for the list.
#[derive(Clone, PartialEq, Eq, Encode, Decode)]
pub(in crate::engine) struct LastRow {
    #[n(0)]
    pub(in crate::engine) key: OrderKey,
    #[n(1)]
    pub(in crate::engine) author: AccountId,
    #[n(2)]
    pub(in crate::engine) text: String,
    #[n(3)]
    pub(in crate::engine) at_ms: u64,
}

impl SpaceRow {
    /// A document belongs to the list. Whether that is news.
    pub(in crate::engine) fn lists(&mut self, name: &Name) -> bool {
        let at = self.documents.binary_search(name);
        at.map_err(|at| self.documents.insert(at, name.clone())).is_err()
    }
}

/// A numbered change set, until the relay confirms it.
#[derive(Clone, Encode, Decode)]
#[cbor(map)]
pub(in crate::engine) struct CutRow {
    #[n(0)]
    pub(in crate::engine) link: Link,
    #[n(1)]
    pub(in crate::engine) commitment: sync_protocol::ids::Commitment,
    /// The encoded [`crate::engine::space::change_set::ChangeSet`].
    #[n(2)]
    pub(in crate::engine) set: Blob,
    /// The edits it came from: to write them again, should the number be lost.
    #[n(3)]
    pub(in crate::engine) edits: Vec<JournalRow>,
    /// The envelope, as it was sent last: to be sent again as it is, and to know what the log has.
    #[n(4)]
    pub(in crate::engine) sent: Option<Blob>,
    /// Others were sent before it, of which one may be in the log instead.
    #[n(5)]
    pub(in crate::engine) copies: bool,
    /// The relay had confirmed it once.
    #[n(6)]
    pub(in crate::engine) confirmed: bool,
}

/// An edit that waits for its cut, or its confirmation.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub(in crate::engine) struct JournalRow {
    #[n(0)]
    pub(in crate::engine) name: Name,
    #[n(1)]
    pub(in crate::engine) edit: Edit,
    /// How far the log was read when it was made: indexes and positions are those of what stood there.
    #[cbor(n(2), default)]
    pub(in crate::engine) read: Option<u64>,
}

impl JournalRow {
    /// An edit that is made now, by a device that has read the log before an index.
    pub(in crate::engine) fn new(name: Name, edit: Edit, next: u64) -> Self {
        // Typed documents have no indexes.
        let read = matches!(name, Name::App(..)).then_some(next);
        Self { name, edit, read }
    }
}
