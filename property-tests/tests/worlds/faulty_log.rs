//! A relay whose log and store lie on disks that lose and tear what was not synced: the power goes at every
//! single write between a proposal, its place in the log, what it does, and its being written down.

use property_tests::chance::Chance;
use sync_protocol::ids::RelayId;
use sync_server::data::Data;
use sync_server::log::{Disk, FileLog};
use sync_server::relay::{Identity, Relay, Settings};
use sync_server::rules::{self, Action, Token, TokenHash};
use sync_server::store::{RedbStore, StoreError};

use crate::faulty_disk::{FaultyDisk, Power};

const IDENTITY: Identity = Identity { relay: RelayId::from_bytes([3; 32]), generation: 9 };

/// The disks of a relay, on one power.
struct Machine {
    power: Power,
    store: FaultyDisk,
    logs: [FaultyDisk; 2],
}

impl Machine {
    fn new() -> Self {
        let power = Power::default();
        let disk = || FaultyDisk::on(&power);
        let machine = Self { store: disk(), logs: [disk(), disk()], power: power.clone() };
        // A new store gets its name once it is whole: no crash is seen before.
        machine.power.set(u64::MAX);
        drop(RedbStore::with_backend(machine.store.clone()).unwrap());
        machine
    }

    fn start(&self) -> Result<Relay<RedbStore, FileLog>, StoreError> {
        let store = RedbStore::with_backend(self.store.clone())?;
        let logs = self.logs.clone().map(|disk| Box::new(disk) as Box<dyn Disk>);
        let Data { store, log } = Data::on(store, logs, [5; 16])?;
        let mut relay = Relay::alone(store, log, Settings::default())?;
        relay.found(IDENTITY)?;
        Ok(relay)
    }

    /// The power goes: of what was not synced any part survives.
    fn crash(&self, chance: &mut Chance) {
        for disk in [&self.store].into_iter().chain(&self.logs) {
            disk.crash(chance);
        }
    }

    /// Makes tokens from `next` on, some in each commit, and writes down what was applied now and then,
    /// until the power goes or there are `most`. Gives how many of them were acknowledged.
    fn work(&self, next: u64, most: u64) -> u64 {
        let Ok(mut relay) = self.start() else { return next };
        let mut done = next;
        while done < most {
            let batch = 1 + done % 3;
            for n in done..done + batch {
                let token = Token { uses: n + 1, until_ms: None, note: String::new() };
                let action = Action::AddToken { hash: TokenHash::of(&n.to_string()), token };
                if relay.operate(action, n).is_err() {
                    return done;
                }
            }
            relay.commit(done);
            if relay.failure().is_some() {
                return done;
            }
            done += batch;
            if done.is_multiple_of(4) && relay.checkpoint().is_err() {
                return done;
            }
        }
        done
    }

    /// Starts with power enough, and gives how many tokens there are: the first ones, without a gap.
    fn found(&self) -> u64 {
        self.power.set(u64::MAX);
        let relay = self.start().unwrap();
        assert_eq!(relay.state().identity(), IDENTITY);
        let tokens = rules::tokens(relay.state()).unwrap();
        let mut found: Vec<_> = tokens.into_iter().map(|(_, token)| token.uses).collect();
        found.sort_unstable();
        assert!(found.iter().copied().eq(1..=found.len() as u64), "{found:?}");
        found.len() as u64
    }
}

#[test]
fn the_power_goes_at_every_write_and_what_was_acknowledged_is_there() {
    let whole = Machine::new();
    whole.power.set(u64::MAX);
    whole.work(0, 24);
    let writes = u64::MAX - whole.power.left();
    assert!(writes > 100, "{writes}");
    for power in 0..writes {
        for seed in 0..3 {
            let (machine, mut chance) = (Machine::new(), Chance::new(power * 3 + seed));
            machine.power.set(power);
            let acknowledged = machine.work(0, 24);
            machine.crash(&mut chance);
            let found = machine.found();
            let under_way = acknowledged + 3;
            let is_right = (acknowledged..=under_way).contains(&found);
            assert!(is_right, "power {power}, seed {seed}: {acknowledged}, found {found}");
        }
    }
}

#[test]
fn the_power_goes_again_and_again() {
    for seed in 0..60 {
        let (machine, mut chance) = (Machine::new(), Chance::new(seed));
        let mut next = 0;
        for _ in 0..5 {
            machine.power.set(chance.between(1, 400));
            let acknowledged = machine.work(next, next + 200);
            machine.crash(&mut chance);
            next = machine.found();
            let is_right = (acknowledged..=acknowledged + 3).contains(&next);
            assert!(is_right, "seed {seed}: {acknowledged}, found {next}");
        }
    }
}
