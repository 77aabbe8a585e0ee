//! The tests that need a browser: the WebAssembly crate's, the npm packages' and the web app's, all
//! in real Chromium, with the relay and the terminal client of this build.

use std::process::Command;

use crate::command;
use crate::failure::Failure;
use crate::wasm;
use crate::web;

/// Packages of npm whose tests are run, those of the client before those of the app on it.
const TESTED: [&str; 2] = ["wasm/tests", "examples/web"];

/// Builds the relay and the terminal client, and runs every test that needs a browser.
///
/// # Errors
/// The first step's failure.
pub(crate) fn run() -> Result<(), Failure> {
    command::run(command::cargo().args(["build", "--workspace"]))?;
    tests()
}

/// Builds what browsers load, and runs every test of it with the programs that are there: other
/// tests' builds have them, with other features than a build of their own would.
///
/// # Errors
/// The first step's failure.
pub(crate) fn tests() -> Result<(), Failure> {
    wasm::chromium()?;
    web::run(&web::Options::default())?;
    wasm::test()?;
    for package in TESTED {
        command::run(web::npm().args(["test", "--workspace", package]))?;
    }
    Ok(())
}

/// Builds what is shipped, holds it to its size, and begins an app with it as a newcomer would: all
/// other tests run what is quick to build.
///
/// # Errors
/// The first step's failure, or a client that is larger than its budget.
pub(crate) fn shipped() -> Result<(), Failure> {
    web::run(&web::Options { release: true })?;
    let mut start = Command::new("node");
    start.current_dir(command::root().join("wasm").join("tests"));
    command::run(start.args(["--test", "--test-timeout=900000", "start.test.js"]))
}
