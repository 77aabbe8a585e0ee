//! Where a browser keeps a device's records: a file of the page's own, if the browser gives one
//! (OPFS); else its database (IndexedDB); else, in some private modes, nothing but memory.

mod indexed_db;
mod opfs;

pub use indexed_db::IndexedDbStore;
pub use opfs::OpfsStore;

use sync_core::records::{Batch, Records};
use sync_store::{AsyncRecordStore, MemoryStore, StoreError};

/// A kind of store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A file of the page's own.
    Opfs,
    /// The browser's database.
    IndexedDb,
    /// Nothing is kept when the page is closed.
    Memory,
}

impl Kind {
    /// Its name in options.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Opfs => "opfs",
            Self::IndexedDb => "indexeddb",
            Self::Memory => "memory",
        }
    }

    /// The kind of that name.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        [Self::Opfs, Self::IndexedDb, Self::Memory].into_iter().find(|kind| kind.name() == name)
    }
}

/// A browser's store of any kind.
#[derive(Debug)]
pub enum BrowserStore {
    /// A file.
    Opfs(OpfsStore),
    /// The browser's database.
    IndexedDb(IndexedDbStore),
    /// Memory.
    Memory(MemoryStore),
}

impl BrowserStore {
    /// Opens the store of that name; the best kind that the browser gives unless one is asked for.
    /// A store that is there already keeps its kind.
    ///
    /// # Errors
    /// What is wrong, and what to do about it. A store that is there and can't be opened is never
    /// passed over for an empty one of another kind.
    pub async fn open(name: &str, kind: Option<Kind>) -> Result<Self, StoreError> {
        match kind {
            Some(Kind::Opfs) => OpfsStore::open(name).await.map(Self::Opfs),
            Some(Kind::IndexedDb) => IndexedDbStore::open(name).await.map(Self::IndexedDb),
            Some(Kind::Memory) => Ok(Self::Memory(MemoryStore::default())),
            None => Self::open_best(name).await,
        }
    }

    async fn open_best(name: &str) -> Result<Self, StoreError> {
        if !opfs::is_there().await {
            return match IndexedDbStore::open(name).await {
                Ok(store) => Ok(Self::IndexedDb(store)),
                Err(StoreError::Unsupported(_)) => Ok(Self::Memory(MemoryStore::default())),
                Err(error) => Err(error),
            };
        }
        if IndexedDbStore::exists(name).await {
            return IndexedDbStore::open(name).await.map(Self::IndexedDb);
        }
        OpfsStore::open(name).await.map(Self::Opfs)
    }

    /// What it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Opfs(_) => Kind::Opfs,
            Self::IndexedDb(_) => Kind::IndexedDb,
            Self::Memory(_) => Kind::Memory,
        }
    }
}

impl AsyncRecordStore for BrowserStore {
    async fn write(&mut self, batches: &[Batch]) -> Result<(), StoreError> {
        match self {
            Self::Opfs(store) => store.write(batches).await,
            Self::IndexedDb(store) => store.write(batches).await,
            Self::Memory(store) => store.write(batches).await,
        }
    }

    async fn read(&self, prefix: &[u8]) -> Result<Records, StoreError> {
        match self {
            Self::Opfs(store) => store.read(prefix).await,
            Self::IndexedDb(store) => store.read(prefix).await,
            Self::Memory(store) => store.read(prefix).await,
        }
    }
}
