//! The limits that `docs/protocol.md` names are those of the code, all of them.

#![allow(clippy::panic)]

use std::collections::BTreeSet;

use sync_protocol::limits::*;

const SPECIFICATION: &str = include_str!("../../docs/protocol.md");
const SOURCE: &str = include_str!("../src/limits.rs");

/// Names limits with what the specification calls them.
macro_rules! named {
    ($($name:ident: $called:literal,)*) => {
        &[$((stringify!($name), $called, $name as u64)),*]
    };
}

/// Every limit that the table has.
const TABLE: &[(&str, &str, u64)] = named! {
    PART: "part of a message",
    MESSAGE_UNAUTHENTICATED: "message before authentication",
    MESSAGE: "message",
    ENVELOPE_CONTENT: "content or register envelope",
    ENVELOPE_HANDSHAKE: "handshake envelope",
    ENVELOPE_SIGNAL: "intent or signal envelope",
    PUSH_ENVELOPES: "envelopes in a push",
    CHANGE_SET: "change set, decompressed",
    CHANGE_SET_ITEMS: "items in a change set",
    CHANGE_SET_CHANGES: "changes in a change set",
    DOCUMENT_NAME: "document name",
    LOG_ENTRY: "device log entry",
    LOG_ENTRIES: "device log entries",
    LOG: "whole device log",
    DEVICES: "active devices of an account",
    DORMANT_WARN_MS: "a device is asleep after",
    DORMANT_MS: "and dormant after",
    ADDRESS: "address",
    TITLE: "title",
    CONTEXT: "group context",
    LAST_ERA: "last era of a space",
    LEAVES: "leaves of a group",
    KEY_PACKAGE: "key package, leaf of a group",
    KEY_PACKAGES: "key packages kept for a device",
    KEY_PACKAGES_HELD: "private halves of key packages kept",
    KEY_PACKAGES_PUT: "key packages in one publication",
    INBOX_ITEM: "inbox item",
    INBOX_ITEMS: "inbox items waiting",
    INBOX_RESERVE: "inbox items kept for ways in",
    INBOX_ITEMS_OF_ONE: "inbox items waiting from one account",
    INBOX_BYTES_OF_ONE: "their bytes",
    WRITERS: "writers of a device in a space",
    INCARNATIONS: "incarnations of a device",
    UNANSWERED: "unanswered spaces by one inviter",
    UNANSWERED_OF_ALL: "unanswered spaces by all",
    INVITES_PER_DAY: "invites of an account in a day",
    INVITE_MS: "an invite",
    RENDEZVOUS_MS: "a rendezvous",
    RENDEZVOUS_MESSAGES: "messages of a side",
    RENDEZVOUS_MESSAGE: "message at a rendezvous",
    WELCOME: "what welcomes have alike",
    WELCOME_ITEM: "an item of welcomes",
    TICKET: "ticket",
    WINDOW: "credit window",
    CHUNK: "chunk of a catch-up",
    LAGGING_SPACES: "lagging spaces in a hello",
    CURSOR: "cursor",
    CLOCK_AHEAD_MS: "clock ahead of the relay's",
    CHANGE: "one change",
    CHANGE_OPS: "operations in a change",
    CHANGE_OPS_SPARE: "operations beyond one a byte",
    CHANGE_DEPENDENCIES: "dependencies of a change",
    CHANGE_ACTORS: "other actors in a change",
    DOCUMENT_OPS: "operation and sequence numbers",
    DOCUMENT_DEPTH: "depth of a document",
    DOCUMENT_ENTRY: "entry of a typed document",
    DOCUMENT_KEY: "key in a document",
    COUNTER: "counter's first value, either way",
    COUNTER_STEP: "increment, either way",
    EDIT: "local edit",
    DOCUMENT_IMPORT: "document file to import",
    WAITING_CHANGES: "changes of a writer waiting in a document",
    WAITING_BYTES: "their bytes",
    REFUSED_CHANGES: "refused changes remembered for a writer and document",
    HANDSHAKES_PER_HOUR: "handshakes of an account in a space: in an hour",
    HANDSHAKES_BURST: "handshakes of an account in a space: at once",
    INCARNATIONS_PER_HOUR: "new incarnations of a device: in an hour",
    INCARNATIONS_BURST: "new incarnations of a device: at once",
    TAKES_OF_ONE_PER_HOUR: "takes of one other account's key packages: in an hour",
    PACKAGES_PER_HOUR: "single-use key packages of a device given to others: in an hour",
};

/// What stands elsewhere in the specification, or binds nobody else.
const ELSEWHERE: [&str; 6] =
    ["VERSION", "MIN_VERSION", "PART_UP", "PRESENCE", "INBOX_WELCOMES_OF_ONE", "INBOX_LAST"];

/// What the table has of the engine's own.
const ENGINES: [&str; 2] = ["device logs that go along in all", "pause that a relay is given"];

/// A value as the table writes it; times in ms.
fn value(text: &str) -> u64 {
    let words: Vec<&str> = text.split(' ').collect();
    let number = |word: &str| -> u64 {
        let digits = word.replace(',', "");
        match digits.split_once('^') {
            Some((base, power)) => {
                base.parse::<u64>().expect("a number").pow(power.parse().expect("a power"))
            }
            None => digits.parse().expect("a number"),
        }
    };
    match words[..] {
        [count] => number(count),
        [count, "-", less] => number(count) - number(less),
        [count, "KiB"] => number(count) << 10,
        [count, "MiB"] => number(count) << 20,
        [count, "s"] => number(count) * 1_000,
        [count, "minutes"] => number(count) * 60_000,
        [count, "days"] => number(count) * 86_400_000,
        _ => panic!("{text} is no value"),
    }
}

/// What the tables of the last section say.
fn written() -> Vec<(String, u64)> {
    let section = SPECIFICATION.split("\n## 21. Limits\n").nth(1).expect("there is such a section");
    let rows = section.lines().filter(|line| line.starts_with("| "));
    let mut all = Vec::new();
    for row in rows {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        match cells[..] {
            ["limit", ..] | ["what", ..] => {}
            [one, of_one, other, of_other] => {
                all.extend([(one.to_owned(), value(of_one)), (other.to_owned(), value(of_other))]);
            }
            [what, in_an_hour, at_once] => {
                all.push((format!("{what}: in an hour"), value(in_an_hour)));
                all.push((format!("{what}: at once"), value(at_once)));
            }
            _ => panic!("{row} has other columns"),
        }
    }
    all
}

#[test]
fn the_specification_has_the_limits_of_the_code() {
    let known: BTreeSet<(String, u64)> =
        TABLE.iter().map(|(_, called, value)| ((*called).to_owned(), *value)).collect();
    // Where only the rate is the protocol's, a burst is as much as comes in an hour.
    let bursts = TABLE.iter().filter_map(|(_, called, value)| {
        let what = called.strip_suffix(": in an hour")?;
        let once = format!("{what}: at once");
        let is_named = TABLE.iter().any(|(_, called, _)| **called == once);
        (!is_named).then_some((once, *value))
    });
    let known: BTreeSet<(String, u64)> = known.iter().cloned().chain(bursts).collect();
    let mut written: BTreeSet<(String, u64)> = written().into_iter().collect();
    written.retain(|(called, _)| !ENGINES.contains(&called.as_str()));
    let only_written: Vec<_> = written.difference(&known).collect();
    let only_known: Vec<_> = known.difference(&written).collect();
    assert!(
        only_written.is_empty() && only_known.is_empty(),
        "docs/protocol.md, section 21, says {only_written:?}, and the code {only_known:?}"
    );
}

#[test]
fn no_limit_is_left_out_of_the_specification() {
    let names = SOURCE.lines().filter_map(|line| line.strip_prefix("pub const "));
    let names: BTreeSet<&str> = names.filter_map(|rest| rest.split(':').next()).collect();
    let listed: BTreeSet<&str> = TABLE.iter().map(|(name, ..)| *name).chain(ELSEWHERE).collect();
    assert_eq!(names, listed, "name it in docs/protocol.md, section 21, and here");
}
