//! Keys out of keys: HKDF (RFC 5869) and HMAC, both with SHA-256.

use hkdf::Hkdf;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::Secret;

/// A key for one purpose out of a uniform one; the parts of `info` are joined.
pub(crate) fn derive(root: &[u8; 32], info: &[&[u8]]) -> Secret {
    let mut key = Zeroizing::new([0; 32]);
    Hkdf::<Sha256>::new(None, root)
        .expand_multi_info(info, key.as_mut())
        .expect("32 bytes are a valid HKDF length");
    key
}

/// HKDF's first half.
pub(super) fn extract(salt: &[u8], ikm: &[u8]) -> Secret {
    let (prk, _) = Hkdf::<Sha256>::extract(Some(salt), ikm);
    Zeroizing::new(prk.into())
}

/// HKDF's second half; `None` if the key is too short or the length too large.
pub(super) fn expand(prk: &[u8], info: &[u8], len: usize) -> Option<Vec<u8>> {
    let mut okm = vec![0; len];
    Hkdf::<Sha256>::from_prk(prk).ok()?.expand(info, &mut okm).ok()?;
    Some(okm)
}

/// HMAC-SHA256.
pub(super) fn mac(key: &[u8], message: &[u8]) -> Secret {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(message);
    Zeroizing::new(mac.finalize().into_bytes().into())
}
