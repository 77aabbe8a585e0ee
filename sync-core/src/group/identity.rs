//! Who signs, and who is in: the credential of a leaf.

use std::fmt;

use openmls::prelude::{
    BasicCredential, Capabilities, Credential, CredentialType, CredentialWithKey, ExtensionType,
    LeafNode, Lifetime, ProtocolVersion, tls_codec::Size as _,
};
use openmls::treesync::LeafNodeSource;
use openmls_traits::signatures::{Signer, SignerError};
use openmls_traits::types::SignatureScheme;
use sync_protocol::signing::{PublicKey, SigningKey, sign_plain};
use sync_protocol::{AccountId, DeviceId, limits};

use super::GroupError;
use super::context::EXTENSION;
use crate::crypto::mls::SUITE;

/// Who signs: this device. Its account says so in the device log, not here.
#[derive(Clone)]
pub struct Identity {
    /// The account the device belongs to.
    pub account: AccountId,
    /// The device: the hash of the signing key's public half.
    pub device: DeviceId,
    /// The device's signing key.
    pub signing: SigningKey,
}

impl Identity {
    /// The identity of the device that has this key.
    #[must_use]
    pub fn new(account: AccountId, signing: SigningKey) -> Self {
        let device = DeviceId::of_signing_key(&signing.verifying_key().to_bytes());
        Self { account, device, signing }
    }

    /// The MLS credential: account id, then device id.
    pub(super) fn credential(&self) -> CredentialWithKey {
        let mut name = self.account.as_bytes().to_vec();
        name.extend_from_slice(self.device.as_bytes());
        CredentialWithKey {
            credential: BasicCredential::new(name).into(),
            signature_key: self.signing.verifying_key().to_bytes().to_vec().into(),
        }
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("account", &self.account)
            .field("device", &self.device)
            .finish_non_exhaustive()
    }
}

impl Signer for Identity {
    fn sign(&self, payload: &[u8]) -> Result<Vec<u8>, SignerError> {
        Ok(sign_plain(&self.signing, payload).to_vec())
    }

    fn signature_scheme(&self) -> SignatureScheme {
        SignatureScheme::ED25519
    }
}

/// A member device of a group. That the signing key hashes to the device was checked; whether the
/// account's device log names the device is for the caller to check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Leaf {
    /// The device.
    pub device: DeviceId,
    /// The account it says it belongs to.
    pub account: AccountId,
    /// Its signing key.
    pub signing_key: PublicKey,
}

impl Leaf {
    /// Reads a credential and checks it against its signature key.
    ///
    /// # Errors
    /// `Credential` if it is of another type or shape, or names a device that the key does not hash to.
    pub(super) fn read(credential: &Credential, signature_key: &[u8]) -> Result<Self, GroupError> {
        let wrong = GroupError::Credential;
        let basic = BasicCredential::try_from(credential.clone()).map_err(|_| wrong.clone())?;
        let (account, device) =
            basic.identity().split_at_checked(AccountId::LEN).ok_or(wrong.clone())?;
        let account = AccountId::try_from(account).map_err(|_| wrong.clone())?;
        let device = DeviceId::try_from(device).map_err(|_| wrong.clone())?;
        let signing_key: PublicKey = signature_key.try_into().map_err(|_| wrong.clone())?;
        if device != DeviceId::of_signing_key(&signing_key) {
            return Err(wrong);
        }
        Ok(Self { device, account, signing_key })
    }

    /// Reads a leaf node and checks all that we ask of one beyond RFC 9420.
    ///
    /// # Errors
    /// `Credential`, or `Invalid` for a lifetime that ends: expiry is judged elsewhere, with a time
    /// that all agree on, so that no verdict depends on a clock.
    pub(super) fn of(node: &LeafNode) -> Result<Self, GroupError> {
        if let LeafNodeSource::KeyPackage(lifetime) = node.leaf_node_source()
            && *lifetime != always()
        {
            return Err(GroupError::Invalid("a leaf's lifetime is limited"));
        }
        if node.tls_serialized_len() > limits::KEY_PACKAGE {
            return Err(GroupError::Invalid("a leaf is too large"));
        }
        Self::read(node.credential(), node.signature_key().as_slice())
    }
}

/// The lifetime of every leaf: all of time.
pub(super) fn always() -> Lifetime {
    Lifetime::init(0, u64::MAX)
}

/// What every leaf can do.
pub(super) fn capabilities() -> Capabilities {
    Capabilities::new(
        Some(&[ProtocolVersion::Mls10]),
        Some(&[SUITE]),
        Some(&[ExtensionType::LastResort, ExtensionType::Unknown(EXTENSION)]),
        None,
        Some(&[CredentialType::Basic]),
    )
}
