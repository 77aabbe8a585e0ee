//! `cargo xtask soak`: runs new seeds until the time is up or one fails.

use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use property_tests::suite::{self, Suite};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (suite, rest) = match arguments.as_slice() {
        [first, rest @ ..] if first == "--devices" => (Suite::Devices, rest),
        all => (Suite::People, all),
    };
    let minutes = match rest {
        [option, number] if option == "--minutes" => number.parse::<u64>().ok(),
        [] => Some(10),
        _ => None,
    };
    let Some(minutes) = minutes else {
        eprintln!("usage: soak [--devices] [--minutes N]");
        return ExitCode::FAILURE;
    };
    // Each soak looks at worlds that none looked at before; what it finds is replayed by number.
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let first = since_1970.as_secs() * 1_000_000;
    let end = Instant::now() + Duration::from_secs(minutes * 60);
    let (mut seeds, mut steps) = (0, 0);
    while Instant::now() < end {
        match suite::run(suite, first + seeds) {
            Ok(report) => steps += report.steps,
            Err(violation) => {
                println!("{violation}\nreplay: {}", suite::replay(suite, first + seeds));
                return ExitCode::FAILURE;
            }
        }
        seeds += 1;
    }
    println!("{seeds} seeds, {steps} steps, nothing found");
    ExitCode::SUCCESS
}
