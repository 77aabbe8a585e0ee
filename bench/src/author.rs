//! A device as far as a relay can tell: it proves who it is, numbers and signs what it pushes, and
//! fills the rest with noise. So the relay's cost shows alone, without the cost of real clients.

use ed25519_dalek::SigningKey;
use sync_protocol::codec::{self, Blob};
use sync_protocol::device_log::{DeviceKeys, Founding, RecoveryKeys, found};
use sync_protocol::envelope::{Chain, CommitHeader, Envelope, Header, Kind};
use sync_protocol::frames::{Challenge, ClientFrame, Hello, Push, Session, sign_session};
use sync_protocol::ids::{AccountId, Commitment, DeviceId, EpochId, Link, SpaceId, WriterId};
use sync_protocol::limits;
use sync_protocol::roster::{Role, RosterChange};

/// An account's only device.
#[derive(Clone, Debug)]
pub(crate) struct Author {
    pub(crate) account: AccountId,
    device: DeviceId,
    key: SigningKey,
    log: Blob,
    incarnation: u64,
    cursor: Option<Blob>,
    fence: u64,
    sessions: u64,
    seq: u64,
    link: Link,
    noise: u64,
}

impl Author {
    /// The device that belongs to a number.
    pub(crate) fn new(number: u64) -> Self {
        let (root, key, recovery) = (key(number, 1), key(number, 2), key(number, 3));
        let account = AccountId::of_root_key(&root.verifying_key().to_bytes());
        let device = DeviceKeys { signing: key.verifying_key().to_bytes(), hpke: [9; 32] };
        let id = device.id();
        let recovery = RecoveryKeys { signing: recovery.verifying_key().to_bytes(), hpke: [8; 32] };
        let founding = Founding { device, join: [7; 32], recovery, escrow: None };
        let log = Blob(found(&root, &key, founding));
        Self {
            account,
            device: id,
            key,
            log,
            incarnation: 1,
            cursor: None,
            fence: 0,
            sessions: 0,
            seq: 0,
            link: Link::START,
            noise: number,
        }
    }

    fn writer(&self) -> WriterId {
        WriterId { device: self.device, incarnation: self.incarnation }
    }

    /// The device's id.
    pub(crate) fn device(&self) -> DeviceId {
        self.device
    }

    /// Goes on as a new store.
    pub(crate) fn begin_anew(&mut self) {
        self.incarnation += 1;
        (self.fence, self.seq, self.link, self.cursor) = (0, 0, Link::START, None);
    }

    /// The answer to a challenge; signs the account up where the relay does not know it.
    pub(crate) fn hello(&mut self, challenge: &Challenge) -> ClientFrame {
        self.sessions += 1;
        let next_fence = self.sessions;
        let mut hello = Hello {
            version: limits::VERSION,
            account: self.account,
            device: self.device,
            incarnation: self.incarnation,
            fence: self.fence,
            next_fence,
            cursor: self.cursor.clone(),
            lagging: Vec::new(),
            digest: Blob::default(),
            log: vec![self.log.clone()],
            foreground: None,
            signature: Blob::default(),
            fresh: false,
        };
        hello.signature = sign_session(&Session { challenge, hello: &hello }, &self.key);
        self.fence = next_fence;
        ClientFrame::Hello(hello)
    }

    /// Where the next session goes on.
    pub(crate) fn note(&mut self, cursor: Blob) {
        self.cursor = Some(cursor);
    }

    /// A space of this author, and of other accounts if there are any.
    pub(crate) fn found(&mut self, space: SpaceId, others: &[&Author]) -> Vec<ClientFrame> {
        let own = add(self, Role::Admin);
        let first = self.handshake(space, (EpochId::NONE, 0), 0, vec![own]);
        let mut frames = vec![push(space, vec![first])];
        if !others.is_empty() {
            let members = others.iter().map(|author| add(author, Role::Member)).collect();
            let second = self.handshake(space, (EpochId::from_bytes([6; 32]), 1), 1, members);
            frames.push(push(space, vec![second]));
        }
        frames
    }

    /// A handshake that only a relay finds good.
    pub(crate) fn handshake(
        &mut self,
        space: SpaceId,
        (parent, number): (EpochId, u64),
        cursor: u64,
        roster: Vec<RosterChange>,
    ) -> Blob {
        let commit = CommitHeader {
            parent,
            number,
            min_version: 1,
            roster,
            logs: Vec::new(),
            cuts: Vec::new(),
            intents: Vec::new(),
            ticket: None,
            era: 0,
        };
        let commit = Some(Blob(codec::encode(&commit)));
        let child = Some(EpochId::from_bytes([6; 32]));
        let commitment = Some(Commitment::from_bytes([7; 32]));
        let header = Header { commit, child, commitment, ..header(Kind::Handshake, cursor) };
        self.envelope(space, header, 64)
    }

    /// The next change set, with a sealed payload of this many bytes.
    pub(crate) fn content(&mut self, space: SpaceId, payload: usize) -> Blob {
        let chain = self.next();
        // Beyond every handshake that this author can have seen.
        self.sealed(space, chain, 2, payload)
    }

    /// A signal: it is handed on and not stored.
    pub(crate) fn signal(&mut self, space: SpaceId) -> Blob {
        self.envelope(space, header(Kind::Signal, 0), 1_000)
    }

    /// The next place in this author's chain.
    pub(crate) fn next(&mut self) -> Chain {
        let (seq, writer) = (self.seq + 1, self.writer());
        let mut commitment = [3; 32];
        commitment[..8].copy_from_slice(&seq.to_be_bytes());
        let commitment = Commitment::from_bytes(commitment);
        let link = self.link.next(&writer, seq, &commitment);
        (self.seq, self.link) = (seq, link);
        Chain { seq, commitment, link }
    }

    /// A change set at a place in this author's chain, sealed by one who has read so far.
    pub(crate) fn sealed(
        &mut self,
        space: SpaceId,
        chain: Chain,
        cursor: u64,
        payload: usize,
    ) -> Blob {
        self.envelope(
            space,
            Header { chain: Some(chain), ..header(Kind::Content, cursor) },
            payload,
        )
    }

    fn envelope(&mut self, space: SpaceId, header: Header, payload: usize) -> Blob {
        let payload = self.noise(payload).0;
        Blob(Envelope::sign(&space, &self.writer(), header, payload, &self.key).into_bytes())
    }

    fn noise(&mut self, len: usize) -> Blob {
        let mut bytes = Vec::with_capacity(len + 8);
        while bytes.len() < len {
            self.noise = self.noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            bytes.extend_from_slice(&self.noise.rotate_left(32).to_be_bytes());
        }
        bytes.truncate(len);
        Blob(bytes)
    }
}

/// The conversation that belongs to a number.
pub(crate) fn space(number: u64) -> SpaceId {
    let mut bytes = [0x53; 32];
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    SpaceId::from_bytes(bytes)
}

/// Envelopes on their way.
pub(crate) fn push(space: SpaceId, envelopes: Vec<Blob>) -> ClientFrame {
    ClientFrame::Push(Push { space, envelopes, welcomes: None, ticket: None })
}

fn add(author: &Author, role: Role) -> RosterChange {
    RosterChange::Add { account: author.account, role, devices: vec![author.device] }
}

fn header(kind: Kind, cursor: u64) -> Header {
    Header::new(kind, EpochId::from_bytes([6; 32]), cursor)
}

fn key(number: u64, what: u8) -> SigningKey {
    let mut bytes = [what; 32];
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    SigningKey::from_bytes(&bytes)
}
