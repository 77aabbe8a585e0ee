//! What is tried against linking, and what comes of interruptions.

use sync_core::api::{Command, Event, Join, LinkEvent, Response, Whose};

use crate::support::Town;
use crate::support::linking::{code, devices, failed, link, offer, shown_code, status, talking};

fn active(town: &mut Town, n: usize) -> usize {
    devices(town, n).iter().filter(|view| !view.revoked).count()
}

#[test]
fn an_offer_that_expired_links_nothing() {
    let (mut town, _) = talking();
    let n = town.arrive();
    let offer = offer(&mut town, n);
    town.now += 121_000;
    town.relay.tick(town.now);
    town.pass(1_000);
    assert!(failed(&town, n));
    town.tell(0, Command::AcceptDevice { offer, history: true });
    town.pass(1_000);
    assert!(failed(&town, 0));
    assert_eq!(active(&mut town, 0), 1);
    assert_eq!(status(&mut town, n).account, None);
}

#[test]
fn an_offer_works_once_and_who_photographed_it_can_not_confirm() {
    let (mut town, _) = talking();
    let n = town.arrive();
    let offer = offer(&mut town, n);
    // Bob photographed the screen and is quicker than Ada.
    town.tell(1, Command::AcceptDevice { offer: offer.clone(), history: true });
    town.pass(1_000);
    town.tell(0, Command::AcceptDevice { offer, history: true });
    town.pass(1_000);
    assert!(failed(&town, 0), "the offer was taken already");
    // The code is on Ada's laptop: Bob does not see it.
    let shown = code(&town, n);
    let guess = if shown == "1234567" { "7654321" } else { "1234567" };
    assert!(town.try_run(1, Command::ConfirmDevice { code: guess.into() }).is_err());
    town.settle();
    assert_eq!((active(&mut town, 0), active(&mut town, 1)), (1, 1));
    assert_eq!(status(&mut town, n).account, None);
    assert!(failed(&town, n));
}

/// An offer that is answered by whoever scans it only once the person has said so.
fn asking(town: &mut Town, n: usize, join: Join) -> String {
    let id = town.tell(n, Command::OfferDevice { name: "laptop".into(), join });
    town.pass(1_000);
    match town.devices[n].answers.remove(&id) {
        Some(Ok(Response::Offer(offer))) => offer,
        other => panic!("{other:?}"),
    }
}

/// Whose account a new device says that it was invited to.
fn whose(town: &Town, n: usize) -> Whose {
    let told = town.devices[n].events.iter().find_map(|event| match event {
        Event::Link(LinkEvent::Account(whose)) => Some(whose.clone()),
        _ => None,
    });
    told.expect("it says whose account it is")
}

#[test]
fn who_photographed_an_offer_is_shown_by_account_and_address_and_links_nothing() {
    let (mut town, _) = talking();
    let n = town.arrive();
    let offer = asking(&mut town, n, Join::Ask);
    // Bob photographed the screen, and Bob's client needs nobody to type a code.
    town.tell(1, Command::AcceptDevice { offer, history: true });
    town.pass(1_000);
    let bob = status(&mut town, 1).account.unwrap();
    let told = whose(&town, n);
    assert_eq!((told.account, told.address.as_deref()), (bob, Some("bob")));
    assert_eq!(shown_code(&town, n), None, "no code before the person says so");
    let ada = status(&mut town, 0).account.unwrap();
    assert!(town.try_run(n, Command::JoinAccount { account: ada }).is_err());
    town.run(n, Command::CancelLink);
    town.settle();
    assert_eq!((active(&mut town, 0), active(&mut town, 1)), (1, 1));
    assert_eq!(status(&mut town, n).account, None);
    assert!(town.devices[n].disk.is_empty(), "it told nobody anything");
}

#[test]
fn a_device_that_may_join_one_account_joins_no_other() {
    let (mut town, id) = talking();
    let ada = status(&mut town, 0).account.unwrap();
    let n = town.arrive();
    let first = asking(&mut town, n, Join::Account(ada));
    town.tell(1, Command::AcceptDevice { offer: first, history: true });
    town.pass(1_000);
    assert!(failed(&town, n), "Bob's account is not Ada's");
    assert_eq!(shown_code(&town, n), None);
    let second = asking(&mut town, n, Join::Account(ada));
    town.tell(0, Command::AcceptDevice { offer: second, history: true });
    town.pass(1_000);
    town.run(0, Command::ConfirmDevice { code: code(&town, n) });
    town.settle();
    assert_eq!(status(&mut town, n).account, Some(ada));
    assert_eq!(town.texts(n, id).len(), 10);
}

#[test]
fn a_person_joins_the_account_that_is_shown_as_theirs() {
    let (mut town, _) = talking();
    let n = town.arrive();
    let offer = asking(&mut town, n, Join::Ask);
    town.tell(0, Command::AcceptDevice { offer, history: true });
    town.pass(1_000);
    let told = whose(&town, n);
    assert_eq!((told.address.as_deref(), told.name.as_str()), (Some("ada"), "ADA"));
    town.run(n, Command::JoinAccount { account: told.account });
    town.pass(1_000);
    town.run(0, Command::ConfirmDevice { code: code(&town, n) });
    town.settle();
    assert_eq!(status(&mut town, n).account, Some(told.account));
    let again = town.try_run(n, Command::JoinAccount { account: told.account });
    assert_eq!(again.unwrap_err().kind(), "not_found");
}

#[test]
fn a_link_that_nobody_confirms_leaves_nothing_behind() {
    let (mut town, _) = talking();
    let n = town.arrive();
    let offer = offer(&mut town, n);
    town.tell(0, Command::AcceptDevice { offer, history: true });
    town.pass(1_000);
    town.now += 130_000;
    town.relay.tick(town.now);
    town.settle();
    assert!(failed(&town, n) && failed(&town, 0));
    assert_eq!(active(&mut town, 0), 1);
    assert!(town.devices[n].disk.is_empty());
    link(&mut town, 0, true);
}

#[test]
fn who_told_its_keys_looks_in_the_log_before_it_offers_others() {
    let again = Command::OfferDevice { name: "again".into(), join: Join::Any };
    for again in [again, Command::CancelLink] {
        let (mut town, id) = talking();
        let new = town.arrive();
        let offer = offer(&mut town, new);
        town.tell(0, Command::AcceptDevice { offer, history: true });
        town.pass(1_000);
        let shown = code(&town, new);
        let confirmed = town.tell(0, Command::ConfirmDevice { code: shown });
        while !town.devices[0].answers.contains_key(&confirmed) {
            assert!(town.exchange());
        }
        // The certificate is in the log, and nothing of that has reached the new device.
        let asked = town.tell(new, again);
        town.settle();
        if let Some(answer) = town.devices[new].answers.remove(&asked) {
            assert!(!matches!(answer, Ok(Response::Offer(_))), "{answer:?}");
        }
        assert!(status(&mut town, new).account.is_some(), "it found itself in the log");
        assert_eq!(active(&mut town, 0), 2);
        assert_eq!(town.texts(new, id).len(), 10);
    }
}

/// Restarts one side after so many exchanges of a link; whoever says so is linked, and nobody else.
fn interrupted(victim: usize, after: usize) {
    let (mut town, id) = talking();
    let new = town.arrive();
    let victim = if victim == 0 { 0 } else { new };
    let mut left = after;
    let mut step = |town: &mut Town| {
        for _ in 0..6 {
            if left == 0 {
                left = usize::MAX;
                town.restart(victim);
            }
            left -= 1;
            town.exchange();
        }
    };
    let offered = town.tell(new, Command::OfferDevice { name: "device".into(), join: Join::Any });
    step(&mut town);
    if let Some(Ok(Response::Offer(offer))) = town.devices[new].answers.remove(&offered) {
        town.tell(0, Command::AcceptDevice { offer, history: true });
        step(&mut town);
        if let Some(code) = shown_code(&town, new) {
            town.tell(0, Command::ConfirmDevice { code });
            step(&mut town);
        }
    }
    town.now += 130_000;
    town.relay.tick(town.now);
    town.settle();
    town.settle();
    let belongs = status(&mut town, new).account.is_some();
    assert_eq!(active(&mut town, 0), if belongs { 2 } else { 1 }, "victim {victim} after {after}");
    if belongs {
        assert_eq!(town.texts(new, id).len(), 10, "victim {victim} after {after}");
        town.say(new, id, "here");
    } else {
        assert!(town.devices[new].disk.is_empty(), "victim {victim} after {after}");
        link(&mut town, 0, true);
    }
    town.settle();
    town.say(0, id, "there");
    town.settle();
    assert_eq!(town.texts(1, id).last().unwrap(), "there");
}

#[test]
fn a_new_device_that_dies_at_any_step_is_linked_or_empty() {
    for after in 0..18 {
        interrupted(1, after);
    }
}

#[test]
fn a_primary_that_dies_at_any_step_has_linked_it_or_not() {
    for after in 0..18 {
        interrupted(0, after);
    }
}

#[test]
fn a_new_device_reads_all_generations_it_is_entitled_to() {
    let (mut town, id) = talking();
    let carol = town.arrive();
    town.sign_up(carol, "carol");
    for n in 0..5 {
        let address = "carol".parse().unwrap();
        let add = Command::AddMember { conversation: id, address, share_history: n % 2 == 0 };
        town.run(0, add);
        town.settle();
        town.say(1, id, &format!("with carol {n}"));
        town.settle();
        let member = sync_core::api::Member::Address("carol".parse().unwrap());
        town.run(0, Command::RemoveMember { conversation: id, member });
        town.settle();
        town.say(0, id, &format!("without carol {n}"));
        town.settle();
    }
    let (laptop, _) = link(&mut town, 0, true);
    assert_eq!(town.texts(laptop, id), town.texts(0, id));
    assert_eq!(town.digest(laptop, id), town.digest(1, id));
    // Bob's own new device sees the same, and Carol's nothing of what came after her.
    let (bobs, _) = link(&mut town, 1, true);
    assert_eq!(town.digest(bobs, id), town.digest(1, id));
}
