//! What devices acknowledged and when they were here: written down now and then, never for each
//! message (`docs/protocol.md`, "Frames from devices").

use std::collections::BTreeSet;

use sync_protocol::dormancy::Dormancy;
use sync_protocol::ids::{AccountId, DeviceId};

use crate::relay::SessionId;
use crate::relay::sessions::Sessions;
use crate::relay::times::Times;
use crate::rules::{AccountDevice, State};
use crate::store::{Store, StoreError};

/// How often what devices acknowledged is written down, in ms.
const FLUSH_MS: u64 = 5_000;

/// Sessions whose acknowledged cursor is not written down yet.
#[derive(Debug, Default)]
pub(super) struct Presence {
    acked: BTreeSet<SessionId>,
    /// What is to be written down.
    noted: Vec<(AccountDevice, u64, u64)>,
    flushed_ms: u64,
}

impl Presence {
    /// A session's device has everything up to a position.
    pub(super) fn acknowledge(
        &mut self,
        sessions: &mut Sessions,
        session: SessionId,
        position: u64,
    ) {
        if let Some(open) = sessions.open_mut(session)
            && position > open.acked
        {
            open.acked = position;
            self.acked.insert(session);
        }
    }

    /// Whether it is time to write down what was acknowledged.
    pub(super) fn is_due(&mut self, now_ms: u64) -> bool {
        let is_due = now_ms.saturating_sub(self.flushed_ms) >= FLUSH_MS;
        if is_due {
            self.flushed_ms = now_ms;
        }
        is_due
    }

    /// How far the devices are that acknowledged something is to be written down.
    pub(super) fn note_all(&mut self, sessions: &Sessions, times: Times) {
        for session in std::mem::take(&mut self.acked) {
            self.note(session, sessions, times);
        }
    }

    /// How far a session's device is, and that it is here now, is to be written down.
    pub(super) fn note(&mut self, session: SessionId, sessions: &Sessions, times: Times) {
        self.acked.remove(&session);
        let Some(open) = sessions.open(session) else { return };
        let position = if open.acked > 0 { open.acked } else { open.acked_before };
        self.noted.push((open.device(), position, times.stamp()));
    }

    /// Gives what is to be written down: device, position, and when it was here.
    pub(super) fn take(&mut self) -> Vec<(AccountDevice, u64, u64)> {
        std::mem::take(&mut self.noted)
    }
}

/// When each of an account's devices was here last.
pub(super) fn seen<S: Store>(
    state: &mut State<S>,
    sessions: &Sessions,
    account: &AccountId,
    times: Times,
) -> Result<Vec<(DeviceId, u64)>, StoreError> {
    let Some(log) = state.log(account)? else { return Ok(Vec::new()) };
    let mut seen = Vec::new();
    for device in log.devices().map(|(id, _)| *id) {
        let named = AccountDevice { account: *account, device };
        let at_ms = match sessions.is_here(&named) {
            true => Some(times.stamp()),
            false => state.last_seen(&named)?,
        };
        seen.extend(at_ms.map(|at_ms| (device, at_ms)));
    }
    Ok(seen)
}

/// The account's devices but this one that were away for so long that it matters.
pub(super) fn away<S: Store>(
    state: &mut State<S>,
    sessions: &Sessions,
    (account, own): (&AccountId, &DeviceId),
    times: Times,
) -> Result<Option<Vec<(DeviceId, u64)>>, StoreError> {
    let mut away = seen(state, sessions, account, times)?;
    let stamp = times.stamp();
    away.retain(|(device, at_ms)| device != own && Dormancy::of(*at_ms, stamp).is_some());
    Ok((!away.is_empty()).then_some(away))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::relay::incoming::Speaker;
    use crate::relay::session::{EarlySteps, Open, Session, Turn};
    use sync_protocol::frames::Challenge;
    use sync_protocol::ids::{RelayId, WriterId};

    #[test]
    fn what_was_acknowledged_is_written_down_now_and_then_and_never_goes_back() {
        let relay = RelayId::from_bytes([1; 32]);
        let (mut presence, mut sessions) = (Presence::default(), Sessions::default());
        let account = AccountId::from_bytes([1; 33]);
        let writer = WriterId { device: DeviceId::from_bytes([2; 33]), incarnation: 1 };
        let device = AccountDevice { account, device: writer.device };
        let challenge =
            Challenge { nonce: [0; 32], relay, time_ms: 0, min_version: 1, max_version: 1 };
        let early = EarlySteps::default();
        let session = Session {
            challenge,
            silent_from_ms: 0,
            early,
            peer: None,
            open: None,
            turn: Turn::default(),
        };
        sessions.add(SessionId(1), session);
        let open = Open::new(Speaker { account, writer, key: [0; 32] }, None);
        sessions.begin(SessionId(1), Box::new(open));
        for position in [5, 9, 3] {
            presence.acknowledge(&mut sessions, SessionId(1), position);
        }
        assert_eq!(presence.take(), []);
        assert!(presence.is_due(FLUSH_MS) && !presence.is_due(FLUSH_MS + 1));
        let times = Times { now_ms: FLUSH_MS, ahead_ms: 1_000 };
        presence.note_all(&sessions, times);
        assert_eq!(presence.take(), [(device, 9, FLUSH_MS + 1_000)]);
        presence.note(SessionId(1), &sessions, times);
        presence.note(SessionId(2), &sessions, times);
        assert_eq!(presence.take(), [(device, 9, FLUSH_MS + 1_000)]);
        assert!(presence.acked.is_empty());
    }
}
