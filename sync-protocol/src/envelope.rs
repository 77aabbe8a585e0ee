//! Envelopes: sealed change sets and handshakes, as they lie in a space's log.
//!
//! An envelope is an array of three byte strings: header, payload, signature. The header is public;
//! together with the space and the writer, which the session implies, it is what the seal
//! authenticates and, with the payload, what the author signs.

use std::ops::Range;

use crate::codec::{self, Blob, Decode, Encode};
use crate::error::ProtocolError;
use crate::hash::{self, framed};
use crate::ids::{AccountId, Commitment, DeviceId, EpochId, Link, LogHead, SpaceId, WriterId};
use crate::limits;
use crate::roster::RosterChange;
use crate::signing::{self, PublicKey, SigningKey};

/// The header version this build writes.
pub const HEADER_VERSION: u8 = 1;
/// The one suite so far: MLS exporter, HKDF-SHA256, XChaCha20-Poly1305, Ed25519.
pub const SUITE: u8 = 1;

/// What an envelope is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(index_only)]
pub enum Kind {
    /// A change set: numbered and linked.
    #[n(0)]
    Content,
    /// A space's first entry, or a commit: decides an epoch.
    #[n(1)]
    Handshake,
    /// A signed wish that others commit: leaving, for one.
    #[n(2)]
    Intent,
    /// The newest of a writer and key replaces the one before.
    #[n(3)]
    Register,
    /// Never stored.
    #[n(4)]
    Signal,
}

/// The public header.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Header {
    /// [`HEADER_VERSION`].
    #[n(0)]
    pub version: u8,
    /// [`SUITE`].
    #[n(1)]
    pub suite: u8,
    /// What it is for.
    #[n(2)]
    pub kind: Kind,
    /// The epoch whose root seals the payload.
    #[n(3)]
    pub epoch: EpochId,
    /// How far in the space's log the author had processed: the index after the last entry seen.
    #[n(4)]
    pub cursor: u64,
    /// Content: the writer's number and chain. The previous link is the one at `seq - 1`; it is
    /// committed to by `link` and so not carried.
    #[n(5)]
    pub chain: Option<Chain>,
    /// Handshake: the commit header, as signed and authenticated by MLS.
    #[n(6)]
    pub commit: Option<Blob>,
    /// Handshake: the epoch it leads to. Outside the commit header, because it commits to a key
    /// that depends on that header.
    #[n(7)]
    pub child: Option<EpochId>,
    /// Intent: what is wished.
    #[n(8)]
    pub intent: Option<Intent>,
    /// Register: the key it replaces.
    #[n(9)]
    pub register: Option<u32>,
    /// Handshake: what `child` commits to of the epoch's root and of the group's public state. With
    /// it everybody can see that `child` is the name of this very commit, so that whoever knows one
    /// epoch to be good knows by the names alone which ones led to it.
    #[n(10)]
    pub commitment: Option<Commitment>,
}

impl Header {
    /// What all kinds have: of this version and suite, with nothing of a kind's own yet.
    #[must_use]
    pub const fn new(kind: Kind, epoch: EpochId, cursor: u64) -> Self {
        Self {
            version: HEADER_VERSION,
            suite: SUITE,
            kind,
            epoch,
            cursor,
            chain: None,
            commit: None,
            child: None,
            intent: None,
            register: None,
            commitment: None,
        }
    }
}

/// A change set's place in its writer's chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Chain {
    /// From 1, without gaps.
    #[n(0)]
    pub seq: u64,
    /// Commits to the plaintext.
    #[n(1)]
    pub commitment: Commitment,
    /// The chain up to here.
    #[n(2)]
    pub link: Link,
}

/// A signed wish.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Intent {
    /// The author's account leaves the space.
    #[n(0)]
    Leave,
}

/// The public part of a commit: all that its validity is judged by.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct CommitHeader {
    /// The epoch it follows; [`EpochId::NONE`] founds the space.
    #[n(0)]
    pub parent: EpochId,
    /// The new epoch's number: 0 founds.
    #[n(1)]
    pub number: u64,
    /// The lowest protocol version a member must understand from here on.
    #[n(2)]
    pub min_version: u32,
    /// What it does to the roster.
    #[n(3)]
    pub roster: Vec<RosterChange>,
    /// The device logs it is judged against: account, number of entries, head.
    #[n(4)]
    pub logs: Vec<(AccountId, u64, LogHead)>,
    /// Where the devices end that `RemoveDevices` removes for good: one for each of them.
    #[n(5)]
    pub cuts: Vec<Cut>,
    /// Hashes of the intents it carries out.
    #[n(6)]
    pub intents: Vec<Blob>,
    /// The ticket it leaves at the relay.
    #[n(7)]
    pub ticket: Option<Blob>,
    /// The documents' era in the new epoch.
    #[cbor(n(8), default)]
    pub era: u32,
}

/// Device logs that a commit names, at most: those of all members before and after it.
const COMMIT_LOGS: usize = 2 * limits::LEAVES;

/// Where a removed device ends in a space's log, however many writers it had
/// (`docs/protocol.md`, "Cuts").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Cut {
    /// Which device.
    #[n(0)]
    pub device: DeviceId,
    /// The index after the last entry that the commit's author had read: what the device wrote
    /// before it stays, and nothing of it stands between there and the commit.
    #[n(1)]
    pub index: u64,
    /// The start of the log's running hash up to there; zero from who has not read it.
    #[cbor(n(2), with = "minicbor::bytes")]
    pub seen: [u8; 8],
}

impl CommitHeader {
    /// The devices that the commit removes, while their accounts stay, and does not add again.
    pub fn ended(&self) -> impl Iterator<Item = &DeviceId> {
        let gone = self.roster.iter().flat_map(|change| match change {
            RosterChange::RemoveDevices { devices, .. } => devices.as_slice(),
            RosterChange::Add { .. }
            | RosterChange::Remove { .. }
            | RosterChange::SetRole { .. }
            | RosterChange::AddDevices { .. } => &[],
        });
        gone.filter(|device| !self.lets_in(device))
    }

    fn lets_in(&self, device: &DeviceId) -> bool {
        self.roster.iter().any(|change| match change {
            RosterChange::Add { devices, .. } | RosterChange::AddDevices { devices, .. } => {
                devices.contains(device)
            }
            RosterChange::Remove { .. }
            | RosterChange::SetRole { .. }
            | RosterChange::RemoveDevices { .. } => false,
        })
    }

    /// Whether `cuts` names each device that ends once, and nothing else, by one who had read so
    /// many entries.
    #[must_use]
    pub fn cuts_fit(&self, cursor: u64) -> bool {
        let mut named: Vec<&DeviceId> = self.cuts.iter().map(|cut| &cut.device).collect();
        let mut ended: Vec<&DeviceId> = self.ended().collect();
        named.sort_unstable();
        ended.sort_unstable();
        named == ended && self.cuts.iter().all(|cut| cut.index == cursor)
    }

    /// The hash that MLS authenticates with the commit.
    #[must_use]
    pub fn hash(bytes: &[u8]) -> [u8; 32] {
        hash::hash(hash::COMMIT_HEADER, &[bytes])
    }
}

/// The id of an epoch: it commits to the space, the parent, the commit header, and through
/// `key_commitment` to the epoch's root and the group's public state. The root depends on the whole
/// commit, so the id does too; and whoever is given a root, or is shown a group, can check it against
/// the log.
#[must_use]
pub fn epoch_id(
    space: &SpaceId,
    parent: &EpochId,
    commit_header: &[u8],
    key_commitment: &[u8; 32],
) -> EpochId {
    let parts: [&[u8]; 4] = [space.as_bytes(), parent.as_bytes(), commit_header, key_commitment];
    EpochId::from_bytes(hash::hash(hash::EPOCH, &parts))
}

/// A sealed envelope. Header fields are readable; who wrote it is only known once
/// [`verify`](Envelope::verify) or the link chain says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// The parsed header.
    pub header: Header,
    bytes: Vec<u8>,
    parts: Parts,
}

/// Where an envelope's parts lie in its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Parts {
    header: Range<usize>,
    payload: Range<usize>,
    signature: Range<usize>,
}

/// What the seal authenticates beside the payload.
#[must_use]
pub fn aad(space: &SpaceId, writer: &WriterId, header: &[u8]) -> Vec<u8> {
    framed(hash::ENVELOPE_AAD, &[space.as_bytes(), &writer.to_bytes(), header])
}

impl Envelope {
    /// Signs a sealed payload. `payload` must have been sealed with [`aad`] over `header`'s
    /// encoding.
    #[must_use]
    pub fn sign(
        space: &SpaceId,
        writer: &WriterId,
        header: Header,
        payload: Vec<u8>,
        key: &SigningKey,
    ) -> Self {
        let header_bytes = codec::encode(&header);
        let parts: [&[u8]; 4] = [space.as_bytes(), &writer.to_bytes(), &header_bytes, &payload];
        let signature = signing::sign(key, hash::ENVELOPE, &parts);
        let size = header_bytes.len() + payload.len() + signature.len();
        let mut e = minicbor::Encoder::new(Vec::with_capacity(size + 16));
        let written = e
            .array(3)
            .and_then(|e| e.bytes(&header_bytes))
            .and_then(|e| e.bytes(&payload))
            .and_then(|e| e.bytes(&signature));
        written.expect("encoding into a vector cannot fail");
        let bytes = e.into_writer();
        let parts = Parts::find(&bytes).expect("what was just encoded has its parts");
        Self { header, bytes, parts }
    }

    /// Parses an envelope and checks its shape and sizes, not its signature.
    ///
    /// # Errors
    /// `Malformed`, `TooLarge` or `Unsupported`.
    pub fn parse(bytes: &[u8]) -> Result<Self, ProtocolError> {
        Self::from_bytes(bytes.to_vec())
    }

    /// As [`parse`](Self::parse), and keeps the bytes that it is given.
    ///
    /// # Errors
    /// As `parse`.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, ProtocolError> {
        let limit = limits::ENVELOPE_HANDSHAKE;
        if bytes.len() > limit {
            return Err(ProtocolError::TooLarge { what: "envelope", limit });
        }
        let parts = Parts::find(&bytes).ok_or(ProtocolError::Malformed("envelope"))?;
        let header = bytes.get(parts.header.clone()).unwrap_or_default();
        let header = parse_header(header)?;
        let limit = header.kind.limit();
        if bytes.len() > limit {
            return Err(ProtocolError::TooLarge { what: "envelope", limit });
        }
        Ok(Self { header, bytes, parts })
    }

    /// The bytes that travel and are stored.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// A copy of [`as_bytes`](Self::as_bytes).
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.bytes.clone()
    }

    /// [`as_bytes`](Self::as_bytes), without a copy.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Whether `key` signed exactly this, as this writer, for this space.
    ///
    /// # Errors
    /// `BadSignature`.
    pub fn verify(
        &self,
        space: &SpaceId,
        writer: &WriterId,
        key: &PublicKey,
    ) -> Result<(), ProtocolError> {
        let writer = writer.to_bytes();
        let parts: [&[u8]; 4] = [space.as_bytes(), &writer, self.header_bytes(), self.payload()];
        let signature = self.part(&self.parts.signature);
        signing::verify("envelope", key, hash::ENVELOPE, &parts, signature)
    }

    /// The sealed payload.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        self.part(&self.parts.payload)
    }

    /// The header as received.
    #[must_use]
    pub fn header_bytes(&self) -> &[u8] {
        self.part(&self.parts.header)
    }

    fn part(&self, range: &Range<usize>) -> &[u8] {
        self.bytes.get(range.clone()).unwrap_or_default()
    }

    /// The commit header of a handshake.
    ///
    /// # Errors
    /// `Malformed` if there is none or it does not parse.
    pub fn commit(&self) -> Result<CommitHeader, ProtocolError> {
        let bytes = self.header.commit.as_ref().ok_or(ProtocolError::Malformed("commit header"))?;
        let commit: CommitHeader = codec::decode_exact("commit header", bytes.as_slice())?;
        match commit.logs.len() > COMMIT_LOGS || commit.era > limits::LAST_ERA {
            true => Err(ProtocolError::Malformed("commit header")),
            false => Ok(commit),
        }
    }

    /// Whether the epoch that a handshake leads to has the name that follows from what the header
    /// says. If not, it leads nowhere, for everybody.
    #[must_use]
    pub fn names_its_epoch(&self, space: &SpaceId) -> bool {
        let Ok(commit) = self.commit() else { return false };
        let Header {
            commit: Some(bytes), child: Some(child), commitment: Some(commitment), ..
        } = &self.header
        else {
            return false;
        };
        epoch_id(space, &commit.parent, bytes.as_slice(), commitment.as_bytes()) == *child
    }

    /// The hash that names an intent in the commit that carries it out.
    #[must_use]
    pub fn intent_hash(&self, space: &SpaceId, writer: &WriterId) -> [u8; 32] {
        hash::hash(hash::INTENT, &[space.as_bytes(), &writer.to_bytes(), self.header_bytes()])
    }
}

impl Parts {
    /// `None` if these are not the bytes of one envelope in its one spelling, and of nothing else.
    fn find(bytes: &[u8]) -> Option<Self> {
        let mut d = minicbor::Decoder::new(bytes);
        if d.array().ok()? != Some(3) {
            return None;
        }
        let mut next = || {
            let size = d.bytes().ok()?.len();
            Some(d.position() - size..d.position())
        };
        let parts = Self { header: next()?, payload: next()?, signature: next()? };
        let is_all = d.position() == bytes.len() && parts.signature.len() == signing::SIGNATURE;
        // Nobody signs how long the lengths are written: a longer spelling would be another copy.
        let each = [&parts.header, &parts.payload, &parts.signature];
        let shortest: usize = each.into_iter().map(|part| spelled(part.len())).sum();
        (is_all && bytes.len() == 1 + shortest).then_some(parts)
    }
}

/// How many bytes a byte string of this length takes.
fn spelled(bytes: usize) -> usize {
    let lead = match bytes {
        0..=23 => 1,
        24..=0xff => 2,
        0x100..=0xffff => 3,
        0x1_0000..=0xffff_ffff => 5,
        _ => 9,
    };
    lead + bytes
}

impl Kind {
    /// The largest envelope of this kind.
    #[must_use]
    pub fn limit(self) -> usize {
        match self {
            Self::Content | Self::Register => limits::ENVELOPE_CONTENT,
            Self::Handshake => limits::ENVELOPE_HANDSHAKE,
            Self::Intent | Self::Signal => limits::ENVELOPE_SIGNAL,
        }
    }
}

fn parse_header(bytes: &[u8]) -> Result<Header, ProtocolError> {
    let header: Header = codec::decode_exact("envelope header", bytes)?;
    if header.version != HEADER_VERSION {
        let version = u64::from(header.version);
        return Err(ProtocolError::Unsupported { what: "envelope", version });
    }
    if header.suite != SUITE {
        let version = u64::from(header.suite);
        return Err(ProtocolError::Unsupported { what: "suite", version });
    }
    let fits = match header.kind {
        Kind::Content => header.chain.is_some_and(|chain| chain.seq > 0),
        Kind::Handshake => {
            header.commit.is_some() && header.child.is_some() && header.commitment.is_some()
        }
        Kind::Intent => header.intent.is_some(),
        Kind::Register => header.register.is_some(),
        Kind::Signal => header.chain.is_none(),
    };
    if fits { Ok(header) } else { Err(ProtocolError::Malformed("envelope header")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::DeviceId;

    fn sample() -> (SpaceId, WriterId, SigningKey, Envelope) {
        let key = SigningKey::from_bytes(&[3; 32]);
        let device = DeviceId::of_signing_key(&key.verifying_key().to_bytes());
        let writer = WriterId { device, incarnation: 4 };
        let space = SpaceId::from_bytes([5; 32]);
        let commitment = Commitment::from_bytes([6; 32]);
        let chain = Chain { seq: 1, commitment, link: Link::START.next(&writer, 1, &commitment) };
        let header = Header {
            version: HEADER_VERSION,
            suite: SUITE,
            kind: Kind::Content,
            epoch: EpochId::from_bytes([7; 32]),
            cursor: 300,
            chain: Some(chain),
            commit: None,
            child: None,
            intent: None,
            register: None,
            commitment: None,
        };
        let envelope = Envelope::sign(&space, &writer, header, vec![1; 300], &key);
        (space, writer, key, envelope)
    }

    #[test]
    fn no_single_bit_can_be_altered() {
        let (space, writer, key, envelope) = sample();
        let public = key.verifying_key().to_bytes();
        let bytes = envelope.to_bytes();
        assert_eq!(Envelope::parse(&bytes).as_ref(), Ok(&envelope));
        for bit in 0..bytes.len() * 8 {
            let mut altered = bytes.clone();
            altered[bit / 8] ^= 1 << (bit % 8);
            let good = Envelope::parse(&altered)
                .is_ok_and(|envelope| envelope.verify(&space, &writer, &public).is_ok());
            assert!(!good, "bit {bit}");
        }
    }

    #[test]
    fn an_envelope_has_one_spelling() {
        let (_, _, _, envelope) = sample();
        let bytes = envelope.to_bytes();
        let header = envelope.header_bytes();
        assert_eq!(bytes[..3], [0x83, 0x58, u8::try_from(header.len()).unwrap()]);
        let longer = [&[0x83, 0x59, 0x00, bytes[2]], &bytes[3..]].concat();
        assert!(Envelope::parse(&longer).is_err(), "a length in two bytes");
        let mut more = header.to_vec();
        more[0] += 1;
        more.extend([0x18, 0x63, 0x00]);
        assert_eq!(parse_header(&more), Err(ProtocolError::Spelling("envelope header")));
    }

    #[test]
    fn an_envelope_belongs_to_its_space_and_writer() {
        let (space, writer, key, envelope) = sample();
        let public = key.verifying_key().to_bytes();
        assert_eq!(envelope.verify(&space, &writer, &public), Ok(()));
        let elsewhere = SpaceId::from_bytes([9; 32]);
        assert!(envelope.verify(&elsewhere, &writer, &public).is_err());
        let again = WriterId { incarnation: 5, ..writer };
        assert!(envelope.verify(&space, &again, &public).is_err());
    }

    #[test]
    fn a_commit_leads_into_no_era_whose_segments_have_no_number() {
        let (space, writer, key, _) = sample();
        for (era, is_one) in [(0, true), (limits::LAST_ERA, true), (limits::LAST_ERA + 1, false)] {
            let commit = CommitHeader {
                parent: EpochId::from_bytes([7; 32]),
                number: 1,
                min_version: limits::MIN_VERSION,
                roster: Vec::new(),
                logs: Vec::new(),
                cuts: Vec::new(),
                intents: Vec::new(),
                ticket: None,
                era,
            };
            let mut header = Header::new(Kind::Handshake, commit.parent, 300);
            header.commit = Some(Blob(codec::encode(&commit)));
            let envelope = Envelope::sign(&space, &writer, header, Vec::new(), &key);
            assert_eq!(envelope.commit().is_ok(), is_one, "{era}");
        }
    }

    #[test]
    fn truncations_and_unknown_versions_are_errors() {
        let (_, _, _, envelope) = sample();
        let bytes = envelope.to_bytes();
        for end in 0..bytes.len() {
            assert!(Envelope::parse(&bytes[..end]).is_err());
        }
        let header = Header { version: 9, ..envelope.header };
        let error = parse_header(&codec::encode(&header));
        assert_eq!(error, Err(ProtocolError::Unsupported { what: "envelope", version: 9 }));
    }
}
