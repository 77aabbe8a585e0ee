//! Deliveries: what goes to whom after a commit, under credit.

use std::collections::BTreeMap;
use sync_protocol::codec::Blob;
use sync_protocol::error::Rejection;
use sync_protocol::frames::{Answer, Delivery, Entries, Entry, Notice, RelayFrame, Reply};
use sync_protocol::ids::SpaceId;
use sync_protocol::limits;

use crate::relay::rate::Limited;
use crate::relay::session::{Fetch, Lag, cursor};
use crate::relay::{Frame, Piece, Relay, SessionId, work};
use crate::rules::Logged;
use crate::store::{Store, StoreError};

/// Bytes read from the store for catch-ups in one commit, over all sessions; the next commit goes
/// on, so that pushes never wait long.
const CATCH_UP: u64 = 4 * 1024 * 1024;

/// Of them, for one session.
const SHARE: u64 = 256 * 1024;

/// Entries encoded once, for all who receive them.
#[derive(Clone, Debug)]
struct Chunk {
    frame: Frame,
    cost: u64,
    count: u64,
    /// The index after the last one here.
    next: u64,
}

/// Chunks of one commit: space, first index, end of the range, and whether a cursor is wanted.
type Chunks = BTreeMap<(SpaceId, u64, u64, bool), Chunk>;

/// A stretch of a space's log for one session.
#[derive(Clone, Copy, Debug)]
struct Stretch {
    space: SpaceId,
    first: u64,
    end: u64,
}

/// What one session is served with next.
#[derive(Clone, Copy, Debug)]
enum Part {
    Inbox,
    Fetch(Fetch),
    Lag(SpaceId, Lag),
}

impl<S: Store> Relay<S> {
    /// Hands on what was appended, then serves every session that has credit and something to
    /// catch up with.
    pub(super) fn deliver(&mut self, now_ms: u64) -> Result<(), StoreError> {
        let appended = std::mem::take(&mut self.appended);
        let mut live: BTreeMap<SessionId, Vec<Stretch>> = BTreeMap::new();
        for (space, pieces) in &appended {
            let shared = self.share_out(space, pieces, &mut live);
            self.damage.skips(shared)?;
        }
        let mut chunks = Chunks::new();
        for (session, stretches) in live {
            let handed = self.hand_on(session, &stretches, &mut chunks);
            self.damage.skips(handed)?;
        }
        self.serve_ready(now_ms)
    }

    /// Who receives what of a space's new entries: every session of a member but its own entries.
    fn share_out(
        &mut self,
        space: &SpaceId,
        pieces: &[Piece],
        live: &mut BTreeMap<SessionId, Vec<Stretch>>,
    ) -> Result<(), StoreError> {
        let Some(found) = self.state.space(space)? else { return Ok(()) };
        let members: Vec<_> = found.members().collect();
        for account in members {
            let Some(sessions) = self.accounts.get(&account) else { continue };
            for session in sessions {
                let Some(open) = self.sessions.get(session).and_then(|s| s.open.as_ref()) else {
                    continue;
                };
                if !open.behind.has(space) {
                    let stretches = foreign(*space, pieces, *session);
                    if !stretches.is_empty() {
                        live.entry(*session).or_default().extend(stretches);
                    }
                }
            }
        }
        Ok(())
    }

    /// Sends a session its part of the new entries; what it can't take now it catches up with.
    fn hand_on(
        &mut self,
        session: SessionId,
        stretches: &[Stretch],
        chunks: &mut Chunks,
    ) -> Result<(), StoreError> {
        let newest = self.state.newest_position();
        for (n, stretch) in stretches.iter().enumerate() {
            let is_last = n + 1 == stretches.len();
            let mut first = stretch.first;
            while first < stretch.end {
                let Some(open) = self.open_session(session) else { return Ok(()) };
                let with_cursor = is_last && open.is_told && open.is_complete();
                let part = Stretch { first, ..*stretch };
                if open.behind.has(&part.space) {
                    break;
                }
                let chunk = self.shared_chunk(part, with_cursor, chunks)?;
                let Some(open) = self.open_session_mut(session) else { return Ok(()) };
                if !open.affords(chunk.cost) || chunk.count == 0 {
                    open.behind.note(part.space, first, None, newest);
                    open.is_told = false;
                    break;
                }
                open.spend(chunk.cost);
                if with_cursor && chunk.next >= stretch.end {
                    open.cursor = newest;
                    self.owed.remove(&session);
                }
                self.counts.delivered += chunk.count;
                self.held.share(session, chunk.frame.clone());
                first = chunk.next;
            }
        }
        Ok(())
    }

    fn shared_chunk(
        &mut self,
        stretch: Stretch,
        with_cursor: bool,
        chunks: &mut Chunks,
    ) -> Result<Chunk, StoreError> {
        let key = (stretch.space, stretch.first, stretch.end, with_cursor);
        if let Some(chunk) = chunks.get(&key) {
            return Ok(chunk.clone());
        }
        let chunk = self.chunk(stretch, limits::CHUNK as u64, with_cursor)?;
        chunks.insert(key, chunk.clone());
        Ok(chunk)
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

    fn cursor_now(&self) -> Blob {
        cursor(self.state.identity().generation, self.state.newest_position())
    }

    fn serve_ready(&mut self, now_ms: u64) -> Result<(), StoreError> {
        let mut left = CATCH_UP;
        // Each in turn, and each a little: who was not served now is the first the next time.
        let later = self.ready.split_off(&self.next_served);
        let earlier = std::mem::replace(&mut self.ready, later);
        let waiting: Vec<_> = self.ready.iter().chain(&earlier).copied().collect();
        self.ready.extend(earlier);
        for session in waiting {
            if left == 0 {
                self.next_served = session;
                break;
            }
            self.ready.remove(&session);
            left = left.saturating_sub(self.serve(session, left.min(SHARE), now_ms)?);
        }
        Ok(())
    }

    /// Serves one session: its inbox, what it asked for, what it missed, then the word that it is
    /// up to date. Returns the bytes sent.
    fn serve(&mut self, session: SessionId, most: u64, now_ms: u64) -> Result<u64, StoreError> {
        let Some(account) = self.open_session(session).map(|open| open.account) else {
            return Ok(0);
        };
        if !self.bounds.may_deliver(account, now_ms) {
            self.resting.insert(session);
            return Ok(0);
        }
        let sent = self.serve_some(session, most, now_ms)?;
        self.bounds.spend(account, (Limited::Egress, sent), now_ms);
        self.bounds.spend(account, (Limited::Work, work::bytes(sent)), now_ms);
        Ok(sent)
    }

    fn serve_some(
        &mut self,
        session: SessionId,
        most: u64,
        now_ms: u64,
    ) -> Result<u64, StoreError> {
        let mut sent = 0;
        while sent < most {
            let Some(open) = self.open_session(session) else { return Ok(sent) };
            let fetch = open.fetches.front().copied();
            let lag = open.behind.first();
            let part = if open.inbox_waiting {
                Part::Inbox
            } else if let Some(fetch) = fetch {
                Part::Fetch(fetch)
            } else if let Some((space, lag)) = lag {
                Part::Lag(space, lag)
            } else {
                self.tell_up_to_date(session, now_ms);
                return Ok(sent);
            };
            match self.send_part(session, part) {
                Ok(Some(cost)) => sent += cost,
                Ok(None) => return Ok(sent),
                Err(error) => {
                    let reason = self.damage.refuses(error)?;
                    self.leave_out(session, part, reason);
                }
            }
        }
        self.ready.insert(session);
        Ok(sent)
    }

    /// Sends some of one part; `None` if there is no credit for it.
    fn send_part(&mut self, session: SessionId, part: Part) -> Result<Option<u64>, StoreError> {
        match part {
            Part::Inbox => self.send_inbox(session),
            Part::Fetch(fetch) => self.send_fetch(session, fetch),
            Part::Lag(space, lag) => self.send_lag(session, space, lag),
        }
    }

    /// A part can't be read: the others are served.
    fn leave_out(&mut self, session: SessionId, part: Part, reason: Rejection) {
        let Some(open) = self.open_session_mut(session) else { return };
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
        let Some(open) = self.open_session(session) else { return Ok(None) };
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
        let Some(open) = self.open_session_mut(session) else { return Ok(None) };
        let Some(last) = items.last().map(|item| item.number) else {
            open.inbox_waiting = false;
            return Ok(Some(0));
        };
        let delivery = Delivery::Inbox(items);
        let cost = delivery.cost();
        if !open.affords(cost) {
            return Ok(None);
        }
        open.spend(cost);
        open.inbox_next = last + 1;
        self.held.send(session, &RelayFrame::Delivery(delivery));
        Ok(Some(cost))
    }

    fn send_fetch(&mut self, session: SessionId, fetch: Fetch) -> Result<Option<u64>, StoreError> {
        let stretch = Stretch { space: fetch.space, first: fetch.next, end: fetch.to };
        let Some(chunk) = self.afforded(session, stretch)? else { return Ok(None) };
        let is_done = chunk.next >= fetch.to;
        let Some(open) = self.open_session_mut(session) else { return Ok(None) };
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
        let Some(open) = self.open_session_mut(session) else { return Ok(None) };
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
        let Some(open) = self.open_session(session) else { return Ok(None) };
        let Ok(credit @ 1..) = u64::try_from(open.credit) else { return Ok(None) };
        let chunk = self.chunk(stretch, credit.min(limits::CHUNK as u64), false)?;
        let Some(open) = self.open_session_mut(session) else { return Ok(None) };
        if !open.affords(chunk.cost) {
            return Ok(None);
        }
        open.spend(chunk.cost);
        if chunk.count > 0 {
            self.counts.delivered += chunk.count;
            self.held.share(session, chunk.frame.clone());
        }
        Ok(Some(chunk))
    }

    fn tell_up_to_date(&mut self, session: SessionId, now_ms: u64) {
        let newest = self.state.newest_position();
        let time_ms = self.stamp(now_ms);
        let is_owed = self.owed.contains(&session);
        let Some(open) = self.open_session_mut(session) else { return };
        if open.is_told && (!is_owed || open.cursor == newest) {
            return;
        }
        open.is_told = true;
        open.cursor = newest;
        self.owed.remove(&session);
        let cursor = self.cursor_now();
        let delivery = Delivery::UpToDate { cursor, time_ms };
        self.held.send(session, &RelayFrame::Delivery(delivery));
    }
}

/// The pieces that a session did not append itself, joined where they touch.
fn foreign(space: SpaceId, pieces: &[Piece], session: SessionId) -> Vec<Stretch> {
    let mut stretches: Vec<Stretch> = Vec::new();
    for piece in pieces.iter().filter(|piece| piece.by != session) {
        match stretches.last_mut() {
            Some(last) if last.end == piece.first => last.end = piece.end,
            _ => stretches.push(Stretch { space, first: piece.first, end: piece.end }),
        }
    }
    stretches
}
