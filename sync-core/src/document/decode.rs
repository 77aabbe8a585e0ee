//! A change chunk taken apart, before Automerge sees a byte of it.

use sync_protocol::hash::sha256;
use sync_protocol::limits;

use super::columns::{Booleans, Delta, Reader, Rle};
use super::{ChangeHash, Reason};

type Result<T> = std::result::Result<T, Reason>;

const MAGIC: [u8; 4] = [0x85, 0x6f, 0x4a, 0x83];
const CHANGE: u8 = 1;
const COMPRESSED: u8 = 2;
const DEFLATED: u64 = 8;

/// An operation's id inside a change: its counter, and an index into the change's actors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LocalId {
    pub(crate) counter: u32,
    pub(crate) actor: u32,
}

/// Where in its object an operation acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Key<'a> {
    Name(&'a str),
    Head,
    Element(LocalId),
}

/// What an operation does. Tables, marks and unknown actions never get this far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Map,
    List,
    Text,
    Set,
    Delete,
    Increment,
}

impl Action {
    fn of(code: u64) -> Result<Self> {
        Ok(match code {
            0 => Self::Map,
            1 => Self::Set,
            2 => Self::List,
            3 => Self::Delete,
            4 => Self::Text,
            5 => Self::Increment,
            _ => return Err(Reason::Malformed("action")),
        })
    }
}

/// A value's type code in the value column.
pub(crate) mod value_type {
    pub(crate) const NULL: u8 = 0;
    pub(crate) const FALSE: u8 = 1;
    pub(crate) const TRUE: u8 = 2;
    pub(crate) const UNSIGNED: u8 = 3;
    pub(crate) const SIGNED: u8 = 4;
    pub(crate) const FLOAT: u8 = 5;
    pub(crate) const TEXT: u8 = 6;
    pub(crate) const BYTES: u8 = 7;
    pub(crate) const COUNTER: u8 = 8;
    pub(crate) const TIME: u8 = 9;
}

/// One operation.
#[derive(Clone, Debug)]
pub(crate) struct Op<'a> {
    pub(crate) object: Option<LocalId>,
    pub(crate) key: Key<'a>,
    pub(crate) insert: bool,
    pub(crate) action: Action,
    pub(crate) value_type: u8,
    pub(crate) value: &'a [u8],
    /// Indices into [`Decoded::predecessors`].
    pub(crate) predecessors: std::ops::Range<usize>,
}

/// A change's parts, borrowed from its bytes.
#[derive(Clone, Debug)]
pub(crate) struct Decoded<'a> {
    pub(crate) hash: ChangeHash,
    pub(crate) dependencies: Vec<ChangeHash>,
    /// The author first, then the others it names, in order.
    pub(crate) actors: Vec<&'a [u8]>,
    pub(crate) seq: u64,
    pub(crate) start_op: u32,
    pub(crate) ops: Vec<Op<'a>>,
    pub(crate) predecessors: Vec<LocalId>,
}

impl Decoded<'_> {
    /// The highest op counter.
    pub(crate) fn max_op(&self) -> u32 {
        self.start_op + u32::try_from(self.ops.len()).unwrap_or(u32::MAX) - 1
    }
}

/// Takes a whole change chunk apart. What comes out is in the one spelling Automerge writes; what
/// it *says* is yet to be checked.
///
/// # Errors
/// `TooLarge`, `Compressed`, `Adorned`, `Malformed`.
pub(crate) fn decode(bytes: &[u8]) -> Result<Decoded<'_>> {
    let (hash, body) = open_chunk(bytes)?;
    let mut reader = Reader::new(body);
    let dependencies = dependencies(&mut reader)?;
    let author = reader.prefixed()?;
    let seq = reader.unsigned()?;
    let start_op = reader.unsigned()?;
    if reader.signed()? != 0 || !reader.prefixed()?.is_empty() {
        return Err(Reason::Adorned);
    }
    let actors = actors(&mut reader, author)?;
    let columns = Columns::read(&mut reader)?;
    if !reader.is_empty() {
        return Err(Reason::Adorned);
    }
    let start_op = u32::try_from(start_op).map_err(|_| Reason::TooLarge("operation numbers"))?;
    let (ops, predecessors) = columns.ops(bytes.len(), &actors)?;
    let last = (start_op as usize).saturating_add(ops.len());
    if seq == 0 || start_op == 0 || last > limits::DOCUMENT_OPS || seq > limits::DOCUMENT_OPS as u64
    {
        return Err(Reason::TooLarge("operation numbers"));
    }
    Ok(Decoded { hash, dependencies, actors, seq, start_op, ops, predecessors })
}

/// The hash of a change chunk.
///
/// # Errors
/// As [`decode`], for the chunk's frame alone.
pub(crate) fn open_chunk(bytes: &[u8]) -> Result<(ChangeHash, &[u8])> {
    if bytes.len() > limits::CHANGE {
        return Err(Reason::TooLarge("bytes"));
    }
    let mut reader = Reader::new(bytes);
    if reader.take(4)? != MAGIC {
        return Err(Reason::Malformed("magic bytes"));
    }
    let checksum = reader.take(4)?;
    match reader.take(1)? {
        [CHANGE] => (),
        [COMPRESSED] => return Err(Reason::Compressed),
        _ => return Err(Reason::Malformed("chunk type")),
    }
    let body = reader.prefixed()?;
    let framed = bytes.get(8..).unwrap_or_default();
    let hash: ChangeHash = sha256(framed);
    if !reader.is_empty() || !hash.starts_with(checksum) {
        return Err(Reason::Malformed("checksum"));
    }
    Ok((hash, body))
}

fn dependencies(reader: &mut Reader<'_>) -> Result<Vec<ChangeHash>> {
    let count = reader.size()?;
    if count > limits::CHANGE_DEPENDENCIES {
        return Err(Reason::TooLarge("dependencies"));
    }
    let mut out = Vec::with_capacity(count);
    for _ in 0..count {
        let hash = reader.take(32)?.try_into().map_err(|_| Reason::Malformed("dependency"))?;
        if out.last().is_some_and(|last| *last >= hash) {
            return Err(Reason::Malformed("dependencies out of order"));
        }
        out.push(hash);
    }
    Ok(out)
}

fn actors<'a>(reader: &mut Reader<'a>, author: &'a [u8]) -> Result<Vec<&'a [u8]>> {
    let count = reader.size()?;
    if count > limits::CHANGE_ACTORS {
        return Err(Reason::TooLarge("actors"));
    }
    let mut out = vec![author];
    for nth in 0..count {
        let actor = reader.prefixed()?;
        let in_order = nth == 0 || out.last().is_some_and(|last| *last < actor);
        if !in_order || actor == author {
            return Err(Reason::Malformed("actors out of order"));
        }
        out.push(actor);
    }
    Ok(out)
}

/// The columns Automerge 0.12 writes for a change, by specification number, in order. Expand flags
/// and mark names belong to marks, which no document of ours has.
const SPECS: [u64; 12] = [0x01, 0x02, 0x11, 0x13, 0x15, 0x34, 0x42, 0x56, 0x57, 0x70, 0x71, 0x73];

#[derive(Default)]
struct Columns<'a>([&'a [u8]; SPECS.len()]);

impl<'a> Columns<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self> {
        let count = reader.size()?;
        if count > SPECS.len() {
            return Err(Reason::Malformed("columns"));
        }
        let mut found = Vec::with_capacity(count);
        let mut next = 0;
        for _ in 0..count {
            let (spec, len) = (reader.unsigned()?, reader.size()?);
            if spec & DEFLATED != 0 {
                return Err(Reason::Compressed);
            }
            let at =
                SPECS.iter().position(|known| *known == spec).filter(|at| *at >= next && len > 0);
            let at = at.ok_or(Reason::Malformed("columns"))?;
            next = at + 1;
            found.push((at, len));
        }
        let mut columns = Self::default();
        for (at, len) in found {
            if let Some(column) = columns.0.get_mut(at) {
                *column = reader.take(len)?;
            }
        }
        Ok(columns)
    }

    fn ops(&self, size: usize, actors: &[&[u8]]) -> Result<(Vec<Op<'a>>, Vec<LocalId>)> {
        let mut rows = Rows::new(self, actors.len());
        let mut ops = Vec::new();
        let mut budget = size + limits::CHANGE_OPS_SPARE;
        while !rows.action.is_done() {
            let op = rows.next()?;
            // Runs make operations out of nothing. Deletions may: each takes something away.
            budget = budget
                .checked_sub(usize::from(op.action != Action::Delete))
                .ok_or(Reason::TooLarge("operations"))?;
            if ops.len() >= limits::CHANGE_OPS {
                return Err(Reason::TooLarge("operations"));
            }
            ops.push(op);
        }
        let used = rows.finish()?;
        if ops.is_empty() || !used {
            return Err(Reason::Malformed("no operations, or an actor no operation names"));
        }
        Ok((ops, rows.predecessors))
    }
}

struct Rows<'a> {
    object_actor: Rle<'a, u64>,
    object_counter: Rle<'a, u64>,
    key_actor: Rle<'a, u64>,
    key_counter: Delta<'a>,
    key_name: Rle<'a, &'a str>,
    insert: Booleans<'a>,
    action: Rle<'a, u64>,
    value_meta: Rle<'a, u64>,
    value: Reader<'a>,
    predecessor_count: Rle<'a, u64>,
    predecessor_actor: Rle<'a, u64>,
    predecessor_counter: Delta<'a>,
    predecessors: Vec<LocalId>,
    named: Vec<bool>,
}

impl<'a> Rows<'a> {
    fn new(columns: &Columns<'a>, actors: usize) -> Self {
        let [oa, oc, ka, kc, kn, insert, action, meta, value, pn, pa, pc] = columns.0;
        let mut named = vec![false; actors];
        named[0] = true;
        Self {
            object_actor: Rle::new(oa),
            object_counter: Rle::new(oc),
            key_actor: Rle::new(ka),
            key_counter: Delta::new(kc),
            key_name: Rle::new(kn),
            insert: Booleans::new(insert),
            action: Rle::new(action),
            value_meta: Rle::new(meta),
            value: Reader::new(value),
            predecessor_count: Rle::new(pn),
            predecessor_actor: Rle::new(pa),
            predecessor_counter: Delta::new(pc),
            predecessors: Vec::new(),
            named,
        }
    }

    fn next(&mut self) -> Result<Op<'a>> {
        let object = match (self.object_actor.next()?, self.object_counter.next()?) {
            (None, None) => None,
            (Some(actor), Some(counter)) => {
                let counter = u32::try_from(counter).map_err(|_| Reason::Malformed("object"))?;
                Some(self.id(actor, counter)?)
            }
            _ => return Err(Reason::Malformed("object")),
        };
        let key = match (self.key_name.next()?, self.key_actor.next()?, self.key_counter.next()?) {
            (Some(name), None, None) => Key::Name(name),
            (None, None, Some(0)) => Key::Head,
            (None, Some(actor), Some(counter)) => Key::Element(self.id(actor, counter)?),
            _ => return Err(Reason::Malformed("key")),
        };
        let insert = self.insert.next()?;
        let action = Action::of(self.action.next()?.ok_or(Reason::Malformed("action"))?)?;
        let meta = self.value_meta.next()?.ok_or(Reason::Malformed("value"))?;
        let len = usize::try_from(meta >> 4).map_err(|_| Reason::Malformed("value"))?;
        let value = self.value.take(len)?;
        let value_type = u8::try_from(meta & 15).unwrap_or(u8::MAX);
        check_value(value_type, value)?;
        let predecessors = self.next_predecessors()?;
        Ok(Op { object, key, insert, action, value_type, value, predecessors })
    }

    fn next_predecessors(&mut self) -> Result<std::ops::Range<usize>> {
        let count = self.predecessor_count.next()?.ok_or(Reason::Malformed("predecessors"))?;
        let start = self.predecessors.len();
        for _ in 0..count {
            let (Some(actor), Some(counter)) =
                (self.predecessor_actor.next()?, self.predecessor_counter.next()?)
            else {
                return Err(Reason::Malformed("predecessors"));
            };
            if self.predecessors.len() >= limits::CHANGE_OPS {
                return Err(Reason::TooLarge("predecessors"));
            }
            let id = self.id(actor, counter)?;
            self.predecessors.push(id);
        }
        Ok(start..self.predecessors.len())
    }

    fn id(&mut self, actor: u64, counter: u32) -> Result<LocalId> {
        let index = usize::try_from(actor).map_err(|_| Reason::Malformed("actor"))?;
        let named = self.named.get_mut(index).ok_or(Reason::Malformed("actor"))?;
        *named = true;
        if counter == 0 {
            return Err(Reason::Malformed("operation id"));
        }
        Ok(LocalId {
            counter,
            actor: u32::try_from(actor).map_err(|_| Reason::Malformed("actor"))?,
        })
    }

    /// Whether every actor was named; an error unless every column ends with the last operation.
    fn finish(&self) -> Result<bool> {
        self.object_actor.finish()?;
        self.object_counter.finish()?;
        self.key_actor.finish()?;
        self.key_counter.finish()?;
        self.key_name.finish()?;
        self.insert.finish()?;
        self.action.finish()?;
        self.value_meta.finish()?;
        self.predecessor_count.finish()?;
        self.predecessor_actor.finish()?;
        self.predecessor_counter.finish()?;
        if !self.value.is_empty() {
            return Err(Reason::Malformed("column length"));
        }
        Ok(self.named.iter().all(|named| *named))
    }
}

fn check_value(kind: u8, bytes: &[u8]) -> Result<()> {
    use value_type::{BYTES, COUNTER, FALSE, FLOAT, NULL, SIGNED, TEXT, TIME, TRUE, UNSIGNED};
    let mut reader = Reader::new(bytes);
    let fits = match kind {
        NULL | FALSE | TRUE => bytes.is_empty(),
        UNSIGNED => reader.unsigned().is_ok() && reader.is_empty(),
        SIGNED | COUNTER | TIME => reader.signed().is_ok() && reader.is_empty(),
        FLOAT => bytes.len() == 8,
        TEXT => std::str::from_utf8(bytes).is_ok(),
        BYTES => true,
        _ => false,
    };
    if fits { Ok(()) } else { Err(Reason::Malformed("value")) }
}
