//! What the relay answers and tells besides the logs, and the sign-up that waits for it.

use sync_protocol::Rejection;
use sync_protocol::address::Address;
use sync_protocol::frames::{Answer, Notice, Op, Reply};

use crate::api::{Problem, Response};
use crate::engine::Engine;
use crate::engine::session::{Asked, KEY_PACKAGES};

impl Engine {
    pub(super) fn on_reply(&mut self, reply: Reply) {
        let Some(asked) = self.session.requests.remove(&reply.id) else { return };
        match asked {
            Asked::Lookup(address) => self.on_lookup(&address, reply.answer),
            Asked::Claim => self.on_claimed(&reply.answer),
            Asked::Packages(space, account) => self.on_packages(&space, &account, reply.answer),
            Asked::Fetch(space, from) => self.on_fetched(&space, from, &reply.answer),
            Asked::GuestLog => self.on_guest_log(reply.answer),
            Asked::GuestAddress => self.on_guest_address(&reply.answer),
            Asked::Certify(device) => self.on_certified(&device, &reply.answer),
            Asked::Append(entry, wish) => self.on_appended(entry, &wish, reply.answer),
            Asked::Log(account) => self.log_answered(&account, reply.answer),
            Asked::Seen => self.on_seen(reply.answer),
            Asked::Spaces => self.on_spaces(reply.answer),
            Asked::Ticket(space) => self.on_ticket(&space, reply.answer),
            Asked::PutPackages(records) => self.on_packages_put(&records, &reply.answer),
            Asked::AckInbox => {}
        }
    }

    pub(super) fn on_notice(&mut self, notice: &Notice) {
        match notice {
            Notice::KeyPackagesLow { left } => {
                self.publish_key_packages(KEY_PACKAGES.saturating_sub(*left));
            }
            Notice::LogChanged { account, len } => {
                if self.people.log(account).is_some_and(|log| log.len() < *len) {
                    self.read_log(*account);
                }
            }
            // Told by the log itself; the notice only says that there is something.
            Notice::Removed { .. } => {}
        }
    }

    pub(super) fn claim_address(&mut self) {
        let address =
            self.me.as_ref().filter(|me| !me.row.claimed).map(|me| me.row.address.clone());
        let address = address.and_then(|address| address.parse::<Address>().ok());
        if let Some(address) =
            address.filter(|_| self.session.is_open() && !self.session.address_taken)
        {
            self.ask(Op::ClaimAddress { address }, Asked::Claim);
        }
    }

    /// The relay may have lost whose the address is.
    pub(super) fn claim_again(&mut self) {
        if let Some(me) = &mut self.me {
            me.row.claimed &= me.row.address.parse::<Address>().is_err();
            self.unsaved.account = true;
        }
    }

    fn on_claimed(&mut self, answer: &Answer) {
        match answer {
            Answer::Done => {
                if let Some(me) = &mut self.me {
                    me.row.claimed = true;
                }
                self.session.address_taken = false;
                self.session.problem = None;
                self.unsaved.account = true;
            }
            Answer::Refused(Rejection::Taken) => {
                self.session.address_taken = true;
                self.session.problem = Some(Problem::AddressTaken);
                if let Some((id, _, _)) = self.session.sign_up.take() {
                    self.respond(id, Err(Rejection::Taken.into()));
                }
            }
            Answer::Refused(rejection) => {
                self.session.problem = Some(Problem::Session(rejection.clone()));
            }
            _ => {}
        }
        self.finish_sign_up();
        self.report_status();
    }

    /// Answers a sign-up that has waited long enough for the relay.
    pub(super) fn finish_sign_up(&mut self) {
        if let Some((id, _, account)) = self.session.sign_up.take() {
            self.respond(id, Ok(Response::Account(account)));
        }
    }
}
