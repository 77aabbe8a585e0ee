//! What the program is called with.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

/// Talk through a relay that can't read what you say.
#[derive(Debug, Parser)]
#[command(name = "chat", version, after_help = PROXIES)]
pub(crate) struct Arguments {
    /// Directory of this device's store; made if it is not there.
    #[arg(long, env = "CHAT_DATA")]
    pub(crate) data: PathBuf,
    /// The relay: ws://host:port or wss://host; http and https are taken for them.
    #[arg(long, env = "CHAT_RELAY")]
    pub(crate) relay: String,
    /// A PEM file with the relay's own certificate, or with further root certificates.
    #[arg(long, env = "CHAT_CA_FILE")]
    pub(crate) ca_file: Option<PathBuf>,
    /// Where the screen writes its log; nowhere without.
    #[arg(long, env = "CHAT_LOG_FILE")]
    pub(crate) log_file: Option<PathBuf>,
    /// What to be instead of a screen.
    #[command(subcommand)]
    pub(crate) mode: Option<Mode>,
}

/// What of the environment counts beside the flags.
const PROXIES: &str = "A proxy is found in HTTPS_PROXY (for wss), HTTP_PROXY (for ws) or \
    ALL_PROXY, as http://host:port or socks5://host:port; NO_PROXY lists hosts to reach without it.";

/// What the program can be instead of a screen.
#[derive(Debug, Subcommand)]
pub(crate) enum Mode {
    /// JSON-RPC 2.0, one message a line: requests on stdin, answers and notifications on stdout.
    Rpc,
}
