//! Who comes in without history has each document as it is: one name, one content, for all.

use serde_json::{Value, json};
use sync_core::Failure;
use sync_core::api::{Command, DocumentsView, Event, Response, Space};
use sync_core::document::{AppOp, Step, Unit};
use sync_protocol::SpaceId;
use sync_protocol::address::Address;
use sync_protocol::codec::Blob;

use crate::support::Town;
use crate::support::linking::link;

const PLAN: &str = "plan";
/// No message of a device is as large as the one by which somebody is added.
const HANDSHAKE: usize = 1_500;

fn blob(value: &Value) -> Blob {
    Blob(value.to_string().into_bytes())
}

fn put(path: &[Step], value: &Value) -> AppOp {
    AppOp::Put { path: path.to_vec(), value: blob(value) }
}

fn insert(path: &[Step], value: &Value) -> AppOp {
    AppOp::Insert { path: path.to_vec(), value: blob(value) }
}

fn change(space: Space, ops: Vec<AppOp>) -> Command {
    Command::ChangeDocument { space, name: PLAN.to_owned(), ops }
}

fn write(town: &mut Town, n: usize, space: Space, key: &str) {
    town.run(n, change(space, vec![put(&[key.into()], &json!(n))]));
}

fn whole(town: &mut Town, n: usize, space: Space) -> Result<Value, Failure> {
    let command = Command::ReadDocument { space, name: PLAN.to_owned(), path: Vec::new() };
    match town.try_run(n, command)? {
        Response::Value(value) => Ok(value),
        other => panic!("{other:?}"),
    }
}

/// All of these show the document, and the same of it, down to their fingerprints.
fn all_show(town: &mut Town, devices: &[usize], space: Space, expected: &Value) {
    town.settle();
    let mut digests = Vec::new();
    for n in devices {
        assert_eq!(whole(town, *n, space).as_ref(), Ok(expected), "device {n}");
        match town.run(*n, Command::Digest { space }) {
            Response::Digest(digest) => {
                digests.push(digest.documents[&"app/plan".to_owned()].clone())
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(digests.windows(2).all(|pair| pair[0] == pair[1]), "{digests:?}");
}

/// Ada and Bob talk, and share a document; Dan is not in yet.
fn sharing() -> (Town, SpaceId, Space) {
    let mut town = Town::new(3);
    let people = town.sign_up_all(0..3);
    town.settle();
    let id = town.found(0, "Tea", &[&people[1]]);
    town.settle();
    let space = Space::Conversation(id);
    write(&mut town, 0, space, "a");
    write(&mut town, 1, space, "b");
    let list = json!(["one", "two", "three"]);
    town.run(0, change(space, vec![put(&["items".into()], &list)]));
    town.settle();
    (town, id, space)
}

fn address(n: usize) -> Address {
    format!("person{n}").parse().unwrap()
}

fn add(town: &mut Town, id: SpaceId, history: bool) {
    let address = address(2);
    let command = Command::AddMember { conversation: id, address, share_history: history };
    town.run(0, command);
    town.settle();
}

#[test]
fn who_is_added_without_history_has_the_document_as_it_is_and_goes_on_with_all() {
    for history in [false, true] {
        let (mut town, id, space) = sharing();
        add(&mut town, id, history);
        let items = json!(["one", "two", "three"]);
        all_show(&mut town, &[0, 1, 2], space, &json!({ "a": 0, "b": 1, "items": items }));
        for n in [2, 1, 0] {
            town.run(n, change(space, vec![insert(&["items".into(), 1.into()], &json!(n))]));
            town.settle();
        }
        let items = json!(["one", 0, 1, 2, "two", "three"]);
        all_show(&mut town, &[0, 1, 2], space, &json!({ "a": 0, "b": 1, "items": items }));
        for n in [0, 1, 2] {
            town.restart(n);
        }
        town.settle();
        all_show(&mut town, &[0, 1, 2], space, &json!({ "a": 0, "b": 1, "items": items }));
    }
}

#[test]
fn a_device_that_is_linked_without_history_has_the_document_as_it_is() {
    let (mut town, _, space) = sharing();
    town.run(0, change(Space::Account, vec![put(&["own".into()], &json!(1))]));
    let (laptop, _) = link(&mut town, 0, false);
    town.pass(5_000);
    write(&mut town, laptop, space, "l");
    write(&mut town, 1, space, "b2");
    let items = json!(["one", "two", "three"]);
    let expected = json!({ "a": 0, "b": 1, "b2": 1, "l": laptop, "items": items });
    all_show(&mut town, &[0, 1, laptop], space, &expected);
    all_show(&mut town, &[0, laptop], Space::Account, &json!({ "own": 1 }));
}

#[test]
fn what_was_written_offline_across_the_beginning_of_an_era_is_there_once() {
    let (mut town, id, space) = sharing();
    town.run(1, Command::GoOffline);
    town.run(1, change(space, vec![insert(&["items".into(), 3.into()], &json!("bob's"))]));
    town.run(1, change(space, vec![AppOp::Delete { path: vec!["items".into(), 1.into()] }]));
    write(&mut town, 1, space, "offline");
    town.run(0, change(space, vec![AppOp::Delete { path: vec!["items".into(), 0.into()] }]));
    add(&mut town, id, false);
    write(&mut town, 2, space, "d");
    town.restart(1);
    town.settle();
    let expected = json!({
        "a": 0, "b": 1, "d": 2, "offline": 1, "items": ["three", "bob's"],
    });
    all_show(&mut town, &[0, 1, 2], space, &expected);
}

#[test]
fn what_two_began_alike_offline_is_one_after_the_beginning_of_an_era_too() {
    let (mut town, id, space) = sharing();
    let begin = |n: usize| {
        let path = vec!["votes".into()];
        let ensure = AppOp::Ensure { path: path.clone(), value: blob(&json!([])) };
        change(space, vec![ensure, insert(&["votes".into(), 0.into()], &json!(n))])
    };
    town.run(1, Command::GoOffline);
    town.run(1, begin(1));
    town.run(0, Command::GoOffline);
    town.run(0, begin(0));
    town.run(0, Command::GoOnline);
    add(&mut town, id, false);
    town.run(1, Command::GoOnline);
    town.settle();
    let Ok(value) = whole(&mut town, 2, space) else { panic!() };
    let votes = value["votes"].as_array().unwrap().len();
    assert_eq!(votes, 2, "{value}");
    all_show(&mut town, &[0, 1, 2], space, &value);
}

#[test]
fn nothing_is_shown_and_nothing_taken_before_the_documents_were_handed_over() {
    let (mut town, id, space) = sharing();
    let address = address(2);
    // Dan comes in, and nothing more of those who could hand over reaches the relay.
    town.devices[0].largest = 0;
    town.tell(0, Command::AddMember { conversation: id, address, share_history: false });
    while town.devices[0].largest < HANDSHAKE {
        town.exchange();
    }
    for n in [0, 1] {
        town.devices[n].loses = |_, _| true;
    }
    town.pass(20_000);
    assert_eq!(whole(&mut town, 2, space), Err(Failure::Waiting));
    let refused = town.try_run(2, change(space, vec![put(&["x".into()], &json!(1))]));
    assert_eq!(refused, Err(Failure::Waiting));
    let listed = town.run(2, Command::ListDocuments { space });
    let none = DocumentsView { documents: Vec::new(), waiting: true };
    assert_eq!(listed, Response::Documents(none));
    town.devices[2].events.clear();
    for n in [0, 1] {
        town.devices[n].loses = |_, _| false;
        town.cut(n);
    }
    let expected = json!({ "a": 0, "b": 1, "items": ["one", "two", "three"] });
    all_show(&mut town, &[0, 1, 2], space, &expected);
    let names: Vec<&str> = town.devices[2]
        .events
        .iter()
        .filter_map(|event| match event {
            Event::Document { name, .. } => Some(name.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(names, ["app/plan", ""]);
}

#[test]
fn a_document_that_is_larger_than_a_part_comes_whole() {
    let (mut town, id, space) = sharing();
    let long = "ä".repeat(20_000);
    for n in 0..4 {
        town.run(0, change(space, vec![put(&[format!("t{n}").into()], &json!({ "$text": long }))]));
        let rows: Vec<Value> = (0..200).map(|i| json!({ "i": i, "done": false })).collect();
        town.run(1, change(space, vec![put(&[format!("l{n}").into()], &json!(rows))]));
    }
    town.settle();
    let before = whole(&mut town, 1, space).unwrap();
    add(&mut town, id, false);
    all_show(&mut town, &[0, 1, 2], space, &before);
}

#[test]
fn several_eras_in_a_row_lose_nothing() {
    let (mut town, id, space) = sharing();
    add(&mut town, id, false);
    write(&mut town, 2, space, "d");
    let (laptop, _) = link(&mut town, 1, false);
    let (tablet, _) = link(&mut town, 0, false);
    town.pass(5_000);
    for n in [laptop, tablet] {
        write(&mut town, n, space, &format!("n{n}"));
    }
    let mut expected = json!({ "a": 0, "b": 1, "d": 2, "items": ["one", "two", "three"] });
    expected[format!("n{laptop}")] = json!(laptop);
    expected[format!("n{tablet}")] = json!(tablet);
    all_show(&mut town, &[0, 1, 2, laptop, tablet], space, &expected);
}

#[test]
fn what_was_changed_offline_across_the_beginning_of_an_era_is_changed_in_the_rows_that_were_meant()
{
    let (mut town, id, space) = sharing();
    let rows = json!([{ "n": 0 }, { "n": 1 }, { "n": 2 }]);
    town.run(0, change(space, vec![put(&["rows".into()], &rows)]));
    town.settle();
    town.run(1, Command::GoOffline);
    town.run(1, change(space, vec![put(&["rows".into(), 1.into(), "done".into()], &json!(true))]));
    add(&mut town, id, false);
    // In the new era, while Bob is away.
    town.run(0, change(space, vec![insert(&["rows".into(), 0.into()], &json!({ "n": 9 }))]));
    town.settle();
    town.run(1, Command::GoOnline);
    let items = json!(["one", "two", "three"]);
    let rows = json!([{ "n": 9 }, { "n": 0 }, { "n": 1, "done": true }, { "n": 2 }]);
    all_show(
        &mut town,
        &[0, 1, 2],
        space,
        &json!({ "a": 0, "b": 1, "items": items, "rows": rows }),
    );
}

#[test]
fn what_two_devices_typed_offline_across_the_beginning_of_an_era_doubles_nothing() {
    let (mut town, id, space) = sharing();
    town.run(0, change(space, vec![put(&["text".into()], &json!({ "$text": "middle" }))]));
    let (laptop, _) = link(&mut town, 1, true);
    town.pass(5_000);
    town.settle();
    for n in [1, laptop] {
        town.run(n, Command::GoOffline);
        for (index, text) in [(0, format!("<{n} ")), (9, format!(" {n}>"))] {
            let path = vec!["text".into()];
            let unit = Unit::Characters;
            let splice = AppOp::SpliceText { path, index, delete: 0, insert: text, unit };
            town.run(n, change(space, vec![splice]));
        }
    }
    add(&mut town, id, false);
    for n in [1, laptop] {
        town.run(n, Command::GoOnline);
    }
    town.settle();
    let shown = whole(&mut town, 2, space).unwrap();
    let text = shown["text"].as_str().unwrap();
    assert_eq!(text.matches("middle").count(), 1, "{text}");
    all_show(&mut town, &[0, 1, 2, laptop], space, &shown);
}
