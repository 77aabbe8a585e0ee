//! Blocks that are sealed on their way to the disk, and opened on their way back.
//!
//! **How.** AES-256 in XTS mode (IEEE 1619), as disks are sealed: sectors of 4,096 bytes, each under its
//! number, a sealed byte in the place of each plain one. The first sector of the file is a mark, which
//! says what it is and lets a key be tried; redb's own file begins behind it.
//!
//! **Torn writes** are what they were. Within a sector each block of 16 bytes is sealed by itself, and
//! only the blocks that hold what was changed are written. A disk that tears a write does so between
//! its own sectors, which blocks never straddle: so each block is then the old one or the new one, as it
//! would be in a plain file, and redb's checksums see the same.
//!
//! **What was never written** is zeros on the disk (`set_len` makes a file longer by them, and so does a
//! crash), and is read as zeros, as redb expects. No block that was sealed is taken for one of those:
//! one in 2^128 would be.
//!
//! **What it does not do.** Nothing here notices that a block was put back as it was, or made noise of:
//! whoever can write the file can destroy it, not choose what is in it. Who sees the file twice sees
//! which blocks changed.

use std::io;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use aes::Aes256;
use aes::cipher::consts::{U32, U64};
use aes::cipher::{Array, KeyInit as _};
use redb::StorageBackend;
use xts_mode::{Xts128, get_tweak_default};

use super::StoreKey;
use crate::StoreError;

/// What a sealed file begins with, in the open; its last byte is the format's number.
pub(super) const MARK: [u8; 32] = *b"Rejoinder sealed store, format 1";
/// Bytes of a block, each of which is sealed by itself.
const BLOCK: usize = 16;
/// Bytes that are sealed under one number.
const SECTOR: usize = 4096;
/// Behind the mark lie as many zeros, sealed under a number that no sector has: what shows a key.
const PROOF: u128 = u128::MAX;

/// A backend of redb's whose bytes lie sealed in another.
pub struct SealedBackend<B> {
    inner: B,
    cipher: Xts128<Aes256>,
    /// A write that begins or ends within a block has to read that block first.
    writing: Mutex<()>,
}

impl<B: StorageBackend> SealedBackend<B> {
    /// Opens what was sealed, or begins in a backend that holds nothing. `path` is what errors call it.
    ///
    /// # Errors
    /// [`StoreError::OtherKey`]; and if it is none, or can't be read.
    pub fn open(inner: B, key: &StoreKey, path: &Path) -> Result<Self, StoreError> {
        let failed = |error: io::Error| StoreError::from_io(path, &error);
        let (blocks, places) = Array::<u8, U64>::cast_from_core(key.as_bytes()).split_ref::<U32>();
        let cipher = Xts128::new(Aes256::new(blocks), Aes256::new(places));
        let this = Self { inner, cipher, writing: Mutex::new(()) };
        let proof = this.proof();
        match this.inner.len().map_err(failed)? {
            0 => this.begin(proof).map_err(failed)?,
            len if len < SECTOR as u64 => return Err(StoreError::Foreign(path.to_owned())),
            _ => {
                let mut found = [0; MARK.len() + MARK.len()];
                this.inner.read(0, &mut found).map_err(failed)?;
                judge(&found, proof, path)?;
            }
        }
        Ok(this)
    }

    fn proof(&self) -> [u8; MARK.len()] {
        let mut proof = [0; MARK.len()];
        self.cipher.encrypt_sector(&mut proof, get_tweak_default(PROOF));
        proof
    }

    fn begin(&self, proof: [u8; MARK.len()]) -> io::Result<()> {
        self.inner.set_len(SECTOR as u64)?;
        self.inner.write(0, &[MARK, proof].concat())?;
        self.inner.sync_data()
    }

    /// Turns whole blocks, the first of which lies at `at`, one sector's after the other.
    fn turn(&self, at: u64, blocks: &mut [u8], turn: impl Fn(&Xts128<Aes256>, &mut [u8], u64)) {
        let mut sector = [0; SECTOR];
        let (mut at, mut rest) = (at, blocks);
        while !rest.is_empty() {
            let begin = usize::try_from(at % SECTOR as u64).unwrap_or_default();
            let (now, later) = rest.split_at_mut(rest.len().min(SECTOR - begin));
            let end = begin + now.len();
            // What lies before them in the sector is of no account: each block goes by its place alone.
            sector[begin..end].copy_from_slice(now);
            turn(&self.cipher, &mut sector[..end], at / SECTOR as u64);
            now.copy_from_slice(&sector[begin..end]);
            at += now.len() as u64;
            rest = later;
        }
    }

    fn seal_blocks(&self, at: u64, blocks: &mut [u8]) {
        self.turn(at, blocks, |cipher, sector, number| {
            cipher.encrypt_sector(sector, get_tweak_default(number.into()));
        });
    }

    fn open_blocks(&self, at: u64, blocks: &mut [u8]) {
        self.turn(at, blocks, |cipher, sector, number| {
            let mut opened = [0; SECTOR];
            let opened = &mut opened[..sector.len()];
            opened.copy_from_slice(sector);
            cipher.decrypt_sector(opened, get_tweak_default(number.into()));
            let pairs = sector.chunks_exact_mut(BLOCK).zip(opened.chunks_exact(BLOCK));
            for (stored, opened) in pairs.filter(|(stored, _)| **stored != [0; BLOCK]) {
                stored.copy_from_slice(opened);
            }
        });
    }

    fn read_blocks(&self, at: u64, blocks: &mut [u8]) -> io::Result<()> {
        self.inner.read(behind_mark(at)?, blocks)?;
        self.open_blocks(at, blocks);
        Ok(())
    }
}

impl<B: StorageBackend> StorageBackend for SealedBackend<B> {
    fn len(&self) -> io::Result<u64> {
        Ok(self.inner.len()?.saturating_sub(SECTOR as u64))
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let (at, before, len) = whole_blocks(offset, out.len());
        if len == out.len() {
            return self.read_blocks(at, out);
        }
        let mut blocks = vec![0; len];
        self.read_blocks(at, &mut blocks)?;
        out.copy_from_slice(&blocks[before..before + out.len()]);
        Ok(())
    }

    /// Lengths are in whole blocks, as all of redb's are.
    fn set_len(&self, len: u64) -> io::Result<()> {
        if !len.is_multiple_of(BLOCK as u64) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        self.inner.set_len(behind_mark(len)?)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.inner.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let _alone = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, before, len) = whole_blocks(offset, data.len());
        let mut blocks = vec![0; len];
        if len != data.len() {
            self.read_blocks(at, &mut blocks)?;
        }
        blocks[before..before + data.len()].copy_from_slice(data);
        self.seal_blocks(at, &mut blocks);
        self.inner.write(behind_mark(at)?, &blocks)
    }

    fn close(&self) -> io::Result<()> {
        self.inner.close()
    }
}

impl<B> std::fmt::Debug for SealedBackend<B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SealedBackend(..)")
    }
}

/// Whether a file that begins like this is a sealed store, of whatever format.
pub(super) fn is_mark(begin: &[u8]) -> bool {
    let (name, _) = MARK.split_at(MARK.len() - 1);
    begin.len() == MARK.len() && begin.starts_with(name)
}

fn judge(
    found: &[u8; MARK.len() + MARK.len()],
    proof: [u8; MARK.len()],
    path: &Path,
) -> Result<(), StoreError> {
    let (mark, shown) = found.split_at(MARK.len());
    if !is_mark(mark) {
        return Err(StoreError::Foreign(path.to_owned()));
    }
    let format = |mark: &[u8]| mark.last().copied().unwrap_or_default().wrapping_sub(b'0').into();
    if mark != MARK {
        return Err(StoreError::Newer { found: format(mark), known: format(&MARK) });
    }
    if shown != proof {
        return Err(StoreError::OtherKey(path.to_owned()));
    }
    Ok(())
}

/// The blocks that some bytes lie in: where they begin, how many bytes of them come before, and how many
/// bytes they are.
fn whole_blocks(offset: u64, len: usize) -> (u64, usize, usize) {
    let before = usize::try_from(offset % BLOCK as u64).unwrap_or_default();
    (offset - before as u64, before, (before + len).next_multiple_of(BLOCK))
}

/// Where a place of redb's lies in the file.
fn behind_mark(place: u64) -> io::Result<u64> {
    place.checked_add(SECTOR as u64).ok_or_else(|| io::ErrorKind::InvalidInput.into())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::Arc;

    use redb::backends::InMemoryBackend;

    use super::*;

    /// A disk that stays when a backend over it is dropped.
    #[derive(Clone, Debug, Default)]
    struct Disk(Arc<Mutex<Vec<u8>>>);

    impl StorageBackend for Disk {
        fn len(&self) -> io::Result<u64> {
            Ok(self.0.lock().unwrap().len() as u64)
        }

        fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
            let offset = usize::try_from(offset).unwrap();
            let disk = self.0.lock().unwrap();
            let stored = disk.get(offset..offset + out.len());
            out.copy_from_slice(stored.ok_or(io::ErrorKind::UnexpectedEof)?);
            Ok(())
        }

        fn set_len(&self, len: u64) -> io::Result<()> {
            self.0.lock().unwrap().resize(usize::try_from(len).unwrap(), 0);
            Ok(())
        }

        fn sync_data(&self) -> io::Result<()> {
            Ok(())
        }

        fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
            let offset = usize::try_from(offset).unwrap();
            self.0.lock().unwrap()[offset..offset + data.len()].copy_from_slice(data);
            Ok(())
        }
    }

    fn key(of: u8) -> StoreKey {
        StoreKey::from_bytes(std::array::from_fn(|at| of.wrapping_add(at as u8)))
    }

    fn over<B: StorageBackend>(disk: B) -> SealedBackend<B> {
        SealedBackend::open(disk, &key(1), Path::new("here")).unwrap()
    }

    fn bytes_of(hex: &str) -> Vec<u8> {
        let digits = (0..hex.len()).step_by(2).map(|at| &hex[at..at + 2]);
        digits.map(|two| u8::from_str_radix(two, 16).unwrap()).collect()
    }

    /// IEEE 1619-2007, annex B, vector 10: AES-256, data unit 255, the bytes from 0 to 255 twice.
    #[test]
    fn it_seals_as_the_standard_has_it() {
        let key = [
            "2718281828459045235360287471352662497757247093699959574966967627",
            "3141592653589793238462643383279502884197169399375105820974944592",
        ];
        let key = StoreKey::from_bytes(bytes_of(&key.concat()).try_into().unwrap());
        let sealed = SealedBackend::open(Disk::default(), &key, Path::new("here")).unwrap();
        let mut unit: Vec<u8> = (0..512).map(|at| at as u8).collect();
        sealed.seal_blocks(255 * SECTOR as u64, &mut unit);
        assert_eq!(unit[..16], bytes_of("1c3b3a102f770386e4836c99e370cf9b"));
        assert_eq!(unit[496..], bytes_of("c4f36ffda9fcea70b9c6e693e148c151"));
    }

    #[test]
    fn it_reads_and_writes_as_a_plain_one_does() {
        let (sealed, plain) = (over(Disk::default()), InMemoryBackend::new());
        let len = 5 * SECTOR;
        sealed.set_len(len as u64).unwrap();
        plain.set_len(len as u64).unwrap();
        // A generator of this test alone: pieces of all sizes, over one another.
        let mut state = 7_u64;
        let mut next = |below: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            usize::try_from(state >> 33).unwrap() % below
        };
        for round in 0..400 {
            let at = next(len);
            let size = next((len - at).min(2 * SECTOR + 40)) + 1;
            let data = vec![round as u8; size];
            sealed.write(at as u64, &data).unwrap();
            plain.write(at as u64, &data).unwrap();
            let from = next(len);
            let size = next(len - from) + 1;
            let (mut one, mut other) = (vec![0; size], vec![0; size]);
            sealed.read(from as u64, &mut one).unwrap();
            plain.read(from as u64, &mut other).unwrap();
            assert!(one == other, "round {round}: {size} bytes at {from}");
        }
        assert_eq!(sealed.len().unwrap(), len as u64);
    }

    #[test]
    fn what_was_never_written_is_zeros_also_after_it_was_cut_off() {
        let sealed = over(Disk::default());
        sealed.set_len(8192).unwrap();
        sealed.write(5000, &[7; 10]).unwrap();
        let mut all = vec![1; 8192];
        sealed.read(0, &mut all).unwrap();
        let expected = |at: usize| if (5000..5010).contains(&at) { 7 } else { 0 };
        assert!(all.iter().enumerate().all(|(at, byte)| *byte == expected(at)));
        sealed.set_len(4096).unwrap();
        sealed.set_len(8192).unwrap();
        sealed.read(0, &mut all).unwrap();
        assert!(all.iter().all(|byte| *byte == 0));
        assert!(sealed.set_len(8190).is_err(), "lengths are in whole blocks");
        assert!(sealed.read(8180, &mut [0; 13]).is_err(), "nothing is behind the end");
    }

    #[test]
    fn a_change_touches_its_own_blocks_alone() {
        let disk = Disk::default();
        let sealed = over(disk.clone());
        sealed.set_len(8192).unwrap();
        sealed.write(0, &[3; 8192]).unwrap();
        let before = disk.0.lock().unwrap().clone();
        sealed.write(4096 + 512, &[4; 17]).unwrap();
        let after = disk.0.lock().unwrap().clone();
        let changed: Vec<_> = (0..before.len()).filter(|at| before[*at] != after[*at]).collect();
        let blocks = 2 * SECTOR + 512..2 * SECTOR + 512 + 32;
        assert!(!changed.is_empty() && changed.iter().all(|at| blocks.contains(at)), "{changed:?}");
    }

    #[test]
    fn the_same_bytes_look_different_in_each_place_and_under_each_key() {
        let seen = |key: &StoreKey| {
            let disk = Disk::default();
            let sealed = SealedBackend::open(disk.clone(), key, Path::new("here")).unwrap();
            sealed.set_len(8192).unwrap();
            sealed.write(0, &[9; 8192]).unwrap();
            let bytes = disk.0.lock().unwrap().clone();
            bytes[SECTOR..].chunks(BLOCK).map(<[u8]>::to_vec).collect::<Vec<_>>()
        };
        let mut all = [seen(&key(1)), seen(&key(2))].concat();
        let count = all.len();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), count);
    }

    #[test]
    fn another_key_and_another_format_are_told_and_change_nothing() {
        let disk = Disk::default();
        over(disk.clone()).set_len(4096).unwrap();
        let before = disk.0.lock().unwrap().clone();
        let open = |disk: &Disk, of| {
            SealedBackend::open(disk.clone(), &key(of), Path::new("here")).map(|_| ()).unwrap_err()
        };
        assert_eq!(open(&disk, 2), StoreError::OtherKey("here".into()));
        assert_eq!(*disk.0.lock().unwrap(), before);
        disk.0.lock().unwrap()[MARK.len() - 1] = b'3';
        assert_eq!(open(&disk, 1), StoreError::Newer { found: 3, known: 1 });
        disk.0.lock().unwrap()[0] = b'r';
        assert_eq!(open(&disk, 1), StoreError::Foreign("here".into()));
        disk.set_len(100).unwrap();
        assert_eq!(open(&disk, 1), StoreError::Foreign("here".into()));
    }
}
