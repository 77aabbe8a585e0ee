//! What the engine can do, people can do: whoever adds a command, a call or a part of a message gives
//! it a place on each screen, or says here why it has none.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Commands that the terminal client's screen does not give, and why.
const NOT_IN_THE_TERMINAL: [(&[&str], &str); 4] = [
    (&["ReadDocument", "ChangeDocument", "ExportDocument", "AskDocument", "ImportDocument"], APPS),
    (
        &["ListDocuments", "RenameDocument", "ArchiveDocument", "DeleteDocument", "SetPresence"],
        APPS,
    ),
    (
        &["Setting", "LookupContact"],
        "the screen asks for all settings, and for a contact by what it knows",
    ),
    (&["Wait", "Digest", "Once", "ForgetEdits"], "for programs"),
];

/// Calls of the native client that the desktop companion does not make, and why.
const NOT_ON_THE_DESKTOP: [(&[&str], &str); 4] = [
    (
        &["document", "documents", "change", "as_of", "conflicts", "archive", "export", "import"],
        APPS,
    ),
    (&["put", "ensure", "convert", "move_to", "increment", "splice_utf16", "counter"], APPS),
    (&["command", "submit", "digest", "newest", "try_next", "into_stream"], "for programs"),
    (&["invite", "lookup"], "a companion: these are asked for on the primary"),
];

/// Calls of the browser's client that the web app does not make, and why.
const NOT_ON_THE_WEB: [(&[&str], &str); 2] =
    [(&["document"], APPS), (&["messages"], "the hooks follow them: `useMessages`")];

/// Parts of what is shown in browsers that the web app does not look at, and why.
const UNSEEN_ON_THE_WEB: [(&[&str], &str); 2] = [
    (&["rank"], "the client sorts by it"),
    (&["spaces", "putBackMs", "connectionProblem"], "for programs"),
];

const APPS: &str = "apps of their own show documents: nobody knows what is in them";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).expect(path)
}

/// All sources of these endings below a folder.
fn sources(folder: &Path, endings: &[&str]) -> String {
    let mut all = String::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("is listed").path();
        let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
        if path.is_dir() {
            all += &sources(&path, endings);
        } else if endings.contains(&ending) {
            all += &fs::read_to_string(&path).expect("is read");
        }
    }
    all
}

fn word(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_');
    &text[..end.unwrap_or(text.len())]
}

/// Whether a text has this and then no further letter.
fn has(text: &str, wanted: &str) -> bool {
    text.match_indices(wanted).any(|(at, _)| {
        let next = text[at + wanted.len()..].chars().next();
        next.is_none_or(|next| !next.is_alphanumeric() && next != '_')
    })
}

/// What stands between a line and the one that closes it.
fn body<'t>(text: &'t str, begins: &str) -> &'t str {
    let rest = text.split(begins).nth(1).expect(begins);
    rest.split("\n}").next().unwrap_or_default()
}

/// Holds that all have a place but those that are excused, which have none.
fn hold(all: &BTreeSet<&str>, has_place: impl Fn(&str) -> bool, excused: &[(&[&str], &str)]) {
    assert!(all.len() > 10, "they are found: {all:?}");
    let is_excused = |name: &str| excused.iter().any(|(names, _)| names.contains(&name));
    let odd: Vec<_> = all.iter().filter(|name| has_place(name) == is_excused(name)).collect();
    assert!(odd.is_empty(), "these have no place on a screen, or are wrongly excused: {odd:?}");
}

#[test]
fn the_terminal_gives_every_command_that_people_give() {
    let api = read("sync-core/src/api.rs");
    let lines = body(&api, "pub enum Command {").lines();
    let variants = lines.filter_map(|line| line.strip_prefix("    "));
    let commands = variants.filter(|line| line.starts_with(char::is_uppercase)).map(word).collect();
    let screen = sources(&root().join("examples/chat/src"), &["rs"]);
    hold(&commands, |name| has(&screen, &format!("Command::{name}")), &NOT_IN_THE_TERMINAL);
}

#[test]
fn the_desktop_makes_every_call_that_people_make() {
    let client = sources(&root().join("sync-client/src/client"), &["rs"]);
    let calls = client.lines().filter_map(|line| {
        let line = line.strip_prefix("    pub ")?;
        Some(word(line.strip_prefix("async ").unwrap_or(line).strip_prefix("fn ")?))
    });
    let screens = sources(&root().join("examples/desktop/src"), &["rs"]);
    let is_called = |name: &str| {
        [".", "::"].iter().any(|by| {
            let call = format!("{by}{name}");
            screens.match_indices(&call).any(|(at, _)| {
                let rest = &screens[at + call.len()..];
                rest.starts_with('(') || rest.starts_with("::<")
            })
        })
    };
    hold(&calls.collect(), is_called, &NOT_ON_THE_DESKTOP);
}

#[test]
fn the_web_app_makes_every_call_of_a_conversation() {
    let types = read("wasm/packages/client/src/types.ts");
    let lines = body(&types, "export interface Conversation {").lines();
    let members = lines.filter_map(|line| line.strip_prefix("  "));
    let calls = members
        .filter(|line| line.starts_with(char::is_alphabetic))
        .filter(|line| line[word(line).len()..].starts_with(['(', '<']))
        .map(word)
        .collect();
    let app = sources(&root().join("examples/web/src"), &["ts", "tsx"]);
    hold(&calls, |name| app.contains(&format!(".{name}(")), &NOT_ON_THE_WEB);
}

#[test]
fn the_web_app_looks_at_every_part_of_what_it_shows() {
    let types = read("wasm/packages/client/src/types.ts");
    let mut parts = BTreeSet::new();
    for shown in ["Message", "ConversationInfo", "Status"] {
        let lines = body(&types, &format!("export interface {shown} {{")).lines();
        parts.extend(lines.filter_map(|line| Some(word(line.strip_prefix("  readonly ")?))));
    }
    let app = sources(&root().join("examples/web/src"), &["ts", "tsx"]);
    let words: BTreeSet<&str> = app.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
    hold(&parts, |name| words.contains(name), &UNSEEN_ON_THE_WEB);
}
