//! `cargo xtask soak` and `cargo xtask seed`: the simulator, for many worlds or for one.

use clap::Args;

use crate::command;
use crate::failure::Failure;

/// Which worlds to look at, and for how long.
#[derive(Debug, Args)]
pub(crate) struct SoakOptions {
    /// Worlds of people, each with one device. Without any of these, those and devices.
    #[arg(long)]
    people: bool,
    /// Worlds in which people link, end and lose devices.
    #[arg(long)]
    devices: bool,
    /// Worlds that last a month: four people with three devices each.
    #[arg(long)]
    long: bool,
    /// Worlds in which a relay, a member or a thief lies.
    #[arg(long)]
    adversaries: bool,
    /// Worlds around a relay of three nodes that share a log.
    #[arg(long)]
    nodes: bool,
    /// How long, in minutes: 10, unless `--count` says how many.
    #[arg(long)]
    minutes: Option<u64>,
    /// The first seed. Without it, seeds that nobody looked at.
    #[arg(long)]
    from: Option<u64>,
    /// How many seeds of each kind.
    #[arg(long)]
    count: Option<u64>,
    /// Worlds at once: as many as there are cores.
    #[arg(long)]
    jobs: Option<u64>,
    /// How long to make the first failing world of each kind smaller; 0 for not at all.
    #[arg(long)]
    shrink_seconds: Option<u64>,
    /// In what all worlds are others than their seeds' own, as `cargo xtask seed` takes it:
    /// `rollback=3,twin=2` for profiles that are put back or used twice.
    #[arg(long)]
    plan: Option<String>,
}

/// Which world to replay.
#[derive(Debug, Args)]
pub(crate) struct SeedOptions {
    /// The number that a failing simulation printed.
    seed: u64,
    /// Passed on to the replay: `--devices` for a world of devices, `--adversaries` for one
    /// with liars, `--nodes` for one around three nodes, `--plan CHANGES` for a smaller
    /// one, `--story` for plain words, `--quiet`.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    replay: Vec<String>,
}

/// Looks at seed after seed, with the profile of the tests, and says which fail.
///
/// # Errors
/// The soak's failure: the seeds that failed are in its output.
pub(crate) fn run(options: &SoakOptions) -> Result<(), Failure> {
    let mut soak = command::cargo();
    soak.args(["run", "--package", "property-tests", "--bin", "soak", "--"]);
    let suites = [
        ("--people", options.people),
        ("--devices", options.devices),
        ("--long", options.long),
        ("--adversaries", options.adversaries),
        ("--nodes", options.nodes),
    ];
    soak.args(suites.iter().filter(|(_, wanted)| *wanted).map(|(suite, _)| suite));
    let numbers = [
        ("--minutes", options.minutes),
        ("--from", options.from),
        ("--count", options.count),
        ("--jobs", options.jobs),
        ("--shrink-seconds", options.shrink_seconds),
    ];
    for (option, number) in numbers {
        if let Some(number) = number {
            soak.args([option, &number.to_string()]);
        }
    }
    if let Some(plan) = &options.plan {
        soak.args(["--plan", plan]);
    }
    command::run(&mut soak)
}

/// Replays one seed, with the profile that the tests ran it by.
///
/// # Errors
/// The replay's failure, if the seed still fails.
pub(crate) fn replay(options: &SeedOptions) -> Result<(), Failure> {
    let mut replay = command::cargo();
    replay.args(["run", "--package", "property-tests", "--bin", "replay", "--"]);
    command::run(replay.arg(options.seed.to_string()).args(&options.replay))
}
