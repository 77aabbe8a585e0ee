//! What others chose to be called is shown as theirs: one line of bounded width, that says nothing
//! in our name.

use ratatui::layout::Size;
use sync_core::api::{Compared, ContactCard, DeviceView, LinkEvent, Whose};

use super::*;
use crate::screen::pages::Page;

/// A name that would go on with our sentences, and one that would push them away.
const FORGED: &str = "Bob” (bob)\nThis person is in your contacts and was verified. “";
const WIDE: &str = "会議会議会議会議会議会議会議会議会議会議会議会議会議会議会議会議";

fn forged(n: u8, name: &str) -> MemberView {
    MemberView { address: Some(format!("stranger{n}")), ..member(n, name) }
}

fn shown(model: &mut Model) -> String {
    model.size = Size::new(80, 24);
    text_of(model, 80, 24)
}

#[test]
fn a_strangers_name_adds_nothing_to_an_invitation() {
    let mut view = ConversationView { pending: true, ..conversation(1, "") };
    view.members = vec![member(1, "Ada"), forged(2, FORGED)];
    let mut model = screen(vec![view], Vec::new());
    let told = shown(&mut model);
    assert!(told.contains("“Bob' (bob) This person"), "{told}");
    assert!(told.contains("(stranger2)"), "{told}");
    assert!(!told.contains("verified. "), "{told}");
    assert!(told.contains("a accept"), "{told}");
}

#[test]
fn many_members_leave_room_for_the_answer_to_an_invitation() {
    let mut view = ConversationView { pending: true, ..conversation(1, WIDE) };
    view.members = (1..=100).map(|n| forged(n, WIDE)).collect();
    let mut model = screen(vec![view], Vec::new());
    for height in [10, 16, 24] {
        model.size = Size::new(80, height);
        let told = text_of(&model, 80, height);
        assert!(told.contains("a accept   d decline"), "{told}");
    }
    assert!(shown(&mut model).contains("(stranger5) and 95"), "{}", shown(&mut model));
}

#[test]
fn a_question_is_seen_whole_whatever_the_name_in_it() {
    for name in [FORGED, WIDE, "x\u{202e}\u{2028}y"] {
        let mut view = conversation(1, "Team");
        view.members = vec![member(1, "Ada"), forged(2, name)];
        let mut model = screen(vec![view], Vec::new());
        control(&mut model, 't');
        press(&mut model, KeyCode::Down);
        press(&mut model, KeyCode::Char('x'));
        let told = shown(&mut model);
        assert!(told.contains("Remove “") && told.contains("conversation?"), "{told}");
        assert!(told.contains("y yes"), "{told}");
        let Some(Dialog::Confirm(question, _)) = &model.dialog else { panic!("no question") };
        assert_eq!(question.matches(['“', '”', '\n', '\u{2028}', '\u{202e}']).count(), 2);
    }
}

#[test]
fn a_device_is_asked_about_by_its_name_in_quotation_marks() {
    let mut model = screen(vec![conversation(1, "Team")], Vec::new());
    let device = |n: u8, name: &str| DeviceView {
        device: DeviceId::of_signing_key(&[n; 32]),
        name: name.to_owned(),
        role: if n == 1 { "primary" } else { "companion" },
        current: n == 1,
        linked_ms: None,
        last_seen_ms: None,
        dormancy: (n == 2).then_some(sync_protocol::dormancy::Dormancy::Dormant),
        revoked: false,
    };
    model.page = Some(Page::Devices(1));
    let name = "phone” is lost\nPress y. “";
    let devices = vec![device(1, "laptop"), device(2, name)];
    model.answer(Purpose::Devices, Ok(Response::Devices(devices)));
    assert!(shown(&mut model).contains("“phone' is lost Press y. '”: last seen long ago"));
    press(&mut model, KeyCode::Char('x'));
    let told = shown(&mut model);
    assert!(told.contains("Remove “phone' is lost Press y. '”?"), "{told}");
}

#[test]
fn who_offers_a_link_is_named_in_quotation_marks() {
    let (mut model, _) = Model::start("ws://relay:1", NOW_MS);
    model.answer(Purpose::Status, Ok(Response::Status(Status::default())));
    model.page = Some(Page::Linking(crate::screen::pages::Linking::Joining));
    let whose = Whose { account: account(3), address: None, name: FORGED.to_owned() };
    model.notice(Notice::Event(Event::Link(LinkEvent::Account(whose))));
    let told = shown(&mut model);
    assert!(told.contains("an account without an address (“Bob' (bob)"), "{told}");
    assert!(!told.contains("was verified. "), "{told}");
}

#[test]
fn long_names_leave_the_rest_of_a_line_in_view() {
    let mut view = conversation(1, "Team");
    view.members = vec![member(1, "Ada"), forged(2, WIDE), forged(3, WIDE), forged(4, WIDE)];
    view.last = Some(LastMessage {
        message: key(1),
        author: account(2),
        text: "see you".to_owned(),
        at_ms: NOW_MS,
    });
    let mut model = screen(vec![view], vec![message(1, 2, "see you")]);
    for n in 2..=4 {
        let typing = Event::Typing { conversation: space(1), account: account(n) };
        model.notice(Notice::Event(typing));
    }
    let status = Status { name: WIDE.to_owned(), address: Some("a".repeat(64)), ..online() };
    model.notice(Notice::Event(Event::Status(Box::new(status))));
    let told = shown(&mut model);
    assert!(told.contains(" 3 are typing…"), "{told}");
    assert!(told.contains("up to date"), "{told}");
    let wide = text_of(&model, 120, 24);
    assert!(wide.contains(": see") && wide.contains("and 1 more are typing…"), "{wide}");
}

#[test]
fn a_contact_is_compared_under_a_name_of_one_line() {
    let mut model = screen(vec![conversation(1, "Team")], Vec::new());
    let card = ContactCard {
        account: account(2),
        address: Some("bob".to_owned()),
        name: FORGED.to_owned(),
        safety_number: "11111 22222".to_owned(),
        shown: String::new(),
        compared: Compared::Never,
    };
    model.dialog = Some(Dialog::Contact(card));
    let told = shown(&mut model);
    assert!(told.contains("Compare it with “Bob' (bob) This"), "{told}");
    press(&mut model, KeyCode::Char('b'));
    let told = shown(&mut model);
    assert!(told.contains("Block “Bob'") && told.contains("nothing more of them."), "{told}");
}
