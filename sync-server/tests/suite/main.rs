//! The relay without sockets: rules, sessions, stores.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs, unreachable_pub)]

#[path = "../support/mod.rs"]
mod support;

mod conformance;
mod cuts;
mod delivery;
mod devices;
mod partitions;
mod pushes;
mod rendezvous;
mod requests;
mod sessions;
mod world;
