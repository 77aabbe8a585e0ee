//! `cargo xtask ci`: everything a change must pass, cheapest first.

use std::io;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use crate::browser;
use crate::command;
use crate::demo;
use crate::desktop;
use crate::failure::Failure;
use crate::outside;
use crate::process::{self, Event};
use crate::tools;

const DATABASE_WITHIN: Duration = Duration::from_secs(120);

/// Runs every check, and every test by the command that a developer types.
///
/// # Errors
/// The first failure.
pub(crate) fn run() -> Result<(), Failure> {
    command::run(command::cargo().args(["fmt", "--all", "--check"]))?;
    dependencies()?;
    let window = desktop::features()?;
    let mut clippy = command::cargo();
    clippy.args(["clippy", "--workspace", "--all-targets", "--locked"]).args(window);
    command::run(clippy.args(["--", "-D", "warnings"]))?;
    let mut documentation = command::cargo();
    documentation.args(["doc", "--workspace", "--no-deps", "--locked"]).args(window);
    command::run(documentation.env("RUSTDOCFLAGS", "-D warnings"))?;
    command::run(command::cargo().args(["xtask", "test", "--profile", "ci"]))?;
    demo::run(&demo::Options::check())?;
    outside::run()?;
    browser::shipped()
}

/// Licences, versions and sources always; advisories where their database can be had.
fn dependencies() -> Result<(), Failure> {
    let deny = || tools::DENY.command();
    command::run(deny()?.args(["check", "bans", "licenses", "sources"]))?;
    let mut fetch = deny()?;
    if let Err(reason) = database(fetch.args(["fetch", "db"])) {
        eprintln!("\nadvisories NOT checked: their database is out of reach from here ({reason}).");
        return Ok(());
    }
    command::run(deny()?.args(["check", "advisories"]))
}

/// Fetches the advisory database, which lies in a git repository and not in a registry: a
/// machine may well have the second without the first. The reason is the last line it said.
fn database(fetch: &mut Command) -> Result<(), String> {
    eprintln!("\n$ {}", command::shown(fetch));
    let (output, input) = io::pipe().map_err(|error| error.to_string())?;
    let again = input.try_clone().map_err(|error| error.to_string())?;
    // Git would otherwise ask for a password on the terminal.
    fetch.env("GIT_TERMINAL_PROMPT", "0");
    fetch.stdin(Stdio::null()).stdout(again).stderr(input);
    let mut child = fetch.spawn().map_err(|error| error.to_string())?;
    fetch.stdout(Stdio::null()).stderr(Stdio::null());
    let (sender, events) = mpsc::channel();
    process::follow(output, None, sender);
    let deadline = Instant::now() + DATABASE_WITHIN;
    let mut last = String::from("it did not answer");
    while let Some(Event::Line(line)) = process::next(&events, deadline) {
        if !line.is_empty() {
            last = line;
        }
    }
    if process::finish(&mut child, &events, deadline) { Ok(()) } else { Err(last) }
}
