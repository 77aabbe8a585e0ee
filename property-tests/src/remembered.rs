//! What the book remembers of a command: what is promised by its answer, or may have happened without
//! one.

use serde_json::Value;
use sync_core::Command;
use sync_core::api::Space;
use sync_core::document::{AppOp, OrderKey};
use sync_protocol::SpaceId;

/// What a command changes that a world is held to.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Remembered<'c> {
    /// A new message with this text.
    Message(&'c str),
    /// Another text of a message.
    Text(SpaceId, OrderKey, &'c str),
    /// A message deleted.
    Deletion(SpaceId, OrderKey),
    /// A reaction, or its end.
    Reaction(SpaceId, OrderKey, Option<&'c str>),
    /// A setting.
    Setting(&'c str, &'c Value),
    /// Operations on a document of a conversation.
    Document(SpaceId, &'c [AppOp]),
    /// Nothing that lasts, or what the relay's log and the rosters tell by themselves.
    Nothing,
}

impl<'c> Remembered<'c> {
    /// What is remembered of a command. Every command is here: one that changes what people see is
    /// remembered, or nobody finds out that it was lost.
    pub(crate) fn of(command: &'c Command) -> Self {
        match command {
            Command::SendMessage { text, .. } => Self::Message(text),
            Command::EditMessage { conversation, message, text } => {
                Self::Text(*conversation, *message, text)
            }
            Command::DeleteMessage { conversation, message } => {
                Self::Deletion(*conversation, *message)
            }
            Command::React { conversation, message, emoji } => {
                Self::Reaction(*conversation, *message, emoji.as_deref())
            }
            Command::SetSetting { key, value } => Self::Setting(key, value),
            Command::ChangeDocument { space: Space::Conversation(space), ops, .. } => {
                Self::Document(*space, ops)
            }
            Command::Once { command, .. } => Self::of(command),
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
            | Command::CreateConversation { .. }
            | Command::ListConversations
            | Command::AddMember { .. }
            | Command::RemoveMember { .. }
            | Command::SetRole { .. }
            | Command::SetTitle { .. }
            | Command::Leave { .. }
            | Command::MarkRead { .. }
            | Command::ListMessages { .. }
            | Command::Typing { .. }
            | Command::SetPresence { .. }
            | Command::Foreground { .. }
            | Command::Setting { .. }
            | Command::Settings
            | Command::ReadDocument { .. }
            | Command::ChangeDocument { space: Space::Account, .. }
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
            | Command::GoOnline => Self::Nothing,
        }
    }
}
