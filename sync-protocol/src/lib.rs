//! Rejoinder's wire: what devices and relays say to each other, byte for byte.
//!
//! This crate is shared by the engine and the relay. It knows ids, device logs, envelopes, frames,
//! frontiers, signatures and limits. It knows neither Automerge nor MLS, performs no I/O, reads no
//! clock and draws no randomness. `docs/protocol.md` is its authority; the vectors in
//! `docs/vectors` are replayed by its tests.
//!
//! Reading order: [`ids`] and [`limits`], then [`device_log`] (who may speak), [`envelope`] (what is
//! said), [`frames`] (how it travels).

// The derive names it so, here as elsewhere.
extern crate self as sync_protocol;

pub mod address;
pub mod codec;
pub mod crypto;
pub mod device_log;
pub mod dormancy;
pub mod envelope;
pub mod error;
pub mod frames;
pub mod frontier;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
pub mod ids;
pub mod limits;
pub mod roster;
pub mod sorted;
pub mod text;

pub use crypto::{hash, signing};
pub use error::{ProtocolError, Rejection};
pub use ids::{AccountId, DeviceId, EpochId, Link, Position, SpaceId, WriterId};
