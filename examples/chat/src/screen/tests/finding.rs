//! Search in all conversations.

use super::*;
use crate::screen::pages::Page;

fn page_of(from: u64, count: u64, text: impl Fn(u64) -> String) -> Vec<MessageView> {
    (from..from + count).map(|n| message(n, 2, &text(n))).collect()
}

/// Looks for a text, and gives what is asked first.
fn look_for(model: &mut Model, text: &str) -> Effect {
    control(model, 'f');
    type_in(model, text);
    press(model, KeyCode::Enter).remove(0)
}

#[test]
fn all_conversations_are_searched_to_their_beginning() {
    let all = vec![conversation(1, "Team"), conversation(2, "Lunch")];
    let mut model = screen(all, vec![message(900, 2, "hello")]);
    let Effect(purpose, command) = look_for(&mut model, "Soup?");
    let ask = |n: u8, before| Command::ListMessages { conversation: space(n), before, limit: 500 };
    assert_eq!(command, ask(1, None));
    let newest = page_of(500, 500, |n| format!("hay {n}"));
    let next = model.answer(purpose.clone(), Ok(Response::Messages(newest)));
    assert_eq!(next, [Effect(purpose.clone(), ask(1, Some(key(500))))]);
    let oldest = page_of(7, 1, |_| "no\nmore SOUP? please".to_owned());
    let next = model.answer(purpose.clone(), Ok(Response::Messages(oldest)));
    assert_eq!(next, [Effect(purpose.clone(), ask(2, None))]);
    assert!(text_of(&model, 80, 24).contains("1 message found so far"));
    let lunch = vec![message(600, 2, "soup? yes"), message(601, 2, "soup")];
    assert_eq!(model.answer(purpose, Ok(Response::Messages(lunch))), []);
    let shown = text_of(&model, 80, 24);
    assert!(shown.contains("2 messages found") && shown.contains("Lunch · Bob"), "{shown}");
    assert!(shown.contains("more SOUP? please"), "{shown}");
    let at = |what: &str| shown.lines().position(|line| line.contains(what)).unwrap();
    assert!(at("soup? yes") < at("more SOUP?"), "the newest first: {shown}");
}

#[test]
fn a_message_that_was_found_is_opened_where_it_stands() {
    let mut model = screen(vec![conversation(1, "Team")], vec![message(900, 2, "hello")]);
    let Effect(purpose, _) = look_for(&mut model, "needle");
    model.answer(purpose, Ok(Response::Messages(vec![message(5, 2, "the needle")])));
    let effects = press(&mut model, KeyCode::Enter);
    let newest = Purpose::Page(space(1), None);
    assert!(effects.iter().any(|effect| effect.0 == newest));
    let page = page_of(800, PAGE as u64, |n| format!("hay {n}"));
    let effects = model.answer(newest, Ok(Response::Messages(page)));
    let older = Purpose::Page(space(1), Some(key(800)));
    assert!(effects.iter().any(|effect| effect.0 == older), "{effects:?}");
    let page = vec![message(5, 2, "the needle"), message(6, 2, "hay 6")];
    model.answer(older, Ok(Response::Messages(page)));
    assert_eq!((model.selected, model.focus), (Some(key(5)), Focus::Messages));
    assert!(text_of(&model, 80, 24).contains("the needle"));
}

#[test]
fn answers_to_an_earlier_search_count_no_more() {
    let mut model = screen(vec![conversation(1, "Team")], Vec::new());
    let Effect(earlier, _) = look_for(&mut model, "one");
    type_in(&mut model, "more");
    let Effect(later, _) = press(&mut model, KeyCode::Enter).remove(0);
    assert_ne!(earlier, later);
    model.answer(earlier, Ok(Response::Messages(vec![message(1, 2, "one")])));
    assert_eq!(model.search.hits, []);
    press(&mut model, KeyCode::Esc);
    assert_eq!(model.page, None);
    assert_eq!(model.answer(later, Ok(Response::Messages(vec![message(2, 2, "onemore")]))), []);
    control(&mut model, 'f');
    assert_eq!(model.page, Some(Page::Search(0)));
    for (width, height) in [(20, 6), (47, 9), (120, 40)] {
        text_of(&model, width, height);
    }
}
