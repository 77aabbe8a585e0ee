//! People: what those who write in a conversation call themselves. One entry per writer, written by
//! that writer alone, so that nobody names anybody else.

use minicbor::{Decode, Encode};
use sync_protocol::ids::WriterId;

use super::local::lenient;
use super::{Document, Name, Placement};

const FIELDS: u32 = 1;

/// What a writer says of its person.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Person {
    /// The name, as its owner writes it.
    #[n(0)]
    pub name: String,
}

/// Everybody's entry, in the log's order; what has no place there yet comes last.
#[must_use]
pub fn all(document: &Document) -> Vec<(WriterId, Person)> {
    let is_people = matches!(document.name(), Name::People(_));
    let entries = if is_people { document.entries() } else { Vec::new() };
    let mut said: Vec<(Option<Placement>, WriterId, Person)> = entries
        .into_iter()
        .filter_map(|(_, entry)| {
            Some((entry.placement, entry.writer?, lenient(&entry.bytes, FIELDS)?.0))
        })
        .collect();
    said.sort_by_key(|(place, ..)| place.map_or((u64::MAX, 0), |at| (at.index, at.ordinal)));
    said.into_iter().map(|(_, writer, person)| (writer, person)).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::document::Edit;
    use crate::document::testing::Author;

    #[test]
    fn everybody_says_their_own_name() {
        let mut a = Author::new(1, Name::People(0));
        let mut b = Author::new(2, Name::People(0));
        let ada = Person { name: "Ada".into() };
        let bob = Person { name: "Bob".into() };
        b.document.receive(a.write(&Edit::Person(ada.clone())));
        a.document.receive(b.write(&Edit::Person(bob.clone())));
        let said = all(&a.document);
        assert_eq!(said, all(&b.document));
        let names: Vec<_> = said.into_iter().map(|(_, person)| person).collect();
        assert!(names.contains(&ada) && names.contains(&bob), "{names:?}");
    }

    #[test]
    fn what_was_said_already_is_not_said_again() {
        let mut a = Author::new(1, Name::People(0));
        let ada = Edit::Person(Person { name: "Ada".into() });
        assert!(!a.write(&ada).is_empty());
        assert!(a.write(&ada).is_empty());
    }
}
