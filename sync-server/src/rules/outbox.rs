//! The outbox: what commands mean for other partitions, until it is applied there.
//!
//! A fact is a row under its name. It is proposed like any command, by as many as like: applying it
//! takes the row away, and a fact without a row was applied already.

use minicbor::{Decode, Encode};

use crate::rules::command::{Action, FactId, Position};
use crate::rules::rows;
use crate::store::{Store, StoreError, Table};

/// What a command means for another partition.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct Fact {
    /// The time of the command, Unix milliseconds.
    #[n(0)]
    pub time_ms: u64,
    /// What happens.
    #[n(1)]
    pub action: Action,
}

/// Facts that came up and were not taken to be proposed yet.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    /// The command that is applied now, and how many facts follow from it so far.
    cause: Position,
    count: u32,
    new: Vec<(FactId, Fact)>,
    /// While a command is applied: how many were new before.
    before: Option<usize>,
}

impl Outbox {
    /// A command is applied from here on.
    pub(super) fn begin(&mut self, cause: Position) {
        (self.cause, self.count) = (cause, 0);
    }

    /// Leaves a fact for another partition.
    pub(super) fn put(&mut self, store: &mut impl Store, fact: Fact) {
        let id = FactId { cause: self.cause, n: self.count };
        self.count += 1;
        store.put(Table::Outbox, &key(&id), rows::encode(&fact));
        self.new.push((id, fact));
    }

    /// Gives what came up since the last time.
    pub(super) fn take_new(&mut self) -> Vec<(FactId, Fact)> {
        std::mem::take(&mut self.new)
    }

    /// From here on what is done can be taken back.
    pub(super) fn mark(&mut self) {
        self.before = Some(self.new.len());
    }

    /// What was done stays.
    pub(super) fn keep_all(&mut self) {
        self.before = None;
    }

    /// All is as it was at the mark.
    pub(super) fn undo(&mut self) {
        if let Some(count) = self.before.take() {
            self.new.truncate(count);
            self.count = 0;
        }
    }
}

/// A fact that waits.
pub(super) fn get(store: &impl Store, id: &FactId) -> Result<Option<Fact>, StoreError> {
    let row = store.row(Table::Outbox, &key(id))?;
    row.map(|row| rows::decode("outbox", &row)).transpose()
}

/// A fact is applied: it waits no more. Gives what it says, if it waited.
pub(super) fn take(store: &mut impl Store, id: &FactId) -> Result<Option<Fact>, StoreError> {
    let fact = get(store, id)?;
    if fact.is_some() {
        store.delete(Table::Outbox, &key(id));
    }
    Ok(fact)
}

/// Finds the names of all facts that wait, up to the first that can't be read.
pub(super) fn waiting(store: &impl Store, found: &mut Vec<FactId>) -> Result<(), StoreError> {
    store.scan(Table::Outbox, &[], &[0xff; 13], &mut |key, _| {
        let parts = key.split_first_chunk::<8>();
        let id = parts.and_then(|(cause, n)| {
            let n = u32::from_be_bytes(n.try_into().ok()?);
            Some(FactId { cause: Position(u64::from_be_bytes(*cause)), n })
        });
        found.extend(id);
        true
    })
}

fn key(id: &FactId) -> [u8; 12] {
    let mut key = [0; 12];
    let (cause, n) = key.split_at_mut(8);
    cause.copy_from_slice(&id.cause.0.to_be_bytes());
    n.copy_from_slice(&id.n.to_be_bytes());
    key
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::MemoryStore;
    use sync_protocol::ids::AccountId;

    fn all(store: &MemoryStore) -> Vec<FactId> {
        let mut found = Vec::new();
        waiting(store, &mut found).unwrap();
        found
    }

    fn fact(n: u8) -> Fact {
        let account = AccountId::from_bytes([n; 33]);
        Fact { time_ms: u64::from(n), action: Action::EndAccount { account } }
    }

    #[test]
    fn a_fact_is_named_by_its_cause_and_applied_once() {
        let (mut store, mut outbox) = (MemoryStore::new(), Outbox::default());
        for position in [7, 9] {
            outbox.begin(Position(position));
            (1..=2).for_each(|n| outbox.put(&mut store, fact(n)));
        }
        let ids: Vec<_> = outbox.take_new().into_iter().map(|(id, _)| id).collect();
        assert_eq!(all(&store), ids);
        assert_eq!(
            ids.iter().map(|id| (id.cause.0, id.n)).collect::<Vec<_>>(),
            [(7, 0), (7, 1), (9, 0), (9, 1)]
        );
        assert_eq!(take(&mut store, &ids[1]).unwrap(), Some(fact(2)));
        assert_eq!(take(&mut store, &ids[1]).unwrap(), None);
        assert_eq!(all(&store).len(), 3);
        assert!(outbox.take_new().is_empty());
    }

    #[test]
    fn a_fact_of_a_command_that_came_to_nothing_is_none() {
        let (mut store, mut outbox) = (MemoryStore::new(), Outbox::default());
        outbox.begin(Position(7));
        outbox.put(&mut store, fact(1));
        outbox.begin(Position(8));
        outbox.mark();
        store.mark();
        outbox.put(&mut store, fact(2));
        outbox.undo();
        store.undo();
        let new = outbox.take_new();
        assert_eq!(new.len(), 1);
        assert_eq!(all(&store), [new[0].0]);
    }
}
