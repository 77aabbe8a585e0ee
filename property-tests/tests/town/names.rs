//! Names: told by their owners, known wherever they write, and never a way to somebody else.

use std::collections::BTreeSet;

use minicbor::{Decode, Encode};
use sync_core::Failure;
use sync_core::api::{Command, Event, Response, Status};
use sync_core::document::Name;
use sync_protocol::codec::{self, Blob};
use sync_protocol::{AccountId, SpaceId};

use crate::support::linking::link;
use crate::support::{Town, read};

/// People with these addresses; their names are the same in capitals.
fn town(people: &[&str]) -> Town {
    let mut town = Town::new(people.len());
    for (n, address) in people.iter().enumerate() {
        town.sign_up(n, address);
    }
    town
}

/// What a device calls the members of a conversation: names and addresses.
fn members(town: &mut Town, n: usize, id: SpaceId) -> BTreeSet<(String, String)> {
    let Response::Conversations(list) = town.run(n, Command::ListConversations) else { panic!() };
    let view = list.into_iter().find(|view| view.conversation == id).unwrap();
    let called =
        |member: sync_core::api::MemberView| (member.name, member.address.unwrap_or_default());
    view.members.into_iter().map(called).collect()
}

fn called(people: &[(&str, &str)]) -> BTreeSet<(String, String)> {
    people.iter().map(|(name, address)| ((*name).to_owned(), (*address).to_owned())).collect()
}

fn accept(town: &mut Town, n: usize, id: SpaceId) {
    town.run(n, Command::AcceptConversation { conversation: id });
    town.settle();
}

#[test]
fn who_was_found_by_an_address_has_a_name_once_they_accept() {
    let mut town = town(&["ada", "bob"]);
    let id = town.found(0, "", &["bob"]);
    town.say(0, id, "hello");
    town.settle();
    assert_eq!(members(&mut town, 1, id), called(&[("ADA", "ada"), ("BOB", "bob")]));
    assert_eq!(members(&mut town, 0, id), called(&[("ADA", "ada"), ("", "bob")]), "not accepted");
    accept(&mut town, 1, id);
    assert_eq!(members(&mut town, 0, id), called(&[("ADA", "ada"), ("BOB", "bob")]));
    town.restart(0);
    town.settle();
    assert_eq!(members(&mut town, 0, id), called(&[("ADA", "ada"), ("BOB", "bob")]));
    assert_eq!(town.digest(0, id), town.digest(1, id));
}

#[test]
fn who_answers_an_invitation_by_writing_has_a_name_at_once() {
    let mut town = town(&["ada", "bob"]);
    let id = town.found(0, "", &["bob"]);
    town.settle();
    let before = town.devices[1].frames_out;
    town.say(1, id, "hi");
    let pushed = town.devices[1].frames_out - before;
    town.settle();
    assert_eq!(members(&mut town, 0, id), called(&[("ADA", "ada"), ("BOB", "bob")]));
    assert!(
        pushed <= 2,
        "the name goes along with the message, and the setting that it was accepted"
    );
}

#[test]
fn a_linked_device_calls_everybody_as_its_sibling_does() {
    for history in [true, false] {
        let mut town = town(&["ada", "bob", "eve"]);
        let id = town.found(0, "", &["bob", "eve"]);
        town.say(0, id, "hello");
        town.settle();
        accept(&mut town, 1, id);
        town.say(1, id, "hi");
        town.settle();
        // Eve has not answered: of her, an address is all that anybody has.
        let known = called(&[("ADA", "ada"), ("BOB", "bob"), ("", "eve")]);
        assert_eq!(members(&mut town, 0, id), known);
        let (laptop, _) = link(&mut town, 0, history);
        assert_eq!(members(&mut town, laptop, id), known, "history: {history}");
        town.say(2, id, "late");
        town.settle();
        let known = called(&[("ADA", "ada"), ("BOB", "bob"), ("EVE", "eve")]);
        for n in [0, 1, laptop] {
            assert_eq!(members(&mut town, n, id), known, "history: {history}");
        }
    }
}

#[test]
fn who_is_let_in_later_knows_the_names_of_all_who_write() {
    for share_history in [true, false] {
        let mut town = town(&["ada", "bob", "eve"]);
        let id = town.found(0, "", &["bob"]);
        town.settle();
        accept(&mut town, 1, id);
        town.say(1, id, "hi");
        town.settle();
        let address = "eve".parse().unwrap();
        town.run(0, Command::AddMember { conversation: id, address, share_history });
        town.settle();
        town.say(1, id, "welcome");
        town.say(2, id, "thanks");
        town.settle();
        let all = called(&[("ADA", "ada"), ("BOB", "bob"), ("EVE", "eve")]);
        for n in 0..3 {
            assert_eq!(members(&mut town, n, id), all, "{n}, history: {share_history}");
        }
    }
}

/// A record of somebody, as a device keeps it.
#[derive(Encode, Decode)]
#[cbor(map)]
struct PersonRow {
    #[n(0)]
    log: Vec<Blob>,
    #[n(1)]
    address: Option<String>,
    #[n(2)]
    name: String,
    #[n(3)]
    confirmed: bool,
}

/// Makes a device believe, and so tell others, that its account has another's address.
fn pretend(town: &mut Town, n: usize, account: &AccountId, address: &str) {
    let key = [b"a", account.as_bytes().as_slice()].concat();
    let record = town.devices[n].disk.get_mut(&key).unwrap();
    let row: PersonRow = codec::decode("person", record).unwrap();
    *record = codec::encode(&PersonRow { address: Some(address.to_owned()), ..row });
    town.restart(n);
    town.settle();
}

#[test]
fn what_a_member_calls_somebody_is_shown_as_one_line() {
    let mut town = town(&["mallory", "bob", "carol"]);
    let id = town.found(0, "", &["carol"]);
    town.settle();
    let status = status(&mut town, 2);
    let key = [b"a", status.account.unwrap().as_bytes().as_slice()].concat();
    let record = town.devices[0].disk.get_mut(&key).unwrap();
    let row: PersonRow = codec::decode("person", record).unwrap();
    let name = format!("Ada\nThis person was verified.{}", "!".repeat(500));
    *record = codec::encode(&PersonRow { name, ..row });
    town.restart(0);
    town.settle();
    let address = "bob".parse().unwrap();
    town.run(0, Command::AddMember { conversation: id, address, share_history: true });
    town.settle();
    let shown = format!("Ada This person was verified.{}", "!".repeat(35));
    let members = members(&mut town, 1, id);
    assert!(members.contains(&(shown, "carol".to_owned())), "{members:?}");
}

#[test]
fn an_address_that_a_member_claims_leads_nobody_to_them() {
    let mut town = town(&["mallory", "bob", "carol"]);
    let Response::Status(status) = town.run(0, Command::Status) else { panic!() };
    pretend(&mut town, 0, &status.account.unwrap(), "bob");
    let bait = town.found(0, "Bait", &["carol"]);
    town.settle();
    let claimed = called(&[("MALLORY", "bob"), ("CAROL", "carol")]);
    assert_eq!(members(&mut town, 2, bait), claimed, "the bait is laid");
    let id = town.found(2, "For Bob", &["bob"]);
    town.say(2, id, "between us");
    town.settle();
    assert_eq!(town.texts(1, id), ["between us"]);
    let Response::Conversations(list) = town.run(0, Command::ListConversations) else { panic!() };
    assert!(list.iter().all(|view| view.conversation != id), "Mallory is not in it");
    // The directory has told whose it is: nobody else is shown under it.
    let freed = called(&[("MALLORY", ""), ("CAROL", "carol")]);
    assert_eq!(members(&mut town, 2, bait), freed);
}

fn rename(town: &mut Town, n: usize, name: &str) {
    assert_eq!(town.run(n, Command::SetName { name: name.to_owned() }), Response::Done);
}

fn status(town: &mut Town, n: usize) -> Status {
    match town.run(n, Command::Status) {
        Response::Status(status) => status,
        other => panic!("{other:?}"),
    }
}

fn offline(town: &mut Town, n: usize) {
    town.run(n, Command::GoOffline);
}

fn online(town: &mut Town, n: usize) {
    town.run(n, Command::GoOnline);
    town.settle();
}

/// How many have said in a conversation what they are called, as a device has it on its disk.
fn said(town: &Town, n: usize, id: SpaceId) -> usize {
    let stored = |prefix: &[u8]| read(&town.devices[n].disk, prefix);
    let people = property_tests::stored::document(id, &Name::People(0), stored);
    people.to_json()["people"].as_object().map_or(0, serde_json::Map::len)
}

#[test]
fn a_new_name_reaches_all_members_and_own_devices() {
    let mut town = town(&["ada", "bob", "eve"]);
    let (laptop, _) = link(&mut town, 0, true);
    let id = town.found(0, "Tea", &["bob", "eve"]);
    let other = town.found(0, "", &["bob"]);
    town.say(0, id, "hello");
    town.say(0, other, "hello");
    town.settle();
    accept(&mut town, 1, id);
    town.devices[1].events.clear();
    town.devices[laptop].events.clear();
    rename(&mut town, 0, " Ada Lovelace ");
    town.settle();
    let all = called(&[("Ada Lovelace", "ada"), ("BOB", "bob"), ("", "eve")]);
    let two = called(&[("Ada Lovelace", "ada"), ("BOB", "bob")]);
    for n in [0, 1, laptop] {
        assert_eq!(members(&mut town, n, id), all, "{n}");
        assert_eq!(members(&mut town, n, other), two, "{n}");
    }
    // Whoever has not answered reads what was said, too.
    let all_but_eve = called(&[("Ada Lovelace", "ada"), ("BOB", "bob"), ("EVE", "eve")]);
    assert_eq!(members(&mut town, 2, id), all_but_eve);
    assert_eq!(status(&mut town, laptop).name, "Ada Lovelace");
    let told = |events: &[Event]| {
        events
            .iter()
            .any(|event| matches!(event, Event::Status(status) if status.name == "Ada Lovelace"))
    };
    assert!(told(&town.devices[laptop].events));
    let changed = |event: &Event| matches!(event, Event::Conversation { conversation, .. } if *conversation == id);
    assert!(town.devices[1].events.iter().any(changed));
    assert_eq!(said(&town, 1, id), 2, "one device of Ada's has said it, and Bob's");
    town.restart(laptop);
    town.restart(1);
    town.settle();
    assert_eq!(status(&mut town, laptop).name, "Ada Lovelace");
    assert_eq!(members(&mut town, 1, id), all);
    assert_eq!(town.digest(0, id), town.digest(1, id));
}

#[test]
fn a_device_linked_later_has_the_new_name_with_history_or_without() {
    for history in [true, false] {
        let mut town = town(&["ada", "bob"]);
        let id = town.found(0, "", &["bob"]);
        town.say(0, id, "hello");
        town.settle();
        accept(&mut town, 1, id);
        rename(&mut town, 0, "Countess");
        town.settle();
        let (laptop, _) = link(&mut town, 0, history);
        assert_eq!(status(&mut town, laptop).name, "Countess", "history: {history}");
        let all = called(&[("Countess", "ada"), ("BOB", "bob")]);
        assert_eq!(members(&mut town, laptop, id), all, "history: {history}");
        // And the other way: chosen on the new device, told by it.
        rename(&mut town, laptop, "Lady Ada");
        town.settle();
        let all = called(&[("Lady Ada", "ada"), ("BOB", "bob")]);
        for n in [0, 1, laptop] {
            assert_eq!(members(&mut town, n, id), all, "{n}, history: {history}");
        }
        rename(&mut town, 1, "Robert");
        town.settle();
        let all = called(&[("Lady Ada", "ada"), ("Robert", "bob")]);
        for n in [0, 1, laptop] {
            assert_eq!(members(&mut town, n, id), all, "{n}, history: {history}");
        }
    }
}

#[test]
fn a_name_chosen_offline_is_told_once_there_is_a_connection() {
    let mut town = town(&["ada", "bob"]);
    let id = town.found(0, "", &["bob"]);
    town.say(0, id, "hello");
    town.settle();
    accept(&mut town, 1, id);
    offline(&mut town, 0);
    rename(&mut town, 0, "Countess");
    assert_eq!(status(&mut town, 0).name, "Countess");
    assert_eq!(members(&mut town, 0, id), called(&[("Countess", "ada"), ("BOB", "bob")]));
    town.restart(0);
    town.settle();
    for n in 0..2 {
        assert_eq!(
            members(&mut town, n, id),
            called(&[("Countess", "ada"), ("BOB", "bob")]),
            "{n}"
        );
    }
}

#[test]
fn two_names_chosen_at_once_end_as_one() {
    for first in [0, 1] {
        let mut town = town(&["ada", "bob", "eve"]);
        let (laptop, _) = link(&mut town, 0, true);
        let id = town.found(0, "", &["bob", "eve"]);
        let other = town.found(laptop, "", &["eve"]);
        town.say(0, id, "hello");
        town.say(laptop, other, "hello");
        town.settle();
        accept(&mut town, 1, id);
        accept(&mut town, 2, other);
        offline(&mut town, 0);
        offline(&mut town, laptop);
        rename(&mut town, 0, "Countess");
        rename(&mut town, laptop, "Lady Ada");
        let order = if first == 0 { [0, laptop] } else { [laptop, 0] };
        for n in order {
            online(&mut town, n);
        }
        let name = status(&mut town, 0).name;
        assert!(["Countess", "Lady Ada"].contains(&name.as_str()));
        assert_eq!(status(&mut town, laptop).name, name);
        for n in 0..4 {
            let members = members(&mut town, n, id);
            assert!(members.contains(&(name.clone(), "ada".to_owned())), "{n}: {members:?}");
        }
        let members = members(&mut town, 2, other);
        assert!(members.contains(&(name.clone(), "ada".to_owned())), "{members:?}");
    }
}

#[test]
fn nothing_that_interrupts_a_change_of_name_forgets_it() {
    // Cut down after each batch that the device makes durable.
    for batches in 0..8 {
        let mut town = town(&["ada", "bob", "eve"]);
        let ids = [town.found(0, "", &["bob"]), town.found(0, "", &["bob", "eve"])];
        for id in ids {
            town.say(0, id, "hello");
            town.settle();
            accept(&mut town, 1, id);
        }
        town.restart(0);
        town.settle();
        town.crash_after(0, batches, Command::SetName { name: "Countess".into() });
        town.settle();
        let name = status(&mut town, 0).name;
        assert!(["ADA", "Countess"].contains(&name.as_str()), "{name}");
        assert!(batches == 0 || name == "Countess", "after {batches}: it was durable");
        for id in ids {
            let members = members(&mut town, 1, id);
            assert!(members.contains(&(name.clone(), "ada".to_owned())), "{batches}: {members:?}");
        }
    }
}

#[test]
fn the_primary_tells_a_name_whose_device_was_ended_before_it_could() {
    let mut town = town(&["ada", "bob"]);
    let (laptop, device) = link(&mut town, 0, true);
    let id = town.found(0, "", &["bob"]);
    town.say(0, id, "hello");
    town.settle();
    accept(&mut town, 1, id);
    // The laptop's settings reach the relay, what it says in the conversation does not.
    town.devices[laptop].withheld = Some(id);
    town.devices[laptop].loses = |device, space| device.withheld == Some(*space);
    rename(&mut town, laptop, "Countess");
    town.pass(2_000);
    offline(&mut town, laptop);
    town.settle();
    assert_eq!(members(&mut town, 1, id), called(&[("ADA", "ada"), ("BOB", "bob")]));
    assert_eq!(status(&mut town, 0).name, "Countess");
    town.run(0, Command::RevokeDevice { device });
    town.settle();
    assert_eq!(members(&mut town, 1, id), called(&[("Countess", "ada"), ("BOB", "bob")]));
    rename(&mut town, 0, "Ada");
    town.settle();
    assert_eq!(members(&mut town, 1, id), called(&[("Ada", "ada"), ("BOB", "bob")]));
}

#[test]
fn an_account_brought_back_has_its_name_or_can_say_it_again() {
    for stored in [true, false] {
        let mut town = Town::new(2);
        town.sign_up(1, "bob");
        if !stored {
            town.devices[0].loses = |_, _| true;
        }
        let create = Command::CreateAccount { address: "ada".parse().unwrap(), name: "ADA".into() };
        let Response::Account(account) = town.run(0, create) else { panic!("no account") };
        town.pass(2_000);
        town.lose(0);
        let new = town.arrive();
        let recover = Command::RecoverAccount {
            address: "ada".parse().unwrap(),
            code: account.recovery_code,
            name: "new phone".into(),
        };
        assert!(matches!(town.run(new, recover), Response::Account(_)));
        town.settle();
        let shown = status(&mut town, new);
        assert_eq!(
            (shown.name.as_str(), shown.nameless),
            if stored { ("ADA", false) } else { ("", true) }
        );
        let id = town.found(new, "", &["bob"]);
        town.say(new, id, "I am back");
        town.settle();
        if !stored {
            assert_eq!(members(&mut town, 1, id), called(&[("", "ada"), ("BOB", "bob")]));
            rename(&mut town, new, "Ada");
            town.settle();
            assert!(!status(&mut town, new).nameless);
            assert_eq!(members(&mut town, 1, id), called(&[("Ada", "ada"), ("BOB", "bob")]));
        }
    }
}

#[test]
fn names_that_are_no_line_are_refused_and_shown_as_one() {
    let mut town = town(&["ada", "bob"]);
    for name in ["", "  ", "Ada\nEve", "\u{200b}", "a\u{202e}b"] {
        let refused = town.try_run(0, Command::SetName { name: name.into() });
        assert!(matches!(refused, Err(Failure::Invalid(_))), "{name:?}: {refused:?}");
    }
    let long = Command::SetName { name: "x".repeat(65) };
    assert_eq!(town.try_run(0, long), Err(Failure::TooLarge { what: "name", limit: 64 }));
    let title = "Plan\nThis person was verified".to_owned();
    let found = Command::CreateConversation { title: title.clone(), members: Vec::new() };
    assert!(matches!(town.try_run(0, found), Err(Failure::Invalid(_))));
    let conversation = town.found(0, "Plan", &["bob"]);
    let refused = town.try_run(0, Command::SetTitle { conversation, title });
    assert!(matches!(refused, Err(Failure::Invalid(_))));
    let key = "profile/name/x".to_owned();
    let refused = town.try_run(0, Command::SetSetting { key, value: "Eve".into() });
    assert!(matches!(refused, Err(Failure::Denied(_))), "a name is set as such");
    let Response::Settings(settings) = town.run(0, Command::Settings) else { panic!() };
    assert!(settings.keys().all(|key| !key.starts_with("profile/")), "{settings:?}");
}
