//! Things that happen beside each other on purpose: what chance alone brings about too rarely.

use serde_json::json;
use sync_core::Command;
use sync_protocol::address::Address;
use sync_protocol::{AccountId, SpaceId};

use super::{Event, World};
use crate::device::Origin;
use crate::violation::Violation;

/// The time that a link takes at the longest, in ms.
const LINK_MS: u64 = 40_000;

/// Two things at once.
#[derive(Clone, Copy, Debug)]
enum Pair {
    LinkAndLink,
    LinkAndRevoke,
    LinkAndPassOn,
    LinkAndRecovery,
    LinkAndSettings,
    LinkAndCrash,
    LinkAndFullDisk,
    LinkAndRelayCrash,
    TwoRecoveries,
    RecoveryInPartition,
    LeaveAndRevoke,
    AddAndOffline,
    RevokeAndOffline,
}

const PAIRS: [(u64, Pair); 13] = [
    (2, Pair::LinkAndLink),
    (3, Pair::LinkAndRevoke),
    (3, Pair::LinkAndPassOn),
    (2, Pair::LinkAndRecovery),
    (3, Pair::LinkAndSettings),
    (3, Pair::LinkAndCrash),
    (2, Pair::LinkAndFullDisk),
    (1, Pair::LinkAndRelayCrash),
    (2, Pair::TwoRecoveries),
    (2, Pair::RecoveryInPartition),
    (3, Pair::LeaveAndRevoke),
    (3, Pair::AddAndOffline),
    (2, Pair::RevokeAndOffline),
];

/// Something that was begun and goes on later.
#[derive(Clone, Debug)]
pub(super) enum Later {
    End { by: usize, device: usize },
    PassOn { from: usize, to: usize },
    Recover { person: usize },
    Settings { device: usize },
    Crash { device: usize },
    FullDisk { device: usize },
    RelayCrash,
    Write { device: usize, space: SpaceId },
    Leave { device: usize, space: SpaceId },
    DropCopy { one: usize, other: usize },
    Accept { device: usize, space: SpaceId },
}

/// Within how long somebody accepts what they are invited to, and tries again if they can't.
const ACCEPT_MS: u64 = 4_000;

impl World {
    fn later(&mut self, most_ms: u64, later: Later) {
        let due = self.chance.deeds().below(most_ms);
        self.agenda.after(due, Event::Later(later));
    }

    /// Somebody does, or suffers, two things at once.
    pub(super) fn beside(&mut self) -> Result<(), Violation> {
        let person = self.chance.deeds().index(self.book.people.len());
        let pair = self.chance.deeds().weighted(&PAIRS);
        let Some(primary) = self.primary_of(person) else { return Ok(()) };
        self.note(format_args!("person {person} with primary {primary}: {pair:?}"));
        match pair {
            Pair::TwoRecoveries => {
                self.recover_anew(person)?;
                self.later(LINK_MS / 4, Later::Recover { person });
                Ok(())
            }
            Pair::RecoveryInPartition => {
                for device in 0..self.devices.len() {
                    if self.devices[device].person != person && self.chance.deeds().one_in(2) {
                        let for_ms = self.chance.deeds().between(20_000, 90_000);
                        self.isolate(device, for_ms);
                    }
                }
                self.lose_and_recover(person)
            }
            Pair::LeaveAndRevoke => self.leave_beside_revoke(person, primary),
            Pair::AddAndOffline => self.add_beside_writing(primary),
            Pair::RevokeAndOffline => self.revoke_beside_writing(person, primary),
            link => self.beside_link(person, primary, link),
        }
    }

    fn beside_link(&mut self, person: usize, primary: usize, pair: Pair) -> Result<(), Violation> {
        let history = match pair {
            Pair::LinkAndSettings => false,
            _ => !self.chance.deeds().one_in(3),
        };
        let companion = self.companion_of(person, primary);
        let Some(guest) = self.offer_new(person, history)? else { return Ok(()) };
        match pair {
            Pair::LinkAndLink => {
                self.offer_new(person, true)?;
            }
            Pair::LinkAndRevoke => {
                if let Some(device) = companion {
                    self.later(LINK_MS, Later::End { by: primary, device });
                }
            }
            Pair::LinkAndPassOn => {
                if let Some(to) = companion {
                    self.later(LINK_MS, Later::PassOn { from: primary, to });
                }
            }
            Pair::LinkAndRecovery => self.later(LINK_MS, Later::Recover { person }),
            Pair::LinkAndSettings => {
                for _ in 0..4 {
                    let device = companion.filter(|_| self.chance.deeds().one_in(2));
                    let device = device.unwrap_or(primary);
                    self.later(LINK_MS, Later::Settings { device });
                }
            }
            Pair::LinkAndCrash => self.watch.trap = Some(primary),
            Pair::LinkAndFullDisk => {
                let device = if self.chance.deeds().one_in(2) { guest } else { primary };
                self.later(LINK_MS, Later::FullDisk { device });
            }
            _ => self.later(LINK_MS, Later::RelayCrash),
        }
        Ok(())
    }

    /// Somebody ends a device while somebody else, who knows nothing of it, leaves a conversation.
    fn leave_beside_revoke(&mut self, person: usize, primary: usize) -> Result<(), Violation> {
        let Some(companion) = self.companion_of(person, primary) else { return Ok(()) };
        let Some((device, space)) = self.other_member(person) else { return Ok(()) };
        let for_ms = self.chance.deeds().between(1_000, 30_000);
        self.isolate(device, for_ms);
        self.later(10_000, Later::Write { device, space });
        self.later(10_000, Later::Leave { device, space });
        self.end(primary, companion)
    }

    /// Somebody is added without history while somebody else writes who can't know of it.
    fn add_beside_writing(&mut self, adder: usize) -> Result<(), Violation> {
        let Some((device, space, address)) = self.stranger(adder) else { return Ok(()) };
        let for_ms = self.chance.deeds().between(5_000, 60_000);
        self.isolate(device, for_ms);
        for _ in 0..3 {
            self.later(for_ms, Later::Write { device, space });
        }
        let command = Command::AddMember { conversation: space, address, share_history: false };
        self.give(adder, command).map(drop)
    }

    /// Somebody else's device, a conversation that it is in with this one, and somebody who is not.
    fn stranger(&mut self, adder: usize) -> Option<(usize, SpaceId, Address)> {
        let person = self.devices[adder].person;
        let mut found = Vec::new();
        for (space, view) in &self.devices[adder].screen.conversations {
            let is_in = |one: &Option<AccountId>| {
                one.is_some_and(|one| view.members.iter().any(|member| member.account == one))
            };
            let outside =
                self.book.people.iter().find(|one| one.account.is_some() && !is_in(&one.account));
            let other = self.devices.iter().position(|slot| {
                let account = self.book.account_of(slot.person);
                slot.person != person && slot.engine.is_some() && is_in(&account)
            });
            if let Some((outside, other)) = outside.zip(other).filter(|_| view.active) {
                found.push((other, *space, outside.address.clone()));
            }
        }
        self.chance.deeds().pick(&found).cloned()
    }

    /// Somebody ends a device that writes on without knowing.
    fn revoke_beside_writing(&mut self, person: usize, primary: usize) -> Result<(), Violation> {
        let Some(device) = self.companion_of(person, primary) else { return Ok(()) };
        let for_ms = self.chance.deeds().between(5_000, 60_000);
        self.isolate(device, for_ms);
        let shown = &self.devices[device].screen.conversations;
        let spaces: Vec<SpaceId> =
            shown.iter().filter(|(_, view)| view.active).map(|(space, _)| *space).collect();
        for space in spaces {
            self.later(for_ms, Later::Write { device, space });
        }
        self.later(5_000, Later::End { by: primary, device });
        Ok(())
    }

    /// A device of somebody else and a conversation that it shares with this person.
    fn other_member(&mut self, person: usize) -> Option<(usize, SpaceId)> {
        let account = self.book.account_of(person)?;
        let mut found = Vec::new();
        for (device, slot) in self.devices.iter().enumerate() {
            let usable = slot.person != person && slot.engine.is_some() && !slot.retired;
            for (space, view) in slot.screen.conversations.iter().filter(|_| usable) {
                if view.active && view.members.iter().any(|member| member.account == account) {
                    found.push((device, *space));
                }
            }
        }
        self.chance.deeds().pick(&found).copied()
    }

    /// A new device brings the account back, while whatever there is of it goes on.
    fn recover_anew(&mut self, person: usize) -> Result<(), Violation> {
        if self.has_no_room() || self.book.people[person].codes.is_empty() {
            return Ok(());
        }
        let device = self.arrive(person, Origin::Recovers)?;
        self.recover(device)
    }

    /// Somebody has been invited: in a while they accept, on this device.
    pub(super) fn accept_later(&mut self, device: usize, space: SpaceId) {
        self.later(ACCEPT_MS, Later::Accept { device, space });
    }

    fn accept(&mut self, device: usize, space: SpaceId) -> Result<(), Violation> {
        let slot = &self.devices[device];
        if slot.retired {
            return Ok(());
        }
        if slot.engine.is_none() {
            self.accept_later(device, space);
            return Ok(());
        }
        self.give(device, Command::AcceptConversation { conversation: space }).map(drop)
    }

    /// What was begun goes on, if the world has not healed meanwhile.
    pub(super) fn go_on(&mut self, later: Later) -> Result<(), Violation> {
        if let Later::DropCopy { one, other } = later {
            self.drop_copy(one, other);
            return Ok(());
        }
        if let Later::Accept { device, space } = later {
            return self.accept(device, space);
        }
        if !self.chaos {
            return Ok(());
        }
        match later {
            Later::End { by, device } => self.end_later(by, device)?,
            Later::PassOn { from, to } => self.pass_on(from, to)?,
            Later::Recover { person } => self.recover_anew(person)?,
            Later::Settings { device } => {
                let key = format!("theme/{device}-{}", self.chance.deeds().below(4));
                let value = json!(self.text("setting"));
                self.give(device, Command::SetSetting { key, value })?;
            }
            Later::Crash { device } if !self.devices[device].retired => {
                let back_ms = self.chance.deeds().below(20_000);
                self.crash_device(device, back_ms);
            }
            Later::FullDisk { device } => self.fill_disk(device),
            Later::RelayCrash => {
                let back_ms = self.chance.deeds().below(20_000);
                self.crash_relay(back_ms)?;
            }
            Later::Write { device, space } => self.send(device, space, None)?,
            Later::Leave { device, space } => {
                self.give(device, Command::Leave { conversation: space })?;
            }
            Later::Crash { .. } | Later::DropCopy { .. } | Later::Accept { .. } => {}
        }
        Ok(())
    }
}
