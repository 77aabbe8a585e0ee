//! Ways into a group, as `docs/protocol.md` has them, made by whoever likes: invitations, tickets,
//! and groups of somebody's own making to which they lead.

use ed25519_dalek::{Signer as _, SigningKey};
use hpke::aead::ChaCha20Poly1305;
use hpke::kdf::HkdfSha256;
use hpke::kem::X25519HkdfSha256;
use hpke::{Deserializable as _, Kem, OpModeS, Serializable as _};
use minicbor::{Decode, Encode};
use rand_core::SeedableRng as _;
use sync_core::document::Name;
use sync_core::group::{Change, Context, Group, Identity};
use sync_core::records::Load;
use sync_protocol::codec::{self, Blob};
use sync_protocol::device_log::DeviceLog;
use sync_protocol::envelope::{CommitHeader, Header, Kind, epoch_id};
use sync_protocol::frames::{Answer, Delivery, InboxItem, Op, RelayFrame, Reply, Taken};
use sync_protocol::hash::{self, Domain};
use sync_protocol::ids::{Commitment, Link, LogHead};
use sync_protocol::roster::Roster;
use sync_protocol::signing::Signed;
use sync_protocol::{AccountId, DeviceId, EpochId, SpaceId, WriterId};

use super::cheat::{Cheat, Keys, root, stand};
use super::forge;
use crate::World;

/// What lies in an inbox for one device that a commit lets in.
#[derive(Clone, Debug, Encode, Decode)]
#[cbor(map)]
pub struct Invitation {
    #[n(0)]
    pub version: u8,
    #[n(1)]
    pub space: SpaceId,
    #[n(2)]
    pub device: DeviceId,
    #[n(3)]
    pub epoch: EpochId,
    #[cbor(n(4), with = "minicbor::bytes")]
    pub common: [u8; 32],
    #[n(5)]
    pub grant: u8,
    #[n(6)]
    pub key: Blob,
}

/// What all devices that a commit lets in have alike.
#[derive(Clone, Debug, Encode, Decode)]
#[cbor(map)]
pub struct Common {
    #[n(0)]
    pub version: u8,
    #[n(1)]
    pub welcome: Blob,
    #[n(2)]
    pub logs: Logs,
    #[n(3)]
    pub named: Vec<(AccountId, u64, LogHead)>,
    #[n(4)]
    pub grants: Vec<Blob>,
}

/// What a device keeps of an epoch.
#[derive(Clone, Debug, Encode, Decode)]
pub struct EpochRow {
    #[n(0)]
    pub number: u64,
    #[n(1)]
    pub index: u64,
    #[cbor(n(2), with = "minicbor::bytes")]
    pub root: [u8; 32],
    #[cbor(n(3), with = "minicbor::bytes")]
    pub binding: [u8; 32],
    #[n(4)]
    pub era: u32,
}

/// How somebody calls a member.
#[derive(Clone, Debug, Encode, Decode)]
pub struct Hint {
    #[n(0)]
    pub account: AccountId,
    #[n(1)]
    pub address: Option<String>,
    #[n(2)]
    pub name: String,
}

/// What whoever lets somebody in tells them.
#[derive(Clone, Debug, Default, Encode, Decode)]
#[cbor(map)]
pub struct Grant {
    #[n(0)]
    pub from: u64,
    #[n(1)]
    pub frontier: Vec<(WriterId, u64, Link)>,
    #[cbor(n(2), with = "minicbor::bytes")]
    pub log_hash: [u8; 32],
    #[n(3)]
    pub epochs: Vec<(EpochId, EpochRow)>,
    #[n(4)]
    pub heads: Vec<(AccountId, u64, LogHead)>,
    #[n(5)]
    pub people: Vec<Hint>,
    #[n(6)]
    pub segment: u32,
    #[n(7)]
    pub leavers: Vec<(AccountId, Blob)>,
    #[n(8)]
    pub documents: Vec<(Name, Blob)>,
}

/// A way in that lies at the relay.
#[derive(Clone, Debug, Encode, Decode)]
#[cbor(map)]
pub struct Ticket {
    #[n(0)]
    pub version: u8,
    #[n(1)]
    pub space: SpaceId,
    #[n(2)]
    pub epoch: EpochId,
    #[n(3)]
    pub account: AccountId,
    #[n(4)]
    pub device: DeviceId,
    #[n(5)]
    pub keys: Vec<(Blob, Blob)>,
    #[n(6)]
    pub body: Blob,
}

/// What a ticket seals.
#[derive(Clone, Debug, Encode, Decode)]
#[cbor(map)]
pub struct TicketBody {
    #[n(0)]
    pub group_info: Blob,
    #[cbor(n(1), with = "minicbor::bytes")]
    pub root: [u8; 32],
    #[n(2)]
    pub number: u64,
    #[n(3)]
    pub grant: Grant,
    #[n(4)]
    pub logs: Logs,
    #[n(5)]
    pub named: Vec<(AccountId, u64, LogHead)>,
}

/// What a ticket of an account's own space seals beside that.
#[derive(Clone, Debug, Decode)]
#[cbor(map)]
pub struct TicketPast {
    #[n(6)]
    pub past: (Blob, Vec<(EpochId, Blob)>),
}

/// What a handshake seals.
#[derive(Clone, Debug, Encode, Decode)]
#[cbor(map)]
pub struct SealedCommit {
    #[n(0)]
    pub message: Blob,
    #[n(1)]
    pub logs: Logs,
    #[n(2)]
    pub people: Vec<Hint>,
}

/// Device logs with all their entries.
pub type Logs = Vec<(AccountId, Vec<Blob>)>;

/// An account's log as the relay has it.
pub fn read_log(world: &mut World, cheat: &mut Cheat, account: AccountId) -> Vec<Blob> {
    let heard = cheat.ask(world, Op::ReadLog { account, from: 0 });
    let log = heard.into_iter().find_map(|frame| match frame {
        RelayFrame::Reply(Reply { answer: Answer::Log { entries, .. }, .. }) => Some(entries),
        _ => None,
    });
    log.unwrap()
}

/// Several accounts' logs as the relay has them.
pub fn read_logs(world: &mut World, cheat: &mut Cheat, accounts: &[AccountId]) -> Logs {
    accounts.iter().map(|account| (*account, read_log(world, cheat, *account))).collect()
}

/// A log out of several, verified.
pub fn log_of(logs: &Logs, account: AccountId) -> DeviceLog {
    let (_, entries) = logs.iter().find(|(of, _)| *of == account).unwrap();
    let entries: Vec<&[u8]> = entries.iter().map(Blob::as_slice).collect();
    DeviceLog::verify(&account, &entries).unwrap()
}

/// As a commit header names a log.
pub fn named(logs: &Logs) -> Vec<(AccountId, u64, LogHead)> {
    let named = logs.iter().map(|(account, _)| log_of(logs, *account));
    named.map(|log| (log.account(), log.len(), log.head())).collect()
}

/// Key packages of all devices of an account, from the relay.
pub fn take_packages(world: &mut World, cheat: &mut Cheat, account: AccountId) -> Vec<Taken> {
    let heard = cheat.ask(world, Op::TakeKeyPackages { account });
    let taken = heard.into_iter().find_map(|frame| match frame {
        RelayFrame::Reply(Reply { answer: Answer::KeyPackages(taken), .. }) => Some(taken),
        _ => None,
    });
    taken.unwrap()
}

/// The group that a device keeps on its disk.
pub fn group(world: &World, device: usize, space: SpaceId) -> Group {
    let prefix = Load::Group(space).prefix();
    let records = world.device(device).disk.read(&prefix);
    let records = records.into_iter().map(|(key, value)| (key[prefix.len()..].to_vec(), value));
    let mut group = Group::load(space, records.collect()).unwrap();
    if group.has_pending() {
        // What the device's own client has under way is not its cheat's.
        group.drop_pending().unwrap();
    }
    group
}

/// All epochs of a space whose keys a device keeps.
pub fn epochs(world: &World, device: usize, space: SpaceId) -> Vec<(EpochId, EpochRow)> {
    let prefix = [b"s", space.as_bytes().as_slice(), b"e"].concat();
    let records = world.device(device).disk.read(&prefix);
    let epochs = records.iter().map(|(key, row)| {
        let epoch = EpochId::try_from(&key[prefix.len()..]).unwrap();
        (epoch, codec::decode("epoch", row).unwrap())
    });
    epochs.collect()
}

/// Seals something to whoever has the secret half of a key.
pub fn seal_to(public: &[u8; 32], aad: &[u8], plaintext: &[u8]) -> Blob {
    let public = <X25519HkdfSha256 as Kem>::PublicKey::from_bytes(public).unwrap();
    let mut rng = rand_chacha::ChaCha20Rng::from_seed([3; 32]);
    let sealed = hpke::single_shot_seal_with_rng::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>(
        &OpModeS::Base,
        &public,
        b"rejoinder grant v1",
        plaintext,
        aad,
        &mut rng,
    );
    let (encapped, sealed) = sealed.unwrap();
    Blob([encapped.to_bytes().as_slice(), &sealed].concat())
}

/// A group of somebody's own, whatever space's name it bears.
#[derive(Debug)]
pub struct Fork {
    pub by: Keys,
    pub space: SpaceId,
    pub group: Group,
}

impl Fork {
    /// Founded anew, with any roster.
    pub fn founded(by: &Keys, space: SpaceId, roster: Roster) -> Self {
        let identity = Identity::new(by.account, by.signing());
        let context = Context { min_version: 1, title: "t".into(), roster, era: 0 };
        let group = Group::create(&identity, space, &context, [1; 32]).unwrap();
        Self { by: by.clone(), space, group }
    }

    /// The real group, as the cheat's device has it, to go on from in secret.
    pub fn of(world: &World, cheat: &Cheat, space: SpaceId) -> Self {
        Self { by: cheat.keys.clone(), space, group: group(world, cheat.device, space) }
    }

    /// As whom it is led.
    pub fn identity(&self) -> Identity {
        Identity::new(self.by.account, self.by.signing())
    }

    /// The root of its present epoch.
    pub fn root(&self) -> [u8; 32] {
        *self.group.root()
    }

    /// The group info that a ticket carries.
    pub fn info(&self) -> Vec<u8> {
        self.group.group_info(&self.identity()).unwrap()
    }

    /// Goes on by a commit; gives the welcome of those who are added.
    pub fn go_on(&mut self, add: Vec<Vec<u8>>, remove: Vec<DeviceId>, roster: Roster) -> Vec<u8> {
        let context = Context { roster, ..self.group.context().clone() };
        let change = Change { add, remove, context };
        let seed = [self.group.epoch() as u8 ^ 0x55; 32];
        let made = self.group.commit(&self.identity(), &change, b"", seed).unwrap();
        self.group.merge_pending().unwrap();
        made.welcome.unwrap_or_default()
    }

    /// Goes on with nothing but new keys until it has this number.
    pub fn until(&mut self, number: u64) {
        while self.group.epoch() < number {
            let roster = self.group.context().roster.clone();
            self.go_on(vec![], vec![], roster);
        }
    }

    /// A ticket into it, under an epoch's id.
    pub fn ticket(
        &self,
        epoch: EpochId,
        number: u64,
        logs: &Logs,
        recipients: &[[u8; 32]],
    ) -> Blob {
        let body = TicketBody {
            group_info: Blob(self.info()),
            root: self.root(),
            number,
            grant: Grant::default(),
            logs: logs.clone(),
            named: vec![],
        };
        ticket(self.space, &self.by, epoch, &body, recipients)
    }
}

/// A ticket of anything.
pub fn ticket(
    space: SpaceId,
    by: &Keys,
    epoch: EpochId,
    body: &TicketBody,
    recipients: &[[u8; 32]],
) -> Blob {
    let context = [b"ticket".as_slice(), space.as_bytes(), epoch.as_bytes()].concat();
    let content = [0x42; 32];
    let sealed =
        |public: &[u8; 32]| (Blob(public[..8].to_vec()), seal_to(public, &context, &content));
    let ticket = Ticket {
        version: 2,
        space,
        epoch,
        account: by.account,
        device: by.device(),
        keys: recipients.iter().map(sealed).collect(),
        body: Blob(forge::seal(&content, &context, &codec::encode(body))),
    };
    let signed = Signed::seal(&ticket, &by.signing(), hash::TICKET, &[space.as_bytes()]);
    Blob(codec::encode(&signed))
}

/// Whom an invitation is for.
#[derive(Clone, Copy, Debug)]
pub struct Guest {
    pub device: DeviceId,
    pub hpke: [u8; 32],
}

/// An invitation as it lies in an inbox.
pub fn invitation(
    by: &Keys,
    (space, epoch): (SpaceId, EpochId),
    guest: &Guest,
    (welcome, logs): (Vec<u8>, Logs),
    grant: &Grant,
) -> InboxItem {
    let key = [0x43; 32];
    let aad = [space.as_bytes().as_slice(), epoch.as_bytes()].concat();
    let grants = vec![Blob(forge::seal(&key, &aad, &codec::encode(grant)))];
    let common = Common { version: 2, welcome: Blob(welcome), logs, named: vec![], grants };
    let common = codec::encode(&common);
    let aad = [space.as_bytes().as_slice(), guest.device.as_bytes(), epoch.as_bytes()].concat();
    let invitation = Invitation {
        version: 2,
        space,
        device: guest.device,
        epoch,
        common: hash::hash(hash::WELCOME, &[&common]),
        grant: 0,
        key: seal_to(&guest.hpke, &aad, &key),
    };
    let signed =
        Signed::seal(&invitation, &by.signing(), hash::INBOX, &[by.account.as_bytes().as_slice()]);
    InboxItem {
        number: 9,
        account: by.account,
        device: by.device(),
        time_ms: 0,
        space: Some(space),
        item: Blob(codec::encode(&signed)),
        common: Some(Blob(common)),
    }
}

/// One item as the relay delivers it.
pub fn inbox_frame(item: InboxItem) -> RelayFrame {
    RelayFrame::Delivery(Delivery::Inbox(vec![item]))
}

/// A commit made in a group, sealed as a handshake of the cheat's: what an honest member of the
/// group takes.
#[derive(Clone, Debug)]
pub struct Handshake {
    pub envelope: Blob,
    pub child: EpochId,
    pub root: [u8; 32],
    pub group_info: Vec<u8>,
    pub welcome: Vec<u8>,
    pub header: CommitHeader,
}

/// A header that changes nothing.
pub fn header(world: &World, device: usize, space: SpaceId) -> CommitHeader {
    let now = stand(world, device, space);
    CommitHeader {
        parent: now.epoch,
        number: now.number + 1,
        min_version: 1,
        roster: Vec::new(),
        logs: Vec::new(),
        cuts: Vec::new(),
        intents: Vec::new(),
        ticket: None,
        era: group(world, device, space).context().era,
    }
}

/// Makes a real commit on the group that the cheat's device keeps, and does not push it.
pub fn real_commit(
    world: &World,
    cheat: &Cheat,
    space: SpaceId,
    header: CommitHeader,
    (add, remove): (Vec<Vec<u8>>, Vec<DeviceId>),
    into: (Roster, Logs),
) -> Handshake {
    let named = |right| right;
    commit_named(world, cheat, (space, header), (add, remove), into, named)
}

/// The same, under a name that commits to whatever its author likes.
pub fn commit_named(
    world: &World,
    cheat: &Cheat,
    (space, header): (SpaceId, CommitHeader),
    (add, remove): (Vec<Vec<u8>>, Vec<DeviceId>),
    (roster, logs): (Roster, Logs),
    named: impl FnOnce([u8; 32]) -> [u8; 32],
) -> Handshake {
    let mut group = group(world, cheat.device, space);
    let bytes = codec::encode(&header);
    let identity = Identity::new(cheat.keys.account, cheat.keys.signing());
    let context = Context { roster, ..group.context().clone() };
    let change = Change { add, remove, context };
    let made = group.commit(&identity, &change, &CommitHeader::hash(&bytes), [9; 32]).unwrap();
    let binding = Group::binding_of(&made.group_info).unwrap();
    let commitment = named(forge::key_commitment(&made.child_root, &binding));
    let sealed = SealedCommit { message: Blob(made.message), logs, people: vec![] };
    let (envelope, child) =
        handshake(world, cheat, space, &header, (commitment, &codec::encode(&sealed)));
    Handshake {
        envelope,
        child,
        root: *made.child_root,
        group_info: made.group_info,
        welcome: made.welcome.unwrap_or_default(),
        header,
    }
}

/// Seals anything as a handshake of the cheat's; gives the epoch that it names.
pub fn handshake(
    world: &World,
    cheat: &Cheat,
    space: SpaceId,
    commit: &CommitHeader,
    (commitment, plaintext): ([u8; 32], &[u8]),
) -> (Blob, EpochId) {
    let now = stand(world, cheat.device, space);
    let key = forge::handshake_key(&root(world, cheat.device, space, commit.parent));
    let mut header = Header::new(Kind::Handshake, commit.parent, now.next);
    let bytes = codec::encode(commit);
    let child = epoch_id(&space, &commit.parent, &bytes, &commitment);
    header.child = Some(child);
    header.commit = Some(Blob(bytes));
    header.commitment = Some(Commitment::from_bytes(commitment));
    (cheat.sealed(space, header, &key, plaintext), child)
}

/// Bytes of a group info before what is signed, and those of its signature.
const INFO_FRAME: usize = 4;
const INFO_SIGNATURE: usize = 2 + 64;

/// A group info with one thing changed, signed again by a member: MLS finds nothing wrong with the
/// signature.
pub fn re_signed(info: &[u8], key: &SigningKey, change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let end = info.len() - INFO_SIGNATURE;
    let mut content = info[INFO_FRAME..end].to_vec();
    change(&mut content);
    let label = b"MLS 1.0 GroupInfoTBS";
    let mut signed = vec![u8::try_from(label.len()).unwrap()];
    signed.extend_from_slice(label);
    signed.extend(varint(content.len()));
    signed.extend_from_slice(&content);
    let signature = key.sign(&signed).to_bytes();
    [&info[..INFO_FRAME], &content, &[0x40, 64], &signature].concat()
}

/// A length as MLS writes it (RFC 9420 section 2.1.2).
fn varint(len: usize) -> Vec<u8> {
    match len {
        0..64 => vec![u8::try_from(len).unwrap()],
        64..16_384 => (u16::try_from(len).unwrap() | 0x4000).to_be_bytes().to_vec(),
        _ => (u32::try_from(len).unwrap() | 0x8000_0000).to_be_bytes().to_vec(),
    }
}

#[derive(Decode)]
#[cbor(map)]
struct SessionRow {
    #[n(0)]
    incarnation: u64,
}

/// As whom a device writes.
pub fn writer(world: &World, device: usize) -> Option<WriterId> {
    if world.device(device).disk.read(b"iaccount").is_empty() {
        return None;
    }
    let records = world.device(device).disk.read(b"isession");
    let row: SessionRow = codec::decode("session", records.get(b"isession".as_slice())?).unwrap();
    let device = Keys::of(world, device).device();
    Some(WriterId { device, incarnation: row.incarnation })
}

/// The head of a log of these entries.
pub fn head_of(entries: &[Blob]) -> LogHead {
    let domain = Domain::new("rejoinder device log head v1");
    let step = |head: [u8; 32], entry: &Blob| hash::hash(domain, &[&head, entry.as_slice()]);
    LogHead::from_bytes(entries.iter().fold([0; 32], step))
}
