#![allow(clippy::unwrap_used)]
use super::*;
use crate::engine::vector_tests::{bytes_of, hex, list, settle};
use crate::trust::code;
use rand_core::SeedableRng;
use serde_json::{Value, json};

const LINKING: &str = include_str!("../../../../docs/vectors/linking.json");

fn rng() -> rand_chacha::ChaCha20Rng {
    rand_chacha::ChaCha20Rng::from_seed([9; 32])
}

fn offer(secret: u8) -> (Offer, Secret) {
    let (hpke, public) = seal::hpke_pair(&[1; 32]);
    let rendezvous = RendezvousId::from_bytes([2; 16]);
    (Offer::new(rendezvous, public, [secret; 32], "Laptop"), hpke)
}

fn invite() -> Invite {
    let account = AccountId::of_root_key(&[4; 32]);
    let (head, commitment) = (LogHead::from_bytes([5; 32]), code::commitment(&[6; 32]));
    let (address, name) = (Some("ada".to_owned()), "Ada".to_owned());
    Invite { account, index: 1, head, commitment, address, name }
}

fn reply() -> Reply {
    let device = DeviceKeys { signing: [8; 32], hpke: offer(3).0.hpke };
    let (countersignature, package) = (Blob(vec![9; 64]), Blob(vec![10; 30]));
    Reply { nonce: [7; 32], device, countersignature, package }
}

/// The bytes with one of them changed, left out, or one more put in, in every way there is.
fn nearly(bytes: &[u8], mut visit: impl FnMut(&[u8])) {
    for at in 0..=bytes.len() {
        let (before, after) = bytes.split_at(at);
        for byte in 0..=u8::MAX {
            visit(&[before, &[byte], after].concat());
            if after.first().is_some_and(|known| *known != byte) {
                visit(&[before, &[byte], &after[1..]].concat());
            }
        }
        if !after.is_empty() {
            visit(&[before, &after[1..]].concat());
        }
    }
}

/// Every other message that would be heard: each means something else.
fn others<T>(value: &T) -> Vec<T>
where
    T: for<'b> Decode<'b, ()> + Encode<()> + PartialEq,
{
    let mut heard = Vec::new();
    nearly(&codec::encode(value), |bytes| heard.extend(codec::decode_exact::<T>("it", bytes)));
    assert!(heard.iter().all(|other| other != value), "two spellings of one message");
    heard
}

#[test]
fn both_sides_come_to_the_same_code() {
    let mut rng = rng();
    let (offer, secret) = offer(3);
    let scanned = Offer::parse(&offer.to_text().to_lowercase()).unwrap();
    let (first, mut host) = Channel::host(&scanned, &invite(), &mut rng).unwrap();
    let (heard, mut guest) = Channel::guest(&offer, &secret, &first).unwrap();
    assert_eq!(heard, invite());
    let said = guest.say(&reply(), &mut rng);
    assert_eq!(host.hear::<Reply>(&said), Ok(reply()));
    let reveal = host.say(&Onward::Reveal([6; 32]), &mut rng);
    assert_eq!(guest.hear(&reveal), Ok(Onward::Reveal([6; 32])));
    assert_eq!(host.code(), guest.code());
    assert!(offer.to_text().len() < 224, "{}", offer.to_text().len());
}

#[test]
fn whoever_does_not_know_the_offers_secret_is_not_heard() {
    let (genuine, secret) = offer(3);
    let (forged, _) = offer(4);
    let (first, _) = Channel::host(&forged, &invite(), &mut rng()).unwrap();
    assert!(Channel::guest(&genuine, &secret, &first).is_err());
}

#[test]
fn an_offer_has_one_spelling() {
    let (offer, _) = offer(3);
    nearly(&codec::encode(&offer), |bytes| {
        let text = format!("{PREFIX}{}", data_encoding::BASE32_NOPAD.encode(bytes));
        if let Ok(other) = Offer::parse(&text) {
            assert_ne!(codec::encode(&other), codec::encode(&offer), "{text}");
        }
    });
}

#[test]
fn each_other_invite_or_reply_leads_to_another_code() {
    let (offer, _) = offer(3);
    let digits = |invite: &Invite, reply: &Reply| {
        let mut transcript = Transcript::begin(&offer, invite);
        transcript.absorb(reply);
        transcript.absorb(&Onward::Reveal([6; 32]));
        transcript
    };
    let genuine = digits(&invite(), &reply());
    let invites = others(&invite());
    assert!(invites.iter().all(|other| digits(other, &reply()) != genuine));
    let replies = others(&reply());
    assert!(replies.iter().all(|other| digits(&invite(), other) != genuine));
    assert!(invites.len() > 10_000 && replies.len() > 10_000, "values are free before they bind");
}

/// Who speaks last knows all the rest. Nothing that it can say then is both heard and its own
/// choice: with one free byte in seven it would choose the digits.
#[test]
fn the_last_word_leaves_no_choice() {
    let commitment = invite().commitment;
    for other in others(&Onward::Reveal([6; 32])) {
        match other {
            Onward::Reveal(nonce) => assert_ne!(code::commitment(&nonce), commitment),
            Onward::Linked => {}
        }
    }
    assert_eq!(others(&Onward::Linked), []);
}

#[test]
fn what_is_put_behind_a_nonce_is_not_heard() {
    let mut rng = rng();
    let (offer, secret) = offer(3);
    let (first, mut host) = Channel::host(&offer, &invite(), &mut rng).unwrap();
    let (_, mut guest) = Channel::guest(&offer, &secret, &first).unwrap();
    let before = guest.code();
    // [0, [nonce, 5]]
    let mut padded = codec::encode(&Onward::Reveal([6; 32]));
    padded[2] += 1;
    padded.push(5);
    assert!(codec::decode::<Onward>("it", &padded).is_ok(), "a lenient reader takes it");
    let sealed = seal::seal(&host.sending, host.transcript.as_bytes(), &padded, &mut rng);
    assert_eq!(guest.hear::<Onward>(&sealed), Err(DoesNotOpen));
    assert_eq!(guest.code(), before);
    let honest = host.say(&Onward::Reveal([6; 32]), &mut rng);
    assert!(guest.hear::<Onward>(&honest).is_ok());
}

/// Messages that are not heard although a lenient reader would take them, each with why.
fn refused() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let reveal = codec::encode(&Onward::Reveal([6; 32]));
    let mut padded = reveal.clone();
    padded[2] += 1;
    padded.push(5);
    let long = [&[0x82, 0x18, 0x00], &reveal[2..]].concat();
    let mut more = codec::encode(&invite());
    more[0] += 1;
    more.extend([0x18, 0x63, 0x00]);
    let mut indefinite = codec::encode(&reply());
    indefinite[0] = 0xbf;
    indefinite.push(0xff);
    vec![
        ("a field behind the nonce", "reveal", padded),
        ("a number in two bytes", "reveal", long),
        ("a key that nobody knows", "invite", more),
        ("an indefinite length", "reply", indefinite),
    ]
}

#[test]
fn linking_vectors_are_what_is_written_down() {
    let offer = offer(3).0;
    let mut transcript = Transcript::begin(&offer, &invite());
    transcript.absorb(&reply());
    transcript.absorb(&Onward::Reveal([6; 32]));
    let refused = refused().into_iter();
    let refused =
        refused.map(|(why, what, bytes)| json!({ "why": why, "what": what, "bytes": hex(bytes) }));
    let made = json!({
        "offer": offer.to_text(),
        "invite": hex(codec::encode(&invite())),
        "reply": hex(codec::encode(&reply())),
        "nonce": hex([6; 32]),
        "commitment": hex(code::commitment(&[6; 32])),
        "reveal": hex(codec::encode(&Onward::Reveal([6; 32]))),
        "transcript": hex(transcript.as_bytes()),
        "code": transcript.code(),
        "refused": refused.collect::<Value>(),
    });
    settle("linking", LINKING, &made);
    if std::env::var_os("REJOINDER_WRITE_VECTORS").is_none() {
        replay(LINKING);
    }
}

/// From the text alone.
fn replay(json: &str) {
    let file: Value = serde_json::from_str(json).unwrap();
    let offer = Offer::parse(file["offer"].as_str().unwrap()).unwrap();
    let invite: Invite = codec::decode_exact("invite", &bytes_of(&file["invite"])).unwrap();
    let reply: Reply = codec::decode_exact("reply", &bytes_of(&file["reply"])).unwrap();
    let reveal: Onward = codec::decode_exact("reveal", &bytes_of(&file["reveal"])).unwrap();
    let mut transcript = Transcript::begin(&offer, &invite);
    transcript.absorb(&reply);
    transcript.absorb(&reveal);
    assert_eq!(hex(transcript.as_bytes()), file["transcript"]);
    assert_eq!(transcript.code(), file["code"]);
    assert_eq!(hex(invite.commitment), file["commitment"]);
    for vector in list(&file["refused"]) {
        let bytes = bytes_of(&vector["bytes"]);
        let heard = match vector["what"].as_str() {
            Some("invite") => codec::decode_exact::<Invite>("it", &bytes).is_ok(),
            Some("reply") => codec::decode_exact::<Reply>("it", &bytes).is_ok(),
            _ => codec::decode_exact::<Onward>("it", &bytes).is_ok(),
        };
        assert!(!heard, "{}", vector["why"]);
    }
}
