//! The terminal client: a screen for people, and a machine mode for programs.
//!
//! `chat --data DIR --relay URL` draws the screen; with `rpc` at the end it speaks JSON-RPC on
//! stdin and stdout instead. Both are the same client over the same store.

mod rpc;
mod screen;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use sync_client::{Client, Options};
use tracing_subscriber::EnvFilter;

/// Talk through a relay that can't read what you say.
#[derive(Debug, Parser)]
#[command(name = "chat", version)]
struct Arguments {
    /// Directory of this device's store; made if it is not there.
    #[arg(long, env = "CHAT_DATA")]
    data: PathBuf,
    /// The relay: ws://host:port or wss://host.
    #[arg(long, env = "CHAT_RELAY")]
    relay: String,
    /// A PEM file of further root certificates, for a relay with a certificate of its own.
    #[arg(long, env = "CHAT_CA_FILE")]
    ca_file: Option<PathBuf>,
    /// Where the screen writes its log; nowhere without.
    #[arg(long, env = "CHAT_LOG_FILE")]
    log_file: Option<PathBuf>,
    #[command(subcommand)]
    mode: Option<Mode>,
}

#[derive(Debug, Subcommand)]
enum Mode {
    /// JSON-RPC 2.0, one message a line: requests on stdin, answers and notifications on stdout.
    Rpc,
}

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("chat: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), String> {
    start_log(arguments)?;
    let runtime = tokio::runtime::Runtime::new().map_err(|error| error.to_string())?;
    runtime.block_on(async {
        let options = Options { extra_roots: arguments.ca_file.clone(), ..Options::default() };
        let client = Client::open(&arguments.data, &arguments.relay, options)
            .await
            .map_err(|error| format!("can't start ({}): {error}", error.kind()))?;
        match arguments.mode {
            Some(Mode::Rpc) => rpc::serve(client).await.map_err(|error| error.to_string()),
            None => screen::run(client, &arguments.relay).await.map_err(|error| error.to_string()),
        }
    })?;
    // A read of the terminal or of stdin can't be called off; the process need not wait for it.
    runtime.shutdown_background();
    Ok(())
}

/// Logs to stderr in machine mode, and to a file, if one is named, beside the screen.
fn start_log(arguments: &Arguments) -> Result<(), String> {
    let filter = EnvFilter::try_from_env("CHAT_LOG").unwrap_or_else(|_| EnvFilter::new("warn"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false);
    match (&arguments.mode, &arguments.log_file) {
        (Some(Mode::Rpc), None) => log.with_writer(std::io::stderr).init(),
        (_, Some(path)) => {
            let file = std::fs::OpenOptions::new().create(true).append(true).open(path);
            let file =
                file.map_err(|error| format!("{} can't be written: {error}", path.display()))?;
            log.with_writer(std::sync::Mutex::new(file)).init();
        }
        (None, None) => {}
    }
    Ok(())
}
