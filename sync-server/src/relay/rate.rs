//! Rates: token buckets over the time that the host passes in.

use std::collections::BTreeMap;

use sync_protocol::ids::AccountId;

use crate::relay::settings::Settings;

/// Thousandths of a token, so that slow rates fill evenly.
const TOKEN: u64 = 1_000;

/// A bucket that fills with time. New ones are full.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Bucket {
    /// What was taken and has not come back yet, in thousandths of a token.
    spent: u64,
    at_ms: u64,
}

impl Bucket {
    /// Takes `count` tokens at a rate per second (0: no limit), or says in how many ms to try again.
    pub(super) fn take(&mut self, rate: u64, count: u64, now_ms: u64) -> Result<(), u64> {
        if rate == 0 {
            return Ok(());
        }
        let back = now_ms.saturating_sub(self.at_ms).saturating_mul(rate);
        self.spent = self.spent.saturating_sub(back);
        self.at_ms = self.at_ms.max(now_ms);
        let room = rate.saturating_mul(Settings::BURST_S).max(count).saturating_mul(TOKEN);
        let wanted = self.spent.saturating_add(count.saturating_mul(TOKEN));
        if wanted > room {
            return Err(((wanted - room) / rate).max(1));
        }
        self.spent = wanted;
        Ok(())
    }

    /// Whether the bucket has filled again: forgetting it changes nothing.
    fn is_full(&self, rate: u64, now_ms: u64) -> bool {
        now_ms.saturating_sub(self.at_ms).saturating_mul(rate) >= self.spent
    }
}

/// What is limited for each account over all its sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Limited {
    Lookup,
    Take,
    InboxPut,
    Founding,
}

impl Limited {
    fn rate(self, settings: &Settings) -> u64 {
        match self {
            Self::Lookup => settings.lookups_per_s,
            Self::Take => settings.takes_per_s,
            Self::InboxPut => settings.inbox_puts_per_s,
            Self::Founding => settings.foundings_per_s,
        }
    }
}

/// The buckets of accounts that were active lately.
#[derive(Debug, Default)]
pub(super) struct AccountRates {
    buckets: BTreeMap<(AccountId, Limited), Bucket>,
}

impl AccountRates {
    pub(super) fn take(
        &mut self,
        settings: &Settings,
        account: AccountId,
        limited: Limited,
        now_ms: u64,
    ) -> Result<(), u64> {
        let bucket = self.buckets.entry((account, limited)).or_default();
        bucket.take(limited.rate(settings), 1, now_ms)
    }

    /// Forgets buckets that are full again.
    pub(super) fn sweep(&mut self, settings: &Settings, now_ms: u64) {
        self.buckets.retain(|(_, limited), bucket| !bucket.is_full(limited.rate(settings), now_ms));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_gives_its_burst_and_then_its_rate() {
        let mut bucket = Bucket::default();
        let taken = (0..1000).filter(|_| bucket.take(5, 1, 1_000).is_ok()).count();
        assert_eq!(taken as u64, 5 * Settings::BURST_S);
        let retry_ms = bucket.take(5, 1, 1_000).unwrap_err();
        assert_eq!(bucket.take(5, 1, 1_000 + retry_ms), Ok(()));
        let taken = (0..1000).filter(|_| bucket.take(5, 1, 3_200).is_ok()).count();
        assert_eq!(taken, 10);
    }

    #[test]
    fn a_clock_that_goes_back_gives_nothing_away() {
        let mut bucket = Bucket::default();
        while bucket.take(1, 1, 50_000).is_ok() {}
        assert!(bucket.take(1, 1, 0).is_err());
        assert!(bucket.take(1, 1, 50_000).is_err());
    }

    #[test]
    fn what_is_larger_than_the_bucket_passes_when_it_is_full() {
        let mut bucket = Bucket::default();
        assert_eq!(bucket.take(1, 1_000, 0), Ok(()));
        assert!(bucket.take(1, 1, 0).is_err());
    }
}
