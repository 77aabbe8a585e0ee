//! Requests: what a device asks, and what it is answered.

use sync_protocol::address::Address;
use sync_protocol::codec::Blob;
use sync_protocol::device_log::DeviceLog;
use sync_protocol::error::Rejection;
use sync_protocol::frames::{Answer, InboxPut, KeyPackages, Op};
use sync_protocol::ids::{AccountId, DeviceId, SpaceId};
use sync_protocol::limits;

use crate::peers::Peer;
use crate::refusals::Refused;
use crate::relay::desk::{Desk, Step};
use crate::relay::doorway::Early;
use crate::relay::proposals::{Answering, Gathering, Then};
use crate::relay::rate::Limited;
use crate::relay::session::Fetch;
use crate::relay::{SessionId, presence, work};
use crate::rules::{self, AccountDevice, Action, Fault, InboxFrom, Standing, TokenHash};
use crate::store::Store;

/// Fetches of one session that may wait at once.
const FETCHES: usize = 16;
/// Bytes of device log entries in one answer; the device asks again for the rest.
const LOG_ANSWER: usize = 256 * 1024;
/// What is kept for each of these beside its bytes: keys, and rows that go with it.
const ITEM: u64 = 320;
const PACKAGE: u64 = 128;
const ADDRESS: u64 = 320;
const DEVICE: u64 = 512;
const INVITE: u64 = 320;
/// Requests of a session that is not authenticated.
const EARLY_REQUESTS: u32 = 8;

impl<S: Store> Desk<'_, S> {
    /// What somebody may ask who has no device yet: how to recover an account.
    pub(super) fn early_answer(&mut self, session: SessionId, op: &Op) -> Result<Step, Fault> {
        let known = self.sessions.get_mut(session).ok_or(Rejection::Denied)?;
        known.early.requests += 1;
        let (peer, asks_more) = (known.peer, known.early.requests > EARLY_REQUESTS);
        if asks_more {
            return Err(self.bounds.refused(Refused::Early, Rejection::Quota).into());
        }
        self.bounds.may_early(peer, (Early::Request, 1), self.times.now_ms)?;
        self.bounds.may_work(peer, self.times.now_ms)?;
        match op {
            Op::Lookup { address } => self.look_up(address),
            Op::ReadLog { account, from } => self.read_log(account, *from),
            _ => Err(Rejection::Denied.into()),
        }
    }

    /// Looks at a request.
    pub(super) fn answer(&mut self, session: SessionId, id: u64, op: Op) -> Result<Step, Fault> {
        let Some(open) = self.sessions.open(session) else { return Ok(Step::Later) };
        let (account, device, own) = (open.account, open.writer.device, open.device());
        let now_ms = self.times.now_ms;
        if takes_room(&op) {
            self.has_room()?;
        }
        self.bounds.limit(account, Limited::Requests(device), now_ms)?;
        self.bounds.has(account, (Limited::Work, 1), now_ms)?;
        let cost = work::written(carried(&op) as u64);
        self.bounds.spend(account, (Limited::Work, cost), now_ms);
        let plain = Answering { id, account, stored: 0, work: 0 };
        match op {
            Op::AppendLog { index, entry, rendezvous } => {
                // A new device that has left looks into the log once, and believes what it finds.
                let waits = |id| self.meetings.is_side(session, &id);
                if !rendezvous.is_none_or(waits) {
                    return Err(Rejection::NotFound.into());
                }
                self.append_log(plain, index, entry)
            }
            Op::ReadLog { account, from } => self.read_log(&account, from),
            Op::ClaimAddress { address } => self.claim(plain, address),
            Op::Lookup { address } => {
                self.bounds.limit(account, Limited::Lookup, now_ms)?;
                self.look_up(&address)
            }
            Op::PutKeyPackages(packages) => {
                let peer = self.sessions.peer(session);
                self.put_key_packages(plain, (own, peer), packages)
            }
            Op::TakeKeyPackages { account: of } => {
                self.bounds.limit(account, Limited::Take, now_ms)?;
                if of != account {
                    self.bounds.limit(account, Limited::TakeOf(of), now_ms)?;
                }
                self.take_packages(id, (account, device), &of)
            }
            Op::Fetch { space, from, to } => self.fetch(session, id, space, from, to),
            Op::AckInbox { number } => done(Action::AckInbox { device: own, number }, plain),
            Op::PutInbox(put) => {
                let peer = self.sessions.peer(session);
                self.put_inbox(plain, (device, peer), put)
            }
            Op::ReadTicket { space } => self.read_ticket(&account, &space),
            Op::CountKeyPackages => Ok(Step::Say(Answer::Count(self.state.package_count(&own)?))),
            Op::Spaces => {
                let spaces = self.present_spaces(&account)?;
                let cost = work::rows(spaces.len() as u64);
                self.bounds.spend(account, (Limited::Work, cost), now_ms);
                Ok(Step::Say(Answer::Spaces(spaces)))
            }
            Op::LastSeen => {
                let seen = presence::seen(self.state, self.sessions, &account, self.times)?;
                let devices = self.state.log(&account)?.map_or(0, |log| log.devices().count());
                let cost = work::rows(devices as u64);
                self.bounds.spend(account, (Limited::Work, cost), now_ms);
                Ok(Step::Say(Answer::Seen(seen)))
            }
            Op::DrawInvite { hash } => self.draw_invite(plain, TokenHash::from_bytes(hash)),
        }
    }

    /// What an account drew today is counted by the rules; who has no more is told before that, as each
    /// command costs the log.
    fn draw_invite(&mut self, plain: Answering, hash: TokenHash) -> Result<Step, Fault> {
        let wants = self.gate.wants_invites();
        wants.map_err(|reason| self.bounds.refused(Refused::Invites, reason))?;
        let (account, time_ms) = (plain.account, self.times.stamp());
        let most = self.bounds.settings().invites_per_account_per_day;
        if !rules::may_draw(self.state, &account, &hash, (most, time_ms))? {
            return Err(self.bounds.refused(Refused::Invites, Rejection::Quota).into());
        }
        let until_ms = time_ms.saturating_add(limits::INVITE_MS);
        let action = Action::DrawInvite { account, hash, until_ms, most };
        done(action, Answering { stored: INVITE, ..plain })
    }

    fn append_log(&mut self, plain: Answering, index: u64, entry: Blob) -> Result<Step, Fault> {
        let account = plain.account;
        let len = self.state.log(&account)?.map_or(0, |log| log.len());
        if index != len {
            return Err(Rejection::Taken.into());
        }
        let (stored, work) = (entry.0.len() as u64 + DEVICE, 2 * work::SIGNATURE);
        let action = Action::AppendLog { account, index, entries: vec![entry] };
        done(action, Answering { stored, work, ..plain })
    }

    fn claim(&mut self, plain: Answering, address: Address) -> Result<Step, Fault> {
        let account = plain.account;
        self.bounds.limit(account, Limited::Lookup, self.times.now_ms)?;
        let addresses = self.state.addresses_of(&account)?;
        let is_own = self.state.address(&address)? == Some(account);
        if !is_own && addresses >= self.bounds.settings().addresses_per_account {
            return Err(self.bounds.refused(Refused::Quotas, Rejection::Quota).into());
        }
        let stored = if is_own { 0 } else { ADDRESS };
        done(Action::ClaimAddress { address, account }, Answering { stored, ..plain })
    }

    fn read_log(&mut self, account: &AccountId, from: u64) -> Result<Step, Fault> {
        let log = self.state.log(account)?.ok_or(Rejection::NotFound)?;
        Ok(Step::Say(log_answer(&log, from)))
    }

    fn look_up(&mut self, address: &Address) -> Result<Step, Fault> {
        let account = self.state.address(address)?.ok_or(Rejection::NotFound)?;
        let log = self.state.log(&account)?.ok_or(Rejection::NotFound)?;
        Ok(Step::Say(log_answer(&log, 0)))
    }

    /// One key package of each active device but the asker's.
    fn take_packages(
        &mut self,
        id: u64,
        (asker, asking): (AccountId, DeviceId),
        account: &AccountId,
    ) -> Result<Step, Fault> {
        let log = self.state.log(account)?.ok_or(Rejection::NotFound)?;
        let is_own = asker == *account;
        if !is_own && !self.may_be_in_one_more(account, &asker)? {
            // Nobody can be added who is in no more spaces: better told here than with a commit.
            return Err(self.bounds.refused(Refused::Quotas, Rejection::Quota).into());
        }
        let left = log.devices().map(|(id, _)| *id).filter(|device| *device != asking).collect();
        let gathering = Gathering { id, account: *account, is_own, left, taken: Vec::new() };
        Ok(self.gather(gathering))
    }

    /// Goes on to take key packages; answers when there is none left to take.
    pub(super) fn gather(&mut self, mut gathering: Gathering) -> Step {
        let Some(device) = gathering.left.pop_front() else {
            return Step::Say(Answer::KeyPackages(gathering.taken));
        };
        let Gathering { account, is_own, .. } = gathering;
        let (limited, now_ms) = (Limited::Package(device), self.times.now_ms);
        let once = is_own || self.bounds.limit(account, limited, now_ms).is_ok();
        let device = AccountDevice { account, device };
        Step::Propose(Action::TakeKeyPackage { device, once }, Then::Gather(Box::new(gathering)))
    }

    fn put_inbox(
        &mut self,
        plain: Answering,
        (device, peer): (DeviceId, Option<Peer>),
        put: InboxPut,
    ) -> Result<Step, Fault> {
        let (account, now_ms) = (plain.account, self.times.now_ms);
        self.bounds.limit(account, Limited::InboxPut, now_ms)?;
        if put.item.0.len() > limits::INBOX_ITEM {
            return Err(Rejection::TooLarge { limit: limits::INBOX_ITEM as u64 }.into());
        }
        let log = self.state.log(&put.account)?.ok_or(Rejection::NotFound)?;
        if rules::standing(self.state, &put.account)? == Standing::Deleted {
            return Err(Rejection::NotFound.into());
        }
        log.active(&put.device).ok_or(Rejection::NotFound)?;
        let stored = put.item.0.len() as u64 + ITEM;
        self.may_store(account, peer, stored)?;
        let from = InboxFrom { account, device, handshake: None, common: 0 };
        let device = AccountDevice { account: put.account, device: put.device };
        done(Action::PutInbox { device, from, item: put.item }, Answering { stored, ..plain })
    }

    fn put_key_packages(
        &mut self,
        plain: Answering,
        (device, peer): (AccountDevice, Option<Peer>),
        packages: KeyPackages,
    ) -> Result<Step, Fault> {
        let KeyPackages { once, last_resort } = packages;
        if once.len() > limits::KEY_PACKAGES_PUT {
            return Err(Rejection::Invalid.into());
        }
        let limit = limits::KEY_PACKAGE;
        if once.iter().chain(&last_resort).any(|package| package.0.len() > limit) {
            return Err(Rejection::TooLarge { limit: limit as u64 }.into());
        }
        let stored = once.iter().chain(&last_resort).map(|one| one.0.len() as u64 + PACKAGE).sum();
        self.may_store(plain.account, peer, stored)?;
        let plain = Answering { stored, ..plain };
        done(Action::PutKeyPackages { device, once, last_resort }, plain)
    }

    /// Whether an account may have so many bytes more stored.
    fn may_store(
        &mut self,
        account: AccountId,
        peer: Option<Peer>,
        bytes: u64,
    ) -> Result<(), Fault> {
        let state = &self.state;
        let written = |account: &AccountId| state.stored(account);
        let times = (self.times.stamp(), self.times.now_ms);
        self.bounds.may_store((account, peer, bytes), written, times)
    }

    fn read_ticket(&mut self, account: &AccountId, space: &SpaceId) -> Result<Step, Fault> {
        let found = self.state.space(space)?.ok_or(Rejection::NotFound)?;
        if !found.may_push(account) {
            return Err(Rejection::Denied.into());
        }
        let (ticket, index) = self.state.ticket(space)?.ok_or(Rejection::NotFound)?;
        Ok(Step::Say(Answer::Ticket { ticket, index }))
    }

    fn fetch(
        &mut self,
        session: SessionId,
        id: u64,
        space: SpaceId,
        from: u64,
        to: u64,
    ) -> Result<Step, Fault> {
        let Some(open) = self.sessions.open(session) else { return Ok(Step::Later) };
        let account = open.account;
        let waiting = open.fetches.len();
        if self.state.space(&space)?.is_none() && rules::is_deleted(self.state, &space)? {
            // Nothing is missing of what is gone.
            return Ok(Step::Say(Answer::Done));
        }
        let (next, to) = self.readable(&account, &space, from, to)?;
        if next >= to {
            return Ok(Step::Say(Answer::Done));
        }
        if waiting >= FETCHES {
            let full = Rejection::Rate { retry_ms: 1_000 };
            return Err(self.bounds.refused(Refused::Rates, full).into());
        }
        if let Some(open) = self.sessions.open_mut(session) {
            open.fetches.push_back(Fetch { id, space, next, to });
        }
        Ok(Step::Later)
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

/// A request that is answered with `Done` once it is.
fn done(action: Action, answering: Answering) -> Result<Step, Fault> {
    Ok(Step::Propose(action, Then::Answer(answering)))
}

/// Whether a request is for something to be kept that can wait. A device log's growth can't: it may
/// end a device.
fn takes_room(op: &Op) -> bool {
    match op {
        Op::ClaimAddress { .. }
        | Op::PutKeyPackages(_)
        | Op::PutInbox(_)
        | Op::DrawInvite { .. } => true,
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

/// Bytes that come with a request and go into the log with its command, whatever becomes of that.
fn carried(op: &Op) -> usize {
    match op {
        Op::AppendLog { entry, .. } => entry.0.len(),
        Op::PutKeyPackages(KeyPackages { once, last_resort }) => {
            once.iter().chain(last_resort).map(|package| package.0.len()).sum()
        }
        Op::PutInbox(put) => put.item.0.len(),
        Op::ClaimAddress { .. }
        | Op::DrawInvite { .. }
        | Op::ReadLog { .. }
        | Op::Lookup { .. }
        | Op::TakeKeyPackages { .. }
        | Op::Fetch { .. }
        | Op::AckInbox { .. }
        | Op::ReadTicket { .. }
        | Op::CountKeyPackages
        | Op::Spaces
        | Op::LastSeen => 0,
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
