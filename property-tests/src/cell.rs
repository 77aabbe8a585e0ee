//! A relay of several nodes: the real rules and sessions on each, over one log. Devices come to any of them;
//! nodes fall behind, die, and come back on what they had written down.

use std::collections::{BTreeMap, BTreeSet};

use sync_protocol::error::Rejection;
use sync_server::relay::{Identity, Incoming, Node, Output, Relay, SessionId, Settings};
use sync_server::store::Table;

use crate::chance::Chance;
use crate::network::ConnectionId;
use crate::order::{NodeLog, Order, OrderFault};
use crate::relay_store::RelayStore;
use crate::violation::{Invariant, Violation};

/// What commands left in a store.
type Rows = BTreeMap<(Table, Vec<u8>), Vec<u8>>;

/// A node's relay.
type Served = Relay<RelayStore, NodeLog>;

/// A node, running or not.
#[derive(Debug)]
struct Place {
    relay: Option<Served>,
    store: Option<RelayStore>,
    life: u64,
    /// Commits until it comes back, or hears of the order again.
    back_in: u64,
}

/// The nodes.
#[derive(Debug)]
pub struct Cell {
    order: Order,
    fault: OrderFault,
    places: Vec<Place>,
    /// Where each connection went.
    at: BTreeMap<ConnectionId, usize>,
    settings: Settings,
    identities: Vec<Identity>,
    chance: Chance,
    calm: bool,
}

impl Cell {
    /// Nodes that are not running yet. Each would found a relay of its own.
    #[must_use]
    pub fn new(
        identities: Vec<Identity>,
        settings: Settings,
        fault: OrderFault,
        chance: Chance,
    ) -> Self {
        let place = |_: &Identity| Place {
            relay: None,
            store: Some(RelayStore::default()),
            life: 0,
            back_in: 0,
        };
        let places = identities.iter().map(place).collect();
        let order = Order::default();
        let at = BTreeMap::new();
        Self { order, fault, places, at, settings, identities, chance, calm: false }
    }

    /// Starts all nodes.
    ///
    /// # Errors
    /// `Robust` if one can't read its own store.
    pub fn start(&mut self) -> Result<(), Violation> {
        for n in 0..self.places.len() {
            self.start_one(n)?;
        }
        Ok(())
    }

    fn start_one(&mut self, n: usize) -> Result<(), Violation> {
        let (chance, settings) = (Chance::new(self.chance.number()), self.settings.clone());
        // One of them alone goes wrong.
        let fault = if n == 0 { self.fault } else { OrderFault::None };
        let log = self.order.end(fault, chance);
        let (Some(place), Some(identity)) = (self.places.get_mut(n), self.identities.get(n)) else {
            return Ok(());
        };
        let Some(store) = place.store.take() else { return Ok(()) };
        place.life += 1;
        place.back_in = 0;
        let node = Node { node: n as u64 + 1, life: place.life };
        let opened = Relay::of_many(store, log, node, settings).and_then(|mut relay| {
            relay.found(*identity)?;
            Ok(relay)
        });
        place.relay = Some(opened.map_err(|error| {
            Violation::new(Invariant::Robust, format!("a node does not open: {error}"))
        })?);
        Ok(())
    }

    /// The power goes everywhere. What has its place in the order stays.
    pub fn crash(&mut self) {
        for n in 0..self.places.len() {
            self.stop(n);
        }
        self.at.clear();
    }

    fn stop(&mut self, n: usize) {
        let Some(place) = self.places.get_mut(n) else { return };
        if let Some(relay) = place.relay.take() {
            place.store = Some(relay.into_parts().0.crashed());
        }
    }

    /// The store of the first node, running or not.
    #[must_use]
    pub fn store(&self) -> Option<&RelayStore> {
        let place = self.places.first()?;
        place.relay.as_ref().map(Relay::store).or(place.store.as_ref())
    }

    /// A socket opened: at any node that runs.
    pub fn connect(&mut self, connection: ConnectionId, nonce: [u8; 32], now_ms: u64) {
        let up: Vec<usize> = (0..self.places.len()).filter(|n| self.relay(*n).is_some()).collect();
        let Some(n) = up.get(self.chance.index(up.len().max(1))).copied() else { return };
        self.at.insert(connection, n);
        if let Some(relay) = self.relay(n) {
            relay.connect(SessionId(connection.0), nonce, now_ms);
        }
    }

    /// A socket closed.
    pub fn disconnect(&mut self, connection: ConnectionId, now_ms: u64) {
        if let Some(n) = self.at.remove(&connection)
            && let Some(relay) = self.relay(n)
        {
            relay.disconnect(SessionId(connection.0), now_ms);
        }
    }

    /// A frame arrived, or something that is none.
    pub fn receive(
        &mut self,
        connection: ConnectionId,
        frame: Result<Incoming, Rejection>,
        now_ms: u64,
    ) {
        let Some(n) = self.at.get(&connection).copied() else { return };
        let Some(relay) = self.relay(n) else { return };
        match frame {
            Ok(frame) => relay.receive(SessionId(connection.0), frame, now_ms),
            Err(reason) => relay.malformed(SessionId(connection.0), reason),
        }
    }

    /// Time passed.
    pub fn tick(&mut self, now_ms: u64) {
        for relay in self.places.iter_mut().filter_map(|place| place.relay.as_mut()) {
            relay.tick(now_ms);
        }
    }

    fn relay(&mut self, n: usize) -> Option<&mut Served> {
        self.places.get_mut(n)?.relay.as_mut()
    }

    /// From here on no node dies or falls far behind.
    pub fn calm(&mut self) {
        self.calm = true;
    }

    /// Whether anything is under way, or somebody is behind.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        let is_still = |place: &Place| {
            place.back_in == 0
                && place
                    .relay
                    .as_ref()
                    .is_some_and(|relay| relay.log().has_all() && !relay.is_busy())
        };
        !self.order.is_quiet() || !self.places.iter().all(is_still)
    }

    /// The order goes on, and each node gives what may be sent.
    ///
    /// # Errors
    /// `Robust` if a node can't come back.
    pub fn commit(&mut self, now_ms: u64) -> Result<Vec<Output>, Violation> {
        let mut outputs = Vec::new();
        self.order.step(&mut self.chance);
        for n in 0..self.places.len() {
            self.happen(n, &mut outputs)?;
            let is_behind = self.places.get(n).is_some_and(|place| place.back_in > 0);
            let (all, writes) = (self.chance.one_in(2), self.chance.one_in(12));
            let Some(relay) = self.relay(n) else { continue };
            if !is_behind {
                relay.log_mut().hear(all);
            }
            outputs.extend(relay.commit(now_ms));
            if writes {
                let written = relay.checkpoint();
                written.map_err(|error| {
                    Violation::new(Invariant::Robust, format!("a node writes nothing: {error}"))
                })?;
            }
        }
        for output in &outputs {
            if let Output::Close { session, .. } = output {
                self.at.remove(&ConnectionId(session.0));
            }
        }
        Ok(outputs)
    }

    /// A node dies, comes back, or falls behind.
    fn happen(&mut self, n: usize, outputs: &mut Vec<Output>) -> Result<(), Violation> {
        let others_run = self.places.iter().filter(|place| place.relay.is_some()).count() > 1;
        let (dies, lags) = (self.chance.one_in(300), self.chance.one_in(120));
        let for_long = 1 + self.chance.below(30);
        let Some(place) = self.places.get_mut(n) else { return Ok(()) };
        if place.back_in > 0 {
            place.back_in -= 1;
            if place.back_in == 0 && place.relay.is_none() {
                return self.start_one(n);
            }
        } else if !self.calm && lags {
            place.back_in = for_long;
        } else if !self.calm && dies && others_run {
            place.back_in = for_long;
            self.stop(n);
            let gone = self.at.iter().filter(|(_, at)| **at == n).map(|(id, _)| *id);
            let gone: BTreeSet<ConnectionId> = gone.collect();
            self.at.retain(|id, _| !gone.contains(id));
            let reason = Rejection::Unavailable { retry_ms: 0 };
            let close = |id: ConnectionId| Output::Close {
                session: SessionId(id.0),
                reason: reason.clone(),
            };
            outputs.extend(gone.into_iter().map(close));
        }
        Ok(())
    }

    /// All nodes apply the whole order: their stores are equal, row by row.
    ///
    /// # Errors
    /// `Equal` if they are not.
    pub fn agree(&mut self, now_ms: u64) -> Result<(), Violation> {
        self.calm();
        for n in 0..self.places.len() {
            self.start_one(n)?;
        }
        for _ in 0..10_000 {
            self.order.settle();
            for relay in self.places.iter_mut().filter_map(|place| place.relay.as_mut()) {
                relay.log_mut().hear(true);
                relay.commit(now_ms);
            }
            if self.order.is_quiet() {
                break;
            }
        }
        let mut first: Option<Rows> = None;
        for (n, place) in self.places.iter_mut().enumerate() {
            let Some(relay) = &mut place.relay else { continue };
            if let Some(error) = relay.failure() {
                return Err(Violation::new(Invariant::Robust, format!("a node failed: {error}")));
            }
            let written = relay.checkpoint();
            written.map_err(|error| Violation::new(Invariant::Robust, error.to_string()))?;
            let rows = relay.store().inner().rows().filter(|(table, ..)| !table.is_local());
            let rows: Rows =
                rows.map(|(table, key, row)| ((table, key.to_vec()), row.to_vec())).collect();
            let before = first.get_or_insert_with(|| rows.clone());
            if *before == rows {
                continue;
            }
            let keys: BTreeSet<_> = before.keys().chain(rows.keys()).collect();
            let other = keys.into_iter().find(|key| before.get(*key) != rows.get(*key));
            let detail = format!("node {n} has another row than the first: {other:?}");
            return Err(Violation::new(Invariant::Equal, detail));
        }
        Ok(())
    }

    /// Commands that came twice.
    #[must_use]
    pub fn doubled(&self) -> u64 {
        self.order.doubled()
    }
}
