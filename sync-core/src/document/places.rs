//! Where the elements of a list stand, should some have been moved.
//!
//! Automerge knows no moves. To take an element out and put a copy elsewhere would double it if two
//! do so at once, and lose what others change inside of it meanwhile. So an element stays where it
//! was inserted, and a **sign** is inserted where it stands instead: bytes that name the element. Of
//! several signs of one element the latest counts, so it stands once; an element that is deleted
//! stands nowhere, whatever signs there are.

use automerge::{AutoCommit, Cursor, ObjId, ReadDoc, ScalarValue, ScalarValueRef, ValueRef};

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

/// The signs in a list, with the element that each stands for, if that is there.
pub(crate) fn signs(doc: &AutoCommit, list: &ObjId) -> Vec<(usize, ObjId, Option<usize>)> {
    let mut signs = Vec::new();
    for (index, item) in doc.list_range(list, ..).enumerate() {
        if let ValueRef::Scalar(ScalarValueRef::Bytes(bytes)) = &item.value
            && let Some(cursor) = bytes.strip_prefix(&SIGN)
        {
            signs.push((index, item.id(), target(doc, list, cursor)));
        }
    }
    signs
}

fn target(doc: &AutoCommit, list: &ObjId, cursor: &[u8]) -> Option<usize> {
    let cursor = Cursor::try_from(cursor).ok()?;
    let at = doc.get_cursor_position(list, &cursor, None).ok()?;
    // Of an element that is gone, the position is a neighbour's.
    doc.get_cursor(list, at, None).is_ok_and(|there| there == cursor).then_some(at)
}

/// The elements of a list in the order in which they stand; `None` if that is Automerge's own.
pub(crate) fn places(doc: &AutoCommit, list: &ObjId) -> Option<Vec<Place>> {
    let signs = signs(doc, list);
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
