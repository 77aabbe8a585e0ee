//! What liars need of a world, and what they do on its wires.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use sync_core::Command;
use sync_core::api::Status;
use sync_core::trust::Invalid;
use sync_protocol::device_log::DeviceLog;
use sync_protocol::frames::{ClientFrame, RelayFrame};
use sync_protocol::roster::Role;
use sync_protocol::{AccountId, EpochId, SpaceId};

use super::{Seen, World};
use crate::adversary::{Adversary, Deed};
use crate::book::Book;
use crate::device::Device;
use crate::network::{ConnectionId, Side};
use crate::plan::Plan;
use crate::presence::entered_anew;
use crate::violation::{Invariant, Violation};

impl World {
    /// The world's plan.
    pub(crate) fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Those who lie.
    pub(crate) fn adversary(&self) -> &Adversary {
        &self.adversary
    }

    /// Those who lie, to take note of what they do.
    pub(crate) fn adversary_mut(&mut self) -> &mut Adversary {
        &mut self.adversary
    }

    /// Whether a device is a liar's.
    pub(super) fn is_liar(&self, device: usize) -> bool {
        self.adversary.has(device, self.devices[device].person)
    }

    /// Whether the relay hears what is said on a connection.
    #[must_use]
    pub fn is_heard(&self, id: ConnectionId) -> bool {
        self.network.arrives(id, Side::Relay)
    }

    /// A device that somebody uses and that has an account.
    pub(crate) fn in_use(&self, person: usize) -> Option<usize> {
        let usable = |slot: &Device| slot.person == person && !slot.retired && slot.id.is_some();
        let runs = |slot: &Device| usable(slot) && slot.engine.is_some();
        self.devices.iter().position(runs)
    }

    /// The conversations that a device shows as those it is in.
    pub(crate) fn shows(&self, device: usize) -> Vec<SpaceId> {
        let shown = &self.devices[device].screen.conversations;
        shown.iter().filter(|(_, view)| view.active).map(|(space, _)| *space).collect()
    }

    /// The space of a device's account.
    pub(crate) fn own_space(&self, device: usize) -> Option<SpaceId> {
        let account = self.book.account_of(self.devices[device].person);
        account.map(|account| account.space())
    }

    /// The spaces of which a device's disk keeps a group.
    pub(crate) fn kept_spaces(&self, device: usize) -> Vec<SpaceId> {
        let records = self.devices[device].disk.read(b"x");
        let spaces = records.keys().filter_map(|key| SpaceId::try_from(&key[1..]).ok());
        spaces.filter(|space| crate::adversary::cheat::reads(self, device, *space)).collect()
    }

    /// Devices of people who do not lie.
    pub(crate) fn honest_devices(&self) -> Vec<usize> {
        let slots = self.devices.iter().enumerate();
        let used = slots.filter(|(_, slot)| !slot.retired && slot.engine.is_some());
        used.map(|(device, _)| device).filter(|device| !self.is_liar(*device)).collect()
    }

    /// A device of the first person that is not their primary.
    pub(crate) fn first_companion(&self) -> Option<usize> {
        let primary = self.primary_of(0);
        let slots = self.devices.iter().enumerate();
        let own = slots.filter(|(_, slot)| slot.person == 0 && slot.id.is_some());
        let mut own = own.map(|(device, _)| device);
        own.find(|device| Some(*device) != primary && self.belongs(*device))
    }

    /// All device logs: anybody can read them.
    pub(crate) fn logs(&self) -> impl Iterator<Item = (&AccountId, &DeviceLog)> {
        self.registry.accounts()
    }

    /// Whether a device's account has ended it.
    pub(crate) fn is_ended(&self, device: usize) -> bool {
        let slot = &self.devices[device];
        slot.retired || slot.id.is_some_and(|id| self.registry.ended(&id).is_some())
    }

    /// Copies a device's disk, as it is, to where it lies without being used.
    pub(crate) fn copy_disk(&mut self, device: usize, into: Option<usize>) -> usize {
        let (person, disk) = (self.devices[device].person, self.devices[device].disk.copy());
        let into = into.unwrap_or_else(|| {
            let mut copy = Device::new(person, disk.clone());
            copy.retired = true;
            self.devices.push(copy);
            self.devices.len() - 1
        });
        self.devices[into].disk = disk;
        into
    }

    /// An owner ends a device that was stolen.
    pub(crate) fn owner_ends(&mut self, device: usize) -> Result<(), Violation> {
        if self.is_ended(device) || self.devices[device].id.is_none() {
            return Ok(());
        }
        match self.primary_of(self.devices[device].person) {
            Some(primary) if primary != device => {
                self.give(primary, Command::GoOnline)?;
                self.end(primary, device)
            }
            _ => Ok(()),
        }
    }

    /// A device's connection breaks, so that it begins a session anew.
    pub(crate) fn break_line(&mut self, device: usize) {
        if let Some(id) = self.devices[device].connection {
            self.network.cut(id);
            for side in [Side::Device, Side::Relay] {
                self.agenda.after(10, super::Event::Closed { connection: id, side });
            }
        }
    }

    /// Tells whoever reads along what a liar does.
    pub(crate) fn tell_lie(&mut self, what: &str) {
        self.note(format_args!("lie: {what}"));
        self.tell(|_| Some(format!("LIE: {what}")));
    }

    /// What the relay says to a device, as the device is to hear it.
    pub(super) fn lied(&mut self, device: usize, message: &Arc<[u8]>) -> Option<Vec<RelayFrame>> {
        if self.plan.relay_lies == 0 {
            return None;
        }
        let frame = RelayFrame::parse(message).ok()?;
        if !self.chaos {
            self.adversary.relay.hear(device, &frame);
            return None;
        }
        let now_ms = self.agenda.now_ms();
        let (mut said, done) = self.adversary.relay.says(device, frame, now_ms);
        said.extend(self.adversary.relay.invents(device, now_ms));
        for (deed, space) in done {
            if let Some(space) = space.filter(|_| deed.shows_another_log()) {
                self.adversary.relay.misled.insert((device, space));
            }
            self.book.misdated |= deed == Deed::Dates;
            self.adversary.did(deed);
        }
        Some(said)
    }

    /// What a device says, as the relay is to hear it; `None` if it loses it.
    pub(super) fn lost_on_the_way(&mut self, device: usize, message: &[u8]) -> bool {
        if self.plan.relay_lies == 0 {
            return false;
        }
        let Ok(frame) = ClientFrame::parse(message) else { return false };
        let (passed, done) = self.adversary.relay.takes(device, frame, self.agenda.now_ms());
        if let Some(deed) = done {
            self.adversary.did(deed);
        }
        passed.is_none()
    }

    /// In the groups of honest devices are devices that their accounts certified and did not end. An
    /// account that a relay parted from a group ends nothing there; where all that is left of an account
    /// lies, it is an admin's to end its devices.
    pub(super) fn check_leaves(&self, seen: &[Seen]) -> Result<(), Violation> {
        let apart = self.apart().into_iter().filter_map(|device| self.book.owners.get(&device));
        let apart: BTreeSet<&AccountId> = apart.collect();
        let honest = self.honest_devices().into_iter();
        let honest = honest.filter_map(|one| self.book.account_of(self.devices[one].person));
        let honest: BTreeSet<AccountId> = honest.collect();
        for one in seen {
            let active = one.conversations.iter().filter(|(_, view)| view.active);
            for (space, view) in active.map(|(space, view)| (*space, view)) {
                let Some(group) = crate::adversary::cheat::loaded(self, one.device, space) else {
                    continue;
                };
                let mut admins = view.members.iter().filter(|member| member.role == Role::Admin);
                let has_admin = admins.any(|member| honest.contains(&member.account));
                for leaf in group.leaves().into_iter().filter(|one| !apart.contains(&one.account)) {
                    let (account, device) = (leaf.account, leaf.device);
                    let log = self.registry.log(&account);
                    let was_one = log.is_some_and(|log| log.known(&device).is_some());
                    if was_one && !has_admin && !honest.contains(&account) {
                        continue;
                    }
                    if log.is_none_or(|log| log.active(&device).is_none()) {
                        let detail = format!(
                            "device {} has {device:?} of {account:?} in {space:?}, which is none",
                            one.device
                        );
                        return Err(Violation::new(Invariant::Removed, detail));
                    }
                }
            }
        }
        Ok(())
    }

    /// Devices that a relay showed another log than there is, and that have told their users so; and
    /// those who followed one of them into a group of their own, if all of them have told it.
    pub(super) fn apart(&self) -> BTreeSet<usize> {
        let misled = self.adversary.relay.misled.iter();
        let apart = misled.filter(|(device, space)| self.has_told(*device, space));
        let mut apart: BTreeSet<usize> = apart.map(|(device, _)| *device).collect();
        if self.plan.relay_lies > 0 {
            for space in self.book.companies.keys() {
                apart.extend(self.parted(space));
            }
            let devices = self.honest_devices().into_iter();
            apart.extend(devices.filter(|device| self.is_kept_out(*device)));
        }
        apart
    }

    /// Whether a device of an account that was brought back stays out of a conversation, and says so:
    /// a relay had led the account into a branch before, of which the vault tells
    /// (`docs/threat-model.md`, "What is not promised").
    fn is_kept_out(&self, device: usize) -> bool {
        let shown = self.shows(device);
        let broken = Invalid::BrokenLine.to_string();
        self.came_back(self.devices[device].person)
            && self.devices[device]
                .evidence
                .iter()
                .any(|(space, why)| *why == broken && !shown.contains(space))
    }

    /// Whether a device has told its user that something of a space is not believed.
    fn has_told(&self, device: usize, space: &SpaceId) -> bool {
        self.devices[device].evidence.iter().any(|(of, _)| of == space)
    }

    /// Of two groups of several that a relay led to follow different changes of members neither gives
    /// way by itself (`docs/threat-model.md`, "What is not promised"): the devices of all but the
    /// largest, if each of them has told it.
    fn parted(&self, space: &SpaceId) -> BTreeSet<usize> {
        let mut groups = BTreeMap::<EpochId, BTreeSet<usize>>::new();
        for device in self.honest_devices() {
            if self.shows(device).contains(space)
                && let Some(epoch) = crate::adversary::cheat::epoch_of(self, device, *space)
            {
                groups.entry(epoch).or_default().insert(device);
            }
        }
        let largest = groups.iter().max_by_key(|(_, group)| group.len()).map(|(epoch, _)| *epoch);
        let others = groups.into_iter().filter(|(epoch, _)| Some(*epoch) != largest);
        let told =
            |group: &BTreeSet<usize>| group.iter().all(|device| self.has_told(*device, space));
        others.map(|(_, group)| group).filter(told).flatten().collect()
    }

    /// Whether a device waits for nothing. Where a relay lies, two are let off: one that was shown
    /// another log, and says so, may wait for ever for what is only there; and that there is more
    /// than is here is somebody's word, which nobody takes back who was shown what never was.
    pub(super) fn is_at_rest(
        &self,
        device: usize,
        status: &Status,
        apart: &BTreeSet<usize>,
    ) -> bool {
        let withheld = self.plan.relay_lies > 0 && status.withheld > 0;
        let waits_for_nothing = status.waiting == 0 && (status.up_to_date || withheld);
        status.connected && (waits_for_nothing || apart.contains(&device))
    }

    /// What everybody shows, but for the devices that a relay showed another log than there is. Only
    /// since the present epoch began does a device read again what it was shown; from before it may
    /// lack something for ever, or be out of where it was let in. But it says so: one that has told
    /// its user nothing of it is held to what all others show. What it wrote it may write again as
    /// somebody new.
    pub(super) fn without_misled(&mut self, mut seen: Vec<Seen>) -> Vec<Seen> {
        let misled = &self.adversary.relay.misled;
        // What is written on a profile that a liar uses as well may be made anew, too.
        let twice: BTreeSet<usize> =
            (0..self.devices.len()).filter(|device| self.is_liar(*device)).collect();
        for written in self.book.written.values_mut() {
            written.moves |= misled.iter().any(|(device, _)| *device == written.device);
            written.moves |= twice.contains(&written.device);
            // What a relay refuses and had no reason to may be made anew by somebody new.
            written.moves |= self.plan.relay_lies > 0 && !written.stored;
        }
        self.book.gone.extend(twice);
        let apart = self.apart();
        seen.retain(|one| !apart.contains(&one.device));
        // What it was told of what it wrote since is a relay's word, of a log that is nobody else's.
        for written in self.book.written.values_mut() {
            if apart.contains(&written.device) {
                (written.stored, written.shown, written.uncertain) = (false, false, true);
            }
        }
        self.book.gone.extend(apart);
        self.note_shut_out(&seen);
        seen
    }

    /// A relay that keeps back an invitation keeps back the keys that lie in it. A device that was put
    /// back has lost what an invitation opens with, or keys that its account's vault did not have yet.
    /// Whoever comes in by a ticket instead can't read what was written meanwhile, and says so.
    fn note_shut_out(&mut self, seen: &[Seen]) {
        let lies = self.plan.relay_lies > 0;
        let Book { companies, restored, owners, .. } = &mut self.book;
        let Some(store) = self.relay.store().filter(|_| lies || !restored.is_empty()) else {
            return;
        };
        let put_back: BTreeSet<_> = restored.iter().filter_map(|one| owners.get(one)).collect();
        let says = |account: &AccountId| {
            (lies || put_back.contains(account))
                && seen.iter().any(|one| one.account == *account && one.status.unreadable > 0)
        };
        for (space, company) in companies {
            company.deserted.extend(entered_anew(store, space).into_iter().filter(says));
        }
    }

    /// A device says that something is not to be believed: that must be possible, by what those who
    /// lie have.
    pub(super) fn accuses(&self, device: usize, why: &Invalid) -> Result<(), Violation> {
        let lies = self.plan.relay_lies > 0;
        if !self.plan.has_liars() || self.is_liar(device) || self.adversary.explains(why, lies) {
            return Ok(());
        }
        let detail = format!("device {device} accuses somebody honest: {why}");
        Err(Violation::new(Invariant::Just, detail))
    }
}
