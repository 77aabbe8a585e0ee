//! A member or device that cheats: each test is named for what must hold.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::num::NonZeroU64;

use automerge::legacy::{ElementId, Key, ObjectId, Op, OpId, OpType};
use automerge::{ActorId, Change, ChangeHash as Hash, ExpandedChange, ObjType, ScalarValue};
use sync_protocol::codec::Blob;
use sync_protocol::hash::sha256;
use sync_protocol::limits;

use super::messages::MessageView;
use super::testing::{Author, RELAY_MS, place, writer};
use super::{AppOp, Document, Edit, Name, Placement, Reason, Row, Step, Touched, change_hash};

/// Gives an altered chunk its right checksum, so that what lies behind it is judged.
pub(crate) fn mend(change: &mut [u8]) {
    if change.len() > 8 {
        let digest = sha256(&change[8..]);
        change[4..8].copy_from_slice(&digest[..4]);
    }
}

fn app() -> Name {
    Name::App(0, "notes".into())
}

fn put(key: &str, json: &str) -> Edit {
    let path = vec![Step::Key(key.into())];
    Edit::App { ops: vec![AppOp::Put { path, value: Blob(json.as_bytes().to_vec()) }] }
}

/// A chunk around a body.
fn chunk(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![0x85, 0x6f, 0x4a, 0x83, 0, 0, 0, 0, kind];
    leb(body.len() as u64, &mut out);
    out.extend_from_slice(body);
    mend(&mut out);
    out
}

fn leb(mut value: u64, out: &mut Vec<u8>) {
    while value > 0x7f {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// A cheat who takes an honest change of its own apart and puts it together differently.
struct Cheat {
    author: Author,
    honest: Document,
}

impl Cheat {
    fn new(name: Name) -> Self {
        let author = Author::new(6, name.clone());
        let mut friend = Author::new(1, name.clone());
        let mut honest = Document::new(author.space, name.clone());
        let mut cheat = Self { author, honest: Document::new(friend.space, name) };
        let edits = match cheat.author.document.name() {
            Name::App(..) => vec![
                put("list", "[1,2,3]"),
                put("other", "[9]"),
                put("text", r#"{"$text":"abc"}"#),
                put("map", r#"{"x":1}"#),
                put("n", r#"{"$counter":1}"#),
            ],
            _ => vec![friend.message(0, "hello")],
        };
        for edit in edits {
            let rows = friend.write(&edit);
            assert!(honest.receive(rows.clone()).refused.is_empty());
            cheat.author.document.receive(rows);
        }
        cheat.honest = honest;
        cheat
    }

    /// An honest change of the cheat's, not sent, as parts.
    fn parts(&mut self, edit: &Edit) -> ExpandedChange {
        let rows = self.author.write(edit);
        Change::from_bytes(rows[0].change.clone()).unwrap().decode()
    }

    fn row(&self, parts: ExpandedChange) -> Row {
        self.raw(Change::from(parts).raw_bytes().to_vec())
    }

    fn raw(&self, change: Vec<u8>) -> Row {
        Row { writer: self.author.writer, placement: None, change }
    }

    /// Sends the altered change and an honest one beside it: the first is refused for `reason`,
    /// the second applied, nothing else has happened and the document still saves and loads.
    fn refused(&mut self, row: Row, reason: impl Fn(Reason) -> bool) {
        let mut neighbour = Author::new(2, self.honest.name().clone());
        let edit = match self.honest.name() {
            Name::App(..) => put("neighbour", "1"),
            _ => neighbour.message(1, "neighbour"),
        };
        let good = neighbour.write(&edit);
        let heads_with = {
            let before = self.honest.snapshot().unwrap();
            let mut copy = load(&self.honest, &before);
            copy.receive(good.clone());
            copy.heads()
        };
        let received = self.honest.receive([vec![row], good].concat());
        assert_eq!(received.refused.len(), 1, "{received:?}");
        assert!(reason(received.refused[0].reason), "{received:?}");
        assert_eq!(self.honest.heads(), heads_with);
        let snapshot = self.honest.snapshot().unwrap();
        assert_eq!(load(&self.honest, &snapshot).content_hash(), self.honest.content_hash());
    }

    /// The parts of a put into `map` with something changed about them, refused.
    fn altered(edit: &Edit, alter: impl Fn(&mut ExpandedChange), reason: impl Fn(Reason) -> bool) {
        let mut cheat = Self::new(app());
        let mut parts = cheat.parts(edit);
        alter(&mut parts);
        let row = cheat.row(parts);
        cheat.refused(row, reason);
    }
}

fn load(like: &Document, snapshot: &[u8]) -> Document {
    Document::load(*like.space(), like.name().clone(), Some(snapshot), Vec::new()).unwrap().0
}

fn ungrounded(reason: Reason) -> bool {
    matches!(reason, Reason::Ungrounded(_))
}

fn insert_first() -> Edit {
    let path = vec![Step::Key("list".into()), Step::Index(1)];
    Edit::App { ops: vec![AppOp::Insert { path, value: Blob(b"7".to_vec()) }] }
}

fn set_first() -> Edit {
    let path = vec![Step::Key("list".into()), Step::Index(0)];
    Edit::App { ops: vec![AppOp::Put { path, value: Blob(b"7".to_vec()) }] }
}

#[test]
fn two_changes_with_one_seq_leave_the_first_and_all_replicas_equal() {
    let mut author = Author::new(1, app());
    let mut twin = Author::new(1, app());
    let first = author.write(&put("a", "1"));
    let second = twin.write(&put("a", "2"));
    let after_second = twin.write(&put("b", "3"));
    let mut reader = Document::new(author.space, app());
    let received = reader.receive([first.clone(), second.clone(), after_second].concat());
    assert_eq!(received.accepted.len(), 1);
    assert!(received.refused.iter().any(|refused| refused.reason == Reason::WrongSeq));
    assert!(received.refused.iter().any(|refused| refused.reason == Reason::RefusedDependency));
    assert_eq!(reader.heads(), author.document.heads());
    assert_eq!(reader.content_hash(), author.document.content_hash());
    let more = author.write(&put("c", "4"));
    let received = reader.receive(more);
    assert_eq!(
        received.accepted.len(),
        0,
        "the writer's later seqs were already spoilt: {received:?}"
    );
}

#[test]
fn changes_under_another_writers_actor_are_refused() {
    let mut author = Author::new(1, app());
    let mut rows = author.write(&put("a", "1"));
    rows[0].writer = writer(2);
    let mut reader = Document::new(author.space, app());
    assert_eq!(reader.receive(rows.clone()).refused[0].reason, Reason::WrongActor);
    let follow = author.write(&put("b", "2"));
    assert_eq!(reader.receive(follow).waiting.len(), 1);
    rows[0].writer = writer(2);
    reader.receive(rows.clone());
    rows[0].writer = writer(1);
    assert_eq!(
        reader.receive(rows.clone()).accepted.len(),
        2,
        "the true writer's own still counts"
    );
    rows[0].writer = writer(2);
    assert_eq!(reader.receive(rows).refused[0].reason, Reason::WrongActor);
}

#[test]
fn a_change_of_another_document_or_space_is_refused() {
    let mut author = Author::new(1, app());
    let rows = author.write(&put("a", "1"));
    let mut other = Document::new(author.space, Name::App(0, "else".into()));
    assert_eq!(other.receive(rows.clone()).refused[0].reason, Reason::WrongActor);
    let space = sync_protocol::ids::SpaceId::from_bytes([1; 32]);
    assert_eq!(Document::new(space, app()).receive(rows).refused[0].reason, Reason::WrongActor);
}

#[test]
fn compressed_chunks_are_refused_unopened() {
    let mut cheat = Cheat::new(app());
    let text = "x".repeat(4_000);
    let rows = cheat.author.write(&put("a", &format!("{text:?}")));
    let mut change = Change::from_bytes(rows[0].change.clone()).unwrap();
    let row = cheat.raw(change.bytes().into_owned());
    assert!(row.change.len() < 500);
    cheat.refused(row, |reason| reason == Reason::Compressed);
}

#[test]
fn compressed_columns_are_refused_unopened() {
    let mut cheat = Cheat::new(app());
    let row = cheat.author.write(&put("a", "1")).remove(0);
    // The action column's specification, with the deflate bit set.
    let at = row.change.windows(2).rposition(|pair| pair == [0x42, 2]).unwrap();
    let mut change = row.change;
    change[at] |= 8;
    mend(&mut change);
    let row = cheat.raw(change);
    cheat.refused(row, |reason| reason == Reason::Compressed);
}

#[test]
fn runs_that_swell_into_endless_operations_are_refused() {
    let mut author = Author::new(6, app());
    let mut reader = Document::new(author.space, app());
    let actor = super::actor(&author.space, &app(), &author.writer);
    for count in [100_000_u64, 1 << 40, i64::MAX as u64] {
        let mut columns: Vec<(u8, Vec<u8>)> = Vec::new();
        let run = |value: &[u8]| {
            let mut out = Vec::new();
            leb(count, &mut out);
            // A signed count needs its sign bit clear.
            if out.last().is_some_and(|last| last & 0x40 != 0) {
                *out.last_mut().unwrap() |= 0x80;
                out.push(0);
            }
            out.extend_from_slice(value);
            out
        };
        let mut falses = Vec::new();
        leb(count, &mut falses);
        columns.push((0x15, run(&[1, b'k'])));
        columns.push((0x34, falses));
        columns.push((0x42, run(&[1])));
        columns.push((0x56, run(&[0])));
        columns.push((0x70, run(&[0])));
        let mut body = vec![0, 16];
        body.extend_from_slice(actor.to_bytes());
        body.extend_from_slice(&[1, 1, 0, 0, 0, columns.len() as u8]);
        for (spec, data) in &columns {
            body.extend_from_slice(&[*spec, data.len() as u8]);
        }
        columns.iter().for_each(|(_, data)| body.extend_from_slice(data));
        let row = Row { writer: author.writer, placement: None, change: chunk(1, &body) };
        let received = reader.receive(vec![row]);
        assert_eq!(received.refused[0].reason, Reason::TooLarge("operations"), "{count}");
    }
    let rows = author.write(&put("a", "1"));
    assert!(reader.receive(rows).refused.is_empty());
}

#[test]
fn garbage_truncation_and_bad_checksums_are_errors() {
    let mut author = Author::new(1, app());
    let row = author.write(&put("a", "1")).remove(0);
    let mut reader = Document::new(author.space, app());
    let mut send = |change: Vec<u8>| {
        let received = reader.receive(vec![Row { change, ..row.clone() }]);
        assert_eq!((received.refused.len(), received.accepted.len()), (1, 0));
    };
    for len in 0..row.change.len() {
        send(row.change[..len].to_vec());
        let mut cut = row.change[..len].to_vec();
        mend(&mut cut);
        send(cut);
    }
    for at in 0..row.change.len() {
        let mut bad = row.change.clone();
        bad[at] ^= 0x55;
        send(bad);
    }
    send([row.change.clone(), vec![0]].concat());
    send(vec![0; limits::CHANGE + 1]);
    for kind in [0, 2, 3, 4, 255] {
        let body = row.change[10..].to_vec();
        send(chunk(kind, &body));
    }
    assert!(reader.receive(vec![row]).refused.is_empty());
}

#[test]
fn a_million_dependencies_are_refused() {
    let mut body = Vec::new();
    leb(1_000_000, &mut body);
    let mut cheat = Cheat::new(app());
    let row = cheat.raw(chunk(1, &body));
    cheat.refused(row, |reason| reason == Reason::TooLarge("dependencies"));
}

#[test]
fn extreme_seqs_starts_and_times_are_refused() {
    let edit = put("a", "1");
    Cheat::altered(
        &edit,
        |parts| parts.seq = u64::MAX,
        |reason| matches!(reason, Reason::TooLarge(_)),
    );
    Cheat::altered(&edit, |parts| parts.seq = 7, |reason| reason == Reason::WrongSeq);
    let start = |n| move |parts: &mut ExpandedChange| parts.start_op = NonZeroU64::new(n).unwrap();
    Cheat::altered(&edit, start(u64::from(u32::MAX)), |reason| {
        matches!(reason, Reason::TooLarge(_))
    });
    Cheat::altered(&edit, start(u64::MAX), |reason| matches!(reason, Reason::TooLarge(_)));
    Cheat::altered(&edit, |parts| parts.time = i64::MIN, |reason| reason == Reason::Adorned);
    Cheat::altered(&edit, |parts| parts.time = 1, |reason| reason == Reason::Adorned);
    Cheat::altered(
        &edit,
        |parts| parts.message = Some("m".into()),
        |reason| reason == Reason::Adorned,
    );
    Cheat::altered(
        &edit,
        |parts| parts.extra_bytes = vec![1, 2, 3],
        |reason| reason == Reason::Adorned,
    );
}

#[test]
fn a_start_op_off_by_one_is_refused() {
    for by in [-1_i64, 1] {
        let alter = move |parts: &mut ExpandedChange| {
            let start = parts.start_op.get().checked_add_signed(by).unwrap();
            parts.start_op = NonZeroU64::new(start).unwrap();
        };
        Cheat::altered(&put("a", "1"), alter, |reason| reason == Reason::WrongStart);
    }
}

#[test]
fn a_key_in_a_list_and_an_index_in_a_map_are_refused() {
    let key = |parts: &mut ExpandedChange| parts.operations[0].key = Key::Map("k".into());
    Cheat::altered(&insert_first(), key, ungrounded);
    Cheat::altered(&set_first(), key, ungrounded);
    let head = |parts: &mut ExpandedChange| {
        parts.operations[0].key = Key::Seq(ElementId::Head);
        parts.operations[0].insert = true;
    };
    Cheat::altered(&put("a", "1"), head, ungrounded);
    Cheat::altered(&put("a", "1"), |parts| parts.operations[0].insert = true, ungrounded);
}

#[test]
fn operations_that_name_what_is_not_there_are_refused() {
    let actor = || super::actor(Author::new(1, app()).document.space(), &app(), &writer(1));
    let ghost = || OpId::new(999, &actor());
    Cheat::altered(
        &put("a", "1"),
        |parts| parts.operations[0].obj = ObjectId::Id(ghost()),
        ungrounded,
    );
    Cheat::altered(
        &put("a", "1"),
        |parts| parts.operations[0].pred = vec![ghost()].into(),
        ungrounded,
    );
    let element =
        |parts: &mut ExpandedChange| parts.operations[0].key = Key::Seq(ElementId::Id(ghost()));
    Cheat::altered(&insert_first(), element, ungrounded);
    Cheat::altered(&set_first(), element, ungrounded);
    let stranger = |parts: &mut ExpandedChange| {
        let id = OpId::new(1, &ActorId::from(&[5_u8; 16][..]));
        parts.operations[0].obj = ObjectId::Id(id);
    };
    Cheat::altered(&put("a", "1"), stranger, ungrounded);
    // Its own operation, and one after it.
    let own = |parts: &mut ExpandedChange| {
        let id = OpId::new(parts.start_op.get(), &parts.actor_id);
        parts.operations[0].obj = ObjectId::Id(id);
    };
    Cheat::altered(&put("a", "{}"), own, ungrounded);
}

#[test]
fn operations_on_the_wrong_thing_are_refused() {
    let actor = || super::actor(Author::new(1, app()).document.space(), &app(), &writer(1));
    // Operation 1 makes "list"; 2 is its first element; 5 makes "other", 6 is its element.
    let id = |counter| OpId::new(counter, &actor());
    let pred = |counter| {
        move |parts: &mut ExpandedChange| {
            parts.operations[0].pred = vec![OpId::new(counter, &actor())].into()
        }
    };
    Cheat::altered(&put("a", "1"), pred(1), ungrounded);
    Cheat::altered(&set_first(), pred(6), ungrounded);
    Cheat::altered(&set_first(), |parts| parts.operations[0].pred = Vec::new().into(), ungrounded);
    Cheat::altered(
        &set_first(),
        |parts| parts.operations[0].key = Key::Seq(ElementId::Id(id(6))),
        ungrounded,
    );
    Cheat::altered(
        &put("a", "1"),
        |parts| parts.operations[0].obj = ObjectId::Id(id(2)),
        ungrounded,
    );
    let delete = |parts: &mut ExpandedChange| parts.operations[0].action = OpType::Delete;
    Cheat::altered(&put("a", "1"), delete, ungrounded);
    let add =
        |by| move |parts: &mut ExpandedChange| parts.operations[0].action = OpType::Increment(by);
    Cheat::altered(&put("map", "1"), add(1), ungrounded);
    Cheat::altered(&put("n", "1"), add(i64::MAX), |reason| reason == Reason::TooLarge("counter"));
    let text = |parts: &mut ExpandedChange| parts.operations[0].obj = ObjectId::Id(id(7));
    Cheat::altered(&insert_first(), text, ungrounded);
}

#[test]
fn an_operation_outside_the_ancestry_is_refused_though_everybody_has_it() {
    let mut cheat = Cheat::new(app());
    let mut bystander = Author::new(3, app());
    let seen = bystander.write(&put("map2", "{}"));
    cheat.honest.receive(seen.clone());
    cheat.author.document.receive(seen);
    let edit = Edit::App {
        ops: vec![AppOp::Put {
            path: vec![Step::Key("map2".into()), Step::Key("k".into())],
            value: Blob(b"1".to_vec()),
        }],
    };
    let mut parts = cheat.parts(&edit);
    let unseen: Hash = Hash(bystander.document.heads()[0]);
    parts.deps.retain(|dep| *dep != unseen);
    let row = cheat.row(parts);
    cheat.refused(row, ungrounded);
}

#[test]
fn marks_tables_and_unknown_actions_are_refused() {
    let malformed = |reason| matches!(reason, Reason::Malformed(_));
    Cheat::altered(
        &insert_first(),
        |parts| parts.operations[0].action = OpType::MarkEnd(true),
        malformed,
    );
    Cheat::altered(
        &put("a", "{}"),
        |parts| parts.operations[0].action = OpType::Make(ObjType::Table),
        malformed,
    );
    let odd = ScalarValue::Unknown { type_code: 12, bytes: vec![1, 2] };
    Cheat::altered(
        &put("a", "1"),
        |parts| parts.operations[0].action = OpType::Put(odd.clone()),
        malformed,
    );
}

#[test]
fn objects_nested_without_end_are_refused() {
    let mut cheat = Cheat::new(app());
    let mut parts = cheat.parts(&put("deep", "{}"));
    let (start, actor) = (parts.start_op.get(), parts.actor_id.clone());
    for n in 0..limits::DOCUMENT_DEPTH as u64 {
        parts.operations.push(Op {
            action: OpType::Make(ObjType::Map),
            obj: ObjectId::Id(OpId::new(start + n, &actor)),
            key: Key::Map("k".into()),
            pred: Vec::new().into(),
            insert: false,
        });
    }
    let row = cheat.row(parts);
    cheat.refused(row, |reason| reason == Reason::TooLarge("depth"));
}

#[test]
fn what_builds_on_a_refused_change_is_refused_whatever_comes_first() {
    let mut cheat = Cheat::new(app());
    let mut parts = cheat.parts(&put("a", "1"));
    parts.time = 0;
    parts.operations[0].insert = true;
    let bad = cheat.row(parts);
    let mut accomplice = Author::new(4, app());
    let mut follow =
        Change::from_bytes(accomplice.write(&put("b", "2")).remove(0).change).unwrap().decode();
    follow.deps = vec![Hash(change_hash(&bad.change).unwrap())];
    let follower = Row {
        writer: accomplice.writer,
        placement: None,
        change: Change::from(follow).raw_bytes().to_vec(),
    };
    let verdicts = |rows: Vec<Row>| {
        let before = cheat.honest.heads();
        let mut replica = Document::new(*cheat.honest.space(), app());
        replica.receive(cheat_ancestors(&cheat.honest));
        let mut refused: Vec<_> = Vec::new();
        for row in rows {
            refused.extend(
                replica
                    .receive(vec![row])
                    .refused
                    .into_iter()
                    .map(|refused| (refused.writer, refused.reason)),
            );
        }
        assert_eq!(replica.heads(), before);
        refused.sort();
        refused
    };
    let forward = verdicts(vec![bad.clone(), follower.clone()]);
    let backward = verdicts(vec![follower, bad]);
    assert_eq!(forward, backward);
    assert_eq!(forward.len(), 2);
}

/// The honest friend's changes once more.
fn cheat_ancestors(_: &Document) -> Vec<Row> {
    let mut friend = Author::new(1, app());
    let edits = [
        put("list", "[1,2,3]"),
        put("other", "[9]"),
        put("text", r#"{"$text":"abc"}"#),
        put("map", r#"{"x":1}"#),
        put("n", r#"{"$counter":1}"#),
    ];
    edits.iter().flat_map(|edit| friend.write(edit)).collect()
}

#[test]
fn a_flood_of_changes_whose_dependencies_never_come_fills_only_its_writers_room() {
    let mut flood = Author::new(6, app());
    let mut good = Author::new(1, app());
    let mut reader = Document::new(flood.space, app());
    flood.write(&put("never sent", "1"));
    let mut refused = Vec::new();
    for n in 0..limits::WAITING_CHANGES + 50 {
        let rows = flood.write(&put("k", &n.to_string()));
        refused.extend(reader.receive(rows).refused.into_iter().map(|one| one.reason));
    }
    assert_eq!(refused[0], Reason::WaitingRoomFull);
    assert!(refused[1..].iter().all(|reason| *reason == Reason::RefusedDependency), "for good");
    assert_eq!(reader.waiting(), limits::WAITING_CHANGES);
    good.write(&put("late", "1"));
    let first = good.write(&put("later", "1"));
    assert_eq!(reader.receive(first).waiting.len(), 1, "others have room");
    assert!(reader.cost() < 4 * limits::WAITING_BYTES);
    let snapshot = reader.snapshot().unwrap();
    let mut again = load(&reader, &snapshot);
    assert_eq!(again.waiting(), reader.waiting());
    let rows = flood.write(&put("k", "7"));
    for reader in [&mut reader, &mut again] {
        let refused = reader.receive(rows.clone()).refused;
        assert_eq!(refused[0].reason, Reason::RefusedDependency, "after a restart as before it");
    }
}

#[test]
fn nobody_writes_anothers_entries() {
    let mut cheat = Cheat::new(Name::Messages(0));
    let edit = cheat.author.message(5, "mine");
    let victim = Author::new(1, Name::Messages(0)).key(0).to_string();
    for key in [victim.clone(), format!("{victim}eAAAAAAAA"), "nonsense".into(), String::new()] {
        let mut cheat = Cheat::new(Name::Messages(0));
        let mut parts = cheat.parts(&edit);
        parts.operations[0].key = Key::Map(key.as_str().into());
        let row = cheat.row(parts);
        cheat.refused(row, |reason| matches!(reason, Reason::Grammar(_)));
    }
    let grammar = |reason| matches!(reason, Reason::Grammar(_));
    for action in [
        OpType::Delete,
        OpType::Make(ObjType::Map),
        OpType::Put(ScalarValue::Int(1)),
        OpType::Increment(1),
    ] {
        let mut cheat = Cheat::new(Name::Messages(0));
        let mut parts = cheat.parts(&edit);
        parts.operations[0].action = action;
        let row = cheat.row(parts);
        cheat.refused(row, grammar);
    }
    let mut parts = cheat.parts(&edit);
    parts.operations[0].obj = ObjectId::Root;
    let row = cheat.row(parts);
    cheat.refused(row, grammar);
}

#[test]
fn anothers_edit_or_deletion_is_not_shown_and_a_reaction_is() {
    let mut author = Author::new(1, Name::Messages(0));
    let mut other = Author::new(2, Name::Messages(0));
    let edit = author.message(0, "true words");
    let key = author.key(0);
    let rows = author.write(&edit);
    other.document.receive(rows);
    for edit in [
        Edit::EditMessage { key, text: "false words".into() },
        Edit::DeleteMessage { key },
        Edit::React { key, emoji: Some("🎉".into()) },
    ] {
        let rows = other.write(&edit);
        assert!(author.document.receive(rows).refused.is_empty());
    }
    let mut view = MessageView::default();
    view.update(&author.document, &Touched { all: true, ..Touched::default() });
    let strangers = view.message(&key, &|a, b| a == b).unwrap();
    assert_eq!(
        (strangers.text.as_str(), strangers.edited, strangers.deleted),
        ("true words", false, false)
    );
    assert_eq!(strangers.reactions.len(), 1);
    let one_person = view.message(&key, &|_, _| true).unwrap();
    assert!(one_person.deleted && one_person.edited && one_person.text.is_empty());
}

#[test]
fn a_wild_clock_misplaces_only_its_own_messages() {
    const TEN_YEARS_MS: u64 = 10 * 365 * 24 * 3600 * 1000;
    let mut wild = Author::new(6, Name::Messages(0));
    let mut calm = Author::new(1, Name::Messages(0));
    let mut view = MessageView::default();
    let ahead = wild.message(TEN_YEARS_MS, "from the future");
    let mut rows = wild.write(&ahead);
    rows[0].placement = Some(place(0));
    let later = calm.message(limits::CLOCK_AHEAD_MS + 10, "five minutes on");
    let mut answer = calm.write(&later);
    answer[0].placement =
        Some(Placement { index: 1, time_ms: RELAY_MS + limits::CLOCK_AHEAD_MS + 10, ordinal: 0 });
    rows.extend(answer);
    let received = calm.document.receive(rows);
    view.update(&calm.document, &received.touched);
    let shown: Vec<_> =
        view.page(None, 10, &|a, b| a == b).into_iter().map(|message| message.text).collect();
    assert_eq!(shown, ["from the future", "five minutes on"]);
    let (_, effective, _) = view.posted(&wild.key(TEN_YEARS_MS)).unwrap();
    assert_eq!(effective.ms, RELAY_MS + limits::CLOCK_AHEAD_MS);
}

#[test]
fn an_answer_follows_even_where_both_clocks_run_ahead_and_the_relays_stands_still() {
    let mut wild = Author::new(6, Name::Messages(0));
    let mut other = Author::new(1, Name::Messages(0));
    let mut view = MessageView::default();
    let mut rows = wild.write(&wild.message(2 * limits::CLOCK_AHEAD_MS, "from the future"));
    rows.extend(other.write(&other.message(limits::CLOCK_AHEAD_MS + 1, "an answer")));
    for (index, row) in (0..).zip(&mut rows) {
        row.placement = Some(Placement { index, time_ms: RELAY_MS, ordinal: 0 });
    }
    let received = other.document.receive(rows);
    view.update(&other.document, &received.touched);
    let page = view.page(None, 10, &|a, b| a == b);
    let shown: Vec<_> = page.iter().map(|message| message.text.as_str()).collect();
    assert_eq!(shown, ["from the future", "an answer"]);
    assert_eq!(page[0].effective, page[1].effective);
    let before = view.page(Some(&page[1].key), 10, &|a, b| a == b);
    assert_eq!(before[..], page[..1]);
}

#[test]
fn kinds_and_fields_of_a_newer_version_are_kept_and_shown_as_such() {
    let mut newer = Cheat::new(Name::Messages(0));
    let key = newer.author.key(5);
    let edit = newer.author.message(5, "hi");
    let mut parts = newer.parts(&edit);
    // The same CBOR map with one more field, 9.
    let OpType::Put(ScalarValue::Bytes(mut bytes)) = parts.operations[0].action.clone() else {
        unreachable!()
    };
    bytes[0] += 1;
    bytes.extend_from_slice(&[9, 1]);
    parts.operations[0].action = OpType::Put(ScalarValue::Bytes(bytes));
    let row = newer.row(parts);
    assert!(newer.honest.receive(vec![row]).refused.is_empty());
    let mut poll = Author::new(2, Name::Messages(0));
    let react = Edit::React { key, emoji: None };
    let mut parts = Change::from_bytes(poll.write(&react).remove(0).change).unwrap().decode();
    let Key::Map(name) = parts.operations[0].key.clone() else { unreachable!() };
    parts.operations[0].key = Key::Map(name.replacen('r', "v", 1).as_str().into());
    let renamed = parts.operations[0].key.clone() != Key::Map(name);
    let row = Row {
        writer: poll.writer,
        placement: None,
        change: Change::from(parts).raw_bytes().to_vec(),
    };
    let received = newer.honest.receive(vec![row]);
    assert!(renamed && received.refused.is_empty(), "{received:?}");
    let mut view = MessageView::default();
    view.update(&newer.honest, &Touched { all: true, ..Touched::default() });
    let message = view.message(&key, &|a, b| a == b).unwrap();
    assert_eq!((message.text.as_str(), message.needs_update), ("hi", true));
}
