//! A socket's reads and writes, gathered: what is written between two flushes goes out in as few
//! system calls (and TLS records) as it fits into, and what has arrived is read at once, however
//! little the reader takes at a time. Nothing is kept while there is nothing to send or to take, so an
//! idle connection costs no buffer.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes, BytesMut};
use sync_protocol::limits;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Bytes gathered before they go out without a flush: a chunk of a catch-up with what frames it.
const MOST: usize = limits::CHUNK + limits::PART;
/// Parts for which there is room at once, where one does not come alone.
const PARTS: usize = 4;

/// Bytes read at once. They belong to the thread; a connection keeps only what it has not taken yet.
const READ: usize = 4 * limits::PART;

thread_local! {
    static SCRATCH: RefCell<Vec<u8>> = RefCell::new(vec![0; READ]);
}

/// A socket whose reads and writes are gathered.
#[derive(Debug)]
pub(crate) struct Gather<T> {
    inner: T,
    waiting: BytesMut,
    /// What was read and not taken.
    ahead: Bytes,
}

impl<T: AsyncWrite + Unpin> Gather<T> {
    pub(crate) fn new(inner: T) -> Self {
        Self { inner, waiting: BytesMut::new(), ahead: Bytes::new() }
    }

    /// Hands on what waits, and lets go of its memory.
    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.waiting.is_empty() {
            match ready!(Pin::new(&mut self.inner).poll_write(cx, &self.waiting))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => self.waiting.advance(written),
            }
        }
        self.waiting = BytesMut::new();
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncRead + Unpin> Gather<T> {
    /// Reads what has arrived; gives the reader what it has room for.
    fn poll_arrived(
        &mut self,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        SCRATCH.with_borrow_mut(|scratch| {
            let mut arrived = ReadBuf::new(scratch);
            ready!(Pin::new(&mut self.inner).poll_read(cx, &mut arrived))?;
            let arrived = arrived.filled();
            let (taken, rest) = arrived.split_at(arrived.len().min(into.remaining()));
            into.put_slice(taken);
            self.ahead = Bytes::copy_from_slice(rest);
            Poll::Ready(Ok(()))
        })
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Gather<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.ahead.is_empty() {
            return self.poll_arrived(cx, into);
        }
        let most = self.ahead.len().min(into.remaining());
        into.put_slice(&self.ahead.split_to(most));
        if self.ahead.is_empty() {
            self.ahead = Bytes::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Gather<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.waiting.len() >= MOST {
            ready!(self.poll_drain(cx))?;
        }
        if self.waiting.is_empty() && bytes.len() >= limits::PART {
            // A full part has others behind it: room for some, so that they are not moved.
            self.waiting.reserve(PARTS * limits::PART);
        }
        let room = MOST - self.waiting.len();
        let taken = bytes.get(..room).unwrap_or(bytes);
        self.waiting.extend_from_slice(taken);
        Poll::Ready(Ok(taken.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_drain(cx))?;
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_drain(cx))?;
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    #[tokio::test]
    async fn what_is_written_arrives_whole_and_in_order() {
        // A pipe that takes a little at a time.
        let (near, mut far) = tokio::io::duplex(700);
        let sent: Vec<u8> = (0..200_000u32).map(|n| (n % 251) as u8).collect();
        let expected = sent.clone();
        let writing = tokio::spawn(async move {
            let mut gather = Gather::new(near);
            for (n, piece) in sent.chunks(1_300).enumerate() {
                gather.write_all(piece).await.unwrap();
                if n % 50 == 0 {
                    gather.flush().await.unwrap();
                    assert_eq!(gather.waiting.capacity(), 0);
                }
                assert!(gather.waiting.len() <= MOST);
            }
            gather.shutdown().await.unwrap();
        });
        let mut got = Vec::new();
        far.read_to_end(&mut got).await.unwrap();
        writing.await.unwrap();
        assert_eq!(got, expected);
    }

    #[tokio::test]
    async fn what_arrives_is_read_whole_and_in_order_however_little_is_taken() {
        let (near, mut far) = tokio::io::duplex(3 * READ);
        let sent: Vec<u8> = (0..200_000u32).map(|n| (n % 241) as u8).collect();
        let expected = sent.clone();
        let writing = tokio::spawn(async move {
            far.write_all(&sent).await.unwrap();
        });
        let mut gather = Gather::new(near);
        let mut got = Vec::new();
        for most in [1, 7, 1_024, 5_000, 3 * READ].into_iter().cycle() {
            let mut into = vec![0; most];
            let taken = gather.read(&mut into).await.unwrap();
            assert!(gather.ahead.len() <= READ);
            if taken == 0 {
                break;
            }
            got.extend_from_slice(&into[..taken]);
        }
        writing.await.unwrap();
        assert_eq!(got, expected);
        assert!(gather.ahead.is_empty());
    }

    #[tokio::test]
    async fn nothing_goes_out_before_a_flush() {
        let (near, mut far) = tokio::io::duplex(1_000);
        let mut gather = Gather::new(near);
        gather.write_all(b"one, ").await.unwrap();
        gather.write_all(b"two").await.unwrap();
        let mut got = [0; 16];
        let early = std::future::poll_fn(|cx| {
            let mut into = ReadBuf::new(&mut got);
            Poll::Ready(Pin::new(&mut far).poll_read(cx, &mut into).is_ready())
        });
        assert!(!early.await);
        gather.flush().await.unwrap();
        assert_eq!(far.read(&mut got).await.unwrap(), 8);
        assert_eq!(&got[..8], b"one, two");
    }
}
