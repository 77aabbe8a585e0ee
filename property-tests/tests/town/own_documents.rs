//! Documents of the engine's own: they hold what people took back, and are not an app's.

use sync_core::Failure;
use sync_core::api::{Command, Response, Space};
use sync_core::document::{AppOp, Step};
use sync_protocol::SpaceId;
use sync_protocol::address::Address;
use sync_protocol::codec::Blob;

use crate::support::Town;
use crate::support::linking::talking;

const OWN: [&str; 7] =
    ["messages/0", "receipts/0", "settings", "contacts", "vault/0", "people/0", "unknown/99/82"];

fn refused(asked: Result<Response, Failure>, name: &str) {
    match asked {
        Err(Failure::Invalid(why)) => assert!(why.contains(name), "{why}"),
        other => panic!("{name}: {other:?}"),
    }
}

fn put(name: &str, conversation: SpaceId) -> Command {
    let path = vec![Step::Key("a".to_owned())];
    let ops = vec![AppOp::Put { path, value: Blob(b"1".to_vec()) }];
    Command::ChangeDocument { space: Space::Conversation(conversation), name: name.to_owned(), ops }
}

#[test]
fn the_engines_own_documents_are_neither_read_nor_written_by_name() {
    let (mut town, id) = talking();
    let space = Space::Conversation(id);
    for own in OWN {
        let name = own.to_owned();
        let read = Command::ReadDocument { space, name: name.clone(), path: Vec::new() };
        refused(town.try_run(0, read), own);
        refused(town.try_run(0, Command::ExportDocument { space, name: name.clone() }), own);
        refused(town.try_run(0, Command::ImportDocument { space, name, bytes: vec![0] }), own);
        refused(town.try_run(0, put(own, id)), own);
    }
    // An app that wants such a name says that it is its own.
    town.run(0, put("app/settings", id));
    town.settle();
    let (name, path) = ("app/settings".to_owned(), vec![Step::Key("a".to_owned())]);
    let read = town.run(1, Command::ReadDocument { space, name, path });
    assert_eq!(read, Response::Value(1.into()));
}

#[test]
fn no_app_of_somebody_who_came_later_is_given_what_was_deleted_or_edited_before() {
    let mut town = Town::new(3);
    let people = town.sign_up_all(0..3);
    town.settle();
    let id = town.found(0, "Tea", &[&people[1]]);
    town.settle();
    let space = Space::Conversation(id);
    let deleted = town.say(0, id, "the deleted text");
    let edited = town.say(0, id, "the text before");
    town.run(0, Command::DeleteMessage { conversation: id, message: deleted });
    let text = "the text after".to_owned();
    town.run(0, Command::EditMessage { conversation: id, message: edited, text });
    town.settle();
    let address: Address = people[2].parse().unwrap();
    town.run(0, Command::AddMember { conversation: id, address, share_history: true });
    town.settle();
    let texts = town.texts(2, id);
    assert!(texts.contains(&"the text after".to_owned()), "{texts:?}");
    let given = format!(
        "{:?} {:?} {:?}",
        town.run(2, Command::ListMessages { conversation: id, before: None, limit: 100 }),
        town.run(2, Command::ListConversations),
        town.try_run(2, Command::ExportDocument { space, name: "messages/0".to_owned() }),
    );
    assert!(!given.contains("the deleted text") && !given.contains("the text before"), "{given}");
}
