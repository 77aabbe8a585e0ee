//! The relay's program.

use std::process::ExitCode;

use clap::Parser as _;
use sync_server::config::{Cli, Config, Task};
use sync_server::server::{Server, ServerError};
use sync_server::store::{Contents, RedbStore};
use sync_server::telemetry::{self, LogFormat};
use tokio::signal::unix::{SignalKind, signal};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let config = match Config::load(&cli.flags) {
        Ok(config) => config,
        Err(error) => return refuse(&error, LogFormat::Text),
    };
    telemetry::init_logs(config.log_format);
    let done = match cli.command {
        Some(Task::Inspect) => inspect(&config),
        Some(Task::Backup { path }) => {
            open(&config).and_then(|store| store.backup(&path).map_err(ServerError::from))
        }
        None => run(&config),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => refuse(&error, config.log_format),
    }
}

/// Says once why it ended: to whoever reads the log, in the log's form.
fn refuse(error: &dyn std::fmt::Display, format: LogFormat) -> ExitCode {
    match format {
        LogFormat::Text => eprintln!("sync-server: {error}"),
        LogFormat::Json => tracing::error!("{error}"),
    }
    ExitCode::FAILURE
}

fn run(config: &Config) -> Result<(), ServerError> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| ServerError::System(error.to_string()))?;
    runtime.block_on(async {
        let server = Server::start(config).await?;
        let interrupt = signal(SignalKind::interrupt());
        let terminate = signal(SignalKind::terminate());
        let (Ok(mut interrupt), Ok(mut terminate)) = (interrupt, terminate) else {
            return Err(ServerError::System("signals can't be received".to_owned()));
        };
        tokio::select! {
            _ = interrupt.recv() => tracing::info!("draining"),
            _ = terminate.recv() => tracing::info!("draining"),
            () = server.failed() => {}
        }
        server.stop().await
    })
}

/// The store of a relay that isn't running.
fn open(config: &Config) -> Result<RedbStore, ServerError> {
    RedbStore::open_existing(&config.data)
        .map_err(|cause| ServerError::opening(&config.data, cause))
}

fn inspect(config: &Config) -> Result<(), ServerError> {
    let contents = open(config)?.contents()?;
    let Contents {
        spaces,
        entries,
        accounts,
        devices,
        addresses,
        inbox_items,
        key_packages,
        file_bytes,
    } = contents;
    println!("spaces        {spaces}");
    println!("entries       {entries}");
    println!("accounts      {accounts}");
    println!("devices       {devices}");
    println!("addresses     {addresses}");
    println!("inbox items   {inbox_items}");
    println!("key packages  {key_packages}");
    println!("file bytes    {file_bytes}");
    Ok(())
}
