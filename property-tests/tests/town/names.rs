//! Names: told by their owners, known wherever they write, and never a way to somebody else.

use std::collections::BTreeSet;

use minicbor::{Decode, Encode};
use sync_core::api::{Command, Response};
use sync_protocol::codec::{self, Blob};
use sync_protocol::{AccountId, SpaceId};

use crate::support::Town;
use crate::support::linking::link;

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
