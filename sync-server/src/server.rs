//! The server: listens, shakes hands, and gives each socket one task.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{Extension, RawQuery, State, WebSocketUpgrade};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use futures_util::StreamExt as _;
use metrics_exporter_prometheus::PrometheusHandle;
use sync_protocol::ids::RelayId;
use sync_protocol::limits;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::accept::{Acceptor, Caller, Door};
use crate::admin::{self, AdminError, Answers, Control};
use crate::config::Config;
use crate::data::Data;
use crate::disk::Reserve;
use crate::hub::{Health, Hub, Kept, now_ms};
use crate::log::AnyLog;
use crate::page::Page;
use crate::relay::{Identity, Relay, SessionId};
use crate::rules::TokenHash;
use crate::socket::Ends;
use crate::store::{Copier, FILE, StoreError};
pub use crate::tls::AcmeError;
use crate::tls::{Certificate, Keeper};
use crate::{disk, socket, telemetry, web};

/// Goodbyes have to be out within this time.
const DRAIN: Duration = Duration::from_secs(5);
/// How often the disk is looked at.
const LOOK: Duration = Duration::from_secs(1);
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
    /// No certificate from an authority.
    #[error("[acme]: {0}")]
    Acme(#[from] AcmeError),
    /// No web app where one should be.
    #[error("{0} has no index.html; --web names the folder of a built web app (`cargo xtask web`)")]
    Web(PathBuf),
    /// Metrics.
    #[error("metrics can't be collected: {0}")]
    Metrics(#[from] metrics_exporter_prometheus::BuildError),
    /// The operator's socket.
    #[error(transparent)]
    Admin(#[from] AdminError),
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
            | StoreError::Damaged { .. }
            | StoreError::NewerRules { .. }
            | StoreError::LogBroken { .. }
            | StoreError::LogForeign
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
    tls: Option<Certificate>,
    copier: Copier,
    operated: Option<SocketAddr>,
    /// Whether it is about to stop: balancers are told before connections end.
    leaving: Arc<AtomicBool>,
    controls: mpsc::UnboundedReceiver<Control>,
    /// Where devices come in, and then operators, if they have one of their own.
    doors: Vec<Door>,
    min_free: Arc<AtomicU64>,
}

impl Server {
    /// Opens the store and starts to listen. Must run inside a tokio runtime.
    ///
    /// # Errors
    /// What is wrong, and what to do about it.
    pub async fn start(config: &Config) -> Result<Self, ServerError> {
        let metrics = telemetry::init_metrics()?;
        let tls = Certificate::load(config)?;
        let keeper = match (&config.acme, &tls) {
            (Some(acme), Some(tls)) => Some(Keeper::new(acme, &config.data, tls.clone())?),
            _ => None,
        };
        let web = web::files(config)?;
        let listener = listen(config.listen).await?;
        let address = listener
            .local_addr()
            .map_err(|cause| ServerError::Listen { address: config.listen, cause })?;
        let (relay, room, reserve) = open(config)?;
        let (copier, min_free) = (room.copier.clone(), Arc::clone(&room.min_free));
        let (hub, thread) =
            Hub::start(relay).map_err(|error| ServerError::System(error.to_string()))?;
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let door = Door::new(config, hub.refusals());
        let leaving = Arc::new(AtomicBool::new(false));
        let app = App {
            hub: hub.clone(),
            metrics,
            tasks: tasks.clone(),
            next: Arc::new(AtomicU64::new(1)),
            door: door.clone(),
            leaving: Arc::clone(&leaving),
            tls: tls.clone(),
            page: Page::default(),
        };
        let controls = answer_operator(config, &hub, &copier, (&tasks, &stop))?;
        tasks.spawn(room.watch(reserve, hub.clone(), stop.clone()));
        let mut router = socket_routes(app.clone());
        let (mut doors, mut operated) = (vec![door.clone()], None);
        if let Some(asked) = config.operate {
            let served = Door::for_operators(config, hub.refusals());
            doors.push(served.clone());
            operated =
                serve_operators(asked, operator_routes(app), served, (&tasks, &stop)).await?;
        } else {
            router = router.merge(operator_routes(app));
        }
        if let Some(web) = web {
            router = router.fallback_service(web);
        }
        if let Some(keeper) = keeper {
            tasks.spawn(keeper.keep(stop.clone()));
        }
        let shakes = tls.as_ref().map(Certificate::acceptor);
        let acceptor = Acceptor { listener, tls: shakes, router, door, tasks: tasks.clone() };
        tasks.spawn(acceptor.run(stop.clone()));
        tracing::info!(addr = %address, "listening");
        Ok(Self {
            address,
            hub,
            thread,
            stop,
            tasks,
            tls,
            copier,
            operated,
            leaving,
            controls,
            doors,
            min_free,
        })
    }

    /// Where health and metrics are, if not where devices connect.
    #[must_use]
    pub fn operated(&self) -> Option<SocketAddr> {
        self.operated
    }

    /// Makes copies of its store while it runs.
    #[must_use]
    pub fn copier(&self) -> Copier {
        self.copier.clone()
    }

    /// The way to its hub.
    #[must_use]
    pub fn hub(&self) -> Hub {
        self.hub.clone()
    }

    /// What its operator asked of the program.
    pub async fn control(&mut self) -> Control {
        match self.controls.recv().await {
            Some(control) => control,
            None => std::future::pending().await,
        }
    }

    /// Certificates, limits, who may register, which proxies and pages are believed and how much of the disk is
    /// kept free, from here on. What is wrong with it changes nothing.
    ///
    /// # Errors
    /// What is wrong.
    pub async fn reload(&self, config: &Config) -> Result<(), ServerError> {
        if let Some(tls) = &self.tls {
            tls.reload(config)?;
        }
        let (limits, registration) = (config.limits.clone(), config.registration);
        let changed = self.hub.with(move |relay, _| {
            relay.set_settings(limits);
            relay.set_registration(registration);
        });
        self.doors.iter().for_each(|door| door.reload(config));
        if let Some(door) = self.doors.first() {
            door.resize(config);
        }
        self.min_free.store(config.min_free_bytes, Ordering::Relaxed);
        changed.await.map_err(|_| ServerError::System("the relay stops".to_owned()))
    }

    /// Says to balancers that it will stop, and takes connections still.
    pub fn leave(&self) {
        self.leaving.store(true, Ordering::Relaxed);
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
        drop((self.hub, self.copier, self.controls));
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
    leaving: Arc<AtomicBool>,
    tls: Option<Certificate>,
    page: Page,
}

/// What devices ask for.
fn socket_routes(app: App) -> Router {
    Router::new().route("/v1/socket", get(open_socket)).with_state(app)
}

/// What operators and their machines ask for.
fn operator_routes(app: App) -> Router {
    Router::new()
        .route("/healthz", get(healthy))
        .route("/readyz", get(ready))
        .route("/metrics", get(render))
        .with_state(app)
}

/// Whether it goes on. It is unhealthy while its disk does not answer.
async fn healthy(State(app): State<App>) -> Response {
    let heartbeat = app.hub.heartbeat();
    let said = format!("heartbeat {} ms ago\n", heartbeat.age_ms());
    match heartbeat.is_stuck() {
        false => said.into_response(),
        true => (StatusCode::SERVICE_UNAVAILABLE, said).into_response(),
    }
}

async fn ready(State(app): State<App>) -> Response {
    let health = app.hub.health().borrow().clone();
    if app.leaving.load(Ordering::Relaxed) {
        return (StatusCode::SERVICE_UNAVAILABLE, "draining\n").into_response();
    }
    match health {
        Health::Serving => "ready\n".into_response(),
        Health::Draining => (StatusCode::SERVICE_UNAVAILABLE, "draining\n").into_response(),
        Health::Failed(_) => (StatusCode::SERVICE_UNAVAILABLE, "failed\n").into_response(),
    }
}

async fn render(State(app): State<App>) -> Response {
    let page = app.page.look(Instant::now(), || {
        telemetry::connections(app.door.taken());
        let age = Duration::from_millis(app.hub.heartbeat().age_ms());
        let lasts_s = app.tls.as_ref().and_then(|tls| tls.lasts_s(now_ms() / 1_000));
        telemetry::at_a_look(age, app.door.most(), lasts_s);
        app.metrics.run_upkeep();
        app.metrics.render().into()
    });
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], page).into_response()
}

async fn open_socket(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
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
    let key = query.as_deref().and_then(token_in);
    let ends = Ends { within: app.door.message_deadline(), over: caller.over() };
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
                socket::serve(sink, stream, app.hub, (session, peer), (nonce, key), ends).await;
                drop((token, caller));
            });
            std::future::ready(())
        })
}

/// The token in a query: `token=...`, of letters and digits.
fn token_in(query: &str) -> Option<TokenHash> {
    let token = query.split('&').find_map(|part| part.strip_prefix("token="))?;
    let is_token = !token.is_empty() && token.len() <= 128;
    is_token.then(|| TokenHash::of(token))
}

/// Opens the relay of a data directory, and looks whether there is room for more.
fn open(config: &Config) -> Result<(Kept, Room, Reserve), ServerError> {
    let Data { store, log } =
        Data::open(&config.data).map_err(|cause| ServerError::opening(&config.data, cause))?;
    let room = Room {
        data: config.data.clone(),
        copier: store.copier(),
        min_free: Arc::new(AtomicU64::new(config.min_free_bytes)),
    };
    let log: AnyLog = Box::new(log);
    let mut relay = Relay::alone(store, log, config.limits.clone())?;
    relay.found(new_identity()?)?;
    relay.set_registration(config.registration);
    let mut reserve = Reserve::new(config.min_free_bytes);
    if let Some(is_full) = room.look(&mut reserve) {
        relay.set_full(is_full);
    }
    Ok((relay, room, reserve))
}

/// Answers what the operator asks on this machine; gives what is asked of the program itself.
fn answer_operator(
    config: &Config,
    hub: &Hub,
    copier: &Copier,
    (tasks, stop): (&TaskTracker, &CancellationToken),
) -> Result<mpsc::UnboundedReceiver<Control>, ServerError> {
    let (control, controls) = mpsc::unbounded_channel();
    let (hub, copier, heartbeat) = (hub.clone(), copier.clone(), hub.heartbeat());
    let answers = Answers { hub, copier, heartbeat, control };
    match (admin::listen(&config.admin_socket(), answers, stop.clone()), &config.admin) {
        (Ok(serves), _) => {
            tasks.spawn(serves);
        }
        (Err(error), Some(_)) => return Err(error.into()),
        // Nobody asked for it: a long path, say, keeps no relay from serving.
        (Err(error), None) => tracing::warn!(%error, "nobody can ask this relay"),
    }
    Ok(controls)
}

/// Serves health and metrics at an address of their own; gives where that is.
async fn serve_operators(
    asked: SocketAddr,
    router: Router,
    door: Door,
    (tasks, stop): (&TaskTracker, &CancellationToken),
) -> Result<Option<SocketAddr>, ServerError> {
    let listener = listen(asked).await?;
    let address = listener.local_addr().ok();
    let acceptor = Acceptor { listener, tls: None, router, door, tasks: tasks.clone() };
    // It answers until the end: that connections end is seen here.
    tasks.spawn(acceptor.run(stop.clone()));
    tracing::info!(addr = %address.unwrap_or(asked), "health and metrics");
    Ok(address)
}

/// Looks after room on the disk.
struct Room {
    data: PathBuf,
    copier: Copier,
    min_free: Arc<AtomicU64>,
}

impl Room {
    /// Looks once; gives whether the disk is full, if that changed.
    fn look(&self, reserve: &mut Reserve) -> Option<bool> {
        reserve.set(self.min_free.load(Ordering::Relaxed));
        let free = disk::free_bytes(&self.data);
        let changed = free.and_then(|free| reserve.note(free));
        let (file, on_disk) = (self.copier.file_bytes(), self.copier.disk_bytes());
        telemetry::disk(free, reserve.is_full(), file, on_disk);
        match changed {
            Some(true) => {
                tracing::error!(free, "the disk is full to its reserve: nothing new is taken")
            }
            Some(false) => tracing::info!(free, "the disk has room again"),
            None => {}
        }
        changed
    }

    async fn watch(self, mut reserve: Reserve, hub: Hub, stop: CancellationToken) {
        let mut every = tokio::time::interval(LOOK);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = every.tick() => {}
            }
            if let Some(is_full) = self.look(&mut reserve)
                && hub.with(move |relay, _| relay.set_full(is_full)).await.is_err()
            {
                return;
            }
        }
    }
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
