//! What time it is for the relay: its host passes it in.

/// The host's clock, which never goes back, and how far stamps are ahead of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Times {
    /// The time that the host passed in last: limits and deadlines go by it.
    pub(super) now_ms: u64,
    /// What a stamp is ahead of that.
    pub(super) ahead_ms: u64,
}

impl Times {
    /// Now, in Unix milliseconds.
    pub(super) fn stamp(self) -> u64 {
        self.now_ms.saturating_add(self.ahead_ms)
    }
}
