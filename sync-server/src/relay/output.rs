//! What the relay tells its host.

use bytes::Bytes;
use sync_protocol::error::Rejection;
use sync_protocol::frames::RelayFrame;
use sync_protocol::ids::RelayId;
use sync_protocol::limits;

/// One socket, as the host numbers it: in the order in which they opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub u64);

/// Who the relay is, drawn at random when its store is created.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Bound into every session signature.
    pub relay: RelayId,
    /// Of all logs and cursors of this store; a store made anew has another.
    pub generation: u64,
}

/// A message to devices: encoded once and cut into parts once, for all who receive it. Clones share
/// its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// All parts in a row; each but the last has [`limits::PART`] bytes.
    parts: Bytes,
}

impl Frame {
    /// Encodes and cuts.
    #[must_use]
    pub fn of(frame: &RelayFrame) -> Self {
        Self { parts: frame.to_parts().into() }
    }

    /// What goes out one by one, as WebSocket messages.
    pub fn parts(&self) -> impl Iterator<Item = Bytes> + '_ {
        let starts = (0..self.parts.len()).step_by(limits::PART);
        starts.map(|start| self.parts.slice(start..self.parts.len().min(start + limits::PART)))
    }

    /// Bytes on the way, leads of parts included.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "no message is empty")]
    pub fn len(&self) -> usize {
        self.parts.len()
    }

    /// The message put together again: for hosts without sockets.
    #[must_use]
    pub fn whole(&self) -> Vec<u8> {
        let chunks = self.parts.chunks(limits::PART).filter_map(|part| part.get(1..));
        chunks.collect::<Vec<_>>().concat()
    }
}

/// What the host has to do, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Send one message.
    Send {
        /// To whom.
        session: SessionId,
        /// The message.
        frame: Frame,
    },
    /// Close the socket, after what was sent before. A `Goodbye` with the reason was sent already;
    /// the host need not call `disconnect`.
    Close {
        /// Whose.
        session: SessionId,
        /// Why.
        reason: Rejection,
    },
}

/// What happened so far, in numbers: for metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Authenticated sessions now.
    pub sessions: u64,
    /// Sessions that did not authenticate yet.
    pub unauthenticated: u64,
    /// Durable transactions.
    pub commits: u64,
    /// Commands applied.
    pub commands: u64,
    /// Entries appended.
    pub appended: u64,
    /// Bytes of envelopes appended.
    pub appended_bytes: u64,
    /// Entries handed to sessions.
    pub delivered: u64,
    /// Pushes and requests refused.
    pub refused: u64,
    /// Spaces that were looked at for devices that came back.
    pub looked_at: u64,
    /// Signals handed on.
    pub signals: u64,
    /// Reads that met a damaged row.
    pub damaged: u64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use sync_protocol::codec::{self, Assembler, Blob};
    use sync_protocol::frames::{Answer, Reply};

    /// A message whose length is around a whole number of parts.
    fn frame(bytes: usize) -> RelayFrame {
        let ticket = Blob(vec![7; bytes]);
        RelayFrame::Reply(Reply { id: 1, answer: Answer::Ticket { ticket, index: 0 } })
    }

    #[test]
    fn parts_are_those_of_the_protocol_and_come_together_again() {
        let around = |n: usize| n.saturating_sub(30)..n + 30;
        let sizes = around(0).chain(around(limits::PART)).chain(around(3 * limits::PART));
        for size in sizes {
            let message = frame(size).to_bytes();
            let cut = Frame::of(&frame(size));
            let parts: Vec<_> = cut.parts().collect();
            assert_eq!(parts, codec::parts(&message).collect::<Vec<_>>());
            assert_eq!(cut.len(), parts.iter().map(Bytes::len).sum::<usize>());
            assert_eq!(cut.whole(), message);
            let mut assembler = Assembler::default();
            let whole = parts.iter().map(|part| assembler.push(part, limits::MESSAGE));
            assert_eq!(whole.last(), Some(Ok(Some(message))));
        }
    }
}
