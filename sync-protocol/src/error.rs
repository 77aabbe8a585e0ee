//! Errors that say whose fault it is, and that a program can match.

use crate::codec::{Decode, Encode};
use thiserror::Error;

/// Bytes that could not be what they claim to be.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ProtocolError {
    /// The bytes do not parse as the named thing.
    #[error("malformed {0}")]
    Malformed(&'static str),
    /// The bytes read as the named thing, but it encodes to others: they are not its one spelling.
    #[error("{0} is not in its one spelling")]
    Spelling(&'static str),
    /// The bytes parse, but a size or count passes a limit of [`crate::limits`].
    #[error("{what} is over the limit of {limit}")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// The limit, in bytes or items.
        limit: usize,
    },
    /// A signature does not verify.
    #[error("the signature on {0} is wrong")]
    BadSignature(&'static str),
    /// A format newer than this build understands.
    #[error("unsupported version {version} of {what}")]
    Unsupported {
        /// Which format.
        what: &'static str,
        /// The version found.
        version: u64,
    },
    /// A device log entry that does not follow from the log before it.
    #[error("device log: {0}")]
    Log(&'static str),
}

/// Why a relay did not do what a device asked. The engine turns each into a state the app can show.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Error)]
pub enum Rejection {
    /// A handshake lies after the author's cursor: catch up, seal again, push again.
    #[n(0)]
    #[error("behind: a membership change at index {index} was not seen")]
    Behind {
        /// Index of the newest handshake.
        #[n(0)]
        index: u64,
    },
    /// Over a quota of the account or the space.
    #[n(1)]
    #[error("over the quota")]
    Quota,
    /// A single thing is too large; sending it again cannot help.
    #[n(2)]
    #[error("too large, the limit is {limit} bytes")]
    TooLarge {
        /// The limit in bytes.
        #[n(0)]
        limit: u64,
    },
    /// The device was revoked, or is not in the account's log.
    #[n(3)]
    #[error("the device is not, or no longer, part of the account")]
    Revoked,
    /// No common protocol version.
    #[n(4)]
    #[error("unsupported version; this relay speaks {min} to {max}")]
    Unsupported {
        /// Oldest version the relay speaks.
        #[n(0)]
        min: u32,
        /// Newest version the relay speaks.
        #[n(1)]
        max: u32,
    },
    /// Too many requests; may be sent again after the given time.
    #[n(5)]
    #[error("too many requests, retry in {retry_ms} ms")]
    Rate {
        /// When to try again, in milliseconds from now.
        #[n(0)]
        retry_ms: u64,
    },
    /// The writer's sequence does not continue from what the relay has.
    #[n(6)]
    #[error("sequence gap: the relay has up to {have}")]
    Gap {
        /// The last sequence number the relay has of this writer.
        #[n(0)]
        have: u64,
    },
    /// Another change set already has this sequence number.
    #[n(7)]
    #[error("another change set has this sequence number")]
    Equivocation,
    /// The account is not a member of the space, or may not do this there.
    #[n(8)]
    #[error("not allowed")]
    Denied,
    /// The thing asked for does not exist.
    #[n(9)]
    #[error("not found")]
    NotFound,
    /// The name is taken, or the compare-and-swap lost.
    #[n(10)]
    #[error("taken")]
    Taken,
    /// The request is not well-formed.
    #[n(11)]
    #[error("invalid request")]
    Invalid,
    /// Another session holds this incarnation, or the store is a copy of one that went on.
    #[n(12)]
    #[error("this incarnation is fenced off")]
    Fenced,
    /// The relay can't do this now (draining, damaged there); nothing was changed.
    #[n(13)]
    #[error("unavailable, retry in {retry_ms} ms")]
    Unavailable {
        /// When to try again, in milliseconds from now.
        #[n(0)]
        retry_ms: u64,
    },
    /// The relay's disk is full to its reserve: it takes nothing new until its operator made room.
    #[n(14)]
    #[error("the relay's disk is full, retry in {retry_ms} ms")]
    Full {
        /// When to try again, in milliseconds from now.
        #[n(0)]
        retry_ms: u64,
    },
    /// The author's cursor lies beyond the log's end: it was shown more than there is.
    #[n(15)]
    #[error("ahead: the log has {head} entries")]
    Ahead {
        /// The index after the log's last entry.
        #[n(0)]
        head: u64,
    },
}

impl Rejection {
    /// The stable word for programs (`error.data.kind` of the scriptable client).
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Behind { .. } => "behind",
            Self::Quota => "quota",
            Self::TooLarge { .. } => "too_large",
            Self::Revoked => "revoked",
            Self::Unsupported { .. } => "unsupported",
            Self::Rate { .. } => "rate",
            Self::Gap { .. } => "gap",
            Self::Equivocation => "equivocation",
            Self::Denied => "denied",
            Self::NotFound => "not_found",
            Self::Taken => "taken",
            Self::Invalid => "invalid",
            Self::Fenced => "fenced",
            Self::Unavailable { .. } => "unavailable",
            Self::Full { .. } => "full",
            Self::Ahead { .. } => "ahead",
        }
    }

    /// When the same may be tried again without anybody's help, in milliseconds from now.
    #[must_use]
    pub fn retry_ms(&self) -> Option<u64> {
        match self {
            Self::Rate { retry_ms } | Self::Unavailable { retry_ms } | Self::Full { retry_ms } => {
                Some(*retry_ms)
            }
            _ => None,
        }
    }

    /// Whether the same request may succeed later without anybody's help.
    #[must_use]
    pub fn passes(&self) -> bool {
        matches!(self, Self::Behind { .. } | Self::Ahead { .. }) || self.retry_ms().is_some()
    }
}
