//! The wire: connections open, carry messages, break and are closed.

use std::sync::Arc;

use sync_core::Input;
use sync_protocol::frames::{Answer, ClientFrame, Delivery, Op, RelayFrame, Reply, Request};

use super::{Event, World};
use crate::network::{ConnectionId, Side};
use crate::plan::Planted;
use crate::relay_host::Wish;
use crate::trace::short;
use crate::violation::Violation;

impl World {
    /// A device wants a socket.
    pub(super) fn dial(&mut self, device: usize) {
        let now_ms = self.agenda.now_ms();
        let slot = &mut self.devices[device];
        let id = self.network.open(device, slot.life);
        let before = slot.connection.replace(id);
        slot.unconfirm(now_ms);
        if let Some(before) = before {
            self.hang_up(before);
        }
        if let Some(connection) = self.network.connection_mut(id) {
            connection.device_open = true;
        }
        let way = self.way_ms(id);
        self.agenda.after(way, Event::Open { connection: id });
    }

    /// A device closes its socket: what it sent before still arrives.
    pub(super) fn hang_up(&mut self, id: ConnectionId) {
        self.network.let_go(id, Side::Device);
        let now = self.agenda.now_ms();
        let way = self.way_ms(id);
        let due = self.network.due(id, Side::Relay, now, way);
        self.agenda.at(due, Event::Closed { connection: id, side: Side::Relay });
    }

    pub(super) fn opened(&mut self, id: ConnectionId) -> Result<(), Violation> {
        let Some((device, life)) = self.network.connection(id).map(|c| (c.device, c.life)) else {
            return Ok(());
        };
        let slot = &self.devices[device];
        if slot.life != life || slot.connection != Some(id) {
            self.network.let_go(id, Side::Device);
            return Ok(());
        }
        if !slot.reachable || !self.relay.runs() {
            self.note(format_args!("unreachable for {device}"));
            return self.closed(id, Side::Device);
        }
        self.note(format_args!("connected {device}"));
        if let Some(connection) = self.network.connection_mut(id) {
            connection.relay_open = true;
        }
        self.heard();
        let nonce = self.chance.relay().bytes();
        let now_ms = self.relay_ms();
        self.relay.connect(id, nonce, now_ms);
        self.plan_commit();
        self.feed(device, Input::Connected)
    }

    /// Sends a device's message on its way.
    pub(super) fn send_up(&mut self, device: usize, message: Vec<u8>) -> Result<(), Violation> {
        let Some(id) = self.devices[device].connection else { return Ok(()) };
        let bent = match &mut self.bender {
            Some(bender) => match ClientFrame::parse(&message) {
                Ok(frame) => bender(device, frame).iter().map(ClientFrame::to_bytes).collect(),
                Err(_) => vec![message],
            },
            None => {
                self.monitor.from_device(id, &message)?;
                vec![message]
            }
        };
        if self.lost_on_the_way(device, &bent.concat()) {
            return Ok(());
        }
        for message in bent {
            let way = self.way_ms(id);
            let due = self.network.due(id, Side::Relay, self.agenda.now_ms(), way);
            self.agenda.at(due, Event::ToRelay { connection: id, message });
        }
        Ok(())
    }

    pub(super) fn at_relay(&mut self, id: ConnectionId, message: &[u8]) -> Result<(), Violation> {
        if !self.network.arrives(id, Side::Relay) {
            return Ok(());
        }
        self.note(format_args!("at relay {} {}", id.0, short(message)));
        self.trace.aside(|| format!("{:?}", ClientFrame::parse(message)));
        if self.plan.planted == Planted::TakesEnded
            && let Some(answer) = self.delays_an_end(id, message)
        {
            self.put_down(id, answer.to_bytes().into());
            return Ok(());
        }
        self.heard();
        let now_ms = self.relay_ms();
        self.relay.receive(id, message, now_ms);
        self.plan_commit();
        Ok(())
    }

    /// A planted relay that takes its time with what ends a device, and says that it is done.
    fn delays_an_end(&mut self, id: ConnectionId, message: &[u8]) -> Option<RelayFrame> {
        let Ok(ClientFrame::Request(Request { id: number, op: Op::AppendLog { entry, .. } })) =
            ClientFrame::parse(message)
        else {
            return None;
        };
        let device = self.network.connection(id)?.device;
        let account = self.book.account_of(self.devices[device].person)?;
        let mut log = self.registry.log(&account)?.clone();
        let before = log.devices().count();
        log.append(entry.as_slice()).ok()?;
        (log.devices().count() < before)
            .then_some(RelayFrame::Reply(Reply { id: number, answer: Answer::Done }))
    }

    pub(super) fn commit(&mut self, life: u64) -> Result<(), Violation> {
        if life != self.relay.life() {
            return Ok(());
        }
        let now_ms = self.relay_ms();
        let wishes = self.relay.commit(now_ms)?;
        if self.has_churn() || self.plan.has_liars() {
            self.read_registry();
            self.spring();
        }
        for wish in wishes {
            match wish {
                Wish::Send(id, message) => {
                    if self.bender.is_none() {
                        self.monitor.from_relay(id, &message)?;
                        self.watch_relay(&message);
                    }
                    self.send_down(id, message);
                }
                Wish::Close(id, reason) => {
                    self.note(format_args!("relay closes {}: {reason}", id.0));
                    self.network.let_go(id, Side::Relay);
                    let way = self.way_ms(id);
                    let due = self.network.due(id, Side::Device, self.agenda.now_ms(), way);
                    self.agenda.at(due, Event::Closed { connection: id, side: Side::Device });
                }
            }
        }
        if self.relay.is_busy() {
            self.plan_commit();
        }
        Ok(())
    }

    fn send_down(&mut self, id: ConnectionId, message: Arc<[u8]>) {
        let device = self.network.connection(id).map(|connection| connection.device);
        let message = match device {
            Some(device) => self.tampered(device, message),
            None => message,
        };
        let device = device.filter(|_| !self.ghosts.contains_key(&id));
        if let Some(said) = device.and_then(|device| self.lied(device, &message)) {
            for frame in said {
                self.put_down(id, frame.to_bytes().into());
            }
            return;
        }
        if let Some((meddler, device)) = self.meddler.as_mut().zip(device)
            && let Ok(frame) = RelayFrame::parse(&message)
        {
            for frame in meddler(device, frame) {
                self.put_down(id, frame.to_bytes().into());
            }
            return;
        }
        if self.chaos && self.chance.relay().one_in(self.plan.faults.hostile) {
            self.meddle(id, message);
        } else {
            self.put_down(id, message);
        }
    }

    /// A relay that loses, doubles and swaps.
    fn meddle(&mut self, id: ConnectionId, message: Arc<[u8]>) {
        match self.chance.relay().below(3) {
            0 => self.note(format_args!("hostile: drops")),
            1 => {
                self.note(format_args!("hostile: doubles"));
                self.put_down(id, message.clone());
                self.put_down(id, message);
            }
            _ => {
                self.note(format_args!("hostile: holds back"));
                self.held = Some((id, message));
            }
        }
    }

    fn put_down(&mut self, id: ConnectionId, message: Arc<[u8]>) {
        let way = self.way_ms(id);
        let due = self.network.due(id, Side::Device, self.agenda.now_ms(), way);
        self.agenda.at(due, Event::ToDevice { connection: id, message });
        if let Some((_, held)) = self.held.take_if(|(held, _)| *held == id) {
            self.agenda.at(due, Event::ToDevice { connection: id, message: held });
        }
    }

    pub(super) fn at_device(&mut self, id: ConnectionId, message: &[u8]) -> Result<(), Violation> {
        if !self.network.arrives(id, Side::Device) {
            return Ok(());
        }
        let Some((device, life)) = self.network.connection(id).map(|c| (c.device, c.life)) else {
            return Ok(());
        };
        if self.haunted(id, message) {
            return Ok(());
        }
        let slot = &mut self.devices[device];
        if slot.life != life || slot.connection != Some(id) {
            return Ok(());
        }
        if let Ok(RelayFrame::Delivery(Delivery::UpToDate { .. })) = RelayFrame::parse(message) {
            slot.confirmed_until_ms = u64::MAX;
        }
        self.note(format_args!("at {device} {}", short(message)));
        self.trace.aside(|| format!("{:?}", RelayFrame::parse(message)));
        self.tell_answer(device, message);
        self.feed(device, Input::Received(message.to_vec()))
    }

    pub(super) fn closed(&mut self, id: ConnectionId, side: Side) -> Result<(), Violation> {
        let Some(connection) = self.network.connection(id) else { return Ok(()) };
        let (device, life) = (connection.device, connection.life);
        let open =
            if side == Side::Device { connection.device_open } else { connection.relay_open };
        self.network.let_go(id, side);
        if !open {
            return Ok(());
        }
        self.note(format_args!("closed {} at {side:?}", id.0));
        if side == Side::Relay {
            self.heard();
            let now_ms = self.relay_ms();
            self.relay.disconnect(id, now_ms);
            self.plan_commit();
            return Ok(());
        }
        if self.ghosts.contains_key(&id) {
            return Ok(());
        }
        let slot = &mut self.devices[device];
        if slot.life != life || slot.connection != Some(id) {
            return Ok(());
        }
        slot.connection = None;
        slot.unconfirm(self.agenda.now_ms());
        self.feed(device, Input::Disconnected)
    }

    /// How long a message is on its way.
    pub(super) fn way_ms(&mut self, id: ConnectionId) -> u64 {
        let device = self.network.connection(id).map(|connection| connection.device);
        let chance = match device.filter(|device| *device < self.devices.len()) {
            Some(device) => self.chance.device(device),
            None => self.chance.relay(),
        };
        chance.between(0, self.plan.delay_ms)
    }
}
