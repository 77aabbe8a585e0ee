//! Keys of an epoch, and sealing with them (`docs/protocol.md`, "Sealing").

use rand_core::CryptoRng;
use sync_protocol::WriterId;
use sync_protocol::hash::{self, Domain};
use sync_protocol::ids::Commitment;

pub(crate) use crate::crypto::aead::{open, seal};
use crate::crypto::hpke;
pub(crate) use crate::crypto::hpke::{pair as hpke_pair, public_of as hpke_public};
use crate::crypto::kdf::derive;
pub(crate) use crate::crypto::{DoesNotOpen, Secret};

const EPOCH_KEY: Domain = Domain::new("rejoinder epoch key v2");
const CONTENT: &[u8] = b"rejoinder content key v1";
const HANDSHAKE: &[u8] = b"rejoinder handshake key v1";
const CHAIN: &[u8] = b"rejoinder ticket chain key v1";
const GRANT: &[u8] = b"rejoinder grant v1";

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

/// The key of the next epoch in a ticket of an account's own space.
pub(crate) fn chain_key(root: &[u8; 32]) -> Secret {
    derive(root, &[CHAIN])
}

/// Seals a grant to somebody's HPKE key.
pub(crate) fn seal_to(
    key: &[u8; 32],
    aad: &[u8],
    plaintext: &[u8],
    rng: &mut impl CryptoRng,
) -> Result<Vec<u8>, DoesNotOpen> {
    hpke::seal_to(key, GRANT, aad, plaintext, rng)
}

/// Opens what [`seal_to`] made for this key.
pub(crate) fn open_from(
    secret: &[u8; 32],
    aad: &[u8],
    sealed: &[u8],
) -> Result<Vec<u8>, DoesNotOpen> {
    hpke::open_from(secret, GRANT, aad, sealed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_core::SeedableRng;

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
