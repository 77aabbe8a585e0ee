//! The terminal client: a screen for people, and a machine mode for programs.
//!
//! `chat --data DIR --relay URL` draws the screen; with `rpc` at the end it speaks JSON-RPC on
//! stdin and stdout instead. Both are the same client over the same store.

mod arguments;
mod everything;
mod rpc;
mod screen;

use std::io::Write as _;
use std::process::ExitCode;

use arguments::{Arguments, Mode};
use clap::Parser as _;
use screen::Ended;
use sync_client::{Client, Options};
use tracing_subscriber::EnvFilter;

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
