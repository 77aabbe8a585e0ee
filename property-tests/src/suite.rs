//! Running seeds, and saying how to run a failed one again.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::plan::Plan;
use crate::violation::{Invariant, Violation};
use crate::world::{Report, World};

/// Seeds that showed a bug once: they are run for ever.
pub const FORMER_BUGS: &str = include_str!("../seeds.txt");

/// Runs the world of one seed. A panic of anything in it is a violation like any other.
///
/// # Errors
/// The first promise that was broken.
pub fn run(seed: u64) -> Result<Report, Violation> {
    guarded(|| World::new(seed).run())
}

/// As [`run`], under a given plan.
///
/// # Errors
/// The first promise that was broken.
pub fn run_with(seed: u64, plan: Plan) -> Result<Report, Violation> {
    guarded(|| World::with(seed, plan).run())
}

/// Runs something in which a panic is a violation.
///
/// # Errors
/// What it returns, or `Robust` for a panic.
pub fn guarded<T>(work: impl FnOnce() -> Result<T, Violation>) -> Result<T, Violation> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let said = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| panic.downcast_ref::<&str>().copied())
            .unwrap_or("something");
        Err(Violation::new(Invariant::Robust, format!("a panic: {said}")))
    })
}

/// Runs these seeds and gives the steps they took. The first that fails is reported with the one
/// command that replays it.
///
/// # Panics
/// If a promise is broken: this is what tests call.
pub fn hold(seeds: impl IntoIterator<Item = u64>) -> u64 {
    let mut steps = 0;
    for seed in seeds {
        match run(seed) {
            Ok(report) => steps += report.steps,
            Err(violation) => fail(seed, &violation),
        }
    }
    steps
}

#[expect(clippy::panic, reason = "a broken promise fails the test that looked for it")]
fn fail(seed: u64, violation: &Violation) -> ! {
    panic!("{violation}\nreplay: cargo xtask seed {seed}")
}

/// The seeds of bugs found before.
#[must_use]
pub fn former_bugs() -> Vec<u64> {
    let lines = FORMER_BUGS.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
    lines.filter_map(|line| line.parse().ok()).collect()
}
