//! What a device has on its disk, read without its engine.

use sync_core::document::{Document, Name, Row};
use sync_core::records::{Load, Records};
use sync_protocol::{SpaceId, codec};

/// A document as a device has it, to be looked at or written on: of the records under its prefix.
///
/// # Panics
/// If the records are none of this document.
#[must_use]
pub fn document(space: SpaceId, name: &Name, read: impl FnOnce(&[u8]) -> Records) -> Document {
    let prefix = Load::Document(space, name.clone()).prefix();
    let records = read(&prefix);
    let is_snapshot = |key: &[u8]| key.get(prefix.len()) == Some(&b'a');
    let rows = records.iter().filter(|(key, _)| !is_snapshot(key));
    let rows: Vec<Row> =
        rows.map(|(_, row)| codec::decode("row", row).expect("a document's row")).collect();
    let snapshot = records.iter().find(|(key, _)| is_snapshot(key));
    let snapshot = snapshot.map(|(_, bytes)| bytes.as_slice());
    Document::load(space, name.clone(), snapshot, rows).expect("a document's records").0
}
