//! Who is who: names and addresses of authors, as last seen in the list of conversations.

use sync_protocol::AccountId;
use sync_protocol::sorted::SortedMap;

use crate::api::{ConversationView, Event, MessageView};

/// What is known of people: address and name.
pub type Known = SortedMap<AccountId, (Option<String>, String)>;

/// How soon the list is asked again for somebody whom it didn't name.
const AGAIN_MS: u64 = 1_000;

/// Names and addresses. The host asks for the list only when somebody unknown appears.
#[derive(Debug, Default)]
pub struct People {
    known: Known,
    asked_ms: Option<u64>,
}

impl People {
    /// After a change of members, titles or names, the list is asked again next time.
    pub fn hear(&mut self, event: &Event) {
        let is_stale = match event {
            Event::Conversation { .. } => true,
            // The own name is no other member's to tell.
            Event::Status(status) => status.account.is_some_and(|own| {
                self.known.get(&own).is_some_and(|(_, name)| *name != status.name)
            }),
            _ => false,
        };
        if is_stale {
            *self = Self::default();
        }
    }

    /// Whether the list of conversations should be asked for before these messages are shown.
    /// `now_ms` is of any clock that the host keeps to.
    #[must_use]
    pub fn lack(&self, messages: &[MessageView], now_ms: u64) -> bool {
        let is_named = |author| self.known.get(author).is_some_and(|(_, name)| !name.is_empty());
        let is_stale = self.asked_ms.is_none_or(|asked| now_ms.saturating_sub(asked) > AGAIN_MS);
        is_stale && !messages.iter().all(|message| is_named(&message.author))
    }

    /// Takes the list in.
    pub fn learn(&mut self, conversations: Vec<ConversationView>, now_ms: u64) {
        let members = conversations.into_iter().flat_map(|conversation| conversation.members);
        self.known.extend(members.map(|member| (member.account, (member.address, member.name))));
        self.asked_ms = Some(now_ms);
    }

    /// What is known of the authors of messages.
    #[must_use]
    pub fn of(&self, messages: &[MessageView]) -> Known {
        messages
            .iter()
            .filter_map(|message| Some((message.author, self.known.get(&message.author)?.clone())))
            .collect()
    }
}
