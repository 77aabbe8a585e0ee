//! The session with the relay: connecting, proving who this is, and sorting what comes in.

use std::collections::VecDeque;

use rand_core::Rng;
use sync_protocol::address::Address;
use sync_protocol::codec::Blob;
use sync_protocol::frames::{
    Answer, Challenge, ClientFrame, Delivery, Hello, InboxItem, Op, RelayFrame, Request,
    Session as SessionProof, Welcome, membership_digest, sign_session,
};
use sync_protocol::ids::RelayId;
use sync_protocol::sorted::SortedMap;
use sync_protocol::{AccountId, DeviceId, Rejection, SpaceId, limits};
use tracing::debug;

use crate::api::{AwayView, CommandId, Failure, NewAccount, Output, Problem, Response};
use crate::engine::own_log::Wish;
use crate::engine::rows::SessionRow;
use crate::engine::{Engine, Task};
use crate::trust::pins;

const BACKOFF_FIRST_MS: u64 = 250;
const BACKOFF_LAST_MS: u64 = 30_000;
/// Credit is given back in steps of this many bytes.
const CREDIT_STEP: u64 = (limits::WINDOW / 4) as u64;
/// Key packages kept at the relay.
pub(super) const KEY_PACKAGES: u64 = 30;
const KEY_PACKAGES_LOW: u64 = 10;
/// How often the frontier is reported while entries come in.
const ACK_EVERY_MS: u64 = 2_000;
/// How long the relay may take to open a session.
const OPENING_MS: u64 = 20_000;

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
pub(super) enum Asked {
    Lookup(Address),
    Claim,
    Packages(SpaceId, AccountId),
    /// Key packages, with the records of their private halves.
    PutPackages(Vec<Blob>),
    Fetch(SpaceId, u64),
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
}

/// The session with the relay.
#[derive(Default)]
pub(super) struct Session {
    pub(super) row: SessionRow,
    phase: Phase,
    offline: bool,
    attempts: u32,
    next_request: u64,
    pub(super) requests: SortedMap<u64, Asked>,
    taken_in: u64,
    /// The newest cursor received, to be kept once all before it is taken in.
    cursor: Option<Blob>,
    /// Items of the inbox not yet taken in.
    pub(super) inbox: VecDeque<InboxItem>,
    caught_up: bool,
    unacked: bool,
    ack_at: Option<u64>,
    greeted: bool,
    /// The relay at the other end of the socket, by its own word.
    met: Option<RelayId>,
    /// The incarnation that the session was opened by.
    pub(super) opened_by: u64,
    pub(super) problem: Option<Problem>,
    pub(super) address_taken: bool,
    pub(super) recovery_code: Option<String>,
    pub(super) sign_up: Option<(CommandId, u64, NewAccount)>,
    /// The account's devices that were away for long, as the relay said last.
    pub(super) away: Vec<AwayView>,
    /// An account brought back, until the relay has taken that in.
    pub(super) recovered: Option<(CommandId, NewAccount)>,
    /// The relay's copy of the own log lacks something: the next hello carries the log.
    tells_log: bool,
    /// The length that was told: once is enough.
    told_len: u64,
}

/// A time that many were told alike, and up to half as long again.
pub(super) fn jittered(rng: &mut impl Rng, ms: u64) -> u64 {
    ms.saturating_add(rng.next_u64() % (ms / 2 + 1))
}

impl Session {
    pub(super) fn is_open(&self) -> bool {
        self.phase == Phase::Open
    }

    /// Nobody waits for the answers to what was asked any more.
    pub(super) fn forget_requests(&mut self) {
        self.requests.clear();
    }

    /// Whether the relay listens, with a session or without.
    pub(super) fn is_up(&self) -> bool {
        matches!(self.phase, Phase::Open | Phase::Visiting)
    }

    pub(super) fn caught_up(&self) -> bool {
        self.is_open() && self.caught_up
    }

    pub(super) fn deadline(&self) -> Option<u64> {
        let phase = match self.phase {
            Phase::Waiting(at) | Phase::Opening(at) => Some(at),
            _ => None,
        };
        let sign_up = self.sign_up.as_ref().map(|(_, at, _)| *at);
        [phase, sign_up, self.ack_at].into_iter().flatten().min()
    }
}

impl Engine {
    /// Connects, if there is an account and nobody wants to stay away.
    pub(super) fn start_session(&mut self) {
        let wanted = self.me.is_some() || self.guest.is_some();
        if !wanted || self.session.offline || self.session.phase != Phase::Away {
            return;
        }
        self.session.phase = Phase::Connecting;
        self.after_durable(Output::Connect);
    }

    pub(super) fn go_offline(&mut self) {
        self.session.offline = true;
        if !matches!(self.session.phase, Phase::Away | Phase::Waiting(_)) {
            self.outputs.push_back(Output::Disconnect);
        }
        self.close_session();
        self.session.phase = Phase::Away;
        self.finish_sign_up();
        self.report_status();
    }

    /// Stays away until the app wants to connect again: the relay will not say anything else.
    pub(super) fn stay_away(&mut self, problem: Problem) {
        self.stop_session();
        self.session.problem = Some(problem);
        self.report_status();
    }

    /// There is nothing to say to the relay any more.
    pub(super) fn stop_session(&mut self) {
        if !matches!(self.session.phase, Phase::Away | Phase::Waiting(_)) {
            self.after_durable(Output::Disconnect);
        }
        self.close_session();
        self.session.phase = Phase::Away;
        self.session.problem = None;
    }

    /// Opens a new session in place of this one.
    pub(super) fn reconnect(&mut self) {
        self.outputs.push_back(Output::Disconnect);
        self.close_session();
        self.retry_later(0);
    }

    pub(super) fn go_online(&mut self) {
        self.session.offline = false;
        self.session.attempts = 0;
        if matches!(self.session.phase, Phase::Waiting(_)) {
            self.session.phase = Phase::Away;
        }
        self.start_session();
    }

    pub(super) fn on_connected(&mut self) {
        if self.session.phase == Phase::Connecting {
            self.session.phase = Phase::Opening(self.now + OPENING_MS);
        }
    }

    pub(super) fn on_disconnected(&mut self) {
        if self.session.phase == Phase::Away {
            return;
        }
        self.close_session();
        self.finish_sign_up();
        self.guest_disconnected();
        self.retry_later(0);
        self.report_status();
    }

    fn close_session(&mut self) {
        let lost = std::mem::take(&mut self.session.requests);
        self.hosting_disconnected();
        for asked in lost.into_values() {
            if let Asked::Append(_, wish) = asked {
                self.wish_failed(&wish, Failure::Offline);
            }
        }
        self.wishes_failed(&Failure::Offline);
        if self.parked.contains_key(&super::Need::Seen) {
            self.on_seen(Answer::Seen(Vec::new()));
        }
        self.unpark(&super::Need::Vaulted);
        self.strays_disconnected();
        self.forget_lookups();
        self.forget_logs_asked();
        let session = &mut self.session;
        session.cursor = None;
        session.inbox.clear();
        session.caught_up = false;
        session.taken_in = 0;
        session.ack_at = None;
        session.greeted = false;
        for space in self.spaces.values_mut() {
            space.on_disconnected();
        }
        let lookups: Vec<_> = self
            .parked
            .keys()
            .filter_map(|need| match need {
                super::Need::Lookup(address) => Some(address.clone()),
                super::Need::Load(_)
                | super::Need::Log(_)
                | super::Need::Seen
                | super::Need::Vaulted => None,
            })
            .collect();
        for address in lookups {
            let unavailable = Rejection::Unavailable { retry_ms: 0 };
            self.people.missing.insert(address.to_string(), unavailable);
            self.tasks_for_lookup(&address);
        }
    }

    /// Jittered exponential backoff, never below what the relay asked for; nor just then, as it
    /// asked others for the same.
    fn retry_later(&mut self, at_least_ms: u64) {
        let exponent = self.session.attempts.min(7);
        self.session.attempts += 1;
        let ceiling = (BACKOFF_FIRST_MS << exponent).min(BACKOFF_LAST_MS);
        let jitter = self.rng.next_u64() % (ceiling / 2 + 1);
        let wait = (ceiling / 2 + jitter).max(jittered(&mut self.rng, at_least_ms));
        self.session.phase = Phase::Waiting(self.now + wait);
        debug!(wait, attempts = self.session.attempts, "a connection is tried later");
    }

    pub(super) fn session_woken(&mut self) {
        if self.session.sign_up.as_ref().is_some_and(|(_, at, _)| *at <= self.now) {
            self.finish_sign_up();
        }
        if self.session.ack_at.is_some_and(|at| at <= self.now) {
            self.session.ack_at = None;
            self.acknowledge();
        }
        match self.session.phase {
            Phase::Waiting(at) if at <= self.now => {
                self.session.phase = Phase::Away;
                self.start_session();
            }
            Phase::Opening(at) if at <= self.now => self.leave(Problem::NotARelay),
            _ => {}
        }
    }

    /// Gives up on this socket, and tells the app why.
    fn leave(&mut self, problem: Problem) {
        debug!(?problem, "this connection is given up");
        let wait = match &problem {
            Problem::Session(reason) if reason.retry_ms().is_some() => {
                reason.retry_ms().unwrap_or_default()
            }
            Problem::Session(Rejection::Revoked | Rejection::Unsupported { .. })
            | Problem::NotARelay
            | Problem::OtherRelay { .. } => BACKOFF_LAST_MS,
            _ => 0,
        };
        self.session.problem = Some(problem);
        self.outputs.push_back(Output::Disconnect);
        self.close_session();
        self.finish_sign_up();
        self.retry_later(wait);
        self.report_status();
    }

    pub(super) fn send(&mut self, frame: &ClientFrame) {
        self.after_durable(Output::Send(frame.to_bytes()));
    }

    pub(super) fn ask(&mut self, op: Op, asked: Asked) {
        self.session.next_request += 1;
        let id = self.session.next_request;
        self.session.requests.insert(id, asked);
        self.send(&ClientFrame::Request(Request { id, op }));
    }

    pub(super) fn on_message(&mut self, message: &[u8]) {
        if matches!(self.session.phase, Phase::Away | Phase::Waiting(_)) {
            return;
        }
        let Ok(frame) = RelayFrame::parse(message) else {
            return self.leave(Problem::NotARelay);
        };
        match frame {
            RelayFrame::Challenge(challenge) => self.on_challenge(&challenge),
            RelayFrame::Goodbye { reason } => self.on_goodbye(reason),
            RelayFrame::Met { rendezvous, event } if self.session.is_up() => {
                if self.guest.is_some() {
                    self.guest_met(&rendezvous, event);
                } else {
                    self.host_met(&rendezvous, event);
                }
            }
            RelayFrame::Reply(reply) if self.session.phase == Phase::Visiting => {
                self.on_reply(reply);
            }
            RelayFrame::Welcome(welcome) if self.session.greeted => self.on_welcome(&welcome),
            frame if self.session.is_open() => self.on_open_frame(frame),
            _ => self.leave(Problem::NotARelay),
        }
    }

    fn on_open_frame(&mut self, frame: RelayFrame) {
        match frame {
            RelayFrame::Delivery(delivery) => self.on_delivery(delivery),
            RelayFrame::Stored(stored) => self.tasks.push_back(Task::Place(stored)),
            RelayFrame::Refused { space, seq, reason } => self.on_refused(&space, seq, reason),
            RelayFrame::Reply(reply) => self.on_reply(reply),
            RelayFrame::Signal { space, writer, envelope } => {
                self.on_signal(&space, &writer, envelope.as_slice());
            }
            RelayFrame::Notice(notice) => self.on_notice(&notice),
            RelayFrame::Challenge(_)
            | RelayFrame::Welcome(_)
            | RelayFrame::Goodbye { .. }
            | RelayFrame::Met { .. } => {}
        }
    }

    fn on_challenge(&mut self, challenge: &Challenge) {
        if !matches!(self.session.phase, Phase::Opening(_)) || self.session.greeted {
            return self.leave(Problem::NotARelay);
        }
        let (min, max) = (challenge.min_version, challenge.max_version);
        if min > limits::VERSION || max < limits::MIN_VERSION {
            return self.leave(Problem::Session(Rejection::Unsupported { min, max }));
        }
        self.look_again();
        if self.me.is_some() && self.session.row.next_fence == 0 {
            self.session.row.next_fence = self.nonzero();
            self.unsaved.session = true;
        }
        if self.me.is_some() && !pins::same_relay(self.session.row.relay, challenge.relay) {
            let was = self.session.row.relay.unwrap_or(challenge.relay);
            return self.leave(Problem::OtherRelay { was, now: challenge.relay });
        }
        self.session.met = Some(challenge.relay);
        let Some(me) = &self.me else {
            self.session.phase = Phase::Visiting;
            self.session.attempts = 0;
            return self.visit();
        };
        let lagging: Vec<_> = self
            .spaces
            .iter()
            .filter(|(_, space)| space.row.lagging && space.row.active)
            .map(|(id, space)| (*id, space.row.next))
            .take(limits::LAGGING_SPACES)
            .collect();
        let mut hello = Hello {
            version: limits::VERSION.min(max),
            account: me.account(),
            device: me.device(),
            incarnation: self.session.row.incarnation,
            fence: self.session.row.fence,
            next_fence: self.session.row.next_fence,
            cursor: self.session.row.cursor.clone(),
            lagging,
            digest: Blob(self.membership_digest().to_vec()),
            log: match me.row.claimed && me.row.recovering.is_empty() && !self.session.tells_log {
                true => Vec::new(),
                false => self.log_blobs(&me.account()),
            },
            foreground: self.foreground,
            signature: Blob::default(),
            fresh: !self.spaces.contains_key(&me.account().space()),
        };
        hello.signature =
            sign_session(&SessionProof { challenge, hello: &hello }, &me.identity.signing);
        self.session.tells_log = false;
        self.session.greeted = true;
        self.session.opened_by = self.session.row.incarnation;
        self.send(&ClientFrame::Hello(hello));
    }

    fn membership_digest(&self) -> [u8; 32] {
        let active = self.spaces.iter().filter(|(_, space)| space.row.active);
        membership_digest(active.map(|(id, _)| id))
    }

    fn on_welcome(&mut self, welcome: &Welcome) {
        if self.session.is_open() {
            return;
        }
        let session = &mut self.session;
        session.phase = Phase::Open;
        session.attempts = 0;
        session.problem =
            session.problem.take().filter(|problem| *problem == Problem::AddressTaken);
        // The next is drawn when it is told: a copy of this store, or this one put back, must not
        // tell the same, as if the welcome had been lost.
        session.row.fence = std::mem::take(&mut session.row.next_fence);
        if welcome.from_start {
            session.row.cursor = None;
            session.row.inbox = 0;
            self.claim_again();
        }
        if self.session.row.relay.is_none() {
            self.session.row.relay = self.session.met;
        }
        self.unsaved.session = true;
        self.people.forget_directory();
        if welcome.key_packages < KEY_PACKAGES_LOW {
            self.publish_key_packages(KEY_PACKAGES);
        }
        self.claim_address();
        self.hear_who_is_away(welcome);
        self.after_welcome(welcome);
        self.read_wanted_logs();
        self.read_said_logs();
        let lagging: Vec<_> = self
            .spaces
            .iter()
            .filter(|(_, space)| space.row.lagging && space.row.active)
            .skip(limits::LAGGING_SPACES)
            .map(|(id, _)| *id)
            .collect();
        for space in lagging {
            self.fetch(&space);
        }
        self.report_status();
    }

    /// What the welcome says of the account besides its logs.
    fn after_welcome(&mut self, welcome: &Welcome) {
        if let Some((id, account)) = self.session.recovered.take() {
            self.respond(id, Ok(Response::Account(account)));
        }
        let Ok(account) = self.me().map(|me| me.account()) else { return };
        let own = account.space();
        if self.recovers() {
            self.strays.entry(own).or_default();
        }
        let known = self.people.log(&account).map_or(0, |log| log.len());
        if known > welcome.log_len.max(self.session.told_len) {
            // It was put back to before its newest entries, among which a device may have been ended.
            self.session.tells_log = true;
            self.session.told_len = known;
            return self.reconnect();
        }
        if known < welcome.log_len {
            self.read_own_log();
        } else {
            self.settle_linking(true);
            self.end_unwanted();
        }
        if welcome.spaces_differ {
            self.ask(Op::Spaces, Asked::Spaces);
        }
    }

    fn on_goodbye(&mut self, reason: Rejection) {
        if reason == Rejection::Fenced {
            self.new_incarnation();
        }
        let refused = match reason {
            // Nothing else says that the recovery did not come to stand.
            Rejection::Taken => self.recovers(),
            // Unless it was taken, and another came after it.
            Rejection::Revoked => self.session.recovered.is_some(),
            _ => false,
        };
        if refused {
            return self.recovery_refused(reason);
        }
        // Put back to before this device came in, or its account: it is told of both.
        self.session.tells_log = reason == Rejection::NotFound;
        if reason == Rejection::Revoked {
            let logged_out = self.session.requests.values().find_map(|asked| match asked {
                Asked::Append(_, Wish::LogOut(id)) => Some(*id),
                _ => None,
            });
            return match logged_out {
                Some(id) => self.logged_out(id),
                None => self.on_revoked(),
            };
        }
        self.leave(Problem::Session(reason));
    }

    /// This store is a copy of one that went on, or was rolled back: from here on it writes as
    /// somebody new. What was never confirmed is written again, once the log shows what of it got
    /// through after all.
    pub(super) fn new_incarnation(&mut self) {
        let incarnation = self.nonzero();
        let row = &mut self.session.row;
        row.incarnation = incarnation;
        (row.fence, row.next_fence) = (0, 0);
        self.unsaved.session = true;
        if let Some(me) = &mut self.me {
            me.writer.incarnation = incarnation;
        }
    }

    fn on_delivery(&mut self, delivery: Delivery) {
        self.session.taken_in += delivery.cost();
        match delivery {
            Delivery::Entries(entries) => {
                let cursor = entries.cursor.clone();
                let space = entries.space;
                match self.spaces.get_mut(&space) {
                    Some(state) => {
                        state.deliveries.push_back(entries.into());
                        self.tasks.push_back(Task::TakeIn(space));
                    }
                    None => self.note_stray(&space),
                }
                self.session.cursor = cursor.or(self.session.cursor.take());
            }
            Delivery::Inbox(items) => {
                self.session.inbox.extend(items);
                self.tasks.push_back(Task::Invitations);
            }
            Delivery::UpToDate { cursor, .. } => {
                self.session.cursor = Some(cursor);
                self.session.caught_up = true;
                self.session.row.last_confirmed_ms = Some(self.wall);
                self.unsaved.session = true;
                self.keep_cursor();
                self.on_caught_up();
            }
        }
        if self.session.taken_in >= CREDIT_STEP {
            let bytes = std::mem::take(&mut self.session.taken_in);
            self.send(&ClientFrame::Credit { bytes });
        }
    }

    fn on_caught_up(&mut self) {
        // Named in the hello, so delivered by now; the fetch confirms that nothing is missing.
        let lagging: Vec<_> = self
            .spaces
            .iter()
            .filter(|(_, space)| space.row.lagging && space.row.active && space.retry_at.is_none())
            .map(|(id, _)| *id)
            .collect();
        for id in lagging {
            self.fetch(&id);
        }
        let busy: Vec<_> =
            self.spaces.iter().filter(|(_, space)| space.is_busy()).map(|(id, _)| *id).collect();
        self.tasks.extend(busy.into_iter().map(Task::Advance));
        let stale: Vec<_> =
            self.spaces.iter().filter(|(_, space)| space.row.stale).map(|(id, _)| *id).collect();
        self.tasks.extend(stale.into_iter().map(Task::Summarise));
        self.seek();
        self.tasks.push_back(Task::HostMissing);
        self.ask_for_withheld();
        self.call_what_was_lost();
        self.call_introductions();
        self.report_status();
    }

    /// Keeps the newest cursor, once nothing delivered before it waits for anything.
    pub(super) fn keep_cursor(&mut self) {
        let inviting = !self.session.inbox.is_empty();
        let waiting = || self.spaces.values().any(|space| !space.deliveries.is_empty());
        if self.session.cursor.is_none() || inviting || waiting() {
            return;
        }
        self.session.row.cursor = self.session.cursor.take();
        self.unsaved.session = true;
        self.session.unacked = true;
        if self.session.ack_at.is_none() {
            self.session.ack_at = Some(self.now + ACK_EVERY_MS);
        }
    }

    fn acknowledge(&mut self) {
        let cursor = self.session.row.cursor.clone();
        if let Some(cursor) = cursor.filter(|_| self.session.is_open() && self.session.unacked) {
            self.session.unacked = false;
            self.send(&ClientFrame::Ack { cursor });
        }
    }
}
