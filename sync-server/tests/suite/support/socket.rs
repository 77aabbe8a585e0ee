//! A device's socket, over the network.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use sync_protocol::codec::{Assembler, parts};
use sync_protocol::frames::{Challenge, ClientFrame, RelayFrame};
use sync_protocol::limits;
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
        let stream = TcpStream::connect(address).await.ok()?;
        let url = format!("ws://{address}/v1/socket");
        let (ws, _) = tokio_tungstenite::client_async(url, stream).await.ok()?;
        Some(Self { ws, assembler: Assembler::default() })
    }

    /// An open session, past its welcome.
    pub async fn open(address: SocketAddr, device: &mut Device) -> Option<Self> {
        let mut socket = Self::dial(address).await?;
        let challenge = socket.challenge().await?;
        let hello = device.hello(&challenge);
        socket.send(&ClientFrame::Hello(hello)).await?;
        match socket.next().await? {
            RelayFrame::Welcome(_) => {
                device.fence = device.next_fence;
                device.next_fence += 1;
                Some(socket)
            }
            other => panic!("{other:?}"),
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
