//! Coming in by a ticket: one commit from outside, with nobody online. It is sent like any other; until
//! the log shows it, the space is provisional.

use sync_protocol::codec::{self, Blob};
use sync_protocol::device_log::DeviceLog;
use sync_protocol::envelope::{CommitHeader, Envelope, Header, Kind, aad, epoch_id};
use sync_protocol::ids::Commitment;
use sync_protocol::roster::RosterChange;
use sync_protocol::sorted::SortedMap;
use sync_protocol::{AccountId, EpochId, Rejection, SpaceId, limits};
use tracing::debug;

use crate::api::{ConversationChange, Event, Failure};
use crate::engine::account::vault::has_gap;
use crate::engine::entering::entrances::Shown;
use crate::engine::entering::inbox::Arrival;
use crate::engine::entering::tickets::{
    ASK_AGAIN_MS, ASK_SELDOM_MS, Leads, invalid, not_for_this_device,
};
use crate::engine::members::welcome::Unfit;
use crate::engine::rooms::{MemberRows, Tickets};
use crate::engine::rows::{
    EpochRow, Grant, Intention, PendingRow, PersonRow, SealedCommit, Ticket, TicketBody,
};
use crate::engine::{Step, Stop, Task, seal};
use crate::group::{Entered, Group, GroupError};
use crate::records::{Load, key};
use crate::trust::entrance::{Guide, Standing};
use crate::trust::{Head, Invalid};

/// How often a device tries at once again to come in, where others are quicker.
const QUICK_TRIES: u32 = 8;

/// A ticket that may be followed, and what the account knows of where it leads.
struct Way {
    ticket: Ticket,
    body: TicketBody,
    /// The epoch that it leads into.
    parent: EpochRow,
    logs: SortedMap<AccountId, DeviceLog>,
    /// Whether it is the account's own space.
    own: bool,
    /// Where it leads, beside what the account knows.
    standing: Standing,
    /// Whether this device may read all that its account can.
    complete: bool,
    /// The epochs that the account has written down.
    vaulted: Vec<(EpochId, EpochRow)>,
}

impl Way {
    /// Whether this device reads what was written before.
    fn has_history(&self) -> bool {
        let begins = self.vaulted.iter().any(|(_, row)| row.number == 0);
        begins || (self.complete && (self.own || !self.vaulted.is_empty()))
    }

    /// What is believed of what the ticket grants. It speaks of keys and places, and of nobody's words.
    fn grant(self, history: bool) -> Grant {
        let mut grant = Grant { documents: Vec::new(), ..self.body.grant };
        if history {
            grant.from = 0;
            grant.epochs.extend(self.vaulted);
            grant.epochs.retain(|(epoch, _)| *epoch != self.ticket.epoch);
            grant.epochs.push((self.ticket.epoch, self.parent));
        }
        grant.believed()
    }
}

/// A commit from outside, and the group that it makes.
struct Made {
    group: Group,
    message: Vec<u8>,
    group_info: Vec<u8>,
    commit: CommitHeader,
    root: [u8; 32],
    binding: [u8; 32],
    commitment: Commitment,
    child: EpochId,
}

impl Tickets<'_> {
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
        let way = self.find_way(id, ticket, index)?;
        let members: Vec<AccountId> = way.body.logs.iter().map(|(account, _)| *account).collect();
        let recalled = if way.own { Vec::new() } else { self.library().recall(&members)? };
        let invited_by = if way.own { None } else { self.library().inviter(id)? };
        // Into a space of which the account knows nothing, somebody has put it.
        let by = Some(way.ticket.account).filter(|by| !self.account.is_own(by));
        let invited_by = invited_by.or(by.filter(|_| way.standing == Standing::First));
        // First of all: the commit names the own log as it is known when it is sealed, and whoever
        // left the ticket may know more of it.
        self.learn_members(&way.body)?;
        let made = self.make_entrance(id, &way)?;
        self.check_made(id, &way, &made.group)?;
        for hint in recalled.iter().chain(way.body.grant.people.iter().take(limits::LEAVES)) {
            self.contacts().learn_hint(hint);
        }
        let history = way.has_history();
        let is_oldest = self.account.is_oldest(self.people);
        let gap = !way.own && is_oldest && has_gap(&way.vaulted, way.body.number);
        if self.strays.is_own(id)
            && let Some(me) = self.account.own_mut()
        {
            // It was invited to read all of it.
            me.row_mut().complete = true;
            self.turn.unsaved.account = true;
        }
        self.note_first(&way);
        self.settle_by(id, way, made, (index, history), invited_by)?;
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

    /// The account's own space is read from its first epoch on.
    fn note_first(&mut self, way: &Way) {
        let first = way.body.grant.epochs.iter().find(|(_, row)| way.own && row.number == 0);
        if let Some((me, (_, row))) = self.account.own_mut().zip(first) {
            me.row_mut().first = Some(Blob(row.root.to_vec()));
            self.turn.unsaved.account = true;
        }
    }

    /// Opens a ticket, and sees whether to follow it. What that needs is here afterwards.
    fn find_way(&mut self, id: &SpaceId, ticket: &Blob, index: u64) -> Step<Way> {
        let own = self.account.me()?.account().space() == *id;
        let (ticket, mut body) = self.open_ticket(id, ticket, own)?;
        // What somebody put there in the clear is for everybody, and so for nobody.
        body.grant.epochs =
            if own { self.open_past(id, &ticket.epoch, &body)? } else { Vec::new() };
        self.contacts().complete_logs(&mut body.logs, &body.named)?;
        let complete = own || self.account.me()?.row().complete;
        let logs = self.people.prove_all(&body.logs)?;
        let binding = Group::binding_of(body.group_info.as_slice()).map_err(Unfit::Group)?;
        let era = Group::info_era(body.group_info.as_slice()).ok_or_else(|| invalid("context"))?;
        let parent = EpochRow { number: body.number, index, root: body.root, binding, era };
        if body.grant.from > index {
            return Err(invalid("a place behind its own handshake"));
        }
        let standing = self.may_enter(id, &ticket, &parent)?;
        let vaulted = if own { Vec::new() } else { self.vault().vaulted(id)? };
        if self.spaces.contains_key(id) {
            self.spaces.core(id)?;
        }
        Ok(Way { ticket, body, parent, logs, own, standing, complete, vaulted })
    }

    fn learn_members(&mut self, body: &TicketBody) -> Step<()> {
        for (account, log) in &body.logs {
            let person = PersonRow { log: log.clone(), ..PersonRow::default() };
            self.contacts().learn_person(account, person)?;
        }
        self.contacts().prove_heads(&body.grant.heads)?;
        self.has_newest_own_log(&body.grant.heads)
    }

    /// Whether the group that a ticket leads to is one of this account, and of whom it says.
    fn check_made(&mut self, id: &SpaceId, way: &Way, group: &Group) -> Step<()> {
        let guide = Guide { account: way.ticket.account, device: way.ticket.device };
        let (leaves, roster) = (group.leaves(), &group.context().roster);
        if roster.role(&self.account.me()?.account()).is_none() {
            return Err(invalid("a space without us"));
        }
        self.invitations()
            .check_shown(id, &Shown { guide, leaves: &leaves, roster, logs: &way.logs })
    }

    /// Settles into the space, and leaves the entrance pending.
    fn settle_by(
        &mut self,
        id: &SpaceId,
        way: Way,
        made: Made,
        (index, history): (u64, bool),
        invited_by: Option<AccountId>,
    ) -> Step<()> {
        let Made { group, message, group_info, commit, root, binding, commitment, child } = made;
        let (number, roster) = (group.epoch(), group.context().roster.clone());
        let begins = way.body.grant.epochs.iter().any(|(_, row)| row.number == 0);
        let before = self.spaces.get(id).map(|space| space.row.whole_from);
        let whole_from = match before {
            // In its own space, a device without history reads what it has read before.
            Some(before) if way.own && !begins => before,
            // Whoever lacks what was written before begins an era, and reads whole what follows.
            _ if history => 0,
            _ => group.context().era.saturating_add(1),
        };
        let (parent, ahead, complete) =
            ((way.ticket.epoch, way.body.root), way.standing != Standing::Proven, way.complete);
        let grant = way.grant(history);
        let from = grant.from;
        let arrival =
            Arrival { id: *id, epoch: child, grant, group, binding, invited_by, whole_from, ahead };
        self.invitations().settle_in(arrival);
        if complete && !history {
            self.log_rows().note_all_unreadable(id, from);
        }
        let room = limits::TICKET;
        let leads = Leads { epoch: child, number, root: &root, group_info, roster: &roster, room };
        let onward = self.ticket(id, &leads)?;
        let named = (child, commitment);
        let pending =
            self.seal_entrance(id, (&parent.0, &parent.1), index, named, (commit, message))?;
        self.member_rows().set_pending(id, PendingRow { ticket: onward, ..pending });
        Ok(())
    }

    /// Whether to come in by a ticket into this epoch; and if so, where that stands beside what the
    /// account knows.
    ///
    /// # Errors
    /// Where another device of the account may still tell, or where it is a forgery.
    fn may_enter(&mut self, id: &SpaceId, ticket: &Ticket, row: &EpochRow) -> Step<Standing> {
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
            Standing::Proven => Ok(standing),
            Standing::First | Standing::Ahead if is_alone => Ok(standing),
            Standing::Ahead if by_own || self.may_follow(id, &ticket.epoch) => Ok(standing),
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

    /// Builds the commit from outside: the group it leads to, and its public header.
    fn make_entrance(&mut self, id: &SpaceId, way: &Way) -> Step<Made> {
        let seed = self.turn.seed();
        let info = way.body.group_info.as_slice();
        let me = self.account.me()?;
        let (account, device) = (me.account(), me.device());
        let log = self.people.log(&account).ok_or(Failure::NotFound("account"))?;
        let devices = vec![device];
        let mut roster = Vec::new();
        if Group::info_names(info, &device) {
            roster.push(RosterChange::RemoveDevices { account, devices: devices.clone() });
        }
        roster.push(RosterChange::AddDevices { account, devices });
        let commit = CommitHeader {
            parent: way.ticket.epoch,
            number: way.body.number.saturating_add(1),
            min_version: limits::MIN_VERSION,
            roster,
            logs: vec![(account, log.len(), log.head())],
            cuts: Vec::new(),
            intents: Vec::new(),
            ticket: None,
            era: way.parent.era,
        };
        let bytes = codec::encode(&commit);
        let entered = Group::enter(me.identity(), *id, info, &CommitHeader::hash(&bytes), seed);
        let entered = entered.map_err(|error| match error {
            GroupError::TooLarge { what: "group", .. } => no_room(),
            error => Failure::Invalid(error.to_string()),
        })?;
        let Entered { group, message, group_info } = entered;
        let root = *group.root();
        let binding = Group::binding_of(&group_info).map_err(Unfit::Group)?;
        let commitment = seal::key_commitment(&root, &binding);
        let child = epoch_id(id, &way.ticket.epoch, &bytes, commitment.as_bytes());
        Ok(Made { group, message, group_info, commit, root, binding, commitment, child })
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

/// The group has as many leaves as it may have: one may go yet.
fn no_room() -> Failure {
    Failure::Invalid("the group is full".to_owned())
}
