//! What devices hear of what became durable: one frame for all that a device pushed to a space in
//! a row within a commit.

use sync_protocol::frames::{RelayFrame, Stored};

use crate::relay::{Frame, Relay, SessionId};
use crate::rules::add_run;
use crate::store::Store;

/// Runs in one frame.
const RUNS: usize = 64;

impl<S: Store> Relay<S> {
    /// Tells a device what was stored, before anything else that is said to it from here on.
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
        self.say_stored(session);
        self.unsaid.insert(session, stored);
    }

    /// Says what waits to be confirmed to a session.
    pub(super) fn say_stored(&mut self, session: SessionId) {
        if let Some(stored) = self.unsaid.remove(&session) {
            self.hold(session, stored);
        }
    }

    /// Says what waits to be confirmed to anybody.
    pub(super) fn say_all_stored(&mut self) {
        while let Some((session, stored)) = self.unsaid.pop_first() {
            self.hold(session, stored);
        }
    }

    fn hold(&mut self, session: SessionId, stored: Stored) {
        let frame = Frame::of(&RelayFrame::Stored(stored));
        self.held.send(session, frame);
    }
}
