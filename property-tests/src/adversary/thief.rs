//! A thief with one of somebody's devices: until the owner ends it, it has the device in hand; after
//! that it has what it copied last.

use automerge::legacy::Key;
use data_encoding::HEXLOWER;
use minicbor::Encode;
use sync_core::document::{Edit, Name};
use sync_protocol::codec::{self, Blob};
use sync_protocol::device_log::{Action, LogEntry, sign_entry};
use sync_protocol::frames::Op;
use sync_protocol::hash::{self, Domain};
use sync_protocol::ids::LogHead;
use sync_protocol::{EpochId, SpaceId};

use super::Deed;
use super::cheat::{Cheat, Keys, reads};
use super::forge::{Set, rebuilt};
use super::member::session_of;
use super::tricks::{Hand, TRICKS};
use super::ways_in::{EpochRow, epochs};
use crate::chance::Chance;
use crate::violation::Violation;
use crate::world::World;

/// What only a thief does, beside the tricks.
const OWN: [(u64, Deed); 4] =
    [(40, Deed::Posts), (14, Deed::PoisonsVault), (4, Deed::ForksLog), (5, Deed::OwnerEnds)];

/// A thief.
#[derive(Debug, Default)]
pub(super) struct Thief {
    device: Option<usize>,
    /// Where the copy lies: a device of the world that is never switched on.
    copy: Option<usize>,
    cheat: Option<Cheat>,
    chains: u64,
}

/// What the vault keeps of an epoch.
#[derive(Encode)]
#[cbor(map)]
struct VaultEpoch {
    #[n(0)]
    epoch: EpochRow,
}

impl Thief {
    /// This device is stolen.
    pub(super) fn of(device: Option<usize>) -> Self {
        Self { device, ..Self::default() }
    }

    /// Which device was stolen.
    pub(super) fn device(&self) -> Option<usize> {
        self.device
    }

    /// What others must know of it while it acts.
    pub(super) fn shadow(&self) -> Self {
        Self { device: self.device, copy: self.copy, ..Self::default() }
    }

    /// Does something.
    pub(super) fn act(&mut self, world: &mut World, chance: &mut Chance) -> Result<(), Violation> {
        let Some(device) = self.device else { return Ok(()) };
        let ended = world.is_ended(device);
        if !ended {
            self.copy = Some(world.copy_disk(device, self.copy));
        }
        let Some(copy) = self.copy else { return Ok(()) };
        let own = match Keys::found(world, copy) {
            Some(keys) => keys.account.space(),
            None => return Ok(()),
        };
        let deed = match chance.weighted(&OWN) {
            Deed::Posts => chance.weighted(&TRICKS),
            deed => deed,
        };
        if deed == Deed::OwnerEnds {
            if !ended {
                world.adversary_mut().did(deed);
                world.owner_ends(device)?;
            }
            return Ok(());
        }
        let spaces = world.kept_spaces(copy);
        let space = match (deed, chance.one_in(4)) {
            (Deed::PoisonsVault | Deed::ForksLog, _) | (_, true) => own,
            _ => chance.pick(&spaces).copied().unwrap_or(own),
        };
        // What it writes in conversations before it is ended is in its account's name.
        let may = !ended && space != own;
        self.cheat = session_of(self.cheat.take(), world, copy, &mut self.chains)?;
        if ended {
            world.adversary_mut().did(Deed::ComesBack);
        }
        let Some(cheat) = &mut self.cheat else {
            return Ok(());
        };
        let done = match deed {
            Deed::PoisonsVault => {
                let mut hand = Hand { world, cheat, space, chance, may };
                poisons(&mut hand)?
            }
            Deed::ForksLog => forks_log(world, cheat, chance)?,
            // Whoever then brings the account back finds no other way in
            // (`docs/threat-model.md`, "What is not promised").
            Deed::ForksTicket if space == own => false,
            // Its own space has no messages.
            Deed::Posts | Deed::PostsAside | Deed::PostsTwice | Deed::ReadsAhead
                if space == own =>
            {
                false
            }
            deed => Hand { world, cheat, space, chance, may }.does(deed)?,
        };
        if done {
            world.adversary_mut().did(deed);
            world.tell_lie(&format!("the thief of device {device} {}", deed.words()));
        }
        Ok(())
    }
}

/// A key as the vault has it: it names its value.
fn key(prefix: &str, value: &[u8]) -> String {
    let name = hash::hash(Domain::new("rejoinder vault entry v1"), &[value]);
    format!("{prefix}/{}", HEXLOWER.encode(&name[..16]))
}

/// Entries that look well, and say what is not so.
fn poisons(hand: &mut Hand<'_>) -> Result<bool, Violation> {
    let copy = hand.cheat.device;
    if !reads(hand.world, copy, hand.space) {
        return Ok(false);
    }
    let spaces = hand.world.kept_spaces(copy);
    let Some(of) = hand.chance.pick(&spaces).copied() else { return Ok(false) };
    let real = epochs(hand.world, copy, of);
    let (prefix, value) = match hand.chance.below(5) {
        0 => ("join/00".to_owned(), hand.chance.bytes().to_vec()),
        1 => epoch_that_never_was(of, hand.chance),
        2 => ("epoch/x".to_owned(), vec![0xff; 90]),
        _ => match hand.chance.pick(&real).cloned() {
            Some((epoch, row)) => another_epoch(of, (epoch, row), hand.chance),
            None => return Ok(false),
        },
    };
    let overwrites = real.first().filter(|_| hand.chance.one_in(4)).map(|(epoch, row)| {
        let real = codec::encode(&VaultEpoch { epoch: row.clone() });
        key(&format!("epoch/{of}/{epoch}"), &real)
    });
    let edit = Edit::Vault { key: key(&prefix, &value), value: Blob(value) };
    let name = Name::Vault(hand.era_number());
    let mut changes = hand.cheat.changes(hand.world, hand.space, &name, &[edit]);
    if let Some(key) = overwrites {
        // What is there under its real name is to be something else from now on.
        let other = |change: &Vec<u8>| put_at(change, &key);
        changes = changes.iter().map(other).collect();
    }
    hand.writes(&Set::of(name, changes))
}

/// The same change, put where another value lies.
fn put_at(change: &[u8], key: &str) -> Vec<u8> {
    rebuilt(change, |parts| {
        for op in &mut parts.operations {
            op.key = Key::Map(key.into());
        }
    })
}

fn epoch_that_never_was(space: SpaceId, chance: &mut Chance) -> (String, Vec<u8>) {
    let never = EpochId::from_bytes(chance.bytes());
    let number = chance.weighted(&[(1, 3), (1, 40), (1, u64::MAX)]);
    let row = EpochRow { number, index: 2, root: chance.bytes(), binding: [5; 32], era: 0 };
    (format!("epoch/{space}/{never}"), codec::encode(&VaultEpoch { epoch: row }))
}

fn another_epoch(
    space: SpaceId,
    (epoch, row): (EpochId, EpochRow),
    chance: &mut Chance,
) -> (String, Vec<u8>) {
    let row = match chance.below(3) {
        0 => EpochRow { root: chance.bytes(), ..row },
        1 => EpochRow { number: 9_999, ..row },
        _ => EpochRow { index: 0, binding: chance.bytes(), ..row },
    };
    (format!("epoch/{space}/{epoch}"), codec::encode(&VaultEpoch { epoch: row }))
}

/// A second entry for the log's newest place, or one behind it: signed by a device that may not.
fn forks_log(world: &mut World, cheat: &mut Cheat, chance: &mut Chance) -> Result<bool, Violation> {
    let account = cheat.keys.account;
    let Some((len, head)) =
        world.logs().find(|(of, _)| **of == account).map(|(_, log)| (log.len(), log.head()))
    else {
        return Ok(false);
    };
    let back = chance.below(2).min(len - 1);
    let previous = if back == 0 { head } else { LogHead::from_bytes(chance.bytes()) };
    let action = Action::RotateJoinKey { join: chance.bytes() };
    let entry = LogEntry { version: 1, index: len - back, previous, action, escrow: None };
    let entry = Blob(sign_entry(&account, &entry, &cheat.keys.signing()));
    let op = Op::AppendLog { index: len - back, entry, rendezvous: None };
    cheat.requests(world, op).map(|_| true)
}
