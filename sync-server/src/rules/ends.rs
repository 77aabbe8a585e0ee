//! What an operator ends: accounts that are suspended or deleted, spaces that are deleted, addresses
//! that are released.
//!
//! What ended leaves a mark, so that nobody founds it anew under its id. What it held is swept, a
//! bounded number of rows a command. An account's device log stays: it holds keys, and others need
//! it to read what the account wrote them.

use minicbor::{Decode, Encode};

use sync_protocol::address::Address;
use sync_protocol::error::Rejection;
use sync_protocol::ids::{AccountId, DeviceId, SpaceId};

use crate::rules::command::{AccountDevice, Action};
use crate::rules::rows::{self, AddressRow, key2, numbered};
use crate::rules::state::State;
use crate::rules::{Effect, Fault, Standing};
use crate::store::{Row, Store, StoreError, Table};

/// Rows that one command sweeps.
const STEP: usize = 512;

const SPACE: u8 = 1;
const ACCOUNT: u8 = 2;
/// Of an account that is in a space, in the space's partition.
const MEMBER: u8 = 3;

/// What was done to a space or an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
struct MarkRow {
    /// Whether it is gone for good, or kept out for a while.
    #[n(0)]
    is_deleted: bool,
    /// Unix milliseconds.
    #[n(1)]
    time_ms: u64,
}

/// What is still to be swept of a space.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
struct SweepRow {
    /// The space's number; 0 for an account.
    #[n(0)]
    number: u32,
}

/// Applies what an operator does to a space.
pub(super) fn end_space<S: Store>(
    state: &mut State<S>,
    id: &SpaceId,
    time_ms: u64,
) -> Result<Effect, Fault> {
    let space = state.take_space(id)?.ok_or(Rejection::NotFound)?;
    let mark = rows::encode(&MarkRow { is_deleted: true, time_ms });
    state.store_mut().put(Table::Marks, &key(SPACE, id.as_bytes()), mark);
    let sweep = rows::encode(&SweepRow { number: space.row.number });
    state.store_mut().put(Table::Sweeps, &key(SPACE, id.as_bytes()), sweep);
    for table in [Table::Spaces, Table::Rosters, Table::Tickets, Table::Reservations] {
        state.store_mut().delete(table, id.as_bytes());
    }
    let members: Vec<AccountId> = space.members().collect();
    members.iter().for_each(|member| forget_member(state, id, member));
    state.spaces_mut().end(id);
    let index = space.row.head;
    let until = Some(index);
    for account in &members {
        let action = Action::SetMembership {
            account: *account,
            space: *id,
            from: 0,
            until,
            by: None,
            index,
        };
        state.put_fact(time_ms, action);
    }
    Ok(Effect::SpaceEnded { space: *id, members })
}

/// Suspends an account, or lets it in again.
pub(super) fn suspend<S: Store>(
    state: &mut State<S>,
    account: &AccountId,
    suspended: bool,
    time_ms: u64,
) -> Result<Effect, Fault> {
    state.log(account)?.ok_or(Rejection::NotFound)?;
    let key = key(ACCOUNT, account.as_bytes());
    match (standing(state, account)?, suspended) {
        (Standing::Deleted, _) => Err(Rejection::Taken.into()),
        (_, true) => {
            let mark = rows::encode(&MarkRow { is_deleted: false, time_ms });
            state.store_mut().put(Table::Marks, &key, mark);
            Ok(Effect::Suspended { account: *account })
        }
        (_, false) => {
            state.store_mut().delete(Table::Marks, &key);
            Ok(Effect::Done)
        }
    }
}

/// Deletes an account: its devices end, its own space and those that it is alone in go, and so do its
/// addresses.
pub(super) fn end_account<S: Store>(
    state: &mut State<S>,
    account: &AccountId,
    time_ms: u64,
) -> Result<Effect, Fault> {
    let log = state.log(account)?.ok_or(Rejection::NotFound)?;
    if standing(state, account)? == Standing::Deleted {
        return Err(Rejection::Taken.into());
    }
    let mark = rows::encode(&MarkRow { is_deleted: true, time_ms });
    state.store_mut().put(Table::Marks, &key(ACCOUNT, account.as_bytes()), mark);
    let sweep = rows::encode(&SweepRow { number: 0 });
    state.store_mut().put(Table::Sweeps, &key(ACCOUNT, account.as_bytes()), sweep);
    let devices: Vec<DeviceId> = log.devices().map(|(device, _)| *device).collect();
    for device in devices.iter().map(|device| AccountDevice { account: *account, device: *device })
    {
        state.put_fact(time_ms, Action::EndDevice { device });
    }
    for (space, membership) in state.memberships(account)? {
        if membership.until.is_none() {
            let action = Action::LeaveSpace { space, account: *account };
            state.put_fact(time_ms, action);
        }
    }
    Ok(Effect::AccountEnded { account: *account, devices })
}

/// A deleted account's part in a space: the last one there takes it along. Where others are, they keep what
/// it wrote, and take nothing from it any more.
pub(super) fn leave_space<S: Store>(
    state: &mut State<S>,
    id: &SpaceId,
    account: &AccountId,
    time_ms: u64,
) -> Result<Effect, Fault> {
    let Some(space) = state.space(id)?.filter(|space| space.has(account)) else {
        return Ok(Effect::Done);
    };
    let others: Vec<_> = space.members().filter(|member| member != account).collect();
    for other in &others {
        if state.store().row(Table::Marks, &member(id, other))?.is_none() {
            let mark = rows::encode(&MarkRow { is_deleted: true, time_ms });
            state.store_mut().put(Table::Marks, &member(id, account), mark);
            return Ok(Effect::Done);
        }
    }
    end_space(state, id, time_ms)
}

/// An account is no member of a space any more.
pub(super) fn forget_member<S: Store>(state: &mut State<S>, space: &SpaceId, account: &AccountId) {
    state.store_mut().delete(Table::Marks, &member(space, account));
}

fn member(space: &SpaceId, account: &AccountId) -> Vec<u8> {
    key(MEMBER, &key2(space.as_bytes(), account.as_bytes()))
}

/// Takes an address away from whoever has it.
pub(super) fn release_address<S: Store>(
    state: &mut State<S>,
    address: &Address,
    time_ms: u64,
) -> Result<Effect, Fault> {
    let account = state.address(address)?.ok_or(Rejection::NotFound)?;
    state.store_mut().delete(Table::Addresses, address.as_str().as_bytes());
    let (address, at) = (address.clone(), state.applied());
    state.put_fact(time_ms, Action::NoteAddress { account, address, leads: false, at });
    Ok(Effect::Done)
}

/// Sweeps some of what ended.
pub(super) fn sweep<S: Store>(state: &mut State<S>, swept: &Swept) -> Result<Effect, Fault> {
    let key = swept.key();
    let Some(row) = state.store().row(Table::Sweeps, &key)? else { return Ok(Effect::Done) };
    let SweepRow { number } = rows::decode("sweep", &row)?;
    let done = match swept {
        Swept::Space(space) => sweep_space(state, space, number)?,
        Swept::Account(account) => sweep_account(state, account)?,
    };
    if done {
        state.store_mut().delete(Table::Sweeps, &key);
    }
    Ok(Effect::Done)
}

/// Whether nothing is left.
fn sweep_space<S: Store>(
    state: &mut State<S>,
    space: &SpaceId,
    number: u32,
) -> Result<bool, StoreError> {
    let (from, to) = (numbered(number, 0), numbered(number.saturating_add(1), 0));
    // Entries go with the row of the index that finds them.
    let chunks = some_rows(state, Table::Index, &from, &to, STEP / 64)?;
    for (key, row) in &chunks {
        for position in crate::rules::log::positions(row)? {
            state.store_mut().delete(Table::Entries, &position.to_be_bytes());
        }
        state.store_mut().delete(Table::Index, key);
    }
    let mut room = STEP.saturating_sub(chunks.len() * 64);
    let is_left = chunks.len() >= STEP / 64;
    let ends = key2(space.as_bytes(), &[0xff; 9]);
    for (table, from, to) in [
        (Table::Tips, &from[..], &to[..]),
        (Table::Registers, &from[..], &to[..]),
        (Table::Welcomes, space.as_bytes().as_slice(), ends.as_slice()),
        (Table::WelcomesLeft, space.as_bytes().as_slice(), ends.as_slice()),
    ] {
        let gone = some_rows(state, table, from, to, room)?;
        room = room.saturating_sub(gone.len());
        for (key, _) in gone {
            state.store_mut().delete(table, &key);
        }
    }
    state.spaces_mut().end_tips();
    Ok(!is_left && room > 0)
}

fn sweep_account<S: Store>(state: &mut State<S>, account: &AccountId) -> Result<bool, StoreError> {
    let mut room = STEP;
    let ends = key2(account.as_bytes(), &[0xff; 33]);
    // There are no more of these than memberships. They are this store's own, so none of the room for what
    // is swept alike everywhere is theirs.
    for table in [Table::Active, Table::ActiveAt] {
        for (key, _) in some_rows(state, table, account.as_bytes(), &ends, STEP)? {
            state.store_mut().delete(table, &key);
        }
    }
    for table in [Table::Memberships, Table::Unanswered] {
        let gone = some_rows(state, table, account.as_bytes(), &ends, room)?;
        room = room.saturating_sub(gone.len());
        for (key, _) in gone {
            state.store_mut().delete(table, &key);
        }
    }
    if room == 0 {
        return Ok(false);
    }
    let own =
        some_rows(state, Table::AddressesOf, account.as_bytes(), &ends_of_address(account), room)?;
    for (key, _) in &own {
        let address = key.get(AccountId::LEN..).unwrap_or_default();
        let row = state.store().row(Table::Addresses, address)?;
        let leads = row.map(|row| rows::decode::<AccountId>("address", &row)).transpose()?;
        if leads == Some(*account) {
            state.store_mut().delete(Table::Addresses, address);
        }
        state.store_mut().delete(Table::AddressesOf, key);
    }
    state.store_mut().delete(Table::Digests, account.as_bytes());
    state.store_mut().delete(Table::Accounts, account.as_bytes());
    Ok(own.len() < room)
}

fn some_rows<S: Store>(
    state: &State<S>,
    table: Table,
    from: &[u8],
    to: &[u8],
    most: usize,
) -> Result<Vec<Row>, StoreError> {
    let mut found = Vec::new();
    if most > 0 {
        state.store().scan(table, from, to, &mut |key, row| {
            found.push((key.to_vec(), row.to_vec()));
            found.len() < most
        })?;
    }
    Ok(found)
}

/// What is swept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
pub enum Swept {
    /// A space.
    #[n(0)]
    Space(#[n(0)] SpaceId),
    /// An account.
    #[n(1)]
    Account(#[n(0)] AccountId),
}

impl Swept {
    fn key(&self) -> Vec<u8> {
        match self {
            Self::Space(space) => key(SPACE, space.as_bytes()),
            Self::Account(account) => key(ACCOUNT, account.as_bytes()),
        }
    }

    fn of_key(key: &[u8]) -> Option<Self> {
        match key.split_first()? {
            (&SPACE, id) => Some(Self::Space(SpaceId::try_from(id).ok()?)),
            (&ACCOUNT, id) => Some(Self::Account(AccountId::try_from(id).ok()?)),
            _ => None,
        }
    }
}

fn key(kind: u8, id: &[u8]) -> Vec<u8> {
    key2(&[kind], id)
}

/// Whether an account may come.
///
/// # Errors
/// If the store fails.
pub fn standing<S: Store>(state: &State<S>, account: &AccountId) -> Result<Standing, StoreError> {
    let row = state.store().row(Table::Marks, &key(ACCOUNT, account.as_bytes()))?;
    let row = row.map(|row| rows::decode::<MarkRow>("mark", &row)).transpose()?;
    Ok(match row {
        None => Standing::Good,
        Some(row) if row.is_deleted => Standing::Deleted,
        Some(_) => Standing::Suspended,
    })
}

/// Whether a space was deleted.
///
/// # Errors
/// If the store fails.
pub fn is_deleted<S: Store>(state: &State<S>, space: &SpaceId) -> Result<bool, StoreError> {
    Ok(state.store().row(Table::Marks, &key(SPACE, space.as_bytes()))?.is_some())
}

/// Something that ended, and is not swept yet: the next one behind what was swept last, so that one of which
/// a row is damaged keeps none of the others.
///
/// # Errors
/// If the store fails.
pub fn unswept<S: Store>(
    state: &State<S>,
    last: Option<&Swept>,
) -> Result<Option<Swept>, StoreError> {
    let from = last.map(|last| key2(&last.key(), &[0])).unwrap_or_default();
    let mut found = None;
    state.store().scan(Table::Sweeps, &from, &[0xff; 40], &mut |key, _| {
        found = Swept::of_key(key);
        found.is_none()
    })?;
    match (found, last) {
        (None, Some(_)) => unswept(state, None),
        (found, _) => Ok(found),
    }
}

/// The addresses that lead to an account.
///
/// # Errors
/// If the store fails.
pub fn address_list_of<S: Store>(
    state: &State<S>,
    account: &AccountId,
) -> Result<Vec<String>, StoreError> {
    let (mut own, mut damaged) = (Vec::new(), None);
    let ends = ends_of_address(account);
    state.store().scan(Table::AddressesOf, account.as_bytes(), &ends, &mut |key, row| {
        let address = key.get(AccountId::LEN..).unwrap_or_default();
        match rows::decode::<AddressRow>("address", row) {
            Ok(row) if row.leads => own.push(String::from_utf8_lossy(address).into_owned()),
            Ok(_) => {}
            Err(error) => damaged = Some(error),
        }
        true
    })?;
    damaged.map_or(Ok(own), Err)
}

/// Behind all rows of an account's addresses.
fn ends_of_address(account: &AccountId) -> Vec<u8> {
    key2(account.as_bytes(), &[0xff])
}
