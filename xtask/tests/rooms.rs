//! The house keeps its rooms (`ARCHITECTURE.md`, "The engine's rooms"): no type grows into a house of
//! its own, the lower rooms know the turn and the spaces alone, and each room is on the map.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Methods that one type may have, and files that may have some of them.
const METHODS: usize = 60;
const FILES: usize = 8;
/// Fields of the engine: machines, each with fields of its own.
const MACHINES: usize = 12;
const CRATES: [&str; 5] = ["sync-core", "sync-store", "sync-client", "sync-server", "wasm"];

/// The rooms that are built without an account, and what they use.
const LOWER: [(&str, &[&str]); 4] = [
    ("LogRows", &["turn", "spaces"]),
    ("MemberRows", &["turn", "spaces"]),
    ("ContentRows", &["turn", "spaces"]),
    ("Fetching", &["turn", "session", "sightings", "spaces"]),
];

#[test]
fn no_type_has_more_methods_than_one_reads_at_a_sitting() {
    for name in CRATES {
        let mut all: BTreeMap<String, BTreeMap<PathBuf, usize>> = BTreeMap::new();
        for path in sources(name) {
            for (of, methods) in methods(&read(&path)) {
                *all.entry(of).or_default().entry(path.clone()).or_default() += methods;
            }
        }
        assert!(!all.is_empty(), "{name} has types");
        for (of, files) in all {
            let total: usize = files.values().sum();
            assert!(total <= METHODS, "{name}: {of} has {total} methods, of {METHODS} at most");
            assert!(files.len() <= FILES, "{name}: methods of {of} stand in {} files", files.len());
        }
    }
}

#[test]
fn the_engine_is_a_few_machines() {
    let text = read(&root().join("sync-core/src/engine/mod.rs"));
    let body = text.split("pub struct Engine {").nth(1).expect("the engine is a struct");
    let body = body.split("\n}").next().expect("it ends");
    let fields = body.lines().filter(|line| line.starts_with("    ") && line.ends_with(','));
    let fields: Vec<_> = fields.filter(|line| !line.trim_start().starts_with("//")).collect();
    assert!(!fields.is_empty() && fields.len() <= MACHINES, "{fields:#?}");
}

#[test]
fn the_lower_rooms_know_no_account_and_ask_no_upper_room() {
    let table = table();
    for (name, machines) in LOWER {
        let room = table.iter().find(|room| room.name == name).expect(name);
        assert_eq!(room.uses, machines.iter().map(|m| (*m).to_owned()).collect(), "{name}");
    }
    let is_lower = |name: &str| LOWER.iter().any(|(lower, _)| *lower == name);
    for room in table.iter().filter(|room| !is_lower(&room.name)) {
        let asked_from_below: Vec<_> = room.hosts.iter().filter(|host| is_lower(host)).collect();
        assert!(asked_from_below.is_empty(), "{} is asked by {asked_from_below:?}", room.name);
    }
}

#[test]
fn each_room_is_on_the_map() {
    let map = read(&root().join("ARCHITECTURE.md"));
    let missing: Vec<_> =
        table().into_iter().filter(|room| !map.contains(&format!("`{}`", room.name))).collect();
    assert!(missing.is_empty(), "{:?}", missing.iter().map(|room| &room.name).collect::<Vec<_>>());
}

#[test]
fn methods_are_counted_for_the_type_they_are_of() {
    let text = "impl Room<'_> {\n    pub(super) fn one(&self) {}\n\n    fn two(&self) {}\n}\n\n\
                impl Display for Room<'_> {\n    fn fmt(&self) {}\n}\n\n\
                impl<T> Other<T> {\n    pub const fn three() {}\n}\n";
    assert_eq!(methods(text), [("Room".to_owned(), 2), ("Other".to_owned(), 1)]);
}

struct Room {
    name: String,
    uses: BTreeSet<String>,
    hosts: BTreeSet<String>,
}

/// The rooms as `rooms.rs` has them.
fn table() -> Vec<Room> {
    let text = read(&root().join("sync-core/src/engine/rooms.rs"));
    let rooms: Vec<Room> = text.split("\nroom! {").skip(1).map(room).collect();
    assert!(rooms.len() > LOWER.len(), "there are upper rooms");
    rooms
}

fn room(entry: &str) -> Room {
    let (head, hosts) =
        entry.split_once(" for [").or_else(|| entry.split_once("\n    for [")).expect("hosts");
    let (head, uses) = head.split_once("uses ").expect("what it uses");
    let name = head.lines().find_map(|line| Some(line.trim().split_once(" as ")?.0));
    let names = |list: &str| {
        let names = list.trim().trim_matches(['[', ']']).split(',');
        let names = names.map(|name| name.trim().trim_end_matches("<'_>").to_owned());
        names.filter(|name| !name.is_empty()).collect()
    };
    let hosts = hosts.split(']').next().unwrap_or_default();
    Room { name: name.expect("a name").to_owned(), uses: names(uses), hosts: names(hosts) }
}

/// How many methods each `impl` block of a source has, traits' left out.
fn methods(text: &str) -> Vec<(String, usize)> {
    let mut found = Vec::new();
    let mut inside: Option<(String, usize)> = None;
    for line in text.lines() {
        if line.starts_with("impl") && !line.contains(" for ") {
            inside = line.ends_with('{').then(|| (type_of(line), 0));
        } else if line == "}" {
            found.extend(inside.take().filter(|(_, methods)| *methods > 0));
        } else if let Some((_, methods)) = &mut inside {
            *methods += usize::from(is_method(line));
        }
    }
    found
}

/// The type that an `impl` line is of.
fn type_of(line: &str) -> String {
    let mut rest = line.trim_start_matches("impl");
    if rest.starts_with('<') {
        let mut depth = 0;
        let end = rest.find(|c| {
            depth += i32::from(c == '<') - i32::from(c == '>');
            depth == 0
        });
        rest = &rest[end.map_or(0, |end| end + 1)..];
    }
    rest.trim().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

fn is_method(line: &str) -> bool {
    let Some(line) = line.strip_prefix("    ").filter(|line| !line.starts_with(' ')) else {
        return false;
    };
    let words = line.split(" fn ").next().unwrap_or_default();
    let modifiers = ["", "pub", "const", "async", "unsafe", "in", "crate::engine)"];
    line.starts_with("fn ")
        || (line.contains(" fn ")
            && words.split([' ', '(']).all(|word| {
                modifiers.contains(&word) || word.ends_with(')') || word.starts_with("crate::")
            }))
}

fn sources(name: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(name).join("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("the folder is there") {
            let path = entry.expect("it can be listed").path();
            let is_test =
                path.file_stem().is_some_and(|stem| stem.to_string_lossy().contains("test"));
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") && !is_test {
                found.push(path);
            }
        }
    }
    found
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).expect("a source is text")
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the root").to_owned()
}
