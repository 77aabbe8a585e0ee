//! What accounts had stored, since it was last written down: the author pays, whoever's space it is.
//!
//! The sums lie in each account's partition ([`Action::CountStored`](crate::rules::Action)). Here is
//! what came on top, for some seconds: a crash forgets no more than that, and nobody can cause one.

use std::collections::BTreeMap;

use sync_protocol::error::Rejection;
use sync_protocol::ids::AccountId;

use crate::refusals::Refused;
use crate::relay::settings::Settings;
use crate::rules::StoredBytes;

/// Milliseconds of a day.
const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// Sums of those who stored something lately.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    accounts: BTreeMap<AccountId, Sums>,
}

#[derive(Clone, Copy, Debug)]
struct Sums {
    written: StoredBytes,
    new: u64,
}

impl Ledger {
    /// Whether the sums of an account are known here; otherwise they are to be read and
    /// [noted](Self::note).
    pub(super) fn knows(&self, account: &AccountId) -> bool {
        self.accounts.contains_key(account)
    }

    /// What is written down of an account.
    pub(super) fn note(&mut self, account: AccountId, written: StoredBytes) {
        self.accounts.entry(account).or_insert(Sums { written, new: 0 });
    }

    /// Whether an account may store so many bytes more.
    ///
    /// # Errors
    /// Which bound that meets: `Quota` for all that it ever stored, `Rate` for what it stored today.
    pub(super) fn may(
        &self,
        settings: &Settings,
        account: &AccountId,
        bytes: u64,
        stamp_ms: u64,
    ) -> Result<(), (Refused, Rejection)> {
        let Some(sums) = self.accounts.get(account) else { return Ok(()) };
        let most = settings.stored_mib_per_account.saturating_mul(1024 * 1024);
        let all = sums.written.all.saturating_add(sums.new).saturating_add(bytes);
        if most > 0 && all > most {
            return Err((Refused::Stored, Rejection::Quota));
        }
        let daily = settings.stored_mib_per_day.saturating_mul(1024 * 1024);
        let today = sums.written.on(day(stamp_ms)).saturating_add(sums.new).saturating_add(bytes);
        if daily > 0 && today > daily {
            let retry_ms = DAY_MS - stamp_ms % DAY_MS;
            return Err((Refused::Daily, Rejection::Rate { retry_ms }));
        }
        Ok(())
    }

    /// An account stored so many bytes.
    pub(super) fn add(&mut self, account: &AccountId, bytes: u64) {
        if let Some(sums) = self.accounts.get_mut(account) {
            sums.new = sums.new.saturating_add(bytes);
        }
    }

    /// Gives what is to be written down, and forgets it.
    pub(super) fn take(&mut self) -> Vec<(AccountId, u64)> {
        let all = std::mem::take(&mut self.accounts).into_iter();
        all.map(|(account, sums)| (account, sums.new)).filter(|(_, new)| *new > 0).collect()
    }
}

/// The day of a stamp, since 1970.
pub(crate) fn day(stamp_ms: u64) -> u64 {
    stamp_ms / DAY_MS
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1024 * 1024;

    fn ledger(written: StoredBytes) -> (Ledger, AccountId, Settings) {
        let (mut ledger, account) = (Ledger::default(), AccountId::from_bytes([1; 33]));
        assert!(!ledger.knows(&account));
        ledger.note(account, written);
        let settings =
            Settings { stored_mib_per_account: 10, stored_mib_per_day: 2, ..Settings::default() };
        (ledger, account, settings)
    }

    #[test]
    fn a_day_has_its_bytes_and_the_next_day_too() {
        let (mut ledger, account, settings) = ledger(StoredBytes::default());
        let noon = 5 * DAY_MS + DAY_MS / 2;
        assert_eq!(ledger.may(&settings, &account, 2 * MIB, noon), Ok(()));
        ledger.add(&account, 2 * MIB);
        let refused = ledger.may(&settings, &account, 1, noon);
        let retry_ms = DAY_MS / 2;
        assert_eq!(refused, Err((Refused::Daily, Rejection::Rate { retry_ms })));
        assert_eq!(ledger.take(), [(account, 2 * MIB)]);
        assert_eq!(ledger.take(), []);
        let mut written = StoredBytes::default();
        written.add(day(noon), 2 * MIB);
        ledger.note(account, written);
        assert!(ledger.may(&settings, &account, 1, noon).is_err());
        assert_eq!(ledger.may(&settings, &account, 2 * MIB, noon + retry_ms), Ok(()));
    }

    #[test]
    fn what_was_ever_stored_counts_together() {
        let mut written = StoredBytes::default();
        (0..9).for_each(|n| written.add(n, MIB));
        let (mut ledger, account, settings) = ledger(written);
        let tomorrow = 20 * DAY_MS;
        assert_eq!(ledger.may(&settings, &account, MIB, tomorrow), Ok(()));
        ledger.add(&account, MIB);
        let refused = ledger.may(&settings, &account, 1, tomorrow);
        assert_eq!(refused, Err((Refused::Stored, Rejection::Quota)));
        let free = Settings { stored_mib_per_account: 0, stored_mib_per_day: 0, ..settings };
        assert_eq!(ledger.may(&free, &account, u64::MAX, tomorrow), Ok(()));
    }
}
