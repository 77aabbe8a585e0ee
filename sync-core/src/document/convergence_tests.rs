//! Any replicas with the same changes are equal, whatever the order they came in, and stay so
//! through snapshots; and what the layout promises in bytes and time.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::time::Instant;

use proptest::prelude::*;
use sync_protocol::codec::Blob;

use super::json::content_hash;
use super::messages::MessageView;
use super::testing::{Author, place, writer};
use super::{AppOp, Document, DocumentError, Edit, Name, Row, Step, Touched, Unit};

fn all() -> Touched {
    Touched { all: true, ..Touched::default() }
}

fn app() -> Name {
    Name::App(0, "notes".into())
}

fn put(path: &[&str], json: &str) -> Edit {
    let path = path.iter().map(|key| Step::Key((*key).into())).collect();
    Edit::App { ops: vec![AppOp::Put { path, value: Blob(json.as_bytes().to_vec()) }] }
}

fn path(kind: &str, index: Option<u64>) -> Vec<Step> {
    std::iter::once(Step::Key(kind.into())).chain(index.map(Step::Index)).collect()
}

/// One random edit of an app document that has a text, a list and a counter.
fn app_op() -> impl Strategy<Value = AppOp> {
    let value = prop_oneof![
        Just("null"),
        Just("1"),
        Just("[1,[2]]"),
        Just("{\"a\":{\"$text\":\"x\"}}"),
        Just("-0.5"),
        Just("{\"$counter\":3}"),
        Just("true"),
        Just("\"s\""),
        Just("{\"$bytes\":\"AAA=\"}"),
        Just("{\"$time\":-7}"),
        Just("18446744073709551615"),
    ]
    .prop_map(|json: &str| Blob(json.as_bytes().to_vec()));
    prop_oneof![
        (0..4_u64, value.clone())
            .prop_map(|(n, value)| AppOp::Insert { path: path("list", Some(n)), value }),
        (0..4_u64, value.clone())
            .prop_map(|(n, value)| AppOp::Put { path: path("list", Some(n)), value }),
        (0..4_u64).prop_map(|n| AppOp::Delete { path: path("list", Some(n)) }),
        ("[a-c]", value).prop_map(|(key, value)| AppOp::Put { path: path(&key, None), value }),
        "[a-c]".prop_map(|key| AppOp::Delete { path: path(&key, None) }),
        (-9..9_i64).prop_map(|by| AppOp::Increment { path: path("count", None), by }),
        (0..6_u64, 0..3_u64, "[a-zé😀]{0,5}").prop_map(|(index, delete, insert)| {
            AppOp::SpliceText {
                path: path("text", None),
                index,
                delete,
                insert,
                unit: Unit::Characters,
            }
        }),
    ]
}

/// Edits by three writers who now and then see what the others wrote.
fn app_history(script: &[(usize, AppOp, bool)]) -> Vec<Row> {
    let mut authors: Vec<_> = (0..3).map(|n| Author::new(n, app())).collect();
    let first = r#"{"$text":"hello"}"#;
    let mut rows = Vec::new();
    for edit in
        [put(&["text"], first), put(&["list"], "[1,2,3]"), put(&["count"], r#"{"$counter":1}"#)]
    {
        rows.extend(authors[0].write(&edit));
    }
    for author in &mut authors[1..] {
        assert!(author.document.receive(rows.clone()).refused.is_empty());
    }
    for (who, op, sync) in script {
        let author = &mut authors[*who];
        if author.document.edit(&author.writer, &Edit::App { ops: vec![op.clone()] }).is_ok() {
            let new = author.cut();
            rows.extend(new);
        }
        if *sync {
            let refused = author.document.receive(rows.clone()).refused;
            assert!(refused.is_empty(), "{refused:?}");
        }
    }
    rows
}

/// Any order that keeps each writer's own, as link chains do.
fn shuffled(rows: &[Row], seed: u64) -> Vec<Row> {
    let mut left: Vec<std::collections::VecDeque<Row>> = (0..3)
        .map(|n| rows.iter().filter(|row| row.writer == writer(n)).cloned().collect())
        .collect();
    let mut state = seed | 1;
    let mut out = Vec::new();
    while out.len() < rows.len() {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        if let Some(row) = left[(state >> 33) as usize % 3].pop_front() {
            out.push(row);
        }
    }
    out
}

fn same(a: &Document, b: &Document) {
    assert_eq!(a.heads(), b.heads());
    assert_eq!(a.content_hash(), b.content_hash());
    assert_eq!(a.to_json(), b.to_json());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn every_order_and_every_duplicate_gives_the_same_document(
        script in prop::collection::vec((0..3_usize, app_op(), any::<bool>()), 0..25),
        seed in any::<u64>(), chunk in 1..7_usize,
    ) {
        let rows = app_history(&script);
        let mut straight = Document::new(Author::new(0, app()).space, app());
        let received = straight.receive(rows.clone());
        prop_assert_eq!(received.accepted.len(), rows.len());
        let mut other = Document::new(*straight.space(), app());
        for batch in shuffled(&rows, seed).chunks(chunk) {
            other.receive(batch.to_vec());
            other.receive(batch.to_vec());
        }
        prop_assert_eq!(other.waiting(), 0);
        same(&straight, &other);
        prop_assert_eq!(straight.snapshot().unwrap(), other.snapshot().unwrap());
    }

    #[test]
    fn every_prefix_survives_a_snapshot(
        script in prop::collection::vec((0..3_usize, app_op(), any::<bool>()), 0..12),
    ) {
        let rows = app_history(&script);
        let space = Author::new(0, app()).space;
        for len in 0..=rows.len() {
            let mut document = Document::new(space, app());
            document.receive(rows[..len].to_vec());
            let snapshot = document.snapshot().unwrap();
            let (mut loaded, refused) = Document::load(space, app(), Some(&snapshot), Vec::new()).unwrap();
            prop_assert!(refused.is_empty());
            same(&document, &loaded);
            prop_assert_eq!(loaded.snapshot().unwrap(), snapshot);
            prop_assert!(loaded.receive(rows.clone()).refused.is_empty());
            document.receive(rows.clone());
            same(&document, &loaded);
        }
    }

    #[test]
    fn altered_bytes_never_panic_and_never_split_replicas(
        script in prop::collection::vec((0..3_usize, app_op(), any::<bool>()), 1..10),
        hits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        which in any::<prop::sample::Index>(),
    ) {
        let rows = app_history(&script);
        let mut bad = rows[which.index(rows.len())].clone();
        for (at, byte) in hits {
            let at = at.index(bad.change.len());
            bad.change[at] = byte;
        }
        super::attack_tests::mend(&mut bad.change);
        let space = Author::new(0, app()).space;
        let mut early = Document::new(space, app());
        let mut late = Document::new(space, app());
        early.receive(vec![bad.clone()]);
        early.receive(rows.clone());
        late.receive(rows);
        late.receive(vec![bad]);
        for document in [&mut early, &mut late] {
            let heads = document.heads();
            let snapshot = document.snapshot().unwrap();
            let (loaded, _) = Document::load(space, app(), Some(&snapshot), Vec::new()).unwrap();
            prop_assert_eq!(&heads, &loaded.heads());
            prop_assert_eq!(document.content_hash(), loaded.content_hash());
        }
        if early.heads() == late.heads() {
            prop_assert_eq!(early.content_hash(), late.content_hash());
        }
    }

    #[test]
    fn conversations_look_the_same_everywhere(
        script in prop::collection::vec((0..3_u8, 0..4_u8, 0..40_u64, any::<bool>()), 0..40), seed in any::<u64>(),
    ) {
        let name = Name::Messages(0);
        let mut authors: Vec<_> = (0..3).map(|n| Author::new(n, name.clone())).collect();
        let mut rows: Vec<Row> = Vec::new();
        for (step, (who, kind, pick, sync)) in script.into_iter().enumerate() {
            let target = authors[(pick % 3) as usize].key(pick / 3);
            let author = &mut authors[who as usize];
            let edit = match kind {
                0 => author.message(step as u64, "text"),
                1 => Edit::EditMessage { key: target, text: format!("edited {step}") },
                2 => Edit::React { key: target, emoji: (step % 2 == 0).then(|| "👍".into()) },
                _ => Edit::DeleteMessage { key: target },
            };
            for mut row in author.write(&edit) {
                row.placement = Some(place(rows.len() as u64));
                rows.push(row);
            }
            if sync {
                prop_assert!(author.document.receive(rows.clone()).refused.is_empty());
            }
        }
        let space = authors[0].space;
        let mut straight = Document::new(space, name.clone());
        straight.receive(rows.clone());
        let mut whole = MessageView::default();
        whole.update(&straight, &all());
        let mut other = Document::new(space, name);
        let mut growing = MessageView::default();
        for row in shuffled(&rows, seed) {
            let received = other.receive(vec![row]);
            growing.update(&other, &received.touched);
        }
        same(&straight, &other);
        let same_account = |a: &_, b: &_| a == b;
        prop_assert_eq!(whole.page(None, 1000, &same_account), growing.page(None, 1000, &same_account));
    }
}

#[test]
fn a_failed_edit_changes_nothing() {
    let mut author = Author::new(1, app());
    author.document.edit(&author.writer, &put(&["a"], "[1]")).unwrap();
    let good = AppOp::Put { path: path("b", None), value: Blob(b"2".to_vec()) };
    let bad = AppOp::Delete { path: path("nowhere", None) };
    assert!(author.document.edit(&author.writer, &Edit::App { ops: vec![good, bad] }).is_err());
    assert_eq!(author.document.to_json(), serde_json::json!({"a": [1]}));
    let rows = author.cut();
    let mut reader = Document::new(author.space, app());
    assert!(reader.receive(rows).refused.is_empty());
    same(&author.document, &reader);
}

#[test]
fn edits_around_a_receipt_of_changes_are_all_cut() {
    let mut a = Author::new(1, app());
    let mut b = Author::new(2, app());
    a.document.edit(&a.writer, &put(&["x"], "1")).unwrap();
    let rows = b.write(&put(&["y"], "2"));
    a.document.receive(rows);
    a.document.edit(&a.writer, &put(&["z"], "3")).unwrap();
    let rows = a.cut();
    assert_eq!(rows.len(), 2);
    assert!(!a.document.has_uncut());
    assert!(b.document.receive(rows).refused.is_empty());
    same(&a.document, &b.document);
}

#[test]
fn a_file_goes_out_and_comes_in_whole() {
    let mut author = Author::new(1, app());
    for edit in [
        put(&["t"], r#"{"$text":"né"}"#),
        put(&["l"], r#"[{"$counter":2},null,{"$time":5}]"#),
        put(&["b"], r#"{"$bytes":"AQI="}"#),
    ] {
        author.document.edit(&author.writer, &edit).unwrap();
    }
    let file = author.document.export();
    let opened = automerge::AutoCommit::load(&file).unwrap();
    assert_eq!(content_hash(&opened, &author.document.history), author.document.content_hash());
    let mut other = Author::new(2, app());
    for edit in other.document.import(&file).unwrap() {
        other.write(&edit);
    }
    assert_eq!(other.document.content_hash(), author.document.content_hash());
    assert_eq!(other.document.import(b"not a document"), Err(DocumentError::BadImport));
}

#[test]
fn a_damaged_snapshot_is_refused() {
    let mut author = Author::new(1, app());
    author.write(&put(&["x"], "1"));
    let snapshot = author.document.snapshot().unwrap();
    for at in 0..snapshot.len() {
        let mut bad = snapshot.clone();
        bad[at] ^= 1;
        assert!(Document::load(author.space, app(), Some(&bad), Vec::new()).is_err());
    }
    assert!(Document::load(author.space, Name::Messages(0), Some(&snapshot), Vec::new()).is_err());
}

#[test]
fn placements_survive_and_the_first_one_stays() {
    let mut author = Author::new(1, Name::Messages(0));
    let edit = author.message(0, "hi");
    let rows = author.write(&edit);
    let hash = super::change_hash(&rows[0].change).unwrap();
    let touched = author.document.place(&hash, place(4));
    assert_eq!(touched.keys.len(), 1);
    assert!(author.document.place(&hash, place(5)).is_empty());
    let snapshot = author.document.snapshot().unwrap();
    let (loaded, _) =
        Document::load(author.space, Name::Messages(0), Some(&snapshot), Vec::new()).unwrap();
    let mut view = MessageView::default();
    view.update(&loaded, &all());
    assert_eq!(view.posted(&author.key(0)).unwrap().2, Some(place(4)));
}

#[test]
fn messages_cost_the_bytes_and_time_the_layout_promises() {
    let text = "x".repeat(120);
    let mut author = Author::new(1, Name::Messages(0));
    let mut other = Author::new(2, Name::Messages(0));
    let mut rows = Vec::new();
    for n in 0..1_000 {
        let edit = author.message(n, &text);
        rows.extend(author.write(&edit));
    }
    let lone = rows.last().unwrap().change.len();
    for n in 1_000..1_100 {
        let edit = author.message(n, &text);
        author.document.edit(&author.writer, &edit).unwrap();
    }
    let batch = author.cut()[0].change.len() / 100;
    let start = Instant::now();
    other.document.receive(rows.clone());
    let each = start.elapsed() / 1_000;
    let start = Instant::now();
    for row in &rows {
        super::decode::decode(&row.change).unwrap();
    }
    let decode = start.elapsed() / 1_000;
    let mut writing = std::time::Duration::ZERO;
    let mut lone_apply = std::time::Duration::ZERO;
    let mut third = Author::new(3, Name::Messages(0));
    third.document.receive(rows.clone());
    for n in 0..100 {
        let edit = third.message(n, &text);
        let start = Instant::now();
        let row = third.write(&edit);
        writing += start.elapsed();
        let start = Instant::now();
        other.document.receive(row);
        lone_apply += start.elapsed();
    }
    let start = Instant::now();
    let snapshot = other.document.snapshot().unwrap();
    let snapshotting = start.elapsed();
    let start = Instant::now();
    let (loaded, _) =
        Document::load(author.space, Name::Messages(0), Some(&snapshot), Vec::new()).unwrap();
    let loading = start.elapsed();
    println!(
        "bytes: lone {lone}, in a batch of 100 {batch}, snapshot of 1,100 {}; times: batch of 1,000 {each:?} each \
         (decode {decode:?}), lone apply at 1,000 {:?}, write and cut {:?}, snapshot {snapshotting:?}, load {loading:?}; cost {}",
        snapshot.len(),
        lone_apply / 100,
        writing / 100,
        loaded.cost(),
    );
    assert!(lone <= 264, "{lone}");
    assert!(batch <= 150, "{batch}");
}
