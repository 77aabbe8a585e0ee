//! The thread that owns the engine: it feeds inputs one at a time and carries out what comes back.
//!
//! The disk and the socket work beside it, so that the engine goes on while a batch is being made
//! durable, and the batches of that time share the next transaction.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use sync_core::host::{self, Done, HostLoop, Job, Now, Ports, reopen_pauses};
use sync_core::records::{Records, index_prefixes};
use sync_core::{Command, CommandId, Engine, Failure, Response};
use tokio::sync::{broadcast, oneshot};
use tokio::task::JoinHandle;

use crate::client::Notice;
use crate::socket::{ConnectError, Happening, Socket, Target};
use crate::store::worker::Worker;
use crate::store::{Form, RecordStore as _, RedbStore, StoreError};

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
    Store(u64, Done<StoreError>),
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

/// The loop around an engine over an open store, and what opening that again takes.
#[derive(Debug)]
pub(crate) struct Host {
    directory: PathBuf,
    form: Form,
    inbound: Receiver<Inbound>,
    sender: Sender<Inbound>,
    began: Instant,
    inner: HostLoop<Lent>,
    closed: Option<oneshot::Sender<Option<JoinHandle<()>>>>,
}

/// What this host lends the loop.
#[derive(Debug)]
struct Lent {
    target: Target,
    runtime: tokio::runtime::Handle,
    shared: Arc<Shared>,
    sender: Sender<Inbound>,
    worker: Worker,
    socket: Option<Socket>,
}

impl Host {
    /// Opens store and engine.
    ///
    /// # Errors
    /// The store's.
    pub(crate) fn open(
        (directory, form): (PathBuf, Form),
        target: Target,
        runtime: tokio::runtime::Handle,
        shared: Arc<Shared>,
        (sender, inbound): (Sender<Inbound>, Receiver<Inbound>),
    ) -> Result<Self, StoreError> {
        let (engine, worker) = open(&directory, &form, 0, &sender)?;
        let lent = Lent { target, runtime, shared, sender: sender.clone(), worker, socket: None };
        let inner = HostLoop::new(engine, lent, false);
        let began = Instant::now();
        Ok(Self { directory, form, inbound, sender, began, inner, closed: None })
    }

    /// Serves until closed.
    pub(crate) fn run(mut self) {
        while let Err(error) = self.serve() {
            tracing::error!(%error, "the store failed");
            let now = self.now();
            self.inner.on_store_failed(now, error);
            if !self.reopen() {
                break;
            }
        }
        if let Some(closed) = self.closed.take() {
            let socket = self.inner.into_ports().socket;
            let _ = closed.send(socket.map(Socket::finish));
        }
    }

    /// Serves until closed (`Ok`) or until the store fails.
    fn serve(&mut self) -> Result<(), StoreError> {
        loop {
            let now = self.now();
            self.inner.turn(now);
            if self.inner.is_over(now) {
                return Ok(());
            }
            let patience = Duration::from_millis(self.inner.patience_ms(now));
            match self.inbound.recv_timeout(patience) {
                Ok(inbound) => self.take(inbound)?,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
        }
    }

    fn take(&mut self, inbound: Inbound) -> Result<(), StoreError> {
        let now = self.now();
        match inbound {
            Inbound::Command(id, command, reply) => self.inner.on_command(now, id, command, reply),
            Inbound::Cancel(id) => self.inner.on_cancel(now, id),
            Inbound::Socket(number, happening) => {
                // The room that a message took is given back once the engine has it.
                let (happening, _room) = happening.parted();
                self.inner.on_socket(now, number, happening);
            }
            Inbound::Store(number, done) => self.inner.on_store(now, number, done)?,
            Inbound::Close(closed) => self.close(closed),
        }
        Ok(())
    }

    fn close(&mut self, closed: oneshot::Sender<Option<JoinHandle<()>>>) {
        let now = self.now();
        self.inner.on_close(now);
        self.closed = Some(closed);
    }

    /// Opens the store anew, as often as it takes; `false` once the app closes.
    fn reopen(&mut self) -> bool {
        for pause_ms in reopen_pauses() {
            if self.inner.is_closing() || !self.refuse_for(Duration::from_millis(pause_ms)) {
                break;
            }
            // The file must be closed before it can be opened again: the failed worker closed it.
            match open(&self.directory, &self.form, self.inner.store(), &self.sender) {
                Ok((engine, worker)) => {
                    tracing::info!("the store is back");
                    self.inner.ports().worker = worker;
                    self.inner.reopened(engine);
                    return true;
                }
                Err(error) => tracing::warn!(%error, "the store can't be opened yet"),
            }
        }
        false
    }

    /// Refuses commands for a while; `false` if the app closes.
    fn refuse_for(&mut self, pause: Duration) -> bool {
        let until = Instant::now() + pause;
        loop {
            match self.inbound.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(Inbound::Command(_, _, reply)) => self.inner.refuse(reply),
                Ok(Inbound::Close(closed)) => {
                    self.close(closed);
                    return false;
                }
                Ok(_) => {}
                Err(RecvTimeoutError::Timeout) => return true,
                Err(RecvTimeoutError::Disconnected) => return false,
            }
        }
    }

    fn now(&self) -> Now {
        Now { unix_ms: now_ms(), steady_ms: millis(self.began.elapsed()) }
    }
}

impl Ports for Lent {
    type Reply = Reply;
    type Problem = ConnectError;
    type StoreError = StoreError;

    fn ask(&mut self, job: Job) {
        self.worker.ask(job);
    }

    fn connect(&mut self, socket: u64) {
        let sender = self.sender.clone();
        let happen = move |happening| {
            let _ = sender.send(Inbound::Socket(socket, happening));
        };
        self.socket = Some(Socket::open(&self.runtime, self.target.clone(), happen));
    }

    fn disconnect(&mut self) {
        self.socket = None;
    }

    fn send(&mut self, message: Vec<u8>) {
        if let Some(socket) = &self.socket {
            socket.send(message);
        }
    }

    fn reply(&mut self, reply: Reply, result: Result<Response, Failure>) {
        let _ = reply.send(result);
    }

    fn tell(&mut self, notice: host::Notice<ConnectError, StoreError>) {
        if let host::Notice::Unreachable(problem) = &notice {
            tracing::warn!(%problem, "no connection");
        }
        let _ = self.shared.notices.send(notice.into());
    }

    fn keep_problem(&mut self, problem: Option<ConnectError>) {
        *self.shared.problem.lock().unwrap_or_else(|poison| poison.into_inner()) = problem;
    }

    fn silent(&self) -> ConnectError {
        ConnectError::Broken("the relay is silent".to_owned())
    }

    fn no_network(&self) -> ConnectError {
        ConnectError::Unreachable("there is no network".to_owned())
    }
}

fn open(
    directory: &Path,
    form: &Form,
    number: u64,
    sender: &Sender<Inbound>,
) -> Result<(Engine, Worker), StoreError> {
    let store = RedbStore::open_as(directory, form)?;
    let mut index = Records::new();
    for prefix in index_prefixes() {
        index.extend(store.read(prefix)?);
    }
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|error| StoreError::Io(error.to_string()))?;
    let engine = Engine::open(seed, now_ms(), index)?;
    let sender = sender.clone();
    let done = move |done| {
        let _ = sender.send(Inbound::Store(number, done));
    };
    let worker = Worker::start(store, done).map_err(|error| StoreError::Io(error.to_string()))?;
    Ok((engine, worker))
}

/// Unix milliseconds.
fn now_ms() -> u64 {
    millis(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
