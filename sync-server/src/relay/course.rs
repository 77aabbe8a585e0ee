//! The course of commands: proposed, ordered by the log, applied, and written down.

use std::collections::BTreeMap;

use sync_protocol::error::Rejection;

use crate::log::Log;
use crate::relay::damage::Damage;
use crate::relay::proposals::{Node, Proposals, Waiting};
use crate::relay::times::Times;
use crate::relay::{BUSY_MS, Identity};
use crate::rules::{self, Action, Command, CommandId, Effect, FactId, Fault, State, Swept};
use crate::store::{Store, StoreError};

/// How long a fact that another node's command left is given to come by itself, in ms.
const FACT_MS: u64 = 10_000;
/// How often what was applied is written down, at least, in ms: a start has no more to apply again.
const CHECKPOINT_MS: u64 = 60_000;

/// Invites that are looked at, a tick.
const INVITES: usize = 64;

/// What came of a command that was new.
type Outcome = Result<Effect, Rejection>;

/// A log, the state that follows from it, and what of it is this node's own.
#[derive(Debug)]
pub(super) struct Course<S, L> {
    pub(super) state: State<S>,
    pub(super) damage: Damage,
    log: L,
    proposals: Proposals,
    /// Facts that follow from other nodes' commands, and when they are proposed from here.
    facts: BTreeMap<FactId, u64>,
    /// What was swept last.
    swept: Option<Swept>,
    /// Where the next look at invites begins.
    invites_from: Vec<u8>,
    /// When what was applied was written down last, and whether it is to be before that is long ago.
    checkpoint_ms: u64,
    is_leaving: bool,
}

impl<S: Store, L: Log> Course<S, L> {
    pub(super) fn new(store: S, log: L, node: Node) -> Result<Self, StoreError> {
        Ok(Self {
            state: State::open(store)?,
            damage: Damage::default(),
            log,
            proposals: Proposals::new(node),
            facts: BTreeMap::new(),
            swept: None,
            invites_from: Vec::new(),
            checkpoint_ms: 0,
            is_leaving: false,
        })
    }

    /// All that its own log has is applied: another life begins.
    pub(super) fn begin_alone(&mut self) {
        let life = self.state.life(0) + 1;
        self.proposals = Proposals::new(Node { node: 0, life });
    }

    /// Whether others share the log.
    pub(super) fn is_of_many(&self) -> bool {
        self.proposals.is_of_many()
    }

    /// Proposes to sweep some of what ended. `false` if there is nothing to sweep.
    pub(super) fn sweep(&mut self, times: Times) -> Result<bool, StoreError> {
        let unswept = rules::unswept(&self.state, self.swept.as_ref());
        match self.damage.skips(unswept)? {
            Some(Some(swept)) => {
                self.swept = Some(swept);
                self.put(Action::Sweep { swept }, times).map(|_| true)
            }
            _ => Ok(false),
        }
    }

    /// Proposes to forget invites whose time is up: a few are looked at each time.
    pub(super) fn sweep_invites(&mut self, times: Times) -> Result<(), StoreError> {
        let some = rules::some_invites(&self.state, &self.invites_from, INVITES);
        let Some((some, next)) = self.damage.skips(some)? else { return Ok(()) };
        self.invites_from = next.unwrap_or_default();
        for (hash, invite) in some {
            if invite.until_ms <= times.stamp() {
                self.put(Action::RemoveInvite { hash }, times)?;
            }
        }
        Ok(())
    }

    /// Proposes a command.
    pub(super) fn put(&mut self, action: Action, times: Times) -> Result<CommandId, StoreError> {
        let id = self.proposals.name();
        let (time_ms, rules) = (times.stamp(), self.state.rules().max(1));
        self.log.append(Command { id, time_ms, rules, action })?;
        Ok(id)
    }

    /// Proposes a command that somebody waits for.
    pub(super) fn propose(
        &mut self,
        action: Action,
        waiting: Waiting,
        times: Times,
    ) -> Result<CommandId, Fault> {
        if self.proposals.is_full() {
            return Err(Rejection::Unavailable { retry_ms: BUSY_MS }.into());
        }
        let id = self.put(action, times)?;
        self.proposals.wait(id, waiting, times.now_ms);
        Ok(id)
    }

    /// Says who the relay is, if that is not known yet, and brings its rules up to date.
    pub(super) fn found(&mut self, identity: Identity, times: Times) -> Result<(), StoreError> {
        let Identity { relay, generation } = identity;
        let rules = rules::NEWEST_RULES;
        if !self.state.is_founded() {
            self.put(Action::Found { relay, generation, rules }, times)?;
        } else if self.state.rules() < rules {
            self.put(Action::ActivateRules { version: rules }, times)?;
        }
        Ok(())
    }

    /// Applies the next command, if the log has ordered one, and gives what came of it: nothing, if it
    /// was applied before.
    pub(super) fn apply_next(
        &mut self,
    ) -> Result<Option<(CommandId, Option<Outcome>)>, StoreError> {
        let Some((position, command)) = self.log.next(self.state.applied())? else {
            return Ok(None);
        };
        let id = command.id;
        let done = rules::apply_at(&mut self.state, position, command);
        let outcome = match self.damage.contained(done) {
            Ok(effect) => effect.map(Ok),
            Err(Fault::Rejected(reason)) => Some(Err(reason)),
            Err(Fault::Store(error)) => return Err(error),
        };
        Ok(Some((id, outcome)))
    }

    /// Proposes what a command that was applied means for other partitions: at once, if this node proposed
    /// the command; otherwise some time later, if the one that did has not. Gives who waits for it.
    pub(super) fn follow(
        &mut self,
        id: &CommandId,
        times: Times,
    ) -> Result<Option<Waiting>, StoreError> {
        let is_own = self.proposals.is_own(id);
        let due_ms = times.now_ms.saturating_add(FACT_MS);
        for (id, fact) in self.state.take_facts() {
            if is_own {
                self.put(Action::Fact { id, action: Box::new(fact.action) }, times)?;
            } else {
                self.facts.insert(id, due_ms);
            }
        }
        Ok(self.proposals.take(id))
    }

    /// Finds the facts that wait: they are proposed again.
    pub(super) fn find_facts(&mut self) -> Result<(), StoreError> {
        let mut found = Vec::new();
        let looked = self.state.waiting_facts(&mut found);
        // Those behind a damaged row wait until it is repaired.
        self.damage.skips(looked)?;
        self.facts.extend(found.into_iter().map(|id| (id, 0)));
        Ok(())
    }

    /// Proposes facts that wait for too long.
    pub(super) fn put_late_facts(&mut self, times: Times) -> Result<(), StoreError> {
        let is_late = |(_, due): &(&FactId, &u64)| **due <= times.now_ms;
        let late: Vec<_> = self.facts.iter().filter(is_late).map(|(id, _)| *id).collect();
        for id in late {
            self.facts.remove(&id);
            let fact = self.damage.skips(self.state.fact(&id))?;
            if let Some(Some(fact)) = fact {
                self.put(Action::Fact { id, action: Box::new(fact.action) }, times)?;
            }
        }
        Ok(())
    }

    /// Those who wait for a command of which nothing was heard for long.
    pub(super) fn late(&mut self, times: Times) -> Vec<Waiting> {
        self.proposals.late(times.now_ms)
    }

    /// What came of what the operator asked for.
    pub(super) fn note_answer(&mut self, id: &CommandId, done: Result<(), Rejection>) {
        self.proposals.answer(id, done);
    }

    /// The same, once it is known.
    pub(super) fn answered(&mut self, id: &CommandId) -> Option<Result<(), Rejection>> {
        self.proposals.answered(id)
    }

    /// One sync for everything that waits. Says whether there was anything.
    pub(super) fn sync(&mut self, times: Times) -> Result<bool, StoreError> {
        if !self.log.keeps() {
            return self.checkpoint(times);
        }
        let synced = self.log.sync()?;
        self.state.settle();
        Ok(synced)
    }

    /// Writes down what was applied, so that the log need not keep it. Says whether there was anything.
    pub(super) fn checkpoint(&mut self, times: Times) -> Result<bool, StoreError> {
        self.checkpoint_ms = times.now_ms;
        self.log.sync()?;
        let written = self.state.commit()?;
        self.log.trim(self.state.applied())?;
        Ok(written)
    }

    /// Nothing more is to come: what was applied is to be written down soon.
    pub(super) fn leave(&mut self) {
        self.is_leaving = true;
    }

    /// Whether it is time to write down what was applied.
    pub(super) fn is_due(&self, times: Times) -> bool {
        let since_ms = times.now_ms.saturating_sub(self.checkpoint_ms);
        self.is_leaving || self.log.wants_checkpoint() || since_ms >= CHECKPOINT_MS
    }

    pub(super) fn log(&self) -> &L {
        &self.log
    }

    pub(super) fn log_mut(&mut self) -> &mut L {
        &mut self.log
    }

    /// Gives store and log back, as they are.
    pub(super) fn into_parts(self) -> (S, L) {
        (self.state.into_store(), self.log)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::Unkept;
    use crate::rules::{Token, TokenHash};
    use crate::store::MemoryStore;
    use sync_protocol::ids::{AccountId, RelayId};

    const TIMES: Times = Times { now_ms: 5, ahead_ms: 1_000 };

    fn course() -> Course<MemoryStore, Unkept> {
        let node = Node { node: 0, life: 0 };
        let mut course = Course::new(MemoryStore::new(), Unkept::default(), node).unwrap();
        course.begin_alone();
        let relay = RelayId::from_bytes([1; 32]);
        course.found(Identity { relay, generation: 7 }, TIMES).unwrap();
        assert!(course.apply_next().unwrap().is_some() && course.state.is_founded());
        course
    }

    #[test]
    fn what_is_proposed_comes_back_and_whoever_waits_is_found() {
        let mut course = course();
        let token = Token { uses: 1, until_ms: None, note: String::new() };
        let action = Action::AddToken { hash: TokenHash::of("abc"), token };
        let id = course.propose(action, Waiting::Operator, TIMES).unwrap();
        let (found, outcome) = course.apply_next().unwrap().unwrap();
        assert_eq!((found, outcome), (id, Some(Ok(Effect::Done))));
        assert!(matches!(course.follow(&id, TIMES).unwrap(), Some(Waiting::Operator)));
        assert!(course.follow(&id, TIMES).unwrap().is_none());
        assert!(course.apply_next().unwrap().is_none());
        assert!(course.checkpoint(TIMES).unwrap() && !course.checkpoint(TIMES).unwrap());
    }

    #[test]
    fn facts_of_own_commands_follow_at_once_and_others_later() {
        let claim = |account: u8, address: &str| Action::ClaimAddress {
            address: address.parse().unwrap(),
            account: AccountId::from_bytes([account; 33]),
        };
        let mut course = course();
        course.put(claim(1, "ada"), TIMES).unwrap();
        let (id, _) = course.apply_next().unwrap().unwrap();
        course.follow(&id, TIMES).unwrap();
        assert!(course.apply_next().unwrap().is_some(), "the fact");
        assert_eq!(course.state.addresses_of(&AccountId::from_bytes([1; 33])).unwrap(), 1);
        // Of another node's.
        let other = CommandId { node: 9, life: 1, n: 1 };
        course.log_mut().append(Command { id: other, ..Command::new(1, claim(2, "bob")) }).unwrap();
        let (id, _) = course.apply_next().unwrap().unwrap();
        course.follow(&id, TIMES).unwrap();
        course.put_late_facts(TIMES).unwrap();
        assert!(course.apply_next().unwrap().is_none());
        course.put_late_facts(Times { now_ms: 5 + FACT_MS, ..TIMES }).unwrap();
        assert!(course.apply_next().unwrap().is_some());
        assert_eq!(course.state.addresses_of(&AccountId::from_bytes([2; 33])).unwrap(), 1);
    }
}
