//! What no liar has the power to do to honest people.
//!
//! A relay may keep back and a member may leave: neither puts anybody else out unseen, nor makes a
//! tick that is not true. What is withheld is there again once the relay is honest, so these hold for
//! what everybody sees then.

use std::collections::BTreeSet;

use sync_core::api::MessageView;
use sync_core::document::OrderKey;
use sync_protocol::{AccountId, SpaceId};

use super::lacks_times;
use crate::book::Book;
use crate::violation::{Invariant, Violation};
use crate::world::Seen;

pub(super) fn check(book: &Book, seen: &[Seen]) -> Result<(), Violation> {
    for one in seen {
        not_put_out(book, one)?;
        for (space, page) in &one.messages {
            for view in page {
                ticks(book, seen, (one, *space), view)?;
                authors(book, one, view)?;
            }
        }
    }
    Ok(())
}

/// Nobody is out of a conversation whom nobody removed by a command, and who did not leave.
fn not_put_out(book: &Book, one: &Seen) -> Result<(), Violation> {
    for (space, view) in one.conversations.iter().filter(|(_, view)| !view.active) {
        let company = book.companies.get(space);
        if !company.is_some_and(|company| company.removed.contains(&one.account)) {
            let detail = format!("device {} is out of {space:?}: {view:?}", one.device);
            return Err(Violation::new(Invariant::Just, detail));
        }
    }
    Ok(())
}

/// Whoever is said to have a message has it. A liar says of itself what it likes, and who was removed
/// or came back without a time may have had what it shows no longer.
fn ticks(
    book: &Book,
    seen: &[Seen],
    (one, space): (&Seen, SpaceId),
    view: &MessageView,
) -> Result<(), Violation> {
    let company = book.companies.get(&space);
    // Of which a device is gone, or was shown another log: it may be the one that has it.
    let lost: BTreeSet<&AccountId> =
        book.gone.iter().filter_map(|device| book.owners.get(device)).collect();
    let stayed = |account: &AccountId| {
        !lacks_times(book, account, space)
            && !lost.contains(account)
            && !company.is_some_and(|company| company.removed.contains(account))
    };
    for account in view.delivered.iter().chain(&view.read).filter(|account| stayed(account)) {
        let mut devices = seen.iter().filter(|other| other.account == *account).peekable();
        let has = |other: &Seen| {
            let keys = other.messages.get(&space).into_iter().flatten().map(|view| view.message);
            keys.collect::<BTreeSet<OrderKey>>().contains(&view.message)
        };
        if devices.peek().is_some() && !devices.any(has) {
            let detail = format!("device {} says that {account} has {view:?}", one.device);
            return Err(Violation::new(Invariant::Just, detail));
        }
    }
    Ok(())
}

/// What an honest person wrote bears that person's name, and nothing else does.
fn authors(book: &Book, one: &Seen, view: &MessageView) -> Result<(), Violation> {
    let known = book.written.values().find(|written| written.text.allowed(&view.text));
    let Some(written) = known.filter(|_| !view.deleted) else { return Ok(()) };
    match book.owners.get(&written.device) {
        Some(owner) if *owner != view.author => {
            let detail = format!("device {} shows {view:?}, which {owner} wrote", one.device);
            Err(Violation::new(Invariant::Just, detail))
        }
        _ => Ok(()),
    }
}
