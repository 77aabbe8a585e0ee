//! What happened, as one running hash: equal for two runs that decided and showed the same.

use std::fmt;

use sha2::{Digest, Sha256};

/// Characters of an aside that are worth reading.
const ASIDE: usize = 600;

/// The running hash, and the lines themselves if somebody reads along.
#[derive(Clone, Debug)]
pub struct Trace {
    state: [u8; 32],
    steps: u64,
    aloud: bool,
    /// Whether anybody wants to know the hash.
    hashed: bool,
}

impl Trace {
    /// An empty trace. With `aloud` every line is printed as well.
    #[must_use]
    pub fn new(aloud: bool) -> Self {
        Self { state: [0; 32], steps: 0, aloud, hashed: true }
    }

    /// A trace that keeps nothing but the number of steps: for those who look at many worlds.
    #[must_use]
    pub fn of_steps() -> Self {
        Self { hashed: false, ..Self::new(false) }
    }

    /// Takes in one line: a decision, an event or a view.
    pub fn note(&mut self, now_ms: u64, line: fmt::Arguments<'_>) {
        if !self.hashed && !self.aloud {
            return;
        }
        let text = format!("{now_ms} {line}");
        if self.aloud {
            // A replay is read in a terminal.
            eprintln!("{text}");
        }
        let mut hash = Sha256::new();
        hash.update(self.state);
        hash.update(text.as_bytes());
        self.state = hash.finalize().into();
    }

    /// Tells whoever reads along something that is not part of the hash.
    pub fn aside(&self, line: impl FnOnce() -> String) {
        if self.aloud {
            let text: String = line().chars().take(ASIDE).collect();
            eprintln!("    {text}");
        }
    }

    /// Counts one step of the world.
    pub fn step(&mut self) {
        self.steps += 1;
    }

    /// Steps so far.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// The hash so far, as text.
    #[must_use]
    pub fn hash(&self) -> String {
        data_encoding::HEXLOWER.encode(&self.state)
    }
}

/// A short name for bytes in a line.
#[must_use]
pub fn short(bytes: &[u8]) -> String {
    let hash = Sha256::digest(bytes);
    data_encoding::HEXLOWER.encode(&hash[..6])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_and_its_order_count() {
        let run = |lines: &[&str]| {
            let mut trace = Trace::new(false);
            for line in lines {
                trace.note(1, format_args!("{line}"));
            }
            trace.hash()
        };
        assert_eq!(run(&["a", "b"]), run(&["a", "b"]));
        assert_ne!(run(&["a", "b"]), run(&["b", "a"]));
        assert_ne!(run(&["a"]), run(&["a", "a"]));
    }
}
