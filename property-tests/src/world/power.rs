//! Power: devices and the relay come up and go down.

use std::mem;

use sync_core::Engine;
use sync_core::records::{Records, index_prefixes};
use sync_server::relay::TICK_MS;

use super::{Event, World};
use crate::network::{Side, notice_ms};
use crate::violation::{Invariant, Violation};

/// The relay does what it does by itself within so many ms after it heard something.
const SILENT_MS: u64 = 5 * 60 * 1000;
const HOUR_MS: u64 = 3600 * 1000;

impl World {
    /// Switches a device on.
    pub(super) fn boot(&mut self, device: usize) -> Result<(), Violation> {
        let seed = self.chance.device(device).bytes();
        let slot = &mut self.devices[device];
        if slot.engine.is_some() || slot.retired {
            return Ok(());
        }
        self.watch_boot(device);
        let slot = &mut self.devices[device];
        slot.life += 1;
        slot.synced_ms = 0;
        slot.disk.reopen();
        let mut index = Records::new();
        for prefix in index_prefixes() {
            index.extend(slot.disk.read(prefix));
        }
        let now_ms = slot.clock.shows(self.agenda.now_ms());
        let life = slot.life;
        self.tell(|teller| Some(format!("{} starts", teller.device(device))));
        self.note(format_args!("boot {device} life {life} with {} records", index.len()));
        let engine = Engine::open(seed, now_ms, index).map_err(|error| {
            let detail = format!("device {device} does not open its store: {error}");
            Violation::new(Invariant::Robust, detail)
        })?;
        self.devices[device].engine = Some(engine);
        self.drain(device)?;
        self.agenda.after(0, Event::Refresh { device, life });
        Ok(())
    }

    /// Switches a device off without a warning, and on again after so long.
    pub fn crash_device(&mut self, device: usize, back_ms: u64) {
        let (kept, lost) = self.devices[device].disk.crash(self.chance.device(device));
        self.note(format_args!("crash {device} keeps {kept} loses {lost}"));
        self.tell(|teller| {
            let (who, batches) = (teller.device(device), kept + lost);
            let back = back_ms / 1000;
            Some(format!("{who} crashes, keeps {kept} of {batches} batches, is back in {back} s"))
        });
        self.watch_off(device);
        self.switch_off(device);
        self.agenda.after(back_ms, Event::Boot { device });
    }

    /// The engine goes; what its users asked for and were not answered is in doubt.
    pub(super) fn switch_off(&mut self, device: usize) {
        let now_ms = self.agenda.now_ms();
        let slot = &mut self.devices[device];
        slot.engine = None;
        slot.life += 1;
        slot.unconfirm(now_ms);
        slot.screen.crashed();
        let asked = mem::take(&mut slot.asked);
        let connection = slot.connection.take();
        for asked in asked.into_values() {
            self.book.unanswered(device, slot.person, &asked);
        }
        if let Some(id) = connection {
            self.network.cut(id);
            self.network.let_go(id, Side::Device);
            let delay = notice_ms(self.chance.device(device));
            self.agenda.after(delay, Event::Closed { connection: id, side: Side::Relay });
        }
    }

    /// Takes a device out of the world for good.
    pub fn retire(&mut self, device: usize) {
        self.switch_off(device);
        self.devices[device].retired = true;
    }

    /// Switches the relay on.
    pub(super) fn boot_relay(&mut self) -> Result<(), Violation> {
        if self.relay.runs() {
            return Ok(());
        }
        self.relay.start()?;
        let life = self.relay.life();
        self.note(format_args!("boot relay life {life}"));
        self.tell(|_| Some("the relay starts".into()));
        self.plan_tick(0);
        Ok(())
    }

    /// Switches the relay off without a warning, and on again after so long.
    pub fn crash_relay(&mut self, back_ms: u64) -> Result<(), Violation> {
        self.note(format_args!("crash relay"));
        self.watch_relay_crash();
        self.tell(|_| Some(format!("the relay crashes, and is back in {} s", back_ms / 1000)));
        if self.chance.relay().one_in(3) {
            // Between becoming durable and saying so.
            let now_ms = self.relay_ms();
            let _ = self.relay.commit(now_ms);
        }
        self.relay.crash();
        if self.has_churn() || self.plan.has_liars() {
            self.read_registry();
        }
        self.held = None;
        if let Some(table) =
            self.relay.store().and_then(|store| store.holds(crate::MARK.as_bytes()))
        {
            let detail = format!("the relay's {table:?} hold a plaintext");
            return Err(Violation::new(Invariant::Sealed, detail));
        }
        for id in self.network.all() {
            self.network.cut(id);
            self.network.let_go(id, Side::Relay);
            let delay = notice_ms(self.chance.relay());
            self.agenda.after(delay, Event::Closed { connection: id, side: Side::Device });
        }
        self.agenda.after(back_ms, Event::BootRelay);
        Ok(())
    }

    pub(super) fn tick(&mut self, life: u64, number: u64) {
        if life != self.relay.life() || number != self.tick || !self.relay.runs() {
            return;
        }
        let now_ms = self.relay_ms();
        self.relay.tick(now_ms);
        self.plan_commit();
        let silent_ms = self.agenda.now_ms().saturating_sub(self.heard_ms);
        let delay = if self.plan.lull > 0 && silent_ms > SILENT_MS { HOUR_MS } else { TICK_MS };
        self.plan_tick(delay);
    }

    fn plan_tick(&mut self, delay_ms: u64) {
        self.tick += 1;
        let (life, number) = (self.relay.life(), self.tick);
        self.agenda.after(delay_ms, Event::Tick { life, number });
    }

    /// The relay hears something: from here on it ticks every second again. In a world in which days
    /// pass it does nothing of its own in the silence, and ticks by the hour.
    pub(super) fn heard(&mut self) {
        let now_ms = self.agenda.now_ms();
        let silent_ms = now_ms.saturating_sub(std::mem::replace(&mut self.heard_ms, now_ms));
        if self.plan.lull > 0 && silent_ms > SILENT_MS && self.relay.runs() {
            self.plan_tick(0);
        }
    }

    pub(super) fn plan_commit(&mut self) {
        if self.relay.runs() && self.relay.needs_commit() {
            let delay = self.chance.relay().below(5);
            self.agenda.after(delay, Event::Commit { life: self.relay.life() });
        }
    }
}
