//! The store on disk, and the thread that owns it.

mod redb;
pub(crate) mod worker;

pub use self::redb::{FILE, RedbStore};
pub use sync_store::{RecordStore, StoreError, conformance};
