//! The first run, linking, the page of devices, and being removed.

use sync_core::api::{
    AwayView, Compared, ContactCard, DeviceView, InviteView, Join, LinkEvent, Member, Whose,
};
use sync_protocol::Rejection;
use sync_protocol::dormancy::Dormancy;

use super::*;
use crate::screen::pages::{Linking, Page};

/// As long as an offer is: a meeting point, a key, a secret and a name in base 32.
const OFFER: &str = "REJOINDER:UQAQCABRGIZTINJWG44DSMBRGIZTINJWG44DSMBRGIZTINJWG44DSMBRGIZTINJWG44DSM\
    BRGIZTINJWG44DSMBRGIZTINJWG44DSMBRGIZTINJWG44DSMBRGIZTINJWG44DSMBRGIZTINJWG44DSMBR3MXGC4DUN5YA";

fn device(n: u8) -> DeviceId {
    DeviceId::of_signing_key(&[n; 32])
}

fn device_view(n: u8, name: &str, role: &'static str) -> DeviceView {
    DeviceView {
        device: device(n),
        name: name.to_owned(),
        role,
        current: n == 1,
        linked_ms: Some(NOW_MS - u64::from(n) * 86_400_000),
        last_seen_ms: Some(NOW_MS - u64::from(n) * 60_000),
        dormancy: None,
        revoked: false,
    }
}

/// A screen on an empty store.
fn first_run() -> Model {
    let (mut model, _) = Model::start("ws://relay:1", NOW_MS);
    model.device_name = "laptop".to_owned();
    model.answer(Purpose::Status, Ok(Response::Status(Status::default())));
    model
}

/// A first run that got as far as an offer.
fn offered() -> Model {
    let mut model = first_run();
    press(&mut model, KeyCode::Down);
    press(&mut model, KeyCode::Enter);
    let effects = press(&mut model, KeyCode::Enter);
    let offer = Command::OfferDevice { name: "laptop".to_owned(), join: Join::Ask };
    assert_eq!(effects, [Effect(Purpose::Offer, offer)]);
    model.answer(Purpose::Offer, Ok(Response::Offer(OFFER.to_owned())));
    model
}

/// Ada's screen with three devices, the page of them open.
fn on_devices() -> Model {
    let mut model = screen(vec![conversation(1, "Team")], Vec::new());
    let effects = control(&mut model, 'd');
    assert_eq!(effects, [Effect(Purpose::Devices, Command::ListDevices)]);
    let removed = DeviceView { revoked: true, ..device_view(3, "old tablet", "companion") };
    let all =
        vec![device_view(1, "phone", "primary"), device_view(2, "laptop", "companion"), removed];
    model.answer(Purpose::Devices, Ok(Response::Devices(all)));
    model
}

fn whose() -> Whose {
    Whose { account: account(1), address: Some("ada".to_owned()), name: "Ada".to_owned() }
}

#[test]
fn who_says_no_to_an_account_offers_nothing_to_it() {
    let mut model = offered();
    link(&mut model, LinkEvent::Account(whose()));
    let effects = press(&mut model, KeyCode::Esc);
    assert_eq!(effects, [Effect(Purpose::Quiet, Command::CancelLink)]);
}

fn link(model: &mut Model, event: LinkEvent) -> Vec<Effect> {
    model.notice(Notice::Event(Event::Link(event)))
}

#[test]
fn an_empty_store_offers_three_ways_to_begin() {
    let shown = text_of(&first_run(), 80, 24);
    for choice in ["Create an account", "Link this device", "Recover with your code"] {
        assert!(shown.contains(choice), "{shown}");
    }
}

#[test]
fn an_offer_is_shown_as_a_picture_and_as_a_text_to_paste() {
    let mut model = offered();
    let large = text_of(&model, 120, 40);
    let whole = OFFER.chars().take(120).collect::<String>();
    assert!(large.contains('▀') && large.contains(&whole), "{large}");
    assert!(large.contains("Good for 2:00 more"));
    let small = text_of(&model, 80, 24);
    assert!(small.contains('▀') && small.contains("press t here"), "{small}");
    press(&mut model, KeyCode::Char('t'));
    let small = text_of(&model, 80, 24);
    assert!(!small.contains('▀') && small.contains(&OFFER[..80]), "{small}");
    model.tick(NOW_MS + 75_000);
    assert!(text_of(&model, 80, 24).contains("Good for 0:45 more"));
}

#[test]
fn the_code_is_large_and_then_history_arrives() {
    let mut model = offered();
    link(&mut model, LinkEvent::Account(whose()));
    let shown = text_of(&model, 80, 24);
    assert!(shown.contains("Is this your account?") && shown.contains("ada (“Ada”)"), "{shown}");
    let effects = press(&mut model, KeyCode::Char('y'));
    let joins = Command::JoinAccount { account: account(1) };
    assert_eq!(effects, [Effect(Purpose::Quiet, joins)]);
    link(&mut model, LinkEvent::Code { code: "1234567".to_owned(), whose: whose() });
    let shown = text_of(&model, 80, 24);
    assert!(shown.contains("Type this code") && shown.contains("██████"), "{shown}");
    let done = LinkEvent::Done { account: account(1), device: device(2) };
    let effects = link(&mut model, done);
    assert!(effects.contains(&Effect(Purpose::Status, Command::Status)));
    let status = Status { role: "companion", ..online() };
    model.answer(Purpose::Status, Ok(Response::Status(status)));
    model.answer(Purpose::List, Ok(Response::Conversations(vec![conversation(1, "Team")])));
    let history = |read| Event::History { conversation: space(1), read, total: 400 };
    model.notice(Notice::Event(history(100)));
    let shown = text_of(&model, 80, 24);
    assert!(shown.contains("Linked") && shown.contains("100 of 400"), "{shown}");
    assert_eq!(model.open, None, "nothing is marked read behind the page");
    press(&mut model, KeyCode::Enter);
    assert!(text_of(&model, 80, 24).contains("earlier messages arrive: 25 %"));
    model.notice(Notice::Event(history(400)));
    assert!(!text_of(&model, 80, 24).contains("arrive"));
}

#[test]
fn a_link_that_failed_says_that_nothing_was_changed_and_can_be_tried_again() {
    let mut model = offered();
    link(&mut model, LinkEvent::Failed(Failure::Refused(Rejection::NotFound)));
    let shown = text_of(&model, 80, 24);
    assert!(shown.contains("was not linked") && shown.contains("Nothing was changed"), "{shown}");
    let effects = press(&mut model, KeyCode::Enter);
    assert!(matches!(effects.as_slice(), [Effect(Purpose::Offer, Command::OfferDevice { .. })]));
    let effects = press(&mut model, KeyCode::Esc);
    assert_eq!(effects, [Effect(Purpose::Quiet, Command::CancelLink)]);
    model.answer(Purpose::Offer, Ok(Response::Offer(OFFER.to_owned())));
    assert!(matches!(model.page, Some(Page::Start(_))), "an offer that came late shows nothing");
}

#[test]
fn recovery_forgives_how_the_words_are_typed_and_finds_wrong_ones() {
    let mut model = first_run();
    press(&mut model, KeyCode::Up);
    press(&mut model, KeyCode::Enter);
    type_in(&mut model, "ada");
    press(&mut model, KeyCode::Enter);
    type_in(&mut model, "Legal  winner thank year wave sausage worth useful");
    press(&mut model, KeyCode::Enter);
    press(&mut model, KeyCode::Enter);
    let shown = text_of(&model, 80, 24);
    assert!(shown.contains("a recovery code has 12 words, these are 8"), "{shown}");
    press(&mut model, KeyCode::Up);
    type_in(&mut model, " legal winner thank yelow");
    press(&mut model, KeyCode::Down);
    press(&mut model, KeyCode::Enter);
    assert!(text_of(&model, 80, 24).contains("word 12, \"yelow\", is in no recovery code"));
    press(&mut model, KeyCode::Up);
    for _ in 0..5 {
        press(&mut model, KeyCode::Backspace);
    }
    type_in(&mut model, "YELLOW");
    press(&mut model, KeyCode::Down);
    let effects = press(&mut model, KeyCode::Enter);
    let code = "legal winner thank year wave sausage worth useful legal winner thank yellow";
    let recover = Command::RecoverAccount {
        address: "ada".parse().unwrap(),
        code: code.to_owned(),
        name: "laptop".to_owned(),
    };
    assert_eq!(effects, [Effect(Purpose::Dialog, recover)]);
    let new = NewAccount {
        account: account(1),
        device: device(1),
        recovery_code: "some other words".to_owned(),
    };
    model.answer(Purpose::Dialog, Ok(Response::Account(new)));
    let shown = text_of(&model, 80, 24);
    assert!(shown.contains("some other words") && shown.contains("counts no more"), "{shown}");
}

#[test]
fn devices_are_listed_with_what_to_know_of_them() {
    let model = on_devices();
    for (width, height) in [(80, 24), (120, 40)] {
        let shown = text_of(&model, width, height);
        let line = |what: &str| shown.lines().find(|line| line.contains(what)).unwrap().to_owned();
        assert!(line("phone").contains("(here)") && line("phone").contains("primary"));
        assert!(line("laptop").contains("companion"));
        assert!(line("old tablet").contains("removed"));
    }
}

#[test]
fn a_device_that_sleeps_for_weeks_is_pointed_out() {
    let mut model = on_devices();
    let seen = NOW_MS - 31 * 86_400_000;
    let away = AwayView { device: device(2), last_seen_ms: seen, dormancy: Dormancy::Dormant };
    let status = Status { away: vec![away], ..online() };
    model.notice(Notice::Event(Event::Status(Box::new(status))));
    for (dormancy, word) in [(Dormancy::Asleep, "(asleep)"), (Dormancy::Dormant, "(dormant)")] {
        let laptop = DeviceView {
            last_seen_ms: Some(seen),
            dormancy: Some(dormancy),
            ..device_view(2, "laptop", "companion")
        };
        let all = vec![device_view(1, "phone", "primary"), laptop];
        model.answer(Purpose::Devices, Ok(Response::Devices(all)));
        let shown = text_of(&model, 80, 24);
        assert!(shown.contains(word) && shown.contains("“laptop”: last seen"), "{shown}");
    }
    press(&mut model, KeyCode::Esc);
    assert!(text_of(&model, 80, 24).contains("a device of yours was not here for weeks"));
}

#[test]
fn a_device_is_linked_by_its_text_an_answer_about_history_and_its_code() {
    let mut model = on_devices();
    press(&mut model, KeyCode::Char('l'));
    model.paste(&format!("{}\n{}\n", &OFFER[..80], &OFFER[80..]));
    press(&mut model, KeyCode::Enter);
    assert!(text_of(&model, 80, 24).contains("May it read what was written before?"));
    assert_eq!(press(&mut model, KeyCode::Enter), [], "the question has no answer by accident");
    let effects = press(&mut model, KeyCode::Char('y'));
    let accept = Command::AcceptDevice { offer: OFFER.to_owned(), history: true };
    assert_eq!(effects, [Effect(Purpose::Dialog, accept)]);
    assert!(text_of(&model, 80, 24).contains("one moment"));
    model.answer(Purpose::Dialog, Ok(Response::DeviceName("tablet".to_owned())));
    assert!(text_of(&model, 80, 24).contains("“tablet” shows a code"));
    type_in(&mut model, "123 456");
    assert_eq!(press(&mut model, KeyCode::Enter), []);
    assert!(text_of(&model, 80, 24).contains("the code has 7 digits"));
    type_in(&mut model, "7");
    let effects = press(&mut model, KeyCode::Enter);
    let confirm = Command::ConfirmDevice { code: "1234567".to_owned() };
    assert_eq!(effects, [Effect(Purpose::Dialog, confirm)]);
    model.answer(Purpose::Dialog, Ok(Response::Device(device(4))));
    assert!(text_of(&model, 80, 24).contains("“tablet” is linked"));
}

#[test]
fn a_wrong_code_ends_the_link_and_says_how_to_begin_anew() {
    let mut model = on_devices();
    press(&mut model, KeyCode::Char('l'));
    model.paste(OFFER);
    press(&mut model, KeyCode::Enter);
    press(&mut model, KeyCode::Char('n'));
    model.answer(Purpose::Dialog, Ok(Response::DeviceName("tablet".to_owned())));
    type_in(&mut model, "1234567");
    press(&mut model, KeyCode::Enter);
    model.answer(Purpose::Dialog, Err(Failure::Denied("the code is another")));
    let shown = text_of(&model, 80, 24);
    assert!(shown.contains("the code is another") && shown.contains("new offer"), "{shown}");
    assert_eq!(press(&mut model, KeyCode::Esc), [Effect(Purpose::Quiet, Command::CancelLink)]);
}

#[test]
fn removing_a_device_is_asked_twice_and_not_offered_where_it_fails() {
    let mut model = on_devices();
    press(&mut model, KeyCode::Char('x'));
    assert!(text_of(&model, 80, 24).contains("make another device the primary first"));
    press(&mut model, KeyCode::Down);
    press(&mut model, KeyCode::Char('x'));
    assert!(text_of(&model, 80, 24).contains("Remove “laptop”?"));
    let revoke = Command::RevokeDevice { device: device(2) };
    assert_eq!(press(&mut model, KeyCode::Char('y')), [Effect(Purpose::Do, revoke)]);
    press(&mut model, KeyCode::Char('p'));
    let primary = Command::MakePrimary { device: device(2) };
    assert_eq!(press(&mut model, KeyCode::Char('y')), [Effect(Purpose::Do, primary)]);
    press(&mut model, KeyCode::Down);
    press(&mut model, KeyCode::Char('x'));
    assert!(text_of(&model, 80, 24).contains("removed already"));
}

#[test]
fn a_new_recovery_code_takes_the_place_of_the_old_one() {
    let mut model = on_devices();
    press(&mut model, KeyCode::Char('c'));
    let effects = press(&mut model, KeyCode::Char('y'));
    assert_eq!(effects, [Effect(Purpose::Do, Command::NewRecoveryCode)]);
    let code = "some other words".to_owned();
    model.answer(Purpose::Do, Ok(Response::RecoveryCode(code)));
    assert!(text_of(&model, 80, 24).contains("some other words"));
    press(&mut model, KeyCode::Enter);
    assert!(text_of(&model, 80, 24).contains("Devices"));
}

#[test]
fn an_invite_is_the_relays_address_with_its_code() {
    let invite = |code: &str| InviteView { code: code.to_owned(), until_ms: NOW_MS };
    for (relay, shown) in [
        ("ws://relay:1", "ws://relay:1?token=abc234"),
        ("wss://relay/x?token=old&tenant=7", "wss://relay/x?tenant=7&token=abc234"),
    ] {
        let mut model = screen(vec![conversation(1, "Team")], Vec::new());
        model.relay = relay.to_owned();
        control(&mut model, 's');
        let effects = press(&mut model, KeyCode::Char('i'));
        assert_eq!(effects, [Effect(Purpose::Do, Command::DrawInvite)]);
        model.answer(Purpose::Do, Ok(Response::Invite(invite("abc234"))));
        assert!(text_of(&model, 80, 24).contains(shown));
        assert!(text_of(&model, 30, 7).contains("abc234"));
        press(&mut model, KeyCode::Enter);
        assert_eq!(model.dialog, None);
    }
}

#[test]
fn a_companion_may_only_log_itself_out_and_then_begins_anew() {
    let mut model = on_devices();
    let status = Status { role: "companion", ..online() };
    model.notice(Notice::Event(Event::Status(Box::new(status))));
    press(&mut model, KeyCode::Down);
    for key in ['l', 'p', 'x', 'c'] {
        model.notice = None;
        assert_eq!(press(&mut model, KeyCode::Char(key)), []);
        assert!(text_of(&model, 80, 24).contains("only the primary device does that"), "{key}");
    }
    press(&mut model, KeyCode::Up);
    press(&mut model, KeyCode::Char('x'));
    assert!(text_of(&model, 80, 24).contains("Everything on this device is deleted"));
    let effects = press(&mut model, KeyCode::Char('y'));
    let revoke = Command::RevokeDevice { device: device(1) };
    assert_eq!(effects, [Effect(Purpose::Do, revoke)]);
    model.answer(Purpose::Do, Ok(Response::Done));
    model.answer(Purpose::Status, Ok(Response::Status(Status::default())));
    let shown = text_of(&model, 80, 24);
    assert!(shown.contains("Welcome to Rejoinder") && !shown.contains("Team"), "{shown}");
}

#[test]
fn a_removed_device_is_told_and_writes_nothing_more() {
    let mut model = screen(vec![conversation(1, "Team")], vec![message(1, 2, "hello")]);
    model.notice(Notice::Event(Event::Revoked { unsent: 3 }));
    let shown = text_of(&model, 80, 24);
    assert!(shown.contains("was removed") && shown.contains("3 changes"), "{shown}");
    press(&mut model, KeyCode::Enter);
    let shown = text_of(&model, 80, 24);
    assert!(shown.contains("hello") && shown.contains("nothing new comes"), "{shown}");
    type_in(&mut model, "x");
    assert_eq!(press(&mut model, KeyCode::Enter), [], "nothing is sent");
    assert_eq!(model.compose.text(), "");
}

#[test]
fn changed_devices_of_others_stay_in_view_until_the_number_was_compared() {
    let mut model = screen(vec![conversation(1, "Team")], vec![message(1, 2, "hello")]);
    model.tick(NOW_MS + 10);
    let devices =
        Event::Devices { account: account(2), added: vec![device(9)], revoked: Vec::new() };
    let effects = model.notice(Notice::Event(devices));
    let key = format!("contact/{}/devices_changed", account(2));
    let mark = |value| Command::SetSetting { key: key.clone(), value };
    assert!(effects.contains(&Effect(Purpose::Quiet, mark((NOW_MS + 10).into()))));
    let line = "the devices of “Bob” changed";
    assert!(text_of(&model, 80, 24).contains(line));
    control(&mut model, 't');
    press(&mut model, KeyCode::Down);
    let effects = press(&mut model, KeyCode::Char('i'));
    let show = Command::ShowContact { member: Member::Account(account(2)) };
    assert_eq!(effects, [Effect(Purpose::Contact, show)]);
    let card = ContactCard {
        account: account(2),
        address: Some("bob".to_owned()),
        name: "Bob".to_owned(),
        safety_number: ["12345"; 12].join(" "),
        shown: format!("REJOINDER-SAFETY:{}", "A".repeat(240)),
        compared: Compared::Changed,
    };
    model.answer(Purpose::Contact, Ok(Response::Contact(card)));
    let shown = text_of(&model, 80, 24);
    assert!(shown.contains("12345 12345") && shown.contains("Compare it with “Bob”"), "{shown}");
    assert!(shown.contains("compare again"), "{shown}");
    press(&mut model, KeyCode::Char('q'));
    assert!(text_of(&model, 120, 50).contains('▀'));
    assert!(text_of(&model, 80, 24).contains("REJOINDER-SAFETY"), "as text, where it has no room");
    press(&mut model, KeyCode::Esc);
    let effects = press(&mut model, KeyCode::Char('v'));
    let number = Some(["12345"; 12].join(" "));
    let verify = Command::VerifyContact { account: account(2), safety_number: number };
    let cleared = Effect(Purpose::Do, mark(serde_json::Value::Null));
    assert_eq!(effects, [Effect(Purpose::Do, verify), cleared]);
    assert!(!text_of(&model, 80, 24).contains(line));
}

#[test]
fn an_invitation_is_answered_before_anything_is_written_or_marked_read() {
    let pending = ConversationView { pending: true, unread: 1, ..conversation(1, "Deals") };
    let mut model = screen(vec![pending], vec![message(1, 2, "buy this")]);
    let read = model.answer(
        Purpose::Page(space(1), None),
        Ok(Response::Messages(vec![message(1, 2, "buy this")])),
    );
    assert_eq!(read, [], "whoever invited doesn't learn that it was read");
    let shown = text_of(&model, 80, 24);
    assert!(shown.contains("An invitation. In it: “Bob” (bob)"), "{shown}");
    type_in(&mut model, "hello");
    assert_eq!(model.compose.text(), "");
    let accept = Command::AcceptConversation { conversation: space(1) };
    assert_eq!(press(&mut model, KeyCode::Char('a')), [Effect(Purpose::Do, accept)]);
    press(&mut model, KeyCode::Char('b'));
    assert!(text_of(&model, 80, 24).contains("block whoever invited you"));
    let decline = Command::DeclineConversation { conversation: space(1), block: true };
    assert_eq!(press(&mut model, KeyCode::Char('y')), [Effect(Purpose::Do, decline)]);
}

#[test]
fn every_page_keeps_its_frame_at_any_size() {
    let mut linking = offered();
    let failed = Linking::Failed("x".repeat(500));
    let mut models = vec![first_run(), offered(), on_devices()];
    for page in [Page::Linking(failed), Page::Linking(Linking::Asked), Page::Ended(9)] {
        linking.page = Some(page);
        for (width, height) in [(20, 6), (33, 10), (80, 24), (200, 60)] {
            text_of(&linking, width, height);
        }
    }
    linking.page = Some(Page::Linking(Linking::Code("1234567".to_owned(), whose())));
    models.push(linking);
    for model in &mut models {
        for (width, height) in [(20, 6), (33, 10), (60, 14), (80, 24), (120, 40), (200, 60)] {
            text_of(model, width, height);
            model.dialog = Some(Dialog::Help(0));
            text_of(model, width, height);
            model.dialog = None;
        }
    }
}
