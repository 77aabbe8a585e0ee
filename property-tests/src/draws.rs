//! Where a world's chance comes from, and by which rules its seed is drawn.
//!
//! A seed's number says its edition: [`edition`]. What a seed once showed it shows for ever, so
//! worlds change by a new edition and never within one.
//!
//! In the first edition everything is drawn from one stream. From the second on each decision, each
//! device and the relay draw from streams of their own: a decision that is left out leaves the
//! others as they were, so that a failing world can be made smaller. From the third on days pass,
//! things happen beside each other on purpose, and some worlds have more people and devices.

use crate::chance::Chance;

/// The newest edition.
pub const EDITION: u64 = 3;

/// Seeds of each edition.
const SEEDS: u64 = 10_000_000_000_000_000;

/// The edition of a seed.
#[must_use]
pub fn edition(seed: u64) -> u64 {
    1 + seed / SEEDS
}

/// The seed of this number among those of the newest edition.
#[must_use]
pub fn newest(number: u64) -> u64 {
    (EDITION - 1) * SEEDS + number % SEEDS
}

/// Raised with each release, or when the worlds that are looked at in continuous integration are to
/// be others: this is the one place.
const ROUND: u64 = 1;

/// The seeds that this release's tests look at, by number: others with each version and each
/// round of worlds.
#[must_use]
pub fn of_release(number: u64) -> u64 {
    let part = |text: &str| text.parse::<u64>().unwrap_or_default();
    let version = part(env!("CARGO_PKG_VERSION_MAJOR")) * 1_000_000
        + part(env!("CARGO_PKG_VERSION_MINOR")) * 1_000
        + part(env!("CARGO_PKG_VERSION_PATCH"));
    newest((version * 100 + ROUND) * 100_000 + number)
}

const DECISIONS: u64 = 1;
const BETWEEN: u64 = 2;
const DEVICES: u64 = 3;
const RELAY: u64 = 4;

/// A world's streams of chance.
#[derive(Clone, Debug)]
pub struct Draws {
    seed: u64,
    /// The one stream of the first edition.
    shared: Option<Chance>,
    decision: Option<Chance>,
    between: Chance,
    devices: Vec<Chance>,
    relay: Chance,
}

impl Draws {
    /// The streams of a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            shared: (edition(seed) == 1).then(|| Chance::new(seed)),
            decision: None,
            between: Chance::stream(seed, BETWEEN, 0),
            devices: Vec::new(),
            relay: Chance::stream(seed, RELAY, 0),
        }
    }

    /// The decision of this number is taken now.
    pub fn begin(&mut self, decision: u64) {
        self.decision = Some(Chance::stream(self.seed, DECISIONS, decision));
    }

    /// It is taken.
    pub fn end(&mut self) {
        self.decision = None;
    }

    /// What people do: the decision being taken, or what follows from one before.
    pub fn deeds(&mut self) -> &mut Chance {
        let own = self.decision.as_mut().unwrap_or(&mut self.between);
        self.shared.as_mut().unwrap_or(own)
    }

    /// What a device is in for: its keys, its disk, its connection.
    pub fn device(&mut self, device: usize) -> &mut Chance {
        if let Some(shared) = &mut self.shared {
            return shared;
        }
        while self.devices.len() <= device {
            let number = self.devices.len() as u64;
            self.devices.push(Chance::stream(self.seed, DEVICES, number));
        }
        &mut self.devices[device]
    }

    /// What the relay is in for.
    pub fn relay(&mut self) -> &mut Chance {
        self.shared.as_mut().unwrap_or(&mut self.relay)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decision_draws_the_same_whatever_was_drawn_before_it() {
        let mut one = Draws::new(newest(7));
        let mut two = Draws::new(newest(7));
        one.begin(0);
        one.deeds().number();
        one.device(3).number();
        one.relay().number();
        one.begin(1);
        two.begin(1);
        assert_eq!(one.deeds().number(), two.deeds().number());
    }

    #[test]
    fn everything_of_the_first_edition_comes_from_one_stream() {
        let mut draws = Draws::new(7);
        let mut stream = Chance::new(7);
        draws.begin(4);
        assert_eq!(draws.deeds().number(), stream.number());
        assert_eq!(draws.device(2).number(), stream.number());
        assert_eq!(draws.relay().number(), stream.number());
    }

    #[test]
    fn a_seed_says_its_edition() {
        assert_eq!(edition(1_795_974_097_000_031), 1);
        assert_eq!(edition(newest(1_795_974_097_000_031)), EDITION);
    }

    /// What people do is drawn from these tables, and this is what stood in them when an edition began.
    const DRAWN: (u64, &str) = (3, "a090fc5a6529c448");

    #[test]
    fn what_is_drawn_from_changes_with_an_edition_alone() {
        let tables = [
            (include_str!("world/people.rs"), "DEEDS"),
            (include_str!("world/churn.rs"), "ACTS"),
            (include_str!("world/beside.rs"), "PAIRS"),
        ];
        let mut all = String::new();
        for (source, name) in tables {
            let from = source.split(&format!("const {name}: ")).nth(1);
            let table = from.and_then(|rest| rest.split("];").next()).expect("there is a table");
            let words: Vec<&str> = table.split_whitespace().collect();
            all += &format!("const {name}: {}\n", words.join(" "));
        }
        let hash =
            data_encoding::HEXLOWER.encode(&sync_protocol::hash::sha256(all.as_bytes())[..8]);
        assert_eq!(
            (EDITION, hash.as_str()),
            DRAWN,
            "old seeds would be other worlds: begin a new edition, leave the tables of the one before to its \
             seeds, and write down what is drawn from now",
        );
    }
}
