//! The cryptography that MLS runs on: one ciphersuite, and randomness that is an argument.
//!
//! Everything is RustCrypto's. An operation that may draw randomness is given a 32-byte seed of its
//! own; from it come both a ChaCha20 stream and, for every HPKE encryption, an ephemeral key bound to
//! recipient, info, AAD and plaintext. So the bytes of a commit do not depend on the order in which
//! threads encrypt its path, and a whole run replays from its seeds. An operation that must not draw
//! randomness gets none, and fails if it tries.

use std::sync::{Mutex, PoisonError};

use openmls_traits::crypto::OpenMlsCrypto;
use openmls_traits::random::OpenMlsRand;
use openmls_traits::types::{
    AeadType, Ciphersuite, CryptoError, ExporterSecret, HashType, HpkeAeadType, HpkeCiphertext,
    HpkeConfig, HpkeKdfType, HpkeKemType, HpkeKeyPair, KemOutput, SignatureScheme,
};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng as _, SeedableRng as _};
use sync_protocol::hash::{Domain, framed, sha256};
use sync_protocol::signing::{self, SigningKey};
use tls_codec::SecretVLBytes;
use zeroize::Zeroizing;

use super::aead::Cipher;
use super::{Secret, hpke, kdf};

/// The only ciphersuite of a group: 128-bit security, X25519, ChaCha20-Poly1305, SHA-256, Ed25519.
pub(crate) const SUITE: Ciphersuite =
    Ciphersuite::MLS_128_DHKEMX25519_CHACHA20POLY1305_SHA256_Ed25519;

const STREAM: Domain = Domain::new("rejoinder operation stream v1");
const EPHEMERAL: Domain = Domain::new("rejoinder hpke ephemeral v1");

/// The cryptography of one operation.
pub(crate) struct Crypto {
    randomness: Option<Randomness>,
}

struct Randomness {
    stream: Mutex<ChaCha20Rng>,
    seed: Zeroizing<[u8; 32]>,
}

/// Randomness was asked for in an operation that must not need any.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this operation has no randomness")]
pub(crate) struct NoRandomness;

impl Crypto {
    /// For an operation that draws randomness. Each seed must be used for one operation only.
    pub(crate) fn seeded(seed: &[u8; 32]) -> Self {
        let stream = ChaCha20Rng::from_seed(*derived(seed, &framed(STREAM, &[])));
        let randomness = Randomness { stream: Mutex::new(stream), seed: Zeroizing::new(*seed) };
        Self { randomness: Some(randomness) }
    }

    /// For an operation that reads, verifies and decrypts.
    pub(crate) const fn without_randomness() -> Self {
        Self { randomness: None }
    }

    fn fill(&self, out: &mut [u8]) -> Result<(), NoRandomness> {
        let randomness = self.randomness.as_ref().ok_or(NoRandomness)?;
        let mut stream = randomness.stream.lock().unwrap_or_else(PoisonError::into_inner);
        stream.fill_bytes(out);
        Ok(())
    }

    /// The ephemeral randomness of one HPKE encryption.
    fn ephemeral(&self, parts: &[&[u8]]) -> Result<ChaCha20Rng, CryptoError> {
        let randomness = self.randomness.as_ref().ok_or(CryptoError::InsufficientRandomness)?;
        Ok(ChaCha20Rng::from_seed(*derived(&randomness.seed, &framed(EPHEMERAL, parts))))
    }
}

fn derived(seed: &[u8; 32], message: &[u8]) -> Secret {
    kdf::mac(seed, message)
}

fn sha256_only(hash: HashType) -> Result<(), CryptoError> {
    match hash {
        HashType::Sha2_256 => Ok(()),
        _ => Err(CryptoError::UnsupportedHashAlgorithm),
    }
}

fn ed25519_only(scheme: SignatureScheme) -> Result<(), CryptoError> {
    match scheme {
        SignatureScheme::ED25519 => Ok(()),
        _ => Err(CryptoError::UnsupportedSignatureScheme),
    }
}

fn our_hpke(config: &HpkeConfig) -> Result<(), CryptoError> {
    match config {
        HpkeConfig(
            HpkeKemType::DhKem25519,
            HpkeKdfType::HkdfSha256,
            HpkeAeadType::ChaCha20Poly1305,
        ) => Ok(()),
        _ => Err(CryptoError::UnsupportedCiphersuite),
    }
}

fn cipher(alg: AeadType, key: &[u8], nonce: &[u8]) -> Result<(Cipher, [u8; 12]), CryptoError> {
    if alg != AeadType::ChaCha20Poly1305 {
        return Err(CryptoError::UnsupportedAeadAlgorithm);
    }
    let cipher = Cipher::new(key).ok_or(CryptoError::InvalidLength)?;
    Ok((cipher, nonce.try_into().map_err(|_| CryptoError::InvalidLength)?))
}

impl OpenMlsCrypto for Crypto {
    fn supports(&self, ciphersuite: Ciphersuite) -> Result<(), CryptoError> {
        if ciphersuite == SUITE { Ok(()) } else { Err(CryptoError::UnsupportedCiphersuite) }
    }

    fn supported_ciphersuites(&self) -> Vec<Ciphersuite> {
        vec![SUITE]
    }

    fn hkdf_extract(
        &self,
        hash_type: HashType,
        salt: &[u8],
        ikm: &[u8],
    ) -> Result<SecretVLBytes, CryptoError> {
        sha256_only(hash_type)?;
        Ok(SecretVLBytes::from(kdf::extract(salt, ikm).as_slice()))
    }

    fn hmac(
        &self,
        hash_type: HashType,
        key: &[u8],
        message: &[u8],
    ) -> Result<SecretVLBytes, CryptoError> {
        sha256_only(hash_type)?;
        Ok(SecretVLBytes::from(kdf::mac(key, message).as_slice()))
    }

    fn hkdf_expand(
        &self,
        hash_type: HashType,
        prk: &[u8],
        info: &[u8],
        okm_len: usize,
    ) -> Result<SecretVLBytes, CryptoError> {
        sha256_only(hash_type)?;
        let okm = kdf::expand(prk, info, okm_len);
        okm.map(Into::into).ok_or(CryptoError::HkdfOutputLengthInvalid)
    }

    fn hash(&self, hash_type: HashType, data: &[u8]) -> Result<Vec<u8>, CryptoError> {
        sha256_only(hash_type)?;
        Ok(sha256(data).to_vec())
    }

    fn aead_encrypt(
        &self,
        alg: AeadType,
        key: &[u8],
        data: &[u8],
        nonce: &[u8],
        aad: &[u8],
    ) -> Result<Vec<u8>, CryptoError> {
        let (cipher, nonce) = cipher(alg, key, nonce)?;
        cipher.seal(nonce, aad, data).ok_or(CryptoError::CryptoLibraryError)
    }

    fn aead_decrypt(
        &self,
        alg: AeadType,
        key: &[u8],
        ct_tag: &[u8],
        nonce: &[u8],
        aad: &[u8],
    ) -> Result<Vec<u8>, CryptoError> {
        let (cipher, nonce) = cipher(alg, key, nonce)?;
        cipher.open(nonce, aad, ct_tag).ok_or(CryptoError::AeadDecryptionError)
    }

    fn signature_key_gen(&self, alg: SignatureScheme) -> Result<(Vec<u8>, Vec<u8>), CryptoError> {
        ed25519_only(alg)?;
        let mut secret = Zeroizing::new([0; 32]);
        self.fill(secret.as_mut()).map_err(|_| CryptoError::InsufficientRandomness)?;
        let key = SigningKey::from_bytes(&secret);
        Ok((key.to_bytes().to_vec(), key.verifying_key().to_bytes().to_vec()))
    }

    /// Strict (no small-order keys, no malleable encodings), so that all members agree.
    fn verify_signature(
        &self,
        alg: SignatureScheme,
        data: &[u8],
        pk: &[u8],
        signature: &[u8],
    ) -> Result<(), CryptoError> {
        ed25519_only(alg)?;
        let key = pk.try_into().map_err(|_| CryptoError::InvalidPublicKey)?;
        match signing::verify_plain(key, data, signature) {
            Some(true) => Ok(()),
            Some(false) => Err(CryptoError::InvalidSignature),
            None => Err(CryptoError::SignatureDecodingError),
        }
    }

    fn sign(&self, alg: SignatureScheme, data: &[u8], key: &[u8]) -> Result<Vec<u8>, CryptoError> {
        ed25519_only(alg)?;
        let key: &[u8; 32] = key.try_into().map_err(|_| CryptoError::InvalidLength)?;
        Ok(signing::sign_plain(&SigningKey::from_bytes(key), data).to_vec())
    }

    /// Sealing to a key that is no usable X25519 key gives a ciphertext that nobody opens, instead of
    /// an error: a member that put such a key into the tree harms whoever trusted it with a subtree,
    /// but must not keep everybody else from ever committing again.
    fn hpke_seal(
        &self,
        config: HpkeConfig,
        pk_r: &[u8],
        info: &[u8],
        aad: &[u8],
        ptxt: &[u8],
    ) -> Result<HpkeCiphertext, CryptoError> {
        our_hpke(&config)?;
        let mut rng = self.ephemeral(&[pk_r, info, aad, ptxt])?;
        let (kem_output, ciphertext) = match hpke::seal(pk_r, info, aad, ptxt, &mut rng) {
            Ok(sealed) => sealed,
            Err(CryptoError::InvalidPublicKey) => hpke::unopenable(ptxt.len(), &mut rng),
            Err(error) => return Err(error),
        };
        Ok(HpkeCiphertext { kem_output: kem_output.into(), ciphertext: ciphertext.into() })
    }

    fn hpke_open(
        &self,
        config: HpkeConfig,
        input: &HpkeCiphertext,
        sk_r: &[u8],
        info: &[u8],
        aad: &[u8],
    ) -> Result<Vec<u8>, CryptoError> {
        our_hpke(&config)?;
        hpke::open(input.kem_output.as_slice(), input.ciphertext.as_slice(), sk_r, info, aad)
    }

    fn hpke_setup_sender_and_export(
        &self,
        config: HpkeConfig,
        pk_r: &[u8],
        info: &[u8],
        exporter_context: &[u8],
        exporter_length: usize,
    ) -> Result<(KemOutput, ExporterSecret), CryptoError> {
        our_hpke(&config)?;
        let mut rng = self.ephemeral(&[pk_r, info, exporter_context])?;
        hpke::send_export(pk_r, info, exporter_context, exporter_length, &mut rng)
    }

    fn hpke_setup_receiver_and_export(
        &self,
        config: HpkeConfig,
        enc: &[u8],
        sk_r: &[u8],
        info: &[u8],
        exporter_context: &[u8],
        exporter_length: usize,
    ) -> Result<ExporterSecret, CryptoError> {
        our_hpke(&config)?;
        hpke::receive_export(enc, sk_r, info, exporter_context, exporter_length)
    }

    fn derive_hpke_keypair(
        &self,
        config: HpkeConfig,
        ikm: &[u8],
    ) -> Result<HpkeKeyPair, CryptoError> {
        our_hpke(&config)?;
        Ok(hpke::derive_keypair(ikm))
    }
}

impl OpenMlsRand for Crypto {
    type Error = NoRandomness;

    fn random_array<const N: usize>(&self) -> Result<[u8; N], NoRandomness> {
        let mut out = [0; N];
        self.fill(&mut out)?;
        Ok(out)
    }

    fn random_vec(&self, len: usize) -> Result<Vec<u8>, NoRandomness> {
        let mut out = vec![0; len];
        self.fill(&mut out)?;
        Ok(out)
    }
}

#[cfg(test)]
#[path = "mls_tests.rs"]
mod tests;
