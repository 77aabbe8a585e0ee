//! Archives whose bytes depend on nothing but what is in them: no owner, no time of day, no order of a
//! folder.

use std::io::Write as _;
use std::process::{Command, Stdio};

use crate::failure::Failure;

/// A tar archive is a row of blocks.
const BLOCK: usize = 512;
/// A path may have so many bytes; the format has a place for more, which nothing here needs.
const PATH: usize = 100;

/// A file in an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// Where it lies.
    pub(super) path: String,
    /// Who may do what with it.
    pub(super) mode: u32,
    /// What is in it.
    pub(super) bytes: Vec<u8>,
}

impl Entry {
    pub(super) fn file(path: String, bytes: Vec<u8>) -> Self {
        Self { path, mode: 0o644, bytes }
    }

    pub(super) fn program(path: String, bytes: Vec<u8>) -> Self {
        Self { path, mode: 0o755, bytes }
    }

    /// The same file in a folder.
    pub(super) fn below(&self, folder: &str) -> Self {
        Self { path: format!("{folder}/{}", self.path), ..self.clone() }
    }
}

/// A tar archive (POSIX ustar), all of whose files have one time, in seconds.
pub(super) fn tar(entries: impl Iterator<Item = Entry>, time: u64) -> Vec<u8> {
    let mut entries: Vec<Entry> = entries.collect();
    entries.sort_by(|one, other| one.path.cmp(&other.path));
    let mut tar = Vec::new();
    for entry in &entries {
        tar.extend(header(entry, time));
        tar.extend_from_slice(&entry.bytes);
        tar.resize(tar.len().next_multiple_of(BLOCK), 0);
    }
    tar.resize(tar.len() + 2 * BLOCK, 0);
    tar
}

fn header(entry: &Entry, time: u64) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    assert!(entry.path.len() < PATH, "{} is longer than a path here may be", entry.path);
    let mut put = |at: usize, field: &str| {
        for (to, from) in block.iter_mut().skip(at).zip(field.bytes()) {
            *to = from;
        }
    };
    put(0, &entry.path);
    put(100, &format!("{:07o}", entry.mode));
    put(108, "0000000");
    put(116, "0000000");
    put(124, &format!("{:011o}", entry.bytes.len()));
    put(136, &format!("{time:011o}"));
    put(156, "0");
    put(257, "ustar\0");
    put(263, "00");
    put(265, "root");
    put(297, "root");
    // The sum is of the block with blanks in its own place.
    put(148, "        ");
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    for (to, from) in block.iter_mut().skip(148).zip(format!("{sum:06o}\0 ").bytes()) {
        *to = from;
    }
    block
}

/// An `ar` archive, as Debian's packages are.
pub(super) fn ar(entries: &[Entry], time: u64) -> Vec<u8> {
    let mut ar = b"!<arch>\n".to_vec();
    for Entry { path, mode, bytes } in entries {
        let length = bytes.len();
        let head = format!(
            "{path:<16}{time:<12}{:<6}{:<6}{:<8}{length:<10}`\n",
            0,
            0,
            format!("100{mode:o}")
        );
        ar.extend_from_slice(head.as_bytes());
        ar.extend_from_slice(bytes);
        ar.resize(ar.len().next_multiple_of(2), b'\n');
    }
    ar
}

/// Compresses, without a name or a time.
///
/// # Errors
/// `Start` and `Step` of `gzip`.
pub(super) fn gzip(bytes: &[u8]) -> Result<Vec<u8>, Failure> {
    let failed = |source| Failure::Start { command: "gzip".to_owned(), source };
    let mut gzip = Command::new("gzip");
    gzip.args(["--no-name", "--best", "--stdout"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut running = gzip.spawn().map_err(failed)?;
    let mut input = running.stdin.take().expect("it is piped");
    let fed = std::thread::scope(|scope| {
        let feeding = scope.spawn(move || input.write_all(bytes));
        let output = running.wait_with_output();
        (feeding.join(), output)
    });
    let output = fed.1.map_err(failed)?;
    match fed.0 {
        Ok(Ok(())) if output.status.success() => Ok(output.stdout),
        _ => Err(Failure::Step { command: "gzip".to_owned(), status: output.status }),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::command;

    fn entries() -> Vec<Entry> {
        let long = vec![7; 1_000];
        vec![
            Entry::file("b/second".to_owned(), long),
            Entry::program("a/first".to_owned(), b"#!/bin/sh\n".to_vec()),
        ]
    }

    /// What `tar` says of an archive, if there is one.
    fn listed(archive: &[u8]) -> Option<String> {
        let path = std::env::temp_dir().join(format!("xtask-archive-{}", std::process::id()));
        std::fs::write(&path, archive).unwrap();
        let mut tar = Command::new("tar");
        let listed =
            command::output(tar.args(["--list", "--verbose", "--utc", "--file"]).arg(&path));
        std::fs::remove_file(&path).unwrap();
        listed
    }

    #[test]
    fn tar_reads_what_is_written() {
        let archive = tar(entries().into_iter(), 1_000_000_000);
        let listed = listed(&archive).unwrap();
        let lines: Vec<&str> = listed.lines().collect();
        assert_eq!(lines.len(), 2, "{listed}");
        assert!(
            lines[0].starts_with("-rwxr-xr-x root/root") && lines[0].ends_with("a/first"),
            "{listed}"
        );
        assert!(lines[1].contains("1000 2001-09-09 01:46"), "{listed}");
    }

    #[test]
    fn the_order_of_files_changes_nothing() {
        let (one, other) = (entries(), entries().into_iter().rev());
        assert_eq!(tar(one.into_iter(), 5), tar(other, 5));
    }

    #[test]
    fn what_is_compressed_comes_back_and_has_no_time() {
        let bytes = b"again and again and again".repeat(10_000);
        let packed = gzip(&bytes).unwrap();
        assert!(packed.len() < bytes.len() / 10);
        assert_eq!(packed[..8], [0x1f, 0x8b, 8, 0, 0, 0, 0, 0]);
        assert_eq!(packed, gzip(&bytes).unwrap());
    }

    #[test]
    fn members_of_an_ar_archive_begin_at_even_places() {
        let odd = Entry::file("odd".to_owned(), vec![1]);
        let archive = ar(&[odd.clone(), odd], 9);
        assert_eq!(archive.len(), 8 + 2 * (60 + 2));
        assert_eq!(&archive[..24], b"!<arch>\nodd             ");
        assert_eq!(&archive[66..70], b"`\n\x01\n");
    }
}
