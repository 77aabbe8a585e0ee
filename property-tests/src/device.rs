//! One installation in a world: an engine, its disk, its clock, and what its user saw last.

use std::collections::{BTreeMap, BTreeSet};

use sync_core::api::{ConversationView, Digest, MessageView, Progress, Response, Status};
use sync_core::document::OrderKey;
use sync_core::{Command, CommandId, Engine, Failure};
use sync_protocol::sorted::SortedSet;
use sync_protocol::{AccountId, DeviceId, SpaceId};

use crate::clock::Clock;
use crate::disk::Disk;
use crate::network::ConnectionId;
use crate::violation::{Invariant, Violation};
use crate::world::Backup;

/// A command on its way, with what its user knew when giving it.
#[derive(Clone, Debug)]
pub struct Asked {
    /// What was asked.
    pub command: Command,
    /// Members of the conversation as shown.
    pub members: BTreeSet<AccountId>,
    /// Former members of the conversation, as shown.
    pub gone: BTreeSet<AccountId>,
    /// Messages of the conversation as shown.
    pub seen: Vec<OrderKey>,
}

/// What a device showed its user.
#[derive(Clone, Debug, Default)]
pub struct Screen {
    /// The list of conversations.
    pub conversations: BTreeMap<SpaceId, ConversationView>,
    /// Everybody ever shown as a member.
    pub ever: BTreeMap<SpaceId, BTreeSet<AccountId>>,
    /// The newest page of each conversation.
    pub pages: BTreeMap<SpaceId, Vec<MessageView>>,
    /// How far each message had come.
    progress: BTreeMap<(SpaceId, OrderKey), Receipts>,
    /// The fingerprint of each space.
    digests: BTreeMap<SpaceId, Digest>,
    /// The newest status.
    pub status: Status,
}

#[derive(Clone, Debug)]
struct Receipts {
    status: Progress,
    delivered: SortedSet<AccountId>,
    read: SortedSet<AccountId>,
}

/// How a device comes to its account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Founds it.
    Founds,
    /// Is linked to it, to read what was written before or not.
    Linked {
        /// Whether it may read what was written before.
        history: bool,
    },
    /// Brings it back with the recovery code.
    Recovers,
}

/// One installation.
#[derive(Debug)]
pub struct Device {
    /// Whose, by the world's number.
    pub person: usize,
    /// How it comes to its account.
    pub origin: Origin,
    /// How often it tried to.
    pub attempts: u32,
    /// Its id, as far as the world knows it.
    pub id: Option<DeviceId>,
    /// Whether its user was told that its account ended it.
    pub told_revoked: bool,
    /// The engine, while it runs.
    pub engine: Option<Engine>,
    /// Which run of the engine this is: what was planned for another one is void.
    pub life: u64,
    /// Its store.
    pub disk: Disk,
    /// Its clock.
    pub clock: Clock,
    /// Its socket.
    pub connection: Option<ConnectionId>,
    /// When the relay's word that all is delivered stopped counting, with the connection it came
    /// on: world time, `u64::MAX` while it counts, 0 before the first.
    pub confirmed_until_ms: u64,
    /// Whether the network reaches it.
    pub reachable: bool,
    /// Which of its wishes to be woken holds.
    pub wake: u64,
    /// When the last batch is durable.
    pub synced_ms: u64,
    /// Commands on their way.
    pub asked: BTreeMap<CommandId, Asked>,
    /// Answers that a test waits for.
    pub answers: BTreeMap<CommandId, Result<Response, Failure>>,
    /// What its user saw.
    pub screen: Screen,
    /// What it told its user about a relay or a member that cheats.
    pub evidence: Vec<(SpaceId, String)>,
    /// Its disk at earlier moments.
    pub backups: Vec<Backup>,
    /// Whether it was taken out of the world for good.
    pub retired: bool,
    commands: CommandId,
}

impl Device {
    /// A device that was never switched on.
    #[must_use]
    pub fn new(person: usize, disk: Disk) -> Self {
        Self {
            person,
            origin: Origin::Founds,
            attempts: 0,
            id: None,
            told_revoked: false,
            engine: None,
            life: 0,
            disk,
            clock: Clock::default(),
            connection: None,
            confirmed_until_ms: 0,
            reachable: true,
            wake: 0,
            synced_ms: 0,
            asked: BTreeMap::new(),
            answers: BTreeMap::new(),
            screen: Screen::default(),
            evidence: Vec::new(),
            backups: Vec::new(),
            retired: false,
            commands: 0,
        }
    }

    /// Whether it has no account yet, and is to have one that is there.
    #[must_use]
    pub fn is_guest(&self) -> bool {
        self.id.is_none() && self.origin != Origin::Founds
    }

    /// The connection on which the relay gave its word is gone.
    pub fn unconfirm(&mut self, now_ms: u64) {
        self.confirmed_until_ms = self.confirmed_until_ms.min(now_ms);
    }

    /// A number for the next command.
    pub fn next_command(&mut self) -> CommandId {
        self.commands += 1;
        self.commands
    }

    /// What a user of this device knows when giving a command.
    #[must_use]
    pub fn asked(&self, command: Command) -> Asked {
        let space = conversation(&command);
        let view = space.and_then(|space| self.screen.conversations.get(&space));
        let members: BTreeSet<_> = view
            .map(|view| view.members.iter().map(|member| member.account).collect())
            .unwrap_or_default();
        let ever = space.and_then(|space| self.screen.ever.get(&space));
        let gone = ever.map(|ever| ever.difference(&members).copied().collect());
        let page = space.and_then(|space| self.screen.pages.get(&space));
        let seen = page.map(|page| page.iter().map(|view| view.message).collect());
        Asked { command, members, gone: gone.unwrap_or_default(), seen: seen.unwrap_or_default() }
    }
}

impl Screen {
    /// Shows the list of conversations.
    pub fn list(&mut self, views: &[ConversationView]) {
        for view in views {
            let ever = self.ever.entry(view.conversation).or_default();
            ever.extend(view.members.iter().map(|member| member.account));
            self.conversations.insert(view.conversation, view.clone());
        }
    }

    /// Shows a page of messages.
    ///
    /// # Errors
    /// `Forward` if a receipt or tick went back.
    pub fn page(&mut self, space: SpaceId, page: &[MessageView]) -> Result<(), Violation> {
        for view in page {
            let now = Receipts {
                status: view.status,
                delivered: view.delivered.clone(),
                read: view.read.clone(),
            };
            let before = self.progress.insert((space, view.message), now);
            let Some(before) = before else { continue };
            let back = view.status < before.status
                || !before.delivered.iter().all(|account| view.delivered.contains(account))
                || !before.read.iter().all(|account| view.read.contains(account));
            if back {
                let detail = format!("{before:?} of {:?} went back to {view:?}", view.message);
                return Err(Violation::new(Invariant::Forward, detail));
            }
        }
        self.pages.insert(space, page.to_vec());
        Ok(())
    }

    /// Takes note of a space's fingerprint.
    ///
    /// # Errors
    /// `Forward` if a writer's number went back.
    pub fn digest(&mut self, space: SpaceId, digest: &Digest) -> Result<(), Violation> {
        let Some(before) = self.digests.insert(space, digest.clone()) else { return Ok(()) };
        for (writer, (seq, link)) in &before.frontier {
            let now = digest.frontier.get(writer);
            if now.is_none_or(|(now, other)| now < seq || (now == seq && other != link)) {
                let detail = format!("the frontier of {space:?} went back for {writer:?}");
                return Err(Violation::new(Invariant::Forward, detail));
            }
        }
        Ok(())
    }

    /// The power went: what was shown may not have been durable.
    pub fn crashed(&mut self) {
        self.progress.clear();
        self.digests.clear();
        self.status = Status::default();
    }
}

/// The conversation a command is about, if it is about one.
///
/// A new command is to be known here, by the [`Book`](crate::book::Book) (`remembered.rs`), by the story
/// (`world/tale.rs`) and by what counts situations (`world/watch.rs`): none of these passes one over.
#[must_use]
pub fn conversation(command: &Command) -> Option<SpaceId> {
    match command {
        Command::Once { command, .. } => conversation(command),
        Command::Foreground { conversation } => *conversation,
        Command::AddMember { conversation, .. }
        | Command::RemoveMember { conversation, .. }
        | Command::SetRole { conversation, .. }
        | Command::SetTitle { conversation, .. }
        | Command::Leave { conversation }
        | Command::AcceptConversation { conversation }
        | Command::DeclineConversation { conversation, .. }
        | Command::MarkRead { conversation, .. }
        | Command::SendMessage { conversation, .. }
        | Command::EditMessage { conversation, .. }
        | Command::DeleteMessage { conversation, .. }
        | Command::React { conversation, .. }
        | Command::ListMessages { conversation, .. }
        | Command::Typing { conversation } => Some(*conversation),
        Command::ChangeDocument { space, .. }
        | Command::ReadDocument { space, .. }
        | Command::AskDocument { space, .. }
        | Command::ListDocuments { space }
        | Command::RenameDocument { space, .. }
        | Command::ArchiveDocument { space, .. }
        | Command::DeleteDocument { space, .. }
        | Command::ExportDocument { space, .. }
        | Command::ImportDocument { space, .. }
        | Command::SetPresence { space, .. }
        | Command::Digest { space } => match space {
            sync_core::api::Space::Conversation(space) => Some(*space),
            sync_core::api::Space::Account => None,
        },
        Command::CreateAccount { .. }
        | Command::SetName { .. }
        | Command::OfferDevice { .. }
        | Command::JoinAccount { .. }
        | Command::CancelLink
        | Command::AcceptDevice { .. }
        | Command::ConfirmDevice { .. }
        | Command::ListDevices
        | Command::RevokeDevice { .. }
        | Command::MakePrimary { .. }
        | Command::NewRecoveryCode
        | Command::DrawInvite
        | Command::RecoverAccount { .. }
        | Command::SetBlocked { .. }
        | Command::Status
        | Command::LookupContact { .. }
        | Command::ShowContact { .. }
        | Command::CompareContact { .. }
        | Command::VerifyContact { .. }
        | Command::AcceptAddress { .. }
        | Command::AcceptRelay { .. }
        | Command::CreateConversation { .. }
        | Command::ListConversations
        | Command::Setting { .. }
        | Command::SetSetting { .. }
        | Command::Settings
        | Command::Wait(_)
        | Command::ForgetEdits { .. }
        | Command::GoOffline
        | Command::GoOnline => None,
    }
}
