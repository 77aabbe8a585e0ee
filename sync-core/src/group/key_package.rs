//! Key packages: what others need to add a device that is not online.

use std::fmt;

use openmls::prelude::{
    KeyPackage, KeyPackageIn, MlsMessageBodyIn, MlsMessageIn, MlsMessageOut, ProtocolVersion,
    VLBytes,
    tls_codec::{DeserializeBytes as _, Serialize as _},
};
use openmls::treesync::EncryptionKey;
use openmls_traits::OpenMlsProvider as _;
use sync_protocol::limits;

use super::identity::{always, capabilities};
use super::storage::Overlay;
use super::{GroupError, Identity, Leaf, RecordDiff};
use crate::crypto::hpke;
use crate::crypto::mls::SUITE;

/// A key package just made.
#[derive(Clone)]
pub struct NewKeyPackage {
    /// What is published.
    pub bytes: Vec<u8>,
    /// The private half, to be kept among the device's key-package records until it is used.
    pub records: RecordDiff,
}

impl fmt::Debug for NewKeyPackage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewKeyPackage").field("records", &self.records).finish_non_exhaustive()
    }
}

/// Makes a key package. One of last resort may be used more than once: it is for when no other is
/// left.
///
/// # Errors
/// `Local` only.
pub fn new_key_package(
    identity: &Identity,
    seed: [u8; 32],
    last_resort: bool,
) -> Result<NewKeyPackage, GroupError> {
    let mut overlay = Overlay::empty();
    let mut builder =
        KeyPackage::builder().leaf_node_capabilities(capabilities()).key_package_lifetime(always());
    if last_resort {
        builder = builder.mark_as_last_resort();
    }
    let made = builder
        .build(SUITE, &overlay.seeded(&seed), identity, identity.credential())
        .map_err(GroupError::local)?;
    let bytes =
        MlsMessageOut::from(made.into_key_package()).to_bytes().map_err(GroupError::local)?;
    Ok(NewKeyPackage { bytes, records: overlay.diff() })
}

/// Reads and validates somebody's key package: suite, both signatures, credential against signing
/// key, capabilities, lifetime, usable encryption keys.
///
/// # Errors
/// `TooLarge`, `Malformed`, `Credential` or `Invalid`, the same on every device.
pub fn read_key_package(bytes: &[u8]) -> Result<Leaf, GroupError> {
    validated(bytes).map(|(_, leaf)| leaf)
}

pub(super) fn validated(bytes: &[u8]) -> Result<(KeyPackage, Leaf), GroupError> {
    if bytes.len() > limits::KEY_PACKAGE {
        return Err(GroupError::TooLarge { what: "key package", limit: limits::KEY_PACKAGE });
    }
    let key_package = parse(bytes).ok_or(GroupError::Malformed { what: "key package" })?;
    let provider = Overlay::empty();
    let key_package = key_package
        .validate(provider.provider().crypto(), ProtocolVersion::Mls10)
        .map_err(|_| GroupError::Invalid("a key package does not verify"))?;
    let leaf = check(&key_package)?;
    Ok((key_package, leaf))
}

/// What we ask of a key package beyond RFC 9420, wherever it comes from.
pub(super) fn check(key_package: &KeyPackage) -> Result<Leaf, GroupError> {
    if key_package.ciphersuite() != SUITE {
        return Err(GroupError::Invalid("a key package of another ciphersuite"));
    }
    let node = key_package.leaf_node();
    if node.capabilities() != &capabilities() {
        return Err(GroupError::Invalid("a leaf of other capabilities"));
    }
    let usable = public_bytes(node.encryption_key()).is_some_and(|key| hpke::is_usable(&key))
        && hpke::is_usable(key_package.hpke_init_key().as_slice());
    if !usable {
        return Err(GroupError::Invalid("a key package whose keys nobody can encrypt to"));
    }
    Leaf::of(node)
}

/// A leaf's encryption key, which the library shows in its wire form only.
fn public_bytes(key: &EncryptionKey) -> Option<Vec<u8>> {
    let wire = key.tls_serialize_detached().ok()?;
    VLBytes::tls_deserialize_exact_bytes(&wire).ok().map(Into::into)
}

fn parse(bytes: &[u8]) -> Option<KeyPackageIn> {
    match MlsMessageIn::tls_deserialize_exact_bytes(bytes).ok()?.extract() {
        MlsMessageBodyIn::KeyPackage(key_package) => Some(key_package),
        _ => None,
    }
}
