//! What the relay tells its host.

use std::sync::Arc;

use sync_protocol::error::Rejection;
use sync_protocol::ids::RelayId;

/// One socket, as the host numbers it: in the order in which they opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub u64);

/// Who the relay is, drawn at random when its store is created.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Bound into every session signature.
    pub relay: RelayId,
    /// Of all logs and cursors of this store; a store made anew has another.
    pub generation: u64,
}

/// What the host has to do, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Send one message: an encoded `RelayFrame`, to be cut into parts. The bytes are shared
    /// between the sessions that receive the same.
    Send {
        /// To whom.
        session: SessionId,
        /// The message.
        frame: Arc<[u8]>,
    },
    /// Close the socket, after what was sent before. A `Goodbye` with the reason was sent already;
    /// the host need not call `disconnect`.
    Close {
        /// Whose.
        session: SessionId,
        /// Why.
        reason: Rejection,
    },
}

/// What happened so far, in numbers: for metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Authenticated sessions now.
    pub sessions: u64,
    /// Sessions that did not authenticate yet.
    pub unauthenticated: u64,
    /// Durable transactions.
    pub commits: u64,
    /// Commands applied.
    pub commands: u64,
    /// Entries appended.
    pub appended: u64,
    /// Bytes of envelopes appended.
    pub appended_bytes: u64,
    /// Entries handed to sessions.
    pub delivered: u64,
    /// Pushes and requests refused.
    pub refused: u64,
    /// Signals handed on.
    pub signals: u64,
}
