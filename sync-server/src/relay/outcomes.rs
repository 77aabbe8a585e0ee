//! From a proposal to what follows: a command is applied, its effect drives all sessions that it
//! concerns, and then who proposed it hears what came of it.

use sync_protocol::error::Rejection;
use sync_protocol::frames::Answer;

use crate::log::Log;
use crate::refusals::Refused;
use crate::relay::course::Course;
use crate::relay::desk::Step;
use crate::relay::proposals::{Answering, Confirming, Opening, Then, Waiting};
use crate::relay::rate::Limited;
use crate::relay::{Relay, SessionId, work};
use crate::rules::{Action, Effect, Fault};
use crate::store::{Store, StoreError};

impl<S: Store, L: Log> Relay<S, L> {
    /// Proposes a command for a session, which hears what comes of it.
    pub(super) fn propose(
        &mut self,
        session: SessionId,
        action: Action,
        then: Then,
    ) -> Result<(), Fault> {
        let waiting = Waiting::Session(session, then);
        self.course.propose(action, waiting, self.hall.times)?;
        if let Some(known) = self.hall.sessions.get_mut(session) {
            known.turn.begin();
        }
        Ok(())
    }

    /// Applies what the log has ordered since. A command's effect drives all sessions that it concerns, and
    /// then who proposed it hears what came of it.
    pub(super) fn advance(&mut self) -> Result<(), StoreError> {
        while let Some((id, outcome)) = self.course.apply_next()? {
            self.hall.counts.commands += 1;
            let Some(outcome) = outcome else { continue };
            if let Ok(effect) = &outcome {
                self.hear(effect)?;
            }
            match self.course.follow(&id, self.hall.times)? {
                Some(Waiting::Session(session, then)) => self.answer(session, then, outcome)?,
                Some(Waiting::Operator) => self.course.note_answer(&id, outcome.map(drop)),
                None => {}
            }
        }
        Ok(())
    }

    /// What a session waited for is known.
    fn answer(
        &mut self,
        session: SessionId,
        then: Then,
        outcome: Result<Effect, Rejection>,
    ) -> Result<(), StoreError> {
        if let Some(known) = self.hall.sessions.get_mut(session) {
            known.turn.end();
        }
        match self.resolve(session, then, outcome) {
            Ok(()) => {}
            Err(Fault::Rejected(reason)) => self.hall.close(session, reason),
            Err(Fault::Store(error)) => {
                let reason = self.course.damage.refuses(error)?;
                self.hall.close(session, reason);
            }
        }
        self.go_on.push_back(session);
        Ok(())
    }

    /// Lets all whom an effect concerns know. What is to be written down of those who go is written before
    /// anything else is applied: a device's end takes it along.
    fn hear(&mut self, effect: &Effect) -> Result<(), StoreError> {
        self.hall.hear(effect, &mut self.course.state, &mut self.course.damage)?;
        self.write_seen();
        Ok(())
    }

    /// Who proposed a command hears what came of it.
    fn resolve(
        &mut self,
        session: SessionId,
        then: Then,
        outcome: Result<Effect, Rejection>,
    ) -> Result<(), Fault> {
        if let Err(reason) = &outcome {
            self.hall.was_judged(reason);
        }
        match (then, outcome) {
            (Then::Open(opening), Ok(effect)) => self.opening(session, opening, &effect),
            (Then::Open(_), Err(reason)) => {
                if reason == Rejection::Denied {
                    // Only a token or a code that is not good is answered so.
                    self.hall.bounds.refused(Refused::Registration, Rejection::Denied);
                }
                self.hall.close(session, reason);
                Ok(())
            }
            (Then::Confirm(confirming), Ok(Effect::Pushed(pushed))) => {
                let Course { state, damage, .. } = &mut self.course;
                Ok(self.hall.pushed(session, confirming, pushed, (state, damage))?)
            }
            (Then::Confirm(Confirming { space, first, .. }), outcome) => {
                let reason = outcome.err().unwrap_or(Rejection::Invalid);
                self.hall.refuse(session, space, first, reason);
                Ok(())
            }
            (Then::Answer(Answering { id, account, stored, work }), Ok(_)) => {
                let now_ms = self.hall.times.now_ms;
                self.hall.bounds.spend(account, (Limited::Work, work), now_ms);
                self.hall.count_stored(
                    (account, stored),
                    &mut self.course.state,
                    &mut self.course.damage,
                )?;
                self.hall.reply(session, id, Answer::Done);
                Ok(())
            }
            (Then::Answer(Answering { id, .. }), Err(reason)) => {
                self.hall.refuse_request(session, id, reason);
                Ok(())
            }
            (Then::Gather(gathering), outcome) => {
                let id = gathering.id;
                match gathering.with(outcome) {
                    Ok(gathering) => {
                        let step = self.desk().gather(gathering);
                        self.go(session, id, step)
                    }
                    Err(reason) => {
                        self.hall.refuse_request(session, id, reason);
                        Ok(())
                    }
                }
            }
        }
    }

    /// Goes on with a session's opening.
    pub(super) fn opening(
        &mut self,
        session: SessionId,
        mut opening: Box<Opening>,
        effect: &Effect,
    ) -> Result<(), Fault> {
        if let Effect::LogGrew { account, .. } = effect {
            let stored = std::mem::take(&mut opening.stored);
            self.hall.count_stored(
                (*account, stored),
                &mut self.course.state,
                &mut self.course.damage,
            )?;
        }
        if !matches!(effect, Effect::Opened { .. }) {
            let action = opening.next();
            return self.propose(session, action, Then::Open(opening));
        }
        let (open, welcome, looked_at) = self.desk().welcome(&opening)?;
        self.hall.counts.looked_at += looked_at;
        self.hall.begin(session, open, welcome);
        Ok(())
    }

    /// Does what comes of a request.
    pub(super) fn go(&mut self, session: SessionId, id: u64, step: Step) -> Result<(), Fault> {
        match step {
            Step::Say(answer) => self.hall.reply(session, id, answer),
            Step::Later => self.hall.deliveries.wake(session),
            Step::Propose(action, then) => {
                self.hall.pays(session, work::COMMAND);
                return self.propose(session, action, then);
            }
        }
        Ok(())
    }
}
