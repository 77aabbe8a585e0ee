//! The account's devices: its log as it grows, who is ended, who is the primary.

use serde_json::{Value, json};
use sync_protocol::codec::Blob;
use sync_protocol::device_log::{Action, DeviceLog};
use sync_protocol::dormancy::Dormancy;
use sync_protocol::frames::{Answer, Op};
use sync_protocol::sorted::{SortedMap, SortedSet};
use sync_protocol::{AccountId, DeviceId, Rejection, SpaceId};

use crate::api::{CommandId, DeviceView, Event, Failure, Problem, Response};
use crate::document::{Edit, Name, settings};
use crate::engine::account::RecoverySecrets;
use crate::engine::account::own_log::Wish;
use crate::engine::rooms::Devices;
use crate::engine::rows::{Intention, PersonRow};
use crate::engine::session::Asked;
use crate::engine::{Need, Step, Stop, Task, seal};
use crate::line;
use crate::trust::Invalid;

/// How long others wait for a primary to carry out what it wrote into the log.
const EVICT_MS: u64 = 8_000;

/// Settings under this prefix are the engine's own: what each device is called, and since when.
pub(in crate::engine) const RECORDS: &str = "devices/";

impl Devices<'_> {
    /// Adds what came after the own log as it is known here.
    pub(in crate::engine) fn append_own_log(&mut self, entry: Blob) {
        let Ok(account) = self.account.me().map(|me| me.account()) else { return };
        let mut log = self.people.log_blobs(&account);
        log.push(entry);
        let person = PersonRow { log, ..PersonRow::default() };
        if self.contacts().learn_person(&account, person).is_err() {
            self.read_own_log();
        }
        self.settle_signed();
        self.host_side().settle_linking(false);
    }

    pub(in crate::engine) fn read_own_log(&mut self) {
        if let Ok(account) = self.account.me().map(|me| me.account()) {
            self.read_log(account);
        }
    }

    /// Asks for what somebody's log has beyond what is known here.
    pub(in crate::engine) fn read_log(&mut self, account: AccountId) {
        let from = self.people.log(&account).map_or(0, DeviceLog::len);
        if self.session.is_open() {
            self.session.ask(self.turn, Op::ReadLog { account, from }, Asked::Log(account));
        }
    }

    pub(in crate::engine) fn on_log(&mut self, account: &AccountId, answer: Answer) {
        let Answer::Log { account: of, from, entries } = answer else { return };
        let mut log = self.people.log_blobs(account);
        // What came meanwhile by another way may have made the log longer than it was when this was
        // asked: the answer still says what there is beyond.
        let known = usize::try_from(from).ok().and_then(|from| log.len().checked_sub(from));
        let Some(known) = known.filter(|_| of == *account) else { return };
        log.extend(entries.into_iter().skip(known));
        let person = PersonRow { log, ..PersonRow::default() };
        if self.contacts().learn_person(account, person).is_err() {
            self.contacts().tell_log(&account.space(), Invalid::LogForks { account: *account });
        }
        if self.account.is_own(account) {
            self.host_side().settle_linking(true);
            self.own_log_read();
        }
    }

    /// Somebody's log has grown: everybody who knows them is told, and whoever ended goes.
    pub(in crate::engine) fn log_grew(&mut self, account: &AccountId, before: &DeviceLog) {
        let Some(log) = self.people.log(account) else { return };
        let added: Vec<DeviceId> =
            log.devices().map(|(id, _)| *id).filter(|id| before.known(id).is_none()).collect();
        let revoked: Vec<DeviceId> =
            before.devices().map(|(id, _)| *id).filter(|id| log.active(id).is_none()).collect();
        let rekeyed = log.join() != before.join();
        let own = self.account.is_own(account);
        let recoverable = log.recovery() != before.recovery();
        if own && recoverable && revoked.is_empty() && self.account.is_primary(self.people) {
            // The ticket must open with the new code from here on.
            self.member_rows().intend(&account.space(), Intention::Renew(*account));
        }
        if !revoked.is_empty() {
            self.evict(account, &revoked);
        }
        if own && !revoked.is_empty() && !rekeyed && self.account.is_primary(self.people) {
            // A device that ended itself left the key as it was.
            self.rotate_join_key();
        }
        if own {
            self.vault().call_vault();
            self.settle_signed();
            self.host_side().settle_linking(false);
            self.turn.tasks.push_back(Task::HostMissing);
            self.profile().call_introductions();
        }
        if rekeyed && (!own || self.account.is_primary(self.people)) {
            self.renew_tickets(account);
        }
        let account = *account;
        if !(added.is_empty() && revoked.is_empty()) {
            if !own {
                self.turn.tasks.push_back(Task::Compared(account));
            }
            self.turn.notify(Event::Devices { account, added, revoked });
        }
    }

    /// Wishes ended devices out of every space they may be in, newest first.
    fn evict(&mut self, account: &AccountId, devices: &[DeviceId]) {
        let Ok(me) = self.account.me().map(|me| me.account()) else { return };
        let own = *account == me;
        // With each commit in the account's space goes the ticket that recovery depends on.
        let complete = self.account.me.as_ref().is_some_and(|me| me.row.complete);
        let concerned: SortedSet<(bool, u64, SpaceId)> = self
            .spaces
            .iter()
            .filter(|(_, space)| space.row.active && space.role(account).is_some())
            .filter(|(_, space)| !space.row.own || complete)
            .filter(|(_, space)| own || space.role(&me) == Some(sync_protocol::roster::Role::Admin))
            .map(|(id, space)| (space.row.own, space.row.activity_ms, *id))
            .collect();
        let at_once = own && self.account.is_primary(self.people);
        let jitter = u64::from(self.turn.seed()[0]) * 16;
        let retry_at = (!at_once).then_some(self.turn.now + EVICT_MS + jitter);
        for (_, _, id) in concerned.into_iter().rev() {
            self.intend_eviction(&id, account, devices, retry_at);
        }
    }

    /// Sees to it that what lets the account's devices in opens with the join key that they have
    /// now: who brings an account back may find the one before nowhere.
    fn renew_tickets(&mut self, account: &AccountId) {
        let wait = EVICT_MS + u64::from(self.turn.seed()[0]) * 16;
        let retry_at = self.turn.now + if self.account.is_own(account) { 0 } else { wait };
        let shared = self.spaces.iter_mut().filter(|(_, space)| {
            space.row.active && !space.row.own && space.role(account).is_some()
        });
        let mut concerned = Vec::new();
        for (id, space) in shared {
            if space.row.intentions.is_empty() {
                space.retry_at = Some(retry_at);
            }
            space.wish(Intention::Renew(*account));
            concerned.push(*id);
        }
        for id in concerned {
            self.turn.save_space(&id);
            self.turn.tasks.push_back(Task::Advance(id));
        }
    }

    fn intend_eviction(
        &mut self,
        id: &SpaceId,
        account: &AccountId,
        devices: &[DeviceId],
        retry_at: Option<u64>,
    ) {
        let Some(space) = self.spaces.get_mut(id) else { return };
        let idle = space.row.intentions.is_empty();
        for device in devices {
            space.wish(Intention::Evict { account: *account, device: *device });
        }
        if let Some(at) = retry_at.filter(|_| idle) {
            space.retry_at = Some(at);
        }
        self.turn.save_space(id);
        self.turn.tasks.push_back(Task::Advance(*id));
    }

    /// Sees to it that leaves go whose account's log has ended them, wherever this device learned of
    /// that: the own account's at once, others' if it may and nobody else is quicker.
    pub(in crate::engine) fn evict_ended(&mut self, id: &SpaceId) {
        let Ok(me) = self.account.me().map(|me| me.account()) else { return };
        let Some(space) = self.spaces.get(id) else { return };
        let is_admin = space.role(&me) == Some(sync_protocol::roster::Role::Admin);
        let leaves = space.group.as_ref().map(crate::group::Group::leaves).unwrap_or_default();
        let mut ended: SortedMap<AccountId, Vec<DeviceId>> = SortedMap::new();
        for leaf in leaves.iter().filter(|leaf| leaf.account == me || is_admin) {
            let log = self.people.log(&leaf.account);
            if log.is_some_and(|log| log.active(&leaf.device).is_none()) {
                ended.entry(leaf.account).or_default().push(leaf.device);
            }
        }
        for (account, devices) in ended {
            let wait = EVICT_MS + u64::from(self.turn.seed()[0]) * 16;
            let retry_at = (account != me).then_some(self.turn.now + wait);
            self.intend_eviction(id, &account, &devices, retry_at);
        }
    }

    pub(in crate::engine) fn revoke_device(
        &mut self,
        id: CommandId,
        device: &DeviceId,
    ) -> Step<Option<Response>> {
        let me = self.account.me()?;
        let (account, own) = (me.account(), me.device());
        if *device == own && self.account.told_revoked {
            // The account has ended it already: what is left is here.
            self.logged_out(id);
            return Ok(None);
        }
        let log = self.people.log(&account).ok_or(Failure::NotFound("account"))?;
        if log.active(device).is_none() {
            return Err(Failure::NotFound("device").into());
        }
        if *device == log.primary() {
            let why = "the primary can't be ended: make another device the primary first";
            return Err(Failure::Denied(why).into());
        }
        if *device != own && log.primary() != own {
            return Err(Failure::Denied("only the primary ends other devices").into());
        }
        let leaves_itself = *device == own;
        if leaves_itself && self.session.is_open() && self.account.owes_vault(self.spaces) {
            self.vault().write_vault_now();
            return Err(Stop::Need(Need::Vaulted));
        }
        let join = if leaves_itself { *log.join() } else { self.draw_join_key()? };
        let action = Action::Revoke { device: *device, join, cuts: Vec::new() };
        let wish = if leaves_itself { Wish::LogOut(id) } else { Wish::Command(id) };
        self.append(action, wish)?;
        Ok(None)
    }

    pub(in crate::engine) fn make_primary(
        &mut self,
        id: CommandId,
        device: &DeviceId,
    ) -> Step<Option<Response>> {
        let account = self.account.me()?.account();
        let settings = self.documents.document(self.spaces, &account.space(), &Name::Settings)?;
        let record = settings::value(settings, &record_key(device));
        let without_history =
            record.is_some_and(|record| record.get("history") == Some(&Value::Bool(false)));
        let log = self.people.log(&account).ok_or(Failure::NotFound("account"))?;
        if log.active(device).is_none() {
            return Err(Failure::NotFound("device").into());
        }
        if !self.account.is_primary(self.people) {
            return Err(Failure::Denied("only the primary passes its role on").into());
        }
        if without_history {
            let why = "a device that was linked without history can't be the primary";
            return Err(Failure::Denied(why).into());
        }
        self.append(Action::ChangePrimary { device: *device }, Wish::Command(id))?;
        Ok(None)
    }

    pub(in crate::engine) fn rotate_join_key(&mut self) {
        if let Ok(join) = self.draw_join_key() {
            // Without a connection it is done by whoever reads the log next.
            let _ = self.append(Action::RotateJoinKey { join }, Wish::Rotate);
        }
    }

    /// A new join key: kept before anybody seals to it.
    pub(in crate::engine) fn draw_join_key(&mut self) -> Result<[u8; 32], Failure> {
        let (secret, public) = seal::hpke_pair(&self.turn.seed());
        let me = self.account.me.as_mut().ok_or(Failure::NoAccount)?;
        me.row.joins.insert(0, Blob(secret.to_vec()));
        self.turn.unsaved.account = true;
        Ok(public)
    }

    /// This device has ended itself: nothing stays here.
    pub(in crate::engine) fn logged_out(&mut self, id: CommandId) {
        self.session.forget_requests();
        self.turn.lapsed.account = true;
        self.turn.respond(id, Ok(Response::Done));
    }

    /// Another recovery code in place of the one before, which counts no more.
    pub(in crate::engine) fn new_recovery_code(&mut self, id: CommandId) -> Step<Option<Response>> {
        if !self.account.is_primary(self.people) {
            return Err(Failure::Denied("only the primary changes the recovery code").into());
        }
        let (code, secrets) = RecoverySecrets::draw(&self.turn.seed());
        let action = Action::SetRecovery { recovery: secrets.public() };
        self.append(action, Wish::Recovery(id, code))?;
        Ok(None)
    }

    /// Writes down what a device is called, for the account's other devices.
    pub(in crate::engine) fn record_device(
        &mut self,
        device: &DeviceId,
        name: &str,
        history: bool,
    ) {
        let record = json!({ "name": name, "linked_ms": self.turn.wall, "history": history });
        self.turn.tasks.push_back(Task::Setting(record_key(device), record));
    }

    /// A setting that this engine keeps itself.
    pub(in crate::engine) fn keep_setting(&mut self, key: &str, value: &Value) -> Step<()> {
        let space = self.account.me()?.account().space();
        if !self.spaces.contains_key(&space) {
            return Ok(());
        }
        let document = self.documents.document(self.spaces, &space, &Name::Settings)?;
        if settings::value(document, key).as_ref() != Some(value) {
            let value = Some(Blob(value.to_string().into_bytes()));
            self.outbox().edit(
                &space,
                &Name::Settings,
                Edit::Setting { key: key.to_owned(), value },
            )?;
        }
        Ok(())
    }

    pub(in crate::engine) fn list_devices(&mut self) -> Step<Option<Response>> {
        let me = self.account.me()?;
        let (account, own) = (me.account(), me.device());
        let own_name = me.row.device_name.clone();
        let records = self.library().own_settings(RECORDS)?;
        if self.session.is_open() && self.account.seen.is_none() {
            return Err(crate::engine::Stop::Need(Need::Seen));
        }
        let seen = self.account.seen.take().unwrap_or_default();
        let now_ms = self.account.relay_time(&seen);
        let log = self.people.log(&account).ok_or(Failure::NotFound("account"))?;
        let devices: SortedMap<u64, DeviceView> = log
            .all()
            .map(|(id, device)| {
                let record = records.get(&record_key(id));
                let name = record.and_then(|record| record.get("name")).and_then(Value::as_str);
                let name = name.map(line::shown_name);
                let name = name.unwrap_or_else(|| match *id == own {
                    true => own_name.clone(),
                    false => String::new(),
                });
                let linked_ms = record.and_then(|record| record.get("linked_ms")?.as_u64());
                let last_seen_ms = seen.iter().find(|(of, _)| of == id).map(|(_, at_ms)| *at_ms);
                let times = last_seen_ms.zip(now_ms);
                let primary = *id == log.primary();
                let view = DeviceView {
                    device: *id,
                    name,
                    role: if primary { "primary" } else { "companion" },
                    current: *id == own,
                    linked_ms,
                    last_seen_ms,
                    dormancy: times.and_then(|(seen, now)| Dormancy::of(seen, now)),
                    revoked: device.revoked.is_some(),
                };
                (if primary { 0 } else { device.added + 1 }, view)
            })
            .collect();
        Ok(Some(Response::Devices(devices.into_values().collect())))
    }

    /// The relay says that this device is none of the account's any more.
    pub(in crate::engine) fn on_revoked(&mut self) {
        if !std::mem::replace(&mut self.account.told_revoked, true) {
            let unsent = self.spaces.values().map(|space| space.waiting()).sum();
            self.turn.notify(Event::Revoked { unsent });
        }
        let revoked = Problem::Session(Rejection::Revoked);
        self.session.stay_away(self.turn, self.spaces, revoked);
    }
}

pub(in crate::engine) fn record_key(device: &DeviceId) -> String {
    format!("{RECORDS}{device}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_devices_record_is_not_its_own_setting() {
        let device = DeviceId::of_signing_key(&[1; 32]);
        assert!(!record_key(&device).starts_with("device/"));
    }
}
