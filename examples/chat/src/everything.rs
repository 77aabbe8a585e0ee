//! What goes over everything that is here: search in all conversations, and export of the account.
//!
//! Both read a page at a time, so that they take no more memory however much was written.

use std::io;

use serde_json::{Map, Value, json};
use sync_client::Client;
use sync_core::api::{ConversationView, MessageView};
use sync_core::document::OrderKey;
use sync_core::json::{self, People};
use sync_core::{Command, Failure, Response};
use sync_protocol::SpaceId;
use tokio::io::{AsyncWrite, AsyncWriteExt as _};

/// Messages read at once.
const PAGE: usize = 500;
/// The version of what [`export`] writes.
const VERSION: u64 = 1;

/// A message that was looked for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Hit {
    /// Where it is.
    pub(crate) conversation: SpaceId,
    /// It.
    pub(crate) message: MessageView,
}

/// The newest `limit` messages that hold a text, in whatever case, newest first: of one
/// conversation, or of all.
///
/// # Errors
/// `Invalid` for a text that shows nothing, `NotFound` for a conversation that is not there; as
/// [`Command::ListMessages`].
pub(crate) async fn search(
    client: &Client,
    text: &str,
    only: Option<SpaceId>,
    limit: usize,
) -> Result<Vec<Hit>, Failure> {
    let words = folded(text.trim());
    if words.is_empty() {
        return Err(Failure::Invalid("the text is empty".to_owned()));
    }
    let mut all = client.conversations().list().await?;
    if let Some(only) = only {
        all.retain(|view| view.conversation == only);
        if all.is_empty() {
            return Err(Failure::NotFound("conversation"));
        }
    }
    let mut hits = Vec::new();
    for view in all {
        search_one(client, view.conversation, &words, limit, &mut hits).await?;
        hits.sort_by_key(|hit: &Hit| std::cmp::Reverse((hit.message.at_ms, hit.message.message)));
        hits.truncate(limit);
    }
    Ok(hits)
}

async fn search_one(
    client: &Client,
    conversation: SpaceId,
    words: &str,
    limit: usize,
    hits: &mut Vec<Hit>,
) -> Result<(), Failure> {
    let (mut before, mut found) = (None, 0);
    loop {
        let page = client.conversation(conversation).messages(before, PAGE).await?;
        before = page.first().map(|message| message.message);
        let is_last = page.len() < PAGE;
        let holds =
            |message: &MessageView| !message.deleted && folded(&message.text).contains(words);
        for message in page.into_iter().rev().filter(holds) {
            hits.push(Hit { conversation, message });
            found += 1;
        }
        if is_last || found >= limit {
            return Ok(());
        }
    }
}

/// A text as it is compared.
pub(crate) fn folded(text: &str) -> String {
    text.to_lowercase()
}

/// How much was exported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Exported {
    /// Conversations, messages and settings.
    counts: [u64; 3],
}

impl Exported {
    /// As programs are told.
    pub(crate) fn to_json(self) -> Value {
        let [conversations, messages, settings] = self.counts;
        json!({ "conversations": conversations, "messages": messages, "settings": settings })
    }
}

/// Why an export broke off.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ExportError {
    /// The client can't give it.
    #[error(transparent)]
    Client(#[from] Failure),
    /// It can't be written.
    #[error("it can't be written: {0}")]
    Write(#[from] io::Error),
}

/// Writes everything that is on this device as JSON Lines: an object a line, each with its `kind`.
/// The first says whose it is, the last (`end`) how much there was; `README.md` lists the others.
///
/// # Errors
/// If something can't be read or written; there is no `end` then.
pub(crate) async fn export(
    client: &Client,
    at_ms: u64,
    to: impl AsyncWrite + Unpin,
) -> Result<Exported, ExportError> {
    let mut lines = Lines { to: tokio::io::BufWriter::new(to) };
    let mut counts = Exported::default();
    let [conversations, messages, settings] = &mut counts.counts;
    let status = json::response(client.command(Command::Status).await?);
    let mut whose = Map::from_iter([("version".to_owned(), VERSION.into())]);
    whose.insert("at_ms".to_owned(), at_ms.into());
    for field in ["account", "address", "name", "device"] {
        whose.insert(field.to_owned(), status.get(field).cloned().unwrap_or_default());
    }
    lines.write("export", Value::Object(whose)).await?;
    if let Value::Object(all) = json::response(client.command(Command::Settings).await?) {
        for (key, value) in all {
            lines.write("setting", json!({ "key": key, "value": value })).await?;
            *settings += 1;
        }
    }
    let views = client.conversations().list().await?;
    let mut people = People::default();
    people.learn(views.clone(), 0);
    for view in &views {
        let one = json::response(Response::Conversations(vec![view.clone()]));
        for conversation in one.as_array().into_iter().flatten() {
            lines.write("conversation", conversation.clone()).await?;
        }
        *conversations += 1;
        *messages += export_messages(client, view, &people, &mut lines).await?;
    }
    lines.write("end", counts.to_json()).await?;
    lines.to.flush().await?;
    Ok(counts)
}

/// The messages of a conversation, in display order: its pages are found from the newest on, and
/// written from the oldest on.
async fn export_messages(
    client: &Client,
    view: &ConversationView,
    people: &People,
    lines: &mut Lines<impl AsyncWrite + Unpin>,
) -> Result<u64, ExportError> {
    let conversation = view.conversation;
    let newest = client.conversation(conversation).messages(None, PAGE).await?;
    let first = |page: &[MessageView]| page.first().map(|message| message.message);
    let mut starts: Vec<OrderKey> = Vec::new();
    let mut start = first(&newest).filter(|_| newest.len() == PAGE);
    while let Some(before) = start {
        starts.push(before);
        let page = client.conversation(conversation).messages(Some(before), PAGE).await?;
        start = first(&page).filter(|_| page.len() == PAGE);
    }
    let mut count = 0;
    for before in starts.into_iter().rev() {
        let page = client.conversation(conversation).messages(Some(before), PAGE).await?;
        count += lines.write_messages(conversation, &page, people).await?;
    }
    Ok(count + lines.write_messages(conversation, &newest, people).await?)
}

struct Lines<W: AsyncWrite> {
    to: tokio::io::BufWriter<W>,
}

impl<W: AsyncWrite + Unpin> Lines<W> {
    async fn write(&mut self, kind: &str, mut fields: Value) -> io::Result<()> {
        fields["kind"] = kind.into();
        self.to.write_all(fields.to_string().as_bytes()).await?;
        self.to.write_all(b"\n").await
    }

    async fn write_messages(
        &mut self,
        conversation: SpaceId,
        page: &[MessageView],
        people: &People,
    ) -> io::Result<u64> {
        let known = people.of(page);
        for message in page {
            let mut fields = json::message(message, &known);
            fields["conversation"] = conversation.to_string().into();
            self.write("message", fields).await?;
        }
        Ok(u64::try_from(page.len()).unwrap_or(u64::MAX))
    }
}
