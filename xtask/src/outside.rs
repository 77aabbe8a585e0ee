//! `cargo xtask outside`: an app that lies outside the workspace and knows `sync-client` alone of our
//! crates. It does what the four examples do, against a real relay.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::command;
use crate::failure::Failure;
use crate::relay::Relay;
use crate::rpc::Client;

const EXAMPLES: [&str; 4] = ["bot", "linking", "notes", "to_do"];
const STARTS_WITHIN: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(100);

/// Builds the app with the programs that it talks to, and runs it.
///
/// # Errors
/// The first failure, or `Differs` with what a program should have said.
pub(crate) fn run() -> Result<(), Failure> {
    let mut build = command::cargo();
    command::run(build.args(["build", "--package", "sync-server", "--package", "chat"]))?;
    let folder = command::root().join("target").join("outside");
    if folder.exists() {
        fs::remove_dir_all(&folder).map_err(Failure::file(&folder))?;
    }
    let programs = build_app(&folder.join("app"))?;
    let data = folder.join("data");
    fs::create_dir_all(&data).map_err(Failure::file(&data))?;
    let log = data.join("relay.log");
    let relay = Relay::start(&data.join("relay"), 0, None, log, mpsc::channel())?;
    let app = App { programs, data, relay: relay.url() };
    app.says("notes", &["buy milk"], "write this down: ")?;
    app.says("notes", &[], "- buy milk")?;
    app.says("to_do", &[], "done: true")?;
    app.says("linking", &[], "the tablet's theme is \"dark\"")?;
    app.answers()
}

/// Writes the app down and builds it, beside our own programs; gives the folder that they are in.
fn build_app(app: &Path) -> Result<PathBuf, Failure> {
    let own = command::program("xtask")?;
    let programs = own.parent().unwrap_or(Path::new(".")).to_path_buf();
    let sources = app.join("src").join("bin");
    fs::create_dir_all(&sources).map_err(Failure::file(&sources))?;
    let examples = command::root().join("sync-client").join("examples");
    for name in EXAMPLES {
        let file = format!("{name}.rs");
        fs::copy(examples.join(&file), sources.join(&file)).map_err(Failure::file(&examples))?;
    }
    let manifest = app.join("Cargo.toml");
    fs::write(&manifest, manifest_of_app()?).map_err(Failure::file(&manifest))?;
    let lock = command::root().join("Cargo.lock");
    fs::copy(&lock, app.join("Cargo.lock")).map_err(Failure::file(&lock))?;
    let target = programs.parent().unwrap_or(&programs);
    let mut build = command::cargo();
    build.current_dir(app).args(["build", "--target-dir"]).arg(target);
    command::run(&mut build)?;
    Ok(programs)
}

/// What the README tells an app to write, and what its own code needs. The profiles are ours, so that
/// nothing is built twice.
fn manifest_of_app() -> Result<String, Failure> {
    let path = command::root().join("Cargo.toml");
    let ours = fs::read_to_string(&path).map_err(Failure::file(&path))?;
    let profiles = ours.find("[profile.").and_then(|at| ours.get(at..)).unwrap_or_default();
    let client = command::root().join("sync-client");
    Ok(format!(
        r#"[package]
name = "outside"
version = "0.1.0"
edition = "2024"

[workspace]

[dependencies]
sync-client = {{ path = {client:?} }}
futures-util = {{ version = "0.3", default-features = false, features = ["std"] }}
serde = {{ version = "1", features = ["derive"] }}
tokio = {{ version = "1", features = ["macros", "rt-multi-thread", "time"] }}

{profiles}"#
    ))
}

/// The app's programs, and the relay that they talk to.
struct App {
    programs: PathBuf,
    data: PathBuf,
    relay: String,
}

impl App {
    fn program(&self, name: &str) -> Command {
        let file = format!("{name}{}", env::consts::EXE_SUFFIX);
        let mut program = Command::new(self.programs.join(file));
        program.current_dir(&self.data).env("RELAY", &self.relay);
        program
    }

    /// Runs a program to its end, and holds what it says.
    fn says(&self, name: &str, arguments: &[&str], wanted: &str) -> Result<(), Failure> {
        let said = command::output(self.program(name).args(arguments));
        match said {
            Some(said) if said.contains(wanted) => {
                println!("{name} says {wanted:?}");
                Ok(())
            }
            other => {
                Err(Failure::Differs { what: format!("{name} said {other:?}, not {wanted:?}") })
            }
        }
    }

    /// Writes to the bot, and waits until it answers.
    fn answers(&self) -> Result<(), Failure> {
        let mut bot = self.program("bot");
        let shown = command::shown(&bot);
        let bot = bot.stdin(Stdio::null()).stdout(Stdio::null()).spawn();
        let _bot = Running(bot.map_err(|source| Failure::Start { command: shown, source })?);
        let mut ada = Client::start("writer", &self.data.join("writer"), &self.relay)?;
        ada.call("account.create", json!({ "address": "writer", "name": "Writer" }))?;
        let deadline = Instant::now() + STARTS_WITHIN;
        while ada.call("contact.lookup", json!({ "address": "echo" })).is_err() {
            if Instant::now() >= deadline {
                let what = "the bot has an account".to_owned();
                return Err(Failure::TooLate { what, within: STARTS_WITHIN });
            }
            std::thread::sleep(PAUSE);
        }
        let with = json!({ "title": "Echo", "members": ["echo"] });
        let conversation = ada.call("conversation.create", with)?["conversation"].take();
        ada.call("message.send", json!({ "conversation": conversation, "text": "hi" }))?;
        let is_answered = |page: &Value| {
            let page = page.as_array().map(Vec::as_slice).unwrap_or_default();
            page.iter().any(|message| message["text"] == "You said: hi")
        };
        ada.call_until("message.list", &json!({ "conversation": conversation }), is_answered)?;
        println!("bot says \"You said: hi\"");
        Ok(())
    }
}

/// A program that runs until this is dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
