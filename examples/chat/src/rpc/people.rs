//! Who is who: names and addresses of authors, as last seen in the list of conversations.

use sync_client::Client;
use sync_core::api::MessageView;
use tokio::sync::Mutex;

use super::shapes::Known;

/// Names and addresses, asked for only when somebody unknown appears or something changed.
#[derive(Debug)]
pub(crate) struct People {
    client: Client,
    known: Mutex<Known>,
}

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
        self.known.lock().await.clear();
    }

    /// What is known of the authors of messages.
    pub(crate) async fn of(&self, messages: &[MessageView]) -> Known {
        let mut known = self.known.lock().await;
        if messages.iter().any(|message| !known.contains_key(&message.author)) {
            self.ask(&mut known).await;
            // Whoever is still unknown has left: asking again would not help.
            for message in messages {
                known.entry(message.author).or_default();
            }
        }
        messages
            .iter()
            .filter_map(|message| Some((message.author, known.get(&message.author)?.clone())))
            .collect()
    }

    async fn ask(&self, known: &mut Known) {
        let Ok(conversations) = self.client.conversations().await else { return };
        let members = conversations.into_iter().flat_map(|conversation| conversation.members);
        known.extend(members.map(|member| (member.account, (member.address, member.name))));
    }
}
