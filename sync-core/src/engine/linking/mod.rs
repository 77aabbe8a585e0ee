//! How a device gets an account, and how an account gets a device.

pub(in crate::engine) mod guest;
pub(in crate::engine) mod hosting;
pub(in crate::engine) mod link;

use crate::engine::linking::guest::Guest;
use crate::engine::linking::hosting::Hosting;

/// What is under way of linking and recovery.
#[derive(Default)]
pub(in crate::engine) struct Linking {
    /// What this device does while it has no account.
    guest: Option<Guest>,
    /// A device that is being linked.
    hosting: Option<Box<Hosting>>,
}

impl Linking {
    /// Whether this device is about to get an account.
    pub(in crate::engine) fn has_guest(&self) -> bool {
        self.guest.is_some()
    }

    /// When something under way is given up, or looked for again.
    pub(in crate::engine) fn deadline(&self) -> Option<u64> {
        let guest = self.guest.as_ref().and_then(Guest::deadline);
        let hosting = self.hosting.as_ref().map(|hosting| hosting.deadline());
        guest.into_iter().chain(hosting).min()
    }

    /// Whether a new device is there, and waits for the log to be settled.
    pub(in crate::engine) fn waits_for_log(&self) -> bool {
        self.hosting.as_ref().is_some_and(|hosting| hosting.is_met())
    }
}
