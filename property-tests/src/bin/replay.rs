//! `cargo xtask seed N`: replays the world of one seed, telling what happens, and says how it ended.

use std::process::ExitCode;

use property_tests::{World, suite};

fn main() -> ExitCode {
    let mut seed = None;
    let mut quiet = false;
    for argument in std::env::args().skip(1) {
        match argument.as_str() {
            "--quiet" => quiet = true,
            number => seed = number.parse::<u64>().ok(),
        }
    }
    let Some(seed) = seed else {
        eprintln!("usage: replay SEED [--quiet]");
        return ExitCode::FAILURE;
    };
    let world = World::new(seed);
    let mut world = if quiet { world } else { world.aloud() };
    match suite::guarded(|| world.run()) {
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
