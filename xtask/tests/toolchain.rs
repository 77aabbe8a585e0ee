//! One Rust version: the one the workspace declares is the one it is built and tested with.

use std::fs;
use std::path::Path;

#[test]
fn the_declared_rust_version_is_the_toolchain_that_tests_it() {
    let declared = value(&read("Cargo.toml"), "rust-version");
    let used = value(&read("rust-toolchain.toml"), "channel");
    assert!(used == declared || used.starts_with(&format!("{declared}.")), "{used}, {declared}");
}

/// A target in the file would make every cargo command fail wherever that target's
/// server is out of reach.
#[test]
fn the_toolchain_file_asks_for_no_target() {
    assert!(!read("rust-toolchain.toml").contains("targets"));
}

fn read(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name);
    fs::read_to_string(&path).expect("the file lies in the workspace's root")
}

/// The string that `key` is set to.
fn value(toml: &str, key: &str) -> String {
    let line = toml.lines().find_map(|line| line.strip_prefix(key)?.trim().strip_prefix('='));
    line.expect("the key is set").trim().trim_matches('"').to_owned()
}
