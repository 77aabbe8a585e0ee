//! The terminal client's machine mode over real relays: every device is a process of its own.

#![allow(clippy::unwrap_used, clippy::panic)]

mod device_kills;
mod devices;
#[cfg(unix)]
mod everything;
mod front_door;
mod full_disk;
mod invites;
mod long_days;
mod proxy;
mod secrets;
mod support;
#[cfg(unix)]
mod terminal;
mod two_people;
