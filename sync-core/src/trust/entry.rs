//! What an entry of content counts as (`docs/protocol.md`, "What an entry counts as").
//!
//! The verdict rests on the entry, its place and the log before it. So whoever reads the entry as
//! it comes, later, or after a restart comes to the same.

use sync_protocol::frontier::Step;
use sync_protocol::hash::{self, Domain};
use sync_protocol::{EpochId, WriterId};

use crate::trust::Invalid;

const ITEM: Domain = Domain::new("rejoinder log item v1");

/// What an entry counts as in the log's running hash: all that the relay shows of it. Two people
/// who are shown different copies of one entry come to different hashes.
#[must_use]
pub fn item(writer: &WriterId, time_ms: u64, envelope: &[u8]) -> [u8; 32] {
    hash::hash(ITEM, &[&writer.to_bytes(), &time_ms.to_be_bytes(), envelope])
}

/// How the keys that an entry says it is sealed under relate to its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keys {
    /// Their epoch is the one that counts there.
    Present,
    /// Their epoch had ended before.
    Ended,
    /// This log does not lead to their epoch.
    Foreign,
    /// Which epoch counted there is not known to who reads the past without having been in.
    Unknown,
}

/// Relates the epoch an entry is sealed under to the one that counts at its place. `past` says that
/// the reader was let in further on; `number` gives the number of an epoch that it knows.
pub fn keys(
    sealed: &EpochId,
    place: &EpochId,
    past: bool,
    number: impl Fn(&EpochId) -> Option<u64>,
) -> Keys {
    if sealed == place {
        return Keys::Present;
    }
    match (number(sealed), number(place)) {
        (Some(sealed), Some(place)) if past && sealed < place => Keys::Ended,
        _ if past => Keys::Unknown,
        (Some(_), _) => Keys::Ended,
        (None, _) => Keys::Foreign,
    }
}

/// What is known of an entry before its signature is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Its author was a leaf there.
    pub is_leaf: bool,
    /// How it continues its writer's chain.
    pub chain: Step,
    /// The reader was let in further on.
    pub past: bool,
    /// Earlier numbers of this writer may lie where the reader could not judge them.
    pub may_begin: bool,
    /// How its keys relate to its place.
    pub keys: Keys,
}

/// Who can show that an entry is its author's: asked only if it matters, since signatures cost.
pub trait Proof {
    /// By its own signature, or that of a later one of its chain.
    fn is_proven(&mut self) -> bool;
    /// By its own signature: then each byte is the author's.
    fn is_signed(&mut self) -> bool;
}

/// What an entry of content counts as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The next of its writer, to be opened.
    Open,
    /// The next of its writer, and not applied by anybody. Evidence, if its author is to blame or
    /// the relay.
    Counts(Option<Invalid>),
    /// An entry of the log and nothing else: its writer's chain goes on without it.
    Passed(Option<Invalid>),
    /// Its number was read before.
    Known,
    /// This copy makes no sense: another may be good.
    Doubtful(Invalid),
}

/// Judges an entry before it is opened.
pub fn judge(facts: Facts, proof: &mut impl Proof) -> Verdict {
    if facts.chain == Step::Known {
        return Verdict::Known;
    }
    if !facts.is_leaf {
        return match (facts.past, proof.is_signed()) {
            // Who could write then may not be known to who comes later.
            (true, _) => Verdict::Passed(None),
            (false, true) => Verdict::Passed(Some(Invalid::NotAMember)),
            (false, false) => Verdict::Doubtful(Invalid::NotAMember),
        };
    }
    match facts.chain {
        Step::Gap if !facts.may_begin => return Verdict::Doubtful(Invalid::Missing),
        // No chain leads to it, so nothing but its own signature says that it is its writer's.
        Step::Gap if !proof.is_signed() => return Verdict::Doubtful(Invalid::Signature),
        // Anybody can make up a link: only a signature puts it on its writer.
        Step::Equivocation | Step::Broken if proof.is_signed() => {
            return Verdict::Passed(Some(Invalid::TwoForOneNumber));
        }
        Step::Equivocation | Step::Broken => return Verdict::Doubtful(Invalid::Signature),
        Step::Gap | Step::Next | Step::Known => {}
    }
    if !proof.is_proven() {
        return Verdict::Doubtful(Invalid::Signature);
    }
    match facts.keys {
        Keys::Present => Verdict::Open,
        Keys::Unknown => Verdict::Counts(None),
        // The chain proves what was written, not under which keys it says that it is sealed.
        Keys::Ended | Keys::Foreign if !proof.is_signed() => Verdict::Doubtful(Invalid::Altered),
        Keys::Ended => Verdict::Counts(Some(Invalid::Misplaced)),
        Keys::Foreign => Verdict::Counts(Some(Invalid::ForeignEpoch)),
    }
}

/// Judges an entry whose payload is not what its chain commits to.
pub fn judge_unfit(proof: &mut impl Proof) -> Verdict {
    // Proven by its chain at most, it was altered on the way; signed, it is its author's doing.
    match proof.is_signed() {
        true => Verdict::Counts(Some(Invalid::NotCommitted)),
        false => Verdict::Doubtful(Invalid::Altered),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Proven by its chain, by its signature, by both or by nothing.
    struct Shown {
        proven: bool,
        signed: bool,
    }

    const NOBODY: Shown = Shown { proven: false, signed: false };
    const CHAIN: Shown = Shown { proven: true, signed: false };
    const AUTHOR: Shown = Shown { proven: true, signed: true };

    impl Proof for Shown {
        fn is_proven(&mut self) -> bool {
            self.proven
        }

        fn is_signed(&mut self) -> bool {
            self.signed
        }
    }

    fn next() -> Facts {
        Facts {
            is_leaf: true,
            chain: Step::Next,
            past: false,
            may_begin: false,
            keys: Keys::Present,
        }
    }

    fn verdict(facts: Facts, mut proof: Shown) -> Verdict {
        judge(facts, &mut proof)
    }

    #[test]
    fn the_next_of_a_writers_chain_is_opened_if_it_is_proven() {
        assert_eq!(verdict(next(), CHAIN), Verdict::Open);
        assert_eq!(verdict(next(), AUTHOR), Verdict::Open);
        assert_eq!(verdict(next(), NOBODY), Verdict::Doubtful(Invalid::Signature));
    }

    #[test]
    fn who_could_not_write_there_moves_nobodys_chain() {
        let outside = Facts { is_leaf: false, ..next() };
        assert_eq!(verdict(outside, AUTHOR), Verdict::Passed(Some(Invalid::NotAMember)));
        assert_eq!(verdict(outside, NOBODY), Verdict::Doubtful(Invalid::NotAMember));
        let past = Facts { past: true, ..outside };
        for proof in [NOBODY, CHAIN, AUTHOR] {
            assert_eq!(verdict(past, proof), Verdict::Passed(None));
        }
    }

    #[test]
    fn a_number_too_far_on_is_missing_something_unless_the_reader_came_later() {
        let gap = Facts { chain: Step::Gap, ..next() };
        assert_eq!(verdict(gap, AUTHOR), Verdict::Doubtful(Invalid::Missing));
        let late = Facts { may_begin: true, ..gap };
        assert_eq!(verdict(late, AUTHOR), Verdict::Open);
        // Or anybody could say that a writer is further on than it is, and so mute it.
        assert_eq!(verdict(late, CHAIN), Verdict::Doubtful(Invalid::Signature));
    }

    #[test]
    fn a_second_link_is_put_on_its_writer_only_by_a_signature() {
        for chain in [Step::Equivocation, Step::Broken] {
            let second = Facts { chain, ..next() };
            let told = Verdict::Passed(Some(Invalid::TwoForOneNumber));
            assert_eq!(verdict(second, AUTHOR), told);
            assert_eq!(verdict(second, CHAIN), Verdict::Doubtful(Invalid::Signature));
        }
        assert_eq!(verdict(Facts { chain: Step::Known, ..next() }, NOBODY), Verdict::Known);
    }

    #[test]
    fn keys_that_do_not_count_there_are_evidence_if_their_author_names_them() {
        for (keys, why) in
            [(Keys::Ended, Invalid::Misplaced), (Keys::Foreign, Invalid::ForeignEpoch)]
        {
            let sealed = Facts { keys, ..next() };
            assert_eq!(verdict(sealed, AUTHOR), Verdict::Counts(Some(why)));
            assert_eq!(verdict(sealed, CHAIN), Verdict::Doubtful(Invalid::Altered));
        }
        let unknown = Facts { keys: Keys::Unknown, past: true, ..next() };
        assert_eq!(verdict(unknown, CHAIN), Verdict::Counts(None));
    }

    #[test]
    fn who_signs_what_does_not_fit_its_commitment_is_told_of() {
        let told = Verdict::Counts(Some(Invalid::NotCommitted));
        assert_eq!(judge_unfit(&mut { AUTHOR }), told);
        assert_eq!(judge_unfit(&mut { CHAIN }), Verdict::Doubtful(Invalid::Altered));
    }

    #[test]
    fn an_epoch_is_present_ended_foreign_or_unknown_at_a_place() {
        let epoch = |n: u8| EpochId::from_bytes([n; 32]);
        let known = |of: &EpochId| (1..=3).find(|n| epoch(*n) == *of).map(u64::from);
        for past in [false, true] {
            assert_eq!(keys(&epoch(2), &epoch(2), past, known), Keys::Present);
            assert_eq!(keys(&epoch(1), &epoch(2), past, known), Keys::Ended);
        }
        assert_eq!(keys(&epoch(9), &epoch(2), false, known), Keys::Foreign);
        assert_eq!(keys(&epoch(9), &epoch(2), true, known), Keys::Unknown);
        // What the reader is given of the past has a hole before this one.
        assert_eq!(keys(&epoch(3), &epoch(2), true, known), Keys::Unknown);
        assert_eq!(keys(&epoch(3), &EpochId::NONE, true, known), Keys::Unknown);
    }

    #[test]
    fn each_byte_that_is_shown_of_an_entry_counts_in_the_hash() {
        let device = sync_protocol::DeviceId::of_signing_key(&[1; 32]);
        let writer = WriterId { device, incarnation: 1 };
        let one = item(&writer, 7, b"envelope");
        assert_ne!(one, item(&writer, 7, b"envelopf"));
        assert_ne!(one, item(&writer, 8, b"envelope"));
        assert_ne!(one, item(&WriterId { incarnation: 2, ..writer }, 7, b"envelope"));
    }
}
