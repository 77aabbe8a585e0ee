//! The first change of each typed document: committed bytes, so that devices that create a document
//! at the same time create the same one.

use super::grammar::Grammar;

/// The actor of every genesis: one byte, so that naming it costs little.
pub(crate) const GENESIS_ACTOR: [u8; 1] = [0];

/// The root keys of a segment's maps.
pub(crate) const SHARD_NAMES: [&str; 16] =
    ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "a", "b", "c", "d", "e", "f"];

/// The genesis change of a typed document.
pub(crate) fn bytes(grammar: Grammar) -> &'static [u8] {
    match grammar {
        Grammar::Messages => include_bytes!("genesis/messages.bin"),
        Grammar::Receipts => include_bytes!("genesis/receipts.bin"),
        Grammar::Settings => include_bytes!("genesis/settings.bin"),
        Grammar::Contacts => include_bytes!("genesis/contacts.bin"),
        Grammar::Vault => include_bytes!("genesis/vault.bin"),
        Grammar::People => include_bytes!("genesis/people.bin"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use automerge::transaction::{CommitOptions, Transactable};
    use automerge::{ActorId, AutoCommit, ObjType, ROOT};

    fn made_anew(grammar: Grammar) -> Vec<u8> {
        let mut doc = AutoCommit::new().with_actor(ActorId::from(&GENESIS_ACTOR[..]));
        for name in grammar.maps() {
            doc.put_object(ROOT, *name, ObjType::Map).unwrap();
        }
        let hash = doc.commit_with(CommitOptions::default().with_time(0)).unwrap();
        doc.get_change_by_hash(&hash).unwrap().raw_bytes().to_vec()
    }

    #[test]
    fn genesis_bytes_are_what_automerge_makes_of_empty_maps() {
        for (grammar, file) in [
            (Grammar::Messages, "messages"),
            (Grammar::Receipts, "receipts"),
            (Grammar::Settings, "settings"),
            (Grammar::Contacts, "contacts"),
            (Grammar::Vault, "vault"),
            (Grammar::People, "people"),
        ] {
            assert_eq!(bytes(grammar), made_anew(grammar), "{file}");
        }
    }
}
