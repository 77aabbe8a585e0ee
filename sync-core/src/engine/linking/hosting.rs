//! Linking from the primary's side: what a new device offers is taken up, compared, certified.
//!
//! The certificate is written down before it is sent, and is sent once. Whether the device is
//! linked is what the account's log says: after any interruption this device reads it there.

use sync_protocol::codec::Blob;
use sync_protocol::device_log::{Action, countersigned};
use sync_protocol::frames::{Answer, MeetEvent, MeetStep, Op};
use sync_protocol::ids::{LogHead, RendezvousId};
use sync_protocol::{AccountId, DeviceId, Rejection, limits};
use tracing::debug;

use crate::api::{CommandId, Event, Failure, LinkEvent, Response};
use crate::engine::Step;
use crate::engine::linking::link::{Channel, Invite, Offer, Onward, Reply};
use crate::engine::rooms::HostSide;
use crate::engine::rows::{Intention, LinkRow};
use crate::engine::session::Asked;
use crate::group::read_key_package;
use crate::line;
use crate::trust::code;

/// A device that is being linked to this account.
pub(in crate::engine) struct Hosting {
    offer: Offer,
    history: bool,
    /// When it is given up, by the engine's time.
    until: u64,
    stage: Stage,
    /// Whether the new device is there, while the log still changes by what was done before.
    met: bool,
    /// A code that was typed before it could be compared.
    typed: Option<(CommandId, String)>,
}

/// How far it came.
enum Stage {
    /// Waiting for the relay to bring the two together.
    Joining,
    /// Waiting for the new device's keys.
    Asking { channel: Channel, nonce: [u8; 32], index: u64, head: LogHead },
    /// Waiting for the person to type the code.
    Comparing { channel: Channel, reply: Reply, index: u64, head: LogHead },
    /// The certificate is on its way to the log.
    Certifying { channel: Channel, command: CommandId, device: DeviceId },
}

impl Hosting {
    /// Whether the new device is at the rendezvous.
    pub(in crate::engine) fn is_met(&self) -> bool {
        self.met
    }

    pub(in crate::engine) fn deadline(&self) -> u64 {
        self.until
    }

    fn rendezvous(&self) -> RendezvousId {
        self.offer.rendezvous
    }

    /// The command that is answered once the link has come to its end.
    fn waiting(&self) -> Option<CommandId> {
        match self.stage {
            Stage::Certifying { command, .. } => Some(command),
            _ => self.typed.as_ref().map(|(id, _)| *id),
        }
    }
}

impl HostSide<'_> {
    pub(in crate::engine) fn accept_device(
        &mut self,
        offer: &str,
        history: bool,
    ) -> Step<Option<Response>> {
        if !self.account.is_primary(self.people) {
            return Err(Failure::Denied("only the primary device links others").into());
        }
        let offer = Offer::parse(offer).map_err(|error| Failure::Invalid(error.to_string()))?;
        let log =
            self.people.log(&self.account.me()?.account()).ok_or(Failure::NotFound("account"))?;
        if log.devices().count() >= limits::DEVICES {
            return Err(Failure::TooLarge { what: "devices", limit: limits::DEVICES }.into());
        }
        if !self.session.is_open() {
            return Err(Failure::Offline.into());
        }
        self.cancel_hosting();
        let (rendezvous, name) = (offer.rendezvous, line::shown_name(&offer.name));
        self.linking.hosting = Some(Box::new(Hosting {
            offer,
            history,
            until: self.turn.now + limits::RENDEZVOUS_MS,
            stage: Stage::Joining,
            met: false,
            typed: None,
        }));
        self.session.meet(self.turn, rendezvous, MeetStep::Join);
        Ok(Some(Response::DeviceName(name)))
    }

    pub(in crate::engine) fn confirm_device(
        &mut self,
        id: CommandId,
        code: &str,
    ) -> Step<Option<Response>> {
        let Some(hosting) = &mut self.linking.hosting else {
            return Err(Failure::NotFound("link").into());
        };
        if matches!(hosting.stage, Stage::Certifying { .. }) || hosting.typed.is_some() {
            return Err(Failure::Invalid("the code was typed already".to_owned()).into());
        }
        hosting.typed = Some((id, code.to_owned()));
        self.compare();
        Ok(None)
    }

    /// Ends what is under way; a certificate that was sent stays sent.
    pub(in crate::engine) fn cancel_hosting(&mut self) {
        let Some(hosting) = self.linking.hosting.take() else { return };
        self.session.meet(self.turn, hosting.rendezvous(), MeetStep::Leave);
        if let Some(id) = hosting.waiting() {
            self.turn.respond(id, Err(Failure::Invalid("the link was given up".to_owned())));
        }
    }

    fn hosting_failed(&mut self, failure: Failure) {
        debug!(why = %failure, "a device is not linked");
        let Some(hosting) = self.linking.hosting.take() else { return };
        self.session.meet(self.turn, hosting.rendezvous(), MeetStep::Leave);
        if let Some(id) = hosting.waiting() {
            self.turn.respond(id, Err(failure.clone()));
        }
        self.turn.notify(Event::Link(LinkEvent::Failed(failure)));
    }

    pub(in crate::engine) fn hosting_woken(&mut self) {
        if self.linking.hosting.as_ref().is_some_and(|hosting| hosting.until <= self.turn.now) {
            self.hosting_failed(Failure::Refused(Rejection::NotFound));
        }
    }

    pub(in crate::engine) fn hosting_disconnected(&mut self) {
        self.hosting_failed(Failure::Offline);
    }

    pub(in crate::engine) fn host_met(&mut self, rendezvous: &RendezvousId, event: MeetEvent) {
        let Some(hosting) = &self.linking.hosting else { return };
        if hosting.rendezvous() != *rendezvous {
            return;
        }
        match event {
            MeetEvent::Opened => {}
            MeetEvent::Joined => self.invite(),
            MeetEvent::Said(message) => {
                if self.hear_reply(message.as_slice()).is_none() {
                    self.hosting_failed(Failure::Denied("the device does not fit its offer"));
                }
            }
            MeetEvent::Ended(_) if matches!(hosting.stage, Stage::Certifying { .. }) => {}
            MeetEvent::Ended(reason) => self.hosting_failed(Failure::Refused(reason)),
        }
    }

    /// The log is as it was left: who waited for that is invited.
    pub(in crate::engine) fn link_settled(&mut self) {
        if self.linking.waits_for_log() && !self.account.log_is_unsettled(self.session, self.people)
        {
            self.invite();
        }
    }

    /// What stood between this device and the log stays there: nobody can be invited.
    pub(in crate::engine) fn log_not_settled(&mut self, failure: Failure) {
        if self.linking.waits_for_log() {
            self.hosting_failed(failure);
        }
    }

    fn invite(&mut self) {
        // The certificate is for the next index: nothing else may come to stand there.
        let is_unsettled = self.account.log_is_unsettled(self.session, self.people);
        if let Some(hosting) = &mut self.linking.hosting {
            hosting.met = is_unsettled;
        }
        if is_unsettled {
            self.devices().end_unwanted();
            return self.devices().write_log();
        }
        let nonce = self.turn.seed();
        let Some(me) = self.account.own() else { return };
        let (account, name) = (me.account(), me.row().name.clone());
        let address = me.row().claimed.then(|| me.row().address.clone());
        let address = address.filter(|address| !address.is_empty());
        let Some(log) = self.people.log(&account) else { return };
        let (index, head) = (log.len(), log.head());
        let Some(hosting) = self.linking.hosting.as_mut() else { return };
        if !matches!(hosting.stage, Stage::Joining) {
            return;
        }
        let commitment = code::commitment(&nonce);
        let invite = Invite { account, index, head, commitment, address, name };
        let rendezvous = hosting.rendezvous();
        match Channel::host(&hosting.offer, &invite, &mut self.turn.rng) {
            Ok((message, channel)) => {
                hosting.stage = Stage::Asking { channel, nonce, index, head };
                self.session.meet(self.turn, rendezvous, MeetStep::Say(Blob(message)));
            }
            Err(_) => self.hosting_failed(Failure::Invalid("not a usable offer".to_owned())),
        }
    }

    fn hear_reply(&mut self, message: &[u8]) -> Option<()> {
        let hosting = self.linking.hosting.as_mut()?;
        let rendezvous = hosting.rendezvous();
        let stage = std::mem::replace(&mut hosting.stage, Stage::Joining);
        let Stage::Asking { mut channel, nonce, index, head } = stage else { return None };
        let reply: Reply = channel.hear(message).ok()?;
        // Before anything of this account's is signed for it.
        let account = self.account.own().map(|me| me.account())?;
        if !fits(&reply, &hosting.offer, &account, (index, &head)) {
            return None;
        }
        let said = channel.say(&Onward::Reveal(nonce), &mut self.turn.rng);
        hosting.stage = Stage::Comparing { channel, reply, index, head };
        self.session.meet(self.turn, rendezvous, MeetStep::Say(Blob(said)));
        self.compare();
        Some(())
    }

    /// Compares what the person typed with the code of all that was said.
    fn compare(&mut self) {
        let Some(hosting) = &mut self.linking.hosting else { return };
        let Stage::Comparing { channel, .. } = &hosting.stage else { return };
        let Some((id, typed)) = hosting.typed.take() else { return };
        if code::same(&typed, &channel.code()) {
            return self.certify(id);
        }
        // One attempt: a second would let somebody in between guess.
        let wrong = Failure::Denied("the codes differ");
        self.turn.respond(id, Err(wrong.clone()));
        self.hosting_failed(wrong);
    }

    fn certify(&mut self, command: CommandId) {
        let Some(mut hosting) = self.linking.hosting.take() else { return };
        let stage = std::mem::replace(&mut hosting.stage, Stage::Joining);
        let Stage::Comparing { channel, reply, index, head } = stage else { return };
        let device = reply.device.id();
        let is_next = self.account.me().ok().and_then(|me| self.people.log(&me.account()));
        let is_next = is_next.is_some_and(|log| log.len() == index && log.head() == head);
        let action = Action::AddDevice {
            device: reply.device,
            countersignature: reply.countersignature.0.clone(),
        };
        let signed = match is_next {
            true => self.devices().sign_next(action, None, None),
            false => Err(Rejection::Taken.into()),
        };
        let entry = match signed {
            Ok(entry) => entry,
            Err(failure) => {
                hosting.typed = Some((command, String::new()));
                self.linking.hosting = Some(hosting);
                return self.hosting_failed(failure);
            }
        };
        let Some(me) = self.account.own_mut() else { return };
        me.row_mut().linking.push(LinkRow {
            device,
            entry: entry.clone(),
            package: reply.package.clone(),
            name: line::shown_name(&hosting.offer.name),
            history: hosting.history,
            index,
        });
        self.turn.unsaved.account = true;
        // Only while the new device waits for it: what it finds in the log once it has left holds.
        let rendezvous = Some(hosting.rendezvous());
        hosting.stage = Stage::Certifying { channel, command, device };
        self.linking.hosting = Some(hosting);
        self.session.ask(
            self.turn,
            Op::AppendLog { index, entry, rendezvous },
            Asked::Certify(device),
        );
    }

    pub(in crate::engine) fn on_certified(&mut self, device: &DeviceId, answer: &Answer) {
        let Some(me) = self.account.own_mut() else { return };
        let Some(at) = me.row().linking.iter().position(|row| row.device == *device) else {
            return;
        };
        match answer {
            Answer::Done => {
                let entry = me.row().linking.get(at).map(|row| row.entry.clone());
                entry.into_iter().for_each(|entry| self.devices().append_own_log(entry));
            }
            Answer::Refused(reason) => {
                me.row_mut().linking.remove(at);
                self.turn.unsaved.account = true;
                self.devices().is_unwanted(*device);
                self.not_certified(device, reason.clone());
                self.devices().read_own_log();
            }
            _ => self.devices().read_own_log(),
        }
        self.devices().write_log();
    }

    /// A certificate came to nothing: whoever waits for it is told.
    fn not_certified(&mut self, device: &DeviceId, reason: Rejection) {
        let waits = |hosting: &Hosting| matches!(&hosting.stage, Stage::Certifying { device: of, .. } if of == device);
        if self.linking.hosting.as_deref().is_some_and(waits) {
            self.hosting_failed(Failure::Refused(reason));
        }
    }

    /// The account's log tells which certificates of this device it took, whoever brought the news.
    /// One is dead once its place in the log is another's, or once the log was read as it is now
    /// (`is_current`) and nothing is under way that could still bring it there.
    pub(in crate::engine) fn settle_linking(&mut self, is_current: bool) {
        let Some(me) = self.account.own_mut() else { return };
        let account = me.account();
        let Some(log) = self.people.log(&account) else { return };
        let session = &self.session;
        let under_way = |device: &DeviceId| {
            session.is_asked(|asked| matches!(asked, Asked::Certify(of) if of == device))
        };
        let (mut taken, mut dead) = (Vec::new(), Vec::new());
        me.row_mut().linking.retain(|row| {
            if log.active(&row.device).is_some() {
                taken.push(row.clone());
            } else if log.len() > row.index || (is_current && !under_way(&row.device)) {
                dead.push(row.device);
            } else {
                return true;
            }
            false
        });
        self.turn.unsaved.account |= !taken.is_empty() || !dead.is_empty();
        for device in dead {
            self.devices().is_unwanted(device);
            self.not_certified(&device, Rejection::Taken);
        }
        for LinkRow { device, package, name, history, .. } in taken {
            self.member_rows()
                .intend(&account.space(), Intention::AddDevice { device, package, history });
            self.devices().record_device(&device, &name, history);
            self.tell_linked(device);
        }
    }

    fn tell_linked(&mut self, device: DeviceId) {
        let Some(hosting) = &mut self.linking.hosting else { return };
        let rendezvous = hosting.rendezvous();
        let Stage::Certifying { channel, command, device: of } = &mut hosting.stage else { return };
        if *of != device {
            return;
        }
        let said = channel.say(&Onward::Linked, &mut self.turn.rng);
        let command = *command;
        self.linking.hosting = None;
        self.session.meet(self.turn, rendezvous, MeetStep::Say(Blob(said)));
        self.turn.respond(command, Ok(Response::Device(device)));
    }
}

/// Whether what a new device says of itself may be certified: it signed that it is to stand in this
/// account's log, and its key package is its own, in this account. By another one, the commit that
/// lets it in would be nobody's but this device's.
fn fits(reply: &Reply, offer: &Offer, account: &AccountId, at: (u64, &LogHead)) -> bool {
    let signature = reply.countersignature.as_slice();
    let leaf = read_key_package(reply.package.as_slice());
    countersigned(account, at, &reply.device, signature).is_ok()
        && reply.device.hpke == offer.hpke
        && leaf.is_ok_and(|leaf| leaf.device == reply.device.id() && leaf.account == *account)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::engine::seal;
    use crate::group::{Identity, new_key_package};
    use sync_protocol::device_log::{DeviceKeys, countersign};
    use sync_protocol::signing::SigningKey;

    const HEAD: LogHead = LogHead::from_bytes([5; 32]);

    fn account(n: u8) -> AccountId {
        AccountId::of_root_key(&[n; 32])
    }

    /// What a device with a key says that stands in one account's log and comes with a key package of
    /// another one's.
    fn reply(offer: &Offer, n: u8, (signs, packs): (AccountId, AccountId)) -> Reply {
        let signing = SigningKey::from_bytes(&[n; 32]);
        let device = DeviceKeys { signing: signing.verifying_key().to_bytes(), hpke: offer.hpke };
        let countersignature = countersign(&signs, 1, &HEAD, &device, &signing);
        let package = new_key_package(&Identity::new(packs, signing), [7; 32], false).unwrap();
        Reply {
            nonce: [1; 32],
            device,
            countersignature: Blob(countersignature.to_vec()),
            package: Blob(package.bytes),
        }
    }

    #[test]
    fn a_device_that_is_certified_stands_in_the_account_with_all_that_it_gives() {
        let (_, public) = seal::hpke_pair(&[1; 32]);
        let offer = Offer::new(RendezvousId::from_bytes([2; 16]), public, [3; 32], "Laptop");
        let (own, other) = (account(1), account(2));
        let judge = |reply: &Reply| fits(reply, &offer, &own, (1, &HEAD));
        let good = reply(&offer, 8, (own, own));
        assert!(judge(&good));
        assert!(!judge(&reply(&offer, 8, (other, own))), "it signed for another account");
        assert!(!judge(&reply(&offer, 8, (own, other))), "its leaf would be another account's");
        let package = reply(&offer, 9, (own, own)).package;
        assert!(!judge(&Reply { package, ..good.clone() }), "the package is another device's");
        let device = DeviceKeys { hpke: [9; 32], ..good.device };
        assert!(!judge(&Reply { device, ..good }));
    }
}
