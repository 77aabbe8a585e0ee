//! What an app may want to show, as it happens.

use std::future::Future;

use futures_util::{Stream, stream};
use sync_core::{Event, Failure, host};
use tokio::sync::broadcast;

use crate::socket::ConnectError;
use crate::store::StoreError;

/// Something an app may want to show.
#[derive(Clone, Debug, PartialEq)]
pub enum Notice {
    /// From the engine.
    Event(Event),
    /// The connection failed, or broke; it is tried again.
    Unreachable(ConnectError),
    /// The store failed. Commands fail until it is back; it is tried again.
    StoreFailed(StoreError),
    /// The store is back: everything may look different.
    StoreBack,
    /// The listener was too slow, and missed this many: everything may look different.
    Lagged(u64),
}

impl From<host::Notice<ConnectError, StoreError>> for Notice {
    fn from(notice: host::Notice<ConnectError, StoreError>) -> Self {
        match notice {
            host::Notice::Event(event) => Self::Event(event),
            host::Notice::Unreachable(problem) => Self::Unreachable(problem),
            host::Notice::StoreFailed(error) => Self::StoreFailed(error),
            host::Notice::StoreBack => Self::StoreBack,
        }
    }
}

impl Notice {
    /// Whether anything at all may look different.
    fn is_of_everything(&self) -> bool {
        matches!(self, Self::StoreBack | Self::Lagged(_))
    }
}

/// One listener's notices, from the moment on at which it began to listen.
#[derive(Debug)]
pub struct Events {
    pub(super) receiver: broadcast::Receiver<Notice>,
}

impl Events {
    /// The next notice; `None` once the client is closed.
    pub async fn next(&mut self) -> Option<Notice> {
        match self.receiver.recv().await {
            Ok(notice) => Some(notice),
            Err(broadcast::error::RecvError::Lagged(missed)) => Some(Notice::Lagged(missed)),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }

    /// A notice that is already there.
    pub fn try_next(&mut self) -> Option<Notice> {
        match self.receiver.try_recv() {
            Ok(notice) => Some(notice),
            Err(broadcast::error::TryRecvError::Lagged(missed)) => Some(Notice::Lagged(missed)),
            Err(_) => None,
        }
    }

    /// The same as a stream.
    pub fn into_stream(self) -> impl Stream<Item = Notice> + Send {
        stream::unfold(self, |mut events| async move { Some((events.next().await?, events)) })
    }
}

/// What `read` gives: now, and again after each event that moves it. Listening begins before the first
/// reading, so nothing that happens in between is missed.
pub(super) fn follow<A, F>(
    events: Events,
    moves: impl Fn(&Event) -> bool + Send + 'static,
    read: impl Fn() -> F + Send + 'static,
) -> impl Stream<Item = Result<A, Failure>> + Send
where
    A: Send + 'static,
    F: Future<Output = Result<A, Failure>> + Send,
{
    let start = (events, moves, read, true);
    stream::unfold(start, |(mut events, moves, read, is_first)| async move {
        let mut has_moved = is_first;
        while !has_moved {
            let notice = events.next().await?;
            has_moved = notice.is_of_everything()
                || matches!(&notice, Notice::Event(event) if moves(event));
        }
        // What is there already is in what is read now.
        while let Some(notice) = events.try_next() {
            drop(notice);
        }
        let answer = read().await;
        Some((answer, (events, moves, read, false)))
    })
}
