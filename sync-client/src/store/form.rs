//! What lies in the store's file: records as redb writes them, or the same sealed at rest.

use std::path::Path;

use sync_store::RedbRecords;
#[cfg(feature = "sealed")]
use sync_store::sealed::{StoreKey, is_sealed, seal};

use super::StoreError;

/// How a store is kept.
#[derive(Clone, Debug, Default)]
pub(crate) enum Form {
    /// As redb writes it.
    #[default]
    Plain,
    /// Sealed with a key.
    #[cfg(feature = "sealed")]
    Sealed(StoreKey),
}

#[cfg(feature = "sealed")]
impl From<Option<StoreKey>> for Form {
    fn from(key: Option<StoreKey>) -> Self {
        key.map_or(Self::Plain, Self::Sealed)
    }
}

#[cfg_attr(not(feature = "sealed"), allow(unused_variables))]
impl Form {
    /// Opens a file, or makes it.
    pub(super) fn open(&self, path: &Path) -> Result<RedbRecords, StoreError> {
        match self {
            #[cfg(feature = "sealed")]
            Self::Plain if is_sealed(path)? => Err(StoreError::Sealed(path.to_owned())),
            Self::Plain => RedbRecords::open(path),
            #[cfg(feature = "sealed")]
            Self::Sealed(key) => RedbRecords::open_sealed(path, key),
        }
    }

    /// Whether a file that is there was written before there was a key.
    pub(super) fn is_to_seal(&self, path: &Path) -> Result<bool, StoreError> {
        match self {
            Self::Plain => Ok(false),
            #[cfg(feature = "sealed")]
            Self::Sealed(_) => Ok(!is_sealed(path)?),
        }
    }

    /// Seals a plain file into another one. Who crashes meanwhile still has the plain one.
    pub(super) fn seal(&self, plain: &Path, into: &Path) -> Result<(), StoreError> {
        match self {
            Self::Plain => Ok(()),
            #[cfg(feature = "sealed")]
            Self::Sealed(key) => seal(plain, into, key),
        }
    }
}
