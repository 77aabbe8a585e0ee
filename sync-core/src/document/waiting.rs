//! The waiting room: changes whose dependencies are still to come. Automerge has a queue of its own
//! without limits; this one has them, per writer, so that a flood hurts nobody else.

use std::collections::{BTreeMap, BTreeSet};

use sync_protocol::ids::WriterId;
use sync_protocol::limits;
use sync_protocol::sorted::SortedMap;

use super::{ChangeHash, Row};

#[derive(Clone, Debug)]
struct Guest {
    row: Row,
    seq: u64,
    missing: ChangeHash,
}

/// Changes that wait, and those that were refused.
#[derive(Clone, Debug, Default)]
pub(crate) struct WaitingRoom {
    guests: BTreeMap<ChangeHash, Guest>,
    by_missing: BTreeMap<ChangeHash, BTreeSet<ChangeHash>>,
    by_seq: BTreeMap<(WriterId, u64), ChangeHash>,
    load: SortedMap<WriterId, (usize, usize)>,
}

impl WaitingRoom {
    pub(crate) fn len(&self) -> usize {
        self.guests.len()
    }

    pub(crate) fn cost(&self) -> usize {
        self.load.values().map(|(count, bytes)| count * 300 + bytes).sum()
    }

    pub(crate) fn rows(&self) -> impl Iterator<Item = &Row> {
        self.guests.values().map(|guest| &guest.row)
    }

    pub(crate) fn row_mut(&mut self, hash: &ChangeHash) -> Option<&mut Row> {
        self.guests.get_mut(hash).map(|guest| &mut guest.row)
    }

    /// The change that waits under this writer's seq.
    pub(crate) fn at(&self, writer: &WriterId, seq: u64) -> Option<&ChangeHash> {
        self.by_seq.get(&(*writer, seq))
    }

    /// Lets a change wait for one it lacks; false if its writer has no room left.
    pub(crate) fn admit(
        &mut self,
        hash: ChangeHash,
        seq: u64,
        missing: ChangeHash,
        row: &Row,
    ) -> bool {
        let (count, bytes) = self.load.entry(row.writer).or_default();
        let full =
            *count >= limits::WAITING_CHANGES || *bytes + row.change.len() > limits::WAITING_BYTES;
        if full {
            return false;
        }
        *count += 1;
        *bytes += row.change.len();
        self.by_seq.insert((row.writer, seq), hash);
        self.by_missing.entry(missing).or_default().insert(hash);
        self.guests.insert(hash, Guest { row: row.clone(), seq, missing });
        true
    }

    /// Takes out what waited for a change.
    pub(crate) fn release(&mut self, arrived: &ChangeHash) -> Vec<Row> {
        let hashes = self.by_missing.remove(arrived).unwrap_or_default();
        hashes.iter().filter_map(|hash| self.take(hash)).collect()
    }

    fn take(&mut self, hash: &ChangeHash) -> Option<Row> {
        let Guest { row, seq, missing } = self.guests.remove(hash)?;
        self.by_seq.remove(&(row.writer, seq));
        if let Some(others) = self.by_missing.get_mut(&missing) {
            others.remove(hash);
        }
        if let Some((count, bytes)) = self.load.get_mut(&row.writer) {
            *count = count.saturating_sub(1);
            *bytes = bytes.saturating_sub(row.change.len());
        }
        Some(row)
    }
}

/// What was refused, so that all that builds on it is too.
#[derive(Clone, Debug, Default)]
pub(crate) struct Blacklist {
    by_writer: SortedMap<WriterId, Vec<ChangeHash>>,
    hashes: BTreeSet<ChangeHash>,
    barred: SortedMap<WriterId, u64>,
}

impl Blacklist {
    pub(crate) fn contains(&self, hash: &ChangeHash) -> bool {
        self.hashes.contains(hash)
    }

    /// Whether this writer's changes from some lower or equal seq on are refused.
    pub(crate) fn bars(&self, writer: &WriterId, seq: u64) -> bool {
        self.barred.get(writer).is_some_and(|from| *from <= seq)
    }

    /// Remembers a refused change.
    pub(crate) fn remember(&mut self, writer: WriterId, hash: ChangeHash) {
        let hashes = self.by_writer.entry(writer).or_default();
        if hashes.len() < limits::REFUSED_CHANGES && self.hashes.insert(hash) {
            hashes.push(hash);
        }
    }

    /// Refuses all of a writer's changes from `seq` on: they build on a refused one.
    pub(crate) fn bar(&mut self, writer: WriterId, seq: u64) {
        let from = self.barred.entry(writer).or_insert(seq);
        *from = (*from).min(seq);
    }

    pub(crate) fn refused(&self) -> impl Iterator<Item = (&WriterId, &ChangeHash)> {
        self.by_writer
            .iter()
            .flat_map(|(writer, hashes)| hashes.iter().map(move |hash| (writer, hash)))
    }

    pub(crate) fn barred(&self) -> impl Iterator<Item = (&WriterId, &u64)> {
        self.barred.iter()
    }
}
