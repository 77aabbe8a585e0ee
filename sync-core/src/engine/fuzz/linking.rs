//! Two devices that link, and somebody in between who photographed the offer: keeps, repeats, alters
//! and makes up what they say, in an order of their own choosing.

use sync_protocol::AccountId;
use sync_protocol::codec::{self, Blob};
use sync_protocol::device_log::DeviceKeys;
use sync_protocol::ids::{LogHead, RendezvousId};

use crate::engine::linking::link::{Channel, Invite, Offer, Onward, Reply};
use crate::engine::seal::{self, Secret};
use crate::trust::code;

use super::kit::Choices;
use super::rng;

/// Words that somebody in between may choose at most.
const STEPS: usize = 32;

pub(super) fn offer(secret: u8) -> (Offer, Secret) {
    let (hpke, public) = seal::hpke_pair(&[1; 32]);
    (Offer::new(RendezvousId::from_bytes([2; 16]), public, [secret; 32], "Laptop"), hpke)
}

pub(super) fn invite(n: u8) -> Invite {
    let (head, commitment) = (LogHead::from_bytes([5; 32]), code::commitment(&[n; 32]));
    let account = AccountId::of_root_key(&[n; 32]);
    Invite { account, index: 1, head, commitment, address: None, name: "Ada".to_owned() }
}

pub(super) fn reply(n: u8) -> Reply {
    let device = DeviceKeys { signing: [n; 32], hpke: [n; 32] };
    Reply { nonce: [n; 32], device, countersignature: Blob(vec![9; 64]), package: Blob(vec![n; 9]) }
}

/// One of the two, or somebody who talks to one of them in the other's place.
struct Side {
    channel: Channel,
    /// All that was said and heard, as values.
    values: Vec<Vec<u8>>,
    invite: Invite,
    replied: Option<Reply>,
    is_done: bool,
}

impl Side {
    fn new(channel: Channel, offer: &Offer, invite: &Invite) -> Self {
        let values = vec![codec::encode(offer), codec::encode(invite)];
        Self { channel, values, invite: invite.clone(), replied: None, is_done: false }
    }

    fn note<T: minicbor::Encode<()>>(&mut self, value: &T) {
        self.values.push(codec::encode(value));
    }

    /// As the new device, says who it is.
    fn answer(&mut self, n: u8) -> Option<Vec<u8>> {
        if self.replied.is_some() {
            return None;
        }
        let reply = reply(n);
        let said = self.channel.say(&reply, &mut rng(n));
        self.note(&reply);
        self.replied = Some(reply);
        Some(said)
    }

    /// As the new device, hears the nonce, and shows a code if it is the one that was committed to.
    fn hear_reveal(&mut self, message: &[u8]) -> Option<()> {
        let onward: Onward = self.channel.hear(message).ok()?;
        self.note(&onward);
        match onward {
            Onward::Reveal(nonce) if code::commitment(&nonce) == self.invite.commitment => {
                self.is_done = true;
                Some(())
            }
            _ => None,
        }
    }

    /// As the primary, hears who it is, and reveals.
    fn hear_reply(&mut self, message: &[u8], n: u8) -> Option<Vec<u8>> {
        let reply: Reply = self.channel.hear(message).ok()?;
        self.note(&reply);
        self.replied = Some(reply);
        let reveal = Onward::Reveal([n; 32]);
        let said = self.channel.say(&reveal, &mut rng(n));
        self.note(&reveal);
        self.is_done = true;
        Some(said)
    }
}

/// The primary (1), the new device (2), and whoever is in between (3).
struct Talk {
    host: Option<Side>,
    guest: Option<Side>,
    host_ended: bool,
    guest_ended: bool,
    /// All that was ever on the wire.
    wire: Vec<Vec<u8>>,
    /// Whoever is in between, as a primary to the new device.
    fake: Option<Side>,
}

/// Plays one talk.
pub(super) fn run(data: &[u8]) {
    let mut choices = Choices::new(data);
    let (genuine, secret) = offer(3);
    let (forged, forged_secret) = offer(4);
    // A person scans what they see: the new device's offer, or one of somebody else's.
    let is_genuine = !choices.byte().is_multiple_of(4);
    let scanned = if is_genuine { genuine.clone() } else { forged.clone() };
    let mut talk = Talk {
        host: None,
        guest: None,
        host_ended: false,
        guest_ended: false,
        wire: Vec::new(),
        fake: None,
    };
    for _ in 0..STEPS {
        if choices.is_over() {
            break;
        }
        match choices.below(8) {
            0 if talk.host.is_none() => {
                let invite = invite(1);
                let begun = Channel::host(&scanned, &invite, &mut rng(1));
                let (said, channel) = begun.expect("an offer of ours has a key");
                talk.host = Some(Side::new(channel, &scanned, &invite));
                talk.wire.push(said);
            }
            1 => {
                // Whoever photographed the offer begins, too.
                let invite = invite(choices.byte());
                let begun = Channel::host(&genuine, &invite, &mut rng(choices.byte()));
                let (said, channel) = begun.expect("an offer of ours has a key");
                talk.fake = Some(Side::new(channel, &genuine, &invite));
                talk.wire.push(said);
            }
            2 => {
                // It goes on with whatever it likes.
                let nonce = choices.byte();
                if let Some(fake) = &mut talk.fake {
                    let said = fake.channel.say(&Onward::Reveal([nonce; 32]), &mut rng(nonce));
                    fake.note(&Onward::Reveal([nonce; 32]));
                    talk.wire.push(said);
                }
            }
            3 => {
                if let Some(side) = talk.guest.as_mut().filter(|_| !talk.guest_ended)
                    && let Some(said) = side.answer(2)
                {
                    talk.wire.push(said);
                }
            }
            4 => {
                // It answers the primary in the new device's place, if its own offer was scanned.
                let first = talk.wire.first().cloned().unwrap_or_default();
                if let Ok((invite, channel)) = Channel::guest(&forged, &forged_secret, &first) {
                    let mut side = Side::new(channel, &forged, &invite);
                    talk.wire.extend(side.answer(choices.byte()));
                }
            }
            5 => {
                let message = chosen(&talk.wire, &mut choices);
                if let Some(fake) = &mut talk.fake
                    && let Ok(reply) = fake.channel.hear::<Reply>(&message)
                {
                    fake.note(&reply);
                }
            }
            6 => to_guest(&mut talk, &mut choices, &genuine, &secret),
            _ => to_host(&mut talk, &mut choices),
        }
    }
    judge(&talk);
}

/// A message that was on the wire, as it was or altered.
fn chosen(wire: &[Vec<u8>], choices: &mut Choices<'_>) -> Vec<u8> {
    let mut message = wire.get(choices.below(wire.len())).cloned().unwrap_or_default();
    let how = choices.byte();
    let at = choices.below(message.len());
    match how {
        0..200 => {}
        200..220 => message.truncate(at),
        220..240 => message.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1 + how % 16),
        _ => message.extend_from_slice(choices.bytes()),
    }
    message
}

/// As the engine does: what does not open ends the talk, for good.
fn to_guest(talk: &mut Talk, choices: &mut Choices<'_>, offer: &Offer, secret: &Secret) {
    let message = chosen(&talk.wire, choices);
    if talk.guest_ended {
        return;
    }
    match &mut talk.guest {
        None => match Channel::guest(offer, secret, &message) {
            Ok((invite, channel)) => talk.guest = Some(Side::new(channel, offer, &invite)),
            Err(_) => talk.guest_ended = true,
        },
        Some(side) if side.is_done => {}
        Some(side) => {
            let heard = side.replied.is_some().then(|| side.hear_reveal(&message)).flatten();
            talk.guest_ended = heard.is_none();
        }
    }
}

fn to_host(talk: &mut Talk, choices: &mut Choices<'_>) {
    let message = chosen(&talk.wire, choices);
    let Some(side) = talk.host.as_mut().filter(|side| !side.is_done && !talk.host_ended) else {
        return;
    };
    match side.hear_reply(&message, 1) {
        Some(said) => talk.wire.push(said),
        None => talk.host_ended = true,
    }
}

/// The digits are the same only where both said and heard the same.
fn judge(talk: &Talk) {
    let (Some(host), Some(guest)) = (&talk.host, &talk.guest) else { return };
    if !host.is_done || !guest.is_done {
        return;
    }
    let same = host.values == guest.values;
    assert_eq!(host.channel.code() == guest.channel.code(), same, "the code is of the values");
    if same {
        assert_eq!(host.replied, guest.replied, "the device that is certified is the one shown");
        assert_eq!(host.invite, guest.invite);
    }
}
