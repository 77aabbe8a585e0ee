//! An example of each command, for tests that go over all of them.

use serde_json::json;
use sync_protocol::address::Address;
use sync_protocol::ids::RelayId;
use sync_protocol::roster::Role;
use sync_protocol::{AccountId, DeviceId, SpaceId};

use super::{Command, EditId, Join, Member, Question, Space, Until};
use crate::document::{OrderKey, Stamp};

/// One command of each kind.
pub(crate) fn every_command() -> Vec<Command> {
    let address: Address = "bob".parse().expect("an address");
    let member = Member::Address(address.clone());
    let account = AccountId::of_root_key(&[1; 32]);
    let device = DeviceId::of_signing_key(&[1; 32]);
    let conversation = SpaceId::from_bytes([7; 32]);
    let message = OrderKey { stamp: Stamp { ms: 1, counter: 0 }, tag: [1; 6] };
    let (space, name, text) = (Space::Account, || "plan".to_owned(), || "text".to_owned());
    let edit = EditId::from([9; 16]);
    every! { Command;
        Command::CreateAccount { .. } => [
            Command::CreateAccount { address: address.clone(), name: text() }
        ],
        Command::SetName { .. } => [Command::SetName { name: text() }],
        Command::OfferDevice { .. } => [Command::OfferDevice { name: text(), join: Join::Any }],
        Command::JoinAccount { .. } => [Command::JoinAccount { account }],
        Command::CancelLink => [Command::CancelLink],
        Command::AcceptDevice { .. } => [Command::AcceptDevice { offer: text(), history: true }],
        Command::ConfirmDevice { .. } => [Command::ConfirmDevice { code: text() }],
        Command::ListDevices => [Command::ListDevices],
        Command::RevokeDevice { .. } => [Command::RevokeDevice { device }],
        Command::MakePrimary { .. } => [Command::MakePrimary { device }],
        Command::NewRecoveryCode => [Command::NewRecoveryCode],
        Command::DrawInvite => [Command::DrawInvite],
        Command::RecoverAccount { .. } => [
            Command::RecoverAccount { address: address.clone(), code: text(), name: text() }
        ],
        Command::AcceptConversation { .. } => [Command::AcceptConversation { conversation }],
        Command::DeclineConversation { .. } => [
            Command::DeclineConversation { conversation, block: true }
        ],
        Command::SetBlocked { .. } => [
            Command::SetBlocked { member: member.clone(), blocked: true }
        ],
        Command::Status => [Command::Status],
        Command::LookupContact { .. } => [Command::LookupContact { address: address.clone() }],
        Command::ShowContact { .. } => [Command::ShowContact { member: member.clone() }],
        Command::CompareContact { .. } => [Command::CompareContact { account, shown: text() }],
        Command::VerifyContact { .. } => [
            Command::VerifyContact { account, safety_number: None }
        ],
        Command::AcceptAddress { .. } => [
            Command::AcceptAddress { address: address.clone(), account }
        ],
        Command::AcceptRelay { .. } => [
            Command::AcceptRelay { relay: RelayId::from_bytes([5; 32]) }
        ],
        Command::CreateConversation { .. } => [
            Command::CreateConversation { title: text(), members: Vec::new() }
        ],
        Command::ListConversations => [Command::ListConversations],
        Command::AddMember { .. } => [
            Command::AddMember { conversation, address: address.clone(), share_history: true }
        ],
        Command::RemoveMember { .. } => [
            Command::RemoveMember { conversation, member: member.clone() }
        ],
        Command::SetRole { .. } => [
            Command::SetRole { conversation, member: member.clone(), role: Role::Admin }
        ],
        Command::SetTitle { .. } => [Command::SetTitle { conversation, title: text() }],
        Command::Leave { .. } => [Command::Leave { conversation }],
        Command::MarkRead { .. } => [Command::MarkRead { conversation, message }],
        Command::SendMessage { .. } => [
            Command::SendMessage { conversation, text: text(), reply_to: None }
        ],
        Command::EditMessage { .. } => [
            Command::EditMessage { conversation, message, text: text() }
        ],
        Command::DeleteMessage { .. } => [Command::DeleteMessage { conversation, message }],
        Command::React { .. } => [Command::React { conversation, message, emoji: None }],
        Command::ListMessages { .. } => [
            Command::ListMessages { conversation, before: None, limit: 1 }
        ],
        Command::Typing { .. } => [Command::Typing { conversation }],
        Command::SetPresence { .. } => [
            Command::SetPresence { space, name: name(), state: json!(1) }
        ],
        Command::Foreground { .. } => [Command::Foreground { conversation: Some(conversation) }],
        Command::Setting { .. } => [Command::Setting { key: text() }],
        Command::SetSetting { .. } => [Command::SetSetting { key: text(), value: json!(1) }],
        Command::Settings => [Command::Settings],
        Command::ReadDocument { .. } => [
            Command::ReadDocument { space, name: name(), path: Vec::new() }
        ],
        Command::ChangeDocument { .. } => [
            Command::ChangeDocument { space, name: name(), ops: Vec::new() }
        ],
        Command::ExportDocument { .. } => [Command::ExportDocument { space, name: name() }],
        Command::AskDocument { .. } => [Command::AskDocument {
            space,
            name: name(),
            question: Question::History { before: None, limit: 1 },
        }],
        Command::ListDocuments { .. } => [Command::ListDocuments { space }],
        Command::RenameDocument { .. } => [
            Command::RenameDocument { space, name: name(), title: Some(text()) }
        ],
        Command::ArchiveDocument { .. } => [
            Command::ArchiveDocument { space, name: name(), archived: true }
        ],
        Command::DeleteDocument { .. } => [Command::DeleteDocument { space, name: name() }],
        Command::ImportDocument { .. } => [
            Command::ImportDocument { space, name: name(), bytes: vec![1] }
        ],
        Command::Wait(_) => [Command::Wait(Until::Stored)],
        Command::Digest { .. } => [Command::Digest { space }],
        Command::Once { .. } => [Command::Once { edit, command: Box::new(Command::Status) }],
        Command::ForgetEdits { .. } => [Command::ForgetEdits { edits: vec![edit] }],
        Command::GoOffline => [Command::GoOffline],
        Command::GoOnline => [Command::GoOnline],
    }
}
