//! One method for each thing an app can want.

use serde_json::Value;
use sync_core::api::{
    ContactCard, ConversationView, DeviceView, Digest, Join, Member, MessageView, NewAccount,
    Space, Status,
};
use sync_core::document::{AppOp, OrderKey, Step};
use sync_core::{Command, Failure, Response};
use sync_protocol::address::Address;
use sync_protocol::roster::Role;
use sync_protocol::sorted::SortedMap;
use sync_protocol::{AccountId, DeviceId, SpaceId};

use super::Client;

/// Sends a command and takes the answer that belongs to it.
macro_rules! ask {
    ($client:expr, $command:expr) => {
        match $client.command($command).await? {
            Response::Done => Ok(()),
            other => Err(mismatch(&other)),
        }
    };
    ($client:expr, $command:expr, $answer:path) => {
        match $client.command($command).await? {
            $answer(answer) => Ok(answer),
            other => Err(mismatch(&other)),
        }
    };
}

fn mismatch(answer: &Response) -> Failure {
    Failure::Invalid(format!("the engine gave an answer of another kind: {answer:?}"))
}

/// An account's own affairs. All methods fail as [`Failure`] says.
#[allow(clippy::missing_errors_doc)]
impl Client {
    /// Founds an account on this device.
    pub async fn create_account(
        &self,
        address: Address,
        name: String,
    ) -> Result<NewAccount, Failure> {
        ask!(self, Command::CreateAccount { address, name }, Response::Account)
    }

    /// Changes what the person is called, on all devices and wherever the account takes part.
    pub async fn set_name(&self, name: String) -> Result<(), Failure> {
        ask!(self, Command::SetName { name })
    }

    /// Brings an account back with its recovery code, on this device, which has none; all its other
    /// devices end. Gives the code that takes the used one's place. Needs a connection.
    pub async fn recover_account(
        &self,
        address: Address,
        code: String,
        name: String,
    ) -> Result<NewAccount, Failure> {
        ask!(self, Command::RecoverAccount { address, code, name }, Response::Account)
    }

    /// Draws a new recovery code; the one before counts no more. On the primary.
    pub async fn new_recovery_code(&self) -> Result<String, Failure> {
        ask!(self, Command::NewRecoveryCode, Response::RecoveryCode)
    }

    /// The account, the device and how the sync stands.
    pub async fn status(&self) -> Result<Status, Failure> {
        ask!(self, Command::Status, Response::Status)
    }

    /// Who is behind an address. Needs a connection, if it is not known here.
    pub async fn lookup_contact(&self, address: Address) -> Result<ContactCard, Failure> {
        ask!(self, Command::LookupContact { address }, Response::Contact)
    }

    /// Shows nothing more of an account, or shows it again.
    pub async fn set_blocked(&self, member: Member, blocked: bool) -> Result<(), Failure> {
        ask!(self, Command::SetBlocked { member, blocked })
    }

    /// One setting; `Null` if there is none.
    pub async fn setting(&self, key: String) -> Result<Value, Failure> {
        ask!(self, Command::Setting { key }, Response::Value)
    }

    /// Changes a setting; `Null` takes it away.
    pub async fn set_setting(&self, key: String, value: Value) -> Result<(), Failure> {
        ask!(self, Command::SetSetting { key, value })
    }

    /// All settings.
    pub async fn settings(&self) -> Result<SortedMap<String, Value>, Failure> {
        ask!(self, Command::Settings, Response::Settings)
    }

    /// Closes the connection and stays away.
    pub async fn go_offline(&self) -> Result<(), Failure> {
        ask!(self, Command::GoOffline)
    }

    /// Connects again.
    pub async fn go_online(&self) -> Result<(), Failure> {
        ask!(self, Command::GoOnline)
    }
}

/// The devices of an account. Linking takes a device on either side: the new one calls
/// [`offer_device`](Client::offer_device), the primary [`accept_device`](Client::accept_device). The
/// new one is told whose account it would join ([`LinkEvent`](sync_core::api::LinkEvent)), and
/// goes on by [`join_account`](Client::join_account); it is then told a code, with which the primary
/// calls [`confirm_device`](Client::confirm_device). Until then nothing is changed on either.
#[allow(clippy::missing_errors_doc)]
impl Client {
    /// Offers this device, which has no account, to be linked; gives what the primary scans.
    pub async fn offer_device(&self, name: String, join: Join) -> Result<String, Failure> {
        ask!(self, Command::OfferDevice { name, join }, Response::Offer)
    }

    /// Says that the account which this new device was invited to is the person's.
    pub async fn join_account(&self, account: AccountId) -> Result<(), Failure> {
        ask!(self, Command::JoinAccount { account })
    }

    /// Takes an offer, a link under way or a link to be confirmed back.
    pub async fn cancel_link(&self) -> Result<(), Failure> {
        ask!(self, Command::CancelLink)
    }

    /// Takes what a new device offers, with what was written before or without; gives the name
    /// that it asks for. On the primary.
    pub async fn accept_device(&self, offer: String, history: bool) -> Result<String, Failure> {
        ask!(self, Command::AcceptDevice { offer, history }, Response::DeviceName)
    }

    /// Links the new device that shows this code; a wrong one ends the link. On the primary.
    pub async fn confirm_device(&self, code: String) -> Result<DeviceId, Failure> {
        ask!(self, Command::ConfirmDevice { code }, Response::Device)
    }

    /// All devices of the account, also those that ended: the primary first.
    pub async fn devices(&self) -> Result<Vec<DeviceView>, Failure> {
        ask!(self, Command::ListDevices, Response::Devices)
    }

    /// Ends a device: the primary any but itself, every device itself, which empties its store.
    pub async fn revoke_device(&self, device: DeviceId) -> Result<(), Failure> {
        ask!(self, Command::RevokeDevice { device })
    }

    /// Makes another device the primary. On the primary.
    pub async fn make_primary(&self, device: DeviceId) -> Result<(), Failure> {
        ask!(self, Command::MakePrimary { device })
    }
}

/// Conversations and their members.
#[allow(clippy::missing_errors_doc)]
impl Client {
    /// Founds a conversation; whoever can't be added now is added when the relay can be asked.
    pub async fn create_conversation(
        &self,
        title: String,
        members: Vec<Address>,
    ) -> Result<SpaceId, Failure> {
        ask!(self, Command::CreateConversation { title, members }, Response::Conversation)
    }

    /// All conversations, newest activity first.
    pub async fn conversations(&self) -> Result<Vec<ConversationView>, Failure> {
        ask!(self, Command::ListConversations, Response::Conversations)
    }

    /// Accepts a stranger's invitation.
    pub async fn accept_conversation(&self, conversation: SpaceId) -> Result<(), Failure> {
        ask!(self, Command::AcceptConversation { conversation })
    }

    /// Declines a stranger's invitation, and blocks whoever invited if `block` says so.
    pub async fn decline_conversation(
        &self,
        conversation: SpaceId,
        block: bool,
    ) -> Result<(), Failure> {
        ask!(self, Command::DeclineConversation { conversation, block })
    }

    /// Adds somebody, with what was written before or without.
    pub async fn add_member(
        &self,
        conversation: SpaceId,
        address: Address,
        share_history: bool,
    ) -> Result<(), Failure> {
        ask!(self, Command::AddMember { conversation, address, share_history })
    }

    /// Removes somebody.
    pub async fn remove_member(
        &self,
        conversation: SpaceId,
        member: Member,
    ) -> Result<(), Failure> {
        ask!(self, Command::RemoveMember { conversation, member })
    }

    /// Changes somebody's role.
    pub async fn set_role(
        &self,
        conversation: SpaceId,
        member: Member,
        role: Role,
    ) -> Result<(), Failure> {
        ask!(self, Command::SetRole { conversation, member, role })
    }

    /// Changes the title.
    pub async fn set_title(&self, conversation: SpaceId, title: String) -> Result<(), Failure> {
        ask!(self, Command::SetTitle { conversation, title })
    }

    /// Leaves; what was read stays on this device.
    pub async fn leave(&self, conversation: SpaceId) -> Result<(), Failure> {
        ask!(self, Command::Leave { conversation })
    }

    /// Everything up to this message was read.
    pub async fn mark_read(&self, conversation: SpaceId, message: OrderKey) -> Result<(), Failure> {
        ask!(self, Command::MarkRead { conversation, message })
    }

    /// Tells those who are looking that this person is typing.
    pub async fn typing(&self, conversation: SpaceId) -> Result<(), Failure> {
        ask!(self, Command::Typing { conversation })
    }

    /// Says which conversation the user looks at: it comes first after a reconnect.
    pub async fn foreground(&self, conversation: Option<SpaceId>) -> Result<(), Failure> {
        ask!(self, Command::Foreground { conversation })
    }
}

/// Messages.
#[allow(clippy::missing_errors_doc)]
impl Client {
    /// Writes a message.
    pub async fn send_message(
        &self,
        conversation: SpaceId,
        text: String,
        reply_to: Option<OrderKey>,
    ) -> Result<OrderKey, Failure> {
        ask!(self, Command::SendMessage { conversation, text, reply_to }, Response::Message)
    }

    /// Gives an own message another text.
    pub async fn edit_message(
        &self,
        conversation: SpaceId,
        message: OrderKey,
        text: String,
    ) -> Result<(), Failure> {
        ask!(self, Command::EditMessage { conversation, message, text })
    }

    /// Deletes an own message for everyone.
    pub async fn delete_message(
        &self,
        conversation: SpaceId,
        message: OrderKey,
    ) -> Result<(), Failure> {
        ask!(self, Command::DeleteMessage { conversation, message })
    }

    /// Reacts to a message; `None` takes the reaction back.
    pub async fn react(
        &self,
        conversation: SpaceId,
        message: OrderKey,
        emoji: Option<String>,
    ) -> Result<(), Failure> {
        ask!(self, Command::React { conversation, message, emoji })
    }

    /// A page in display order: the newest `limit` before `before`.
    pub async fn messages(
        &self,
        conversation: SpaceId,
        before: Option<OrderKey>,
        limit: usize,
    ) -> Result<Vec<MessageView>, Failure> {
        ask!(self, Command::ListMessages { conversation, before, limit }, Response::Messages)
    }
}

/// Documents, and what a space holds.
#[allow(clippy::missing_errors_doc)]
impl Client {
    /// The JSON at a path of a document.
    pub async fn read_document(
        &self,
        space: Space,
        name: String,
        path: Vec<Step>,
    ) -> Result<Value, Failure> {
        ask!(self, Command::ReadDocument { space, name, path }, Response::Value)
    }

    /// Changes an app's own document, all operations or none; gives its heads.
    pub async fn change_document(
        &self,
        space: Space,
        name: String,
        ops: Vec<AppOp>,
    ) -> Result<Vec<[u8; 32]>, Failure> {
        ask!(self, Command::ChangeDocument { space, name, ops }, Response::Heads)
    }

    /// A document as bytes that any Automerge build opens.
    pub async fn export_document(&self, space: Space, name: String) -> Result<Vec<u8>, Failure> {
        ask!(self, Command::ExportDocument { space, name }, Response::Bytes)
    }

    /// Makes an app's own document what such bytes say; gives its heads.
    pub async fn import_document(
        &self,
        space: Space,
        name: String,
        bytes: Vec<u8>,
    ) -> Result<Vec<[u8; 32]>, Failure> {
        ask!(self, Command::ImportDocument { space, name, bytes }, Response::Heads)
    }

    /// A fingerprint of a space's state, equal on devices that have the same entries.
    pub async fn digest(&self, space: Space) -> Result<Digest, Failure> {
        ask!(self, Command::Digest { space }, Response::Digest)
    }
}
