//! What can go wrong with a device's store, and what its owner should do about it.

use std::io;
use std::path::{Path, PathBuf};

use redb::{DatabaseError, StorageError};
use sync_core::engine::OpenError;

/// A store that can't be opened, read or written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Another process has the store open.
    #[error("{0} is in use by another process: close that one, or choose another data directory")]
    InUse(PathBuf),
    /// The file is not a device's store.
    #[error("{0} is not a Rejoinder store: move it away, or choose another data directory")]
    Foreign(PathBuf),
    /// The file is sealed, and no key was given.
    #[cfg(feature = "sealed")]
    #[error("{0} is sealed: open it with the program that keeps its key")]
    Sealed(PathBuf),
    /// The file is sealed with another key than was given. It stays as it is.
    #[cfg(feature = "sealed")]
    #[error("{0} is sealed with another key: give that one, or choose another data directory")]
    OtherKey(PathBuf),
    /// The file can't be read any more.
    #[error(
        "the store is damaged ({0}): put back a backup, or move the data directory away and link \
         this device anew"
    )]
    Damaged(String),
    /// The store was written by a newer build.
    #[error("the store has format {found}, this build reads up to {known}: run a newer build")]
    Newer {
        /// The format found.
        found: u64,
        /// The newest format this build reads.
        known: u64,
    },
    /// The directory or the file can't be written.
    #[error("{path} can't be written ({cause}): check its owner, its rights and the mount")]
    ReadOnly {
        /// Which.
        path: PathBuf,
        /// What the system said.
        cause: String,
    },
    /// No room on the disk.
    #[error("no space left for the store: free some disk space, the client then goes on by itself")]
    Full,
    /// The system gives no store of this kind.
    #[error("there is no such store here ({0}): choose another kind")]
    Unsupported(String),
    /// Anything else the system reports.
    #[error("the store can't be used ({0}): check the disk")]
    Io(String),
}

impl From<OpenError> for StoreError {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Damaged(what) => Self::Damaged(format!("unreadable {what}")),
            OpenError::Newer { found, known } => {
                Self::Newer { found: found.into(), known: known.into() }
            }
        }
    }
}

impl StoreError {
    /// The stable word for programs.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::InUse(_) => "in_use",
            Self::Foreign(_) => "foreign",
            #[cfg(feature = "sealed")]
            Self::Sealed(_) => "sealed",
            #[cfg(feature = "sealed")]
            Self::OtherKey(_) => "other_key",
            Self::Damaged(_) => "damaged",
            Self::Newer { .. } => "newer",
            Self::ReadOnly { .. } => "read_only",
            Self::Full => "full",
            Self::Unsupported(_) => "unsupported",
            Self::Io(_) => "io",
        }
    }

    /// Whether opening the store again later may succeed without a person choosing something.
    #[must_use]
    pub fn passes(&self) -> bool {
        matches!(self, Self::Full | Self::Io(_) | Self::ReadOnly { .. } | Self::InUse(_))
    }

    /// Sorts a system error on a path.
    #[must_use]
    pub fn from_io(path: &Path, error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full,
            io::ErrorKind::PermissionDenied
            | io::ErrorKind::ReadOnlyFilesystem
            | io::ErrorKind::NotADirectory => {
                Self::ReadOnly { path: path.to_owned(), cause: error.to_string() }
            }
            _ => Self::Io(error.to_string()),
        }
    }

    pub(crate) fn of_opening(path: &Path, error: DatabaseError) -> Self {
        match error {
            DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch => {
                Self::InUse(path.to_owned())
            }
            DatabaseError::UpgradeRequired(_) => Self::Foreign(path.to_owned()),
            DatabaseError::Storage(StorageError::Io(error)) => match error.kind() {
                io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => {
                    Self::Foreign(path.to_owned())
                }
                _ => Self::from_io(path, &error),
            },
            other => Self::of_redb(path, redb::Error::from(other)),
        }
    }

    pub(crate) fn of_redb(path: &Path, error: impl Into<redb::Error>) -> Self {
        match error.into() {
            redb::Error::Io(error) => Self::from_io(path, &error),
            redb::Error::Corrupted(what) => Self::Damaged(what),
            error @ (redb::Error::TableTypeMismatch { .. } | redb::Error::TableDoesNotExist(_)) => {
                Self::Damaged(error.to_string())
            }
            other => Self::Io(other.to_string()),
        }
    }
}
