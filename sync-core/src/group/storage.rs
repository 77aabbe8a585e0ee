//! The records of a group, and the overlay that openmls works on.
//!
//! openmls reads and writes its state through a synchronous store. Ours is asynchronous on some hosts,
//! so all records of a group are loaded first, openmls runs on them in memory, and what changed comes
//! out as one [`RecordDiff`], to be written in one batch or dropped together with the group object.

use std::collections::BTreeMap;
use std::fmt;

use openmls_traits::OpenMlsProvider;
use sync_protocol::hash::sha256;
use sync_protocol::sorted::SortedMap;

use super::memory::Memory;
use crate::crypto::mls::Crypto;

/// The MLS records of one group, or a device's key-package records. They hold private keys.
pub type Records = BTreeMap<Vec<u8>, Vec<u8>>;

/// What changed in a set of records. Both lists are sorted, and no key is in both.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct RecordDiff {
    /// Records to write.
    pub puts: Vec<(Vec<u8>, Vec<u8>)>,
    /// Keys of records to delete.
    pub deletes: Vec<Vec<u8>>,
}

impl RecordDiff {
    /// Whether nothing changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.puts.is_empty() && self.deletes.is_empty()
    }

    /// Makes the same change to records held in memory.
    pub fn apply_to(&self, records: &mut Records) {
        for key in &self.deletes {
            records.remove(key);
        }
        records.extend(self.puts.iter().cloned());
    }
}

/// Sizes only: the contents are private keys.
impl fmt::Debug for RecordDiff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.puts.iter().map(|(key, value)| key.len() + value.len()).sum::<usize>();
        f.debug_struct("RecordDiff")
            .field("puts", &self.puts.len())
            .field("put_bytes", &bytes)
            .field("deletes", &self.deletes.len())
            .finish()
    }
}

/// Records in memory, and a hash of each as it was when last handed out.
pub(super) struct Overlay {
    storage: Memory,
    saved: SortedMap<Vec<u8>, [u8; 32]>,
}

impl Overlay {
    /// No records at all.
    pub(super) fn empty() -> Self {
        Self { storage: Memory::default(), saved: SortedMap::new() }
    }

    /// The records as the host has them.
    pub(super) fn saved(records: Records) -> Self {
        let saved = records.iter().map(|(key, value)| (key.clone(), digest(value))).collect();
        Self { storage: Memory::new(records), saved }
    }

    /// Records that the host does not have yet: all are in the first diff.
    pub(super) fn unsaved(records: Records) -> Self {
        Self { storage: Memory::new(records), saved: SortedMap::new() }
    }

    /// What changed since the records were loaded or last asked for.
    pub(super) fn diff(&mut self) -> RecordDiff {
        let now = self.records();
        let deletes = self.saved.keys().filter(|key| !now.contains_key(*key)).cloned().collect();
        let mut puts = Vec::new();
        let mut saved = SortedMap::new();
        for (key, value) in now {
            let hash = digest(&value);
            let unchanged = self.saved.get(&key) == Some(&hash);
            saved.insert(key.clone(), hash);
            if !unchanged {
                puts.push((key, value));
            }
        }
        self.saved = saved;
        RecordDiff { puts, deletes }
    }

    /// Forgets all records; the next diff deletes them.
    pub(super) fn clear(&mut self) {
        self.storage = Memory::default();
    }

    /// All records.
    pub(super) fn records(&self) -> Records {
        self.storage.records().clone()
    }

    /// The store as openmls sees it.
    pub(super) fn storage(&self) -> &Memory {
        &self.storage
    }

    /// What openmls runs on, for an operation that draws randomness.
    pub(super) fn seeded(&self, seed: &[u8; 32]) -> Provider<'_> {
        Provider { crypto: Crypto::seeded(seed), storage: &self.storage }
    }

    /// What openmls runs on, for an operation that draws none.
    pub(super) fn provider(&self) -> Provider<'_> {
        Provider { crypto: Crypto::without_randomness(), storage: &self.storage }
    }
}

fn digest(value: &[u8]) -> [u8; 32] {
    sha256(value)
}

/// Cryptography, randomness and records of one operation.
pub(super) struct Provider<'a> {
    crypto: Crypto,
    storage: &'a Memory,
}

impl OpenMlsProvider for Provider<'_> {
    type CryptoProvider = Crypto;
    type RandProvider = Crypto;
    type StorageProvider = Memory;

    fn storage(&self) -> &Memory {
        self.storage
    }

    fn crypto(&self) -> &Crypto {
        &self.crypto
    }

    fn rand(&self) -> &Crypto {
        &self.crypto
    }
}
