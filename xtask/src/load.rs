//! `cargo xtask load`: honest people and those who attack, around a relay.

use clap::Args;

use crate::command;
use crate::failure::Failure;

/// Who is there, and what they do.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Builds for release first: figures to be quoted are made so.
    #[arg(long)]
    release: bool,
    /// Passed on; `cargo xtask load -- --help` lists what it takes.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    load: Vec<String>,
}

/// Builds, and lets them loose.
///
/// # Errors
/// If the relay ends, or what was asked for does not hold.
pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    let mut load = command::cargo();
    load.args(["run", "--package", "bench"]);
    if options.release {
        load.arg("--release");
    }
    load.args(["--", "load"]).args(&options.load);
    command::run(&mut load)
}
