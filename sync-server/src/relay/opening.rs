//! A session's opening: the answer to the challenge (`docs/protocol.md`, "Sessions").

use std::collections::BTreeMap;
use std::sync::Arc;

use sync_protocol::device_log::DeviceLog;
use sync_protocol::error::Rejection;
use sync_protocol::frames::{Hello, Session as SessionBytes, Welcome, verify_session};
use sync_protocol::ids::{AccountId, SpaceId, WriterId};
use sync_protocol::limits;
use sync_protocol::signing::PublicKey;

use crate::refusals::Refused;
use crate::relay::desk::Desk;
use crate::relay::doorway::Early;
use crate::relay::incoming::Speaker;
use crate::relay::proposals::Opening;
use crate::relay::rate::Limited;
use crate::relay::session::{Open, position_in};
use crate::relay::{SessionId, presence, work};
use crate::rules::{self, AccountDevice, Action, Fault, Membership, Standing};
use crate::store::{Store, StoreError};

impl<S: Store> Desk<'_, S> {
    /// Looks at a hello. What it gives is to be proposed.
    pub(super) fn hello(&mut self, session: SessionId, hello: Hello) -> Result<Opening, Fault> {
        check_shape(&hello)?;
        // Nothing is proposed for somebody who did not prove who they are.
        let (log, follows) = self.proposed_log(session, &hello)?;
        let key = self.authenticate(session, &hello, (&log, follows))?;
        let device = AccountDevice { account: hello.account, device: hello.device };
        let writer = WriterId { device: hello.device, incarnation: hello.incarnation };
        self.bounds.has(hello.account, (Limited::Work, 1), self.times.now_ms)?;
        self.must_be_newest(session, device, writer)?;
        let (of_device, of_account) = self.sessions.beside(&device, &writer);
        self.bounds.may_open(of_device, of_account)?;
        self.may_begin(device, hello.incarnation)?;
        match rules::standing(self.state, &hello.account)? {
            Standing::Good => {}
            Standing::Suspended => {
                return Err(self.bounds.refused(Refused::Suspended, Rejection::Denied).into());
            }
            Standing::Deleted => return Err(Rejection::Revoked.into()),
        }
        let known = self.state.log(&hello.account)?.map(|log| log.entries().len());
        let brings = follows && hello.log.len() > known.unwrap_or(0);
        let pass = match known {
            None if follows => self.pass(session, hello.account)?,
            _ => None,
        };
        let speaker = Speaker { account: hello.account, writer, key };
        let known = brings.then_some(known.unwrap_or(0));
        Ok(Opening { hello, speaker, pass, known, stored: 0 })
    }

    /// What has to be done for a new account to be made, if it may. A code that is not good is refused
    /// here: who tries many puts nothing into the log.
    fn pass(&mut self, session: SessionId, account: AccountId) -> Result<Option<Action>, Fault> {
        let token = self.sessions.get(session).and_then(|known| known.early.token);
        self.has_room()?;
        let pass = self.gate.founder(account, token).map_err(Fault::from);
        let may = pass.and_then(|pass| match &pass {
            Some(Action::RedeemInvite { hash, .. }) => {
                let time_ms = self.times.stamp();
                rules::would_redeem(self.state, hash, &account, time_ms).map(|()| pass)
            }
            _ => Ok(pass),
        });
        may.map_err(|fault| match fault {
            Fault::Rejected(reason) => self.bounds.refused(Refused::Registration, reason).into(),
            fault => fault,
        })
    }

    /// A device seldom needs a new store, and each is something that everybody it writes to keeps.
    fn may_begin(&mut self, device: AccountDevice, incarnation: u64) -> Result<(), Fault> {
        if self.state.knows_store(&device, incarnation)? {
            return Ok(());
        }
        let limited = Limited::Incarnation(device.device);
        Ok(self.bounds.limit(device.account, limited, self.times.now_ms)?)
    }

    /// The account's log with what a hello carries: that founds the account, or extends what is
    /// known. And whether it is part of it: what does not follow changes nothing.
    fn proposed_log(
        &mut self,
        session: SessionId,
        hello: &Hello,
    ) -> Result<(Arc<DeviceLog>, bool), Fault> {
        let known = self.state.log(&hello.account)?;
        // Each new entry has signatures to be verified.
        let new =
            (hello.log.len() as u64).saturating_sub(known.as_ref().map_or(0, |log| log.len()));
        let (peer, now_ms) = (self.sessions.peer(session), self.times.now_ms);
        self.bounds.may_early(peer, (Early::Hello, 1 + new), now_ms)?;
        if hello.log.is_empty() {
            return Ok((known.ok_or(Rejection::NotFound)?, true));
        }
        if known.is_none() {
            self.bounds.may_early(peer, (Early::SignUp, 1), now_ms)?;
        }
        match (rules::proposed(known.as_deref(), &hello.account, &hello.log), known) {
            (Ok(log), _) => Ok((Arc::new(log), true)),
            (Err(_), Some(known)) => Ok((known, false)),
            (Err(reason), None) => Err(reason.into()),
        }
    }

    /// A device that no log knows, with a log that does not follow, lost a race for its entry: it
    /// reads the log again. Without a log, the relay may have lost what came after a backup: the
    /// device tells it. `Revoked` would end it.
    fn authenticate(
        &mut self,
        session: SessionId,
        hello: &Hello,
        (log, follows): (&DeviceLog, bool),
    ) -> Result<PublicKey, Fault> {
        let absent = match log.known(&hello.device) {
            Some(_) => Rejection::Revoked,
            None if hello.log.is_empty() => Rejection::NotFound,
            None if follows => Rejection::Revoked,
            None => Rejection::Taken,
        };
        let device = log.active(&hello.device).ok_or(absent)?;
        let known = self.sessions.get(session).ok_or(Rejection::Invalid)?;
        let signed = SessionBytes { challenge: &known.challenge, hello };
        let is_signed = verify_session(&signed, &device.keys.signing);
        is_signed.map_err(|_| self.bounds.refused(Refused::Unproven, Rejection::Denied))?;
        Ok(device.keys.signing)
    }

    /// A hello may be long on its way, and the store that sent it has connected anew since: it must
    /// not end the session that came after it.
    fn must_be_newest(
        &self,
        session: SessionId,
        device: AccountDevice,
        writer: WriterId,
    ) -> Result<(), Rejection> {
        let mut of_store = self.sessions.of_writer(&device, &writer).into_iter();
        let newer = of_store.any(|other| other > session);
        if newer { Err(Rejection::Unavailable { retry_ms: 0 }) } else { Ok(()) }
    }

    /// The session that a hello opens, what it is told, and how much was looked at for it.
    pub(super) fn welcome(
        &mut self,
        opening: &Opening,
    ) -> Result<(Box<Open>, Welcome, u64), StoreError> {
        let Opening { hello, speaker, .. } = opening;
        let (position, from_start) = self.starting_point(hello);
        let mut open = Box::new(Open::new(*speaker, hello.foreground));
        open.cursor = position;
        open.acked_before = self.state.frontier(&open.device())?;
        let mut looked_at = 0;
        if !hello.fresh {
            looked_at = self.plan(&mut open, hello, position, from_start)?;
        }
        let (digest, read) = self.state.membership_digest(&hello.account)?;
        let cost = work::HELLO + looked_at * work::HELLO_SPACE + work::rows(read);
        self.bounds.spend(hello.account, (Limited::Work, cost), self.times.now_ms);
        let own = (&hello.account, &hello.device);
        let welcome = Welcome {
            time_ms: self.times.stamp(),
            changed: open.behind.len() as u64,
            from_start,
            log_len: self.state.log(&hello.account)?.map_or(0, |log| log.len()),
            key_packages: self.state.package_count(&open.device())?,
            spaces_differ: hello.digest.as_slice() != digest,
            away: presence::away(self.state, self.sessions, own, self.times)?,
        };
        Ok((open, welcome, looked_at + read))
    }

    /// The position that deliveries start from, and whether the device is told that they start
    /// from the beginning.
    fn starting_point(&self, hello: &Hello) -> (u64, bool) {
        let generation = self.state.identity().generation;
        let newest = self.state.newest_position();
        if hello.fresh {
            return (newest, false);
        }
        let known = hello.cursor.as_ref().map(|cursor| position_in(cursor, generation, newest));
        (known.flatten().unwrap_or(0), known == Some(None))
    }

    /// The spaces that an account is in, sorted by id.
    pub(super) fn present_spaces(&self, account: &AccountId) -> Result<Vec<SpaceId>, StoreError> {
        let all = self.state.memberships(account)?;
        let present = all.into_iter().filter(|(_, membership)| membership.until.is_none());
        Ok(present.map(|(space, _)| space).collect())
    }

    /// Finds what the device has not seen: in each of its spaces the entries after its cursor, or
    /// from where it says that it lags. Says how many spaces had to be looked at for that.
    fn plan(
        &mut self,
        open: &mut Open,
        hello: &Hello,
        position: u64,
        from_start: bool,
    ) -> Result<u64, StoreError> {
        let lagging: BTreeMap<SpaceId, u64> = match from_start {
            true => BTreeMap::new(),
            false => hello.lagging.iter().copied().collect(),
        };
        let memberships = self.candidates(&open.account, position, &lagging)?;
        for (id, membership) in &memberships {
            let space = self.damage.skips(self.state.space(id))?;
            let Some(Some(space)) = space else { continue };
            let activity = space.position();
            let (_, head) = space.bounds();
            let lags = lagging.get(id).copied();
            if lags.is_none() && activity <= position {
                continue;
            }
            let unseen = self.damage.skips(self.state.first_after(id, position))?;
            let Some(unseen) = unseen else { continue };
            let next = lags.map_or(unseen, |index| index.min(unseen)).max(membership.from);
            if next < membership.until.unwrap_or(head) {
                open.behind.note(*id, next, membership.until, activity);
            }
        }
        Ok(memberships.len() as u64)
    }

    /// The spaces of an account that may have something after a position: all, from the start; else
    /// those that were active since, and those that a device names.
    fn candidates(
        &self,
        account: &AccountId,
        position: u64,
        lagging: &BTreeMap<SpaceId, u64>,
    ) -> Result<Vec<(SpaceId, Membership)>, StoreError> {
        if position == 0 {
            return self.state.memberships(account);
        }
        let mut candidates = self.state.active_since(account, position)?;
        candidates.extend(lagging.keys());
        let mut found = Vec::with_capacity(candidates.len());
        for space in candidates {
            let membership = self.state.membership(account, &space)?;
            found.extend(membership.map(|membership| (space, membership)));
        }
        Ok(found)
    }
}

fn check_shape(hello: &Hello) -> Result<(), Rejection> {
    let (min, max) = (limits::MIN_VERSION, limits::VERSION);
    if hello.version < min || hello.version > max {
        return Err(Rejection::Unsupported { min, max });
    }
    let fits = hello.lagging.len() <= limits::LAGGING_SPACES
        && hello.log.len() <= limits::LOG_ENTRIES
        && hello.cursor.as_ref().is_none_or(|cursor| cursor.0.len() <= limits::CURSOR);
    if fits { Ok(()) } else { Err(Rejection::Invalid) }
}
