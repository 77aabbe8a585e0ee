//! A document that was deleted is none, whatever others wrote in it at the same moment, until somebody
//! begins it anew.

use serde_json::{Value, json};
use sync_core::Failure;
use sync_core::api::{Command, Response, Space};
use sync_core::document::AppOp;
use sync_protocol::codec::Blob;

use crate::support::Town;
use crate::support::linking::talking;

const PLAN: &str = "plan";

fn put(key: &str, value: &Value) -> AppOp {
    AppOp::Put { path: vec![key.into()], value: Blob(value.to_string().into_bytes()) }
}

fn change(space: Space, ops: Vec<AppOp>) -> Command {
    Command::ChangeDocument { space, name: PLAN.to_owned(), ops }
}

fn whole(town: &mut Town, n: usize, space: Space) -> Value {
    match town.run(n, Command::ReadDocument { space, name: PLAN.to_owned(), path: Vec::new() }) {
        Response::Value(value) => value,
        other => panic!("{other:?}"),
    }
}

fn export(town: &mut Town, n: usize, space: Space) -> Vec<u8> {
    match town.run(n, Command::ExportDocument { space, name: PLAN.to_owned() }) {
        Response::Bytes(bytes) => bytes,
        other => panic!("{other:?}"),
    }
}

fn import(space: Space, name: &str, bytes: Vec<u8>) -> Command {
    Command::ImportDocument { space, name: name.to_owned(), bytes }
}

/// Ada has deleted what Bob wrote in at the same moment. With the file that it was before.
fn deleted() -> (Town, Space, Vec<u8>) {
    let (mut town, id) = talking();
    let space = Space::Conversation(id);
    town.run(0, change(space, vec![put("a", &json!(1)), put("list", &json!(["x", "y"]))]));
    town.settle();
    let file = export(&mut town, 0, space);
    town.run(1, Command::GoOffline);
    town.run(1, change(space, vec![put("b", &json!(2))]));
    town.run(0, Command::DeleteDocument { space, name: PLAN.to_owned() });
    town.run(1, Command::GoOnline);
    town.settle();
    for n in [0, 1] {
        assert_eq!(whole(&mut town, n, space), json!({}));
    }
    (town, space, file)
}

#[test]
fn nothing_of_it_is_in_its_file() {
    let (mut town, space, _) = deleted();
    let file = export(&mut town, 0, space);
    let refused = town.try_run(0, import(space, "copy", file));
    assert!(matches!(refused, Err(Failure::Invalid(_))), "{refused:?}");
}

#[test]
fn a_file_of_what_it_was_begins_it_anew() {
    let (mut town, space, file) = deleted();
    town.run(1, import(space, PLAN, file));
    town.settle();
    for n in [0, 1] {
        assert_eq!(whole(&mut town, n, space), json!({ "a": 1, "list": ["x", "y"] }));
    }
}

#[test]
fn what_cant_be_made_in_it_is_named_as_it_was_asked_for() {
    let (mut town, space, _) = deleted();
    let ops = vec![put("c", &json!(3)), AppOp::Delete { path: vec!["none".into()] }];
    match town.try_run(0, change(space, ops)) {
        Err(Failure::Op(error)) => assert_eq!((error.op, error.operation), (1, "delete")),
        other => panic!("{other:?}"),
    }
    assert_eq!(whole(&mut town, 0, space), json!({}));
    town.run(0, change(space, vec![put("c", &json!(3))]));
    town.settle();
    for n in [0, 1] {
        assert_eq!(whole(&mut town, n, space), json!({ "c": 3 }));
    }
}
