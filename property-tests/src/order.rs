//! A model of one log that several nodes share: everybody gets the same commands in the same order, and
//! that is all. Proposals overtake one another, come twice where an answer was lost, and are on their way
//! when their node dies; each node learns of the order in its own time.

use std::sync::{Arc, Mutex};

use sync_server::log::Log;
use sync_server::rules::{Command, Position};
use sync_server::store::StoreError;

use crate::chance::Chance;

/// What a node on such a log does wrong, planted to see whether worlds notice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OrderFault {
    /// Nothing.
    #[default]
    None,
    /// A node now and then gets two commands in each other's place.
    Swaps,
    /// A node now and then does not get a command.
    Skips,
}

#[derive(Debug, Default)]
struct Shared {
    ordered: Vec<Command>,
    under_way: Vec<Command>,
    /// How many times something came twice.
    doubled: u64,
}

/// The log.
#[derive(Clone, Debug, Default)]
pub struct Order {
    shared: Arc<Mutex<Shared>>,
}

/// One node's end of it.
#[derive(Debug)]
pub struct NodeLog {
    order: Order,
    /// How much of the order has come here.
    seen: u64,
    fault: OrderFault,
    chance: Chance,
}

impl Order {
    /// A node's end, at which nothing came yet.
    #[must_use]
    pub fn end(&self, fault: OrderFault, chance: Chance) -> NodeLog {
        NodeLog { order: self.clone(), seen: 0, fault, chance }
    }

    /// Some of what is under way finds its place.
    pub fn step(&self, chance: &mut Chance) {
        self.with(|shared| {
            for _ in 0..shared.under_way.len() {
                if chance.one_in(3) || shared.under_way.is_empty() {
                    continue;
                }
                let command = shared.under_way.swap_remove(chance.index(shared.under_way.len()));
                if chance.one_in(8) {
                    // Whoever proposed it did not hear that it was taken, and proposes it again.
                    shared.under_way.push(command.clone());
                    shared.doubled += 1;
                }
                shared.ordered.push(command);
            }
        });
    }

    /// All that is under way finds its place.
    pub fn settle(&self) {
        self.with(|shared| {
            let mut under_way = std::mem::take(&mut shared.under_way);
            shared.ordered.append(&mut under_way);
        });
    }

    /// Whether everything proposed has its place.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.with(|shared| shared.under_way.is_empty())
    }

    /// How many commands have a place.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.with(|shared| shared.ordered.len() as u64)
    }

    /// Whether none has.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many times something came twice.
    #[must_use]
    pub fn doubled(&self) -> u64 {
        self.with(|shared| shared.doubled)
    }

    fn with<T>(&self, look: impl FnOnce(&mut Shared) -> T) -> T {
        look(&mut self.shared.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }
}

impl NodeLog {
    /// Some more of the order comes here; all of it, if `all`.
    pub fn hear(&mut self, all: bool) {
        let len = self.order.len();
        let more = len.saturating_sub(self.seen);
        let heard = if all { more } else { self.chance.below(more + 1) };
        self.seen = self.seen.max(len - more + heard);
    }

    /// Whether all of the order has come here.
    #[must_use]
    pub fn has_all(&self) -> bool {
        self.seen >= self.order.len()
    }
}

impl Log for NodeLog {
    fn append(&mut self, command: Command) -> Result<(), StoreError> {
        self.order.with(|shared| shared.under_way.push(command));
        Ok(())
    }

    fn next(&mut self, after: Position) -> Result<Option<(Position, Command)>, StoreError> {
        if after.0 >= self.seen {
            return Ok(None);
        }
        let mut place = usize::try_from(after.0).unwrap_or(usize::MAX);
        let mut position = after.next();
        match self.fault {
            OrderFault::Swaps if self.chance.one_in(60) => place ^= 1,
            OrderFault::Skips if self.chance.one_in(120) => {
                place += 1;
                position = position.next();
            }
            _ => {}
        }
        let command = self.order.with(|shared| shared.ordered.get(place).cloned());
        Ok(command.map(|command| (position, command)))
    }

    fn sync(&mut self) -> Result<bool, StoreError> {
        Ok(false)
    }

    fn keeps(&self) -> bool {
        true
    }

    fn wants_checkpoint(&self) -> bool {
        false
    }

    fn trim(&mut self, _: Position) -> Result<(), StoreError> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use sync_protocol::AccountId;
    use sync_server::rules::Action;

    fn command(n: u64) -> Command {
        Command::new(n, Action::EndAccount { account: AccountId::from_bytes([1; 33]) })
    }

    #[test]
    fn all_get_the_same_in_the_same_order() {
        let (order, mut chance) = (Order::default(), Chance::new(7));
        let mut ends = [1, 2].map(|n| order.end(OrderFault::None, Chance::new(n)));
        for n in 0..100 {
            ends[0].append(command(n)).unwrap();
            order.step(&mut chance);
            ends.iter_mut().for_each(|end| end.hear(false));
        }
        order.settle();
        let found = ends.map(|mut end| {
            end.hear(true);
            let (mut after, mut found) = (Position(0), Vec::new());
            while let Some((position, command)) = end.next(after).unwrap() {
                found.push(command.time_ms);
                after = position;
            }
            found
        });
        assert_eq!(found[0], found[1]);
        assert_eq!(found[0].len() as u64, 100 + order.doubled());
        assert!(order.doubled() > 0 && !found[0].is_sorted(), "they overtake one another");
    }
}
