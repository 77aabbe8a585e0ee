//! Whoever wrote something that a member shows is called there as they call themselves.
//!
//! A name that was lost before it was stored nobody can know; who brings such an account back says it
//! again.

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
                if named(&member.account).is_some_and(|name| *name != member.name) {
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
