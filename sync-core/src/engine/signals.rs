//! Signals: what is told to those who are here now, and kept by nobody.
//!
//! Who is away is told nothing of it later, and what can't be shown at once is dropped.

use serde_json::Value;
use sync_protocol::codec::{self, Blob, Decode, Encode};
use sync_protocol::envelope::{Envelope, Header, Kind, aad};
use sync_protocol::frames::ClientFrame;
use sync_protocol::{AccountId, SpaceId, WriterId, limits};

use crate::api::{Event, Failure, Space};
use crate::document::Name;
use crate::engine::rooms::Signals;
use crate::engine::{Step, seal};

/// A signal's content.
#[derive(Encode, Decode)]
enum Signal {
    #[n(0)]
    Typing,
    /// What somebody is at in an app's document.
    #[n(1)]
    Presence {
        /// The document's name, as its app knows it.
        #[n(0)]
        document: String,
        /// JSON, of the app's own making; `null` from who has left.
        #[n(1)]
        state: Blob,
    },
}

impl Signals<'_> {
    /// Tells the others in a conversation that somebody is typing.
    pub(super) fn typing(&mut self, id: &SpaceId) -> Step<()> {
        self.signal(id, &Signal::Typing)
    }

    /// Tells the others in a document's space what this device's person is at in it.
    pub(super) fn present(&mut self, id: &SpaceId, document: &str, state: &Value) -> Step<()> {
        let state = state.to_string().into_bytes();
        super::commands::limit("presence", state.len(), limits::PRESENCE)?;
        if !self.spaces.get(id).is_some_and(|space| space.row.active) {
            return Err(Failure::Denied("no longer a member").into());
        }
        self.signal(id, &Signal::Presence { document: document.to_owned(), state: Blob(state) })
    }

    /// Without a connection, or a key for the present epoch, there is nobody to hear of it.
    fn signal(&mut self, id: &SpaceId, signal: &Signal) -> Step<()> {
        if !self.session.is_open() {
            return Ok(());
        }
        let writer = self.account.writer()?;
        let signing = self.account.me()?.identity().signing.clone();
        let space = self.spaces.core(id)?;
        let header = Header::new(Kind::Signal, space.row.epoch, space.row.next);
        let epoch = space.row.epoch;
        let key = space.core.as_mut().and_then(|core| core.content_key(&epoch, &writer));
        if let Some(key) = key {
            let aad = aad(id, &writer, &codec::encode(&header));
            let payload = seal::seal(&key, &aad, &codec::encode(signal), &mut self.turn.rng);
            let envelope = Envelope::sign(id, &writer, header, payload, &signing);
            let envelope = Blob(envelope.to_bytes());
            self.turn.send(&ClientFrame::Signal { space: *id, envelope });
        }
        Ok(())
    }

    /// Takes a signal of another device.
    pub(super) fn on_signal(&mut self, id: &SpaceId, writer: &WriterId, envelope: &[u8]) {
        let Some((account, signal)) = self.opened(id, writer, envelope) else { return };
        let own = self.spaces.get(id).is_some_and(|space| space.row.own);
        match signal {
            Signal::Typing if !own => {
                self.turn.notify(Event::Typing { conversation: *id, account });
            }
            // The account's other devices write no messages in its own space.
            Signal::Typing => {}
            Signal::Presence { document, state } => {
                let state = (state.0.len() <= limits::PRESENCE)
                    .then(|| serde_json::from_slice(state.as_slice()).ok());
                let name = format!("app/{document}");
                if let (Some(Some(state)), Ok(Name::App(..))) = (state, name.parse()) {
                    let space = if own { Space::Account } else { Space::Conversation(*id) };
                    let device = writer.device;
                    self.turn.notify(Event::Presence { space, name, account, device, state });
                }
            }
        }
    }

    /// Whose a signal is, and what it says, if it is one of a member's who is not blocked, under the
    /// present epoch.
    fn opened(
        &mut self,
        id: &SpaceId,
        writer: &WriterId,
        envelope: &[u8],
    ) -> Option<(AccountId, Signal)> {
        let envelope = Envelope::parse(envelope).ok()?;
        let space = self.spaces.get_mut(id)?;
        let next = space.row.next;
        let (epoch, current) = (envelope.header.epoch, space.row.epoch);
        let core = space.core.as_mut().filter(|_| epoch == current)?;
        let row = core.writer_at(&writer.device, next)?;
        let (account, key) = (row.account, row.key);
        if self.account.blocks(&account) {
            return None;
        }
        let secret = core.content_key(&epoch, writer)?;
        let is_genuine =
            envelope.header.kind == Kind::Signal && envelope.verify(id, writer, &key).is_ok();
        let aad = aad(id, writer, envelope.header_bytes());
        let content = seal::open(&secret, &aad, envelope.payload()).ok().filter(|_| is_genuine)?;
        Some((account, codec::decode("signal", &content).ok()?))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_presence_fits_into_a_signal() {
        let presence = Signal::Presence {
            document: "n".repeat(limits::DOCUMENT_NAME),
            state: Blob(vec![b' '; limits::PRESENCE]),
        };
        let content = codec::encode(&presence).len();
        // The seal, the header and the signature take less than a quarter of an envelope.
        assert!(content <= limits::ENVELOPE_SIGNAL * 3 / 4, "{content}");
    }

    #[test]
    fn a_signal_of_a_newer_version_is_no_signal() {
        assert!(codec::decode::<Signal>("signal", &[0x82, 0, 0x80]).is_ok());
        assert!(codec::decode::<Signal>("signal", &[0x82, 2, 0x80]).is_err());
    }
}
