//! Who may make an account.

use serde::{Deserialize, Serialize};

/// How long who meets a full disk is told to wait, in ms: its operator has to make room.
pub(super) const FULL_MS: u64 = 30_000;

/// Who may make an account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Registration {
    /// Anybody.
    #[default]
    Open,
    /// Who connects with a token that the operator made (`/v1/socket?token=...`).
    Token,
    /// Nobody.
    Closed,
}
