//! Handshakes and intents in the log: which commit decides an epoch.
//!
//! The relay only orders. Everybody applies the first *valid* child of their epoch in log order;
//! what is not valid is passed over by all, so garbage wedges nobody. Validity depends on the
//! commit, its header and what it carries, never on a clock or on what a device happens to know.

use sync_protocol::codec::{self, Blob};
use sync_protocol::envelope::Intent;
use sync_protocol::roster::RosterChange;
use sync_protocol::{AccountId, DeviceId, EpochId, SpaceId};
use tracing::debug;

use crate::api::{ConversationChange, Event};
use crate::engine::members::verdict::{Opened, Present, Refusal, Said, Void, newcomer_key, open};
use crate::engine::rooms::{MemberRows, Members};
use crate::engine::rows::{EpochRow, Intention, PersonRow, SealedCommit, WriterRow};
use crate::engine::space::deliveries::Arrived;
use crate::engine::{Step, Task, seal};
use crate::group::{Context, GroupError, Incoming, Leaf};
use crate::records::key;
use crate::trust::{Head, Heads};

/// How long a member waits before it carries out somebody's wish to leave, so that not all do.
const LET_GO_MS: u64 = 500;

/// How long a device that came back and lost track once more waits before it comes back again; it
/// doubles each time, up to the other.
const RETURN_MS: u64 = 15_000;
const RETURN_SELDOM_MS: u64 = 5 * 60 * 1000;

/// Whether this device's group is where the log is, once a handshake was read.
pub(in crate::engine) enum Follows {
    On,
    /// The log goes on without this device.
    NoMore,
    /// This copy is not what its author signed.
    Doubtful,
}

impl Members<'_> {
    /// Takes in a handshake.
    pub(in crate::engine) fn take_handshake(
        &mut self,
        id: &SpaceId,
        arrived: &Arrived,
    ) -> Step<Follows> {
        let child = arrived.envelope.header.child.unwrap_or(EpochId::NONE);
        let space = self.spaces.core(id)?;
        let Some(core) = &space.core else { return Ok(Follows::On) };
        if core.state.joining.is_some() {
            self.read_past(id, arrived, child)?;
            return Ok(Follows::On);
        }
        if !space.row.active || self.log_rows().finds_handshake(id, &child, arrived.index) {
            return Ok(Follows::On);
        }
        let space = self.spaces.core(id)?;
        if space.epoch_here() != space.row.epoch {
            // The log does not lead to where this device is: nothing new can follow from there.
            return Ok(Follows::On);
        }
        let Some(core) = &space.core else { return Ok(Follows::On) };
        let pending = core.pending.as_ref();
        let own = pending.is_some_and(|pending| pending.child == Some(child));
        self.spaces.group(id)?;
        if own {
            self.own_decided(id, arrived.index);
            return Ok(Follows::On);
        }
        self.know_newcomer(id, arrived)?;
        Ok(self.take_others_commit(id, arrived, child))
    }

    /// Sees to it that the log of a device that comes in from outside is here: by it alone can be
    /// told whether it signed what came.
    fn know_newcomer(&mut self, id: &SpaceId, arrived: &Arrived) -> Step<()> {
        let device = arrived.writer.device;
        let Ok(commit) = arrived.envelope.commit() else { return Ok(()) };
        let space = self.spaces.core(id)?;
        let Some(core) = &space.core else { return Ok(()) };
        let comes = commit.parent == space.row.epoch
            && core.writer_at(&device, arrived.index).is_none()
            && arrived.envelope.names_its_epoch(id);
        let Some(RosterChange::AddDevices { account, .. }) = commit.roster.last() else {
            return Ok(());
        };
        if !comes || space.row.context.roster.role(account).is_none() {
            return Ok(());
        }
        self.contacts().want_logs(&[(*account, vec![device])])
    }

    /// Takes in a commit that this device did not make, or does not know that it made.
    fn take_others_commit(&mut self, id: &SpaceId, arrived: &Arrived, child: EpochId) -> Follows {
        let judged = self.judge(id, arrived);
        if let Err(why) = &judged {
            debug!(space = ?id, index = arrived.index, ?child, ?why, "a commit is not applied");
        }
        let (incoming, sealed) = match judged {
            Ok(valid) => valid,
            Err(Refusal::Void(_)) => return Follows::On,
            Err(Refusal::Own) => {
                // From here on this store writes as somebody new.
                self.session.new_incarnation(self.turn, self.account);
                return Follows::NoMore;
            }
            Err(Refusal::Closed) => {
                self.member_rows().note_closed(id, child);
                return Follows::NoMore;
            }
            Err(Refusal::Unsigned) => return Follows::Doubtful,
        };
        let Some(applied) = self.advance_group(id, arrived, incoming) else {
            debug!(space = ?id, ?child, "a commit makes another group than it names");
            return Follows::On;
        };
        for (account, log) in sealed.logs {
            let person = PersonRow { log, ..PersonRow::default() };
            // Judged already; what can't be kept now is asked for again when it is needed.
            let _ = self.contacts().learn_person(&account, person);
        }
        for hint in sealed.people.iter().take(sync_protocol::limits::LEAVES) {
            self.contacts().learn_hint(hint);
        }
        self.apply_commit(id, arrived, child, applied);
        Follows::On
    }

    /// The group after a commit, if that is the one whose id the log shows: the id commits to all
    /// that a device which comes in later builds upon. If not, the group is as it was.
    fn advance_group(
        &mut self,
        id: &SpaceId,
        arrived: &Arrived,
        incoming: Incoming,
    ) -> Option<Applied> {
        let identity = self.account.own()?.identity().clone();
        let space = self.spaces.get_mut(id)?;
        let group = space.group.as_mut()?;
        let mut applied = Applied {
            context: incoming.context.clone(),
            added: incoming.added.clone(),
            removed: incoming.removed.clone(),
            entered: None,
        };
        let root = incoming.child_root.clone().filter(|_| !incoming.removes_me);
        group.apply(incoming).ok()?;
        if let Some(root) = root {
            let binding = group.binding(&identity).ok();
            let named = arrived.envelope.header.commitment;
            let binding =
                binding.filter(|binding| Some(seal::key_commitment(&root, binding)) == named);
            let Some(binding) = binding else {
                // What was changed in memory is dropped together with it.
                space.group = None;
                return None;
            };
            applied.entered = Some((*root, binding));
        }
        let diff = group.diff();
        self.turn.batch.absorb(&key::group(id), diff);
        Some(applied)
    }

    /// Whether the commit is valid. Nothing is changed if it is not.
    fn judge(
        &mut self,
        id: &SpaceId,
        arrived: &Arrived,
    ) -> Result<(Incoming, SealedCommit), Refusal> {
        let void = Refusal::Void;
        let own_device = self.account.me().map(|me| me.device()).ok();
        let people = &self.people;
        let space = self.spaces.get_mut(id).ok_or(void(Void::Parent))?;
        let core = space.core.as_ref().ok_or(void(Void::Parent))?;
        let present = Present::of(&space.row, core);
        let commit = present.follows(id, &arrived.envelope).map_err(void)?;
        let member = core.writer_at(&arrived.writer.device, arrived.index).cloned();
        let newcomer = || newcomer_key(&commit, |account| people.log(account), arrived);
        let signer = member.as_ref().map(|row| row.key).or_else(newcomer);
        let root = core.epochs.get(&present.epoch).map(|row| &row.root);
        let opened = open(id, arrived, (&commit, &present.heads), (member, signer), root)?;
        let Opened { sealed, logs, author } = opened;
        let roster = present.allows(&author.account, &commit, &logs).map_err(void)?;
        let group = space.group.as_mut().ok_or(void(Void::Parent))?;
        let before = group.leaves();
        let incoming = match group.read_commit(sealed.message.as_slice()) {
            Ok(incoming) => incoming,
            Err(GroupError::Own) => return Err(Refusal::Own),
            Err(GroupError::Unopenable) => return Err(Refusal::Closed),
            Err(_) => return Err(void(Void::Mls)),
        };
        if Some(arrived.writer.device) == own_device {
            // This very device comes in anew, and knows nothing of it.
            return Err(Refusal::Own);
        }
        let said = Said { commit: &commit, author: &author, roster: &roster, before: &before };
        said.is_done_by(&arrived.envelope, &incoming, &space.row.context).map_err(void)?;
        Ok((incoming, sealed))
    }

    /// The group goes on where this device can't follow. It reads and writes no further, and comes
    /// back in by the newest ticket.
    pub(in crate::engine) fn lose_track(&mut self, id: &SpaceId, index: u64) {
        debug!(space = ?id, index, "the group goes on where this device can't follow");
        let now = self.turn.now;
        let Some(space) = self.spaces.get_mut(id) else { return };
        space.in_session.deliveries.clear();
        space.row.lagging = true;
        // Two stores of one device would put each other out for ever: each waits longer every time.
        let wait = match space.footing.lose_track() {
            None => return self.turn.save_space(id),
            Some(0) => 0,
            Some(often) => (RETURN_MS << often.min(6)).min(RETURN_SELDOM_MS),
        };
        space.give_up_pending(&mut self.turn.batch);
        space.in_session.deciding_sent = false;
        space.in_session.fetch.want(index.saturating_add(1));
        self.turn.save_space(id);
        self.tickets().return_by_ticket(id, now + wait);
        self.turn.tell_status();
        if self.account.me().is_ok_and(|me| !self.session.is_of(me.writer().incarnation)) {
            // The session is the writer's before.
            self.session.reconnect(self.turn, self.spaces);
        }
    }

    fn apply_commit(&mut self, id: &SpaceId, arrived: &Arrived, child: EpochId, applied: Applied) {
        let Applied { context, added, removed, entered } = applied;
        self.end_devices(id, &arrived.envelope, arrived.index);
        let Some(space) = self.spaces.get_mut(id) else { return };
        space.give_up_pending(&mut self.turn.batch);
        self.checks().note_followed(id, &arrived.writer.device);
        self.member_rows().change_members(id, arrived.index, &added, &removed);
        let logs = arrived.envelope.commit().map(|commit| commit.logs).unwrap_or_default();
        self.member_rows().advance_heads(id, &logs);
        if let Some(space) = self.spaces.get_mut(id) {
            space.row.context = context;
        }
        self.drop_renewed(id, &logs);
        self.renew_absent(id);
        match entered {
            Some(root) => self.enter_epoch(id, child, arrived.index, root),
            None => self.member_rows().left(id),
        }
        if !added.is_empty() {
            // Whoever let them in may know less of their logs than this device.
            self.devices().evict_ended(id);
        }
        self.drop_fulfilled(id);
    }

    /// A new epoch begins.
    pub(in crate::engine) fn enter_epoch(
        &mut self,
        id: &SpaceId,
        child: EpochId,
        index: u64,
        (root, binding): ([u8; 32], [u8; 32]),
    ) {
        let Some(space) = self.spaces.get_mut(id) else { return };
        let number =
            space.group.as_ref().map_or(space.row.number.saturating_add(1), |group| group.epoch());
        space.row.epoch = child;
        space.row.number = number;
        if let Some(found) = &mut space.row.found {
            found.epoch = child;
        }
        // Whatever was pushed and not confirmed is sealed again under the new epoch.
        space.in_session.pushed = space.row.stored;
        debug!(space = ?id, index, epoch = ?child, number, "an epoch begins");
        let row = EpochRow { number, index, root, binding, era: space.row.context.era };
        space.row.commitment = Some(row.commitment());
        self.turn.batch.put(key::epoch(id, &child), codec::encode(&row));
        if let Some(core) = &mut space.core {
            core.epochs.insert(child, row);
            let roster = &space.row.context.roster;
            core.state.rights.note(index, roster);
            core.state.leavers.retain(|(account, _)| roster.role(account).is_some());
        }
        let own = space.row.own;
        let era = space.row.context.era;
        self.content_rows().era_begins(id, era, index);
        self.turn.save_space(id);
        self.turn.save_state(id);
        self.vault().owe_vault(id, child);
        if own {
            // A new era of the account's space begins a new vault.
            self.vault().call_vault();
        } else {
            let change = ConversationChange::Changed;
            self.turn.notify(Event::Conversation { conversation: *id, change });
        }
    }

    /// An intent counts when it stands in the log.
    pub(in crate::engine) fn take_intent(&mut self, id: &SpaceId, arrived: &Arrived) -> Step<()> {
        let hash = arrived.envelope.intent_hash(id, &arrived.writer);
        let me = self.account.me().map(|me| me.account()).ok();
        let space = self.spaces.core(id)?;
        let epoch = space.row.epoch;
        if space.row.own {
            // No device of an account takes it out of the account's own space.
            return Ok(());
        }
        let Some(core) = &mut space.core else { return Ok(()) };
        if core.state.joining.is_some() {
            // Who could write here is known once the line leads past it, and in which epoch that was.
            core.note_wish(arrived);
            self.turn.save_state(id);
            return Ok(());
        }
        let Some(author) = core.writer_at(&arrived.writer.device, arrived.index) else {
            return Ok(());
        };
        let account = author.account;
        let genuine = arrived.envelope.verify(id, &arrived.writer, &author.key).is_ok();
        let leave = arrived.envelope.header.intent == Some(Intent::Leave);
        // An intent holds in the epoch that it stands in: of another, it is a copy of a wish that was
        // carried out.
        let stands = arrived.envelope.header.epoch == epoch;
        if !stands
            || !genuine
            || !leave
            || core.state.leavers.iter().any(|(known, _)| *known == account)
        {
            return Ok(());
        }
        core.state.leavers.push((account, Blob(hash.to_vec())));
        if Some(account) == me {
            self.member_rows().own_intent_stored(id);
        }
        self.let_go(id, account);
        self.turn.save_state(id);
        Ok(())
    }

    /// Wishes to carry out somebody's wish to leave, in a while: not all have to.
    pub(in crate::engine) fn let_go(&mut self, id: &SpaceId, account: AccountId) {
        let at = self.turn.now + LET_GO_MS + u64::from(self.turn.seed()[0]) * 8;
        let is_other = !self.account.is_own(&account);
        if let Some(space) = self.spaces.get_mut(id)
            && (is_other && space.row.active && !space.intends(&Intention::LetGo(account)))
        {
            space.wish(Intention::LetGo(account));
            space.retry_at = Some(at);
        }
        self.turn.save_space(id);
    }
}

impl MemberRows<'_> {
    fn note_closed(&mut self, id: &SpaceId, child: EpochId) {
        if let Some(core) = self.spaces.get_mut(id).and_then(|space| space.core.as_mut()) {
            core.state.closed = Some(child);
        }
        self.turn.save_state(id);
    }

    /// A commit is accepted: what it was judged against is the least that later ones go on from.
    pub(in crate::engine) fn advance_heads(&mut self, id: &SpaceId, logs: &[Head]) {
        if let Some(core) = self.spaces.get_mut(id).and_then(|space| space.core.as_mut()) {
            let mut heads = Heads::of(&core.state.heads);
            logs.iter().for_each(|head| heads.advance(head));
            core.state.heads = heads.list();
        }
        self.turn.save_state(id);
    }

    /// Leaves came and went with the entry at `index`.
    pub(in crate::engine) fn change_members(
        &mut self,
        id: &SpaceId,
        index: u64,
        added: &[Leaf],
        removed: &[DeviceId],
    ) {
        let Some(core) = self.spaces.get_mut(id).and_then(|space| space.core.as_mut()) else {
            return;
        };
        core.end_writers(index, |row| removed.contains(&row.device));
        core.state.writers.extend(added.iter().map(|leaf| WriterRow {
            device: leaf.device,
            account: leaf.account,
            key: leaf.signing_key,
            from: index,
            to: None,
        }));
        self.turn.save_state(id);
    }

    /// This account is no longer in the space. What it could read stays.
    pub(in crate::engine) fn left(&mut self, id: &SpaceId) {
        debug!(space = ?id, "this account is no longer in the space");
        let Some(space) = self.spaces.get_mut(id) else { return };
        space.row.active = false;
        space.row.stale = true;
        space.row.intentions.clear();
        space.row.deciding = false;
        space.row.lagging = false;
        space.footing.leaves();
        space.group = None;
        if let Some(core) = &mut space.core {
            core.pending = None;
            if core.state.invited.is_some() {
                self.turn.tasks.push_back(Task::Rejoin(*id));
            }
        }
        self.turn.batch.delete(key::pending_commit(id));
        self.turn.batch.clears.push(key::group(id));
        self.turn.save_space(id);
        let change = ConversationChange::Left;
        self.turn.notify(Event::Conversation { conversation: *id, change });
    }
}

/// What a commit did to the group.
struct Applied {
    context: Context,
    added: Vec<Leaf>,
    removed: Vec<DeviceId>,
    /// The new epoch's root and its group's binding; `None` where this device is out.
    entered: Option<([u8; 32], [u8; 32])>,
}
