//! Somebody who lies, at random: a relay, a member, a thief with a device. They lie only about what
//! they could really have: a relay has what passed through it, a member the keys on its own disk, a
//! thief what it copied from a device before its owner ended it.
//!
//! What they do is decided like everything in a world, and done between two of the world's steps
//! (`World::lie`). [`Deed`] names it, so that a soak can count it.

#[allow(missing_docs, reason = "records bear the names that docs/protocol.md gives them")]
#[allow(clippy::unwrap_used, reason = "what is read was looked for first: see `cheat::reads`")]
pub mod cheat;
mod deed;
#[allow(missing_docs, reason = "records bear the names that docs/protocol.md gives them")]
#[allow(clippy::unwrap_used, reason = "keys and nonces have the right length")]
pub mod forge;
mod member;
mod relay;
mod thief;
mod tricks;
#[allow(missing_docs, reason = "records bear the names that docs/protocol.md gives them")]
#[allow(clippy::unwrap_used, reason = "what is read was looked for first: see `cheat::reads`")]
pub mod ways_in;

use std::collections::BTreeMap;

use sync_core::trust::Invalid;
use sync_protocol::codec::Blob;
use sync_protocol::{SpaceId, WriterId};

use crate::MARK;
use crate::chance::Chance;
use crate::violation::Violation;
use crate::world::World;

pub use deed::Deed;
pub(crate) use relay::LyingRelay;

/// How long an owner waits before they try to end a stolen device once more.
const TRIES_MS: u64 = 5_000;

/// Who lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// The relay, to some of its devices.
    Relay,
    /// A member of conversations, by a program of its own.
    Member,
    /// A thief that has one of somebody's devices.
    Thief,
}

/// An envelope that a liar made and that no honest relay would put into its log.
#[derive(Clone, Debug)]
pub(crate) struct Stray {
    pub(crate) space: SpaceId,
    pub(crate) writer: WriterId,
    pub(crate) envelope: Blob,
}

/// All who lie in a world, and what they did.
#[derive(Debug, Default)]
pub struct Adversary {
    pub(crate) relay: LyingRelay,
    member: member::Member,
    thief: thief::Thief,
    /// What was decided and is not done yet.
    due: Vec<(Role, Chance)>,
    /// What a relay that helps them may put into somebody's log.
    strays: Vec<Stray>,
    done: BTreeMap<Deed, u64>,
    texts: u64,
}

impl Adversary {
    /// Whether the device is a liar's: what it shows is no promise, and nobody waits for it.
    #[must_use]
    pub fn has(&self, device: usize, person: usize) -> bool {
        self.member.person() == Some(person) || self.thief.device() == Some(device)
    }

    /// The cheating member, if there is one.
    #[must_use]
    pub fn person(&self) -> Option<usize> {
        self.member.person()
    }

    /// How often each thing was done.
    #[must_use]
    pub fn done(&self) -> &BTreeMap<Deed, u64> {
        &self.done
    }

    /// Takes note of a deed.
    pub(crate) fn did(&mut self, deed: Deed) {
        *self.done.entry(deed).or_default() += 1;
    }

    /// Decides that one of them does something as soon as the world is between two steps.
    pub(crate) fn decide(&mut self, role: Role, chance: Chance) {
        self.due.push((role, chance));
    }

    fn text(&mut self) -> String {
        self.texts += 1;
        format!("{MARK}lie{}~", self.texts)
    }

    fn keep(&mut self, stray: Stray) {
        /// Envelopes that are kept at most.
        const STRAYS: usize = 40;
        if self.strays.len() >= STRAYS {
            self.strays.remove(0);
        }
        self.strays.push(stray);
    }

    /// Whether what a device says it found out may be true, by what these liars have. The accused
    /// is a writer or the relay, as the reason says; an honest one is never accused.
    #[must_use]
    pub fn explains(&self, why: &Invalid, relay_lies: bool) -> bool {
        let keys = self.member.person().is_some() || self.thief.device().is_some();
        match why {
            // Only who has a writer's keys can sign what shows this, whatever a relay does.
            Invalid::TwoForOneNumber | Invalid::NotCommitted | Invalid::TooManyWriters => keys,
            // Only an account's primary can sign a fork of its log, and no primary lies here.
            Invalid::LogForks { .. } => false,
            // Nobody signs these: the relay alone shows them, and says so to itself.
            Invalid::LogBeganAnew
            | Invalid::OtherEntry
            | Invalid::LostConfirmed
            | Invalid::Unparsable
            | Invalid::Missing
            | Invalid::Altered
            | Invalid::Signature => relay_lies,
            // A disk is never damaged by what comes.
            Invalid::Damaged { .. } => false,
            _ => keys || relay_lies,
        }
    }
}

impl World {
    /// Who lies: chosen once everybody is there.
    pub(crate) fn choose_liars(&mut self) {
        if self.plan().member_cheats > 0 {
            let person = self.plan().people - 1;
            self.adversary_mut().member = member::Member::of(person);
        }
        if self.plan().thief_acts > 0 {
            let device = self.first_companion();
            self.adversary_mut().thief = thief::Thief::of(device);
        }
    }

    /// Carries out what liars decided to do.
    ///
    /// # Errors
    /// What was broken meanwhile.
    pub(crate) fn lie(&mut self) -> Result<(), Violation> {
        while let Some((role, mut chance)) = self.adversary_mut().due.pop() {
            match role {
                Role::Relay => relay::lie(self, &mut chance),
                Role::Member => {
                    let mut member = std::mem::take(&mut self.adversary_mut().member);
                    // Whoever asks meanwhile who lies is told.
                    self.adversary_mut().member = member.shadow();
                    let done = member.act(self, &mut chance);
                    self.adversary_mut().member = member;
                    done?;
                }
                Role::Thief => {
                    let mut thief = std::mem::take(&mut self.adversary_mut().thief);
                    self.adversary_mut().thief = thief.shadow();
                    let done = thief.act(self, &mut chance);
                    self.adversary_mut().thief = thief;
                    done?;
                }
            }
        }
        Ok(())
    }

    /// Nobody lies from here on.
    pub(crate) fn stop_lying(&mut self) {
        self.adversary_mut().due.clear();
        self.adversary_mut().relay.stop();
    }

    /// A thief's device is ended, if it was not before. While it is not, it speaks for its account,
    /// so its owner tries until the relay has heard it.
    ///
    /// # Errors
    /// What was broken meanwhile.
    pub(crate) fn end_what_was_stolen(&mut self) -> Result<(), Violation> {
        const TRIES: usize = 10;
        let Some(device) = self.adversary().thief.device() else { return Ok(()) };
        for _ in 0..TRIES {
            if self.is_ended(device) {
                break;
            }
            self.owner_ends(device)?;
            self.pass(TRIES_MS)?;
        }
        Ok(())
    }
}
