//! Local edits: applied into an open transaction, closed into changes, cut for sending.

use automerge::transaction::{CommitOptions, Transactable};
use automerge::{AutoCommit, ObjId, ReadDoc, ScalarValue};
use sync_protocol::codec::{decode as from_cbor, encode as to_cbor};
use sync_protocol::ids::WriterId;
use sync_protocol::limits;

use super::decode::decode;
use super::entries::Entry;
use super::grammar::{EntryKey, Grammar, is_setting_key, tag_text};
use super::messages::{self, Body};
use super::places::is_sign;
use super::{Document, Edit, EditError, NewMessage, Touched, contacts, people, receipts};

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

/// What it means to ask for what stands in an entry already.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Repeated {
    /// Nothing: it shows.
    IsNothing,
    /// Its place in the log decides what shows, and somebody may have written since: it is written
    /// anew.
    Counts,
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
        if self.doc.pending_ops() > 0 {
            self.local.open.push(edit.clone());
            self.local.open_bytes += size;
        }
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
        self.history.forget_open();
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
        if self.grammar != Grammar::that_takes(edit) {
            return Err(EditError::WrongDocument);
        }
        match edit {
            Edit::Message(message) => self.new_message(writer, message),
            Edit::EditMessage { key, text } => {
                let value = to_cbor(&messages::Edited { text: text.clone() });
                let key = EntryKey::amendment(key, messages::EDIT, &writer.tag());
                self.put_entry(key, value, Repeated::Counts)
            }
            Edit::DeleteMessage { key } => {
                let value = to_cbor(&messages::Deleted {});
                let key = EntryKey::amendment(key, messages::DELETE, &writer.tag());
                self.put_entry(key, value, Repeated::IsNothing)
            }
            Edit::React { key, emoji } => {
                let value = to_cbor(&messages::Reacted { emoji: emoji.clone() });
                let key = EntryKey::amendment(key, messages::REACT, &writer.tag());
                self.put_entry(key, value, Repeated::Counts)
            }
            Edit::Receipt { delivered, read } => {
                let last = self.marks.get(writer).copied().unwrap_or_default();
                let next = last.merged(*delivered, *read);
                if next == last {
                    return Ok(Touched::default());
                }
                self.marks.insert(*writer, next);
                let value = receipts::encode(&next);
                self.put_entry(tag_text(&writer.tag()), value, Repeated::IsNothing)
            }
            Edit::Setting { key, value } => {
                let value = value.as_ref().map(|json| json.as_slice()).unwrap_or_default();
                if !is_setting_key(key) || !(value.is_empty() || is_json(value)) {
                    return Err(EditError::BadValue);
                }
                let own = Grammar::Settings.check_entry(0, key, value, writer);
                own.map_err(|_| EditError::NotOwn)?;
                self.put_entry(key.clone(), value.to_vec(), Repeated::IsNothing)
            }
            Edit::Contact { account, contact } => {
                let value = contact.as_ref().map(to_cbor).unwrap_or_default();
                self.put_entry(account.to_string(), value, Repeated::IsNothing)
            }
            Edit::Vault { key, value } => {
                let own = Grammar::Vault.check_entry(0, key, value.as_slice(), writer);
                own.map_err(|_| EditError::BadValue)?;
                self.put_entry(key.clone(), value.0.clone(), Repeated::IsNothing)
            }
            Edit::Person(person) => {
                self.put_entry(tag_text(&writer.tag()), to_cbor(person), Repeated::IsNothing)
            }
            Edit::App { ops } => self.app_edit(ops),
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
        self.put_entry(message.key.to_string(), to_cbor(&Body::of(message)), Repeated::IsNothing)
    }

    fn put_entry(
        &mut self,
        key: String,
        value: Vec<u8>,
        repeated: Repeated,
    ) -> Result<Touched, EditError> {
        let same = self.entry(&key).filter(|known| known.bytes == value);
        // What has no place yet will have one behind all that this device has seen.
        let is_last = |known: Entry| repeated == Repeated::IsNothing || known.placement.is_none();
        if same.is_some_and(is_last) {
            return Ok(Touched::default());
        }
        if value.len() > limits::DOCUMENT_ENTRY {
            return Err(EditError::TooLarge { what: "entry", limit: limits::DOCUMENT_ENTRY });
        }
        let grammar = self.grammar.ok_or(EditError::NoSuchPlace)?;
        let map = grammar.map_of(&key).and_then(|map| self.maps.get(map as usize));
        let map = map.ok_or(EditError::NoSuchPlace)?.clone();
        if self.typed().stands(&key, &value) {
            if grammar.is_written_once(&key) {
                return Ok(Touched::default());
            }
            // Automerge writes nothing over its like; over several of which one is like that, it would
            // delete the others, and a typed document takes no deletions. So something else goes first.
            let other = if value.is_empty() { vec![0] } else { Vec::new() };
            put(&mut self.doc, &map, &key, other)?;
        }
        put(&mut self.doc, &map, &key, value)?;
        Ok(Touched { keys: [key].into(), ..Touched::default() })
    }

    /// Takes back a half-made edit; the transaction goes as a whole, so its earlier edits are made
    /// again. They succeeded on this same state, so they do now.
    pub(crate) fn undo_to(&mut self, before: usize) {
        if self.doc.pending_ops() == before {
            return;
        }
        self.doc.rollback();
        self.history.forget_open();
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

fn put(doc: &mut AutoCommit, map: &ObjId, key: &str, value: Vec<u8>) -> Result<(), EditError> {
    doc.put(map, key, ScalarValue::Bytes(value)).map_err(|_| EditError::NoSuchPlace)
}

fn is_json(bytes: &[u8]) -> bool {
    serde_json::from_slice::<serde_json::Value>(bytes).is_ok()
}

/// An entry that a newer version may give more fields.
pub(crate) trait Growing: for<'b> minicbor::Decode<'b, ()> {
    /// How many this version knows, numbered from 0 without a gap.
    const FIELDS: u32;
}

/// Says how many fields each entry has, with an example, of which a test asks the decoder.
macro_rules! growing {
    ($($entry:ty: $fields:literal, as in $example:expr;)*) => {
        $(impl Growing for $entry {
            const FIELDS: u32 = $fields;
        })*

        #[cfg(test)]
        fn growing() -> Vec<(&'static str, u32, Vec<u32>)> {
            let first = super::OrderKey { stamp: super::Stamp::default(), tag: [0; 6] };
            let first = NewMessage::new(first, "");
            vec![$({
                let example: $entry = $example(&first);
                (stringify!($entry), <$entry as Growing>::FIELDS, tests::known(&example))
            }),*]
        }
    };
}

growing! {
    messages::Body: 4, as in Body::of;
    messages::Edited: 1, as in |_| messages::Edited { text: String::new() };
    messages::Deleted: 0, as in |_| messages::Deleted {};
    messages::Reacted: 1, as in |_| messages::Reacted { emoji: None };
    contacts::Contact: 5, as in |_| contacts::Contact::default();
    people::Person: 3, as in |_| people::Person::default();
}

/// Reads an entry that a newer version may have given more fields; true if it did.
pub(crate) fn lenient<T: Growing>(bytes: &[u8]) -> Option<(T, bool)> {
    let value = from_cbor("entry", bytes).ok()?;
    let mut decoder = minicbor::Decoder::new(bytes);
    let count = decoder.map().ok()??;
    let mut newer = false;
    for _ in 0..count {
        newer |= decoder.u32().ok()? >= T::FIELDS;
        decoder.skip().ok()?;
    }
    Some((value, newer))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use minicbor::{Decoder, Encoder};

    use super::{Growing, growing, to_cbor};

    /// The fields that a decoder knows: those in which it does not take what no field can be. What is
    /// no field is passed over.
    pub(super) fn known<T: Growing + minicbor::Encode<()>>(example: &T) -> Vec<u32> {
        let bytes = to_cbor(example);
        let mut decoder = Decoder::new(&bytes);
        let count = decoder.map().unwrap().unwrap();
        let mut fields = Vec::new();
        for _ in 0..count {
            let number = decoder.u32().unwrap();
            let from = decoder.position();
            decoder.skip().unwrap();
            fields.push((number, bytes.get(from..decoder.position()).unwrap()));
        }
        let is_known = |asked: &u32| {
            let others: Vec<_> = fields.iter().filter(|(number, _)| number != asked).collect();
            let mut encoder = Encoder::new(Vec::new());
            encoder.map(others.len() as u64 + 1).unwrap();
            for (number, value) in others {
                encoder.u32(*number).unwrap();
                encoder.writer_mut().extend_from_slice(value);
            }
            encoder.u32(*asked).unwrap().simple(99).unwrap();
            minicbor::decode::<T>(encoder.writer()).is_err()
        };
        (0..32).filter(is_known).collect()
    }

    #[test]
    fn an_entry_has_as_many_fields_as_it_says() {
        for (entry, fields, known) in growing() {
            assert_eq!(
                known,
                (0..fields).collect::<Vec<u32>>(),
                "{entry}: say how many in growing!"
            );
        }
    }
}
