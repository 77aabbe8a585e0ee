//! The store on disk: one redb file, one writer.
//!
//! Writes collect in an ordered map and enter redb in one transaction at the commit, sorted, with
//! one fsync. Entries are keyed by their global position, so that they are appended at the right
//! edge of their tree, which redb keeps packed. Quick-repair is on: reopening after a kill costs
//! milliseconds, whatever the size.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use redb::{
    Builder, Database, DatabaseError, Durability, ReadOnlyTable, ReadableDatabase as _,
    StorageBackend, StorageError, TableDefinition, WriteTransaction,
};

use super::pending::waiting_writes;
use super::{Pending, Store, StoreError, Table, checksum, merged, private};
use crate::rules::{self, Position};

/// The store's file inside the data directory.
pub const FILE: &str = "relay.redb";
/// A store that is being laid out.
const UNNAMED: &str = "relay.redb.new";
/// The format this build writes, and the only one it reads. 1 had each inbox item whole,
/// 2 named devices without their accounts, 3 had no rows of what changed in an account's spaces and no
/// checksums, 4 had positions of its own and no log beside it.
const FORMAT: u64 = 5;
/// Bytes of redb's page cache.
const CACHE: usize = 256 * 1024 * 1024;

const FORMAT_TABLE: TableDefinition<'static, &str, u64> =
    TableDefinition::new("rejoinder relay format");
pub(super) const ENTRIES: TableDefinition<'static, u64, &[u8]> = TableDefinition::new(ENTRIES_NAME);

type Rows = ReadOnlyTable<&'static [u8], &'static [u8]>;

/// A store in one redb file.
#[derive(Debug)]
pub struct RedbStore {
    // Declared before the database: a snapshot must go first.
    snapshot: Option<Snapshot>,
    pending: Pending,
    pub(super) database: Arc<Database>,
    pub(super) path: PathBuf,
}

/// The committed state. Dropped before each commit, so that redb can reuse the pages it replaces.
#[derive(Debug)]
struct Snapshot {
    rows: Vec<Rows>,
    entries: ReadOnlyTable<u64, &'static [u8]>,
}

/// What is in a store, in numbers only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Contents {
    /// Spaces.
    pub spaces: u64,
    /// Entries over all spaces.
    pub entries: u64,
    /// Accounts.
    pub accounts: u64,
    /// Devices that opened a session at least once.
    pub devices: u64,
    /// Claimed addresses.
    pub addresses: u64,
    /// Items waiting in inboxes.
    pub inbox_items: u64,
    /// Key packages waiting.
    pub key_packages: u64,
    /// Size of the file in bytes.
    pub file_bytes: u64,
}

impl RedbStore {
    /// Opens the store in a directory, and makes both if they are not there. They are their owner's
    /// alone, also where they were not before.
    ///
    /// # Errors
    /// What is wrong, and what to do about it.
    pub fn open(directory: &Path) -> Result<Self, StoreError> {
        private::make_directory(directory).map_err(|error| unwritable(directory, &error))?;
        let path = directory.join(FILE);
        if path.exists() {
            must_hold_something(&path)?;
            private::close_file(&path).map_err(|error| unwritable(&path, &error))?;
        } else {
            Self::lay_out(directory, &path)?;
        }
        let database = shielded(|| builder().create(&path).map_err(|error| opening(error, &path)));
        Self::with_database(database?, path)
    }

    /// A new store gets its name once it is whole: a crash before leaves nothing that would not
    /// open.
    fn lay_out(directory: &Path, path: &Path) -> Result<(), StoreError> {
        let unnamed = directory.join(UNNAMED);
        let failed = |error: std::io::Error| unwritable(directory, &error);
        match std::fs::remove_file(&unnamed) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(failed(error));
            }
            _ => {}
        }
        private::make_own_file(&unnamed).map_err(failed)?;
        let database = builder().create(&unnamed).map_err(|error| opening(error, &unnamed))?;
        drop(Self::with_database(database, unnamed.clone())?);
        std::fs::rename(&unnamed, path).map_err(failed)?;
        std::fs::File::open(directory).and_then(|directory| directory.sync_all()).map_err(failed)
    }

    /// Opens a store that must be there already.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_existing(directory: &Path) -> Result<Self, StoreError> {
        let path = directory.join(FILE);
        match std::fs::metadata(&path) {
            Ok(_) => Self::open(directory),
            Err(error) => Err(unwritable(&path, &error)),
        }
    }

    /// Opens a store over any backend: for tests that make disks fail.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn with_backend(backend: impl StorageBackend) -> Result<Self, StoreError> {
        let path = PathBuf::from("the store");
        let database =
            builder().create_with_backend(backend).map_err(|error| opening(error, &path))?;
        Self::with_database(database, path)
    }

    /// Opens a store by its file's path: for one that has not got its name yet, say.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_file(path: &Path) -> Result<Self, StoreError> {
        must_hold_something(path)?;
        let database = shielded(|| builder().create(path).map_err(|error| opening(error, path)))?;
        Self::with_database(database, path.to_owned())
    }

    fn with_database(database: Database, path: PathBuf) -> Result<Self, StoreError> {
        ensure_format(&database, &path)?;
        let snapshot = Some(shielded(|| Snapshot::take(&database))?);
        let database = Arc::new(database);
        Ok(Self { snapshot, pending: Pending::default(), database, path })
    }

    /// The newest command that it has applied.
    ///
    /// # Errors
    /// If it can't be read.
    pub fn applied(&self) -> Result<Position, StoreError> {
        rules::applied(self)
    }

    /// Counts what is in the store.
    ///
    /// # Errors
    /// If it can't be read.
    pub fn contents(&self) -> Result<Contents, StoreError> {
        self.copier().contents()
    }

    /// Size of the file in bytes.
    #[must_use]
    pub fn file_bytes(&self) -> u64 {
        std::fs::metadata(&self.path).map_or(0, |file| file.len())
    }

    /// Copies everything committed into a new store at `target`, which must not exist.
    ///
    /// # Errors
    /// As [`Copier::copy_to`](super::Copier::copy_to).
    pub fn backup(&self, target: &Path) -> Result<(), StoreError> {
        self.copier().copy_to(target).map(drop)
    }

    /// Gives back to the disk what the file does not need. Nobody else may use the store.
    ///
    /// # Errors
    /// If it is in use, or can't be written.
    pub fn compact(mut self) -> Result<(), StoreError> {
        self.snapshot = None;
        let database = Arc::get_mut(&mut self.database);
        let database = database.ok_or_else(|| StoreError::InUse(self.path.clone()))?;
        // Each pass moves what it can; a few are enough.
        for _ in 0..8 {
            let moved = database.compact().map_err(|error| StoreError::Io(error.to_string()))?;
            if !moved {
                break;
            }
        }
        Ok(())
    }

    fn snapshot(&self) -> Result<&Snapshot, StoreError> {
        self.snapshot.as_ref().ok_or_else(|| StoreError::Io("an earlier commit failed".to_owned()))
    }

    fn write(&self, pending: &Pending) -> Result<(), StoreError> {
        let transaction = begin(&self.database)?;
        for (table, rows) in pending.changed() {
            write_table(&transaction, table, rows)?;
        }
        transaction.commit().map_err(|error| StoreError::from(redb::Error::from(error)))
    }
}

impl Store for RedbStore {
    fn row(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        if let Some(written) = self.pending.get(table, key) {
            return Ok(written.clone());
        }
        let snapshot = self.snapshot()?;
        shielded(|| snapshot.row(table, key))
    }

    waiting_writes!();

    fn scan(
        &self,
        table: Table,
        from: &[u8],
        to: &[u8],
        visit: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), StoreError> {
        if from >= to {
            return Ok(());
        }
        let pending = self.pending.range(table, from, to);
        let snapshot = self.snapshot()?;
        shielded(|| {
            if table == Table::Entries {
                let range = snapshot.entries.range(position(from)..position(to));
                let rows = range.map_err(storage)?.map(|row| {
                    let (key, value) = row.map_err(storage)?;
                    opened(table, &key.value().to_be_bytes(), value.value())
                });
                merged(rows, pending, visit)
            } else {
                let range = snapshot.rows(table)?.range::<&[u8]>(from..to).map_err(storage)?;
                let rows = range.map(|row| {
                    let (key, value) = row.map_err(storage)?;
                    opened(table, key.value(), value.value())
                });
                merged(rows, pending, visit)
            }
        })
    }

    fn commit(&mut self) -> Result<(), StoreError> {
        let pending = std::mem::take(&mut self.pending);
        self.snapshot = None;
        shielded(|| self.write(&pending))?;
        self.snapshot = Some(shielded(|| Snapshot::take(&self.database))?);
        Ok(())
    }
}

impl Snapshot {
    fn take(database: &Database) -> Result<Self, StoreError> {
        let transaction = database.begin_read().map_err(redb::Error::from)?;
        let open = |table: &Table| transaction.open_table(definition(*table));
        let rows = Table::ALL.iter().filter(|table| **table != Table::Entries).map(open);
        let rows = rows.collect::<Result<Vec<_>, _>>().map_err(redb::Error::from)?;
        let entries = transaction.open_table(ENTRIES).map_err(redb::Error::from)?;
        Ok(Self { rows, entries })
    }

    fn row(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let found = match table {
            Table::Entries => self.entries.get(position(key)),
            _ => self.rows(table)?.get(key),
        };
        let Some(sealed) = found.map_err(storage)? else { return Ok(None) };
        opened(table, key, sealed.value()).map(|(_, value)| Some(value))
    }

    /// The rows of any table but the entries.
    fn rows(&self, table: Table) -> Result<&Rows, StoreError> {
        let place = match table as usize {
            n if n < Table::Entries as usize => n,
            n => n.wrapping_sub(1),
        };
        self.rows.get(place).ok_or_else(|| StoreError::row("table"))
    }
}

pub(super) fn builder() -> Builder {
    let mut builder = Database::builder();
    builder.set_cache_size(CACHE);
    builder
}

pub(super) fn begin(database: &Database) -> Result<WriteTransaction, StoreError> {
    let mut transaction = database.begin_write().map_err(redb::Error::from)?;
    transaction.set_quick_repair(true);
    transaction
        .set_durability(Durability::Immediate)
        .map_err(|_| StoreError::Io("durable commits are not available".to_owned()))?;
    Ok(transaction)
}

fn write_table<'a>(
    transaction: &WriteTransaction,
    table: Table,
    rows: impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)>,
) -> Result<(), StoreError> {
    if table == Table::Entries {
        let mut to = transaction.open_table(ENTRIES).map_err(redb::Error::from)?;
        for (key, value) in rows {
            match value {
                Some(value) => {
                    to.insert(position(key), &*checksum::seal(table, key, value)).map(drop)
                }
                None => to.remove(position(key)).map(drop),
            }
            .map_err(storage)?;
        }
    } else {
        let to = transaction.open_table(definition(table));
        let mut to = to.map_err(redb::Error::from)?;
        for (key, value) in rows {
            match value {
                Some(value) => to.insert(key, &*checksum::seal(table, key, value)).map(drop),
                None => to.remove(key).map(drop),
            }
            .map_err(storage)?;
        }
    }
    Ok(())
}

/// Makes all tables in a new file; refuses a file that is somebody else's or of another format.
pub(super) fn ensure_format(database: &Database, path: &Path) -> Result<(), StoreError> {
    let read = database.begin_read().map_err(redb::Error::from)?;
    let is_new = read.list_tables().map_err(storage)?.next().is_none();
    let found = match read.open_table(FORMAT_TABLE) {
        Ok(table) => table.get("format").map_err(storage)?.map(|format| format.value()),
        Err(_) => None,
    };
    drop(read);
    match found {
        Some(FORMAT) => Ok(()),
        Some(found) if found < FORMAT => Err(StoreError::Older { found, known: FORMAT }),
        Some(found) => Err(StoreError::Newer { found, known: FORMAT }),
        None if is_new => found_store(database),
        None => Err(StoreError::Foreign(path.to_owned())),
    }
}

fn found_store(database: &Database) -> Result<(), StoreError> {
    let transaction = begin(database)?;
    for table in Table::ALL {
        write_table(&transaction, table, std::iter::empty())?;
    }
    let mut format = transaction.open_table(FORMAT_TABLE).map_err(redb::Error::from)?;
    format.insert("format", FORMAT).map_err(storage)?;
    drop(format);
    transaction.commit().map_err(|error| StoreError::from(redb::Error::from(error)))
}

pub(super) fn definition(table: Table) -> TableDefinition<'static, &'static [u8], &'static [u8]> {
    TableDefinition::new(table.name())
}

const ENTRIES_NAME: &str = "entries";

/// A row whose checksum fits.
fn opened(table: Table, key: &[u8], sealed: &[u8]) -> Result<(Vec<u8>, Vec<u8>), StoreError> {
    match checksum::open(table, key, sealed) {
        Some(value) => Ok((key.to_vec(), value.to_vec())),
        None => Err(StoreError::checksum(table, key)),
    }
}

/// redb panics on some damaged pages: that is an error like the others.
pub(super) fn shielded<T>(read: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
    let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(read));
    done.unwrap_or_else(|_| Err(StoreError::Corrupt("a page makes no sense".to_owned())))
}

/// What has no byte in it would become a store, and a good one: it may be all that a full disk left of one.
pub(super) fn must_hold_something(path: &Path) -> Result<(), StoreError> {
    let found = std::fs::metadata(path).map_err(|error| unwritable(path, &error))?;
    if found.len() == 0 { Err(StoreError::Foreign(path.to_owned())) } else { Ok(()) }
}

/// The key of an entry. Keys that are not 8 bytes are bounds of a scan: 0 and beyond all.
fn position(key: &[u8]) -> u64 {
    match key.try_into() {
        Ok(bytes) => u64::from_be_bytes(bytes),
        Err(_) if key.is_empty() => 0,
        Err(_) => u64::MAX,
    }
}

pub(super) fn unwritable(path: &Path, error: &std::io::Error) -> StoreError {
    match StoreError::from_io(error) {
        StoreError::Full => StoreError::Full,
        _ => StoreError::Unwritable { path: path.to_owned(), cause: error.to_string() },
    }
}

pub(super) fn opening(error: DatabaseError, path: &Path) -> StoreError {
    match error {
        DatabaseError::DatabaseAlreadyOpen => StoreError::InUse(path.to_owned()),
        DatabaseError::UpgradeRequired(_) => StoreError::Foreign(path.to_owned()),
        DatabaseError::Storage(StorageError::Io(error)) => match error.kind() {
            std::io::ErrorKind::InvalidData | std::io::ErrorKind::UnexpectedEof => {
                StoreError::Foreign(path.to_owned())
            }
            _ => unwritable(path, &error),
        },
        other => StoreError::from(redb::Error::from(other)),
    }
}

pub(super) fn storage(error: StorageError) -> StoreError {
    StoreError::from(redb::Error::from(error))
}

impl From<redb::Error> for StoreError {
    fn from(error: redb::Error) -> Self {
        match error {
            redb::Error::Io(error) => Self::from_io(&error),
            redb::Error::Corrupted(what) => Self::Corrupt(what),
            redb::Error::TableTypeMismatch { .. } | redb::Error::TableDoesNotExist(_) => {
                Self::Corrupt(error.to_string())
            }
            other => Self::Io(other.to_string()),
        }
    }
}
