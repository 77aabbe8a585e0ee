//! The store on disk, and the thread that owns it.

mod form;
mod redb;
pub(crate) mod worker;

pub use self::redb::{FILE, RedbStore};
pub(crate) use form::Form;
#[cfg(feature = "sealed")]
pub use sync_store::sealed::StoreKey;
pub use sync_store::{RecordStore, StoreError, conformance};

/// Whether a directory's store is sealed; `false` if it has none.
///
/// # Errors
/// If it can't be read.
#[cfg(feature = "sealed")]
pub fn is_sealed(directory: &std::path::Path) -> Result<bool, StoreError> {
    sync_store::sealed::is_sealed(&directory.join(FILE))
}
