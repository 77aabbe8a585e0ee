//! Requests: what a device asks, and what it is answered.

use sync_protocol::address::Address;
use sync_protocol::codec::Blob;
use sync_protocol::device_log::DeviceLog;
use sync_protocol::error::Rejection;
use sync_protocol::frames::{
    Answer, InboxPut, KeyPackages, Notice, Op, RelayFrame, Reply, Request, Taken,
};
use sync_protocol::ids::{AccountId, DeviceId, SpaceId};
use sync_protocol::limits;

use crate::peers::Peer;
use crate::relay::doorway::Early;
use crate::relay::rate::Limited;
use crate::relay::registration::FULL_MS;
use crate::relay::session::Fetch;
use crate::relay::{Frame, KEY_PACKAGES_LOW, Relay, SessionId, work};
use crate::rules::{self, AccountDevice, Action, Effect, Fault, InboxFrom, Standing};
use crate::store::Store;

/// Fetches of one session that may wait at once.
const FETCHES: usize = 16;
/// Bytes of device log entries in one answer; the device asks again for the rest.
const LOG_ANSWER: usize = 256 * 1024;
/// A device is told when it comes down to so many key packages: when they begin to run low, and
/// once more when none is left. Not at each take: others would have it make new ones without end.
const LOW: [u64; 2] = [KEY_PACKAGES_LOW - 1, 0];
/// Requests of a session that is not authenticated.
const EARLY_REQUESTS: u32 = 8;

impl<S: Store> Relay<S> {
    pub(super) fn request(
        &mut self,
        session: SessionId,
        request: Request,
        now_ms: u64,
    ) -> Result<(), Fault> {
        let Request { id, op } = request;
        let answer = match self.open_session(session).is_some() {
            true => self.answer(session, id, op, now_ms),
            false => self.early_answer(session, op),
        };
        let answer = match answer {
            Ok(answer) => answer,
            Err(Fault::Rejected(reason)) => {
                self.counts.refused += 1;
                let waits = matches!(reason, Rejection::Rate { .. });
                let refused = RelayFrame::Reply(Reply { id, answer: Answer::Refused(reason) });
                self.held.send(session, &refused);
                if waits {
                    self.told_to_wait(session);
                }
                None
            }
            Err(Fault::Store(error)) => Some(Answer::Refused(self.damage.refuses(error)?)),
        };
        if let Some(answer) = answer {
            self.held.send(session, &RelayFrame::Reply(Reply { id, answer }));
        }
        Ok(())
    }

    /// What somebody may ask who has no device yet: how to recover an account.
    fn early_answer(&mut self, session: SessionId, op: Op) -> Result<Option<Answer>, Fault> {
        let known = self.sessions.get_mut(&session).ok_or(Rejection::Denied)?;
        known.early.requests += 1;
        if known.early.requests > EARLY_REQUESTS {
            return Err(Rejection::Quota.into());
        }
        let (peer, now_ms) = (self.peer(session), self.now_ms);
        self.bounds.may_early(peer, (Early::Request, 1), now_ms)?;
        match op {
            Op::Lookup { address } => self.look_up(&address),
            Op::ReadLog { account, from } => self.read_log(&account, from),
            _ => Err(Rejection::Denied.into()),
        }
    }

    /// The answer; `None` if it comes later, after entries.
    fn answer(
        &mut self,
        session: SessionId,
        id: u64,
        op: Op,
        now_ms: u64,
    ) -> Result<Option<Answer>, Fault> {
        let Some(open) = self.open_session(session) else { return Ok(None) };
        let (account, device, own) = (open.account, open.writer.device, open.device());
        if self.is_full && takes_room(&op) {
            return Err(Rejection::Full { retry_ms: FULL_MS }.into());
        }
        self.bounds.limit(account, Limited::Requests(device), now_ms)?;
        self.bounds.has(account, (Limited::Work, 1), now_ms)?;
        match op {
            Op::AppendLog { index, entry, rendezvous } => {
                // A new device that has left looks into the log once, and believes what it finds.
                let waits = |id| self.meetings.is_side(session, &id);
                if !rendezvous.is_none_or(waits) {
                    return Err(Rejection::NotFound.into());
                }
                self.append_log(account, index, entry, now_ms)
            }
            Op::ReadLog { account, from } => self.read_log(&account, from),
            Op::ClaimAddress { address } => self.claim(account, address, now_ms),
            Op::Lookup { address } => {
                self.bounds.limit(account, Limited::Lookup, now_ms)?;
                self.look_up(&address)
            }
            Op::PutKeyPackages(packages) => self.put_key_packages(own, packages, now_ms),
            Op::TakeKeyPackages { account: of } => {
                self.bounds.limit(account, Limited::Take, now_ms)?;
                if of != account {
                    self.bounds.limit(account, Limited::TakeOf(of), now_ms)?;
                }
                self.take_packages((account, device), &of, now_ms)
            }
            Op::Fetch { space, from, to } => self.fetch(session, id, space, from, to),
            Op::AckInbox { number } => self.done(Action::AckInbox { device: own, number }, now_ms),
            Op::PutInbox(put) => {
                let peer = self.peer(session);
                self.put_inbox((account, device, peer), put, now_ms)
            }
            Op::ReadTicket { space } => self.read_ticket(&account, &space),
            Op::CountKeyPackages => Ok(Some(Answer::Count(self.state.package_count(&own)?))),
            Op::Spaces => {
                let spaces = self.present_spaces(&account)?;
                let cost = work::rows(spaces.len() as u64);
                self.bounds.spend(account, (Limited::Work, cost), now_ms);
                Ok(Some(Answer::Spaces(spaces)))
            }
            Op::LastSeen => self.last_seen(&account, now_ms),
        }
    }

    fn done(&mut self, action: Action, now_ms: u64) -> Result<Option<Answer>, Fault> {
        self.run(action, now_ms)?;
        Ok(Some(Answer::Done))
    }

    fn append_log(
        &mut self,
        account: AccountId,
        index: u64,
        entry: Blob,
        now_ms: u64,
    ) -> Result<Option<Answer>, Fault> {
        let len = self.state.log(&account)?.map_or(0, |log| log.len());
        if index != len {
            return Err(Rejection::Taken.into());
        }
        let bytes = entry.0.len() as u64;
        let done = self.done(Action::AppendLog { account, index, entries: vec![entry] }, now_ms)?;
        self.bounds.spend(account, (Limited::Work, 2 * work::SIGNATURE), now_ms);
        let state = &self.state;
        self.bounds.stored((account, bytes), |account| state.stored(account))?;
        Ok(done)
    }

    fn claim(
        &mut self,
        account: AccountId,
        address: Address,
        now_ms: u64,
    ) -> Result<Option<Answer>, Fault> {
        self.bounds.limit(account, Limited::Lookup, now_ms)?;
        let addresses = self.state.addresses_of(&account)?;
        let is_own = self.state.address(&address)? == Some(account);
        if !is_own && addresses >= self.bounds.settings().addresses_per_account {
            return Err(Rejection::Quota.into());
        }
        self.done(Action::ClaimAddress { address, account }, now_ms)
    }

    fn read_log(&mut self, account: &AccountId, from: u64) -> Result<Option<Answer>, Fault> {
        let log = self.state.log(account)?.ok_or(Rejection::NotFound)?;
        Ok(Some(log_answer(&log, from)))
    }

    fn look_up(&mut self, address: &Address) -> Result<Option<Answer>, Fault> {
        let account = self.state.address(address)?.ok_or(Rejection::NotFound)?;
        let log = self.state.log(&account)?.ok_or(Rejection::NotFound)?;
        Ok(Some(log_answer(&log, 0)))
    }

    fn put_key_packages(
        &mut self,
        device: AccountDevice,
        packages: KeyPackages,
        now_ms: u64,
    ) -> Result<Option<Answer>, Fault> {
        let KeyPackages { once, last_resort } = packages;
        if once.len() > limits::KEY_PACKAGES_PUT {
            return Err(Rejection::Invalid.into());
        }
        let limit = limits::KEY_PACKAGE;
        if once.iter().chain(&last_resort).any(|package| package.0.len() > limit) {
            return Err(Rejection::TooLarge { limit: limit as u64 }.into());
        }
        self.done(Action::PutKeyPackages { device, once, last_resort }, now_ms)
    }

    /// One key package of each active device but the asker's.
    fn take_packages(
        &mut self,
        (asker, asking): (AccountId, DeviceId),
        account: &AccountId,
        now_ms: u64,
    ) -> Result<Option<Answer>, Fault> {
        let log = self.state.log(account)?.ok_or(Rejection::NotFound)?;
        let is_own = asker == *account;
        if !is_own && !self.may_be_in_one_more(account, &asker)? {
            // Nobody can be added who is in no more spaces: better told here than with a commit.
            return Err(Rejection::Quota.into());
        }
        let mut taken = Vec::new();
        for device in log.devices().map(|(id, _)| *id).filter(|device| *device != asking) {
            let once =
                is_own || self.bounds.limit(*account, Limited::Package(device), now_ms).is_ok();
            let named = AccountDevice { account: *account, device };
            let effect = self.run(Action::TakeKeyPackage { device: named, once }, now_ms)?;
            let Effect::Package { package, left, spent } = effect else { continue };
            taken.extend(package.map(|package| Taken { device, package }));
            if spent && LOW.contains(&left) {
                self.notice_device(&named, Notice::KeyPackagesLow { left });
            }
        }
        Ok(Some(Answer::KeyPackages(taken)))
    }

    fn notice_device(&mut self, device: &AccountDevice, notice: Notice) {
        let frame = Frame::of(&RelayFrame::Notice(notice));
        for session in self.sessions_of_device(device) {
            self.held.share(session, frame.clone());
        }
    }

    fn put_inbox(
        &mut self,
        (account, device, peer): (AccountId, DeviceId, Option<Peer>),
        put: InboxPut,
        now_ms: u64,
    ) -> Result<Option<Answer>, Fault> {
        self.bounds.limit(account, Limited::InboxPut, now_ms)?;
        if put.item.0.len() > limits::INBOX_ITEM {
            return Err(Rejection::TooLarge { limit: limits::INBOX_ITEM as u64 }.into());
        }
        let log = self.state.log(&put.account)?.ok_or(Rejection::NotFound)?;
        if rules::standing(&self.state, &put.account)? == Standing::Deleted {
            return Err(Rejection::NotFound.into());
        }
        log.active(&put.device).ok_or(Rejection::NotFound)?;
        let bytes = put.item.0.len() as u64;
        let (state, stamp_ms) = (&self.state, self.stamp(now_ms));
        let stored = |account: &AccountId| state.stored(account);
        self.bounds.may_store((account, peer, bytes), stored, (stamp_ms, now_ms))?;
        let from = InboxFrom { account, device, handshake: None, common: 0 };
        let device = AccountDevice { account: put.account, device: put.device };
        self.run(Action::PutInbox { device, from, item: put.item }, now_ms)?;
        let state = &self.state;
        self.bounds.stored((account, bytes), |account| state.stored(account))?;
        self.wake_inbox(&device);
        Ok(Some(Answer::Done))
    }

    fn read_ticket(
        &mut self,
        account: &AccountId,
        space: &SpaceId,
    ) -> Result<Option<Answer>, Fault> {
        let found = self.state.space(space)?.ok_or(Rejection::NotFound)?;
        if !found.may_push(account) {
            return Err(Rejection::Denied.into());
        }
        let (ticket, index) = self.state.ticket(space)?.ok_or(Rejection::NotFound)?;
        Ok(Some(Answer::Ticket { ticket, index }))
    }

    fn fetch(
        &mut self,
        session: SessionId,
        id: u64,
        space: SpaceId,
        from: u64,
        to: u64,
    ) -> Result<Option<Answer>, Fault> {
        let Some(open) = self.open_session(session) else { return Ok(None) };
        let account = open.account;
        let waiting = open.fetches.len();
        if self.state.space(&space)?.is_none() && rules::is_deleted(&self.state, &space)? {
            // Nothing is missing of what is gone.
            return Ok(Some(Answer::Done));
        }
        let (next, to) = self.readable(&account, &space, from, to)?;
        if next >= to {
            return Ok(Some(Answer::Done));
        }
        if waiting >= FETCHES {
            return Err(Rejection::Rate { retry_ms: 1_000 }.into());
        }
        if let Some(open) = self.open_session_mut(session) {
            open.fetches.push_back(Fetch { id, space, next, to });
            self.ready.insert(session);
        }
        Ok(None)
    }

    /// The part of a range that an account may read: members all that is there, former members up
    /// to their removal.
    fn readable(
        &mut self,
        account: &AccountId,
        space: &SpaceId,
        from: u64,
        to: u64,
    ) -> Result<(u64, u64), Fault> {
        let found = self.state.space(space)?.ok_or(Rejection::NotFound)?;
        let (floor, head) = found.bounds();
        if found.has(account) {
            return Ok((from.max(floor), to.min(head)));
        }
        let membership = self.state.membership(account, space)?;
        let until = membership.and_then(|membership| membership.until).ok_or(Rejection::Denied)?;
        Ok((from.max(floor), to.min(until)))
    }
}

/// Whether a request is for something to be kept that can wait. A device log's growth can't: it may
/// end a device.
fn takes_room(op: &Op) -> bool {
    match op {
        Op::ClaimAddress { .. } | Op::PutKeyPackages(_) | Op::PutInbox(_) => true,
        Op::AppendLog { .. }
        | Op::ReadLog { .. }
        | Op::Lookup { .. }
        | Op::TakeKeyPackages { .. }
        | Op::Fetch { .. }
        | Op::AckInbox { .. }
        | Op::ReadTicket { .. }
        | Op::CountKeyPackages
        | Op::Spaces
        | Op::LastSeen => false,
    }
}

fn log_answer(log: &DeviceLog, from: u64) -> Answer {
    let start = usize::try_from(from).unwrap_or(usize::MAX);
    let mut size = 0;
    let entries = log.entries().iter().skip(start).take_while(|entry| {
        size += entry.len();
        size <= LOG_ANSWER
    });
    let entries = entries.map(|entry| Blob(entry.clone())).collect();
    Answer::Log { account: log.account(), from, entries }
}
