//! What must hold once a world has healed and come to rest, whatever happened before.

mod ended;
mod equal;
mod just;
mod kept;
mod named;
mod ordered;
mod removed;
mod shown;
mod siblings;

use std::collections::{BTreeMap, BTreeSet};

use sync_core::api::MessageView;
use sync_core::document::OrderKey;
use sync_protocol::{AccountId, SpaceId};

use crate::MARK;
use crate::book::Book;
use crate::relay_store::RelayStore;
use crate::violation::{Invariant, Violation};
use crate::world::{Remnant, Seen};

/// Holds what everybody sees against what everybody was promised.
///
/// # Errors
/// The first promise that was broken.
pub fn check(
    book: &Book,
    seen: &[Seen],
    remnants: &[Remnant],
    store: Option<&RelayStore>,
) -> Result<(), Violation> {
    equal::check(book, seen)?;
    named::check(book, seen)?;
    kept::check(book, seen)?;
    if !book.misdated {
        ordered::check(book, seen)?;
    }
    removed::check(book, seen)?;
    siblings::check(book, seen)?;
    shown::check(book, seen)?;
    ended::check(book, seen, remnants)?;
    sealed(store)
}

/// Holds what honest people see against what no liar has the power to do.
///
/// # Errors
/// The first promise that was broken.
pub fn check_lies(book: &Book, seen: &[Seen]) -> Result<(), Violation> {
    just::check(book, seen)
}

/// The relay's store holds no plaintext. Addresses are the one thing it knows.
fn sealed(store: Option<&RelayStore>) -> Result<(), Violation> {
    match store.and_then(|store| store.holds(MARK.as_bytes())) {
        Some(table) => {
            let detail = format!("the relay's {table:?} hold a plaintext");
            Err(Violation::new(Invariant::Sealed, detail))
        }
        None => Ok(()),
    }
}

/// All conversations that somebody shows.
fn conversations(seen: &[Seen]) -> BTreeSet<SpaceId> {
    seen.iter().flat_map(|seen| seen.conversations.keys().copied()).collect()
}

/// Those who show themselves as members.
fn members(seen: &[Seen], space: SpaceId) -> Vec<&Seen> {
    let active = |seen: &&Seen| seen.conversations.get(&space).is_some_and(|view| view.active);
    seen.iter().filter(active).collect()
}

/// Whether somebody may read everything in a conversation.
fn reads_all(book: &Book, seen: &Seen, space: SpaceId) -> bool {
    has_all(book, (seen.device, seen.account), space, &mut BTreeSet::new())
}

/// Whether a device has everything of a conversation: it came with history, its account was there
/// from the start and stayed, or was added with history by a device that has everything. Who is asked
/// to share history and has none shares none. `asked` are the devices that the question came by.
fn has_all(
    book: &Book,
    (device, account): (usize, AccountId),
    space: SpaceId,
    asked: &mut BTreeSet<usize>,
) -> bool {
    let Some(company) = book.companies.get(&space) else { return false };
    let shared_by = company.shared_by.get(&account).into_iter().flatten();
    asked.insert(device)
        && !book.newcomers.contains_key(&device)
        && !lacks_times(book, &account, space)
        && company.whole.contains(&account)
        && !company.partial.contains(&account)
        && !company.removed.contains(&account)
        && company.adds.get(&account).is_none_or(|adds| *adds <= 1)
        && shared_by.into_iter().all(|by| {
            let owner = book.owners.get(by).copied();
            owner.is_some_and(|owner| has_all(book, (*by, owner), space, asked))
        })
}

/// Whether an account may lack the keys of a time in which none of its devices was in a conversation:
/// it was brought back, or its last device there ended before another had come in.
fn lacks_times(book: &Book, account: &AccountId, space: SpaceId) -> bool {
    let company = book.companies.get(&space);
    book.bereaved.contains(account)
        || company.is_some_and(|company| company.deserted.contains(account))
}

/// Where each message stands on a screen.
fn places(page: &[MessageView]) -> BTreeMap<OrderKey, usize> {
    page.iter().enumerate().map(|(place, view)| (view.message, place)).collect()
}
