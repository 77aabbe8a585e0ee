//! How this device comes into a space: invited by another, or by a ticket that an own device left.

mod by_ticket;
mod chain;
pub(in crate::engine) mod entrances;
pub(in crate::engine) mod footing;
pub(in crate::engine) mod inbox;
pub(in crate::engine) mod strays;
pub(in crate::engine) mod tickets;
