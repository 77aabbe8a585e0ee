//! Device logs that go along with what lets a device in.
//!
//! A log proves itself, so it does not matter who gives it: as many as there is room for are
//! carried, and the others are named by length and head, to be read at the relay.

use sync_protocol::codec::Blob;
use sync_protocol::device_log::DeviceLog;
use sync_protocol::ids::LogHead;
use sync_protocol::sorted::SortedMap;
use sync_protocol::{AccountId, DeviceId, ProtocolError, limits};

use crate::engine::members::welcome::Unfit;
use crate::engine::people::People;
use crate::engine::rooms::Contacts;
use crate::engine::rows::PersonRow;
use crate::engine::{Need, Step};

/// Bytes of device logs that go along with one thing at most.
const CARRIED: usize = 192 * 1024;
/// Accounts of which somebody may say how much of their logs a group has accepted.
const HEADS: usize = 16 * limits::LEAVES;
/// What encoding an account with its log, or its log's name, takes beside the entries.
const EACH: usize = 96;

/// A log that is named: its length and its head.
type Named = (AccountId, u64, LogHead);
/// Logs with all their entries.
type Carried = Vec<(AccountId, Vec<Blob>)>;

impl People {
    /// All of these, verified.
    pub(in crate::engine) fn prove_all(
        &self,
        logs: &[(AccountId, Vec<Blob>)],
    ) -> Result<SortedMap<AccountId, DeviceLog>, Unfit> {
        let proven = logs.iter().map(|(account, entries)| {
            let log = self.prove(account, entries).map_err(|_| Unfit::Log(*account))?;
            Ok((*account, log))
        });
        proven.collect()
    }

    /// A log, verified: what is known already was.
    pub(in crate::engine) fn prove(
        &self,
        account: &AccountId,
        entries: &[Blob],
    ) -> Result<DeviceLog, ProtocolError> {
        let known = self.log(account);
        let same = |log: &&DeviceLog| {
            log.entries().len() == entries.len()
                && log.entries().iter().zip(entries).all(|(known, given)| *known == given.0)
        };
        match known.filter(same) {
            Some(log) => Ok(log.clone()),
            None => {
                let entries: Vec<&[u8]> = entries.iter().map(Blob::as_slice).collect();
                DeviceLog::verify(account, &entries)
            }
        }
    }

    /// The logs of these accounts, the first of them carried in any case, the others if they fit
    /// into so many bytes.
    pub(in crate::engine) fn logs_within(
        &self,
        accounts: &[AccountId],
        room: usize,
    ) -> (Carried, Vec<Named>) {
        let (mut carried, mut named) = (Vec::new(), Vec::new());
        let mut left = room.saturating_sub(accounts.len() * EACH).min(CARRIED);
        for account in accounts {
            let Some(log) = self.log(account) else { continue };
            let size = log.size() + 4 * log.entries().len();
            if size <= left || carried.is_empty() {
                left = left.saturating_sub(size);
                carried.push((*account, self.log_blobs(account)));
            } else {
                named.push((*account, log.len(), log.head()));
            }
        }
        (carried, named)
    }
}

impl Contacts<'_> {
    /// Completes logs by those that were only named: as they are known here, or as the relay has
    /// them. All that are missing are asked for at once.
    pub(in crate::engine) fn complete_logs(
        &mut self,
        logs: &mut Carried,
        named: &[Named],
    ) -> Step<()> {
        if logs.len() + named.len() > limits::LEAVES + 1 {
            return Err(Unfit::Malformed("list of device logs").into());
        }
        let mut missing = None;
        for (account, len, head) in named {
            let known = self.people.log(account);
            if let Some(log) = known.filter(|log| log.head_at(*len) == Some(*head)) {
                let len = usize::try_from(*len).unwrap_or(usize::MAX);
                let entries = log.entries().iter().take(len).cloned().map(Blob);
                logs.push((*account, entries.collect()));
                self.people.reading.remove(account);
                continue;
            }
            match self.people.reading.get(account) {
                // It was read, and it is another.
                Some(true) => {
                    self.people.reading.remove(account);
                    return Err(Unfit::Log(*account).into());
                }
                Some(false) => {}
                None => {
                    self.people.reading.insert(*account, false);
                    self.devices().read_log(*account);
                }
            }
            missing.get_or_insert(*account);
        }
        match missing {
            Some(account) => Err(crate::engine::Stop::Need(Need::Log(account))),
            None => Ok(()),
        }
    }

    /// Sees to it that the logs which somebody says a group has accepted are as the relay has them:
    /// who believes in a longer one refuses what all others take.
    ///
    /// # Errors
    /// If one is another, or they are more than there can be.
    pub(in crate::engine) fn prove_heads(&mut self, heads: &[Named]) -> Step<()> {
        if heads.len() > HEADS {
            return Err(Unfit::Malformed("list of device logs").into());
        }
        for some in heads.chunks(limits::LEAVES) {
            self.complete_logs(&mut Carried::new(), some)?;
        }
        Ok(())
    }

    /// Sees to it that these accounts' logs are here with these devices, as far as the relay has them:
    /// what is missing is asked for once, all at a time.
    pub(in crate::engine) fn want_logs(
        &mut self,
        wanted: &[(AccountId, Vec<DeviceId>)],
    ) -> Step<()> {
        let mut missing = None;
        for (account, devices) in wanted {
            let log = self.people.log(account);
            if log.is_some_and(|log| devices.iter().all(|device| log.known(device).is_some())) {
                continue;
            }
            match self.people.reading.get(account) {
                Some(true) => continue,
                Some(false) => {}
                None => {
                    self.people.reading.insert(*account, false);
                    self.devices().read_log(*account);
                }
            }
            missing.get_or_insert(*account);
        }
        if let Some(account) = missing {
            return Err(crate::engine::Stop::Need(Need::Log(account)));
        }
        for (account, _) in wanted {
            self.people.reading.remove(account);
        }
        Ok(())
    }

    /// What was asked is not answered any more.
    pub(in crate::engine) fn forget_logs_asked(&mut self) {
        self.people.reading.clear();
    }

    /// Takes in what goes along with a log that is verified.
    pub(in crate::engine) fn learn_logs(&mut self, logs: SortedMap<AccountId, DeviceLog>) {
        for (account, log) in logs {
            self.learn_log(&account, log, PersonRow::default());
        }
    }
}
