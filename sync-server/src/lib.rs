//! Rejoinder's relay: it stores and forwards sealed envelopes that it cannot read.
//!
//! Three layers, each of which knows only the one before it:
//!
//! - [`rules`]: what a request may do. Pure: commands in, changed rows and effects out. No clock,
//!   no randomness, no thread, no socket.
//! - [`relay`]: sessions over the rules. Sans-IO: frames in, frames out, a [`store::Store`] below.
//!   The simulator runs exactly this.
//! - the host: [`hub`] (one thread that owns the relay), [`server`] (sockets and HTTP),
//!   [`config`], [`telemetry`].
//!
//! `docs/protocol.md` is the authority on what travels.

mod accept;
pub mod admin;
mod clock;
pub mod config;
pub mod data;
mod deadlines;
mod disk;
mod gather;
pub mod heartbeat;
pub mod hub;
mod inflow;
pub mod log;
pub mod notify;
mod origins;
mod page;
pub mod peers;
pub mod refusals;
pub mod relay;
pub mod repair;
mod rooms;
pub mod rules;
pub mod server;
mod socket;
pub mod store;
pub mod telemetry;
mod tls;
mod turns;
mod verifying;
mod waiting;
mod web;
mod whole;
