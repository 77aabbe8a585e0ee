//! The hybrid logical clock, and the order keys it gives to messages.

use std::fmt;
use std::str::FromStr;

use sync_protocol::codec::{Decode, Encode};
use sync_protocol::limits;
use sync_protocol::text::SORTABLE;

use super::{DocumentError, Placement};

/// The largest physical part: 48 bits of milliseconds.
pub const MAX_MS: u64 = (1 << 48) - 1;

/// Of what is there up to [`MAX_MS`], so much is left to what this device itself writes: whoever dates
/// something at the end of time leaves nobody without a time of their own.
const LEFT_MS: u64 = 1 << 40;

/// A reading of a hybrid logical clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct Stamp {
    /// Unix milliseconds, at most [`MAX_MS`].
    #[n(0)]
    pub ms: u64,
    /// Tells readings of one millisecond apart.
    #[n(1)]
    pub counter: u16,
}

impl Stamp {
    fn next(self) -> Self {
        match self.counter.checked_add(1) {
            Some(counter) => Self { counter, ..self },
            None if self.ms < MAX_MS => Self { ms: self.ms + 1, counter: 0 },
            None => self,
        }
    }
}

/// One writer's hybrid logical clock for one space.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Clock {
    #[n(0)]
    issued: Stamp,
    #[n(1)]
    observed: Stamp,
}

impl Clock {
    /// A reading above every one issued or observed, and not before `now_ms`.
    pub fn tick(&mut self, now_ms: u64) -> Stamp {
        let now = Stamp { ms: now_ms.min(MAX_MS), counter: 0 };
        let stamp = self.issued.max(self.observed).next().max(now);
        self.issued = stamp;
        stamp
    }

    /// Takes note of an entry's *effective* stamp. Claimed ones never come here: a wild clock
    /// must not drag others along.
    pub fn observe(&mut self, effective: Stamp) {
        if effective.ms <= MAX_MS - LEFT_MS {
            self.observed = self.observed.max(effective);
        }
    }

    /// Forgets what was issued, once all of it has its effective stamp (and that was observed):
    /// after a clock that ran ahead is set right, this writer's messages are right again too.
    pub fn settle(&mut self) {
        self.issued = Stamp::default();
    }
}

/// Names a message and orders it: stamp and writer tag. The text form sorts as the key does; it is
/// the message's id.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OrderKey {
    /// When its writer says it was written.
    pub stamp: Stamp,
    /// The writer's tag (`WriterId::tag`).
    pub tag: [u8; 6],
}

impl OrderKey {
    /// Length of the text form.
    pub const TEXT_LEN: usize = 19;

    /// Six bytes of milliseconds, two of counter, six of tag, big-endian.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; 14] {
        let mut out = [0; 14];
        out[..6].copy_from_slice(&self.stamp.ms.min(MAX_MS).to_be_bytes()[2..]);
        out[6..8].copy_from_slice(&self.stamp.counter.to_be_bytes());
        out[8..].copy_from_slice(&self.tag);
        out
    }

    /// The key of these bytes.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; 14]) -> Self {
        let [a, b, c, d, e, f, g, h, tag @ ..] = *bytes;
        let ms = u64::from_be_bytes([0, 0, a, b, c, d, e, f]);
        Self { stamp: Stamp { ms, counter: u16::from_be_bytes([g, h]) }, tag }
    }

    /// Where the message stands in the view, the same on every device: the claimed time, but at
    /// most five minutes past the relay's. A capped stamp stands behind all others of its
    /// millisecond, so that what was written in its knowledge still follows it.
    #[must_use]
    pub fn effective(&self, placement: Option<&Placement>) -> Stamp {
        let cap =
            placement.map_or(MAX_MS, |place| place.time_ms.saturating_add(limits::CLOCK_AHEAD_MS));
        if self.stamp.ms <= cap { self.stamp } else { Stamp { ms: cap, counter: u16::MAX } }
    }
}

/// Where a message stands in the view: by effective stamp, and by key within one. Of messages that
/// claim a time beyond the relay's, many may end up on one stamp: the log's order tells them apart,
/// so that what was written in another's knowledge follows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rank {
    /// The claimed stamp, or the relay's limit.
    pub effective: Stamp,
    /// The place in the log (entry and ordinal) of a message whose claim is beyond the limit.
    pub capped: Option<(u64, u32)>,
    /// The message.
    pub key: OrderKey,
}

impl Rank {
    /// Where the message of this key and place stands.
    #[must_use]
    pub fn of(key: OrderKey, placement: Option<&Placement>) -> Self {
        let effective = key.effective(placement);
        let capped = placement.filter(|_| effective != key.stamp);
        Self { effective, capped: capped.map(|place| (place.index, place.ordinal)), key }
    }
}

/// Sorts as the rank does. For a message whose claim is within the limit, it is the id.
impl fmt::Display for Rank {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((index, ordinal)) = self.capped else { return self.key.fmt(f) };
        let mut bytes = OrderKey { stamp: self.effective, tag: [0xff; 6] }.to_bytes().to_vec();
        bytes.extend(index.to_be_bytes());
        bytes.extend(ordinal.to_be_bytes());
        bytes.extend(self.key.to_bytes());
        f.write_str(&SORTABLE.encode(bytes))
    }
}

impl fmt::Display for OrderKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&SORTABLE.encode(self.to_bytes()))
    }
}

impl fmt::Debug for OrderKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OrderKey({self})")
    }
}

impl FromStr for OrderKey {
    type Err = DocumentError;

    fn from_str(text: &str) -> Result<Self, DocumentError> {
        let bytes = SORTABLE.decode(text).map_err(|_| DocumentError::BadKey)?;
        let bytes: [u8; 14] = bytes.try_into().map_err(|_| DocumentError::BadKey)?;
        Ok(Self::from_bytes(&bytes))
    }
}

impl<C> Encode<C> for OrderKey {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut minicbor::Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.bytes(&self.to_bytes())?;
        Ok(())
    }
}

impl<'b, C> Decode<'b, C> for OrderKey {
    fn decode(d: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        let bytes = d.bytes()?;
        let bytes = bytes.try_into().map_err(|_| minicbor::decode::Error::message("order key"))?;
        Ok(Self::from_bytes(bytes))
    }
}

#[cfg(all(test, not(target_family = "wasm")))]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn keys() -> impl Strategy<Value = OrderKey> {
        (0..=MAX_MS, any::<u16>(), any::<[u8; 6]>())
            .prop_map(|(ms, counter, tag)| OrderKey { stamp: Stamp { ms, counter }, tag })
    }

    fn place() -> impl Strategy<Value = Option<Placement>> {
        let place = (0..3_u64, 0..4_u64, 0..3_u32);
        prop::option::of(place.prop_map(|(index, time_ms, ordinal)| Placement {
            index,
            time_ms,
            ordinal,
        }))
    }

    proptest! {
        #[test]
        fn text_sorts_as_keys_do(a in keys(), b in keys()) {
            prop_assert_eq!(a.to_string().cmp(&b.to_string()), a.cmp(&b));
            prop_assert_eq!(a.to_string().len(), OrderKey::TEXT_LEN);
            prop_assert_eq!(a.to_string().parse::<OrderKey>().unwrap(), a);
        }

        #[test]
        fn a_ranks_text_sorts_as_it_does(
            near in 0..4_u64, counters in any::<[bool; 2]>(), keys in [keys(), keys()],
            places in [place(), place()],
        ) {
            let [a, b] = [0, 1].map(|n| {
                let mut key = keys[n];
                // Near the limit, where the two kinds of rank meet.
                key.stamp.ms = limits::CLOCK_AHEAD_MS + near * n as u64;
                key.stamp.counter = if counters[n] { u16::MAX } else { key.stamp.counter };
                Rank::of(key, places[n].as_ref())
            });
            prop_assert_eq!(a.to_string().cmp(&b.to_string()), a.cmp(&b), "{:?} {:?}", a, b);
        }

        #[test]
        fn ticks_rise_whatever_the_clock_does(times in prop::collection::vec(any::<u64>(), 1..50)) {
            let mut clock = Clock::default();
            let mut last = None;
            for now in times {
                let stamp = clock.tick(now);
                prop_assert!(last < Some(stamp) || stamp.ms == MAX_MS);
                last = Some(stamp);
            }
        }
    }

    #[test]
    fn clocks_ten_years_off_misplace_only_their_own_messages() {
        const TEN_YEARS_MS: u64 = 10 * 365 * 24 * 3600 * 1000;
        let relay_ms = 1_700_000_000_000;
        let place = Placement { index: 1, time_ms: relay_ms, ordinal: 0 };
        let mut wild = Clock::default();
        let ahead = OrderKey { stamp: wild.tick(relay_ms + TEN_YEARS_MS), tag: [1; 6] };
        let effective = ahead.effective(Some(&place));
        assert_eq!(effective.ms, relay_ms + limits::CLOCK_AHEAD_MS);
        let mut honest = Clock::default();
        honest.observe(effective);
        let answer = honest.tick(relay_ms);
        assert!(answer > effective, "an answer follows what it answers");
        assert!(answer.ms <= relay_ms + limits::CLOCK_AHEAD_MS + 1, "and isn't dragged away");
        wild.observe(effective);
        wild.settle();
        assert!(wild.tick(relay_ms).ms <= relay_ms + limits::CLOCK_AHEAD_MS + 1);
        let mut behind = Clock::default();
        behind.observe(answer);
        assert!(behind.tick(relay_ms - TEN_YEARS_MS) > answer);
    }

    #[test]
    fn a_clock_at_its_end_stays_there() {
        let mut clock = Clock::default();
        clock.tick(u64::MAX);
        clock.issued.counter = u16::MAX;
        assert_eq!(clock.tick(5), Stamp { ms: MAX_MS, counter: u16::MAX });
    }

    #[test]
    fn what_is_dated_at_the_end_of_time_leaves_room_for_all_that_follows() {
        let mut clock = Clock::default();
        clock.observe(Stamp { ms: u64::MAX, counter: u16::MAX });
        clock.observe(Stamp { ms: MAX_MS - LEFT_MS + 1, counter: 0 });
        assert_eq!(clock.tick(5).ms, 5);
        clock.observe(Stamp { ms: MAX_MS - LEFT_MS, counter: u16::MAX });
        let (one, next) = (clock.tick(6), clock.tick(6));
        assert!(one < next && next.ms <= MAX_MS - LEFT_MS + 1);
    }
}
