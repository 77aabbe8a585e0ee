//! What a session is served: entries, inbox items, what it fetches, made from the rules' state.

use std::collections::BTreeMap;

use sync_protocol::codec::Blob;
use sync_protocol::error::Rejection;
use sync_protocol::frames::{Answer, Delivery, Entries, Entry, Notice, RelayFrame, Reply};
use sync_protocol::ids::SpaceId;
use sync_protocol::limits;

use crate::relay::bounds::Bounds;
use crate::relay::damage::Damage;
use crate::relay::held::Held;
use crate::relay::rate::Limited;
use crate::relay::session::{Fetch, Lag, cursor};
use crate::relay::sessions::Sessions;
use crate::relay::times::Times;
use crate::relay::{Counts, Frame, SessionId, work};
use crate::rules::{Logged, State};
use crate::store::{Store, StoreError};

/// What deliveries are made from, and by.
pub(super) struct Serving<'a, S> {
    pub(super) state: &'a mut State<S>,
    pub(super) sessions: &'a mut Sessions,
    pub(super) bounds: &'a mut Bounds,
    pub(super) held: &'a mut Held,
    pub(super) damage: &'a mut Damage,
    pub(super) counts: &'a mut Counts,
    pub(super) times: Times,
}

/// Entries encoded once, for all who receive them.
#[derive(Clone, Debug)]
pub(super) struct Chunk {
    pub(super) frame: Frame,
    pub(super) cost: u64,
    pub(super) count: u64,
    /// The index after the last one here.
    pub(super) next: u64,
}

/// Chunks of one commit: space, first index, end of the range, and whether a cursor is wanted.
#[derive(Debug)]
pub(super) struct Chunks {
    known: BTreeMap<(SpaceId, u64, u64, bool), Chunk>,
    /// Bytes that may be encoded still, but for the last one's.
    left: usize,
}

impl Chunks {
    pub(super) fn new() -> Self {
        Self { known: BTreeMap::new(), left: HANDED }
    }
}

/// Bytes encoded for what one commit hands on. Those who write at once in one space hear of it in other pieces
/// each, so what many write is encoded as often as they are: beyond this they catch up.
const HANDED: usize = 4 * 1024 * 1024;

/// A stretch of a space's log for one session.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stretch {
    pub(super) space: SpaceId,
    pub(super) first: u64,
    pub(super) end: u64,
}

/// What one session is served with next.
#[derive(Clone, Copy, Debug)]
pub(super) enum Part {
    Inbox,
    Fetch(Fetch),
    Lag(SpaceId, Lag),
}

impl<S: Store> Serving<'_, S> {
    /// A chunk for all who receive the same; `None` if as much was encoded as may be at once.
    pub(super) fn shared_chunk(
        &mut self,
        stretch: Stretch,
        with_cursor: bool,
        chunks: &mut Chunks,
    ) -> Result<Option<Chunk>, StoreError> {
        let key = (stretch.space, stretch.first, stretch.end, with_cursor);
        if let Some(chunk) = chunks.known.get(&key) {
            return Ok(Some(chunk.clone()));
        }
        if chunks.left == 0 {
            return Ok(None);
        }
        let chunk = self.chunk(stretch, limits::CHUNK as u64, with_cursor)?;
        chunks.left = chunks.left.saturating_sub(chunk.frame.len());
        chunks.known.insert(key, chunk.clone());
        Ok(Some(chunk))
    }

    /// Reads and encodes entries up to a size, at least one. A cursor is put in only if the
    /// stretch ends here.
    fn chunk(
        &mut self,
        stretch: Stretch,
        size: u64,
        with_cursor: bool,
    ) -> Result<Chunk, StoreError> {
        let Stretch { space, first, end } = stretch;
        let mut logged: Vec<Logged> = Vec::new();
        let mut start = first;
        let mut total = 0;
        self.state.read_log(&space, first, end, &mut |index, entry| {
            let cost = entry.envelope.len() as u64 + 16;
            if !logged.is_empty() && total + cost > size {
                return false;
            }
            if logged.is_empty() {
                start = index;
            }
            total += cost;
            logged.push(entry);
            true
        })?;
        let count = logged.len() as u64;
        let next = if count == 0 { end } else { start + count };
        let cursor = (with_cursor && next >= end).then(|| self.cursor_now());
        let entries = self.entries(space, start, logged, cursor)?;
        let delivery = Delivery::Entries(entries);
        let cost = delivery.cost();
        Ok(Chunk { frame: Frame::of(&RelayFrame::Delivery(delivery)), cost, count, next })
    }

    fn entries(
        &mut self,
        space: SpaceId,
        first: u64,
        logged: Vec<Logged>,
        cursor: Option<Blob>,
    ) -> Result<Entries, StoreError> {
        let found = self.state.space(&space)?.ok_or_else(|| StoreError::row("space"))?;
        let (generation, (floor, head)) = (found.generation(), found.bounds());
        let mut numbers: Vec<u32> = Vec::new();
        let mut entries = Vec::with_capacity(logged.len());
        for Logged { writer, time_ms, envelope } in logged {
            let known = numbers.iter().position(|number| *number == writer);
            let place = known.unwrap_or_else(|| {
                numbers.push(writer);
                numbers.len() - 1
            });
            let writer = u32::try_from(place).unwrap_or(u32::MAX);
            entries.push(Entry { writer, time_ms, envelope: envelope.into() });
        }
        let writers = numbers.into_iter().map(|number| self.state.writer(number));
        let writers = writers.collect::<Result<Vec<_>, _>>()?;
        Ok(Entries {
            space,
            generation,
            floor,
            head,
            checkpoint: None,
            signed_by: (0, 0),
            first,
            writers,
            entries,
            cursor,
        })
    }

    pub(super) fn cursor_now(&self) -> Blob {
        cursor(self.state.identity().generation, self.state.newest_position())
    }

    /// Sends some of one part; `None` if there is no credit for it.
    pub(super) fn send_part(
        &mut self,
        session: SessionId,
        part: Part,
    ) -> Result<Option<u64>, StoreError> {
        match part {
            Part::Inbox => self.send_inbox(session),
            Part::Fetch(fetch) => self.send_fetch(session, fetch),
            Part::Lag(space, lag) => self.send_lag(session, space, lag),
        }
    }

    /// A part can't be read: the others are served.
    pub(super) fn leave_out(&mut self, session: SessionId, part: Part, reason: Rejection) {
        let Some(open) = self.sessions.open_mut(session) else { return };
        match part {
            Part::Inbox => open.inbox_waiting = false,
            Part::Lag(space, _) => {
                open.behind.remove(&space);
            }
            Part::Fetch(fetch) => {
                open.fetches.pop_front();
                let reply = Reply { id: fetch.id, answer: Answer::Refused(reason) };
                self.held.send(session, &RelayFrame::Reply(reply));
            }
        }
    }

    /// Sends inbox items; `None` if there is no credit for them.
    fn send_inbox(&mut self, session: SessionId) -> Result<Option<u64>, StoreError> {
        let Some(open) = self.sessions.open(session) else { return Ok(None) };
        let size = i64::min(limits::CHUNK as i64, open.credit);
        let mut items = Vec::new();
        let mut total = 0;
        self.state.waiting_items(&open.device(), open.inbox_next, &mut |item| {
            let cost = item.cost() as i64;
            if !items.is_empty() && total + cost > size {
                return false;
            }
            total += cost;
            items.push(item);
            true
        })?;
        let Some(open) = self.sessions.open_mut(session) else { return Ok(None) };
        let Some(last) = items.last().map(|item| item.number) else {
            open.inbox_waiting = false;
            return Ok(Some(0));
        };
        let delivery = Delivery::Inbox(items);
        let cost = delivery.cost();
        if !open.can_take(cost) {
            self.was_in_vain(session, cost);
            return Ok(None);
        }
        open.spend(cost);
        open.inbox_next = last + 1;
        self.held.send(session, &RelayFrame::Delivery(delivery));
        Ok(Some(cost))
    }

    /// Something was read that there is no credit for: it is paid for all the same.
    fn was_in_vain(&mut self, session: SessionId, bytes: u64) {
        if let Some(open) = self.sessions.open(session) {
            let spent = (Limited::Work, work::bytes(bytes));
            self.bounds.spend(open.account, spent, self.times.now_ms);
        }
    }

    fn send_fetch(&mut self, session: SessionId, fetch: Fetch) -> Result<Option<u64>, StoreError> {
        let stretch = Stretch { space: fetch.space, first: fetch.next, end: fetch.to };
        let Some(chunk) = self.afforded(session, stretch)? else { return Ok(None) };
        let is_done = chunk.next >= fetch.to;
        let Some(open) = self.sessions.open_mut(session) else { return Ok(None) };
        if is_done {
            open.fetches.pop_front();
        } else if let Some(front) = open.fetches.front_mut() {
            front.next = chunk.next;
        }
        if is_done {
            let reply = Reply { id: fetch.id, answer: Answer::Done };
            self.held.send(session, &RelayFrame::Reply(reply));
        }
        Ok(Some(chunk.cost))
    }

    fn send_lag(
        &mut self,
        session: SessionId,
        space: SpaceId,
        lag: Lag,
    ) -> Result<Option<u64>, StoreError> {
        let head = self.state.space(&space)?.map_or(0, |space| space.bounds().1);
        let end = lag.until.unwrap_or(head);
        let stretch = Stretch { space, first: lag.next, end };
        let mut cost = 0;
        let mut next = lag.next;
        if next < end {
            let Some(chunk) = self.afforded(session, stretch)? else { return Ok(None) };
            (cost, next) = (chunk.cost, chunk.next);
        }
        let Some(open) = self.sessions.open_mut(session) else { return Ok(None) };
        if next < end {
            open.behind.advance(&space, next);
        } else {
            open.behind.remove(&space);
            if lag.until.is_some() {
                self.held.send(session, &RelayFrame::Notice(Notice::Removed { space }));
            }
        }
        Ok(Some(cost))
    }

    /// Sends as much of a stretch as one chunk holds; `None` if there is no credit.
    fn afforded(
        &mut self,
        session: SessionId,
        stretch: Stretch,
    ) -> Result<Option<Chunk>, StoreError> {
        let Some(open) = self.sessions.open(session) else { return Ok(None) };
        let Ok(credit @ 1..) = u64::try_from(open.credit) else { return Ok(None) };
        let chunk = self.chunk(stretch, credit.min(limits::CHUNK as u64), false)?;
        let Some(open) = self.sessions.open_mut(session) else { return Ok(None) };
        if !open.can_take(chunk.cost) {
            self.was_in_vain(session, chunk.cost);
            return Ok(None);
        }
        open.spend(chunk.cost);
        if chunk.count > 0 {
            self.counts.delivered += chunk.count;
            self.held.share(session, chunk.frame.clone());
        }
        Ok(Some(chunk))
    }
}
