//! How fast connections come from one peer: each costs a handshake, whatever becomes of it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use crate::peers::peer::{Peer, Prefix};
use crate::peers::recent::Recent;
use crate::relay::{Bucket, Rate};

/// Prefixes whose pace is remembered.
const REMEMBERED: usize = 65_536;

/// What came from each peer lately.
#[derive(Clone, Debug)]
pub(crate) struct Pace {
    recent: Arc<Mutex<(Rate, Recent<Prefix, Bucket>)>>,
    started: Instant,
}

impl Pace {
    /// So many a second, and so many at once; 0 a second: no limit.
    pub(crate) fn new(per_s: u64, at_once: u64) -> Self {
        let recent = (rate(per_s, at_once), Recent::new(REMEMBERED));
        Self { recent: Arc::new(Mutex::new(recent)), started: Instant::now() }
    }

    /// Another pace, from here on.
    pub(crate) fn set(&self, per_s: u64, at_once: u64) {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner).0 = rate(per_s, at_once);
    }

    /// Whether one more may come.
    pub(crate) fn admits(&self, peer: Peer) -> bool {
        let now_ms = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.admits_at(peer, now_ms)
    }

    fn admits_at(&self, peer: Peer, now_ms: u64) -> bool {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let (rate, recent) = &mut *recent;
        let mut takes = |(prefix, times): (Prefix, u64)| {
            recent.of(prefix).take(rate.times(times), 1, now_ms).is_ok()
        };
        peer.prefixes().all(&mut takes)
    }
}

fn rate(per_s: u64, at_once: u64) -> Rate {
    Rate::per_s(per_s).with_burst(at_once)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many of a hundred connections come in.
    fn come(pace: &Pace, address: &str, now_ms: u64) -> usize {
        let peer = Peer::of(address.parse().unwrap());
        (0..100).filter(|_| pace.admits_at(peer, now_ms)).count()
    }

    #[test]
    fn one_address_comes_at_its_pace_and_others_at_theirs() {
        let pace = Pace::new(2, 10);
        assert_eq!(come(&pace, "192.0.2.1", 1_000), 10);
        assert_eq!(come(&pace, "192.0.2.2", 1_000), 10);
        assert_eq!(come(&pace, "192.0.2.1", 3_000), 4);
        let site = (0..20).map(|n| format!("2001:db8:1:{n:x}::1"));
        assert_eq!(site.map(|one| come(&pace, &one, 3_000)).sum::<usize>(), 40);
        assert_eq!(come(&Pace::new(0, 0), "192.0.2.1", 1_000), 100);
        pace.set(2, 30);
        assert_eq!(come(&pace, "192.0.2.1", 3_000), 20, "it took ten");
    }
}
