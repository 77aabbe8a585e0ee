//! `cargo xtask planted`: bugs that were mended are put in again, one by one, into a copy of the
//! sources; simulated worlds must show each, or, where no world can, a test.
//!
//! A patch of `property-tests/planted` begins with two lines: the bug in words, and what looks for it:
//! `# soak: ` with the options of a soak, or `# test: ` with those of `cargo test`, which must fail.
//! What fails without the bug as well does not count.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use clap::Args;

use crate::command;
use crate::failure::Failure;

/// Where the patches lie.
const PATCHES: &str = "property-tests/planted";
/// The first seed: of the newest edition, and the same for all, so that a bug is caught again where
/// it was caught before.
const FROM: u64 = 20_000_000_007_000_000;
/// Seeds after which to see whether anything was caught.
const AT_ONCE: u64 = 50;

/// Which bugs to put in, and how long to look for each.
#[derive(Debug, Args)]
pub(crate) struct PlantedOptions {
    /// The bug's name: its file's in `property-tests/planted`, without `.patch`. Without it, all.
    name: Option<String>,
    /// How many seeds to look at before a bug counts as not caught.
    #[arg(long, default_value_t = 2_000)]
    seeds: u64,
    /// The first seed.
    #[arg(long, default_value_t = FROM)]
    from: u64,
    /// Worlds at once: as many as there are cores.
    #[arg(long)]
    jobs: Option<u64>,
}

/// A bug as its file describes it.
#[derive(Debug, PartialEq, Eq)]
struct Bug {
    name: String,
    words: String,
    shown_by: ShownBy,
}

/// What shows a bug.
#[derive(Debug, PartialEq, Eq)]
enum ShownBy {
    /// Worlds of a soak with these options.
    Worlds(Vec<String>),
    /// Tests that `cargo test` runs with these.
    Test(Vec<String>),
}

/// What became of a bug.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    /// So many of so many worlds showed it; the first of them, as `cargo xtask seed` takes it.
    Caught {
        failed: usize,
        looked: u64,
        first: String,
    },
    Missed {
        looked: u64,
    },
    /// The test that holds the fact fails, and does not without the bug.
    Fails {
        test: String,
    },
    /// It does not, or it fails in any case.
    Passes {
        test: String,
    },
}

/// Puts each bug in and looks for it.
///
/// # Errors
/// `Missed`, with their names, if worlds did not show all of them.
pub(crate) fn run(options: &PlantedOptions) -> Result<(), Failure> {
    let bugs = bugs()?;
    let chosen = |bug: &&Bug| options.name.as_ref().is_none_or(|name| *name == bug.name);
    let chosen: Vec<&Bug> = bugs.iter().filter(chosen).collect();
    if chosen.is_empty() {
        let names = bugs.iter().map(|bug| bug.name.as_str()).collect::<Vec<_>>().join(", ");
        return Err(Failure::NoSuchBug { names });
    }
    let mut missed = Vec::new();
    for bug in chosen {
        let outcome = look_for(bug, options)?;
        println!("\n{}: {}\n  {}", bug.name, bug.words, outcome.words());
        if matches!(outcome, Outcome::Missed { .. } | Outcome::Passes { .. }) {
            missed.push(bug.name.clone());
        }
    }
    if missed.is_empty() { Ok(()) } else { Err(Failure::Missed { bugs: missed.join(", ") }) }
}

impl Outcome {
    fn words(&self) -> String {
        match self {
            Self::Caught { failed, looked, first } => {
                format!("caught in {failed} of the first {looked} worlds; the first: {first}")
            }
            Self::Missed { looked } => format!("not caught in {looked} worlds"),
            Self::Fails { test } => format!("caught by {test}"),
            Self::Passes { test } => format!("{test} says the same with it and without it"),
        }
    }
}

fn bugs() -> Result<Vec<Bug>, Failure> {
    let folder = command::root().join(PATCHES);
    let files = fs::read_dir(&folder).map_err(Failure::file(&folder))?;
    let mut bugs = Vec::new();
    for file in files {
        let path = file.map_err(Failure::file(&folder))?.path();
        if path.extension().is_some_and(|extension| extension == "patch") {
            let text = fs::read_to_string(&path).map_err(Failure::file(&path))?;
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            bugs.push(Bug::read(name, &text).ok_or(Failure::NoBug { path })?);
        }
    }
    bugs.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(bugs)
}

impl Bug {
    fn read(name: String, patch: &str) -> Option<Self> {
        let mut lines = patch.lines();
        let words = lines.next()?.strip_prefix("# ")?.to_owned();
        let (kind, options) = lines.next()?.strip_prefix("# ")?.split_once(": ")?;
        let options = options.split_whitespace().map(str::to_owned).collect();
        let shown_by = match kind {
            "soak" => ShownBy::Worlds(options),
            "test" => ShownBy::Test(options),
            _ => return None,
        };
        Some(Self { name, words, shown_by })
    }

    fn path(&self) -> PathBuf {
        command::root().join(PATCHES).join(format!("{}.patch", self.name))
    }
}

/// Everything that is built with a bug lies here.
fn nursery() -> PathBuf {
    command::root().join("target").join("planted")
}

fn look_for(bug: &Bug, options: &PlantedOptions) -> Result<Outcome, Failure> {
    let copy = nursery().join("workspace");
    copy_sources(&copy)?;
    apply(bug, &copy)?;
    match &bug.shown_by {
        ShownBy::Worlds(worlds) => in_worlds(worlds, options, &copy),
        ShownBy::Test(test) => by_test(test, &copy),
    }
}

/// Whether a test fails with the bug, and not without.
fn by_test(test: &[String], copy: &Path) -> Result<Outcome, Failure> {
    let mut build = command::cargo();
    build.current_dir(copy).arg("test").args(test).arg("--no-run");
    command::run(build.arg("--target-dir").arg(nursery().join("target")))?;
    let mut with = command::cargo();
    with.current_dir(copy).arg("test").args(test);
    let fails = !command::succeeds(with.arg("--target-dir").arg(nursery().join("target")));
    let shown = test.join(" ");
    let caught = fails && command::succeeds(command::cargo().arg("test").args(test));
    Ok(if caught { Outcome::Fails { test: shown } } else { Outcome::Passes { test: shown } })
}

fn in_worlds(worlds: &[String], options: &PlantedOptions, copy: &Path) -> Result<Outcome, Failure> {
    let target = nursery().join("target");
    let mut build = command::cargo();
    build.current_dir(copy).args(["build", "--package", "property-tests", "--bin", "soak"]);
    command::run(build.arg("--target-dir").arg(&target))?;
    let soak = target.join("debug").join(format!("soak{}", std::env::consts::EXE_SUFFIX));
    let mut looked = 0;
    while looked < options.seeds {
        let count = AT_ONCE.min(options.seeds - looked);
        let failed = failing(&soak, worlds, options, (options.from + looked, count))?;
        looked += count;
        let by_the_bug: Vec<_> =
            failed.into_iter().filter(|replay| !fails_without(replay)).collect();
        if let Some(first) = by_the_bug.first() {
            let first = first.join(" ");
            return Ok(Outcome::Caught { failed: by_the_bug.len(), looked, first });
        }
    }
    Ok(Outcome::Missed { looked })
}

/// Makes the copy equal to the workspace's tracked files. What is equal stays as it is, so that
/// cargo builds no more than a patch changed.
fn copy_sources(copy: &Path) -> Result<(), Failure> {
    let mut list = Command::new("git");
    list.current_dir(command::root()).args(["ls-files", "-z"]);
    let shown = command::shown(&list);
    let output = list.output();
    let output = output.map_err(|source| Failure::Start { command: shown.clone(), source })?;
    if !output.status.success() {
        return Err(Failure::Step { command: shown, status: output.status });
    }
    let names = String::from_utf8_lossy(&output.stdout);
    let tracked: BTreeSet<&Path> =
        names.split('\0').filter(|name| !name.is_empty()).map(Path::new).collect();
    for name in &tracked {
        // What was removed from the work tree and not yet from the index.
        let Ok(bytes) = fs::read(command::root().join(name)) else { continue };
        let to = copy.join(name);
        if fs::read(&to).is_ok_and(|there| there == bytes) {
            continue;
        }
        let folder = to.parent().unwrap_or(copy);
        fs::create_dir_all(folder).map_err(Failure::file(folder))?;
        fs::write(&to, bytes).map_err(Failure::file(&to))?;
    }
    remove_others(copy, copy, &tracked)
}

/// Removes files of which the workspace has none any more.
fn remove_others(copy: &Path, folder: &Path, tracked: &BTreeSet<&Path>) -> Result<(), Failure> {
    for entry in fs::read_dir(folder).map_err(Failure::file(folder))? {
        let path = entry.map_err(Failure::file(folder))?.path();
        if path.is_dir() {
            remove_others(copy, &path, tracked)?;
        } else if path.strip_prefix(copy).is_ok_and(|name| !tracked.contains(name)) {
            fs::remove_file(&path).map_err(Failure::file(&path))?;
        }
    }
    Ok(())
}

fn apply(bug: &Bug, copy: &Path) -> Result<(), Failure> {
    let mut apply = Command::new("git");
    // In a folder of a repository git would take the patch's paths from the repository's root.
    apply.env("GIT_CEILING_DIRECTORIES", nursery()).current_dir(copy);
    command::run(apply.arg("apply").arg(bug.path()))
}

/// The worlds that fail among these seeds: for each, what `cargo xtask seed` takes.
fn failing(
    soak: &Path,
    worlds: &[String],
    options: &PlantedOptions,
    (from, count): (u64, u64),
) -> Result<Vec<Vec<String>>, Failure> {
    let mut look = Command::new(soak);
    look.args(worlds).args(["--shrink-seconds", "0"]);
    look.args(["--from", &from.to_string(), "--count", &count.to_string()]);
    if let Some(jobs) = options.jobs {
        look.args(["--jobs", &jobs.to_string()]);
    }
    let shown = command::shown(&look);
    let output = look.stdin(Stdio::null()).stderr(Stdio::inherit()).output();
    let output = output.map_err(|source| Failure::Start { command: shown.clone(), source })?;
    let failed = replays(&String::from_utf8_lossy(&output.stdout));
    if failed.is_empty() && !output.status.success() {
        return Err(Failure::Step { command: shown, status: output.status });
    }
    eprintln!("{shown}: {} failed", failed.len());
    Ok(failed)
}

/// What a soak says of each failing world.
fn replays(said: &str) -> Vec<Vec<String>> {
    let commands = said.lines().filter_map(|line| line.trim().strip_prefix("replay: "));
    let arguments = commands.filter_map(|command| command.strip_prefix("cargo xtask seed "));
    arguments.map(|line| line.split_whitespace().map(str::to_owned).collect()).collect()
}

/// Whether a world fails in the workspace as it is: then it says nothing about a bug put in.
fn fails_without(replay: &[String]) -> bool {
    let mut run = command::cargo();
    run.args(["run", "--quiet", "--package", "property-tests", "--bin", "replay", "--"]);
    !command::succeeds(run.args(replay).arg("--quiet"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bug_has_words_and_something_that_looks_for_it() {
        let bugs = bugs().unwrap();
        assert!(!bugs.is_empty());
        for bug in bugs {
            assert!(bug.words.ends_with('.'), "{bug:?}");
            let (ShownBy::Worlds(options) | ShownBy::Test(options)) = &bug.shown_by;
            assert!(options.first().is_some_and(|option| option.starts_with("--")), "{bug:?}");
        }
    }

    #[test]
    fn every_bug_fits_the_sources() {
        for bug in bugs().unwrap() {
            let mut apply = Command::new("git");
            apply.current_dir(command::root()).args(["apply", "--check"]).arg(bug.path());
            assert!(command::succeeds(&mut apply), "{} fits no more", bug.name);
        }
    }

    #[test]
    fn the_worlds_that_fail_are_read_from_what_a_soak_says() {
        let said = "Equal: two differ\n  replay: cargo xtask seed 7 --devices\n\n1 failures\n\
                    Robust: no rest\n  replay: cargo xtask seed 8 --plan rollback=3\n";
        assert_eq!(replays(said), [vec!["7", "--devices"], vec!["8", "--plan", "rollback=3"]]);
    }

    #[test]
    fn a_patch_without_its_two_lines_is_no_bug() {
        let bug = |text: &str| Bug::read("one".to_owned(), text);
        let words = "It forgets.".to_owned();
        let shown_by = ShownBy::Worlds(vec!["--devices".to_owned()]);
        let whole = Bug { name: "one".to_owned(), words, shown_by };
        assert_eq!(bug("# It forgets.\n# soak: --devices\ndiff --git a/a b/a\n"), Some(whole));
        let tests = bug("# It forgets.\n# test: --test hostile vault\ndiff --git a/a b/a\n");
        let options = ["--test", "hostile", "vault"].map(str::to_owned);
        assert_eq!(tests.unwrap().shown_by, ShownBy::Test(options.to_vec()));
        assert_eq!(bug("diff --git a/a b/a\n"), None);
        assert_eq!(bug("# It forgets.\ndiff --git a/a b/a\n"), None);
    }
}
