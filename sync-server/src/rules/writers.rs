//! Writers' numbers: small names, given in the order of commands, for what a row names often.

use sync_protocol::ids::{DeviceId, WriterId};

use crate::rules::cache::Cache;
use crate::rules::rows::{self, key2};
use crate::store::{Store, StoreError, Table};

const CACHED: usize = 8_192;

/// Writers and their numbers over a store's rows.
#[derive(Debug)]
pub(super) struct Writers {
    /// The newest writer's number.
    newest: u32,
    numbers: Cache<WriterId, u32>,
    ids: Cache<u32, WriterId>,
    /// While a command is applied: the newest before.
    before: Option<u32>,
}

impl Writers {
    /// Where so many writers were numbered.
    pub(super) fn new(newest: u32) -> Self {
        Self { newest, numbers: Cache::new(CACHED), ids: Cache::new(CACHED), before: None }
    }

    /// The newest writer's number.
    pub(super) fn newest(&self) -> u32 {
        self.newest
    }

    /// A writer's number, assigned if it has none.
    pub(super) fn number(
        &mut self,
        store: &mut impl Store,
        writer: &WriterId,
    ) -> Result<u32, StoreError> {
        if let Some(number) = self.known(store, writer)? {
            return Ok(number);
        }
        self.newest += 1;
        let number = self.newest;
        store.put(Table::Writers, &writer.to_bytes(), rows::encode(&number));
        store.put(Table::WriterIds, &number.to_be_bytes(), rows::encode(writer));
        self.numbers.insert(*writer, number);
        Ok(number)
    }

    /// A writer's number, if it ever pushed.
    pub(super) fn known(
        &mut self,
        store: &impl Store,
        writer: &WriterId,
    ) -> Result<Option<u32>, StoreError> {
        if let Some(number) = self.numbers.get(writer) {
            return Ok(Some(*number));
        }
        let row = store.row(Table::Writers, &writer.to_bytes())?;
        let number = row.map(|row| rows::decode("writer", &row)).transpose()?;
        if let Some(number) = number {
            self.numbers.insert(*writer, number);
        }
        Ok(number)
    }

    /// The writer that has a number.
    pub(super) fn id(&mut self, store: &impl Store, number: u32) -> Result<WriterId, StoreError> {
        if let Some(writer) = self.ids.get(&number) {
            return Ok(*writer);
        }
        let row = store.row(Table::WriterIds, &number.to_be_bytes())?;
        let row = row.ok_or_else(|| StoreError::row("writer"))?;
        let writer = rows::decode("writer", &row)?;
        self.ids.insert(number, writer);
        Ok(writer)
    }

    /// Numbers are asked for anew.
    pub(super) fn forget(&mut self) {
        *self = Self::new(self.newest);
    }

    /// From here on what is done can be taken back.
    pub(super) fn mark(&mut self) {
        self.before = Some(self.newest);
    }

    /// What was done stays.
    pub(super) fn keep_all(&mut self) {
        self.before = None;
    }

    /// All is as it was at the mark.
    pub(super) fn undo(&mut self) {
        if let Some(newest) = self.before.take() {
            self.newest = newest;
            self.forget();
        }
    }
}

/// All writers of a device that ever pushed anywhere, sorted.
pub(super) fn of_device(
    store: &impl Store,
    device: &DeviceId,
) -> Result<Vec<WriterId>, StoreError> {
    let to = key2(device.as_bytes(), &[0xff; 9]);
    let mut found = Vec::new();
    store.scan(Table::Writers, device.as_bytes(), &to, &mut |key, _| {
        let incarnation = key.get(DeviceId::LEN..).and_then(|rest| rest.try_into().ok());
        let incarnation = incarnation.map(u64::from_be_bytes);
        found.extend(incarnation.map(|incarnation| WriterId { device: *device, incarnation }));
        true
    })?;
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::MemoryStore;

    fn writer(n: u8, incarnation: u64) -> WriterId {
        WriterId { device: DeviceId::from_bytes([n; 33]), incarnation }
    }

    #[test]
    fn a_writer_has_one_number_and_a_number_one_writer() {
        let (mut writers, mut store) = (Writers::new(0), MemoryStore::new());
        assert_eq!(writers.known(&store, &writer(1, 5)).unwrap(), None);
        let first = writers.number(&mut store, &writer(1, 5)).unwrap();
        let second = writers.number(&mut store, &writer(1, 4)).unwrap();
        writers.number(&mut store, &writer(2, 4)).unwrap();
        assert_eq!(writers.number(&mut store, &writer(1, 5)).unwrap(), first);
        assert_eq!(writers.id(&store, second).unwrap(), writer(1, 4));
        assert!(writers.id(&store, 9).unwrap_err().is_damage());
        let device = DeviceId::from_bytes([1; 33]);
        assert_eq!(of_device(&store, &device).unwrap(), [writer(1, 4), writer(1, 5)]);
    }

    #[test]
    fn a_number_that_came_to_nothing_is_given_again() {
        let (mut writers, mut store) = (Writers::new(3), MemoryStore::new());
        writers.mark();
        store.mark();
        assert_eq!(writers.number(&mut store, &writer(1, 5)).unwrap(), 4);
        writers.undo();
        store.undo();
        assert_eq!(writers.known(&store, &writer(1, 5)).unwrap(), None);
        assert_eq!(writers.number(&mut store, &writer(2, 1)).unwrap(), 4);
    }
}
