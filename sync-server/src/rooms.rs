//! Room for what waits to be taken in, of each client address: one that fills its own leaves others
//! theirs.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::Semaphore;

use crate::peers::{Peer, Prefix};

/// From so many on, those that nobody uses any more are looked for.
const LOOK: usize = 1_024;

/// The rooms of all who are here.
#[derive(Clone, Debug)]
pub(crate) struct Rooms {
    known: Arc<Mutex<Known>>,
    each: usize,
}

#[derive(Debug)]
struct Known {
    rooms: BTreeMap<Prefix, Weak<Semaphore>>,
    look_at: usize,
}

impl Rooms {
    /// So much for each.
    pub(crate) fn new(each: usize) -> Self {
        let known = Known { rooms: BTreeMap::new(), look_at: LOOK };
        Self { known: Arc::new(Mutex::new(known)), each }
    }

    /// The room of a peer, or of the site that it is a part of. It lasts as long as somebody has it.
    pub(crate) fn of(&self, peer: Peer) -> Arc<Semaphore> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let prefix = peer.widest();
        if let Some(room) = known.rooms.get(&prefix).and_then(Weak::upgrade) {
            return room;
        }
        if known.rooms.len() >= known.look_at {
            known.rooms.retain(|_, room| room.strong_count() > 0);
            known.look_at = LOOK.max(2 * known.rooms.len());
        }
        let room = Arc::new(Semaphore::new(self.each));
        known.rooms.insert(prefix, Arc::downgrade(&room));
        room
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(address: &str) -> Peer {
        Peer::of(address.parse().unwrap())
    }

    #[test]
    fn an_address_and_a_site_have_one_room_and_others_theirs() {
        let rooms = Rooms::new(10);
        let mine = rooms.of(peer("192.0.2.1"));
        mine.try_acquire_many(10).unwrap().forget();
        assert_eq!(rooms.of(peer("192.0.2.1")).available_permits(), 0);
        assert_eq!(rooms.of(peer("192.0.2.2")).available_permits(), 10);
        let site = rooms.of(peer("2001:db8:1:1::1"));
        assert!(Arc::ptr_eq(&site, &rooms.of(peer("2001:db8:1:2::1"))));
    }

    #[test]
    fn rooms_of_those_who_are_gone_are_forgotten() {
        let rooms = Rooms::new(10);
        let stays = rooms.of(peer("192.0.2.1"));
        for n in 0..10 * LOOK {
            rooms.of(peer(&format!("10.0.{}.{}", n / 256, n % 256)));
        }
        assert!(rooms.known.lock().unwrap().rooms.len() <= LOOK);
        assert!(Arc::ptr_eq(&stays, &rooms.of(peer("192.0.2.1"))));
    }
}
