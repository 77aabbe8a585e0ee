//! What kind of world a seed makes: how many people, how long, and what goes wrong in it.

use crate::chance::Chance;
use crate::disk::DiskFault;
use crate::order::OrderFault;
use crate::relay_store::RelayFault;

/// Random decisions in a world of the ordinary suite.
const DECISIONS: u64 = 90;
/// The longest time in which nobody does anything, in most worlds that have such times.
const LULL_HOURS: u64 = 40 * 24;
/// Random decisions in a world of the long run: with what lies between them, some 30 days.
const LONG: u64 = 700;
/// Devices that a person uses at once, in most worlds.
const HOUSEHOLD: usize = 4;
/// Conversations that somebody is in, after which nobody founds more, in most worlds.
const CONVERSATIONS: usize = 4;

/// A plan's numbers, by the names that a command line has for them.
const NAMES: [&str; 29] = [
    "people",
    "decisions",
    "pace",
    "delay",
    "sync",
    "membership",
    "churn",
    "device_crash",
    "output_crash",
    "relay_crash",
    "cut",
    "partition",
    "stall",
    "clock",
    "full_disk",
    "absence",
    "hostile",
    "rollback",
    "twin",
    "beside",
    "lull",
    "household",
    "conversations",
    "lull_hours",
    "linked",
    "relay_lies",
    "member_cheats",
    "thief_acts",
    "nodes",
];

/// What goes wrong. A weight is a share among all decisions; 0 turns the thing off. Each seed turns
/// some off, since faults that always come together hide each other's bugs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// Weight: a device loses its power and comes back.
    pub device_crash: u64,
    /// A device crashes between two outputs, once in so many.
    pub output_crash: u64,
    /// Weight: the relay loses its power and comes back.
    pub relay_crash: u64,
    /// Weight: a connection breaks, and each side learns of it in its own time.
    pub cut: u64,
    /// Weight: a device reaches nobody for a while.
    pub partition: u64,
    /// Weight: a connection stalls.
    pub stall: u64,
    /// Weight: a device's clock is set wrong, or the relay's moves.
    pub clock: u64,
    /// Weight: a device's disk is full for a while.
    pub full_disk: u64,
    /// Weight: a person is away for hours or days.
    pub absence: u64,
    /// The relay drops, doubles or swaps a delivery inside a session, once in so many.
    pub hostile: u64,
    /// Weight: a device's profile is put back to an earlier moment.
    pub rollback: u64,
    /// Weight: a device's profile is copied and used twice for a while.
    pub twin: u64,
}

/// A bug put into the world on purpose, to see whether the invariants catch it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Planted {
    /// None.
    #[default]
    Nothing,
    /// The relay acknowledges before it is durable.
    LostAck,
    /// A device's store goes back in time, and the relay's fence with it.
    ReusedSeq,
    /// Devices' disks lose a batch and keep a later one.
    ReorderedPersist,
    /// The relay takes pushes whose author has not seen a removal.
    UnseenRemoval,
    /// The relay says that a device ended, and goes on taking what it writes.
    TakesEnded,
    /// The log that nodes share, or one of them, goes wrong like this.
    Order(OrderFault),
}

/// A world's plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// People, each with one device to begin with.
    pub people: usize,
    /// Random decisions before the world heals.
    pub decisions: u64,
    /// The longest pause between two decisions that follow closely, in ms.
    pub pace_ms: u64,
    /// The longest way of a message, in ms.
    pub delay_ms: u64,
    /// The longest time until a batch is durable, in ms.
    pub sync_ms: u64,
    /// Weight of changes of members, roles and titles among what people do.
    pub membership: u64,
    /// Weight of devices being linked, ended, lost and brought back, among all decisions; 0 for a
    /// world in which everybody keeps their one device.
    pub churn: u64,
    /// Weight of things that happen beside each other on purpose.
    pub beside: u64,
    /// Weight of times of hours and weeks in which nobody does anything.
    pub lull: u64,
    /// The longest such time, in hours.
    pub lull_hours: u64,
    /// Devices that each person links before anything goes wrong.
    pub linked: u64,
    /// Devices that a person uses at once.
    pub household: usize,
    /// Conversations that somebody is in, after which nobody founds more.
    pub conversations: usize,
    /// Weight: the relay lies to somebody.
    pub relay_lies: u64,
    /// Weight: a member, the last of the people, cheats.
    pub member_cheats: u64,
    /// Weight: a thief does something with a device of the first person's.
    pub thief_acts: u64,
    /// Nodes of the relay, over one log; 0 for a relay that is alone.
    pub nodes: u64,
    /// What goes wrong.
    pub faults: Faults,
    /// A bug put in on purpose.
    pub planted: Planted,
}

impl Plan {
    /// What a seed of the ordinary suite plans.
    #[must_use]
    pub fn drawn(chance: &mut Chance) -> Self {
        let mut some = |weight: u64| if chance.one_in(2) { weight } else { 0 };
        let faults = Faults {
            device_crash: some(3),
            output_crash: some(900),
            relay_crash: some(2),
            cut: some(5),
            partition: some(3),
            stall: some(3),
            clock: some(3),
            full_disk: some(1),
            absence: some(1),
            hostile: 0,
            rollback: 0,
            twin: 0,
        };
        Self {
            people: 2 + chance.index(4),
            decisions: DECISIONS,
            pace_ms: chance.weighted(&[(2, 50), (3, 800), (1, 5_000)]),
            delay_ms: chance.weighted(&[(2, 5), (3, 80), (1, 2_000)]),
            sync_ms: chance.weighted(&[(2, 1), (2, 20), (1, 400)]),
            membership: chance.weighted(&[(1, 0), (3, 6), (1, 25)]),
            churn: 0,
            beside: 0,
            lull: 0,
            lull_hours: LULL_HOURS,
            linked: 0,
            household: HOUSEHOLD,
            conversations: CONVERSATIONS,
            relay_lies: 0,
            member_cheats: 0,
            thief_acts: 0,
            nodes: 0,
            faults,
            planted: Planted::Nothing,
        }
    }

    /// What a seed of the suite of nodes plans: people around a relay of three nodes.
    #[must_use]
    pub fn of_nodes(chance: &mut Chance) -> Self {
        let drawn = Self::drawn(chance);
        // What lies between a relay and its devices is looked at where it is alone.
        let faults = Faults { hostile: 0, ..drawn.faults };
        Self { nodes: 3, faults, ..drawn }
    }

    /// What a seed of the suite of devices plans: fewer people, whose devices come and go.
    #[must_use]
    pub fn of_devices(chance: &mut Chance) -> Self {
        let drawn = Self::drawn(chance);
        Self {
            people: 2 + chance.index(2),
            membership: chance.weighted(&[(2, 0), (2, 4)]),
            churn: chance.weighted(&[(1, 4), (2, 9), (1, 18)]),
            ..drawn
        }
    }

    /// What a seed from the third edition on plans beyond that: more people, devices and conversations
    /// in some worlds, days that pass, and things that happen at once.
    #[must_use]
    pub fn grown(self, chance: &mut Chance) -> Self {
        let lull = chance.weighted(&[(3, 0), (1, 2)]);
        let absence = if lull > 0 { 4 } else { self.faults.absence };
        let grown = Self {
            conversations: chance.weighted(&[(3, CONVERSATIONS), (1, 7)]),
            lull,
            faults: Faults { absence, ..self.faults },
            ..self
        };
        if self.churn == 0 {
            let people = chance.weighted(&[(5, self.people), (1, 6)]);
            return Self { people, ..grown };
        }
        Self {
            people: chance.weighted(&[(4, 2), (5, 3), (2, 4), (1, 6)]),
            household: chance.weighted(&[(3, HOUSEHOLD), (1, 6)]),
            beside: chance.weighted(&[(1, 0), (2, 4), (1, 12)]),
            ..grown
        }
    }

    /// What a seed of the suite of the long run plans: four people with three devices each, some 30
    /// days of sleep and waking, and storms of small faults with quiet between.
    #[must_use]
    pub fn long(chance: &mut Chance) -> Self {
        let faults = Faults {
            device_crash: 4,
            output_crash: chance.weighted(&[(2, 0), (1, 5_000)]),
            relay_crash: 1,
            cut: 8,
            partition: 4,
            stall: 4,
            clock: 1,
            full_disk: 1,
            absence: 6,
            ..Faults::default()
        };
        Self {
            people: 4,
            decisions: LONG,
            pace_ms: 5_000,
            delay_ms: chance.weighted(&[(3, 80), (1, 2_000)]),
            sync_ms: chance.weighted(&[(2, 1), (2, 20)]),
            membership: 2,
            churn: 2,
            beside: 1,
            lull: 25,
            lull_hours: 12,
            linked: 2,
            faults,
            ..Self::calm(4)
        }
    }

    /// What a seed of the suite of adversaries plans: some people in conversations of which one liar
    /// or two have their hands in, while networks and disks fail a little.
    #[must_use]
    pub fn of_adversaries(chance: &mut Chance) -> Self {
        let mut some = |weight: u64| if chance.one_in(2) { weight } else { 0 };
        let faults = Faults {
            device_crash: some(2),
            cut: some(3),
            partition: some(2),
            relay_crash: some(1),
            ..Faults::default()
        };
        let (relay, member, thief) = chance.weighted(&[
            (4, (1, 0, 0)),
            (4, (0, 1, 0)),
            (3, (0, 0, 1)),
            (2, (1, 1, 0)),
            (2, (1, 0, 1)),
        ]);
        let weight = chance.weighted(&[(1, 12), (2, 35), (1, 80)]);
        let devices = thief > 0 || chance.one_in(2);
        Self {
            decisions: chance.weighted(&[(3, 40), (2, 70)]),
            pace_ms: chance.weighted(&[(1, 50), (3, 800), (2, 5_000)]),
            delay_ms: chance.weighted(&[(2, 5), (3, 80), (1, 2_000)]),
            sync_ms: chance.weighted(&[(2, 1), (2, 20)]),
            membership: chance.weighted(&[(1, 0), (3, 4)]),
            churn: if devices { chance.weighted(&[(1, 1), (2, 5)]) } else { 0 },
            linked: u64::from(devices),
            relay_lies: relay * weight,
            member_cheats: member * weight,
            thief_acts: thief * weight,
            faults,
            ..Self::calm(3 + chance.index(2))
        }
    }

    /// Whether somebody in this world lies.
    #[must_use]
    pub fn has_liars(&self) -> bool {
        self.relay_lies + self.member_cheats + self.thief_acts > 0
    }

    /// Whether small faults come in storms, with quiet between.
    #[must_use]
    pub fn has_storms(&self) -> bool {
        self.linked > 0 && !self.has_liars()
    }

    /// A world in which nothing goes wrong and nobody does anything by themselves.
    #[must_use]
    pub fn calm(people: usize) -> Self {
        Self {
            people,
            decisions: 0,
            pace_ms: 100,
            delay_ms: 10,
            sync_ms: 1,
            membership: 0,
            churn: 0,
            beside: 0,
            lull: 0,
            lull_hours: LULL_HOURS,
            linked: 0,
            household: HOUSEHOLD,
            conversations: CONVERSATIONS,
            relay_lies: 0,
            member_cheats: 0,
            thief_acts: 0,
            nodes: 0,
            faults: Faults::default(),
            planted: Planted::Nothing,
        }
    }

    /// This plan for a world in which people have many devices.
    #[must_use]
    pub fn with_devices(self) -> Self {
        Self { churn: self.churn.max(1), ..self }
    }

    /// This plan with another number of decisions.
    #[must_use]
    pub fn lasting(self, decisions: u64) -> Self {
        Self { decisions, ..self }
    }

    /// The numbers of a plan that a command line may change, by name.
    pub fn names() -> impl Iterator<Item = &'static str> {
        NAMES.into_iter()
    }

    /// Sets one of the plan's numbers. Nothing happens for a name that none of them has.
    pub fn set(&mut self, name: &str, value: u64) {
        if let Some(size) = self.size(name) {
            *size = usize::try_from(value).unwrap_or(usize::MAX);
        } else if let Some(number) = self.number(name) {
            *number = value;
        }
    }

    /// One of the plan's numbers.
    #[must_use]
    pub fn get(mut self, name: &str) -> u64 {
        if let Some(size) = self.size(name) {
            return *size as u64;
        }
        self.number(name).copied().unwrap_or_default()
    }

    fn size(&mut self, name: &str) -> Option<&mut usize> {
        Some(match name {
            "people" => &mut self.people,
            "household" => &mut self.household,
            "conversations" => &mut self.conversations,
            _ => return None,
        })
    }

    fn number(&mut self, name: &str) -> Option<&mut u64> {
        let faults = &mut self.faults;
        Some(match name {
            "decisions" => &mut self.decisions,
            "pace" => &mut self.pace_ms,
            "delay" => &mut self.delay_ms,
            "sync" => &mut self.sync_ms,
            "membership" => &mut self.membership,
            "churn" => &mut self.churn,
            "device_crash" => &mut faults.device_crash,
            "output_crash" => &mut faults.output_crash,
            "relay_crash" => &mut faults.relay_crash,
            "cut" => &mut faults.cut,
            "partition" => &mut faults.partition,
            "stall" => &mut faults.stall,
            "clock" => &mut faults.clock,
            "full_disk" => &mut faults.full_disk,
            "absence" => &mut faults.absence,
            "hostile" => &mut faults.hostile,
            "rollback" => &mut faults.rollback,
            "twin" => &mut faults.twin,
            "beside" => &mut self.beside,
            "lull" => &mut self.lull,
            "lull_hours" => &mut self.lull_hours,
            "linked" => &mut self.linked,
            "relay_lies" => &mut self.relay_lies,
            "member_cheats" => &mut self.member_cheats,
            "thief_acts" => &mut self.thief_acts,
            "nodes" => &mut self.nodes,
            _ => return None,
        })
    }

    /// What devices' disks do wrong.
    #[must_use]
    pub fn disk_fault(&self) -> DiskFault {
        if self.planted == Planted::ReorderedPersist {
            DiskFault::Reorders
        } else {
            DiskFault::None
        }
    }

    /// What the relay's store does wrong.
    #[must_use]
    pub fn relay_fault(&self) -> RelayFault {
        match self.planted {
            Planted::LostAck => RelayFault::ForgetsTheLast,
            Planted::UnseenRemoval => RelayFault::HidesHandshakes,
            _ => RelayFault::None,
        }
    }

    /// What the log that nodes share does wrong, or one of them on it.
    #[must_use]
    pub fn order_fault(&self) -> OrderFault {
        match self.planted {
            Planted::Order(fault) => fault,
            _ => OrderFault::None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_sets_its_own_number() {
        let calm = Plan::calm(3);
        for name in Plan::names() {
            let mut plan = calm;
            plan.set(name, 99);
            let changed: Vec<_> =
                Plan::names().filter(|one| plan.get(one) != calm.get(one)).collect();
            assert_eq!(changed, [name]);
        }
    }
}
