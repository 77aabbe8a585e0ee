//! Sessions over the rules, sans-IO: frames in, frames out, a store below.
//!
//! The host calls [`Relay::connect`], [`Relay::receive`] and [`Relay::disconnect`] as sockets come,
//! speak and go, [`Relay::tick`] every [`TICK_MS`], and after each bunch of these
//! [`Relay::commit`]: one durable transaction for everything since the last one, and only then the
//! frames that answer it. Nothing here reads a clock, draws randomness or iterates a hash map.
//!
//! A session is catching up or live. Catching up, entries are read from the store as credit allows;
//! live, they are handed on as they commit, encoded once for all receivers. A session that runs out
//! of credit is catching up again, so nothing ever waits in memory for a slow reader.

mod bounds;
mod damage;
mod delivery;
mod doorway;
mod frontier;
mod held;
mod incoming;
mod ledger;
mod opening;
mod output;
mod push;
mod rate;
mod registration;
mod rendezvous;
mod requests;
mod session;
mod settings;
mod work;

pub use incoming::{Incoming, Pushing, Speaker};
pub use output::{Counts, Frame, Identity, Output, SessionId};
pub(crate) use rate::{Bucket, Rate};
pub use registration::Registration;
pub use settings::Settings;

use std::collections::{BTreeMap, BTreeSet};
use sync_protocol::error::Rejection;
use sync_protocol::frames::{Challenge, ClientFrame, Notice, RelayFrame};
use sync_protocol::ids::{AccountId, DeviceId, SpaceId};
use sync_protocol::limits;

use crate::peers::Peer;
use crate::refusals::Refusals;
use crate::relay::bounds::Bounds;
use crate::relay::damage::Damage;
use crate::relay::doorway::Entry;
use crate::relay::held::Held;
use crate::relay::rate::Limited;
use crate::relay::rendezvous::Meetings;
use crate::relay::session::{EarlySteps, Open, Session};
use crate::rules::{self, AccountDevice, Action, Command, Effect, Fault, State};
use crate::store::{Store, StoreError};

/// How often the host calls [`Relay::tick`], in ms.
pub const TICK_MS: u64 = 1000;
/// How often what devices acknowledged is written down, in ms.
const FLUSH_MS: u64 = 5_000;
/// What a session that was turned away is told to wait, in ms.
const BUSY_MS: u64 = 2_000;
/// Between two sessions that are told to come back: so many of them a second another relay takes.
const SPREAD_MS: u64 = 2;
/// Sweeps of what ended, a tick.
const SWEEPS: usize = 4;
/// Frames, beside the hello, that a session may send before it is authenticated.
const EARLY_FRAMES: u32 = 64;
/// A device is told when it has fewer key packages than this.
const KEY_PACKAGES_LOW: u64 = 10;

/// The relay's whole logic over a store.
#[derive(Debug)]
pub struct Relay<S> {
    state: State<S>,
    bounds: Bounds,
    sessions: BTreeMap<SessionId, Session>,
    accounts: BTreeMap<AccountId, BTreeSet<SessionId>>,
    devices: BTreeMap<AccountDevice, BTreeSet<SessionId>>,
    meetings: Meetings,
    /// What may be sent once the batch is durable.
    held: Held,
    appended: BTreeMap<SpaceId, Vec<Piece>>,
    /// Sessions that may have something to receive.
    ready: BTreeSet<SessionId>,
    /// Sessions that pushed and have not had a cursor since.
    owed: BTreeSet<SessionId>,
    /// Sessions whose acknowledged cursor is not written down yet.
    acked: BTreeSet<SessionId>,
    /// The time that the host passed in last.
    now_ms: u64,
    /// What a stamp is ahead of that time.
    ahead_ms: u64,
    flushed_ms: u64,
    /// Sessions of accounts that were delivered as much as they may be for now.
    resting: BTreeSet<SessionId>,
    /// Whose turn it is among those that are ready.
    next_served: SessionId,
    failure: Option<StoreError>,
    damage: Damage,
    /// Who may make an account.
    registration: Registration,
    /// Whether the disk is full to its reserve.
    is_full: bool,
    draining: Option<u64>,
    counts: Counts,
}

/// Entries that one session appended in a row.
#[derive(Clone, Copy, Debug)]
struct Piece {
    first: u64,
    end: u64,
    by: SessionId,
}

impl<S: Store> Relay<S> {
    /// Opens the relay that a store holds, or founds one with this identity if it is empty.
    ///
    /// # Errors
    /// If the store can't be read.
    pub fn open(store: S, identity: Identity, settings: Settings) -> Result<Self, StoreError> {
        let mut relay = Self {
            state: State::open(store, identity)?,
            bounds: Bounds::new(settings),
            sessions: BTreeMap::new(),
            accounts: BTreeMap::new(),
            devices: BTreeMap::new(),
            meetings: Meetings::default(),
            held: Held::default(),
            appended: BTreeMap::new(),
            ready: BTreeSet::new(),
            owed: BTreeSet::new(),
            acked: BTreeSet::new(),
            now_ms: 0,
            ahead_ms: 0,
            flushed_ms: 0,
            resting: BTreeSet::new(),
            next_served: SessionId(0),
            failure: None,
            damage: Damage::default(),
            registration: Registration::default(),
            is_full: false,
            draining: None,
            counts: Counts::default(),
        };
        relay.run_facts()?;
        relay.state.commit()?;
        Ok(relay)
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
        self.now_ms = now_ms;
        let challenge = Challenge {
            nonce,
            relay: self.state.identity().relay,
            time_ms: self.stamp(now_ms),
            min_version: limits::MIN_VERSION,
            max_version: limits::VERSION,
        };
        let entry = self.bounds.enter(session, peer);
        let known = Session {
            challenge: challenge.clone(),
            silent_from_ms: now_ms,
            early: EarlySteps::default(),
            peer,
            open: None,
        };
        self.sessions.insert(session, known);
        if let Some(retry_ms) = self.unavailable() {
            return self.close(session, Rejection::Unavailable { retry_ms });
        }
        match entry {
            Entry::In => {}
            Entry::Instead(other, _) => {
                self.close(other, Rejection::Unavailable { retry_ms: BUSY_MS });
            }
            Entry::Full => {
                return self.close(session, Rejection::Unavailable { retry_ms: BUSY_MS });
            }
        }
        self.held.send(session, &RelayFrame::Challenge(challenge));
    }

    /// A frame arrived. What it changes becomes durable, and what it causes is sent, at the next
    /// commit.
    pub fn receive(&mut self, session: SessionId, frame: impl Into<Incoming>, now_ms: u64) {
        self.take_in(session, frame.into(), now_ms);
    }

    fn take_in(&mut self, session: SessionId, frame: Incoming, now_ms: u64) {
        self.now_ms = now_ms;
        let Some(known) = self.sessions.get_mut(&session) else { return };
        if self.failure.is_some() {
            return;
        }
        let is_open = known.open.is_some();
        known.early.frames += u32::from(!is_open);
        if let Some(account) = known.open.as_ref().map(|open| open.account) {
            self.bounds.spend(account, (Limited::Work, work::FRAME), now_ms);
            if let Err(reason) = self.bounds.overspends(account, now_ms) {
                return self.close(session, reason);
            }
        }
        let Some(known) = self.sessions.get(&session) else { return };
        let done = match frame {
            _ if !is_open && known.early.frames > EARLY_FRAMES => Err(Rejection::Quota.into()),
            Incoming::Push(push) if is_open => self.push(session, push, now_ms),
            Incoming::TooLarge(space) if is_open => {
                let limit = limits::MESSAGE as u64;
                self.refuse(session, space, 0, Rejection::TooLarge { limit });
                Ok(())
            }
            Incoming::Push(_) | Incoming::TooLarge(_) => Err(Rejection::Invalid.into()),
            Incoming::Frame(frame) => self.frame(session, frame, is_open, now_ms),
        };
        match done {
            Ok(()) => {}
            Err(Fault::Rejected(reason)) => self.close(session, reason),
            Err(Fault::Store(error)) => match self.damage.refuses(error) {
                Ok(reason) => self.close(session, reason),
                Err(error) => self.fail(error),
            },
        }
    }

    fn frame(
        &mut self,
        session: SessionId,
        frame: ClientFrame,
        is_open: bool,
        now_ms: u64,
    ) -> Result<(), Fault> {
        match frame {
            ClientFrame::Hello(hello) if !is_open => self.hello(session, &hello, now_ms),
            ClientFrame::Request(request) => self.request(session, request, now_ms),
            ClientFrame::Meet { rendezvous, step } => {
                self.meet(session, rendezvous, step, now_ms);
                Ok(())
            }
            ClientFrame::Signal { space, envelope } if is_open => {
                self.signal(session, space, envelope, now_ms)
            }
            ClientFrame::Ack { cursor } if is_open => {
                self.acknowledge(session, &cursor);
                Ok(())
            }
            ClientFrame::Credit { bytes } if is_open => {
                self.credit(session, bytes);
                Ok(())
            }
            _ => Err(Rejection::Invalid.into()),
        }
    }

    /// Something arrived that is not a frame, or too much of it: the session ends.
    pub fn malformed(&mut self, session: SessionId, reason: Rejection) {
        self.close(session, reason);
    }

    /// A socket closed, for whatever reason.
    pub fn disconnect(&mut self, session: SessionId, now_ms: u64) {
        self.now_ms = now_ms;
        self.forget(session);
    }

    /// Time passed: deadlines, cursors, frontiers.
    pub fn tick(&mut self, now_ms: u64) {
        self.now_ms = now_ms;
        for id in self.meetings.late(now_ms) {
            let told = self.meetings.end_late(&id, now_ms);
            self.tell(told);
        }
        self.close_silent(now_ms);
        self.sweep(now_ms);
        self.ready.extend(&self.owed);
        self.ready.append(&mut self.resting);
        if self.failure.is_none()
            && let Err(error) = self.state.write_activity()
        {
            self.contain(error);
        }
        if now_ms.saturating_sub(self.flushed_ms) >= FLUSH_MS {
            self.flushed_ms = now_ms;
            self.flush();
            self.bounds.sweep(now_ms);
            self.write_sums();
        }
    }

    /// Closes sessions that neither said hello in time nor are at a rendezvous.
    fn close_silent(&mut self, now_ms: u64) {
        let timeout_ms = self.bounds.settings().hello_timeout_ms;
        let late = self.sessions.iter().filter(|(id, session)| {
            let silent_ms = now_ms.saturating_sub(session.silent_from_ms);
            session.open.is_none() && silent_ms >= timeout_ms && !self.meetings.has(**id)
        });
        let late: Vec<_> = late.map(|(id, _)| *id).collect();
        for session in late {
            self.close(session, Rejection::Invalid);
        }
    }

    /// Makes everything since the last commit durable, then gives all that may be sent now. If the
    /// store fails, nothing of the batch counts: every session is closed as unavailable, and
    /// [`failure`](Relay::failure) says why from then on.
    pub fn commit(&mut self, now_ms: u64) -> Vec<Output> {
        self.held.say_all();
        if self.failure.is_none() {
            match self.state.commit() {
                Ok(true) => self.counts.commits += 1,
                Ok(false) => {}
                Err(error) => self.fail(error),
            }
        }
        if self.failure.is_none()
            && let Err(error) = self.deliver(now_ms)
        {
            self.fail_after_commit(error);
        }
        self.state.end_batch();
        self.held.take()
    }

    /// Bytes of memory of what the next commit gives: a host commits before they are too many.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.held.bytes()
    }

    /// Whether there is more to send than one commit gives: commit again before waiting.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Says goodbye to every session (`Unavailable`) and takes no new ones; the next commit flushes
    /// what is known of them.
    pub fn drain(&mut self, retry_ms: u64, now_ms: u64) {
        self.now_ms = now_ms;
        self.draining = Some(retry_ms);
        // Spread, or all would come back at once: the longer, the more they are.
        let all: Vec<_> = self.sessions.keys().copied().collect();
        for (n, session) in (0..).zip(all) {
            let retry_ms = retry_ms.saturating_add(n * SPREAD_MS);
            self.close(session, Rejection::Unavailable { retry_ms });
        }
        self.write_sums();
    }

    /// Writes down what accounts had stored since the last time.
    fn write_sums(&mut self) {
        if self.failure.is_some() {
            return;
        }
        for (account, bytes) in self.bounds.take_sums() {
            let counted = self.run(Action::CountStored { account, bytes }, self.now_ms);
            if let Err(Fault::Store(error)) = counted {
                return self.fail(error);
            }
        }
    }

    /// Changes quotas and rates while it goes on.
    pub fn set_settings(&mut self, settings: Settings) {
        self.bounds.set_settings(settings);
    }

    /// Changes who may make an account.
    pub fn set_registration(&mut self, registration: Registration) {
        self.registration = registration;
    }

    /// Notes whether the disk is full to its reserve: nothing new is taken then, and reading,
    /// acknowledging and deleting go on.
    pub fn set_full(&mut self, is_full: bool) {
        self.is_full = is_full;
    }

    /// Does what its operator asks.
    ///
    /// # Errors
    /// Why it is not done; a store that fails ends the relay.
    pub fn operate(&mut self, action: Action, now_ms: u64) -> Result<(), Rejection> {
        self.now_ms = now_ms;
        let out = match &action {
            Action::Suspend { account, suspended: true } => Some((*account, Rejection::Denied)),
            Action::EndAccount { account } => Some((*account, Rejection::Revoked)),
            _ => None,
        };
        let effect = match self.run(action, now_ms) {
            Ok(effect) => effect,
            Err(Fault::Rejected(reason)) => return Err(reason),
            Err(Fault::Store(error)) => {
                self.fail(error);
                return Err(Rejection::Unavailable { retry_ms: BUSY_MS });
            }
        };
        if let Some((account, reason)) = out {
            for session in self.sessions_of(&account) {
                self.close(session, reason.clone());
            }
        }
        if let Effect::SpaceEnded { members } = effect {
            // What they are to be told of it, they are told when they come back.
            let here = |account: &AccountId| self.sessions_of(account);
            let here: Vec<_> = members.iter().flat_map(here).collect();
            for session in here {
                self.close(session, Rejection::Unavailable { retry_ms: BUSY_MS });
            }
        }
        Ok(())
    }

    /// Sweeps some of what ended.
    fn sweep(&mut self, now_ms: u64) {
        for _ in 0..SWEEPS {
            let swept = match rules::unswept(&self.state) {
                Ok(Some(swept)) => swept,
                Ok(None) => return,
                Err(error) => return self.contain(error),
            };
            match self.run(Action::Sweep { swept }, now_ms) {
                Ok(_) => {}
                Err(Fault::Rejected(_)) => return,
                Err(Fault::Store(error)) => return self.fail(error),
            }
        }
    }

    fn contain(&mut self, error: StoreError) {
        if let Err(error) = self.damage.note(error) {
            self.fail(error);
        }
    }

    /// Account, device and session of all who are here.
    pub fn who_is_here(&self) -> impl Iterator<Item = (SessionId, AccountDevice)> + '_ {
        self.sessions
            .iter()
            .filter_map(|(id, session)| Some((*id, session.open.as_ref()?.device())))
    }

    /// The state below.
    #[must_use]
    pub fn state(&self) -> &State<S> {
        &self.state
    }

    /// The state below, whose caches change as it is read.
    pub fn state_mut(&mut self) -> &mut State<S> {
        &mut self.state
    }

    /// Why the relay stopped serving, if it did. It never recovers: open a new one on the store.
    #[must_use]
    pub fn failure(&self) -> Option<&StoreError> {
        self.failure.as_ref()
    }

    /// Whether a session is authenticated.
    #[must_use]
    pub fn is_open(&self, session: SessionId) -> bool {
        self.open_session(session).is_some()
    }

    /// Who speaks in a session, if it is authenticated.
    #[must_use]
    pub fn speaker(&self, session: SessionId) -> Option<Speaker> {
        self.open_session(session).map(Open::speaker)
    }

    /// What the relay is bounded by.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        self.bounds.settings()
    }

    /// How far stamps are ahead of the times that the host passes in, from now on. Those are of a
    /// clock that never goes back, and limits and deadlines go by it; stamps are Unix milliseconds.
    pub fn stamp_ahead(&mut self, ahead_ms: u64) {
        self.ahead_ms = ahead_ms;
    }

    fn stamp(&self, now_ms: u64) -> u64 {
        now_ms.saturating_add(self.ahead_ms)
    }

    /// What happened so far, in numbers.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let all = self.sessions.len() as u64;
        let unauthenticated = self.bounds.waiting();
        let sessions = all.saturating_sub(unauthenticated);
        let damaged = self.damage.count();
        Counts { sessions, unauthenticated, damaged, ..self.counts }
    }

    /// What was refused so far, by reason.
    #[must_use]
    pub fn refusals(&self) -> Refusals {
        self.bounds.refusals()
    }

    /// The store below.
    #[must_use]
    pub fn store(&self) -> &S {
        self.state.store()
    }

    /// The store below, to make a disk full, say.
    pub fn store_mut(&mut self) -> &mut S {
        self.state.store_mut()
    }

    /// Gives the store back; uncommitted writes are still in it.
    #[must_use]
    pub fn into_store(self) -> S {
        self.state.into_store()
    }

    /// Where a session comes from, if that is counted.
    fn peer(&self, session: SessionId) -> Option<Peer> {
        self.sessions.get(&session).and_then(|known| known.peer)
    }

    fn unavailable(&self) -> Option<u64> {
        self.draining.or_else(|| self.failure.as_ref().map(|_| BUSY_MS))
    }

    fn open_session(&self, session: SessionId) -> Option<&Open> {
        self.sessions.get(&session)?.open.as_deref()
    }

    fn open_session_mut(&mut self, session: SessionId) -> Option<&mut Open> {
        self.sessions.get_mut(&session)?.open.as_deref_mut()
    }

    fn sessions_of(&self, account: &AccountId) -> Vec<SessionId> {
        self.accounts.get(account).into_iter().flatten().copied().collect()
    }

    fn sessions_of_device(&self, device: &AccountDevice) -> Vec<SessionId> {
        self.devices.get(device).into_iter().flatten().copied().collect()
    }

    /// Ends a session from this side.
    fn close(&mut self, session: SessionId, reason: Rejection) {
        if self.sessions.contains_key(&session) {
            self.held.close(session, reason);
            self.forget(session);
        }
    }

    fn close_all(&mut self, reason: &Rejection) {
        let all: Vec<_> = self.sessions.keys().copied().collect();
        for session in all {
            self.close(session, reason.clone());
        }
    }

    fn forget(&mut self, session: SessionId) {
        self.flush_one(session);
        let told = self.meetings.leave(session);
        self.tell(told);
        self.acked.remove(&session);
        self.owed.remove(&session);
        self.ready.remove(&session);
        self.resting.remove(&session);
        self.held.forget(session);
        let Some(known) = self.sessions.remove(&session) else { return };
        self.bounds.leave(session);
        let Some(open) = known.open else { return };
        remove_from(&mut self.accounts, &open.account, session);
        remove_from(&mut self.devices, &open.device(), session);
    }

    /// The store failed: nothing since the last commit happened.
    fn fail(&mut self, error: StoreError) {
        self.held.clear();
        self.fail_after_commit(error);
    }

    fn fail_after_commit(&mut self, error: StoreError) {
        self.failure.get_or_insert(error);
        self.appended.clear();
        self.close_all(&Rejection::Unavailable { retry_ms: BUSY_MS });
    }

    /// Applies an action as a command, and what follows from it in other partitions.
    fn run(&mut self, action: Action, now_ms: u64) -> Result<Effect, Fault> {
        let before = self.log_len_before(&action)?;
        let account = match &action {
            Action::AppendLog { account, .. } => Some(*account),
            _ => None,
        };
        self.counts.commands += 1;
        let command = Command::new(self.stamp(now_ms), action);
        let done = rules::apply_whole(&mut self.state, |state| rules::apply(state, command));
        let effect = self.damage.contained(done)?;
        if let (Some(account), Effect::LogGrew { len, ended }) = (account, &effect)
            && *len > before
        {
            self.log_grew(&account, *len, ended, before == 0)?;
        }
        self.run_facts()?;
        Ok(effect)
    }

    fn log_len_before(&mut self, action: &Action) -> Result<u64, StoreError> {
        let Action::AppendLog { account, .. } = action else { return Ok(0) };
        Ok(self.state.log(account)?.map_or(0, |log| log.len()))
    }

    fn run_facts(&mut self) -> Result<(), StoreError> {
        loop {
            let (mut was_any, mut receiver) = (false, None);
            let done = rules::apply_whole(&mut self.state, |state| {
                let Some(command) = rules::next_fact(state)? else { return Ok(Effect::Done) };
                was_any = true;
                if let Action::PutInbox { device, .. } = &command.action {
                    receiver = Some(*device);
                }
                rules::apply(state, command)
            });
            match done {
                Ok(_) if !was_any => return Ok(()),
                Ok(_) | Err(Fault::Rejected(_)) => {}
                Err(Fault::Store(error)) => {
                    self.damage.note(error)?;
                    rules::pass_fact(&mut self.state);
                    continue;
                }
            }
            if let Some(device) = receiver {
                self.wake_inbox(&device);
            }
        }
    }

    fn wake_inbox(&mut self, device: &AccountDevice) {
        for session in self.sessions_of_device(device) {
            if let Some(open) = self.open_session_mut(session) {
                open.inbox_waiting = true;
                self.ready.insert(session);
            }
        }
    }

    /// Tells everybody who shares a space with an account, and closes the sessions of ended
    /// devices.
    fn log_grew(
        &mut self,
        account: &AccountId,
        len: u64,
        ended: &[DeviceId],
        is_new: bool,
    ) -> Result<(), StoreError> {
        for device in ended {
            let device = AccountDevice { account: *account, device: *device };
            for session in self.sessions_of_device(&device) {
                self.close(session, Rejection::Revoked);
            }
        }
        if is_new {
            return Ok(());
        }
        let mut concerned = BTreeSet::from([*account]);
        let memberships = self.state.memberships(account)?;
        let cost = memberships.len() as u64 * work::NOTICE_SPACE;
        self.bounds.spend(*account, (Limited::Work, cost), self.now_ms);
        for (space, membership) in memberships {
            if membership.until.is_none()
                && let Some(Some(space)) = self.damage.skips(self.state.space(&space))?
            {
                concerned.extend(space.members());
            }
        }
        let notice = RelayFrame::Notice(Notice::LogChanged { account: *account, len });
        let notice = Frame::of(&notice);
        for account in concerned {
            for session in self.sessions_of(&account) {
                self.held.share(session, notice.clone());
            }
        }
        Ok(())
    }

    fn credit(&mut self, session: SessionId, bytes: u64) {
        if let Some(open) = self.open_session_mut(session) {
            open.add_credit(bytes);
            self.ready.insert(session);
        }
    }
}

fn remove_from<K: Ord>(map: &mut BTreeMap<K, BTreeSet<SessionId>>, key: &K, session: SessionId) {
    if let Some(sessions) = map.get_mut(key) {
        sessions.remove(&session);
        if sessions.is_empty() {
            map.remove(key);
        }
    }
}
