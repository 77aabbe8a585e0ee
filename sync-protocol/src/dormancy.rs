//! Devices that nobody used for long (`docs/protocol.md`, "Dormancy"). Judged by the relay's time
//! alone: a device's own clock may be wrong by years.

use crate::limits::{DORMANT_MS, DORMANT_WARN_MS};

/// What it means for a device that it was away for so long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dormancy {
    /// For [`DORMANT_WARN_MS`] or longer: its owner is warned.
    Asleep,
    /// For [`DORMANT_MS`] or longer: nobody has to keep for it what it did not read.
    Dormant,
}

impl Dormancy {
    /// Judges a device by when its last session was open, both times the relay's, Unix
    /// milliseconds.
    #[must_use]
    pub fn of(seen_ms: u64, now_ms: u64) -> Option<Self> {
        match now_ms.saturating_sub(seen_ms) {
            DORMANT_MS.. => Some(Self::Dormant),
            DORMANT_WARN_MS.. => Some(Self::Asleep),
            _ => None,
        }
    }

    /// The word for programs.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Asleep => "asleep",
            Self::Dormant => "dormant",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEEN_MS: u64 = 1_800_000_000_000;

    #[test]
    fn it_begins_to_the_millisecond_and_not_in_the_future() {
        let after = |away_ms| Dormancy::of(SEEN_MS, SEEN_MS + away_ms);
        assert_eq!(after(DORMANT_WARN_MS - 1), None);
        assert_eq!(after(DORMANT_WARN_MS), Some(Dormancy::Asleep));
        assert_eq!(after(DORMANT_MS - 1), Some(Dormancy::Asleep));
        assert_eq!(after(DORMANT_MS), Some(Dormancy::Dormant));
        assert_eq!(Dormancy::of(SEEN_MS, SEEN_MS - DORMANT_MS), None);
    }
}
