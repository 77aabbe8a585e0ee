//! Contacts: a record per account, the last writer wins.

use sync_protocol::codec::{Decode, Encode};
use sync_protocol::ids::{AccountId, LogHead};
use sync_protocol::sorted::SortedMap;

use super::local::lenient;
use super::{Document, Name};

/// What this account keeps about another.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Contact {
    /// What it is called: by its owner's own word, where that is known.
    #[n(0)]
    pub name: String,
    /// The address it was found by.
    #[n(1)]
    pub address: Option<String>,
    /// Nothing of theirs is shown.
    #[n(2)]
    pub blocked: bool,
    /// How much of its device log there was when the safety number was compared, if it was.
    #[n(3)]
    pub compared: Option<LogSeen>,
    /// The address is pinned: the relay's directory gave it, to a device of this account's, or the
    /// person accepted that it leads here now.
    #[cbor(n(4), default)]
    pub pinned: bool,
}

/// A device log as it was at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct LogSeen {
    /// Entries.
    #[n(0)]
    pub entries: u64,
    /// Their head.
    #[n(1)]
    pub head: LogHead,
}

/// One contact.
#[must_use]
pub fn contact(document: &Document, account: &AccountId) -> Option<Contact> {
    let entry = is_contacts(document).then(|| document.entry(&account.to_string())).flatten()?;
    lenient(&entry.bytes).map(|(contact, _)| contact)
}

/// All contacts, by account.
#[must_use]
pub fn all(document: &Document) -> SortedMap<AccountId, Contact> {
    let entries = if is_contacts(document) { document.entries() } else { Vec::new() };
    entries
        .into_iter()
        .filter_map(|(key, entry)| Some((key.parse().ok()?, lenient(&entry.bytes)?.0)))
        .collect()
}

fn is_contacts(document: &Document) -> bool {
    *document.name() == Name::Contacts
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::document::Edit;
    use crate::document::testing::Author;

    #[test]
    fn a_contact_is_kept_changed_and_taken_away() {
        let mut a = Author::new(1, Name::Contacts);
        let mut b = Author::new(2, Name::Contacts);
        let account = AccountId::of_root_key(&[7; 32]);
        let ada = Contact { name: "Ada".into(), address: Some("ada".into()), ..Contact::default() };
        b.document.receive(a.write(&Edit::Contact { account, contact: Some(ada.clone()) }));
        assert_eq!(contact(&b.document, &account), Some(ada.clone()));
        let blocked = Contact { blocked: true, ..ada };
        a.document.receive(b.write(&Edit::Contact { account, contact: Some(blocked.clone()) }));
        assert_eq!(all(&a.document), [(account, blocked)].into());
        b.document.receive(a.write(&Edit::Contact { account, contact: None }));
        assert!(all(&b.document).is_empty());
    }
}
