//! What the tests of this module share.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use sync_protocol::ids::{DeviceId, SpaceId, WriterId};

use super::receipts::Mark;
use super::{Document, Edit, Name, NewMessage, OrderKey, Placement, Row, Stamp};

pub(crate) const RELAY_MS: u64 = 1_700_000_000_000;

pub(crate) fn writer(n: u8) -> WriterId {
    WriterId { device: DeviceId::of_signing_key(&[n; 32]), incarnation: u64::from(n) }
}

pub(crate) fn mark(index: u64) -> Mark {
    Mark { index, ordinal: 0 }
}

pub(crate) fn place(index: u64) -> Placement {
    Placement { index, time_ms: RELAY_MS + index, ordinal: 0 }
}

/// A writer with a replica of its own.
pub(crate) struct Author {
    pub(crate) space: SpaceId,
    pub(crate) writer: WriterId,
    pub(crate) document: Document,
}

impl Author {
    pub(crate) fn new(n: u8, name: Name) -> Self {
        let space = SpaceId::from_bytes([9; 32]);
        Self { space, writer: writer(n), document: Document::new(space, name) }
    }

    /// Makes an edit and cuts it.
    pub(crate) fn write(&mut self, edit: &Edit) -> Vec<Row> {
        self.document.edit(&self.writer, edit).unwrap();
        self.cut()
    }

    pub(crate) fn cut(&mut self) -> Vec<Row> {
        let writer = self.writer;
        let row = |change| Row { writer, placement: None, change };
        self.document.cut().into_iter().map(row).collect()
    }

    pub(crate) fn key(&self, ms: u64) -> OrderKey {
        OrderKey { stamp: Stamp { ms: RELAY_MS + ms, counter: 0 }, tag: self.writer.tag() }
    }

    pub(crate) fn message(&self, ms: u64, text: &str) -> Edit {
        Edit::Message(NewMessage::new(self.key(ms), text))
    }
}
