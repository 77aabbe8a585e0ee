//! A store that was put back to an earlier moment: what devices must not believe of it any more.
//!
//! They have seen a future that this store lacks. So it gets another generation, by which they read
//! everything anew and write again what it lacks of theirs. Fences and key packages have moved on
//! since: whichever fence a store has is taken at first, and packages are published anew, as some of
//! these may have been given out.

use sync_protocol::ids::RelayId;

use crate::rules::device::ANY_FENCE;
use crate::rules::rows::{self, DeviceRow, SpaceRow};
use crate::rules::state::{IDENTITY, LOG, PUT_BACK};
use crate::store::{Row, Store, StoreError, Table};

/// Rows changed in one transaction.
const STEP: usize = 4_096;

/// Gives a store that was put back another generation. `None` of it is in force before all is: do
/// it to a copy.
///
/// # Errors
/// If the store can't be read or written, or is nobody's yet.
pub fn put_back<S: Store>(store: &mut S, generation: u64) -> Result<(), StoreError> {
    let row = store.row(Table::Meta, IDENTITY)?.ok_or_else(|| StoreError::row("identity"))?;
    let (relay, _) = rows::decode::<(RelayId, u64)>("identity", &row)?;
    store.put(Table::Meta, IDENTITY, rows::encode(&(relay, generation)));
    store.put(Table::Meta, PUT_BACK, Vec::new());
    // What followed in its log is another history: a new log begins behind what it has.
    store.delete(Table::Meta, LOG);
    change_all(store, Table::Spaces, |row| {
        let row: SpaceRow = rows::decode("space", row)?;
        Ok(Some(rows::encode(&SpaceRow { generation, ..row })))
    })?;
    change_all(store, Table::Fences, |_| Ok(Some(rows::encode(&ANY_FENCE))))?;
    change_all(store, Table::KeyPackages, |_| Ok(None))?;
    change_all(store, Table::Devices, |row| {
        let row: DeviceRow = rows::decode("device", row)?;
        Ok(Some(rows::encode(&DeviceRow { packages: 0, ..row })))
    })?;
    store.commit()
}

/// Changes each row of a table, or removes it, a bounded number at a time.
fn change_all<S: Store>(
    store: &mut S,
    table: Table,
    change: impl Fn(&[u8]) -> Result<Option<Vec<u8>>, StoreError>,
) -> Result<(), StoreError> {
    let mut from = Vec::new();
    loop {
        let mut some: Vec<Row> = Vec::new();
        store.scan(table, &from, END, &mut |key, row| {
            some.push((key.to_vec(), row.to_vec()));
            some.len() < STEP
        })?;
        let Some((last, _)) = some.last() else { return Ok(()) };
        // The least key behind it.
        from = [last.as_slice(), &[0]].concat();
        for (key, row) in some {
            match change(&row)? {
                Some(row) => store.put(table, &key, row),
                None => store.delete(table, &key),
            }
        }
        store.commit()?;
    }
}

/// Behind all keys: none is as long.
const END: &[u8] = &[0xff; 96];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::relay::Identity;
    use crate::rules::State;
    use crate::store::MemoryStore;

    #[test]
    fn a_store_that_was_put_back_has_another_generation_and_the_same_name() {
        let identity = Identity { relay: RelayId::from_bytes([1; 32]), generation: 5 };
        let mut state = State::open(MemoryStore::new()).unwrap();
        state.found(identity, 1);
        let row = SpaceRow {
            number: 1,
            generation: 5,
            floor: 0,
            head: 3,
            time_ms: 9,
            handshakes: 1,
            position: 3,
        };
        for n in 0..STEP + 2 {
            let key = (n as u64).to_be_bytes();
            state.store_mut().put(
                Table::Spaces,
                &[&key[..], &[0xff; 24]].concat(),
                rows::encode(&row),
            );
            state.store_mut().put(Table::Fences, &[0xff; 72], rows::encode(&77u64));
            state.store_mut().put(Table::KeyPackages, &key, vec![1]);
        }
        state.commit().unwrap();
        let mut store = state.into_store();
        put_back(&mut store, 6).unwrap();
        let again = State::open(store).unwrap();
        assert_eq!(again.identity(), Identity { generation: 6, ..identity });
        let rows: Vec<_> = again.store().rows().collect();
        let of = |table: Table| rows.iter().filter(move |(of, _, _)| *of == table);
        assert_eq!(of(Table::Spaces).count(), STEP + 2);
        for (_, _, row) in of(Table::Spaces) {
            let row: SpaceRow = rows::decode("space", row).unwrap();
            assert_eq!((row.generation, row.head), (6, 3));
        }
        assert_eq!(of(Table::KeyPackages).count(), 0);
        for (_, _, row) in of(Table::Fences) {
            assert_eq!(rows::decode::<u64>("fence", row).unwrap(), ANY_FENCE);
        }
    }

    #[test]
    fn what_is_nobodys_can_not_be_put_back() {
        assert!(put_back(&mut MemoryStore::new(), 6).unwrap_err().is_damage());
    }
}
