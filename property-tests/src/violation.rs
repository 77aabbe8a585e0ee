//! What a world must never show.

use std::fmt;

/// Which of the promises was broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Invariant {
    /// Any two devices that have the same entries show the same state, in the same order.
    Equal,
    /// What the app was told is stored survives any crash of anything.
    Stored,
    /// An acknowledged edit is never lost, and never doubled.
    Kept,
    /// Order extends causality; one writer's messages are in the order they were written.
    Ordered,
    /// The relay never holds a plaintext.
    Sealed,
    /// A removed member reads nothing new, and nothing it writes after counts.
    Removed,
    /// Nothing crashes, wedges or exhausts an engine or a relay.
    Robust,
    /// Receipts and frontiers never go back.
    Forward,
    /// One (writer, seq) has one meaning, and no push passes a membership change unseen.
    Chained,
    /// A device never claims more than it knows.
    Honest,
    /// Nobody honest is accused, and nobody honest is put out.
    Just,
}

/// A broken promise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which.
    pub invariant: Invariant,
    /// How it showed.
    pub detail: String,
}

impl Violation {
    /// A violation that shows like this.
    #[must_use]
    pub fn new(invariant: Invariant, detail: impl Into<String>) -> Self {
        Self { invariant, detail: detail.into() }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} does not hold: {}", self.invariant, self.detail)
    }
}

impl std::error::Error for Violation {}
