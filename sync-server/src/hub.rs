//! The hub: one thread owns the relay and its store.
//!
//! It takes input that waits, by turns, applies it, commits once, and hands out what follows: many
//! appends, one fsync. A batch ends by its number, its time, its bytes or the memory of what it leads to,
//! whichever comes first. Input that waits is bounded in messages and bytes, over all and for each session, so busy
//! senders wait at their sockets. It never waits for a socket: a session whose queue is full is ended.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use sync_protocol::error::Rejection;
use sync_protocol::frames::ClientFrame;
use sync_protocol::limits;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use crate::clock::{Clock, Wall};
use crate::deadlines::GOODBYE;
use crate::heartbeat::Heartbeat;
use crate::log::AnyLog;
use crate::peers::Peer;
use crate::refusals::{RefusalLog, Refused, SharedRefusals};
use crate::relay::{Frame, Incoming, Output, Relay, SessionId, Speaker, TICK_MS};
use crate::rooms::Rooms;
use crate::rules::TokenHash;
use crate::store::{RedbStore, StoreError};
use crate::telemetry;
use crate::turns::{Turns, Who};
use crate::verifying::Verifying;
use crate::waiting::{All, Waiting};

pub use crate::clock::wall_ms as now_ms;

/// Inputs on their way to the hub.
const QUEUE: usize = 4_096;
/// Inputs that may wait for their turn there.
const TURNS: usize = 32_768;
/// Inputs applied in one transaction.
const BATCH: usize = 1_024;
/// How long inputs are applied for in one transaction.
const BATCH_TIME: Duration = Duration::from_millis(10);
/// Bytes of memory that what follows from them may take, but for the last one's.
const BATCH_OUTPUT: usize = 8 * 1024 * 1024;
/// Bytes that devices sent of what is applied in one transaction, but for the last one's: one sync has
/// to write them all, and everybody in it waits.
const BATCH_INPUT: usize = 512 * 1024;
/// KiB of frames that may wait or be under way.
const QUEUE_KIB: usize = 128 * 1024;
/// The same of one client address, or one site: others find room beside it.
const ADDRESS_KIB: usize = QUEUE_KIB / 4;
/// The same of one session: one message of the largest size, with room for others behind small ones.
const SESSION_KIB: usize = limits::MESSAGE / 1024 + 64;
/// As what each counts, however small: all that may wait then finds a place in line.
const LEAST_KIB: usize = 16;
/// What devices are told to wait when the relay drains, in ms.
const DRAIN_RETRY_MS: u64 = 1_000;

/// What a socket's task has to do.
#[derive(Debug)]
pub enum Outgoing {
    /// Send one message.
    Frame(Frame),
    /// Close the socket.
    Close,
}

/// What hub and socket share of a session.
#[derive(Debug)]
pub struct Shared {
    pub(crate) waiting: Waiting,
    speaker: OnceLock<Speaker>,
    /// Room for what it sends, in KiB; and for what all of its client address send.
    room: Arc<Semaphore>,
    around: Option<Arc<Semaphore>>,
    /// Whether what it pushed last was refused before it was looked at.
    rests: AtomicBool,
    over: CancellationToken,
    grace: OnceLock<Duration>,
}

impl Shared {
    fn new(all: All, around: Option<Arc<Semaphore>>) -> Self {
        Self {
            waiting: Waiting::new(all),
            speaker: OnceLock::new(),
            room: Arc::new(Semaphore::new(SESSION_KIB)),
            around,
            rests: AtomicBool::new(false),
            over: CancellationToken::new(),
            grace: OnceLock::new(),
        }
    }

    /// The session is over: its socket has so long for what waits.
    fn end(&self, grace: Duration) {
        let _ = self.grace.set(grace);
        self.over.cancel();
    }

    /// Waits until the session is over and its socket has had its time.
    pub(crate) async fn ended(&self) {
        self.over.cancelled().await;
        tokio::time::sleep(self.grace.get().copied().unwrap_or_default()).await;
    }

    /// Whether what it pushes is likely to be refused: then nothing is spent on it before that.
    pub(crate) fn rests(&self) -> bool {
        self.rests.load(Ordering::Relaxed)
    }

    /// Whether the session is over: what still comes is not looked at.
    pub(crate) fn is_over(&self) -> bool {
        self.over.is_cancelled()
    }

    /// How large a message may be now.
    #[must_use]
    pub fn message_limit(&self) -> usize {
        match self.speaker() {
            Some(_) => limits::MESSAGE,
            None => limits::MESSAGE_UNAUTHENTICATED,
        }
    }

    /// Who speaks, once the session is open.
    #[must_use]
    pub fn speaker(&self) -> Option<&Speaker> {
        self.speaker.get()
    }

    /// Notes that a message of this size left the queue.
    pub fn sent(&self, bytes: usize) {
        self.waiting.sent(1, bytes);
    }
}

#[derive(Debug)]
enum Input {
    Connect {
        session: SessionId,
        peer: Option<Peer>,
        nonce: [u8; 32],
        out: mpsc::UnboundedSender<Outgoing>,
        shared: Arc<Shared>,
    },
    Frame {
        session: SessionId,
        frame: Box<Incoming>,
        bytes: usize,
        room: OwnedSemaphorePermit,
        own_room: [Option<OwnedSemaphorePermit>; 2],
    },
    Malformed {
        session: SessionId,
        reason: Rejection,
    },
    Disconnect {
        session: SessionId,
    },
    Present {
        session: SessionId,
        token: TokenHash,
    },
    With(Look),
    Drain,
}

/// The relay that the hub owns: with a log of its own, or one whose store keeps all by itself.
pub type Kept = Relay<RedbStore, AnyLog>;

type Looks = dyn FnOnce(&mut Kept, u64) + Send;

/// What somebody does with the relay between two batches.
struct Look(Box<Looks>);

impl std::fmt::Debug for Look {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Look")
    }
}

/// The way to the hub. Clones are cheap.
#[derive(Clone, Debug)]
pub struct Hub {
    input: mpsc::Sender<Input>,
    room: Arc<Semaphore>,
    state: watch::Receiver<Health>,
    all: All,
    refusals: Arc<SharedRefusals>,
    heartbeat: Arc<Heartbeat>,
    rooms: Rooms,
    verifying: Arc<Verifying>,
}

/// Whether the hub serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// It does.
    Serving,
    /// It was told to stop, and stopped cleanly or will.
    Draining,
    /// Its store failed.
    Failed(String),
}

/// The hub ended: nothing can be handed to it any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gone;

/// A socket's place at the hub.
#[derive(Debug)]
pub struct Place {
    /// Its id.
    pub session: SessionId,
    /// What to do for it.
    pub out: mpsc::UnboundedReceiver<Outgoing>,
    /// What it shares with the hub.
    pub shared: Arc<Shared>,
}

impl Hub {
    /// Starts the hub's thread over an open relay.
    ///
    /// # Errors
    /// If the system has no thread left.
    pub fn start(relay: Kept) -> std::io::Result<(Self, JoinHandle<Result<(), StoreError>>)> {
        Self::start_by(relay, Clock::start())
    }

    fn start_by(
        relay: Kept,
        clock: Clock,
    ) -> std::io::Result<(Self, JoinHandle<Result<(), StoreError>>)> {
        let (input, queue) = mpsc::channel(QUEUE);
        let (health, state) = watch::channel(Health::Serving);
        let (all, refusals) = (All::default(), Arc::new(SharedRefusals::default()));
        let heartbeat = Arc::new(Heartbeat::default());
        let core = Core {
            relay,
            sockets: BTreeMap::new(),
            turns: Turns::default(),
            health,
            clock,
            ticked_ms: 0,
            all: all.clone(),
            refusals: Arc::clone(&refusals),
            log: RefusalLog::default(),
            heartbeat: Arc::clone(&heartbeat),
        };
        let thread = std::thread::Builder::new().name("hub".to_owned());
        let thread = thread.spawn(move || core.run(queue))?;
        let room = Arc::new(Semaphore::new(QUEUE_KIB));
        let (rooms, verifying) = (Rooms::new(ADDRESS_KIB), Arc::new(Verifying::here()));
        Ok((Self { input, room, state, all, refusals, heartbeat, rooms, verifying }, thread))
    }

    /// Whether the hub serves, as it changes.
    #[must_use]
    pub fn health(&self) -> watch::Receiver<Health> {
        self.state.clone()
    }

    /// Counts something that was refused before it came to the hub.
    pub(crate) fn refused(&self, refused: Refused) {
        self.refusals.note(refused);
    }

    /// What is refused before it comes to the hub is counted here.
    pub(crate) fn refusals(&self) -> Arc<SharedRefusals> {
        Arc::clone(&self.refusals)
    }

    /// Registers a socket of somebody who is not limited by address.
    ///
    /// # Errors
    /// `Gone`.
    pub async fn connect(&self, session: SessionId, nonce: [u8; 32]) -> Result<Place, Gone> {
        self.connect_from(session, None, nonce).await
    }

    /// Registers a socket of a client address.
    ///
    /// # Errors
    /// `Gone`.
    pub async fn connect_from(
        &self,
        session: SessionId,
        peer: Option<Peer>,
        nonce: [u8; 32],
    ) -> Result<Place, Gone> {
        let (sender, out) = mpsc::unbounded_channel();
        let around = peer.map(|peer| self.rooms.of(peer));
        let shared = Arc::new(Shared::new(self.all.clone(), around));
        let at_hub = Arc::clone(&shared);
        self.put(Input::Connect { session, peer, nonce, out: sender, shared: at_hub }).await?;
        Ok(Place { session, out, shared })
    }

    /// Hands a frame on; waits while the hub is busy, or enough of this session waits there. `bytes` is
    /// its size on the wire.
    ///
    /// # Errors
    /// `Gone`.
    pub async fn frame(
        &self,
        place: (SessionId, &Shared),
        frame: Box<Incoming>,
        bytes: usize,
    ) -> Result<(), Gone> {
        let (session, shared) = place;
        let kib = bytes.div_ceil(1024).clamp(LEAST_KIB, SESSION_KIB);
        let kib = u32::try_from(kib).map_err(|_| Gone)?;
        let room_in = async |room: &Arc<Semaphore>| {
            Arc::clone(room).acquire_many_owned(kib).await.map_err(|_| Gone)
        };
        let own = room_in(&shared.room).await?;
        let around = match &shared.around {
            Some(around) => Some(room_in(around).await?),
            None => None,
        };
        let room = room_in(&self.room).await?;
        let own_room = [Some(own), around];
        self.put(Input::Frame { session, frame, bytes, room, own_room }).await
    }

    /// A frame with the signatures of what it pushes verified, unless it is likely to be refused.
    ///
    /// # Errors
    /// `Gone`.
    pub(crate) async fn verified(
        &self,
        frame: Incoming,
        shared: &Shared,
    ) -> Result<Incoming, Gone> {
        match shared.speaker() {
            Some(speaker) if !shared.rests() => {
                self.verifying.verify(frame, *speaker).await.ok_or(Gone)
            }
            Some(_) | None => Ok(frame),
        }
    }

    /// Ends a session that sent something that is not a frame.
    ///
    /// # Errors
    /// `Gone`.
    pub async fn malformed(&self, session: SessionId, reason: Rejection) -> Result<(), Gone> {
        self.put(Input::Malformed { session, reason }).await
    }

    /// A socket closed.
    pub async fn disconnect(&self, session: SessionId) {
        let _ = self.put(Input::Disconnect { session }).await;
    }

    /// A session brought along what lets it make an account.
    ///
    /// # Errors
    /// `Gone`.
    pub async fn present(&self, session: SessionId, token: TokenHash) -> Result<(), Gone> {
        self.put(Input::Present { session, token }).await
    }

    /// Looks at the relay, or changes it, between two batches; the time is the one that its rules
    /// know. What it changed is durable before the next look begins.
    ///
    /// # Errors
    /// `Gone`.
    pub async fn with<T: Send + 'static>(
        &self,
        look: impl FnOnce(&mut Kept, u64) -> T + Send + 'static,
    ) -> Result<T, Gone> {
        let (tell, told) = oneshot::channel();
        let look = move |relay: &mut Kept, now_ms| {
            // Whoever asked may be gone.
            let _ = tell.send(look(relay, now_ms));
        };
        self.put(Input::With(Look(Box::new(look)))).await?;
        told.await.map_err(|_| Gone)
    }

    /// The hub's sign of life.
    #[must_use]
    pub fn heartbeat(&self) -> Arc<Heartbeat> {
        Arc::clone(&self.heartbeat)
    }

    /// Whether it serves now.
    #[must_use]
    pub fn is_serving(&self) -> bool {
        *self.state.borrow() == Health::Serving
    }

    /// Says goodbye to all and ends the hub once that is handed out and all is durable.
    pub async fn drain(&self) {
        let _ = self.put(Input::Drain).await;
    }

    async fn put(&self, input: Input) -> Result<(), Gone> {
        self.input.send(input).await.map_err(|_| Gone)
    }
}

struct Socket {
    out: mpsc::UnboundedSender<Outgoing>,
    shared: Arc<Shared>,
    peer: Option<Peer>,
}

struct Core {
    relay: Kept,
    sockets: BTreeMap<SessionId, Socket>,
    turns: Turns<Input>,
    health: watch::Sender<Health>,
    clock: Clock,
    ticked_ms: u64,
    all: All,
    refusals: Arc<SharedRefusals>,
    log: RefusalLog,
    heartbeat: Arc<Heartbeat>,
}

impl Core {
    fn run(mut self, mut queue: mpsc::Receiver<Input>) -> Result<(), StoreError> {
        let clock = tokio::runtime::Builder::new_current_thread().enable_time().build();
        let clock = clock.map_err(|error| StoreError::Io(error.to_string()))?;
        self.relay.stamp_ahead(self.clock.stamps.ahead_ms());
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            self.heartbeat.beat();
            let mut drains = false;
            if self.turns.len() < TURNS {
                let is_idle = self.turns.len() == 0 && !self.relay.is_busy();
                let wait = if is_idle { Duration::from_millis(TICK_MS) } else { Duration::ZERO };
                let received = clock.block_on(async {
                    tokio::time::timeout(wait, queue.recv_many(&mut batch, BATCH)).await
                });
                drains = received == Ok(0);
            }
            for input in batch.drain(..) {
                drains |= self.line_up(input);
            }
            let room = self.take_in();
            if drains {
                self.relay.drain(DRAIN_RETRY_MS, self.clock.steady_ms());
            }
            self.tick();
            self.commit();
            drop(room);
            if let Some(error) = self.relay.failure() {
                self.health.send_replace(Health::Failed(error.to_string()));
                return Err(error.clone());
            }
            if drains {
                self.health.send_replace(Health::Draining);
                return Ok(());
            }
        }
    }

    /// Lets an input wait for its turn. Whether the relay is to drain.
    fn line_up(&mut self, input: Input) -> bool {
        let session = match &input {
            Input::Connect { session, out, shared, peer, .. } => {
                let (out, shared, peer) = (out.clone(), Arc::clone(shared), *peer);
                self.sockets.insert(*session, Socket { out, shared, peer });
                *session
            }
            Input::Frame { session, .. }
            | Input::Malformed { session, .. }
            | Input::Present { session, .. }
            | Input::Disconnect { session } => *session,
            Input::With(_) => {
                if let Input::With(Look(look)) = input {
                    look(&mut self.relay, self.clock.steady_ms());
                }
                return false;
            }
            Input::Drain => return true,
        };
        let socket = self.sockets.get(&session);
        let account = socket.and_then(|socket| socket.shared.speaker()).map(|one| one.account);
        let peer = socket.and_then(|socket| socket.peer);
        self.turns.add(session, Who::is(session, account, peer), input);
        false
    }

    /// Applies a batch. Returns the room that it takes in the queue, to be freed after the commit.
    fn take_in(&mut self) -> Option<OwnedSemaphorePermit> {
        let (started, now_ms) = (Instant::now(), self.clock.steady_ms());
        let mut taken: Option<OwnedSemaphorePermit> = None;
        let (mut count, mut taken_bytes) = (0, 0);
        while count < BATCH && taken_bytes < BATCH_INPUT && self.relay.held_bytes() < BATCH_OUTPUT {
            let Some((session, input)) = self.turns.next() else { break };
            count += 1;
            match input {
                Input::Connect { nonce, peer, .. } => {
                    self.relay.connect_from(session, peer, nonce, now_ms);
                }
                Input::Frame { frame, bytes, room, own_room, .. } => {
                    taken_bytes += bytes;
                    self.frame(session, *frame, now_ms);
                    drop(own_room);
                    match &mut taken {
                        Some(taken) => taken.merge(room),
                        None => taken = Some(room),
                    }
                }
                Input::Malformed { reason, .. } => self.relay.malformed(session, reason),
                Input::Disconnect { .. } => {
                    self.sockets.remove(&session);
                    self.relay.disconnect(session, now_ms);
                }
                Input::Present { token, .. } => self.relay.present(session, token),
                Input::With(_) | Input::Drain => {}
            }
            if started.elapsed() >= BATCH_TIME {
                break;
            }
        }
        telemetry::batch(count);
        taken
    }

    fn frame(&mut self, session: SessionId, frame: Incoming, now_ms: u64) {
        let opens = matches!(frame, Incoming::Frame(ClientFrame::Hello(_)));
        let pushes = matches!(frame, Incoming::Push(_));
        self.relay.receive(session, frame, now_ms);
        if pushes && let Some(socket) = self.sockets.get(&session) {
            socket.shared.rests.store(self.relay.rests(session), Ordering::Relaxed);
        }
        if opens && let Some(socket) = self.sockets.get(&session) {
            let speaker = self.relay.speaker(session);
            // A session is opened once.
            speaker.map(|speaker| socket.shared.speaker.set(speaker));
        }
    }

    fn tick(&mut self) {
        let now_ms = self.clock.steady_ms();
        if now_ms.saturating_sub(self.ticked_ms) < TICK_MS {
            return;
        }
        self.ticked_ms = now_ms;
        self.look_at_the_wall();
        self.relay.tick(now_ms);
        for (session, bytes) in self.relay.behind() {
            if let Some(socket) = self.sockets.get(&session) {
                socket.shared.waiting.is_behind(bytes);
            }
        }
        telemetry::counts(&self.relay.counts());
        let refusals = self.relay.refusals().and(&self.refusals.so_far());
        telemetry::refusals(&refusals);
        telemetry::waiting(self.all.bytes(), self.turns.len());
        if let Some(line) = self.log.line(refusals, now_ms) {
            tracing::warn!("refused since the last such line: {line}");
        }
    }

    /// Whether the machine's clock still goes with the stamps.
    fn look_at_the_wall(&mut self) {
        match self.clock.look() {
            Wall::GoesOn => {}
            Wall::Jumped(by_ms) => {
                telemetry::clock_jumped();
                tracing::warn!(by_ms, "the clock jumped; stamps do not follow it");
            }
            Wall::Settled(by_ms) => {
                tracing::warn!(by_ms, "the clock has stayed where it jumped to; stamps follow it");
                self.relay.stamp_ahead(self.clock.stamps.ahead_ms());
            }
        }
        telemetry::clock_off(self.clock.stamps.off_ms());
    }

    fn commit(&mut self) {
        let commits = self.relay.counts().commits;
        let started = Instant::now();
        let outputs = self.relay.commit(self.clock.steady_ms());
        if self.relay.counts().commits > commits {
            telemetry::committed(started.elapsed());
        }
        for output in outputs {
            match output {
                Output::Send { session, frame } => self.send(session, frame),
                Output::Close { session, reason } => {
                    telemetry::closed(reason.kind());
                    if let Some(socket) = self.sockets.remove(&session) {
                        let _ = socket.out.send(Outgoing::Close);
                        socket.shared.end(GOODBYE);
                    }
                }
            }
        }
        self.relieve();
        self.relay.write_down(self.clock.steady_ms());
    }

    /// Queues a message for a socket; a socket that lets too much wait is given up.
    fn send(&mut self, session: SessionId, frame: Frame) {
        let Some(socket) = self.sockets.get(&session) else { return };
        if socket.shared.waiting.add(frame.len()) {
            let _ = socket.out.send(Outgoing::Frame(frame));
        } else {
            self.give_up(session, Refused::Slow);
        }
    }

    /// Ends the sessions that take the most memory, where all together take too much.
    fn relieve(&mut self) {
        let most = self.relay.settings().queued_mib.saturating_mul(1024 * 1024);
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        if most == 0 || self.all.bytes() <= most {
            return;
        }
        let cost = |(id, socket): (&SessionId, &Socket)| (socket.shared.waiting.bytes(), *id);
        let mut costs: Vec<_> = self.sockets.iter().map(cost).collect();
        costs.sort_unstable_by_key(|(bytes, session)| (std::cmp::Reverse(*bytes), *session));
        let mut left: usize = costs.iter().map(|(bytes, _)| bytes).sum();
        if left <= most {
            return;
        }
        for (bytes, session) in costs {
            if left <= most - most / 8 {
                return;
            }
            left = left.saturating_sub(bytes);
            self.give_up(session, Refused::Memory);
        }
    }

    /// Ends a session that reads too little to be told why.
    fn give_up(&mut self, session: SessionId, refused: Refused) {
        self.refusals.note(refused);
        telemetry::closed(refused.name());
        if let Some(socket) = self.sockets.remove(&session) {
            socket.shared.end(Duration::ZERO);
        }
        self.relay.disconnect(session, self.clock.steady_ms());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU64;

    use super::*;
    use crate::relay::{Identity, Settings};
    use sync_protocol::frames::{Challenge, RelayFrame};
    use sync_protocol::ids::RelayId;

    const NOW_MS: u64 = 1_700_000_000_000;
    const YEARS_MS: u64 = 2 * 365 * 24 * 3_600_000;

    /// What the machine's clock shows.
    static WALL_MS: AtomicU64 = AtomicU64::new(NOW_MS);

    async fn frame(place: &mut Place) -> RelayFrame {
        match place.out.recv().await {
            Some(Outgoing::Frame(frame)) => RelayFrame::parse(&frame.whole()).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    async fn challenge(hub: &Hub, n: u64) -> (Place, Challenge) {
        let mut place = hub.connect(SessionId(n), [n as u8; 32]).await.unwrap();
        match frame(&mut place).await {
            RelayFrame::Challenge(challenge) => (place, challenge),
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn a_clock_that_jumps_stops_no_deadline_and_dates_nothing_ahead() {
        let data = tempfile::tempdir().unwrap();
        let store = RedbStore::open(data.path()).unwrap();
        let identity = Identity { relay: RelayId::from_bytes([1; 32]), generation: 7 };
        let settings = Settings { hello_timeout_ms: 100, ..Settings::default() };
        let log: AnyLog = Box::<crate::log::Unkept>::default();
        let mut relay = Relay::alone(store, log, settings).unwrap();
        relay.found(identity).unwrap();
        let clock = Clock::beside(|| WALL_MS.load(Ordering::Relaxed));
        let (hub, thread) = Hub::start_by(relay, clock).unwrap();
        let jumps = [YEARS_MS as i64, -(YEARS_MS as i64) - 3_600_000, 3_600_000];
        for (n, jump) in (1..).zip(jumps) {
            let wall_ms = WALL_MS.load(Ordering::Relaxed).saturating_add_signed(jump);
            WALL_MS.store(wall_ms, Ordering::Relaxed);
            let (mut silent, challenge) = challenge(&hub, n).await;
            // However slow this machine is, that is no year and no hour.
            let age_ms = challenge.time_ms.checked_sub(NOW_MS).unwrap();
            assert!(age_ms < 3_000_000, "{age_ms}");
            let over = frame(&mut silent).await;
            assert!(matches!(over, RelayFrame::Goodbye { reason: Rejection::Invalid }));
        }
        hub.drain().await;
        thread.join().unwrap().unwrap();
    }
}
