//! How the engine comes to the relay, proves who this is, and sorts what comes in.

use sync_protocol::codec::Blob;
use sync_protocol::frames::{
    Answer, Challenge, ClientFrame, Delivery, Hello, Op, RelayFrame, Session as SessionProof,
    Welcome, membership_digest, sign_session,
};
use sync_protocol::ids::RelayId;
use sync_protocol::{Rejection, limits};
use tracing::debug;

use crate::api::{Event, Failure, LinkEvent, Output, Problem, Response};
use crate::engine::account::Account;
use crate::engine::account::own_log::Wish;
use crate::engine::documents::Documents;
use crate::engine::entering::strays::Strays;
use crate::engine::people::People;
use crate::engine::rows::SessionRow;
use crate::engine::session::status::Standing;
use crate::engine::space::Spaces;
use crate::engine::space::sightings::Sightings;
use crate::engine::turn::Unsaved;
use crate::engine::{Engine, Need, Task};
use crate::records::Batch;
use crate::trust::pins;

use super::{Asked, BACKOFF_LAST_MS, Phase};

/// Credit is given back in steps of this many bytes.
const CREDIT_STEP: u64 = (limits::WINDOW / 4) as u64;
/// Key packages kept at the relay.
pub(super) const KEY_PACKAGES: u64 = 30;
const KEY_PACKAGES_LOW: u64 = 10;
/// How long the relay may take to open a session.
const OPENING_MS: u64 = 20_000;

impl Engine {
    /// The relay did not take the recovery: somebody was quicker, or the log had grown. The device
    /// is as empty as before.
    pub(in crate::engine) fn recovery_refused(&mut self, reason: Rejection) {
        let waiting = self.session.recovered.take();
        self.wipe();
        match waiting {
            Some((command, _)) => self.turn.respond(command, Err(reason.into())),
            None => self.turn.notify(Event::Link(LinkEvent::Failed(reason.into()))),
        }
    }

    /// Everything goes: this device has no account any more.
    pub(in crate::engine) fn wipe(&mut self) {
        self.session.stop(&mut self.turn, &mut self.spaces);
        // Who waits for the relay is answered, before all that waits is forgotten.
        self.turn.lapsed.session = false;
        self.forget_session();
        self.go_on();
        self.account = Account::default();
        self.standing = Standing::default();
        self.spaces = Spaces::default();
        self.strays = Strays::default();
        self.people = People::default();
        self.sightings = Sightings::default();
        self.documents = Documents::default();
        self.requests.forget_edits();
        self.requests.take_parked();
        self.turn.unsaved = Unsaved::default();
        self.session.row = SessionRow::default();
        self.session.away.clear();
        self.turn.batch = Batch::default();
        self.turn.batch.clears.push(Vec::new());
    }

    /// The person accepts another relay.
    pub(in crate::engine) fn accept_relay(&mut self, relay: &RelayId) {
        let row = &mut self.session.row;
        if row.relay != Some(*relay) {
            row.relay = Some(*relay);
            self.turn.unsaved.session = true;
            if let Some(me) = self.account.own_mut() {
                // It may know neither the account nor its address.
                me.row_mut().claimed = false;
                self.turn.unsaved.account = true;
            }
        }
        self.go_online();
    }

    /// Connects, if there is anything to say and nobody wants to stay away.
    pub(in crate::engine) fn start_session(&mut self) {
        if self.account.own().is_some() || self.linking.has_guest() {
            self.session.start(&mut self.turn);
        }
    }

    pub(in crate::engine) fn go_offline(&mut self) {
        self.session.offline = true;
        if !matches!(self.session.phase, Phase::Away | Phase::Waiting(_)) {
            self.turn.urgent.push(Output::Disconnect);
        }
        self.session.close(&mut self.turn, &mut self.spaces);
        self.session.phase = Phase::Away;
        self.finish_sign_up();
        self.turn.tell_status();
    }

    pub(in crate::engine) fn go_online(&mut self) {
        self.session.come_back();
        self.start_session();
    }

    pub(in crate::engine) fn on_connected(&mut self) {
        if self.session.phase == Phase::Connecting {
            self.session.phase = Phase::Opening(self.turn.now + OPENING_MS);
        }
    }

    pub(in crate::engine) fn on_disconnected(&mut self) {
        if self.session.phase == Phase::Away {
            return;
        }
        self.session.close(&mut self.turn, &mut self.spaces);
        self.finish_sign_up();
        self.guest_side().guest_disconnected();
        self.session.retry_later(&mut self.turn, 0);
        self.turn.tell_status();
    }

    /// The session is over: nothing that was asked in it is answered any more.
    pub(in crate::engine) fn forget_session(&mut self) {
        let lost = std::mem::take(&mut self.session.requests);
        self.host_side().hosting_disconnected();
        for asked in lost.into_values() {
            match asked {
                Asked::Append(_, wish) => self.devices().wish_failed(&wish, Failure::Offline),
                Asked::Invite(id, _) => self.turn.respond(id, Err(Failure::Offline)),
                _ => {}
            }
        }
        self.devices().wishes_failed(&Failure::Offline);
        if self.requests.is_parked(&Need::Seen) {
            self.devices().on_seen(Answer::Seen(Vec::new()));
        }
        self.turn.found(Need::Vaulted);
        self.strays.on_disconnected();
        self.contacts().forget_lookups();
        self.contacts().forget_logs_asked();
        for address in self.requests.addresses() {
            let unavailable = Rejection::Unavailable { retry_ms: 0 };
            self.people.is_not_told(&address, unavailable);
            self.turn.found(Need::Lookup(address));
        }
    }

    pub(in crate::engine) fn session_woken(&mut self) {
        if self.session.sign_up.as_ref().is_some_and(|(_, at, _)| *at <= self.turn.now) {
            self.finish_sign_up();
        }
        if self.session.ack_at.is_some_and(|at| at <= self.turn.now) {
            self.session.ack_at = None;
            self.session.acknowledge(&mut self.turn);
        }
        match self.session.phase {
            Phase::Waiting(at) if at <= self.turn.now => {
                self.session.phase = Phase::Away;
                self.start_session();
            }
            Phase::Opening(at) if at <= self.turn.now => self.leave(Problem::NotARelay),
            _ => {}
        }
    }

    /// Gives up on this socket, and tells the app why.
    fn leave(&mut self, problem: Problem) {
        debug!(?problem, "this connection is given up");
        let wait = match &problem {
            Problem::Session(Rejection::Revoked | Rejection::Unsupported { .. })
            | Problem::NotARelay
            | Problem::OtherRelay { .. } => BACKOFF_LAST_MS,
            Problem::Session(reason) => reason.retry_ms().unwrap_or(0),
            Problem::AddressTaken | Problem::Space(..) => 0,
        };
        self.session.problem = Some(problem);
        self.turn.urgent.push(Output::Disconnect);
        self.session.close(&mut self.turn, &mut self.spaces);
        self.finish_sign_up();
        self.session.retry_later(&mut self.turn, wait);
        self.turn.tell_status();
    }

    pub(in crate::engine) fn on_message(&mut self, message: &[u8]) {
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
                if self.linking.has_guest() {
                    self.guest_side().guest_met(&rendezvous, event);
                } else {
                    self.host_side().host_met(&rendezvous, event);
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
            RelayFrame::Stored(stored) => self.turn.tasks.push_back(Task::Place(stored)),
            RelayFrame::Refused { space, seq, reason } => {
                self.outbox().on_refused(&space, seq, reason)
            }
            RelayFrame::Reply(reply) => self.on_reply(reply),
            RelayFrame::Signal { space, writer, envelope } => {
                self.signals().on_signal(&space, &writer, envelope.as_slice());
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
        self.log_rows().look_again();
        if self.account.own().is_some() && self.session.row.next_fence == 0 {
            self.session.row.next_fence = self.turn.nonzero();
            self.turn.unsaved.session = true;
        }
        if self.account.own().is_some()
            && !pins::same_relay(self.session.row.relay, challenge.relay)
        {
            let was = self.session.row.relay.unwrap_or(challenge.relay);
            return self.leave(Problem::OtherRelay { was, now: challenge.relay });
        }
        self.session.met = Some(challenge.relay);
        let Some(me) = self.account.own() else {
            self.session.phase = Phase::Visiting;
            self.session.attempts = 0;
            return self.guest_side().visit();
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
            log: match me.row().claimed && me.row().recovering.is_empty() && !self.session.tells_log
            {
                true => Vec::new(),
                false => self.people.log_blobs(&me.account()),
            },
            foreground: self.session.foreground,
            signature: Blob::default(),
            fresh: !self.spaces.contains_key(&me.account().space()),
        };
        hello.signature =
            sign_session(&SessionProof { challenge, hello: &hello }, &me.identity().signing);
        self.session.tells_log = false;
        self.session.greeted = true;
        self.session.opened_by = self.session.row.incarnation;
        self.turn.send(&ClientFrame::Hello(hello));
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
        self.turn.unsaved.session = true;
        self.people.forget_directory();
        if welcome.key_packages < KEY_PACKAGES_LOW {
            self.own_packages().publish_key_packages(KEY_PACKAGES);
        }
        self.claim_address();
        self.devices().hear_who_is_away(welcome);
        self.after_welcome(welcome);
        self.read_wanted_logs();
        self.contacts().read_said_logs();
        let lagging: Vec<_> = self
            .spaces
            .iter()
            .filter(|(_, space)| space.row.lagging && space.row.active)
            .skip(limits::LAGGING_SPACES)
            .map(|(id, _)| *id)
            .collect();
        for space in lagging {
            self.fetching().fetch(&space);
        }
        self.turn.tell_status();
    }

    /// What the welcome says of the account besides its logs.
    fn after_welcome(&mut self, welcome: &Welcome) {
        if let Some((id, account)) = self.session.recovered.take() {
            self.turn.respond(id, Ok(Response::Account(account)));
        }
        let Ok(account) = self.account.me().map(|me| me.account()) else { return };
        let own = account.space();
        if self.account.recovers() {
            self.strays.want(&own);
        }
        let known = self.people.log(&account).map_or(0, |log| log.len());
        if known > welcome.log_len.max(self.session.told_len) {
            // It was put back to before its newest entries, among which a device may have been ended.
            self.session.tells_log = true;
            self.session.told_len = known;
            return self.session.reconnect(&mut self.turn, &mut self.spaces);
        }
        if known < welcome.log_len {
            self.devices().read_own_log();
        } else {
            self.host_side().settle_linking(true);
            self.devices().end_unwanted();
        }
        if welcome.spaces_differ {
            self.session.ask(&mut self.turn, Op::Spaces, Asked::Spaces);
        }
    }

    fn on_goodbye(&mut self, reason: Rejection) {
        if reason == Rejection::Fenced {
            self.session.new_incarnation(&mut self.turn, &mut self.account);
        }
        let refused = match reason {
            // Nothing else says that the recovery did not come to stand.
            Rejection::Taken => self.account.recovers(),
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
                Some(id) => self.devices().logged_out(id),
                None => self.devices().on_revoked(),
            };
        }
        self.leave(Problem::Session(reason));
    }

    fn on_delivery(&mut self, delivery: Delivery) {
        self.session.taken_in += delivery.cost();
        match delivery {
            Delivery::Entries(entries) => {
                let cursor = entries.cursor.clone().filter(fits);
                let space = entries.space;
                match self.spaces.get_mut(&space) {
                    Some(state) => {
                        state.look_for_own_commit(&entries);
                        state.in_session.deliveries.push_back(entries.into());
                        self.turn.tasks.push_back(Task::TakeIn(space));
                    }
                    None => self.tickets().note_stray(&space),
                }
                self.session.cursor = cursor.or(self.session.cursor.take());
            }
            Delivery::Inbox(items) => {
                self.session.inbox.extend(items);
                self.turn.tasks.push_back(Task::Invitations);
            }
            Delivery::UpToDate { cursor, .. } => {
                self.session.cursor = Some(cursor).filter(fits).or(self.session.cursor.take());
                self.session.caught_up = true;
                self.session.row.last_confirmed_ms = Some(self.turn.wall);
                self.turn.unsaved.session = true;
                self.session.keep_cursor(&mut self.turn, &self.spaces);
                self.on_caught_up();
            }
        }
        if self.session.taken_in >= CREDIT_STEP {
            let bytes = std::mem::take(&mut self.session.taken_in);
            self.turn.send(&ClientFrame::Credit { bytes });
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
            self.fetching().fetch(&id);
        }
        self.profile().look_for_calls();
        let elsewhere = self.spaces.iter().filter(|(_, space)| space.elsewhere);
        for id in elsewhere.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.checks().seek_own_commit(&id);
        }
        let busy: Vec<_> =
            self.spaces.iter().filter(|(_, space)| space.is_busy()).map(|(id, _)| *id).collect();
        self.turn.tasks.extend(busy.into_iter().map(Task::Advance));
        let stale: Vec<_> =
            self.spaces.iter().filter(|(_, space)| space.row.stale).map(|(id, _)| *id).collect();
        self.turn.tasks.extend(stale.into_iter().map(Task::Summarise));
        self.tickets().seek();
        self.turn.tasks.push_back(Task::HostMissing);
        self.fetching().ask_for_withheld();
        self.log_rows().call_what_was_lost();
        self.profile().call_introductions();
        self.turn.tell_status();
    }
}

/// Whether a relay takes a cursor back. No honest one gives another.
fn fits(cursor: &Blob) -> bool {
    cursor.0.len() <= limits::CURSOR
}
