//! The store on disk: one redb file, one table, one owner.
//!
//! A lock beside the file, held while the store is open, keeps a second process out from before the
//! file exists. The file gets its name only when it is whole. Quick-repair is on: opening after a kill
//! costs the same few milliseconds whatever the size.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::ops::Bound;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use redb::{
    Database, Durability, ReadableDatabase as _, StorageBackend, Table, TableDefinition,
    TableError, WriteTransaction,
};
use sync_core::records::{Batch, Records};

use super::{RecordStore, StoreError, after_prefix};

/// The store's file inside the data directory.
pub const FILE: &str = "device.redb";
/// Held by whoever has the store open.
const LOCK: &str = "device.lock";
/// A store in the making: a crash may leave it behind, and the next opening starts afresh.
const UNFINISHED: &str = "device.redb.new";
/// The format this build writes.
const FORMAT: u64 = 1;
/// Bytes of redb's page cache: the engine has caches of its own.
const CACHE: usize = 16 * 1024 * 1024;

const FORMAT_TABLE: TableDefinition<'static, &str, u64> =
    TableDefinition::new("rejoinder device format");
const RECORDS: TableDefinition<'static, &[u8], &[u8]> = TableDefinition::new("records");

/// A store in one redb file.
#[derive(Debug)]
pub struct RedbStore {
    // Declared before the lock: the file is closed before anybody else may open it.
    database: Database,
    path: PathBuf,
    _lock: Option<File>,
}

impl RedbStore {
    /// Opens the store in a directory, and makes both, readable by their owner alone, if they are
    /// not there.
    ///
    /// # Errors
    /// What is wrong, and what to do about it.
    pub fn open(directory: &Path) -> Result<Self, StoreError> {
        make_directory(directory).map_err(|error| StoreError::from_io(directory, &error))?;
        let path = directory.join(FILE);
        let lock = lock(&directory.join(LOCK), &path)?;
        if !path.exists() {
            found_file(directory, &path)?;
        }
        make_private(&path).map_err(|error| StoreError::from_io(&path, &error))?;
        let opened = shielded(|| builder().create(&path))?;
        let database = opened.map_err(|error| StoreError::of_opening(&path, error))?;
        Self::with_database(database, path, Some(lock))
    }

    /// Opens a store over any backend: for disks that fail on purpose.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn with_backend(backend: impl StorageBackend) -> Result<Self, StoreError> {
        let path = PathBuf::from("the store");
        let opened = shielded(|| builder().create_with_backend(backend))?;
        let database = opened.map_err(|error| StoreError::of_opening(&path, error))?;
        Self::with_database(database, path, None)
    }

    fn with_database(
        database: Database,
        path: PathBuf,
        lock: Option<File>,
    ) -> Result<Self, StoreError> {
        let store = Self { database, path, _lock: lock };
        shielded(|| store.ensure_format())??;
        Ok(store)
    }

    /// Makes the tables in a new file; refuses a file that is somebody else's or newer.
    fn ensure_format(&self) -> Result<(), StoreError> {
        let read = self.database.begin_read().map_err(|error| self.failed(error))?;
        let found = match read.open_table(FORMAT_TABLE) {
            Ok(table) => {
                table.get("format").map_err(|error| self.failed(error))?.map(|found| found.value())
            }
            Err(TableError::TableDoesNotExist(_)) => None,
            Err(error) => return Err(self.failed(error)),
        };
        let is_new = read.list_tables().map_err(|error| self.failed(error))?.next().is_none();
        drop(read);
        match found {
            Some(FORMAT) => Ok(()),
            Some(found) => Err(StoreError::Newer { found, known: FORMAT }),
            None if is_new => self.found(),
            None => Err(StoreError::Foreign(self.path.clone())),
        }
    }

    fn found(&self) -> Result<(), StoreError> {
        let transaction = self.begin()?;
        transaction.open_table(RECORDS).map_err(|error| self.failed(error))?;
        let mut format =
            transaction.open_table(FORMAT_TABLE).map_err(|error| self.failed(error))?;
        format.insert("format", FORMAT).map_err(|error| self.failed(error))?;
        drop(format);
        transaction.commit().map_err(|error| self.failed(error))
    }

    fn begin(&self) -> Result<WriteTransaction, StoreError> {
        let mut transaction = self.database.begin_write().map_err(|error| self.failed(error))?;
        transaction.set_quick_repair(true);
        transaction.set_durability(Durability::Immediate).map_err(|error| self.failed(error))?;
        Ok(transaction)
    }

    fn write_all(&self, batches: &[Batch]) -> Result<(), StoreError> {
        let transaction = self.begin()?;
        let mut table = transaction.open_table(RECORDS).map_err(|error| self.failed(error))?;
        for batch in batches {
            apply(&mut table, batch).map_err(|error| self.failed(error))?;
        }
        drop(table);
        transaction.commit().map_err(|error| self.failed(error))
    }

    fn read_all(&self, prefix: &[u8]) -> Result<Records, StoreError> {
        let read = self.database.begin_read().map_err(|error| self.failed(error))?;
        let table = read.open_table(RECORDS).map_err(|error| self.failed(error))?;
        let end = after_prefix(prefix);
        let rows = table.range::<&[u8]>(bounds(prefix, end.as_deref()));
        rows.map_err(|error| self.failed(error))?
            .map(|row| {
                let (key, value) = row.map_err(|error| self.failed(error))?;
                Ok((key.value().to_vec(), value.value().to_vec()))
            })
            .collect()
    }

    fn failed(&self, error: impl Into<redb::Error>) -> StoreError {
        StoreError::of_redb(&self.path, error)
    }
}

impl RecordStore for RedbStore {
    fn write(&mut self, batches: &[Batch]) -> Result<(), StoreError> {
        shielded(|| self.write_all(batches))?
    }

    fn read(&self, prefix: &[u8]) -> Result<Records, StoreError> {
        shielded(|| self.read_all(prefix))?
    }
}

fn apply(table: &mut Table<'_, &[u8], &[u8]>, batch: &Batch) -> Result<(), redb::StorageError> {
    for prefix in &batch.clears {
        let end = after_prefix(prefix);
        table.retain_in::<&[u8], _>(bounds(prefix, end.as_deref()), |_, _| false)?;
    }
    for (key, value) in &batch.writes {
        match value {
            Some(value) => table.insert(key.as_slice(), value.as_slice()).map(drop)?,
            None => table.remove(key.as_slice()).map(drop)?,
        }
    }
    Ok(())
}

fn bounds<'a>(prefix: &'a [u8], end: Option<&'a [u8]>) -> (Bound<&'a [u8]>, Bound<&'a [u8]>) {
    (Bound::Included(prefix), end.map_or(Bound::Unbounded, Bound::Excluded))
}

fn builder() -> redb::Builder {
    let mut builder = Database::builder();
    builder.set_cache_size(CACHE);
    builder
}

/// redb may panic on a file that something else has altered: that is damage, not a reason to die.
fn shielded<T>(work: impl FnOnce() -> T) -> Result<T, StoreError> {
    catch_unwind(AssertUnwindSafe(work))
        .map_err(|_| StoreError::Damaged("its structure makes no sense".to_owned()))
}

/// Takes the lock, or says who else has it.
fn lock(path: &Path, store: &Path) -> Result<File, StoreError> {
    let file = open_private(path).map_err(|error| StoreError::from_io(path, &error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::InUse(store.to_owned())),
        Err(TryLockError::Error(error)) => Err(StoreError::from_io(path, &error)),
    }
}

/// Makes the store under another name and renames it when it is whole: redb can't open what a
/// crash leaves of a file that it was still laying out.
fn found_file(directory: &Path, path: &Path) -> Result<(), StoreError> {
    let unfinished = directory.join(UNFINISHED);
    let failed = |error: &std::io::Error| StoreError::from_io(&unfinished, error);
    if unfinished.exists() {
        fs::remove_file(&unfinished).map_err(|error| failed(&error))?;
    }
    drop(open_private(&unfinished).map_err(|error| failed(&error))?);
    let database = builder()
        .create(&unfinished)
        .map_err(|error| StoreError::of_opening(&unfinished, error))?;
    drop(RedbStore::with_database(database, unfinished.clone(), None)?);
    fs::rename(&unfinished, path).map_err(|error| failed(&error))?;
    // A new name survives a power cut only with its directory.
    sync_directory(directory).map_err(|error| failed(&error))
}

#[cfg(unix)]
fn make_directory(directory: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)
}

#[cfg(unix)]
fn sync_directory(directory: &Path) -> std::io::Result<()> {
    File::open(directory)?.sync_all()
}

/// Opens a file, made so that nobody else can read it, not even for an instant.
#[cfg(unix)]
fn open_private(path: &Path) -> std::io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}

#[cfg(unix)]
fn make_private(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    if fs::metadata(path)?.permissions().mode() & 0o077 == 0 {
        return Ok(());
    }
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))
}

#[cfg(not(unix))]
fn make_directory(directory: &Path) -> std::io::Result<()> {
    fs::create_dir_all(directory)
}

#[cfg(not(unix))]
fn sync_directory(_: &Path) -> std::io::Result<()> {
    Ok(())
}

#[cfg(not(unix))]
fn open_private(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)
}

#[cfg(not(unix))]
fn make_private(_: &Path) -> std::io::Result<()> {
    Ok(())
}
