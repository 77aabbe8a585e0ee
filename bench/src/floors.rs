//! What the libraries below cost by themselves: ciphers and signatures, Automerge, redb.

use std::path::Path;
use std::time::{Duration, Instant};

use automerge::transaction::Transactable as _;
use automerge::{AutoCommit, ObjType, ROOT, ScalarValue};
use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use ed25519_dalek::{Signer as _, SigningKey};
use redb::{Database, Durability, TableDefinition, WriteTransaction};

use crate::{Outcome, failed};

const ENTRIES: TableDefinition<'static, u64, &[u8]> = TableDefinition::new("entries");
const SPACES: TableDefinition<'static, &[u8], &[u8]> = TableDefinition::new("spaces");
const TIPS: TableDefinition<'static, &[u8], &[u8]> = TableDefinition::new("tips");
const INDEX: TableDefinition<'static, &[u8], &[u8]> = TableDefinition::new("index");
const META: TableDefinition<'static, &[u8], &[u8]> = TableDefinition::new("meta");
const RECORDS: TableDefinition<'static, &[u8], &[u8]> = TableDefinition::new("records");

/// A cipher and a signing key.
pub(crate) struct Crypto {
    cipher: XChaCha20Poly1305,
    nonce: XNonce,
    key: SigningKey,
}

impl Crypto {
    pub(crate) fn new() -> Self {
        Self {
            cipher: XChaCha20Poly1305::new(&[1; 32].into()),
            nonce: XNonce::from([2; 24]),
            key: SigningKey::from_bytes(&[3; 32]),
        }
    }

    /// Seals and signs `count` times this many bytes, as an envelope is.
    pub(crate) fn seal_and_sign(&self, bytes: usize, count: usize) -> Outcome<Duration> {
        let message = vec![5; bytes];
        let started = Instant::now();
        for _ in 0..count {
            let payload = Payload { msg: &message, aad: &[0; 150] };
            let sealed =
                self.cipher.encrypt(&self.nonce, payload).map_err(|_| failed("does not seal"))?;
            std::hint::black_box(self.key.sign(&sealed));
        }
        Ok(started.elapsed())
    }

    /// Opens `count` times this many bytes, and verifies a signature for each `run` of them.
    pub(crate) fn open_and_verify(
        &self,
        bytes: usize,
        count: usize,
        run: usize,
    ) -> Outcome<Duration> {
        let aad = [0; 150];
        let payload = Payload { msg: &vec![5; bytes], aad: &aad };
        let sealed =
            self.cipher.encrypt(&self.nonce, payload).map_err(|_| failed("does not seal"))?;
        let signature = self.key.sign(&sealed);
        let public = self.key.verifying_key();
        let started = Instant::now();
        for n in 0..count {
            if n % run.max(1) == 0 {
                public.verify_strict(&sealed, &signature)?;
            }
            let payload = Payload { msg: &sealed, aad: &aad };
            let opened = self.cipher.decrypt(&self.nonce, payload);
            std::hint::black_box(opened.map_err(|_| failed("does not open"))?);
        }
        Ok(started.elapsed())
    }
}

/// Automerge alone: `count` messages into 16 maps, a change for each. Gives the time and the
/// changes.
pub(crate) fn automerge_appends(count: usize, bytes: usize) -> Outcome<(Duration, Vec<Vec<u8>>)> {
    let mut document = AutoCommit::new().with_actor(vec![1; 16].into());
    let maps = (0..16).map(|n| document.put_object(ROOT, n.to_string(), ObjType::Map));
    let maps = maps.collect::<Result<Vec<_>, _>>()?;
    document.commit();
    let mut changes = vec![last_change(&mut document)?];
    let started = Instant::now();
    for n in 0..count {
        let map = maps.get(n % 16).ok_or_else(|| failed("there are 16 maps"))?;
        let value = vec![u8::try_from(n % 251)?; bytes];
        document.put(map, format!("{n:019}"), ScalarValue::Bytes(value))?;
        document.commit();
        changes.push(last_change(&mut document)?);
    }
    Ok((started.elapsed(), changes))
}

fn last_change(document: &mut AutoCommit) -> Outcome<Vec<u8>> {
    let change = document.get_last_local_change();
    Ok(change.ok_or_else(|| failed("no change was made"))?.raw_bytes().to_vec())
}

/// Automerge alone: takes changes in, in batches of this many.
pub(crate) fn automerge_applies(changes: &[Vec<u8>], batch: usize) -> Outcome<Duration> {
    let mut document = AutoCommit::new();
    let changes = changes.iter().map(|bytes| Ok(automerge::Change::from_bytes(bytes.clone())?));
    let changes = changes.collect::<Outcome<Vec<_>>>()?;
    let started = Instant::now();
    for batch in changes.chunks(batch.max(1)) {
        document.apply_changes(batch.to_vec())?;
    }
    Ok(started.elapsed())
}

/// A relay's log in a raw redb: the same tables, value sizes and batch, and nothing else.
pub(crate) struct RawLog {
    database: Database,
    position: u64,
    documents: u64,
    value: Vec<u8>,
}

impl RawLog {
    /// A log of some documents, whose entries have this size.
    pub(crate) fn create(directory: &Path, documents: u64, entry: usize) -> Outcome<Self> {
        let mut builder = Database::builder();
        builder.set_cache_size(256 * 1024 * 1024);
        let database = builder.create(directory.join("floor.redb"))?;
        Ok(Self { database, position: 0, documents, value: noise(entry) })
    }

    /// Appends `count` entries, `batch` in a transaction.
    pub(crate) fn append(&mut self, count: u64, batch: u64) -> Outcome<Duration> {
        let started = Instant::now();
        let mut left = count;
        while left > 0 {
            let now = left.min(batch.max(1));
            self.commit(now)?;
            left -= now;
        }
        Ok(started.elapsed())
    }

    fn commit(&mut self, entries: u64) -> Outcome<()> {
        let transaction = begin(&self.database)?;
        {
            let mut table = transaction.open_table(ENTRIES)?;
            for _ in 0..entries {
                // No two values are alike, as no two envelopes are.
                for (byte, fresh) in self.value.iter_mut().zip(self.position.to_be_bytes()) {
                    *byte = fresh;
                }
                table.insert(self.position, self.value.as_slice())?;
                self.position += 1;
            }
        }
        let touched = entries.min(self.documents);
        rows(&transaction, SPACES, 32, 48, touched)?;
        rows(&transaction, TIPS, 8, 52, touched)?;
        rows(&transaction, INDEX, 8, 96, touched)?;
        rows(&transaction, META, 8, 16, 1)?;
        Ok(transaction.commit()?)
    }
}

/// Writes rows of documents, as each commit of a log does.
fn rows(
    transaction: &WriteTransaction,
    table: TableDefinition<'static, &[u8], &[u8]>,
    key: usize,
    value: usize,
    count: u64,
) -> Outcome<()> {
    let mut table = transaction.open_table(table)?;
    let value = noise(value);
    for number in 0..count {
        let mut bytes = vec![0x53; key];
        for (byte, digit) in bytes.iter_mut().zip(number.to_be_bytes()) {
            *byte = digit;
        }
        table.insert(bytes.as_slice(), value.as_slice())?;
    }
    Ok(())
}

/// A device's store in a raw redb: one durable commit for each record.
pub(crate) struct RawStore {
    database: Database,
    next: u64,
}

impl RawStore {
    pub(crate) fn create(directory: &Path) -> Outcome<Self> {
        std::fs::create_dir_all(directory)?;
        Ok(Self { database: Database::create(directory.join("floor.redb"))?, next: 0 })
    }

    /// Makes records durable, in one transaction.
    pub(crate) fn keep<'a>(&mut self, records: impl Iterator<Item = &'a [u8]>) -> Outcome<()> {
        let transaction = begin(&self.database)?;
        {
            let mut table = transaction.open_table(RECORDS)?;
            for record in records {
                table.insert(self.next.to_be_bytes().as_slice(), record)?;
                self.next += 1;
            }
        }
        Ok(transaction.commit()?)
    }
}

fn begin(database: &Database) -> Outcome<WriteTransaction> {
    let mut transaction = database.begin_write()?;
    transaction.set_quick_repair(true);
    transaction.set_durability(Durability::Immediate)?;
    Ok(transaction)
}

/// Bytes that nothing compresses.
pub(crate) fn noise(len: usize) -> Vec<u8> {
    let mut state = 88_172_645_463_325_252u64;
    let next = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_be_bytes()[3]
    };
    (0..len).map(next).collect()
}
