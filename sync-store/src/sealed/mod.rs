//! A store whose file is sealed at rest: without the key it is noise, but for how long it is and
//! which of its blocks were ever written.
//!
//! It is what a disk's encryption does, for one file: [`SealedBackend`] says how, and against whom
//! it helps. Nothing of redb's changes: the same pages are written at the same moments.

mod backend;
mod key;

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read as _};
use std::path::Path;

use redb::StorageBackend;
use redb::backends::FileBackend;

use crate::{RedbRecords, StoreError};

pub use self::backend::SealedBackend;
pub use self::key::StoreKey;

/// Bytes that are copied at once.
const PART: usize = 1024 * 1024;

impl RedbRecords {
    /// Opens a sealed file, and makes it if it is not there.
    ///
    /// # Errors
    /// As [`open`](Self::open), and [`StoreError::OtherKey`].
    pub fn open_sealed(path: &Path, key: &StoreKey) -> Result<Self, StoreError> {
        Self::with_backend(SealedBackend::open(backend(path)?, key, path)?, path.to_owned())
    }
}

/// Whether a file is a sealed store, whatever its key; `false` if it is not there.
///
/// # Errors
/// If it can't be read.
pub fn is_sealed(path: &Path) -> Result<bool, StoreError> {
    let failed = |error: io::Error| StoreError::from_io(path, &error);
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(failed(error)),
    };
    let mut begin = Vec::new();
    file.take(backend::MARK.len() as u64).read_to_end(&mut begin).map_err(failed)?;
    Ok(backend::is_mark(&begin))
}

/// Seals a plain store into another file, which holds nothing yet. The plain one stays as it is;
/// once this returns, all of the other is on the disk.
///
/// # Errors
/// What is wrong with either.
pub fn seal(plain: &Path, sealed: &Path, key: &StoreKey) -> Result<(), StoreError> {
    // redb mends first what a crash may have left, and says whether it is a store of ours at all.
    drop(RedbRecords::open(plain)?);
    let from = backend(plain)?;
    let to = SealedBackend::open(backend(sealed)?, key, sealed)?;
    copy(&from, &to).map_err(|error| StoreError::from_io(sealed, &error))
}

fn copy(from: &impl StorageBackend, to: &impl StorageBackend) -> io::Result<()> {
    let len = from.len()?;
    to.set_len(len)?;
    let mut part = vec![0; PART];
    let mut at = 0;
    while at < len {
        let size = PART.min(usize::try_from(len - at).unwrap_or(PART));
        let now = part.get_mut(..size).unwrap_or_default();
        from.read(at, now)?;
        to.write(at, now)?;
        at += size as u64;
    }
    to.sync_data()
}

/// A file that nobody else has open as a store.
fn backend(path: &Path) -> Result<FileBackend, StoreError> {
    let failed = |error: &io::Error| StoreError::from_io(path, error);
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    let file = options.open(path).map_err(|error| failed(&error))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(StoreError::InUse(path.to_owned())),
        Err(TryLockError::Error(error)) => return Err(failed(&error)),
    }
    FileBackend::new(file).map_err(|error| StoreError::of_opening(path, error))
}
