//! Who has a device in a conversation, by the handshakes that the relay holds: the one truth about it,
//! whatever a device believes.

use std::collections::{BTreeMap, BTreeSet};

use sync_protocol::envelope::Envelope;
use sync_protocol::ids::RelayId;
use sync_protocol::roster::RosterChange;
use sync_protocol::{AccountId, DeviceId, SpaceId};
use sync_server::relay::Identity;
use sync_server::rules::State;

use crate::relay_store::RelayStore;

/// The devices in a conversation, by account, as the headers of its handshakes say.
#[must_use]
pub fn devices_in(store: &RelayStore, space: &SpaceId) -> BTreeMap<AccountId, BTreeSet<DeviceId>> {
    let mut present = BTreeMap::<AccountId, BTreeSet<DeviceId>>::new();
    let nobody = Identity { relay: RelayId::from_bytes([0; 32]), generation: 0 };
    // A copy, since a relay's state fills caches as it is read.
    let Ok(mut state) = State::open(store.clone(), nobody) else { return present };
    let read = state.read_log(space, 0, u64::MAX, &mut |_, entry| {
        let commit = Envelope::parse(&entry.envelope).ok().and_then(|entry| entry.commit().ok());
        for change in commit.iter().flat_map(|commit| &commit.roster) {
            note(&mut present, change);
        }
        true
    });
    // What can't be read was never there.
    let _ = read;
    present
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
