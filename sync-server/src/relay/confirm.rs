//! What devices hear of what became durable: one frame for all that a device pushed to a space in
//! a row within a commit.

use sync_protocol::frames::{RelayFrame, Run, Stored};

use crate::relay::{Output, Relay, SessionId};
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
                add(&mut waiting.runs, run);
            }
            return;
        }
        self.say_stored(session);
        self.unsaid.insert(session, stored);
    }

    /// Says what waits to be confirmed to a session.
    pub(super) fn say_stored(&mut self, session: SessionId) {
        if let Some(stored) = self.unsaid.remove(&session) {
            let frame = RelayFrame::Stored(stored).to_bytes().into();
            self.held.push(Output::Send { session, frame });
        }
    }

    /// Says what waits to be confirmed to anybody.
    pub(super) fn say_all_stored(&mut self) {
        while let Some((&session, _)) = self.unsaid.first_key_value() {
            self.say_stored(session);
        }
    }
}

/// Adds a run, as part of the one before if it goes on where that ends.
fn add(runs: &mut Vec<Run>, run: Run) {
    match runs.last_mut() {
        Some(last)
            if last.seq > 0
                && last.time_ms == run.time_ms
                && (last.seq + last.count, last.index + last.count) == (run.seq, run.index) =>
        {
            last.count += run.count;
        }
        _ => runs.push(run),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_join_only_where_one_goes_on_where_the_other_ends() {
        let run = |seq, index, count, time_ms| Run { seq, index, count, time_ms };
        let mut runs = vec![run(1, 10, 2, 5)];
        add(&mut runs, run(3, 12, 1, 5));
        assert_eq!(runs, [run(1, 10, 3, 5)]);
        // Somebody else's entry between them, a later time, a handshake.
        add(&mut runs, run(4, 14, 1, 5));
        add(&mut runs, run(5, 15, 1, 6));
        add(&mut runs, run(0, 16, 1, 6));
        add(&mut runs, run(0, 17, 1, 6));
        assert_eq!(runs.len(), 5);
    }
}
