//! What was written over an era's beginning, made again in what others have made of the document.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use serde_json::{Value, json};

use super::again::edits_onto;
use super::app_tests::{
    app, at, blob, delete, edit, give, increment, insert, move_to, put, splice,
};
use super::carried::{carried_row, difference, handed_over};
use super::testing::Author;
use super::{AppOp, Edit, Name, Unit};

/// Several write, each alone, over the beginning of an era; then each makes its own again in the
/// document as it was handed over. Gives what all end with.
fn over_an_era(content: &Value, written: &[Vec<Edit>]) -> Value {
    let next = Name::App(1, "plan".into());
    let mut authors = Vec::new();
    for (n, edits) in (1..).zip(written) {
        let mut alone = Author::new(n, app());
        for key in content.as_object().unwrap().keys() {
            alone.write(&edit([put(&json!([key]), &content[key])]));
        }
        let before = alone.document.tree().content_now();
        for edit in edits {
            alone.write(edit);
        }
        let changes = handed_over(&alone.space, &next, before.clone()).unwrap();
        let ops = difference(&before, &alone.document.tree().content_now());
        let mut author = Author::new(n, next.clone());
        author.document.receive(changes.iter().map(carried_row).collect());
        authors.push((author, changes, ops));
    }
    let mut rows = Vec::new();
    for (author, changes, ops) in &mut authors {
        give(&rows, &mut author.document);
        for edit in edits_onto(&mut author.document, changes, std::mem::take(ops)) {
            rows.extend(author.write(&edit));
        }
    }
    for (author, ..) in &mut authors {
        give(&rows, &mut author.document);
    }
    let shown = authors[0].0.document.tree().content_now();
    for (author, ..) in &authors {
        assert_eq!(author.document.tree().content_now(), shown);
    }
    shown
}

fn rows(names: &[&str]) -> Value {
    json!({ "l": names.iter().map(|name| json!({ "name": name })).collect::<Vec<_>>() })
}

fn tick(n: u64) -> AppOp {
    put(&json!(["l", n, "done"]), &json!(true))
}

fn add(n: u64, name: &str) -> AppOp {
    insert(&json!(["l", n]), &json!({ "name": name }))
}

#[test]
fn a_text_that_was_emptied_is_empty_however_long_it_was() {
    for (letters, left) in [(131_000, ""), (140_000, "what is left")] {
        let mut alone = Author::new(1, app());
        let fill = |_| splice(&json!(["t"]), 0, 0, &"x".repeat(50_000), Unit::Characters);
        alone.write(&edit([put(&json!(["t"]), &json!({ "$text": "" }))]));
        (0..letters / 50_000).map(fill).for_each(|op| drop(alone.write(&edit([op]))));
        let rest = "x".repeat(letters % 50_000);
        alone.write(&edit([splice(&json!(["t"]), 0, 0, &rest, Unit::Characters)]));
        let before = alone.document.tree().content_now();
        let next = Name::App(1, "plan".into());
        let changes = handed_over(&alone.space, &next, before.clone()).unwrap();
        let mut author = Author::new(1, next.clone());
        let mut other = Author::new(2, next);
        for one in [&mut author, &mut other] {
            one.document.receive(changes.iter().map(carried_row).collect());
        }
        let now = json!({ "t": { "$text": left } });
        for edit in edits_onto(&mut author.document, &changes, difference(&before, &now)) {
            give(&author.write(&edit), &mut other.document);
        }
        assert_eq!(other.document.tree().content_now(), now);
    }
}

#[test]
fn who_changes_a_row_and_adds_others_changes_that_row() {
    let written = [
        vec![edit([tick(0), add(2, "c")])],
        vec![edit([
            put(&json!(["l", 0, "tag"]), &json!("x")),
            add(2, "d"),
            delete(&json!(["l", 1])),
        ])],
    ];
    let shown = over_an_era(&rows(&["a", "b"]), &written);
    let mut names: Vec<_> = shown["l"].as_array().unwrap().clone();
    names.sort_by_key(|row| row["name"].to_string());
    let a = json!({ "name": "a", "done": true, "tag": "x" });
    assert_eq!(names, [a, json!({ "name": "c" }), json!({ "name": "d" })]);
}

#[test]
fn who_changes_the_last_row_and_puts_others_around_it_changes_that_row() {
    let one = vec![edit([tick(1), add(2, "c")])];
    let other = vec![edit([put(&json!(["l", 1, "tag"]), &json!("x")), add(1, "d")])];
    let shown = over_an_era(&rows(&["a", "b"]), &[one, other]);
    let found: Vec<_> =
        shown["l"].as_array().unwrap().iter().filter(|row| row["name"] == "b").collect();
    assert_eq!(found, [&json!({ "name": "b", "done": true, "tag": "x" })], "{shown}");
}

#[test]
fn a_row_in_the_place_of_another_is_not_that_other_one_changed() {
    let row = |id: u32| json!({ "id": id, "done": false });
    for new in [&[5][..], &[5, 6]] {
        let put_in = |nth| insert(&json!(["l", nth]), &row(new[nth]));
        let mut ops = vec![delete(&json!(["l", 0]))];
        ops.extend((0..new.len()).map(put_in));
        let shown = over_an_era(
            &json!({ "l": [row(1)] }),
            &[vec![Edit::App { ops }], vec![edit([tick(0)])]],
        );
        let expected: Vec<_> = new.iter().map(|id| row(*id)).collect();
        assert_eq!(shown, json!({ "l": expected }), "what is gone takes what is done to it along");
    }
}

#[test]
fn what_two_moved_stands_once_and_keeps_what_a_third_changed_in_it() {
    for (from, to) in [(2, 0), (0, 2), (1, 2), (3, 1)] {
        let order = edit([move_to(&json!(["l", from]), to)]);
        let written = [vec![order.clone()], vec![edit([tick(from)])], vec![order]];
        let content = rows(&["a", "b", "c", "d"]);
        let shown = over_an_era(&content, &written);
        let mut expected = content["l"].as_array().unwrap().clone();
        let index = usize::try_from(from).unwrap();
        expected[index]["done"] = json!(true);
        let moved = expected.remove(index);
        expected.insert(usize::try_from(to).unwrap(), moved);
        assert_eq!(shown, json!({ "l": expected }), "{from} to {to}");
    }
}

#[test]
fn one_move_is_one_operation_wherever_it_leads() {
    let list = |order: &[u32]| json!({ "l": order });
    let order: Vec<u32> = (0..20).collect();
    for from in 0..20 {
        for to in 0..20 {
            let mut now = order.clone();
            let moved = now.remove(from);
            now.insert(to, moved);
            let ops = difference(&list(&order), &list(&now));
            assert!(ops.len() <= 1, "{from} to {to}: {ops:?}");
        }
    }
}

#[test]
fn a_list_that_was_turned_round_is_not_moved_row_by_row() {
    let order: Vec<u32> = (0..500).collect();
    let now: Vec<u32> = order.iter().rev().copied().collect();
    let mut one = Author::new(1, app());
    one.write(&edit([put(&json!(["l"]), &json!(order))]));
    let ops = difference(&json!({ "l": order }), &json!({ "l": now }));
    let moves = ops.iter().filter(|op| matches!(op, AppOp::Move { .. })).count();
    assert!((1..100).contains(&moves), "{moves}");
    one.write(&Edit::App { ops });
    assert_eq!(one.document.to_json(), json!({ "l": now }));
}

#[test]
fn the_difference_of_any_two_lists_makes_the_one_of_the_other() {
    let mut state = 9_u32;
    let mut draw = |below: u32| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 16) % below
    };
    for _ in 0..2_000 {
        let list = |draw: &mut dyn FnMut(u32) -> u32| -> Vec<Value> {
            let item = |n: u32| match n {
                0..4 => json!(n),
                4..7 => json!({ "n": n }),
                _ => json!([{ "$counter": n }]),
            };
            (0..draw(7)).map(|_| item(draw(9))).collect()
        };
        let (before, now) = (json!({ "l": list(&mut draw) }), json!({ "l": list(&mut draw) }));
        let mut one = Author::new(1, app());
        one.write(&edit([AppOp::Put { path: at(&json!(["l"])), value: blob(&before["l"]) }]));
        let ops = difference(&before, &now);
        if !ops.is_empty() {
            one.write(&Edit::App { ops: ops.clone() });
        }
        assert_eq!(one.document.tree().content_now(), now, "of {before}: {ops:?}");
    }
}

#[test]
fn what_is_counted_by_two_over_an_era_is_counted_twice() {
    let count =
        |by| vec![edit([increment(&json!(["l", 0]), by), insert(&json!(["l", 0]), &json!(by))])];
    let shown = over_an_era(&json!({ "l": [{ "$counter": 1 }] }), &[count(2), count(5)]);
    let list = shown["l"].as_array().unwrap();
    assert!(list.contains(&json!({ "$counter": 8 })) && list.len() == 3, "{shown}");
}
