//! Readers and commenters: what they may not write is refused to them, and counts on no device.

use serde_json::{Value, json};
use sync_core::Failure;
use sync_core::api::{Command, Member, Response, Space};
use sync_core::document::{AppOp, OrderKey, Step};
use sync_protocol::SpaceId;
use sync_protocol::address::Address;
use sync_protocol::codec::Blob;
use sync_protocol::roster::Role;

use crate::support::Town;
use crate::support::linking::link;

/// Ada is an admin, Bob and Cat are members, Dan is not in yet.
fn sharing() -> (Town, SpaceId) {
    let mut town = Town::new(4);
    let people = town.sign_up_all(0..4);
    town.settle();
    let id = town.found(0, "Tea", &[&people[1], &people[2]]);
    town.settle();
    for n in 0..3 {
        write(&mut town, n, id, &format!("of {n}")).unwrap();
        town.say(n, id, &format!("from {n}"));
        town.settle();
    }
    (town, id)
}

fn address(n: usize) -> Address {
    format!("person{n}").parse().unwrap()
}

fn put(id: SpaceId, key: &str) -> Command {
    let ops = vec![AppOp::Put { path: vec![Step::from(key)], value: Blob(b"1".to_vec()) }];
    Command::ChangeDocument { space: Space::Conversation(id), name: "plan".to_owned(), ops }
}

fn write(town: &mut Town, n: usize, id: SpaceId, key: &str) -> Result<Response, Failure> {
    town.try_run(n, put(id, key))
}

fn keys(town: &mut Town, n: usize, id: SpaceId) -> Vec<String> {
    let (space, name) = (Space::Conversation(id), "plan".to_owned());
    match town.run(n, Command::ReadDocument { space, name, path: Vec::new() }) {
        Response::Value(Value::Object(fields)) => fields.keys().cloned().collect(),
        other => panic!("{other:?}"),
    }
}

fn makes(town: &mut Town, n: usize, id: SpaceId, role: Role) {
    let member = Member::Address(address(n));
    town.run(0, Command::SetRole { conversation: id, member, role });
    town.settle();
}

fn role(town: &mut Town, n: usize, id: SpaceId, of: usize) -> Role {
    let Response::Conversations(list) = town.run(n, Command::ListConversations) else { panic!() };
    let view = list.into_iter().find(|view| view.conversation == id).unwrap();
    let member =
        view.members.into_iter().find(|m| m.address == Some(address(of).to_string())).unwrap();
    member.role
}

/// These show the same, down to the fingerprints, also after they were started anew.
fn agree(town: &mut Town, devices: &[usize], id: SpaceId) {
    for round in 0..2 {
        town.settle();
        let first = (keys(town, devices[0], id), town.texts(devices[0], id));
        for n in &devices[1..] {
            assert_eq!((keys(town, *n, id), town.texts(*n, id)), first, "device {n}, {round}");
        }
        let digests: Vec<_> = devices.iter().map(|n| town.digest(*n, id)).collect();
        for (n, digest) in devices.iter().zip(&digests) {
            assert_eq!(digest.documents, digests[0].documents, "device {n}, {round}");
            assert_eq!(digest.view, digests[0].view, "device {n}, {round}");
            assert_eq!(digest.frontier, digests[0].frontier, "device {n}, {round}");
        }
        devices.iter().for_each(|n| town.restart(*n));
    }
}

fn all_writes(town: &mut Town, id: SpaceId, message: OrderKey) -> Vec<(Command, bool)> {
    let (space, name) = (Space::Conversation(id), "plan".to_owned());
    let bytes = match town.run(0, Command::ExportDocument { space, name: name.clone() }) {
        Response::Bytes(bytes) => bytes,
        other => panic!("{other:?}"),
    };
    let (conversation, text) = (id, "no".to_owned());
    let other = "other".to_owned();
    vec![
        (put(id, "no"), false),
        (Command::RenameDocument { space, name: name.clone(), title: Some(text.clone()) }, false),
        (Command::ArchiveDocument { space, name: name.clone(), archived: true }, false),
        (Command::DeleteDocument { space, name }, false),
        (Command::ImportDocument { space, name: other, bytes }, false),
        (Command::SendMessage { conversation, text, reply_to: None }, true),
        (Command::React { conversation, message, emoji: Some("👍".to_owned()) }, true),
    ]
}

#[test]
fn who_may_not_write_is_refused_each_call_that_writes_and_reads_all() {
    let (mut town, id) = sharing();
    let message = town.say(0, id, "to all");
    for (n, as_what) in [(1, Role::Commenter), (2, Role::Reader)] {
        makes(&mut town, n, id, as_what);
        for n in 0..3 {
            assert_eq!(
                role(&mut town, n, id, if as_what == Role::Reader { 2 } else { 1 }),
                as_what
            );
        }
    }
    for (n, comments) in [(1, true), (2, false)] {
        for (command, is_message) in all_writes(&mut town, id, message) {
            let text = format!("{command:?}");
            let answer = town.try_run(n, command);
            if is_message && comments {
                assert!(answer.is_ok(), "{text}: {answer:?}");
            } else {
                assert!(matches!(answer, Err(Failure::Denied(_))), "{text}: {answer:?}");
            }
        }
        let role = Command::SetRole {
            conversation: id,
            member: Member::Address(address(n)),
            role: Role::Admin,
        };
        assert!(matches!(town.try_run(n, role), Err(Failure::Denied(_))));
        town.run(n, Command::MarkRead { conversation: id, message });
        let presence = Command::SetPresence {
            space: Space::Conversation(id),
            name: "plan".to_owned(),
            state: json!(1),
        };
        town.run(n, presence);
    }
    write(&mut town, 0, id, "by ada").unwrap();
    agree(&mut town, &[0, 1, 2], id);
    assert_eq!(keys(&mut town, 2, id), ["by ada", "of 0", "of 1", "of 2"]);
    let Response::Messages(list) =
        town.run(0, Command::ListMessages { conversation: id, before: None, limit: 10 })
    else {
        panic!()
    };
    let shown = list.iter().find(|view| view.message == message).unwrap();
    assert_eq!(shown.read.len(), 2, "they say what they have read");
    for n in [1, 2] {
        makes(&mut town, n, id, Role::Member);
        write(&mut town, n, id, &format!("again {n}")).unwrap();
        town.say(n, id, "again");
    }
    agree(&mut town, &[0, 1, 2], id);
    assert_eq!(keys(&mut town, 0, id), ["again 1", "again 2", "by ada", "of 0", "of 1", "of 2"]);
}

#[test]
fn what_was_written_before_its_author_knew_counts_on_no_device_nor_on_its_own() {
    for (role, says) in [(Role::Reader, false), (Role::Commenter, true)] {
        let (mut town, id) = sharing();
        town.run(1, Command::GoOffline);
        for round in 0..3 {
            write(&mut town, 1, id, &format!("offline {round}")).unwrap();
            town.say(1, id, &format!("offline {round}"));
        }
        makes(&mut town, 1, id, role);
        write(&mut town, 0, id, "by ada").unwrap();
        assert!(keys(&mut town, 1, id).contains(&"offline 0".to_owned()), "it knows no better");
        town.run(1, Command::GoOnline);
        town.settle();
        agree(&mut town, &[0, 1, 2], id);
        assert_eq!(keys(&mut town, 1, id), ["by ada", "of 0", "of 1", "of 2"]);
        let said = town.texts(1, id).contains(&"offline 0".to_owned());
        assert_eq!(said, says);
        // Who comes later, with all that was written before or without, comes to the same.
        let later =
            Command::AddMember { conversation: id, address: address(3), share_history: true };
        town.run(0, later);
        town.settle();
        let (laptop, _) = link(&mut town, 2, true);
        town.pass(5_000);
        agree(&mut town, &[0, 1, 2, 3, laptop], id);
        let (phone, _) = link(&mut town, 1, true);
        town.pass(5_000);
        assert!(matches!(write(&mut town, phone, id, "no"), Err(Failure::Denied(_))));
        makes(&mut town, 1, id, Role::Member);
        for n in [1, phone, 3, laptop] {
            write(&mut town, n, id, &format!("at last {n}")).unwrap();
        }
        agree(&mut town, &[0, 1, 2, 3, laptop, phone], id);
        assert!(keys(&mut town, 0, id).contains(&format!("at last {phone}")));
    }
}

#[test]
fn documents_are_handed_over_by_who_may_write_them() {
    let (mut town, id) = sharing();
    makes(&mut town, 1, id, Role::Reader);
    makes(&mut town, 2, id, Role::Commenter);
    let add = Command::AddMember { conversation: id, address: address(3), share_history: false };
    town.run(0, add);
    town.settle();
    write(&mut town, 3, id, "by dan").unwrap();
    town.settle();
    for n in 0..4 {
        assert_eq!(keys(&mut town, n, id), ["by dan", "of 0", "of 1", "of 2"]);
    }
    // A device of a reader's comes in without history: nobody else can hand over but who may.
    let (laptop, _) = link(&mut town, 1, false);
    town.pass(5_000);
    write(&mut town, 0, id, "by ada").unwrap();
    town.settle();
    for n in [0, 1, 2, 3, laptop] {
        assert_eq!(keys(&mut town, n, id), ["by ada", "by dan", "of 0", "of 1", "of 2"]);
        assert_eq!(town.digest(n, id).documents[&"app/plan".to_owned()], {
            town.digest(0, id).documents[&"app/plan".to_owned()].clone()
        });
    }
    assert!(matches!(write(&mut town, laptop, id, "no"), Err(Failure::Denied(_))));
}

#[test]
fn when_the_last_admin_goes_somebody_who_may_do_most_takes_over() {
    let (mut town, id) = sharing();
    let add = Command::AddMember { conversation: id, address: address(3), share_history: true };
    town.run(0, add);
    town.settle();
    for (n, role) in [(1, Role::Reader), (2, Role::Reader), (3, Role::Commenter)] {
        makes(&mut town, n, id, role);
    }
    town.run(0, Command::Leave { conversation: id });
    town.settle();
    for n in 1..4 {
        assert_eq!(role(&mut town, n, id, 3), Role::Admin);
        assert_eq!(role(&mut town, n, id, 1), Role::Reader);
    }
    write(&mut town, 3, id, "by dan").unwrap();
    assert!(write(&mut town, 1, id, "no").is_err());
    agree(&mut town, &[1, 2, 3], id);
}
