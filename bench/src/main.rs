//! `cargo xtask bench`: the table and its JSON lines.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use bench::{GROUPS, Outcome, Scale, json_lines, load, machine, table};
use clap::{Parser, Subcommand};

/// Measures Rejoinder beside its floors.
#[derive(Debug, Parser)]
#[command(name = "bench")]
struct Cli {
    #[command(subcommand)]
    task: Option<Task>,
    /// Runs only the families whose name contains this.
    filter: Option<String>,
    /// Fewer and shorter rounds: everything within two minutes.
    #[arg(long)]
    quick: bool,
    /// Also writes the JSON lines into this file.
    #[arg(long)]
    json: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Lists the families.
    List,
    /// Honest people and those who attack, around a relay: how long the honest wait.
    Load(load::Options),
    /// The durable echo that the relay is compared with.
    #[command(hide = true)]
    Echo {
        #[arg(long)]
        listen: SocketAddr,
        #[arg(long)]
        data: PathBuf,
    },
}

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return refuse(&error),
    };
    let done = match &cli.task {
        Some(Task::List) => {
            for (name, what) in GROUPS {
                println!("{name:<10} {what}");
            }
            Ok(true)
        }
        Some(Task::Load(options)) => runtime.block_on(load::run(options)),
        Some(Task::Echo { listen, data }) => {
            runtime.block_on(bench::echo::serve(*listen, data)).map(|()| true)
        }
        None => runtime.block_on(measure(&cli)),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => refuse(error.as_ref()),
    }
}

/// `false` if a family could not be measured. A missed target is a figure, not a failure.
async fn measure(cli: &Cli) -> Outcome<bool> {
    let scale = if cli.quick { Scale::Quick } else { Scale::Full };
    let mut whole = true;
    let filter = cli.filter.as_deref().unwrap_or_default();
    let measures = bench::run(scale, filter, |name, measured| match measured {
        Ok(measures) => eprintln!("{name}: {} figures", measures.len()),
        Err(error) => {
            whole = false;
            eprintln!("{name}: FAILED: {error}");
        }
    })
    .await;
    let machine = machine::this();
    let lines = json_lines(&machine, &measures)?;
    print!("{}\n{lines}", table(&machine, &measures));
    if let Some(path) = &cli.json {
        std::fs::write(path, &lines)?;
    }
    Ok(whole)
}

fn refuse(error: &dyn std::fmt::Display) -> ExitCode {
    eprintln!("bench: {error}");
    ExitCode::FAILURE
}
