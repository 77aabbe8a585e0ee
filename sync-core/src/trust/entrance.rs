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
    epochs: SortedMap<EpochId, (u64, Vec<Commitment>)>,
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
        let (_, commitments) = self.epochs.entry(epoch).or_insert((number, Vec::new()));
        if !commitments.contains(&commitment) {
            commitments.push(commitment);
        }
    }

    /// Whether nothing is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.epochs.is_empty()
    }

    /// Where an epoch stands beside what is known.
    ///
    /// # Errors
    /// [`Invalid::OtherGroup`] if it is known and commits to something else, [`Invalid::Older`] if a
    /// later one is known.
    pub fn place(
        &self,
        epoch: &EpochId,
        number: u64,
        commitment: &Commitment,
    ) -> Result<Standing, Invalid> {
        if let Some((of, commitments)) = self.epochs.get(epoch) {
            let same = *of == number && commitments.contains(commitment);
            return if same { Ok(Standing::Proven) } else { Err(Invalid::OtherGroup) };
        }
        match self.epochs.iter().map(|(_, (of, _))| *of).max() {
            None => Ok(Standing::First),
            Some(last) if number <= last => Err(Invalid::Older),
            Some(_) => Ok(Standing::Ahead),
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
/// [`Invalid::OwnSpace`].
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
    let guided = guide.account == own
        && (log.active(&guide.device).is_some() || recovers && log.known(&guide.device).is_some());
    if alone && only_own && guided { Ok(()) } else { Err(Invalid::OwnSpace) }
}

#[cfg(test)]
mod tests {
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
    fn what_several_wrote_down_for_one_epoch_is_for_the_log_to_decide() {
        let mut known = known();
        known.add(epoch(2), 4, commitment(7));
        for of in [2, 7] {
            assert_eq!(known.place(&epoch(2), 4, &commitment(of)), Ok(Standing::Proven));
        }
    }
}
