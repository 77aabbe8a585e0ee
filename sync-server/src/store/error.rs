//! What can go wrong with a store, and what the operator should do about it.

use std::path::PathBuf;

use thiserror::Error;

/// A store that can't be opened, read or written.
#[derive(Debug, Error)]
pub enum StoreError {
    /// Another process has the store open.
    #[error("{0} is in use by another process; stop it, or choose another --data directory")]
    InUse(PathBuf),
    /// The file is not a relay's store.
    #[error("{0} is not a relay's store; move it away, or choose another --data directory")]
    Foreign(PathBuf),
    /// The store was written by a newer build.
    #[error("the store has format {found}, this build reads up to {known}; run a newer build")]
    Newer {
        /// The format found.
        found: u64,
        /// The newest format this build reads.
        known: u64,
    },
    /// The store was written by an earlier build, whose format this one does not read.
    #[error("the store has format {found}, this build reads {known}; run the build that wrote it")]
    Older {
        /// The format found.
        found: u64,
        /// The oldest format this build reads.
        known: u64,
    },
    /// The file is damaged.
    #[error("the store is damaged ({0}); restore the last backup, the devices refill the rest")]
    Corrupt(String),
    /// No room.
    #[error("no space left for the store; free some disk space and start the relay again")]
    Full,
    /// The directory or file can't be written.
    #[error("{path} can't be opened for writing ({cause}); check its owner, rights and mount")]
    Unwritable {
        /// Which.
        path: PathBuf,
        /// What the system said.
        cause: String,
    },
    /// Anything else the system reports.
    #[error("the store can't be used: {0}; check the disk and start the relay again")]
    Io(String),
}

impl StoreError {
    /// Sorts a system error: a full disk is worth its own name.
    pub(crate) fn from_io(error: &std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => Self::Full,
            _ => Self::Io(error.to_string()),
        }
    }

    /// A row that does not parse.
    pub(crate) fn row(what: &str) -> Self {
        Self::Corrupt(format!("unreadable {what} row"))
    }
}
