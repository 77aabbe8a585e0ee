//! Clocks that are wrong: years off, and jumping.

use crate::chance::Chance;

const YEAR_MS: i64 = 365 * 24 * 3600 * 1000;

/// A clock by its distance from the world's time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Clock {
    skew_ms: i64,
}

impl Clock {
    /// A clock that is so many milliseconds ahead, or behind.
    #[must_use]
    pub fn off_by(skew_ms: i64) -> Self {
        Self { skew_ms }
    }

    /// What the clock shows at a time of the world, Unix milliseconds.
    #[must_use]
    pub fn shows(&self, world_ms: u64) -> u64 {
        world_ms.saturating_add_signed(self.skew_ms)
    }

    /// Sets the clock wrong: mostly by little, sometimes by up to ten years either way.
    pub fn jump(&mut self, chance: &mut Chance) {
        let most_ms = chance.weighted(&[
            (6, 2_000),
            (3, 10 * 60 * 1000),
            (2, 26 * 3600 * 1000),
            (1, 10 * YEAR_MS),
        ]);
        let span = u64::try_from(most_ms * 2).unwrap_or_default();
        let drawn = i64::try_from(chance.between(0, span)).unwrap_or_default();
        self.skew_ms = drawn - most_ms;
    }

    /// Moves the clock by seconds, as a correction does.
    pub fn nudge(&mut self, chance: &mut Chance) {
        let drawn = i64::try_from(chance.between(0, 20_000)).unwrap_or_default();
        self.skew_ms += drawn - 10_000;
    }

    /// How far off it is.
    #[must_use]
    pub fn skew_ms(&self) -> i64 {
        self.skew_ms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_at_most_ten_years_off() {
        let mut chance = Chance::new(3);
        let mut clock = Clock::default();
        let mut widest = 0;
        for _ in 0..1000 {
            clock.jump(&mut chance);
            widest = widest.max(clock.skew_ms().abs());
            assert!(clock.shows(1_800_000_000_000) > 1_000_000_000_000);
        }
        assert!(widest <= 10 * YEAR_MS && widest > YEAR_MS);
    }
}
