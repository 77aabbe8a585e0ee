//! What devices acknowledged and when they were here: written down now and then, never for each
//! message (`docs/protocol.md`, "Frames from devices").

use sync_protocol::codec::Blob;
use sync_protocol::dormancy::Dormancy;
use sync_protocol::frames::Answer;
use sync_protocol::ids::{AccountId, DeviceId};

use crate::relay::session::position_in;
use crate::relay::{Relay, SessionId};
use crate::rules::{AccountDevice, Fault};
use crate::store::{Store, StoreError};

impl<S: Store> Relay<S> {
    pub(super) fn acknowledge(&mut self, session: SessionId, cursor: &Blob) {
        let generation = self.state.identity().generation;
        let newest = self.state.newest_position();
        let Some(position) = position_in(cursor, generation, newest) else { return };
        if let Some(open) = self.open_session_mut(session)
            && position > open.acked
        {
            open.acked = position;
            self.acked.insert(session);
        }
    }

    /// Writes down what was acknowledged since the last time.
    pub(super) fn flush(&mut self) {
        for session in std::mem::take(&mut self.acked) {
            self.flush_one(session);
        }
    }

    /// Writes down how far a session's device is, and that it is here now.
    pub(super) fn flush_one(&mut self, session: SessionId) {
        if self.failure.is_some() {
            return;
        }
        let Some(open) = self.open_session(session) else { return };
        let position = if open.acked > 0 { open.acked } else { open.acked_before };
        let device = open.device();
        let seen_ms = self.stamp(self.now_ms);
        self.state.put_frontier(&device, position, seen_ms);
    }

    /// Answers when each of an account's devices was here last.
    pub(super) fn last_seen(
        &mut self,
        account: &AccountId,
        now_ms: u64,
    ) -> Result<Option<Answer>, Fault> {
        Ok(Some(Answer::Seen(self.seen(account, now_ms)?)))
    }

    /// The account's devices but this one that were away for so long that it matters.
    pub(super) fn away(
        &mut self,
        (account, own): (&AccountId, &DeviceId),
        now_ms: u64,
    ) -> Result<Option<Vec<(DeviceId, u64)>>, StoreError> {
        let mut away = self.seen(account, now_ms)?;
        let stamp = self.stamp(now_ms);
        away.retain(|(device, at_ms)| device != own && Dormancy::of(*at_ms, stamp).is_some());
        Ok((!away.is_empty()).then_some(away))
    }

    fn seen(
        &mut self,
        account: &AccountId,
        now_ms: u64,
    ) -> Result<Vec<(DeviceId, u64)>, StoreError> {
        let Some(log) = self.state.log(account)? else { return Ok(Vec::new()) };
        let mut seen = Vec::new();
        for device in log.devices().map(|(id, _)| *id) {
            let named = AccountDevice { account: *account, device };
            let is_here = self.devices.contains_key(&named);
            let at_ms = match is_here {
                true => Some(self.stamp(now_ms)),
                false => self.state.last_seen(&named)?,
            };
            seen.extend(at_ms.map(|at_ms| (device, at_ms)));
        }
        Ok(seen)
    }
}
