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
use sync_protocol::{AccountId, DeviceId, Rejection, SpaceId};

use super::people::Known;
use super::{contract, notices, shapes};
use crate::api::{
    Author, AwayView, ChangeView, Compared, Comparison, ConflictView, ContactCard, ContactChange,
    ConversationChange, ConversationView, DeviceView, DocumentView, DocumentsView, Event, Failure,
    LastMessage, LinkEvent, MemberView, MessageView, NewAccount, Origin, Problem, Progress,
    Response, Status, Unreadable, Vouched, Whose,
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

fn answers() -> Value {
    let account = NewAccount { account: account(1), device: device(1), recovery_code: text("a b") };
    let contact = ContactCard {
        account: account.account,
        address: Some(text("ada")),
        name: text("Ada"),
        safety_number: text("12345"),
        shown: text("QR"),
        compared: Compared::Changed,
    };
    let list = DeviceView {
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
        documents: vec![DocumentView { name: text("plan"), archived: true }],
        waiting: true,
    };
    let author = Author { origin: Origin::Sibling, account: account.account, device: device(2) };
    let change = ChangeView { change: [8; 32], author: Some(author), at_ms: Some(5) };
    let conflict = ConflictView { value: json!({ "$text": "a" }), author: Some(author) };
    let of = |answer| shapes::response(answer);
    let known = Known::from([(account.account, (Some(text("ada")), text("Ada")))]);
    json!({
        "status": of(Response::Status(a_status())),
        "account": of(Response::Account(account)),
        "contact": of(Response::Contact(contact)),
        "comparison": of(Response::Comparison(Comparison::Behind)),
        "conversation": of(Response::Conversations(vec![a_conversation()])).get(0),
        "conversation id": of(Response::Conversation(space())),
        "message": shapes::message(&a_message(), &known),
        "message id": of(Response::Message(key(1))),
        "device": of(Response::Devices(vec![list])).get(0),
        "device id": of(Response::Device(device(1))),
        "device name": of(Response::DeviceName(text("phone"))),
        "documents": of(Response::Documents(documents)),
        "history": of(Response::History(vec![change])),
        "conflicts": of(Response::Conflicts(vec![conflict])),
        "offer": of(Response::Offer(text("QR"))),
        "recovery code": of(Response::RecoveryCode(text("a b"))),
    })
}

fn events() -> Vec<Event> {
    let conversation = space();
    let moved = ContactChange::Moved { address: text("bob"), now: account(3) };
    let not_added =
        ConversationChange::NotAdded { address: text("cat"), reason: Rejection::NotFound };
    let paths = Some(vec![vec![Step::from("items"), Step::Index(2)]]);
    let author = Author { origin: Origin::Sibling, account: account(1), device: device(2) };
    vec![
        Event::Receipts { conversation, accounts: vec![account(2)] },
        Event::Conversation { conversation, change: ConversationChange::Joined },
        Event::Conversation { conversation, change: not_added },
        Event::Document { space: space(), name: text("app/plan"), paths, by: Some(author) },
        Event::Settings { keys: vec![text("theme")] },
        Event::Status(Box::new(a_status())),
        Event::Typing { conversation, account: account(2) },
        Event::Link(LinkEvent::Account(whose())),
        Event::Link(LinkEvent::Code { code: text("1234567"), whose: whose() }),
        Event::Link(LinkEvent::Done { account: account(1), device: device(2) }),
        Event::Link(LinkEvent::Failed(Failure::Offline)),
        Event::Devices { account: account(2), added: vec![device(3)], revoked: vec![device(2)] },
        Event::Contact { account: account(2), change: ContactChange::Devices },
        Event::Contact { account: account(2), change: moved },
        Event::RecoveryCode(text("a b")),
        Event::Revoked { unsent: 2 },
        Event::History { conversation, read: 1, total: 2 },
        Event::Evidence { space: space(), why: Invalid::OtherHistory },
    ]
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
        contract::all().map(|(method, names)| (method.to_owned(), json!(names))).collect();
    let made = json!({ "methods": methods, "answers": answers(), "notices": told() });
    if std::env::var_os("REJOINDER_WRITE_VECTORS").is_some() {
        let path = format!("{}/../docs/vectors/shapes.json", env!("CARGO_MANIFEST_DIR"));
        let text = serde_json::to_string_pretty(&made).unwrap();
        std::fs::write(path, text + "\n").unwrap();
        return;
    }
    let committed: Value = serde_json::from_str(SHAPES).unwrap();
    assert_eq!(committed, made, "docs/vectors/shapes.json is not what the code does");
}
