//! The hall: everybody who is here, what they may do, and what they are told. It knows no store: what
//! the relay's rules hold is looked at on the [`Desk`], and delivered, with their state beside it.

use sync_protocol::error::Rejection;
use sync_protocol::frames::{
    Answer, Challenge, ClientFrame, MeetEvent, MeetStep, RelayFrame, Reply, Stored, Welcome,
};
use sync_protocol::ids::{AccountId, RendezvousId, SpaceId};

use crate::peers::Peer;
use crate::refusals::{Refusals, Refused};
use crate::relay::bounds::Bounds;
use crate::relay::damage::Damage;
use crate::relay::deliveries::Deliveries;
use crate::relay::desk::Desk;
use crate::relay::doorway::Entry;
use crate::relay::gate::{Gate, Registration};
use crate::relay::held::Held;
use crate::relay::incoming::Incoming;
use crate::relay::presence::Presence;
use crate::relay::proposals::Confirming;
use crate::relay::push::Signalled;
use crate::relay::rate::Limited;
use crate::relay::rendezvous::{Meetings, Told};
use crate::relay::serving::Serving;
use crate::relay::session::{EarlySteps, Open, Session, Turn};
use crate::relay::sessions::Sessions;
use crate::relay::times::Times;
use crate::relay::{BUSY_MS, Counts, Frame, Output, SessionId, Settings, work};
use crate::rules::{AccountDevice, Pushed, State, TokenHash};
use crate::store::{Store, StoreError};

/// Frames, beside the hello, that a session may send before it is authenticated.
const EARLY_FRAMES: u32 = 64;
/// Between two sessions that are told to come back: so many of them a second another relay takes.
const SPREAD_MS: u64 = 2;

/// Everybody who is here.
#[derive(Debug)]
pub(super) struct Hall {
    pub(super) sessions: Sessions,
    pub(super) deliveries: Deliveries,
    /// What everybody may do now.
    pub(super) bounds: Bounds,
    /// Who may come in at all.
    gate: Gate,
    presence: Presence,
    meetings: Meetings,
    /// What may be sent once the batch is durable.
    held: Held,
    pub(super) times: Times,
    pub(super) counts: Counts,
}

impl Hall {
    pub(super) fn new(settings: Settings) -> Self {
        Self {
            sessions: Sessions::default(),
            deliveries: Deliveries::default(),
            bounds: Bounds::new(settings),
            gate: Gate::default(),
            presence: Presence::default(),
            meetings: Meetings::default(),
            held: Held::default(),
            times: Times::default(),
            counts: Counts::default(),
        }
    }

    /// What a frame is looked at with.
    pub(super) fn desk<'a, S: Store>(
        &'a mut self,
        state: &'a mut State<S>,
        damage: &'a mut Damage,
    ) -> Desk<'a, S> {
        Desk {
            state,
            damage,
            sessions: &mut self.sessions,
            bounds: &mut self.bounds,
            gate: &self.gate,
            meetings: &self.meetings,
            times: self.times,
        }
    }

    /// Hands on what was appended, and serves whose turn it is.
    pub(super) fn deliver<S: Store>(
        &mut self,
        state: &mut State<S>,
        damage: &mut Damage,
    ) -> Result<(), StoreError> {
        let mut at = Serving {
            state,
            damage,
            sessions: &mut self.sessions,
            bounds: &mut self.bounds,
            held: &mut self.held,
            counts: &mut self.counts,
            times: self.times,
        };
        self.deliveries.deliver(&mut at)
    }

    /// Somebody comes in, and is challenged; or is told why not, if `unavailable` for so long.
    pub(super) fn enter(
        &mut self,
        session: SessionId,
        peer: Option<Peer>,
        challenge: Challenge,
        unavailable: Option<u64>,
    ) {
        let entry = self.bounds.enter(session, peer);
        let known = Session {
            challenge: challenge.clone(),
            silent_from_ms: self.times.now_ms,
            early: EarlySteps::default(),
            peer,
            open: None,
            turn: Turn::default(),
        };
        self.sessions.add(session, known);
        if let Some(retry_ms) = unavailable.or_else(|| self.gate.draining()) {
            return self.close(session, Rejection::Unavailable { retry_ms });
        }
        match entry {
            Entry::In => {}
            Entry::Instead(other, _) => {
                self.close(other, Rejection::Unavailable { retry_ms: BUSY_MS });
            }
            Entry::Full => {
                return self.close(session, Rejection::Unavailable { retry_ms: BUSY_MS });
            }
        }
        self.held.send(session, &RelayFrame::Challenge(challenge));
    }

    /// A session says who it is, and is welcome.
    pub(super) fn begin(&mut self, session: SessionId, open: Box<Open>, welcome: Welcome) {
        let (account, peer) = (open.account, self.sessions.peer(session));
        self.sessions.begin(session, open);
        self.bounds.is_here(account, peer);
        self.bounds.leave(session);
        if self.sessions.has(session) {
            self.held.send(session, &RelayFrame::Welcome(welcome));
            self.deliveries.wake(session);
        }
    }

    /// Counts a frame of a session. Whether the session is authenticated; `None` if nothing more is
    /// taken from it.
    pub(super) fn take_frame(&mut self, session: SessionId) -> Option<bool> {
        let known = self.sessions.get_mut(session)?;
        let Some(open) = &known.open else {
            known.early.frames += 1;
            if known.early.frames > EARLY_FRAMES {
                self.close_for(session, Refused::Early, Rejection::Quota);
                return None;
            }
            return Some(false);
        };
        let (account, now_ms) = (open.account, self.times.now_ms);
        self.bounds.spend(account, (Limited::Work, work::FRAME), now_ms);
        if let Err(reason) = self.bounds.overspends(account, now_ms) {
            self.close(session, reason);
            return None;
        }
        Some(true)
    }

    /// Whether a frame waits for what its session proposed before. What a device can take, and what it
    /// has taken, does not.
    pub(super) fn keeps_for_later(&self, session: SessionId, frame: &Incoming) -> bool {
        let is_plain =
            matches!(frame, Incoming::Frame(ClientFrame::Credit { .. } | ClientFrame::Ack { .. }));
        let known = self.sessions.get(session).filter(|known| !is_plain || known.open.is_none());
        known.is_some_and(|known| known.turn.waits())
    }

    /// Keeps a frame for later; who sends too many meanwhile has to go.
    pub(super) fn keep(&mut self, session: SessionId, frame: Incoming) {
        let known = self.sessions.get_mut(session);
        if known.is_some_and(|known| !known.turn.keep(frame)) {
            self.close_for(session, Refused::Rates, Rejection::Quota);
        }
    }

    /// The next frame of a session that was kept for later, if its time has come.
    pub(super) fn next_frame(&mut self, session: SessionId) -> Option<Incoming> {
        self.sessions.get_mut(session)?.turn.next()
    }

    /// A socket brought a token along.
    pub(super) fn present(&mut self, session: SessionId, token: TokenHash) {
        if let Some(known) = self.sessions.get_mut(session) {
            known.early.token = Some(token);
        }
    }

    /// A device has everything up to a position.
    pub(super) fn acknowledge(&mut self, session: SessionId, position: u64) {
        self.presence.acknowledge(&mut self.sessions, session, position);
    }

    /// A device takes more.
    pub(super) fn credit(&mut self, session: SessionId, bytes: u64) {
        if let Some(open) = self.sessions.open_mut(session) {
            open.add_credit(bytes);
            self.deliveries.wake(session);
        }
    }

    /// One step of a session at a rendezvous, if it may take it.
    pub(super) fn meet(
        &mut self,
        session: SessionId,
        id: RendezvousId,
        may: Result<MeetStep, Rejection>,
    ) {
        let now_ms = self.times.now_ms;
        let late = self.meetings.end_late(&id, now_ms);
        self.tell(late);
        let done = may.and_then(|step| self.meetings.step(session, id, step, now_ms));
        self.tell(done.unwrap_or_else(|reason| Told::one(session, id, MeetEvent::Ended(reason))));
    }

    /// Time passed: deadlines, and those that rested. Whether it is time to write down what was
    /// counted.
    pub(super) fn tick(&mut self) -> bool {
        let now_ms = self.times.now_ms;
        for id in self.meetings.late(now_ms) {
            let told = self.meetings.end_late(&id, now_ms);
            self.tell(told);
        }
        self.close_silent();
        self.deliveries.tick();
        let is_due = self.presence.is_due(now_ms);
        if is_due {
            self.presence.note_all(&self.sessions, self.times);
            self.bounds.sweep(now_ms);
        }
        is_due
    }

    /// What is to be written down of devices: how far each is, and when it was here.
    pub(super) fn take_seen(&mut self) -> Vec<(AccountDevice, u64, u64)> {
        self.presence.take()
    }

    /// Closes sessions that neither said hello in time nor are at a rendezvous.
    pub(super) fn close_silent(&mut self) {
        let timeout_ms = self.bounds.settings().hello_timeout_ms;
        let mut late = self.sessions.silent(self.times.now_ms, timeout_ms);
        late.retain(|session| !self.meetings.has(*session));
        for session in late {
            self.close_for(session, Refused::Deadline, Rejection::Invalid);
        }
    }

    /// Tells what came of a step. A session that is not authenticated, and at no rendezvous any more, has
    /// to say hello in time from now on.
    pub(super) fn tell(&mut self, told: Told) {
        for session in told.free {
            if let Some(known) = self.sessions.get_mut(session) {
                known.silent_from_ms = self.times.now_ms;
            }
        }
        for (session, rendezvous, event) in told.events {
            self.held.send(session, &RelayFrame::Met { rendezvous, event });
        }
    }

    /// Ends a session from this side.
    pub(super) fn close(&mut self, session: SessionId, reason: Rejection) {
        if self.sessions.has(session) {
            self.held.close(session, reason);
            self.forget(session);
        }
    }

    /// Ends a session, and counts why.
    pub(super) fn close_for(&mut self, session: SessionId, refused: Refused, reason: Rejection) {
        let reason = self.bounds.refused(refused, reason);
        self.close(session, reason);
    }

    pub(super) fn forget(&mut self, session: SessionId) {
        self.presence.note(session, &self.sessions, self.times);
        let told = self.meetings.leave(session);
        self.tell(told);
        self.deliveries.forget(session);
        self.held.forget(session);
        if let Some(known) = self.sessions.remove(session) {
            self.bounds.leave(session);
            if let Some(open) = known.open
                && self.sessions.of_account(&open.account).is_empty()
            {
                self.bounds.is_gone(&open.account);
            }
        }
    }

    /// Ends some sessions.
    pub(super) fn close_each(&mut self, sessions: Vec<SessionId>, reason: &Rejection) {
        for session in sessions {
            self.close(session, reason.clone());
        }
    }

    /// Says goodbye to everybody.
    pub(super) fn drain(&mut self, retry_ms: u64) {
        self.gate.drain(retry_ms);
        // Spread, or all would come back at once: the longer, the more they are.
        for (n, session) in (0..).zip(self.sessions.ids()) {
            let retry_ms = retry_ms.saturating_add(n * SPREAD_MS);
            self.close(session, Rejection::Unavailable { retry_ms });
        }
    }

    /// Nothing since the last commit happened, if `all`; and nobody is served any more.
    pub(super) fn fail(&mut self, all: bool) {
        if all {
            self.held.clear();
        }
        self.deliveries.drop_batch();
        self.close_each(self.sessions.ids(), &Rejection::Unavailable { retry_ms: BUSY_MS });
    }

    /// Tells all of these the same.
    pub(super) fn tell_all(&mut self, sessions: Vec<SessionId>, frame: &Frame) {
        for session in sessions {
            self.held.share(session, frame.clone());
        }
    }

    /// Something that a session pushed is stored.
    pub(super) fn confirm(&mut self, session: SessionId, stored: Stored) {
        if self.sessions.has(session) {
            self.held.confirm(session, stored);
            self.deliveries.owe(session);
        }
    }

    /// Answers a request. Whoever asks for much pays for it, however short the question.
    pub(super) fn reply(&mut self, session: SessionId, id: u64, answer: Answer) {
        let bytes = self.held.send(session, &RelayFrame::Reply(Reply { id, answer }));
        self.pays(session, work::bytes(bytes as u64));
    }

    /// Work was done for a session, whoever it is: its account pays, or where it comes from.
    pub(super) fn worked(&mut self, session: SessionId, cost: u64) {
        if self.sessions.open(session).is_some() {
            return self.pays(session, cost);
        }
        if let Some(peer) = self.sessions.peer(session) {
            self.bounds.worked(peer, cost, self.times.now_ms);
        }
    }

    /// A session's account pays for what was done for it.
    pub(super) fn pays(&mut self, session: SessionId, cost: u64) {
        if let Some(open) = self.sessions.open(session) {
            self.bounds.spend(open.account, (Limited::Work, cost), self.times.now_ms);
        }
    }

    pub(super) fn refuse_request(&mut self, session: SessionId, id: u64, reason: Rejection) {
        self.counts.refused += 1;
        let waits = matches!(reason, Rejection::Rate { .. });
        self.reply(session, id, Answer::Refused(reason));
        if waits {
            self.told_to_wait(session);
        }
    }

    /// Refuses what a session pushed.
    pub(super) fn refuse(
        &mut self,
        session: SessionId,
        space: SpaceId,
        seq: u64,
        reason: Rejection,
    ) {
        self.counts.refused += 1;
        let waits = matches!(reason, Rejection::Rate { .. });
        self.held.send(session, &RelayFrame::Refused { space, seq, reason });
        if waits {
            self.told_to_wait(session);
        }
    }

    /// A session was told to wait. One that goes on and on all the same is ended.
    fn told_to_wait(&mut self, session: SessionId) {
        let now_ms = self.times.now_ms;
        let Some(open) = self.sessions.open_mut(session) else { return };
        if let Err(reason) = self.bounds.heeds(&mut open.rates.told_to_wait, now_ms) {
            self.close(session, reason);
        }
    }

    /// Something that a session pushed was judged.
    pub(super) fn pushed<S: Store>(
        &mut self,
        session: SessionId,
        confirming: Confirming,
        pushed: Pushed,
        (state, damage): (&mut State<S>, &mut Damage),
    ) -> Result<(), StoreError> {
        let Confirming { account, space, bytes, refused, .. } = confirming;
        self.counts.appended += pushed.end - pushed.first;
        self.counts.appended_bytes += bytes;
        self.count_stored((account, pushed.bytes), state, damage)?;
        self.desk(state, damage).count_push(account, &pushed);
        let Pushed { generation, runs, refused: judged, .. } = pushed;
        if !runs.is_empty() {
            self.confirm(session, Stored { space, generation, runs });
        }
        if let Some((_, reason)) = &judged {
            self.was_judged(reason);
        }
        if let Some((seq, reason)) = judged.or(refused) {
            self.refuse(session, space, seq, reason);
        }
        Ok(())
    }

    /// The rules refused something: what they bound is a quota.
    pub(super) fn was_judged(&mut self, reason: &Rejection) {
        if *reason == Rejection::Quota {
            self.bounds.refused(Refused::Quotas, Rejection::Quota);
        }
    }

    /// An account has these bytes stored from here on. What is damaged of it keeps no answer back.
    pub(super) fn count_stored<S: Store>(
        &mut self,
        (account, bytes): (AccountId, u64),
        state: &mut State<S>,
        damage: &mut Damage,
    ) -> Result<(), StoreError> {
        if bytes > 0 {
            let counted = self.desk(state, damage).stored(account, bytes);
            damage.skips(counted)?;
        }
        Ok(())
    }

    /// Whether a session may push now, as far as that is known without a look at what it pushes.
    pub(super) fn note_admitted(&mut self, session: SessionId, is_admitted: bool) {
        if let Some(open) = self.sessions.open_mut(session) {
            open.rests = !is_admitted;
        }
    }

    /// A signal goes on to whom it may.
    pub(super) fn signalled(&mut self, session: SessionId, signalled: Signalled) {
        match signalled {
            Signalled::Nobody => {}
            Signalled::TooMany => self.told_to_wait(session),
            Signalled::To(receivers, frame) => {
                self.counts.signals += receivers.len() as u64;
                self.tell_all(receivers, &frame);
            }
        }
    }

    /// The end of a batch comes: what waits to be confirmed is said.
    pub(super) fn say_all(&mut self) {
        self.held.say_all();
    }

    /// Gives all that may be sent now.
    pub(super) fn take_outputs(&mut self) -> Vec<Output> {
        self.held.take()
    }

    /// Bytes of memory of that.
    pub(super) fn held_bytes(&self) -> usize {
        self.held.bytes()
    }

    /// What happened so far, in numbers.
    pub(super) fn counts(&self) -> Counts {
        let all = self.sessions.len() as u64;
        let unauthenticated = self.bounds.waiting();
        let sessions = all.saturating_sub(unauthenticated);
        Counts { sessions, unauthenticated, ..self.counts }
    }

    /// What was refused so far, by reason.
    pub(super) fn refusals(&self) -> Refusals {
        self.bounds.refusals()
    }

    /// Who may make an account, from here on.
    pub(super) fn set_registration(&mut self, registration: Registration) {
        self.gate.set_registration(registration);
    }

    /// Whether the disk is full to its reserve.
    pub(super) fn set_full(&mut self, is_full: bool) {
        self.gate.set_full(is_full);
    }
}
