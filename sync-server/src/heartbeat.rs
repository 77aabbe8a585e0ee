//! The hub's sign of life: it says that it goes on each time it does, and who asks learns how long
//! ago that was. A disk that does not answer shows here while it does not.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Older than this, the hub is stuck: it beats each second.
pub const STUCK_MS: u64 = 10_000;

/// When the hub said last that it goes on.
#[derive(Debug)]
pub struct Heartbeat {
    since: Instant,
    last_ms: AtomicU64,
}

impl Default for Heartbeat {
    fn default() -> Self {
        Self { since: Instant::now(), last_ms: AtomicU64::new(0) }
    }
}

impl Heartbeat {
    /// It goes on.
    pub fn beat(&self) {
        self.last_ms.store(self.now_ms(), Ordering::Relaxed);
    }

    /// How long ago it said so, in ms.
    #[must_use]
    pub fn age_ms(&self) -> u64 {
        self.now_ms().saturating_sub(self.last_ms.load(Ordering::Relaxed))
    }

    /// Whether that is too long ago.
    #[must_use]
    pub fn is_stuck(&self) -> bool {
        self.age_ms() > STUCK_MS
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_heart_that_stopped_is_stuck_until_it_beats() {
        let long_ago = Instant::now().checked_sub(Duration::from_millis(STUCK_MS + 1)).unwrap();
        let heartbeat = Heartbeat { since: long_ago, last_ms: AtomicU64::new(0) };
        assert!(heartbeat.is_stuck());
        heartbeat.beat();
        assert!(!heartbeat.is_stuck() && heartbeat.age_ms() < STUCK_MS);
    }
}
