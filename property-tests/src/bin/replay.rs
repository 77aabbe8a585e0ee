//! `cargo xtask seed N [--devices]`: replays the world of one seed, telling what happens, and says how it ended.

use std::process::ExitCode;

use property_tests::suite::{self, Suite};

fn main() -> ExitCode {
    let mut seed = None;
    let mut quiet = false;
    let mut suite = Suite::People;
    for argument in std::env::args().skip(1) {
        match argument.as_str() {
            "--quiet" => quiet = true,
            "--devices" => suite = Suite::Devices,
            number => seed = number.parse::<u64>().ok(),
        }
    }
    let Some(seed) = seed else {
        eprintln!("usage: replay SEED [--devices] [--quiet]");
        return ExitCode::FAILURE;
    };
    let world = suite.world(seed);
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
