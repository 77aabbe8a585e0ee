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
mod admission;
mod cache;
mod command;
mod cuts;
mod device;
mod ends;
mod log;
mod mend;
mod restore;
mod rows;
mod space;
mod state;
mod welcomes;

pub(crate) use account::proposed;
pub use admission::{Token, TokenHash, token_hashes, tokens};
pub use command::{AccountDevice, Action, Command, InboxFrom, Partition, RULES, Sealed};
pub use ends::{Swept, address_list_of, is_deleted, standing, unswept};
pub use log::Logged;
pub use mend::{Mended, mend};
pub use restore::put_back;
pub use rows::{Membership, StoredBytes};
pub(crate) use space::add_run;
pub use space::{Pushed, Space};
pub use state::State;

use sync_protocol::codec::Blob;
use sync_protocol::error::Rejection;
use sync_protocol::ids::{AccountId, DeviceId};

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

/// Whether an account may come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It may.
    Good,
    /// Not now.
    Suspended,
    /// It was deleted.
    Deleted,
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
    /// A space was deleted.
    SpaceEnded {
        /// Who was in it.
        members: Vec<AccountId>,
    },
    /// An account was deleted.
    AccountEnded {
        /// Its devices.
        devices: Vec<DeviceId>,
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
        Partition::Token(_) => Ok(match &command.action {
            Action::AddToken { hash, token } => admission::add(state, hash, token),
            Action::RemoveToken { hash } => admission::remove(state, hash),
            Action::SpendToken { hash } => admission::spend(state, hash, command.time_ms)?,
            _ => return Err(Rejection::Invalid.into()),
        }),
        Partition::Space(_) => space::apply_space(state, command),
        Partition::Device(_) => device::apply_device(state, command),
        Partition::Account(_) | Partition::Address(_) => account::apply_account(state, command),
    }
}

/// Applies a command, or what waits for another partition, as a whole: if a row that it needs is
/// damaged, nothing is changed.
///
/// # Errors
/// As [`apply`].
pub(crate) fn apply_whole<S: Store>(
    state: &mut State<S>,
    apply: impl FnOnce(&mut State<S>) -> Result<Effect, Fault>,
) -> Result<Effect, Fault> {
    state.mark();
    let done = apply(state);
    match &done {
        Err(Fault::Store(error)) if error.is_damage() => state.undo(),
        _ => state.keep(),
    }
    done
}

/// The oldest fact that waits can't be applied now: it waits for the next start.
pub(crate) fn pass_fact<S: Store>(state: &mut State<S>) {
    state.pass_fact();
}

/// Takes the oldest fact that waits for another partition, as the command it is.
///
/// # Errors
/// If the store fails.
pub fn next_fact<S: Store>(state: &mut State<S>) -> Result<Option<Command>, StoreError> {
    state.take_fact()
}
