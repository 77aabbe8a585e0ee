//! A document as it is, in changes that build on none before: what is handed over when an era begins.

use std::collections::{BTreeMap, BTreeSet};

use automerge::{AutoCommit, Change, ROOT, ReadDoc, TextEncoding};
use serde_json::{Map, Value as Json};
use sync_protocol::codec::{self, Blob};
use sync_protocol::ids::{SpaceId, WriterId};
use sync_protocol::limits;
use sync_protocol::text::HEX;

use super::births::nobody;
use super::decode::{Key, decode, value_type};
use super::history::Known;
use super::json::{Style, whole};
use super::tree::Tree;
use super::values::write_all;
use super::{AppOp, ChangeHash, Document, DocumentError, Edit, Name, Row, Step, Unit, actor};

/// Steps in which a counter is counted on, at most.
const STEPS: i64 = 64;
/// Under this key ends what somebody hands over.
pub(crate) const END: &str = "end";
/// Bytes of edits, at most, that are made together of many operations.
const EDIT: usize = limits::EDIT / 2;
/// Characters that one operation puts into a text.
const CHARACTERS: usize = 8 * 1024;
/// Letters that one operation takes out of a text: with those that it puts in, what one may.
const DELETED: usize = 64 * 1024;
/// Pairs of letters that are compared to find what two texts have in common.
const COMPARED: usize = 1024 * 1024;
/// Elements of a list that are moved; what else stands elsewhere is put in anew. Each costs all who read it.
const MOVES: usize = 64;
/// Elements of which one may be another, changed.
const NEAR: usize = 64;
/// By which field an app tells rows apart, the first that there is.
const NAMES: [&str; 4] = ["id", "_id", "key", "uuid"];
/// Letters in a row that two texts have in common for a reason.
const RUN: usize = 3;

/// Who stands as the author of what was handed over: who wrote what of it is not told.
#[must_use]
pub(crate) fn carrier() -> WriterId {
    nobody(&[0; 32])
}

impl Tree<'_> {
    /// The operations that take everything away.
    pub(crate) fn clearing(&self) -> Vec<AppOp> {
        let gone = |key| AppOp::Delete { path: vec![Step::Key(key)] };
        self.doc.keys(ROOT).map(gone).collect()
    }

    /// The content, with all that was written here.
    pub(crate) fn content_now(&self) -> Json {
        whole(self.doc, self.history, Style::Tagged)
    }
}

impl Document {
    /// An Automerge document with some of the changes: each must come with all that it builds on.
    pub(crate) fn rebuilt(&mut self, keep: impl Fn(&Known) -> bool) -> AutoCommit {
        self.close();
        let kept = |change: &Change| {
            let hash: &ChangeHash = &change.hash().0;
            self.history.change(hash).is_some_and(&keep)
        };
        let changes: Vec<Change> = self.doc.get_changes(&[]).into_iter().filter(kept).collect();
        let mut doc = AutoCommit::new_with_encoding(TextEncoding::UnicodeCodePoint);
        // They were applied once already.
        let _ = doc.apply_changes(changes);
        doc
    }

    /// The content by what the log had before an index.
    pub(crate) fn content_before(&mut self, index: u64) -> Json {
        let carrier = self.actor_of(&carrier());
        let carrier = self.history.actor_number(carrier.to_bytes());
        let doc = self.rebuilt(|known| {
            Some(known.actor) == carrier || known.placement.is_some_and(|at| at.index < index)
        });
        whole(&doc, &self.history, Style::Tagged)
    }

    /// What a writer hands over in this document, up to a place in the log: for each document's name
    /// the changes that it begins with. What makes no sense ends it.
    pub(crate) fn handed_by(
        &mut self,
        writer: &WriterId,
        end: (u64, u32),
    ) -> BTreeMap<String, Vec<Blob>> {
        let mut parts: BTreeMap<u32, Vec<u8>> = BTreeMap::new();
        // What builds on something behind that place still waited there, for whoever read so far and no
        // further.
        let mut stood: BTreeSet<ChangeHash> = BTreeSet::new();
        for change in self.doc.get_changes(&[]) {
            let hash: &ChangeHash = &change.hash().0;
            let place = self.history.change(hash).and_then(|known| known.placement);
            let is_before = place.is_some_and(|at| (at.index, at.ordinal) <= end);
            if !is_before || !change.deps().iter().all(|on| stood.contains(&on.0)) {
                continue;
            }
            stood.insert(*hash);
            if self.history.writer_of(hash) != Some(*writer) {
                continue;
            }
            let Ok(decoded) = decode(change.raw_bytes()) else { continue };
            for op in &decoded.ops {
                if let (Key::Name(key), value_type::BYTES) = (op.key, op.value_type)
                    && let Ok(number) = key.parse()
                {
                    parts.insert(number, op.value.to_vec());
                }
            }
        }
        let parts = (0..).map_while(|number| parts.remove(&number));
        let bytes = parts.collect::<Vec<_>>().concat();
        let mut decoder = minicbor::Decoder::new(&bytes);
        let mut handed = BTreeMap::new();
        while let Ok((name, changes)) = decoder.decode::<(String, Vec<Blob>)>() {
            if format!("app/{name}").parse::<Name>().is_ok() {
                handed.entry(name).or_insert(changes);
            }
        }
        handed
    }
}

/// A change that was handed over, as a document takes it in.
pub(crate) fn carried_row(change: &Blob) -> Row {
    Row { writer: carrier(), placement: None, change: change.0.clone() }
}

/// The changes that make a document of a name what `content` says.
///
/// # Errors
/// `Unfaithful`: it can't be said in changes.
pub(crate) fn handed_over(
    space: &SpaceId,
    name: &Name,
    content: Json,
) -> Result<Vec<Blob>, DocumentError> {
    let mut doc = AutoCommit::new_with_encoding(TextEncoding::UnicodeCodePoint);
    doc.set_actor(actor(space, name, &carrier()));
    write_all(&mut doc, content).map_err(|_| DocumentError::Unfaithful)?;
    Ok(doc.get_changes(&[]).iter().map(|change| Blob(change.raw_bytes().to_vec())).collect())
}

/// Whether a change ends what its writer hands over.
pub(crate) fn is_handed(change: &[u8]) -> bool {
    decode(change).is_ok_and(|decoded| decoded.ops.iter().any(|op| op.key == Key::Name(END)))
}

/// Operations as edits that are not too large.
pub(crate) fn edits_of(ops: Vec<AppOp>) -> Vec<Edit> {
    let mut edits = Vec::new();
    let (mut size, mut together) = (0, Vec::new());
    for op in ops {
        let more = codec::encode(&op).len();
        if size + more > EDIT && !together.is_empty() {
            edits.push(Edit::App { ops: std::mem::take(&mut together) });
            size = 0;
        }
        size += more;
        together.push(op);
    }
    if !together.is_empty() {
        edits.push(Edit::App { ops: together });
    }
    edits
}

/// The operations that make `now` of `before`; both with everything JSON has no word for tagged. What
/// is begun anew is begun so that it is the same if others begin it, too.
pub(crate) fn difference(before: &Json, now: &Json) -> Vec<AppOp> {
    let mut ops = Vec::new();
    compare(before, now, &mut Vec::new(), &mut ops);
    ops
}

/// A number that has a fraction is given by its bits: text is not read to the last bit everywhere. What is
/// made of several values is made of them one by one.
fn value(json: &Json) -> Blob {
    let json = match json.as_f64().filter(|_| json.is_f64()) {
        Some(float) => serde_json::json!({ "$float": HEX.encode(float.to_be_bytes()) }),
        None => json.clone(),
    };
    Blob(json.to_string().into_bytes())
}

/// The only field of an object, if its name begins with `$`.
fn tag(json: &Json) -> Option<(&str, &Json)> {
    let mut fields = json.as_object()?.iter();
    match (fields.next(), fields.next()) {
        (Some((name, inner)), None) if name.starts_with('$') => Some((name, inner)),
        _ => None,
    }
}

/// The fields of a map, tagged or not.
fn fields(json: &Json) -> Option<&Map<String, Json>> {
    match tag(json) {
        Some(("$map", inner)) => inner.as_object(),
        Some(("$text" | "$counter" | "$time" | "$bytes" | "$float", _)) => None,
        _ => json.as_object(),
    }
}

fn compare(before: &Json, now: &Json, path: &mut Vec<Step>, ops: &mut Vec<AppOp>) {
    if before == now {
        return;
    }
    if let (Some(before), Some(now)) = (fields(before), fields(now)) {
        return compare_maps(before, now, path, ops);
    }
    match (before, now, tag(before), tag(now)) {
        (Json::Array(before), Json::Array(now), ..) => compare_lists(before, now, path, ops),
        (_, _, Some(("$text", Json::String(before))), Some(("$text", Json::String(now)))) => {
            let before: Vec<char> = before.chars().collect();
            let now: Vec<char> = now.chars().collect();
            compare_letters((&before, &now), 0, path, ops);
        }
        (_, _, Some(("$counter", before)), Some(("$counter", now))) => {
            count(before.as_i64().unwrap_or_default(), now.as_i64().unwrap_or_default(), path, ops);
        }
        _ => begin(now, path, ops, |path, value| AppOp::Put { path, value }),
    }
}

/// Letters that differ, from the first on. What several have typed in one text must not take what they
/// all left as it was, so the longest run that both have stays, and what is around it is compared.
fn compare_letters(
    (before, now): (&[char], &[char]),
    from: usize,
    path: &[Step],
    ops: &mut Vec<AppOp>,
) {
    let (head, tail) = alike(before, now);
    let (old, new) = (&before[head..before.len() - tail], &now[head..now.len() - tail]);
    let from = from + head;
    if let Some((at, there, run)) = longest_run(old, new) {
        compare_letters((&old[..at], &new[..there]), from, path, ops);
        return compare_letters(
            (&old[at + run..], &new[there + run..]),
            from + there + run,
            path,
            ops,
        );
    }
    let (mut index, mut gone, mut left) = (from, old.len(), new);
    while gone > 0 || !left.is_empty() {
        let delete = gone.min(DELETED);
        let (piece, rest) = left.split_at(left.len().min(CHARACTERS));
        ops.push(AppOp::SpliceText {
            path: path.to_vec(),
            index: index as u64,
            delete: delete as u64,
            insert: piece.iter().collect(),
            unit: Unit::Characters,
        });
        index += piece.len();
        gone -= delete;
        left = rest;
    }
}

/// Where the longest run of letters begins that two texts have, in either, and how long it is; none in
/// texts that are too long to look for it, or where it may be a coincidence.
fn longest_run(old: &[char], new: &[char]) -> Option<(usize, usize, usize)> {
    if old.len().saturating_mul(new.len()) > COMPARED {
        return None;
    }
    let mut longest = (0, 0, 0);
    // For each place in the new text, how long the run is that ends there.
    let mut ending = vec![0_usize; new.len() + 1];
    for (at, letter) in old.iter().enumerate() {
        for (there, other) in new.iter().enumerate().rev() {
            ending[there + 1] = if letter == other { ending[there] + 1 } else { 0 };
            let run = ending[there + 1];
            if run > longest.2 {
                longest = (at + 1 - run, there + 1 - run, run);
            }
        }
    }
    (longest.2 >= RUN).then_some(longest)
}

/// In as many steps as it takes; what would take very many is put there as it is.
fn count(before: i64, now: i64, path: &[Step], ops: &mut Vec<AppOp>) {
    let most = i64::try_from(limits::COUNTER_STEP).unwrap_or(i64::MAX);
    let mut left = now.saturating_sub(before);
    if left / most >= STEPS || left / most <= -STEPS {
        let counter = value(&serde_json::json!({ "$counter": now }));
        return ops.push(AppOp::Put { path: path.to_vec(), value: counter });
    }
    while left != 0 {
        let by = left.clamp(-most, most);
        ops.push(AppOp::Increment { path: path.to_vec(), by });
        left -= by;
    }
}

/// What is begun anew: what goes on to change in itself is made empty, and filled.
fn begin(
    now: &Json,
    path: &mut Vec<Step>,
    ops: &mut Vec<AppOp>,
    op: impl FnOnce(Vec<Step>, Blob) -> AppOp,
) {
    match empty_of(now) {
        Some(empty) => {
            ops.push(op(path.clone(), value(&empty)));
            compare(&empty, now, path, ops);
        }
        None => ops.push(op(path.clone(), value(now))),
    }
}

fn compare_maps(
    before: &Map<String, Json>,
    now: &Map<String, Json>,
    path: &mut Vec<Step>,
    ops: &mut Vec<AppOp>,
) {
    for key in before.keys().filter(|key| !now.contains_key(*key)) {
        let path = [path.as_slice(), &[Step::Key(key.clone())]].concat();
        ops.push(AppOp::Delete { path });
    }
    for (key, now) in now {
        path.push(Step::Key(key.clone()));
        match before.get(key) {
            Some(before) => compare(before, now, path, ops),
            None if empty_of(now).is_some() => {
                begin(now, path, ops, |path, value| AppOp::Ensure { path, value });
            }
            None => ops.push(AppOp::Put { path: path.clone(), value: value(now) }),
        }
        path.pop();
    }
}

/// What a value begins as, if it goes on to change in itself.
fn empty_of(json: &Json) -> Option<Json> {
    match (json, tag(json)) {
        (_, Some(("$text", _))) => Some(serde_json::json!({ "$text": "" })),
        (_, Some(("$counter", _))) => Some(serde_json::json!({ "$counter": 0 })),
        (Json::Array(_), _) => Some(Json::Array(Vec::new())),
        _ => fields(json).map(|_| Json::Object(Map::new())),
    }
}

fn compare_lists(before: &[Json], now: &[Json], path: &mut Vec<Step>, ops: &mut Vec<AppOp>) {
    let (head, tail) = alike(before, now);
    let mut left = before[head..before.len() - tail].to_vec();
    let mut rest = &now[head..now.len() - tail];
    let (mut index, mut moves) = (head as u64, MOVES);
    // What stays is left as it is: others may have changed something in it meanwhile.
    while !left.is_empty() || !rest.is_empty() {
        let (same, _) = alike(&left, rest);
        left.drain(..same);
        rest = &rest[same..];
        index += same as u64;
        let gone = left.iter().take_while(|before| !rest.contains(before)).count();
        let come = rest.iter().take_while(|now| !left.contains(now)).count();
        if (gone, come) == (0, 0) {
            // Both are there still, in another order. The one that went further is moved.
            let at = |json: &Json, among: &[Json]| among.iter().position(|other| other == json);
            let Some((first, next)) = left.first().zip(rest.first()) else { break };
            let Some(left_moves) = usize::checked_sub(moves, 1) else {
                let gone = at(next, &left).unwrap_or(1);
                path.push(Step::Index(index));
                ops.extend(vec![AppOp::Delete { path: path.clone() }; gone]);
                path.pop();
                left.drain(..gone);
                continue;
            };
            moves = left_moves;
            let until = at(first, rest).unwrap_or_default();
            let (from, to) = match left.get(1) == Some(next) {
                true => (0, left[1..].iter().take_while(|one| rest[..until].contains(one)).count()),
                false => (at(next, &left).unwrap_or_default(), 0),
            };
            let [path_from, to_index] = [from, to].map(|place| index + place as u64);
            ops.push(AppOp::Move {
                path: [path, &[Step::Index(path_from)][..]].concat(),
                to: to_index,
            });
            let moved = left.remove(from);
            left.insert(to, moved);
            continue;
        }
        // As many in the place of as many are the same ones, changed; of others, which are is seen by what they say.
        let mut came = &rest[..come];
        let is_even =
            gone == come && !left.iter().zip(came).any(|(one, other)| is_another(one, other));
        for before in &left[..gone] {
            let place = if is_even { Some(0) } else { most_alike(before, came) };
            let (new, later) = came.split_at(place.unwrap_or_default());
            index = insert_all(new, index, path, ops);
            path.push(Step::Index(index));
            match later.split_first().filter(|_| place.is_some()) {
                Some((now, later)) => {
                    compare(before, now, path, ops);
                    (came, index) = (later, index + 1);
                }
                None => ops.push(AppOp::Delete { path: path.clone() }),
            }
            path.pop();
        }
        index = insert_all(came, index, path, ops);
        left.drain(..gone);
        rest = &rest[come..];
    }
}

/// Inserts elements at an index. Gives the one behind them.
fn insert_all(new: &[Json], from: u64, path: &mut Vec<Step>, ops: &mut Vec<AppOp>) -> u64 {
    let mut index = from;
    for now in new {
        path.push(Step::Index(index));
        begin(now, path, ops, |path, value| AppOp::Insert { path, value });
        path.pop();
        index += 1;
    }
    index
}

/// Which of these an element most likely is, changed: of its kind, and with most of what it said.
fn most_alike(before: &Json, now: &[Json]) -> Option<usize> {
    let shared = |now: &Json| match (fields(before), fields(now)) {
        (Some(one), Some(other)) if !is_another(before, now) => {
            one.iter().filter(|(key, value)| other.get(*key) == Some(*value)).count()
        }
        (None, None) => usize::from(empty_of(before).is_some_and(|one| empty_of(now) == Some(one))),
        _ => 0,
    };
    // Of several that are as much alike, the first.
    let all = now.iter().take(NEAR).map(shared).enumerate().rev();
    all.max_by_key(|(_, count)| *count).filter(|(_, count)| *count > 0).map(|(place, _)| place)
}

/// Whether an app calls two rows by different names.
fn is_another(one: &Json, other: &Json) -> bool {
    let name = |row| fields(row).and_then(|row| NAMES.iter().find_map(|name| row.get(*name)));
    name(one).zip(name(other)).is_some_and(|(one, other)| one != other)
}

/// How much of two sequences is alike at the beginning, and at the end of the rest.
fn alike<T: PartialEq>(one: &[T], other: &[T]) -> (usize, usize) {
    let same = |(a, b): &(&T, &T)| a == b;
    let head = one.iter().zip(other).take_while(same).count();
    let rest = one[head..].iter().rev().zip(other[head..].iter().rev());
    (head, rest.take_while(same).count())
}
