//! `cargo xtask test`: every test there is.

use clap::Args;

use crate::browser;
use crate::command;
use crate::failure::Failure;
use crate::tools;
use crate::typescript;

/// What to test.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The profile of `.config/nextest.toml`.
    #[arg(long, default_value = "default")]
    profile: String,
    /// Leaves out the tests that need a browser, and building what they load.
    #[arg(long)]
    no_browser: bool,
    /// Passed on to nextest: filters, `-p PACKAGE`, `--no-capture`. With any of these the
    /// documentation's examples, the TypeScript's and the browser's tests are left out.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    nextest: Vec<String>,
}

/// Runs the tests. The programs that black-box tests start belong to the workspace, so
/// nextest builds them by the same profile.
///
/// # Errors
/// The first step's failure.
pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    let mut nextest = tools::NEXTEST.command()?;
    nextest.args(["run", "--profile", &options.profile]);
    if options.nextest.is_empty() {
        command::run(nextest.arg("--workspace"))?;
        command::run(command::cargo().args(["test", "--doc", "--workspace"]))?;
        typescript::run()?;
        return if options.no_browser { Ok(()) } else { browser::tests() };
    }
    if !options.nextest.iter().any(|word| word == "-p" || word.starts_with("--package")) {
        nextest.arg("--workspace");
    }
    command::run(nextest.args(&options.nextest))
}
