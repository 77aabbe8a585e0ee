//! Pages of long conversations: what they show, and what has to be read for it.

use sync_core::api::{Command, Response};
use sync_core::document::Name;
use sync_core::records::Load;
use sync_protocol::SpaceId;

use crate::support::Town;

/// Messages that fill a segment and begin the next.
const MANY: usize = 1_100;

/// The newest messages, as a device shows them.
fn last(town: &mut Town, n: usize, conversation: SpaceId) -> Vec<String> {
    match town.run(n, Command::ListMessages { conversation, before: None, limit: 20 }) {
        Response::Messages(page) => page.into_iter().map(|message| message.text).collect(),
        other => panic!("{other:?}"),
    }
}

/// The same, read from the store by a device that was just started, and the segments it read.
fn last_after_start(town: &mut Town, n: usize, id: SpaceId) -> (Vec<String>, Vec<u32>) {
    town.restart(n);
    town.settle();
    town.devices[n].loads.clear();
    let page = last(town, n, id);
    let segment = |load: &Load| match load {
        Load::Document(of, Name::Messages(segment)) if *of == id => Some(*segment),
        _ => None,
    };
    (page, town.devices[n].loads.iter().filter_map(segment).collect())
}

fn expected() -> Vec<String> {
    (MANY - 20..MANY).map(|n| n.to_string()).collect()
}

#[test]
fn a_page_needs_no_segment_that_is_known_to_end_before_it() {
    let mut town = Town::new(1);
    town.sign_up(0, "ada");
    let id = town.found(0, "Notes", &[]);
    for n in 0..MANY {
        town.say(0, id, &n.to_string());
    }
    town.settle();
    assert_eq!(last_after_start(&mut town, 0, id), (expected(), vec![1]));
}

#[test]
fn what_comes_late_to_an_earlier_segment_is_where_it_belongs() {
    let mut town = Town::new(2);
    town.sign_up(0, "ada");
    town.sign_up(1, "bob");
    let id = town.found(0, "Tea", &["bob"]);
    town.settle();
    town.say(1, id, "hello");
    town.settle();
    town.run(1, Command::GoOffline);
    for n in 0..MANY {
        town.say(0, id, &n.to_string());
    }
    town.settle();
    assert_eq!(last(&mut town, 0, id), expected());
    assert_eq!(last_after_start(&mut town, 0, id), (expected(), vec![1]));
    // Bob has not seen that a segment is full.
    town.now += 1_000;
    town.say(1, id, "late");
    town.run(1, Command::GoOnline);
    town.settle();
    let mut all = expected().split_off(1);
    all.push("late".into());
    assert_eq!(last(&mut town, 1, id), all);
    assert_eq!(last_after_start(&mut town, 0, id).0, all);
    assert_eq!(town.digest(0, id), town.digest(1, id));
}
