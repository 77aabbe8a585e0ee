//! The guides lead somewhere: what they name as a file, a folder or a piece of code is there.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

const GUIDES: [&str; 2] = ["ARCHITECTURE.md", "CONTRIBUTING.md"];

/// Names that stand for others: what a patch or a test is called, what a name never begins with.
const PLACEHOLDERS: [&str; 3] =
    ["property-tests/planted/NAME.patch", "get_", "a_removed_device_reads_nothing_new"];
/// Folders that a tool makes.
const MADE: [&str; 2] = ["target/", "fuzz/artifacts/"];
const LEFT_OUT: [&str; 4] = ["target", "node_modules", "dist", ".git"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Everything below a folder, by its path from the root; folders end in a stroke.
fn list(folder: &Path, below: &str, all: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("is listed").path();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
        let name = name.filter(|name| !LEFT_OUT.contains(&name.as_str()));
        let Some(name) = name else { continue };
        if path.is_dir() {
            let here = format!("{below}{name}/");
            list(&path, &here, all);
            all.insert(here);
        } else {
            all.insert(format!("{below}{name}"));
        }
    }
}

fn is_path(name: &str) -> bool {
    let endings = [".rs", ".ts", ".md", ".json", ".txt", ".toml", ".patch", "/"];
    let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || "_-./".contains(c));
    plain && (endings.iter().any(|ending| name.ends_with(ending)) || name.contains('/'))
}

/// Whether a name is one of code: parts of letters, digits and strokes below, between double colons.
fn is_code(name: &str) -> bool {
    let is_part = |part: &str| {
        !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    name.split("::").all(is_part)
}

#[test]
fn what_the_guides_name_is_there() {
    let mut files = BTreeSet::new();
    list(&root(), "", &mut files);
    let is_read = |file: &&String| {
        [".rs", ".ts", ".tsx", ".toml", ".json"].iter().any(|ending| file.ends_with(ending))
    };
    let code: String = files
        .iter()
        .filter(is_read)
        .map(|file| fs::read_to_string(root().join(file)).unwrap_or_default())
        .collect();
    let words: BTreeSet<&str> =
        code.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').collect();
    let mut missing = Vec::new();
    for guide in GUIDES {
        let text = fs::read_to_string(root().join(guide)).expect(guide);
        let prose: String = text.split("```").step_by(2).collect();
        for name in prose.split('`').skip(1).step_by(2) {
            if PLACEHOLDERS.contains(&name) || MADE.iter().any(|made| name.starts_with(made)) {
                continue;
            }
            let ends_so = |file: &String| {
                let file = file.trim_end_matches('/');
                let name = name.trim_end_matches('/');
                file == name || file.ends_with(&format!("/{name}"))
            };
            let there = if is_path(name) {
                name.starts_with(['~', '.']) || name.contains("TARGET") || files.iter().any(ends_so)
            } else if is_code(name) {
                name.split("::").last().is_some_and(|last| words.contains(last))
            } else {
                true
            };
            if !there {
                missing.push(format!("{guide}: {name}"));
            }
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
}
