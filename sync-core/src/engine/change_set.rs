//! What one seal carries: changes to documents of one space, and the commitment that a writer's
//! chain makes to them (`docs/protocol.md`, "Change sets").

use minicbor::{Decode, Encode};
use sync_protocol::codec::{self, Blob};
use sync_protocol::hash::{self, Domain};
use sync_protocol::ids::Commitment;
use sync_protocol::{ProtocolError, limits};

use crate::document::Name;

const LEAF: Domain = Domain::new("rejoinder change leaf v1");
const NODE: Domain = Domain::new("rejoinder change node v1");
const BLIND: Domain = Domain::new("rejoinder change blinding v1");

/// The body is as encoded.
const PLAIN: u8 = 0;
/// The body is one raw DEFLATE stream.
const DEFLATE: u8 = 1;
/// Below this, compressing costs more than it saves.
const COMPRESS_FROM: usize = 128;

/// Changes to documents of one space. Fixed once its link is.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct ChangeSet {
    /// Hides the plaintext from whoever knows only the commitment.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub(crate) blinding: [u8; 16],
    /// Document by document.
    #[n(1)]
    pub(crate) items: Vec<Item>,
}

/// Changes to one document, in order.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Item {
    /// Which document; its kind is part of the name.
    #[n(0)]
    pub(crate) name: Name,
    /// The lowest schema of that kind that can read them.
    #[n(1)]
    pub(crate) schema: u8,
    /// Raw Automerge changes.
    #[n(2)]
    pub(crate) changes: Vec<Blob>,
}

/// The sealed form: a codec, a declared size, and what the author had seen. Only the body is
/// committed to, so that sealing again under another epoch keeps the link.
#[derive(Encode, Decode)]
struct Sealed {
    #[n(0)]
    codec: u8,
    #[n(1)]
    size: u32,
    #[n(2)]
    body: Blob,
    #[cbor(n(3), with = "minicbor::bytes")]
    seen: [u8; 8],
    #[n(4)]
    padding: Option<Blob>,
}

impl ChangeSet {
    /// The plaintext to seal.
    pub(crate) fn to_plaintext(&self, seen: [u8; 8]) -> Vec<u8> {
        let body = codec::encode(self);
        let size = u32::try_from(body.len()).expect("a change set is below 4 GiB");
        let packed = (body.len() >= COMPRESS_FROM)
            .then(|| miniz_oxide::deflate::compress_to_vec(&body, 6))
            .filter(|packed| packed.len() < body.len());
        let (codec, body) = match packed {
            Some(packed) => (DEFLATE, packed),
            None => (PLAIN, body),
        };
        codec::encode(&Sealed { codec, size, body: Blob(body), seen, padding: None })
    }

    /// Opens a plaintext: the change set and what its author had seen.
    ///
    /// # Errors
    /// `Malformed`, `TooLarge` or `Unsupported`; nothing is allocated beyond the limits.
    pub(crate) fn from_plaintext(bytes: &[u8]) -> Result<(Self, [u8; 8]), ProtocolError> {
        let sealed: Sealed = codec::decode("change set", bytes)?;
        let size = sealed.size as usize;
        if size > limits::CHANGE_SET {
            return Err(ProtocolError::TooLarge { what: "change set", limit: limits::CHANGE_SET });
        }
        let body = match sealed.codec {
            PLAIN => sealed.body.0,
            DEFLATE => miniz_oxide::inflate::decompress_to_vec_with_limit(&sealed.body.0, size)
                .map_err(|_| ProtocolError::Malformed("change set"))?,
            other => {
                let version = u64::from(other);
                return Err(ProtocolError::Unsupported { what: "change set codec", version });
            }
        };
        if body.len() != size {
            return Err(ProtocolError::Malformed("change set"));
        }
        let set: Self = codec::decode("change set", &body)?;
        set.within_limits()?;
        Ok((set, sealed.seen))
    }

    fn within_limits(&self) -> Result<(), ProtocolError> {
        let too_large = |what, limit| Err(ProtocolError::TooLarge { what, limit });
        if self.items.len() > limits::CHANGE_SET_ITEMS {
            return too_large("change set items", limits::CHANGE_SET_ITEMS);
        }
        if self.items.iter().map(|item| item.changes.len()).sum::<usize>()
            > limits::CHANGE_SET_CHANGES
        {
            return too_large("changes", limits::CHANGE_SET_CHANGES);
        }
        Ok(())
    }

    /// A Merkle root over the changes, so that one message can be shown without the others.
    pub(crate) fn commitment(&self) -> Commitment {
        let mut level = Vec::new();
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
            level = level.chunks(2).map(join).collect();
        }
        Commitment::from_bytes(level[0])
    }
}

fn join(pair: &[[u8; 32]]) -> [u8; 32] {
    match pair {
        [left, right] => hash::hash(NODE, &[left, right]),
        [one] => *one,
        _ => unreachable!("chunks of two"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(changes: &[&[u8]]) -> ChangeSet {
        let changes = changes.iter().map(|change| Blob(change.to_vec())).collect();
        let item = Item { name: Name::Settings, schema: 1, changes };
        ChangeSet { blinding: [3; 16], items: vec![item] }
    }

    #[test]
    fn a_change_set_comes_back_whole_plain_and_compressed() {
        for size in [10, 50_000] {
            let before = set(&[&vec![7; size], b"x"]);
            let plaintext = before.to_plaintext([1; 8]);
            assert!(plaintext.len() < 1000);
            assert_eq!(ChangeSet::from_plaintext(&plaintext), Ok((before, [1; 8])));
        }
    }

    #[test]
    fn a_bomb_stops_at_its_declared_size() {
        let bomb = miniz_oxide::deflate::compress_to_vec(&vec![0; 50_000_000], 9);
        for size in [100, u32::MAX] {
            let sealed = Sealed {
                codec: DEFLATE,
                size,
                body: Blob(bomb.clone()),
                seen: [0; 8],
                padding: None,
            };
            assert!(ChangeSet::from_plaintext(&codec::encode(&sealed)).is_err());
        }
    }

    #[test]
    fn the_commitment_covers_every_change_its_place_and_the_blinding() {
        let base = set(&[b"a", b"b", b"c"]).commitment();
        assert_ne!(base, set(&[b"a", b"b", b"d"]).commitment());
        assert_ne!(base, set(&[b"b", b"a", b"c"]).commitment());
        assert_ne!(base, set(&[b"a", b"b"]).commitment());
        let mut other = set(&[b"a", b"b", b"c"]);
        other.blinding = [4; 16];
        assert_ne!(base, other.commitment());
    }
}
