//! Device logs: an account's linear, hash-linked, signed list of what its devices are.
//!
//! Everybody verifies a log from its genesis; the relay's word counts for nothing. An entry names
//! its index and the head before it, so a log can't be reordered, forked or shortened unseen.

use crate::codec::{self, Blob, Decode, Encode};
use crate::error::ProtocolError;
use crate::hash;
use crate::ids::{AccountId, DeviceId, Link, LogHead, WriterId};
use crate::limits;
use crate::signing::{PublicKey, SIGNATURE, Signed, SigningKey, sign, verify};
use crate::sorted::SortedMap;

/// A device's public keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct DeviceKeys {
    /// Ed25519: signs envelopes, sessions and MLS leaves. The device's id is its hash.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub signing: PublicKey,
    /// X25519: HPKE to this device.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub hpke: [u8; 32],
}

impl DeviceKeys {
    /// The device's id.
    #[must_use]
    pub fn id(&self) -> DeviceId {
        DeviceId::of_signing_key(&self.signing)
    }
}

/// What a device may do to its account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(index_only)]
pub enum DeviceRole {
    /// Adds and revokes devices. There is one.
    #[n(0)]
    Primary,
    /// Revokes itself, nothing more.
    #[n(1)]
    Companion,
}

/// One entry, once its signature is verified.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct LogEntry {
    /// The format's version: 1.
    #[n(0)]
    pub version: u8,
    /// From 0.
    #[n(1)]
    pub index: u64,
    /// The head before this entry; zero before the genesis.
    #[n(2)]
    pub previous: LogHead,
    /// What changes.
    #[n(3)]
    pub action: Action,
    /// What the recovery code needs besides this log, sealed to the recovery key in force after
    /// this entry: nobody else can open it.
    #[n(4)]
    pub escrow: Option<Blob>,
}

/// What an entry does, and so whose signature it needs.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Action {
    /// Founds the account. Signed by the root key, which is then destroyed, and countersigned by
    /// the first device: anybody can write down anybody's keys.
    #[n(0)]
    Genesis {
        /// The account's id is this key's hash.
        #[cbor(n(0), with = "minicbor::bytes")]
        root: PublicKey,
        /// The first device, the primary.
        #[n(1)]
        device: DeviceKeys,
        /// Public half of the join key that tickets are sealed to.
        #[cbor(n(2), with = "minicbor::bytes")]
        join: [u8; 32],
        /// What the recovery code can sign and open.
        #[n(3)]
        recovery: RecoveryKeys,
        /// The first device's own signature, as in `AddDevice`.
        #[cbor(n(4), with = "minicbor::bytes")]
        countersignature: Vec<u8>,
    },
    /// A new device. Signed by the primary, countersigned by the new device.
    #[n(1)]
    AddDevice {
        /// Its keys.
        #[n(0)]
        device: DeviceKeys,
        /// Its own signature over account, index, previous head and keys.
        #[cbor(n(1), with = "minicbor::bytes")]
        countersignature: Vec<u8>,
    },
    /// A device ends. Signed by the primary, or by the device itself.
    #[n(2)]
    Revoke {
        /// Which.
        #[n(0)]
        device: DeviceId,
        /// The join key from here on.
        #[cbor(n(1), with = "minicbor::bytes")]
        join: [u8; 32],
        /// Where its writers end in the account's own space.
        #[n(2)]
        cuts: Vec<(WriterId, u64, Link)>,
    },
    /// A new join key. Signed by the primary.
    #[n(3)]
    RotateJoinKey {
        /// Its public half.
        #[cbor(n(0), with = "minicbor::bytes")]
        join: [u8; 32],
    },
    /// New recovery keys. Signed by the primary.
    #[n(4)]
    SetRecovery {
        /// Their public halves.
        #[n(0)]
        recovery: RecoveryKeys,
    },
    /// Another device becomes the primary. Signed by the old one.
    #[n(5)]
    ChangePrimary {
        /// Which.
        #[n(0)]
        device: DeviceId,
    },
    /// All devices end and a new primary begins. Signed by the recovery key.
    #[n(6)]
    Recover {
        /// The new primary.
        #[n(0)]
        device: DeviceKeys,
        /// The join key from here on.
        #[cbor(n(1), with = "minicbor::bytes")]
        join: [u8; 32],
        /// The next recovery keys: a code is used once.
        #[n(2)]
        recovery: RecoveryKeys,
        /// The new device's own signature, as in `AddDevice`.
        #[cbor(n(3), with = "minicbor::bytes")]
        countersignature: Vec<u8>,
    },
}

/// The public halves of what a recovery code derives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct RecoveryKeys {
    /// Ed25519: signs a `Recover` entry.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub signing: PublicKey,
    /// X25519: one more recipient of the account's ticket.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub hpke: [u8; 32],
}

/// A device as its log has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Device {
    /// Its keys.
    pub keys: DeviceKeys,
    /// The index of the entry that added it.
    pub added: u64,
    /// The index of the entry that ended it.
    pub revoked: Option<u64>,
}

/// A verified device log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceLog {
    account: AccountId,
    entries: Vec<Vec<u8>>,
    head: LogHead,
    devices: SortedMap<DeviceId, Device>,
    primary: DeviceId,
    join: [u8; 32],
    recovery: RecoveryKeys,
}

impl DeviceLog {
    /// Verifies a whole log from its genesis.
    ///
    /// # Errors
    /// The first thing wrong with it.
    pub fn verify<B: AsRef<[u8]>>(
        account: &AccountId,
        entries: &[B],
    ) -> Result<Self, ProtocolError> {
        let (genesis, rest) = entries.split_first().ok_or(ProtocolError::Log("it is empty"))?;
        let mut log = Self::found(account, genesis.as_ref())?;
        for entry in rest {
            log.append(entry.as_ref())?;
        }
        Ok(log)
    }

    fn found(account: &AccountId, bytes: &[u8]) -> Result<Self, ProtocolError> {
        let signed = parse(bytes)?;
        let Action::Genesis { root, .. } = signed.peek("device log entry")?.action else {
            return Err(ProtocolError::Log("it does not start with a genesis"));
        };
        if AccountId::of_root_key(&root) != *account {
            return Err(ProtocolError::Log("the root key is not the account's"));
        }
        let entry =
            signed.verify("device log entry", &root, hash::LOG_ENTRY, &[account.as_bytes()])?;
        let entry = entry.into_inner();
        let Action::Genesis { device, join, recovery, countersignature, .. } = entry.action else {
            return Err(ProtocolError::Log("it does not start with a genesis"));
        };
        let zero = LogHead::from_bytes([0; 32]);
        if entry.version != 1 || entry.index != 0 || entry.previous != zero {
            return Err(ProtocolError::Log("a genesis has index 0 and no predecessor"));
        }
        countersigned(account, (0, &zero), &device, &countersignature)?;
        let first = Device { keys: device, added: 0, revoked: None };
        Ok(Self {
            account: *account,
            entries: vec![bytes.to_vec()],
            head: head_after(&zero, bytes),
            devices: SortedMap::from([(device.id(), first)]),
            primary: device.id(),
            join,
            recovery,
        })
    }

    /// Appends one entry.
    ///
    /// # Errors
    /// If it does not follow from the log; the log is then unchanged.
    pub fn append(&mut self, bytes: &[u8]) -> Result<(), ProtocolError> {
        if self.entries.len() >= limits::LOG_ENTRIES {
            return Err(ProtocolError::TooLarge { what: "device log", limit: limits::LOG_ENTRIES });
        }
        if self.size() + bytes.len() > limits::LOG {
            return Err(ProtocolError::TooLarge { what: "device log", limit: limits::LOG });
        }
        let signed = parse(bytes)?;
        let claimed = signed.peek("device log entry")?;
        let entry = self.verify_entry(&signed, &claimed)?;
        self.apply(&entry)?;
        self.head = head_after(&self.head, bytes);
        self.entries.push(bytes.to_vec());
        Ok(())
    }

    fn verify_entry(
        &self,
        signed: &Signed<LogEntry>,
        claimed: &LogEntry,
    ) -> Result<LogEntry, ProtocolError> {
        if claimed.version != 1 {
            let version = u64::from(claimed.version);
            return Err(ProtocolError::Unsupported { what: "device log entry", version });
        }
        if claimed.index != self.len() || claimed.previous != self.head {
            return Err(ProtocolError::Log("an entry does not follow the head"));
        }
        let context: [&[u8]; 1] = [self.account.as_bytes()];
        let attempt = |key| signed.verify("device log entry", &key, hash::LOG_ENTRY, &context);
        let primary = self.key_of(&self.primary)?;
        let verified = match &claimed.action {
            Action::Recover { .. } => attempt(self.recovery.signing)?,
            Action::Revoke { device, .. } => {
                attempt(primary).or_else(|error| self.key_of(device).map_or(Err(error), attempt))?
            }
            _ => attempt(primary)?,
        };
        Ok(verified.into_inner())
    }

    fn key_of(&self, device: &DeviceId) -> Result<PublicKey, ProtocolError> {
        let device = self.active(device).ok_or(ProtocolError::Log("the device is not active"))?;
        Ok(device.keys.signing)
    }

    fn apply(&mut self, entry: &LogEntry) -> Result<(), ProtocolError> {
        match &entry.action {
            Action::Genesis { .. } => return Err(ProtocolError::Log("a second genesis")),
            Action::AddDevice { device, countersignature } => {
                let at = (entry.index, &entry.previous);
                countersigned(&self.account, at, device, countersignature)?;
                self.insert(device, entry.index)?;
            }
            Action::Revoke { device, join, .. } => {
                if *device == self.primary {
                    return Err(ProtocolError::Log("the primary can't be revoked, only replaced"));
                }
                self.end(device, entry.index)?;
                self.join = *join;
            }
            Action::RotateJoinKey { join } => self.join = *join,
            Action::SetRecovery { recovery } => self.recovery = *recovery,
            Action::ChangePrimary { device } => {
                self.key_of(device)?;
                self.primary = *device;
            }
            Action::Recover { device, join, recovery, countersignature } => {
                let at = (entry.index, &entry.previous);
                countersigned(&self.account, at, device, countersignature)?;
                if self.devices.contains_key(&device.id()) {
                    return Err(ProtocolError::Log("a device can't come back under the same key"));
                }
                for known in self.devices.values_mut() {
                    known.revoked.get_or_insert(entry.index);
                }
                self.insert(device, entry.index)?;
                self.primary = device.id();
                self.join = *join;
                self.recovery = *recovery;
            }
        }
        Ok(())
    }

    fn insert(&mut self, keys: &DeviceKeys, index: u64) -> Result<(), ProtocolError> {
        if self.devices().count() >= limits::DEVICES {
            return Err(ProtocolError::TooLarge { what: "devices", limit: limits::DEVICES });
        }
        if self.devices.contains_key(&keys.id()) {
            return Err(ProtocolError::Log("a device can't come back under the same key"));
        }
        self.devices.insert(keys.id(), Device { keys: *keys, added: index, revoked: None });
        Ok(())
    }

    fn end(&mut self, device: &DeviceId, index: u64) -> Result<(), ProtocolError> {
        match self.devices.get_mut(device) {
            Some(known) if known.revoked.is_none() => known.revoked = Some(index),
            _ => return Err(ProtocolError::Log("the device is not active")),
        }
        Ok(())
    }

    /// The account.
    #[must_use]
    pub fn account(&self) -> AccountId {
        self.account
    }

    /// Number of entries.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.entries.len() as u64
    }

    /// A verified log has at least its genesis.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Bytes of all entries.
    #[must_use]
    pub fn size(&self) -> usize {
        self.entries.iter().map(Vec::len).sum()
    }

    /// The hash of the whole log.
    #[must_use]
    pub fn head(&self) -> LogHead {
        self.head
    }

    /// The hash of the log's first `len` entries, if it has as many and at least one.
    #[must_use]
    pub fn head_at(&self, len: u64) -> Option<LogHead> {
        let len = usize::try_from(len).ok().filter(|len| *len > 0)?;
        let zero = LogHead::from_bytes([0; 32]);
        let first = self.entries.get(..len)?;
        Some(first.iter().fold(zero, |head, entry| head_after(&head, entry)))
    }

    /// The entries as signed.
    #[must_use]
    pub fn entries(&self) -> &[Vec<u8>] {
        &self.entries
    }

    /// A device that was added and not ended.
    #[must_use]
    pub fn active(&self, device: &DeviceId) -> Option<&Device> {
        self.devices.get(device).filter(|known| known.revoked.is_none())
    }

    /// A device that was ever added.
    #[must_use]
    pub fn known(&self, device: &DeviceId) -> Option<&Device> {
        self.devices.get(device)
    }

    /// All devices that ever were in the account, sorted by id, and whether each has ended.
    pub fn all_devices(&self) -> impl Iterator<Item = (&DeviceId, bool)> {
        self.devices.iter().map(|(id, device)| (id, device.revoked.is_some()))
    }

    /// All active devices, sorted by id.
    pub fn devices(&self) -> impl Iterator<Item = (&DeviceId, &Device)> {
        self.devices.iter().filter(|(_, device)| device.revoked.is_none())
    }

    /// All devices that were ever added, sorted by id.
    pub fn all(&self) -> impl Iterator<Item = (&DeviceId, &Device)> {
        self.devices.iter()
    }

    /// The primary.
    #[must_use]
    pub fn primary(&self) -> DeviceId {
        self.primary
    }

    /// The public half of the join key.
    #[must_use]
    pub fn join(&self) -> &[u8; 32] {
        &self.join
    }

    /// The public halves of the recovery keys.
    #[must_use]
    pub fn recovery(&self) -> &RecoveryKeys {
        &self.recovery
    }
}

/// Signs an entry. The caller chooses the key that the action needs.
#[must_use]
pub fn sign_entry(account: &AccountId, entry: &LogEntry, key: &SigningKey) -> Vec<u8> {
    codec::encode(&Signed::seal(entry, key, hash::LOG_ENTRY, &[account.as_bytes()]))
}

/// What an account begins with.
#[derive(Clone, Debug)]
pub struct Founding {
    /// The first device, the primary.
    pub device: DeviceKeys,
    /// Public half of the join key.
    pub join: [u8; 32],
    /// What the recovery code can sign and open.
    pub recovery: RecoveryKeys,
    /// What is sealed to the recovery key.
    pub escrow: Option<Blob>,
}

/// Signs a genesis: by the root key, and by the first device's.
#[must_use]
pub fn found(root: &SigningKey, key: &SigningKey, founding: Founding) -> Vec<u8> {
    let Founding { device, join, recovery, escrow } = founding;
    let public = root.verifying_key().to_bytes();
    let account = AccountId::of_root_key(&public);
    let previous = LogHead::from_bytes([0; 32]);
    let countersignature = countersign(&account, 0, &previous, &device, key).to_vec();
    let action = Action::Genesis { root: public, device, join, recovery, countersignature };
    sign_entry(&account, &LogEntry { version: 1, index: 0, previous, action, escrow }, root)
}

/// Whether a device signed that it is to stand in this account's log at this place.
///
/// # Errors
/// `BadSignature` if it did not.
pub fn countersigned(
    account: &AccountId,
    (index, previous): (u64, &LogHead),
    device: &DeviceKeys,
    signature: &[u8],
) -> Result<(), ProtocolError> {
    let keys = codec::encode(device);
    let parts: [&[u8]; 4] = [account.as_bytes(), &index.to_be_bytes(), previous.as_bytes(), &keys];
    verify("countersignature", &device.signing, hash::COUNTERSIGN, &parts, signature)
}

/// A new device's own signature on its certificate.
#[must_use]
pub fn countersign(
    account: &AccountId,
    index: u64,
    previous: &LogHead,
    device: &DeviceKeys,
    key: &SigningKey,
) -> [u8; SIGNATURE] {
    let keys = codec::encode(device);
    let parts: [&[u8]; 4] = [account.as_bytes(), &index.to_be_bytes(), previous.as_bytes(), &keys];
    sign(key, hash::COUNTERSIGN, &parts)
}

fn parse(bytes: &[u8]) -> Result<Signed<LogEntry>, ProtocolError> {
    if bytes.len() > limits::LOG_ENTRY {
        return Err(ProtocolError::TooLarge { what: "device log entry", limit: limits::LOG_ENTRY });
    }
    codec::decode_exact("device log entry", bytes)
}

fn head_after(previous: &LogHead, entry: &[u8]) -> LogHead {
    LogHead::from_bytes(hash::hash(hash::LOG_HEAD, &[previous.as_bytes(), entry]))
}

#[cfg(test)]
#[path = "device_log/tests.rs"]
mod tests;
