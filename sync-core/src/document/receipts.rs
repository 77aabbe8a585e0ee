//! Receipts: one entry per writer, written by that writer alone. Marks never go back: an entry that
//! lowers one is refused. A person's state is the highest of their devices'.

use sync_protocol::codec::{self, Decode, Encode};
use sync_protocol::ids::WriterId;
use sync_protocol::sorted::SortedMap;

use super::{Document, Placement, Touched};

/// A place in a space's log, down to the message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
pub struct Mark {
    /// The entry's index in the log.
    #[n(0)]
    pub index: u64,
    /// The message's ordinal in its change set.
    #[n(1)]
    pub ordinal: u32,
}

/// How far one device has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Receipt {
    /// Everything up to here has arrived.
    #[n(0)]
    pub delivered: Option<Mark>,
    /// Everything up to here has been read.
    #[n(1)]
    pub read: Option<Mark>,
}

impl Receipt {
    /// This receipt moved forward to these marks, where they are further.
    #[must_use]
    pub fn merged(&self, delivered: Option<Mark>, read: Option<Mark>) -> Self {
        Self { delivered: self.delivered.max(delivered), read: self.read.max(read) }
    }

    /// This receipt as far as it can be true: nobody has what the log did not have yet when they
    /// said so. One that has no place yet is this device's own.
    fn within(&self, placement: Option<Placement>) -> Self {
        let Some(placement) = placement else { return *self };
        let end = Mark { index: placement.index, ordinal: 0 };
        Self {
            delivered: self.delivered.map(|mark| mark.min(end)),
            read: self.read.map(|mark| mark.min(end)),
        }
    }

    /// Whether this may stand after `last`.
    pub(crate) fn follows(&self, last: &Self) -> bool {
        self.delivered >= last.delivered && self.read >= last.read
    }
}

pub(crate) fn encode(receipt: &Receipt) -> Vec<u8> {
    codec::encode(receipt)
}

/// A receipt's marks; `None` where a newer version writes something else.
pub(crate) fn decode(bytes: &[u8]) -> Option<Receipt> {
    codec::decode("receipt", bytes).ok()
}

/// Everybody's receipts, kept beside the document.
#[derive(Clone, Debug, Default)]
pub struct ReceiptsView {
    by_writer: SortedMap<WriterId, Receipt>,
}

impl ReceiptsView {
    /// Reads what was touched; gives the writers whose receipt changed.
    pub fn update(&mut self, document: &Document, touched: &Touched) -> Vec<WriterId> {
        let entries = if touched.all {
            document.entries().into_iter().map(|(_, entry)| entry).collect()
        } else {
            touched.keys.iter().filter_map(|key| document.entry(key)).collect::<Vec<_>>()
        };
        let mut changed = Vec::new();
        for entry in entries {
            let (Some(writer), Some(receipt)) = (entry.writer, decode(&entry.bytes)) else {
                continue;
            };
            let receipt = receipt.within(entry.placement);
            let old = self.by_writer.get(&writer).copied().unwrap_or_default();
            let new = old.merged(receipt.delivered, receipt.read);
            if new != old {
                self.by_writer.insert(writer, new);
                changed.push(writer);
            }
        }
        changed
    }

    /// One writer's receipt.
    #[must_use]
    pub fn of(&self, writer: &WriterId) -> Receipt {
        self.by_writer.get(writer).copied().unwrap_or_default()
    }

    /// All of them, by writer.
    pub fn iter(&self) -> impl Iterator<Item = (&WriterId, &Receipt)> {
        self.by_writer.iter()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::document::testing::{Author, mark};
    use crate::document::{Edit, Name, Reason};

    #[test]
    fn receipts_never_go_back() {
        let mut author = Author::new(1, Name::Receipts(0));
        let mut reader = Document::new(author.space, Name::Receipts(0));
        let mut view = ReceiptsView::default();
        let edit = |index| Edit::Receipt { delivered: Some(mark(index)), read: None };
        let rows = author.write(&edit(5));
        let received = reader.receive(rows);
        assert_eq!(view.update(&reader, &received.touched), vec![author.writer]);
        assert!(author.write(&edit(3)).is_empty(), "a lower mark is no change");
        assert_eq!(view.of(&author.writer).delivered, Some(mark(5)));
        let rows = author.write(&Edit::Receipt { delivered: Some(mark(2)), read: Some(mark(2)) });
        let received = reader.receive(rows);
        view.update(&reader, &received.touched);
        assert_eq!(
            view.of(&author.writer),
            Receipt { delivered: Some(mark(5)), read: Some(mark(2)) }
        );
    }

    #[test]
    fn a_receipt_written_back_is_refused() {
        let mut author = Author::new(1, Name::Receipts(0));
        let mut reader = Document::new(author.space, Name::Receipts(0));
        reader.receive(author.write(&Edit::Receipt { delivered: Some(mark(9)), read: None }));
        author.document.marks.clear();
        let rows = author.write(&Edit::Receipt { delivered: Some(mark(4)), read: None });
        let received = reader.receive(rows);
        assert!(matches!(received.refused[0].reason, Reason::Grammar(_)), "{received:?}");
        let mut view = ReceiptsView::default();
        view.update(&reader, &Touched { all: true, ..Touched::default() });
        assert_eq!(view.of(&author.writer).delivered, Some(mark(9)));
    }
}
