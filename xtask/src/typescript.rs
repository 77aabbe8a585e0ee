//! What holds for the TypeScript as fmt, clippy and unit tests hold for the Rust: one format, a linter
//! that knows the types, the strictest types, and tests that need no browser.

use crate::command;
use crate::failure::Failure;
use crate::web;

/// Every check of the TypeScript, by the one command that `package.json` has for it.
///
/// # Errors
/// The first step's failure; what is wrong is on the screen.
pub(crate) fn run() -> Result<(), Failure> {
    web::install()?;
    command::run(web::npm().args(["run", "verify"]))
}
