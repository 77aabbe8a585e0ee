//! Every store behaves alike; the one on disk also survives what disks do.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use proptest::prelude::*;
use sync_server::relay::Settings;
use sync_server::store::{FILE, MemoryStore, RedbStore, Store, StoreError, Table};

use crate::support::{Device, push, space};
use crate::world::{World, stored};

#[derive(Clone, Debug)]
enum Step {
    Put(u8, u8, u8),
    Delete(u8, u8),
    Commit,
}

fn table(n: u8) -> Table {
    [Table::Meta, Table::Entries, Table::Reservations][usize::from(n % 3)]
}

fn key(n: u8) -> [u8; 8] {
    u64::from(n).to_be_bytes()
}

fn rows<S: Store>(store: &S, table: Table, from: u8, to: u8) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut rows = Vec::new();
    let visit = &mut |key: &[u8], value: &[u8]| {
        rows.push((key.to_vec(), value.to_vec()));
        true
    };
    store.scan(table, &key(from), &key(to), visit).unwrap();
    rows
}

fn conforms<S: Store>(mut store: S, steps: &[Step]) {
    let mut model: BTreeMap<(Table, Vec<u8>), Vec<u8>> = BTreeMap::new();
    for step in steps {
        match *step {
            Step::Put(t, k, v) => {
                store.put(table(t), &key(k), vec![v; usize::from(v)]);
                model.insert((table(t), key(k).to_vec()), vec![v; usize::from(v)]);
            }
            Step::Delete(t, k) => {
                store.delete(table(t), &key(k));
                model.remove(&(table(t), key(k).to_vec()));
            }
            Step::Commit => {
                store.commit().unwrap();
                assert!(!store.is_dirty());
            }
        }
        for t in 0..3 {
            let of = table(t);
            let expected: Vec<_> = model
                .iter()
                .filter(|((table, _), _)| *table == of)
                .map(|((_, key), value)| (key.clone(), value.clone()))
                .collect();
            assert_eq!(rows(&store, of, 0, u8::MAX), expected);
            let middle: Vec<_> = expected
                .iter()
                .filter(|(k, _)| *k >= key(3).to_vec() && *k < key(6).to_vec())
                .cloned()
                .collect();
            assert_eq!(rows(&store, of, 3, 6), middle);
            assert!(rows(&store, of, 6, 3).is_empty());
            assert_eq!(store.row(of, &key(4)).unwrap(), model.get(&(of, key(4).to_vec())).cloned());
        }
    }
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0..3u8, 0..10u8, any::<u8>()).prop_map(|(t, k, v)| Step::Put(t, k, v)),
        2 => (0..3u8, 0..10u8).prop_map(|(t, k)| Step::Delete(t, k)),
        1 => Just(Step::Commit),
    ];
    prop::collection::vec(step, 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn every_store_behaves_like_an_ordered_map(steps in steps()) {
        conforms(MemoryStore::new(), &steps);
        conforms(RedbStore::with_backend(redb::backends::InMemoryBackend::new()).unwrap(), &steps);
    }
}

#[test]
fn what_is_not_committed_is_gone_after_a_crash_and_the_rest_is_not() {
    let directory = tempfile::tempdir().unwrap();
    let mut disk = RedbStore::open(directory.path()).unwrap();
    let mut memory = MemoryStore::new();
    disk.put(Table::Meta, b"kept", vec![1]);
    memory.put(Table::Meta, b"kept", vec![1]);
    disk.commit().unwrap();
    memory.commit().unwrap();
    disk.put(Table::Meta, b"lost", vec![1]);
    memory.put(Table::Meta, b"lost", vec![1]);
    drop(disk);
    let disk = RedbStore::open(directory.path()).unwrap();
    let memory = memory.durable();
    for (name, there) in [(b"kept", true), (b"lost", false)] {
        assert_eq!(disk.row(Table::Meta, name).unwrap().is_some(), there);
        assert_eq!(memory.row(Table::Meta, name).unwrap().is_some(), there);
    }
}

#[test]
fn a_store_in_use_a_foreign_file_and_a_missing_one_say_what_to_do() {
    let directory = tempfile::tempdir().unwrap();
    let missing = RedbStore::open_existing(directory.path()).unwrap_err();
    assert!(matches!(missing, StoreError::Unwritable { .. }), "{missing}");
    let held = RedbStore::open(directory.path()).unwrap();
    let second = RedbStore::open(directory.path()).unwrap_err();
    assert!(matches!(second, StoreError::InUse(_)), "{second}");
    drop(held);
    let path = directory.path().join(FILE);
    std::fs::write(&path, b"a letter to my grandmother".repeat(500)).unwrap();
    let foreign = RedbStore::open(directory.path()).unwrap_err();
    assert!(matches!(foreign, StoreError::Foreign(_)), "{foreign}");
    std::fs::remove_file(&path).unwrap();
    let other = redb::Database::create(&path).unwrap();
    let write = other.begin_write().unwrap();
    write.open_table(redb::TableDefinition::<u64, u64>::new("theirs")).unwrap();
    write.commit().unwrap();
    drop(other);
    let foreign = RedbStore::open(directory.path()).unwrap_err();
    assert!(matches!(foreign, StoreError::Foreign(_)), "{foreign}");
    let file = directory.path().join("plain");
    std::fs::write(&file, b"").unwrap();
    let unwritable = RedbStore::open(&file).unwrap_err();
    assert!(matches!(unwritable, StoreError::Unwritable { .. }), "{unwritable}");
}

#[test]
fn a_damaged_store_is_an_error_or_whole_never_a_panic() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = RedbStore::open(directory.path()).unwrap();
    for n in 0..200u8 {
        store.put(Table::Accounts, &[n], vec![n; 100]);
    }
    store.commit().unwrap();
    drop(store);
    let path = directory.path().join(FILE);
    let whole = std::fs::read(&path).unwrap();
    for length in [0, 1, 100, 4096, whole.len() / 2] {
        std::fs::write(&path, &whole[..length]).unwrap();
        match RedbStore::open(directory.path()) {
            Ok(store) => assert!(length == 0 || store.contents().is_ok()),
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
}

#[test]
fn a_backup_holds_everything_and_never_replaces_a_file() {
    let directory = tempfile::tempdir().unwrap();
    let copy = tempfile::tempdir().unwrap();
    let mut store = RedbStore::open(directory.path()).unwrap();
    store.put(Table::Entries, &7u64.to_be_bytes(), vec![7]);
    store.put(Table::Accounts, b"account", vec![8]);
    store.commit().unwrap();
    let target = copy.path().join(FILE);
    store.backup(&target).unwrap();
    assert!(matches!(store.backup(&target), Err(StoreError::Unwritable { .. })));
    let restored = RedbStore::open(copy.path()).unwrap();
    assert_eq!(restored.row(Table::Entries, &7u64.to_be_bytes()).unwrap(), Some(vec![7]));
    assert_eq!(restored.row(Table::Accounts, b"account").unwrap(), Some(vec![8]));
    assert_eq!(restored.contents().unwrap().entries, 1);
}

/// A disk that is full when told so.
#[derive(Debug)]
struct Disk {
    inner: redb::backends::InMemoryBackend,
    full: Arc<AtomicBool>,
}

impl Disk {
    fn room(&self) -> io::Result<()> {
        match self.full.load(Ordering::SeqCst) {
            true => Err(io::Error::from(io::ErrorKind::StorageFull)),
            false => Ok(()),
        }
    }
}

impl redb::StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.inner.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.room()?;
        self.inner.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.room()?;
        self.inner.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.room()?;
        self.inner.write(offset, data)
    }
}

#[test]
fn a_full_disk_is_named_and_nothing_is_acknowledged() {
    let full = Arc::new(AtomicBool::new(false));
    let disk = Disk { inner: redb::backends::InMemoryBackend::new(), full: Arc::clone(&full) };
    let store = RedbStore::with_backend(disk).unwrap();
    let mut world = World::over(store, Settings::default());
    let mut ada = Device::new(1);
    let session = world.connect(&mut ada);
    let founding = ada.found(space(1));
    world.send(session, push(space(1), vec![founding]));
    full.store(true, Ordering::SeqCst);
    world.commit();
    assert!(matches!(world.relay.failure(), Some(StoreError::Full)));
    assert!(stored(&world.take(session)).is_empty());
    assert!(world.closed.contains_key(&session));
}
