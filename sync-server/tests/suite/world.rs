//! A relay in memory with devices around it: time and frames by hand.

use std::collections::BTreeMap;

use sync_protocol::error::Rejection;
use sync_protocol::frames::{
    Answer, ClientFrame, Delivery, Op, RelayFrame, Request, Run, Stored, Welcome,
};
use sync_protocol::ids::{DeviceId, RelayId, SpaceId};
use sync_server::relay::{Identity, Output, Relay, SessionId, Settings};
use sync_server::store::{MemoryStore, Store};

use crate::support::{Device, push, space};

pub const IDENTITY: Identity = Identity { relay: RelayId::from_bytes([1; 32]), generation: 77 };

pub struct World<S = MemoryStore> {
    pub relay: Relay<S>,
    pub now: u64,
    next: u64,
    pub inboxes: BTreeMap<SessionId, Vec<RelayFrame>>,
    pub closed: BTreeMap<SessionId, Rejection>,
}

impl World {
    pub fn new() -> Self {
        Self::over(MemoryStore::new(), Settings::default())
    }

    /// The same, with somebody's session in it who has founded a space.
    pub fn founded() -> (Self, Device, SessionId) {
        let mut world = Self::new();
        let mut ada = Device::new(1);
        let session = world.connect(&mut ada);
        let founding = ada.found(space(1));
        world.send(session, push(space(1), vec![founding]));
        world.commit();
        (world, ada, session)
    }

    /// The relay's process dies now and another one starts on what is durable.
    pub fn crash(self) -> Self {
        self.crash_under(Settings::default())
    }

    /// The same, with these settings.
    pub fn crash_under(self, settings: Settings) -> Self {
        let store = self.relay.store().durable();
        let fresh = Self::over(store, settings);
        Self { now: self.now, next: self.next, ..fresh }
    }
}

impl<S: Store> World<S> {
    pub fn over(store: S, settings: Settings) -> Self {
        let relay = Relay::open(store, IDENTITY, settings).unwrap();
        let (inboxes, closed) = (BTreeMap::new(), BTreeMap::new());
        Self { relay, now: 1_000_000, next: 0, inboxes, closed }
    }

    pub fn commit(&mut self) {
        loop {
            for output in self.relay.commit(self.now) {
                match output {
                    Output::Send { session, frame } => {
                        let frame = RelayFrame::parse(&frame.whole()).unwrap();
                        self.inboxes.entry(session).or_default().push(frame);
                    }
                    Output::Close { session, reason } => {
                        self.closed.insert(session, reason);
                    }
                }
            }
            if !self.relay.is_busy() {
                return;
            }
        }
    }

    pub fn take(&mut self, session: SessionId) -> Vec<RelayFrame> {
        self.inboxes.remove(&session).unwrap_or_default()
    }

    /// A socket with its challenge, and the session's id.
    pub fn dial(&mut self) -> (SessionId, sync_protocol::frames::Challenge) {
        self.next += 1;
        let session = SessionId(self.next);
        self.relay.connect(session, [self.next as u8; 32], self.now);
        self.commit();
        match self.take(session).as_slice() {
            [RelayFrame::Challenge(challenge)] => (session, challenge.clone()),
            other => panic!("{other:?}"),
        }
    }

    pub fn hello(&mut self, device: &Device) -> SessionId {
        let (session, challenge) = self.dial();
        let hello = device.hello(&challenge);
        self.relay.receive(session, ClientFrame::Hello(hello), self.now);
        self.commit();
        session
    }

    /// An open session; deliveries stay in its inbox.
    pub fn connect(&mut self, device: &mut Device) -> SessionId {
        let session = self.hello(device);
        assert!(self.relay.is_open(session), "{:?}", self.closed.get(&session));
        device.fence = device.next_fence;
        device.next_fence += 1;
        session
    }

    pub fn send(&mut self, session: SessionId, frame: ClientFrame) {
        self.relay.receive(session, frame, self.now);
    }

    /// A device of an account that has one here, through this session.
    pub fn link(&mut self, by: SessionId, primary: &mut Device, seed: u64) -> Device {
        let (device, entry) = primary.link(seed);
        let index = primary.log.len() as u64;
        primary.log.push(entry.clone());
        assert_eq!(self.ask(by, Op::AppendLog { index, entry, rendezvous: None }), Answer::Done);
        device
    }

    /// Ends a device, through this session.
    pub fn revoke(&mut self, by: SessionId, primary: &mut Device, device: DeviceId) {
        let entry = primary.revoke(device);
        let index = primary.log.len() as u64;
        primary.log.push(entry.clone());
        assert_eq!(self.ask(by, Op::AppendLog { index, entry, rendezvous: None }), Answer::Done);
    }

    pub fn tick(&mut self, now: u64) {
        self.now = now;
        self.relay.tick(now);
        self.commit();
    }

    pub fn ask(&mut self, session: SessionId, op: Op) -> Answer {
        self.send(session, ClientFrame::Request(Request { id: 9, op }));
        self.commit();
        let frames = self.inboxes.entry(session).or_default();
        let at = frames.iter().position(|frame| matches!(frame, RelayFrame::Reply(_))).unwrap();
        match frames.remove(at) {
            RelayFrame::Reply(reply) => reply.answer,
            _ => unreachable!(),
        }
    }
}

pub fn welcome(frames: &[RelayFrame]) -> &Welcome {
    match frames.first() {
        Some(RelayFrame::Welcome(welcome)) => welcome,
        other => panic!("{other:?}"),
    }
}

/// All entries delivered: (space, index).
pub fn delivered(frames: &[RelayFrame]) -> Vec<(SpaceId, u64)> {
    let mut all = Vec::new();
    for frame in frames {
        if let RelayFrame::Delivery(Delivery::Entries(entries)) = frame {
            let count = entries.entries.len() as u64;
            all.extend((entries.first..entries.first + count).map(|n| (entries.space, n)));
        }
    }
    all
}

pub fn stored(frames: &[RelayFrame]) -> Vec<Run> {
    let mut all = Vec::new();
    for frame in frames {
        if let RelayFrame::Stored(Stored { runs, .. }) = frame {
            all.extend(runs.iter().copied());
        }
    }
    all
}

pub fn refusals(frames: &[RelayFrame]) -> Vec<Rejection> {
    let refused = frames.iter().filter_map(|frame| match frame {
        RelayFrame::Refused { reason, .. } => Some(reason.clone()),
        _ => None,
    });
    refused.collect()
}

/// The newest cursor in some frames.
pub fn cursor(frames: &[RelayFrame]) -> Option<sync_protocol::codec::Blob> {
    frames.iter().rev().find_map(|frame| match frame {
        RelayFrame::Delivery(Delivery::UpToDate { cursor, .. }) => Some(cursor.clone()),
        RelayFrame::Delivery(Delivery::Entries(entries)) => entries.cursor.clone(),
        _ => None,
    })
}
