//! Writes to a socket, gathered: what is written between two flushes goes out in as few system calls
//! (and TLS records) as it fits into. Nothing is kept while there is nothing to send, so an idle
//! connection costs no buffer.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, BytesMut};
use sync_protocol::limits;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Bytes gathered before they go out without a flush: a chunk of a catch-up with what frames it.
const MOST: usize = limits::CHUNK + limits::PART;
/// Parts for which there is room at once, where one does not come alone.
const PARTS: usize = 4;

/// A socket whose writes are gathered. Reads pass through.
#[derive(Debug)]
pub(crate) struct Gather<T> {
    inner: T,
    waiting: BytesMut,
}

impl<T: AsyncWrite + Unpin> Gather<T> {
    pub(crate) fn new(inner: T) -> Self {
        Self { inner, waiting: BytesMut::new() }
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

impl<T: AsyncRead + Unpin> AsyncRead for Gather<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, into)
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
