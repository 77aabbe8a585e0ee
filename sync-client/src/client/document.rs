//! Documents that an app shares: maps, lists, texts, counters, changed by several devices at once.

use std::marker::PhantomData;

use futures_util::Stream;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use sync_core::api::Space;
use sync_core::document::{AppOp, Step};
use sync_core::{Command, Event, Failure};

use super::Client;
use super::events::follow;

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

    /// The document as bytes that any Automerge build opens.
    pub async fn export(&self) -> Result<Vec<u8>, Failure> {
        let (space, name) = (self.space, self.name.clone());
        self.client.ask(Command::ExportDocument { space, name }).await
    }

    /// Makes the document what such bytes say; gives its heads.
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
        let moves = move |event: &Event| matches!(event, Event::Document { name: changed, .. } if *changed == name);
        follow(self.client.events(), moves, move || {
            let this = this.clone();
            async move { this.read().await }
        })
    }
}

/// Operations on a document that are made together.
///
/// ```
/// # use sync_client::{Change, path};
/// let change = Change::new()
///     .put("title", "Plan")
///     .put("items", ["tea"])
///     .insert(path!["items", 1], "milk")
///     .put("text", Change::text("Dear all,"))
///     .put("votes", Change::counter(0))
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

    /// Takes `delete` characters out of a text at `index`, and puts `insert` there.
    #[must_use]
    pub fn splice(self, path: impl IntoPath, index: u64, delete: u64, insert: &str) -> Self {
        let (path, insert) = (path.into_path(), insert.to_owned());
        self.with(AppOp::SpliceText { path, index, delete, insert })
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
        match serde_json::to_vec(&value) {
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
