//! Whose turn it is: what arrived waits in the order of its session, and those who wait take turns.
//! An account with many sessions takes one turn, so nobody's queue is ahead of anybody else's.

use std::collections::{BTreeMap, VecDeque};

use sync_protocol::ids::AccountId;

use crate::peers::Peer;
use crate::relay::SessionId;

/// Who takes a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Who {
    /// An account, whichever of its sessions.
    Account(AccountId),
    /// All who did not say hello from one client address.
    Peer(Peer),
    /// A session alone.
    Session(SessionId),
}

/// What waits.
#[derive(Debug)]
pub(crate) struct Turns<T> {
    queues: BTreeMap<SessionId, VecDeque<T>>,
    /// Sessions with something that waits, by who takes the turn.
    waiting: BTreeMap<Who, VecDeque<SessionId>>,
    order: VecDeque<Who>,
    len: usize,
}

impl<T> Default for Turns<T> {
    fn default() -> Self {
        Self { queues: BTreeMap::new(), waiting: BTreeMap::new(), order: VecDeque::new(), len: 0 }
    }
}

impl<T> Turns<T> {
    /// Something arrived in a session of this one. If more of the session waits, it goes on waiting as
    /// whoever it was then.
    pub(crate) fn add(&mut self, session: SessionId, who: Who, input: T) {
        self.len += 1;
        let queue = self.queues.entry(session).or_default();
        queue.push_back(input);
        if queue.len() == 1 {
            self.line_up(who, session);
        }
    }

    fn line_up(&mut self, who: Who, session: SessionId) {
        let sessions = self.waiting.entry(who).or_default();
        if sessions.is_empty() {
            self.order.push_back(who);
        }
        sessions.push_back(session);
    }

    /// The next one, of whoever has waited longest for a turn.
    pub(crate) fn next(&mut self) -> Option<(SessionId, T)> {
        let who = self.order.pop_front()?;
        let mut sessions = self.waiting.remove(&who)?;
        let session = sessions.pop_front()?;
        if !sessions.is_empty() {
            self.waiting.insert(who, sessions);
            self.order.push_back(who);
        }
        let mut queue = self.queues.remove(&session)?;
        let input = queue.pop_front()?;
        if !queue.is_empty() {
            self.queues.insert(session, queue);
            self.line_up(who, session);
        }
        self.len -= 1;
        Some((session, input))
    }

    /// How much waits.
    pub(crate) fn len(&self) -> usize {
        self.len
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(n: u8) -> Who {
        Who::Account(AccountId::from_bytes([n; 33]))
    }

    fn order(turns: &mut Turns<u32>) -> Vec<u32> {
        std::iter::from_fn(|| turns.next().map(|(_, input)| input)).collect()
    }

    #[test]
    fn one_with_many_sessions_and_much_to_say_takes_one_turn_at_a_time() {
        let mut turns = Turns::default();
        for n in 0..100 {
            turns.add(SessionId(u64::from(n % 10)), account(1), n);
        }
        turns.add(SessionId(50), account(2), 1_000);
        turns.add(SessionId(50), account(2), 1_001);
        turns.add(SessionId(60), Who::Session(SessionId(60)), 2_000);
        assert_eq!(turns.len(), 103);
        let served = order(&mut turns);
        assert_eq!(served.len(), 103);
        let place = |input| served.iter().position(|one| *one == input).unwrap();
        assert!(place(1_000) <= 2 && place(2_000) <= 3 && place(1_001) <= 5);
        assert!(turns.queues.is_empty() && turns.waiting.is_empty() && turns.len() == 0);
    }

    #[test]
    fn what_a_session_sends_stays_in_order_also_when_it_becomes_somebody() {
        let mut turns = Turns::default();
        let session = SessionId(1);
        turns.add(session, Who::Session(session), 1);
        turns.add(session, Who::Session(session), 2);
        assert_eq!(turns.next(), Some((session, 1)));
        for n in 3..10 {
            turns.add(session, account(1), n);
            turns.add(SessionId(2), account(1), 100 + n);
        }
        let served = order(&mut turns);
        let own: Vec<_> = served.iter().copied().filter(|input| *input < 100).collect();
        assert_eq!(own, (2..10).collect::<Vec<_>>());
    }
}
