//! Looking into an app's document: how it came to be, how it was, and what was put at a place at once.

use automerge::{ObjId, Prop, ReadDoc};
use serde_json::Value as Json;
use sync_protocol::ids::WriterId;

use super::json::{Style, value};
use super::{ChangeHash, Document, Placement, Step, is_nobody};

/// A change, as it is told.
pub(crate) struct Told {
    pub(crate) change: ChangeHash,
    /// Who wrote it; `None` for what is nobody's.
    pub(crate) writer: Option<WriterId>,
    pub(crate) placement: Option<Placement>,
}

impl Document {
    /// The changes, the newest first: as they stand in the log, and before them what is not there.
    pub(crate) fn told(&mut self) -> Vec<Told> {
        self.close();
        let told = self.history.by_hash().map(|known| Told {
            change: known.hash,
            writer: self.writer_told(&known.hash),
            placement: known.placement,
        });
        let mut told: Vec<Told> = told.collect();
        // What it begins with has no place, and is no change.
        told.retain(|told| told.writer.is_some() || told.placement.is_some());
        told.sort_by_key(|told| (told.placement.is_none(), told.placement, told.change));
        told.reverse();
        told
    }

    fn writer_told(&self, change: &ChangeHash) -> Option<WriterId> {
        self.history.writer_of(change).filter(|writer| !is_nobody(writer))
    }

    /// The document as it was with these changes and all that they build on; `None` if one is not
    /// here.
    pub(crate) fn as_of(&mut self, heads: &[ChangeHash]) -> Option<Self> {
        self.close();
        if !heads.iter().all(|head| self.history.contains(head)) {
            return None;
        }
        let within = self.history.ancestry(heads);
        let doc = self.rebuilt(|known| known.seq <= within.seq(known.actor));
        let mut then = Self::bare(self.space, self.name.clone(), doc);
        then.moved = self.moved;
        Some(then)
    }

    /// What was put at a place at once, with who did, what counts first; nothing if nothing is there.
    pub(crate) fn conflicts(&mut self, path: &[Step]) -> Vec<(Json, Option<WriterId>)> {
        self.close();
        let Ok((object, at)) = self.locate(path, false) else { return Vec::new() };
        let all = self.values_at(&object, at);
        all.into_iter().rev().collect()
    }

    fn values_at(&self, object: &ObjId, at: Prop) -> Vec<(Json, Option<WriterId>)> {
        let all = self.doc.get_all(object, at).unwrap_or_default();
        let told = all.into_iter().map(|(found, id)| {
            let by = match &id {
                ObjId::Id(counter, actor, _) => self.history.hash_of_op(*counter, actor.to_bytes()),
                ObjId::Root => None,
            };
            let json = value(&self.doc, found, &id, Style::Tagged, 0);
            (json, by.and_then(|change| self.writer_told(&change)))
        });
        told.collect()
    }
}
