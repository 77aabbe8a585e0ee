//! Coming in from outside (RFC 9420 section 12.4.3.2): a commit by a device that is no leaf yet,
//! made from a [`GroupInfo`](openmls::messages::group_info) that a member left for it.

use std::fmt;

use openmls::prelude::{
    CommitMessageBundle, LeafNodeParameters, MlsGroup, MlsGroupJoinConfig, OpenMlsCrypto as _,
    PURE_PLAINTEXT_WIRE_FORMAT_POLICY, group_info::VerifiableGroupInfo,
};
use openmls_traits::OpenMlsProvider as _;
use sync_protocol::{DeviceId, SpaceId, limits};

use super::binding::parse;
use super::context::Context;
use super::identity::capabilities;
use super::outgoing::check_size;
use super::state::group_id;
use super::storage::Overlay;
use super::{Group, GroupError, Identity, Leaf};

/// A group just entered from outside. The others know of it once they apply `message`; until the log
/// shows it to be the first valid commit of its epoch, it is provisional.
pub struct Entered {
    /// The group, in the epoch that the commit makes; its whole content is in its first diff.
    pub group: Group,
    /// The MLS PublicMessage, for all members of the parent epoch.
    pub message: Vec<u8>,
    /// What lets the next device in from outside.
    pub group_info: Vec<u8>,
}

impl fmt::Debug for Entered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entered").field("group", &self.group).finish_non_exhaustive()
    }
}

impl Group {
    /// What lets a device in from outside during this epoch, by whoever knows it.
    ///
    /// # Errors
    /// `Local` only.
    pub fn group_info(&self, identity: &Identity) -> Result<Vec<u8>, GroupError> {
        let info = self.mls.export_group_info(self.provider().crypto(), identity, true);
        info.map_err(GroupError::local)?.to_bytes().map_err(GroupError::local)
    }

    /// Whether a group info names a device as a leaf already. Not verified: what follows from it is.
    #[must_use]
    pub fn info_names(group_info: &[u8], device: &DeviceId) -> bool {
        let Ok(info) = parse(group_info) else { return false };
        let Some(tree) = info.extensions().ratchet_tree() else { return false };
        tree.ratchet_tree().leaves().any(|leaf| {
            Leaf::read(leaf.credential(), leaf.signature_key().as_slice())
                .is_ok_and(|leaf| leaf.device == *device)
        })
    }

    /// The documents' era in the group that a group info leads into.
    #[must_use]
    pub fn info_era(group_info: &[u8]) -> Option<u32> {
        let info = parse(group_info).ok()?;
        Some(Context::read(info.group_context().extensions()).ok()?.era)
    }

    /// Enters `space` from outside, with a commit that authenticates `aad`. A leaf that this device
    /// has there already is removed by the same commit.
    ///
    /// What the group info says about the group is genuine only as far as whoever left it is to be
    /// trusted: certificates of the leaves are for the caller to check.
    ///
    /// # Errors
    /// `Malformed`, `TooLarge`, `Credential` or `Invalid`: what is wrong with the group info.
    pub fn enter(
        identity: &Identity,
        space: SpaceId,
        group_info: &[u8],
        aad: &[u8],
        seed: [u8; 32],
    ) -> Result<Entered, GroupError> {
        let info = parse(group_info)?;
        let overlay = Overlay::unsaved(super::Records::new());
        let provider = overlay.seeded(&seed);
        if provider.crypto().supports(info.ciphersuite()).is_err() {
            return Err(GroupError::Invalid("a group info of another ciphersuite"));
        }
        check(&info, &space)?;
        let config = MlsGroupJoinConfig::builder()
            .wire_format_policy(PURE_PLAINTEXT_WIRE_FORMAT_POLICY)
            .padding_size(0)
            .max_past_epochs(0)
            .number_of_resumption_psks(0)
            .use_ratchet_tree_extension(true)
            .build();
        let leaf = LeafNodeParameters::builder().with_capabilities(capabilities()).build();
        let invalid = || GroupError::Invalid("a group info does not verify");
        let (mls, bundle) = MlsGroup::external_commit_builder()
            .with_config(config)
            .with_aad(aad.to_vec())
            .skip_lifetime_validation()
            .build_group(&provider, info, identity.credential())
            .map_err(|_| invalid())?
            .leaf_node_parameters(leaf)
            .load_psks(provider.storage())
            .map_err(|_| invalid())?
            .create_group_info(true)
            .build(provider.rand(), provider.crypto(), identity, |_| true)
            .map_err(|_| invalid())?
            .finalize(&provider)
            .map_err(GroupError::local)?;
        let (message, group_info) = messages(bundle)?;
        let records = overlay.records();
        let group = Self::assemble(space, mls, Overlay::unsaved(records))?;
        check_size(group.leaves.len(), 0, 0)?;
        Ok(Entered { group, message, group_info })
    }
}

fn messages(bundle: CommitMessageBundle) -> Result<(Vec<u8>, Vec<u8>), GroupError> {
    let (message, _, info) = bundle.into_messages();
    let message = message.to_bytes().map_err(GroupError::local)?;
    let info = info.ok_or_else(|| GroupError::local("no group info was made"))?;
    Ok((message, info.to_bytes().map_err(GroupError::local)?))
}

/// What can be refused before the tree is verified, which costs a signature a leaf.
fn check(info: &VerifiableGroupInfo, space: &SpaceId) -> Result<(), GroupError> {
    if *info.group_id() != group_id(space) {
        return Err(GroupError::Invalid("a group info of another space"));
    }
    let tree = info.extensions().ratchet_tree();
    let tree = tree.ok_or(GroupError::Invalid("a group info without its tree"))?;
    if tree.ratchet_tree().leaves().count() > limits::LEAVES {
        return Err(GroupError::TooLarge { what: "group", limit: limits::LEAVES });
    }
    Ok(())
}
