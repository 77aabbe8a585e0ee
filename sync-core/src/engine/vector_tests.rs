//! The vectors of `docs/vectors` that need the engine: keys and seals, change sets, documents.
//! Made again and compared with the committed files, then replayed from their text alone.
//!
//! `REJOINDER_WRITE_VECTORS=1 cargo test -p sync-core vector` writes the files anew; what then
//! differs is a change of the protocol.

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use serde_json::{Value, json};
use sync_protocol::codec::{self, Blob};
use sync_protocol::envelope::epoch_id;
use sync_protocol::{DeviceId, EpochId, SpaceId, WriterId, limits};

use crate::document::{
    Document, Edit, Name, NewMessage, OrderKey, Placement, Stamp, actor, change_hash,
};
use crate::engine::seal;
use crate::engine::space::change_set::{ChangeSet, Item, Seen, WINDOW};

use crate::trust::logs::{KnownLog, testing::log};
use crate::trust::sightings::{Beside, Reading, Sighting};
#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

#[cfg(target_family = "wasm")]
wasm_bindgen_test::wasm_bindgen_test_configure!(run_in_dedicated_worker);

const SEALING: &str = include_str!("../../../docs/vectors/sealing.json");
const CHANGE_SETS: &str = include_str!("../../../docs/vectors/change_sets.json");
const DOCUMENTS: &str = include_str!("../../../docs/vectors/documents.json");

fn writing() -> bool {
    std::env::var_os("REJOINDER_WRITE_VECTORS").is_some()
}

pub(crate) fn settle(name: &str, committed: &str, made: &Value) {
    if writing() {
        let path = format!("{}/../docs/vectors/{name}.json", env!("CARGO_MANIFEST_DIR"));
        let text = serde_json::to_string_pretty(made).unwrap();
        std::fs::write(path, text + "\n").unwrap();
        return;
    }
    let committed: Value = serde_json::from_str(committed).unwrap();
    assert_eq!(committed, *made, "docs/vectors/{name}.json is not what the code does");
}

pub(crate) fn hex(bytes: impl AsRef<[u8]>) -> Value {
    Value::String(data_encoding::HEXLOWER.encode(bytes.as_ref()))
}

fn number(n: u64) -> Value {
    Value::String(n.to_string())
}

pub(crate) fn bytes_of(value: &Value) -> Vec<u8> {
    data_encoding::HEXLOWER.decode(value.as_str().unwrap().as_bytes()).unwrap()
}

fn array_of<const N: usize>(value: &Value) -> [u8; N] {
    bytes_of(value).try_into().unwrap()
}

fn number_of(value: &Value) -> u64 {
    value.as_str().unwrap().parse().unwrap()
}

pub(crate) fn list(value: &Value) -> &Vec<Value> {
    value.as_array().unwrap()
}

fn writer(n: u8) -> WriterId {
    WriterId { device: DeviceId::of_signing_key(&[n; 32]), incarnation: u64::from(n) << 40 }
}

fn writer_vector(writer: &WriterId) -> Value {
    json!({
        "device": hex(writer.device.as_bytes()),
        "incarnation": number(writer.incarnation),
    })
}

fn writer_of(value: &Value) -> WriterId {
    let device = DeviceId::from_bytes(array_of(&value["device"]));
    WriterId { device, incarnation: number_of(&value["incarnation"]) }
}

fn epoch_vector(n: u8) -> Value {
    let (root, space, parent) = ([n; 32], SpaceId::from_bytes([n + 1; 32]), [n + 2; 32]);
    let commit_header = [n + 3; 40];
    let binding = [n + 4; 32];
    let commitment = seal::key_commitment(&root, &binding);
    let commitment = commitment.as_bytes();
    let id = epoch_id(&space, &EpochId::from_bytes(parent), &commit_header, commitment);
    let writers = [writer(1), writer(2)].map(|writer| {
        let key = seal::content_key(&root, &writer);
        json!({ "writer": writer_vector(&writer), "content key": hex(*key) })
    });
    json!({
        "root": hex(root),
        "binding": hex(binding),
        "space": hex(space.as_bytes()),
        "parent": hex(parent),
        "commit header": hex(commit_header),
        "key commitment": hex(commitment),
        "epoch id": hex(id.as_bytes()),
        "handshake key": hex(*seal::handshake_key(&root)),
        "writers": writers,
    })
}

fn seal_vector(key: u8, aad: &[u8], plaintext: &[u8]) -> Value {
    let mut rng = ChaCha20Rng::from_seed([key; 32]);
    let sealed = seal::seal(&[key; 32], aad, plaintext, &mut rng);
    json!({
        "key": hex([key; 32]),
        "aad": hex(aad),
        "nonce": hex(&sealed[..24]),
        "plaintext": hex(plaintext),
        "sealed": hex(sealed),
    })
}

fn grant_vector() -> Value {
    let seed = [0x61; 32];
    let (secret, public) = seal::hpke_pair(&seed);
    let mut rng = ChaCha20Rng::from_seed([0x62; 32]);
    let sealed = seal::seal_to(&public, b"where", b"a grant", &mut rng).unwrap();
    json!({
        "seed": hex(seed),
        "secret": hex(*secret),
        "public": hex(public),
        "aad": hex(b"where"),
        "plaintext": hex(b"a grant"),
        "encapsulated key": hex(&sealed[..32]),
        "sealed": hex(sealed),
    })
}

#[test]
fn sealing_vectors_are_what_is_written_down() {
    let made = json!({
        "epochs": [epoch_vector(0x31), epoch_vector(0x41)],
        "seals": [seal_vector(0x51, b"", b""), seal_vector(0x52, b"beside", b"words")],
        "grant": grant_vector(),
    });
    settle("sealing", SEALING, &made);
}

fn replay_sealing(json: &str) {
    let file: Value = serde_json::from_str(json).unwrap();
    for vector in list(&file["epochs"]) {
        let root = array_of(&vector["root"]);
        let commitment = seal::key_commitment(&root, &array_of(&vector["binding"]));
        let commitment = commitment.as_bytes();
        assert_eq!(hex(commitment), vector["key commitment"]);
        let space = SpaceId::from_bytes(array_of(&vector["space"]));
        let parent = EpochId::from_bytes(array_of(&vector["parent"]));
        let id = epoch_id(&space, &parent, &bytes_of(&vector["commit header"]), commitment);
        assert_eq!(hex(id.as_bytes()), vector["epoch id"]);
        assert_eq!(hex(*seal::handshake_key(&root)), vector["handshake key"]);
        for each in list(&vector["writers"]) {
            let key = seal::content_key(&root, &writer_of(&each["writer"]));
            assert_eq!(hex(*key), each["content key"]);
        }
    }
    for vector in list(&file["seals"]) {
        let (key, aad) = (array_of(&vector["key"]), bytes_of(&vector["aad"]));
        let mut sealed = bytes_of(&vector["sealed"]);
        assert_eq!(seal::open(&key, &aad, &sealed), Ok(bytes_of(&vector["plaintext"])));
        sealed[0] ^= 1;
        assert!(seal::open(&key, &aad, &sealed).is_err());
    }
    let grant = &file["grant"];
    let secret = array_of(&grant["secret"]);
    let opened = seal::open_from(&secret, &bytes_of(&grant["aad"]), &bytes_of(&grant["sealed"]));
    assert_eq!(opened, Ok(bytes_of(&grant["plaintext"])));
}

fn change_set(blinding: u8, changes: &[(Name, &[&[u8]])]) -> ChangeSet {
    let items = changes.iter().map(|(name, changes)| {
        let changes = changes.iter().map(|change| Blob(change.to_vec())).collect();
        Item { name: name.clone(), schema: 1, changes }
    });
    ChangeSet { blinding: [blinding; 16], items: items.collect() }
}

fn change_set_vector(what: &str, set: &ChangeSet, seen: u8) -> Value {
    // An author that knows a log tells of it.
    let log = (seen % 2 == 1).then(|| KnownLog::of(&log()));
    let at_s = 1_800_000_000 + u64::from(seen);
    let elsewhere: Vec<Sighting> = (0..seen % 3).map(sighting).collect();
    json!({
        "what": what,
        "seen": hex([seen; 8]),
        "at_s": number(at_s),
        "elsewhere": elsewhere.iter().map(|one| hex(codec::encode(one))).collect::<Value>(),
        "log": log.map(|log| hex(codec::encode(&log))),
        "body": hex(codec::encode(set)),
        "plaintext": hex(set.to_plaintext(Seen { hash: [seen; 8], log, at_s, elsewhere })),
        "commitment": hex(set.commitment().as_bytes()),
    })
}

/// How far a space was read that is known by thirty-two times this number.
fn sighting(n: u8) -> Sighting {
    let (reading, space, writer) = sighted(n);
    Sighting::of(&reading, &[n; 32], Beside { space: &space, writer: &writer, seq: 9 })
}

fn sighted(n: u8) -> (Reading, SpaceId, WriterId) {
    let reading = Reading { generation: 1, next: 7 + u64::from(n), hash: [0xa0 + n; 8] };
    (reading, SpaceId::from_bytes([5; 32]), writer(6))
}

fn sighting_vector(n: u8) -> Value {
    let (reading, space, writer) = sighted(n);
    json!({
        "name": hex([n; 32]),
        "space": hex(space.as_bytes()),
        "writer": writer_vector(&writer),
        "seq": number(9),
        "generation": number(reading.generation),
        "next": number(reading.next),
        "hash": hex(reading.hash),
        "sighting": hex(codec::encode(&sighting(n))),
    })
}

/// A sealed form by hand: codec, size, body, what was seen.
fn sealed_form(codec: u8, size: u32, body: &[u8]) -> Vec<u8> {
    let mut e = minicbor::Encoder::new(Vec::new());
    let head = e.array(4).and_then(|e| e.u8(codec)).and_then(|e| e.u32(size));
    head.and_then(|e| e.bytes(body)).and_then(|e| e.bytes(&[7; 8])).unwrap();
    e.into_writer()
}

/// DEFLATE in its simplest form, one stored block: the bytes of a real compressor may change.
fn stored_block(bytes: &[u8]) -> Vec<u8> {
    let len = u16::try_from(bytes.len()).unwrap();
    [&[1], &len.to_le_bytes()[..], &(!len).to_le_bytes(), bytes].concat()
}

fn deflated_vector() -> Value {
    let set = change_set(9, &[(Name::Contacts, &[b"deflated"])]);
    let body = codec::encode(&set);
    let plaintext = sealed_form(1, body.len() as u32, &stored_block(&body));
    json!({
        "what": "compressed",
        "seen": hex([7; 8]),
        "at_s": number(0),
        "elsewhere": [],
        "body": hex(&body),
        "plaintext": hex(plaintext),
        "commitment": hex(set.commitment().as_bytes()),
    })
}

/// What zlib's `deflate` makes of the body after `deflateSetDictionary` with the window: other
/// implementations have the same to say.
fn windowed_vector() -> Value {
    let packed = [0x6b, 0x0a, 0x40, 0x07, 0x70, 0xb3, 0x74, 0xca, 0x47, 0x01, 0xd1, 0x00, 0x00];
    let set = change_set(0x50, &[(Name::Messages(0), &[&[b'w'; 300]])]);
    let body = codec::encode(&set);
    let plaintext = sealed_form(1, body.len() as u32, &packed);
    json!({
        "what": "compressed against the window",
        "seen": hex([7; 8]),
        "at_s": number(0),
        "elsewhere": [],
        "body": hex(&body),
        "plaintext": hex(plaintext),
        "commitment": hex(set.commitment().as_bytes()),
    })
}

fn refused_change_sets() -> Vec<Value> {
    let body = codec::encode(&change_set(1, &[(Name::Settings, &[b"x"])]));
    let size = body.len() as u32;
    let cases: [(&str, Vec<u8>); 6] = [
        ("an unknown codec", sealed_form(2, size, &body)),
        ("more than it declares", sealed_form(0, size - 1, &body)),
        ("less than it declares", sealed_form(0, size + 1, &body)),
        ("more than it declares, compressed", sealed_form(1, size - 1, &stored_block(&body))),
        ("over the limit", sealed_form(0, limits::CHANGE_SET as u32 + 1, &body)),
        ("a name in a long spelling", {
            let bad =
                [&[0x82, 0x50][..], &[1; 16], &[0x81, 0x83, 0x82, 0, 0x18, 7, 1, 0x80]].concat();
            sealed_form(0, bad.len() as u32, &bad)
        }),
    ];
    cases.into_iter().map(|(why, bytes)| json!({ "why": why, "plaintext": hex(bytes) })).collect()
}

#[test]
fn change_set_vectors_are_what_is_written_down() {
    let notes = Name::App(0, "notes".into());
    let sets = [
        ("nothing", change_set(1, &[])),
        ("one change", change_set(2, &[(Name::Messages(0), &[b"a"])])),
        ("three changes", change_set(3, &[(Name::Messages(7), &[b"a", b"b", b"c"])])),
        ("two documents", change_set(4, &[(Name::Receipts(1), &[b"r"]), (notes, &[b"n", b""])])),
        (
            "of a newer version",
            change_set(5, &[(Name::Unknown { kind: 99, argument: vec![0x81, 1] }, &[b"?"])]),
        ),
    ];
    let mut made: Vec<_> = sets.iter().map(|(what, set)| change_set_vector(what, set, 6)).collect();
    let told = change_set(6, &[(Name::Settings, &[b"s"])]);
    made.push(change_set_vector("with what is known of a device log", &told, 7));
    made.push(change_set_vector("with how far other spaces were read", &told, 8));
    made.push(deflated_vector());
    made.push(windowed_vector());
    let made = json!({
        "window": hex(WINDOW),
        "change sets": made,
        "sightings": (1..3).map(sighting_vector).collect::<Value>(),
        "refused": refused_change_sets(),
    });
    settle("change_sets", CHANGE_SETS, &made);
}

fn replay_change_sets(json: &str) {
    let file: Value = serde_json::from_str(json).unwrap();
    for vector in list(&file["change sets"]) {
        let opened = ChangeSet::from_plaintext(&bytes_of(&vector["plaintext"]));
        let (set, seen) = opened.unwrap();
        assert_eq!(hex(seen.hash), vector["seen"], "{}", vector["what"]);
        let log = seen.log.map(|log| hex(codec::encode(&log)));
        assert_eq!(log.unwrap_or_default(), vector["log"]);
        assert_eq!(seen.at_s, number_of(&vector["at_s"]));
        let elsewhere = seen.elsewhere.iter().map(|one| hex(codec::encode(one)));
        assert_eq!(Value::Array(elsewhere.collect()), vector["elsewhere"]);
        assert_eq!(hex(codec::encode(&set)), vector["body"]);
        assert_eq!(hex(set.commitment().as_bytes()), vector["commitment"]);
    }
    for vector in list(&file["sightings"]) {
        let space = SpaceId::from_bytes(array_of(&vector["space"]));
        let (writer, seq) = (writer_of(&vector["writer"]), number_of(&vector["seq"]));
        let beside = Beside { space: &space, writer: &writer, seq };
        let (generation, next) = (number_of(&vector["generation"]), number_of(&vector["next"]));
        let reading = Reading { generation, next, hash: array_of(&vector["hash"]) };
        let told: Sighting = codec::decode("sighting", &bytes_of(&vector["sighting"])).unwrap();
        assert_eq!(told.reading(&bytes_of(&vector["name"]), beside), Some(reading));
    }
    for vector in list(&file["refused"]) {
        let opened = ChangeSet::from_plaintext(&bytes_of(&vector["plaintext"]));
        assert!(opened.is_err(), "{}", vector["why"]);
    }
}

fn names() -> [Name; 10] {
    [
        Name::Messages(0),
        Name::Messages(65_536),
        Name::Receipts(3),
        Name::Settings,
        Name::Contacts,
        Name::App(2, "notes/2026".into()),
        Name::Vault(1),
        Name::People(2),
        Name::Carried(3),
        Name::Unknown { kind: 99, argument: vec![0x82, 1, 2] },
    ]
}

fn name_vector(name: &Name) -> Value {
    let (space, writer) = (SpaceId::from_bytes([0x71; 32]), writer(3));
    json!({
        "text": name.to_string(),
        "cbor": hex(codec::encode(name)),
        "space": hex(space.as_bytes()),
        "writer": writer_vector(&writer),
        "actor": hex(actor(&space, name, &writer).to_bytes()),
    })
}

fn genesis_vector(name: &Name, bytes: &[u8]) -> Value {
    json!({
        "document": name.to_string(),
        "bytes": hex(bytes),
        "hash": hex(change_hash(bytes).unwrap()),
    })
}

fn order_key(n: u8) -> OrderKey {
    let stamp = Stamp { ms: 1_700_000_000_000 + u64::from(n), counter: u16::from(n) << 8 };
    OrderKey { stamp, tag: writer(n).tag() }
}

/// The map a message comes to lie in, as the document itself shows it.
fn map_of(key: &OrderKey, writer: &WriterId) -> String {
    let mut document = Document::new(SpaceId::from_bytes([0x71; 32]), Name::Messages(0));
    let message = NewMessage::new(*key, "x");
    document.edit(writer, &Edit::Message(message)).unwrap();
    let json = document.to_json();
    let maps = json.as_object().unwrap().iter();
    let mut with = maps.filter(|(_, map)| map.get(key.to_string()).is_some());
    with.next().unwrap().0.clone()
}

fn order_key_vector(n: u8) -> Value {
    let key = order_key(n);
    let time_ms = key.stamp.ms - limits::CLOCK_AHEAD_MS - u64::from(n % 2);
    let effective = key.effective(Some(&Placement { index: 0, time_ms, ordinal: 0 }));
    json!({
        "writer": writer_vector(&writer(n)),
        "ms": number(key.stamp.ms),
        "counter": key.stamp.counter,
        "bytes": hex(key.to_bytes()),
        "text": key.to_string(),
        "map": map_of(&key, &writer(n)),
        "entry time": number(time_ms),
        "effective ms": number(effective.ms),
        "effective counter": effective.counter,
    })
}

#[test]
fn document_vectors_are_what_is_written_down() {
    let order_keys = [1, 2, 3, 4, 5].map(order_key_vector);
    let made = json!({
        "names": names().iter().map(name_vector).collect::<Vec<_>>(),
        "genesis": [
            genesis_vector(&Name::Messages(0), include_bytes!("../document/genesis/messages.bin")),
            genesis_vector(&Name::Receipts(0), include_bytes!("../document/genesis/receipts.bin")),
            genesis_vector(&Name::Settings, include_bytes!("../document/genesis/settings.bin")),
            genesis_vector(&Name::Contacts, include_bytes!("../document/genesis/contacts.bin")),
            genesis_vector(&Name::Vault(0), include_bytes!("../document/genesis/vault.bin")),
            genesis_vector(&Name::People(0), include_bytes!("../document/genesis/people.bin")),
        ],
        "order keys": order_keys,
    });
    settle("documents", DOCUMENTS, &made);
}

fn replay_documents(json: &str) {
    let file: Value = serde_json::from_str(json).unwrap();
    for vector in list(&file["names"]) {
        let name: Name = codec::decode("name", &bytes_of(&vector["cbor"])).unwrap();
        assert_eq!(vector["text"], name.to_string());
        let space = SpaceId::from_bytes(array_of(&vector["space"]));
        let actor = actor(&space, &name, &writer_of(&vector["writer"]));
        assert_eq!(hex(actor.to_bytes()), vector["actor"]);
    }
    for vector in list(&file["genesis"]) {
        let name: Name = vector["document"].as_str().unwrap().parse().unwrap();
        let document = Document::new(SpaceId::from_bytes([0; 32]), name);
        assert_eq!(document.heads(), [array_of::<32>(&vector["hash"])]);
        assert_eq!(change_hash(&bytes_of(&vector["bytes"])), Ok(array_of(&vector["hash"])));
    }
    for vector in list(&file["order keys"]) {
        let key: OrderKey = vector["text"].as_str().unwrap().parse().unwrap();
        assert_eq!(hex(key.to_bytes()), vector["bytes"]);
        assert_eq!(key.stamp.ms, number_of(&vector["ms"]));
        let place = Placement { index: 0, time_ms: number_of(&vector["entry time"]), ordinal: 0 };
        let effective = key.effective(Some(&place));
        assert_eq!(effective.ms, number_of(&vector["effective ms"]));
        assert_eq!(effective.counter, vector["effective counter"].as_u64().unwrap() as u16);
        assert_eq!(map_of(&key, &writer_of(&vector["writer"])), vector["map"]);
    }
}

#[test]
fn engine_vectors_replay_from_their_text() {
    if !writing() {
        replay_sealing(SEALING);
        replay_change_sets(CHANGE_SETS);
        replay_documents(DOCUMENTS);
    }
}
