//! Rates: token buckets over the time that the host passes in.

use std::collections::BTreeMap;

use sync_protocol::ids::{AccountId, DeviceId, SpaceId};
use sync_protocol::limits;

use crate::refusals::Refused;
use crate::relay::settings::Settings;

/// How fast a bucket fills, and how much it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rate {
    /// Tokens that come back in each period; 0: no limit.
    tokens: u64,
    period_ms: u64,
    burst: u64,
}

impl Rate {
    pub(crate) fn per_s(tokens: u64) -> Self {
        Self { tokens, period_ms: 1_000, burst: tokens.saturating_mul(Settings::BURST_S) }
    }

    pub(crate) fn per_hour(tokens: u64) -> Self {
        Self { tokens, period_ms: 3_600_000, burst: tokens }
    }

    pub(crate) fn per_day(tokens: u64) -> Self {
        Self { tokens, period_ms: 86_400_000, burst: tokens }
    }

    pub(crate) fn with_burst(self, burst: u64) -> Self {
        Self { burst, ..self }
    }

    /// So many times as much.
    pub(crate) fn times(self, times: u64) -> Self {
        let (tokens, burst) = (self.tokens.saturating_mul(times), self.burst.saturating_mul(times));
        Self { tokens, burst, ..self }
    }
}

/// A bucket that fills with time. New ones are full.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Bucket {
    /// What was taken and has not come back yet, in tokens times the rate's period, so that slow
    /// rates fill evenly.
    spent: u64,
    at_ms: u64,
}

impl Bucket {
    /// Takes `count` tokens, or says in how many ms to try again.
    pub(crate) fn take(&mut self, rate: Rate, count: u64, now_ms: u64) -> Result<(), u64> {
        if rate.tokens > 0 {
            self.spent = self.after(rate, count, now_ms)?;
            self.at_ms = self.at_ms.max(now_ms);
        }
        Ok(())
    }

    /// Whether `count` tokens could be taken, or in how many ms.
    pub(crate) fn has(&self, rate: Rate, count: u64, now_ms: u64) -> Result<(), u64> {
        if rate.tokens == 0 { Ok(()) } else { self.after(rate, count, now_ms).map(drop) }
    }

    /// Takes what was spent already, and may owe it.
    pub(crate) fn spend(&mut self, rate: Rate, count: u64, now_ms: u64) {
        if rate.tokens > 0 {
            let back = now_ms.saturating_sub(self.at_ms).saturating_mul(rate.tokens);
            let spent = count.saturating_mul(rate.period_ms);
            self.spent = self.spent.saturating_sub(back).saturating_add(spent);
            self.at_ms = self.at_ms.max(now_ms);
        }
    }

    /// What is spent once `count` tokens are taken.
    fn after(&self, rate: Rate, count: u64, now_ms: u64) -> Result<u64, u64> {
        let back = now_ms.saturating_sub(self.at_ms).saturating_mul(rate.tokens);
        let room = rate.burst.max(count).saturating_mul(rate.period_ms);
        let wanted = count.saturating_mul(rate.period_ms);
        let wanted = self.spent.saturating_sub(back).saturating_add(wanted);
        if wanted > room { Err((wanted - room).div_ceil(rate.tokens)) } else { Ok(wanted) }
    }

    /// Whether the bucket has filled again: forgetting it changes nothing.
    fn is_full(&self, rate: Rate, now_ms: u64) -> bool {
        now_ms.saturating_sub(self.at_ms).saturating_mul(rate.tokens) >= self.spent
    }
}

/// What is limited for each account over all its sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Limited {
    Lookup,
    Take,
    /// Takes of one account's key packages.
    TakeOf(AccountId),
    /// Single-use key packages of an own device that others are given.
    Package(DeviceId),
    InboxPut,
    Founding,
    Rendezvous,
    Invitation,
    /// Handshakes in one space.
    Handshake(SpaceId),
    /// New stores of one device.
    Incarnation(DeviceId),
    /// The relay's time, in the units of [`work`](super::work).
    Work,
    /// Bytes that are delivered.
    Egress,
    /// Envelopes of one device.
    Envelopes(DeviceId),
    /// Bytes of them.
    PushBytes(DeviceId),
    /// Requests of one device.
    Requests(DeviceId),
    /// Signals of one device.
    Signals(DeviceId),
}

impl Limited {
    /// As which a refusal is counted.
    pub(super) fn reason(self) -> Refused {
        match self {
            Self::Work => Refused::Work,
            Self::Envelopes(_) | Self::PushBytes(_) => Refused::Pushes,
            Self::Lookup
            | Self::Take
            | Self::TakeOf(_)
            | Self::Package(_)
            | Self::InboxPut
            | Self::Founding
            | Self::Rendezvous
            | Self::Invitation
            | Self::Handshake(_)
            | Self::Incarnation(_)
            | Self::Egress
            | Self::Requests(_)
            | Self::Signals(_) => Refused::Rates,
        }
    }

    fn rate(self, settings: &Settings) -> Rate {
        match self {
            Self::Lookup => Rate::per_s(settings.lookups_per_s),
            Self::Take => Rate::per_s(settings.takes_per_s),
            Self::InboxPut => Rate::per_s(settings.inbox_puts_per_s),
            Self::Founding => Rate::per_s(settings.foundings_per_s),
            Self::Rendezvous => Rate::per_s(settings.rendezvous_per_s),
            Self::Invitation => Rate::per_hour(settings.invitations_per_hour),
            Self::Work => Rate::per_s(settings.work_us_per_s),
            Self::Egress => Rate::per_s(settings.delivered_bytes_per_s),
            Self::Envelopes(_) => Rate::per_s(settings.push_envelopes_per_s),
            Self::PushBytes(_) => Rate::per_s(settings.push_bytes_per_s),
            Self::Requests(_) => Rate::per_s(settings.requests_per_s),
            Self::Signals(_) => Rate::per_s(settings.signals_per_s),
            Self::TakeOf(_) => Rate::per_hour(settings.takes_of_one_per_hour),
            Self::Package(_) => Rate::per_hour(settings.packages_per_hour),
            Self::Handshake(_) => {
                let rate = Rate::per_hour(settings.handshakes_per_hour);
                rate.with_burst(limits::HANDSHAKES_BURST)
            }
            Self::Incarnation(_) => {
                let rate = Rate::per_hour(settings.incarnations_per_hour);
                rate.with_burst(limits::INCARNATIONS_BURST)
            }
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
        count: u64,
        now_ms: u64,
    ) -> Result<(), u64> {
        let bucket = self.buckets.entry((account, limited)).or_default();
        bucket.take(limited.rate(settings), count, now_ms)
    }

    pub(super) fn has(
        &self,
        settings: &Settings,
        account: AccountId,
        limited: Limited,
        count: u64,
        now_ms: u64,
    ) -> Result<(), u64> {
        let bucket = self.buckets.get(&(account, limited)).copied().unwrap_or_default();
        bucket.has(limited.rate(settings), count, now_ms)
    }

    /// Takes what was spent already, and may owe it.
    pub(super) fn spend(
        &mut self,
        settings: &Settings,
        account: AccountId,
        (limited, count): (Limited, u64),
        now_ms: u64,
    ) {
        let bucket = self.buckets.entry((account, limited)).or_default();
        bucket.spend(limited.rate(settings), count, now_ms);
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
        let rate = Rate::per_s(5);
        let mut bucket = Bucket::default();
        let taken = (0..1000).filter(|_| bucket.take(rate, 1, 1_000).is_ok()).count();
        assert_eq!(taken as u64, 5 * Settings::BURST_S);
        let retry_ms = bucket.take(rate, 1, 1_000).unwrap_err();
        assert_eq!(bucket.has(rate, 1, 1_000 + retry_ms - 1), Err(1));
        assert_eq!(bucket.take(rate, 1, 1_000 + retry_ms), Ok(()));
        let taken = (0..1000).filter(|_| bucket.take(rate, 1, 3_200).is_ok()).count();
        assert_eq!(taken, 10);
    }

    #[test]
    fn an_hourly_bucket_gives_its_hour_at_once_and_then_evenly() {
        let rate = Rate::per_hour(200);
        let mut bucket = Bucket::default();
        assert_eq!(bucket.take(rate, 200, 7), Ok(()));
        assert_eq!(bucket.take(rate, 1, 7), Err(18_000));
        assert_eq!(bucket.take(rate, 1, 18_007), Ok(()));
        assert_eq!(bucket.take(rate, 1, 18_007), Err(18_000));
        assert!(!bucket.is_full(rate, 3_600_000) && bucket.is_full(rate, 3_618_007));
    }

    #[test]
    fn what_was_spent_already_is_owed() {
        let rate = Rate::per_s(5);
        let mut bucket = Bucket::default();
        bucket.spend(rate, 5 * Settings::BURST_S + 10, 1_000);
        assert_eq!(bucket.has(rate, 1, 1_000), Err(2_200));
        assert_eq!(bucket.has(rate, 1, 3_200), Ok(()));
        bucket.spend(Rate::per_s(0), u64::MAX, 3_200);
        assert_eq!(bucket.has(rate, 1, 3_200), Ok(()));
    }

    #[test]
    fn a_clock_that_goes_back_gives_nothing_away() {
        let rate = Rate::per_s(1);
        let mut bucket = Bucket::default();
        while bucket.take(rate, 1, 50_000).is_ok() {}
        assert!(bucket.take(rate, 1, 0).is_err());
        assert!(bucket.take(rate, 1, 50_000).is_err());
    }

    #[test]
    fn what_is_larger_than_the_bucket_passes_when_it_is_full() {
        let mut bucket = Bucket::default();
        assert_eq!(bucket.take(Rate::per_s(1), 1_000, 0), Ok(()));
        assert!(bucket.take(Rate::per_s(1), 1, 0).is_err());
    }
}
