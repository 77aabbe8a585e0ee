//! Cuts: where removed devices end (`docs/protocol.md`, "Cuts").

use sync_protocol::envelope::CommitHeader;
use sync_protocol::error::Rejection;
use sync_protocol::ids::DeviceId;

use crate::rules::Fault;
use crate::rules::space::Space;
use crate::rules::state::State;
use crate::rules::writers;
use crate::store::{Store, StoreError};

/// Judges a commit's cuts of devices that it removes from accounts which stay. `cursor` is how far
/// in the log its author had read: the device ends there, so nothing of it may have come since.
///
/// What only devices can find to be worthless counts here as well. It keeps no device in: its author
/// reads on and cuts behind it.
///
/// # Errors
/// `Behind`, or `Invalid` for cuts that are not those of the devices that go.
pub(super) fn judge<S: Store>(
    state: &mut State<S>,
    space: &Space,
    commit: &CommitHeader,
    cursor: u64,
) -> Result<(), Fault> {
    if !commit.cuts_fit(cursor) {
        return Err(Rejection::Invalid.into());
    }
    for device in commit.ended() {
        if wrote_from(state, space.row.number, device, cursor)? {
            return Err(Rejection::Behind { index: space.row.head.saturating_sub(1) }.into());
        }
    }
    Ok(())
}

/// How many writers of a device have written in a space.
pub(super) fn writers_in<S: Store>(
    state: &mut State<S>,
    space: u32,
    device: &DeviceId,
) -> Result<usize, StoreError> {
    let mut count = 0;
    for writer in writers::of_device(state.store(), device)? {
        if let Some(number) = state.known_number(&writer)? {
            count += usize::from(state.tip(space, number)?.is_some());
        }
    }
    Ok(count)
}

/// Whether a change set of a device stands in a space's log at an index or behind it.
fn wrote_from<S: Store>(
    state: &mut State<S>,
    space: u32,
    device: &DeviceId,
    index: u64,
) -> Result<bool, StoreError> {
    for writer in writers::of_device(state.store(), device)? {
        let Some(number) = state.known_number(&writer)? else { continue };
        if state.tip(space, number)?.is_some_and(|row| row.index >= index) {
            return Ok(true);
        }
    }
    Ok(false)
}
