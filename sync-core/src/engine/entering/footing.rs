//! Whether this device stands in a space's group, as far as it can tell since the account was opened.

use sync_protocol::Rejection;

/// A device that is active in a space may be out of its group all the same: it can't follow the log
/// any more, or its entrance was not taken. It comes in by the newest ticket then.
#[derive(Default)]
pub(in crate::engine) struct Footing {
    /// Another entrance is to be made.
    is_out: bool,
    /// The log goes on where this device can't follow: it reads and writes no further.
    is_lost: bool,
    /// How often it was out again, or was not what it was said to be.
    returns: u32,
    /// How often the relay has not taken its entrance, since it was in last.
    refusals: u32,
    /// The index after the last handshake that an entrance had not seen, by the relay's word.
    refused_before: u64,
}

impl Footing {
    pub(in crate::engine) fn is_out(&self) -> bool {
        self.is_out
    }

    pub(in crate::engine) fn is_lost(&self) -> bool {
        self.is_lost
    }

    pub(in crate::engine) fn refused_before(&self) -> u64 {
        self.refused_before
    }

    /// The log goes on where this device can't follow. Gives how often it was out before, unless it
    /// is out already.
    pub(in crate::engine) fn lose_track(&mut self) -> Option<u32> {
        self.is_lost = true;
        let was_out = std::mem::replace(&mut self.is_out, true);
        (!was_out).then(|| self.once_more_out())
    }

    /// This device comes back once more: gives how often it did before.
    pub(in crate::engine) fn once_more_out(&mut self) -> u32 {
        self.returns += 1;
        self.returns - 1
    }

    /// What was read is read from another place on.
    pub(in crate::engine) fn reads_anew(&mut self) {
        self.is_lost = false;
    }

    /// An entrance was made.
    pub(super) fn tries(&mut self) {
        self.is_out = false;
    }

    /// The entrance was not taken: gives how often, since this device was in last.
    pub(super) fn is_refused(&mut self, reason: &Rejection) -> u32 {
        self.is_out = true;
        self.refusals += 1;
        if let Rejection::Behind { index } = reason {
            self.refused_before = index.saturating_add(1);
        }
        self.refusals
    }

    /// The log has the entrance.
    pub(super) fn is_in(&mut self) {
        (self.is_out, self.refusals) = (false, 0);
    }

    /// The account is no longer in the space.
    pub(in crate::engine) fn leaves(&mut self) {
        (self.is_out, self.is_lost) = (false, false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_loses_track_twice_is_out_once() {
        let mut footing = Footing::default();
        assert_eq!(footing.lose_track(), Some(0));
        assert_eq!(footing.lose_track(), None, "it is out already");
        footing.is_in();
        footing.reads_anew();
        assert!(!footing.is_out() && !footing.is_lost());
        assert_eq!(footing.lose_track(), Some(1), "what was before is remembered");
    }

    #[test]
    fn refusals_are_counted_until_the_log_has_the_entrance() {
        let mut footing = Footing::default();
        assert_eq!(footing.is_refused(&Rejection::Behind { index: 7 }), 1);
        footing.tries();
        assert!(!footing.is_out(), "it was sent");
        assert_eq!(footing.is_refused(&Rejection::Denied), 2);
        assert!(footing.is_out());
        assert_eq!(footing.refused_before(), 8, "the last one that named a place");
        footing.is_in();
        assert_eq!(footing.is_refused(&Rejection::Denied), 1);
    }

    #[test]
    fn a_place_at_the_end_of_all_numbers_is_no_overflow() {
        let mut footing = Footing::default();
        footing.is_refused(&Rejection::Behind { index: u64::MAX });
        assert_eq!(footing.refused_before(), u64::MAX);
    }
}
