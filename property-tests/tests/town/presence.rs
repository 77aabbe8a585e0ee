//! What people are at in a document is told to those who are here now, and kept by nobody.

use serde_json::{Value, json};
use sync_core::Failure;
use sync_core::api::{Command, Event, Member, Response, Space};
use sync_protocol::limits;

use crate::support::Town;
use crate::support::linking::{link, talking};

fn present(space: Space, state: Value) -> Command {
    Command::SetPresence { space, name: "plan".to_owned(), state }
}

/// What a device was told since it was last asked: by which device, where, and what.
fn told(town: &mut Town, n: usize) -> Vec<(Space, String, Value)> {
    let events = std::mem::take(&mut town.devices[n].events);
    let presence = events.into_iter().filter_map(|event| match event {
        Event::Presence { space, name, state, .. } => Some((space, name, state)),
        _ => None,
    });
    presence.collect()
}

#[test]
fn all_others_who_are_here_are_told_and_who_comes_later_is_not() {
    let (mut town, id) = talking();
    let (laptop, _) = link(&mut town, 0, true);
    let space = Space::Conversation(id);
    town.run(1, Command::GoOffline);
    let at = json!({ "cursor": [1, "ö"] });
    assert_eq!(town.run(0, present(space, at.clone())), Response::Done);
    town.settle();
    assert_eq!(told(&mut town, laptop), [(space, "app/plan".to_owned(), at.clone())]);
    assert_eq!(told(&mut town, 0), [], "nobody is told of oneself");
    town.run(1, Command::GoOnline);
    town.settle();
    assert_eq!(told(&mut town, 1), [], "it was kept by nobody");
    town.run(0, present(space, Value::Null));
    town.settle();
    assert_eq!(told(&mut town, 1), [(space, "app/plan".to_owned(), Value::Null)]);
}

#[test]
fn ones_own_devices_meet_in_the_account_and_nobody_else_does() {
    let (mut town, _) = talking();
    let (laptop, _) = link(&mut town, 0, true);
    town.run(laptop, present(Space::Account, json!(7)));
    town.settle();
    assert_eq!(told(&mut town, 0), [(Space::Account, "app/plan".to_owned(), json!(7))]);
    assert_eq!(told(&mut town, 1), []);
}

#[test]
fn presence_has_its_limit_and_its_documents() {
    let (mut town, id) = talking();
    let space = Space::Conversation(id);
    let of = |bytes: usize| json!("x".repeat(bytes - 2));
    assert_eq!(town.run(0, present(space, of(limits::PRESENCE))), Response::Done);
    town.settle();
    assert_eq!(told(&mut town, 1).len(), 1, "the largest there is goes through");
    let large = town.try_run(0, present(space, of(limits::PRESENCE + 1)));
    assert!(matches!(large, Err(Failure::TooLarge { limit: limits::PRESENCE, .. })), "{large:?}");
    let name = "settings/".to_owned() + "\u{7}";
    let bad = town.try_run(0, Command::SetPresence { space, name, state: json!(1) });
    assert!(matches!(bad, Err(Failure::Invalid(_))), "{bad:?}");
}

#[test]
fn nobody_is_told_of_whom_they_block() {
    let (mut town, id) = talking();
    let space = Space::Conversation(id);
    let member = Member::Address("bob".parse().unwrap());
    town.run(0, Command::SetBlocked { member: member.clone(), blocked: true });
    town.settle();
    town.devices[0].events.clear();
    town.run(1, present(space, json!(1)));
    town.run(1, Command::Typing { conversation: id });
    town.settle();
    let typing = town.devices[0].events.iter().any(|event| matches!(event, Event::Typing { .. }));
    assert!(!typing && told(&mut town, 0).is_empty());
    town.run(0, Command::SetBlocked { member, blocked: false });
    town.run(1, present(space, json!(2)));
    town.settle();
    assert_eq!(told(&mut town, 0).len(), 1);
}
