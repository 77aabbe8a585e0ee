//! A sibling that is stolen writes into what the account's devices keep for one another, and is
//! revoked. Whoever comes later reads everything.

use automerge::ScalarValue;
use automerge::legacy::{Key, OpType};
use minicbor::Encode;
use property_tests::World;
use sync_core::Command;
use sync_core::document::{Edit, Name};
use sync_protocol::codec::{self, Blob};
use sync_protocol::hash::{self, Domain};
use sync_protocol::{EpochId, SpaceId};

use crate::support::cheat::{Cheat, stand};
use crate::support::forge::{Set, rebuilt};
use crate::support::ways_in::{EpochRow, epochs};
use crate::support::{agree, nothing_is_missing, with_laptop_of};

/// What the vault keeps of an epoch.
#[derive(Encode)]
#[cbor(map)]
struct VaultEpoch {
    #[n(0)]
    epoch: EpochRow,
}

/// Where a space stood when a vault was begun.
#[derive(Encode)]
#[cbor(map)]
struct Anchor {
    #[n(0)]
    epoch: EpochId,
    #[n(1)]
    number: u64,
    #[cbor(n(2), with = "minicbor::bytes")]
    commitment: [u8; 32],
}

/// A key as the vault has it: it names its value.
fn key(prefix: &str, value: &[u8]) -> String {
    let name = hash::hash(Domain::new("rejoinder vault entry v1"), &[value]);
    format!("{prefix}/{}", data_encoding::HEXLOWER.encode(&name[..16]))
}

/// Two who talk, in several epochs; the first has a laptop, device 2.
fn in_several_epochs(seed: u64) -> (World, SpaceId, usize) {
    let (mut world, space, laptop) = with_laptop_of(0, seed, 2, &[1]);
    for n in 0..3 {
        let title = format!("{}{n}", property_tests::MARK);
        world.expect(0, Command::SetTitle { conversation: space, title }).unwrap();
        world.settle().unwrap();
        for device in [0, 1, laptop] {
            world.say(device, space).unwrap();
            world.settle().unwrap();
        }
    }
    (world, space, laptop)
}

/// Writes entries that look well into the vault.
fn add(world: &mut World, thief: &mut Cheat, entries: Vec<(String, Vec<u8>)>) {
    let own = thief.keys.account.space();
    let name = Name::Vault(0);
    for (key, value) in entries {
        let edit = Edit::Vault { key, value: Blob(value) };
        let set = Set::of(name.clone(), thief.changes(world, own, &name, &[edit]));
        thief.write(world, own, &set);
    }
}

/// Writes a value over what is there.
fn overwrite(world: &mut World, thief: &mut Cheat, key: &str, value: &[u8]) {
    let own = thief.keys.account.space();
    let name = Name::Vault(0);
    let (fresh, with) = (self::key("epoch/y", &[3]), Blob(vec![3]));
    let edit = Edit::Vault { key: fresh, value: with };
    let changes = thief.changes(world, own, &name, &[edit]);
    let altered = changes.iter().map(|change| {
        rebuilt(change, |change| {
            for op in &mut change.operations {
                op.key = Key::Map(key.into());
                op.action = OpType::Put(ScalarValue::Bytes(value.to_vec()));
            }
        })
    });
    let set = Set::of(name.clone(), altered.collect());
    thief.write(world, own, &set);
}

/// What a thief may write that looks well: of each epoch other roots and places, of epochs that
/// never were, and join keys that nobody has.
fn plausible(world: &World, space: SpaceId) -> Vec<(String, Vec<u8>)> {
    let real = epochs(world, 0, space);
    let mut all = Vec::new();
    for (epoch, row) in &real {
        let others = [
            EpochRow { root: [1; 32], ..row.clone() },
            EpochRow { binding: [1; 32], index: 0, ..row.clone() },
            EpochRow { binding: [1; 32], number: 9_999, ..row.clone() },
            // The real keys, which the epoch's name commits to, at places that are not theirs.
            EpochRow { number: 9_999, ..row.clone() },
            EpochRow { number: 0, index: 0, ..row.clone() },
            EpochRow { index: u64::MAX, ..row.clone() },
            EpochRow { era: 7, ..row.clone() },
        ];
        for epoch_row in others {
            let value = codec::encode(&VaultEpoch { epoch: epoch_row });
            all.push((key(&format!("epoch/{space}/{epoch}"), &value), value));
        }
    }
    let never = EpochId::from_bytes([0xee; 32]);
    let row = EpochRow { number: 3, index: 2, root: [4; 32], binding: [5; 32], era: 0 };
    let value = codec::encode(&VaultEpoch { epoch: row });
    all.push((key(&format!("epoch/{space}/{never}"), &value), value));
    let value = [6; 32].to_vec();
    all.push((key("join/00", &value), value));
    for (prefix, value) in [("epoch/x", vec![0xff; 90]), ("anchor/x", vec![]), ("x", vec![1])] {
        all.push((key(prefix, &value), value));
    }
    let anchor = Anchor { epoch: real[0].0, number: 0, commitment: [8; 32] };
    let value = codec::encode(&anchor);
    all.push((key(&format!("anchor/{space}"), &value), value));
    all
}

#[test]
fn what_a_revoked_sibling_put_over_the_vault_keeps_nobody_from_reading_everything() {
    for (seed, recovers) in [(1, false), (2, true)] {
        let (mut world, space, laptop) = in_several_epochs(seed);
        let mut thief = Cheat::with_keys_of(&mut world, laptop, 0);
        let real = epochs(&world, 0, space).into_iter().map(|(epoch, row)| {
            let value = codec::encode(&VaultEpoch { epoch: row });
            key(&format!("epoch/{space}/{epoch}"), &value)
        });
        let keys: Vec<String> = real.collect();
        assert!(keys.len() > 3, "{keys:?}");
        let entries = plausible(&world, space);
        add(&mut world, &mut thief, entries);
        for key in &keys {
            overwrite(&mut world, &mut thief, key, &[0]);
            let (bare, _) = key.rsplit_once('/').unwrap();
            overwrite(&mut world, &mut thief, bare, &[0]);
        }
        drop(thief);
        let id = world.device(laptop).id.unwrap();
        world.expect(0, Command::RevokeDevice { device: id }).unwrap();
        world.retire(laptop);
        world.settle().unwrap();
        let later = if recovers {
            let device = world.begin_recovery(0).unwrap();
            world.pass(10_000).unwrap();
            world.retire(0);
            device
        } else {
            world.link(0, true).unwrap()
        };
        world.pass(300_000).unwrap();
        world.settle().unwrap();
        world.say(1, space).unwrap();
        world.say(later, space).unwrap();
        world.settle().unwrap();
        agree(&mut world, &[1, later], space);
        nothing_is_missing(&mut world, later, space);
        assert_eq!(stand(&world, later, space).epoch, stand(&world, 1, space).epoch);
        // Nor does the later one pass on what was made up, as a word of its own.
        let last = world.link(0, true).unwrap();
        world.pass(300_000).unwrap();
        world.settle().unwrap();
        world.say(last, space).unwrap();
        world.settle().unwrap();
        agree(&mut world, &[1, later, last], space);
        nothing_is_missing(&mut world, last, space);
    }
}

/// A newest epoch that never was keeps no new device from where the group is.
#[test]
fn an_epoch_from_the_far_future_in_the_vault_keeps_no_new_device_out() {
    let (mut world, space, laptop) = in_several_epochs(3);
    let mut thief = Cheat::with_keys_of(&mut world, laptop, 0);
    let never = EpochId::from_bytes([0xee; 32]);
    let row = EpochRow { number: u64::MAX, index: 2, root: [4; 32], binding: [5; 32], era: 0 };
    let value = codec::encode(&VaultEpoch { epoch: row });
    let entry = (key(&format!("epoch/{space}/{never}"), &value), value);
    add(&mut world, &mut thief, vec![entry]);
    drop(thief);
    let id = world.device(laptop).id.unwrap();
    world.expect(0, Command::RevokeDevice { device: id }).unwrap();
    world.retire(laptop);
    world.settle().unwrap();
    let title = format!("{}later", property_tests::MARK);
    world.expect(1, Command::SetTitle { conversation: space, title }).ok();
    let later = world.link(0, true).unwrap();
    world.pass(300_000).unwrap();
    world.settle().unwrap();
    for device in [0, 1, later] {
        world.say(device, space).unwrap();
        world.settle().unwrap();
    }
    agree(&mut world, &[0, 1, later], space);
    nothing_is_missing(&mut world, later, space);
}
