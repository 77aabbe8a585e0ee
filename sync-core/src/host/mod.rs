//! What every host does around the engine: one loop, without a thread, a socket or a clock of its own.
//!
//! A host owns three things that differ from system to system: a store, a socket and a way to sleep.
//! It lends them to a [`HostLoop`] as [`Ports`], and calls the loop with what happens. After each call
//! it calls [`turn`](HostLoop::turn), and sleeps for [`patience_ms`](HostLoop::patience_ms) at most.
//!
//! The loop keeps the engine's inputs in order, holds the answers that somebody waits for, notices
//! sockets that died without a word, and counts stores and sockets: a late word of an earlier one is
//! not taken for the present one's.

mod jobs;
mod silence;

pub use jobs::{Done, Job, gather};

use sync_protocol::sorted::SortedMap;

use crate::api::{Command, CommandId, Event, Failure, Input, Output, Response};
use crate::engine::Engine;
use silence::Silence;

/// The loop's own commands: no command of the app's has this number.
const OWN: CommandId = 0;
/// How long a close waits for the store, in ms.
const CLOSE_MS: u64 = 10_000;
/// The longest sleep, in ms: after a suspended machine wakes, deadlines are looked at this soon.
const NAP_MS: u64 = 15_000;
/// The longest sleep while the app closes, in ms.
const CLOSING_NAP_MS: u64 = 100;
/// Pauses before a failed store is opened again, in ms: the first, and the longest.
const REOPEN_MS: (u64, u64) = (1_000, 30_000);

/// Both of a machine's clocks: one may be set, the other may stand still while the machine sleeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Unix milliseconds.
    pub unix_ms: u64,
    /// Milliseconds since any moment before the loop began; never goes back.
    pub steady_ms: u64,
}

/// What happens on a socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Happening<P> {
    /// It is open.
    Opened,
    /// A whole message.
    Message(Vec<u8>),
    /// It is closed, or did not open; `None` after an orderly end. Comes once, and last.
    Closed(Option<P>),
}

/// Something an app may want to show.
#[derive(Clone, Debug, PartialEq)]
pub enum Notice<P, E> {
    /// From the engine.
    Event(Event),
    /// The connection failed, or broke; it is tried again.
    Unreachable(P),
    /// The store failed. Commands fail until it is back; it is tried again.
    StoreFailed(E),
    /// The store is back: everything may look different.
    StoreBack,
}

/// What a host lends the loop: its store, its socket, and the app's ears.
pub trait Ports {
    /// Where a command's answer goes.
    type Reply;
    /// Why there is no connection.
    type Problem: Clone + PartialEq;
    /// Why a store is of no more use.
    type StoreError;

    /// Queues a job for the store. [`HostLoop::on_store`] is told of what came of it.
    fn ask(&mut self, job: Job);
    /// Begins to connect; what happens on this socket is told under its number. An earlier socket is
    /// dropped.
    fn connect(&mut self, socket: u64);
    /// Drops the socket.
    fn disconnect(&mut self);
    /// Queues a whole message on the socket.
    fn send(&mut self, message: Vec<u8>);
    /// Answers a command.
    fn reply(&mut self, reply: Self::Reply, result: Result<Response, Failure>);
    /// Tells the app. Nobody has to listen.
    fn tell(&mut self, notice: Notice<Self::Problem, Self::StoreError>);
    /// Keeps, for the app to ask, why there is no connection; `None` while there is one.
    fn keep_problem(&mut self, problem: Option<Self::Problem>);
    /// What a probe that the relay did not answer comes to.
    fn silent(&self) -> Self::Problem;
    /// Why a network that went away ends a connection.
    fn no_network(&self) -> Self::Problem;
}

/// An engine, and all that a host has to keep beside it.
#[derive(Debug)]
pub struct HostLoop<P: Ports> {
    engine: Engine,
    ports: P,
    /// The number of the present store, and of the present or next socket.
    store: u64,
    socket: u64,
    is_connected: bool,
    /// The last batch given to the store, and the last that is durable.
    asked: u64,
    written: u64,
    wake: Option<Deadline>,
    silence: Silence,
    replies: SortedMap<CommandId, P::Reply>,
    problem: Option<P::Problem>,
    /// The app wants to stay away, whatever the system says of the network.
    is_away: bool,
    /// Since when the app closes, by the steady clock.
    closing: Option<u64>,
}

/// When the engine wants to be called, by both clocks.
#[derive(Clone, Copy, Debug)]
struct Deadline {
    unix_ms: u64,
    steady_ms: u64,
}

impl Deadline {
    fn at(unix_ms: u64, now: Now) -> Self {
        let wait = unix_ms.saturating_sub(now.unix_ms);
        Self { unix_ms, steady_ms: now.steady_ms.saturating_add(wait) }
    }

    /// Whichever clock comes there first.
    fn remaining_ms(&self, now: Now) -> u64 {
        let by_wall = self.unix_ms.saturating_sub(now.unix_ms);
        by_wall.min(self.steady_ms.saturating_sub(now.steady_ms))
    }
}

impl<P: Ports> HostLoop<P> {
    /// Around an engine over an open store. `probes` where the system does not say that a connection
    /// died: then the relay is asked something after a long silence.
    pub fn new(engine: Engine, ports: P, probes: bool) -> Self {
        Self {
            engine,
            ports,
            store: 0,
            socket: 0,
            is_connected: false,
            asked: 0,
            written: 0,
            wake: None,
            silence: Silence::new(probes),
            replies: SortedMap::new(),
            problem: None,
            is_away: false,
            closing: None,
        }
    }

    /// What the host lent.
    pub fn ports(&mut self) -> &mut P {
        &mut self.ports
    }

    /// Gives back what the host lent.
    pub fn into_ports(self) -> P {
        self.ports
    }

    /// The app wants something. Commands take effect in the order in which they come here.
    pub fn on_command(&mut self, now: Now, id: CommandId, command: Command, reply: P::Reply) {
        match command {
            Command::GoOffline => self.is_away = true,
            Command::GoOnline => self.is_away = false,
            _ => {}
        }
        self.replies.insert(id, reply);
        self.feed(now, Input::Command(id, command));
    }

    /// The app no longer waits for an answer.
    pub fn on_cancel(&mut self, now: Now, id: CommandId) {
        self.replies.remove(&id);
        self.feed(now, Input::Cancel(id));
    }

    /// Something happened on the socket with this number.
    pub fn on_socket(&mut self, now: Now, number: u64, happening: Happening<P::Problem>) {
        if number != self.socket || !self.is_connected {
            return;
        }
        self.silence.broken(now);
        match happening {
            Happening::Opened => {
                self.note_problem(None);
                self.feed(now, Input::Connected);
            }
            Happening::Message(message) => self.feed(now, Input::Received(message)),
            Happening::Closed(problem) => self.lose_connection(now, problem),
        }
    }

    /// The store with this number did something.
    ///
    /// # Errors
    /// The store's: it is of no more use. Tell [`on_store_failed`](Self::on_store_failed), and open
    /// it again.
    pub fn on_store(
        &mut self,
        now: Now,
        number: u64,
        done: Done<P::StoreError>,
    ) -> Result<(), P::StoreError> {
        if number != self.store {
            return Ok(());
        }
        match done {
            Done::Written(batch) => {
                self.written = batch;
                self.feed(now, Input::Persisted(batch));
            }
            Done::Loaded(load, records) => self.feed(now, Input::Loaded(load, records)),
            Done::Failed(error) => return Err(error),
        }
        Ok(())
    }

    /// The system says whether there is a network. Without one a connection is dead before anybody
    /// says so; with one again, there is no reason to wait for the next attempt's time.
    pub fn on_network(&mut self, now: Now, is_there: bool) {
        if !is_there && self.is_connected {
            let why = self.ports.no_network();
            self.lose_connection(now, Some(why));
        } else if is_there && !self.is_connected && !self.is_away {
            self.feed(now, Input::Command(OWN, Command::GoOnline));
        }
    }

    /// The app closes: [`is_over`](Self::is_over) once all is durable.
    pub fn on_close(&mut self, now: Now) {
        self.closing.get_or_insert(now.steady_ms);
    }

    /// Does what has a time, and carries out all that the engine asks for.
    pub fn turn(&mut self, now: Now) {
        if self.wake.take_if(|wake| wake.remaining_ms(now) == 0).is_some() {
            self.feed(now, Input::Woken);
        }
        if self.is_connected {
            match self.silence.look(now) {
                silence::Look::Fine => {}
                silence::Look::Ask => self.feed(now, Input::Command(OWN, Command::ListDevices)),
                silence::Look::Dead => {
                    let why = self.ports.silent();
                    self.lose_connection(now, Some(why));
                }
            }
        }
        self.carry_out(now);
    }

    /// How long the host may sleep if nothing happens, in ms.
    pub fn patience_ms(&self, now: Now) -> u64 {
        let longest = if self.is_closing() { CLOSING_NAP_MS } else { NAP_MS };
        self.wake.map_or(longest, |wake| wake.remaining_ms(now).min(longest))
    }

    /// Whether the app closes.
    pub const fn is_closing(&self) -> bool {
        self.closing.is_some()
    }

    /// Whether the app closes, and all that it was told is durable; or the store takes too long.
    pub fn is_over(&self, now: Now) -> bool {
        let waited = self.closing.map(|since| now.steady_ms.saturating_sub(since));
        waited.is_some_and(|waited| self.written >= self.asked || waited > CLOSE_MS)
    }

    /// The store failed: answers everything that waits, what the engine knows about and what it does
    /// not.
    pub fn on_store_failed(&mut self, now: Now, error: P::StoreError) {
        self.feed(now, Input::StoreFailed);
        self.carry_out(now);
        for (_, reply) in std::mem::take(&mut self.replies) {
            self.ports.reply(reply, Err(Failure::Store));
        }
        self.drop_socket();
        self.wake = None;
        // What the failed store still says is of no interest.
        self.store += 1;
        self.ports.tell(Notice::StoreFailed(error));
    }

    /// Refuses a command while there is no store.
    pub fn refuse(&mut self, reply: P::Reply) {
        self.ports.reply(reply, Err(Failure::Store));
    }

    /// The number under which the present store's words come, or those of the next one to be opened.
    pub const fn store(&self) -> u64 {
        self.store
    }

    /// A store that failed is open again, with an engine over it.
    pub fn reopened(&mut self, engine: Engine) {
        self.engine = engine;
        (self.asked, self.written) = (0, 0);
        self.ports.tell(Notice::StoreBack);
    }

    fn feed(&mut self, now: Now, input: Input) {
        self.engine.handle(now.unix_ms, input);
    }

    fn carry_out(&mut self, now: Now) {
        while let Some(output) = self.engine.poll_output() {
            match output {
                Output::Persist(batch) => {
                    self.asked = batch.number;
                    self.ports.ask(Job::Write(batch));
                }
                Output::Load(load) => self.ports.ask(Job::Load(load)),
                Output::Connect => {
                    self.socket += 1;
                    self.is_connected = true;
                    self.silence.broken(now);
                    self.ports.connect(self.socket);
                }
                Output::Disconnect => self.drop_socket(),
                Output::Send(message) => self.ports.send(message),
                Output::Wake(at) => self.wake = Some(Deadline::at(at, now)),
                // Who has no account, or no session yet, answers by itself.
                Output::Respond(OWN, _) => self.silence.broken(now),
                Output::Respond(id, result) => {
                    if let Some(reply) = self.replies.remove(&id) {
                        self.ports.reply(reply, result);
                    }
                }
                Output::Notify(event) => self.ports.tell(Notice::Event(event)),
            }
        }
    }

    fn lose_connection(&mut self, now: Now, problem: Option<P::Problem>) {
        self.drop_socket();
        self.note_problem(problem);
        self.feed(now, Input::Disconnected);
    }

    fn drop_socket(&mut self) {
        self.is_connected = false;
        self.ports.disconnect();
    }

    fn note_problem(&mut self, problem: Option<P::Problem>) {
        if self.problem != problem {
            if let Some(problem) = &problem {
                self.ports.tell(Notice::Unreachable(problem.clone()));
            }
            self.problem.clone_from(&problem);
            self.ports.keep_problem(problem);
        }
    }
}

/// Pauses before a failed store is opened again, in ms, for ever.
pub fn reopen_pauses() -> impl Iterator<Item = u64> {
    let (first, longest) = REOPEN_MS;
    std::iter::successors(Some(first), move |pause| Some((pause * 2).min(longest)))
}

#[cfg(test)]
mod tests;
