//! `docs/vectors/shapes.json`: every method with its parameters, and one of each answer and each
//! notice, with all that can be in it. The tests of `wasm/packages/client` read the same file, so that
//! the two sides of the contract can't come apart.
//!
//! `REJOINDER_WRITE_VECTORS=1 cargo test -p sync-core shapes` writes it anew.

use serde_json::{Map, Value, json};
use sync_protocol::dormancy::Dormancy;
use sync_protocol::ids::RelayId;
use sync_protocol::roster::Role;
use sync_protocol::sorted::SortedSet;
use sync_protocol::{AccountId, DeviceId, Rejection, SpaceId, WriterId};

use super::people::Known;
use super::{contract, notices, shapes};
use crate::api::{
    Author, AwayView, ChangeView, Compared, Comparison, ConflictView, ContactCard, ContactChange,
    ConversationChange, ConversationView, DeviceView, Digest, DocumentDigest, DocumentView,
    DocumentsView, Event, Failure, InviteView, LastMessage, LinkEvent, MemberView, MessageView,
    NewAccount, Origin, Problem, Progress, Response, Space, Status, Unreadable, Vouched, Whose,
};
use crate::document::{OrderKey, Placement, Rank, Stamp, Step};
use crate::trust::Invalid;

const SHAPES: &str = include_str!("../../../docs/vectors/shapes.json");

fn account(n: u8) -> AccountId {
    AccountId::of_root_key(&[n; 32])
}

fn device(n: u8) -> DeviceId {
    DeviceId::of_signing_key(&[n; 32])
}

fn space() -> SpaceId {
    SpaceId::from_bytes([7; 32])
}

fn key(ms: u64) -> OrderKey {
    OrderKey { stamp: Stamp { ms, counter: 0 }, tag: [1; 6] }
}

fn text(text: &str) -> String {
    text.to_owned()
}

fn whose() -> Whose {
    Whose { account: account(1), address: Some(text("ada")), name: text("Ada") }
}

fn a_status() -> Status {
    let dormancy = Dormancy::Dormant;
    Status {
        account: Some(account(1)),
        device: Some(device(1)),
        address: Some(text("ada")),
        name: text("Ada"),
        nameless: true,
        role: "primary",
        connected: true,
        up_to_date: true,
        last_confirmed_ms: Some(1),
        waiting: 2,
        spaces: 3,
        unreadable: 4,
        withheld: 5,
        away: vec![AwayView { device: device(2), last_seen_ms: 6, dormancy }],
        put_back_ms: Some(7),
        problem: Some(Problem::OtherRelay {
            was: RelayId::from_bytes([1; 32]),
            now: RelayId::from_bytes([2; 32]),
        }),
    }
}

fn a_conversation() -> ConversationView {
    ConversationView {
        conversation: space(),
        title: text("Team"),
        members: vec![MemberView {
            account: account(2),
            address: Some(text("bob")),
            name: text("Bob"),
            role: Role::Admin,
        }],
        adding: vec![text("cat")],
        unread: 1,
        last: Some(LastMessage { message: key(2), author: account(2), text: text("hi"), at_ms: 2 }),
        muted: true,
        archived: true,
        pinned: true,
        pending: true,
        active: true,
        unreadable: Some(Unreadable { changes: 1, first_ms: Some(2), last_ms: Some(3) }),
        waiting: 4,
        vouched: Some(Vouched { account: account(2), device: device(2), at_ms: 5 }),
        withheld: true,
    }
}

/// A message by a clock that runs a year ahead: its rank is not its id.
fn a_message() -> MessageView {
    let ahead = key(31_536_000_000);
    let place = Placement { index: 9, time_ms: 5, ordinal: 1 };
    MessageView {
        message: ahead,
        author: account(1),
        device: device(1),
        text: text("hi"),
        at_ms: ahead.effective(Some(&place)).ms,
        rank: Rank::of(ahead, Some(&place)),
        reply_to: Some(key(1)),
        edited: true,
        deleted: true,
        reactions: [(account(2), text("👍"))].into(),
        status: Progress::Read,
        delivered: SortedSet::from([account(2), account(3)]),
        read: SortedSet::from([account(2)]),
        needs_update: true,
    }
}

/// One answer of each kind.
fn every_answer() -> Vec<Response> {
    let account = NewAccount { account: account(1), device: device(1), recovery_code: text("a b") };
    let contact = ContactCard {
        account: account.account,
        address: Some(text("ada")),
        name: text("Ada"),
        safety_number: text("12345"),
        shown: text("QR"),
        compared: Compared::Changed,
    };
    let listed = DeviceView {
        device: device(1),
        name: text("phone"),
        role: "companion",
        current: true,
        linked_ms: Some(5),
        last_seen_ms: Some(7),
        dormancy: Some(Dormancy::Asleep),
        revoked: true,
    };
    let documents = DocumentsView {
        documents: vec![DocumentView {
            name: text("plan"),
            title: Some(text("The plan")),
            archived: true,
        }],
        waiting: true,
    };
    let author = Author { origin: Origin::Sibling, account: account.account, device: device(2) };
    let change = ChangeView { change: [8; 32], author: Some(author), at_ms: Some(5) };
    let conflict = ConflictView { value: json!({ "$text": "a" }), author: Some(author) };
    let writer = WriterId { device: device(1), incarnation: 2 };
    let digest = Digest {
        frontier: [(writer, (3, [4; 32]))].into(),
        documents: [(text("settings"), DocumentDigest { heads: vec![[5; 32]], content: [6; 32] })]
            .into(),
        view: [7; 32],
    };
    every! { Response;
        Response::Done => [Response::Done],
        Response::Account(_) => [Response::Account(account)],
        Response::Status(_) => [Response::Status(a_status())],
        Response::Contact(_) => [Response::Contact(contact)],
        Response::Comparison(_) => [Response::Comparison(Comparison::Behind)],
        Response::Conversation(_) => [Response::Conversation(space())],
        Response::Conversations(_) => [Response::Conversations(vec![a_conversation()])],
        Response::Message(_) => [Response::Message(key(1))],
        Response::Messages(_) => [Response::Messages(vec![a_message()])],
        Response::Value(_) => [Response::Value(json!("dark"))],
        Response::Settings(_) => [Response::Settings([(text("theme"), json!("dark"))].into())],
        Response::Heads(_) => [Response::Heads(vec![[8; 32]])],
        Response::Bytes(_) => [Response::Bytes(vec![1, 2])],
        Response::Documents(_) => [Response::Documents(documents)],
        Response::History(_) => [Response::History(vec![change])],
        Response::Conflicts(_) => [Response::Conflicts(vec![conflict])],
        Response::Digest(_) => [Response::Digest(digest)],
        Response::Offer(_) => [Response::Offer(text("QR"))],
        Response::DeviceName(_) => [Response::DeviceName(text("phone"))],
        Response::RecoveryCode(_) => [Response::RecoveryCode(text("a b"))],
        Response::Invite(_) => [
            Response::Invite(InviteView { code: text("abc234"), until_ms: 5 })
        ],
        Response::Device(_) => [Response::Device(device(1))],
        Response::Devices(_) => [Response::Devices(vec![listed])],
    }
}

/// What the vectors call an answer, and whether it is one of several.
fn called(answer: &Response) -> (&'static str, bool) {
    match answer {
        Response::Done => ("done", false),
        Response::Account(_) => ("account", false),
        Response::Status(_) => ("status", false),
        Response::Contact(_) => ("contact", false),
        Response::Comparison(_) => ("comparison", false),
        Response::Conversation(_) => ("conversation id", false),
        Response::Conversations(_) => ("conversation", true),
        Response::Message(_) => ("message id", false),
        Response::Messages(_) => ("message", true),
        Response::Value(_) => ("value", false),
        Response::Settings(_) => ("settings", false),
        Response::Heads(_) => ("heads", false),
        Response::Bytes(_) => ("bytes", false),
        Response::Documents(_) => ("documents", false),
        Response::History(_) => ("history", false),
        Response::Conflicts(_) => ("conflicts", false),
        Response::Digest(_) => ("digest", false),
        Response::Offer(_) => ("offer", false),
        Response::DeviceName(_) => ("device name", false),
        Response::RecoveryCode(_) => ("recovery code", false),
        Response::Invite(_) => ("invite", false),
        Response::Device(_) => ("device id", false),
        Response::Devices(_) => ("device", true),
    }
}

fn answers() -> Value {
    let known = Known::from([(account(1), (Some(text("ada")), text("Ada")))]);
    let all = every_answer().into_iter().map(|answer| {
        let (name, is_one_of_several) = called(&answer);
        let shape = match answer {
            Response::Messages(list) => {
                list.iter().map(|view| shapes::message(view, &known)).collect()
            }
            other => shapes::response(other),
        };
        let shape = if is_one_of_several { shape[0].clone() } else { shape };
        (name.to_owned(), shape)
    });
    Value::Object(all.collect())
}

/// One event of each kind, or several.
fn events() -> Vec<Event> {
    let conversation = space();
    let moved = ContactChange::Moved { address: text("bob"), now: account(3) };
    let not_added =
        ConversationChange::NotAdded { address: text("cat"), reason: Rejection::NotFound };
    let paths = Some(vec![vec![Step::from("items"), Step::Index(2)]]);
    let author = Author { origin: Origin::Sibling, account: account(1), device: device(2) };
    let mut all = every! { Event;
        Event::Receipts { .. } => [Event::Receipts { conversation, accounts: vec![account(2)] }],
        Event::Conversation { .. } => [
            Event::Conversation { conversation, change: ConversationChange::Joined },
            Event::Conversation { conversation, change: not_added },
        ],
        Event::Document { .. } => [
            Event::Document { space: space(), name: text("app/plan"), paths, by: Some(author) }
        ],
        Event::Presence { .. } => [Event::Presence {
            space: Space::Conversation(space()),
            name: text("app/plan"),
            account: account(2),
            device: device(2),
            state: json!({ "cursor": 7 }),
        }],
        Event::Settings { .. } => [Event::Settings { keys: vec![text("theme")] }],
        Event::Status(_) => [Event::Status(Box::new(a_status()))],
        Event::Typing { .. } => [Event::Typing { conversation, account: account(2) }],
        Event::Link(_) => [
            Event::Link(LinkEvent::Account(whose())),
            Event::Link(LinkEvent::Code { code: text("1234567"), whose: whose() }),
            Event::Link(LinkEvent::Done { account: account(1), device: device(2) }),
            Event::Link(LinkEvent::Failed(Failure::Offline)),
        ],
        Event::Devices { .. } => [Event::Devices {
            account: account(2),
            added: vec![device(3)],
            revoked: vec![device(2)],
        }],
        Event::Contact { .. } => [
            Event::Contact { account: account(2), change: ContactChange::Devices },
            Event::Contact { account: account(2), change: moved },
        ],
        Event::RecoveryCode(_) => [Event::RecoveryCode(text("a b"))],
        Event::Revoked { .. } => [Event::Revoked { unsent: 2 }],
        Event::History { .. } => [Event::History { conversation, read: 1, total: 2 }],
        Event::Evidence { .. } => [Event::Evidence { space: space(), why: Invalid::OtherHistory }],
        // Announced with the messages themselves: see below.
        Event::Messages { .. } => [Event::Messages { conversation, messages: vec![key(1)] }],
    };
    all.retain(|event| !matches!(event, Event::Messages { .. }));
    all
}

fn told() -> Vec<Value> {
    let message = a_message();
    let all = [message.message].into();
    let known = Known::new();
    let whole = (std::slice::from_ref(&message), &known);
    let announced = notices::announcement(space(), &all, Some(whole));
    std::iter::once(announced)
        .chain(events().iter().map(notices::notification))
        .map(|told| json!({ "method": told.method, "params": told.params }))
        .collect()
}

#[test]
fn the_shapes_are_those_that_typescript_reads() {
    let methods: Map<String, Value> =
        contract::methods().map(|(method, names)| (method.to_owned(), json!(names))).collect();
    let made = json!({ "methods": methods, "answers": answers(), "notices": told() });
    if std::env::var_os("REJOINDER_WRITE_VECTORS").is_some() {
        let path = format!("{}/../docs/vectors/shapes.json", env!("CARGO_MANIFEST_DIR"));
        let text = serde_json::to_string_pretty(&made).unwrap();
        std::fs::write(path, text + "\n").unwrap();
        return;
    }
    let committed: Value = serde_json::from_str(SHAPES).unwrap();
    let mut apart = Vec::new();
    differences(&committed, &made, "", &mut apart);
    assert!(
        apart.is_empty(),
        "docs/vectors/shapes.json is not what the code does:\n  {}\nIf that is meant, write it anew: \
         REJOINDER_WRITE_VECTORS=1 cargo test -p sync-core shapes",
        apart.join("\n  "),
    );
}

/// What stands empty in the examples, since nothing else can be there.
const EMPTY: [&str; 2] = ["/done", "/status/problem/space"];

#[test]
fn an_example_has_all_that_can_be_in_it() {
    let mut empty = Vec::new();
    empty_places(&answers(), "", &mut empty);
    assert_eq!(empty, EMPTY, "an example that leaves something out holds nobody to it");
}

fn empty_places(value: &Value, path: &str, out: &mut Vec<String>) {
    let below = |name: &dyn std::fmt::Display| format!("{path}/{name}");
    match value {
        Value::Null => out.push(path.to_owned()),
        Value::String(text) if text.is_empty() => out.push(path.to_owned()),
        Value::Array(list) if list.is_empty() => out.push(path.to_owned()),
        Value::Object(fields) if fields.is_empty() => out.push(path.to_owned()),
        Value::Array(list) => {
            for (at, value) in list.iter().enumerate() {
                empty_places(value, &below(&at), out);
            }
        }
        Value::Object(fields) => {
            for (name, value) in fields {
                empty_places(value, &below(name), out);
            }
        }
        Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Says where two values differ, each place in a line.
fn differences(before: &Value, now: &Value, path: &str, out: &mut Vec<String>) {
    match (before, now) {
        (Value::Object(before), Value::Object(now)) => {
            for (name, value) in before {
                let path = format!("{path}/{name}");
                match now.get(name) {
                    Some(other) => differences(value, other, &path, out),
                    None => out.push(format!("{path} is gone")),
                }
            }
            let new = now.iter().filter(|(name, _)| !before.contains_key(*name));
            out.extend(new.map(|(name, value)| format!("{path}/{name} is new: {value}")));
        }
        (Value::Array(before), Value::Array(now)) if before.len() == now.len() => {
            for (at, pair) in before.iter().zip(now).enumerate() {
                differences(pair.0, pair.1, &format!("{path}/{at}"), out);
            }
        }
        _ if before != now => out.push(format!("{path} was {before}, and is {now}")),
        _ => {}
    }
}

#[test]
fn a_difference_is_told_by_its_place() {
    let mut out = Vec::new();
    let before = json!({ "a": { "b": 1, "c": [1, 2] }, "d": 0 });
    differences(&before, &json!({ "a": { "b": 2, "c": [1, 3] }, "e": 0 }), "", &mut out);
    let told = ["/a/b was 1, and is 2", "/a/c/1 was 2, and is 3", "/d is gone", "/e is new: 0"];
    assert_eq!(out, told);
}
