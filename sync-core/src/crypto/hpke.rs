//! HPKE (RFC 9180) with DHKEM(X25519, HKDF-SHA256), HKDF-SHA256 and ChaCha20-Poly1305: byte strings in
//! and out, malformed keys as typed errors.

use hpke::aead::ChaCha20Poly1305;
use hpke::kdf::HkdfSha256;
use hpke::kem::X25519HkdfSha256;
use hpke::{Deserializable as _, HpkeError, Kem, OpModeR, OpModeS, PskBundle, Serializable as _};
use openmls_traits::types::{CryptoError, ExporterSecret, HpkeKeyPair, KemOutput};
use rand_chacha::ChaCha20Rng;
use rand_core::{CryptoRng, Rng as _, SeedableRng as _};
use zeroize::Zeroizing;

use super::{DoesNotOpen, Secret};

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
    rng: &mut impl CryptoRng,
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
pub(crate) fn is_usable(public: &[u8]) -> bool {
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

/// A fresh key pair: secret, public.
pub(crate) fn pair(seed: &[u8; 32]) -> (Secret, [u8; 32]) {
    let (secret, public) = X25519HkdfSha256::derive_keypair(seed);
    let mut bytes = Zeroizing::new([0; 32]);
    bytes.copy_from_slice(&secret.to_bytes());
    (bytes, fixed(&public))
}

/// The public half of a private key; `None` if it is not one.
pub(crate) fn public_of(secret: &[u8]) -> Option<[u8; 32]> {
    let secret = private_key(secret).ok()?;
    Some(fixed(&X25519HkdfSha256::sk_to_pk(&secret)))
}

fn fixed(public: &PublicKey) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(&public.to_bytes());
    bytes
}

/// Seals to somebody's key in base mode; the encapsulated key leads the result.
pub(crate) fn seal_to(
    key: &[u8; 32],
    info: &[u8],
    aad: &[u8],
    plaintext: &[u8],
    rng: &mut impl CryptoRng,
) -> Result<Vec<u8>, DoesNotOpen> {
    let sealed = seal(key, info, aad, plaintext, rng).map_err(|_| DoesNotOpen)?;
    Ok([sealed.0, sealed.1].concat())
}

/// Opens what [`seal_to`] made for this key.
pub(crate) fn open_from(
    secret: &[u8; 32],
    info: &[u8],
    aad: &[u8],
    sealed: &[u8],
) -> Result<Vec<u8>, DoesNotOpen> {
    let (encapped, ciphertext) = sealed.split_first_chunk::<ENCAPPED>().ok_or(DoesNotOpen)?;
    open(encapped, ciphertext, secret, info, aad).map_err(|_| DoesNotOpen)
}

/// What both sides of a first word in PSK mode know beforehand.
pub(crate) struct Shared<'a> {
    /// What the words are for.
    pub(crate) info: &'a [u8],
    /// The secret that both have.
    pub(crate) psk: &'a [u8; 32],
    /// Its name.
    pub(crate) psk_id: &'a [u8],
    /// What two further keys are for.
    pub(crate) exports: [&'a [u8]; 2],
}

impl Shared<'_> {
    fn bundle(&self) -> Result<PskBundle<'_>, DoesNotOpen> {
        PskBundle::new(self.psk, self.psk_id).map_err(|_| DoesNotOpen)
    }

    fn exported(
        &self,
        export: impl Fn(&[u8], &mut [u8]) -> Result<(), HpkeError>,
    ) -> Result<[Secret; 2], DoesNotOpen> {
        let one = |info| {
            let mut key = Zeroizing::new([0; 32]);
            export(info, key.as_mut()).map(|()| key).map_err(|_| DoesNotOpen)
        };
        let [first, second] = self.exports;
        Ok([one(first)?, one(second)?])
    }

    /// Seals a first word to a key, and gives the keys for what follows. The encapsulated key leads
    /// the result.
    pub(crate) fn send(
        &self,
        key: &[u8; 32],
        plaintext: &[u8],
        rng: &mut impl CryptoRng,
    ) -> Result<(Vec<u8>, [Secret; 2]), DoesNotOpen> {
        let public = public_key(key).map_err(|_| DoesNotOpen)?;
        let (encapped, mut context) = hpke::setup_sender_with_rng::<
            ChaCha20Poly1305,
            HkdfSha256,
            X25519HkdfSha256,
        >(
            &OpModeS::Psk(self.bundle()?), &public, self.info, rng
        )
        .map_err(|_| DoesNotOpen)?;
        let sealed = context.seal(plaintext, b"").map_err(|_| DoesNotOpen)?;
        let keys = self.exported(|info, out| context.export(info, out))?;
        Ok(([encapped.to_bytes().as_slice(), &sealed].concat(), keys))
    }

    /// Opens what [`send`](Self::send) made.
    pub(crate) fn receive(
        &self,
        secret: &[u8; 32],
        message: &[u8],
    ) -> Result<(Vec<u8>, [Secret; 2]), DoesNotOpen> {
        let (encapped, sealed) = message.split_first_chunk::<ENCAPPED>().ok_or(DoesNotOpen)?;
        let secret = private_key(secret).map_err(|_| DoesNotOpen)?;
        let encapped = Encapped::from_bytes(encapped).map_err(|_| DoesNotOpen)?;
        let mut context = hpke::setup_receiver::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>(
            &OpModeR::Psk(self.bundle()?),
            &secret,
            &encapped,
            self.info,
        )
        .map_err(|_| DoesNotOpen)?;
        let plaintext = context.open(sealed, b"").map_err(|_| DoesNotOpen)?;
        let keys = self.exported(|info, out| context.export(info, out))?;
        Ok((plaintext, keys))
    }
}

fn public_key(bytes: &[u8]) -> Result<PublicKey, CryptoError> {
    PublicKey::from_bytes(bytes).map_err(|_| CryptoError::InvalidPublicKey)
}

fn private_key(bytes: &[u8]) -> Result<PrivateKey, CryptoError> {
    PrivateKey::from_bytes(bytes).map_err(|_| CryptoError::InvalidLength)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_to_a_key_opens_with_its_other_half_only() {
        let mut rng = ChaCha20Rng::from_seed([1; 32]);
        let (secret, public) = pair(&[4; 32]);
        assert_eq!(public_of(secret.as_ref()), Some(public));
        let sealed = seal_to(&public, b"for", b"a", b"roots", &mut rng).unwrap();
        let open = |secret, info, aad| open_from(secret, info, aad, &sealed);
        assert_eq!(open(&secret, b"for", b"a").as_deref(), Ok(b"roots".as_slice()));
        let (other, _) = pair(&[5; 32]);
        assert_eq!(open(&other, b"for", b"a"), Err(DoesNotOpen));
        assert_eq!(open(&secret, b"against", b"a"), Err(DoesNotOpen));
        assert_eq!(open(&secret, b"for", b"b"), Err(DoesNotOpen));
    }

    #[test]
    fn a_first_word_opens_for_whoever_shares_the_secret() {
        let shared = |psk| Shared { info: b"i", psk, psk_id: b"id", exports: [b"there", b"back"] };
        let (secret, public) = pair(&[4; 32]);
        let mut rng = ChaCha20Rng::from_seed([1; 32]);
        let (message, sent) = shared(&[9; 32]).send(&public, b"hello", &mut rng).unwrap();
        let (word, received) = shared(&[9; 32]).receive(&secret, &message).unwrap();
        assert_eq!((word.as_slice(), &sent), (b"hello".as_slice(), &received));
        assert_ne!(sent[0], sent[1]);
        assert!(shared(&[8; 32]).receive(&secret, &message).is_err());
    }
}
