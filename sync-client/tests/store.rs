//! The store on disk: the suite every store passes, and what redb alone can do wrong.

#![allow(clippy::unwrap_used, missing_docs)]

mod torn;

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};

use redb::{Database, StorageBackend, TableDefinition};
use sync_client::store::{FILE, RecordStore as _, RedbStore, conformance};
use sync_client::{Client, OpenError, Options, StoreError};
use sync_core::records::Batch;

#[tokio::test]
async fn redb_is_a_store() {
    let directory = tempfile::tempdir().unwrap();
    conformance::check(async || RedbStore::open(directory.path()).unwrap()).await;
}

#[tokio::test]
async fn a_disk_without_surprises_is_a_store() {
    let disk = Disk::default();
    conformance::check(async || RedbStore::with_backend(disk.clone()).unwrap()).await;
}

#[test]
fn two_owners_never_share_a_store() {
    let directory = tempfile::tempdir().unwrap();
    let first = RedbStore::open(directory.path()).unwrap();
    assert_eq!(
        RedbStore::open(directory.path()).unwrap_err(),
        StoreError::InUse(directory.path().join(FILE))
    );
    drop(first);
    RedbStore::open(directory.path()).unwrap();
}

#[test]
fn somebody_elses_file_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(FILE);
    for content in ["hello", &"a diary\n".repeat(10_000)] {
        std::fs::write(&path, content).unwrap();
        let error = RedbStore::open(directory.path()).unwrap_err();
        assert_eq!(error, StoreError::Foreign(path.clone()));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), *content);
    }
}

#[test]
fn another_programs_redb_file_is_foreign() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(FILE);
    write_redb(&path, TableDefinition::new("theirs"), 1);
    assert_eq!(RedbStore::open(directory.path()).unwrap_err(), StoreError::Foreign(path));
}

#[test]
fn a_newer_format_is_refused_by_name() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(FILE);
    write_redb(&path, TableDefinition::new("rejoinder device format"), 7);
    let error = RedbStore::open(directory.path()).unwrap_err();
    assert_eq!(error, StoreError::Newer { found: 7, known: 1 });
}

#[test]
fn a_torn_file_is_damaged_and_never_a_crash() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(FILE);
    let mut store = RedbStore::open(directory.path()).unwrap();
    for number in 0..50 {
        store.write(&[batch(number)]).unwrap();
    }
    drop(store);
    torn::is_told_and_never_a_crash(&path, &[100, 4096], &batch(99), || {
        RedbStore::open(directory.path())
    });
}

#[test]
fn a_directory_that_cannot_be_is_said_to_be_one() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    std::fs::write(&file, "").unwrap();
    let error = RedbStore::open(&file.join("data")).unwrap_err();
    assert!(matches!(error, StoreError::ReadOnly { .. }), "{error:?}");
}

#[cfg(unix)]
#[test]
fn nobody_else_can_read_the_store() {
    use std::os::unix::fs::PermissionsExt as _;
    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("a/b");
    drop(RedbStore::open(&directory).unwrap());
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&directory), 0o700);
    let file = directory.join(FILE);
    assert_eq!(mode(&file), 0o600);
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    drop(RedbStore::open(&directory).unwrap());
    assert_eq!(mode(&file), 0o600);
}

#[test]
fn a_full_disk_is_said_to_be_full_and_loses_nothing() {
    let disk = Disk::default();
    let mut store = RedbStore::with_backend(disk.clone()).unwrap();
    store.write(&[batch(1)]).unwrap();
    disk.set(Fault::Full);
    let mut number = 2;
    let error = loop {
        match store.write(&[batch(number)]) {
            Ok(()) => number += 1,
            Err(error) => break error,
        }
        assert!(number < 1000, "a full disk takes no thousand batches");
    };
    assert_eq!(error, StoreError::Full);
    assert!(error.passes());
    drop(store);
    disk.set(Fault::None);
    let store = RedbStore::with_backend(disk).unwrap();
    let kept = u64::try_from(store.read(b"n").unwrap().len()).unwrap();
    assert_eq!(kept, number - 1, "what was written is there, what was refused is not");
}

#[test]
fn a_crash_at_any_moment_leaves_whole_batches_and_all_that_were_durable() {
    let founded = Disk::default();
    drop(RedbStore::with_backend(founded.clone()).unwrap());
    let founded = founded.0.lock().unwrap().durable.clone();
    // How many operations the whole run takes, to crash at each of them.
    let disk = Disk::holding(founded.clone());
    run_until_crash(&disk);
    let whole = disk.0.lock().unwrap().operations;
    assert!(whole > 30, "{whole}");
    for crash_at in 0..whole {
        let disk = Disk::holding(founded.clone());
        disk.set(Fault::CrashAt(crash_at));
        let acknowledged = run_until_crash(&disk);
        let survivor = Disk::holding(disk.0.lock().unwrap().durable.clone());
        let store = RedbStore::with_backend(survivor).unwrap();
        let records = store.read(b"n").unwrap();
        let kept = u64::try_from(records.len()).unwrap();
        assert!(kept >= acknowledged, "crash at {crash_at}: {kept} of {acknowledged}");
        for (number, key) in (1..=kept).zip(records.keys()) {
            assert_eq!(*key, batch(number).writes.into_keys().next_back().unwrap());
        }
        assert_eq!(store.read(b"last").unwrap().is_empty(), kept == 0, "batches are whole");
    }
}

#[test]
fn a_crash_while_the_store_was_made_is_forgotten() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("device.redb.new"), vec![0; 5000]).unwrap();
    let mut store = RedbStore::open(directory.path()).unwrap();
    store.write(&[batch(1)]).unwrap();
    drop(store);
    assert_eq!(RedbStore::open(directory.path()).unwrap().read(b"n").unwrap().len(), 1);
    assert!(!directory.path().join("device.redb.new").exists());
}

#[tokio::test]
async fn opening_says_what_is_wrong() {
    let directory = tempfile::tempdir().unwrap();
    let open = |relay| Client::open(directory.path(), relay, Options::default());
    assert!(matches!(open("relay").await.unwrap_err(), OpenError::RelayUrl(_)));
    let _other = RedbStore::open(directory.path()).unwrap();
    let error = open("ws://127.0.0.1:1").await.unwrap_err();
    assert_eq!(error.kind(), "in_use");
}

/// Writes four batches; gives back how many were acknowledged.
fn run_until_crash(disk: &Disk) -> u64 {
    let Ok(mut store) = RedbStore::with_backend(disk.clone()) else { return 0 };
    (1..=4).take_while(|number| store.write(&[batch(*number)]).is_ok()).count() as u64
}

fn batch(number: u64) -> Batch {
    let mut batch = Batch { number, ..Batch::default() };
    batch.put([b"n", number.to_be_bytes().as_slice()].concat(), vec![7; 4000]);
    batch.put(b"last".to_vec(), number.to_be_bytes().to_vec());
    batch
}

fn write_redb(path: &Path, table: TableDefinition<'_, &str, u64>, value: u64) {
    let database = Database::create(path).unwrap();
    let transaction = database.begin_write().unwrap();
    transaction.open_table(table).unwrap().insert("format", value).unwrap();
    transaction.commit().unwrap();
}

/// A disk in memory: what was not synced is lost in a crash, and faults come when asked for.
#[derive(Clone, Debug, Default)]
struct Disk(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    bytes: Vec<u8>,
    durable: Vec<u8>,
    operations: u64,
    fault: Fault,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Fault {
    #[default]
    None,
    Full,
    CrashAt(u64),
}

impl Disk {
    fn holding(bytes: Vec<u8>) -> Self {
        Self(Arc::new(Mutex::new(State { durable: bytes.clone(), bytes, ..State::default() })))
    }

    fn set(&self, fault: Fault) {
        self.0.lock().unwrap().fault = fault;
    }

    fn change(&self, work: impl FnOnce(&mut State)) -> io::Result<()> {
        let mut state = self.0.lock().unwrap();
        if let Fault::CrashAt(at) = state.fault
            && state.operations >= at
        {
            return Err(io::Error::other("the power is off"));
        }
        state.operations += 1;
        work(&mut state);
        Ok(())
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.lock().unwrap().bytes.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let offset = usize::try_from(offset).unwrap();
        out.copy_from_slice(&self.0.lock().unwrap().bytes[offset..offset + out.len()]);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let len = usize::try_from(len).unwrap();
        let state = self.0.lock().unwrap();
        if state.fault == Fault::Full && len > state.bytes.len() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        drop(state);
        self.change(|state| state.bytes.resize(len, 0))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.change(|state| state.durable.clone_from(&state.bytes))
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let offset = usize::try_from(offset).unwrap();
        self.change(|state| state.bytes[offset..offset + data.len()].copy_from_slice(data))
    }
}
