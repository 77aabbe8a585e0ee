//! `cargo xtask bench`: Rejoinder's speed and size beside the floors of the same machine.

use clap::Args;

use crate::command;
use crate::failure::Failure;

/// What to measure.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Passed on to the bench; `cargo xtask bench -- --help` lists what it takes.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    bench: Vec<String>,
}

/// Builds for release and measures.
///
/// # Errors
/// The bench's failure.
pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    let mut bench = command::cargo();
    bench.args(["run", "--release", "--package", "bench", "--"]).args(&options.bench);
    command::run(&mut bench)
}
