//! Devices: fences, inboxes, key packages, and the cursors they acknowledged.

use sync_protocol::codec::Blob;
use sync_protocol::error::Rejection;
use sync_protocol::frames::InboxItem;
use sync_protocol::ids::DeviceId;
use sync_protocol::limits;

use crate::rules::command::{Action, Command, InboxFrom};
use crate::rules::rows::{self, DeviceRow, FrontierRow, InboxRow, key2};
use crate::rules::state::State;
use crate::rules::welcomes;
use crate::rules::{Effect, Fault};
use crate::store::{Store, StoreError, Table};

/// The number under which the last-resort key package lies.
const LAST_RESORT: u64 = u64::MAX;

pub(super) fn apply_device<S: Store>(
    state: &mut State<S>,
    command: Command,
) -> Result<Effect, Fault> {
    let time_ms = command.time_ms;
    match command.action {
        Action::Fence { device, incarnation, fence, next_fence } => {
            hold_fence(state, &device, incarnation, fence, next_fence)?;
            Ok(Effect::Done)
        }
        Action::PutKeyPackages { device, once, last_resort } => {
            put_packages(state, &device, once, last_resort)
        }
        Action::TakeKeyPackage { device } => Ok(take_package(state, &device)?),
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
    device: &DeviceId,
    incarnation: u64,
    fence: u64,
    next_fence: u64,
) -> Result<(), Fault> {
    present(state, device)?;
    let key = key2(device.as_bytes(), &incarnation.to_be_bytes());
    if let Some(row) = state.store().row(Table::Fences, &key)? {
        let held: u64 = rows::decode("fence", &row)?;
        if held != fence && held != next_fence {
            return Err(Rejection::Fenced.into());
        }
    }
    state.store_mut().put(Table::Fences, &key, rows::encode(&next_fence));
    Ok(())
}

fn put_packages<S: Store>(
    state: &mut State<S>,
    device: &DeviceId,
    once: Vec<Blob>,
    last_resort: Option<Blob>,
) -> Result<Effect, Fault> {
    let mut row = present(state, device)?;
    if row.packages + once.len() as u64 > limits::KEY_PACKAGES as u64 {
        return Err(Rejection::Quota.into());
    }
    for package in once {
        let key = key2(device.as_bytes(), &row.package_next.to_be_bytes());
        state.store_mut().put(Table::KeyPackages, &key, package.0);
        row.package_next += 1;
        row.packages += 1;
    }
    if let Some(package) = last_resort {
        let key = key2(device.as_bytes(), &LAST_RESORT.to_be_bytes());
        state.store_mut().put(Table::KeyPackages, &key, package.0);
    }
    put_device(state, device, row);
    Ok(Effect::Done)
}

fn take_package<S: Store>(state: &mut State<S>, device: &DeviceId) -> Result<Effect, StoreError> {
    let mut row = state.device(device)?;
    let from = key2(device.as_bytes(), &[]);
    let to = key2(device.as_bytes(), &[0xff; 9]);
    let mut first = None;
    state.store().scan(Table::KeyPackages, &from, &to, &mut |key, package| {
        first = Some((key.to_vec(), package.to_vec()));
        false
    })?;
    let Some((key, package)) = first else {
        return Ok(Effect::Package { package: None, left: 0 });
    };
    if !key.ends_with(&LAST_RESORT.to_be_bytes()) {
        state.store_mut().delete(Table::KeyPackages, &key);
        row.packages = row.packages.saturating_sub(1);
        put_device(state, device, row);
    }
    Ok(Effect::Package { package: Some(package.into()), left: row.packages })
}

fn put_inbox<S: Store>(
    state: &mut State<S>,
    device: &DeviceId,
    from: InboxFrom,
    item: Blob,
    time_ms: u64,
) -> Result<Effect, Fault> {
    let mut row = match (with_room(state, device), from.handshake) {
        // Nobody waits for an answer to a way in: what it leaves behind goes.
        (Err(Fault::Rejected(_)), Some(handshake)) => {
            welcomes::taken(state, Some(handshake), time_ms);
            return Ok(Effect::Done);
        }
        (row, _) => row?,
    };
    row.inbox_last += 1;
    let number = row.inbox_last;
    let key = key2(device.as_bytes(), &number.to_be_bytes());
    let item = InboxRow { from, time_ms, item };
    state.store_mut().put(Table::Inboxes, &key, rows::encode(&item));
    put_device(state, device, row);
    Ok(Effect::InboxGrew { number })
}

/// The row of a device whose inbox takes one more.
fn with_room<S: Store>(state: &State<S>, device: &DeviceId) -> Result<DeviceRow, Fault> {
    let row = present(state, device)?;
    let is_full = row.inbox_last - row.inbox_acked >= limits::INBOX_ITEMS as u64;
    if is_full { Err(Rejection::Quota.into()) } else { Ok(row) }
}

fn ack_inbox<S: Store>(
    state: &mut State<S>,
    device: &DeviceId,
    number: u64,
    time_ms: u64,
) -> Result<(), StoreError> {
    let mut row = state.device(device)?;
    let upto = number.min(row.inbox_last);
    for gone in row.inbox_acked + 1..=upto {
        let key = key2(device.as_bytes(), &gone.to_be_bytes());
        let Some(item) = state.store().row(Table::Inboxes, &key)? else { continue };
        let item: InboxRow = rows::decode("inbox", &item)?;
        welcomes::taken(state, item.from.handshake, time_ms);
        state.store_mut().delete(Table::Inboxes, &key);
    }
    if upto > row.inbox_acked {
        row.inbox_acked = upto;
        put_device(state, device, row);
    }
    Ok(())
}

/// The row of a device that did not end.
fn present<S: Store>(state: &State<S>, device: &DeviceId) -> Result<DeviceRow, Fault> {
    let row = state.device(device)?;
    if row.has_ended { Err(Rejection::Revoked.into()) } else { Ok(row) }
}

/// Drops all that is kept for a device. What is on its way to it still is refused.
fn end<S: Store>(state: &mut State<S>, device: &DeviceId, time_ms: u64) -> Result<(), StoreError> {
    ack_inbox(state, device, u64::MAX, time_ms)?;
    let from = key2(device.as_bytes(), &[]);
    let to = key2(device.as_bytes(), &[0xff; 9]);
    for table in [Table::KeyPackages, Table::Fences] {
        let mut keys = Vec::new();
        state.store().scan(table, &from, &to, &mut |key, _| {
            keys.push(key.to_vec());
            true
        })?;
        for key in keys {
            state.store_mut().delete(table, &key);
        }
    }
    state.store_mut().delete(Table::Frontiers, device.as_bytes());
    put_device(state, device, DeviceRow { has_ended: true, ..DeviceRow::default() });
    Ok(())
}

fn put_device<S: Store>(state: &mut State<S>, device: &DeviceId, row: DeviceRow) {
    state.store_mut().put(Table::Devices, device.as_bytes(), rows::encode(&row));
}

impl<S: Store> State<S> {
    fn device(&self, device: &DeviceId) -> Result<DeviceRow, StoreError> {
        let row = self.store().row(Table::Devices, device.as_bytes())?;
        row.map_or(Ok(DeviceRow::default()), |row| rows::decode("device", &row))
    }

    /// Single-use key packages of a device that are left.
    ///
    /// # Errors
    /// If the store fails.
    pub fn package_count(&self, device: &DeviceId) -> Result<u64, StoreError> {
        self.device(device).map(|row| row.packages)
    }

    /// The number of the newest inbox item of a device, acknowledged or not.
    ///
    /// # Errors
    /// If the store fails.
    pub fn newest_item(&self, device: &DeviceId) -> Result<u64, StoreError> {
        self.device(device).map(|row| row.inbox_last)
    }

    /// Visits the items that wait in an inbox, from a number on, until `visit` says `false`.
    ///
    /// # Errors
    /// If the store fails.
    pub fn waiting_items(
        &self,
        device: &DeviceId,
        from: u64,
        visit: &mut dyn FnMut(InboxItem) -> bool,
    ) -> Result<(), StoreError> {
        let first = key2(device.as_bytes(), &from.to_be_bytes());
        let end = key2(device.as_bytes(), &[0xff; 9]);
        let mut failed = None;
        self.store().scan(Table::Inboxes, &first, &end, &mut |key, row| match self
            .inbox_item(key, row)
        {
            Ok(item) => visit(item),
            Err(error) => {
                failed = Some(error);
                false
            }
        })?;
        failed.map_or(Ok(()), Err)
    }

    /// An item as it is delivered: with what it has in common with others.
    fn inbox_item(&self, key: &[u8], row: &[u8]) -> Result<InboxItem, StoreError> {
        let number = key.last_chunk().map(|number| u64::from_be_bytes(*number));
        let number = number.ok_or_else(|| StoreError::row("inbox"))?;
        let InboxRow { from, time_ms, item } = rows::decode("inbox", row)?;
        let InboxFrom { account, device, handshake } = from;
        let common = handshake.map(|(space, index)| welcomes::common(self, &space, index));
        let common = common.transpose()?.flatten();
        let space = handshake.map(|(space, _)| space);
        Ok(InboxItem { number, account, device, time_ms, space, item, common })
    }

    /// The position up to which a device acknowledged everything.
    ///
    /// # Errors
    /// If the store fails.
    pub fn frontier(&self, device: &DeviceId) -> Result<u64, StoreError> {
        Ok(self.frontier_row(device)?.map_or(0, |row| row.position))
    }

    /// When a device's session was last known to be open here, Unix milliseconds.
    ///
    /// # Errors
    /// If the store fails.
    pub fn last_seen(&self, device: &DeviceId) -> Result<Option<u64>, StoreError> {
        Ok(self.frontier_row(device)?.map(|row| row.seen_ms))
    }

    fn frontier_row(&self, device: &DeviceId) -> Result<Option<FrontierRow>, StoreError> {
        let row = self.store().row(Table::Frontiers, device.as_bytes())?;
        row.map(|row| rows::decode("frontier", &row)).transpose()
    }

    /// Records what a device acknowledged, and that it is here. Not a command: losing it means
    /// delivering again, nothing more.
    pub fn put_frontier(&mut self, device: &DeviceId, position: u64, seen_ms: u64) {
        let row = rows::encode(&FrontierRow { position, seen_ms });
        self.store_mut().put(Table::Frontiers, device.as_bytes(), row);
    }
}
