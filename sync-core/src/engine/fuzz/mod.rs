//! What a fuzzer does to everything here that reads others' bytes. Built for tests, which go through
//! all that was kept, and for `cargo xtask fuzz`.

#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::missing_panics_doc)]

mod changes;
#[path = "../../../../fuzz/kit.rs"]
mod kit;
mod linking;
#[cfg(all(test, not(target_family = "wasm")))]
mod seeds;

use kit::{Target, reads_again, reads_exactly};
use rand_core::SeedableRng;
use sync_protocol::device_log::DeviceLog;
use sync_protocol::roster::Roster;
use sync_protocol::signing::{Signed, SigningKey};
use sync_protocol::{AccountId, DeviceId, SpaceId, codec};

use crate::document::Name;
use crate::engine::linking::link::{Channel, Invite, Offer, Onward, Reply};
use crate::engine::members::welcome::{Common, Invitation};
use crate::engine::rows::{
    AccountRow, Anchor, CutRow, EpochRow, Grant, GuestRow, JournalRow, PendingRow, PersonRow,
    SealedCommit, SessionRow, SpaceRow, StateRow, Ticket, TicketBody, VaultEpoch, WriterRow,
};
use crate::engine::space::change_set::ChangeSet;
use crate::engine::space::doubted::DoubtedRow;
use crate::engine::{Engine, seal};
use crate::group::{Context, Group, Identity, new_key_package, read_key_package};
use crate::records::{Records, key};
use crate::trust::logs::KnownLog;
use crate::trust::safety::Shown;

/// All targets of this crate.
pub const TARGETS: [Target; 6] = [
    ("link_words", link_words),
    ("linking", linking::run),
    ("ways_in", ways_in),
    ("change_sets", change_sets),
    ("changes", changes::run),
    ("rows", rows),
];

const SPACE: [u8; 32] = [9; 32];

fn rng(seed: u8) -> rand_chacha::ChaCha20Rng {
    rand_chacha::ChaCha20Rng::from_seed([seed; 32])
}

/// What is scanned, and what two devices say while one is linked.
pub fn link_words(data: &[u8]) {
    let Some((&kind, bytes)) = data.split_first() else { return };
    match kind % 6 {
        0 => {
            let Ok(text) = std::str::from_utf8(bytes) else { return };
            if let Ok(offer) = Offer::parse(text) {
                let bare: String = text.split_whitespace().collect();
                assert_eq!(offer.to_text(), bare.to_ascii_uppercase(), "one spelling");
                // Whoever scans it may begin to talk, or can't; the key may be anybody's.
                let invite = linking::invite(1);
                let _ = Channel::host(&offer, &invite, &mut rng(1)).is_ok();
            }
        }
        1 => drop(reads_exactly::<Invite>(bytes)),
        2 => drop(reads_exactly::<Reply>(bytes)),
        3 => drop(reads_exactly::<Onward>(bytes)),
        4 => {
            let Ok(text) = std::str::from_utf8(bytes) else { return };
            if let Ok(shown) = Shown::parse(text) {
                let bare: String = text.split_whitespace().collect();
                assert_eq!(shown.to_text(), bare.to_ascii_uppercase(), "one spelling");
            }
        }
        _ => {
            let (offer, secret) = linking::offer(3);
            assert!(Channel::guest(&offer, &secret, bytes).is_err(), "nobody else opens a talk");
        }
    }
}

/// What lets a device in, as it lies at a relay or in a seal, and what goes along.
pub fn ways_in(data: &[u8]) {
    let Some((&kind, bytes)) = data.split_first() else { return };
    match kind % 16 {
        0 => {
            let signed = reads_again::<Signed<Ticket>>(bytes);
            drop(signed.map(|signed| signed.peek("ticket").map(|ticket| codec::encode(&ticket))));
        }
        1 => drop(reads_exactly::<Ticket>(bytes)),
        2 => drop(reads_exactly::<TicketBody>(bytes)),
        3 => drop(reads_exactly::<Grant>(bytes)),
        4 => drop(reads_exactly::<Invitation>(bytes)),
        5 => drop(reads_exactly::<Common>(bytes)),
        6 => drop(reads_exactly::<SealedCommit>(bytes)),
        7 => drop(reads_exactly::<Context>(bytes)),
        8 => drop(reads_exactly::<KnownLog>(bytes)),
        9 => {
            let _ = (reads_again::<VaultEpoch>(bytes), reads_again::<Anchor>(bytes));
        }
        10 => drop(read_key_package(bytes)),
        11 => {
            let device = DeviceId::of_signing_key(&[1; 32]);
            let _ = (Group::binding_of(bytes), Group::info_era(bytes));
            let _ = Group::info_names(bytes, &device);
        }
        12 => {
            let mut group = group();
            let before = group.epoch();
            assert!(group.read_commit(bytes).is_err(), "nobody but a member commits");
            assert_eq!(group.epoch(), before);
        }
        13 => {
            let space = SpaceId::from_bytes(SPACE);
            let (_, packages) = package();
            drop(Group::join(space, bytes, &packages, [2; 32]));
        }
        14 => {
            let (identity, space) = (identity(2), SpaceId::from_bytes(SPACE));
            let entered = Group::enter(&identity, space, bytes, b"", [2; 32]);
            if let Ok(entered) = entered {
                assert!(
                    entered.group.contains(&DeviceId::of_signing_key(
                        &identity.signing.verifying_key().to_bytes()
                    )),
                    "who enters is in"
                );
            }
        }
        _ => {
            let account = AccountId::of_root_key(&[1; 32]);
            assert!(DeviceLog::verify(&account, &[bytes]).is_err(), "a root key is nobody's");
            assert!(seal::open_from(&[7; 32], b"grant", bytes).is_err());
        }
    }
}

fn identity(n: u8) -> Identity {
    Identity::new(AccountId::of_root_key(&[n; 32]), SigningKey::from_bytes(&[n; 32]))
}

/// A key package of somebody's device, and what it keeps of it.
fn package() -> (Vec<u8>, Records) {
    let made = new_key_package(&identity(2), [3; 32], false).expect("anybody makes one");
    let mut records = Records::new();
    made.records.apply_to(&mut records);
    (made.bytes, records)
}

fn group() -> Group {
    let identity = identity(1);
    let context = Context {
        min_version: 1,
        title: "t".into(),
        roster: Roster::founded_by(identity.account),
        era: 0,
    };
    Group::create(&identity, SpaceId::from_bytes(SPACE), &context, [1; 32])
        .expect("anybody founds a group")
}

/// What a seal holds: a change set, packed or not.
pub fn change_sets(data: &[u8]) {
    if let Ok((set, seen)) = ChangeSet::from_plaintext(data) {
        let again = ChangeSet::from_plaintext(&set.to_plaintext(seen.clone()));
        assert_eq!(again, Ok((set.clone(), seen)), "what was read is read again");
        let _ = set.commitment();
        for item in &set.items {
            named(&item.name);
            item.changes.iter().for_each(|change| {
                drop(crate::document::posted(change.as_slice(), &[0; 6]));
            });
        }
    }
    if let Some(name) = reads_exactly::<Name>(data) {
        named(&name);
    }
}

fn named(name: &Name) {
    assert_eq!(name.to_string().parse::<Name>().as_ref(), Ok(name), "a name survives its text");
}

/// A store that somebody spoilt: it opens or says that it does not.
pub fn rows(data: &[u8]) {
    let Some((&kind, bytes)) = data.split_first() else { return };
    let _ = (reads_again::<CutRow>(bytes), reads_again::<JournalRow>(bytes));
    let _ = (reads_again::<PendingRow>(bytes), reads_again::<DoubtedRow>(bytes));
    let _ = (reads_again::<EpochRow>(bytes), reads_again::<WriterRow>(bytes));
    let _ = (reads_again::<StateRow>(bytes), reads_again::<SpaceRow>(bytes));
    let _ = (reads_again::<PersonRow>(bytes), reads_again::<SessionRow>(bytes));
    let _ = (reads_again::<AccountRow>(bytes), reads_again::<GuestRow>(bytes));
    let space = SpaceId::from_bytes(SPACE);
    let name = match kind % 6 {
        0 => key::meta("account"),
        1 => key::meta("session"),
        2 => key::meta("guest"),
        3 => [b"x", space.as_bytes().as_slice()].concat(),
        4 => [b"x", bytes.get(..5).unwrap_or_default()].concat(),
        _ => key::meta("packages"),
    };
    drop(Engine::open([5; 32], 0, Records::from([(name, bytes.to_vec())])));
    // Of a group: its records, one of them spoilt.
    let group = &mut group();
    let mut records = Records::new();
    group.diff().apply_to(&mut records);
    let at = usize::from(kind) % records.len().max(1);
    if let Some(value) = records.values_mut().nth(at) {
        bytes.clone_into(value);
    }
    drop(Group::load(space, records));
}

#[cfg(all(test, not(target_family = "wasm")))]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_of_fuzzing_still_holds() {
        seeds::all();
        kit::replay(&TARGETS);
    }
}
