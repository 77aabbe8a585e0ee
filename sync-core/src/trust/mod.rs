//! What is believed, and why not.
//!
//! Whatever comes from a relay, from another member or from a device that may be stolen is judged
//! here, by pure functions from what is proven so far and what came to a verdict with a reason.
//! Nothing is written before the verdict, and a verdict rests on nothing that only this device
//! happens to know: a device that reads the same later, from history, comes to the same.

pub(crate) mod code;
pub mod cut;
pub mod entrance;
pub mod entry;
mod heads;
mod invalid;
mod lineage;
pub(crate) mod logs;
pub(crate) mod pins;
pub mod posting;
pub mod rights;
pub(crate) mod safety;
pub(crate) mod sightings;

pub use heads::{Head, Heads};
pub use invalid::Invalid;
pub use lineage::{Ancestor, Lineage};
pub use rights::Rights;
