//! Copies of a store: backups of one that is in use or not, and back.
//!
//! A copy is read in one snapshot, each row's checksum is looked at on the way, and the copy is read
//! through once more before it gets its name. So what has a backup's name is one.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use redb::{Database, ReadableDatabase as _, ReadableTable as _, ReadableTableMetadata as _};

use crate::log::LOG_FILES;

use super::redb::{
    ENTRIES, begin, builder, definition, ensure_format, must_hold_something, opening, shielded,
    storage, unwritable,
};
use super::salvage::Finder;
use super::{Contents, FILE, RedbStore, StoreError, Table, checksum, private, row_name};

/// Rows in one transaction of a copy: what waits for it is bounded.
const STEP: usize = 16_384;
/// Bytes in one transaction of a copy.
const STEP_BYTES: usize = 32 * 1024 * 1024;
/// What the name of a backup begins and ends with.
const NAME: (&str, &str) = ("relay-", ".redb");

/// Makes copies of a store, beside its use. Clones are cheap.
#[derive(Clone, Debug)]
pub struct Copier {
    database: Arc<Database>,
    path: PathBuf,
}

/// A row that can't be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DamagedRow {
    /// In which table.
    pub table: Table,
    /// Under which key; `None` if where it lies can't be read either.
    pub key: Option<Vec<u8>>,
}

impl DamagedRow {
    /// Names the row as the relay's log does.
    #[must_use]
    pub fn name(&self) -> String {
        self.key.as_ref().map_or("?".to_owned(), |key| row_name(self.table, key))
    }
}

impl DamagedRow {
    /// Its key as an operator may look it up: an id in hexadecimal, or an address.
    #[must_use]
    pub fn whose(&self) -> String {
        let Some(key) = &self.key else { return "a page of it".to_owned() };
        match (self.table, std::str::from_utf8(key)) {
            (Table::Addresses, Ok(address)) => address.to_owned(),
            _ => key.iter().map(|byte| format!("{byte:02x}")).collect(),
        }
    }
}

/// What a whole store holds, as it was read through.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// Rows that are good.
    pub rows: u64,
    /// Bytes of their keys and values.
    pub bytes: u64,
    /// Rows that are not.
    pub damaged: Vec<DamagedRow>,
}

impl Copier {
    /// Copies everything committed into a new store at `target`, which must not exist. It is its
    /// owner's alone, packed, and appears under its name only when it is complete and was read
    /// through. Gives how many rows it has.
    ///
    /// # Errors
    /// If either side can't be used, or a row is damaged.
    pub fn copy_to(&self, target: &Path) -> Result<u64, StoreError> {
        if target.exists() {
            let cause = "it exists already".to_owned();
            return Err(StoreError::Unwritable { path: target.to_owned(), cause });
        }
        let partial = unnamed(target);
        let _ = std::fs::remove_file(&partial);
        let copied = self.fill(&partial).and_then(|rows| name(&partial, target).map(|()| rows));
        if copied.is_err() {
            let _ = std::fs::remove_file(&partial);
        }
        copied
    }

    fn fill(&self, partial: &Path) -> Result<u64, StoreError> {
        private::make_file(partial).map_err(|error| unwritable(partial, &error))?;
        let database = builder().create(partial).map_err(|error| opening(error, partial))?;
        ensure_format(&database, partial)?;
        let mut writer = Writer { target: &database, waiting: Vec::new(), bytes: 0 };
        let mut rows = 0;
        for_each_row(&self.database, &mut |table, key, sealed| {
            if checksum::open(table, key, sealed).is_none() {
                return Err(StoreError::checksum(table, key));
            }
            rows += 1;
            writer.put(table, key, sealed)
        })?;
        writer.flush()?;
        let checked = check(&database)?;
        match checked.damaged.first() {
            None if checked.rows == rows => Ok(rows),
            Some(DamagedRow { table, key: Some(key) }) => Err(StoreError::checksum(*table, key)),
            _ => Err(StoreError::Io("the copy does not hold what was written".to_owned())),
        }
    }

    /// Copies whatever can be read into a new store at `target`, and says what could not.
    ///
    /// # Errors
    /// If the target can't be written, or a table is not there at all.
    pub fn salvage_to(&self, target: &Path) -> Result<Checked, StoreError> {
        private::make_own_file(target).map_err(|error| unwritable(target, &error))?;
        let database = builder().create(target).map_err(|error| opening(error, target))?;
        ensure_format(&database, target)?;
        let mut writer = Writer { target: &database, waiting: Vec::new(), bytes: 0 };
        let (mut checked, mut failed) = (Checked::default(), Ok(()));
        for table in Table::ALL {
            let whole =
                super::salvage::each_readable(&self.database, table, &mut |key, sealed| {
                    match checksum::open(table, key, sealed) {
                        Some(_) if failed.is_ok() => {
                            checked.rows += 1;
                            failed = writer.put(table, key, sealed);
                        }
                        Some(_) => {}
                        None => checked.damaged.push(DamagedRow { table, key: Some(key.to_vec()) }),
                    }
                })?;
            if !whole {
                checked.damaged.push(DamagedRow { table, key: None });
            }
        }
        failed?;
        writer.flush()?;
        Ok(checked)
    }

    /// Makes a backup with the time in its name, and keeps the newest `keep` of those in the
    /// directory. Gives the new one's path.
    ///
    /// # Errors
    /// As [`copy_to`](Self::copy_to); old backups are kept then.
    pub fn backup(
        &self,
        directory: &Path,
        keep: usize,
        now_ms: u64,
    ) -> Result<PathBuf, StoreError> {
        private::make_directory(directory).map_err(|error| unwritable(directory, &error))?;
        let target = directory.join(format!("{}{}{}", NAME.0, stamp(now_ms), NAME.1));
        self.copy_to(&target)?;
        let mut known: Vec<_> =
            backups(directory).map_err(|error| unwritable(directory, &error))?;
        // What is dated later than the newest comes of a clock that was set back since: it was made before.
        known.sort_by_key(|path| (*path <= target, path.clone()));
        let old = known.len().saturating_sub(keep.max(1));
        for path in known.into_iter().take(old) {
            std::fs::remove_file(&path).map_err(|error| unwritable(&path, &error))?;
        }
        Ok(target)
    }

    /// Counts what is in the store.
    ///
    /// # Errors
    /// If it can't be read.
    pub fn contents(&self) -> Result<Contents, StoreError> {
        shielded(|| {
            let read = self.database.begin_read().map_err(redb::Error::from)?;
            let count = |table: Table| -> Result<u64, StoreError> {
                let rows = read.open_table(definition(table)).map_err(redb::Error::from)?;
                rows.len().map_err(storage)
            };
            let entries = read.open_table(ENTRIES).map_err(redb::Error::from)?;
            Ok(Contents {
                spaces: count(Table::Spaces)?,
                entries: entries.len().map_err(storage)?,
                accounts: count(Table::Accounts)?,
                devices: count(Table::Devices)?,
                addresses: count(Table::Addresses)?,
                inbox_items: count(Table::Inboxes)?,
                key_packages: count(Table::KeyPackages)?,
                file_bytes: self.file_bytes(),
            })
        })
    }

    /// Length of the file in bytes. It may have holes.
    #[must_use]
    pub fn file_bytes(&self) -> u64 {
        std::fs::metadata(&self.path).map_or(0, |file| file.len())
    }

    /// Bytes that the file takes on the disk.
    #[cfg(unix)]
    #[must_use]
    pub fn disk_bytes(&self) -> u64 {
        use std::os::unix::fs::MetadataExt as _;
        std::fs::metadata(&self.path).map_or(0, |file| file.blocks().saturating_mul(512))
    }

    /// Reads the whole store, and says what of it is damaged.
    ///
    /// # Errors
    /// If it can't be read at all.
    pub fn check(&self) -> Result<Checked, StoreError> {
        check(&self.database)
    }

    /// Puts a backup into an empty data directory, as a store that `finish` prepares before it gets
    /// its name.
    ///
    /// # Errors
    /// If the directory has a store, or the backup is damaged or none.
    pub fn restore(
        backup: &Path,
        directory: &Path,
        finish: impl FnOnce(&mut RedbStore) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        private::make_directory(directory).map_err(|error| unwritable(directory, &error))?;
        // A store that was made whole, and waits for its place, is there as well.
        crate::whole::finish(directory)?;
        let target = directory.join(FILE);
        let is_there = |name: &&str| directory.join(name).exists();
        if target.exists() || LOG_FILES.iter().any(is_there) {
            let cause = "a relay's data are there already; move them away first".to_owned();
            return Err(StoreError::Unwritable { path: target, cause });
        }
        let partial = unnamed(&target);
        let _ = std::fs::remove_file(&partial);
        let done = Self::prepare(backup, &partial, finish);
        let done = done.and_then(|()| name(&partial, &target));
        if done.is_err() {
            let _ = std::fs::remove_file(&partial);
        }
        done
    }

    fn prepare(
        backup: &Path,
        partial: &Path,
        finish: impl FnOnce(&mut RedbStore) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        must_hold_something(backup)?;
        private::make_own_file(partial).map_err(|error| unwritable(partial, &error))?;
        std::fs::copy(backup, partial).map_err(|error| unwritable(backup, &error))?;
        let mut store = RedbStore::open_file(partial)?;
        if let Some(row) = store.copier().check()?.damaged.first() {
            return Err(StoreError::checksum(row.table, row.key.as_deref().unwrap_or_default()));
        }
        finish(&mut store)
    }
}

/// Where a copy lies until it is complete.
pub(super) fn unnamed(target: &Path) -> PathBuf {
    let mut name = target.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    target.with_file_name(name)
}

/// Gives a complete file its name, for good.
pub(super) fn name(partial: &Path, target: &Path) -> Result<(), StoreError> {
    let failed = |error: std::io::Error| unwritable(target, &error);
    std::fs::File::open(partial).and_then(|file| file.sync_all()).map_err(failed)?;
    std::fs::rename(partial, target).map_err(failed)?;
    let directory = target.parent().filter(|parent| !parent.as_os_str().is_empty());
    let directory = std::fs::File::open(directory.unwrap_or(Path::new(".")));
    directory.and_then(|directory| directory.sync_all()).map_err(failed)
}

type Visit<'a> = dyn FnMut(Table, &[u8], &[u8]) -> Result<(), StoreError> + 'a;

/// Visits every row of every table as it lies in the file.
fn for_each_row(database: &Database, visit: &mut Visit<'_>) -> Result<(), StoreError> {
    shielded(|| {
        let read = database.begin_read().map_err(redb::Error::from)?;
        for table in Table::ALL {
            if table == Table::Entries {
                let rows = read.open_table(ENTRIES).map_err(redb::Error::from)?;
                for row in rows.iter().map_err(storage)? {
                    let (key, value) = row.map_err(storage)?;
                    visit(table, &key.value().to_be_bytes(), value.value())?;
                }
            } else {
                let rows = read.open_table(definition(table)).map_err(redb::Error::from)?;
                for row in rows.iter().map_err(storage)? {
                    let (key, value) = row.map_err(storage)?;
                    visit(table, key.value(), value.value())?;
                }
            }
        }
        Ok(())
    })
}

/// Reads through all tables, past what can't be read.
fn check(database: &Database) -> Result<Checked, StoreError> {
    let mut checked = Checked::default();
    for table in Table::ALL {
        let finder = Finder::of(database, table).ok();
        let finds = |key: &[u8], row: &[u8]| finder.as_ref().is_none_or(|one| one.finds(key, row));
        let whole = super::salvage::each_readable(database, table, &mut |key, sealed| {
            // A way to a row may be damaged, and the row itself not.
            if checksum::open(table, key, sealed).is_some() && finds(key, sealed) {
                checked.rows += 1;
                checked.bytes += (key.len() + sealed.len()) as u64;
            } else {
                checked.damaged.push(DamagedRow { table, key: Some(key.to_vec()) });
            }
        })?;
        if !whole {
            checked.damaged.push(DamagedRow { table, key: None });
        }
    }
    Ok(checked)
}

/// Collects rows as they lie in a file, and writes them a bounded number at a time.
pub(super) struct Writer<'a> {
    pub(super) target: &'a Database,
    pub(super) waiting: Vec<(Table, Vec<u8>, Vec<u8>)>,
    pub(super) bytes: usize,
}

impl Writer<'_> {
    pub(super) fn put(
        &mut self,
        table: Table,
        key: &[u8],
        sealed: &[u8],
    ) -> Result<(), StoreError> {
        self.bytes += key.len() + sealed.len();
        self.waiting.push((table, key.to_vec(), sealed.to_vec()));
        match self.waiting.len() >= STEP || self.bytes >= STEP_BYTES {
            true => self.flush(),
            false => Ok(()),
        }
    }

    pub(super) fn flush(&mut self) -> Result<(), StoreError> {
        self.bytes = 0;
        let transaction = begin(self.target)?;
        for (table, key, sealed) in self.waiting.drain(..) {
            if table == Table::Entries {
                let mut to = transaction.open_table(ENTRIES).map_err(redb::Error::from)?;
                let position = key.try_into().map_or(0, u64::from_be_bytes);
                to.insert(position, sealed.as_slice()).map_err(storage)?;
            } else {
                let to = transaction.open_table(definition(table));
                let mut to = to.map_err(redb::Error::from)?;
                to.insert(key.as_slice(), sealed.as_slice()).map_err(storage)?;
            }
        }
        transaction.commit().map_err(|error| StoreError::from(redb::Error::from(error)))
    }
}

/// The backups in a directory.
fn backups(directory: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let stamp = name.strip_prefix(NAME.0).and_then(|rest| rest.strip_suffix(NAME.1));
        let is_stamp = |stamp: &str| {
            stamp.len() == 18 && stamp.bytes().all(|b| b.is_ascii_digit() || b == b'T')
        };
        if stamp.is_some_and(is_stamp) {
            found.push(entry.path());
        }
    }
    Ok(found)
}

/// A time in UTC such that names sort by it: `20260131T235959123`.
fn stamp(now_ms: u64) -> String {
    let (days, ms) = (now_ms / 86_400_000, now_ms % 86_400_000);
    let (year, month, day) = date(days);
    let (hour, minute, second) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1_000 % 60);
    let ms = ms % 1_000;
    format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}{ms:03}")
}

/// The civil date of a day since 1970, by Howard Hinnant's `civil_from_days`.
fn date(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (era * 400 + year + u64::from(month <= 2), month, day)
}

impl RedbStore {
    /// Makes copies of this store.
    #[must_use]
    pub fn copier(&self) -> Copier {
        Copier { database: Arc::clone(&self.database), path: self.path.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Store as _;

    #[test]
    fn a_backup_is_named_by_its_time() {
        assert_eq!(stamp(0), "19700101T000000000");
        assert_eq!(stamp(951_782_400_000 - 1), "20000228T235959999");
        assert_eq!(stamp(951_782_400_000), "20000229T000000000");
        assert_eq!(stamp(1_798_761_599_001), "20261231T235959001");
    }

    fn filled(directory: &Path) -> RedbStore {
        let mut store = RedbStore::open(directory).unwrap();
        for n in 0..40_000u64 {
            store.put(Table::Entries, &n.to_be_bytes(), vec![n as u8; 20]);
        }
        store.put(Table::Accounts, b"account", vec![8]);
        store.commit().unwrap();
        store
    }

    #[test]
    fn backups_of_a_store_in_use_are_whole_and_the_oldest_go() {
        let (data, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let mut store = filled(data.path());
        std::fs::write(to.path().join("relay-notes.redb"), "mine").unwrap();
        let copier = store.copier();
        let mut paths = Vec::new();
        for n in 0..4 {
            store.put(Table::Accounts, b"newer", vec![n]);
            store.commit().unwrap();
            paths.push(copier.backup(to.path(), 2, u64::from(n) * 1_000).unwrap());
        }
        let there: Vec<bool> = paths.iter().map(|path| path.exists()).collect();
        assert_eq!(there, [false, false, true, true]);
        assert!(to.path().join("relay-notes.redb").exists());
        let again = tempfile::tempdir().unwrap();
        let newest = paths.last().unwrap();
        Copier::restore(newest, again.path(), |store| {
            store.put(Table::Accounts, b"finished", vec![1]);
            store.commit()
        })
        .unwrap();
        let restored = RedbStore::open(again.path()).unwrap();
        assert_eq!(restored.row(Table::Accounts, b"newer").unwrap(), Some(vec![3]));
        assert_eq!(restored.row(Table::Accounts, b"finished").unwrap(), Some(vec![1]));
        assert_eq!(restored.contents().unwrap().entries, 40_000);
        let refused = Copier::restore(newest, again.path(), |_| Ok(())).unwrap_err();
        assert!(refused.to_string().contains("move them away"), "{refused}");
    }

    #[test]
    fn a_clock_that_was_set_back_costs_no_new_backup() {
        let (data, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let copier = RedbStore::open(data.path()).unwrap().copier();
        let at = |now_ms| copier.backup(to.path(), 2, now_ms).unwrap();
        let (first, second) = (at(5_000_000), at(6_000_000));
        let third = at(1_000);
        assert!(third.exists() && second.exists() && !first.exists());
        let fourth = at(2_000);
        assert!(fourth.exists() && third.exists() && !second.exists());
        // And once it is right again.
        let fifth = at(7_000_000);
        assert!(fifth.exists() && fourth.exists() && !third.exists());
    }

    #[test]
    fn what_is_no_backup_is_not_restored() {
        let (data, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let backup = data.path().join("letter.redb");
        std::fs::write(&backup, "a letter to my grandmother".repeat(500)).unwrap();
        // A disk was full when it was brought here.
        let empty = data.path().join("empty.redb");
        std::fs::write(&empty, "").unwrap();
        assert!(matches!(RedbStore::open_file(&empty), Err(StoreError::Foreign(_))));
        assert_eq!(std::fs::metadata(&empty).unwrap().len(), 0);
        for backup in [backup, empty, data.path().join("none.redb")] {
            assert!(Copier::restore(&backup, to.path(), |_| Ok(())).is_err());
            assert_eq!(std::fs::read_dir(to.path()).unwrap().count(), 0);
        }
    }
}
