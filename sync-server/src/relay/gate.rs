//! The gate: who may come in at all now, and whether anything new is taken.

use serde::{Deserialize, Serialize};

use sync_protocol::error::Rejection;
use sync_protocol::ids::AccountId;

use crate::rules::{Action, TokenHash};

/// How long who meets a full disk is told to wait, in ms: its operator has to make room.
const FULL_MS: u64 = 30_000;

/// Who may make an account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Registration {
    /// Anybody.
    #[default]
    Open,
    /// Who connects with a token that the operator made (`/v1/socket?token=...`).
    Token,
    /// The same, or with the code of an invite, which accounts draw.
    Invite,
    /// Nobody.
    Closed,
}

/// What the operator, and the disk, let in.
#[derive(Debug, Default)]
pub(super) struct Gate {
    registration: Registration,
    /// Whether the disk is full to its reserve.
    is_full: bool,
    /// What everybody is told to wait since the relay drains.
    draining_ms: Option<u64>,
}

impl Gate {
    /// Changes who may make an account.
    pub(super) fn set_registration(&mut self, registration: Registration) {
        self.registration = registration;
    }

    /// The disk is full to its reserve, or has room again.
    pub(super) fn set_full(&mut self, is_full: bool) {
        self.is_full = is_full;
    }

    /// Nobody comes in any more.
    pub(super) fn drain(&mut self, retry_ms: u64) {
        self.draining_ms = Some(retry_ms);
    }

    /// What everybody is told to wait, if the relay drains.
    pub(super) fn draining(&self) -> Option<u64> {
        self.draining_ms
    }

    /// Whether something new may be stored.
    pub(super) fn has_room(&self) -> Result<(), Rejection> {
        if self.is_full { Err(Rejection::Full { retry_ms: FULL_MS }) } else { Ok(()) }
    }

    /// Whether somebody may make an account with what was brought; and what has to be done for it, if
    /// anything.
    pub(super) fn founder(
        &self,
        account: AccountId,
        token: Option<TokenHash>,
    ) -> Result<Option<Action>, Rejection> {
        self.has_room()?;
        match (self.registration, token) {
            (Registration::Open, _) => Ok(None),
            (Registration::Token, Some(hash)) => Ok(Some(Action::SpendToken { hash })),
            (Registration::Invite, Some(hash)) => Ok(Some(Action::RedeemInvite { hash, account })),
            (Registration::Token | Registration::Invite, None) | (Registration::Closed, _) => {
                Err(Rejection::Denied)
            }
        }
    }

    /// Whether accounts may draw invites: only where they let somebody in.
    pub(super) fn wants_invites(&self) -> Result<(), Rejection> {
        match self.registration {
            Registration::Invite => Ok(()),
            Registration::Open | Registration::Token | Registration::Closed => {
                Err(Rejection::Denied)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_make_an_account_is_the_operators_to_say() {
        let (mut gate, hash) = (Gate::default(), TokenHash::of("abc"));
        let account = AccountId::from_bytes([1; 33]);
        assert_eq!(gate.founder(account, Some(hash)), Ok(None));
        for (registration, spends, wants) in [
            (Registration::Token, Action::SpendToken { hash }, false),
            (Registration::Invite, Action::RedeemInvite { hash, account }, true),
        ] {
            gate.set_registration(registration);
            assert_eq!(gate.founder(account, Some(hash)), Ok(Some(spends)));
            assert_eq!(gate.founder(account, None), Err(Rejection::Denied));
            assert_eq!(gate.wants_invites().is_ok(), wants);
        }
        gate.set_registration(Registration::Closed);
        assert_eq!(gate.founder(account, Some(hash)), Err(Rejection::Denied));
        assert_eq!(gate.wants_invites(), Err(Rejection::Denied));
    }

    #[test]
    fn a_full_disk_takes_nobody_in() {
        let (mut gate, account) = (Gate::default(), AccountId::from_bytes([1; 33]));
        gate.set_full(true);
        assert_eq!(gate.founder(account, None), Err(Rejection::Full { retry_ms: FULL_MS }));
        gate.set_full(false);
        assert_eq!((gate.has_room(), gate.draining()), (Ok(()), None));
        gate.drain(7);
        assert_eq!(gate.draining(), Some(7));
    }
}
