//! What can go wrong with a group, and whose fault it is.

use sync_protocol::{DeviceId, ProtocolError};
use thiserror::Error;

/// Why a group operation did not happen. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum GroupError {
    /// Somebody else's bytes are not what they claim to be: a fact about the bytes.
    #[error("the {what} is malformed")]
    Malformed {
        /// Which bytes.
        what: &'static str,
    },
    /// Somebody else's bytes pass a limit.
    #[error("{what} is over the limit of {limit}")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// The limit, in bytes or items.
        limit: usize,
    },
    /// Well-formed, but it breaks a rule of the protocol: everybody refuses it.
    #[error("not valid: {0}")]
    Invalid(&'static str),
    /// A leaf's credential does not belong to its signature key.
    #[error("a leaf's credential does not match its signing key")]
    Credential,
    /// The commit is for another epoch than the group's.
    #[error("the commit is for epoch {found}, the group is in {expected}")]
    WrongEpoch {
        /// The group's epoch.
        expected: u64,
        /// The commit's epoch.
        found: u64,
    },
    /// The commit is our own: apply the pending one instead of reading it.
    #[error("the commit is this device's own")]
    Own,
    /// The commit looks good to all, but its secrets do not open for this device.
    #[error("the commit does not open for this device")]
    Unopenable,
    /// The Welcome is not for any key package this device has.
    #[error("the welcome names no key package of this device")]
    NotForUs,
    /// This device is no longer a member.
    #[error("this device is not, or no longer, in the group")]
    Inactive,
    /// The caller's: adding a device that is already a leaf.
    #[error("{0} is already in the group")]
    AlreadyIn(DeviceId),
    /// The caller's: a device that is not a leaf.
    #[error("{0} is not in the group")]
    NotIn(DeviceId),
    /// The caller's: there is a pending commit already, or there is none.
    #[error("{0}")]
    Usage(&'static str),
    /// The space asks for a newer protocol version than this build speaks.
    #[error("the space needs protocol version {version}")]
    Unsupported {
        /// The version asked for.
        version: u32,
    },
    /// Our own: the records do not load, or the library failed on our own data.
    #[error("local group state: {0}")]
    Local(String),
}

impl GroupError {
    /// A failure of the library on our own data.
    pub(super) fn local(error: impl std::fmt::Display) -> Self {
        Self::Local(error.to_string())
    }
}

impl From<ProtocolError> for GroupError {
    fn from(error: ProtocolError) -> Self {
        match error {
            ProtocolError::TooLarge { what, limit } => Self::TooLarge { what, limit },
            ProtocolError::Malformed(what) | ProtocolError::Spelling(what) => {
                Self::Malformed { what }
            }
            _ => Self::Invalid("a part of another protocol"),
        }
    }
}
