//! Native clients as apps have them: engine, redb and socket, around a relay of its own process.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use sync_client::{Client, Notice, Options};
use sync_core::api::{Command, Event, Until};
use sync_core::document::OrderKey;
use sync_protocol::SpaceId;
use tempfile::TempDir;
use tokio::task::JoinHandle;

use crate::process::Server;
use crate::town::message;
use crate::{Outcome, failed};

/// What does not happen within this time never will.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);
/// How often something is looked at that is not told.
const LOOK: Duration = Duration::from_millis(20);

/// People in one conversation. The first founded it.
pub(crate) struct People {
    pub(crate) relay: Server,
    pub(crate) clients: Vec<Client>,
    pub(crate) conversation: SpaceId,
    _directory: TempDir,
}

impl People {
    /// Starts a relay, signs people up, and waits until all are in one conversation.
    pub(crate) async fn gather(count: usize) -> Outcome<Self> {
        let directory = tempfile::tempdir()?;
        let relay = Server::relay(&directory.path().join("relay"), None)?;
        let mut clients = Vec::new();
        for n in 0..count {
            let options = Options { notices: 1 << 18, ..Options::default() };
            let home = directory.path().join(format!("person{n}"));
            let client = Client::open(&home, &relay.url(), options).await?;
            client.account().create(&format!("person{n}"), &format!("Person {n}")).await?;
            reached(client.wait(Until::UpToDate, PATIENCE).await?)?;
            reached(client.wait(Until::Stored, PATIENCE).await?)?;
            clients.push(client);
        }
        let members: Vec<String> = (1..count).map(|n| format!("person{n}")).collect();
        let members: Vec<&str> = members.iter().map(String::as_str).collect();
        let first = clients.first().ok_or_else(|| failed("nobody is there"))?;
        let conversation = first.conversations().create("A conversation", &members).await?.id();
        reached(first.wait(Until::Stored, PATIENCE).await?)?;
        let people = Self { relay, clients, conversation, _directory: directory };
        let last = people.say(0, 1, 0).await?;
        for n in 1..count {
            people.has(n, last).await?;
        }
        Ok(people)
    }

    pub(crate) fn client(&self, n: usize) -> Outcome<&Client> {
        self.clients.get(n).ok_or_else(|| failed("no such person"))
    }

    /// Writes messages without waiting for one before the next; gives the last one's id once all
    /// are kept.
    pub(crate) async fn say(&self, n: usize, count: usize, from: usize) -> Outcome<OrderKey> {
        let client = self.client(n)?;
        let mut under_way = std::collections::VecDeque::new();
        let mut last = None;
        for number in from..from + count {
            let text = message(number);
            let conversation = self.conversation;
            let send = Command::SendMessage { conversation, text, reply_to: None };
            under_way.push_back(client.submit(send).await);
            if under_way.len() > 512
                && let Some(first) = under_way.pop_front()
            {
                first.answer().await?;
            }
        }
        for submitted in under_way {
            if let sync_core::Response::Message(key) = submitted.answer().await? {
                last = Some(key);
            }
        }
        last.ok_or_else(|| failed("nothing was written"))
    }

    /// Waits until a message is on a person's screen.
    pub(crate) async fn has(&self, n: usize, message: OrderKey) -> Outcome<()> {
        let client = self.client(n)?;
        let started = Instant::now();
        while started.elapsed() < PATIENCE {
            // A member who is not there yet has no such conversation.
            let page =
                client.conversation(self.conversation).messages(None, 1).await.unwrap_or_default();
            if page.iter().any(|shown| shown.message == message) {
                return Ok(());
            }
            tokio::time::sleep(LOOK).await;
        }
        Err(failed("a message did not arrive"))
    }

    /// Notes when each message of others first shows, until `count` of them have.
    pub(crate) fn watch(
        &self,
        n: usize,
        count: usize,
    ) -> Outcome<JoinHandle<Outcome<BTreeMap<OrderKey, Instant>>>> {
        let mut events = self.client(n)?.events();
        Ok(tokio::spawn(async move {
            let mut seen = BTreeMap::new();
            while seen.len() < count {
                let notice = tokio::time::timeout(PATIENCE, events.next()).await;
                let notice =
                    notice.map_err(|_| failed(format!("{} of {count} came", seen.len())))?;
                match notice {
                    Some(Notice::Event(Event::Messages { messages, .. })) => {
                        let now = Instant::now();
                        for key in messages {
                            seen.entry(key).or_insert(now);
                        }
                    }
                    Some(Notice::Lagged(_)) | None => return Err(failed("notices were lost")),
                    Some(_) => {}
                }
            }
            Ok(seen)
        }))
    }

    /// Closes everything in order.
    pub(crate) async fn part(self) {
        for client in self.clients {
            client.close().await;
        }
    }
}

pub(crate) fn reached(is_reached: bool) -> Outcome<()> {
    if is_reached { Ok(()) } else { Err(failed("the relay was not reached in time")) }
}
