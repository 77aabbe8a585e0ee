//! Authenticated encryption with a key that both sides have.

use chacha20poly1305::aead::{Aead as _, Payload};
use chacha20poly1305::{ChaCha20Poly1305, KeyInit as _, Nonce, XChaCha20Poly1305, XNonce};
use rand_core::CryptoRng;

use super::DoesNotOpen;

const XNONCE: usize = 24;

/// Seals with XChaCha20-Poly1305 under a random nonce, which leads the result.
pub(crate) fn seal(
    key: &[u8; 32],
    aad: &[u8],
    plaintext: &[u8],
    rng: &mut impl CryptoRng,
) -> Vec<u8> {
    let mut nonce = [0; XNONCE];
    rng.fill_bytes(&mut nonce);
    let cipher = XChaCha20Poly1305::new(key.into());
    let sealed = cipher
        .encrypt(&XNonce::from(nonce), Payload { msg: plaintext, aad })
        .expect("a change set is below the cipher's limit");
    [nonce.as_slice(), &sealed].concat()
}

/// Opens what [`seal`] made.
pub(crate) fn open(key: &[u8; 32], aad: &[u8], sealed: &[u8]) -> Result<Vec<u8>, DoesNotOpen> {
    let (nonce, ciphertext) = sealed.split_first_chunk::<XNONCE>().ok_or(DoesNotOpen)?;
    let cipher = XChaCha20Poly1305::new(key.into());
    cipher.decrypt(&XNonce::from(*nonce), Payload { msg: ciphertext, aad }).map_err(|_| DoesNotOpen)
}

/// ChaCha20-Poly1305 (RFC 8439) with a nonce that is the caller's to use once, as MLS has it.
pub(super) struct Cipher(ChaCha20Poly1305);

impl Cipher {
    /// `None` if the key has the wrong length.
    pub(super) fn new(key: &[u8]) -> Option<Self> {
        ChaCha20Poly1305::new_from_slice(key).ok().map(Self)
    }

    pub(super) fn seal(&self, nonce: [u8; 12], aad: &[u8], plaintext: &[u8]) -> Option<Vec<u8>> {
        self.0.encrypt(&Nonce::from(nonce), Payload { msg: plaintext, aad }).ok()
    }

    pub(super) fn open(&self, nonce: [u8; 12], aad: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        self.0.decrypt(&Nonce::from(nonce), Payload { msg: sealed, aad }).ok()
    }
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
    fn a_cipher_takes_keys_of_its_own_length_alone() {
        assert!(Cipher::new(&[1; 32]).is_some());
        assert!(Cipher::new(&[1; 31]).is_none() && Cipher::new(&[]).is_none());
    }
}
