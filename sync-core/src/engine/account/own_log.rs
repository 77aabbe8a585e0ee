//! What this device writes into the account's log: one entry for an index, whatever is answered.
//!
//! An entry is kept before it is sent. Until the log shows what stands at its index, no other is
//! signed for it: two of them would be two logs, of which a relay could show each to somebody. What
//! was signed goes to the log before anything else that this device wants there. A store that was
//! put back is the one exception: it can't know, and finds out from the log.

use sync_protocol::codec::{self, Blob};
use sync_protocol::device_log::{Action, LogEntry, sign_entry};
use sync_protocol::frames::{Answer, Op};
use sync_protocol::signing::Signed;
use sync_protocol::{DeviceId, Rejection};
use tracing::debug;

use crate::api::{CommandId, Event, Failure, Response};
use crate::engine::account::escrow;
use crate::engine::rooms::Devices;
use crate::engine::rows::SignedRow;
use crate::engine::seal;
use crate::engine::session::Asked;
use crate::trust::Invalid;

/// What an entry of our own, on its way to the log, is for.
#[derive(Clone, Debug)]
pub(in crate::engine) enum Wish {
    /// A command that waits for it.
    Command(CommandId),
    /// This device ends itself.
    LogOut(CommandId),
    /// A new join key.
    Rotate,
    /// A new recovery code, told once it counts.
    Recovery(CommandId, String),
    /// A device that was certified and never came.
    Unwanted,
    /// It was signed before, for something else that was wanted then.
    Settle,
}

impl Devices<'_> {
    /// Wants an entry in the own log. It is signed once all that was signed before is there.
    pub(in crate::engine) fn append(&mut self, action: Action, wish: Wish) -> Result<(), Failure> {
        if !self.session.is_open() {
            return Err(Failure::Offline);
        }
        self.account.wishes.push_back((action, wish));
        self.write_log();
        Ok(())
    }

    /// Sends the next entry, if none is on its way.
    pub(in crate::engine) fn write_log(&mut self) {
        while self.session.is_open() && !self.session.is_writing_log() {
            let signed = self.account.signed_next(self.people).cloned();
            let wanted = signed.is_some() && self.linking.waits_for_log();
            let Some((action, wish)) = self.account.wishes.pop_front() else {
                match signed.filter(|_| wanted) {
                    Some(signed) => self.send_entry(signed.index, signed.entry, Wish::Settle),
                    None => self.host_side().link_settled(),
                }
                return;
            };
            match signed {
                Some(signed) if says(&signed.entry, &action) => {
                    let wish = match (wish, signed.code) {
                        (Wish::Recovery(id, _), Some(code)) => Wish::Recovery(id, code),
                        (wish, _) => wish,
                    };
                    self.send_entry(signed.index, signed.entry, wish);
                }
                Some(signed) => {
                    self.account.wishes.push_front((action, wish));
                    self.send_entry(signed.index, signed.entry, Wish::Settle);
                }
                None => {
                    if let Err(failure) = self.sign_and_send(action, wish.clone()) {
                        self.wish_failed(&wish, failure);
                    }
                }
            }
        }
    }

    fn sign_and_send(&mut self, action: Action, wish: Wish) -> Result<(), Failure> {
        let account = self.account.me()?.account();
        let index = self.people.log(&account).ok_or(Failure::NotFound("account"))?.len();
        let escrow = self.escrow(&action, index)?;
        let code = match &wish {
            Wish::Recovery(_, code) => Some(code.clone()),
            _ => None,
        };
        let entry = self.sign_next(action, escrow, code)?;
        self.send_entry(index, entry, wish);
        Ok(())
    }

    /// Signs the next entry of the own log and keeps it: there is no other for this index.
    pub(in crate::engine) fn sign_next(
        &mut self,
        action: Action,
        escrow: Option<Blob>,
        code: Option<String>,
    ) -> Result<Blob, Failure> {
        if self.account.signed_next(self.people).is_some() {
            return Err(Rejection::Taken.into());
        }
        let me = self.account.me()?;
        let account = me.account();
        let log = self.people.log(&account).ok_or(Failure::NotFound("account"))?;
        let (index, previous) = (log.len(), log.head());
        let entry = LogEntry { version: 1, index, previous, action, escrow };
        let entry = Blob(sign_entry(&account, &entry, &me.identity.signing));
        let mut next = log.clone();
        next.append(entry.as_slice()).map_err(|error| Failure::Invalid(error.to_string()))?;
        let me = self.account.me.as_mut().ok_or(Failure::NoAccount)?;
        me.row.signed = Some(SignedRow { index, entry: entry.clone(), code });
        self.turn.unsaved.account = true;
        Ok(entry)
    }

    fn send_entry(&mut self, index: u64, entry: Blob, wish: Wish) {
        debug!(index, "an entry of the own log is sent");
        let op = Op::AppendLog { index, entry: entry.clone(), rendezvous: None };
        self.session.ask(self.turn, op, Asked::Append(entry, wish));
    }

    /// The own log was read as it is now: what waited for that goes on. A relay that says that an
    /// index was taken, and shows nothing there, is not asked again by itself.
    pub(in crate::engine) fn own_log_read(&mut self) {
        if self.session.is_writing_log() {
            return;
        }
        match self.account.signed_next(self.people) {
            Some(_) => self.host_side().log_not_settled(Rejection::Taken.into()),
            None => self.write_log(),
        }
    }

    /// What the holder of the recovery code can't know after this entry.
    fn escrow(&mut self, action: &Action, index: u64) -> Result<Option<Blob>, Failure> {
        let me = self.account.me.as_ref().ok_or(Failure::NoAccount)?;
        let account = me.account();
        let log = self.people.log(&account).ok_or(Failure::NotFound("account"))?;
        let (join, recovery) = match action {
            Action::Revoke { join, .. } | Action::RotateJoinKey { join } => (join, log.recovery()),
            Action::SetRecovery { recovery } => (log.join(), recovery),
            _ => return Ok(None),
        };
        let is_it = |secret: &&Blob| seal::hpke_public(secret.as_slice()) == Some(*join);
        let mut secrets: Vec<&[u8]> =
            me.row.joins.iter().find(is_it).map(Blob::as_slice).into_iter().collect();
        if matches!(action, Action::SetRecovery { .. }) {
            // The account's ticket is sealed to this device, and not yet to the new code.
            secrets.push(&me.row.hpke);
            secrets.extend(me.row.first.as_ref().map(Blob::as_slice));
        }
        let at = (&account, index);
        Ok(escrow::seal_secrets(&recovery.hpke, at, &secrets, &mut self.turn.rng))
    }

    pub(in crate::engine) fn on_appended(&mut self, entry: Blob, wish: &Wish, answer: Answer) {
        let result = match answer {
            Answer::Done => Ok(Response::Done),
            Answer::Refused(reason) => Err(Failure::Refused(reason)),
            _ => Err(Failure::Refused(Rejection::Invalid)),
        };
        match (&result, wish) {
            (Ok(_), Wish::LogOut(id)) => return self.logged_out(*id),
            (Ok(_), _) => {
                if matches!(wish, Wish::Recovery(..))
                    && let Some(me) = &mut self.account.me
                {
                    // Told by the answer to the command.
                    me.row.signed = None;
                    self.turn.unsaved.account = true;
                }
                self.append_own_log(entry);
            }
            (Err(_), _) => self.read_own_log(),
        }
        match (result, wish) {
            (Ok(done), Wish::Command(id) | Wish::LogOut(id)) => self.turn.respond(*id, Ok(done)),
            (Ok(_), Wish::Recovery(id, code)) => {
                self.turn.respond(*id, Ok(Response::RecoveryCode(code.clone())));
            }
            (Ok(_), Wish::Rotate | Wish::Unwanted | Wish::Settle) => {}
            (Err(failure), Wish::Settle) => {
                self.wishes_failed(&failure);
                // If it was taken, the log says by what.
                if failure != Failure::Refused(Rejection::Taken) {
                    self.host_side().log_not_settled(failure);
                }
                return;
            }
            (Err(failure), wish) => self.wish_failed(wish, failure),
        }
        self.write_log();
    }

    /// The connection went away while an entry was on its way: the log will tell.
    pub(in crate::engine) fn wish_failed(&mut self, wish: &Wish, failure: Failure) {
        match wish {
            Wish::LogOut(id) | Wish::Command(id) | Wish::Recovery(id, _) => {
                self.turn.respond(*id, Err(failure));
            }
            Wish::Rotate | Wish::Unwanted | Wish::Settle => {}
        }
    }

    /// Nothing of what waits for the log comes to it now.
    pub(in crate::engine) fn wishes_failed(&mut self, failure: &Failure) {
        for (_, wish) in std::mem::take(&mut self.account.wishes) {
            self.wish_failed(&wish, failure.clone());
        }
    }

    /// The own log shows what stands at the index that this device signed an entry for.
    pub(in crate::engine) fn settle_signed(&mut self) {
        let Some(me) = &mut self.account.me else { return };
        let account = me.account();
        let Some(log) = self.people.log(&account) else { return };
        let settled = me.row.signed.take_if(|signed| signed.index < log.len());
        self.turn.unsaved.account |= settled.is_some();
        let stands = settled.as_ref().and_then(|signed| {
            let index = usize::try_from(signed.index).ok()?;
            log.entries().get(index).map(|entry| *entry == signed.entry.0)
        });
        let awaits = |asked: &Asked| matches!(asked, Asked::Append(_, Wish::Recovery(..)));
        let is_awaited = self.session.is_asked(awaits);
        match (stands, settled) {
            (Some(true), Some(SignedRow { code: Some(code), .. })) if !is_awaited => {
                // Whoever asked for it was told that it is not known whether it counts.
                self.turn.notify(Event::RecoveryCode(code));
            }
            (Some(false), Some(signed)) if self.is_own_other(&signed) => {
                self.contacts().tell_log(&account.space(), Invalid::LogForks { account });
            }
            _ => {}
        }
        self.end_unwanted();
    }

    /// Whether another entry that this very device signed stands where it had signed one: another
    /// store of this device is at work.
    fn is_own_other(&self, signed: &SignedRow) -> bool {
        let Some(me) = &self.account.me else { return false };
        let key = me.identity.signing.verifying_key().to_bytes();
        let log = self.people.log(&me.account());
        let index = usize::try_from(signed.index).ok();
        let entry = log.zip(index).and_then(|(log, index)| log.entries().get(index));
        let entry: Option<Signed<LogEntry>> =
            entry.and_then(|entry| codec::decode_exact("device log entry", entry).ok());
        let context = me.account();
        entry.is_some_and(|entry| {
            let domain = sync_protocol::hash::LOG_ENTRY;
            entry.verify("device log entry", &key, domain, &[context.as_bytes()]).is_ok()
        })
    }

    /// A device that was certified and never came: should its certificate reach the log after all,
    /// the device is ended.
    pub(in crate::engine) fn is_unwanted(&mut self, device: DeviceId) {
        if let Some(me) = &mut self.account.me {
            me.row.unwanted.push(device);
            self.turn.unsaved.account = true;
        }
    }

    /// Ends what devices were certified and never came.
    pub(in crate::engine) fn end_unwanted(&mut self) {
        let (is_primary, is_open) = (self.account.is_primary(self.people), self.session.is_open());
        let Some(me) = &mut self.account.me else { return };
        let Some(log) = self.people.log(&me.account()) else { return };
        let pending = me.row.signed.is_some();
        let before = me.row.unwanted.len();
        me.row.unwanted.retain(|device| match log.known(device) {
            Some(known) => known.revoked.is_none(),
            None => pending,
        });
        self.turn.unsaved.account |= me.row.unwanted.len() != before;
        let active = me.row.unwanted.iter().find(|device| log.active(device).is_some()).copied();
        let is_wished = self.account.wishes.iter().any(|(_, wish)| matches!(wish, Wish::Unwanted));
        if let Some(device) = active.filter(|_| is_primary && is_open && !is_wished)
            && let Ok(join) = self.draw_join_key()
        {
            let action = Action::Revoke { device, join, cuts: Vec::new() };
            self.account.wishes.push_front((action, Wish::Unwanted));
            self.write_log();
        }
    }
}

/// Whether an entry does what is wanted now.
fn says(entry: &Blob, wanted: &Action) -> bool {
    let signed: Option<Signed<LogEntry>> =
        codec::decode_exact("device log entry", entry.as_slice()).ok();
    let action = signed.and_then(|signed| signed.peek("device log entry").ok());
    match (action.map(|entry| entry.action), wanted) {
        (Some(Action::Revoke { device, .. }), Action::Revoke { device: wanted, .. })
        | (Some(Action::ChangePrimary { device }), Action::ChangePrimary { device: wanted }) => {
            device == *wanted
        }
        (Some(Action::RotateJoinKey { .. }), Action::RotateJoinKey { .. })
        | (Some(Action::SetRecovery { .. }), Action::SetRecovery { .. }) => true,
        _ => false,
    }
}
