//! Connections that die without a word: a network that changed, a machine that slept.

use super::Now;

/// After such a silence the relay is asked something, in ms.
const SILENCE_MS: u64 = 40_000;
/// A relay that doesn't answer within this time is gone, in ms.
const PROBE_MS: u64 = 15_000;

/// Since when nothing was heard on a connection.
#[derive(Debug)]
pub(super) struct Silence {
    probes: bool,
    /// When the relay was heard last, Unix ms.
    heard: u64,
    /// Since when an answer is due, Unix ms.
    asked: Option<u64>,
}

/// What a silence comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// Nothing has to be done.
    Fine,
    /// The relay should be asked something.
    Ask,
    /// The relay did not answer.
    Dead,
}

impl Silence {
    pub(super) const fn new(probes: bool) -> Self {
        Self { probes, heard: 0, asked: None }
    }

    /// Something was heard. The wall clock counts here: it goes on while a machine sleeps, and that is
    /// when connections die.
    pub(super) fn broken(&mut self, now: Now) {
        self.heard = now.unix_ms;
        self.asked = None;
    }

    pub(super) fn look(&mut self, now: Now) -> Look {
        if !self.probes || now.unix_ms.saturating_sub(self.heard) < SILENCE_MS {
            return Look::Fine;
        }
        match self.asked {
            None => {
                self.asked = Some(now.unix_ms);
                Look::Ask
            }
            Some(since) if now.unix_ms.saturating_sub(since) > PROBE_MS => Look::Dead,
            Some(_) => Look::Fine,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(unix_ms: u64) -> Now {
        Now { unix_ms, steady_ms: unix_ms }
    }

    #[test]
    fn a_silent_relay_is_asked_once_and_then_given_up() {
        let mut silence = Silence::new(true);
        silence.broken(at(1_000));
        assert_eq!(silence.look(at(40_999)), Look::Fine);
        assert_eq!(silence.look(at(41_000)), Look::Ask);
        assert_eq!(silence.look(at(56_000)), Look::Fine);
        assert_eq!(silence.look(at(56_001)), Look::Dead);
    }

    #[test]
    fn an_answer_begins_another_silence() {
        let mut silence = Silence::new(true);
        silence.broken(at(1_000));
        assert_eq!(silence.look(at(41_000)), Look::Ask);
        silence.broken(at(50_000));
        assert_eq!(silence.look(at(89_999)), Look::Fine);
        assert_eq!(silence.look(at(90_000)), Look::Ask);
    }

    #[test]
    fn who_is_told_of_dead_connections_asks_nothing() {
        let mut silence = Silence::new(false);
        assert_eq!(silence.look(at(1_000_000)), Look::Fine);
    }
}
