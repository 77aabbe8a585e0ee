//! `cargo xtask fuzz`: throws made-up input at everything that reads what others wrote.
//!
//! The targets are those of the folder `fuzz`, a workspace of its own. They are built by the stable
//! compiler, with coverage and without sanitizers: what no compiler checks here is forbidden, and a
//! target measures its memory itself. Nothing of it shares a build with the rest.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::num::NonZero;
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread;

use clap::Args;

use crate::command;
use crate::failure::Failure;
use crate::tools;

/// What a whole target may have of memory, its programs and its corpus included: in MB.
const MEMORY_MB: u32 = 1024;
/// After so many seconds an input hangs.
const HANGS_S: u32 = 60;

/// What to throw input at, and for how long.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// A target: a file of `fuzz/fuzz_targets`. All of them without it.
    target: Option<String>,
    /// How long each is looked at.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Targets at once: as many as there are cores.
    #[arg(long)]
    jobs: Option<usize>,
}

/// Builds the targets, runs them and prints what each did.
///
/// # Errors
/// `Found`: the inputs lie in `fuzz/artifacts`. Or the failed step.
pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    let targets = targets(options.target.as_deref())?;
    let mut build = tools::FUZZ.command()?;
    build.args(["build", "--sanitizer", "none", "--codegen-units", "16", "--target-dir"]);
    build.arg(built()).args(&options.target);
    command::run(&mut build)?;
    let jobs =
        options.jobs.unwrap_or_else(|| thread::available_parallelism().map_or(1, NonZero::get));
    eprintln!("\n{} targets for {} s each, {jobs} at once", targets.len(), options.seconds);
    let results = all(&targets, options.seconds, jobs)?;
    println!("{}", table(&results));
    let found: Vec<&str> = results.iter().filter(|one| !one.is_good).map(Told::name).collect();
    if found.is_empty() { Ok(()) } else { Err(Failure::Found { targets: found.join(", ") }) }
}

/// The names of the targets, or the one that was asked for.
fn targets(only: Option<&str>) -> Result<Vec<String>, Failure> {
    let folder = folder().join("fuzz_targets");
    let mut names = Vec::new();
    for file in fs::read_dir(&folder).map_err(Failure::file(&folder))? {
        let path = file.map_err(Failure::file(&folder))?.path();
        names.extend(path.file_stem().map(|name| name.to_string_lossy().into_owned()));
    }
    names.sort();
    match only {
        None => Ok(names),
        Some(name) if names.iter().any(|known| known == name) => Ok(vec![name.to_owned()]),
        Some(_) => Err(Failure::NoSuchTarget { names: names.join(", ") }),
    }
}

fn folder() -> PathBuf {
    command::root().join("fuzz")
}

/// Coverage would otherwise have everything built anew for each other command.
fn built() -> PathBuf {
    command::root().join("target").join("fuzz")
}

/// Runs all targets, so many at once.
fn all(targets: &[String], seconds: u64, jobs: usize) -> Result<Vec<Told>, Failure> {
    let waiting = Mutex::new(targets.iter().collect::<VecDeque<_>>());
    let next = || waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
    let worker = || {
        let mut told = Vec::new();
        while let Some(target) = next() {
            told.push(one(target, seconds)?);
        }
        Ok(told)
    };
    let each: Vec<Result<Vec<Told>, Failure>> = thread::scope(|scope| {
        let workers: Vec<_> = (0..jobs.max(1)).map(|_| scope.spawn(worker)).collect();
        workers.into_iter().filter_map(|worker| worker.join().ok()).collect()
    });
    let mut told: Vec<Told> = each.into_iter().collect::<Result<Vec<_>, _>>()?.concat();
    told.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(told)
}

/// Runs one target. What it finds new goes to the build's folder, and what fails to `artifacts`.
fn one(target: &str, seconds: u64) -> Result<Told, Failure> {
    let program = program(target)?;
    let (own, log) = (built().join("corpus").join(target), built().join(format!("{target}.log")));
    let artifacts = folder().join("artifacts").join(target);
    for folder in [&own, &artifacts] {
        fs::create_dir_all(folder).map_err(Failure::file(folder))?;
    }
    let mut run = Command::new(program);
    run.arg(&own);
    let kept = ["corpus", "regressions"].map(|kept| folder().join(kept).join(target));
    run.args(kept.iter().filter(|kept| kept.exists()));
    run.arg(format!("-artifact_prefix={}/", artifacts.display()));
    run.arg(format!("-max_total_time={seconds}")).arg(format!("-timeout={HANGS_S}"));
    run.arg(format!("-rss_limit_mb={MEMORY_MB}")).arg("-print_final_stats=1");
    let file = File::create(&log).map_err(Failure::file(&log))?;
    let status = run.stdin(Stdio::null()).stdout(Stdio::null()).stderr(file).status();
    let shown = command::shown(&run);
    let status = status.map_err(|source| Failure::Start { command: shown, source })?;
    let text = fs::read_to_string(&log).unwrap_or_default();
    let told = Told::read(target, &text, status);
    if !told.is_good {
        eprintln!("\n{target} found something; its last words ({}):", log.display());
        let lines: Vec<&str> = text.lines().collect();
        lines.iter().skip(lines.len().saturating_sub(40)).for_each(|line| eprintln!("  {line}"));
    }
    Ok(told)
}

fn program(target: &str) -> Result<PathBuf, Failure> {
    let mut version = Command::new("rustc");
    let version = command::output(version.current_dir(command::root()).arg("-vV"));
    let version = version.unwrap_or_default();
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).unwrap_or_default();
    let program = built().join(host).join("release").join(target);
    if program.exists() {
        return Ok(program);
    }
    let missing = std::io::ErrorKind::NotFound.into();
    Err(Failure::File { path: program, source: missing })
}

/// What a run said of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Told {
    name: String,
    executions: u64,
    /// Edges of the program that were taken.
    coverage: u64,
    peak_mb: u64,
    is_good: bool,
}

impl Told {
    fn read(name: &str, log: &str, status: ExitStatus) -> Self {
        Self { is_good: status.success(), ..Self::of(name, log) }
    }

    fn of(name: &str, log: &str) -> Self {
        let stat = |name: &str| {
            let line = log.lines().rev().find_map(|line| line.strip_prefix(name));
            line.and_then(|rest| rest.trim().parse().ok()).unwrap_or_default()
        };
        let coverage = |line: &str| {
            let (_, rest) = line.split_once(" cov: ")?;
            rest.split_whitespace().next()?.parse().ok()
        };
        Self {
            name: name.to_owned(),
            executions: stat("stat::number_of_executed_units:"),
            coverage: log.lines().rev().find_map(coverage).unwrap_or_default(),
            peak_mb: stat("stat::peak_rss_mb:"),
            is_good: true,
        }
    }

    fn name(&self) -> &str {
        &self.name
    }
}

fn table(results: &[Told]) -> String {
    let mut lines = vec!["target         executions  coverage  peak MB".to_owned()];
    for Told { name, executions, coverage, peak_mb, is_good } in results {
        let found = if *is_good { "" } else { "  FOUND SOMETHING" };
        lines.push(format!("{name:<12} {executions:>12} {coverage:>9} {peak_mb:>8}{found}"));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_run_says_is_read() {
        let log = "#2\tINITED cov: 90 ft: 91 corp: 1/1b\n#99\tNEW    cov: 1234 ft: 5 corp: 3/9b\n\
            Done 500 runs in 2 second(s)\nstat::number_of_executed_units: 500\n\
            stat::peak_rss_mb:              77\n";
        let told = Told::of("frames", log);
        assert_eq!((told.executions, told.coverage, told.peak_mb), (500, 1234, 77));
    }

    #[test]
    fn each_target_is_a_program_of_the_folder() {
        let path = folder().join("Cargo.toml");
        let manifest = fs::read_to_string(&path).expect("is there");
        let targets = targets(None).expect("are there");
        assert!(targets.len() > 5, "{targets:?}");
        for target in &targets {
            assert!(manifest.contains(&format!("name = \"{target}\"")), "{target}");
        }
        assert_eq!(manifest.matches("[[bin]]").count(), targets.len());
        let corpus = folder().join("corpus");
        assert!(targets.iter().all(|target| corpus.join(target).exists()), "seeds for each");
    }
}
