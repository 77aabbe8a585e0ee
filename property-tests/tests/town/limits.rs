//! What is too large is refused by name, with the size that just passes.

use sync_core::Failure;
use sync_core::api::{Command, Input, Problem, Response, Space};
use sync_core::document::{AppOp, OpFault, Step};
use sync_protocol::Rejection;
use sync_protocol::codec::Blob;
use sync_protocol::frames::RelayFrame;

use crate::support::linking::talking;
use crate::support::{Town, linking};

const TEXT: usize = 65_536;

/// That the command passes with so much, and with one more names what it is and how much passes.
fn ends_at(town: &mut Town, what: &'static str, limit: usize, command: impl Fn(usize) -> Command) {
    let passes = town.try_run(0, command(limit));
    assert!(passes.is_ok(), "{what} of {limit}: {passes:?}");
    match town.try_run(0, command(limit + 1)) {
        Err(Failure::TooLarge { what: named, limit: told }) => {
            assert_eq!((named, told), (what, limit));
        }
        Err(Failure::Op(error)) => assert_eq!(error.fault, OpFault::TooLarge { what, limit }),
        other => panic!("{what} of {}: {other:?}", limit + 1),
    }
}

#[test]
fn a_text_ends_where_it_is_said_to() {
    let (mut town, conversation) = talking();
    // In letters of one byte, of two and of four; in an answer, and as an edit.
    let first = town.say(0, conversation, "first");
    for letter in ["x", "é", "🎈"] {
        let text = |len: usize| {
            let rest = "x".repeat(len % letter.len());
            letter.repeat(len / letter.len()) + &rest
        };
        for reply_to in [None, Some(first)] {
            let send = |len| Command::SendMessage { conversation, text: text(len), reply_to };
            ends_at(&mut town, "text", TEXT, send);
        }
        let edit = |len| Command::EditMessage { conversation, message: first, text: text(len) };
        ends_at(&mut town, "text", TEXT, edit);
    }
    town.settle();
    assert_eq!(town.texts(1, conversation), town.texts(0, conversation));
}

#[test]
fn a_setting_ends_where_it_is_said_to() {
    let (mut town, _) = talking();
    // Two bytes are the quotes around it.
    let set = |len: usize| {
        let value = "x".repeat(len - 2).into();
        Command::SetSetting { key: "long".to_owned(), value }
    };
    ends_at(&mut town, "setting", TEXT, set);
    let named = |len: usize| Command::SetSetting { key: "k".repeat(len), value: 1.into() };
    ends_at(&mut town, "setting's key", 256, named);
}

#[test]
fn what_is_too_much_for_a_document_is_named() {
    let (mut town, conversation) = talking();
    let space = Space::Conversation(conversation);
    let put = |value: String| Command::ChangeDocument {
        space,
        name: "plan".to_owned(),
        ops: vec![AppOp::Put {
            path: vec![Step::Key("a".to_owned())],
            value: Blob(value.into_bytes()),
        }],
    };
    // The document itself is one, the value's own place another.
    let nested = |depth: usize| put("[".repeat(depth - 1) + &"]".repeat(depth - 1));
    ends_at(&mut town, "nested objects", 64, nested);
    let counter = r#"{"$counter":0}"#.to_owned();
    assert!(matches!(town.run(0, put(counter)), Response::Heads(_)));
    let step = |by: usize| Command::ChangeDocument {
        space,
        name: "plan".to_owned(),
        ops: vec![AppOp::Increment {
            path: vec![Step::Key("a".to_owned())],
            by: i64::try_from(by).unwrap(),
        }],
    };
    ends_at(&mut town, "counter step", (1 << 32) - 1, step);
}

#[test]
fn a_relay_whose_disk_is_full_is_shown_and_what_was_written_goes_out_once_there_is_room() {
    let mut town = Town::new(2);
    town.sign_up(0, "ada");
    town.sign_up(1, "bob");
    let id = town.found(0, "Tea", &["bob"]);
    town.settle();
    town.relay.set_full(true);
    town.say(0, id, "is there room?");
    town.pass(10_000);
    let told = linking::status(&mut town, 0);
    assert!(told.connected && told.waiting > 0, "{told:?}");
    assert!(matches!(told.problem, Some(Problem::Space(of, Rejection::Full { .. })) if of == id));
    assert_eq!(town.texts(1, id), Vec::<String>::new());
    town.relay.set_full(false);
    town.pass(60_000);
    assert_eq!(town.texts(1, id), ["is there room?"]);
    let told = linking::status(&mut town, 0);
    assert!(told.waiting == 0 && told.problem.is_none(), "{told:?}");
}

/// Whoever is told the same does not come at the same time.
#[test]
fn devices_that_are_told_when_to_come_back_do_not_come_at_once() {
    let mut town = Town::new(8);
    for n in 0..8 {
        town.sign_up(n, &format!("person{n}"));
    }
    town.settle();
    let now = town.now;
    for n in 0..8 {
        let goodbye = RelayFrame::Goodbye { reason: Rejection::Unavailable { retry_ms: 10_000 } };
        town.feed(n, Input::Received(goodbye.to_bytes()));
    }
    let times: std::collections::BTreeSet<u64> =
        town.devices.iter().filter_map(|device| device.wake).collect();
    assert!(times.len() > 4, "{times:?}");
    assert!(times.iter().all(|at| (now + 10_000..=now + 15_000).contains(at)), "{times:?}");
}
