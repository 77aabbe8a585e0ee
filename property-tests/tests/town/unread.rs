//! What the list says of a conversation follows from what is in it and what was read, never from
//! what a device happened to show: own devices say the same.

use sync_core::api::{Command, ConversationView, Member, Response};
use sync_core::document::OrderKey;
use sync_protocol::SpaceId;

use crate::support::Town;
use crate::support::linking::{link, talking};

/// What a device lists, but for who else vouches for it: to each device that is another.
fn list(town: &mut Town, n: usize) -> Vec<ConversationView> {
    match town.run(n, Command::ListConversations) {
        Response::Conversations(list) => {
            list.into_iter().map(|view| ConversationView { vouched: None, ..view }).collect()
        }
        other => panic!("{other:?}"),
    }
}

fn unread(town: &mut Town, n: usize, id: SpaceId) -> u64 {
    list(town, n).into_iter().find(|view| view.conversation == id).unwrap().unread
}

fn read(town: &mut Town, n: usize, conversation: SpaceId, message: OrderKey) {
    town.run(n, Command::MarkRead { conversation, message });
    town.settle();
}

fn delete(town: &mut Town, n: usize, conversation: SpaceId, message: OrderKey) {
    town.run(n, Command::DeleteMessage { conversation, message });
    town.settle();
}

fn offline(town: &mut Town, n: usize) {
    town.run(n, Command::GoOffline);
}

fn online(town: &mut Town, n: usize) {
    town.run(n, Command::GoOnline);
    town.settle();
}

#[test]
fn what_was_deleted_before_it_came_is_unread_nowhere() {
    let (mut town, id) = talking();
    let (laptop, _) = link(&mut town, 0, true);
    let last = town.say(1, id, "all read");
    town.settle();
    read(&mut town, 0, id, last);
    assert_eq!((unread(&mut town, 0, id), unread(&mut town, laptop, id)), (0, 0));
    offline(&mut town, laptop);
    let gone = town.say(1, id, "a mistake");
    let stays = town.say(1, id, "better");
    town.settle();
    assert_eq!(unread(&mut town, 0, id), 2);
    delete(&mut town, 1, id, gone);
    assert_eq!(unread(&mut town, 0, id), 1);
    online(&mut town, laptop);
    assert_eq!(unread(&mut town, laptop, id), 1);
    delete(&mut town, 1, id, stays);
    for n in [0, laptop] {
        assert_eq!(unread(&mut town, n, id), 0, "{n}");
        town.restart(n);
        town.settle();
        assert_eq!(unread(&mut town, n, id), 0, "{n}");
    }
    assert_eq!(list(&mut town, 0), list(&mut town, laptop));
}

#[test]
fn a_read_mark_of_another_device_is_followed_also_after_a_crash() {
    let (mut town, id) = talking();
    let (laptop, _) = link(&mut town, 0, true);
    let last = town.say(1, id, "news");
    town.settle();
    offline(&mut town, laptop);
    read(&mut town, 0, id, last);
    // The mark is durable on the laptop, and nothing else was done about it.
    town.run(laptop, Command::GoOnline);
    for _ in 0..40 {
        town.exchange();
        town.restart(laptop);
        town.pass(100);
    }
    town.settle();
    assert_eq!(unread(&mut town, laptop, id), 0);
    assert_eq!(list(&mut town, 0), list(&mut town, laptop));
}

#[test]
fn a_device_linked_without_history_counts_from_where_it_can_read() {
    let (mut town, id) = talking();
    let (laptop, _) = link(&mut town, 0, false);
    assert_eq!(unread(&mut town, laptop, id), 0);
    let one = town.say(1, id, "one");
    town.say(1, id, "two");
    town.settle();
    assert_eq!(unread(&mut town, laptop, id), 2);
    read(&mut town, 0, id, one);
    assert_eq!((unread(&mut town, 0, id), unread(&mut town, laptop, id)), (1, 1));
}

#[test]
fn what_somebody_blocked_writes_counts_nowhere() {
    let (mut town, id) = talking();
    let (laptop, _) = link(&mut town, 0, true);
    let last = town.say(1, id, "read");
    town.settle();
    read(&mut town, 0, id, last);
    offline(&mut town, laptop);
    let member = Member::Address("bob".parse().unwrap());
    town.run(0, Command::SetBlocked { member: member.clone(), blocked: true });
    let own = town.say(0, id, "mine");
    town.say(1, id, "you will never know");
    town.settle();
    online(&mut town, laptop);
    for n in [0, laptop] {
        let view = list(&mut town, n).into_iter().find(|view| view.conversation == id).unwrap();
        assert_eq!((view.unread, view.last.map(|last| last.message)), (0, Some(own)), "{n}");
    }
    town.run(laptop, Command::SetBlocked { member, blocked: false });
    town.settle();
    for n in [0, laptop] {
        assert_eq!(unread(&mut town, n, id), 1, "{n}");
    }
    assert_eq!(list(&mut town, 0), list(&mut town, laptop));
}

#[test]
fn a_conversation_that_somebody_blocked_began_is_listed_on_no_device() {
    let (mut town, known) = talking();
    let (laptop, _) = link(&mut town, 0, true);
    let mallory = town.arrive();
    town.sign_up(mallory, "mallory");
    let first = town.found(mallory, "Hello", &["ada"]);
    town.settle();
    for n in [0, laptop] {
        let view = list(&mut town, n).into_iter().find(|view| view.conversation == first).unwrap();
        assert!(view.pending, "{n}");
    }
    // A device that comes later knows as well who invited.
    let (tablet, _) = link(&mut town, 0, true);
    let ours = |town: &mut Town, n: usize| -> Vec<SpaceId> {
        list(town, n).into_iter().map(|view| view.conversation).collect()
    };
    let view = list(&mut town, tablet).into_iter().find(|view| view.conversation == first);
    assert!(view.unwrap().pending);
    town.run(0, Command::DeclineConversation { conversation: first, block: true });
    town.settle();
    town.found(mallory, "BUY NOW", &["ada", "bob"]);
    town.settle();
    for n in [0, laptop, tablet] {
        assert_eq!(ours(&mut town, n), [known], "{n}");
        town.restart(n);
        town.settle();
        assert_eq!(ours(&mut town, n), [known], "{n}");
    }
    let member = Member::Address("mallory".parse().unwrap());
    town.run(0, Command::SetBlocked { member, blocked: false });
    town.settle();
    assert!(ours(&mut town, laptop).contains(&first));
    assert_eq!(list(&mut town, 0), list(&mut town, laptop));
    assert_eq!(list(&mut town, 0), list(&mut town, tablet));
}

#[test]
fn segments_that_happen_to_be_open_make_no_difference() {
    let (mut town, id) = talking();
    let (laptop, _) = link(&mut town, 0, true);
    offline(&mut town, laptop);
    let mut keys = Vec::new();
    for n in 0..1_100 {
        keys.push(town.say(1, id, &format!("message {n}")));
        if n % 50 == 0 {
            town.settle();
        }
    }
    town.settle();
    read(&mut town, 0, id, keys[600]);
    assert_eq!(unread(&mut town, 0, id), 499);
    delete(&mut town, 1, id, keys[700]);
    town.restart(0);
    town.settle();
    online(&mut town, laptop);
    assert_eq!(unread(&mut town, laptop, id), 498);
    assert_eq!(list(&mut town, 0), list(&mut town, laptop));
    // The laptop pages back to the beginning, the phone has just started.
    let mut before = None;
    loop {
        let page = Command::ListMessages { conversation: id, before, limit: 500 };
        let Response::Messages(page) = town.run(laptop, page) else { panic!() };
        let Some(first) = page.first() else { break };
        before = Some(first.message);
    }
    town.say(1, id, "one more");
    town.settle();
    assert_eq!(unread(&mut town, laptop, id), 499);
    assert_eq!(list(&mut town, 0), list(&mut town, laptop));
}

/// A small source of choices that a seed determines.
struct Choices(u64);

impl Choices {
    fn below(&mut self, most: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % most
    }
}

#[test]
fn the_lists_of_own_devices_are_equal_at_rest_whatever_happened() {
    for seed in 0..12 {
        let mut choices = Choices(seed);
        let (mut town, tea) = talking();
        let (laptop, _) = link(&mut town, 0, true);
        let eve = town.arrive();
        town.sign_up(eve, "eve");
        let plan = town.found(0, "Plan", &["bob", "eve"]);
        town.settle();
        let mut written: Vec<(usize, SpaceId, OrderKey)> = Vec::new();
        for _ in 0..60 {
            let n = [0, laptop, 1, eve][choices.below(4) as usize];
            let id = if n == eve || choices.below(2) == 0 { plan } else { tea };
            let some = (!written.is_empty())
                .then(|| written[choices.below(written.len() as u64) as usize]);
            match (choices.below(12), some) {
                (0..=4, _) | (_, None) => written.push((n, id, town.say(n, id, "something"))),
                (5 | 6, Some((by, id, key))) => {
                    let _ =
                        town.tell(by, Command::DeleteMessage { conversation: id, message: key });
                }
                (7, Some((_, id, key))) => {
                    let at = [0, laptop][choices.below(2) as usize];
                    town.tell(at, Command::MarkRead { conversation: id, message: key });
                }
                (8, _) => offline(&mut town, n),
                (9, _) => drop(town.tell(n, Command::GoOnline)),
                (10, _) => town.restart(n),
                _ => {
                    let member = Member::Address("eve".parse().unwrap());
                    let blocked = choices.below(2) == 0;
                    town.tell([0, laptop][n % 2], Command::SetBlocked { member, blocked });
                }
            }
            if choices.below(3) == 0 {
                town.pass(choices.below(5_000));
            }
        }
        for n in [0, laptop, 1, eve] {
            online(&mut town, n);
        }
        town.settle();
        let (phone, other) = (list(&mut town, 0), list(&mut town, laptop));
        assert_eq!(phone, other, "seed {seed}");
        for view in &phone {
            let id = view.conversation;
            assert_eq!(town.digest(0, id), town.digest(laptop, id), "seed {seed}");
        }
        for n in [0, laptop] {
            town.restart(n);
            town.settle();
            assert_eq!(list(&mut town, n), phone, "seed {seed}, device {n} opened again");
        }
    }
}
