//! A device as far as a relay can tell: it signs what has to be signed, and fills the rest with
//! noise.

pub mod running;
pub mod socket;

use std::collections::BTreeMap;

use ed25519_dalek::SigningKey;
use sync_protocol::codec::{self, Blob};
use sync_protocol::device_log::{
    Action, DeviceKeys, DeviceLog, Founding, LogEntry, RecoveryKeys, countersign, found, sign_entry,
};
use sync_protocol::envelope::{Chain, CommitHeader, Cut, Envelope, Header, Intent, Kind};
use sync_protocol::frames::{Challenge, ClientFrame, Hello, Push, Session, sign_session};
use sync_protocol::ids::{
    AccountId, Commitment, DeviceId, EpochId, Link, LogHead, SpaceId, WriterId,
};
use sync_protocol::limits;
use sync_protocol::roster::{Role, RosterChange};

#[derive(Clone)]
pub struct Device {
    pub account: AccountId,
    pub id: DeviceId,
    pub incarnation: u64,
    pub fence: u64,
    pub next_fence: u64,
    pub cursor: Option<Blob>,
    pub log: Vec<Blob>,
    pub key: SigningKey,
    chains: BTreeMap<SpaceId, (u64, Link)>,
    noise: u64,
    pub payload: usize,
}

fn key(seed: u64, what: u8) -> SigningKey {
    let mut bytes = [what; 32];
    bytes[..8].copy_from_slice(&seed.to_be_bytes());
    SigningKey::from_bytes(&bytes)
}

fn keys(signing: &SigningKey) -> DeviceKeys {
    DeviceKeys { signing: signing.verifying_key().to_bytes(), hpke: [9; 32] }
}

fn recovery(seed: u64) -> RecoveryKeys {
    RecoveryKeys { signing: key(seed, 3).verifying_key().to_bytes(), hpke: [8; 32] }
}

impl Device {
    /// The first device of a new account.
    pub fn new(seed: u64) -> Self {
        Self::founding(seed, key(seed, 2))
    }

    /// Another account whose first device has this one's keys.
    pub fn twin(&self, seed: u64) -> Self {
        Self::founding(seed, self.key.clone())
    }

    /// An account of somebody else's whose genesis names this device, which never said so.
    pub fn named_by(&self, seed: u64) -> (AccountId, Vec<Blob>) {
        let (root, device) = (key(seed, 1), keys(&self.key));
        let founding = Founding { device, join: [7; 32], recovery: recovery(seed), escrow: None };
        let account = AccountId::of_root_key(&root.verifying_key().to_bytes());
        (account, vec![Blob(found(&root, &key(seed, 2), founding))])
    }

    fn founding(seed: u64, signing: SigningKey) -> Self {
        let root = key(seed, 1);
        let account = AccountId::of_root_key(&root.verifying_key().to_bytes());
        let founding = Founding {
            device: keys(&signing),
            join: [7; 32],
            recovery: recovery(seed),
            escrow: None,
        };
        let log = vec![Blob(found(&root, &signing, founding))];
        Self::with(account, signing, log, seed)
    }

    fn with(account: AccountId, key: SigningKey, log: Vec<Blob>, seed: u64) -> Self {
        Self {
            account,
            id: keys(&key).id(),
            incarnation: seed + 1,
            fence: 0,
            next_fence: seed + 100,
            cursor: None,
            log,
            key,
            chains: BTreeMap::new(),
            noise: seed,
            payload: 60,
        }
    }

    /// Another device of the same account, and the log entry that adds it.
    pub fn link(&self, seed: u64) -> (Self, Blob) {
        let signing = key(seed, 4);
        let (index, previous) = self.head();
        let device = keys(&signing);
        let countersignature =
            countersign(&self.account, index, &previous, &device, &signing).to_vec();
        let action = Action::AddDevice { device, countersignature };
        let entry = LogEntry { version: 1, index, previous, action, escrow: None };
        let entry = Blob(sign_entry(&self.account, &entry, &self.key));
        let log = self.log.iter().cloned().chain([entry.clone()]).collect();
        (Self::with(self.account, signing, log, seed), entry)
    }

    /// The log entry that ends another device.
    pub fn revoke(&self, device: DeviceId) -> Blob {
        let (index, previous) = self.head();
        let action = Action::Revoke { device, join: [6; 32], cuts: Vec::new() };
        let entry = LogEntry { version: 1, index, previous, action, escrow: None };
        Blob(sign_entry(&self.account, &entry, &self.key))
    }

    /// A new device after all others are lost, with the log that ends them. `founder` is the seed
    /// of the device that founded the account.
    pub fn recover(&self, founder: u64, seed: u64) -> Self {
        let signing = key(seed, 5);
        let (index, previous) = self.head();
        let device = keys(&signing);
        let countersignature =
            countersign(&self.account, index, &previous, &device, &signing).to_vec();
        let recovery = recovery(seed);
        let action = Action::Recover { device, join: [5; 32], recovery, countersignature };
        let entry = LogEntry { version: 1, index, previous, action, escrow: None };
        let entry = Blob(sign_entry(&self.account, &entry, &key(founder, 3)));
        let log = self.log.iter().cloned().chain([entry]).collect();
        Self::with(self.account, signing, log, seed)
    }

    fn head(&self) -> (u64, LogHead) {
        let entries: Vec<_> = self.log.iter().map(Blob::as_slice).collect();
        let log = DeviceLog::verify(&self.account, &entries).unwrap();
        (log.len(), log.head())
    }

    pub fn writer(&self) -> WriterId {
        WriterId { device: self.id, incarnation: self.incarnation }
    }

    pub fn hello(&self, challenge: &Challenge) -> Hello {
        let mut hello = Hello {
            version: limits::VERSION,
            account: self.account,
            device: self.id,
            incarnation: self.incarnation,
            fence: self.fence,
            next_fence: self.next_fence,
            cursor: self.cursor.clone(),
            lagging: Vec::new(),
            digest: Blob::default(),
            log: self.log.clone(),
            foreground: None,
            signature: Blob::default(),
            fresh: false,
        };
        self.sign(challenge, &mut hello);
        hello
    }

    pub fn sign(&self, challenge: &Challenge, hello: &mut Hello) {
        hello.signature = sign_session(&Session { challenge, hello }, &self.key);
    }

    fn header(kind: Kind, cursor: u64) -> Header {
        Header::new(kind, EpochId::from_bytes([5; 32]), cursor)
    }

    fn seal(&mut self, space: SpaceId, header: Header) -> Blob {
        self.noise = self.noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let mut payload = vec![0; self.payload];
        for (n, byte) in payload.iter_mut().enumerate() {
            *byte = (self.noise >> (n % 8 * 8)) as u8 ^ n as u8;
        }
        Blob(Envelope::sign(&space, &self.writer(), header, payload, &self.key).to_bytes())
    }

    /// The next change set of this device in a space.
    pub fn content(&mut self, space: SpaceId, cursor: u64) -> Blob {
        let (seq, link) = self.chains.get(&space).copied().unwrap_or((0, Link::START));
        let (seq, writer) = (seq + 1, self.writer());
        let commitment = Commitment::from_bytes([seq as u8; 32]);
        let link = link.next(&writer, seq, &commitment);
        self.chains.insert(space, (seq, link));
        let chain = Some(Chain { seq, commitment, link });
        self.seal(space, Header { chain, ..Self::header(Kind::Content, cursor) })
    }

    /// Forgets its chain in a space, as a copied store would.
    pub fn rewind(&mut self, space: SpaceId) {
        self.chains.remove(&space);
    }

    pub fn seq(&self, space: SpaceId) -> u64 {
        self.chains.get(&space).map_or(0, |(seq, _)| *seq)
    }

    fn commit(&mut self, space: SpaceId, cursor: u64, commit: &CommitHeader) -> Blob {
        let header = Header {
            commit: Some(Blob(codec::encode(commit))),
            child: Some(EpochId::from_bytes([6; 32])),
            commitment: Some(Commitment::from_bytes([7; 32])),
            ..Self::header(Kind::Handshake, cursor)
        };
        self.seal(space, header)
    }

    pub fn found(&mut self, space: SpaceId) -> Blob {
        let own =
            RosterChange::Add { account: self.account, role: Role::Admin, devices: vec![self.id] };
        let commit = CommitHeader { parent: EpochId::NONE, number: 0, ..commit(vec![own]) };
        self.commit(space, 0, &commit)
    }

    pub fn handshake(&mut self, space: SpaceId, cursor: u64, roster: Vec<RosterChange>) -> Blob {
        self.commit(space, cursor, &commit(roster))
    }

    /// Removes devices of an account that stays.
    pub fn remove_devices(
        &mut self,
        space: SpaceId,
        cursor: u64,
        removed: &[&Self],
        cuts: Vec<Cut>,
    ) -> Blob {
        let account = removed[0].account;
        let devices = removed.iter().map(|device| device.id).collect();
        let roster = vec![RosterChange::RemoveDevices { account, devices }];
        self.commit(space, cursor, &CommitHeader { cuts, ..commit(roster) })
    }

    /// That this device ends at an index.
    pub fn cut(&self, index: u64) -> Cut {
        Cut { device: self.id, index, seen: [0; 8] }
    }

    pub fn leave(&mut self, space: SpaceId, cursor: u64) -> Blob {
        let intent = Some(Intent::Leave);
        self.seal(space, Header { intent, ..Self::header(Kind::Intent, cursor) })
    }

    pub fn register(&mut self, space: SpaceId, cursor: u64, key: u32) -> Blob {
        let register = Some(key);
        self.seal(space, Header { register, ..Self::header(Kind::Register, cursor) })
    }

    pub fn signal(&mut self, space: SpaceId) -> Blob {
        self.seal(space, Self::header(Kind::Signal, 0))
    }
}

fn commit(roster: Vec<RosterChange>) -> CommitHeader {
    CommitHeader {
        parent: EpochId::from_bytes([5; 32]),
        number: 1,
        min_version: 1,
        roster,
        logs: Vec::new(),
        cuts: Vec::new(),
        intents: Vec::new(),
        ticket: None,
        era: 0,
    }
}

pub fn add(device: &Device) -> RosterChange {
    RosterChange::Add { account: device.account, role: Role::Member, devices: vec![device.id] }
}

pub fn remove(device: &Device) -> RosterChange {
    RosterChange::Remove { account: device.account }
}

pub fn join(device: &Device) -> RosterChange {
    RosterChange::AddDevices { account: device.account, devices: vec![device.id] }
}

pub fn space(n: u8) -> SpaceId {
    SpaceId::from_bytes([n; 32])
}

pub fn push(space: SpaceId, envelopes: Vec<Blob>) -> ClientFrame {
    ClientFrame::Push(Push { space, envelopes, welcomes: None, ticket: None })
}
