//! The relay's host in a world: what `sync-server` does around its rules, without its sockets.

use std::sync::Arc;

use sync_protocol::error::Rejection;
use sync_protocol::frames::ClientFrame;
use sync_protocol::ids::RelayId;
use sync_server::relay::{Identity, Incoming, Output, Relay, SessionId, Settings};

use crate::cell::Cell;
use crate::chance::Chance;
use crate::network::ConnectionId;
use crate::order::OrderFault;
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
    /// Whether they run.
    runs: bool,
    /// Several nodes, in place of the one.
    cell: Option<Cell>,
}

/// What the relay is bounded by in worlds.
fn settings() -> Settings {
    // Liars come with as many sessions of one device as they like: what these may do is what worlds
    // are about. How many the relay allows has tests of its own.
    Settings {
        invitations_per_hour: 0,
        sessions_per_device: 0,
        sessions_per_account: 0,
        ..Settings::default()
    }
}

impl RelayHost {
    /// A relay of several nodes that are not running yet.
    #[must_use]
    pub fn cell(nodes: u64, fault: OrderFault, chance: &mut Chance) -> Self {
        let alone = Self::new(RelayStore::default(), chance);
        let identity = |_| Identity {
            relay: RelayId::from_bytes(chance.bytes()),
            generation: chance.number(),
        };
        let identities = (0..nodes).map(identity).collect();
        let own = Chance::new(chance.number());
        Self { cell: Some(Cell::new(identities, settings(), fault, own)), ..alone }
    }

    /// A relay that is not running yet, over this store.
    #[must_use]
    pub fn new(store: RelayStore, chance: &mut Chance) -> Self {
        let identity =
            Identity { relay: RelayId::from_bytes(chance.bytes()), generation: chance.number() };
        Self {
            identity,
            relay: None,
            store: Some(store),
            life: 0,
            committing: false,
            runs: false,
            cell: None,
        }
    }

    /// Starts the relay on what its store holds.
    ///
    /// # Errors
    /// `Robust` if it can't read its own store.
    pub fn start(&mut self) -> Result<(), Violation> {
        if self.cell.is_some() && !self.runs {
            self.life += 1;
            self.committing = false;
            self.runs = true;
        }
        if let Some(cell) = &mut self.cell {
            return cell.start();
        }
        let Some(store) = self.store.take() else { return Ok(()) };
        let relay = Relay::open(store, self.identity, settings()).map_err(|error| {
            Violation::new(Invariant::Robust, format!("the relay does not open: {error}"))
        })?;
        self.relay = Some(relay);
        self.life += 1;
        self.committing = false;
        Ok(())
    }

    /// The power goes.
    pub fn crash(&mut self) {
        if let Some(cell) = &mut self.cell {
            cell.crash();
            self.runs = false;
        }
        if let Some(relay) = self.relay.take() {
            self.store = Some(relay.into_parts().0.crashed());
        }
    }

    /// Whether the relay runs.
    #[must_use]
    pub fn runs(&self) -> bool {
        self.relay.is_some() || self.runs
    }

    /// Which run of the relay this is.
    #[must_use]
    pub fn life(&self) -> u64 {
        self.life
    }

    /// The store, running or not.
    #[must_use]
    pub fn store(&self) -> Option<&RelayStore> {
        if let Some(cell) = &self.cell {
            return cell.store();
        }
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
        if let Some(cell) = &mut self.cell {
            cell.connect(connection, nonce, now_ms);
        }
        if let Some(relay) = &mut self.relay {
            relay.connect(SessionId(connection.0), nonce, now_ms);
        }
    }

    /// A socket closed.
    pub fn disconnect(&mut self, connection: ConnectionId, now_ms: u64) {
        if let Some(cell) = &mut self.cell {
            cell.disconnect(connection, now_ms);
        }
        if let Some(relay) = &mut self.relay {
            relay.disconnect(SessionId(connection.0), now_ms);
        }
    }

    /// A message arrived, which may be none.
    pub fn receive(&mut self, connection: ConnectionId, message: &[u8], now_ms: u64) {
        let frame = ClientFrame::parse(message).map_err(|_| Rejection::Invalid);
        if let Some(cell) = &mut self.cell {
            cell.receive(connection, frame.clone().map(Incoming::from), now_ms);
        }
        let Some(relay) = &mut self.relay else { return };
        let session = SessionId(connection.0);
        match frame {
            Ok(frame) => relay.receive(session, frame, now_ms),
            Err(reason) => relay.malformed(session, reason),
        }
    }

    /// Time passed.
    pub fn tick(&mut self, now_ms: u64) {
        if let Some(cell) = &mut self.cell {
            cell.tick(now_ms);
        }
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
            || self.runs && self.cell.as_ref().is_some_and(Cell::is_busy)
    }

    /// Nothing goes wrong within it from here on.
    pub fn calm(&mut self) {
        if let Some(cell) = &mut self.cell {
            cell.calm();
        }
    }

    /// All nodes come to the same.
    ///
    /// # Errors
    /// `Equal` if they do not.
    pub fn agree(&mut self, now_ms: u64) -> Result<(), Violation> {
        self.cell.as_mut().map_or(Ok(()), |cell| cell.agree(now_ms))
    }

    /// Makes everything since the last commit durable and gives what may be sent now.
    ///
    /// # Errors
    /// `Robust` if a node does not come back.
    pub fn commit(&mut self, now_ms: u64) -> Result<Vec<Wish>, Violation> {
        self.committing = false;
        if let Some(cell) = self.cell.as_mut().filter(|_| self.runs) {
            return Ok(cell.commit(now_ms)?.into_iter().map(wish).collect());
        }
        let Some(relay) = &mut self.relay else { return Ok(Vec::new()) };
        let outputs = relay.commit(now_ms);
        Ok(outputs.into_iter().map(wish).collect())
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
