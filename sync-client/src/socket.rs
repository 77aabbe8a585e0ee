//! One connection to the relay: whole messages in and out, in parts of bounded size.
//!
//! Nothing here decides anything: the engine says when to connect, when to give up and how long to
//! wait. A socket ends by itself when the relay does, or when nothing is heard for a while.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt as _, StreamExt as _};
use sync_core::host;
use sync_protocol::codec::{Assembler, parts_up};
use sync_protocol::limits;
use tokio::net::TcpStream;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_rustls::rustls::ClientConfig;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::error::{Error as WsError, ProtocolError, TlsError};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{Connector, MaybeTlsStream, WebSocketStream, client_async_tls_with_config};

use crate::proxy::Hop;
use crate::relay_url::RelayUrl;
use crate::tls;

type Stream = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// How often a quiet connection is asked whether it lives.
const PING: Duration = Duration::from_secs(20);
/// A connection that says nothing for this long is dead.
const SILENCE: Duration = Duration::from_secs(60);
/// How long a goodbye may take.
const CLOSE: Duration = Duration::from_secs(1);
/// Bytes read and written at once.
const BUFFER: usize = 2 * limits::PART;
/// Bytes that may wait for a slow relay before the connection is given up.
const SEND_QUEUE: usize = 16 * 1024 * 1024;
/// Bytes received that may wait for the engine. More than a relay sends without being granted more.
const RECEIVE_QUEUE: usize = 2 * 1024 * 1024;

/// Why there is no connection.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConnectError {
    /// Nothing answers there.
    #[error("the relay can't be reached ({0})")]
    Unreachable(String),
    /// It took too long.
    #[error("the relay doesn't answer in time")]
    Timeout,
    /// The proxy doesn't lead to the relay.
    #[error("the proxy doesn't lead to the relay ({0})")]
    Proxy(String),
    /// The relay can't prove who it is.
    #[error("the relay can't be trusted ({0})")]
    Untrusted(String),
    /// Something else answers there.
    #[error("what answers there is not a relay ({0})")]
    NotARelay(String),
    /// The connection broke.
    #[error("the connection broke ({0})")]
    Broken(String),
}

/// What happens on a socket.
#[derive(Debug)]
pub(crate) enum Happening {
    /// It is open.
    Opened,
    /// A whole message. The permit gives back its room when the engine has taken it.
    Message(Vec<u8>, Option<OwnedSemaphorePermit>),
    /// It is closed, or did not open; `None` after an orderly end.
    Closed(Option<ConnectError>),
}

impl Happening {
    /// The same for the engine's loop, and the room that it takes.
    pub(crate) fn parted(self) -> (host::Happening<ConnectError>, Option<OwnedSemaphorePermit>) {
        match self {
            Self::Opened => (host::Happening::Opened, None),
            Self::Message(message, room) => (host::Happening::Message(message), room),
            Self::Closed(problem) => (host::Happening::Closed(problem), None),
        }
    }
}

/// How to connect.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// Where.
    pub(crate) url: RelayUrl,
    /// How, where the address says `wss`.
    pub(crate) tls: Option<Arc<ClientConfig>>,
    /// Through which proxy, if any.
    pub(crate) hop: Option<Hop>,
    /// How long opening may take.
    pub(crate) connect_timeout: Duration,
}

/// A connection, or an attempt at one. Dropping it says goodbye and closes it.
#[derive(Debug)]
pub(crate) struct Socket {
    queue: UnboundedSender<Vec<u8>>,
    queued: Arc<AtomicUsize>,
    overflow: Arc<Notify>,
    task: JoinHandle<()>,
}

impl Socket {
    /// Starts to connect; `happen` is told of everything, ending with one `Closed`.
    pub(crate) fn open(
        runtime: &tokio::runtime::Handle,
        target: Target,
        happen: impl Fn(Happening) + Send + Sync + 'static,
    ) -> Self {
        let (queue, waiting) = unbounded_channel();
        let queued = Arc::new(AtomicUsize::new(0));
        let overflow = Arc::new(Notify::new());
        let outgoing = Outgoing { waiting, queued: queued.clone() };
        let overflowed = overflow.clone();
        let task = runtime.spawn(async move {
            let end = tokio::select! {
                end = run(&target, outgoing, &happen) => end,
                () = overflowed.notified() => {
                    Err(ConnectError::Broken("it takes nothing more".to_owned()))
                }
            };
            happen(Happening::Closed(end.err()));
        });
        Self { queue, queued, overflow, task }
    }

    /// Queues a whole message. A relay that takes nothing for too long loses the connection.
    pub(crate) fn send(&self, message: Vec<u8>) {
        let waiting = self.queued.fetch_add(message.len(), Ordering::Relaxed) + message.len();
        if waiting > SEND_QUEUE {
            self.overflow.notify_one();
        } else {
            // A closed queue means a closed socket, of which the host is told anyway.
            let _ = self.queue.send(message);
        }
    }

    /// Sends what is queued and says goodbye; the task ends when that is done.
    pub(crate) fn finish(self) -> JoinHandle<()> {
        self.task
    }
}

struct Outgoing {
    waiting: UnboundedReceiver<Vec<u8>>,
    queued: Arc<AtomicUsize>,
}

async fn run(
    target: &Target,
    outgoing: Outgoing,
    happen: &(impl Fn(Happening) + Sync),
) -> Result<(), ConnectError> {
    let opened = timeout(target.connect_timeout, open(target)).await;
    let (sink, stream) = opened.map_err(|_| ConnectError::Timeout)??.split();
    happen(Happening::Opened);
    tokio::select! {
        end = write(sink, outgoing) => end,
        end = read(stream, happen) => end,
    }
    .map_err(|error| explain(&error))
}

async fn open(target: &Target) -> Result<Stream, ConnectError> {
    let unreachable = |error: std::io::Error| ConnectError::Unreachable(error.to_string());
    let tcp = match &target.hop {
        Some(hop) => hop.open(&target.url).await?,
        None => {
            TcpStream::connect((target.url.host(), target.url.port())).await.map_err(unreachable)?
        }
    };
    // Parts are small and urgent; without this each waits for the acknowledgement of the last.
    tcp.set_nodelay(true).map_err(unreachable)?;
    let config = WebSocketConfig::default()
        .read_buffer_size(BUFFER)
        .write_buffer_size(BUFFER)
        .max_write_buffer_size(4 * BUFFER)
        .max_message_size(Some(limits::PART))
        .max_frame_size(Some(limits::PART));
    let connector = target.tls.clone().map_or(Connector::Plain, Connector::Rustls);
    let opened =
        client_async_tls_with_config(target.url.socket(), tcp, Some(config), Some(connector)).await;
    match opened {
        Ok((stream, _)) => Ok(stream),
        Err(WsError::Http(response)) => Err(ConnectError::NotARelay(response.status().to_string())),
        Err(error) => Err(explain(&error)),
    }
}

async fn write(
    mut sink: SplitSink<Stream, Message>,
    mut outgoing: Outgoing,
) -> Result<(), WsError> {
    let mut ping = interval(PING);
    ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            message = outgoing.waiting.recv() => {
                let Some(message) = message else { break };
                feed(&mut sink, &outgoing.queued, &message).await?;
                while let Ok(message) = outgoing.waiting.try_recv() {
                    feed(&mut sink, &outgoing.queued, &message).await?;
                }
                sink.flush().await?;
            }
            _ = ping.tick() => sink.send(Message::Ping(Bytes::new())).await?,
        }
    }
    let _ = timeout(CLOSE, sink.close()).await;
    Ok(())
}

async fn feed(
    sink: &mut SplitSink<Stream, Message>,
    queued: &AtomicUsize,
    message: &[u8],
) -> Result<(), WsError> {
    for part in parts_up(message) {
        sink.feed(Message::Binary(part.into())).await?;
    }
    queued.fetch_sub(message.len(), Ordering::Relaxed);
    Ok(())
}

async fn read(
    mut stream: SplitStream<Stream>,
    happen: &(impl Fn(Happening) + Sync),
) -> Result<(), WsError> {
    let room = Arc::new(Semaphore::new(RECEIVE_QUEUE));
    let mut assembler = Assembler::default();
    loop {
        let silent = || WsError::Io(std::io::ErrorKind::TimedOut.into());
        let Some(received) = timeout(SILENCE, stream.next()).await.map_err(|_| silent())? else {
            return Ok(());
        };
        match received? {
            Message::Binary(part) => {
                let whole = assembler.push(&part, limits::MESSAGE).map_err(not_a_relay)?;
                if let Some(message) = whole {
                    let size = u32::try_from(message.len()).unwrap_or(u32::MAX);
                    let permit = room.clone().acquire_many_owned(size).await.ok();
                    happen(Happening::Message(message, permit));
                }
            }
            Message::Text(_) => return Err(not_a_relay("text")),
            Message::Close(_) => return Ok(()),
            Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
        }
    }
}

fn not_a_relay(what: impl ToString) -> WsError {
    WsError::Utf8(what.to_string())
}

fn explain(error: &WsError) -> ConnectError {
    if let WsError::Io(cause) = error
        && let Some(cause) = tls_cause(cause)
    {
        return tls::explain(cause);
    }
    match error {
        WsError::Tls(TlsError::Rustls(cause)) => tls::explain(cause),
        WsError::Tls(cause) => ConnectError::Untrusted(cause.to_string()),
        WsError::Protocol(ProtocolError::ResetWithoutClosingHandshake) => {
            ConnectError::Broken("it ended without a word".to_owned())
        }
        WsError::Protocol(cause) => ConnectError::NotARelay(cause.to_string()),
        WsError::Capacity(cause) => ConnectError::NotARelay(cause.to_string()),
        WsError::Utf8(cause) => ConnectError::NotARelay(cause.clone()),
        WsError::HttpFormat(cause) => ConnectError::NotARelay(cause.to_string()),
        other => ConnectError::Broken(other.to_string()),
    }
}

/// TLS failures arrive wrapped in a system error.
fn tls_cause(error: &std::io::Error) -> Option<&tokio_rustls::rustls::Error> {
    error.get_ref()?.downcast_ref()
}

#[cfg(test)]
mod tests;
