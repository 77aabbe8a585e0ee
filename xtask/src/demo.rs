//! `cargo xtask demo`: two people talking through a relay of your own, and how to join them, in
//! terminals and in browsers.

use std::env;
use std::fs;
use std::io;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, Sender};

use clap::Args;
use qrcode::QrCode;
use qrcode::render::unicode::Dense1x2;
use serde_json::{Value, json};

use crate::command;
use crate::failure::Failure;
use crate::process::Event;
use crate::relay::Relay;
use crate::rpc::Client;
use crate::web;

const FROM_ADA: &str = "Hello Bob! The relay that carries this can't read it.";
const FROM_BOB: &str = "Hello Ada! Loud and clear.";
/// The relay's default port.
const USUAL_PORT: u16 = 8787;
/// Written last: a demo without it was interrupted, and begins anew.
const INTRODUCED: &str = "introduced";

/// How to show it.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Where the relay and both people keep their data [default: target/demo].
    #[arg(long)]
    data: Option<PathBuf>,
    /// The relay's port; 0 takes any free one [default: 8787 while it is free: to a browser, another
    /// port is another app].
    #[arg(long)]
    port: Option<u16>,
    /// Forget what earlier demos left, and begin anew.
    #[arg(long)]
    fresh: bool,
    /// Stop once the two have talked, instead of waiting for Ctrl-C.
    #[arg(long)]
    once: bool,
    /// Leave the web app out: there is less to build.
    #[arg(long)]
    no_web: bool,
    /// Takes the programs that are there.
    #[arg(skip)]
    is_built: bool,
}

impl Options {
    /// A demo that begins anew with the programs of the tests, checks itself and ends.
    pub(crate) fn check() -> Self {
        let data = Some(command::root().join("target").join("demo-check"));
        Self { data, port: Some(0), fresh: true, once: true, no_web: true, is_built: true }
    }
}

/// Builds, introduces two people over a new relay unless that is done, and keeps the relay
/// running until Ctrl-C.
///
/// # Errors
/// Whatever failed first; the relay and the clients are stopped in any case.
pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    let (sender, events) = mpsc::channel();
    let interrupt = sender.clone();
    ctrlc::set_handler(move || drop(interrupt.send(Event::Interrupted)))?;
    if !options.is_built {
        let mut build = command::cargo();
        command::run(build.args(["build", "--package", "sync-server", "--package", "chat"]))?;
    }
    let web = if options.no_web { None } else { Some(web_app()?) };

    let data = options.data.clone().unwrap_or_else(|| command::root().join("target").join("demo"));
    let introduced = prepare(&data, options.fresh)?;
    let log = data.join("relay.log");
    let port = options.port.unwrap_or_else(usual_port);
    let channel = (sender, events);
    let mut relay = Relay::start(&data.join("relay"), port, web.as_deref(), log, channel)?;
    if introduced {
        println!("\nAda and Bob talked here before. Go on as them, each in a terminal of its own:");
    } else {
        let talk = introduce(&data, &relay.url())?;
        fs::write(data.join(INTRODUCED), "").map_err(Failure::file(&data))?;
        println!("\nAda and Bob have just exchanged two messages over your relay:\n\n{talk}");
        println!("Join them, each in a terminal of its own:");
    }
    println!("\n    {}\n    {}\n", join("ada", &data, &relay)?, join("bob", &data, &relay)?);
    if web.is_some() {
        println!("{}", invitation(&relay.link()));
    }
    if options.once {
        return Ok(());
    }
    println!("The relay runs until you press Ctrl-C. `cargo xtask demo` then goes on where you");
    println!("left off; `cargo xtask demo --fresh` begins anew.");
    relay.wait()
}

/// A relay with the demo's two people, for another program to use: the one that a demo runs just now
/// holds the same data, and has to be stopped first.
///
/// # Errors
/// As [`run`].
pub(crate) fn relay_of(
    data: &Path,
    channel: (Sender<Event>, Receiver<Event>),
) -> Result<Relay, Failure> {
    let introduced = prepare(data, false)?;
    let log = data.join("relay.log");
    let relay = Relay::start(&data.join("relay"), usual_port(), None, log, channel)?;
    if !introduced {
        introduce(data, &relay.url())?;
        fs::write(data.join(INTRODUCED), "").map_err(Failure::file(data))?;
    }
    Ok(relay)
}

/// Builds what browsers load, and gives the folder that it is in.
fn web_app() -> Result<PathBuf, Failure> {
    web::run(&web::Options::default())?;
    Ok(web::app())
}

/// The relay's own default, so that a browser finds its account again; any other while that is
/// taken.
fn usual_port() -> u16 {
    if TcpListener::bind(("127.0.0.1", USUAL_PORT)).is_ok() { USUAL_PORT } else { 0 }
}

/// The link to the web app, and the same as a QR code.
fn invitation(link: &str) -> String {
    let code = QrCode::new(link);
    let picture = code.map(|code| code.render::<Dense1x2>().build()).unwrap_or_default();
    format!(
        "Or be somebody else: open this link in two browsers, or in two windows of which one is\n\
         private. Write to `ada`, or link a third window by its QR code (Devices, Link a device).\n\n    \
         {link}\n\n{picture}\n"
    )
}

/// Makes the demo's folder; true if two people are there who have talked.
fn prepare(data: &Path, fresh: bool) -> Result<bool, Failure> {
    let marker = data.join(INTRODUCED);
    if marker.exists() && !fresh {
        return Ok(true);
    }
    remove_file(&marker)?;
    for owner in ["relay", "ada", "bob"] {
        remove_folder(&data.join(owner))?;
    }
    fs::create_dir_all(data).map_err(Failure::file(data))?;
    Ok(false)
}

fn remove_file(path: &Path) -> Result<(), Failure> {
    unless_absent(fs::remove_file(path)).map_err(Failure::file(path))
}

fn remove_folder(path: &Path) -> Result<(), Failure> {
    unless_absent(fs::remove_dir_all(path)).map_err(Failure::file(path))
}

fn unless_absent(removed: io::Result<()>) -> io::Result<()> {
    removed.or_else(|error| match error.kind() {
        io::ErrorKind::NotFound => Ok(()),
        _ => Err(error),
    })
}

/// Two new people, a conversation, a message each way; gives what both of them see.
fn introduce(data: &Path, relay: &str) -> Result<String, Failure> {
    let mut ada = person("Ada", "ada", data, relay)?;
    let mut bob = person("Bob", "bob", data, relay)?;
    let members = json!({"title": "Ada and Bob", "members": ["bob"]});
    let conversation = ada.client.call("conversation.create", members)?["conversation"].take();
    let here = json!({"conversation": conversation});
    let with_text = |text| json!({"conversation": conversation, "text": text});

    ada.client.call("message.send", with_text(FROM_ADA))?;
    let invited = |list: &Value| entry(list, &conversation).is_some();
    let list = bob.client.call_until("conversation.list", &json!({}), invited)?;
    if entry(&list, &conversation).is_some_and(|own| own["pending"] == true) {
        bob.client.call("conversation.accept", here.clone())?;
    }
    bob.client.call_until("message.list", &here, |list| texts(list) == [FROM_ADA])?;
    bob.client.call("message.send", with_text(FROM_BOB))?;
    let both = |list: &Value| texts(list) == [FROM_ADA, FROM_BOB];
    let seen = ada.client.call_until("message.list", &here, both)?;
    stored(&mut bob.client)?;
    stored(&mut ada.client)?;
    Ok(transcript(&seen, &[ada, bob]))
}

struct Person {
    name: &'static str,
    account: Value,
    client: Client,
}

/// Makes an account whose address others can find as soon as this returns.
fn person(name: &'static str, address: &str, data: &Path, relay: &str) -> Result<Person, Failure> {
    let mut client = Client::start(name, &data.join(address), relay)?;
    let created = client.call("account.create", json!({"address": address, "name": name}))?;
    stored(&mut client)?;
    Ok(Person { name, account: created["account"].clone(), client })
}

fn stored(client: &mut Client) -> Result<(), Failure> {
    let method = "sync.wait";
    let outcome = client.call(method, json!({"until": "stored", "timeout_ms": 20_000}))?;
    if outcome["reached"] == true {
        return Ok(());
    }
    Err(client.failure(method, "the relay has not stored everything"))
}

fn entry<'a>(list: &'a Value, conversation: &Value) -> Option<&'a Value> {
    list.as_array()?.iter().find(|entry| entry["conversation"] == *conversation)
}

fn texts(list: &Value) -> Vec<&str> {
    let messages = list.as_array().map(Vec::as_slice).unwrap_or_default();
    messages.iter().filter_map(|message| message["text"].as_str()).collect()
}

fn transcript(list: &Value, people: &[Person]) -> String {
    let messages = list.as_array().map(Vec::as_slice).unwrap_or_default();
    let line = |message: &Value| {
        let author = people.iter().find(|person| person.account == message["author"]);
        let name = author.map_or("somebody", |person| person.name);
        format!("    {name}: {}\n", message["text"].as_str().unwrap_or_default())
    };
    messages.iter().map(line).collect()
}

/// The command by which one of the two is opened in a terminal.
fn join(address: &str, data: &Path, relay: &Relay) -> Result<String, Failure> {
    let chat = command::program("chat")?;
    let (chat, data) = (as_typed(&chat), as_typed(&data.join(address)));
    Ok(format!("{chat} --data {data} --relay {}", relay.url()))
}

/// A path as short as it can be from where the developer stands.
fn as_typed(path: &Path) -> String {
    let here = env::current_dir().unwrap_or_default();
    let path = path.strip_prefix(here).unwrap_or(path).to_string_lossy();
    if path.contains(' ') { format!("'{path}'") } else { path.into_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_compared_by_text_in_display_order() {
        let list = json!([{"text": "b"}, {"text": null, "deleted": true}, {"text": "a"}]);
        assert_eq!(texts(&list), ["b", "a"]);
        assert!(texts(&json!({"error": "no list"})).is_empty());
    }

    #[test]
    fn a_conversation_is_found_by_its_id() {
        let list = json!([{"conversation": "x"}, {"conversation": "y", "pending": true}]);
        assert_eq!(entry(&list, &json!("y")).unwrap()["pending"], true);
        assert!(entry(&list, &json!("z")).is_none());
    }

    #[test]
    fn the_link_is_there_to_click_and_to_scan() {
        let shown = invitation("http://127.0.0.1:8787/");
        assert!(shown.contains("    http://127.0.0.1:8787/\n"));
        assert!(shown.lines().filter(|line| line.contains('█')).count() > 10);
    }

    #[test]
    fn a_path_with_a_space_can_be_pasted() {
        assert_eq!(as_typed(Path::new("/a b/chat")), "'/a b/chat'");
        assert_eq!(as_typed(Path::new("/ab/chat")), "/ab/chat");
    }
}
