//! The relay without sockets: rules, sessions, stores.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs, unreachable_pub)]

#[path = "../support/mod.rs"]
mod support;

mod conformance;
mod delivery;
mod partitions;
mod pushes;
mod requests;
mod sessions;
mod world;
