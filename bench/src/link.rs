//! The way from an author to a relay: over a socket as clients have it, or straight to the hub.

use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use axum::body::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use sync_protocol::codec::{Assembler, parts_up};
use sync_protocol::frames::{ClientFrame, Delivery, RelayFrame};
use sync_protocol::ids::SpaceId;
use sync_protocol::limits;
use sync_server::hub::{Hub, Outgoing, Place};
use sync_server::relay::{Incoming, SessionId, Settings};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, client_async_with_config};

use crate::author::{Author, push};
use crate::{Outcome, failed};

/// No answer for so long means that there will be none.
const PATIENCE: Duration = Duration::from_secs(60);

/// Whole frames to and from a relay.
pub(crate) trait Link: Send {
    /// Sends a frame.
    fn send(&mut self, frame: ClientFrame) -> impl Future<Output = Outcome<()>> + Send;
    /// The next frame.
    fn next(&mut self) -> impl Future<Output = Outcome<RelayFrame>> + Send;
}

/// A WebSocket, encrypted or not.
pub(crate) type WebSocket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Opens a WebSocket; with a connector, an encrypted one to `localhost`.
pub(crate) async fn web_socket(
    address: SocketAddr,
    path: &str,
    tls: Option<&TlsConnector>,
) -> Outcome<WebSocket> {
    web_socket_over(TcpStream::connect(address).await?, path, tls).await
}

/// A connection from one of this machine's own addresses.
pub(crate) async fn connect_from(from: Ipv4Addr, relay: SocketAddr) -> Outcome<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((from, 0).into())?;
    Ok(socket.connect(relay).await?)
}

async fn web_socket_over(
    tcp: TcpStream,
    path: &str,
    tls: Option<&TlsConnector>,
) -> Outcome<WebSocket> {
    tcp.set_nodelay(true)?;
    let stream = match tls {
        None => MaybeTlsStream::Plain(tcp),
        Some(tls) => {
            let name = ServerName::try_from("localhost")?;
            MaybeTlsStream::Rustls(tls.connect(name, tcp).await?)
        }
    };
    let config = WebSocketConfig::default().read_buffer_size(8 * 1024);
    let url = format!("ws://localhost{path}");
    Ok(client_async_with_config(url, stream, Some(config)).await?.0)
}

/// The next message of a socket.
pub(crate) async fn message(socket: &mut WebSocket) -> Outcome<Bytes> {
    patiently("a message", binary(socket)).await
}

/// Pings and the like keep a socket open, but answer nothing.
async fn binary(socket: &mut WebSocket) -> Outcome<Bytes> {
    loop {
        let message = socket.next().await;
        let message = message.ok_or_else(|| failed("the server closed the socket"))??;
        if let Message::Binary(bytes) = message {
            return Ok(bytes);
        }
    }
}

/// Waits for the whole of something, and no longer than makes sense.
async fn patiently<T>(what: &str, coming: impl Future<Output = Outcome<T>>) -> Outcome<T> {
    match tokio::time::timeout(PATIENCE, coming).await {
        Ok(done) => done,
        Err(_) => Err(failed(format!("{what} did not come within {} s", PATIENCE.as_secs()))),
    }
}

/// A socket that speaks the relay's protocol.
pub(crate) struct Wire {
    socket: WebSocket,
    assembler: Assembler,
}

impl Wire {
    /// Connects to a relay.
    pub(crate) async fn open(address: SocketAddr, tls: Option<&TlsConnector>) -> Outcome<Self> {
        let socket = web_socket(address, "/v1/socket", tls).await?;
        Ok(Self { socket, assembler: Assembler::default() })
    }

    /// The same from one of this machine's own addresses.
    pub(crate) async fn open_from(from: Ipv4Addr, relay: SocketAddr) -> Outcome<Self> {
        let tcp = connect_from(from, relay).await?;
        let socket = web_socket_over(tcp, "/v1/socket", None).await?;
        Ok(Self { socket, assembler: Assembler::default() })
    }

    /// Asks whether the other side is there.
    pub(crate) async fn ping(&mut self) -> Outcome<()> {
        Ok(self.socket.send(Message::Ping(Bytes::from_static(&[7; 100]))).await?)
    }
}

impl Link for Wire {
    async fn send(&mut self, frame: ClientFrame) -> Outcome<()> {
        for part in parts_up(&frame.to_bytes()) {
            self.socket.feed(Message::Binary(part.into())).await?;
        }
        Ok(self.socket.flush().await?)
    }

    async fn next(&mut self) -> Outcome<RelayFrame> {
        let whole = async {
            loop {
                let part = binary(&mut self.socket).await?;
                if let Some(whole) = self.assembler.push(&part, limits::MESSAGE)? {
                    return Ok(RelayFrame::parse(&whole)?);
                }
            }
        };
        patiently("a frame", whole).await
    }
}

/// What a relay may be asked for here: as much as it can do.
pub(crate) fn unbounded() -> Settings {
    Settings {
        push_envelopes_per_s: 0,
        push_bytes_per_s: 0,
        foundings_per_s: 0,
        sign_ups_per_s: 0,
        work_us_per_s: 0,
        stored_mib_per_account: 0,
        stored_mib_per_day: 0,
        delivered_bytes_per_s: 0,
        ..Settings::default()
    }
}

/// A place at a hub of this process, without a socket.
pub(crate) struct Seat {
    hub: Hub,
    place: Place,
}

impl Seat {
    /// Takes a place. Session ids must not be used twice.
    pub(crate) async fn take(hub: &Hub, session: u64) -> Outcome<Self> {
        let mut nonce = [1; 32];
        nonce[..8].copy_from_slice(&session.to_be_bytes());
        let place = hub.connect(SessionId(session), nonce).await;
        Ok(Self { hub: hub.clone(), place: place.map_err(|_| failed("the hub is gone"))? })
    }
}

impl Link for Seat {
    async fn send(&mut self, frame: ClientFrame) -> Outcome<()> {
        let bytes = match &frame {
            ClientFrame::Push(push) => push.envelopes.iter().map(|one| one.0.len()).sum(),
            _ => 256,
        };
        let mut frame = Incoming::from(frame);
        if let Some(speaker) = self.place.shared.speaker() {
            // As a socket does: the hub does not do it again.
            frame.verify(speaker);
        }
        let place = (self.place.session, &*self.place.shared);
        let sent = self.hub.frame(place, Box::new(frame), bytes).await;
        sent.map_err(|_| failed("the hub is gone"))
    }

    async fn next(&mut self) -> Outcome<RelayFrame> {
        let next = async { Ok(self.place.out.recv().await) };
        let Some(Outgoing::Frame(frame)) = patiently("a frame", next).await? else {
            return Err(failed("the hub ended the session"));
        };
        self.place.shared.sent(frame.len());
        Ok(RelayFrame::parse(&frame.whole())?)
    }
}

/// Answers the challenge and waits until the device is up to date.
pub(crate) async fn open(link: &mut impl Link, author: &mut Author) -> Outcome<()> {
    loop {
        match link.next().await? {
            RelayFrame::Challenge(challenge) => link.send(author.hello(&challenge)).await?,
            RelayFrame::Delivery(Delivery::UpToDate { cursor, .. }) => {
                author.note(cursor);
                return Ok(());
            }
            RelayFrame::Goodbye { reason } => return Err(failed(format!("goodbye: {reason}"))),
            _ => {}
        }
    }
}

/// Founds a space and waits until it is stored.
pub(crate) async fn found(
    link: &mut impl Link,
    author: &mut Author,
    space: SpaceId,
    others: &[&Author],
) -> Outcome<()> {
    for frame in author.found(space, others) {
        link.send(frame).await?;
        stored(link).await?;
    }
    Ok(())
}

/// Pushes one change set and waits until it is stored.
pub(crate) async fn write(
    link: &mut impl Link,
    author: &mut Author,
    space: SpaceId,
    payload: usize,
) -> Outcome<()> {
    let envelope = author.content(space, payload);
    link.send(push(space, vec![envelope])).await?;
    stored(link).await.map(drop)
}

/// Waits for the next confirmation; how many envelopes it covers.
pub(crate) async fn stored(link: &mut impl Link) -> Outcome<u64> {
    loop {
        match link.next().await? {
            RelayFrame::Stored(stored) => return Ok(stored.runs.iter().map(|run| run.count).sum()),
            RelayFrame::Refused { reason, .. } => return Err(failed(format!("refused: {reason}"))),
            RelayFrame::Goodbye { reason } => return Err(failed(format!("goodbye: {reason}"))),
            _ => {}
        }
    }
}

/// Pushes frames of one envelope each, with at most `window` of them under way, until all are
/// stored.
pub(crate) async fn write_all(
    link: &mut impl Link,
    frames: Vec<ClientFrame>,
    window: u64,
) -> Outcome<()> {
    let total = frames.len() as u64;
    let (mut sent, mut done) = (0, 0);
    let mut frames = frames.into_iter();
    while done < total {
        while sent - done < window
            && let Some(frame) = frames.next()
        {
            link.send(frame).await?;
            sent += 1;
        }
        done += stored(link).await?;
    }
    Ok(())
}
