//! What may be sent once the batch is durable, and how much memory that takes.

use sync_protocol::error::Rejection;

use crate::relay::{Frame, Output, SessionId};

/// Memory of one output beside its message.
const OUTPUT: usize = 128;

/// Outputs, in order.
#[derive(Debug, Default)]
pub(super) struct Held {
    outputs: Vec<Output>,
    bytes: usize,
}

impl Held {
    /// A message for one session.
    pub(super) fn send(&mut self, session: SessionId, frame: Frame) {
        self.bytes += frame.len() + OUTPUT;
        self.outputs.push(Output::Send { session, frame });
    }

    /// A message that others are sent as well, which keeps it once.
    pub(super) fn share(&mut self, session: SessionId, frame: Frame) {
        self.bytes += OUTPUT;
        self.outputs.push(Output::Send { session, frame });
    }

    /// The end of a session.
    pub(super) fn close(&mut self, session: SessionId, reason: Rejection) {
        self.bytes += OUTPUT;
        self.outputs.push(Output::Close { session, reason });
    }

    /// Bytes of memory.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Gives all of it.
    pub(super) fn take(&mut self) -> Vec<Output> {
        std::mem::take(self).outputs
    }

    /// None of it counts.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sync_protocol::codec::Blob;
    use sync_protocol::frames::{Answer, RelayFrame, Reply};

    #[test]
    fn large_answers_add_up_and_shared_ones_count_once() {
        let ticket = Answer::Ticket { ticket: Blob(vec![7; 100_000]), index: 0 };
        let frame = Frame::of(&RelayFrame::Reply(Reply { id: 1, answer: ticket }));
        let mut held = Held::default();
        (0..10).for_each(|n| held.send(SessionId(n), frame.clone()));
        assert!(held.bytes() > 1_000_000);
        held.clear();
        (0..10).for_each(|n| held.share(SessionId(n), frame.clone()));
        assert_eq!(held.bytes(), 10 * OUTPUT);
        assert_eq!(held.take().len(), 10);
        assert_eq!(held.bytes(), 0);
    }
}
