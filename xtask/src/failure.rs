//! Why a task stopped.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

/// A task's failure; its text is the last line the developer reads.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// A program ran and said no; what it printed is above.
    #[error("`{command}` failed ({status})")]
    Step { command: String, status: ExitStatus },
    /// A program could not be started at all.
    #[error("`{command}` could not be started: {source}")]
    Start { command: String, source: io::Error },
    /// A file or folder could not be used.
    #[error("{}: {source}", path.display())]
    File { path: PathBuf, source: io::Error },
    /// There is no place to keep tools in.
    #[error("no home directory: set XTASK_TOOLS to a folder where tools may be kept")]
    NoToolRoot,
    /// The relay ended, or said nothing, before it listened.
    #[error("the relay did not start listening; its last words are {last:?}; see {}", log.display())]
    RelaySilent { last: String, log: PathBuf },
    /// The relay listens, but isn't healthy.
    #[error("the relay at {address} is not healthy: {reason}")]
    RelayUnhealthy { address: std::net::SocketAddr, reason: String },
    /// The relay ended while it was needed.
    #[error("the relay ended by itself; see {}", log.display())]
    RelayEnded { log: PathBuf },
    /// A client answered a call with an error.
    #[error("{client}: {method} was refused: {error}")]
    Refused { client: String, method: String, error: String },
    /// A client ended, or answered what makes no sense.
    #[error("{client}: {method}: {reason}; see {}", log.display())]
    Client { client: String, method: String, reason: &'static str, log: PathBuf },
    /// Something that was to happen within a bound did not.
    #[error("{what} did not happen within {} s", within.as_secs())]
    TooLate { what: String, within: Duration },
    /// A device that does not run was asked for something.
    #[error("no program runs on {}", store.display())]
    Asleep { store: PathBuf },
    /// Devices that should be at rest and show the same are not, or do not.
    #[error("not equal: {what}")]
    Differs { what: String },
    /// No bug has the name that was asked for.
    #[error("there is no such bug; there are {names}")]
    NoSuchBug { names: String },
    /// A patch doesn't say what it breaks.
    #[error("{}: it begins with `# ` and the bug in words, then `# soak: ` or `# test: ` and options", path.display())]
    NoBug { path: PathBuf },
    /// Simulated worlds did not show every bug that was put in.
    #[error("not caught: {bugs}")]
    Missed { bugs: String },
    /// No fuzz target has the name that was asked for.
    #[error("there is no such target; there are {names}")]
    NoSuchTarget { names: String },
    /// Made-up input broke something.
    #[error(
        "found something: {targets}; the inputs lie in fuzz/artifacts, and go to fuzz/regressions with the fix"
    )]
    Found { targets: String },
    /// The same sources made two releases.
    #[error("{} and {} are not the same", one.display(), other.display())]
    NotTheSame { one: PathBuf, other: PathBuf },
    /// Ctrl-C can't be caught, so nothing would be stopped cleanly.
    #[error("Ctrl-C can't be caught: {0}")]
    Signal(#[from] ctrlc::Error),
}

impl Failure {
    /// For `map_err` on a file operation.
    pub(crate) fn file(path: &Path) -> impl FnOnce(io::Error) -> Self + '_ {
        |source| Self::File { path: path.to_path_buf(), source }
    }
}
