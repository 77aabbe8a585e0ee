//! Something else is shown in the place of an entry that was read: what was read may be in no log, or
//! elsewhere. The log is read from its start, but a relay that tells ever other things costs no more
//! than that once in a while.

/// How long one reading is from the next, at least.
const PAUSE_MS: u64 = 10_000;

/// When a log is read from its start for that.
#[derive(Default)]
pub(in crate::engine) struct Another {
    due: Option<u64>,
    last: Option<u64>,
}

impl Another {
    pub(in crate::engine) fn deadline(&self) -> Option<u64> {
        self.due
    }

    /// Something else was shown: whether the log is read at once. Else it is due later.
    pub(super) fn is_shown(&mut self, now: u64) -> bool {
        self.due = Some(self.last.map_or(now, |last| last.saturating_add(PAUSE_MS)));
        self.is_due(now)
    }

    /// Whether its time has come.
    pub(in crate::engine) fn is_due(&mut self, now: u64) -> bool {
        let is_due = self.due.take_if(|at| *at <= now).is_some();
        if is_due {
            self.last = Some(now);
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_read_at_once_and_the_next_after_a_pause_once() {
        let mut another = Another::default();
        assert!(another.is_shown(5_000));
        assert!(!another.is_shown(5_001) && !another.is_shown(5_002));
        assert_eq!(another.deadline(), Some(5_000 + PAUSE_MS));
        assert!(!another.is_due(5_000 + PAUSE_MS - 1));
        assert!(another.is_due(5_000 + PAUSE_MS));
        assert!(!another.is_due(u64::MAX), "all that was shown meanwhile is read by that");
    }
}
