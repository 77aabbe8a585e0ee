//! Ghosts: clients of somebody else's making. They have their own socket to the relay and keep to no
//! rule but the wire's; what they say is a test's to write.

use std::sync::Arc;

use sync_protocol::frames::{ClientFrame, RelayFrame};

use super::{Event, World};
use crate::network::{ConnectionId, Side};
use crate::violation::Violation;

/// The device that a ghost's connection has: none of the world's.
const NOBODY: usize = usize::MAX;

impl World {
    /// Opens a socket for a ghost.
    pub fn ghost(&mut self) -> ConnectionId {
        self.cheated = true;
        let id = self.network.open(NOBODY, 0);
        if let Some(connection) = self.network.connection_mut(id) {
            connection.device_open = true;
            connection.relay_open = true;
        }
        self.ghosts.insert(id, Vec::new());
        let nonce = self.chance.relay().bytes();
        let now_ms = self.relay_ms();
        self.relay.connect(id, nonce, now_ms);
        self.plan_commit();
        id
    }

    /// Sends what a ghost says on its way.
    ///
    /// # Errors
    /// If a hello shows a plaintext.
    pub fn ghost_says(&mut self, id: ConnectionId, frame: &ClientFrame) -> Result<(), Violation> {
        let message = frame.to_bytes();
        if matches!(frame, ClientFrame::Hello(_)) {
            // What it is told later is held against who it said it was.
            self.monitor.from_device(id, &message)?;
        }
        let way = self.way_ms(id);
        let due = self.network.due(id, Side::Relay, self.agenda.now_ms(), way);
        self.agenda.at(due, Event::ToRelay { connection: id, message });
        Ok(())
    }

    /// What a ghost was told since the last time.
    pub fn ghost_hears(&mut self, id: ConnectionId) -> Vec<RelayFrame> {
        self.ghosts.get_mut(&id).map(std::mem::take).unwrap_or_default()
    }

    /// Whether the connection is a ghost's, which then hears the message.
    pub(super) fn haunted(&mut self, id: ConnectionId, message: &[u8]) -> bool {
        let Some(heard) = self.ghosts.get_mut(&id) else { return false };
        heard.extend(RelayFrame::parse(message).ok());
        true
    }

    /// What the relay says on its way, once nobody has had their hands on it.
    pub(super) fn tampered(&mut self, device: usize, message: Arc<[u8]>) -> Arc<[u8]> {
        match self.tamperer.as_mut().filter(|_| device != NOBODY) {
            Some(tamperer) => tamperer(device, &message).into(),
            None => message,
        }
    }

    /// Sets somebody on the wire from the relay to its devices who alters bytes.
    pub fn set_tamperer(&mut self, tamperer: Option<super::Tamperer>) {
        self.cheated |= tamperer.is_some();
        self.tamperer = tamperer;
    }

    /// Copies a device's files, as they are now, to another machine and switches that on: one
    /// profile, used twice.
    pub fn twin(&mut self, device: usize) -> usize {
        let slot = &self.devices[device];
        let mut twin = crate::device::Device::new(slot.person, slot.disk.copy());
        twin.clock = slot.clock;
        self.devices.push(twin);
        let number = self.devices.len() - 1;
        self.note(format_args!("twin {number} of {device}"));
        self.agenda.after(0, Event::Boot { device: number });
        number
    }
}
