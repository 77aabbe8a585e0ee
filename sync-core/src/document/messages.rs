//! Messages: segments of entries, and the view that folds them into a conversation.
//!
//! A segment's genesis holds 16 maps. A message is one entry, `order key -> CBOR`; edits, deletions
//! and reactions are entries of their own, `order key + kind + writer tag`, in the same or a later
//! segment. The document layer knows writers only, so the view asks who is one person, and lets
//! only a message's author edit or delete it. What a newer version wrote is kept and says so.

use std::collections::{BTreeMap, BTreeSet};

use sync_protocol::codec::{Blob, Decode, Encode};
use sync_protocol::ids::WriterId;
use sync_protocol::sorted::SortedMap;

use super::clock::{OrderKey, Rank, Stamp};
use super::entries::Entry;
use super::grammar::EntryKey;
use super::local::lenient;
use super::{Document, Name, NewMessage, Placement, Touched};

pub(crate) const EDIT: char = 'e';
pub(crate) const DELETE: char = 'd';
pub(crate) const REACT: char = 'r';

/// An attachment: an encrypted blob and what to show before it is fetched.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Attachment {
    /// Hash of the ciphertext.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub blob: [u8; 32],
    /// The key that opens it.
    #[n(1)]
    pub key: Blob,
    /// Plaintext length in bytes.
    #[n(2)]
    pub size: u64,
    /// File name.
    #[n(3)]
    pub name: String,
    /// Media type.
    #[n(4)]
    pub media_type: String,
}

/// A message's entry.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(crate) struct Body {
    #[n(0)]
    text: String,
    #[n(1)]
    reply_to: Option<OrderKey>,
    #[n(2)]
    attachments: Option<Vec<Attachment>>,
    #[n(3)]
    expires_ms: Option<u64>,
}

impl Body {
    pub(crate) fn of(message: &NewMessage) -> Self {
        // The key is the entry's.
        let NewMessage { key: _, text, reply_to, attachments, expires_ms } = message;
        let attachments = (!attachments.is_empty()).then(|| attachments.clone());
        Self { text: text.clone(), reply_to: *reply_to, attachments, expires_ms: *expires_ms }
    }
}

/// An edit's entry.
#[derive(Clone, Debug, Encode, Decode)]
#[cbor(map)]
pub(crate) struct Edited {
    #[n(0)]
    pub(crate) text: String,
}

/// A deletion's entry.
#[derive(Clone, Debug, Encode, Decode)]
#[cbor(map)]
pub(crate) struct Deleted {}

/// A reaction's entry.
#[derive(Clone, Debug, Encode, Decode)]
#[cbor(map)]
pub(crate) struct Reacted {
    #[n(0)]
    pub(crate) emoji: Option<String>,
}

/// A message as the view shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its id.
    pub key: OrderKey,
    /// Who wrote it.
    pub writer: WriterId,
    /// Where it stands in the order; `effective.ms` is the time to show.
    pub effective: Stamp,
    /// Its place at the relay, once known.
    pub placement: Option<Placement>,
    /// Its text, edits folded in; empty when deleted.
    pub text: String,
    /// The message it answers.
    pub reply_to: Option<OrderKey>,
    /// Attachments; none when deleted.
    pub attachments: Vec<Attachment>,
    /// When it vanishes, Unix milliseconds.
    pub expires_ms: Option<u64>,
    /// Whether its author edited it.
    pub edited: bool,
    /// Whether its author deleted it for everyone.
    pub deleted: bool,
    /// One reaction per account, under the writer that made it last.
    pub reactions: SortedMap<WriterId, String>,
    /// Something about it is of a newer version.
    pub needs_update: bool,
}

impl Message {
    /// Takes away what nobody shows of a deleted message.
    fn forget(&mut self) {
        // Each part is named: what is new to a message is decided on here, too.
        let Self {
            key: _,
            writer: _,
            effective: _,
            placement: _,
            text,
            reply_to: _,
            attachments,
            expires_ms: _,
            edited: _,
            deleted: _,
            reactions,
            needs_update: _,
        } = self;
        text.clear();
        attachments.clear();
        reactions.clear();
    }
}

#[derive(Clone, Debug)]
struct Posted {
    writer: WriterId,
    placement: Option<Placement>,
    /// `None` if only a newer version can read it.
    body: Option<Body>,
    newer: bool,
}

#[derive(Clone, Debug)]
enum What {
    Edit(String),
    Delete,
    Reaction(Option<String>),
    Newer,
}

#[derive(Clone, Debug)]
struct Amendment {
    writer: WriterId,
    placement: Option<Placement>,
    segment: u32,
    what: What,
}

impl Amendment {
    /// The log's order; what has no place yet is this device's own, and newest.
    fn order(&self) -> (bool, u64, u32, u32, WriterId) {
        let place = self.placement.map(|place| (place.index, place.ordinal)).unwrap_or_default();
        (self.placement.is_none(), place.0, place.1, self.segment, self.writer)
    }
}

#[derive(Clone, Debug, Default)]
struct Parts {
    /// By segment. A message is in one segment of an era.
    posted: SortedMap<u32, Posted>,
    amendments: BTreeMap<(u32, String), Amendment>,
}

impl Parts {
    /// The message itself. Of several eras the newest counts: whoever came with it has no other, and
    /// segments are opened from the newest.
    fn first(&self) -> Option<&Posted> {
        self.posted.values().next_back()
    }
}

/// Says whether two writers are the same person.
pub type SameAccount<'a> = &'a dyn Fn(&WriterId, &WriterId) -> bool;

/// A conversation's messages, over the segments that are open. Kept beside the documents: give it
/// what each call of theirs touched.
#[derive(Clone, Debug, Default)]
pub struct MessageView {
    parts: BTreeMap<OrderKey, Parts>,
    order: BTreeMap<Rank, OrderKey>,
    counts: SortedMap<u32, usize>,
}

impl MessageView {
    /// Reads what was touched in a segment (all of it, for `touched.all`); gives the messages
    /// that may look different now.
    pub fn update(&mut self, document: &Document, touched: &Touched) -> BTreeSet<OrderKey> {
        let Name::Messages(segment) = *document.name() else { return BTreeSet::new() };
        let entries = if touched.all {
            document.entries()
        } else {
            let read = |key: &String| Some((key.clone(), document.entry(key)?));
            touched.keys.iter().filter_map(read).collect()
        };
        entries.into_iter().filter_map(|(key, entry)| self.take(segment, key, entry)).collect()
    }

    /// Forgets a segment, for instance when its document is closed.
    pub fn close(&mut self, segment: u32) {
        let keys: Vec<OrderKey> = self.parts.keys().copied().collect();
        for key in keys {
            let before = self.rank(&key);
            if let Some(parts) = self.parts.get_mut(&key) {
                parts.posted.remove(&segment);
                parts.amendments.retain(|(of, _), _| *of != segment);
                if parts.posted.is_empty() && parts.amendments.is_empty() {
                    self.parts.remove(&key);
                }
            }
            self.reorder(&key, before);
        }
        self.counts.remove(&segment);
    }

    /// One message, amendments folded in.
    #[must_use]
    pub fn message(&self, key: &OrderKey, same_account: SameAccount<'_>) -> Option<Message> {
        let parts = self.parts.get(key)?;
        let posted = parts.first()?;
        let mut message = base(*key, posted);
        let mut amendments: Vec<&Amendment> = parts.amendments.values().collect();
        amendments.sort_by_key(|amendment| amendment.order());
        for amendment in amendments {
            amend(&mut message, amendment, same_account);
        }
        if message.deleted {
            message.forget();
        }
        Some(message)
    }

    /// Whether a message was deleted for everyone.
    #[must_use]
    pub fn is_deleted(&self, key: &OrderKey, same_account: SameAccount<'_>) -> bool {
        let untouched = self.parts.get(key).is_none_or(|parts| parts.amendments.is_empty());
        !untouched && self.message(key, same_account).is_some_and(|message| message.deleted)
    }

    /// The last `limit` messages before `before` (of all, without), in display order.
    #[must_use]
    pub fn page(
        &self,
        before: Option<&OrderKey>,
        limit: usize,
        same_account: SameAccount<'_>,
    ) -> Vec<Message> {
        let keys: Vec<&OrderKey> = match before {
            None => self.order.values().rev().take(limit).collect(),
            Some(key) => match self.rank(key) {
                Some(rank) => {
                    self.order.range(..rank).rev().map(|(_, key)| key).take(limit).collect()
                }
                None => Vec::new(),
            },
        };
        keys.into_iter().rev().filter_map(|key| self.message(key, same_account)).collect()
    }

    /// How many messages there are, deleted ones included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// How many messages one segment holds.
    #[must_use]
    pub fn segment_len(&self, segment: u32) -> usize {
        self.counts.get(&segment).copied().unwrap_or_default()
    }

    /// The effective stamp of the newest message that a segment holds.
    #[must_use]
    pub fn last_of(&self, segment: u32) -> Option<Stamp> {
        let holds =
            |key| self.parts.get(key).is_some_and(|parts| parts.posted.contains_key(&segment));
        self.order.iter().rev().find(|(_, key)| holds(*key)).map(|(rank, _)| rank.effective)
    }

    /// The segment that holds a message.
    #[must_use]
    pub fn segment_of(&self, key: &OrderKey) -> Option<u32> {
        self.parts.get(key)?.posted.keys().next_back().copied()
    }

    /// Every message in display order, by key.
    pub fn keys(&self) -> impl DoubleEndedIterator<Item = &OrderKey> {
        self.order.values()
    }

    /// A message's writer, effective stamp and place at the relay, without folding.
    #[must_use]
    pub fn posted(&self, key: &OrderKey) -> Option<(WriterId, Stamp, Option<Placement>)> {
        let posted = self.parts.get(key)?.first()?;
        Some((posted.writer, key.effective(posted.placement.as_ref()), posted.placement))
    }

    fn take(&mut self, segment: u32, key: String, entry: Entry) -> Option<OrderKey> {
        let parsed = EntryKey::parse(&key)?;
        let writer = entry.writer?;
        let before = self.rank(&parsed.message);
        let parts = self.parts.entry(parsed.message).or_default();
        if parsed.kind.is_none() {
            let read = lenient::<Body>(&entry.bytes);
            let newer = read.as_ref().is_none_or(|(_, newer)| *newer);
            let body = read.map(|(body, _)| body);
            let posted = Posted { writer, placement: entry.placement, body, newer };
            if parts.posted.insert(segment, posted).is_none() {
                *self.counts.entry(segment).or_default() += 1;
            }
            self.reorder(&parsed.message, before);
        } else {
            let what = what(&parsed, &entry.bytes);
            let amendment = Amendment { writer, placement: entry.placement, segment, what };
            parts.amendments.insert((segment, key), amendment);
        }
        Some(parsed.message)
    }

    fn rank(&self, key: &OrderKey) -> Option<Rank> {
        let (_, _, placement) = self.posted(key)?;
        Some(Rank::of(*key, placement.as_ref()))
    }

    fn reorder(&mut self, key: &OrderKey, before: Option<Rank>) {
        let after = self.rank(key);
        if before != after {
            if let Some(before) = before {
                self.order.remove(&before);
            }
            if let Some(after) = after {
                self.order.insert(after, *key);
            }
        }
    }
}

fn base(key: OrderKey, posted: &Posted) -> Message {
    // All of it: a part that is left out here is sent, and nobody ever shows it.
    let Body { text, reply_to, attachments, expires_ms } = posted.body.clone().unwrap_or_default();
    Message {
        key,
        writer: posted.writer,
        effective: key.effective(posted.placement.as_ref()),
        placement: posted.placement,
        text,
        reply_to,
        attachments: attachments.unwrap_or_default(),
        expires_ms,
        edited: false,
        deleted: false,
        reactions: SortedMap::new(),
        needs_update: posted.newer,
    }
}

fn amend(message: &mut Message, amendment: &Amendment, same_account: SameAccount<'_>) {
    let by_author = same_account(&message.writer, &amendment.writer);
    match &amendment.what {
        What::Edit(text) if by_author => {
            message.text.clone_from(text);
            message.edited = true;
        }
        What::Delete if by_author => message.deleted = true,
        What::Edit(_) | What::Delete => (),
        What::Reaction(emoji) => {
            message.reactions.retain(|writer, _| !same_account(writer, &amendment.writer));
            message.reactions.extend(emoji.clone().map(|emoji| (amendment.writer, emoji)));
        }
        What::Newer => message.needs_update = true,
    }
}

fn what(key: &EntryKey, bytes: &[u8]) -> What {
    let read = match key.kind {
        _ if key.more => None,
        Some(EDIT) => lenient(bytes).map(|(Edited { text }, newer)| (What::Edit(text), newer)),
        Some(DELETE) => lenient(bytes).map(|(Deleted {}, newer)| (What::Delete, newer)),
        Some(REACT) => {
            lenient(bytes).map(|(Reacted { emoji }, newer)| (What::Reaction(emoji), newer))
        }
        _ => None,
    };
    match read {
        Some((what, false)) => what,
        // An edit of a newer version may mean more than its text.
        _ => What::Newer,
    }
}
