//! `cargo xtask town`: real programs that live together for hours. Eight accounts with several devices
//! each talk over one relay, while devices are linked, ended, lost, killed and cut off. Again and
//! again the town rests: everything is stored and read, and all who share a conversation must then
//! show the same.

mod deeds;
mod device;
mod rest;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use clap::Args;
use serde_json::{Value, json};

use crate::command;
use crate::failure::Failure;
use crate::relay::Relay;
use device::Device;

/// How large the town is, and how long it lives.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// How long, in minutes.
    #[arg(long, default_value_t = 120)]
    minutes: u64,
    /// Accounts.
    #[arg(long, default_value_t = 8)]
    accounts: usize,
    /// Devices that an account has at most.
    #[arg(long, default_value_t = 3)]
    devices: usize,
    /// What is done between two rests.
    #[arg(long, default_value_t = 60)]
    deeds: u32,
    /// What decides all that happens. Without it, the time.
    #[arg(long)]
    seed: Option<u64>,
    /// Where everything is kept [default: target/town]. What was there is gone.
    #[arg(long)]
    data: Option<PathBuf>,
    /// Takes the programs that are there.
    #[arg(long)]
    built: bool,
}

/// Somebody who lives there.
struct Account {
    address: String,
    recovery_code: String,
    devices: Vec<Device>,
}

/// Accounts with devices, around one relay.
struct Town {
    folder: PathBuf,
    relay: Option<Relay>,
    port: u16,
    url: String,
    accounts: Vec<Account>,
    conversations: Vec<Conversation>,
    random: fastrand::Rng,
    /// How often each thing was done.
    done: BTreeMap<&'static str, u32>,
    stores: u32,
    most_devices: usize,
}

/// A conversation, and who should be in it: numbers of accounts.
struct Conversation {
    id: Value,
    members: Vec<usize>,
}

/// Lets a town live for some time.
///
/// # Errors
/// The first thing that was lost or differed; the town's folder is left as it is.
pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    if !options.built {
        let mut build = command::cargo();
        command::run(build.args(["build", "--package", "sync-server", "--package", "chat"]))?;
    }
    let seed = options.seed.unwrap_or_else(|| fastrand::u64(..));
    println!("town: seed {seed}");
    let mut town = Town::found(options, seed)?;
    let end = Instant::now() + Duration::from_secs(options.minutes * 60);
    let mut rests = 0;
    while Instant::now() < end {
        for _ in 0..options.deeds {
            town.act()?;
        }
        let rest = town.rest()?;
        rests += 1;
        println!("rest {rests}: {rest}");
    }
    println!("{rests} rests, all equal; {}", town.tally());
    Ok(())
}

impl Town {
    fn found(options: &Options, seed: u64) -> Result<Self, Failure> {
        let folder = options.data.clone();
        let folder = folder.unwrap_or_else(|| command::root().join("target").join("town"));
        if folder.exists() {
            fs::remove_dir_all(&folder).map_err(Failure::file(&folder))?;
        }
        fs::create_dir_all(&folder).map_err(Failure::file(&folder))?;
        let mut town = Self {
            folder,
            relay: None,
            port: 0,
            url: String::new(),
            accounts: Vec::new(),
            conversations: Vec::new(),
            random: fastrand::Rng::with_seed(seed),
            done: BTreeMap::new(),
            stores: 0,
            most_devices: options.devices.max(1),
        };
        town.start_relay()?;
        for n in 0..options.accounts.max(2) {
            town.sign_up(&format!("person{n}"))?;
        }
        town.converse((0..town.accounts.len()).collect())?;
        Ok(town)
    }

    /// Starts the relay, on the port that it had.
    fn start_relay(&mut self) -> Result<(), Failure> {
        let (data, log) = (self.folder.join("relay"), self.folder.join("relay.log"));
        let relay = Relay::start(&data, self.port, None, log, mpsc::channel())?;
        (self.port, self.url) = (relay.port(), relay.url());
        self.relay = Some(relay);
        Ok(())
    }

    fn sign_up(&mut self, address: &str) -> Result<(), Failure> {
        let mut device = self.new_device(address)?;
        let params = json!({ "address": address, "name": address });
        let account = device.call("account.create", params)?;
        let recovery_code = account["recovery_code"].as_str().unwrap_or_default().to_owned();
        device.is("up_to_date")?;
        let devices = vec![device];
        self.accounts.push(Account { address: address.to_owned(), recovery_code, devices });
        Ok(())
    }

    /// A program on an empty store.
    fn new_device(&mut self, address: &str) -> Result<Device, Failure> {
        self.stores += 1;
        let store = self.folder.join(format!("{address}-{}", self.stores));
        Device::start(store, &self.url)
    }

    /// Begins a conversation of these, by the first of them; the others accept it.
    fn converse(&mut self, members: Vec<usize>) -> Result<(), Failure> {
        let Some((first, others)) = members.split_first() else { return Ok(()) };
        let addresses: Vec<_> = others.iter().map(|n| self.accounts[*n].address.clone()).collect();
        let title = format!("conversation {}", self.conversations.len());
        let params = json!({ "title": title, "members": addresses });
        let founder = &mut self.accounts[*first].devices[0];
        let id = founder.call("conversation.create", params)?["conversation"].take();
        founder.is("stored")?;
        for n in others {
            self.accounts[*n].devices[0].accept(&id)?;
        }
        self.conversations.push(Conversation { id, members });
        Ok(())
    }

    fn count(&mut self, what: &'static str) {
        *self.done.entry(what).or_default() += 1;
    }

    fn tally(&self) -> String {
        let all: Vec<_> = self.done.iter().map(|(what, times)| format!("{what} {times}")).collect();
        all.join(", ")
    }
}
