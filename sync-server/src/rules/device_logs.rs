//! Device logs that were verified, as they are used.

use std::sync::Arc;

use sync_protocol::device_log::DeviceLog;
use sync_protocol::ids::AccountId;

use crate::rules::cache::Cache;
use crate::rules::rows::key2;
use crate::store::{Store, StoreError, Table};

/// KiB of logs that are kept, and twice as many.
const CACHED: usize = 32 * 1024;

/// Device logs over a store's rows.
#[derive(Debug)]
pub(crate) struct DeviceLogs {
    verified: Cache<AccountId, Arc<DeviceLog>>,
    /// Entries that were verified, since somebody asked for the number.
    count: u64,
}

impl DeviceLogs {
    pub(super) fn new() -> Self {
        Self { verified: Cache::new(CACHED), count: 0 }
    }

    /// An account's log.
    pub(super) fn get(
        &mut self,
        store: &impl Store,
        account: &AccountId,
    ) -> Result<Option<Arc<DeviceLog>>, StoreError> {
        if let Some(log) = self.verified.get(account) {
            return Ok(Some(Arc::clone(log)));
        }
        let to = key2(account.as_bytes(), &[0xff; 9]);
        let mut entries = Vec::new();
        store.scan(Table::Logs, account.as_bytes(), &to, &mut |_, entry| {
            entries.push(entry.to_vec());
            true
        })?;
        if entries.is_empty() {
            return Ok(None);
        }
        let log =
            DeviceLog::verify(account, &entries).map_err(|_| StoreError::row("device log"))?;
        self.count += log.len();
        let log = Arc::new(log);
        self.keep(Arc::clone(&log));
        Ok(Some(log))
    }

    fn keep(&mut self, log: Arc<DeviceLog>) {
        let bytes: usize = log.entries().iter().map(Vec::len).sum();
        self.verified.insert_weighing(log.account(), log, 1 + bytes / 1024);
    }

    /// Entries that were verified since this was asked last: each costs two signatures.
    pub(crate) fn take_count(&mut self) -> u64 {
        std::mem::take(&mut self.count)
    }

    /// A log grew, by entries whose rows are written.
    pub(super) fn grew(&mut self, log: DeviceLog) {
        self.keep(Arc::new(log));
    }

    /// Logs are read anew.
    pub(super) fn forget(&mut self) {
        self.verified.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::MemoryStore;

    #[test]
    fn what_does_not_verify_is_damage_and_nothing_is_nobodys() {
        let (mut logs, mut store) = (DeviceLogs::new(), MemoryStore::new());
        let account = AccountId::from_bytes([1; 33]);
        assert!(logs.get(&store, &account).unwrap().is_none());
        let key = key2(account.as_bytes(), &0u64.to_be_bytes());
        store.put(Table::Logs, &key, vec![7; 40]);
        assert!(logs.get(&store, &account).unwrap_err().is_damage());
    }
}
