//! Rejoinder on a real machine: the engine with a disk, a socket and a clock.
//!
//! [`Client`] is what an app holds. Behind it, one thread owns the engine ([`host`](self)), one
//! owns the store ([`store`]), and a task for each connection moves messages ([`RelayUrl`]).
//! Everything an app changes is durable here before the call returns, connected or not; the
//! process may be killed at any instant.
//!
//! The families of calls: [`Client::open`] and [`Client::close`]; one async method for each thing
//! an app can want ([`Client::send_message`] and its like, or [`Client::command`] with the enum);
//! [`Client::events`] for what should be shown; [`Client::wait`] for what should be waited for.

mod client;
mod host;
mod relay_url;
mod socket;
pub mod store;
mod tls;

pub use client::{Client, Events, Notice, OpenError, Options, Submitted};
pub use relay_url::{BadRelayUrl, RelayUrl};
pub use socket::ConnectError;
pub use store::StoreError;
pub use tls::TlsError;
