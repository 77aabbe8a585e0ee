//! How far each account's device log was read by what a group accepted.

use sync_protocol::AccountId;
use sync_protocol::device_log::DeviceLog;
use sync_protocol::ids::LogHead;
use sync_protocol::sorted::SortedMap;

use super::Invalid;

/// An account's log: how many entries, and their head.
pub type Head = (AccountId, u64, LogHead);

/// The longest log of each account that a group's commits were judged against. A log only grows:
/// what a commit carries later goes on from there, so that nobody brings back a device that the group
/// has seen end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Heads {
    known: SortedMap<AccountId, (u64, LogHead)>,
}

impl Heads {
    /// From a list of them; of two of one account, the longer.
    pub fn of(heads: &[Head]) -> Self {
        let mut all = Self::default();
        heads.iter().for_each(|head| all.advance(head));
        all
    }

    /// Whether a log goes on from what the group has accepted of it.
    ///
    /// # Errors
    /// [`Invalid::OlderLog`] if it is shorter, [`Invalid::LogForks`] if it is another.
    pub fn accept(&self, log: &DeviceLog) -> Result<(), Invalid> {
        let Some((len, head)) = self.known.get(&log.account()) else { return Ok(()) };
        match log.head_at(*len) {
            None => Err(Invalid::OlderLog(log.account())),
            Some(found) if found == *head => Ok(()),
            Some(_) => Err(Invalid::LogForks { account: log.account() }),
        }
    }

    /// A commit that was judged against this log is accepted.
    pub fn advance(&mut self, (account, len, head): &Head) {
        let known = self.known.entry(*account).or_insert((*len, *head));
        if known.0 < *len {
            *known = (*len, *head);
        }
    }

    /// All of them, by account.
    pub fn list(&self) -> Vec<Head> {
        self.known.iter().map(|(account, (len, head))| (*account, *len, *head)).collect()
    }
}
