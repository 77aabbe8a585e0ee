//! Making a damaged store whole: what can be read of it goes into a new file, where rows that lead
//! nowhere are mended; the damaged file stays beside it.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::rules::{self, Mended};
use crate::store::{FILE, RedbStore, StoreError};

/// What a repair did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repaired {
    /// Rows that could be read.
    pub rows: u64,
    /// Rows and places that could not.
    pub damaged: usize,
    /// What was made whole.
    pub mended: Mended,
    /// Where the damaged file is now.
    pub kept: PathBuf,
}

/// Repairs the store in a directory, and gives it another generation: devices read everything anew
/// and write again what it lacks of theirs.
///
/// # Errors
/// If nothing of it can be read, or the new file can't be written. The damaged one is as it was then.
pub fn repair(directory: &Path, generation: u64, now_ms: u64) -> Result<Repaired, StoreError> {
    let damaged = RedbStore::open_existing(directory)?;
    let path = directory.join(FILE);
    let partial = directory.join("relay.redb.repaired");
    let _ = std::fs::remove_file(&partial);
    let salvaged = damaged.copier().salvage_to(&partial)?;
    let mut store = RedbStore::open_file(&partial)?;
    let mended = rules::mend(&mut store)?;
    rules::put_back(&mut store, generation)?;
    drop((store, damaged));
    let kept = directory.join(format!("relay.redb.damaged-{now_ms}"));
    let failed = |error: std::io::Error| StoreError::Io(error.to_string());
    std::fs::rename(&path, &kept).map_err(failed)?;
    std::fs::rename(&partial, &path).map_err(failed)?;
    std::fs::File::open(directory).and_then(|at| at.sync_all()).map_err(failed)?;
    Ok(Repaired { rows: salvaged.rows, damaged: salvaged.damaged.len(), mended, kept })
}

impl fmt::Display for Repaired {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rows, damaged, mended, kept } = self;
        writeln!(f, "rows good     {rows}")?;
        writeln!(f, "rows damaged  {damaged}")?;
        for (space, entries) in &mended.cut {
            writeln!(f, "space {space} lost its last {entries} entries")?;
        }
        for space in &mended.gone {
            writeln!(f, "space {space} is lost as a whole")?;
        }
        for account in &mended.accounts {
            writeln!(f, "account {account} lost a part of its device log")?;
        }
        writeln!(f, "devices write again what is lost of theirs")?;
        write!(f, "the damaged file is {}", kept.display())
    }
}
