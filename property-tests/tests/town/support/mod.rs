//! A town: real engines around the real relay rules, nothing delayed, nothing lost, time in the
//! hands of the test.

pub(crate) mod linking;
pub(crate) mod stall;

use std::collections::BTreeMap;

use sync_core::api::{Command, Event, Input, Output, Response, Space};
use sync_core::records::{Batch, Load, Records, index_prefixes};
use sync_core::{Engine, Failure};
use sync_protocol::SpaceId;
use sync_protocol::frames::{ClientFrame, Op, RelayFrame, Request};
use sync_protocol::ids::RelayId;
use sync_server::relay::{Identity, Output as RelayOutput, Relay, SessionId, Settings};
use sync_server::rules::TokenHash;
use sync_server::store::MemoryStore;

use stall::Line;

pub(crate) struct Device {
    pub(crate) engine: Engine,
    pub(crate) disk: Records,
    pub(crate) session: Option<SessionId>,
    pub(crate) answers: BTreeMap<u64, Result<Response, Failure>>,
    pub(crate) events: Vec<Event>,
    pub(crate) wake: Option<u64>,
    pub(crate) frames_in: usize,
    pub(crate) frames_out: usize,
    pub(crate) bytes: usize,
    /// Bytes of the largest message sent.
    pub(crate) largest: usize,
    /// Device logs asked for.
    pub(crate) log_requests: usize,
    /// Every message received.
    pub(crate) heard: Vec<Vec<u8>>,
    /// Everything read from the store.
    pub(crate) loads: Vec<Load>,
    /// What it brings along to be let in.
    pub(crate) token: Option<TokenHash>,
    /// Spaces whose pushes never reach the relay.
    pub(crate) loses: fn(&Device, &SpaceId) -> bool,
    /// What `loses` may ask for.
    pub(crate) withheld: Option<SpaceId>,
    /// What it says, on the way to the relay.
    pub(crate) up: Line<ClientFrame>,
    /// What the relay says, on the way to it.
    pub(crate) down: Line<RelayFrame>,
    /// What its store is slow to read.
    pub(crate) reads: Line<Load>,
}

impl Device {
    fn is_lost(&self, frame: &ClientFrame) -> bool {
        matches!(frame, ClientFrame::Push(push) if (self.loses)(self, &push.space))
    }
}

pub(crate) struct Town {
    pub(crate) now: u64,
    /// How far the relay's clock is ahead of everybody else's, in ms.
    pub(crate) relay_ahead_ms: i64,
    pub(crate) relay: Relay<MemoryStore>,
    pub(crate) devices: Vec<Device>,
    pub(crate) sessions: u64,
    pub(crate) commands: u64,
}

pub(crate) fn write(disk: &mut Records, batch: &Batch) {
    for prefix in &batch.clears {
        disk.retain(|key, _| !key.starts_with(prefix));
    }
    for (key, value) in &batch.writes {
        match value {
            Some(value) => disk.insert(key.clone(), value.clone()),
            None => disk.remove(key),
        };
    }
}

pub(crate) fn read(disk: &Records, prefix: &[u8]) -> Records {
    disk.iter()
        .filter(|(key, _)| key.starts_with(prefix))
        .map(|(k, v)| (k.clone(), v.clone()))
        .collect()
}

pub(crate) fn index(disk: &Records) -> Records {
    index_prefixes().iter().flat_map(|prefix| read(disk, prefix)).collect()
}

impl Device {
    /// Whether it ever asked for somebody's device log.
    pub(crate) fn asked_for_logs(&self) -> bool {
        self.log_requests > 0
    }
}

impl Town {
    pub(crate) fn new(people: usize) -> Self {
        Self::under(Settings::default(), people)
    }

    /// People around a relay with these limits.
    pub(crate) fn under(settings: Settings, people: usize) -> Self {
        let identity = Identity { relay: RelayId::from_bytes([9; 32]), generation: 77 };
        let relay = Relay::open(MemoryStore::new(), identity, settings).unwrap();
        let mut town = Self {
            now: 1_700_000_000_000,
            relay_ahead_ms: 0,
            relay,
            devices: Vec::new(),
            sessions: 0,
            commands: 0,
        };
        for _ in 0..people {
            town.arrive();
        }
        town
    }

    /// What the relay's clock shows.
    fn relay_now(&self) -> u64 {
        self.now.saturating_add_signed(self.relay_ahead_ms)
    }

    /// What a device said reaches the relay, if it is still connected.
    fn arrives(&mut self, n: usize, frame: ClientFrame) {
        let relay_now = self.relay_now();
        if let Some(session) = self.devices[n].session {
            self.relay.receive(session, frame, relay_now);
        }
    }

    /// A device's connection is gone, and with it what was on its way.
    fn hang_up(&mut self, n: usize) {
        let relay_now = self.relay_now();
        self.devices[n].up.lose();
        self.devices[n].down.lose();
        if let Some(session) = self.devices[n].session.take() {
            self.relay.disconnect(session, relay_now);
        }
    }

    pub(crate) fn feed(&mut self, n: usize, input: Input) {
        let (now, relay_now) = (self.now, self.relay_now());
        self.devices[n].engine.handle(now, input);
        while let Some(output) = self.devices[n].engine.poll_output() {
            let device = &mut self.devices[n];
            match output {
                Output::Persist(batch) => {
                    write(&mut device.disk, &batch);
                    device.engine.handle(now, Input::Persisted(batch.number));
                }
                Output::Load(load) => {
                    let records = read(&device.disk, &load.prefix());
                    device.loads.push(load.clone());
                    if let Some(load) = device.reads.pass(load) {
                        device.engine.handle(now, Input::Loaded(load, records));
                    }
                }
                Output::Connect => {
                    self.sessions += 1;
                    let session = SessionId(self.sessions);
                    device.session = Some(session);
                    self.relay.connect(session, [self.sessions as u8; 32], relay_now);
                    if let Some(token) = device.token {
                        self.relay.present(session, token);
                    }
                    device.engine.handle(now, Input::Connected);
                }
                Output::Disconnect => self.hang_up(n),
                Output::Send(bytes) => {
                    device.frames_out += 1;
                    device.bytes += bytes.len();
                    device.largest = device.largest.max(bytes.len());
                    let frame = ClientFrame::parse(&bytes).unwrap();
                    let asks = matches!(
                        &frame,
                        ClientFrame::Request(Request { op: Op::ReadLog { .. }, .. })
                    );
                    device.log_requests += usize::from(asks);
                    if !device.is_lost(&frame)
                        && let Some(frame) = device.up.pass(frame)
                    {
                        self.arrives(n, frame);
                    }
                }
                Output::Wake(at) => device.wake = Some(at),
                Output::Respond(id, result) => {
                    assert!(device.answers.insert(id, result).is_none(), "answered twice");
                }
                Output::Notify(event) => {
                    if let Event::Evidence { why, .. } = &event {
                        eprintln!("device {n}: EVIDENCE {why}");
                    }
                    device.events.push(event);
                }
            }
        }
    }

    /// One commit of the relay, and what everybody makes of it; whether anything moved.
    pub(crate) fn exchange(&mut self) -> bool {
        let outputs = self.relay.commit(self.relay_now());
        let moved = !outputs.is_empty();
        for output in outputs {
            match output {
                RelayOutput::Send { session, frame } => {
                    let n = self.devices.iter().position(|d| d.session == Some(session));
                    if let Some(n) = n {
                        self.devices[n].frames_in += 1;
                        self.devices[n].bytes += frame.len();
                        self.devices[n].heard.push(frame.whole());
                        let down = &mut self.devices[n].down;
                        let held = down.is_watched()
                            && down.pass(RelayFrame::parse(&frame.whole()).unwrap()).is_none();
                        if !held {
                            self.feed(n, Input::Received(frame.whole()));
                        }
                    }
                }
                RelayOutput::Close { session, reason } => {
                    eprintln!("closed {session:?}: {reason}");
                    if let Some(n) = self.devices.iter().position(|d| d.session == Some(session)) {
                        self.hang_up(n);
                        self.feed(n, Input::Disconnected);
                    }
                }
            }
        }
        moved
    }

    /// Runs until nothing moves any more, then lets time pass until nobody waits for it.
    pub(crate) fn settle(&mut self) {
        self.pass(u64::MAX);
    }

    /// Runs until nothing moves any more and nobody waits for a time within these milliseconds.
    pub(crate) fn pass(&mut self, ms: u64) {
        let until = self.now.saturating_add(ms);
        for _ in 0..20_000 {
            let quiet = !self.exchange();
            if quiet {
                let due = self.devices.iter().filter_map(|device| device.wake).min();
                let Some(due) = due.filter(|due| *due <= until) else { return };
                self.now = self.now.max(due);
                self.relay.tick(self.relay_now());
                for n in 0..self.devices.len() {
                    if self.devices[n].wake.is_some_and(|at| at <= self.now) {
                        self.devices[n].wake = None;
                        self.feed(n, Input::Woken);
                    }
                }
            }
        }
        panic!("the town does not come to rest");
    }

    /// One more device, with an empty store.
    pub(crate) fn arrive(&mut self) -> usize {
        let n = self.devices.len();
        let mut seed = [(n % 255) as u8 + 1; 32];
        seed[0] ^= (n / 255) as u8;
        let engine = Engine::open(seed, self.now, Records::new()).unwrap();
        self.devices.push(Device {
            engine,
            disk: Records::new(),
            session: None,
            answers: BTreeMap::new(),
            events: Vec::new(),
            wake: None,
            frames_in: 0,
            frames_out: 0,
            bytes: 0,
            largest: 0,
            log_requests: 0,
            heard: Vec::new(),
            loads: Vec::new(),
            token: None,
            loses: |_, _| false,
            withheld: None,
            up: Line::default(),
            down: Line::default(),
            reads: Line::default(),
        });
        n
    }

    pub(crate) fn tell(&mut self, n: usize, command: Command) -> u64 {
        self.commands += 1;
        let id = self.commands;
        self.feed(n, Input::Command(id, command));
        id
    }

    pub(crate) fn run(&mut self, n: usize, command: Command) -> Response {
        self.try_run(n, command).unwrap()
    }

    pub(crate) fn try_run(&mut self, n: usize, command: Command) -> Result<Response, Failure> {
        let text = format!("{command:?}");
        let id = self.tell(n, command);
        if !self.devices[n].answers.contains_key(&id) {
            self.settle();
        }
        self.devices[n].answers.remove(&id).unwrap_or_else(|| panic!("no answer to {text}"))
    }

    /// Gives everybody within a range an account, `person0` and so on, at once.
    pub(crate) fn sign_up_all(&mut self, numbers: std::ops::Range<usize>) -> Vec<String> {
        let names: Vec<String> = numbers.clone().map(|n| format!("person{n}")).collect();
        for (n, name) in numbers.zip(&names) {
            let address = name.parse().unwrap();
            self.tell(n, Command::CreateAccount { address, name: name.to_uppercase() });
        }
        self.settle();
        names
    }

    pub(crate) fn sign_up(&mut self, n: usize, address: &str) {
        let create = Command::CreateAccount {
            address: address.parse().unwrap(),
            name: address.to_uppercase(),
        };
        assert!(matches!(self.run(n, create), Response::Account(_)));
        self.settle();
    }

    pub(crate) fn say(
        &mut self,
        n: usize,
        conversation: SpaceId,
        text: &str,
    ) -> sync_core::document::OrderKey {
        let send = Command::SendMessage { conversation, text: text.to_owned(), reply_to: None };
        match self.run(n, send) {
            Response::Message(key) => key,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn texts(&mut self, n: usize, conversation: SpaceId) -> Vec<String> {
        match self.run(n, Command::ListMessages { conversation, before: None, limit: 1000 }) {
            Response::Messages(messages) => {
                messages.into_iter().map(|message| message.text).collect()
            }
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn found(&mut self, n: usize, title: &str, members: &[&str]) -> SpaceId {
        let members = members.iter().map(|address| address.parse().unwrap()).collect();
        match self.run(n, Command::CreateConversation { title: title.to_owned(), members }) {
            Response::Conversation(id) => id,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn digest(&mut self, n: usize, space: SpaceId) -> sync_core::api::Digest {
        match self.run(n, Command::Digest { space: Space::Conversation(space) }) {
            Response::Digest(digest) => digest,
            other => panic!("{other:?}"),
        }
    }

    /// A device that is gone for good.
    pub(crate) fn lose(&mut self, n: usize) {
        self.hang_up(n);
        self.devices[n].wake = None;
    }

    /// A device's connection breaks; it makes another.
    pub(crate) fn cut(&mut self, n: usize) {
        self.hang_up(n);
        self.feed(n, Input::Disconnected);
    }

    /// Cuts a device down while it carries out a command, once so many batches are durable.
    pub(crate) fn crash_after(&mut self, n: usize, batches: usize, command: Command) {
        self.commands += 1;
        let (now, relay_now) = (self.now, self.relay_now());
        let device = &mut self.devices[n];
        device.engine.handle(now, Input::Command(self.commands, command));
        let mut durable = 0;
        while durable < batches
            && let Some(output) = device.engine.poll_output()
        {
            match output {
                Output::Persist(batch) => {
                    durable += 1;
                    write(&mut device.disk, &batch);
                    device.engine.handle(now, Input::Persisted(batch.number));
                }
                Output::Load(load) => {
                    let records = read(&device.disk, &load.prefix());
                    device.engine.handle(now, Input::Loaded(load, records));
                }
                Output::Send(bytes) => {
                    if let Some(session) = device.session {
                        self.relay.receive(session, ClientFrame::parse(&bytes).unwrap(), relay_now);
                    }
                }
                _ => {}
            }
        }
        self.restart(n);
    }

    /// The relay goes down, and comes back over this store; everybody finds their connection gone.
    pub(crate) fn restart_relay(&mut self, store: MemoryStore) {
        let identity = Identity { relay: RelayId::from_bytes([0; 32]), generation: 0 };
        self.relay = Relay::open(store, identity, Settings::default()).unwrap();
        for n in 0..self.devices.len() {
            if self.devices[n].session.is_some() {
                self.hang_up(n);
                self.feed(n, Input::Disconnected);
            }
        }
    }

    pub(crate) fn restart(&mut self, n: usize) {
        self.hang_up(n);
        let index = index(&self.devices[n].disk);
        self.devices[n].engine =
            Engine::open([self.commands as u8 ^ 0x80; 32], self.now, index).unwrap();
        self.devices[n].wake = None;
        self.feed(n, Input::Cancel(0));
    }
}
