//! The floor for a relay: a bare axum WebSocket server that writes each message to redb before it
//! hands it on, with group commit, and does nothing else.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::body::Bytes;
use axum::extract::ws::{Message, WebSocket};
use axum::extract::{State, WebSocketUpgrade};
use axum::response::Response;
use axum::routing::get;
use futures_util::{SinkExt as _, StreamExt as _};
use redb::{Database, Durability, TableDefinition};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use crate::{Outcome, failed, link};

const MESSAGES: TableDefinition<'static, u64, &[u8]> = TableDefinition::new("messages");
const QUEUE: usize = 4096;
const BATCH: usize = 1024;
/// What tells a sender that its message is durable.
pub(crate) const STORED: &[u8] = b"+";
/// What tells a socket that it hears whatever comes from now on. The handshake ends earlier, and
/// what is handed on in between would be waited for in vain.
const READY: &[u8] = b"!";

/// The path of sockets that hear everybody.
pub(crate) const ALL: &str = "/v1/socket";
/// The path of sockets that hear only that their own messages are durable.
pub(crate) const OWN: &str = "/v1/own";

/// Where a socket's messages go out, and whether it hears others.
struct Ear {
    out: mpsc::UnboundedSender<Bytes>,
    hears_others: bool,
}

enum Event {
    Opened(u64, Ear),
    Message(u64, Bytes),
    Closed(u64),
}

#[derive(Clone)]
struct App {
    events: mpsc::Sender<Event>,
    next: Arc<AtomicU64>,
}

/// Serves until killed.
///
/// # Errors
/// If the store or the address can't be used.
pub async fn serve(listen: SocketAddr, data: &Path) -> Outcome<()> {
    std::fs::create_dir_all(data)?;
    let database = Database::create(data.join("echo.redb"))?;
    let (events, queue) = mpsc::channel(QUEUE);
    let writer = std::thread::Builder::new().name("echo".to_owned());
    let writer = writer.spawn(move || write(&database, queue))?;
    let app = App { events, next: Arc::new(AtomicU64::new(1)) };
    let router = Router::new()
        .route(ALL, get(open))
        .route(OWN, get(open_own))
        .route("/healthz", get(|| async { "ok\n" }))
        .with_state(app);
    let listener = TcpListener::bind(listen).await?;
    axum::serve(listener, router).await?;
    writer.join().map_err(|_| failed("the echo's writer panicked"))?
}

/// Takes what waits, makes it durable in one transaction, and hands it on.
fn write(database: &Database, mut queue: mpsc::Receiver<Event>) -> Outcome<()> {
    let mut sockets: BTreeMap<u64, Ear> = BTreeMap::new();
    let mut batch = Vec::new();
    let mut position = 0u64;
    while queue.blocking_recv_many(&mut batch, BATCH) > 0 {
        let mut transaction = database.begin_write()?;
        transaction.set_quick_repair(true);
        transaction.set_durability(Durability::Immediate)?;
        let mut messages = Vec::new();
        let mut table = transaction.open_table(MESSAGES)?;
        for event in batch.drain(..) {
            match event {
                Event::Opened(id, ear) => {
                    // Whoever is gone says so in a moment.
                    let _ = ear.out.send(Bytes::from_static(READY));
                    sockets.insert(id, ear);
                }
                Event::Closed(id) => drop(sockets.remove(&id)),
                Event::Message(id, message) => {
                    table.insert(position, message.as_ref())?;
                    position += 1;
                    messages.push((id, message));
                }
            }
        }
        drop(table);
        if messages.is_empty() {
            transaction.abort()?;
        } else {
            transaction.commit()?;
        }
        for (id, message) in messages {
            for (socket, ear) in sockets.iter().filter(|(s, ear)| **s == id || ear.hears_others) {
                let bytes =
                    if *socket == id { Bytes::from_static(STORED) } else { message.clone() };
                // Whoever is gone says so in a moment.
                let _ = ear.out.send(bytes);
            }
        }
    }
    Ok(())
}

/// Opens a socket to an echo; once this returns, nothing is missed.
pub(crate) async fn join(address: SocketAddr, path: &str) -> Outcome<link::WebSocket> {
    let mut socket = link::web_socket(address, path, None).await?;
    match link::message(&mut socket).await?.as_ref() {
        READY => Ok(socket),
        _ => Err(failed("the echo does not greet")),
    }
}

async fn open(State(app): State<App>, upgrade: WebSocketUpgrade) -> Response {
    upgrade.on_upgrade(move |socket| connection(socket, app, true))
}

async fn open_own(State(app): State<App>, upgrade: WebSocketUpgrade) -> Response {
    upgrade.on_upgrade(move |socket| connection(socket, app, false))
}

async fn connection(socket: WebSocket, app: App, hears_others: bool) {
    let id = app.next.fetch_add(1, Ordering::Relaxed);
    let (sender, mut out) = mpsc::unbounded_channel();
    if app.events.send(Event::Opened(id, Ear { out: sender, hears_others })).await.is_err() {
        return;
    }
    let (mut sink, mut stream) = socket.split();
    let read = async {
        while let Some(Ok(message)) = stream.next().await {
            if let Message::Binary(bytes) = message
                && app.events.send(Event::Message(id, bytes)).await.is_err()
            {
                return;
            }
        }
    };
    let write = async {
        while let Some(bytes) = out.recv().await {
            if sink.feed(Message::Binary(bytes)).await.is_err() {
                return;
            }
            if out.is_empty() && sink.flush().await.is_err() {
                return;
            }
        }
    };
    tokio::select! { () = read => {}, () = write => {} }
    let _ = app.events.send(Event::Closed(id)).await;
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use tokio::net::TcpStream;
    use tokio_tungstenite::tungstenite;

    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn whoever_has_joined_misses_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let free = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let data = directory.path().to_owned();
        let serving = tokio::spawn(async move { serve(address, &data).await });
        while TcpStream::connect(address).await.is_err() {
            assert!(!serving.is_finished());
            tokio::task::yield_now().await;
        }
        for _ in 0..50 {
            let mut readers = Vec::new();
            for _ in 0..7 {
                readers.push(join(address, ALL).await.unwrap());
            }
            let mut writer = join(address, ALL).await.unwrap();
            writer.send(tungstenite::Message::Binary(Bytes::from_static(b"one"))).await.unwrap();
            for reader in &mut readers {
                assert_eq!(link::message(reader).await.unwrap().as_ref(), b"one");
            }
        }
        serving.abort();
    }
}
