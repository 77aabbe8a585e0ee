//! Who may not write everything in a space: readers and commenters.
//!
//! What a member may write at a place of the log follows from the handshakes before it, and from nothing
//! else: content counts only under the keys of the epoch at its place, so its author knew, too. Who reads
//! it as it comes, later, or from the log's start comes to the same.

use sync_protocol::AccountId;
use sync_protocol::codec::{Decode, Encode};
use sync_protocol::roster::{Role, Roster, RosterChange};

use crate::document::Name;

/// The roles of those who may not write everything, over a space's log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Rights {
    #[n(0)]
    since: Vec<Since>,
    /// Who is a member at the place up to which a log was followed from its start.
    #[n(1)]
    followed: Roster,
}

/// From a place on.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
struct Since {
    #[n(0)]
    index: u64,
    #[n(1)]
    who: Vec<(AccountId, Role)>,
}

impl Rights {
    /// From an index on these are the members.
    pub fn note(&mut self, index: u64, roster: &Roster) {
        let who: Vec<_> = roster.iter().filter(|(_, role)| *role < Role::Member).collect();
        let last = self.since.last().map(|since| &since.who);
        if last.map_or(!who.is_empty(), |last| *last != who) {
            self.since.push(Since { index, who });
        }
    }

    /// The handshake at an index, which counts, did this.
    pub fn follow(&mut self, index: u64, changes: &[RosterChange]) {
        let mut roster = std::mem::take(&mut self.followed);
        roster.follow(changes);
        self.note(index, &roster);
        self.followed = roster;
    }

    /// The handshake at one index stands at another: the log was written anew.
    pub fn moved(&mut self, was: u64, index: u64) {
        for since in self.since.iter_mut().filter(|since| since.index == was) {
            since.index = index;
        }
    }

    /// Whether what a member wrote into a document counts at an index.
    #[must_use]
    pub fn may_write(&self, account: &AccountId, index: u64, name: &Name) -> bool {
        let here = self.since.iter().rev().find(|since| since.index <= index);
        let role = here.and_then(|since| since.who.iter().find(|(who, _)| who == account));
        role.is_none_or(|(_, role)| writes(*role, name))
    }
}

/// Whether a role writes into documents of a name. All say how far they have read, and what they are
/// called.
#[must_use]
pub fn writes(role: Role, name: &Name) -> bool {
    match name {
        Name::App(..) | Name::Carried(_) => role >= Role::Member,
        Name::Messages(_) => role >= Role::Commenter,
        Name::Receipts(_)
        | Name::People(_)
        | Name::Settings
        | Name::Contacts
        | Name::Vault(_)
        | Name::Unknown { .. } => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(n: u8) -> AccountId {
        AccountId::of_root_key(&[n; 32])
    }

    fn add(n: u8, role: Role) -> RosterChange {
        RosterChange::Add { account: account(n), role, devices: Vec::new() }
    }

    fn set(n: u8, role: Role) -> RosterChange {
        RosterChange::SetRole { account: account(n), role }
    }

    fn plan() -> Name {
        Name::App(0, "plan".into())
    }

    /// What somebody may write at a place: documents, messages.
    fn may(rights: &Rights, n: u8, index: u64) -> (bool, bool) {
        let writes = |name| rights.may_write(&account(n), index, &name);
        assert!(writes(Name::Receipts(0)) && writes(Name::People(0)));
        assert_eq!(writes(plan()), writes(Name::Carried(1)));
        (writes(plan()), writes(Name::Messages(0)))
    }

    #[test]
    fn a_reader_writes_nothing_and_a_commenter_messages_from_the_handshake_on() {
        let mut rights = Rights::default();
        rights.follow(0, &[add(1, Role::Admin)]);
        rights.follow(3, &[add(2, Role::Member), add(3, Role::Reader)]);
        rights.follow(7, &[set(2, Role::Commenter), set(3, Role::Member)]);
        rights.follow(9, &[set(2, Role::Admin)]);
        for index in [0, 3, 7, 9, u64::MAX] {
            assert_eq!(may(&rights, 1, index), (true, true));
        }
        assert_eq!(
            [5, 7, 8, 9].map(|index| may(&rights, 2, index)),
            [(true, true), (false, true), (false, true), (true, true)]
        );
        assert_eq!(
            [3, 6, 7].map(|index| may(&rights, 3, index)),
            [(false, false), (false, false), (true, true)]
        );
    }

    #[test]
    fn who_follows_and_who_was_there_come_to_the_same() {
        let steps: [&[RosterChange]; 6] = [
            &[add(1, Role::Admin)],
            &[add(2, Role::Reader), add(3, Role::Commenter), add(4, Role::Member)],
            &[set(4, Role::Reader)],
            // The last admin goes: somebody takes over, whatever they were.
            &[RosterChange::Remove { account: account(1) }],
            &[RosterChange::Remove { account: account(2) }],
            &[add(2, Role::Member)],
        ];
        let (mut followed, mut there) = (Rights::default(), Rights::default());
        let mut roster = Roster::default();
        for (index, changes) in (0_u64..).zip(steps) {
            followed.follow(index * 10, changes);
            roster.follow(changes);
            there.note(index * 10, &roster);
            for n in 1..5 {
                for at in 0..=index * 10 + 5 {
                    assert_eq!(may(&followed, n, at), may(&there, n, at));
                }
            }
        }
        assert_eq!(followed.since, there.since);
        let admins = roster.iter().filter(|(_, role)| *role == Role::Admin).count();
        assert_eq!(admins, 1);
    }

    #[test]
    fn where_all_may_write_nothing_is_kept() {
        let mut rights = Rights::default();
        rights.follow(0, &[add(1, Role::Admin)]);
        rights.follow(4, &[add(2, Role::Member)]);
        assert!(rights.since.is_empty());
        rights.note(8, &Roster::founded_by(account(1)));
        assert!(rights.since.is_empty());
    }

    #[test]
    fn a_handshake_that_is_written_anew_counts_where_it_stands_then() {
        let mut rights = Rights::default();
        rights.follow(0, &[add(1, Role::Admin), add(2, Role::Reader)]);
        rights.follow(5, &[set(2, Role::Member)]);
        rights.moved(5, 3);
        assert_eq!([2, 3].map(|index| may(&rights, 2, index)), [(false, false), (true, true)]);
    }
}
