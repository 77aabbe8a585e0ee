//! Where a writer may post messages: each goes into one segment, and never back into an earlier one.
//!
//! Segments are opened as pages need them, so which of two copies of one message is shown must not
//! depend on which are open. A writer's order keys ascend from segment to segment: whatever does
//! not is refused by all, whether they have the other copy before them or not.

use sync_protocol::codec::{Decode, Encode};
use sync_protocol::limits;

use crate::document::Stamp;

/// How many low bits of a segment's number count segments: the others are its era. A member let in
/// without history starts a new one.
pub(crate) const ERA_SHIFT: u32 = 16;
const _: () = assert!(limits::LAST_ERA == u32::MAX >> ERA_SHIFT, "no era's segments are another's");

/// How far a writer has posted in the present era.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Posted {
    /// The newest segment that it posted in.
    #[n(0)]
    segment: u32,
    /// The newest stamp in segments before that.
    #[n(1)]
    below: Option<Stamp>,
    /// The newest stamp of all.
    #[n(2)]
    top: Stamp,
}

impl Posted {
    /// How far a writer has posted after a change with messages from `first` to `last` in a
    /// segment; `None` if the change is to be refused.
    #[must_use]
    pub fn after(before: Option<Self>, segment: u32, first: Stamp, last: Stamp) -> Option<Self> {
        let fresh = Self { segment, below: None, top: last };
        // Who was let in with an era knows nothing of those before: each is for itself.
        let Some(before) = before.filter(|it| it.segment >> ERA_SHIFT <= segment >> ERA_SHIFT)
        else {
            return before.is_none().then_some(fresh);
        };
        if before.segment >> ERA_SHIFT < segment >> ERA_SHIFT {
            return Some(fresh);
        }
        let top = before.top.max(last);
        if segment == before.segment {
            let is_free = before.below.is_none_or(|below| first > below);
            return is_free.then_some(Self { top, ..before });
        }
        let goes_on = segment > before.segment && first > before.top;
        goes_on.then_some(Self { segment, below: Some(before.top), top })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Stamp {
        Stamp { ms, counter: 0 }
    }

    fn post(before: Option<Posted>, segment: u32, ms: u64) -> Option<Posted> {
        Posted::after(before, segment, at(ms), at(ms))
    }

    #[test]
    fn a_writer_goes_on_from_segment_to_segment() {
        let first = post(None, 0, 5);
        let later = post(first, 0, 9);
        assert!(later.is_some());
        // Sent again after others: still within its segment.
        assert!(post(later, 0, 7).is_some());
        let next = post(later, 1, 10);
        assert!(next.is_some() && post(next, 1, 11).is_some() && post(next, 4, 12).is_some());
    }

    #[test]
    fn one_message_is_never_posted_in_two_segments() {
        let first = post(None, 0, 5);
        assert_eq!(post(first, 2, 5), None);
        let next = post(first, 2, 6);
        assert_eq!(post(next, 2, 5), None);
        assert_eq!(post(next, 0, 7), None, "nor in an earlier one afterwards");
        let wide = Posted::after(first, 2, at(4), at(9));
        assert_eq!(wide, None, "not even beside messages that are good");
    }

    #[test]
    fn each_era_is_for_itself() {
        let first = post(None, 3, 5);
        let era = 1 << 16;
        let next = post(first, era, 5);
        assert!(next.is_some());
        assert_eq!(post(next, 3, 9), None, "there is no way back");
    }
}
