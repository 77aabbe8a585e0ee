//! Names of edits.

use std::fmt;
use std::str::FromStr;

use sync_protocol::text::{BASE64_URL, HEX};

/// Names an edit, so that it is made once however often it is asked for: 16 random bytes, drawn by
/// whoever asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct EditId([u8; 16]);

/// A text that is no [`EditId`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an edit is named by 16 bytes, as 32 hex digits or 22 of base64url")]
pub struct BadEditId;

impl EditId {
    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl From<[u8; 16]> for EditId {
    fn from(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for EditId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&BASE64_URL.encode(self.0))
    }
}

impl FromStr for EditId {
    type Err = BadEditId;

    fn from_str(text: &str) -> Result<Self, BadEditId> {
        let bytes = match text.len() {
            32 => HEX.decode(&text.to_ascii_lowercase()),
            _ => BASE64_URL.decode(text),
        };
        let bytes = bytes.map_err(|_| BadEditId)?;
        bytes.try_into().map(Self).map_err(|_| BadEditId)
    }
}
