//! The store on disk: one redb file, one owner.
//!
//! A lock beside the file, held while the store is open, keeps a second process out from before the
//! file exists. The file gets its name only when it is whole.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};

use redb::StorageBackend;
use sync_core::records::{Batch, Records};
use sync_store::RedbRecords;

use super::form::Form;
use super::{RecordStore, StoreError};

/// The store's file inside the data directory.
pub const FILE: &str = "device.redb";
/// Held by whoever has the store open.
const LOCK: &str = "device.lock";
/// A store in the making: a crash may leave it behind, and the next opening starts afresh.
const UNFINISHED: &str = "device.redb.new";

/// A store in one redb file.
#[derive(Debug)]
pub struct RedbStore {
    // Declared before the lock: the file is closed before anybody else may open it.
    records: RedbRecords,
    _lock: Option<File>,
}

impl RedbStore {
    /// Opens the store in a directory, and makes both, readable by their owner alone, if they are
    /// not there.
    ///
    /// # Errors
    /// What is wrong, and what to do about it.
    pub fn open(directory: &Path) -> Result<Self, StoreError> {
        Self::open_as(directory, &Form::default())
    }

    /// Opens the store in a directory, sealed at rest with a key. A plain store is sealed first, once;
    /// what a disk keeps of files that are gone may still hold what was in it.
    ///
    /// # Errors
    /// As [`open`](Self::open), and [`StoreError::OtherKey`].
    #[cfg(feature = "sealed")]
    pub fn open_sealed(
        directory: &Path,
        key: &sync_store::sealed::StoreKey,
    ) -> Result<Self, StoreError> {
        Self::open_as(directory, &Form::Sealed(key.clone()))
    }

    pub(crate) fn open_as(directory: &Path, form: &Form) -> Result<Self, StoreError> {
        make_directory(directory).map_err(|error| StoreError::from_io(directory, &error))?;
        let path = directory.join(FILE);
        let lock = lock(&directory.join(LOCK), &path)?;
        if !path.exists() {
            make_file(directory, |new| form.open(new).map(drop))?;
        } else if form.is_to_seal(&path)? {
            make_file(directory, |new| form.seal(&path, new))?;
        }
        make_private(&path).map_err(|error| StoreError::from_io(&path, &error))?;
        Ok(Self { records: form.open(&path)?, _lock: Some(lock) })
    }

    /// Takes the store in a directory away, whatever is in it and whoever has its key.
    ///
    /// # Errors
    /// If it is open anywhere, or can't be taken away. If there is none, all is well.
    pub fn erase(directory: &Path) -> Result<(), StoreError> {
        let path = directory.join(FILE);
        if !directory.exists() {
            return Ok(());
        }
        let _lock = lock(&directory.join(LOCK), &path)?;
        for file in [path, directory.join(UNFINISHED)] {
            remove(&file)?;
        }
        sync_directory(directory).map_err(|error| StoreError::from_io(directory, &error))
    }

    /// Opens a store over any backend: for disks that fail on purpose.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn with_backend(backend: impl StorageBackend) -> Result<Self, StoreError> {
        let records = RedbRecords::with_backend(backend, PathBuf::from("the store"))?;
        Ok(Self { records, _lock: None })
    }
}

impl RecordStore for RedbStore {
    fn write(&mut self, batches: &[Batch]) -> Result<(), StoreError> {
        self.records.write(batches)
    }

    fn read(&self, prefix: &[u8]) -> Result<Records, StoreError> {
        self.records.read(prefix)
    }
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
fn make_file(
    directory: &Path,
    make: impl FnOnce(&Path) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let unfinished = directory.join(UNFINISHED);
    let failed = |error: &std::io::Error| StoreError::from_io(&unfinished, error);
    remove(&unfinished)?;
    drop(open_private(&unfinished).map_err(|error| failed(&error))?);
    make(&unfinished)?;
    fs::rename(&unfinished, directory.join(FILE)).map_err(|error| failed(&error))?;
    // A new name survives a power cut only with its directory.
    sync_directory(directory).map_err(|error| failed(&error))
}

fn remove(file: &Path) -> Result<(), StoreError> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(StoreError::from_io(file, &error))
        }
        _ => Ok(()),
    }
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
