//! What one session asks of a space's log, and how far it must come.

/// One fetch at a time. What it brings is taken in before another begins.
#[derive(Default)]
pub(in crate::engine) struct Fetch {
    stage: Stage,
    /// How many there were: an answer says which it answers.
    asked: u64,
    /// The index after the last entry that came too early to be taken in. A fetch that was under
    /// way by then may end before it.
    wanted: u64,
}

#[derive(Clone, Copy, Default)]
enum Stage {
    #[default]
    Idle,
    Asked {
        from: u64,
    },
    /// Once its entries are taken in, nothing is missing.
    Answered {
        from: u64,
    },
}

impl Fetch {
    pub(in crate::engine) fn is_under_way(&self) -> bool {
        matches!(self.stage, Stage::Asked { .. })
    }

    /// All is asked for, from an index on. Gives the number of this fetch.
    pub(in crate::engine) fn ask(&mut self, from: u64) -> u64 {
        self.stage = Stage::Asked { from };
        self.asked += 1;
        self.asked
    }

    /// An answer to the fetch of a number, which brought all or not. Whether it was waited for: one of a
    /// membership that is over is not, though it may have begun at the same index.
    pub(super) fn answer(&mut self, asked: u64, brought_all: bool) -> bool {
        let Stage::Asked { from } = self.stage else { return false };
        let is_its = asked == self.asked;
        if is_its {
            self.stage = if brought_all { Stage::Answered { from } } else { Stage::Idle };
        }
        is_its
    }

    /// What an answer brought is taken in: gives where it began.
    pub(super) fn take_in(&mut self) -> Option<u64> {
        let Stage::Answered { from } = self.stage else { return None };
        self.stage = Stage::Idle;
        Some(from)
    }

    /// The log must be read up to here.
    pub(in crate::engine) fn want(&mut self, end: u64) {
        self.wanted = self.wanted.max(end);
    }

    pub(super) fn wanted(&self) -> u64 {
        self.wanted
    }

    /// The log is read from another place: what is under way counts no more.
    pub(in crate::engine) fn lapse(&mut self) {
        self.stage = Stage::Idle;
    }

    /// Another log is in its place.
    pub(super) fn begin_anew(&mut self) {
        *self = Self { asked: self.asked, ..Self::default() };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_answer_that_is_waited_for_counts() {
        let mut fetch = Fetch::default();
        assert!(!fetch.answer(0, true), "nothing was asked");
        let of_before = fetch.ask(9);
        fetch.lapse();
        let asked = fetch.ask(9);
        assert!(!fetch.answer(of_before, true) && fetch.is_under_way());
        assert!(fetch.answer(asked, true) && !fetch.is_under_way());
        assert_eq!((fetch.take_in(), fetch.take_in()), (Some(9), None), "it is taken in once");
    }

    #[test]
    fn an_answer_that_brings_nothing_or_lapsed_is_not_taken_in() {
        let mut fetch = Fetch::default();
        let asked = fetch.ask(4);
        assert!(fetch.answer(asked, false));
        assert_eq!(fetch.take_in(), None);
        let asked = fetch.ask(4);
        fetch.lapse();
        assert!(!fetch.answer(asked, true));
        assert_eq!(fetch.take_in(), None);
    }

    #[test]
    fn what_is_wanted_never_goes_back_within_one_log() {
        let mut fetch = Fetch::default();
        fetch.want(8);
        fetch.want(5);
        fetch.lapse();
        assert_eq!(fetch.wanted(), 8);
        let of_before = fetch.ask(8);
        fetch.begin_anew();
        assert_eq!(fetch.wanted(), 0);
        assert!(fetch.ask(0) > of_before, "no number is used twice");
    }
}
