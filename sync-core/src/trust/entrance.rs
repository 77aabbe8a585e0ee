//! What a device may come in by.
//!
//! Whoever answers first is nobody, relay or member. An invitation or a ticket speaks for its author
//! about keys and places; whether it leads into the group that the account means is proven by what
//! the account knows already.

use sync_protocol::device_log::DeviceLog;
use sync_protocol::ids::Commitment;
use sync_protocol::roster::Roster;
use sync_protocol::sorted::SortedMap;
use sync_protocol::{AccountId, DeviceId, EpochId};

use super::Invalid;
use crate::group::Leaf;

/// Epochs of one space that the account knows: from its vault, or because this device was in.
#[derive(Clone, Debug, Default)]
pub struct Known {
    epochs: SortedMap<EpochId, Vec<(u64, Commitment)>>,
    /// Those of which the word counts, by number.
    counted: SortedMap<u64, Vec<EpochId>>,
}

/// Where something leads, beside what is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Nothing is known of the space.
    First,
    /// Into an epoch that is known.
    Proven,
    /// Into an epoch after all that are known: the log has to show how it came to be.
    Ahead,
}

impl Known {
    /// Adds an epoch: its number, and what it commits to. Of several that were written down for one
    /// epoch the log decides; until then any may be meant.
    pub fn add(&mut self, epoch: EpochId, number: u64, commitment: Commitment) {
        let said = self.epochs.entry(epoch).or_default();
        if !said.contains(&(number, commitment)) {
            said.push((number, commitment));
        }
    }

    /// An epoch is known by this device's own reading, or by a device that the account has not
    /// ended. What one that was ended wrote down may be made up: one may read by it, and it keeps
    /// nobody out.
    pub fn count(&mut self, epoch: EpochId, number: u64) {
        self.counted.entry(number).or_default().push(epoch);
    }

    fn newest(&self) -> Option<u64> {
        self.counted.keys().next_back().copied()
    }

    /// Whether a later epoch than one of this number is known.
    #[must_use]
    pub fn is_past(&self, number: u64) -> bool {
        self.newest().is_some_and(|newest| number < newest)
    }

    /// Whether an epoch may be the one of its number: no other is known.
    #[must_use]
    pub fn admits(&self, epoch: &EpochId, number: u64) -> bool {
        self.counted.get(&number).is_none_or(|known| known.contains(epoch))
    }

    /// Whether nothing is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.epochs.is_empty()
    }

    /// Where an epoch stands beside what is known.
    ///
    /// # Errors
    /// [`Invalid::OtherGroup`] if what counts says that it commits to something else,
    /// [`Invalid::Older`] if a later one is known.
    pub fn place(
        &self,
        epoch: &EpochId,
        number: u64,
        commitment: &Commitment,
    ) -> Result<Standing, Invalid> {
        let said = self.epochs.get(epoch).map(Vec::as_slice).unwrap_or_default();
        if said.contains(&(number, *commitment)) {
            return Ok(Standing::Proven);
        }
        if self.counted.values().any(|counted| counted.contains(epoch)) {
            return Err(Invalid::OtherGroup);
        }
        match self.newest() {
            Some(newest) if number <= newest => Err(Invalid::Older),
            None if self.is_empty() => Ok(Standing::First),
            _ => Ok(Standing::Ahead),
        }
    }
}

/// Who leads a device in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Guide {
    /// Its account.
    pub account: AccountId,
    /// It.
    pub device: DeviceId,
}

/// Whether a group may be what its guide says: the guide is in it, every leaf is a device that its
/// account's log certifies, and every leaf's account is a member.
///
/// `except` is the device that comes in: it may stand there from before.
///
/// # Errors
/// [`Invalid::Stranger`] or [`Invalid::Uncertified`].
pub fn members(
    guide: &Guide,
    leaves: &[Leaf],
    roster: &Roster,
    logs: &SortedMap<AccountId, DeviceLog>,
    except: Option<&DeviceId>,
) -> Result<(), Invalid> {
    let is_guide = |leaf: &Leaf| leaf.account == guide.account && leaf.device == guide.device;
    if !leaves.iter().any(is_guide) {
        return Err(Invalid::Stranger);
    }
    let certified = |leaf: &Leaf| {
        let device = logs.get(&leaf.account).and_then(|log| log.known(&leaf.device));
        device.is_some_and(|device| device.keys.signing == leaf.signing_key)
            && roster.role(&leaf.account).is_some()
    };
    let others = || leaves.iter().filter(|leaf| Some(&leaf.device) != except);
    if others().all(certified) { Ok(()) } else { Err(Invalid::Uncertified) }
}

/// Whether a group may be an account's own space: nobody else is in it, and whoever leads in is one
/// of its devices that was not ended. Who brings the account back has ended all of them.
///
/// # Errors
/// [`Invalid::EndedGuide`] if the guide was a device of the account and is none any more,
/// [`Invalid::OwnSpace`] for all else.
pub fn own_space(
    guide: &Guide,
    leaves: &[Leaf],
    roster: &Roster,
    log: &DeviceLog,
    recovers: bool,
) -> Result<(), Invalid> {
    let own = log.account();
    let alone = roster.len() == 1 && roster.role(&own).is_some();
    let only_own = leaves.iter().all(|leaf| leaf.account == own);
    let is_known = guide.account == own && log.known(&guide.device).is_some();
    if !(alone && only_own && is_known) {
        return Err(Invalid::OwnSpace);
    }
    let guides = recovers || log.active(&guide.device).is_some();
    if guides { Ok(()) } else { Err(Invalid::EndedGuide) }
}

#[cfg(test)]
mod tests {
    use super::super::logs::testing::{log, log_of, with_device, with_revoked};
    use super::*;

    fn epoch(n: u8) -> EpochId {
        EpochId::from_bytes([n; 32])
    }

    fn commitment(n: u8) -> Commitment {
        Commitment::from_bytes([n; 32])
    }

    fn known() -> Known {
        let mut known = Known::default();
        known.add(epoch(1), 3, commitment(1));
        known.add(epoch(2), 4, commitment(2));
        known.count(epoch(1), 3);
        known.count(epoch(2), 4);
        known
    }

    #[test]
    fn of_a_space_that_is_not_known_anything_may_be_the_first() {
        let first = Known::default().place(&epoch(9), 0, &commitment(9));
        assert_eq!(first, Ok(Standing::First));
    }

    #[test]
    fn an_epoch_that_is_known_leads_where_it_was_known_to() {
        assert_eq!(known().place(&epoch(1), 3, &commitment(1)), Ok(Standing::Proven));
        for (number, of) in [(3, 2), (3, 9), (4, 1), (9, 1)] {
            let other = known().place(&epoch(1), number, &commitment(of));
            assert_eq!(other, Err(Invalid::OtherGroup), "{number} {of}");
        }
    }

    #[test]
    fn nothing_older_than_what_is_known_is_taken() {
        for number in 0..=4 {
            let other = known().place(&epoch(9), number, &commitment(9));
            assert_eq!(other, Err(Invalid::Older), "{number}");
        }
        assert_eq!(known().place(&epoch(9), 5, &commitment(9)), Ok(Standing::Ahead));
    }

    #[test]
    fn what_may_be_made_up_keeps_nobody_out() {
        let mut known = known();
        known.add(epoch(3), u64::MAX, commitment(3));
        assert_eq!(known.place(&epoch(9), 5, &commitment(9)), Ok(Standing::Ahead));
        assert!(!known.is_past(4) && known.is_past(3));
        let mut made_up = Known::default();
        made_up.add(epoch(3), u64::MAX, commitment(3));
        assert_eq!(made_up.place(&epoch(9), 5, &commitment(9)), Ok(Standing::Ahead));
        assert!(!made_up.is_past(0));
    }

    #[test]
    fn of_several_words_on_one_epoch_the_one_that_fits_is_meant() {
        let mut known = Known::default();
        for number in [u64::MAX, 3, 0] {
            known.add(epoch(1), number, commitment(1));
        }
        known.add(epoch(1), 3, commitment(8));
        assert_eq!(known.place(&epoch(1), 3, &commitment(1)), Ok(Standing::Proven));
        // None of it counts: it may all be made up.
        assert_eq!(known.place(&epoch(1), 3, &commitment(9)), Ok(Standing::Ahead));
        known.count(epoch(1), 3);
        assert_eq!(known.place(&epoch(1), 3, &commitment(9)), Err(Invalid::OtherGroup));
    }

    #[test]
    fn a_guide_that_was_ended_is_told_from_a_stranger() {
        let log = with_device(&log(), 7);
        let (account, roster) = (log.account(), Roster::founded_by(log.account()));
        let device = *log.devices().max_by_key(|(_, device)| device.added).unwrap().0;
        let guide = Guide { account, device };
        assert_eq!(own_space(&guide, &[], &roster, &log, false), Ok(()));
        let ended = with_revoked(&log, device);
        assert_eq!(own_space(&guide, &[], &roster, &ended, false), Err(Invalid::EndedGuide));
        assert_eq!(own_space(&guide, &[], &roster, &ended, true), Ok(()), "it brings all back");
        let stranger = Guide { account, device: DeviceId::from_bytes([9; 33]) };
        assert_eq!(own_space(&stranger, &[], &roster, &ended, false), Err(Invalid::OwnSpace));
        let other = Guide { account: log_of(9).account(), device };
        assert_eq!(own_space(&other, &[], &roster, &ended, true), Err(Invalid::OwnSpace));
    }

    #[test]
    fn of_one_number_no_other_epoch_is_admitted_than_those_known() {
        let mut known = known();
        assert!(known.admits(&epoch(2), 4) && known.admits(&epoch(9), 5));
        assert!(!known.admits(&epoch(9), 4) && !known.admits(&epoch(1), 4));
        known.count(epoch(9), 4);
        assert!(known.admits(&epoch(9), 4) && known.admits(&epoch(2), 4));
    }

    #[test]
    fn what_several_wrote_down_for_one_epoch_is_for_the_log_to_decide() {
        let mut known = known();
        known.add(epoch(2), 4, commitment(7));
        for of in [2, 7] {
            assert_eq!(known.place(&epoch(2), 4, &commitment(of)), Ok(Standing::Proven));
        }
    }
}
