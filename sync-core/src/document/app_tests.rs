//! An app's own document: what two begin at once is one, what is moved stands once, what is read can be
//! written back, and what can't be made says which operation it was and why.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use serde_json::{Value, json};
use sync_protocol::codec::Blob;

use super::carried::{carrier, difference, edits_of, handed_over};
use super::places::is_sign;
use super::testing::{Author, place, writer};
use super::{
    AppOp, Document, DocumentError, Edit, EditError, Name, OpFault, Row, Step, Unit, actor,
};

pub(super) fn app() -> Name {
    Name::App(0, "notes".into())
}

pub(super) fn at(path: &Value) -> Vec<Step> {
    let step = |step: &Value| match step.as_u64() {
        Some(index) => Step::Index(index),
        None => Step::from(step.as_str().unwrap()),
    };
    path.as_array().unwrap().iter().map(step).collect()
}

pub(super) fn blob(value: &Value) -> Blob {
    Blob(value.to_string().into_bytes())
}

pub(super) fn put(path: &Value, value: &Value) -> AppOp {
    AppOp::Put { path: at(path), value: blob(value) }
}

pub(super) fn insert(path: &Value, value: &Value) -> AppOp {
    AppOp::Insert { path: at(path), value: blob(value) }
}

pub(super) fn ensure(path: &Value, value: &Value) -> AppOp {
    AppOp::Ensure { path: at(path), value: blob(value) }
}

pub(super) fn delete(path: &Value) -> AppOp {
    AppOp::Delete { path: at(path) }
}

pub(super) fn increment(path: &Value, by: i64) -> AppOp {
    AppOp::Increment { path: at(path), by }
}

pub(super) fn move_to(path: &Value, to: u64) -> AppOp {
    AppOp::Move { path: at(path), to }
}

pub(super) fn splice(path: &Value, index: u64, delete: u64, insert: &str, unit: Unit) -> AppOp {
    AppOp::SpliceText { path: at(path), index, delete, insert: insert.into(), unit }
}

pub(super) fn edit<const N: usize>(ops: [AppOp; N]) -> Edit {
    Edit::App { ops: ops.into() }
}

/// Two who have the same document.
pub(super) fn pair(content: &Value) -> (Author, Author) {
    let (mut one, mut other) = (Author::new(1, app()), Author::new(2, app()));
    let rows = one.write(&Edit::App {
        ops: content
            .as_object()
            .unwrap()
            .iter()
            .map(|(key, value)| put(&json!([key]), value))
            .collect(),
    });
    give(&rows, &mut other.document);
    (one, other)
}

pub(super) fn give(rows: &[Row], to: &mut Document) {
    let received = to.receive(rows.to_vec());
    assert!(received.refused.is_empty() && received.waiting.is_empty(), "{received:?}");
}

/// Both write at once; gives what both then show.
pub(super) fn at_once(one: &mut Author, other: &mut Author, ours: &Edit, theirs: &Edit) -> Value {
    let (ours, theirs) = (one.write(ours), other.write(theirs));
    give(&theirs, &mut one.document);
    give(&ours, &mut other.document);
    assert_eq!(one.document.content_hash(), other.document.content_hash());
    assert_eq!(one.document.heads(), other.document.heads());
    // And so does whoever reads it from its rows, or from a snapshot.
    let (space, snapshot) = (one.space, other.document.snapshot().unwrap());
    let (read, _) = Document::load(space, app(), Some(&snapshot), Vec::new()).unwrap();
    assert_eq!(read.to_json(), one.document.to_json());
    one.document.to_json()
}

pub(super) fn fault(author: &mut Author, ops: &[AppOp]) -> (usize, &'static str, OpFault) {
    let before = author.document.to_json();
    let refused = author.document.edit(&author.writer, &Edit::App { ops: ops.to_vec() });
    assert_eq!(author.document.to_json(), before, "all or nothing");
    match refused {
        Err(EditError::Op(error)) => (error.op, error.operation, error.fault),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_two_begin_at_once_is_one() {
    let (mut one, mut other) = pair(&json!({}));
    let begin = |n: u32| {
        edit([
            ensure(&json!(["items"]), &json!([])),
            ensure(&json!(["deep", "er", "text"]), &json!({ "$text": "x" })),
            ensure(&json!(["votes"]), &json!({ "$counter": 0 })),
            insert(&json!(["items", 0]), &json!(n)),
            splice(&json!(["deep", "er", "text"]), 0, 0, &n.to_string(), Unit::Characters),
            increment(&json!(["votes"]), i64::from(n)),
        ])
    };
    let shown = at_once(&mut one, &mut other, &begin(3), &begin(4));
    assert_eq!(shown["votes"], 7);
    assert_eq!(shown["items"].as_array().unwrap().len(), 2, "{shown}");
    assert_eq!(shown["deep"]["er"]["text"].as_str().unwrap().len(), 3, "{shown}");
    // Nobody wrote the beginnings: they are no one's changes.
    let nobodys = one.document.told().iter().filter(|told| told.writer.is_none()).count();
    assert_eq!(nobodys, 0, "without a place they are not told");
    let rows = one.write(&edit([ensure(&json!(["items"]), &json!([]))]));
    assert!(rows.is_empty(), "what is there is left as it is");
}

#[test]
fn what_is_begun_inside_of_what_another_made_is_one_too() {
    let (mut one, mut other) = pair(&json!({ "rooms": {} }));
    let begin = |n: u32| {
        edit([
            ensure(&json!(["rooms", "a"]), &json!({ "list": [] })),
            insert(&json!(["rooms", "a", "list", 0]), &json!(n)),
        ])
    };
    let shown = at_once(&mut one, &mut other, &begin(1), &begin(2));
    assert_eq!(shown["rooms"]["a"]["list"].as_array().unwrap().len(), 2, "{shown}");
}

#[test]
fn what_was_taken_away_can_be_begun_again() {
    let (mut one, mut other) = pair(&json!({}));
    let begin =
        edit([ensure(&json!(["items"]), &json!([])), insert(&json!(["items", 0]), &json!(1))]);
    for _ in 0..3 {
        let rows = one.write(&begin);
        give(&rows, &mut other.document);
        assert_eq!(other.document.to_json(), json!({ "items": [1] }));
        let rows = one.write(&edit([delete(&json!(["items"]))]));
        give(&rows, &mut other.document);
        assert_eq!(other.document.to_json(), json!({}));
    }
}

#[test]
fn a_beginning_that_fails_leaves_nothing() {
    let (mut one, _) = pair(&json!({ "n": 1 }));
    let ops = [ensure(&json!(["items"]), &json!([])), delete(&json!(["gone"]))];
    assert_eq!(fault(&mut one, &ops), (1, "delete", OpFault::NoSuchPlace));
    assert_eq!(fault(&mut one, &[ensure(&json!(["n", "x"]), &json!(1))]).2, OpFault::NotAMap);
    assert!(!one.document.has_uncut());
}

#[test]
fn nobody_can_pass_off_another_change_as_a_beginning() {
    let mut one = Author::new(1, app());
    let rows = one.write(&edit([ensure(&json!(["items"]), &json!(["x"]))]));
    let [birth] = rows.as_slice() else { panic!("{rows:?}") };
    // Whoever sends it, it is taken, and once.
    let mut reader = Document::new(one.space, app());
    give(&[Row { writer: writer(7), ..birth.clone() }, birth.clone()], &mut reader);
    assert_eq!(reader.change_count(), 1);
    // What says anything else under that author is not.
    let mut chunk = birth.change.clone();
    let x = chunk.iter().rposition(|byte| *byte == b'x').unwrap();
    chunk[x] = b'y';
    let hash = sync_protocol::hash::sha256(&chunk[8..]);
    chunk[4..8].copy_from_slice(&hash[..4]);
    let received = reader.receive(vec![Row { change: chunk, ..birth.clone() }]);
    assert_eq!(received.refused.len(), 1);
    assert_eq!(reader.to_json(), json!({ "items": ["x"] }));
}

#[test]
fn an_element_that_is_moved_stands_once_whoever_moves_it() {
    let list = json!({ "l": ["a", "b", "c"] });
    let (mut one, mut other) = pair(&list);
    let (first, last) =
        (edit([move_to(&json!(["l", 0]), 2)]), edit([move_to(&json!(["l", 0]), 1)]));
    let shown = at_once(&mut one, &mut other, &first, &last);
    let mut letters: Vec<&str> =
        shown["l"].as_array().unwrap().iter().map(|letter| letter.as_str().unwrap()).collect();
    letters.sort_unstable();
    assert_eq!(letters, ["a", "b", "c"], "{shown}");
    // Every move does what it says, whatever was moved before.
    for (from, to) in [(0, 2), (2, 0), (1, 1), (0, 1), (2, 1)] {
        let mut expected = one.document.to_json()["l"].as_array().unwrap().clone();
        let element = expected.remove(from);
        expected.insert(to, element);
        let rows = one.write(&edit([move_to(&json!(["l", from]), to as u64)]));
        give(&rows, &mut other.document);
        assert_eq!(one.document.to_json()["l"], json!(expected), "{from} {to}");
        assert_eq!(other.document.to_json()["l"], json!(expected), "{from} {to}");
    }
    let rows = one.write(&edit([delete(&json!(["l", 1])), insert(&json!(["l", 2]), &json!("z"))]));
    give(&rows, &mut other.document);
    assert_eq!(one.document.to_json()["l"].as_array().unwrap().len(), 3);
    assert_eq!(one.document.to_json()["l"][2], "z");
}

#[test]
fn what_is_changed_inside_of_a_moved_element_is_kept_and_what_is_deleted_is_gone() {
    let list = json!({ "l": [{ "n": 1 }, { "n": 2 }, { "n": 3 }] });
    let (mut one, mut other) = pair(&list);
    let moved = edit([move_to(&json!(["l", 0]), 2)]);
    let changed = edit([put(&json!(["l", 0, "n"]), &json!(9))]);
    let shown = at_once(&mut one, &mut other, &moved, &changed);
    assert_eq!(shown["l"], json!([{ "n": 2 }, { "n": 3 }, { "n": 9 }]));
    let deleted = edit([delete(&json!(["l", 2]))]);
    let moved = edit([move_to(&json!(["l", 2]), 0)]);
    let shown = at_once(&mut one, &mut other, &deleted, &moved);
    assert_eq!(shown["l"], json!([{ "n": 2 }, { "n": 3 }]));
    assert_eq!(fault(&mut one, &[move_to(&json!(["l", 2]), 0)]).2, OpFault::PastTheEnd);
    assert_eq!(fault(&mut one, &[move_to(&json!(["l", 0]), 2)]).2, OpFault::PastTheEnd);
    assert_eq!(fault(&mut one, &[move_to(&json!(["l"]), 0)]).2, OpFault::NotAList);
}

#[test]
fn a_sign_that_stands_for_nothing_shows_nothing() {
    for bytes in
        [&b"\0moved\0\x01"[..], b"\0moved\0\x01\x01\x03\x02", b"\0moved\0\x01\xff\xff\xff\xff"]
    {
        assert!(is_sign(bytes));
        let (mut one, mut other) = pair(&json!({ "l": ["a", "b"] }));
        // By a device that writes what it likes.
        let mut theirs = automerge::AutoCommit::load(&one.document.export()).unwrap();
        theirs.set_actor(actor(&other.space, &app(), &other.writer));
        {
            use automerge::ReadDoc;
            use automerge::transaction::Transactable;
            let (_, list) = theirs.get(automerge::ROOT, "l").unwrap().unwrap();
            theirs.insert(&list, 1, automerge::ScalarValue::Bytes(bytes.to_vec())).unwrap();
        }
        let whole = automerge::transaction::CommitOptions::default().with_time(0);
        let hash = theirs.commit_with(whole).unwrap();
        let change = theirs.get_change_by_hash(&hash).unwrap().raw_bytes().to_vec();
        let row = Row { writer: other.writer, placement: None, change };
        give(std::slice::from_ref(&row), &mut one.document);
        give(&[row], &mut other.document);
        assert_eq!(one.document.to_json()["l"], json!(["a", "b"]));
        let rows = one.write(&edit([move_to(&json!(["l", 0]), 1)]));
        give(&rows, &mut other.document);
        assert_eq!(other.document.to_json()["l"], json!(["b", "a"]));
    }
}

#[test]
fn what_is_read_with_its_kind_is_written_back_as_what_it_was() {
    let values = json!({
        "text": { "$text": "né" },
        "count": { "$counter": 2 },
        "time": { "$time": 5 },
        "bytes": { "$bytes": "AQI=" },
        "users": { "$map": { "$time": "noon" } },
        "nested": { "$map": { "$map": { "$map": { "$text": 1 } } } },
        "plain": [null, true, 1.5, { "$a": 1, "b": 2 }, {}],
    });
    let mut one = Author::new(1, app());
    for _ in 0..2 {
        for (key, value) in values.as_object().unwrap() {
            one.write(&edit([put(&json!([key]), value)]));
        }
        assert_eq!(one.document.json_at(&[], true).unwrap(), values);
    }
    let plain = one.document.to_json();
    assert_eq!(plain["users"], json!({ "$time": "noon" }));
    assert_eq!((&plain["text"], &plain["count"]), (&json!("né"), &json!(2)));
    one.write(&edit([increment(&json!(["count"]), 1)]));
    assert_eq!(one.document.json_at(&at(&json!(["count"])), true), Some(json!({ "$counter": 3 })));
    assert_eq!(fault(&mut one, &[put(&json!(["x"]), &json!({ "$map": 1 }))]).2, OpFault::BadValue);
    assert_eq!(
        fault(&mut one, &[put(&json!(["x"]), &json!({ "$time": "n" }))]).2,
        OpFault::BadValue
    );
}

#[test]
fn an_operation_that_cant_be_made_says_which_and_why() {
    let (mut one, _) = pair(&json!({
        "l": [1], "t": { "$text": "a😀b" }, "s": "text", "n": 1, "c": { "$counter": 1 },
    }));
    let fine = put(&json!(["x"]), &json!(1));
    for (op, operation, why) in [
        (put(&json!([]), &json!(1)), "put", OpFault::EmptyPath),
        (put(&json!(["l", 1]), &json!(1)), "put", OpFault::PastTheEnd),
        (put(&json!(["no", "x"]), &json!(1)), "put", OpFault::NoSuchPlace),
        (put(&json!(["l", "x"]), &json!(1)), "put", OpFault::NotAMap),
        (put(&json!([0]), &json!(1)), "put", OpFault::NotAList),
        (put(&json!([""]), &json!(1)), "put", OpFault::BadKey),
        (put(&json!(["n", "x"]), &json!(1)), "put", OpFault::NoSuchPlace),
        (insert(&json!(["l", 2]), &json!(1)), "insert", OpFault::PastTheEnd),
        (insert(&json!(["n"]), &json!(1)), "insert", OpFault::NotAList),
        (delete(&json!(["gone"])), "delete", OpFault::NoSuchPlace),
        (delete(&json!(["l", 1])), "delete", OpFault::PastTheEnd),
        (increment(&json!(["n"]), 1), "increment", OpFault::NotACounter),
        (increment(&json!(["gone"]), 1), "increment", OpFault::NoSuchPlace),
        (splice(&json!(["s"]), 0, 0, "x", Unit::Characters), "splice_text", OpFault::NotAText),
        (splice(&json!(["t"]), 4, 0, "x", Unit::Characters), "splice_text", OpFault::PastTheEnd),
        (splice(&json!(["t"]), 5, 0, "x", Unit::Utf16), "splice_text", OpFault::PastTheEnd),
        (splice(&json!(["t"]), 2, 0, "x", Unit::Utf16), "splice_text", OpFault::InsideACharacter),
        (splice(&json!(["t"]), u64::MAX, 1, "", Unit::Utf16), "splice_text", OpFault::PastTheEnd),
    ] {
        assert_eq!(fault(&mut one, &[fine.clone(), op.clone()]), (1, operation, why), "{op:?}");
    }
    let refused = one.document.edit(&one.writer, &edit([fine, delete(&json!(["l", 7]))]));
    let told = refused.unwrap_err().to_string();
    assert_eq!(told, r#"op 1 (delete at ["l",7]): past the end"#);
}

#[test]
fn positions_in_a_text_count_what_they_are_said_to_count() {
    for (unit, index) in [(Unit::Characters, 2), (Unit::Utf16, 3)] {
        let (mut one, _) = pair(&json!({ "t": { "$text": "a😀b" } }));
        one.write(&edit([splice(&json!(["t"]), index, 0, "|", unit)]));
        assert_eq!(one.document.to_json()["t"], "a😀|b");
        one.write(&edit([splice(&json!(["t"]), 1, index - 1, "", unit)]));
        assert_eq!(one.document.to_json()["t"], "a|b");
    }
}

#[test]
fn a_fork_is_merged_and_what_is_empty_or_foreign_is_refused() {
    let (mut one, _) =
        pair(&json!({ "l": ["a", "b"], "t": { "$text": "ab" }, "c": { "$counter": 1 } }));
    let mut fork = automerge::AutoCommit::load(&one.document.export()).unwrap();
    let beside = edit([
        insert(&json!(["l", 0]), &json!("ours")),
        increment(&json!(["c"]), 2),
        splice(&json!(["t"]), 0, 0, "ours ", Unit::Characters),
    ]);
    one.write(&beside);
    {
        use automerge::ReadDoc;
        use automerge::transaction::Transactable;
        let (_, list) = fork.get(automerge::ROOT, "l").unwrap().unwrap();
        fork.delete(&list, 0).unwrap();
        fork.insert(&list, 1, "theirs").unwrap();
        fork.increment(automerge::ROOT, "c", 5).unwrap();
        let (_, text) = fork.get(automerge::ROOT, "t").unwrap().unwrap();
        fork.splice_text(&text, 2, 0, " theirs").unwrap();
        fork.put(automerge::ROOT, "new", 1).unwrap();
    }
    for edit in one.document.import(&fork.save()).unwrap() {
        one.write(&edit);
    }
    let shown = one.document.json_at(&[], true).unwrap();
    let expected = json!({
        "l": ["ours", "b", "theirs"], "t": { "$text": "ours ab theirs" }, "c": { "$counter": 8 },
        "new": 1,
    });
    assert_eq!(shown, expected);
    let same = one.document.export();
    assert_eq!(one.document.import(&same), Ok(Vec::new()), "it has nothing beside");
    let empty = automerge::AutoCommit::new().save();
    assert_eq!(one.document.import(&empty), Err(DocumentError::EmptyImport));
    let mut foreign = Author::new(3, app());
    foreign.write(&edit([put(&json!(["other"]), &json!(1))]));
    let foreign = foreign.document.export();
    assert_eq!(one.document.import(&foreign), Err(DocumentError::ForeignImport));
    assert_eq!(one.document.json_at(&[], true).unwrap(), expected);
}

#[test]
fn what_was_put_at_once_can_be_seen_and_so_can_what_was_before() {
    let (mut one, mut other) = pair(&json!({ "n": 0 }));
    let before = one.document.heads();
    let theirs = edit([put(&json!(["n"]), &json!({ "$counter": 2 }))]);
    at_once(&mut one, &mut other, &edit([put(&json!(["n"]), &json!(1))]), &theirs);
    let seen = one.document.conflicts(&at(&json!(["n"])));
    let plain = one.document.json_at(&at(&json!(["n"])), true);
    assert_eq!(Some(&seen[0].0), plain.as_ref(), "what counts comes first");
    let mut by: Vec<_> = seen.iter().map(|(value, by)| (value.to_string(), by.unwrap())).collect();
    by.sort();
    let two = (json!({ "$counter": 2 }).to_string(), other.writer);
    assert_eq!(by, [("1".to_owned(), one.writer), two]);
    assert_eq!(one.document.conflicts(&at(&json!(["gone"]))), []);
    assert_eq!(one.document.as_of(&before, &[], false), Some(Some(json!({ "n": 0 }))));
    assert!(one.document.as_of(&[[7; 32]], &[], false).is_none());
    let told: Vec<_> = one.document.told().iter().map(|told| told.writer.unwrap()).collect();
    assert_eq!(told.len(), 3);
}

#[test]
fn a_change_names_where_it_acted() {
    let (mut one, mut other) =
        pair(&json!({ "l": [{ "n": 1 }, { "n": 2 }], "t": { "$text": "" } }));
    let change = edit([
        put(&json!(["l", 1, "n"]), &json!(3)),
        splice(&json!(["t"]), 0, 0, "x", Unit::Characters),
        put(&json!(["new"]), &json!({ "deep": { "er": [1, 2] } })),
    ]);
    let own = one.document.edit(&one.writer, &change).unwrap();
    let rows = one.cut();
    let theirs = other.document.receive(rows).touched;
    let expected = [json!(["l", 1, "n"]), json!(["new"]), json!(["t"])].map(|path| at(&path));
    assert_eq!(own.paths.into_iter().collect::<Vec<_>>(), expected);
    assert_eq!(theirs.paths.into_iter().collect::<Vec<_>>(), expected);
    let rows = one.write(&edit([delete(&json!(["l", 0])), insert(&json!(["l", 0]), &json!(1))]));
    let theirs = other.document.receive(rows).touched;
    assert_eq!(theirs.paths.into_iter().collect::<Vec<_>>(), [at(&json!(["l"]))]);
}

#[test]
fn what_is_handed_over_is_the_document_and_the_difference_is_what_was_written_since() {
    let content = json!({
        "l": ["a", { "n": 1 }, [1, 2]], "t": { "$text": "ab" }, "c": { "$counter": 1 }, "gone": 1,
        "m": { "x": 1, "y": { "$map": { "$text": 1 } } },
    });
    let (mut one, _) = pair(&content);
    for (index, change) in (1..).zip(one.cut()) {
        one.document.receive(vec![Row { placement: Some(place(index)), ..change }]);
    }
    let rows: Vec<Row> = {
        let mut all = Author::new(1, app());
        all.write(&Edit::App {
            ops: content.as_object().unwrap().iter().map(|(k, v)| put(&json!([k]), v)).collect(),
        })
    };
    let placed = rows.into_iter().map(|row| Row { placement: Some(place(5)), ..row }).collect();
    let mut one =
        Author { document: Document::load(one.space, app(), None, placed).unwrap().0, ..one };
    one.document
        .edit(
            &one.writer,
            &edit([
                delete(&json!(["l", 0])),
                insert(&json!(["l", 2]), &json!({ "deep": ["x", { "$text": "y" }] })),
                splice(&json!(["t"]), 1, 1, "z", Unit::Characters),
                increment(&json!(["c"]), -3),
                delete(&json!(["gone"])),
                put(&json!(["m", "x"]), &json!({ "$time": 3 })),
                put(&json!(["new"]), &json!({ "$text": "n" })),
            ]),
        )
        .unwrap();
    let before = one.document.content_before(6);
    assert_eq!(before, content);
    assert_eq!(one.document.content_before(5), json!({}), "what is behind the place is not in it");
    let name = Name::App(1, "notes".into());
    let changes = handed_over(&one.space, &name, before.clone()).unwrap();
    let rows = changes.into_iter().map(|change| Row {
        writer: carrier(),
        placement: None,
        change: change.0,
    });
    let (mut next, refused) = Document::load(one.space, name, None, rows.collect()).unwrap();
    assert!(refused.is_empty(), "{refused:?}");
    assert_eq!(next.json_at(&[], true).unwrap(), content);
    let now = one.document.tree().content_now();
    for edit in edits_of(difference(&before, &now)) {
        next.edit(&one.writer, &edit).unwrap();
    }
    assert_eq!(next.json_at(&[], true).unwrap(), now);
}

#[test]
fn what_is_handed_over_of_a_large_document_keeps_within_what_a_change_may_be() {
    let rows: Vec<Value> =
        (0..5_000).map(|i| json!({ "id": i, "done": null, "tags": [] })).collect();
    let content = json!({ "rows": rows, "text": { "$text": "x".repeat(200_000) } });
    let name = Name::App(1, "large".into());
    let author = Author::new(1, name.clone());
    let changes = handed_over(&author.space, &name, content.clone()).unwrap();
    let rows = changes.into_iter().map(|change| Row {
        writer: carrier(),
        placement: None,
        change: change.0,
    });
    let (document, refused) = Document::load(author.space, name, None, rows.collect()).unwrap();
    assert!(refused.is_empty(), "{refused:?}");
    assert_eq!(document.json_at(&[], true).unwrap(), content);
}
