//! Names of documents: an app's are the app's, whatever they say, and the engine's own, which hold what
//! people took back, have none that an app could say.

use serde_json::json;
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

fn put(name: &str, conversation: SpaceId) -> Command {
    let path = vec![Step::Key("a".to_owned())];
    let ops = vec![AppOp::Put { path, value: Blob(b"1".to_vec()) }];
    Command::ChangeDocument { space: Space::Conversation(conversation), name: name.to_owned(), ops }
}

#[test]
fn a_name_of_the_engines_own_is_just_a_name_to_an_app() {
    let (mut town, id) = talking();
    town.say(0, id, "not for apps");
    town.settle();
    let space = Space::Conversation(id);
    let read =
        |name: &str| Command::ReadDocument { space, name: name.to_owned(), path: Vec::new() };
    for name in OWN {
        assert_eq!(town.run(0, read(name)), Response::Value(json!({})), "{name}");
        let own = Command::ReadDocument {
            space: Space::Account,
            name: name.to_owned(),
            path: Vec::new(),
        };
        assert_eq!(town.run(0, own), Response::Value(json!({})), "{name}");
        town.run(0, put(name, id));
    }
    // Nor is one another's, whatever it is called in full.
    town.run(0, put("app/plan", id));
    town.settle();
    assert_eq!(town.run(1, read("plan")), Response::Value(json!({})));
    for name in OWN {
        assert_eq!(town.run(1, read(name)), Response::Value(json!({ "a": 1 })), "{name}");
    }
    // What is listed opens by the name that it is listed by.
    let Response::Documents(list) = town.run(1, Command::ListDocuments { space }) else {
        panic!("no list")
    };
    assert_eq!(list.documents.len(), OWN.len() + 1);
    for document in list.documents {
        assert_eq!(town.run(1, read(&document.name)), Response::Value(json!({ "a": 1 })));
    }
    let said = town.texts(1, id).pop();
    assert_eq!(said.as_deref(), Some("not for apps"), "and the engine's own are what they were");
}

#[test]
fn what_can_be_no_name_is_refused_by_each_call() {
    let (mut town, id) = talking();
    let space = Space::Conversation(id);
    for name in ["", ".", "a\nb", "\u{0}", &"x".repeat(124), &"é".repeat(62), &"x".repeat(10_240)]
    {
        let name = name.to_owned();
        let all = [
            Command::ReadDocument { space, name: name.clone(), path: Vec::new() },
            Command::ExportDocument { space, name: name.clone() },
            Command::ImportDocument { space, name: name.clone(), bytes: vec![0] },
            Command::RenameDocument { space, name: name.clone(), title: None },
            Command::ArchiveDocument { space, name: name.clone(), archived: true },
            Command::DeleteDocument { space, name: name.clone() },
            Command::SetPresence { space, name: name.clone(), state: 1.into() },
            put(&name, id),
        ];
        for command in all {
            let refused = town.try_run(0, command);
            assert!(matches!(refused, Err(Failure::Invalid(_))), "{name}: {refused:?}");
        }
    }
    town.run(0, put(&"x".repeat(123), id));
}

#[test]
fn people_call_a_document_what_they_like_and_apps_open_it_by_its_name() {
    let (mut town, id) = talking();
    let space = Space::Conversation(id);
    town.run(0, put("plan", id));
    let title = |title: &str| Command::RenameDocument {
        space,
        name: "plan".to_owned(),
        title: Some(title.to_owned()),
    };
    let titles = |town: &mut Town, n: usize| match town.run(n, Command::ListDocuments { space }) {
        Response::Documents(list) => list.documents.into_iter().map(|view| view.title).collect(),
        other => panic!("{other:?}"),
    };
    let titles = |town: &mut Town, n: usize| -> Vec<Option<String>> { titles(town, n) };
    town.settle();
    assert_eq!(titles(&mut town, 1), [None]);
    town.run(0, title("  The plan 😀 "));
    town.settle();
    assert_eq!(titles(&mut town, 1), [Some("The plan 😀".to_owned())]);
    // Two at once: one title, the same for both.
    town.run(0, title("Mine"));
    town.run(1, title("Theirs"));
    town.settle();
    let shown = titles(&mut town, 0);
    assert!(
        shown == [Some("Mine".to_owned())] || shown == [Some("Theirs".to_owned())],
        "{shown:?}"
    );
    assert_eq!(titles(&mut town, 1), shown);
    for bad in ["", "  ", "a\nb", "\u{200b}", &"x".repeat(257)] {
        let refused = town.try_run(0, title(bad));
        assert!(refused.is_err(), "{bad:?}: {refused:?}");
    }
    town.run(1, Command::RenameDocument { space, name: "plan".to_owned(), title: None });
    town.settle();
    assert_eq!(titles(&mut town, 0), [None]);
    let read = Command::ReadDocument { space, name: "plan".to_owned(), path: Vec::new() };
    assert_eq!(town.run(0, read), Response::Value(json!({ "a": 1 })));
    // One that was deleted, and begins anew under its name, has none of what was said of it.
    town.run(0, title("Old"));
    let name = "plan".to_owned();
    town.run(0, Command::ArchiveDocument { space, name: name.clone(), archived: true });
    town.run(0, Command::DeleteDocument { space, name });
    town.settle();
    assert!(titles(&mut town, 1).is_empty());
    town.run(1, put("plan", id));
    town.settle();
    let Response::Documents(list) = town.run(0, Command::ListDocuments { space }) else {
        panic!("no list")
    };
    let [document] = list.documents.as_slice() else { panic!("{list:?}") };
    assert_eq!((&document.title, document.archived), (&None, false));
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
        town.run(2, Command::ExportDocument { space, name: "messages/0".to_owned() }),
    );
    assert!(!given.contains("the deleted text") && !given.contains("the text before"), "{given}");
}
