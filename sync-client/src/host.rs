//! The thread that owns the engine: it feeds inputs one at a time and carries out what comes back.
//!
//! The disk and the socket work beside it, so that the engine goes on while a batch is being made
//! durable, and the batches of that time share the next transaction.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use sync_core::engine::OpenError as EngineError;
use sync_core::records::{Records, index_prefixes};
use sync_core::{Command, CommandId, Engine, Failure, Input, Output, Response};
use tokio::sync::{broadcast, oneshot};
use tokio::task::JoinHandle;

use crate::client::Notice;
use crate::socket::{ConnectError, Happening, Socket, Target};
use crate::store::worker::{Done, Job, Worker};
use crate::store::{RecordStore as _, RedbStore, StoreError};

/// How long a close waits for the disk.
const CLOSE: Duration = Duration::from_secs(10);
/// The longest sleep: after a suspended machine wakes, deadlines are looked at this soon.
const NAP: Duration = Duration::from_secs(15);
/// Pauses before a failed store is opened again.
const REOPEN: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// Where a command's answer goes.
pub(crate) type Reply = oneshot::Sender<Result<Response, Failure>>;

/// What reaches the thread.
#[derive(Debug)]
pub(crate) enum Inbound {
    /// The app wants something.
    Command(CommandId, Command, Reply),
    /// The app no longer wants it.
    Cancel(CommandId),
    /// The socket with this number.
    Socket(u64, Happening),
    /// The store with this number.
    Store(u64, Done),
    /// Make everything durable and end; the last connection's end is given back.
    Close(oneshot::Sender<Option<JoinHandle<()>>>),
}

/// What the thread shares with the app's side.
#[derive(Debug)]
pub(crate) struct Shared {
    /// Who listens.
    pub(crate) notices: broadcast::Sender<Notice>,
    /// Why there is no connection, while there is none.
    pub(crate) problem: Mutex<Option<ConnectError>>,
}

/// An engine over an open store, and what opening it again takes.
#[derive(Debug)]
pub(crate) struct Host {
    directory: PathBuf,
    target: Target,
    runtime: tokio::runtime::Handle,
    shared: Arc<Shared>,
    inbound: Receiver<Inbound>,
    sender: Sender<Inbound>,
    engine: Engine,
    worker: Worker,
    /// Counts stores, so that a late word of an earlier one is not taken for the present one's.
    store: u64,
    asked: u64,
    written: u64,
    socket: Option<Socket>,
    /// Counts sockets, for the same reason.
    sockets: u64,
    wake: Option<Deadline>,
    replies: BTreeMap<CommandId, Reply>,
    closing: Option<(Instant, oneshot::Sender<Option<JoinHandle<()>>>)>,
}

/// Both clocks: one stands still while the machine sleeps, the other may be set.
#[derive(Clone, Copy, Debug)]
struct Deadline {
    instant: Instant,
    unix_ms: u64,
}

impl Host {
    /// Opens store and engine.
    ///
    /// # Errors
    /// The store's.
    pub(crate) fn open(
        directory: PathBuf,
        target: Target,
        runtime: tokio::runtime::Handle,
        shared: Arc<Shared>,
        (sender, inbound): (Sender<Inbound>, Receiver<Inbound>),
    ) -> Result<Self, StoreError> {
        let (engine, worker) = open(&directory, 0, &sender)?;
        Ok(Self {
            directory,
            target,
            runtime,
            shared,
            inbound,
            sender,
            engine,
            worker,
            store: 0,
            asked: 0,
            written: 0,
            socket: None,
            sockets: 0,
            wake: None,
            replies: BTreeMap::new(),
            closing: None,
        })
    }

    /// Serves until closed.
    pub(crate) fn run(mut self) {
        while let Err(error) = self.serve() {
            self.fail(error);
            if !self.reopen() {
                break;
            }
        }
        if let Some((_, closed)) = self.closing.take() {
            let _ = closed.send(self.socket.take().map(Socket::finish));
        }
    }

    /// Serves until closed (`Ok`) or until the store fails.
    fn serve(&mut self) -> Result<(), StoreError> {
        self.carry_out();
        loop {
            if let Some((since, _)) = &self.closing
                && (self.written >= self.asked || since.elapsed() > CLOSE)
            {
                return Ok(());
            }
            match self.inbound.recv_timeout(self.patience()) {
                Ok(inbound) => self.take(inbound)?,
                Err(RecvTimeoutError::Timeout) => self.wake_if_due(),
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
            self.carry_out();
        }
    }

    fn take(&mut self, inbound: Inbound) -> Result<(), StoreError> {
        match inbound {
            Inbound::Command(id, command, reply) => {
                self.replies.insert(id, reply);
                self.feed(Input::Command(id, command));
            }
            Inbound::Cancel(id) => {
                self.replies.remove(&id);
                self.feed(Input::Cancel(id));
            }
            Inbound::Socket(number, happening) if number == self.sockets => {
                self.take_from_socket(happening);
            }
            Inbound::Store(number, done) if number == self.store => match done {
                Done::Written(batch) => {
                    self.written = batch;
                    self.feed(Input::Persisted(batch));
                }
                Done::Loaded(load, records) => self.feed(Input::Loaded(load, records)),
                Done::Failed(error) => return Err(error),
            },
            Inbound::Socket(..) | Inbound::Store(..) => {}
            Inbound::Close(closed) => self.closing = Some((Instant::now(), closed)),
        }
        // A busy queue must not put off what has a time.
        self.wake_if_due();
        Ok(())
    }

    fn take_from_socket(&mut self, happening: Happening) {
        if self.socket.is_none() {
            return;
        }
        match happening {
            Happening::Opened => {
                self.note_problem(None);
                self.feed(Input::Connected);
            }
            Happening::Message(message, _room) => self.feed(Input::Received(message)),
            Happening::Closed(problem) => {
                self.socket = None;
                self.note_problem(problem);
                self.feed(Input::Disconnected);
            }
        }
    }

    fn feed(&mut self, input: Input) {
        self.engine.handle(now_ms(), input);
    }

    fn carry_out(&mut self) {
        while let Some(output) = self.engine.poll_output() {
            match output {
                Output::Persist(batch) => {
                    self.asked = batch.number;
                    self.worker.ask(Job::Write(batch));
                }
                Output::Load(load) => self.worker.ask(Job::Load(load)),
                Output::Connect => self.connect(),
                Output::Disconnect => self.socket = None,
                Output::Send(message) => {
                    if let Some(socket) = &self.socket {
                        socket.send(message);
                    }
                }
                Output::Wake(at) => self.wake = Some(Deadline::at(at)),
                Output::Respond(id, result) => {
                    if let Some(reply) = self.replies.remove(&id) {
                        let _ = reply.send(result);
                    }
                }
                Output::Notify(event) => self.tell(Notice::Event(event)),
            }
        }
    }

    fn connect(&mut self) {
        self.sockets += 1;
        let (number, sender) = (self.sockets, self.sender.clone());
        let happen = move |happening| {
            let _ = sender.send(Inbound::Socket(number, happening));
        };
        self.socket = Some(Socket::open(&self.runtime, self.target.clone(), happen));
    }

    fn patience(&self) -> Duration {
        let wake = self.wake.map_or(NAP, |wake| wake.remaining());
        if self.closing.is_some() { wake.min(Duration::from_millis(100)) } else { wake.min(NAP) }
    }

    fn wake_if_due(&mut self) {
        if self.wake.is_some_and(|wake| wake.remaining().is_zero()) {
            self.wake = None;
            self.feed(Input::Woken);
        }
    }

    fn note_problem(&self, problem: Option<ConnectError>) {
        let mut known = self.shared.problem.lock().unwrap_or_else(|poison| poison.into_inner());
        if *known != problem {
            if let Some(problem) = &problem {
                tracing::warn!(%problem, "no connection");
                self.tell(Notice::Unreachable(problem.clone()));
            }
            known.clone_from(&problem);
        }
    }

    fn tell(&self, notice: Notice) {
        // Nobody has to listen.
        let _ = self.shared.notices.send(notice);
    }

    /// Answers everything that waits: what the engine knows about, and what it doesn't.
    fn fail(&mut self, error: StoreError) {
        tracing::error!(%error, "the store failed");
        self.engine.handle(now_ms(), Input::StoreFailed);
        self.carry_out();
        for (_, reply) in std::mem::take(&mut self.replies) {
            let _ = reply.send(Err(Failure::Store));
        }
        self.socket = None;
        self.wake = None;
        self.tell(Notice::StoreFailed(error));
    }

    /// Opens the store anew, as often as it takes; `false` once the app closes.
    fn reopen(&mut self) -> bool {
        let (mut pause, longest) = REOPEN;
        loop {
            if self.closing.is_some() || !self.refuse_for(pause) {
                return false;
            }
            pause = (pause * 2).min(longest);
            self.store += 1;
            // The file must be closed before it can be opened again: the failed worker closed it.
            match open(&self.directory, self.store, &self.sender) {
                Ok((engine, worker)) => {
                    (self.engine, self.worker) = (engine, worker);
                    (self.asked, self.written) = (0, 0);
                    tracing::info!("the store is back");
                    self.tell(Notice::StoreBack);
                    return true;
                }
                Err(error) => tracing::warn!(%error, "the store can't be opened yet"),
            }
        }
    }

    /// Refuses commands for a while; `false` if the app closes.
    fn refuse_for(&mut self, pause: Duration) -> bool {
        let until = Instant::now() + pause;
        loop {
            match self.inbound.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(Inbound::Command(_, _, reply)) => drop(reply.send(Err(Failure::Store))),
                Ok(Inbound::Close(closed)) => {
                    self.closing = Some((Instant::now(), closed));
                    return false;
                }
                Ok(_) => {}
                Err(RecvTimeoutError::Timeout) => return true,
                Err(RecvTimeoutError::Disconnected) => return false,
            }
        }
    }
}

impl Deadline {
    fn at(unix_ms: u64) -> Self {
        let wait = Duration::from_millis(unix_ms.saturating_sub(now_ms()));
        // Far beyond any machine's uptime is as good as never.
        let instant = Instant::now() + wait.min(Duration::from_secs(365 * 24 * 3600));
        Self { instant, unix_ms }
    }

    fn remaining(&self) -> Duration {
        if self.unix_ms <= now_ms() {
            return Duration::ZERO;
        }
        self.instant.saturating_duration_since(Instant::now())
    }
}

fn open(
    directory: &Path,
    number: u64,
    sender: &Sender<Inbound>,
) -> Result<(Engine, Worker), StoreError> {
    let store = RedbStore::open(directory)?;
    let mut index = Records::new();
    for prefix in index_prefixes() {
        index.extend(store.read(prefix)?);
    }
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|error| StoreError::Io(error.to_string()))?;
    let engine = Engine::open(seed, now_ms(), index).map_err(|error| match error {
        EngineError::Damaged(what) => StoreError::Damaged(format!("unreadable {what}")),
        EngineError::Newer { found, known } => {
            StoreError::Newer { found: found.into(), known: known.into() }
        }
    })?;
    let sender = sender.clone();
    let done = move |done| {
        let _ = sender.send(Inbound::Store(number, done));
    };
    let worker = Worker::start(store, done).map_err(|error| StoreError::Io(error.to_string()))?;
    Ok((engine, worker))
}

/// Unix milliseconds.
fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
