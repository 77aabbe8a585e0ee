//! `cargo xtask seed N`: replays one world, telling what happens, and says how it ended.

use std::process::ExitCode;

use property_tests::changes::Changes;
use property_tests::suite::{self, Case, Suite};
use tracing_subscriber::EnvFilter;

const USAGE: &str = "usage: replay SEED [--people | --devices | --long | --adversaries | --nodes] [--plan CHANGES] [--story | --quiet]";

/// How much is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Telling {
    Everything,
    Story,
    Nothing,
}

fn main() -> ExitCode {
    let (case, telling) = match read(std::env::args().skip(1)) {
        Ok(read) => read,
        Err(wrong) => {
            eprintln!("{wrong}\n{USAGE}");
            return ExitCode::FAILURE;
        }
    };
    if telling == Telling::Everything {
        // What the engines say of their verdicts, between what happens.
        let filter = EnvFilter::new("sync_core=debug,sync_server=debug");
        let lines = tracing_subscriber::fmt().with_writer(std::io::stdout).without_time();
        lines.with_env_filter(filter).with_ansi(false).init();
    }
    let mut world = match telling {
        Telling::Everything => case.world().aloud(),
        Telling::Story => case.world().telling(),
        Telling::Nothing => case.world(),
    };
    suite::hush_panics();
    let result = suite::guarded(|| world.run());
    if telling == Telling::Story {
        println!("{:?}\n{}", case.plan(), world.story());
    }
    match result {
        Ok(report) => {
            println!("{report:?}");
            ExitCode::SUCCESS
        }
        Err(violation) => {
            println!("{violation}");
            ExitCode::FAILURE
        }
    }
}

fn read(mut arguments: impl Iterator<Item = String>) -> Result<(Case, Telling), String> {
    let mut seed = None;
    let mut telling = Telling::Everything;
    let mut suite = Suite::People;
    let mut changes = Changes::default();
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--quiet" => telling = Telling::Nothing,
            "--story" => telling = Telling::Story,
            "--people" => suite = Suite::People,
            "--devices" => suite = Suite::Devices,
            "--long" => suite = Suite::Long,
            "--adversaries" => suite = Suite::Adversaries,
            "--nodes" => suite = Suite::Nodes,
            "--plan" => {
                let text = arguments.next().ok_or("--plan needs changes")?;
                changes = text.parse().map_err(|error| format!("{error}"))?;
            }
            number => {
                seed = Some(number.parse().map_err(|_| format!("{number:?} is no seed"))?);
            }
        }
    }
    let seed = seed.ok_or("which seed?")?;
    Ok((Case::of(suite, seed).changed(changes), telling))
}
