//! Invites: each lets one new account in, where not everybody may come. Accounts draw them, so many a day,
//! and so does the operator. The relay keeps the hashes of their codes.
//!
//! How many an account drew lies in its own partition; what a code is good for lies in the code's, and
//! comes there as a fact. A code remembers whom it let in: a founding that was cut short goes on by it.

use minicbor::{Decode, Encode};

use sync_protocol::error::Rejection;
use sync_protocol::ids::AccountId;

use crate::rules::admission::{self, TokenHash};
use crate::rules::command::Action;
use crate::rules::rows;
use crate::rules::state::State;
use crate::rules::{Effect, Fault, Standing, account, ends};
use crate::store::{Store, StoreError, Table};

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// What an invite is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Invite {
    /// Who drew it; `None` is the operator.
    #[n(0)]
    pub by: Option<AccountId>,
    /// Until when, Unix milliseconds.
    #[n(1)]
    pub until_ms: u64,
    /// Whom it let in.
    #[n(2)]
    pub used_by: Option<AccountId>,
}

impl Invite {
    /// Whether it lets an account in: the one that it let in already, or else anybody before its time is
    /// up.
    fn lets_in(&self, account: &AccountId, time_ms: u64) -> bool {
        match self.used_by {
            Some(used_by) => used_by == *account,
            None => time_ms < self.until_ms,
        }
    }
}

/// Invites that an account drew on one day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Drawn {
    /// The newest day that it drew any on, since 1970.
    #[n(0)]
    day: u64,
    /// How many.
    #[n(1)]
    count: u64,
    /// The newest of them.
    #[n(2)]
    newest: TokenHash,
}

impl Drawn {
    /// How many on a day.
    fn on(&self, day: u64) -> u64 {
        if rows::is_another_day(self.day, day) { 0 } else { self.count }
    }
}

/// An account draws one, if it did not draw `most` today. The newest again changes nothing: whoever did
/// not hear the answer asks once more.
pub(super) fn draw<S: Store>(
    state: &mut State<S>,
    account: &AccountId,
    hash: &TokenHash,
    (until_ms, most): (u64, u64),
    time_ms: u64,
) -> Result<Effect, Fault> {
    state.log(account)?.ok_or(Rejection::NotFound)?;
    if ends::standing(state, account)? != Standing::Good {
        return Err(Rejection::Denied.into());
    }
    if !may_draw(state, account, hash, (most, time_ms))? {
        return Err(Rejection::Quota.into());
    }
    let (row, today) = (state.account(account)?, time_ms / DAY_MS);
    if row.drawn.is_some_and(|drawn| drawn.newest == *hash) {
        return Ok(Effect::Done);
    }
    let same = row.drawn.filter(|drawn| !rows::is_another_day(drawn.day, today));
    let day = same.map_or(today, |drawn| drawn.day);
    let count = row.drawn.map_or(0, |drawn| drawn.on(today)) + 1;
    let drawn = Some(Drawn { day, count, newest: *hash });
    account::put_account(state, account, rows::AccountRow { drawn, ..row });
    let invite = Invite { by: Some(*account), until_ms, used_by: None };
    state.put_fact(time_ms, Action::AddInvite { hash: *hash, invite });
    Ok(Effect::Done)
}

/// A code becomes good. One that is there stays as it is, whoever drew the same.
pub(super) fn add<S: Store>(
    state: &mut State<S>,
    hash: &TokenHash,
    invite: &Invite,
    time_ms: u64,
) -> Result<Effect, Fault> {
    if time_ms < invite.until_ms && get(state, hash)?.is_none() {
        state.store_mut().put(Table::Tokens, &key(hash), rows::encode(invite));
    }
    Ok(Effect::Done)
}

pub(super) fn remove<S: Store>(state: &mut State<S>, hash: &TokenHash) -> Effect {
    state.store_mut().delete(Table::Tokens, &key(hash));
    Effect::Done
}

/// A new account comes in by a code; by a token, if there is none that lets it in: whoever knows a token can
/// draw an invite under the same hash, which takes nothing from the token.
pub(super) fn redeem<S: Store>(
    state: &mut State<S>,
    hash: &TokenHash,
    account: &AccountId,
    time_ms: u64,
) -> Result<Effect, Fault> {
    let invite = get(state, hash)?.filter(|invite| invite.lets_in(account, time_ms));
    let Some(invite) = invite else {
        return admission::spend(state, hash, time_ms);
    };
    let used = Invite { used_by: Some(*account), ..invite };
    state.store_mut().put(Table::Tokens, &key(hash), rows::encode(&used));
    Ok(Effect::Done)
}

/// Whether an account would come in by a code or a token now. Nothing is changed. An account that may
/// not come itself lets nobody in.
///
/// # Errors
/// `Denied` if it would not.
pub fn would_redeem<S: Store>(
    state: &State<S>,
    hash: &TokenHash,
    account: &AccountId,
    time_ms: u64,
) -> Result<(), Fault> {
    let invite = get(state, hash)?.filter(|invite| invite.lets_in(account, time_ms));
    let by = invite.map(|invite| invite.by.map(|by| ends::standing(state, &by)).transpose());
    match by.transpose()? {
        Some(None | Some(Standing::Good)) => Ok(()),
        None | Some(Some(Standing::Suspended | Standing::Deleted)) => {
            admission::good(state, hash, time_ms).map(drop)
        }
    }
}

/// All invites.
///
/// # Errors
/// If the store fails.
pub fn invites<S: Store>(state: &State<S>) -> Result<Vec<(TokenHash, Invite)>, StoreError> {
    some(state, &[], usize::MAX).map(|(found, _)| found)
}

/// Some invites, and the key to go on from.
pub(crate) type Portion = (Vec<(TokenHash, Invite)>, Option<Vec<u8>>);

/// Up to so many invites, in the order of their hashes from a key on, and the key to go on from.
pub(crate) fn some<S: Store>(
    state: &State<S>,
    from: &[u8],
    most: usize,
) -> Result<Portion, StoreError> {
    let (mut found, mut seen, mut next, mut damaged) = (Vec::new(), 0, None, None);
    state.store().scan(Table::Tokens, from, &BEHIND, &mut |key, row| {
        if seen == most {
            next = Some(key.to_vec());
            return false;
        }
        seen += 1;
        // Tokens lie in between, under shorter keys.
        let hash = key.split_first().and_then(|(_, hash)| <[u8; 32]>::try_from(hash).ok());
        let Some(hash) = hash else { return true };
        match rows::decode("invite", row) {
            Ok(invite) => found.push((TokenHash::from_bytes(hash), invite)),
            Err(error) => damaged = Some(error),
        }
        true
    })?;
    damaged.map_or(Ok((found, next)), Err)
}

/// Whether an account may draw an invite now, if it may draw `most` in a day.
///
/// # Errors
/// If the store fails.
pub fn may_draw<S: Store>(
    state: &State<S>,
    account: &AccountId,
    hash: &TokenHash,
    (most, time_ms): (u64, u64),
) -> Result<bool, StoreError> {
    let drawn = state.account(account)?.drawn;
    Ok(drawn.map_or(most > 0, |drawn| drawn.newest == *hash || drawn.on(time_ms / DAY_MS) < most))
}

fn get<S: Store>(state: &State<S>, hash: &TokenHash) -> Result<Option<Invite>, StoreError> {
    let row = state.store().row(Table::Tokens, &key(hash))?;
    row.map(|row| rows::decode("invite", &row)).transpose()
}

/// The keys of invites are longer than those of tokens by this byte.
const INVITE: u8 = 0;
/// What is behind them.
const BEHIND: [u8; 1] = [INVITE + 1];

fn key(hash: &TokenHash) -> Vec<u8> {
    rows::key2(&[INVITE], hash.as_bytes())
}
