//! Whoever wrote something that a member shows is called there as they call themselves.
//!
//! A name that was lost before it was stored nobody can know: an account that was brought back and
//! whose own devices have no name for it is called nothing until its user says a name again.

use std::collections::BTreeSet;

use sync_protocol::AccountId;

use crate::book::Book;
use crate::violation::{Invariant, Violation};
use crate::world::Seen;

pub(super) fn check(book: &Book, seen: &[Seen]) -> Result<(), Violation> {
    let named = |account: &AccountId| {
        book.people.iter().find(|person| person.account == Some(*account)).map(|one| &one.name)
    };
    for one in seen {
        for (space, page) in &one.messages {
            let authors: BTreeSet<AccountId> = page.iter().map(|view| view.author).collect();
            let Some(view) = one.conversations.get(space).filter(|view| view.active) else {
                continue;
            };
            let wrote = |account: &AccountId| authors.contains(account);
            for member in view.members.iter().filter(|member| wrote(&member.account)) {
                let lost =
                    member.name.is_empty() && came_back_nameless(book, seen, &member.account);
                if !lost && named(&member.account).is_some_and(|name| *name != member.name) {
                    let detail = format!(
                        "device {} calls {} {:?} in {space:?}",
                        one.device, member.account, member.name
                    );
                    return Err(Violation::new(Invariant::Equal, detail));
                }
            }
        }
    }
    Ok(())
}

/// Whether an account was brought back without its name: none of its devices has it.
fn came_back_nameless(book: &Book, seen: &[Seen], account: &AccountId) -> bool {
    let mut own = seen.iter().filter(|one| one.account == *account);
    book.bereaved.contains(account) && own.all(|one| one.status.name.is_empty())
}
