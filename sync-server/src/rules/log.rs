//! A space's log: entries under global positions, and the index that finds them.
//!
//! An entry's row is `writer number, time, envelope`. The index of a space has a row for each 64
//! entries: the first one's global position and the differences from each to the next.

use sync_protocol::ids::SpaceId;

use crate::rules::command::Position;
use crate::rules::rows::numbered;
use crate::rules::space::Space;
use crate::rules::state::State;
use crate::store::{Store, StoreError, Table};

/// Entries that one index row finds.
pub(super) const CHUNK: u32 = 64;

/// An entry as the log has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logged {
    /// The author's number in this store.
    pub writer: u32,
    /// The relay's clock at the append, Unix milliseconds.
    pub time_ms: u64,
    /// The envelope as pushed.
    pub envelope: Vec<u8>,
}

/// Positions of entries, and the entries of this batch: most receivers get them right after the commit,
/// and nothing has to be read back for them.
#[derive(Debug)]
pub(super) struct Fresh {
    /// The newest entry's global position.
    newest: u64,
    /// The command that is applied now, and how many entries it has appended.
    command: Position,
    count: u64,
    /// In the order of their positions.
    entries: Vec<(u64, Logged)>,
    /// While a command is applied: the newest position, and how many entries there were.
    before: Option<(u64, usize)>,
}

impl Fresh {
    /// Behind this position.
    pub(super) fn new(newest: u64) -> Self {
        let command = Position::default();
        Self { newest, command, count: 0, entries: Vec::new(), before: None }
    }

    /// The newest entry's position.
    pub(super) fn newest(&self) -> u64 {
        self.newest
    }

    /// A command is applied from here on.
    pub(super) fn begin(&mut self, command: Position) {
        (self.command, self.count) = (command, 0);
    }

    /// Keeps an entry, and gives its position.
    fn keep(&mut self, entry: Logged) -> u64 {
        self.newest = self.command.entry(self.count);
        self.count += 1;
        self.entries.push((self.newest, entry));
        self.newest
    }

    fn get(&self, position: u64) -> Option<&Logged> {
        let place = self.entries.binary_search_by_key(&position, |(at, _)| *at);
        self.entries.get(place.ok()?).map(|(_, entry)| entry)
    }

    /// Lets go of what was handed on.
    pub(super) fn clear(&mut self) {
        self.entries = Vec::new();
    }

    /// From here on what is done can be taken back.
    pub(super) fn mark(&mut self) {
        self.before = Some((self.newest, self.entries.len()));
    }

    /// What was done stays.
    pub(super) fn keep_all(&mut self) {
        self.before = None;
    }

    /// All is as it was at the mark.
    pub(super) fn undo(&mut self) {
        if let Some((newest, count)) = self.before.take() {
            self.newest = newest;
            self.entries.truncate(count);
        }
    }
}

/// The chunk that an index lies in.
pub(super) fn chunk_of(index: u64) -> u32 {
    u32::try_from(index / u64::from(CHUNK)).unwrap_or(u32::MAX)
}

/// Appends an entry, and its position to the space's index. Rows of the space itself are
/// written with the commit, once for all that was appended.
pub(super) fn append<S: Store>(
    state: &mut State<S>,
    space: &mut Space,
    writer: u32,
    envelope: Vec<u8>,
) {
    let row = &mut space.row;
    let mut entry = Vec::with_capacity(envelope.len() + 12);
    put_varint(&mut entry, u64::from(writer));
    put_varint(&mut entry, row.time_ms);
    entry.extend_from_slice(&envelope);
    let position = state.fresh_mut().keep(Logged { writer, time_ms: row.time_ms, envelope });
    state.store_mut().put(Table::Entries, &position.to_be_bytes(), entry);
    if row.head.is_multiple_of(u64::from(CHUNK)) {
        space.tail.clear();
        put_varint(&mut space.tail, position);
    } else {
        put_varint(&mut space.tail, position - row.position);
    }
    row.position = position;
    row.head += 1;
    if row.head.is_multiple_of(u64::from(CHUNK))
        && let Some((key, tail)) = tail_row(space)
    {
        state.store_mut().put(Table::Index, &key, tail);
    }
}

fn entry<S: Store>(state: &State<S>, position: u64) -> Result<Logged, StoreError> {
    if let Some(fresh) = state.fresh().get(position) {
        return Ok(fresh.clone());
    }
    let row = state.store().row(Table::Entries, &position.to_be_bytes())?;
    parse_entry(&row.ok_or_else(|| StoreError::row("entry"))?)
}

impl<S: Store> State<S> {
    /// Visits the entries of a space with `first <= index < end`, until `visit` says `false`.
    ///
    /// # Errors
    /// If the store fails.
    pub fn read_log(
        &mut self,
        space: &SpaceId,
        first: u64,
        end: u64,
        visit: &mut dyn FnMut(u64, Logged) -> bool,
    ) -> Result<(), StoreError> {
        let Some(found) = self.space(space)? else { return Ok(()) };
        let (chunks, row) = (Index::of(found), found.row);
        let end = end.min(row.head);
        let mut index = first.max(row.floor);
        while index < end {
            let chunk = chunk_of(index);
            let positions = chunks.positions(self, chunk)?;
            let start = u64::from(chunk) * u64::from(CHUNK);
            let skip = usize::try_from(index - start).unwrap_or(usize::MAX);
            for position in positions.iter().skip(skip) {
                if index >= end {
                    return Ok(());
                }
                let entry = entry(self, *position)?;
                if !visit(index, entry) {
                    return Ok(());
                }
                index += 1;
            }
            if index < end && chunk_of(index) == chunk {
                return Err(StoreError::row("index"));
            }
        }
        Ok(())
    }

    /// The first index of a space whose entry lies after a global position; the head if none does.
    ///
    /// # Errors
    /// If the store fails.
    pub fn first_after(&mut self, space: &SpaceId, position: u64) -> Result<u64, StoreError> {
        let Some(found) = self.space(space)? else { return Ok(0) };
        let (index, row) = (Index::of(found), found.row);
        if row.position <= position {
            return Ok(row.head);
        }
        let (mut low, mut high) = (chunk_of(row.floor), chunk_of(row.head - 1));
        while low < high {
            let middle = low + (high - low).div_ceil(2);
            let chunk = index.positions(self, middle)?;
            if chunk.first().is_some_and(|first| *first <= position) {
                low = middle;
            } else {
                high = middle - 1;
            }
        }
        let chunk = index.positions(self, low)?;
        let before = chunk.iter().take_while(|at| **at <= position).count();
        Ok((u64::from(low) * u64::from(CHUNK) + before as u64).max(row.floor))
    }
}

/// The newest row of a space's index, with its key.
pub(super) fn tail_row(space: &Space) -> Option<([u8; 8], Vec<u8>)> {
    let last = space.row.head.checked_sub(1)?;
    Some((numbered(space.row.number, chunk_of(last)), space.tail.clone()))
}

/// A row of a space's index.
pub(super) fn chunk(store: &impl Store, space: u32, chunk: u32) -> Result<Vec<u8>, StoreError> {
    let row = store.row(Table::Index, &numbered(space, chunk))?;
    row.ok_or_else(|| StoreError::row("index"))
}

/// The envelope at an index of a space.
pub(super) fn envelope_at<S: Store>(
    state: &State<S>,
    space: &Space,
    index: u64,
) -> Result<Vec<u8>, StoreError> {
    let chunk = chunk_of(index);
    let positions = Index::of(space).positions(state, chunk)?;
    let place = usize::try_from(index - u64::from(chunk) * u64::from(CHUNK));
    let position = place.ok().and_then(|place| positions.get(place));
    let position = position.ok_or_else(|| StoreError::row("index"))?;
    Ok(entry(state, *position)?.envelope)
}

/// A space's index as it is now: the rows of all full chunks, and the newest, which may not be
/// written yet.
struct Index {
    number: u32,
    newest: Option<(u32, Vec<u8>)>,
}

impl Index {
    fn of(space: &Space) -> Self {
        let is_full = space.row.head.is_multiple_of(u64::from(CHUNK));
        let newest = (!is_full).then(|| (chunk_of(space.row.head), space.tail.clone()));
        Self { number: space.row.number, newest }
    }

    fn positions<S: Store>(&self, state: &State<S>, chunk: u32) -> Result<Vec<u64>, StoreError> {
        match &self.newest {
            Some((newest, row)) if *newest == chunk => positions(row),
            _ => positions(&self::chunk(state.store(), self.number, chunk)?),
        }
    }
}

/// An entry as its row has it.
pub(super) fn parse_entry(row: &[u8]) -> Result<Logged, StoreError> {
    let mut rest = row;
    let writer = take_varint(&mut rest).and_then(|n| u32::try_from(n).ok());
    let time_ms = take_varint(&mut rest);
    let (Some(writer), Some(time_ms)) = (writer, time_ms) else {
        return Err(StoreError::row("entry"));
    };
    Ok(Logged { writer, time_ms, envelope: rest.to_vec() })
}

pub(super) fn positions(chunk: &[u8]) -> Result<Vec<u64>, StoreError> {
    let mut rest = chunk;
    let mut found = Vec::with_capacity(CHUNK as usize);
    let mut position = 0u64;
    while !rest.is_empty() {
        let step = take_varint(&mut rest).ok_or_else(|| StoreError::row("index"))?;
        position = position.checked_add(step).ok_or_else(|| StoreError::row("index"))?;
        found.push(position);
    }
    Ok(found)
}

pub(super) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn take_varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn entries_that_come_to_nothing_leave_their_positions() {
        let entry = |n| Logged { writer: n, time_ms: 5, envelope: vec![1] };
        let mut fresh = Fresh::new(7);
        fresh.begin(Position(1));
        assert_eq!(fresh.keep(entry(1)), 4_096);
        fresh.begin(Position(2));
        fresh.mark();
        assert_eq!((fresh.keep(entry(2)), fresh.keep(entry(3))), (8_192, 8_193));
        fresh.undo();
        assert_eq!((fresh.get(4_096), fresh.get(8_192)), (Some(&entry(1)), None));
        assert_eq!(fresh.newest(), 4_096);
        fresh.clear();
        fresh.begin(Position(3));
        assert_eq!(fresh.keep(entry(4)), 12_288);
        assert_eq!((fresh.get(4_096), fresh.get(12_288)), (None, Some(&entry(4))));
    }

    proptest! {
        #[test]
        fn numbers_survive_their_short_form(value: u64) {
            let mut bytes = Vec::new();
            put_varint(&mut bytes, value);
            let mut rest = bytes.as_slice();
            prop_assert_eq!(take_varint(&mut rest), Some(value));
            prop_assert!(rest.is_empty());
        }

        #[test]
        fn a_damaged_index_is_an_error_or_a_list(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = positions(&bytes);
        }
    }
}
