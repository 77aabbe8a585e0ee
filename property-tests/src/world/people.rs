//! What people do, at random, with what their screens show.

use serde_json::json;
use sync_core::Command;
use sync_core::api::{MessageView, Space};
use sync_core::document::{AppOp, OrderKey, Step};
use sync_protocol::SpaceId;
use sync_protocol::address::Address;
use sync_protocol::roster::Role;

use super::World;
use crate::MARK;
use crate::violation::Violation;

/// Messages on a screen.
const PAGE: usize = 20;
/// The app document that people count in, and the key of its counter.
const TALLY: (&str, &str) = ("tally", "n");

/// Something to do.
#[derive(Clone, Copy, Debug)]
enum Deed {
    Found,
    Send,
    Burst,
    Reply,
    Edit,
    Delete,
    React,
    Read,
    Look,
    Count,
    Setting,
    Typing,
    Fingerprint,
    Offline,
    Online,
    Members,
}

const DEEDS: [(u64, Deed); 15] = [
    (3, Deed::Found),
    (24, Deed::Send),
    (4, Deed::Burst),
    (6, Deed::Reply),
    (5, Deed::Edit),
    (2, Deed::Delete),
    (6, Deed::React),
    (7, Deed::Read),
    (14, Deed::Look),
    (5, Deed::Count),
    (4, Deed::Setting),
    (2, Deed::Typing),
    (3, Deed::Fingerprint),
    (3, Deed::Offline),
    (6, Deed::Online),
];

impl World {
    /// Somebody does something.
    pub(super) fn live(&mut self, device: usize) -> Result<(), Violation> {
        if self.devices[device].engine.is_none() {
            return Ok(());
        }
        if self.devices[device].is_guest() {
            return Ok(());
        }
        let person = &self.book.people[self.devices[device].person];
        if person.account.is_none() {
            let (address, name) = (person.address.clone(), person.name.clone());
            return self.give(device, Command::CreateAccount { address, name }).map(drop);
        }
        let mut deeds = DEEDS.to_vec();
        deeds.push((self.plan.membership, Deed::Members));
        let deed = self.chance.deeds().weighted(&deeds);
        let Some(space) = self.conversation_of(device) else {
            let alone = matches!(deed, Deed::Offline | Deed::Online | Deed::Setting);
            let deed = if alone { deed } else { Deed::Found };
            return self.anywhere(device, deed);
        };
        self.within(device, space, deed)
    }

    fn conversation_of(&mut self, device: usize) -> Option<SpaceId> {
        let shown = &self.devices[device].screen.conversations;
        let active: Vec<_> = shown.iter().filter(|(_, view)| view.active).collect();
        let spaces: Vec<_> = active.into_iter().map(|(space, _)| *space).collect();
        self.chance.deeds().pick(&spaces).copied()
    }

    fn anywhere(&mut self, device: usize, deed: Deed) -> Result<(), Violation> {
        let command = match deed {
            Deed::Offline => Command::GoOffline,
            Deed::Online => Command::GoOnline,
            Deed::Setting => {
                let key = self.chance.deeds().below(4);
                // A key of several devices would have no one last value.
                let key = match self.has_churn() {
                    true => format!("theme/{device}-{key}"),
                    false => format!("theme/{key}"),
                };
                let value = if self.chance.deeds().one_in(6) {
                    json!(null)
                } else {
                    json!(self.text("setting"))
                };
                Command::SetSetting { key, value }
            }
            _ => return self.found(device),
        };
        self.give(device, command).map(drop)
    }

    fn within(&mut self, device: usize, space: SpaceId, deed: Deed) -> Result<(), Violation> {
        let conversation = space;
        match deed {
            Deed::Send => self.send(device, space, None),
            Deed::Burst => {
                for _ in 0..self.chance.deeds().between(2, 8) {
                    self.send(device, space, None)?;
                }
                Ok(())
            }
            Deed::Look => {
                let command = Command::ListMessages { conversation, before: None, limit: PAGE };
                self.give(device, command).map(drop)
            }
            Deed::Count => self.count(device, space),
            Deed::Typing => self.give(device, Command::Typing { conversation }).map(drop),
            Deed::Fingerprint => {
                let space = Space::Conversation(space);
                self.give(device, Command::Digest { space }).map(drop)
            }
            Deed::Members if self.changes.leaves_out("membership") => Ok(()),
            Deed::Members => self.change_members(device, space),
            Deed::Reply | Deed::Edit | Deed::Delete | Deed::React | Deed::Read => {
                self.with_a_message(device, space, deed)
            }
            Deed::Found | Deed::Setting | Deed::Offline | Deed::Online => {
                self.anywhere(device, deed)
            }
        }
    }

    fn with_a_message(
        &mut self,
        device: usize,
        conversation: SpaceId,
        deed: Deed,
    ) -> Result<(), Violation> {
        let own = matches!(deed, Deed::Edit | Deed::Delete);
        let Some(message) = self.message_on_screen(device, conversation, own) else {
            let command = Command::ListMessages { conversation, before: None, limit: PAGE };
            return self.give(device, command).map(drop);
        };
        let command = match deed {
            Deed::Reply => return self.send(device, conversation, Some(message)),
            Deed::Edit => Command::EditMessage { conversation, message, text: self.text("edited") },
            Deed::Delete => Command::DeleteMessage { conversation, message },
            Deed::React => {
                let emoji = ["👍", "🎉", "❤"];
                let emoji = self.chance.deeds().pick(&emoji).map(|emoji| (*emoji).to_owned());
                let emoji = emoji.filter(|_| !self.chance.deeds().one_in(4));
                Command::React { conversation, message, emoji }
            }
            _ => Command::MarkRead { conversation, message },
        };
        self.give(device, command).map(drop)
    }

    fn message_on_screen(&mut self, device: usize, space: SpaceId, own: bool) -> Option<OrderKey> {
        let slot = &self.devices[device];
        let me = self.book.account_of(slot.person)?;
        let page = slot.screen.pages.get(&space)?;
        let fits = |view: &&MessageView| !view.deleted && (!own || view.author == me);
        let keys: Vec<_> = page.iter().filter(fits).map(|view| view.message).collect();
        self.chance.deeds().pick(&keys).copied()
    }

    fn found(&mut self, device: usize) -> Result<(), Violation> {
        if self.devices[device].screen.conversations.len() >= self.plan.conversations {
            return Ok(());
        }
        let me = self.devices[device].person;
        let mut members = Vec::new();
        for person in 0..self.book.people.len() {
            if person != me && !self.chance.deeds().one_in(3) {
                members.push(self.book.people[person].address.clone());
            }
        }
        let title = self.text("title");
        self.give(device, Command::CreateConversation { title, members }).map(drop)
    }

    pub(super) fn send(
        &mut self,
        device: usize,
        conversation: SpaceId,
        reply_to: Option<OrderKey>,
    ) -> Result<(), Violation> {
        let text = self.text("message");
        self.give(device, Command::SendMessage { conversation, text, reply_to }).map(drop)
    }

    /// Counts up. The counter is made by whoever founded the conversation, so that it is one.
    fn count(&mut self, device: usize, space: SpaceId) -> Result<(), Violation> {
        let me = self.book.account_of(self.devices[device].person);
        let founder = self.book.founders.get(&space).copied();
        let path = vec![Step::Key(TALLY.1.to_owned())];
        let op = if founder.is_some() && founder == me && self.book.begun.insert(space) {
            AppOp::Put { path, value: br#"{"$counter": 0}"#.to_vec().into() }
        } else {
            AppOp::Increment { path, by: 1 + i64::from(self.chance.deeds().one_in(2)) }
        };
        let space = Space::Conversation(space);
        let command = Command::ChangeDocument { space, name: TALLY.0.into(), ops: vec![op] };
        self.give(device, command).map(drop)
    }

    fn change_members(&mut self, device: usize, conversation: SpaceId) -> Result<(), Violation> {
        use sync_core::api::Member;
        let address = self.somebody();
        let member = Member::Address(address.clone());
        let command = match self.chance.deeds().below(9) {
            0..=2 => {
                let share_history = self.chance.deeds().one_in(2);
                Command::AddMember { conversation, address, share_history }
            }
            3 | 4 => Command::RemoveMember { conversation, member },
            5 => Command::Leave { conversation },
            6 | 7 => {
                let role = if self.chance.deeds().one_in(3) { Role::Member } else { Role::Admin };
                Command::SetRole { conversation, member, role }
            }
            _ => Command::SetTitle { conversation, title: self.text("title") },
        };
        self.give(device, command).map(drop)
    }

    fn somebody(&mut self) -> Address {
        let person = self.chance.deeds().index(self.book.people.len());
        self.book.people[person].address.clone()
    }

    /// A text that occurs once in this world, and begins with the mark that all of them have.
    pub fn text(&mut self, what: &str) -> String {
        self.texts += 1;
        let filler = usize::try_from(self.chance.deeds().below(120)).unwrap_or_default();
        format!("{MARK}{what}{}~{}", self.texts, "x".repeat(filler))
    }
}
