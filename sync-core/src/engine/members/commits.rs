//! Building handshakes: the one that founds a space, and those that change who is in it.

use sync_protocol::codec::{self, Blob};
use sync_protocol::envelope::{CommitHeader, Cut, Envelope, Header, Kind, aad, epoch_id};
use sync_protocol::ids::Link;
use sync_protocol::roster::{Role, Roster, RosterChange};
use sync_protocol::{AccountId, DeviceId, EpochId, SpaceId, limits};
use tracing::debug;

use crate::api::Failure;
use crate::document::Clock;
use crate::engine::documents::eras::Eras;
use crate::engine::documents::sizes::{self, Room, fits};
use crate::engine::entering::tickets::Leads;
use crate::engine::members::planning::Plan;
use crate::engine::members::verdict::Present;
use crate::engine::members::welcome::{Grants, Into};
use crate::engine::rooms::Commits;
use crate::engine::rows::{EpochRow, PendingRow, SealedCommit, SpaceRow, StateRow, WriterRow};
use crate::engine::space::state::{Core, SpaceState};
use crate::engine::{Step, Task, seal};
use crate::group::{Change, Commit, Context, Group};
use crate::records::key;
use crate::trust::{Heads, Invalid};

impl Commits<'_> {
    pub(in crate::engine) fn found_account_space(&mut self) -> Result<(), Failure> {
        let space = self.account.me()?.account().space();
        self.found_space(space, String::new(), true)
    }

    /// Founds a space with this device alone in it; offline or not.
    pub(in crate::engine) fn found_space(
        &mut self,
        id: SpaceId,
        title: String,
        own: bool,
    ) -> Result<(), Failure> {
        let seed = self.turn.seed();
        let me = self.account.me()?;
        let account = me.account();
        let roster = Roster::founded_by(account);
        let context = Context { min_version: limits::MIN_VERSION, title, roster, era: 0 };
        let mut group = Group::create(me.identity(), id, &context, seed).map_err(local)?;
        let change = RosterChange::Add { account, role: Role::Admin, devices: vec![me.device()] };
        let commit = CommitHeader {
            parent: EpochId::NONE,
            number: 0,
            min_version: limits::MIN_VERSION,
            roster: vec![change],
            logs: Vec::new(),
            cuts: Vec::new(),
            intents: Vec::new(),
            ticket: None,
            era: 0,
        };
        let commit = codec::encode(&commit);
        let root = *group.root();
        let group_info = group.group_info(me.identity()).map_err(local)?;
        let binding = Group::binding_of(&group_info).map_err(local)?;
        let commitment = seal::key_commitment(&root, &binding);
        let epoch = epoch_id(&id, &EpochId::NONE, &commit, commitment.as_bytes());
        let mut header = Header::new(Kind::Handshake, EpochId::NONE, 0);
        header.commit = Some(Blob(commit));
        header.child = Some(epoch);
        header.commitment = Some(commitment);
        let envelope =
            Envelope::sign(&id, &me.writer(), header, Vec::new(), &me.identity().signing);
        let writer_incarnation = me.writer().incarnation;
        let writer = WriterRow {
            device: me.device(),
            account,
            key: me.identity().signing.verifying_key().to_bytes(),
            from: 0,
            to: None,
        };
        let pending = PendingRow {
            child: Some(epoch),
            envelope: Blob(envelope.to_bytes()),
            welcomes: None,
            carries: 0,
            ticket: None,
            enters: false,
        };
        let epoch_row = EpochRow { number: 0, index: 0, root, binding, era: 0 };
        let diff = group.diff();
        self.turn.batch.absorb(&key::group(&id), diff);
        self.turn.batch.put(key::epoch(&id, &epoch), codec::encode(&epoch_row));
        let roster = context.roster.clone();
        let mut space = SpaceState::new(id, fresh_row(own, context, epoch));
        space.row.commitment = Some(commitment);
        space.row.cut_by = writer_incarnation;
        let mut core = Core::default();
        core.epochs.insert(epoch, epoch_row);
        core.state = StateRow { writers: vec![writer], ..StateRow::default() };
        space.core = Some(core);
        space.group = Some(group);
        self.spaces.insert(id, Box::new(space));
        self.turn.save_state(&id);
        if own && let Some(me) = self.account.own_mut() {
            me.row_mut().first = Some(Blob(root.to_vec()));
            self.turn.unsaved.account = true;
        }
        let room = limits::TICKET;
        let leads = Leads { epoch, number: 0, root: &root, group_info, roster: &roster, room };
        let ticket = self.tickets().ticket(&id, &leads).unwrap_or_default();
        self.member_rows().set_pending(&id, PendingRow { ticket, ..pending });
        self.vault().owe_vault(&id, epoch);
        self.turn.tasks.push_back(Task::Advance(id));
        Ok(())
    }

    /// Opens what a device without history is given of the account's documents, with everything in
    /// them that is still journalled. Before the commit is made: what it needs is there then.
    fn open_shared(&mut self, id: &SpaceId, plan: &Plan) -> Step<()> {
        let shares =
            self.spaces.space(id)?.row.own && plan.added.iter().any(|(_, _, history)| !history);
        if shares {
            self.outbox().cut_all(id)?;
            for name in self.spaces.space(id)?.row.documents.clone() {
                self.documents.document(self.spaces, id, &name)?;
            }
        }
        Ok(())
    }

    /// Sees to it that the logs which a commit is to name go on from what the group has accepted. Of a
    /// log that forks, or that a relay keeps back, this device may know another end: all others would
    /// pass its commit over, and it would be alone where that leads.
    fn names_accepted_logs(&mut self, id: &SpaceId, plan: &Plan) -> Step<()> {
        let core = self.spaces.core(id)?.core.as_ref();
        let heads = core.map(|core| Heads::of(&core.state.heads)).unwrap_or_default();
        let logs = plan.vouched.iter().filter_map(|account| self.people.log(account));
        let Some(why) = logs.filter_map(|log| heads.accept(log).err()).next() else {
            return Ok(());
        };
        match why {
            Invalid::OlderLog(account) => self.devices().read_log(account),
            ref forks => self.contacts().tell_log(id, forks.clone()),
        }
        Err(Failure::Invalid(why.to_string()).into())
    }

    /// Builds the commit for a plan, with all that goes along, and leaves it pending.
    ///
    /// # Errors
    /// `TooLarge` if the relay would not take it, `Invalid` if everybody would pass it over: then
    /// nothing is pending.
    pub(in crate::engine) fn build_commit(&mut self, id: &SpaceId, plan: &Plan) -> Step<()> {
        self.names_accepted_logs(id, plan)?;
        self.open_shared(id, plan)?;
        let grants = self.grants(id, &plan.added)?;
        let seed = self.turn.seed();
        let me = self.account.me()?.identity().clone();
        let (context, commit) = self.next_context(id, plan)?;
        let change = Change {
            add: plan.add.iter().map(|taken| taken.package.0.clone()).collect(),
            remove: plan.remove.clone(),
            context: context.clone(),
        };
        let hash = CommitHeader::hash(&codec::encode(&commit));
        let space = self.spaces.group(id)?;
        let Some(group) = &mut space.group else { return Ok(()) };
        let made = group.commit(&me, &change, &hash, seed).map_err(local)?;
        let pending = self.pending_commit(id, plan, commit, made, grants, &context.roster);
        let space = self.spaces.group(id)?;
        let Some(group) = &mut space.group else { return Ok(()) };
        if pending.is_err() {
            group.drop_pending().map_err(local)?;
        }
        let diff = group.diff();
        self.turn.batch.absorb(&key::group(id), diff);
        self.member_rows().set_pending(id, pending?);
        Ok(())
    }

    /// What is sent for a commit: the envelope, the ticket, and the ways in, in what room the
    /// relay leaves.
    fn pending_commit(
        &mut self,
        id: &SpaceId,
        plan: &Plan,
        commit: CommitHeader,
        made: Commit,
        grants: Grants,
        roster: &Roster,
    ) -> Step<PendingRow> {
        let (parent, cursor) = (self.spaces.space(id)?.row.epoch, self.spaces.space(id)?.row.next);
        let number = commit.number;
        let commit = codec::encode(&commit);
        let binding = Group::binding_of(&made.group_info).map_err(local)?;
        let commitment = seal::key_commitment(&made.child_root, &binding);
        let child = epoch_id(id, &parent, &commit, commitment.as_bytes());
        let mut header = Header::new(Kind::Handshake, parent, cursor);
        header.commit = Some(Blob(commit));
        header.child = Some(child);
        header.commitment = Some(commitment);
        let sealed = self.seal_commit(id, &parent, plan, &header, made.message)?;
        let (writer, signing) =
            (self.account.writer()?, self.account.me()?.identity().signing.clone());
        let envelope = Envelope::sign(id, &writer, header, sealed, &signing);
        self.is_good_to_all(id, plan, &envelope)?;
        let envelope = envelope.to_bytes();
        fits("membership change", envelope.len(), limits::ENVELOPE_HANDSHAKE)?;
        let welcome = made.welcome.unwrap_or_default();
        let mut room = Room::of_push(envelope.len() + plan.added.len() * sizes::WAY_IN);
        let bare = welcome.len() + grants.size();
        let (root, group_info) = (&made.child_root, made.group_info);
        let ticket_room = room.left().saturating_sub(bare).min(limits::TICKET);
        let leads = Leads { epoch: child, number, root, group_info, roster, room: ticket_room };
        let ticket = self.tickets().ticket(id, &leads)?;
        room.take(ticket.as_ref().map_or(0, |ticket| ticket.0.len()));
        let into = Into { space: id, epoch: child, welcome };
        let welcomes = self.ways_in(into, &plan.added, grants, room.left().min(limits::WELCOME))?;
        let common = welcomes.as_ref().map_or(0, |welcomes| welcomes.common.0.len());
        fits("welcome", common, limits::WELCOME.min(room.left()))?;
        let envelope = Blob(envelope);
        let carries = plan.carries;
        Ok(PendingRow { child: Some(child), envelope, welcomes, carries, ticket, enters: false })
    }

    /// Judges a commit of this device as all others will.
    fn is_good_to_all(&self, id: &SpaceId, plan: &Plan, envelope: &Envelope) -> Step<()> {
        let author = self.account.me()?.account();
        let space = self.spaces.space(id)?;
        let Some(core) = &space.core else { return Ok(()) };
        let present = Present::of(&space.row, core);
        let log = |of: &AccountId| Some((*of, self.people.log(of)?.clone()));
        let logs = plan.vouched.iter().filter_map(log).collect();
        let commit = present.follows(id, envelope);
        match commit.and_then(|commit| present.allows(&author, &commit, &logs)) {
            Ok(_) => Ok(()),
            Err(why) => {
                debug!(space = ?id, ?why, "all others would pass over an own commit: it is not made");
                Err(Failure::Invalid("a change that all others would pass over".to_owned()).into())
            }
        }
    }

    fn seal_commit(
        &mut self,
        id: &SpaceId,
        parent: &EpochId,
        plan: &Plan,
        header: &Header,
        message: Vec<u8>,
    ) -> Step<Vec<u8>> {
        let writer = self.account.writer()?;
        let accounts = plan.vouched.clone();
        let logs =
            accounts.iter().map(|account| (*account, self.people.log_blobs(account))).collect();
        let people = self.people.hints(accounts.into_iter());
        let sealed = codec::encode(&SealedCommit { message: Blob(message), logs, people });
        let space = self.spaces.core(id)?;
        let root = space.core.as_ref().and_then(|core| core.epochs.get(parent));
        let root = root.ok_or(Failure::Denied("this space's keys are not here"))?.root;
        let aad = aad(id, &writer, &codec::encode(header));
        Ok(seal::seal(&seal::handshake_key(&root), &aad, &sealed, &mut self.turn.rng))
    }

    /// The context after the plan, and the public header that says so.
    fn next_context(&self, id: &SpaceId, plan: &Plan) -> Step<(Context, CommitHeader)> {
        let me = self.account.me()?.account();
        let space = self.spaces.space(id)?;
        let before = &space.row.context;
        let roster = before
            .roster
            .after(&me, &plan.changes, &plan.leavers)
            .map_err(|_| Failure::Denied("only an admin may do this"))?;
        if plan.title.is_some() && before.roster.role(&me) != Some(Role::Admin) {
            return Err(Failure::Denied("only an admin may change the title").into());
        }
        // Where others can write, something may stand in the log by now that is not here yet.
        let written = before.roster.len() > 1
            || space.core.as_ref().is_some_and(|core| !core.tips.is_empty());
        let without_history = plan.added.iter().any(|(_, _, history)| !history);
        let era = before.era + u32::from(plan.begins_era || (written && without_history));
        if era > limits::LAST_ERA {
            return Err(Failure::TooLarge { what: "eras", limit: limits::LAST_ERA as usize }.into());
        }
        let title = plan.title.clone().unwrap_or_else(|| before.title.clone());
        let min_version = before.min_version;
        let logs = plan
            .vouched
            .iter()
            .filter_map(|account| self.people.log(account))
            .map(|log| (log.account(), log.len(), log.head()))
            .collect();
        let header = CommitHeader {
            parent: space.row.epoch,
            number: space.row.number.saturating_add(1),
            min_version,
            roster: plan.changes.clone(),
            logs,
            cuts: Vec::new(),
            intents: plan.intents.clone(),
            ticket: None,
            era,
        };
        let cuts = header.ended().map(|device| space.cut(*device)).collect();
        let header = CommitHeader { cuts, ..header };
        Ok((Context { min_version, title, roster, era }, header))
    }
}

impl SpaceState {
    /// A removed device ends where this one has read to.
    fn cut(&self, device: DeviceId) -> Cut {
        let (seen, _) = self.row.log_hash.split_first_chunk().unwrap_or((&[0; 8], &[]));
        Cut { device, index: self.row.next, seen: *seen }
    }
}

pub(in crate::engine) fn local(error: crate::group::GroupError) -> Failure {
    Failure::Invalid(error.to_string())
}

pub(in crate::engine) fn fresh_row(own: bool, context: Context, epoch: EpochId) -> SpaceRow {
    SpaceRow {
        own,
        context,
        epoch,
        number: 0,
        generation: None,
        next: 0,
        active: true,
        lagging: false,
        cut: (0, Link::START),
        stored: 0,
        journal: 0,
        deciding: false,
        intentions: Vec::new(),
        clock: Clock::default(),
        segment: 0,
        documents: Vec::new(),
        documents_before: Vec::new(),
        unread: 0,
        last: None,
        stale: false,
        delivered: None,
        read: None,
        receipts_due: false,
        activity_ms: 0,
        log_hash: [0; 32],
        cut_by: 0,
        begun: None,
        introduced: None,
        unheard: None,
        reach: None,
        lost: None,
        tops: Vec::new(),
        unheeded: Vec::new(),
        inviter_kept: false,
        loose: Vec::new(),
        ended: Vec::new(),
        vouched: None,
        doubted: false,
        eras: Eras::default(),
        found: None,
        whole_from: 0,
        unvaulted: Vec::new(),
        invited_by: None,
        commitment: None,
    }
}
