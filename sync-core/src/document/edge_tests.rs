//! An app's own document at its edges: numbers to the last bit, what begins again, counters that went far,
//! files that hold what no document here can.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use automerge::transaction::Transactable;
use automerge::{AutoCommit, ObjType, ROOT, ScalarValue};
use serde_json::{Value, json};
use sync_protocol::limits;
use sync_protocol::text::BASE64;

use super::app_tests::{
    app, at, at_once, blob, delete, edit, ensure, fault, give, increment, insert, move_to, pair,
    put, splice,
};
use super::carried::{carrier, difference, edits_of, handed_over};
use super::testing::Author;
use super::{AppOp, Document, DocumentError, Edit, Name, OpFault, Row, Unit};

pub(super) fn blank() -> Author {
    Author::new(1, app())
}

#[test]
fn a_number_comes_back_to_the_last_bit() {
    let mut numbers = vec![
        json!(u64::MAX),
        json!(i64::MIN),
        json!(5e-324),
        json!(f64::MAX),
        json!(0.123_456_789_012_345_67),
        json!(-1.797_693_134_862_315_7e-300),
    ];
    let mut state = 7_u64;
    numbers.extend((0..2_000).map(|_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        json!(f64::from_bits(state & !(1 << 62)))
    }));
    let mut one = blank();
    for numbers in numbers.chunks(500) {
        // As text, as it comes from wherever.
        let value = serde_json::from_str(&json!(numbers).to_string()).unwrap();
        one.write(&edit([put(&json!(["n"]), &value)]));
        assert_eq!(one.document.to_json()["n"], json!(numbers));
    }
}

#[test]
fn a_number_may_be_given_by_its_bits() {
    let mut one = blank();
    let bits = |number: f64| json!({ "$float": format!("{:016x}", number.to_bits()) });
    for number in [0.1, -5e-324, f64::MAX, 0.123_456_789_012_345_67] {
        one.write(&edit([put(
            &json!(["n"]),
            &json!([bits(number), { "$map": { "m": bits(1.5) } }]),
        )]));
        assert_eq!(one.document.json_at(&[], true), Some(json!({ "n": [number, { "m": 1.5 }] })));
        // What is handed over of it, or written again in another document, is the same number.
        let (mut next, now) = (blank(), one.document.tree().content_now());
        for edit in edits_of(difference(&json!({}), &now)) {
            next.write(&edit);
        }
        assert_eq!(next.document.tree().content_now(), now);
    }
    for bad in
        [json!({ "$float": 1 }), json!({ "$float": "x" }), bits(f64::NAN), bits(f64::INFINITY)]
    {
        assert_eq!(fault(&mut one, &[put(&json!(["n"]), &bad)]).2, OpFault::BadValue);
    }
    let users = json!({ "$map": { "$float": "noon" } });
    one.write(&edit([put(&json!(["n"]), &users)]));
    assert_eq!(one.document.json_at(&at(&json!(["n"])), true), Some(users));
}

#[test]
fn counters_in_a_list_count_together_and_go_with_their_element() {
    let (mut one, mut other) =
        pair(&json!({ "l": [{ "$counter": 1 }, { "$counter": 10 }, ["x", { "$counter": 5 }]] }));
    let ours = edit([increment(&json!(["l", 0]), 2), increment(&json!(["l", 2, 1]), -7)]);
    let theirs = edit([
        move_to(&json!(["l", 0]), 2),
        increment(&json!(["l", 2]), 3),
        delete(&json!(["l", 0])),
    ]);
    let shown = at_once(&mut one, &mut other, &ours, &theirs);
    assert_eq!(shown, json!({ "l": [["x", -2], 6] }));
    let shown = at_once(
        &mut one,
        &mut other,
        &edit([increment(&json!(["l", 1]), 1)]),
        &edit([delete(&json!(["l", 1]))]),
    );
    assert_eq!(shown, json!({ "l": [["x", -2]] }));
    assert_eq!(fault(&mut one, &[increment(&json!(["l", 0, 0]), 1)]).2, OpFault::NotACounter);
}

#[test]
fn what_two_begin_again_at_once_is_one() {
    let deep = json!(["deep", "er"]);
    let again = |n: u32| {
        edit([
            ensure(&json!(["items"]), &json!([])),
            insert(&json!(["items", 0]), &json!(n)),
            ensure(&deep, &json!({ "$text": "" })),
            splice(&deep, 0, 0, &n.to_string(), Unit::Characters),
        ])
    };
    let (mut one, mut other) = pair(&json!({}));
    for round in 0..4 {
        let (ours, theirs) = (again(1), again(2));
        let shown = at_once(&mut one, &mut other, &ours, &theirs);
        assert_eq!(shown["items"].as_array().unwrap().len(), 2, "{round}: {shown}");
        assert_eq!(shown["deep"]["er"].as_str().unwrap().len(), 2, "{round}: {shown}");
        // Taken away by one, by both at once, or inside of what stays; read from a snapshot or not.
        let clear = edit([delete(&json!(["items"])), delete(&json!(["deep"]))]);
        let inner = edit([delete(&json!(["items"])), delete(&deep)]);
        match round {
            0 => give(&one.write(&clear), &mut other.document),
            1 => drop(at_once(&mut one, &mut other, &clear, &clear)),
            _ => give(&other.write(&inner), &mut one.document),
        }
        let snapshot = one.document.snapshot().unwrap();
        let (space, name) = (one.space, app());
        one.document = Document::load(space, name, Some(&snapshot), Vec::new()).unwrap().0;
    }
}

#[test]
fn what_came_with_its_parent_and_was_taken_away_is_begun_again_as_one() {
    let (mut one, mut other) = pair(&json!({ "room": { "list": ["old"] } }));
    let rows = one.write(&edit([delete(&json!(["room", "list"]))]));
    give(&rows, &mut other.document);
    let begin = |n: u32| {
        edit([
            ensure(&json!(["room", "list"]), &json!([])),
            insert(&json!(["room", "list", 0]), &json!(n)),
        ])
    };
    let shown = at_once(&mut one, &mut other, &begin(1), &begin(2));
    assert_eq!(shown["room"]["list"].as_array().unwrap().len(), 2, "{shown}");
}

#[test]
fn bytes_that_would_be_taken_for_a_sign_stand_in_no_list() {
    let sign = json!({ "$bytes": BASE64.encode(b"\0moved\0\x01whatever") });
    let (mut one, _) = pair(&json!({ "l": ["a"], "m": {} }));
    for (path, op) in [(json!(["l", 0]), "put"), (json!(["l", 1]), "insert")] {
        let op = match op {
            "put" => put(&path, &sign),
            _ => insert(&path, &sign),
        };
        assert_eq!(fault(&mut one, &[op]).2, OpFault::BadValue);
    }
    for value in [json!([sign]), json!([[1, sign]]), json!({ "a": [sign] })] {
        assert_eq!(fault(&mut one, &[put(&json!(["m"]), &value)]).2, OpFault::BadValue);
    }
    one.write(&edit([put(&json!(["m", "k"]), &sign)]));
    assert_eq!(one.document.to_json()["m"]["k"], sign);
    let content = one.document.tree().content_now();
    assert!(handed_over(&one.space, &Name::App(1, "notes".into()), content).is_ok());
}

#[test]
fn a_counter_that_went_beyond_its_limit_is_handed_over_at_it() {
    let (most, step) = (limits::COUNTER.cast_signed(), limits::COUNTER_STEP.cast_signed());
    let (mut one, _) = pair(&json!({ "n": { "$counter": most }, "l": [{ "$counter": -most }] }));
    one.write(&edit([increment(&json!(["n"]), step), increment(&json!(["l", 0]), -step)]));
    assert_eq!(one.document.to_json()["n"], most + step);
    let name = Name::App(1, "notes".into());
    let content = one.document.tree().content_now();
    let changes = handed_over(&one.space, &name, content).unwrap();
    let row = |change: sync_protocol::codec::Blob| Row {
        writer: carrier(),
        placement: None,
        change: change.0,
    };
    let rows = changes.into_iter().map(row).collect();
    let (next, refused) = Document::load(one.space, name, None, rows).unwrap();
    assert!(refused.is_empty(), "{refused:?}");
    assert_eq!(next.to_json(), json!({ "n": most, "l": [-most] }));
}

#[test]
fn a_counter_that_went_far_meanwhile_goes_as_far() {
    let step = limits::COUNTER_STEP.cast_signed();
    for (before, now) in [(0, 3 * step), (5, -step - 7), (1, limits::COUNTER.cast_signed())] {
        let (mut one, _) = pair(&json!({ "n": { "$counter": before } }));
        let content = json!({ "n": { "$counter": now } });
        for edit in edits_of(difference(&one.document.tree().content_now(), &content)) {
            one.write(&edit);
        }
        assert_eq!(one.document.to_json()["n"], now);
    }
}

#[test]
fn an_increment_beyond_the_step_either_way_is_refused_with_the_limit() {
    let (mut one, _) = pair(&json!({ "n": { "$counter": 0 } }));
    let limit = usize::try_from(limits::COUNTER_STEP).unwrap();
    for by in [i64::MIN, i64::MAX, -(1 << 32), 1 << 32] {
        let told = fault(&mut one, &[increment(&json!(["n"]), by)]);
        assert_eq!(told, (0, "increment", OpFault::TooLarge { what: "counter step", limit }));
    }
    for value in [limits::COUNTER + 1, u64::MAX] {
        let counter = put(&json!(["n"]), &json!({ "$counter": value }));
        assert_eq!(fault(&mut one, &[counter]).2, OpFault::BadValue);
    }
}

/// A file by some other program.
pub(super) fn file(make: impl FnOnce(&mut AutoCommit)) -> Vec<u8> {
    let mut doc = AutoCommit::new();
    make(&mut doc);
    doc.save()
}

#[test]
fn a_file_with_what_no_document_here_holds_is_refused_whole() {
    type Make = fn(&mut AutoCommit);
    let unfit: [(&str, Make); 7] = [
        ("not finite", |doc| doc.put(ROOT, "n", f64::NAN).unwrap()),
        ("not finite", |doc| {
            let list = doc.put_object(ROOT, "l", ObjType::List).unwrap();
            doc.insert(&list, 0, f64::INFINITY).unwrap();
        }),
        ("key", |doc| doc.put(ROOT, "", 1).unwrap()),
        ("key", |doc| doc.put(ROOT, "k".repeat(257), 1).unwrap()),
        ("2^53", |doc| doc.put(ROOT, "n", ScalarValue::counter(i64::MAX)).unwrap()),
        ("deeply", |doc| {
            let mut inner = ROOT;
            for _ in 0..70 {
                inner = doc.put_object(&inner, "a", ObjType::Map).unwrap();
            }
        }),
        ("deeply", |doc| {
            let mut inner = doc.put_object(ROOT, "a", ObjType::List).unwrap();
            for _ in 0..64 {
                inner = doc.insert_object(&inner, 0, ObjType::List).unwrap();
            }
        }),
    ];
    for (why, make) in unfit {
        let mut one = blank();
        let bytes = file(|doc| {
            doc.put(ROOT, "good", 1).unwrap();
            make(doc);
        });
        match one.document.import(&bytes) {
            Err(DocumentError::UnfitImport(what)) => assert!(what.contains(why), "{what}"),
            other => panic!("{why}: {other:?}"),
        }
        assert_eq!(one.document.to_json(), json!({}), "nothing of it is there");
        // Nor as a fork.
        one.write(&edit([put(&json!(["mine"]), &json!(1))]));
        let mut fork = AutoCommit::load(&one.document.export()).unwrap();
        make(&mut fork);
        let refused = one.document.import(&fork.save());
        assert!(matches!(refused, Err(DocumentError::UnfitImport(_))), "{refused:?}");
    }
}

#[test]
fn a_file_with_all_that_a_document_holds_comes_in_as_it_is() {
    let bytes = file(|doc| {
        doc.put(ROOT, "far", ScalarValue::counter(9_000_000_000_000)).unwrap();
        doc.put(ROOT, "near", ScalarValue::counter(-3)).unwrap();
        doc.put(ROOT, "at", ScalarValue::Timestamp(-5)).unwrap();
        doc.put(ROOT, "bytes", ScalarValue::Bytes(vec![0, 255])).unwrap();
        doc.put(ROOT, "whole", u64::MAX).unwrap();
        doc.put(ROOT, "$text", "a user's key").unwrap();
        let list = doc.put_object(ROOT, "list", ObjType::List).unwrap();
        let map = doc.insert_object(&list, 0, ObjType::Map).unwrap();
        doc.put(&map, "$counter", "nor this").unwrap();
        doc.insert(&list, 1, ScalarValue::counter(5)).unwrap();
        let text = doc.insert_object(&list, 2, ObjType::Text).unwrap();
        doc.splice_text(&text, 0, 0, "é😀").unwrap();
    });
    let mut one = blank();
    for edit in one.document.import(&bytes).unwrap() {
        one.write(&edit);
    }
    let expected = json!({
        "far": { "$counter": 9_000_000_000_000_i64 }, "near": { "$counter": -3 }, "at": { "$time": -5 },
        "bytes": { "$bytes": "AP8=" }, "whole": u64::MAX, "$text": "a user's key",
        "list": [{ "$map": { "$counter": "nor this" } }, { "$counter": 5 }, { "$text": "é😀" }],
    });
    assert_eq!(one.document.json_at(&[], true), Some(expected));
}

#[test]
fn a_file_that_is_cut_short_or_altered_is_refused_and_leaves_nothing() {
    let mut source = blank();
    source.write(&edit([put(&json!(["a"]), &json!({ "b": [1, 2, 3], "t": "x".repeat(500) }))]));
    let bytes = source.document.export();
    let mut one = blank();
    for len in 0..bytes.len() {
        let refused = one.document.import(&bytes[..len]);
        let all = [Err(DocumentError::BadImport), Err(DocumentError::EmptyImport)];
        assert!(all.contains(&refused), "{len}: {refused:?}");
        let mut altered = bytes.clone();
        altered[len] ^= 0x55;
        // What is altered may be another file; it is never taken for this one by halves.
        let _ = one.document.import(&altered);
    }
    let large = vec![0; limits::DOCUMENT_IMPORT + 1];
    assert_eq!(one.document.import(&large), Err(DocumentError::BadImport));
    assert_eq!(one.document.to_json(), json!({}));
}

#[test]
fn values_of_ten_kilobytes_and_keys_of_whatever_letters_are_kept() {
    let key = "é😀\u{0}\u{7f}\u{202e}";
    let long = "k".repeat(limits::DOCUMENT_KEY);
    let value = json!({ key: "x".repeat(10_000), &long: ["😀".repeat(2_500)], "__proto__": {} });
    let (mut one, mut other) = pair(&json!({}));
    give(&one.write(&edit([put(&json!([key]), &value)])), &mut other.document);
    assert_eq!(other.document.json_at(&at(&json!([key])), true), Some(value));
    for key in ["", &"k".repeat(limits::DOCUMENT_KEY + 1), &"é".repeat(129)] {
        for op in [
            put(&json!([key]), &json!(1)),
            ensure(&json!([key]), &json!(1)),
            put(&json!(["fine"]), &json!({ key: 1 })),
        ] {
            assert_eq!(fault(&mut one, &[op]).2, OpFault::BadKey);
        }
    }
}

#[test]
fn json_that_is_none_is_refused_as_a_value() {
    let (mut one, _) = pair(&json!({}));
    let not: [&[u8]; 7] = [b"", b"{", b"NaN", b"1e999", b"\"\\ud800\"", b"\xff", b"{\"a\":1}{}"];
    for text in not {
        let value = sync_protocol::codec::Blob(text.to_vec());
        let op = AppOp::Put { path: at(&json!(["x"])), value };
        assert_eq!(fault(&mut one, &[op]).2, OpFault::BadValue, "{text:?}");
    }
    let deep = "[".repeat(100_000);
    let op = AppOp::Put { path: at(&json!(["x"])), value: deep.into_bytes().into() };
    assert!(one.document.edit(&one.writer, &edit([op])).is_err());
    for tagged in [json!({ "$time": 0.5 }), json!({ "$bytes": "?" }), json!({ "$map": [] })] {
        assert_eq!(fault(&mut one, &[put(&json!(["x"]), &tagged)]).2, OpFault::BadValue);
    }
    let nothing = Edit::App { ops: Vec::new() };
    assert!(one.write(&nothing).is_empty());
    assert_eq!(blob(&Value::Null).0, b"null");
}

pub(super) fn convert(path: &Value, value: &Value) -> AppOp {
    AppOp::Convert { path: at(path), value: blob(value) }
}

#[test]
fn two_who_convert_at_once_make_one_in_which_both_go_on() {
    let old = json!({ "body": "hello", "items": ["milk", "tea"], "rooms": [{ "name": "a" }] });
    let (mut one, mut other) = pair(&old);
    let migrate = [
        convert(&json!(["body"]), &json!({ "$text": "hello" })),
        convert(&json!(["items", 0]), &json!({ "text": "milk", "tags": [] })),
        convert(&json!(["items", 1]), &json!({ "text": "tea", "tags": [] })),
        ensure(&json!(["rooms", 0, "title"]), &json!({ "$text": "a" })),
        delete(&json!(["rooms", 0, "name"])),
        ensure(&json!(["count"]), &json!({ "$counter": 2 })),
    ];
    let with = |ops: Vec<AppOp>| Edit::App { ops: migrate.iter().cloned().chain(ops).collect() };
    let ours = with(vec![
        splice(&json!(["body"]), 0, 0, "ours ", Unit::Characters),
        insert(&json!(["items", 0, "tags", 0]), &json!("ours")),
        increment(&json!(["count"]), 1),
    ]);
    let theirs = with(vec![
        splice(&json!(["body"]), 5, 0, " theirs", Unit::Characters),
        insert(&json!(["items", 0, "tags", 0]), &json!("theirs")),
        splice(&json!(["rooms", 0, "title"]), 1, 0, "!", Unit::Characters),
        increment(&json!(["count"]), 1),
    ]);
    let shown = at_once(&mut one, &mut other, &ours, &theirs);
    assert_eq!(shown["body"], "ours hello theirs");
    assert_eq!(shown["items"][0]["tags"].as_array().unwrap().len(), 2, "{shown}");
    assert_eq!(shown["items"][1], json!({ "text": "tea", "tags": [] }));
    assert_eq!((&shown["rooms"], &shown["count"]), (&json!([{ "title": "a!" }]), &json!(4)));
    let found = |path: &Value| one.document.tree().locate(&at(path), false).is_ok();
    assert!(found(&json!(["rooms", 0, "title"])));
    assert_eq!(
        one.document.conflicts(&at(&json!(["items", 0]))).len(),
        1,
        "nothing lies beside it"
    );
}

#[test]
fn what_one_converts_while_another_changes_it_ends_equal_and_can_be_converted_again() {
    let (mut one, mut other) = pair(&json!({ "l": ["a", "b"], "s": "old" }));
    let ours = edit([
        convert(&json!(["l", 1]), &json!({ "n": "b" })),
        convert(&json!(["s"]), &json!({ "$text": "old" })),
    ]);
    // By an app of an older version.
    let theirs = edit([
        insert(&json!(["l", 0]), &json!("new")),
        put(&json!(["l", 2]), &json!("changed")),
        put(&json!(["s"]), &json!("changed")),
        move_to(&json!(["l", 2]), 0),
    ]);
    let shown = at_once(&mut one, &mut other, &ours, &theirs);
    assert_eq!(shown["l"].as_array().unwrap().len(), 3, "{shown}");
    // Whatever counts there now, both bring it up to date alike.
    let mut again = Vec::new();
    for (n, item) in shown["l"].as_array().unwrap().iter().enumerate() {
        if let Some(text) = item.as_str() {
            again.push(convert(&json!(["l", n]), &json!({ "n": text })));
        }
    }
    let again = Edit::App { ops: again };
    let shown = at_once(&mut one, &mut other, &again, &again);
    assert!(shown["l"].as_array().unwrap().iter().all(Value::is_object), "{shown}");
    for n in 0..3 {
        assert_eq!(one.document.conflicts(&at(&json!(["l", n]))).len(), 1, "{shown}");
    }
}

#[test]
fn operations_are_made_in_their_order_beside_what_is_converted() {
    let (mut one, _) = pair(&json!({ "a": 1, "l": [1, 2] }));
    one.write(&edit([
        put(&json!(["a"]), &json!(5)),
        convert(&json!(["a"]), &json!([])),
        delete(&json!(["l", 0])),
        convert(&json!(["l", 0]), &json!("two")),
    ]));
    assert_eq!(one.document.to_json(), json!({ "a": [], "l": ["two"] }));
    one.write(&edit([delete(&json!(["a"])), ensure(&json!(["a"]), &json!("new"))]));
    assert_eq!(one.document.to_json()["a"], "new");
    assert_eq!(fault(&mut one, &[convert(&json!(["gone"]), &json!(1))]).2, OpFault::NoSuchPlace);
    assert_eq!(fault(&mut one, &[convert(&json!(["l", 1]), &json!(1))]).2, OpFault::PastTheEnd);
    assert_eq!(fault(&mut one, &[convert(&json!([]), &json!(1))]).2, OpFault::EmptyPath);
    let touched =
        one.document.edit(&one.writer, &edit([convert(&json!(["a"]), &json!(1))])).unwrap();
    assert_eq!(touched.paths.into_iter().collect::<Vec<_>>(), [at(&json!(["a"]))], "it is told");
}

#[test]
fn what_is_nobodys_converts_one_place_and_takes_nothing_else_away() {
    let (mut one, mut other) = pair(&json!({ "a": 1, "b": [1, 2] }));
    let rows = one.write(&edit([convert(&json!(["a"]), &json!(["x"]))]));
    let [row] = rows.as_slice() else { panic!("{rows:?}") };
    // Whoever sends it, it is the same; told of as nobody's.
    let theirs = Row { writer: other.writer, ..row.clone() };
    give(&[theirs], &mut other.document);
    assert_eq!(other.document.to_json(), json!({ "a": ["x"], "b": [1, 2] }));
    // The same with one thing more is no conversion, whoever signs it as nobody.
    let (mut one, mut other) = pair(&json!({ "a": 1, "b": 2 }));
    for more in [delete(&json!(["b"])), put(&json!(["b"]), &json!(3))] {
        let mut doc = Author::new(3, app());
        give(&rows_of(&one), &mut doc.document);
        let rows = doc.write(&edit([put(&json!(["a"]), &json!(5)), more]));
        let mut change = rows[0].change.clone();
        let nobody = super::births::born_by(&change).unwrap();
        let actor = super::actor(&one.space, &app(), &nobody);
        super::births::sign(&mut change, actor.to_bytes()).unwrap();
        let forged = Row { writer: other.writer, placement: None, change };
        for document in [&mut one.document, &mut other.document] {
            let received = document.receive(vec![forged.clone()]);
            assert_eq!(received.refused.len(), 1, "{received:?}");
            assert_eq!(document.to_json(), json!({ "a": 1, "b": 2 }));
        }
    }
}

fn rows_of(author: &Author) -> Vec<Row> {
    let copy = AutoCommit::load(&author.document.doc.clone().save()).unwrap();
    let row = |change: &automerge::Change| Row {
        writer: author.writer,
        placement: None,
        change: change.raw_bytes().to_vec(),
    };
    copy.clone().get_changes(&[]).iter().map(row).collect()
}

#[test]
fn what_is_put_into_an_element_that_was_moved_leaves_it_where_it_stands() {
    let (mut one, mut other) = pair(&json!({ "l": ["a", "b", "c", "d"] }));
    // In one change, in the next, and again.
    let rows = one.write(&edit([move_to(&json!(["l", 3]), 0), put(&json!(["l", 0]), &json!("D"))]));
    assert_eq!(one.document.to_json()["l"], json!(["D", "a", "b", "c"]));
    give(&rows, &mut other.document);
    let edits = [
        put(&json!(["l", 0]), &json!("DD")),
        put(&json!(["l", 0]), &json!("DDD")),
        insert(&json!(["l", 1]), &json!("e")),
    ];
    let rows = {
        one.document.edit(&one.writer, &edit(edits)).unwrap();
        assert_eq!(one.document.to_json()["l"], json!(["DDD", "e", "a", "b", "c"]), "at once");
        one.cut()
    };
    give(&rows, &mut other.document);
    // Moved by one while another puts something else there, or converts it.
    let ours = edit([move_to(&json!(["l", 4]), 0), move_to(&json!(["l", 1]), 2)]);
    let theirs = edit([
        put(&json!(["l", 4]), &json!({ "was": "c" })),
        convert(&json!(["l", 0]), &json!(["DDD"])),
    ]);
    let shown = at_once(&mut one, &mut other, &ours, &theirs);
    assert_eq!(shown["l"], json!([{ "was": "c" }, "e", ["DDD"], "a", "b"]));
    // It can be moved on, changed, and taken out; and it was so then.
    let then = other.document.heads();
    let rows = other.write(&edit([
        move_to(&json!(["l", 0]), 4),
        put(&json!(["l", 4, "was"]), &json!("C")),
        delete(&json!(["l", 1])),
    ]));
    give(&rows, &mut one.document);
    assert_eq!(one.document.to_json()["l"], json!(["e", "a", "b", { "was": "C" }]));
    assert_eq!(one.document.as_of(&then, &at(&json!(["l"])), false).unwrap().unwrap(), shown["l"]);
    // An edit that fails leaves all as it was.
    let failing = [put(&json!(["l", 3]), &json!("x")), delete(&json!(["l", 9]))];
    assert_eq!(fault(&mut one, &failing).0, 1);
    let snapshot = one.document.snapshot().unwrap();
    let (mut read, _) = Document::load(one.space, app(), Some(&snapshot), Vec::new()).unwrap();
    read.edit(&one.writer, &edit([put(&json!(["l", 3]), &json!("at the end"))])).unwrap();
    assert_eq!(read.to_json()["l"], json!(["e", "a", "b", "at the end"]));
}
