//! What a device says.

use crate::address::Address;
use crate::codec::{Blob, Decode, Encode};
use crate::error::ProtocolError;
use crate::frames::relay::Challenge;
use crate::hash;
use crate::ids::{AccountId, DeviceId, RendezvousId, SpaceId};
use crate::signing::{self, PublicKey, SigningKey};

/// A frame from a device.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum ClientFrame {
    /// Who this is, what it has: the answer to the challenge.
    #[n(0)]
    Hello(#[n(0)] Hello),
    /// Envelopes for a space.
    #[n(1)]
    Push(#[n(0)] Push),
    /// All that was sent up to this cursor is durable here.
    #[n(2)]
    Ack {
        /// The newest cursor of a delivery that was persisted.
        #[n(0)]
        cursor: Blob,
    },
    /// Something to be answered.
    #[n(3)]
    Request(#[n(0)] Request),
    /// A signal to those of the space who are here now.
    #[n(4)]
    Signal {
        /// Where.
        #[n(0)]
        space: SpaceId,
        /// An envelope of kind `Signal`.
        #[n(1)]
        envelope: Blob,
    },
    /// The device has taken in this many bytes of deliveries: so many more may be sent.
    #[n(5)]
    Credit {
        /// Bytes, counted as the relay counts them: [`crate::frames::Delivery::cost`].
        #[n(0)]
        bytes: u64,
    },
    /// One step of a rendezvous, also before a session is open.
    #[n(6)]
    Meet {
        /// Which.
        #[n(0)]
        rendezvous: RendezvousId,
        /// What is done there.
        #[n(1)]
        step: MeetStep,
    },
}

/// What one side of a rendezvous does.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum MeetStep {
    /// Opens it and waits. Needs no session: a new device has no account yet.
    #[n(0)]
    Open,
    /// Comes to an open one, once. Needs a session.
    #[n(1)]
    Join,
    /// Says something, sealed, to the other side.
    #[n(2)]
    Say(#[n(0)] Blob),
    /// Ends it for both.
    #[n(3)]
    Leave,
}

/// The session's opening by the device.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Hello {
    /// The protocol version spoken from here on.
    #[n(0)]
    pub version: u32,
    /// The account.
    #[n(1)]
    pub account: AccountId,
    /// The device.
    #[n(2)]
    pub device: DeviceId,
    /// The store's incarnation.
    #[n(3)]
    pub incarnation: u64,
    /// The fence confirmed last; 0 before the first session.
    #[n(4)]
    pub fence: u64,
    /// The fence proposed now: random, persisted before it is sent, proposed again until confirmed.
    #[n(5)]
    pub next_fence: u64,
    /// The opaque cursor received last, if any.
    #[n(6)]
    pub cursor: Option<Blob>,
    /// Spaces that are not complete up to the cursor, with the index each continues from.
    #[n(7)]
    pub lagging: Vec<(SpaceId, u64)>,
    /// Which spaces the device believes it is in: a hash of their sorted ids.
    #[n(8)]
    pub digest: Blob,
    /// The account's device log, when the relay may not know it yet (sign-up).
    #[n(9)]
    pub log: Vec<Blob>,
    /// The space the user is looking at: delivered first.
    #[n(10)]
    pub foreground: Option<SpaceId>,
    /// The device's signature over [`Session`].
    #[n(11)]
    pub signature: Blob,
    /// Whether this device has no space yet: it wants its inbox, and reads the logs of the spaces
    /// it joins from where their invitations or tickets say.
    #[n(12)]
    pub fresh: bool,
}

/// What a device signs to open a session: nothing of it can serve at another relay or time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session<'a> {
    /// The relay's challenge.
    pub challenge: &'a Challenge,
    /// The hello, its signature not yet filled in.
    pub hello: &'a Hello,
}

/// Signs a session's opening.
#[must_use]
pub fn sign_session(session: &Session<'_>, key: &SigningKey) -> Blob {
    let signed = session_bytes(session);
    Blob(signing::sign(key, hash::SESSION, &[&signed]).to_vec())
}

/// Verifies a session's opening.
///
/// # Errors
/// `BadSignature`.
pub fn verify_session(session: &Session<'_>, key: &PublicKey) -> Result<(), ProtocolError> {
    let signed = session_bytes(session);
    let signature = session.hello.signature.as_slice();
    signing::verify("session", key, hash::SESSION, &[&signed], signature)
}

/// The digest in a hello: of the spaces that a device believes its account is in, sorted by id.
#[must_use]
pub fn membership_digest<'a>(spaces: impl IntoIterator<Item = &'a SpaceId>) -> [u8; 32] {
    let ids: Vec<&[u8]> = spaces.into_iter().map(|space| space.as_bytes().as_slice()).collect();
    hash::hash(hash::MEMBERSHIP, &ids)
}

/// What a relay knows a token by, or an invite's code: however it was typed.
#[must_use]
pub fn token_hash(token: &str) -> [u8; 32] {
    hash::hash(hash::TOKEN, &[token.trim().to_ascii_lowercase().as_bytes()])
}

fn session_bytes(session: &Session<'_>) -> Vec<u8> {
    let bare = Hello { signature: Blob::default(), ..session.hello.clone() };
    [crate::codec::encode(session.challenge), crate::codec::encode(&bare)].concat()
}

/// Envelopes for one space, in order. Each is judged alone: what comes before a refused one stays.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Push {
    /// Where.
    #[n(0)]
    pub space: SpaceId,
    /// Sealed envelopes.
    #[n(1)]
    pub envelopes: Vec<Blob>,
    /// With a handshake that adds devices: what they need to join. Delivered to their inboxes
    /// together with the handshake, or not at all.
    #[n(2)]
    pub welcomes: Option<Welcomes>,
    /// With a handshake: the newest ticket, kept outside the log.
    #[n(3)]
    pub ticket: Option<Blob>,
}

/// The ways in that one handshake opens.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Welcomes {
    /// What all of the devices need alike, sent and kept once. Opaque to the relay.
    #[n(0)]
    pub common: Blob,
    /// What each has for itself.
    #[n(1)]
    pub items: Vec<WelcomeFor>,
}

/// A new member device's way in.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct WelcomeFor {
    /// Its account.
    #[n(0)]
    pub account: AccountId,
    /// The device.
    #[n(1)]
    pub device: DeviceId,
    /// Opaque to the relay.
    #[n(2)]
    pub item: Blob,
}

/// A numbered request; its [`crate::frames::Reply`] carries the same number.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Request {
    /// Chosen by the device, unique within the session.
    #[n(0)]
    pub id: u64,
    /// What is asked.
    #[n(1)]
    pub op: Op,
}

/// What a device can ask.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Op {
    /// Append to the own account's device log; refused as `Taken` unless `index` is its length, and
    /// as `NotFound` unless both sides are at `rendezvous`.
    #[n(0)]
    AppendLog {
        /// The index the entry takes.
        #[n(0)]
        index: u64,
        /// The signed entry.
        #[n(1)]
        entry: Blob,
        /// For a certificate: where the new device waits for it. Once it has left, it knows that no
        /// certificate comes any more.
        #[n(2)]
        rendezvous: Option<RendezvousId>,
    },
    /// An account's device log from an index on.
    #[n(1)]
    ReadLog {
        /// Whose.
        #[n(0)]
        account: AccountId,
        /// First entry wanted.
        #[n(1)]
        from: u64,
    },
    /// Claim an address for the own account: `Taken` if another account has it.
    #[n(2)]
    ClaimAddress {
        /// Which.
        #[n(0)]
        address: Address,
    },
    /// The account an address leads to, with its device log.
    #[n(3)]
    Lookup {
        /// Which.
        #[n(0)]
        address: Address,
    },
    /// Publish key packages of this device.
    #[n(4)]
    PutKeyPackages(#[n(0)] KeyPackages),
    /// Take one key package of each active device of an account.
    #[n(5)]
    TakeKeyPackages {
        /// Whose.
        #[n(0)]
        account: AccountId,
    },
    /// A space's entries from an index on: answered by [`crate::frames::Entries`] deliveries, then
    /// by the reply.
    #[n(6)]
    Fetch {
        /// Where.
        #[n(0)]
        space: SpaceId,
        /// First index wanted.
        #[n(1)]
        from: u64,
        /// First index not wanted any more.
        #[n(2)]
        to: u64,
    },
    /// Items of the own inbox up to this number are durable here and may be dropped.
    #[n(7)]
    AckInbox {
        /// The last item's number.
        #[n(0)]
        number: u64,
    },
    /// Put an item into another device's inbox.
    #[n(8)]
    PutInbox(#[n(0)] InboxPut),
    /// The newest ticket of a space.
    #[n(9)]
    ReadTicket {
        /// Which.
        #[n(0)]
        space: SpaceId,
    },
    /// How many key packages of this device are left.
    #[n(10)]
    CountKeyPackages,
    /// The spaces that the own account is in.
    #[n(11)]
    Spaces,
    /// When the own account's devices were last seen here.
    #[n(12)]
    LastSeen,
    /// Draw an invite, which lets one new account in: `Denied` unless the relay wants invites, `Quota`
    /// above [`INVITES_PER_DAY`](crate::limits::INVITES_PER_DAY). The same again changes nothing.
    #[n(13)]
    DrawInvite {
        /// The [`token_hash`] of its code, which the relay is not told.
        #[cbor(n(0), with = "minicbor::bytes")]
        hash: [u8; 32],
    },
}

/// Key packages to publish.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct KeyPackages {
    /// Each is given out once.
    #[n(0)]
    pub once: Vec<Blob>,
    /// Given out when none of the others is left; replaced by each publication that has one.
    #[n(1)]
    pub last_resort: Option<Blob>,
}

/// An item for another device. The relay adds who sent it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct InboxPut {
    /// The receiver's account.
    #[n(0)]
    pub account: AccountId,
    /// The receiver.
    #[n(1)]
    pub device: DeviceId,
    /// Opaque to the relay.
    #[n(2)]
    pub item: Blob,
}
