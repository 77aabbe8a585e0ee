//! A device's life: linked, used beside others, ended, brought back.

use sync_core::Failure;
use sync_core::api::{Command, Event, LinkEvent, Response, Space, Until};
use sync_protocol::frames::ClientFrame;

use crate::support::Town;
use crate::support::linking::{code, devices, link, offer, talking};

fn account_digest(town: &mut Town, n: usize) -> sync_core::api::Digest {
    match town.run(n, Command::Digest { space: Space::Account }) {
        Response::Digest(digest) => digest,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_linked_device_reads_all_and_writes_at_once() {
    let (mut town, id) = talking();
    let before = town.texts(0, id);
    assert_eq!(before.len(), 10);
    let (laptop, device) = link(&mut town, 0, true);
    assert_eq!(town.texts(laptop, id), before);
    assert!(matches!(town.run(laptop, Command::Wait(Until::UpToDate)), Response::Done));
    town.say(laptop, id, "from the laptop");
    town.settle();
    for n in [0, 1, laptop] {
        assert_eq!(town.texts(n, id).last().unwrap(), "from the laptop", "{n}");
    }
    assert_eq!(town.digest(0, id), town.digest(laptop, id));
    assert_eq!(town.digest(1, id), town.digest(laptop, id));
    assert_eq!(account_digest(&mut town, 0), account_digest(&mut town, laptop));
    let list = devices(&mut town, 0);
    assert_eq!(list.len(), 2);
    assert_eq!((list[0].role, list[1].role), ("primary", "companion"));
    assert_eq!((list[1].device, list[1].name.as_str()), (device, "device 2"));
    let told = |n: usize| {
        town.devices[n]
            .events
            .iter()
            .any(|event| matches!(event, Event::Devices { added, .. } if added.contains(&device)))
    };
    assert!(told(0) && told(1), "everybody concerned is told");
}

#[test]
fn a_linked_device_writes_with_its_siblings_away() {
    let (mut town, id) = talking();
    let mut all = vec![id];
    for n in 0..20 {
        all.push(town.found(0, &format!("Talk {n}"), &["bob"]));
    }
    town.settle();
    let (laptop, _) = {
        let n = town.arrive();
        let offer = offer(&mut town, n);
        town.tell(0, Command::AcceptDevice { offer, history: true });
        town.pass(1_000);
        let code = code(&town, n);
        town.run(0, Command::ConfirmDevice { code });
        (n, ())
    };
    // The phone goes away once it has let the laptop into the account's own space.
    town.pass(100);
    town.run(0, Command::GoOffline);
    town.settle();
    for id in &all {
        town.say(laptop, *id, "hello");
    }
    town.settle();
    for id in &all {
        assert_eq!(town.texts(1, *id).last().unwrap(), "hello");
    }
    town.run(0, Command::GoOnline);
    town.settle();
    for id in &all {
        assert_eq!(town.digest(0, *id), town.digest(laptop, *id));
    }
}

#[test]
fn a_device_linked_without_history_sees_what_comes_from_then_on() {
    let (mut town, id) = talking();
    town.run(0, Command::SetSetting { key: "theme".into(), value: "dark".into() });
    town.settle();
    let (laptop, _) = link(&mut town, 0, false);
    town.say(1, id, "new");
    town.settle();
    assert_eq!(town.texts(laptop, id), ["new"]);
    town.say(laptop, id, "seen");
    town.settle();
    assert_eq!(town.texts(0, id).last().unwrap(), "seen");
    let theme = town.run(laptop, Command::Setting { key: "theme".into() });
    assert_eq!(theme, Response::Value("dark".into()));
    let next = town.found(0, "Later", &["bob"]);
    town.settle();
    town.say(1, next, "hi");
    town.settle();
    assert_eq!(town.texts(laptop, next), ["hi"]);
}

#[test]
fn what_its_last_member_left_is_left_on_all_devices() {
    let (mut town, _) = talking();
    let alone = town.found(0, "Notes", &[]);
    town.say(0, alone, "to myself");
    town.settle();
    let (laptop, _) = link(&mut town, 0, true);
    town.run(laptop, Command::Leave { conversation: alone });
    town.settle();
    let (tablet, _) = link(&mut town, 0, true);
    for n in [0, laptop] {
        assert_eq!(active(&mut town, n, alone), Some(false), "{n}");
    }
    assert_eq!(active(&mut town, tablet, alone), None);
}

/// Whether a device is in a conversation, if it knows it.
fn active(town: &mut Town, n: usize, id: sync_protocol::SpaceId) -> Option<bool> {
    match town.run(n, Command::ListConversations) {
        Response::Conversations(list) => {
            list.iter().find(|view| view.conversation == id).map(|view| view.active)
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn settings_read_marks_and_own_messages_follow_on_all_devices() {
    let (mut town, id) = talking();
    let (laptop, _) = link(&mut town, 0, true);
    town.run(laptop, Command::SetSetting { key: "theme".into(), value: "light".into() });
    let last = town.say(1, id, "read me");
    town.settle();
    let unread = |town: &mut Town, n: usize| match town.run(n, Command::ListConversations) {
        Response::Conversations(list) => list[0].unread,
        other => panic!("{other:?}"),
    };
    assert!(unread(&mut town, 0) > 0 && unread(&mut town, laptop) > 0);
    town.run(laptop, Command::MarkRead { conversation: id, message: last });
    town.settle();
    assert_eq!((unread(&mut town, 0), unread(&mut town, laptop)), (0, 0));
    let theme = town.run(0, Command::Setting { key: "theme".into() });
    assert_eq!(theme, Response::Value("light".into()));
    let new = town.found(laptop, "From the laptop", &["bob"]);
    town.settle();
    town.say(0, new, "from the phone");
    town.settle();
    assert_eq!(town.texts(1, new), ["from the phone"]);
    assert_eq!(town.digest(0, new), town.digest(laptop, new));
}

#[test]
fn a_wrong_code_links_nothing() {
    let (mut town, _) = talking();
    let n = town.arrive();
    let offer = offer(&mut town, n);
    town.tell(0, Command::AcceptDevice { offer: offer.clone(), history: true });
    town.pass(1_000);
    let wrong = if code(&town, n) == "0000000" { "1111111" } else { "0000000" };
    let refused = town.try_run(0, Command::ConfirmDevice { code: wrong.into() });
    assert!(matches!(refused, Err(Failure::Denied(_))), "{refused:?}");
    town.settle();
    assert_eq!(devices(&mut town, 0).len(), 1);
    let failed = town.devices[n].events.iter();
    assert!(failed.clone().any(|e| matches!(e, Event::Link(LinkEvent::Failed(_)))));
    // The same offer leads nowhere; a new one does.
    let again = town.tell(0, Command::AcceptDevice { offer, history: true });
    town.pass(1_000);
    assert!(town.devices[0].answers.remove(&again).is_some());
    assert_eq!(devices(&mut town, 0).len(), 1);
    assert!(town.devices[n].disk.is_empty(), "nothing is kept of a link that failed");
}

#[test]
fn a_revoked_device_is_out_everywhere() {
    let (mut town, id) = talking();
    let (laptop, device) = link(&mut town, 0, true);
    let (tablet, _) = link(&mut town, 0, true);
    town.say(laptop, id, "before");
    town.settle();
    town.run(0, Command::RevokeDevice { device });
    town.settle();
    assert!(town.devices[laptop].events.iter().any(|e| matches!(e, Event::Revoked { .. })));
    town.say(0, id, "after");
    town.settle();
    for n in [0, 1, tablet] {
        let texts = town.texts(n, id);
        assert_eq!(texts.last().unwrap(), "after", "{n}");
        assert!(texts.contains(&"before".to_owned()), "what came before the cut stays");
    }
    assert!(!town.texts(laptop, id).contains(&"after".to_owned()));
    assert_eq!(town.digest(0, id), town.digest(1, id));
    assert_eq!(town.digest(0, id), town.digest(tablet, id));
    let list = devices(&mut town, 0);
    assert!(list.iter().find(|view| view.device == device).unwrap().revoked);
}

#[test]
fn a_device_that_logs_out_leaves_an_empty_store() {
    let (mut town, id) = talking();
    let (laptop, device) = link(&mut town, 0, true);
    town.run(laptop, Command::RevokeDevice { device });
    town.settle();
    assert!(town.devices[laptop].disk.is_empty());
    town.say(0, id, "after");
    town.settle();
    assert_eq!(town.texts(1, id).last().unwrap(), "after");
    assert!(devices(&mut town, 0).iter().any(|view| view.revoked));
}

#[test]
fn the_recovery_code_brings_everything_back() {
    let mut town = Town::new(2);
    let create = Command::CreateAccount { address: "ada".parse().unwrap(), name: "Ada".into() };
    let Response::Account(account) = town.run(0, create) else { panic!("no account") };
    town.settle();
    town.sign_up(1, "bob");
    let id = town.found(0, "Tea", &["bob"]);
    let other = town.found(1, "From bob", &["ada"]);
    town.settle();
    town.say(0, id, "one");
    town.say(1, other, "two");
    town.settle();
    let (laptop, _) = link(&mut town, 0, true);
    town.say(laptop, id, "three");
    town.settle();
    let expected = (town.texts(0, id), town.texts(0, other));
    town.run(0, Command::GoOffline);
    town.run(laptop, Command::GoOffline);
    let new = town.arrive();
    let wrong = Command::RecoverAccount {
        address: "ada".parse().unwrap(),
        code: "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon \
               abandon about"
            .into(),
        name: "New phone".into(),
    };
    let refused = town.try_run(new, wrong);
    assert!(matches!(refused, Err(Failure::Denied(_))), "{refused:?}");
    let recover = Command::RecoverAccount {
        address: "ada".parse().unwrap(),
        code: account.recovery_code.to_uppercase(),
        name: "New phone".into(),
    };
    let Response::Account(back) = town.run(new, recover) else { panic!("not recovered") };
    assert_eq!(back.account, account.account);
    assert_ne!(back.recovery_code, account.recovery_code);
    town.settle();
    assert_eq!((town.texts(new, id), town.texts(new, other)), expected);
    town.say(new, id, "back");
    town.settle();
    assert_eq!(town.texts(1, id).last().unwrap(), "back");
    assert_eq!(town.digest(1, id), town.digest(new, id));
    assert_eq!(town.digest(1, other), town.digest(new, other));
    for old in [0, laptop] {
        town.run(old, Command::GoOnline);
        town.pass(5_000);
        assert!(!town.texts(old, id).contains(&"back".to_owned()));
    }
    let list = devices(&mut town, new);
    assert_eq!(list.iter().filter(|view| !view.revoked).count(), 1);
}

#[test]
fn a_recovery_that_the_relay_hears_of_late_is_not_given_up() {
    let mut town = Town::new(1);
    let create = Command::CreateAccount { address: "ada".parse().unwrap(), name: "Ada".into() };
    let Response::Account(account) = town.run(0, create) else { panic!("no account") };
    town.settle();
    town.lose(0);
    let new = town.arrive();
    let recover = Command::RecoverAccount {
        address: "ada".parse().unwrap(),
        code: account.recovery_code,
        name: "New phone".into(),
    };
    town.hold_up(new, |frame| matches!(frame, ClientFrame::Hello(_)));
    let asked = town.tell(new, recover);
    town.pass(15_000);
    town.let_up(new);
    town.pass(60_000);
    let answer = town.devices[new].answers.remove(&asked);
    assert!(matches!(answer, Some(Ok(Response::Account(_)))), "{answer:?}");
}

#[test]
fn another_device_becomes_the_primary() {
    let (mut town, _) = talking();
    let (laptop, device) = link(&mut town, 0, true);
    let phone = devices(&mut town, 0)[0].device;
    let refused = town.try_run(laptop, Command::RevokeDevice { device: phone });
    assert!(matches!(refused, Err(Failure::Denied(_))));
    town.run(0, Command::MakePrimary { device });
    town.settle();
    town.run(laptop, Command::RevokeDevice { device: phone });
    town.settle();
    assert!(town.devices[0].events.iter().any(|e| matches!(e, Event::Revoked { .. })));
    let (third, _) = link(&mut town, laptop, true);
    assert_eq!(devices(&mut town, third).iter().filter(|view| !view.revoked).count(), 2);
}

#[test]
fn a_recovery_that_dies_at_any_step_is_done_or_can_be_done_again() {
    for after in 0..10 {
        let mut town = Town::new(2);
        let create = Command::CreateAccount { address: "ada".parse().unwrap(), name: "Ada".into() };
        let Response::Account(account) = town.run(0, create) else { panic!("no account") };
        town.settle();
        town.sign_up(1, "bob");
        let id = town.found(0, "Tea", &["bob"]);
        town.settle();
        town.say(0, id, "one");
        town.settle();
        town.run(0, Command::GoOffline);
        let new = town.arrive();
        let recover = || Command::RecoverAccount {
            address: "ada".parse().unwrap(),
            code: account.recovery_code.clone(),
            name: "New phone".into(),
        };
        town.tell(new, recover());
        for _ in 0..after {
            town.exchange();
            if let Some(at) = town.devices[new].wake.filter(|at| *at < town.now + 1_000) {
                town.now = town.now.max(at);
                town.devices[new].wake = None;
                town.feed(new, sync_core::Input::Woken);
            }
        }
        town.restart(new);
        town.settle();
        let Response::Status(status) = town.run(new, Command::Status) else { panic!("no status") };
        if status.account.is_none() {
            assert!(matches!(town.run(new, recover()), Response::Account(_)), "after {after}");
            town.settle();
        }
        assert_eq!(town.texts(new, id), ["one"], "after {after}");
        // Whoever never saw the new code draws another.
        assert!(matches!(town.run(new, Command::NewRecoveryCode), Response::RecoveryCode(_)));
        town.say(1, id, "two");
        town.settle();
        assert_eq!(town.digest(new, id), town.digest(1, id));
    }
}

#[test]
fn a_strangers_invitation_waits_and_a_block_ends_it() {
    let (mut town, _) = talking();
    let carol = town.arrive();
    town.sign_up(carol, "carol");
    let id = town.found(carol, "Hello", &["ada"]);
    town.settle();
    let pending = |town: &mut Town, id| match town.run(0, Command::ListConversations) {
        Response::Conversations(list) => {
            let view = list.into_iter().find(|view| view.conversation == id);
            view.map(|view| (view.pending, view.active))
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(pending(&mut town, id), Some((true, true)));
    town.run(0, Command::AcceptConversation { conversation: id });
    assert_eq!(pending(&mut town, id), Some((false, true)));
    // Whoever is known from one conversation is no stranger in the next.
    let next = town.found(carol, "Again", &["ada"]);
    town.settle();
    assert_eq!(pending(&mut town, next), Some((false, true)));
    town.run(0, Command::DeclineConversation { conversation: next, block: true });
    town.settle();
    assert_eq!(pending(&mut town, next), None);
    assert_eq!(pending(&mut town, id), Some((false, true)), "it was accepted");
    let last = town.found(carol, "Once more", &["ada"]);
    town.settle();
    assert_eq!(pending(&mut town, last), None, "the blocked are not heard");
}
