//! Another ticket for a device of the account that can't come in by the one there is.
//!
//! Any member may leave a ticket that leads nowhere, and the newest is all that the relay has. Who
//! can't come in says so in the account's settings, and a device that is in commits new keys, which
//! leave another.

use serde_json::Value;
use sync_protocol::codec::{self, Blob};
use sync_protocol::envelope::Envelope;
use sync_protocol::signing::Signed;
use sync_protocol::{AccountId, EpochId, SpaceId};

use crate::document::{Edit, Name};
use crate::engine::rooms::{Commits, Members};
use crate::engine::rows::{Intention, Ticket};
use crate::engine::{Step, Task};

/// Where such calls stand in the account's settings.
pub(in crate::engine) const CALLS: &str = "tickets/";
/// How often a ticket is tried between two calls.
const TRIES: u32 = 3;
/// How long a ticket is left to those for whom it is.
const AGAIN_MS: u64 = 20_000;
/// How often one device leaves another for those who can't say whether they need one.
const RENEWALS: u32 = 16;

impl Commits<'_> {
    /// A ticket led nowhere, so many times in a row: the account's other devices are asked for
    /// another.
    pub(in crate::engine) fn call_for_ticket(&mut self, id: &SpaceId, ticket: &Blob, tries: u32) {
        if let Some(epoch) = epoch_of(ticket) {
            self.call(id, epoch, tries);
        }
    }

    /// The relay did not take an entrance, so many times in a row: behind the ticket that it has
    /// stands a change that all pass over, of which only those who are in can tell.
    pub(in crate::engine) fn call_where_refused(&mut self, id: &SpaceId, refusals: u32) {
        let core = self.spaces.get(id).and_then(|space| space.core.as_ref());
        let pending = core.and_then(|core| core.pending.as_ref());
        let envelope = pending.and_then(|own| Envelope::parse(own.envelope.as_slice()).ok());
        if let Some(epoch) = envelope.map(|envelope| envelope.header.epoch) {
            self.call(id, epoch, refusals);
        }
    }

    fn call(&mut self, id: &SpaceId, epoch: EpochId, tries: u32) {
        let own = self.account.me().is_ok_and(|me| me.account().space() == *id);
        if !own && tries.is_multiple_of(TRIES) {
            let value = Value::String(epoch.to_string());
            self.turn.tasks.push_back(Task::Setting(format!("{CALLS}{id}"), value));
        }
    }

    /// Settings of the account came: does what other devices ask for.
    pub(in crate::engine) fn heed_calls(&mut self) -> Step<()> {
        let account = self.account.me()?.account();
        let own = account.space();
        if !self.account.is_primary(self.people) || !self.spaces.contains_key(&own) {
            return Ok(());
        }
        for (key, value) in self.library().own_settings(CALLS)? {
            let id = key.strip_prefix(CALLS).and_then(|id| id.parse::<SpaceId>().ok());
            let epoch = value.as_str().and_then(|epoch| epoch.parse::<EpochId>().ok());
            let Some((id, epoch)) = id.zip(epoch) else { continue };
            if !self.spaces.get(&id).is_some_and(|space| space.row.active && !space.row.lagging) {
                continue;
            }
            if self.library().is_unaccepted(&id)? {
                // It is this device's alone until the person accepts; whoever invited is told nothing.
                continue;
            }
            let space = self.spaces.core(&id)?;
            let Some(core) = &space.core else { continue };
            // Of an epoch that is over, the ticket has been replaced already.
            let is_over = space.row.epoch != epoch && core.epochs.contains_key(&epoch);
            if core.state.joining.is_some() {
                continue;
            }
            self.documents.document(self.spaces, &own, &Name::Settings)?;
            if !is_over {
                self.member_rows().intend(&id, Intention::Renew(account));
            }
            self.outbox().edit(&own, &Name::Settings, Edit::Setting { key, value: None })?;
        }
        Ok(())
    }
}

impl Members<'_> {
    /// Somebody has left another ticket, who may not have left a good one. A member account of whose
    /// devices none is in (it was brought back) can't say so: whoever is in commits new keys after a
    /// while, unless that account has come in by then.
    pub(in crate::engine) fn renew_absent(&mut self, id: &SpaceId) {
        let at = self.turn.now + AGAIN_MS + u64::from(self.turn.seed()[0]) * 64;
        let (people, own) = (&self.people, self.account.own().map(|me| me.row().account));
        let Some(space) = self.spaces.get_mut(id) else { return };
        let Some(core) = space.core.as_ref().filter(|_| space.renewals < RENEWALS) else { return };
        let is_in = |account: &AccountId| {
            let Some(log) = people.log(account) else { return true };
            let mut open = core.state.writers.iter().filter(|row| row.to.is_none());
            open.any(|row| row.account == *account && log.active(&row.device).is_some())
        };
        let others = space.row.context.roster.iter().map(|(account, _)| account);
        let absent = others.filter(|account| Some(*account) != own && !is_in(account));
        let wishes: Vec<_> = absent.map(Intention::Renew).collect();
        for wish in wishes {
            if !space.intends(&wish) {
                space.wish(wish);
                space.renewals += 1;
                space.retry_at = Some(at);
            }
        }
        self.turn.save_space(id);
    }
}

/// The epoch that a ticket says it leads into.
fn epoch_of(ticket: &Blob) -> Option<EpochId> {
    let signed: Signed<Ticket> = codec::decode("ticket", ticket.as_slice()).ok()?;
    signed.peek("ticket").ok().map(|ticket| ticket.epoch)
}
