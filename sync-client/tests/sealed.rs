//! The store sealed at rest: the suite every store passes, a plain one that is taken over, and what
//! whoever has the file without the key finds in it.

#![cfg(feature = "sealed")]
#![allow(clippy::unwrap_used, missing_docs)]

mod torn;

use std::fs;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};

use redb::StorageBackend;
use sync_client::store::{FILE, RecordStore as _, RedbStore, conformance, is_sealed};
use sync_client::{Client, Options, StoreError, StoreKey};
use sync_core::records::Batch;
use sync_store::sealed::SealedBackend;

/// Nobody listens there.
const NOWHERE: &str = "ws://127.0.0.1:9";

#[tokio::test]
async fn a_sealed_one_is_a_store() {
    let directory = tempfile::tempdir().unwrap();
    let key = StoreKey::draw().unwrap();
    conformance::check(async || RedbStore::open_sealed(directory.path(), &key).unwrap()).await;
    assert!(is_sealed(directory.path()).unwrap());
}

#[test]
fn a_plain_store_is_sealed_once_and_whole() {
    let directory = tempfile::tempdir().unwrap();
    let mut plain = RedbStore::open(directory.path()).unwrap();
    (0..40).for_each(|number| plain.write(&[batch(number)]).unwrap());
    drop(plain);
    assert!(!is_sealed(directory.path()).unwrap());
    let key = StoreKey::draw().unwrap();
    for opening in 0..3 {
        let mut sealed = RedbStore::open_sealed(directory.path(), &key).unwrap();
        assert_eq!(sealed.read(b"n").unwrap().len(), 40 + opening);
        sealed.write(&[batch(40 + opening as u64)]).unwrap();
    }
    assert!(is_sealed(directory.path()).unwrap());
    assert_absent(directory.path(), &[b"what nobody else may read"]);
    let path = directory.path().join(FILE);
    assert_eq!(RedbStore::open(directory.path()).unwrap_err(), StoreError::Sealed(path));
}

#[test]
fn a_crash_while_a_plain_store_is_sealed_leaves_the_plain_one() {
    let directory = tempfile::tempdir().unwrap();
    let mut plain = RedbStore::open(directory.path()).unwrap();
    plain.write(&[batch(1)]).unwrap();
    drop(plain);
    // What a crash leaves: half of a copy, under another key.
    let half = directory.path().join("device.redb.new");
    let copy = tempfile::tempdir().unwrap();
    drop(RedbStore::open_sealed(copy.path(), &StoreKey::draw().unwrap()).unwrap());
    let whole = fs::read(copy.path().join(FILE)).unwrap();
    fs::write(&half, &whole[..whole.len() / 2]).unwrap();
    assert_eq!(RedbStore::open(directory.path()).unwrap().read(b"n").unwrap().len(), 1);
    let sealed = RedbStore::open_sealed(directory.path(), &StoreKey::draw().unwrap()).unwrap();
    assert_eq!(sealed.read(b"n").unwrap().len(), 1);
    assert!(!half.exists());
}

#[test]
fn another_key_opens_nothing_and_loses_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let key = StoreKey::draw().unwrap();
    let mut store = RedbStore::open_sealed(directory.path(), &key).unwrap();
    store.write(&[batch(1)]).unwrap();
    drop(store);
    let path = directory.path().join(FILE);
    let before = fs::read(&path).unwrap();
    let error = RedbStore::open_sealed(directory.path(), &StoreKey::draw().unwrap()).unwrap_err();
    assert_eq!(error, StoreError::OtherKey(path.clone()));
    assert_eq!((error.kind(), error.passes()), ("other_key", false));
    assert_eq!(fs::read(&path).unwrap(), before);
    let store = RedbStore::open_sealed(directory.path(), &key).unwrap();
    assert_eq!(store.read(b"n").unwrap().len(), 1);
}

#[test]
fn somebody_elses_file_is_not_sealed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(FILE);
    fs::write(&path, "a diary\n".repeat(1000)).unwrap();
    let key = StoreKey::draw().unwrap();
    let error = RedbStore::open_sealed(directory.path(), &key).unwrap_err();
    assert_eq!(error, StoreError::Foreign(path.clone()));
    assert_eq!(fs::read_to_string(&path).unwrap(), "a diary\n".repeat(1000));
}

#[test]
fn a_torn_file_is_told_and_never_a_crash() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(FILE);
    let key = StoreKey::draw().unwrap();
    let mut store = RedbStore::open_sealed(directory.path(), &key).unwrap();
    (0..50).for_each(|number| store.write(&[batch(number)]).unwrap());
    drop(store);
    torn::is_told_and_never_a_crash(&path, &[100, 4096 + 7, 8192], &batch(99), || {
        RedbStore::open_sealed(directory.path(), &key)
    });
}

#[test]
fn a_crash_at_any_moment_leaves_whole_batches_also_where_writes_are_torn() {
    let key = StoreKey::draw().unwrap();
    let founded = Disk::default();
    drop(open(&founded, &key).unwrap());
    let founded = founded.0.lock().unwrap().bytes.clone();
    let disk = Disk::holding(founded.clone());
    assert_eq!(run_until_crash(&disk, &key), 4);
    let whole = disk.0.lock().unwrap().writes;
    assert!(whole > 30, "{whole}");
    for crash_at in 0..whole {
        let disk = Disk::holding(founded.clone());
        disk.0.lock().unwrap().crash_at = Some(crash_at);
        let acknowledged = run_until_crash(&disk, &key);
        // Of the last write each second sector of the disk came through, of the others since the last
        // sync all.
        let survivor = Disk::holding(disk.0.lock().unwrap().bytes.clone());
        let store = open(&survivor, &key).unwrap();
        let kept = u64::try_from(store.read(b"n").unwrap().len()).unwrap();
        assert!(kept >= acknowledged, "crash at {crash_at}: {kept} of {acknowledged}");
        assert_eq!(store.read(b"last").unwrap().is_empty(), kept == 0, "batches are whole");
    }
}

#[test]
fn what_is_erased_is_gone_whoever_has_its_key() {
    let directory = tempfile::tempdir().unwrap();
    RedbStore::erase(&directory.path().join("none")).unwrap();
    let key = StoreKey::draw().unwrap();
    let store = RedbStore::open_sealed(directory.path(), &key).unwrap();
    let path = directory.path().join(FILE);
    assert_eq!(RedbStore::erase(directory.path()).unwrap_err(), StoreError::InUse(path.clone()));
    drop(store);
    RedbStore::erase(directory.path()).unwrap();
    assert!(!path.exists());
    let anew = RedbStore::open_sealed(directory.path(), &StoreKey::draw().unwrap()).unwrap();
    assert!(anew.read(b"").unwrap().is_empty());
}

#[tokio::test]
async fn no_word_name_or_key_is_in_the_file() {
    let (plain, sealed) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let key = StoreKey::draw().unwrap();
    let words: [&[u8]; 4] =
        [b"nobody else reads this", b"Ada Lovelace", b"Analytical Engines", b"ada.lovelace"];
    talk(plain.path(), None).await;
    let found = fs::read(plain.path().join(FILE)).unwrap();
    assert!(words.iter().any(|word| holds(&found, word)), "a plain file shows what is in it");
    talk(sealed.path(), Some(key.clone())).await;
    assert_absent(sealed.path(), &words);
    assert_absent(sealed.path(), &key.as_bytes().chunks(16).collect::<Vec<_>>());
    // It is all there again with the key, and with none it is not opened.
    let options = Options { store_key: Some(key), ..Options::default() };
    let client = Client::open(sealed.path(), NOWHERE, options).await.unwrap();
    assert_eq!(client.conversations().list().await.unwrap().len(), 1);
    client.close().await;
    let error = Client::open(sealed.path(), NOWHERE, Options::default()).await.unwrap_err();
    assert_eq!(error.kind(), "sealed");
}

async fn talk(directory: &Path, store_key: Option<StoreKey>) {
    let options = Options { store_key, ..Options::default() };
    let client = Client::open(directory, NOWHERE, options).await.unwrap();
    client.account().create("ada.lovelace", "Ada Lovelace").await.unwrap();
    let team = client.conversations().create("Analytical Engines", &[]).await.unwrap();
    team.send("nobody else reads this").await.unwrap();
    client.close().await;
}

fn assert_absent(directory: &Path, words: &[&[u8]]) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let bytes = fs::read(&path).unwrap();
        for word in words {
            assert!(!holds(&bytes, word), "{} holds {}", path.display(), word.escape_ascii());
        }
    }
}

fn holds(bytes: &[u8], word: &[u8]) -> bool {
    bytes.windows(word.len()).any(|window| window == word)
}

fn batch(number: u64) -> Batch {
    let mut batch = Batch { number, ..Batch::default() };
    let text = b"what nobody else may read ".repeat(150);
    batch.put([b"n", number.to_be_bytes().as_slice()].concat(), text);
    batch.put(b"last".to_vec(), number.to_be_bytes().to_vec());
    batch
}

fn open(disk: &Disk, key: &StoreKey) -> Result<RedbStore, StoreError> {
    RedbStore::with_backend(SealedBackend::open(disk.clone(), key, Path::new("the disk"))?)
}

/// Writes four batches; gives back how many were acknowledged.
fn run_until_crash(disk: &Disk, key: &StoreKey) -> u64 {
    let Ok(mut store) = open(disk, key) else { return 0 };
    (1..=4).take_while(|number| store.write(&[batch(*number)]).is_ok()).count() as u64
}

/// A disk in memory, whose power goes off in the middle of a write.
#[derive(Clone, Debug, Default)]
struct Disk(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    bytes: Vec<u8>,
    writes: u64,
    crash_at: Option<u64>,
}

impl Disk {
    fn holding(bytes: Vec<u8>) -> Self {
        Self(Arc::new(Mutex::new(State { bytes, ..State::default() })))
    }
}

impl State {
    /// Counts something that changes the disk; an error if the power is off.
    fn count(&mut self) -> io::Result<bool> {
        let off = || io::Error::other("the power is off");
        let crash_at = self.crash_at.unwrap_or(u64::MAX);
        if self.writes > crash_at {
            return Err(off());
        }
        self.writes += 1;
        Ok(self.writes > crash_at)
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.lock().unwrap().bytes.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let offset = usize::try_from(offset).unwrap();
        let state = self.0.lock().unwrap();
        let stored = state.bytes.get(offset..offset + out.len());
        out.copy_from_slice(stored.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.0.lock().unwrap();
        if !state.count()? {
            state.bytes.resize(usize::try_from(len).unwrap(), 0);
        }
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.lock().unwrap().count().map(drop)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let offset = usize::try_from(offset).unwrap();
        let mut state = self.0.lock().unwrap();
        let is_torn = state.count()?;
        // Disks write their own sectors whole, and in whatever order.
        for (number, part) in data.chunks(512).enumerate() {
            if !is_torn || number % 2 == 1 {
                let at = offset + number * 512;
                state.bytes[at..at + part.len()].copy_from_slice(part);
            }
        }
        if is_torn {
            return Err(io::Error::other("the power is off"));
        }
        Ok(())
    }
}
