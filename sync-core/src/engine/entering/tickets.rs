//! Tickets: what each commit leaves at the relay, so that a device of a member account can come in
//! with nobody online (`docs/protocol.md`, "Tickets").
//!
//! A conversation's ticket opens with a member account's join key, the account space's with a
//! device's own key or with the recovery code.

use sync_protocol::codec::{self, Blob};
use sync_protocol::device_log::DeviceLog;
use sync_protocol::frames::{Answer, Op};
use sync_protocol::roster::Roster;
use sync_protocol::signing::Signed;
use sync_protocol::sorted::SortedSet;
use sync_protocol::{AccountId, DeviceId, EpochId, Rejection, SpaceId, hash};

use crate::api::Failure;
use crate::engine::account::encoded;
use crate::engine::entering::chain;
use crate::engine::entering::strays::STRAY_MS;
use crate::engine::people::People;
use crate::engine::rooms::Tickets;
use crate::engine::rows::{EpochRow, Grant, Ticket, TicketBody};
use crate::engine::session::Asked;
use crate::engine::{Step, Stop, Task, seal};

const VERSION: u8 = 2;
/// Bytes of a recipient's public key that a ticket names, so that nobody tries every seal.
const HINT: usize = 8;
/// What a recipient takes in a ticket, in bytes.
const RECIPIENT: usize = 128;
/// What is around a ticket's body, in bytes.
const FRAME: usize = 512;
/// How long to wait before asking again for a ticket that led nowhere.
pub(super) const ASK_AGAIN_MS: u64 = 5_000;
/// The same, once it was asked for often.
pub(super) const ASK_SELDOM_MS: u64 = 60_000;

/// Of the account's own space: the first root, for the recovery code, and the epochs.
type Past = Option<(Blob, Vec<(EpochId, Blob)>)>;

/// The epoch that a ticket leads into.
pub(in crate::engine) struct Leads<'a> {
    pub(in crate::engine) epoch: EpochId,
    pub(in crate::engine) number: u64,
    pub(in crate::engine) root: &'a [u8; 32],
    pub(in crate::engine) group_info: Vec<u8>,
    pub(in crate::engine) roster: &'a Roster,
    /// Bytes that the ticket may have.
    pub(in crate::engine) room: usize,
}

impl People {
    pub(in crate::engine) fn recipients(&self, own: bool, roster: &Roster) -> Vec<[u8; 32]> {
        let logs = roster.iter().filter_map(|(account, _)| self.log(&account));
        if !own {
            return logs.map(|log| *log.join()).collect();
        }
        let of_account = |log: &DeviceLog| {
            let mut keys: Vec<_> = log.devices().map(|(_, device)| device.keys.hpke).collect();
            keys.push(log.recovery().hpke);
            keys
        };
        logs.flat_map(of_account).collect()
    }
}

impl Tickets<'_> {
    /// A ticket into the epoch that a commit of this device makes. `None` where this device must
    /// not leave one: one that may not read all of the account's space can't bring it back.
    pub(in crate::engine) fn ticket(
        &mut self,
        id: &SpaceId,
        leads: &Leads<'_>,
    ) -> Step<Option<Blob>> {
        let me = self.account.me()?;
        let (account, device) = (me.account(), me.device());
        let (signing, complete) = (me.identity().signing.clone(), me.row().complete);
        let own = account.space() == *id;
        if own && !complete {
            return Ok(None);
        }
        let context = ticket_context(id, &leads.epoch);
        let members: Vec<AccountId> = leads.roster.iter().map(|(member, _)| member).collect();
        let grant = self.spaces.grant(self.people, id, &members, false)?;
        let past = if own { self.past(id, &account, &context)? } else { None };
        let body = self.ticket_body(id, leads, (grant, past));
        let key = self.turn.seed();
        let recipients = self.people.recipients(own, leads.roster);
        let mut keys = Vec::with_capacity(recipients.len());
        for public in recipients {
            let sealed = seal::seal_to(&public, &context, &key, &mut self.turn.rng);
            // A member whose key nobody can seal to has only itself to blame.
            keys.extend(sealed.ok().map(|sealed| (hint(&public), Blob(sealed))));
        }
        let body = seal::seal(&key, &context, &codec::encode(&body), &mut self.turn.rng);
        let ticket = Ticket {
            version: VERSION,
            space: *id,
            epoch: leads.epoch,
            account,
            device,
            keys,
            body: Blob(body),
        };
        let signed = encoded(&Signed::seal(&ticket, &signing, hash::TICKET, &[id.as_bytes()]));
        Ok((signed.0.len() <= leads.room).then_some(signed))
    }

    /// A ticket's body, with as many of the members' logs as there is room for. This account's is
    /// among them: the ticket is verified by it.
    fn ticket_body(
        &self,
        id: &SpaceId,
        leads: &Leads<'_>,
        (grant, past): (Grant, Past),
    ) -> TicketBody {
        let room = leads.room;
        let own = self.account.me().map(|me| me.account()).ok();
        let others = leads.roster.iter().map(|(one, _)| one).filter(|one| Some(*one) != own);
        let members: Vec<AccountId> = own.into_iter().chain(others).collect();
        let mut bare = TicketBody {
            group_info: Blob(leads.group_info.clone()),
            root: *leads.root,
            number: leads.number,
            grant,
            logs: Vec::new(),
            named: Vec::new(),
            past,
        };
        let around = members.len() * RECIPIENT + FRAME;
        let mut taken = codec::encode(&bare).len() + around;
        if taken > room {
            self.leave_out(id, &mut bare.grant);
            taken = codec::encode(&bare).len() + around;
        }
        let (logs, named) = self.people.logs_within(&members, room.saturating_sub(taken));
        TicketBody { logs, named, ..bare }
    }

    /// Leaves out of a grant what its receiver can do without: what people are called, and where
    /// writers stopped that are no members any more.
    fn leave_out(&self, id: &SpaceId, grant: &mut Grant) {
        let core = self.spaces.get(id).and_then(|space| space.core.as_ref());
        let writers = core.map(|core| core.state.writers.as_slice()).unwrap_or_default();
        let present = writers.iter().filter(|row| row.to.is_none()).map(|row| row.device);
        let present: SortedSet<DeviceId> = present.collect();
        grant.frontier.retain(|(writer, _, _)| present.contains(&writer.device));
        grant.people.clear();
    }

    /// The epochs of the account's own space, for those who were there.
    fn past(&mut self, id: &SpaceId, account: &AccountId, context: &[u8]) -> Step<Past> {
        let Some(log) = self.people.log(account) else { return Ok(None) };
        let recovery = log.recovery().hpke;
        let core = self.spaces.space(id)?.core.as_ref();
        let epochs = core.map(|core| core.epochs.iter().map(|(id, row)| (*id, row.clone())));
        let epochs = epochs.into_iter().flatten().collect();
        Ok(Some(chain::sealed(epochs, &recovery, context, &mut self.turn.rng)))
    }

    /// Those of them that this device opens: it was there, or it brings the account back.
    pub(super) fn open_past(
        &mut self,
        id: &SpaceId,
        epoch: &EpochId,
        body: &TicketBody,
    ) -> Step<Vec<(EpochId, EpochRow)>> {
        if self.spaces.contains_key(id) {
            self.spaces.core(id)?;
        }
        let core = self.spaces.get(id).and_then(|space| space.core.as_ref());
        let known = |epoch: &EpochId| core.and_then(|core| core.epochs.get(epoch)).cloned();
        let row = self.account.me()?.row();
        let secrets: Vec<Blob> = row.first.iter().chain(&row.recovering).cloned().collect();
        let Some((first, past)) = &body.past else { return Ok(Vec::new()) };
        Ok(chain::opened((first, past), known, &secrets, &ticket_context(id, epoch)))
    }

    /// A space that this account is in and this device is not. An invitation may be on its way.
    pub(in crate::engine) fn note_stray(&mut self, id: &SpaceId) {
        self.strays.note(id, self.turn.now + STRAY_MS);
    }

    /// The relay says which spaces this account is in.
    pub(in crate::engine) fn on_spaces(&mut self, answer: Answer) {
        let Answer::Spaces(spaces) = answer else { return };
        let gone = self.spaces.iter().filter(|(id, space)| {
            space.row.active && space.row.generation.is_some() && !spaces.contains(id)
        });
        let gone: Vec<SpaceId> = gone.map(|(id, _)| *id).collect();
        // Or it was put back to before it had them.
        gone.iter().for_each(|id| self.fetching().mark_lagging(id));
        for id in spaces {
            // Unknown, or put back into, and not by what lay in the inbox.
            if self.spaces.get(&id).is_none_or(|space| !space.row.active) {
                self.strays.learn(&id);
            }
        }
        self.seek();
    }

    /// Asks for the tickets of spaces to be entered, once the account's own space is read: it has
    /// the keys that open them.
    pub(in crate::engine) fn seek(&mut self) {
        let Ok(account) = self.account.me().map(|me| me.account().space()) else { return };
        if !self.session.caught_up() {
            return;
        }
        // An invitation in the inbox may grant more than a ticket can: it is looked at first.
        let settled =
            self.account.is_settled(self.spaces) && self.session.invitations().next().is_none();
        let spaces = &self.spaces;
        let is_in = |id: &SpaceId| {
            spaces.get(id).is_some_and(|space| space.row.active && !space.footing.is_out())
        };
        self.strays.forget(is_in);
        let own = self.spaces.get(&account);
        let returns = own.is_some_and(|own| own.footing.is_out());
        let recovers = self.account.recovers();
        let ready = self.strays.ready(self.turn.now, |id, is_own| {
            if *id == account { recovers || returns || is_own } else { settled }
        });
        for id in ready {
            self.ask_for_ticket(&id);
        }
    }

    pub(in crate::engine) fn on_ticket(&mut self, id: &SpaceId, answer: Answer) {
        match answer {
            Answer::Ticket { ticket, index } => {
                self.turn.tasks.push_back(Task::Enter(*id, ticket, index));
            }
            Answer::Refused(Rejection::NotFound) if self.is_unfounded(id) => self.found_late(id),
            Answer::Refused(Rejection::Denied | Rejection::NotFound) => {
                if self.spaces.get(id).is_some_and(|space| space.footing.is_out() && !space.row.own)
                {
                    self.member_rows().left(id);
                }
                self.give_up_on(id);
            }
            _ => self.strays.ask_again(id, self.turn.now + ASK_AGAIN_MS),
        }
    }

    /// Whether this is the space of an account whose last device was lost before it could found it.
    fn is_unfounded(&self, id: &SpaceId) -> bool {
        let own = self.account.me().is_ok_and(|me| me.account().space() == *id);
        own && self.account.recovers() && !self.spaces.contains_key(id)
    }

    fn found_late(&mut self, id: &SpaceId) {
        if self.commits().found_account_space().is_ok() {
            self.is_back();
            self.vault().call_vault();
        }
        self.give_up_on(id);
    }

    /// The account's space is this device's again.
    pub(super) fn is_back(&mut self) {
        let Some(me) = self.account.own_mut() else { return };
        if std::mem::take(&mut me.row_mut().recovering).is_empty() {
            return;
        }
        let (device, name) = (me.device(), me.row().device_name.clone());
        self.turn.unsaved.account = true;
        self.devices().record_device(&device, &name, true);
    }

    pub(super) fn give_up_on(&mut self, id: &SpaceId) {
        self.strays.remove(id);
        self.seek();
    }

    /// Comes back into a space by its ticket, from this time on.
    pub(in crate::engine) fn return_by_ticket(&mut self, id: &SpaceId, due: u64) {
        self.strays.come_back(id, due, self.turn.now);
        self.seek();
    }

    pub(super) fn open_ticket(
        &mut self,
        id: &SpaceId,
        bytes: &Blob,
        own: bool,
    ) -> Step<(Ticket, TicketBody)> {
        let signed: Signed<Ticket> =
            codec::decode_exact("ticket", bytes.as_slice()).map_err(|_| invalid("ticket"))?;
        let claimed = signed.peek("ticket").map_err(|_| invalid("ticket"))?;
        if claimed.version != VERSION || claimed.space != *id {
            return Err(invalid("another space's ticket"));
        }
        let secrets = if own { self.own_secrets()? } else { self.vault().join_secrets()? };
        let context = ticket_context(id, &claimed.epoch);
        let open = |secret: &Blob| {
            let mine = hint(&seal::hpke_public(secret.as_slice())?);
            let (_, sealed) = claimed.keys.iter().find(|(hint, _)| *hint == mine)?;
            let secret = secret.as_slice().try_into().ok()?;
            let key = seal::open_from(secret, &context, sealed.as_slice()).ok()?;
            let key: [u8; 32] = key.try_into().ok()?;
            seal::open(&key, &context, claimed.body.as_slice()).ok()
        };
        let body = secrets.iter().find_map(open).ok_or_else(not_for_this_device)?;
        let body: TicketBody =
            codec::decode_exact("ticket", &body).map_err(|_| invalid("ticket"))?;
        let log = log_of(&body.logs, &claimed.account).ok_or_else(|| invalid("device log"))?;
        let author = log.known(&claimed.device).ok_or_else(|| invalid("author"))?;
        let ticket = signed
            .verify("ticket", &author.keys.signing, hash::TICKET, &[id.as_bytes()])
            .map_err(|_| invalid("signature"))?
            .into_inner();
        Ok((ticket, body))
    }

    fn own_secrets(&self) -> Result<Vec<Blob>, Failure> {
        let me = self.account.me()?;
        let recovering = me.row().recovering.iter().cloned();
        Ok(recovering.chain(std::iter::once(Blob(me.row().hpke.to_vec()))).collect())
    }

    fn ask_for_ticket(&mut self, id: &SpaceId) {
        if self.session.is_open() && self.strays.ask(id) {
            self.session.ask(self.turn, Op::ReadTicket { space: *id }, Asked::Ticket(*id));
        }
    }
}

/// No key that this device has opens it. An older device of the account may still be about to write
/// down the one that does.
pub(super) fn not_for_this_device() -> Failure {
    Failure::Invalid("not for this device".to_owned())
}

pub(super) fn invalid(what: &str) -> Stop {
    Stop::Fail(Failure::Invalid(what.to_owned()))
}

fn log_of(logs: &[(AccountId, Vec<Blob>)], account: &AccountId) -> Option<DeviceLog> {
    let (_, entries) = logs.iter().find(|(known, _)| known == account)?;
    let entries: Vec<&[u8]> = entries.iter().map(Blob::as_slice).collect();
    DeviceLog::verify(account, &entries).ok()
}

fn ticket_context(id: &SpaceId, epoch: &EpochId) -> Vec<u8> {
    [b"ticket".as_slice(), id.as_bytes(), epoch.as_bytes()].concat()
}

fn hint(public: &[u8; 32]) -> Blob {
    Blob(public.iter().take(HINT).copied().collect())
}
