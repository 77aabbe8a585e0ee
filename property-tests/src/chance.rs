//! The one source of chance in a world: a stream drawn from its seed.

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng as _, SeedableRng as _};

/// A seeded stream of draws. Two with the same seed draw the same for ever.
#[derive(Clone, Debug)]
pub struct Chance(ChaCha8Rng);

impl Chance {
    /// The stream of a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    /// One of many streams of a seed, by what it is for and its number.
    #[must_use]
    pub fn stream(seed: u64, purpose: u64, number: u64) -> Self {
        let mut whole = [0; 32];
        whole[..8].copy_from_slice(&seed.to_le_bytes());
        whole[8..16].copy_from_slice(&purpose.to_le_bytes());
        whole[16..24].copy_from_slice(&number.to_le_bytes());
        Self(ChaCha8Rng::from_seed(whole))
    }

    /// A number below `bound`; 0 if the bound is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        // A bias of bound / 2^64 matters to no simulation.
        if bound == 0 { 0 } else { self.0.next_u64() % bound }
    }

    /// A number from `low` to `high`, both included.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high.saturating_sub(low).saturating_add(1))
    }

    /// An index into something of this length.
    pub fn index(&mut self, len: usize) -> usize {
        usize::try_from(self.below(len as u64)).unwrap_or_default()
    }

    /// True once in `times`; never if `times` is 0.
    pub fn one_in(&mut self, times: u64) -> bool {
        times > 0 && self.below(times) == 0
    }

    /// One of these, unless there are none.
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        if from.is_empty() { None } else { from.get(self.index(from.len())) }
    }

    /// A choice among alternatives, each as likely as its weight says.
    ///
    /// # Panics
    /// Never, unless `choices` is empty.
    pub fn weighted<T: Copy>(&mut self, choices: &[(u64, T)]) -> T {
        let total = choices.iter().map(|(weight, _)| weight).sum();
        let mut left = self.below(total);
        for (weight, choice) in choices {
            if left < *weight {
                return *choice;
            }
            left -= weight;
        }
        choices.last().expect("there is something to choose from").1
    }

    /// Fresh bytes: a key's worth.
    pub fn bytes(&mut self) -> [u8; 32] {
        let mut out = [0; 32];
        self.0.fill_bytes(&mut out);
        out
    }

    /// A fresh number.
    pub fn number(&mut self) -> u64 {
        self.0.next_u64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_seed_draws_one_stream() {
        let mut one = Chance::new(7);
        let mut two = Chance::new(7);
        for _ in 0..100 {
            assert_eq!(one.between(3, 900), two.between(3, 900));
            assert_eq!(one.bytes(), two.bytes());
        }
        assert_ne!(Chance::new(8).number(), Chance::new(9).number());
    }

    #[test]
    fn draws_stay_within_their_bounds() {
        let mut chance = Chance::new(1);
        for _ in 0..1000 {
            assert!((3..=5).contains(&chance.between(3, 5)));
            assert!(chance.below(2) < 2);
            assert_ne!(chance.weighted(&[(1, 'a'), (0, 'b'), (3, 'c')]), 'b');
        }
        assert_eq!(chance.below(0), 0);
        assert!(!chance.one_in(0));
    }
}
