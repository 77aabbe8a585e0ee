//! `cargo xtask bench`: Rejoinder's speed and size beside the floors of the same machine, and documents
//! in browsers beside two systems that don't encrypt.

use std::process::Command;

use clap::Args;

use crate::command;
use crate::failure::Failure;
use crate::{wasm, web};

/// What to measure.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Documents in browsers instead, beside automerge-repo and Yjs on servers of their own.
    #[arg(long)]
    browsers: bool,
    /// Passed on to the bench; `cargo xtask bench -- --help` lists what it takes.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    bench: Vec<String>,
}

/// Builds for release and measures.
///
/// # Errors
/// The bench's failure.
pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    if options.browsers {
        return browsers(&options.bench);
    }
    let mut bench = command::cargo();
    bench.args(["run", "--release", "--package", "bench", "--"]).args(&options.bench);
    command::run(&mut bench)
}

/// Builds what is shipped, installs what it is compared with, and measures both in one run.
fn browsers(options: &[String]) -> Result<(), Failure> {
    wasm::chromium()?;
    web::run(&web::Options { release: true })?;
    command::run(command::cargo().args(["build", "--release", "--package", "sync-server"]))?;
    let folder = command::root().join("bench").join("documents");
    command::run(web::npm().current_dir(&folder).args(["ci", "--no-fund", "--no-audit"]))?;
    let mut measure = Command::new("node");
    measure.current_dir(&folder).arg("measure.js").args(options);
    measure.env("SYNC_SERVER_BIN", command::root().join("target/release/sync-server"));
    command::run(&mut measure)
}
