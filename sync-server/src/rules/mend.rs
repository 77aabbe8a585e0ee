//! Making rows whole again of which some can't be read.
//!
//! A space's log is read from its start as far as it goes, and everything that follows from it is
//! made anew: head, tips, members. What stood behind is gone, and its devices write theirs again. An
//! account's device log likewise. What no row leads to any more goes, too.

use std::collections::{BTreeMap, BTreeSet};

use sync_protocol::device_log::DeviceLog;
use sync_protocol::envelope::{Envelope, Kind};
use sync_protocol::frontier::Tip;
use sync_protocol::ids::{AccountId, DeviceId, SpaceId, WriterId};
use sync_protocol::roster::{Roster, RosterChange};

use crate::rules::command::{AccountDevice, Position};
use crate::rules::log::{CHUNK, chunk_of, parse_entry, positions, put_varint};
use crate::rules::rows::{
    self, AccountRow, AddressRow, Counters, DeviceRow, Membership, RosterRow, SpaceRow, TicketRow,
    TipRow, key2, numbered,
};
use crate::rules::state::{self, COUNTERS, IDENTITY};
use crate::store::{Row, Store, StoreError, Table};

/// Behind all keys: none is as long.
const END: &[u8] = &[0xff; 96];

/// What was made whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mended {
    /// Spaces whose logs end earlier than they did, and how many entries they lost.
    pub cut: Vec<(SpaceId, u64)>,
    /// Spaces of which nothing is left.
    pub gone: Vec<SpaceId>,
    /// Accounts whose device logs end earlier than they did.
    pub accounts: Vec<AccountId>,
}

/// Makes all rows whole.
///
/// # Errors
/// If the store can't be written, or nothing says whose it is.
pub fn mend<S: Store>(store: &mut S) -> Result<Mended, StoreError> {
    store.row(Table::Meta, IDENTITY)?.ok_or_else(|| StoreError::row("identity"))?;
    let mut mended = Mended::default();
    let writers = mend_writers(store)?;
    let owners = mend_accounts(store, &mut mended)?;
    let mut counters = newest(store, &writers)?;
    let (mut rosters, mut numbers) = (Vec::new(), BTreeSet::new());
    for (id, old) in all::<S, SpaceRow>(store, Table::Spaces)? {
        let Ok(id) = SpaceId::try_from(id.as_slice()) else { continue };
        let Some(old) = old else { continue };
        counters.space = counters.space.max(old.number);
        let replay = Replay::run(store, &id, &old, &writers, &owners)?;
        if replay.row.head == 0 {
            mended.gone.push(id);
            remove_space(store, &id, old.number)?;
        } else {
            if replay.row.head < old.head {
                mended.cut.push((id, old.head - replay.row.head));
            }
            replay.write(store, &id, &old)?;
            numbers.insert(old.number);
            rosters.push((id, replay.members.roster));
        }
        store.commit()?;
    }
    drop_orphans(store, &rosters)?;
    drop_numbers(store, &numbers, &mut counters)?;
    mend_memberships(store, &rosters)?;
    note_all(store, &rosters)?;
    let applied =
        state::applied(store).unwrap_or_default().max(Position::of_entry(counters.position));
    state::put_applied(store, applied);
    store.put(Table::Meta, COUNTERS, rows::encode(&counters));
    store.commit()?;
    Ok(mended)
}

/// A key, and what its row holds if that can be read.
type Read<T> = (Vec<u8>, Option<T>);

/// All rows of a table, each with what it holds if that can be read.
fn all<S: Store, T: for<'b> minicbor::Decode<'b, ()>>(
    store: &S,
    table: Table,
) -> Result<Vec<Read<T>>, StoreError> {
    let mut found = Vec::new();
    store.scan(table, &[], END, &mut |key, row| {
        found.push((key.to_vec(), rows::decode("row", row).ok()));
        true
    })?;
    Ok(found)
}

/// Writers by their numbers. A number is known where either row is.
fn mend_writers<S: Store>(store: &mut S) -> Result<BTreeMap<u32, WriterId>, StoreError> {
    let mut writers = BTreeMap::new();
    for (key, row) in all::<S, WriterId>(store, Table::WriterIds)? {
        if let (Ok(number), Some(writer)) = (key.as_slice().try_into(), row) {
            writers.insert(u32::from_be_bytes(number), writer);
        }
    }
    for (key, row) in all::<S, u32>(store, Table::Writers)? {
        let (device, incarnation) = key.split_at_checked(DeviceId::LEN).unwrap_or_default();
        let device = DeviceId::try_from(device);
        if let (Ok(device), Ok(incarnation), Some(number)) = (device, incarnation.try_into(), row) {
            let incarnation = u64::from_be_bytes(incarnation);
            writers.entry(number).or_insert(WriterId { device, incarnation });
        }
    }
    for (number, writer) in &writers {
        store.put(Table::WriterIds, &number.to_be_bytes(), rows::encode(writer));
        store.put(Table::Writers, &writer.to_bytes(), rows::encode(number));
    }
    store.commit()?;
    Ok(writers)
}

/// Device logs as far as they go; whose each device is.
fn mend_accounts<S: Store>(
    store: &mut S,
    mended: &mut Mended,
) -> Result<BTreeMap<DeviceId, AccountId>, StoreError> {
    let mut logs: BTreeMap<AccountId, Vec<(u64, Vec<u8>)>> = BTreeMap::new();
    store.scan(Table::Logs, &[], END, &mut |key, entry| {
        let parts = key.split_last_chunk::<8>();
        if let Some((account, index)) = parts
            && let Ok(account) = AccountId::try_from(account)
        {
            let entry = (u64::from_be_bytes(*index), entry.to_vec());
            logs.entry(account).or_default().push(entry);
        }
        true
    })?;
    let mut known: BTreeMap<AccountId, AccountRow> = BTreeMap::new();
    for (key, row) in all::<S, AccountRow>(store, Table::Accounts)? {
        if let Ok(account) = AccountId::try_from(key.as_slice()) {
            known.insert(account, row.unwrap_or_default());
        }
    }
    let addresses = mend_addresses(store)?;
    let mut owners = BTreeMap::new();
    for (account, entries) in logs {
        let dense = (0..).zip(&entries).take_while(|(n, (index, _))| n == index);
        let mut good: Vec<&[u8]> = dense.map(|(_, (_, entry))| entry.as_slice()).collect();
        let log = loop {
            match DeviceLog::verify(&account, &good) {
                Ok(log) => break Some(log),
                Err(_) if good.pop().is_none() || good.is_empty() => break None,
                Err(_) => {}
            }
        };
        let len = log.as_ref().map_or(0, DeviceLog::len);
        let row = known.remove(&account).unwrap_or_default();
        if len < row.log_len.max(entries.len() as u64) {
            mended.accounts.push(account);
        }
        for (index, _) in entries.iter().filter(|(index, _)| *index >= len) {
            store.delete(Table::Logs, &key2(account.as_bytes(), &index.to_be_bytes()));
        }
        let Some(log) = log else {
            store.delete(Table::Accounts, account.as_bytes());
            continue;
        };
        let addresses = addresses.get(&account).copied().unwrap_or(0);
        let row = AccountRow { log_len: len, addresses, ..row };
        store.put(Table::Accounts, account.as_bytes(), rows::encode(&row));
        for (device, ended) in log.all_devices() {
            owners.insert(*device, account);
            mend_device(store, AccountDevice { account, device: *device }, ended)?;
        }
    }
    // Of these nothing is left: their devices tell their logs again.
    for account in known.into_keys() {
        mended.accounts.push(account);
        store.delete(Table::Accounts, account.as_bytes());
    }
    store.commit()?;
    Ok(owners)
}

/// Each address has a row of the account that it leads to, and no other account has one that says so. Gives
/// how many each account has.
fn mend_addresses<S: Store>(store: &mut S) -> Result<BTreeMap<AccountId, u64>, StoreError> {
    let mut counts: BTreeMap<AccountId, u64> = BTreeMap::new();
    let mut should = BTreeSet::new();
    for (address, account) in all::<S, AccountId>(store, Table::Addresses)? {
        if let Some(account) = account {
            *counts.entry(account).or_default() += 1;
            should.insert(key2(account.as_bytes(), &address));
        }
    }
    for (key, row) in all::<S, AddressRow>(store, Table::AddressesOf)? {
        match (should.remove(&key), row) {
            (true, Some(row)) if row.leads => {}
            (true, _) => {
                should.insert(key);
            }
            (false, Some(row)) if !row.leads => {}
            (false, _) => store.delete(Table::AddressesOf, &key),
        }
    }
    for key in should {
        let row = AddressRow { leads: true, at: Position::default() };
        store.put(Table::AddressesOf, &key, rows::encode(&row));
    }
    Ok(counts)
}

/// What is counted of a device, as far as its inbox says.
fn mend_device<S: Store>(
    store: &mut S,
    device: AccountDevice,
    has_ended: bool,
) -> Result<(), StoreError> {
    let key = device.to_bytes();
    if store.row(Table::Devices, &key)?.is_some() {
        return Ok(());
    }
    let mut items = Vec::new();
    store.scan(Table::Inboxes, &key, &key2(&key, &[0xff; 9]), &mut |key, _| {
        items.extend(key.last_chunk().map(|number| u64::from_be_bytes(*number)));
        true
    })?;
    let inbox_last = items.last().copied().unwrap_or(0);
    let inbox_acked = items.first().map_or(inbox_last, |first| first.saturating_sub(1));
    if inbox_last > 0 || has_ended {
        let row = DeviceRow { inbox_last, inbox_acked, has_ended, ..DeviceRow::default() };
        store.put(Table::Devices, &key, rows::encode(&row));
    }
    Ok(())
}

/// Counters behind all that is there.
fn newest<S: Store>(store: &S, writers: &BTreeMap<u32, WriterId>) -> Result<Counters, StoreError> {
    let row = store.row(Table::Meta, COUNTERS)?;
    let known = row.and_then(|row| rows::decode("counters", &row).ok());
    let mut counters: Counters = known.unwrap_or_default();
    let mut last = 0;
    store.scan(Table::Entries, &[], END, &mut |key, _| {
        last = key.try_into().map_or(last, u64::from_be_bytes);
        true
    })?;
    counters.position = counters.position.max(last);
    let newest = writers.last_key_value().map_or(0, |(number, _)| *number);
    counters.writer = counters.writer.max(newest);
    Ok(counters)
}

/// A space's log, read from its start as far as it goes.
struct Replay {
    row: SpaceRow,
    members: RosterRow,
    tips: BTreeMap<u32, TipRow>,
    chunks: BTreeMap<u32, Vec<u8>>,
}

impl Replay {
    fn run<S: Store>(
        store: &S,
        id: &SpaceId,
        old: &SpaceRow,
        writers: &BTreeMap<u32, WriterId>,
        owners: &BTreeMap<DeviceId, AccountId>,
    ) -> Result<Self, StoreError> {
        let row = SpaceRow { head: 0, time_ms: 0, handshakes: 0, position: 0, ..*old };
        let members = RosterRow::default();
        let (tips, chunks) = (BTreeMap::new(), BTreeMap::new());
        let mut replay = Self { row, members, tips, chunks };
        while replay.row.head < old.head {
            let chunk = chunk_of(replay.row.head);
            let Some(index) = store.row(Table::Index, &numbered(old.number, chunk))? else { break };
            let Ok(found) = positions(&index) else { break };
            let before = replay.row.head;
            for position in found {
                let is_behind = position <= replay.row.position || replay.row.head >= old.head;
                let entry = store.row(Table::Entries, &position.to_be_bytes())?;
                let Some(entry) = entry.filter(|_| !is_behind) else { break };
                if replay.take(position, &entry, writers, owners).is_none() {
                    break;
                }
            }
            let is_whole = replay.row.head == before + u64::from(CHUNK);
            if !is_whole {
                break;
            }
        }
        let known = store.row(Table::Rosters, id.as_bytes())?;
        let known = known.and_then(|row| rows::decode::<RosterRow>("roster", &row).ok());
        let roster = &replay.members.roster;
        let waits = known.into_iter().flat_map(|known| known.unanswered);
        replay.members.unanswered = waits.filter(|(who, _)| roster.role(who).is_some()).collect();
        Ok(replay)
    }

    /// Takes in the next entry; `None` if it can't be the next.
    fn take(
        &mut self,
        position: u64,
        entry: &[u8],
        writers: &BTreeMap<u32, WriterId>,
        owners: &BTreeMap<DeviceId, AccountId>,
    ) -> Option<()> {
        let entry = parse_entry(entry).ok()?;
        let writer = writers.get(&entry.writer)?;
        let envelope = Envelope::parse(&entry.envelope).ok()?;
        let index = self.row.head;
        match envelope.header.kind {
            Kind::Handshake => {
                let commit = envelope.commit().ok()?;
                self.members.roster = self.after(&commit.roster)?;
                let roster = &self.members.roster;
                self.members.leavers.retain(|leaver| roster.role(leaver).is_some());
                self.row.handshakes = index + 1;
            }
            Kind::Content => {
                let chain = envelope.header.chain?;
                let tip = Tip { seq: chain.seq, link: chain.link };
                let row = TipRow { tip, index, time_ms: entry.time_ms };
                self.tips.insert(entry.writer, row);
            }
            Kind::Intent => {
                if let Some(account) = owners.get(&writer.device)
                    && !self.members.leavers.contains(account)
                {
                    self.members.leavers.push(*account);
                    self.members.leavers.sort_unstable();
                    let RosterRow { roster, leavers, .. } = &self.members;
                    if roster.iter().all(|(member, _)| leavers.contains(&member)) {
                        // Everybody left, so nobody is in it any more.
                        self.members = RosterRow::default();
                    }
                }
            }
            Kind::Register | Kind::Signal => {}
        }
        let chunk = self.chunks.entry(chunk_of(index)).or_default();
        match chunk.is_empty() {
            true => put_varint(chunk, position),
            false => put_varint(chunk, position - self.row.position),
        }
        self.row.position = position;
        self.row.time_ms = self.row.time_ms.max(entry.time_ms);
        self.row.head += 1;
        Some(())
    }

    /// The members after a handshake that was taken once, whoever made it.
    fn after(&self, changes: &[RosterChange]) -> Option<Roster> {
        if self.row.head == 0 {
            return match changes {
                [RosterChange::Add { account, .. }] => Some(Roster::founded_by(*account)),
                _ => None,
            };
        }
        let Self { members: RosterRow { roster, leavers, .. }, .. } = self;
        roster.iter().find_map(|(account, _)| roster.after(&account, changes, leavers).ok())
    }

    /// Writes what follows from the log, and removes what does not.
    fn write<S: Store>(
        &self,
        store: &mut S,
        id: &SpaceId,
        old: &SpaceRow,
    ) -> Result<(), StoreError> {
        let number = self.row.number;
        store.put(Table::Spaces, id.as_bytes(), rows::encode(&self.row));
        store.put(Table::Rosters, id.as_bytes(), rows::encode(&self.members));
        for table in [Table::Tips, Table::Registers] {
            for (key, row) in of_number::<S>(store, table, number)? {
                let is_behind =
                    rows::decode::<u64>("register", &row).map_or(true, |at| at >= self.row.head);
                if table == Table::Tips || is_behind {
                    store.delete(table, &key);
                }
            }
        }
        for (writer, tip) in &self.tips {
            store.put(Table::Tips, &numbered(number, *writer), rows::encode(tip));
        }
        if self.row.head < old.head {
            for (key, row) in of_number::<S>(store, Table::Index, number)? {
                let chunk = key.last_chunk().map_or(0, |chunk| u32::from_be_bytes(*chunk));
                let kept = self.chunks.get(&chunk).map_or(&[][..], Vec::as_slice);
                let kept: BTreeSet<u64> = positions(kept)?.into_iter().collect();
                for position in positions(&row).unwrap_or_default() {
                    if !kept.contains(&position) {
                        store.delete(Table::Entries, &position.to_be_bytes());
                    }
                }
                store.delete(Table::Index, &key);
            }
        }
        for (chunk, row) in &self.chunks {
            store.put(Table::Index, &numbered(number, *chunk), row.clone());
        }
        let ticket = store.row(Table::Tickets, id.as_bytes())?;
        let ticket = ticket.map(|row| rows::decode::<TicketRow>("ticket", &row));
        if ticket.is_some_and(|ticket| ticket.map_or(true, |row| row.index >= self.row.head)) {
            store.delete(Table::Tickets, id.as_bytes());
        }
        Ok(())
    }
}

/// The rows of a table that begin with a space's number.
fn of_number<S: Store>(store: &S, table: Table, number: u32) -> Result<Vec<Row>, StoreError> {
    let (from, to) = (numbered(number, 0), numbered(number.saturating_add(1), 0));
    let mut found = Vec::new();
    store.scan(table, &from, &to, &mut |key, row| {
        found.push((key.to_vec(), row.to_vec()));
        true
    })?;
    Ok(found)
}

fn remove_space<S: Store>(store: &mut S, id: &SpaceId, number: u32) -> Result<(), StoreError> {
    for table in [Table::Spaces, Table::Rosters, Table::Tickets] {
        store.delete(table, id.as_bytes());
    }
    remove_numbered(store, number)
}

fn remove_numbered<S: Store>(store: &mut S, number: u32) -> Result<(), StoreError> {
    for table in [Table::Tips, Table::Registers, Table::Index] {
        for (key, row) in of_number::<S>(store, table, number)? {
            if table == Table::Index {
                for position in positions(&row).unwrap_or_default() {
                    store.delete(Table::Entries, &position.to_be_bytes());
                }
            }
            store.delete(table, &key);
        }
    }
    Ok(())
}

/// Rows of spaces that are none any more.
fn drop_orphans<S: Store>(store: &mut S, rosters: &[(SpaceId, Roster)]) -> Result<(), StoreError> {
    let known: BTreeSet<SpaceId> = rosters.iter().map(|(id, _)| *id).collect();
    for table in [Table::Rosters, Table::Tickets] {
        let mut gone = Vec::new();
        store.scan(table, &[], END, &mut |key, _| {
            if !SpaceId::try_from(key).is_ok_and(|id| known.contains(&id)) {
                gone.push(key.to_vec());
            }
            true
        })?;
        for key in gone {
            store.delete(table, &key);
        }
    }
    store.commit()
}

/// All spaces are noted as active: the relay writes anew where each account's are.
fn note_all<S: Store>(store: &mut S, rosters: &[(SpaceId, Roster)]) -> Result<(), StoreError> {
    for table in [Table::Active, Table::ActiveAt, Table::Noted, Table::Digests] {
        let mut gone = Vec::new();
        store.scan(table, &[], END, &mut |key, _| {
            gone.push(key.to_vec());
            true
        })?;
        for key in gone {
            store.delete(table, &key);
        }
    }
    for (space, _) in rosters {
        store.put(Table::Noted, space.as_bytes(), Vec::new());
    }
    store.commit()
}

/// What lies under numbers that no space has any more: none is given it again.
fn drop_numbers<S: Store>(
    store: &mut S,
    known: &BTreeSet<u32>,
    counters: &mut Counters,
) -> Result<(), StoreError> {
    for table in [Table::Index, Table::Tips, Table::Registers] {
        let mut gone = BTreeSet::new();
        store.scan(table, &[], END, &mut |key, _| {
            let number = key.first_chunk().map(|number| u32::from_be_bytes(*number));
            gone.extend(number.filter(|number| !known.contains(number)));
            true
        })?;
        for number in gone {
            counters.space = counters.space.max(number);
            remove_numbered(store, number)?;
        }
    }
    store.commit()
}

/// Each member has a row that says so, nobody else has one, and both are counted.
fn mend_memberships<S: Store>(
    store: &mut S,
    rosters: &[(SpaceId, Roster)],
) -> Result<(), StoreError> {
    let mut should: BTreeSet<Vec<u8>> = BTreeSet::new();
    let mut counts: BTreeMap<AccountId, u64> = BTreeMap::new();
    for (space, roster) in rosters {
        for (account, _) in roster.iter() {
            should.insert(rows::membership(&account, space));
            *counts.entry(account).or_default() += 1;
        }
    }
    for (key, row) in all::<S, Membership>(store, Table::Memberships)? {
        let is_member = should.remove(&key);
        let says_so = row.is_some_and(|row| row.until.is_none());
        match (is_member, says_so) {
            (true, true) | (false, false) => {}
            (true, false) => {
                should.insert(key);
            }
            (false, true) => store.delete(Table::Memberships, &key),
        }
    }
    for key in should {
        let row = Membership { from: 0, until: None, by: None, index: 0, answered: 0 };
        store.put(Table::Memberships, &key, rows::encode(&row));
    }
    for (key, row) in all::<S, AccountRow>(store, Table::Accounts)? {
        let Ok(account) = AccountId::try_from(key.as_slice()) else { continue };
        let spaces = counts.get(&account).copied().unwrap_or(0);
        let row = AccountRow { spaces, ..row.unwrap_or_default() };
        store.put(Table::Accounts, &key, rows::encode(&row));
    }
    store.commit()
}
