//! `cargo xtask load`: honest people who talk through a relay of its own process, and beside them, one
//! kind after the other, those who do all that costs others. It prints how long the honest wait until
//! what they said is stored, and what the relay spends.
//!
//! Everybody seals beforehand or cheaply, so that the relay's cost shows. Each person has a client
//! address of this machine (127.0.0.0/8 are all its own), and so have those who attack.

mod attacks;
mod honest;

use std::net::Ipv4Addr;
use std::time::Duration;

use clap::Args;
use tokio::time::Instant;

use crate::load::attacks::Attack;
use crate::load::honest::{Talked, Town};
use crate::process::Server;
use crate::rounds::quantile;
use crate::{Outcome, failed};

/// What is set up, and for how long.
#[derive(Clone, Debug, Args)]
pub struct Options {
    /// Honest people.
    #[arg(long, default_value_t = 300)]
    people: usize,
    /// People in one conversation.
    #[arg(long, default_value_t = 10)]
    circle: usize,
    /// Milliseconds between two messages of one person, over all people in the mean.
    #[arg(long, default_value_t = 1_000)]
    every_ms: u64,
    /// How much more some write than others: each one as often as its rank to the power of minus this.
    #[arg(long, default_value_t = 0.0)]
    skew: f64,
    /// Bytes of a message's payload.
    #[arg(long, default_value_t = 330)]
    payload: usize,
    /// Seconds of each part: alone, and beside each attack.
    #[arg(long, default_value_t = 8)]
    seconds: u64,
    /// Client addresses that attack.
    #[arg(long, default_value_t = 3)]
    attackers: usize,
    /// Accounts of each of them.
    #[arg(long, default_value_t = 10)]
    accounts: usize,
    /// Sockets of each account.
    #[arg(long, default_value_t = 4)]
    sockets: usize,
    /// Which attacks, one after the other: all of them, if none is named.
    #[arg(long = "attack", value_enum)]
    attacks: Vec<Attack>,
    /// No attack.
    #[arg(long, conflicts_with = "attacks")]
    calm: bool,
    /// Fails if the slowest hundredth takes more than so many times as long beside an attack.
    #[arg(long)]
    at_most: Option<f64>,
}

/// What one part showed.
struct Part {
    name: String,
    talked: Talked,
    /// Seconds of processor time of the relay, for each second.
    cores: f64,
    /// The most memory of it, in MiB.
    resident_mib: f64,
    did: u64,
    refused: Vec<(String, f64)>,
}

/// Runs it all, and prints a line for each part. Whether everything stayed within what was asked.
///
/// # Errors
/// If the relay can't be run, or ends.
pub async fn run(options: &Options) -> Outcome<bool> {
    if options.circle == 0 || options.people < options.circle {
        return Err(failed("there have to be as many people as a circle has, at least"));
    }
    let directory = tempfile::tempdir()?;
    let relay = Server::counting_all(directory.path())?;
    let mut town = Town::gather(relay.address, options).await?;
    let attacks = match options.calm {
        true => Vec::new(),
        false if options.attacks.is_empty() => Attack::ALL.to_vec(),
        false => options.attacks.clone(),
    };
    println!(
        "{:<14} {:>8} {:>8} {:>8} {:>8} {:>8} {:>7} {:>6} {:>6} {:>8}  refused",
        "part", "stored", "p50 ms", "p90 ms", "p99 ms", "max ms", "x calm", "cores", "MiB", "did"
    );
    let (mut is_good, mut calm) = (true, f64::NAN);
    for attack in std::iter::once(None).chain(attacks.into_iter().map(Some)) {
        if attack.is_some() {
            // Each beside its own: the machine's other work comes and goes.
            let part = part(&relay, &mut town, options, None).await?;
            calm = part.p99();
            part.print(None);
        }
        let part = part(&relay, &mut town, options, attack).await?;
        let ratio = attack.map(|_| part.p99() / calm);
        part.print(ratio);
        is_good &= part.talked.refused == 0;
        is_good &= options.at_most.is_none_or(|most| ratio.is_none_or(|ratio| ratio <= most));
    }
    Ok(is_good)
}

/// People talk for a while, beside an attack if there is one.
async fn part(
    relay: &Server,
    town: &mut Town,
    options: &Options,
    attack: Option<Attack>,
) -> Outcome<Part> {
    let before = relay.refusals()?;
    let flood = attack.map(|attack| attacks::begin(attack, relay.address, options, town.targets()));
    let flood = flood.transpose()?;
    if flood.is_some() {
        // It is under way by the time that anything is measured.
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let (spent, started) = (relay.processor_s()?, Instant::now());
    let (most, talked) = tokio::join!(watch(relay, options.seconds), town.talk(options));
    let talked = talked?;
    let cores = (relay.processor_s()? - spent) / started.elapsed().as_secs_f64();
    let did = match flood {
        Some(flood) => flood.end()?,
        None => 0,
    };
    // Refusals are counted once a second.
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    let refused = relay.refusals()?.into_iter().map(|(reason, count)| {
        let before = before.iter().find(|(other, _)| *other == reason).map_or(0.0, |one| one.1);
        (reason, count - before)
    });
    let refused = refused.filter(|(_, count)| *count > 0.0).collect();
    let name = attack.map_or_else(|| "alone".to_owned(), Attack::name);
    Ok(Part { name, talked, cores, resident_mib: most?, did, refused })
}

/// The most memory that the relay takes meanwhile, in MiB.
async fn watch(relay: &Server, seconds: u64) -> Outcome<f64> {
    let until = Instant::now() + Duration::from_secs(seconds);
    let mut most = 0;
    while Instant::now() < until {
        most = most.max(relay.resident_bytes()?);
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    Ok(most as f64 / (1024.0 * 1024.0))
}

impl Part {
    fn p99(&self) -> f64 {
        quantile(&self.talked.times, 0.99)
    }

    fn print(&self, ratio: Option<f64>) {
        let at = |part| quantile(&self.talked.times, part);
        let ratio = ratio.map_or_else(String::new, |ratio| format!("{ratio:.2}"));
        let mut refused: Vec<_> =
            self.refused.iter().map(|(reason, count)| format!("{reason}={count:.0}")).collect();
        if self.talked.refused > 0 {
            refused.push(format!("HONEST={}", self.talked.refused));
        }
        println!(
            "{:<14} {:>8} {:>8.1} {:>8.1} {:>8.1} {:>8.1} {:>7} {:>6.2} {:>6.0} {:>8}  {}",
            self.name,
            self.talked.times.len(),
            at(0.5),
            at(0.9),
            at(0.99),
            at(1.0),
            ratio,
            self.cores,
            self.resident_mib,
            self.did,
            refused.join(" ")
        );
    }
}

/// An address of this machine for each number, apart from those of another kind.
fn address(kind: u8, number: usize) -> Ipv4Addr {
    let (high, low) = (number / 250 % 250, number % 250);
    Ipv4Addr::new(127, kind, high as u8 + 1, low as u8 + 1)
}
