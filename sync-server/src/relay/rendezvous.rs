//! Rendezvous: where a new device, which has no account yet, and its account's primary talk to
//! each other (`docs/protocol.md`, "Rendezvous"). What they say is sealed, and nothing of it is
//! kept.

use std::collections::BTreeMap;

use sync_protocol::codec::Blob;
use sync_protocol::error::Rejection;
use sync_protocol::frames::{MeetEvent, MeetStep, RelayFrame};
use sync_protocol::ids::RendezvousId;
use sync_protocol::limits;

use crate::refusals::Refused;
use crate::relay::doorway::Early;
use crate::relay::rate::Limited;
use crate::relay::{BUSY_MS, Relay, SessionId};
use crate::store::Store;

/// Rendezvous that a session may open before it is authenticated.
const EARLY_OPENINGS: u32 = 4;

/// All rendezvous that are open, and the ids of those that were used lately.
#[derive(Debug, Default)]
pub(super) struct Meetings {
    meetings: BTreeMap<RendezvousId, Meeting>,
    sessions: BTreeMap<SessionId, RendezvousId>,
}

#[derive(Debug)]
struct Meeting {
    until_ms: u64,
    stage: Stage,
}

/// How far a rendezvous is.
#[derive(Debug)]
enum Stage {
    /// Open, and nobody came yet.
    Open(SessionId),
    /// Both sides are there.
    Joined([Side; 2]),
    /// Over. Its id is not used again before its time is up.
    Used,
}

#[derive(Debug)]
struct Side {
    session: SessionId,
    said: usize,
}

impl Meetings {
    /// Whether a session is at a rendezvous.
    pub(super) fn has(&self, session: SessionId) -> bool {
        self.sessions.contains_key(&session)
    }

    /// Whether a session is one of two sides that are both there.
    pub(super) fn is_side(&self, session: SessionId, id: &RendezvousId) -> bool {
        self.meetings.get(id).is_some_and(|meeting| match &meeting.stage {
            Stage::Joined(sides) => sides.iter().any(|side| side.session == session),
            Stage::Open(_) | Stage::Used => false,
        })
    }

    fn open(&mut self, session: SessionId, id: RendezvousId, until_ms: u64) {
        self.meetings.insert(id, Meeting { until_ms, stage: Stage::Open(session) });
        self.sessions.insert(session, id);
    }

    /// Lets a second session in, once. Gives the first.
    fn join(&mut self, session: SessionId, id: RendezvousId) -> Result<SessionId, Rejection> {
        let meeting = self.meetings.get_mut(&id).ok_or(Rejection::NotFound)?;
        let Stage::Open(first) = meeting.stage else { return Err(Rejection::Taken) };
        meeting.stage = Stage::Joined([first, session].map(|session| Side { session, said: 0 }));
        self.sessions.insert(session, id);
        Ok(first)
    }

    /// Counts a message of a side. Gives the other side.
    fn say(&mut self, session: SessionId, id: &RendezvousId) -> Result<SessionId, Rejection> {
        let meeting = self.meetings.get_mut(id).ok_or(Rejection::NotFound)?;
        let Stage::Joined([first, second]) = &mut meeting.stage else {
            return Err(Rejection::Invalid);
        };
        let (own, other) = match first.session == session {
            true => (first, second),
            false => (second, first),
        };
        own.said += 1;
        let fits = own.said <= limits::RENDEZVOUS_MESSAGES;
        if fits { Ok(other.session) } else { Err(Rejection::Quota) }
    }

    /// Ends a rendezvous. Gives the sessions that were there.
    fn end(&mut self, id: &RendezvousId) -> Vec<SessionId> {
        let Some(meeting) = self.meetings.get_mut(id) else { return Vec::new() };
        let there = match std::mem::replace(&mut meeting.stage, Stage::Used) {
            Stage::Open(first) => {
                self.meetings.remove(id);
                vec![first]
            }
            Stage::Joined(sides) => sides.map(|side| side.session).to_vec(),
            Stage::Used => Vec::new(),
        };
        for session in &there {
            self.sessions.remove(session);
        }
        there
    }

    fn late(&self, now_ms: u64) -> Vec<RendezvousId> {
        let late = self.meetings.iter().filter(|(_, meeting)| meeting.until_ms <= now_ms);
        late.map(|(id, _)| *id).collect()
    }
}

impl<S: Store> Relay<S> {
    /// One step of a session at a rendezvous.
    pub(super) fn meet(
        &mut self,
        session: SessionId,
        id: RendezvousId,
        step: MeetStep,
        now_ms: u64,
    ) {
        let is_late = self.meetings.meetings.get(&id).is_some_and(|m| m.until_ms <= now_ms);
        if is_late {
            self.end_late_rendezvous(&id);
        }
        let done = match step {
            MeetStep::Open => self.open_rendezvous(session, id, now_ms),
            MeetStep::Join => self.join_rendezvous(session, id, now_ms),
            MeetStep::Say(said) => self.say(session, id, said),
            MeetStep::Leave => {
                // A device whose socket broke says so by another one.
                self.end_rendezvous(&id, Some(session), &Rejection::Denied);
                Ok(())
            }
        };
        if let Err(reason) = done {
            self.met(session, id, MeetEvent::Ended(reason));
        }
    }

    fn open_rendezvous(
        &mut self,
        session: SessionId,
        id: RendezvousId,
        now_ms: u64,
    ) -> Result<(), Rejection> {
        self.may_open(session, now_ms)?;
        if self.meetings.meetings.contains_key(&id) {
            return Err(Rejection::Taken);
        }
        let is_full = self.meetings.meetings.len() as u64 >= self.bounds.settings().rendezvous;
        if is_full {
            let full = Rejection::Unavailable { retry_ms: BUSY_MS };
            return Err(self.bounds.refused(Refused::Rendezvous, full));
        }
        if self.meetings.has(session) {
            return Err(Rejection::Unavailable { retry_ms: BUSY_MS });
        }
        self.meetings.open(session, id, now_ms.saturating_add(limits::RENDEZVOUS_MS));
        self.met(session, id, MeetEvent::Opened);
        Ok(())
    }

    /// Before authentication a few times; then as the account's rate allows.
    fn may_open(&mut self, session: SessionId, now_ms: u64) -> Result<(), Rejection> {
        if let Some(account) = self.open_session(session).map(|open| open.account) {
            return self.bounds.limit(account, Limited::Rendezvous, now_ms);
        }
        let known = self.sessions.get_mut(&session).ok_or(Rejection::Invalid)?;
        known.early.openings += 1;
        if known.early.openings > EARLY_OPENINGS {
            return Err(Rejection::Quota);
        }
        let peer = self.peer(session);
        self.bounds.may_early(peer, (Early::Rendezvous, 1), now_ms)
    }

    fn join_rendezvous(
        &mut self,
        session: SessionId,
        id: RendezvousId,
        now_ms: u64,
    ) -> Result<(), Rejection> {
        let account = self.open_session(session).map(|open| open.account);
        self.bounds.limit(account.ok_or(Rejection::Denied)?, Limited::Rendezvous, now_ms)?;
        if self.meetings.has(session) {
            return Err(Rejection::Unavailable { retry_ms: BUSY_MS });
        }
        let first = self.meetings.join(session, id)?;
        self.met(first, id, MeetEvent::Joined);
        self.met(session, id, MeetEvent::Joined);
        Ok(())
    }

    fn say(&mut self, session: SessionId, id: RendezvousId, said: Blob) -> Result<(), Rejection> {
        if self.meetings.sessions.get(&session) != Some(&id) {
            return Err(Rejection::NotFound);
        }
        let limit = limits::RENDEZVOUS_MESSAGE;
        let heard = match said.0.len() <= limit {
            true => self.meetings.say(session, &id),
            false => Err(Rejection::TooLarge { limit: limit as u64 }),
        };
        match heard {
            Ok(other) => self.met(other, id, MeetEvent::Said(said)),
            Err(reason) => self.end_rendezvous(&id, None, &reason),
        }
        Ok(())
    }

    /// A session leaves its rendezvous, if it is at one: the other side is told.
    pub(super) fn leave_rendezvous(&mut self, session: SessionId) {
        if let Some(id) = self.meetings.sessions.get(&session).copied() {
            self.end_rendezvous(&id, Some(session), &Rejection::Denied);
        }
    }

    /// Ends what is older than it may become.
    pub(super) fn end_late_meetings(&mut self, now_ms: u64) {
        for id in self.meetings.late(now_ms) {
            self.end_late_rendezvous(&id);
        }
    }

    fn end_late_rendezvous(&mut self, id: &RendezvousId) {
        self.end_rendezvous(id, None, &Rejection::NotFound);
        self.meetings.meetings.remove(id);
    }

    /// Tells whoever is there, but for who left. A session that is not authenticated has to say
    /// hello in time from now on.
    fn end_rendezvous(&mut self, id: &RendezvousId, left: Option<SessionId>, reason: &Rejection) {
        let now_ms = self.now_ms;
        for session in self.meetings.end(id) {
            if let Some(known) = self.sessions.get_mut(&session) {
                known.silent_from_ms = now_ms;
            }
            if left != Some(session) {
                self.met(session, *id, MeetEvent::Ended(reason.clone()));
            }
        }
    }

    fn met(&mut self, session: SessionId, rendezvous: RendezvousId, event: MeetEvent) {
        self.send(session, &RelayFrame::Met { rendezvous, event });
    }
}
