//! What goes wrong, one decision at a time.

use super::{Event, World};
use crate::adversary::Role;
use crate::chance::Chance;
use crate::network::{Side, notice_ms};
use crate::plan::Faults;
use crate::violation::Violation;

const HOUR_MS: u64 = 3600 * 1000;

/// A kind of decision.
#[derive(Clone, Copy, Debug)]
enum Decision {
    Live,
    DeviceCrash,
    RelayCrash,
    Cut,
    Partition,
    Stall,
    Clock,
    FullDisk,
    Absence,
    Churn,
    Beside,
    Lull,
    Rollback,
    Twin,
    Lie(Role),
}

impl Decision {
    /// Whether this goes wrong by itself, and passes.
    fn is_small_fault(self) -> bool {
        match self {
            Self::DeviceCrash
            | Self::RelayCrash
            | Self::Cut
            | Self::Partition
            | Self::Stall
            | Self::Clock
            | Self::FullDisk => true,
            Self::Live
            | Self::Absence
            | Self::Churn
            | Self::Beside
            | Self::Lull
            | Self::Rollback
            | Self::Twin
            | Self::Lie(_) => false,
        }
    }

    /// The name that a plan has for its weight.
    fn name(self) -> Option<&'static str> {
        Some(match self {
            Self::Live => return None,
            Self::DeviceCrash => "device_crash",
            Self::RelayCrash => "relay_crash",
            Self::Cut => "cut",
            Self::Partition => "partition",
            Self::Stall => "stall",
            Self::Clock => "clock",
            Self::FullDisk => "full_disk",
            Self::Absence => "absence",
            Self::Churn => "churn",
            Self::Beside => "beside",
            Self::Lull => "lull",
            Self::Rollback => "rollback",
            Self::Twin => "twin",
            Self::Lie(Role::Relay) => "relay_lies",
            Self::Lie(Role::Member) => "member_cheats",
            Self::Lie(Role::Thief) => "thief_acts",
        })
    }
}

/// The weight of somebody doing something.
const LIVE: u64 = 60;

impl World {
    /// Decides what happens next, and when the decision after it is due.
    pub(super) fn decide(&mut self) -> Result<(), Violation> {
        // Time passes while liars act, and decisions come due beyond the last one.
        if !self.chaos || self.decisions >= self.plan.decisions {
            return Ok(());
        }
        let number = self.decisions;
        self.decisions += 1;
        self.chance.begin(number);
        let decided = self.choose(number);
        self.chance.end();
        decided
    }

    fn choose(&mut self, number: u64) -> Result<(), Violation> {
        let pace_ms =
            if self.chance.deeds().one_in(15) { self.plan.pace_ms * 20 } else { self.plan.pace_ms };
        let pause_ms = self.chance.deeds().between(0, pace_ms);
        let Faults {
            device_crash,
            relay_crash,
            cut,
            partition,
            stall,
            clock,
            full_disk,
            absence,
            rollback,
            twin,
            ..
        } = self.plan.faults;
        let decision = self.chance.deeds().weighted(&[
            (LIVE, Decision::Live),
            (device_crash, Decision::DeviceCrash),
            (relay_crash, Decision::RelayCrash),
            (cut, Decision::Cut),
            (partition, Decision::Partition),
            (stall, Decision::Stall),
            (clock, Decision::Clock),
            (full_disk, Decision::FullDisk),
            (absence, Decision::Absence),
            (self.plan.churn, Decision::Churn),
            (self.plan.beside, Decision::Beside),
            (self.plan.lull, Decision::Lull),
            (rollback, Decision::Rollback),
            (twin, Decision::Twin),
            (self.plan.relay_lies, Decision::Lie(Role::Relay)),
            (self.plan.member_cheats, Decision::Lie(Role::Member)),
            (self.plan.thief_acts, Decision::Lie(Role::Thief)),
        ]);
        let lull_ms = if matches!(decision, Decision::Lull) { self.lull_ms() } else { 0 };
        self.agenda.after(pause_ms + lull_ms, Event::Decide);
        if matches!(decision, Decision::Lull) && self.plan.has_storms() {
            self.storm = self.chance.deeds().one_in(3);
        }
        if self.plan.has_storms() && !self.storm && decision.is_small_fault() {
            return Ok(());
        }
        let left_out = decision.name().is_some_and(|name| self.changes.leaves_out(name));
        if left_out || !self.changes.takes(number) {
            return Ok(());
        }
        self.carry_through(decision)
    }

    fn carry_through(&mut self, decision: Decision) -> Result<(), Violation> {
        let device = self.chance.deeds().index(self.devices.len());
        match decision {
            Decision::Churn => return self.churn(),
            Decision::Beside => return self.beside(),
            Decision::Lull => self.tell(|_| Some("nobody does anything for long".into())),
            Decision::Rollback => self.roll_back(device),
            Decision::Twin => self.double(device),
            Decision::Lie(role) => {
                let seed = self.chance.deeds().number();
                self.adversary.decide(role, Chance::new(seed));
            }
            Decision::Live => return self.live(device),
            Decision::DeviceCrash => {
                let back_ms = self.chance.deeds().below(20_000);
                self.crash_device(device, back_ms);
            }
            Decision::RelayCrash => {
                let back_ms = self.chance.deeds().below(20_000);
                return self.crash_relay(back_ms);
            }
            Decision::Cut => self.cut_one(),
            Decision::Partition => {
                let for_ms = self.chance.deeds().below(60_000);
                self.isolate(device, for_ms);
            }
            Decision::Stall => {
                let for_ms = self.chance.deeds().below(40_000);
                let flowing = self.network.flowing();
                if let Some(id) = self.chance.deeds().pick(&flowing).copied() {
                    self.note(format_args!("stall {} for {for_ms}", id.0));
                    self.tell_connection(id, &format!("stalls for {} s", for_ms / 1000));
                    self.network.stall(id, self.agenda.now_ms(), for_ms);
                }
            }
            Decision::Clock => self.set_a_clock(device),
            Decision::FullDisk => {
                self.fill_disk(device);
            }
            Decision::Absence => {
                let for_ms = self.chance.deeds().between(HOUR_MS, 40 * 24 * HOUR_MS);
                // Where days pass, most absences end before the world does.
                let short = self.plan.lull > 0 && !self.chance.deeds().one_in(3);
                let for_ms = if short { for_ms / 8 } else { for_ms };
                let night = self.plan.has_storms() && !self.chance.deeds().one_in(8);
                let for_ms = if night { for_ms / 10 } else { for_ms };
                self.crash_device(device, for_ms);
            }
        }
        Ok(())
    }

    /// A time in which nobody does anything: mostly hours, sometimes weeks.
    fn lull_ms(&mut self) -> u64 {
        let hours = self.chance.deeds().weighted(&[(4, 6), (2, 3 * 24), (2, 40 * 24)]);
        let hours = hours.min(self.plan.lull_hours);
        self.chance.deeds().between(HOUR_MS / 4, hours * HOUR_MS)
    }

    /// A device's disk is full for a while.
    pub(super) fn fill_disk(&mut self, device: usize) {
        let for_ms = self.chance.deeds().below(20_000);
        self.note(format_args!("full disk at {device} for {for_ms}"));
        self.tell(|teller| Some(format!("{} has a full disk", teller.device(device))));
        self.watch_full(device);
        self.devices[device].disk.set_full(true);
        self.agenda.after(for_ms, Event::Room { device });
    }

    fn cut_one(&mut self) {
        let flowing = self.network.flowing();
        let Some(id) = self.chance.deeds().pick(&flowing).copied() else { return };
        self.note(format_args!("cut {}", id.0));
        self.tell_connection(id, "breaks");
        self.break_up(id);
    }

    /// Breaks a connection; each side learns of it in its own time.
    pub(super) fn break_up(&mut self, id: crate::network::ConnectionId) {
        self.network.cut(id);
        for side in [Side::Device, Side::Relay] {
            let delay = notice_ms(self.chance.deeds());
            self.agenda.after(delay, Event::Closed { connection: id, side });
        }
    }

    /// Lets nothing through to a device for so long.
    pub fn isolate(&mut self, device: usize, for_ms: u64) {
        self.note(format_args!("isolate {device} for {for_ms}"));
        self.tell(|teller| {
            let seconds = for_ms / 1000;
            Some(format!("{} reaches nobody for {seconds} s", teller.device(device)))
        });
        let slot = &mut self.devices[device];
        slot.reachable = false;
        if let Some(id) = slot.connection {
            self.break_up(id);
        }
        self.agenda.after(for_ms, Event::Reach { device });
    }

    fn set_a_clock(&mut self, device: usize) {
        if self.chance.deeds().one_in(3) {
            self.relay_clock.nudge(self.chance.deeds());
            self.note(format_args!("relay clock {}", self.relay_clock.skew_ms()));
        } else {
            let clock = &mut self.devices[device].clock;
            clock.jump(self.chance.deeds());
            let skew = clock.skew_ms();
            self.note(format_args!("clock of {device} {skew}"));
            self.tell(|teller| {
                let seconds = skew / 1000;
                Some(format!("{}'s clock is off by {seconds} s now", teller.device(device)))
            });
        }
    }
}
