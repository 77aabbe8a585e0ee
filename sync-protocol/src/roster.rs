//! Who is in a space, in which role: the public part that the relay keeps too.

use crate::codec::{Decode, Encode};

use crate::ids::{AccountId, DeviceId};

/// What an account may do in a space. Ordered: each may do all that those before it may. Who may write
/// what, members see to among themselves: the relay does not see what is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(index_only)]
pub enum Role {
    /// Reads, and says how far.
    #[n(2)]
    Reader,
    /// Also writes messages.
    #[n(3)]
    Commenter,
    /// Reads and writes.
    #[n(0)]
    Member,
    /// Also adds and removes others, and changes roles and the title.
    #[n(1)]
    Admin,
}

/// What a commit does to the roster, signed by its committer.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum RosterChange {
    /// An account joins with these devices.
    #[n(0)]
    Add {
        /// Who.
        #[n(0)]
        account: AccountId,
        /// As what.
        #[n(1)]
        role: Role,
        /// The leaves added for it.
        #[n(2)]
        devices: Vec<DeviceId>,
    },
    /// An account leaves with all its devices.
    #[n(1)]
    Remove {
        /// Who.
        #[n(0)]
        account: AccountId,
    },
    /// An account's role changes.
    #[n(2)]
    SetRole {
        /// Who.
        #[n(0)]
        account: AccountId,
        /// As what.
        #[n(1)]
        role: Role,
    },
    /// A member account's further devices join.
    #[n(3)]
    AddDevices {
        /// Whose.
        #[n(0)]
        account: AccountId,
        /// Which.
        #[n(1)]
        devices: Vec<DeviceId>,
    },
    /// Some of a member account's devices leave.
    #[n(4)]
    RemoveDevices {
        /// Whose.
        #[n(0)]
        account: AccountId,
        /// Which.
        #[n(1)]
        devices: Vec<DeviceId>,
    },
}

/// A space's members, by account.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Roster {
    /// Sorted by account.
    #[n(0)]
    members: Vec<(AccountId, Role)>,
}

/// A roster change that its committer may not make, or that makes no sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAllowed;

impl Roster {
    /// A space's first roster: its creator alone.
    #[must_use]
    pub fn founded_by(account: AccountId) -> Self {
        Self { members: vec![(account, Role::Admin)] }
    }

    /// An account's role, if it is a member.
    #[must_use]
    pub fn role(&self, account: &AccountId) -> Option<Role> {
        let at = self.members.binary_search_by_key(account, |(a, _)| *a).ok()?;
        self.members.get(at).map(|(_, role)| *role)
    }

    /// All members, sorted by account.
    pub fn iter(&self) -> impl Iterator<Item = (AccountId, Role)> + '_ {
        self.members.iter().copied()
    }

    /// Number of member accounts.
    #[must_use]
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether nobody is left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// The roster after a commit by `committer`. The same rule for engines and relay: admins
    /// change anything; a member may remove whoever signed an intent to leave (`leavers`), and
    /// may change its own devices; the last admin passes the role to the first of those who may do most.
    ///
    /// # Errors
    /// `NotAllowed`, and then nothing of the commit counts.
    pub fn after(
        &self,
        committer: &AccountId,
        changes: &[RosterChange],
        leavers: &[AccountId],
    ) -> Result<Self, NotAllowed> {
        let role = self.role(committer).ok_or(NotAllowed)?;
        let mut next = self.clone();
        for change in changes {
            let allowed = match change {
                RosterChange::AddDevices { account, .. }
                | RosterChange::RemoveDevices { account, .. } => {
                    account == committer || role == Role::Admin
                }
                RosterChange::Remove { account } => {
                    role == Role::Admin || leavers.contains(account)
                }
                RosterChange::Add { .. } | RosterChange::SetRole { .. } => role == Role::Admin,
            };
            if !allowed {
                return Err(NotAllowed);
            }
            next.apply(change)?;
        }
        next.ensure_admin();
        Ok(next)
    }

    fn apply(&mut self, change: &RosterChange) -> Result<(), NotAllowed> {
        match change {
            RosterChange::Add { account, role, .. } => {
                let at = self.find(account).err().ok_or(NotAllowed)?;
                self.members.insert(at, (*account, *role));
            }
            RosterChange::Remove { account } => {
                let at = self.find(account).map_err(|_| NotAllowed)?;
                self.members.remove(at);
            }
            RosterChange::SetRole { account, role } => {
                let at = self.find(account).map_err(|_| NotAllowed)?;
                self.members[at].1 = *role;
            }
            RosterChange::AddDevices { account, .. }
            | RosterChange::RemoveDevices { account, .. } => {
                self.find(account).map_err(|_| NotAllowed)?;
            }
        }
        Ok(())
    }

    /// After a commit that counts, as whoever knows that it does follows it.
    pub fn follow(&mut self, changes: &[RosterChange]) {
        for change in changes {
            // What makes no sense is in no commit that counts.
            let _ = self.apply(change);
        }
        self.ensure_admin();
    }

    fn find(&self, account: &AccountId) -> Result<usize, usize> {
        self.members.binary_search_by_key(account, |(a, _)| *a)
    }

    /// A space never stays without an admin: of those who may do most, the first by account takes
    /// over, which is arbitrary but the same to all.
    fn ensure_admin(&mut self) {
        let most = self.members.iter().map(|(_, role)| *role).max();
        let first = self.members.iter_mut().find(|(_, role)| Some(*role) == most);
        if let Some((_, role)) = first {
            *role = Role::Admin;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(n: u8) -> AccountId {
        AccountId::of_root_key(&[n; 32])
    }

    fn add(n: u8) -> RosterChange {
        RosterChange::Add { account: account(n), role: Role::Member, devices: Vec::new() }
    }

    #[test]
    fn only_admins_add_and_remove() {
        let roster = Roster::founded_by(account(1)).after(&account(1), &[add(2), add(3)], &[]);
        let roster = roster.expect("the founder is an admin");
        assert_eq!(roster.after(&account(2), &[add(4)], &[]), Err(NotAllowed));
        let remove = [RosterChange::Remove { account: account(3) }];
        assert_eq!(roster.after(&account(2), &remove, &[]), Err(NotAllowed));
        assert_eq!(roster.after(&account(9), &remove, &[]), Err(NotAllowed));
        let after = roster.after(&account(2), &remove, &[account(3)]).expect("a leaver may go");
        assert_eq!(after.role(&account(3)), None);
    }

    #[test]
    fn a_space_is_never_without_an_admin() {
        let roster = Roster::founded_by(account(1)).after(&account(1), &[add(2)], &[]);
        let roster = roster.expect("the founder is an admin");
        let remove = [RosterChange::Remove { account: account(1) }];
        let after = roster.after(&account(2), &remove, &[account(1)]).expect("a leaver may go");
        assert_eq!(after.role(&account(2)), Some(Role::Admin));
    }

    #[test]
    fn adding_twice_is_not_allowed() {
        let roster = Roster::founded_by(account(1));
        assert_eq!(roster.after(&account(1), &[add(2), add(2)], &[]), Err(NotAllowed));
    }
}
