//! Invites: who has an account brings in others, so many a day, each by a code that is good once.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sync_protocol::error::Rejection;
use sync_protocol::frames::{Answer, ClientFrame, Op, RelayFrame, Request, token_hash};
use sync_protocol::limits;
use sync_server::refusals::Refused;
use sync_server::relay::{Registration, SessionId, Settings};
use sync_server::rules::{
    Action, Command, Fault, Invite, State, Swept, Token, TokenHash, apply, invites, would_redeem,
};
use sync_server::store::MemoryStore;

use crate::support::Device;
use crate::support::running::start;
#[cfg(target_os = "linux")]
use crate::support::running::{Running, counting};
use crate::support::socket::Socket;
use crate::world::{IDENTITY, World};

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// The rules, with everybody's account founded who is named.
struct Rules(State<MemoryStore>);

impl Rules {
    fn with(devices: &[&Device]) -> Self {
        let mut rules = Self(State::founded(MemoryStore::new(), IDENTITY).unwrap());
        for one in devices {
            let entries = one.log.clone();
            rules.apply(1, Action::AppendLog { account: one.account, index: 0, entries }).unwrap();
        }
        rules
    }

    /// Applies a command, and what follows from it.
    fn apply(&mut self, time_ms: u64, action: Action) -> Result<(), Rejection> {
        let done = apply(&mut self.0, Command::new(time_ms, action));
        for (id, fact) in self.0.take_facts() {
            let fact = Action::Fact { id, action: Box::new(fact.action) };
            apply(&mut self.0, Command::new(time_ms, fact)).unwrap();
        }
        match done {
            Ok(_) => Ok(()),
            Err(Fault::Rejected(reason)) => Err(reason),
            Err(Fault::Store(error)) => panic!("{error}"),
        }
    }

    fn draw(&mut self, time_ms: u64, by: &Device, code: &str) -> Result<(), Rejection> {
        let (hash, until_ms) = (TokenHash::of(code), time_ms + limits::INVITE_MS);
        self.apply(time_ms, Action::DrawInvite { account: by.account, hash, until_ms, most: 2 })
    }

    fn redeem(&mut self, time_ms: u64, code: &str, by: &Device) -> Result<(), Rejection> {
        let hash = TokenHash::of(code);
        self.apply(time_ms, Action::RedeemInvite { hash, account: by.account })
    }
}

#[test]
fn a_code_lets_one_account_in_however_often_that_one_comes() {
    let [ada, bob, mallory] = [1, 2, 3].map(Device::new);
    let mut rules = Rules::with(&[&ada]);
    rules.draw(10, &ada, "code").unwrap();
    assert_eq!(rules.redeem(11, "cod", &bob), Err(Rejection::Denied));
    // As somebody typed it.
    assert_eq!(rules.redeem(12, " CODE ", &bob), Ok(()));
    assert_eq!(rules.redeem(13, "code", &mallory), Err(Rejection::Denied));
    // Its founding was cut short, and it comes once more: also when others would come too late.
    assert_eq!(rules.redeem(14, "code", &bob), Ok(()));
    assert_eq!(rules.redeem(10 + limits::INVITE_MS, "code", &bob), Ok(()));
    let all = invites(&rules.0).unwrap();
    let until_ms = 10 + limits::INVITE_MS;
    let used = Invite { by: Some(ada.account), until_ms, used_by: Some(bob.account) };
    assert_eq!(all, [(TokenHash::of("code"), used)]);
}

#[test]
fn a_code_is_good_for_its_time_and_until_it_is_withdrawn() {
    let [ada, bob] = [1, 2].map(Device::new);
    let mut rules = Rules::with(&[&ada]);
    rules.draw(10, &ada, "late").unwrap();
    rules.draw(10, &ada, "gone").unwrap();
    let until_ms = 10 + limits::INVITE_MS;
    assert_eq!(rules.redeem(until_ms, "late", &bob), Err(Rejection::Denied));
    let remove = Action::RemoveInvite { hash: TokenHash::of("gone") };
    rules.apply(11, remove.clone()).unwrap();
    rules.apply(11, remove).unwrap();
    assert_eq!(rules.redeem(12, "gone", &bob), Err(Rejection::Denied));
    assert_eq!(rules.redeem(until_ms - 1, "late", &bob), Ok(()));
}

#[test]
fn an_account_draws_so_many_a_day_and_the_same_again_counts_once() {
    let [ada, bob, nobody] = [1, 2, 3].map(Device::new);
    let mut rules = Rules::with(&[&ada, &bob]);
    let now = 5 * DAY_MS + 7;
    for code in ["a", "b", "b", "b"] {
        assert_eq!(rules.draw(now, &ada, code), Ok(()));
    }
    assert_eq!(rules.draw(now, &ada, "c"), Err(Rejection::Quota));
    assert_eq!(rules.draw(now, &bob, "c"), Ok(()));
    // A day that is over does not come back.
    assert_eq!(rules.draw(now - DAY_MS, &ada, "d"), Err(Rejection::Quota));
    assert_eq!(rules.draw(now + DAY_MS, &ada, "d"), Ok(()));
    assert_eq!(rules.draw(now, &ada, "e"), Ok(()));
    assert_eq!(rules.draw(now, &ada, "f"), Err(Rejection::Quota));
    assert_eq!(rules.draw(now, &nobody, "g"), Err(Rejection::NotFound));
    assert_eq!(invites(&rules.0).unwrap().len(), 5);
}

#[test]
fn an_invite_that_is_drawn_under_a_token_takes_nothing_from_it() {
    let [ada, bob, eve, mallory, trent] = [1, 2, 3, 4, 5].map(Device::new);
    let mut rules = Rules::with(&[&mallory]);
    let (hash, until_ms) = (TokenHash::of("team"), None);
    let token = Token { uses: 3, until_ms, note: String::new() };
    rules.apply(9, Action::AddToken { hash, token }).unwrap();
    // Who came in by it knows it.
    rules.draw(10, &mallory, "team").unwrap();
    let would = |rules: &Rules, who: &Device| would_redeem(&rules.0, &hash, &who.account, 11);
    for who in [&ada, &bob, &eve] {
        assert!(would(&rules, who).is_ok());
        assert_eq!(rules.redeem(11, "team", who), Ok(()));
    }
    // And her own account's end takes nothing along.
    rules.apply(12, Action::Suspend { account: mallory.account, suspended: true }).unwrap();
    assert!(would(&rules, &trent).is_ok());
    assert_eq!(rules.redeem(13, "team", &trent), Ok(()));
    assert_eq!(rules.redeem(14, "team", &Device::new(6)), Err(Rejection::Denied));
}

#[test]
fn a_clock_that_was_years_ahead_takes_no_invites_away() {
    let ada = Device::new(1);
    let mut rules = Rules::with(&[&ada]);
    let now = 5 * DAY_MS + 7;
    for (at, codes) in [(now + 700 * DAY_MS, ["a", "b"]), (now, ["c", "d"])] {
        for code in codes {
            assert_eq!(rules.draw(at, &ada, code), Ok(()));
        }
        assert_eq!(rules.draw(at, &ada, "e"), Err(Rejection::Quota));
    }
    assert_eq!(rules.draw(now + DAY_MS, &ada, "e"), Ok(()));
}

#[test]
fn nobody_takes_anothers_code_over_or_makes_it_good_again() {
    let [ada, bob, mallory] = [1, 2, 3].map(Device::new);
    let mut rules = Rules::with(&[&ada, &mallory]);
    rules.draw(10, &ada, "code").unwrap();
    rules.redeem(11, "code", &bob).unwrap();
    rules.draw(12, &mallory, "code").unwrap();
    assert_eq!(rules.redeem(13, "code", &mallory), Err(Rejection::Denied));
    assert_eq!(invites(&rules.0).unwrap()[0].1.by, Some(ada.account));
}

#[test]
fn who_may_not_come_draws_nothing() {
    let ada = Device::new(1);
    let mut rules = Rules::with(&[&ada]);
    let suspend = |suspended| Action::Suspend { account: ada.account, suspended };
    rules.apply(2, suspend(true)).unwrap();
    assert_eq!(rules.draw(10, &ada, "a"), Err(Rejection::Denied));
    rules.apply(3, suspend(false)).unwrap();
    assert_eq!(rules.draw(10, &ada, "a"), Ok(()));
    rules.apply(4, Action::EndAccount { account: ada.account }).unwrap();
    rules.apply(5, Action::Sweep { swept: Swept::Account(ada.account) }).unwrap();
    assert_eq!(rules.draw(10, &ada, "b"), Err(Rejection::Denied));
}

#[test]
fn tokens_and_invites_are_apart() {
    let [ada, bob] = [1, 2].map(Device::new);
    let mut rules = Rules::with(&[&ada]);
    rules.draw(10, &ada, "code").unwrap();
    let token = Token { uses: 1, until_ms: None, note: String::new() };
    rules.apply(10, Action::AddToken { hash: TokenHash::of("token"), token }).unwrap();
    // Where tokens are wanted no invite is one.
    let spend = Action::SpendToken { hash: TokenHash::of("code") };
    assert_eq!(rules.apply(11, spend), Err(Rejection::Denied));
    // Where invites are wanted tokens are good, too.
    assert_eq!(rules.redeem(12, "token", &bob), Ok(()));
    assert_eq!(rules.redeem(13, "token", &bob), Err(Rejection::Denied));
    assert_eq!(invites(&rules.0).unwrap().len(), 1);
}

/// A relay that takes invites, with Ada's session in it, who was there before.
fn invited(settings: Settings) -> (World, SessionId) {
    let mut world = World::over(MemoryStore::new(), settings);
    let at_ada = world.connect(&mut Device::new(1));
    world.relay.set_registration(Registration::Invite);
    (world, at_ada)
}

fn draw(world: &mut World, at: SessionId, code: &str) -> Answer {
    world.ask(at, Op::DrawInvite { hash: token_hash(code) })
}

/// Somebody new comes with a code.
fn comes(world: &mut World, seed: u64, code: Option<&str>) -> Option<Rejection> {
    let (session, challenge) = world.dial();
    if let Some(code) = code {
        world.relay.present(session, TokenHash::of(code));
    }
    let hello = Device::new(seed).hello(&challenge);
    world.send(session, ClientFrame::Hello(hello));
    world.commit();
    assert_eq!(world.relay.is_open(session), !world.closed.contains_key(&session));
    world.closed.get(&session).cloned()
}

#[test]
fn who_has_an_account_brings_in_others() {
    let (mut world, at_ada) = invited(Settings::default());
    assert_eq!(draw(&mut world, at_ada, "one"), Answer::Done);
    assert_eq!(comes(&mut world, 2, None), Some(Rejection::Denied));
    assert_eq!(comes(&mut world, 2, Some("two")), Some(Rejection::Denied));
    assert_eq!(comes(&mut world, 2, Some("one")), None);
    assert_eq!(comes(&mut world, 3, Some("one")), Some(Rejection::Denied));
    // Who is known needs none.
    assert_eq!(comes(&mut world, 2, None), None);
    assert_eq!(world.relay.refusals().of(Refused::Registration), 3);
}

#[test]
fn what_is_drawn_survives_a_crash_and_goes_when_its_time_is_up() {
    let (mut world, at_ada) = invited(Settings::default());
    for code in ["one", "two"] {
        assert_eq!(draw(&mut world, at_ada, code), Answer::Done);
    }
    let mut world = world.crash();
    world.relay.set_registration(Registration::Invite);
    assert_eq!(comes(&mut world, 2, Some("one")), None);
    let until_ms = invites(world.relay.state()).unwrap()[0].1.until_ms;
    world.tick(until_ms - 1);
    assert_eq!(invites(world.relay.state()).unwrap().len(), 2);
    world.now = until_ms;
    assert_eq!(comes(&mut world, 3, Some("two")), Some(Rejection::Denied));
    world.tick(until_ms);
    assert_eq!(invites(world.relay.state()).unwrap(), []);
}

#[test]
fn many_that_are_over_are_forgotten_a_few_at_a_time() {
    let settings = Settings { invites_per_account_per_day: 1_000, ..Settings::default() };
    let (mut world, at_ada) = invited(settings);
    for n in 0..300 {
        assert_eq!(draw(&mut world, at_ada, &format!("code {n}")), Answer::Done);
    }
    let over = world.now + limits::INVITE_MS;
    let left: Vec<usize> = (0..8)
        .map(|n| {
            world.tick(over + n);
            invites(world.relay.state()).unwrap().len()
        })
        .collect();
    assert!(left[0] > 0 && left.is_sorted_by(|a, b| a >= b), "{left:?}");
    assert_eq!(left.last(), Some(&0), "{left:?}");
}

#[test]
fn a_day_has_its_number_of_invites_and_no_more_are_asked_of_the_log() {
    let (mut world, at_ada) = invited(Settings::default());
    for n in 0..limits::INVITES_PER_DAY {
        assert_eq!(draw(&mut world, at_ada, &n.to_string()), Answer::Done);
    }
    let commands = world.relay.counts().commands;
    for code in ["more", "still more"] {
        assert_eq!(draw(&mut world, at_ada, code), Answer::Refused(Rejection::Quota));
    }
    // Asked again, as its answer was lost.
    let last = (limits::INVITES_PER_DAY - 1).to_string();
    assert_eq!(world.relay.counts().commands, commands);
    assert_eq!(draw(&mut world, at_ada, &last), Answer::Done);
    assert_eq!(world.relay.refusals().of(Refused::Invites), 2);
    world.tick(world.now + DAY_MS);
    assert_eq!(draw(&mut world, at_ada, "more"), Answer::Done);
    let none = Settings { invites_per_account_per_day: 0, ..Settings::default() };
    world.relay.set_settings(none);
    assert_eq!(draw(&mut world, at_ada, "none"), Answer::Refused(Rejection::Quota));
}

#[test]
fn invites_are_drawn_where_they_let_somebody_in() {
    let (mut world, at_ada) = invited(Settings::default());
    assert_eq!(draw(&mut world, at_ada, "one"), Answer::Done);
    for other in [Registration::Token, Registration::Closed] {
        world.relay.set_registration(other);
        assert_eq!(draw(&mut world, at_ada, "two"), Answer::Refused(Rejection::Denied));
        assert_eq!(comes(&mut world, 2, Some("one")), Some(Rejection::Denied), "{other:?}");
    }
    world.relay.set_registration(Registration::Open);
    assert_eq!(draw(&mut world, at_ada, "two"), Answer::Refused(Rejection::Denied));
    assert_eq!(world.relay.refusals().of(Refused::Invites), 3);
    // Who comes in anyhow uses no code up.
    assert_eq!(comes(&mut world, 2, Some("one")), None);
    assert_eq!(invites(world.relay.state()).unwrap()[0].1.used_by, None);
}

#[test]
fn codes_of_who_may_not_come_let_nobody_in() {
    let (mut world, at_ada) = invited(Settings::default());
    for code in ["one", "two"] {
        assert_eq!(draw(&mut world, at_ada, code), Answer::Done);
    }
    let account = Device::new(1).account;
    let operate = |world: &mut World, action| {
        world.relay.operate(action, world.now).unwrap();
        world.commit();
    };
    operate(&mut world, Action::Suspend { account, suspended: true });
    assert_eq!(comes(&mut world, 2, Some("one")), Some(Rejection::Denied));
    operate(&mut world, Action::Suspend { account, suspended: false });
    assert_eq!(comes(&mut world, 2, Some("one")), None);
    operate(&mut world, Action::EndAccount { account });
    assert_eq!(comes(&mut world, 3, Some("two")), Some(Rejection::Denied));
}

#[test]
fn who_tries_codes_writes_nothing_into_the_log() {
    let (mut world, _) = invited(Settings::default());
    let commands = world.relay.counts().commands;
    for n in 2..50 {
        let code = format!("guess {n}");
        assert_eq!(comes(&mut world, n, Some(&code)), Some(Rejection::Denied));
    }
    assert_eq!(world.relay.counts().commands, commands);
    assert_eq!(world.relay.refusals().of(Refused::Registration), 48);
}

async fn ask(socket: &mut Socket, op: Op) -> Answer {
    socket.send(&ClientFrame::Request(Request { id: 9, op })).await.unwrap();
    loop {
        if let RelayFrame::Reply(reply) = socket.next().await.unwrap() {
            return reply.answer;
        }
    }
}

/// Somebody new comes over the network.
async fn knocks(address: SocketAddr, seed: u64, code: &str) -> Result<Socket, Rejection> {
    let query = if code.is_empty() { String::new() } else { format!("?token={code}") };
    let mut socket = Socket::dial_with(address, &query).await.unwrap();
    socket.greet(&mut Device::new(seed)).await.map(|_| socket)
}

#[tokio::test]
async fn the_whole_way_over_real_sockets() {
    let running = start(|config| config.registration = Registration::Invite).await;
    let (address, hub) = (running.server.address(), running.server.hub());
    let operate = async |action: Action| {
        let done = hub.with(move |relay, now_ms| relay.operate(action, now_ms)).await;
        done.unwrap().unwrap();
    };
    let wall_ms = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64;
    let add = |code: &str, until_ms| Action::AddInvite {
        hash: TokenHash::of(code),
        invite: Invite { by: None, until_ms, used_by: None },
    };
    // The operator draws the first.
    operate(add("first", wall_ms + DAY_MS)).await;
    operate(add("withdrawn", wall_ms + DAY_MS)).await;
    operate(add("late", wall_ms + 1_500)).await;
    for code in ["", "wrong", "%00", "&token=first"] {
        assert_eq!(knocks(address, 1, code).await.err(), Some(Rejection::Denied), "{code}");
    }
    let mut ada = knocks(address, 1, "first").await.unwrap();
    assert_eq!(knocks(address, 2, "first").await.err(), Some(Rejection::Denied), "used");
    operate(Action::RemoveInvite { hash: TokenHash::of("withdrawn") }).await;
    assert_eq!(knocks(address, 2, "withdrawn").await.err(), Some(Rejection::Denied));
    tokio::time::sleep(Duration::from_millis(1_600)).await;
    assert_eq!(knocks(address, 2, "late").await.err(), Some(Rejection::Denied));
    // Ada draws others.
    for n in 0..limits::INVITES_PER_DAY {
        let op = Op::DrawInvite { hash: token_hash(&format!("ada{n}")) };
        assert_eq!(ask(&mut ada, op).await, Answer::Done);
    }
    let op = Op::DrawInvite { hash: token_hash("more") };
    assert_eq!(ask(&mut ada, op).await, Answer::Refused(Rejection::Quota));
    assert_eq!(knocks(address, 2, "more").await.err(), Some(Rejection::Denied));
    for n in 0..limits::INVITES_PER_DAY {
        knocks(address, 10 + n, &format!("ADA{n}")).await.unwrap();
        let again = knocks(address, 30 + n, &format!("ada{n}")).await.err();
        assert_eq!(again, Some(Rejection::Denied));
    }
    running.server.stop().await.unwrap();
}

/// What somebody who guesses is told, over and over.
#[cfg(target_os = "linux")]
async fn guesses(running: &Running, from: [u8; 4], count: u64) -> Vec<Rejection> {
    let mut told = Vec::new();
    for n in 0..count {
        let query = format!("?token=guess{n}");
        let address = running.server.address();
        let mut socket = Socket::dial_from_with(from, address, &query).await.unwrap();
        told.extend(socket.greet(&mut Device::new(1_000 + n)).await.err());
    }
    told
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_strangers_guesses_are_as_few_as_foundings_and_others_come_in_meanwhile() {
    let running = counting(|config| {
        config.registration = Registration::Invite;
        config.limits.sign_ups_per_address_per_hour = 3;
    })
    .await;
    let invite = Invite { by: None, until_ms: u64::MAX, used_by: None };
    let add = Action::AddInvite { hash: TokenHash::of("good"), invite };
    let hub = running.server.hub();
    hub.with(move |relay, now_ms| relay.operate(add, now_ms)).await.unwrap().unwrap();
    let told = guesses(&running, [127, 0, 0, 2], 10).await;
    assert_eq!(told.len(), 10);
    assert!(told[..3].iter().all(|reason| *reason == Rejection::Denied), "{told:?}");
    assert!(told[3..].iter().all(|reason| matches!(reason, Rejection::Rate { .. })), "{told:?}");
    running.until_refused("registration", 3.0).await;
    running.until_refused("sign_ups_of_address", 7.0).await;
    let (from, address) = ([127, 0, 0, 3], running.server.address());
    let mut socket = Socket::dial_from_with(from, address, "?token=good").await.unwrap();
    assert_eq!(socket.greet(&mut Device::new(1)).await, Ok(true));
    running.server.stop().await.unwrap();
}
