//! An example of each kind of edit, for tests that go over all of them.

use sync_protocol::codec::Blob;
use sync_protocol::ids::AccountId;

use super::contacts::Contact;
use super::messages::Attachment;
use super::people::Person;
use super::testing::mark;
use super::{AppOp, Edit, NewMessage, OrderKey, Stamp, Step, vault_key};

/// A message with all that can be in it.
pub(crate) fn whole_message(key: OrderKey, reply_to: OrderKey) -> NewMessage {
    let picture = Attachment {
        blob: [1; 32],
        key: Blob(vec![2; 32]),
        size: 3,
        name: "cat.jpg".into(),
        media_type: "image/jpeg".into(),
    };
    NewMessage {
        key,
        text: "another".into(),
        reply_to: Some(reply_to),
        attachments: vec![picture],
        expires_ms: Some(4),
    }
}

/// One edit of each kind. Whatever names a message names this one, or one of its writer's.
pub(crate) fn every_edit(key: OrderKey) -> Vec<Edit> {
    let next = OrderKey { stamp: Stamp { ms: key.stamp.ms + 1, counter: 0 }, tag: key.tag };
    let ada = Contact { name: "Ada".into(), ..Contact::default() };
    let put = AppOp::Put { path: vec![Step::Key("a".into())], value: Blob(b"1".to_vec()) };
    every! { Edit;
        Edit::Message(_) => [Edit::Message(whole_message(next, key))],
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
    use minicbor::Decoder;
    use sync_protocol::codec;
    use sync_protocol::text::HEX;

    use super::*;
    use crate::document::grammar::EntryKey;
    use crate::document::messages::MessageView;
    use crate::document::testing::Author;
    use crate::document::{EditError, Name, Touched};

    const PROTOCOL: &str = include_str!("../../../docs/protocol.md");
    /// Edits as journals of this and of earlier versions hold them, a line each.
    const JOURNALLED: &str = include_str!("journalled.txt");

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
            author.write(&Edit::Message(whole_message(key, key)));
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

    /// A device that is brought up to date has edits in its journal that an earlier version wrote: a
    /// field that is new must be one that may be missing (`#[cbor(default)]`).
    #[test]
    fn edits_that_earlier_versions_journalled_can_be_read() {
        let key = OrderKey { stamp: Stamp { ms: 1, counter: 2 }, tag: [3; 6] };
        let now: Vec<String> =
            every_edit(key).iter().map(|edit| HEX.encode(codec::encode(edit))).collect();
        let new: Vec<&String> =
            now.iter().filter(|line| !JOURNALLED.lines().any(|known| known == *line)).collect();
        if std::env::var_os("REJOINDER_WRITE_VECTORS").is_some() {
            let path = format!("{}/src/document/journalled.txt", env!("CARGO_MANIFEST_DIR"));
            let lines = new.iter().map(|line| format!("{line}\n"));
            return std::fs::write(path, JOURNALLED.to_owned() + &lines.collect::<String>())
                .unwrap();
        }
        for line in JOURNALLED.lines() {
            let read = codec::decode::<Edit>("edit", &HEX.decode(line).unwrap());
            assert!(read.is_ok(), "{line}: {read:?}");
        }
        assert!(
            new.is_empty(),
            "add these lines to document/journalled.txt, and take none away: {new:#?}"
        );
    }

    #[test]
    fn what_an_edit_of_a_message_writes_stands_in_the_protocol() {
        let key = Author::new(1, Name::Messages(0)).key(0);
        for edit in every_edit(key) {
            let mut author = Author::new(1, Name::Messages(0));
            let Ok(touched) = author.document.edit(&author.writer, &edit) else { continue };
            for written in touched.keys {
                let letter = EntryKey::parse(&written).unwrap().kind;
                let begins = letter.map_or("| order key | ".to_owned(), |letter| {
                    format!("| order key, `{letter}`, tag | ")
                });
                let row = PROTOCOL.lines().find(|line| line.starts_with(&begins));
                let row =
                    row.unwrap_or_else(|| panic!("docs/protocol.md has no {begins}: {edit:?}"));
                let bytes = author.document.entry(&written).unwrap().bytes;
                let mut decoder = Decoder::new(&bytes);
                for _ in 0..decoder.map().unwrap().unwrap() {
                    let field = decoder.u32().unwrap();
                    decoder.skip().unwrap();
                    let named = ["{", ", "].iter().any(|at| row.contains(&format!("{at}{field} ")));
                    assert!(named, "docs/protocol.md has no field {field}: {row}");
                }
            }
        }
    }
}
