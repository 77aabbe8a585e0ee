//! What a relay says.

use crate::codec::{Blob, Decode, Encode};
use crate::error::Rejection;
use crate::ids::{AccountId, DeviceId, RelayId, RendezvousId, SpaceId, WriterId};

/// A frame from a relay.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum RelayFrame {
    /// Sent at once when a socket opens.
    #[n(0)]
    Challenge(#[n(0)] Challenge),
    /// The session is open; deliveries of what changed follow.
    #[n(1)]
    Welcome(#[n(0)] Welcome),
    /// Log entries or inbox items, under credit.
    #[n(2)]
    Delivery(#[n(0)] Delivery),
    /// Pushed envelopes are durable.
    #[n(3)]
    Stored(#[n(0)] Stored),
    /// A pushed envelope was refused; those after it in the same push were not looked at.
    #[n(4)]
    Refused {
        /// Where.
        #[n(0)]
        space: SpaceId,
        /// The refused content's number; 0 for a handshake or intent.
        #[n(1)]
        seq: u64,
        /// Why.
        #[n(2)]
        reason: Rejection,
    },
    /// The answer to a request.
    #[n(5)]
    Reply(#[n(0)] Reply),
    /// A signal from somebody in the space.
    #[n(6)]
    Signal {
        /// Where.
        #[n(0)]
        space: SpaceId,
        /// From whom.
        #[n(1)]
        writer: WriterId,
        /// An envelope of kind `Signal`.
        #[n(2)]
        envelope: Blob,
    },
    /// Something changed that the device should look at.
    #[n(7)]
    Notice(#[n(0)] Notice),
    /// The session ends, or never began.
    #[n(8)]
    Goodbye {
        /// Why.
        #[n(0)]
        reason: Rejection,
    },
    /// Something happened at a rendezvous.
    #[n(9)]
    Met {
        /// Which.
        #[n(0)]
        rendezvous: RendezvousId,
        /// What.
        #[n(1)]
        event: MeetEvent,
    },
}

/// What happened at a rendezvous.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum MeetEvent {
    /// It is open, for [`crate::limits::RENDEZVOUS_MS`].
    #[n(0)]
    Opened,
    /// The other side is there.
    #[n(1)]
    Joined,
    /// The other side said this.
    #[n(2)]
    Said(#[n(0)] Blob),
    /// It is over: `NotFound` if there is none or its time was up, `Taken` if somebody else came
    /// first, `Denied` if the other side left, or why this side may not speak.
    #[n(3)]
    Ended(#[n(0)] Rejection),
}

/// The relay's opening: the nonce, identity and time that the device's signature binds.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Challenge {
    /// Fresh for each socket.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub nonce: [u8; 32],
    /// Which relay this is.
    #[n(1)]
    pub relay: RelayId,
    /// The relay's clock, Unix milliseconds.
    #[n(2)]
    pub time_ms: u64,
    /// Oldest version spoken.
    #[n(3)]
    pub min_version: u32,
    /// Newest version spoken.
    #[n(4)]
    pub max_version: u32,
}

/// The session is open and the proposed fence holds.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Welcome {
    /// The relay's clock, Unix milliseconds.
    #[n(0)]
    pub time_ms: u64,
    /// Spaces of which deliveries follow.
    #[n(1)]
    pub changed: u64,
    /// The relay does not recognise the device's cursor (another generation, or a roll-back):
    /// deliveries start from the beginning of every space.
    #[n(2)]
    pub from_start: bool,
    /// The number of entries in the own account's device log.
    #[n(3)]
    pub log_len: u64,
    /// Key packages of this device left.
    #[n(4)]
    pub key_packages: u64,
    /// The account is in other spaces than those of the digest in the hello.
    #[n(5)]
    pub spaces_differ: bool,
    /// The account's other active devices that were away for [`limits::DORMANT_WARN_MS`] or longer,
    /// and since when, if there are any.
    ///
    /// [`limits::DORMANT_WARN_MS`]: crate::limits::DORMANT_WARN_MS
    #[n(6)]
    pub away: Option<Vec<(DeviceId, u64)>>,
}

/// Something under flow control. A cursor, where present, covers everything delivered on this
/// session so far.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Delivery {
    /// Entries of one space.
    #[n(0)]
    Entries(#[n(0)] Entries),
    /// Items of the own inbox, in order.
    #[n(1)]
    Inbox(#[n(0)] Vec<InboxItem>),
    /// Nothing more to send for now: up to date as of this cursor.
    #[n(2)]
    UpToDate {
        /// To present in the next hello, once all before it is durable.
        #[n(0)]
        cursor: Blob,
        /// The relay's clock, Unix milliseconds.
        #[n(1)]
        time_ms: u64,
    },
}

/// Consecutive entries of a space's log.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Entries {
    /// Where.
    #[n(0)]
    pub space: SpaceId,
    /// The log's generation.
    #[n(1)]
    pub generation: u64,
    /// The lowest index still in the log.
    #[n(2)]
    pub floor: u64,
    /// The index after the last one in the log.
    #[n(3)]
    pub head: u64,
    /// The newest checkpoint's hash, if there is one.
    #[n(4)]
    pub checkpoint: Option<Blob>,
    /// Which of the relay's keys signs its heads, and in which term.
    #[n(5)]
    pub signed_by: (u32, u64),
    /// The index of the first entry here.
    #[n(6)]
    pub first: u64,
    /// The writers of these entries.
    #[n(7)]
    pub writers: Vec<WriterId>,
    /// The entries, index by index.
    #[n(8)]
    pub entries: Vec<Entry>,
    /// Covers all that was delivered so far on this session.
    #[n(9)]
    pub cursor: Option<Blob>,
}

/// One entry of a space's log.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Entry {
    /// The author: an index into `Entries::writers`.
    #[n(0)]
    pub writer: u32,
    /// The relay's clock at the append, Unix milliseconds.
    #[n(1)]
    pub time_ms: u64,
    /// The envelope as pushed.
    #[n(2)]
    pub envelope: Blob,
}

/// An item in a device's inbox.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct InboxItem {
    /// Dense from 1 for each device.
    #[n(0)]
    pub number: u64,
    /// The sender's account, authenticated by the relay only: the item must prove itself.
    #[n(1)]
    pub account: AccountId,
    /// The sender.
    #[n(2)]
    pub device: DeviceId,
    /// The relay's clock, Unix milliseconds.
    #[n(3)]
    pub time_ms: u64,
    /// The space it is about, when it came with a handshake.
    #[n(4)]
    pub space: Option<SpaceId>,
    /// Opaque to the relay.
    #[n(5)]
    pub item: Blob,
    /// When it came with a handshake: what all devices that the handshake let in have alike.
    #[n(6)]
    pub common: Option<Blob>,
}

impl InboxItem {
    /// What it costs of the device's credit, in bytes.
    #[must_use]
    pub fn cost(&self) -> usize {
        self.item.0.len() + self.common.as_ref().map_or(0, |common| common.0.len()) + 128
    }
}

/// A push is durable, cumulatively: all content up to the last run's end.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Stored {
    /// Where.
    #[n(0)]
    pub space: SpaceId,
    /// The log's generation.
    #[n(1)]
    pub generation: u64,
    /// What was stored now.
    #[n(2)]
    pub runs: Vec<Run>,
}

/// Consecutive entries stored for the session's writer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Run {
    /// The first content's number; 0 for a handshake, intent or register.
    #[n(0)]
    pub seq: u64,
    /// The first one's index.
    #[n(1)]
    pub index: u64,
    /// How many, number by number and index by index.
    #[n(2)]
    pub count: u64,
    /// The relay's clock at the append, Unix milliseconds.
    #[n(3)]
    pub time_ms: u64,
}

/// The answer to a request.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Reply {
    /// The request's number.
    #[n(0)]
    pub id: u64,
    /// What came of it.
    #[n(1)]
    pub answer: Answer,
}

/// What came of a request.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Answer {
    /// Done, and durable where the request changes something.
    #[n(0)]
    Done,
    /// Refused; nothing was changed.
    #[n(1)]
    Refused(#[n(0)] Rejection),
    /// Device log entries.
    #[n(2)]
    Log {
        /// Whose.
        #[n(0)]
        account: AccountId,
        /// Index of the first entry here.
        #[n(1)]
        from: u64,
        /// The entries as signed.
        #[n(2)]
        entries: Vec<Blob>,
    },
    /// Key packages, one for each active device that has any.
    #[n(3)]
    KeyPackages(#[n(0)] Vec<Taken>),
    /// A ticket.
    #[n(4)]
    Ticket {
        /// As its author left it.
        #[n(0)]
        ticket: Blob,
        /// The index of the handshake it came with.
        #[n(1)]
        index: u64,
    },
    /// A number.
    #[n(5)]
    Count(#[n(0)] u64),
    /// Spaces, sorted by id.
    #[n(6)]
    Spaces(#[n(0)] Vec<SpaceId>),
    /// Devices and when they were last seen, Unix milliseconds.
    #[n(7)]
    Seen(#[n(0)] Vec<(DeviceId, u64)>),
}

/// A key package, given out.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Taken {
    /// Whose.
    #[n(0)]
    pub device: DeviceId,
    /// The package.
    #[n(1)]
    pub package: Blob,
}

/// Something changed.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Notice {
    /// An account's device log grew.
    #[n(0)]
    LogChanged {
        /// Whose.
        #[n(0)]
        account: AccountId,
        /// Entries it has now.
        #[n(1)]
        len: u64,
    },
    /// This device's key packages run low.
    #[n(1)]
    KeyPackagesLow {
        /// How many are left.
        #[n(0)]
        left: u64,
    },
    /// The own account is no longer in this space.
    #[n(2)]
    Removed {
        /// Which.
        #[n(0)]
        space: SpaceId,
    },
}

impl Delivery {
    /// What a delivery costs of the device's credit, in bytes: its variable part.
    #[must_use]
    pub fn cost(&self) -> u64 {
        let size = match self {
            Self::Entries(entries) => {
                entries.entries.iter().map(|entry| entry.envelope.0.len() + 16).sum::<usize>()
            }
            Self::Inbox(items) => items.iter().map(InboxItem::cost).sum(),
            Self::UpToDate { .. } => 0,
        };
        size as u64
    }
}
