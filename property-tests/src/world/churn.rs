//! Devices come and go: people link new ones, end some, lose all and bring their account back.

use std::collections::BTreeSet;

use sync_core::Command;
use sync_core::api::{Failure, Join, NewAccount, Response, Status};
use sync_protocol::{AccountId, DeviceId, SpaceId};

use super::{Event, World};
use crate::device::{Device, Origin};
use crate::disk::Disk;
use crate::presence::devices_in;
use crate::violation::{Invariant, Violation};

/// Devices that there ever are for each person of a world, beside those used at once.
const MORE: usize = 2;
/// The longest that a person takes to type a code, or to try again, in ms.
const TYPING_MS: u64 = 20_000;
/// The longest that a person takes to hold the primary before a new device, in ms.
const SCANNING_MS: u64 = 10_000;
/// How long a link or a recovery that came to nothing takes to end, in ms.
const GATHER_MS: u64 = 150_000;
/// How long devices take to connect, in ms.
const GRACE_MS: u64 = 10_000;

/// Something that somebody does to their devices.
#[derive(Clone, Copy, Debug)]
enum Act {
    Link,
    Revoke,
    LogOut,
    PassOn,
    Race,
    NewCode,
    Lose,
}

const ACTS: [(u64, Act); 7] = [
    (10, Act::Link),
    (3, Act::Revoke),
    (2, Act::LogOut),
    (3, Act::PassOn),
    (2, Act::Race),
    (1, Act::NewCode),
    (2, Act::Lose),
];

impl World {
    /// Whether people of this world have more than their one device.
    pub(super) fn has_churn(&self) -> bool {
        self.plan.churn > 0
    }

    /// Whether a device is in use, as the relay's logs have it.
    pub(super) fn belongs(&self, device: usize) -> bool {
        let slot = &self.devices[device];
        let account = self.book.account_of(slot.person);
        account.zip(slot.id).is_some_and(|(account, id)| self.registry.is_active(&account, &id))
    }

    /// Somebody does something to their devices.
    pub(super) fn churn(&mut self) -> Result<(), Violation> {
        let person = self.chance.deeds().index(self.book.people.len());
        let act = self.chance.deeds().weighted(&ACTS);
        let Some(primary) = self.primary_of(person) else { return Ok(()) };
        self.note(format_args!("person {person} with primary {primary}: {act:?}"));
        match act {
            Act::Link => {
                let history = !self.chance.deeds().one_in(3);
                if self.household(person).len() < self.plan.household {
                    self.offer_new(person, history)?;
                }
                Ok(())
            }
            Act::Revoke => self.revoke_some(primary, person),
            Act::LogOut => match self.companion_of(person, primary) {
                Some(companion) => self.end(companion, companion),
                None => Ok(()),
            },
            Act::PassOn => match self.companion_of(person, primary) {
                Some(companion) => self.pass_on(primary, companion),
                None => Ok(()),
            },
            Act::Race => self.race(person, primary),
            Act::NewCode => self.give(primary, Command::NewRecoveryCode).map(drop),
            Act::Lose => self.lose_and_recover(person),
        }
    }

    /// Devices that somebody has in hand, linked or not.
    fn household(&self, person: usize) -> Vec<usize> {
        let slots = self.devices.iter().enumerate();
        let own = slots.filter(|(_, slot)| slot.person == person && !slot.retired);
        own.map(|(device, _)| device).collect()
    }

    pub(super) fn primary_of(&self, person: usize) -> Option<usize> {
        let account = self.book.account_of(person)?;
        let primary = self.registry.log(&account)?.primary();
        let of = |device: &usize| self.devices[*device].id == Some(primary);
        self.household(person).into_iter().find(of)
    }

    pub(super) fn companion_of(&mut self, person: usize, primary: usize) -> Option<usize> {
        let mut companions = self.household(person);
        companions.retain(|device| *device != primary && self.belongs(*device));
        self.chance.deeds().pick(&companions).copied()
    }

    /// A new device, switched on, that offers itself to be linked.
    pub(super) fn offer_new(
        &mut self,
        person: usize,
        history: bool,
    ) -> Result<Option<usize>, Violation> {
        if self.has_no_room() {
            return Ok(None);
        }
        let device = self.arrive(person, Origin::Linked { history })?;
        self.offer(device)?;
        Ok(Some(device))
    }

    /// Whether there were as many devices as a world has.
    pub(super) fn has_no_room(&self) -> bool {
        self.devices.len() >= self.book.people.len() * (self.plan.household + MORE)
    }

    fn offer(&mut self, device: usize) -> Result<(), Violation> {
        self.devices[device].attempts += 1;
        let (name, join) = (format!("device {device}"), Join::Ask);
        self.give(device, Command::OfferDevice { name, join }).map(drop)
    }

    pub(super) fn arrive(&mut self, person: usize, origin: Origin) -> Result<usize, Violation> {
        let device = self.devices.len();
        let mut disk = Disk::default();
        disk.set_fault(self.plan.disk_fault());
        let mut slot = Device::new(person, disk);
        slot.origin = origin;
        if self.plan.faults.clock > 0 {
            slot.clock.jump(self.chance.deeds());
        }
        self.devices.push(slot);
        self.boot(device)?;
        Ok(device)
    }

    fn revoke_some(&mut self, primary: usize, person: usize) -> Result<(), Violation> {
        let Some(account) = self.book.account_of(person) else { return Ok(()) };
        let log = self.registry.log(&account);
        let active: Vec<DeviceId> =
            log.map(|log| log.devices().map(|(id, _)| *id).collect()).unwrap_or_default();
        let own = self.devices[primary].id;
        let others: Vec<DeviceId> = active.into_iter().filter(|id| Some(*id) != own).collect();
        match self.chance.deeds().pick(&others).copied() {
            Some(device) => self.give(primary, Command::RevokeDevice { device }).map(drop),
            None => Ok(()),
        }
    }

    pub(super) fn end(&mut self, by: usize, device: usize) -> Result<(), Violation> {
        let Some(device) = self.devices[device].id else { return Ok(()) };
        self.give(by, Command::RevokeDevice { device }).map(drop)
    }

    pub(super) fn pass_on(&mut self, primary: usize, to: usize) -> Result<(), Violation> {
        let Some(device) = self.devices[to].id else { return Ok(()) };
        if self.is_liar(to) {
            // Nobody has it at hand: a thief's device that signs for the account is the account's.
            return Ok(());
        }
        self.give(primary, Command::MakePrimary { device }).map(drop)
    }

    /// Two devices want to change the account's log at once, in ways that exclude each other.
    fn race(&mut self, person: usize, primary: usize) -> Result<(), Violation> {
        let Some(companion) = self.companion_of(person, primary) else { return Ok(()) };
        match self.chance.deeds().below(4) {
            0 => {
                self.pass_on(primary, companion)?;
                self.end(companion, companion)
            }
            1 => {
                self.end(companion, companion)?;
                self.end(primary, companion)
            }
            2 => {
                self.pass_on(primary, companion)?;
                self.revoke_some(primary, person)?;
                self.end(companion, primary)
            }
            _ => {
                // The first to know that it is the primary ends the one before.
                self.pass_on(primary, companion)?;
                let due = self.chance.deeds().below(2_000);
                self.agenda.after(due, Event::End { by: companion, device: primary });
                self.offer_new(person, true).map(drop)
            }
        }
    }

    /// Ends a device, if both are still there.
    pub(super) fn end_later(&mut self, by: usize, device: usize) -> Result<(), Violation> {
        if self.devices[by].retired { Ok(()) } else { self.end(by, device) }
    }

    /// Somebody loses all devices, or believes so, and brings the account back on a new one.
    pub(super) fn lose_and_recover(&mut self, person: usize) -> Result<(), Violation> {
        if self.has_no_room() || self.book.people[person].codes.is_empty() {
            return Ok(());
        }
        if !self.chance.deeds().one_in(4) {
            for device in self.household(person) {
                self.lose(device);
            }
        }
        let device = self.arrive(person, Origin::Recovers)?;
        self.recover(device)
    }

    /// A device falls into the sea.
    fn lose(&mut self, device: usize) {
        self.note(format_args!("{device} is lost"));
        self.tell(|teller| Some(format!("{} is lost", teller.device(device))));
        self.retire(device);
        self.book.gone.insert(device);
    }

    /// Tries the newest code, or one before.
    pub(super) fn recover(&mut self, device: usize) -> Result<(), Violation> {
        self.devices[device].attempts += 1;
        let person = &self.book.people[self.devices[device].person];
        let (address, mut codes) = (person.address.clone(), person.codes.clone());
        let Some(newest) = codes.pop() else { return Ok(()) };
        let older =
            self.chance.deeds().pick(&codes).cloned().filter(|_| self.chance.deeds().one_in(3));
        let code = older.unwrap_or(newest);
        let name = format!("device {device}");
        self.give(device, Command::RecoverAccount { address, code, name }).map(drop)
    }

    /// A guest that came to nothing is tried once more, or put away. What came to nothing may be told
    /// twice: as an answer and as an event.
    pub(super) fn retry(&mut self, device: usize, attempt: u32) -> Result<(), Violation> {
        let slot = &self.devices[device];
        let busy = slot.attempts != attempt;
        if busy || slot.retired || !slot.is_guest() || slot.engine.is_none() || !self.chaos {
            return Ok(());
        }
        if slot.origin == Origin::Recovers {
            return self.recover(device);
        }
        if self.chance.deeds().one_in(2) { self.put_away(device) } else { self.offer(device) }
    }

    /// A device that belongs to nobody is as empty as when it was new.
    pub(super) fn put_away(&mut self, device: usize) -> Result<(), Violation> {
        let left = self.devices[device].disk.read(b"").len();
        if left > 0 {
            let detail = format!("{device} was not linked, and keeps {left} records");
            return Err(Violation::new(Invariant::Removed, detail));
        }
        self.note(format_args!("{device} is put away"));
        self.tell(|teller| Some(format!("{} is put away", teller.device(device))));
        self.retire(device);
        Ok(())
    }

    /// What an answer means for the account's devices.
    pub(super) fn devices_answered(
        &mut self,
        device: usize,
        command: &Command,
        answer: &Result<Response, Failure>,
    ) -> Result<(), Violation> {
        match (command, answer) {
            (_, Ok(Response::Account(new))) => self.has_account(device, new),
            (Command::OfferDevice { .. }, Ok(Response::Offer(offer))) => {
                self.scan(device, offer.clone())?;
            }
            (Command::RecoverAccount { .. } | Command::OfferDevice { .. }, Err(_)) => {
                self.try_again(device);
            }
            (_, Ok(Response::RecoveryCode(code))) => {
                let person = self.devices[device].person;
                self.book.people[person].codes.push(code.clone());
            }
            (Command::RevokeDevice { device: ended }, Ok(_)) => {
                let messages = self.book.written.len() as u64;
                self.registry.end(*ended, messages);
                if self.devices[device].id == Some(*ended) {
                    self.book.gone.insert(device);
                    self.put_away(device)?;
                }
            }
            _ => {}
        }
        let ended = self.devices[device].id.is_some_and(|id| self.registry.ended(&id).is_some());
        if ended && answer.is_ok() {
            self.book.in_vain(command);
        }
        Ok(())
    }

    fn has_account(&mut self, device: usize, new: &NewAccount) {
        let slot = &mut self.devices[device];
        slot.id = Some(new.device);
        self.book.people[slot.person].codes.push(new.recovery_code.clone());
    }

    fn try_again(&mut self, device: usize) {
        let due = self.chance.deeds().below(TYPING_MS);
        let attempt = self.devices[device].attempts;
        self.agenda.after(due, Event::Retry { device, attempt });
    }

    /// Somebody scans an offer with the primary.
    fn scan(&mut self, guest: usize, offer: String) -> Result<(), Violation> {
        let Origin::Linked { history } = self.devices[guest].origin else { return Ok(()) };
        let Some(host) = self.primary_of(self.devices[guest].person) else { return Ok(()) };
        if !history {
            let person = self.devices[guest].person;
            let within = self.conversations_of(person);
            self.book.comes_new(guest, person, &within);
        }
        // Whoever links a device has both in hand, and online.
        self.give(host, Command::GoOnline)?;
        let due = if self.chaos { self.chance.deeds().below(SCANNING_MS) } else { GRACE_MS };
        self.agenda.after(due, Event::Scan { device: host, offer, history });
        Ok(())
    }

    /// The conversations that somebody's devices show them as members of.
    fn conversations_of(&self, person: usize) -> BTreeSet<SpaceId> {
        let own = self.devices.iter().filter(|slot| slot.person == person);
        let shown = own.flat_map(|slot| &slot.screen.conversations);
        shown.filter(|(_, view)| view.active).map(|(space, _)| *space).collect()
    }

    pub(super) fn scanned(
        &mut self,
        device: usize,
        offer: String,
        history: bool,
    ) -> Result<(), Violation> {
        if self.devices[device].engine.is_none() {
            return Ok(());
        }
        self.give(device, Command::AcceptDevice { offer, history }).map(drop)
    }

    /// A guest shows its code: its user types it on the primary.
    pub(super) fn code_shown(&mut self, guest: usize, code: String) {
        let Some(host) = self.primary_of(self.devices[guest].person) else { return };
        let due = if self.chaos { self.chance.deeds().below(TYPING_MS) } else { 0 };
        self.agenda.after(due, Event::Type { device: host, code });
    }

    pub(super) fn typed(&mut self, device: usize, code: String) -> Result<(), Violation> {
        if self.devices[device].engine.is_none() {
            return Ok(());
        }
        self.give(device, Command::ConfirmDevice { code }).map(drop)
    }

    pub(super) fn link_done(&mut self, device: usize, id: DeviceId) {
        self.devices[device].id = Some(id);
    }

    pub(super) fn link_failed(&mut self, device: usize) {
        if self.devices[device].is_guest() {
            self.try_again(device);
        }
    }

    /// What a status says of the device itself.
    pub(super) fn status_seen(&mut self, device: usize, status: &Status) {
        let slot = &mut self.devices[device];
        if status.device.is_some() {
            slot.id = status.device;
        }
        let person = slot.person;
        if let Some(account) = status.account {
            self.book.people[person].account.get_or_insert(account);
        }
        let in_order = self.book.gone.contains(&device) || status.account.is_none();
        let doubled = self.copies.iter().any(|(one, other)| *one == device || *other == device);
        if status.waiting == 0 && status.up_to_date && !doubled {
            self.book.unaware.remove(&device);
        }
        if status.waiting == 0 && !in_order {
            self.book.confirmed(device);
        }
    }

    /// Reads the relay's logs: what they say now is durable.
    pub(super) fn read_registry(&mut self) {
        let messages = self.book.written.len() as u64;
        let accounts: Vec<AccountId> =
            self.book.people.iter().filter_map(|person| person.account).collect();
        let Some(store) = self.relay.store() else { return };
        for account in accounts {
            self.registry.read(&account, store, messages);
        }
        let mut bereft = BTreeSet::new();
        for (device, slot) in self.devices.iter().enumerate() {
            if slot.id.is_some_and(|id| self.registry.ended(&id).is_some())
                && self.book.gone.insert(device)
            {
                bereft.extend(self.book.account_of(slot.person));
            }
        }
        for account in bereft {
            self.note_deserted(account);
        }
    }

    /// A device of an account ended: where it was the last one in, nobody of the account is there.
    fn note_deserted(&mut self, account: AccountId) {
        let Some(store) = self.relay.store() else { return };
        for (space, company) in &mut self.book.companies {
            let present = devices_in(store, space);
            let stays = |device: &DeviceId| self.registry.is_active(&account, device);
            if present.get(&account).is_some_and(|devices| !devices.iter().any(stays)) {
                company.deserted.insert(account);
            }
        }
    }

    /// Every device learns what became of it: links and recoveries under way end, one way or the
    /// other, and no account has a device that nobody holds.
    pub(super) fn gather(&mut self) -> Result<(), Violation> {
        for device in 0..self.devices.len() {
            if !self.devices[device].is_guest() {
                self.give(device, Command::GoOnline)?;
            }
        }
        self.pass(GATHER_MS)?;
        for device in 0..self.devices.len() {
            if self.devices[device].engine.is_none() {
                continue;
            }
            self.status(device)?;
            if self.devices[device].is_guest() {
                self.give(device, Command::CancelLink)?;
                self.pass(GRACE_MS)?;
                self.bring_back(device)?;
            }
        }
        for device in 0..self.devices.len() {
            self.give(device, Command::GoOnline)?;
        }
        self.pass(GRACE_MS)?;
        self.check_held()
    }

    /// Tries all codes until the account is back, if this device is to do that.
    fn bring_back(&mut self, device: usize) -> Result<(), Violation> {
        let person = &self.book.people[self.devices[device].person];
        let (address, codes) = (person.address.clone(), person.codes.clone());
        let recovers = self.devices[device].origin == Origin::Recovers;
        for code in codes.into_iter().rev().filter(|_| recovers) {
            let (address, name) = (address.clone(), format!("device {device}"));
            self.ask(device, Command::RecoverAccount { address, code, name })?.ok();
            self.status(device)?;
            if !self.devices[device].is_guest() {
                return Ok(());
            }
        }
        self.put_away(device)
    }

    /// Each device that an account's log has is in somebody's hands, or was lost.
    fn check_held(&self) -> Result<(), Violation> {
        for (account, log) in self.registry.accounts() {
            for (id, _) in log.devices() {
                let holds = |(device, slot): (usize, &Device)| {
                    // What was lost while it was being linked may have been linked.
                    let lost = slot.id.is_none() && self.book.gone.contains(&device);
                    slot.id == Some(*id)
                        || (lost && self.book.account_of(slot.person) == Some(*account))
                };
                // Where a relay lies, a link may come to nothing that only the primary took for done: it
                // ends the device that never came, at the next link.
                let lied = self.plan.relay_lies > 0;
                if !lied && !self.devices.iter().enumerate().any(holds) {
                    let detail = format!("{account:?} has the device {id:?}, which nobody holds");
                    return Err(Violation::new(Invariant::Robust, detail));
                }
            }
        }
        Ok(())
    }

    /// Writes down whose each device is, and whose devices were all lost at some time.
    pub(super) fn note_kin(&mut self) {
        self.book.catch_up();
        for (device, slot) in self.devices.iter().enumerate() {
            let Some(account) = self.book.account_of(slot.person) else { continue };
            self.book.owners.insert(device, account);
            if self.came_back(slot.person) {
                self.book.bereaved.insert(account);
            }
        }
    }

    /// Whether somebody brought their account back.
    pub(super) fn came_back(&self, person: usize) -> bool {
        self.devices.iter().any(|slot| {
            slot.person == person && slot.origin == Origin::Recovers && slot.id.is_some()
        })
    }

    /// Links a new device of whoever uses `host`, which is the primary, and waits until it is.
    ///
    /// # Errors
    /// `Robust` if that does not work.
    pub fn link(&mut self, host: usize, history: bool) -> Result<usize, Violation> {
        let guest = self.begin_link(host, history)?;
        self.finish_link(guest)?;
        Ok(guest)
    }

    /// A new device offers itself to the account of `host`. Gives the new device.
    ///
    /// # Errors
    /// If it can't.
    pub fn begin_link(&mut self, host: usize, history: bool) -> Result<usize, Violation> {
        let person = self.devices[host].person;
        let guest = self.arrive(person, Origin::Linked { history })?;
        self.offer(guest)?;
        Ok(guest)
    }

    /// Somebody begins to bring their account back on a new device, by the newest code. Gives the
    /// new device.
    ///
    /// # Errors
    /// If it can't.
    pub fn begin_recovery(&mut self, person: usize) -> Result<usize, Violation> {
        let device = self.arrive(person, Origin::Recovers)?;
        self.recover(device)?;
        Ok(device)
    }

    /// Waits until a device that offered itself is linked.
    ///
    /// # Errors
    /// If it is not within a minute.
    pub fn finish_link(&mut self, guest: usize) -> Result<(), Violation> {
        for _ in 0..60 {
            self.pass(1_000)?;
            if self.devices[guest].id.is_some() {
                return Ok(());
            }
        }
        Err(Violation::new(Invariant::Robust, format!("{guest} can't be linked")))
    }
}
