//! The desktop companion: a window on GTK 4 and libadwaita, over `sync_client` and nothing else.

mod app;
mod badge;
mod banners;
mod chat;
mod keyring;
mod measure;
mod pages;
mod parts;
mod safe;
mod session;
mod shell;
mod shortcuts;
mod sidebar;
mod start;
mod view;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use tracing_subscriber::EnvFilter;

/// Where the store's key is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Keyring {
    /// In the system's keyring, or in a file where there is none.
    System,
    /// In a file beside the store.
    None,
}

/// Conversations that are the same on all of your devices, read by nobody in between.
#[derive(Clone, Debug, Parser)]
#[command(name = "rejoinder-desktop", version)]
pub(crate) struct Arguments {
    /// Directory of this device's store; made if it is not there. Each has a window of its own.
    #[arg(long, env = "DESKTOP_DATA")]
    data: Option<PathBuf>,
    /// The relay: ws://host:port or wss://host. Asked for at the first start without.
    #[arg(long, env = "DESKTOP_RELAY")]
    relay: Option<String>,
    /// A PEM file with the relay's own certificate, or with further root certificates.
    #[arg(long, env = "DESKTOP_CA_FILE")]
    ca_file: Option<PathBuf>,
    /// Where the key is kept that seals the store: `none` has it in a file beside it.
    #[arg(long, env = "DESKTOP_KEYRING", value_enum, default_value = "system")]
    keyring: Keyring,
    /// Start without a window, and wait for messages.
    #[arg(long)]
    background: bool,
    /// Opens conversations and scrolls by itself, says how long each took, and ends.
    #[arg(long, hide = true)]
    measure: bool,
    /// `rejoinder:` links to open.
    links: Vec<String>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let filter = EnvFilter::try_from_env("DESKTOP_LOG").unwrap_or_else(|_| EnvFilter::new("warn"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    app::run(arguments)
}
