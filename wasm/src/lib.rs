//! Rejoinder in a browser: the engine in a dedicated worker, with a socket, a store and a clock.
//!
//! `Client` is what the worker's script holds: methods by name, parameters and results as plain
//! objects, as `examples/chat/README.md` lists them. Behind it one task owns the engine (`host`),
//! one the store (`store`); nothing here may run on a page's own thread, since files can be
//! written at once only in a worker.
//!
//! In native builds the crate is empty.

#![cfg_attr(not(target_family = "wasm"), allow(missing_docs))]

#[cfg(target_family = "wasm")]
mod browser;
#[cfg(target_family = "wasm")]
mod client;
#[cfg(target_family = "wasm")]
mod failure;
#[cfg(target_family = "wasm")]
mod host;
#[cfg(target_family = "wasm")]
mod notices;
#[cfg(target_family = "wasm")]
mod socket;
#[cfg(target_family = "wasm")]
pub mod store;
#[cfg(target_family = "wasm")]
mod worker;

#[cfg(target_family = "wasm")]
pub use client::Client;
