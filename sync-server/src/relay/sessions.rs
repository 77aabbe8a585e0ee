//! The sessions: which sockets are open, and who speaks in them.

use std::collections::{BTreeMap, BTreeSet};

use sync_protocol::ids::{AccountId, WriterId};

use crate::peers::Peer;
use crate::relay::SessionId;
use crate::relay::session::{Open, Session};
use crate::rules::AccountDevice;

/// All sessions, and those of each account and device.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    all: BTreeMap<SessionId, Session>,
    accounts: BTreeMap<AccountId, BTreeSet<SessionId>>,
    devices: BTreeMap<AccountDevice, BTreeSet<SessionId>>,
}

impl Sessions {
    /// A socket opened.
    pub(super) fn add(&mut self, id: SessionId, session: Session) {
        self.all.insert(id, session);
    }

    /// A session says from here on who it is.
    pub(super) fn begin(&mut self, id: SessionId, open: Box<Open>) {
        let Some(known) = self.all.get_mut(&id) else { return };
        self.accounts.entry(open.account).or_default().insert(id);
        self.devices.entry(open.device()).or_default().insert(id);
        known.open = Some(open);
    }

    /// A session is over.
    pub(super) fn remove(&mut self, id: SessionId) -> Option<Session> {
        let known = self.all.remove(&id)?;
        if let Some(open) = &known.open {
            remove_from(&mut self.accounts, &open.account, id);
            remove_from(&mut self.devices, &open.device(), id);
        }
        Some(known)
    }

    /// Whether there is such a session.
    pub(super) fn has(&self, id: SessionId) -> bool {
        self.all.contains_key(&id)
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    /// All, in the order in which they opened.
    pub(super) fn ids(&self) -> Vec<SessionId> {
        self.all.keys().copied().collect()
    }

    pub(super) fn get(&self, id: SessionId) -> Option<&Session> {
        self.all.get(&id)
    }

    pub(super) fn get_mut(&mut self, id: SessionId) -> Option<&mut Session> {
        self.all.get_mut(&id)
    }

    /// Where a session comes from, if that is counted.
    pub(super) fn peer(&self, id: SessionId) -> Option<Peer> {
        self.all.get(&id).and_then(|known| known.peer)
    }

    /// A session that said who it is.
    pub(super) fn open(&self, id: SessionId) -> Option<&Open> {
        self.all.get(&id)?.open.as_deref()
    }

    pub(super) fn open_mut(&mut self, id: SessionId) -> Option<&mut Open> {
        self.all.get_mut(&id)?.open.as_deref_mut()
    }

    /// An account's sessions.
    pub(super) fn of_account(&self, account: &AccountId) -> Vec<SessionId> {
        self.accounts.get(account).into_iter().flatten().copied().collect()
    }

    /// A device's sessions.
    pub(super) fn of_device(&self, device: &AccountDevice) -> Vec<SessionId> {
        self.devices.get(device).into_iter().flatten().copied().collect()
    }

    /// The sessions of one store of a device.
    pub(super) fn of_writer(&self, device: &AccountDevice, writer: &WriterId) -> Vec<SessionId> {
        let mut found = self.of_device(device);
        found.retain(|id| self.open(*id).is_some_and(|open| open.writer == *writer));
        found
    }

    /// How many sessions a device and its account have beside those of one of its stores.
    pub(super) fn beside(&self, device: &AccountDevice, writer: &WriterId) -> (usize, usize) {
        let stays = |id: &SessionId| self.open(*id).is_some_and(|open| open.writer != *writer);
        let of_device = self.of_device(device).into_iter().filter(stays).count();
        let of_account = self.of_account(&device.account).into_iter().filter(stays).count();
        (of_device, of_account)
    }

    /// Whether a device has a session.
    pub(super) fn is_here(&self, device: &AccountDevice) -> bool {
        self.devices.contains_key(device)
    }

    /// Account, device and session of all who said who they are.
    pub(super) fn who_is_here(&self) -> impl Iterator<Item = (SessionId, AccountDevice)> + '_ {
        let all = self.all.iter();
        all.filter_map(|(id, session)| Some((*id, session.open.as_ref()?.device())))
    }

    /// Memory that is taken by what each has to catch up with.
    pub(super) fn behind(&self) -> impl Iterator<Item = (SessionId, usize)> + '_ {
        let all = self.all.iter();
        all.filter_map(|(id, session)| Some((*id, session.open.as_ref()?.behind.bytes())))
    }

    /// Those that have not said who they are for so long.
    pub(super) fn silent(&self, now_ms: u64, timeout_ms: u64) -> Vec<SessionId> {
        let silent = self.all.iter().filter(|(_, session)| {
            let silent_ms = now_ms.saturating_sub(session.silent_from_ms);
            session.open.is_none() && silent_ms >= timeout_ms
        });
        silent.map(|(id, _)| *id).collect()
    }
}

fn remove_from<K: Ord>(map: &mut BTreeMap<K, BTreeSet<SessionId>>, key: &K, id: SessionId) {
    if let Some(sessions) = map.get_mut(key) {
        sessions.remove(&id);
        if sessions.is_empty() {
            map.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::relay::incoming::Speaker;
    use crate::relay::session::{EarlySteps, Turn};
    use sync_protocol::frames::Challenge;
    use sync_protocol::ids::{DeviceId, RelayId};

    fn session(at_ms: u64) -> Session {
        let challenge = Challenge {
            nonce: [0; 32],
            relay: RelayId::from_bytes([1; 32]),
            time_ms: at_ms,
            min_version: 1,
            max_version: 1,
        };
        let early = EarlySteps::default();
        Session {
            challenge,
            silent_from_ms: at_ms,
            early,
            peer: None,
            open: None,
            turn: Turn::default(),
        }
    }

    fn open(account: u8, device: u8, incarnation: u64) -> Box<Open> {
        let account = AccountId::from_bytes([account; 33]);
        let writer = WriterId { device: DeviceId::from_bytes([device; 33]), incarnation };
        Box::new(Open::new(Speaker { account, writer, key: [0; 32] }, None))
    }

    #[test]
    fn sessions_are_found_by_account_device_and_store() {
        let mut sessions = Sessions::default();
        let opens = [open(1, 1, 1), open(1, 1, 2), open(1, 2, 1), open(2, 3, 1)];
        let one = (opens[0].device(), opens[0].writer);
        for (n, open) in (1..).zip(opens) {
            sessions.add(SessionId(n), session(5));
            sessions.begin(SessionId(n), open);
        }
        assert_eq!(sessions.of_account(&one.0.account).len(), 3);
        assert_eq!(sessions.of_device(&one.0), [SessionId(1), SessionId(2)]);
        assert_eq!(sessions.of_writer(&one.0, &one.1), [SessionId(1)]);
        assert_eq!(sessions.beside(&one.0, &one.1), (1, 2));
        for n in 1..=4 {
            sessions.remove(SessionId(n));
        }
        assert!(!sessions.is_here(&one.0) && sessions.len() == 0);
        assert!(sessions.accounts.is_empty() && sessions.devices.is_empty());
    }

    #[test]
    fn who_says_nothing_is_silent_and_who_is_gone_begins_nothing() {
        let mut sessions = Sessions::default();
        (1..=3).for_each(|n| sessions.add(SessionId(n), session(n * 100)));
        sessions.begin(SessionId(1), open(1, 1, 1));
        assert_eq!(sessions.silent(500, 300), [SessionId(2)]);
        sessions.begin(SessionId(9), open(1, 1, 1));
        assert_eq!(sessions.who_is_here().count(), 1);
        assert!(!sessions.has(SessionId(9)));
    }
}
