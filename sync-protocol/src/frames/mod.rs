//! Frames: what a device and a relay say to each other over one socket.
//!
//! The relay speaks first ([`Challenge`]). The device answers with [`Hello`], which carries its
//! cursor, so that one round trip brings a whole account up to date. From then on both sides
//! speak freely: the device pushes, acknowledges and asks; the relay delivers, confirms and
//! notifies. A message is one frame, encoded as `[kind, body]`, cut into parts
//! ([`crate::codec::parts`]).

mod device;
mod relay;

pub use device::{
    ClientFrame, Hello, InboxPut, KeyPackages, MeetStep, Op, Push, Request, Session, WelcomeFor,
    Welcomes, membership_digest, sign_session, token_hash, verify_session,
};
pub use relay::{
    Answer, Challenge, Delivery, Entries, Entry, InboxItem, MeetEvent, Notice, RelayFrame, Reply,
    Run, Stored, Taken, Welcome,
};

use crate::codec;
use crate::error::ProtocolError;

impl ClientFrame {
    /// The frame as one message.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        codec::encode(self)
    }

    /// Parses a message from a device.
    ///
    /// # Errors
    /// `Malformed`.
    pub fn parse(bytes: &[u8]) -> Result<Self, ProtocolError> {
        codec::decode("client frame", bytes)
    }
}

impl RelayFrame {
    /// The frame as one message.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        codec::encode(self)
    }

    /// The frame as one message, cut into parts that lie in a row ([`codec::encode_parts`]).
    #[must_use]
    pub fn to_parts(&self) -> Vec<u8> {
        let room = match self {
            Self::Delivery(delivery) => usize::try_from(delivery.cost()).unwrap_or(0) + 256,
            _ => 128,
        };
        codec::encode_parts(self, room)
    }

    /// Parses a message from a relay.
    ///
    /// # Errors
    /// `Malformed`.
    pub fn parse(bytes: &[u8]) -> Result<Self, ProtocolError> {
        codec::decode("relay frame", bytes)
    }
}
