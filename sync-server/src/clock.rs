//! Time: what never goes back, and what is stamped on things.
//!
//! Deadlines, rates and ticks go by the steady clock. Stamps are the steady clock plus what the wall
//! clock was ahead of it at the start: they never run ahead of the last one by more than the time that
//! went by. A wall clock that jumps is not followed. If it stays where it jumped to for an hour, it was
//! put right (or the machine slept), and stamps follow.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// What a wall clock may be off, in ms, before it has jumped: what it is slewed by, the steady clock
/// is slewed by as well.
const JUMP_MS: i64 = 500;
/// How long a wall clock stays where it jumped to before it is believed, in ms.
const SETTLED_MS: u64 = 60 * 60 * 1000;

/// What became of the wall clock since the last time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wall {
    /// It goes on.
    GoesOn,
    /// It jumped by so many ms, and stamps don't follow.
    Jumped(i64),
    /// It stayed where it is, so many ms away from the stamps: they follow from now on.
    Settled(i64),
}

/// How stamps follow from the steady clock.
#[derive(Debug)]
pub(crate) struct Stamps {
    ahead_ms: u64,
    /// How far the wall clock is off, and since when.
    off: Option<(i64, u64)>,
}

impl Stamps {
    /// From what both clocks show now.
    pub(crate) fn new(steady_ms: u64, wall_ms: u64) -> Self {
        Self { ahead_ms: wall_ms.saturating_sub(steady_ms), off: None }
    }

    /// What a stamp is ahead of the steady clock, in ms.
    pub(crate) fn ahead_ms(&self) -> u64 {
        self.ahead_ms
    }

    /// How far the wall clock is off the stamps, in ms.
    pub(crate) fn off_ms(&self) -> i64 {
        self.off.map_or(0, |(off, _)| off)
    }

    /// Looks at the wall clock.
    pub(crate) fn look(&mut self, steady_ms: u64, wall_ms: u64) -> Wall {
        let stamp = steady_ms.saturating_add(self.ahead_ms);
        let now = difference(wall_ms, stamp);
        let is_off = |off: i64, from: i64| off.saturating_sub(from).saturating_abs() > JUMP_MS;
        match self.off {
            None if !is_off(now, 0) => Wall::GoesOn,
            Some((off, since)) if !is_off(now, off) => {
                if steady_ms.saturating_sub(since) < SETTLED_MS {
                    return Wall::GoesOn;
                }
                self.off = None;
                self.ahead_ms = wall_ms.saturating_sub(steady_ms);
                Wall::Settled(now)
            }
            off => {
                let before = off.map_or(0, |(off, _)| off);
                self.off = is_off(now, 0).then_some((now, steady_ms));
                Wall::Jumped(now.saturating_sub(before))
            }
        }
    }
}

/// How far one time is after another.
fn difference(later: u64, earlier: u64) -> i64 {
    let ahead = i64::try_from(later.saturating_sub(earlier)).unwrap_or(i64::MAX);
    let behind = i64::try_from(earlier.saturating_sub(later)).unwrap_or(i64::MAX);
    ahead.saturating_sub(behind)
}

/// The clocks of the machine.
#[derive(Debug)]
pub(crate) struct Clock {
    started: Instant,
    wall_ms: fn() -> u64,
    pub(crate) stamps: Stamps,
}

/// The steady clock's first reading, so that no time is 0.
const FIRST_MS: u64 = 1_000;

impl Clock {
    pub(crate) fn start() -> Self {
        Self::beside(wall_ms)
    }

    /// Beside this wall clock.
    pub(crate) fn beside(wall_ms: fn() -> u64) -> Self {
        Self { started: Instant::now(), wall_ms, stamps: Stamps::new(FIRST_MS, wall_ms()) }
    }

    /// The steady clock, in ms.
    pub(crate) fn steady_ms(&self) -> u64 {
        let passed = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        passed.saturating_add(FIRST_MS)
    }

    /// Looks at the wall clock.
    pub(crate) fn look(&mut self) -> Wall {
        self.stamps.look(self.steady_ms(), (self.wall_ms)())
    }
}

/// The system's clock, Unix milliseconds.
#[must_use]
pub fn wall_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WALL: u64 = 1_700_000_000_000;
    const YEARS: u64 = 2 * 365 * 24 * 3_600_000;

    /// Runs for some seconds with the wall clock so far off; gives what was told, and the last stamp.
    fn run(stamps: &mut Stamps, steady: &mut u64, seconds: u64, off: i64) -> (Vec<Wall>, u64) {
        let mut told = Vec::new();
        let mut last = *steady + stamps.ahead_ms();
        for _ in 0..seconds {
            *steady += 1_000;
            let wall = (WALL + *steady).saturating_add_signed(off);
            match stamps.look(*steady, wall) {
                Wall::GoesOn => {
                    let stamp = *steady + stamps.ahead_ms();
                    assert_eq!(stamp, last + 1_000);
                }
                other => told.push(other),
            }
            last = *steady + stamps.ahead_ms();
        }
        (told, last)
    }

    #[test]
    fn a_jump_forward_and_back_changes_no_stamp() {
        let (mut stamps, mut steady) = (Stamps::new(1_000, WALL + 1_000), 1_000);
        let years = i64::try_from(YEARS).unwrap();
        assert_eq!(run(&mut stamps, &mut steady, 60, 0), (vec![], WALL + steady));
        let (told, stamp) = run(&mut stamps, &mut steady, 60, years);
        assert_eq!((told, stamp), (vec![Wall::Jumped(years)], WALL + steady));
        assert_eq!(stamps.off_ms(), years);
        let (told, stamp) = run(&mut stamps, &mut steady, 60, -3_600_000);
        assert_eq!((told, stamp), (vec![Wall::Jumped(-years - 3_600_000)], WALL + steady));
        let (told, stamp) = run(&mut stamps, &mut steady, 7_200, 0);
        assert_eq!((told, stamp), (vec![Wall::Jumped(3_600_000)], WALL + steady));
        assert_eq!(stamps.off_ms(), 0);
    }

    #[test]
    fn a_clock_that_stays_where_it_was_put_is_followed_after_an_hour() {
        for off in [86_400_000, -3_600_000] {
            let (mut stamps, mut steady) = (Stamps::new(1_000, WALL + 1_000), 1_000);
            let (told, stamp) = run(&mut stamps, &mut steady, 3_600, off);
            assert_eq!((told, stamp), (vec![Wall::Jumped(off)], WALL + steady));
            let (told, stamp) = run(&mut stamps, &mut steady, 10, off);
            assert_eq!(told, [Wall::Settled(off)]);
            assert_eq!(stamp, (WALL + steady).saturating_add_signed(off));
        }
    }

    #[test]
    fn small_steps_are_no_jumps() {
        let (mut stamps, mut steady) = (Stamps::new(1_000, WALL + 1_000), 1_000);
        assert_eq!(run(&mut stamps, &mut steady, 60, 400).0, []);
        assert_eq!(run(&mut stamps, &mut steady, 60, -400).0, []);
        assert_eq!(stamps.look(steady, 0), Wall::Jumped(-difference(WALL + steady, 0)));
        assert_eq!(stamps.look(steady, u64::MAX), Wall::Jumped(i64::MAX));
    }
}
