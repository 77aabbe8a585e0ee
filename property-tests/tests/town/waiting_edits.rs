//! Edits of an app's documents that wait for their number while others write in the same places.

use serde_json::{Value, json};
use sync_core::api::{Command, Response, Space};
use sync_core::document::{AppOp, Step};
use sync_protocol::codec::Blob;

use crate::support::Town;
use crate::support::linking::talking;

/// So many edits that the last of them wait for those before.
const MANY: u32 = 8;

fn blob(value: &Value) -> Blob {
    Blob(value.to_string().into_bytes())
}

fn put(path: &[Step], value: &Value) -> AppOp {
    AppOp::Put { path: path.to_vec(), value: blob(value) }
}

fn change(space: Space, op: AppOp) -> Command {
    Command::ChangeDocument { space, name: "plan".to_owned(), ops: vec![op] }
}

fn whole(town: &mut Town, n: usize, space: Space) -> Value {
    let command = Command::ReadDocument { space, name: "plan".to_owned(), path: Vec::new() };
    match town.run(n, command) {
        Response::Value(value) => value,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_waited_when_the_device_went_down_is_of_the_row_that_was_meant() {
    for crashes in [false, true] {
        let (mut town, id) = talking();
        let space = Space::Conversation(id);
        let rows = json!([{ "n": 0 }, { "n": 1 }, { "n": 2 }]);
        town.run(0, change(space, put(&["rows".into()], &rows)));
        town.settle();
        town.run(0, Command::GoOffline);
        for n in 0..MANY {
            town.run(0, change(space, put(&["x".into()], &json!(n))));
        }
        let done = ["rows".into(), 1.into(), "done".into()];
        town.run(0, change(space, put(&done, &json!(true))));
        let path = vec!["rows".into(), 0.into()];
        let first = AppOp::Insert { path, value: blob(&json!({ "n": 9 })) };
        town.run(1, change(space, first));
        town.settle();
        // It hears what others wrote, and nobody hears of it before it goes down.
        town.devices[0].loses = |_, _| true;
        town.run(0, Command::GoOnline);
        town.pass(2_000);
        if crashes {
            town.restart(0);
        }
        town.devices[0].loses = |_, _| false;
        town.cut(0);
        town.settle();
        let rows = json!([{ "n": 9 }, { "n": 0 }, { "n": 1, "done": true }, { "n": 2 }]);
        for n in [0, 1] {
            assert_eq!(whole(&mut town, n, space), json!({ "rows": rows, "x": MANY - 1 }));
        }
    }
}
