//! What is kept of the account, its devices and the people it knows.

use sync_protocol::codec::{Blob, Decode, Encode};
use sync_protocol::ids::RelayId;
use sync_protocol::{AccountId, DeviceId};

use super::FORMAT;

/// The device's own identity and secrets.
#[derive(Clone, Encode, Decode)]
#[cbor(map)]
pub(in crate::engine) struct AccountRow {
    #[n(0)]
    pub(in crate::engine) format: u32,
    #[n(1)]
    pub(in crate::engine) account: AccountId,
    #[cbor(n(2), with = "minicbor::bytes")]
    pub(in crate::engine) signing: [u8; 32],
    #[cbor(n(3), with = "minicbor::bytes")]
    pub(in crate::engine) hpke: [u8; 32],
    /// Private join keys: tickets were sealed to each in its time.
    #[n(4)]
    pub(in crate::engine) joins: Vec<Blob>,
    #[n(5)]
    pub(in crate::engine) address: String,
    #[n(6)]
    pub(in crate::engine) name: String,
    /// The relay confirmed the address.
    #[n(7)]
    pub(in crate::engine) claimed: bool,
    /// What this device is called.
    #[n(8)]
    pub(in crate::engine) device_name: String,
    /// Whether this device may read the account's space from its beginning: only such a device
    /// commits there, since the ticket that goes along must bring everything back.
    #[n(9)]
    pub(in crate::engine) complete: bool,
    /// The keys that the recovery code yields, until the account's space is entered.
    #[n(10)]
    pub(in crate::engine) recovering: Vec<Blob>,
    /// Certificates that the log may not have decided.
    #[n(11)]
    pub(in crate::engine) linking: Vec<LinkRow>,
    /// The number of the name, and the device that chose it, once the account's settings say so.
    #[n(20)]
    pub(in crate::engine) named: Option<Named>,
    /// Whom the account's contacts block, as conversations are counted by.
    #[cbor(n(21), default)]
    pub(in crate::engine) blocked: Vec<AccountId>,
    /// The newest entry that this device signed for the own log, until the log shows what stands
    /// at its index.
    #[n(22)]
    pub(in crate::engine) signed: Option<SignedRow>,
    /// Devices that were certified and never came.
    #[cbor(n(23), default)]
    pub(in crate::engine) unwanted: Vec<DeviceId>,
    /// The root of the account's space's first epoch, if this device may read it: with it all that came
    /// after opens.
    #[n(24)]
    pub(in crate::engine) first: Option<Blob>,
}

impl AccountRow {
    /// The row of a device that has just come into an account, with nothing of it yet.
    pub(in crate::engine) fn new(account: AccountId, signing: [u8; 32], hpke: [u8; 32]) -> Self {
        Self {
            format: FORMAT,
            account,
            signing,
            hpke,
            joins: Vec::new(),
            address: String::new(),
            name: String::new(),
            claimed: true,
            device_name: String::new(),
            complete: false,
            recovering: Vec::new(),
            linking: Vec::new(),
            named: None,
            blocked: Vec::new(),
            signed: None,
            unwanted: Vec::new(),
            first: None,
        }
    }
}

/// An entry that this device signed: there is no other of its for this index.
#[derive(Clone, Encode, Decode)]
#[cbor(map)]
pub(in crate::engine) struct SignedRow {
    #[n(0)]
    pub(in crate::engine) index: u64,
    #[n(1)]
    pub(in crate::engine) entry: Blob,
    /// The recovery code that counts once the entry does, until it was told.
    #[n(2)]
    pub(in crate::engine) code: Option<String>,
}

/// A device that is being linked: written before its certificate is sent. It is linked once the
/// log shows the certificate, and is never sent again.
#[derive(Clone, Encode, Decode)]
#[cbor(map)]
pub(in crate::engine) struct LinkRow {
    #[n(0)]
    pub(in crate::engine) device: DeviceId,
    #[n(1)]
    pub(in crate::engine) entry: Blob,
    /// The new device's key package.
    #[n(2)]
    pub(in crate::engine) package: Blob,
    #[n(3)]
    pub(in crate::engine) name: String,
    #[n(4)]
    pub(in crate::engine) history: bool,
    /// The place in the log that the certificate is for: it counts there or nowhere.
    #[n(5)]
    pub(in crate::engine) index: u64,
}

/// A device that asks to be linked, once it has told its keys: should it be interrupted, it finds
/// out from the account's log whether it was.
#[derive(Clone, Encode, Decode)]
#[cbor(map)]
pub(in crate::engine) struct GuestRow {
    #[n(0)]
    pub(in crate::engine) format: u32,
    #[cbor(n(1), with = "minicbor::bytes")]
    pub(in crate::engine) signing: [u8; 32],
    #[cbor(n(2), with = "minicbor::bytes")]
    pub(in crate::engine) hpke: [u8; 32],
    #[n(3)]
    pub(in crate::engine) account: AccountId,
    /// The head and length of the account's log before this device.
    #[n(4)]
    pub(in crate::engine) head: sync_protocol::ids::LogHead,
    #[n(5)]
    pub(in crate::engine) index: u64,
    #[n(6)]
    pub(in crate::engine) name: String,
    /// Where the two talked.
    #[n(7)]
    pub(in crate::engine) rendezvous: sync_protocol::ids::RendezvousId,
}

/// Where the session stands.
#[derive(Clone, Default, Encode, Decode)]
#[cbor(map)]
pub(in crate::engine) struct SessionRow {
    #[n(0)]
    pub(in crate::engine) incarnation: u64,
    /// The fence the relay confirmed.
    #[n(1)]
    pub(in crate::engine) fence: u64,
    /// The fence proposed next; 0 when none is.
    #[n(2)]
    pub(in crate::engine) next_fence: u64,
    #[n(3)]
    pub(in crate::engine) cursor: Option<Blob>,
    /// The last inbox item taken in.
    #[n(4)]
    pub(in crate::engine) inbox: u64,
    #[n(5)]
    pub(in crate::engine) last_confirmed_ms: Option<u64>,
    /// The relay that the account is at: the first one that let it in, or one that the person
    /// accepted since.
    #[n(6)]
    pub(in crate::engine) relay: Option<RelayId>,
    /// When it was found last that the relay had lost what it had confirmed.
    #[n(7)]
    pub(in crate::engine) put_back_ms: Option<u64>,
}

/// An account known to this device.
#[derive(Clone, Default, Encode, Decode)]
#[cbor(map)]
pub(in crate::engine) struct PersonRow {
    #[n(0)]
    pub(in crate::engine) log: Vec<Blob>,
    #[n(1)]
    pub(in crate::engine) address: Option<String>,
    #[n(2)]
    pub(in crate::engine) name: String,
    /// Whether the relay's directory gave the address, and not another member.
    #[cbor(n(3), default)]
    pub(in crate::engine) confirmed: bool,
    /// The number of the name and who said it; `None` while it is hearsay.
    #[n(4)]
    pub(in crate::engine) named: Option<Named>,
}

/// Which of an account's names one is. The greatest counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
pub(in crate::engine) struct Named {
    /// [`crate::document::people::Person::version`].
    #[n(0)]
    pub(in crate::engine) version: u64,
    /// [`crate::document::people::Person::tag`].
    #[cbor(n(1), with = "minicbor::bytes")]
    pub(in crate::engine) tag: [u8; 6],
    /// Who said so: of the own name, in the account's settings.
    #[n(2)]
    pub(in crate::engine) by: DeviceId,
}

impl Named {
    /// Which of two names is the later.
    pub(in crate::engine) fn rank(&self) -> (u64, [u8; 6]) {
        (self.version, self.tag)
    }
}
