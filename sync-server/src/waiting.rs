//! What waits to be sent, in the bytes of memory that it takes: for each socket, and over all.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use sync_protocol::limits;
use tokio::sync::Notify;

/// Memory that a message takes beside its bytes: its place in the queue, its buffer's bookkeeping, and
/// what the allocator rounds up.
pub(crate) const FRAME: usize = 192;
/// Memory that may wait for one socket: a window of deliveries, and answers.
const MOST: usize = 2 * limits::WINDOW + limits::MESSAGE;
/// Messages that may wait for one socket.
const FRAMES: usize = 8_192;
/// From here on nothing more is read from a socket: who does not take answers can't ask for more.
const UNREAD: usize = limits::WINDOW;
const UNREAD_FRAMES: usize = 1_024;

/// What waits for all sockets.
#[derive(Clone, Debug, Default)]
pub(crate) struct All {
    bytes: Arc<AtomicUsize>,
}

impl All {
    /// Bytes of memory.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }
}

/// What waits for one socket.
#[derive(Debug)]
pub(crate) struct Waiting {
    bytes: AtomicUsize,
    frames: AtomicUsize,
    /// Bytes of a message that has not come to its end, or was not taken in yet.
    partial: AtomicUsize,
    /// Bytes of what is remembered of all that it has to catch up with.
    behind: AtomicUsize,
    all: All,
    fewer: Notify,
}

impl Waiting {
    pub(crate) fn new(all: All) -> Self {
        let none = || AtomicUsize::new(0);
        let (partial, behind) = (none(), none());
        Self { bytes: none(), frames: none(), partial, behind, all, fewer: Notify::new() }
    }

    /// A message of so many bytes is to wait. Whether it may: if not, its socket has no reader.
    pub(crate) fn add(&self, len: usize) -> bool {
        let cost = len + FRAME;
        let bytes = self.bytes.fetch_add(cost, Ordering::Relaxed) + cost;
        let frames = self.frames.fetch_add(1, Ordering::Relaxed) + 1;
        self.all.bytes.fetch_add(cost, Ordering::Relaxed);
        bytes <= MOST && frames <= FRAMES
    }

    /// So many messages left, of so many bytes in all.
    pub(crate) fn sent(&self, frames: usize, len: usize) {
        let cost = len + frames * FRAME;
        self.all.bytes.fetch_sub(cost, Ordering::Relaxed);
        self.bytes.fetch_sub(cost, Ordering::Relaxed);
        self.frames.fetch_sub(frames, Ordering::Relaxed);
        self.fewer.notify_one();
    }

    /// So many bytes of a message have come so far.
    pub(crate) fn has_partial(&self, bytes: usize) {
        self.takes(&self.partial, bytes);
    }

    /// So many bytes are remembered of what its session has to catch up with.
    pub(crate) fn is_behind(&self, bytes: usize) {
        self.takes(&self.behind, bytes);
    }

    fn takes(&self, of: &AtomicUsize, bytes: usize) {
        let before = of.swap(bytes, Ordering::Relaxed);
        self.all.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.all.bytes.fetch_sub(before, Ordering::Relaxed);
    }

    /// Bytes of memory.
    pub(crate) fn bytes(&self) -> usize {
        let parts = [&self.bytes, &self.partial, &self.behind];
        parts.into_iter().map(|part| part.load(Ordering::Relaxed)).sum()
    }

    /// Waits until so little is unread that more may be asked for.
    pub(crate) async fn little(&self) {
        loop {
            let fewer = self.fewer.notified();
            let frames = self.frames.load(Ordering::Relaxed);
            if self.bytes.load(Ordering::Relaxed) < UNREAD && frames < UNREAD_FRAMES {
                return;
            }
            fewer.await;
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.all.bytes.fetch_sub(self.bytes(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    #[test]
    fn small_messages_cost_what_they_take_in_memory() {
        let waiting = Waiting::new(All::default());
        let taken = (0..1_000_000).take_while(|_| waiting.add(11)).count();
        assert!(taken <= FRAMES);
        assert!(waiting.bytes() >= taken * 150);
        let large = Waiting::new(All::default());
        let taken = (0..1_000).take_while(|_| large.add(limits::CHUNK)).count();
        assert!(taken * limits::CHUNK <= MOST && taken * limits::CHUNK > MOST / 2);
    }

    #[test]
    fn all_is_the_sum_and_who_goes_takes_theirs_along() {
        let all = All::default();
        let (one, other) = (Waiting::new(all.clone()), Waiting::new(all.clone()));
        for _ in 0..10 {
            one.add(100);
            other.add(1_000);
        }
        assert_eq!(all.bytes(), one.bytes() + other.bytes());
        one.sent(10, 1_000);
        assert_eq!((one.bytes(), all.bytes()), (0, other.bytes()));
        drop(other);
        assert_eq!(all.bytes(), 0);
    }

    #[test]
    fn what_has_come_of_a_message_counts_until_it_is_whole() {
        let all = All::default();
        let (one, other) = (Waiting::new(all.clone()), Waiting::new(all.clone()));
        one.has_partial(4_000);
        one.has_partial(100_000);
        other.has_partial(7);
        assert_eq!((one.bytes(), all.bytes()), (100_000, 100_007));
        one.has_partial(0);
        assert_eq!((one.bytes(), all.bytes()), (0, 7));
        one.is_behind(1_000);
        one.is_behind(30);
        assert_eq!((one.bytes(), all.bytes()), (30, 37));
        one.is_behind(0);
        drop(other);
        assert_eq!(all.bytes(), 0);
    }

    #[test]
    fn more_is_asked_for_once_enough_is_read() {
        let waiting = Waiting::new(All::default());
        let mut context = Context::from_waker(Waker::noop());
        for _ in 0..UNREAD_FRAMES {
            waiting.add(1);
        }
        let mut little = pin!(waiting.little());
        assert_eq!(little.as_mut().poll(&mut context), Poll::Pending);
        waiting.sent(1, 1);
        assert_eq!(little.as_mut().poll(&mut context), Poll::Ready(()));
    }
}
