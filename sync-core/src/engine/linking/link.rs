//! What two devices say to each other while one is linked to the account of the other
//! (`docs/protocol.md`, "Linking").
//!
//! The new device shows an [`Offer`]: where it waits, its key and a secret, which only whoever
//! scanned the offer knows. The primary's first word is sealed to that key with that secret (RFC
//! 9180, PSK mode) and commits to a nonce; the new device answers with a nonce of its own and its
//! keys; the primary reveals. Both now compute the same [code](code) from all that was said: the
//! person compares it by typing it, and nobody in between could have chosen what gives that code:
//! it is made of values, and a message that is not its value's one spelling is not heard.

use rand_core::CryptoRng;
use sync_protocol::codec::{self, Blob, Decode, Encode};
use sync_protocol::device_log::DeviceKeys;
use sync_protocol::ids::{LogHead, RendezvousId};
use sync_protocol::{AccountId, ProtocolError, text};

use crate::crypto::hpke::Shared;
use crate::engine::seal::{self, DoesNotOpen, Secret};
use crate::trust::code::Transcript;

const INFO: &[u8] = b"rejoinder link v2";
const PSK_ID: &[u8] = b"rejoinder link offer v1";
const TO_GUEST: &[u8] = b"to the new device";
const TO_HOST: &[u8] = b"to the primary";
/// How an offer begins as text. Upper case and digits only: a denser QR code.
const PREFIX: &str = "REJOINDER:";
const VERSION: u8 = 2;
/// A device's name, in bytes: an offer must stay easy to scan.
pub(in crate::engine) const NAME: usize = 48;

/// What a new device shows.
#[derive(Clone, Encode, Decode)]
#[cbor(map)]
pub(in crate::engine) struct Offer {
    #[n(0)]
    version: u8,
    #[n(1)]
    pub(in crate::engine) rendezvous: RendezvousId,
    /// The new device's HPKE key.
    #[cbor(n(2), with = "minicbor::bytes")]
    pub(in crate::engine) hpke: [u8; 32],
    #[cbor(n(3), with = "minicbor::bytes")]
    secret: [u8; 32],
    /// What it is to be called.
    #[n(4)]
    pub(in crate::engine) name: String,
}

impl Offer {
    pub(in crate::engine) fn new(
        rendezvous: RendezvousId,
        hpke: [u8; 32],
        secret: [u8; 32],
        name: &str,
    ) -> Self {
        Self { version: VERSION, rendezvous, hpke, secret, name: name.to_owned() }
    }

    pub(in crate::engine) fn to_text(&self) -> String {
        format!("{PREFIX}{}", text::BASE32.encode(codec::encode(self)))
    }

    /// Reads an offer as scanned or pasted.
    pub(in crate::engine) fn parse(text: &str) -> Result<Self, ProtocolError> {
        let bare: String = text.chars().filter(|c| !c.is_whitespace()).collect();
        let bare = bare.to_ascii_uppercase();
        let malformed = ProtocolError::Malformed("link offer");
        let encoded = bare.strip_prefix(PREFIX).ok_or(malformed.clone())?;
        let bytes = text::BASE32.decode(encoded);
        let offer: Self = codec::decode_exact("link offer", &bytes.map_err(|_| malformed)?)?;
        if offer.version != VERSION {
            let version = u64::from(offer.version);
            return Err(ProtocolError::Unsupported { what: "link offer", version });
        }
        Ok(offer)
    }
}

/// The primary's first word.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(in crate::engine) struct Invite {
    #[n(0)]
    pub(in crate::engine) account: AccountId,
    /// Length and head of the account's log, which the certificate will follow.
    #[n(1)]
    pub(in crate::engine) index: u64,
    #[n(2)]
    pub(in crate::engine) head: LogHead,
    /// A commitment to the primary's nonce.
    #[cbor(n(3), with = "minicbor::bytes")]
    pub(in crate::engine) commitment: [u8; 32],
    /// How others reach the account, for the person at the new device, who knows their own.
    #[n(4)]
    pub(in crate::engine) address: Option<String>,
    /// What the account is called, by its own word.
    #[n(5)]
    pub(in crate::engine) name: String,
}

/// The new device's answer.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(in crate::engine) struct Reply {
    #[cbor(n(0), with = "minicbor::bytes")]
    pub(in crate::engine) nonce: [u8; 32],
    #[n(1)]
    pub(in crate::engine) device: DeviceKeys,
    /// Over account, index, head and keys.
    #[n(2)]
    pub(in crate::engine) countersignature: Blob,
    /// For the account's space.
    #[n(3)]
    pub(in crate::engine) package: Blob,
}

/// What the primary says afterwards.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(in crate::engine) enum Onward {
    /// The nonce that it committed to.
    #[n(0)]
    Reveal(#[cbor(n(0), with = "minicbor::bytes")] [u8; 32]),
    /// The certificate is in the log.
    #[n(1)]
    Linked,
}

/// A sealed conversation of two, that remembers all that was said.
pub(in crate::engine) struct Channel {
    sending: Secret,
    receiving: Secret,
    transcript: Transcript,
}

impl Channel {
    /// Opens the conversation from the primary's side: what to send, and the channel.
    pub(in crate::engine) fn host(
        offer: &Offer,
        invite: &Invite,
        rng: &mut impl CryptoRng,
    ) -> Result<(Vec<u8>, Self), DoesNotOpen> {
        let (message, [sending, receiving]) =
            shared(offer).send(&offer.hpke, &codec::encode(invite), rng)?;
        let transcript = Transcript::begin(offer, invite);
        Ok((message, Self { sending, receiving, transcript }))
    }

    /// Opens the conversation from the new device's side, with the primary's first word.
    pub(in crate::engine) fn guest(
        offer: &Offer,
        secret: &[u8; 32],
        message: &[u8],
    ) -> Result<(Invite, Self), DoesNotOpen> {
        let (plaintext, [receiving, sending]) = shared(offer).receive(secret, message)?;
        let invite: Invite =
            codec::decode_exact("link invite", &plaintext).map_err(|_| DoesNotOpen)?;
        let transcript = Transcript::begin(offer, &invite);
        Ok((invite, Self { sending, receiving, transcript }))
    }

    pub(in crate::engine) fn say<T: Encode<()>>(
        &mut self,
        what: &T,
        rng: &mut impl CryptoRng,
    ) -> Vec<u8> {
        let plaintext = codec::encode(what);
        let sealed = seal::seal(&self.sending, self.transcript.as_bytes(), &plaintext, rng);
        self.transcript.absorb(what);
        sealed
    }

    pub(in crate::engine) fn hear<T>(&mut self, message: &[u8]) -> Result<T, DoesNotOpen>
    where
        T: for<'b> Decode<'b, ()> + Encode<()>,
    {
        let plaintext = seal::open(&self.receiving, self.transcript.as_bytes(), message)?;
        let what: T = codec::decode_exact("link message", &plaintext).map_err(|_| DoesNotOpen)?;
        self.transcript.absorb(&what);
        Ok(what)
    }

    /// The code of all that was said so far: seven digits, the same on both sides.
    pub(in crate::engine) fn code(&self) -> String {
        self.transcript.code()
    }
}

/// What an offer lets both sides know before they speak.
fn shared(offer: &Offer) -> Shared<'_> {
    Shared { info: INFO, psk: &offer.secret, psk_id: PSK_ID, exports: [TO_GUEST, TO_HOST] }
}

#[cfg(test)]
#[path = "link_tests.rs"]
mod tests;
