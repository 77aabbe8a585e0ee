//! Who is who: names and addresses of authors, asked of the client when somebody unknown appears.

use std::time::Instant;

use sync_client::Client;
use sync_core::api::{Event, MessageView};
use sync_core::json::{self, Known};
use tokio::sync::Mutex;

/// Names and addresses, and the client that is asked for them.
#[derive(Debug)]
pub(crate) struct People {
    client: Client,
    started: Instant,
    known: Mutex<json::People>,
}

impl People {
    /// Knows nobody yet.
    pub(crate) fn new(client: Client) -> Self {
        Self { client, started: Instant::now(), known: Mutex::default() }
    }

    /// The client asked.
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// After a change of members, titles or names, the client is asked again next time.
    pub(crate) async fn hear(&self, event: &Event) {
        self.known.lock().await.hear(event);
    }

    /// What is known of the authors of messages.
    pub(crate) async fn of(&self, messages: &[MessageView]) -> Known {
        let mut known = self.known.lock().await;
        let now_ms = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        if known.lack(messages, now_ms)
            && let Ok(conversations) = self.client.conversations().list().await
        {
            known.learn(conversations, now_ms);
        }
        known.of(messages)
    }
}
