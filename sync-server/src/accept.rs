//! The way in: from a connection to a request, with every phase of it bounded in time, and every
//! connection counted for who is at its other end.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header};
use hyper::body::{Body as _, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;

use crate::config::Config;
use crate::deadlines::{Deadlines, TURNED_AWAY, Timed};
use crate::gather::Gather;
use crate::origins::Origins;
use crate::peers::{Network, Pace, Peer, Place, Places, Proxies, Says, Turned, read_preface};
use crate::refusals::{Refused, SharedRefusals};
use crate::tls;

/// The least that hyper accepts; given back once the socket is a WebSocket.
const HEAD_BUFFER: usize = 8 * 1024;
/// Pause after the system refused a new socket.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Connections of operators and their machines.
const OPERATORS: usize = 256;
/// Connections that are told at once that there is no place for them: more are closed untold.
const TOLD: usize = 256;

/// Who is let in. Clones are cheap.
#[derive(Clone, Debug)]
pub(crate) struct Door {
    places: Places,
    pace: Pace,
    requests: Pace,
    /// A reload puts another one here.
    said: Arc<RwLock<Arc<Said>>>,
    refusals: Arc<SharedRefusals>,
    told: Arc<Semaphore>,
    /// Whether the log was told of a proxy that the configuration doesn't know.
    wondered: Arc<AtomicBool>,
}

/// What the configuration says of who comes.
#[derive(Debug)]
struct Said {
    proxies: Proxies,
    unlimited: Vec<Network>,
    origins: Origins,
    deadlines: Deadlines,
}

impl Said {
    fn of(config: &Config) -> Self {
        Self {
            proxies: Proxies::new(config.proxies.clone()),
            unlimited: config.unlimited.clone(),
            origins: Origins::new(&config.origins),
            deadlines: Deadlines::of(&config.limits),
        }
    }

    /// Who has an address; `None` for who is not counted.
    fn peer(&self, address: IpAddr) -> Option<Peer> {
        let is_free = self.unlimited.iter().any(|network| network.has(address));
        (!is_free).then(|| Peer::of(address))
    }
}

/// A connection, as its requests see it.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    /// Where it comes from, as far as it could be told before its first request.
    address: IpAddr,
    place: Arc<Mutex<Place>>,
}

impl Door {
    pub(crate) fn new(config: &Config, refusals: Arc<SharedRefusals>) -> Self {
        Self {
            places: Places::new(config.max_connections, config.limits.connections_per_address),
            pace: Pace::new(
                config.limits.connects_per_address_per_s,
                config.limits.connects_per_address_at_once,
            ),
            requests: Pace::new(
                config.limits.http_requests_per_address_per_s,
                config.limits.http_requests_per_address_at_once,
            ),
            said: Arc::new(RwLock::new(Arc::new(Said::of(config)))),
            refusals,
            told: Arc::new(Semaphore::new(TOLD)),
            wondered: Arc::default(),
        }
    }

    /// The same for operators and their machines, on a listener of their own: a crowd of devices
    /// keeps none of them out.
    pub(crate) fn for_operators(config: &Config, refusals: Arc<SharedRefusals>) -> Self {
        Self { places: Places::new(OPERATORS, 0), ..Self::new(config, refusals) }
    }

    /// What is configured otherwise holds for whoever comes from here on; for operators there are as many
    /// places as before.
    pub(crate) fn reload(&self, config: &Config) {
        let limits = &config.limits;
        self.pace.set(limits.connects_per_address_per_s, limits.connects_per_address_at_once);
        self.requests
            .set(limits.http_requests_per_address_per_s, limits.http_requests_per_address_at_once);
        *self.said.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(Said::of(config));
    }

    /// The same for how many places there are.
    pub(crate) fn resize(&self, config: &Config) {
        self.places.resize(config.max_connections, config.limits.connections_per_address);
    }

    fn said(&self) -> Arc<Said> {
        Arc::clone(&self.said.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// How long a message on a socket may take.
    pub(crate) fn message_deadline(&self) -> Duration {
        self.said().deadlines.message
    }

    /// Connections that may be open.
    pub(crate) fn most(&self) -> usize {
        self.places.most()
    }

    /// Connections that are open.
    pub(crate) fn taken(&self) -> usize {
        self.places.taken()
    }

    /// Whether a request may open a socket, and for whom.
    ///
    /// # Errors
    /// What it is answered.
    pub(crate) fn admit(
        &self,
        caller: &Caller,
        headers: &HeaderMap,
    ) -> Result<Option<Peer>, (StatusCode, &'static str)> {
        let said = self.said();
        let address = said.proxies.asks(caller.address, headers);
        if !said.origins.admit(headers, address) {
            self.refusals.note(Refused::Origin);
            return Err((
                StatusCode::FORBIDDEN,
                "this relay does not serve pages of that origin\n",
            ));
        }
        if address == caller.address {
            self.wonder(&said, address, headers);
        }
        let peer = said.peer(address);
        if address != caller.address {
            // Who connected was a proxy: only now it is known for whom.
            self.paces(peer).map_err(|turned| self.turn(turned))?;
        }
        match peer {
            Some(peer) => {
                caller.belong(peer).map(|()| Some(peer)).map_err(|turned| self.turn(turned))
            }
            None => Ok(None),
        }
    }

    /// Says once that somebody who is not believed speaks for others: all of them count as one.
    fn wonder(&self, said: &Said, address: IpAddr, headers: &HeaderMap) {
        let speaks =
            headers.contains_key("x-forwarded-for") || headers.contains_key(header::FORWARDED);
        let is_near = address.to_canonical().is_loopback() && said.proxies.says(address).is_none();
        if speaks && is_near && !self.wondered.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                "a proxy on this machine forwards for others and is not named in [[proxies]]: \
                 whoever comes through it is not limited by address"
            );
        }
    }

    /// Whether whoever asks may ask once more now.
    fn answers(&self, caller: &Caller, headers: &HeaderMap) -> bool {
        let said = self.said();
        let address = said.proxies.asks(caller.address, headers);
        let answers = said.peer(address).is_none_or(|peer| self.requests.admits(peer));
        if !answers {
            self.refusals.note(Refused::RequestsOfPeer);
        }
        answers
    }

    fn paces(&self, peer: Option<Peer>) -> Result<(), Turned> {
        match peer {
            Some(peer) if !self.pace.admits(peer) => Err(Turned::TooFast),
            Some(_) | None => Ok(()),
        }
    }

    fn turn(&self, turned: Turned) -> (StatusCode, &'static str) {
        match turned {
            Turned::Full => {
                self.refusals.note(Refused::Connections);
                (
                    StatusCode::SERVICE_UNAVAILABLE,
                    "this relay has no place for one more connection\n",
                )
            }
            Turned::TooFast => {
                self.refusals.note(Refused::ConnectsOfPeer);
                (StatusCode::TOO_MANY_REQUESTS, "too many connections at once from this address\n")
            }
            Turned::PeerFull => {
                self.refusals.note(Refused::ConnectionsOfPeer);
                (StatusCode::TOO_MANY_REQUESTS, "too many connections from this address\n")
            }
        }
    }
}

impl Caller {
    /// Cancelled when its place is somebody else's.
    pub(crate) fn over(&self) -> CancellationToken {
        self.place.lock().unwrap_or_else(PoisonError::into_inner).over()
    }

    fn belong(&self, peer: Peer) -> Result<(), Turned> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner).belong(peer)
    }
}

/// Takes connections.
pub(crate) struct Acceptor {
    pub(crate) listener: TcpListener,
    pub(crate) tls: Option<TlsAcceptor>,
    pub(crate) router: Router,
    pub(crate) door: Door,
    pub(crate) tasks: TaskTracker,
}

impl Acceptor {
    pub(crate) async fn run(self, stop: CancellationToken) {
        loop {
            let accepted = tokio::select! {
                () = stop.cancelled() => return,
                accepted = self.listener.accept() => accepted,
            };
            let Ok((stream, from)) = accepted else {
                self.door.refusals.note(Refused::System);
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            };
            let _ = stream.set_nodelay(true);
            let (door, tls, router) = (self.door.clone(), self.tls.clone(), self.router.clone());
            let said = door.said();
            let connection = Connection { door, said, tls, from };
            match self.door.places.take() {
                Ok(place) => {
                    let served = connection.serve(stream, place, router);
                    self.tasks.spawn(until(stop.clone(), served));
                }
                Err(turned) => {
                    let answer = self.door.turn(turned);
                    let told = connection.turn_away(stream, answer);
                    self.tasks.spawn(until(stop.clone(), told));
                }
            }
        }
    }
}

async fn until(stop: CancellationToken, served: impl Future<Output = ()>) {
    tokio::select! {
        () = served => {}
        () = stop.cancelled() => {}
    }
}

/// One connection before it is a socket.
struct Connection {
    door: Door,
    /// As it was when it came.
    said: Arc<Said>,
    tls: Option<TlsAcceptor>,
    from: SocketAddr,
}

impl Connection {
    async fn serve(self, mut stream: TcpStream, mut place: Place, router: Router) {
        let mut address = self.from.ip();
        let says = self.said.proxies.says(address);
        if says == Some(Says::ProxyProtocol) {
            match timeout(self.said.deadlines.handshake, read_preface(&mut stream)).await {
                Ok(Ok(source)) => address = source.unwrap_or(address),
                Ok(Err(_)) => return self.door.refusals.note(Refused::ProxyHeader),
                Err(_) => return self.door.refusals.note(Refused::Deadline),
            }
        }
        // Whom a proxy that says so in each request speaks for is not known yet.
        let is_known = matches!(says, None | Some(Says::ProxyProtocol));
        let peer = self.said.peer(address).filter(|_| is_known);
        let paces = self.door.paces(peer);
        let belongs = paces.and_then(|()| match peer {
            Some(peer) => place.belong(peer),
            None => place.belong_to_nobody(),
        });
        if let Err(turned) = belongs {
            drop(place);
            let answer = self.door.turn(turned);
            if turned == Turned::TooFast && self.tls.is_some() {
                // To tell it would cost what it is refused for.
                return;
            }
            return self.turn_away(stream, answer).await;
        }
        let over = place.over();
        let caller = Caller { address, place: Arc::new(Mutex::new(place)) };
        let (refusals, whole) = (Arc::clone(&self.door.refusals), self.said.deadlines.whole);
        let door = self.door.clone();
        let served = self.over(stream, |request| answer(request, &door, &caller, &router));
        tokio::select! {
            served = timeout(whole, served) => {
                if served.is_err() {
                    refusals.note(Refused::Deadline);
                }
            }
            () = over.cancelled() => refusals.note(Refused::Connections),
        }
    }

    /// Tells somebody why there is no place, if they listen.
    async fn turn_away(self, stream: TcpStream, (status, why): (StatusCode, &'static str)) {
        let told = Arc::clone(&self.door.told);
        let Ok(_told) = told.try_acquire_owned() else { return };
        let served = self.over(stream, |_| async move { Ok(refusal(status, why)) });
        let _ = timeout(TURNED_AWAY, served).await;
    }

    /// Serves HTTP, through TLS where that is on.
    async fn over<F, A>(self, stream: TcpStream, answer: F)
    where
        F: Fn(Request<Incoming>) -> A,
        A: Future<Output = Result<Response<Body>, Infallible>> + Send + 'static,
    {
        let deadlines = self.said.deadlines;
        let refused = match self.tls {
            None => serve_http(stream, deadlines, answer).await,
            Some(tls) => match timeout(deadlines.handshake, tls.accept(stream)).await {
                // An authority has seen by now what it came for.
                Ok(Ok(stream)) if tls::is_proof(&stream) => None,
                Ok(Ok(stream)) => serve_http(stream, deadlines, answer).await,
                Ok(Err(error)) => {
                    let is_none = error.kind() == std::io::ErrorKind::InvalidData;
                    is_none.then_some(Refused::Malformed)
                }
                Err(_) => Some(Refused::Deadline),
            },
        };
        if let Some(refused) = refused {
            self.door.refusals.note(refused);
        }
    }
}

/// Answers a request. Nothing here takes a body, so none is waited for.
fn answer(
    request: Request<Incoming>,
    door: &Door,
    caller: &Caller,
    router: &Router,
) -> impl Future<Output = Result<Response<Body>, Infallible>> + Send + 'static {
    let has_body = !request.body().is_end_stream();
    let is_answered = door.answers(caller, request.headers());
    if is_answered && has_body {
        door.refusals.note(Refused::Malformed);
    }
    let mut request = request.map(Body::new);
    request.extensions_mut().insert(caller.clone());
    let router = router.clone();
    async move {
        if !is_answered {
            let why = "too many requests from this address\n";
            return Ok(refusal(StatusCode::TOO_MANY_REQUESTS, why));
        }
        if has_body {
            return Ok(refusal(StatusCode::PAYLOAD_TOO_LARGE, "a request has no body here\n"));
        }
        router.oneshot(request).await
    }
}

/// An answer after which the connection ends.
fn refusal(status: StatusCode, why: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::from(why));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

/// Serves HTTP until either side ends it. Why it did, if it was this one.
async fn serve_http<T, F, A>(stream: T, deadlines: Deadlines, answer: F) -> Option<Refused>
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    F: Fn(Request<Incoming>) -> A,
    A: Future<Output = Result<Response<Body>, Infallible>> + Send + 'static,
{
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new());
    http.header_read_timeout(deadlines.handshake).max_buf_size(HEAD_BUFFER);
    let io = TokioIo::new(Gather::new(Timed::new(stream, deadlines.write)));
    let asked = AtomicBool::new(false);
    let service = service_fn(|request| {
        asked.store(true, Ordering::Relaxed);
        answer(request)
    });
    match http.serve_connection(io, service).with_upgrades().await {
        Ok(()) => None,
        // Who was answered may leave the connection idle.
        Err(error) if error.is_timeout() => {
            (!asked.load(Ordering::Relaxed)).then_some(Refused::Deadline)
        }
        Err(error) if stalled(&error) => Some(Refused::Deadline),
        // A peer that breaks off concerns nobody else.
        Err(error) => error.is_parse().then_some(Refused::Malformed),
    }
}

/// Whether nothing was taken of what was written.
fn stalled(error: &hyper::Error) -> bool {
    let cause = std::error::Error::source(error).and_then(|cause| cause.downcast_ref());
    cause.is_some_and(|cause: &std::io::Error| cause.kind() == std::io::ErrorKind::TimedOut)
}
