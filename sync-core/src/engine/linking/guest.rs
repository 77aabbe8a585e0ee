//! A device without an account: it offers itself to be linked, or brings an account back with its
//! recovery code.
//!
//! An offer can be photographed. So the device says whose account it was invited to before anything
//! of it goes there, and the person says whether that is theirs.
//!
//! Nothing is kept until this device has told its keys. From then on the account's log alone says
//! whether it was linked: after any interruption the device looks there, and either belongs to the
//! account or is as empty as before.

use rand_core::Rng;
use sync_protocol::address::Address;
use sync_protocol::codec::{self, Blob};
use sync_protocol::device_log::{Action, DeviceKeys, DeviceLog, LogEntry, countersign, sign_entry};
use sync_protocol::frames::{Answer, MeetEvent, MeetStep, Op};
use sync_protocol::ids::RendezvousId;
use sync_protocol::signing::SigningKey;
use sync_protocol::{AccountId, Rejection, limits};
use tracing::debug;

use crate::api::{CommandId, Event, Failure, Join, LinkEvent, NewAccount, Response, Whose};
use crate::engine::account::{Me, RecoverySecrets, escrow};
use crate::engine::linking::link::{Channel, Invite, NAME, Offer, Onward, Reply};
use crate::engine::rooms::GuestSide;
use crate::engine::rows::{AccountRow, FORMAT, GuestRow, PersonRow};
use crate::engine::session::Asked;
use crate::engine::{Step, seal};
use crate::group::{Identity, new_key_package};
use crate::line;
use crate::records::key;
use crate::trust::code;

/// How long an offer may take to be known at the relay.
const OPENING_MS: u64 = 10_000;
/// How soon a new offer may be asked for again while it is not known whether the last one led to a link.
const CHECK_MS: u64 = 2_000;
/// How long a new device waits, beyond the rendezvous itself, before it gives up.
const GRACE_MS: u64 = 5_000;

/// What a device without an account is about.
pub(in crate::engine) enum Guest {
    /// Waits at the rendezvous, or talks there.
    Offering(Box<Offering>),
    /// Told its keys, has left the rendezvous, and looks whether the account's log has it: the relay
    /// takes no certificate once it has left.
    Checking(Box<GuestRow>),
    /// Brings an account back.
    Recovering(Box<Recovering>),
}

/// A device that offers itself.
pub(in crate::engine) struct Offering {
    offer: Offer,
    signing: SigningKey,
    hpke: seal::Secret,
    /// Answered once the offer can be taken.
    command: Option<CommandId>,
    /// When it gives up, by the engine's time.
    until: u64,
    join: Join,
    /// An invite that nothing was answered to yet.
    invited: Option<Invited>,
    talk: Option<(Channel, Invite)>,
    coded: bool,
    whose: Option<Whose>,
}

/// What an offer was answered with, while the person is asked.
struct Invited {
    channel: Channel,
    invite: Invite,
}

impl Offering {
    /// What is kept of it, once it has told its keys to whoever invites it.
    fn row(&self, invite: &Invite) -> GuestRow {
        GuestRow {
            format: FORMAT,
            signing: self.signing.to_bytes(),
            hpke: *self.hpke,
            account: invite.account,
            head: invite.head,
            index: invite.index,
            name: self.offer.name.clone(),
            rendezvous: self.offer.rendezvous,
        }
    }
}

/// A device that brings an account back.
pub(in crate::engine) struct Recovering {
    command: CommandId,
    address: Address,
    secrets: RecoverySecrets,
    name: String,
    until: u64,
}

impl Guest {
    pub(in crate::engine) fn deadline(&self) -> Option<u64> {
        match self {
            Self::Offering(offering) => Some(offering.until),
            Self::Recovering(recovering) => Some(recovering.until),
            Self::Checking(_) => None,
        }
    }
}

impl GuestSide<'_> {
    pub(in crate::engine) fn offer_device(
        &mut self,
        id: CommandId,
        name: &str,
        join: Join,
    ) -> Step<Option<Response>> {
        if self.account.own().is_some() {
            return Err(Failure::HasAccount.into());
        }
        if name.len() > NAME {
            return Err(Failure::TooLarge { what: "name", limit: NAME }.into());
        }
        self.begin_anew()?;
        let mut rendezvous = [0; RendezvousId::LEN];
        self.turn.rng.fill_bytes(&mut rendezvous);
        let signing = SigningKey::from_bytes(&self.turn.seed());
        let (hpke, public) = seal::hpke_pair(&self.turn.seed());
        let rendezvous = RendezvousId::from_bytes(rendezvous);
        let offer = Offer::new(rendezvous, public, self.turn.seed(), name);
        let (command, until) = (Some(id), self.turn.now + OPENING_MS);
        let offering = Offering {
            offer,
            signing,
            hpke,
            command,
            until,
            join,
            invited: None,
            talk: None,
            coded: false,
            whose: None,
        };
        self.linking.guest = Some(Guest::Offering(Box::new(offering)));
        self.session.come_back();
        self.session.start(self.turn);
        Ok(None)
    }

    pub(in crate::engine) fn cancel_link(&mut self) {
        self.leave_offer();
        self.host_side().cancel_hosting();
    }

    /// Gives up an offer. Once its keys were told, the account's log may name them: the device finds
    /// that out before it forgets them.
    fn leave_offer(&mut self) {
        let Some(Guest::Offering(offering)) = &self.linking.guest else { return };
        let (rendezvous, told) = (offering.offer.rendezvous, offering.talk.is_some());
        if told {
            return self.look_in_log();
        }
        self.session.meet(self.turn, rendezvous, MeetStep::Leave);
        self.forget_guest();
    }

    /// Nothing of before stands in the way of something new.
    fn begin_anew(&mut self) -> Result<(), Failure> {
        self.leave_offer();
        if matches!(self.linking.guest, Some(Guest::Checking(_))) {
            return Err(Rejection::Unavailable { retry_ms: CHECK_MS }.into());
        }
        self.forget_guest();
        Ok(())
    }

    /// An interrupted link of before.
    pub(in crate::engine) fn resume_guest(&mut self, row: GuestRow) {
        self.linking.guest = Some(Guest::Checking(Box::new(row)));
    }

    /// Nothing of what this device was about is kept.
    fn forget_guest(&mut self) {
        let Some(guest) = self.linking.guest.take() else { return };
        if let Guest::Offering(offering) = guest
            && let Some(id) = offering.command
        {
            self.turn.respond(id, Err(Failure::Offline));
        }
        self.session.stop(self.turn, self.spaces);
        self.requests.forget_edits();
        self.account.keys.forget_fresh();
        self.turn.batch = crate::records::Batch::default();
        self.turn.batch.clears.push(Vec::new());
    }

    /// The relay is there, and no session is wanted yet.
    pub(in crate::engine) fn visit(&mut self) {
        match &self.linking.guest {
            Some(Guest::Offering(offering)) => {
                let rendezvous = offering.offer.rendezvous;
                self.session.meet(self.turn, rendezvous, MeetStep::Open);
            }
            Some(Guest::Checking(row)) => {
                let (account, rendezvous) = (row.account, row.rendezvous);
                // Before it looks: from here on the relay takes no certificate for this device.
                self.session.meet(self.turn, rendezvous, MeetStep::Leave);
                self.session.ask(self.turn, Op::ReadLog { account, from: 0 }, Asked::GuestLog);
            }
            Some(Guest::Recovering(recovering)) => {
                let address = recovering.address.clone();
                self.session.ask(self.turn, Op::Lookup { address }, Asked::GuestLog);
            }
            None => {}
        }
    }

    /// The socket went away. What was said at the rendezvous can't be taken up again.
    pub(in crate::engine) fn guest_disconnected(&mut self) {
        let Some(Guest::Offering(offering)) = &self.linking.guest else { return };
        if offering.talk.is_some() {
            self.look_in_log();
        } else if offering.invited.is_some() {
            self.link_failed(Failure::Offline);
        }
    }

    pub(in crate::engine) fn guest_woken(&mut self) {
        if self.linking.guest.as_ref().and_then(Guest::deadline).is_none_or(|at| at > self.turn.now)
        {
            return;
        }
        match self.linking.guest.take() {
            Some(Guest::Recovering(recovering)) => {
                self.turn.respond(recovering.command, Err(Failure::Offline));
                self.session.stop(self.turn, self.spaces);
            }
            Some(Guest::Offering(offering)) => {
                let told = offering.talk.is_some();
                self.linking.guest = Some(Guest::Offering(offering));
                if told { self.look_in_log() } else { self.link_failed(Failure::Offline) }
            }
            Some(Guest::Checking(row)) => self.linking.guest = Some(Guest::Checking(row)),
            None => {}
        }
    }

    pub(in crate::engine) fn guest_met(&mut self, rendezvous: &RendezvousId, event: MeetEvent) {
        let Some(Guest::Offering(offering)) = &mut self.linking.guest else { return };
        if offering.offer.rendezvous != *rendezvous {
            return;
        }
        match event {
            MeetEvent::Opened => {
                offering.until = self.turn.now + limits::RENDEZVOUS_MS + GRACE_MS;
                let text = offering.offer.to_text();
                if let Some(id) = offering.command.take() {
                    self.turn.respond(id, Ok(Response::Offer(text)));
                }
            }
            MeetEvent::Joined => {}
            MeetEvent::Said(message) => {
                let heard = match (&offering.talk, &offering.invited) {
                    (None, None) => self.hear_invite(message.as_slice()),
                    (None, Some(_)) => None,
                    (Some(_), _) => self.hear_onward(message.as_slice()),
                };
                if heard.is_none() {
                    self.turn_away("what scanned the code is not to be trusted");
                }
            }
            MeetEvent::Ended(reason) => {
                if offering.talk.is_some() {
                    self.look_in_log();
                } else {
                    self.link_failed(Failure::Refused(reason));
                }
            }
        }
    }

    fn hear_invite(&mut self, message: &[u8]) -> Option<()> {
        let Some(Guest::Offering(offering)) = &self.linking.guest else { return None };
        let (invite, channel) = Channel::guest(&offering.offer, &offering.hpke, message).ok()?;
        let address = match &invite.address {
            Some(address) => Some(Address::exactly(address)?),
            None => None,
        };
        let Some(Guest::Offering(offering)) = &mut self.linking.guest else { return None };
        offering.invited = Some(Invited { channel, invite });
        match address {
            Some(address) => {
                self.session.ask(self.turn, Op::Lookup { address }, Asked::GuestAddress)
            }
            None => self.tell_whose(None),
        }
        Some(())
    }

    /// The relay's directory says whose the address is that an invite names.
    pub(in crate::engine) fn on_guest_address(&mut self, answer: &Answer) {
        let Answer::Log { account, .. } = answer else { return self.tell_whose(None) };
        self.tell_whose(Some(*account));
    }

    /// Says whose account this device was invited to, and asks unless that was settled before.
    fn tell_whose(&mut self, owner: Option<AccountId>) {
        let Some(Guest::Offering(offering)) = &mut self.linking.guest else { return };
        let Some(Invited { invite, .. }) = &offering.invited else { return };
        let account = invite.account;
        let address = invite.address.clone().filter(|_| owner == Some(account));
        let whose = Whose { account, address, name: line::shown_name(&invite.name) };
        let (may_join, is_refused) = match offering.join {
            Join::Ask => (false, false),
            Join::Account(only) => (only == account, only != account),
            Join::Any => (true, false),
        };
        offering.whose = Some(whose.clone());
        if offering.join != Join::Any {
            // Nobody is asked otherwise, and the code says whose the account is.
            self.turn.notify(Event::Link(LinkEvent::Account(whose)));
        }
        if is_refused {
            self.turn_away("another account's device scanned the code");
        } else if may_join && self.answer_invite().is_none() {
            self.turn_away("what scanned the code is not to be trusted");
        }
    }

    /// The person says that this account is theirs.
    pub(in crate::engine) fn join_account(
        &mut self,
        account: &AccountId,
    ) -> Step<Option<Response>> {
        let offered = match &self.linking.guest {
            Some(Guest::Offering(offering)) if offering.invited.is_some() => offering.whose.clone(),
            _ => None,
        };
        let whose = offered.ok_or(Failure::NotFound("link"))?;
        if whose.account != *account {
            return Err(Failure::Denied("another account's device scanned the code").into());
        }
        self.answer_invite().ok_or(Failure::NotFound("link"))?;
        Ok(Some(Response::Done))
    }

    /// Ends the talk, and says why.
    fn turn_away(&mut self, why: &'static str) {
        if let Some(Guest::Offering(offering)) = &self.linking.guest {
            let rendezvous = offering.offer.rendezvous;
            self.session.meet(self.turn, rendezvous, MeetStep::Leave);
        }
        self.link_failed(Failure::Denied(why));
    }

    /// Tells the account's primary this device's keys.
    fn answer_invite(&mut self) -> Option<()> {
        let Some(Guest::Offering(offering)) = &mut self.linking.guest else { return None };
        let Invited { mut channel, invite } = offering.invited.take()?;
        let signing = offering.signing.clone();
        let device =
            DeviceKeys { signing: signing.verifying_key().to_bytes(), hpke: offering.offer.hpke };
        let (rendezvous, row) = (offering.offer.rendezvous, offering.row(&invite));
        let countersignature =
            countersign(&invite.account, invite.index, &invite.head, &device, &signing);
        let identity = Identity::new(invite.account, signing);
        let package = new_key_package(&identity, self.turn.seed(), false).ok()?;
        self.account.keys.add_fresh(&package.records);
        self.turn.batch.absorb(key::KEY_PACKAGES, package.records);
        let reply = Reply {
            nonce: self.turn.seed(),
            device,
            countersignature: Blob(countersignature.to_vec()),
            package: Blob(package.bytes),
        };
        let said = channel.say(&reply, &mut self.turn.rng);
        // Kept before it is told: from here on the log decides.
        self.turn.batch.put(key::meta("guest"), codec::encode(&row));
        self.session.meet(self.turn, rendezvous, MeetStep::Say(Blob(said)));
        let Some(Guest::Offering(offering)) = &mut self.linking.guest else { return None };
        offering.talk = Some((channel, invite));
        Some(())
    }

    fn hear_onward(&mut self, message: &[u8]) -> Option<()> {
        let Some(Guest::Offering(offering)) = &mut self.linking.guest else { return None };
        let (channel, invite) = offering.talk.as_mut()?;
        match channel.hear(message).ok()? {
            Onward::Reveal(nonce) if !offering.coded => {
                if code::commitment(&nonce) != invite.commitment {
                    return None;
                }
                let (code, whose) = (channel.code(), offering.whose.clone()?);
                offering.coded = true;
                self.turn.notify(Event::Link(LinkEvent::Code { code, whose }));
            }
            Onward::Reveal(_) => return None,
            Onward::Linked => self.look_in_log(),
        }
        Some(())
    }

    /// The log of the account decides.
    fn look_in_log(&mut self) {
        let Some(Guest::Offering(offering)) = self.linking.guest.take() else { return };
        let Some((_, invite)) = &offering.talk else { return };
        let row = offering.row(invite);
        self.linking.guest = Some(Guest::Checking(Box::new(row)));
        if self.session.is_up() {
            self.visit();
        }
    }

    fn link_failed(&mut self, failure: Failure) {
        debug!(why = %failure, "this device is not linked");
        self.forget_guest();
        self.turn.notify(Event::Link(LinkEvent::Failed(failure)));
    }

    pub(in crate::engine) fn on_guest_log(&mut self, answer: Answer) {
        match self.linking.guest.take() {
            Some(Guest::Checking(row)) => self.on_checked(&row, answer),
            Some(Guest::Recovering(recovering)) => self.on_recoverable(*recovering, answer),
            guest => self.linking.guest = guest,
        }
    }

    fn on_checked(&mut self, row: &GuestRow, answer: Answer) {
        let signing = SigningKey::from_bytes(&row.signing);
        let identity = Identity::new(row.account, signing);
        let log = match &answer {
            Answer::Log { account, from: 0, entries } if *account == row.account => {
                let entries: Vec<&[u8]> = entries.iter().map(Blob::as_slice).collect();
                DeviceLog::verify(account, &entries).ok()
            }
            Answer::Refused(rejection) if rejection.passes() => {
                self.linking.guest = Some(Guest::Checking(Box::new(row.clone())));
                return self.session.reconnect(self.turn, self.spaces);
            }
            _ => None,
        };
        // A log that does not hold what the primary said there was is not the account's.
        let log = log.filter(|log| log.head_at(row.index) == Some(row.head));
        match log {
            Some(log) if log.active(&identity.device).is_some() => self.become_device(row, &log),
            _ => {
                self.linking.guest = Some(Guest::Checking(Box::new(row.clone())));
                self.link_failed(Failure::Denied("the link was not confirmed"));
            }
        }
    }

    /// The account's log has this device: from here on it is one of the account's.
    fn become_device(&mut self, row: &GuestRow, log: &DeviceLog) {
        let account = AccountRow {
            device_name: row.name.clone(),
            ..AccountRow::new(row.account, row.signing, row.hpke)
        };
        self.begin_as(account, log, None);
        self.turn.batch.delete(key::meta("guest"));
        if let Some(me) = self.account.own() {
            let (account, device) = (me.account(), me.device());
            self.turn.notify(Event::Link(LinkEvent::Done { account, device }));
        }
        self.session.reconnect(self.turn, self.spaces);
    }

    /// Takes up an account on this device.
    fn begin_as(&mut self, row: AccountRow, log: &DeviceLog, address: Option<String>) {
        let account = row.account;
        let incarnation = self.session.begin_to_write(self.turn);
        self.account.take_up(Me::new(row, incarnation));
        self.turn.unsaved.account = true;
        let entries = log.entries().iter().map(|entry| Blob(entry.clone())).collect();
        let person = PersonRow { log: entries, address, ..PersonRow::default() };
        let learned = self.contacts().learn_person(&account, person);
        debug_assert!(learned.is_ok(), "a verified log verifies again");
    }

    pub(in crate::engine) fn recover_account(
        &mut self,
        id: CommandId,
        address: &Address,
        code: &str,
        name: &str,
    ) -> Step<Option<Response>> {
        if self.account.own().is_some() {
            return Err(Failure::HasAccount.into());
        }
        let secrets = RecoverySecrets::parse(code)
            .ok_or_else(|| Failure::Invalid("not a recovery code".to_owned()))?;
        self.begin_anew()?;
        self.linking.guest = Some(Guest::Recovering(Box::new(Recovering {
            command: id,
            address: address.clone(),
            secrets,
            name: name.to_owned(),
            until: self.turn.now + limits::RENDEZVOUS_MS,
        })));
        self.session.come_back();
        self.session.start(self.turn);
        Ok(None)
    }

    fn on_recoverable(&mut self, recovering: Recovering, answer: Answer) {
        let command = recovering.command;
        match self.take_back(recovering, answer) {
            Ok(account) => {
                self.session.await_recovery(command, account);
                self.session.reconnect(self.turn, self.spaces);
            }
            Err(failure) => {
                self.session.stop(self.turn, self.spaces);
                self.turn.respond(command, Err(failure));
            }
        }
    }

    /// Signs the entry that ends all other devices and begins anew with this one. It is sent with
    /// the hello, after it was kept.
    fn take_back(&mut self, recovering: Recovering, answer: Answer) -> Result<NewAccount, Failure> {
        let (account, entries) = match answer {
            Answer::Log { account, from: 0, entries } => (account, entries),
            Answer::Refused(Rejection::NotFound) => return Err(Failure::NotFound("address")),
            Answer::Refused(rejection) => return Err(rejection.into()),
            _ => return Err(Rejection::Invalid.into()),
        };
        let bytes: Vec<&[u8]> = entries.iter().map(Blob::as_slice).collect();
        let mut log = DeviceLog::verify(&account, &bytes)
            .map_err(|error| Failure::Invalid(error.to_string()))?;
        if *log.recovery() != recovering.secrets.public() {
            return Err(Failure::Denied("this is not the account's recovery code"));
        }
        let signing = SigningKey::from_bytes(&self.turn.seed());
        let (hpke, hpke_public) = seal::hpke_pair(&self.turn.seed());
        let (join, join_public) = seal::hpke_pair(&self.turn.seed());
        let (code, next) = RecoverySecrets::draw(&self.turn.seed());
        let device = DeviceKeys { signing: signing.verifying_key().to_bytes(), hpke: hpke_public };
        let (index, previous) = (log.len(), log.head());
        let countersignature = countersign(&account, index, &previous, &device, &signing).to_vec();
        let recovery = next.public();
        let action = Action::Recover { device, join: join_public, recovery, countersignature };
        // This device may be lost before any ticket opens with the next code.
        let (at, secrets) =
            ((&account, index), [join.as_slice(), recovering.secrets.hpke().as_slice()]);
        let escrow = escrow::seal_secrets(&recovery.hpke, at, &secrets, &mut self.turn.rng);
        let entry = LogEntry { version: 1, index, previous, action, escrow };
        let entry = sign_entry(&account, &entry, recovering.secrets.signing());
        log.append(&entry).map_err(|error| Failure::Invalid(error.to_string()))?;
        let address = recovering.address.to_string();
        let known = escrow::open_secrets(&account, &entries, recovering.secrets.hpke());
        let mut joins = vec![Blob(join.to_vec())];
        joins.extend(known.iter().cloned());
        let row = AccountRow {
            joins,
            address: address.clone(),
            device_name: recovering.name.clone(),
            complete: true,
            recovering: known,
            ..AccountRow::new(account, signing.to_bytes(), *hpke)
        };
        self.begin_as(row, &log, Some(address));
        let device = self.account.me()?.device();
        Ok(NewAccount { account, device, recovery_code: code })
    }
}
