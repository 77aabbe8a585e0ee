//! Where the elements of a list stand, should some have been moved.
//!
//! Automerge knows no moves. To take an element out and put a copy elsewhere would double it if two
//! do so at once, and lose what others change inside of it meanwhile. So an element stays where it
//! was inserted, and a **sign** is inserted where it stands instead: bytes that name the element. Of
//! several signs of one element the latest counts, so it stands once; an element that is deleted
//! stands nowhere, whatever signs there are.

use automerge::{AutoCommit, Cursor, ObjId, ReadDoc, ScalarValue, ScalarValueRef, ValueRef};
use sync_protocol::text::HEX;

use super::history::{Element, History};

/// How a sign begins. What follows is the element's cursor, as Automerge writes it.
const SIGN: [u8; 8] = *b"\0moved\0\x01";

/// An element of a list that shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// The index under which Automerge has the element.
    pub(crate) element: usize,
    /// The index at which it stands: its own, or its sign's.
    pub(crate) stands: usize,
}

/// Whether these bytes, as a list's element, are a sign.
pub(crate) fn is_sign(bytes: &[u8]) -> bool {
    bytes.starts_with(&SIGN)
}

/// The sign of an element.
pub(crate) fn sign_of(doc: &AutoCommit, list: &ObjId, element: usize) -> Option<ScalarValue> {
    let cursor = doc.get_cursor(list, element, None).ok()?;
    Some(ScalarValue::Bytes([SIGN.as_slice(), &cursor.to_bytes()].concat()))
}

/// The element in which an operation put what stands there.
pub(crate) fn element_of(history: &History, op: &ObjId) -> Option<Element> {
    match op {
        ObjId::Id(counter, actor, _) => Some(history.element_of(*counter, actor.to_bytes())),
        ObjId::Root => None,
    }
}

/// The signs in a list, with the element that each stands for, if that is there.
pub(crate) fn signs(
    doc: &AutoCommit,
    list: &ObjId,
    history: &History,
) -> Vec<(usize, ObjId, Option<usize>)> {
    let mut signs = Vec::new();
    let mut others = Vec::new();
    for (index, item) in doc.list_range(list, ..).enumerate() {
        if let ValueRef::Scalar(ScalarValueRef::Bytes(bytes)) = &item.value
            && let Some(cursor) = bytes.strip_prefix(&SIGN)
        {
            signs.push((index, item.id(), named_by(history, cursor)));
        } else {
            others.push((index, item.id()));
        }
    }
    if signs.is_empty() {
        return Vec::new();
    }
    // Who put another value into an element since has not made another element of it.
    let elements: Vec<(Option<Element>, usize)> =
        others.into_iter().map(|(index, id)| (element_of(history, &id), index)).collect();
    let stands_for = |sought: Option<Element>| {
        let found = elements.iter().find(|(element, _)| element.is_some() && *element == sought);
        found.map(|(_, index)| *index)
    };
    signs.into_iter().map(|(index, id, element)| (index, id, stands_for(element))).collect()
}

/// The element that a cursor leads to.
fn named_by(history: &History, cursor: &[u8]) -> Option<Element> {
    let cursor = Cursor::try_from(cursor).ok()?.to_string();
    let (counter, actor) = cursor.split_once('@')?;
    Some(history.element_of(counter.parse().ok()?, &HEX.decode(actor).ok()?))
}

/// The elements of a list in the order in which they stand; `None` if that is Automerge's own.
pub(crate) fn places(doc: &AutoCommit, list: &ObjId, history: &History) -> Option<Vec<Place>> {
    let signs = signs(doc, list, history);
    if signs.is_empty() {
        return None;
    }
    let latest = |element: usize| {
        let of_it = signs.iter().filter(|(_, _, of)| *of == Some(element));
        of_it.max_by(|one, other| one.1.cmp(&other.1)).map(|(index, ..)| *index)
    };
    let sign_at = |index: usize| signs.iter().find(|(sign, ..)| *sign == index);
    let place = |index: usize| match sign_at(index) {
        Some((_, _, None)) => None,
        Some((_, _, Some(element))) => {
            (latest(*element) == Some(index)).then_some(Place { element: *element, stands: index })
        }
        None => latest(index).is_none().then_some(Place { element: index, stands: index }),
    };
    Some((0..doc.length(list)).filter_map(place).collect())
}
