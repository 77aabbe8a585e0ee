//! Accounts: device logs, memberships, addresses.

use sync_protocol::address::Address;
use sync_protocol::codec::Blob;
use sync_protocol::device_log::DeviceLog;
use sync_protocol::error::Rejection;
use sync_protocol::frames::membership_digest;
use sync_protocol::ids::{AccountId, DeviceId, SpaceId};

use crate::rules::command::{AccountDevice, Action, Command};
use crate::rules::rows::{self, AccountRow, AddressRow, Membership, StoredBytes, key2};
use crate::rules::state::State;
use crate::rules::{Effect, Fault, Standing};
use crate::rules::{activity, ends, invites};
use crate::store::{Store, StoreError, Table};

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// Applies a command of an account or an address.
///
/// # Errors
/// As [`super::apply`].
pub(super) fn apply_account<S: Store>(
    state: &mut State<S>,
    command: Command,
) -> Result<Effect, Fault> {
    let time_ms = command.time_ms;
    match command.action {
        Action::AppendLog { account, index, entries } => {
            append_log(state, account, index, &entries, time_ms)
        }
        // Nothing is kept for who is deleted any more: what was on its way comes to nothing.
        Action::SetMembership { account, .. }
        | Action::Answer { account, .. }
        | Action::CountStored { account, .. }
            if ends::standing(state, &account)? == Standing::Deleted =>
        {
            Ok(Effect::Done)
        }
        Action::SetMembership { account, space, from, until, by, index } => {
            let index = index.saturating_add(1);
            let now = Membership { from, until, by, index, answered: 0 };
            set_membership(state, &account, &space, now)?;
            Ok(Effect::Done)
        }
        Action::Answer { account, space, index } => {
            answer(state, &account, &space, index)?;
            Ok(Effect::Done)
        }
        Action::ClaimAddress { address, account } => {
            let claimed = claim(state, &address, account)?;
            if claimed {
                let at = state.applied();
                let action = Action::NoteAddress { account, address, leads: true, at };
                state.put_fact(time_ms, action);
            }
            Ok(Effect::Done)
        }
        Action::EndAccount { account } => ends::end_account(state, &account, time_ms),
        Action::Suspend { account, suspended } => {
            ends::suspend(state, &account, suspended, time_ms)
        }
        Action::ReleaseAddress { address } => ends::release_address(state, &address, time_ms),
        Action::Sweep { swept } => ends::sweep(state, &swept),
        Action::NoteAddress { account, address, leads, at } => {
            note_address(state, &account, &address, AddressRow { leads, at })?;
            Ok(Effect::Done)
        }
        Action::DrawInvite { account, hash, until_ms, most } => {
            invites::draw(state, &account, &hash, (until_ms, most), time_ms)
        }
        Action::CountStored { account, bytes } => {
            let mut row = state.account(&account)?;
            row.stored.add(time_ms / DAY_MS, bytes);
            put_account(state, &account, row);
            Ok(Effect::Done)
        }
        _ => Err(Rejection::Invalid.into()),
    }
}

fn append_log<S: Store>(
    state: &mut State<S>,
    account: AccountId,
    index: u64,
    entries: &[Blob],
    time_ms: u64,
) -> Result<Effect, Fault> {
    let known = state.log(&account)?;
    let is_new = known.is_none();
    let before = known.as_ref().map_or(0, |log| log.len());
    let fresh = skip_known(known.as_deref(), index, entries)?;
    let log = extend(known.as_deref(), &account, fresh)?;
    let ended = ended(known.as_deref(), &log);
    for device in ended.iter().map(|device| AccountDevice { account, device: *device }) {
        state.put_fact(time_ms, Action::EndDevice { device });
    }
    for (entry, at) in fresh.iter().zip(before..) {
        let key = key2(account.as_bytes(), &at.to_be_bytes());
        state.store_mut().put(Table::Logs, &key, entry.0.clone());
    }
    let len = log.len();
    state.logs_mut().grew(log);
    let row = state.account(&account)?;
    put_account(state, &account, AccountRow { log_len: len, ..row });
    if is_new {
        let action = Action::Reserve { space: account.space(), account };
        state.put_fact(time_ms, action);
    }
    Ok(Effect::LogGrew { account, before, len, ended })
}

/// The log that an account would have with these entries, from index 0 on. Nothing is written.
pub(crate) fn proposed(
    known: Option<&DeviceLog>,
    account: &AccountId,
    entries: &[Blob],
) -> Result<DeviceLog, Rejection> {
    extend(known, account, skip_known(known, 0, entries)?)
}

/// The entries beyond those that the log has; `Taken` if they are others, or leave a gap.
fn skip_known<'e>(
    known: Option<&DeviceLog>,
    index: u64,
    entries: &'e [Blob],
) -> Result<&'e [Blob], Rejection> {
    let have = known.map_or(&[][..], DeviceLog::entries);
    let start = usize::try_from(index).map_err(|_| Rejection::Taken)?;
    let overlap = have.get(start..).ok_or(Rejection::Taken)?;
    let same = overlap.iter().zip(entries).all(|(have, given)| *have == given.0);
    if !same {
        return Err(Rejection::Taken);
    }
    Ok(entries.get(overlap.len()..).unwrap_or_default())
}

fn extend(
    known: Option<&DeviceLog>,
    account: &AccountId,
    fresh: &[Blob],
) -> Result<DeviceLog, Rejection> {
    let Some(known) = known else {
        let fresh: Vec<_> = fresh.iter().map(Blob::as_slice).collect();
        return DeviceLog::verify(account, &fresh).map_err(|_| Rejection::Invalid);
    };
    let mut log = known.clone();
    for entry in fresh {
        log.append(entry.as_slice()).map_err(|_| Rejection::Invalid)?;
    }
    Ok(log)
}

fn ended(before: Option<&DeviceLog>, after: &DeviceLog) -> Vec<DeviceId> {
    let before = before.into_iter().flat_map(DeviceLog::devices);
    before.map(|(id, _)| *id).filter(|id| after.active(id).is_none()).collect()
}

fn set_membership<S: Store>(
    state: &mut State<S>,
    account: &AccountId,
    space: &SpaceId,
    now: Membership,
) -> Result<(), StoreError> {
    let known = state.membership(account, space)?;
    if known.is_some_and(|known| known.index >= now.index) {
        // It comes late: what stands is of a later entry.
        return Ok(());
    }
    let from = match (known, now.until) {
        (Some(known), Some(_)) => known.from,
        _ => now.from,
    };
    let was_in = known.is_some_and(|known| known.until.is_none());
    // What it wrote may be heard of before it is heard that it may.
    let answered = known.map_or(0, |known| known.answered);
    let by = now.by.filter(|_| answered < now.index);
    let row = rows::encode(&Membership { from, by, answered, ..now });
    state.store_mut().put(Table::Memberships, &rows::membership(account, space), row);
    let row = state.account(account)?;
    let spaces = row.spaces.saturating_sub(u64::from(was_in)) + u64::from(now.until.is_none());
    put_account(state, account, AccountRow { spaces, ..row });
    state.store_mut().delete(Table::Digests, account.as_bytes());
    activity::put(state, account, space, state.newest_position())?;
    if let Some(by) = known.and_then(|known| known.by) {
        count_unanswered(state, account, &by, |count| count.saturating_sub(1))?;
    }
    if let Some(by) = by {
        count_unanswered(state, account, &by, |count| count + 1)?;
    }
    Ok(())
}

fn answer<S: Store>(
    state: &mut State<S>,
    account: &AccountId,
    space: &SpaceId,
    index: u64,
) -> Result<(), StoreError> {
    let nothing = Membership { from: 0, until: Some(0), by: None, index: 0, answered: 0 };
    let known = state.membership(account, space)?.unwrap_or(nothing);
    let answers = known.by.filter(|_| index >= known.index);
    let by = known.by.filter(|_| answers.is_none());
    let row = rows::encode(&Membership { by, answered: known.answered.max(index), ..known });
    state.store_mut().put(Table::Memberships, &rows::membership(account, space), row);
    match answers {
        Some(by) => count_unanswered(state, account, &by, |count| count.saturating_sub(1)),
        None => Ok(()),
    }
}

fn count_unanswered<S: Store>(
    state: &mut State<S>,
    account: &AccountId,
    by: &AccountId,
    change: impl FnOnce(u64) -> u64,
) -> Result<(), StoreError> {
    let before = state.unanswered(account, by)?;
    let count = change(before);
    let row = state.account(account)?;
    let unanswered = (row.unanswered + count).saturating_sub(before);
    put_account(state, account, AccountRow { unanswered, ..row });
    let key = key2(account.as_bytes(), by.as_bytes());
    match count {
        0 => state.store_mut().delete(Table::Unanswered, &key),
        _ => state.store_mut().put(Table::Unanswered, &key, rows::encode(&count)),
    }
    Ok(())
}

pub(super) fn put_account<S: Store>(state: &mut State<S>, account: &AccountId, row: AccountRow) {
    state.store_mut().put(Table::Accounts, account.as_bytes(), rows::encode(&row));
}

/// An address leads to an account or does no more, as the newest command about it says.
fn note_address<S: Store>(
    state: &mut State<S>,
    account: &AccountId,
    address: &Address,
    now: AddressRow,
) -> Result<(), StoreError> {
    let key = key2(account.as_bytes(), address.as_str().as_bytes());
    let known = state.store().row(Table::AddressesOf, &key)?;
    let known: Option<AddressRow> = known.map(|row| rows::decode("address", &row)).transpose()?;
    if known.is_some_and(|known| known.at >= now.at) {
        return Ok(());
    }
    let row = state.account(account)?;
    let led = known.is_some_and(|known| known.leads);
    let addresses = row.addresses.saturating_sub(u64::from(led)) + u64::from(now.leads);
    put_account(state, account, AccountRow { addresses, ..row });
    state.store_mut().put(Table::AddressesOf, &key, rows::encode(&now));
    Ok(())
}

/// Whether the address is newly the account's; `Taken` if it is another's.
fn claim<S: Store>(
    state: &mut State<S>,
    address: &Address,
    account: AccountId,
) -> Result<bool, Fault> {
    match state.address(address)? {
        Some(owner) if owner == account => Ok(false),
        Some(_) => Err(Rejection::Taken.into()),
        None => {
            let row = rows::encode(&account);
            state.store_mut().put(Table::Addresses, address.as_str().as_bytes(), row);
            Ok(true)
        }
    }
}

impl<S: Store> State<S> {
    /// The digest of the spaces that an account is in, and how many rows had to be read for it: none, if
    /// it was made since they changed.
    ///
    /// # Errors
    /// If the store fails.
    pub fn membership_digest(
        &mut self,
        account: &AccountId,
    ) -> Result<([u8; 32], u64), StoreError> {
        let known = self.store().row(Table::Digests, account.as_bytes())?;
        if let Some(digest) = known.and_then(|row| row.as_slice().try_into().ok()) {
            return Ok((digest, 0));
        }
        let all = self.memberships(account)?;
        let count = all.len() as u64;
        let present = all.iter().filter(|(_, membership)| membership.until.is_none());
        let digest = membership_digest(present.map(|(space, _)| space));
        self.store_mut().put(Table::Digests, account.as_bytes(), digest.to_vec());
        Ok((digest, count))
    }

    /// What an account had stored.
    ///
    /// # Errors
    /// If the store fails.
    pub fn stored(&self, account: &AccountId) -> Result<StoredBytes, StoreError> {
        self.account(account).map(|row| row.stored)
    }

    /// Spaces that an account was put into by another and has not written in.
    ///
    /// # Errors
    /// If the store fails.
    pub fn unanswered(&self, account: &AccountId, by: &AccountId) -> Result<u64, StoreError> {
        let key = key2(account.as_bytes(), by.as_bytes());
        let row = self.store().row(Table::Unanswered, &key)?;
        row.map_or(Ok(0), |row| rows::decode("unanswered", &row))
    }

    /// The account that an address leads to.
    ///
    /// # Errors
    /// If the store fails.
    pub fn address(&self, address: &Address) -> Result<Option<AccountId>, StoreError> {
        let row = self.store().row(Table::Addresses, address.as_str().as_bytes())?;
        row.map(|row| rows::decode("address", &row)).transpose()
    }
}
