//! A group as a device holds it: founded, loaded, joined, looked at.

use std::fmt;

use openmls::prelude::{
    GroupId, LeafNodeIndex, MlsGroup, MlsGroupCreateConfig, PURE_PLAINTEXT_WIRE_FORMAT_POLICY,
};
use openmls_traits::OpenMlsProvider as _;
use sync_protocol::sorted::SortedMap;
use sync_protocol::{DeviceId, SpaceId};
use zeroize::Zeroizing;

use super::identity::{always, capabilities};
use super::storage::{Overlay, Provider};
use super::{Context, GroupError, Identity, Leaf, RecordDiff, Records};
use crate::crypto::mls::{Crypto, SUITE};

/// The MLS exporter's label of an epoch root; its context is the space's id.
pub(super) const ROOT: &str = "rejoinder epoch root v1";
/// Length of an epoch root.
pub(super) const ROOT_LEN: usize = 32;

/// One space's MLS group on this device. After an error of kind `Local` the object must be dropped,
/// and may be loaded again from its records; every other error leaves it exactly as it was.
pub struct Group {
    pub(super) space: SpaceId,
    pub(super) mls: MlsGroup,
    pub(super) overlay: Overlay,
    pub(super) context: Context,
    pub(super) root: Zeroizing<[u8; 32]>,
    pub(super) leaves: Vec<(Leaf, LeafNodeIndex)>,
}

impl fmt::Debug for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Group")
            .field("space", &self.space)
            .field("epoch", &self.epoch())
            .field("leaves", &self.leaves.len())
            .finish_non_exhaustive()
    }
}

impl Group {
    /// Founds a group with this device as its only leaf.
    ///
    /// # Errors
    /// `Local` only.
    pub fn create(
        identity: &Identity,
        space: SpaceId,
        context: &Context,
        seed: [u8; 32],
    ) -> Result<Self, GroupError> {
        let overlay = Overlay::empty();
        let config = MlsGroupCreateConfig::builder()
            .ciphersuite(SUITE)
            .wire_format_policy(PURE_PLAINTEXT_WIRE_FORMAT_POLICY)
            .padding_size(0)
            .max_past_epochs(0)
            .number_of_resumption_psks(0)
            .use_ratchet_tree_extension(true)
            .capabilities(capabilities())
            .lifetime(always())
            .with_group_context_extensions(context.to_extensions()?)
            .build();
        let mls = MlsGroup::new_with_group_id(
            &overlay.seeded(&seed),
            identity,
            &config,
            group_id(&space),
            identity.credential(),
        )
        .map_err(GroupError::local)?;
        Self::assemble(space, mls, overlay)
    }

    /// Loads a group from its records.
    ///
    /// # Errors
    /// `Inactive` if the records are those of no group: the device was removed. `Unsupported` if the
    /// space went on to a newer version, `Local` if the records are damaged.
    pub fn load(space: SpaceId, records: Records) -> Result<Self, GroupError> {
        let overlay = Overlay::saved(records);
        let mls = MlsGroup::load(overlay.storage(), &group_id(&space))
            .map_err(GroupError::local)?
            .ok_or(GroupError::Inactive)?;
        Self::assemble(space, mls, overlay)
    }

    pub(super) fn assemble(
        space: SpaceId,
        mls: MlsGroup,
        overlay: Overlay,
    ) -> Result<Self, GroupError> {
        let context = Context::read(mls.extensions())?;
        let root = exported_root(&mls, overlay.provider().crypto(), &space)?;
        let leaves = read_leaves(&mls)?;
        Ok(Self { space, mls, overlay, context, root, leaves })
    }

    /// Brings what is derived from the MLS state up to date.
    pub(super) fn refresh(&mut self) -> Result<(), GroupError> {
        self.context = Context::read(self.mls.extensions())?;
        self.leaves = read_leaves(&self.mls)?;
        self.root = exported_root(&self.mls, self.overlay.provider().crypto(), &self.space)?;
        Ok(())
    }

    /// The MLS epoch number: how many commits were applied since the group was founded.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.mls.epoch().as_u64()
    }

    /// The epoch's root: what content keys and the epoch id derive from. All members have the same.
    /// Once this device is removed it stays what it was in the last epoch it took part in.
    #[must_use]
    pub fn root(&self) -> Zeroizing<[u8; 32]> {
        self.root.clone()
    }

    /// What all members agree on.
    #[must_use]
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// All leaves, sorted by device.
    #[must_use]
    pub fn leaves(&self) -> Vec<Leaf> {
        self.leaves.iter().map(|(leaf, _)| *leaf).collect()
    }

    /// Whether a device is a leaf.
    #[must_use]
    pub fn contains(&self, device: &DeviceId) -> bool {
        self.leaf_index(device).is_some()
    }

    /// Whether this device is still in.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.mls.is_active()
    }

    /// What changed since the group was loaded or the last diff. One batch: with half of it the group
    /// does not load.
    pub fn diff(&mut self) -> RecordDiff {
        self.overlay.diff()
    }

    pub(super) fn leaf_index(&self, device: &DeviceId) -> Option<LeafNodeIndex> {
        let at = self.leaves.binary_search_by_key(device, |(leaf, _)| leaf.device).ok()?;
        self.leaves.get(at).map(|(_, index)| *index)
    }

    pub(super) fn leaf_at(&self, index: LeafNodeIndex) -> Option<Leaf> {
        self.leaves.iter().find(|(_, at)| *at == index).map(|(leaf, _)| *leaf)
    }

    pub(super) fn require_active(&self) -> Result<(), GroupError> {
        if self.is_active() { Ok(()) } else { Err(GroupError::Inactive) }
    }

    /// What openmls runs on when nothing random is needed.
    pub(super) fn provider(&self) -> Provider<'_> {
        self.overlay.provider()
    }
}

/// A space's MLS group id: the space's id.
pub(super) fn group_id(space: &SpaceId) -> GroupId {
    GroupId::from_slice(space.as_bytes())
}

/// An exported secret as a root.
pub(super) fn to_root(exported: Vec<u8>) -> Result<Zeroizing<[u8; 32]>, GroupError> {
    let exported = Zeroizing::new(exported);
    let root = exported.as_slice().try_into();
    Ok(Zeroizing::new(root.map_err(|_| GroupError::local("an exported secret's length"))?))
}

fn exported_root(
    mls: &MlsGroup,
    crypto: &Crypto,
    space: &SpaceId,
) -> Result<Zeroizing<[u8; 32]>, GroupError> {
    let root = mls.export_secret(crypto, ROOT, space.as_bytes(), ROOT_LEN);
    to_root(root.map_err(GroupError::local)?)
}

/// All leaves of a group, checked, sorted by device.
pub(super) fn read_leaves(mls: &MlsGroup) -> Result<Vec<(Leaf, LeafNodeIndex)>, GroupError> {
    let mut leaves = SortedMap::new();
    for (index, node) in mls.treesync().full_leaves() {
        let leaf = Leaf::of(node)?;
        leaves.insert((leaf.device, index), (leaf, index));
    }
    Ok(leaves.into_values().collect())
}
