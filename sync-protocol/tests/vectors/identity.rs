//! Hashes, ids, links and device logs.

use ed25519_dalek::SigningKey;
use serde_json::{Value, json};
use sync_protocol::address::Address;
use sync_protocol::codec;
use sync_protocol::device_log::{
    Action, DeviceKeys, DeviceLog, Founding, LogEntry, RecoveryKeys, countersign, found, sign_entry,
};
use sync_protocol::frontier::{Step, Tip};
use sync_protocol::hash::{self, Domain};
use sync_protocol::{AccountId, DeviceId, Link, WriterId};

use crate::said::said;
use crate::{array_of, bytes_of, hex, list, number, number_of, read, settle, writing};
#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const HASH: &str = include_str!("../../../docs/vectors/hash.json");
const IDS: &str = include_str!("../../../docs/vectors/ids.json");
const LINKS: &str = include_str!("../../../docs/vectors/links.json");
const DEVICE_LOG: &str = include_str!("../../../docs/vectors/device_log.json");

const DOMAINS: [Domain; 18] = [
    hash::ACCOUNT_ID,
    hash::DEVICE_ID,
    hash::ACCOUNT_SPACE,
    hash::LINK,
    hash::EPOCH,
    hash::COMMIT_HEADER,
    hash::LOG_HEAD,
    hash::LOG_ENTRY,
    hash::COUNTERSIGN,
    hash::ENVELOPE,
    hash::ENVELOPE_AAD,
    hash::SESSION,
    hash::INBOX,
    hash::WELCOME,
    hash::WRITER_TAG,
    hash::MEMBERSHIP,
    hash::TOKEN,
    hash::INTENT,
];

#[test]
fn hashes_are_what_is_written_down() {
    let part_lists: [&[&[u8]]; 4] = [&[], &[b""], &[b"ab", b"c"], &[b"a", b"bc"]];
    let made: Vec<Value> = DOMAINS
        .into_iter()
        .flat_map(|domain| part_lists.map(|parts| hash_vector(domain, parts)))
        .collect();
    settle("hash", HASH, &json!({ "vectors": made }));
}

fn hash_vector(domain: Domain, parts: &[&[u8]]) -> Value {
    json!({
        "domain": domain.name(),
        "parts": parts.iter().map(hex).collect::<Vec<_>>(),
        "framed": hex(hash::framed(domain, parts)),
        "hash": hex(hash::hash(domain, parts)),
    })
}

fn replay_hashes(json: &str) {
    for vector in list(&read(json)["vectors"]) {
        let domain = DOMAINS.into_iter().find(|domain| vector["domain"] == domain.name());
        let domain = domain.expect("a domain of this crate");
        let parts: Vec<_> = list(&vector["parts"]).iter().map(bytes_of).collect();
        let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
        assert_eq!(hash::hash(domain, &parts).to_vec(), bytes_of(&vector["hash"]));
        assert_eq!(hash::framed(domain, &parts), bytes_of(&vector["framed"]));
    }
}

fn writer(n: u8, incarnation: u64) -> WriterId {
    WriterId { device: DeviceId::of_signing_key(&[n; 32]), incarnation }
}

#[test]
fn ids_are_what_is_written_down() {
    let account = |n: u8| {
        let id = AccountId::of_root_key(&[n; 32]);
        json!({
            "root key": hex([n; 32]),
            "id": hex(id.as_bytes()),
            "text": id.to_string(),
            "space": hex(id.space().as_bytes()),
        })
    };
    let device = |n: u8| {
        let id = DeviceId::of_signing_key(&[n; 32]);
        json!({ "signing key": hex([n; 32]), "id": hex(id.as_bytes()), "text": id.to_string() })
    };
    let writers = [(1, 0), (1, 23), (2, 0x0102_0304_0506_0708), (3, u64::MAX)].map(|(n, inc)| {
        let writer = writer(n, inc);
        json!({
            "device": hex(writer.device.as_bytes()),
            "incarnation": number(inc),
            "bytes": hex(writer.to_bytes()),
            "tag": hex(writer.tag()),
            "cbor": hex(codec::encode(&writer)),
        })
    });
    let typed = [
        "+4915112345678",
        " Ada.Lovelace ",
        "bob_7",
        "+0123456789",
        "+123456",
        "ab",
        "7up",
        "a b",
        "na\u{ef}ve",
        "",
        "+1234567",
        "+1234567890123456",
        "+49 (170) 123-45.67",
        "0049 170 1234567",
        "0170 1234567",
        "+49 (0)170 1234567",
    ];
    let addresses = typed.map(|typed| {
        let parsed = typed.parse::<Address>().ok().map(|address| address.to_string());
        json!({ "typed": typed, "address": parsed })
    });
    let made = json!({
        "accounts": [account(0), account(1), account(255)],
        "devices": [device(0), device(1), device(255)],
        "writers": writers,
        "addresses": addresses,
    });
    settle("ids", IDS, &made);
}

fn replay_ids(json: &str) {
    let file = read(json);
    for vector in list(&file["accounts"]) {
        let id = AccountId::of_root_key(&array_of(&vector["root key"]));
        assert_eq!(id.as_bytes().to_vec(), bytes_of(&vector["id"]));
        assert_eq!(vector["text"].as_str().and_then(|text| text.parse().ok()), Some(id));
        assert_eq!(id.space().as_bytes().to_vec(), bytes_of(&vector["space"]));
    }
    for vector in list(&file["devices"]) {
        let id = DeviceId::of_signing_key(&array_of(&vector["signing key"]));
        assert_eq!(id.as_bytes().to_vec(), bytes_of(&vector["id"]));
    }
    for vector in list(&file["writers"]) {
        let writer = writer_of(vector);
        assert_eq!(writer.to_bytes().to_vec(), bytes_of(&vector["bytes"]));
        assert_eq!(writer.tag(), array_of(&vector["tag"]));
        assert_eq!(codec::encode(&writer), bytes_of(&vector["cbor"]));
    }
    for vector in list(&file["addresses"]) {
        let typed = vector["typed"].as_str().expect("text");
        let parsed = typed.parse::<Address>().ok();
        assert_eq!(parsed.as_ref().map(Address::as_str), vector["address"].as_str(), "{typed:?}");
    }
}

pub(crate) fn writer_of(vector: &Value) -> WriterId {
    let device = DeviceId::from_bytes(array_of(&vector["device"]));
    WriterId { device, incarnation: number_of(&vector["incarnation"]) }
}

#[test]
fn links_are_what_is_written_down() {
    let writer = writer(4, 9);
    let mut tip = Tip::START;
    let mut chain = Vec::new();
    for n in 1..=4u8 {
        let commitment = sync_protocol::ids::Commitment::from_bytes([n; 32]);
        let seq = tip.seq + 1;
        tip = Tip { seq, link: tip.link.next(&writer, seq, &commitment) };
        chain.push(json!({
            "seq": number(seq),
            "commitment": hex(commitment.as_bytes()),
            "link": hex(tip.link.as_bytes()),
        }));
    }
    let judged: Vec<Value> = chain_cases(&writer, tip).into_iter().collect();
    let made = json!({
        "device": hex(writer.device.as_bytes()),
        "incarnation": number(writer.incarnation),
        "chain": chain,
        "judged against the last": judged,
    });
    settle("links", LINKS, &made);
}

fn chain_cases(writer: &WriterId, tip: Tip) -> [Value; 6] {
    let commitment = |n: u8| sync_protocol::ids::Commitment::from_bytes([n; 32]);
    let next = tip.link.next(writer, 5, &commitment(5));
    let cases = [
        (5, commitment(5), next),
        (5, commitment(6), next),
        (6, commitment(5), next),
        (4, commitment(4), tip.link),
        (4, commitment(5), next),
        (3, commitment(5), next),
    ];
    cases.map(|(seq, commitment, link)| {
        json!({
            "seq": number(seq),
            "commitment": hex(commitment.as_bytes()),
            "link": hex(link.as_bytes()),
            "step": step_name(tip.judge(writer, seq, &commitment, &link)),
        })
    })
}

fn step_name(step: Step) -> &'static str {
    match step {
        Step::Next => "next",
        Step::Known => "known",
        Step::Gap => "gap",
        Step::Equivocation => "equivocation",
        Step::Broken => "broken",
    }
}

fn replay_links(json: &str) {
    let file = read(json);
    let writer = writer_of(&file);
    let parts = |vector: &Value| {
        let commitment =
            sync_protocol::ids::Commitment::from_bytes(array_of(&vector["commitment"]));
        (number_of(&vector["seq"]), commitment, Link::from_bytes(array_of(&vector["link"])))
    };
    let mut tip = Tip::START;
    for vector in list(&file["chain"]) {
        let (seq, commitment, link) = parts(vector);
        assert_eq!(tip.judge(&writer, seq, &commitment, &link), Step::Next);
        tip = Tip { seq, link };
    }
    for vector in list(&file["judged against the last"]) {
        let (seq, commitment, link) = parts(vector);
        let step = tip.judge(&writer, seq, &commitment, &link);
        assert_eq!(step_name(step), vector["step"]);
    }
}

/// A log under construction, with the keys that sign it.
struct Chronicle {
    account: AccountId,
    log: DeviceLog,
    entries: Vec<Value>,
}

fn key(n: u8) -> SigningKey {
    SigningKey::from_bytes(&[n; 32])
}

fn public(n: u8) -> [u8; 32] {
    key(n).verifying_key().to_bytes()
}

fn device_keys(n: u8) -> DeviceKeys {
    DeviceKeys { signing: public(n), hpke: [n + 100; 32] }
}

fn recovery(n: u8) -> RecoveryKeys {
    RecoveryKeys { signing: public(n), hpke: [n + 100; 32] }
}

impl Chronicle {
    fn begin() -> Self {
        let account = AccountId::of_root_key(&public(1));
        let founding = Founding {
            device: device_keys(2),
            join: [50; 32],
            recovery: recovery(3),
            escrow: None,
        };
        let bytes = found(&key(1), &key(2), founding);
        let log = DeviceLog::verify(&account, &[&bytes]).expect("a good genesis");
        let mut chronicle = Self { account, log, entries: Vec::new() };
        chronicle.note("genesis", 1, &bytes);
        chronicle
    }

    fn sign(&self, action: Action, signer: u8) -> Vec<u8> {
        let previous = self.log.head();
        let entry = LogEntry { version: 1, index: self.log.len(), previous, action, escrow: None };
        sign_entry(&self.account, &entry, &key(signer))
    }

    fn append(&mut self, what: &str, action: Action, signer: u8) {
        let bytes = self.sign(action, signer);
        self.log.append(&bytes).expect("a good entry");
        self.note(what, signer, &bytes);
    }

    fn note(&mut self, what: &str, signer: u8, bytes: &[u8]) {
        let active: Vec<_> = self.log.devices().map(|(id, _)| hex(id.as_bytes())).collect();
        self.entries.push(json!({
            "what": what,
            "signer's seed": hex([signer; 32]),
            "said": said(&body_of(bytes)),
            "bytes": hex(bytes),
            "head": hex(self.log.head().as_bytes()),
            "primary": hex(self.log.primary().as_bytes()),
            "join": hex(self.log.join()),
            "active": active,
        }));
    }

    fn countersigned(&self, n: u8) -> Vec<u8> {
        let (index, head) = (self.log.len(), self.log.head());
        countersign(&self.account, index, &head, &device_keys(n), &key(n)).to_vec()
    }

    fn add(&mut self, n: u8, signer: u8) {
        let countersignature = self.countersigned(n);
        let action = Action::AddDevice { device: device_keys(n), countersignature };
        self.append("add device", action, signer);
    }

    fn refusal(&self, why: &str, action: Action, signer: u8) -> Value {
        let bytes = self.sign(action, signer);
        assert!(self.log.clone().append(&bytes).is_err(), "{why}");
        json!({ "why": why, "after": self.entries.len(), "bytes": hex(bytes) })
    }
}

/// The signed body of an entry: `{0: body, 1: signature}`.
fn body_of(entry: &[u8]) -> Vec<u8> {
    let mut d = minicbor::Decoder::new(entry);
    d.map().expect("a map");
    d.u8().expect("a key");
    d.bytes().expect("a body").to_vec()
}

#[test]
fn device_logs_are_what_is_written_down() {
    let mut log = Chronicle::begin();
    let forged = Action::AddDevice { device: device_keys(4), countersignature: vec![0; 64] };
    let unasked =
        Action::AddDevice { device: device_keys(4), countersignature: log.countersigned(4) };
    let mut refused = vec![
        log.refusal("no countersignature", forged, 2),
        log.refusal("not signed by the primary", unasked, 4),
    ];
    log.add(4, 2);
    log.add(5, 2);
    let cuts = vec![(writer(5, 9), 3, Link::from_bytes([8; 32]))];
    let device = device_keys(5).id();
    let revoke = Action::Revoke { device, join: [51; 32], cuts };
    refused.push(log.refusal("revoked by another companion", revoke.clone(), 4));
    log.append("revoke", revoke, 2);
    let again =
        Action::AddDevice { device: device_keys(5), countersignature: log.countersigned(5) };
    refused.push(log.refusal("a revoked device comes back", again, 2));
    log.append("rotate join key", Action::RotateJoinKey { join: [52; 32] }, 2);
    log.append("set recovery", Action::SetRecovery { recovery: recovery(6) }, 2);
    log.append("change primary", Action::ChangePrimary { device: device_keys(4).id() }, 2);
    let recover = Action::Recover {
        device: device_keys(7),
        join: [53; 32],
        recovery: recovery(8),
        countersignature: log.countersigned(7),
    };
    refused.push(log.refusal("recovered with a code that was replaced", recover.clone(), 3));
    log.append("recover", recover, 6);
    let old = Action::RotateJoinKey { join: [54; 32] };
    refused.push(log.refusal("signed by a device that recovery ended", old, 4));
    let made = json!({
        "account": hex(log.account.as_bytes()),
        "entries": log.entries,
        "refused": refused,
    });
    settle("device_log", DEVICE_LOG, &made);
}

fn replay_device_log(json: &str) {
    let file = read(json);
    let account = AccountId::from_bytes(array_of(&file["account"]));
    let entries: Vec<_> = list(&file["entries"]).iter().map(|v| bytes_of(&v["bytes"])).collect();
    for (n, vector) in list(&file["entries"]).iter().enumerate() {
        let log = DeviceLog::verify(&account, &entries[..=n]).expect("a good log");
        assert_eq!(hex(log.head().as_bytes()), vector["head"]);
        assert_eq!(hex(log.primary().as_bytes()), vector["primary"]);
        assert_eq!(hex(log.join()), vector["join"]);
        let active: Vec<_> = log.devices().map(|(id, _)| hex(id.as_bytes())).collect();
        assert_eq!(json!(active), vector["active"]);
    }
    for vector in list(&file["refused"]) {
        let after = vector["after"].as_u64().expect("a count") as usize;
        let mut log = DeviceLog::verify(&account, &entries[..after]).expect("a good log");
        assert!(log.append(&bytes_of(&vector["bytes"])).is_err(), "{}", vector["why"]);
    }
    assert!(DeviceLog::verify(&account, &entries[1..]).is_err(), "a log starts at its genesis");
}

#[test]
fn identities_replay_from_their_text() {
    if !writing() {
        replay_hashes(HASH);
        replay_ids(IDS);
        replay_links(LINKS);
        replay_device_log(DEVICE_LOG);
    }
}
