//! Sessions over the rules, sans-IO: frames in, frames out, a store below.
//!
//! The host calls [`Relay::connect`], [`Relay::receive`] and [`Relay::disconnect`] as sockets come,
//! speak and go, [`Relay::tick`] every [`TICK_MS`], and after each bunch of these
//! [`Relay::commit`]: one sync of the log for everything since the last one, and only then the
//! frames that answer it. Nothing here reads a clock, draws randomness or iterates a hash map.
//!
//! Sessions propose commands and wait. Commands come back in the order of the log, are applied, and
//! their effects drive everybody's sessions; so it makes no difference which node proposed them.
//!
//! A session is catching up or live. Catching up, entries are read from the store as credit allows;
//! live, they are handed on as they commit, encoded once for all receivers. A session that runs out
//! of credit is catching up again, so nothing ever waits in memory for a slow reader.

mod bounds;
mod course;
mod damage;
mod deliveries;
mod desk;
mod doorway;
mod effects;
mod gate;
mod hall;
mod held;
mod incoming;
mod ledger;
mod opening;
mod outcomes;
mod output;
mod presence;
mod proposals;
mod push;
mod rate;
mod rendezvous;
mod requests;
mod serving;
mod session;
mod sessions;
mod settings;
mod times;
mod work;

pub use gate::Registration;
pub use incoming::{Incoming, Pushing, Speaker};
pub use output::{Counts, Frame, Identity, Output, SessionId};
pub use proposals::Node;
pub(crate) use rate::{Bucket, Rate};
pub use settings::Settings;

use std::collections::VecDeque;

use sync_protocol::error::Rejection;
use sync_protocol::frames::{Answer, Challenge, ClientFrame, Hello, Request};
use sync_protocol::limits;

use crate::log::{Log, Unkept};
use crate::peers::Peer;
use crate::refusals::{Refusals, Refused};
use crate::relay::course::Course;
use crate::relay::desk::Desk;
use crate::relay::hall::Hall;
use crate::relay::proposals::{Then, Waiting};
use crate::relay::session::{Open, position_in, position_of};
use crate::rules::{AccountDevice, Action, CommandId, Fault, State, TokenHash};
use crate::store::{Store, StoreError};

/// How often the host calls [`Relay::tick`], in ms.
pub const TICK_MS: u64 = 1000;
/// What a session that was turned away is told to wait, in ms.
const BUSY_MS: u64 = 2_000;
/// What a device is told to wait that has had more than a node has, in ms.
const AHEAD_MS: u64 = 200;
/// Sweeps of what ended, a tick.
const SWEEPS: usize = 4;

/// The relay's whole logic over a store: machines that know nothing of one another, and what has to
/// pass between them.
///
/// A frame is looked at on the `Desk`, which proposes a command at most. What a command did is told
/// to all whom it concerns, wherever it came from; then to who proposed it.
#[derive(Debug)]
pub struct Relay<S, L = Unkept> {
    course: Course<S, L>,
    hall: Hall,
    /// Sessions whose next frame may be looked at.
    go_on: VecDeque<SessionId>,
    failure: Option<StoreError>,
}

impl<S: Store> Relay<S> {
    /// Opens the relay that a store holds, or founds one with this identity if it is empty. Each commit
    /// makes its rows durable: it keeps no log.
    ///
    /// # Errors
    /// If the store can't be read.
    pub fn open(store: S, identity: Identity, settings: Settings) -> Result<Self, StoreError> {
        let mut relay = Self::alone(store, Unkept::default(), settings)?;
        relay.found(identity)?;
        Ok(relay)
    }
}

impl<S: Store, L: Log> Relay<S, L> {
    /// Opens the relay that a store holds, and applies what its own log has beyond that. It is
    /// [founded](Self::found) before it serves.
    ///
    /// # Errors
    /// If one of them can't be read.
    pub fn alone(store: S, log: L, settings: Settings) -> Result<Self, StoreError> {
        let mut relay = Self::new(store, log, Node { node: 0, life: 0 }, settings)?;
        relay.advance()?;
        relay.course.begin_alone();
        // What a crash kept from being proposed.
        relay.course.find_facts()?;
        relay.course.put_late_facts(relay.hall.times)?;
        relay.advance()?;
        Ok(relay)
    }

    /// Opens one of the nodes that share a log on what its store holds. It serves once the log says
    /// who the relay is.
    ///
    /// # Errors
    /// If the store can't be read.
    pub fn of_many(store: S, log: L, node: Node, settings: Settings) -> Result<Self, StoreError> {
        let mut relay = Self::new(store, log, node, settings)?;
        relay.course.find_facts()?;
        Ok(relay)
    }

    fn new(store: S, log: L, node: Node, settings: Settings) -> Result<Self, StoreError> {
        let (course, hall) = (Course::new(store, log, node)?, Hall::new(settings));
        Ok(Self { course, hall, go_on: VecDeque::new(), failure: None })
    }

    /// Founds the relay, if it is nobody's yet, and brings its rules up to date: both are commands, and
    /// the first of the log says who it is.
    ///
    /// # Errors
    /// If it can't be written down.
    pub fn found(&mut self, identity: Identity) -> Result<(), StoreError> {
        self.course.found(identity, self.hall.times)?;
        self.advance()?;
        self.checkpoint().map(drop)
    }

    /// Writes down what was applied, so that the log need not keep it. Says whether there was anything.
    ///
    /// # Errors
    /// If it can't be written: that ends the relay.
    pub fn checkpoint(&mut self) -> Result<bool, StoreError> {
        let written = self.course.checkpoint(self.hall.times);
        if let Err(error) = &written {
            self.fail(error.clone());
        }
        written
    }

    fn desk(&mut self) -> Desk<'_, S> {
        self.hall.desk(&mut self.course.state, &mut self.course.damage)
    }

    /// A socket opened of somebody who is not limited by address. `nonce` must be fresh and random;
    /// the challenge goes out at the next commit. Session ids are the host's and are never used again.
    pub fn connect(&mut self, session: SessionId, nonce: [u8; 32], now_ms: u64) {
        self.connect_from(session, None, nonce, now_ms);
    }

    /// The same of a client address.
    pub fn connect_from(
        &mut self,
        session: SessionId,
        peer: Option<Peer>,
        nonce: [u8; 32],
        now_ms: u64,
    ) {
        self.hall.times.now_ms = now_ms;
        let challenge = Challenge {
            nonce,
            relay: self.course.state.identity().relay,
            time_ms: self.hall.times.stamp(),
            min_version: limits::MIN_VERSION,
            max_version: limits::VERSION,
        };
        let serves = self.failure.is_none() && self.course.state.is_founded();
        let unavailable = (!serves).then_some(BUSY_MS);
        self.hall.enter(session, peer, challenge, unavailable);
    }

    /// A frame arrived. What it changes becomes durable, and what it causes is sent, at the next
    /// commit.
    pub fn receive(&mut self, session: SessionId, frame: impl Into<Incoming>, now_ms: u64) {
        self.take_in(session, frame.into(), now_ms);
    }

    fn take_in(&mut self, session: SessionId, frame: Incoming, now_ms: u64) {
        self.hall.times.now_ms = now_ms;
        if self.failure.is_some() {
            return;
        }
        if self.hall.keeps_for_later(session, &frame) {
            return self.hall.keep(session, frame);
        }
        self.look_at(session, frame);
        self.go_on();
    }

    /// Applies what the log has ordered, and looks at what sessions sent while they waited for it.
    fn go_on(&mut self) {
        loop {
            if self.failure.is_some() {
                return;
            }
            if let Err(error) = self.advance() {
                return self.fail(error);
            }
            let Some(session) = self.go_on.front().copied() else { return };
            match self.hall.next_frame(session) {
                Some(frame) => self.look_at(session, frame),
                None => {
                    self.go_on.pop_front();
                }
            }
        }
    }

    fn look_at(&mut self, session: SessionId, frame: Incoming) {
        let Some(is_open) = self.hall.take_frame(session) else { return };
        self.course.state.logs_mut().take_count();
        let done = match frame {
            Incoming::Push(push) if is_open => self.push(session, push),
            Incoming::TooLarge(space) if is_open => {
                let limit = limits::MESSAGE as u64;
                self.hall.refuse(session, space, 0, Rejection::TooLarge { limit });
                Ok(())
            }
            Incoming::Push(_) | Incoming::TooLarge(_) => Err(Rejection::Invalid.into()),
            Incoming::Frame(frame) => self.frame(session, frame, is_open),
        };
        // However short the question was for which a long log had to be read.
        let verified = self.course.state.logs_mut().take_count();
        self.hall.worked(session, verified * 2 * work::SIGNATURE);
        match done {
            Ok(()) => {}
            Err(Fault::Rejected(Rejection::Invalid)) => {
                self.hall.close_for(session, Refused::Malformed, Rejection::Invalid);
            }
            Err(Fault::Rejected(reason)) => self.hall.close(session, reason),
            Err(Fault::Store(error)) => match self.course.damage.refuses(error) {
                Ok(reason) => self.hall.close(session, reason),
                Err(error) => self.fail(error),
            },
        }
    }

    fn frame(
        &mut self,
        session: SessionId,
        frame: ClientFrame,
        is_open: bool,
    ) -> Result<(), Fault> {
        match frame {
            ClientFrame::Hello(hello) if !is_open => self.hello(session, hello),
            ClientFrame::Request(request) => self.request(session, request),
            ClientFrame::Meet { rendezvous, step } => {
                let may = self.desk().may_meet(session, &step);
                self.hall.meet(session, rendezvous, may.map(|()| step));
                Ok(())
            }
            ClientFrame::Signal { space, envelope } if is_open => {
                let signalled = self.desk().signal(session, space, envelope)?;
                self.hall.signalled(session, signalled);
                Ok(())
            }
            ClientFrame::Ack { cursor } if is_open => {
                let (identity, newest) =
                    (self.course.state.identity(), self.course.state.newest_position());
                if let Some(position) = position_in(&cursor, identity.generation, newest) {
                    self.hall.acknowledge(session, position);
                }
                Ok(())
            }
            ClientFrame::Credit { bytes } if is_open => {
                self.hall.credit(session, bytes);
                Ok(())
            }
            _ => Err(Rejection::Invalid.into()),
        }
    }

    fn hello(&mut self, session: SessionId, hello: Hello) -> Result<(), Fault> {
        let generation = self.course.state.identity().generation;
        let position = hello.cursor.as_ref().and_then(|one| position_of(one, generation));
        let is_ahead = position > Some(self.course.state.newest_position());
        if self.course.is_of_many() && is_ahead {
            // It was somewhere else, which is further than this node.
            return Err(Rejection::Unavailable { retry_ms: AHEAD_MS }.into());
        }
        let mut opening = Box::new(self.desk().hello(session, hello)?);
        let action = opening.next();
        self.propose(session, action, Then::Open(opening))
    }

    fn push(&mut self, session: SessionId, mut push: Pushing) -> Result<(), Fault> {
        let Some(speaker) = self.speaker(session) else { return Ok(()) };
        let (space, first) = (push.space, push.first_seq());
        let admitted = self.desk().admit(session, &push);
        self.hall.note_admitted(session, admitted.is_ok());
        match admitted {
            Ok(()) => {}
            Err(Fault::Rejected(reason)) => {
                self.hall.refuse(session, space, first, reason);
                return Ok(());
            }
            Err(Fault::Store(error)) => return Err(error.into()),
        }
        push.verify(&speaker);
        let first = push.first_seq();
        let looked = self.desk().push(&speaker, push);
        let done = looked.and_then(|(action, confirming)| match (action, confirming.refused) {
            (Some(action), refused) => {
                let confirming = proposals::Confirming { refused, ..confirming };
                self.propose(session, action, Then::Confirm(confirming))
            }
            (None, Some((seq, reason))) => {
                self.hall.refuse(session, space, seq, reason);
                Ok(())
            }
            (None, None) => Ok(()),
        });
        let reason = match done {
            Ok(()) => return Ok(()),
            Err(Fault::Rejected(reason)) => reason,
            Err(Fault::Store(error)) => self.course.damage.refuses(error)?,
        };
        self.hall.refuse(session, space, first, reason);
        Ok(())
    }

    fn request(&mut self, session: SessionId, request: Request) -> Result<(), Fault> {
        let Request { id, op } = request;
        let step = match self.is_open(session) {
            true => self.desk().answer(session, id, op),
            false => self.desk().early_answer(session, &op),
        };
        match step.and_then(|step| self.go(session, id, step)) {
            Ok(()) => {}
            Err(Fault::Rejected(reason)) => self.hall.refuse_request(session, id, reason),
            Err(Fault::Store(error)) => {
                let reason = self.course.damage.refuses(error)?;
                self.hall.reply(session, id, Answer::Refused(reason));
            }
        }
        Ok(())
    }

    /// A socket brought a token along.
    pub fn present(&mut self, session: SessionId, token: TokenHash) {
        self.hall.present(session, token);
    }

    /// Something arrived that is not a frame, or too much of it: the session ends.
    pub fn malformed(&mut self, session: SessionId, reason: Rejection) {
        self.hall.close(session, reason);
    }

    /// A socket closed, for whatever reason.
    pub fn disconnect(&mut self, session: SessionId, now_ms: u64) {
        self.hall.times.now_ms = now_ms;
        self.hall.forget(session);
        self.write_seen();
    }

    /// Time passed: deadlines, cursors, frontiers.
    pub fn tick(&mut self, now_ms: u64) {
        self.hall.times.now_ms = now_ms;
        let is_due = self.hall.tick();
        self.write_seen();
        for _ in 0..SWEEPS {
            match self.course.sweep(self.hall.times) {
                Ok(true) => self.go_on(),
                Ok(false) => break,
                Err(error) => {
                    self.fail(error);
                    break;
                }
            }
        }
        if self.failure.is_none()
            && let Err(error) = self.course.sweep_invites(self.hall.times)
        {
            self.fail(error);
        }
        for waiting in self.course.late(self.hall.times) {
            if let Waiting::Session(session, _) = waiting {
                self.hall.close(session, Rejection::Unavailable { retry_ms: BUSY_MS });
            }
        }
        if self.failure.is_none()
            && let Err(error) = self.course.put_late_facts(self.hall.times)
        {
            self.fail(error);
        }
        if self.failure.is_none() {
            let written = self.course.state.write_activity();
            if let Err(error) = self.course.damage.skips(written) {
                self.fail(error);
            }
        }
        if is_due {
            self.write_sums();
        }
        self.go_on();
    }

    /// Writes down how far devices are, and when they were here.
    fn write_seen(&mut self) {
        let seen = self.hall.take_seen();
        if self.failure.is_none() {
            for (device, position, seen_ms) in seen {
                self.course.state.put_frontier(&device, position, seen_ms);
            }
        }
    }

    /// Makes everything since the last commit durable, then gives all that may be sent now. If the
    /// store fails, nothing of the batch counts: every session is closed as unavailable, and
    /// [`failure`](Relay::failure) says why from then on.
    pub fn commit(&mut self, now_ms: u64) -> Vec<Output> {
        self.hall.times.now_ms = now_ms;
        self.go_on();
        self.hall.say_all();
        self.write_seen();
        if self.failure.is_none() {
            match self.course.sync(self.hall.times) {
                Ok(true) => self.hall.counts.commits += 1,
                Ok(false) => {}
                Err(error) => self.fail(error),
            }
        }
        if self.failure.is_none()
            && let Err(error) = self.hall.deliver(&mut self.course.state, &mut self.course.damage)
        {
            self.failure = Some(error);
            self.hall.fail(false);
        }
        self.course.state.end_batch();
        self.hall.take_outputs()
    }

    /// Writes down what was applied, if it is time to: a host calls it once it has handed out what a
    /// commit gave, which waits for nothing that is done here.
    pub fn write_down(&mut self, now_ms: u64) {
        self.hall.times.now_ms = now_ms;
        let is_due = self.course.is_due(self.hall.times);
        if is_due && self.failure.is_none() {
            // What goes wrong with it is noted where it ends the relay.
            let _ = self.checkpoint();
        }
    }

    /// Bytes of memory of what the next commit gives: a host commits before they are too many.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.hall.held_bytes()
    }

    /// Whether there is more to send than one commit gives: commit again before waiting.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.hall.deliveries.is_busy()
    }

    /// Says goodbye to every session (`Unavailable`) and takes no new ones; the next commit flushes
    /// what is known of them.
    pub fn drain(&mut self, retry_ms: u64, now_ms: u64) {
        self.hall.times.now_ms = now_ms;
        self.hall.drain(retry_ms);
        self.write_seen();
        self.write_sums();
        self.go_on();
        self.course.leave();
    }

    /// Writes down what accounts had stored since the last time.
    fn write_sums(&mut self) {
        if self.failure.is_some() {
            return;
        }
        for (account, bytes) in self.hall.bounds.take_sums() {
            if let Err(error) =
                self.course.put(Action::CountStored { account, bytes }, self.hall.times)
            {
                return self.fail(error);
            }
        }
    }

    /// Changes quotas and rates while it goes on.
    pub fn set_settings(&mut self, settings: Settings) {
        self.hall.bounds.set_settings(settings);
    }

    /// Changes who may make an account.
    pub fn set_registration(&mut self, registration: Registration) {
        self.hall.set_registration(registration);
    }

    /// Notes whether the disk is full to its reserve: nothing new is taken then, and reading,
    /// acknowledging and deleting go on.
    pub fn set_full(&mut self, is_full: bool) {
        self.hall.set_full(is_full);
    }

    /// Does what its operator asks.
    ///
    /// # Errors
    /// Why it is not done; a store that fails ends the relay.
    pub fn operate(&mut self, action: Action, now_ms: u64) -> Result<(), Rejection> {
        self.hall.times.now_ms = now_ms;
        let asked = self.ask(action);
        let answered = asked.map(|id| self.answered(&id));
        answered.ok().flatten().unwrap_or(Err(Rejection::Unavailable { retry_ms: BUSY_MS }))
    }

    /// Proposes what its operator asks: [what comes of it](Self::answered) may be known later.
    ///
    /// # Errors
    /// A log that takes nothing ends the relay.
    pub fn ask(&mut self, action: Action) -> Result<CommandId, Rejection> {
        let id = match self.course.propose(action, Waiting::Operator, self.hall.times) {
            Ok(id) => id,
            Err(Fault::Rejected(reason)) => return Err(reason),
            Err(Fault::Store(error)) => {
                self.fail(error);
                return Err(Rejection::Unavailable { retry_ms: BUSY_MS });
            }
        };
        self.go_on();
        Ok(id)
    }

    /// What came of what its operator asked, once it is known.
    pub fn answered(&mut self, id: &CommandId) -> Option<Result<(), Rejection>> {
        self.course.answered(id)
    }

    /// Account, device and session of all who are here.
    pub fn who_is_here(&self) -> impl Iterator<Item = (SessionId, AccountDevice)> + '_ {
        self.hall.sessions.who_is_here()
    }

    /// Memory that is taken by what each session has to catch up with, in bytes: a device may be in many
    /// spaces, and take nothing in.
    pub fn behind(&self) -> impl Iterator<Item = (SessionId, usize)> + '_ {
        self.hall.sessions.behind()
    }

    /// The state below.
    #[must_use]
    pub fn state(&self) -> &State<S> {
        &self.course.state
    }

    /// The state below, whose caches change as it is read.
    pub fn state_mut(&mut self) -> &mut State<S> {
        &mut self.course.state
    }

    /// Why the relay stopped serving, if it did. It never recovers: open a new one on the store.
    #[must_use]
    pub fn failure(&self) -> Option<&StoreError> {
        self.failure.as_ref()
    }

    /// Whether a session is authenticated.
    #[must_use]
    pub fn is_open(&self, session: SessionId) -> bool {
        self.hall.sessions.open(session).is_some()
    }

    /// Who speaks in a session, if it is authenticated.
    #[must_use]
    pub fn speaker(&self, session: SessionId) -> Option<Speaker> {
        self.hall.sessions.open(session).map(Open::speaker)
    }

    /// Whether what a session pushed last was refused before it was looked at: what its account, or the
    /// disk, has no room for.
    #[must_use]
    pub fn rests(&self, session: SessionId) -> bool {
        self.hall.sessions.open(session).is_some_and(|open| open.rests)
    }

    /// What the relay is bounded by.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        self.hall.bounds.settings()
    }

    /// How far stamps are ahead of the times that the host passes in, from now on. Those are of a
    /// clock that never goes back, and limits and deadlines go by it; stamps are Unix milliseconds.
    pub fn stamp_ahead(&mut self, ahead_ms: u64) {
        self.hall.times.ahead_ms = ahead_ms;
    }

    /// What happened so far, in numbers.
    #[must_use]
    pub fn counts(&self) -> Counts {
        Counts { damaged: self.course.damage.count(), ..self.hall.counts() }
    }

    /// What was refused so far, by reason.
    #[must_use]
    pub fn refusals(&self) -> Refusals {
        self.hall.refusals()
    }

    /// The store below.
    #[must_use]
    pub fn store(&self) -> &S {
        self.course.state.store()
    }

    /// The store below, to make a disk full, say.
    pub fn store_mut(&mut self) -> &mut S {
        self.course.state.store_mut()
    }

    /// The log.
    #[must_use]
    pub fn log(&self) -> &L {
        self.course.log()
    }

    /// The log: more may have been ordered.
    pub fn log_mut(&mut self) -> &mut L {
        self.course.log_mut()
    }

    /// Gives store and log back, as they are.
    #[must_use]
    pub fn into_parts(self) -> (S, L) {
        self.course.into_parts()
    }

    /// Whether a session waits for a command: what it sends is looked at later.
    #[must_use]
    pub fn waits(&self, session: SessionId) -> bool {
        self.hall.sessions.get(session).is_some_and(|known| known.turn.waits())
    }

    /// The store failed: nothing since the last commit happened.
    fn fail(&mut self, error: StoreError) {
        self.failure.get_or_insert(error);
        self.hall.fail(true);
    }
}
