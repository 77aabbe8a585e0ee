//! What a request may do: the relay as a deterministic state machine over commands.
//!
//! A request becomes a [`Command`], which names one [`Partition`] and carries its time. [`apply`]
//! reads and writes rows of that partition only, decides everything from the order of commands
//! alone, and never looks at a clock: duplicates, gaps and races fall out the same wherever the
//! same commands run. What a command means for another partition becomes a row of the outbox, and
//! from there a command of its own.
//!
//! Positions in the store and the small numbers of spaces and writers are names local to one
//! store; they decide nothing.

mod account;
mod activity;
mod cache;
mod command;
mod cuts;
mod device;
mod log;
mod rows;
mod space;
mod state;
mod welcomes;

pub(crate) use account::proposed;
pub use command::{AccountDevice, Action, Command, InboxFrom, Partition, RULES, Sealed};
pub use log::Logged;
pub use rows::{Membership, StoredBytes};
pub(crate) use space::add_run;
pub use space::{Pushed, Space};
pub use state::State;

use sync_protocol::codec::Blob;
use sync_protocol::error::Rejection;
use sync_protocol::ids::DeviceId;

use crate::store::{Store, StoreError};

/// Why a command did not do what it says.
#[derive(Debug)]
pub enum Fault {
    /// The rules refuse it; nothing was changed.
    Rejected(Rejection),
    /// The store failed: nothing since the last commit counts.
    Store(StoreError),
}

impl From<Rejection> for Fault {
    fn from(rejection: Rejection) -> Self {
        Self::Rejected(rejection)
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// What a command did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// What it says, and nobody needs to hear of it.
    Done,
    /// An account's device log has this many entries now.
    LogGrew {
        /// Entries.
        len: u64,
        /// Devices that were ended.
        ended: Vec<DeviceId>,
    },
    /// Envelopes were judged.
    Pushed(Pushed),
    /// A key package left the store, or there was none.
    Package {
        /// The package.
        package: Option<Blob>,
        /// Single-use ones left.
        left: u64,
        /// Whether it was one of them.
        spent: bool,
    },
    /// An item lies in a device's inbox.
    InboxGrew {
        /// Its number.
        number: u64,
    },
}

/// Applies a command.
///
/// # Errors
/// [`Fault::Rejected`] with nothing changed, or the store's failure.
pub fn apply<S: Store>(state: &mut State<S>, command: Command) -> Result<Effect, Fault> {
    if command.rules != RULES {
        return Err(Rejection::Unsupported { min: RULES, max: RULES }.into());
    }
    match command.partition() {
        Partition::Space(_) => space::apply_space(state, command),
        Partition::Device(_) => device::apply_device(state, command),
        Partition::Account(_) | Partition::Address(_) => account::apply_account(state, command),
    }
}

/// Takes the oldest fact that waits for another partition, as the command it is.
///
/// # Errors
/// If the store fails.
pub fn next_fact<S: Store>(state: &mut State<S>) -> Result<Option<Command>, StoreError> {
    state.take_fact()
}
