//! Tickets: what each commit leaves at the relay, so that a device of a member account can come in
//! with nobody online (`docs/protocol.md`, "Tickets").
//!
//! A conversation's ticket opens with a member account's join key, the account space's with a
//! device's own key or with the recovery code.

use sync_protocol::codec::{self, Blob};
use sync_protocol::device_log::DeviceLog;
use sync_protocol::envelope::{CommitHeader, Envelope, Header, Kind, aad, epoch_id};
use sync_protocol::frames::{Answer, Op};
use sync_protocol::ids::Commitment;
use sync_protocol::roster::{Roster, RosterChange};
use sync_protocol::signing::Signed;
use sync_protocol::sorted::SortedSet;
use sync_protocol::{AccountId, DeviceId, EpochId, Rejection, SpaceId, hash, limits};
use tracing::debug;

use crate::api::{ConversationChange, Event, Failure};
use crate::engine::account::encoded;
use crate::engine::account::vault::has_gap;
use crate::engine::entering::entrances::Shown;
use crate::engine::entering::inbox::Arrival;
use crate::engine::entering::strays::STRAY_MS;
use crate::engine::members::welcome::Unfit;
use crate::engine::people::People;
use crate::engine::rooms::{MemberRows, Tickets};
use crate::engine::rows::{
    EpochRow, Grant, Intention, PendingRow, PersonRow, SealedCommit, Ticket, TicketBody,
};
use crate::engine::session::Asked;
use crate::engine::{Step, Stop, Task, seal};
use crate::group::{Entered, Group, GroupError};
use crate::records::{Load, key};
use crate::trust::entrance::{Guide, Standing};
use crate::trust::{Head, Invalid};

const VERSION: u8 = 1;
/// Bytes of a recipient's public key that a ticket names, so that nobody tries every seal.
const HINT: usize = 8;
/// What a recipient takes in a ticket, in bytes.
const RECIPIENT: usize = 128;
/// What is around a ticket's body, in bytes.
const FRAME: usize = 512;
/// How long to wait before asking again for a ticket that led nowhere.
const ASK_AGAIN_MS: u64 = 5_000;
/// The same, once it was asked for often.
const ASK_SELDOM_MS: u64 = 60_000;
/// How often a device tries at once again to come in, where others are quicker.
const QUICK_TRIES: u32 = 8;
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
        let grant = self.ticket_grant(id, own, leads.roster)?;
        let body = self.ticket_body(id, leads, grant);
        let key = self.turn.seed();
        let context = ticket_context(id, &leads.epoch);
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
    fn ticket_body(&self, id: &SpaceId, leads: &Leads<'_>, grant: Grant) -> TicketBody {
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

    fn ticket_grant(&self, id: &SpaceId, own: bool, roster: &Roster) -> Step<Grant> {
        let members: Vec<AccountId> = roster.iter().map(|(member, _)| member).collect();
        let mut grant = self.spaces.grant(self.people, id, &members, false)?;
        if own && let Some(core) = &self.spaces.space(id)?.core {
            grant.epochs = core.epochs.iter().map(|(epoch, row)| (*epoch, row.clone())).collect();
        }
        Ok(grant)
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
    fn is_back(&mut self) {
        let Some(me) = self.account.own_mut() else { return };
        if std::mem::take(&mut me.row_mut().recovering).is_empty() {
            return;
        }
        let (device, name) = (me.device(), me.row().device_name.clone());
        self.turn.unsaved.account = true;
        self.devices().record_device(&device, &name, true);
    }

    fn give_up_on(&mut self, id: &SpaceId) {
        self.strays.remove(id);
        self.seek();
    }

    /// Comes back into a space by its ticket, from this time on.
    pub(in crate::engine) fn return_by_ticket(&mut self, id: &SpaceId, due: u64) {
        self.strays.come_back(id, due, self.turn.now);
        self.seek();
    }

    /// Enters a space by its ticket. The commit that does it is sent like any other; until the log
    /// shows it, the space is provisional.
    pub(in crate::engine) fn enter_by_ticket(
        &mut self,
        id: &SpaceId,
        ticket: &Blob,
        index: u64,
    ) -> Step<()> {
        // An entrance that was sent is not made anew before the relay has refused it.
        if self.spaces.get(id).is_some_and(|space| space.row.active && !space.footing.is_out()) {
            self.give_up_on(id);
            return Ok(());
        }
        match self.try_enter(id, ticket, index) {
            Ok(()) => {
                debug!(space = ?id, index, "a ticket leads in");
                self.give_up_on(id);
            }
            Err(Stop::Need(need)) => return Err(Stop::Need(need)),
            Err(Stop::Fail(failure)) => {
                let is_oldest = self.account.is_oldest(self.people);
                let (tries, often) = self.strays.led_nowhere(id);
                debug!(space = ?id, tries, why = %failure, "a ticket leads nowhere");
                let untold = failure == unknown_to_vault()
                    || failure == no_room()
                    || failure == Failure::Invalid(Invalid::EndedGuide.to_string())
                    || (failure == not_for_this_device() && !is_oldest);
                if often && !untold {
                    self.log_rows().evidence(id, Invalid::Ticket(failure.to_string()));
                    self.give_up_on(id);
                    return Ok(());
                }
                if often && failure == unknown_to_vault() {
                    self.strays.leave_alone(id);
                }
                self.commits().call_for_ticket(id, ticket, tries);
                let wait = if often { ASK_SELDOM_MS } else { ASK_AGAIN_MS };
                self.strays.ask_again(id, self.turn.now + wait);
            }
        }
        Ok(())
    }

    fn try_enter(&mut self, id: &SpaceId, ticket: &Blob, index: u64) -> Step<()> {
        let own = self.account.me()?.account().space() == *id;
        let (ticket, mut body) = self.open_ticket(id, ticket, own)?;
        self.contacts().complete_logs(&mut body.logs, &body.named)?;
        let complete = own || self.account.me()?.row().complete;
        let logs = self.people.prove_all(&body.logs)?;
        let binding = Group::binding_of(body.group_info.as_slice()).map_err(Unfit::Group)?;
        let era = Group::info_era(body.group_info.as_slice()).ok_or_else(|| invalid("context"))?;
        let parent_row = EpochRow { number: body.number, index, root: body.root, binding, era };
        let ahead = self.may_enter(id, &ticket, &parent_row)?;
        let vaulted = if own { Vec::new() } else { self.vault().vaulted(id)? };
        if self.spaces.contains_key(id) {
            self.spaces.core(id)?;
        }
        let members: Vec<AccountId> = body.logs.iter().map(|(account, _)| *account).collect();
        let recalled = if own { Vec::new() } else { self.library().recall(&members)? };
        let invited_by = if own { None } else { self.library().inviter(id)? };
        // First of all: the commit names the own log as it is known when it is sealed, and whoever
        // left the ticket may know more of it.
        for (account, log) in &body.logs {
            let person = PersonRow { log: log.clone(), ..PersonRow::default() };
            self.contacts().learn_person(account, person)?;
        }
        self.contacts().prove_heads(&body.grant.heads)?;
        self.has_newest_own_log(&body.grant.heads)?;
        let (entered, header_bytes, commit) = self.make_entrance(id, &ticket, &body)?;
        let guide = Guide { account: ticket.account, device: ticket.device };
        let (leaves, roster) = (entered.group.leaves(), &entered.group.context().roster);
        if roster.role(&self.account.me()?.account()).is_none() {
            return Err(invalid("a space without us"));
        }
        self.invitations()
            .check_shown(id, &Shown { guide, leaves: &leaves, roster, logs: &logs })?;
        for hint in recalled.iter().chain(body.grant.people.iter().take(limits::LEAVES)) {
            self.contacts().learn_hint(hint);
        }
        let Entered { group, message, group_info } = entered;
        let root = *group.root();
        let binding = Group::binding_of(&group_info).map_err(Unfit::Group)?;
        let commitment = seal::key_commitment(&root, &binding);
        let child = epoch_id(id, &ticket.epoch, &header_bytes, commitment.as_bytes());
        let number = group.epoch();
        let roster = group.context().roster.clone();
        let begins = vaulted.iter().any(|(_, row)| row.number == 0);
        let gap = !own && self.account.is_oldest(self.people) && has_gap(&vaulted, body.number);
        let history = begins || (complete && (own || !vaulted.is_empty()));
        // A ticket speaks of keys and places, and of nobody's words.
        let mut grant = Grant { documents: Vec::new(), ..body.grant };
        if grant.from > index {
            return Err(invalid("a place behind its own handshake"));
        }
        if !own || !history {
            grant.epochs.clear();
        }
        if history {
            grant.from = 0;
            grant.frontier.clear();
            grant.log_hash = [0; 32];
            grant.leavers.clear();
            grant.heads.clear();
            grant.epochs.extend(vaulted);
            grant.epochs.retain(|(epoch, _)| *epoch != ticket.epoch);
            grant.epochs.push((ticket.epoch, parent_row));
        }
        // Whoever lacks what was written before begins an era, and reads whole what follows.
        let whole_from = if history { 0 } else { group.context().era.saturating_add(1) };
        let from = grant.from;
        let arrival =
            Arrival { id: *id, epoch: child, grant, group, binding, invited_by, whole_from, ahead };
        self.invitations().settle_in(arrival);
        if self.strays.is_own(id)
            && let Some(me) = self.account.own_mut()
        {
            // It was invited to read all of it.
            me.row_mut().complete = true;
            self.turn.unsaved.account = true;
        }
        if complete && !history {
            self.log_rows().note_all_unreadable(id, from);
        }
        let room = limits::TICKET;
        let leads = Leads { epoch: child, number, root: &root, group_info, roster: &roster, room };
        let onward = self.ticket(id, &leads)?;
        let named = (child, commitment);
        let pending =
            self.seal_entrance(id, (&ticket.epoch, &body.root), index, named, (commit, message))?;
        self.member_rows().set_pending(id, PendingRow { ticket: onward, ..pending });
        if let Some(space) = self.spaces.get_mut(id) {
            space.footing.tries();
        }
        if !history || gap {
            // Some of what was written before can't be read here: documents begin anew.
            self.member_rows().intend(id, Intention::NewEra);
        }
        let change = ConversationChange::Joined;
        self.turn.notify(Event::Conversation { conversation: *id, change });
        self.turn.tasks.push_back(Task::Advance(*id));
        Ok(())
    }

    /// Whether to come in by a ticket into this epoch; and if so, whether the epoch is after all that
    /// the account knows.
    ///
    /// # Errors
    /// Where another device of the account may still tell, or where it is a forgery.
    fn may_enter(&mut self, id: &SpaceId, ticket: &Ticket, row: &EpochRow) -> Step<bool> {
        let account = self.account.me()?.account();
        let known = self.invitations().known_epochs(id)?;
        let placed = known.place(&ticket.epoch, row.number, &row.commitment());
        let standing = placed.map_err(|why| self.member_rows().not_believed(id, why))?;
        // What a device of the account signs, the account says: but not yet all that it has to tell.
        let log = self.people.log(&account).filter(|_| ticket.account == account);
        let by_own = log.is_some_and(|log| log.active(&ticket.device).is_some());
        let is_alone =
            account.space() == *id || self.strays.comes_alone(self.account, self.people, id);
        match standing {
            // From before what the account knows: whoever is gone since is still in there.
            Standing::Proven if known.is_past(row.number) => {
                Err(self.member_rows().not_believed(id, Invalid::Older).into())
            }
            Standing::Proven => Ok(false),
            Standing::First | Standing::Ahead if is_alone => Ok(true),
            Standing::Ahead if by_own || self.may_follow(id, &ticket.epoch) => Ok(true),
            // An invitation may be on its way that grants more than a ticket can; and what another
            // device of this account is in, it writes down.
            Standing::First | Standing::Ahead => Err(unknown_to_vault().into()),
        }
    }

    /// Whether this device, which was in before, may follow the log into an epoch that no device of
    /// the account has written down: all that everybody can see of the commit was good, or nobody of
    /// the account has told otherwise for long.
    fn may_follow(&self, id: &SpaceId, epoch: &EpochId) -> bool {
        let Some(space) = self.spaces.get(id).filter(|space| space.footing.is_out()) else {
            return false;
        };
        // Who tried to come in and was refused was in no more than before.
        let pending = space.core.as_ref().and_then(|core| core.pending.as_ref());
        if pending.is_some_and(|own| own.enters && !replaces_a_leaf(own)) {
            return false;
        }
        let closed = space.core.as_ref().is_some_and(|core| core.state.closed == Some(*epoch));
        closed || self.strays.was_tried_often(id)
    }

    /// Whether the own log is here as far as the group has accepted it: an entrance by a shorter one
    /// is nobody's.
    fn has_newest_own_log(&mut self, heads: &[Head]) -> Step<()> {
        let own = self.account.me()?.account();
        let len = self.people.log(&own).map_or(0, DeviceLog::len);
        if heads.iter().any(|(account, accepted, _)| *account == own && *accepted > len) {
            self.devices().read_log(own);
            return Err(unknown_to_vault().into());
        }
        Ok(())
    }

    fn open_ticket(&mut self, id: &SpaceId, bytes: &Blob, own: bool) -> Step<(Ticket, TicketBody)> {
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

    /// Builds the commit from outside: the group it leads to, and its public header.
    fn make_entrance(
        &mut self,
        id: &SpaceId,
        ticket: &Ticket,
        body: &TicketBody,
    ) -> Step<(Entered, Vec<u8>, CommitHeader)> {
        let seed = self.turn.seed();
        let me = self.account.me()?;
        let (account, device) = (me.account(), me.device());
        let log = self.people.log(&account).ok_or(Failure::NotFound("account"))?;
        let inside = Group::info_names(body.group_info.as_slice(), &device);
        let devices = vec![device];
        let mut roster = Vec::new();
        if inside {
            roster.push(RosterChange::RemoveDevices { account, devices: devices.clone() });
        }
        roster.push(RosterChange::AddDevices { account, devices });
        let era = Group::info_era(body.group_info.as_slice()).ok_or_else(|| invalid("context"))?;
        let commit = CommitHeader {
            parent: ticket.epoch,
            number: body.number.saturating_add(1),
            min_version: limits::MIN_VERSION,
            roster,
            logs: vec![(account, log.len(), log.head())],
            cuts: Vec::new(),
            intents: Vec::new(),
            ticket: None,
            era,
        };
        let bytes = codec::encode(&commit);
        let info = body.group_info.as_slice();
        let entered = Group::enter(
            self.account.me()?.identity(),
            *id,
            info,
            &CommitHeader::hash(&bytes),
            seed,
        )
        .map_err(|error| match error {
            GroupError::TooLarge { what: "group", .. } => no_room(),
            error => Failure::Invalid(error.to_string()),
        })?;
        Ok((entered, bytes, commit))
    }

    fn seal_entrance(
        &mut self,
        id: &SpaceId,
        (parent, root): (&EpochId, &[u8; 32]),
        index: u64,
        (child, commitment): (EpochId, Commitment),
        (commit, message): (CommitHeader, Vec<u8>),
    ) -> Step<PendingRow> {
        let me = self.account.me()?;
        let (account, writer, signing) = (me.account(), me.writer(), me.identity().signing.clone());
        let logs = vec![(account, self.people.log_blobs(&account))];
        let people = self.people.hints(std::iter::once(account));
        let sealed = codec::encode(&SealedCommit { message: Blob(message), logs, people });
        let cursor = self.passes_over(id).max(index.saturating_add(1));
        let mut header = Header::new(Kind::Handshake, *parent, cursor);
        header.commit = Some(Blob(codec::encode(&commit)));
        header.child = Some(child);
        header.commitment = Some(commitment);
        let aad = aad(id, &writer, &codec::encode(&header));
        let payload = seal::seal(&seal::handshake_key(root), &aad, &sealed, &mut self.turn.rng);
        let envelope = Envelope::sign(id, &writer, header, payload, &signing);
        Ok(PendingRow {
            child: Some(child),
            envelope: Blob(envelope.to_bytes()),
            welcomes: None,
            carries: 0,
            ticket: None,
            enters: true,
        })
    }

    /// The index after handshakes that lie behind the newest ticket of the account's space and that
    /// the account's only device passes over: each leaves a ticket, or leads nowhere, and nobody else
    /// is there who could leave another.
    fn passes_over(&self, id: &SpaceId) -> u64 {
        let Ok(account) = self.account.me().map(|me| me.account()) else { return 0 };
        let log = self.people.log(&account).filter(|_| account.space() == *id);
        let is_alone = log.is_some_and(|log| log.devices().count() == 1);
        self.spaces.get(id).filter(|_| is_alone).map_or(0, |space| space.footing.refused_before())
    }

    /// The relay has our entrance in the log: from here on this device writes, and reads what came
    /// before.
    pub(in crate::engine) fn entered(&mut self, id: &SpaceId, index: u64) -> Step<()> {
        if self.spaces.group(id)?.core.is_none() {
            return Err(Load::Space(*id).into());
        }
        let Some(child) = self.members().own_entrance_stored(id, index) else { return Ok(()) };
        let core = self.spaces.get(id).and_then(|space| space.core.as_ref());
        if core.is_some_and(|core| !core.state.ahead) {
            self.vault().owe_vault(id, child);
        }
        if let Some(space) = self.spaces.get_mut(id) {
            // What is being fetched may end before it.
            space.in_session.fetch.want(index.saturating_add(1));
        }
        self.fetching().mark_lagging(id);
        Ok(())
    }

    /// This device's entrance is in the log, whoever said so. No other is made in its place.
    pub(in crate::engine) fn entrance_stands(&mut self, id: &SpaceId, index: u64) {
        let device = self.account.me().ok().map(|me| me.device());
        let Some(space) = self.spaces.get_mut(id) else { return };
        space.footing.is_in();
        space.row.deciding = false;
        space.in_session.deciding_sent = false;
        if let Some(core) = &mut space.core
            && let Some(entrance) = core.pending.take_if(|pending| pending.enters)
        {
            self.turn.batch.delete(key::pending_commit(id));
            core.begin_to_write(device, index, replaces_a_leaf(&entrance));
            self.log_rows().keep_handshake(id, entrance);
        }
        self.turn.save_space(id);
        self.turn.save_state(id);
        self.give_up_on(id);
        self.devices().evict_ended(id);
        if self.account.me().is_ok_and(|me| me.account().space() == *id) {
            self.is_back();
        }
        self.turn.tasks.push_back(Task::Advance(*id));
    }

    /// The relay did not take our entrance: another commit came first, or the ticket is old.
    pub(in crate::engine) fn entrance_refused(&mut self, id: &SpaceId, reason: &Rejection) {
        debug!(space = ?id, "the relay took no entrance: another commit came first");
        let (mut due, mut refusals) = (self.turn.now, 0);
        if let Some(space) = self.spaces.get_mut(id) {
            space.in_session.deciding_sent = true;
            refusals = space.footing.is_refused(reason);
            if refusals > QUICK_TRIES {
                due += ASK_AGAIN_MS;
            }
        }
        self.commits().call_where_refused(id, refusals);
        self.return_by_ticket(id, due);
    }

    fn ask_for_ticket(&mut self, id: &SpaceId) {
        if self.session.is_open() && self.strays.ask(id) {
            self.session.ask(self.turn, Op::ReadTicket { space: *id }, Asked::Ticket(*id));
        }
    }
}

impl MemberRows<'_> {
    /// Whether this device's own entrance into the space is not decided yet.
    pub(in crate::engine) fn is_entering(&mut self, id: &SpaceId) -> Step<bool> {
        let core = &self.spaces.core(id)?.core;
        let pending = core.as_ref().and_then(|core| core.pending.as_ref());
        Ok(pending.is_some_and(|pending| pending.enters))
    }
}

/// Whether a device that was in the group already enters by this, in place of what it was there.
fn replaces_a_leaf(entrance: &PendingRow) -> bool {
    let envelope = Envelope::parse(entrance.envelope.as_slice()).ok();
    let commit = envelope.and_then(|envelope| envelope.commit().ok());
    let removes = |change: &RosterChange| matches!(change, RosterChange::RemoveDevices { .. });
    commit.is_some_and(|commit| commit.roster.iter().any(removes))
}

/// Another device of the account will tell of the space, or an invitation come.
fn unknown_to_vault() -> Failure {
    Failure::Invalid("the account's vault does not know the space".to_owned())
}

/// No key that this device has opens it. An older device of the account may still be about to write
/// down the one that does.
fn not_for_this_device() -> Failure {
    Failure::Invalid("not for this device".to_owned())
}

/// The group has as many leaves as it may have: one may go yet.
fn no_room() -> Failure {
    Failure::Invalid("the group is full".to_owned())
}

fn invalid(what: &str) -> Stop {
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
