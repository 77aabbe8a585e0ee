//! Which devices are whose, by the device logs that the relay holds: the one truth about who was
//! linked and who was ended, whatever a device believes.

use std::collections::BTreeMap;

use sync_protocol::device_log::DeviceLog;
use sync_protocol::{AccountId, DeviceId};
use sync_server::store::{Store, Table};

use crate::relay_store::RelayStore;

/// All accounts' device logs, as they were durable last.
#[derive(Clone, Debug, Default)]
pub struct Registry {
    logs: BTreeMap<AccountId, DeviceLog>,
    ends: BTreeMap<DeviceId, u64>,
}

impl Registry {
    /// Reads an account's log from the relay's store. A device that it ends now ended when so many
    /// messages were acknowledged in the world.
    pub fn read(&mut self, account: &AccountId, store: &RelayStore, messages: u64) {
        let to = [account.as_bytes().as_slice(), &[0xff; 9]].concat();
        let mut entries = Vec::new();
        let read = store.scan(Table::Logs, account.as_bytes(), &to, &mut |_, entry| {
            entries.push(entry.to_vec());
            true
        });
        let known = self.logs.get(account).map_or(0, |log| log.entries().len());
        if read.is_err() || entries.len() <= known {
            return;
        }
        let Ok(log) = DeviceLog::verify(account, &entries) else { return };
        for (device, _) in log.all().filter(|(_, device)| device.revoked.is_some()) {
            self.ends.entry(*device).or_insert(messages);
        }
        self.logs.insert(*account, log);
    }

    /// Somebody was told that this device ended, when so many messages were acknowledged.
    pub fn end(&mut self, device: DeviceId, messages: u64) {
        self.ends.entry(device).or_insert(messages);
    }

    /// An account's log, once the relay has it.
    #[must_use]
    pub fn log(&self, account: &AccountId) -> Option<&DeviceLog> {
        self.logs.get(account)
    }

    /// All accounts that the relay knows.
    pub fn accounts(&self) -> impl Iterator<Item = (&AccountId, &DeviceLog)> {
        self.logs.iter()
    }

    /// Whether a device belongs to an account.
    #[must_use]
    pub fn is_active(&self, account: &AccountId, device: &DeviceId) -> bool {
        !self.ends.contains_key(device)
            && self.logs.get(account).is_some_and(|log| log.active(device).is_some())
    }

    /// How many messages were acknowledged in the world when a device ended.
    #[must_use]
    pub fn ended(&self, device: &DeviceId) -> Option<u64> {
        self.ends.get(device).copied()
    }
}
