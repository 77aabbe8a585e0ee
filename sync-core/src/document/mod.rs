//! Documents, with Automerge at arm's length.
//!
//! A [`Document`] takes remote changes ([`Document::receive`]), each checked byte by byte and
//! operation by operation before Automerge sees it, and local [`Edit`]s ([`Document::edit`]), which
//! show at once and leave as raw changes at [`Document::cut`]. [`Document::snapshot`] makes one
//! record of it all, to replace a store's rows. Heads, content hash and JSON compare replicas.
//!
//! Typed documents (messages, receipts, settings, contacts, people, vaults) follow a small grammar: flat maps of
//! `key -> one scalar of bytes`, each key its writer's. Their views are kept beside the document
//! and read again only what was touched. An app's own documents are free in form.
//!
//! No clock, no randomness, no I/O: the same calls give the same bytes.

pub(crate) mod again;
mod alike;
mod app;
mod births;
mod carried;
mod check;
mod clock;
mod columns;
pub mod contacts;
mod decode;
mod edit;
mod ended;
mod entries;
mod genesis;
mod grammar;
mod history;
mod intake;
mod json;
mod local;
mod looking;
pub mod messages;
mod name;
mod paths;
pub mod people;
mod places;
pub mod receipts;
mod row;
pub mod settings;
mod snapshot;
mod tree;
mod values;
mod waiting;

#[cfg(test)]
mod app_tests;
#[cfg(test)]
mod attack_tests;
#[cfg(test)]
mod bounds_tests;
#[cfg(test)]
mod carried_tests;
#[cfg(all(test, not(target_family = "wasm")))]
mod convergence_tests;
#[cfg(test)]
mod edge_tests;
#[cfg(test)]
pub(crate) mod every_edit;
#[cfg(test)]
mod repeated_tests;
#[cfg(test)]
pub(crate) mod testing;

pub(crate) use births::is_nobody;
pub(crate) use carried::{END, carried_row, difference, handed_over, is_handed};
pub use clock::{Clock, MAX_MS, OrderKey, Rank, Stamp};
pub use edit::{AppOp, Edit, EditError, NewMessage, OpError, OpFault, Step, Unit};
pub use ended::Ended;
pub(crate) use grammar::vault_key;
pub use name::{Name, actor};
pub use row::{ChangeHash, PATHS, Placement, Reason, Received, Refused, Row, Touched};

use automerge::{ActorId, AutoCommit, Change, ObjId, ReadDoc, TextEncoding};
use serde_json::Value as Json;
use sync_protocol::ids::{SpaceId, WriterId};
use sync_protocol::sorted::SortedMap;

use grammar::Grammar;
use history::History;
use json::{Style, content_hash, value, whole};
use receipts::Receipt;
use waiting::{Blacklist, WaitingRoom};

/// Why a document can't be loaded, saved or named.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    /// Not the name of a document.
    #[error("not a document's name")]
    BadName,
    /// Not an order key.
    #[error("not a message key")]
    BadKey,
    /// The snapshot isn't whole, or not of this document.
    #[error("corrupt snapshot: {0}")]
    Corrupt(&'static str),
    /// The snapshot didn't reload as what it was taken of: keep the rows.
    #[error("the snapshot doesn't reload equal")]
    Unfaithful,
    /// Local edits aren't cut yet: no snapshot may hold what has no number.
    #[error("local edits are not cut yet")]
    Uncut,
    /// Bytes to import that aren't an Automerge document, or too many of them.
    #[error("not an Automerge document")]
    BadImport,
    /// A file to import that holds nothing.
    #[error("an empty Automerge document: there is nothing to import")]
    EmptyImport,
    /// A file to import with something that a document here can't hold.
    #[error("an Automerge document with {0}, which a document here can't hold")]
    UnfitImport(&'static str),
    /// A file to import that is no fork of the document.
    #[error("an Automerge document that has nothing in common with this one, which is not empty")]
    ForeignImport,
}

/// One document of a space. Owned by the engine's document cache; see the module.
#[derive(Debug)]
pub struct Document {
    space: SpaceId,
    name: Name,
    grammar: Option<Grammar>,
    doc: AutoCommit,
    history: History,
    waiting: WaitingRoom,
    blacklist: Blacklist,
    actors: SortedMap<WriterId, ActorId>,
    /// A typed document's maps, in the grammar's order.
    maps: Vec<ObjId>,
    /// Each writer's newest receipt (receipts only).
    marks: SortedMap<WriterId, Receipt>,
    local: local::Local,
    /// Elements of lists were moved.
    moved: bool,
    /// Bytes of all changes.
    bytes: usize,
    /// What does not show, though it is there.
    ended: Vec<Ended>,
}

impl Document {
    /// A new document: a typed one with its genesis, an app's own empty. One of an unknown kind
    /// refuses every change: keep its rows, unread.
    #[must_use]
    pub fn new(space: SpaceId, name: Name) -> Self {
        let mut document =
            Self::bare(space, name, AutoCommit::new_with_encoding(TextEncoding::UnicodeCodePoint));
        if let Some(grammar) = document.grammar {
            let bytes = genesis::bytes(grammar);
            let decoded = decode::decode(bytes).expect("the committed genesis is well-formed");
            let change =
                Change::from_bytes(bytes.to_vec()).expect("the committed genesis is well-formed");
            document.history.enroll(&genesis::GENESIS_ACTOR, None);
            document.history.push(&decoded, None, None);
            document.doc.apply_changes([change]).expect("the genesis needs nothing before it");
        }
        document.find_maps();
        document
    }

    fn bare(space: SpaceId, name: Name, doc: AutoCommit) -> Self {
        Self {
            space,
            grammar: Grammar::of(&name),
            name,
            doc,
            history: History::default(),
            waiting: WaitingRoom::default(),
            blacklist: Blacklist::default(),
            actors: SortedMap::new(),
            maps: Vec::new(),
            marks: SortedMap::new(),
            local: local::Local::default(),
            moved: false,
            bytes: 0,
            ended: Vec::new(),
        }
    }

    /// The space.
    #[must_use]
    pub fn space(&self) -> &SpaceId {
        &self.space
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// The heads, sorted. Edits since the last cut or receipt of remote changes are not in them.
    #[must_use]
    pub fn heads(&self) -> Vec<ChangeHash> {
        self.history.heads().iter().copied().collect()
    }

    /// Whether a change is in the document.
    #[must_use]
    pub fn contains(&self, change: &ChangeHash) -> bool {
        self.history.contains(change)
    }

    /// How many changes the document has, its genesis included.
    #[must_use]
    pub fn change_count(&self) -> usize {
        self.history.len()
    }

    /// How many changes wait for dependencies.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Estimated bytes in memory, for a cache's budget.
    #[must_use]
    pub fn cost(&self) -> usize {
        let automerge = self.history.op_count() * 60 + self.bytes;
        2048 + automerge + self.history.cost() + self.waiting.cost() + self.local.cost()
    }

    /// Shows nothing of these: their devices had ended. All that was read of the document before is
    /// to be read again.
    pub fn hide(&mut self, ended: &[Ended]) {
        self.ended = ended.to_vec();
    }

    pub(crate) fn tree(&self) -> tree::Tree<'_> {
        tree::Tree { doc: &self.doc, history: &self.history, moved: self.moved }
    }

    fn actor_of(&mut self, writer: &WriterId) -> ActorId {
        let (space, name) = (&self.space, &self.name);
        self.actors.entry(*writer).or_insert_with(|| actor(space, name, writer)).clone()
    }

    /// The content as JSON: texts as strings, counters and times as numbers, bytes as
    /// `{"$bytes": base64}`.
    #[must_use]
    pub fn to_json(&self) -> Json {
        whole(&self.doc, &self.history, Style::Plain)
    }

    /// The JSON at a path, plain or with everything tagged that JSON has no word for; `None` if
    /// nothing is there.
    #[must_use]
    pub fn json_at(&self, path: &[Step], typed: bool) -> Option<Json> {
        let style = if typed { Style::Tagged } else { Style::Plain };
        let Some((last, way)) = path.split_last() else {
            return Some(whole(&self.doc, &self.history, style));
        };
        let object = self.tree().walk(way).ok()?;
        let last = self.tree().step(&object, last, false).ok()?;
        let (found, id) = self.doc.get(&object, last).ok()??;
        Some(value((&self.doc, &self.history), found, &id, style, 0))
    }

    /// SHA-256 of the canonical JSON: keys sorted, no spaces, everything JSON has no word for
    /// tagged. Heads say which changes a document has, this says what they came to.
    #[must_use]
    pub fn content_hash(&self) -> [u8; 32] {
        content_hash(&self.doc, &self.history)
    }
}

/// The stamps of the messages that a change posts, as its writer; none if it is no change.
pub(crate) fn posted(change: &[u8], tag: &[u8; 6]) -> Vec<Stamp> {
    let Ok(decoded) = decode::decode(change) else { return Vec::new() };
    let keys = decoded.ops.iter().filter_map(|op| match op.key {
        decode::Key::Name(name) => grammar::EntryKey::parse(name),
        decode::Key::Element(_) | decode::Key::Head => None,
    });
    let own = keys.filter(|key| key.kind.is_none() && key.tag == *tag);
    own.map(|key| key.message.stamp).collect()
}

/// The hash that names a change.
///
/// # Errors
/// Why the bytes aren't a change chunk.
pub fn change_hash(change: &[u8]) -> Result<ChangeHash, Reason> {
    decode::open_chunk(change).map(|(hash, _)| hash)
}
