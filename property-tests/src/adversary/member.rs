//! A member that cheats: beside its honest client runs a program with the same keys.

use super::cheat::{Cheat, Keys};
use super::tricks::{Hand, TRICKS};
use crate::chance::Chance;
use crate::violation::Violation;
use crate::world::World;

/// A member that cheats.
#[derive(Debug, Default)]
pub(super) struct Member {
    person: Option<usize>,
    cheat: Option<Cheat>,
    chains: u64,
}

impl Member {
    /// This person cheats.
    pub(super) fn of(person: usize) -> Self {
        Self { person: Some(person), ..Self::default() }
    }

    /// Who cheats.
    pub(super) fn person(&self) -> Option<usize> {
        self.person
    }

    /// What others must know of it while it acts.
    pub(super) fn shadow(&self) -> Self {
        Self { person: self.person, ..Self::default() }
    }

    /// Does something.
    pub(super) fn act(&mut self, world: &mut World, chance: &mut Chance) -> Result<(), Violation> {
        let Some(device) = self.person.and_then(|person| world.in_use(person)) else {
            return Ok(());
        };
        let spaces = world.shows(device);
        let Some(space) = chance.pick(&spaces).copied() else { return Ok(()) };
        let deed = chance.weighted(&TRICKS);
        let Some(cheat) = self.session(world, device)? else { return Ok(()) };
        let mut hand = Hand { world, cheat, space, chance, may: true };
        if hand.does(deed)? {
            world.adversary_mut().did(deed);
            world.tell_lie(&format!("the member of device {device} {}", deed.words()));
        }
        Ok(())
    }

    /// A session with the relay, opened anew if there is none.
    fn session(
        &mut self,
        world: &mut World,
        device: usize,
    ) -> Result<Option<&mut Cheat>, Violation> {
        self.cheat = session_of(self.cheat.take(), world, device, &mut self.chains)?;
        Ok(self.cheat.as_mut())
    }
}

/// The session that there was, if the relay still hears it and it has the same device's keys; else
/// another.
pub(super) fn session_of(
    before: Option<Cheat>,
    world: &mut World,
    device: usize,
    chains: &mut u64,
) -> Result<Option<Cheat>, Violation> {
    let Some(keys) = Keys::found(world, device) else { return Ok(None) };
    if let Some(mut cheat) = before
        && cheat.device == device
    {
        if cheat.is_heard(world) || cheat.resume(world)? {
            return Ok(Some(cheat));
        }
        return Ok(None);
    }
    *chains += 1;
    Cheat::begin(world, device, (keys, *chains))
}
