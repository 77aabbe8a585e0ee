//! Many worlds on all cores: none that fails ends the search, and those that fail alike are counted
//! together.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::adversary::Deed;
use crate::changes::Changes;
use crate::kind::Kind;
use crate::shrink::shrink;
use crate::situation::Situation;
use crate::suite::{Case, Suite};
use crate::violation::Violation;

/// Bytes of stack for a thread that runs worlds.
const STACK: usize = 16 << 20;

/// What to look at, and for how long.
#[derive(Clone, Debug)]
pub struct Soak {
    /// The suites, world by world in turn.
    pub suites: Vec<Suite>,
    /// The first seed.
    pub from: u64,
    /// How many seeds at most.
    pub count: u64,
    /// When to begin no more.
    pub until: Option<Instant>,
    /// Worlds at once.
    pub jobs: usize,
    /// In what all worlds are others than their seeds' own.
    pub changes: Changes,
}

/// A world that failed.
#[derive(Clone, Debug)]
pub struct Failing {
    /// Which.
    pub case: Case,
    /// How.
    pub violation: Violation,
}

/// What was seen of one suite.
#[derive(Clone, Debug, Default)]
pub struct Looked {
    /// Worlds.
    pub worlds: u64,
    /// Steps that these took.
    pub steps: u64,
    /// The last seed.
    pub last: u64,
    /// The time that one core would have needed.
    pub took: Duration,
    /// In how many worlds that held each situation came about.
    pub situations: BTreeMap<Situation, u64>,
    /// How often liars did each thing in worlds that held, and in how many worlds.
    pub deeds: BTreeMap<Deed, (u64, u64)>,
}

/// What a soak found.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// By suite.
    pub looked: BTreeMap<Suite, Looked>,
    /// Failing worlds by kind, lowest seed first.
    pub failing: BTreeMap<(Suite, Kind), Vec<Failing>>,
}

impl Soak {
    /// Looks, and calls `tell` for each world that fails, from the thread that ran it.
    pub fn look(&self, tell: &(dyn Fn(&Failing) + Sync)) -> Found {
        let next = AtomicU64::new(0);
        let found = Mutex::new(Found::default());
        self.on_all_cores(&|| {
            while self.until.is_none_or(|until| Instant::now() < until) {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let Some(case) = self.case(number) else { return };
                self.one(&case, &found, tell);
            }
        });
        let mut found = found.into_inner().unwrap_or_default();
        for failing in found.failing.values_mut() {
            failing.sort_by_key(|failing| failing.case.seed);
        }
        found
    }

    fn case(&self, number: u64) -> Option<Case> {
        let suites = self.suites.len() as u64;
        let round = number.checked_div(suites)?;
        let suite = self.suites.get(usize::try_from(number % suites).ok()?)?;
        (round < self.count)
            .then(|| Case::of(*suite, self.from + round).changed(self.changes.clone()))
    }

    fn one(&self, case: &Case, found: &Mutex<Found>, tell: &(dyn Fn(&Failing) + Sync)) {
        let began = Instant::now();
        let result = case.run_unhashed();
        let took = began.elapsed();
        let failing = result
            .as_ref()
            .err()
            .map(|violation| Failing { case: case.clone(), violation: violation.clone() });
        if let Some(failing) = &failing {
            tell(failing);
        }
        let Ok(mut found) = found.lock() else { return };
        let looked = found.looked.entry(case.suite).or_default();
        looked.worlds += 1;
        if let Ok(report) = result {
            looked.steps += report.steps;
            for situation in report.situations {
                *looked.situations.entry(situation).or_default() += 1;
            }
            for (deed, times) in report.deeds {
                let done = looked.deeds.entry(deed).or_default();
                *done = (done.0 + times, done.1 + 1);
            }
        }
        looked.last = looked.last.max(case.seed);
        looked.took += took;
        if let Some(failing) = failing {
            let kind = (case.suite, Kind::of(&failing.violation));
            found.failing.entry(kind).or_default().push(failing);
        }
    }

    /// Makes the first failing world of each kind smaller, each for so long, and calls `tell` with
    /// what is left of it.
    pub fn shrink(&self, found: &Found, each: Duration, tell: &(dyn Fn(&Kind, &Case) + Sync)) {
        let first = |failing: &Vec<Failing>| failing.first().map(|failing| failing.case.clone());
        let kinds: Vec<(&Kind, Case)> = found
            .failing
            .iter()
            .filter_map(|((_, kind), failing)| first(failing).map(|case| (kind, case)))
            .collect();
        let next = AtomicU64::new(0);
        self.on_all_cores(&|| {
            while let Some((kind, case)) = usize::try_from(next.fetch_add(1, Ordering::Relaxed))
                .ok()
                .and_then(|number| kinds.get(number))
            {
                tell(kind, &shrink(case, kind, Instant::now() + each));
            }
        });
    }

    fn on_all_cores(&self, work: &(dyn Fn() + Sync)) {
        thread::scope(|scope| {
            for _ in 0..self.jobs.max(1) {
                let thread = thread::Builder::new().stack_size(STACK);
                thread.spawn_scoped(scope, work).expect("a thread can be started");
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_suite_gets_every_seed() {
        let suites = vec![Suite::People, Suite::Devices];
        let changes = Changes::default();
        let soak = Soak { suites, from: 7, count: 2, until: None, jobs: 1, changes };
        let cases: Vec<_> = (0..).map_while(|number| soak.case(number)).collect();
        let seeds: Vec<_> = cases.iter().map(|case| (case.suite, case.seed)).collect();
        let (people, devices) = (Suite::People, Suite::Devices);
        assert_eq!(seeds, [(people, 7), (devices, 7), (people, 8), (devices, 8)]);
    }
}
