//! What a device sent, with all done to it that needs no state: sockets parse side by side, so that
//! the one thread that applies need not.

use sync_protocol::ProtocolError;
use sync_protocol::codec::Blob;
use sync_protocol::envelope::Kind;
use sync_protocol::error::Rejection;
use sync_protocol::frames::{ClientFrame, Push, Welcomes};
use sync_protocol::ids::SpaceId;
use sync_protocol::limits;

use crate::rules::Sealed;

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
    /// Why the one after these can't be taken in.
    pub(super) malformed: Option<Rejection>,
    /// How many there are, malformed ones included.
    pub(super) count: usize,
    /// Bytes of all.
    pub(super) bytes: usize,
    pub(super) welcomes: Option<Welcomes>,
    pub(super) ticket: Option<Blob>,
}

impl Incoming {
    /// Parses a message.
    ///
    /// # Errors
    /// `Malformed`, if it is no frame.
    pub fn parse(message: &[u8]) -> Result<Self, ProtocolError> {
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
        let mut parsed = Vec::with_capacity(count.min(limits::PUSH_ENVELOPES));
        let mut malformed = None;
        for bytes in envelopes.into_iter().take(limits::PUSH_ENVELOPES) {
            match Sealed::parse(bytes) {
                Ok(sealed) => parsed.push(sealed),
                Err(error) => {
                    malformed = Some(rejection(&error));
                    break;
                }
            }
        }
        Self { space, envelopes: parsed, malformed, count, bytes, welcomes, ticket }
    }
}

impl Pushing {
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
