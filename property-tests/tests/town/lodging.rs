//! A new device comes into the account, whatever is on its way, late or lost meanwhile.

use sync_core::api::{Command, Event, Response};
use sync_protocol::SpaceId;

use crate::support::Town;
use crate::support::linking::{
    devices, failed, link, offer, offered, own_space, shown_code, status, talking,
};
use crate::support::stall::{appends_to_log, pushes_into, shows_log};

fn active(town: &mut Town, n: usize) -> usize {
    devices(town, n).iter().filter(|view| !view.revoked).count()
}

fn set(town: &mut Town, n: usize, key: &str, value: &str) {
    let (key, value) = (key.to_owned(), value.into());
    assert!(matches!(town.run(n, Command::SetSetting { key, value }), Response::Done));
}

fn setting(town: &mut Town, n: usize, key: &str) -> Response {
    town.run(n, Command::Setting { key: key.to_owned() })
}

#[test]
fn a_certificate_that_comes_after_the_new_device_has_left_links_nobody() {
    let (mut town, _) = talking();
    let (new, code) = offered(&mut town, 0, true);
    town.hold_up(0, appends_to_log);
    let confirmed = town.tell(0, Command::ConfirmDevice { code });
    town.cut(new);
    town.pass(5_000);
    assert!(failed(&town, new) && town.devices[new].disk.is_empty(), "it knows at once");
    town.let_up(0);
    town.settle();
    let answer = town.devices[0].answers.remove(&confirmed);
    assert!(!matches!(answer, Some(Ok(_))), "{answer:?}");
    assert_eq!(active(&mut town, 0), 1, "no device that nobody holds");
    link(&mut town, 0, true);
}

#[test]
fn a_new_device_whose_code_was_never_shown_gives_up_at_once() {
    let (mut town, _) = talking();
    let new = town.arrive();
    let offer = offer(&mut town, new);
    town.tell(0, Command::AcceptDevice { offer, history: true });
    while !town.devices[new].disk.contains_key(b"iguest".as_slice()) {
        assert!(town.exchange());
    }
    town.hold_down(new, |_| true);
    town.pass(1_000);
    assert!(town.devices[new].down.held() > 0, "what would have shown the code");
    town.cut(new);
    town.let_down(new);
    town.pass(1_000);
    assert!(failed(&town, new) && town.devices[new].disk.is_empty());
}

#[test]
fn a_device_is_let_in_whichever_way_the_news_of_its_certificate_comes() {
    let (mut town, id) = talking();
    let (new, code) = offered(&mut town, 0, true);
    town.hold_down(0, |_| true);
    town.tell(0, Command::ConfirmDevice { code });
    for _ in 0..4 {
        town.exchange();
    }
    // The relay has the certificate, and its answer is lost. The log is asked for, and comes late.
    town.hold_down(0, shows_log);
    town.cut(0);
    town.pass(3_000);
    assert!(status(&mut town, new).account.is_some(), "the new device found itself in the log");
    assert_eq!(town.devices[0].down.held(), 1);
    // An invitation carries the log as well.
    let next = town.found(new, "Quick", &["bob"]);
    town.pass(1_000);
    town.let_down(0);
    town.pass(5_000);
    assert_eq!(town.texts(new, id).len(), 10);
    let list = devices(&mut town, 0);
    assert_eq!((list.len(), list[1].name.as_str()), (2, "device 2"));
    town.settle();
    town.say(0, next, "hello");
    town.settle();
    assert_eq!(town.texts(new, next), ["hello"]);
}

/// What is under way to the log is decided before another device is invited to a place in it.
#[test]
fn a_second_device_waits_until_the_log_tells_of_the_first() {
    let (mut town, id) = talking();
    let (one, code) = offered(&mut town, 0, true);
    town.hold_down(0, |_| true);
    town.tell(0, Command::ConfirmDevice { code });
    for _ in 0..4 {
        town.exchange();
    }
    // The certificate is in the log, and nobody tells so.
    town.hold_down(0, shows_log);
    town.cut(0);
    town.pass(3_000);
    let two = town.arrive();
    let offer = offer(&mut town, two);
    town.tell(0, Command::AcceptDevice { offer, history: true });
    town.pass(1_000);
    assert_eq!(shown_code(&town, two), None, "the place of the next certificate is not known");
    town.let_down(0);
    town.pass(1_000);
    let code = shown_code(&town, two).unwrap();
    town.run(0, Command::ConfirmDevice { code });
    town.settle();
    assert_eq!((town.texts(one, id).len(), town.texts(two, id).len()), (10, 10));
    assert_eq!(active(&mut town, 0), 3);
}

#[test]
fn a_device_that_the_log_names_is_let_in_by_a_primary_that_knows_of_no_link() {
    let (mut town, id) = talking();
    let own = own_space(&mut town, 0);
    let (new, code) = offered(&mut town, 0, true);
    let before = town.devices[0].disk.clone();
    town.hold_up(0, pushes_into(own));
    let confirmed = town.tell(0, Command::ConfirmDevice { code });
    while !town.devices[0].answers.contains_key(&confirmed) {
        assert!(town.exchange());
    }
    town.devices[0].disk = before;
    town.restart(0);
    town.let_up(0);
    town.settle();
    assert_eq!(active(&mut town, 0), 2);
    town.say(1, id, "new");
    town.settle();
    assert_eq!(
        town.texts(new, id),
        ["new"],
        "nobody wrote down whether it may read what was before"
    );
    town.say(new, id, "seen");
    town.settle();
    assert_eq!(town.texts(1, id).last().unwrap(), "seen");
}

#[test]
fn a_device_sends_nothing_before_the_vault_can_tell_of_it() {
    let (mut town, id) = talking();
    let own = own_space(&mut town, 0);
    let (new, code) = offered(&mut town, 0, true);
    town.hold_up(0, pushes_into(own));
    town.tell(0, Command::ConfirmDevice { code });
    town.pass(3_000);
    assert!(status(&mut town, new).account.is_some(), "it is linked, and in no space yet");
    let early = town.found(new, "Early", &["bob"]);
    town.say(new, early, "hello");
    town.pass(3_000);
    assert!(status(&mut town, new).waiting > 0, "nobody could read it, were this device lost now");
    town.let_up(0);
    town.settle();
    assert_eq!(status(&mut town, new).waiting, 0);
    for n in [0, 1] {
        assert_eq!(town.texts(n, early), ["hello"], "device {n}");
    }
    assert_eq!(town.texts(new, id).len(), 10);
}

#[test]
fn a_device_without_history_is_linked_while_settings_are_on_their_way() {
    let (mut town, id) = talking();
    let own = own_space(&mut town, 0);
    town.hold_up(0, pushes_into(own));
    for n in 0..8 {
        set(&mut town, 0, &format!("key{n}"), "value");
        town.pass(100);
    }
    let (new, code) = offered(&mut town, 0, false);
    town.tell(0, Command::ConfirmDevice { code });
    town.pass(1_000);
    town.let_up(0);
    town.settle();
    for n in 0..8 {
        assert_eq!(setting(&mut town, new, &format!("key{n}")), Response::Value("value".into()));
    }
    town.say(1, id, "new");
    town.settle();
    assert_eq!(town.texts(new, id), ["new"]);
}

#[test]
fn what_a_sibling_sets_while_a_device_is_linked_without_history_reaches_it() {
    let (mut town, _) = talking();
    let own = own_space(&mut town, 0);
    let (tablet, _) = link(&mut town, 0, true);
    let (new, code) = offered(&mut town, 0, false);
    town.hold_up(0, pushes_into(own));
    town.tell(0, Command::ConfirmDevice { code });
    town.pass(200);
    assert_eq!(town.devices[0].up.held(), 1, "the commit, with the settings as they are");
    set(&mut town, tablet, "theme", "dark");
    town.pass(200);
    town.let_up(0);
    town.settle();
    assert_eq!(setting(&mut town, new, "theme"), Response::Value("dark".into()));
    set(&mut town, tablet, "theme", "light");
    town.settle();
    assert_eq!(setting(&mut town, new, "theme"), Response::Value("light".into()));
}

/// Ada's tablet was invited by her phone, which was ended before the tablet heard of it.
fn invited_by_an_ended_device(history: bool) -> (Town, SpaceId, usize) {
    let (mut town, id) = talking();
    let (laptop, device) = link(&mut town, 0, true);
    let list = devices(&mut town, 0);
    let phone = list.iter().find(|view| view.current).expect("itself").device;
    let (tablet, code) = offered(&mut town, 0, history);
    town.hold_down(tablet, |_| true);
    town.tell(0, Command::ConfirmDevice { code });
    town.pass(5_000);
    town.tell(0, Command::MakePrimary { device });
    town.pass(2_000);
    town.tell(laptop, Command::RevokeDevice { device: phone });
    town.pass(2_000);
    town.cut(tablet);
    town.let_down(tablet);
    town.pass(20_000);
    town.settle();
    let accused = |event: &Event| matches!(event, Event::Evidence { .. });
    assert!(!town.devices[tablet].events.iter().any(accused), "nobody lied");
    (town, id, tablet)
}

#[test]
fn a_device_whose_inviter_was_ended_meanwhile_comes_in_by_ticket() {
    let (mut town, id, tablet) = invited_by_an_ended_device(true);
    assert_eq!(town.texts(tablet, id).len(), 10);
    town.say(tablet, id, "from the tablet");
    town.settle();
    assert_eq!(town.digest(tablet, id), town.digest(1, id));
    set(&mut town, tablet, "theme", "dark");
    town.settle();
    assert_eq!(setting(&mut town, 2, "theme"), Response::Value("dark".into()));
}

#[test]
fn an_ended_inviter_gives_nobody_more_than_its_owner_chose() {
    let (mut town, _, tablet) = invited_by_an_ended_device(false);
    let own = status(&mut town, tablet).account.expect("it is certified").space();
    let row = [b"x".as_slice(), own.as_bytes()].concat();
    assert!(!town.devices[tablet].disk.contains_key(&row), "it waits for another invitation");
}
