//! What one seal carries: changes to documents of one space, and the commitment that a writer's
//! chain makes to them (`docs/protocol.md`, "Change sets").

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};
use sync_protocol::codec::{self, Blob, Decode, Encode};
use sync_protocol::hash::{self, Domain};
use sync_protocol::ids::Commitment;
use sync_protocol::{ProtocolError, limits};

use crate::document::Name;
use crate::trust::logs::KnownLog;
use crate::trust::sightings::{self, Sighting};

const LEAF: Domain = Domain::new("rejoinder change leaf v1");
const NODE: Domain = Domain::new("rejoinder change node v1");
const BLIND: Domain = Domain::new("rejoinder change blinding v1");

/// The body is as encoded.
const PLAIN: u8 = 0;
/// The body is one raw DEFLATE stream, whose window begins as [`WINDOW`].
const DEFLATE: u8 = 1;
const LEVEL: u32 = 6;
const ZLIB_HEADER: bool = false;
/// Below this, compressing costs more than it saves.
const COMPRESS_FROM: usize = 128;

/// What the body of a lone message has that every other has too: the frame of a change set and of
/// an Automerge change. Half of what is not text or hash then costs next to nothing.
pub(in crate::engine) const WINDOW: [u8; 60] = [
    0x82, 0x50, 0x81, 0x83, 0x82, 0x00, 0x00, 0x01, 0x81, 0x59, 0x01, 0x85, 0x6f, 0x4a, 0x83, 0x01,
    0x01, 0x10, 0x00, 0x00, 0x01, 0x01, 0x00, 0x08, 0x01, 0x02, 0x02, 0x02, 0x15, 0x15, 0x34, 0x01,
    0x42, 0x02, 0x56, 0x03, 0x57, 0x7c, 0x70, 0x02, 0x7f, 0x01, 0x7f, 0x01, 0x7f, 0x13, 0x2d, 0x50,
    0x01, 0x7f, 0x01, 0x7f, 0xc7, 0x0f, 0xa1, 0x00, 0x78, 0x78, 0x7f, 0x00,
];

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
    log: Option<KnownLog>,
    #[n(5)]
    padding: Option<Blob>,
    #[n(6)]
    at_s: Option<u64>,
    #[n(7)]
    elsewhere: Option<Vec<Sighting>>,
}

/// What an author knew when it sealed a change set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    /// The beginning of the space's log hash at its cursor; zero if it can't say.
    pub(crate) hash: [u8; 8],
    /// The device log of one member.
    pub(crate) log: Option<KnownLog>,
    /// When that was, by its own clock: Unix seconds, 0 if it does not say.
    pub(crate) at_s: u64,
    /// How far it had read other spaces.
    pub(crate) elsewhere: Vec<Sighting>,
}

impl ChangeSet {
    /// The plaintext to seal.
    pub(crate) fn to_plaintext(&self, seen: Seen) -> Vec<u8> {
        let body = codec::encode(self);
        let size = u32::try_from(body.len()).expect("a change set is below 4 GiB");
        let packed = if body.len() >= COMPRESS_FROM { deflate(&body) } else { None };
        let (codec, body) = match packed {
            Some(packed) => (DEFLATE, packed),
            None => (PLAIN, body),
        };
        let Seen { hash: seen, log, at_s, elsewhere } = seen;
        let elsewhere = (!elsewhere.is_empty()).then_some(elsewhere);
        let (body, padding, at_s) = (Blob(body), None, (at_s > 0).then_some(at_s));
        codec::encode(&Sealed { codec, size, body, seen, log, padding, at_s, elsewhere })
    }

    /// Opens a plaintext: the change set and what its author had seen.
    ///
    /// # Errors
    /// `Malformed`, `TooLarge` or `Unsupported`; nothing is allocated beyond the limits.
    pub(crate) fn from_plaintext(bytes: &[u8]) -> Result<(Self, Seen), ProtocolError> {
        let sealed: Sealed = codec::decode("change set", bytes)?;
        let size = sealed.size as usize;
        if size > limits::CHANGE_SET {
            return Err(ProtocolError::TooLarge { what: "change set", limit: limits::CHANGE_SET });
        }
        let body = match sealed.codec {
            PLAIN => sealed.body.0,
            DEFLATE => {
                inflate(&sealed.body.0, size).ok_or(ProtocolError::Malformed("change set"))?
            }
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
        let Sealed { seen: hash, log, at_s, elsewhere, .. } = sealed;
        let (at_s, elsewhere) = (at_s.unwrap_or_default(), elsewhere.unwrap_or_default());
        if elsewhere.len() > sightings::AT_ONCE {
            return Err(ProtocolError::TooLarge { what: "sightings", limit: sightings::AT_ONCE });
        }
        Ok((set, Seen { hash, log, at_s, elsewhere }))
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

/// Compresses; `None` if that saves nothing.
fn deflate(body: &[u8]) -> Option<Vec<u8>> {
    let mut state = Compress::new(Compression::new(LEVEL), ZLIB_HEADER);
    state.set_dictionary(&WINDOW).ok()?;
    let mut packed = vec![0; body.len() - 1];
    let done = state.compress(body, &mut packed, FlushCompress::Finish).ok()?;
    packed.truncate(usize::try_from(state.total_out()).ok()?);
    (done == Status::StreamEnd).then_some(packed)
}

/// Decompresses to exactly `size` bytes, which the caller has limited; `None` if it is not that.
fn inflate(packed: &[u8], size: usize) -> Option<Vec<u8>> {
    let mut state = Decompress::new(ZLIB_HEADER);
    state.set_dictionary(&WINDOW).ok()?;
    let mut body = vec![0; size];
    let done = state.decompress(packed, &mut body, FlushDecompress::Finish).ok()?;
    let is_whole = done == Status::StreamEnd
        && state.total_in() == packed.len() as u64
        && state.total_out() == size as u64;
    is_whole.then_some(body)
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
    use crate::document::testing::Author;

    const SEEN: Seen = Seen { hash: [1; 8], log: None, at_s: 1_800_000_000, elsewhere: Vec::new() };

    fn set(changes: &[&[u8]]) -> ChangeSet {
        let changes = changes.iter().map(|change| Blob(change.to_vec())).collect();
        let item = Item { name: Name::Settings, schema: 1, changes };
        ChangeSet { blinding: [3; 16], items: vec![item] }
    }

    #[test]
    fn a_change_set_comes_back_whole_plain_and_compressed() {
        for size in [10, 500, 50_000, 900_000] {
            let before = set(&[&vec![7; size], b"x"]);
            let plaintext = before.to_plaintext(SEEN);
            assert!(plaintext.len() < 2000);
            assert_eq!(ChangeSet::from_plaintext(&plaintext), Ok((before, SEEN)));
        }
    }

    #[test]
    fn what_does_not_compress_stays_as_it_is() {
        let noise: Vec<_> = (0..2000u32).map(|n| hash::hash(LEAF, &[&n.to_be_bytes()])).collect();
        for size in [5, 6, 40, 2000] {
            let before = set(&[&noise.concat()[..size * 32]]);
            let plaintext = before.to_plaintext(SEEN);
            assert!(plaintext.len() < size * 32 + 100);
            assert_eq!(ChangeSet::from_plaintext(&plaintext), Ok((before, SEEN)));
        }
    }

    #[test]
    fn the_frame_of_a_lone_message_costs_little() {
        let mut author = Author::new(1, Name::Messages(0));
        let text = "zqxjkvbwpygfmuclrdhsnioate".repeat(5);
        let message = author.message(1, &text);
        let changes = author.write(&message).into_iter().map(|row| Blob(row.change)).collect();
        let items = vec![Item { name: Name::Messages(0), schema: 1, changes }];
        let lone = ChangeSet { blinding: *b"drawn at random.", items };
        let body = codec::encode(&lone);
        let without = miniz_oxide::deflate::compress_to_vec(&body, 6).len();
        let with = deflate(&body).map(|packed| packed.len());
        assert!(with.is_some_and(|with| with + 30 <= without), "{with:?} bytes and {without}");
        assert_eq!(ChangeSet::from_plaintext(&lone.to_plaintext(SEEN)), Ok((lone, SEEN)));
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
                log: None,
                padding: None,
                at_s: None,
                elsewhere: None,
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
