//! A relay's data directory: its store, and the log that goes on where the store ends.

use std::path::Path;

use crate::log::{Disk, FileLog, LogId};
use crate::relay::{Relay, Settings};
use crate::rules;
use crate::store::{RedbStore, StoreError};
use crate::whole;

/// Store and log, open.
#[derive(Debug)]
pub struct Data {
    /// What was applied, and written down.
    pub store: RedbStore,
    /// What was proposed, beyond that.
    pub log: FileLog,
}

impl Data {
    /// Opens the data in a directory, and makes them if they are not there.
    ///
    /// # Errors
    /// What is wrong, and what to do about it.
    pub fn open(directory: &Path) -> Result<Self, StoreError> {
        whole::finish(directory)?;
        Self::beside(RedbStore::open(directory)?, directory)
    }

    /// Opens data that must be there already.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_existing(directory: &Path) -> Result<Self, StoreError> {
        whole::finish(directory)?;
        Self::beside(RedbStore::open_existing(directory)?, directory)
    }

    /// The same over any disks: for tests that make these fail.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn on(store: RedbStore, disks: [Box<dyn Disk>; 2], new: LogId) -> Result<Self, StoreError> {
        let (known, applied) = (rules::log_of(&store)?, rules::applied(&store)?);
        Self::with(store, known, FileLog::on(disks, known, applied, new)?)
    }

    fn beside(store: RedbStore, directory: &Path) -> Result<Self, StoreError> {
        let (known, applied) = (rules::log_of(&store)?, rules::applied(&store)?);
        let mut new = [0; 16];
        getrandom::fill(&mut new).map_err(|error| StoreError::Io(error.to_string()))?;
        let log = FileLog::open(directory, known, applied, new)?;
        Self::with(store, known, log)
    }

    fn with(mut store: RedbStore, known: Option<LogId>, log: FileLog) -> Result<Self, StoreError> {
        if known.is_none() {
            // From here on the store is nothing without its log.
            rules::note_log(&mut store, &log.id())?;
        }
        Ok(Self { store, log })
    }

    /// The store with all that the log has, written down.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn caught_up(self) -> Result<RedbStore, StoreError> {
        let mut relay = Relay::alone(self.store, self.log, Settings::default())?;
        relay.checkpoint()?;
        Ok(relay.into_parts().0)
    }
}
