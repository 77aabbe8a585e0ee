//! The version vector of a space: for each writer, the last sequence number and its link.

use std::collections::BTreeMap;

use crate::codec::{Decode, Encode};

use crate::ids::{Commitment, DeviceId, Link, WriterId};

/// Where a writer's chain stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Tip {
    /// The last sequence number; 0 before the first.
    #[n(0)]
    pub seq: u64,
    /// The link at that number.
    #[n(1)]
    pub link: Link,
}

impl Tip {
    /// Before a writer's first change set.
    pub const START: Self = Self { seq: 0, link: Link::START };

    /// Judges a change set against this tip.
    #[must_use]
    pub fn judge(&self, writer: &WriterId, seq: u64, commitment: &Commitment, link: &Link) -> Step {
        if seq == self.seq.wrapping_add(1) && self.seq != u64::MAX {
            if self.link.next(writer, seq, commitment) == *link { Step::Next } else { Step::Broken }
        } else if seq <= self.seq {
            if seq == self.seq && *link != self.link { Step::Equivocation } else { Step::Known }
        } else {
            Step::Gap
        }
    }
}

/// How a change set relates to a writer's tip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// It continues the chain.
    Next,
    /// It was seen before (older than the tip: only the number says so).
    Known,
    /// Earlier ones are missing.
    Gap,
    /// It has the tip's number and another link.
    Equivocation,
    /// It has the next number, but its link does not follow.
    Broken,
}

/// Writer by writer, what is known of a space.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frontier(BTreeMap<WriterId, Tip>);

impl Frontier {
    /// The writer's tip, `START` if it never wrote.
    #[must_use]
    pub fn tip(&self, writer: &WriterId) -> Tip {
        self.0.get(writer).copied().unwrap_or(Tip::START)
    }

    /// Moves a writer's tip forward. Frontiers never go back: a lower tip is ignored.
    pub fn advance(&mut self, writer: WriterId, tip: Tip) {
        let entry = self.0.entry(writer).or_insert(Tip::START);
        if tip.seq > entry.seq {
            *entry = tip;
        }
    }

    /// Forgets a writer.
    pub fn remove(&mut self, writer: &WriterId) {
        self.0.remove(writer);
    }

    /// Number of writers that a device has.
    #[must_use]
    pub fn writers_of(&self, device: &DeviceId) -> usize {
        let writer = |incarnation| WriterId { device: *device, incarnation };
        self.0.range(writer(0)..=writer(u64::MAX)).count()
    }

    /// All tips, sorted by writer.
    pub fn iter(&self) -> impl Iterator<Item = (&WriterId, &Tip)> {
        self.0.iter()
    }

    /// Number of writers.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nobody wrote.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tip_tells_next_known_gap_and_equivocation_apart() {
        let writer = WriterId { device: DeviceId::of_signing_key(&[1; 32]), incarnation: 1 };
        let c = |n: u8| Commitment::from_bytes([n; 32]);
        let first = Tip { seq: 1, link: Link::START.next(&writer, 1, &c(1)) };
        assert_eq!(Tip::START.judge(&writer, 1, &c(1), &first.link), Step::Next);
        assert_eq!(Tip::START.judge(&writer, 1, &c(2), &first.link), Step::Broken);
        assert_eq!(Tip::START.judge(&writer, 2, &c(1), &first.link), Step::Gap);
        assert_eq!(first.judge(&writer, 1, &c(1), &first.link), Step::Known);
        let other = Link::START.next(&writer, 1, &c(2));
        assert_eq!(first.judge(&writer, 1, &c(2), &other), Step::Equivocation);
        assert_eq!(first.judge(&writer, u64::MAX, &c(2), &other), Step::Gap);
        let last = Tip { seq: u64::MAX, link: first.link };
        assert_ne!(last.judge(&writer, 0, &c(1), &other), Step::Next);
    }

    #[test]
    fn a_frontier_never_goes_back() {
        let writer = WriterId { device: DeviceId::of_signing_key(&[1; 32]), incarnation: 1 };
        let mut frontier = Frontier::default();
        frontier.advance(writer, Tip { seq: 5, link: Link::from_bytes([5; 32]) });
        frontier.advance(writer, Tip { seq: 4, link: Link::from_bytes([4; 32]) });
        assert_eq!(frontier.tip(&writer).seq, 5);
    }
}
