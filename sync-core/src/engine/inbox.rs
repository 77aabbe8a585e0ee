//! Being let into a space: invitations out, invitations in, and the key packages they need.

use rand_core::Rng;
use sync_protocol::codec::{self, Blob};
use sync_protocol::frames::{InboxItem, Op};
use sync_protocol::frontier::Tip;
use sync_protocol::hash;
use sync_protocol::sorted::SortedSet;
use sync_protocol::{AccountId, DeviceId, EpochId, SpaceId, WriterId};
use tracing::debug;

use crate::api::{ConversationChange, Event, Failure};
use crate::document::{Name, contacts};
use crate::engine::commits::fresh_row;
use crate::engine::eras::Eras;
use crate::engine::rows::{EpochRow, Grant, Intention, InvitedRow, StateRow, WriterRow};
use crate::engine::session::Asked;
use crate::engine::space::{Core, SpaceState};
use crate::engine::welcome::{self, Invitation, Reader, Unfit, Word};
use crate::engine::{Engine, Step, Stop, Task};
use crate::group::{Group, Joined};
use crate::records::{Load, key};
use crate::trust::Lineage;
use crate::trust::posting::ERA_SHIFT;

/// A space to be settled into, by invitation or by ticket.
pub(super) struct Arrival {
    pub(super) id: SpaceId,
    /// The epoch in which this device is in.
    pub(super) epoch: EpochId,
    pub(super) grant: Grant,
    pub(super) group: Group,
    /// [`Group::binding`] of the group.
    pub(super) binding: [u8; 32],
    pub(super) invited_by: Option<AccountId>,
    /// Whether the epoch is after all that the account knew of the space.
    pub(super) ahead: bool,
    /// The first era that this device can read from its beginning.
    pub(super) whole_from: u32,
}

impl Engine {
    /// What a device needs beside the group to read a space, all of it or from here on.
    pub(super) fn grant(&self, id: &SpaceId, members: &[AccountId], history: bool) -> Step<Grant> {
        let space = self.space(id)?;
        let core = space.core.as_ref().ok_or(Stop::from(Load::Space(*id)))?;
        let people = self.hints(members.iter().copied());
        if history {
            return Ok(Grant {
                from: 0,
                frontier: Vec::new(),
                log_hash: [0; 32],
                epochs: core.epochs.iter().map(|(epoch, row)| (*epoch, row.clone())).collect(),
                heads: Vec::new(),
                people,
                segment: 0,
                leavers: Vec::new(),
                documents: Vec::new(),
            });
        }
        let tips = core.tips.iter();
        Ok(Grant {
            from: space.row.next,
            frontier: tips.map(|(writer, tip)| (*writer, tip.seq, tip.link)).collect(),
            log_hash: space.row.log_hash,
            epochs: Vec::new(),
            heads: core.state.heads.clone(),
            people,
            segment: space.row.segment,
            leavers: core.state.leavers.clone(),
            documents: Vec::new(),
        })
    }

    /// The account's documents as they are, for a device that may not read how they came to be. The
    /// vault is not among them.
    pub(super) fn shared_documents(&mut self, id: &SpaceId) -> Step<Vec<(Name, Blob)>> {
        let names = self.space(id)?.row.documents.clone();
        let mut documents = Vec::new();
        // What apps share is handed over by the log, as to everybody.
        let is_given =
            |name: &Name| !matches!(name, Name::Vault(_) | Name::App(..) | Name::Carried(_));
        for name in names.into_iter().filter(is_given) {
            let document = self.document(id, &name)?;
            let snapshot = document.snapshot();
            let snapshot = snapshot.map_err(|error| Failure::Invalid(error.to_string()))?;
            documents.push((name, Blob(snapshot)));
        }
        Ok(documents)
    }

    /// Takes in the inbox item by item, whatever they are, and says so to the relay. One that
    /// waits for a record keeps those behind it waiting: a number taken in stands for all below.
    ///
    /// Whether an invitation leads where the account is already, its own space says: that is entered
    /// and read before the others are looked at.
    pub(super) fn take_invitations(&mut self) -> Step<()> {
        self.enter_own_space()?;
        while self.is_settled()
            && let Some(item) = self.session.inbox.pop_front()
        {
            if item.number > self.session.row.inbox {
                match self.join(&item) {
                    Err(Stop::Need(need)) => {
                        self.session.inbox.push_front(item);
                        return Err(Stop::Need(need));
                    }
                    // Somebody's item that makes no sense is dropped: it is theirs to send a good
                    // one.
                    Err(Stop::Fail(why)) => {
                        debug!(from = ?item.account, number = item.number, %why, "an item is dropped");
                    }
                    Ok(()) => {}
                }
                self.session.row.inbox = item.number;
                self.unsaved.session = true;
            }
            if self.session.is_open() {
                self.ask(Op::AckInbox { number: item.number }, Asked::AckInbox);
            }
        }
        self.keep_cursor();
        self.seek();
        Ok(())
    }

    /// Whether the account's own space is read as far as it goes.
    pub(super) fn is_settled(&self) -> bool {
        let own = self.me().ok().and_then(|me| self.spaces.get(&me.account().space()));
        own.is_some_and(|own| own.row.active && !own.row.lagging && !own.lost)
    }

    /// Comes into the account's own space, if something in the inbox leads there.
    fn enter_own_space(&mut self) -> Step<()> {
        let own = self.me()?.account().space();
        if self.spaces.get(&own).is_some_and(|space| space.row.active) {
            return Ok(());
        }
        let leads = |item: &&InboxItem| welcome::leads_to(item) == Some(own);
        let items: Vec<InboxItem> = self.session.inbox.iter().filter(leads).cloned().collect();
        for item in items {
            match self.join(&item) {
                Err(Stop::Need(need)) => return Err(Stop::Need(need)),
                Err(Stop::Fail(_)) | Ok(()) => {}
            }
        }
        Ok(())
    }

    fn join(&mut self, item: &InboxItem) -> Step<()> {
        // All that may be missing is asked for before what takes long.
        if self.key_packages.is_none() {
            return Err(Load::KeyPackages.into());
        }
        let blocked = self.is_blocked(&item.account)?;
        let me = self.me()?;
        let reader = Reader { device: me.device(), hpke: &me.row.hpke };
        let Word { invitation, mut common, grant } = welcome::read(item, &reader)?;
        let id = invitation.space;
        if self.spaces.contains_key(&id) {
            let space = self.core_space(&id)?;
            if space.row.active {
                self.keep_for_later(&id, &invitation.epoch, item);
                return Ok(());
            }
        }
        self.complete_logs(&mut common.logs, &common.named)?;
        self.prove_heads(&grant.heads)?;
        let logs = self.prove_all(&common.logs)?;
        let seed = self.seed_for_join(item);
        let Some(key_packages) = &self.key_packages else { return Err(Load::KeyPackages.into()) };
        let joined = Group::join(id, common.welcome.as_slice(), key_packages, seed);
        let joined = joined.map_err(Unfit::Group)?;
        let binding = joined.group.binding(&self.me()?.identity).map_err(Unfit::Group)?;
        let complete = grant.from == 0 && !grant.epochs.is_empty();
        if self.is_outdated(&id, item, complete) {
            return Ok(());
        }
        let Some(ahead) = self.may_join(&invitation, &joined, &binding, &logs, item)? else {
            return Ok(());
        };
        let own = self.is_own_account(&item.account);
        let grant = Grant { documents: if own { grant.documents } else { Vec::new() }, ..grant };
        self.learn_logs(logs);
        for hint in grant.people.iter().take(sync_protocol::limits::LEAVES) {
            self.learn_hint(hint);
        }
        self.enter(&invitation, item.account, grant, (joined, binding, ahead));
        if let Some(me) = &mut self.me
            && me.account().space() == id
            && complete
        {
            me.row.complete = true;
            self.unsaved.account = true;
        }
        if blocked {
            self.intend(&id, Intention::Leave);
        }
        self.mark_lagging(&id);
        let change = ConversationChange::Joined;
        self.notify(Event::Conversation { conversation: id, change });
        Ok(())
    }

    /// Whether this account wants nothing of another.
    fn is_blocked(&mut self, account: &AccountId) -> Step<bool> {
        let own = self.me()?.account().space();
        if !self.spaces.contains_key(&own) {
            return Ok(false);
        }
        let contact = contacts::contact(self.document(&own, &Name::Contacts)?, account);
        Ok(contact.is_some_and(|contact| contact.blocked))
    }

    fn keep_for_later(&mut self, id: &SpaceId, epoch: &EpochId, item: &InboxItem) {
        let Some(core) = self.spaces.get_mut(id).and_then(|space| space.core.as_mut()) else {
            return;
        };
        if core.epochs.contains_key(epoch) {
            return;
        }
        let (account, device) = (item.account, item.device);
        let (item, common) = (item.item.clone(), item.common.clone());
        core.state.invited = Some(InvitedRow { account, device, item, common });
        self.save_state(id);
    }

    /// This account was removed, and put back before it knew.
    pub(super) fn rejoin(&mut self, id: &SpaceId) -> Step<()> {
        let Some(invited) =
            self.core_space(id)?.core.as_ref().and_then(|c| c.state.invited.clone())
        else {
            return Ok(());
        };
        let item = InboxItem {
            number: 0,
            account: invited.account,
            device: invited.device,
            time_ms: 0,
            space: Some(*id),
            item: invited.item,
            common: invited.common,
        };
        match self.join(&item) {
            Err(Stop::Need(need)) => Err(Stop::Need(need)),
            Err(Stop::Fail(_)) | Ok(()) => Ok(()),
        }
    }

    /// Joining draws no secret that others depend on: the item itself is seed enough to keep
    /// engines apart, and a retry after a load comes to the same.
    fn seed_for_join(&self, item: &InboxItem) -> [u8; 32] {
        hash::hash(hash::INBOX, &[item.item.as_slice()])
    }

    fn enter(
        &mut self,
        invitation: &Invitation,
        by: AccountId,
        grant: Grant,
        (joined, binding, ahead): (Joined, [u8; 32], bool),
    ) {
        let Joined { group, used, .. } = joined;
        self.drop_key_packages(&used);
        let (id, epoch) = (invitation.space, invitation.epoch);
        let invited_by = Some(by).filter(|by| !self.is_own_account(by));
        // Without history the commit began an era, if anything was written before.
        let whole_from = if grant.epochs.is_empty() { group.context().era } else { 0 };
        self.settle_in(Arrival { id, epoch, grant, group, binding, invited_by, whole_from, ahead });
        self.tasks.push_back(Task::Inviter(id));
    }

    /// Takes a place in a space, to read on from where the grant says.
    pub(super) fn settle_in(&mut self, arrival: Arrival) {
        let Arrival { id, epoch, grant, mut group, binding, invited_by, whole_from, ahead } =
            arrival;
        let own = self.me().is_ok_and(|me| me.account().space() == id);
        let context = group.context().clone();
        let mut space = match self.spaces.remove(&id) {
            Some(before) => before,
            None => Box::new(SpaceState::new(id, fresh_row(own, context.clone(), epoch))),
        };
        let mut core = space.core.take().unwrap_or_default();
        let root = *group.root();
        let era = context.era;
        let joined = EpochRow { number: group.epoch(), index: u64::MAX, root, binding, era };
        // Known to be where the log is once that was read.
        space.row.commitment = None;
        self.learn_epochs(&id, &mut core, (epoch, joined), &grant);
        let before = std::mem::take(&mut core.state.writers);
        let abandoned = std::mem::take(&mut core.state.abandoned);
        core.state = StateRow { ahead, abandoned, ..arriving(&group, epoch, &grant, before) };
        self.read_anew(&mut space, &mut core);
        for (writer, seq, link) in grant.frontier {
            core.tips.advance(writer, Tip { seq, link });
            self.unsaved.writers.insert((id, writer));
        }
        let diff = group.diff();
        self.batch.clears.push(key::group(&id));
        self.batch.absorb(&key::group(&id), diff);
        space.row.segment = space.row.segment.max(context.era << ERA_SHIFT).max(grant.segment);
        space.row.introduced = None;
        space.row.whole_from = whole_from;
        space.row.eras = if whole_from == 0 { Eras::default() } else { Eras::waiting() };
        if grant.from == 0 {
            // It is read once more, and what is known by now may open some of it.
            (space.row.lost, space.told_lost) = (None, 0);
        }
        space.row.context = context;
        space.row.number = group.epoch();
        space.row.active = true;
        space.row.next = grant.from;
        space.row.log_hash = grant.log_hash;
        space.row.epoch = EpochId::NONE;
        space.row.stale = true;
        space.row.invited_by = space.row.invited_by.or(invited_by);
        if grant.documents.iter().any(|(name, _)| *name == Name::Settings) {
            space.row.unheard = Some(0);
            self.tasks.push_back(Task::Names(id, 0));
        }
        for (name, snapshot) in grant.documents {
            self.batch.put(key::snapshot(&id, &name), snapshot.0);
            if let Err(at) = space.row.documents.binary_search(&name) {
                space.row.documents.insert(at, name);
            }
        }
        space.recent.clear();
        space.deliveries.clear();
        space.lost = false;
        // Of a membership that is over.
        (space.problem, space.behind) = (None, None);
        (space.fetching, space.fetched) = (false, false);
        space.core = Some(core);
        space.group = Some(group);
        self.reset_own_chain(&mut space);
        self.spaces.insert(id, space);
        self.save_space(&id);
        self.save_state(&id);
    }

    /// Where the log is read from and how far each writer was read are one thing: a device that
    /// reads from another place knows nothing of what others wrote beyond it. What it has taken in
    /// already comes to the same a second time; what it had to pass over, it can open now.
    pub(super) fn read_anew(&mut self, space: &mut SpaceState, core: &mut Core) {
        let own =
            self.me.as_ref().map(|me| WriterId { incarnation: space.row.cut_by, ..me.writer });
        self.forget_read(&space.id, core);
        let read = std::mem::take(&mut core.tips);
        for (writer, tip) in read.iter() {
            if Some(*writer) == own {
                core.tips.advance(*writer, *tip);
            } else {
                self.batch.delete(key::writer(&space.id, writer));
            }
            space.reached.advance(*writer, *tip);
        }
    }

    fn learn_epochs(
        &mut self,
        id: &SpaceId,
        core: &mut Core,
        (epoch, joined): (EpochId, EpochRow),
        grant: &Grant,
    ) {
        self.batch.put(key::epoch(id, &epoch), codec::encode(&joined));
        core.epochs.insert(epoch, joined);
        for (epoch, row) in &grant.epochs {
            if !core.epochs.contains_key(epoch) {
                self.batch.put(key::epoch(id, epoch), codec::encode(row));
                core.epochs.insert(*epoch, row.clone());
            }
        }
    }

    /// Whoever comes back continues its own chain from what the relay has of it.
    fn reset_own_chain(&self, space: &mut SpaceState) {
        let (Some(me), Some(core)) = (&self.me, &space.core) else { return };
        if space.row.cut_by == 0 {
            space.row.cut_by = me.writer.incarnation;
        }
        let tip = core.tips.tip(&WriterId { incarnation: space.row.cut_by, ..me.writer });
        if tip.seq > space.row.cut.0 {
            space.row.cut = (tip.seq, tip.link);
        }
        space.row.stored = space.row.stored.max(tip.seq);
    }

    pub(super) fn random_space(&mut self) -> SpaceId {
        let mut id = [0; 32];
        self.rng.fill_bytes(&mut id);
        SpaceId::from_bytes(id)
    }
}

/// The state of whoever comes into a group, until the log is read up to where it came in.
fn arriving(group: &Group, epoch: EpochId, grant: &Grant, before: Vec<WriterRow>) -> StateRow {
    // From its start, the log itself says who could write when.
    let from_start = grant.from == 0;
    let mut writers = Vec::new();
    if !from_start {
        writers.extend(group.leaves().iter().map(|leaf| WriterRow {
            device: leaf.device,
            account: leaf.account,
            key: leaf.signing_key,
            from: grant.from,
            to: None,
        }));
        // Whoever comes back still knows who wrote what it read before.
        let named: SortedSet<DeviceId> = writers.iter().map(|known| known.device).collect();
        let others = before.into_iter().filter(|row| !named.contains(&row.device));
        writers.extend(others.map(|row| WriterRow { to: row.to.or(Some(grant.from)), ..row }));
    }
    StateRow {
        writers,
        leavers: grant.leavers.clone(),
        joining: Some(epoch),
        lineage: from_start.then(Lineage::default),
        heads: grant.heads.clone(),
        ..StateRow::default()
    }
}
