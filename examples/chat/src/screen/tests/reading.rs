//! Tall messages, refused texts and small windows.

use std::collections::BTreeSet;

use ratatui::layout::Size;
use sync_core::api::{Compared, ContactCard, Whose};

use super::*;
use crate::screen::pages::{Linking, Page};

/// What is seen in a window of this size, of which the keys know from then on.
fn look(model: &mut Model, width: u16, height: u16) -> String {
    model.size = Size::new(width, height);
    text_of(model, width, height)
}

fn tall(lines: usize) -> String {
    (1..=lines).map(|n| format!("line {n:02}.")).collect::<Vec<_>>().join("\n")
}

/// Which of so many lines are seen while a key is pressed until a message is chosen, and how often
/// it was.
fn seen_until(
    model: &mut Model,
    code: KeyCode,
    end: OrderKey,
    lines: usize,
) -> (BTreeSet<usize>, usize) {
    let (mut seen, mut pressed) = (BTreeSet::new(), 0);
    while model.selected != Some(end) {
        let shown = look(model, 80, 20);
        seen.extend((1..=lines).filter(|n| shown.contains(&format!("line {n:02}."))));
        press(model, code);
        pressed += 1;
        assert!(pressed < 200, "{shown}");
    }
    (seen, pressed)
}

#[test]
fn every_line_of_a_message_taller_than_the_screen_is_reached_by_keys() {
    let messages = vec![message(1, 2, "before"), message(2, 2, &tall(60)), message(3, 2, "after")];
    let mut model = screen(vec![conversation(1, "Team")], messages);
    let all: BTreeSet<usize> = (1..=60).collect();
    look(&mut model, 80, 20);
    press(&mut model, KeyCode::Up);
    assert_eq!(model.selected, Some(key(3)));
    let (seen, pressed) = seen_until(&mut model, KeyCode::Up, key(1), 60);
    assert_eq!(seen, all);
    assert!(pressed > 40, "line by line, and not by leaps: {pressed}");
    let (seen, _) = seen_until(&mut model, KeyCode::Down, key(3), 60);
    assert_eq!(seen, all);
    let (seen, pressed) = seen_until(&mut model, KeyCode::PageUp, key(1), 60);
    assert_eq!(seen, all);
    assert!(pressed < 12, "page by page: {pressed}");
    let (seen, _) = seen_until(&mut model, KeyCode::PageDown, key(3), 60);
    assert_eq!(seen, all);
}

#[test]
fn a_tall_message_says_which_of_its_lines_are_seen() {
    let mut model = screen(vec![conversation(1, "Team")], vec![message(1, 2, &tall(60))]);
    assert!(look(&mut model, 80, 20).contains("line 60."), "the newest is in view");
    press(&mut model, KeyCode::Up);
    let end = look(&mut model, 80, 20);
    assert!(end.contains("line 60.") && end.contains(" of 63 ↑↓"), "{end}");
    press(&mut model, KeyCode::Home);
    let start = look(&mut model, 80, 20);
    assert!(start.contains("line 01.") && start.contains("lines 1 to 12 of 63"), "{start}");
    // A larger window shows more at once, and nothing beyond the end.
    model.scroll = usize::MAX;
    assert!(look(&mut model, 80, 40).contains("line 60."));
    assert!(!look(&mut model, 80, 100).contains("of 63"));
}

#[test]
fn paging_passes_no_message_unseen() {
    let messages: Vec<_> = (1..=50).map(|n| message(n, 2, &format!("line {n:02}."))).collect();
    let mut model = screen(vec![conversation(1, "Team")], messages);
    let all: BTreeSet<usize> = (1..=50).collect();
    look(&mut model, 80, 20);
    press(&mut model, KeyCode::PageUp);
    let (mut seen, up) = seen_until(&mut model, KeyCode::PageUp, key(1), 50);
    seen.extend((1..=50).filter(|n| look(&mut model, 80, 20).contains(&format!("line {n:02}."))));
    assert_eq!(seen, all);
    let (mut seen, down) = seen_until(&mut model, KeyCode::PageDown, key(50), 50);
    seen.extend((1..=50).filter(|n| look(&mut model, 80, 20).contains(&format!("line {n:02}."))));
    assert_eq!(seen, all);
    assert!(up < 12 && down < 12, "{up} {down}");
}

fn send(model: &mut Model) -> Purpose {
    let mut effects = press(model, KeyCode::Enter);
    assert_eq!(model.compose.text(), "");
    effects.pop().unwrap().0
}

#[test]
fn a_text_that_is_refused_can_be_written_on() {
    let mut model = screen(
        vec![conversation(1, "Team"), conversation(2, "Lunch")],
        vec![message(1, 1, "mine"), message(2, 2, "theirs")],
    );
    let too_large = || Failure::TooLarge { what: "text", limit: 65_536 };
    for failure in [too_large(), Failure::Store, Failure::Denied("not a member")] {
        model.compose = crate::screen::field::Field::default();
        type_in(&mut model, "good morning");
        let purpose = send(&mut model);
        let said = failure.to_string();
        model.answer(purpose, Err(failure));
        assert_eq!(model.compose.text(), "good morning");
        let shown = look(&mut model, 80, 24);
        assert!(shown.contains("good morning") && shown.contains("not sent: "), "{shown} {said}");
    }
    // What was begun meanwhile comes after it.
    let purpose = send(&mut model);
    type_in(&mut model, "and you");
    model.answer(purpose, Err(too_large()));
    assert_eq!(model.compose.text(), "good morning\nand you");
    // In another conversation meanwhile: it waits where it was written.
    let purpose = send(&mut model);
    model.open(space(2));
    model.answer(purpose, Err(too_large()));
    assert_eq!(model.compose.text(), "");
    model.open(space(1));
    assert_eq!(model.compose.text(), "good morning\nand you");
}

#[test]
fn a_refused_edit_or_reply_is_still_one() {
    let messages = vec![message(1, 1, "mine"), message(2, 2, "theirs")];
    let mut model = screen(vec![conversation(1, "Team")], messages);
    press(&mut model, KeyCode::Up);
    press(&mut model, KeyCode::Char('r'));
    type_in(&mut model, "yes");
    let purpose = send(&mut model);
    model.answer(purpose, Err(Failure::Store));
    assert_eq!((model.composing, model.compose.text()), (Composing::Reply(key(2)), "yes"));
    model.compose.take();
    model.composing = Composing::New;
    press(&mut model, KeyCode::Up);
    press(&mut model, KeyCode::Up);
    press(&mut model, KeyCode::Char('e'));
    type_in(&mut model, "!");
    let purpose = send(&mut model);
    model.answer(purpose, Err(Failure::Store));
    assert_eq!((model.composing, model.compose.text()), (Composing::Edit(key(1)), "mine!"));
}

#[test]
fn a_long_refusal_can_be_read() {
    let mut model = screen(vec![conversation(1, "Team")], Vec::new());
    model.notice = Some(Failure::Partial.to_string());
    let shown = look(&mut model, 80, 24);
    assert!(shown.contains("has all of it"), "{shown}");
}

#[test]
fn a_narrow_window_shows_one_pane_at_a_time() {
    let mut model = screen(vec![conversation(1, "Team")], vec![message(1, 2, "hello there")]);
    let shown = look(&mut model, 30, 12);
    assert!(shown.contains("hello there") && !shown.contains("Conversations"), "{shown}");
    press(&mut model, KeyCode::Esc);
    let shown = look(&mut model, 30, 12);
    assert!(shown.contains("Conversations") && shown.contains("Team"), "{shown}");
    press(&mut model, KeyCode::Enter);
    control(&mut model, 't');
    let shown = look(&mut model, 30, 12);
    assert!(shown.contains("Members") && shown.contains("Bob"), "{shown}");
}

#[test]
fn the_member_that_keys_act_on_is_in_view() {
    let mut view = conversation(1, "Team");
    view.members = (1..=40).map(|n| member(n, &format!("Person{n:02}"))).collect();
    let mut model = screen(vec![view], Vec::new());
    control(&mut model, 't');
    for _ in 0..29 {
        press(&mut model, KeyCode::Down);
    }
    let shown = look(&mut model, 80, 20);
    assert!(shown.contains("Person30") && !shown.contains("Person01"), "{shown}");
}

fn card() -> ContactCard {
    ContactCard {
        account: account(2),
        address: Some("bob".to_owned()),
        name: "Bob".to_owned(),
        safety_number: "11111 22222 33333 44444 55555 66666 77777 88888 99999 00000 12121 34343"
            .to_owned(),
        shown: "REJOINDER-SAFETY:ABC".to_owned(),
        compared: Compared::Never,
    }
}

#[test]
fn what_matters_is_seen_in_a_small_window() {
    let mut model = screen(vec![conversation(1, "Team")], Vec::new());
    let code = "abandon ability able about above absent absorb abstract absurd abuse access acid";
    model.dialog = Some(Dialog::RecoveryCode { code: code.to_owned(), replaces: false });
    let shown = look(&mut model, 40, 8);
    assert!(code.split(' ').all(|word| shown.contains(word)), "{shown}");
    assert!(shown.contains("Enter"), "{shown}");

    model.dialog = Some(Dialog::Contact(card()));
    let shown = look(&mut model, 40, 9);
    assert!(card().safety_number.split(' ').all(|group| shown.contains(group)), "{shown}");
    assert!(shown.contains("v same"), "{shown}");

    model.dialog = Some(Dialog::Help(0));
    assert!(look(&mut model, 60, 10).contains("↑↓ more"));
    for _ in 0..30 {
        press(&mut model, KeyCode::Down);
    }
    let shown = look(&mut model, 60, 10);
    assert!(shown.contains("pinned, muted"), "{shown}");
    press(&mut model, KeyCode::Up);
    press(&mut model, KeyCode::Enter);
    assert_eq!(model.dialog, None);

    let (mut model, _) = Model::start("ws://relay:1", NOW_MS);
    model.answer(Purpose::Status, Ok(Response::Status(Status::default())));
    let shown = look(&mut model, 30, 7);
    assert!(shown.contains("Recover with your code"), "{shown}");
    press(&mut model, KeyCode::Enter);
    type_in(&mut model, "ada");
    press(&mut model, KeyCode::Enter);
    type_in(&mut model, "Ada L");
    let shown = look(&mut model, 30, 7);
    assert!(shown.contains("Name") && shown.contains("Ada L"), "{shown}");
    assert!(look(&mut model, 10, 3).contains("make this"));
}

#[test]
fn no_window_is_too_small_for_any_page() {
    let pages = [
        Page::Start(2),
        Page::Devices(0),
        Page::Ended(3),
        Page::Linking(Linking::Asked),
        Page::Linking(Linking::Offered { offer: "X".repeat(200), since_ms: 0, is_text: false }),
        Page::Linking(Linking::Code(
            "1234567".to_owned(),
            Whose { account: account(1), address: None, name: "x".repeat(64) },
        )),
        Page::Linking(Linking::Failed("why".repeat(40))),
        Page::Linking(Linking::Linked),
    ];
    let dialogs = [
        Dialog::Help(3),
        Dialog::Contact(card()),
        Dialog::Shown(card()),
        Dialog::Invite("wss://relay.example.org?token=".repeat(9)),
        Dialog::LinkHistory("x".to_owned()),
        Dialog::Confirm("really? ".repeat(30), Command::Status),
        crate::screen::forms::new_conversation(),
    ];
    let invited = ConversationView { pending: true, ..conversation(1, &"t".repeat(256)) };
    let mut model = screen(vec![invited], vec![message(1, 2, &tall(30))]);
    model.notice = Some("what went wrong ".repeat(20));
    let mut draw_all = |page: Option<&Page>, dialog: Option<&Dialog>| {
        (model.page, model.dialog) = (page.cloned(), dialog.cloned());
        for width in [1, 19, 20, 24, 47, 48, 60, 99, 130] {
            for height in [1, 5, 6, 7, 9, 13, 24, 50] {
                look(&mut model, width, height);
                model.go(crate::screen::reading::Way::Back, crate::screen::reading::Far::Page);
            }
        }
    };
    draw_all(None, None);
    pages.iter().for_each(|page| draw_all(Some(page), None));
    dialogs.iter().for_each(|dialog| draw_all(None, Some(dialog)));
}
