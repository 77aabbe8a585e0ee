//! Joining a group from a Welcome.

use openmls::prelude::{
    MlsGroupJoinConfig, MlsMessageBodyIn, MlsMessageIn, OpenMlsCrypto as _,
    PURE_PLAINTEXT_WIRE_FORMAT_POLICY, ProcessedWelcome, StagedWelcome, Welcome, WelcomeError,
    tls_codec::DeserializeBytes as _,
};
use openmls_traits::OpenMlsProvider as _;
use sync_protocol::{SpaceId, limits};

use super::state::group_id;
use super::storage::{Overlay, Provider};
use super::{Group, GroupError, Leaf, Records};

/// A group just joined from a Welcome.
#[derive(Debug)]
pub struct Joined {
    /// The group; its whole content is in its first diff.
    pub group: Group,
    /// Keys of key-package records that are used up and must go in the same batch. Empty for a key
    /// package of last resort.
    pub used: Vec<Vec<u8>>,
    /// Who made the Welcome.
    pub welcomed_by: Leaf,
}

impl Group {
    /// Joins `space` from a Welcome to one of the device's key packages. What the Welcome says about
    /// the group is genuine only as far as its sender is to be trusted: whether the group is the one
    /// that the log shows is for the caller to check, by the epoch's id.
    ///
    /// # Errors
    /// `NotForUs` if no key package matches; otherwise what is wrong with the Welcome. Nothing is
    /// changed.
    pub fn join(
        space: SpaceId,
        welcome: &[u8],
        key_packages: &Records,
        seed: [u8; 32],
    ) -> Result<Joined, GroupError> {
        let welcome = parse(welcome)?;
        let overlay = Overlay::saved(key_packages.clone());
        let provider = overlay.seeded(&seed);
        let staged = staged(&provider, &space, welcome)?;
        let sender = staged.welcome_sender().map_err(|_| invalid())?;
        let welcomed_by = Leaf::of(sender)?;
        let mls = staged.into_group(&provider).map_err(|_| invalid())?;
        let mut records = overlay.records();
        let used = key_packages.keys().filter(|key| records.remove(*key).is_none()).cloned();
        let used = used.collect();
        let group = Self::assemble(space, mls, Overlay::unsaved(records))?;
        Ok(Joined { group, used, welcomed_by })
    }
}

fn invalid() -> GroupError {
    GroupError::Invalid("a welcome does not verify")
}

fn parse(bytes: &[u8]) -> Result<Welcome, GroupError> {
    if bytes.len() > limits::INBOX_ITEM {
        return Err(GroupError::TooLarge { what: "welcome", limit: limits::INBOX_ITEM });
    }
    let message = MlsMessageIn::tls_deserialize_exact_bytes(bytes).ok();
    match message.map(MlsMessageIn::extract) {
        Some(MlsMessageBodyIn::Welcome(welcome)) => Ok(welcome),
        _ => Err(GroupError::Malformed { what: "welcome" }),
    }
}

fn staged(
    provider: &Provider<'_>,
    space: &SpaceId,
    welcome: Welcome,
) -> Result<StagedWelcome, GroupError> {
    if provider.crypto().supports(welcome.ciphersuite()).is_err() {
        return Err(GroupError::Invalid("a welcome of another ciphersuite"));
    }
    let config = MlsGroupJoinConfig::builder()
        .wire_format_policy(PURE_PLAINTEXT_WIRE_FORMAT_POLICY)
        .padding_size(0)
        .max_past_epochs(0)
        .number_of_resumption_psks(0)
        .use_ratchet_tree_extension(true)
        .build();
    let builder = StagedWelcome::build_from_welcome(provider, &config, welcome)
        .map_err(|error| match error {
            WelcomeError::NoMatchingKeyPackage => GroupError::NotForUs,
            _ => invalid(),
        })?
        .skip_lifetime_validation();
    check(builder.processed_welcome(), space)?;
    builder.build().map_err(|_| invalid())
}

/// What can be refused before the tree is verified, which costs a signature a leaf.
fn check(welcome: &ProcessedWelcome, space: &SpaceId) -> Result<(), GroupError> {
    let info = welcome.unverified_group_info();
    if *info.group_id() != group_id(space) {
        return Err(GroupError::Invalid("a welcome to another space"));
    }
    if !welcome.psks().is_empty() {
        return Err(GroupError::Invalid("a welcome with a pre-shared key"));
    }
    let tree = info.extensions().ratchet_tree().ok_or_else(invalid)?;
    if tree.ratchet_tree().leaves().count() > limits::LEAVES {
        return Err(GroupError::TooLarge { what: "group", limit: limits::LEAVES });
    }
    Ok(())
}
