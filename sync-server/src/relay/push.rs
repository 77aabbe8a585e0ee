//! Pushes and signals: what a device says to its spaces.

use sync_protocol::codec::Blob;
use sync_protocol::envelope::{Envelope, Kind};
use sync_protocol::error::Rejection;
use sync_protocol::frames::{RelayFrame, Welcomes};
use sync_protocol::ids::{AccountId, EpochId, SpaceId};
use sync_protocol::roster::RosterChange;

use crate::refusals::Refused;
use crate::relay::desk::Desk;
use crate::relay::incoming::{Pushing, Speaker};
use crate::relay::proposals::Confirming;
use crate::relay::rate::Limited;
use crate::relay::{Frame, SessionId, work};
use crate::rules::{self, AccountDevice, Action, Fault, Pushed, Sealed, Standing};
use crate::store::{Store, StoreError};

impl<S: Store> Desk<'_, S> {
    /// Looks at a push. What of it can be taken in is to be proposed; or why none of it can.
    pub(super) fn push(
        &mut self,
        speaker: &Speaker,
        push: Pushing,
    ) -> Result<(Option<Action>, Confirming), Fault> {
        let Speaker { account, writer, .. } = *speaker;
        let first = push.first_seq();
        let Pushing { space, envelopes, malformed, bytes, welcomes, ticket, .. } = push;
        let (mut envelopes, refused) = self.acceptable((account, space), envelopes)?;
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
        let confirming = Confirming { account, space, first, bytes: bytes as u64, refused };
        let action = (!envelopes.is_empty()).then_some(Action::Push {
            space,
            account,
            writer,
            envelopes,
            welcomes,
            ticket,
        });
        Ok((action, confirming))
    }

    /// Counts, rates and quotas.
    pub(super) fn admit(&mut self, session: SessionId, push: &Pushing) -> Result<(), Fault> {
        push.check()?;
        self.has_room()?;
        let (peer, now_ms) = (self.sessions.peer(session), self.times.now_ms);
        let open = self.sessions.open(session).ok_or(Rejection::Invalid)?;
        let (account, device) = (open.account, open.writer.device);
        let (count, bytes) = (push.count as u64, (push.bytes + push.beside) as u64);
        self.bounds.has(account, (Limited::Work, 1), now_ms)?;
        self.bounds.take(account, (Limited::Envelopes(device), count), now_ms)?;
        self.bounds.take(account, (Limited::PushBytes(device), bytes), now_ms)?;
        let cost = work::PUSH + count * work::ENVELOPE + work::written(bytes);
        self.bounds.spend(account, (Limited::Work, cost), now_ms);
        let state = &self.state;
        let stored = |account: &AccountId| state.stored(account);
        self.bounds.may_store((account, peer, bytes), stored, (self.times.stamp(), now_ms))
    }

    /// Envelopes up to the first that can't be taken in, and why that one can't.
    #[expect(clippy::type_complexity, reason = "two halves of one push, taken apart at once")]
    fn acceptable(
        &mut self,
        (account, space): (AccountId, SpaceId),
        mut envelopes: Vec<Sealed>,
    ) -> Result<(Vec<Sealed>, Option<(u64, Rejection)>), StoreError> {
        let now_ms = self.times.now_ms;
        let (mut invited, mut decided) = (0, 0);
        for (place, sealed) in envelopes.iter().enumerate() {
            let reason = match sealed.envelope().header.kind {
                Kind::Signal => Some(Rejection::Invalid),
                _ if gives_away(&account, &space, sealed.envelope()) => Some(Rejection::Denied),
                Kind::Handshake => {
                    decided += 1;
                    let limited = Limited::Handshake(space);
                    match self.bounds.has(account, (limited, decided), now_ms) {
                        Ok(()) => self.over_quota(account, sealed.envelope(), &mut invited)?,
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
    ) -> Result<Option<Rejection>, StoreError> {
        let now_ms = self.times.now_ms;
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
                || rules::standing(self.state, added)? == Standing::Deleted
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

    /// Counts what a push did: what is refused costs nothing.
    pub(super) fn count_push(&mut self, account: AccountId, pushed: &Pushed) {
        let handshakes = (Limited::Handshake(pushed.space), pushed.handshakes);
        let invitations = (Limited::Invitation, pushed.added.len() as u64);
        for counted in [invitations, handshakes].into_iter().filter(|(_, count)| *count > 0) {
            // It was found to fit when it was proposed; what was applied since counts all the same.
            self.bounds.spend(account, counted, self.times.now_ms);
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

    /// Who a signal of a session goes to: to whom of them may be told more.
    pub(super) fn signal(
        &mut self,
        session: SessionId,
        space: SpaceId,
        envelope: Blob,
    ) -> Result<Signalled, Fault> {
        let now_ms = self.times.now_ms;
        let Some(open) = self.sessions.open(session) else { return Ok(Signalled::Nobody) };
        let (account, writer) = (open.account, open.writer);
        if self.bounds.limit(account, Limited::Signals(writer.device), now_ms).is_err() {
            // Nobody waits for an answer to one; but who sends too many for long is ended.
            return Ok(Signalled::TooMany);
        }
        let is_signal = Envelope::parse(envelope.as_slice())
            .is_ok_and(|envelope| envelope.header.kind == Kind::Signal);
        if !is_signal || self.bounds.has(account, (Limited::Work, 1), now_ms).is_err() {
            return Ok(Signalled::Nobody);
        }
        let members: Vec<_> = match self.state.space(&space)? {
            Some(found) if found.has(&account) => found.members().collect(),
            _ => return Ok(Signalled::Nobody),
        };
        let of_member = |account| self.sessions.of_account(account);
        let mut receivers: Vec<_> = members.iter().flat_map(of_member).collect();
        let cost = receivers.len() as u64 * work::SIGNAL;
        self.bounds.spend(account, (Limited::Work, cost), now_ms);
        receivers.retain(|receiver| *receiver != session && self.has_room_for_signal(*receiver));
        let frame = Frame::of(&RelayFrame::Signal { space, writer, envelope });
        Ok(Signalled::To(receivers, frame))
    }

    fn has_room_for_signal(&mut self, session: SessionId) -> bool {
        let now_ms = self.times.now_ms;
        self.sessions.open_mut(session).is_some_and(|open| {
            let received = &mut open.rates.signals_received;
            open.credit > 0 && self.bounds.takes_signal(received, now_ms)
        })
    }
}

/// Whether an account's own space would have somebody else in it, or nobody: it is that account's for good,
/// whatever a device of it says, and all that brings the account back lies there.
fn gives_away(account: &AccountId, space: &SpaceId, envelope: &Envelope) -> bool {
    let is_other = |change: &RosterChange| match change {
        RosterChange::Add { .. } | RosterChange::Remove { .. } | RosterChange::SetRole { .. } => {
            true
        }
        RosterChange::AddDevices { .. } | RosterChange::RemoveDevices { .. } => false,
    };
    let gives = match envelope.header.kind {
        Kind::Intent => true,
        Kind::Handshake => envelope.commit().is_ok_and(|commit| {
            commit.parent != EpochId::NONE && commit.roster.iter().any(is_other)
        }),
        Kind::Content | Kind::Register | Kind::Signal => false,
    };
    gives && account.space() == *space
}

/// What becomes of a signal.
#[derive(Debug)]
pub(super) enum Signalled {
    /// Nobody hears it.
    Nobody,
    /// Nobody hears it, as its device sends too many.
    TooMany,
    /// These hear it.
    To(Vec<SessionId>, Frame),
}
