//! Intents in a log that is read from its start.

#![allow(clippy::unwrap_used)]

use sync_protocol::WriterId;
use sync_protocol::envelope::{Header, Kind};
use sync_protocol::signing::SigningKey;

use super::*;

const SPACE: SpaceId = SpaceId::from_bytes([1; 32]);
const EPOCH: EpochId = EpochId::from_bytes([2; 32]);

fn key(n: u8) -> SigningKey {
    SigningKey::from_bytes(&[n; 32])
}

fn writer(n: u8) -> WriterId {
    WriterId {
        device: DeviceId::of_signing_key(&key(n).verifying_key().to_bytes()),
        incarnation: 1,
    }
}

fn account(n: u8) -> AccountId {
    AccountId::of_root_key(&key(n).verifying_key().to_bytes())
}

/// Somebody's wish to leave, in an epoch, at a place of the log.
fn wish(n: u8, signer: u8, epoch: EpochId, index: u64) -> Arrived {
    let mut header = Header::new(Kind::Intent, epoch, index);
    header.intent = Some(Intent::Leave);
    let envelope = Envelope::sign(&SPACE, &writer(n), header, Vec::new(), &key(signer));
    Arrived { index, time_ms: 0, writer: writer(n), envelope }
}

/// A log that was read so far that nobody is known to have been in it.
fn reading() -> Core {
    let mut core = Core::default();
    core.state.lineage = Some(Lineage::default());
    core
}

/// From an index on somebody could write.
fn comes(core: &mut Core, n: u8, from: u64) {
    core.state.writers.push(WriterRow {
        device: writer(n).device,
        account: account(n),
        key: key(n).verifying_key().to_bytes(),
        from,
        to: None,
    });
}

fn leavers(core: &Core) -> Vec<AccountId> {
    core.state.leavers.iter().map(|(account, _)| *account).collect()
}

#[test]
fn an_intent_counts_once_it_is_known_who_could_write_there() {
    let mut core = reading();
    core.note_wish(&wish(3, 3, EPOCH, 5));
    assert_eq!(leavers(&core), []);
    comes(&mut core, 3, 0);
    core.take_wishes(&SPACE, &EPOCH, 9, None);
    assert_eq!(leavers(&core), [account(3)]);
}

#[test]
fn an_intent_is_judged_by_its_own_place_and_epoch() {
    let mut core = reading();
    comes(&mut core, 3, 0);
    comes(&mut core, 4, 6);
    core.note_wish(&wish(3, 3, EpochId::from_bytes([7; 32]), 2));
    core.note_wish(&wish(3, 4, EPOCH, 3));
    core.note_wish(&wish(4, 4, EPOCH, 5));
    core.take_wishes(&SPACE, &EPOCH, 9, None);
    assert_eq!(leavers(&core), [], "of another epoch, not signed, and before it came in");
}

#[test]
fn what_stands_behind_the_line_waits_for_the_next() {
    let mut core = reading();
    comes(&mut core, 3, 0);
    core.note_wish(&wish(3, 3, EPOCH, 5));
    core.take_wishes(&SPACE, &EPOCH, 5, None);
    assert_eq!(leavers(&core), []);
    core.take_wishes(&SPACE, &EPOCH, 6, None);
    assert_eq!(leavers(&core), [account(3)]);
}

/// A handshake that leads from one epoch to another, and removes somebody.
fn step(parent: EpochId, child: EpochId, index: u64, removed: Option<u8>) -> Ancestor {
    let removed = removed.map(|n| RosterChange::Remove { account: account(n) });
    let roster = removed.into_iter().collect();
    Ancestor { child, parent, number: index, index, roster, logs: Vec::new() }
}

#[test]
fn who_has_not_read_the_beginning_judges_each_intent_by_the_epoch_of_its_place() {
    let [then, now, void] = [7, 8, 9].map(|n| EpochId::from_bytes([n; 32]));
    let mut core = Core::default();
    for n in [3, 4, 5] {
        comes(&mut core, n, 1);
    }
    core.note_wish(&wish(3, 3, EPOCH, 2));
    core.note_wish(&wish(4, 4, EPOCH, 3));
    // Nobody follows this one.
    core.state.since.see(step(EPOCH, void, 4, Some(3)));
    core.state.since.see(step(EPOCH, then, 5, Some(4)));
    // A copy of an old wish.
    core.note_wish(&wish(5, 5, EPOCH, 6));
    core.state.since.see(step(then, now, 7, None));
    core.take_wishes_to(&SPACE, &now, None);
    assert_eq!(leavers(&core), [account(3)]);
}

#[test]
fn an_own_intent_of_the_past_is_none() {
    let mut core = reading();
    comes(&mut core, 3, 0);
    core.note_wish(&wish(3, 3, EPOCH, 5));
    core.take_wishes(&SPACE, &EPOCH, 9, Some(account(3)));
    assert_eq!(leavers(&core), []);
}

#[test]
fn a_flood_of_intents_is_bounded() {
    let mut core = reading();
    for index in 0..(WISHES as u64 + 5) {
        core.note_wish(&wish(3, 3, EPOCH, index));
    }
    assert_eq!(core.state.wishes.len(), WISHES);
}
