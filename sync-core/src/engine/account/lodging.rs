//! That each device of the account comes into the account's own space.
//!
//! The account's log alone says which devices there are. Whoever certified one lets it in. Should
//! that device be lost, or its store be put back, before it did, the log still names the new one:
//! the primary finds it missing and lets it in.

use serde_json::Value;
use sync_protocol::DeviceId;
use sync_protocol::codec::Blob;
use sync_protocol::sorted::SortedMap;

use crate::engine::Step;
use crate::engine::account::devices::{RECORDS, record_key};
use crate::engine::rooms::Devices;
use crate::engine::rows::Intention;

/// How long the primary leaves it to whoever certified a device to let it in.
const HOST_MS: u64 = 10_000;

/// Devices of the account that are not in its space, and since when the primary waits for others to
/// let them in: the engine's time from which it does so itself.
#[derive(Debug, Default)]
pub(in crate::engine) struct Lodging {
    missing: SortedMap<DeviceId, u64>,
}

impl Lodging {
    /// When somebody is let in next, unless somebody else was quicker.
    pub(in crate::engine) fn deadline(&self) -> Option<u64> {
        self.missing.values().min().copied()
    }

    /// Whether a device has waited long enough, by this time.
    pub(in crate::engine) fn is_due(&self, now: u64) -> bool {
        self.deadline().is_some_and(|at| at <= now)
    }
}

impl Devices<'_> {
    /// Lets in whoever the log names and the account's space lacks.
    pub(in crate::engine) fn host_missing(&mut self) -> Step<()> {
        let me = self.account.me()?;
        let (own, account) = (me.device(), me.account());
        let id = account.space();
        if !self.account.is_primary(self.people)
            || !me.row.complete
            || !self.spaces.contains_key(&id)
        {
            self.account.lodging.missing.clear();
            return Ok(());
        }
        self.spaces.core(&id)?;
        let Some(space) = self.spaces.get(&id) else { return Ok(()) };
        let Some(core) = &space.core else { return Ok(()) };
        if !space.row.active || space.row.lagging || core.state.joining.is_some() {
            // Called again once this device has read who is in.
            self.account.lodging.missing.clear();
            return Ok(());
        }
        let is_in = |device: &DeviceId| {
            core.state.writers.iter().any(|row| row.device == *device && row.to.is_none())
                || space.row.intentions.iter().any(
                    |wish| matches!(wish, Intention::AddDevice { device: of, .. } if of == device),
                )
        };
        let Some(log) = self.people.log(&account) else { return Ok(()) };
        let others = log.devices().map(|(device, _)| *device).filter(|device| *device != own);
        let missing: Vec<DeviceId> = others.filter(|device| !is_in(device)).collect();
        self.account.lodging.missing.retain(|device, _| missing.contains(device));
        let mut due = Vec::new();
        for device in missing {
            let at = *self.account.lodging.missing.entry(device).or_insert(self.turn.now + HOST_MS);
            if at <= self.turn.now {
                due.push(device);
            }
        }
        if due.is_empty() {
            return Ok(());
        }
        let records = self.library().own_settings(RECORDS)?;
        for device in due {
            self.account.lodging.missing.remove(&device);
            // What its owner chose is in the account's records, if whoever linked it came to write
            // it down. If not, it is shown nothing that it may not have been meant to see.
            let record = records.get(&record_key(&device));
            let history = record.and_then(|record| record.get("history")?.as_bool());
            let wish = Intention::AddDevice {
                device,
                package: Blob::default(),
                history: history == Some(true),
            };
            self.member_rows().intend(&id, wish);
            if record.is_none_or(Value::is_null) {
                self.record_device(&device, "", false);
            }
        }
        Ok(())
    }
}
