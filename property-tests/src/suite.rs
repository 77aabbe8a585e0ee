//! Running seeds, and saying how to run a failed one again.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::plan::Plan;
use crate::violation::{Invariant, Violation};
use crate::world::{Report, World};

/// What the worlds of a suite are about. Each suite numbers its seeds for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suite {
    /// People, each with one device, on networks, disks and clocks that fail.
    People,
    /// The same with devices that are linked, ended, lost and brought back.
    Devices,
}

impl Suite {
    /// The world of a seed.
    #[must_use]
    pub fn world(self, seed: u64) -> World {
        match self {
            Self::People => World::new(seed),
            Self::Devices => World::of_devices(seed),
        }
    }

    /// The option of `cargo xtask seed` and `cargo xtask soak` that means this suite.
    #[must_use]
    pub fn option(self) -> &'static str {
        match self {
            Self::People => "",
            Self::Devices => " --devices",
        }
    }

    /// The seeds of bugs found before: they are run for ever.
    #[must_use]
    pub fn former_bugs(self) -> Vec<u64> {
        let list = match self {
            Self::People => include_str!("../seeds.txt"),
            Self::Devices => include_str!("../device_seeds.txt"),
        };
        let numbers = list.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
        numbers.filter_map(|number| number.parse().ok()).collect()
    }
}

/// Runs the world of one seed. A panic of anything in it is a violation like any other.
///
/// # Errors
/// The first promise that was broken.
pub fn run(suite: Suite, seed: u64) -> Result<Report, Violation> {
    guarded(|| suite.world(seed).run())
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
pub fn hold(suite: Suite, seeds: impl IntoIterator<Item = u64>) -> u64 {
    let mut steps = 0;
    for seed in seeds {
        match run(suite, seed) {
            Ok(report) => steps += report.steps,
            Err(violation) => fail(suite, seed, &violation),
        }
    }
    steps
}

#[expect(clippy::panic, reason = "a broken promise fails the test that looked for it")]
fn fail(suite: Suite, seed: u64, violation: &Violation) -> ! {
    panic!("{violation}\nreplay: {}", replay(suite, seed))
}

/// The command that runs a seed again.
#[must_use]
pub fn replay(suite: Suite, seed: u64) -> String {
    format!("cargo xtask seed {seed}{}", suite.option())
}
