//! What the screen shows, told by facts about its text.

#![allow(clippy::unwrap_used)]

mod devices;
mod finding;
mod foreign;
mod reading;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use sync_client::Notice;
use sync_core::api::{
    ConversationView, LastMessage, MemberView, MessageView, NewAccount, Progress, Status,
};
use sync_core::document::{OrderKey, Rank, Stamp};
use sync_core::{Command, Event, Failure, Response};
use sync_protocol::roster::Role;
use sync_protocol::sorted::{SortedMap, SortedSet};
use sync_protocol::{AccountId, DeviceId, SpaceId};

use super::draw::draw;
use super::model::{Composing, Dialog, Effect, Focus, Model, PAGE, Purpose, Side};

const NOW_MS: u64 = 1_790_000_000_000;

fn account(n: u8) -> AccountId {
    AccountId::of_root_key(&[n; 32])
}

fn space(n: u8) -> SpaceId {
    SpaceId::from_bytes([n; 32])
}

fn key(n: u64) -> OrderKey {
    OrderKey { stamp: Stamp { ms: NOW_MS + n, counter: 0 }, tag: [1; 6] }
}

fn message(n: u64, author: u8, text: &str) -> MessageView {
    MessageView {
        message: key(n),
        author: account(author),
        device: DeviceId::of_signing_key(&[author; 32]),
        text: text.to_owned(),
        at_ms: NOW_MS + n,
        rank: Rank::of(key(n), None),
        reply_to: None,
        edited: false,
        deleted: false,
        reactions: SortedMap::new(),
        status: Progress::Local,
        delivered: SortedSet::new(),
        read: SortedSet::new(),
        needs_update: false,
    }
}

fn member(n: u8, name: &str) -> MemberView {
    MemberView {
        account: account(n),
        address: Some(name.to_lowercase()),
        name: name.to_owned(),
        role: if n == 1 { Role::Admin } else { Role::Member },
    }
}

fn conversation(n: u8, title: &str) -> ConversationView {
    ConversationView {
        conversation: space(n),
        title: title.to_owned(),
        members: vec![member(1, "Ada"), member(2, "Bob")],
        adding: Vec::new(),
        unread: 0,
        last: None,
        muted: false,
        archived: false,
        pinned: false,
        pending: false,
        unreadable: None,
        vouched: None,
        withheld: false,
        active: true,
        waiting: 0,
    }
}

fn online() -> Status {
    Status {
        account: Some(account(1)),
        address: Some("ada".to_owned()),
        name: "Ada".to_owned(),
        role: "primary",
        connected: true,
        up_to_date: true,
        last_confirmed_ms: Some(NOW_MS),
        ..Status::default()
    }
}

/// Ada's screen, with these conversations, the first of them open with these messages.
fn screen(conversations: Vec<ConversationView>, messages: Vec<MessageView>) -> Model {
    let (mut model, _) = Model::start("ws://relay:1", NOW_MS);
    model.answer(Purpose::Status, Ok(Response::Status(online())));
    model.answer(Purpose::List, Ok(Response::Conversations(conversations)));
    let open = model.open.unwrap();
    model.answer(Purpose::Page(open, None), Ok(Response::Messages(messages)));
    model
}

fn text_of(model: &Model, width: u16, height: u16) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(frame, model)).unwrap();
    terminal.backend().to_string()
}

fn press(model: &mut Model, code: KeyCode) -> Vec<Effect> {
    model.press(KeyEvent::new(code, KeyModifiers::NONE))
}

fn control(model: &mut Model, letter: char) -> Vec<Effect> {
    model.press(KeyEvent::new(KeyCode::Char(letter), KeyModifiers::CONTROL))
}

fn type_in(model: &mut Model, text: &str) {
    for letter in text.chars() {
        press(model, KeyCode::Char(letter));
    }
}

#[test]
fn an_empty_store_asks_who_one_is_and_shows_the_recovery_code() {
    let (mut model, effects) = Model::start("ws://relay:1", NOW_MS);
    assert_eq!(effects, [Effect(Purpose::Status, Command::Status)]);
    model.answer(Purpose::Status, Ok(Response::Status(Status::default())));
    assert!(text_of(&model, 80, 24).contains("Welcome to Rejoinder"));
    press(&mut model, KeyCode::Enter);
    type_in(&mut model, "ada");
    assert_eq!(press(&mut model, KeyCode::Enter), []);
    type_in(&mut model, "Ada L");
    let effects = press(&mut model, KeyCode::Enter);
    let create =
        Command::CreateAccount { address: "ada".parse().unwrap(), name: "Ada L".to_owned() };
    assert_eq!(effects, [Effect(Purpose::Dialog, create)]);
    let new = NewAccount {
        account: account(1),
        device: DeviceId::of_signing_key(&[1; 32]),
        recovery_code: "apple banana cherry".to_owned(),
    };
    model.answer(Purpose::Dialog, Ok(Response::Account(new)));
    assert!(text_of(&model, 80, 24).contains("apple banana cherry"));
    press(&mut model, KeyCode::Esc);
    assert!(model.dialog.is_some(), "the code doesn't go away by accident");
    press(&mut model, KeyCode::Enter);
    assert_eq!(model.dialog, None);
}

/// Where the front page begins to show the screen.
const PICTURE: &str = "cargo test -p chat front_page -->\n\n```text\n";

#[test]
fn the_front_page_shows_the_screen_as_it_is() {
    let trip = ConversationView {
        members: vec![member(1, "Ada"), member(2, "Bob"), member(3, "Cleo")],
        unread: 0,
        ..conversation(1, "Summer trip")
    };
    let reading = ConversationView { unread: 2, ..conversation(2, "Reading list") };
    let told = |n, author, text, status| MessageView { status, ..message(n, author, text) };
    let messages = vec![
        told(1, 1, "Shall we go to the lake on Saturday?", Progress::Read),
        told(2, 2, "Yes! I bring the tent, you bring the stove.", Progress::Stored),
        told(3, 3, "Perfect", Progress::Stored),
        told(4, 1, "At nine in front of the station, with bicycles.", Progress::Stored),
    ];
    let shown = text_of(&screen(vec![trip, reading], messages), 88, 16);
    let lines = shown.lines().map(|line| line.trim_matches('"').trim_end());
    let shown: String = lines.flat_map(|line| [line, "\n"]).collect();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../README.md");
    let page = std::fs::read_to_string(path).unwrap();
    let (before, rest) = page.split_once(PICTURE).expect("the front page has a place for it");
    let (known, after) = rest.split_once("```\n").unwrap();
    if std::env::var_os("REJOINDER_WRITE_VECTORS").is_some() {
        std::fs::write(path, format!("{before}{PICTURE}{shown}```\n{after}")).unwrap();
        return;
    }
    assert!(known == shown, "draw README.md anew: REJOINDER_WRITE_VECTORS=1\n{shown}");
}

#[test]
fn a_bad_address_is_explained_and_what_was_typed_stays() {
    let (mut model, _) = Model::start("ws://relay:1", NOW_MS);
    model.answer(Purpose::Status, Ok(Response::Status(Status::default())));
    press(&mut model, KeyCode::Enter);
    type_in(&mut model, "7");
    press(&mut model, KeyCode::Tab);
    type_in(&mut model, "Ada");
    assert_eq!(press(&mut model, KeyCode::Enter), []);
    let shown = text_of(&model, 80, 24);
    assert!(shown.contains("is no address"), "{shown}");
    assert!(shown.contains("Ada"));
}

#[test]
fn ticks_tell_how_far_a_message_came() {
    let steps = [Progress::Local, Progress::Stored, Progress::Delivered, Progress::Read];
    let mut messages = Vec::new();
    for (n, status) in (0_u64..).zip(steps) {
        messages.push(MessageView { status, ..message(n, 1, &format!("number {n}")) });
    }
    messages.push(message(9, 2, "theirs"));
    let shown = text_of(&screen(vec![conversation(1, "Team")], messages), 80, 24);
    let line = |what: &str| shown.lines().find(|line| line.contains(what)).unwrap().to_owned();
    assert!(line("number 0").contains('◷'));
    assert!(line("number 1").contains('✓') && !line("number 1").contains("✓✓"));
    assert!(line("number 2").contains("✓✓"));
    assert!(line("number 3").contains("✓✓"));
    assert!(!line("theirs").contains('✓'), "the ticks of others are not ours to see");
}

#[test]
fn being_offline_is_said_with_what_waits_and_since_when() {
    let mut model = screen(vec![conversation(1, "Team")], Vec::new());
    assert!(!text_of(&model, 80, 24).contains("Offline"));
    let status = Status { connected: false, up_to_date: false, waiting: 3, ..online() };
    model.notice(Notice::Event(Event::Status(Box::new(status))));
    let shown = text_of(&model, 80, 24);
    assert!(shown.contains("Offline · 3 changes wait · last confirmed"), "{shown}");
}

#[test]
fn the_list_shows_unread_pinned_and_muted_with_pinned_first() {
    let unread = ConversationView {
        unread: 4,
        last: Some(LastMessage {
            message: key(1),
            author: account(2),
            text: "lunch?".to_owned(),
            at_ms: NOW_MS,
        }),
        ..conversation(2, "Lunch")
    };
    let pinned = ConversationView { pinned: true, muted: true, ..conversation(3, "Family") };
    let model = screen(vec![conversation(1, "Team"), unread, pinned], Vec::new());
    let shown = text_of(&model, 120, 40);
    let left: Vec<String> = shown.lines().map(|line| line.chars().take(33).collect()).collect();
    let at = |what: &str| left.iter().position(|line| line.contains(what)).unwrap();
    assert!(at("Family") < at("Team"));
    assert!(left[at("Lunch")].contains("(4)"));
    assert!(shown.contains("Bob: lunch?"));
    assert!(left[at("Family")].contains('▲') && left[at("Family")].contains('ø'));
}

#[test]
fn what_is_shown_is_marked_read_once() {
    let unread = ConversationView { unread: 1, ..conversation(1, "Team") };
    let (mut model, _) = Model::start("ws://relay:1", NOW_MS);
    model.answer(Purpose::Status, Ok(Response::Status(online())));
    model.answer(Purpose::List, Ok(Response::Conversations(vec![unread])));
    let page = vec![message(1, 2, "hi"), message(2, 1, "mine")];
    let effects = model.answer(Purpose::Page(space(1), None), Ok(Response::Messages(page.clone())));
    let read = Command::MarkRead { conversation: space(1), message: key(1) };
    assert_eq!(effects, [Effect(Purpose::Quiet, read)]);
    let again = model.answer(Purpose::Page(space(1), None), Ok(Response::Messages(page)));
    assert_eq!(again, []);
}

#[test]
fn a_message_is_written_answered_edited_and_deleted_by_keys() {
    let messages = vec![message(1, 2, "hello"), message(2, 1, "mine")];
    let mut model = screen(vec![conversation(1, "Team")], messages);
    type_in(&mut model, "good morning");
    let send = |text: &str, reply_to: Option<OrderKey>| {
        let text = text.to_owned();
        let composing = reply_to.map_or(Composing::New, Composing::Reply);
        let purpose = Purpose::Send(space(1), composing, text.clone());
        vec![Effect(purpose, Command::SendMessage { conversation: space(1), text, reply_to })]
    };
    assert_eq!(press(&mut model, KeyCode::Enter), send("good morning", None));
    assert_eq!(press(&mut model, KeyCode::Enter), [], "nothing is not a message");

    press(&mut model, KeyCode::Up);
    press(&mut model, KeyCode::Up);
    press(&mut model, KeyCode::Char('r'));
    assert!(text_of(&model, 80, 24).contains("reply to: hello"));
    type_in(&mut model, "and you");
    assert_eq!(press(&mut model, KeyCode::Enter), send("and you", Some(key(1))));

    press(&mut model, KeyCode::Up);
    press(&mut model, KeyCode::Char('e'));
    assert_eq!((model.composing, model.compose.text()), (Composing::Edit(key(2)), "mine"));
    press(&mut model, KeyCode::Esc);
    assert_eq!((model.composing, model.compose.text()), (Composing::New, ""));

    press(&mut model, KeyCode::Up);
    press(&mut model, KeyCode::Char('d'));
    assert!(text_of(&model, 80, 24).contains("Delete this message"));
    let delete = Command::DeleteMessage { conversation: space(1), message: key(2) };
    assert_eq!(press(&mut model, KeyCode::Char('y')), [Effect(Purpose::Do, delete)]);
}

#[test]
fn others_messages_cannot_be_edited() {
    let mut model = screen(vec![conversation(1, "Team")], vec![message(1, 2, "hello")]);
    press(&mut model, KeyCode::Up);
    press(&mut model, KeyCode::Char('e'));
    assert_eq!(model.composing, Composing::New);
    assert!(text_of(&model, 80, 24).contains("only your own"));
}

#[test]
fn going_up_asks_for_older_messages_once() {
    let page: Vec<_> = (100..100 + PAGE as u64).map(|n| message(n, 2, "x")).collect();
    let mut model = screen(vec![conversation(1, "Team")], page);
    press(&mut model, KeyCode::Up);
    let effects = press(&mut model, KeyCode::Home);
    let command =
        Command::ListMessages { conversation: space(1), before: Some(key(100)), limit: PAGE };
    assert_eq!(effects, [Effect(Purpose::Page(space(1), Some(key(100))), command)]);
    assert_eq!(press(&mut model, KeyCode::Up), []);
    let older = vec![message(1, 2, "first")];
    model.answer(Purpose::Page(space(1), Some(key(100))), Ok(Response::Messages(older)));
    press(&mut model, KeyCode::Home);
    let shown = text_of(&model, 80, 24);
    assert!(shown.contains("first") && shown.contains("the beginning"), "{shown}");
}

#[test]
fn somebody_typing_is_shown_for_a_while() {
    let mut model = screen(vec![conversation(1, "Team")], Vec::new());
    model.notice(Notice::Event(Event::Typing { conversation: space(1), account: account(2) }));
    assert!(text_of(&model, 80, 24).contains("Bob is typing"));
    model.tick(NOW_MS + 7_000);
    assert!(!text_of(&model, 80, 24).contains("typing"));
}

#[test]
fn members_are_listed_removed_and_added_at_the_side() {
    let mut model = screen(vec![conversation(1, "Team")], Vec::new());
    control(&mut model, 't');
    assert_eq!((model.side, model.focus), (Some(Side::Members), Focus::Side));
    let shown = text_of(&model, 80, 24);
    assert!(shown.contains("Ada (you)") && shown.contains("admin") && shown.contains("Bob"));
    press(&mut model, KeyCode::Down);
    press(&mut model, KeyCode::Char('x'));
    assert!(text_of(&model, 80, 24).contains("Remove “Bob”"));
    let effects = press(&mut model, KeyCode::Enter);
    assert!(matches!(effects.as_slice(), [Effect(Purpose::Do, Command::RemoveMember { .. })]));

    control(&mut model, 'a');
    type_in(&mut model, "carol");
    press(&mut model, KeyCode::Tab);
    let effects = press(&mut model, KeyCode::Enter);
    let add = Command::AddMember {
        conversation: space(1),
        address: "carol".parse().unwrap(),
        share_history: true,
    };
    assert_eq!(effects, [Effect(Purpose::Dialog, add)]);
    model.answer(Purpose::Dialog, Err(Failure::NotFound("address")));
    assert!(text_of(&model, 80, 24).contains("address not found"));
    assert!(matches!(model.dialog, Some(Dialog::AddMember(..))));
}

#[test]
fn drafts_stay_with_their_conversations() {
    let mut model = screen(vec![conversation(1, "Team"), conversation(2, "Lunch")], Vec::new());
    type_in(&mut model, "half a thou");
    model.open(space(2));
    assert_eq!(model.compose.text(), "");
    model.open(space(1));
    assert_eq!(model.compose.text(), "half a thou");
}

#[test]
fn wide_letters_and_hostile_names_keep_the_frame_whole() {
    let mut view = conversation(1, "会議\u{1b}[2J室 🎉");
    view.members[1].name = "Bob\u{202e}\u{7}\nEve".to_owned();
    let text = "你好👩‍👩‍👧 a very long line that has to be wrapped somewhere ".repeat(4);
    let mut model = screen(vec![view], vec![message(1, 2, &text)]);
    for width in [20, 33, 80, 120, 200] {
        for height in [6, 10, 24, 60] {
            let shown = text_of(&model, width, height);
            assert!(!shown.contains('\u{1b}') && !shown.contains('\u{202e}'));
        }
    }
    for dialog in ["n", "a"] {
        control(&mut model, dialog.chars().next().unwrap());
        for (width, height) in [(20, 6), (40, 12), (80, 24)] {
            text_of(&model, width, height);
        }
        press(&mut model, KeyCode::Esc);
    }
}
