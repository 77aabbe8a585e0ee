//! Forging, by the book: the seal, the chain and the change set as `docs/protocol.md` has them,
//! written once more so that nothing of the engine's own care is in the way.

use automerge::{Change, ExpandedChange};
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use hkdf::Hkdf;
use minicbor::Encode;
use sha2::Sha256;
use sync_core::document::Name;
use sync_protocol::WriterId;
use sync_protocol::codec::{self, Blob};
use sync_protocol::hash::{self, Domain};
use sync_protocol::ids::Commitment;

const LEAF: Domain = Domain::new("rejoinder change leaf v1");
const NODE: Domain = Domain::new("rejoinder change node v1");
const BLIND: Domain = Domain::new("rejoinder change blinding v1");

/// A change set of any content.
#[derive(Clone, Debug, Encode)]
pub struct Set {
    /// What hides its leaves.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub blinding: [u8; 16],
    #[n(1)]
    pub items: Vec<Item>,
}

/// Changes of one document.
#[derive(Clone, Debug, Encode)]
pub struct Item {
    #[n(0)]
    pub name: Name,
    #[n(1)]
    pub schema: u8,
    #[n(2)]
    pub changes: Vec<Blob>,
}

/// What is sealed, as its author wants it.
#[derive(Clone, Debug, Encode)]
pub struct Plaintext {
    #[n(0)]
    pub codec: u8,
    #[n(1)]
    pub size: u32,
    #[n(2)]
    pub body: Blob,
    #[cbor(n(3), with = "minicbor::bytes")]
    pub seen: [u8; 8],
}

impl Set {
    /// Changes of one document.
    pub fn of(name: Name, changes: Vec<Vec<u8>>) -> Self {
        let changes = changes.into_iter().map(Blob).collect();
        Self { blinding: [7; 16], items: vec![Item { name, schema: 1, changes }] }
    }

    /// As its commitment is to it.
    pub fn body(&self) -> Vec<u8> {
        codec::encode(self)
    }

    /// The plaintext of an honest author that does not compress.
    pub fn plaintext(&self, seen: [u8; 8]) -> Plaintext {
        let body = self.body();
        let size = u32::try_from(body.len()).unwrap();
        Plaintext { codec: 0, size, body: Blob(body), seen }
    }

    /// What its author commits to.
    pub fn commitment(&self) -> Commitment {
        let mut level: Vec<[u8; 32]> = Vec::new();
        for item in &self.items {
            let name = codec::encode(&item.name);
            for change in &item.changes {
                let number = (level.len() as u64).to_be_bytes();
                let blind = hash::hash(BLIND, &[&self.blinding, &number]);
                level.push(hash::hash(LEAF, &[&blind, &name, &[item.schema], change.as_slice()]));
            }
        }
        if level.is_empty() {
            level.push(hash::hash(BLIND, &[&self.blinding]));
        }
        while level.len() > 1 {
            let pairs = level.chunks(2).map(|pair| match pair {
                [left, right] => hash::hash(NODE, &[left, right]),
                one => one[0],
            });
            level = pairs.collect();
        }
        Commitment::from_bytes(level[0])
    }
}

/// A change with something of it altered, and all that follows from that put right.
pub fn rebuilt(change: &[u8], alter: impl Fn(&mut ExpandedChange)) -> Vec<u8> {
    let mut parts = Change::from_bytes(change.to_vec()).unwrap().decode();
    alter(&mut parts);
    Change::from(parts).raw_bytes().to_vec()
}

fn derive(root: &[u8; 32], info: &[&[u8]]) -> [u8; 32] {
    let mut key = [0; 32];
    Hkdf::<Sha256>::new(None, root).expand_multi_info(info, &mut key).unwrap();
    key
}

/// What seals a writer's content in an epoch.
pub fn content_key(root: &[u8; 32], writer: &WriterId) -> [u8; 32] {
    derive(root, &[b"rejoinder content key v1", &writer.to_bytes()])
}

/// What seals handshakes in an epoch.
pub fn handshake_key(root: &[u8; 32]) -> [u8; 32] {
    derive(root, &[b"rejoinder handshake key v1"])
}

/// What seals the next epoch in the ticket of an account's own space.
pub fn chain_key(root: &[u8; 32]) -> [u8; 32] {
    derive(root, &[b"rejoinder ticket chain key v1"])
}

/// What an epoch's name commits to.
pub fn key_commitment(root: &[u8; 32], binding: &[u8; 32]) -> [u8; 32] {
    hash::hash(Domain::new("rejoinder epoch key v2"), &[root, binding])
}

/// A fixed nonce serves: a cheat has nothing to hide.
pub fn seal(key: &[u8; 32], aad: &[u8], plaintext: &[u8]) -> Vec<u8> {
    let nonce = [5; 24];
    let cipher = XChaCha20Poly1305::new(key.into());
    let sealed = cipher.encrypt(&XNonce::from(nonce), Payload { msg: plaintext, aad }).unwrap();
    [nonce.as_slice(), &sealed].concat()
}

/// Opens what is sealed.
pub fn open(key: &[u8; 32], aad: &[u8], sealed: &[u8]) -> Vec<u8> {
    try_open(key, aad, sealed).unwrap()
}

/// The same, with a key that may be another.
pub fn try_open(key: &[u8; 32], aad: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
    let (nonce, ciphertext) = sealed.split_first_chunk::<24>()?;
    let cipher = XChaCha20Poly1305::new(key.into());
    cipher.decrypt(&XNonce::from(*nonce), Payload { msg: ciphertext, aad }).ok()
}
