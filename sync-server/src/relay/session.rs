//! What the relay remembers of a socket while it is open. Small: one thousand idle sessions cost
//! less than a megabyte.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use sync_protocol::codec::Blob;
use sync_protocol::frames::Challenge;
use sync_protocol::ids::{AccountId, SpaceId, WriterId};
use sync_protocol::limits;
use sync_protocol::signing::PublicKey;

use crate::peers::Peer;
use crate::relay::incoming::Speaker;
use crate::relay::rate::Bucket;
use crate::rules::{AccountDevice, TokenHash};

/// One socket's session.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) challenge: Challenge,
    /// Since when the relay waits for its hello: since it connected, or left a rendezvous.
    pub(super) silent_from_ms: u64,
    pub(super) early: EarlySteps,
    /// Where it comes from, if that is counted.
    pub(super) peer: Option<Peer>,
    pub(super) open: Option<Box<Open>>,
}

/// What a session did before it was authenticated: bounded, as nobody answers for it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct EarlySteps {
    pub(super) frames: u32,
    pub(super) requests: u32,
    pub(super) openings: u32,
    /// What lets it make an account.
    pub(super) token: Option<TokenHash>,
}

/// An authenticated session.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) account: AccountId,
    pub(super) writer: WriterId,
    /// With which the device signs.
    pub(super) key: PublicKey,
    /// What the device can still take in, in bytes.
    pub(super) credit: i64,
    /// The next inbox item to deliver.
    pub(super) inbox_next: u64,
    pub(super) inbox_waiting: bool,
    /// Spaces whose entries are read from the store for this session.
    pub(super) behind: Behind,
    pub(super) fetches: VecDeque<Fetch>,
    /// Whether the device was told that it is up to date, and nothing was left out since.
    pub(super) is_told: bool,
    /// The newest cursor sent.
    pub(super) cursor: u64,
    /// The newest cursor that the device acknowledged in this session.
    pub(super) acked: u64,
    /// What is written down from earlier sessions.
    pub(super) acked_before: u64,
    pub(super) rates: SessionRates,
}

#[derive(Debug, Default)]
pub(super) struct SessionRates {
    pub(super) signals_received: Bucket,
    /// Refusals that told it to wait.
    pub(super) told_to_wait: Bucket,
}

/// A request for entries, answered as credit allows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fetch {
    pub(super) id: u64,
    pub(super) space: SpaceId,
    pub(super) next: u64,
    pub(super) to: u64,
}

impl Open {
    /// Whose session it is.
    pub(super) fn device(&self) -> AccountDevice {
        AccountDevice { account: self.account, device: self.writer.device }
    }

    pub(super) fn new(speaker: Speaker, foreground: Option<SpaceId>) -> Self {
        let Speaker { account, writer, key } = speaker;
        Self {
            account,
            writer,
            key,
            credit: limits::WINDOW as i64,
            inbox_next: 0,
            inbox_waiting: true,
            behind: Behind { foreground, ..Behind::default() },
            fetches: VecDeque::new(),
            is_told: false,
            cursor: 0,
            acked: 0,
            acked_before: 0,
            rates: SessionRates::default(),
        }
    }

    pub(super) fn speaker(&self) -> Speaker {
        Speaker { account: self.account, writer: self.writer, key: self.key }
    }

    /// Whether everything up to now was sent.
    pub(super) fn is_complete(&self) -> bool {
        self.behind.is_empty() && !self.inbox_waiting
    }

    /// More may be sent; never more than a whole window.
    pub(super) fn add_credit(&mut self, bytes: u64) {
        let window = limits::WINDOW as i64;
        let bytes = i64::try_from(bytes).unwrap_or(window).min(window);
        self.credit = (self.credit + bytes).min(window);
    }

    /// Whether something of this cost may be sent now. What is larger than half the window may
    /// overdraw it, or it could never be sent.
    pub(super) fn affords(&self, cost: u64) -> bool {
        let cost = i64::try_from(cost).unwrap_or(i64::MAX);
        cost <= self.credit || self.credit > limits::WINDOW as i64 / 2
    }

    pub(super) fn spend(&mut self, cost: u64) {
        self.credit = self.credit.saturating_sub(i64::try_from(cost).unwrap_or(i64::MAX));
    }
}

/// The spaces a session has to catch up with, newest activity first, the foreground before all.
#[derive(Debug, Default)]
pub(super) struct Behind {
    foreground: Option<SpaceId>,
    spaces: BTreeMap<SpaceId, Lag>,
    order: BTreeSet<(Reverse<u64>, SpaceId)>,
}

/// How far a session is in a space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lag {
    /// The next index to deliver.
    pub(super) next: u64,
    /// For accounts that were removed: the index after the last one they may see.
    pub(super) until: Option<u64>,
    activity: u64,
}

impl Behind {
    pub(super) fn is_empty(&self) -> bool {
        self.spaces.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.spaces.len()
    }

    pub(super) fn has(&self, space: &SpaceId) -> bool {
        self.spaces.contains_key(space)
    }

    /// Notes that a space has entries from `next` on. If it was noted before, the earlier index
    /// stands, with the new bound.
    pub(super) fn note(&mut self, space: SpaceId, next: u64, until: Option<u64>, activity: u64) {
        let known = self.remove(&space);
        let next = known.map_or(next, |known| known.next.min(next));
        self.order.insert((Reverse(activity), space));
        self.spaces.insert(space, Lag { next, until, activity });
    }

    pub(super) fn first(&self) -> Option<(SpaceId, Lag)> {
        let chosen = self.foreground.filter(|space| self.has(space));
        let chosen = chosen.or_else(|| self.order.first().map(|(_, space)| *space))?;
        self.spaces.get(&chosen).map(|lag| (chosen, *lag))
    }

    pub(super) fn advance(&mut self, space: &SpaceId, next: u64) {
        if let Some(lag) = self.spaces.get_mut(space) {
            lag.next = next;
        }
    }

    pub(super) fn remove(&mut self, space: &SpaceId) -> Option<Lag> {
        let lag = self.spaces.remove(space)?;
        self.order.remove(&(Reverse(lag.activity), *space));
        Some(lag)
    }
}

/// A position as devices keep it: opaque to them, with the generation of the store.
pub(super) fn cursor(generation: u64, position: u64) -> Blob {
    Blob([generation.to_be_bytes(), position.to_be_bytes()].concat())
}

/// The position in a cursor, if it is one of this store and not from its future.
pub(super) fn position_in(cursor: &Blob, generation: u64, newest: u64) -> Option<u64> {
    let (of, position) = cursor.as_slice().split_first_chunk::<8>()?;
    let position = u64::from_be_bytes(position.try_into().ok()?);
    (u64::from_be_bytes(*of) == generation && position <= newest).then_some(position)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn space(n: u8) -> SpaceId {
        SpaceId::from_bytes([n; 32])
    }

    #[test]
    fn the_foreground_comes_first_then_the_newest() {
        let mut behind = Behind { foreground: Some(space(3)), ..Behind::default() };
        for n in 1..=4 {
            behind.note(space(n), 0, None, u64::from(n));
        }
        let mut order = Vec::new();
        while let Some((next, _)) = behind.first() {
            behind.remove(&next);
            order.push(next);
        }
        assert_eq!(order, [space(3), space(4), space(2), space(1)]);
        assert!(behind.order.is_empty());
    }

    #[test]
    fn a_cursor_counts_only_where_it_was_made() {
        let made = cursor(7, 100);
        assert_eq!(position_in(&made, 7, 100), Some(100));
        assert_eq!(position_in(&made, 8, 100), None);
        assert_eq!(position_in(&made, 7, 99), None);
        assert_eq!(position_in(&Blob(vec![1; 15]), 7, 99), None);
        assert_eq!(position_in(&Blob(vec![0; 17]), 0, 99), None);
    }
}
