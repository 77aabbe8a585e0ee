//! A file as the log uses it.

use std::fmt;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

/// A file that is read and written at any place. What was written is durable after
/// [`sync`](Disk::sync); before that any part of it may be.
pub trait Disk: fmt::Debug + Send {
    /// Its length in bytes.
    ///
    /// # Errors
    /// What the system says.
    fn len(&self) -> io::Result<u64>;

    /// Whether it has no byte.
    ///
    /// # Errors
    /// What the system says.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Reads bytes that are there.
    ///
    /// # Errors
    /// What the system says.
    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()>;

    /// Writes bytes, also behind the end.
    ///
    /// # Errors
    /// What the system says.
    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()>;

    /// Cuts it, or fills it up with zeros.
    ///
    /// # Errors
    /// What the system says.
    fn set_len(&self, len: u64) -> io::Result<()>;

    /// Makes durable what was written.
    ///
    /// # Errors
    /// What the system says: nothing since the last sync counts then.
    fn sync(&self) -> io::Result<()>;
}

/// A file of the system's.
#[derive(Debug)]
pub struct FileDisk(File);

impl FileDisk {
    /// Over a file that is open for reading and writing.
    #[must_use]
    pub fn new(file: File) -> Self {
        Self(file)
    }
}

impl Disk for FileDisk {
    fn len(&self) -> io::Result<u64> {
        self.0.metadata().map(|file| file.len())
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read_exact_at(out, offset)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write_all_at(data, offset)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }
}
