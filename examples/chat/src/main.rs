//! The terminal client: a screen for people, and a machine mode for programs.
//!
//! `chat --data DIR --relay URL` draws the screen; with `rpc` at the end it speaks JSON-RPC on
//! stdin and stdout instead. Both are the same client over the same store.

mod everything;
mod rpc;
mod screen;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use screen::Ended;
use sync_client::{Client, Options};
use tracing_subscriber::EnvFilter;

/// Talk through a relay that can't read what you say.
#[derive(Debug, Parser)]
#[command(name = "chat", version, after_help = PROXIES)]
struct Arguments {
    /// Directory of this device's store; made if it is not there.
    #[arg(long, env = "CHAT_DATA")]
    data: PathBuf,
    /// The relay: ws://host:port or wss://host; http and https are taken for them.
    #[arg(long, env = "CHAT_RELAY")]
    relay: String,
    /// A PEM file with the relay's own certificate, or with further root certificates.
    #[arg(long, env = "CHAT_CA_FILE")]
    ca_file: Option<PathBuf>,
    /// Where the screen writes its log; nowhere without.
    #[arg(long, env = "CHAT_LOG_FILE")]
    log_file: Option<PathBuf>,
    #[command(subcommand)]
    mode: Option<Mode>,
}

/// What of the environment counts beside the flags.
const PROXIES: &str = "A proxy is found in HTTPS_PROXY (for wss), HTTP_PROXY (for ws) or \
    ALL_PROXY, as http://host:port or socks5://host:port; NO_PROXY lists hosts to reach without it.";

#[derive(Debug, Subcommand)]
enum Mode {
    /// JSON-RPC 2.0, one message a line: requests on stdin, answers and notifications on stdout.
    Rpc,
}

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Where there is no terminal, as for arguments that make no sense.
const NO_TERMINAL: u8 = 2;
/// A shell's way to say that a signal ended a program: this and the signal's number.
const BY_SIGNAL: u8 = 128;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // Before the store is made: who only looked leaves nothing behind.
    if arguments.mode.is_none()
        && let Err(missing) = screen::terminal::check()
    {
        complain(&missing);
        return ExitCode::from(NO_TERMINAL);
    }
    match run(&arguments) {
        Ok(code) => code,
        Err(failure) => {
            complain(&failure);
            ExitCode::FAILURE
        }
    }
}

/// Unlike `eprintln!` it doesn't panic where the terminal is gone.
fn complain(what: &str) {
    let _ = writeln!(std::io::stderr(), "chat: {what}");
}

fn run(arguments: &Arguments) -> Result<ExitCode, String> {
    start_log(arguments)?;
    let runtime = tokio::runtime::Runtime::new().map_err(|error| error.to_string())?;
    let code = runtime.block_on(async {
        let options = Options { extra_roots: arguments.ca_file.clone(), ..Options::default() };
        let client = Client::open(&arguments.data, &arguments.relay, options)
            .await
            .map_err(|error| format!("can't start ({}): {error}", error.kind()))?;
        let ended = match arguments.mode {
            Some(Mode::Rpc) => rpc::serve(client).await.map(|()| Ended::Quit),
            None => screen::run(client, &arguments.relay).await,
        };
        ended.map_err(|error| error.to_string())
    });
    // A read of the terminal or of stdin can't be called off; the process need not wait for it.
    runtime.shutdown_background();
    Ok(match code? {
        Ended::Quit => ExitCode::SUCCESS,
        Ended::Signal(number) => ExitCode::from(BY_SIGNAL.saturating_add(number)),
    })
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
