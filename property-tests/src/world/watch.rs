//! Which situations came about, by what can be seen from outside.

use std::collections::BTreeMap;

use sync_core::Command;
use sync_protocol::error::Rejection;
use sync_protocol::frames::RelayFrame;
use sync_protocol::{DeviceId, SpaceId};

use super::beside::Later;
use super::{Event, World};
use crate::device::{Device, Origin};
use crate::monitor::Entrance;
use crate::situation::Situation;

const HOUR_MS: u64 = 3600 * 1000;
/// Messages of one segment.
const SEGMENT: usize = 1_000;

/// What is remembered to see situations by.
#[derive(Clone, Debug, Default)]
pub(super) struct Watch {
    /// When somebody was added without history, by conversation.
    added_new_ms: BTreeMap<SpaceId, u64>,
    /// A primary that is to lose its power once it has certified a device.
    pub(super) trap: Option<usize>,
    /// When somebody last ended a device, by person.
    revoked_ms: BTreeMap<usize, u64>,
    /// Devices on which somebody left a conversation, and when.
    left: Vec<(usize, SpaceId, u64)>,
    /// When each device was switched off.
    off_ms: BTreeMap<usize, u64>,
}

impl World {
    pub(super) fn meet(&mut self, situation: Situation) {
        self.met.insert(situation);
    }

    fn meet_if(&mut self, condition: bool, situation: Situation) {
        if condition {
            self.meet(situation);
        }
    }

    /// Devices that are being linked to somebody's account.
    fn guests_of(&self, person: usize) -> impl Iterator<Item = &Device> {
        self.devices.iter().filter(move |slot| {
            let linked = matches!(slot.origin, Origin::Linked { .. });
            slot.person == person && linked && slot.is_guest() && slot.engine.is_some()
        })
    }

    /// Somebody gives a command.
    pub(super) fn watch_command(&mut self, device: usize, command: &Command) {
        let person = self.devices[device].person;
        let guests = self.guests_of(person).count();
        match command {
            Command::OfferDevice { .. } => self.meet_if(guests > 1, Situation::TwoLinks),
            Command::RevokeDevice { .. } => {
                self.meet_if(guests > 0, Situation::RevokeBesideLink);
                self.watch.revoked_ms.insert(person, self.agenda.now_ms());
                self.watch_leaves(person);
            }
            Command::MakePrimary { .. } => self.meet_if(guests > 0, Situation::PassedOnDuringLink),
            Command::RecoverAccount { .. } => self.watch_recovery(person, guests),
            Command::CreateConversation { .. } => {
                self.meet_if(guests > 0, Situation::FoundedDuringLink);
            }
            Command::SetSetting { .. } => {
                let new = |slot: &Device| slot.origin == Origin::Linked { history: false };
                let any = self.guests_of(person).any(new);
                self.meet_if(any, Situation::SettingsDuringLink);
            }
            Command::Leave { conversation } => {
                let waits = self.evictions_wait(conversation);
                self.meet_if(waits, Situation::LeaveBesideEviction);
                self.watch.left.push((device, *conversation, self.agenda.now_ms()));
                for person in 0..self.book.people.len() {
                    self.watch_leaves(person);
                }
            }
            Command::AddMember { conversation, address, share_history } => {
                if !share_history {
                    self.watch.added_new_ms.insert(*conversation, self.agenda.now_ms());
                }
                let account = self.book.account_at(address);
                let company = self.book.companies.get(conversation);
                let again = company
                    .zip(account)
                    .is_some_and(|(company, account)| company.removed.contains(&account));
                self.meet_if(again, Situation::AddedAgain);
            }
            Command::SendMessage { conversation, .. } => self.watch_message(device, conversation),
            Command::Once { command, .. } => self.watch_command(device, command),
            // No situation begins with these.
            Command::CreateAccount { .. }
            | Command::SetName { .. }
            | Command::JoinAccount { .. }
            | Command::CancelLink
            | Command::AcceptDevice { .. }
            | Command::ConfirmDevice { .. }
            | Command::ListDevices
            | Command::NewRecoveryCode
            | Command::DrawInvite
            | Command::AcceptConversation { .. }
            | Command::DeclineConversation { .. }
            | Command::SetBlocked { .. }
            | Command::Status
            | Command::LookupContact { .. }
            | Command::ShowContact { .. }
            | Command::CompareContact { .. }
            | Command::VerifyContact { .. }
            | Command::AcceptAddress { .. }
            | Command::AcceptRelay { .. }
            | Command::ListConversations
            | Command::RemoveMember { .. }
            | Command::SetRole { .. }
            | Command::SetTitle { .. }
            | Command::MarkRead { .. }
            | Command::EditMessage { .. }
            | Command::DeleteMessage { .. }
            | Command::React { .. }
            | Command::ListMessages { .. }
            | Command::Typing { .. }
            | Command::SetPresence { .. }
            | Command::Foreground { .. }
            | Command::Setting { .. }
            | Command::Settings
            | Command::ReadDocument { .. }
            | Command::ChangeDocument { .. }
            | Command::ExportDocument { .. }
            | Command::AskDocument { .. }
            | Command::ListDocuments { .. }
            | Command::RenameDocument { .. }
            | Command::ArchiveDocument { .. }
            | Command::DeleteDocument { .. }
            | Command::ImportDocument { .. }
            | Command::Wait(_)
            | Command::Digest { .. }
            | Command::ForgetEdits { .. }
            | Command::GoOffline
            | Command::GoOnline => {}
        }
    }

    fn watch_recovery(&mut self, person: usize, guests: usize) {
        self.meet_if(guests > 0, Situation::RecoveryBesideLink);
        let recovers = |slot: &&Device| {
            slot.person == person
                && slot.origin == Origin::Recovers
                && slot.is_guest()
                && slot.engine.is_some()
        };
        let recoveries = self.devices.iter().filter(recovers).count();
        self.meet_if(recoveries > 1, Situation::TwoRecoveries);
        let apart = self.devices.iter().any(|slot| !slot.reachable && !slot.retired);
        self.meet_if(apart, Situation::RecoveryDuringPartition);
        let in_use = (0..self.devices.len()).any(|device| {
            let slot = &self.devices[device];
            slot.person == person && slot.engine.is_some() && self.belongs(device)
        });
        self.meet_if(in_use, Situation::RecoveryBesideUse);
    }

    fn watch_message(&mut self, device: usize, space: &SpaceId) {
        let slot = &self.devices[device];
        let offline_ms = slot.confirmed_until_ms;
        let ended = slot.id.is_some_and(|id| self.registry.ended(&id).is_some());
        if slot.connection.is_some() {
            return;
        }
        let added = self.watch.added_new_ms.get(space);
        let unseen = added.is_some_and(|added| *added > offline_ms);
        self.meet_if(unseen, Situation::OfflineBesideAdd);
        self.meet_if(ended, Situation::OfflineOnEnded);
    }

    /// Somebody ended a device, while somebody else leaves a conversation with them offline: neither
    /// knows of the other.
    fn watch_leaves(&mut self, person: usize) {
        let revoked_ms = self.watch.revoked_ms.get(&person).copied();
        let Some((revoked_ms, account)) = revoked_ms.zip(self.book.account_of(person)) else {
            return;
        };
        let blind = |(device, space, left_ms): &(usize, SpaceId, u64)| {
            let slot = &self.devices[*device];
            let since_ms = slot.confirmed_until_ms;
            let view = slot.screen.conversations.get(space);
            let with =
                view.is_some_and(|view| view.members.iter().any(|one| one.account == account));
            slot.person != person && with && since_ms < *left_ms && since_ms < revoked_ms
        };
        let any = self.watch.left.iter().any(blind);
        self.meet_if(any, Situation::LeaveBesideEviction);
    }

    /// Crashes a primary that has just certified a device, if it is to.
    pub(super) fn spring(&mut self) {
        let Some(device) = self.watch.trap.filter(|device| self.has_certified(*device)) else {
            return;
        };
        self.watch.trap = None;
        let due = self.chance.device(device).below(self.plan.delay_ms + 20);
        self.agenda.after(due, Event::Later(Later::Crash { device }));
    }

    /// Whether a device that its account ended is still in a space.
    fn evictions_wait(&self, space: &SpaceId) -> bool {
        let mut present = self.monitor.present(space);
        present.any(|device| self.registry.ended(device).is_some())
    }

    /// A device loses its power, or is switched off.
    pub(super) fn watch_off(&mut self, device: usize) {
        self.watch.off_ms.insert(device, self.agenda.now_ms());
        let certified = self.has_certified(device);
        self.meet_if(certified, Situation::CrashAfterCertificate);
    }

    /// Whether this is a primary whose log has a device that its account's space has not.
    fn has_certified(&self, device: usize) -> bool {
        let slot = &self.devices[device];
        let Some(account) = self.book.account_of(slot.person) else { return false };
        let Some(log) = self.registry.log(&account) else { return false };
        let space = account.space();
        slot.id == Some(log.primary())
            && log.devices().any(|(id, _)| Some(*id) != slot.id && !self.monitor.is_in(&space, id))
    }

    /// A device comes back.
    pub(super) fn watch_boot(&mut self, device: usize) {
        let Some(off_ms) = self.watch.off_ms.remove(&device) else { return };
        let away_ms = self.agenda.now_ms().saturating_sub(off_ms);
        self.meet_if(away_ms >= HOUR_MS, Situation::BackAfterHours);
        let weeks = away_ms >= sync_protocol::limits::DORMANT_WARN_MS;
        self.meet_if(weeks, Situation::BackAfterWeeks);
        let mut sizes: BTreeMap<SpaceId, usize> = BTreeMap::new();
        for (space, _) in self.book.written.keys() {
            *sizes.entry(*space).or_default() += 1;
        }
        let long = sizes.values().any(|size| *size > SEGMENT);
        self.meet_if(long && away_ms > 0, Situation::SegmentDuringAbsence);
    }

    /// A device's disk is full.
    pub(super) fn watch_full(&mut self, device: usize) {
        let slot = &self.devices[device];
        let person = slot.person;
        let primary = self.book.account_of(person).and_then(|account| {
            self.registry.log(&account).map(sync_protocol::device_log::DeviceLog::primary)
        });
        let concerned = slot.is_guest() || (slot.id.is_some() && slot.id == primary);
        let guests = self.guests_of(person).count() > 0;
        self.meet_if(concerned && guests, Situation::FullDiskDuringLink);
    }

    /// The relay loses its power.
    pub(super) fn watch_relay_crash(&mut self) {
        let guests = (0..self.book.people.len()).any(|person| self.guests_of(person).count() > 0);
        self.meet_if(guests, Situation::RelayCrashDuringLink);
    }

    /// The relay says something.
    pub(super) fn watch_relay(&mut self, message: &[u8]) {
        for Entrance { space, device } in self.monitor.take_entrances() {
            let waits = |id: &DeviceId| *id != device && self.registry.ended(id).is_some();
            let any = self.monitor.present(&space).any(waits);
            self.meet_if(any, Situation::EntryBesideEviction);
        }
        if self.met.contains(&Situation::TwoCommits) {
            return;
        }
        if let Ok(RelayFrame::Refused { seq: 0, reason: Rejection::Behind { .. }, .. }) =
            RelayFrame::parse(message)
        {
            self.meet(Situation::TwoCommits);
        }
    }
}
