//! `cargo xtask soak`: looks at many worlds on all cores, and says which fail and how.

use std::num::NonZeroUsize;
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use property_tests::adversary::Deed;
use property_tests::changes::Changes;
use property_tests::draws;
use property_tests::kind::Kind;
use property_tests::situation::Situation;
use property_tests::soak::{Failing, Found, Soak};
use property_tests::suite::{self, Case, Suite};

const USAGE: &str = "usage: soak [--people] [--devices] [--long] [--adversaries] [--nodes] [--minutes N | --from SEED --count N] \
                     [--jobs N] [--shrink-seconds N] [--plan CHANGES]";
/// Characters of a failure that fit a line.
const LINE: usize = 240;
/// Seeds of one kind that the summary lists.
const SEEDS: usize = 12;
/// The last lines of a story that are printed.
const STORY: usize = 100;

fn main() -> ExitCode {
    let (soak, shrink) = match read(std::env::args().skip(1)) {
        Ok(read) => read,
        Err(wrong) => {
            eprintln!("{wrong}\n{USAGE}");
            return ExitCode::FAILURE;
        }
    };
    suite::hush_panics();
    let began = Instant::now();
    let found = soak.look(&tell);
    summary(&soak, &found, began.elapsed());
    if found.failing.is_empty() {
        return ExitCode::SUCCESS;
    }
    if !shrink.is_zero() {
        soak.shrink(&found, shrink, &tell_small);
    }
    ExitCode::FAILURE
}

fn tell(failing: &Failing) {
    let said: String = failing.violation.to_string().chars().take(LINE).collect();
    println!("{said}\n  replay: {}", failing.case.command());
}

/// Prints a world that was made smaller, with its story.
fn tell_small(kind: &Kind, case: &Case) {
    let mut world = case.world().telling();
    let result = suite::guarded(|| world.run());
    let story = world.story();
    let lines: Vec<&str> = story.lines().collect();
    let shown = lines[lines.len().saturating_sub(STORY)..].join("\n");
    let end = result.err().map(|violation| violation.to_string()).unwrap_or_default();
    let end: String = end.chars().take(4 * LINE).collect();
    println!("\n{kind}\n  {} --story\n{shown}\n{end}", case.command());
}

fn summary(soak: &Soak, found: &Found, took: Duration) {
    println!();
    for (suite, looked) in &found.looked {
        let per_second = looked.worlds as f64 / looked.took.as_secs_f64().max(0.001);
        println!(
            "{}: {} worlds, seeds {} to {}, {} steps, {per_second:.1} worlds a second and core",
            suite.name(),
            looked.worlds,
            soak.from,
            looked.last,
            looked.steps
        );
    }
    for situation in Situation::ALL {
        let counts = found.looked.iter().map(|(suite, looked)| {
            let count = looked.situations.get(&situation).copied().unwrap_or_default();
            format!("{} {count}", suite.name())
        });
        println!("  {:<48} {}", situation.words(), counts.collect::<Vec<_>>().join(", "));
    }
    what_they_did(found);
    let failed: usize = found.failing.values().map(Vec::len).sum();
    println!("{failed} failures of {} kinds in {} s", found.failing.len(), took.as_secs());
    for ((suite, kind), failing) in &found.failing {
        let seeds = failing.iter().take(SEEDS).map(|one| one.case.seed.to_string());
        let seeds = seeds.collect::<Vec<_>>().join(" ");
        println!("{:>5} {} {kind}\n      {seeds}", failing.len(), suite.name());
    }
}

/// How often liars did each thing, and in how many worlds.
fn what_they_did(found: &Found) {
    for (suite, looked) in found.looked.iter().filter(|(_, looked)| !looked.deeds.is_empty()) {
        println!("what they did in worlds of {}:", suite.name());
        for deed in Deed::ALL {
            let (times, worlds) = looked.deeds.get(&deed).copied().unwrap_or_default();
            println!("  {:<48} {times} times in {worlds} worlds", deed.words());
        }
    }
}

fn read(mut arguments: impl Iterator<Item = String>) -> Result<(Soak, Duration), String> {
    let mut suites = Vec::new();
    let (mut minutes, mut from, mut count) = (None, None, None);
    let mut jobs = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let mut shrink = 60;
    let mut changes = Changes::default();
    while let Some(argument) = arguments.next() {
        let mut number = || {
            let value = arguments.next().and_then(|value| value.parse::<u64>().ok());
            value.ok_or(format!("{argument} needs a number"))
        };
        match argument.as_str() {
            "--people" => suites.push(Suite::People),
            "--devices" => suites.push(Suite::Devices),
            "--long" => suites.push(Suite::Long),
            "--adversaries" => suites.push(Suite::Adversaries),
            "--nodes" => suites.push(Suite::Nodes),
            "--minutes" => minutes = Some(number()?),
            "--from" => from = Some(number()?),
            "--count" => count = Some(number()?),
            "--jobs" => jobs = usize::try_from(number()?).unwrap_or(jobs),
            "--shrink-seconds" => shrink = number()?,
            "--plan" => {
                let text = arguments.next().ok_or("--plan needs changes")?;
                changes = text.parse().map_err(|error| format!("{error}"))?;
            }
            other => return Err(format!("{other:?} is no option")),
        }
    }
    if suites.is_empty() {
        suites = Suite::SHORT.to_vec();
    }
    let until = match (minutes, count) {
        (Some(minutes), _) => Some(minutes),
        (None, None) => Some(10),
        (None, Some(_)) => None,
    };
    let soak = Soak {
        suites,
        from: from.unwrap_or_else(fresh),
        count: count.unwrap_or(u64::MAX),
        until: until.map(|minutes| Instant::now() + Duration::from_secs(minutes * 60)),
        jobs,
        changes,
    };
    Ok((soak, Duration::from_secs(shrink)))
}

/// A seed that nobody looked at: a soak has a million to itself for each second.
fn fresh() -> u64 {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    draws::newest(since_1970.as_secs() * 1_000_000)
}
