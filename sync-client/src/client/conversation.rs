//! Conversations: who is in them, and what they say.

use futures_util::Stream;
use sync_core::api::{ConversationView, Digest, DocumentsView, Member, MessageView, Space};
use sync_core::document::OrderKey;
use sync_core::{Command, Event, Failure};
use sync_protocol::SpaceId;
use sync_protocol::roster::Role;

use super::ask::parsed;
use super::events::follow;
use super::{Client, Document};

/// All conversations.
#[derive(Clone, Copy, Debug)]
pub struct Conversations<'a>(pub(super) &'a Client);

#[expect(clippy::missing_errors_doc, reason = "all fail as `Failure` says")]
impl Conversations<'_> {
    /// All conversations, newest activity first.
    pub async fn list(self) -> Result<Vec<ConversationView>, Failure> {
        self.0.ask(Command::ListConversations).await
    }

    /// Founds a conversation. Connected, an address that leads nowhere is told at once; offline, those
    /// who can't be added are told later.
    pub async fn create(self, title: &str, members: &[&str]) -> Result<Conversation, Failure> {
        let members = members.iter().map(|text| parsed(text)).collect::<Result<_, _>>()?;
        let command = Command::CreateConversation { title: title.to_owned(), members };
        Ok(self.0.conversation(self.0.ask(command).await?))
    }

    /// Says which conversation the user looks at, if any: it comes first after a reconnect.
    pub async fn foreground(self, conversation: Option<SpaceId>) -> Result<(), Failure> {
        self.0.ask(Command::Foreground { conversation }).await
    }
}

/// One conversation. Clones are the same.
#[derive(Clone, Debug)]
pub struct Conversation {
    client: Client,
    id: SpaceId,
}

#[expect(clippy::missing_errors_doc, reason = "all fail as `Failure` says")]
impl Conversation {
    pub(super) fn new(client: Client, id: SpaceId) -> Self {
        Self { client, id }
    }

    /// Its id, the same on all devices of all members.
    #[must_use]
    pub fn id(&self) -> SpaceId {
        self.id
    }

    /// How it stands: title, members, unread messages.
    pub async fn info(&self) -> Result<ConversationView, Failure> {
        let all = self.client.conversations().list().await?;
        let own = all.into_iter().find(|view| view.conversation == self.id);
        own.ok_or(Failure::NotFound("conversation"))
    }

    /// Writes a message. It is durable here when this returns, connected or not.
    pub async fn send(&self, text: impl Into<String>) -> Result<OrderKey, Failure> {
        self.say(text.into(), None).await
    }

    /// Writes a message in answer to another.
    pub async fn reply(
        &self,
        message: OrderKey,
        text: impl Into<String>,
    ) -> Result<OrderKey, Failure> {
        self.say(text.into(), Some(message)).await
    }

    async fn say(&self, text: String, reply_to: Option<OrderKey>) -> Result<OrderKey, Failure> {
        let conversation = self.id;
        self.client.ask(Command::SendMessage { conversation, text, reply_to }).await
    }

    /// Gives an own message another text.
    pub async fn edit(&self, message: OrderKey, text: impl Into<String>) -> Result<(), Failure> {
        let (conversation, text) = (self.id, text.into());
        self.client.ask(Command::EditMessage { conversation, message, text }).await
    }

    /// Deletes an own message for everyone.
    pub async fn delete(&self, message: OrderKey) -> Result<(), Failure> {
        self.client.ask(Command::DeleteMessage { conversation: self.id, message }).await
    }

    /// Reacts to a message; `None` takes the reaction back.
    pub async fn react(&self, message: OrderKey, emoji: Option<&str>) -> Result<(), Failure> {
        let (conversation, emoji) = (self.id, emoji.map(str::to_owned));
        self.client.ask(Command::React { conversation, message, emoji }).await
    }

    /// A page in display order, the newest last: the newest `limit` of those before `before`.
    pub async fn messages(
        &self,
        before: Option<OrderKey>,
        limit: usize,
    ) -> Result<Vec<MessageView>, Failure> {
        self.client.ask(Command::ListMessages { conversation: self.id, before, limit }).await
    }

    /// The newest page of `limit` messages: now, and again whenever something in the conversation
    /// looks different. Ends with the client.
    pub fn newest(
        &self,
        limit: usize,
    ) -> impl Stream<Item = Result<Vec<MessageView>, Failure>> + Send + use<> {
        let (this, id) = (self.clone(), self.id);
        let moves = move |event: &Event| match event {
            Event::Messages { conversation, .. }
            | Event::Receipts { conversation, .. }
            | Event::Conversation { conversation, .. } => *conversation == id,
            _ => false,
        };
        follow(self.client.events(), moves, move || {
            let this = this.clone();
            async move { this.messages(None, limit).await }
        })
    }

    /// Everything up to this message was read, on all own devices.
    pub async fn mark_read(&self, message: OrderKey) -> Result<(), Failure> {
        self.client.ask(Command::MarkRead { conversation: self.id, message }).await
    }

    /// Tells those who are looking that this person is typing. Nothing of it is stored.
    pub async fn typing(&self) -> Result<(), Failure> {
        self.client.ask(Command::Typing { conversation: self.id }).await
    }

    /// Adds somebody, with what was written before (`share_history`) or without.
    pub async fn add(&self, address: &str, share_history: bool) -> Result<(), Failure> {
        let (conversation, address) = (self.id, parsed(address)?);
        self.client.ask(Command::AddMember { conversation, address, share_history }).await
    }

    /// Removes somebody.
    pub async fn remove(&self, member: impl Into<Member>) -> Result<(), Failure> {
        let (conversation, member) = (self.id, member.into());
        self.client.ask(Command::RemoveMember { conversation, member }).await
    }

    /// Changes somebody's role.
    pub async fn set_role(&self, member: impl Into<Member>, role: Role) -> Result<(), Failure> {
        let (conversation, member) = (self.id, member.into());
        self.client.ask(Command::SetRole { conversation, member, role }).await
    }

    /// Changes the title.
    pub async fn set_title(&self, title: &str) -> Result<(), Failure> {
        let (conversation, title) = (self.id, title.to_owned());
        self.client.ask(Command::SetTitle { conversation, title }).await
    }

    /// Leaves; what was read stays on this device.
    pub async fn leave(&self) -> Result<(), Failure> {
        self.client.ask(Command::Leave { conversation: self.id }).await
    }

    /// Accepts a stranger's invitation. Until then nobody learns that it was read.
    pub async fn accept(&self) -> Result<(), Failure> {
        self.client.ask(Command::AcceptConversation { conversation: self.id }).await
    }

    /// Declines a stranger's invitation, and blocks whoever invited if `block` says so.
    pub async fn decline(&self, block: bool) -> Result<(), Failure> {
        self.client.ask(Command::DeclineConversation { conversation: self.id, block }).await
    }

    /// Has it on top of the list, or not, on all own devices.
    pub async fn set_pinned(&self, pinned: bool) -> Result<(), Failure> {
        self.note("pinned", pinned).await
    }

    /// Wants no notifications of it, or wants them again, on all own devices.
    pub async fn set_muted(&self, muted: bool) -> Result<(), Failure> {
        self.note("muted", muted).await
    }

    /// Puts it out of the list, or back, on all own devices.
    pub async fn set_archived(&self, archived: bool) -> Result<(), Failure> {
        self.note("archived", archived).await
    }

    async fn note(&self, what: &str, is: bool) -> Result<(), Failure> {
        let value = if is { true.into() } else { serde_json::Value::Null };
        self.client.settings().set(&format!("conversation/{}/{what}", self.id), value).await
    }

    /// The documents that all members share.
    pub async fn documents(&self) -> Result<DocumentsView, Failure> {
        let space = Space::Conversation(self.id);
        self.client.ask(Command::ListDocuments { space }).await
    }

    /// A document that all members share, by its name.
    #[must_use]
    pub fn document<T>(&self, name: &str) -> Document<T> {
        Document::new(self.client.clone(), Space::Conversation(self.id), name)
    }

    /// A fingerprint of what it holds: equal on devices that have the same entries.
    pub async fn digest(&self) -> Result<Digest, Failure> {
        self.client.ask(Command::Digest { space: Space::Conversation(self.id) }).await
    }
}
