//! A failing world made smaller: fewer decisions, faults and people, as long as it fails in the same
//! way. What is left is easier to follow.

use std::collections::BTreeSet;
use std::time::Instant;

use crate::changes::Changes;
use crate::kind::Kind;
use crate::suite::Case;

/// Kinds of decisions that a world may do without.
const SPARE: [&str; 14] = [
    "relay_lies",
    "member_cheats",
    "thief_acts",
    "hostile",
    "output_crash",
    "device_crash",
    "relay_crash",
    "cut",
    "partition",
    "stall",
    "clock",
    "full_disk",
    "absence",
    "membership",
];

/// Numbers that are simpler when small, and how small.
const SMALL: [(&str, u64); 3] = [("sync", 1), ("delay", 5), ("people", 2)];

/// The smallest world of this kind of failure that was found in time.
#[must_use]
pub fn shrink(case: &Case, kind: &Kind, until: Instant) -> Case {
    let mut search = Search { best: case.clone(), kind, until };
    search.end_sooner();
    for name in SPARE {
        if search.best.plan().get(name) > 0 {
            search.attempt(|changes| changes.without(name));
        }
    }
    for (name, value) in SMALL {
        if search.best.plan().get(name) > value {
            search.attempt(|changes| changes.with(name, value));
        }
    }
    search.drop_decisions();
    search.end_sooner();
    search.best
}

struct Search<'a> {
    best: Case,
    kind: &'a Kind,
    until: Instant,
}

impl Search<'_> {
    fn in_time(&self) -> bool {
        Instant::now() < self.until
    }

    /// Takes a change over if the world still fails in the same way.
    fn attempt(&mut self, change: impl FnOnce(&Changes) -> Changes) -> bool {
        let smaller = self.best.changed(change(&self.best.changes));
        if smaller == self.best || !self.in_time() {
            return false;
        }
        let fails =
            smaller.run_unhashed().is_err_and(|violation| Kind::of(&violation) == *self.kind);
        if fails {
            self.best = smaller;
        }
        fails
    }

    /// Halves the way to the fewest decisions after which the world still fails.
    fn end_sooner(&mut self) {
        let (mut too_few, mut enough) = (0, self.best.plan().decisions);
        while too_few + 1 < enough && self.in_time() {
            let middle = too_few + (enough - too_few) / 2;
            if self.attempt(|changes| changes.with("decisions", middle)) {
                enough = middle;
            } else {
                too_few = middle;
            }
        }
    }

    /// Leaves out runs of decisions, shorter and shorter ones.
    fn drop_decisions(&mut self) {
        let all = 0..self.best.plan().decisions;
        let mut taken: Vec<u64> = all.filter(|one| self.best.changes.takes(*one)).collect();
        let mut length = taken.len().div_ceil(2);
        while length > 0 && self.in_time() {
            let mut at = 0;
            while at < taken.len() && self.in_time() {
                let end = (at + length).min(taken.len());
                let rest: BTreeSet<u64> =
                    taken[..at].iter().chain(&taken[end..]).copied().collect();
                if self.attempt(|changes| changes.with_only(rest.clone())) {
                    taken = rest.into_iter().collect();
                } else {
                    at = end;
                }
            }
            length = if length == 1 { 0 } else { length.div_ceil(2) };
        }
    }
}
