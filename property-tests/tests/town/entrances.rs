//! A device comes into a conversation by a ticket, while others write, change who is in, or are
//! slow to write down what it needs.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;

use sync_core::api::{Command, Event, Response};
use sync_core::document::Name;
use sync_core::records::Load;
use sync_protocol::SpaceId;
use sync_protocol::codec::Blob;
use sync_protocol::frames::{ClientFrame, Delivery, RelayFrame};

use crate::support::Town;
use crate::support::linking::{link, offered, own_space, status, talking};
use crate::support::stall::{
    asks_for_log, asks_for_ticket, brings_entries_of, is_handshake, pushes_content_into,
    pushes_into, shows_log,
};

/// Bob (1) and Ada (0) in a conversation of Bob's, with something said.
fn at_bobs() -> (Town, SpaceId) {
    let mut town = Town::new(2);
    town.sign_up(0, "ada");
    town.sign_up(1, "bob");
    let id = town.found(1, "Tea", &["ada"]);
    town.settle();
    town.say(0, id, "one");
    town.say(1, id, "two");
    town.settle();
    (town, id)
}

/// A new laptop of Ada's whose entrance into the conversation is on its way.
fn entering(town: &mut Town, id: SpaceId) -> usize {
    let (laptop, code) = offered(town, 0, true);
    town.hold_up(laptop, pushes_into(id));
    town.tell(0, Command::ConfirmDevice { code });
    town.pass(10_000);
    assert_eq!(town.devices[laptop].up.held(), 1, "its entrance");
    laptop
}

fn accuses(town: &Town, n: usize) -> bool {
    town.devices[n].events.iter().any(|event| matches!(event, Event::Evidence { .. }))
}

fn title(conversation: SpaceId, title: &str) -> Command {
    Command::SetTitle { conversation, title: title.to_owned() }
}

#[test]
fn what_a_device_could_not_read_while_it_was_turned_away_it_reads_once_it_is_in() {
    let (mut town, id) = at_bobs();
    let laptop = entering(&mut town, id);
    town.run(0, Command::GoOffline);
    town.run(1, title(id, "Coffee"));
    town.pass(1_000);
    let between = town.say(1, id, "three");
    town.pass(1_000);
    town.let_up(laptop);
    town.pass(20_000);
    let react = Command::React { conversation: id, message: between, emoji: Some("!".into()) };
    town.run(1, react);
    town.say(1, id, "four");
    town.run(0, Command::GoOnline);
    town.settle();
    assert_eq!(town.texts(laptop, id), ["one", "two", "three", "four"]);
    assert_eq!(town.digest(laptop, id), town.digest(1, id));
}

#[test]
fn an_entrance_whose_receipt_was_lost_is_not_made_again() {
    let (mut town, id) = at_bobs();
    let laptop = entering(&mut town, id);
    town.hold_down(laptop, |_| true);
    town.let_up(laptop);
    town.exchange();
    let entrances: Rc<RefCell<BTreeSet<Blob>>> = Rc::default();
    let seen = entrances.clone();
    town.hold_up(laptop, move |frame| {
        if let ClientFrame::Push(push) = frame
            && push.space == id
        {
            let handshakes = push.envelopes.iter().filter(|one| is_handshake(one));
            seen.borrow_mut().extend(handshakes.cloned());
        }
        false
    });
    town.cut(laptop);
    town.let_down(laptop);
    town.settle();
    town.say(laptop, id, "three");
    town.settle();
    assert_eq!(town.texts(1, id), ["one", "two", "three"]);
    assert_eq!(town.digest(laptop, id), town.digest(1, id));
    assert!(!accuses(&town, laptop) && !accuses(&town, 1));
    assert!(entrances.borrow().len() <= 1, "the same once more, and no other");
}

#[test]
fn who_was_let_in_without_history_is_shown_nothing_of_an_older_era() {
    let mut town = Town::new(3);
    for (n, address) in ["ada", "bob", "carol"].into_iter().enumerate() {
        town.sign_up(n, address);
    }
    let id = town.found(1, "Tea", &["ada"]);
    town.settle();
    town.run(0, Command::GoOffline);
    // Nobody else has written: what builds on nothing could be shown on its own.
    town.say(0, id, "one");
    let address = "carol".parse().unwrap();
    town.run(1, Command::AddMember { conversation: id, address, share_history: false });
    town.pass(1_000);
    town.run(0, Command::GoOnline);
    town.settle();
    assert_eq!((town.texts(0, id), town.texts(1, id)), (vec!["one".into()], vec!["one".into()]));
    assert!(town.texts(2, id).is_empty());
    town.say(0, id, "two");
    town.settle();
    assert_eq!(town.texts(2, id), ["two"]);
    assert_eq!(town.texts(1, id), ["one", "two"]);
}

#[test]
fn an_entrance_names_the_device_log_that_it_carries() {
    let (mut town, id) = talking();
    let own = own_space(&mut town, 0);
    let (laptop, code) = offered(&mut town, 0, true);
    town.hold_up(laptop, asks_for_ticket);
    town.tell(0, Command::ConfirmDevice { code });
    town.pass(10_000);
    assert_eq!(town.devices[laptop].up.held(), 1);
    // The log grows, and the laptop hears of it by the ticket alone.
    town.hold_down(laptop, shows_log);
    town.hold_up(0, pushes_into(own));
    town.run(0, Command::NewRecoveryCode);
    town.run(0, title(id, "Coffee"));
    town.pass(1_000);
    town.let_up(laptop);
    town.pass(5_000);
    assert!(!accuses(&town, laptop) && !accuses(&town, 1));
    town.say(laptop, id, "from the laptop");
    town.pass(2_000);
    assert_eq!(town.texts(1, id).last().unwrap(), "from the laptop");
    town.let_down(laptop);
    town.let_up(0);
    town.settle();
    assert_eq!(town.digest(laptop, id), town.digest(1, id));
}

#[test]
fn a_ticket_whose_key_is_not_written_down_yet_accuses_nobody() {
    let (mut town, id) = talking();
    let own = own_space(&mut town, 0);
    let (laptop, code) = offered(&mut town, 0, false);
    // The laptop comes into the account, and what the phone keeps for it there does not yet.
    town.hold_up(0, pushes_content_into(own));
    town.tell(0, Command::ConfirmDevice { code });
    town.pass(50_000);
    assert!(town.devices[0].up.held() > 0);
    assert!(!accuses(&town, laptop));
    town.let_up(0);
    town.settle();
    town.say(1, id, "new");
    town.settle();
    assert_eq!(town.texts(laptop, id), ["new"]);
}

#[test]
fn the_account_comes_back_though_a_companion_ended_devices_with_the_primary_gone() {
    let mut town = Town::new(2);
    let create = Command::CreateAccount { address: "ada".parse().unwrap(), name: "Ada".into() };
    let Response::Account(account) = town.run(0, create) else { panic!("no account") };
    town.settle();
    town.sign_up(1, "bob");
    let id = town.found(0, "Tea", &["bob"]);
    town.settle();
    town.say(1, id, "one");
    town.settle();
    let (_, tablet) = link(&mut town, 0, true);
    let (companion, _) = link(&mut town, 0, false);
    town.hold_up(0, pushes_into(account.account.space()));
    town.run(0, Command::RevokeDevice { device: tablet });
    town.lose(0);
    town.settle();
    town.say(companion, id, "two");
    town.settle();
    let new = town.arrive();
    let recover = Command::RecoverAccount {
        address: "ada".parse().unwrap(),
        code: account.recovery_code,
        name: "New phone".into(),
    };
    assert!(matches!(town.run(new, recover), Response::Account(_)));
    town.pass(60_000);
    assert_eq!(town.texts(new, id), ["one", "two"]);
}

/// What it grants would leave out what the vault knows, and be read before the vault is.
#[test]
fn siblings_are_brought_along_only_by_who_can_give_them_everything() {
    let (mut town, id) = talking();
    let carol = town.arrive();
    town.sign_up(carol, "carol");
    let own = own_space(&mut town, 0);
    let (laptop, code) = offered(&mut town, 0, true);
    town.hold_up(laptop, asks_for_ticket);
    town.tell(0, Command::ConfirmDevice { code });
    town.pass(10_000);
    town.run(laptop, Command::GoOffline);
    town.run(0, title(id, "Coffee"));
    town.settle();
    town.say(1, id, "over coffee");
    town.settle();
    let (companion, _) = link(&mut town, 0, false);
    town.run(0, Command::GoOffline);
    let address = "carol".parse().unwrap();
    let add = Command::AddMember { conversation: id, address, share_history: false };
    town.run(companion, add);
    town.settle();
    town.let_up(laptop);
    town.hold_down(laptop, move |frame| match frame {
        RelayFrame::Delivery(Delivery::Entries(entries)) => entries.space == own,
        RelayFrame::Delivery(Delivery::UpToDate { .. }) => true,
        _ => false,
    });
    town.tell(laptop, Command::GoOnline);
    town.pass(5_000);
    town.let_down(laptop);
    town.settle();
    assert_eq!(town.texts(laptop, id), town.texts(0, id), "it may read all, and does");
    town.run(0, Command::GoOnline);
    town.settle();
    assert_eq!(town.digest(laptop, id), town.digest(0, id));
}

#[test]
fn a_conversation_begins_once_what_it_is_read_by_is_stored_for_the_other_devices() {
    let (mut town, _) = talking();
    let own = own_space(&mut town, 0);
    let (laptop, _) = link(&mut town, 0, true);
    town.hold_up(laptop, pushes_content_into(own));
    let id = town.found(laptop, "Later", &["bob"]);
    town.tell(
        laptop,
        Command::SendMessage { conversation: id, text: "hello".to_owned(), reply_to: None },
    );
    town.pass(10_000);
    assert!(town.devices[laptop].up.held() > 0, "it is on its way");
    let knows = |town: &mut Town, n: usize| match town.run(n, Command::ListConversations) {
        Response::Conversations(list) => list.iter().any(|view| view.conversation == id),
        other => panic!("{other:?}"),
    };
    assert!(!knows(&mut town, 1), "should the laptop be lost now, nobody has lost anything");
    town.let_up(laptop);
    town.settle();
    assert!(knows(&mut town, 1));
    assert_eq!(town.texts(0, id), ["hello"]);
}

#[test]
fn an_invitation_that_waits_to_be_read_goes_before_any_ticket() {
    let (mut town, id) = talking();
    let carol = town.arrive();
    town.sign_up(carol, "carol");
    let own = own_space(&mut town, 0);
    let (laptop, code) = offered(&mut town, 0, true);
    town.hold_up(laptop, asks_for_ticket);
    town.tell(0, Command::ConfirmDevice { code });
    town.pass(10_000);
    town.run(laptop, Command::GoOffline);
    // The account's vault lacks an epoch, which the invitation grants and no ticket can.
    town.hold_up(0, pushes_into(own));
    town.tell(0, title(id, "Coffee"));
    town.pass(1_000);
    town.say(1, id, "over coffee");
    town.pass(1_000);
    let address = "carol".parse().unwrap();
    town.tell(0, Command::AddMember { conversation: id, address, share_history: false });
    town.pass(1_000);
    town.let_up(laptop);
    town.hold_reads(laptop, |load| matches!(load, Load::KeyPackages));
    town.restart(laptop);
    town.tell(laptop, Command::GoOnline);
    town.pass(8_000);
    assert_eq!(town.devices[laptop].reads.held(), 1, "the invitation waits for its key");
    town.let_reads(laptop);
    town.pass(8_000);
    assert_eq!(town.texts(laptop, id).last().unwrap(), "over coffee");
    town.let_up(0);
    town.settle();
    assert_eq!(town.digest(laptop, id), town.digest(1, id));
}

#[test]
fn a_device_without_history_that_a_sibling_brings_along_is_given_nothing_older() {
    let (mut town, id) = talking();
    let carol = town.arrive();
    town.sign_up(carol, "carol");
    let (companion, code) = offered(&mut town, 0, false);
    town.hold_up(companion, asks_for_ticket);
    town.tell(0, Command::ConfirmDevice { code });
    town.pass(10_000);
    let address = "carol".parse().unwrap();
    town.tell(0, Command::AddMember { conversation: id, address, share_history: true });
    town.pass(2_000);
    town.let_up(companion);
    town.settle();
    assert!(town.texts(companion, id).is_empty());
    town.say(1, id, "new");
    town.settle();
    assert_eq!(town.texts(companion, id), ["new"]);
}

/// What decides how an entrance is read must not depend on what the store is slow with.
#[test]
fn an_entrance_is_read_as_such_though_its_receipt_comes_while_older_epochs_are_looked_up() {
    let (mut town, id) = at_bobs();
    let own = own_space(&mut town, 0);
    let (laptop, code) = offered(&mut town, 0, true);
    town.hold_up(laptop, asks_for_ticket);
    town.tell(0, Command::ConfirmDevice { code });
    town.pass(10_000);
    // The vault lacks an epoch that the ticket does not tell of either.
    town.hold_up(0, pushes_into(own));
    town.run(1, title(id, "Coffee"));
    town.run(1, title(id, "Cake"));
    town.pass(1_000);
    let receipt = |frame: &RelayFrame| matches!(frame, RelayFrame::Stored(_));
    town.hold_down(laptop, receipt);
    town.let_up(laptop);
    town.pass(5_000);
    town.say(1, id, "three");
    town.hold_reads(laptop, |load| matches!(load, Load::Document(_, Name::Vault(_))));
    town.restart(laptop);
    town.pass(5_000);
    assert_eq!(town.devices[laptop].reads.held(), 1, "the vault");
    town.let_down(laptop);
    town.pass(1_000);
    town.let_reads(laptop);
    town.let_up(0);
    town.settle();
    town.run(1, title(id, "Tea"));
    town.say(laptop, id, "four");
    town.settle();
    town.say(1, id, "five");
    town.settle();
    assert_eq!(town.texts(laptop, id), ["one", "two", "three", "four", "five"]);
    assert_eq!(town.digest(laptop, id), town.digest(1, id));
    assert!(!accuses(&town, laptop) && !accuses(&town, 1));
}

#[test]
fn an_entrance_stored_while_the_log_is_fetched_is_read_as_well() {
    let (mut town, id) = at_bobs();
    let laptop = entering(&mut town, id);
    // What Bob says shows the laptop that it lacks something: it fetches, up to its entrance.
    town.hold_down(laptop, brings_entries_of(id));
    town.say(1, id, "three");
    town.pass(1_000);
    town.let_down(laptop);
    town.hold_down(laptop, |frame| !matches!(frame, RelayFrame::Stored(_)));
    town.pass(10);
    town.let_up(laptop);
    town.pass(100);
    town.let_down(laptop);
    town.settle();
    town.say(laptop, id, "four");
    town.settle();
    assert_eq!(status(&mut town, laptop).waiting, 0);
    assert_eq!(town.texts(1, id), ["one", "two", "three", "four"]);
}

#[test]
fn a_ticket_that_opens_with_a_join_key_of_before_is_replaced() {
    let (mut town, id) = at_bobs();
    let (laptop, code) = offered(&mut town, 0, true);
    town.hold_up(laptop, asks_for_ticket);
    town.tell(0, Command::ConfirmDevice { code });
    town.pass(10_000);
    let laptop = status(&mut town, laptop).device.unwrap();
    // Bob does not hear that Ada's key is another, and leaves the next ticket before she can.
    town.hold_up(1, asks_for_log);
    town.hold_up(0, pushes_into(id));
    town.run(0, Command::RevokeDevice { device: laptop });
    town.pass(5_000);
    town.run(1, title(id, "Coffee"));
    town.pass(1_000);
    town.let_up(0);
    town.pass(60_000);
    let (companion, _) = link(&mut town, 0, false);
    town.pass(60_000);
    let Response::Conversations(list) = town.run(companion, Command::ListConversations) else {
        panic!("no list")
    };
    assert!(list.iter().any(|view| view.conversation == id), "it came in");
    town.let_up(1);
    town.settle();
    town.say(1, id, "three");
    town.settle();
    assert_eq!(town.texts(companion, id), ["three"]);
}

#[test]
fn what_a_device_passed_over_it_reads_once_a_sibling_has_written_down_the_keys() {
    let (mut town, id) = talking();
    let own = own_space(&mut town, 0);
    let (tablet, _) = link(&mut town, 0, true);
    // The account's vault lacks two epochs, and its tablet leaves the ticket.
    for n in [0, tablet] {
        town.hold_up(n, pushes_content_into(own));
    }
    town.run(tablet, title(id, "Coffee"));
    town.pass(1_000);
    town.say(1, id, "over coffee");
    town.run(tablet, title(id, "Cake"));
    town.pass(1_000);
    let (laptop, code) = offered(&mut town, 0, true);
    town.tell(0, Command::ConfirmDevice { code });
    town.pass(30_000);
    town.say(1, id, "over cake");
    town.pass(1_000);
    assert!(status(&mut town, laptop).unreadable > 0);
    town.let_up(0);
    town.let_up(tablet);
    town.settle();
    assert_eq!(town.texts(laptop, id), town.texts(1, id));
    assert_eq!(town.digest(laptop, id), town.digest(1, id));
    assert_eq!(status(&mut town, laptop).unreadable, 0);
    assert!(!accuses(&town, laptop) && !accuses(&town, 1));
    town.restart(laptop);
    town.settle();
    town.say(1, id, "more");
    town.say(laptop, id, "from the laptop");
    town.settle();
    assert_eq!(town.digest(laptop, id), town.digest(1, id));
}

#[test]
fn who_left_and_is_back_stays_whatever_a_new_device_reads_of_that() {
    let mut town = Town::new(3);
    for (n, address) in ["ada", "bob", "carol"].into_iter().enumerate() {
        town.sign_up(n, address);
    }
    let id = town.found(1, "Tea", &["ada", "carol"]);
    town.settle();
    town.say(2, id, "one");
    town.settle();
    town.run(2, Command::Leave { conversation: id });
    town.settle();
    let address = "carol".parse().unwrap();
    town.run(1, Command::AddMember { conversation: id, address, share_history: true });
    town.settle();
    let (laptop, _) = link(&mut town, 0, true);
    town.pass(60_000);
    town.say(2, id, "two");
    town.settle();
    assert_eq!(town.texts(laptop, id), ["one", "two"]);
    assert_eq!(status(&mut town, laptop).waiting, 0, "nobody is to be let go");
}
