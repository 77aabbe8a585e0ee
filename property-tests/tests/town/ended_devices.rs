//! What is tried with a device that was ended or slept for long.

use sync_core::Engine;
use sync_core::api::{Command, Input, Member, Output, Response};
use sync_core::records::Records;
use sync_protocol::SpaceId;
use sync_protocol::frames::{Challenge, RelayFrame, Welcome};
use sync_protocol::ids::RelayId;

use crate::support::linking::{devices, link, offered, own_space, status, talking};
use crate::support::stall::{asks_for_ticket, pushes_content_into};
use crate::support::{Town, index, read, write};

/// Shows an engine over these records what a relay that helps it has: messages that others got.
fn with_the_relays_help(disk: &Records, now: u64, heard: &[Vec<u8>], id: SpaceId) -> Vec<String> {
    let mut disk = disk.clone();
    let mut engine = Engine::open([0x77; 32], now, index(&disk)).unwrap();
    let challenge = Challenge {
        nonce: [3; 32],
        relay: RelayId::from_bytes([9; 32]),
        time_ms: now,
        min_version: 1,
        max_version: 1,
    };
    let welcome = Welcome {
        time_ms: now,
        changed: 0,
        from_start: false,
        log_len: 1,
        key_packages: 30,
        spaces_differ: false,
        away: None,
    };
    let first = [RelayFrame::Challenge(challenge), RelayFrame::Welcome(welcome)];
    let mut inputs = vec![Input::Cancel(0), Input::Connected];
    inputs.extend(first.iter().map(|frame| Input::Received(frame.to_bytes())));
    inputs.extend(heard.iter().map(|frame| Input::Received(frame.clone())));
    let list = Command::ListMessages { conversation: id, before: None, limit: 1_000 };
    inputs.push(Input::Command(1, list));
    let mut shown = Vec::new();
    for input in inputs {
        engine.handle(now, input);
        while let Some(output) = engine.poll_output() {
            match output {
                Output::Persist(batch) => {
                    write(&mut disk, &batch);
                    engine.handle(now, Input::Persisted(batch.number));
                }
                Output::Load(load) => {
                    let records = read(&disk, &load.prefix());
                    engine.handle(now, Input::Loaded(load, records));
                }
                Output::Respond(1, Ok(Response::Messages(messages))) => {
                    shown = messages.into_iter().map(|message| message.text).collect();
                }
                _ => {}
            }
        }
    }
    shown
}

fn deliveries(town: &Town, n: usize, from: usize) -> Vec<Vec<u8>> {
    let heard = town.devices[n].heard[from..].iter();
    let wanted =
        heard.filter(|frame| matches!(RelayFrame::parse(frame), Ok(RelayFrame::Delivery(_))));
    wanted.cloned().collect()
}

#[test]
fn a_revoked_device_reads_nothing_even_with_the_relays_help() {
    let (mut town, id) = talking();
    let (laptop, device) = link(&mut town, 0, true);
    // Bob is away and writes: what he says reaches the relay after the removal.
    town.run(1, Command::GoOffline);
    town.say(1, id, "written offline");
    let from = town.devices[0].heard.len();
    town.run(0, Command::RevokeDevice { device });
    town.settle();
    let copy = town.devices[laptop].disk.clone();
    town.run(1, Command::GoOnline);
    town.settle();
    town.say(1, id, "after the removal");
    town.settle();
    let heard = deliveries(&town, 0, from);
    assert!(town.texts(0, id).contains(&"written offline".to_owned()));
    let shown = with_the_relays_help(&copy, town.now, &heard, id);
    assert_eq!(shown.len(), 10, "{shown:?}");
    // The same help lets a device that was not removed read it.
    let (tablet, _) = link(&mut town, 0, true);
    assert_eq!(town.texts(tablet, id).len(), 12);
}

#[test]
fn what_a_revoked_device_had_not_sent_is_told_to_its_owner_and_enters_no_state() {
    let (mut town, id) = talking();
    let (laptop, device) = link(&mut town, 0, true);
    town.run(laptop, Command::GoOffline);
    for n in 0..3 {
        town.say(laptop, id, &format!("unsent {n}"));
    }
    town.run(0, Command::RevokeDevice { device });
    town.settle();
    town.run(laptop, Command::GoOnline);
    town.settle();
    let unsent = town.devices[laptop].events.iter().find_map(|event| match event {
        sync_core::Event::Revoked { unsent } => Some(*unsent),
        _ => None,
    });
    assert!(unsent.unwrap() >= 1);
    assert!(town.try_run(laptop, send(id, "more")).is_err());
    assert_eq!(town.digest(0, id), town.digest(1, id));
    assert!(!town.texts(1, id).iter().any(|text| text.starts_with("unsent")));
}

#[test]
fn a_removed_device_empties_itself_and_begins_anew() {
    let (mut town, id) = talking();
    let (laptop, device) = link(&mut town, 0, true);
    town.run(0, Command::RevokeDevice { device });
    town.settle();
    assert!(town.try_run(laptop, send(id, "more")).is_err());
    town.run(laptop, Command::RevokeDevice { device });
    assert!(town.try_run(laptop, send(id, "more")).is_err());
    assert!(town.devices[laptop].disk.iter().next().is_none(), "something is left");
    town.sign_up(laptop, "dora");
    town.settle();
    town.say(0, id, "still here");
    town.settle();
    assert_eq!(town.digest(0, id), town.digest(1, id));
}

fn send(conversation: SpaceId, text: &str) -> Command {
    Command::SendMessage { conversation, text: text.into(), reply_to: None }
}

#[test]
fn a_device_that_slept_through_rotations_and_a_recovery_of_another_catches_up() {
    let (mut town, id) = talking();
    let carol = town.arrive();
    town.sign_up(carol, "carol");
    let (laptop, _) = link(&mut town, 0, true);
    town.run(laptop, Command::GoOffline);
    town.say(laptop, id, "written before sleeping");
    for n in 0..10 {
        let address = "carol".parse().unwrap();
        town.run(0, Command::AddMember { conversation: id, address, share_history: true });
        town.settle();
        town.say(1, id, &format!("awake {n}"));
        town.settle();
        let member = Member::Address("carol".parse().unwrap());
        town.run(0, Command::RemoveMember { conversation: id, member });
        town.settle();
        let (_, device) = link(&mut town, 1, true);
        town.run(1, Command::RevokeDevice { device });
        town.settle();
    }
    let other = town.found(0, "While asleep", &["bob"]);
    town.settle();
    town.say(1, other, "good morning");
    town.settle();
    town.run(laptop, Command::GoOnline);
    town.settle();
    assert_eq!(town.texts(laptop, other), ["good morning"]);
    assert!(town.texts(1, id).contains(&"written before sleeping".to_owned()));
    assert_eq!(town.digest(laptop, id), town.digest(0, id));
    assert_eq!(town.digest(1, id), town.digest(0, id));
}

#[test]
fn two_admins_who_remove_each_other_come_to_one_outcome() {
    let (mut town, id) = talking();
    let member = |address: &str| Member::Address(address.parse().unwrap());
    let role = sync_protocol::roster::Role::Admin;
    town.run(0, Command::SetRole { conversation: id, member: member("bob"), role });
    town.settle();
    town.run(0, Command::GoOffline);
    town.run(1, Command::GoOffline);
    town.run(0, Command::RemoveMember { conversation: id, member: member("bob") });
    town.run(1, Command::RemoveMember { conversation: id, member: member("ada") });
    town.run(0, Command::GoOnline);
    town.run(1, Command::GoOnline);
    town.settle();
    let is_in = |town: &mut Town, n: usize| match town.run(n, Command::ListConversations) {
        Response::Conversations(list) => list[0].active,
        other => panic!("{other:?}"),
    };
    assert_ne!(is_in(&mut town, 0), is_in(&mut town, 1), "one of them is out");
}

#[test]
fn a_device_that_dies_while_it_revokes_another_has_done_it_or_not() {
    for after in 0..8 {
        let (mut town, id) = talking();
        let (laptop, device) = link(&mut town, 0, true);
        town.tell(0, Command::RevokeDevice { device });
        for _ in 0..after {
            town.exchange();
        }
        town.restart(0);
        town.settle();
        let list = devices(&mut town, 0);
        let revoked = list.iter().find(|view| view.device == device).unwrap().revoked;
        town.say(0, id, "after");
        town.settle();
        let reads = town.texts(laptop, id).contains(&"after".to_owned());
        assert_eq!(reads, !revoked, "after {after}");
        if !revoked {
            town.run(0, Command::RevokeDevice { device });
            town.settle();
        }
        town.say(0, id, "at last");
        town.settle();
        assert!(!town.texts(laptop, id).contains(&"at last".to_owned()));
        assert_eq!(town.digest(0, id), town.digest(1, id));
    }
}

#[test]
fn who_leaves_is_heard_out_though_a_device_of_another_ended_meanwhile() {
    let (mut town, id) = talking();
    let (_, tablet) = link(&mut town, 1, true);
    town.run(0, Command::GoOffline);
    town.say(0, id, "last words");
    town.tell(0, Command::Leave { conversation: id });
    town.run(1, Command::RevokeDevice { device: tablet });
    // Bob does not get to take his tablet out himself.
    town.run(1, Command::GoOffline);
    town.run(0, Command::GoOnline);
    town.settle();
    assert_eq!(status(&mut town, 0).waiting, 0);
    town.run(1, Command::GoOnline);
    town.settle();
    assert_eq!(town.texts(1, id).last().unwrap(), "last words");
    assert_eq!(status(&mut town, 0).waiting, 0);
}

#[test]
fn a_device_that_logs_out_leaves_its_siblings_what_it_alone_could_read() {
    let (mut town, id) = talking();
    let own = own_space(&mut town, 0);
    let phone = status(&mut town, 0).device.unwrap();
    let (laptop, code) = offered(&mut town, 0, true);
    town.hold_up(laptop, asks_for_ticket);
    town.tell(0, Command::ConfirmDevice { code });
    town.pass(10_000);
    let device = status(&mut town, laptop).device.unwrap();
    town.run(0, Command::MakePrimary { device });
    town.run(laptop, Command::GoOffline);
    town.hold_up(0, pushes_content_into(own));
    let title = |title: &str| Command::SetTitle { conversation: id, title: title.to_owned() };
    town.run(0, title("Coffee"));
    town.pass(1_000);
    town.say(1, id, "over coffee");
    town.run(0, title("Cake"));
    town.pass(1_000);
    town.tell(0, Command::RevokeDevice { device: phone });
    town.pass(2_000);
    town.let_up(0);
    town.settle();
    assert_eq!(status(&mut town, 0).account, None, "logged out");
    town.let_up(laptop);
    town.run(laptop, Command::GoOnline);
    town.pass(60_000);
    assert_eq!(town.texts(laptop, id).last().unwrap(), "over coffee");
    assert_eq!(town.digest(laptop, id), town.digest(1, id));
}
