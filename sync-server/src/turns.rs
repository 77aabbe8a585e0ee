//! Whose turn it is: what arrived waits in the order of its session, and those who wait take turns.
//! An account with many sessions takes one turn, and so does a client address with many accounts, so
//! nobody's queue is ahead of anybody else's.

use std::collections::{BTreeMap, VecDeque};

use sync_protocol::ids::AccountId;

use crate::peers::{Peer, Prefix};
use crate::relay::SessionId;

/// Who takes a turn among those of one crowd.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum One {
    /// An account, whichever of its sessions.
    Account(AccountId),
    /// All who did not say hello.
    Strangers,
    /// A session alone.
    Session(SessionId),
}

/// Who takes a turn among all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Crowd {
    /// All who come from one client address, or one site.
    From(Prefix),
    /// One whose address is not counted.
    Alone(One),
}

/// Whose turn something waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Who {
    crowd: Crowd,
    one: One,
}

impl Who {
    /// A session of an account, or of nobody yet, that comes from here.
    pub(crate) fn is(session: SessionId, account: Option<AccountId>, peer: Option<Peer>) -> Self {
        let one = match (account, peer) {
            (Some(account), _) => One::Account(account),
            (None, Some(_)) => One::Strangers,
            (None, None) => One::Session(session),
        };
        let crowd = peer.map_or(Crowd::Alone(one), |peer| Crowd::From(peer.widest()));
        Self { crowd, one }
    }
}

/// Those of one crowd who wait, with their sessions.
#[derive(Debug, Default)]
struct Line {
    waiting: BTreeMap<One, VecDeque<SessionId>>,
    order: VecDeque<One>,
}

impl Line {
    fn add(&mut self, one: One, session: SessionId) {
        let sessions = self.waiting.entry(one).or_default();
        if sessions.is_empty() {
            self.order.push_back(one);
        }
        sessions.push_back(session);
    }

    fn next(&mut self) -> Option<(One, SessionId)> {
        let one = self.order.pop_front()?;
        let mut sessions = self.waiting.remove(&one)?;
        let session = sessions.pop_front()?;
        if !sessions.is_empty() {
            self.waiting.insert(one, sessions);
            self.order.push_back(one);
        }
        Some((one, session))
    }
}

/// What waits.
#[derive(Debug)]
pub(crate) struct Turns<T> {
    queues: BTreeMap<SessionId, VecDeque<T>>,
    /// Sessions with something that waits, by who takes the turn.
    crowds: BTreeMap<Crowd, Line>,
    order: VecDeque<Crowd>,
    len: usize,
}

impl<T> Default for Turns<T> {
    fn default() -> Self {
        Self { queues: BTreeMap::new(), crowds: BTreeMap::new(), order: VecDeque::new(), len: 0 }
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
        let line = self.crowds.entry(who.crowd).or_default();
        if line.order.is_empty() {
            self.order.push_back(who.crowd);
        }
        line.add(who.one, session);
    }

    /// The next one, of whoever has waited longest for a turn in the crowd that has.
    pub(crate) fn next(&mut self) -> Option<(SessionId, T)> {
        let crowd = self.order.pop_front()?;
        let mut line = self.crowds.remove(&crowd)?;
        let (one, session) = line.next()?;
        if !line.order.is_empty() {
            self.crowds.insert(crowd, line);
            self.order.push_back(crowd);
        }
        let mut queue = self.queues.remove(&session)?;
        let input = queue.pop_front()?;
        if !queue.is_empty() {
            self.queues.insert(session, queue);
            self.line_up(Who { crowd, one }, session);
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
        of(n, None)
    }

    fn of(n: u8, from: Option<&str>) -> Who {
        let peer = from.map(|address| Peer::of(address.parse().unwrap()));
        Who::is(SessionId(u64::from(n)), Some(AccountId::from_bytes([n; 33])), peer)
    }

    fn stranger(session: SessionId) -> Who {
        Who::is(session, None, None)
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
        turns.add(SessionId(60), stranger(SessionId(60)), 2_000);
        assert_eq!(turns.len(), 103);
        let served = order(&mut turns);
        assert_eq!(served.len(), 103);
        let place = |input| served.iter().position(|one| *one == input).unwrap();
        assert!(place(1_000) <= 2 && place(2_000) <= 3 && place(1_001) <= 5);
        assert!(turns.queues.is_empty() && turns.crowds.is_empty() && turns.len() == 0);
    }

    #[test]
    fn what_a_session_sends_stays_in_order_also_when_it_becomes_somebody() {
        let mut turns = Turns::default();
        let session = SessionId(1);
        turns.add(session, stranger(session), 1);
        turns.add(session, stranger(session), 2);
        assert_eq!(turns.next(), Some((session, 1)));
        for n in 3..10 {
            turns.add(session, account(1), n);
            turns.add(SessionId(2), account(1), 100 + n);
        }
        let served = order(&mut turns);
        let own: Vec<_> = served.iter().copied().filter(|input| *input < 100).collect();
        assert_eq!(own, (2..10).collect::<Vec<_>>());
    }

    #[test]
    fn many_accounts_of_one_address_take_one_turn_at_a_time() {
        let mut turns = Turns::default();
        for n in 0..200 {
            for round in 0..10 {
                let mallory = of(n, Some("192.0.2.1"));
                turns.add(SessionId(u64::from(n)), mallory, u32::from(n) * 10 + round);
            }
        }
        for n in 0..50 {
            let site = format!("2001:db8:1:{n:x}::1");
            turns.add(SessionId(300 + u64::from(n)), of(n, Some(&site)), 5_000 + u32::from(n));
        }
        turns.add(SessionId(400), of(201, Some("198.51.100.1")), 9_000);
        turns.add(SessionId(401), account(202), 9_001);
        let served = order(&mut turns);
        assert_eq!(served.len(), 2_052);
        let place = |input| served.iter().position(|one| *one == input).unwrap();
        assert!(place(9_000) < 4 && place(9_001) < 4);
        // Accounts of one address take turns among themselves.
        assert!(place(1_990) < 460, "{}", place(1_990));
        assert!(turns.queues.is_empty() && turns.crowds.is_empty());
    }
}
