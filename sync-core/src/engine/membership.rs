//! Founding spaces and changing who is in them.
//!
//! A wish is an [`Intention`] until the log has decided it. One commit a device and epoch: it is
//! persisted before it is sent, and never rebuilt until the log shows it or another.

use sync_protocol::address::Address;
use sync_protocol::codec::{self, Blob};
use sync_protocol::envelope::{
    CommitHeader, Envelope, HEADER_VERSION, Header, Intent, Kind, SUITE, aad, epoch_id,
};
use sync_protocol::frames::{Answer, ClientFrame, Op, Push, Taken, WelcomeFor};
use sync_protocol::ids::Link;
use sync_protocol::roster::{Role, Roster, RosterChange};
use sync_protocol::{AccountId, DeviceId, EpochId, Rejection, SpaceId, limits};

use crate::api::{ConversationChange, Event, Failure};
use crate::document::Clock;
use crate::engine::deliveries::log_item;
use crate::engine::rows::{
    EpochRow, Intention, PendingRow, SealedCommit, SpaceRow, StateRow, WriterRow,
};
use crate::engine::session::Asked;
use crate::engine::space::{Core, SpaceState};
use crate::engine::{Engine, Step, Stop, Task, seal};
use crate::group::{Change, Context, Group, read_key_package};
use crate::records::key;

/// The documents' era in a segment number: a member let in without history starts a new one.
pub(super) const ERA_SHIFT: u32 = 16;

/// How long to wait before taking key packages again for somebody who has none.
const ASK_AGAIN_MS: u64 = 2_000;

/// What the leading intentions come to.
#[derive(Default)]
struct Plan {
    changes: Vec<RosterChange>,
    add: Vec<Taken>,
    added: Vec<(AccountId, DeviceId, bool)>,
    remove: Vec<DeviceId>,
    title: Option<String>,
    leavers: Vec<AccountId>,
    intents: Vec<Blob>,
    carries: u64,
}

impl Engine {
    pub(super) fn found_account_space(&mut self) -> Result<(), Failure> {
        let space = self.me()?.account().space();
        self.found_space(space, String::new(), true)
    }

    /// Founds a space with this device alone in it; offline or not.
    pub(super) fn found_space(
        &mut self,
        id: SpaceId,
        title: String,
        own: bool,
    ) -> Result<(), Failure> {
        let seed = self.seed();
        let me = self.me()?;
        let account = me.account();
        let roster = Roster::founded_by(account);
        let context = Context { min_version: limits::MIN_VERSION, title, roster, era: 0 };
        let mut group = Group::create(&me.identity, id, &context, seed).map_err(local)?;
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
        };
        let commit = codec::encode(&commit);
        let root = *group.root();
        let epoch = epoch_id(&id, &EpochId::NONE, &commit, &seal::key_commitment(&root));
        let mut header = header(Kind::Handshake, EpochId::NONE, 0);
        header.commit = Some(Blob(commit));
        header.child = Some(epoch);
        let envelope = Envelope::sign(&id, &me.writer, header, Vec::new(), &me.identity.signing);
        let writer_incarnation = me.writer.incarnation;
        let writer = WriterRow {
            device: me.device(),
            account,
            key: me.identity.signing.verifying_key().to_bytes(),
            from: 0,
            to: None,
        };
        let pending = PendingRow {
            child: Some(epoch),
            envelope: Blob(envelope.to_bytes()),
            welcomes: Vec::new(),
            carries: 0,
        };
        let epoch_row = EpochRow { number: 0, index: 0, root };
        let diff = group.diff();
        self.batch.absorb(&key::group(&id), diff);
        self.batch.put(key::epoch(&id, &epoch), codec::encode(&epoch_row));
        self.batch.put(key::pending_commit(&id), codec::encode(&pending));
        let mut space = SpaceState::new(id, fresh_row(own, context, epoch));
        space.row.cut_by = writer_incarnation;
        space.row.deciding = true;
        let mut core = Core::default();
        core.pending = Some(pending);
        core.epochs.insert(epoch, epoch_row);
        core.state = StateRow { writers: vec![writer], ..StateRow::default() };
        space.core = Some(core);
        space.group = Some(group);
        self.spaces.insert(id, space);
        self.save_space(&id);
        self.save_state(&id);
        self.tasks.push_back(Task::Advance(id));
        Ok(())
    }

    /// Wishes a membership change. What is written from here on waits for it.
    pub(super) fn intend(&mut self, id: &SpaceId, intention: Intention) {
        if let Some(space) = self.spaces.get_mut(id)
            && !space.intends(&intention)
        {
            space.row.intentions.push(intention);
        }
        self.save_space(id);
        self.tasks.push_back(Task::Advance(*id));
    }

    /// Sends what waits in a space: first what decides membership, then content.
    pub(super) fn advance(&mut self, id: &SpaceId) -> Step<()> {
        if !self.session.caught_up() || !self.spaces.contains_key(id) {
            return Ok(());
        }
        let now = self.now;
        let space = self.core_space(id)?;
        if !space.row.active {
            return Ok(());
        }
        if space.row.lagging {
            if !space.fetching && space.retry_at.is_none_or(|at| at <= now) {
                self.fetch(id);
            }
            return Ok(());
        }
        if space.behind.is_some() && space.retry_at.is_none() {
            // What the relay says was missed did not come by itself.
            space.behind = None;
            self.mark_lagging(id);
            return Ok(());
        }
        if space.behind.is_some() || !space.deliveries.is_empty() || space.hold_until > now {
            return Ok(());
        }
        if space.row.deciding {
            self.push_pending(id);
            return Ok(());
        }
        let first = space.row.intentions.first();
        if first.is_some_and(|wish| *wish != Intention::Leave)
            && space.retry_at.is_none_or(|at| at <= now)
        {
            self.group_space(id)?;
            self.commit_intentions(id)?;
        }
        let space = self.core_space(id)?;
        let waits = |wish: &Intention| !matches!(wish, Intention::LetGo(_) | Intention::Leave);
        if space.row.deciding || space.row.intentions.iter().any(waits) {
            return Ok(());
        }
        self.reauthor(id)?;
        self.cut_waiting(id)?;
        self.push_content(id);
        let space = self.core_space(id)?;
        let leaving = space.row.intentions.first() == Some(&Intention::Leave);
        // Whoever leaves is heard out first: the relay takes nothing from a leaver.
        if leaving && !space.unsent() { self.push_leave(id) } else { Ok(()) }
    }

    fn push_pending(&mut self, id: &SpaceId) {
        let Some(space) = self.spaces.get_mut(id).filter(|space| !space.deciding_sent) else {
            return;
        };
        let Some(pending) = space.core.as_ref().and_then(|core| core.pending.clone()) else {
            return;
        };
        space.deciding_sent = true;
        self.send(&ClientFrame::Push(Push {
            space: *id,
            envelopes: vec![pending.envelope],
            welcomes: pending.welcomes,
            ticket: None,
        }));
    }

    fn commit_intentions(&mut self, id: &SpaceId) -> Step<()> {
        let Some(first) = self.space(id)?.row.intentions.first().cloned() else { return Ok(()) };
        let Some(plan) = self.plan(id, &first)? else { return Ok(()) };
        if plan.carries == 0 {
            return Ok(());
        }
        match self.build_commit(id, &plan) {
            Ok(()) => self.push_pending(id),
            Err(Stop::Fail(failure)) => self.give_up(id, plan.carries as usize, &failure),
            Err(need) => return Err(need),
        }
        Ok(())
    }

    /// What to commit for the leading intentions; `None` while something is being asked.
    fn plan(&mut self, id: &SpaceId, first: &Intention) -> Step<Option<Plan>> {
        let mut plan = Plan { carries: 1, ..Plan::default() };
        match first {
            Intention::Add { .. } => return self.plan_adds(id),
            Intention::Remove(account) | Intention::LetGo(account) => {
                let space = self.space(id)?;
                if space.role(account).is_none() {
                    self.drop_fulfilled(id);
                    return Ok(None);
                }
                if matches!(first, Intention::LetGo(_))
                    && let Some(core) = &space.core
                {
                    let leaver = core.state.leavers.iter().filter(|(known, _)| known == account);
                    plan.intents.extend(leaver.map(|(_, hash)| hash.clone()));
                    plan.leavers.push(*account);
                }
                let leaves = space.group.as_ref().map(Group::leaves).unwrap_or_default();
                let gone = leaves.iter().filter(|leaf| leaf.account == *account);
                plan.remove.extend(gone.map(|leaf| leaf.device));
                plan.changes.push(RosterChange::Remove { account: *account });
            }
            Intention::SetRole { account, admin } => {
                let role = if *admin { Role::Admin } else { Role::Member };
                plan.changes.push(RosterChange::SetRole { account: *account, role });
            }
            Intention::SetTitle(title) => plan.title = Some(title.clone()),
            Intention::Leave => {}
        }
        Ok(Some(plan))
    }

    /// All leading additions become one commit.
    fn plan_adds(&mut self, id: &SpaceId) -> Step<Option<Plan>> {
        let mut plan = Plan::default();
        loop {
            let at = plan.carries as usize;
            let next = self.space(id)?.row.intentions.get(at).cloned();
            let Some(Intention::Add { address, history }) = next else { break };
            let account = match self.resolve_text(&address) {
                Ok(account) => account,
                Err(Stop::Fail(Failure::Offline)) => return Ok(None),
                Err(Stop::Fail(failure)) if failure.retry() => {
                    self.try_again(id);
                    return Ok(None);
                }
                Err(Stop::Fail(failure)) => {
                    self.not_added(id, at, &address, &failure);
                    continue;
                }
                Err(stop) => return Err(stop),
            };
            if self.space(id)?.role(&account).is_some() {
                self.remove_intention(id, at);
                continue;
            }
            let Some(taken) = self.packages_of(id, &account) else { return Ok(None) };
            let devices = self.usable(&account, &taken);
            if devices.is_empty() {
                let failure = Failure::Refused(Rejection::Unavailable { retry_ms: 0 });
                self.not_added(id, at, &address, &failure);
                continue;
            }
            plan.added.extend(devices.iter().map(|taken| (account, taken.device, history)));
            let ids = devices.iter().map(|taken| taken.device).collect();
            plan.changes.push(RosterChange::Add { account, role: Role::Member, devices: ids });
            plan.add.extend(devices);
            plan.carries += 1;
        }
        Ok(Some(plan))
    }

    fn try_again(&mut self, id: &SpaceId) {
        let at = self.now + ASK_AGAIN_MS;
        if let Some(space) = self.spaces.get_mut(id) {
            space.retry_at = Some(at);
        }
    }

    fn resolve_text(&mut self, address: &str) -> Step<AccountId> {
        let address: Address =
            address.parse().map_err(|_| Failure::Invalid("not an address".to_owned()))?;
        self.resolve(&address)
    }

    fn packages_of(&mut self, id: &SpaceId, account: &AccountId) -> Option<Vec<Taken>> {
        let space = self.spaces.get_mut(id)?;
        if let Some(taken) = space.packages.get(account) {
            return Some(taken.clone());
        }
        if !space.packages_asked.contains(account) {
            space.packages_asked.push(*account);
            self.ask(Op::TakeKeyPackages { account: *account }, Asked::Packages(*id, *account));
        }
        None
    }

    pub(super) fn on_packages(&mut self, id: &SpaceId, account: &AccountId, answer: Answer) {
        let now = self.now;
        let Some(space) = self.spaces.get_mut(id) else { return };
        space.packages_asked.retain(|asked| asked != account);
        match answer {
            Answer::KeyPackages(taken) => {
                space.packages.insert(*account, taken);
            }
            Answer::Refused(Rejection::NotFound) => {
                space.packages.insert(*account, Vec::new());
            }
            _ => space.retry_at = Some(now + ASK_AGAIN_MS),
        }
        self.tasks.push_back(Task::Advance(*id));
    }

    /// The packages that are what they claim, of devices their account's log certifies.
    fn usable(&self, account: &AccountId, taken: &[Taken]) -> Vec<Taken> {
        let Some(log) = self.people.log(account) else { return Vec::new() };
        let good = taken.iter().filter(|taken| {
            read_key_package(taken.package.as_slice()).is_ok_and(|leaf| {
                leaf.account == *account
                    && leaf.device == taken.device
                    && log.active(&leaf.device).is_some()
            })
        });
        good.cloned().collect()
    }

    fn build_commit(&mut self, id: &SpaceId, plan: &Plan) -> Step<()> {
        let seed = self.seed();
        let me = self.me()?.identity.clone();
        let writer = self.writer()?;
        let (context, commit) = self.next_context(id, plan)?;
        let commit = codec::encode(&commit);
        let change = Change {
            add: plan.add.iter().map(|taken| taken.package.0.clone()).collect(),
            remove: plan.remove.clone(),
            context,
        };
        let parent = self.space(id)?.row.epoch;
        let cursor = self.space(id)?.row.next;
        let space = self.group_space(id)?;
        let Some(group) = &mut space.group else { return Ok(()) };
        let made = group.commit(&me, &change, &CommitHeader::hash(&commit), seed).map_err(local)?;
        let diff = group.diff();
        self.batch.absorb(&key::group(id), diff);
        let child = epoch_id(id, &parent, &commit, &seal::key_commitment(&made.child_root));
        let mut header = header(Kind::Handshake, parent, cursor);
        header.commit = Some(Blob(commit));
        header.child = Some(child);
        let sealed = self.seal_commit(id, &parent, plan, &header, made.message)?;
        let envelope = Envelope::sign(id, &writer, header, sealed, &me.signing);
        let welcome = made.welcome.unwrap_or_default();
        let welcomes = self.invitations(id, plan.added.clone(), &welcome, &child)?;
        let pending = PendingRow {
            child: Some(child),
            envelope: Blob(envelope.to_bytes()),
            welcomes,
            carries: plan.carries,
        };
        self.set_pending(id, pending);
        Ok(())
    }

    fn seal_commit(
        &mut self,
        id: &SpaceId,
        parent: &EpochId,
        plan: &Plan,
        header: &Header,
        message: Vec<u8>,
    ) -> Step<Vec<u8>> {
        let writer = self.writer()?;
        let mut accounts: Vec<AccountId> =
            plan.added.iter().map(|(account, ..)| *account).collect();
        accounts.dedup();
        let logs = accounts.iter().map(|account| (*account, self.log_blobs(account))).collect();
        let people = self.hints(accounts.into_iter());
        let sealed = codec::encode(&SealedCommit { message: Blob(message), logs, people });
        let space = self.core_space(id)?;
        let root = space.core.as_ref().and_then(|core| core.epochs.get(parent));
        let root = root.ok_or(Failure::Denied("this space's keys are not here"))?.root;
        let aad = aad(id, &writer, &codec::encode(header));
        Ok(seal::seal(&seal::handshake_key(&root), &aad, &sealed, &mut self.rng))
    }

    /// The context after the plan, and the public header that says so.
    fn next_context(&self, id: &SpaceId, plan: &Plan) -> Step<(Context, CommitHeader)> {
        let me = self.me()?.account();
        let space = self.space(id)?;
        let before = &space.row.context;
        let roster = before
            .roster
            .after(&me, &plan.changes, &plan.leavers)
            .map_err(|_| Failure::Denied("only an admin may do this"))?;
        if plan.title.is_some() && before.roster.role(&me) != Some(Role::Admin) {
            return Err(Failure::Denied("only an admin may change the title").into());
        }
        let written = space.core.as_ref().is_some_and(|core| !core.tips.is_empty());
        let without_history = plan.added.iter().any(|(_, _, history)| !history);
        let era = before.era + u32::from(written && without_history);
        let title = plan.title.clone().unwrap_or_else(|| before.title.clone());
        let min_version = before.min_version;
        let mut logs: Vec<_> = plan
            .added
            .iter()
            .filter_map(|(account, ..)| self.people.log(account))
            .map(|log| (log.account(), log.len(), log.head()))
            .collect();
        logs.dedup();
        let header = CommitHeader {
            parent: space.row.epoch,
            number: space.row.number + 1,
            min_version,
            roster: plan.changes.clone(),
            logs,
            cuts: space.cuts(&plan.remove),
            intents: plan.intents.clone(),
            ticket: None,
        };
        Ok((Context { min_version, title, roster, era }, header))
    }

    fn set_pending(&mut self, id: &SpaceId, pending: PendingRow) {
        self.batch.put(key::pending_commit(id), codec::encode(&pending));
        if let Some(space) = self.spaces.get_mut(id) {
            space.row.deciding = true;
            space.deciding_sent = false;
            if let Some(core) = &mut space.core {
                core.pending = Some(pending);
            }
        }
        self.save_space(id);
    }

    fn push_leave(&mut self, id: &SpaceId) -> Step<()> {
        let me = self.me()?;
        let (account, writer, signing) = (me.account(), me.writer, me.identity.signing.clone());
        let space = self.space(id)?;
        if space.row.context.roster.iter().all(|(member, _)| member == account) {
            self.left(id);
            return Ok(());
        }
        let mut header = header(Kind::Intent, space.row.epoch, space.row.next);
        header.intent = Some(Intent::Leave);
        let envelope = Envelope::sign(id, &writer, header, Vec::new(), &signing);
        let envelope = Blob(envelope.to_bytes());
        self.set_pending(
            id,
            PendingRow { child: None, envelope, welcomes: Vec::new(), carries: 1 },
        );
        self.push_pending(id);
        Ok(())
    }

    /// The log shows our own handshake as the one that counts.
    pub(super) fn own_decided(&mut self, id: &SpaceId, index: u64) {
        let Some(space) = self.spaces.get_mut(id) else { return };
        let Some(pending) = space.core.as_mut().and_then(|core| core.pending.take()) else {
            return;
        };
        self.batch.delete(key::pending_commit(id));
        space.row.deciding = false;
        space.deciding_sent = false;
        let carried = (pending.carries as usize).min(space.row.intentions.len());
        space.row.intentions.drain(..carried);
        space.packages.clear();
        let child = pending.child.unwrap_or(EpochId::NONE);
        if child != space.row.epoch
            && let Some(group) = &mut space.group
        {
            let before = group.leaves();
            if group.merge_pending().is_ok() {
                let diff = group.diff();
                let after = group.leaves();
                let context = group.context().clone();
                let root = *group.root();
                space.row.context = context;
                self.batch.absorb(&key::group(id), diff);
                let added: Vec<_> =
                    after.iter().filter(|leaf| !before.contains(leaf)).copied().collect();
                let removed: Vec<_> = before
                    .iter()
                    .filter(|leaf| !after.contains(leaf))
                    .map(|leaf| leaf.device)
                    .collect();
                self.change_members(id, index, &added, &removed);
                self.enter_epoch(id, child, index, root);
            }
        }
        self.save_space(id);
        self.tasks.push_back(Task::Advance(*id));
    }

    /// Our own wish to leave stands in the log.
    pub(super) fn own_intent_stored(&mut self, id: &SpaceId) -> [u8; 32] {
        let hash = self.spaces.get(id).and_then(|space| {
            let pending = space.core.as_ref()?.pending.as_ref()?;
            let envelope = Envelope::parse(pending.envelope.as_slice()).ok()?;
            Some(envelope.intent_hash(id, &self.me.as_ref()?.writer))
        });
        self.left(id);
        log_item(&hash.unwrap_or_default())
    }

    /// Intentions that somebody else's commit has already carried out.
    pub(super) fn drop_fulfilled(&mut self, id: &SpaceId) {
        let people = &self.people;
        let Some(space) = self.spaces.get_mut(id) else { return };
        let roster = space.row.context.roster.clone();
        let member = |account: &AccountId| roster.role(account).is_some();
        space.row.intentions.retain(|wish| match wish {
            Intention::Add { address, .. } => {
                !people.account(address).is_some_and(|account| member(&account))
            }
            Intention::Remove(account) | Intention::LetGo(account) => member(account),
            _ => true,
        });
        self.save_space(id);
        self.tasks.push_back(Task::Advance(*id));
    }

    fn remove_intention(&mut self, id: &SpaceId, at: usize) {
        if let Some(space) = self.spaces.get_mut(id)
            && at < space.row.intentions.len()
        {
            space.row.intentions.remove(at);
        }
        self.save_space(id);
    }

    fn not_added(&mut self, id: &SpaceId, at: usize, address: &str, failure: &Failure) {
        self.remove_intention(id, at);
        let reason = match failure {
            Failure::Refused(rejection) => rejection.clone(),
            Failure::Denied(_) => Rejection::Denied,
            _ => Rejection::NotFound,
        };
        let change = ConversationChange::NotAdded { address: address.to_owned(), reason };
        self.notify(Event::Conversation { conversation: *id, change });
    }

    /// What can't be committed is not tried for ever.
    fn give_up(&mut self, id: &SpaceId, count: usize, failure: &Failure) {
        for _ in 0..count {
            let first = self.spaces.get(id).and_then(|space| space.row.intentions.first().cloned());
            match first {
                Some(Intention::Add { address, .. }) => self.not_added(id, 0, &address, failure),
                Some(_) => self.remove_intention(id, 0),
                None => break,
            }
        }
        self.tasks.push_back(Task::Advance(*id));
    }

    fn invitations(
        &mut self,
        id: &SpaceId,
        devices: Vec<(AccountId, DeviceId, bool)>,
        welcome: &[u8],
        epoch: &EpochId,
    ) -> Step<Vec<WelcomeFor>> {
        let together: Vec<_> = devices.iter().map(|(account, _, _)| *account).collect();
        devices
            .into_iter()
            .map(|(account, device, history)| {
                let guest = (&account, &device, history);
                let item = self.invitation(id, guest, &together, welcome, epoch)?;
                Ok(WelcomeFor { account, device, item })
            })
            .collect()
    }
}

impl SpaceState {
    /// Where the writers of removed devices end.
    fn cuts(&self, removed: &[DeviceId]) -> Vec<(sync_protocol::WriterId, u64, Link)> {
        let Some(core) = &self.core else { return Vec::new() };
        let gone = core.tips.iter().filter(|(writer, _)| removed.contains(&writer.device));
        gone.map(|(writer, tip)| (*writer, tip.seq, tip.link)).collect()
    }
}

fn local(error: crate::group::GroupError) -> Failure {
    Failure::Invalid(error.to_string())
}

/// A header with what all kinds have.
pub(super) fn header(kind: Kind, epoch: EpochId, cursor: u64) -> Header {
    Header {
        version: HEADER_VERSION,
        suite: SUITE,
        kind,
        epoch,
        cursor,
        chain: None,
        commit: None,
        child: None,
        intent: None,
        register: None,
    }
}

pub(super) fn fresh_row(own: bool, context: Context, epoch: EpochId) -> SpaceRow {
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
    }
}
