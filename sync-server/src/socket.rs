//! One socket: messages in parts on one side, the hub on the other. Reading and writing go on side
//! by side in one task; neither holds more than a few KiB while the socket is idle.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::ws::{Message, WebSocket};
use bytes::Bytes;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt as _, StreamExt as _};
use sync_protocol::ProtocolError;
use sync_protocol::error::Rejection;
use sync_protocol::limits;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::deadlines::{Controls, GOODBYE, PING, SILENCE, WRITE};
use crate::hub::{Hub, Outgoing, Place, Shared};
use crate::inflow::{Arrived, Inflow};
use crate::peers::Peer;
use crate::refusals::Refused;
use crate::relay::{Frame, Incoming, SessionId};
use crate::rules::TokenHash;
use crate::telemetry;

/// Bytes of messages after which a flush is due.
const TOGETHER: usize = limits::CHUNK;

/// What ends a socket from outside.
pub(crate) struct Ends {
    /// How long a message may take.
    pub(crate) within: Duration,
    /// Its place is somebody else's.
    pub(crate) over: CancellationToken,
}

/// Serves a socket until either side ends it.
pub(crate) async fn serve(
    sink: SplitSink<WebSocket, Message>,
    stream: SplitStream<WebSocket>,
    hub: Hub,
    (session, peer): (SessionId, Option<Peer>),
    (nonce, token): ([u8; 32], Option<TokenHash>),
    ends: Ends,
) {
    let Ok(place) = hub.connect_from(session, peer, nonce).await else { return };
    if let Some(token) = token
        && hub.present(session, token).await.is_err()
    {
        return;
    }
    let Place { session, out, shared } = place;
    tokio::select! {
        () = read(stream, &hub, session, &shared, ends.within) => {}
        () = write(sink, out, &hub, &shared) => {}
        () = shared.ended() => {}
        () = ends.over.cancelled() => hub.refused(Refused::Connections),
    }
    hub.disconnect(session).await;
}

/// Why nothing more is read from a socket.
enum Stop {
    /// It closed, or broke.
    Gone,
    /// Nothing came for long.
    Silent,
    /// What came is of no use.
    Bad(Refused, Rejection),
    /// The relay ends: the writer says so.
    HubGone,
}

impl Stop {
    const MALFORMED: Self = Self::Bad(Refused::Malformed, Rejection::Invalid);

    fn of(error: &ProtocolError) -> Self {
        match error {
            ProtocolError::TooLarge { limit, .. } => {
                Self::Bad(Refused::Malformed, Rejection::TooLarge { limit: *limit as u64 })
            }
            _ => Self::MALFORMED,
        }
    }
}

async fn read(
    mut stream: SplitStream<WebSocket>,
    hub: &Hub,
    session: SessionId,
    shared: &Shared,
    within: Duration,
) {
    let Err(stop) = take_in(&mut stream, hub, (session, shared), within).await;
    match stop {
        Stop::Gone => {}
        Stop::Silent => telemetry::closed("silent"),
        Stop::Bad(why, reason) => {
            hub.refused(why);
            end(hub, session, reason).await;
        }
        Stop::HubGone => std::future::pending().await,
    }
}

/// Hands message after message to the hub, until there is a reason to stop.
async fn take_in(
    stream: &mut SplitStream<WebSocket>,
    hub: &Hub,
    (session, shared): (SessionId, &Shared),
    within: Duration,
) -> Result<Infallible, Stop> {
    let mut whole = Whole::default();
    let mut controls = Controls::new(Instant::now());
    loop {
        // Who does not take what it asked for can't ask for more.
        shared.waiting.little().await;
        let message = next(stream, whole.due).await?;
        if shared.is_over() {
            // What it was told last would be lost if nobody took in what it says.
            continue;
        }
        let Some(part) = part_of(message, &mut controls)? else { continue };
        let taken = whole.take(&part, shared, within).map_err(|error| Stop::of(&error))?;
        drop(part);
        let Some((frame, size)) = taken else { continue };
        let frame = hub.verified(frame, shared).await.map_err(|_| Stop::HubGone)?;
        let handed = hub.frame((session, shared), Box::new(frame), size).await;
        handed.map_err(|_| Stop::HubGone)?;
        whole.is_handed_on(shared);
    }
}

/// What comes next, if it comes before it is `due`.
async fn next(stream: &mut SplitStream<WebSocket>, due: Option<Instant>) -> Result<Message, Stop> {
    let quiet = Instant::now() + SILENCE;
    let until = due.map_or(quiet, |due| quiet.min(due));
    match timeout_at(until, stream.next()).await {
        Ok(Some(Ok(message))) => Ok(message),
        Ok(Some(Err(error))) => Err(if is_malformed(error) { Stop::MALFORMED } else { Stop::Gone }),
        Ok(None) => Err(Stop::Gone),
        Err(_) if due.is_some_and(|due| due <= Instant::now()) => {
            Err(Stop::Bad(Refused::Deadline, Rejection::Invalid))
        }
        Err(_) => Err(Stop::Silent),
    }
}

/// The part of a message that came, if it is one.
fn part_of(message: Message, controls: &mut Controls) -> Result<Option<Bytes>, Stop> {
    match message {
        Message::Binary(part) => {
            telemetry::received(part.len());
            Ok(Some(part))
        }
        Message::Ping(said) | Message::Pong(said) => {
            telemetry::received(said.len());
            if controls.take(Instant::now()) {
                return Ok(None);
            }
            Err(Stop::Bad(Refused::Pings, Rejection::Rate { retry_ms: 0 }))
        }
        Message::Text(_) => Err(Stop::MALFORMED),
        Message::Close(_) => Err(Stop::Gone),
    }
}

/// A message that comes in parts.
#[derive(Default)]
struct Whole {
    inflow: Inflow,
    /// Bytes of the parts that are here.
    partial: usize,
    /// When the rest has to be here.
    due: Option<Instant>,
}

impl Whole {
    /// Takes a part in; gives the frame that it completes, and how many bytes that has.
    fn take(
        &mut self,
        part: &[u8],
        shared: &Shared,
        within: Duration,
    ) -> Result<Option<(Incoming, usize)>, ProtocolError> {
        let frame = match self.inflow.take(part, shared.message_limit())? {
            Arrived::More => {
                self.partial += part.len();
                // A buffer that grows has room for as much again.
                shared.waiting.has_partial(2 * self.partial);
                self.due = self.due.or_else(|| Some(Instant::now() + within));
                return Ok(None);
            }
            Arrived::Whole(whole) => (Incoming::parse(&whole)?, whole.len()),
            Arrived::TooLarge(space) => (Incoming::TooLarge(space), part.len()),
        };
        self.due = None;
        Ok(Some(frame))
    }

    /// The hub has room for it: until then its parts wait here.
    fn is_handed_on(&mut self, shared: &Shared) {
        if std::mem::take(&mut self.partial) > 0 {
            shared.waiting.has_partial(0);
        }
    }
}

/// Whether a socket broke because of what came, rather than because it closed.
fn is_malformed(error: axum::Error) -> bool {
    let Ok(error) = error.into_inner().downcast::<tungstenite::Error>() else { return false };
    match *error {
        tungstenite::Error::Protocol(error) => {
            error != tungstenite::error::ProtocolError::ResetWithoutClosingHandshake
        }
        tungstenite::Error::Capacity(_) | tungstenite::Error::Utf8(_) => true,
        _ => false,
    }
}

/// Tells the hub, and leaves the socket to the writer: it sends the goodbye and closes.
async fn end(hub: &Hub, session: SessionId, reason: Rejection) {
    if hub.malformed(session, reason).await.is_ok() {
        tokio::time::sleep(GOODBYE).await;
    }
}

async fn write(
    mut sink: SplitSink<WebSocket, Message>,
    mut out: UnboundedReceiver<Outgoing>,
    hub: &Hub,
    shared: &Shared,
) {
    let mut ping_at = Instant::now() + PING;
    loop {
        let next = match timeout_at(ping_at, out.recv()).await {
            Ok(Some(Outgoing::Frame(frame))) => {
                timeout(WRITE, send(&mut sink, frame, &mut out, shared)).await
            }
            Ok(Some(Outgoing::Close) | None) => Ok(Ok(After::Close)),
            Err(_) => {
                ping_at = Instant::now() + PING;
                let sent = timeout(WRITE, sink.send(Message::Ping(Bytes::new()))).await;
                sent.map(|sent| sent.map(|()| After::GoOn))
            }
        };
        match next {
            Ok(Ok(After::GoOn)) => {}
            Ok(Ok(After::Close)) => {
                let _ = timeout(GOODBYE, sink.close()).await;
                return;
            }
            Ok(Err(_)) => return,
            Err(_) => return hub.refused(Refused::Slow),
        }
    }
}

enum After {
    GoOn,
    Close,
}

/// Sends a message, and in the same flush what waits behind it.
async fn send(
    sink: &mut SplitSink<WebSocket, Message>,
    first: Frame,
    out: &mut UnboundedReceiver<Outgoing>,
    shared: &Shared,
) -> Result<After, axum::Error> {
    let (mut frame, mut fed, mut frames, mut after) = (first, 0, 0, After::GoOn);
    loop {
        telemetry::sent(frame.len());
        for part in frame.parts() {
            sink.feed(Message::Binary(part)).await?;
        }
        fed += frame.len();
        frames += 1;
        if fed >= TOGETHER {
            break;
        }
        match out.try_recv() {
            Ok(Outgoing::Frame(next)) => frame = next,
            Ok(Outgoing::Close) => {
                after = After::Close;
                break;
            }
            Err(_) => break,
        }
    }
    sink.flush().await?;
    shared.waiting.sent(frames, fed);
    Ok(after)
}
