//! The relay's program.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser as _;
use sync_server::admin::{self, Ask, Control};
use sync_server::config::{Cli, Config, Flags, Task};
use sync_server::data::Data;
use sync_server::heartbeat::Heartbeat;
use sync_server::hub::now_ms;
use sync_server::notify;
use sync_server::rules;
use sync_server::server::{Server, ServerError};
use sync_server::store::{Contents, Copier, FILE, RedbStore, StoreError};
use sync_server::telemetry::{self, LogFormat};
use tokio::signal::unix::{Signal, SignalKind, signal};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What went wrong, in words.
type Failure = Box<dyn std::fmt::Display>;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let config = match Config::load(&cli.flags) {
        Ok(config) => config,
        Err(error) => return refuse(&error, LogFormat::Text),
    };
    telemetry::init_logs(config.log_format, &config.log_level);
    match carry_out(cli.command.unwrap_or(Task::Run), &config, &cli.flags) {
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

fn failure(error: impl std::fmt::Display + 'static) -> Failure {
    Box::new(error)
}

fn carry_out(task: Task, config: &Config, flags: &Flags) -> Result<(), Failure> {
    match task {
        Task::Run => run(config, flags).map_err(failure),
        Task::Admin(ask) => ask_and_print(config, &ask),
        Task::Backup { path: Some(path), .. } => backup_file(config, &path).map_err(failure),
        Task::Backup { path: None, to, keep } => {
            backup(config, to.as_deref().unwrap_or(Path::new(".")), keep)
        }
        Task::Restore { path } => restore(config, &path).map_err(failure),
        Task::Check { path } => check(config, path.as_deref()),
        Task::Repair => repair(config),
        Task::Compact => compact(config).map_err(failure),
        Task::Health => health(config),
        Task::Config => print_config(config),
        Task::Inspect => inspect(config).map_err(failure),
    }
}

fn run(config: &Config, flags: &Flags) -> Result<(), ServerError> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| ServerError::System(error.to_string()))?;
    runtime.block_on(async {
        let mut signals = Signals::new()?;
        let mut server = Server::start(config).await?;
        notify::tell("READY=1");
        let alive = tokio::spawn(tell_alive(server.hub().heartbeat()));
        let mut drain_delay_ms = config.drain_delay_ms;
        loop {
            match signals.next(&mut server).await {
                Told::Failed => break,
                Told::Stop => {
                    tracing::info!(delay_ms = drain_delay_ms, "draining");
                    notify::tell("STOPPING=1");
                    server.leave();
                    let delay = Duration::from_millis(drain_delay_ms);
                    tokio::select! {
                        () = tokio::time::sleep(delay) => {}
                        () = server.failed() => {}
                    }
                    break;
                }
                Told::Reload => {
                    if let Some(config) = reload(&server, config, flags).await {
                        drain_delay_ms = config.drain_delay_ms;
                    }
                }
            }
        }
        alive.abort();
        server.stop().await
    })
}

/// What the program is told.
enum Told {
    Stop,
    Reload,
    Failed,
}

struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Signal,
}

impl Signals {
    fn new() -> Result<Self, ServerError> {
        let refused = |_| ServerError::System("signals can't be received".to_owned());
        Ok(Self {
            interrupt: signal(SignalKind::interrupt()).map_err(refused)?,
            terminate: signal(SignalKind::terminate()).map_err(refused)?,
            hang_up: signal(SignalKind::hangup()).map_err(refused)?,
        })
    }

    async fn next(&mut self, server: &mut Server) -> Told {
        let mut health = server.hub().health();
        tokio::select! {
            _ = self.interrupt.recv() => Told::Stop,
            _ = self.terminate.recv() => Told::Stop,
            _ = self.hang_up.recv() => Told::Reload,
            _ = health.wait_for(|health| !matches!(health, sync_server::hub::Health::Serving)) => {
                Told::Failed
            }
            control = server.control() => match control {
                Control::Drain => Told::Stop,
                Control::Reload => Told::Reload,
            },
        }
    }
}

/// Reads the configuration anew, and gives it. What is wrong with it is said, and changes nothing.
async fn reload(server: &Server, before: &Config, flags: &Flags) -> Option<Config> {
    notify::tell("RELOADING=1");
    let config = take_up(server, flags).await;
    match &config {
        Ok(config) => {
            tracing::info!("reloaded certificates, limits and log level");
            let other = later(before, config);
            if !other.is_empty() {
                tracing::warn!("{} take effect with the next start", other.join(", "));
            }
        }
        Err(error) => tracing::error!("not reloaded: {error}"),
    }
    notify::tell("READY=1");
    config.ok()
}

async fn take_up(server: &Server, flags: &Flags) -> Result<Config, Failure> {
    let config = Config::load(flags).map_err(failure)?;
    telemetry::check_log_level(&config.log_level).map_err(failure)?;
    server.reload(&config).await.map_err(failure)?;
    telemetry::set_log_level(&config.log_level).map_err(failure)?;
    Ok(config)
}

/// What of a configuration is not taken up while the relay runs.
fn later(before: &Config, now: &Config) -> Vec<&'static str> {
    let others = [
        ("listen", before.listen != now.listen),
        ("operate", before.operate != now.operate),
        ("data", before.data != now.data),
        ("admin", before.admin != now.admin),
        ("web", before.web != now.web),
        ("log_format", before.log_format != now.log_format),
        ("[acme]", before.acme != now.acme),
        ("TLS", before.tls_cert.is_some() != now.tls_cert.is_some()),
    ];
    others.into_iter().filter(|(_, is_other)| *is_other).map(|(name, _)| name).collect()
}

/// Tells the service manager that the relay goes on, as long as it does.
async fn tell_alive(heartbeat: std::sync::Arc<Heartbeat>) {
    let Some(period) = notify::watchdog() else { return };
    let mut every = tokio::time::interval(period);
    loop {
        every.tick().await;
        if !heartbeat.is_stuck() {
            notify::tell("WATCHDOG=1");
        }
    }
}

fn ask_and_print(config: &Config, ask: &Ask) -> Result<(), Failure> {
    let told = admin::ask(&config.admin_socket(), ask).map_err(failure)?;
    println!("{}", admin::text(&told));
    Ok(())
}

/// The store of a relay that isn't running, with all that its log has.
fn open(config: &Config) -> Result<RedbStore, ServerError> {
    Data::open_existing(&config.data)
        .and_then(Data::caught_up)
        .map_err(|cause| ServerError::opening(&config.data, cause))
}

fn backup_file(config: &Config, path: &Path) -> Result<(), ServerError> {
    open(config)?.backup(path).map_err(ServerError::from)
}

/// A running relay is asked for it; the store of one that is not is copied here.
fn backup(config: &Config, to: &Path, keep: usize) -> Result<(), Failure> {
    let path = match open(config) {
        Ok(store) => store.copier().backup(to, keep, now_ms()).map_err(failure)?,
        Err(ServerError::Store(StoreError::InUse(_))) => {
            // The relay has another working directory, most likely.
            let to = std::path::absolute(to).map_err(failure)?;
            return ask_and_print(config, &Ask::Backup { to, keep });
        }
        Err(error) => return Err(failure(error)),
    };
    println!("{}", path.display());
    Ok(())
}

fn restore(config: &Config, path: &Path) -> Result<(), StoreError> {
    let generation = new_generation()?;
    Copier::restore(path, &config.data, |store| rules::put_back(store, generation))?;
    println!("restored to {}", config.data.join(FILE).display());
    println!("devices read everything anew, and write again what this backup lacks of theirs");
    Ok(())
}

fn new_generation() -> Result<u64, StoreError> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).map_err(|error| StoreError::Io(error.to_string()))?;
    Ok(u64::from_be_bytes(bytes))
}

fn check(config: &Config, path: Option<&Path>) -> Result<(), Failure> {
    let failed = |cause| failure(ServerError::opening(&config.data, cause));
    let (store, log) = match path {
        Some(path) => (RedbStore::open_file(path).map_err(failure)?, None),
        None => {
            let Data { store, log } = Data::open_existing(&config.data).map_err(failed)?;
            (store, Some(log))
        }
    };
    let checked = store.copier().check().map_err(failure)?;
    if let Some(log) = log {
        println!("log           good, {} bytes", log.bytes());
        println!("log waiting   {} commands", log.behind(store.applied().map_err(failed)?));
    }
    println!("rows good     {}", checked.rows);
    println!("bytes in use  {}", checked.bytes);
    println!("rows damaged  {}", checked.damaged.len());
    for row in &checked.damaged {
        println!("  {} {} {}", row.table.name(), row.name(), row.whose());
    }
    match checked.damaged.is_empty() {
        true => Ok(()),
        false => Err(failure("the store is damaged; `sync-server repair` makes it whole")),
    }
}

fn repair(config: &Config) -> Result<(), Failure> {
    let generation = new_generation().map_err(failure)?;
    let repaired = sync_server::repair::repair(&config.data, generation, now_ms());
    let repaired = repaired.map_err(|cause| failure(ServerError::opening(&config.data, cause)))?;
    println!("{repaired}");
    Ok(())
}

fn compact(config: &Config) -> Result<(), ServerError> {
    let store = open(config)?;
    let before = store.copier().disk_bytes();
    store.compact()?;
    let after = open(config)?.copier().disk_bytes();
    println!("bytes on the disk  {before} before, {after} after");
    Ok(())
}

fn health(config: &Config) -> Result<(), Failure> {
    let told = admin::ask(&config.admin_socket(), &Ask::Health).map_err(failure)?;
    println!("{}", admin::text(&told));
    let is_well = told["serving"] == true
        && told["heartbeat_age_ms"]
            .as_u64()
            .is_some_and(|age| age <= sync_server::heartbeat::STUCK_MS);
    if is_well { Ok(()) } else { Err(failure("the relay does not serve")) }
}

fn print_config(config: &Config) -> Result<(), Failure> {
    print!("{}", toml::to_string(config).map_err(failure)?);
    Ok(())
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
