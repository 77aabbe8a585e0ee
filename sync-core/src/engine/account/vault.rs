//! The vault: what the devices of an account keep for one another in the account's space, so that
//! any one of them, or the recovery code, is enough to read everything again.
//!
//! It holds the epochs of every conversation with their writers, and the private join keys that
//! tickets are sealed to. A device linked without history begins a new vault: the account space's
//! era numbers them.

use sync_protocol::codec::{self, Blob};
use sync_protocol::device_log::DeviceLog;
use sync_protocol::ids::Commitment;
use sync_protocol::sorted::SortedSet;
use sync_protocol::{EpochId, SpaceId, WriterId};

use crate::document::{Edit, Name, vault_key};
use crate::engine::rooms::Vault;
use crate::engine::rows::{Anchor, EpochRow, NOT_SHOWN, SpaceRow, VaultEpoch};
use crate::engine::space::state::SpaceState;
use crate::engine::{Need, Step, Task, seal};
use crate::records::key;

/// How long a companion waits for the primary to write down an epoch that all have seen.
const COMPANION_MS: u64 = 3_000;
/// Spaces whose epochs are written down in one go.
const SPACES: usize = 32;

/// Whether an epoch is missing between the first of these and the one of this number.
pub(in crate::engine) fn has_gap(epochs: &[(EpochId, EpochRow)], last: u64) -> bool {
    let numbers = epochs.iter().map(|(_, row)| row.number);
    let numbers: SortedSet<u64> = numbers.chain(std::iter::once(last)).collect();
    let span = numbers.first().zip(numbers.last()).map(|(first, last)| last - first);
    span != Some(numbers.len() as u64 - 1)
}

/// What the vault says of one epoch of a space.
pub(in crate::engine) struct Noted {
    pub(in crate::engine) anchor: Anchor,
    /// The epoch itself, with its root, unless it is only where a vault was begun.
    pub(in crate::engine) row: Option<EpochRow>,
    /// Whether it is the word of a device that the account has not ended, or only by bringing itself
    /// back, and that has seen it in the log.
    pub(in crate::engine) counts: bool,
}

/// How far the vault is with the relay.
#[derive(Debug, Default)]
pub(in crate::engine) struct Vaulting {
    /// When it is to be brought up to date.
    at: Option<u64>,
    /// The own change set in the account's space by which all that was written down has left.
    by: u64,
    /// Conversations that wait with what they send until the vault is on its way.
    held: SortedSet<SpaceId>,
    /// The era whose vault says where all spaces stood when it was begun.
    anchored: Option<u32>,
}

impl Vaulting {
    /// When it is brought up to date next.
    pub(in crate::engine) fn deadline(&self) -> Option<u64> {
        self.at
    }

    /// Whether it is to be brought up to date at this time: once for each time that it is owed.
    pub(in crate::engine) fn is_due(&mut self, now: u64) -> bool {
        self.at.take_if(|at| *at <= now).is_some()
    }

    /// Whether all that was written down is with the relay, by the account's own space.
    pub(in crate::engine) fn is_stored(&self, own: &SpaceState) -> bool {
        own.row.stored >= self.by.min(own.last_cut())
    }
}

impl Vault<'_> {
    /// An epoch of a conversation has come: the account's other devices must be able to read it.
    pub(in crate::engine) fn owe_vault(&mut self, id: &SpaceId, epoch: EpochId) {
        let Some(space) = self.spaces.get_mut(id).filter(|space| !space.row.own) else { return };
        if !space.row.unvaulted.contains(&epoch) {
            space.row.unvaulted.push(epoch);
        }
        self.turn.save_space(id);
        self.call_vault();
    }

    /// Sees to it that the vault is brought up to date, by the primary at once.
    pub(in crate::engine) fn call_vault(&mut self) {
        let wait = if self.account.is_primary(self.people) { 0 } else { COMPANION_MS };
        let at = self.turn.now + wait;
        self.account.vaulting.at = Some(self.account.vaulting.at.map_or(at, |due| due.min(at)));
        if wait == 0 {
            self.turn.tasks.push_back(Task::Vault);
        }
    }

    pub(in crate::engine) fn call_vault_if_owed(&mut self) {
        if self.spaces.values().any(|space| !space.row.unvaulted.is_empty()) {
            self.call_vault();
        }
    }

    /// Writes what the vault does not have.
    pub(in crate::engine) fn write_vault(&mut self) -> Step<()> {
        let account = self.account.me()?.account().space();
        let Some(space) = self.spaces.get(&account) else { return Ok(()) };
        if !space.row.active || space.row.lagging {
            // Called again once the account's space was read.
            return Ok(());
        }
        let name = Name::Vault(space.row.context.era);
        self.documents.document(self.spaces, &account, &name)?;
        for vault in self.vaults(&account) {
            self.documents.document(self.spaces, &account, &vault)?;
        }
        let mut owing = self.owing_spaces();
        owing.truncate(SPACES + 1);
        for id in owing.iter().take(SPACES) {
            self.spaces.core(id)?;
        }
        self.account.vaulting.at = None;
        for id in owing.iter().take(SPACES) {
            self.write_epochs(&account, &name, id)?;
        }
        self.write_anchors(&account, &name)?;
        self.write_join_key(&account, &name)?;
        if owing.len() > SPACES {
            self.turn.tasks.push_back(Task::Vault);
        }
        self.note_vaulted();
        self.turn.tasks.push_back(Task::Advance(account));
        self.release_held();
        Ok(())
    }

    /// Conversations with epochs that the vault may not have yet.
    fn owing_spaces(&self) -> Vec<SpaceId> {
        let owing = self.spaces.iter().filter(|(_, space)| !space.row.unvaulted.is_empty());
        owing.map(|(id, _)| *id).collect()
    }

    /// Everything in the account's outbox, and what was written for it, may be the vault's.
    pub(in crate::engine) fn note_vaulted(&mut self) {
        let Ok(account) = self.account.me().map(|me| me.account().space()) else { return };
        if let Some(space) = self.spaces.get(&account) {
            self.account.vaulting.by = space.last_cut();
        }
    }

    /// Whether the relay has what a conversation is read by, before what this device now sends there:
    /// whoever has lost all devices reads what was stored. If not, the conversation is called again
    /// once it has.
    pub(in crate::engine) fn is_vaulted(&mut self, id: &SpaceId) -> bool {
        let Ok(account) = self.account.me().map(|me| me.account().space()) else { return true };
        let Some(space) = self.spaces.get(id).filter(|space| !space.row.own) else { return true };
        let Some(own) = self.spaces.get(&account) else {
            // This device is linked, and not let into the account's space yet: nobody else could read
            // what it sends, should it not come so far.
            self.account.vaulting.held.insert(*id);
            return false;
        };
        let owed = !space.row.unvaulted.is_empty();
        // What was journalled may come to nothing. What is only on its way may be refused, and this
        // device be gone before it sends it again.
        let stored = own.row.stored >= self.account.vaulting.by.min(own.last_cut());
        if !own.row.active || (!owed && stored) {
            return true;
        }
        self.account.vaulting.held.insert(*id);
        if owed {
            // Whoever writes there has accepted it.
            self.commands().answer(id);
            self.turn.tasks.push_back(Task::Vault);
        }
        false
    }

    /// Writes down at once what is still to be written.
    pub(in crate::engine) fn write_vault_now(&mut self) {
        if self.spaces.values().any(|space| !space.row.unvaulted.is_empty()) {
            self.turn.tasks.push_back(Task::Vault);
        }
    }

    /// The account's space has sent what it had.
    pub(in crate::engine) fn release_held(&mut self) {
        self.turn.found(Need::Vaulted);
        let held = std::mem::take(&mut self.account.vaulting.held);
        self.turn.tasks.extend(held.into_iter().map(Task::Advance));
    }

    fn write_epochs(&mut self, account: &SpaceId, name: &Name, id: &SpaceId) -> Step<()> {
        let Some(space) = self.spaces.get_mut(id) else { return Ok(()) };
        let owed = std::mem::take(&mut space.row.unvaulted);
        let Some(core) = &space.core else { return Ok(()) };
        let entries: Vec<(String, Blob)> = owed
            .iter()
            .filter_map(|epoch| {
                let mut row = core.epochs.get(epoch)?.clone();
                if core.state.joining == Some(*epoch) {
                    // So far only the relay has told that it is in the log.
                    row.index = NOT_SHOWN;
                }
                let value = codec::encode(&VaultEpoch { epoch: row });
                Some((vault_key(&epoch_prefix(id, epoch), &value), Blob(value)))
            })
            .collect();
        self.turn.save_space(id);
        for (key, value) in entries {
            // What an earlier vault has must not come into a new one: that is for devices that may
            // read only what came after it.
            if !self.has_vaulted(account, &key)? {
                self.outbox().edit(account, name, Edit::Vault { key, value })?;
            }
        }
        Ok(())
    }

    /// Writes where each space stood when a vault was begun that is not the first: a device that may
    /// not read what was before knows by that where it is led.
    fn write_anchors(&mut self, account: &SpaceId, name: &Name) -> Step<()> {
        let Name::Vault(era) = *name else { return Ok(()) };
        if era == 0 || self.account.vaulting.anchored == Some(era) {
            return Ok(());
        }
        let entries = self.documents.document(self.spaces, account, name)?.entries();
        let named = entries.iter().filter_map(|(key, _)| key.split('/').nth(1));
        let named: SortedSet<String> = named.map(str::to_owned).collect();
        let stands = |id: &SpaceId, row: &SpaceRow| {
            let is_read = row.active && !row.own && !row.lagging;
            let commitment = row.commitment.filter(|_| is_read && row.epoch != EpochId::NONE)?;
            (!named.contains(&id.to_string())).then_some(())?;
            let anchor = Anchor { epoch: row.epoch, number: row.number, commitment };
            Some((format!("anchor/{id}"), codec::encode(&anchor)))
        };
        // Also of those that nobody has accepted: whoever links a device sees on it who asks.
        let anchors: Vec<(String, Vec<u8>)> =
            self.spaces.iter().filter_map(|(id, space)| stands(id, &space.row)).collect();
        for (prefix, value) in anchors {
            let key = vault_key(&prefix, &value);
            self.outbox().edit(account, name, Edit::Vault { key, value: Blob(value) })?;
        }
        self.account.vaulting.anchored = Some(era);
        Ok(())
    }

    /// Whether any vault that this device may read has a key.
    fn has_vaulted(&mut self, account: &SpaceId, key: &str) -> Step<bool> {
        for name in self.vaults(account) {
            if self.documents.document(self.spaces, account, &name)?.entry(key).is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The private half of the newest join key, if this device knows it and the vault of this era
    /// does not.
    fn write_join_key(&mut self, account: &SpaceId, name: &Name) -> Step<()> {
        let me = self.account.me()?.account();
        let Some(public) = self.people.log(&me).map(|log| *log.join()) else { return Ok(()) };
        let prefix = format!("join/{}", sync_protocol::text::HEX.encode(public));
        let is_it = |secret: &Blob| seal::hpke_public(secret.as_slice()) == Some(public);
        match self.join_secrets()?.into_iter().find(is_it) {
            Some(value) => {
                let key = vault_key(&prefix, value.as_slice());
                if self.documents.document(self.spaces, account, name)?.entry(&key).is_some() {
                    return Ok(());
                }
                self.outbox().edit(account, name, Edit::Vault { key, value }).map(drop)
            }
            None => {
                if self.account.is_primary(self.people) && self.session.caught_up() {
                    // Its private half was lost with what this store no longer has: another is made,
                    // and everybody's tickets are sealed to that.
                    self.devices().rotate_join_key();
                }
                Ok(())
            }
        }
    }

    /// All vaults that this device may read.
    fn vaults(&self, account: &SpaceId) -> Vec<Name> {
        let documents = self.spaces.get(account).map(|space| &space.row.documents);
        let all = documents.into_iter().flatten();
        all.filter(|name| matches!(name, Name::Vault(_))).cloned().collect()
    }

    /// The values under a prefix, of all vaults.
    fn vaulted_under(&mut self, prefix: &str) -> Step<Vec<(String, Vec<u8>)>> {
        let account = self.account.me()?.account().space();
        let mut found = Vec::new();
        for name in self.vaults(&account) {
            let document = self.documents.document(self.spaces, &account, &name)?;
            let entries = document.entries().into_iter();
            let under = entries.filter(|(key, _)| key.starts_with(prefix));
            found.extend(under.map(|(key, entry)| (key, entry.bytes)));
        }
        Ok(found)
    }

    /// The epochs of a space that the vault has, with their roots.
    pub(in crate::engine) fn vaulted(&mut self, id: &SpaceId) -> Step<Vec<(EpochId, EpochRow)>> {
        let noted = self.noted_in_vault(id)?.into_iter();
        Ok(noted.filter_map(|noted| Some((noted.anchor.epoch, noted.row?))).collect())
    }

    /// All that the vault says of a space's epochs. Of one epoch it may have several: a device that
    /// was stolen can add to it, and the log decides.
    pub(in crate::engine) fn noted_in_vault(&mut self, id: &SpaceId) -> Step<Vec<Noted>> {
        let account = self.account.me()?.account();
        let own = account.space();
        let (epochs, anchors) = (format!("epoch/{id}/"), format!("anchor/{id}/"));
        let mut all = Vec::new();
        for name in self.vaults(&own) {
            let entries = self.documents.document(self.spaces, &own, &name)?.entries();
            let log = self.people.log(&account);
            for (key, entry) in entries {
                let by = entry.writer;
                let counts =
                    log.is_some_and(|log| by.is_none_or(|writer| counts_still(log, &writer)));
                let found = match key.strip_prefix(&epochs) {
                    Some(rest) => epoch_noted(rest, &entry.bytes),
                    None if key.starts_with(&anchors) => {
                        codec::decode("anchor", &entry.bytes).ok().map(|anchor| (anchor, None))
                    }
                    None => None,
                };
                all.extend(found.map(|(anchor, row)| {
                    let is_shown = row.as_ref().is_none_or(|row| row.index != NOT_SHOWN);
                    Noted { anchor, row, counts: counts && is_shown }
                }));
            }
        }
        Ok(all)
    }

    /// Looks for an epoch that another device wrote down since this one came in: the one that its
    /// name commits to.
    pub(in crate::engine) fn seek_epoch(
        &mut self,
        id: &SpaceId,
        epoch: &EpochId,
        commitment: &Commitment,
    ) -> Step<bool> {
        let account = self.account.me()?.account().space();
        if account == *id || !self.spaces.contains_key(&account) {
            return Ok(false);
        }
        for (_, value) in self.vaulted_under(&format!("{}/", epoch_prefix(id, epoch)))? {
            let Ok(found) = codec::decode::<VaultEpoch>("vault epoch", &value) else { continue };
            if found.epoch.commitment() != *commitment {
                continue;
            }
            let Some(core) = &mut self.spaces.core(id)?.core else { return Ok(false) };
            core.epochs.insert(*epoch, found.epoch.clone());
            self.turn.batch.put(key::epoch(id, epoch), codec::encode(&found.epoch));
            return Ok(true);
        }
        Ok(false)
    }

    /// All private join keys that this device has or finds in the vault.
    pub(in crate::engine) fn join_secrets(&mut self) -> Step<Vec<Blob>> {
        let known = self.account.me()?.row.joins.clone();
        let vaulted = self.vaulted_under("join/")?.into_iter();
        let vaulted = vaulted.map(|(_, secret)| Blob(secret));
        let secrets: SortedSet<Blob> = known.into_iter().chain(vaulted).collect();
        Ok(secrets.into_iter().collect())
    }
}

/// An epoch as it is written down: what stands behind the space in its key, and its value.
fn epoch_noted(rest: &str, value: &[u8]) -> Option<(Anchor, Option<EpochRow>)> {
    let epoch = rest.split('/').next()?.parse().ok()?;
    let row = codec::decode::<VaultEpoch>("vault epoch", value).ok()?.epoch;
    let anchor = Anchor { epoch, number: row.number, commitment: row.commitment() };
    Some((anchor, Some(row)))
}

/// Whether a device wrote that the account has not ended, or only by bringing itself back.
fn counts_still(log: &DeviceLog, writer: &WriterId) -> bool {
    let ended = log.known(&writer.device).map(|device| device.revoked);
    ended.is_some_and(|at| at.is_none() || log.all().any(|(_, new)| Some(new.added) == at))
}

fn epoch_prefix(id: &SpaceId, epoch: &EpochId) -> String {
    format!("epoch/{id}/{epoch}")
}
