//! Who is who: names and addresses of authors, as last seen in the list of conversations.

use std::time::{Duration, Instant};

use sync_client::Client;
use sync_core::api::MessageView;
use tokio::sync::Mutex;

use super::shapes::Known;

/// Names and addresses, asked for only when somebody unknown appears or something changed.
#[derive(Debug)]
pub(crate) struct People {
    client: Client,
    known: Mutex<Cache>,
}

#[derive(Debug, Default)]
struct Cache {
    known: Known,
    asked: Option<Instant>,
}

/// How soon the list is asked again for somebody whom it didn't name.
const AGAIN: Duration = Duration::from_secs(1);

impl People {
    /// Knows nobody yet.
    pub(crate) fn new(client: Client) -> Self {
        Self { client, known: Mutex::default() }
    }

    /// The client asked.
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// Members, titles or names changed: ask again next time.
    pub(crate) async fn forget(&self) {
        *self.known.lock().await = Cache::default();
    }

    /// What is known of the authors of messages.
    pub(crate) async fn of(&self, messages: &[MessageView]) -> Known {
        let mut cache = self.known.lock().await;
        let is_named = |author| cache.known.get(author).is_some_and(|(_, name)| !name.is_empty());
        let is_stale = cache.asked.is_none_or(|asked| asked.elapsed() > AGAIN);
        if is_stale && !messages.iter().all(|message| is_named(&message.author)) {
            self.ask(&mut cache.known).await;
            cache.asked = Some(Instant::now());
        }
        messages
            .iter()
            .filter_map(|message| Some((message.author, cache.known.get(&message.author)?.clone())))
            .collect()
    }

    async fn ask(&self, known: &mut Known) {
        let Ok(conversations) = self.client.conversations().await else { return };
        let members = conversations.into_iter().flat_map(|conversation| conversation.members);
        known.extend(members.map(|member| (member.account, (member.address, member.name))));
    }
}
