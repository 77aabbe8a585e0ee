//! A removed member reads nothing that was sealed after its removal.

use sync_protocol::{AccountId, SpaceId};

use crate::book::Book;
use crate::violation::{Invariant, Violation};
use crate::world::Seen;

pub(super) fn check(book: &Book, seen: &[Seen]) -> Result<(), Violation> {
    for one in seen {
        for (space, page) in &one.messages {
            if came_again(book, *space, &one.account) {
                continue;
            }
            for view in page {
                let Some(written) = book.written.get(&(*space, view.message)) else { continue };
                if written.asked.gone.contains(&one.account) {
                    let detail = format!(
                        "device {} reads {} in {space:?}, written after its removal",
                        one.device, view.message
                    );
                    return Err(Violation::new(Invariant::Removed, detail));
                }
            }
        }
    }
    Ok(())
}

/// Whether somebody tried to add the account more than once: it may be a member again.
fn came_again(book: &Book, space: SpaceId, account: &AccountId) -> bool {
    let company = book.companies.get(&space);
    let adds = company.and_then(|company| company.adds.get(account)).copied().unwrap_or_default();
    let founded = book.founders.get(&space) == Some(account);
    adds + u32::from(founded) > 1
}
