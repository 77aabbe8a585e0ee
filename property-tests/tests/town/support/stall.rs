//! Connections and stores that hold something up: what a connection holds arrives later, or is lost
//! with it.

use sync_core::api::Input;
use sync_core::records::Load;
use sync_protocol::SpaceId;
use sync_protocol::codec::Blob;
use sync_protocol::envelope::{Envelope, Kind};
use sync_protocol::frames::{Answer, ClientFrame, Delivery, Op, Push, RelayFrame, Reply, Request};

use super::{Town, read};

/// Which of them are held up.
type Holds<T> = Box<dyn Fn(&T) -> bool>;

/// One direction of a device's connection, or what it reads.
pub(crate) struct Line<T> {
    holds: Option<Holds<T>>,
    held: Vec<T>,
}

impl<T> Default for Line<T> {
    fn default() -> Self {
        Self { holds: None, held: Vec::new() }
    }
}

impl<T> Line<T> {
    /// Whether anything may be held up.
    pub(crate) fn is_watched(&self) -> bool {
        self.holds.is_some()
    }

    /// What goes through at once.
    pub(crate) fn pass(&mut self, one: T) -> Option<T> {
        if self.holds.as_ref().is_some_and(|holds| holds(&one)) {
            self.held.push(one);
            return None;
        }
        Some(one)
    }

    /// The connection is gone, and with it what it held.
    pub(crate) fn lose(&mut self) {
        self.held.clear();
    }

    /// How much is held up.
    pub(crate) fn held(&self) -> usize {
        self.held.len()
    }
}

impl Town {
    /// Holds up what a device sends, where it is such.
    pub(crate) fn hold_up(&mut self, n: usize, holds: impl Fn(&ClientFrame) -> bool + 'static) {
        self.devices[n].up.holds = Some(Box::new(holds));
    }

    /// Holds up what a device is told, where it is such.
    pub(crate) fn hold_down(&mut self, n: usize, holds: impl Fn(&RelayFrame) -> bool + 'static) {
        self.devices[n].down.holds = Some(Box::new(holds));
    }

    /// A device's store is slow to read, where it is such.
    pub(crate) fn hold_reads(&mut self, n: usize, holds: impl Fn(&Load) -> bool + 'static) {
        self.devices[n].reads.holds = Some(Box::new(holds));
    }

    /// What a device's store was slow to read is read, and no more is held up.
    pub(crate) fn let_reads(&mut self, n: usize) {
        for load in std::mem::take(&mut self.devices[n].reads).held {
            let records = read(&self.devices[n].disk, &load.prefix());
            self.feed(n, Input::Loaded(load, records));
        }
    }

    /// What a device sent arrives, and no more of it is held up.
    pub(crate) fn let_up(&mut self, n: usize) {
        for frame in std::mem::take(&mut self.devices[n].up).held {
            self.arrives(n, frame);
        }
    }

    /// What a device was told arrives, and no more of it is held up.
    pub(crate) fn let_down(&mut self, n: usize) {
        for frame in std::mem::take(&mut self.devices[n].down).held {
            self.feed(n, Input::Received(frame.to_bytes()));
        }
    }
}

/// A push into a space.
pub(crate) fn pushes_into(space: SpaceId) -> impl Fn(&ClientFrame) -> bool {
    move |frame| matches!(frame, ClientFrame::Push(push) if push.space == space)
}

/// A push of change sets into a space.
pub(crate) fn pushes_content_into(space: SpaceId) -> impl Fn(&ClientFrame) -> bool {
    let decides = |push: &Push| push.envelopes.iter().any(is_handshake);
    move |frame| matches!(frame, ClientFrame::Push(push) if push.space == space && !decides(push))
}

/// Whether an envelope decides who is in.
pub(crate) fn is_handshake(envelope: &Blob) -> bool {
    Envelope::parse(envelope.as_slice()).is_ok_and(|one| one.header.kind == Kind::Handshake)
}

/// A request for a ticket.
pub(crate) fn asks_for_ticket(frame: &ClientFrame) -> bool {
    matches!(frame, ClientFrame::Request(Request { op: Op::ReadTicket { .. }, .. }))
}

/// A request for a device log.
pub(crate) fn asks_for_log(frame: &ClientFrame) -> bool {
    matches!(frame, ClientFrame::Request(Request { op: Op::ReadLog { .. }, .. }))
}

/// An entry for the own device log.
pub(crate) fn appends_to_log(frame: &ClientFrame) -> bool {
    matches!(frame, ClientFrame::Request(Request { op: Op::AppendLog { .. }, .. }))
}

/// An answer that shows a device log.
pub(crate) fn shows_log(frame: &RelayFrame) -> bool {
    matches!(frame, RelayFrame::Reply(Reply { answer: Answer::Log { .. }, .. }))
}

/// A delivery of a space's log.
pub(crate) fn brings_entries_of(space: SpaceId) -> impl Fn(&RelayFrame) -> bool {
    move |frame| matches!(frame, RelayFrame::Delivery(Delivery::Entries(entries)) if entries.space == space)
}
