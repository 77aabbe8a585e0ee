//! The entries of typed documents: `key -> bytes` in the genesis maps.

use automerge::{AutoCommit, ObjId, ROOT, ReadDoc, ScalarValue, Value};
use sync_protocol::ids::WriterId;

use super::ended::Ended;
use super::history::{History, Known, OpId};
use super::local::Local;
use super::{Document, Grammar, Placement, receipts};

/// An entry as it stands: the newest of its key, by Automerge's choice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) bytes: Vec<u8>,
    /// Who wrote it; `None` only for what this device is writing just now under no name yet.
    pub(crate) writer: Option<WriterId>,
    pub(crate) placement: Option<Placement>,
}

/// The maps of a typed document, with what tells who wrote an entry and whether it shows.
pub(super) struct Maps<'d> {
    doc: &'d AutoCommit,
    grammar: Option<Grammar>,
    maps: &'d [ObjId],
    history: &'d History,
    local: &'d Local,
    ended: &'d [Ended],
}

impl Maps<'_> {
    fn map_for(&self, key: &str) -> Option<&ObjId> {
        self.maps.get(self.grammar?.map_of(key)? as usize)
    }

    fn entry(&self, key: &str) -> Option<Entry> {
        let (value, id) = self.doc.get(self.map_for(key)?, key).ok()??;
        self.entry_of(value, &id).filter(|entry| self.shows(entry))
    }

    /// Whether anything stands under a key, shown or not.
    pub(super) fn has(&self, key: &str) -> bool {
        let map = self.map_for(key);
        map.is_some_and(|map| self.doc.get(map, key).is_ok_and(|found| found.is_some()))
    }

    /// Whether Automerge has these bytes under a key, shown or not.
    pub(super) fn stands(&self, key: &str, bytes: &[u8]) -> bool {
        let found = self.map_for(key).and_then(|map| self.doc.get(map, key).ok().flatten());
        let Some((Value::Scalar(scalar), _)) = found else { return false };
        matches!(scalar.as_ref(), ScalarValue::Bytes(there) if there == bytes)
    }

    /// Whether an entry's author had not ended by then.
    fn shows(&self, entry: &Entry) -> bool {
        let Some(writer) = &entry.writer else { return true };
        !self.ended.iter().any(|end| end.is_of(writer, entry.placement.as_ref()))
    }

    /// All entries, shown or not.
    fn all(&self) -> Vec<(String, Entry)> {
        let mut out = Vec::new();
        for map in self.maps {
            for item in self.doc.map_range(map, ..) {
                let key = item.key.to_string();
                let id = item.id();
                if let Some(entry) = self.entry_of(item.value.into_value(), &id) {
                    out.push((key, entry));
                }
            }
        }
        out
    }

    fn entry_of(&self, value: Value<'_>, id: &ObjId) -> Option<Entry> {
        let Value::Scalar(scalar) = value else { return None };
        let bytes = match scalar.into_owned() {
            ScalarValue::Bytes(bytes) => bytes,
            _ => return None,
        };
        let change = self.change_of(id);
        let writer = match change {
            Some(change) => self.history.actor(change.actor).and_then(|actor| actor.writer),
            None => self.local.writer(),
        };
        Some(Entry { bytes, writer, placement: change.and_then(|change| change.placement) })
    }

    fn change_of(&self, id: &ObjId) -> Option<&Known> {
        let ObjId::Id(counter, actor, _) = id else { return None };
        let actor = self.history.actor_number(actor.to_bytes())?;
        self.history.change_of(OpId { counter: u32::try_from(*counter).ok()?, actor })
    }
}

impl Document {
    /// Finds a typed document's maps after it was made or loaded; false if one is missing.
    pub(crate) fn find_maps(&mut self) -> bool {
        let names = self.grammar.map(|grammar| grammar.maps()).unwrap_or_default();
        self.maps = names
            .iter()
            .filter_map(|name| self.doc.get(ROOT, *name).ok().flatten())
            .filter_map(|(value, id)| value.is_object().then_some(id))
            .collect();
        self.maps.len() == names.len()
    }

    pub(super) fn typed(&self) -> Maps<'_> {
        Maps {
            doc: &self.doc,
            grammar: self.grammar,
            maps: &self.maps,
            history: &self.history,
            local: &self.local,
            ended: &self.ended,
        }
    }

    /// One entry.
    pub(crate) fn entry(&self, key: &str) -> Option<Entry> {
        self.typed().entry(key)
    }

    /// All entries.
    pub(crate) fn entries(&self) -> Vec<(String, Entry)> {
        let typed = self.typed();
        let mut entries = typed.all();
        entries.retain(|(_, entry)| typed.shows(entry));
        entries
    }

    /// Reads each writer's newest receipt from the document.
    pub(crate) fn read_marks(&mut self) {
        let is_receipts = self.grammar == Some(Grammar::Receipts);
        let entries = if is_receipts { self.typed().all() } else { Vec::new() };
        self.marks = entries
            .into_iter()
            .filter_map(|(_, entry)| Some((entry.writer?, receipts::decode(&entry.bytes)?)))
            .collect();
    }
}
