//! What a command did, told to all sessions that it concerns: wherever it was proposed.

use std::collections::BTreeSet;

use sync_protocol::error::Rejection;
use sync_protocol::frames::{Notice, RelayFrame};
use sync_protocol::ids::{AccountId, DeviceId, WriterId};

use crate::relay::damage::Damage;
use crate::relay::hall::Hall;
use crate::relay::rate::Limited;
use crate::relay::{BUSY_MS, Frame, work};
use crate::rules::{AccountDevice, Effect, Pushed, State};
use crate::store::{Store, StoreError};

/// A device is told when it has fewer key packages than this.
const KEY_PACKAGES_LOW: u64 = 10;
/// A device is told when it comes down to so many key packages: when they begin to run low, and
/// once more when none is left. Not at each take: others would have it make new ones without end.
const LOW: [u64; 2] = [KEY_PACKAGES_LOW - 1, 0];

impl Hall {
    /// Lets all sessions that an effect concerns know.
    pub(super) fn hear<S: Store>(
        &mut self,
        effect: &Effect,
        state: &mut State<S>,
        damage: &mut Damage,
    ) -> Result<(), StoreError> {
        match effect {
            Effect::Done => {}
            Effect::Pushed(pushed) => self.grew(pushed, state)?,
            Effect::LogGrew { account, before, len, ended } => {
                if len > before {
                    self.close_ended(account, ended);
                    if *before > 0 {
                        self.log_grew(account, *len, state, damage)?;
                    }
                }
            }
            Effect::Opened { device, incarnation } => {
                // One live session for each store of a device.
                let writer = WriterId { device: device.device, incarnation: *incarnation };
                self.close_each(self.sessions.of_writer(device, &writer), &Rejection::Fenced);
            }
            Effect::Package { device, left, spent, .. } => {
                if *spent && LOW.contains(left) {
                    let notice = RelayFrame::Notice(Notice::KeyPackagesLow { left: *left });
                    self.tell_all(self.sessions.of_device(device), &Frame::of(&notice));
                }
            }
            Effect::InboxGrew { device, .. } => {
                for session in self.sessions.of_device(device) {
                    if let Some(open) = self.sessions.open_mut(session) {
                        open.inbox_waiting = true;
                        self.deliveries.wake(session);
                    }
                }
            }
            Effect::SpaceEnded { members, .. } => {
                // What they are to be told of it, they are told when they come back.
                let of_member = |member| self.sessions.of_account(member);
                let here: Vec<_> = members.iter().flat_map(of_member).collect();
                self.close_each(here, &Rejection::Unavailable { retry_ms: BUSY_MS });
            }
            Effect::AccountEnded { account, .. } => {
                self.close_each(self.sessions.of_account(account), &Rejection::Revoked);
            }
            Effect::Suspended { account } => {
                self.close_each(self.sessions.of_account(account), &Rejection::Denied);
            }
        }
        Ok(())
    }

    /// A space's log grew, and who reads it may have changed.
    fn grew<S: Store>(&mut self, pushed: &Pushed, state: &mut State<S>) -> Result<(), StoreError> {
        let Pushed { space, writer, first, end, added, removed, .. } = pushed;
        self.deliveries.appended(*space, (*first, *end), *writer);
        if added.is_empty() && removed.is_empty() {
            return Ok(());
        }
        let at = (*space, state.space(space)?.map_or(0, |space| space.position()));
        for (account, from) in added {
            self.deliveries.subscribe(&mut self.sessions, account, at, (*from, None));
        }
        for (account, until) in removed {
            self.deliveries.subscribe(&mut self.sessions, account, at, (*first, Some(*until)));
        }
        Ok(())
    }

    /// Closes the sessions of ended devices.
    fn close_ended(&mut self, account: &AccountId, ended: &[DeviceId]) {
        for device in ended {
            let device = AccountDevice { account: *account, device: *device };
            self.close_each(self.sessions.of_device(&device), &Rejection::Revoked);
        }
    }

    /// Tells everybody who shares a space with an account.
    fn log_grew<S: Store>(
        &mut self,
        account: &AccountId,
        len: u64,
        state: &mut State<S>,
        damage: &mut Damage,
    ) -> Result<(), StoreError> {
        let mut concerned = BTreeSet::from([*account]);
        let memberships = state.memberships(account)?;
        let cost = memberships.len() as u64 * work::NOTICE_SPACE;
        self.bounds.spend(*account, (Limited::Work, cost), self.times.now_ms);
        for (space, membership) in memberships {
            if membership.until.is_none()
                && let Some(Some(space)) = damage.skips(state.space(&space))?
            {
                concerned.extend(space.members());
            }
        }
        let notice = RelayFrame::Notice(Notice::LogChanged { account: *account, len });
        let of_one = |account| self.sessions.of_account(account);
        self.tell_all(concerned.iter().flat_map(of_one).collect(), &Frame::of(&notice));
        Ok(())
    }
}
