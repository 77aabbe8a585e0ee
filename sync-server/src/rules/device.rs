//! Devices, each of one account: fences, inboxes, key packages, and the cursors they acknowledged.

use sync_protocol::codec::Blob;
use sync_protocol::error::Rejection;
use sync_protocol::frames::InboxItem;
use sync_protocol::ids::AccountId;

use crate::rules::command::{AccountDevice, Action, Command, InboxFrom};
use crate::rules::rows::{self, DeviceRow, FrontierRow, InboxRow, SenderRow, key2};
use crate::rules::state::State;
use crate::rules::welcomes;
use crate::rules::{Effect, Fault};
use crate::store::{Store, StoreError, Table};

/// The number under which the last-resort key package lies.
const LAST_RESORT: u64 = u64::MAX;
/// The fence of a store whose own is not known any more: whichever it has is good. Nobody draws it.
pub(super) const ANY_FENCE: u64 = 0;

pub(super) fn apply_device<S: Store>(
    state: &mut State<S>,
    command: Command,
) -> Result<Effect, Fault> {
    let time_ms = command.time_ms;
    match command.action {
        Action::Fence { device, incarnation, fence, next_fence } => {
            hold_fence(state, &device, incarnation, fence, next_fence)?;
            Ok(Effect::Opened { device, incarnation })
        }
        Action::PutKeyPackages { device, once, last_resort } => {
            put_packages(state, &device, once, last_resort)
        }
        Action::TakeKeyPackage { device, once } => Ok(take_package(state, &device, once)?),
        Action::PutInbox { device, from, item } => put_inbox(state, &device, from, item, time_ms),
        Action::AckInbox { device, number } => {
            ack_inbox(state, &device, number, time_ms)?;
            Ok(Effect::Done)
        }
        Action::EndDevice { device } => {
            end(state, &device, time_ms)?;
            Ok(Effect::Done)
        }
        _ => Err(Rejection::Invalid.into()),
    }
}

/// One number for each store of a device: a copy of a store that went on knows an older one.
fn hold_fence<S: Store>(
    state: &mut State<S>,
    device: &AccountDevice,
    incarnation: u64,
    fence: u64,
    next_fence: u64,
) -> Result<(), Fault> {
    let mut row = present(state, device)?;
    let key = key2(&device.to_bytes(), &incarnation.to_be_bytes());
    let held = state.store().row(Table::Fences, &key)?;
    let held: Option<u64> = held.map(|row| rows::decode("fence", &row)).transpose()?;
    let is_good = |held| [ANY_FENCE, fence, next_fence].contains(&held);
    if !held.is_none_or(is_good) {
        return Err(Rejection::Fenced.into());
    }
    if held.is_none() {
        if row.stores >= state.allowed().incarnations {
            return Err(Rejection::Quota.into());
        }
        row.stores += 1;
        put_device(state, device, row);
    }
    if held != Some(fence) {
        // It may be a store of before the packages were published, and lack what opens them.
        drop_packages(state, device, row)?;
    }
    state.store_mut().put(Table::Fences, &key, rows::encode(&next_fence));
    Ok(())
}

fn put_packages<S: Store>(
    state: &mut State<S>,
    device: &AccountDevice,
    once: Vec<Blob>,
    last_resort: Option<Blob>,
) -> Result<Effect, Fault> {
    let mut row = present(state, device)?;
    if row.packages + once.len() as u64 > state.allowed().key_packages {
        return Err(Rejection::Quota.into());
    }
    for package in once {
        let key = key2(&device.to_bytes(), &row.package_next.to_be_bytes());
        state.store_mut().put(Table::KeyPackages, &key, package.0);
        row.package_next += 1;
        row.packages += 1;
    }
    if let Some(package) = last_resort {
        let key = key2(&device.to_bytes(), &LAST_RESORT.to_be_bytes());
        state.store_mut().put(Table::KeyPackages, &key, package.0);
    }
    put_device(state, device, row);
    Ok(Effect::Done)
}

/// Nobody is given what this device has published so far.
fn drop_packages<S: Store>(
    state: &mut State<S>,
    device: &AccountDevice,
    row: DeviceRow,
) -> Result<(), StoreError> {
    drop_all(state, Table::KeyPackages, device)?;
    if row.packages > 0 {
        put_device(state, device, DeviceRow { packages: 0, ..row });
    }
    Ok(())
}

fn drop_all<S: Store>(
    state: &mut State<S>,
    table: Table,
    device: &AccountDevice,
) -> Result<(), StoreError> {
    let from = key2(&device.to_bytes(), &[]);
    let to = key2(&device.to_bytes(), &[0xff; 9]);
    let mut keys = Vec::new();
    state.store().scan(table, &from, &to, &mut |key, _| {
        keys.push(key.to_vec());
        true
    })?;
    for key in keys {
        state.store_mut().delete(table, &key);
    }
    Ok(())
}

/// Takes one that is given out once, if there is one and it may go; the last resort otherwise.
fn take_package<S: Store>(
    state: &mut State<S>,
    device: &AccountDevice,
    once: bool,
) -> Result<Effect, StoreError> {
    let mut row = device_row(state, device)?;
    let from = if once { 0 } else { LAST_RESORT };
    let from = key2(&device.to_bytes(), &from.to_be_bytes());
    let to = key2(&device.to_bytes(), &[0xff; 9]);
    let mut first = None;
    state.store().scan(Table::KeyPackages, &from, &to, &mut |key, package| {
        first = Some((key.to_vec(), package.to_vec()));
        false
    })?;
    let Some((key, package)) = first else {
        let left = row.packages;
        return Ok(Effect::Package { device: *device, package: None, left, spent: false });
    };
    let spent = !key.ends_with(&LAST_RESORT.to_be_bytes());
    if spent {
        state.store_mut().delete(Table::KeyPackages, &key);
        row.packages = row.packages.saturating_sub(1);
        put_device(state, device, row);
    }
    let (device, package) = (*device, Some(package.into()));
    Ok(Effect::Package { device, package, left: row.packages, spent })
}

fn put_inbox<S: Store>(
    state: &mut State<S>,
    device: &AccountDevice,
    from: InboxFrom,
    item: Blob,
    time_ms: u64,
) -> Result<Effect, Fault> {
    let bytes = bytes_of(&from, &item);
    let (mut row, sender) = match (present(state, device), from.handshake) {
        // Nobody waits for an answer to a way in: what it leaves behind goes.
        (Err(Fault::Rejected(_)), Some(handshake)) => {
            welcomes::taken(state, Some(handshake), time_ms);
            return Ok(Effect::Done);
        }
        // A way in is acknowledged by now, together with its handshake: there was room then.
        (Ok(row), Some(_)) => (row, one_more(sender_row(state, device, &from.account)?, bytes)),
        (Err(fault), _) => return Err(fault),
        (Ok(_), None) => with_room(state, device, &from.account, bytes, false)?,
    };
    row.inbox_last += 1;
    let number = row.inbox_last;
    let key = key2(&device.to_bytes(), &number.to_be_bytes());
    put_sender(state, device, &from.account, sender);
    let item = InboxRow { from, time_ms, item };
    state.store_mut().put(Table::Inboxes, &key, rows::encode(&item));
    put_device(state, device, row);
    Ok(Effect::InboxGrew { device: *device, number })
}

/// What an item costs who receives it.
fn bytes_of(from: &InboxFrom, item: &Blob) -> u64 {
    from.common.saturating_add(item.0.len() as u64)
}

/// What waits from an account, with one more item.
fn one_more(waits: SenderRow, bytes: u64) -> SenderRow {
    SenderRow { items: waits.items + 1, bytes: waits.bytes.saturating_add(bytes) }
}

/// The rows of a device whose inbox takes one more from an account, and of what waits there from it
/// by then. Where strangers filled it, there is room left for ways in, the more the fewer wait from
/// who sends one: whom nobody could let in any more, anybody could keep to themselves.
fn with_room<S: Store>(
    state: &State<S>,
    device: &AccountDevice,
    account: &AccountId,
    bytes: u64,
    is_welcome: bool,
) -> Result<(DeviceRow, SenderRow), Fault> {
    let row = present(state, device)?;
    let sender = one_more(sender_row(state, device, account)?, bytes);
    let all = row.inbox_last - row.inbox_acked;
    let allowed = state.allowed();
    let most = match is_welcome {
        true if sender.items == 1 => allowed.inbox_items + allowed.inbox_last,
        true if sender.items <= allowed.inbox_welcomes_of_one => allowed.inbox_items,
        _ => allowed.inbox_items - allowed.inbox_reserve,
    };
    if all >= most
        || sender.items > allowed.inbox_items_of_one
        || sender.bytes > allowed.inbox_bytes_of_one
    {
        return Err(Rejection::Quota.into());
    }
    Ok((row, sender))
}

fn put_sender<S: Store>(
    state: &mut State<S>,
    device: &AccountDevice,
    account: &AccountId,
    sender: SenderRow,
) {
    let key = key2(&device.to_bytes(), account.as_bytes());
    if sender.items == 0 {
        state.store_mut().delete(Table::InboxSenders, &key);
    } else {
        state.store_mut().put(Table::InboxSenders, &key, rows::encode(&sender));
    }
}

fn ack_inbox<S: Store>(
    state: &mut State<S>,
    device: &AccountDevice,
    number: u64,
    time_ms: u64,
) -> Result<(), StoreError> {
    let mut row = device_row(state, device)?;
    let upto = number.min(row.inbox_last);
    for gone in row.inbox_acked + 1..=upto {
        let key = key2(&device.to_bytes(), &gone.to_be_bytes());
        let Some(item) = state.store().row(Table::Inboxes, &key)? else { continue };
        let item: InboxRow = rows::decode("inbox", &item)?;
        welcomes::taken(state, item.from.handshake, time_ms);
        state.store_mut().delete(Table::Inboxes, &key);
        let waits = sender_row(state, device, &item.from.account)?;
        let bytes = waits.bytes.saturating_sub(bytes_of(&item.from, &item.item));
        let left = SenderRow { items: waits.items.saturating_sub(1), bytes };
        put_sender(state, device, &item.from.account, left);
    }
    if upto > row.inbox_acked {
        row.inbox_acked = upto;
        put_device(state, device, row);
    }
    Ok(())
}

/// The row of a device that did not end.
fn present<S: Store>(state: &State<S>, device: &AccountDevice) -> Result<DeviceRow, Fault> {
    let row = device_row(state, device)?;
    if row.has_ended { Err(Rejection::Revoked.into()) } else { Ok(row) }
}

/// Drops all that is kept for a device. What is on its way to it still is refused.
fn end<S: Store>(
    state: &mut State<S>,
    device: &AccountDevice,
    time_ms: u64,
) -> Result<(), StoreError> {
    ack_inbox(state, device, u64::MAX, time_ms)?;
    for table in [Table::KeyPackages, Table::Fences] {
        drop_all(state, table, device)?;
    }
    state.store_mut().delete(Table::Frontiers, &device.to_bytes());
    put_device(state, device, DeviceRow { has_ended: true, ..DeviceRow::default() });
    Ok(())
}

fn put_device<S: Store>(state: &mut State<S>, device: &AccountDevice, row: DeviceRow) {
    state.store_mut().put(Table::Devices, &device.to_bytes(), rows::encode(&row));
}

fn device_row<S: Store>(state: &State<S>, device: &AccountDevice) -> Result<DeviceRow, StoreError> {
    let row = state.store().row(Table::Devices, &device.to_bytes())?;
    row.map_or(Ok(DeviceRow::default()), |row| rows::decode("device", &row))
}

fn sender_row<S: Store>(
    state: &State<S>,
    device: &AccountDevice,
    account: &AccountId,
) -> Result<SenderRow, StoreError> {
    let key = key2(&device.to_bytes(), account.as_bytes());
    let row = state.store().row(Table::InboxSenders, &key)?;
    row.map_or(Ok(SenderRow::default()), |row| rows::decode("inbox sender", &row))
}

/// An item as it is delivered: with what it has in common with others.
fn inbox_item<S: Store>(state: &State<S>, key: &[u8], row: &[u8]) -> Result<InboxItem, StoreError> {
    let number = key.last_chunk().map(|number| u64::from_be_bytes(*number));
    let number = number.ok_or_else(|| StoreError::row("inbox"))?;
    let InboxRow { from, time_ms, item } = rows::decode("inbox", row)?;
    let InboxFrom { account, device, handshake, .. } = from;
    let common = handshake.map(|(space, index)| welcomes::common(state, &space, index));
    let common = common.transpose()?.flatten();
    let space = handshake.map(|(space, _)| space);
    Ok(InboxItem { number, account, device, time_ms, space, item, common })
}

fn frontier_row<S: Store>(
    state: &State<S>,
    device: &AccountDevice,
) -> Result<Option<FrontierRow>, StoreError> {
    let row = state.store().row(Table::Frontiers, &device.to_bytes())?;
    row.map(|row| rows::decode("frontier", &row)).transpose()
}

impl<S: Store> State<S> {
    /// Whether a device's inbox would take a way in of so many bytes from an account.
    ///
    /// # Errors
    /// If the store fails.
    pub fn has_room_for_welcome(
        &self,
        device: &AccountDevice,
        account: &AccountId,
        bytes: u64,
    ) -> Result<bool, StoreError> {
        match with_room(self, device, account, bytes, true) {
            Ok(_) => Ok(true),
            Err(Fault::Rejected(_)) => Ok(false),
            Err(Fault::Store(error)) => Err(error),
        }
    }

    /// Whether a device ever opened a session with this store.
    ///
    /// # Errors
    /// If the store fails.
    pub fn knows_store(
        &self,
        device: &AccountDevice,
        incarnation: u64,
    ) -> Result<bool, StoreError> {
        let key = key2(&device.to_bytes(), &incarnation.to_be_bytes());
        Ok(self.store().row(Table::Fences, &key)?.is_some())
    }

    /// Single-use key packages of a device that are left.
    ///
    /// # Errors
    /// If the store fails.
    pub fn package_count(&self, device: &AccountDevice) -> Result<u64, StoreError> {
        device_row(self, device).map(|row| row.packages)
    }

    /// The number of the newest inbox item of a device, acknowledged or not.
    ///
    /// # Errors
    /// If the store fails.
    pub fn newest_item(&self, device: &AccountDevice) -> Result<u64, StoreError> {
        device_row(self, device).map(|row| row.inbox_last)
    }

    /// Visits the items that wait in an inbox, from a number on, until `visit` says `false`.
    ///
    /// # Errors
    /// If the store fails.
    pub fn waiting_items(
        &self,
        device: &AccountDevice,
        from: u64,
        visit: &mut dyn FnMut(InboxItem) -> bool,
    ) -> Result<(), StoreError> {
        let first = key2(&device.to_bytes(), &from.to_be_bytes());
        let end = key2(&device.to_bytes(), &[0xff; 9]);
        let mut failed = None;
        self.store().scan(Table::Inboxes, &first, &end, &mut |key, row| match inbox_item(
            self, key, row,
        ) {
            Ok(item) => visit(item),
            Err(error) => {
                failed = Some(error);
                false
            }
        })?;
        failed.map_or(Ok(()), Err)
    }

    /// The position up to which a device acknowledged everything.
    ///
    /// # Errors
    /// If the store fails.
    pub fn frontier(&self, device: &AccountDevice) -> Result<u64, StoreError> {
        Ok(frontier_row(self, device)?.map_or(0, |row| row.position))
    }

    /// When a device's session was last known to be open here, Unix milliseconds.
    ///
    /// # Errors
    /// If the store fails.
    pub fn last_seen(&self, device: &AccountDevice) -> Result<Option<u64>, StoreError> {
        Ok(frontier_row(self, device)?.map(|row| row.seen_ms))
    }

    /// Records what a device acknowledged, and that it is here. Not a command: losing it means
    /// delivering again, nothing more.
    pub fn put_frontier(&mut self, device: &AccountDevice, position: u64, seen_ms: u64) {
        let row = rows::encode(&FrontierRow { position, seen_ms });
        self.store_mut().put(Table::Frontiers, &device.to_bytes(), row);
    }
}
