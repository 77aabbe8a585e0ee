//! Being let into a space: invitations out, invitations in, and the key packages they need.

use rand_core::Rng;
use sync_protocol::codec::{self, Blob};
use sync_protocol::frames::{InboxItem, Op};
use sync_protocol::frontier::Tip;
use sync_protocol::sorted::SortedSet;
use sync_protocol::{AccountId, DeviceId, EpochId, SpaceId, WriterId, hash};
use tracing::debug;

use crate::api::{ConversationChange, Event, Failure};
use crate::document::{Name, contacts};
use crate::engine::documents::eras::Eras;
use crate::engine::documents::segment_said;
use crate::engine::members::commits::fresh_row;
use crate::engine::members::welcome::{self, Invitation, Reader, Unfit, Word};
use crate::engine::rooms::{Invitations, MemberRows};
use crate::engine::rows::{EpochRow, Grant, Intention, InvitedRow, NOT_SHOWN, StateRow, WriterRow};
use crate::engine::session::Asked;
use crate::engine::space::state::{Core, SpaceState};
use crate::engine::{Step, Stop, Task};
use crate::group::{Group, Joined};
use crate::records::{Load, key};
use crate::trust::{Invalid, Lineage, Rights};

/// A space to be settled into, by invitation or by ticket.
pub(in crate::engine) struct Arrival {
    pub(in crate::engine) id: SpaceId,
    /// The epoch in which this device is in.
    pub(in crate::engine) epoch: EpochId,
    pub(in crate::engine) grant: Grant,
    pub(in crate::engine) group: Group,
    /// [`Group::binding`] of the group.
    pub(in crate::engine) binding: [u8; 32],
    pub(in crate::engine) invited_by: Option<AccountId>,
    /// Whether the epoch is after all that the account knew of the space.
    pub(in crate::engine) ahead: bool,
    /// The first era that this device can read from its beginning.
    pub(in crate::engine) whole_from: u32,
}

impl Invitations<'_> {
    /// The account's documents as they are, for a device that may not read how they came to be. The
    /// vault is not among them.
    pub(in crate::engine) fn shared_documents(&mut self, id: &SpaceId) -> Step<Vec<(Name, Blob)>> {
        let names = self.spaces.space(id)?.row.documents.clone();
        let mut documents = Vec::new();
        // What apps share is handed over by the log, as to everybody.
        let is_given =
            |name: &Name| !matches!(name, Name::Vault(_) | Name::App(..) | Name::Carried(_));
        for name in names.into_iter().filter(is_given) {
            let document = self.documents.document(self.spaces, id, &name)?;
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
    pub(in crate::engine) fn take_invitations(&mut self) -> Step<()> {
        self.enter_own_space()?;
        while self.account.is_settled(self.spaces)
            && let Some(item) = self.session.next_invitation()
        {
            if self.session.is_new(&item) {
                match self.join(&item) {
                    Err(Stop::Need(need)) => {
                        self.session.put_back_invitation(item);
                        return Err(Stop::Need(need));
                    }
                    // Somebody's item that makes no sense is dropped: it is theirs to send a good
                    // one.
                    Err(Stop::Fail(why)) => {
                        debug!(from = ?item.account, number = item.number, %why, "an item is dropped");
                    }
                    Ok(()) => {}
                }
                self.session.has_taken(self.turn, item.number);
            }
            if self.session.is_open() {
                self.session.ask(self.turn, Op::AckInbox { number: item.number }, Asked::AckInbox);
            }
        }
        self.session.keep_cursor(self.turn, self.spaces);
        self.tickets().seek();
        Ok(())
    }

    /// Comes into the account's own space, if something in the inbox leads there.
    fn enter_own_space(&mut self) -> Step<()> {
        let own = self.account.me()?.account().space();
        if self.spaces.get(&own).is_some_and(|space| space.row.active) {
            return Ok(());
        }
        let leads = |item: &&InboxItem| welcome::leads_to(item) == Some(own);
        let items: Vec<InboxItem> = self.session.invitations().filter(leads).cloned().collect();
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
        if self.account.keys.private().is_none() {
            return Err(Load::KeyPackages.into());
        }
        let blocked = self.is_blocked(&item.account)?;
        let me = self.account.me()?;
        let reader = Reader { device: me.device(), hpke: &me.row().hpke };
        let Word { invitation, mut common, grant } = welcome::read(item, &reader)?;
        let grant = grant.believed();
        let id = invitation.space;
        if self.spaces.contains_key(&id) {
            let space = self.spaces.core(&id)?;
            if space.row.active {
                self.member_rows().keep_for_later(&id, &invitation.epoch, item);
                return Ok(());
            }
        }
        self.contacts().complete_logs(&mut common.logs, &common.named)?;
        self.contacts().prove_heads(&grant.heads)?;
        let logs = self.people.prove_all(&common.logs)?;
        let seed = self.member_rows().seed_for_join(item);
        let Some(key_packages) = self.account.keys.private() else {
            return Err(Load::KeyPackages.into());
        };
        let joined = Group::join(id, common.welcome.as_slice(), key_packages, seed);
        let joined = joined.map_err(Unfit::Group)?;
        let binding = joined.group.binding(self.account.me()?.identity()).map_err(Unfit::Group)?;
        let first = grant.epochs.iter().min_by_key(|(_, row)| row.number);
        let first = first.filter(|_| grant.from == 0).map(|(_, row)| Blob(row.root.to_vec()));
        let complete = first.is_some();
        if self.is_outdated(&id, item, complete) {
            self.turn.unsaved.account = true;
            if let Some(me) = self.account.own_mut() {
                me.row_mut().first = first;
            }
            return Ok(());
        }
        if self.spaces.get(&id).is_some_and(|space| space.was_past(joined.group.epoch())) {
            return Err(self.member_rows().not_believed(&id, Invalid::Older).into());
        }
        let Some(ahead) = self.may_join(&invitation, &joined, &binding, &logs, item)? else {
            return Ok(());
        };
        let own = self.account.is_own(&item.account);
        let grant = Grant { documents: if own { grant.documents } else { Vec::new() }, ..grant };
        self.contacts().learn_logs(logs);
        for hint in grant.people.iter().take(sync_protocol::limits::LEAVES) {
            self.contacts().learn_hint(hint);
        }
        self.enter(&invitation, item.account, grant, (joined, binding, ahead));
        if let Some(me) = self.account.own_mut()
            && me.account().space() == id
            && complete
        {
            (me.row_mut().complete, me.row_mut().first) = (true, first);
            self.turn.unsaved.account = true;
        }
        if blocked {
            self.member_rows().intend(&id, Intention::Leave);
        }
        self.fetching().mark_lagging(&id);
        let change = ConversationChange::Joined;
        self.turn.notify(Event::Conversation { conversation: id, change });
        Ok(())
    }

    /// Whether this account wants nothing of another.
    fn is_blocked(&mut self, account: &AccountId) -> Step<bool> {
        let own = self.account.me()?.account().space();
        if !self.spaces.contains_key(&own) {
            return Ok(false);
        }
        let contact = contacts::contact(
            self.documents.document(self.spaces, &own, &Name::Contacts)?,
            account,
        );
        Ok(contact.is_some_and(|contact| contact.blocked))
    }

    /// This account was removed, and put back before it knew.
    pub(in crate::engine) fn rejoin(&mut self, id: &SpaceId) -> Step<()> {
        let Some(invited) =
            self.spaces.core(id)?.core.as_ref().and_then(|c| c.state.invited.clone())
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

    fn enter(
        &mut self,
        invitation: &Invitation,
        by: AccountId,
        grant: Grant,
        (joined, binding, ahead): (Joined, [u8; 32], bool),
    ) {
        let Joined { group, used, .. } = joined;
        self.own_packages().drop_key_packages(&used);
        let (id, epoch) = (invitation.space, invitation.epoch);
        let invited_by = Some(by).filter(|by| !self.account.is_own(by));
        // Without history the commit began an era, if anything was written before.
        let whole_from = if grant.epochs.is_empty() { group.context().era } else { 0 };
        self.settle_in(Arrival { id, epoch, grant, group, binding, invited_by, whole_from, ahead });
        self.turn.tasks.push_back(Task::Inviter(id));
    }

    /// Takes a place in a space, to read on from where the grant says.
    pub(in crate::engine) fn settle_in(&mut self, arrival: Arrival) {
        let Arrival { id, epoch, grant, mut group, binding, invited_by, whole_from, ahead } =
            arrival;
        let own = self.account.me().is_ok_and(|me| me.account().space() == id);
        let context = group.context().clone();
        let mut space = match self.spaces.remove(&id) {
            Some(before) => before,
            None => Box::new(SpaceState::new(id, fresh_row(own, context.clone(), epoch))),
        };
        let mut core = space.core.take().unwrap_or_default();
        let root = *group.root();
        let era = context.era;
        let joined = EpochRow { number: group.epoch(), index: NOT_SHOWN, root, binding, era };
        // Known to be where the log is once that was read.
        space.row.commitment = None;
        self.member_rows().learn_epochs(&id, &mut core, (epoch, joined), &grant);
        let before = std::mem::take(&mut core.state.writers);
        let abandoned = std::mem::take(&mut core.state.abandoned);
        core.state = StateRow { ahead, abandoned, ..arriving(&group, epoch, &grant, before) };
        self.read_anew(&mut space, &mut core);
        let device = self.account.own().map(|me| me.device());
        for (writer, seq, link) in grant.frontier {
            // What this device has written it knows itself, or finds in the log.
            if Some(writer.device) == device || core.state.told.contains(&writer) {
                continue;
            }
            core.tips.advance(writer, Tip { seq, link });
            core.state.told.push(writer);
            self.turn.unsaved.writers.insert((id, writer));
        }
        let diff = group.diff();
        self.turn.batch.clears.push(key::group(&id));
        self.turn.batch.absorb(&key::group(&id), diff);
        let segment = segment_said(grant.segment, grant.from, context.era);
        space.row.segment = space.row.segment.max(segment);
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
            self.turn.tasks.push_back(Task::Names(id, 0));
        }
        for (name, snapshot) in grant.documents {
            self.turn.batch.put(key::snapshot(&id, &name), snapshot.0);
            if space.row.lists(&name) {
                self.turn.batch.put(key::named(&id, &name), Vec::new());
            }
        }
        space.recent.clear();
        space.in_session.deliveries.clear();
        space.footing.reads_anew();
        // Of a membership that is over.
        (space.in_session.problem, space.in_session.behind) = (None, None);
        space.in_session.fetch.lapse();
        space.core = Some(core);
        space.group = Some(group);
        self.reset_own_chain(&mut space);
        self.spaces.insert(id, space);
        self.turn.save_space(&id);
        self.turn.save_state(&id);
    }

    /// Where the log is read from and how far each writer was read are one thing: a device that
    /// reads from another place knows nothing of what others wrote beyond it. What it has taken in
    /// already comes to the same a second time; what it had to pass over, it can open now.
    pub(in crate::engine) fn read_anew(&mut self, space: &mut SpaceState, core: &mut Core) {
        let own =
            self.account.own().map(|me| WriterId { incarnation: space.row.cut_by, ..me.writer() });
        self.content_rows().forget_read(&space.id, core);
        let read = std::mem::take(&mut core.tips);
        for (writer, tip) in read.iter() {
            if Some(*writer) == own {
                core.tips.advance(*writer, *tip);
            } else {
                self.turn.batch.delete(key::writer(&space.id, writer));
            }
            space.reached.advance(*writer, *tip);
        }
    }

    /// Whoever comes back continues its own chain from what the relay has of it.
    fn reset_own_chain(&self, space: &mut SpaceState) {
        let (Some(me), Some(core)) = (self.account.own(), &space.core) else { return };
        if space.row.cut_by == 0 {
            space.row.cut_by = me.writer().incarnation;
        }
        let tip = core.tips.tip(&WriterId { incarnation: space.row.cut_by, ..me.writer() });
        if tip.seq > space.row.cut.0 {
            space.row.cut = (tip.seq, tip.link);
        }
        space.row.stored = space.row.stored.max(tip.seq);
    }
}

impl MemberRows<'_> {
    fn keep_for_later(&mut self, id: &SpaceId, epoch: &EpochId, item: &InboxItem) {
        let Some(space) = self.spaces.get_mut(id) else { return };
        let (Some(core), roster) = (&mut space.core, &space.row.context.roster) else { return };
        // Only who may add somebody can mean it: the word of one who may do less replaces nobody's.
        let may = |of: &AccountId| roster.role(of);
        let is_less =
            core.state.invited.as_ref().is_some_and(|kept| may(&item.account) < may(&kept.account));
        if is_less || core.epochs.contains_key(epoch) {
            return;
        }
        let (account, device) = (item.account, item.device);
        let (item, common) = (item.item.clone(), item.common.clone());
        core.state.invited = Some(InvitedRow { account, device, item, common });
        self.turn.save_state(id);
    }

    /// Joining draws no secret that others depend on: the item itself is seed enough to keep
    /// engines apart, and a retry after a load comes to the same.
    fn seed_for_join(&self, item: &InboxItem) -> [u8; 32] {
        hash::hash(hash::INBOX, &[item.item.as_slice()])
    }

    fn learn_epochs(
        &mut self,
        id: &SpaceId,
        core: &mut Core,
        (epoch, joined): (EpochId, EpochRow),
        grant: &Grant,
    ) {
        self.turn.batch.put(key::epoch(id, &epoch), codec::encode(&joined));
        core.epochs.insert(epoch, joined);
        for (epoch, row) in &grant.epochs {
            if core.epochs.contains_key(epoch) {
                continue;
            }
            let mut row = row.clone();
            if grant.from == 0 {
                // Where it stands is somebody's word: the log is read from its start, and tells.
                row.index = NOT_SHOWN;
            }
            self.turn.batch.put(key::epoch(id, epoch), codec::encode(&row));
            core.epochs.insert(*epoch, row);
        }
    }

    pub(in crate::engine) fn random_space(&mut self) -> SpaceId {
        let mut id = [0; 32];
        self.turn.rng.fill_bytes(&mut id);
        SpaceId::from_bytes(id)
    }
}

impl Grant {
    /// What is believed of it. It speaks of keys and places: where the log is read from its start, that
    /// says all of others; and who reads from elsewhere is given no keys of the past.
    pub(super) fn believed(mut self) -> Self {
        if self.from == 0 {
            (self.frontier, self.log_hash) = (Vec::new(), [0; 32]);
            (self.leavers, self.heads) = (Vec::new(), Vec::new());
        } else {
            self.epochs.clear();
        }
        self
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
    }
    // Whoever comes back still knows who wrote what it read before. Where the log is read from its
    // start that is all it says: nobody could write anywhere, until the log shows it.
    let mut named: SortedSet<DeviceId> = writers.iter().map(|known| known.device).collect();
    let others = before.into_iter().filter(|row| match from_start {
        true => named.insert(row.device),
        false => !named.contains(&row.device),
    });
    writers.extend(others.map(|row| match from_start {
        true => WriterRow { from: 0, to: Some(0), ..row },
        false => WriterRow { to: row.to.or(Some(grant.from)), ..row },
    }));
    let mut rights = Rights::default();
    if !from_start {
        rights.note(grant.from, &group.context().roster);
    }
    StateRow {
        writers,
        rights,
        leavers: grant.leavers.clone(),
        joining: Some(epoch),
        lineage: from_start.then(Lineage::default),
        heads: grant.heads.clone(),
        ..StateRow::default()
    }
}
