//! Every developer command. `cargo xtask test` and `cargo xtask demo` are all a newcomer needs, and
//! what continuous integration runs is `cargo xtask ci`.

mod bench;
mod browser;
mod ci;
mod command;
mod demo;
mod desktop;
mod failure;
mod fuzz;
mod load;
mod outside;
mod package;
mod planted;
mod process;
mod relay;
mod rpc;
mod soak;
mod test;
mod tools;
mod town;
mod typescript;
mod wasm;
mod web;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::failure::Failure;

/// Rejoinder's developer commands.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", about)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Runs every test, and sets up whatever they need first.
    Test(test::Options),
    /// Everything a change must pass: format, dependencies, lints, documentation, tests, demo.
    Ci,
    /// Starts a relay with two people who have just talked, and says how to join them.
    Demo(demo::Options),
    /// Runs the desktop companion against the demo's relay, and sets up what it needs.
    Desktop(desktop::Options),
    /// Builds what browsers load: the engine as WebAssembly, the npm packages and the web app.
    Web(web::Options),
    /// Runs the tests that need a browser, which are part of `test`.
    Browser,
    /// Checks the TypeScript: format, lints, types, unit tests. Part of `test`.
    Typescript,
    /// Builds the examples of `sync-client` as an app outside the workspace, and runs them. Part of `ci`.
    Outside,
    /// Makes what a release is made of: packages, archives, pages, checksums.
    Package(package::Options),
    /// Measures the engine and the relay beside their floors.
    Bench(bench::Options),
    /// Honest people and those who attack, around a relay: how long the honest wait, and what it costs.
    Load(load::Options),
    /// Throws made-up input at everything that reads what others wrote.
    Fuzz(fuzz::Options),
    /// Looks at many simulated worlds, counts those that fail by kind, and makes one of each smaller.
    Soak(soak::SoakOptions),
    /// Real programs around a real relay, for hours: killed, cut off, linked, ended, brought back.
    Town(town::Options),
    /// Puts bugs that were mended in again, one by one, and sees that simulated worlds show each.
    Planted(planted::PlantedOptions),
    /// Replays one simulator seed.
    Seed(soak::SeedOptions),
}

fn main() -> ExitCode {
    match run(Arguments::parse().task) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("xtask: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task) -> Result<(), Failure> {
    match task {
        Task::Test(options) => test::run(&options),
        Task::Ci => ci::run(),
        Task::Demo(options) => demo::run(&options),
        Task::Desktop(options) => desktop::run(&options),
        Task::Web(options) => web::run(&options),
        Task::Browser => browser::run(),
        Task::Typescript => typescript::run(),
        Task::Outside => outside::run(),
        Task::Package(options) => package::run(&options),
        Task::Bench(options) => bench::run(&options),
        Task::Load(options) => load::run(&options),
        Task::Fuzz(options) => fuzz::run(&options),
        Task::Soak(options) => soak::run(&options),
        Task::Town(options) => town::run(&options),
        Task::Planted(options) => planted::run(&options),
        Task::Seed(options) => soak::replay(&options),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        super::Arguments::command().debug_assert();
    }
}
