//! What anybody could see on the wire, held against what must always be true of it.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};
use sync_protocol::codec;
use sync_protocol::envelope::{CommitHeader, Envelope, Kind};
use sync_protocol::frames::{ClientFrame, Delivery, Entries, RelayFrame, Stored};
use sync_protocol::ids::{DeviceId, Link, SpaceId, WriterId};
use sync_protocol::roster::RosterChange;

use crate::MARK;
use crate::network::ConnectionId;
use crate::relay_store::holds;
use crate::violation::{Invariant, Violation};

/// An entry as the log shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Shown {
    hash: [u8; 32],
    writer: WriterId,
    seq: u64,
    kind: Kind,
    cursor: u64,
}

type Place = (SpaceId, u64, u64);

/// Watches every message between devices and the relay.
#[derive(Clone, Debug, Default)]
pub struct Monitor {
    writers: BTreeMap<ConnectionId, WriterId>,
    links: BTreeMap<(SpaceId, WriterId, u64), Link>,
    shown: BTreeMap<Place, Shown>,
    stored: BTreeMap<(SpaceId, WriterId, u64), Place>,
    acknowledged: BTreeMap<Place, (WriterId, u64)>,
    handshakes: BTreeMap<(SpaceId, u64), Vec<u64>>,
    /// Where devices go out of a space (`true`) and come into it, in the order they do.
    moves: BTreeMap<(SpaceId, u64, DeviceId), BTreeMap<u64, bool>>,
    /// Devices that let themselves into a space, since somebody asked.
    entrances: Vec<Entrance>,
    frames: u64,
    bytes: u64,
}

/// A device let itself into a space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entrance {
    /// Which space.
    pub space: SpaceId,
    /// Which device.
    pub device: DeviceId,
}

impl Monitor {
    /// A device sent this.
    ///
    /// # Errors
    /// If it gives a sequence number a second meaning, or shows a plaintext.
    pub fn from_device(&mut self, id: ConnectionId, message: &[u8]) -> Result<(), Violation> {
        self.count("a device", message)?;
        let Ok(frame) = ClientFrame::parse(message) else {
            return Err(Violation::new(Invariant::Robust, "a device sent what does not parse"));
        };
        match frame {
            ClientFrame::Hello(hello) => {
                let writer = WriterId { device: hello.device, incarnation: hello.incarnation };
                self.writers.insert(id, writer);
            }
            ClientFrame::Push(push) => {
                let Some(writer) = self.writers.get(&id).copied() else { return Ok(()) };
                for envelope in &push.envelopes {
                    self.pushed(&push.space, &writer, &envelope.0)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// A device's store is put back. What it pushed since and no log has, it gives another meaning,
    /// and can't know; what a log has is still held against what a log shows.
    pub fn put_back(&mut self, device: &DeviceId) {
        self.links.retain(|(_, writer, _), _| writer.device != *device);
    }

    /// The honest relay sent this.
    ///
    /// # Errors
    /// If it contradicts what it said before, or shows a plaintext.
    pub fn from_relay(&mut self, id: ConnectionId, message: &[u8]) -> Result<(), Violation> {
        self.count("the relay", message)?;
        match RelayFrame::parse(message) {
            Ok(RelayFrame::Delivery(Delivery::Entries(entries))) => self.delivered(&entries),
            Ok(RelayFrame::Stored(stored)) => self.confirmed(id, &stored),
            Ok(_) => Ok(()),
            Err(_) => Err(Violation::new(Invariant::Robust, "the relay sent what does not parse")),
        }
    }

    /// Messages and bytes so far.
    #[must_use]
    pub fn traffic(&self) -> (u64, u64) {
        (self.frames, self.bytes)
    }

    /// Entries that the relay said are durable.
    #[must_use]
    pub fn acknowledged(&self) -> usize {
        self.acknowledged.len()
    }

    fn count(&mut self, who: &str, message: &[u8]) -> Result<(), Violation> {
        self.frames += 1;
        self.bytes += message.len() as u64;
        if holds(message, MARK.as_bytes()) {
            let detail = format!("{who} sent a plaintext in a message of {} bytes", message.len());
            return Err(Violation::new(Invariant::Sealed, detail));
        }
        Ok(())
    }

    fn pushed(
        &mut self,
        space: &SpaceId,
        writer: &WriterId,
        bytes: &[u8],
    ) -> Result<(), Violation> {
        let Ok(envelope) = Envelope::parse(bytes) else {
            return Err(Violation::new(Invariant::Robust, "a device pushed no envelope"));
        };
        let Some(chain) = envelope.header.chain else { return Ok(()) };
        let known = *self.links.entry((*space, *writer, chain.seq)).or_insert(chain.link);
        if known == chain.link {
            return Ok(());
        }
        let detail = format!("{writer:?} gave number {} in {space:?} two meanings", chain.seq);
        Err(Violation::new(Invariant::Chained, detail))
    }

    fn delivered(&mut self, entries: &Entries) -> Result<(), Violation> {
        for (index, entry) in (entries.first..).zip(&entries.entries) {
            let place = (entries.space, entries.generation, index);
            let writer = entries.writers.get(entry.writer as usize).copied();
            let Some((writer, envelope)) = writer.zip(Envelope::parse(&entry.envelope.0).ok())
            else {
                return Err(Violation::new(Invariant::Robust, "the relay delivered no envelope"));
            };
            let shown = Shown {
                hash: Sha256::digest(&entry.envelope.0).into(),
                writer,
                seq: envelope.header.chain.map_or(0, |chain| chain.seq),
                kind: envelope.header.kind,
                cursor: envelope.header.cursor,
            };
            self.show(place, shown)?;
            if let Some(header) = envelope.header.commit {
                self.moved(place, &writer, header.as_slice());
            }
        }
        Ok(())
    }

    /// Takes note of the devices that a handshake moves.
    fn moved(&mut self, (space, generation, index): Place, writer: &WriterId, header: &[u8]) {
        let Ok(header) = codec::decode::<CommitHeader>("commit header", header) else { return };
        for change in header.roster {
            let (devices, out) = match change {
                RosterChange::Add { devices, .. } | RosterChange::AddDevices { devices, .. } => {
                    (devices, false)
                }
                RosterChange::RemoveDevices { devices, .. } => (devices, true),
                _ => continue,
            };
            for device in devices {
                let moves = self.moves.entry((space, generation, device)).or_default();
                let new = moves.insert(index, out).is_none();
                if new && !out && device == writer.device && index > 0 {
                    self.entrances.push(Entrance { space, device });
                }
            }
        }
    }

    /// The devices that let themselves into a space since this was called last.
    pub fn take_entrances(&mut self) -> Vec<Entrance> {
        std::mem::take(&mut self.entrances)
    }

    /// The devices in a space, as its log has it so far.
    pub fn present(&self, space: &SpaceId) -> impl Iterator<Item = &DeviceId> {
        let space = *space;
        let from = (space, 0, DeviceId::from_bytes([0; 33]));
        let of_space = self.moves.range(from..).take_while(move |((of, _, _), _)| *of == space);
        let present = of_space.filter(|(_, moves)| moves.values().next_back() == Some(&false));
        present.map(|((_, _, device), _)| device)
    }

    /// Whether a device is in a space, as its log has it so far.
    #[must_use]
    pub fn is_in(&self, space: &SpaceId, device: &DeviceId) -> bool {
        self.present(space).any(|one| one == device)
    }

    /// No log has content of a device behind the handshake that removed it.
    ///
    /// # Errors
    /// `Removed` for the first that has.
    pub fn check_ended(&self) -> Result<(), Violation> {
        for ((space, generation, index), entry) in &self.shown {
            let moves = self.moves.get(&(*space, *generation, entry.writer.device));
            let last = moves.and_then(|moves| moves.range(..index).next_back());
            if entry.kind == Kind::Content && last.is_some_and(|(_, out)| *out) {
                let who = entry.writer.device;
                let detail =
                    format!("{space:?} has at {index} what {who:?} wrote after its removal");
                return Err(Violation::new(Invariant::Removed, detail));
            }
        }
        Ok(())
    }

    fn show(&mut self, place: Place, shown: Shown) -> Result<(), Violation> {
        let before = *self.shown.entry(place).or_insert(shown);
        if before.hash != shown.hash {
            let detail = format!("the log shows two entries at {place:?}");
            return Err(Violation::new(Invariant::Stored, detail));
        }
        if let Some(promised) = self.acknowledged.get(&place)
            && *promised != (shown.writer, shown.seq)
        {
            let detail = format!("the entry acknowledged at {place:?} is not there any more");
            return Err(Violation::new(Invariant::Stored, detail));
        }
        let handshakes = self.handshakes.entry((place.0, place.1)).or_default();
        if shown.kind == Kind::Handshake && !handshakes.contains(&place.2) {
            handshakes.push(place.2);
        }
        self.check_cursors(place, shown)
    }

    /// An author's cursor lies after every handshake before the entry.
    fn check_cursors(&self, place: Place, shown: Shown) -> Result<(), Violation> {
        let (space, generation, index) = place;
        let passed = |author: u64, at: u64, entry: u64| author <= at && at < entry;
        let handshakes = self.handshakes.get(&(space, generation));
        let behind = match shown.kind {
            Kind::Handshake => {
                let later = self.shown.range((space, generation, index + 1)..);
                let mut later = later.take_while(|((s, g, _), _)| (*s, *g) == (space, generation));
                later.any(|(at, entry)| passed(entry.cursor, index, at.2))
            }
            _ => handshakes.is_some_and(|known| {
                known.iter().any(|handshake| passed(shown.cursor, *handshake, index))
            }),
        };
        if !behind {
            return Ok(());
        }
        let detail = format!("an entry of {space:?} passes a handshake unseen, near index {index}");
        Err(Violation::new(Invariant::Chained, detail))
    }

    fn confirmed(&mut self, id: ConnectionId, stored: &Stored) -> Result<(), Violation> {
        let Some(writer) = self.writers.get(&id).copied() else {
            return Err(Violation::new(Invariant::Robust, "Stored without a session"));
        };
        for run in stored.runs.iter().filter(|run| run.seq > 0) {
            for n in 0..run.count {
                let place = (stored.space, stored.generation, run.index + n);
                self.confirm(stored.space, writer, run.seq + n, place)?;
            }
        }
        Ok(())
    }

    fn confirm(
        &mut self,
        space: SpaceId,
        writer: WriterId,
        seq: u64,
        place: Place,
    ) -> Result<(), Violation> {
        let first = *self.stored.entry((space, writer, seq)).or_insert(place);
        if first != place {
            let detail = format!("number {seq} was stored at {first:?}, then at {place:?}");
            return Err(Violation::new(Invariant::Stored, detail));
        }
        let entry = *self.acknowledged.entry(place).or_insert((writer, seq));
        let shown = self.shown.get(&place);
        if entry != (writer, seq) || shown.is_some_and(|at| (at.writer, at.seq) != (writer, seq)) {
            let detail = format!("{place:?} was acknowledged for two entries");
            return Err(Violation::new(Invariant::Stored, detail));
        }
        Ok(())
    }
}
