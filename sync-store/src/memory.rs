//! A store that forgets: for a browser that lets a page keep nothing.

use std::cell::RefCell;
use std::rc::Rc;

use sync_core::records::{Batch, Records};

use super::{RecordStore, StoreError};

/// Records in memory. Clones are the same store; it is gone with the last of them.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore(Rc<RefCell<Records>>);

impl RecordStore for MemoryStore {
    fn write(&mut self, batches: &[Batch]) -> Result<(), StoreError> {
        let mut records = self.0.borrow_mut();
        for batch in batches {
            for prefix in &batch.clears {
                records.retain(|key, _| !key.starts_with(prefix));
            }
            for (key, value) in &batch.writes {
                match value {
                    Some(value) => records.insert(key.clone(), value.clone()),
                    None => records.remove(key),
                };
            }
        }
        Ok(())
    }

    fn read(&self, prefix: &[u8]) -> Result<Records, StoreError> {
        let records = self.0.borrow();
        let from = records.range(prefix.to_vec()..).take_while(|(key, _)| key.starts_with(prefix));
        let mut found = Records::new();
        // Not collected: that sorts, and sorting is built in anew for each type.
        found.extend(from.map(|(key, value)| (key.clone(), value.clone())));
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;
    use crate::conformance;

    #[test]
    fn memory_is_a_store() {
        let store = MemoryStore::default();
        let check = pin!(conformance::check(async || store.clone()));
        // Nothing in it waits.
        assert_eq!(check.poll(&mut Context::from_waker(Waker::noop())), Poll::Ready(()));
    }
}
