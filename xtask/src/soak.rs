//! `cargo xtask soak` and `cargo xtask seed`: the simulator, for long or for one world.

use clap::Args;

use crate::command;
use crate::failure::Failure;

/// How long to look for a failing seed.
#[derive(Debug, Args)]
pub(crate) struct SoakOptions {
    /// How long, in minutes.
    #[arg(long, default_value_t = 10)]
    minutes: u64,
    /// Worlds in which people link, end and lose devices.
    #[arg(long)]
    devices: bool,
}

/// Which world to replay.
#[derive(Debug, Args)]
pub(crate) struct SeedOptions {
    /// The number that a failing simulation printed.
    seed: u64,
    /// Passed on to the replay: `--devices` for a world of devices, `--quiet`.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    replay: Vec<String>,
}

/// Runs seed after seed, optimised, until the time is up.
///
/// # Errors
/// The soak's failure: the seed that failed is in its output.
pub(crate) fn run(options: &SoakOptions) -> Result<(), Failure> {
    let mut soak = command::cargo();
    soak.args(["run", "--release", "--package", "property-tests", "--bin", "soak", "--"]);
    soak.args(options.devices.then_some("--devices"));
    command::run(soak.args(["--minutes", &options.minutes.to_string()]))
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
