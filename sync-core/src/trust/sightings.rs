//! How far others have read the spaces that they share with this device.
//!
//! A relay that hides the end of a log is not caught by that log. So whoever says something in one
//! space tells along with it, sealed, how far it has read some others: those that all who can read
//! it are in. Who is in one of the others as well sees whether it was shown less, or something else.

use sync_protocol::codec::{Decode, Encode};
use sync_protocol::hash::{self, Domain};
use sync_protocol::{SpaceId, WriterId};

use crate::trust::logs::Said;

const MASK: Domain = Domain::new("rejoinder sighting v1");

/// How many go along with one change set.
pub(crate) const AT_ONCE: usize = 4;

/// How far somebody has read a space's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reading {
    /// Of which log of that space.
    pub(crate) generation: u64,
    /// The index after the last entry that was read.
    pub(crate) next: u64,
    /// The beginning of the log's running hash there.
    pub(crate) hash: [u8; 8],
}

/// The change set that a sighting goes along with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Beside<'a> {
    pub(crate) space: &'a SpaceId,
    pub(crate) writer: &'a WriterId,
    pub(crate) seq: u64,
}

/// A reading that only says something to those who know which space it is of: others can't tell
/// two sightings apart, nor count a space's entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Sighting {
    #[cbor(n(0), with = "minicbor::bytes")]
    bytes: [u8; 32],
}

impl Sighting {
    /// Hides a reading of the space that `name` is known by to all its members, and to nobody else.
    pub(crate) fn of(reading: &Reading, name: &[u8], beside: Beside<'_>) -> Self {
        let mut bytes = [0; 32];
        bytes[8..16].copy_from_slice(&reading.generation.to_be_bytes());
        bytes[16..24].copy_from_slice(&reading.next.to_be_bytes());
        bytes[24..].copy_from_slice(&reading.hash);
        Self { bytes: masked(bytes, &mask(name, beside)) }
    }

    /// The reading, if it is of the space that is known by this name.
    pub(crate) fn reading(&self, name: &[u8], beside: Beside<'_>) -> Option<Reading> {
        let bytes = masked(self.bytes, &mask(name, beside));
        let [tag, generation, next, hash] = bytes.as_chunks::<8>().0 else { return None };
        let [generation, next] = [generation, next].map(|number| u64::from_be_bytes(*number));
        (*tag == [0; 8]).then_some(Reading { generation, next, hash: *hash })
    }
}

impl Reading {
    /// Compares it with how far this device has read, and with what it knows of the log's running
    /// hash at earlier places.
    pub(crate) fn judge(&self, own: &Self, hash_at: impl Fn(u64) -> Option<[u8; 8]>) -> Said {
        // Of another log than the one that is read here: there is nothing to compare.
        if self.generation != own.generation {
            return Said::NoMore;
        }
        let known = match self.next == own.next {
            true => Some(own.hash),
            false => hash_at(self.next),
        };
        match known {
            _ if self.next > own.next => Said::More,
            Some(hash) if hash != self.hash => Said::Other,
            _ => Said::NoMore,
        }
    }
}

fn mask(name: &[u8], beside: Beside<'_>) -> [u8; 32] {
    let Beside { space, writer, seq } = beside;
    let incarnation = writer.incarnation.to_be_bytes();
    let at: [&[u8]; 5] =
        [name, space.as_bytes(), writer.device.as_bytes(), &incarnation, &seq.to_be_bytes()];
    hash::hash(MASK, &at)
}

fn masked(mut bytes: [u8; 32], mask: &[u8; 32]) -> [u8; 32] {
    bytes.iter_mut().zip(mask).for_each(|(byte, mask)| *byte ^= mask);
    bytes
}

#[cfg(test)]
mod tests {
    use sync_protocol::DeviceId;

    use super::*;

    const READ: Reading = Reading { generation: 3, next: 7, hash: [9; 8] };
    const NAME: [u8; 32] = [4; 32];

    fn writer() -> WriterId {
        WriterId { device: DeviceId::of_signing_key(&[5; 32]), incarnation: 6 }
    }

    #[test]
    fn only_who_knows_the_space_can_read_a_sighting_of_it() {
        let (space, writer) = (SpaceId::from_bytes([1; 32]), writer());
        let beside = Beside { space: &space, writer: &writer, seq: 2 };
        let sighting = Sighting::of(&READ, &NAME, beside);
        assert_eq!(sighting.reading(&NAME, beside), Some(READ));
        assert_eq!(sighting.reading(&[8; 32], beside), None);
        let later = Beside { seq: 3, ..beside };
        assert_eq!(sighting.reading(&NAME, later), None);
        assert_ne!(Sighting::of(&READ, &NAME, later), sighting);
    }

    #[test]
    fn who_has_read_further_knows_more_and_who_read_something_else_saw_another_log() {
        let at = |index| (index == 5).then_some([1; 8]);
        let judge = |reading: Reading| reading.judge(&READ, at);
        assert_eq!(judge(READ), Said::NoMore);
        assert_eq!(judge(Reading { next: 8, ..READ }), Said::More);
        assert_eq!(judge(Reading { hash: [8; 8], ..READ }), Said::Other);
        assert_eq!(judge(Reading { next: 5, hash: [2; 8], ..READ }), Said::Other);
        assert_eq!(judge(Reading { next: 5, hash: [1; 8], ..READ }), Said::NoMore);
        // What is not known here any more can't be compared.
        assert_eq!(judge(Reading { next: 4, hash: [2; 8], ..READ }), Said::NoMore);
        assert_eq!(judge(Reading { generation: 4, next: 9, ..READ }), Said::NoMore);
    }
}
