//! The check every change passes before Automerge sees a byte of it (`docs/protocol.md`, "Checking
//! a change"). A verdict depends on the change, its ancestry and its writer alone.

use std::collections::BTreeSet;

use automerge::ActorId;
use sync_protocol::ids::WriterId;
use sync_protocol::limits;

use super::Reason;
use super::columns::Reader;
use super::decode::{Action, Decoded, Key, LocalId, Op, value_type};
use super::grammar::Grammar;
use super::history::{Ancestry, History, Kind, OpId, OpInfo, Slot};

/// A message that its author wrote already.
pub(crate) const POSTED_AGAIN: Reason = Reason::Grammar("a message that was posted before");

type Result<T> = std::result::Result<T, Reason>;

/// What needs no ancestry: that the actor is the writer's.
pub(crate) fn check_author(decoded: &Decoded<'_>, actor: &ActorId) -> Result<()> {
    let author = decoded.actors.first().copied().unwrap_or_default();
    if author == actor.to_bytes() { Ok(()) } else { Err(Reason::WrongActor) }
}

/// Everything else. All dependencies are in the history, and all operations of the history are
/// filled in.
///
/// # Errors
/// The verdict.
pub(crate) fn check(
    decoded: &Decoded<'_>,
    writer: &WriterId,
    history: &History,
    grammar: Option<&Grammar>,
) -> Result<()> {
    let ancestry = history.ancestry(&decoded.dependencies);
    if decoded.start_op != ancestry.max_op + 1 {
        return Err(Reason::WrongStart);
    }
    let author = decoded.actors.first().copied().unwrap_or_default();
    let last = history.actor_number(author).map_or(0, |number| ancestry.seq(number));
    if decoded.seq != u64::from(last) + 1 {
        return Err(Reason::WrongSeq);
    }
    let mut judge = Judge::new(decoded, history, &ancestry);
    for op in &decoded.ops {
        match grammar {
            Some(grammar) => judge.typed(op, writer, grammar)?,
            None => judge.general(op)?,
        }
    }
    Ok(())
}

/// An operation of the change itself, already checked.
struct Own<'a> {
    object: Option<OpId>,
    slot: OwnSlot<'a>,
    kind: Kind,
    insert: bool,
    depth: u8,
}

#[derive(Clone, Copy, PartialEq)]
enum OwnSlot<'a> {
    Name(&'a str),
    Element(OpId),
}

/// What an operation id turned out to name.
struct Found<'a> {
    object: Option<OpId>,
    slot: OwnSlot<'a>,
    kind: Kind,
    insert: bool,
    depth: u8,
}

struct Judge<'a, 'b> {
    decoded: &'b Decoded<'a>,
    history: &'b History,
    ancestry: &'b Ancestry,
    /// The history's numbers of the change's actors; the author may have none yet.
    actors: Vec<Option<u32>>,
    own: Vec<Own<'a>>,
    deleted: BTreeSet<OpId>,
}

/// Stands for an author who has no number yet.
const NEW_AUTHOR: u32 = u32::MAX;

impl<'a, 'b> Judge<'a, 'b> {
    fn new(decoded: &'b Decoded<'a>, history: &'b History, ancestry: &'b Ancestry) -> Self {
        let mut actors: Vec<_> = decoded.actors.iter().map(|id| history.actor_number(id)).collect();
        if let Some(author) = actors.first_mut() {
            *author = author.or(Some(NEW_AUTHOR));
        }
        Self {
            decoded,
            history,
            ancestry,
            actors,
            own: Vec::with_capacity(decoded.ops.len()),
            deleted: BTreeSet::new(),
        }
    }

    fn global(&self, id: LocalId) -> Result<OpId> {
        let actor = self.actors.get(id.actor as usize).copied().flatten();
        let actor = actor.ok_or(Reason::Ungrounded("an unknown actor"))?;
        Ok(OpId { counter: id.counter, actor })
    }

    fn author(&self) -> u32 {
        self.actors.first().copied().flatten().unwrap_or(NEW_AUTHOR)
    }

    /// The operation of an id, if it is an earlier one of this change or of its ancestry.
    fn find(&self, id: OpId, name: OwnSlot<'a>) -> Option<Found<'a>> {
        if id.actor == self.author() && id.counter >= self.decoded.start_op {
            let own = self.own.get((id.counter - self.decoded.start_op) as usize)?;
            let Own { object, slot, kind, insert, depth } = *own;
            return Some(Found { object, slot, kind, insert, depth });
        }
        let OpInfo { object, slot, kind, insert, depth } = *self.history.op(id, self.ancestry)?;
        let slot = match (slot, name) {
            (Slot::Element(element), _) => OwnSlot::Element(element),
            (Slot::Name(number), OwnSlot::Name(text))
                if self.history.name(text) == Some(number) =>
            {
                name
            }
            // Some other key: equal to none that is asked for.
            (Slot::Name(_), _) => OwnSlot::Name(""),
        };
        Some(Found { object, slot, kind, insert, depth })
    }

    fn next_id(&self) -> OpId {
        let nth = u32::try_from(self.own.len()).unwrap_or(u32::MAX);
        OpId { counter: self.decoded.start_op.saturating_add(nth), actor: self.author() }
    }

    fn typed(&mut self, op: &Op<'a>, writer: &WriterId, grammar: &Grammar) -> Result<()> {
        let Key::Name(name) = op.key else { return Err(Reason::Grammar("a list element")) };
        if op.insert || op.action != Action::Set || op.value_type != value_type::BYTES {
            return Err(Reason::Grammar("something other than an entry of bytes"));
        }
        let object = op.object.map(|id| self.global(id)).transpose()?;
        let map = object.and_then(|id| grammar.map_number(id, self.history));
        let map = map.ok_or(Reason::Grammar("an object that isn't one of its maps"))?;
        let object = object.filter(|id| self.find(*id, OwnSlot::Name("")).is_some());
        if object.is_none() {
            return Err(Reason::Ungrounded("the object"));
        }
        grammar.check_entry(map, name, op.value, writer)?;
        self.posted_once(name, op, grammar)?;
        self.predecessors(op, object, OwnSlot::Name(name))?;
        let slot = OwnSlot::Name(name);
        self.own.push(Own { object, slot, kind: Kind::Value, insert: false, depth: 2 });
        Ok(())
    }

    /// A message is posted once: what its author changes about it is an edit, and shows as one.
    fn posted_once(&self, name: &str, op: &Op<'a>, grammar: &Grammar) -> Result<()> {
        if !grammar.is_message(name) {
            return Ok(());
        }
        let again = self.own.iter().any(|own| own.slot == OwnSlot::Name(name));
        if again || !op.predecessors.is_empty() {
            return Err(POSTED_AGAIN);
        }
        Ok(())
    }

    fn general(&mut self, op: &Op<'a>) -> Result<()> {
        let object = op.object.map(|id| self.global(id)).transpose()?;
        let (container, depth) = match object {
            None => (Kind::Map, 0),
            Some(id) => {
                let found =
                    self.find(id, OwnSlot::Name("")).ok_or(Reason::Ungrounded("the object"))?;
                (found.kind, found.depth)
            }
        };
        let slot = self.slot(op, object, container)?;
        check_content(op, container)?;
        if usize::from(depth) >= limits::DOCUMENT_DEPTH {
            return Err(Reason::TooLarge("depth"));
        }
        let counters = if op.insert { 0 } else { self.predecessors(op, object, slot)? };
        match op.action {
            Action::Increment if counters == 0 => {
                return Err(Reason::Ungrounded("no counter to add to"));
            }
            Action::Delete if op.predecessors.is_empty() => {
                return Err(Reason::Ungrounded("nothing to delete"));
            }
            Action::Delete => self.delete_once(op)?,
            _ => (),
        }
        let kind = Kind::of(op.action, op.value_type);
        self.own.push(Own { object, slot, kind, insert: op.insert, depth: depth + 1 });
        Ok(())
    }

    /// Where in its container an operation acts, checked.
    fn slot(&self, op: &Op<'a>, object: Option<OpId>, container: Kind) -> Result<OwnSlot<'a>> {
        match (container, op.key) {
            (Kind::Map, Key::Name(name)) if !op.insert && !name.is_empty() => {
                if name.len() > limits::DOCUMENT_KEY {
                    Err(Reason::TooLarge("key"))
                } else {
                    Ok(OwnSlot::Name(name))
                }
            }
            (Kind::List | Kind::Text, Key::Head) if op.insert => {
                Ok(OwnSlot::Element(self.next_id()))
            }
            (Kind::List | Kind::Text, Key::Element(id)) => {
                let id = self.global(id)?;
                let found =
                    self.find(id, OwnSlot::Name("")).ok_or(Reason::Ungrounded("the element"))?;
                if found.object != object || !found.insert {
                    return Err(Reason::Ungrounded("an element of something else"));
                }
                if !op.insert && op.predecessors.is_empty() {
                    return Err(Reason::Ungrounded("an element's value from nothing"));
                }
                Ok(OwnSlot::Element(if op.insert { self.next_id() } else { id }))
            }
            _ => Err(Reason::Ungrounded("a key of the wrong kind")),
        }
    }

    /// Checks that every predecessor is a value of the same place, each once and in order; gives
    /// how many of them are counters.
    fn predecessors(&self, op: &Op<'a>, object: Option<OpId>, slot: OwnSlot<'a>) -> Result<usize> {
        let ids = self.decoded.predecessors.get(op.predecessors.clone()).unwrap_or_default();
        let mut counters = 0;
        let mut previous: Option<(u32, &[u8])> = None;
        for local in ids {
            let name = self.decoded.actors.get(local.actor as usize).copied().unwrap_or_default();
            let place = (local.counter, name);
            if previous.is_some_and(|previous| previous >= place) {
                return Err(Reason::Malformed("predecessors out of order"));
            }
            previous = Some(place);
            let found =
                self.find(self.global(*local)?, slot).ok_or(Reason::Ungrounded("a predecessor"))?;
            if found.object != object || found.slot != slot || found.kind == Kind::Nothing {
                return Err(Reason::Ungrounded("a predecessor of another place"));
            }
            counters += usize::from(found.kind == Kind::Counter);
        }
        Ok(counters)
    }

    /// Deletions cost no bytes, so a change may delete each thing only once.
    fn delete_once(&mut self, op: &Op<'a>) -> Result<()> {
        let ids = self.decoded.predecessors.get(op.predecessors.clone()).unwrap_or_default();
        for local in ids {
            let id = self.global(*local)?;
            if !self.deleted.insert(id) {
                return Err(Reason::Ungrounded("deleted twice"));
            }
        }
        Ok(())
    }
}

/// Whether the action and value go together, and into the container.
fn check_content(op: &Op<'_>, container: Kind) -> Result<()> {
    let fits = match op.action {
        Action::Set if container == Kind::Text => {
            op.value_type == value_type::TEXT && !op.value.is_empty()
        }
        Action::Set => true,
        Action::Map | Action::List | Action::Text => {
            op.value_type == value_type::NULL && container != Kind::Text
        }
        Action::Delete => op.value_type == value_type::NULL && !op.insert,
        Action::Increment => {
            op.value_type == value_type::SIGNED && !op.insert && container != Kind::Text
        }
    };
    if !fits {
        return Err(Reason::Malformed("an action and a value that don't go together"));
    }
    let bound = match (op.action, op.value_type) {
        (Action::Increment, _) => limits::COUNTER_STEP,
        (_, value_type::COUNTER) => limits::COUNTER,
        _ => u64::MAX,
    };
    if bound < u64::MAX && Reader::new(op.value).signed()?.unsigned_abs() > bound {
        return Err(Reason::TooLarge("counter"));
    }
    if op.insert && !op.predecessors.is_empty() {
        return Err(Reason::Ungrounded("an insertion with predecessors"));
    }
    Ok(())
}
