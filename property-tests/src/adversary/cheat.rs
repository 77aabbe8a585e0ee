//! A member that cheats: a program of its own, with the keys that its device keeps on disk, in a
//! session of its own with the real relay.

use std::collections::BTreeMap;

use ed25519_dalek::SigningKey;
use minicbor::Decode;
use sync_core::document::{Document, Edit, Name};
use sync_core::group::Group;
use sync_core::records::Load;
use sync_protocol::codec::{self, Blob};
use sync_protocol::envelope::{Chain, Envelope, Header, Kind, aad};
use sync_protocol::frames::{
    ClientFrame, Hello, Op, Push, RelayFrame, Request, Session, sign_session,
};
use sync_protocol::frontier::Tip;
use sync_protocol::ids::Commitment;
use sync_protocol::roster::Roster;
use sync_protocol::{AccountId, DeviceId, EpochId, SpaceId, WriterId};

use super::forge::{self, Set};
use crate::World;
use crate::network::ConnectionId;
use crate::violation::Violation;

/// The incarnation of a cheat's first chain.
const INCARNATION: u64 = 666;
/// How long the relay takes to let somebody in, in virtual ms.
const OPENS_MS: u64 = 1_000;

/// Of a device's account record, what a cheat needs.
#[derive(Clone, Debug, Decode)]
#[cbor(map)]
pub struct Keys {
    /// Whose they are.
    #[n(1)]
    pub account: AccountId,
    #[cbor(n(2), with = "minicbor::bytes")]
    signing: [u8; 32],
}

/// Of a space's index record, where its device stands.
#[derive(Clone, Copy, Debug, Decode)]
#[cbor(map)]
pub struct Stand {
    /// The epoch it is in.
    #[n(2)]
    pub epoch: EpochId,
    /// That epoch's number.
    #[n(3)]
    pub number: u64,
    /// The index after the last entry that it read.
    #[n(5)]
    pub next: u64,
    /// The hash of the log up to there.
    #[cbor(n(23), with = "minicbor::bytes")]
    pub log_hash: [u8; 32],
}

#[derive(Clone, Copy, Debug, Decode)]
struct Epoch {
    #[cbor(n(2), with = "minicbor::bytes")]
    root: [u8; 32],
}

/// A member that cheats.
#[derive(Debug)]
pub struct Cheat {
    /// The device whose keys it uses.
    pub device: usize,
    /// Those keys.
    pub keys: Keys,
    /// As whom it writes.
    pub writer: WriterId,
    line: ConnectionId,
    /// The fence that it said last, and the one that it said would be next.
    fences: (u64, u64),
    tips: BTreeMap<SpaceId, Tip>,
    requests: u64,
}

impl Keys {
    /// Those that a device keeps on its disk.
    pub fn of(world: &World, device: usize) -> Self {
        Self::found(world, device).unwrap()
    }

    /// The same, if the device has an account.
    pub fn found(world: &World, device: usize) -> Option<Self> {
        let records = world.device(device).disk.read(b"iaccount");
        codec::decode("account", records.get(b"iaccount".as_slice())?).ok()
    }

    /// The key that it signs with.
    pub fn signing(&self) -> SigningKey {
        SigningKey::from_bytes(&self.signing)
    }

    /// The device's id.
    pub fn device(&self) -> DeviceId {
        DeviceId::of_signing_key(&self.signing().verifying_key().to_bytes())
    }
}

/// Whether a device has on its disk all that a cheat reads of a space.
pub fn reads(world: &World, device: usize, space: SpaceId) -> bool {
    let disk = &world.device(device).disk;
    let key = [b"x", space.as_bytes().as_slice()].concat();
    let row = disk.read(&key);
    let Some(now) = row.get(&key).and_then(|row| codec::decode::<Stand>("space", row).ok()) else {
        return false;
    };
    let prefix = [b"s", space.as_bytes().as_slice(), b"e", now.epoch.as_bytes()].concat();
    let agreed = row.get(&key).is_some_and(|row| codec::decode::<Agreed>("space", row).is_ok());
    agreed && !disk.read(&prefix).is_empty() && loaded(world, device, space).is_some()
}

/// The group that a device keeps on its disk, if it has one.
pub fn loaded(world: &World, device: usize, space: SpaceId) -> Option<Group> {
    let prefix = Load::Group(space).prefix();
    let records = world.device(device).disk.read(&prefix).into_iter();
    let records = records.map(|(key, value)| (key[prefix.len()..].to_vec(), value));
    Group::load(space, records.collect()).ok()
}

/// Where a device stands in a space.
pub fn stand(world: &World, device: usize, space: SpaceId) -> Stand {
    let key = [b"x", space.as_bytes().as_slice()].concat();
    let records = world.device(device).disk.read(&key);
    codec::decode("space", &records[&key]).unwrap()
}

/// The epoch that a device is in, if it has one of a space.
pub fn epoch_of(world: &World, device: usize, space: SpaceId) -> Option<EpochId> {
    let key = [b"x", space.as_bytes().as_slice()].concat();
    let records = world.device(device).disk.read(&key);
    codec::decode::<Stand>("space", records.get(&key)?).ok().map(|stand| stand.epoch)
}

/// Of a space's index record, what its members agree on.
#[derive(Debug, Decode)]
#[cbor(map)]
struct Agreed {
    #[n(1)]
    context: sync_core::group::Context,
}

/// Who is in a space, as a device has it.
pub fn roster(world: &World, device: usize, space: SpaceId) -> Roster {
    let key = [b"x", space.as_bytes().as_slice()].concat();
    let records = world.device(device).disk.read(&key);
    codec::decode::<Agreed>("space", &records[&key]).unwrap().context.roster
}

/// Whether a device has another as a leaf of a space's group.
pub fn has_leaf(world: &World, device: usize, space: SpaceId, leaf: DeviceId) -> bool {
    loaded(world, device, space).unwrap().contains(&leaf)
}

/// An epoch's root, as a device keeps it.
pub fn root(world: &World, device: usize, space: SpaceId, epoch: EpochId) -> [u8; 32] {
    known_root(world, device, space, epoch).expect("it knows the epoch")
}

/// The same, if it knows the epoch.
fn known_root(world: &World, device: usize, space: SpaceId, epoch: EpochId) -> Option<[u8; 32]> {
    let key = [b"s", space.as_bytes().as_slice(), b"e", epoch.as_bytes()].concat();
    let records = world.device(device).disk.read(&key);
    Some(codec::decode::<Epoch>("epoch", records.get(&key)?).ok()?.root)
}

/// A document as a device has it, to be written on.
pub fn document(world: &World, device: usize, space: SpaceId, name: &Name) -> Document {
    crate::stored::document(space, name, |prefix| world.device(device).disk.read(prefix))
}

impl Cheat {
    /// Opens a session with the keys of a device, for a chain of its own: one for each `n`.
    pub fn with_keys_of(world: &mut World, device: usize, n: u64) -> Self {
        let keys = Keys::of(world, device);
        Self::begin(world, device, (keys, n)).unwrap().expect("the relay lets a device in")
    }

    /// The same, if the relay lets it in.
    ///
    /// # Errors
    /// What was broken meanwhile.
    pub fn begin(
        world: &mut World,
        device: usize,
        (keys, n): (Keys, u64),
    ) -> Result<Option<Self>, Violation> {
        let writer = WriterId { device: keys.device(), incarnation: INCARNATION + n };
        let fences = (0, 1);
        let line = Self::open(world, &keys, writer, fences)?;
        let tips = BTreeMap::new();
        Ok(line.map(|line| Self { device, keys, writer, line, fences, tips, requests: 0 }))
    }

    /// The same program, with a stolen device's keys: it has no session of its own.
    pub fn in_the_name_of(&self, keys: &Keys, writer: WriterId) -> Self {
        let (device, line, fences) = (self.device, self.line, self.fences);
        let keys = keys.clone();
        Self { device, keys, writer, line, fences, tips: BTreeMap::new(), requests: 0 }
    }

    /// Says who it is; `None` if the relay does not let it in.
    fn open(
        world: &mut World,
        keys: &Keys,
        writer: WriterId,
        (fence, next_fence): (u64, u64),
    ) -> Result<Option<ConnectionId>, Violation> {
        let line = world.ghost();
        world.pass(1_000)?;
        let heard = world.ghost_hears(line);
        let [RelayFrame::Challenge(challenge)] = heard.as_slice() else { return Ok(None) };
        let mut hello = Hello {
            version: sync_protocol::limits::VERSION,
            account: keys.account,
            device: writer.device,
            incarnation: writer.incarnation,
            fence,
            next_fence,
            cursor: None,
            lagging: Vec::new(),
            digest: Blob::default(),
            log: Vec::new(),
            foreground: None,
            fresh: false,
            signature: Blob::default(),
        };
        hello.signature = sign_session(&Session { challenge, hello: &hello }, &keys.signing());
        world.ghost_says(line, &ClientFrame::Hello(hello))?;
        world.pass(OPENS_MS)?;
        let heard = world.ghost_hears(line);
        let is_in = heard.iter().any(|frame| matches!(frame, RelayFrame::Welcome(_)));
        Ok(is_in.then_some(line))
    }

    /// Comes back after the relay hung up on it.
    pub fn again(world: &mut World, mut before: Self) -> Self {
        assert!(before.resume(world).unwrap(), "the relay lets it in again");
        before
    }

    /// Comes back, if the relay lets it in.
    ///
    /// # Errors
    /// What was broken meanwhile.
    pub fn resume(&mut self, world: &mut World) -> Result<bool, Violation> {
        let fences = (self.fences.1, self.fences.1 + 1);
        let Some(line) = Self::open(world, &self.keys, self.writer, fences)? else {
            return Ok(false);
        };
        (self.line, self.fences) = (line, fences);
        Ok(true)
    }

    /// Whether the relay still hears it.
    pub fn is_heard(&self, world: &World) -> bool {
        world.is_heard(self.line)
    }

    /// Its own change to a document, well-formed: what an honest device would write.
    pub fn changes(
        &self,
        world: &World,
        space: SpaceId,
        name: &Name,
        edits: &[Edit],
    ) -> Vec<Vec<u8>> {
        let mut document = document(world, self.device, space, name);
        for edit in edits {
            document.edit(&self.writer, edit).unwrap();
        }
        document.cut()
    }

    /// Seals and chains a change set as the next of its own.
    pub fn content(&mut self, world: &World, space: SpaceId, set: &Set) -> Blob {
        let seen = stand(world, self.device, space).log_hash[..8].try_into().unwrap();
        let plaintext = codec::encode(&set.plaintext(seen));
        self.content_of(world, space, &plaintext, set.commitment())
    }

    /// The same with any plaintext and any commitment.
    pub fn content_of(
        &mut self,
        world: &World,
        space: SpaceId,
        plaintext: &[u8],
        commitment: Commitment,
    ) -> Blob {
        let tip = self.tips.entry(space).or_insert(Tip::START);
        let seq = tip.seq + 1;
        let link = tip.link.next(&self.writer, seq, &commitment);
        *tip = Tip { seq, link };
        self.chained(world, space, plaintext, Chain { seq, commitment, link })
    }

    /// The same with any place in the chain.
    pub fn chained(&self, world: &World, space: SpaceId, plaintext: &[u8], chain: Chain) -> Blob {
        let now = stand(world, self.device, space);
        // A device that reads its log anew has no epoch meanwhile: then it makes keys up.
        let root = known_root(world, self.device, space, now.epoch).unwrap_or_default();
        let mut header = Header::new(Kind::Content, now.epoch, now.next);
        header.chain = Some(chain);
        self.sealed(space, header, &forge::content_key(&root, &self.writer), plaintext)
    }

    /// Seals and signs under a header of any content.
    pub fn sealed(&self, space: SpaceId, header: Header, key: &[u8; 32], plaintext: &[u8]) -> Blob {
        let aad = aad(&space, &self.writer, &codec::encode(&header));
        let payload = forge::seal(key, &aad, plaintext);
        let signing = self.keys.signing();
        Blob(Envelope::sign(&space, &self.writer, header, payload, &signing).to_bytes())
    }

    /// What the relay thinks of the next number of its chain: the one after this.
    pub fn tip(&self, space: SpaceId) -> Tip {
        self.tips.get(&space).copied().unwrap_or(Tip::START)
    }

    /// From here on its chain goes on behind this.
    pub fn set_tip(&mut self, space: SpaceId, tip: Tip) {
        self.tips.insert(space, tip);
    }

    /// Pushes envelopes, and gives what the relay says to it.
    pub fn push(
        &mut self,
        world: &mut World,
        space: SpaceId,
        envelopes: Vec<Blob>,
    ) -> Vec<RelayFrame> {
        self.say(world, &pushing(space, envelopes))
    }

    /// Pushes the next of its chain, and tells whether the relay took it; else the chain ends before
    /// it.
    ///
    /// # Errors
    /// What was broken meanwhile.
    pub fn offers(
        &mut self,
        world: &mut World,
        space: SpaceId,
        (before, envelopes): (Tip, Vec<Blob>),
    ) -> Result<bool, Violation> {
        let heard = self.tells(world, &pushing(space, envelopes))?;
        let is_stored = heard.iter().any(|frame| matches!(frame, RelayFrame::Stored(_)));
        if !is_stored {
            self.set_tip(space, before);
        }
        Ok(is_stored)
    }

    /// Asks the relay for something.
    pub fn ask(&mut self, world: &mut World, op: Op) -> Vec<RelayFrame> {
        self.requests(world, op).unwrap()
    }

    /// The same.
    ///
    /// # Errors
    /// What was broken meanwhile.
    pub fn requests(&mut self, world: &mut World, op: Op) -> Result<Vec<RelayFrame>, Violation> {
        self.requests += 1;
        let id = self.requests;
        self.tells(world, &ClientFrame::Request(Request { id, op }))
    }

    /// Says anything, and does not wait.
    pub fn shout(&mut self, world: &mut World, frame: &ClientFrame) {
        self.shouts(world, frame).unwrap();
    }

    /// The same.
    ///
    /// # Errors
    /// If it shows a plaintext.
    pub fn shouts(&mut self, world: &mut World, frame: &ClientFrame) -> Result<(), Violation> {
        world.ghost_says(self.line, frame)
    }

    /// What it heard since the last time.
    pub fn hears(&mut self, world: &mut World) -> Vec<RelayFrame> {
        world.ghost_hears(self.line)
    }

    /// Says anything, and hears what comes of it.
    pub fn say(&mut self, world: &mut World, frame: &ClientFrame) -> Vec<RelayFrame> {
        self.tells(world, frame).unwrap()
    }

    /// The same.
    ///
    /// # Errors
    /// What was broken meanwhile.
    pub fn tells(
        &mut self,
        world: &mut World,
        frame: &ClientFrame,
    ) -> Result<Vec<RelayFrame>, Violation> {
        world.ghost_hears(self.line);
        world.ghost_says(self.line, frame)?;
        world.pass(1_000)?;
        Ok(world.ghost_hears(self.line))
    }

    /// Writes a change set in one document and has it stored.
    pub fn write(&mut self, world: &mut World, space: SpaceId, set: &Set) {
        let envelope = self.content(world, space, set);
        self.store(world, space, vec![envelope]);
    }

    /// Pushes what the relay has no reason to refuse.
    pub fn store(&mut self, world: &mut World, space: SpaceId, envelopes: Vec<Blob>) {
        let heard = self.push(world, space, envelopes);
        assert!(heard.iter().any(|frame| matches!(frame, RelayFrame::Stored(_))), "{heard:?}");
        world.settle().unwrap();
    }
}

fn pushing(space: SpaceId, envelopes: Vec<Blob>) -> ClientFrame {
    ClientFrame::Push(Push { space, envelopes, welcomes: None, ticket: None })
}
