//! Device logs: an account has one, and it only grows.
//!
//! A log proves that its account signed it. It does not prove that it is all of it, nor that others
//! were shown the same. So what each knows of the members' logs goes along, sealed, with what they
//! say: a few bytes, of one member at a time.

use sync_protocol::AccountId;
use sync_protocol::codec::{Decode, Encode};
use sync_protocol::device_log::DeviceLog;

/// How a log that came stands to the one of the same account that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It says no more than is known.
    Known,
    /// It goes on where the known one ends.
    Longer,
    /// Both are signed, and they say different things at one place.
    Forks,
}

/// Compares two verified logs of one account.
pub(crate) fn compare(known: &DeviceLog, came: &DeviceLog) -> Standing {
    let agree = known.entries().iter().zip(came.entries()).all(|(known, came)| known == came);
    match (agree, came.len() > known.len()) {
        (false, _) => Standing::Forks,
        (true, true) => Standing::Longer,
        (true, false) => Standing::Known,
    }
}

/// What somebody knows of an account's log: which, how long, and a part of its head.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct KnownLog {
    #[cbor(n(0), with = "minicbor::bytes")]
    account: [u8; 4],
    #[n(1)]
    len: u64,
    #[cbor(n(2), with = "minicbor::bytes")]
    head: [u8; 8],
}

/// What follows from what somebody else knows of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    /// They know the same, or a part of it.
    NoMore,
    /// They know more of it: the relay has not shown it here.
    More,
    /// They were shown another.
    Other,
}

impl KnownLog {
    pub(crate) fn of(log: &DeviceLog) -> Self {
        Self { account: short(&log.account()), len: log.len(), head: begin(log.head().as_bytes()) }
    }

    /// Of which of these accounts it is.
    pub(crate) fn whose(&self, accounts: impl Iterator<Item = AccountId>) -> Option<AccountId> {
        let mut accounts = accounts.filter(|account| short(account) == self.account);
        accounts.next().filter(|_| accounts.next().is_none())
    }

    /// Compares it with the log as it is known here.
    pub(crate) fn judge(&self, known: &DeviceLog) -> Said {
        let ours = match self.len == known.len() {
            true => Some(known.head()),
            false => known.head_at(self.len),
        };
        match ours {
            None if self.len > known.len() => Said::More,
            Some(head) if begin(head.as_bytes()) == self.head => Said::NoMore,
            _ => Said::Other,
        }
    }
}

/// Behind the algorithm's byte, which is everybody's.
fn short(account: &AccountId) -> [u8; 4] {
    let mut short = [0; 4];
    short.copy_from_slice(&account.as_bytes()[1..5]);
    short
}

/// The part of a hash that goes along.
pub(crate) fn begin(hash: &[u8; 32]) -> [u8; 8] {
    let mut begin = [0; 8];
    begin.copy_from_slice(&hash[..8]);
    begin
}

/// Logs to judge by.
#[cfg(test)]
pub(crate) mod testing {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use sync_protocol::DeviceId;
    use sync_protocol::device_log::{
        Action, DeviceKeys, Founding, LogEntry, RecoveryKeys, countersign, found, sign_entry,
    };
    use sync_protocol::signing::SigningKey;

    fn key(n: u8) -> SigningKey {
        SigningKey::from_bytes(&[n; 32])
    }

    fn keys(n: u8) -> DeviceKeys {
        DeviceKeys { signing: key(n).verifying_key().to_bytes(), hpke: [3; 32] }
    }

    /// Somebody's log of one entry.
    pub(crate) fn log_of(n: u8) -> DeviceLog {
        let recovery = RecoveryKeys { signing: [4; 32], hpke: [5; 32] };
        let founding = Founding { device: keys(2), join: [6; 32], recovery, escrow: None };
        let account = AccountId::of_root_key(&key(n).verifying_key().to_bytes());
        DeviceLog::verify(&account, &[found(&key(n), &key(2), founding)]).unwrap()
    }

    pub(crate) fn log() -> DeviceLog {
        log_of(1)
    }

    /// The log with one more entry by its primary.
    fn with(log: &DeviceLog, action: Action) -> DeviceLog {
        let (index, previous) = (log.len(), log.head());
        let entry = LogEntry { version: 1, index, previous, action, escrow: None };
        let mut log = log.clone();
        log.append(&sign_entry(&log.account(), &entry, &key(2))).unwrap();
        log
    }

    /// With another join key.
    pub(crate) fn with_join(log: &DeviceLog, join: u8) -> DeviceLog {
        with(log, Action::RotateJoinKey { join: [join; 32] })
    }

    /// With another device.
    pub(crate) fn with_device(log: &DeviceLog, n: u8) -> DeviceLog {
        let at = (log.len(), log.head());
        let signature = countersign(&log.account(), at.0, &at.1, &keys(n), &key(n)).to_vec();
        with(log, Action::AddDevice { device: keys(n), countersignature: signature })
    }

    /// With a device ended.
    pub(crate) fn with_revoked(log: &DeviceLog, device: DeviceId) -> DeviceLog {
        with(log, Action::Revoke { device, join: [8; 32], cuts: Vec::new() })
    }
}

#[cfg(test)]
mod tests {
    use super::testing::{log, with_join as with};
    use super::*;

    #[test]
    fn a_log_is_known_longer_or_another() {
        let short = log();
        let long = with(&with(&short, 1), 2);
        let other = with(&short, 3);
        assert_eq!(compare(&short, &short), Standing::Known);
        assert_eq!(compare(&short, &long), Standing::Longer);
        assert_eq!(compare(&long, &short), Standing::Known);
        assert_eq!(compare(&long, &other), Standing::Forks);
        assert_eq!(compare(&other, &long), Standing::Forks, "a longer one that says otherwise");
    }

    #[test]
    fn a_few_bytes_tell_who_was_shown_less_or_another() {
        let short = log();
        let long = with(&with(&short, 1), 2);
        let other = with(&short, 3);
        assert_eq!(KnownLog::of(&short).judge(&long), Said::NoMore);
        assert_eq!(KnownLog::of(&long).judge(&long), Said::NoMore);
        assert_eq!(KnownLog::of(&long).judge(&short), Said::More);
        assert_eq!(KnownLog::of(&other).judge(&long), Said::Other);
        assert_eq!(KnownLog::of(&other).judge(&short), Said::More, "to be found out by reading it");
        let nothing = KnownLog { len: 0, ..KnownLog::of(&short) };
        assert_eq!(nothing.judge(&short), Said::Other, "no log is empty");
    }

    #[test]
    fn a_head_is_of_one_account_or_nobodys() {
        let ada = log().account();
        let bob = AccountId::of_root_key(&[9; 32]);
        let head = KnownLog::of(&log());
        assert_eq!(head.whose([bob, ada].into_iter()), Some(ada));
        assert_eq!(head.whose([bob].into_iter()), None);
        assert_eq!(head.whose([ada, ada].into_iter()), None);
    }
}
