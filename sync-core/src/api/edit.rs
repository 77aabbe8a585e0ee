//! Names of edits.

use std::fmt;
use std::str::FromStr;

use sync_protocol::text::BASE64_URL;
use uuid::Uuid;

/// Names an edit, so that it is made once however often it is asked for: a UUID, drawn by whoever
/// asks, best of version 7 or 4.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct EditId(Uuid);

/// A text that is no [`EditId`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an edit is named by a UUID, as 36 characters with dashes")]
pub struct BadEditId;

impl EditId {
    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }
}

impl From<Uuid> for EditId {
    fn from(uuid: Uuid) -> Self {
        Self(uuid)
    }
}

impl From<[u8; 16]> for EditId {
    fn from(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }
}

impl fmt::Display for EditId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl FromStr for EditId {
    type Err = BadEditId;

    /// The standard text form; 32 hex digits and 22 characters of base64url name the same bytes.
    fn from_str(text: &str) -> Result<Self, BadEditId> {
        if matches!(text.len(), 32 | 36) {
            return Uuid::try_parse(text).map(Self).map_err(|_| BadEditId);
        }
        let bytes = BASE64_URL.decode(text).map_err(|_| BadEditId)?;
        bytes.try_into().map(Uuid::from_bytes).map(Self).map_err(|_| BadEditId)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_uuid_reads_back_from_its_standard_text() {
        let text = "01932c07-209c-7c1b-8d3e-0123456789ab";
        let id: EditId = text.parse().unwrap();
        assert_eq!(id.to_string(), text);
        for same in ["01932c07209c7c1b8d3e0123456789ab", "AZMsByCcfBuNPgEjRWeJqw"] {
            assert_eq!(same.parse::<EditId>().unwrap(), id, "{same}");
        }
        for bad in ["", "01932c07", "{01932c07-209c-7c1b-8d3e-0123456789ab}", "not-a-uuid"] {
            assert_eq!(bad.parse::<EditId>(), Err(BadEditId), "{bad}");
        }
    }
}
