//! Writes that wait for the commit, by table and in key order.

use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Included};

use super::Table;

/// A table's rows that wait: `None` deletes.
type Rows = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// What a store does with writes that wait in its `pending`, whatever it keeps them in for good.
macro_rules! waiting_writes {
    () => {
        fn put(&mut self, table: Table, key: &[u8], value: Vec<u8>) {
            self.pending.put(table, key, Some(value));
        }

        fn delete(&mut self, table: Table, key: &[u8]) {
            self.pending.put(table, key, None);
        }

        fn mark(&mut self) {
            self.pending.mark();
        }

        fn undo(&mut self) {
            self.pending.undo();
        }

        fn keep(&mut self) {
            self.pending.keep();
        }

        fn is_dirty(&self) -> bool {
            !self.pending.is_empty()
        }
    };
}
pub(super) use waiting_writes;

/// What was written since the last commit.
#[derive(Clone, Debug)]
pub(super) struct Pending {
    tables: [Rows; Table::ALL.len()],
    /// While it may be taken back: what waited before each write.
    undo: Option<Vec<Before>>,
}

/// What waited for a key before it was written.
#[derive(Clone, Debug)]
struct Before {
    table: Table,
    key: Vec<u8>,
    waited: Option<Option<Vec<u8>>>,
}

impl Default for Pending {
    fn default() -> Self {
        Self { tables: std::array::from_fn(|_| Rows::new()), undo: None }
    }
}

impl Pending {
    pub(super) fn is_empty(&self) -> bool {
        self.tables.iter().all(BTreeMap::is_empty)
    }

    /// What was written for a key: its value, or that it has none any more.
    pub(super) fn get(&self, table: Table, key: &[u8]) -> Option<&Option<Vec<u8>>> {
        self.rows(table)?.get(key)
    }

    pub(super) fn put(&mut self, table: Table, key: &[u8], value: Option<Vec<u8>>) {
        let Some(rows) = self.tables.get_mut(table as usize) else { return };
        let waited = rows.insert(key.to_vec(), value);
        if let Some(undo) = &mut self.undo {
            undo.push(Before { table, key: key.to_vec(), waited });
        }
    }

    pub(super) fn mark(&mut self) {
        self.undo = Some(Vec::new());
    }

    pub(super) fn keep(&mut self) {
        self.undo = None;
    }

    pub(super) fn undo(&mut self) {
        for Before { table, key, waited } in self.undo.take().into_iter().flatten().rev() {
            let Some(rows) = self.tables.get_mut(table as usize) else { continue };
            match waited {
                Some(waited) => rows.insert(key, waited),
                None => rows.remove(&key),
            };
        }
    }

    /// A table's writes with `from <= key < to`, in order.
    pub(super) fn range(
        &self,
        table: Table,
        from: &[u8],
        to: &[u8],
    ) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
        let bounds = (Included(from), Excluded(to));
        let rows = self.rows(table).into_iter();
        rows.flat_map(move |rows| rows.range::<[u8], _>(bounds)).map(borrowed)
    }

    /// The tables that were written to, and what.
    pub(super) fn changed(
        &self,
    ) -> impl Iterator<Item = (Table, impl Iterator<Item = (&[u8], Option<&[u8]>)>)> {
        let changed = Table::ALL.into_iter().zip(&self.tables).filter(|(_, rows)| !rows.is_empty());
        changed.map(|(table, rows)| (table, rows.iter().map(borrowed)))
    }

    fn rows(&self, table: Table) -> Option<&Rows> {
        self.tables.get(table as usize)
    }
}

fn borrowed<'a>((key, value): (&'a Vec<u8>, &'a Option<Vec<u8>>)) -> (&'a [u8], Option<&'a [u8]>) {
    (key, value.as_deref())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_since_a_mark_can_be_taken_back() {
        let mut pending = Pending::default();
        pending.put(Table::Spaces, b"a", Some(vec![1]));
        pending.put(Table::Spaces, b"b", None);
        let before = format!("{:?}", pending.tables);
        pending.mark();
        for value in [None, Some(vec![2]), Some(vec![3])] {
            for key in [b"a", b"b", b"c"] {
                pending.put(Table::Spaces, key, value.clone());
            }
        }
        pending.put(Table::Tips, b"a", Some(vec![4]));
        let after = format!("{:?}", pending.tables);
        pending.undo();
        assert_eq!(format!("{:?}", pending.tables), before);
        pending.undo();
        assert_eq!(format!("{:?}", pending.tables), before, "once");
        pending.mark();
        pending.put(Table::Spaces, b"c", Some(vec![5]));
        pending.keep();
        pending.undo();
        assert!(format!("{:?}", pending.tables) != before && after != before);
        assert_eq!(pending.get(Table::Spaces, b"c"), Some(&Some(vec![5])));
    }

    #[test]
    fn every_table_has_its_place() {
        let mut pending = Pending::default();
        for (n, table) in Table::ALL.into_iter().enumerate() {
            assert_eq!(table as usize, n);
            pending.put(table, &[n as u8], Some(vec![1]));
            pending.put(table, &[n as u8 + 1], None);
            assert_eq!(pending.get(table, &[n as u8]), Some(&Some(vec![1])));
            assert_eq!(pending.get(table, &[n as u8 + 1]), Some(&None));
            assert_eq!(pending.range(table, &[n as u8], &[n as u8 + 1]).count(), 1);
        }
        assert!(
            pending
                .changed()
                .map(|(table, rows)| (table, rows.count()))
                .eq(Table::ALL.map(|t| (t, 2)))
        );
    }
}
