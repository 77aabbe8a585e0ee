//! Who proposed what: the same command twice does nothing twice.
//!
//! A node numbers what it proposes in one of its lives. Its newest numbers are remembered, of the last
//! life that was heard of: what comes again is known, and what comes from an earlier life, or later than all
//! that is remembered, is not taken any more. So it falls out the same wherever the same commands run.

use std::collections::BTreeMap;

use minicbor::{Decode, Encode};

use crate::rules::command::CommandId;
use crate::rules::rows;
use crate::store::{Store, StoreError, Table};

/// Numbers of a node that are remembered. It has no more under way.
pub(crate) const REMEMBERED: u64 = 4_096;
const WORDS: usize = 64;

/// What is remembered of a node.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
struct Node {
    /// The newest life.
    #[n(0)]
    life: u64,
    /// The newest number that came.
    #[n(1)]
    newest: u64,
    /// Which of those before it came, it included: each has the bit of its number.
    #[n(2)]
    came: [u64; WORDS],
}

/// All nodes.
#[derive(Debug, Default)]
pub(super) struct Proposers {
    nodes: BTreeMap<u64, Node>,
    is_changed: bool,
}

impl Proposers {
    /// Those that a store knows.
    pub(super) fn open(store: &impl Store) -> Result<Self, StoreError> {
        let mut nodes = BTreeMap::new();
        let scanned = store.scan(Table::Proposers, &[], &[0xff; 9], &mut |key, row| {
            if let (Ok(node), Ok(row)) =
                (key.try_into().map(u64::from_be_bytes), rows::decode("proposer", row))
            {
                nodes.insert(node, row);
            }
            true
        });
        match scanned {
            // Nothing is under way of the only one there is.
            Err(error) if !error.is_damage() => Err(error),
            _ => Ok(Self { nodes, is_changed: false }),
        }
    }

    /// The newest life of a node; 0 if it never proposed anything.
    pub(super) fn life(&self, node: u64) -> u64 {
        self.nodes.get(&node).map_or(0, |node| node.life)
    }

    /// A command comes. Whether it is new.
    pub(super) fn take(&mut self, id: &CommandId) -> bool {
        if id.n == 0 {
            return true;
        }
        let fresh = Node { life: id.life, newest: 0, came: [0; WORDS] };
        let node = self.nodes.entry(id.node).or_insert_with(|| fresh.clone());
        if id.life > node.life {
            *node = fresh;
        }
        let is_new = id.life == node.life && node.take(id.n);
        self.is_changed |= is_new;
        is_new
    }

    /// Writes the rows of those that changed.
    pub(super) fn write(&mut self, store: &mut impl Store) {
        if std::mem::take(&mut self.is_changed) {
            for (node, row) in &self.nodes {
                store.put(Table::Proposers, &node.to_be_bytes(), rows::encode(row));
            }
        }
    }
}

impl Node {
    fn take(&mut self, n: u64) -> bool {
        if n.saturating_add(REMEMBERED) <= self.newest {
            return false;
        }
        // What is forgotten makes room for the numbers that it shares its bits with.
        let forgotten = (n.saturating_sub(self.newest)).min(REMEMBERED);
        for passed in (n.saturating_sub(forgotten) + 1..=n).filter(|_| forgotten > 0) {
            if let (Some(word), bit) = self.place(passed) {
                *word &= !bit;
            }
        }
        self.newest = self.newest.max(n);
        match self.place(n) {
            (Some(word), bit) if *word & bit == 0 => {
                *word |= bit;
                true
            }
            _ => false,
        }
    }

    fn place(&mut self, n: u64) -> (Option<&mut u64>, u64) {
        let place = n % REMEMBERED;
        let word = usize::try_from(place / 64).ok();
        (word.and_then(|word| self.came.get_mut(word)), 1 << (place % 64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::MemoryStore;

    fn id(node: u64, life: u64, n: u64) -> CommandId {
        CommandId { node, life, n }
    }

    #[test]
    fn each_number_is_taken_once_in_any_order() {
        let mut proposers = Proposers::default();
        let order = [1, 3, 2, 5_000, 4_999, 905, 9_000, 8_000];
        for n in order {
            assert!(proposers.take(&id(1, 1, n)), "{n}");
            assert!(!proposers.take(&id(1, 1, n)), "{n}");
        }
        // Whoever comes later than all that is remembered comes too late.
        assert!(!proposers.take(&id(1, 1, 4)) && !proposers.take(&id(1, 1, 4_904)));
        assert!(proposers.take(&id(1, 1, 4_905)) && proposers.take(&id(2, 1, 4)));
        assert!(proposers.take(&id(0, 0, 0)) && proposers.take(&id(0, 0, 0)));
    }

    #[test]
    fn an_earlier_life_is_over_and_all_is_known_after_a_restart() {
        let (mut proposers, mut store) = (Proposers::default(), MemoryStore::new());
        assert!(proposers.take(&id(1, 1, 1)) && proposers.take(&id(1, 2, 1)));
        assert!(!proposers.take(&id(1, 1, 2)));
        proposers.write(&mut store);
        let mut again = Proposers::open(&store).unwrap();
        assert_eq!((again.life(1), again.life(2)), (2, 0));
        assert!(!again.take(&id(1, 2, 1)) && again.take(&id(1, 2, 2)));
    }

    #[test]
    fn numbers_are_remembered_as_a_list_remembers_them() {
        let (mut proposers, mut known) = (Proposers::default(), std::collections::BTreeSet::new());
        let (mut noise, mut newest) = (7u64, 0u64);
        for _ in 0..20_000 {
            noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let n = (newest + 1 + (noise >> 33) % 40).saturating_sub((noise >> 50) % 5_000).max(1);
            let expected = n + REMEMBERED > newest && known.insert(n);
            assert_eq!(proposers.take(&id(1, 1, n)), expected, "{n} of {newest}");
            newest = newest.max(n);
        }
    }
}
