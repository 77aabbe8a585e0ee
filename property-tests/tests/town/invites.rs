//! Invites: an account draws a code, and somebody new comes in by it.

use sync_core::Failure;
use sync_core::api::{Command, InviteView, Response};
use sync_protocol::{Rejection, limits};
use sync_server::relay::Registration;
use sync_server::rules::TokenHash;

use crate::support::Town;
use crate::support::linking::status;

/// A town at a relay that takes invites; person 0 was there before.
fn town() -> Town {
    let mut town = Town::new(3);
    town.sign_up(0, "person0");
    town.relay.set_registration(Registration::Invite);
    town
}

/// Whoever is turned away tries again and again: the town does not come to rest.
fn draw(town: &mut Town, n: usize) -> Result<InviteView, Failure> {
    let id = town.tell(n, Command::DrawInvite);
    town.pass(1_000);
    match town.devices[n].answers.remove(&id).unwrap()? {
        Response::Invite(invite) => Ok(invite),
        other => panic!("{other:?}"),
    }
}

#[test]
fn who_gets_a_code_comes_in_by_it_and_nobody_else_does() {
    let mut town = town();
    let begun = town.now;
    let invite = draw(&mut town, 0).unwrap();
    assert!((begun..=town.now).contains(&(invite.until_ms - limits::INVITE_MS)));
    let is_code = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit();
    assert!(invite.code.len() == 26 && invite.code.chars().all(is_code), "{}", invite.code);
    for (n, lets_in) in [(1, true), (2, false)] {
        town.devices[n].token = Some(TokenHash::of(&invite.code));
        let address = format!("person{n}");
        let create =
            Command::CreateAccount { address: address.parse().unwrap(), name: address.clone() };
        town.tell(n, create);
        town.pass(20_000);
        let status = status(&mut town, n);
        assert_eq!(status.connected, lets_in, "{status:?}");
        assert_eq!(status.problem.is_none(), lets_in, "{status:?}");
    }
    // Who came in brings in the next.
    let next = draw(&mut town, 1).unwrap();
    assert_ne!(next.code, invite.code);
    town.devices[2].token = Some(TokenHash::of(&next.code));
    town.pass(60_000);
    let status = status(&mut town, 2);
    assert!(status.connected && status.problem.is_none(), "{status:?}");
}

#[test]
fn why_there_is_no_invite_is_told() {
    let mut town = town();
    for _ in 0..limits::INVITES_PER_DAY {
        draw(&mut town, 0).unwrap();
    }
    assert_eq!(draw(&mut town, 0), Err(Failure::Refused(Rejection::Quota)));
    town.relay.set_registration(Registration::Open);
    assert_eq!(draw(&mut town, 0), Err(Failure::Refused(Rejection::Denied)));
    town.run(0, Command::GoOffline);
    assert_eq!(draw(&mut town, 0), Err(Failure::Offline));
    assert_eq!(draw(&mut town, 1), Err(Failure::NoAccount));
}
