//! The doorway: sessions that did not say who they are, counted by where they come from, and what
//! may be done before that is known.
//!
//! Who is honest says hello in one round trip. So where there are too many, the one that has waited
//! longest in the largest crowd makes room: one address can keep nobody else out, nor those who share
//! it.

use std::collections::{BTreeMap, BTreeSet};

use crate::peers::{Peer, Prefix, Recent};
use crate::refusals::Refused;
use crate::relay::SessionId;
use crate::relay::rate::{Bucket, Rate};
use crate::relay::settings::Settings;

/// Prefixes whose rates are remembered.
const REMEMBERED: usize = 65_536;

/// Seconds of its share of the relay's time that an address may take at once: accounts have ten of
/// theirs, and that of many together would be long for everybody else.
const WORK_BURST_S: u64 = 5;

/// What somebody does who is not known yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Early {
    /// Says hello; that costs as much as there is to be verified.
    Hello,
    /// Founds an account.
    SignUp,
    /// Asks how to recover an account.
    Request,
    /// Opens a rendezvous.
    Rendezvous,
    /// Has bytes stored. Its account pays as well, and is known; but accounts are free.
    Storing,
    /// Takes of the relay's time: likewise.
    Working,
}

/// What became of one who came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// It waits to say hello.
    In,
    /// So it does, and this one has to go.
    Instead(SessionId, Refused),
    /// There is no room.
    Full,
}

/// Those who wait, and what others of their address did.
#[derive(Debug)]
pub(super) struct Doorway {
    waiting: BTreeMap<SessionId, Option<Peer>>,
    by_prefix: BTreeMap<Prefix, BTreeSet<SessionId>>,
    /// Those who are not counted by address.
    uncounted: BTreeSet<SessionId>,
    /// The widest prefix of each that waits, by how many wait there; `None` is who is not counted.
    crowds: BTreeSet<(usize, Option<Prefix>)>,
    rates: Recent<Prefix, Buckets>,
    all: Buckets,
}

#[derive(Debug, Default)]
struct Buckets {
    hellos: Bucket,
    sign_ups: Bucket,
    requests: Bucket,
    rendezvous: Bucket,
    stored: Bucket,
    worked: Bucket,
}

impl Buckets {
    fn of(&mut self, early: Early) -> &mut Bucket {
        match early {
            Early::Hello => &mut self.hellos,
            Early::SignUp => &mut self.sign_ups,
            Early::Request => &mut self.requests,
            Early::Rendezvous => &mut self.rendezvous,
            Early::Storing => &mut self.stored,
            Early::Working => &mut self.worked,
        }
    }
}

impl Default for Doorway {
    fn default() -> Self {
        Self {
            waiting: BTreeMap::new(),
            by_prefix: BTreeMap::new(),
            uncounted: BTreeSet::new(),
            crowds: BTreeSet::new(),
            rates: Recent::new(REMEMBERED),
            all: Buckets::default(),
        }
    }
}

impl Doorway {
    /// Sessions that wait.
    pub(super) fn len(&self) -> u64 {
        self.waiting.len() as u64
    }

    /// Lets a session wait.
    pub(super) fn enter(
        &mut self,
        settings: &Settings,
        session: SessionId,
        peer: Option<Peer>,
    ) -> Entry {
        let entry = self.room_for(settings, peer);
        if let Entry::Instead(other, _) = entry {
            self.leave(other);
        }
        if entry != Entry::Full {
            self.waiting.insert(session, peer);
            self.place(session, peer, true);
        }
        entry
    }

    /// A session said hello, or is gone. Whether it waited.
    pub(super) fn leave(&mut self, session: SessionId) -> bool {
        let Some(peer) = self.waiting.remove(&session) else { return false };
        self.place(session, peer, false);
        true
    }

    fn room_for(&self, settings: &Settings, peer: Option<Peer>) -> Entry {
        let each = settings.unauthenticated_per_address;
        for (prefix, times) in peer.into_iter().flat_map(Peer::prefixes).filter(|_| each > 0) {
            let Some(there) = self.by_prefix.get(&prefix) else { continue };
            let is_full = there.len() as u64 >= each.saturating_mul(times);
            if is_full && let Some(oldest) = there.first() {
                return Entry::Instead(*oldest, Refused::UnauthenticatedOfPeer);
            }
        }
        if self.len() < settings.unauthenticated_sessions {
            return Entry::In;
        }
        let oldest = self.crowds.last().and_then(|(_, crowd)| match crowd {
            Some(prefix) => self.by_prefix.get(prefix)?.first(),
            None => self.uncounted.first(),
        });
        oldest.map_or(Entry::Full, |oldest| Entry::Instead(*oldest, Refused::Unauthenticated))
    }

    fn place(&mut self, session: SessionId, peer: Option<Peer>, comes: bool) {
        let widest = peer.map(Peer::widest);
        if widest.is_none() {
            let before = self.uncounted.len();
            if comes {
                self.uncounted.insert(session)
            } else {
                self.uncounted.remove(&session)
            };
            self.recount(None, before, self.uncounted.len());
        }
        for (prefix, _) in peer.into_iter().flat_map(Peer::prefixes) {
            let there = self.by_prefix.entry(prefix).or_default();
            let before = there.len();
            if comes {
                there.insert(session)
            } else {
                there.remove(&session)
            };
            let after = there.len();
            if after == 0 {
                self.by_prefix.remove(&prefix);
            }
            if Some(prefix) == widest {
                self.recount(widest, before, after);
            }
        }
    }

    fn recount(&mut self, crowd: Option<Prefix>, before: usize, after: usize) {
        self.crowds.remove(&(before, crowd));
        if after > 0 {
            self.crowds.insert((after, crowd));
        }
    }

    /// Whether somebody may do something now, which costs so much; or which bound that meets and in how
    /// many ms to try again.
    pub(super) fn may(
        &mut self,
        settings: &Settings,
        peer: Option<Peer>,
        (early, cost): (Early, u64),
        now_ms: u64,
    ) -> Result<(), (Refused, u64)> {
        let (each, all) = rates(settings, early);
        let refused = reasons(early);
        for (prefix, times) in peer.into_iter().flat_map(Peer::prefixes) {
            let bucket = self.rates.of(prefix).of(early);
            let taken = bucket.take(each.times(times), cost, now_ms);
            taken.map_err(|retry_ms| (refused.0, retry_ms))?;
        }
        let taken = self.all.of(early).take(all, cost, now_ms);
        taken.map_err(|retry_ms| (refused.1, retry_ms))
    }

    /// Whether an address may do something, of which it is known later how much it was.
    pub(super) fn has(
        &mut self,
        settings: &Settings,
        peer: Peer,
        early: Early,
        now_ms: u64,
    ) -> Result<(), (Refused, u64)> {
        let (each, _) = rates(settings, early);
        for (prefix, times) in peer.prefixes() {
            let has = self.rates.of(prefix).of(early).has(each.times(times), 1, now_ms);
            has.map_err(|retry_ms| (reasons(early).0, retry_ms))?;
        }
        Ok(())
    }

    /// An address did so much of something.
    pub(super) fn spend(
        &mut self,
        settings: &Settings,
        peer: Peer,
        (early, cost): (Early, u64),
        now_ms: u64,
    ) {
        let (each, _) = rates(settings, early);
        for (prefix, times) in peer.prefixes() {
            self.rates.of(prefix).of(early).spend(each.times(times), cost, now_ms);
        }
    }
}

/// The rate of each address, and of all together.
fn rates(settings: &Settings, early: Early) -> (Rate, Rate) {
    match early {
        Early::Hello => {
            let rate = Rate::per_s(settings.hellos_per_address_per_s);
            (rate.with_burst(settings.hellos_per_address_at_once), Rate::per_s(0))
        }
        Early::SignUp => (
            Rate::per_hour(settings.sign_ups_per_address_per_hour),
            Rate::per_s(settings.sign_ups_per_s),
        ),
        Early::Request => (
            Rate::per_s(settings.early_requests_per_address_per_s),
            Rate::per_s(settings.early_requests_per_s),
        ),
        Early::Rendezvous => {
            (Rate::per_hour(settings.rendezvous_per_address_per_hour), Rate::per_s(0))
        }
        Early::Storing => {
            let bytes = settings.stored_mib_per_address_per_day.saturating_mul(1024 * 1024);
            (Rate::per_day(bytes), Rate::per_s(0))
        }
        Early::Working => {
            let us = settings.work_us_per_address_per_s;
            (Rate::per_s(us).with_burst(us.saturating_mul(WORK_BURST_S)), Rate::per_s(0))
        }
    }
}

/// Which bound of an address, and of all together.
fn reasons(early: Early) -> (Refused, Refused) {
    match early {
        Early::Hello => (Refused::HellosOfPeer, Refused::HellosOfPeer),
        Early::SignUp => (Refused::SignUpsOfPeer, Refused::SignUps),
        Early::Request => (Refused::EarlyRequestsOfPeer, Refused::EarlyRequests),
        Early::Rendezvous => (Refused::RendezvousOfPeer, Refused::Rendezvous),
        Early::Storing => (Refused::DailyOfPeer, Refused::DailyOfPeer),
        Early::Working => (Refused::WorkOfPeer, Refused::WorkOfPeer),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(address: &str) -> Option<Peer> {
        Some(Peer::of(address.parse().unwrap()))
    }

    fn settings() -> Settings {
        Settings {
            unauthenticated_sessions: 10,
            unauthenticated_per_address: 4,
            sign_ups_per_address_per_hour: 3,
            ..Settings::default()
        }
    }

    #[test]
    fn one_address_makes_room_of_its_own_and_keeps_nobody_out() {
        let (mut doorway, settings) = (Doorway::default(), settings());
        for n in 0..4 {
            assert_eq!(doorway.enter(&settings, SessionId(n), peer("192.0.2.1")), Entry::In);
        }
        let mine = doorway.enter(&settings, SessionId(4), peer("192.0.2.1"));
        assert_eq!(mine, Entry::Instead(SessionId(0), Refused::UnauthenticatedOfPeer));
        for n in 5..11 {
            let from = format!("198.51.100.{n}");
            assert_eq!(doorway.enter(&settings, SessionId(n), peer(&from)), Entry::In);
        }
        // Full: the largest crowd gives way.
        let other = doorway.enter(&settings, SessionId(11), peer("203.0.113.1"));
        assert_eq!(other, Entry::Instead(SessionId(1), Refused::Unauthenticated));
        let local = doorway.enter(&settings, SessionId(12), None);
        assert_eq!(local, Entry::Instead(SessionId(2), Refused::Unauthenticated));
        assert_eq!(doorway.len(), 10);
        (0..13).for_each(|n| {
            doorway.leave(SessionId(n));
        });
        assert!(doorway.by_prefix.is_empty() && doorway.crowds.is_empty());
        assert!(!doorway.leave(SessionId(1)));
    }

    #[test]
    fn who_is_not_counted_by_address_is_a_crowd_too() {
        let (mut doorway, settings) = (Doorway::default(), settings());
        for n in 0..10 {
            assert_eq!(doorway.enter(&settings, SessionId(n), None), Entry::In);
        }
        for (n, from) in [(10, None), (11, peer("192.0.2.1"))] {
            let entry = doorway.enter(&settings, SessionId(n), from);
            assert_eq!(entry, Entry::Instead(SessionId(n - 10), Refused::Unauthenticated));
        }
        let none = Settings { unauthenticated_sessions: 0, ..settings };
        assert_eq!(Doorway::default().enter(&none, SessionId(20), None), Entry::Full);
    }

    #[test]
    fn a_site_with_a_network_for_each_socket_is_one_crowd() {
        let (mut doorway, settings) = (Doorway::default(), settings());
        for n in 0..10 {
            let from = format!("2001:db8:1:{n}::1");
            assert_eq!(doorway.enter(&settings, SessionId(n), peer(&from)), Entry::In);
        }
        let other = doorway.enter(&settings, SessionId(10), peer("192.0.2.1"));
        assert_eq!(other, Entry::Instead(SessionId(0), Refused::Unauthenticated));
    }

    #[test]
    fn rates_are_of_the_address_and_survive_a_reconnect() {
        let (mut doorway, settings) = (Doorway::default(), settings());
        let mut founds = |session, from: Option<Peer>| {
            doorway.enter(&settings, session, from);
            let may = doorway.may(&settings, from, (Early::SignUp, 1), 1_000);
            doorway.leave(session);
            may
        };
        for n in 0..3 {
            assert_eq!(founds(SessionId(n), peer("192.0.2.1")), Ok(()));
        }
        let refused = founds(SessionId(3), peer("192.0.2.1"));
        assert_eq!(refused, Err((Refused::SignUpsOfPeer, 1_200_000)));
        assert_eq!(founds(SessionId(4), peer("192.0.2.2")), Ok(()));
        assert_eq!(founds(SessionId(5), None), Ok(()));
    }
}
