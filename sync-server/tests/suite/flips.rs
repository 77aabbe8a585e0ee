//! Bits that a disk gives back other than it was given: those they belong to are refused, everybody
//! else is served, and a repair brings the store back.

use std::path::Path;

use sync_protocol::error::Rejection;
use sync_protocol::frames::{Answer, Op, RelayFrame};
use sync_server::relay::Settings;
use sync_server::repair::repair;
use sync_server::rules::put_back;
use sync_server::store::{Copier, DamagedRow, FILE, RedbStore, Store, Table};

use crate::support::{Device, push, space};
use crate::world::{World, stored};

const PEOPLE: u64 = 12;
const WORDS: u64 = 12;
/// Places of a store that are tried, by so many tests side by side.
const PLACES: u64 = 1_000;
const TESTS: u64 = 8;

/// A folder in memory, where there is one: a disk's own time is no part of this.
fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

/// A store with people, each with a space of their own and words in it.
fn fill(directory: &Path) -> Vec<Device> {
    let mut world = World::over(RedbStore::open(directory).unwrap(), Settings::default());
    let mut people = Vec::new();
    for n in 1..=PEOPLE {
        let mut device = Device::new(n);
        let session = world.connect(&mut device);
        let founding = device.found(space(n as u8));
        world.send(session, push(space(n as u8), vec![founding]));
        for _ in 0..WORDS {
            let set = device.content(space(n as u8), 1);
            world.send(session, push(space(n as u8), vec![set]));
        }
        world.commit();
        let stored: u64 = stored(&world.take(session)).iter().map(|run| run.count).sum();
        assert_eq!(stored, 1 + WORDS);
        people.push(device);
    }
    world.relay.drain(0, world.now);
    world.commit();
    people
}

/// A generator of numbers that is the same each time.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end as u64) as usize
    }
}

/// What each person gets: whether a hello, the log of the account and the whole space come.
fn served(directory: &Path, people: &[Device]) -> Option<Vec<bool>> {
    let store = RedbStore::open(directory).ok()?;
    let relay = sync_server::relay::Relay::open(store, crate::world::IDENTITY, Settings::default());
    drop(relay.ok()?);
    let store = RedbStore::open(directory).ok()?;
    let mut world = World::over(store, Settings::default());
    let mut all = Vec::new();
    for (n, device) in (1..).zip(people) {
        let session = world.hello(device);
        if !world.relay.is_open(session) {
            all.push(false);
            continue;
        }
        let log = world.ask(session, Op::ReadLog { account: device.account, from: 0 });
        let to = 1 + WORDS;
        let fetched = world.ask(session, Op::Fetch { space: space(n), from: 0, to });
        let frames = world.take(session);
        let count: u64 = frames
            .iter()
            .map(|frame| match frame {
                RelayFrame::Delivery(sync_protocol::frames::Delivery::Entries(entries)) => {
                    entries.entries.len() as u64
                }
                _ => 0,
            })
            .sum();
        for refused in [&log, &fetched] {
            if let Answer::Refused(reason) = refused {
                // What lay under a key that is another now is not there.
                let is_told = matches!(reason, Rejection::Unavailable { .. } | Rejection::NotFound);
                assert!(is_told, "{reason}");
            }
        }
        // Once at the hello, once fetched.
        let whole = count > WORDS && fetched == Answer::Done;
        all.push(matches!(log, Answer::Log { .. }) && whole);
        assert!(world.relay.failure().is_none(), "{:?}", world.relay.failure());
    }
    Some(all)
}

/// What became of the places that were tried.
#[derive(Debug, Default)]
struct Tried {
    noticed: u64,
    troubled: u64,
    unopened: u64,
}

/// Flipped bits trouble nobody but whose they are, and a repair brings the store back.
fn flip(test: u64) -> Tried {
    let whole = folder();
    let people = fill(whole.path());
    let image = std::fs::read(whole.path().join(FILE)).unwrap();
    assert!(served(whole.path(), &people).unwrap().iter().all(|served| *served));
    let mut numbers = Numbers(0x5eed + test);
    let mut tried = Tried::default();
    for round in 0..PLACES / TESTS {
        let data = folder();
        let mut bytes = image.clone();
        // Behind the file's own head, of which there are two.
        let at = 4096 + numbers.below(bytes.len() - 4096);
        bytes[at] ^= 1 << numbers.below(8);
        std::fs::write(data.path().join(FILE), &bytes).unwrap();
        let opened = RedbStore::open(data.path());
        let checked = opened.as_ref().ok().map(|store| store.copier().check());
        // Where the tree itself is damaged there are no rows to name.
        let is_broken = matches!(checked, Some(Err(_)));
        let checked = checked.and_then(Result::ok);
        let damaged: Vec<DamagedRow> = checked.map_or_else(Vec::new, |checked| checked.damaged);
        let is_open = opened.is_ok();
        drop(opened);
        tried.noticed += u64::from(is_broken || !damaged.is_empty());
        let Some(served) = served(data.path(), &people) else {
            tried.unopened += 1;
            continue;
        };
        assert!(is_open);
        let not = served.iter().filter(|served| !**served).count();
        tried.troubled += u64::from(not > 0);
        if damaged.is_empty() && !is_broken {
            assert_eq!(not, 0, "round {round}: nothing is damaged at byte {at}, and {not} suffer");
            continue;
        }
        for row in damaged.iter().filter(|row| row.key.is_some()) {
            assert_eq!(row.name().len(), 12);
        }
        if !is_broken && damaged.iter().all(|row| row.key.is_some()) {
            assert!(not <= damaged.len(), "round {round}: {not} suffer from {damaged:?}");
        }
        let repaired = repair(data.path(), 1_000 + round, 7).unwrap();
        assert!(repaired.kept.exists());
        let store = RedbStore::open(data.path()).unwrap();
        assert!(store.copier().check().unwrap().damaged.is_empty());
        drop(store);
        come_back(data.path(), &people);
    }
    assert!(tried.noticed > 5, "{tried:?}");
    assert!(tried.unopened * 10 < PLACES / TESTS, "{tried:?}");
    tried
}

/// One of the tests that go side by side.
macro_rules! places {
    ($($name:ident $test:literal)*) => {
        $(
            #[test]
            fn $name() {
                eprintln!("{:?}", flip($test));
            }
        )*
    };
}

// Each tries places of its own; together they are a thousand.
places! {
    flipped_bits_trouble_nobody_but_whose_they_are_and_a_repair_brings_the_store_back 0
    bits_flipped_elsewhere_trouble_nobody_else_either_1 1
    bits_flipped_elsewhere_trouble_nobody_else_either_2 2
    bits_flipped_elsewhere_trouble_nobody_else_either_3 3
    bits_flipped_elsewhere_trouble_nobody_else_either_4 4
    bits_flipped_elsewhere_trouble_nobody_else_either_5 5
    bits_flipped_elsewhere_trouble_nobody_else_either_6 6
    bits_flipped_elsewhere_trouble_nobody_else_either_7 7
}

/// Each writes again what the relay lacks of theirs, and it has all of it.
fn come_back(directory: &Path, people: &[Device]) {
    let mut world = World::over(RedbStore::open(directory).unwrap(), Settings::default());
    for (n, seed) in (1..).zip(1..=PEOPLE) {
        let device = &people[seed as usize - 1];
        let session = world.hello(device);
        assert!(world.relay.is_open(session), "{:?}", world.closed.get(&session));
        let mut again = Device::new(seed);
        let founding = again.found(space(n));
        let mut all = vec![founding];
        all.extend((0..WORDS).map(|_| again.content(space(n), 1)));
        world.send(session, push(space(n), all[..1].to_vec()));
        world.commit();
        let have = all.iter().skip(1).cloned();
        for one in have {
            world.send(session, push(space(n), vec![one]));
        }
        world.commit();
        let (_, head) = world.relay.state_mut().space(&space(n)).unwrap().unwrap().bounds();
        assert_eq!(head, 1 + WORDS, "space {n}");
    }
    assert!(world.relay.failure().is_none());
}

#[test]
fn a_damaged_row_is_named_and_a_damaged_backup_is_none() {
    let data = tempfile::tempdir().unwrap();
    let people = fill(data.path());
    let target = data.path().join("target");
    let bytes = std::fs::read(data.path().join(FILE)).unwrap();
    // A word of the third person's log.
    let needle = people[2].log[0].0.get(40..72).unwrap().to_vec();
    let at = bytes.windows(needle.len()).position(|window| window == needle).unwrap();
    let mut bytes = bytes;
    bytes[at] ^= 4;
    std::fs::write(data.path().join(FILE), &bytes).unwrap();
    let store = RedbStore::open(data.path()).unwrap();
    let checked = store.copier().check().unwrap();
    let [row] = checked.damaged.as_slice() else { panic!("{:?}", checked.damaged) };
    assert_eq!(row.table, Table::Logs);
    assert!(row.whose().starts_with(&hex(people[2].account.as_bytes())), "{}", row.whose());
    let error = store.copier().copy_to(&target).unwrap_err();
    assert!(error.to_string().contains(&row.name()) && !target.exists(), "{error}");
    drop(store);
    let again = tempfile::tempdir().unwrap();
    let refused =
        Copier::restore(&data.path().join(FILE), again.path(), |store| put_back(store, 1));
    assert!(refused.unwrap_err().is_damage());
    assert!(!again.path().join(FILE).exists());
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The rows that a push writes.
fn log_rows(world: &World) -> Vec<(Table, Vec<u8>, Vec<u8>)> {
    let of_the_log = |table: &Table| [Table::Entries, Table::Index, Table::Spaces].contains(table);
    let rows = world.relay.store().rows().filter(|(table, _, _)| of_the_log(table));
    rows.map(|(table, key, value)| (table, key.to_vec(), value.to_vec())).collect()
}

/// A command that meets a damaged row half way changes nothing.
#[test]
fn what_meets_a_damaged_row_half_way_changes_nothing() {
    let (mut world, mut ada, _) = World::founded();
    // Its own account's row is no row: what it stored can't be counted.
    let store = world.relay.store_mut();
    store.put(Table::Rosters, space(1).as_bytes(), vec![0xff; 3]);
    store.commit().unwrap();
    let mut world = world.crash();
    let session = world.connect(&mut ada);
    let set = ada.content(space(1), 1);
    let before = log_rows(&world);
    world.take(session);
    world.send(session, push(space(1), vec![set]));
    world.commit();
    let refused = crate::world::refusals(&world.take(session));
    assert!(matches!(refused.as_slice(), [Rejection::Unavailable { .. }]), "{refused:?}");
    let after = log_rows(&world);
    assert_eq!(before, after);
    // Others go on in the same batch.
    let mut bob = Device::new(2);
    let other = world.connect(&mut bob);
    let founding = bob.found(space(2));
    world.send(other, push(space(2), vec![founding]));
    world.commit();
    assert_eq!(stored(&world.take(other)).len(), 1);
    assert!(world.relay.counts().damaged > 0);
}
