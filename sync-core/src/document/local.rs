//! Local edits: applied into an open transaction, closed into changes, cut for sending.

use automerge::transaction::{CommitOptions, Transactable};
use automerge::{ReadDoc, ScalarValue};
use sync_protocol::codec::{decode as from_cbor, encode as to_cbor};
use sync_protocol::ids::WriterId;
use sync_protocol::limits;

use super::decode::decode;
use super::grammar::{EntryKey, Grammar, is_setting_key, tag_text};
use super::messages::{self, Body};
use super::places::is_sign;
use super::{Document, Edit, EditError, NewMessage, Touched, receipts};

/// What of this device's edits is not cut yet.
#[derive(Clone, Debug, Default)]
pub(crate) struct Local {
    writer: Option<WriterId>,
    /// Edits in the open transaction, to be made again if a later one fails half-way.
    open: Vec<Edit>,
    /// Rough bytes in the open transaction.
    open_bytes: usize,
    /// Closed changes that wait for the cut.
    uncut: Vec<Vec<u8>>,
}

impl Local {
    pub(crate) fn writer(&self) -> Option<WriterId> {
        self.writer
    }

    /// A closed change waits for the cut.
    pub(crate) fn push_uncut(&mut self, change: Vec<u8>) {
        self.uncut.push(change);
    }

    pub(crate) fn cost(&self) -> usize {
        self.open_bytes + self.uncut.iter().map(Vec::len).sum::<usize>()
    }
}

impl Document {
    /// Applies a local edit; visible at once, cut later. Another writer than before closes what
    /// was open.
    ///
    /// # Errors
    /// See [`EditError`]; the document is unchanged then.
    pub fn edit(&mut self, writer: &WriterId, edit: &Edit) -> Result<Touched, EditError> {
        let size = to_cbor(edit).len();
        if size > limits::EDIT {
            return Err(EditError::TooLarge { what: "edit", limit: limits::EDIT });
        }
        if self.local.writer != Some(*writer) || self.local.open_bytes + size > limits::EDIT {
            self.close();
        }
        if self.doc.pending_ops() == 0 {
            let actor = self.actor_of(writer);
            self.doc.set_actor(actor);
            self.local.writer = Some(*writer);
        }
        let touched = self.apply(writer, edit)?;
        self.local.open.push(edit.clone());
        self.local.open_bytes += size;
        Ok(touched)
    }

    /// Whether local edits wait for their cut.
    #[must_use]
    pub fn has_uncut(&self) -> bool {
        self.doc.pending_ops() > 0 || !self.local.uncut.is_empty()
    }

    /// All local changes since the last cut, in order, as raw chunks without time or message.
    pub fn cut(&mut self) -> Vec<Vec<u8>> {
        self.close();
        std::mem::take(&mut self.local.uncut)
    }

    /// Makes a change of the open transaction.
    pub(crate) fn close(&mut self) {
        self.local.open.clear();
        self.local.open_bytes = 0;
        if self.doc.pending_ops() == 0 {
            return;
        }
        let hash = self.doc.commit_with(CommitOptions::default().with_time(0));
        let change = hash.and_then(|hash| self.doc.get_change_by_hash(&hash));
        let Some(change) = change else { return };
        let bytes = change.raw_bytes().to_vec();
        if let Ok(decoded) = decode(&bytes) {
            self.moved |= decoded.ops.iter().any(|op| is_sign(op.value));
            self.history.push(&decoded, self.local.writer, None);
        }
        self.bytes += bytes.len();
        self.local.uncut.push(bytes);
    }

    fn apply(&mut self, writer: &WriterId, edit: &Edit) -> Result<Touched, EditError> {
        match (self.grammar, edit) {
            (Some(Grammar::Messages), Edit::Message(message)) => self.new_message(writer, message),
            (Some(Grammar::Messages), Edit::EditMessage { key, text }) => {
                let value = to_cbor(&messages::Edited { text: text.clone() });
                self.put_entry(EntryKey::amendment(key, messages::EDIT, &writer.tag()), value)
            }
            (Some(Grammar::Messages), Edit::DeleteMessage { key }) => {
                let value = to_cbor(&messages::Deleted {});
                self.put_entry(EntryKey::amendment(key, messages::DELETE, &writer.tag()), value)
            }
            (Some(Grammar::Messages), Edit::React { key, emoji }) => {
                let value = to_cbor(&messages::Reacted { emoji: emoji.clone() });
                self.put_entry(EntryKey::amendment(key, messages::REACT, &writer.tag()), value)
            }
            (Some(Grammar::Receipts), Edit::Receipt { delivered, read }) => {
                let last = self.marks.get(writer).copied().unwrap_or_default();
                let next = last.merged(*delivered, *read);
                if next == last {
                    return Ok(Touched::default());
                }
                self.marks.insert(*writer, next);
                self.put_entry(tag_text(&writer.tag()), receipts::encode(&next))
            }
            (Some(Grammar::Settings), Edit::Setting { key, value }) => {
                let value = value.as_ref().map(|json| json.as_slice()).unwrap_or_default();
                if !is_setting_key(key) || !(value.is_empty() || is_json(value)) {
                    return Err(EditError::BadValue);
                }
                let own = Grammar::Settings.check_entry(0, key, value, writer);
                own.map_err(|_| EditError::NotOwn)?;
                self.put_entry(key.clone(), value.to_vec())
            }
            (Some(Grammar::Contacts), Edit::Contact { account, contact }) => {
                let value = contact.as_ref().map(to_cbor).unwrap_or_default();
                self.put_entry(account.to_string(), value)
            }
            (Some(Grammar::Vault), Edit::Vault { key, value }) => {
                let own = Grammar::Vault.check_entry(0, key, value.as_slice(), writer);
                own.map_err(|_| EditError::BadValue)?;
                self.put_entry(key.clone(), value.0.clone())
            }
            (Some(Grammar::People), Edit::Person(person)) => {
                self.put_entry(tag_text(&writer.tag()), to_cbor(person))
            }
            (None, Edit::App { ops }) => self.app_edit(ops),
            _ => Err(EditError::WrongDocument),
        }
    }

    fn new_message(
        &mut self,
        writer: &WriterId,
        message: &NewMessage,
    ) -> Result<Touched, EditError> {
        if message.key.tag != writer.tag() {
            return Err(EditError::NotOwn);
        }
        self.put_entry(message.key.to_string(), to_cbor(&Body::of(message)))
    }

    /// Writes an entry unless it stands like that already: of several that were written at once,
    /// Automerge would then delete the others instead of writing, and a typed document takes no
    /// deletions.
    fn put_entry(&mut self, key: String, value: Vec<u8>) -> Result<Touched, EditError> {
        if self.entry(&key).is_some_and(|known| known.bytes == value) {
            return Ok(Touched::default());
        }
        if value.len() > limits::DOCUMENT_ENTRY {
            return Err(EditError::TooLarge { what: "entry", limit: limits::DOCUMENT_ENTRY });
        }
        let map = self.grammar.and_then(|grammar| grammar.map_of(&key));
        let map =
            map.and_then(|map| self.maps.get(map as usize)).ok_or(EditError::NoSuchPlace)?.clone();
        self.doc.put(&map, &key, ScalarValue::Bytes(value)).map_err(|_| EditError::NoSuchPlace)?;
        Ok(Touched { keys: [key].into(), ..Touched::default() })
    }

    /// Takes back a half-made edit; the transaction goes as a whole, so its earlier edits are made
    /// again. They succeeded on this same state, so they do now.
    pub(crate) fn undo_to(&mut self, before: usize) {
        if self.doc.pending_ops() == before {
            return;
        }
        self.doc.rollback();
        let open = std::mem::take(&mut self.local.open);
        for edit in &open {
            if let Some(writer) = self.local.writer {
                let again = self.apply(&writer, edit);
                debug_assert!(again.is_ok(), "an edit that succeeded does so again");
            }
        }
        self.local.open = open;
    }
}

fn is_json(bytes: &[u8]) -> bool {
    serde_json::from_slice::<serde_json::Value>(bytes).is_ok()
}

/// Reads an entry that a newer version may have given more fields; true if it did.
pub(crate) fn lenient<'b, T>(bytes: &'b [u8], fields: u32) -> Option<(T, bool)>
where
    T: minicbor::Decode<'b, ()>,
{
    let value = from_cbor("entry", bytes).ok()?;
    let mut decoder = minicbor::Decoder::new(bytes);
    let count = decoder.map().ok()??;
    let mut newer = false;
    for _ in 0..count {
        newer |= decoder.u32().ok()? >= fields;
        decoder.skip().ok()?;
    }
    Some((value, newer))
}
