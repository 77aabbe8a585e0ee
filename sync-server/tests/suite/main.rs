//! The relay: its rules, sessions and stores without sockets, and the real program with them.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs, unreachable_pub)]

#[cfg(unix)]
mod acme;
// Its attackers come from addresses of this machine that only here are all its own.
#[cfg(target_os = "linux")]
mod attacks;
mod bounds;
mod conformance;
mod cuts;
mod deletion;
mod delivery;
mod deployed;
mod devices;
mod filling;
mod flips;
mod invites;
mod kept_log;
mod kill;
#[cfg(unix)]
mod operate;
mod partitions;
#[cfg(target_os = "linux")]
mod phases;
mod pushes;
mod rendezvous;
mod requests;
mod reserve;
mod sessions;
mod shares;
mod sockets;
#[cfg(unix)]
mod starting;
mod support;
mod web;
mod welcomes;
mod world;
