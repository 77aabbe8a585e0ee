//! What a document's changes are made of: who wrote them, what they knew, and which operations
//! they brought. The check reads it; Automerge is never asked.

use std::collections::BTreeMap;
use std::sync::Arc;

use automerge::ActorId;
use sync_protocol::ids::WriterId;
use sync_protocol::sorted::{SortedMap, SortedSet};

use super::decode::{Action, Decoded, Key, LocalId, value_type};
use super::{ChangeHash, Placement};

/// An operation: its counter, and its actor's number in the [`History`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct OpId {
    pub(crate) counter: u32,
    pub(crate) actor: u32,
}

/// Where in an object an operation stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Slot {
    /// A key of a map, by number.
    Name(u32),
    /// An element of a list or text, by the operation that inserted it.
    Element(OpId),
}

/// What an operation left behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Map,
    List,
    Text,
    Counter,
    Value,
    /// A deletion or an increment: nothing that could be named.
    Nothing,
}

/// What the check needs to know of an operation in the document.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OpInfo {
    /// `None` for the root.
    pub(crate) object: Option<OpId>,
    pub(crate) slot: Slot,
    pub(crate) kind: Kind,
    pub(crate) insert: bool,
    /// How deep the object it made lies; the root's children are at 1.
    pub(crate) depth: u8,
}

/// A change in the document.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    pub(crate) hash: ChangeHash,
    pub(crate) actor: u32,
    pub(crate) seq: u32,
    pub(crate) start_op: u32,
    pub(crate) max_op: u32,
    pub(crate) placement: Option<Placement>,
    /// Highest seq known of each actor, its own aside; shared along a writer's run.
    clock: Arc<[u32]>,
    /// Absent until needed, for changes that came with a snapshot.
    ops: Option<Box<[OpInfo]>>,
}

/// An element of a list or a letter of a text, by the operation that inserted it.
pub(crate) type Element = (u64, Vec<u8>);

#[derive(Clone, Debug)]
pub(crate) struct Actor {
    id: Vec<u8>,
    /// Absent for the genesis.
    pub(crate) writer: Option<WriterId>,
    /// Its changes' numbers, by seq.
    changes: Vec<u32>,
}

/// What some changes and all their ancestors are.
#[derive(Clone, Debug)]
pub(crate) struct Ancestry {
    clock: Vec<u32>,
    pub(crate) max_op: u32,
}

impl Ancestry {
    /// The highest seq of an actor in it.
    pub(crate) fn seq(&self, actor: u32) -> u32 {
        self.clock.get(actor as usize).copied().unwrap_or_default()
    }
}

/// All changes of a document, in an order in which each follows its dependencies.
#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    actors: Vec<Actor>,
    by_actor: SortedMap<Vec<u8>, u32>,
    changes: Vec<Known>,
    by_hash: BTreeMap<ChangeHash, u32>,
    heads: SortedSet<ChangeHash>,
    names: BTreeMap<Arc<str>, u32>,
    texts: Vec<Arc<str>>,
    op_count: usize,
    unfilled: usize,
    /// What is put into elements, and is in no change yet: the operation, and the element.
    open: Vec<(Element, Element)>,
}

impl History {
    pub(crate) fn len(&self) -> usize {
        self.changes.len()
    }

    pub(crate) fn op_count(&self) -> usize {
        self.op_count
    }

    pub(crate) fn heads(&self) -> &SortedSet<ChangeHash> {
        &self.heads
    }

    /// All changes, each behind those that it builds on.
    pub(crate) fn in_order(&self) -> impl Iterator<Item = &Known> {
        self.changes.iter()
    }

    /// All changes in the order of their hashes.
    pub(crate) fn by_hash(&self) -> impl Iterator<Item = &Known> {
        self.by_hash.values().filter_map(|number| self.changes.get(*number as usize))
    }

    pub(crate) fn contains(&self, hash: &ChangeHash) -> bool {
        self.by_hash.contains_key(hash)
    }

    pub(crate) fn change(&self, hash: &ChangeHash) -> Option<&Known> {
        self.changes.get(*self.by_hash.get(hash)? as usize)
    }

    pub(crate) fn change_mut(&mut self, hash: &ChangeHash) -> Option<&mut Known> {
        self.changes.get_mut(*self.by_hash.get(hash)? as usize)
    }

    pub(crate) fn actor_number(&self, id: &[u8]) -> Option<u32> {
        self.by_actor.get(id).copied()
    }

    pub(crate) fn actor(&self, number: u32) -> Option<&Actor> {
        self.actors.get(number as usize)
    }

    /// Who wrote a change, as people are told: nobody, if it is a beginning.
    pub(crate) fn writer_told(&self, change: &ChangeHash) -> Option<WriterId> {
        self.writer_of(change).filter(|writer| !super::is_nobody(writer))
    }

    /// Who wrote a change; `None` for the genesis.
    pub(crate) fn writer_of(&self, hash: &ChangeHash) -> Option<WriterId> {
        self.actor(self.change(hash)?.actor)?.writer
    }

    /// Everybody who has a number here.
    pub(crate) fn writers(&self) -> impl Iterator<Item = WriterId> {
        self.actors.iter().filter_map(|actor| actor.writer)
    }

    /// The number of an actor, given now if it has none.
    pub(crate) fn enroll(&mut self, id: &[u8], writer: Option<WriterId>) -> u32 {
        if let Some(number) = self.by_actor.get(id) {
            return *number;
        }
        let number = u32::try_from(self.actors.len()).unwrap_or(u32::MAX);
        self.actors.push(Actor { id: id.to_vec(), writer, changes: Vec::new() });
        self.by_actor.insert(id.to_vec(), number);
        number
    }

    /// The hash of an actor's change of this seq.
    pub(crate) fn hash_at(&self, actor: u32, seq: u64) -> Option<ChangeHash> {
        let at = usize::try_from(seq.checked_sub(1)?).ok()?;
        let number = *self.actor(actor)?.changes.get(at)?;
        self.changes.get(number as usize).map(|change| change.hash)
    }

    /// The number of a map key; `None` if no operation has used it.
    pub(crate) fn name(&self, name: &str) -> Option<u32> {
        self.names.get(name).copied()
    }

    /// The map keys a change wrote; `None` while its operations aren't filled in.
    pub(crate) fn keys_of(&self, hash: &ChangeHash) -> Option<Vec<String>> {
        let ops = self.change(hash)?.ops.as_ref()?;
        let name = |op: &OpInfo| match op.slot {
            Slot::Name(number) => self.texts.get(number as usize).map(|text| text.to_string()),
            Slot::Element(_) => None,
        };
        Some(ops.iter().filter_map(name).collect())
    }

    /// An operation, by its number and its actor.
    pub(crate) fn op_id(&self, counter: u64, actor: &[u8]) -> Option<OpId> {
        Some(OpId { counter: u32::try_from(counter).ok()?, actor: self.actor_number(actor)? })
    }

    /// The change that brought an operation, by its number and its actor.
    pub(crate) fn hash_of_op(&self, counter: u64, actor: &[u8]) -> Option<ChangeHash> {
        self.change_of(self.op_id(counter, actor)?).map(|change| change.hash)
    }

    /// The element in which an operation put a value; one that is not known stands for itself. All
    /// operations are filled in.
    pub(crate) fn element_of(&self, counter: u64, actor: &[u8]) -> Element {
        let own = (counter, actor.to_vec());
        let open = self.open.iter().find(|(op, _)| *op == own).map(|(_, element)| element.clone());
        let known = || self.inserted(self.op_id(counter, actor)?);
        open.or_else(known).unwrap_or(own)
    }

    fn inserted(&self, id: OpId) -> Option<Element> {
        let change = self.change_of(id)?;
        let at = (id.counter - change.start_op) as usize;
        let Slot::Element(element) = change.ops.as_ref()?.get(at)?.slot else { return None };
        Some((u64::from(element.counter), self.actor(element.actor)?.id.clone()))
    }

    /// An operation of the open transaction puts a value into an element.
    pub(crate) fn note_open(&mut self, op: Element, element: Element) {
        self.open.push((op, element));
    }

    /// The transaction is closed, or taken back.
    pub(crate) fn forget_open(&mut self) {
        self.open.clear();
    }

    /// The changes that did something at a key of a map. All operations are filled in.
    pub(crate) fn touching(&self, object: Option<OpId>, key: &str) -> Vec<ChangeHash> {
        let Some(name) = self.name(key) else { return Vec::new() };
        let here = |op: &OpInfo| op.object == object && op.slot == Slot::Name(name);
        let touches = |change: &&Known| change.ops.as_deref().unwrap_or_default().iter().any(here);
        self.changes.iter().filter(touches).map(|change| change.hash).collect()
    }

    /// Where the changes from the `from`-th on act: in which object, and under which key, if that is
    /// a map. What is done inside of an object that a change made itself is not told apart from that.
    pub(crate) fn slots_from(
        &self,
        from: usize,
    ) -> impl Iterator<Item = (Option<OpId>, Option<&str>)> {
        let changes = self.changes.get(from..).unwrap_or_default().iter();
        changes.flat_map(move |change| {
            let own = move |id: OpId| id.actor == change.actor && id.counter >= change.start_op;
            let ops = change.ops.as_deref().unwrap_or_default().iter();
            ops.filter(move |op| !op.object.is_some_and(own)).map(|op| {
                let name = match op.slot {
                    Slot::Name(number) => self.texts.get(number as usize).map(AsRef::as_ref),
                    Slot::Element(_) => None,
                };
                (op.object, name)
            })
        })
    }

    /// The id that Automerge has for an actor.
    pub(crate) fn actor_id(&self, number: u32) -> Option<ActorId> {
        let of = |(id, known): (&Vec<u8>, &u32)| {
            (*known == number).then(|| ActorId::from(id.as_slice()))
        };
        self.by_actor.iter().find_map(of)
    }

    /// Forgets the changes past the first `len`.
    pub(crate) fn truncate(&mut self, len: usize, heads: SortedSet<ChangeHash>) {
        for change in self.changes.drain(len..) {
            self.by_hash.remove(&change.hash);
            self.op_count -= (change.max_op - change.start_op) as usize + 1;
            self.unfilled -= usize::from(change.ops.is_none());
            if let Some(actor) = self.actors.get_mut(change.actor as usize) {
                actor.changes.pop();
            }
        }
        self.heads = heads;
    }

    /// What these changes (all known) and their ancestors are.
    pub(crate) fn ancestry(&self, dependencies: &[ChangeHash]) -> Ancestry {
        let mut out = Ancestry { clock: vec![0; self.actors.len()], max_op: 0 };
        for change in dependencies.iter().filter_map(|hash| self.change(hash)) {
            for (mine, theirs) in out.clock.iter_mut().zip(change.clock.iter()) {
                *mine = (*mine).max(*theirs);
            }
            if let Some(own) = out.clock.get_mut(change.actor as usize) {
                *own = (*own).max(change.seq);
            }
            out.max_op = out.max_op.max(change.max_op);
        }
        out
    }

    /// The change that brought an operation.
    pub(crate) fn change_of(&self, id: OpId) -> Option<&Known> {
        let changes = &self.actor(id.actor)?.changes;
        let after = changes.partition_point(|number| {
            self.changes.get(*number as usize).is_some_and(|change| change.start_op <= id.counter)
        });
        let number = *changes.get(after.checked_sub(1)?)?;
        self.changes.get(number as usize).filter(|change| id.counter <= change.max_op)
    }

    /// An operation, if it lies in the ancestry.
    pub(crate) fn op(&self, id: OpId, within: &Ancestry) -> Option<&OpInfo> {
        let change = self.change_of(id)?;
        let known = change.seq <= within.seq(change.actor);
        let at = (id.counter - change.start_op) as usize;
        change.ops.as_ref().filter(|_| known)?.get(at)
    }

    /// Whether operations have to be filled in by [`History::fill`] before checking.
    pub(crate) fn lacks_ops(&self) -> bool {
        self.unfilled > 0
    }

    /// Gives a change of a snapshot its operations.
    pub(crate) fn fill(&mut self, decoded: &Decoded<'_>) {
        let ops = self.infos(decoded);
        if let Some(change) = self.change_mut(&decoded.hash)
            && change.ops.replace(ops).is_none()
        {
            self.unfilled = self.unfilled.saturating_sub(1);
        }
    }

    /// Adds a checked change.
    pub(crate) fn push(
        &mut self,
        decoded: &Decoded<'_>,
        writer: Option<WriterId>,
        placement: Option<Placement>,
    ) {
        let author = decoded.actors.first().copied().unwrap_or_default();
        let actor = self.enroll(author, writer);
        let meta = Meta {
            hash: decoded.hash,
            actor,
            seq: u32::try_from(decoded.seq).unwrap_or(u32::MAX),
            start_op: decoded.start_op,
            max_op: decoded.max_op(),
        };
        self.push_meta(&meta, &decoded.dependencies, placement);
        let ops = self.infos(decoded);
        if let Some(change) = self.changes.last_mut() {
            change.ops = Some(ops);
            self.unfilled = self.unfilled.saturating_sub(1);
        }
    }

    /// Adds a change of a snapshot, its operations to be filled in when they are needed.
    pub(crate) fn push_meta(
        &mut self,
        meta: &Meta,
        dependencies: &[ChangeHash],
        placement: Option<Placement>,
    ) {
        let clock = self.shared_clock(meta, dependencies);
        let number = u32::try_from(self.changes.len()).unwrap_or(u32::MAX);
        for hash in dependencies {
            self.heads.remove(hash);
        }
        self.heads.insert(meta.hash);
        self.by_hash.insert(meta.hash, number);
        if let Some(actor) = self.actors.get_mut(meta.actor as usize) {
            actor.changes.push(number);
        }
        self.unfilled += 1;
        self.op_count += (meta.max_op - meta.start_op) as usize + 1;
        let Meta { hash, actor, seq, start_op, max_op } = *meta;
        self.changes.push(Known {
            hash,
            actor,
            seq,
            start_op,
            max_op,
            placement,
            clock,
            ops: None,
        });
    }

    fn shared_clock(&self, meta: &Meta, dependencies: &[ChangeHash]) -> Arc<[u32]> {
        if let [only] = dependencies
            && let Some(change) = self.change(only)
            && change.actor == meta.actor
        {
            return Arc::clone(&change.clock);
        }
        self.ancestry(dependencies).clock.into()
    }

    fn infos(&mut self, decoded: &Decoded<'_>) -> Box<[OpInfo]> {
        let actors: Vec<u32> =
            decoded.actors.iter().map(|id| self.actor_number(id).unwrap_or(u32::MAX)).collect();
        let global = |id: LocalId| {
            let actor = actors.get(id.actor as usize).copied().unwrap_or(u32::MAX);
            OpId { counter: id.counter, actor }
        };
        let mut infos: Vec<OpInfo> = Vec::with_capacity(decoded.ops.len());
        for (nth, op) in decoded.ops.iter().enumerate() {
            let own = OpId {
                counter: decoded.start_op + u32::try_from(nth).unwrap_or(u32::MAX),
                actor: global(LocalId { counter: 0, actor: 0 }).actor,
            };
            let object = op.object.map(global);
            let slot = match op.key {
                Key::Name(name) => Slot::Name(self.intern(name)),
                _ if op.insert => Slot::Element(own),
                Key::Element(id) => Slot::Element(global(id)),
                Key::Head => Slot::Element(own),
            };
            let depth =
                1 + object.map_or(0, |id| self.depth(id, own.actor, decoded.start_op, &infos));
            let kind = Kind::of(op.action, op.value_type);
            infos.push(OpInfo { object, slot, kind, insert: op.insert, depth });
        }
        infos.into()
    }

    fn depth(&self, object: OpId, own: u32, start_op: u32, infos: &[OpInfo]) -> u8 {
        if object.actor == own && object.counter >= start_op {
            return infos.get((object.counter - start_op) as usize).map_or(0, |op| op.depth);
        }
        let Some(change) = self.change_of(object) else { return 0 };
        let at = (object.counter - change.start_op) as usize;
        change.ops.as_ref().and_then(|ops| ops.get(at)).map_or(0, |op| op.depth)
    }

    fn intern(&mut self, name: &str) -> u32 {
        if let Some(number) = self.names.get(name) {
            return *number;
        }
        let number = u32::try_from(self.names.len()).unwrap_or(u32::MAX);
        let text: Arc<str> = name.into();
        self.texts.push(Arc::clone(&text));
        self.names.insert(text, number);
        number
    }

    /// Estimated bytes in memory.
    pub(crate) fn cost(&self) -> usize {
        self.changes.len() * 220 + self.op_count * size_of::<OpInfo>() + self.names.len() * 90
    }
}

/// A change without its operations.
#[derive(Clone, Debug)]
pub(crate) struct Meta {
    pub(crate) hash: ChangeHash,
    pub(crate) actor: u32,
    pub(crate) seq: u32,
    pub(crate) start_op: u32,
    pub(crate) max_op: u32,
}

impl Kind {
    pub(crate) fn of(action: Action, value: u8) -> Self {
        match action {
            Action::Map => Self::Map,
            Action::List => Self::List,
            Action::Text => Self::Text,
            Action::Set if value == value_type::COUNTER => Self::Counter,
            Action::Set => Self::Value,
            Action::Delete | Action::Increment => Self::Nothing,
        }
    }
}
