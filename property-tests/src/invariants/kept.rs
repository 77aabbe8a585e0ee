//! What was acknowledged is kept, once, and what was stored is everywhere.

use std::collections::BTreeSet;

use serde_json::Value;
use sync_core::api::MessageView;
use sync_core::document::OrderKey;
use sync_protocol::{AccountId, SpaceId};

use super::{conversations, lacks_times, members, reads_all};
use crate::book::{Book, Written};
use crate::violation::{Invariant, Violation};
use crate::world::Seen;

pub(super) fn check(book: &Book, seen: &[Seen]) -> Result<(), Violation> {
    for ((space, key), written) in &book.written {
        message(book, seen, (*space, *key), written)?;
    }
    for one in seen {
        for (space, page) in &one.messages {
            once(book, one, *space, page)?;
        }
        settings(book, one)?;
        inherited(book, one)?;
    }
    for space in conversations(seen) {
        for one in members(seen, space) {
            if reads_all(book, one, space) {
                tally(book, one, space)?;
                reactions(book, one, space)?;
            }
        }
    }
    Ok(())
}

/// A message is where it must be, and says what its author wrote: the last of it, unless the author
/// was removed and may not have got through with that.
fn message(
    book: &Book,
    seen: &[Seen],
    (space, key): (SpaceId, OrderKey),
    written: &Written,
) -> Result<(), Violation> {
    let author = seen.iter().find(|one| one.device == written.device);
    let company = book.companies.get(&space);
    let left = author.is_none_or(|author| {
        company.is_some_and(|company| company.removed.contains(&author.account))
    });
    let promised = written.stored || written.shown;
    for one in seen {
        let view = one.messages.get(&space).and_then(|page| {
            view_of(page, key).or_else(|| moved(page, written).filter(|_| written.moves))
        });
        if let Some(view) = view {
            if follows(book, one, space) {
                let open = left
                    || written.open
                    || book.is_open(&written.touched)
                    || lacks_a_time(book, one, space, written);
                says(one, space, view, (written, open))?;
            }
            continue;
        }
        if entitled(book, one, space, written) && (promised || !(left || written.uncertain)) {
            let invariant = if promised { Invariant::Stored } else { Invariant::Kept };
            let detail = format!(
                "device {} misses {key} of device {} in {space:?} (stored {}, shown {})",
                one.device, written.device, written.stored, written.shown
            );
            return Err(Violation::new(invariant, detail));
        }
    }
    Ok(())
}

/// Whether somebody may have missed what was changed of a message: an account that was brought back
/// lacks the keys of the time in which none of its devices was there, and shows what is older as it
/// was before. [`equal`](super::equal) says more.
fn lacks_a_time(book: &Book, one: &Seen, space: SpaceId, written: &Written) -> bool {
    let rested = book.rested_from.is_some_and(|from| written.number >= from);
    lacks_times(book, &one.account, space) && !rested
}

/// Whether somebody hears of every change: who was removed keeps what it read before.
fn follows(book: &Book, one: &Seen, space: SpaceId) -> bool {
    let active = one.conversations.get(&space).is_some_and(|view| view.active);
    let company = book.companies.get(&space);
    active && !company.is_some_and(|company| company.removed.contains(&one.account))
}

/// Whether somebody must show a message: its author, who reads everything, and who was a member in
/// its author's eyes and was never removed.
fn entitled(book: &Book, one: &Seen, space: SpaceId, written: &Written) -> bool {
    let company = book.companies.get(&space);
    let left = company.is_some_and(|company| company.removed.contains(&one.account));
    let known = written.asked.members.contains(&one.account) && follows(book, one, space);
    let active = one.conversations.get(&space).is_some_and(|view| view.active);
    if book.newcomers.contains_key(&one.device) {
        let rested = book.rested_from.is_some_and(|from| written.number >= from);
        return active && known && rested;
    }
    if lacks_times(book, &one.account, space) {
        // What was said to be stored on a device that was lost is there again.
        let own = book.owners.get(&written.device) == Some(&one.account);
        let rested = book.rested_from.is_some_and(|from| written.number >= from);
        return active && ((own && written.stored && !left) || (known && rested));
    }
    active && (one.device == written.device || known || reads_all(book, one, space))
}

fn view_of(page: &[MessageView], key: OrderKey) -> Option<&MessageView> {
    page.iter().find(|view| view.message == key)
}

/// The message as it was made anew.
fn moved<'a>(page: &'a [MessageView], written: &Written) -> Option<&'a MessageView> {
    page.iter().find(|view| written.text.allowed(&view.text))
}

fn says(
    one: &Seen,
    space: SpaceId,
    view: &MessageView,
    (written, left): (&Written, bool),
) -> Result<(), Violation> {
    let deleted = written.deleted.allows(&view.deleted) || (left && !view.deleted);
    let text = written.text.allows(&view.text) || (left && written.text.allowed(&view.text));
    let fits = if view.deleted {
        deleted && view.text.is_empty()
    } else {
        deleted && text && view.reply_to == written.reply_to
    };
    if fits {
        return Ok(());
    }
    let detail = format!("device {} shows {view:?} in {space:?} for {written:?}", one.device);
    Err(Violation::new(Invariant::Kept, detail))
}

/// Nothing is doubled, and nothing is there that nobody wrote.
fn once(book: &Book, one: &Seen, space: SpaceId, page: &[MessageView]) -> Result<(), Violation> {
    let mut keys = BTreeSet::new();
    let mut texts = BTreeSet::new();
    for view in page {
        let doubled =
            !keys.insert(view.message) || (!view.deleted && !texts.insert(view.text.as_str()));
        let known = book.written.contains_key(&(space, view.message))
            || view.deleted
            || book.has_moved(space, &view.text)
            || book.doubtful.contains(&view.text)
            || book.lies.get(&view.text) == Some(&view.author);
        if doubled || !known {
            let what = if doubled { "twice" } else { "that nobody wrote" };
            let detail = format!("device {} shows {view:?} in {space:?} {what}", one.device);
            return Err(Violation::new(Invariant::Kept, detail));
        }
    }
    Ok(())
}

fn settings(book: &Book, one: &Seen) -> Result<(), Violation> {
    let own = book.settings.range((one.device, String::new())..(one.device + 1, String::new()));
    for ((_, key), outcome) in own {
        let value = one.settings.get(key).cloned().unwrap_or(Value::Null);
        if !outcome.allows(&value) {
            let device = one.device;
            let detail = format!("device {device} has {value} for {key}, not {outcome:?}");
            return Err(Violation::new(Invariant::Kept, detail));
        }
    }
    Ok(())
}

/// What ended devices of the account had set stays as they left it.
fn inherited(book: &Book, one: &Seen) -> Result<(), Violation> {
    let gone = |device| book.gone.contains(device) && book.owners.get(device) == Some(&one.account);
    for ((device, key), outcome) in book.settings.iter().filter(|((device, _), _)| gone(device)) {
        let value = one.settings.get(key).cloned().unwrap_or(Value::Null);
        if !outcome.allowed(&value) {
            let here = one.device;
            let detail = format!("{here} has {value} for {key} of {device}, not {outcome:?}");
            return Err(Violation::new(Invariant::Stored, detail));
        }
    }
    Ok(())
}

/// A counter holds what was counted, no less and no more.
fn tally(book: &Book, one: &Seen, space: SpaceId) -> Result<(), Violation> {
    let Some(tally) = book.tallies.get(&space) else { return Ok(()) };
    let left = |account: &AccountId| {
        book.companies.get(&space).is_some_and(|company| company.removed.contains(account))
    };
    let stays = |account: &AccountId, device: &usize| !left(account) && !book.gone.contains(device);
    let stayed = tally.counted.iter().filter(|((account, device), _)| stays(account, device));
    let least: u64 = stayed.map(|(_, counted)| counted).sum();
    let most: u64 = tally.counted.values().sum::<u64>() + tally.maybe;
    let count = one.tallies.get(&space).copied().unwrap_or_default();
    if (least..=most).contains(&count) {
        return Ok(());
    }
    let device = one.device;
    let detail = format!("device {device} counts {count} in {space:?}, not {least} to {most}");
    Err(Violation::new(Invariant::Kept, detail))
}

fn reactions(book: &Book, one: &Seen, space: SpaceId) -> Result<(), Violation> {
    let removed = book.companies.get(&space).map(|company| &company.removed);
    for view in one.messages[&space].iter().filter(|view| !view.deleted) {
        let accounts = book.companies.get(&space).map(|company| &company.whole);
        for account in accounts.into_iter().flatten() {
            let Some(outcome) = book.reactions.get(&(space, view.message, *account)) else {
                continue;
            };
            let emoji = view.reactions.get(account).cloned();
            let on = book.reacted_on.get(&(space, view.message, *account));
            let forgotten = book.forgotten.contains(&(space, view.message, *account));
            if forgotten || on.is_some_and(|devices| book.is_open(devices)) {
                continue;
            }
            if !outcome.allows(&emoji) && !removed.is_some_and(|gone| gone.contains(account)) {
                let device = one.device;
                let detail = format!("device {device} shows {emoji:?}, not {outcome:?}: {view:?}");
                return Err(Violation::new(Invariant::Kept, detail));
            }
        }
    }
    Ok(())
}
