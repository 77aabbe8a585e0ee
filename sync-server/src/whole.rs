//! Putting a store that was made whole in the place of the damaged one: several files get other names, and
//! the machine may stop between any two. From the moment at which the whole store has its name here, each
//! opening of the directory goes on with what is left to do.

use std::io;
use std::path::{Path, PathBuf};

use crate::log::LOG_FILES;
use crate::store::{FILE, StoreError};

/// What a whole store is called that waits for its place; the time at which it was made follows.
const WHOLE: &str = "relay.redb.whole-";

/// Gives a store that was made whole its name, and puts it into its place. Gives where the damaged one is now.
///
/// # Errors
/// If a file can't be given another name. The next opening of the directory tries again.
pub(crate) fn put(made: &Path, directory: &Path, now_ms: u64) -> Result<PathBuf, StoreError> {
    named(made, directory, now_ms).and_then(|()| finish(directory))?;
    Ok(damaged(directory, &now_ms.to_string()))
}

/// Goes on where an exchange ended, if one did.
///
/// # Errors
/// If a file can't be given another name.
pub(crate) fn finish(directory: &Path) -> Result<(), StoreError> {
    let Some(made) = waiting(directory).map_err(failed)? else { return Ok(()) };
    let whole = directory.join(format!("{WHOLE}{made}"));
    // Each step is seen to be done by what it leaves.
    for name in LOG_FILES.iter().filter(|name| directory.join(name).exists()) {
        let kept = directory.join(format!("{name}.before-{made}"));
        std::fs::rename(directory.join(name), kept).map_err(failed)?;
    }
    // A store that knows no log, beside one, is taken to be its own.
    synced(directory)?;
    let (path, kept) = (directory.join(FILE), damaged(directory, &made));
    if path.exists() && !kept.exists() {
        std::fs::rename(&path, &kept).map_err(failed)?;
    }
    std::fs::rename(&whole, &path).map_err(failed)?;
    synced(directory)
}

/// From here on the exchange is decided: what is in the whole store is on the disk before.
fn named(made: &Path, directory: &Path, now_ms: u64) -> Result<(), StoreError> {
    std::fs::File::open(made).and_then(|file| file.sync_all()).map_err(failed)?;
    std::fs::rename(made, directory.join(format!("{WHOLE}{now_ms}"))).map_err(failed)?;
    synced(directory)
}

fn damaged(directory: &Path, made: &str) -> PathBuf {
    directory.join(format!("relay.redb.damaged-{made}"))
}

/// When the whole store was made that waits for its place, as its name says.
fn waiting(directory: &Path) -> io::Result<Option<String>> {
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        // Nothing is there yet, or no directory: whoever opens the store says so.
        Err(_) => return Ok(None),
    };
    for entry in entries {
        let name = entry?.file_name();
        if let Some(made) = name.to_str().and_then(|name| name.strip_prefix(WHOLE)) {
            return Ok(Some(made.to_owned()));
        }
    }
    Ok(None)
}

fn synced(directory: &Path) -> Result<(), StoreError> {
    std::fs::File::open(directory).and_then(|at| at.sync_all()).map_err(failed)
}

fn failed(error: io::Error) -> StoreError {
    StoreError::Io(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What each file of a directory holds.
    fn contents(directory: &Path) -> Vec<(String, String)> {
        let mut found: Vec<_> = std::fs::read_dir(directory)
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                let text = std::fs::read_to_string(entry.path()).unwrap();
                (entry.file_name().into_string().unwrap(), text)
            })
            .collect();
        found.sort();
        found
    }

    /// A directory with a damaged store, its log, and a whole store that has just been given its name.
    fn decided() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path();
        for (name, text) in
            [(FILE, "damaged"), (LOG_FILES[0], "a"), (LOG_FILES[1], "b"), ("made", "whole")]
        {
            std::fs::write(at.join(name), text).unwrap();
        }
        named(&at.join("made"), at, 7).unwrap();
        folder
    }

    #[test]
    fn an_exchange_that_ended_anywhere_is_finished_at_the_next_opening() {
        let steps = [
            (LOG_FILES[0].to_owned(), format!("{}.before-7", LOG_FILES[0])),
            (LOG_FILES[1].to_owned(), format!("{}.before-7", LOG_FILES[1])),
            (FILE.to_owned(), "relay.redb.damaged-7".to_owned()),
            (format!("{WHOLE}7"), FILE.to_owned()),
        ];
        for done in 0..=steps.len() {
            let folder = decided();
            let at = folder.path();
            for (from, to) in &steps[..done] {
                std::fs::rename(at.join(from), at.join(to)).unwrap();
            }
            for _ in 0..2 {
                finish(at).unwrap();
                let mut expected = vec![
                    (format!("{}.before-7", LOG_FILES[0]), "a".to_owned()),
                    (format!("{}.before-7", LOG_FILES[1]), "b".to_owned()),
                    (FILE.to_owned(), "whole".to_owned()),
                    ("relay.redb.damaged-7".to_owned(), "damaged".to_owned()),
                ];
                expected.sort();
                assert_eq!(contents(at), expected, "after {done} steps");
            }
        }
    }

    #[test]
    fn where_nothing_waits_nothing_is_done() {
        let folder = tempfile::tempdir().unwrap();
        finish(&folder.path().join("none")).unwrap();
        std::fs::write(folder.path().join(FILE), "good").unwrap();
        std::fs::write(folder.path().join(LOG_FILES[0]), "a").unwrap();
        let before = contents(folder.path());
        finish(folder.path()).unwrap();
        assert_eq!(contents(folder.path()), before);
    }
}
