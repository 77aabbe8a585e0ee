//! The simulator: real engines and the relay's real rules over a network, disks and clocks that
//! fail, all in virtual time and all from one seed.
//!
//! [`World::new`] makes a world, [`World::run`] lets its people live in it, heals it and holds what
//! everybody then sees against the invariants of [`violation::Invariant`]. The same seed always
//! runs the same way; `cargo xtask seed N` replays one. [`World::of_devices`] makes worlds in which
//! people link, end and lose devices: `cargo xtask seed N --devices`.

pub mod adversary;
pub mod agenda;
pub mod book;
pub mod cell;
pub mod chance;
pub mod changes;
pub mod clock;
pub mod device;
pub mod disk;
pub mod draws;
pub mod invariants;
pub mod kind;
pub mod monitor;
pub mod network;
pub mod order;
pub mod plan;
pub mod presence;
pub mod registry;
pub mod relay_host;
pub mod relay_store;
mod remembered;
pub mod shrink;
pub mod situation;
pub mod soak;
pub mod stored;
pub mod story;
pub mod suite;
pub mod trace;
pub mod violation;
pub mod world;

pub use plan::Plan;
pub use violation::{Invariant, Violation};
pub use world::{Report, World};

/// Every text, title and name that people of a world use begins like this, so that one search finds
/// any of them where it must not be.
pub const MARK: &str = "plain~text~";
