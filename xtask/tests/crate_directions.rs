//! Which way the crates point (`ARCHITECTURE.md`), and what must be in none of a crate's
//! dependencies: the relay cannot contain code that decrypts.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

type Names = BTreeSet<String>;

/// The libraries that everything else stands on; nothing of the workspace may be among their
/// dependencies but these.
const LIBRARIES: [&str; 5] =
    ["sync-protocol", "sync-core", "sync-store", "sync-client", "sync-server"];

#[test]
fn the_protocol_stands_alone() {
    assert_eq!(own_crates_below("sync-protocol"), names(&[]));
}

#[test]
fn the_engine_knows_the_protocol_alone() {
    assert_eq!(own_crates_below("sync-core"), names(&["sync-protocol"]));
}

#[test]
fn the_native_host_knows_the_engine_its_stores_and_the_protocol() {
    let below = names(&["sync-core", "sync-protocol", "sync-store"]);
    assert_eq!(own_crates_below("sync-client"), below);
}

#[test]
fn stores_know_the_engines_records_alone() {
    assert_eq!(own_crates_below("sync-store"), names(&["sync-core", "sync-protocol"]));
}

#[test]
fn the_browsers_host_knows_no_other_host() {
    assert_eq!(own_crates_below("wasm"), names(&["sync-core", "sync-protocol", "sync-store"]));
}

#[test]
fn the_relay_knows_the_protocol_alone() {
    assert_eq!(own_crates_below("sync-server"), names(&["sync-protocol"]));
}

#[test]
fn no_program_is_below_a_library() {
    let members = members();
    assert!(names(&LIBRARIES).is_subset(&members), "{members:?}");
    for library in LIBRARIES {
        let below = own_crates_below(library);
        assert!(below.is_subset(&names(&LIBRARIES)), "{library} depends on {below:?}");
    }
}

#[test]
fn the_relay_can_neither_merge_documents_nor_open_envelopes() {
    assert_absent("sync-server", &["automerge", "openmls", "hpke", "chacha20poly1305"]);
}

#[test]
fn the_protocol_does_no_io_and_knows_no_engine() {
    assert_absent("sync-protocol", &["automerge", "openmls", "tokio", "redb", "axum"]);
}

#[test]
fn the_engine_has_no_runtime_store_or_socket() {
    assert_absent("sync-core", &["tokio", "redb", "axum", "tokio-tungstenite", "async-std"]);
}

fn names(names: &[&str]) -> Names {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn assert_absent(package: &str, unwanted: &[&str]) {
    let tree = dependencies(package);
    let found: Vec<_> = unwanted.iter().filter(|name| tree.contains(**name)).collect();
    assert!(found.is_empty(), "{package} must not have {found:?} among its dependencies");
}

/// The workspace's crates among a package's normal dependencies, near and far. What the protocol's derive
/// is made of runs in the compiler alone.
fn own_crates_below(package: &str) -> Names {
    let mut below: Names = dependencies(package).intersection(&members()).cloned().collect();
    below.remove("sync-protocol-derive");
    below
}

/// A package's normal dependencies, near and far, with every feature and for every target.
fn dependencies(package: &str) -> Names {
    let edges = ["--edges", "normal", "--all-features", "--target", "all"];
    let mut tree = cargo(&[&["tree", "--package", package], &edges[..]].concat());
    assert!(tree.remove(package), "{package} is not in its own tree");
    tree
}

fn members() -> Names {
    cargo(&["tree", "--workspace", "--depth", "0"])
}

/// The first word of each line of what `cargo tree` prints: package names.
fn cargo(arguments: &[&str]) -> Names {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .current_dir(own)
        .args(arguments)
        .args(["--locked", "--prefix", "none", "--format", "{p}"]);
    let output = cargo.output().expect("cargo runs, since it runs this test");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("package names are ASCII");
    text.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
}
