//! The network: connections as TCP gives them. What arrives on one arrives in order and whole; what
//! is lost is lost with the connection, and each side learns of that in its own time.

use std::collections::BTreeMap;

use crate::chance::Chance;

/// Names a connection; the relay's session has the same number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ConnectionId(pub u64);

/// One end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// The device.
    Device,
    /// The relay.
    Relay,
}

/// One connection.
#[derive(Clone, Debug)]
pub struct Connection {
    /// Whose, by the world's number.
    pub device: usize,
    /// The device's life that opened it.
    pub life: u64,
    /// Whether anything still gets through.
    pub flows: bool,
    /// Whether the device believes it to be open.
    pub device_open: bool,
    /// Whether the relay believes it to be open.
    pub relay_open: bool,
    /// When the last message of each direction arrives: nothing overtakes it.
    due_ms: [u64; 2],
}

/// All connections that somebody believes in.
#[derive(Clone, Debug, Default)]
pub struct Network {
    last: u64,
    connections: BTreeMap<ConnectionId, Connection>,
}

impl Network {
    /// A connection that a device asks for.
    pub fn open(&mut self, device: usize, life: u64) -> ConnectionId {
        self.last += 1;
        let id = ConnectionId(self.last);
        let connection = Connection {
            device,
            life,
            flows: true,
            device_open: false,
            relay_open: false,
            due_ms: [0; 2],
        };
        self.connections.insert(id, connection);
        id
    }

    /// A connection, while somebody believes in it.
    #[must_use]
    pub fn connection(&self, id: ConnectionId) -> Option<&Connection> {
        self.connections.get(&id)
    }

    /// A connection, to be changed.
    pub fn connection_mut(&mut self, id: ConnectionId) -> Option<&mut Connection> {
        self.connections.get_mut(&id)
    }

    /// When a message sent now reaches the other side.
    pub fn due(&mut self, id: ConnectionId, to: Side, now_ms: u64, way_ms: u64) -> u64 {
        let Some(connection) = self.connections.get_mut(&id) else { return now_ms };
        let due = &mut connection.due_ms[to as usize];
        *due = (*due).max(now_ms + way_ms);
        *due
    }

    /// Holds up everything on a connection for so long.
    pub fn stall(&mut self, id: ConnectionId, now_ms: u64, for_ms: u64) {
        if let Some(connection) = self.connections.get_mut(&id) {
            for due in &mut connection.due_ms {
                *due = (*due).max(now_ms) + for_ms;
            }
        }
    }

    /// Nothing gets through any more: what is on its way is lost.
    pub fn cut(&mut self, id: ConnectionId) {
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.flows = false;
        }
    }

    /// Whether something sent to this side arrives.
    #[must_use]
    pub fn arrives(&self, id: ConnectionId, to: Side) -> bool {
        self.connections.get(&id).is_some_and(|connection| {
            let open = match to {
                Side::Device => connection.device_open,
                Side::Relay => connection.relay_open,
            };
            connection.flows && open
        })
    }

    /// One side lets go. The connection is gone when both have.
    pub fn let_go(&mut self, id: ConnectionId, side: Side) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        match side {
            Side::Device => connection.device_open = false,
            Side::Relay => connection.relay_open = false,
        }
        if !connection.device_open && !connection.relay_open {
            self.connections.remove(&id);
        }
    }

    /// Connections through which something still flows.
    #[must_use]
    pub fn flowing(&self) -> Vec<ConnectionId> {
        let flowing = self.connections.iter().filter(|(_, connection)| connection.flows);
        flowing.map(|(id, _)| *id).collect()
    }

    /// When the last message under way arrives.
    #[must_use]
    pub fn last_due_ms(&self) -> u64 {
        let due = self.connections.values().flat_map(|connection| connection.due_ms);
        due.max().unwrap_or_default()
    }

    /// All connections that somebody believes in.
    #[must_use]
    pub fn all(&self) -> Vec<ConnectionId> {
        self.connections.keys().copied().collect()
    }
}

/// How long a side takes to learn that its connection broke: at once, in seconds, or, where it has
/// nothing to send, in minutes.
pub fn notice_ms(chance: &mut Chance) -> u64 {
    let most_ms = chance.weighted(&[(3, 0), (3, 3_000), (1, 300_000)]);
    chance.between(0, most_ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_overtakes_on_one_connection() {
        let mut network = Network::default();
        let id = network.open(0, 1);
        let first = network.due(id, Side::Relay, 100, 50);
        let second = network.due(id, Side::Relay, 110, 1);
        assert_eq!((first, second), (150, 150));
        assert_eq!(network.due(id, Side::Device, 110, 1), 111, "directions are independent");
        network.stall(id, 120, 1_000);
        assert_eq!(network.due(id, Side::Relay, 130, 1), 1_150);
    }

    #[test]
    fn a_connection_lives_while_one_side_believes_in_it() {
        let mut network = Network::default();
        let id = network.open(0, 1);
        if let Some(connection) = network.connection_mut(id) {
            connection.device_open = true;
            connection.relay_open = true;
        }
        assert!(network.arrives(id, Side::Device));
        network.cut(id);
        assert!(!network.arrives(id, Side::Device));
        network.let_go(id, Side::Relay);
        assert!(network.connection(id).is_some(), "half open");
        network.let_go(id, Side::Device);
        assert!(network.all().is_empty());
    }
}
