//! Domain-separated SHA-256. Every hash and every signature in Rejoinder starts from one of the
//! versioned domain strings below, so that bytes made for one purpose mean nothing for another.

use sha2::Digest as _;

/// What a hash or signature is for. The string is part of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Domain(&'static str);

impl Domain {
    /// A domain of a crate above this one. The name must be unique and end in a version.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self(name)
    }

    /// The domain string.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.0
    }
}

/// `AccountId` from a root public key.
pub const ACCOUNT_ID: Domain = Domain("rejoinder account id v1");
/// `DeviceId` from a signing public key.
pub const DEVICE_ID: Domain = Domain("rejoinder device id v1");
/// `SpaceId` of an account's own space.
pub const ACCOUNT_SPACE: Domain = Domain("rejoinder account space v1");
/// The link chain of a writer.
pub const LINK: Domain = Domain("rejoinder link v1");
/// An epoch id.
pub const EPOCH: Domain = Domain("rejoinder epoch v1");
/// The hash of a commit header, authenticated by MLS.
pub const COMMIT_HEADER: Domain = Domain("rejoinder commit header v1");
/// The head of a device log.
pub const LOG_HEAD: Domain = Domain("rejoinder device log head v1");
/// A device log entry's signature.
pub const LOG_ENTRY: Domain = Domain("rejoinder device log entry v1");
/// A new device's own signature on its certificate.
pub const COUNTERSIGN: Domain = Domain("rejoinder device countersign v1");
/// An envelope's signature.
pub const ENVELOPE: Domain = Domain("rejoinder envelope v1");
/// The data an envelope's seal authenticates.
pub const ENVELOPE_AAD: Domain = Domain("rejoinder envelope aad v1");
/// A device's answer to a relay's challenge.
pub const SESSION: Domain = Domain("rejoinder session v1");
/// An item put into another device's inbox.
pub const INBOX: Domain = Domain("rejoinder inbox v1");
/// What the devices that one handshake lets in have alike.
pub const WELCOME: Domain = Domain("rejoinder welcome v1");
/// A ticket that a handshake leaves at the relay.
pub const TICKET: Domain = Domain("rejoinder ticket v1");
/// A writer's short tag.
pub const WRITER_TAG: Domain = Domain("rejoinder writer tag v1");
/// The spaces that an account is in.
pub const MEMBERSHIP: Domain = Domain("rejoinder membership digest v1");
/// A token, or an invite's code, as the relay keeps it.
pub const TOKEN: Domain = Domain("rejoinder relay token v1");
/// The hash that names an intent.
pub const INTENT: Domain = Domain("rejoinder intent v1");

/// SHA-256 over the domain and each part, all length-prefixed, so that no two part lists collide.
#[must_use]
pub fn hash(domain: Domain, parts: &[&[u8]]) -> [u8; 32] {
    let mut state = Sha256::default();
    absorb(&mut state, domain.0.as_bytes());
    for part in parts {
        absorb(&mut state, part);
    }
    state.finish()
}

/// The same framing as [`hash`], as bytes: what is signed, or authenticated beside a ciphertext.
#[must_use]
pub fn framed(domain: Domain, parts: &[&[u8]]) -> Vec<u8> {
    let size = parts.iter().map(|part| part.len() + 8).sum::<usize>();
    let mut out = Vec::with_capacity(size + 8 + domain.0.len());
    for part in std::iter::once(domain.0.as_bytes()).chain(parts.iter().copied()) {
        out.extend_from_slice(&(part.len() as u64).to_be_bytes());
        out.extend_from_slice(part);
    }
    out
}

fn absorb(state: &mut Sha256, part: &[u8]) {
    state.update(&(part.len() as u64).to_be_bytes());
    state.update(part);
}

/// SHA-256 without a domain, of bytes that come piece by piece: for formats that others defined.
#[derive(Clone, Debug, Default)]
pub struct Sha256(sha2::Sha256);

impl Sha256 {
    /// Takes in the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The hash of all that was taken in.
    #[must_use]
    pub fn finish(self) -> [u8; 32] {
        self.0.finalize().into()
    }
}

/// SHA-256 without a domain: for formats that others defined.
#[must_use]
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    sha2::Sha256::digest(bytes).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_the_standards_whether_it_comes_in_pieces_or_not() {
        // FIPS 180-4, the example of one block.
        let known = [0xba, 0x78, 0x16, 0xbf];
        assert_eq!(sha256(b"abc")[..4], known);
        let mut pieces = Sha256::default();
        pieces.update(b"a");
        pieces.update(b"bc");
        assert_eq!(pieces.finish(), sha256(b"abc"));
    }

    #[test]
    fn moving_a_byte_between_parts_changes_the_hash() {
        assert_ne!(hash(LINK, &[b"ab", b"c"]), hash(LINK, &[b"a", b"bc"]));
        assert_ne!(hash(LINK, &[b"a"]), hash(EPOCH, &[b"a"]));
    }
}
