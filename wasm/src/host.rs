//! The task that owns the engine: it feeds inputs one at a time and carries out what comes back.
//!
//! Store and socket work beside it. All run in one worker and take turns; none waits for another
//! while it holds anything.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use futures_channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded};
use futures_channel::oneshot;
use futures_util::StreamExt as _;
use futures_util::future::{Either, select};
use gloo_timers::callback::Timeout;
use gloo_timers::future::TimeoutFuture;
use sync_core::host::{self, Done, HostLoop, Job, Now, Ports, reopen_pauses};
use sync_core::records::{Records, index_prefixes};
use sync_core::{Command, CommandId, Engine, Failure, Response};
use sync_store::{AsyncRecordStore as _, StoreError};

use crate::browser::{now_ms, steady_ms};
use crate::socket::{ConnectError, Happening, Socket};
use crate::store::{BrowserStore, Kind};
use crate::worker::Worker;

/// Where a command's answer goes.
type Reply = oneshot::Sender<Result<Response, Failure>>;

/// Something an app may want to show.
pub(crate) type Notice = host::Notice<ConnectError, StoreError>;

/// What reaches the task.
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
    /// A time that was asked for may have come.
    Tick,
    /// The browser says whether there is a network.
    Network(bool),
    /// Make everything durable and end.
    Close(oneshot::Sender<()>),
}

/// The app's end.
#[derive(Clone, Debug)]
pub(crate) struct Handle {
    inbound: UnboundedSender<Inbound>,
    next: Rc<Cell<CommandId>>,
    problem: Rc<RefCell<Option<ConnectError>>>,
}

impl Handle {
    /// Hands a command over. Commands take effect in the order in which they were handed over.
    pub(crate) fn submit(&self, command: Command) -> Submitted {
        let id = self.next.get();
        self.next.set(id + 1);
        let (reply, answer) = oneshot::channel();
        let _ = self.inbound.unbounded_send(Inbound::Command(id, command, reply));
        Submitted { id, answer }
    }

    /// What came of a command. What it changed is durable here.
    pub(crate) async fn command(&self, command: Command) -> Result<Response, Failure> {
        self.submit(command).answer().await
    }

    /// Nobody waits for a command's answer any more.
    pub(crate) fn cancel(&self, id: CommandId) {
        self.tell(Inbound::Cancel(id));
    }

    /// Why there is no connection, while there is none.
    pub(crate) fn connection_problem(&self) -> Option<ConnectError> {
        self.problem.borrow().clone()
    }

    pub(crate) fn tell(&self, inbound: Inbound) {
        let _ = self.inbound.unbounded_send(inbound);
    }

    /// Makes everything durable and lets go of the store.
    pub(crate) async fn close(&self) {
        let (closed, end) = oneshot::channel();
        self.tell(Inbound::Close(closed));
        let _ = end.await;
    }
}

/// A command on its way.
#[derive(Debug)]
pub(crate) struct Submitted {
    /// Its number.
    pub(crate) id: CommandId,
    answer: oneshot::Receiver<Result<Response, Failure>>,
}

impl Submitted {
    /// What came of it.
    pub(crate) async fn answer(self) -> Result<Response, Failure> {
        self.answer.await.unwrap_or(Err(Failure::Store))
    }
}

/// What is opened.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// The store's name.
    pub(crate) name: String,
    /// Its kind, if one was asked for.
    pub(crate) kind: Option<Kind>,
    /// The relay's socket.
    pub(crate) url: String,
}

/// The loop around an engine over an open store, and what opening that again takes.
#[derive(Debug)]
pub(crate) struct Host {
    target: Target,
    inbound: UnboundedReceiver<Inbound>,
    sender: UnboundedSender<Inbound>,
    inner: HostLoop<Lent>,
    /// Set while nothing has happened since.
    timer: Option<Timeout>,
    closed: Option<oneshot::Sender<()>>,
}

/// What this host lends the loop.
#[derive(Debug)]
struct Lent {
    url: String,
    sender: UnboundedSender<Inbound>,
    notices: UnboundedSender<Notice>,
    problem: Rc<RefCell<Option<ConnectError>>>,
    worker: Worker,
    socket: Option<Socket>,
}

impl Host {
    /// Opens store and engine. Gives back what kind of store it is.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn open(
        target: Target,
        notices: UnboundedSender<Notice>,
    ) -> Result<(Self, Handle, Kind), StoreError> {
        let (sender, inbound) = unbounded();
        let (engine, worker, kind) = open(&target, 0, &sender).await?;
        let problem = Rc::new(RefCell::new(None));
        let next = Rc::new(Cell::new(1));
        let handle = Handle { inbound: sender.clone(), next, problem: problem.clone() };
        let (url, socket) = (target.url.clone(), None);
        let lent = Lent { url, sender: sender.clone(), notices, problem, worker, socket };
        // A browser doesn't show the relay's pings.
        let inner = HostLoop::new(engine, lent, true);
        let target = Target { kind: Some(kind), ..target };
        Ok((Self { target, inbound, sender, inner, timer: None, closed: None }, handle, kind))
    }

    /// Serves until closed.
    pub(crate) async fn run(mut self) {
        while let Err(error) = self.serve().await {
            self.inner.on_store_failed(now(), error);
            if !self.reopen().await {
                break;
            }
        }
        let Lent { worker, socket, .. } = self.inner.into_ports();
        drop(socket);
        worker.finish().await;
        if let Some(closed) = self.closed {
            let _ = closed.send(());
        }
    }

    /// Serves until closed (`Ok`) or until the store fails.
    async fn serve(&mut self) -> Result<(), StoreError> {
        loop {
            self.inner.turn(now());
            if self.inner.is_over(now()) {
                return Ok(());
            }
            self.set_timer();
            let Some(inbound) = self.inbound.next().await else { return Ok(()) };
            self.take(inbound)?;
        }
    }

    fn take(&mut self, inbound: Inbound) -> Result<(), StoreError> {
        let now = now();
        match inbound {
            Inbound::Command(id, command, reply) => self.inner.on_command(now, id, command, reply),
            Inbound::Cancel(id) => self.inner.on_cancel(now, id),
            Inbound::Socket(number, happening) => self.inner.on_socket(now, number, happening),
            Inbound::Store(number, done) => self.inner.on_store(now, number, done)?,
            Inbound::Network(is_there) => self.inner.on_network(now, is_there),
            Inbound::Close(closed) => self.close(closed),
            Inbound::Tick => {}
        }
        Ok(())
    }

    fn close(&mut self, closed: oneshot::Sender<()>) {
        self.inner.on_close(now());
        self.closed = Some(closed);
    }

    fn set_timer(&mut self) {
        let wait = u32::try_from(self.inner.patience_ms(now())).unwrap_or(u32::MAX);
        let sender = self.sender.clone();
        let tick = move || {
            let _ = sender.unbounded_send(Inbound::Tick);
        };
        self.timer = Some(Timeout::new(wait, tick));
    }

    /// Opens the store anew, as often as it takes; `false` once the app closes.
    async fn reopen(&mut self) -> bool {
        for pause_ms in reopen_pauses() {
            let pause_ms = u32::try_from(pause_ms).unwrap_or(u32::MAX);
            if self.inner.is_closing() || !self.refuse_for(pause_ms).await {
                break;
            }
            let store = self.inner.store();
            if let Ok((engine, worker, _)) = open(&self.target, store, &self.sender).await {
                self.inner.ports().worker = worker;
                self.inner.reopened(engine);
                return true;
            }
        }
        false
    }

    /// Refuses commands for a while; `false` if the app closes.
    async fn refuse_for(&mut self, pause_ms: u32) -> bool {
        let mut over = TimeoutFuture::new(pause_ms);
        loop {
            match select(over, self.inbound.next()).await {
                Either::Left(_) => return true,
                Either::Right((inbound, rest)) => {
                    over = rest;
                    match inbound {
                        Some(Inbound::Command(_, _, reply)) => self.inner.refuse(reply),
                        Some(Inbound::Close(closed)) => {
                            self.close(closed);
                            return false;
                        }
                        Some(_) => {}
                        None => return false,
                    }
                }
            }
        }
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
            let _ = sender.unbounded_send(Inbound::Socket(socket, happening));
        };
        self.socket = Some(Socket::open(&self.url, happen));
    }

    fn disconnect(&mut self) {
        self.socket = None;
    }

    fn send(&mut self, message: Vec<u8>) {
        if let Some(socket) = &self.socket {
            socket.send(&message);
        }
    }

    fn reply(&mut self, reply: Reply, result: Result<Response, Failure>) {
        let _ = reply.send(result);
    }

    fn tell(&mut self, notice: Notice) {
        let _ = self.notices.unbounded_send(notice);
    }

    fn keep_problem(&mut self, problem: Option<ConnectError>) {
        *self.problem.borrow_mut() = problem;
    }

    fn silent(&self) -> ConnectError {
        ConnectError::Broken("the relay is silent")
    }

    fn no_network(&self) -> ConnectError {
        ConnectError::Unreachable
    }
}

fn now() -> Now {
    Now { unix_ms: now_ms(), steady_ms: steady_ms() }
}

async fn open(
    target: &Target,
    number: u64,
    sender: &UnboundedSender<Inbound>,
) -> Result<(Engine, Worker, Kind), StoreError> {
    let store = BrowserStore::open(&target.name, target.kind).await?;
    let kind = store.kind();
    let mut index = Records::new();
    for prefix in index_prefixes() {
        index.extend(store.read(prefix).await?);
    }
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|error| StoreError::Io(error.to_string()))?;
    let engine = Engine::open(seed, now_ms(), index)?;
    let sender = sender.clone();
    let done = move |done| {
        let _ = sender.unbounded_send(Inbound::Store(number, done));
    };
    Ok((engine, Worker::start(store, done), kind))
}
