//! Telling the world's story as it happens, and how it ended.

use std::collections::{BTreeMap, BTreeSet};

use sync_core::api::{ConversationChange, Event as Told, LinkEvent, Member, MessageView, Space};
use sync_core::document::OrderKey;
use sync_core::{Command, Failure};
use sync_protocol::frames::{Answer, RelayFrame};
use sync_protocol::{AccountId, SpaceId};

use super::{GENESIS_MS, Seen, World};
use crate::device::Origin;
use crate::network::ConnectionId;
use crate::story::{Story, Teller, label};

impl World {
    /// The same world, keeping its story.
    #[must_use]
    pub fn telling(mut self) -> Self {
        self.story = Some(Story::default());
        self
    }

    /// Adds a line to the story, if somebody wants one.
    pub(super) fn tell(&mut self, line: impl FnOnce(&mut Teller<'_>) -> Option<String>) {
        let Some(story) = &mut self.story else { return };
        let mut teller = Teller { story, book: &self.book, devices: &self.devices };
        if let Some(line) = line(&mut teller) {
            story.line(self.agenda.now_ms() - GENESIS_MS, line);
        }
    }

    /// Somebody gives a command.
    pub(super) fn tell_command(&mut self, device: usize, command: &Command) {
        self.tell(|teller| {
            let deed = deed(teller, command)?;
            Some(format!("{} {deed}", teller.device(device)))
        });
    }

    /// A command fails. Nobody reads along what was only looked at.
    pub(super) fn tell_failure(&mut self, device: usize, command: &Command, failure: &Failure) {
        self.tell(|teller| {
            deed(teller, command)?;
            Some(format!("    {} is told: {failure}", teller.device(device)))
        });
    }

    /// A device tells its user something.
    pub(super) fn tell_event(&mut self, device: usize, told: &Told) {
        self.tell(|teller| {
            let what = event(teller, told)?;
            Some(format!("    {} {what}", teller.device(device)))
        });
    }

    /// Something happens to a connection.
    pub(super) fn tell_connection(&mut self, id: ConnectionId, what: &str) {
        let device = self.network.connection(id).map(|connection| connection.device);
        self.tell(|teller| Some(format!("the connection of {} {what}", teller.device(device?))));
    }

    /// The relay says something that is no matter of course.
    pub(super) fn tell_answer(&mut self, device: usize, message: &[u8]) {
        if self.story.is_none() {
            return;
        }
        let Ok(frame) = RelayFrame::parse(message) else { return };
        self.tell(|teller| {
            let what = match frame {
                RelayFrame::Refused { space, reason, .. } => {
                    format!("a push in {} is refused: {reason}", teller.conversation(&space))
                }
                RelayFrame::Reply(reply) => match reply.answer {
                    Answer::Refused(reason) => format!("a request is refused: {reason}"),
                    _ => return None,
                },
                RelayFrame::Goodbye { reason } => format!("the session ends: {reason}"),
                _ => return None,
            };
            Some(format!("    at {}: {what}", teller.device(device)))
        });
    }

    /// The story so far, and what each device has of that in which they differ.
    pub fn story(&mut self) -> String {
        let seen = match self.seen.is_empty() {
            false => self.seen.clone(),
            // It did not come so far: look now, if they answer.
            true => self.look_where_possible(),
        };
        let mut text = self.story.as_ref().map(Story::text).unwrap_or_default();
        let Some(story) = &mut self.story else { return text };
        let mut teller = Teller { story, book: &self.book, devices: &self.devices };
        let mut out = Vec::new();
        for device in 0..self.devices.len() {
            out.push(state(&teller, device, seen.iter().find(|one| one.device == device)));
        }
        let spaces: BTreeSet<SpaceId> =
            seen.iter().flat_map(|one| one.conversations.keys().copied()).collect();
        for space in spaces {
            messages(&mut teller, &seen, space, &mut out);
        }
        settings(&teller, &seen, &mut out);
        text.push_str("In the end:\n");
        for line in out {
            text.push_str("  ");
            text.push_str(&line);
            text.push('\n');
        }
        text
    }
}

fn deed(teller: &mut Teller<'_>, command: &Command) -> Option<String> {
    Some(match command {
        Command::CreateAccount { .. } => "founds an account".into(),
        Command::OfferDevice { .. } => "offers itself to be linked".into(),
        Command::JoinAccount { .. } => "joins the account that invited it".into(),
        Command::CancelLink => "cancels what link there is".into(),
        Command::AcceptDevice { history: true, .. } => "scans the offer: with history".into(),
        Command::AcceptDevice { history: false, .. } => "scans the offer: without history".into(),
        Command::ConfirmDevice { .. } => "has the code typed in".into(),
        Command::RevokeDevice { device } => format!("ends {}", teller.device_of(device)),
        Command::MakePrimary { device } => {
            format!("makes {} the primary", teller.device_of(device))
        }
        Command::NewRecoveryCode => "makes a new recovery code".into(),
        Command::DrawInvite => "draws an invite".into(),
        Command::RecoverAccount { .. } => "brings the account back".into(),
        Command::CreateConversation { title, members } => {
            let members: Vec<_> =
                members.iter().map(|one| teller.address(&one.to_string())).collect();
            format!("founds the conversation {} with {}", label(title), members.join(", "))
        }
        Command::AddMember { conversation, address, share_history } => format!(
            "adds {} to {}, {} history",
            teller.address(&address.to_string()),
            teller.conversation(conversation),
            if *share_history { "with" } else { "without" }
        ),
        Command::RemoveMember { conversation, member } => {
            format!("removes {} from {}", named(teller, member), teller.conversation(conversation))
        }
        Command::SetRole { conversation, member, role } => format!(
            "makes {} {role:?} in {}",
            named(teller, member),
            teller.conversation(conversation)
        ),
        Command::SetTitle { conversation, title } => {
            format!("calls {} {}", teller.conversation(conversation), label(title))
        }
        Command::Leave { conversation } => format!("leaves {}", teller.conversation(conversation)),
        Command::SetName { name } => format!("calls itself {}", label(name)),
        Command::GoOffline => "goes offline".into(),
        Command::GoOnline => "goes online".into(),
        Command::MarkRead { .. }
        | Command::SendMessage { .. }
        | Command::EditMessage { .. }
        | Command::DeleteMessage { .. }
        | Command::React { .. }
        | Command::SetSetting { .. }
        | Command::ChangeDocument { .. } => written(teller, command),
        Command::Once { command, .. } => return deed(teller, command),
        // No part of a story: what is only looked at, and what no person does.
        Command::ListDevices
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
        | Command::ListMessages { .. }
        | Command::Typing { .. }
        | Command::SetPresence { .. }
        | Command::Foreground { .. }
        | Command::Setting { .. }
        | Command::Settings
        | Command::ReadDocument { .. }
        | Command::ExportDocument { .. }
        | Command::AskDocument { .. }
        | Command::ListDocuments { .. }
        | Command::RenameDocument { .. }
        | Command::ArchiveDocument { .. }
        | Command::DeleteDocument { .. }
        | Command::ImportDocument { .. }
        | Command::Wait(_)
        | Command::Digest { .. }
        | Command::ForgetEdits { .. } => return None,
    })
}

/// What somebody writes, in words.
fn written(teller: &mut Teller<'_>, command: &Command) -> String {
    match command {
        Command::MarkRead { conversation, message } => format!(
            "reads {} up to {}",
            teller.conversation(conversation),
            teller.message(conversation, message)
        ),
        Command::SendMessage { conversation, text, reply_to } => {
            let answer =
                reply_to.map(|to| format!(", an answer to {}", teller.message(conversation, &to)));
            let answer = answer.unwrap_or_default();
            format!("writes {} in {}{answer}", label(text), teller.conversation(conversation))
        }
        Command::EditMessage { conversation, message, text } => format!(
            "changes {} to {} in {}",
            teller.message(conversation, message),
            label(text),
            teller.conversation(conversation)
        ),
        Command::DeleteMessage { conversation, message } => format!(
            "deletes {} in {}",
            teller.message(conversation, message),
            teller.conversation(conversation)
        ),
        Command::React { conversation, message, emoji } => format!(
            "reacts to {} in {} with {}",
            teller.message(conversation, message),
            teller.conversation(conversation),
            emoji.as_deref().unwrap_or("nothing")
        ),
        Command::SetSetting { key, value } => {
            format!("sets {key} to {}", value.as_str().map_or_else(|| value.to_string(), label))
        }
        Command::ChangeDocument { space: Space::Conversation(space), name, .. } => {
            format!("changes the document {name} in {}", teller.conversation(space))
        }
        Command::ChangeDocument { space: Space::Account, name, .. } => {
            format!("changes its own document {name}")
        }
        // Better in the program's words than in none.
        other => format!("asks for {other:?}"),
    }
}

fn named(teller: &Teller<'_>, member: &Member) -> String {
    match member {
        Member::Account(account) => teller.account(account),
        Member::Address(address) => teller.address(&address.to_string()),
    }
}

fn event(teller: &mut Teller<'_>, told: &Told) -> Option<String> {
    Some(match told {
        Told::Conversation { conversation, change } => {
            let here = teller.conversation(conversation);
            match change {
                ConversationChange::Founded => format!("has founded {here}"),
                ConversationChange::Joined => format!("is let into {here}"),
                ConversationChange::Changed => return None,
                ConversationChange::Left => format!("is no longer in {here}"),
                ConversationChange::NotAdded { address, reason } => {
                    format!("could not add {} to {here}: {reason}", teller.address(address))
                }
            }
        }
        Told::Link(LinkEvent::Done { .. }) => "is linked".into(),
        Told::Link(LinkEvent::Failed(failure)) => format!("is not linked: {failure}"),
        Told::Revoked { .. } => "learns that it was ended".into(),
        Told::Evidence { why, .. } => format!("accuses somebody: {why}"),
        Told::Devices { account, added, revoked } => {
            let list = |ids: &[sync_protocol::DeviceId]| {
                ids.iter().map(|id| teller.device_of(id)).collect::<Vec<_>>().join(", ")
            };
            format!(
                "learns of {}'s devices: new [{}], ended [{}]",
                teller.account(account),
                list(added),
                list(revoked)
            )
        }
        // What follows from what others are told to do.
        Told::Messages { .. }
        | Told::Receipts { .. }
        | Told::Document { .. }
        | Told::Settings { .. }
        | Told::Status(_)
        | Told::Typing { .. }
        | Told::Presence { .. }
        | Told::Link(LinkEvent::Account(_) | LinkEvent::Code { .. })
        | Told::Contact { .. }
        | Told::RecoveryCode(_)
        | Told::History { .. } => return None,
    })
}

fn state(teller: &Teller<'_>, device: usize, seen: Option<&Seen>) -> String {
    let slot = &teller.devices[device];
    let came = match slot.origin {
        Origin::Founds => "founded the account",
        Origin::Linked { history: true } => "linked with history",
        Origin::Linked { history: false } => "linked without history",
        Origin::Recovers => "recovered",
    };
    let status = &slot.screen.status;
    let now = match seen {
        Some(seen) => {
            let status = &seen.status;
            format!(
                "{}, {}, {} waiting, {} conversations",
                if status.connected { "connected" } else { "not connected" },
                if status.up_to_date { "up to date" } else { "not up to date" },
                status.waiting,
                seen.conversations.values().filter(|view| view.active).count(),
            )
        }
        None if slot.retired => "gone".into(),
        None if teller.book.gone.contains(&device) => "ended".into(),
        None => format!("not looked at ({})", status.role),
    };
    format!("{} ({came}): {now}", teller.device(device))
}

/// The messages that not all members' devices show alike.
fn messages(teller: &mut Teller<'_>, seen: &[Seen], space: SpaceId, out: &mut Vec<String>) {
    let active = |one: &&Seen| one.conversations.get(&space).is_some_and(|view| view.active);
    let group: Vec<&Seen> = seen.iter().filter(active).collect();
    let keys: BTreeSet<OrderKey> = group
        .iter()
        .flat_map(|one| one.messages.get(&space).into_iter().flatten().map(|view| view.message))
        .collect();
    let here = teller.conversation(&space);
    let devices: Vec<_> = group.iter().map(|one| one.device.to_string()).collect();
    out.push(format!("{here} is on the devices {}", devices.join(", ")));
    for key in keys {
        let mut shown: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for one in &group {
            let page = one.messages.get(&space);
            let view = page.and_then(|page| page.iter().find(|view| view.message == key));
            let face = view.map_or_else(|| "missing".into(), |view| face(teller, view));
            shown.entry(face).or_default().push(one.device.to_string());
        }
        if shown.len() > 1 {
            let parts: Vec<_> = shown
                .iter()
                .map(|(face, devices)| format!("{face} on {}", devices.join(", ")))
                .collect();
            let name = teller.message(&space, &key);
            out.push(format!("  {name} ({key}): {}", parts.join("; ")));
        }
    }
    summaries(&group, space, out);
}

fn face(teller: &Teller<'_>, view: &MessageView) -> String {
    // All of it: a story that is silent about a part doesn't say in what devices differ.
    let MessageView {
        message: _,
        author: _,
        device: _,
        text,
        at_ms: _,
        rank: _,
        reply_to: _,
        edited: _,
        deleted,
        reactions,
        status: _,
        delivered: _,
        read: _,
        needs_update: _,
    } = view;
    if *deleted {
        return "deleted".into();
    }
    let reactions = reactions.iter();
    let reactions: Vec<_> =
        reactions.map(|(who, emoji)| format!("{emoji} of {}", teller.account(who))).collect();
    format!(
        "\"{}\"{}",
        label(text),
        match reactions.is_empty() {
            true => String::new(),
            false => format!(" with {}", reactions.join(", ")),
        }
    )
}

/// Titles, members and documents in which devices differ.
fn summaries(group: &[&Seen], space: SpaceId, out: &mut Vec<String>) {
    let mut list = |what: &str, of: &dyn Fn(&Seen) -> String| {
        let mut shown: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for one in group {
            shown.entry(of(one)).or_default().push(one.device.to_string());
        }
        if shown.len() > 1 {
            for (value, devices) in shown {
                out.push(format!("  {what} on {}: {value}", devices.join(", ")));
            }
        }
    };
    list("title", &|one| label(&one.conversations[&space].title));
    list("members", &|one| {
        let members = one.conversations[&space].members.iter();
        let members: Vec<_> =
            members.map(|member| format!("{:?} {:?}", label(&member.name), member.role)).collect();
        members.join(", ")
    });
    let names: BTreeSet<&str> = group
        .iter()
        .filter_map(|one| one.digests.get(&space))
        .flat_map(|digest| digest.documents.keys().map(String::as_str))
        .collect();
    for name in names {
        list(&format!("document {name}"), &|one| {
            let digest = one.digests.get(&space).and_then(|digest| digest.documents.get(name));
            digest.map_or_else(
                || "none".into(),
                |digest| data_encoding::HEXLOWER.encode(&digest.content[..4]),
            )
        });
    }
}

/// Settings in which the devices of one account differ.
fn settings(teller: &Teller<'_>, seen: &[Seen], out: &mut Vec<String>) {
    let accounts: BTreeSet<AccountId> = seen.iter().map(|one| one.account).collect();
    for account in accounts {
        let family: Vec<&Seen> = seen.iter().filter(|one| one.account == account).collect();
        let keys: BTreeSet<&str> =
            family.iter().flat_map(|one| one.settings.keys().map(String::as_str)).collect();
        for key in keys {
            let value = |one: &Seen| {
                one.settings.get(key).map_or_else(
                    || "none".into(),
                    |value| value.as_str().map_or_else(|| value.to_string(), label),
                )
            };
            let values: BTreeSet<String> = family.iter().map(|one| value(one)).collect();
            if values.len() > 1 {
                let each: Vec<_> =
                    family.iter().map(|one| format!("{}: {}", one.device, value(one))).collect();
                out.push(format!(
                    "{}'s setting {key}: {}",
                    teller.account(&account),
                    each.join(", ")
                ));
            }
        }
    }
}
