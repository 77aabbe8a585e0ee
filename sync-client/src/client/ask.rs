//! A command and the answer that belongs to it.

use sync_core::api::{
    ChangeView, Comparison, ConflictView, ContactCard, ConversationView, DeviceView, Digest,
    DocumentsView, InviteView, MessageView, NewAccount, Status,
};
use sync_core::document::OrderKey;
use sync_core::{Command, Failure, Response};
use sync_protocol::address::Address;
use sync_protocol::sorted::SortedMap;
use sync_protocol::{DeviceId, SpaceId};

use super::Client;

/// What a call gives, as the engine answers it.
pub(super) trait Answer: Sized {
    /// The answer, if it is one of this kind.
    fn of(response: Response) -> Option<Self>;
}

macro_rules! answers {
    ($($kind:ident => $answer:ty),* $(,)?) => {
        $(impl Answer for $answer {
            fn of(response: Response) -> Option<Self> {
                match response {
                    Response::$kind(answer) => Some(answer),
                    _ => None,
                }
            }
        })*
    };
}

answers! {
    Account => NewAccount,
    Invite => InviteView,
    Status => Status,
    Contact => ContactCard,
    Comparison => Comparison,
    Conversation => SpaceId,
    Conversations => Vec<ConversationView>,
    Message => OrderKey,
    Messages => Vec<MessageView>,
    Value => serde_json::Value,
    Settings => SortedMap<String, serde_json::Value>,
    Heads => Vec<[u8; 32]>,
    Bytes => Vec<u8>,
    Digest => Digest,
    Documents => DocumentsView,
    History => Vec<ChangeView>,
    Conflicts => Vec<ConflictView>,
    Device => DeviceId,
    Devices => Vec<DeviceView>,
}

impl Answer for () {
    fn of(response: Response) -> Option<Self> {
        match response {
            Response::Done => Some(()),
            _ => None,
        }
    }
}

/// A text: what is scanned, what a device is called, or a recovery code.
impl Answer for String {
    fn of(response: Response) -> Option<Self> {
        match response {
            Response::Offer(text) | Response::DeviceName(text) | Response::RecoveryCode(text) => {
                Some(text)
            }
            _ => None,
        }
    }
}

impl Client {
    /// Sends a command and takes its answer.
    pub(super) async fn ask<A: Answer>(&self, command: Command) -> Result<A, Failure> {
        A::of(self.command(command).await?)
            .ok_or_else(|| Failure::Invalid("the engine gave an answer of another kind".to_owned()))
    }
}

/// An address as somebody typed it.
pub(super) fn parsed(text: &str) -> Result<Address, Failure> {
    text.parse().map_err(|error| Failure::Invalid(format!("the address {text:?}: {error}")))
}
