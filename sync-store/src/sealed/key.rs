//! The key that seals a store.

use std::fmt;

use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::StoreError;

/// Bytes of a key: two of AES-256, one for blocks and one for where they lie.
const KEY_LEN: usize = 64;

/// The key that seals a store: 512 bits, drawn at random. The program keeps it, and whoever loses it
/// has lost what is in the store. It is wiped from memory when it is dropped, and never printed.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct StoreKey([u8; KEY_LEN]);

impl StoreKey {
    /// A key that was drawn before.
    #[must_use]
    pub fn from_bytes(bytes: [u8; KEY_LEN]) -> Self {
        Self(bytes)
    }

    /// Draws a key.
    ///
    /// # Errors
    /// If the system gives no randomness.
    pub fn draw() -> Result<Self, StoreError> {
        let mut key = Self([0; KEY_LEN]);
        getrandom::fill(&mut key.0).map_err(|error| StoreError::Io(error.to_string()))?;
        Ok(key)
    }

    /// What is to be kept of it, where nobody else reads it.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; KEY_LEN] {
        &self.0
    }
}

impl fmt::Debug for StoreKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StoreKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_never_printed_and_never_the_same() {
        let key = StoreKey::draw().expect("there is randomness");
        assert_eq!(format!("{key:?}"), "StoreKey(..)");
        assert_ne!(key.as_bytes(), StoreKey::draw().expect("there is randomness").as_bytes());
        assert_eq!(StoreKey::from_bytes(*key.as_bytes()).as_bytes(), key.as_bytes());
    }
}
