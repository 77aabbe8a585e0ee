//! What a request may do: the relay as a deterministic state machine over commands.
//!
//! A request becomes a [`Command`], which names one [`Partition`] and carries its time. [`apply`]
//! reads and writes rows of that partition only, decides everything from the order of commands
//! alone, and never looks at a clock: duplicates, gaps and races fall out the same wherever the
//! same commands run. What a command means for another partition becomes a fact: a row of the outbox,
//! which is proposed as a command of its own.
//!
//! Positions are the log's. The small numbers of spaces and writers follow from its order, too; they decide
//! nothing.

mod account;
mod activity;
mod admission;
mod cache;
mod command;
mod cuts;
mod device;
mod device_logs;
mod ends;
mod invites;
mod log;
mod mend;
mod outbox;
mod proposers;
mod restore;
mod rows;
mod space;
mod spaces;
mod state;
mod version;
mod welcomes;
mod writers;

pub(crate) use account::proposed;
pub use admission::{Token, TokenHash, token_hashes, tokens};
pub use command::{
    AccountDevice, Action, Command, CommandId, FactId, InboxFrom, Partition, Position, Sealed,
};
pub use ends::{Swept, address_list_of, is_deleted, standing, unswept};
pub(crate) use invites::some as some_invites;
pub use invites::{Invite, invites, may_draw, would_redeem};
pub use log::Logged;
pub use mend::{Mended, mend};
pub use outbox::Fact;
pub(crate) use proposers::REMEMBERED;
pub use restore::put_back;
pub use rows::{Membership, StoredBytes};
pub(crate) use space::add_run;
pub use space::{Pushed, Space};
pub use state::State;
pub(crate) use state::{applied, log_of, note_log};
pub use version::NEWEST as NEWEST_RULES;

use sync_protocol::codec::Blob;
use sync_protocol::error::Rejection;
use sync_protocol::ids::{AccountId, DeviceId, SpaceId};

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

/// What a command did: all that anybody needs to hear of it, wherever it was proposed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// What it says, and nobody needs to hear of it.
    Done,
    /// An account's device log grew, or was as long already.
    LogGrew {
        /// Whose.
        account: AccountId,
        /// Entries before.
        before: u64,
        /// Entries now.
        len: u64,
        /// Devices that were ended.
        ended: Vec<DeviceId>,
    },
    /// Envelopes were judged.
    Pushed(Pushed),
    /// A session of a store of a device opens: all others of that store are over.
    Opened {
        /// The device.
        device: AccountDevice,
        /// Its store.
        incarnation: u64,
    },
    /// A key package left the store, or there was none.
    Package {
        /// Whose.
        device: AccountDevice,
        /// The package.
        package: Option<Blob>,
        /// Single-use ones left.
        left: u64,
        /// Whether it was one of them.
        spent: bool,
    },
    /// An item lies in a device's inbox.
    InboxGrew {
        /// Whose.
        device: AccountDevice,
        /// Its number.
        number: u64,
    },
    /// A space was deleted.
    SpaceEnded {
        /// Which.
        space: SpaceId,
        /// Who was in it.
        members: Vec<AccountId>,
    },
    /// An account was deleted.
    AccountEnded {
        /// Which.
        account: AccountId,
        /// Its devices.
        devices: Vec<DeviceId>,
    },
    /// An account is kept out.
    Suspended {
        /// Which.
        account: AccountId,
    },
}

/// Applies a command as the next one of the log, whoever proposed it.
///
/// # Errors
/// [`Fault::Rejected`] with nothing changed, or the store's failure.
pub fn apply<S: Store>(state: &mut State<S>, command: Command) -> Result<Effect, Fault> {
    state.begin(state.applied().next());
    settle(state, &command.action);
    judge(state, command)
}

/// Applies the command at a position of the log, as a whole: if a row that it needs is damaged, nothing
/// is changed. `None`, if it was applied before.
///
/// # Errors
/// As [`apply`].
pub fn apply_at<S: Store>(
    state: &mut State<S>,
    position: Position,
    command: Command,
) -> Result<Option<Effect>, Fault> {
    state.begin(position);
    if !state.is_new(&command.id) {
        return Ok(None);
    }
    settle(state, &command.action);
    state.mark();
    let done = judge(state, command);
    match &done {
        Err(Fault::Store(error)) if error.is_damage() => state.undo(),
        _ => state.keep(),
    }
    done.map(Some)
}

/// What goes with a space is found by its rows: they are there before it ends or is swept, however long ago
/// the last batch was.
fn settle<S: Store>(state: &mut State<S>, action: &Action) {
    match action {
        Action::EndSpace { .. } | Action::LeaveSpace { .. } | Action::Sweep { .. } => {
            state.settle();
        }
        Action::Fact { action, .. } => settle(state, action),
        _ => {}
    }
}

fn judge<S: Store>(state: &mut State<S>, mut command: Command) -> Result<Effect, Fault> {
    if let Action::Fact { id, .. } = &command.action {
        let Some(Fact { time_ms, action }) = outbox::take(state.store_mut(), id)? else {
            return Ok(Effect::Done);
        };
        command = Command { time_ms, action, ..command };
    }
    let max = state.rules().max(1);
    if command.rules > max {
        // Made where others were in force already: it is proposed again when they are here, too.
        return Err(Rejection::Unsupported { min: 1, max }.into());
    }
    match command.partition() {
        Partition::Relay => relay(state, &command.action),
        Partition::Token(_) => token(state, &command),
        Partition::Space(_) => space::apply_space(state, command),
        Partition::Device(_) => device::apply_device(state, command),
        Partition::Account(_) | Partition::Address(_) => account::apply_account(state, command),
    }
}

/// What lets new accounts in.
fn token<S: Store>(state: &mut State<S>, command: &Command) -> Result<Effect, Fault> {
    let time_ms = command.time_ms;
    match &command.action {
        Action::AddToken { hash, token } => Ok(admission::add(state, hash, token)),
        Action::RemoveToken { hash } => Ok(admission::remove(state, hash)),
        Action::SpendToken { hash } => admission::spend(state, hash, time_ms),
        Action::AddInvite { hash, invite } => invites::add(state, hash, invite, time_ms),
        Action::RemoveInvite { hash } => Ok(invites::remove(state, hash)),
        Action::RedeemInvite { hash, account } => invites::redeem(state, hash, account, time_ms),
        _ => Err(Rejection::Invalid.into()),
    }
}

/// What is said of the relay itself.
fn relay<S: Store>(state: &mut State<S>, action: &Action) -> Result<Effect, Fault> {
    let version = match action {
        Action::Found { rules, .. } => *rules,
        Action::ActivateRules { version } => *version,
        _ => return Err(Rejection::Invalid.into()),
    };
    if version > NEWEST_RULES {
        // Whoever judged on by older rules would come to another state than those who know them.
        return Err(StoreError::NewerRules { found: version, known: NEWEST_RULES }.into());
    }
    match action {
        Action::Found { relay, generation, rules } => {
            let identity = crate::relay::Identity { relay: *relay, generation: *generation };
            state.found(identity, *rules);
        }
        _ if version > state.rules() => state.activate(version),
        _ => {}
    }
    Ok(Effect::Done)
}
