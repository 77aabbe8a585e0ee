//! Changes on their way in and out of a document, and what became of them.

use std::collections::BTreeSet;

use sync_protocol::codec::{Decode, Encode};
use sync_protocol::ids::WriterId;

use super::Step;

/// A change's hash: SHA-256 over its chunk, as Automerge names it.
pub type ChangeHash = [u8; 32];

/// Where the relay put a change. Fixed once known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
pub struct Placement {
    /// The entry's index in the space's log.
    #[n(0)]
    pub index: u64,
    /// The relay's time of the entry, Unix milliseconds.
    #[n(1)]
    pub time_ms: u64,
    /// The ordinal of the change's first message in its change set.
    #[n(2)]
    pub ordinal: u32,
}

/// One change as a store keeps it or a change set carries it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Row {
    /// Who the change set's link chain says wrote it.
    #[n(0)]
    pub writer: WriterId,
    /// Its place at the relay, once known.
    #[n(1)]
    pub placement: Option<Placement>,
    /// The raw Automerge change chunk.
    #[cbor(n(2), with = "minicbor::bytes")]
    pub change: Vec<u8>,
}

/// A change that was not taken, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Who sent it.
    pub writer: WriterId,
    /// Its hash, where the bytes had one.
    pub hash: Option<ChangeHash>,
    /// Why.
    pub reason: Reason,
}

/// Why a change was refused. It depends only on the change, its ancestry, its writer's earlier
/// changes and, for `WaitingRoomFull`, the log before it: every device comes to the same verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum Reason {
    /// Bytes, operations, dependencies or actors past a limit.
    #[error("a change is past the limit on its {0}")]
    TooLarge(&'static str),
    /// Not one well-formed change chunk in the one spelling Automerge gives it.
    #[error("malformed change: {0}")]
    Malformed(&'static str),
    /// A compressed chunk or column.
    #[error("compressed bytes inside a change")]
    Compressed,
    /// Another writer's actor.
    #[error("the actor isn't the writer's")]
    WrongActor,
    /// A time or a message, which members never write.
    #[error("a change carries a time, a message or unknown bytes")]
    Adorned,
    /// A sequence number that doesn't follow the writer's own last one, or one used before.
    #[error("the sequence number doesn't follow the writer's last change")]
    WrongSeq,
    /// The first operation isn't numbered one past the highest of the dependencies.
    #[error("the operations aren't numbered from the dependencies on")]
    WrongStart,
    /// An operation names something outside the change's ancestry, or of another kind.
    #[error("an operation names something outside its ancestry: {0}")]
    Ungrounded(&'static str),
    /// The document's kind has no such entry, or it is another writer's to write.
    #[error("the document has no place for this: {0}")]
    Grammar(&'static str),
    /// It depends on a refused change.
    #[error("it depends on a refused change")]
    RefusedDependency,
    /// Its writer has too many changes waiting.
    #[error("too many changes of this writer wait for their dependencies")]
    WaitingRoomFull,
}

/// What became of a batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Received {
    /// Changes now in the document, those that had waited included, in the order applied.
    pub accepted: Vec<ChangeHash>,
    /// Changes of this batch that wait for dependencies.
    pub waiting: Vec<ChangeHash>,
    /// Changes refused, those that had waited included.
    pub refused: Vec<Refused>,
    /// Changes that were there already (a placement they brought is taken).
    pub known: Vec<ChangeHash>,
    /// What to read again.
    pub touched: Touched,
}

impl Received {
    pub(crate) fn refuse(&mut self, row: &Row, hash: ChangeHash, reason: Reason) {
        self.refused.push(Refused { writer: row.writer, hash: Some(hash), reason });
    }
}

/// What changed in a document.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Touched {
    /// Entries written, by key (typed documents only).
    pub keys: BTreeSet<String>,
    /// Something changed that has no key: read everything again.
    pub all: bool,
    /// In an app's own document, where; more than are told, or none although `all` says that
    /// something changed: anywhere.
    pub paths: BTreeSet<Vec<Step>>,
}

/// Places of a change that are told: of more, that there are many.
pub const PATHS: usize = 32;

impl Touched {
    /// Whether nothing changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty() && !self.all
    }

    /// Adds what another batch touched.
    pub fn merge(&mut self, other: Self) {
        self.keys.extend(other.keys);
        self.all |= other.all;
        self.paths.extend(other.paths);
    }
}
