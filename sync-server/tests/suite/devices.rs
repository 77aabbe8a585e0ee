//! A device's life as the relay sees it: new, linked, revoked, recovered.

use sync_protocol::codec::Blob;
use sync_protocol::error::Rejection;
use sync_protocol::frames::{
    Answer, ClientFrame, Delivery, InboxPut, KeyPackages, Notice, Op, Push, RelayFrame, Request,
    WelcomeFor, Welcomes, membership_digest,
};
use sync_protocol::limits;
use sync_server::relay::{SessionId, Settings};
use sync_server::rules::AccountDevice;
use sync_server::store::{MemoryStore, Table};

use crate::support::{Device, add, join, push, remove, space};
use crate::world::{World, cursor, delivered, refusals, stored, welcome};

fn refused(reason: Rejection) -> Answer {
    Answer::Refused(reason)
}

/// A hello with its own words, and what follows.
fn greet(
    world: &mut World,
    device: &mut Device,
    change: impl Fn(&mut sync_protocol::frames::Hello),
) -> SessionId {
    let (session, challenge) = world.dial();
    let mut hello = device.hello(&challenge);
    change(&mut hello);
    device.sign(&challenge, &mut hello);
    world.send(session, ClientFrame::Hello(hello));
    world.commit();
    session
}

/// Entries that the relay has of an account's log.
fn known(world: &mut World, account: sync_protocol::AccountId) -> usize {
    let (new, _) = world.dial();
    match world.ask(new, Op::ReadLog { account, from: 0 }) {
        Answer::Log { entries, .. } => entries.len(),
        _ => 0,
    }
}

#[test]
fn an_account_that_names_anothers_device_does_not_begin() {
    let mut world = World::new();
    let mut victim = Device::new(1);
    let v = world.connect(&mut victim);
    let mut stranger = Device::new(7);
    let (account, log) = victim.named_by(7);
    // In the device's name, and in the stranger's own.
    for device in [victim.id, stranger.id] {
        let session = greet(&mut world, &mut stranger, |hello| {
            (hello.account, hello.device, hello.log) = (account, device, log.clone());
        });
        assert_eq!(world.closed[&session], Rejection::Invalid);
    }
    assert_eq!(known(&mut world, account), 0, "nothing of it was kept");
    assert!(!world.closed.contains_key(&v));
}

#[test]
fn nothing_is_written_for_who_did_not_prove_to_be_the_device() {
    let mut world = World::new();
    let mut ada = Device::new(1);
    // The log is Ada's own, and somebody else brings it.
    let (session, challenge) = world.dial();
    let mut hello = ada.hello(&challenge);
    hello.signature = Blob(vec![0; 64]);
    world.send(session, ClientFrame::Hello(hello));
    world.commit();
    assert_eq!(world.closed[&session], Rejection::Denied);
    assert_eq!(known(&mut world, ada.account), 0);
    // Her recovery is signed, and somebody else brings that.
    let a = world.connect(&mut ada);
    let back = ada.recover(1, 9);
    let (session, challenge) = world.dial();
    let mut hello = back.hello(&challenge);
    hello.signature = Blob(vec![0; 64]);
    world.send(session, ClientFrame::Hello(hello));
    world.commit();
    assert_eq!(world.closed[&session], Rejection::Denied);
    assert!(!world.closed.contains_key(&a), "her device goes on");
    assert_eq!(known(&mut world, ada.account), 1);
}

#[test]
fn what_ends_a_device_in_one_account_leaves_it_alone_in_another() {
    let mut world = World::new();
    let mut ada = Device::new(1);
    let a = world.connect(&mut ada);
    world.ask(a, Op::PutKeyPackages(KeyPackages { once: vec![Blob(vec![1])], last_resort: None }));
    // The same keys, by their owner's own signature, in a second account, which is then recovered.
    let mut twin = ada.twin(7);
    let t = world.connect(&mut twin);
    let mut back = twin.recover(7, 9);
    world.connect(&mut back);
    assert_eq!(world.closed[&t], Rejection::Revoked);
    assert!(!world.closed.contains_key(&a), "one key in two accounts is two devices");
    assert_eq!(world.ask(a, Op::CountKeyPackages), Answer::Count(1));
    let again = world.connect(&mut ada);
    assert!(!world.closed.contains_key(&again));
}

#[test]
fn without_a_session_one_looks_up_an_account_and_reads_its_log_no_more() {
    let mut world = World::new();
    let mut ada = Device::new(1);
    let a = world.connect(&mut ada);
    let address: sync_protocol::address::Address = "ada".parse().unwrap();
    world.ask(a, Op::ClaimAddress { address: address.clone() });
    let (new, _) = world.dial();
    let log = Answer::Log { account: ada.account, from: 0, entries: ada.log.clone() };
    assert_eq!(world.ask(new, Op::Lookup { address: address.clone() }), log);
    let account = ada.account;
    assert_eq!(world.ask(new, Op::ReadLog { account, from: 0 }), log);
    let missing = Op::ReadLog { account: Device::new(7).account, from: 0 };
    assert_eq!(world.ask(new, missing), refused(Rejection::NotFound));
    let denied = [
        Op::TakeKeyPackages { account },
        Op::Spaces,
        Op::LastSeen,
        Op::Fetch { space: account.space(), from: 0, to: 1 },
        Op::ClaimAddress { address },
    ];
    for op in denied {
        assert_eq!(world.ask(new, op), refused(Rejection::Denied));
    }
    assert_eq!(world.ask(new, Op::ReadLog { account, from: 0 }), refused(Rejection::Quota));
    assert!(!world.closed.contains_key(&new));
    for _ in 0..60 {
        let op = Op::ReadLog { account, from: 0 };
        world.send(new, ClientFrame::Request(Request { id: 1, op }));
    }
    world.commit();
    assert_eq!(world.closed[&new], Rejection::Quota);
}

#[test]
fn requests_without_a_session_are_limited_over_all_sockets() {
    let settings = Settings { early_requests_per_s: 1, ..Settings::default() };
    let mut world = World::over(MemoryStore::new(), settings);
    let account = Device::new(1).account;
    let mut answers = Vec::new();
    for _ in 0..12 {
        let (session, _) = world.dial();
        answers.push(world.ask(session, Op::ReadLog { account, from: 0 }));
    }
    let slowed = refused(Rejection::Rate { retry_ms: 1_000 });
    assert_eq!(answers[..10], vec![refused(Rejection::NotFound); 10]);
    assert_eq!(answers[10..], [slowed.clone(), slowed]);
}

#[test]
fn a_fresh_device_gets_its_inbox_and_nothing_of_the_past() {
    let mut world = World::new();
    let mut ada = Device::new(1);
    let a = world.connect(&mut ada);
    let mut phone = world.link(a, &mut ada, 2);
    let past = vec![ada.found(space(1)), ada.content(space(1), 1)];
    world.send(a, push(space(1), past));
    let put = InboxPut { account: phone.account, device: phone.id, item: Blob(vec![1]) };
    world.ask(a, Op::PutInbox(put));
    let p = greet(&mut world, &mut phone, |hello| {
        hello.fresh = true;
        hello.cursor = Some(Blob(vec![0; 16]));
    });
    let frames = world.take(p);
    assert_eq!((welcome(&frames).changed, welcome(&frames).from_start), (0, false));
    assert!(matches!(&frames[1], RelayFrame::Delivery(Delivery::Inbox(items)) if items.len() == 1));
    assert!(matches!(frames[2], RelayFrame::Delivery(Delivery::UpToDate { .. })));
    let next = ada.content(space(1), 1);
    world.send(a, push(space(1), vec![next]));
    world.commit();
    assert_eq!(delivered(&world.take(p)), [(space(1), 2)]);
    phone.cursor = cursor(&frames);
    (phone.fence, phone.next_fence) = (phone.next_fence, 4_000);
    let p = world.connect(&mut phone);
    assert_eq!(delivered(&world.take(p)), [(space(1), 2)]);
}

#[test]
fn a_device_is_told_when_it_is_wrong_about_its_spaces() {
    let mut world = World::new();
    let (mut ada, mut bob) = (Device::new(1), Device::new(2));
    let (a, b) = (world.connect(&mut ada), world.connect(&mut bob));
    for n in [3, 1, 2] {
        let start = vec![ada.found(space(n)), ada.handshake(space(n), 1, vec![add(&bob)])];
        world.send(a, push(space(n), start));
    }
    let out = ada.handshake(space(2), 2, vec![remove(&bob)]);
    world.send(a, push(space(2), vec![out]));
    assert_eq!(world.ask(b, Op::Spaces), Answer::Spaces(vec![space(1), space(3)]));
    assert_eq!(world.ask(a, Op::Spaces), Answer::Spaces(vec![space(1), space(2), space(3)]));
    for (spaces, differ) in [(vec![space(1), space(3)], false), (vec![space(1)], true)] {
        let digest = Blob(membership_digest(&spaces).to_vec());
        let b = greet(&mut world, &mut bob, |hello| hello.digest = digest.clone());
        assert_eq!(welcome(&world.take(b)).spaces_differ, differ);
        (bob.fence, bob.next_fence) = (bob.next_fence, bob.next_fence + 1);
    }
}

#[test]
fn devices_see_when_their_siblings_were_here() {
    let mut world = World::new();
    let mut ada = Device::new(1);
    let a = world.connect(&mut ada);
    let mut phone = world.link(a, &mut ada, 2);
    let start = world.now;
    assert_eq!(world.ask(a, Op::LastSeen), Answer::Seen(vec![(ada.id, start)]));
    let p = world.connect(&mut phone);
    world.now += 5_000;
    world.relay.disconnect(p, world.now);
    world.now += 60_000;
    let mut expected = vec![(ada.id, world.now), (phone.id, start + 5_000)];
    expected.sort();
    assert_eq!(world.ask(a, Op::LastSeen), Answer::Seen(expected.clone()));
    let now = world.now;
    let mut world = world.crash();
    world.now = now;
    let a = world.connect(&mut ada);
    assert_eq!(world.ask(a, Op::LastSeen), Answer::Seen(expected));
}

#[test]
fn devices_hear_which_siblings_sleep_and_let_them_in_when_they_wake() {
    const DAY_MS: u64 = 24 * 3600 * 1000;
    let mut world = World::new();
    let mut ada = Device::new(1);
    let a = world.connect(&mut ada);
    let mut phone = world.link(a, &mut ada, 2);
    world.link(a, &mut ada, 3);
    let p = world.connect(&mut phone);
    let seen = world.now;
    world.relay.disconnect(p, world.now);
    for (days, away) in
        [(20, None), (2, Some(vec![(phone.id, seen)])), (9, Some(vec![(phone.id, seen)]))]
    {
        world.now += days * DAY_MS;
        let a = world.connect(&mut ada);
        assert_eq!(welcome(&world.take(a)).away, away, "{days} days later");
    }
    let p = world.connect(&mut phone);
    assert_eq!(welcome(&world.take(p)).away, None, "who is here is not away");
    let a = world.connect(&mut ada);
    assert_eq!(welcome(&world.take(a)).away, None);
}

fn with_ticket(envelopes: Vec<Blob>, ticket: &[u8]) -> ClientFrame {
    let ticket = Some(Blob(ticket.to_vec()));
    ClientFrame::Push(Push { space: space(1), envelopes, welcomes: None, ticket })
}

#[test]
fn a_ticket_comes_with_the_index_of_its_handshake() {
    let mut world = World::new();
    let (mut ada, mut eve) = (Device::new(1), Device::new(3));
    let (a, e) = (world.connect(&mut ada), world.connect(&mut eve));
    let read = || Op::ReadTicket { space: space(1) };
    let founding = ada.found(space(1));
    world.send(a, push(space(1), vec![founding]));
    assert_eq!(world.ask(a, read()), refused(Rejection::NotFound));
    let commit = vec![ada.content(space(1), 1), ada.handshake(space(1), 1, Vec::new())];
    world.send(a, with_ticket(commit, b"first"));
    let first = Answer::Ticket { ticket: Blob(b"first".to_vec()), index: 2 };
    assert_eq!(world.ask(a, read()), first);
    let without = vec![ada.handshake(space(1), 3, Vec::new())];
    world.send(a, push(space(1), without));
    assert_eq!(world.ask(a, read()), first);
    assert_eq!(world.ask(e, read()), refused(Rejection::Denied));
    let mut world = world.crash();
    let a = world.connect(&mut ada);
    assert_eq!(world.ask(a, read()), first);
}

#[test]
fn what_comes_with_a_handshake_stays_when_a_later_envelope_is_refused() {
    let mut world = World::new();
    let (mut ada, mut bob) = (Device::new(1), Device::new(2));
    let (a, b) = (world.connect(&mut ada), world.connect(&mut bob));
    let founding = ada.found(space(1));
    world.send(a, push(space(1), vec![founding]));
    world.commit();
    world.inboxes.clear();
    let item = Blob(b"way in".to_vec());
    let items = vec![WelcomeFor { account: bob.account, device: bob.id, item }];
    let welcomes = Some(Welcomes { common: Blob(b"for all".to_vec()), items });
    let join = ada.handshake(space(1), 1, vec![add(&bob)]);
    let unseeing = ada.content(space(1), 1);
    let ticket = Some(Blob(b"ticket".to_vec()));
    let envelopes = vec![join, unseeing];
    world.send(a, ClientFrame::Push(Push { space: space(1), envelopes, welcomes, ticket }));
    world.commit();
    let frames = world.take(a);
    assert_eq!(stored(&frames).len(), 1);
    assert_eq!(refusals(&frames), [Rejection::Behind { index: 1 }]);
    let found = Answer::Ticket { ticket: Blob(b"ticket".to_vec()), index: 1 };
    assert_eq!(world.ask(b, Op::ReadTicket { space: space(1) }), found);
    let items = |frame: &RelayFrame| matches!(frame, RelayFrame::Delivery(Delivery::Inbox(_)));
    assert!(world.take(b).iter().any(items));
}

#[test]
fn a_ticket_belongs_to_one_handshake_and_has_a_limit() {
    let mut world = World::new();
    let mut ada = Device::new(1);
    let a = world.connect(&mut ada);
    let founding = ada.found(space(1));
    world.send(a, push(space(1), vec![founding]));
    let content = ada.content(space(1), 1);
    let two = vec![ada.handshake(space(1), 1, Vec::new()), ada.handshake(space(1), 2, Vec::new())];
    world.send(a, with_ticket(vec![content], b"for nothing"));
    world.send(a, with_ticket(two, b"for which?"));
    let one = ada.handshake(space(1), 1, Vec::new());
    world.send(a, with_ticket(vec![one], &vec![1; limits::TICKET + 1]));
    let late = ada.handshake(space(1), 0, Vec::new());
    world.send(a, with_ticket(vec![late], b"of a refused one"));
    world.commit();
    let too_large = Rejection::TooLarge { limit: limits::TICKET as u64 };
    let behind = Rejection::Behind { index: 0 };
    let expected = [Rejection::Invalid, Rejection::Invalid, too_large, behind];
    assert_eq!(refusals(&world.take(a)), expected);
    let answer = world.ask(a, Op::ReadTicket { space: space(1) });
    assert_eq!(answer, refused(Rejection::NotFound));
}

/// Rows that are kept for a device.
fn kept(world: &World, device: &Device) -> Vec<Table> {
    let tables = [Table::Inboxes, Table::KeyPackages, Table::Fences, Table::Frontiers];
    let named = AccountDevice { account: device.account, device: device.id }.to_bytes();
    let durable = world.relay.store().durable();
    let rows = durable.rows();
    let own = rows
        .into_iter()
        .filter(|(table, key, _)| tables.contains(table) && key.starts_with(&named));
    own.map(|(table, ..)| table).collect()
}

#[test]
fn nothing_is_kept_for_a_revoked_device_and_nothing_of_it_is_given_out() {
    let mut world = World::new();
    let (mut ada, mut bob) = (Device::new(1), Device::new(2));
    let (a, b) = (world.connect(&mut ada), world.connect(&mut bob));
    let mut phone = world.link(a, &mut ada, 2);
    let p = world.connect(&mut phone);
    let once = vec![Blob(vec![1; 40]), Blob(vec![2; 40])];
    let packages = KeyPackages { once, last_resort: Some(Blob(vec![3; 40])) };
    assert_eq!(world.ask(p, Op::PutKeyPackages(packages)), Answer::Done);
    for _ in 0..3 {
        let put = InboxPut { account: phone.account, device: phone.id, item: Blob(vec![9]) };
        assert_eq!(world.ask(b, Op::PutInbox(put)), Answer::Done);
    }
    world.ask(p, Op::AckInbox { number: 1 });
    world.relay.disconnect(p, world.now);
    world.commit();
    assert_eq!(kept(&world, &phone).len(), 7);
    let p = world.connect(&mut phone);
    world.revoke(a, &mut ada, phone.id);
    assert_eq!(world.closed[&p], Rejection::Revoked);
    assert_eq!(kept(&world, &phone), []);
    let take = Op::TakeKeyPackages { account: ada.account };
    assert_eq!(world.ask(b, take), Answer::KeyPackages(Vec::new()));
    let put = InboxPut { account: phone.account, device: phone.id, item: Blob(vec![9]) };
    assert_eq!(world.ask(b, Op::PutInbox(put)), refused(Rejection::NotFound));
    let again = world.hello(&phone);
    assert_eq!(world.closed[&again], Rejection::Revoked);
    assert_eq!(kept(&world, &phone), []);
}

#[test]
fn a_revoked_device_pushes_nothing_into_its_accounts_space() {
    let mut world = World::new();
    let mut ada = Device::new(1);
    let a = world.connect(&mut ada);
    let mut phone = world.link(a, &mut ada, 2);
    let p = world.connect(&mut phone);
    let own = ada.account.space();
    let founding = ada.found(own);
    world.send(a, push(own, vec![founding]));
    let before = phone.content(own, 1);
    world.send(p, push(own, vec![before]));
    world.commit();
    let end = ada.revoke(phone.id);
    let op = Op::AppendLog { index: 2, entry: end, rendezvous: None };
    world.send(a, ClientFrame::Request(Request { id: 1, op }));
    let after = phone.content(own, 1);
    world.send(p, push(own, vec![after]));
    world.commit();
    assert_eq!(world.closed[&p], Rejection::Revoked);
    world.inboxes.clear();
    let fetch = Op::Fetch { space: own, from: 0, to: u64::MAX };
    assert_eq!(world.ask(a, fetch), Answer::Done);
    assert_eq!(delivered(&world.take(a)), [(own, 0), (own, 1)]);
}

#[test]
fn a_device_takes_the_key_packages_of_its_siblings_not_its_own() {
    let mut world = World::new();
    let mut ada = Device::new(1);
    let a = world.connect(&mut ada);
    let mut phone = world.link(a, &mut ada, 2);
    let p = world.connect(&mut phone);
    for (session, byte) in [(a, 1), (p, 2)] {
        let packages = KeyPackages { once: vec![Blob(vec![byte; 40])], last_resort: None };
        assert_eq!(world.ask(session, Op::PutKeyPackages(packages)), Answer::Done);
    }
    let take = Op::TakeKeyPackages { account: ada.account };
    let Answer::KeyPackages(taken) = world.ask(a, take) else { panic!("no packages") };
    assert_eq!((taken.len(), taken[0].device), (1, phone.id));
    assert_eq!(world.ask(a, Op::CountKeyPackages), Answer::Count(1));
}

#[test]
fn key_packages_of_a_store_that_may_be_gone_are_given_to_nobody() {
    let mut world = World::new();
    let mut ada = Device::new(1);
    let published = |world: &mut World, ada: &mut Device| {
        let session = world.connect(ada);
        let Answer::Count(count) = world.ask(session, Op::CountKeyPackages) else { panic!() };
        let packages = KeyPackages { once: vec![Blob(vec![1; 40])], last_resort: None };
        assert_eq!(world.ask(session, Op::PutKeyPackages(packages)), Answer::Done);
        count
    };
    assert_eq!(published(&mut world, &mut ada), 0);
    assert_eq!(published(&mut world, &mut ada), 1, "the store that published them");
    let before = (ada.fence, ada.next_fence);
    published(&mut world, &mut ada);
    // Put back to before its last welcome: as if that had been lost.
    (ada.fence, ada.next_fence) = before;
    assert_eq!(published(&mut world, &mut ada), 0);
    ada.incarnation += 1;
    assert_eq!(published(&mut world, &mut ada), 0, "a new writer");
}

#[test]
fn recovery_opens_a_session_ends_all_others_and_tells_the_contacts() {
    let mut world = World::new();
    let (mut ada, mut bob) = (Device::new(1), Device::new(2));
    let (a, b) = (world.connect(&mut ada), world.connect(&mut bob));
    let mut phone = world.link(a, &mut ada, 2);
    let p = world.connect(&mut phone);
    let start = vec![ada.found(space(1)), ada.handshake(space(1), 1, vec![add(&bob)])];
    world.send(a, push(space(1), start));
    world.commit();
    world.take(b);
    let mut found = ada.recover(1, 8);
    let session = world.connect(&mut found);
    assert_eq!(welcome(&world.take(session)).log_len, 3);
    assert_eq!((&world.closed[&a], &world.closed[&p]), (&Rejection::Revoked, &Rejection::Revoked));
    let changed = RelayFrame::Notice(Notice::LogChanged { account: ada.account, len: 3 });
    assert!(world.take(b).contains(&changed));
    assert_eq!(kept(&world, &ada), []);
    let again = world.hello(&ada);
    assert_eq!(world.closed[&again], Rejection::Revoked);
}

#[test]
fn a_recovery_that_lost_a_race_reads_the_log_again() {
    let mut world = World::new();
    let mut ada = Device::new(1);
    let a = world.connect(&mut ada);
    let late = ada.recover(1, 8);
    let phone = world.link(a, &mut ada, 2);
    let lost = world.hello(&late);
    assert_eq!(world.closed[&lost], Rejection::Taken);
    assert!(world.relay.is_open(a));
    let mut stale = phone;
    stale.log = late.log.clone();
    let known = world.hello(&stale);
    assert!(world.relay.is_open(known));
    let mut found = ada.recover(1, 8);
    world.connect(&mut found);
    assert_eq!(world.closed[&a], Rejection::Revoked);
    let mut silent = Device::new(1).recover(1, 9);
    silent.log.clear();
    let nobody = world.hello(&silent);
    // It is to tell its log, should the relay have lost it.
    assert_eq!(world.closed[&nobody], Rejection::NotFound);
}

#[test]
fn an_account_invites_so_many_an_hour() {
    let settings = Settings { invitations_per_hour: 3, ..Settings::default() };
    let mut world = World::over(MemoryStore::new(), settings);
    let mut ada = Device::new(1);
    let a = world.connect(&mut ada);
    let people: Vec<_> = (10..16).map(Device::new).collect();
    for mut person in (10..16).map(Device::new) {
        world.connect(&mut person);
    }
    let founding = ada.found(space(1));
    world.send(a, push(space(1), vec![founding]));
    let two = ada.handshake(space(1), 1, people[..2].iter().map(add).collect());
    world.send(a, push(space(1), vec![two]));
    world.take(a);
    let unseeing = ada.handshake(space(1), 0, vec![add(&people[2])]);
    world.send(a, push(space(1), vec![unseeing]));
    let both = vec![
        ada.handshake(space(1), 2, vec![add(&people[2])]),
        ada.handshake(space(1), 3, vec![add(&people[3])]),
    ];
    world.send(a, push(space(1), both));
    world.commit();
    let slow = Rejection::Rate { retry_ms: 20 * 60 * 1000 };
    let frames = world.take(a);
    assert_eq!(refusals(&frames), [Rejection::Behind { index: 1 }, slow]);
    world.now += 20 * 60 * 1000;
    let fourth = ada.handshake(space(1), 3, vec![add(&people[3])]);
    world.send(a, push(space(1), vec![fourth]));
    let renewed = ada.handshake(space(1), 4, Vec::new());
    world.send(a, push(space(1), vec![renewed]));
    world.commit();
    assert_eq!(refusals(&world.take(a)), []);
}

/// What a device is given of the account's documents is as of the author's cursor.
#[test]
fn who_lets_a_device_into_the_account_has_read_everything_in_its_space() {
    let mut world = World::new();
    let mut ada = Device::new(1);
    let own = ada.account.space();
    let a = world.connect(&mut ada);
    let mut phone = world.link(a, &mut ada, 2);
    let mut tablet = world.link(a, &mut ada, 3);
    let p = world.connect(&mut phone);
    let start = vec![ada.found(own), ada.handshake(own, 1, vec![join(&phone)])];
    world.send(a, push(own, start));
    let setting = phone.content(own, 2);
    world.send(p, push(own, vec![setting]));
    world.commit();
    assert_eq!(stored(&world.take(p)).len(), 1);
    world.take(a);
    let unread = ada.handshake(own, 2, vec![join(&tablet)]);
    world.send(a, push(own, vec![unread]));
    world.commit();
    let frames = world.take(a);
    assert_eq!(refusals(&frames), [Rejection::Behind { index: 2 }]);
    assert!(stored(&frames).is_empty());
    let read = ada.handshake(own, 3, vec![join(&tablet)]);
    world.send(a, push(own, vec![read]));
    world.commit();
    assert_eq!(stored(&world.take(a))[0].index, 3);
    // One that lets itself in has its ticket, and is given nothing.
    let t = world.connect(&mut tablet);
    let setting = phone.content(own, 4);
    world.send(p, push(own, vec![setting]));
    world.take(t);
    let itself = tablet.handshake(own, 4, vec![join(&tablet)]);
    world.send(t, push(own, vec![itself]));
    world.commit();
    assert_eq!(stored(&world.take(t)).len(), 1);
}
