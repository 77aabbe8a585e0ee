//! The shortest way from a tap on one device to the screen of another: real engines and the real
//! relay rules, nothing delayed, nothing lost.

use sync_core::Failure;
use sync_core::api::{Command, Input, Member, Response, Until};
use sync_protocol::SpaceId;
use sync_protocol::roster::Role;

use crate::support::Town;

#[test]
fn two_people_talk() {
    let mut town = Town::new(2);
    town.sign_up(0, "ada");
    town.sign_up(1, "bob");
    let id = town.found(0, "Tea", &["bob"]);
    town.settle();
    town.say(0, id, "hello bob");
    town.settle();
    assert_eq!(town.texts(1, id), ["hello bob"]);
    town.say(1, id, "hello ada");
    town.settle();
    assert_eq!(town.texts(0, id), ["hello bob", "hello ada"]);
    assert_eq!(town.digest(0, id), town.digest(1, id));
    assert!(matches!(town.run(0, Command::Wait(Until::Stored)), Response::Done));
    assert!(matches!(town.run(1, Command::Wait(Until::UpToDate)), Response::Done));
}

#[test]
fn offline_edits_arrive_and_both_are_equal_after_restarts() {
    let mut town = Town::new(2);
    town.sign_up(0, "ada");
    town.sign_up(1, "bob");
    let id = town.found(0, "Tea", &["bob"]);
    town.settle();
    town.run(0, Command::GoOffline);
    town.run(1, Command::GoOffline);
    for n in 0..300 {
        town.say(0, id, &format!("a{n}"));
        town.say(1, id, &format!("b{n}"));
    }
    town.restart(0);
    town.settle();
    town.run(1, Command::GoOnline);
    town.settle();
    let (a, b) = (town.digest(0, id), town.digest(1, id));
    assert_eq!(a, b);
    assert_eq!(town.texts(0, id).len(), 600);
    town.restart(1);
    town.settle();
    assert_eq!(town.digest(1, id), a);
}

#[test]
fn members_come_with_and_without_history_and_go() {
    let mut town = Town::new(4);
    for (n, name) in ["ada", "bob", "cyd", "dan"].iter().enumerate() {
        town.sign_up(n, name);
    }
    let id = town.found(0, "Tea", &["bob"]);
    town.settle();
    town.say(0, id, "before");
    town.settle();
    let add = |address: &str, share_history| Command::AddMember {
        conversation: id,
        address: address.parse().unwrap(),
        share_history,
    };
    town.run(0, add("cyd", true));
    town.settle();
    assert_eq!(town.texts(2, id), ["before"]);
    assert_eq!(town.digest(0, id), town.digest(2, id));
    town.run(0, add("dan", false));
    town.settle();
    assert_eq!(town.texts(3, id), Vec::<String>::new());
    let answer = town.say(3, id, "hello all");
    town.settle();
    for n in 0..3 {
        assert_eq!(town.texts(n, id), ["before", "hello all"], "device {n}");
    }
    town.run(1, Command::React { conversation: id, message: answer, emoji: Some("👍".to_owned()) });
    town.settle();
    let remove =
        Command::RemoveMember { conversation: id, member: Member::Address("bob".parse().unwrap()) };
    town.run(0, remove);
    town.settle();
    town.say(2, id, "after bob");
    town.settle();
    assert_eq!(town.texts(1, id), ["before", "hello all"]);
    assert!(matches!(
        town.try_run(
            1,
            Command::SendMessage { conversation: id, text: "x".into(), reply_to: None }
        ),
        Err(Failure::Denied(_))
    ));
    assert_eq!(town.digest(0, id), town.digest(2, id));
    town.run(2, Command::Leave { conversation: id });
    town.settle();
    town.say(0, id, "after cyd");
    town.settle();
    assert_eq!(town.texts(3, id), ["hello all", "after bob", "after cyd"]);
}

fn add(conversation: SpaceId, address: &str, share_history: bool) -> Command {
    Command::AddMember { conversation, address: address.parse().unwrap(), share_history }
}

fn member(address: &str) -> Member {
    Member::Address(address.parse().unwrap())
}

#[test]
fn an_admin_who_was_let_in_can_share_all_history() {
    let mut town = Town::new(3);
    for (n, name) in ["ada", "bob", "cyd"].iter().enumerate() {
        town.sign_up(n, name);
    }
    let id = town.found(0, "Tea", &["bob"]);
    town.settle();
    town.say(0, id, "before");
    town.run(0, Command::SetRole { conversation: id, member: member("bob"), role: Role::Admin });
    town.settle();
    town.run(1, add(id, "cyd", true));
    town.settle();
    assert_eq!(town.texts(2, id), ["before"]);
    assert_eq!(town.digest(2, id), town.digest(0, id));
}

#[test]
fn whoever_comes_back_still_knows_who_wrote_what() {
    let mut town = Town::new(3);
    for (n, name) in ["ada", "bob", "cyd"].iter().enumerate() {
        town.sign_up(n, name);
    }
    let id = town.found(0, "Tea", &["bob", "cyd"]);
    town.settle();
    town.say(1, id, "by bob");
    town.settle();
    let authors = |town: &mut Town| {
        let list = Command::ListMessages { conversation: id, before: None, limit: 10 };
        let Response::Messages(page) = town.run(2, list) else { panic!() };
        page.into_iter().map(|view| (view.author, view.delivered)).collect::<Vec<_>>()
    };
    let before = authors(&mut town);
    town.run(0, Command::RemoveMember { conversation: id, member: member("cyd") });
    town.run(1, Command::Leave { conversation: id });
    town.settle();
    town.run(0, add(id, "cyd", false));
    town.settle();
    assert_eq!(authors(&mut town), before);
}

#[test]
fn what_is_written_after_a_restart_stands_behind_what_was_seen_before_it() {
    let mut town = Town::new(3);
    for (n, name) in ["ada", "bob", "cyd"].iter().enumerate() {
        town.sign_up(n, name);
    }
    let id = town.found(0, "Tea", &["bob"]);
    town.settle();
    town.now += 240_000;
    town.say(0, id, "four minutes ahead");
    town.settle();
    assert_eq!(town.texts(1, id).len(), 1);
    // From here on another segment is the newest.
    town.run(0, add(id, "cyd", false));
    town.settle();
    town.now -= 240_000;
    town.restart(1);
    town.settle();
    town.say(1, id, "an answer");
    town.settle();
    assert_eq!(town.texts(0, id), ["four minutes ahead", "an answer"]);
}

#[test]
fn a_thousand_conversations_reconnect_in_one_round_trip() {
    let mut town = Town::new(2);
    town.sign_up(0, "ada");
    town.sign_up(1, "bob");
    let all: Vec<SpaceId> = (0..1_000)
        .map(|n| {
            let id = town.found(0, &format!("talk {n}"), &["bob"]);
            town.say(0, id, "hello");
            if n % 50 == 0 {
                town.settle();
            }
            id
        })
        .collect();
    town.settle();
    assert!(
        matches!(town.run(1, Command::ListConversations), Response::Conversations(list) if list.len() == 1_000)
    );
    // What Bob wrote himself, his receipts, he is not sent again.
    town.run(1, Command::GoOffline);
    for id in &all[500..503] {
        town.say(0, *id, "news");
    }
    town.settle();
    let device = &mut town.devices[1];
    (device.frames_in, device.frames_out, device.bytes) = (0, 0, 0);
    let online = town.tell(1, Command::GoOnline);
    let up_to_date = town.tell(1, Command::Wait(Until::UpToDate));
    let mut needed = 0;
    // Challenge and hello, then all there is: the relay asks nothing back before it is told.
    while !town.devices[1].answers.contains_key(&up_to_date) {
        let outputs = town.relay.commit(town.now);
        assert!(!outputs.is_empty(), "the relay has nothing more to say");
        for output in outputs {
            let sync_server::relay::Output::Send { session, frame } = output else {
                panic!("closed")
            };
            if town.devices[1].session == Some(session) {
                town.devices[1].frames_in += 1;
                town.devices[1].bytes += frame.len();
                let before = town.devices[1].frames_out;
                town.feed(1, Input::Received(frame.whole()));
                if !town.devices[1].answers.contains_key(&up_to_date) {
                    needed += town.devices[1].frames_out - before;
                }
            }
        }
    }
    assert!(town.devices[1].answers.contains_key(&online));
    let device = &town.devices[1];
    eprintln!("{} frames in, {} out, {} bytes", device.frames_in, device.frames_out, device.bytes);
    assert_eq!(needed, 1, "only the hello was needed");
    assert!(device.bytes < 64 * 1024, "{} bytes on the wire", device.bytes);
    for id in &all[500..503] {
        assert_eq!(town.texts(1, *id), ["hello", "news"]);
    }
    assert_eq!(town.texts(1, all[7]), ["hello"]);
}

#[test]
fn the_only_admin_leaves_and_is_heard_out_first() {
    let mut town = Town::new(2);
    town.sign_up(0, "ada");
    town.sign_up(1, "bob");
    let id = town.found(0, "Tea", &["bob"]);
    town.settle();
    town.run(0, Command::GoOffline);
    for n in 0..10 {
        town.say(0, id, &format!("last words {n}"));
    }
    town.run(0, Command::Leave { conversation: id });
    town.run(0, Command::GoOnline);
    town.settle();
    assert_eq!(town.texts(1, id).len(), 10);
    let Response::Conversations(list) = town.run(1, Command::ListConversations) else { panic!() };
    assert_eq!(list[0].members.len(), 1, "{list:?}");
    assert_eq!(list[0].waiting, 0);
    assert!(matches!(town.run(1, Command::Wait(Until::Stored)), Response::Done));
    town.run(1, Command::SetTitle { conversation: id, title: "Mine".to_owned() });
    town.settle();
}
