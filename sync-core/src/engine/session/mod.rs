//! The session with the relay: what holds for one connection, and what outlives it.

mod connection;
mod invites;
pub(in crate::engine) mod replies;
pub(in crate::engine) mod status;

use std::collections::VecDeque;

use rand_core::Rng;
use sync_protocol::address::Address;
use sync_protocol::codec::Blob;
use sync_protocol::frames::{ClientFrame, InboxItem, MeetStep, Op, Request};
use sync_protocol::ids::{RelayId, RendezvousId};
use sync_protocol::sorted::SortedMap;
use sync_protocol::{AccountId, DeviceId, Rejection, SpaceId, limits};
use tracing::debug;

use crate::api::{AwayView, CommandId, NewAccount, Output, Problem};
use crate::engine::account::Account;
use crate::engine::account::own_log::Wish;
use crate::engine::people::People;
use crate::engine::rows::SessionRow;
use crate::engine::space::Spaces;
use crate::engine::turn::Turn;

const BACKOFF_FIRST_MS: u64 = 250;
const BACKOFF_LAST_MS: u64 = 30_000;
/// The longest pause that a relay is given when it asks for one, in ms.
const PAUSE_LAST_MS: u64 = 60 * 60 * 1000;
/// More items than ever wait in an inbox.
const WAITING: u64 = 4 * limits::INBOX_ITEMS as u64;
/// How often the frontier is reported while entries come in.
const ACK_EVERY_MS: u64 = 2_000;

/// Where the connection stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    /// No account, or told to stay away.
    #[default]
    Away,
    /// To be tried again at this time.
    Waiting(u64),
    /// A socket is being opened.
    Connecting,
    /// The socket is open; the relay's challenge, or its welcome, is due by this time.
    Opening(u64),
    /// The socket is open for a device without an account.
    Visiting,
    /// The session is open.
    Open,
}

/// What a request was for.
#[derive(Clone, Debug)]
pub(in crate::engine) enum Asked {
    Lookup(Address),
    Claim,
    Packages(SpaceId, AccountId),
    /// Key packages, with the records of their private halves.
    PutPackages(Vec<Blob>),
    /// A space's log, by the number of the fetch.
    Fetch(SpaceId, u64),
    /// What stands where a commit of this device is said to be.
    OwnCommit(SpaceId),
    AckInbox,
    /// The account's log, for a device that is none of its devices yet.
    GuestLog,
    /// Whose the address is that an invite names.
    GuestAddress,
    /// The certificate of a device that is being linked.
    Certify(DeviceId),
    /// An entry of the own log.
    Append(Blob, Wish),
    Log(AccountId),
    Seen,
    Spaces,
    Ticket(SpaceId),
    /// An invite, with its code.
    Invite(CommandId, String),
}

/// The session with the relay.
#[derive(Default)]
pub(in crate::engine) struct Session {
    row: SessionRow,
    phase: Phase,
    offline: bool,
    attempts: u32,
    next_request: u64,
    requests: SortedMap<u64, Asked>,
    /// The conversation that the app shows.
    foreground: Option<SpaceId>,
    taken_in: u64,
    /// The newest cursor received, to be kept once all before it is taken in.
    cursor: Option<Blob>,
    /// Items of the inbox not yet taken in.
    inbox: VecDeque<InboxItem>,
    caught_up: bool,
    unacked: bool,
    ack_at: Option<u64>,
    greeted: bool,
    /// The relay at the other end of the socket, by its own word.
    met: Option<RelayId>,
    /// The incarnation that the session was opened by.
    opened_by: u64,
    problem: Option<Problem>,
    address_taken: bool,
    recovery_code: Option<String>,
    sign_up: Option<(CommandId, u64, NewAccount)>,
    /// The account's devices that were away for long, as the relay said last.
    away: Vec<AwayView>,
    /// An account brought back, until the relay has taken that in.
    recovered: Option<(CommandId, NewAccount)>,
    /// The relay's copy of the own log lacks something: the next hello carries the log.
    tells_log: bool,
    /// The length that was told: once is enough.
    told_len: u64,
}

/// A time that many were told alike, and up to half as long again. However long the relay asks for, this
/// device comes back.
pub(in crate::engine) fn jittered(rng: &mut impl Rng, ms: u64) -> u64 {
    let ms = ms.min(PAUSE_LAST_MS);
    ms + rng.next_u64() % (ms / 2 + 1)
}

impl Session {
    pub(in crate::engine) fn meet(
        &self,
        turn: &mut Turn,
        rendezvous: RendezvousId,
        step: MeetStep,
    ) {
        if self.is_up() {
            turn.send(&ClientFrame::Meet { rendezvous, step });
        }
    }

    /// Devices that were away for long, and did not end since.
    pub(in crate::engine) fn away(&self, account: &Account, people: &People) -> Vec<AwayView> {
        let log = account.me().ok().and_then(|me| people.log(&me.account()));
        let active = |view: &&AwayView| log.is_some_and(|log| log.active(&view.device).is_some());
        self.away.iter().filter(active).copied().collect()
    }

    /// Whether something of this device's is between here and the log.
    pub(in crate::engine) fn is_writing_log(&self) -> bool {
        let writes = |asked: &Asked| matches!(asked, Asked::Append(..) | Asked::Certify(_));
        self.requests.values().any(writes)
    }

    pub(in crate::engine) fn is_open(&self) -> bool {
        self.phase == Phase::Open
    }

    /// Nobody waits for the answers to what was asked any more, but for invites.
    pub(in crate::engine) fn forget_requests(&mut self) {
        self.requests.retain(|_, asked| matches!(asked, Asked::Invite(..)));
    }

    /// Whether the relay listens, with a session or without.
    pub(in crate::engine) fn is_up(&self) -> bool {
        matches!(self.phase, Phase::Open | Phase::Visiting)
    }

    pub(in crate::engine) fn caught_up(&self) -> bool {
        self.is_open() && self.caught_up
    }

    pub(in crate::engine) fn deadline(&self) -> Option<u64> {
        let phase = match self.phase {
            Phase::Waiting(at) | Phase::Opening(at) => Some(at),
            _ => None,
        };
        let sign_up = self.sign_up.as_ref().map(|(_, at, _)| *at);
        [phase, sign_up, self.ack_at].into_iter().flatten().min()
    }
}

/// What others ask of it, and tell it.
impl Session {
    /// Takes what was kept of the session.
    pub(in crate::engine) fn read(&mut self, row: SessionRow) {
        self.row = row;
    }

    pub(in crate::engine) fn row(&self) -> &SessionRow {
        &self.row
    }

    /// The incarnation that this device writes by.
    pub(in crate::engine) fn incarnation(&self) -> u64 {
        self.row.incarnation
    }

    /// This device has an account now: it draws whom it writes as.
    pub(in crate::engine) fn begin_to_write(&mut self, turn: &mut Turn) -> u64 {
        self.row.incarnation = turn.nonzero();
        turn.unsaved.session = true;
        self.row.incarnation
    }

    /// Whether the session was opened by this incarnation.
    pub(in crate::engine) fn is_of(&self, incarnation: u64) -> bool {
        self.opened_by == incarnation
    }

    /// Whether something is asked for and not answered yet.
    pub(in crate::engine) fn is_asked(&self, what: impl Fn(&Asked) -> bool) -> bool {
        self.requests.values().any(what)
    }

    /// The app shows this conversation, or none.
    pub(in crate::engine) fn show(&mut self, conversation: Option<SpaceId>) {
        self.foreground = conversation;
    }

    /// Own devices that were away for long. Gives whether that is news.
    pub(in crate::engine) fn set_away(&mut self, away: Vec<AwayView>) -> bool {
        std::mem::replace(&mut self.away, away) != self.away
    }

    /// The relay was put back to before what it had confirmed.
    pub(in crate::engine) fn note_put_back(&mut self, wall_ms: u64) {
        self.row.put_back_ms = Some(wall_ms);
    }

    pub(in crate::engine) fn set_problem(&mut self, problem: Problem) {
        self.problem = Some(problem);
    }

    /// The relay takes something again: if it was full, it is not any more. Gives whether it was.
    pub(in crate::engine) fn is_full_no_more(&mut self) -> bool {
        let full =
            |problem: &mut Problem| matches!(problem, Problem::Space(_, Rejection::Full { .. }));
        self.problem.take_if(full).is_some()
    }

    /// An account was brought back: whoever waits is told once the relay has taken that in.
    pub(in crate::engine) fn await_recovery(&mut self, command: CommandId, account: NewAccount) {
        self.recovered = Some((command, account));
    }
}

/// The sign-up, which waits for the relay to confirm the address.
impl Session {
    pub(in crate::engine) fn address_is_taken(&self) -> bool {
        self.address_taken
    }

    /// Another address is claimed, for the same account.
    pub(in crate::engine) fn claim_another(&mut self) -> String {
        self.address_taken = false;
        self.recovery_code.clone().unwrap_or_default()
    }

    /// A sign-up is answered when the address is confirmed, or at this time.
    pub(in crate::engine) fn await_address(&mut self, id: CommandId, until: u64, new: NewAccount) {
        self.recovery_code = Some(new.recovery_code.clone());
        self.sign_up = Some((id, until, new));
    }
}

/// The inbox, as far as it is not taken in.
impl Session {
    pub(in crate::engine) fn invitations(&self) -> impl Iterator<Item = &InboxItem> {
        self.inbox.iter()
    }

    pub(in crate::engine) fn next_invitation(&mut self) -> Option<InboxItem> {
        self.inbox.pop_front()
    }

    /// An item waits for a record, and those behind it with it.
    pub(in crate::engine) fn put_back_invitation(&mut self, item: InboxItem) {
        self.inbox.push_front(item);
    }

    /// Whether an item was not taken in before. Of what was, an honest relay shows no more than can
    /// wait: a number that is far below the last one says that the last one was made up.
    pub(in crate::engine) fn is_new(&self, item: &InboxItem) -> bool {
        let last = self.row.inbox;
        item.number > last || last - item.number > WAITING
    }

    /// All items up to this number are taken in.
    pub(in crate::engine) fn has_taken(&mut self, turn: &mut Turn, number: u64) {
        self.row.inbox = number;
        turn.unsaved.session = true;
    }
}

/// How the connection comes and goes.
impl Session {
    /// Connects, unless the app wants to stay away.
    pub(in crate::engine) fn start(&mut self, turn: &mut Turn) {
        if self.offline || self.phase != Phase::Away {
            return;
        }
        self.phase = Phase::Connecting;
        turn.after_durable(Output::Connect);
    }

    /// The app wants to be connected again.
    pub(in crate::engine) fn come_back(&mut self) {
        self.offline = false;
        self.attempts = 0;
        if matches!(self.phase, Phase::Waiting(_)) {
            self.phase = Phase::Away;
        }
    }

    /// There is nothing to say to the relay any more.
    pub(in crate::engine) fn stop(&mut self, turn: &mut Turn, spaces: &mut Spaces) {
        if !matches!(self.phase, Phase::Away | Phase::Waiting(_)) {
            turn.after_durable(Output::Disconnect);
        }
        self.close(turn, spaces);
        self.phase = Phase::Away;
        self.problem = None;
    }

    /// Stays away until the app wants to connect again: the relay will not say anything else.
    pub(in crate::engine) fn stay_away(
        &mut self,
        turn: &mut Turn,
        spaces: &mut Spaces,
        problem: Problem,
    ) {
        self.stop(turn, spaces);
        self.problem = Some(problem);
        turn.tell_status();
    }

    /// Opens a new session in place of this one.
    pub(in crate::engine) fn reconnect(&mut self, turn: &mut Turn, spaces: &mut Spaces) {
        turn.urgent.push(Output::Disconnect);
        self.close(turn, spaces);
        self.retry_later(turn, 0);
    }

    /// Forgets what holds for one session alone. What others keep for it is forgotten before the
    /// next step.
    fn close(&mut self, turn: &mut Turn, spaces: &mut Spaces) {
        self.cursor = None;
        self.inbox.clear();
        self.caught_up = false;
        self.taken_in = 0;
        self.ack_at = None;
        self.greeted = false;
        for space in spaces.values_mut() {
            space.on_disconnected();
        }
        turn.lapsed.session = true;
    }

    /// Jittered exponential backoff, never below what the relay asked for; nor just then, as it
    /// asked others for the same.
    fn retry_later(&mut self, turn: &mut Turn, at_least_ms: u64) {
        let exponent = self.attempts.min(7);
        self.attempts += 1;
        let ceiling = (BACKOFF_FIRST_MS << exponent).min(BACKOFF_LAST_MS);
        let jitter = turn.rng.next_u64() % (ceiling / 2 + 1);
        let wait = (ceiling / 2 + jitter).max(jittered(&mut turn.rng, at_least_ms));
        self.phase = Phase::Waiting(turn.now + wait);
        debug!(wait, attempts = self.attempts, "a connection is tried later");
    }

    /// This store is a copy of one that went on, or was rolled back: from here on it writes as
    /// somebody new. What was never confirmed is written again, once the log shows what of it got
    /// through after all.
    pub(in crate::engine) fn new_incarnation(&mut self, turn: &mut Turn, account: &mut Account) {
        let incarnation = turn.nonzero();
        self.row.incarnation = incarnation;
        (self.row.fence, self.row.next_fence) = (0, 0);
        turn.unsaved.session = true;
        if let Some(me) = account.own_mut() {
            me.write_as(incarnation);
        }
    }

    /// Asks the relay for something.
    pub(in crate::engine) fn ask(&mut self, turn: &mut Turn, op: Op, asked: Asked) {
        self.next_request += 1;
        let id = self.next_request;
        self.requests.insert(id, asked);
        turn.send(&ClientFrame::Request(Request { id, op }));
    }

    /// Keeps the newest cursor, once nothing delivered before it waits for anything.
    pub(in crate::engine) fn keep_cursor(&mut self, turn: &mut Turn, spaces: &Spaces) {
        let inviting = !self.inbox.is_empty();
        let waiting = || spaces.values().any(|space| !space.in_session.deliveries.is_empty());
        if self.cursor.is_none() || inviting || waiting() {
            return;
        }
        self.row.cursor = self.cursor.take();
        turn.unsaved.session = true;
        self.unacked = true;
        if self.ack_at.is_none() {
            self.ack_at = Some(turn.now + ACK_EVERY_MS);
        }
    }

    fn acknowledge(&mut self, turn: &mut Turn) {
        let cursor = self.row.cursor.clone();
        if let Some(cursor) = cursor.filter(|_| self.is_open() && self.unacked) {
            self.unacked = false;
            turn.send(&ClientFrame::Ack { cursor });
        }
    }
}

#[cfg(test)]
mod tests;
