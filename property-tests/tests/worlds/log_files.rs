//! Store and log of a relay belong together: what an operator does to one, the other follows.

use std::path::Path;

use sync_protocol::ids::RelayId;
use sync_server::data::Data;
use sync_server::log::{FileLog, LOG_FILES};
use sync_server::relay::{Identity, Relay, Settings};
use sync_server::repair::repair;
use sync_server::rules::{self, Action, Token, TokenHash, put_back};
use sync_server::store::{Copier, FILE, RedbStore, StoreError};

const IDENTITY: Identity = Identity { relay: RelayId::from_bytes([3; 32]), generation: 9 };
const TOKENS: u64 = 12;

fn open(directory: &Path) -> Result<Relay<RedbStore, FileLog>, StoreError> {
    let Data { store, log } = Data::open(directory)?;
    let mut relay = Relay::alone(store, log, Settings::default())?;
    relay.found(IDENTITY)?;
    Ok(relay)
}

/// A relay that made tokens, each synced, and was killed before it wrote them down.
fn killed(directory: &Path) {
    let mut relay = open(directory).unwrap();
    for n in 0..TOKENS {
        let token = Token { uses: n + 1, until_ms: None, note: String::new() };
        let hash = TokenHash::of(&n.to_string());
        relay.operate(Action::AddToken { hash, token }, n).unwrap();
        relay.commit(n);
    }
    assert!(relay.failure().is_none());
}

fn tokens(directory: &Path) -> usize {
    rules::tokens(open(directory).unwrap().state()).unwrap().len()
}

/// The log's file that is in use.
fn in_use(directory: &Path) -> std::path::PathBuf {
    let len = |name: &&str| std::fs::metadata(directory.join(name)).unwrap().len();
    directory.join(LOG_FILES.iter().max_by_key(|name| len(name)).unwrap())
}

#[test]
fn what_waits_in_the_log_is_in_a_backup_and_comes_back_with_it() {
    let [data, again] = [0, 1].map(|_| tempfile::tempdir().unwrap());
    killed(data.path());
    let waiting = Data::open_existing(data.path()).unwrap();
    assert!(waiting.log.behind(waiting.store.applied().unwrap()) >= TOKENS);
    let store = waiting.caught_up().unwrap();
    let backup = data.path().join("backup.redb");
    store.backup(&backup).unwrap();
    drop(store);
    // Where a relay's data are, none are put; nor beside a log alone.
    std::fs::write(again.path().join(LOG_FILES[1]), "a log").unwrap();
    let refused = Copier::restore(&backup, again.path(), |store| put_back(store, 10));
    assert!(matches!(refused, Err(StoreError::Unwritable { .. })), "{refused:?}");
    std::fs::remove_file(again.path().join(LOG_FILES[1])).unwrap();
    Copier::restore(&backup, again.path(), |store| put_back(store, 10)).unwrap();
    assert_eq!(tokens(again.path()) as u64, TOKENS);
    assert_eq!(open(again.path()).unwrap().state().identity().generation, 10);
    assert_eq!(tokens(data.path()) as u64, TOKENS);
}

#[test]
fn a_store_is_nothing_without_its_log_and_a_log_without_its_store() {
    let [data, other] = [0, 1].map(|_| tempfile::tempdir().unwrap());
    killed(data.path());
    killed(other.path());
    let moved = data.path().join("moved");
    let log = in_use(data.path());
    std::fs::rename(&log, &moved).unwrap();
    assert_eq!(open(data.path()).unwrap_err(), StoreError::LogForeign);
    std::fs::copy(in_use(other.path()), &log).unwrap();
    assert_eq!(open(data.path()).unwrap_err(), StoreError::LogForeign);
    std::fs::rename(&moved, &log).unwrap();
    assert_eq!(tokens(data.path()) as u64, TOKENS);
    std::fs::remove_file(other.path().join(FILE)).unwrap();
    assert_eq!(open(other.path()).unwrap_err(), StoreError::LogForeign);
}

#[test]
fn a_log_that_is_broken_in_the_middle_is_named_and_repaired_as_far_as_it_goes() {
    let data = tempfile::tempdir().unwrap();
    killed(data.path());
    let log = in_use(data.path());
    let mut bytes = std::fs::read(&log).unwrap();
    // Somewhere in the frame of the fifth token or so: each is some 200 bytes.
    bytes[64 + 900] ^= 4;
    std::fs::write(&log, &bytes).unwrap();
    let (offset, position) = match open(data.path()).unwrap_err() {
        StoreError::LogBroken { file, offset, position } => {
            assert!(log.ends_with(file), "{file}");
            (offset, position)
        }
        error => panic!("{error}"),
    };
    assert!((64..=964).contains(&offset) && position > 1, "{offset}, {position}");
    // Nothing was changed by looking.
    assert_eq!(std::fs::read(&log).unwrap(), bytes);
    let repaired = repair(data.path(), 10, 7).unwrap();
    assert!(repaired.again > 0 && repaired.kept.exists(), "{repaired}");
    let left = tokens(data.path()) as u64;
    assert!(left == repaired.again && left < TOKENS, "{left} of {repaired}");
    assert_eq!(open(data.path()).unwrap().state().identity().generation, 10);
}
