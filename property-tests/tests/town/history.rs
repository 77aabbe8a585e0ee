//! What was written before: who can show all of it, and what is told of what nobody can read.

use sync_core::Failure;
use sync_core::api::{Command, ConversationView, Member, NewAccount, Response, Status, Unreadable};
use sync_protocol::SpaceId;
use sync_protocol::roster::Role;

use crate::support::Town;
use crate::support::linking::{link, talking};

fn add(town: &mut Town, n: usize, conversation: SpaceId, address: &str) -> Result<(), Failure> {
    let address = address.parse().unwrap();
    let add = Command::AddMember { conversation, address, share_history: true };
    let added = town.try_run(n, add).map(drop);
    town.settle();
    added
}

fn view(town: &mut Town, n: usize, id: SpaceId) -> ConversationView {
    let Response::Conversations(list) = town.run(n, Command::ListConversations) else { panic!() };
    list.into_iter().find(|view| view.conversation == id).unwrap()
}

fn status(town: &mut Town, n: usize) -> Status {
    match town.run(n, Command::Status) {
        Response::Status(status) => status,
        other => panic!("{other:?}"),
    }
}

fn recover(town: &mut Town, account: &NewAccount) -> usize {
    let new = town.arrive();
    let recover = Command::RecoverAccount {
        address: "ada".parse().unwrap(),
        code: account.recovery_code.clone(),
        name: "new phone".into(),
    };
    assert!(matches!(town.run(new, recover), Response::Account(_)));
    town.settle();
    new
}

#[test]
fn a_device_linked_without_history_shows_nobody_a_part_as_if_it_were_all() {
    let (mut town, id) = talking();
    let eve = town.arrive();
    town.sign_up(eve, "eve");
    let (laptop, _) = link(&mut town, 0, false);
    town.say(0, id, "since then");
    town.settle();
    assert_eq!(add(&mut town, laptop, id, "eve"), Err(Failure::Partial));
    assert_eq!(view(&mut town, laptop, id).members.len(), 2, "nothing was changed");
    // The phone has all, and shows it.
    assert_eq!(add(&mut town, 0, id, "eve"), Ok(()));
    assert_eq!(town.texts(eve, id).len(), 11);
    // Without what was before, anybody may.
    let carol = town.arrive();
    town.sign_up(carol, "carol");
    let address = "carol".parse().unwrap();
    town.run(laptop, Command::AddMember { conversation: id, address, share_history: false });
    town.settle();
    assert_eq!(town.texts(carol, id), [""; 0]);
    assert_eq!(view(&mut town, carol, id).members.len(), 4);
}

#[test]
fn a_device_linked_without_history_has_all_of_what_began_after_it() {
    let (mut town, _) = talking();
    let eve = town.arrive();
    town.sign_up(eve, "eve");
    let (laptop, _) = link(&mut town, 0, false);
    let founded = [town.found(0, "", &["bob"]), town.found(laptop, "", &["bob"])];
    for id in founded {
        town.settle();
        town.say(0, id, "one");
        town.say(laptop, id, "two");
        town.settle();
        town.restart(laptop);
        assert_eq!(add(&mut town, laptop, id, "eve"), Ok(()));
        assert_eq!(town.texts(eve, id), town.texts(0, id));
        assert_eq!(town.texts(eve, id).len(), 2);
    }
}

#[test]
fn a_member_who_came_without_history_does_not_pretend_to_have_it() {
    let (mut town, id) = talking();
    let eve = town.arrive();
    town.sign_up(eve, "eve");
    let address = "eve".parse().unwrap();
    town.run(0, Command::AddMember { conversation: id, address, share_history: false });
    let member = Member::Address("eve".parse().unwrap());
    town.settle();
    town.run(0, Command::SetRole { conversation: id, member, role: Role::Admin });
    town.settle();
    let carol = town.arrive();
    town.sign_up(carol, "carol");
    assert_eq!(add(&mut town, eve, id, "carol"), Err(Failure::Partial));
    assert_eq!(add(&mut town, 0, id, "carol"), Ok(()));
    assert_eq!(town.texts(carol, id).len(), 10);
}

/// Ada's only device is lost, Bob goes on under keys that she never gets, and she comes back.
/// Gives her new device, and the relay's time before and after what she can't read.
fn bereaved(messages: usize) -> (Town, SpaceId, usize, (u64, u64)) {
    let mut town = Town::new(3);
    let create = Command::CreateAccount { address: "ada".parse().unwrap(), name: "Ada".into() };
    let Response::Account(account) = town.run(0, create) else { panic!("no account") };
    town.settle();
    town.sign_up(1, "bob");
    town.sign_up(2, "eve");
    let id = town.found(0, "Tea", &["bob"]);
    town.settle();
    town.say(0, id, "one");
    town.say(1, id, "two");
    let member = Member::Address("bob".parse().unwrap());
    town.run(0, Command::SetRole { conversation: id, member, role: Role::Admin });
    town.settle();
    town.lose(0);
    // An epoch, what is written in it, and another one: its ticket leads past it.
    town.run(1, Command::SetTitle { conversation: id, title: "Coffee".into() });
    town.settle();
    town.now += 60_000;
    let from = town.now;
    for n in 0..messages {
        town.say(1, id, &format!("unheard {n}"));
        town.settle();
    }
    let until = town.now;
    town.now += 60_000;
    town.run(1, Command::SetTitle { conversation: id, title: "Cake".into() });
    town.settle();
    let new = recover(&mut town, &account);
    (town, id, new, (from, until))
}

#[test]
fn an_account_that_was_brought_back_is_told_what_it_can_not_read() {
    let (mut town, id, new, (from, until)) = bereaved(3);
    assert_eq!(town.texts(new, id), ["one", "two"]);
    let told = view(&mut town, new, id).unreadable.expect("it is told");
    let Unreadable { changes, first_ms, last_ms } = told;
    assert!(changes >= 3, "{changes}");
    assert!((from..=until).contains(&first_ms.unwrap()) && last_ms >= first_ms, "{told:?}");
    assert_eq!(status(&mut town, new).unreadable, 1);
    let events = &town.devices[new].events;
    assert!(events.iter().any(|event| {
        matches!(event, sync_core::api::Event::Status(status) if status.unreadable == 1)
    }));
    // Counted once, however often it is opened; and what comes now is no part of it.
    town.restart(new);
    town.settle();
    town.say(1, id, "welcome back");
    town.settle();
    assert_eq!(view(&mut town, new, id).unreadable, Some(told));
    assert_eq!(town.texts(new, id), ["one", "two", "welcome back"]);
    // A device that is linked with history can read as much.
    let (laptop, _) = link(&mut town, new, true);
    assert_eq!(view(&mut town, laptop, id).unreadable, Some(told));
    assert_eq!(add(&mut town, new, id, "eve"), Err(Failure::Partial));
    assert_eq!(add(&mut town, laptop, id, "eve"), Err(Failure::Partial));
    assert_eq!(add(&mut town, 1, id, "eve"), Ok(()));
    assert_eq!(town.texts(2, id).len(), 6);
}

#[test]
fn nothing_is_said_to_be_lost_that_was_never_the_accounts() {
    let (mut town, id) = talking();
    assert_eq!(view(&mut town, 0, id).unreadable, None);
    let (laptop, _) = link(&mut town, 0, false);
    assert_eq!(view(&mut town, laptop, id).unreadable, None, "its owner chose so");
    assert_eq!(status(&mut town, laptop).unreadable, 0);
    let eve = town.arrive();
    let create = Command::CreateAccount { address: "eve".parse().unwrap(), name: "Eve".into() };
    let Response::Account(_) = town.run(eve, create) else { panic!("no account") };
    town.settle();
    let address = "eve".parse().unwrap();
    town.run(0, Command::AddMember { conversation: id, address, share_history: false });
    town.say(0, id, "hello eve");
    town.settle();
    let (tablet, _) = link(&mut town, eve, true);
    assert_eq!(town.texts(tablet, id), ["hello eve"]);
    for n in [eve, tablet] {
        assert_eq!(view(&mut town, n, id).unreadable, None, "{n}: she was not there");
    }
}
