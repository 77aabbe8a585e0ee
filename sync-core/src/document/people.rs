//! People: what those who write in a conversation call themselves. One entry per writer, written by
//! that writer alone, so that nobody names anybody else.

use sync_protocol::codec::{Decode, Encode};
use sync_protocol::device_log::DeviceLog;
use sync_protocol::ids::{DeviceId, WriterId};

use super::local::lenient;
use super::{Document, Name};

/// What a writer says of its person.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Person {
    /// The name, as its owner writes it.
    #[n(0)]
    pub name: String,
    /// Which of the account's names it is: the highest number, and of those the highest tag, is its
    /// name. The number's upper half is the length that the account's device log had when the name
    /// was chosen, or less.
    #[cbor(n(1), default)]
    pub version: u64,
    /// The tag of the writer that it was chosen on, which need not be the one that says it.
    #[cbor(n(2), with = "minicbor::bytes", default)]
    pub tag: [u8; 6],
}

impl Person {
    /// The number of the name that an account chooses next, after those that were given. One that says
    /// of its choice that the log was longer than it is was given by a device that lies: it counts for
    /// as long as that is in the account, and what is chosen meanwhile must count once it is not.
    #[must_use]
    pub fn version_after(given: impl Iterator<Item = u64>, log_len: u64) -> u64 {
        let last = given.filter(|version| version >> 32 <= log_len).max().unwrap_or_default();
        last.saturating_add(1).max(log_len.checked_shl(32).unwrap_or(u64::MAX))
    }

    /// Whether a device may have said it: a device that was ended can't have chosen a name when the
    /// log was longer. Else a stolen device could say one that no later one replaces.
    #[must_use]
    pub fn counts(version: u64, by: &DeviceId, log: &DeviceLog) -> bool {
        let device = log.known(by);
        device.is_some_and(|device| device.revoked.is_none_or(|end| version >> 32 <= end))
    }
}

/// Everybody's entry.
#[must_use]
pub fn all(document: &Document) -> Vec<(WriterId, Person)> {
    let is_people = matches!(document.name(), Name::People(_));
    let entries = if is_people { document.entries() } else { Vec::new() };
    entries
        .into_iter()
        .filter_map(|(_, entry)| Some((entry.writer?, lenient(&entry.bytes)?.0)))
        .collect()
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
        let ada = Person { name: "Ada".into(), ..Person::default() };
        let bob = Person { name: "Bob".into(), ..Person::default() };
        b.document.receive(a.write(&Edit::Person(ada.clone())));
        a.document.receive(b.write(&Edit::Person(bob.clone())));
        let said = all(&a.document);
        assert_eq!(said, all(&b.document));
        let names: Vec<_> = said.into_iter().map(|(_, person)| person).collect();
        assert!(names.contains(&ada) && names.contains(&bob), "{names:?}");
    }

    #[test]
    fn no_device_gives_a_name_after_which_there_is_no_other() {
        let chosen = |given: &[u64], log_len| Person::version_after(given.iter().copied(), log_len);
        assert_eq!(chosen(&[], 3), 3 << 32);
        assert_eq!(chosen(&[3 << 32, (3 << 32) + 4], 3), (3 << 32) + 5);
        let (lie, end) = (u64::MAX, 4);
        let meanwhile = chosen(&[lie], end);
        let later = chosen(&[lie, meanwhile], end);
        assert!(meanwhile < later && later < chosen(&[lie, later], end + 1));
    }

    #[test]
    fn what_was_said_already_is_not_said_again() {
        let mut a = Author::new(1, Name::People(0));
        let ada = Edit::Person(Person { name: "Ada".into(), ..Person::default() });
        assert!(!a.write(&ada).is_empty());
        assert!(a.write(&ada).is_empty());
    }
}
