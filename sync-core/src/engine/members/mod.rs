//! Wishes to change who is in a space, and what the log makes of them.
//!
//! A wish is an [`Intention`] until the log has decided it. One commit a device and epoch: it is
//! persisted before it is sent, and never rebuilt until the log shows it or another.

pub(in crate::engine) mod additions;
pub(in crate::engine) mod commits;
pub(in crate::engine) mod ends;
pub(in crate::engine) mod handshakes;
pub(in crate::engine) mod past;
pub(in crate::engine) mod planning;
pub(in crate::engine) mod renewals;
mod verdict;
pub(in crate::engine) mod welcome;

use sync_protocol::codec::{self, Blob};
use sync_protocol::device_log::DeviceLog;
use sync_protocol::envelope::{Envelope, Header, Intent, Kind};
use sync_protocol::frames::{ClientFrame, Push};
use sync_protocol::{AccountId, EpochId, Rejection, SpaceId, limits};

use crate::api::{ConversationChange, Event, Failure, Output};
use crate::engine::members::commits::local;
use crate::engine::rooms::{MemberRows, Members};
use crate::engine::rows::{Intention, PendingRow};
use crate::engine::{Step, Stop, Task};
use crate::records::key;
use crate::trust::Head;

impl MemberRows<'_> {
    /// Wishes a membership change. What is written from here on waits for it.
    pub(in crate::engine) fn intend(&mut self, id: &SpaceId, intention: Intention) {
        if let Some(space) = self.spaces.get_mut(id) {
            space.wish(intention);
        }
        self.turn.save_space(id);
        self.turn.tasks.push_back(Task::Advance(*id));
    }

    /// Lets go of a commit that the relay refused; what it was to do is committed anew.
    pub(in crate::engine) fn drop_refused(&mut self, id: &SpaceId) -> Step<()> {
        let space = self.spaces.core(id)?;
        space.in_session.rebuild = false;
        let refused = space.in_session.refused.take();
        let child = space.core.as_ref().and_then(|core| core.pending.as_ref()?.child);
        // A founding is what the space begins with: there is nothing to build anew.
        if child.is_none_or(|child| child == space.row.epoch) {
            return Ok(());
        }
        let space = self.spaces.group(id)?;
        let Some(group) = &mut space.group else { return Ok(()) };
        group.drop_pending().map_err(local)?;
        let diff = group.diff();
        space.row.deciding = false;
        let pending = space.core.as_mut().and_then(|core| core.pending.take());
        let carried = pending.map_or(0, |pending| pending.carries as usize);
        self.turn.batch.absorb(&key::group(id), diff);
        self.turn.batch.delete(key::pending_commit(id));
        self.turn.save_space(id);
        if let Some(reason) = refused {
            self.fewer_additions(id, carried, &Failure::Refused(reason));
        }
        Ok(())
    }

    /// A commit can't be built, or is more than the relay takes.
    fn does_not_build(&mut self, id: &SpaceId, carries: usize, failure: &Failure) {
        if !self.fewer_additions(id, carries, failure) {
            self.give_up(id, carries, failure);
        }
    }

    pub(in crate::engine) fn set_pending(&mut self, id: &SpaceId, pending: PendingRow) {
        self.turn.batch.put(key::pending_commit(id), codec::encode(&pending));
        if let Some(space) = self.spaces.get_mut(id) {
            space.row.deciding = true;
            space.in_session.deciding_sent = false;
            // Whatever the relay refused was something before this.
            (space.in_session.rebuild, space.in_session.refused) = (false, None);
            if let Some(core) = &mut space.core {
                core.pending = Some(pending);
            }
        }
        self.turn.save_space(id);
    }

    /// Our own wish to leave stands in the log.
    pub(in crate::engine) fn own_intent_stored(&mut self, id: &SpaceId) {
        self.left(id);
    }

    pub(in crate::engine) fn remove_intention(&mut self, id: &SpaceId, at: usize) {
        if let Some(space) = self.spaces.get_mut(id)
            && at < space.row.intentions.len()
        {
            space.row.intentions.remove(at);
        }
        self.turn.save_space(id);
    }

    pub(in crate::engine) fn not_added(
        &mut self,
        id: &SpaceId,
        at: usize,
        address: &str,
        failure: &Failure,
    ) {
        self.remove_intention(id, at);
        let reason = match failure {
            Failure::Refused(rejection) => rejection.clone(),
            Failure::Denied(_) | Failure::Partial => Rejection::Denied,
            Failure::Moved { .. } => Rejection::Taken,
            Failure::TooLarge { limit, .. } => Rejection::TooLarge { limit: *limit as u64 },
            _ => Rejection::NotFound,
        };
        let change = ConversationChange::NotAdded { address: address.to_owned(), reason };
        self.turn.notify(Event::Conversation { conversation: *id, change });
    }

    /// What can't be committed is not tried for ever.
    fn give_up(&mut self, id: &SpaceId, count: usize, failure: &Failure) {
        for _ in 0..count {
            let first = self.spaces.get(id).and_then(|space| space.row.intentions.first().cloned());
            match first {
                Some(Intention::Add { address, .. }) => self.not_added(id, 0, &address, failure),
                Some(_) => self.remove_intention(id, 0),
                None => break,
            }
        }
        self.turn.tasks.push_back(Task::Advance(*id));
    }
}

impl Members<'_> {
    /// Sends what waits in a space: first what decides membership, then content.
    pub(in crate::engine) fn advance(&mut self, id: &SpaceId) -> Step<()> {
        if !self.session.caught_up() || !self.spaces.contains_key(id) {
            return Ok(());
        }
        let space = self.spaces.core(id)?;
        if !space.row.active || space.footing.is_lost() {
            return Ok(());
        }
        if space.row.deciding && self.member_rows().is_entering(id)? {
            self.push_pending(id);
            return Ok(());
        }
        self.write_ahead(id)?;
        if self.waits_for_log(id)? || !self.may_build(id)? || self.checks().mends_log(id)? {
            return Ok(());
        }
        if self.spaces.core(id)?.row.deciding {
            self.push_pending(id);
            return Ok(());
        }
        self.decide(id)?;
        let space = self.spaces.core(id)?;
        if space.row.deciding || space.row.intentions.iter().any(is_awaited) {
            return Ok(());
        }
        self.outbox().reauthor(id)?;
        self.content().hand_over(id)?;
        self.outbox().cut_waiting(id)?;
        self.outbox().push_content(id);
        let space = self.spaces.core(id)?;
        let leaving = space.row.intentions.first() == Some(&Intention::Leave);
        // Whoever leaves is heard out first: the relay takes nothing from a leaver.
        if leaving && (!space.unsent() || space.in_session.problem.is_some()) {
            self.push_leave(id)
        } else {
            Ok(())
        }
    }

    /// Whoever came in by a ticket writes at once, and reads meanwhile.
    fn write_ahead(&mut self, id: &SpaceId) -> Step<()> {
        let space = self.spaces.core(id)?;
        let ahead = space.core.as_ref().is_some_and(|core| core.state.write_at.is_some())
            && !space.row.intentions.iter().any(is_awaited);
        if ahead
            && space.in_session.behind.is_none()
            && self.account.numbers_are_current(self.spaces, id)
        {
            self.outbox().cut_waiting(id)?;
            self.outbox().push_content(id);
        }
        Ok(())
    }

    /// Whether something of the log has to be read before anything is decided; it is asked for.
    fn waits_for_log(&mut self, id: &SpaceId) -> Step<bool> {
        let now = self.turn.now;
        let space = self.spaces.core(id)?;
        if space.row.lagging {
            if !space.in_session.fetch.is_under_way() && space.retry_at.is_none_or(|at| at <= now) {
                self.fetching().fetch(id);
            }
            return Ok(true);
        }
        if space.in_session.behind.is_some() && space.retry_at.is_none() {
            // What the relay says was missed did not come by itself.
            space.in_session.behind = None;
            self.fetching().mark_lagging(id);
            return Ok(true);
        }
        Ok(space.in_session.behind.is_some()
            || !space.in_session.deliveries.is_empty()
            || space.in_session.hold_until > now)
    }

    /// Lets go of what the relay refused, once it is time to build anew; until then, `false`.
    fn may_build(&mut self, id: &SpaceId) -> Step<bool> {
        let now = self.turn.now;
        let space = self.spaces.core(id)?;
        if space.row.deciding && space.in_session.rebuild {
            if space.retry_at.is_some_and(|at| at > now) {
                return Ok(false);
            }
            self.member_rows().drop_refused(id)?;
        }
        Ok(true)
    }

    /// A founding that was made before this store began to write as somebody new is signed anew: the
    /// relay takes it from its author alone, and what it founds is the same.
    fn found_as_present(&mut self, id: &SpaceId) {
        let Ok(me) = self.account.me() else { return };
        let (writer, signing) = (me.writer(), me.identity().signing.clone());
        let core = self.spaces.get(id).and_then(|space| space.core.as_ref());
        let Some(pending) = core.and_then(|core| core.pending.as_ref()) else { return };
        let Ok(made) = Envelope::parse(pending.envelope.as_slice()) else { return };
        if made.verify(id, &writer, &signing.verifying_key().to_bytes()).is_ok() {
            return;
        }
        let payload = made.payload().to_vec();
        let anew = Envelope::sign(id, &writer, made.header, payload, &signing);
        let pending = PendingRow { envelope: Blob(anew.to_bytes()), ..pending.clone() };
        self.member_rows().set_pending(id, pending);
    }

    /// Commits the leading wishes, if it is time.
    fn decide(&mut self, id: &SpaceId) -> Step<()> {
        let now = self.turn.now;
        let space = self.spaces.core(id)?;
        let first = space.row.intentions.first();
        if first.is_some_and(|wish| *wish != Intention::Leave)
            && space.retry_at.is_none_or(|at| at <= now)
        {
            self.spaces.group(id)?;
            self.commit_intentions(id)?;
        }
        Ok(())
    }

    pub(in crate::engine) fn push_pending(&mut self, id: &SpaceId) {
        let founding = self.spaces.get(id).is_some_and(|space| space.is_founding());
        if founding && !self.vault().is_vaulted(id) {
            return;
        }
        if founding {
            self.found_as_present(id);
        }
        let Some(space) = self.spaces.get_mut(id).filter(|space| !space.in_session.deciding_sent)
        else {
            return;
        };
        let Some(pending) = space.core.as_ref().and_then(|core| core.pending.clone()) else {
            return;
        };
        space.in_session.deciding_sent = true;
        let (envelopes, welcomes) = (vec![pending.envelope], pending.welcomes);
        let push = Push { space: *id, envelopes, welcomes, ticket: pending.ticket };
        let push = ClientFrame::Push(push).to_bytes();
        if push.len() > limits::MESSAGE {
            // The relay would end the session over it.
            let limit = limits::MESSAGE as u64;
            return self.outbox().on_refused(id, 0, Rejection::TooLarge { limit });
        }
        self.turn.after_durable(Output::Send(push));
    }

    fn commit_intentions(&mut self, id: &SpaceId) -> Step<()> {
        let wishes = self.spaces.space(id)?.row.intentions.len();
        let Some(first) = self.spaces.space(id)?.row.intentions.first().cloned() else {
            return Ok(());
        };
        let Some(plan) = self.commits().plan(id, &first)? else { return Ok(()) };
        if plan.carries == 0 {
            if self.spaces.space(id)?.row.intentions.len() < wishes {
                // What came to nothing makes way for what was wished after it.
                self.turn.tasks.push_back(Task::Advance(*id));
            }
            return Ok(());
        }
        match self.commits().build_commit(id, &plan) {
            Ok(()) => self.push_pending(id),
            // Which devices are in follows from the device logs: that is never given up.
            Err(Stop::Fail(_)) if matches!(first, Intention::AddDevice { .. }) => {
                self.member_rows().remove_intention(id, 0);
                self.turn.tasks.push_back(Task::HostMissing);
            }
            Err(Stop::Fail(failure)) => {
                self.member_rows().does_not_build(id, plan.carries as usize, &failure)
            }
            Err(need) => return Err(need),
        }
        Ok(())
    }

    fn push_leave(&mut self, id: &SpaceId) -> Step<()> {
        let me = self.account.me()?;
        let (writer, signing) = (me.writer(), me.identity().signing.clone());
        let space = self.spaces.space(id)?;
        let mut header = Header::new(Kind::Intent, space.row.epoch, space.row.next);
        header.intent = Some(Intent::Leave);
        let envelope = Envelope::sign(id, &writer, header, Vec::new(), &signing);
        let envelope = Blob(envelope.to_bytes());
        self.member_rows().set_pending(
            id,
            PendingRow {
                child: None,
                envelope,
                welcomes: None,
                carries: 1,
                ticket: None,
                enters: false,
            },
        );
        self.push_pending(id);
        Ok(())
    }

    /// The log shows our own handshake as the one that counts.
    pub(in crate::engine) fn own_decided(&mut self, id: &SpaceId, index: u64) {
        let child =
            self.spaces.get(id).and_then(|space| space.core.as_ref()?.pending.as_ref()?.child);
        if child.is_some_and(|child| self.log_rows().finds_handshake(id, &child, index)) {
            return self.turn.tasks.push_back(Task::Advance(*id));
        }
        let Ok(identity) = self.account.me().map(|me| me.identity().clone()) else { return };
        let Some(space) = self.spaces.get_mut(id) else { return };
        let Some(pending) = space.core.as_mut().and_then(|core| core.pending.take()) else {
            return;
        };
        self.turn.batch.delete(key::pending_commit(id));
        space.row.deciding = false;
        space.in_session.deciding_sent = false;
        if let Ok(envelope) = Envelope::parse(pending.envelope.as_slice()) {
            self.end_devices(id, &envelope, index);
        }
        let own = Envelope::parse(pending.envelope.as_slice()).and_then(|own| own.commit());
        let logs = own.map(|commit| commit.logs).unwrap_or_default();
        let Some(space) = self.spaces.get_mut(id) else { return };
        let carried = (pending.carries as usize).min(space.row.intentions.len());
        let wishes: Vec<Intention> = space.row.intentions.drain(..carried).collect();
        space.additions.on_decided(&pending);
        self.drop_renewed(id, &logs);
        let Some(space) = self.spaces.get_mut(id) else { return };
        let child = pending.child.unwrap_or(EpochId::NONE);
        if child != space.row.epoch
            && let Some(group) = &mut space.group
        {
            let before = group.leaves();
            if group.merge_pending().is_ok() {
                let diff = group.diff();
                let after = group.leaves();
                let context = group.context().clone();
                let root = *group.root();
                // What the id commits to was built from the very same group.
                let binding = group.binding(&identity).unwrap_or_default();
                space.row.context = context;
                self.turn.batch.absorb(&key::group(id), diff);
                let added: Vec<_> =
                    after.iter().filter(|leaf| !before.contains(leaf)).copied().collect();
                let removed: Vec<_> = before
                    .iter()
                    .filter(|leaf| !after.contains(leaf))
                    .map(|leaf| leaf.device)
                    .collect();
                self.member_rows().change_members(id, index, &added, &removed);
                self.member_rows().advance_heads(id, &logs);
                self.enter_epoch(id, child, index, (root, binding));
                if after.len() > 1 {
                    self.member_rows().note_unfollowed(id, child, wishes);
                }
            }
        }
        self.log_rows().keep_handshake(id, pending);
        self.turn.save_space(id);
        self.log_rows().call_what_was_lost();
        self.turn.tasks.push_back(Task::Advance(*id));
    }

    /// The relay has our entrance: gives the epoch that it makes.
    pub(in crate::engine) fn own_entrance_stored(
        &mut self,
        id: &SpaceId,
        index: u64,
    ) -> Option<EpochId> {
        let space = self.spaces.get_mut(id)?;
        let core = space.core.as_mut()?;
        let child = core.pending.as_ref().filter(|pending| pending.enters)?.child?;
        if !core.state.ahead {
            core.state.write_at = Some((child, index + 1));
        }
        if let Some(row) = core.epochs.get_mut(&child) {
            row.index = index;
            self.turn.batch.put(key::epoch(id, &child), codec::encode(row));
        }
        self.tickets().entrance_stands(id, index);
        Some(child)
    }

    /// Intentions that somebody else's commit has already carried out.
    pub(in crate::engine) fn drop_fulfilled(&mut self, id: &SpaceId) {
        let people = &self.people;
        let Some(space) = self.spaces.get_mut(id) else { return };
        let roster = space.row.context.roster.clone();
        let member = |account: &AccountId| roster.role(account).is_some();
        space.row.intentions.retain(|wish| match wish {
            Intention::Add { address, .. } => {
                !people.account(address).is_some_and(|account| member(&account))
            }
            Intention::Remove(account)
            | Intention::LetGo(account)
            | Intention::Renew(account)
            | Intention::Evict { account, .. } => member(account),
            _ => true,
        });
        self.turn.save_space(id);
        self.turn.tasks.push_back(Task::Advance(*id));
    }

    /// A ticket came with a commit that names these device logs: whoever left it knew the keys in
    /// them. A commit that names none may have left one that opens with older keys.
    pub(in crate::engine) fn drop_renewed(&mut self, id: &SpaceId, logs: &[Head]) {
        let people = &self.people;
        let Some(space) = self.spaces.get_mut(id) else { return };
        let knew = |account: &AccountId| {
            let known = people.log(account).map_or(0, DeviceLog::len);
            logs.iter().any(|(of, len, _)| of == account && *len >= known)
        };
        space
            .row
            .intentions
            .retain(|wish| !matches!(wish, Intention::Renew(account) if knew(account)));
    }
}

/// Whether what is written waits until the log has decided this.
fn is_awaited(wish: &Intention) -> bool {
    !matches!(wish, Intention::LetGo(_) | Intention::Leave | Intention::Renew(_))
}

#[cfg(test)]
mod rows_tests;
