//! What people see counts as state: a person's devices that show the same messages show the same
//! counts, names, ticks and read marks beside them.

use std::collections::BTreeMap;
use std::fmt::Debug;

use sync_core::api::{ConversationView, MessageView};
use sync_core::document::OrderKey;
use sync_protocol::{AccountId, SpaceId};

use crate::book::Book;
use crate::violation::{Invariant, Violation};
use crate::world::Seen;

pub(super) fn check(book: &Book, seen: &[Seen]) -> Result<(), Violation> {
    // A device that was linked without history counts and ticks what it may read, and no more.
    let mut families: BTreeMap<AccountId, Vec<&Seen>> = BTreeMap::new();
    for one in seen.iter().filter(|one| !book.newcomers.contains_key(&one.device)) {
        families.entry(one.account).or_default().push(one);
    }
    for family in families.values() {
        for pair in family.windows(2) {
            same(pair[0], pair[1])?;
        }
    }
    Ok(())
}

fn same(one: &Seen, other: &Seen) -> Result<(), Violation> {
    for (space, view) in one.conversations.iter().filter(|(_, view)| view.active) {
        let Some(there) = other.conversations.get(space).filter(|view| view.active) else {
            continue;
        };
        let pages = one.messages.get(space).zip(other.messages.get(space));
        let Some((here_page, there_page)) = pages else { continue };
        let keys = |page: &[MessageView]| page.iter().map(|view| view.message).collect::<Vec<_>>();
        same_summary((one, other), *space, view, there)?;
        // Who lacks a time that another read does not count what was said in it.
        if keys(here_page) == keys(there_page) {
            same_counts((one, other), *space, view, there)?;
        }
        let of_other: BTreeMap<OrderKey, &MessageView> =
            there_page.iter().map(|view| (view.message, view)).collect();
        for here in here_page {
            if let Some(there) = of_other.get(&here.message) {
                same_ticks((one, other), *space, here, there)?;
            }
        }
    }
    Ok(())
}

fn same_summary(
    pair: (&Seen, &Seen),
    space: SpaceId,
    here: &ConversationView,
    there: &ConversationView,
) -> Result<(), Violation> {
    let names = |view: &ConversationView| {
        let members = view.members.iter();
        let mut names: Vec<_> = members
            .map(|member| (member.account, member.address.clone(), member.name.clone()))
            .collect();
        names.sort_unstable();
        names
    };
    alike(pair, space, "names", &names(here), &names(there))?;
    alike(pair, space, "people being added", &here.adding, &there.adding)?;
    let flags = |view: &ConversationView| (view.muted, view.archived, view.pinned, view.pending);
    alike(pair, space, "flags", &flags(here), &flags(there))
}

fn same_counts(
    pair: (&Seen, &Seen),
    space: SpaceId,
    here: &ConversationView,
    there: &ConversationView,
) -> Result<(), Violation> {
    alike(pair, space, "unread", &here.unread, &there.unread)?;
    alike(pair, space, "the last message", &here.last, &there.last)
}

fn same_ticks(
    pair: (&Seen, &Seen),
    space: SpaceId,
    here: &MessageView,
    there: &MessageView,
) -> Result<(), Violation> {
    alike(pair, space, "ticks", &here.status, &there.status)?;
    alike(pair, space, "who has it", &here.delivered, &there.delivered)?;
    alike(pair, space, "who read it", &here.read, &there.read)
}

fn alike<T: PartialEq + Debug>(
    (one, other): (&Seen, &Seen),
    space: SpaceId,
    what: &str,
    here: &T,
    there: &T,
) -> Result<(), Violation> {
    if here == there {
        return Ok(());
    }
    let (one, other) = (one.device, other.device);
    let detail = format!(
        "devices {one} and {other} of one account show another state of {what}: ({here:?}) and \
         ({there:?}) in {space:?}"
    );
    Err(Violation::new(Invariant::Equal, detail))
}
