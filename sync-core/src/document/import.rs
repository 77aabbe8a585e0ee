//! A document's way in and out as a file.

use automerge::{AutoCommit, Change, LoadOptions, OnPartialLoad, TextEncoding};
use sync_protocol::limits;

use super::carried::{difference, edits_of};
use super::json::{Style, whole};
use super::{Document, DocumentError, Edit};

impl Document {
    /// The document as `.automerge` bytes that any Automerge build opens. What is not cut yet is
    /// in it; it becomes a change of its own, to be cut as usual.
    pub fn export(&mut self) -> Vec<u8> {
        self.close();
        self.doc.save()
    }

    /// The edits that bring in what `.automerge` bytes say: what a fork of this document has beside
    /// it, merged as Automerge merges, and into a document without content all of the file's. The
    /// file's history stays behind, since its changes are other actors'. Apply them with
    /// [`Document::edit`], in order.
    ///
    /// # Errors
    /// `BadImport`: not an Automerge document, or larger than `DOCUMENT_IMPORT`. `EmptyImport`: it
    /// holds nothing. `ForeignImport`: both hold something, and nothing in common.
    pub fn import(&mut self, bytes: &[u8]) -> Result<Vec<Edit>, DocumentError> {
        if bytes.len() > limits::DOCUMENT_IMPORT {
            return Err(DocumentError::BadImport);
        }
        let options = LoadOptions::new()
            .on_partial_load(OnPartialLoad::Error)
            .text_encoding(TextEncoding::UnicodeCodePoint);
        let mut file =
            AutoCommit::load_with_options(bytes, options).map_err(|_| DocumentError::BadImport)?;
        let changes = file.get_changes(&[]);
        if changes.is_empty() {
            return Err(DocumentError::EmptyImport);
        }
        self.close();
        let before = self.content_now();
        let shares = changes.iter().any(|change| self.history.contains(&change.hash().0));
        let now = if shares {
            self.merged(changes)?
        } else if self.history.len() == 0
            || before.as_object().is_some_and(serde_json::Map::is_empty)
        {
            whole(&file, Style::Tagged)
        } else {
            return Err(DocumentError::ForeignImport);
        };
        Ok(edits_of(difference(&before, &now)))
    }

    /// What this document and others' changes to it come to.
    fn merged(&mut self, changes: Vec<Change>) -> Result<serde_json::Value, DocumentError> {
        let mut doc = self.rebuilt(|_| true);
        doc.apply_changes(changes).map_err(|_| DocumentError::BadImport)?;
        Ok(whole(&doc, Style::Tagged))
    }
}
