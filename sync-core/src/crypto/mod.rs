//! The one door to what seals: AEAD, HPKE, key derivation, and the cryptography that MLS runs on.
//!
//! No other module names a library of cryptography but `sync_protocol::crypto`, which has the hashes and
//! the signatures. There is one suite today: X25519, HKDF-SHA256, ChaCha20-Poly1305 and Ed25519. What is
//! sealed carries an algorithm byte, so a second suite is a second arm here and nowhere else.

pub(crate) mod aead;
pub(crate) mod hpke;
pub(crate) mod kdf;
pub(crate) mod mls;

use zeroize::Zeroizing;

/// A 32-byte secret: cleared when dropped.
pub(crate) type Secret = Zeroizing<[u8; 32]>;

/// Bytes that do not open: altered, or sealed to somebody else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DoesNotOpen;
