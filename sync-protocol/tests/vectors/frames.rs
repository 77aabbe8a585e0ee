//! Every frame in both directions, and what a session's opening signs.

use ed25519_dalek::SigningKey;
use serde_json::{Value, json};
use sync_protocol::codec::{self, Blob};
use sync_protocol::frames::{
    Challenge, ClientFrame, Hello, RelayFrame, Session, sign_session, verify_session,
};
use sync_protocol::hash;
use sync_protocol::{ProtocolError, Rejection, signing};

use crate::draw::{CLIENT, Draw, RELAY};
use crate::said::said;
use crate::{bytes_of, hex, list, read, settle, writing};
#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const COMMITTED: &str = include_str!("../../../docs/vectors/frames.json");
/// Enough of each kind that every optional field is there once, and absent once.
const DRAWS: [u64; 4] = [1, 2, 3, 4];

fn vector(name: &str, bytes: &[u8]) -> Value {
    json!({ "name": name, "cbor": said(bytes), "bytes": hex(bytes) })
}

fn client_vectors() -> Vec<Value> {
    let make = |(nth, name): (usize, &&str)| {
        DRAWS.map(|draw| vector(name, &Draw(draw).client_frame(nth).to_bytes()))
    };
    CLIENT.iter().enumerate().flat_map(make).collect()
}

fn relay_vectors() -> Vec<Value> {
    let make = |(nth, name): (usize, &&str)| {
        DRAWS.map(|draw| vector(name, &Draw(draw).relay_frame(nth).to_bytes()))
    };
    RELAY.iter().enumerate().flat_map(make).collect()
}

fn rejection_vectors() -> Vec<Value> {
    let make = |nth| {
        let rejection = Draw(nth).rejection(nth);
        vector(rejection.kind(), &codec::encode(&rejection))
    };
    (0..15).map(make).collect()
}

fn session_vector() -> Value {
    let key = SigningKey::from_bytes(&[0x51; 32]);
    let public = key.verifying_key().to_bytes();
    let challenge = Draw(7).challenge();
    let device = sync_protocol::DeviceId::of_signing_key(&public);
    let mut hello = Hello { device, version: 1, signature: Blob::default(), ..Draw(7).hello() };
    let bare = codec::encode(&hello);
    let signed = [codec::encode(&challenge), bare.clone()].concat();
    hello.signature = sign_session(&Session { challenge: &challenge, hello: &hello }, &key);
    json!({
        "seed": hex([0x51; 32]),
        "public": hex(public),
        "challenge": hex(codec::encode(&challenge)),
        "hello without signature": hex(bare),
        "signed": hex(hash::framed(hash::SESSION, &[&signed])),
        "hello": hex(codec::encode(&hello)),
    })
}

fn refused_vectors() -> Vec<Value> {
    let credit = ClientFrame::Credit { bytes: 5 }.to_bytes();
    let mut trailing = credit.clone();
    trailing.push(0);
    let cases: [(&str, Vec<u8>); 6] = [
        ("nothing", Vec::new()),
        ("cut short", credit[..credit.len() - 1].to_vec()),
        ("a byte behind the frame", trailing),
        ("an unknown kind", vec![0x82, 0x18, 0x63, 0x80]),
        ("a number where a body belongs", vec![0x82, 0x05, 0x05]),
        ("an account of 32 bytes", short_account()),
    ];
    cases.into_iter().map(|(why, bytes)| json!({ "why": why, "bytes": hex(bytes) })).collect()
}

/// `[3, [{0: 1, 1: [5, [h'..32 bytes..']]}]]`.
fn short_account() -> Vec<u8> {
    let head = [0x82, 0x03, 0x81, 0xa2, 0x00, 0x01, 0x01, 0x82, 0x05, 0x81, 0x58, 0x20];
    [head.as_slice(), &[7; 32]].concat()
}

#[test]
fn frames_are_what_is_written_down() {
    let made = json!({
        "device": client_vectors(),
        "relay": relay_vectors(),
        "rejections": rejection_vectors(),
        "session": session_vector(),
        "refused": refused_vectors(),
    });
    settle("frames", COMMITTED, &made);
}

fn replay(json: &str) {
    let file = read(json);
    for vector in list(&file["device"]) {
        let bytes = bytes_of(&vector["bytes"]);
        let frame = ClientFrame::parse(&bytes).expect("a frame of a device");
        assert_eq!(frame.to_bytes(), bytes, "{}", vector["name"]);
        assert_eq!(said(&bytes), vector["cbor"], "{}", vector["name"]);
    }
    for vector in list(&file["relay"]) {
        let bytes = bytes_of(&vector["bytes"]);
        let frame = RelayFrame::parse(&bytes).expect("a frame of a relay");
        assert_eq!(frame.to_bytes(), bytes, "{}", vector["name"]);
    }
    for vector in list(&file["rejections"]) {
        let bytes = bytes_of(&vector["bytes"]);
        let rejection: Rejection = codec::decode("rejection", &bytes).expect("a rejection");
        assert_eq!(rejection.kind(), vector["name"]);
    }
    for vector in list(&file["refused"]) {
        let bytes = bytes_of(&vector["bytes"]);
        let malformed = Err(ProtocolError::Malformed("client frame"));
        assert_eq!(ClientFrame::parse(&bytes), malformed, "{}", vector["why"]);
    }
    replay_session(&file["session"]);
}

fn replay_session(vector: &Value) {
    let public: signing::PublicKey = crate::array_of(&vector["public"]);
    let (challenge, hello) = (bytes_of(&vector["challenge"]), bytes_of(&vector["hello"]));
    let challenge: Challenge = codec::decode("challenge", &challenge).expect("a challenge");
    let hello: Hello = codec::decode("hello", &hello).expect("a hello");
    let session = Session { challenge: &challenge, hello: &hello };
    assert_eq!(verify_session(&session, &public), Ok(()));
    let later = Challenge { time_ms: challenge.time_ms + 1, ..challenge };
    assert!(verify_session(&Session { challenge: &later, hello: &hello }, &public).is_err());
}

#[test]
fn frames_replay_from_their_text() {
    if !writing() {
        replay(COMMITTED);
    }
}
