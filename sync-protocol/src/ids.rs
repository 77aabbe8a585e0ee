//! Names of things. Accounts and devices are self-certifying: an algorithm byte and the hash of a
//! public key, so that nobody assigns them and nobody can take one over.

use std::fmt;
use std::str::FromStr;

use minicbor::{Decoder, Encoder};

use crate::codec::{Decode, Encode};
use crate::error::ProtocolError;
use crate::{hash, text};

/// The algorithm byte of accounts and devices: an Ed25519 key hashed with SHA-256.
pub const ED25519_SHA256: u8 = 1;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $len:expr) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; $len]);

        impl $name {
            /// Length in bytes.
            pub const LEN: usize = $len;

            /// Wraps bytes that already have this meaning.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; $len]) -> Self {
                Self(bytes)
            }

            /// The bytes.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; $len] {
                &self.0
            }
        }

        impl TryFrom<&[u8]> for $name {
            type Error = ProtocolError;
            fn try_from(bytes: &[u8]) -> Result<Self, ProtocolError> {
                bytes.try_into().map(Self).map_err(|_| ProtocolError::Malformed(stringify!($name)))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&shown(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), shown(&self.0).get(..10).unwrap_or_default())
            }
        }

        impl FromStr for $name {
            type Err = ProtocolError;
            fn from_str(s: &str) -> Result<Self, ProtocolError> {
                let bytes = text::BASE32
                    .decode(&s.to_ascii_uppercase())
                    .map_err(|_| ProtocolError::Malformed(stringify!($name)))?;
                Self::try_from(bytes.as_slice())
            }
        }

        impl<C> Encode<C> for $name {
            fn encode<W: minicbor::encode::Write>(
                &self,
                e: &mut Encoder<W>,
                _: &mut C,
            ) -> Result<(), minicbor::encode::Error<W::Error>> {
                e.bytes(&self.0)?;
                Ok(())
            }
        }

        impl<'b, C> Decode<'b, C> for $name {
            fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
                let bytes = d.bytes()?;
                bytes.try_into().map(Self).map_err(|_| {
                    minicbor::decode::Error::message(concat!("wrong length of ", stringify!($name)))
                })
            }
        }
    };
}

id! {
    /// A person: algorithm byte and hash of the account's root public key.
    AccountId, 33
}
id! {
    /// One installation: algorithm byte and hash of its Ed25519 signing key.
    DeviceId, 33
}
id! {
    /// The unit of sharing. Random for a conversation, derived for an account's own space.
    SpaceId, 32
}
id! {
    /// One state of a space's key agreement. It commits to the epoch's root key.
    EpochId, 32
}
id! {
    /// A writer's hash chain up to and including one sequence number.
    Link, 32
}
id! {
    /// A hiding commitment to all meaning-bearing plaintext of one change set.
    Commitment, 32
}
id! {
    /// The head of a device log.
    LogHead, 32
}
id! {
    /// A relay's public identity, bound into every session signature.
    RelayId, 32
}
id! {
    /// Where a new device and its account's primary meet at the relay. Random, used once.
    RendezvousId, 16
}

impl AccountId {
    /// The account whose root public key this is.
    #[must_use]
    pub fn of_root_key(root_key: &[u8; 32]) -> Self {
        Self(prefixed(hash::hash(hash::ACCOUNT_ID, &[root_key])))
    }

    /// The account's own space.
    #[must_use]
    pub fn space(&self) -> SpaceId {
        SpaceId(hash::hash(hash::ACCOUNT_SPACE, &[&self.0]))
    }
}

impl DeviceId {
    /// The device whose signing key this is.
    #[must_use]
    pub fn of_signing_key(signing_key: &[u8; 32]) -> Self {
        Self(prefixed(hash::hash(hash::DEVICE_ID, &[signing_key])))
    }
}

impl EpochId {
    /// The parent of every first epoch.
    pub const NONE: Self = Self([0; 32]);
}

impl Link {
    /// The link before a writer's first change set.
    pub const START: Self = Self([0; 32]);

    /// The next link of a chain (`docs/protocol.md`, "Links").
    #[must_use]
    pub fn next(self, writer: &WriterId, seq: u64, commitment: &Commitment) -> Self {
        let parts: [&[u8]; 5] = [
            writer.device.as_bytes(),
            &writer.incarnation.to_be_bytes(),
            &seq.to_be_bytes(),
            &self.0,
            commitment.as_bytes(),
        ];
        Self(hash::hash(hash::LINK, &parts))
    }
}

/// One gap-free sequence per space, for ever: a device and one incarnation of its store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct WriterId {
    /// The device.
    #[n(0)]
    pub device: DeviceId,
    /// Drawn at random when a store is created, restored or found to be a copy.
    #[n(1)]
    pub incarnation: u64,
}

impl WriterId {
    /// A short name for keys inside documents: unique enough among a space's writers, and checked
    /// against the writer wherever it is read.
    #[must_use]
    pub fn tag(&self) -> [u8; 6] {
        let full = hash::hash(
            hash::WRITER_TAG,
            &[self.device.as_bytes(), &self.incarnation.to_be_bytes()],
        );
        let mut tag = [0; 6];
        tag.copy_from_slice(&full[..6]);
        tag
    }

    /// Device and incarnation as one fixed-length byte string.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; 41] {
        let mut out = [0; 41];
        out[..33].copy_from_slice(self.device.as_bytes());
        out[33..].copy_from_slice(&self.incarnation.to_be_bytes());
        out
    }
}

/// A place in a space's log. Indexes are dense from 0 within a generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct Position {
    /// Drawn at random by the relay when it creates the log; a log made anew has another.
    #[n(0)]
    pub generation: u64,
    /// Index in the log.
    #[n(1)]
    pub index: u64,
}

fn prefixed(digest: [u8; 32]) -> [u8; 33] {
    let mut out = [ED25519_SHA256; 33];
    out[1..].copy_from_slice(&digest);
    out
}

fn shown(bytes: &[u8]) -> String {
    text::BASE32.encode(bytes).to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_survive_text_and_cbor() {
        let id = DeviceId::of_signing_key(&[7; 32]);
        assert_eq!(id.to_string().parse::<DeviceId>().ok(), Some(id));
        let bytes = minicbor::to_vec(id).expect("encoding to memory cannot fail");
        assert_eq!(minicbor::decode::<DeviceId>(&bytes).ok(), Some(id));
    }

    #[test]
    fn an_id_of_the_wrong_length_is_malformed() {
        assert!("abcd".parse::<SpaceId>().is_err());
        assert!(minicbor::decode::<SpaceId>(&[0x41, 0]).is_err());
    }

    #[test]
    fn links_depend_on_every_input() {
        let writer = WriterId { device: DeviceId::of_signing_key(&[1; 32]), incarnation: 5 };
        let other = WriterId { incarnation: 6, ..writer };
        let c = Commitment::from_bytes([3; 32]);
        let link = Link::START.next(&writer, 1, &c);
        assert_ne!(link, Link::START.next(&other, 1, &c));
        assert_ne!(link, Link::START.next(&writer, 2, &c));
        assert_ne!(link, link.next(&writer, 1, &c));
    }
}
