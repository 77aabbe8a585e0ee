//! Rendezvous: where a new device, which has no account yet, and its account's primary talk to
//! each other (`docs/protocol.md`, "Rendezvous"). What they say is sealed, and nothing of it is
//! kept.

use std::collections::BTreeMap;

use sync_protocol::codec::Blob;
use sync_protocol::error::Rejection;
use sync_protocol::frames::{MeetEvent, MeetStep};
use sync_protocol::ids::RendezvousId;
use sync_protocol::limits;

use crate::refusals::Refused;
use crate::relay::desk::Desk;
use crate::relay::doorway::Early;
use crate::relay::rate::Limited;
use crate::relay::{BUSY_MS, SessionId};
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

/// What sessions hear of a step, and who is at no rendezvous any more.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub(super) events: Vec<(SessionId, RendezvousId, MeetEvent)>,
    pub(super) free: Vec<SessionId>,
}

impl Told {
    pub(super) fn one(session: SessionId, id: RendezvousId, event: MeetEvent) -> Self {
        Self { events: vec![(session, id, event)], free: Vec::new() }
    }
}

impl Meetings {
    /// Whether a session is at a rendezvous.
    pub(super) fn has(&self, session: SessionId) -> bool {
        self.sessions.contains_key(&session)
    }

    /// Rendezvous that are open, and ids that were used lately.
    pub(super) fn len(&self) -> u64 {
        self.meetings.len() as u64
    }

    /// Whether a session is one of two sides that are both there.
    pub(super) fn is_side(&self, session: SessionId, id: &RendezvousId) -> bool {
        self.meetings.get(id).is_some_and(|meeting| match &meeting.stage {
            Stage::Joined(sides) => sides.iter().any(|side| side.session == session),
            Stage::Open(_) | Stage::Used => false,
        })
    }

    /// One step of a session that may take it.
    pub(super) fn step(
        &mut self,
        session: SessionId,
        id: RendezvousId,
        step: MeetStep,
        now_ms: u64,
    ) -> Result<Told, Rejection> {
        match step {
            MeetStep::Open => self.open(session, id, now_ms.saturating_add(limits::RENDEZVOUS_MS)),
            MeetStep::Join => self.join(session, id),
            MeetStep::Say(said) => self.hear(session, id, said),
            // A device whose socket broke says so by another one.
            MeetStep::Leave => Ok(self.end(&id, Some(session), &Rejection::Denied)),
        }
    }

    fn open(
        &mut self,
        session: SessionId,
        id: RendezvousId,
        until_ms: u64,
    ) -> Result<Told, Rejection> {
        if self.meetings.contains_key(&id) {
            return Err(Rejection::Taken);
        }
        self.must_be_nowhere(session)?;
        self.meetings.insert(id, Meeting { until_ms, stage: Stage::Open(session) });
        self.sessions.insert(session, id);
        Ok(Told::one(session, id, MeetEvent::Opened))
    }

    /// Lets a second session in, once.
    fn join(&mut self, session: SessionId, id: RendezvousId) -> Result<Told, Rejection> {
        self.must_be_nowhere(session)?;
        let meeting = self.meetings.get_mut(&id).ok_or(Rejection::NotFound)?;
        let Stage::Open(first) = meeting.stage else { return Err(Rejection::Taken) };
        meeting.stage = Stage::Joined([first, session].map(|session| Side { session, said: 0 }));
        self.sessions.insert(session, id);
        let both = [first, session].map(|side| (side, id, MeetEvent::Joined));
        Ok(Told { events: both.to_vec(), free: Vec::new() })
    }

    fn must_be_nowhere(&self, session: SessionId) -> Result<(), Rejection> {
        match self.has(session) {
            true => Err(Rejection::Unavailable { retry_ms: BUSY_MS }),
            false => Ok(()),
        }
    }

    /// What one side says goes to the other. What may not be said ends it for both.
    fn hear(
        &mut self,
        session: SessionId,
        id: RendezvousId,
        said: Blob,
    ) -> Result<Told, Rejection> {
        if self.sessions.get(&session) != Some(&id) {
            return Err(Rejection::NotFound);
        }
        let limit = limits::RENDEZVOUS_MESSAGE;
        let other = match said.0.len() <= limit {
            true => self.other(session, &id),
            false => Err(Rejection::TooLarge { limit: limit as u64 }),
        };
        Ok(match other {
            Ok(other) => Told::one(other, id, MeetEvent::Said(said)),
            Err(reason) => self.end(&id, None, &reason),
        })
    }

    /// Counts a message of a side. Gives the other side.
    fn other(&mut self, session: SessionId, id: &RendezvousId) -> Result<SessionId, Rejection> {
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

    /// A session leaves its rendezvous, if it is at one: the other side is told.
    pub(super) fn leave(&mut self, session: SessionId) -> Told {
        match self.sessions.get(&session).copied() {
            Some(id) => self.end(&id, Some(session), &Rejection::Denied),
            None => Told::default(),
        }
    }

    /// Ends a rendezvous if it is older than it may become.
    pub(super) fn end_late(&mut self, id: &RendezvousId, now_ms: u64) -> Told {
        if self.meetings.get(id).is_none_or(|meeting| meeting.until_ms > now_ms) {
            return Told::default();
        }
        let told = self.end(id, None, &Rejection::NotFound);
        self.meetings.remove(id);
        told
    }

    /// All that are older than that.
    pub(super) fn late(&self, now_ms: u64) -> Vec<RendezvousId> {
        let late = self.meetings.iter().filter(|(_, meeting)| meeting.until_ms <= now_ms);
        late.map(|(id, _)| *id).collect()
    }

    /// Ends a rendezvous. Whoever is there is told, but for who left.
    fn end(&mut self, id: &RendezvousId, left: Option<SessionId>, reason: &Rejection) -> Told {
        let Some(meeting) = self.meetings.get_mut(id) else { return Told::default() };
        let free = match std::mem::replace(&mut meeting.stage, Stage::Used) {
            Stage::Open(first) => {
                self.meetings.remove(id);
                vec![first]
            }
            Stage::Joined(sides) => sides.map(|side| side.session).to_vec(),
            Stage::Used => Vec::new(),
        };
        for session in &free {
            self.sessions.remove(session);
        }
        let stay = free.iter().filter(|session| left != Some(**session));
        let event = |session: &SessionId| (*session, *id, MeetEvent::Ended(reason.clone()));
        Told { events: stay.map(event).collect(), free }
    }
}

impl<S: Store> Desk<'_, S> {
    /// To open a rendezvous as the client address's rate allows, and before authentication a few times;
    /// then, and to come to one, as the account's rate allows.
    pub(super) fn may_meet(
        &mut self,
        session: SessionId,
        step: &MeetStep,
    ) -> Result<(), Rejection> {
        let now_ms = self.times.now_ms;
        let account = self.sessions.open(session).map(|open| open.account);
        let peer = self.sessions.peer(session);
        match (step, account) {
            (MeetStep::Say(_) | MeetStep::Leave, _) => return Ok(()),
            (MeetStep::Join, None) => return Err(Rejection::Denied),
            (MeetStep::Join, Some(account)) => {
                self.bounds.limit(account, Limited::Rendezvous, now_ms)?;
            }
            (MeetStep::Open, Some(account)) => {
                self.bounds.limit(account, Limited::Rendezvous, now_ms)?;
                // Accounts are free: what many of one address open is its own all the same.
                self.bounds.may_early(peer, (Early::Rendezvous, 1), now_ms)?;
            }
            (MeetStep::Open, None) => {
                let known = self.sessions.get_mut(session).ok_or(Rejection::Invalid)?;
                known.early.openings += 1;
                if known.early.openings > EARLY_OPENINGS {
                    return Err(self.bounds.refused(Refused::Early, Rejection::Quota));
                }
                self.bounds.may_early(peer, (Early::Rendezvous, 1), now_ms)?;
            }
        }
        let is_full = self.meetings.len() >= self.bounds.settings().rendezvous;
        if matches!(step, MeetStep::Open) && is_full {
            let full = Rejection::Unavailable { retry_ms: BUSY_MS };
            return Err(self.bounds.refused(Refused::Rendezvous, full));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: SessionId = SessionId(1);
    const SECOND: SessionId = SessionId(2);

    fn id(n: u8) -> RendezvousId {
        RendezvousId::from_bytes([n; 16])
    }

    fn both() -> Meetings {
        let mut meetings = Meetings::default();
        meetings.step(FIRST, id(1), MeetStep::Open, 0).unwrap();
        meetings.step(SECOND, id(1), MeetStep::Join, 0).unwrap();
        meetings
    }

    #[test]
    fn two_meet_once_and_hear_each_other() {
        let mut meetings = both();
        assert!(meetings.is_side(FIRST, &id(1)) && meetings.is_side(SECOND, &id(1)));
        let third = meetings.step(SessionId(3), id(1), MeetStep::Join, 0);
        assert_eq!(third.unwrap_err(), Rejection::Taken);
        let said = meetings.step(FIRST, id(1), MeetStep::Say(Blob(vec![7])), 0).unwrap();
        assert_eq!(said.events, [(SECOND, id(1), MeetEvent::Said(Blob(vec![7])))]);
        let told = meetings.leave(FIRST);
        assert_eq!(told.events, [(SECOND, id(1), MeetEvent::Ended(Rejection::Denied))]);
        assert_eq!(told.free, [FIRST, SECOND]);
        assert!(!meetings.has(FIRST) && !meetings.has(SECOND));
        // Its id is not used again before its time is up.
        let again = meetings.step(FIRST, id(1), MeetStep::Open, 0);
        assert_eq!(again.unwrap_err(), Rejection::Taken);
        assert_eq!(meetings.late(limits::RENDEZVOUS_MS), [id(1)]);
        meetings.end_late(&id(1), limits::RENDEZVOUS_MS);
        assert_eq!(meetings.len(), 0);
    }

    #[test]
    fn who_says_too_much_ends_it_for_both() {
        for most in [limits::RENDEZVOUS_MESSAGES, 0] {
            let mut meetings = both();
            let size = if most == 0 { limits::RENDEZVOUS_MESSAGE + 1 } else { 1 };
            let mut say = || meetings.step(SECOND, id(1), MeetStep::Say(Blob(vec![7; size])), 0);
            for _ in 0..most {
                assert_eq!(say().unwrap().free, []);
            }
            let over = say().unwrap();
            assert_eq!((over.events.len(), over.free.len()), (2, 2));
        }
    }
}
