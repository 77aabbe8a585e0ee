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
use sync_core::engine::OpenError as EngineError;
use sync_core::records::{Records, index_prefixes};
use sync_core::{Command, CommandId, Engine, Event, Failure, Input, Output, Response};
use sync_protocol::sorted::SortedMap;
use sync_store::{AsyncRecordStore as _, StoreError};

use crate::browser::now_ms;
use crate::socket::{ConnectError, Happening, Socket};
use crate::store::{BrowserStore, Kind};
use crate::worker::{Done, Job, Worker};

/// How long a close waits for the store.
const CLOSE_MS: u64 = 10_000;
/// The longest sleep: after a suspended machine wakes, deadlines are looked at this soon.
const NAP_MS: u64 = 15_000;
/// After such a silence the relay is asked something, since a browser doesn't show its pings.
const SILENCE_MS: u64 = 40_000;
/// A relay that doesn't answer within this time is gone.
const PROBE_MS: u64 = 15_000;
/// The host's own commands: no command of the app's has this number.
const OWN: CommandId = 0;
/// Pauses before a failed store is opened again.
const REOPEN_MS: (u32, u32) = (1_000, 30_000);

/// Where a command's answer goes.
type Reply = oneshot::Sender<Result<Response, Failure>>;

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
    Store(u64, Done),
    /// A time that was asked for may have come.
    Tick,
    /// The browser says whether there is a network.
    Network(bool),
    /// Make everything durable and end.
    Close(oneshot::Sender<()>),
}

/// Something an app may want to show.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Notice {
    /// From the engine.
    Event(Event),
    /// The connection failed, or broke; it is tried again.
    Unreachable(ConnectError),
    /// The store failed. Commands fail until it is back; it is tried again.
    StoreFailed(StoreError),
    /// The store is back: everything may look different.
    StoreBack,
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

/// An engine over an open store, and what opening it again takes.
#[derive(Debug)]
pub(crate) struct Host {
    target: Target,
    inbound: UnboundedReceiver<Inbound>,
    sender: UnboundedSender<Inbound>,
    notices: UnboundedSender<Notice>,
    problem: Rc<RefCell<Option<ConnectError>>>,
    engine: Engine,
    worker: Worker,
    /// Counts stores, so that a late word of an earlier one is not taken for the present one's.
    store: u64,
    /// The last batch given to the store, and the last that is durable.
    asked: u64,
    written: u64,
    socket: Option<Socket>,
    /// Counts sockets, for the same reason.
    sockets: u64,
    /// When the relay was heard last, and since when an answer to a probe is due: Unix ms.
    heard: u64,
    probed: Option<u64>,
    /// When the engine wants to be called, Unix ms.
    wake: Option<u64>,
    timer: Option<Timeout>,
    replies: SortedMap<CommandId, Reply>,
    /// The app wants to stay away, whatever the browser says of the network.
    away: bool,
    /// Since when the app wants to close, Unix ms, and where it waits.
    closing: Option<(u64, oneshot::Sender<()>)>,
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
        let host = Self {
            target: Target { kind: Some(kind), ..target },
            inbound,
            sender,
            notices,
            problem,
            engine,
            worker,
            store: 0,
            asked: 0,
            written: 0,
            socket: None,
            sockets: 0,
            heard: 0,
            probed: None,
            wake: None,
            timer: None,
            replies: SortedMap::new(),
            away: false,
            closing: None,
        };
        Ok((host, handle, kind))
    }

    /// Serves until closed.
    pub(crate) async fn run(mut self) {
        while let Err(error) = self.serve().await {
            self.fail(error);
            if !self.reopen().await {
                break;
            }
        }
        self.socket = None;
        self.worker.finish().await;
        if let Some((_, closed)) = self.closing {
            let _ = closed.send(());
        }
    }

    /// Serves until closed (`Ok`) or until the store fails.
    async fn serve(&mut self) -> Result<(), StoreError> {
        self.carry_out();
        self.set_timer();
        while let Some(inbound) = self.inbound.next().await {
            self.take(inbound)?;
            // A busy queue must not put off what has a time.
            self.wake_if_due();
            self.probe_if_silent();
            self.carry_out();
            self.set_timer();
            if let Some((since, _)) = &self.closing
                && (self.written >= self.asked || now_ms().saturating_sub(*since) > CLOSE_MS)
            {
                break;
            }
        }
        Ok(())
    }

    fn take(&mut self, inbound: Inbound) -> Result<(), StoreError> {
        match inbound {
            Inbound::Command(id, command, reply) => {
                match command {
                    Command::GoOffline => self.away = true,
                    Command::GoOnline => self.away = false,
                    _ => {}
                }
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
            Inbound::Network(is_there) => self.take_network(is_there),
            Inbound::Close(closed) => self.closing = Some((now_ms(), closed)),
            Inbound::Socket(..) | Inbound::Store(..) | Inbound::Tick => {}
        }
        Ok(())
    }

    fn take_from_socket(&mut self, happening: Happening) {
        if self.socket.is_none() {
            return;
        }
        self.hear();
        match happening {
            Happening::Opened => {
                self.note_problem(None);
                self.feed(Input::Connected);
            }
            Happening::Message(message) => self.feed(Input::Received(message)),
            Happening::Closed(problem) => {
                self.socket = None;
                self.note_problem(problem);
                self.feed(Input::Disconnected);
            }
        }
    }

    /// Without a network a connection is dead before the browser says so; with one again, there is
    /// no reason to wait for the next attempt's time.
    fn take_network(&mut self, is_there: bool) {
        if !is_there && self.socket.is_some() {
            self.take_from_socket(Happening::Closed(Some(ConnectError::Unreachable)));
        } else if is_there && self.socket.is_none() && !self.away {
            self.feed(Input::Command(OWN, Command::GoOnline));
        }
    }

    fn hear(&mut self) {
        self.heard = now_ms();
        self.probed = None;
    }

    /// Connections die without a word: a network that changed, a machine that slept.
    fn probe_if_silent(&mut self) {
        let now = now_ms();
        if self.socket.is_none() || now.saturating_sub(self.heard) < SILENCE_MS {
            return;
        }
        match self.probed {
            None => {
                self.probed = Some(now);
                self.feed(Input::Command(OWN, Command::ListDevices));
            }
            Some(since) if now.saturating_sub(since) > PROBE_MS => {
                let why = ConnectError::Broken("the relay is silent");
                self.take_from_socket(Happening::Closed(Some(why)));
            }
            Some(_) => {}
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
                        socket.send(&message);
                    }
                }
                Output::Wake(at) => {
                    self.wake = Some(at);
                    self.timer = None;
                }
                // Whoever has no account, or no session yet, answers by itself.
                Output::Respond(OWN, _) => self.hear(),
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
            let _ = sender.unbounded_send(Inbound::Socket(number, happening));
        };
        self.socket = Some(Socket::open(&self.target.url, happen));
        self.hear();
    }

    fn set_timer(&mut self) {
        if self.timer.is_some() {
            return;
        }
        let longest = if self.closing.is_some() { 100 } else { NAP_MS };
        let wait = self.wake.map_or(longest, |wake| wake.saturating_sub(now_ms()).min(longest));
        let sender = self.sender.clone();
        let tick = move || {
            let _ = sender.unbounded_send(Inbound::Tick);
        };
        self.timer = Some(Timeout::new(u32::try_from(wait).unwrap_or(u32::MAX), tick));
    }

    fn wake_if_due(&mut self) {
        let now = now_ms();
        if self.wake.is_some_and(|wake| wake <= now) {
            self.wake = None;
            self.feed(Input::Woken);
        }
        // Spent, or no longer right.
        self.timer = None;
    }

    fn note_problem(&self, problem: Option<ConnectError>) {
        let mut known = self.problem.borrow_mut();
        if *known != problem {
            if let Some(problem) = &problem {
                self.tell(Notice::Unreachable(problem.clone()));
            }
            *known = problem;
        }
    }

    fn tell(&self, notice: Notice) {
        // Nobody has to listen.
        let _ = self.notices.unbounded_send(notice);
    }

    /// Answers everything that waits: what the engine knows about, and what it doesn't.
    fn fail(&mut self, error: StoreError) {
        self.feed(Input::StoreFailed);
        self.carry_out();
        for (_, reply) in std::mem::take(&mut self.replies) {
            let _ = reply.send(Err(Failure::Store));
        }
        self.socket = None;
        self.wake = None;
        self.tell(Notice::StoreFailed(error));
    }

    /// Opens the store anew, as often as it takes; `false` once the app closes.
    async fn reopen(&mut self) -> bool {
        let (mut pause, longest) = REOPEN_MS;
        loop {
            if self.closing.is_some() || !self.refuse_for(pause).await {
                return false;
            }
            pause = (pause * 2).min(longest);
            self.store += 1;
            if let Ok((engine, worker, _)) = open(&self.target, self.store, &self.sender).await {
                (self.engine, self.worker) = (engine, worker);
                (self.asked, self.written) = (0, 0);
                self.tell(Notice::StoreBack);
                return true;
            }
        }
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
                        Some(Inbound::Command(_, _, reply)) => {
                            let _ = reply.send(Err(Failure::Store));
                        }
                        Some(Inbound::Close(closed)) => {
                            self.closing = Some((now_ms(), closed));
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
    let engine = Engine::open(seed, now_ms(), index).map_err(|error| match error {
        EngineError::Damaged(what) => StoreError::Damaged(format!("unreadable {what}")),
        EngineError::Newer { found, known } => {
            StoreError::Newer { found: found.into(), known: known.into() }
        }
    })?;
    let sender = sender.clone();
    let done = move |done| {
        let _ = sender.unbounded_send(Inbound::Store(number, done));
    };
    Ok((engine, Worker::start(store, done), kind))
}
