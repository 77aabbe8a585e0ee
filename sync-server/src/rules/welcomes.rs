//! What all devices that one handshake lets in have alike: kept once, in the space's partition, for
//! as long as one of them has not taken it.

use sync_protocol::codec::Blob;
use sync_protocol::ids::SpaceId;

use crate::rules::command::Action;
use crate::rules::rows::{self, key2};
use crate::rules::state::State;
use crate::store::{Store, StoreError, Table};

/// Keeps it for so many devices.
pub(super) fn keep<S: Store>(
    state: &mut State<S>,
    space: &SpaceId,
    index: u64,
    common: Blob,
    devices: usize,
) {
    if devices > 0 {
        let key = key(space, index);
        state.store_mut().put(Table::Welcomes, &key, common.0);
        state.store_mut().put(Table::WelcomesLeft, &key, rows::encode(&(devices as u64)));
    }
}

/// One device less needs it. The last one takes it along.
pub(super) fn take<S: Store>(
    state: &mut State<S>,
    space: &SpaceId,
    index: u64,
) -> Result<(), StoreError> {
    let key = key(space, index);
    let Some(row) = state.store().row(Table::WelcomesLeft, &key)? else { return Ok(()) };
    let left: u64 = rows::decode("welcomes left", &row)?;
    if left > 1 {
        state.store_mut().put(Table::WelcomesLeft, &key, rows::encode(&(left - 1)));
    } else {
        state.store_mut().delete(Table::Welcomes, &key);
        state.store_mut().delete(Table::WelcomesLeft, &key);
    }
    Ok(())
}

/// Says to the space that a device needs it no more.
pub(super) fn taken<S: Store>(
    state: &mut State<S>,
    handshake: Option<(SpaceId, u64)>,
    time_ms: u64,
) {
    if let Some((space, index)) = handshake {
        state.put_fact(time_ms, Action::TakeWelcome { space, index });
    }
}

/// What the devices that came with a handshake have alike, while one of them needs it.
pub(super) fn common<S: Store>(
    state: &State<S>,
    space: &SpaceId,
    index: u64,
) -> Result<Option<Blob>, StoreError> {
    let row = state.store().row(Table::Welcomes, &key(space, index))?;
    Ok(row.map(Blob))
}

fn key(space: &SpaceId, index: u64) -> Vec<u8> {
    key2(space.as_bytes(), &index.to_be_bytes())
}
