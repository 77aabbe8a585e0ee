//! The closed set of local edits. They are journalled and may be authored again under a new writer
//! or segment, so they say what is meant, never how Automerge records it.

use minicbor::{Decode, Encode};
use sync_protocol::codec::Blob;
use sync_protocol::ids::AccountId;

use super::clock::OrderKey;
use super::contacts::Contact;
use super::messages::Attachment;
use super::people::Person;
use super::receipts::Mark;

/// One local edit.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub enum Edit {
    /// A new message, in the newest segment.
    #[n(0)]
    Message(#[n(0)] NewMessage),
    /// Another text for an own message, of this or an earlier segment.
    #[n(1)]
    EditMessage {
        /// Which message.
        #[n(0)]
        key: OrderKey,
        /// The new text.
        #[n(1)]
        text: String,
    },
    /// An own message deleted for everyone.
    #[n(2)]
    DeleteMessage {
        /// Which message.
        #[n(0)]
        key: OrderKey,
    },
    /// A reaction to a message; `None` takes it back.
    #[n(3)]
    React {
        /// Which message.
        #[n(0)]
        key: OrderKey,
        /// The emoji.
        #[n(1)]
        emoji: Option<String>,
    },
    /// How far this device has received and its person has read. Marks never go back.
    #[n(4)]
    Receipt {
        /// Everything up to here has arrived.
        #[n(0)]
        delivered: Option<Mark>,
        /// Everything up to here has been read.
        #[n(1)]
        read: Option<Mark>,
    },
    /// A setting; `None` takes it away.
    #[n(5)]
    Setting {
        /// The full key, `device/<id>/...` or account-wide.
        #[n(0)]
        key: String,
        /// The value as JSON text.
        #[n(1)]
        value: Option<Blob>,
    },
    /// A contact's record; `None` takes it away.
    #[n(6)]
    Contact {
        /// Whose.
        #[n(0)]
        account: AccountId,
        /// The record.
        #[n(1)]
        contact: Option<Contact>,
    },
    /// Something that the account's devices keep for one another. Only what is new is written.
    #[n(8)]
    Vault {
        /// The key.
        #[n(0)]
        key: String,
        /// The value.
        #[n(1)]
        value: Blob,
    },
    /// What this writer's person is called.
    #[n(9)]
    Person(#[n(0)] Person),
    /// Operations on an app's own document, all or none.
    #[n(7)]
    App {
        /// In order.
        #[n(0)]
        ops: Vec<AppOp>,
    },
}

/// A message as it is written.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct NewMessage {
    /// Its id and place; the tag must be the writer's.
    #[n(0)]
    pub key: OrderKey,
    /// The text.
    #[n(1)]
    pub text: String,
    /// The message it answers.
    #[n(2)]
    pub reply_to: Option<OrderKey>,
    /// Attachments.
    #[n(3)]
    pub attachments: Vec<Attachment>,
    /// When it vanishes, Unix milliseconds.
    #[n(4)]
    pub expires_ms: Option<u64>,
}

impl NewMessage {
    /// A text and nothing else.
    #[must_use]
    pub fn new(key: OrderKey, text: impl Into<String>) -> Self {
        let (text, attachments) = (text.into(), Vec::new());
        Self { key, text, reply_to: None, attachments, expires_ms: None }
    }
}

/// One step of a path into an app's document.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Step {
    /// A key of a map.
    #[n(0)]
    Key(#[n(0)] String),
    /// An index of a list.
    #[n(1)]
    Index(#[n(0)] u64),
}

impl From<&str> for Step {
    fn from(key: &str) -> Self {
        Self::Key(key.to_owned())
    }
}

impl From<String> for Step {
    fn from(key: String) -> Self {
        Self::Key(key)
    }
}

impl From<u64> for Step {
    fn from(index: u64) -> Self {
        Self::Index(index)
    }
}

/// One operation on an app's document. The last step of `path` is where it acts. `value` is JSON
/// text; `{"$text": "..."}`, `{"$counter": n}`, `{"$bytes": "base64"}` and `{"$time": ms}` create
/// what JSON has no word for, at any depth; arrays and other objects create lists and maps.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum AppOp {
    /// Sets a key of a map, or an existing element of a list.
    #[n(0)]
    Put {
        /// Where.
        #[n(0)]
        path: Vec<Step>,
        /// What, as JSON text.
        #[n(1)]
        value: Blob,
    },
    /// Inserts into a list before the index the path ends in (its length appends).
    #[n(1)]
    Insert {
        /// Where.
        #[n(0)]
        path: Vec<Step>,
        /// What, as JSON text.
        #[n(1)]
        value: Blob,
    },
    /// Takes a key or an element away.
    #[n(2)]
    Delete {
        /// Where.
        #[n(0)]
        path: Vec<Step>,
    },
    /// Adds to a counter.
    #[n(3)]
    Increment {
        /// Which counter.
        #[n(0)]
        path: Vec<Step>,
        /// How much; may be negative.
        #[n(1)]
        by: i64,
    },
    /// Replaces a stretch of a text, counted in Unicode code points.
    #[n(4)]
    SpliceText {
        /// Which text.
        #[n(0)]
        path: Vec<Step>,
        /// From where.
        #[n(1)]
        index: u64,
        /// How many code points go.
        #[n(2)]
        delete: u64,
        /// What comes.
        #[n(3)]
        insert: String,
    },
}

/// Why a local edit was not made. The document is unchanged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// This kind of document has no such edit.
    #[error("this document takes no such edit")]
    WrongDocument,
    /// The path leads nowhere, or to something of another kind.
    #[error("nothing of that kind at the path")]
    NoSuchPlace,
    /// The value isn't JSON, or not in a form documents can hold.
    #[error("not a value a document can hold")]
    BadValue,
    /// More than a document, or one change to it, may hold.
    #[error("{what}: more than {limit}")]
    TooLarge {
        /// Of what.
        what: &'static str,
        /// How much of it there may be: in bytes, unless its name says what is counted.
        limit: usize,
    },
    /// The order key carries another writer's tag.
    #[error("the message's key isn't this writer's")]
    NotOwn,
}
