//! Another ticket for a device of the account that can't come in by the one there is.
//!
//! Any member may leave a ticket that leads nowhere, and the newest is all that the relay has. Who
//! can't come in says so in the account's settings, and a device that is in commits new keys, which
//! leave another.

use serde_json::Value;
use sync_protocol::codec::{self, Blob};
use sync_protocol::envelope::Envelope;
use sync_protocol::signing::Signed;
use sync_protocol::{EpochId, SpaceId};

use crate::document::{Edit, Name};
use crate::engine::rows::{Intention, Ticket};
use crate::engine::{Engine, Step, Task};

/// Where such calls stand in the account's settings.
pub(super) const CALLS: &str = "tickets/";
/// How often a ticket is tried between two calls.
const TRIES: u32 = 3;

impl Engine {
    /// A ticket led nowhere, so many times in a row: the account's other devices are asked for
    /// another.
    pub(super) fn call_for_ticket(&mut self, id: &SpaceId, ticket: &Blob, tries: u32) {
        if let Some(epoch) = epoch_of(ticket) {
            self.call(id, epoch, tries);
        }
    }

    /// The relay did not take an entrance, so many times in a row: behind the ticket that it has
    /// stands a change that all pass over, of which only those who are in can tell.
    pub(super) fn call_where_refused(&mut self, id: &SpaceId, refusals: u32) {
        let core = self.spaces.get(id).and_then(|space| space.core.as_ref());
        let pending = core.and_then(|core| core.pending.as_ref());
        let envelope = pending.and_then(|own| Envelope::parse(own.envelope.as_slice()).ok());
        if let Some(epoch) = envelope.map(|envelope| envelope.header.epoch) {
            self.call(id, epoch, refusals);
        }
    }

    fn call(&mut self, id: &SpaceId, epoch: EpochId, tries: u32) {
        let own = self.me().is_ok_and(|me| me.account().space() == *id);
        if !own && tries.is_multiple_of(TRIES) {
            let value = Value::String(epoch.to_string());
            self.tasks.push_back(Task::Setting(format!("{CALLS}{id}"), value));
        }
    }

    /// Settings of the account came: does what other devices ask for.
    pub(super) fn heed_calls(&mut self) -> Step<()> {
        let account = self.me()?.account();
        let own = account.space();
        if !self.is_primary() || !self.spaces.contains_key(&own) {
            return Ok(());
        }
        for (key, value) in self.own_settings(CALLS)? {
            let id = key.strip_prefix(CALLS).and_then(|id| id.parse::<SpaceId>().ok());
            let epoch = value.as_str().and_then(|epoch| epoch.parse::<EpochId>().ok());
            let Some((id, epoch)) = id.zip(epoch) else { continue };
            if !self.spaces.get(&id).is_some_and(|space| space.row.active && !space.row.lagging) {
                continue;
            }
            if self.is_unaccepted(&id)? {
                // It is this device's alone until the person accepts; whoever invited is told nothing.
                continue;
            }
            let space = self.core_space(&id)?;
            let Some(core) = &space.core else { continue };
            // Of an epoch that is over, the ticket has been replaced already.
            let is_over = space.row.epoch != epoch && core.epochs.contains_key(&epoch);
            if core.state.joining.is_some() {
                continue;
            }
            self.document(&own, &Name::Settings)?;
            if !is_over {
                self.intend(&id, Intention::Renew(account));
            }
            self.edit(&own, &Name::Settings, Edit::Setting { key, value: None })?;
        }
        Ok(())
    }
}

/// The epoch that a ticket says it leads into.
fn epoch_of(ticket: &Blob) -> Option<EpochId> {
    let signed: Signed<Ticket> = codec::decode("ticket", ticket.as_slice()).ok()?;
    signed.peek("ticket").ok().map(|ticket| ticket.epoch)
}
