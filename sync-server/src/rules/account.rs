//! Accounts: device logs, memberships, addresses.

use std::sync::Arc;

use sync_protocol::address::Address;
use sync_protocol::codec::Blob;
use sync_protocol::device_log::DeviceLog;
use sync_protocol::error::Rejection;
use sync_protocol::frames::membership_digest;
use sync_protocol::ids::{AccountId, DeviceId, SpaceId};

use crate::rules::command::{AccountDevice, Action, Command};
use crate::rules::ends;
use crate::rules::rows::{self, AccountRow, Membership, StoredBytes, key2};
use crate::rules::state::State;
use crate::rules::{Effect, Fault};
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
        Action::SetMembership { account, space, from, until, by } => {
            set_membership(state, &account, &space, Membership { from, until, by })?;
            Ok(Effect::Done)
        }
        Action::Answer { account, space } => {
            answer(state, &account, &space)?;
            Ok(Effect::Done)
        }
        Action::ClaimAddress { address, account } => {
            let claimed = claim(state, &address, account)?;
            if claimed {
                state.put_fact(&Command::new(time_ms, Action::CountAddress { account }));
            }
            Ok(Effect::Done)
        }
        Action::EndAccount { account } => ends::end_account(state, &account, time_ms),
        Action::Suspend { account, suspended } => {
            ends::suspend(state, &account, suspended, time_ms)
        }
        Action::ReleaseAddress { address } => ends::release_address(state, &address, time_ms),
        Action::Sweep { swept } => ends::sweep(state, &swept),
        Action::UncountAddress { account } => {
            let row = state.account(&account)?;
            let addresses = row.addresses.saturating_sub(1);
            put_account(state, &account, AccountRow { addresses, ..row });
            Ok(Effect::Done)
        }
        Action::CountAddress { account } => {
            let row = state.account(&account)?;
            put_account(state, &account, AccountRow { addresses: row.addresses + 1, ..row });
            Ok(Effect::Done)
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
        state.put_fact(&Command::new(time_ms, Action::EndDevice { device }));
    }
    for (entry, at) in fresh.iter().zip(before..) {
        let key = key2(account.as_bytes(), &at.to_be_bytes());
        state.store_mut().put(Table::Logs, &key, entry.0.clone());
    }
    let len = log.len();
    state.logs.insert(account, Arc::new(log));
    let row = state.account(&account)?;
    put_account(state, &account, AccountRow { log_len: len, ..row });
    if is_new {
        let action = Action::Reserve { space: account.space(), account };
        state.put_fact(&Command::new(time_ms, action));
    }
    Ok(Effect::LogGrew { len, ended })
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
    let from = match (known, now.until) {
        (Some(known), Some(_)) => known.from,
        _ => now.from,
    };
    let was_in = known.is_some_and(|known| known.until.is_none());
    let row = rows::encode(&Membership { from, ..now });
    state.store_mut().put(Table::Memberships, &rows::membership(account, space), row);
    let row = state.account(account)?;
    let spaces = row.spaces.saturating_sub(u64::from(was_in)) + u64::from(now.until.is_none());
    put_account(state, account, AccountRow { spaces, digest: None, ..row });
    state.put_active(account, space, state.newest_position())?;
    if let Some(by) = known.and_then(|known| known.by) {
        count_unanswered(state, account, &by, |count| count.saturating_sub(1))?;
    }
    if let Some(by) = now.by {
        count_unanswered(state, account, &by, |count| count + 1)?;
    }
    Ok(())
}

fn answer<S: Store>(
    state: &mut State<S>,
    account: &AccountId,
    space: &SpaceId,
) -> Result<(), StoreError> {
    let Some(known) = state.membership(account, space)? else { return Ok(()) };
    let Some(by) = known.by else { return Ok(()) };
    let row = rows::encode(&Membership { by: None, ..known });
    state.store_mut().put(Table::Memberships, &rows::membership(account, space), row);
    count_unanswered(state, account, &by, |count| count.saturating_sub(1))
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

fn put_account<S: Store>(state: &mut State<S>, account: &AccountId, row: AccountRow) {
    state.store_mut().put(Table::Accounts, account.as_bytes(), rows::encode(&row));
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
        let row = self.account(account)?;
        if let Some(digest) = row.digest {
            return Ok((digest, 0));
        }
        let all = self.memberships(account)?;
        let count = all.len() as u64;
        let present = all.iter().filter(|(_, membership)| membership.until.is_none());
        let digest = membership_digest(present.map(|(space, _)| space));
        put_account(self, account, AccountRow { digest: Some(digest), ..row });
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
