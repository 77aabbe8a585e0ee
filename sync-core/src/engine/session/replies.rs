//! What the relay answers and tells besides the logs, and the sign-up that waits for it.

use sync_protocol::address::Address;
use sync_protocol::frames::{Answer, Notice, Op, Reply};
use sync_protocol::{AccountId, Rejection};

use crate::api::{Problem, Response};
use crate::engine::Engine;
use crate::engine::session::connection::KEY_PACKAGES;
use crate::engine::session::{Asked, invites};
use crate::engine::turn::Need;

impl Engine {
    /// Asks again for the logs that something waits for.
    pub(in crate::engine) fn read_wanted_logs(&mut self) {
        for account in self.requests.logs() {
            self.people.log_is_asked(account);
            self.devices().read_log(account);
        }
    }

    /// The relay answered what was asked of somebody's log.
    pub(in crate::engine) fn log_answered(&mut self, account: &AccountId, answer: Answer) {
        let passes = matches!(&answer, Answer::Refused(reason) if reason.passes());
        // Of two who wait for one log, the first to go on may have struck it off already.
        let is_wanted =
            self.people.waits_for_log(account) || self.requests.is_parked(&Need::Log(*account));
        self.devices().on_log(account, answer);
        if !passes {
            self.contacts().compare_said(account);
        }
        if is_wanted && passes {
            // Asked again with the next session.
            return self.session.reconnect(&mut self.turn, &mut self.spaces);
        }
        if is_wanted {
            self.people.log_came(*account);
            self.turn.found(Need::Log(*account));
        }
    }

    pub(in crate::engine) fn on_reply(&mut self, reply: Reply) {
        let Some(asked) = self.session.requests.remove(&reply.id) else { return };
        match asked {
            Asked::Lookup(address) => self.contacts().on_lookup(&address, reply.answer),
            Asked::Claim => self.on_claimed(&reply.answer),
            Asked::Packages(space, account) => {
                self.member_rows().on_packages(&space, &account, reply.answer)
            }
            Asked::Fetch(space, number) => {
                self.fetching().on_fetched(&space, number, &reply.answer)
            }
            Asked::OwnCommit(space) => self.checks().own_commit_shown(&space, &reply.answer),
            Asked::GuestLog => self.guest_side().on_guest_log(reply.answer),
            Asked::GuestAddress => self.guest_side().on_guest_address(&reply.answer),
            Asked::Certify(device) => self.host_side().on_certified(&device, &reply.answer),
            Asked::Append(entry, wish) => self.devices().on_appended(entry, &wish, reply.answer),
            Asked::Log(account) => self.log_answered(&account, reply.answer),
            Asked::Seen => self.devices().on_seen(reply.answer),
            Asked::Spaces => self.tickets().on_spaces(reply.answer),
            Asked::Ticket(space) => self.tickets().on_ticket(&space, reply.answer),
            Asked::PutPackages(records) => {
                self.own_packages().on_packages_put(&records, &reply.answer)
            }
            Asked::Invite(id, code) => {
                let drawn = invites::drawn(code, &reply.answer, self.turn.wall);
                self.turn.respond(id, drawn);
            }
            Asked::AckInbox => {}
        }
    }

    pub(in crate::engine) fn on_notice(&mut self, notice: &Notice) {
        match notice {
            Notice::KeyPackagesLow { left } => {
                self.own_packages().publish_key_packages(KEY_PACKAGES.saturating_sub(*left));
            }
            Notice::LogChanged { account, len } => {
                if self.people.log(account).is_some_and(|log| log.len() < *len) {
                    self.devices().read_log(*account);
                }
            }
            // Told by the log itself; the notice only says that there is something.
            Notice::Removed { .. } => {}
        }
    }

    pub(in crate::engine) fn claim_address(&mut self) {
        let address =
            self.account.own().filter(|me| !me.row().claimed).map(|me| me.row().address.clone());
        let address = address.and_then(|address| address.parse::<Address>().ok());
        if let Some(address) =
            address.filter(|_| self.session.is_open() && !self.session.address_taken)
        {
            self.session.ask(&mut self.turn, Op::ClaimAddress { address }, Asked::Claim);
        }
    }

    /// The relay may have lost whose the address is.
    pub(in crate::engine) fn claim_again(&mut self) {
        if let Some(me) = self.account.own_mut() {
            me.row_mut().claimed &= me.row().address.parse::<Address>().is_err();
            self.turn.unsaved.account = true;
        }
    }

    fn on_claimed(&mut self, answer: &Answer) {
        match answer {
            Answer::Done => {
                if let Some(me) = self.account.own_mut() {
                    me.row_mut().claimed = true;
                }
                self.session.address_taken = false;
                self.session.problem = None;
                self.turn.unsaved.account = true;
            }
            Answer::Refused(Rejection::Taken) => {
                self.session.address_taken = true;
                self.session.problem = Some(Problem::AddressTaken);
                if let Some((id, _, _)) = self.session.sign_up.take() {
                    self.turn.respond(id, Err(Rejection::Taken.into()));
                }
            }
            Answer::Refused(rejection) => {
                self.session.problem = Some(Problem::Session(rejection.clone()));
            }
            _ => {}
        }
        self.finish_sign_up();
        self.turn.tell_status();
    }

    /// Answers a sign-up that has waited long enough for the relay.
    pub(in crate::engine) fn finish_sign_up(&mut self) {
        if let Some((id, _, account)) = self.session.sign_up.take() {
            self.turn.respond(id, Ok(Response::Account(account)));
        }
    }
}
