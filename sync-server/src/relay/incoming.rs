//! What a device sent, with all done to it that needs no state: sockets parse side by side, so that
//! the one thread that applies need not.

use std::collections::BTreeSet;

use minicbor::Decoder;
use minicbor::data::Type;
use sync_protocol::ProtocolError;
use sync_protocol::codec::Blob;
use sync_protocol::envelope::Kind;
use sync_protocol::error::Rejection;
use sync_protocol::frames::{ClientFrame, Push, Welcomes};
use sync_protocol::ids::{AccountId, SpaceId, WriterId};
use sync_protocol::limits;
use sync_protocol::signing::PublicKey;

use crate::rules::Sealed;

/// Items of CBOR in one message: some times as many as the largest hello or push has.
const ITEMS: usize = 8_192;

/// A frame whose envelopes are parsed.
#[derive(Clone, Debug)]
pub enum Incoming {
    /// A push.
    Push(Pushing),
    /// A push that is larger than a message may be: it was not kept.
    TooLarge(SpaceId),
    /// Anything else.
    Frame(ClientFrame),
}

/// A push: its envelopes up to the first that is none.
#[derive(Clone, Debug)]
pub struct Pushing {
    pub(super) space: SpaceId,
    pub(super) envelopes: Vec<Sealed>,
    /// Why the one after these can't be taken in, and its number.
    pub(super) malformed: Option<(u64, Rejection)>,
    /// Whether its author signed all of them.
    is_verified: bool,
    /// How many there are, malformed ones included.
    pub(super) count: usize,
    /// Bytes of all.
    pub(super) bytes: usize,
    /// Bytes of its ways in and its ticket, which go into the log with it whatever becomes of it.
    pub(super) beside: usize,
    pub(super) welcomes: Option<Welcomes>,
    pub(super) ticket: Option<Blob>,
}

impl Incoming {
    /// Parses a message.
    ///
    /// # Errors
    /// `Malformed`, if it is no frame, or has more items than any device's: each takes memory, however few
    /// bytes it has.
    pub fn parse(message: &[u8]) -> Result<Self, ProtocolError> {
        if has_too_many_items(message) {
            return Err(ProtocolError::Malformed("message"));
        }
        ClientFrame::parse(message).map(Self::from)
    }
}

impl From<ClientFrame> for Incoming {
    fn from(frame: ClientFrame) -> Self {
        match frame {
            ClientFrame::Push(push) => Self::Push(push.into()),
            other => Self::Frame(other),
        }
    }
}

impl From<Push> for Pushing {
    fn from(push: Push) -> Self {
        let Push { space, envelopes, welcomes, ticket } = push;
        let count = envelopes.len();
        let bytes = envelopes.iter().map(|envelope| envelope.0.len()).sum();
        let beside = ticket.as_ref().map_or(0, |ticket| ticket.0.len())
            + welcomes.as_ref().map_or(0, |Welcomes { common, items }| {
                common.0.len() + items.iter().map(|one| one.item.0.len()).sum::<usize>()
            });
        let mut parsed = Vec::with_capacity(count.min(limits::PUSH_ENVELOPES));
        let mut malformed = None;
        for bytes in envelopes.into_iter().take(limits::PUSH_ENVELOPES) {
            match Sealed::parse(bytes) {
                Ok(sealed) => parsed.push(sealed),
                Err(error) => {
                    malformed = Some((0, rejection(&error)));
                    break;
                }
            }
        }
        Self {
            space,
            envelopes: parsed,
            malformed,
            is_verified: false,
            count,
            bytes,
            beside,
            welcomes,
            ticket,
        }
    }
}

fn has_too_many_items(message: &[u8]) -> bool {
    let mut decoder = Decoder::new(message);
    let mut count = 0;
    // What is no CBOR is found out by who reads it.
    while decoder.position() < message.len() && pass_item(&mut decoder).is_ok() {
        count += 1;
        if count > ITEMS {
            return true;
        }
    }
    false
}

/// Passes over an item, and not over those in it.
fn pass_item(decoder: &mut Decoder<'_>) -> Result<(), minicbor::decode::Error> {
    match decoder.datatype()? {
        Type::Array | Type::ArrayIndef => decoder.array().map(drop),
        Type::Map | Type::MapIndef => decoder.map().map(drop),
        Type::Tag => decoder.tag().map(drop),
        Type::Break => {
            decoder.set_position(decoder.position() + 1);
            Ok(())
        }
        // All others have none in them.
        _ => decoder.skip(),
    }
}

/// Who speaks in a session, and with which key it signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Speaker {
    /// For whom.
    pub account: AccountId,
    /// The writer.
    pub writer: WriterId,
    /// What its account's device log has as its device's signing key.
    pub key: PublicKey,
}

impl Incoming {
    /// How many signatures there are to verify.
    pub(crate) fn signatures(&self) -> usize {
        match self {
            Self::Push(push) => push.envelopes.len(),
            Self::TooLarge(_) | Self::Frame(_) => 0,
        }
    }

    /// Verifies what it pushes. Costs some fifty microseconds an envelope: a host that serves many
    /// does it where it reads, and the relay does not do it again.
    pub fn verify(&mut self, speaker: &Speaker) {
        if let Self::Push(push) = self {
            push.verify(speaker);
        }
    }
}

impl Pushing {
    /// Keeps what comes before the first envelope that the speaker did not sign. Each is verified,
    /// and not only the last of a chain: readers may come to any of them first.
    pub(super) fn verify(&mut self, speaker: &Speaker) {
        if std::mem::replace(&mut self.is_verified, true) {
            return;
        }
        let Speaker { writer, key, .. } = speaker;
        let signed = |one: &Sealed| one.envelope().verify(&self.space, writer, key).is_ok();
        if let Some(bad) = self.envelopes.iter().position(|one| !signed(one)) {
            let seq = self.envelopes.get(bad).map_or(0, Sealed::seq);
            self.envelopes.truncate(bad);
            self.malformed = Some((seq, Rejection::Invalid));
        }
    }

    /// Whether it has as many envelopes as a push may have, and its ways in and its ticket belong
    /// to one handshake.
    pub(super) fn check(&self) -> Result<(), Rejection> {
        if !(1..=limits::PUSH_ENVELOPES).contains(&self.count) {
            return Err(Rejection::Invalid);
        }
        if self.welcomes.is_none() && self.ticket.is_none() {
            return Ok(());
        }
        fits(self.ticket.as_ref(), limits::TICKET)?;
        if let Some(Welcomes { common, items }) = &self.welcomes {
            if items.len() > limits::LEAVES {
                return Err(Rejection::Invalid);
            }
            fits(Some(common), limits::WELCOME)?;
            for welcome in items {
                fits(Some(&welcome.item), limits::WELCOME_ITEM)?;
            }
            // Each device is let in once: so there is room for all if there is for each.
            let devices = items.iter().map(|welcome| (welcome.account, welcome.device));
            if devices.collect::<BTreeSet<_>>().len() < items.len() {
                return Err(Rejection::Invalid);
            }
        }
        let kinds = self.envelopes.iter().map(|sealed| sealed.envelope().header.kind);
        let handshakes = kinds.filter(|kind| *kind == Kind::Handshake).count();
        if handshakes == 1 { Ok(()) } else { Err(Rejection::Invalid) }
    }

    /// The number of its first envelope; 0 if that is no content.
    pub(super) fn first_seq(&self) -> u64 {
        self.envelopes.first().map_or(0, Sealed::seq)
    }
}

fn fits(bytes: Option<&Blob>, limit: usize) -> Result<(), Rejection> {
    let is_larger = bytes.is_some_and(|bytes| bytes.0.len() > limit);
    if is_larger { Err(Rejection::TooLarge { limit: limit as u64 }) } else { Ok(()) }
}

fn rejection(error: &ProtocolError) -> Rejection {
    match error {
        ProtocolError::TooLarge { limit, .. } => Rejection::TooLarge { limit: *limit as u64 },
        ProtocolError::Unsupported { .. } => {
            Rejection::Unsupported { min: limits::MIN_VERSION, max: limits::VERSION }
        }
        _ => Rejection::Invalid,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sync_protocol::frames::{Hello, KeyPackages, Op, Request};
    use sync_protocol::ids::DeviceId;

    fn push(envelopes: Vec<Blob>) -> Vec<u8> {
        let space = SpaceId::from_bytes([1; 32]);
        ClientFrame::Push(Push { space, envelopes, welcomes: None, ticket: None }).to_bytes()
    }

    fn hello(lagging: usize, log: usize) -> Vec<u8> {
        ClientFrame::Hello(Hello {
            version: 1,
            account: AccountId::from_bytes([1; 33]),
            device: DeviceId::from_bytes([1; 33]),
            incarnation: 1,
            fence: u64::MAX,
            next_fence: u64::MAX,
            cursor: None,
            lagging: vec![(SpaceId::from_bytes([1; 32]), u64::MAX); lagging],
            digest: Blob(vec![1; 32]),
            log: vec![Blob(vec![1; 20]); log],
            foreground: None,
            signature: Blob(vec![1; 64]),
            fresh: false,
        })
        .to_bytes()
    }

    #[test]
    fn a_message_takes_about_as_much_memory_as_it_has_bytes() {
        let nothings = vec![Blob::default(); limits::MESSAGE - 200];
        let packages = KeyPackages { once: nothings.clone(), last_resort: None };
        let op = Op::PutKeyPackages(packages);
        let request = ClientFrame::Request(Request { id: 1, op }).to_bytes();
        for message in [request, push(nothings), hello(0, 40_000)] {
            assert!(message.len() <= limits::MESSAGE);
            assert!(Incoming::parse(&message).is_err(), "{} bytes", message.len());
        }
    }

    #[test]
    fn what_devices_send_is_never_too_much_to_take_apart() {
        let most = vec![Blob(vec![1; 3_000]); limits::PUSH_ENVELOPES];
        let hellos = [hello(limits::LAGGING_SPACES, 0), hello(0, limits::LOG_ENTRIES)];
        for message in hellos.into_iter().chain([push(most)]) {
            assert!(Incoming::parse(&message).is_ok());
        }
    }
}
