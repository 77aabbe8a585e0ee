//! Documents that an app shares: maps, lists, texts, counters, changed by several devices at once.

use std::marker::PhantomData;

use futures_util::Stream;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use sync_core::api::{ChangeView, ConflictView, Question, Space};
use sync_core::document::{AppOp, Step, Unit};
use sync_core::{Command, Event, Failure};
use sync_protocol::text::BASE64;

use super::events::follow;
use super::{Client, finite};

/// A document by its name, read as `T`: any type that serde knows, or a [`Value`]. Clones are the same.
#[derive(Debug)]
pub struct Document<T = Value> {
    client: Client,
    space: Space,
    name: String,
    shape: PhantomData<fn() -> T>,
}

impl<T> Clone for Document<T> {
    fn clone(&self) -> Self {
        Self::new(self.client.clone(), self.space, &self.name)
    }
}

#[expect(clippy::missing_errors_doc, reason = "all fail as `Failure` says")]
impl<T> Document<T> {
    pub(super) fn new(client: Client, space: Space, name: &str) -> Self {
        Self { client, space, name: name.to_owned(), shape: PhantomData }
    }

    /// What it is called.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Makes all of a change or nothing of it; gives the document's heads. It is durable here when
    /// this returns, connected or not.
    pub async fn change(&self, change: Change) -> Result<Vec<[u8; 32]>, Failure> {
        let (space, name) = (self.space, self.name.clone());
        self.client.ask(Command::ChangeDocument { space, name, ops: change.ops? }).await
    }

    /// What stands at a path; `Null` if nothing does.
    pub async fn at(&self, path: impl IntoPath) -> Result<Value, Failure> {
        let (space, name, path) = (self.space, self.name.clone(), path.into_path());
        self.client.ask(Command::ReadDocument { space, name, path }).await
    }

    /// What stands at a path with everything tagged that JSON has no word for, so that it can be
    /// written back as what it is: `{"$text": ..}`, `{"$counter": ..}`, `{"$time": ..}`,
    /// `{"$bytes": ..}`, and `{"$map": ..}` around a map that only looks like one of these.
    pub async fn typed(&self, path: impl IntoPath) -> Result<Value, Failure> {
        let path = path.into_path();
        self.question(Question::Content { path, typed: true, at: Vec::new() }).await
    }

    /// The whole of it, plain, as it was with these changes: [`ChangeView::change`] of its
    /// [`history`](Self::history), or heads.
    pub async fn as_of(&self, changes: &[[u8; 32]]) -> Result<Value, Failure> {
        let at = changes.to_vec();
        self.question(Question::Content { path: Vec::new(), typed: false, at }).await
    }

    /// The changes that it came to be by, the newest first: those before one, if it is given.
    pub async fn history(
        &self,
        before: Option<[u8; 32]>,
        limit: usize,
    ) -> Result<Vec<ChangeView>, Failure> {
        self.question(Question::History { before, limit }).await
    }

    /// What was put at a place at once, what counts first. One value: nothing else was put there.
    pub async fn conflicts(&self, path: impl IntoPath) -> Result<Vec<ConflictView>, Failure> {
        self.question(Question::Conflicts { path: path.into_path() }).await
    }

    /// Says, for all, what people are to call it: one line, or nothing any more. The name by which it is
    /// opened stays. [`DocumentView::title`](sync_core::api::DocumentView::title) says it.
    pub async fn rename(&self, title: Option<&str>) -> Result<(), Failure> {
        let (space, name) = (self.space, self.name.clone());
        let title = title.map(str::to_owned);
        self.client.ask(Command::RenameDocument { space, name, title }).await
    }

    /// Says, for all, that the document is put away, or is not. Nothing else follows from it.
    pub async fn archive(&self, archived: bool) -> Result<(), Failure> {
        let (space, name) = (self.space, self.name.clone());
        self.client.ask(Command::ArchiveDocument { space, name, archived }).await
    }

    /// Deletes it for all. Who writes in it again begins it anew.
    pub async fn delete(&self) -> Result<(), Failure> {
        let (space, name) = (self.space, self.name.clone());
        self.client.ask(Command::DeleteDocument { space, name }).await
    }

    /// Tells those who are here now what this person is at: where a cursor stands, what is chosen; `Null`
    /// says that they left. In JSON of 2,048 bytes at most, which nobody keeps: say it anew every ten
    /// seconds, and take others for gone after thirty. Theirs comes as [`Event::Presence`].
    pub async fn present(&self, state: impl Serialize) -> Result<(), Failure> {
        let (space, name) = (self.space, self.name.clone());
        let state = finite::check(&state).and_then(|()| serde_json::to_value(&state));
        let state = state.map_err(|error| Failure::Invalid(format!("presence: {error}")))?;
        self.client.ask(Command::SetPresence { space, name, state }).await
    }

    async fn question<A: super::ask::Answer>(&self, question: Question) -> Result<A, Failure> {
        let (space, name) = (self.space, self.name.clone());
        self.client.ask(Command::AskDocument { space, name, question }).await
    }

    /// The document as bytes that any Automerge build opens.
    pub async fn export(&self) -> Result<Vec<u8>, Failure> {
        let (space, name) = (self.space, self.name.clone());
        self.client.ask(Command::ExportDocument { space, name }).await
    }

    /// Brings in what such bytes say: of a fork of this document what it has beside it, merged; into a
    /// document that holds nothing, all. Gives the heads. What a fork wrote comes in anew each time it
    /// is imported.
    pub async fn import(&self, bytes: Vec<u8>) -> Result<Vec<[u8; 32]>, Failure> {
        let (space, name) = (self.space, self.name.clone());
        self.client.ask(Command::ImportDocument { space, name, bytes }).await
    }
}

impl<T: DeserializeOwned> Document<T> {
    /// All of it; `None` while nobody has written anything.
    ///
    /// # Errors
    /// As [`Failure`] says; `Invalid` if it is not a `T`, with the place where it differs.
    pub async fn read(&self) -> Result<Option<T>, Failure> {
        let value = self.at(()).await?;
        if value.as_object().is_some_and(serde_json::Map::is_empty) {
            return Ok(None);
        }
        serde_json::from_value(value)
            .map(Some)
            .map_err(|error| Failure::Invalid(format!("the document {}: {error}", self.name)))
    }
}

impl<T: DeserializeOwned + Send + 'static> Document<T> {
    /// All of it: now, and again whenever it changed, here or elsewhere. Ends with the client.
    pub fn values(&self) -> impl Stream<Item = Result<Option<T>, Failure>> + Send + use<T> {
        let (this, name) = (self.clone(), format!("app/{}", self.name));
        let moves = move |event: &Event| is_about(event, &name);
        follow(self.client.events(), moves, move || {
            let this = this.clone();
            async move { this.read().await }
        })
    }
}

/// Whether an event tells of a document of this full name; one without a name tells of all.
fn is_about(event: &Event, name: &str) -> bool {
    matches!(event, Event::Document { name: changed, .. } if changed.is_empty() || changed == name)
}

/// Operations on a document that are made together.
///
/// ```
/// # use sync_client::{Change, path};
/// let change = Change::new()
///     .put("title", "Plan")
///     .ensure("items", Vec::<String>::new())
///     .insert(path!["items", 0], "milk")
///     .ensure("text", Change::text(""))
///     .splice("text", 0, 0, "Dear all,")
///     .ensure("votes", Change::counter(0))
///     .increment("votes", 1);
/// ```
#[derive(Debug)]
pub struct Change {
    /// The first value that is no JSON takes the place of all.
    ops: Result<Vec<AppOp>, Failure>,
}

impl Default for Change {
    fn default() -> Self {
        Self { ops: Ok(Vec::new()) }
    }
}

impl Change {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a key of a map, or an element of a list that is there.
    #[must_use]
    pub fn put(self, path: impl IntoPath, value: impl Serialize) -> Self {
        let path = path.into_path();
        self.with_value(value, |value| AppOp::Put { path, value })
    }

    /// Inserts into a list before the index that the path ends in; its length appends.
    #[must_use]
    pub fn insert(self, path: impl IntoPath, value: impl Serialize) -> Self {
        let path = path.into_path();
        self.with_value(value, |value| AppOp::Insert { path, value })
    }

    /// Puts a value at a key of a map if nothing is there, with the maps on the way. Several who do so
    /// at once make one and the same: begin lists, texts, counters and maps that others may begin, too,
    /// like this.
    #[must_use]
    pub fn ensure(self, path: impl IntoPath, value: impl Serialize) -> Self {
        let path = path.into_path();
        self.with_value(value, |value| AppOp::Ensure { path, value })
    }

    /// Puts a newer form of a value in the place of what is there. Several who find the same there and do
    /// so at once make one and the same: a newer version of an app brings documents up to date like this.
    #[must_use]
    pub fn convert(self, path: impl IntoPath, value: impl Serialize) -> Self {
        let path = path.into_path();
        self.with_value(value, |value| AppOp::Convert { path, value })
    }

    /// Moves an element of a list to where it then stands. It stands once, whoever moves it at the
    /// same time.
    #[must_use]
    pub fn move_to(self, path: impl IntoPath, to: u64) -> Self {
        self.with(AppOp::Move { path: path.into_path(), to })
    }

    /// Takes away what stands at a path.
    #[must_use]
    pub fn delete(self, path: impl IntoPath) -> Self {
        self.with(AppOp::Delete { path: path.into_path() })
    }

    /// Adds to a counter; what several devices add counts together.
    #[must_use]
    pub fn increment(self, path: impl IntoPath, by: i64) -> Self {
        self.with(AppOp::Increment { path: path.into_path(), by })
    }

    /// Takes `delete` characters (each a `char`) out of a text at `index`, and puts `insert` there.
    #[must_use]
    pub fn splice(self, path: impl IntoPath, index: u64, delete: u64, insert: &str) -> Self {
        self.splice_by(Unit::Characters, path, (index, delete), insert)
    }

    /// As [`splice`](Self::splice), with positions that count units of UTF-16, as browsers do.
    #[must_use]
    pub fn splice_utf16(self, path: impl IntoPath, index: u64, delete: u64, insert: &str) -> Self {
        self.splice_by(Unit::Utf16, path, (index, delete), insert)
    }

    fn splice_by(
        self,
        unit: Unit,
        path: impl IntoPath,
        (index, delete): (u64, u64),
        insert: &str,
    ) -> Self {
        let (path, insert) = (path.into_path(), insert.to_owned());
        self.with(AppOp::SpliceText { path, index, delete, insert, unit })
    }

    /// A text that several people type into at once, as a value for [`put`](Self::put).
    #[must_use]
    pub fn text(text: &str) -> Value {
        json!({ "$text": text })
    }

    /// A counter, as a value for [`put`](Self::put).
    #[must_use]
    pub fn counter(from: i64) -> Value {
        json!({ "$counter": from })
    }

    /// A time in Unix milliseconds, as a value for [`put`](Self::put).
    #[must_use]
    pub fn time(ms: i64) -> Value {
        json!({ "$time": ms })
    }

    /// Bytes, as a value for [`put`](Self::put).
    #[must_use]
    pub fn bytes(bytes: &[u8]) -> Value {
        json!({ "$bytes": BASE64.encode(bytes) })
    }

    /// A map with whatever keys, as a value for [`put`](Self::put): a user's `{"$time": "noon"}` is
    /// then nothing else.
    #[must_use]
    pub fn map(fields: Map<String, Value>) -> Value {
        json!({ "$map": fields })
    }

    fn with(mut self, op: AppOp) -> Self {
        if let Ok(ops) = &mut self.ops {
            ops.push(op);
        }
        self
    }

    fn with_value(
        self,
        value: impl Serialize,
        op: impl FnOnce(sync_protocol::codec::Blob) -> AppOp,
    ) -> Self {
        let json = finite::check(&value).and_then(|()| serde_json::to_vec(&value));
        match json {
            Ok(json) => self.with(op(json.into())),
            Err(error) if self.ops.is_ok() => {
                Self { ops: Err(Failure::Invalid(format!("a value that is no JSON: {error}"))) }
            }
            Err(_) => self,
        }
    }
}

/// Where something stands in a document: `"title"`, [`path!`](crate::path)`["items", 0]`, or `()` for all of it.
pub trait IntoPath {
    /// Step by step from the root.
    fn into_path(self) -> Vec<Step>;
}

impl IntoPath for () {
    fn into_path(self) -> Vec<Step> {
        Vec::new()
    }
}

impl IntoPath for &str {
    fn into_path(self) -> Vec<Step> {
        vec![Step::Key(self.to_owned())]
    }
}

impl IntoPath for Vec<Step> {
    fn into_path(self) -> Vec<Step> {
        self
    }
}

/// A path into a document: keys of maps and indexes of lists.
///
/// ```
/// # use sync_client::{Step, path};
/// assert_eq!(path!["items", 0], [Step::Key("items".to_owned()), Step::Index(0)]);
/// ```
#[macro_export]
macro_rules! path {
    ($($step:expr),* $(,)?) => { vec![$($crate::Step::from($step)),*] };
}

#[cfg(test)]
mod tests {
    use sync_protocol::SpaceId;

    use super::*;

    #[test]
    fn what_is_told_without_a_name_is_told_of_every_document() {
        let told = |name: &str| Event::Document {
            space: SpaceId::from_bytes([0; 32]),
            name: name.to_owned(),
            paths: None,
            by: None,
        };
        for (name, expected) in [("app/plan", true), ("", true), ("app/other", false)] {
            assert_eq!(is_about(&told(name), "app/plan"), expected, "{name}");
        }
    }
}
