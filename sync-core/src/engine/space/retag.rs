//! Edits that were never sent, made again under another writer.

use sync_protocol::WriterId;

use crate::document::{Edit, OrderKey};
use crate::engine::rows::JournalRow;

/// Messages written as somebody else's become the present writer's, and so does every word about
/// them.
pub(super) fn retag(rows: &mut [JournalRow], writer: &WriterId) {
    let tag = writer.tag();
    let mut renamed: Vec<OrderKey> = Vec::new();
    for row in rows.iter() {
        if let Edit::Message(message) = &row.edit {
            renamed.push(message.key);
        }
    }
    let rename = |key: &mut OrderKey| {
        if renamed.contains(key) {
            key.tag = tag;
        }
    };
    for row in rows {
        match &mut row.edit {
            Edit::Message(message) => {
                rename(&mut message.key);
                message.reply_to.iter_mut().for_each(rename);
            }
            Edit::EditMessage { key, .. }
            | Edit::DeleteMessage { key }
            | Edit::React { key, .. } => {
                rename(key);
            }
            // These name no message.
            Edit::Receipt { .. }
            | Edit::Setting { .. }
            | Edit::Contact { .. }
            | Edit::Vault { .. }
            | Edit::Person(_)
            | Edit::App { .. } => {}
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use sync_protocol::codec;

    use super::*;
    use crate::document::every_edit::every_edit;
    use crate::document::messages::MessageView;
    use crate::document::testing::{Author, writer};
    use crate::document::{EditError, Name, NewMessage, Touched};

    fn row(edit: Edit) -> JournalRow {
        JournalRow { name: Name::Messages(0), edit, read: None }
    }

    /// How often a writer's tag stands in what is kept of an edit.
    fn count(edit: &Edit, writer: &WriterId) -> usize {
        let bytes = codec::encode(edit);
        bytes.windows(6).filter(|window| *window == writer.tag()).count()
    }

    #[test]
    fn every_edit_of_a_message_that_is_written_again_names_it_as_it_is_called_then() {
        let mut author = Author::new(2, Name::Messages(0));
        let old = writer(1);
        let key = OrderKey { tag: old.tag(), ..author.key(0) };
        for edit in every_edit(key) {
            let named = format!("{edit:?}").matches("OrderKey(").count();
            assert_eq!(count(&edit, &old), named, "{edit:?} has other messages than its writer's");
            let first = Edit::Message(NewMessage::new(key, "first"));
            let mut rows = [row(first), row(edit)];
            retag(&mut rows, &author.writer);
            let [first, edit] = rows.map(|row| row.edit);
            assert_eq!(count(&edit, &old), 0, "{edit:?} names what there is no more");
            assert_eq!(count(&edit, &author.writer), named, "{edit:?}");
            author.document.edit(&author.writer, &first).unwrap();
            match author.document.edit(&author.writer, &edit) {
                Ok(_) | Err(EditError::WrongDocument) => {}
                Err(error) => panic!("{edit:?}: {error}"),
            }
        }
        let mut view = MessageView::default();
        view.update(&author.document, &Touched { all: true, ..Touched::default() });
        let message = view.message(&author.key(0), &|one, other| one == other).unwrap();
        assert_eq!(message.writer, author.writer);
        assert!(message.deleted && message.edited, "what was said of it shows");
    }

    #[test]
    fn what_is_said_of_others_messages_goes_on_naming_them() {
        let old = writer(1);
        let key = OrderKey { tag: old.tag(), ..Author::new(2, Name::Messages(0)).key(0) };
        for edit in every_edit(key) {
            // A message is its writer's own.
            let own = usize::from(matches!(edit, Edit::Message(_)));
            let named = count(&edit, &old);
            let mut rows = [row(edit)];
            retag(&mut rows, &writer(2));
            assert_eq!(count(&rows[0].edit, &old), named - own);
        }
    }
}
