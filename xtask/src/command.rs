//! Programs run to their end, with their output on the developer's screen.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::failure::Failure;

/// The workspace's root folder.
pub(crate) fn root() -> &'static Path {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().unwrap_or(own)
}

/// The cargo that runs this task, in the workspace's root.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    as_typed(&mut command);
    command
}

/// Takes away what cargo told this program of its own package. Build scripts that look at that
/// (ring's does) would run again after every command that a developer typed, and all that stands
/// on them would be built again.
pub(crate) fn as_typed(command: &mut Command) {
    let is_own = |name: &OsString| {
        let name = name.to_string_lossy();
        name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")
    };
    for (name, _) in env::vars_os().filter(|(name, _)| is_own(name)) {
        command.env_remove(name);
    }
}

/// Where this build's programs lie: beside this one, which the same profile built.
pub(crate) fn program(name: &str) -> Result<PathBuf, Failure> {
    let own = env::current_exe().map_err(Failure::file(Path::new("xtask")))?;
    Ok(own.with_file_name(format!("{name}{}", env::consts::EXE_SUFFIX)))
}

/// Runs `command` to its end.
///
/// # Errors
/// `Start` if it can't be started, `Step` if it doesn't succeed.
pub(crate) fn run(command: &mut Command) -> Result<(), Failure> {
    let shown = shown(command);
    eprintln!("\n$ {shown}");
    let status = command.stdin(Stdio::null()).status();
    let status = status.map_err(|source| Failure::Start { command: shown.clone(), source })?;
    if status.success() { Ok(()) } else { Err(Failure::Step { command: shown, status }) }
}

/// Whether `command` starts and succeeds; its output is dropped.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    let silent = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    silent.status().is_ok_and(|status| status.success())
}

/// What `command` prints, if it starts and succeeds.
pub(crate) fn output(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// A command as a developer would type it.
pub(crate) fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let name = program.file_name().unwrap_or(program.as_os_str());
    let mut words = vec![OsString::from(name)];
    words.extend(command.get_args().map(OsString::from));
    words.join(" ".as_ref()).to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_shown_as_it_would_be_typed() {
        let mut command = Command::new("/some/where/cargo");
        command.args(["deny", "check"]);
        assert_eq!(shown(&command), "cargo deny check");
    }

    #[test]
    fn cargo_is_not_told_of_this_package() {
        assert!(env::var_os("CARGO_PKG_NAME").is_some(), "cargo runs this test");
        let command = cargo();
        let removed =
            |name: &str| command.get_envs().any(|(key, value)| key == name && value.is_none());
        assert!(removed("CARGO_PKG_NAME") && removed("CARGO_MANIFEST_DIR"));
    }

    #[test]
    fn a_program_that_says_no_is_a_failure() {
        let refused = run(cargo().arg("--no-such-option"));
        assert!(matches!(refused, Err(Failure::Step { .. })));
    }

    #[test]
    fn a_missing_program_is_not_a_success() {
        assert!(!succeeds(&mut Command::new("rejoinder-has-no-such-program")));
    }
}
