//! Who has a device in a conversation, by the handshakes that the relay holds: the one truth about it,
//! whatever a device believes.

use std::collections::{BTreeMap, BTreeSet};

use sync_protocol::envelope::{CommitHeader, Envelope};
use sync_protocol::roster::RosterChange;
use sync_protocol::{AccountId, DeviceId, SpaceId};
use sync_server::rules::State;

use crate::relay_store::RelayStore;

/// The devices in a conversation, by account, as the headers of its handshakes say.
#[must_use]
pub fn devices_in(store: &RelayStore, space: &SpaceId) -> BTreeMap<AccountId, BTreeSet<DeviceId>> {
    let mut present = BTreeMap::<AccountId, BTreeSet<DeviceId>>::new();
    each_commit(store, space, |commit| {
        commit.roster.iter().for_each(|change| note(&mut present, change));
    });
    present
}

/// Accounts of which a device in a conversation came in anew by a ticket, in its own place: it had
/// been let in before, and may never have got the keys that led in there.
#[must_use]
pub fn entered_anew(store: &RelayStore, space: &SpaceId) -> BTreeSet<AccountId> {
    let mut present = BTreeMap::<AccountId, BTreeSet<DeviceId>>::new();
    let mut anew = BTreeSet::new();
    each_commit(store, space, |commit| {
        let before = present.clone();
        for change in &commit.roster {
            if let RosterChange::AddDevices { account, devices } = change
                && let Some(known) = before.get(account)
                && devices.iter().any(|device| known.contains(device))
            {
                anew.insert(*account);
            }
            note(&mut present, change);
        }
    });
    anew
}

/// What can't be read was never there.
fn each_commit(store: &RelayStore, space: &SpaceId, mut each: impl FnMut(&CommitHeader)) {
    // A copy, since a relay's state fills caches as it is read.
    let Ok(mut state) = State::open(store.clone()) else { return };
    let read = state.read_log(space, 0, u64::MAX, &mut |_, entry| {
        let commit = Envelope::parse(&entry.envelope).ok().and_then(|entry| entry.commit().ok());
        commit.iter().for_each(&mut each);
        true
    });
    drop(read);
}

fn note(present: &mut BTreeMap<AccountId, BTreeSet<DeviceId>>, change: &RosterChange) {
    match change {
        RosterChange::Add { account, devices, .. }
        | RosterChange::AddDevices { account, devices } => {
            present.entry(*account).or_default().extend(devices);
        }
        RosterChange::Remove { account } => drop(present.remove(account)),
        RosterChange::RemoveDevices { account, devices } => {
            if let Some(known) = present.get_mut(account) {
                known.retain(|device| !devices.contains(device));
            }
        }
        RosterChange::SetRole { .. } => {}
    }
}
