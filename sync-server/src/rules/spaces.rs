//! Spaces and their writers' tips, as they are used and changed: what a batch changes many times is
//! written once, and what was read lately is not read again.

use std::collections::BTreeMap;
use std::sync::Arc;

use sync_protocol::ids::SpaceId;

use crate::rules::cache::Cache;
use crate::rules::log;
use crate::rules::rows::{self, RosterRow, SpaceRow, TipRow, numbered};
use crate::rules::space::Space;
use crate::store::{Store, StoreError, Table};

const CACHED_SPACES: usize = 4_096;
const CACHED_TIPS: usize = 8_192;

/// A tip's key: the space's number and the writer's.
type TipKey = (u32, u32);

/// What a command changes here, as it was before.
#[derive(Debug, Default)]
struct Before {
    newest: u32,
    spaces: Vec<(SpaceId, Option<Option<Space>>)>,
    tips: Vec<(TipKey, Option<TipRow>)>,
}

/// Spaces and tips over a store's rows.
#[derive(Debug)]
pub(super) struct Spaces {
    /// The newest space's number.
    newest: u32,
    /// What changed and is not written yet. A space that is being changed has only its place here.
    changed: BTreeMap<SpaceId, Option<Space>>,
    changed_tips: BTreeMap<TipKey, TipRow>,
    spaces: Cache<SpaceId, Space>,
    tips: Cache<TipKey, TipRow>,
    /// While a command is applied.
    before: Option<Before>,
}

impl Spaces {
    /// Where so many spaces were numbered.
    pub(super) fn new(newest: u32) -> Self {
        Self {
            newest,
            changed: BTreeMap::new(),
            changed_tips: BTreeMap::new(),
            spaces: Cache::new(CACHED_SPACES),
            tips: Cache::new(CACHED_TIPS),
            before: None,
        }
    }

    /// The newest space's number.
    pub(super) fn newest(&self) -> u32 {
        self.newest
    }

    /// A number that no space has.
    pub(super) fn number(&mut self) -> u32 {
        self.newest += 1;
        self.newest
    }

    /// A space's row and members.
    pub(super) fn get(
        &mut self,
        store: &impl Store,
        id: &SpaceId,
    ) -> Result<Option<&Space>, StoreError> {
        if self.changed.contains_key(id) {
            return Ok(self.changed.get(id).and_then(Option::as_ref));
        }
        if self.spaces.get(id).is_none() {
            let Some(space) = load(store, id)? else { return Ok(None) };
            self.spaces.insert(*id, space);
        }
        Ok(self.spaces.get(id))
    }

    /// Takes a space out, to be changed and kept again.
    pub(super) fn take(
        &mut self,
        store: &impl Store,
        id: &SpaceId,
    ) -> Result<Option<Space>, StoreError> {
        if let Some(before) = &mut self.before {
            before.spaces.push((*id, self.changed.get(id).cloned()));
        }
        if let Some(place) = self.changed.get_mut(id) {
            return Ok(place.take());
        }
        match self.spaces.take(id) {
            Some(space) => Ok(Some(space)),
            None => load(store, id),
        }
    }

    /// Keeps a space: its rows are written later, if it changed.
    pub(super) fn keep(&mut self, id: SpaceId, space: Space) {
        if space.is_changed {
            *self.changed.entry(id).or_default() = Some(space);
        } else {
            self.spaces.insert(id, space);
        }
    }

    /// A space that ended is not kept.
    pub(super) fn end(&mut self, id: &SpaceId) {
        self.changed.remove(id);
        self.spaces.take(id);
    }

    /// Tips of spaces that ended are not kept.
    pub(super) fn end_tips(&mut self) {
        self.tips.clear();
    }

    /// Where a writer's chain stands in a space.
    pub(super) fn tip(
        &mut self,
        store: &impl Store,
        key: TipKey,
    ) -> Result<Option<TipRow>, StoreError> {
        if let Some(tip) = self.changed_tips.get(&key) {
            return Ok(Some(*tip));
        }
        if let Some(tip) = self.tips.get(&key) {
            return Ok(Some(*tip));
        }
        let row = store.row(Table::Tips, &numbered(key.0, key.1))?;
        let tip = row.map(|row| rows::decode("tip", &row)).transpose()?;
        if let Some(tip) = tip {
            self.tips.insert(key, tip);
        }
        Ok(tip)
    }

    /// A writer's chain goes on.
    pub(super) fn put_tip(&mut self, key: TipKey, tip: TipRow) {
        if let Some(before) = &mut self.before {
            before.tips.push((key, self.changed_tips.get(&key).copied()));
        }
        self.changed_tips.insert(key, tip);
    }

    /// Writes the rows of what changed.
    pub(super) fn write(&mut self, store: &mut impl Store) {
        for (id, space) in std::mem::take(&mut self.changed) {
            let Some(mut space) = space else { continue };
            if let Some((key, tail)) = log::tail_row(&space) {
                store.put(Table::Index, &key, tail);
            }
            store.put(Table::Spaces, id.as_bytes(), rows::encode(&space.row));
            space.is_changed = false;
            self.spaces.insert(id, space);
        }
        for ((space, writer), tip) in std::mem::take(&mut self.changed_tips) {
            store.put(Table::Tips, &numbered(space, writer), rows::encode(&tip));
            self.tips.insert((space, writer), tip);
        }
    }

    /// Nothing that is not written counts.
    pub(super) fn forget(&mut self) {
        *self = Self::new(self.newest);
    }

    /// From here on what is done can be taken back.
    pub(super) fn mark(&mut self) {
        self.before = Some(Before { newest: self.newest, ..Before::default() });
    }

    /// What was done stays.
    pub(super) fn keep_all(&mut self) {
        self.before = None;
    }

    /// All is as it was at the mark.
    pub(super) fn undo(&mut self) {
        let Some(before) = self.before.take() else { return };
        self.newest = before.newest;
        for (id, space) in before.spaces.into_iter().rev() {
            self.spaces.take(&id);
            match space {
                Some(space) => self.changed.insert(id, space),
                None => self.changed.remove(&id),
            };
        }
        for (key, tip) in before.tips.into_iter().rev() {
            self.tips.take(&key);
            match tip {
                Some(tip) => self.changed_tips.insert(key, tip),
                None => self.changed_tips.remove(&key),
            };
        }
    }
}

fn load(store: &impl Store, id: &SpaceId) -> Result<Option<Space>, StoreError> {
    let Some(row) = store.row(Table::Spaces, id.as_bytes())? else { return Ok(None) };
    let row: SpaceRow = rows::decode("space", &row)?;
    let roster = store.row(Table::Rosters, id.as_bytes())?;
    let roster = roster.ok_or_else(|| StoreError::row("roster"))?;
    let roster: RosterRow = rows::decode("roster", &roster)?;
    let tail = match row.head % u64::from(log::CHUNK) {
        0 => Vec::new(),
        _ => log::chunk(store, row.number, log::chunk_of(row.head))?,
    };
    Ok(Some(Space { row, members: Arc::new(roster), tail, is_changed: false }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::MemoryStore;
    use sync_protocol::frontier::Tip;

    const ID: SpaceId = SpaceId::from_bytes([1; 32]);

    fn space(number: u32) -> Space {
        let row = SpaceRow {
            number,
            generation: 5,
            floor: 0,
            head: 64,
            time_ms: 9,
            handshakes: 1,
            position: 3,
        };
        Space { row, members: Arc::default(), tail: vec![3; 64], is_changed: true }
    }

    fn tip(index: u64) -> TipRow {
        TipRow { tip: Tip::START, index, time_ms: 7 }
    }

    #[test]
    fn what_changed_is_written_once_and_read_again() {
        let (mut spaces, mut store) = (Spaces::new(0), MemoryStore::new());
        let number = spaces.number();
        store.put(Table::Rosters, ID.as_bytes(), rows::encode(&RosterRow::default()));
        spaces.keep(ID, space(number));
        spaces.put_tip((number, 7), tip(4));
        assert_eq!(store.row(Table::Spaces, ID.as_bytes()).unwrap(), None);
        spaces.write(&mut store);
        store.commit().unwrap();
        let mut again = Spaces::new(spaces.newest());
        assert_eq!(again.get(&store, &ID).unwrap().map(Space::bounds), Some((0, 64)));
        assert_eq!(again.tip(&store, (number, 7)).unwrap(), Some(tip(4)));
        assert_eq!(again.tip(&store, (number, 8)).unwrap(), None);
        assert_eq!(again.number(), number + 1);
    }

    #[test]
    fn what_a_command_did_is_taken_back() {
        let (mut spaces, store) = (Spaces::new(0), MemoryStore::new());
        spaces.keep(ID, space(1));
        spaces.put_tip((1, 7), tip(4));
        spaces.mark();
        let mut taken = spaces.take(&store, &ID).unwrap().unwrap();
        taken.row.head = 70;
        spaces.keep(ID, taken);
        spaces.put_tip((1, 7), tip(5));
        spaces.put_tip((1, 8), tip(6));
        spaces.number();
        spaces.undo();
        assert_eq!(spaces.get(&store, &ID).unwrap().map(Space::bounds), Some((0, 64)));
        assert_eq!(spaces.tip(&store, (1, 7)).unwrap(), Some(tip(4)));
        assert_eq!(spaces.tip(&store, (1, 8)).unwrap(), None);
        assert_eq!(spaces.newest(), 0);
        spaces.mark();
        spaces.put_tip((1, 7), tip(9));
        spaces.keep_all();
        spaces.undo();
        assert_eq!(spaces.tip(&store, (1, 7)).unwrap(), Some(tip(9)));
    }

    #[test]
    fn a_space_that_ended_or_was_not_written_is_not_kept() {
        let (mut spaces, store) = (Spaces::new(0), MemoryStore::new());
        spaces.keep(ID, space(1));
        spaces.end(&ID);
        assert!(spaces.get(&store, &ID).unwrap().is_none());
        spaces.keep(ID, space(2));
        spaces.forget();
        assert!(spaces.get(&store, &ID).unwrap().is_none());
    }
}
