//! What an app holds.

mod account;
mod ask;
mod conversation;
mod document;
mod events;
mod finite;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sync_core::api::{Digest, DocumentsView, Space, Status, Until};
use sync_core::{Command, CommandId, Failure, Response};
use sync_protocol::SpaceId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, broadcast, oneshot};
use tokio::time::timeout;

use crate::host::{Host, Inbound, Shared};
use crate::proxy::{self, BadProxy, Proxy};
use crate::relay_url::{BadRelayUrl, RelayUrl};
use crate::socket::{ConnectError, Target};
#[cfg(feature = "sealed")]
use crate::store::StoreKey;
use crate::store::{Form, StoreError};
use crate::tls::{self, TlsError};

pub use account::{Account, Contacts, Devices, Settings};
pub use conversation::{Conversation, Conversations};
pub use document::{Change, Document, IntoPath};
pub use events::{Events, Notice};

/// Commands under way at once; more wait for their turn.
const COMMANDS: usize = 1024;
/// How long a close waits for the relay to take what was sent to it.
const GOODBYE: Duration = Duration::from_secs(1);

/// What may be chosen when a client is opened.
#[derive(Clone, Debug)]
pub struct Options {
    /// A PEM file with further root certificates, or with the relay's own certificate, which is
    /// then believed whatever name stands in it, while its time lasts.
    pub extra_roots: Option<PathBuf>,
    /// Whether the relay is reached through a proxy.
    pub proxy: Proxy,
    /// How long opening a connection may take.
    pub connect_timeout: Duration,
    /// Notices kept for a listener that is slow; older ones are lost to it, and it is told.
    pub notices: usize,
    /// The key that seals the store at rest; without one it lies there as it is. A plain store is
    /// sealed when it is opened with a key for the first time. The program keeps the key, best where
    /// the system keeps secrets: without it, what is in the store is lost.
    #[cfg(feature = "sealed")]
    pub store_key: Option<StoreKey>,
}

impl Options {
    fn form(&self) -> Form {
        #[cfg(feature = "sealed")]
        return self.store_key.clone().into();
        #[cfg(not(feature = "sealed"))]
        Form::default()
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            extra_roots: None,
            proxy: Proxy::Environment,
            connect_timeout: Duration::from_secs(10),
            notices: 1024,
            #[cfg(feature = "sealed")]
            store_key: None,
        }
    }
}

/// Why a client can't be opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The relay's address makes no sense.
    #[error(transparent)]
    RelayUrl(#[from] BadRelayUrl),
    /// The store can't be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No encrypted connection could ever be opened.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// What is set as the proxy is none.
    #[error(transparent)]
    Proxy(#[from] BadProxy),
    /// The system gives no thread.
    #[error("the system gives no thread ({0})")]
    Thread(String),
}

impl OpenError {
    /// The stable word for programs.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::RelayUrl(_) => "relay_url",
            Self::Tls(_) => "tls",
            Self::Proxy(_) => "proxy",
            Self::Thread(_) => "system",
            Self::Store(error) => error.kind(),
        }
    }
}

/// An account on this device. Clones are the same client; it closes with the last of them.
#[derive(Clone, Debug)]
pub struct Client {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    inbound: Sender<Inbound>,
    next: AtomicU64,
    room: Arc<Semaphore>,
    shared: Arc<Shared>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        let (closed, _) = oneshot::channel();
        let _ = self.inbound.send(Inbound::Close(closed));
    }
}

impl Client {
    /// Opens the store in a directory (and makes it, if it is not there) and keeps it in step with
    /// a relay ([`RelayUrl`]: `ws://host:port` or `wss://host`). Succeeds offline. Must be called
    /// in a tokio runtime.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub async fn open(directory: &Path, relay: &str, options: Options) -> Result<Self, OpenError> {
        let url: RelayUrl = relay.parse()?;
        let directory = directory.to_owned();
        let runtime = tokio::runtime::Handle::current();
        let opening =
            tokio::task::spawn_blocking(move || Self::start(directory, url, &options, runtime));
        opening.await.map_err(|error| OpenError::Thread(error.to_string()))?
    }

    fn start(
        directory: PathBuf,
        url: RelayUrl,
        options: &Options,
        runtime: tokio::runtime::Handle,
    ) -> Result<Self, OpenError> {
        let tls = match url.is_tls() {
            true => Some(tls::config(options.extra_roots.as_deref())?),
            false => None,
        };
        let hop = proxy::hop(&options.proxy, &url)?;
        let target = Target { url, tls, hop, connect_timeout: options.connect_timeout };
        let (notices, _) = broadcast::channel(options.notices.max(1));
        let shared = Arc::new(Shared { notices, problem: Mutex::new(None) });
        let (inbound, receiver) = channel();
        let queue = (inbound.clone(), receiver);
        let place = (directory, options.form());
        let host = Host::open(place, target, runtime, shared.clone(), queue)?;
        std::thread::Builder::new()
            .name("rejoinder-engine".to_owned())
            .spawn(move || host.run())
            .map_err(|error| OpenError::Thread(error.to_string()))?;
        let room = Arc::new(Semaphore::new(COMMANDS));
        Ok(Self { inner: Arc::new(Inner { inbound, next: AtomicU64::new(1), room, shared }) })
    }

    /// The account on this device, or the way to one.
    #[must_use]
    pub fn account(&self) -> Account<'_> {
        Account(self)
    }

    /// The account's devices.
    #[must_use]
    pub fn devices(&self) -> Devices<'_> {
        Devices(self)
    }

    /// People.
    #[must_use]
    pub fn contacts(&self) -> Contacts<'_> {
        Contacts(self)
    }

    /// What the account keeps for itself.
    #[must_use]
    pub fn settings(&self) -> Settings<'_> {
        Settings(self)
    }

    /// All conversations.
    #[must_use]
    pub fn conversations(&self) -> Conversations<'_> {
        Conversations(self)
    }

    /// One conversation, by its id.
    #[must_use]
    pub fn conversation(&self, id: SpaceId) -> Conversation {
        Conversation::new(self.clone(), id)
    }

    /// A document of the account's own devices, by its name.
    #[must_use]
    pub fn document<T>(&self, name: &str) -> Document<T> {
        Document::new(self.clone(), Space::Account, name)
    }

    /// The documents of the account's own devices.
    ///
    /// # Errors
    /// `NoAccount`, `Store`.
    pub async fn documents(&self) -> Result<DocumentsView, Failure> {
        self.ask(Command::ListDocuments { space: Space::Account }).await
    }

    /// The account, the device and how the sync stands.
    ///
    /// # Errors
    /// `Store`.
    pub async fn status(&self) -> Result<Status, Failure> {
        self.ask(Command::Status).await
    }

    /// A fingerprint of what the account keeps for itself: equal on devices that have the same entries.
    ///
    /// # Errors
    /// `NoAccount`, `Store`.
    pub async fn digest(&self) -> Result<Digest, Failure> {
        self.ask(Command::Digest { space: Space::Account }).await
    }

    /// Closes the connection and stays away; everything else goes on working here.
    ///
    /// # Errors
    /// `NoAccount`, `Store`.
    pub async fn go_offline(&self) -> Result<(), Failure> {
        self.ask(Command::GoOffline).await
    }

    /// Connects again.
    ///
    /// # Errors
    /// `NoAccount`, `Store`.
    pub async fn go_online(&self) -> Result<(), Failure> {
        self.ask(Command::GoOnline).await
    }

    /// Listens from now on.
    #[must_use]
    pub fn events(&self) -> Events {
        Events { receiver: self.inner.shared.notices.subscribe() }
    }

    /// Why there is no connection, while there is none.
    #[must_use]
    pub fn connection_problem(&self) -> Option<ConnectError> {
        self.inner.shared.problem.lock().unwrap_or_else(|poison| poison.into_inner()).clone()
    }

    /// Does what a command says. What it changes is durable here when this returns. If the future
    /// is dropped, a wait is given up; anything else may still happen.
    ///
    /// # Errors
    /// See [`Failure`].
    pub async fn command(&self, command: Command) -> Result<Response, Failure> {
        self.submit(command).await.answer().await
    }

    /// Hands a command over without waiting for what comes of it. Commands take effect in the
    /// order in which they were handed over.
    pub async fn submit(&self, command: Command) -> Submitted {
        let room = match command {
            // Waits may last, and must not keep anything else waiting.
            Command::Wait(_) => None,
            _ => self.inner.room.clone().acquire_owned().await.ok(),
        };
        let id = self.inner.next.fetch_add(1, Ordering::Relaxed);
        let (reply, answer) = oneshot::channel();
        let _ = self.inner.inbound.send(Inbound::Command(id, command, reply));
        let cancel = CancelOnDrop { inbound: self.inner.inbound.clone(), id: Some(id) };
        Submitted { answer, cancel, _room: room }
    }

    /// Waits until something holds; `false` if it doesn't within `patience`.
    ///
    /// # Errors
    /// `NoAccount`, `Store`.
    pub async fn wait(&self, until: Until, patience: Duration) -> Result<bool, Failure> {
        match timeout(patience, self.command(Command::Wait(until))).await {
            Ok(answer) => answer.map(|_| true),
            Err(_) => Ok(false),
        }
    }

    /// Makes everything durable, tells the relay goodbye and lets go of the store. Commands under
    /// way fail; clones are of no more use.
    pub async fn close(self) {
        let (closed, end) = oneshot::channel();
        let _ = self.inner.inbound.send(Inbound::Close(closed));
        if let Ok(Some(socket)) = end.await {
            let _ = timeout(GOODBYE, socket).await;
        }
    }
}

/// A command on its way. Dropping it gives up a wait; anything else may still happen.
#[derive(Debug)]
pub struct Submitted {
    answer: oneshot::Receiver<Result<Response, Failure>>,
    cancel: CancelOnDrop,
    _room: Option<OwnedSemaphorePermit>,
}

impl Submitted {
    /// What came of it. What it changed is durable here.
    ///
    /// # Errors
    /// See [`Failure`].
    pub async fn answer(mut self) -> Result<Response, Failure> {
        let answer = (&mut self.answer).await;
        self.cancel.id = None;
        answer.unwrap_or_else(|_| Err(Failure::Invalid("the client is closed".to_owned())))
    }
}

/// Tells the engine that nobody waits for an answer any more.
#[derive(Debug)]
struct CancelOnDrop {
    inbound: Sender<Inbound>,
    id: Option<CommandId>,
}

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            let _ = self.inbound.send(Inbound::Cancel(id));
        }
    }
}
