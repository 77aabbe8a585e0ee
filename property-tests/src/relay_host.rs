//! The relay's host in a world: what `sync-server` does around its rules, without its sockets.

use std::sync::Arc;

use sync_protocol::error::Rejection;
use sync_protocol::frames::ClientFrame;
use sync_protocol::ids::RelayId;
use sync_server::relay::{Identity, Output, Relay, SessionId, Settings};

use crate::chance::Chance;
use crate::network::ConnectionId;
use crate::relay_store::RelayStore;
use crate::violation::{Invariant, Violation};

/// What the relay wants of the network.
#[derive(Clone, Debug)]
pub enum Wish {
    /// A message to be carried.
    Send(ConnectionId, Arc<[u8]>),
    /// A connection to be closed after what was sent on it.
    Close(ConnectionId, Rejection),
}

/// A running or crashed relay.
#[derive(Debug)]
pub struct RelayHost {
    identity: Identity,
    relay: Option<Relay<RelayStore>>,
    store: Option<RelayStore>,
    life: u64,
    committing: bool,
}

impl RelayHost {
    /// A relay that is not running yet, over this store.
    #[must_use]
    pub fn new(store: RelayStore, chance: &mut Chance) -> Self {
        let identity =
            Identity { relay: RelayId::from_bytes(chance.bytes()), generation: chance.number() };
        Self { identity, relay: None, store: Some(store), life: 0, committing: false }
    }

    /// Starts the relay on what its store holds.
    ///
    /// # Errors
    /// `Robust` if it can't read its own store.
    pub fn start(&mut self) -> Result<(), Violation> {
        let Some(store) = self.store.take() else { return Ok(()) };
        // Liars come with as many sessions of one device as they like: what these may do is what worlds
        // are about. How many the relay allows has tests of its own.
        let settings = Settings {
            invitations_per_hour: 0,
            sessions_per_device: 0,
            sessions_per_account: 0,
            ..Settings::default()
        };
        let relay = Relay::open(store, self.identity, settings).map_err(|error| {
            Violation::new(Invariant::Robust, format!("the relay does not open: {error}"))
        })?;
        self.relay = Some(relay);
        self.life += 1;
        self.committing = false;
        Ok(())
    }

    /// The power goes.
    pub fn crash(&mut self) {
        if let Some(relay) = self.relay.take() {
            self.store = Some(relay.into_store().crashed());
        }
    }

    /// Whether the relay runs.
    #[must_use]
    pub fn runs(&self) -> bool {
        self.relay.is_some()
    }

    /// Which run of the relay this is.
    #[must_use]
    pub fn life(&self) -> u64 {
        self.life
    }

    /// The store, running or not.
    #[must_use]
    pub fn store(&self) -> Option<&RelayStore> {
        self.relay.as_ref().map(Relay::store).or(self.store.as_ref())
    }

    /// The store, to change it behind the relay's back.
    pub fn store_mut(&mut self) -> Option<&mut RelayStore> {
        match &mut self.relay {
            Some(relay) => Some(relay.store_mut()),
            None => self.store.as_mut(),
        }
    }

    /// A socket opened.
    pub fn connect(&mut self, connection: ConnectionId, nonce: [u8; 32], now_ms: u64) {
        if let Some(relay) = &mut self.relay {
            relay.connect(SessionId(connection.0), nonce, now_ms);
        }
    }

    /// A socket closed.
    pub fn disconnect(&mut self, connection: ConnectionId, now_ms: u64) {
        if let Some(relay) = &mut self.relay {
            relay.disconnect(SessionId(connection.0), now_ms);
        }
    }

    /// A message arrived, which may be none.
    pub fn receive(&mut self, connection: ConnectionId, message: &[u8], now_ms: u64) {
        let Some(relay) = &mut self.relay else { return };
        let session = SessionId(connection.0);
        match ClientFrame::parse(message) {
            Ok(frame) => relay.receive(session, frame, now_ms),
            Err(_) => relay.malformed(session, Rejection::Invalid),
        }
    }

    /// Time passed.
    pub fn tick(&mut self, now_ms: u64) {
        if let Some(relay) = &mut self.relay {
            relay.tick(now_ms);
        }
    }

    /// Whether a commit has to be planned; it is from here on.
    #[must_use]
    pub fn needs_commit(&mut self) -> bool {
        !std::mem::replace(&mut self.committing, true)
    }

    /// Whether there is more to send than one commit gives.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.relay.as_ref().is_some_and(Relay::is_busy)
    }

    /// Makes everything since the last commit durable and gives what may be sent now.
    pub fn commit(&mut self, now_ms: u64) -> Vec<Wish> {
        self.committing = false;
        let Some(relay) = &mut self.relay else { return Vec::new() };
        let outputs = relay.commit(now_ms);
        outputs.into_iter().map(wish).collect()
    }
}

fn wish(output: Output) -> Wish {
    match output {
        Output::Send { session, frame } => {
            Wish::Send(ConnectionId(session.0), frame.whole().into())
        }
        Output::Close { session, reason } => Wish::Close(ConnectionId(session.0), reason),
    }
}
