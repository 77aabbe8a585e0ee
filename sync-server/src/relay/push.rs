//! Pushes and signals: what a device says to its spaces.

use sync_protocol::codec::Blob;
use sync_protocol::envelope::{Envelope, Kind};
use sync_protocol::error::Rejection;
use sync_protocol::frames::{RelayFrame, Stored, Welcomes};
use sync_protocol::ids::{AccountId, EpochId, SpaceId, WriterId};
use sync_protocol::roster::RosterChange;

use crate::refusals::Refused;
use crate::relay::incoming::Pushing;
use crate::relay::rate::Limited;
use crate::relay::registration::FULL_MS;
use crate::relay::{Frame, Piece, Relay, SessionId, work};
use crate::rules::{self, AccountDevice, Action, Effect, Fault, Pushed, Sealed, Standing};
use crate::store::{Store, StoreError};

impl<S: Store> Relay<S> {
    pub(super) fn push(
        &mut self,
        session: SessionId,
        mut push: Pushing,
        now_ms: u64,
    ) -> Result<(), Fault> {
        let Some(open) = self.open_session(session) else { return Ok(()) };
        let (account, writer, speaker) = (open.account, open.writer, open.speaker());
        match self.admit(session, &push, now_ms) {
            Ok(()) => {}
            Err(Fault::Rejected(reason)) => {
                self.refuse(session, push.space, push.first_seq(), reason);
                return Ok(());
            }
            Err(Fault::Store(error)) => return Err(error.into()),
        }
        push.verify(&speaker);
        let (space, first) = (push.space, push.first_seq());
        match self.take_push(session, (account, writer), push, now_ms) {
            Err(Fault::Store(error)) => {
                let reason = self.damage.refuses(error)?;
                self.refuse(session, space, first, reason);
                Ok(())
            }
            Err(Fault::Rejected(reason)) => {
                self.refuse(session, space, first, reason);
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    fn take_push(
        &mut self,
        session: SessionId,
        (account, writer): (AccountId, WriterId),
        push: Pushing,
        now_ms: u64,
    ) -> Result<(), Fault> {
        let Pushing { space, envelopes, malformed, bytes, welcomes, ticket, .. } = push;
        let (mut envelopes, refused) = self.acceptable((account, space), envelopes, now_ms)?;
        let mut refused = refused.or(malformed);
        let welcomes = self.deliverable(welcomes)?;
        if !self.have_room(&account, welcomes.as_ref())? {
            // The handshake and its ways in go together or not at all.
            let is_handshake = |one: &Sealed| one.envelope().header.kind == Kind::Handshake;
            if let Some(place) = envelopes.iter().position(is_handshake) {
                envelopes.truncate(place);
                refused = Some((0, self.bounds.refused(Refused::Quotas, Rejection::Quota)));
            }
        }
        if !envelopes.is_empty() {
            let action = Action::Push { space, account, writer, envelopes, welcomes, ticket };
            if let Effect::Pushed(mut pushed) = self.run(action, now_ms)? {
                refused = pushed.refused.take().or(refused);
                self.counts.appended += pushed.end - pushed.first;
                self.counts.appended_bytes += bytes as u64;
                let state = &self.state;
                self.bounds.stored((account, pushed.bytes), |account| state.stored(account))?;
                self.count_invitations(account, pushed.added.len(), now_ms);
                self.count_handshakes((account, space), pushed.handshakes, now_ms);
                self.pushed(session, space, pushed)?;
            }
        }
        if let Some((seq, reason)) = refused {
            self.refuse(session, space, seq, reason);
        }
        Ok(())
    }

    pub(super) fn refuse(
        &mut self,
        session: SessionId,
        space: SpaceId,
        seq: u64,
        reason: Rejection,
    ) {
        self.counts.refused += 1;
        let waits = matches!(reason, Rejection::Rate { .. });
        self.held.send(session, &RelayFrame::Refused { space, seq, reason });
        if waits {
            self.told_to_wait(session);
        }
    }

    /// A session was told to wait. One that goes on and on all the same is ended.
    pub(super) fn told_to_wait(&mut self, session: SessionId) {
        let now_ms = self.now_ms;
        let known = self.sessions.get_mut(&session).and_then(|known| known.open.as_mut());
        let Some(open) = known else { return };
        if let Err(reason) = self.bounds.heeds(&mut open.rates.told_to_wait, now_ms) {
            self.close(session, reason);
        }
    }

    /// Counts, rates and quotas.
    fn admit(&mut self, session: SessionId, push: &Pushing, now_ms: u64) -> Result<(), Fault> {
        push.check()?;
        if self.is_full {
            return Err(Rejection::Full { retry_ms: FULL_MS }.into());
        }
        let peer = self.peer(session);
        let Some(open) = self.open_session(session) else { return Err(Rejection::Invalid.into()) };
        let (account, device) = (open.account, open.writer.device);
        let (count, bytes) = (push.count as u64, push.bytes as u64);
        self.bounds.has(account, (Limited::Work, 1), now_ms)?;
        self.bounds.take(account, (Limited::Envelopes(device), count), now_ms)?;
        self.bounds.take(account, (Limited::PushBytes(device), bytes), now_ms)?;
        let cost = work::PUSH + count * work::ENVELOPE + work::bytes(bytes);
        self.bounds.spend(account, (Limited::Work, cost), now_ms);
        let (state, stamp_ms) = (&self.state, self.stamp(now_ms));
        let stored = |account: &AccountId| state.stored(account);
        self.bounds.may_store((account, peer, bytes), stored, (stamp_ms, now_ms))
    }

    /// Envelopes up to the first that can't be taken in, and why that one can't.
    #[expect(clippy::type_complexity, reason = "two halves of one push, taken apart at once")]
    fn acceptable(
        &mut self,
        (account, space): (AccountId, SpaceId),
        mut envelopes: Vec<Sealed>,
        now_ms: u64,
    ) -> Result<(Vec<Sealed>, Option<(u64, Rejection)>), StoreError> {
        let (mut invited, mut decided) = (0, 0);
        for (place, sealed) in envelopes.iter().enumerate() {
            let reason = match sealed.envelope().header.kind {
                Kind::Signal => Some(Rejection::Invalid),
                Kind::Handshake => {
                    decided += 1;
                    let limited = Limited::Handshake(space);
                    match self.bounds.has(account, (limited, decided), now_ms) {
                        Ok(()) => {
                            self.over_quota(account, sealed.envelope(), &mut invited, now_ms)?
                        }
                        Err(reason) => Some(reason),
                    }
                }
                Kind::Content | Kind::Intent | Kind::Register => None,
            };
            if let Some(reason) = reason {
                let seq = sealed.seq();
                envelopes.truncate(place);
                return Ok((envelopes, Some((seq, reason))));
            }
        }
        Ok((envelopes, None))
    }

    /// Quotas that cross partitions: those of the accounts that a handshake adds, and how many the
    /// author may add. `invited` counts them over the whole push.
    fn over_quota(
        &mut self,
        account: AccountId,
        envelope: &Envelope,
        invited: &mut u64,
        now_ms: u64,
    ) -> Result<Option<Rejection>, StoreError> {
        let Ok(commit) = envelope.commit() else { return Ok(Some(Rejection::Invalid)) };
        if commit.parent == EpochId::NONE {
            self.bounds.spend(account, (Limited::Work, work::CHANGE), now_ms);
            if let Err(reason) = self.bounds.limit(account, Limited::Founding, now_ms) {
                return Ok(Some(reason));
            }
        }
        for change in &commit.roster {
            let RosterChange::Add { account: added, .. } = change else { continue };
            if self.state.log(added)?.is_none()
                || rules::standing(&self.state, added)? == Standing::Deleted
            {
                return Ok(Some(Rejection::NotFound));
            }
            if !self.may_be_in_one_more(added, &account)? {
                return Ok(Some(self.bounds.refused(Refused::Quotas, Rejection::Quota)));
            }
            *invited += u64::from(*added != account);
        }
        self.bounds.spend(account, (Limited::Work, *invited * work::CHANGE), now_ms);
        Ok(self.bounds.has(account, (Limited::Invitation, *invited), now_ms).err())
    }

    /// Whether an account may be put into one more space by another, or found one itself. What strangers
    /// put it into, and it never answered, takes no room from its own spaces.
    pub(super) fn may_be_in_one_more(
        &self,
        added: &AccountId,
        by: &AccountId,
    ) -> Result<bool, StoreError> {
        let settings = self.bounds.settings();
        let (answered, unanswered) = self.state.spaces_of(added)?;
        if answered >= settings.spaces_per_account {
            return Ok(false);
        }
        if added == by {
            return Ok(true);
        }
        let of_one = self.state.unanswered(added, by)?;
        let over = |count, most| most > 0 && count >= most;
        let crowded = over(unanswered, settings.unanswered_of_all) && of_one > 0;
        Ok(!crowded && !over(of_one, settings.unanswered_of_one))
    }

    /// Counts who was added, once that is certain: what is refused costs nothing.
    fn count_invitations(&mut self, account: AccountId, added: usize, now_ms: u64) {
        let (limited, added) = (Limited::Invitation, added as u64);
        if added > 0 {
            let taken = self.bounds.take(account, (limited, added), now_ms);
            debug_assert!(taken.is_ok(), "the whole push was found to fit");
        }
    }

    /// Counts what keeps the others of a space from writing until they have read it.
    fn count_handshakes(&mut self, by: (AccountId, SpaceId), decided: u64, now_ms: u64) {
        let (account, limited) = (by.0, Limited::Handshake(by.1));
        if decided > 0 {
            let taken = self.bounds.take(account, (limited, decided), now_ms);
            debug_assert!(taken.is_ok(), "the whole push was found to fit");
        }
    }

    /// Welcomes for devices that exist.
    fn deliverable(&mut self, welcomes: Option<Welcomes>) -> Result<Option<Welcomes>, StoreError> {
        let Some(Welcomes { common, items }) = welcomes else { return Ok(None) };
        let mut good = Vec::with_capacity(items.len());
        for welcome in items {
            let log = self.state.log(&welcome.account)?;
            if log.is_some_and(|log| log.active(&welcome.device).is_some()) {
                good.push(welcome);
            }
        }
        Ok(Some(Welcomes { common, items: good }))
    }

    /// Whether the inboxes of all whom a handshake lets in have room for what comes from its author.
    fn have_room(
        &self,
        author: &AccountId,
        welcomes: Option<&Welcomes>,
    ) -> Result<bool, StoreError> {
        let Some(Welcomes { common, items }) = welcomes else { return Ok(true) };
        for welcome in items {
            let bytes = (common.0.len() + welcome.item.0.len()) as u64;
            let device = AccountDevice { account: welcome.account, device: welcome.device };
            if !self.state.has_room_for_welcome(&device, author, bytes)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn pushed(
        &mut self,
        session: SessionId,
        space: SpaceId,
        pushed: Pushed,
    ) -> Result<(), StoreError> {
        let Pushed { generation, runs, first, end, added, removed, .. } = pushed;
        if !runs.is_empty() {
            self.held.confirm(session, Stored { space, generation, runs });
            self.owed.insert(session);
        }
        if end > first {
            self.appended.entry(space).or_default().push(Piece { first, end, by: session });
        }
        for (account, from) in added {
            self.subscribe(&account, space, from, None)?;
        }
        for (account, until) in removed {
            self.subscribe(&account, space, first, Some(until))?;
        }
        Ok(())
    }

    /// Lets an account's sessions read a space from an index on, or up to one and no further.
    fn subscribe(
        &mut self,
        account: &AccountId,
        space: SpaceId,
        next: u64,
        until: Option<u64>,
    ) -> Result<(), StoreError> {
        let activity = self.state.space(&space)?.map_or(0, |space| space.position());
        let next = match until {
            Some(_) => self.appended.get(&space).and_then(|p| p.first()).map_or(next, |p| p.first),
            None => next,
        };
        for session in self.sessions_of(account) {
            if let Some(open) = self.open_session_mut(session) {
                if until.is_none() {
                    open.behind.remove(&space);
                }
                open.behind.note(space, next, until, activity);
                open.is_told = false;
                self.ready.insert(session);
            }
        }
        Ok(())
    }

    pub(super) fn signal(
        &mut self,
        session: SessionId,
        space: SpaceId,
        envelope: Blob,
        now_ms: u64,
    ) -> Result<(), Fault> {
        let Some(open) = self.open_session(session) else { return Ok(()) };
        let (account, writer) = (open.account, open.writer);
        if self.bounds.limit(account, Limited::Signals(writer.device), now_ms).is_err() {
            // Nobody waits for an answer to one; but who sends too many for long is ended.
            self.told_to_wait(session);
            return Ok(());
        }
        let is_signal = Envelope::parse(envelope.as_slice())
            .is_ok_and(|envelope| envelope.header.kind == Kind::Signal);
        if !is_signal || self.bounds.has(account, (Limited::Work, 1), now_ms).is_err() {
            return Ok(());
        }
        let members: Vec<_> = match self.state.space(&space)? {
            Some(found) if found.has(&account) => found.members().collect(),
            _ => return Ok(()),
        };
        let frame = Frame::of(&RelayFrame::Signal { space, writer, envelope });
        let receivers: Vec<_> =
            members.iter().flat_map(|account| self.sessions_of(account)).collect();
        let cost = receivers.len() as u64 * work::SIGNAL;
        self.bounds.spend(account, (Limited::Work, cost), now_ms);
        for receiver in receivers {
            if receiver != session && self.has_room_for_signal(receiver, now_ms) {
                self.counts.signals += 1;
                self.held.share(receiver, frame.clone());
            }
        }
        Ok(())
    }

    fn has_room_for_signal(&mut self, session: SessionId, now_ms: u64) -> bool {
        let known = self.sessions.get_mut(&session).and_then(|known| known.open.as_mut());
        known.is_some_and(|open| {
            let received = &mut open.rates.signals_received;
            open.credit > 0 && self.bounds.takes_signal(received, now_ms)
        })
    }
}
