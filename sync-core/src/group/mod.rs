//! One space's key agreement: an MLS group (RFC 9420) behind our own rules.
//!
//! Everybody who holds a [`Group`] in the same epoch has the same [`root`](Group::root). A commit
//! makes the next epoch: [`Group::commit`] builds one and leaves it pending, the relay orders it, and
//! then its author calls [`Group::merge_pending`] and everybody else [`Group::read_commit`] and
//! [`Group::apply`]; who lost the race applies the winner and builds again. Newcomers
//! [`join`](Group::join) by the Welcome that comes with a commit, for one of their key packages.
//!
//! What this module sees to: one ciphersuite; every leaf's credential belongs to its signing key and
//! never changes; a commit is by a member, renews its author's keys, and adds, removes or sets the
//! [`Context`], nothing else, or it is by a device that [enters](Group::enter) from outside and does
//! only that; no verdict depends on a clock. What it leaves to its caller: whether the
//! committer may do that, whether a device's account vouches for it, and which of two commits counts.
//!
//! An operation takes the only randomness it has as an argument, a seed that no other operation of any
//! device may share. Two things in openmls still vary from run to run: the order of two or more
//! removals in one commit, and the bytes (not the meaning) of some records, which hold a time that
//! nothing reads and sets in no fixed order.
//!
//! # What it costs
//!
//! Bytes, measured by a test; a group is 11 records, all loaded together:
//!
//! | leaves | records | with a commit pending | a commit that renews keys |
//! |---|---|---|---|
//! | 2 | 2,100 | 3,600 | 563 |
//! | 8 | 3,700 | 5,500 | 1,125 |
//! | 64 | 17,100 | 19,500 | 5,822 |
//!
//! A key package is 343 bytes where it is published and 426 in its owner's records.

mod binding;
mod codec;
mod context;
mod error;
mod external;
mod identity;
mod incoming;
mod join;
mod key_package;
mod memory;
mod outgoing;
mod state;
mod storage;

pub use context::Context;
pub use error::GroupError;
pub use external::Entered;
pub use identity::{Identity, Leaf};
pub use incoming::Incoming;
pub use join::Joined;
pub use key_package::{NewKeyPackage, new_key_package, read_key_package};
pub use outgoing::{Change, Commit};
pub use state::Group;
pub use storage::{RecordDiff, Records};

#[cfg(test)]
mod golden_tests;
#[cfg(test)]
mod hostile_tests;
#[cfg(all(test, not(target_family = "wasm")))]
mod tests;
