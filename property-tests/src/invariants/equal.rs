//! Any two devices that have the same entries show the same state, in the same order.

use std::collections::{BTreeMap, BTreeSet};

use sync_core::api::{Digest, MessageView};
use sync_core::document::OrderKey;
use sync_protocol::roster::Role;
use sync_protocol::sorted::SortedMap;
use sync_protocol::{AccountId, DeviceId, SpaceId};

use super::{conversations, lacks_times, members, places, reads_all};
use crate::book::Book;
use crate::violation::{Invariant, Violation};
use crate::world::Seen;

pub(super) fn check(book: &Book, seen: &[Seen]) -> Result<(), Violation> {
    for space in conversations(seen) {
        let group = members(seen, space);
        same_company(&group, seen, space)?;
        let (whole, partial): (Vec<&Seen>, Vec<&Seen>) =
            group.iter().partition(|seen| reads_all(book, seen, space));
        for pair in whole.windows(2) {
            same_whole(book, (pair[0], pair[1]), space)?;
        }
        let reference = whole.first().or(partial.first());
        for other in &partial {
            if let Some(reference) = reference {
                same_in_common(book, (reference, other), space)?;
            }
        }
        for other in &group {
            same_documents((group[0], other), space)?;
        }
    }
    Ok(())
}

/// Everybody names the same title and members, and everybody named is there.
fn same_company(group: &[&Seen], seen: &[Seen], space: SpaceId) -> Result<(), Violation> {
    let mut first: Option<(usize, String, BTreeMap<AccountId, Role>)> = None;
    for one in group {
        let view = &one.conversations[&space];
        let roster: BTreeMap<_, _> =
            view.members.iter().map(|member| (member.account, member.role)).collect();
        let named = |seen: &&Seen| roster.contains_key(&seen.account);
        for other in seen.iter().filter(named) {
            if !group.iter().any(|member| member.device == other.device) {
                let detail = format!(
                    "device {} has {} as a member of {space:?}, which does not know",
                    one.device, other.device
                );
                return Err(Violation::new(Invariant::Equal, detail));
            }
        }
        if !roster.contains_key(&one.account) {
            let detail = format!("device {} is no member of its own {space:?}", one.device);
            return Err(Violation::new(Invariant::Equal, detail));
        }
        match &first {
            None => first = Some((one.device, view.title.clone(), roster)),
            Some((device, title, known)) if *title != view.title || *known != roster => {
                let detail = format!(
                    "{space:?} is {title:?} {known:?} on {device}, {:?} {roster:?} on {}",
                    view.title, one.device
                );
                return Err(Violation::new(Invariant::Equal, detail));
            }
            Some(_) => {}
        }
    }
    Ok(())
}

/// Those who may read everything show exactly the same.
fn same_whole(book: &Book, (one, other): (&Seen, &Seen), space: SpaceId) -> Result<(), Violation> {
    let (first, second) = (&one.messages[&space], &other.messages[&space]);
    let keys = |page: &[MessageView]| {
        let mut keys: Vec<_> = page.iter().map(|view| view.message).collect();
        if book.misdated {
            keys.sort_unstable();
        }
        keys
    };
    if keys(first) != keys(second) {
        let (a, b): (BTreeSet<_>, BTreeSet<_>) =
            (keys(first).into_iter().collect(), keys(second).into_iter().collect());
        let only: Vec<_> = a.symmetric_difference(&b).collect();
        return Err(differ(one, other, space, &format!("messages or their order, {only:?}")));
    }
    same_in_common(book, (one, other), space)?;
    let (first, second) = (one.digests.get(&space), other.digests.get(&space));
    let unlike = |(one, other): (&Digest, &Digest)| {
        one.frontier != other.frontier || one.documents != other.documents
    };
    if book.misdated && !first.zip(second).is_some_and(unlike) {
        return Ok(());
    }
    if first == second { Ok(()) } else { Err(differ(one, other, space, &apart(first, second))) }
}

/// What apps share is the same for all who are in, whenever and however they came.
fn same_documents((one, other): (&Seen, &Seen), space: SpaceId) -> Result<(), Violation> {
    let (first, second) = (one.app_documents(&space), other.app_documents(&space));
    if first == second {
        return Ok(());
    }
    Err(differ(one, other, space, &format!("documents: {first:?} and {second:?}")))
}

/// In what two fingerprints differ.
fn apart(one: Option<&Digest>, other: Option<&Digest>) -> String {
    let Some((one, other)) = one.zip(other) else { return "one has none".into() };
    if one.frontier != other.frontier {
        return format!("frontiers {:?} and {:?}", one.frontier, other.frontier);
    }
    let names: BTreeSet<_> = one.documents.keys().chain(other.documents.keys()).collect();
    let unequal = |name: &&&String| one.documents.get(**name) != other.documents.get(**name);
    match names.iter().find(unequal) {
        Some(name) => {
            let (a, b) = (one.documents.get(*name), other.documents.get(*name));
            format!("document {name}: {a:?} and {b:?}")
        }
        None => "views".into(),
    }
}

/// What both may read, both show alike and in one order.
fn same_in_common(
    book: &Book,
    (one, other): (&Seen, &Seen),
    space: SpaceId,
) -> Result<(), Violation> {
    let informed_from = informed_from(book, one, space).max(informed_from(book, other, space));
    let informed = |key| match book.written.get(&(space, key)) {
        Some(written) => written.number >= informed_from,
        None => informed_from == 0,
    };
    let (first, second) = (&one.messages[&space], &other.messages[&space]);
    let here = places(second);
    let mut last = None;
    for view in first {
        let Some(place) = here.get(&view.message).copied() else { continue };
        if last.is_some_and(|last| last > place) && !book.misdated {
            return Err(differ(one, other, space, "the order of messages"));
        }
        last = Some(place);
        let (mut here, mut there) = (face(view), face(&second[place]));
        let (mut of_here, mut of_there) = (origin(view), origin(&second[place]));
        if book.misdated {
            (here.3, there.3, of_here.2, of_there.2) = (0, 0, 0, 0);
        }
        if of_here != of_there || (informed(view.message) && here != there) {
            let parts = unlike(view, &second[place]);
            let what = format!("{parts} of a message: {here:?} and {there:?}");
            return Err(differ(one, other, space, &what));
        }
    }
    Ok(())
}

/// The number of the first message of which a device has heard every change since.
///
/// An account that was brought back, or whose last device there ended before another had come in,
/// lacks the keys of the time between the last change of members that a lost device read and the entry
/// of the new one: nobody gave them to it, and nobody can. What
/// was said then it never shows, and what was changed, deleted or answered then of older messages it
/// never learns. So it is held to what was said when everybody was at rest, which no gap precedes.
/// A device that was linked without history has no such gap: it reads all from some time on, and
/// of what it shows it knows every change.
fn informed_from(book: &Book, one: &Seen, space: SpaceId) -> u64 {
    if lacks_times(book, &one.account, space) {
        return book.rested_from.unwrap_or(u64::MAX);
    }
    book.companies.get(&space).map_or(0, |company| company.informed_from(&one.account))
}

type Face<'a> = (
    OrderKey,
    (AccountId, DeviceId),
    &'a str,
    u64,
    Option<OrderKey>,
    (bool, bool),
    &'a SortedMap<AccountId, String>,
);

/// What no amendment changes of a message.
fn origin(view: &MessageView) -> (AccountId, DeviceId, u64) {
    (view.author, view.device, view.at_ms)
}

/// What a message shows to everybody alike: all but its receipts. Its rank is held to by the order, and
/// whether something in it is newer by the fingerprint.
fn face(view: &MessageView) -> Face<'_> {
    let MessageView {
        message,
        author,
        device,
        text,
        at_ms,
        rank: _,
        reply_to,
        edited,
        deleted,
        reactions,
        status: _,
        delivered: _,
        read: _,
        needs_update: _,
    } = view;
    (*message, (*author, *device), text, *at_ms, *reply_to, (*edited, *deleted), reactions)
}

/// In what two faces differ.
fn unlike(one: &MessageView, other: &MessageView) -> String {
    let parts = [
        ("origin", origin(one) != origin(other)),
        ("deletion", one.deleted != other.deleted),
        ("text", one.text != other.text && one.deleted == other.deleted),
        ("answer", one.reply_to != other.reply_to && one.deleted == other.deleted),
        ("edit", one.edited != other.edited && one.deleted == other.deleted),
        ("reactions", one.reactions != other.reactions && one.deleted == other.deleted),
    ];
    let unlike: Vec<_> =
        parts.iter().filter(|(_, unlike)| *unlike).map(|(part, _)| *part).collect();
    unlike.join(" and ")
}

fn differ(one: &Seen, other: &Seen, space: SpaceId, what: &str) -> Violation {
    let detail = format!("devices {} and {} differ in {space:?}: {what}", one.device, other.device);
    Violation::new(Invariant::Equal, detail)
}
