//! Requests and their limits.

use sync_protocol::codec::Blob;
use sync_protocol::error::Rejection;
use sync_protocol::frames::{Answer, ClientFrame, InboxPut, KeyPackages, Notice, Op, RelayFrame};
use sync_protocol::frames::{Delivery, Request};
use sync_protocol::limits;
use sync_server::relay::Settings;
use sync_server::store::MemoryStore;

use crate::support::{Device, add, push, remove, space};
use crate::world::{World, delivered};

fn blobs(count: u8) -> Vec<Blob> {
    (0..count).map(|n| Blob(vec![n; 40])).collect()
}

#[test]
fn an_address_belongs_to_who_claimed_it_first() {
    let mut world = World::new();
    let (mut ada, mut bob) = (Device::new(1), Device::new(2));
    let (a, b) = (world.connect(&mut ada), world.connect(&mut bob));
    let address = "ada".parse::<sync_protocol::address::Address>().unwrap();
    let claim = Op::ClaimAddress { address: address.clone() };
    assert_eq!(world.ask(b, Op::Lookup { address: address.clone() }), refused(Rejection::NotFound));
    assert_eq!(world.ask(a, claim.clone()), Answer::Done);
    assert_eq!(world.ask(a, claim.clone()), Answer::Done);
    assert_eq!(world.ask(b, claim), refused(Rejection::Taken));
    let found = world.ask(b, Op::Lookup { address });
    assert_eq!(found, Answer::Log { account: ada.account, from: 0, entries: ada.log.clone() });
    for n in 0..7 {
        let address = format!("ada-{n}").parse().unwrap();
        assert_eq!(world.ask(a, Op::ClaimAddress { address }), Answer::Done);
    }
    let one_more = "ada-too-many".parse().unwrap();
    let answer = world.ask(a, Op::ClaimAddress { address: one_more });
    assert_eq!(answer, refused(Rejection::Quota));
}

fn refused(reason: Rejection) -> Answer {
    Answer::Refused(reason)
}

#[test]
fn a_key_package_is_given_out_once_and_the_last_resort_always() {
    let mut world = World::new();
    let (mut ada, mut bob) = (Device::new(1), Device::new(2));
    let (a, b) = (world.connect(&mut ada), world.connect(&mut bob));
    let packages = KeyPackages { once: blobs(2), last_resort: Some(Blob(b"last resort".to_vec())) };
    assert_eq!(world.ask(a, Op::PutKeyPackages(packages)), Answer::Done);
    assert_eq!(world.ask(a, Op::CountKeyPackages), Answer::Count(2));
    world.take(a);
    let mut taken = Vec::new();
    for _ in 0..4 {
        match world.ask(b, Op::TakeKeyPackages { account: ada.account }) {
            Answer::KeyPackages(given) => taken.push(given[0].package.0.clone()),
            other => panic!("{other:?}"),
        }
    }
    let last = b"last resort".to_vec();
    assert_eq!(taken, [vec![0; 40], vec![1; 40], last.clone(), last]);
    let low = RelayFrame::Notice(Notice::KeyPackagesLow { left: 0 });
    assert!(world.take(a).contains(&low));
    for _ in 0..2 {
        let packages = KeyPackages { once: blobs(50), last_resort: None };
        assert_eq!(world.ask(a, Op::PutKeyPackages(packages)), Answer::Done);
    }
    let more = KeyPackages { once: blobs(1), last_resort: None };
    assert_eq!(world.ask(a, Op::PutKeyPackages(more)), refused(Rejection::Quota));
}

#[test]
fn takes_are_limited_for_each_account() {
    let settings = Settings { takes_per_s: 1, ..Settings::default() };
    let mut world = World::over(MemoryStore::new(), settings);
    let (mut ada, mut bob) = (Device::new(1), Device::new(2));
    world.connect(&mut ada);
    let b = world.connect(&mut bob);
    let take = || Op::TakeKeyPackages { account: ada.account };
    let answers: Vec<_> = (0..20).map(|_| world.ask(b, take())).collect();
    let limited = answers.iter().filter(|a| matches!(a, Answer::Refused(Rejection::Rate { .. })));
    assert_eq!(limited.count(), 10);
    world.now += 1_000;
    assert_eq!(world.ask(b, take()), Answer::KeyPackages(Vec::new()));
}

#[test]
fn inbox_items_come_in_order_until_they_are_acknowledged() {
    let mut world = World::new();
    let (mut ada, mut bob) = (Device::new(1), Device::new(2));
    let (a, mut b) = (world.connect(&mut ada), world.connect(&mut bob));
    for item in blobs(3) {
        let put = InboxPut { account: bob.account, device: bob.id, item };
        assert_eq!(world.ask(a, Op::PutInbox(put)), Answer::Done);
    }
    assert_eq!(numbers(&world.take(b)), [1, 2, 3]);
    assert_eq!(world.ask(b, Op::AckInbox { number: 2 }), Answer::Done);
    assert_eq!(world.ask(b, Op::AckInbox { number: 1 }), Answer::Done);
    b = world.connect(&mut bob);
    assert_eq!(numbers(&world.take(b)), [3]);
    world.ask(b, Op::AckInbox { number: u64::MAX });
    let mut world = world.crash();
    b = world.connect(&mut bob);
    assert!(numbers(&world.take(b)).is_empty());
    let a = world.connect(&mut ada);
    let stranger = Device::new(9);
    let put = InboxPut { account: stranger.account, device: stranger.id, item: Blob(vec![1]) };
    assert_eq!(world.ask(a, Op::PutInbox(put)), refused(Rejection::NotFound));
}

fn numbers(frames: &[RelayFrame]) -> Vec<u64> {
    let mut all = Vec::new();
    for frame in frames {
        if let RelayFrame::Delivery(Delivery::Inbox(items)) = frame {
            all.extend(items.iter().map(|item| item.number));
        }
    }
    all
}

#[test]
fn an_inbox_that_is_full_takes_no_more() {
    let settings = Settings { inbox_puts_per_s: 0, requests_per_s: 0, ..Settings::default() };
    let mut world = World::over(MemoryStore::new(), settings);
    let mut bob = Device::new(1);
    let b = world.connect(&mut bob);
    let of_one = limits::INBOX_ITEMS_OF_ONE as u64;
    let put = |id| {
        let put = InboxPut { account: bob.account, device: bob.id, item: Blob(vec![1]) };
        ClientFrame::Request(Request { id, op: Op::PutInbox(put) })
    };
    let mut full = 0;
    // What anybody may put there; a part is kept for ways in.
    for n in 0..=(limits::INBOX_ITEMS - limits::INBOX_RESERVE) as u64 / of_one {
        let mut sender = Device::new(n + 10);
        let session = world.connect(&mut sender);
        (0..of_one).for_each(|id| world.send(session, put(id)));
        world.commit();
        let frames = world.take(session);
        full += frames
            .iter()
            .filter(|frame| matches!(frame, RelayFrame::Reply(reply) if reply.answer == refused(Rejection::Quota)))
            .count();
    }
    assert_eq!(full, limits::INBOX_ITEMS_OF_ONE);
    world.take(b);
}

#[test]
fn members_fetch_all_former_members_up_to_their_end_strangers_nothing() {
    let mut world = World::new();
    let (mut ada, mut bob, mut eve) = (Device::new(1), Device::new(2), Device::new(3));
    let (a, b, e) = (world.connect(&mut ada), world.connect(&mut bob), world.connect(&mut eve));
    let all = vec![
        ada.found(space(1)),
        ada.handshake(space(1), 1, vec![add(&bob)]),
        ada.handshake(space(1), 2, vec![remove(&bob)]),
        ada.content(space(1), 3),
    ];
    world.send(a, push(space(1), all));
    world.commit();
    world.inboxes.clear();
    let fetch = |from| Op::Fetch { space: space(1), from, to: u64::MAX };
    assert_eq!(world.ask(a, fetch(0)), Answer::Done);
    assert_eq!(delivered(&world.take(a)).len(), 4);
    assert_eq!(world.ask(b, fetch(0)), Answer::Done);
    assert_eq!(delivered(&world.take(b)).len(), 3);
    assert_eq!(world.ask(e, fetch(0)), refused(Rejection::Denied));
    assert_eq!(world.ask(a, fetch(u64::MAX)), Answer::Done);
    let nowhere = Op::Fetch { space: space(5), from: 0, to: 1 };
    assert_eq!(world.ask(a, nowhere), refused(Rejection::NotFound));
}

#[test]
fn a_log_entry_that_does_not_follow_changes_nothing() {
    let mut world = World::new();
    let mut ada = Device::new(1);
    let a = world.connect(&mut ada);
    let (_, entry) = ada.link(2);
    let (_, forged) = Device::new(3).link(4);
    let wrong = Op::AppendLog { index: 1, entry: forged, rendezvous: None };
    assert_eq!(world.ask(a, wrong), refused(Rejection::Invalid));
    let late = Op::AppendLog { index: 0, entry: entry.clone(), rendezvous: None };
    assert_eq!(world.ask(a, late), refused(Rejection::Taken));
    assert_eq!(
        world.ask(a, Op::AppendLog { index: 1, entry: entry.clone(), rendezvous: None }),
        Answer::Done
    );
    let account = ada.account;
    let answer = world.ask(a, Op::ReadLog { account, from: 1 });
    assert_eq!(answer, Answer::Log { account, from: 1, entries: vec![entry] });
    let changed = RelayFrame::Notice(Notice::LogChanged { account, len: 2 });
    assert!(world.take(a).contains(&changed));
}
