//! Safety numbers: what two people compare to find out that nobody stands between them
//! (`docs/protocol.md`, "Device logs").

use sync_protocol::codec::{Decode, Encode};
use sync_protocol::device_log::DeviceLog;
use sync_protocol::hash::{self, Domain};
use sync_protocol::ids::LogHead;
use sync_protocol::{AccountId, ProtocolError, codec};

use crate::api::Comparison;

const SAFETY: Domain = Domain::new("rejoinder safety number v1");
/// How a number to be scanned begins. Upper case, digits and a hyphen: a denser QR code.
const PREFIX: &str = "REJOINDER-SAFETY:";
const VERSION: u8 = 1;

/// Equal on both sides when both know the same logs: twelve groups of five digits.
pub(crate) fn number(mine: &DeviceLog, theirs: &DeviceLog) -> String {
    let mut halves = [mine, theirs]
        .map(|log| hash::hash(SAFETY, &[log.account().as_bytes(), log.head().as_bytes()]));
    if halves[0] > halves[1] {
        halves.swap(0, 1);
    }
    let groups: Vec<String> = halves
        .iter()
        .flat_map(|half| half.chunks_exact(5).take(6))
        .map(|chunk| {
            let number = chunk.iter().fold(0u64, |sum, byte| (sum << 8) | u64::from(*byte));
            format!("{:05}", number % 100_000)
        })
        .collect();
    groups.join(" ")
}

/// A log as somebody knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
struct Known {
    #[n(0)]
    account: AccountId,
    #[n(1)]
    entries: u64,
    #[n(2)]
    head: LogHead,
}

impl Known {
    fn of(log: &DeviceLog) -> Self {
        Self { account: log.account(), entries: log.len(), head: log.head() }
    }

    /// How it stands to the log as it is known here.
    fn compare(&self, log: &DeviceLog) -> Comparison {
        if self.account != log.account() {
            return Comparison::Differs;
        }
        if self.entries > log.len() {
            return Comparison::Behind;
        }
        match log.head_at(self.entries) == Some(self.head) {
            true if self.entries == log.len() => Comparison::Same,
            true => Comparison::Behind,
            false => Comparison::Differs,
        }
    }
}

/// What one person shows to be scanned by the other: both logs, as they know them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(crate) struct Shown {
    #[n(0)]
    version: u8,
    #[n(1)]
    own: Known,
    #[n(2)]
    other: Known,
}

impl Shown {
    pub(crate) fn of(mine: &DeviceLog, theirs: &DeviceLog) -> Self {
        Self { version: VERSION, own: Known::of(mine), other: Known::of(theirs) }
    }

    pub(crate) fn to_text(self) -> String {
        format!("{PREFIX}{}", sync_protocol::text::BASE32.encode(codec::encode(&self)))
    }

    /// Reads what was scanned or pasted.
    pub(crate) fn parse(text: &str) -> Result<Self, ProtocolError> {
        let bare: String = text.chars().filter(|c| !c.is_whitespace()).collect();
        let bare = bare.to_ascii_uppercase();
        let malformed = ProtocolError::Malformed("safety number");
        let encoded = bare.strip_prefix(PREFIX).ok_or(malformed.clone())?;
        let bytes = sync_protocol::text::BASE32.decode(encoded).map_err(|_| malformed)?;
        let shown: Self = codec::decode_exact("safety number", &bytes)?;
        match shown.version {
            VERSION => Ok(shown),
            other => {
                let version = u64::from(other);
                Err(ProtocolError::Unsupported { what: "safety number", version })
            }
        }
    }

    /// Compares what the other person shows with the two logs as they are known here.
    pub(crate) fn compare(&self, mine: &DeviceLog, theirs: &DeviceLog) -> Comparison {
        match (self.own.compare(theirs), self.other.compare(mine)) {
            (Comparison::Same, Comparison::Same) => Comparison::Same,
            (Comparison::Differs, _) | (_, Comparison::Differs) => Comparison::Differs,
            _ => Comparison::Behind,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::trust::logs::testing::{log, log_of, with_join};

    #[test]
    fn both_show_what_the_other_knows() {
        let (ada, bob) = (log(), log_of(8));
        assert_eq!(number(&ada, &bob), number(&bob, &ada));
        let shown = Shown::of(&bob, &ada).to_text();
        assert!(shown.len() < 300, "{}", shown.len());
        let scanned = Shown::parse(&format!(" {}\n", shown.to_lowercase())).unwrap();
        assert_eq!(scanned.compare(&ada, &bob), Comparison::Same);
    }

    #[test]
    fn who_is_a_step_behind_is_not_taken_for_a_stranger() {
        let (ada, bob) = (log(), log_of(8));
        let (later, other) = (with_join(&bob, 1), with_join(&bob, 2));
        let shown = Shown::of(&later, &ada);
        assert_eq!(shown.compare(&ada, &bob), Comparison::Behind);
        assert_eq!(Shown::of(&bob, &ada).compare(&ada, &later), Comparison::Behind);
        assert_eq!(shown.compare(&ada, &other), Comparison::Differs, "a fork is no delay");
    }

    #[test]
    fn somebody_elses_number_differs() {
        let (ada, bob, mallory) = (log(), log_of(8), log_of(9));
        // A puppet that shows Ada what it told her, and one that shows what it told Bob.
        assert_eq!(Shown::of(&mallory, &ada).compare(&ada, &bob), Comparison::Differs);
        assert_eq!(Shown::of(&bob, &mallory).compare(&ada, &bob), Comparison::Differs);
        // One's own picture, scanned again.
        assert_eq!(Shown::of(&ada, &bob).compare(&ada, &bob), Comparison::Differs);
    }

    #[test]
    fn an_offer_is_no_safety_number() {
        for text in ["", "REJOINDER:AAAA", "REJOINDER-SAFETY:", "REJOINDER-SAFETY:!!", "12345"] {
            assert!(Shown::parse(text).is_err(), "{text}");
        }
    }
}
