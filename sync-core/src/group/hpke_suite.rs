//! HPKE (RFC 9180) in base mode with DHKEM(X25519, HKDF-SHA256), HKDF-SHA256 and ChaCha20-Poly1305:
//! byte strings in and out, malformed keys as typed errors.

use hpke::aead::ChaCha20Poly1305;
use hpke::kdf::HkdfSha256;
use hpke::kem::X25519HkdfSha256;
use hpke::{Deserializable as _, HpkeError, Kem, OpModeR, OpModeS, Serializable as _};
use openmls_traits::types::{CryptoError, ExporterSecret, HpkeKeyPair, KemOutput};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng as _, SeedableRng as _};

type PublicKey = <X25519HkdfSha256 as Kem>::PublicKey;
type PrivateKey = <X25519HkdfSha256 as Kem>::PrivateKey;
type Encapped = <X25519HkdfSha256 as Kem>::EncappedKey;

/// Length of an encapsulated key.
const ENCAPPED: usize = 32;
/// Length of the authentication tag.
const TAG: usize = 16;

/// Encrypts to a public key.
///
/// # Errors
/// `InvalidPublicKey` if the key has the wrong length or is a point of small order.
pub(super) fn seal(
    recipient: &[u8],
    info: &[u8],
    aad: &[u8],
    plaintext: &[u8],
    rng: &mut ChaCha20Rng,
) -> Result<(Vec<u8>, Vec<u8>), CryptoError> {
    let (encapped, ciphertext) =
        hpke::single_shot_seal_with_rng::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>(
            &OpModeS::Base,
            &public_key(recipient)?,
            info,
            plaintext,
            aad,
            rng,
        )
        .map_err(|error| match error {
            HpkeError::EncapError => CryptoError::InvalidPublicKey,
            _ => CryptoError::HpkeEncryptionError,
        })?;
    Ok((encapped.to_bytes().to_vec(), ciphertext))
}

/// What looks like an encryption of `len` bytes and opens for nobody.
pub(super) fn unopenable(len: usize, rng: &mut ChaCha20Rng) -> (Vec<u8>, Vec<u8>) {
    let (mut encapped, mut ciphertext) = (vec![0; ENCAPPED], vec![0; len + TAG]);
    rng.fill_bytes(&mut encapped);
    rng.fill_bytes(&mut ciphertext);
    (encapped, ciphertext)
}

/// Whether anybody could encrypt to this public key.
pub(super) fn is_usable(public: &[u8]) -> bool {
    seal(public, &[], &[], &[], &mut ChaCha20Rng::from_seed([1; 32])).is_ok()
}

/// Decrypts with a private key.
///
/// # Errors
/// `HpkeDecryptionError` whatever the reason, `InvalidLength` for a malformed private key.
pub(super) fn open(
    encapped: &[u8],
    ciphertext: &[u8],
    private: &[u8],
    info: &[u8],
    aad: &[u8],
) -> Result<Vec<u8>, CryptoError> {
    let encapped = Encapped::from_bytes(encapped).map_err(|_| CryptoError::HpkeDecryptionError)?;
    hpke::single_shot_open::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>(
        &OpModeR::Base,
        &private_key(private)?,
        &encapped,
        info,
        ciphertext,
        aad,
    )
    .map_err(|_| CryptoError::HpkeDecryptionError)
}

/// Sets up a sender and exports a secret.
///
/// # Errors
/// `InvalidPublicKey`, `ExporterError` for a length over 255 hashes.
pub(super) fn send_export(
    recipient: &[u8],
    info: &[u8],
    exporter_context: &[u8],
    len: usize,
    rng: &mut ChaCha20Rng,
) -> Result<(KemOutput, ExporterSecret), CryptoError> {
    let (encapped, context) = hpke::setup_sender_with_rng::<
        ChaCha20Poly1305,
        HkdfSha256,
        X25519HkdfSha256,
    >(&OpModeS::Base, &public_key(recipient)?, info, rng)
    .map_err(|_| CryptoError::SenderSetupError)?;
    let mut secret = vec![0; len];
    context.export(exporter_context, &mut secret).map_err(|_| CryptoError::ExporterError)?;
    Ok((encapped.to_bytes().to_vec(), secret.into()))
}

/// Sets up a receiver and exports the same secret.
///
/// # Errors
/// `ReceiverSetupError`, `ExporterError`, `InvalidLength` for a malformed private key.
pub(super) fn receive_export(
    encapped: &[u8],
    private: &[u8],
    info: &[u8],
    exporter_context: &[u8],
    len: usize,
) -> Result<ExporterSecret, CryptoError> {
    let encapped = Encapped::from_bytes(encapped).map_err(|_| CryptoError::ReceiverSetupError)?;
    let context = hpke::setup_receiver::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>(
        &OpModeR::Base,
        &private_key(private)?,
        &encapped,
        info,
    )
    .map_err(|_| CryptoError::ReceiverSetupError)?;
    let mut secret = vec![0; len];
    context.export(exporter_context, &mut secret).map_err(|_| CryptoError::ExporterError)?;
    Ok(secret.into())
}

/// The key pair of RFC 9180's `DeriveKeyPair`.
pub(super) fn derive_keypair(ikm: &[u8]) -> HpkeKeyPair {
    let (private, public) = X25519HkdfSha256::derive_keypair(ikm);
    HpkeKeyPair { private: private.to_bytes().to_vec().into(), public: public.to_bytes().to_vec() }
}

fn public_key(bytes: &[u8]) -> Result<PublicKey, CryptoError> {
    PublicKey::from_bytes(bytes).map_err(|_| CryptoError::InvalidPublicKey)
}

fn private_key(bytes: &[u8]) -> Result<PrivateKey, CryptoError> {
    PrivateKey::from_bytes(bytes).map_err(|_| CryptoError::InvalidLength)
}
