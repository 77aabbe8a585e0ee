//! Commits made here.

use std::fmt;

use openmls::prelude::{CommitMessageBundle, CreateCommitError, KeyPackage, LeafNodeIndex};
use openmls_traits::OpenMlsProvider as _;
use sync_protocol::sorted::SortedSet;
use sync_protocol::{DeviceId, limits};
use zeroize::Zeroizing;

use super::state::{ROOT, ROOT_LEN, to_root};
use super::{Context, Group, GroupError, Identity, key_package};

/// What a commit shall do. With nothing to add, remove or change it only renews keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Key packages of the devices to add.
    pub add: Vec<Vec<u8>>,
    /// Devices to remove; never the committer's own.
    pub remove: Vec<DeviceId>,
    /// The context from then on.
    pub context: Context,
}

/// A commit just built and pending.
pub struct Commit {
    /// The MLS PublicMessage, for all members of the parent epoch.
    pub message: Vec<u8>,
    /// The Welcome for the added devices, if any.
    pub welcome: Option<Vec<u8>>,
    /// The root of the epoch that the commit makes.
    pub child_root: Zeroizing<[u8; 32]>,
    /// What lets a device in from outside during that epoch.
    pub group_info: Vec<u8>,
}

impl fmt::Debug for Commit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Commit")
            .field("message", &self.message.len())
            .field("welcome", &self.welcome.as_ref().map(Vec::len))
            .finish_non_exhaustive()
    }
}

/// The parts of a change once they make sense in this group.
struct Plan {
    add: Vec<KeyPackage>,
    remove: SortedSet<LeafNodeIndex>,
}

impl Group {
    /// Builds a commit that authenticates `aad`, and leaves it pending. It always renews the
    /// committer's keys. The same group, change and seed give the same bytes, except that openmls
    /// orders two or more removals as it likes.
    ///
    /// # Errors
    /// The caller's: `Usage`, `AlreadyIn`, `NotIn`, `TooLarge`, `Inactive`; a bad key package's:
    /// `Malformed`, `Invalid`, `Credential`. In all cases nothing is pending.
    pub fn commit(
        &mut self,
        identity: &Identity,
        change: &Change,
        aad: &[u8],
        seed: [u8; 32],
    ) -> Result<Commit, GroupError> {
        self.require_active()?;
        if self.has_pending() {
            return Err(GroupError::Usage("a commit is pending already"));
        }
        if self.leaf_index(&identity.device) != Some(self.mls.own_leaf_index()) {
            return Err(GroupError::Usage("the identity is not this group's own leaf"));
        }
        let plan = self.plan(identity, change)?;
        self.mls.set_aad(aad.to_vec());
        let built = self.build(identity, plan, &change.context, &seed);
        self.mls.set_aad(Vec::new());
        let commit = built.and_then(|bundle| self.outcome(bundle));
        if commit.is_err() {
            self.drop_pending()?;
        }
        commit
    }

    /// Whether a commit of our own is pending.
    #[must_use]
    pub fn has_pending(&self) -> bool {
        self.mls.pending_commit().is_some()
    }

    /// Applies the pending commit: the log showed it to be the first valid one.
    ///
    /// # Errors
    /// `Usage` if there is none; `Local`.
    pub fn merge_pending(&mut self) -> Result<(), GroupError> {
        if !self.has_pending() {
            return Err(GroupError::Usage("no commit is pending"));
        }
        self.mls.merge_pending_commit(&self.overlay.provider()).map_err(GroupError::local)?;
        self.refresh()
    }

    /// Forgets the pending commit, if there is one.
    ///
    /// # Errors
    /// `Local`.
    pub fn drop_pending(&mut self) -> Result<(), GroupError> {
        self.mls.clear_pending_commit(self.overlay.storage()).map_err(GroupError::local)
    }

    fn plan(&self, identity: &Identity, change: &Change) -> Result<Plan, GroupError> {
        let mut remove = SortedSet::new();
        for device in &change.remove {
            if *device == identity.device {
                return Err(GroupError::Usage("a device cannot remove itself"));
            }
            remove.insert(self.leaf_index(device).ok_or(GroupError::NotIn(*device))?);
        }
        let mut add = Vec::new();
        let mut devices = SortedSet::new();
        for bytes in &change.add {
            let (key_package, leaf) = key_package::validated(bytes)?;
            if self.contains(&leaf.device) || !devices.insert(leaf.device) {
                return Err(GroupError::AlreadyIn(leaf.device));
            }
            add.push(key_package);
        }
        check_size(self.leaves.len(), add.len(), remove.len())?;
        Ok(Plan { add, remove })
    }

    fn build(
        &mut self,
        identity: &Identity,
        plan: Plan,
        context: &Context,
        seed: &[u8; 32],
    ) -> Result<CommitMessageBundle, GroupError> {
        let provider = self.overlay.seeded(seed);
        let mut builder = self
            .mls
            .commit_builder()
            .consume_proposal_store(false)
            .force_self_update(true)
            .propose_adds(plan.add)
            .propose_removals(plan.remove);
        if *context != self.context {
            builder = builder
                .propose_group_context_extensions(context.to_extensions()?)
                .map_err(refused)?;
        }
        builder
            .load_psks(provider.storage())
            .map_err(refused)?
            .create_group_info(true)
            .build(provider.rand(), provider.crypto(), identity, |_| true)
            .map_err(refused)?
            .stage_commit(&provider)
            .map_err(GroupError::local)
    }

    fn outcome(&self, bundle: CommitMessageBundle) -> Result<Commit, GroupError> {
        let pending =
            self.mls.pending_commit().ok_or_else(|| GroupError::local("nothing was staged"))?;
        let child_root = pending
            .export_secret(self.provider().crypto(), ROOT, self.space.as_bytes(), ROOT_LEN)
            .map_err(GroupError::local)?;
        let (message, welcome, info) = bundle.into_messages();
        let info = info.ok_or_else(|| GroupError::local("no group info was made"))?;
        let group_info = info.to_bytes().map_err(GroupError::local)?;
        let message = message.to_bytes().map_err(GroupError::local)?;
        let welcome =
            welcome.map(|welcome| welcome.to_bytes()).transpose().map_err(GroupError::local)?;
        Ok(Commit { message, welcome, child_root: to_root(child_root)?, group_info })
    }
}

/// Whether a group stays within the limit.
pub(super) fn check_size(leaves: usize, add: usize, remove: usize) -> Result<(), GroupError> {
    if leaves + add > limits::LEAVES + remove {
        return Err(GroupError::TooLarge { what: "group", limit: limits::LEAVES });
    }
    Ok(())
}

fn refused(error: CreateCommitError) -> GroupError {
    match error {
        CreateCommitError::LibraryError(error) => GroupError::local(error),
        CreateCommitError::ProposalValidationError(_)
        | CreateCommitError::LeafNodeValidation(_) => {
            GroupError::Invalid("a device to add does not fit into the group")
        }
        error => GroupError::local(error),
    }
}
