//! Values that everybody begins in the same way: who finds the same there makes the same change, under
//! nobody's name.

use automerge::transaction::CommitOptions;
use automerge::{ActorId, Change, ObjId, Prop, ReadDoc};
use sync_protocol::codec::Blob;

use super::app::content_of;
use super::births::{ACTOR, born_by, sign};
use super::decode::decode;
use super::history::OpId;
use super::values::{Content, How, Split, write};
use super::{ChangeHash, Document, Step, actor};

/// Makes such changes in a document.
pub(super) struct Alike<'d> {
    document: &'d mut Document,
}

impl<'d> Alike<'d> {
    /// Of a document in which no transaction is open.
    pub(super) fn of(document: &'d mut Document) -> Self {
        Self { document }
    }
}

impl Alike<'_> {
    /// Puts a value in the place of another, as everybody would who finds the same there.
    pub(super) fn convert(&mut self, path: &[Step], value: &Blob) -> Option<()> {
        let content = content_of(path, value).ok()?;
        let (object, at) = self.document.tree().locate(path, false).ok()?;
        let mut before = self.parent_of(&object)?.1;
        for (_, id) in self.document.doc.get_all(&object, at.clone()).ok()? {
            let ObjId::Id(counter, by, _) = id else { return None };
            before.push(self.document.history.hash_of_op(counter, by.to_bytes())?);
        }
        self.bear_behind(&before, &object, at, content, true)
    }

    /// The operation that made an object, and the change that brought it.
    fn parent_of(&self, object: &ObjId) -> Option<(Option<OpId>, Vec<ChangeHash>)> {
        let ObjId::Id(counter, by, _) = object else { return Some((None, Vec::new())) };
        let id = self.document.history.op_id(*counter, by.to_bytes())?;
        Some((Some(id), vec![self.document.history.change_of(id)?.hash]))
    }

    /// Begins a value at a key of a map that has none. The transaction is closed. What was there and
    /// was taken away is begun anew behind all that was done at that key: by all who know the same of
    /// it, in the same way.
    pub(super) fn bear(&mut self, object: &ObjId, at: Prop, content: Content) -> Option<()> {
        let Prop::Map(key) = at.clone() else { return None };
        let (id, mut before) = self.parent_of(object)?;
        let first = self.bear_behind(&before, object, at.clone(), content.clone(), false);
        first.or_else(|| {
            self.document.fill_ops(true);
            before.extend(self.document.history.touching(id, &key));
            self.bear_behind(&before, object, at, content, false)
        })
    }

    fn bear_behind(
        &mut self,
        before: &[ChangeHash],
        object: &ObjId,
        at: Prop,
        content: Content,
        converts: bool,
    ) -> Option<()> {
        let ancestry = self.document.history.ancestry(before);
        let element = match &at {
            Prop::Seq(index) => Some(self.document.doc.get_cursor(object, *index, None).ok()?),
            Prop::Map(_) => None,
        };
        let mut doc = self.document.rebuilt(|known| known.seq <= ancestry.seq(known.actor));
        // Other elements may not be there.
        let at = match element {
            Some(element) => Prop::Seq(doc.get_cursor_position(object, &element, None).ok()?),
            None => at,
        };
        doc.set_actor(ActorId::from([0; ACTOR]));
        write(&mut doc, object, at, content, How::Put, &mut Split::default()).ok()?;
        let made = doc.commit_with(CommitOptions::default().with_time(0))?;
        let mut bytes = doc.get_change_by_hash(&made)?.raw_bytes().to_vec();
        let writer = born_by(&bytes)?;
        let actor = actor(&self.document.space, &self.document.name, &writer);
        sign(&mut bytes, actor.to_bytes())?;
        let decoded = decode(&bytes).ok()?;
        if decoded.predecessors.is_empty() == converts {
            // Its parent came with something at that key, which was taken away since.
            return None;
        }
        if self.document.history.contains(&decoded.hash) {
            // It was there, and was taken away since.
            return None;
        }
        let change = Change::from_bytes(bytes.clone()).ok()?;
        self.document.doc.apply_changes([change]).ok()?;
        self.document.history.push(&decoded, Some(writer), None);
        self.document.bytes += bytes.len();
        self.document.local.push_uncut(bytes);
        Some(())
    }
}
