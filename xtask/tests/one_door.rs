//! All cryptography stands behind two doors: `crypto` of `sync-protocol` and `crypto` of `sync-core`
//! (`ARCHITECTURE.md`). Nobody else names a library of it.

use std::fs;
use std::path::{Path, PathBuf};

const DOORS: [&str; 2] = ["sync-protocol/src/crypto", "sync-core/src/crypto"];
const LIBRARIES: [&str; 7] =
    ["ed25519_dalek", "sha2", "chacha20poly1305", "hpke", "hkdf", "hmac", "x25519_dalek"];

#[test]
fn only_the_two_doors_name_libraries_of_cryptography() {
    let mut found = Vec::new();
    for source in ["sync-protocol", "sync-core", "sync-store", "sync-client", "sync-server", "wasm"]
    {
        let sources = rust_files(&root().join(source).join("src"));
        assert!(!sources.is_empty(), "{source} has sources");
        for path in sources {
            let is_door = DOORS.iter().any(|door| path.starts_with(root().join(door)));
            let text = fs::read_to_string(&path).expect("a source is text");
            let names = |line: &str| {
                let used = |library: &&str| {
                    line.contains(&format!("use {library}::")) || names_path(line, library)
                };
                LIBRARIES.iter().copied().find(used)
            };
            let named = text.lines().filter(|line| !line.trim_start().starts_with("//"));
            if let Some(library) = named.filter_map(names).next().filter(|_| !is_door) {
                found.push(format!("{} names {library}", path.display()));
            }
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn a_path_through_a_library_is_seen_and_a_module_of_ours_is_not() {
    assert!(names_path("    hpke::single_shot_open(", "hpke"));
    assert!(names_path("let key = ed25519_dalek::SigningKey::from_bytes(&k);", "ed25519_dalek"));
    assert!(!names_path("use crate::crypto::hpke::Shared;", "hpke"));
    assert!(!names_path("    keys.hpke", "hpke"));
}

/// Whether a line goes through a library by its path, and not through a module of the same name that
/// was brought in from one of the doors.
fn names_path(line: &str, library: &str) -> bool {
    let path = format!("{library}::");
    line.match_indices(&path).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let ours = library == "hpke"
            && !line[at..].starts_with("hpke::single_shot")
            && !line[at..].starts_with("hpke::setup");
        before.is_none_or(|c| !c.is_alphanumeric() && c != '_' && c != ':') && !ours
    })
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("the folder is there") {
        let path = entry.expect("it can be listed").path();
        if path.is_dir() {
            found.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the root").to_owned()
}
