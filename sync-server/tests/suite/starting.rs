//! How a relay starts: whose its files are, and what is said if it can't.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

use sync_server::data::Data;
use sync_server::log::LOG_FILES;
use sync_server::repair::repair;
use sync_server::store::{Copier, FILE, RedbStore};

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_new_store_is_its_owners_alone_and_so_is_its_copy() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("deep/data");
    let store = RedbStore::open(&data).unwrap();
    assert_eq!((mode(&data), mode(&data.join(FILE))), (0o700, 0o600));
    assert_eq!(mode(&folder.path().join("deep")), 0o700);
    let copy = folder.path().join("copy.redb");
    store.backup(&copy).unwrap();
    assert_eq!(mode(&copy), 0o600);
}

#[test]
fn a_store_that_others_could_read_is_closed_to_them() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    drop(RedbStore::open(&data).unwrap());
    set_mode(&data, 0o755);
    set_mode(&data.join(FILE), 0o644);
    drop(RedbStore::open(&data).unwrap());
    assert_eq!((mode(&data), mode(&data.join(FILE))), (0o700, 0o600));
    let empty = folder.path().join("empty");
    std::fs::create_dir(&empty).unwrap();
    set_mode(&empty, 0o755);
    drop(RedbStore::open(&empty).unwrap());
    assert_eq!((mode(&empty), mode(&empty.join(FILE))), (0o700, 0o600));
}

#[test]
fn a_directory_that_holds_more_than_the_store_stays_open() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    std::fs::create_dir(&data).unwrap();
    std::fs::write(data.join("certificate.pem"), "somebody else reads this").unwrap();
    set_mode(&data, 0o755);
    drop(RedbStore::open(&data).unwrap());
    assert_eq!((mode(&data), mode(&data.join(FILE))), (0o755, 0o600));
}

#[test]
fn what_root_makes_in_somebodys_directory_is_that_somebodys() {
    use std::os::unix::fs::{MetadataExt as _, chown};
    let folder = tempfile::tempdir().unwrap();
    let [data, again] = ["data", "again"].map(|name| folder.path().join(name));
    for directory in [&data, &again] {
        std::fs::create_dir(directory).unwrap();
        if chown(directory, Some(12_345), Some(12_346)).is_err() {
            // Only root can be told apart from an owner here.
            return;
        }
    }
    let whose = |path: &Path| {
        let found = std::fs::metadata(path).unwrap();
        (found.uid(), found.gid())
    };
    let opened = Data::open(&data).unwrap();
    let made = folder.path().join("backup.redb");
    opened.store.backup(&made).unwrap();
    drop(opened);
    Copier::restore(&made, &again, |_| Ok(())).unwrap();
    for path in [data.join(FILE), data.join(LOG_FILES[0]), data.join(LOG_FILES[1])] {
        assert_eq!(whose(&path), (12_345, 12_346), "{path:?}");
    }
    assert_eq!(whose(&again.join(FILE)), (12_345, 12_346));
    // A backup is whoever's made it: where it lies, anybody may look.
    assert_eq!(whose(&made).0, 0);
}

#[test]
fn a_repair_that_fails_leaves_nothing_on_the_disk() {
    let folder = tempfile::tempdir().unwrap();
    // A store that is nobody's yet: there is nothing to be made whole.
    drop(RedbStore::open(folder.path()).unwrap());
    assert!(repair(folder.path(), 1, 2).is_err());
    let left = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
    assert_eq!(left.collect::<Vec<_>>(), [FILE]);
}

/// What the program says when it can't start with these arguments.
fn said(arguments: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sync-server"));
    let output: Output = command.args(arguments).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn a_start_that_fails_says_what_is_wrong_and_where() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| -> &'static str {
        folder.path().join(name).to_str().unwrap().to_owned().leak()
    };
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address: &str = taken.local_addr().unwrap().to_string().leak();
    std::fs::write(at("file"), "").unwrap();
    std::fs::create_dir(at("foreign")).unwrap();
    std::fs::write(at("foreign/relay.redb"), "not a store at all, but long enough to look")
        .unwrap();
    std::fs::write(at("bad.toml"), "lisen = 1").unwrap();
    std::fs::write(at("port.toml"), "listen = \"127.0.0.1:99999\"").unwrap();
    let here = ["--listen", "127.0.0.1:0"];
    for (arguments, words) in [
        (vec!["--listen", address, "--data", at("a")], vec![address, "--listen"]),
        ([&here[..], &["--data", at("file")]].concat(), vec![at("file"), "is a file", "--data"]),
        ([&here[..], &["--data", at("foreign")]].concat(), vec![at("foreign"), "not a relay's"]),
        (vec!["--config", at("port.toml")], vec!["99999", "65535", at("port.toml")]),
        (vec!["--config", at("bad.toml")], vec!["lisen", at("bad.toml")]),
        (vec!["--config", at("none.toml")], vec![at("none.toml")]),
        (
            [&here[..], &["--tls-cert", at("none.pem"), "--tls-key", at("file")]].concat(),
            vec![at("none.pem"), "--tls-cert"],
        ),
        (
            [&here[..], &["--tls-cert", at("file")]].concat(),
            vec![at("file"), "the other of certificate and key"],
        ),
        ([&here[..], &["--web", at("nowhere")]].concat(), vec![at("nowhere"), "index.html"]),
        (vec!["--data", at("none"), "inspect"], vec![at("none")]),
    ] {
        let said = said(&arguments);
        assert_eq!(said.matches("sync-server: ").count(), 1, "{said}");
        assert!(!said.contains("ERROR"), "once is enough: {said}");
        for word in words {
            assert!(said.contains(word), "{word:?} in {said}");
        }
    }
}
