//! A device's socket, over the network.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use sync_protocol::codec::{Assembler, parts};
use sync_protocol::error::Rejection;
use sync_protocol::frames::{Challenge, ClientFrame, RelayFrame};
use sync_protocol::limits;
#[cfg(target_os = "linux")]
use tokio::io::AsyncReadExt as _;
#[cfg(target_os = "linux")]
use tokio::net::TcpSocket;
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use super::Device;

pub struct Socket {
    pub ws: WebSocketStream<TcpStream>,
    assembler: Assembler,
}

impl Socket {
    pub async fn dial(address: SocketAddr) -> Option<Self> {
        Self::dial_with(address, "").await
    }

    /// The same with this query.
    pub async fn dial_with(address: SocketAddr, query: &str) -> Option<Self> {
        Self::over(TcpStream::connect(address).await.ok()?, address, query).await
    }

    /// The same from one of this machine's own addresses.
    #[cfg(target_os = "linux")]
    pub async fn dial_from(from: [u8; 4], address: SocketAddr) -> Option<Self> {
        Self::dial_from_with(from, address, "").await
    }

    /// The same with this query.
    #[cfg(target_os = "linux")]
    pub async fn dial_from_with(from: [u8; 4], address: SocketAddr, query: &str) -> Option<Self> {
        Self::over(connect_from(from, address).await?, address, query).await
    }

    async fn over(stream: TcpStream, address: SocketAddr, query: &str) -> Option<Self> {
        let url = format!("ws://{address}/v1/socket{query}");
        let (ws, _) = tokio_tungstenite::client_async(url, stream).await.ok()?;
        Some(Self { ws, assembler: Assembler::default() })
    }

    /// An open session, past its welcome.
    pub async fn open(address: SocketAddr, device: &mut Device) -> Option<Self> {
        let mut socket = Self::dial(address).await?;
        socket.greet(device).await.unwrap().then_some(socket)
    }

    /// The same from one of this machine's own addresses; or why not.
    #[cfg(target_os = "linux")]
    pub async fn open_from(
        from: [u8; 4],
        address: SocketAddr,
        device: &mut Device,
    ) -> Result<Self, Option<Rejection>> {
        let mut socket = Self::dial_from(from, address).await.ok_or(None)?;
        if socket.greet(device).await.map_err(Some)? { Ok(socket) } else { Err(None) }
    }

    /// Says hello. Whether it was let in, or the connection broke.
    pub async fn greet(&mut self, device: &mut Device) -> Result<bool, Rejection> {
        let challenge = match self.next().await {
            Some(RelayFrame::Challenge(challenge)) => challenge,
            Some(RelayFrame::Goodbye { reason }) => return Err(reason),
            Some(other) => panic!("{other:?}"),
            None => return Ok(false),
        };
        let hello = device.hello(&challenge);
        if self.send(&ClientFrame::Hello(hello)).await.is_none() {
            return Ok(false);
        }
        match self.next().await {
            Some(RelayFrame::Welcome(_)) => {
                device.fence = device.next_fence;
                device.next_fence += 1;
                Ok(true)
            }
            Some(RelayFrame::Goodbye { reason }) => Err(reason),
            Some(other) => panic!("{other:?}"),
            None => Ok(false),
        }
    }

    pub async fn challenge(&mut self) -> Option<Challenge> {
        match self.next().await? {
            RelayFrame::Challenge(challenge) => Some(challenge),
            other => panic!("{other:?}"),
        }
    }

    pub async fn send(&mut self, frame: &ClientFrame) -> Option<()> {
        for part in parts(&frame.to_bytes()) {
            self.ws.send(Message::Binary(part.into())).await.ok()?;
        }
        Some(())
    }

    /// The next frame; `None` once the socket is closed.
    pub async fn next(&mut self) -> Option<RelayFrame> {
        let patience = Duration::from_secs(60);
        loop {
            let message = tokio::time::timeout(patience, self.ws.next()).await.ok()??;
            let Message::Binary(part) = message.ok()? else { continue };
            let whole = self.assembler.push(&part, 2 * limits::MESSAGE).unwrap();
            if let Some(whole) = whole {
                return Some(RelayFrame::parse(&whole).unwrap());
            }
        }
    }
}

/// A connection from one of this machine's own addresses: 127.0.0.0/8 are all its own.
#[cfg(target_os = "linux")]
pub async fn connect_from(from: [u8; 4], address: SocketAddr) -> Option<TcpStream> {
    let socket = TcpSocket::new_v4().ok()?;
    socket.bind((from, 0).into()).ok()?;
    socket.connect(address).await.ok()
}

/// All that comes until the other side ends it.
#[cfg(target_os = "linux")]
pub async fn read_all(mut stream: TcpStream) -> String {
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}
