//! Envelopes of each kind, and messages in parts.

use ed25519_dalek::SigningKey;
use serde_json::{Value, json};
use sync_protocol::codec::{self, Assembler, Blob};
use sync_protocol::envelope::{
    Chain, CommitHeader, Cut, Envelope, Header, Intent, Kind, aad, epoch_id,
};
use sync_protocol::ids::{Commitment, LogHead};
use sync_protocol::roster::{Role, RosterChange};
use sync_protocol::{AccountId, DeviceId, EpochId, Link, SpaceId, WriterId, limits};

use crate::identity::writer_of;
use crate::said::said;
use crate::{array_of, bytes_of, hex, list, number, read, settle, writing};
#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const ENVELOPES: &str = include_str!("../../../docs/vectors/envelopes.json");
const PARTS: &str = include_str!("../../../docs/vectors/parts.json");

const SEED: [u8; 32] = [0x21; 32];

fn key() -> SigningKey {
    SigningKey::from_bytes(&SEED)
}

fn writer() -> WriterId {
    let device = DeviceId::of_signing_key(&key().verifying_key().to_bytes());
    WriterId { device, incarnation: 0x1122_3344 }
}

fn space() -> SpaceId {
    SpaceId::from_bytes([0x22; 32])
}

fn header(kind: Kind) -> Header {
    Header::new(kind, EpochId::from_bytes([0x23; 32]), 300)
}

fn content() -> Header {
    let commitment = Commitment::from_bytes([0x24; 32]);
    let link = Link::START.next(&writer(), 1, &commitment);
    Header { chain: Some(Chain { seq: 1, commitment, link }), ..header(Kind::Content) }
}

fn founding() -> CommitHeader {
    let account = AccountId::of_root_key(&[1; 32]);
    let add = RosterChange::Add { account, role: Role::Admin, devices: vec![writer().device] };
    CommitHeader {
        parent: EpochId::NONE,
        number: 0,
        min_version: 1,
        roster: vec![add],
        logs: Vec::new(),
        cuts: Vec::new(),
        intents: Vec::new(),
        ticket: None,
        era: 0,
    }
}

/// A commit that uses every field and every change.
fn eventful() -> CommitHeader {
    let account = |n: u8| AccountId::of_root_key(&[n; 32]);
    let device = |n: u8| DeviceId::of_signing_key(&[n; 32]);
    CommitHeader {
        parent: EpochId::from_bytes([0x23; 32]),
        number: 7,
        min_version: 1,
        roster: vec![
            RosterChange::Add {
                account: account(2),
                role: Role::Member,
                devices: vec![device(2), device(3)],
            },
            RosterChange::Remove { account: account(4) },
            RosterChange::SetRole { account: account(5), role: Role::Admin },
            RosterChange::AddDevices { account: account(5), devices: vec![device(6)] },
            RosterChange::RemoveDevices { account: account(5), devices: vec![device(7)] },
        ],
        logs: vec![(account(2), 3, LogHead::from_bytes([0x25; 32]))],
        cuts: vec![Cut { device: device(7), index: 300, seen: [9; 8] }],
        intents: vec![Blob(vec![0x26; 32])],
        ticket: Some(Blob(vec![0x27; 32])),
        era: 3,
    }
}

fn handshake(commit: &CommitHeader) -> Header {
    let commit_bytes = codec::encode(commit);
    let child = epoch_id(&space(), &commit.parent, &commit_bytes, &[0x28; 32]);
    let cursor = if commit.number == 0 { 0 } else { 300 };
    let epoch = commit.parent;
    let commit = Some(Blob(commit_bytes));
    let commitment = Some(Commitment::from_bytes([0x28; 32]));
    Header { epoch, cursor, commit, child: Some(child), commitment, ..header(Kind::Handshake) }
}

fn vector(name: &str, header: Header, payload: &[u8]) -> Value {
    let (space, writer) = (space(), writer());
    let envelope = Envelope::sign(&space, &writer, header, payload.to_vec(), &key());
    let mut vector = json!({
        "name": name,
        "header said": said(envelope.header_bytes()),
        "header": hex(envelope.header_bytes()),
        "payload": hex(payload),
        "aad": hex(aad(&space, &writer, envelope.header_bytes())),
        "bytes": hex(envelope.to_bytes()),
    });
    if let Some(commit) = &envelope.header.commit {
        vector["commit header said"] = said(commit.as_slice()).into();
        vector["commit header hash"] = hex(CommitHeader::hash(commit.as_slice()));
        vector["key commitment"] = hex([0x28; 32]);
    }
    if envelope.header.intent.is_some() {
        vector["intent hash"] = hex(envelope.intent_hash(&space, &writer));
    }
    vector
}

fn raw(header: &Header, payload: &[u8], signature: &[u8]) -> Vec<u8> {
    let mut e = minicbor::Encoder::new(Vec::new());
    let written = e
        .array(3)
        .and_then(|e| e.bytes(&codec::encode(header)))
        .and_then(|e| e.bytes(payload))
        .and_then(|e| e.bytes(signature));
    written.expect("encoding to memory cannot fail");
    e.into_writer()
}

fn refused() -> Vec<Value> {
    let zero = Chain { seq: 0, ..content().chain.expect("content has a chain") };
    let good = raw(&content(), b"p", &[0; 64]);
    let cases: [(&str, Vec<u8>); 9] = [
        ("a header of version 2", raw(&Header { version: 2, ..content() }, b"p", &[0; 64])),
        ("suite 2", raw(&Header { suite: 2, ..content() }, b"p", &[0; 64])),
        ("content without a chain", raw(&header(Kind::Content), b"p", &[0; 64])),
        ("content numbered 0", raw(&Header { chain: Some(zero), ..content() }, b"p", &[0; 64])),
        ("a handshake without a commit header", raw(&header(Kind::Handshake), b"p", &[0; 64])),
        ("an intent for nothing", raw(&header(Kind::Intent), b"p", &[0; 64])),
        ("a signature of 63 bytes", raw(&content(), b"p", &[0; 63])),
        ("cut short", good[..good.len() - 1].to_vec()),
        ("a signal of more than 4096 bytes", raw(&header(Kind::Signal), &[0; 4096], &[0; 64])),
    ];
    cases.into_iter().map(|(why, bytes)| json!({ "why": why, "bytes": hex(bytes) })).collect()
}

#[test]
fn envelopes_are_what_is_written_down() {
    let leave = Header { intent: Some(Intent::Leave), ..header(Kind::Intent) };
    let register = Header { register: Some(5), ..header(Kind::Register) };
    let made = json!({
        "seed": hex(SEED),
        "public": hex(key().verifying_key().to_bytes()),
        "space": hex(space().as_bytes()),
        "device": hex(writer().device.as_bytes()),
        "incarnation": number(writer().incarnation),
        "envelopes": [
            vector("content", content(), b"sealed"),
            vector("founding", handshake(&founding()), b""),
            vector("handshake", handshake(&eventful()), b"sealed commit"),
            vector("leave", leave, b""),
            vector("register", register, b"sealed"),
            vector("signal", header(Kind::Signal), b"sealed"),
        ],
        "refused": refused(),
    });
    settle("envelopes", ENVELOPES, &made);
}

fn replay_envelopes(json: &str) {
    let file = read(json);
    let (space, writer) = (SpaceId::from_bytes(array_of(&file["space"])), writer_of(&file));
    let public = array_of(&file["public"]);
    for vector in list(&file["envelopes"]) {
        let bytes = bytes_of(&vector["bytes"]);
        let envelope = Envelope::parse(&bytes).expect("an envelope");
        assert_eq!(envelope.verify(&space, &writer, &public), Ok(()), "{}", vector["name"]);
        assert_eq!(envelope.to_bytes(), bytes);
        assert_eq!(hex(envelope.payload()), vector["payload"]);
        assert_eq!(hex(aad(&space, &writer, envelope.header_bytes())), vector["aad"]);
        if let Some(commit) = &envelope.header.commit {
            assert_eq!(hex(CommitHeader::hash(commit.as_slice())), vector["commit header hash"]);
            let parent = envelope.commit().expect("a commit header").parent;
            let commitment = array_of(&vector["key commitment"]);
            let child = epoch_id(&space, &parent, commit.as_slice(), &commitment);
            assert_eq!(envelope.header.child, Some(child));
        }
        if envelope.header.intent.is_some() {
            assert_eq!(hex(envelope.intent_hash(&space, &writer)), vector["intent hash"]);
        }
        let other = WriterId { incarnation: writer.incarnation + 1, ..writer };
        assert!(envelope.verify(&space, &other, &public).is_err());
    }
    for vector in list(&file["refused"]) {
        assert!(Envelope::parse(&bytes_of(&vector["bytes"])).is_err(), "{}", vector["why"]);
    }
}

/// The message of a length: byte `n` is `n` modulo 251.
fn message(length: usize) -> Vec<u8> {
    (0..length).map(|n| (n % 251) as u8).collect()
}

#[test]
fn parts_are_what_is_written_down() {
    let lengths =
        [0, 1, limits::PART - 2, limits::PART - 1, limits::PART, 2 * limits::PART, 20_000];
    let cut = lengths.map(|length| {
        let parts: Vec<_> = codec::parts(&message(length))
            .map(|part| json!({ "lead": part[0], "length": part.len() }))
            .collect();
        json!({ "length": length, "parts": parts })
    });
    let refused = json!([
        { "why": "an empty part", "bytes": "" },
        { "why": "more to follow, and nothing here", "bytes": "01" },
        { "why": "an unknown lead byte", "bytes": "02ff" },
    ]);
    let made = json!({ "byte n of a message is n mod": 251, "messages": cut, "refused": refused });
    settle("parts", PARTS, &made);
}

fn replay_parts(json: &str) {
    let file = read(json);
    for vector in list(&file["messages"]) {
        let length = vector["length"].as_u64().expect("a length") as usize;
        let message = message(length);
        let mut rest = message.as_slice();
        let mut assembler = Assembler::default();
        let mut whole = None;
        for part in list(&vector["parts"]) {
            let size = part["length"].as_u64().expect("a length") as usize - 1;
            let (chunk, behind) = rest.split_at(size);
            let lead = part["lead"].as_u64().expect("a lead byte") as u8;
            let bytes = [&[lead], chunk].concat();
            whole = assembler.push(&bytes, limits::MESSAGE).expect("a good part");
            rest = behind;
        }
        assert_eq!(whole.as_ref(), Some(&message));
    }
    for vector in list(&file["refused"]) {
        let part = bytes_of(&vector["bytes"]);
        assert!(Assembler::default().push(&part, 100).is_err(), "{}", vector["why"]);
    }
}

#[test]
fn messages_replay_from_their_text() {
    if !writing() {
        replay_envelopes(ENVELOPES);
        replay_parts(PARTS);
    }
}
