//! `cargo xtask test`: every test there is.

use clap::Args;

use crate::browser;
use crate::command;
use crate::desktop;
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
    /// Leaves out the tests of the desktop companion's window, and building it.
    #[arg(long)]
    no_desktop: bool,
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
        let window = if options.no_desktop { &[] } else { desktop::features()? };
        command::run(nextest.arg("--workspace").args(window))?;
        command::run(command::cargo().args(["test", "--doc", "--workspace"]).args(window))?;
        typescript::run()?;
        if !options.no_desktop {
            desktop::tests(&[])?;
        }
        return if options.no_browser { Ok(()) } else { browser::tests() };
    }
    if !options.nextest.iter().any(|word| word == "-p" || word.starts_with("--package")) {
        nextest.arg("--workspace");
    }
    command::run(nextest.args(&options.nextest))
}
