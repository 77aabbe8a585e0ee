//! Keys of an epoch, and sealing with them (`docs/protocol.md`, "Sealing").

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use hkdf::Hkdf;
use hpke::aead::ChaCha20Poly1305 as HpkeAead;
use hpke::kdf::HkdfSha256;
use hpke::kem::X25519HkdfSha256;
use hpke::{Deserializable, Kem, OpModeR, OpModeS, Serializable};
use rand_core::CryptoRng;
use sha2::Sha256;
use sync_protocol::WriterId;
use sync_protocol::hash::{self, Domain};
use sync_protocol::ids::Commitment;
use zeroize::Zeroizing;

const EPOCH_KEY: Domain = Domain::new("rejoinder epoch key v2");
const CONTENT: &[u8] = b"rejoinder content key v1";
const HANDSHAKE: &[u8] = b"rejoinder handshake key v1";
const GRANT: &[u8] = b"rejoinder grant v1";
const NONCE: usize = 24;

/// A 32-byte secret: cleared when dropped.
pub(crate) type Secret = Zeroizing<[u8; 32]>;

/// Bytes that do not open: altered, or sealed to somebody else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DoesNotOpen;

/// What an epoch id commits to of its root and of its group's public state.
pub(crate) fn key_commitment(root: &[u8; 32], binding: &[u8; 32]) -> Commitment {
    Commitment::from_bytes(hash::hash(EPOCH_KEY, &[root, binding]))
}

/// The key of one writer's content in an epoch.
pub(crate) fn content_key(root: &[u8; 32], writer: &WriterId) -> Secret {
    derive(root, &[CONTENT, &writer.to_bytes()])
}

/// The key of the handshakes that end an epoch.
pub(crate) fn handshake_key(root: &[u8; 32]) -> Secret {
    derive(root, &[HANDSHAKE])
}

fn derive(root: &[u8; 32], info: &[&[u8]]) -> Secret {
    let mut key = Zeroizing::new([0; 32]);
    Hkdf::<Sha256>::new(None, root)
        .expand_multi_info(info, key.as_mut())
        .expect("32 bytes are a valid HKDF length");
    key
}

/// Seals with XChaCha20-Poly1305 under a random nonce, which leads the result.
pub(crate) fn seal(
    key: &[u8; 32],
    aad: &[u8],
    plaintext: &[u8],
    rng: &mut impl CryptoRng,
) -> Vec<u8> {
    let mut nonce = [0; NONCE];
    rng.fill_bytes(&mut nonce);
    let cipher = XChaCha20Poly1305::new(key.into());
    let sealed = cipher
        .encrypt(&XNonce::from(nonce), Payload { msg: plaintext, aad })
        .expect("a change set is below the cipher's limit");
    [nonce.as_slice(), &sealed].concat()
}

/// Opens what [`seal`] made.
pub(crate) fn open(key: &[u8; 32], aad: &[u8], sealed: &[u8]) -> Result<Vec<u8>, DoesNotOpen> {
    let (nonce, ciphertext) = sealed.split_first_chunk::<NONCE>().ok_or(DoesNotOpen)?;
    let cipher = XChaCha20Poly1305::new(key.into());
    cipher.decrypt(&XNonce::from(*nonce), Payload { msg: ciphertext, aad }).map_err(|_| DoesNotOpen)
}

type HpkeKem = X25519HkdfSha256;

/// A fresh HPKE key pair: secret, public.
pub(crate) fn hpke_pair(seed: &[u8; 32]) -> (Secret, [u8; 32]) {
    let (secret, public) = HpkeKem::derive_keypair(seed);
    let mut bytes = Zeroizing::new([0; 32]);
    bytes.copy_from_slice(&secret.to_bytes());
    let mut public_bytes = [0; 32];
    public_bytes.copy_from_slice(&public.to_bytes());
    (bytes, public_bytes)
}

/// The public half of a private HPKE key; `None` if it is not one.
pub(crate) fn hpke_public(secret: &[u8]) -> Option<[u8; 32]> {
    let secret = <HpkeKem as Kem>::PrivateKey::from_bytes(secret).ok()?;
    let mut public = [0; 32];
    public.copy_from_slice(&HpkeKem::sk_to_pk(&secret).to_bytes());
    Some(public)
}

/// Seals to somebody's HPKE key (RFC 9180, base mode).
pub(crate) fn seal_to(
    key: &[u8; 32],
    aad: &[u8],
    plaintext: &[u8],
    rng: &mut impl CryptoRng,
) -> Result<Vec<u8>, DoesNotOpen> {
    let public = <HpkeKem as Kem>::PublicKey::from_bytes(key).map_err(|_| DoesNotOpen)?;
    let (encapped, sealed) = hpke::single_shot_seal_with_rng::<HpkeAead, HkdfSha256, HpkeKem>(
        &OpModeS::Base,
        &public,
        GRANT,
        plaintext,
        aad,
        rng,
    )
    .map_err(|_| DoesNotOpen)?;
    Ok([encapped.to_bytes().as_slice(), &sealed].concat())
}

/// Opens what [`seal_to`] made for this key.
pub(crate) fn open_from(
    secret: &[u8; 32],
    aad: &[u8],
    sealed: &[u8],
) -> Result<Vec<u8>, DoesNotOpen> {
    let (encapped, ciphertext) = sealed.split_first_chunk::<32>().ok_or(DoesNotOpen)?;
    let secret = <HpkeKem as Kem>::PrivateKey::from_bytes(secret).map_err(|_| DoesNotOpen)?;
    let encapped = <HpkeKem as Kem>::EncappedKey::from_bytes(encapped).map_err(|_| DoesNotOpen)?;
    hpke::single_shot_open::<HpkeAead, HkdfSha256, HpkeKem>(
        &OpModeR::Base,
        &secret,
        &encapped,
        GRANT,
        ciphertext,
        aad,
    )
    .map_err(|_| DoesNotOpen)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_core::SeedableRng;

    #[test]
    fn what_is_sealed_opens_with_its_key_and_context_only() {
        let mut rng = rand_chacha::ChaCha20Rng::from_seed([1; 32]);
        let sealed = seal(&[2; 32], b"here", b"words", &mut rng);
        assert_eq!(open(&[2; 32], b"here", &sealed).as_deref(), Ok(b"words".as_slice()));
        assert_eq!(open(&[3; 32], b"here", &sealed), Err(DoesNotOpen));
        assert_eq!(open(&[2; 32], b"there", &sealed), Err(DoesNotOpen));
        assert_eq!(open(&[2; 32], b"here", &sealed[..20]), Err(DoesNotOpen));
    }

    #[test]
    fn a_grant_opens_for_its_receiver_only() {
        let mut rng = rand_chacha::ChaCha20Rng::from_seed([1; 32]);
        let (secret, public) = hpke_pair(&[4; 32]);
        let sealed = seal_to(&public, b"a", b"roots", &mut rng).unwrap();
        assert_eq!(open_from(&secret, b"a", &sealed).as_deref(), Ok(b"roots".as_slice()));
        let (other, _) = hpke_pair(&[5; 32]);
        assert_eq!(open_from(&other, b"a", &sealed), Err(DoesNotOpen));
    }

    #[test]
    fn every_writer_has_its_own_key() {
        let device = sync_protocol::DeviceId::of_signing_key(&[1; 32]);
        let one = content_key(&[7; 32], &WriterId { device, incarnation: 1 });
        let two = content_key(&[7; 32], &WriterId { device, incarnation: 2 });
        assert_ne!(*one, *two);
    }
}
