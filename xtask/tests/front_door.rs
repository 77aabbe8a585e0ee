//! Whoever builds on `sync-client` needs no other crate of ours: what its calls take and give is
//! there under its name, too, and there is a call for each command. The simulator's people know all
//! of them, too.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The engine's own two ends: only hosts see them.
const HOSTS: [&str; 3] = ["Input", "Output", "CommandId"];

fn read(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    fs::read_to_string(root.join(path)).expect(path)
}

/// The public types of a file.
fn declared(text: &str) -> BTreeSet<String> {
    let kinds = ["pub struct ", "pub enum ", "pub type "];
    let of_line = |line: &str| {
        let rest = kinds.iter().find_map(|kind| line.strip_prefix(kind))?;
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len());
        Some(rest[..end].to_owned())
    };
    text.lines().filter_map(of_line).collect()
}

/// The names that a file takes in from these crates or modules of ours.
fn used(text: &str, from: &[&str]) -> BTreeSet<String> {
    let begins = |line: &&str| from.iter().any(|from| line.starts_with(&format!("use {from}")));
    text.lines().filter(begins).flat_map(names).collect()
}

/// The types that a `use` names: what begins with a capital, and is no constant.
fn names(line: &str) -> Vec<String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let is_type =
        |word: &&str| word.starts_with(char::is_uppercase) && word.contains(char::is_lowercase);
    line.split(|c| !is_part(c)).filter(is_type).map(str::to_owned).collect()
}

#[test]
fn what_calls_take_and_give_is_given_away_by_the_client_itself() {
    let library = read("sync-client/src/lib.rs");
    let given: BTreeSet<String> =
        library.split(';').filter(|item| item.contains("pub use ")).flat_map(names).collect();
    let files = ["sync-core/src/api.rs", "sync-core/src/api/views.rs", "sync-core/src/api/edit.rs"];
    let mut missing = BTreeSet::new();
    for file in files {
        let text = read(file);
        // What stands above the tests is what others see.
        let text = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
        let here = declared(text);
        assert!(!here.is_empty(), "{file} has types");
        let of_ours = ["sync_protocol::", "crate::document", "crate::trust", "crate::api"];
        missing.extend(here.into_iter().chain(used(text, &of_ours)));
    }
    missing.retain(|name| !given.contains(name) && !HOSTS.contains(&name.as_str()));
    assert!(missing.is_empty(), "sync-client/src/lib.rs does not give away {missing:?}");
}

/// Commands without a call of their own in `sync-client`: they are for hosts that keep a journal, and
/// `submit` takes them.
const NO_CALLS: [&str; 2] = ["Once", "ForgetEdits"];

/// Commands that nobody in the simulator or its towns gives, each with the tests that do.
const NOT_SIMULATED: [(&str, &str); 3] = [
    ("Foreground", "the suite of examples/chat"),
    ("Once", "engine/edits.rs"),
    ("ForgetEdits", "engine/edits.rs"),
];

/// The names of all commands.
fn commands() -> Vec<String> {
    let api = read("sync-core/src/api.rs");
    let body = api.split("pub enum Command {").nth(1).expect("there are commands");
    let body = body.split("\n}").next().expect("they end");
    let variants =
        body.lines().filter(|line| line.starts_with("    ") && !line.starts_with("     "));
    let names = variants.map(|line| line.trim().split(|c: char| !c.is_ascii_alphanumeric()).next());
    names.flatten().filter(|name| name.starts_with(char::is_uppercase)).map(str::to_owned).collect()
}

/// All sources below a folder but for some files.
fn sources(folder: &Path, but: &[&str]) -> String {
    let mut all = String::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("is listed").path();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
        if path.is_dir() {
            all += &sources(&path, but);
        } else if name.is_some_and(|name| name.ends_with(".rs") && !but.contains(&name.as_str())) {
            all += &fs::read_to_string(&path).expect("is read");
        }
    }
    all
}

fn given(name: &str, text: &str) -> bool {
    text.match_indices(&format!("Command::{name}")).any(|(at, found)| {
        let next = text[at + found.len()..].chars().next();
        next.is_none_or(|next| !next.is_ascii_alphanumeric())
    })
}

#[test]
fn there_is_a_call_for_every_command() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let client = sources(&root.join("sync-client/src/client"), &[]);
    let all = commands();
    assert!(all.len() > 40, "they are found: {all:?}");
    let missing: Vec<_> = all
        .iter()
        .filter(|name| given(name, &client) == NO_CALLS.contains(&name.as_str()))
        .collect();
    assert!(missing.is_empty(), "these have no call, or are wrongly excused: {missing:?}");
}

/// Calls that no test makes at a real relay, each with the tests that do elsewhere.
const NOT_AT_A_RELAY: [(&str, &str); 1] = [("accept_relay", "the simulator's worlds")];

/// The calls of the native client.
fn calls() -> BTreeSet<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sync-client/src/client");
    let text = sources(&folder, &[]);
    let begin = |line: &str| {
        let line = line.strip_prefix("    pub ")?;
        let rest = line.strip_prefix("async ").unwrap_or(line).strip_prefix("fn ")?;
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_')?;
        Some(rest[..end].to_owned())
    };
    text.lines().filter_map(begin).collect()
}

/// Whether somebody calls a method or a function of this name.
fn is_called(name: &str, text: &str) -> bool {
    [".", "::"].iter().any(|by| {
        let called = format!("{by}{name}");
        text.match_indices(&called).any(|(at, _)| {
            let rest = &text[at + called.len()..];
            rest.starts_with('(') || rest.starts_with("::<")
        })
    })
}

#[test]
fn every_call_is_made_at_a_real_relay() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let tests = sources(&root.join("examples/chat/tests/suite"), &[]);
    let all = calls();
    assert!(all.len() > 60, "they are found: {all:?}");
    let is_excused = |name: &str| NOT_AT_A_RELAY.iter().any(|(known, _)| *known == name);
    let missing: Vec<_> =
        all.iter().filter(|name| is_called(name, &tests) == is_excused(name)).collect();
    assert!(
        missing.is_empty(),
        "nobody calls these in examples/chat/tests, or they are wrongly excused: {missing:?}"
    );
}

#[test]
fn the_readme_names_every_call() {
    let readme = read("sync-client/README.md");
    let words: BTreeSet<&str> = readme.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
    let missing: Vec<_> =
        calls().into_iter().filter(|name| !words.contains(name.as_str())).collect();
    assert!(missing.is_empty(), "sync-client/README.md does not name {missing:?}");
}

#[test]
fn people_of_the_simulator_know_every_command() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../property-tests");
    // These list all commands.
    let lists = ["device.rs", "remembered.rs", "tale.rs", "watch.rs"];
    let people = sources(&root.join("src"), &lists) + &sources(&root.join("tests"), &[]);
    let is_excused = |name: &String| NOT_SIMULATED.iter().any(|(known, _)| known == name);
    let missing: Vec<_> =
        commands().into_iter().filter(|name| given(name, &people) == is_excused(name)).collect();
    assert!(missing.is_empty(), "these are given by nobody, or wrongly excused: {missing:?}");
}
