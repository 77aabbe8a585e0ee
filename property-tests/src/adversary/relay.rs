//! A relay that lies to some of its devices. Its log is an honest one; what it says of it is not. It
//! has what passed through it: entries, tickets, logs, key packages, what lies in inboxes.

use std::collections::{BTreeMap, BTreeSet};

use sync_protocol::codec::Blob;
use sync_protocol::error::Rejection;
use sync_protocol::frames::{
    Answer, ClientFrame, Delivery, Entries, Entry, InboxItem, Notice, Push, RelayFrame, Reply, Run,
    Stored, Taken,
};
use sync_protocol::{AccountId, SpaceId};

use super::{Deed, Stray};
use crate::chance::Chance;
use crate::world::World;

/// The longest that a lie lasts, in virtual ms.
const LASTS_MS: u64 = 60_000;
/// What is kept of each kind, at most.
const KEPT: usize = 24;

const DEEDS: [(u64, Deed); 20] = [
    (5, Deed::Withholds),
    (4, Deed::Freezes),
    (3, Deed::Skips),
    (3, Deed::Reorders),
    (3, Deed::Repeats),
    (3, Deed::Mixes),
    (4, Deed::Alters),
    (3, Deed::Attributes),
    (2, Deed::Dates),
    (3, Deed::Loses),
    (3, Deed::ForgesStored),
    (2, Deed::Refuses),
    (4, Deed::OldTicket),
    (4, Deed::ShortLog),
    (3, Deed::OtherPackages),
    (3, Deed::OldInvitation),
    (2, Deed::KeepsInbox),
    (5, Deed::Smuggles),
    (1, Deed::BeginsAnew),
    (1, Deed::SaysRemoved),
];

/// A lie that goes on.
#[derive(Debug)]
struct Lie {
    deed: Deed,
    victim: usize,
    space: SpaceId,
    /// Whether it is told of any space.
    anywhere: bool,
    until_ms: u64,
    /// How often it may still be told.
    left: u64,
    chance: Chance,
    stray: Option<Stray>,
}

/// What a relay that lies knows and tells.
#[derive(Debug, Default)]
pub(crate) struct LyingRelay {
    lies: Vec<Lie>,
    entries: Vec<Entries>,
    tickets: BTreeMap<SpaceId, Vec<(Blob, u64)>>,
    logs: BTreeMap<AccountId, u64>,
    packages: Vec<Taken>,
    inbox: Vec<(usize, InboxItem)>,
    /// Pushes that were lost, to be said to be stored.
    lost: Vec<(usize, SpaceId, u64, u64)>,
    generations: BTreeMap<SpaceId, (u64, u64)>,
    /// Devices that were shown another log of a space than there is.
    pub(crate) misled: BTreeSet<(usize, SpaceId)>,
}

/// The relay begins to lie to somebody.
pub(super) fn lie(world: &mut World, chance: &mut Chance) {
    let deed = chance.weighted(&DEEDS);
    let victims = world.honest_devices();
    let Some(victim) = chance.pick(&victims).copied() else { return };
    let mut spaces = world.shows(victim);
    spaces.extend(world.own_space(victim));
    let strays = world.adversary().strays.iter();
    let fit: Vec<Stray> = strays.filter(|stray| spaces.contains(&stray.space)).cloned().collect();
    let stray = chance.pick(&fit).filter(|_| deed == Deed::Smuggles).cloned();
    let space = match &stray {
        Some(stray) => Some(stray.space),
        None => chance.pick(&spaces).copied().filter(|_| deed != Deed::Smuggles),
    };
    let Some(space) = space else { return };
    let until_ms = world.now_ms() + chance.between(1_000, LASTS_MS);
    let left = match deed {
        Deed::Withholds | Deed::Freezes | Deed::ShortLog | Deed::KeepsInbox => u64::MAX,
        _ => chance.between(1, 3),
    };
    let anywhere = deed != Deed::Withholds && deed != Deed::Smuggles && chance.one_in(2);
    let chance = Chance::new(chance.number());
    let lie = Lie { deed, victim, space, anywhere, until_ms, left, chance, stray };
    world.adversary_mut().relay.lies.push(lie);
    world.tell_lie(&format!("to device {victim} the relay: {}", deed.words()));
    // What is asked for only at the start of a session is asked for now.
    world.break_line(victim);
}

impl Lie {
    fn is_of(&self, space: SpaceId) -> bool {
        self.anywhere || self.space == space
    }
}

fn keep<T>(kept: &mut Vec<T>, one: T) {
    if kept.len() >= KEPT {
        kept.remove(0);
    }
    kept.push(one);
}

impl LyingRelay {
    /// It lies no more.
    pub(crate) fn stop(&mut self) {
        self.lies.clear();
        self.lost.clear();
    }

    /// Takes note of what passes.
    pub(crate) fn hear(&mut self, device: usize, frame: &RelayFrame) {
        match frame {
            RelayFrame::Delivery(Delivery::Entries(entries)) => {
                let end = entries.first + entries.entries.len() as u64;
                self.generations.insert(entries.space, (entries.generation, end));
                keep(&mut self.entries, entries.clone());
            }
            RelayFrame::Delivery(Delivery::Inbox(items)) => {
                for item in items {
                    keep(&mut self.inbox, (device, item.clone()));
                }
            }
            RelayFrame::Reply(Reply { answer, .. }) => match answer {
                Answer::KeyPackages(taken) => {
                    for one in taken {
                        keep(&mut self.packages, one.clone());
                    }
                }
                Answer::Log { account, from, entries } => {
                    self.logs.insert(*account, from + entries.len() as u64);
                }
                _ => {}
            },
            _ => {}
        }
    }

    /// What a device hears in place of what the relay would have said. Gives what was done.
    pub(crate) fn says(
        &mut self,
        device: usize,
        frame: RelayFrame,
        now_ms: u64,
    ) -> (Vec<RelayFrame>, Vec<(Deed, Option<SpaceId>)>) {
        self.hear(device, &frame);
        self.lies.retain(|lie| lie.until_ms > now_ms && lie.left > 0);
        let mut said = vec![frame];
        let mut done = Vec::new();
        let mut lies = std::mem::take(&mut self.lies);
        for lie in lies.iter_mut().filter(|lie| lie.victim == device) {
            let mut next = Vec::new();
            for frame in said {
                let bent = if lie.left > 0 { self.bent(lie, &frame) } else { None };
                match bent {
                    Some(bent) => {
                        lie.left -= 1;
                        done.push((lie.deed, of_space(&frame, lie)));
                        next.extend(bent);
                    }
                    None => next.push(frame),
                }
            }
            said = next;
        }
        self.lies = lies;
        (said, done)
    }

    /// What becomes of what a device says. Gives what was done.
    pub(crate) fn takes(
        &mut self,
        device: usize,
        frame: ClientFrame,
        now_ms: u64,
    ) -> (Option<ClientFrame>, Option<Deed>) {
        let ClientFrame::Push(push) = &frame else { return (Some(frame), None) };
        if let Some(ticket) = &push.ticket {
            let end = self.generations.get(&push.space).map_or(0, |(_, end)| *end);
            self.tickets.entry(push.space).or_default().push((ticket.clone(), end));
        }
        let loses = |lie: &&mut Lie| {
            let loses = matches!(lie.deed, Deed::Loses | Deed::ForgesStored);
            loses && lie.victim == device && lie.until_ms > now_ms && lie.left > 0
        };
        let Some(lie) = self.lies.iter_mut().find(loses) else { return (Some(frame), None) };
        let (first, count) = numbers(push);
        // Of a change of members such a word parts its author from all others for good
        // (`docs/threat-model.md`, "What is not promised").
        let decides = lie.deed == Deed::ForgesStored && first == 0;
        if (lie.space != push.space && !lie.anywhere) || decides {
            return (Some(frame), None);
        }
        lie.left -= 1;
        let deed = lie.deed;
        if deed == Deed::ForgesStored {
            self.lost.push((device, push.space, first, count));
            self.misled.insert((device, push.space));
        }
        (None, Some(deed))
    }

    /// What it says of itself, without being asked.
    pub(crate) fn invents(&mut self, device: usize, now_ms: u64) -> Option<RelayFrame> {
        let at = self.lost.iter().position(|(of, ..)| *of == device)?;
        let (_, space, seq, count) = self.lost.remove(at);
        let (generation, index) = *self.generations.get(&space)?;
        let run = Run { seq, index, count, time_ms: now_ms };
        Some(RelayFrame::Stored(Stored { space, generation, runs: vec![run] }))
    }

    /// What a lie makes of a frame; `None` if it is not about it.
    fn bent(&self, lie: &mut Lie, frame: &RelayFrame) -> Option<Vec<RelayFrame>> {
        match frame {
            RelayFrame::Delivery(Delivery::Entries(entries)) => self.entries(lie, entries),
            RelayFrame::Delivery(Delivery::Inbox(_)) => match lie.deed {
                Deed::Freezes | Deed::KeepsInbox => Some(Vec::new()),
                _ => None,
            },
            RelayFrame::Delivery(Delivery::UpToDate { .. }) => self.beside(lie, frame),
            RelayFrame::Reply(reply) => self.answer(lie, reply),
            RelayFrame::Notice(Notice::LogChanged { .. }) => match lie.deed {
                Deed::Freezes | Deed::ShortLog => Some(Vec::new()),
                _ => None,
            },
            RelayFrame::Stored(stored) if lie.is_of(stored.space) => match lie.deed {
                Deed::Refuses => {
                    let seq = stored.runs.first()?.seq;
                    let reason = match lie.chance.below(4) {
                        0 => Rejection::Gap { have: 0 },
                        1 => Rejection::Invalid,
                        2 => Rejection::Behind { index: lie.chance.below(9) },
                        _ => Rejection::Quota,
                    };
                    let refused = RelayFrame::Refused { space: stored.space, seq, reason };
                    Some(vec![refused, RelayFrame::Stored(stored.clone())])
                }
                Deed::Freezes => Some(Vec::new()),
                _ => None,
            },
            _ => None,
        }
    }

    /// What is said before a device is told that it has everything.
    fn beside(&self, lie: &mut Lie, frame: &RelayFrame) -> Option<Vec<RelayFrame>> {
        let said = match lie.deed {
            Deed::OldInvitation => {
                let own = self.inbox.iter().filter(|(of, _)| *of == lie.victim);
                let own: Vec<&InboxItem> = own.map(|(_, item)| item).collect();
                let item = (*lie.chance.pick(&own)?).clone();
                let number = item.number + lie.chance.below(3);
                RelayFrame::Delivery(Delivery::Inbox(vec![InboxItem { number, ..item }]))
            }
            Deed::SaysRemoved => RelayFrame::Notice(Notice::Removed { space: lie.space }),
            Deed::Smuggles => {
                let Stray { space, writer, envelope } = lie.stray.clone()?;
                let (generation, first) = *self.generations.get(&space)?;
                let last = self.entries.iter().rfind(|entries| entries.space == space)?;
                let time_ms = last.entries.last()?.time_ms;
                let entries = vec![Entry { writer: 0, time_ms, envelope }];
                let head = first + 1;
                let (writers, cursor) = (vec![writer], None);
                let last = last.clone();
                shown(Entries { generation, first, head, writers, entries, cursor, ..last })
            }
            Deed::Repeats => {
                let of = self.entries.iter().filter(|entries| lie.is_of(entries.space));
                let of: Vec<&Entries> = of.collect();
                shown((*lie.chance.pick(&of)?).clone())
            }
            _ => return None,
        };
        Some(vec![said, frame.clone()])
    }

    fn entries(&self, lie: &mut Lie, entries: &Entries) -> Option<Vec<RelayFrame>> {
        if lie.deed == Deed::Freezes {
            return Some(Vec::new());
        }
        if !lie.is_of(entries.space) {
            return None;
        }
        let end = entries.first + entries.entries.len() as u64;
        let mut lied = entries.clone();
        match lie.deed {
            Deed::Withholds => return Some(Vec::new()),
            Deed::Skips if entries.entries.len() > 1 => {
                let at = lie.chance.index(entries.entries.len() - 1);
                lied.entries.remove(at);
            }
            Deed::Reorders if entries.entries.len() > 1 => {
                let at = lie.chance.index(entries.entries.len() - 1);
                lied.entries.swap(at, at + 1);
            }
            Deed::Mixes => {
                let others = self.entries.iter().filter(|other| other.space != entries.space);
                let others: Vec<&Entries> = others.collect();
                let from = (*lie.chance.pick(&others)?).clone();
                let stray = Entries { space: entries.space, first: end, head: end + 1, ..from };
                return Some(vec![shown(entries.clone()), shown(stray)]);
            }
            Deed::Alters => {
                let at = lie.chance.index(lied.entries.len());
                let entry = lied.entries.get_mut(at)?;
                let bit = lie.chance.index(entry.envelope.0.len() * 8);
                *entry.envelope.0.get_mut(bit / 8)? ^= 1 << (bit % 8);
            }
            Deed::Attributes if lied.writers.len() > 1 => {
                let at = lie.chance.index(lied.entries.len());
                let writers = lied.writers.len() as u32;
                let entry = lied.entries.get_mut(at)?;
                entry.writer = (entry.writer + 1) % writers;
            }
            Deed::Dates => {
                let at = lie.chance.index(lied.entries.len());
                let entry = lied.entries.get_mut(at)?;
                entry.time_ms = entry.time_ms.saturating_sub(lie.chance.below(1 << 40));
            }
            Deed::Smuggles => {
                let stray = lie.stray.clone()?;
                let time_ms = lied.entries.last()?.time_ms;
                let entry = Entry { writer: 0, time_ms, envelope: stray.envelope };
                let smuggled = Entries {
                    first: end,
                    head: end + 1,
                    writers: vec![stray.writer],
                    entries: vec![entry],
                    ..entries.clone()
                };
                return Some(vec![shown(entries.clone()), shown(smuggled)]);
            }
            Deed::BeginsAnew => lied.generation = lied.generation.wrapping_add(1),
            _ => return None,
        }
        Some(vec![shown(lied)])
    }

    fn answer(&self, lie: &mut Lie, reply: &Reply) -> Option<Vec<RelayFrame>> {
        let answer = match (lie.deed, &reply.answer) {
            (Deed::OldTicket, Answer::Ticket { .. }) => {
                let space = match lie.chance.one_in(4) {
                    true => *lie.chance.pick(&self.tickets.keys().copied().collect::<Vec<_>>())?,
                    false => lie.space,
                };
                let (ticket, index) = lie.chance.pick(self.tickets.get(&space)?)?.clone();
                Answer::Ticket { ticket, index }
            }
            (Deed::ShortLog | Deed::Freezes, Answer::Log { account, from, entries }) => {
                let mut entries = entries.clone();
                // All but what nobody is without.
                let least = usize::from(*from == 0);
                entries.truncate(entries.len().saturating_sub(1).max(least));
                Answer::Log { account: *account, from: *from, entries }
            }
            (Deed::OtherPackages, Answer::KeyPackages(taken)) => {
                let other = lie.chance.pick(&self.packages)?.clone();
                let named = taken.iter().map(|one| match lie.chance.one_in(2) {
                    true => other.clone(),
                    false => Taken { device: one.device, package: other.package.clone() },
                });
                Answer::KeyPackages(named.collect())
            }
            _ => return None,
        };
        Some(vec![RelayFrame::Reply(Reply { id: reply.id, answer })])
    }
}

/// Which space's log a lie about a frame is about.
fn of_space(frame: &RelayFrame, lie: &Lie) -> Option<SpaceId> {
    match frame {
        RelayFrame::Delivery(Delivery::Entries(entries)) => Some(entries.space),
        RelayFrame::Delivery(Delivery::UpToDate { .. }) => Some(lie.space),
        _ => None,
    }
}

fn shown(entries: Entries) -> RelayFrame {
    RelayFrame::Delivery(Delivery::Entries(entries))
}

/// The first number of what is pushed, and how many there are; 0 if it is not numbered.
fn numbers(push: &Push) -> (u64, u64) {
    let envelopes = push.envelopes.iter();
    let parsed = envelopes.filter_map(|bytes| {
        sync_protocol::envelope::Envelope::parse(bytes.as_slice()).ok()?.header.chain
    });
    let numbers: Vec<u64> = parsed.map(|chain| chain.seq).collect();
    match numbers.first() {
        Some(first) => (*first, numbers.len() as u64),
        None => (0, 1),
    }
}
