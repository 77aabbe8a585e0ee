//! Which of an account's spaces have something new, so that a device that comes back costs what
//! changed and not what there is.
//!
//! Each account has a row for each of its spaces under the position of its newest entry. A space that
//! is appended to is noted, in one row; its members' rows follow together, some seconds later. So a busy
//! space costs each of them a few rows in that time, and not with each entry. Until then what is noted
//! is looked up here. Positions are names local to one store, and so is all of this: it decides nothing.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use sync_protocol::ids::{AccountId, SpaceId};

use crate::rules::rows::{self, key2};
use crate::rules::space::Space;
use crate::rules::state::State;
use crate::rules::{Standing, ends};
use crate::store::{Store, StoreError, Table};

/// Members' rows that are written at once, at least.
const ROWS: usize = 1_024;
/// In so many goes all is written that is noted.
const GOES: usize = 4;

/// Spaces whose members' rows are behind.
#[derive(Debug, Default)]
pub(super) struct Activity {
    noted: BTreeMap<SpaceId, BTreeSet<AccountId>>,
    order: VecDeque<SpaceId>,
    of: BTreeMap<AccountId, BTreeSet<SpaceId>>,
    accounts: usize,
}

impl Activity {
    /// Notes a space with its members. Whether it was not noted before.
    fn note(&mut self, space: SpaceId, members: impl Iterator<Item = AccountId>) -> bool {
        let is_new = !self.noted.contains_key(&space);
        if is_new {
            self.order.push_back(space);
        }
        let noted = self.noted.entry(space).or_default();
        for account in members.filter(|account| noted.insert(*account)) {
            self.of.entry(account).or_default().insert(space);
            self.accounts += 1;
        }
        is_new
    }

    fn has(&self, space: &SpaceId) -> bool {
        self.noted.contains_key(space)
    }

    /// Takes the space that was noted first, with its members.
    fn take(&mut self) -> Option<(SpaceId, BTreeSet<AccountId>)> {
        let space = self.order.pop_front()?;
        let members = self.noted.remove(&space)?;
        for account in &members {
            let Some(spaces) = self.of.get_mut(account) else { continue };
            spaces.remove(&space);
            if spaces.is_empty() {
                self.of.remove(account);
            }
        }
        self.accounts = self.accounts.saturating_sub(members.len());
        Some((space, members))
    }

    fn of(&self, account: &AccountId) -> impl Iterator<Item = SpaceId> + '_ {
        self.of.get(account).into_iter().flatten().copied()
    }
}

/// A space was appended to. `added`: it has members that it did not have before.
pub(super) fn note<S: Store>(state: &mut State<S>, id: &SpaceId, space: &Space, added: bool) {
    if !added && state.activity.has(id) {
        return;
    }
    if state.activity.note(*id, space.members()) {
        state.store_mut().put(Table::Noted, id.as_bytes(), Vec::new());
    }
}

/// What was noted before a crash is noted still.
pub(super) fn load<S: Store>(state: &mut State<S>) -> Result<(), StoreError> {
    let mut noted = Vec::new();
    state.store().scan(Table::Noted, &[], &[0xff; SpaceId::LEN + 1], &mut |key, _| {
        noted.extend(SpaceId::try_from(key).ok());
        true
    })?;
    for id in noted {
        let members: Vec<_> = match state.space(&id) {
            Ok(space) => space.into_iter().flat_map(Space::members).collect(),
            // Its own trouble, and nobody else's.
            Err(error) if error.is_damage() => continue,
            Err(error) => return Err(error),
        };
        state.activity.note(id, members.into_iter());
    }
    Ok(())
}

/// Writes where an account's space was active last.
pub(super) fn put<S: Store>(
    state: &mut State<S>,
    account: &AccountId,
    space: &SpaceId,
    position: u64,
) -> Result<(), StoreError> {
    let at = rows::membership(account, space);
    let before = state.store().row(Table::ActiveAt, &at)?;
    let before: Option<u64> = before.map(|row| rows::decode("activity", &row)).transpose()?;
    if before == Some(position) {
        return Ok(());
    }
    if let Some(before) = before {
        state.store_mut().delete(Table::Active, &active(account, before, space));
    }
    state.store_mut().put(Table::Active, &active(account, position, space), Vec::new());
    state.store_mut().put(Table::ActiveAt, &at, rows::encode(&position));
    Ok(())
}

impl<S: Store> State<S> {
    /// Writes rows of members of spaces that were appended to, those of the longest ago first.
    ///
    /// # Errors
    /// If the store fails.
    pub fn write_activity(&mut self) -> Result<(), StoreError> {
        let most = ROWS.max(self.activity.accounts / GOES);
        let mut written = 0;
        while written < most {
            let Some((id, members)) = self.activity.take() else { return Ok(()) };
            written += members.len().max(1);
            let position = match self.space(&id) {
                Ok(space) => space.map(Space::position),
                Err(error) if error.is_damage() => continue,
                Err(error) => return Err(error),
            };
            for account in position.iter().flat_map(|_| &members) {
                // Who is deleted stays in the rosters of others.
                if ends::standing(self, account)? != Standing::Deleted {
                    put(self, account, &id, position.unwrap_or_default())?;
                }
            }
            self.store_mut().delete(Table::Noted, id.as_bytes());
        }
        Ok(())
    }

    /// An account's spaces that were active after a position, and perhaps some others.
    ///
    /// # Errors
    /// If the store fails.
    pub fn active_since(
        &self,
        account: &AccountId,
        position: u64,
    ) -> Result<BTreeSet<SpaceId>, StoreError> {
        let mut active: BTreeSet<_> = self.activity.of(account).collect();
        let from = key2(account.as_bytes(), &position.saturating_add(1).to_be_bytes());
        let to = key2(account.as_bytes(), &[0xff; 9]);
        self.store().scan(Table::Active, &from, &to, &mut |key, _| {
            let space = key.last_chunk().map(|id| SpaceId::from_bytes(*id));
            active.extend(space);
            true
        })?;
        Ok(active)
    }
}

fn active(account: &AccountId, position: u64, space: &SpaceId) -> Vec<u8> {
    [account.as_bytes().as_slice(), &position.to_be_bytes(), space.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn space(n: u8) -> SpaceId {
        SpaceId::from_bytes([n; 32])
    }

    fn account(n: u8) -> AccountId {
        AccountId::from_bytes([n; 33])
    }

    #[test]
    fn what_is_noted_is_found_by_account_until_it_is_taken() {
        let mut activity = Activity::default();
        assert!(activity.note(space(1), [account(1), account(2)].into_iter()));
        assert!(!activity.note(space(1), [account(2), account(3)].into_iter()));
        assert!(activity.note(space(2), [account(1)].into_iter()));
        assert_eq!(activity.of(&account(1)).collect::<Vec<_>>(), [space(1), space(2)]);
        assert_eq!(activity.of(&account(3)).collect::<Vec<_>>(), [space(1)]);
        assert_eq!(activity.accounts, 4);
        let (first, members) = activity.take().unwrap();
        assert_eq!((first, members.len()), (space(1), 3));
        assert_eq!(activity.of(&account(1)).collect::<Vec<_>>(), [space(2)]);
        activity.take().unwrap();
        assert!(activity.take().is_none() && activity.of.is_empty() && activity.accounts == 0);
    }
}
