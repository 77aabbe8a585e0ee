//! Which handshakes in a log led to an epoch that is known to be good.
//!
//! The relay only orders, and anybody may put a handshake into a log that all members pass over.
//! Whoever reads a log without the keys of its time can't judge them. But an epoch's id commits to
//! the epoch before it and to what its commit did: from one good epoch the names alone lead back, and
//! each handshake on the way is as its author signed it.

use sync_protocol::codec::{Decode, Encode};
use sync_protocol::envelope::CommitHeader;
use sync_protocol::ids::LogHead;
use sync_protocol::roster::RosterChange;
use sync_protocol::{AccountId, EpochId};

use super::Invalid;

/// Handshakes kept at most until one of them is known to be good. Beyond, the oldest go: a relay that
/// orders more than that between two good ones leads nobody anywhere.
const SEEN: usize = 16_384;

/// A handshake as everybody can read it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Ancestor {
    /// The epoch it leads to.
    #[n(0)]
    pub child: EpochId,
    /// The epoch it follows.
    #[n(1)]
    pub parent: EpochId,
    /// The number of the epoch that it leads to.
    #[n(2)]
    pub number: u64,
    /// Its place in the log.
    #[n(3)]
    pub index: u64,
    /// What it does to the roster.
    #[n(4)]
    pub roster: Vec<RosterChange>,
    /// The device logs it was judged against.
    #[n(5)]
    pub logs: Vec<(AccountId, u64, LogHead)>,
}

impl Ancestor {
    /// A handshake at a place in the log. Its name must have been checked:
    /// [`Envelope::names_its_epoch`](sync_protocol::envelope::Envelope::names_its_epoch).
    #[must_use]
    pub fn new(child: EpochId, index: u64, commit: CommitHeader) -> Self {
        let CommitHeader { parent, number, roster, logs, .. } = commit;
        Self { child, parent, number, index, roster, logs }
    }
}

/// The handshakes of a log since the last epoch that is known to be good.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Lineage {
    /// The last good epoch; [`EpochId::NONE`] before the founding.
    #[n(0)]
    good: EpochId,
    /// The number of the epoch after it.
    #[n(1)]
    next: u64,
    #[n(2)]
    seen: Vec<Ancestor>,
}

impl Default for Lineage {
    /// From the founding on.
    fn default() -> Self {
        Self { good: EpochId::NONE, next: 0, seen: Vec::new() }
    }
}

impl Lineage {
    /// Takes note of a handshake, once.
    pub fn see(&mut self, ancestor: Ancestor) {
        let known = |seen: &Ancestor| seen.child == ancestor.child;
        if ancestor.child == self.good || self.seen.iter().any(known) {
            return;
        }
        if self.seen.len() >= SEEN {
            self.seen.remove(0);
        }
        self.seen.push(ancestor);
    }

    /// The last epoch that is known to be good.
    #[must_use]
    pub fn good(&self) -> EpochId {
        self.good
    }

    /// The handshakes that lead from the last good epoch to this one, in their order.
    ///
    /// # Errors
    /// [`Invalid::BrokenLine`] if none do.
    pub fn line_to(&self, child: &EpochId) -> Result<Vec<Ancestor>, Invalid> {
        let line = self.back_from(child);
        let from = line.first().map_or(*child, |first| first.parent);
        let numbers = line.iter().map(|step| step.number);
        let counts = numbers.zip(self.next..).all(|(number, expected)| number == expected);
        if from == self.good && counts { Ok(line) } else { Err(Invalid::BrokenLine) }
    }

    /// The handshakes that lead to an epoch, in their order: since the last good one, or as far back
    /// as they were seen.
    #[must_use]
    pub fn back_from(&self, child: &EpochId) -> Vec<Ancestor> {
        let mut line = Vec::new();
        let (mut wanted, mut before) = (*child, u64::MAX);
        // Each step goes back in the log, so this ends.
        while wanted != self.good
            && let Some(step) = self.seen.iter().rev().find(|seen| seen.child == wanted)
            && step.index < before
        {
            (wanted, before) = (step.parent, step.index);
            line.push(step.clone());
        }
        line.reverse();
        line
    }

    /// An epoch to which a line led is good.
    pub fn settle(&mut self, line: &[Ancestor]) {
        let Some(last) = line.last() else { return };
        self.good = last.child;
        self.next = last.number.saturating_add(1);
        self.seen.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epoch(n: u8) -> EpochId {
        EpochId::from_bytes([n; 32])
    }

    fn step(child: u8, parent: u8, number: u64, index: u64) -> Ancestor {
        let parent = if parent == 0 { EpochId::NONE } else { epoch(parent) };
        let (roster, logs) = (Vec::new(), Vec::new());
        Ancestor { child: epoch(child), parent, number, index, roster, logs }
    }

    fn seen(steps: &[Ancestor]) -> Lineage {
        let mut lineage = Lineage::default();
        for step in steps {
            lineage.see(step.clone());
        }
        lineage
    }

    fn indexes(line: Result<Vec<Ancestor>, Invalid>) -> Vec<u64> {
        line.unwrap().iter().map(|step| step.index).collect()
    }

    #[test]
    fn what_leads_nowhere_is_passed_over() {
        let lineage =
            seen(&[step(1, 0, 0, 0), step(9, 1, 1, 3), step(2, 1, 1, 5), step(3, 2, 2, 8)]);
        assert_eq!(indexes(lineage.line_to(&epoch(3))), [0, 5, 8]);
        assert_eq!(indexes(lineage.line_to(&epoch(9))), [0, 3]);
    }

    #[test]
    fn a_line_with_a_hole_leads_nowhere() {
        let lineage = seen(&[step(1, 0, 0, 0), step(3, 2, 2, 8)]);
        assert_eq!(lineage.line_to(&epoch(3)), Err(Invalid::BrokenLine));
        assert_eq!(lineage.line_to(&epoch(7)), Err(Invalid::BrokenLine));
    }

    #[test]
    fn who_has_not_seen_the_beginning_goes_back_as_far_as_it_can() {
        let lineage = seen(&[step(9, 7, 4, 2), step(3, 2, 2, 3), step(4, 3, 3, 8)]);
        assert_eq!(indexes(Ok(lineage.back_from(&epoch(4)))), [3, 8]);
        assert!(lineage.back_from(&epoch(5)).is_empty());
    }

    #[test]
    fn from_a_good_epoch_on_no_other_branch_is_followed() {
        let mut lineage = seen(&[step(1, 0, 0, 0), step(2, 1, 1, 5)]);
        let line = lineage.line_to(&epoch(2)).unwrap();
        lineage.settle(&line);
        lineage.see(step(8, 1, 1, 6));
        lineage.see(step(9, 8, 2, 7));
        lineage.see(step(3, 2, 2, 8));
        assert_eq!(lineage.line_to(&epoch(9)), Err(Invalid::BrokenLine));
        assert_eq!(indexes(lineage.line_to(&epoch(3))), [8]);
        assert_eq!(lineage.good(), epoch(2));
    }

    #[test]
    fn numbers_count_up_by_one() {
        for (second, third) in [(2, 3), (1, 3), (0, 1)] {
            let lineage = seen(&[step(1, 0, 0, 0), step(2, 1, second, 5), step(3, 2, third, 8)]);
            assert_eq!(lineage.line_to(&epoch(3)), Err(Invalid::BrokenLine), "{second} {third}");
        }
    }

    #[test]
    fn a_child_stands_after_its_parent_and_once() {
        let lineage = seen(&[step(2, 1, 1, 0), step(1, 0, 0, 5)]);
        assert_eq!(lineage.line_to(&epoch(2)), Err(Invalid::BrokenLine));
        let twice = seen(&[step(1, 0, 0, 0), step(2, 1, 1, 5), step(2, 1, 1, 9)]);
        assert_eq!(indexes(twice.line_to(&epoch(2))), [0, 5]);
    }

    #[test]
    fn epochs_that_name_each_other_end_nowhere() {
        let lineage = seen(&[step(1, 2, 1, 0), step(2, 1, 2, 5)]);
        assert_eq!(lineage.line_to(&epoch(2)), Err(Invalid::BrokenLine));
    }

    #[test]
    fn a_flood_is_bounded() {
        let mut lineage = Lineage::default();
        for n in 0..(SEEN as u64 + 10) {
            let mut child = [0; 32];
            child[..8].copy_from_slice(&(n + 1).to_be_bytes());
            lineage.see(Ancestor { child: EpochId::from_bytes(child), ..step(1, 0, 0, n) });
        }
        assert_eq!(lineage.seen.len(), SEEN);
    }
}
