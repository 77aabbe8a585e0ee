//! Cuts: where the writers of removed devices end (`docs/protocol.md`, "Cuts").

use sync_protocol::envelope::CommitHeader;
use sync_protocol::error::Rejection;
use sync_protocol::frontier::Tip;
use sync_protocol::ids::{DeviceId, WriterId};
use sync_protocol::roster::RosterChange;

use crate::rules::Fault;
use crate::rules::space::Space;
use crate::rules::state::State;
use crate::store::{Store, StoreError};

/// Judges a commit's cuts of devices that it removes from accounts which stay. `cursor` is how far
/// in the log its author had read.
///
/// A writer that is cut short, or not named though it wrote, means that the author has not seen all
/// of it, and is `Behind`. Once the author has read the whole log its word stands: of what the relay
/// took in, an entry that every device finds invalid counts for nothing, or a device could ward off
/// its own removal with such entries.
///
/// # Errors
/// `Behind`, or `Invalid` for a cut beyond what the writer wrote, or of another chain.
pub(super) fn judge<S: Store>(
    state: &mut State<S>,
    space: &Space,
    commit: &CommitHeader,
    cursor: u64,
) -> Result<(), Fault> {
    let (number, head) = (space.row.number, space.row.head);
    let has_read_all = cursor >= head;
    let unseen = Rejection::Behind { index: head.saturating_sub(1) };
    let removed: Vec<&DeviceId> = removed(commit).collect();
    for (writer, seq, link) in &commit.cuts {
        if !removed.contains(&&writer.device) {
            continue;
        }
        let tip = state.tip_of(number, writer)?;
        if tip.seq > *seq && !has_read_all {
            return Err(unseen.into());
        }
        if tip.seq < *seq || (tip.seq == *seq && tip.link != *link) {
            return Err(Rejection::Invalid.into());
        }
    }
    for device in removed {
        for writer in state.writers_of(device)? {
            let is_named = commit.cuts.iter().any(|(named, ..)| *named == writer);
            if !is_named && !has_read_all && state.tip_of(number, &writer)?.seq > 0 {
                return Err(unseen.into());
            }
        }
    }
    Ok(())
}

/// Devices that the commit removes for good. One that it adds again goes on writing.
fn removed(commit: &CommitHeader) -> impl Iterator<Item = &DeviceId> {
    let gone = commit.roster.iter().flat_map(|change| match change {
        RosterChange::RemoveDevices { devices, .. } => devices.as_slice(),
        _ => &[],
    });
    gone.filter(|device| {
        !commit.roster.iter().any(|change| match change {
            RosterChange::AddDevices { devices, .. } => devices.contains(device),
            _ => false,
        })
    })
}

impl<S: Store> State<S> {
    /// Where a writer's chain stands in a space.
    fn tip_of(&mut self, space: u32, writer: &WriterId) -> Result<Tip, StoreError> {
        let Some(number) = self.known_number(writer)? else { return Ok(Tip::START) };
        Ok(self.tip(space, number)?.map_or(Tip::START, |row| row.tip))
    }
}
