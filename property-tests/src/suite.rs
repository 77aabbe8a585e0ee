//! Running seeds, and saying how to run a failed one again.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::chance::Chance;
use crate::changes::Changes;
use crate::draws::edition;
use crate::plan::Plan;
use crate::violation::{Invariant, Violation};
use crate::world::{Report, World};

/// What the worlds of a suite are about. Each suite numbers its seeds for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Suite {
    /// People, each with one device, on networks, disks and clocks that fail.
    People,
    /// The same with devices that are linked, ended, lost and brought back.
    Devices,
    /// Four people with three devices each, for a month.
    Long,
    /// Some of whom a relay, a member or a thief lies to.
    Adversaries,
    /// People around a relay of three nodes that share a log.
    Nodes,
}

/// One world, as a command line names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// Its suite.
    pub suite: Suite,
    /// Its seed.
    pub seed: u64,
    /// In what it is another than its seed's own.
    pub changes: Changes,
}

impl Case {
    /// The world that a seed has in a suite.
    #[must_use]
    pub fn of(suite: Suite, seed: u64) -> Self {
        Self { suite, seed, changes: Changes::default() }
    }

    /// The same with other changes.
    #[must_use]
    pub fn changed(&self, changes: Changes) -> Self {
        Self { changes, ..self.clone() }
    }

    /// Its plan.
    #[must_use]
    pub fn plan(&self) -> Plan {
        self.changes.applied(self.suite.plan(self.seed))
    }

    /// The world before anything happens in it.
    #[must_use]
    pub fn world(&self) -> World {
        World::with(self.seed, self.plan()).with_changes(self.changes.clone())
    }

    /// Runs it. A panic of anything in it is a violation like any other.
    ///
    /// # Errors
    /// The first promise that was broken.
    pub fn run(&self) -> Result<Report, Violation> {
        guarded(|| self.world().run())
    }

    /// Runs it without the hash of all that happens, which the report then lacks.
    ///
    /// # Errors
    /// The first promise that was broken.
    pub fn run_unhashed(&self) -> Result<Report, Violation> {
        guarded(|| self.world().unhashed().run())
    }

    /// The command that runs it again.
    #[must_use]
    pub fn command(&self) -> String {
        let command = format!("cargo xtask seed {}{}", self.seed, self.suite.option());
        match self.changes.is_empty() {
            true => command,
            false => format!("{command} --plan {}", self.changes),
        }
    }
}

impl Suite {
    /// The suites that a soak looks at unless it is told otherwise.
    pub const SHORT: [Self; 2] = [Self::People, Self::Devices];

    /// What a seed plans.
    #[must_use]
    pub fn plan(self, seed: u64) -> Plan {
        let (mut chance, plan) = match self {
            Self::Long => return Plan::long(&mut Chance::new(seed ^ 0x1096)),
            Self::People => with(seed ^ 0x5eed, Plan::drawn),
            Self::Devices => with(seed ^ 0xdece, Plan::of_devices),
            Self::Adversaries => return Plan::of_adversaries(&mut Chance::new(seed ^ 0x11a5)),
            Self::Nodes => with(seed ^ 0xce11, Plan::of_nodes),
        };
        if edition(seed) < 3 { plan } else { plan.grown(&mut chance) }
    }

    /// The suite's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::People => "people",
            Self::Devices => "devices",
            Self::Long => "long",
            Self::Adversaries => "adversaries",
            Self::Nodes => "nodes",
        }
    }

    /// The option of `cargo xtask seed` and `cargo xtask soak` that means this suite.
    #[must_use]
    pub fn option(self) -> &'static str {
        match self {
            Self::People => "",
            Self::Devices => " --devices",
            Self::Long => " --long",
            Self::Adversaries => " --adversaries",
            Self::Nodes => " --nodes",
        }
    }

    /// The seeds of bugs found before: they are run for ever.
    #[must_use]
    pub fn former_bugs(self) -> Vec<u64> {
        let list = match self {
            Self::People => include_str!("../seeds.txt"),
            Self::Devices => include_str!("../device_seeds.txt"),
            Self::Long => include_str!("../long_seeds.txt"),
            Self::Adversaries => include_str!("../adversary_seeds.txt"),
            Self::Nodes => include_str!("../node_seeds.txt"),
        };
        let numbers = list.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
        numbers.filter_map(|number| number.parse().ok()).collect()
    }
}

/// A plan, and the stream that it was drawn from.
fn with(seed: u64, draw: impl FnOnce(&mut Chance) -> Plan) -> (Chance, Plan) {
    let mut chance = Chance::new(seed);
    let plan = draw(&mut chance);
    (chance, plan)
}

/// Runs the world of one seed. A panic of anything in it is a violation like any other.
///
/// # Errors
/// The first promise that was broken.
pub fn run(suite: Suite, seed: u64) -> Result<Report, Violation> {
    Case::of(suite, seed).run()
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
        let place = PLACE.take().map(|place| format!(" at {place}")).unwrap_or_default();
        Err(Violation::new(Invariant::Robust, format!("a panic{place}: {said}")))
    })
}

thread_local! {
    /// Where the last panic of this thread was.
    static PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// From here on a panic is told as a violation alone, with its place.
pub fn hush_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(|place| format!("{}:{}", place.file(), place.line()));
        PLACE.set(place);
    }));
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
    Case::of(suite, seed).command()
}
