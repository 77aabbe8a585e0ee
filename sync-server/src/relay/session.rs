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
use crate::relay::incoming::{Incoming, Speaker};
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
    /// Commands that it waits for, and what it sent meanwhile.
    pub(super) turn: Turn,
}

/// A session's order: what it sends next is looked at once what it proposed before was applied. So what
/// one session says stays in its order, whatever the log does to commands on their way.
#[derive(Debug, Default)]
pub(super) struct Turn {
    waits: usize,
    later: VecDeque<Incoming>,
}

impl Turn {
    /// Whether it waits for a command.
    pub(super) fn waits(&self) -> bool {
        self.waits > 0
    }

    /// It proposes a command.
    pub(super) fn begin(&mut self) {
        self.waits += 1;
    }

    /// A command of its was applied.
    pub(super) fn end(&mut self) {
        self.waits = self.waits.saturating_sub(1);
    }

    /// Keeps a frame for later. Whether there is room for it.
    pub(super) fn keep(&mut self, frame: Incoming) -> bool {
        let has_room = self.later.len() < LATER;
        if has_room {
            self.later.push_back(frame);
        }
        has_room
    }

    /// The next frame, if its time has come.
    pub(super) fn next(&mut self) -> Option<Incoming> {
        if self.waits() { None } else { self.later.pop_front() }
    }
}

/// Frames of one session that are kept for later. Hosts hold back what they can.
const LATER: usize = 256;

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
    /// What there was not credit enough for: it is not read again before there is.
    pub(super) wants: u64,
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
    /// Whether what it pushed last was refused before it was looked at.
    pub(super) rests: bool,
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
            wants: 0,
            inbox_next: 0,
            inbox_waiting: true,
            behind: Behind { foreground, ..Behind::default() },
            fetches: VecDeque::new(),
            is_told: false,
            cursor: 0,
            acked: 0,
            acked_before: 0,
            rates: SessionRates::default(),
            rests: false,
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

    /// Whether something of this cost may be sent now. If not, it is waited for.
    pub(super) fn can_take(&mut self, cost: u64) -> bool {
        let can = self.affords(cost);
        self.wants = if can { 0 } else { cost };
        can
    }

    /// Whether it waits for more credit than it has: what comes next was read once, and cost too much.
    pub(super) fn lacks_credit(&self) -> bool {
        self.wants > 0 && !self.affords(self.wants)
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

/// Memory that a space takes here: its place in both maps, and their room to grow.
const BEHIND: usize = 192;

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

    /// Memory that it takes.
    pub(super) fn bytes(&self) -> usize {
        self.len() * BEHIND
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

/// What a cursor begins with: the version of its form.
const CURSOR: u8 = 1;

/// A position as devices keep it, opaque to them: the generation, the epoch of how spaces are shared out
/// among logs, and how far each of these was read. There is one log yet.
pub(super) fn cursor(generation: u64, position: u64) -> Blob {
    let (epoch, logs) = (0u32.to_be_bytes(), [1]);
    let (generation, position) = (generation.to_be_bytes(), position.to_be_bytes());
    Blob([&[CURSOR][..], &generation, &epoch, &logs, &position].concat())
}

/// The position in a cursor, if it is one of this generation; it may be ahead of what is here.
pub(super) fn position_of(cursor: &Blob, generation: u64) -> Option<u64> {
    let (front, position) = cursor.as_slice().split_last_chunk::<8>()?;
    let position = u64::from_be_bytes(*position);
    (*cursor == self::cursor(generation, position) && front.len() == 14).then_some(position)
}

/// The position in a cursor, if it is one of this generation and not from its future.
pub(super) fn position_in(cursor: &Blob, generation: u64, newest: u64) -> Option<u64> {
    position_of(cursor, generation).filter(|position| *position <= newest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sync_protocol::frames::ClientFrame;

    #[test]
    fn what_a_session_sends_waits_for_what_it_proposed() {
        let mut turn = Turn::default();
        let frame = |bytes| Incoming::Frame(ClientFrame::Credit { bytes });
        turn.begin();
        assert!(turn.keep(frame(1)) && turn.next().is_none());
        turn.end();
        assert!(matches!(turn.next(), Some(Incoming::Frame(ClientFrame::Credit { bytes: 1 }))));
        assert!(turn.next().is_none() && !turn.waits());
        assert_eq!((0..1_000).filter(|n| turn.keep(frame(*n))).count(), LATER);
    }

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
        assert_eq!((position_of(&made, 7), position_of(&made, 8)), (Some(100), None));
        assert!(made.0.len() <= limits::CURSOR);
        assert_eq!(position_in(&Blob(vec![1; 15]), 7, 99), None);
        assert_eq!(position_in(&Blob(vec![0; 17]), 0, 99), None);
    }
}
