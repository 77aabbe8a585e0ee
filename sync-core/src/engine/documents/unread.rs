//! Which messages of a conversation are unread, and what the next count has to look at.

use std::collections::BTreeSet;

use crate::document::OrderKey;

/// Unread messages of the segments that are counted. It is not kept: what is open is counted anew.
#[derive(Default)]
pub(in crate::engine) struct Unread {
    keys: BTreeSet<OrderKey>,
    /// The segments that were counted last.
    counted: Vec<u32>,
    /// Messages that changed since.
    changed: BTreeSet<OrderKey>,
    /// More may have changed than `changed` says.
    anew: bool,
}

impl Unread {
    /// All messages are to be looked at next.
    pub(in crate::engine) fn count_anew(&mut self) {
        self.anew = true;
    }

    /// These messages are to be looked at next.
    pub(in crate::engine) fn note_changed(&mut self, messages: &BTreeSet<OrderKey>) {
        self.changed.extend(messages);
    }

    /// A count of these segments begins: gives the messages to look at, or `None` for all.
    pub(super) fn begin(&mut self, segments: &[u32]) -> Option<BTreeSet<OrderKey>> {
        let changed = std::mem::take(&mut self.changed);
        let all = std::mem::take(&mut self.anew) || self.counted != segments;
        if all {
            self.counted = segments.to_vec();
            self.keys.clear();
        }
        (!all).then_some(changed)
    }

    /// The count ends: of the messages looked at, these are unread and those are not. Gives how many
    /// are unread in all.
    pub(super) fn end(&mut self, unread: Vec<OrderKey>, others: &[OrderKey]) -> u64 {
        self.keys.retain(|key| !others.contains(key));
        self.keys.extend(unread);
        self.keys.len() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::Stamp;

    fn key(ms: u64) -> OrderKey {
        OrderKey { stamp: Stamp { ms, counter: 0 }, tag: [1; 6] }
    }

    #[test]
    fn what_changed_is_looked_at_and_the_rest_stays_counted() {
        let mut unread = Unread::default();
        assert_eq!(unread.begin(&[1]), None, "nothing was counted yet");
        assert_eq!(unread.end(vec![key(1), key(2)], &[]), 2);
        unread.note_changed(&BTreeSet::from([key(2), key(3)]));
        assert_eq!(unread.begin(&[1]), Some(BTreeSet::from([key(2), key(3)])));
        assert_eq!(unread.end(vec![key(3)], &[key(2)]), 2, "one was read and one came");
        assert_eq!(unread.begin(&[1]), Some(BTreeSet::new()), "each change is looked at once");
    }

    #[test]
    fn all_is_counted_where_other_segments_count_or_somebody_says_so() {
        let mut unread = Unread::default();
        unread.begin(&[1]);
        unread.end(vec![key(1)], &[]);
        assert_eq!(unread.begin(&[1, 2]), None);
        assert_eq!(unread.end(vec![key(4)], &[]), 1, "what was counted before is not");
        unread.count_anew();
        assert_eq!(unread.begin(&[1, 2]), None);
        assert_eq!(unread.end(Vec::new(), &[]), 0);
    }
}
