//! Where a device keeps what it must not forget: one ordered map of byte keys, changed in batches
//! that are durable as a whole or not at all.
//!
//! Hosts bring what lies below: [`RedbRecords`] serves any file or backend of redb's; a browser
//! without files implements [`AsyncRecordStore`]. [`conformance::check`] holds for all.

pub mod conformance;
mod error;
mod memory;
mod redb;
#[cfg(feature = "sealed")]
pub mod sealed;

pub use self::error::StoreError;
pub use self::memory::MemoryStore;
pub use self::redb::RedbRecords;

use sync_core::records::{Batch, Records};

/// What the engine needs of a store. [`conformance::check`] says it in tests.
pub trait RecordStore {
    /// Writes batches in order; in each, the clears come before the writes. When this returns, all
    /// of them survive any crash.
    ///
    /// # Errors
    /// Then none of them is seen, neither now nor after reopening, or (if the system could not say
    /// what reached the disk) a prefix of whole batches is. The store must be opened anew.
    fn write(&mut self, batches: &[Batch]) -> Result<(), StoreError>;

    /// All records whose key starts with a prefix.
    ///
    /// # Errors
    /// If the store can't be read.
    fn read(&self, prefix: &[u8]) -> Result<Records, StoreError>;
}

/// The same of a store that answers later, as a browser's does. Every [`RecordStore`] is one that
/// answers at once.
#[allow(async_fn_in_trait, reason = "who calls it is always one thread")]
pub trait AsyncRecordStore {
    /// As [`RecordStore::write`].
    ///
    /// # Errors
    /// As there.
    async fn write(&mut self, batches: &[Batch]) -> Result<(), StoreError>;

    /// As [`RecordStore::read`].
    ///
    /// # Errors
    /// As there.
    async fn read(&self, prefix: &[u8]) -> Result<Records, StoreError>;
}

impl<S: RecordStore> AsyncRecordStore for S {
    async fn write(&mut self, batches: &[Batch]) -> Result<(), StoreError> {
        RecordStore::write(self, batches)
    }

    async fn read(&self, prefix: &[u8]) -> Result<Records, StoreError> {
        RecordStore::read(self, prefix)
    }
}

/// The first key after all keys that start with `prefix`; `None` if there is no such key.
#[must_use]
pub fn after_prefix(prefix: &[u8]) -> Option<Vec<u8>> {
    let kept = prefix.iter().rposition(|byte| *byte != u8::MAX)?;
    let mut end = prefix.get(..=kept)?.to_vec();
    if let Some(last) = end.last_mut() {
        *last += 1;
    }
    Some(end)
}

#[cfg(test)]
mod tests {
    use super::after_prefix;

    #[test]
    fn a_prefix_ends_where_the_next_begins() {
        assert_eq!(after_prefix(b"ab"), Some(b"ac".to_vec()));
        assert_eq!(after_prefix(&[1, 0xff, 0xff]), Some(vec![2]));
        assert_eq!(after_prefix(&[0xff]), None);
        assert_eq!(after_prefix(b""), None);
    }
}
