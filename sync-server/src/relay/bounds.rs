//! What everybody may do now: by client address before a session, by account and device within one.
//! Whoever causes a cost is asked for it here, and whoever is refused is counted by reason.

use std::collections::BTreeMap;

use sync_protocol::error::Rejection;
use sync_protocol::ids::AccountId;

use crate::peers::Peer;
use crate::refusals::{Refusals, Refused};
use crate::relay::SessionId;
use crate::relay::doorway::{Doorway, Early, Entry};
use crate::relay::ledger::Ledger;
use crate::relay::rate::{AccountRates, Bucket, Limited, Rate};
use crate::relay::settings::Settings;
use crate::rules::{Fault, StoredBytes};
use crate::store::StoreError;

/// How far beyond its share an account may be, in ms until it has some of it again: the costliest single
/// thing is less.
const DEBT_MS: u64 = 5_000;

/// All bounds, and what was used of them.
#[derive(Debug)]
pub(super) struct Bounds {
    settings: Settings,
    doorway: Doorway,
    rates: AccountRates,
    ledger: Ledger,
    /// Where the newest session of each account that is here comes from, if that is counted.
    homes: BTreeMap<AccountId, Peer>,
    refusals: Refusals,
}

impl Bounds {
    pub(super) fn new(settings: Settings) -> Self {
        Self {
            settings,
            doorway: Doorway::default(),
            rates: AccountRates::default(),
            ledger: Ledger::default(),
            homes: BTreeMap::new(),
            refusals: Refusals::default(),
        }
    }

    /// Other quotas and rates, from here on.
    pub(super) fn set_settings(&mut self, settings: Settings) {
        self.settings = settings;
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.settings
    }

    pub(super) fn refusals(&self) -> Refusals {
        self.refusals
    }

    /// Counts a refusal.
    pub(super) fn refused(&mut self, refused: Refused, rejection: Rejection) -> Rejection {
        self.refusals.note(refused);
        rejection
    }

    /// Lets a session wait in the doorway.
    pub(super) fn enter(&mut self, session: SessionId, peer: Option<Peer>) -> Entry {
        let entry = self.doorway.enter(&self.settings, session, peer);
        match entry {
            Entry::In => {}
            Entry::Instead(_, refused) => self.refusals.note(refused),
            Entry::Full => self.refusals.note(Refused::Unauthenticated),
        }
        entry
    }

    /// A session said hello, or is gone.
    pub(super) fn leave(&mut self, session: SessionId) {
        self.doorway.leave(session);
    }

    /// Sessions that did not say hello yet.
    pub(super) fn waiting(&self) -> u64 {
        self.doorway.len()
    }

    /// Whether somebody may do something now for which a client address answers.
    pub(super) fn may_early(
        &mut self,
        peer: Option<Peer>,
        early: (Early, u64),
        now_ms: u64,
    ) -> Result<(), Rejection> {
        let may = self.doorway.may(&self.settings, peer, early, now_ms);
        may.map_err(|(refused, retry_ms)| self.refused(refused, Rejection::Rate { retry_ms }))
    }

    /// Takes one of what an account may do.
    pub(super) fn limit(
        &mut self,
        account: AccountId,
        limited: Limited,
        now_ms: u64,
    ) -> Result<(), Rejection> {
        self.take(account, (limited, 1), now_ms)
    }

    /// Takes some of it.
    pub(super) fn take(
        &mut self,
        account: AccountId,
        (limited, count): (Limited, u64),
        now_ms: u64,
    ) -> Result<(), Rejection> {
        let taken = self.rates.take(&self.settings, account, limited, count, now_ms);
        taken.map_err(|retry_ms| self.refused(limited.reason(), Rejection::Rate { retry_ms }))
    }

    /// Whether there is so much of it.
    pub(super) fn has(
        &mut self,
        account: AccountId,
        (limited, count): (Limited, u64),
        now_ms: u64,
    ) -> Result<(), Rejection> {
        let has = self.rates.has(&self.settings, account, limited, count, now_ms);
        has.map_err(|retry_ms| self.refused(limited.reason(), Rejection::Rate { retry_ms }))?;
        let home = self.homes.get(&account).copied().filter(|_| limited == Limited::Work);
        self.may_work(home, now_ms)
    }

    /// Whether a client address has some of its share of the relay's time left.
    pub(super) fn may_work(&mut self, peer: Option<Peer>, now_ms: u64) -> Result<(), Rejection> {
        let Some(peer) = peer else { return Ok(()) };
        let has = self.doorway.has(&self.settings, peer, Early::Working, now_ms);
        has.map_err(|(refused, retry_ms)| self.refused(refused, Rejection::Rate { retry_ms }))
    }

    /// So much of it was used for somebody who did not say hello.
    pub(super) fn worked(&mut self, peer: Peer, cost: u64, now_ms: u64) {
        if cost > 0 {
            self.doorway.spend(&self.settings, peer, (Early::Working, cost), now_ms);
        }
    }

    /// An account is here from an address on.
    pub(super) fn is_here(&mut self, account: AccountId, peer: Option<Peer>) {
        match peer {
            Some(peer) => self.homes.insert(account, peer),
            None => self.homes.remove(&account),
        };
    }

    /// Nobody of an account is here any more.
    pub(super) fn is_gone(&mut self, account: &AccountId) {
        self.homes.remove(account);
    }

    /// So much of it was used already.
    pub(super) fn spend(&mut self, account: AccountId, spent: (Limited, u64), now_ms: u64) {
        self.rates.spend(&self.settings, account, spent, now_ms);
        if let (Limited::Work, cost) = spent
            && let Some(home) = self.homes.get(&account)
        {
            self.doorway.spend(&self.settings, *home, (Early::Working, cost), now_ms);
        }
    }

    /// Whether more may be delivered to an account for now. That is no refusal: it comes later.
    pub(super) fn may_deliver(&self, account: AccountId, now_ms: u64) -> bool {
        self.rates.has(&self.settings, account, Limited::Egress, 1, now_ms).is_ok()
    }

    /// Whether an account may have so many bytes more stored; what is written down of it is read if
    /// need be.
    pub(super) fn may_store(
        &mut self,
        (account, peer, bytes): (AccountId, Option<Peer>, u64),
        written: impl FnOnce(&AccountId) -> Result<StoredBytes, StoreError>,
        (stamp_ms, now_ms): (u64, u64),
    ) -> Result<(), Fault> {
        self.know(account, written)?;
        let may = self.ledger.may(&self.settings, &account, bytes, stamp_ms);
        may.map_err(|(refused, rejection)| self.refused(refused, rejection))?;
        Ok(self.may_early(peer, (Early::Storing, bytes), now_ms)?)
    }

    /// An account had so many bytes stored.
    pub(super) fn stored(
        &mut self,
        (account, bytes): (AccountId, u64),
        written: impl FnOnce(&AccountId) -> Result<StoredBytes, StoreError>,
    ) -> Result<(), StoreError> {
        self.know(account, written)?;
        self.ledger.add(&account, bytes);
        Ok(())
    }

    fn know(
        &mut self,
        account: AccountId,
        written: impl FnOnce(&AccountId) -> Result<StoredBytes, StoreError>,
    ) -> Result<(), StoreError> {
        if !self.ledger.knows(&account) {
            self.ledger.note(account, written(&account)?);
        }
        Ok(())
    }

    /// Gives what accounts had stored since the last time, to be written down.
    pub(super) fn take_sums(&mut self) -> Vec<(AccountId, u64)> {
        self.ledger.take()
    }

    /// Whether a device that has so many other sessions, and its account, may have one more.
    pub(super) fn may_open(
        &mut self,
        of_device: usize,
        of_account: usize,
    ) -> Result<(), Rejection> {
        let over = |count: usize, most: u64| most > 0 && count as u64 >= most;
        if over(of_device, self.settings.sessions_per_device) {
            return Err(self.refused(Refused::SessionsOfDevice, Rejection::Quota));
        }
        if over(of_account, self.settings.sessions_per_account) {
            return Err(self.refused(Refused::SessionsOfAccount, Rejection::Quota));
        }
        Ok(())
    }

    /// A session was told to wait, once more. Whether it goes on and on all the same, and has to go.
    pub(super) fn heeds(&mut self, told: &mut Bucket, now_ms: u64) -> Result<(), Rejection> {
        let taken = told.take(Rate::per_s(self.settings.waits_per_s), 1, now_ms);
        taken.map_err(|retry_ms| self.refused(Refused::Unheeding, Rejection::Rate { retry_ms }))
    }

    /// Whether an account that has used up its share, and was told so, heeds that. Little is asked for with
    /// each frame that is not answered; who sends so many of these costs others all the same.
    pub(super) fn overspends(&mut self, account: AccountId, now_ms: u64) -> Result<(), Rejection> {
        let has = self.rates.has(&self.settings, account, Limited::Work, 1, now_ms);
        match has {
            Err(retry_ms) if retry_ms > DEBT_MS => {
                Err(self.refused(Refused::Unheeding, Rejection::Rate { retry_ms }))
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Whether a session takes one more signal: if not, it is left out.
    pub(super) fn takes_signal(&self, received: &mut Bucket, now_ms: u64) -> bool {
        received.take(Rate::per_s(self.settings.signals_per_s), 1, now_ms).is_ok()
    }

    /// Forgets what makes no difference any more.
    pub(super) fn sweep(&mut self, now_ms: u64) {
        self.rates.sweep(&self.settings, now_ms);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_accounts_of_one_address_share_its_time() {
        let settings = Settings { work_us_per_address_per_s: 10_000, ..Settings::default() };
        let mut bounds = Bounds::new(settings);
        let [here, there] = ["192.0.2.1", "192.0.2.2"].map(|one| Peer::of(one.parse().unwrap()));
        let account = |n: u8| AccountId::from_bytes([n; 33]);
        for n in 0..10 {
            bounds.is_here(account(n), Some(here));
            bounds.spend(account(n), (Limited::Work, 10_000), 5_000);
        }
        bounds.is_here(account(20), Some(there));
        bounds.is_here(account(21), None);
        let mut may = |n| bounds.has(account(n), (Limited::Work, 1), 5_000).is_ok();
        // Each has some of its own left, and the address has not.
        assert!(!may(0) && !may(9) && may(20) && may(21));
        assert_eq!(bounds.refusals().of(Refused::WorkOfPeer), 2);
        assert_eq!(bounds.refusals().of(Refused::Work), 0);
        bounds.is_gone(&account(0));
        assert_eq!(bounds.homes.len(), 10);
        assert!(bounds.has(account(1), (Limited::Work, 1), 15_000).is_ok());
    }

    fn bounds() -> (Bounds, AccountId) {
        let settings = Settings {
            sessions_per_device: 2,
            sessions_per_account: 3,
            waits_per_s: 1,
            work_us_per_s: 1_000,
            stored_mib_per_address_per_day: 1,
            ..Settings::default()
        };
        (Bounds::new(settings), AccountId::from_bytes([1; 33]))
    }

    #[test]
    fn each_refusal_is_counted_under_its_reason() {
        let (mut bounds, account) = bounds();
        assert_eq!(bounds.may_open(1, 2), Ok(()));
        assert_eq!(bounds.may_open(2, 2), Err(Rejection::Quota));
        assert_eq!(bounds.may_open(0, 3), Err(Rejection::Quota));
        bounds.spend(account, (Limited::Work, 20_000), 5_000);
        let worked = bounds.has(account, (Limited::Work, 1), 5_000);
        assert!(matches!(worked, Err(Rejection::Rate { .. })));
        let mut told = Bucket::default();
        let heeded = (0..100).take_while(|_| bounds.heeds(&mut told, 5_000).is_ok()).count();
        assert_eq!(heeded as u64, Settings::BURST_S);
        for reason in [
            Refused::SessionsOfDevice,
            Refused::SessionsOfAccount,
            Refused::Work,
            Refused::Unheeding,
        ] {
            assert_eq!(bounds.refusals().of(reason), 1, "{reason:?}");
        }
    }

    #[test]
    fn who_is_far_beyond_its_share_has_to_go() {
        let (mut bounds, account) = bounds();
        bounds.spend(account, (Limited::Work, 14_000), 5_000);
        assert_eq!(bounds.overspends(account, 5_000), Ok(()));
        bounds.spend(account, (Limited::Work, 2_000), 5_000);
        let over = bounds.overspends(account, 5_000);
        assert_eq!(over, Err(Rejection::Rate { retry_ms: 6_001 }));
        assert_eq!(bounds.overspends(account, 8_000), Ok(()));
    }

    #[test]
    fn many_accounts_of_one_address_share_its_bytes() {
        let (mut bounds, _) = bounds();
        let peer = Some(Peer::of("192.0.2.1".parse().unwrap()));
        let mut stores = |n: u8, from| {
            let account = AccountId::from_bytes([n; 33]);
            let written = |_: &AccountId| Ok(StoredBytes::default());
            bounds.may_store((account, from, 100_000), written, (5_000, 5_000)).is_ok()
        };
        assert_eq!((0..100).filter(|n| stores(*n, peer)).count(), 10);
        assert!(stores(101, Some(Peer::of("192.0.2.2".parse().unwrap()))));
        assert!(stores(102, None));
    }
}
