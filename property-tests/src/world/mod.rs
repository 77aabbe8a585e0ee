//! A world: devices with real engines, one relay with its real rules, and all that lies between.

mod ask;
mod beside;
mod churn;
mod copies;
mod faults;
mod ghost;
mod heal;
mod lies;
mod people;
mod power;
mod pump;
mod tale;
mod watch;
mod wire;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use sync_core::records::{Load, Records};
use sync_protocol::frames::{ClientFrame, Delivery, RelayFrame};

use crate::adversary::{Adversary, Deed};
use crate::agenda::Agenda;
use crate::book::{Book, Person};
use crate::changes::Changes;
use crate::clock::Clock;
use crate::device::Device;
use crate::disk::Disk;
use crate::draws::Draws;
use crate::monitor::Monitor;
use crate::network::{ConnectionId, Network, Side};
use crate::plan::{Plan, Planted};
use crate::registry::Registry;
use crate::relay_host::RelayHost;
use crate::relay_store::RelayStore;
use crate::situation::Situation;
use crate::story::Story;
use crate::suite::Suite;
use crate::trace::Trace;
use crate::violation::Violation;
use crate::{MARK, invariants};

use beside::Later;
pub use copies::Backup;
pub use heal::{Remnant, Seen};
use watch::Watch;

/// When every world begins, Unix milliseconds.
const GENESIS_MS: u64 = 1_800_000_000_000;

/// Turns what the relay says to a device into what the device hears.
pub type Meddler = Box<dyn FnMut(usize, RelayFrame) -> Vec<RelayFrame>>;
/// Turns what a device says into what the relay hears.
pub type Bender = Box<dyn FnMut(usize, ClientFrame) -> Vec<ClientFrame>>;

/// Turns the bytes that the relay sends to a device into what arrives there.
pub type Tamperer = Box<dyn FnMut(usize, &[u8]) -> Vec<u8>>;

/// Something that happens at a time.
#[derive(Debug)]
enum Event {
    Open { connection: ConnectionId },
    ToRelay { connection: ConnectionId, message: Vec<u8> },
    ToDevice { connection: ConnectionId, message: Arc<[u8]> },
    Closed { connection: ConnectionId, side: Side },
    Synced { device: usize, life: u64, number: u64 },
    Loaded { device: usize, life: u64, load: Load, records: Records },
    StoreFailed { device: usize, life: u64 },
    Woken { device: usize, life: u64, wake: u64 },
    Refresh { device: usize, life: u64 },
    Commit { life: u64 },
    Tick { life: u64, number: u64 },
    Boot { device: usize },
    BootRelay,
    Reach { device: usize },
    Room { device: usize },
    Retry { device: usize, attempt: u32 },
    Scan { device: usize, offer: String, history: bool },
    Type { device: usize, code: String },
    End { by: usize, device: usize },
    Later(Later),
    Decide,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The hash of every decision, event and view.
    pub hash: String,
    /// Events and decisions.
    pub steps: u64,
    /// Messages that people wrote.
    pub messages: usize,
    /// Messages over the wire, and their bytes.
    pub traffic: (u64, u64),
    /// Entries that the relay acknowledged.
    pub acknowledged: usize,
    /// Virtual time from beginning to end, in ms.
    pub lasted_ms: u64,
    /// Situations that came about.
    pub situations: BTreeSet<Situation>,
    /// What liars did, and how often.
    pub deeds: BTreeMap<Deed, u64>,
}

/// A world of real engines and one real relay.
pub struct World {
    plan: Plan,
    changes: Changes,
    chance: Draws,
    agenda: Agenda<Event>,
    trace: Trace,
    network: Network,
    relay: RelayHost,
    relay_clock: Clock,
    devices: Vec<Device>,
    book: Book,
    monitor: Monitor,
    registry: Registry,
    decisions: u64,
    texts: u64,
    /// Whether things go wrong at present.
    chaos: bool,
    held: Option<(ConnectionId, Arc<[u8]>)>,
    meddler: Option<Meddler>,
    bender: Option<Bender>,
    tamperer: Option<Tamperer>,
    /// Sockets of ghosts, and what each heard.
    ghosts: BTreeMap<ConnectionId, Vec<RelayFrame>>,
    adversary: Adversary,
    /// Somebody cheated, so that devices may well have evidence.
    cheated: bool,
    /// Situations that came about.
    met: BTreeSet<Situation>,
    /// Whether small faults come thick at present, where they come in storms.
    storm: bool,
    /// Pairs of devices that are one profile.
    copies: Vec<(usize, usize)>,
    /// When the relay heard something last, world time.
    heard_ms: u64,
    /// Which of the relay's planned ticks holds.
    tick: u64,
    watch: Watch,
    /// What happened in plain words, if somebody wants to read it.
    story: Option<Story>,
    /// What everybody saw in the end, for the story.
    seen: Vec<Seen>,
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("World").field("plan", &self.plan).finish_non_exhaustive()
    }
}

impl World {
    /// The world of a seed, as the ordinary suite runs it.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self::with(seed, Suite::People.plan(seed))
    }

    /// The world of a seed of the suite of devices: people link, end, lose and bring back devices.
    #[must_use]
    pub fn of_devices(seed: u64) -> Self {
        Self::with(seed, Suite::Devices.plan(seed))
    }

    /// The world of a seed under a given plan.
    #[must_use]
    pub fn with(seed: u64, plan: Plan) -> Self {
        let mut chance = Draws::new(seed);
        let relay = match plan.nodes {
            0 | 1 => RelayHost::new(RelayStore::new(plan.relay_fault()), chance.relay()),
            nodes => RelayHost::cell(nodes, plan.order_fault(), chance.relay()),
        };
        let mut world = Self {
            plan,
            changes: Changes::default(),
            chance,
            agenda: Agenda::new(GENESIS_MS),
            trace: Trace::new(false),
            network: Network::default(),
            relay,
            relay_clock: Clock::default(),
            devices: Vec::new(),
            book: Book::default(),
            monitor: Monitor::default(),
            registry: Registry::default(),
            decisions: 0,
            texts: 0,
            chaos: false,
            held: None,
            meddler: None,
            bender: None,
            tamperer: None,
            ghosts: BTreeMap::new(),
            adversary: Adversary::default(),
            cheated: plan.has_liars()
                || plan.faults.hostile > 0
                || !matches!(plan.planted, Planted::Nothing | Planted::Order(_)),
            met: BTreeSet::new(),
            storm: true,
            copies: Vec::new(),
            heard_ms: GENESIS_MS,
            tick: 0,
            watch: Watch::default(),
            story: None,
            seen: Vec::new(),
        };
        for number in 0..plan.people {
            world.settle_in(number);
        }
        world.agenda.after(0, Event::BootRelay);
        world
    }

    /// The same world, telling on standard error what happens.
    #[must_use]
    pub fn aloud(mut self) -> Self {
        self.trace = Trace::new(true);
        self
    }

    /// The same world without a hash of all that happens: somewhat quicker.
    #[must_use]
    pub fn unhashed(mut self) -> Self {
        self.trace = Trace::of_steps();
        self
    }

    /// The same world without the decisions that are not taken.
    #[must_use]
    pub fn with_changes(mut self, changes: Changes) -> Self {
        self.changes = changes;
        self
    }

    fn settle_in(&mut self, number: usize) {
        let address = format!("person{number}");
        let address = address.parse().expect("a letter and digits are a handle");
        let name = format!("{MARK}name{number}");
        self.book.people.push(Person { address, name, account: None, codes: Vec::new() });
        let mut disk = Disk::default();
        disk.set_fault(self.plan.disk_fault());
        let mut device = Device::new(number, disk);
        if self.plan.faults.clock > 0 {
            device.clock.jump(self.chance.device(number));
        }
        self.devices.push(device);
        self.agenda.after(0, Event::Boot { device: number });
    }

    /// Lets people live in this world, heals it, and checks everything.
    ///
    /// # Errors
    /// The first promise that was broken.
    pub fn run(&mut self) -> Result<Report, Violation> {
        if self.plan.linked > 0 || self.plan.has_liars() {
            self.begin_at_rest()?;
        }
        self.choose_liars();
        self.chaos = true;
        self.agenda.after(0, Event::Decide);
        while self.decisions < self.plan.decisions {
            self.step(u64::MAX)?;
            self.lie()?;
        }
        self.heal()?;
        self.check()
    }

    /// Everybody has an account, their devices and conversations before anything goes wrong.
    fn begin_at_rest(&mut self) -> Result<(), Violation> {
        self.sign_up()?;
        for person in 0..self.plan.people {
            for _ in 0..self.plan.linked {
                let history = !self.chance.deeds().one_in(5);
                self.link(person, history)?;
            }
            let others: Vec<usize> = (0..self.plan.people).filter(|one| *one != person).collect();
            self.converse(person, &others)?;
        }
        self.settle()
    }

    /// Lets everything come to rest and holds what everybody sees against the invariants.
    ///
    /// # Errors
    /// The first promise that was broken.
    pub fn check(&mut self) -> Result<Report, Violation> {
        if self.plan.relay_lies > 0 {
            self.meet_anew()?;
        }
        self.settle()?;
        if self.has_churn() {
            self.say_names()?;
        }
        if self.plan.faults.hostile > 0
            || self.meddler.is_some()
            || self.has_churn()
            || self.plan.has_liars()
        {
            self.speak_once_more()?;
        }
        if self.plan.relay_lies > 0 {
            self.meet_anew()?;
            self.settle()?;
        }
        if self.has_churn() {
            self.wait_for_documents()?;
        }
        self.note_kin();
        let seen = self.look_everywhere()?;
        if self.story.is_some() {
            self.seen.clone_from(&seen);
        }
        let remnants = self.look_at_remnants()?;
        self.monitor.check_ended()?;
        let seen = self.without_misled(seen);
        let relay_ms = self.relay_ms();
        self.relay.agree(relay_ms)?;
        invariants::check(&self.book, &seen, &remnants, self.relay.store())?;
        if self.plan.has_liars() {
            invariants::check_lies(&self.book, &seen)?;
            self.check_leaves(&seen)?;
        }
        Ok(self.report())
    }

    /// How it went so far.
    #[must_use]
    pub fn report(&self) -> Report {
        Report {
            hash: self.trace.hash(),
            steps: self.trace.steps(),
            messages: self.book.written.len(),
            traffic: self.monitor.traffic(),
            acknowledged: self.monitor.acknowledged(),
            lasted_ms: self.agenda.now_ms() - GENESIS_MS,
            situations: self.met.clone(),
            deeds: self.adversary.done().clone(),
        }
    }

    /// Takes the next step, if there is one by this time.
    fn step(&mut self, limit_ms: u64) -> Result<bool, Violation> {
        let Some(event) = self.agenda.next(limit_ms) else { return Ok(false) };
        self.trace.step();
        self.happen(event)?;
        Ok(true)
    }

    /// Lets so much time pass.
    ///
    /// # Errors
    /// The first promise that was broken meanwhile.
    pub fn pass(&mut self, for_ms: u64) -> Result<(), Violation> {
        let until = self.agenda.now_ms() + for_ms;
        while self.step(until)? {}
        Ok(())
    }

    fn note(&mut self, line: std::fmt::Arguments<'_>) {
        self.trace.note(self.agenda.now_ms(), line);
    }

    fn happen(&mut self, event: Event) -> Result<(), Violation> {
        match event {
            Event::Open { connection } => self.opened(connection),
            Event::ToRelay { connection, message } => self.at_relay(connection, &message),
            Event::ToDevice { connection, message } => self.at_device(connection, &message),
            Event::Closed { connection, side } => self.closed(connection, side),
            Event::Commit { life } => self.commit(life),
            Event::Tick { life, number } => {
                self.tick(life, number);
                Ok(())
            }
            Event::Boot { device } => self.boot(device),
            Event::BootRelay => self.boot_relay(),
            Event::Reach { device } => {
                self.note(format_args!("reach {device}"));
                self.tell(|teller| Some(format!("{} is reached again", teller.device(device))));
                self.devices[device].reachable = true;
                Ok(())
            }
            Event::Room { device } => {
                self.note(format_args!("room {device}"));
                self.tell(|teller| Some(format!("{} has room again", teller.device(device))));
                self.devices[device].disk.set_full(false);
                Ok(())
            }
            Event::Decide => self.decide(),
            Event::Retry { device, attempt } => self.retry(device, attempt),
            Event::Scan { device, offer, history } => self.scanned(device, offer, history),
            Event::Type { device, code } => self.typed(device, code),
            Event::End { by, device } => self.end_later(by, device),
            Event::Later(later) => self.go_on(later),
            for_engine => self.for_engine(for_engine),
        }
    }

    /// Events that count only while the engine that waits for them runs.
    fn for_engine(&mut self, event: Event) -> Result<(), Violation> {
        match event {
            Event::Synced { device, life, number } => self.synced(device, life, number),
            Event::Loaded { device, life, load, records } => {
                self.loaded(device, life, load, records)
            }
            Event::StoreFailed { device, life } => self.store_failed(device, life),
            Event::Woken { device, life, wake } => self.woken(device, life, wake),
            Event::Refresh { device, life } => self.refresh(device, life),
            _ => Ok(()),
        }
    }

    /// The relay's time, Unix milliseconds.
    fn relay_ms(&self) -> u64 {
        self.relay_clock.shows(self.agenda.now_ms())
    }

    /// Sets somebody between the relay and its devices.
    pub fn set_meddler(&mut self, meddler: Option<Meddler>) {
        self.cheated |= meddler.is_some();
        self.meddler = meddler;
    }

    /// Keeps every log entry from a device, and nothing else.
    pub fn deafen(&mut self, deaf: usize) {
        let meddler = move |device, frame| match &frame {
            RelayFrame::Delivery(Delivery::Entries(_)) if device == deaf => Vec::new(),
            _ => vec![frame],
        };
        self.set_meddler(Some(Box::new(meddler)));
    }

    /// Sets somebody between devices and the relay: a client that does not keep to the rules.
    pub fn set_bender(&mut self, bender: Option<Bender>) {
        self.cheated |= bender.is_some();
        self.bender = bender;
    }

    /// Tells the world that something is done to it behind its back.
    pub fn cheat(&mut self) {
        self.cheated = true;
    }

    /// How many devices there are.
    #[must_use]
    pub fn devices(&self) -> usize {
        self.devices.len()
    }

    /// A device, by its number.
    #[must_use]
    pub fn device(&self, device: usize) -> &Device {
        &self.devices[device]
    }

    /// A device, to do something to it.
    pub fn device_mut(&mut self, device: usize) -> &mut Device {
        &mut self.devices[device]
    }

    /// What people were promised, to add to it.
    pub fn book_mut(&mut self) -> &mut Book {
        &mut self.book
    }

    /// What people were promised.
    #[must_use]
    pub fn book(&self) -> &Book {
        &self.book
    }

    /// The world's time, Unix milliseconds.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        self.agenda.now_ms()
    }

    /// The relay's host.
    pub fn relay_mut(&mut self) -> &mut RelayHost {
        &mut self.relay
    }
}
