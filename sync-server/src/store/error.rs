//! What can go wrong with a store, and what the operator should do about it.

use std::path::PathBuf;

use sync_protocol::hash::{self, Domain};
use thiserror::Error;

use super::Table;

const KEY: Domain = Domain::new("rejoinder relay row v1");

/// A store that can't be opened, read or written.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
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
    /// The log goes by rules that this build does not know.
    #[error("the log activates rules {found}, this build knows up to {known}; run a newer build")]
    NewerRules {
        /// Their version.
        found: u32,
        /// The newest that this build knows.
        known: u32,
    },
    /// The log of commands is broken in the middle: what follows was acknowledged.
    #[error(
        "the log of commands is broken: {file} at byte {offset}, before command {position}; run \
         `sync-server repair`"
    )]
    LogBroken {
        /// Which file.
        file: &'static str,
        /// Where in it.
        offset: u64,
        /// What should stand there.
        position: u64,
    },
    /// The log that goes on where the store ends is not there, or another one is.
    #[error(
        "the log of commands that belongs to the store is missing; put its files back beside it, or \
         run `sync-server repair`"
    )]
    LogForeign,
    /// A row can't be read: the partition that it belongs to is damaged, and no other.
    #[error("the {what} row {row} is damaged; stop the relay and run `sync-server repair`")]
    Damaged {
        /// Of which table, or what is in it.
        what: &'static str,
        /// Names the row without telling whose it is: `sync-server check` says the same of it.
        row: String,
    },
    /// The file is damaged.
    #[error(
        "the store is damaged ({0}); run `sync-server repair`, or `sync-server restore` with the \
         last backup: devices write again what that lacks of theirs"
    )]
    Corrupt(String),
    /// No room.
    #[error("no space is left for the store; free some, then start the relay again")]
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

    /// A row that does not parse, or is missing.
    pub(crate) fn row(what: &'static str) -> Self {
        Self::Damaged { what, row: "that it needs".to_owned() }
    }

    /// A row whose checksum does not fit.
    pub(crate) fn checksum(table: Table, key: &[u8]) -> Self {
        Self::Damaged { what: table.name(), row: row_name(table, key) }
    }

    /// Whether a part of the store can't be read, and others may be.
    #[must_use]
    pub fn is_damage(&self) -> bool {
        matches!(self, Self::Damaged { .. } | Self::Corrupt(_))
    }
}

/// Names a row without telling whose it is.
#[must_use]
pub fn row_name(table: Table, key: &[u8]) -> String {
    let hash = hash::hash(KEY, &[&[table as u8], key]);
    let short = hash.first_chunk::<6>().copied().unwrap_or_default();
    short.iter().map(|byte| format!("{byte:02x}")).collect()
}
