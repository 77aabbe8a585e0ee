//! One record in place of many rows.
//!
//! Automerge's own `save` differs by the order in which changes arrived, so a snapshot is taken of
//! a new document that got the changes in canonical order; and it is loaded again, and compared,
//! before anybody may rely on it. What Automerge doesn't keep stands beside it: who the writers
//! are, where the relay put the changes, what waits and what was refused.

use automerge::{AutoCommit, Change, LoadOptions, OnPartialLoad, TextEncoding};
use sync_protocol::codec::{self, Blob, Decode, Encode};
use sync_protocol::hash::sha256;
use sync_protocol::ids::{SpaceId, WriterId};
use sync_protocol::limits;
use sync_protocol::sorted::SortedSet;

use super::carried::{difference, edits_of};
use super::decode::decode;
use super::history::{History, Meta};
use super::json::{Style, content_hash, whole};
use super::looking::fits;
use super::waiting::WaitingRoom;
use super::{ChangeHash, Document, DocumentError, Edit, Name, Placement, Refused, Row, genesis};

const VERSION: u32 = 2;
const CHECKSUM: usize = 32;

#[derive(Debug, Encode, Decode)]
#[cbor(map)]
struct Record {
    #[n(0)]
    version: u32,
    #[n(1)]
    automerge: Blob,
    #[n(2)]
    writers: Vec<WriterId>,
    #[n(3)]
    placements: Vec<(Hash, Placement)>,
    #[n(4)]
    waiting: Vec<Row>,
    #[n(5)]
    refused: Vec<(WriterId, Hash)>,
    #[n(6)]
    barred: Vec<(WriterId, u64)>,
    #[n(7)]
    moved: bool,
}

#[derive(Debug, Encode, Decode)]
#[cbor(transparent)]
struct Hash(#[cbor(with = "minicbor::bytes")] ChangeHash);

impl Document {
    /// Loads a snapshot and the rows written since; refused rows are reported, the rest is there.
    /// Rows may repeat what the snapshot has.
    ///
    /// # Errors
    /// `Corrupt`: load the rows without it, or fetch the document again.
    pub fn load(
        space: SpaceId,
        name: Name,
        snapshot: Option<&[u8]>,
        rows: Vec<Row>,
    ) -> Result<(Self, Vec<Refused>), DocumentError> {
        let mut document = match snapshot {
            Some(bytes) => Self::of_snapshot(space, name, bytes)?,
            None => Self::new(space, name),
        };
        let refused = document.receive(rows).refused;
        Ok((document, refused))
    }

    /// The document as one record that may replace its rows. Equal documents give equal records,
    /// as far as they know the same placements and have refused and keep waiting the same.
    ///
    /// # Errors
    /// `Uncut`: cut first. `Unfaithful`: keep the rows.
    pub fn snapshot(&mut self) -> Result<Vec<u8>, DocumentError> {
        if self.has_uncut() {
            return Err(DocumentError::Uncut);
        }
        let record = Record {
            version: VERSION,
            automerge: Blob(self.canonical_bytes()?),
            writers: self.history.writers().collect::<SortedSet<_>>().into_iter().collect(),
            placements: placements(&self.history),
            waiting: self.waiting.rows().cloned().collect(),
            refused: self
                .blacklist
                .refused()
                .map(|(writer, hash)| (*writer, Hash(*hash)))
                .collect(),
            barred: self.blacklist.barred().map(|(writer, seq)| (*writer, *seq)).collect(),
            moved: self.moved,
        };
        let body = codec::encode(&record);
        let mut out = sha256(&body).to_vec();
        out.extend_from_slice(&body);
        Ok(out)
    }

    fn canonical_bytes(&mut self) -> Result<Vec<u8>, DocumentError> {
        let mut changes: Vec<Change> = self.doc.get_changes(&[]);
        changes.sort_by_key(|change| (change.max_op(), change.hash().0));
        let mut fresh = AutoCommit::new_with_encoding(TextEncoding::UnicodeCodePoint);
        fresh.apply_changes(changes).map_err(|_| DocumentError::Unfaithful)?;
        let bytes = fresh.save();
        let mut again = load_automerge(&bytes).map_err(|_| DocumentError::Unfaithful)?;
        let heads: SortedSet<ChangeHash> = again.get_heads().iter().map(|hash| hash.0).collect();
        let faithful = heads == *self.history.heads()
            && content_hash(&again, &self.history) == self.content_hash();
        if faithful { Ok(bytes) } else { Err(DocumentError::Unfaithful) }
    }

    fn of_snapshot(space: SpaceId, name: Name, bytes: &[u8]) -> Result<Self, DocumentError> {
        let (checksum, body) =
            bytes.split_at_checked(CHECKSUM).ok_or(DocumentError::Corrupt("truncated"))?;
        if sha256(body) != checksum {
            return Err(DocumentError::Corrupt("checksum"));
        }
        let record: Record =
            codec::decode("snapshot", body).map_err(|_| DocumentError::Corrupt("record"))?;
        if record.version != VERSION {
            return Err(DocumentError::Corrupt("version"));
        }
        let doc = load_automerge(record.automerge.as_slice())
            .map_err(|_| DocumentError::Corrupt("document"))?;
        let mut document = Self::bare(space, name, doc);
        document.bytes = record.automerge.as_slice().len();
        document.moved = record.moved;
        document.restore_history(&record.writers)?;
        if document.moved {
            document.fill_ops(true);
        }
        for (hash, placement) in &record.placements {
            let change =
                document.history.change_mut(&hash.0).ok_or(DocumentError::Corrupt("placement"))?;
            change.placement = Some(*placement);
        }
        for (writer, hash) in &record.refused {
            document.blacklist.remember(*writer, hash.0);
        }
        for (writer, seq) in &record.barred {
            document.blacklist.bar(*writer, *seq);
        }
        if !document.find_maps() {
            return Err(DocumentError::Corrupt("not of this kind"));
        }
        document.read_marks();
        document.waiting = WaitingRoom::default();
        document.receive(record.waiting);
        Ok(document)
    }

    fn restore_history(&mut self, writers: &[WriterId]) -> Result<(), DocumentError> {
        if self.grammar.is_some() {
            self.history.enroll(&genesis::GENESIS_ACTOR, None);
        }
        for writer in writers {
            let actor = self.actor_of(writer);
            self.history.enroll(actor.to_bytes(), Some(*writer));
        }
        let small =
            |number: u64| u32::try_from(number).map_err(|_| DocumentError::Corrupt("numbers"));
        for change in self.doc.get_changes_meta(&[]) {
            let actor = self.history.actor_number(change.actor.to_bytes());
            let meta = Meta {
                hash: change.hash.0,
                actor: actor.ok_or(DocumentError::Corrupt("a writer is missing"))?,
                seq: small(change.seq)?,
                start_op: small(change.start_op)?,
                max_op: small(change.max_op)?,
            };
            let dependencies: Vec<ChangeHash> = change.deps.iter().map(|hash| hash.0).collect();
            self.history.push_meta(&meta, &dependencies, None);
        }
        Ok(())
    }

    /// The document as `.automerge` bytes that any Automerge build opens. What is not cut yet is
    /// in it; it becomes a change of its own, to be cut as usual.
    pub fn export(&mut self) -> Vec<u8> {
        self.close();
        self.doc.save()
    }

    /// The edits that bring in what `.automerge` bytes say: what a fork of this document has beside
    /// it, merged as Automerge merges, and into a document without content all of the file's. The
    /// file's history stays behind, since its changes are other actors'. Apply them with
    /// [`Document::edit`], in order.
    ///
    /// # Errors
    /// `BadImport`: not an Automerge document, or larger than `DOCUMENT_IMPORT`. `EmptyImport`: it
    /// holds nothing. `UnfitImport`: it holds what a document here can't. `ForeignImport`: both hold
    /// something, and nothing in common.
    pub fn import(&mut self, bytes: &[u8]) -> Result<Vec<Edit>, DocumentError> {
        if bytes.len() > limits::DOCUMENT_IMPORT {
            return Err(DocumentError::BadImport);
        }
        let options = LoadOptions::new()
            .on_partial_load(OnPartialLoad::Error)
            .text_encoding(TextEncoding::UnicodeCodePoint);
        let mut file =
            AutoCommit::load_with_options(bytes, options).map_err(|_| DocumentError::BadImport)?;
        let changes = file.get_changes(&[]);
        if changes.is_empty() {
            return Err(DocumentError::EmptyImport);
        }
        fits(&file)?;
        self.close();
        if changes.iter().any(|change| self.history.contains(&change.hash().0)) {
            return self.edits_to_merge(changes);
        }
        let before = self.tree().content_now();
        if self.history.len() > 0 && !before.as_object().is_some_and(serde_json::Map::is_empty) {
            return Err(DocumentError::ForeignImport);
        }
        let now = whole(&file, &known_with(&self.history, &changes), Style::Tagged);
        edits_between(&before, &now)
    }

    /// The edits that come to the same as others' changes to this document, merged with it.
    ///
    /// # Errors
    /// `BadImport`, `UnfitImport`.
    pub(super) fn edits_to_merge(
        &mut self,
        changes: Vec<Change>,
    ) -> Result<Vec<Edit>, DocumentError> {
        let history = known_with(&self.history, &changes);
        let mut doc = self.rebuilt(|_| true);
        doc.apply_changes(changes).map_err(|_| DocumentError::BadImport)?;
        fits(&doc)?;
        edits_between(&self.tree().content_now(), &whole(&doc, &history, Style::Tagged))
    }
}

fn edits_between(
    before: &serde_json::Value,
    now: &serde_json::Value,
) -> Result<Vec<Edit>, DocumentError> {
    let edits = edits_of(difference(before, now));
    if edits.iter().any(|edit| codec::encode(edit).len() > limits::EDIT) {
        return Err(DocumentError::UnfitImport("a value of more than 96 KiB"));
    }
    Ok(edits)
}

/// What is known with a file's changes, too: the elements that were moved there are found by them.
fn known_with(history: &History, changes: &[Change]) -> History {
    let mut all = history.clone();
    for change in changes {
        if let Ok(decoded) = decode(change.raw_bytes())
            && !all.contains(&decoded.hash)
        {
            all.push(&decoded, None, None);
        }
    }
    all
}

fn load_automerge(bytes: &[u8]) -> Result<AutoCommit, automerge::AutomergeError> {
    let options = LoadOptions::new()
        .on_partial_load(OnPartialLoad::Error)
        .text_encoding(TextEncoding::UnicodeCodePoint);
    AutoCommit::load_with_options(bytes, options)
}

fn placements(history: &History) -> Vec<(Hash, Placement)> {
    let placed = |change: &super::history::Known| Some((Hash(change.hash), change.placement?));
    history.by_hash().filter_map(placed).collect()
}
