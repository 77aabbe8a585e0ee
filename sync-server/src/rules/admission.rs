//! Tokens that let new accounts in, where not everybody may come. The relay keeps their hashes.

use minicbor::{Decode, Encode};

use sync_protocol::error::Rejection;
use sync_protocol::frames;

use crate::rules::rows;
use crate::rules::state::State;
use crate::rules::{Effect, Fault};
use crate::store::{Store, StoreError, Table};

/// The hash of a token or an invite's code: what the relay knows it by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
pub struct TokenHash(#[cbor(n(0), with = "minicbor::bytes")] [u8; 32]);

impl TokenHash {
    /// The hash of a token or a code as it was written.
    #[must_use]
    pub fn of(token: &str) -> Self {
        Self(frames::token_hash(token))
    }

    /// What a device says that it is.
    #[must_use]
    pub fn from_bytes(hash: [u8; 32]) -> Self {
        Self(hash)
    }

    pub(super) fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// What it is called in lists: no use to whoever wants to come in.
    #[must_use]
    pub fn name(&self) -> String {
        self.0.iter().take(6).map(|byte| format!("{byte:02x}")).collect()
    }
}

/// What is left of a token.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Token {
    /// How many accounts it still lets in.
    #[n(0)]
    pub uses: u64,
    /// Until when, Unix milliseconds; `None` for ever.
    #[n(1)]
    pub until_ms: Option<u64>,
    /// What its operator wrote down about it.
    #[n(2)]
    pub note: String,
}

pub(super) fn add<S: Store>(state: &mut State<S>, hash: &TokenHash, token: &Token) -> Effect {
    state.store_mut().put(Table::Tokens, &hash.0, rows::encode(token));
    Effect::Done
}

pub(super) fn remove<S: Store>(state: &mut State<S>, hash: &TokenHash) -> Effect {
    state.store_mut().delete(Table::Tokens, &hash.0);
    Effect::Done
}

pub(super) fn spend<S: Store>(
    state: &mut State<S>,
    hash: &TokenHash,
    time_ms: u64,
) -> Result<Effect, Fault> {
    let mut token = good(state, hash, time_ms)?;
    token.uses -= 1;
    match token.uses {
        0 => state.store_mut().delete(Table::Tokens, &hash.0),
        _ => state.store_mut().put(Table::Tokens, &hash.0, rows::encode(&token)),
    }
    Ok(Effect::Done)
}

/// A token, if it lets somebody in now.
pub(super) fn good<S: Store>(
    state: &State<S>,
    hash: &TokenHash,
    time_ms: u64,
) -> Result<Token, Fault> {
    let row = state.store().row(Table::Tokens, &hash.0)?.ok_or(Rejection::Denied)?;
    let token: Token = rows::decode("token", &row)?;
    if token.until_ms.is_some_and(|until| until <= time_ms) || token.uses == 0 {
        return Err(Rejection::Denied.into());
    }
    Ok(token)
}

/// All tokens, by what they are called.
///
/// # Errors
/// If the store fails.
pub fn tokens<S: Store>(state: &State<S>) -> Result<Vec<(String, Token)>, StoreError> {
    let mut found = Vec::new();
    let mut damaged = None;
    state.store().scan(Table::Tokens, &[], &[0xff; 40], &mut |key, row| {
        let Ok(hash) = key.try_into().map(TokenHash) else { return true };
        match rows::decode("token", row) {
            Ok(token) => found.push((hash.name(), token)),
            Err(error) => damaged = Some(error),
        }
        true
    })?;
    damaged.map_or(Ok(found), Err)
}

/// The hashes of all tokens.
///
/// # Errors
/// If the store fails.
pub fn token_hashes<S: Store>(state: &State<S>) -> Result<Vec<TokenHash>, StoreError> {
    let mut found = Vec::new();
    state.store().scan(Table::Tokens, &[], &[0xff; 40], &mut |key, _| {
        found.extend(key.try_into().ok().map(TokenHash));
        true
    })?;
    Ok(found)
}
