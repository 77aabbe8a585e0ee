//! What may be sent once the batch is durable, in order, and how much memory that takes. What a device
//! pushed to a space in a row within a batch is confirmed by one message, before anything else that is
//! said to it from there on.

use std::collections::BTreeMap;

use sync_protocol::error::Rejection;
use sync_protocol::frames::{RelayFrame, Stored};

use crate::relay::{Frame, Output, SessionId};
use crate::rules::add_run;

/// Memory of one output beside its message.
const OUTPUT: usize = 128;
/// Runs in one confirmation.
const RUNS: usize = 64;

/// Outputs, in order.
#[derive(Debug, Default)]
pub(super) struct Held {
    outputs: Vec<Output>,
    bytes: usize,
    /// What each session hears of its pushes.
    unsaid: BTreeMap<SessionId, Stored>,
}

impl Held {
    /// A message for one session. Gives its size.
    pub(super) fn send(&mut self, session: SessionId, frame: &RelayFrame) -> usize {
        self.say(session);
        let frame = Frame::of(frame);
        let size = frame.len();
        self.push(session, frame);
        size
    }

    /// A message that others are sent as well, which keeps it once.
    pub(super) fn share(&mut self, session: SessionId, frame: Frame) {
        self.say(session);
        self.bytes += OUTPUT;
        self.outputs.push(Output::Send { session, frame });
    }

    /// The end of a session, with a goodbye.
    pub(super) fn close(&mut self, session: SessionId, reason: Rejection) {
        self.send(session, &RelayFrame::Goodbye { reason: reason.clone() });
        self.bytes += OUTPUT;
        self.outputs.push(Output::Close { session, reason });
    }

    /// Something that a device pushed was stored.
    pub(super) fn confirm(&mut self, session: SessionId, stored: Stored) {
        if let Some(waiting) = self.unsaid.get_mut(&session)
            && (waiting.space, waiting.generation) == (stored.space, stored.generation)
            && waiting.runs.len() < RUNS
        {
            for run in stored.runs {
                add_run(&mut waiting.runs, run);
            }
            return;
        }
        self.say(session);
        self.unsaid.insert(session, stored);
    }

    /// Says what waits to be confirmed to a session.
    fn say(&mut self, session: SessionId) {
        if let Some(stored) = self.unsaid.remove(&session) {
            self.push(session, Frame::of(&RelayFrame::Stored(stored)));
        }
    }

    /// Says what waits to be confirmed to anybody.
    pub(super) fn say_all(&mut self) {
        while let Some((session, stored)) = self.unsaid.pop_first() {
            self.push(session, Frame::of(&RelayFrame::Stored(stored)));
        }
    }

    fn push(&mut self, session: SessionId, frame: Frame) {
        self.bytes += frame.len() + OUTPUT;
        self.outputs.push(Output::Send { session, frame });
    }

    /// A session is gone: nobody hears what waits to be confirmed to it.
    pub(super) fn forget(&mut self, session: SessionId) {
        self.unsaid.remove(&session);
    }

    /// Bytes of memory.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Gives all of it.
    pub(super) fn take(&mut self) -> Vec<Output> {
        self.bytes = 0;
        std::mem::take(&mut self.outputs)
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
    use sync_protocol::frames::{Answer, Reply, Run};
    use sync_protocol::ids::SpaceId;

    fn stored(space: u8, seq: u64) -> Stored {
        let runs = vec![Run { seq, index: seq, count: 1, time_ms: 5 }];
        Stored { space: SpaceId::from_bytes([space; 32]), generation: 1, runs }
    }

    fn frames(held: &mut Held) -> Vec<(u64, RelayFrame)> {
        let said = held.take().into_iter().map(|output| match output {
            Output::Send { session, frame } => {
                (session.0, RelayFrame::parse(&frame.whole()).unwrap())
            }
            Output::Close { .. } => panic!("closed"),
        });
        said.collect()
    }

    #[test]
    fn large_answers_add_up_and_shared_ones_count_once() {
        let ticket = Answer::Ticket { ticket: Blob(vec![7; 100_000]), index: 0 };
        let reply = RelayFrame::Reply(Reply { id: 1, answer: ticket });
        let mut held = Held::default();
        (0..10).for_each(|n| assert!(held.send(SessionId(n), &reply) > 100_000));
        assert!(held.bytes() > 1_000_000);
        held.clear();
        (0..10).for_each(|n| held.share(SessionId(n), Frame::of(&reply)));
        assert_eq!(held.bytes(), 10 * OUTPUT);
        assert_eq!(held.take().len(), 10);
        assert_eq!(held.bytes(), 0);
    }

    #[test]
    fn what_was_stored_in_a_row_is_said_at_once_and_before_all_else() {
        let mut held = Held::default();
        let done = RelayFrame::Reply(Reply { id: 1, answer: Answer::Done });
        (1..=3).for_each(|seq| held.confirm(SessionId(1), stored(1, seq)));
        held.confirm(SessionId(2), stored(1, 9));
        held.confirm(SessionId(1), stored(2, 1));
        held.send(SessionId(1), &done);
        held.confirm(SessionId(3), stored(1, 1));
        held.forget(SessionId(3));
        held.say_all();
        let mut three = stored(1, 1);
        three.runs[0].count = 3;
        let expected = [
            (1, RelayFrame::Stored(three)),
            (1, RelayFrame::Stored(stored(2, 1))),
            (1, done),
            (2, RelayFrame::Stored(stored(1, 9))),
        ];
        assert_eq!(frames(&mut held), expected);
    }
}
