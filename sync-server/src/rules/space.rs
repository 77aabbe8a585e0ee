//! What may enter a space's log (`docs/protocol.md`, "Push").
//!
//! Each envelope is judged alone, in order; the first refused one ends the push, and what came
//! before it stays.

use std::sync::Arc;

use sync_protocol::codec::Blob;
use sync_protocol::envelope::{CommitHeader, Envelope, Intent, Kind};
use sync_protocol::error::Rejection;
use sync_protocol::frames::{Run, WelcomeFor, Welcomes};
use sync_protocol::frontier::{Step, Tip};
use sync_protocol::ids::{AccountId, EpochId, SpaceId, WriterId};
use sync_protocol::roster::{Role, Roster, RosterChange};

use crate::rules::command::{AccountDevice, Action, Command, InboxFrom, Sealed};
use crate::rules::rows::{self, RosterRow, SpaceRow, TicketRow, TipRow, key2, numbered};
use crate::rules::state::State;
use crate::rules::welcomes;
use crate::rules::{Effect, Fault};
use crate::rules::{activity, cuts, ends, log};
use crate::store::{Store, StoreError, Table};

/// What an entry takes in the store beside its envelope: its key, its place in the index, its share
/// of pages.
const ENTRY: u64 = 128;
/// What a space takes beside its entries: its own rows, and those of a writer.
const SPACE: u64 = 512;
/// What a member takes, in the space's rows and in its account's.
const MEMBER: u64 = 320;
/// What a register takes beside its entry.
const REGISTER: u64 = 64;
/// What a ticket, and what all ways in have alike, take beside their bytes; and each way in.
const LEFT: u64 = 64;
const WAY_IN: u64 = 320;

/// A space as the rules see it.
#[derive(Clone, Debug)]
pub struct Space {
    pub(super) row: SpaceRow,
    pub(super) members: Arc<RosterRow>,
    /// The newest row of its index.
    pub(super) tail: Vec<u8>,
    /// Whether its rows are not written yet.
    pub(super) is_changed: bool,
}

impl Space {
    /// The log's generation.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.row.generation
    }

    /// The lowest index still there, and the index after the newest.
    #[must_use]
    pub fn bounds(&self) -> (u64, u64) {
        (self.row.floor, self.row.head)
    }

    /// The newest entry's global position.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.row.position
    }

    /// Whether an account is a member.
    #[must_use]
    pub fn has(&self, account: &AccountId) -> bool {
        self.members.roster.role(account).is_some()
    }

    /// Whether an account is a member that may push: one that did not say that it leaves.
    #[must_use]
    pub fn may_push(&self, account: &AccountId) -> bool {
        self.has(account) && !self.members.leavers.contains(account)
    }

    /// All member accounts, sorted.
    pub fn members(&self) -> impl Iterator<Item = AccountId> + '_ {
        self.members.roster.iter().map(|(account, _)| account)
    }
}

/// What a push did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pushed {
    /// Where.
    pub space: SpaceId,
    /// Who pushed.
    pub writer: WriterId,
    /// The log's generation.
    pub generation: u64,
    /// What is stored: entries appended now, and those that were there already.
    pub runs: Vec<Run>,
    /// The index of the first entry appended now.
    pub first: u64,
    /// The index after the last one.
    pub end: u64,
    /// Accounts that can read from an index on.
    pub added: Vec<(AccountId, u64)>,
    /// Accounts that can read up to an index, no further.
    pub removed: Vec<(AccountId, u64)>,
    /// Bytes that the store keeps of what was appended now, with what came along.
    pub bytes: u64,
    /// Handshakes among what was appended now.
    pub handshakes: u64,
    /// The refused envelope's number and why.
    pub refused: Option<(u64, Rejection)>,
}

impl Pushed {
    fn nothing(space: SpaceId, writer: WriterId) -> Self {
        Self {
            space,
            writer,
            generation: 0,
            runs: Vec::new(),
            first: 0,
            end: 0,
            added: Vec::new(),
            removed: Vec::new(),
            bytes: 0,
            handshakes: 0,
            refused: None,
        }
    }
}

/// One push under way.
struct Pusher<'a, S> {
    state: &'a mut State<S>,
    id: SpaceId,
    account: AccountId,
    writer: WriterId,
    number: Option<u32>,
    time_ms: u64,
    done: Pushed,
    /// What the push's handshake leaves behind beside its entry.
    extras: Option<(Option<Welcomes>, Option<Blob>)>,
}

pub(super) fn apply_space<S: Store>(
    state: &mut State<S>,
    command: Command,
) -> Result<Effect, Fault> {
    let time_ms = command.time_ms;
    match command.action {
        Action::Push { space, account, writer, envelopes, welcomes, ticket } => {
            // Who is refused leaves nothing behind: a number is given with the first entry.
            let number = state.known_number(&writer)?;
            let done = Pushed::nothing(space, writer);
            let extras = Some((welcomes, ticket));
            let mut push =
                Pusher { state, id: space, account, writer, number, time_ms, done, extras };
            push.run(envelopes)?;
            Ok(Effect::Pushed(push.done))
        }
        Action::Reserve { space, account } => {
            if state.space(&space)?.is_none() {
                let row = rows::encode(&account);
                state.store_mut().put(Table::Reservations, space.as_bytes(), row);
            }
            Ok(Effect::Done)
        }
        Action::EndSpace { space } => ends::end_space(state, &space, time_ms),
        Action::LeaveSpace { space, account } => {
            ends::leave_space(state, &space, &account, time_ms)
        }
        Action::Sweep { swept } => ends::sweep(state, &swept),
        Action::TakeWelcome { space, index } => {
            welcomes::take(state, &space, index)?;
            Ok(Effect::Done)
        }
        _ => Err(Rejection::Invalid.into()),
    }
}

impl<S: Store> State<S> {
    /// The newest ticket left with a handshake, and that handshake's index.
    ///
    /// # Errors
    /// If the store fails.
    pub fn ticket(&self, space: &SpaceId) -> Result<Option<(Blob, u64)>, StoreError> {
        let row = self.store().row(Table::Tickets, space.as_bytes())?;
        let row = row.map(|row| rows::decode::<TicketRow>("ticket", &row)).transpose()?;
        Ok(row.map(|row| (row.ticket, row.index)))
    }
}

impl<S: Store> Pusher<'_, S> {
    fn run(&mut self, envelopes: Vec<Sealed>) -> Result<(), StoreError> {
        let mut space = self.state.take_space(&self.id)?;
        self.done.first = space.as_ref().map_or(0, |space| space.row.head);
        for sealed in envelopes {
            let seq = sealed.seq();
            match self.one(&mut space, sealed) {
                Ok(()) => {}
                Err(Fault::Rejected(reason)) => {
                    self.done.refused = Some((seq, reason));
                    break;
                }
                Err(Fault::Store(error)) => return Err(error),
            }
        }
        self.done.end = space.as_ref().map_or(0, |space| space.row.head);
        if let Some(mut space) = space {
            self.done.generation = space.row.generation;
            if self.done.end > self.done.first {
                space.is_changed = true;
                activity::note(self.state, &self.id, &space, !self.done.added.is_empty());
            }
            self.state.spaces_mut().keep(self.id, space);
        }
        Ok(())
    }

    fn one(&mut self, space: &mut Option<Space>, sealed: Sealed) -> Result<(), Fault> {
        let (kind, intent) = (sealed.envelope().header.kind, sealed.envelope().header.intent);
        if kind == Kind::Handshake {
            let commit = sealed.envelope().commit().map_err(|_| Rejection::Invalid)?;
            let founds = commit.parent == EpochId::NONE || commit.number == 0;
            if founds {
                return self.found(space, sealed, &commit);
            }
            let space = self.present(space)?;
            self.may_push(space)?;
            return self.handshake(space, sealed, &commit);
        }
        let space = self.present(space)?;
        self.may_push(space)?;
        match (kind, intent) {
            (Kind::Content, _) => self.content(space, sealed),
            (Kind::Intent, Some(Intent::Leave)) => self.leaver(space, sealed),
            (Kind::Register, _) => self.register(space, sealed),
            _ => Err(Rejection::Invalid.into()),
        }
    }

    fn present<'s>(&self, space: &'s mut Option<Space>) -> Result<&'s mut Space, Fault> {
        match space {
            Some(space) => Ok(space),
            None if ends::is_deleted(self.state, &self.id)? => Err(Rejection::Denied.into()),
            None => Err(Rejection::NotFound.into()),
        }
    }

    fn may_push(&self, space: &Space) -> Result<(), Rejection> {
        if space.may_push(&self.account) { Ok(()) } else { Err(Rejection::Denied) }
    }

    /// Whether its author has read every handshake, and no more than there is.
    ///
    /// Content may claim more: it comes so from an honest author, if this log lost its end. For its
    /// author's own sake it is judged by its chain. What keeps others waiting may not, unless it is
    /// known that logs lost their ends here, and what stood there comes back.
    fn seen_all_handshakes(&self, space: &Space, sealed: &Sealed) -> Result<(), Fault> {
        let header = &sealed.envelope().header;
        let may_claim_more = header.kind == Kind::Content || self.state.was_put_back;
        if !may_claim_more && header.cursor > space.row.head {
            return Err(Rejection::Ahead { head: space.row.head }.into());
        }
        match space.row.handshakes.checked_sub(1) {
            Some(index) if header.cursor <= index && !self.comes_back(space, index, sealed)? => {
                Err(Rejection::Behind { index }.into())
            }
            _ => Ok(()),
        }
    }

    /// Whether a handshake follows the newest one where logs lost their ends: both stood in the log
    /// once, and the first of them may stand further on by now.
    fn comes_back(&self, space: &Space, index: u64, sealed: &Sealed) -> Result<bool, StoreError> {
        let header = &sealed.envelope().header;
        if !self.state.was_put_back || header.kind != Kind::Handshake {
            return Ok(false);
        }
        let newest = crate::rules::log::envelope_at(self.state, space, index)?;
        let child = Envelope::parse(&newest).ok().and_then(|newest| newest.header.child);
        Ok(child == Some(header.epoch))
    }

    /// Who lets a device into the account's own space gives it the account's documents as they are
    /// at the author's cursor: what came after that, and before the commit, the device could neither
    /// find there nor read. So there is nothing between, or the author reads on.
    fn nothing_between(
        &self,
        space: &Space,
        sealed: &Sealed,
        commit: &CommitHeader,
    ) -> Result<(), Rejection> {
        let lets_in = commit.roster.iter().any(|change| match change {
            RosterChange::AddDevices { devices, .. } => {
                devices.iter().any(|device| *device != self.writer.device)
            }
            _ => false,
        });
        let head = space.row.head;
        let behind = self.account.space() == self.id && sealed.envelope().header.cursor < head;
        match lets_in && behind {
            true => Err(Rejection::Behind { index: head.saturating_sub(1) }),
            false => Ok(()),
        }
    }

    fn found(
        &mut self,
        space: &mut Option<Space>,
        sealed: Sealed,
        commit: &CommitHeader,
    ) -> Result<(), Fault> {
        if space.is_some() {
            return Err(Rejection::Taken.into());
        }
        let alone = match commit.roster.as_slice() {
            [RosterChange::Add { account, role: Role::Admin, devices }] => {
                *account == self.account && devices.as_slice() == [self.writer.device]
            }
            _ => false,
        };
        if !alone || commit.parent != EpochId::NONE || commit.number != 0 {
            return Err(Rejection::Invalid.into());
        }
        let is_anothers = self.owner()?.is_some_and(|owner| owner != self.account);
        if is_anothers || ends::is_deleted(self.state, &self.id)? {
            return Err(Rejection::Denied.into());
        }
        let roster = Roster::founded_by(self.account);
        let mut founded = Space {
            row: SpaceRow {
                number: self.state.spaces_mut().number(),
                generation: self.state.identity().generation,
                floor: 0,
                head: 0,
                time_ms: self.time_ms,
                handshakes: 0,
                position: 0,
            },
            members: Arc::new(RosterRow { roster, ..RosterRow::default() }),
            tail: Vec::new(),
            is_changed: true,
        };
        self.put_roster(&founded);
        self.set_membership(self.account, 0, None);
        self.done.bytes += SPACE;
        self.decide(&mut founded, sealed)?;
        *space = Some(founded);
        Ok(())
    }

    /// Whose own space this is, if it is one.
    fn owner(&self) -> Result<Option<AccountId>, StoreError> {
        if self.account.space() == self.id {
            return Ok(Some(self.account));
        }
        let row = self.state.store().row(Table::Reservations, self.id.as_bytes())?;
        row.map(|row| rows::decode("reservation", &row)).transpose()
    }

    fn handshake(
        &mut self,
        space: &mut Space,
        sealed: Sealed,
        commit: &CommitHeader,
    ) -> Result<(), Fault> {
        self.seen_all_handshakes(space, &sealed)?;
        let before = &space.members;
        let roster = before.roster.after(&self.account, &commit.roster, &before.leavers);
        let roster = roster.map_err(|_| Rejection::Denied)?;
        self.nothing_between(space, &sealed, commit)?;
        cuts::judge(self.state, space, commit, sealed.envelope().header.cursor)?;
        if roster.len() > self.state.allowed().leaves {
            return Err(Rejection::Quota.into());
        }
        if roster != before.roster {
            let index = space.row.head;
            let was = Arc::clone(before);
            let stay = was.unanswered.iter().filter(|(added, _)| roster.role(added).is_some());
            let mut unanswered: Vec<_> = stay.copied().collect();
            for (account, _) in roster.iter().filter(|(a, _)| was.roster.role(a).is_none()) {
                unanswered.push((account, self.account));
                self.set_membership(account, index, None);
                self.done.added.push((account, index));
            }
            for (account, _) in was.roster.iter().filter(|(a, _)| roster.role(a).is_none()) {
                self.set_membership(account, index, Some(index + 1));
                self.done.removed.push((account, index + 1));
                ends::forget_member(self.state, &self.id, &account);
            }
            let leavers = was.leavers.iter().filter(|leaver| roster.role(leaver).is_some());
            let leavers = leavers.copied().collect();
            space.members = Arc::new(RosterRow { roster, leavers, unanswered });
            self.put_roster(space);
        }
        Ok(self.decide(space, sealed)?)
    }

    /// Appends a handshake, and leaves the ways in and the ticket that came with it.
    fn decide(&mut self, space: &mut Space, sealed: Sealed) -> Result<(), StoreError> {
        let index = space.row.head;
        self.append(space, sealed, 0)?;
        self.done.handshakes += 1;
        space.row.handshakes = space.row.head;
        if let Some((welcomes, ticket)) = self.extras.take() {
            self.leave(index, welcomes, ticket);
        }
        Ok(())
    }

    fn content(&mut self, space: &mut Space, sealed: Sealed) -> Result<(), Fault> {
        let chain = sealed.envelope().header.chain.ok_or(Rejection::Invalid)?;
        let known = match self.number {
            Some(number) => self.state.tip(space.row.number, number)?,
            None => None,
        };
        let tip = known.map_or(Tip::START, |row| row.tip);
        match tip.judge(&self.writer, chain.seq, &chain.commitment, &chain.link) {
            Step::Next => {}
            Step::Known => {
                if let Some(row) = known {
                    let TipRow { tip, index, time_ms } = row;
                    self.done.runs.push(Run { seq: tip.seq, index, count: 1, time_ms });
                }
                return Ok(());
            }
            Step::Gap => return Err(Rejection::Gap { have: tip.seq }.into()),
            Step::Equivocation | Step::Broken => return Err(Rejection::Equivocation.into()),
        }
        self.seen_all_handshakes(space, &sealed)?;
        if known.is_none() {
            let written = cuts::writers_in(self.state, space.row.number, &self.writer.device)?;
            if written >= self.state.allowed().writers {
                return Err(Rejection::Quota.into());
            }
        }
        self.answers(space);
        let index = space.row.head;
        let number = self.append(space, sealed, chain.seq)?;
        let tip = Tip { seq: chain.seq, link: chain.link };
        let row = TipRow { tip, index, time_ms: space.row.time_ms };
        self.state.spaces_mut().put_tip((space.row.number, number), row);
        Ok(())
    }

    /// Who writes in a space has answered whoever put it there.
    fn answers(&mut self, space: &mut Space) {
        let account = self.account;
        if !space.members.unanswered.iter().any(|(added, _)| *added == account) {
            return;
        }
        let mut members = RosterRow::clone(&space.members);
        members.unanswered.retain(|(added, _)| *added != account);
        space.members = Arc::new(members);
        self.put_roster(space);
        let index = space.row.head;
        let action = Action::Answer { account, space: self.id, index };
        self.state.put_fact(self.time_ms, action);
    }

    fn leaver(&mut self, space: &mut Space, sealed: Sealed) -> Result<(), Fault> {
        self.seen_all_handshakes(space, &sealed)?;
        self.answers(space);
        let mut members = RosterRow::clone(&space.members);
        members.leavers.push(self.account);
        members.leavers.sort_unstable();
        if members.roster.iter().all(|(account, _)| members.leavers.contains(&account)) {
            self.desert(&mut members, space.row.head + 1);
        }
        space.members = Arc::new(members);
        self.put_roster(space);
        self.append(space, sealed, 0)?;
        Ok(())
    }

    /// Everybody leaves, so nobody stays who could remove them.
    fn desert(&mut self, members: &mut RosterRow, until: u64) {
        let RosterRow { roster, .. } = std::mem::take(members);
        for (account, _) in roster.iter() {
            self.set_membership(account, until.saturating_sub(1), Some(until));
            self.done.removed.push((account, until));
        }
    }

    /// A register is delivered like content; the newest of a writer and key is the one that counts.
    fn register(&mut self, space: &mut Space, sealed: Sealed) -> Result<(), Fault> {
        let key = sealed.envelope().header.register.ok_or(Rejection::Invalid)?;
        self.seen_all_handshakes(space, &sealed)?;
        let index = rows::encode(&space.row.head);
        let number = self.append(space, sealed, 0)?;
        let at = key2(&numbered(space.row.number, number), &key.to_be_bytes());
        self.state.store_mut().put(Table::Registers, &at, index);
        self.done.bytes += REGISTER;
        Ok(())
    }

    /// Appends an entry. Gives its writer's number, which the first one is given.
    fn append(&mut self, space: &mut Space, sealed: Sealed, seq: u64) -> Result<u32, StoreError> {
        let number = match self.number {
            Some(number) => number,
            None => self.state.number(&self.writer)?,
        };
        self.number = Some(number);
        space.row.time_ms = space.row.time_ms.max(self.time_ms);
        let (index, time_ms) = (space.row.head, space.row.time_ms);
        self.done.bytes += sealed.bytes().len() as u64 + ENTRY;
        log::append(self.state, space, number, sealed.into_bytes());
        add_run(&mut self.done.runs, Run { seq, index, count: 1, time_ms });
        Ok(number)
    }

    fn put_roster(&mut self, space: &Space) {
        let row = rows::encode(&*space.members);
        self.state.store_mut().put(Table::Rosters, self.id.as_bytes(), row);
    }

    /// An account is in the space from an entry on, or no more. It reads from there on, or up to there.
    fn set_membership(&mut self, account: AccountId, index: u64, until: Option<u64>) {
        let by = Some(self.account).filter(|by| until.is_none() && *by != account);
        if until.is_none() {
            self.done.bytes += MEMBER;
        }
        let from = if until.is_none() { index } else { 0 };
        let action = Action::SetMembership { account, space: self.id, from, until, by, index };
        self.state.put_fact(self.time_ms, action);
    }

    fn leave(&mut self, index: u64, welcomes: Option<Welcomes>, ticket: Option<Blob>) {
        let Welcomes { common, items } = welcomes.unwrap_or_default();
        let items_bytes: usize = items.iter().map(|one| one.item.0.len()).sum();
        let ticket_bytes = ticket.as_ref().map_or(0, |ticket| ticket.0.len());
        self.done.bytes += (common.0.len() + items_bytes + ticket_bytes) as u64;
        self.done.bytes += 2 * LEFT + items.len() as u64 * WAY_IN;
        let handshake = Some((self.id, index));
        let (account, device) = (self.account, self.writer.device);
        let from = InboxFrom { account, device, handshake, common: common.0.len() as u64 };
        welcomes::keep(self.state, &self.id, index, common, items.len());
        for WelcomeFor { account, device, item } in items {
            let device = AccountDevice { account, device };
            let action = Action::PutInbox { device, from, item };
            self.state.put_fact(self.time_ms, action);
        }
        if let Some(ticket) = ticket {
            let row = rows::encode(&TicketRow { index, ticket });
            self.state.store_mut().put(Table::Tickets, self.id.as_bytes(), row);
        }
    }
}

/// Adds a run, as part of the one before if it goes on where that ends.
pub(crate) fn add_run(runs: &mut Vec<Run>, run: Run) {
    match runs.last_mut() {
        Some(last)
            if last.seq > 0
                && last.time_ms == run.time_ms
                && (last.seq + last.count, last.index + last.count) == (run.seq, run.index) =>
        {
            last.count += run.count;
        }
        _ => runs.push(run),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_join_only_where_one_goes_on_where_the_other_ends() {
        let run = |seq, index, count, time_ms| Run { seq, index, count, time_ms };
        let mut runs = vec![run(1, 10, 2, 5)];
        add_run(&mut runs, run(3, 12, 1, 5));
        assert_eq!(runs, [run(1, 10, 3, 5)]);
        // Somebody else's entry between them, a later time, a handshake.
        add_run(&mut runs, run(4, 14, 1, 5));
        add_run(&mut runs, run(5, 15, 1, 6));
        add_run(&mut runs, run(0, 16, 1, 6));
        add_run(&mut runs, run(0, 17, 1, 6));
        assert_eq!(runs.len(), 5);
    }
}
