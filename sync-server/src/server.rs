//! The server: listens, shakes hands, and gives each socket one task.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use axum::Router;
use axum::extract::{Extension, State, WebSocketUpgrade};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use futures_util::StreamExt as _;
use metrics_exporter_prometheus::PrometheusHandle;
use sync_protocol::ids::RelayId;
use sync_protocol::limits;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::accept::{Acceptor, Caller, Door};
use crate::config::Config;
use crate::hub::{Health, Hub};
use crate::relay::{Identity, Relay, SessionId};
use crate::store::{FILE, RedbStore, StoreError};
use crate::{socket, telemetry, tls, web};

/// Goodbyes have to be out within this time.
const DRAIN: Duration = Duration::from_secs(5);
/// Read buffer of a WebSocket: parts are small.
const READ_BUFFER: usize = 1024;
/// What a WebSocket may buffer for writing: a few parts.
const WRITE_BUFFER: usize = 4 * limits::PART;

/// Why a relay does not start, or ended.
#[derive(Debug, Error)]
pub enum ServerError {
    /// The port is taken.
    #[error("{0} is in use; stop what listens there, or choose another --listen address")]
    AddressInUse(SocketAddr),
    /// Listening fails otherwise.
    #[error("can't listen on {address}: {cause}; choose another --listen address")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// What the system said.
        cause: std::io::Error,
    },
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The store can't be opened.
    #[error("{}: {cause}", path.display())]
    Open {
        /// Where it is.
        path: PathBuf,
        /// What is wrong.
        cause: StoreError,
    },
    /// Certificate or key.
    #[error("{path}: {cause}; --tls-cert and --tls-key name PEM files that belong together")]
    Tls {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        cause: String,
    },
    /// No web app where one should be.
    #[error("{0} has no index.html; --web names the folder of a built web app (`cargo xtask web`)")]
    Web(PathBuf),
    /// Metrics.
    #[error("metrics can't be collected: {0}")]
    Metrics(#[from] metrics_exporter_prometheus::BuildError),
    /// The system gives no randomness or thread.
    #[error("the system refuses a resource: {0}")]
    System(String),
}

impl ServerError {
    /// What is wrong with the store in a data directory, and which that is.
    #[must_use]
    pub fn opening(data: &Path, cause: StoreError) -> Self {
        match cause {
            // These name the path themselves.
            StoreError::InUse(_) | StoreError::Foreign(_) | StoreError::Unwritable { .. } => {
                Self::Store(cause)
            }
            StoreError::Newer { .. }
            | StoreError::Older { .. }
            | StoreError::Corrupt(_)
            | StoreError::Full
            | StoreError::Io(_) => Self::Open { path: data.join(FILE), cause },
        }
    }
}

/// A relay that runs in this process.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    hub: Hub,
    thread: JoinHandle<Result<(), StoreError>>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Server {
    /// Opens the store and starts to listen. Must run inside a tokio runtime.
    ///
    /// # Errors
    /// What is wrong, and what to do about it.
    pub async fn start(config: &Config) -> Result<Self, ServerError> {
        let metrics = telemetry::init_metrics()?;
        let tls = tls::acceptor(config)?;
        let web = web::files(config)?;
        let listener = listen(config.listen).await?;
        let address = listener
            .local_addr()
            .map_err(|cause| ServerError::Listen { address: config.listen, cause })?;
        let store = RedbStore::open(&config.data)
            .map_err(|cause| ServerError::opening(&config.data, cause))?;
        let relay = Relay::open(store, new_identity()?, config.limits.clone())?;
        let (hub, thread) =
            Hub::start(relay).map_err(|error| ServerError::System(error.to_string()))?;
        let stop = CancellationToken::new();
        let tasks = TaskTracker::new();
        let door = Door::new(config, hub.refusals());
        let app = App {
            hub: hub.clone(),
            metrics,
            tasks: tasks.clone(),
            next: Arc::new(AtomicU64::new(1)),
            door: door.clone(),
        };
        let mut router = router(app);
        if let Some(web) = web {
            router = router.fallback_service(web);
        }
        let acceptor = Acceptor { listener, tls, router, door, tasks: tasks.clone() };
        tasks.spawn(acceptor.run(stop.clone()));
        tracing::info!(addr = %address, "listening");
        Ok(Self { address, hub, thread, stop, tasks })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits until the store fails, which ends the relay.
    pub async fn failed(&self) {
        let mut health = self.hub.health();
        let _ = health.wait_for(|health| matches!(health, Health::Failed(_))).await;
    }

    /// Stops: takes no new sockets, says goodbye, makes everything durable, closes the store.
    ///
    /// # Errors
    /// If the store failed.
    pub async fn stop(self) -> Result<(), ServerError> {
        self.stop.cancel();
        self.hub.drain().await;
        self.tasks.close();
        let _ = tokio::time::timeout(DRAIN, self.tasks.wait()).await;
        let thread = self.thread;
        drop(self.hub);
        let joined = tokio::task::spawn_blocking(move || thread.join()).await;
        match joined {
            Ok(Ok(done)) => done.map_err(ServerError::Store),
            _ => Err(ServerError::System("the hub's thread panicked".to_owned())),
        }
    }
}

#[derive(Clone)]
struct App {
    hub: Hub,
    metrics: PrometheusHandle,
    tasks: TaskTracker,
    next: Arc<AtomicU64>,
    door: Door,
}

fn router(app: App) -> Router {
    Router::new()
        .route("/v1/socket", get(open_socket))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(render))
        .with_state(app)
}

async fn ready(State(app): State<App>) -> Response {
    let health = app.hub.health().borrow().clone();
    match health {
        Health::Serving => "ready\n".into_response(),
        Health::Draining => (StatusCode::SERVICE_UNAVAILABLE, "draining\n").into_response(),
        Health::Failed(_) => (StatusCode::SERVICE_UNAVAILABLE, "failed\n").into_response(),
    }
}

async fn render(State(app): State<App>) -> String {
    telemetry::connections(app.door.taken());
    app.metrics.run_upkeep();
    app.metrics.render()
}

async fn open_socket(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Response {
    let peer = match app.door.admit(&caller, &headers) {
        Ok(peer) => peer,
        Err(refused) => return refused.into_response(),
    };
    let mut nonce = [0; 32];
    if getrandom::fill(&mut nonce).is_err() {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    let session = SessionId(app.next.fetch_add(1, Ordering::Relaxed));
    let token = app.tasks.token();
    upgrade
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(0)
        .max_write_buffer_size(WRITE_BUFFER)
        .max_frame_size(limits::PART)
        .max_message_size(limits::PART)
        .on_upgrade(move |socket| {
            // A task of its own: the one that shook hands is several times its size.
            let (sink, stream) = socket.split();
            tokio::spawn(async move {
                socket::serve(sink, stream, app.hub, (session, peer), nonce).await;
                drop((token, caller));
            });
            std::future::ready(())
        })
}

async fn listen(address: SocketAddr) -> Result<TcpListener, ServerError> {
    TcpListener::bind(address).await.map_err(|cause| match cause.kind() {
        std::io::ErrorKind::AddrInUse => ServerError::AddressInUse(address),
        _ => ServerError::Listen { address, cause },
    })
}

fn new_identity() -> Result<Identity, ServerError> {
    let mut bytes = [0; 40];
    getrandom::fill(&mut bytes).map_err(|error| ServerError::System(error.to_string()))?;
    let (relay, generation) = bytes.split_at(32);
    let relay = RelayId::try_from(relay).map_err(|e| ServerError::System(e.to_string()))?;
    let generation = generation.try_into().map_or(0, u64::from_be_bytes);
    Ok(Identity { relay, generation })
}
