//! People are pinned: an address leads to whom it led before, and a safety number that was compared
//! stays compared until devices change.

use sync_protocol::AccountId;
use sync_protocol::device_log::DeviceLog;
use sync_protocol::ids::{LogHead, RelayId};
use sync_protocol::sorted::SortedMap;

use crate::api::Compared;
use crate::document::contacts::Contact;

/// Where an address leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lead {
    /// To this account, which it led to before, or leads to first.
    To(AccountId),
    /// To another than before: the person decides.
    Moved {
        /// Where it led.
        was: AccountId,
        /// Where the directory says that it leads now.
        now: AccountId,
    },
    /// Nobody knows: the directory was not asked, or says nothing.
    Unknown,
}

/// Judges where an address leads: to whom it led before, as long as the directory says no other.
pub(crate) fn lead(before: Option<AccountId>, directory: Option<AccountId>) -> Lead {
    match (before, directory) {
        (Some(was), Some(now)) if was != now => Lead::Moved { was, now },
        (Some(account), _) | (None, Some(account)) => Lead::To(account),
        (None, None) => Lead::Unknown,
    }
}

/// The one account that each address was pinned to. Two own devices that had not heard of each other
/// may have pinned it to two: the lowest counts, so that all decide alike, and the directory
/// contradicts it if it is the other.
pub(crate) fn by_address(contacts: &SortedMap<AccountId, Contact>) -> SortedMap<String, AccountId> {
    let mut pins: SortedMap<String, AccountId> = SortedMap::new();
    for (account, contact) in contacts.iter().filter(|(_, contact)| contact.pinned) {
        let Some(address) = &contact.address else { continue };
        let known = pins.get(address).copied().unwrap_or(*account);
        pins.insert(address.clone(), known.min(*account));
    }
    pins
}

/// Whether a safety number that was compared when a log was so long, with that head, still stands.
pub(crate) fn compared(at: Option<(u64, LogHead)>, log: &DeviceLog) -> Compared {
    let Some((entries, head)) = at else { return Compared::Never };
    let changed = |at: u64| at >= entries;
    let devices_changed =
        log.all().any(|(_, device)| changed(device.added) || device.revoked.is_some_and(changed));
    match log.head_at(entries) == Some(head) && !devices_changed {
        true => Compared::Same,
        false => Compared::Changed,
    }
}

/// Whether a relay is the one that this device's account is at.
pub(crate) fn same_relay(known: Option<RelayId>, shown: RelayId) -> bool {
    known.is_none_or(|known| known == shown)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::trust::logs::testing::{log, with_device, with_join};

    fn account(n: u8) -> AccountId {
        AccountId::of_root_key(&[n; 32])
    }

    #[test]
    fn an_address_leads_where_it_led() {
        let (bob, mallory) = (account(1), account(2));
        assert_eq!(lead(None, None), Lead::Unknown);
        assert_eq!(lead(None, Some(bob)), Lead::To(bob));
        assert_eq!(lead(Some(bob), None), Lead::To(bob));
        assert_eq!(lead(Some(bob), Some(bob)), Lead::To(bob));
        let moved = Lead::Moved { was: bob, now: mallory };
        assert_eq!(lead(Some(bob), Some(mallory)), moved);
    }

    #[test]
    fn two_pins_of_one_address_are_one_on_all_devices() {
        let (a, b, c) = (account(1), account(2), account(3));
        let at = |address: &str, pinned| {
            let address = Some(address.to_owned());
            Contact { address, pinned, ..Contact::default() }
        };
        let contacts = [(a, at("bob", true)), (b, at("bob", true)), (c, at("eve", false))];
        let pins = by_address(&contacts.into());
        assert_eq!(pins.get("bob"), Some(&a.min(b)));
        assert_eq!(pins.get("eve"), None, "what another member calls somebody is no pin");
    }

    #[test]
    fn what_was_compared_stands_until_a_device_comes_or_goes() {
        let log = log();
        assert_eq!(compared(None, &log), Compared::Never);
        let at = Some((log.len(), log.head()));
        assert_eq!(compared(at, &log), Compared::Same);
        assert_eq!(compared(at, &with_join(&log, 1)), Compared::Same, "no device changed");
        assert_eq!(compared(at, &with_device(&log, 7)), Compared::Changed);
        let other = Some((log.len(), LogHead::from_bytes([1; 32])));
        assert_eq!(compared(other, &log), Compared::Changed, "it was another log");
        let later = Some((log.len() + 1, log.head()));
        assert_eq!(compared(later, &log), Compared::Changed, "more was known then");
    }

    #[test]
    fn a_relay_is_the_one_that_was_met_first() {
        let (first, other) = (RelayId::from_bytes([1; 32]), RelayId::from_bytes([2; 32]));
        assert!(same_relay(None, first) && same_relay(Some(first), first));
        assert!(!same_relay(Some(first), other));
    }
}
