//! The hub: one thread owns the relay and its store.
//!
//! It takes all input that waits, applies it, commits once, and hands out what follows: many
//! appends, one fsync. Its input queue is bounded in messages and bytes, so busy senders wait at
//! their sockets. It never waits for a socket: a session whose queue is full is ended.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use sync_protocol::error::Rejection;
use sync_protocol::frames::ClientFrame;
use sync_protocol::limits;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};

use crate::relay::{Frame, Incoming, Output, Relay, SessionId, Speaker, TICK_MS};
use crate::store::{RedbStore, StoreError};
use crate::telemetry;

/// Inputs that may wait.
const QUEUE: usize = 4_096;
/// Inputs applied in one transaction.
const BATCH: usize = 1_024;
/// KiB of frames that may wait or be under way.
const QUEUE_KIB: usize = 64 * 1024;
/// Bytes that may wait for one socket: a window of deliveries, and answers.
const SESSION_QUEUE: usize = 2 * limits::WINDOW + limits::MESSAGE;
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
#[derive(Debug, Default)]
pub struct Shared {
    queued: AtomicUsize,
    speaker: OnceLock<Speaker>,
}

impl Shared {
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
        self.queued.fetch_sub(bytes, Ordering::Relaxed);
    }
}

#[derive(Debug)]
enum Input {
    Connect {
        session: SessionId,
        nonce: [u8; 32],
        out: mpsc::UnboundedSender<Outgoing>,
        shared: Arc<Shared>,
    },
    Frame {
        session: SessionId,
        frame: Box<Incoming>,
        room: OwnedSemaphorePermit,
    },
    Malformed {
        session: SessionId,
        reason: Rejection,
    },
    Disconnect {
        session: SessionId,
    },
    Drain,
}

/// The way to the hub. Clones are cheap.
#[derive(Clone, Debug)]
pub struct Hub {
    input: mpsc::Sender<Input>,
    room: Arc<Semaphore>,
    state: watch::Receiver<Health>,
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
    pub fn start(
        relay: Relay<RedbStore>,
    ) -> std::io::Result<(Self, JoinHandle<Result<(), StoreError>>)> {
        let (input, queue) = mpsc::channel(QUEUE);
        let (health, state) = watch::channel(Health::Serving);
        let core = Core { relay, sockets: BTreeMap::new(), health, ticked_ms: 0 };
        let thread = std::thread::Builder::new().name("hub".to_owned());
        let thread = thread.spawn(move || core.run(queue))?;
        let room = Arc::new(Semaphore::new(QUEUE_KIB));
        Ok((Self { input, room, state }, thread))
    }

    /// Whether the hub serves, as it changes.
    #[must_use]
    pub fn health(&self) -> watch::Receiver<Health> {
        self.state.clone()
    }

    /// Registers a socket.
    ///
    /// # Errors
    /// `Gone`.
    pub async fn connect(&self, session: SessionId, nonce: [u8; 32]) -> Result<Place, Gone> {
        let (sender, out) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared::default());
        let at_hub = Arc::clone(&shared);
        self.put(Input::Connect { session, nonce, out: sender, shared: at_hub }).await?;
        Ok(Place { session, out, shared })
    }

    /// Hands a frame on; waits while the hub is busy. `bytes` is its size on the wire.
    ///
    /// # Errors
    /// `Gone`.
    pub async fn frame(
        &self,
        session: SessionId,
        frame: Box<Incoming>,
        bytes: usize,
    ) -> Result<(), Gone> {
        let kib = u32::try_from(bytes.div_ceil(1024).max(1)).map_err(|_| Gone)?;
        let room = Arc::clone(&self.room).acquire_many_owned(kib).await.map_err(|_| Gone)?;
        self.put(Input::Frame { session, frame, room }).await
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
}

struct Core {
    relay: Relay<RedbStore>,
    sockets: BTreeMap<SessionId, Socket>,
    health: watch::Sender<Health>,
    ticked_ms: u64,
}

impl Core {
    fn run(mut self, mut queue: mpsc::Receiver<Input>) -> Result<(), StoreError> {
        let clock = tokio::runtime::Builder::new_current_thread().enable_time().build();
        let clock = clock.map_err(|error| StoreError::Io(error.to_string()))?;
        let tick = Duration::from_millis(TICK_MS);
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            let wait = if self.relay.is_busy() { Duration::ZERO } else { tick };
            let received = clock.block_on(async {
                tokio::time::timeout(wait, queue.recv_many(&mut batch, BATCH)).await
            });
            let drains = received == Ok(0) || batch.iter().any(|i| matches!(i, Input::Drain));
            let room = self.take_in(&mut batch, drains);
            self.commit();
            drop(room);
            if let Some(error) = self.relay.failure() {
                self.health.send_replace(Health::Failed(error.to_string()));
                return Err(StoreError::Io(error.to_string()));
            }
            if drains {
                self.health.send_replace(Health::Draining);
                return Ok(());
            }
        }
    }

    /// Applies a batch. Returns the room that it takes in the queue, to be freed after the commit.
    fn take_in(&mut self, batch: &mut Vec<Input>, drains: bool) -> Option<OwnedSemaphorePermit> {
        let now_ms = now_ms();
        telemetry::batch(batch.len());
        let mut taken: Option<OwnedSemaphorePermit> = None;
        for input in batch.drain(..) {
            match input {
                Input::Connect { session, nonce, out, shared } => {
                    self.sockets.insert(session, Socket { out, shared });
                    self.relay.connect(session, nonce, now_ms);
                }
                Input::Frame { session, frame, room } => {
                    let opens = matches!(*frame, Incoming::Frame(ClientFrame::Hello(_)));
                    self.relay.receive(session, *frame, now_ms);
                    match &mut taken {
                        Some(taken) => taken.merge(room),
                        None => taken = Some(room),
                    }
                    if opens && let Some(socket) = self.sockets.get(&session) {
                        let speaker = self.relay.speaker(session);
                        // A session is opened once.
                        speaker.map(|speaker| socket.shared.speaker.set(speaker));
                    }
                }
                Input::Malformed { session, reason } => self.relay.malformed(session, reason),
                Input::Disconnect { session } => {
                    self.sockets.remove(&session);
                    self.relay.disconnect(session, now_ms);
                }
                Input::Drain => {}
            }
        }
        if drains {
            self.relay.drain(DRAIN_RETRY_MS, now_ms);
        }
        if now_ms.saturating_sub(self.ticked_ms) >= TICK_MS {
            self.ticked_ms = now_ms;
            self.relay.tick(now_ms);
            telemetry::counts(&self.relay.counts(), self.relay.store().file_bytes());
        }
        taken
    }

    fn commit(&mut self) {
        let commits = self.relay.counts().commits;
        let started = Instant::now();
        let outputs = self.relay.commit(now_ms());
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
                    }
                }
            }
        }
    }

    /// Queues a message for a socket; a socket that lets too much wait is given up.
    fn send(&mut self, session: SessionId, frame: Frame) {
        let Some(socket) = self.sockets.get(&session) else { return };
        let size = frame.len();
        let waiting = socket.shared.queued.fetch_add(size, Ordering::Relaxed) + size;
        if waiting <= SESSION_QUEUE {
            let _ = socket.out.send(Outgoing::Frame(frame));
            return;
        }
        telemetry::closed("slow");
        self.sockets.remove(&session);
        self.relay.disconnect(session, now_ms());
    }
}

/// The system's clock, Unix milliseconds.
#[must_use]
pub fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
