//! What the engine keeps in its store, record by record.

use std::cmp::Ordering;

use sync_protocol::codec::{Blob, Decode, Encode};
use sync_protocol::frames::Welcomes;
use sync_protocol::ids::{Commitment, LogHead, RelayId};
use sync_protocol::signing::PublicKey;
use sync_protocol::{AccountId, DeviceId, EpochId, Link, SpaceId, WriterId};

use crate::document::receipts::Mark;
use crate::document::{Clock, Edit, Ended, Name, OrderKey, Stamp};
use crate::engine::documents::eras::Eras;
use crate::engine::{OpenError, seal};
use crate::group::Context;
use crate::trust::{Head, Lineage, Rights};
use sync_protocol::roster::Role;

/// The store format that this build writes, and the only one it reads. 1 had MLS records as JSON, 2
/// one certificate under way at most, 3 epochs whose group nobody could check, another running hash of
/// logs, and device logs whose first device had not signed for them, 4 a group's configuration as JSON.
pub(super) const FORMAT: u32 = 5;

/// Refuses a row of another format, before anything of its store is used.
pub(super) fn check_format(found: u32) -> Result<(), OpenError> {
    match found.cmp(&FORMAT) {
        Ordering::Less => Err(OpenError::Damaged("store of an earlier build")),
        Ordering::Equal => Ok(()),
        Ordering::Greater => Err(OpenError::Newer { found, known: FORMAT }),
    }
}

/// The device's own identity and secrets.
#[derive(Clone, Encode, Decode)]
#[cbor(map)]
pub(super) struct AccountRow {
    #[n(0)]
    pub(super) format: u32,
    #[n(1)]
    pub(super) account: AccountId,
    #[cbor(n(2), with = "minicbor::bytes")]
    pub(super) signing: [u8; 32],
    #[cbor(n(3), with = "minicbor::bytes")]
    pub(super) hpke: [u8; 32],
    /// Private join keys: tickets were sealed to each in its time.
    #[n(4)]
    pub(super) joins: Vec<Blob>,
    #[n(5)]
    pub(super) address: String,
    #[n(6)]
    pub(super) name: String,
    /// The relay confirmed the address.
    #[n(7)]
    pub(super) claimed: bool,
    /// What this device is called.
    #[n(8)]
    pub(super) device_name: String,
    /// Whether this device may read the account's space from its beginning: only such a device
    /// commits there, since the ticket that goes along must bring everything back.
    #[n(9)]
    pub(super) complete: bool,
    /// The keys that the recovery code yields, until the account's space is entered.
    #[n(10)]
    pub(super) recovering: Vec<Blob>,
    /// Certificates that the log may not have decided.
    #[n(11)]
    pub(super) linking: Vec<LinkRow>,
    /// The number of the name, and the device that chose it, once the account's settings say so.
    #[n(20)]
    pub(super) named: Option<Named>,
    /// Whom the account's contacts block, as conversations are counted by.
    #[cbor(n(21), default)]
    pub(super) blocked: Vec<AccountId>,
    /// The newest entry that this device signed for the own log, until the log shows what stands
    /// at its index.
    #[n(22)]
    pub(super) signed: Option<SignedRow>,
    /// Devices that were certified and never came.
    #[cbor(n(23), default)]
    pub(super) unwanted: Vec<DeviceId>,
    /// The root of the account's space's first epoch, if this device may read it: with it all that came
    /// after opens.
    #[n(24)]
    pub(super) first: Option<Blob>,
}

impl AccountRow {
    /// The row of a device that has just come into an account, with nothing of it yet.
    pub(super) fn new(account: AccountId, signing: [u8; 32], hpke: [u8; 32]) -> Self {
        Self {
            format: FORMAT,
            account,
            signing,
            hpke,
            joins: Vec::new(),
            address: String::new(),
            name: String::new(),
            claimed: true,
            device_name: String::new(),
            complete: false,
            recovering: Vec::new(),
            linking: Vec::new(),
            named: None,
            blocked: Vec::new(),
            signed: None,
            unwanted: Vec::new(),
            first: None,
        }
    }
}

/// An entry that this device signed: there is no other of its for this index.
#[derive(Clone, Encode, Decode)]
#[cbor(map)]
pub(super) struct SignedRow {
    #[n(0)]
    pub(super) index: u64,
    #[n(1)]
    pub(super) entry: Blob,
    /// The recovery code that counts once the entry does, until it was told.
    #[n(2)]
    pub(super) code: Option<String>,
}

/// A device that is being linked: written before its certificate is sent. It is linked once the
/// log shows the certificate, and is never sent again.
#[derive(Clone, Encode, Decode)]
#[cbor(map)]
pub(super) struct LinkRow {
    #[n(0)]
    pub(super) device: DeviceId,
    #[n(1)]
    pub(super) entry: Blob,
    /// The new device's key package.
    #[n(2)]
    pub(super) package: Blob,
    #[n(3)]
    pub(super) name: String,
    #[n(4)]
    pub(super) history: bool,
    /// The place in the log that the certificate is for: it counts there or nowhere.
    #[n(5)]
    pub(super) index: u64,
}

/// A device that asks to be linked, once it has told its keys: should it be interrupted, it finds
/// out from the account's log whether it was.
#[derive(Clone, Encode, Decode)]
#[cbor(map)]
pub(super) struct GuestRow {
    #[n(0)]
    pub(super) format: u32,
    #[cbor(n(1), with = "minicbor::bytes")]
    pub(super) signing: [u8; 32],
    #[cbor(n(2), with = "minicbor::bytes")]
    pub(super) hpke: [u8; 32],
    #[n(3)]
    pub(super) account: AccountId,
    /// The head and length of the account's log before this device.
    #[n(4)]
    pub(super) head: sync_protocol::ids::LogHead,
    #[n(5)]
    pub(super) index: u64,
    #[n(6)]
    pub(super) name: String,
    /// Where the two talked.
    #[n(7)]
    pub(super) rendezvous: sync_protocol::ids::RendezvousId,
}

/// Where the session stands.
#[derive(Clone, Default, Encode, Decode)]
#[cbor(map)]
pub(super) struct SessionRow {
    #[n(0)]
    pub(super) incarnation: u64,
    /// The fence the relay confirmed.
    #[n(1)]
    pub(super) fence: u64,
    /// The fence proposed next; 0 when none is.
    #[n(2)]
    pub(super) next_fence: u64,
    #[n(3)]
    pub(super) cursor: Option<Blob>,
    /// The last inbox item taken in.
    #[n(4)]
    pub(super) inbox: u64,
    #[n(5)]
    pub(super) last_confirmed_ms: Option<u64>,
    /// The relay that the account is at: the first one that let it in, or one that the person
    /// accepted since.
    #[n(6)]
    pub(super) relay: Option<RelayId>,
    /// When it was found last that the relay had lost what it had confirmed.
    #[n(7)]
    pub(super) put_back_ms: Option<u64>,
}

/// An account known to this device.
#[derive(Clone, Default, Encode, Decode)]
#[cbor(map)]
pub(super) struct PersonRow {
    #[n(0)]
    pub(super) log: Vec<Blob>,
    #[n(1)]
    pub(super) address: Option<String>,
    #[n(2)]
    pub(super) name: String,
    /// Whether the relay's directory gave the address, and not another member.
    #[cbor(n(3), default)]
    pub(super) confirmed: bool,
    /// The number of the name and who said it; `None` while it is hearsay.
    #[n(4)]
    pub(super) named: Option<Named>,
}

/// Which of an account's names one is. The greatest counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
pub(super) struct Named {
    /// [`crate::document::people::Person::version`].
    #[n(0)]
    pub(super) version: u64,
    /// [`crate::document::people::Person::tag`].
    #[cbor(n(1), with = "minicbor::bytes")]
    pub(super) tag: [u8; 6],
    /// Who said so: of the own name, in the account's settings.
    #[n(2)]
    pub(super) by: DeviceId,
}

impl Named {
    /// Which of two names is the later.
    pub(super) fn rank(&self) -> (u64, [u8; 6]) {
        (self.version, self.tag)
    }
}

/// The bounded part of a space, read when the account is opened.
#[derive(Clone, Encode, Decode)]
#[cbor(map)]
pub(super) struct SpaceRow {
    #[n(0)]
    pub(super) own: bool,
    #[n(1)]
    pub(super) context: Context,
    #[n(2)]
    pub(super) epoch: EpochId,
    #[n(3)]
    pub(super) number: u64,
    #[n(4)]
    pub(super) generation: Option<u64>,
    /// The index the next entry will have: all before it were taken in.
    #[n(5)]
    pub(super) next: u64,
    /// Whether this account is a member.
    #[n(6)]
    pub(super) active: bool,
    /// Entries are missing that the cursor claims: to be fetched from `next`.
    #[n(7)]
    pub(super) lagging: bool,
    /// The last number cut here, and its link.
    #[n(8)]
    pub(super) cut: (u64, Link),
    /// The last number the relay confirmed.
    #[n(9)]
    pub(super) stored: u64,
    /// Edits in the journal, waiting for their cut.
    #[n(10)]
    pub(super) journal: u64,
    /// A handshake of ours that the log has not decided.
    #[n(11)]
    pub(super) deciding: bool,
    #[n(12)]
    pub(super) intentions: Vec<Intention>,
    #[n(13)]
    pub(super) clock: Clock,
    /// The newest message segment.
    #[n(14)]
    pub(super) segment: u32,
    /// All documents seen, sorted. Each has a record of its own.
    #[cbor(skip)]
    pub(super) documents: Vec<Name>,
    /// Where they stood before each had a record of its own.
    #[cbor(n(15), default)]
    pub(super) documents_before: Vec<Name>,
    #[n(16)]
    pub(super) unread: u64,
    #[n(17)]
    pub(super) last: Option<LastRow>,
    /// The list's row is older than the documents.
    #[n(18)]
    pub(super) stale: bool,
    /// Everything of others up to here was announced.
    #[n(19)]
    pub(super) delivered: Option<Mark>,
    #[n(20)]
    pub(super) read: Option<Mark>,
    /// Receipts not yet written.
    #[n(21)]
    pub(super) receipts_due: bool,
    /// The newest entry's relay time.
    #[n(22)]
    pub(super) activity_ms: u64,
    /// Running hash of the log up to `next`.
    #[cbor(n(23), with = "minicbor::bytes")]
    pub(super) log_hash: [u8; 32],
    /// The incarnation whose numbers `cut` and `stored` are.
    #[n(24)]
    pub(super) cut_by: u64,
    /// Epochs that the account's vault may not have yet.
    #[n(25)]
    pub(super) unvaulted: Vec<EpochId>,
    /// Who invited this account, if somebody did.
    #[n(26)]
    pub(super) invited_by: Option<AccountId>,
    /// Where the log can be read again from.
    #[n(27)]
    pub(super) begun: Option<Begun>,
    /// The era in which names were said that were not read yet; in the account's own space, that
    /// settings or contacts came.
    #[n(29)]
    pub(super) unheard: Option<u32>,
    /// How far the segments below the newest reach, once that was seen.
    #[n(30)]
    pub(super) reach: Option<Reach>,
    /// The first era whose documents this device can read from their beginning: of those before, it
    /// lacks what their changes build on, and takes none in.
    #[n(31)]
    pub(super) whole_from: u32,
    /// What this account was last seen to be called here, and the era in which it said so.
    #[n(40)]
    pub(super) introduced: Option<Introduced>,
    /// What was written under keys that this account does not have any more.
    #[n(41)]
    pub(super) lost: Option<LostRow>,
    /// The place in the log of the last change to each message segment.
    #[cbor(n(42), default)]
    pub(super) tops: Vec<(u32, Mark)>,
    /// Receipts documents in which own devices' marks came that were not read yet.
    #[cbor(n(43), default)]
    pub(super) unheeded: Vec<u32>,
    /// The account's settings say who invited it.
    #[cbor(n(44), default)]
    pub(super) inviter_kept: bool,
    /// What the present epoch's id commits to, once this device has read so far.
    #[n(45)]
    pub(super) commitment: Option<Commitment>,
    /// Writers of whom something was passed over that could not be judged here: their next number
    /// may be any.
    #[cbor(n(50), default)]
    pub(super) loose: Vec<WriterId>,
    /// What does not count of devices that were removed.
    #[cbor(n(51), default)]
    pub(super) ended: Vec<Ended>,
    /// The newest word of another device on how far it had read this log.
    #[n(52)]
    pub(super) vouched: Option<VouchedRow>,
    /// Something was passed over in an epoch that ended since: it may be there now.
    #[cbor(n(54), default)]
    pub(super) doubted: bool,
    /// Which era of an app's documents counts.
    #[cbor(n(53), default)]
    pub(super) eras: Eras,
    /// Until a log that began anew has again what this device wrote.
    #[n(55)]
    pub(super) found: Option<FoundRow>,
}

/// What a log that began anew has of what this device knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub(super) struct FoundRow {
    /// The last own number in it.
    #[n(0)]
    pub(super) seq: u64,
    /// The epoch that it leads to.
    #[n(1)]
    pub(super) epoch: EpochId,
}

/// Another device had read no more of a space than this one has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub(super) struct VouchedRow {
    #[n(0)]
    pub(super) account: AccountId,
    #[n(1)]
    pub(super) device: DeviceId,
    /// When, by its clock and not after this device's: Unix ms.
    #[n(2)]
    pub(super) at_ms: u64,
}

/// Entries that could not be opened.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub(super) struct LostRow {
    #[n(0)]
    pub(super) changes: u64,
    /// The relay's time of the first and the last, Unix ms, where they were read.
    #[n(1)]
    pub(super) first_ms: Option<u64>,
    #[n(2)]
    pub(super) last_ms: Option<u64>,
    /// The index after the last that was counted.
    #[n(3)]
    pub(super) next: u64,
}

/// What an account called itself in a conversation.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(super) struct Introduced {
    #[n(0)]
    pub(super) era: u32,
    #[n(1)]
    pub(super) name: String,
}

/// Where the messages below a segment end: a page that lies behind needs none of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub(super) struct Reach {
    /// The segment.
    #[n(0)]
    pub(super) segment: u32,
    /// The newest stamp below it.
    #[n(1)]
    pub(super) stamp: Stamp,
}

/// Where the present epoch begins in the log.
#[derive(Clone, Copy, Debug, Encode, Decode)]
pub(super) struct Begun {
    #[n(0)]
    pub(super) epoch: EpochId,
    /// The index after the handshake that made it.
    #[n(1)]
    pub(super) index: u64,
    /// Running hash of the log up to there.
    #[cbor(n(2), with = "minicbor::bytes")]
    pub(super) log_hash: [u8; 32],
    /// Entries from there on were passed over: another copy may be good.
    #[n(3)]
    pub(super) doubtful: bool,
}

/// The newest message, for the list.
#[derive(Clone, PartialEq, Eq, Encode, Decode)]
pub(super) struct LastRow {
    #[n(0)]
    pub(super) key: OrderKey,
    #[n(1)]
    pub(super) author: AccountId,
    #[n(2)]
    pub(super) text: String,
    #[n(3)]
    pub(super) at_ms: u64,
}

/// A membership change wished here, until the log has decided it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(super) enum Intention {
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
pub(super) const NOT_SHOWN: u64 = u64::MAX;

/// An epoch whose root is known.
#[derive(Clone, Encode, Decode)]
pub(super) struct EpochRow {
    #[n(0)]
    pub(super) number: u64,
    /// The index of the handshake that made it, or [`NOT_SHOWN`].
    #[n(1)]
    pub(super) index: u64,
    #[cbor(n(2), with = "minicbor::bytes")]
    pub(super) root: [u8; 32],
    /// Which group the root is of: [`crate::group::Group::binding`].
    #[cbor(n(3), with = "minicbor::bytes")]
    pub(super) binding: [u8; 32],
    /// The documents' era in it: known once the log was read so far.
    #[cbor(n(4), default)]
    pub(super) era: u32,
}

impl SpaceRow {
    /// A document belongs to the list. Whether that is news.
    pub(super) fn lists(&mut self, name: &Name) -> bool {
        let at = self.documents.binary_search(name);
        at.map_err(|at| self.documents.insert(at, name.clone())).is_err()
    }
}

impl EpochRow {
    /// The log shows it: what its header says of it counts, to which its id commits, whatever was
    /// written down. Gives whether any of that is news.
    pub(super) fn is_shown(&mut self, number: u64, index: u64, era: u32) -> bool {
        let is_news = (self.number, self.index, self.era) != (number, index, era);
        (self.number, self.index, self.era) = (number, index, era);
        is_news
    }

    /// What the epoch's id commits to of it.
    pub(super) fn commitment(&self) -> Commitment {
        seal::key_commitment(&self.root, &self.binding)
    }
}

/// A device that is or was a leaf, and over which indexes it may write.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(super) struct WriterRow {
    #[n(0)]
    pub(super) device: DeviceId,
    #[n(1)]
    pub(super) account: AccountId,
    #[cbor(n(2), with = "minicbor::bytes")]
    pub(super) key: PublicKey,
    #[n(3)]
    pub(super) from: u64,
    #[n(4)]
    pub(super) to: Option<u64>,
}

/// The rest of a space's state.
#[derive(Clone, Default, Encode, Decode)]
#[cbor(map)]
pub(super) struct StateRow {
    #[n(0)]
    pub(super) writers: Vec<WriterRow>,
    /// Accounts whose intent to leave stands in the log, with its hash.
    #[n(1)]
    pub(super) leavers: Vec<(AccountId, Blob)>,
    /// Until the log is read up to the handshake that let this device in: that handshake's epoch.
    #[n(2)]
    pub(super) joining: Option<EpochId>,
    /// An invitation that came before the log showed this account removed: whoever is put back
    /// reads on to the removal first.
    #[n(4)]
    pub(super) invited: Option<InvitedRow>,
    /// Whoever entered by a ticket writes before having read all: under this epoch, as one who
    /// has seen every handshake before this index.
    #[n(5)]
    pub(super) write_at: Option<(EpochId, u64)>,
    /// While the log is read from its start up to where this device was let in: the handshakes by
    /// which it follows who could write when.
    #[n(6)]
    pub(super) lineage: Option<Lineage>,
    /// The device logs that the group's commits were judged against: [`Heads`](crate::trust::Heads).
    #[cbor(n(7), default)]
    pub(super) heads: Vec<Head>,
    /// This device was let into an epoch after all that its account knew: it writes nothing before
    /// the log shows how that came to be.
    #[cbor(n(8), default)]
    pub(super) ahead: bool,
    /// The last commit that was good to everybody and did not open here.
    #[n(9)]
    pub(super) closed: Option<EpochId>,
    /// While the log is read up to where this device was let in: intents in it of which it is not known
    /// yet who could write there, by their place.
    #[cbor(n(10), default)]
    pub(super) wishes: Vec<WishRow>,
    /// Own commits up to the present epoch that nobody was seen to follow.
    #[n(11)]
    pub(super) unfollowed: Option<UnfollowedRow>,
    /// Epochs that such commits made, and that were given up: the log does not have them.
    #[cbor(n(12), default)]
    pub(super) abandoned: Vec<EpochId>,
    /// While the log is read up to where this device was let in: where the last handshake stands that
    /// adds this account, by its header.
    #[n(13)]
    pub(super) added_at: Option<u64>,
    /// Who may not write everything, over the log.
    #[cbor(n(14), default)]
    pub(super) rights: Rights,
    /// Writers of whom it is only told how far they have written, by who let this device in: their
    /// own first entry says it.
    #[cbor(n(15), default)]
    pub(super) told: Vec<WriterId>,
    /// While the log is read from elsewhere than its start up to where this device was let in: the
    /// handshakes seen, by which it follows which epoch counted where.
    #[cbor(n(16), default)]
    pub(super) since: Lineage,
}

/// Own commits that the relay confirmed, in a row.
#[derive(Clone, Default, Encode, Decode)]
pub(super) struct UnfollowedRow {
    /// The epochs that they made.
    #[n(0)]
    pub(super) epochs: Vec<EpochId>,
    /// What they were to do.
    #[n(1)]
    pub(super) wishes: Vec<Intention>,
    /// Something was passed over before them.
    #[cbor(n(2), default)]
    pub(super) doubted: bool,
}

/// An intent in the log.
#[derive(Clone, Encode, Decode)]
pub(super) struct WishRow {
    #[n(0)]
    pub(super) index: u64,
    #[n(1)]
    pub(super) writer: WriterId,
    #[n(2)]
    pub(super) envelope: Blob,
}

/// An item of the inbox that waits.
#[derive(Clone, Encode, Decode)]
pub(super) struct InvitedRow {
    #[n(0)]
    pub(super) account: AccountId,
    #[n(1)]
    pub(super) device: DeviceId,
    #[n(2)]
    pub(super) item: Blob,
    #[n(3)]
    pub(super) common: Option<Blob>,
}

/// A numbered change set, until the relay confirms it.
#[derive(Clone, Encode, Decode)]
#[cbor(map)]
pub(super) struct CutRow {
    #[n(0)]
    pub(super) link: Link,
    #[n(1)]
    pub(super) commitment: sync_protocol::ids::Commitment,
    /// The encoded [`crate::engine::space::change_set::ChangeSet`].
    #[n(2)]
    pub(super) set: Blob,
    /// The edits it came from: to write them again, should the number be lost.
    #[n(3)]
    pub(super) edits: Vec<JournalRow>,
    /// The envelope, as it was sent last: to be sent again as it is, and to know what the log has.
    #[n(4)]
    pub(super) sent: Option<Blob>,
    /// Others were sent before it, of which one may be in the log instead.
    #[n(5)]
    pub(super) copies: bool,
    /// The relay had confirmed it once.
    #[n(6)]
    pub(super) confirmed: bool,
}

/// An edit that waits for its cut, or its confirmation.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub(super) struct JournalRow {
    #[n(0)]
    pub(super) name: Name,
    #[n(1)]
    pub(super) edit: Edit,
    /// How far the log was read when it was made: indexes and positions are those of what stood there.
    #[cbor(n(2), default)]
    pub(super) read: Option<u64>,
}

impl JournalRow {
    /// An edit that is made now, by a device that has read the log before an index.
    pub(super) fn new(name: Name, edit: Edit, next: u64) -> Self {
        // Typed documents have no indexes.
        let read = matches!(name, Name::App(..)).then_some(next);
        Self { name, edit, read }
    }
}

/// A handshake or intent of ours, persisted before it is sent and never rebuilt until the log has
/// decided.
#[derive(Clone, Encode, Decode)]
#[cbor(map)]
pub(super) struct PendingRow {
    /// The epoch it would make; `None` for an intent.
    #[n(0)]
    pub(super) child: Option<EpochId>,
    #[n(1)]
    pub(super) envelope: Blob,
    #[n(2)]
    pub(super) welcomes: Option<Welcomes>,
    /// How many of the leading intentions it carries out.
    #[n(3)]
    pub(super) carries: u64,
    /// The ticket to the epoch it would make.
    #[n(4)]
    pub(super) ticket: Option<Blob>,
    /// By it this device enters from outside.
    #[n(5)]
    pub(super) enters: bool,
}

/// What whoever adds a device lets it know.
#[derive(Clone, Encode, Decode)]
#[cbor(map)]
pub(super) struct Grant {
    /// The index the log is to be read from.
    #[n(0)]
    pub(super) from: u64,
    /// Every writer's tip at that index.
    #[n(1)]
    pub(super) frontier: Vec<(WriterId, u64, Link)>,
    /// The log's running hash at that index.
    #[cbor(n(2), with = "minicbor::bytes")]
    pub(super) log_hash: [u8; 32],
    /// Epochs that may be read, with their roots.
    #[n(3)]
    pub(super) epochs: Vec<(EpochId, EpochRow)>,
    /// The device logs that the group's commits were judged against up to that index.
    #[n(4)]
    pub(super) heads: Vec<Head>,
    /// Hints: account, address, name.
    #[n(5)]
    pub(super) people: Vec<Hint>,
    /// The first segment a member without history can read whole.
    #[n(6)]
    pub(super) segment: u32,
    /// Wishes to leave that stand in the log before `from` and are not carried out.
    #[n(7)]
    pub(super) leavers: Vec<(AccountId, Blob)>,
    /// For a device of the own account that may not read the log before `from`: documents as they
    /// were then.
    #[n(8)]
    pub(super) documents: Vec<(Name, Blob)>,
}

/// What lets a device of a member account in with nobody online: left with each commit, signed by
/// its author.
#[derive(Clone, Encode, Decode)]
#[cbor(map)]
pub(super) struct Ticket {
    #[n(0)]
    pub(super) version: u8,
    #[n(1)]
    pub(super) space: SpaceId,
    /// The epoch it leads into.
    #[n(2)]
    pub(super) epoch: EpochId,
    #[n(3)]
    pub(super) account: AccountId,
    #[n(4)]
    pub(super) device: DeviceId,
    /// The body's key, sealed to each recipient: a hint at the recipient's public key, the seal.
    #[n(5)]
    pub(super) keys: Vec<(Blob, Blob)>,
    /// A [`TicketBody`], sealed.
    #[n(6)]
    pub(super) body: Blob,
}

/// What a ticket says to those who can open it.
#[derive(Clone, Encode, Decode)]
#[cbor(map)]
pub(super) struct TicketBody {
    #[n(0)]
    pub(super) group_info: Blob,
    #[cbor(n(1), with = "minicbor::bytes")]
    pub(super) root: [u8; 32],
    #[n(2)]
    pub(super) number: u64,
    /// As its author had read the log; whoever comes reads on from there.
    #[n(3)]
    pub(super) grant: Grant,
    /// The members' device logs, its author's among them.
    #[n(4)]
    pub(super) logs: Vec<(AccountId, Vec<Blob>)>,
    /// Those for which there was no room.
    #[n(5)]
    pub(super) named: Vec<(AccountId, u64, LogHead)>,
    /// Of the account's own space: the root of its first epoch, sealed to the recovery key, and its epochs,
    /// each sealed for who knows the one before.
    #[n(6)]
    pub(super) past: Option<(Blob, Vec<(EpochId, Blob)>)>,
}

/// Where a space stood when a vault was begun: for devices that may not read what was before.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(super) struct Anchor {
    #[n(0)]
    pub(super) epoch: EpochId,
    #[n(1)]
    pub(super) number: u64,
    /// What the epoch's id commits to: not its root, which would open what was written in it.
    #[n(2)]
    pub(super) commitment: Commitment,
}

/// An epoch in the vault.
#[derive(Clone, Encode, Decode)]
#[cbor(map)]
pub(super) struct VaultEpoch {
    #[n(0)]
    pub(super) epoch: EpochRow,
}

/// What one member calls another; the address can be checked in the relay's directory.
#[derive(Clone, Debug, Encode, Decode)]
pub(super) struct Hint {
    #[n(0)]
    pub(super) account: AccountId,
    #[n(1)]
    pub(super) address: Option<String>,
    #[n(2)]
    pub(super) name: String,
}

/// What a handshake seals: the commit and what its validity is judged by.
#[derive(Clone, Encode, Decode)]
#[cbor(map)]
pub(super) struct SealedCommit {
    #[n(0)]
    pub(super) message: Blob,
    /// Device logs of added accounts.
    #[n(1)]
    pub(super) logs: Vec<(AccountId, Vec<Blob>)>,
    #[n(2)]
    pub(super) people: Vec<Hint>,
}

#[cfg(test)]
mod tests {
    use sync_protocol::codec;

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
