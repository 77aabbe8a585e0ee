//! Real engines around the real relay's rules in one thread: nothing delayed, nothing lost, every
//! frame counted and every moment in an engine timed.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use sync_core::records::{Batch, Records, index_prefixes};
use sync_core::{Command, Engine, Failure, Input, Output, Response};
use sync_protocol::SpaceId;
use sync_protocol::frames::ClientFrame;
use sync_protocol::ids::RelayId;
use sync_server::relay::{Identity, Output as RelayOutput, Relay, SessionId, Settings};
use sync_server::store::Store;

use crate::link::unbounded;
use crate::{Outcome, failed};

/// Rounds after which a town that does not come to rest is taken to be broken.
const ROUNDS: usize = 100_000;

/// What passed between a device and the relay, as messages before they are cut into parts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Traffic {
    pub(crate) frames_in: usize,
    pub(crate) frames_out: usize,
    pub(crate) bytes_in: usize,
    pub(crate) bytes_out: usize,
}

/// An engine, its disk, and its connection.
pub(crate) struct Device {
    engine: Engine,
    disk: Records,
    session: Option<SessionId>,
    answers: BTreeMap<u64, Result<Response, Failure>>,
    wake: Option<u64>,
    pub(crate) traffic: Traffic,
    /// Time spent inside the engine.
    pub(crate) busy: Duration,
}

/// Devices around one relay.
pub(crate) struct Town<S> {
    pub(crate) now_ms: u64,
    pub(crate) relay: Relay<S>,
    pub(crate) devices: Vec<Device>,
    sessions: u64,
    commands: u64,
}

impl<S: Store> Town<S> {
    /// Devices without accounts around a relay over an empty store.
    pub(crate) fn new(store: S, people: usize) -> Outcome<Self> {
        let identity = Identity { relay: RelayId::from_bytes([9; 32]), generation: 77 };
        let settings = Settings { takes_per_s: 0, inbox_puts_per_s: 0, ..unbounded() };
        let settings = Settings { requests_per_s: 0, invitations_per_hour: 0, ..settings };
        let relay = Relay::open(store, identity, settings)?;
        let now_ms = 1_700_000_000_000;
        let mut town = Self { now_ms, relay, devices: Vec::new(), sessions: 0, commands: 0 };
        for n in 0..people {
            let engine = Engine::open([u8::try_from(n + 1)?; 32], town.now_ms, Records::new())?;
            town.devices.push(Device {
                engine,
                disk: Records::new(),
                session: None,
                answers: BTreeMap::new(),
                wake: None,
                traffic: Traffic::default(),
                busy: Duration::ZERO,
            });
        }
        Ok(town)
    }

    /// People who have signed up, and a conversation of them all.
    pub(crate) fn talking(store: S, people: usize) -> Outcome<(Self, SpaceId)> {
        let mut town = Self::new(store, people)?;
        for n in 0..people {
            town.sign_up(n)?;
        }
        let space = town.found(0, 1..people)?;
        Ok((town, space))
    }

    pub(crate) fn sign_up(&mut self, n: usize) -> Outcome<()> {
        let address = format!("person{n}").parse()?;
        self.run(n, Command::CreateAccount { address, name: format!("Person {n}") })?;
        self.settle()
    }

    /// Founds a conversation and waits until everybody is in it.
    pub(crate) fn found(
        &mut self,
        n: usize,
        members: impl Iterator<Item = usize>,
    ) -> Outcome<SpaceId> {
        let members = members.map(|n| Ok(format!("person{n}").parse()?)).collect::<Outcome<_>>()?;
        let create = Command::CreateConversation { title: "A conversation".to_owned(), members };
        let Response::Conversation(id) = self.run(n, create)? else {
            return Err(failed("no conversation came of it"));
        };
        self.settle()?;
        Ok(id)
    }

    /// Gives the engine an input and carries out what follows on this device; the relay's answers
    /// wait for [`settle`](Self::settle).
    pub(crate) fn feed(&mut self, n: usize, input: Input) -> Outcome<()> {
        let mut inputs = vec![input];
        while let Some(input) = inputs.pop() {
            let Some(device) = self.devices.get_mut(n) else {
                return Err(failed("no such device"));
            };
            let started = Instant::now();
            device.engine.handle(self.now_ms, input);
            let outputs: Vec<_> = std::iter::from_fn(|| device.engine.poll_output()).collect();
            device.busy += started.elapsed();
            let mut next = Vec::new();
            for output in outputs {
                next.extend(self.carry_out(n, output)?);
            }
            next.reverse();
            inputs.extend(next);
        }
        Ok(())
    }

    fn carry_out(&mut self, n: usize, output: Output) -> Outcome<Option<Input>> {
        let device = self.devices.get_mut(n).ok_or_else(|| failed("no such device"))?;
        match output {
            Output::Persist(batch) => {
                write(&mut device.disk, &batch);
                return Ok(Some(Input::Persisted(batch.number)));
            }
            Output::Load(load) => {
                let records = read(&device.disk, &load.prefix());
                return Ok(Some(Input::Loaded(load, records)));
            }
            Output::Connect => {
                self.sessions += 1;
                let session = SessionId(self.sessions);
                device.session = Some(session);
                let mut nonce = [7; 32];
                nonce[..8].copy_from_slice(&self.sessions.to_be_bytes());
                self.relay.connect(session, nonce, self.now_ms);
                return Ok(Some(Input::Connected));
            }
            Output::Disconnect => {
                if let Some(session) = device.session.take() {
                    self.relay.disconnect(session, self.now_ms);
                }
            }
            Output::Send(bytes) => {
                device.traffic.frames_out += 1;
                device.traffic.bytes_out += bytes.len();
                if let Some(session) = device.session {
                    self.relay.receive(session, ClientFrame::parse(&bytes)?, self.now_ms);
                }
            }
            Output::Wake(at) => device.wake = Some(at),
            Output::Respond(id, result) => {
                device.answers.insert(id, result);
            }
            Output::Notify(_) => {}
        }
        Ok(None)
    }

    /// Lets the relay commit and everybody take in what follows, once; whether anything happened.
    pub(crate) fn exchange(&mut self) -> Outcome<bool> {
        let outputs = self.relay.commit(self.now_ms);
        let moved = !outputs.is_empty();
        for output in outputs {
            let (RelayOutput::Send { session, .. } | RelayOutput::Close { session, .. }) = &output;
            let Some(n) = self.devices.iter().position(|d| d.session == Some(*session)) else {
                continue;
            };
            match output {
                RelayOutput::Send { frame, .. } => {
                    if let Some(device) = self.devices.get_mut(n) {
                        device.traffic.frames_in += 1;
                        device.traffic.bytes_in += frame.len();
                    }
                    self.feed(n, Input::Received(frame.whole()))?;
                }
                RelayOutput::Close { reason, .. } => {
                    return Err(failed(format!("the relay closed a session: {reason}")));
                }
            }
        }
        Ok(moved)
    }

    /// Exchanges until all is quiet, without letting time pass.
    pub(crate) fn quiet(&mut self) -> Outcome<()> {
        for _ in 0..ROUNDS {
            if !self.exchange()? {
                return Ok(());
            }
        }
        Err(failed("the town does not come to rest"))
    }

    /// Exchanges until all is quiet and nobody waits for a time.
    pub(crate) fn settle(&mut self) -> Outcome<()> {
        for _ in 0..ROUNDS {
            self.quiet()?;
            let Some(due) = self.devices.iter().filter_map(|device| device.wake).min() else {
                return Ok(());
            };
            self.now_ms = self.now_ms.max(due);
            self.relay.tick(self.now_ms);
            for n in 0..self.devices.len() {
                let Some(device) = self.devices.get_mut(n) else { continue };
                if device.wake.is_some_and(|at| at <= self.now_ms) {
                    device.wake = None;
                    self.feed(n, Input::Woken)?;
                }
            }
        }
        Err(failed("the town does not come to rest"))
    }

    /// Lets time go by in which nobody does anything: the relay confirms what it owes.
    pub(crate) fn linger(&mut self, for_ms: u64) -> Outcome<()> {
        self.now_ms += for_ms;
        self.relay.tick(self.now_ms);
        self.settle()
    }

    /// Runs a command to its answer.
    pub(crate) fn run(&mut self, n: usize, command: Command) -> Outcome<Response> {
        self.commands += 1;
        let id = self.commands;
        self.feed(n, Input::Command(id, command))?;
        for _ in 0..ROUNDS {
            let device = self.devices.get_mut(n).ok_or_else(|| failed("no such device"))?;
            if let Some(answer) = device.answers.remove(&id) {
                return Ok(answer?);
            }
            if !self.exchange()? {
                self.settle()?;
            }
        }
        Err(failed("a command has no answer"))
    }

    pub(crate) fn say(&mut self, n: usize, conversation: SpaceId, text: String) -> Outcome<()> {
        self.run(n, Command::SendMessage { conversation, text, reply_to: None }).map(drop)
    }

    /// What a device keeps.
    pub(crate) fn disk(&self, n: usize) -> Records {
        self.devices.get(n).map(|device| device.disk.clone()).unwrap_or_default()
    }

    /// Closes an engine and opens it again from its disk's index: no document is open then.
    pub(crate) fn restart(&mut self, n: usize) -> Outcome<()> {
        let device = self.devices.get_mut(n).ok_or_else(|| failed("no such device"))?;
        if let Some(session) = device.session.take() {
            self.relay.disconnect(session, self.now_ms);
        }
        let prefixes = index_prefixes();
        let index = prefixes.iter().flat_map(|prefix| read(&device.disk, prefix)).collect();
        self.commands += 1;
        let mut seed = [0x5a; 32];
        seed[..8].copy_from_slice(&self.commands.to_be_bytes());
        device.engine = Engine::open(seed, self.now_ms, index)?;
        device.wake = None;
        self.feed(n, Input::Cancel(0))
    }
}

fn write(disk: &mut Records, batch: &Batch) {
    for prefix in &batch.clears {
        let gone: Vec<_> = read(disk, prefix).into_keys().collect();
        for key in gone {
            disk.remove(&key);
        }
    }
    for (key, value) in &batch.writes {
        match value {
            Some(value) => disk.insert(key.clone(), value.clone()),
            None => disk.remove(key),
        };
    }
}

fn read(disk: &Records, prefix: &[u8]) -> Records {
    let from = disk.range(prefix.to_vec()..);
    let rows = from.take_while(|(key, _)| key.starts_with(prefix));
    rows.map(|(key, value)| (key.clone(), value.clone())).collect()
}

/// A message of 120 bytes; no two are alike, and none has much to compress.
pub(crate) fn message(n: usize) -> String {
    let mut noise = (n as u64).wrapping_add(1);
    let mut text = String::with_capacity(120);
    for _ in 0..120 {
        noise =
            noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let letter = u8::try_from(noise >> 59).unwrap_or_default();
        text.push(char::from(b'a' + letter % 26));
    }
    text
}
