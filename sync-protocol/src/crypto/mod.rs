//! The one door to the cryptography that engine and relay share: hashes and signatures.
//!
//! No other module names a library of cryptography; what seals stands behind `sync_core`'s own door.
//! Ids and envelopes carry an algorithm byte, so a second suite is a second arm here and nowhere else.

pub mod hash;
pub mod signing;
