//! Which era of an app's documents counts at a place of a space's log.
//!
//! Who comes in without history can't read what documents build on. So with an era an app's
//! documents begin anew, from what they were: somebody who was there hands that over, in the log, and
//! where the first has done so the new era counts, for all alike. Between the era's beginning and that
//! place no change of them counts, so that nobody's edits get lost between what was handed over and
//! what goes on; those that were made here meanwhile are made again then.
//!
//! All of it follows from the log: from where an era begins, and where what was handed over ends.

use sync_protocol::WriterId;
use sync_protocol::codec::{Decode, Encode};

/// The eras of a space's app documents, as far as the log was read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub(in crate::engine) struct Eras {
    /// The era that counts.
    #[n(0)]
    era: u32,
    /// Where what it begins with ends; nothing of the first.
    #[n(1)]
    since: Option<Place>,
    /// Where the next one begins: from there on no change of this one counts.
    #[n(2)]
    until: Option<u64>,
    /// This device came in without what was before, and nobody has handed it over yet.
    #[n(3)]
    waiting: bool,
    /// An era that counts already, and is not written down here yet.
    #[n(4)]
    coming: Option<Coming>,
    /// Documents of the era that counts with own changes that may not be in what is handed over.
    #[n(5)]
    pub(in crate::engine) adrift: Vec<String>,
    /// The last era for which this device hands over what was before.
    #[n(6)]
    pub(in crate::engine) handed: u32,
}

/// A place in the log: the entry, and the change in it.
pub(in crate::engine) type Place = (u64, u32);

/// What was handed over, whole.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(in crate::engine) struct Coming {
    #[n(0)]
    pub(in crate::engine) era: u32,
    /// Who did.
    #[n(1)]
    pub(in crate::engine) writer: WriterId,
    /// Where it ends.
    #[n(2)]
    pub(in crate::engine) end: Place,
    /// Where the era after it begins, if it did.
    #[n(3)]
    until: Option<u64>,
}

impl Eras {
    /// Of a device that came in without what was written before.
    pub(in crate::engine) fn waiting() -> Self {
        Self { waiting: true, ..Self::default() }
    }

    /// The era in which documents are, as they are written down here.
    pub(in crate::engine) fn era(&self) -> u32 {
        self.era
    }

    /// Whether nobody has handed over yet what was before this device.
    pub(in crate::engine) fn is_waiting(&self) -> bool {
        self.waiting && self.coming.is_none()
    }

    /// Whether this device came in without what was before, and what was handed over is not taken up.
    pub(in crate::engine) fn came_later(&self) -> bool {
        self.waiting
    }

    pub(in crate::engine) fn coming(&self) -> Option<&Coming> {
        self.coming.as_ref()
    }

    /// Where the era that counts here ended, if it did.
    pub(in crate::engine) fn until(&self) -> Option<u64> {
        self.until
    }

    /// Whether changes of documents have to wait here for an era.
    pub(in crate::engine) fn is_between(&self) -> bool {
        self.waiting || self.until.is_some() || self.coming.is_some()
    }

    /// Whether what was before an era is still to be handed over.
    pub(in crate::engine) fn owes(&self, era: u32) -> bool {
        let reached = self.coming.as_ref().map_or(self.era, |coming| coming.era);
        (reached < era || self.waiting)
            && self.coming.as_ref().is_none_or(|coming| coming.era < era)
    }

    /// An era begins with the handshake at an index. Gives whether the one before ends there.
    pub(in crate::engine) fn begin(&mut self, era: u32, index: u64) -> bool {
        let (now, until) = match &mut self.coming {
            Some(coming) => (coming.era, &mut coming.until),
            None => (self.era, &mut self.until),
        };
        let ends = era > now && until.is_none();
        if ends {
            *until = Some(index);
        }
        ends
    }

    /// What was handed over for an era, which is the one at its end, ends there. The first counts;
    /// gives whether this is it.
    pub(in crate::engine) fn hand_over(&mut self, era: u32, writer: WriterId, end: Place) -> bool {
        let (now, since, until) = match &self.coming {
            Some(coming) => (coming.era, Some(coming.end), coming.until),
            None => (self.era, self.since, self.until),
        };
        let known = !self.is_waiting() && now >= era;
        if known && (now > era || since.is_none_or(|since| since <= end)) {
            return false;
        }
        let until = until.filter(|_| known);
        self.coming = Some(Coming { era, writer, end, until });
        true
    }

    /// Whether a change of a document of an era counts at an index.
    pub(in crate::engine) fn take(&self, era: u32, index: u64) -> bool {
        let (now, since, until) = match &self.coming {
            Some(coming) => (coming.era, Some(coming.end), coming.until),
            None => (self.era, self.since, self.until),
        };
        era == now
            && !self.is_waiting()
            && since.is_none_or(|(since, _)| index > since)
            && until.is_none_or(|until| index < until)
    }

    /// What was handed over is written down.
    pub(in crate::engine) fn settle(&mut self) {
        if let Some(Coming { era, end, until, .. }) = self.coming.take() {
            (self.era, self.since, self.until) = (era, Some(end), until);
            self.waiting = false;
            self.adrift.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sync_protocol::DeviceId;

    fn writer(n: u8) -> WriterId {
        WriterId { device: DeviceId::of_signing_key(&[n; 32]), incarnation: 1 }
    }

    #[test]
    fn between_two_eras_nothing_counts() {
        let mut eras = Eras::default();
        assert!(eras.take(0, 5) && !eras.take(1, 5));
        assert!(eras.begin(1, 10));
        assert!(eras.take(0, 9) && !eras.take(0, 10) && !eras.take(1, 11));
        assert!(eras.owes(1) && eras.is_between());
        assert!(eras.hand_over(1, writer(1), (12, 3)));
        assert!(!eras.take(1, 12) && eras.take(1, 13) && !eras.take(0, 9));
        assert!(!eras.owes(1) && eras.is_between());
        eras.settle();
        assert!(eras.take(1, 13) && !eras.is_between() && eras.era() == 1);
    }

    #[test]
    fn the_first_that_is_handed_over_counts_whichever_is_read_first() {
        let mut eras = Eras::default();
        eras.begin(1, 10);
        assert!(eras.hand_over(1, writer(2), (14, 0)));
        assert!(!eras.hand_over(1, writer(3), (15, 0)));
        assert!(eras.hand_over(1, writer(1), (12, 0)), "of an entry that was in doubt");
        eras.settle();
        assert!(!eras.hand_over(1, writer(2), (14, 0)));
        assert!(eras.take(1, 13));
    }

    #[test]
    fn an_era_may_be_over_before_anything_was_handed_over() {
        let mut eras = Eras::default();
        assert!(eras.begin(1, 10));
        assert!(!eras.begin(2, 20), "documents ended where the first began");
        assert!(eras.owes(2));
        assert_eq!(eras.until(), Some(10));
        assert!(eras.hand_over(2, writer(1), (25, 0)));
        assert!(eras.begin(3, 30));
        eras.settle();
        assert!(eras.take(2, 29) && !eras.take(2, 30) && eras.owes(3));
    }

    #[test]
    fn who_came_without_history_waits() {
        let mut eras = Eras::waiting();
        assert!(eras.is_waiting() && eras.owes(4) && !eras.take(0, 3) && !eras.take(4, 3));
        eras.begin(4, 8);
        assert!(eras.hand_over(4, writer(1), (9, 0)));
        assert!(eras.take(4, 10) && !eras.is_waiting());
        eras.settle();
        assert!(!eras.is_between() && !eras.owes(4));
    }
}
