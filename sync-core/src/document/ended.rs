//! What a removed device wrote beyond its end: it stays, since others may build on it, and does not
//! show.

use sync_protocol::codec::{Decode, Encode};
use sync_protocol::{DeviceId, WriterId};

use super::Placement;

/// Where in the log a device's entries do not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Ended {
    /// Whose.
    #[n(0)]
    pub device: DeviceId,
    /// The first index that does not count.
    #[n(1)]
    pub from: u64,
    /// The index after the last.
    #[n(2)]
    pub to: u64,
}

impl Ended {
    /// Whether an index does not count.
    #[must_use]
    pub fn covers(&self, index: u64) -> bool {
        (self.from..self.to).contains(&index)
    }

    /// Whether it is about a change of a writer with this place.
    pub(crate) fn is_of(&self, writer: &WriterId, placement: Option<&Placement>) -> bool {
        writer.device == self.device && placement.is_some_and(|place| self.covers(place.index))
    }
}
