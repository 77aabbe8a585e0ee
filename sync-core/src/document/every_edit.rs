//! An example of each kind of edit, for tests that go over all of them.

use sync_protocol::codec::Blob;
use sync_protocol::ids::AccountId;

use super::contacts::Contact;
use super::messages::Attachment;
use super::people::Person;
use super::testing::mark;
use super::{AppOp, Edit, NewMessage, OrderKey, Stamp, Step, vault_key};

/// One edit of each kind. Whatever names a message names this one, or one of its writer's.
pub(crate) fn every_edit(key: OrderKey) -> Vec<Edit> {
    let next = OrderKey { stamp: Stamp { ms: key.stamp.ms + 1, counter: 0 }, tag: key.tag };
    let picture = Attachment {
        blob: [1; 32],
        key: Blob(vec![2; 32]),
        size: 3,
        name: "cat.jpg".into(),
        media_type: "image/jpeg".into(),
    };
    let ada = Contact { name: "Ada".into(), ..Contact::default() };
    let put = AppOp::Put { path: vec![Step::Key("a".into())], value: Blob(b"1".to_vec()) };
    every! { Edit;
        Edit::Message(_) => [Edit::Message(NewMessage {
            key: next,
            text: "another".into(),
            reply_to: Some(key),
            attachments: vec![picture],
            expires_ms: Some(4),
        })],
        Edit::EditMessage { .. } => [Edit::EditMessage { key, text: "changed".into() }],
        Edit::DeleteMessage { .. } => [Edit::DeleteMessage { key }],
        Edit::React { .. } => [Edit::React { key, emoji: Some("👍".into()) }],
        Edit::Receipt { .. } => [Edit::Receipt { delivered: Some(mark(2)), read: Some(mark(1)) }],
        Edit::Setting { .. } => [
            Edit::Setting { key: "theme".into(), value: Some(Blob(b"\"dark\"".to_vec())) }
        ],
        Edit::Contact { .. } => [
            Edit::Contact { account: AccountId::of_root_key(&[7; 32]), contact: Some(ada) }
        ],
        Edit::Vault { .. } => [
            Edit::Vault { key: vault_key("k", b"value"), value: Blob(b"value".to_vec()) }
        ],
        Edit::Person(_) => [Edit::Person(Person { name: "Ada".into(), ..Person::default() })],
        Edit::App { .. } => [Edit::App { ops: vec![put] }],
    }
}

mod tests {
    #![allow(clippy::unwrap_used)]
    use sync_protocol::codec;

    use super::*;
    use crate::document::messages::MessageView;
    use crate::document::testing::Author;
    use crate::document::{EditError, Name, Touched};

    /// One document of each kind that a space may have.
    fn every_name() -> Vec<Name> {
        let app = Name::App(0, "notes".into());
        let own = [Name::Settings, Name::Contacts, Name::Vault(0), Name::People(0)];
        own.into_iter().chain([Name::Messages(0), Name::Receipts(0), app]).collect()
    }

    #[test]
    fn each_edit_has_one_kind_of_document_and_changes_what_others_have_of_it() {
        for edit in every_edit(Author::new(1, Name::Settings).key(0)) {
            let mut taken = Vec::new();
            for name in every_name() {
                let (mut author, mut other) = (Author::new(1, name.clone()), Author::new(2, name));
                let empty = other.document.content_hash();
                match author.document.edit(&author.writer, &edit) {
                    Err(EditError::WrongDocument) => continue,
                    made => assert!(!made.unwrap().is_empty(), "{edit:?}"),
                }
                let rows = author.cut();
                assert!(other.document.receive(rows).refused.is_empty(), "{edit:?}");
                assert_ne!(other.document.content_hash(), empty, "{edit:?}");
                assert_eq!(other.document.content_hash(), author.document.content_hash());
                taken.push(other.document.name().clone());
            }
            assert_eq!(taken.len(), 1, "{edit:?} is taken by {taken:?}");
        }
    }

    #[test]
    fn each_edit_of_a_message_shows() {
        let mut count = 0;
        let key = Author::new(1, Name::Messages(0)).key(0);
        for edit in every_edit(key) {
            let mut author = Author::new(1, Name::Messages(0));
            let first = author.message(0, "first");
            author.write(&first);
            let views = |author: &Author| {
                let mut view = MessageView::default();
                view.update(&author.document, &Touched { all: true, ..Touched::default() });
                let keys: Vec<OrderKey> = view.keys().copied().collect();
                let show = |key: &OrderKey| view.message(key, &|one, other| one == other).unwrap();
                keys.iter().map(show).collect::<Vec<_>>()
            };
            let before = views(&author);
            match author.document.edit(&author.writer, &edit) {
                Err(EditError::WrongDocument) => continue,
                made => drop(made.unwrap()),
            }
            let after = views(&author);
            assert_ne!(after, before, "{edit:?} shows nothing");
            assert!(
                !after.iter().any(|message| message.needs_update),
                "{edit:?} is not understood"
            );
            count += 1;
        }
        assert!(count > 0, "messages take some");
    }

    #[test]
    fn each_edit_comes_out_of_the_journal_as_it_went_in() {
        for edit in every_edit(Author::new(1, Name::Settings).key(0)) {
            let bytes = codec::encode(&edit);
            assert_eq!(codec::decode::<Edit>("edit", &bytes), Ok(edit));
        }
    }
}
