//! Reading a damaged file: whatever of a table can be reached.

use redb::{Database, ReadOnlyTable, ReadableDatabase as _};

use super::redb::{ENTRIES, definition, shielded, storage};
use super::{StoreError, Table};

/// Behind all keys: none is as long.
const END: &[u8] = &[0xff; 96];

/// Visits every row of a table that can be read, as it lies in the file; says whether that is all.
/// Where a page can't be read, the rows of both sides of it are visited, and it is divided on.
///
/// # Errors
/// If the table is not there at all.
pub(super) fn each_readable(
    database: &Database,
    table: Table,
    visit: &mut dyn FnMut(&[u8], &[u8]),
) -> Result<bool, StoreError> {
    let mut whole = true;
    // Ranges to be read, with how often they were divided.
    let mut ranges = vec![(Vec::new(), END.to_vec(), 0)];
    while let Some((from, to, depth)) = ranges.pop() {
        let mut last = None;
        let read = walk(database, table, &from, &to, false, &mut |key, sealed| {
            last = Some(key.to_vec());
            visit(key, sealed);
        });
        match read {
            Ok(()) => continue,
            Err(error) if !error.is_damage() => return Err(error),
            Err(_) => whole = false,
        }
        let after = last.map_or(from, |last| [last.as_slice(), &[0]].concat());
        // From the other end, down to what can't be read.
        let mut rows = Vec::new();
        let back = walk(database, table, &after, &to, true, &mut |key, sealed| {
            rows.push((key.to_vec(), sealed.to_vec()));
        });
        let before = rows.last().map_or(to, |(key, _)| key.clone());
        for (key, sealed) in rows.iter().rev() {
            visit(key, sealed);
        }
        if back.is_err()
            && depth < DEPTH
            && let Some(middle) = middle(&after, &before)
        {
            ranges.push((after, middle.clone(), depth + 1));
            ranges.push((middle, before, depth + 1));
        }
    }
    Ok(whole)
}

/// Looks rows up by their keys, as the relay does: whoever walks along all of them comes to a row that
/// can't be found, too.
pub(super) enum Finder {
    Entries(ReadOnlyTable<u64, &'static [u8]>),
    Others(ReadOnlyTable<&'static [u8], &'static [u8]>),
}

impl Finder {
    /// In a table.
    ///
    /// # Errors
    /// If it is not there at all.
    pub(super) fn of(database: &Database, table: Table) -> Result<Self, StoreError> {
        shielded(|| {
            let read = database.begin_read().map_err(redb::Error::from)?;
            Ok(match table {
                Table::Entries => {
                    Self::Entries(read.open_table(ENTRIES).map_err(redb::Error::from)?)
                }
                _ => Self::Others(read.open_table(definition(table)).map_err(redb::Error::from)?),
            })
        })
    }

    /// Whether a row is found by its key.
    pub(super) fn finds(&self, key: &[u8], row: &[u8]) -> bool {
        let found = shielded(|| {
            let found = match self {
                Self::Entries(rows) => rows.get(position(key)),
                Self::Others(rows) => rows.get(key),
            };
            Ok(found.map_err(storage)?.is_some_and(|found| found.value() == row))
        });
        found.unwrap_or(false)
    }
}

/// How often a range that can't be read is divided: a table's pages are that many, at most.
const DEPTH: u32 = 24;

fn walk(
    database: &Database,
    table: Table,
    from: &[u8],
    to: &[u8],
    backwards: bool,
    visit: &mut dyn FnMut(&[u8], &[u8]),
) -> Result<(), StoreError> {
    if from >= to {
        return Ok(());
    }
    shielded(|| {
        let read = database.begin_read().map_err(redb::Error::from)?;
        if table == Table::Entries {
            let rows = read.open_table(ENTRIES).map_err(redb::Error::from)?;
            let mut rows = rows.range(position(from)..=position(to)).map_err(storage)?;
            while let Some(row) = if backwards { rows.next_back() } else { rows.next() } {
                let (key, value) = row.map_err(storage)?;
                let key = key.value().to_be_bytes();
                if key.as_slice() >= from && key.as_slice() < to {
                    visit(&key, value.value());
                }
            }
        } else {
            let rows = read.open_table(definition(table)).map_err(redb::Error::from)?;
            let mut rows = rows.range::<&[u8]>(from..to).map_err(storage)?;
            while let Some(row) = if backwards { rows.next_back() } else { rows.next() } {
                let (key, value) = row.map_err(storage)?;
                visit(key.value(), value.value());
            }
        }
        Ok(())
    })
}

/// The first eight bytes of a key as a number.
fn position(key: &[u8]) -> u64 {
    let mut bytes = [0; 8];
    bytes.iter_mut().zip(key).for_each(|(to, from)| *to = *from);
    u64::from_be_bytes(bytes)
}

/// A key between two, if there is one; by their first sixteen bytes behind what they share.
fn middle(from: &[u8], to: &[u8]) -> Option<Vec<u8>> {
    let shared = from.iter().zip(to).take_while(|(a, b)| a == b).count();
    let number = |key: &[u8]| {
        let mut bytes = [0; 16];
        bytes.iter_mut().zip(key.iter().skip(shared)).for_each(|(to, from)| *to = *from);
        u128::from_be_bytes(bytes)
    };
    let (low, high) = (number(from), number(to));
    let middle = low + (high.checked_sub(low)? / 2);
    let prefix = from.get(..shared)?;
    let key = [prefix, &middle.to_be_bytes()].concat();
    (middle > low && key.as_slice() > from && key.as_slice() < to).then_some(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_middle_lies_between(
            a in prop::collection::vec(any::<u8>(), 0..40),
            b in prop::collection::vec(any::<u8>(), 0..40),
        ) {
            let (low, high) = if a < b { (a, b) } else { (b, a) };
            if let Some(middle) = middle(&low, &high) {
                prop_assert!(low < middle && middle < high);
            }
        }
    }

    #[test]
    fn ranges_are_divided_until_nothing_is_between() {
        let (mut low, high) = (vec![0; 8], vec![0, 0, 0, 0, 0, 0, 1, 0]);
        let mut steps = 0;
        while let Some(key) = middle(&low, &high) {
            low = key;
            steps += 1;
            assert!(steps < 140);
        }
        assert!(steps > 8);
    }
}
