//! What a host's store keeps for the engine: one ordered map of byte keys, batches that are whole
//! or not at all, and reads by prefix.

use std::collections::BTreeMap;

use sync_protocol::SpaceId;

use crate::document::Name;
use crate::group::RecordDiff;

/// Records by key, as read.
pub type Records = BTreeMap<Vec<u8>, Vec<u8>>;

/// Records as whoever wrote them under a prefix of this length calls them.
pub(crate) fn without_prefix(records: Records, prefix: usize) -> Records {
    let bare_key = |key: Vec<u8>| key.get(prefix..).unwrap_or_default().to_vec();
    let mut bare = Records::new();
    // Not collected: that sorts, and sorting is built in anew for each type.
    bare.extend(records.into_iter().map(|(key, value)| (bare_key(key), value)));
    bare
}

/// Changes that become durable together, in order. Numbers ascend by one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// To be named in [`crate::Input::Persisted`].
    pub number: u64,
    /// Key by key, the new value, or `None` where the record goes.
    pub writes: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    /// Prefixes under which everything goes, before the writes.
    pub clears: Vec<Vec<u8>>,
}

impl Batch {
    /// Whether there is nothing to write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.writes.is_empty() && self.clears.is_empty()
    }

    /// Writes a record.
    pub fn put(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.writes.insert(key, Some(value));
    }

    /// Takes a record away.
    pub fn delete(&mut self, key: Vec<u8>) {
        self.writes.insert(key, None);
    }

    /// Takes in a diff of records kept under a prefix.
    pub fn absorb(&mut self, prefix: &[u8], diff: RecordDiff) {
        for (key, value) in diff.puts {
            self.put([prefix, &key].concat(), value);
        }
        for key in diff.deletes {
            self.delete([prefix, &key].concat());
        }
    }
}

/// Something to be read from the store before work on it can go on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Load {
    /// A space's epochs, frontier, outbox and intentions.
    Space(SpaceId),
    /// A space's key agreement.
    Group(SpaceId),
    /// A document: snapshot and rows.
    Document(SpaceId, Name),
    /// The private halves of published key packages.
    KeyPackages,
}

impl Load {
    /// The prefix to be read.
    #[must_use]
    pub fn prefix(&self) -> Vec<u8> {
        match self {
            Self::Space(space) => key::space(space),
            Self::Group(space) => key::group(space),
            Self::Document(space, name) => key::document(space, name),
            Self::KeyPackages => key::KEY_PACKAGES.to_vec(),
        }
    }
}

/// What [`crate::Engine::open`] needs: a bounded index, never documents or groups.
#[must_use]
pub fn index_prefixes() -> [&'static [u8]; 5] {
    [key::META, key::DIRECTORY, key::INDEX, key::EDITS, key::NAMES]
}

/// Keys, by what they name.
pub(crate) mod key {
    use super::{Name, SpaceId};
    use crate::api::EditId;
    use sync_protocol::codec;
    use sync_protocol::hash::sha256;
    use sync_protocol::{AccountId, EpochId, WriterId};

    pub(crate) const META: &[u8] = b"i";
    pub(crate) const DIRECTORY: &[u8] = b"a";
    pub(crate) const INDEX: &[u8] = b"x";
    pub(crate) const KEY_PACKAGES: &[u8] = b"k";
    pub(crate) const EDITS: &[u8] = b"e";
    /// After [`INDEX`], so that a space comes before the names of its documents.
    pub(crate) const NAMES: &[u8] = b"y";

    pub(crate) fn meta(name: &str) -> Vec<u8> {
        [META, name.as_bytes()].concat()
    }

    pub(crate) fn account(account: &AccountId) -> Vec<u8> {
        [DIRECTORY, account.as_bytes()].concat()
    }

    pub(crate) fn edit(edit: &EditId) -> Vec<u8> {
        [EDITS, edit.as_bytes()].concat()
    }

    pub(crate) fn index(space: &SpaceId) -> Vec<u8> {
        [INDEX, space.as_bytes()].concat()
    }

    /// That a space has a document. Each stands for itself: the index row is written with each entry.
    pub(crate) fn named(space: &SpaceId, name: &Name) -> Vec<u8> {
        [NAMES, space.as_bytes(), &codec::encode(name)].concat()
    }

    pub(crate) fn space(space: &SpaceId) -> Vec<u8> {
        [b"s", space.as_bytes().as_slice()].concat()
    }

    pub(crate) fn group(space: &SpaceId) -> Vec<u8> {
        [b"g", space.as_bytes().as_slice()].concat()
    }

    /// One record of a space's part: `e`pochs, `w`riters, what they `p`osted, what is `d`oubted, `o`utbox, `j`ournal, `s`tate, own `h`andshakes.
    fn part(id: &SpaceId, part: u8, rest: &[u8]) -> Vec<u8> {
        [b"s", id.as_bytes().as_slice(), &[part], rest].concat()
    }

    pub(crate) fn epoch(id: &SpaceId, epoch: &EpochId) -> Vec<u8> {
        part(id, b'e', epoch.as_bytes())
    }

    pub(crate) fn writer(id: &SpaceId, writer: &WriterId) -> Vec<u8> {
        part(id, b'w', &writer.to_bytes())
    }

    pub(crate) fn doubted(id: &SpaceId, index: u64) -> Vec<u8> {
        part(id, b'd', &index.to_be_bytes())
    }

    pub(crate) fn posted(id: &SpaceId, writer: &WriterId) -> Vec<u8> {
        part(id, b'p', &writer.to_bytes())
    }

    pub(crate) fn outbox(id: &SpaceId, seq: u64) -> Vec<u8> {
        part(id, b'o', &seq.to_be_bytes())
    }

    pub(crate) fn journal(id: &SpaceId, number: u64) -> Vec<u8> {
        part(id, b'j', &number.to_be_bytes())
    }

    pub(crate) fn state(id: &SpaceId) -> Vec<u8> {
        part(id, b's', &[])
    }

    pub(crate) fn pending_commit(id: &SpaceId) -> Vec<u8> {
        part(id, b'c', &[])
    }

    /// A handshake of this device's, by the number of the epoch that it made.
    pub(crate) fn own_handshake(id: &SpaceId, number: u64) -> Vec<u8> {
        part(id, b'h', &number.to_be_bytes())
    }

    /// Names are length-prefixed, so that no document's prefix is another's.
    pub(crate) fn document(space: &SpaceId, name: &Name) -> Vec<u8> {
        let name = codec::encode(name);
        let len = u16::try_from(name.len()).expect("document names are short");
        [b"d", space.as_bytes().as_slice(), &len.to_be_bytes(), &name].concat()
    }

    pub(crate) fn snapshot(space: &SpaceId, name: &Name) -> Vec<u8> {
        [document(space, name), b"a".to_vec()].concat()
    }

    /// A change that has its place in the log. A relay that lied about places may name one place
    /// for two changes: the change itself is part of the key, so that none replaces another.
    pub(crate) fn row(
        space: &SpaceId,
        name: &Name,
        (index, ordinal): (u64, u32),
        change: &[u8],
    ) -> Vec<u8> {
        let digest: [u8; 32] = sha256(change);
        let mut key = document(space, name);
        key.push(b'r');
        key.extend_from_slice(&index.to_be_bytes());
        key.extend_from_slice(&ordinal.to_be_bytes());
        key.extend_from_slice(&digest[..8]);
        key
    }

    /// An own change that is not stored yet.
    pub(crate) fn unplaced(space: &SpaceId, name: &Name, seq: u64, ordinal: u32) -> Vec<u8> {
        [
            document(space, name),
            b"u".to_vec(),
            seq.to_be_bytes().to_vec(),
            ordinal.to_be_bytes().to_vec(),
        ]
        .concat()
    }
}
