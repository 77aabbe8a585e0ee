//! What one account takes of the relay, however many devices, sessions and reconnects it uses: its
//! share. It is refused alone, told why and counted; everybody else goes on.

use std::collections::{BTreeMap, BTreeSet};

use sync_protocol::codec::Blob;
use sync_protocol::error::Rejection;
use sync_protocol::frames::{
    Answer, ClientFrame, InboxPut, KeyPackages, Op, Push, RelayFrame, Request,
};
use sync_protocol::ids::SpaceId;
use sync_protocol::limits;
use sync_server::refusals::Refused;
use sync_server::relay::{Output, SessionId, Settings};
use sync_server::store::{MemoryStore, Store as _, Table};

use crate::support::{Device, add, push, remove, space};
use crate::world::{World, cursor, delivered, refusals, stored};

const DAY_MS: u64 = 24 * 60 * 60 * 1000;
const MIB: usize = 1024 * 1024;

fn world(settings: Settings) -> World {
    World::over(MemoryStore::new(), settings)
}

impl World {
    fn refused(&self, reason: Refused) -> u64 {
        self.relay.refusals().of(reason)
    }

    fn says(&mut self, at: SessionId, to: SpaceId, envelopes: Vec<Blob>) -> Vec<Rejection> {
        self.send(at, push(to, envelopes));
        self.commit();
        refusals(&self.take(at))
    }
}

/// A space of its own for each number.
fn numbered(n: u32) -> SpaceId {
    let mut bytes = [7; 32];
    bytes[..4].copy_from_slice(&n.to_be_bytes());
    SpaceId::from_bytes(bytes)
}

#[test]
fn an_account_in_many_spaces_comes_back_as_often_as_its_share_lets_it() {
    let settings = Settings { foundings_per_s: 0, work_us_per_s: 10_000, ..Settings::default() };
    let mut world = world(settings);
    let (mut mallory, mut ada) = (Device::new(1), Device::new(2));
    let mut at = world.connect(&mut mallory);
    for n in 0..1_000 {
        world.now += 20;
        let founding = mallory.found(numbered(n));
        assert_eq!(world.says(at, numbered(n), vec![founding]), []);
    }
    world.now += 60_000;
    // Each hello looks at a thousand spaces: some four thousand microseconds.
    let mut hellos = 0;
    let refused = loop {
        at = world.hello(&mallory);
        if !world.relay.is_open(at) {
            break world.closed[&at].clone();
        }
        mallory.fence = mallory.next_fence;
        mallory.next_fence += 1;
        hellos += 1;
    };
    assert!((15..40).contains(&hellos), "{hellos}");
    let Rejection::Rate { retry_ms } = refused else { panic!("{refused:?}") };
    assert!(world.refused(Refused::Work) >= 1);
    let other = world.connect(&mut ada);
    assert_eq!(world.ask(other, Op::Spaces), Answer::Spaces(Vec::new()));
    // It is told when, and then it is let in.
    world.now += retry_ms;
    world.connect(&mut mallory);
}

/// What the relay has looked at for devices that came back.
fn looked_at(world: &World) -> u64 {
    world.relay.counts().looked_at
}

#[test]
fn a_hello_costs_what_changed_and_not_what_there_is() {
    let settings = Settings {
        foundings_per_s: 0,
        invitations_per_hour: 0,
        unanswered_of_one: 0,
        unanswered_of_all: 0,
        work_us_per_s: 0,
        ..Settings::default()
    };
    let mut world = world(settings.clone());
    let (mut ada, mut bob) = (Device::new(1), Device::new(2));
    let (a, b) = (world.connect(&mut ada), world.connect(&mut bob));
    for n in 0..2_000 {
        let start = vec![ada.found(numbered(n)), ada.handshake(numbered(n), 1, vec![add(&bob)])];
        assert_eq!(world.says(a, numbered(n), start), []);
        world.send(b, ClientFrame::Credit { bytes: 10_000 });
        world.tick(world.now + 10);
    }
    (0..20).for_each(|_| world.tick(world.now + 1_000));
    // All taken in, and the list of spaces compared once.
    bob.cursor = cursor(&world.take(b));
    let before = looked_at(&world);
    let again = world.connect(&mut bob);
    assert_eq!(looked_at(&world) - before, 2_000);
    assert_eq!(delivered(&world.take(again)), []);
    // Three change: one that is written down, one that is noted only, one that is left.
    let word = ada.content(numbered(7), 2);
    assert_eq!(world.says(a, numbered(7), vec![word]), []);
    (0..8).for_each(|_| world.tick(world.now + 1_000));
    let word = ada.content(numbered(1_500), 2);
    assert_eq!(world.says(a, numbered(1_500), vec![word]), []);
    let mut world = world.crash_under(settings);
    for _ in 0..2 {
        let before = looked_at(&world);
        let again = world.connect(&mut bob);
        assert!(looked_at(&world) - before <= 2, "{}", looked_at(&world) - before);
        let mut got = delivered(&world.take(again));
        got.sort_unstable();
        assert_eq!(got, [(numbered(7), 2), (numbered(1_500), 2)]);
        (0..8).for_each(|_| world.tick(world.now + 1_000));
    }
    let a = world.connect(&mut ada);
    world.take(a);
    let out = ada.handshake(numbered(9), 2, vec![remove(&bob)]);
    assert_eq!(world.says(a, numbered(9), vec![out]), []);
    let before = looked_at(&world);
    let again = world.connect(&mut bob);
    // The list has changed, so it is read once more.
    assert!(looked_at(&world) - before <= 3 + 2_000);
    let got = delivered(&world.take(again));
    assert_eq!(got.len(), 3);
    assert!(got.contains(&(numbered(9), 2)));
}

#[test]
fn a_list_that_is_asked_for_again_and_again_is_paid_for() {
    let settings = Settings { foundings_per_s: 0, requests_per_s: 0, ..Settings::default() };
    let mut world = world(Settings { work_us_per_s: 10_000, ..settings });
    let mut mallory = Device::new(1);
    let mut at = world.connect(&mut mallory);
    for n in 0..600 {
        world.now += 20;
        let founding = mallory.found(numbered(n));
        assert_eq!(world.says(at, numbered(n), vec![founding]), []);
    }
    world.now += 60_000;
    let mut lists = 0;
    let refused = loop {
        match world.ask(at, Op::Spaces) {
            Answer::Spaces(all) => lists += u64::from(all.len() == 600),
            Answer::Refused(reason) => break reason,
            other => panic!("{other:?}"),
        }
        // No other session gives it more.
        if lists % 10 == 0 {
            at = world.connect(&mut mallory);
            world.take(at);
        }
    };
    assert!(matches!(refused, Rejection::Rate { .. }) && (100..600).contains(&lists), "{lists}");
}

#[test]
fn a_device_and_an_account_have_so_many_sessions() {
    let settings =
        Settings { sessions_per_device: 3, sessions_per_account: 5, ..Settings::default() };
    let mut world = world(settings);
    let mut ada = Device::new(1);
    let at = world.connect(&mut ada);
    let mut phone = world.link(at, &mut ada, 50);
    let copies = |world: &mut World, device: &mut Device, count| {
        let mut opened = 0;
        for _ in 0..count {
            device.incarnation += 1;
            (device.fence, device.next_fence) = (0, 900);
            let session = world.hello(device);
            match world.closed.get(&session) {
                None => opened += 1,
                Some(reason) => assert_eq!(*reason, Rejection::Quota),
            }
        }
        opened
    };
    assert_eq!(copies(&mut world, &mut ada.clone(), 5), 2);
    assert_eq!(world.refused(Refused::SessionsOfDevice), 3);
    assert_eq!(copies(&mut world, &mut phone, 5), 2);
    assert_eq!(world.refused(Refused::SessionsOfAccount), 3);
    // A store that comes back takes the place of its own earlier session.
    world.connect(&mut ada);
    let mut other = Device::new(2);
    world.connect(&mut other);
}

#[test]
fn what_a_device_may_push_it_may_not_push_again_by_coming_back() {
    let settings = Settings { push_envelopes_per_s: 2, ..Settings::default() };
    let mut world = world(settings);
    let mut ada = Device::new(1);
    let mut at = world.connect(&mut ada);
    let founding = ada.found(space(1));
    assert_eq!(world.says(at, space(1), vec![founding]), []);
    for _ in 1..20 {
        at = world.connect(&mut ada);
        let word = ada.content(space(1), 1);
        assert_eq!(world.says(at, space(1), vec![word]), []);
    }
    at = world.connect(&mut ada);
    let word = ada.content(space(1), 1);
    let slow = world.says(at, space(1), vec![word.clone()]);
    assert_eq!(slow, [Rejection::Rate { retry_ms: 500 }]);
    assert_eq!(world.refused(Refused::Pushes), 1);
    world.now += 500;
    assert_eq!(world.says(at, space(1), vec![word]), []);
}

/// Pushes large content until that is refused; gives how much was taken, and why no more.
fn fill(world: &mut World, device: &mut Device, at: SessionId, to: SpaceId) -> (usize, Rejection) {
    device.payload = MIB / 8;
    let mut taken = 0;
    loop {
        let word = device.content(to, 1);
        match world.says(at, to, vec![word]).pop() {
            None => taken += MIB / 8,
            Some(reason) => {
                device.rewind(to);
                return (taken, reason);
            }
        }
        world.tick(world.now + 10);
    }
}

#[test]
fn an_account_stores_so_much_in_a_day_and_so_much_ever_also_after_a_restart() {
    let settings = Settings {
        stored_mib_per_day: 2,
        stored_mib_per_account: 5,
        work_us_per_s: 0,
        ..Settings::default()
    };
    let mut world = world(settings.clone());
    world.now = 1_000 * DAY_MS;
    let mut mallory = Device::new(1);
    let mut all = 0;
    let mut reasons = Vec::new();
    for day in 0..3u8 {
        let mut at = world.connect(&mut mallory);
        let to = space(day + 1);
        let founding = mallory.found(to);
        assert_eq!(world.says(at, to, vec![founding]), []);
        let (taken, reason) = fill(&mut world, &mut mallory, at, to);
        all += taken;
        reasons.push(reason);
        // Neither another session nor a restart gives it more.
        world.tick(world.now + 10_000);
        world = world.crash_under(settings.clone());
        at = world.connect(&mut mallory);
        let other = space(day + 100);
        let founding = mallory.found(other);
        let more = vec![founding, mallory.content(other, 1)];
        assert_eq!(world.says(at, other, more).len(), 1);
        world.now = world.now / DAY_MS * DAY_MS + DAY_MS;
        if day < 2 {
            let Some(Rejection::Rate { retry_ms }) = reasons.last() else { panic!("{reasons:?}") };
            assert!(*retry_ms <= DAY_MS && *retry_ms > DAY_MS / 2);
        }
    }
    assert_eq!(reasons.last(), Some(&Rejection::Quota));
    assert!((3 * MIB..=5 * MIB).contains(&all), "{all}");
    assert!(world.refused(Refused::Stored) > 0);
    // Everybody else writes on, in the same spaces too.
    let mut ada = Device::new(2);
    let at = world.connect(&mut ada);
    let founding = ada.found(space(90));
    assert_eq!(world.says(at, space(90), vec![founding]), []);
}

#[test]
fn what_lies_in_others_inboxes_is_paid_for_by_who_put_it_there() {
    let settings = Settings { stored_mib_per_day: 1, inbox_puts_per_s: 0, ..Settings::default() };
    let mut world = world(settings);
    let mut mallory = Device::new(1);
    let at = world.connect(&mut mallory);
    let mut put = 0;
    for seed in 10..50 {
        let mut victim = Device::new(seed);
        world.connect(&mut victim);
        let item = Blob(vec![7; 100_000]);
        let op = Op::PutInbox(InboxPut { account: victim.account, device: victim.id, item });
        put += u64::from(world.ask(at, op) == Answer::Done);
    }
    assert_eq!(put, 10);
    assert_eq!(world.refused(Refused::Daily), 30);
}

#[test]
fn who_goes_on_although_told_to_wait_is_ended() {
    let settings = Settings { requests_per_s: 1, waits_per_s: 5, ..Settings::default() };
    let mut world = world(settings);
    let (mut mallory, mut ada) = (Device::new(1), Device::new(2));
    let (at, other) = (world.connect(&mut mallory), world.connect(&mut ada));
    for id in 0..1_000 {
        world.send(at, ClientFrame::Request(Request { id, op: Op::CountKeyPackages }));
    }
    world.commit();
    let replies = world.take(at).iter().filter(|f| matches!(f, RelayFrame::Reply(_))).count();
    assert_eq!(replies as u64, Settings::BURST_S + 5 * Settings::BURST_S + 1);
    assert!(matches!(world.closed[&at], Rejection::Rate { retry_ms } if retry_ms > 0));
    assert_eq!(world.refused(Refused::Unheeding), 1);
    assert!(world.relay.is_open(other));
}

#[test]
fn who_floods_with_what_is_never_answered_is_ended() {
    let settings = Settings { work_us_per_s: 1_000, ..Settings::default() };
    let mut world = world(settings);
    let (mut mallory, mut ada) = (Device::new(1), Device::new(2));
    let (at, other) = (world.connect(&mut mallory), world.connect(&mut ada));
    let mut sent = 0;
    while world.relay.is_open(at) {
        sent += 1;
        world.send(at, ClientFrame::Credit { bytes: 1 });
    }
    world.commit();
    assert!((1_000..20_000).contains(&sent), "{sent}");
    assert!(matches!(world.closed[&at], Rejection::Rate { retry_ms } if retry_ms > 1_000));
    assert!(world.relay.is_open(other));
    // Its other sessions are no way around that.
    let again = world.hello(&mallory);
    assert!(matches!(world.closed[&again], Rejection::Rate { .. }));
}

#[test]
fn who_reads_much_is_served_in_turn_with_who_reads_little() {
    let mut world = world(Settings::default());
    let mut ada = Device::new(1);
    let a = world.connect(&mut ada);
    let mut greedy: Vec<_> = (10..40).map(Device::new).collect();
    let (mut founded, mut roster) = (vec![ada.found(space(1))], Vec::new());
    for device in &mut greedy {
        world.connect(device);
        roster.push(add(device));
    }
    founded.push(ada.handshake(space(1), 1, roster));
    let founding = ada.found(space(2));
    assert_eq!(world.says(a, space(1), founded), []);
    assert_eq!(world.says(a, space(2), vec![founding]), []);
    ada.payload = 20_000;
    for _ in 0..24 {
        let word = ada.content(space(1), 2);
        assert_eq!(world.says(a, space(1), vec![word]), []);
    }
    ada.payload = 60;
    let word = ada.content(space(2), 1);
    assert_eq!(world.says(a, space(2), vec![word]), []);
    world.inboxes.clear();
    // The greedy come first, each with half a window to catch up with; then one who lacks little.
    let mut dial = |device: &Device| {
        let (session, challenge) = world.dial();
        let hello = device.hello(&challenge);
        world.relay.receive(session, ClientFrame::Hello(hello), world.now);
        session
    };
    for device in &greedy {
        dial(device);
    }
    (ada.fence, ada.next_fence) = (ada.next_fence - 1, 900);
    let at = dial(&ada);
    let first: u64 = world.relay.commit(world.now).iter().map(size).sum();
    let own = world.relay.commit(world.now);
    let mine = own.iter().chain(&world.relay.commit(world.now)).any(|output| is_to(output, at));
    assert!(first < 6 * MIB as u64 && mine);
}

fn size(output: &sync_server::relay::Output) -> u64 {
    match output {
        sync_server::relay::Output::Send { frame, .. } => frame.len() as u64,
        sync_server::relay::Output::Close { .. } => 0,
    }
}

fn is_to(output: &sync_server::relay::Output, session: SessionId) -> bool {
    matches!(output, sync_server::relay::Output::Send { session: to, .. } if *to == session)
}

#[test]
fn what_is_delivered_beyond_an_accounts_share_comes_later_and_whole() {
    let settings = Settings { delivered_bytes_per_s: 20_000, ..Settings::default() };
    let mut world = world(settings);
    let mut ada = Device::new(1);
    let at = world.connect(&mut ada);
    let founding = ada.found(space(1));
    assert_eq!(world.says(at, space(1), vec![founding]), []);
    ada.payload = 10_000;
    for _ in 0..40 {
        let word = ada.content(space(1), 1);
        assert_eq!(world.says(at, space(1), vec![word]), []);
    }
    let mut got = std::collections::BTreeSet::new();
    let mut waits = 0;
    let at = world.connect(&mut ada);
    for round in 0..2 {
        // The second time the share is used up.
        let op = Op::Fetch { space: space(1), from: 0, to: 41 };
        world.send(at, ClientFrame::Request(Request { id: round, op }));
        world.send(at, ClientFrame::Credit { bytes: 1_000_000 });
        got.clear();
        loop {
            world.commit();
            got.extend(delivered(&world.take(at)));
            if got.len() == 41 {
                break;
            }
            world.send(at, ClientFrame::Credit { bytes: 1_000_000 });
            world.commit();
            waits += 1;
            world.tick(world.now + 1_000);
        }
    }
    assert_eq!(got.len(), 41);
    assert!(waits > 5, "{waits}");
}

#[test]
fn who_is_refused_leaves_nothing_in_the_store() {
    let mut world = world(Settings::default());
    let mut mallory = Device::new(1);
    let at = world.connect(&mut mallory);
    let word = mallory.content(space(9), 1);
    assert_eq!(world.says(at, space(9), vec![word]), [Rejection::NotFound]);
    let mut rows = 0;
    for table in [Table::Writers, Table::WriterIds, Table::Spaces] {
        let visit = &mut |_: &[u8], _: &[u8]| {
            rows += 1;
            true
        };
        world.relay.store().scan(table, &[], &[0xff; 80], visit).unwrap();
    }
    assert_eq!(rows, 0);
    mallory.rewind(space(9));
    let founding = mallory.found(space(9));
    let word = mallory.content(space(9), 1);
    world.send(at, push(space(9), vec![founding, word]));
    world.commit();
    assert_eq!(stored(&world.take(at)).len(), 2);
}

/// How many requests of a kind are answered, asked in a row, before an account's share is used up.
fn answered(world: &mut World, at: SessionId, op: &Op) -> usize {
    let mut count = 0;
    loop {
        match world.ask(at, op.clone()) {
            Answer::Refused(Rejection::Rate { .. }) => return count,
            _ => count += 1,
        }
        assert!(count < 20_000, "{op:?}");
    }
}

#[test]
fn a_short_question_with_a_long_answer_is_paid_for_by_its_length() {
    let settings = Settings { work_us_per_s: 10_000, ..Settings::default() };
    let mut world = world(settings);
    let (mut mallory, mut ada) = (Device::new(1), Device::new(2));
    let at = world.connect(&mut mallory);
    let founding = mallory.found(space(1));
    let ticket = Some(Blob(vec![7; limits::TICKET]));
    let push = Push { space: space(1), envelopes: vec![founding], welcomes: None, ticket };
    world.send(at, ClientFrame::Push(push));
    world.commit();
    assert_eq!(stored(&world.take(at)).len(), 1);
    world.now += 60_000;
    // Half a mebibyte each: some two thousand microseconds.
    let tickets = answered(&mut world, at, &Op::ReadTicket { space: space(1) });
    assert!((30..80).contains(&tickets), "{tickets}");
    assert!(world.refused(Refused::Work) >= 1);
    let other = world.connect(&mut ada);
    assert_eq!(world.ask(other, Op::Spaces), Answer::Spaces(Vec::new()));
}

#[test]
fn a_device_log_that_has_to_be_verified_is_paid_for_by_who_asks() {
    let settings = Settings { work_us_per_s: 1_000, ..Settings::default() };
    let mut world = world(Settings { work_us_per_s: 0, ..settings.clone() });
    let (mut ada, mut mallory) = (Device::new(1), Device::new(2));
    let at = world.connect(&mut ada);
    for n in 0..50 {
        let phone = world.link(at, &mut ada, 100 + n);
        world.revoke(at, &mut ada, phone.id);
    }
    world.connect(&mut mallory);
    // Nothing is known of it after a restart, and it has some two hundred signatures.
    let mut world = world.crash_under(settings);
    world.now += 60_000;
    let at = world.connect(&mut mallory);
    let read = Op::ReadLog { account: ada.account, from: 0 };
    assert!(matches!(world.ask(at, read), Answer::Log { .. }));
    assert!(matches!(world.ask(at, Op::CountKeyPackages), Answer::Refused(Rejection::Rate { .. })));
    assert_eq!(world.refused(Refused::Work), 1);
}

#[test]
fn many_who_write_at_once_in_one_space_are_told_no_more_at_once_than_a_few() {
    let settings =
        Settings { incarnations_per_hour: 0, sessions_per_device: 0, ..Settings::default() };
    let mut world = world(Settings { work_us_per_s: 0, sessions_per_account: 0, ..settings });
    let mut ada = Device::new(1);
    let mut at = vec![(world.connect(&mut ada), ada.clone())];
    let founding = ada.found(space(1));
    assert_eq!(world.says(at[0].0, space(1), vec![founding]), []);
    for n in 0..50 {
        let mut store = ada.clone();
        store.incarnation = 1_000 + n;
        store.rewind(space(1));
        (store.fence, store.next_fence) = (0, 1);
        at.push((world.connect(&mut store), store));
    }
    world.commit();
    at.iter().for_each(|(session, _)| drop(world.take(*session)));
    for (session, store) in &mut at {
        store.payload = 8_000;
        let word = store.content(space(1), 1);
        world.send(*session, push(space(1), vec![word]));
    }
    // What is encoded at once, each message once: those who receive the same share its bytes.
    let outputs = world.relay.commit(world.now);
    let mut said = BTreeMap::new();
    for output in &outputs {
        if let Output::Send { session, frame } = output {
            let heard = RelayFrame::parse(&frame.whole()).unwrap();
            world.inboxes.entry(*session).or_default().push(heard);
            said.insert(frame.parts().next().map(|part| part.as_ptr()), frame.len());
        }
    }
    let bytes: usize = said.values().sum();
    assert!(bytes < 6 * MIB, "{bytes} bytes for {} written", 51 * 8_000);
    // And all of it comes to everybody.
    for _ in 0..20 {
        for (session, _) in &at {
            world.send(*session, ClientFrame::Credit { bytes: 200_000 });
        }
        world.tick(world.now + 1_000);
    }
    for (n, (session, _)) in at.iter().enumerate() {
        let got = delivered(&world.take(*session)).into_iter().map(|(_, index)| index);
        let got: BTreeSet<u64> = got.collect();
        let missing: Vec<_> = (1..=51).filter(|index| !got.contains(index)).collect();
        // Its own it has.
        assert!(missing.is_empty() || missing == [n as u64 + 1], "{n}: {missing:?}");
    }
}

#[test]
fn a_request_that_goes_through_the_log_is_paid_for_whatever_becomes_of_it() {
    let settings = Settings { work_us_per_s: 10_000, ..Settings::default() };
    let mut world = world(settings);
    let mut mallory = Device::new(1);
    let at = world.connect(&mut mallory);
    // Beyond a hundred they are refused, and were written to the log before that.
    let once = vec![Blob(vec![7; limits::KEY_PACKAGE]); limits::KEY_PACKAGES_PUT];
    let packages = Op::PutKeyPackages(KeyPackages { once, last_resort: None });
    let put = answered(&mut world, at, &packages);
    assert!((150..400).contains(&put), "{put}");
    world.now += 60_000;
    let acked = answered(&mut world, at, &Op::AckInbox { number: 0 });
    assert!((1_000..4_000).contains(&acked), "{acked}");
}

#[test]
fn a_handshake_that_is_refused_is_paid_for_with_all_that_came_along() {
    let settings = Settings { work_us_per_s: 10_000, ..Settings::default() };
    let mut world = world(settings);
    let mut mallory = Device::new(1);
    let at = world.connect(&mut mallory);
    let founding = mallory.found(space(1));
    assert_eq!(world.says(at, space(1), vec![founding]), []);
    world.now += 60_000;
    // It has not read the founding, so it is refused; its ticket goes into the log with it.
    let late = mallory.handshake(space(1), 0, Vec::new());
    let mut refused = 0;
    loop {
        let ticket = Some(Blob(vec![7; limits::TICKET]));
        let envelopes = vec![late.clone()];
        let push = Push { space: space(1), envelopes, welcomes: None, ticket };
        world.send(at, ClientFrame::Push(push));
        world.commit();
        match refusals(&world.take(at)).as_slice() {
            [Rejection::Behind { .. }] => refused += 1,
            [Rejection::Rate { .. }] => break,
            other => panic!("{other:?}"),
        }
    }
    assert!((8..20).contains(&refused), "{refused}");
}

#[test]
fn what_a_device_has_no_credit_for_is_read_once_and_not_with_each_word_from_it() {
    let settings = Settings { work_us_per_s: 10_000, ..Settings::default() };
    let mut world = world(settings);
    let (mut ada, mut mallory) = (Device::new(1), Device::new(2));
    let (a, m) = (world.connect(&mut ada), world.connect(&mut mallory));
    let start = vec![ada.found(space(1)), ada.handshake(space(1), 1, vec![add(&mallory)])];
    assert_eq!(world.says(a, space(1), start), []);
    ada.payload = 200_000;
    for _ in 0..4 {
        let large = ada.content(space(1), 2);
        assert_eq!(world.says(a, space(1), vec![large]), []);
    }
    let first = delivered(&world.take(m)).len();
    assert!(first < 5, "all fits into a window");
    world.now += 60_000;
    // A word costs two microseconds, and reading anew some eight hundred.
    for _ in 0..1_000 {
        world.send(m, ClientFrame::Credit { bytes: 1 });
        world.commit();
    }
    assert!(world.relay.is_open(m) && world.refused(Refused::Unheeding) == 0);
    assert_eq!(delivered(&world.take(m)), []);
    let Answer::Spaces(spaces) = world.ask(m, Op::Spaces) else { panic!("no share left") };
    assert_eq!(spaces, [space(1)]);
    let mut got = first;
    for _ in 0..8 {
        world.send(m, ClientFrame::Credit { bytes: limits::WINDOW as u64 });
        world.tick(world.now + 1_000);
        got += delivered(&world.take(m)).len();
    }
    assert_eq!(got, 5);
}
