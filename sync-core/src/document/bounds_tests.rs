//! What one change of an app's own document holds, and what comes of the rest: others take all that is made
//! here, what fails takes nothing with it, and files come in whole or not at all.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use automerge::transaction::Transactable;
use automerge::{AutoCommit, ObjId, ObjType, ROOT, ReadDoc, ScalarValue};
use serde_json::{Value, json};
use sync_protocol::limits;

use super::app_tests::{delete, edit, fault, give, insert, move_to, pair, put, splice};
use super::edge_tests::{blank, convert, file};
use super::testing::Author;
use super::{DocumentError, Edit, Name, OpFault, Unit};

/// A list of so many elements, pushed one by one in one edit.
fn pushed(count: usize, value: &Value) -> Edit {
    Edit::App { ops: (0..count).map(|n| insert(&json!(["l", n]), value)).collect() }
}

#[test]
fn what_takes_no_bytes_in_a_change_is_taken_by_others_however_much_of_it_there_is() {
    let many = json!(vec![Value::Null; 500]);
    let whole = |keys: [&str; 3]| edit(keys.map(|key| put(&json!([key]), &many)));
    let flags =
        Edit::App { ops: (0..2_000).map(|n| put(&json!(["l", n]), &json!(true))).collect() };
    for edits in [
        vec![pushed(4_000, &Value::Null), flags],
        vec![pushed(500, &json!({})), pushed(600, &json!([])), pushed(500, &json!(""))],
        vec![whole(["a", "b", "c"])],
        vec![edit([put(&json!(["before"]), &many)]), whole(["a", "b", "c"])],
    ] {
        let (mut one, mut other) = pair(&json!({ "l": [] }));
        for edit in &edits {
            one.document.edit(&one.writer, edit).unwrap();
        }
        let shown = one.document.to_json();
        // What fails later takes none of it back, and makes none of it twice.
        let failing = [put(&json!(["x"]), &json!(1)), delete(&json!(["gone"]))];
        assert_eq!(fault(&mut one, &failing).0, 1);
        give(&one.cut(), &mut other.document);
        assert_eq!(other.document.to_json(), shown);
        assert_eq!(one.document.heads(), other.document.heads());
    }
}

#[test]
fn more_letters_than_a_change_may_take_out_are_refused_with_the_limit() {
    let (mut one, mut other) = pair(&json!({ "t": { "$text": "" } }));
    let text = json!(["t"]);
    for _ in 0..3 {
        let rows = one.write(&edit([splice(&text, 0, 0, &"x".repeat(50_000), Unit::Characters)]));
        give(&rows, &mut other.document);
    }
    let limit = limits::CHANGE_OPS - limits::CHANGE_OPS_SPARE;
    for (count, more) in [(150_000, ""), (limit as u64, "y"), (60_000, &"y".repeat(90_000))] {
        let told = fault(&mut one, &[splice(&text, 0, count, more, Unit::Utf16)]);
        let fault = OpFault::TooLarge { what: "letters spliced at once", limit };
        assert_eq!(told, (0, "splice_text", fault));
    }
    let rows = one.write(&edit([
        splice(&text, 0, limit as u64, "", Unit::Utf16),
        splice(&text, 0, 150_000 - limit as u64, "new", Unit::Utf16),
    ]));
    give(&rows, &mut other.document);
    assert_eq!(other.document.to_json(), json!({ "t": "new" }));
}

#[test]
fn a_text_at_the_deepest_place_has_room_for_its_letters() {
    let nested =
        |levels: usize, inner: Value| (0..levels).fold(inner, |inner, _| json!({ "k": inner }));
    let deepest = limits::DOCUMENT_DEPTH;
    let (mut one, mut other) = pair(&json!({}));
    for (levels, inner) in [(deepest - 1, json!({ "$text": "x" })), (deepest, json!([]))] {
        let told = fault(&mut one, &[put(&json!(["a"]), &nested(levels, inner))]).2;
        assert!(matches!(told, OpFault::TooLarge { what: "nested objects", .. }), "{told:?}");
    }
    for inner in [json!({ "$text": "x" }), json!({ "n": null })] {
        let rows = one.write(&edit([put(&json!(["a"]), &nested(deepest - 2, inner))]));
        give(&rows, &mut other.document);
    }
    let bytes = file(|doc| {
        doc.put(ROOT, "good", 1).unwrap();
        let mut inner = ROOT;
        for _ in 0..deepest {
            inner = doc.put_object(&inner, "k", ObjType::Map).unwrap();
        }
    });
    let refused = blank().document.import(&bytes);
    assert!(matches!(refused, Err(DocumentError::UnfitImport(_))), "{refused:?}");
}

#[test]
fn a_file_with_a_value_that_no_edit_can_hold_is_refused_before_anything_of_it_is_made() {
    for value in [
        ScalarValue::Str("x".repeat(limits::EDIT).into()),
        ScalarValue::Bytes(vec![0; limits::EDIT]),
    ] {
        let bytes = file(|doc| {
            doc.put(ROOT, "good", 1).unwrap();
            doc.put(ROOT, "large", value).unwrap();
        });
        let refused = blank().document.import(&bytes);
        assert!(matches!(refused, Err(DocumentError::UnfitImport(_))), "{refused:?}");
    }
}

#[test]
fn what_was_converted_is_not_converted_again_when_a_later_edit_fails() {
    let (mut one, mut other) = pair(&json!({ "s": "old" }));
    let migrate = convert(&json!(["s"]), &json!({ "$text": "old" }));
    let theirs = edit([migrate.clone(), splice(&json!(["s"]), 3, 0, "!", Unit::Characters)]);
    let theirs = other.write(&theirs);
    for ops in [vec![migrate], vec![splice(&json!(["s"]), 0, 0, "so ", Unit::Characters)]] {
        one.document.edit(&one.writer, &Edit::App { ops }).unwrap();
    }
    let failing = [put(&json!(["x"]), &json!(1)), delete(&json!(["gone"]))];
    assert_eq!(fault(&mut one, &failing).0, 1);
    give(&one.cut(), &mut other.document);
    give(&theirs, &mut one.document);
    assert_eq!(one.document.to_json(), json!({ "s": "so old!" }));
    assert_eq!(other.document.to_json(), one.document.to_json());
}

#[test]
fn what_is_in_no_log_yet_is_told_in_the_order_in_which_it_was_made() {
    let mut one = blank();
    let states: Vec<Value> = (0..20).map(|n| json!({ "n": n })).collect();
    for (n, state) in states.iter().enumerate() {
        one.write(&edit([put(&json!(["n"]), &json!(n))]));
        let newest = one.document.told()[0].change;
        assert_eq!(one.document.as_of(&[newest], &[], false), Some(Some(state.clone())));
    }
    let told: Vec<_> = one.document.told().iter().map(|told| told.change).collect();
    let shown = told.iter().rev().map(|change| one.document.as_of(&[*change], &[], false));
    assert_eq!(shown.map(|state| state.unwrap().unwrap()).collect::<Vec<_>>(), states);
}

#[test]
fn a_file_in_which_elements_were_moved_comes_in_as_it_stands_there() {
    let (mut one, _) = pair(&json!({ "l": ["a", "b", "c", "d"] }));
    one.write(&edit([move_to(&json!(["l", 3]), 0)]));
    one.write(&edit([put(&json!(["l", 0]), &json!("D"))]));
    one.write(&edit([move_to(&json!(["l", 1]), 3)]));
    let shown = one.document.to_json();
    assert_eq!(shown, json!({ "l": ["D", "b", "c", "a"] }));
    let bytes = one.document.export();
    let mut new = Author::new(5, Name::App(0, "copy".into()));
    for edit in new.document.import(&bytes).unwrap() {
        new.write(&edit);
    }
    assert_eq!(new.document.to_json(), shown);
}

#[test]
fn what_a_file_leaves_as_it_was_keeps_what_others_change_in_it() {
    let row = |n: u32| json!({ "n": n });
    let tick = edit([put(&json!(["l", 3, "done"]), &json!(true))]);
    let ways: [fn(&mut AutoCommit, &ObjId); 3] = [
        |fork, list| {
            fork.insert(list, 0, "first").unwrap();
            fork.insert(list, 7, "last").unwrap();
        },
        |fork, list| {
            fork.insert(list, 0, "first").unwrap();
            fork.delete(list, 6).unwrap();
        },
        |fork, list| {
            fork.delete(list, 0).unwrap();
            fork.delete(list, 4).unwrap();
            fork.insert(list, 1, "between").unwrap();
        },
    ];
    for change in ways {
        let (mut one, mut other) = pair(&json!({ "l": (0..6).map(row).collect::<Vec<_>>() }));
        let mut fork = AutoCommit::load(&one.document.export()).unwrap();
        let (_, list) = fork.get(ROOT, "l").unwrap().unwrap();
        change(&mut fork, &list);
        let theirs = other.write(&tick);
        for edit in one.document.import(&fork.save()).unwrap() {
            give(&one.write(&edit), &mut other.document);
        }
        give(&theirs, &mut one.document);
        let shown = one.document.to_json();
        assert_eq!(shown, other.document.to_json());
        let rows = shown["l"].as_array().unwrap();
        let third: Vec<_> = rows.iter().filter(|row| row["n"] == 3).collect();
        assert_eq!(third, [&json!({ "n": 3, "done": true })], "{shown}");
    }
}
