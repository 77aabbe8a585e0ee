//! Changes of an app's documents are announced, whoever made them, once each.

use sync_core::api::{Command, Event, Response, Space};
use sync_core::document::{AppOp, Step};
use sync_protocol::SpaceId;
use sync_protocol::codec::Blob;

use crate::support::Town;
use crate::support::linking::{link, talking};

fn put(space: Space, n: u32) -> Command {
    let (path, value) = (vec![Step::from("n")], Blob(n.to_string().into_bytes()));
    Command::ChangeDocument {
        space,
        name: "plan".to_owned(),
        ops: vec![AppOp::Put { path, value }],
    }
}

fn read(town: &mut Town, n: usize, space: Space) -> Response {
    let (name, path) = ("plan".to_owned(), vec![Step::from("n")]);
    town.run(n, Command::ReadDocument { space, name, path })
}

/// How often a device was told that the document changed, since it was last asked.
fn told(town: &mut Town, n: usize, id: SpaceId) -> usize {
    let events = std::mem::take(&mut town.devices[n].events);
    let is_it = |event: &&Event| matches!(event, Event::Document { space, name, .. } if *space == id && name == "app/plan");
    events.iter().filter(is_it).count()
}

#[test]
fn a_change_of_a_shared_document_is_told_once_to_all_whether_they_have_it_open_or_not() {
    let (mut town, id) = talking();
    let (laptop, _) = link(&mut town, 0, true);
    let space = Space::Conversation(id);
    for n in [0, 1, laptop] {
        told(&mut town, n, id);
    }
    for round in 1..4 {
        town.run(0, put(space, round));
        town.settle();
        for n in [0, 1, laptop] {
            assert_eq!(told(&mut town, n, id), 1, "device {n} in round {round}");
        }
        // From the second round on one of them has it open.
        assert_eq!(read(&mut town, 1, space), Response::Value(round.into()));
    }
    // Nor is it told again by opening it.
    town.restart(1);
    town.settle();
    assert_eq!(read(&mut town, 1, space), Response::Value(3.into()));
    assert_eq!(told(&mut town, 1, id), 0);
}

#[test]
fn a_change_of_a_document_of_ones_own_is_told_to_ones_other_devices() {
    let (mut town, _) = talking();
    let (laptop, _) = link(&mut town, 0, true);
    let Response::Status(status) = town.run(0, Command::Status) else { panic!() };
    let own = status.account.unwrap().space();
    told(&mut town, laptop, own);
    town.run(0, put(Space::Account, 1));
    town.settle();
    assert_eq!(told(&mut town, laptop, own), 1);
    assert_eq!(told(&mut town, 0, own), 1);
    assert_eq!(read(&mut town, laptop, Space::Account), Response::Value(1.into()));
}
