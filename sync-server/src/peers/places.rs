//! Places for connections: so many in all, and so many for each peer. Whoever holds one gives it
//! back by dropping it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::peers::peer::{Peer, Prefix};

/// All places.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    taken: Arc<Mutex<Taken>>,
    most: usize,
    each: u64,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    of: BTreeMap<Prefix, u64>,
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
    each: u64,
    of: Option<Peer>,
}

impl Places {
    /// `most` in all, `each` for a peer; 0: as many as there are.
    pub(crate) fn new(most: usize, each: u64) -> Self {
        Self { taken: Arc::default(), most, each }
    }

    /// A place, not counted for anybody yet.
    ///
    /// # Errors
    /// [`Turned::Full`].
    pub(crate) fn take(&self) -> Result<Place, Turned> {
        let mut taken = lock(&self.taken);
        if taken.all >= self.most {
            return Err(Turned::Full);
        }
        taken.all += 1;
        Ok(Place { taken: Arc::clone(&self.taken), each: self.each, of: None })
    }

    /// How many are taken.
    pub(crate) fn taken(&self) -> usize {
        lock(&self.taken).all
    }
}

impl Place {
    /// Counts it for a peer from here on, and for nobody else.
    ///
    /// # Errors
    /// [`Turned::PeerFull`]: then it is counted as before.
    pub(crate) fn belong(&mut self, peer: Peer) -> Result<(), Turned> {
        if self.of == Some(peer) {
            return Ok(());
        }
        let mut taken = lock(&self.taken);
        let has = |prefix| taken.of.get(&prefix).copied().unwrap_or(0);
        let is_full =
            |(prefix, times): (Prefix, u64)| has(prefix) >= self.each.saturating_mul(times);
        if self.each > 0 && peer.prefixes().any(is_full) {
            return Err(Turned::PeerFull);
        }
        taken.give_back(self.of.replace(peer));
        for (prefix, _) in peer.prefixes() {
            *taken.of.entry(prefix).or_default() += 1;
        }
        Ok(())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = lock(&self.taken);
        taken.all = taken.all.saturating_sub(1);
        taken.give_back(self.of);
    }
}

impl Taken {
    fn give_back(&mut self, of: Option<Peer>) {
        for (prefix, _) in of.into_iter().flat_map(Peer::prefixes) {
            let left = self.of.get(&prefix).map_or(0, |count| count.saturating_sub(1));
            if left == 0 {
                self.of.remove(&prefix);
            } else {
                self.of.insert(prefix, left);
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
        assert_eq!(places.take().unwrap_err(), Turned::Full);
        drop(held);
        assert_eq!(places.taken(), 0);
        assert!(lock(&places.taken).of.is_empty());
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
