//! Making a damaged store whole: what can be read of it goes into a new file, where rows that lead
//! nowhere are mended; the damaged file stays beside it.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::log::{FileLog, Log as _, LogId};
use crate::rules::{self, Fault, Mended, Position, State};
use crate::store::{Checked, RedbStore, StoreError};
use crate::whole;

/// What a repair did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repaired {
    /// Rows that could be read.
    pub rows: u64,
    /// Rows and places that could not.
    pub damaged: usize,
    /// What was made whole.
    pub mended: Mended,
    /// Commands of the log that were applied again.
    pub again: u64,
    /// Where the damaged file is now.
    pub kept: PathBuf,
}

/// Repairs the store in a directory, applies again what its log has beyond it, and gives it another
/// generation: devices read everything anew and write again what it lacks of theirs. A new log begins.
///
/// # Errors
/// If nothing of it can be read, or the new file can't be written: the damaged one is as it was then. If the
/// new one can't be put in its place, the next start tries again.
pub fn repair(directory: &Path, generation: u64, now_ms: u64) -> Result<Repaired, StoreError> {
    whole::finish(directory)?;
    let damaged = RedbStore::open_existing(directory)?;
    let partial = directory.join("relay.redb.repaired");
    let _ = std::fs::remove_file(&partial);
    let made = make_whole(&damaged, directory, &partial, generation);
    if made.is_err() {
        // It may be as large as the store, and the disk be full.
        let _ = std::fs::remove_file(&partial);
    }
    let (salvaged, mended, again) = made?;
    drop(damaged);
    let kept = whole::put(&partial, directory, now_ms)?;
    Ok(Repaired { rows: salvaged.rows, damaged: salvaged.damaged.len(), mended, again, kept })
}

/// Makes a whole store of what can be read of a damaged one. Gives what could be read, what was mended, and how
/// many commands were applied again.
fn make_whole(
    damaged: &RedbStore,
    directory: &Path,
    partial: &Path,
    generation: u64,
) -> Result<(Checked, Mended, u64), StoreError> {
    let salvaged = damaged.copier().salvage_to(partial)?;
    let mut store = RedbStore::open_file(partial)?;
    let known = (rules::log_of(&store).ok().flatten(), rules::applied(&store).ok());
    let mended = rules::mend(&mut store)?;
    let (mut store, again) = match known {
        (Some(log), Some(applied)) => apply_again(store, directory, log, applied)?,
        _ => (store, 0),
    };
    rules::put_back(&mut store, generation)?;
    Ok((salvaged, mended, again))
}

/// Applies what the log has beyond a store, as far as it can be read. Gives how many commands that were.
fn apply_again(
    store: RedbStore,
    directory: &Path,
    known: LogId,
    applied: Position,
) -> Result<(RedbStore, u64), StoreError> {
    let Ok(mut log) = FileLog::up_to_break(directory, known, applied) else {
        return Ok((store, 0));
    };
    let mut state = State::open(store)?;
    let (mut after, mut again) = (applied, 0);
    while let Ok(Some((position, command))) = log.next(after) {
        after = position;
        again += 1;
        match rules::apply_at(&mut state, position, command) {
            Ok(_) | Err(Fault::Rejected(_)) => {}
            Err(Fault::Store(error)) if error.is_damage() => {}
            Err(Fault::Store(error)) => return Err(error),
        }
        // They stand in the log as well, or wait in the store for the next start.
        state.take_facts();
    }
    state.commit()?;
    Ok((state.into_store(), again))
}

impl fmt::Display for Repaired {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rows, damaged, mended, again, kept } = self;
        writeln!(f, "rows good     {rows}")?;
        writeln!(f, "rows damaged  {damaged}")?;
        writeln!(f, "commands applied again  {again}")?;
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
