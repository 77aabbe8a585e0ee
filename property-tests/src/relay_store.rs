//! The relay's store in a world: the real store in memory, with a place to plant faults.

use sync_server::store::{MemoryStore, Store, StoreError, Table};

/// What a relay's store does wrong, planted to see whether the world notices.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RelayFault {
    /// Nothing.
    #[default]
    None,
    /// It says that a commit is durable, and a crash loses it.
    ForgetsTheLast,
    /// It shows each space as if no handshake had followed the first.
    HidesHandshakes,
}

/// A store in memory that can be crashed.
#[derive(Clone, Debug, Default)]
pub struct RelayStore {
    inner: MemoryStore,
    fault: RelayFault,
    /// What a crash leaves when the last commits are forgotten.
    behind: MemoryStore,
    commits: u64,
}

/// A forgetful store forgets up to so many commits.
const FORGOTTEN_COMMITS: u64 = 4;

impl RelayStore {
    /// An empty store with this fault.
    #[must_use]
    pub fn new(fault: RelayFault) -> Self {
        Self { fault, ..Self::default() }
    }

    /// What is left after the power went.
    #[must_use]
    pub fn crashed(self) -> Self {
        let left = match self.fault {
            RelayFault::ForgetsTheLast => self.behind,
            _ => self.inner.durable(),
        };
        Self { inner: left.clone(), behind: left, fault: self.fault, commits: 0 }
    }

    /// The real store.
    #[must_use]
    pub fn inner(&self) -> &MemoryStore {
        &self.inner
    }

    /// The real store, to change it behind the relay's back.
    pub fn inner_mut(&mut self) -> &mut MemoryStore {
        &mut self.inner
    }

    /// All rows of a table.
    #[must_use]
    pub fn table(&self, table: Table) -> Vec<(Vec<u8>, Vec<u8>)> {
        let rows = self.inner.rows().filter(|(of, _, _)| *of == table);
        rows.map(|(_, key, value)| (key.to_vec(), value.to_vec())).collect()
    }

    /// Puts rows back to what they were, behind the relay's back.
    ///
    /// # Panics
    /// If the store in memory is full.
    pub fn set_table(&mut self, table: Table, rows: &[(Vec<u8>, Vec<u8>)]) {
        for (key, value) in rows {
            self.inner.put(table, key, value.clone());
        }
        self.inner.commit().expect("a store in memory has room");
    }

    /// Whether any committed row holds these bytes, and where.
    #[must_use]
    pub fn holds(&self, needle: &[u8]) -> Option<Table> {
        let mut rows = self.inner.rows();
        let found = rows.find(|(_, key, value)| holds(key, needle) || holds(value, needle));
        found.map(|(table, _, _)| table)
    }
}

/// Whether `bytes` hold `needle`.
#[must_use]
pub fn holds(bytes: &[u8], needle: &[u8]) -> bool {
    let Some((first, _)) = needle.split_first() else { return true };
    let starts = bytes.iter().enumerate().filter(|(_, byte)| *byte == first);
    starts.into_iter().any(|(at, _)| bytes.get(at..at + needle.len()) == Some(needle))
}

/// A space's row as if no handshake had followed the first: the sixth of its seven numbers is the
/// index after the newest one.
fn without_handshakes(row: &[u8]) -> Option<Vec<u8>> {
    let mut numbers: [u64; 7] = minicbor::decode(row).ok()?;
    numbers[5] = numbers[5].min(1);
    minicbor::to_vec(numbers).ok()
}

impl Store for RelayStore {
    fn row(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let row = self.inner.row(table, key)?;
        if self.fault == RelayFault::HidesHandshakes && table == Table::Spaces {
            return Ok(row.map(|row| without_handshakes(&row).unwrap_or(row)));
        }
        Ok(row)
    }

    fn put(&mut self, table: Table, key: &[u8], value: Vec<u8>) {
        self.inner.put(table, key, value);
    }

    fn delete(&mut self, table: Table, key: &[u8]) {
        self.inner.delete(table, key);
    }

    fn scan(
        &self,
        table: Table,
        from: &[u8],
        to: &[u8],
        visit: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), StoreError> {
        self.inner.scan(table, from, to, visit)
    }

    fn mark(&mut self) {
        self.inner.mark();
    }

    fn undo(&mut self) {
        self.inner.undo();
    }

    fn keep(&mut self) {
        self.inner.keep();
    }

    fn is_dirty(&self) -> bool {
        self.inner.is_dirty()
    }

    fn commit(&mut self) -> Result<(), StoreError> {
        if self.fault == RelayFault::ForgetsTheLast {
            if self.commits.is_multiple_of(FORGOTTEN_COMMITS) {
                self.behind = self.inner.durable();
            }
            self.commits += 1;
        }
        self.inner.commit()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn stored(fault: RelayFault) -> RelayStore {
        let mut store = RelayStore::new(fault);
        store.put(Table::Meta, b"one", b"1".to_vec());
        store.commit().unwrap();
        store.put(Table::Meta, b"two", b"2".to_vec());
        store.crashed()
    }

    #[test]
    fn a_crash_leaves_what_was_committed() {
        let store = stored(RelayFault::None);
        assert_eq!(store.row(Table::Meta, b"one").unwrap(), Some(b"1".to_vec()));
        assert_eq!(store.row(Table::Meta, b"two").unwrap(), None);
    }

    #[test]
    fn a_forgetful_store_loses_what_it_confirmed() {
        let store = stored(RelayFault::ForgetsTheLast);
        assert_eq!(store.row(Table::Meta, b"one").unwrap(), None);
    }

    #[test]
    fn bytes_are_found_wherever_they_lie() {
        assert!(holds(b"xxabc", b"abc") && holds(b"aabc", b"abc") && holds(b"abc", b"abc"));
        assert!(!holds(b"ab", b"abc") && !holds(b"abxc", b"abc"));
    }
}
