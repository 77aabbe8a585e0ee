//! Places for connections: so many in all, and so many for each peer. Whoever holds one gives it
//! back by dropping it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use tokio_util::sync::CancellationToken;

use crate::peers::peer::{Peer, Prefix};

/// Where all are taken, who comes is looked at all the same: by so many places more.
const LOOKED_AT: usize = 64;

/// All places.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    taken: Arc<Mutex<Taken>>,
}

#[derive(Debug, Default)]
struct Taken {
    /// How many there are, and how many each peer may have.
    most: usize,
    each: u64,
    all: usize,
    of: BTreeMap<Prefix, u64>,
    /// The widest prefix of each that is counted, by how many are there.
    crowds: BTreeSet<(u64, Prefix)>,
    /// Those who are counted, by that prefix, the oldest first, and how each is told to go.
    there: BTreeMap<(Prefix, u64), CancellationToken>,
    newest: u64,
}

/// Why there is no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turned {
    /// All are taken.
    Full,
    /// The peer has as many as it may.
    PeerFull,
    /// The peer's come too fast.
    TooFast,
}

/// A place that is taken.
#[derive(Debug)]
pub(crate) struct Place {
    taken: Arc<Mutex<Taken>>,
    of: Option<Peer>,
    number: u64,
    over: CancellationToken,
}

impl Places {
    /// `most` in all, `each` for a peer; 0: as many as there are.
    pub(crate) fn new(most: usize, each: u64) -> Self {
        let taken = Taken { most, each, ..Taken::default() };
        Self { taken: Arc::new(Mutex::new(taken)) }
    }

    /// Other numbers, for whoever comes from here on.
    pub(crate) fn resize(&self, most: usize, each: u64) {
        let mut taken = lock(&self.taken);
        (taken.most, taken.each) = (most, each);
    }

    /// How many there are.
    pub(crate) fn most(&self) -> usize {
        lock(&self.taken).most
    }

    /// A place, not counted for anybody yet.
    ///
    /// # Errors
    /// [`Turned::Full`].
    pub(crate) fn take(&self) -> Result<Place, Turned> {
        let mut taken = lock(&self.taken);
        if taken.all >= taken.most.saturating_add(LOOKED_AT) {
            return Err(Turned::Full);
        }
        taken.all += 1;
        taken.newest += 1;
        Ok(Place {
            taken: Arc::clone(&self.taken),
            of: None,
            number: taken.newest,
            over: CancellationToken::new(),
        })
    }

    /// How many are taken.
    pub(crate) fn taken(&self) -> usize {
        lock(&self.taken).all
    }
}

impl Place {
    /// Counts it for a peer from here on, and for nobody else. Where all places are taken, the largest
    /// crowd makes room: its oldest has to go.
    ///
    /// # Errors
    /// [`Turned::PeerFull`], or [`Turned::Full`] for one of the largest crowd: then it is counted as
    /// before.
    pub(crate) fn belong(&mut self, peer: Peer) -> Result<(), Turned> {
        if self.of == Some(peer) {
            return Ok(());
        }
        let mut taken = lock(&self.taken);
        let has = |prefix| taken.of.get(&prefix).copied().unwrap_or(0);
        let is_full =
            |(prefix, times): (Prefix, u64)| has(prefix) >= taken.each.saturating_mul(times);
        if taken.each > 0 && peer.prefixes().any(is_full) {
            return Err(Turned::PeerFull);
        }
        if self.of.is_none() && taken.all > taken.most {
            taken.make_room(peer)?;
        }
        taken.give_back(self.of.replace(peer), self.number);
        taken.count(peer, self.number, &self.over);
        Ok(())
    }

    /// Nobody is counted for it, so nobody makes room for it.
    ///
    /// # Errors
    /// [`Turned::Full`].
    pub(crate) fn belong_to_nobody(&self) -> Result<(), Turned> {
        let taken = lock(&self.taken);
        if taken.all > taken.most { Err(Turned::Full) } else { Ok(()) }
    }

    /// Cancelled when it has to go.
    pub(crate) fn over(&self) -> CancellationToken {
        self.over.clone()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = lock(&self.taken);
        taken.all = taken.all.saturating_sub(1);
        taken.give_back(self.of, self.number);
    }
}

impl Taken {
    /// Lets the oldest of the largest crowd go, for one that is not of it.
    fn make_room(&mut self, peer: Peer) -> Result<(), Turned> {
        let (count, crowd) = *self.crowds.last().ok_or(Turned::Full)?;
        let own = self.of.get(&peer.widest()).copied().unwrap_or(0);
        if own + 1 >= count {
            return Err(Turned::Full);
        }
        let oldest = self.there.range((crowd, 0)..).next().map(|(key, _)| *key);
        let oldest = oldest.filter(|(of, _)| *of == crowd).ok_or(Turned::Full)?;
        if let Some(over) = self.there.remove(&oldest) {
            over.cancel();
        }
        Ok(())
    }

    fn count(&mut self, peer: Peer, number: u64, over: &CancellationToken) {
        for (prefix, _) in peer.prefixes() {
            let now = self.of.get(&prefix).copied().unwrap_or(0) + 1;
            self.recount(peer, prefix, now);
        }
        self.there.insert((peer.widest(), number), over.clone());
    }

    fn give_back(&mut self, of: Option<Peer>, number: u64) {
        let Some(peer) = of else { return };
        for (prefix, _) in peer.prefixes() {
            let left = self.of.get(&prefix).map_or(0, |count| count.saturating_sub(1));
            self.recount(peer, prefix, left);
        }
        self.there.remove(&(peer.widest(), number));
    }

    fn recount(&mut self, peer: Peer, prefix: Prefix, now: u64) {
        let before = match now {
            0 => self.of.remove(&prefix),
            _ => self.of.insert(prefix, now),
        };
        if peer.widest() == prefix {
            self.crowds.remove(&(before.unwrap_or(0), prefix));
            if now > 0 {
                self.crowds.insert((now, prefix));
            }
        }
    }
}

/// Each change is one step: whoever panicked left nothing half done.
fn lock(taken: &Mutex<Taken>) -> std::sync::MutexGuard<'_, Taken> {
    taken.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(address: &str) -> Peer {
        Peer::of(address.parse().unwrap())
    }

    fn take(places: &Places, address: &str) -> Result<Place, Turned> {
        let mut place = places.take()?;
        place.belong(peer(address)).map(|()| place)
    }

    #[test]
    fn one_peer_takes_its_own_and_leaves_the_rest() {
        let places = Places::new(10, 3);
        let mut held: Vec<_> = (0..3).map(|_| take(&places, "192.0.2.1").unwrap()).collect();
        assert_eq!(take(&places, "192.0.2.1").unwrap_err(), Turned::PeerFull);
        assert_eq!(places.taken(), 3);
        held.push(take(&places, "192.0.2.2").unwrap());
        held.remove(0);
        held.push(take(&places, "192.0.2.1").unwrap());
        held.extend((0..6).map(|n| take(&places, &format!("198.51.100.{n}")).unwrap()));
        // The largest crowd makes room, as long as it is larger than who comes would be.
        let oldest = held[0].over();
        held.push(take(&places, "203.0.113.1").unwrap());
        assert!(oldest.is_cancelled() && !held[1].over().is_cancelled());
        held.remove(0);
        assert_eq!(take(&places, "192.0.2.1").unwrap_err(), Turned::Full);
        assert_eq!(take(&places, "192.0.2.2").unwrap_err(), Turned::Full);
        assert_eq!(places.take().unwrap().belong_to_nobody(), Err(Turned::Full));
        drop(held);
        assert_eq!(places.taken(), 0);
        let taken = lock(&places.taken);
        assert!(taken.of.is_empty() && taken.crowds.is_empty() && taken.there.is_empty());
    }

    #[test]
    fn five_sites_that_take_all_places_leave_one_for_whoever_comes() {
        let places = Places::new(50, 3);
        let mut held = Vec::new();
        for site in 0..5 {
            for n in 0..10 {
                held.push(take(&places, &format!("2001:db8:{site}:{n}::1")).unwrap());
            }
        }
        for n in 0..30 {
            held.push(take(&places, &format!("192.0.2.{n}")).unwrap());
            let before = held.len();
            held.retain(|place| !place.over().is_cancelled());
            assert_eq!((before, held.len()), (51, 50));
        }
        // All have four or five by now: nobody is a crowd beside them.
        let of = |site: &str| lock(&places.taken).of.get(&peer(site).widest()).copied().unwrap();
        assert!((0..5).all(|n| of(&format!("2001:db8:{n}:1::1")) == 4));
    }

    #[test]
    fn other_numbers_hold_for_whoever_comes_next() {
        let places = Places::new(10, 3);
        let held: Vec<_> = (0..3).map(|_| take(&places, "192.0.2.1").unwrap()).collect();
        places.resize(4, 1);
        assert_eq!(take(&places, "192.0.2.1").unwrap_err(), Turned::PeerFull);
        let _other = take(&places, "192.0.2.2").unwrap();
        assert_eq!((take(&places, "192.0.2.2").unwrap_err(), places.most()), (Turned::PeerFull, 4));
        drop(held);
        assert!(take(&places, "192.0.2.1").is_ok());
    }

    #[test]
    fn a_site_of_many_networks_is_bounded_too() {
        let places = Places::new(1_000, 3);
        let networks = (0..100).map(|n| format!("2001:db8:1:{n:x}::1"));
        let held: Vec<_> = networks.filter_map(|one| take(&places, &one).ok()).collect();
        assert_eq!(held.len(), 12);
        assert!(take(&places, "2001:db8:2::1").is_ok());
    }

    #[test]
    fn a_place_that_changes_hands_counts_once() {
        let places = Places::new(10, 1);
        let mut place = take(&places, "192.0.2.1").unwrap();
        place.belong(peer("192.0.2.2")).unwrap();
        let other = take(&places, "192.0.2.1").unwrap();
        assert_eq!(place.belong(peer("192.0.2.1")), Err(Turned::PeerFull));
        assert_eq!(take(&places, "192.0.2.2").unwrap_err(), Turned::PeerFull);
        drop((place, other));
        assert!(lock(&places.taken).of.is_empty());
    }
}
