//! `cargo xtask web`: everything that a browser loads, built so that a relay can serve it.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use clap::Args;

use crate::command;
use crate::failure::Failure;
use crate::wasm::{self, Build};

/// How to build.
#[derive(Debug, Default, Args)]
pub(crate) struct Options {
    /// As it is shipped: as small as it gets, and held to its size. Takes minutes more.
    #[arg(long)]
    pub(crate) release: bool,
}

/// Builds the engine, the packages and the web app; says where the app lies.
///
/// # Errors
/// The failed step, or a client that is larger than its budget.
pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    let build = if options.release { Build::Release } else { Build::Quick };
    wasm::build(build)?;
    install()?;
    compile()?;
    if build == Build::Release {
        ship()?;
        wasm::check_size()?;
    }
    eprintln!("\nServe it: sync-server --web {}", app().display());
    Ok(())
}

/// Where the built app lies.
pub(crate) fn app() -> PathBuf {
    command::root().join("examples").join("web").join("dist")
}

/// Installs the packages of the lock file, unless that was done already.
///
/// # Errors
/// `Step`: npm's reason is on the screen.
pub(crate) fn install() -> Result<(), Failure> {
    let lock = command::root().join("package-lock.json");
    let installed = command::root().join("node_modules").join(".package-lock.json");
    let stamp = command::root().join("node_modules").join(".rejoinder-lock");
    let wanted = fs::read(&lock).map_err(Failure::file(&lock))?;
    if installed.exists() && fs::read(&stamp).is_ok_and(|done| done == wanted) {
        return Ok(());
    }
    command::run(npm().args(["ci", "--no-fund", "--no-audit"]))?;
    fs::write(&stamp, wanted).map_err(Failure::file(&stamp))
}

/// Compiles packages and app, each after what it stands on.
fn compile() -> Result<(), Failure> {
    for package in ["wasm/packages/client", "wasm/packages/react", "examples/web"] {
        command::run(npm().args(["run", "build", "--workspace", package]))?;
    }
    Ok(())
}

/// Makes of the client's scripts what is shipped, and notes what the packages then hold: nothing else
/// lets itself be packed. The app's are small by its own build.
fn ship() -> Result<(), Failure> {
    let mut scripts = Command::new("node");
    scripts.current_dir(command::root());
    command::run(scripts.args(["xtask/src/ship.mjs", "wasm/packages/client"]))?;
    for package in ["client", "react"] {
        let mut stamp = Command::new("node");
        stamp.current_dir(command::root().join("wasm").join("packages").join(package));
        command::run(stamp.args(["../prepack.mjs", "--stamp"]))?;
    }
    Ok(())
}

/// npm in the workspace's root, by the name under which this system starts it.
pub(crate) fn npm() -> Command {
    let name = if cfg!(windows) { "npm.cmd" } else { "npm" };
    let mut npm = Command::new(name);
    npm.current_dir(command::root());
    npm
}
