//! Rejoinder's engine: documents, keys, sealing and sessions, without I/O.
//!
//! [`Engine`] is a closed state machine. A host feeds it [`Input`]s and carries out its
//! [`Output`]s: persist this batch, load those records, connect, send this message, tell the app.
//! It draws on no clock, no ambient randomness, no thread and no socket, so a whole world of
//! engines replays from one seed.
//!
//! The order of calls: [`Engine::open`] once with the records of [`records::index_prefixes`], then
//! [`Engine::handle`] for every input, and after each [`Engine::poll_output`] until it is empty.
//!
//! [`json`] is the same for programs: methods by name, and everything as JSON.
//!
//! [`host`] is what every host does around the engine, also without I/O.
//!
//! [`trust`] decides what is believed.
//!
//! [`document`] and [`group`] can be read alone: the one keeps Automerge at arm's length, the other
//! MLS.

#[cfg(test)]
#[macro_use]
mod every;

pub mod api;
mod crypto;
pub mod document;
pub mod engine;
pub mod group;
pub mod host;
pub mod json;
pub mod line;
pub mod records;
pub mod trust;

pub use api::{Command, CommandId, Event, Failure, Input, Output, Response};
pub use engine::Engine;
