//! Looking into an app's document: how it came to be, how it was, and what was put at a place at once.

use automerge::{AutoCommit, ObjId, ObjType, Prop, ROOT, ReadDoc, ScalarValue, Value};
use serde_json::Value as Json;
use sync_protocol::ids::WriterId;
use sync_protocol::limits;

use super::history::History;
use super::json::{Style, value};
use super::values::is_key;
use super::{ChangeHash, Document, DocumentError, Placement, Step};

/// A change, as it is told.
pub(crate) struct Told {
    pub(crate) change: ChangeHash,
    /// Who wrote it; `None` for what is nobody's.
    pub(crate) writer: Option<WriterId>,
    pub(crate) placement: Option<Placement>,
}

impl Document {
    /// The changes, the newest first: as they stand in the log, and before them what is not there, as
    /// it was made.
    pub(crate) fn told(&mut self) -> Vec<Told> {
        self.close();
        let told = self.history.in_order().map(|known| Told {
            change: known.hash,
            writer: self.history.writer_told(&known.hash),
            placement: known.placement,
        });
        let mut told: Vec<Told> = told.collect();
        // What it begins with has no place, and is no change.
        told.retain(|told| told.writer.is_some() || told.placement.is_some());
        told.sort_by_key(|told| (told.placement.is_none(), told.placement));
        told.reverse();
        told
    }

    /// What stood at a path with these changes and all that they build on; `None` if one of them is not
    /// here.
    pub(crate) fn as_of(
        &mut self,
        heads: &[ChangeHash],
        path: &[Step],
        typed: bool,
    ) -> Option<Option<Json>> {
        self.close();
        if !heads.iter().all(|head| self.history.contains(head)) {
            return None;
        }
        let within = self.history.ancestry(heads);
        let then = self.rebuilt(|known| known.seq <= within.seq(known.actor));
        let now = std::mem::replace(&mut self.doc, then);
        let found = self.json_at(path, typed);
        self.doc = now;
        Some(found)
    }

    /// What was put at a place at once, with who did, what counts first; nothing if nothing is there.
    pub(crate) fn conflicts(&mut self, path: &[Step]) -> Vec<(Json, Option<WriterId>)> {
        self.close();
        let Ok((object, at)) = self.tree().locate(path, false) else { return Vec::new() };
        let all = values_at(&self.doc, &self.history, &object, at);
        all.into_iter().rev().collect()
    }
}

/// Whether a document by whatever program holds nothing that one here can't, so that none of its values
/// would be lost or altered without a word.
///
/// # Errors
/// `UnfitImport`.
pub(super) fn fits(doc: &AutoCommit) -> Result<(), DocumentError> {
    value_fits(doc, &Value::Object(ObjType::Map), &ROOT, 0).map_err(DocumentError::UnfitImport)
}

fn value_fits(
    doc: &AutoCommit,
    value: &Value<'_>,
    id: &ObjId,
    depth: usize,
) -> Result<(), &'static str> {
    match value {
        Value::Object(_) if depth >= limits::DOCUMENT_DEPTH => Err("objects nested too deeply"),
        Value::Object(ObjType::Text) => Ok(()),
        Value::Object(ObjType::List) => doc.list_range(id, ..).try_for_each(|item| {
            let inner = item.id();
            value_fits(doc, &item.value.into_value(), &inner, depth + 1)
        }),
        Value::Object(ObjType::Map | ObjType::Table) => {
            doc.map_range(id, ..).try_for_each(|item| {
                let inner = item.id();
                match is_key(&item.key) {
                    true => value_fits(doc, &item.value.into_value(), &inner, depth + 1),
                    false => Err("a key that is empty or too long"),
                }
            })
        }
        Value::Scalar(scalar) => match scalar.as_ref() {
            ScalarValue::F64(number) if !number.is_finite() => Err("a number that is not finite"),
            ScalarValue::Counter(counter)
                if i64::from(counter).unsigned_abs() > limits::COUNTER =>
            {
                Err("a counter beyond 2^53")
            }
            ScalarValue::Unknown { .. } => Err("a value of a kind of its own"),
            _ => Ok(()),
        },
    }
}

fn values_at(
    doc: &AutoCommit,
    history: &History,
    object: &ObjId,
    at: Prop,
) -> Vec<(Json, Option<WriterId>)> {
    let all = doc.get_all(object, at).unwrap_or_default();
    let told = all.into_iter().map(|(found, id)| {
        let by = match &id {
            ObjId::Id(counter, actor, _) => history.hash_of_op(*counter, actor.to_bytes()),
            ObjId::Root => None,
        };
        let json = value((doc, history), found, &id, Style::Tagged, 0);
        (json, by.and_then(|change| history.writer_told(&change)))
    });
    told.collect()
}
