//! The closed set of local edits. They are journalled and may be authored again under a new writer
//! or segment, so they say what is meant, never how Automerge records it.

use std::fmt;

use sync_protocol::codec::{Blob, Decode, Encode};
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

impl Edit {
    /// Whether it is for a message's author alone: of anybody else, nobody shows it.
    pub(crate) fn is_authors(&self) -> bool {
        match self {
            Self::EditMessage { .. } | Self::DeleteMessage { .. } => true,
            Self::Message(_)
            | Self::React { .. }
            | Self::Receipt { .. }
            | Self::Setting { .. }
            | Self::Contact { .. }
            | Self::Vault { .. }
            | Self::Person(_)
            | Self::App { .. } => false,
        }
    }
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
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
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
/// what JSON has no word for, at any depth; `{"$float": "16 hex digits"}` is a number by its bits; arrays and other objects create lists and maps.
/// `{"$map": {...}}` is a map whose own keys are not looked at: what an app's users write may begin
/// with a `$`.
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
    /// Replaces a stretch of a text.
    #[n(4)]
    SpliceText {
        /// Which text.
        #[n(0)]
        path: Vec<Step>,
        /// From where.
        #[n(1)]
        index: u64,
        /// How many go.
        #[n(2)]
        delete: u64,
        /// What comes.
        #[n(3)]
        insert: String,
        /// What is counted.
        #[n(4)]
        unit: Unit,
    },
    /// Puts a value at a key of a map if nothing is there, with the maps on the way to it. Several
    /// who do so at once make one and the same.
    #[n(5)]
    Ensure {
        /// Where: its last step is a key.
        #[n(0)]
        path: Vec<Step>,
        /// What, as JSON text.
        #[n(1)]
        value: Blob,
    },
    /// Puts a value in the place of what is there, as a newer form of it. Several who do so at once
    /// make one and the same, if the same was there: so devices bring a document up to date without
    /// asking one another.
    #[n(7)]
    Convert {
        /// Where: a key or an element that is there.
        #[n(0)]
        path: Vec<Step>,
        /// What, as JSON text.
        #[n(1)]
        value: Blob,
    },
    /// Moves an element of a list. It stays what it is, whoever changes it meanwhile, and stands
    /// once, whoever moves it at the same time.
    #[n(6)]
    Move {
        /// Which element.
        #[n(0)]
        path: Vec<Step>,
        /// Where it stands afterwards.
        #[n(1)]
        to: u64,
    },
}

impl AppOp {
    /// What it is called, and where it acts.
    pub(crate) fn named(&self) -> (&'static str, &[Step]) {
        match self {
            Self::Put { path, .. } => ("put", path),
            Self::Insert { path, .. } => ("insert", path),
            Self::Delete { path } => ("delete", path),
            Self::Increment { path, .. } => ("increment", path),
            Self::SpliceText { path, .. } => ("splice_text", path),
            Self::Ensure { path, .. } => ("ensure", path),
            Self::Move { path, .. } => ("move", path),
            Self::Convert { path, .. } => ("convert", path),
        }
    }
}

/// What positions in a text count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum Unit {
    /// Unicode code points: what Rust calls `char`.
    #[default]
    #[n(0)]
    Characters,
    /// Code units of UTF-16: what browsers count.
    #[n(1)]
    Utf16,
}

/// Why one operation on an app's document can't be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpFault {
    /// A step of the path leads to nothing.
    #[error("nothing is there")]
    NoSuchPlace,
    /// An index, and no list.
    #[error("not a list")]
    NotAList,
    /// A key, and no map.
    #[error("not a map")]
    NotAMap,
    /// Spliced, and no text.
    #[error("not a text")]
    NotAText,
    /// Counted, and no counter.
    #[error("not a counter")]
    NotACounter,
    /// Beyond what the list or text has.
    #[error("past the end")]
    PastTheEnd,
    /// Between the two halves of a character.
    #[error("inside a character")]
    InsideACharacter,
    /// Not a value that a document can hold.
    #[error("not a value that a document can hold")]
    BadValue,
    /// A key that is empty or too long.
    #[error("a key has 1 to 256 bytes")]
    BadKey,
    /// The whole document, where a place in it is needed.
    #[error("the path is empty")]
    EmptyPath,
    /// More than a document, or one change to it, may hold.
    #[error("{what}: more than {limit}")]
    TooLarge {
        /// Of what.
        what: &'static str,
        /// How much of it there may be.
        limit: usize,
    },
}

impl OpFault {
    /// The stable word for programs.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::NoSuchPlace => "no_such_place",
            Self::NotAList => "not_a_list",
            Self::NotAMap => "not_a_map",
            Self::NotAText => "not_a_text",
            Self::NotACounter => "not_a_counter",
            Self::PastTheEnd => "past_the_end",
            Self::InsideACharacter => "inside_a_character",
            Self::BadValue => "bad_value",
            Self::BadKey => "bad_key",
            Self::EmptyPath => "empty_path",
            Self::TooLarge { .. } => "too_large",
        }
    }
}

/// Which of several operations can't be made, and why: none of them was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpError {
    /// Which, counted from 0.
    pub op: usize,
    /// What it is called.
    pub operation: &'static str,
    /// Where it was to act.
    pub path: Vec<Step>,
    /// Why not.
    pub fault: OpFault,
}

impl fmt::Display for OpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "op {} ({} at [", self.op, self.operation)?;
        for (nth, step) in self.path.iter().enumerate() {
            f.write_str(if nth == 0 { "" } else { "," })?;
            match step {
                Step::Key(key) => write!(f, "{key:?}")?,
                Step::Index(index) => write!(f, "{index}")?,
            }
        }
        write!(f, "]): {}", self.fault)
    }
}

/// Why a local edit was not made. The document is unchanged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// This kind of document has no such edit.
    #[error("this document takes no such edit")]
    WrongDocument,
    /// The typed document has no such place.
    #[error("nothing of that kind at the path")]
    NoSuchPlace,
    /// An operation on an app's document can't be made.
    #[error("{0}")]
    Op(Box<OpError>),
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
