//! Deliveries: what goes to whom after a commit, under credit.

use std::collections::{BTreeMap, BTreeSet};

use sync_protocol::frames::{Delivery, RelayFrame};
use sync_protocol::ids::{AccountId, SpaceId, WriterId};

use crate::relay::rate::Limited;
use crate::relay::serving::{Chunks, Part, Serving, Stretch};
use crate::relay::sessions::Sessions;
use crate::relay::{SessionId, work};
use crate::store::{Store, StoreError};

/// Bytes read from the store for catch-ups in one commit, over all sessions; the next commit goes
/// on, so that pushes never wait long.
const CATCH_UP: u64 = 1024 * 1024;

/// Of them, for one session.
const SHARE: u64 = 256 * 1024;

/// Entries that one writer appended in a row.
#[derive(Clone, Copy, Debug)]
struct Piece {
    first: u64,
    end: u64,
    by: WriterId,
}

/// Who is to be served, in turn.
#[derive(Debug)]
pub(super) struct Deliveries {
    /// What this batch appended.
    appended: BTreeMap<SpaceId, Vec<Piece>>,
    /// Sessions that may have something to receive.
    ready: BTreeSet<SessionId>,
    /// Sessions that pushed and have not had a cursor since.
    owed: BTreeSet<SessionId>,
    /// Sessions of accounts that were delivered as much as they may be for now.
    resting: BTreeSet<SessionId>,
    /// Whose turn it is among those that are ready.
    next_served: SessionId,
}

impl Default for Deliveries {
    fn default() -> Self {
        Self {
            appended: BTreeMap::new(),
            ready: BTreeSet::new(),
            owed: BTreeSet::new(),
            resting: BTreeSet::new(),
            next_served: SessionId(0),
        }
    }
}

impl Deliveries {
    /// A writer's entries stand in a space's log from here on.
    pub(super) fn appended(&mut self, space: SpaceId, (first, end): (u64, u64), by: WriterId) {
        if end > first {
            self.appended.entry(space).or_default().push(Piece { first, end, by });
        }
    }

    /// Nothing of this batch counts.
    pub(super) fn drop_batch(&mut self) {
        self.appended.clear();
    }

    /// Lets an account's sessions read a space from an index on, or up to one and no further.
    pub(super) fn subscribe(
        &mut self,
        sessions: &mut Sessions,
        account: &AccountId,
        (space, activity): (SpaceId, u64),
        (next, until): (u64, Option<u64>),
    ) {
        let next = match until {
            Some(_) => self.appended.get(&space).and_then(|p| p.first()).map_or(next, |p| p.first),
            None => next,
        };
        for session in sessions.of_account(account) {
            let Some(open) = sessions.open_mut(session) else { continue };
            if until.is_none() {
                open.behind.remove(&space);
            }
            open.behind.note(space, next, until, activity);
            open.is_told = false;
            self.ready.insert(session);
        }
    }

    /// A session may have something to receive.
    pub(super) fn wake(&mut self, session: SessionId) {
        self.ready.insert(session);
    }

    /// A session pushed, and has to have a cursor some time.
    pub(super) fn owe(&mut self, session: SessionId) {
        self.owed.insert(session);
    }

    /// Time passed: who is owed a cursor, or rested, is served again.
    pub(super) fn tick(&mut self) {
        self.ready.extend(&self.owed);
        self.ready.append(&mut self.resting);
    }

    /// Whether somebody waits to be served.
    pub(super) fn is_busy(&self) -> bool {
        !self.ready.is_empty()
    }

    /// A session is gone.
    pub(super) fn forget(&mut self, session: SessionId) {
        self.owed.remove(&session);
        self.ready.remove(&session);
        self.resting.remove(&session);
    }

    /// Hands on what was appended, then serves every session that has credit and something to
    /// catch up with.
    pub(super) fn deliver<S: Store>(&mut self, at: &mut Serving<'_, S>) -> Result<(), StoreError> {
        let appended = std::mem::take(&mut self.appended);
        let mut live: BTreeMap<SessionId, Vec<Stretch>> = BTreeMap::new();
        for (space, pieces) in &appended {
            let shared = self.share_out(at, space, pieces, &mut live);
            at.damage.skips(shared)?;
        }
        let mut chunks = Chunks::new();
        for (session, stretches) in live {
            let handed = self.hand_on(at, session, &stretches, &mut chunks);
            at.damage.skips(handed)?;
        }
        self.serve_ready(at)
    }

    /// Who receives what of a space's new entries: every session of a member but its own entries.
    fn share_out<S: Store>(
        &mut self,
        at: &mut Serving<'_, S>,
        space: &SpaceId,
        pieces: &[Piece],
        live: &mut BTreeMap<SessionId, Vec<Stretch>>,
    ) -> Result<(), StoreError> {
        let Some(found) = at.state.space(space)? else { return Ok(()) };
        let members: Vec<_> = found.members().collect();
        for account in members {
            for session in at.sessions.of_account(&account) {
                let Some(open) = at.sessions.open(session) else { continue };
                if !open.behind.has(space) {
                    let stretches = foreign(*space, pieces, &open.writer);
                    if !stretches.is_empty() {
                        live.entry(session).or_default().extend(stretches);
                    }
                }
            }
        }
        Ok(())
    }

    /// Sends a session its part of the new entries; what it can't take now it catches up with.
    fn hand_on<S: Store>(
        &mut self,
        at: &mut Serving<'_, S>,
        session: SessionId,
        stretches: &[Stretch],
        chunks: &mut Chunks,
    ) -> Result<(), StoreError> {
        let newest = at.state.newest_position();
        for (n, stretch) in stretches.iter().enumerate() {
            let is_last = n + 1 == stretches.len();
            let mut first = stretch.first;
            while first < stretch.end {
                let Some(open) = at.sessions.open(session) else { return Ok(()) };
                let with_cursor = is_last && open.is_told && open.is_complete();
                let part = Stretch { first, ..*stretch };
                if open.behind.has(&part.space) {
                    break;
                }
                let chunk = at.shared_chunk(part, with_cursor, chunks)?;
                let Some(open) = at.sessions.open_mut(session) else { return Ok(()) };
                let taken = chunk.as_ref().filter(|one| open.affords(one.cost) && one.count > 0);
                let Some(chunk) = taken else {
                    open.behind.note(part.space, first, None, newest);
                    open.is_told = false;
                    if chunk.is_none() {
                        self.ready.insert(session);
                    }
                    break;
                };
                open.spend(chunk.cost);
                if with_cursor && chunk.next >= stretch.end {
                    open.cursor = newest;
                    self.owed.remove(&session);
                }
                at.counts.delivered += chunk.count;
                at.held.share(session, chunk.frame.clone());
                first = chunk.next;
            }
        }
        Ok(())
    }

    fn serve_ready<S: Store>(&mut self, at: &mut Serving<'_, S>) -> Result<(), StoreError> {
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
            left = left.saturating_sub(self.serve(at, session, left.min(SHARE))?);
        }
        Ok(())
    }

    /// Serves one session: its inbox, what it asked for, what it missed, then the word that it is
    /// up to date. Returns the bytes sent.
    fn serve<S: Store>(
        &mut self,
        at: &mut Serving<'_, S>,
        session: SessionId,
        most: u64,
    ) -> Result<u64, StoreError> {
        let Some(account) = at.sessions.open(session).map(|open| open.account) else {
            return Ok(0);
        };
        if !at.bounds.may_deliver(account, at.times.now_ms) {
            self.resting.insert(session);
            return Ok(0);
        }
        let sent = self.serve_some(at, session, most)?;
        at.bounds.spend(account, (Limited::Egress, sent), at.times.now_ms);
        at.bounds.spend(account, (Limited::Work, work::bytes(sent)), at.times.now_ms);
        Ok(sent)
    }

    fn serve_some<S: Store>(
        &mut self,
        at: &mut Serving<'_, S>,
        session: SessionId,
        most: u64,
    ) -> Result<u64, StoreError> {
        let mut sent = 0;
        while sent < most {
            let Some(open) = at.sessions.open(session) else { return Ok(sent) };
            let fetch = open.fetches.front().copied();
            let lag = open.behind.first();
            let part = if open.inbox_waiting {
                Part::Inbox
            } else if let Some(fetch) = fetch {
                Part::Fetch(fetch)
            } else if let Some((space, lag)) = lag {
                Part::Lag(space, lag)
            } else {
                self.tell_up_to_date(at, session);
                return Ok(sent);
            };
            if open.lacks_credit() {
                return Ok(sent);
            }
            match at.send_part(session, part) {
                Ok(Some(cost)) => sent += cost,
                Ok(None) => return Ok(sent),
                Err(error) => {
                    let reason = at.damage.refuses(error)?;
                    at.leave_out(session, part, reason);
                }
            }
        }
        self.ready.insert(session);
        Ok(sent)
    }

    fn tell_up_to_date<S: Store>(&mut self, at: &mut Serving<'_, S>, session: SessionId) {
        let newest = at.state.newest_position();
        let time_ms = at.times.stamp();
        let is_owed = self.owed.contains(&session);
        let Some(open) = at.sessions.open_mut(session) else { return };
        if open.is_told && (!is_owed || open.cursor == newest) {
            return;
        }
        open.is_told = true;
        open.cursor = newest;
        self.owed.remove(&session);
        let cursor = at.cursor_now();
        let delivery = Delivery::UpToDate { cursor, time_ms };
        at.held.send(session, &RelayFrame::Delivery(delivery));
    }
}

/// The pieces that a session's own writer did not append, joined where they touch.
fn foreign(space: SpaceId, pieces: &[Piece], writer: &WriterId) -> Vec<Stretch> {
    let mut stretches: Vec<Stretch> = Vec::new();
    for piece in pieces.iter().filter(|piece| piece.by != *writer) {
        match stretches.last_mut() {
            Some(last) if last.end == piece.first => last.end = piece.end,
            _ => stretches.push(Stretch { space, first: piece.first, end: piece.end }),
        }
    }
    stretches
}

#[cfg(test)]
mod tests {
    use super::*;
    use sync_protocol::ids::DeviceId;

    const SPACE: SpaceId = SpaceId::from_bytes([1; 32]);

    fn writer(n: u8) -> WriterId {
        WriterId { device: DeviceId::from_bytes([n; 33]), incarnation: 1 }
    }

    #[test]
    fn a_writer_is_handed_what_others_appended_in_one_piece() {
        let mut deliveries = Deliveries::default();
        for (range, by) in [((4, 5), 1), ((5, 7), 2), ((7, 8), 3), ((8, 9), 1), ((9, 9), 2)] {
            deliveries.appended(SPACE, range, writer(by));
        }
        let pieces = &deliveries.appended[&SPACE];
        let ends = |by| {
            let stretches = foreign(SPACE, pieces, &writer(by)).into_iter();
            stretches.map(|stretch| (stretch.first, stretch.end)).collect::<Vec<_>>()
        };
        assert_eq!(ends(1), [(5, 8)]);
        assert_eq!(ends(2), [(4, 5), (7, 9)]);
        assert_eq!(ends(9), [(4, 9)]);
        deliveries.drop_batch();
        assert!(deliveries.appended.is_empty());
    }

    #[test]
    fn who_is_owed_a_cursor_is_served_with_the_next_tick() {
        let mut deliveries = Deliveries::default();
        deliveries.owe(SessionId(3));
        assert!(!deliveries.is_busy());
        deliveries.tick();
        assert!(deliveries.is_busy());
        deliveries.forget(SessionId(3));
        deliveries.tick();
        assert!(!deliveries.is_busy());
        deliveries.wake(SessionId(4));
        assert!(deliveries.is_busy());
    }
}
