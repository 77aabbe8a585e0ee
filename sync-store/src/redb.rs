//! Records in redb: one database, one table. Quick-repair is on: opening after a kill costs the same
//! few milliseconds whatever the size.

use std::ops::Bound;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use redb::{
    Database, DatabaseError, Durability, ReadableDatabase as _, StorageBackend, Table,
    TableDefinition, TableError, WriteTransaction,
};
use sync_core::records::{Batch, Records};

use super::{RecordStore, StoreError, after_prefix};

/// The format this build writes.
const FORMAT: u64 = 1;
/// Bytes of redb's page cache: the engine has caches of its own.
const CACHE: usize = 16 * 1024 * 1024;

const FORMAT_TABLE: TableDefinition<'static, &str, u64> =
    TableDefinition::new("rejoinder device format");
const RECORDS: TableDefinition<'static, &[u8], &[u8]> = TableDefinition::new("records");

/// Records in one redb database.
#[derive(Debug)]
pub struct RedbRecords {
    database: Database,
    path: PathBuf,
}

impl RedbRecords {
    /// Opens a file, and makes it if it is not there.
    ///
    /// # Errors
    /// What is wrong, and what to do about it.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let opened = shielded(|| builder().create(path))?;
        Self::of(opened, path.to_owned())
    }

    /// Opens a store over any backend of redb's. `path` is what errors call it.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn with_backend(backend: impl StorageBackend, path: PathBuf) -> Result<Self, StoreError> {
        let opened = shielded(|| builder().create_with_backend(backend))?;
        Self::of(opened, path)
    }

    fn of(opened: Result<Database, DatabaseError>, path: PathBuf) -> Result<Self, StoreError> {
        let database = opened.map_err(|error| StoreError::of_opening(&path, error))?;
        let store = Self { database, path };
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
        let mut found = Records::new();
        for row in rows.map_err(|error| self.failed(error))? {
            let (key, value) = row.map_err(|error| self.failed(error))?;
            found.insert(key.value().to_vec(), value.value().to_vec());
        }
        Ok(found)
    }

    fn failed(&self, error: impl Into<redb::Error>) -> StoreError {
        StoreError::of_redb(&self.path, error)
    }
}

impl RecordStore for RedbRecords {
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
