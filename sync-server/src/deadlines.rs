//! How long each phase of a connection may take. What a phase takes longer than that ends the
//! connection and gives its place back.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use crate::relay::Settings;

/// How long the phases of a connection may take, up to a whole message on its socket.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadlines {
    /// What a proxy says first, TLS, the head of a request, and the silence between two: each.
    pub(crate) handshake: Duration,
    /// Until something of what is written is taken.
    pub(crate) write: Duration,
    /// From a message's first part to its last.
    pub(crate) message: Duration,
    /// All of it.
    pub(crate) whole: Duration,
}

impl Deadlines {
    pub(crate) fn of(settings: &Settings) -> Self {
        Self {
            handshake: Duration::from_millis(settings.handshake_timeout_ms),
            write: Duration::from_millis(settings.write_timeout_ms),
            message: Duration::from_millis(settings.message_timeout_ms),
            whole: Duration::from_millis(settings.http_timeout_ms),
        }
    }
}

/// A message has to be out within this time.
pub(crate) const WRITE: Duration = Duration::from_secs(30);
/// An answer to who is turned away has to be taken within this time.
pub(crate) const TURNED_AWAY: Duration = Duration::from_secs(5);
/// A silent socket is asked whether it is still there.
pub(crate) const PING: Duration = Duration::from_secs(30);
/// A socket from which nothing came for so long is gone.
pub(crate) const SILENCE: Duration = Duration::from_secs(75);
/// A session that is over has to take its goodbye, and close, within this time.
pub(crate) const GOODBYE: Duration = Duration::from_secs(5);

/// A stream on which bytes that wait to be written don't wait for ever. It has room for a clock only
/// while something waits.
#[derive(Debug)]
pub(crate) struct Timed<T> {
    inner: T,
    stalled: Option<Pin<Box<Sleep>>>,
    patience: Duration,
}

impl<T> Timed<T> {
    pub(crate) fn new(inner: T, patience: Duration) -> Self {
        Self { inner, stalled: None, patience }
    }

    /// Ends the wait if something was written, and the connection if nothing was for too long.
    fn judge<R>(
        &mut self,
        cx: &mut Context<'_>,
        polled: Poll<io::Result<R>>,
    ) -> Poll<io::Result<R>> {
        if polled.is_ready() {
            self.stalled = None;
            return polled;
        }
        let patience = self.patience;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(patience)));
        ready!(stalled.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Timed<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, into)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Timed<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.inner).poll_write(cx, bytes);
        self.judge(cx, polled)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.inner).poll_flush(cx);
        self.judge(cx, polled)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.inner).poll_shutdown(cx);
        self.judge(cx, polled)
    }
}

/// Control frames a socket may send at once, and how fast more come back.
const CONTROLS: u32 = 32;
const CONTROL_EVERY: Duration = Duration::from_secs(1);

/// What a socket sends beside messages: pings, which cost an answer each. They come at a rate, and a
/// socket that sends more is no device.
#[derive(Debug)]
pub(crate) struct Controls {
    spent: u32,
    since: tokio::time::Instant,
}

impl Controls {
    pub(crate) fn new(now: tokio::time::Instant) -> Self {
        Self { spent: 0, since: now }
    }

    /// Whether one more is taken.
    pub(crate) fn take(&mut self, now: tokio::time::Instant) -> bool {
        let back = now.duration_since(self.since).as_secs() / CONTROL_EVERY.as_secs();
        let back = u32::try_from(back).unwrap_or(u32::MAX);
        if back > 0 {
            self.since = now;
            self.spent = self.spent.saturating_sub(back);
        }
        self.spent += 1;
        self.spent <= CONTROLS
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::time::Instant;

    #[tokio::test]
    async fn a_reader_that_stops_ends_the_connection() {
        let (near, mut far) = tokio::io::duplex(64);
        let mut timed = Timed::new(near, Duration::from_millis(50));
        timed.write_all(&[7; 64]).await.unwrap();
        far.read_exact(&mut [0; 64]).await.unwrap();
        let written = timed.write_all(&[7; 65]).await;
        assert_eq!(written.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }

    #[test]
    fn pings_come_at_a_rate() {
        let start = Instant::now();
        let mut controls = Controls::new(start);
        assert!((0..CONTROLS).all(|_| controls.take(start)));
        assert!(!controls.take(start));
        let mut steady = Controls::new(start);
        assert!((0..1_000).all(|n| steady.take(start + n * CONTROL_EVERY)));
    }
}
