//! What its operator deletes is gone: all rows that name who it was but the mark and the device log,
//! whatever others do later, and whatever of it is damaged.

use std::collections::BTreeSet;

use sync_protocol::ids::AccountId;
use sync_server::rules::{Action, State, mend};
use sync_server::store::{Store as _, Table};

use crate::support::{Device, add, push, remove, space};
use crate::world::{World, stored};

impl World {
    fn operate(&mut self, action: Action) {
        self.relay.operate(action, self.now).unwrap();
        self.commit();
    }

    /// Lets sweeps, and rows that are written with time, come to their end.
    fn sweep(&mut self) {
        (0..20).for_each(|_| self.tick(self.now + 1_000));
        self.relay.checkpoint().unwrap();
    }

    /// The tables in which rows are kept for an account.
    fn kept_for(&self, account: &AccountId) -> BTreeSet<Table> {
        let rows = self.relay.store().rows();
        let named = rows.filter(|(_, key, _)| key.starts_with(account.as_bytes()));
        named.map(|(table, ..)| table).collect()
    }

    fn count(&self, table: Table) -> usize {
        self.relay.store().rows().filter(|(of, ..)| *of == table).count()
    }
}

/// What stays of who is deleted, beside the mark: its devices' keys, and that they ended.
fn what_stays() -> BTreeSet<Table> {
    BTreeSet::from([Table::Logs, Table::Devices])
}

#[test]
fn of_who_is_deleted_only_that_and_the_device_log_is_left() {
    let (mut world, mut ada, at) = World::founded();
    let mut bob = Device::new(2);
    let other = world.connect(&mut bob);
    let start = vec![bob.found(space(2)), bob.handshake(space(2), 1, vec![add(&ada)])];
    world.send(other, push(space(2), start));
    world.sweep();
    let words = vec![ada.content(space(2), 2)];
    world.send(at, push(space(2), words));
    world.sweep();
    assert!(world.kept_for(&ada.account).contains(&Table::Active));
    world.operate(Action::EndAccount { account: ada.account });
    world.sweep();
    assert_eq!(world.kept_for(&ada.account), what_stays());
    // Where others are, they write on, and remove who is gone.
    let words = vec![bob.content(space(2), 3)];
    world.send(other, push(space(2), words));
    world.sweep();
    let out = bob.handshake(space(2), 4, vec![remove(&ada)]);
    world.take(other);
    world.send(other, push(space(2), vec![out]));
    world.sweep();
    assert_eq!(stored(&world.take(other)).len(), 1);
    assert_eq!(world.kept_for(&ada.account), what_stays());
    assert!(world.kept_for(&bob.account).contains(&Table::Active));
}

#[test]
fn a_conversation_of_which_everybody_is_deleted_is_gone() {
    let (mut world, mut ada, at) = World::founded();
    let people = [2, 3].map(Device::new);
    for person in &people {
        world.connect(&mut person.clone());
    }
    let come = people.iter().map(add).collect();
    let words = vec![ada.handshake(space(1), 1, come), ada.content(space(1), 2)];
    world.send(at, push(space(1), words));
    world.sweep();
    for person in people.iter().chain([&ada]) {
        assert_eq!(world.count(Table::Spaces), 1);
        world.operate(Action::EndAccount { account: person.account });
        world.sweep();
    }
    for table in [Table::Spaces, Table::Rosters, Table::Entries, Table::Index, Table::Tips] {
        assert_eq!(world.count(table), 0, "{table:?}");
    }
}

#[test]
fn who_was_removed_before_the_others_were_deleted_is_no_member_that_stays() {
    let (mut world, mut ada, at) = World::founded();
    let mut bob = Device::new(2);
    let mut cem = Device::new(3);
    world.connect(&mut bob);
    world.connect(&mut cem);
    let come = ada.handshake(space(1), 1, vec![add(&bob), add(&cem)]);
    world.send(at, push(space(1), vec![come]));
    world.operate(Action::EndAccount { account: bob.account });
    let out = ada.handshake(space(1), 2, vec![remove(&cem)]);
    world.send(at, push(space(1), vec![out]));
    world.operate(Action::EndAccount { account: ada.account });
    world.sweep();
    assert_eq!(world.count(Table::Entries), 0);
}

#[test]
fn one_that_is_damaged_keeps_no_other_from_being_swept() {
    let (mut world, mut ada, at) = World::founded();
    let founding = ada.found(space(2));
    world.send(at, push(space(2), vec![founding]));
    world.sweep();
    let store = world.relay.store_mut();
    let first =
        store.rows().find(|(table, ..)| *table == Table::Index).map(|(_, key, _)| key.to_vec());
    store.put(Table::Index, &first.unwrap(), vec![0xff; 3]);
    store.commit().unwrap();
    let mut world = world.crash();
    for n in [1, 2] {
        world.operate(Action::EndSpace { space: space(n) });
    }
    world.sweep();
    assert_eq!((world.count(Table::Sweeps), world.count(Table::Index)), (1, 1));
    assert!(world.relay.counts().damaged > 0);
}

#[test]
fn a_repair_brings_nobody_back_into_what_everybody_left() {
    let (mut world, mut ada, at) = World::founded();
    let mut bob = Device::new(2);
    let other = world.connect(&mut bob);
    let come = ada.handshake(space(1), 1, vec![add(&bob)]);
    world.send(at, push(space(1), vec![come]));
    for (session, device) in [(at, &mut ada), (other, &mut bob)] {
        let leaves = device.leave(space(1), 2);
        world.send(session, push(space(1), vec![leaves]));
    }
    world.sweep();
    let mut store = world.relay.into_parts().0;
    mend(&mut store).unwrap();
    let state = State::open(store).unwrap();
    for who in [&ada, &bob] {
        let left = state.membership(&who.account, &space(1)).unwrap().unwrap();
        assert!(left.until.is_some(), "{left:?}");
        assert_eq!(state.spaces_of(&who.account).unwrap(), (0, 0));
    }
}
