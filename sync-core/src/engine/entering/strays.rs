//! Spaces that this account is in and this device is not: when to ask for their tickets.

use std::collections::BTreeMap;

use sync_protocol::{SpaceId, limits};

use crate::engine::account::Account;
use crate::engine::people::People;

/// How long an unknown space waits for an invitation before its ticket is asked for.
pub(in crate::engine) const STRAY_MS: u64 = 3_000;
/// How often a ticket is tried before the space is left alone until something happens there.
const TRIES: u32 = 6;
/// Spaces that are waited for at most, however many a relay names: what one answer has room for.
const STRAYS: usize = limits::MESSAGE / 32;
/// Tickets asked for at once.
const ASKED: usize = 16;

/// Spaces that this account is in and this device is not.
#[derive(Default)]
pub(in crate::engine) struct Strays {
    map: BTreeMap<SpaceId, Stray>,
}

#[derive(Default)]
struct Stray {
    /// When its ticket is asked for at the latest, or again.
    due: u64,
    /// Whether its ticket was asked for, and what came of it is not known.
    asked: bool,
    /// Tickets that led nowhere; at least one once the relay could not give any.
    tries: u32,
    /// The account's own space, which this device was invited into by one that was ended since.
    is_own: bool,
    /// The account's vault does not know it: there is nothing that this device lacks until it does.
    is_unaccepted: bool,
}

impl Strays {
    /// Whether no other device can still tell of the space, and nobody has invited this one
    /// meanwhile: the account was brought back, and its last device never got to write it down.
    pub(in crate::engine) fn comes_alone(
        &self,
        account: &Account,
        people: &People,
        id: &SpaceId,
    ) -> bool {
        self.was_tried_often(id) && account.is_oldest(people)
    }

    /// Something was delivered of a space that this device does not know. An invitation may be on
    /// its way: it is waited for until `due`.
    pub(in crate::engine) fn note(&mut self, id: &SpaceId, due: u64) {
        if self.map.len() < STRAYS {
            self.map.entry(*id).or_insert(Stray { due, ..Stray::default() });
        }
    }

    /// The relay names a space that this account is in.
    pub(in crate::engine) fn learn(&mut self, id: &SpaceId) {
        self.note(id, 0);
    }

    /// The account's own space is to be entered by its ticket, however many others there are.
    pub(in crate::engine) fn want(&mut self, id: &SpaceId) {
        self.map.entry(*id).or_default();
    }

    /// The account's own space is to be entered by its ticket: the device that invited this one is
    /// ended.
    pub(in crate::engine) fn want_own(&mut self, id: &SpaceId) {
        self.map.entry(*id).or_default().is_own = true;
    }

    /// A space is entered again by its ticket, from this time on.
    pub(in crate::engine) fn come_back(&mut self, id: &SpaceId, due: u64, now: u64) {
        // Tried before: it is asked for when that is due, and not at once.
        let tries = u32::from(due > now);
        self.map.insert(*id, Stray { due, tries, ..Stray::default() });
    }

    /// The account's vault is about to tell of a space.
    pub(in crate::engine) fn expect(&mut self, id: &SpaceId, now: u64) {
        if let Some(stray) = self.map.get_mut(id) {
            *stray = Stray { due: now + STRAY_MS, tries: 1, ..Stray::default() };
        }
    }

    /// The ticket is not to be had now: it is asked for again when that is due, and not before.
    pub(in crate::engine) fn ask_again(&mut self, id: &SpaceId, due: u64) {
        if let Some(stray) = self.map.get_mut(id) {
            stray.asked = false;
            stray.due = due;
            stray.tries = stray.tries.max(1);
        }
    }

    /// A ticket led nowhere. Gives how many did, and whether that is often.
    pub(in crate::engine) fn led_nowhere(&mut self, id: &SpaceId) -> (u32, bool) {
        let stray = self.map.entry(*id).or_default();
        stray.tries += 1;
        (stray.tries, stray.tries >= TRIES)
    }

    /// The account's vault does not know the space: it is left alone until that has more to say.
    pub(in crate::engine) fn leave_alone(&mut self, id: &SpaceId) {
        self.map.entry(*id).or_default().is_unaccepted = true;
    }

    pub(in crate::engine) fn remove(&mut self, id: &SpaceId) {
        self.map.remove(id);
    }

    /// Forgets those that this device is in by now.
    pub(in crate::engine) fn forget(&mut self, is_in: impl Fn(&SpaceId) -> bool) {
        self.map.retain(|id, _| !is_in(id));
    }

    /// Whose tickets are to be asked for at this time, of those that may be, by whether they are the
    /// own space of a device whose inviter is ended.
    pub(in crate::engine) fn ready(
        &self,
        now: u64,
        may: impl Fn(&SpaceId, bool) -> bool,
    ) -> Vec<SpaceId> {
        let asked = self.map.values().filter(|stray| stray.asked).count();
        self.map
            .iter()
            .filter(|(_, stray)| !stray.asked && (stray.tries == 0 || stray.due <= now))
            .filter(|(id, stray)| may(id, stray.is_own))
            .take(ASKED.saturating_sub(asked))
            .map(|(id, _)| *id)
            .collect()
    }

    /// Takes note that a ticket is asked for. Gives whether it was not already.
    pub(in crate::engine) fn ask(&mut self, id: &SpaceId) -> bool {
        let stray = self.map.get_mut(id).filter(|stray| !stray.asked);
        stray.map(|stray| stray.asked = true).is_some()
    }

    pub(in crate::engine) fn is_own(&self, id: &SpaceId) -> bool {
        self.map.get(id).is_some_and(|stray| stray.is_own)
    }

    /// Whether the next try is the last for now.
    pub(in crate::engine) fn was_tried_often(&self, id: &SpaceId) -> bool {
        self.map.get(id).is_some_and(|stray| stray.tries + 1 >= TRIES)
    }

    /// Whether there is a space that this device is to come into.
    pub(in crate::engine) fn any(&self) -> bool {
        self.map.values().any(|stray| !stray.is_unaccepted)
    }

    /// When a ticket is to be asked for next, if nothing happens before.
    pub(in crate::engine) fn due(&self, now: u64) -> Option<u64> {
        // Nothing is to be expected of what nobody has accepted: it is looked for again when something
        // happens in the account's own space.
        let waiting = self.map.values().filter(|stray| !stray.asked && !stray.is_unaccepted);
        waiting.map(|stray| stray.due).filter(|due| *due > now).min()
    }

    /// The account's vault has more to say: what it did not know it may know now.
    pub(in crate::engine) fn look_again(&mut self, now: u64) {
        for stray in self.map.values_mut().filter(|stray| stray.is_unaccepted) {
            (stray.is_unaccepted, stray.due) = (false, now);
        }
    }

    /// What was asked for is not answered any more.
    pub(in crate::engine) fn on_disconnected(&mut self) {
        self.map.values_mut().for_each(|stray| stray.asked = false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u8) -> SpaceId {
        SpaceId::from_bytes([n; 32])
    }

    fn all(strays: &Strays, now: u64) -> Vec<SpaceId> {
        strays.ready(now, |_, _| true)
    }

    #[test]
    fn a_ticket_is_asked_for_once_until_it_is_answered() {
        let mut strays = Strays::default();
        strays.learn(&id(1));
        assert_eq!(all(&strays, 0), [id(1)]);
        assert!(strays.ask(&id(1)));
        assert!(!strays.ask(&id(1)), "it is under way");
        assert!(all(&strays, 0).is_empty());
        strays.ask_again(&id(1), 10);
        assert!(all(&strays, 9).is_empty());
        assert_eq!(strays.due(0), Some(10));
        assert_eq!(all(&strays, 10), [id(1)]);
    }

    #[test]
    fn what_was_asked_in_a_session_that_ended_is_asked_again() {
        let mut strays = Strays::default();
        strays.learn(&id(1));
        strays.ask(&id(1));
        strays.on_disconnected();
        assert_eq!(all(&strays, 0), [id(1)]);
    }

    #[test]
    fn what_nobody_has_accepted_is_left_alone_until_the_vault_has_more_to_say() {
        let mut strays = Strays::default();
        strays.leave_alone(&id(1));
        assert!(!strays.any());
        assert_eq!(strays.due(0), None);
        strays.look_again(7);
        assert!(strays.any());
        assert_eq!(strays.due(0), Some(7));
    }

    #[test]
    fn a_ticket_that_leads_nowhere_is_tried_a_few_times() {
        let mut strays = Strays::default();
        let often = (0..TRIES).filter(|_| strays.led_nowhere(&id(1)).1).count();
        assert_eq!(often, 1, "the last one");
        assert!(strays.was_tried_often(&id(1)));
        assert!(!strays.was_tried_often(&id(2)));
    }

    #[test]
    fn a_relay_that_names_more_spaces_than_an_answer_holds_takes_no_more_memory() {
        let mut strays = Strays::default();
        for n in 0..STRAYS as u64 + 9 {
            let mut bytes = [0; 32];
            bytes[..8].copy_from_slice(&n.to_be_bytes());
            strays.learn(&SpaceId::from_bytes(bytes));
        }
        assert_eq!(strays.map.len(), STRAYS);
        assert_eq!(all(&strays, 0).len(), ASKED, "nor more tickets at once");
    }

    #[test]
    fn a_return_that_is_due_later_is_not_tried_at_once() {
        let mut strays = Strays::default();
        strays.come_back(&id(1), 50, 10);
        assert!(all(&strays, 49).is_empty());
        strays.come_back(&id(2), 10, 10);
        assert_eq!(all(&strays, 10), [id(2)]);
    }

    #[test]
    fn an_own_space_is_told_apart_and_forgotten_once_entered() {
        let mut strays = Strays::default();
        strays.want_own(&id(1));
        strays.want(&id(2));
        assert_eq!(strays.ready(0, |_, is_own| is_own), [id(1)]);
        strays.forget(|space| *space == id(1));
        assert!(!strays.is_own(&id(1)));
        assert!(strays.any());
    }
}
