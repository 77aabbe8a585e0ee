//! Developer tools, installed once by exact version into a folder of their own, so that neither
//! the developer's other tools nor the workspace's target folder is touched.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::command;
use crate::failure::Failure;

/// A cargo subcommand that the tasks need.
#[derive(Debug)]
pub(crate) struct Tool {
    /// The package that holds it.
    package: &'static str,
    /// The exact version to install.
    version: &'static str,
    /// Whether a version that is there already will do: true if only its exit code and
    /// output for people matter, false if another version would judge differently.
    any_version: bool,
}

/// Runs tests, each in its own process.
pub(crate) const NEXTEST: Tool =
    Tool { package: "cargo-nextest", version: "0.9.143", any_version: true };

/// Judges licences, sources, versions and advisories of dependencies.
pub(crate) const DENY: Tool = Tool { package: "cargo-deny", version: "0.20.2", any_version: false };

/// Builds fuzz targets: what it hands to the compiler is part of what they are.
pub(crate) const FUZZ: Tool = Tool { package: "cargo-fuzz", version: "0.13.2", any_version: false };

/// Makes Debian packages.
pub(crate) const DEB: Tool = Tool { package: "cargo-deb", version: "3.8.0", any_version: true };

impl Tool {
    /// The tool, ready to be given its arguments. Installs it if it isn't there.
    ///
    /// # Errors
    /// `NoToolRoot`, or the failure of `cargo install`.
    pub(crate) fn command(&self) -> Result<Command, Failure> {
        let subcommand = self.package.trim_start_matches("cargo-");
        if self.any_version && command::succeeds(command::cargo().args([subcommand, "--version"])) {
            let mut present = command::cargo();
            present.arg(subcommand);
            return Ok(present);
        }
        let mut own = Command::new(self.installed()?);
        own.current_dir(command::root()).arg(subcommand);
        command::as_typed(&mut own);
        Ok(own)
    }

    /// The path of the pinned version; installs it first if need be.
    fn installed(&self) -> Result<PathBuf, Failure> {
        let folder = root()?.join(format!("{}-{}", self.package, self.version));
        let program = self.program_in(&folder);
        if !program.exists() {
            install(self.package, self.version, &["--locked"], &folder)?;
        }
        Ok(program)
    }

    fn program_in(&self, folder: &Path) -> PathBuf {
        folder.join("bin").join(format!("{}{}", self.package, env::consts::EXE_SUFFIX))
    }
}

/// What is set for building tools: as their authors ship them, they take most of a new machine's
/// first quarter of an hour, and then they run for seconds.
const PROFILE: [(&str, &str); 4] = [
    ("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1"),
    ("CARGO_PROFILE_RELEASE_LTO", "off"),
    ("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16"),
    ("CARGO_PROFILE_RELEASE_DEBUG", "0"),
];

/// Builds a tool into a folder.
///
/// # Errors
/// The failure of `cargo install`.
pub(crate) fn install(
    package: &str,
    version: &str,
    options: &[&str],
    folder: &Path,
) -> Result<(), Failure> {
    eprintln!("{package} {version} is built once; this takes minutes.");
    let mut install = command::cargo();
    install.args(["install", package, "--version", version]).args(options);
    command::run(install.arg("--root").arg(folder).envs(PROFILE))
}

/// Where tools are kept: `XTASK_TOOLS`, else the user's cache folder.
///
/// # Errors
/// `NoToolRoot`.
pub(crate) fn root() -> Result<PathBuf, Failure> {
    let cache = || {
        let given = folder_from("XDG_CACHE_HOME").or_else(|| folder_from("LOCALAPPDATA"));
        let cache = given.or_else(|| Some(folder_from("HOME")?.join(".cache")))?;
        Some(cache.join("rejoinder").join("tools"))
    };
    folder_from("XTASK_TOOLS").or_else(cache).ok_or(Failure::NoToolRoot)
}

fn folder_from(variable: &str) -> Option<PathBuf> {
    env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_lie_beside_each_other() {
        let (old, new) = (Path::new("t/cargo-deny-1"), Path::new("t/cargo-deny-2"));
        assert_ne!(DENY.program_in(old), DENY.program_in(new));
    }

    #[test]
    fn versions_are_exact() {
        for tool in [NEXTEST, DENY, FUZZ, DEB] {
            assert_eq!(tool.version.split('.').count(), 3, "{tool:?}");
        }
    }
}
