//! Signatures: a payload that nobody verified is hidden until somebody does.

use std::fmt;
use std::marker::PhantomData;

use crate::codec::{Decode, Encode};
pub use ed25519_dalek::SigningKey;
use ed25519_dalek::{Signature, Signer as _, VerifyingKey};

use crate::codec;
use crate::error::ProtocolError;
use crate::hash::{Domain, framed};

/// Length of an Ed25519 signature.
pub const SIGNATURE: usize = 64;

/// A signing key's public half.
pub type PublicKey = [u8; 32];

/// Signs bytes as they are, without a domain: for formats that others defined.
#[must_use]
pub fn sign_plain(key: &SigningKey, message: &[u8]) -> [u8; SIGNATURE] {
    key.sign(message).to_bytes()
}

/// Verifies what [`sign_plain`] made, as strictly as [`verify`]: `None` if the key or the signature is
/// malformed, `Some(false)` if the signature does not hold.
#[must_use]
pub fn verify_plain(key: &PublicKey, message: &[u8], signature: &[u8]) -> Option<bool> {
    let key = VerifyingKey::from_bytes(key).ok()?;
    let signature = Signature::from_slice(signature).ok()?;
    Some(key.verify_strict(message, &signature).is_ok())
}

/// Signs `parts` under a domain.
#[must_use]
pub fn sign(key: &SigningKey, domain: Domain, parts: &[&[u8]]) -> [u8; SIGNATURE] {
    sign_plain(key, &framed(domain, parts))
}

/// Verifies a signature made by [`sign`]. Strict: small-order keys and malleable encodings fail, so
/// that everybody agrees on which signatures are good.
///
/// # Errors
/// `BadSignature(what)`.
pub fn verify(
    what: &'static str,
    key: &PublicKey,
    domain: Domain,
    parts: &[&[u8]],
    signature: &[u8],
) -> Result<(), ProtocolError> {
    match verify_plain(key, &framed(domain, parts), signature) {
        Some(true) => Ok(()),
        Some(false) | None => Err(ProtocolError::BadSignature(what)),
    }
}

/// A payload as received, with its signature. Its content is out of reach until
/// [`verify`](Signed::verify) says that it is genuine; the bytes are forwarded as they came.
#[derive(Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Signed<T> {
    #[cbor(n(0), with = "minicbor::bytes")]
    body: Vec<u8>,
    #[cbor(n(1), with = "minicbor::bytes")]
    signature: Vec<u8>,
    #[cbor(skip)]
    of: PhantomData<T>,
}

/// A payload whose signature was verified under a given key and domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified<T>(T);

impl<T> Verified<T> {
    /// The payload.
    #[must_use]
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> std::ops::Deref for Verified<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> fmt::Debug for Signed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signed({} bytes)", self.body.len())
    }
}

impl<T: Encode<()>> Signed<T> {
    /// Encodes and signs. `context` is authenticated but not carried.
    #[must_use]
    pub fn seal(value: &T, key: &SigningKey, domain: Domain, context: &[&[u8]]) -> Self {
        let body = codec::encode(value);
        let signature = sign(key, domain, &with(context, &body)).to_vec();
        Self { body, signature, of: PhantomData }
    }
}

impl<'b, T: Decode<'b, ()> + Encode<()>> Signed<T> {
    /// The payload, if the signature is good and the body is exactly one `T`, in its one spelling.
    ///
    /// # Errors
    /// `BadSignature(what)`, `Malformed(what)` or `Spelling(what)`.
    pub fn verify(
        &'b self,
        what: &'static str,
        key: &PublicKey,
        domain: Domain,
        context: &[&[u8]],
    ) -> Result<Verified<T>, ProtocolError> {
        verify(what, key, domain, &with(context, &self.body), &self.signature)?;
        codec::decode_exact(what, &self.body).map(Verified)
    }

    /// The payload unverified: only to find out which key it must be verified with.
    ///
    /// # Errors
    /// `Malformed(what)` or `Spelling(what)`.
    pub fn peek(&'b self, what: &'static str) -> Result<T, ProtocolError> {
        codec::decode_exact(what, &self.body)
    }
}

impl<T> Signed<T> {
    /// The signed bytes, as received.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.body
    }
}

fn with<'a>(context: &[&'a [u8]], body: &'a [u8]) -> Vec<&'a [u8]> {
    context.iter().copied().chain(std::iter::once(body)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::{INBOX, SESSION};

    #[test]
    fn a_signature_holds_for_its_key_domain_context_and_bytes_only() {
        let key = SigningKey::from_bytes(&[9; 32]);
        let public = key.verifying_key().to_bytes();
        let signed = Signed::seal(&7u32, &key, SESSION, &[b"here"]);
        assert_eq!(
            signed.verify("x", &public, SESSION, &[b"here"]).map(Verified::into_inner),
            Ok(7)
        );
        let bad = Err(ProtocolError::BadSignature("x"));
        assert_eq!(signed.verify("x", &public, SESSION, &[b"there"]), bad);
        assert_eq!(signed.verify("x", &public, INBOX, &[b"here"]), bad);
        let other = SigningKey::from_bytes(&[8; 32]).verifying_key().to_bytes();
        assert_eq!(signed.verify("x", &other, SESSION, &[b"here"]), bad);
        let mut altered = signed;
        altered.body[0] ^= 1;
        assert_eq!(altered.verify("x", &public, SESSION, &[b"here"]), bad);
    }
}
