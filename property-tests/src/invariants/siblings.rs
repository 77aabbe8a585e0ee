//! The devices of one account show the same account.

use std::collections::{BTreeMap, BTreeSet};

use sync_protocol::{AccountId, SpaceId};

use crate::book::Book;
use crate::violation::{Invariant, Violation};
use crate::world::Seen;

pub(super) fn check(book: &Book, seen: &[Seen]) -> Result<(), Violation> {
    let mut families: BTreeMap<AccountId, Vec<&Seen>> = BTreeMap::new();
    for one in seen {
        families.entry(one.account).or_default().push(one);
    }
    for family in families.values() {
        for pair in family.windows(2) {
            same_list(pair[0], pair[1])?;
        }
        let reads_all = |one: &&&Seen| !book.newcomers.contains_key(&one.device);
        let whole: Vec<&&Seen> = family.iter().filter(reads_all).collect();
        for pair in whole.windows(2) {
            same_account(pair[0], pair[1])?;
        }
    }
    for one in seen {
        nothing_older(book, one)?;
    }
    Ok(())
}

/// Settings and conversations, whether a device may read what was before it or not.
fn same_list(one: &Seen, other: &Seen) -> Result<(), Violation> {
    let active = |seen: &Seen| -> BTreeSet<SpaceId> {
        let views = seen.conversations.iter();
        views.filter(|(_, view)| view.active).map(|(space, _)| *space).collect()
    };
    if active(one) != active(other) {
        let only: Vec<_> = active(one).symmetric_difference(&active(other)).copied().collect();
        return Err(differ(one, other, &format!("conversations: {only:?}")));
    }
    if one.settings != other.settings {
        let what = format!("settings: {:?} and {:?}", one.settings, other.settings);
        return Err(differ(one, other, &what));
    }
    Ok(())
}

fn same_account(one: &Seen, other: &Seen) -> Result<(), Violation> {
    let Some((first, second)) = one.own.as_ref().zip(other.own.as_ref()) else { return Ok(()) };
    if first.frontier != second.frontier {
        let what = format!("frontiers {:?} and {:?}", first.frontier, second.frontier);
        return Err(differ(one, other, &what));
    }
    for name in first.documents.keys().chain(second.documents.keys()) {
        if first.documents.get(name) != second.documents.get(name) {
            return Err(differ(one, other, &format!("the account's {name}")));
        }
    }
    Ok(())
}

/// A device linked without history shows nothing that was stored before in a conversation that its
/// account was in then.
fn nothing_older(book: &Book, one: &Seen) -> Result<(), Violation> {
    let Some(before) = book.newcomers.get(&one.device).map(|newcomer| &newcomer.before) else {
        return Ok(());
    };
    for (space, page) in &one.messages {
        if let Some(view) = page.iter().find(|view| before.contains(&(*space, view.message))) {
            let device = one.device;
            let detail = format!("{device} was linked without history and shows {view:?}");
            return Err(Violation::new(Invariant::Removed, detail));
        }
    }
    Ok(())
}

fn differ(one: &Seen, other: &Seen, what: &str) -> Violation {
    let detail = format!("devices {} and {} of one account: {what}", one.device, other.device);
    Violation::new(Invariant::Equal, detail)
}
