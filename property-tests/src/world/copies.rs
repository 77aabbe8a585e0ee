//! Copies of profiles: one that is put back to an earlier moment, and one that is used twice.

use super::beside::Later;
use super::{Event, World};
use crate::device::{Device, Screen};
use crate::disk::Disk;
use crate::situation::Situation;
use crate::violation::Violation;

/// Earlier moments of a device's disk that are kept.
const KEPT: usize = 3;
/// A moment is kept once in so many durable batches.
const SELDOM: u64 = 25;
/// The longest that a profile is used twice, in ms.
const TWICE_MS: u64 = 120_000;

/// A device's disk as it was.
#[derive(Clone, Debug)]
pub struct Backup {
    disk: Disk,
    /// Entries of the account's log then.
    log_len: usize,
}

impl World {
    fn log_len(&self, device: usize) -> usize {
        let account = self.book.account_of(self.devices[device].person);
        let log = account.and_then(|account| self.registry.log(&account));
        log.map_or(0, |log| log.entries().len())
    }

    /// Keeps a copy of a device's disk now and then.
    pub(super) fn back_up(&mut self, device: usize) {
        let wanted =
            self.plan.faults.rollback > 0 && self.chaos && !self.devices[device].is_guest();
        if !wanted || !self.chance.device(device).one_in(SELDOM) {
            return;
        }
        let log_len = self.log_len(device);
        let which = self.chance.device(device).index(KEPT);
        let slot = &mut self.devices[device];
        let backup = Backup { disk: slot.disk.copy(), log_len };
        match slot.backups.get_mut(which) {
            Some(kept) => *kept = backup,
            None => slot.backups.push(backup),
        }
    }

    /// A device's profile is put back to an earlier moment.
    pub(super) fn roll_back(&mut self, device: usize) {
        let slot = &self.devices[device];
        if slot.retired || slot.engine.is_none() {
            return;
        }
        let backups = slot.backups.clone();
        let Some(backup) = self.chance.deeds().pick(&backups).cloned() else { return };
        let log_len = self.log_len(device);
        self.note(format_args!("{device} is put back, log {} of {log_len}", backup.log_len));
        self.tell(|teller| {
            let (who, entries) = (teller.device(device), log_len - backup.log_len.min(log_len));
            Some(format!("{who} is put back to an earlier moment, {entries} log entries ago"))
        });
        self.meet(Situation::RolledBack);
        if backup.log_len < log_len {
            self.meet(Situation::RolledBackPastLog);
        }
        let back_ms = self.chance.deeds().below(20_000);
        self.put_back(device, backup.disk, back_ms);
    }

    /// A device has what its disk held at an earlier moment, and is on again after so long.
    pub fn put_back(&mut self, device: usize, disk: Disk, back_ms: u64) {
        self.switch_off(device);
        self.devices[device].disk = disk;
        // What its user saw since then the device knows nothing of.
        self.devices[device].screen = Screen::default();
        self.book.put_back(device);
        self.book.restored.insert(device);
        if let Some(id) = self.devices[device].id {
            self.monitor.put_back(&id);
        }
        self.agenda.after(back_ms, Event::Boot { device });
    }

    /// A device's profile is copied and used on two machines, for a while.
    pub(super) fn double(&mut self, device: usize) {
        let slot = &self.devices[device];
        let doubled = self.copies.iter().any(|(one, other)| *one == device || *other == device);
        if slot.retired || slot.engine.is_none() || slot.id.is_none() || doubled {
            return;
        }
        let mut copy = Device::new(slot.person, slot.disk.copy());
        copy.origin = slot.origin;
        copy.id = slot.id;
        copy.clock = slot.clock;
        copy.told_revoked = slot.told_revoked;
        let other = self.devices.len();
        self.devices.push(copy);
        self.copies.push((device, other));
        self.book.doubled(device, other);
        if let Some(newcomer) = self.book.newcomers.get(&device).cloned() {
            self.book.newcomers.insert(other, newcomer);
        }
        self.note(format_args!("{other} is a copy of {device}"));
        self.tell(|teller| {
            Some(format!("{} is a copy of {}", teller.device(other), teller.device(device)))
        });
        self.meet(Situation::Twin);
        self.agenda.after(0, Event::Boot { device: other });
        let for_ms = self.chance.deeds().below(TWICE_MS);
        self.agenda.after(for_ms, Event::Later(Later::DropCopy { one: device, other }));
    }

    /// One of two copies is switched off for good: what it alone had not sent is lost with it.
    pub(super) fn drop_copy(&mut self, one: usize, other: usize) {
        let Some(at) = self.copies.iter().position(|pair| *pair == (one, other)) else { return };
        self.copies.remove(at);
        if self.devices[one].retired || self.devices[other].retired {
            return;
        }
        let dropped = if self.chance.deeds().one_in(2) { one } else { other };
        self.note(format_args!("the copy {dropped} is dropped"));
        self.tell(|teller| Some(format!("{} is switched off for good", teller.device(dropped))));
        self.retire(dropped);
        self.book.put_back(dropped);
        self.book.gone.insert(dropped);
    }

    /// No profile is in use twice from here on.
    pub(super) fn drop_copies(&mut self) -> Result<(), Violation> {
        while let Some((one, other)) = self.copies.first().copied() {
            self.drop_copy(one, other);
        }
        Ok(())
    }
}
