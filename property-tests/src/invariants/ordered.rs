//! Order extends causality, and one writer's messages are in the order they were written.

use std::collections::BTreeMap;

use sync_core::document::OrderKey;
use sync_protocol::SpaceId;

use super::places;
use crate::book::{Book, Written};
use crate::violation::{Invariant, Violation};
use crate::world::Seen;

pub(super) fn check(book: &Book, seen: &[Seen]) -> Result<(), Violation> {
    for one in seen {
        for (space, page) in &one.messages {
            let places = places(page);
            causes(book, one, *space, &places)?;
            writers(book, one, *space, &places)?;
        }
    }
    Ok(())
}

/// The messages of a conversation that were acknowledged.
fn written(book: &Book, space: SpaceId) -> impl Iterator<Item = (OrderKey, &Written)> {
    let of_space = book.written.iter().filter(move |((of, _), _)| *of == space);
    of_space.map(|((_, key), written)| (*key, written))
}

/// What an author had before their eyes comes before what they wrote.
fn causes(
    book: &Book,
    one: &Seen,
    space: SpaceId,
    places: &BTreeMap<OrderKey, usize>,
) -> Result<(), Violation> {
    for (key, written) in written(book, space) {
        let Some(place) = places.get(&key) else { continue };
        for cause in written.asked.seen.iter().chain(&written.reply_to) {
            if places.get(cause).is_some_and(|before| before > place) {
                let detail = format!(
                    "device {} shows {cause} after {key}, whose author had seen it",
                    one.device
                );
                return Err(Violation::new(Invariant::Ordered, detail));
            }
        }
    }
    Ok(())
}

/// One device's messages stand in the order in which they were written.
fn writers(
    book: &Book,
    one: &Seen,
    space: SpaceId,
    places: &BTreeMap<OrderKey, usize>,
) -> Result<(), Violation> {
    let mut by_writer: BTreeMap<usize, Vec<(u64, usize, OrderKey)>> = BTreeMap::new();
    for (key, written) in written(book, space) {
        if let Some(place) = places.get(&key) {
            let of_writer = by_writer.entry(written.device).or_default();
            of_writer.push((written.number, *place, key));
        }
    }
    for (writer, mut messages) in by_writer {
        messages.sort_unstable();
        if let Some(pair) = messages.windows(2).find(|pair| pair[0].1 > pair[1].1) {
            let detail = format!(
                "device {} shows {} of device {writer} after {}",
                one.device, pair[0].2, pair[1].2
            );
            return Err(Violation::new(Invariant::Ordered, detail));
        }
    }
    Ok(())
}
