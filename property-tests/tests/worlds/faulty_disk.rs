//! A disk that loses and tears what was not synced; and redb itself on it, in the client's way of using
//! it: one ordered table, batches that are whole or not at all, and in order.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use property_tests::chance::Chance;
use redb::{Database, ReadableTable as _, StorageBackend, TableDefinition};
use sync_server::log::Disk;

const RECORDS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("records");
/// What a disk writes as a whole.
const SECTOR: usize = 512;
/// Records of one batch.
const BATCH: u64 = 5;

#[derive(Debug, Default)]
struct Platter {
    now: Vec<u8>,
    synced: Vec<u8>,
    unsynced: Vec<(usize, Vec<u8>)>,
}

/// Writes until the power goes, of all disks that hang on it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Power(Arc<AtomicU64>);

impl Power {
    /// There is power for so many writes.
    pub(crate) fn set(&self, writes: u64) {
        self.0.store(writes, Ordering::Relaxed);
    }

    /// How many are left.
    pub(crate) fn left(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    fn spend(&self) -> io::Result<()> {
        let spend = |left: u64| left.checked_sub(1);
        let spent = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, spend);
        spent.map(drop).map_err(|_| io::Error::other("the power is gone"))
    }
}

#[derive(Clone, Debug, Default)]
pub(crate) struct FaultyDisk(Arc<Mutex<Platter>>, Power);

impl FaultyDisk {
    /// An empty disk.
    pub(crate) fn on(power: &Power) -> Self {
        Self(Arc::default(), power.clone())
    }

    fn with_power_for(&self, writes: u64) -> Self {
        self.1.set(writes);
        self.clone()
    }

    /// Of what was not synced any part survives, in sectors, in any order.
    pub(crate) fn crash(&self, chance: &mut Chance) {
        let mut platter = self.0.lock().unwrap();
        let mut left = std::mem::take(&mut platter.synced);
        left.resize(platter.now.len(), 0);
        for (offset, data) in std::mem::take(&mut platter.unsynced) {
            for (number, sector) in data.chunks(SECTOR).enumerate() {
                let at = offset + number * SECTOR;
                if chance.one_in(2) && at + sector.len() <= left.len() {
                    left[at..at + sector.len()].copy_from_slice(sector);
                }
            }
        }
        platter.now = left.clone();
        platter.synced = left;
    }
}

impl StorageBackend for FaultyDisk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.lock().unwrap().now.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let platter = self.0.lock().unwrap();
        let start = usize::try_from(offset).unwrap();
        let bytes = platter.now.get(start..start + out.len());
        out.copy_from_slice(bytes.ok_or_else(|| io::Error::other("beyond the end"))?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut platter = self.0.lock().unwrap();
        self.1.spend()?;
        platter.now.resize(usize::try_from(len).unwrap(), 0);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut platter = self.0.lock().unwrap();
        self.1.spend()?;
        platter.synced = platter.now.clone();
        platter.unsynced.clear();
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut platter = self.0.lock().unwrap();
        self.1.spend()?;
        let start = usize::try_from(offset).unwrap();
        let len = platter.now.len().max(start + data.len());
        platter.now.resize(len, 0);
        platter.now[start..start + data.len()].copy_from_slice(data);
        platter.unsynced.push((start, data.to_vec()));
        Ok(())
    }
}

impl Disk for FaultyDisk {
    fn len(&self) -> io::Result<u64> {
        StorageBackend::len(self)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        StorageBackend::read(self, offset, out)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        StorageBackend::write(self, offset, data)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        StorageBackend::set_len(self, len)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }
}

fn open(disk: FaultyDisk) -> Result<Database, redb::Error> {
    Ok(Database::builder().set_cache_size(1 << 20).create_with_backend(disk)?)
}

fn write(database: &Database, batch: u64) -> Result<(), redb::Error> {
    let mut transaction = database.begin_write()?;
    transaction.set_quick_repair(true);
    {
        let mut records = transaction.open_table(RECORDS)?;
        for n in 0..BATCH {
            let key = (batch * BATCH + n).to_be_bytes();
            records.insert(key.as_slice(), [7; 200].as_slice())?;
        }
    }
    transaction.commit()?;
    Ok(())
}

/// How many batches a store holds: whole ones, without a gap.
fn batches(database: &Database) -> u64 {
    let transaction = database.begin_write().unwrap();
    let keys: Vec<Vec<u8>> = {
        let records = transaction.open_table(RECORDS).unwrap();
        let all = records.iter().unwrap();
        all.map(|row| row.unwrap().0.value().to_vec()).collect()
    };
    transaction.abort().unwrap();
    let expected: Vec<_> = (0..keys.len() as u64).map(|n| n.to_be_bytes().to_vec()).collect();
    assert_eq!(keys, expected, "a batch in the middle is missing");
    assert_eq!(keys.len() as u64 % BATCH, 0, "half a batch");
    keys.len() as u64 / BATCH
}

#[test]
fn redb_keeps_every_batch_it_confirmed_when_the_power_goes_anywhere() {
    for seed in 0..200 {
        let mut chance = Chance::new(seed);
        let disk = FaultyDisk::default();
        let database = open(disk.with_power_for(u64::MAX)).unwrap();
        write(&database, 0).unwrap();
        drop(database);
        let mut confirmed = 1;
        for _ in 0..4 {
            let power = chance.between(20, 400);
            if let Ok(database) = open(disk.with_power_for(power)) {
                while write(&database, confirmed).is_ok() {
                    confirmed += 1;
                }
            }
            disk.crash(&mut chance);
            let database = open(disk.with_power_for(u64::MAX)).unwrap();
            let found = batches(&database);
            assert!(found == confirmed || found == confirmed + 1, "seed {seed}: {found}");
            confirmed = found;
        }
    }
}
