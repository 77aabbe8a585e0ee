//! What one account costs others, and where that ends: the author is refused, everybody else goes on.

use sync_protocol::codec::Blob;
use sync_protocol::envelope::Envelope;
use sync_protocol::error::Rejection;
use sync_protocol::frames::{
    Answer, ClientFrame, InboxPut, KeyPackages, Notice, Op, Push, RelayFrame, WelcomeFor, Welcomes,
};
use sync_protocol::limits;
use sync_server::refusals::Refused;
use sync_server::relay::{SessionId, Settings};
use sync_server::rules::{AccountDevice, Action, Command, Effect, Fault, InboxFrom, State, apply};
use sync_server::store::{MemoryStore, Table};

use crate::support::{Device, add, push, remove, space};
use crate::world::{IDENTITY, World, delivered, refusals, stored};

/// Ada and Bob, and Mallory who floods, in space 1.
struct Cast {
    world: World,
    ada: Device,
    bob: Device,
    mallory: Device,
    at_ada: SessionId,
    at_bob: SessionId,
    at_mallory: SessionId,
}

fn cast() -> Cast {
    cast_under(Settings::default())
}

/// However many sessions of a device are open.
fn any_sessions() -> Settings {
    Settings { sessions_per_device: 0, sessions_per_account: 0, ..Settings::default() }
}

fn cast_under(settings: Settings) -> Cast {
    let mut world = World::over(MemoryStore::new(), settings);
    let (mut ada, mut bob, mut mallory) = (Device::new(1), Device::new(2), Device::new(3));
    let (at_ada, at_bob) = (world.connect(&mut ada), world.connect(&mut bob));
    let at_mallory = world.connect(&mut mallory);
    let start =
        vec![ada.found(space(1)), ada.handshake(space(1), 1, vec![add(&bob), add(&mallory)])];
    world.send(at_ada, push(space(1), start));
    world.commit();
    world.inboxes.clear();
    Cast { world, ada, bob, mallory, at_ada, at_bob, at_mallory }
}

impl Cast {
    fn say(&mut self, at: SessionId, envelopes: Vec<Blob>) -> (usize, Vec<Rejection>) {
        self.world.send(at, push(space(1), envelopes));
        self.world.commit();
        let frames = self.world.take(at);
        (stored(&frames).iter().map(|run| run.count as usize).sum(), refusals(&frames))
    }
}

/// The same with another signature.
fn spoiled(envelope: &Blob) -> Blob {
    let mut bytes = envelope.0.clone();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    Envelope::parse(&bytes).unwrap();
    Blob(bytes)
}

#[test]
fn what_its_author_did_not_sign_enters_no_log() {
    let mut cast = cast();
    let words: Vec<_> = (0..3).map(|_| cast.mallory.content(space(1), 2)).collect();
    let bad = vec![words[0].clone(), spoiled(&words[1]), words[2].clone()];
    assert_eq!(cast.say(cast.at_mallory, bad), (1, vec![Rejection::Invalid]));
    assert_eq!(delivered(&cast.world.take(cast.at_bob)).len(), 1);
    let commit = spoiled(&cast.mallory.handshake(space(1), 3, Vec::new()));
    let leave = spoiled(&cast.mallory.leave(space(1), 3));
    let register = spoiled(&cast.mallory.register(space(1), 3, 1));
    for bad in [commit, leave, register] {
        assert_eq!(cast.say(cast.at_mallory, vec![bad]), (0, vec![Rejection::Invalid]));
    }
    // Signed by a key of its own, but as somebody else.
    let others = cast.bob.content(space(1), 2);
    assert_eq!(cast.say(cast.at_mallory, vec![others]), (0, vec![Rejection::Invalid]));
    assert_eq!(cast.say(cast.at_mallory, words[1..].to_vec()), (2, vec![]));
}

#[test]
fn who_keeps_others_waiting_has_not_read_more_than_there_is() {
    let mut cast = cast();
    for cursor in [3, u64::MAX] {
        let commit = cast.mallory.handshake(space(1), cursor, Vec::new());
        let leave = cast.mallory.leave(space(1), cursor);
        for one in [commit, leave] {
            assert_eq!(
                cast.say(cast.at_mallory, vec![one]),
                (0, vec![Rejection::Ahead { head: 2 }])
            );
        }
    }
    let commit = cast.mallory.handshake(space(1), 2, Vec::new());
    assert_eq!(cast.say(cast.at_mallory, vec![commit]), (1, vec![]));
}

#[test]
fn a_stream_of_handshakes_ends_and_its_author_is_removed() {
    let mut cast = cast();
    let mut head = 2;
    let mut taken = 0;
    let slow = loop {
        let garbage = cast.mallory.handshake(space(1), head, Vec::new());
        match cast.say(cast.at_mallory, vec![garbage]) {
            (1, _) => (head, taken) = (head + 1, taken + 1),
            (_, refused) => break refused,
        }
    };
    assert_eq!(taken, limits::HANDSHAKES_BURST);
    let wait = 3_600_000 / limits::HANDSHAKES_PER_HOUR;
    assert_eq!(slow, [Rejection::Rate { retry_ms: wait }]);
    // Somebody who has not read all of it is told to, and then goes on.
    let word = cast.bob.content(space(1), 2);
    assert_eq!(cast.say(cast.at_bob, vec![word]), (0, vec![Rejection::Behind { index: head - 1 }]));
    cast.bob.rewind(space(1));
    let word = cast.bob.content(space(1), head);
    assert_eq!(cast.say(cast.at_bob, vec![word]), (1, vec![]));
    let out = cast.ada.handshake(space(1), head, vec![remove(&cast.mallory)]);
    assert_eq!(cast.say(cast.at_ada, vec![out]), (1, vec![]));
    cast.world.now += wait;
    let late = cast.mallory.handshake(space(1), head + 2, Vec::new());
    assert_eq!(cast.say(cast.at_mallory, vec![late]), (0, vec![Rejection::Denied]));
}

#[test]
fn handshakes_are_counted_by_space_and_only_if_they_are_taken() {
    let mut cast = cast();
    for _ in 0..2 * limits::HANDSHAKES_BURST {
        let unseeing = cast.mallory.handshake(space(1), 1, Vec::new());
        let behind = vec![Rejection::Behind { index: 1 }];
        assert_eq!(cast.say(cast.at_mallory, vec![unseeing]), (0, behind));
    }
    for head in 2..2 + limits::HANDSHAKES_BURST {
        let renewed = cast.mallory.handshake(space(1), head, Vec::new());
        assert_eq!(cast.say(cast.at_mallory, vec![renewed]), (1, vec![]));
    }
    let own = vec![cast.mallory.found(space(2)), cast.mallory.handshake(space(2), 1, Vec::new())];
    cast.world.send(cast.at_mallory, push(space(2), own));
    cast.world.commit();
    assert_eq!(refusals(&cast.world.take(cast.at_mallory)), []);
}

#[test]
fn a_device_opens_new_stores_at_a_rate() {
    let mut world = World::over(MemoryStore::new(), any_sessions());
    let mut ada = Device::new(1);
    world.connect(&mut ada);
    let mut opened = 1;
    for _ in 0..2 * limits::INCARNATIONS_BURST {
        ada.incarnation += 1;
        (ada.fence, ada.next_fence) = (0, 900);
        let session = world.hello(&ada);
        if !world.relay.is_open(session) {
            let retry_ms = 3_600_000 / limits::INCARNATIONS_PER_HOUR;
            assert_eq!(world.closed[&session], Rejection::Rate { retry_ms });
            break;
        }
        opened += 1;
    }
    assert_eq!(opened, limits::INCARNATIONS_BURST);
    // The stores that it has are let in as ever.
    ada.incarnation -= 1;
    (ada.fence, ada.next_fence) = (900, 901);
    let known = world.hello(&ada);
    assert!(world.relay.is_open(known));
}

#[test]
fn a_device_opens_so_many_stores_and_no_more() {
    let mut state = State::founded(MemoryStore::new(), IDENTITY).unwrap();
    let ada = Device::new(1);
    let device = AccountDevice { account: ada.account, device: ada.id };
    let open = |incarnation| Action::Fence { device, incarnation, fence: 0, next_fence: 5 };
    for n in 0..limits::INCARNATIONS {
        apply(&mut state, Command::new(1, open(n + 1))).unwrap();
    }
    let more = apply(&mut state, Command::new(1, open(u64::MAX)));
    assert!(matches!(more, Err(Fault::Rejected(Rejection::Quota))), "{more:?}");
    apply(
        &mut state,
        Command::new(1, Action::Fence { device, incarnation: 1, fence: 5, next_fence: 6 }),
    )
    .unwrap();
}

#[test]
fn a_device_has_so_many_writers_in_a_space() {
    let mut cast = cast_under(any_sessions());
    let mut last = cast.at_mallory;
    for n in 0..limits::WRITERS {
        if n > 0 {
            cast.world.now += 3_600_000;
            cast.mallory.incarnation += 1;
            cast.mallory.rewind(space(1));
            (cast.mallory.fence, cast.mallory.next_fence) = (0, 900);
            last = cast.world.connect(&mut cast.mallory);
        }
        let word = cast.mallory.content(space(1), 2);
        assert_eq!(cast.say(last, vec![word]), (1, vec![]));
    }
    let mut one_more = Device::new(3);
    one_more.incarnation = cast.mallory.incarnation + 1;
    let at = cast.world.connect(&mut one_more);
    let first = one_more.content(space(1), 2);
    assert_eq!(cast.say(at, vec![first]), (0, vec![Rejection::Quota]));
    // The writers that it has go on.
    let next = cast.mallory.content(space(1), 2);
    assert_eq!(cast.say(last, vec![next]), (1, vec![]));
}

fn packages(count: u8) -> Op {
    let once = (0..count).map(|n| Blob(vec![n; 40])).collect();
    Op::PutKeyPackages(KeyPackages { once, last_resort: Some(Blob(b"last resort".to_vec())) })
}

fn taken(answer: Answer) -> Vec<u8> {
    match answer {
        Answer::KeyPackages(given) => given[0].package.0.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn strangers_empty_no_ones_key_packages_and_everybody_can_still_be_added() {
    let mut world = World::new();
    let mut ada = Device::new(1);
    let a = world.connect(&mut ada);
    let most = limits::PACKAGES_PER_HOUR;
    world.ask(a, packages(50));
    world.ask(a, packages(40));
    world.take(a);
    let mut spent = 0;
    for seed in 2..7 {
        let mut stranger = Device::new(seed);
        let at = world.connect(&mut stranger);
        for _ in 0..20 {
            let package = taken(world.ask(at, Op::TakeKeyPackages { account: ada.account }));
            spent += u64::from(package != b"last resort");
        }
    }
    assert_eq!(spent, most);
    assert_eq!(world.ask(a, Op::CountKeyPackages), Answer::Count(90 - most));
    world.now += 3_600_000;
    let mut friend = Device::new(9);
    let at = world.connect(&mut friend);
    let package = taken(world.ask(at, Op::TakeKeyPackages { account: ada.account }));
    assert_ne!(package, b"last resort");
}

#[test]
fn one_account_takes_so_many_of_another() {
    let settings = Settings { takes_of_one_per_hour: 8, ..Settings::default() };
    let mut world = World::over(MemoryStore::new(), settings);
    let (mut ada, mut mallory) = (Device::new(1), Device::new(2));
    let (a, m) = (world.connect(&mut ada), world.connect(&mut mallory));
    world.ask(a, packages(50));
    let take = |account| Op::TakeKeyPackages { account };
    for _ in 0..8 {
        taken(world.ask(m, take(ada.account)));
    }
    let answer = world.ask(m, take(ada.account));
    assert!(matches!(answer, Answer::Refused(Rejection::Rate { .. })), "{answer:?}");
    let mut bob = Device::new(3);
    let b = world.connect(&mut bob);
    taken(world.ask(b, take(ada.account)));
    world.ask(b, packages(1));
    taken(world.ask(m, take(bob.account)));
}

#[test]
fn a_device_is_told_once_that_its_key_packages_run_low() {
    let mut world = World::new();
    let (mut ada, mut bob) = (Device::new(1), Device::new(2));
    let (a, b) = (world.connect(&mut ada), world.connect(&mut bob));
    world.ask(a, packages(12));
    world.take(a);
    for _ in 0..20 {
        taken(world.ask(b, Op::TakeKeyPackages { account: ada.account }));
    }
    let told: Vec<_> = world
        .take(a)
        .into_iter()
        .filter_map(|frame| match frame {
            RelayFrame::Notice(Notice::KeyPackagesLow { left }) => Some(left),
            _ => None,
        })
        .collect();
    assert_eq!(told, [9, 0]);
}

#[test]
fn one_account_fills_no_ones_inbox() {
    let settings = Settings { inbox_puts_per_s: 0, ..Settings::default() };
    let mut world = World::over(MemoryStore::new(), settings);
    let (mut ada, mut bob, mut mallory) = (Device::new(1), Device::new(2), Device::new(3));
    let (a, b) = (world.connect(&mut ada), world.connect(&mut bob));
    let m = world.connect(&mut mallory);
    let put = |size| {
        let item = Blob(vec![1; size]);
        Op::PutInbox(InboxPut { account: bob.account, device: bob.id, item })
    };
    let full = Answer::Refused(Rejection::Quota);
    for _ in 0..limits::INBOX_ITEMS_OF_ONE {
        assert_eq!(world.ask(m, put(1)), Answer::Done);
    }
    assert_eq!(world.ask(m, put(1)), full);
    let large = limits::INBOX_BYTES_OF_ONE / limits::INBOX_ITEM;
    for _ in 0..large {
        assert_eq!(world.ask(a, put(limits::INBOX_ITEM)), Answer::Done);
    }
    assert_eq!(world.ask(a, put(limits::INBOX_ITEM)), full);
    // What was taken makes room again.
    world.ask(b, Op::AckInbox { number: limits::INBOX_ITEMS_OF_ONE as u64 });
    assert_eq!(world.ask(m, put(1)), Answer::Done);
    assert_eq!(world.ask(a, put(1)), full);
    world.ask(b, Op::AckInbox { number: u64::MAX });
    assert_eq!(world.ask(a, put(limits::INBOX_ITEM)), Answer::Done);
}

/// Founds a space and puts another account into it, with a way in.
fn invites(by: &mut Device, whom: &Device, n: u8) -> Vec<ClientFrame> {
    let founding = push(space(n), vec![by.found(space(n))]);
    let envelopes = vec![by.handshake(space(n), 1, vec![add(whom)])];
    let item = WelcomeFor { account: whom.account, device: whom.id, item: Blob(vec![7]) };
    let welcomes = Some(Welcomes { common: Blob(vec![8; 2_000]), items: vec![item] });
    vec![founding, ClientFrame::Push(Push { space: space(n), envelopes, welcomes, ticket: None })]
}

#[test]
fn a_handshake_whose_way_in_has_no_room_is_not_taken() {
    let settings = Settings { inbox_puts_per_s: 0, ..Settings::default() };
    let mut world = World::over(MemoryStore::new(), settings);
    let (mut ada, mut bob, mut mallory) = (Device::new(1), Device::new(2), Device::new(3));
    let a = world.connect(&mut ada);
    world.connect(&mut bob);
    let m = world.connect(&mut mallory);
    for _ in 0..limits::INBOX_ITEMS_OF_ONE {
        let item = Blob(vec![1]);
        let put = Op::PutInbox(InboxPut { account: bob.account, device: bob.id, item });
        assert_eq!(world.ask(m, put), Answer::Done);
    }
    for (at, by, n, refused) in
        [(m, &mut mallory, 10, vec![Rejection::Quota]), (a, &mut ada, 11, Vec::new())]
    {
        world.take(at);
        for frame in invites(by, &bob, n) {
            world.send(at, frame);
        }
        world.commit();
        let frames = world.take(at);
        assert_eq!(refusals(&frames), refused);
        let runs: u64 = stored(&frames).iter().map(|run| run.count).sum();
        assert_eq!(runs, if refused.is_empty() { 2 } else { 1 }, "founded in any case");
    }
}

#[test]
fn who_never_answers_is_put_into_so_many_spaces_by_one_account() {
    let settings = Settings { unanswered_of_one: 8, ..Settings::default() };
    let mut world = World::over(MemoryStore::new(), settings);
    let (mut ada, mut bob, mut mallory) = (Device::new(1), Device::new(2), Device::new(3));
    let (a, b) = (world.connect(&mut ada), world.connect(&mut bob));
    let m = world.connect(&mut mallory);
    let most = 8;
    let refused = |world: &mut World, at, frames: Vec<ClientFrame>| {
        world.take(at);
        frames.into_iter().for_each(|frame| world.send(at, frame));
        world.commit();
        refusals(&world.take(at))
    };
    for n in 0..most {
        world.ask(b, Op::AckInbox { number: u64::MAX });
        assert_eq!(refused(&mut world, m, invites(&mut mallory, &bob, n + 1)), []);
    }
    world.ask(b, Op::AckInbox { number: u64::MAX });
    let one_more = invites(&mut mallory, &bob, most + 1);
    assert_eq!(refused(&mut world, m, one_more), [Rejection::Quota]);
    assert_eq!(refused(&mut world, a, invites(&mut ada, &bob, 200)), []);
    // A word of Bob's makes room for one, a removal for another.
    let word = bob.content(space(1), 2);
    assert_eq!(refused(&mut world, b, vec![push(space(1), vec![word])]), []);
    let again = mallory.handshake(space(most + 1), 1, vec![add(&bob)]);
    assert_eq!(refused(&mut world, m, vec![push(space(most + 1), vec![again])]), []);
    let out = mallory.handshake(space(2), 2, vec![remove(&bob)]);
    assert_eq!(refused(&mut world, m, vec![push(space(2), vec![out])]), []);
    assert_eq!(refused(&mut world, m, invites(&mut mallory, &bob, most + 2)), []);
    let last = invites(&mut mallory, &bob, most + 3);
    assert_eq!(refused(&mut world, m, last), [Rejection::Quota]);
}

/// Sends what an account says, and gives what was refused of it.
fn says(world: &mut World, at: SessionId, frames: Vec<ClientFrame>) -> Vec<Rejection> {
    world.take(at);
    frames.into_iter().for_each(|frame| world.send(at, frame));
    world.commit();
    refusals(&world.take(at))
}

/// A way in of its own for one device, into a space that there is already.
fn lets_in(by: &mut Device, whom: &Device, n: u8, items: usize) -> ClientFrame {
    let envelopes = vec![by.handshake(space(n), 1, vec![add(whom)])];
    let item = WelcomeFor { account: whom.account, device: whom.id, item: Blob(vec![7]) };
    let welcomes = Some(Welcomes { common: Blob(vec![8; 100]), items: vec![item; items] });
    ClientFrame::Push(Push { space: space(n), envelopes, welcomes, ticket: None })
}

#[test]
fn strangers_fill_an_inbox_and_a_friends_way_in_still_comes() {
    let settings = Settings { inbox_puts_per_s: 0, requests_per_s: 0, ..Settings::default() };
    let mut world = World::over(MemoryStore::new(), settings);
    let (mut ada, mut bob) = (Device::new(1), Device::new(2));
    let (a, b) = (world.connect(&mut ada), world.connect(&mut bob));
    let strangers = limits::INBOX_ITEMS / limits::INBOX_ITEMS_OF_ONE;
    let mut taken = 0;
    for seed in 0..strangers as u64 {
        let mut stranger = Device::new(100 + seed);
        let at = world.connect(&mut stranger);
        for _ in 0..limits::INBOX_ITEMS_OF_ONE {
            let put = InboxPut { account: bob.account, device: bob.id, item: Blob(vec![1]) };
            taken += usize::from(world.ask(at, Op::PutInbox(put)) == Answer::Done);
        }
    }
    assert_eq!(taken, limits::INBOX_ITEMS - limits::INBOX_RESERVE);
    assert_eq!(says(&mut world, a, invites(&mut ada, &bob, 50)), []);
    world.take(b);
    world.ask(b, Op::AckInbox { number: taken as u64 });
    let left = world.relay.store().rows().filter(|(table, ..)| *table == Table::Inboxes).count();
    assert_eq!(left, 1, "the way in waits behind all that");
}

#[test]
fn a_handshake_lets_each_device_in_once() {
    let mut world = World::new();
    let (mut ada, mut bob) = (Device::new(1), Device::new(2));
    let a = world.connect(&mut ada);
    world.connect(&mut bob);
    let founding = ada.found(space(1));
    assert_eq!(says(&mut world, a, vec![push(space(1), vec![founding])]), []);
    let twice = lets_in(&mut ada, &bob, 1, 2);
    assert_eq!(says(&mut world, a, vec![twice]), [Rejection::Invalid]);
    let once = lets_in(&mut ada, &bob, 1, 1);
    assert_eq!(says(&mut world, a, vec![once]), []);
}

#[test]
fn a_way_in_that_is_acknowledged_finds_room_whatever_came_between() {
    let mut state = State::founded(MemoryStore::new(), IDENTITY).unwrap();
    let (ada, bob) = (Device::new(1), Device::new(2));
    let device = AccountDevice { account: bob.account, device: bob.id };
    let put = |handshake| Action::PutInbox {
        device,
        from: InboxFrom { account: ada.account, device: ada.id, handshake, common: 0 },
        item: Blob(vec![1]),
    };
    for _ in 0..limits::INBOX_ITEMS_OF_ONE {
        apply(&mut state, Command::new(1, put(None))).unwrap();
    }
    let more = apply(&mut state, Command::new(1, put(None)));
    assert!(matches!(more, Err(Fault::Rejected(Rejection::Quota))), "{more:?}");
    let number = limits::INBOX_ITEMS_OF_ONE as u64 + 1;
    let way_in = apply(&mut state, Command::new(1, put(Some((space(1), 3))))).unwrap();
    assert!(matches!(way_in, Effect::InboxGrew { number: found, .. } if found == number));
}

#[test]
fn strangers_spaces_take_no_room_from_an_accounts_own() {
    let settings = Settings {
        spaces_per_account: 5,
        unanswered_of_one: 4,
        unanswered_of_all: 8,
        ..Settings::default()
    };
    let mut world = World::over(MemoryStore::new(), settings);
    let (mut ada, mut bob) = (Device::new(1), Device::new(2));
    let (a, b) = (world.connect(&mut ada), world.connect(&mut bob));
    for n in 0..3u8 {
        let mut stranger = Device::new(u64::from(n) + 10);
        let at = world.connect(&mut stranger);
        for k in 0..4 {
            let refused = says(&mut world, at, invites(&mut stranger, &bob, 10 * (n + 1) + k));
            // The third finds that there are eight already: one more from each, and no more.
            let expected = if n < 2 || k == 0 { vec![] } else { vec![Rejection::Quota] };
            assert_eq!(refused, expected, "{n} {k}");
        }
    }
    let own = |bob: &mut Device, n| vec![push(space(n), vec![bob.found(space(n))])];
    for n in 0..4 {
        assert_eq!(says(&mut world, b, own(&mut bob, 100 + n)), []);
    }
    assert_eq!(says(&mut world, a, invites(&mut ada, &bob, 200)), []);
    let word = bob.content(space(200), 2);
    assert_eq!(says(&mut world, b, vec![push(space(200), vec![word])]), []);
    // Five of its own by now.
    assert_eq!(says(&mut world, b, own(&mut bob, 110)), [Rejection::Quota]);
    assert!(world.relay.refusals().of(Refused::Quotas) >= 4);
}
