//! The store is its operator's alone: nobody else on the machine lists or reads it. It holds no
//! texts, but who talks to whom.

use std::io;
use std::path::Path;

use crate::log::LOG_FILES;

/// Makes a directory that only its owner enters. One that is there already is closed to others if
/// it holds nothing but the store; else it may be meant to be open, and that is said.
pub(super) fn make_directory(directory: &Path) -> io::Result<()> {
    match std::fs::metadata(directory) {
        Ok(found) if found.is_dir() => {
            if holds_a_store_alone(directory)? {
                close(directory, &found, DIRECTORY);
            } else if is_open(&found) {
                tracing::warn!(
                    directory = %directory.display(),
                    "others may look into the data directory; not changed, as more than the store is in it"
                );
            }
            Ok(())
        }
        Ok(_) => Err(io::Error::other("it is a file, and --data names a directory")),
        Err(_) => create_directory(directory),
    }
}

/// Makes an empty file that only its owner reads, not even for an instant another.
pub(crate) fn make_file(path: &Path) -> io::Result<()> {
    create_file(path)
}

/// The same in a data directory: it belongs to whoever the directory belongs to, also where root makes it. The
/// relay, which is not root, has to open it.
pub(crate) fn make_own_file(path: &Path) -> io::Result<()> {
    create_file(path)?;
    hand_over(path)
}

/// Closes a file that is there already to others.
pub(crate) fn close_file(path: &Path) -> io::Result<()> {
    close(path, &std::fs::metadata(path)?, FILE);
    Ok(())
}

const DIRECTORY: u32 = 0o700;
const FILE: u32 = 0o600;

fn holds_a_store_alone(directory: &Path) -> io::Result<bool> {
    for entry in std::fs::read_dir(directory)? {
        let name = entry?.file_name();
        let name = name.to_string_lossy();
        if ![super::FILE, crate::tls::FOLDER]
            .iter()
            .chain(&LOG_FILES)
            .any(|own| name.starts_with(own))
        {
            return Ok(false);
        }
    }
    Ok(true)
}

#[cfg(unix)]
fn create_directory(directory: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new().recursive(true).mode(DIRECTORY).create(directory)
}

#[cfg(unix)]
fn create_file(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    std::fs::OpenOptions::new().write(true).create_new(true).mode(FILE).open(path).map(drop)
}

#[cfg(unix)]
fn hand_over(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt as _, lchown};
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let directory = std::fs::metadata(directory.unwrap_or(Path::new(".")))?;
    let is_roots = std::fs::symlink_metadata(path)?.uid() == 0;
    match is_roots && directory.uid() != 0 {
        true => lchown(path, Some(directory.uid()), Some(directory.gid())),
        false => Ok(()),
    }
}

#[cfg(unix)]
fn is_open(found: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    found.permissions().mode() & 0o077 != 0
}

/// Who runs the relay but doesn't own what it was given can't, and is told.
#[cfg(unix)]
fn close(path: &Path, found: &std::fs::Metadata, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    if !is_open(found) {
        return;
    }
    match std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)) {
        Ok(()) => tracing::info!(path = %path.display(), "closed to others"),
        Err(error) => tracing::warn!(path = %path.display(), %error, "others may read it"),
    }
}

#[cfg(not(unix))]
fn create_directory(directory: &Path) -> io::Result<()> {
    std::fs::create_dir_all(directory)
}

#[cfg(not(unix))]
fn create_file(path: &Path) -> io::Result<()> {
    std::fs::OpenOptions::new().write(true).create_new(true).open(path).map(drop)
}

#[cfg(not(unix))]
fn hand_over(_: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(not(unix))]
fn is_open(_: &std::fs::Metadata) -> bool {
    false
}

#[cfg(not(unix))]
fn close(_: &Path, _: &std::fs::Metadata, _: u32) {}
