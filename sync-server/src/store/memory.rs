//! A store in memory: for tests and the simulator, which can crash it.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::pending::waiting_writes;
use super::{Pending, Store, StoreError, Table, merged};

/// Ordered tables in memory. A clone is cheap in bytes (values are shared).
#[derive(Clone, Debug, Default)]
pub struct MemoryStore {
    durable: BTreeMap<(Table, Vec<u8>), Arc<[u8]>>,
    pending: Pending,
    full: bool,
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What survives a crash now: everything committed, nothing else.
    #[must_use]
    pub fn durable(&self) -> Self {
        Self { durable: self.durable.clone(), pending: Pending::default(), full: false }
    }

    /// Pretends that the disk is full, or has room again: commits fail meanwhile.
    pub fn set_full(&mut self, full: bool) {
        self.full = full;
    }

    /// All committed rows, in order: for comparisons.
    pub fn rows(&self) -> impl Iterator<Item = (Table, &[u8], &[u8])> {
        self.durable.iter().map(|((table, key), value)| (*table, key.as_slice(), &**value))
    }
}

impl Store for MemoryStore {
    fn row(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        if let Some(written) = self.pending.get(table, key) {
            return Ok(written.clone());
        }
        Ok(self.durable.get(&(table, key.to_vec())).map(|value| value.to_vec()))
    }

    waiting_writes!();

    fn scan(
        &self,
        table: Table,
        from: &[u8],
        to: &[u8],
        visit: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), StoreError> {
        if from >= to {
            return Ok(());
        }
        let durable = self.durable.range((table, from.to_vec())..(table, to.to_vec()));
        let durable = durable.map(|((_, key), value)| Ok((key.clone(), value.to_vec())));
        merged(durable, self.pending.range(table, from, to), visit)
    }

    fn commit(&mut self) -> Result<(), StoreError> {
        let pending = std::mem::take(&mut self.pending);
        if self.full {
            return Err(StoreError::Full);
        }
        for (table, rows) in pending.changed() {
            for (key, value) in rows {
                let key = (table, key.to_vec());
                match value {
                    Some(value) => self.durable.insert(key, value.into()),
                    None => self.durable.remove(&key),
                };
            }
        }
        Ok(())
    }
}
