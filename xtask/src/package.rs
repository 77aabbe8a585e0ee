//! `cargo xtask package`: what a release is made of, so that who builds it again gets the same bytes.

mod archive;
mod debian;

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::{Args, ValueEnum};
use sha2::{Digest as _, Sha256};

use crate::command;
use crate::failure::Failure;
use crate::web;
use archive::{Entry, gzip, tar};

/// The crates that others build on, each after what it stands on.
const CRATES: [&str; 6] = [
    "sync-protocol-derive",
    "sync-protocol",
    "sync-core",
    "sync-store",
    "sync-client",
    "sync-server",
];
const NPM: [&str; 2] = ["client", "react"];

/// A program, the name of what it is shipped in, and what goes along: from where, and as what.
struct Program {
    name: &'static str,
    package: &'static str,
    files: &'static [(&'static str, &'static str)],
}

const PROGRAMS: [Program; 2] = [
    Program {
        name: "sync-server",
        package: "rejoinder-relay",
        files: &[
            ("docs/operating.md", "operating.md"),
            ("deploy/relay.toml", "relay.toml"),
            ("deploy/rejoinder-relay.service", "rejoinder-relay.service"),
            ("deploy/rejoinder-backup.service", "rejoinder-backup.service"),
            ("deploy/rejoinder-backup.timer", "rejoinder-backup.timer"),
        ],
    },
    Program {
        name: "chat",
        package: "rejoinder-chat",
        files: &[("examples/chat/README.md", "README.md"), ("docs/rpc.json", "rpc.json")],
    },
];
const LICENCES: [&str; 2] = ["LICENSE-APACHE", "LICENSE-MIT"];
const SUMS: &str = "SHA256SUMS";

/// What to make, and how.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Only these.
    #[arg(long, value_enum)]
    only: Vec<Part>,
    /// The profile that programs are built with.
    #[arg(long, default_value = "release")]
    profile: String,
    /// Makes it all once more, in another folder, and fails if a byte is another.
    #[arg(long)]
    twice: bool,
}

/// A part of a release.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// The npm packages.
    Npm,
    /// The crates.
    Crates,
    /// Both programs, with man pages and completions; the relay as a Debian package, too.
    Programs,
}

/// Makes the release, and says where it lies.
///
/// # Errors
/// The failed step; `Differs` if the second time made something else.
pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    let first = Release::make(options, "dist")?;
    if options.twice {
        let second = Release::make(options, "dist-again")?;
        let sums =
            |release: &Release| fs::read_to_string(release.folder.join(SUMS)).unwrap_or_default();
        if sums(&first) != sums(&second) {
            let (one, other) = (first.folder, second.folder);
            return Err(Failure::NotTheSame { one, other });
        }
        eprintln!("\nMade twice, and equal.");
    }
    eprintln!("\nThe release lies in {}", first.folder.display());
    Ok(())
}

struct Release {
    /// Where it lies.
    folder: PathBuf,
    /// Where it is built.
    built: PathBuf,
    /// When the sources are from, in seconds: the time of all files.
    time: u64,
}

impl Release {
    fn make(options: &Options, name: &str) -> Result<Self, Failure> {
        let target = command::root().join("target");
        let (folder, built) = (target.join(name), target.join(format!("{name}-build")));
        if folder.exists() {
            fs::remove_dir_all(&folder).map_err(Failure::file(&folder))?;
        }
        fs::create_dir_all(&folder).map_err(Failure::file(&folder))?;
        let release = Self { folder, built, time: time_of_sources() };
        let wanted = |part| options.only.is_empty() || options.only.contains(&part);
        if wanted(Part::Npm) {
            release.npm()?;
        }
        if wanted(Part::Crates) {
            release.crates()?;
        }
        if wanted(Part::Programs) {
            release.programs(&options.profile)?;
        }
        release.sum_up()?;
        Ok(release)
    }

    fn npm(&self) -> Result<(), Failure> {
        web::run(&web::Options { release: true })?;
        for package in NPM {
            let mut pack = web::npm();
            pack.current_dir(command::root().join("wasm").join("packages").join(package));
            command::run(pack.args(["pack", "--pack-destination"]).arg(&self.folder))?;
        }
        Ok(())
    }

    fn crates(&self) -> Result<(), Failure> {
        let mut cargo = command::cargo();
        cargo.args(["package", "--locked", "--no-verify", "--allow-dirty"]);
        // What is locked is the workspace; those who build on the crates lock for themselves.
        cargo.arg("--exclude-lockfile");
        for package in CRATES {
            cargo.args(["--package", package]);
        }
        command::run(cargo.arg("--target-dir").arg(&self.built))?;
        let made = self.built.join("package");
        for package in CRATES {
            let name = format!("{package}-{}.crate", version());
            let from = made.join(&name);
            fs::copy(&from, self.folder.join(&name)).map_err(Failure::file(&from))?;
        }
        Ok(())
    }

    fn programs(&self, profile: &str) -> Result<(), Failure> {
        let mut cargo = command::cargo();
        cargo.args(["build", "--locked", "--profile", profile]);
        for program in &PROGRAMS {
            cargo.args(["--package", program.name]);
        }
        cargo.args(["--package", "pages"]);
        cargo.env("CARGO_ENCODED_RUSTFLAGS", self.anywhere().join("\u{1f}"));
        for name in ["RELEASE", "DEV"] {
            cargo.env(format!("CARGO_PROFILE_{name}_STRIP"), "symbols");
        }
        // A second build that took from the first what it keeps for the next would prove nothing.
        command::run(cargo.env("CARGO_INCREMENTAL", "0").arg("--target-dir").arg(&self.built))?;
        let made = self.built.join(if profile == "dev" { "debug" } else { profile });
        let share = self.built.join("share");
        if share.exists() {
            fs::remove_dir_all(&share).map_err(Failure::file(&share))?;
        }
        command::run(Command::new(made.join("pages")).arg(&share))?;
        for program in &PROGRAMS {
            let contents = contents(program, &made, &share)?;
            let name = format!("{}-{}-{}", program.package, version(), machine());
            let inside = contents.iter().map(|entry| entry.below(&name));
            let packed = gzip(&tar(inside, self.time))?;
            self.put(&format!("{name}.tar.gz"), &packed)?;
            if program.package == debian::NAME {
                let (name, bytes) = debian::package(&contents, version(), self.time)?;
                self.put(&name, &bytes)?;
            }
        }
        Ok(())
    }

    /// What makes the compiler write the same wherever it runs: no name of a folder of this machine.
    fn anywhere(&self) -> Vec<String> {
        let home = env::var_os("CARGO_HOME").map(PathBuf::from);
        let home = home.or_else(|| Some(env::home_dir()?.join(".cargo"))).unwrap_or_default();
        let folders = [
            (command::root().to_owned(), "rejoinder"),
            (self.built.clone(), "built"),
            (home.join("registry").join("src"), "registry"),
        ];
        // Of several that fit, the last counts: the folder that is built in lies in the first.
        let remap =
            |(from, to): (PathBuf, &str)| format!("--remap-path-prefix={}={to}", from.display());
        folders.into_iter().map(remap).collect()
    }

    /// A file of the release, of all of which the sums are told.
    fn put(&self, name: &str, bytes: &[u8]) -> Result<(), Failure> {
        let path = self.folder.join(name);
        fs::write(&path, bytes).map_err(Failure::file(&path))
    }

    fn sum_up(&self) -> Result<(), Failure> {
        let mut sums = String::new();
        for path in files_below(&self.folder)? {
            let bytes = fs::read(&path).map_err(Failure::file(&path))?;
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            for byte in Sha256::digest(&bytes) {
                sums.push_str(&format!("{byte:02x}"));
            }
            sums.push_str(&format!("  {name}\n"));
        }
        eprint!("\n{sums}");
        self.put(SUMS, sums.as_bytes())
    }
}

/// A program's archive: itself, its pages and completions, its licences, and what goes along.
fn contents(program: &Program, made: &Path, share: &Path) -> Result<Vec<Entry>, Failure> {
    let Program { name, files, .. } = program;
    let read = |path: &Path| fs::read(path).map_err(Failure::file(path));
    let mut contents = vec![Entry::program(format!("bin/{name}"), read(&made.join(name))?)];
    for path in files_below(share)? {
        let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        // `sync-server.1`, `sync-server-backup.1`, `_sync-server`, `sync-server.bash`.
        let of = file.trim_start_matches('_');
        if of
            .strip_prefix(*name)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '-']))
        {
            let place = path.strip_prefix(share).unwrap_or(&path).display();
            contents.push(Entry::file(format!("share/{place}"), read(&path)?));
        }
    }
    let licences = LICENCES.iter().map(|name| (*name, *name));
    for (from, to) in files.iter().copied().chain(licences) {
        contents.push(Entry::file(to.to_owned(), read(&command::root().join(from))?));
    }
    Ok(contents)
}

/// All files below a folder, by name.
fn files_below(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(Failure::file(folder))? {
        let path = entry.map_err(Failure::file(folder))?.path();
        if path.is_dir() {
            files.extend(files_below(&path)?);
        } else {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// All crates and packages have the same.
fn version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}

/// What the programs run on, as releases name it.
fn machine() -> String {
    format!("{}-{}", env::consts::ARCH, env::consts::OS)
}

/// When the newest commit was made; the beginning of time where there is no history.
fn time_of_sources() -> u64 {
    let mut git = Command::new("git");
    git.current_dir(command::root()).args(["log", "-1", "--format=%ct"]);
    command::output(&mut git).and_then(|time| time.parse().ok()).unwrap_or_default()
}
