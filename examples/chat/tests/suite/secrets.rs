//! What must be read by members alone is looked for wherever else it could lie: in the relay's
//! files, its metrics, and everything that relay and clients log.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::sync::{Arc, Mutex};

use serde_json::json;
use sync_client::store::{RecordStore as _, RedbStore};
use tracing_subscriber::fmt::MakeWriter;

use crate::support::{Person, World, command};

/// Every text, name, title and key that is used here holds this.
const MARK: &str = "plainmark";

/// All that is logged in this process, which is the relay's.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

/// Logs everything, panics included.
fn everything_is_logged() -> Log {
    let log = Log::default();
    let all = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE);
    all.with_ansi(false).with_writer(log.clone()).init();
    let panics = log.clone();
    std::panic::set_hook(Box::new(move |panic| drop(writeln!(panics.clone(), "{panic}"))));
    log
}

fn open(world: &World, who: &str) -> Person {
    let log = File::create(world.data(&format!("{who}.log"))).unwrap();
    let mut command = command(&world.data(who), &world.relay);
    let mut person = Person::run(command.env("RUST_LOG", "trace").stderr(log));
    let name = format!("{MARK} {who}");
    person.call("account.create", json!({ "address": who, "name": name }));
    person.wait("up_to_date");
    person
}

/// The kinds of all that people write.
fn live(ada: &mut Person, bob: &mut Person) {
    let title = format!("{MARK} title");
    let made = ada.call("conversation.create", json!({ "title": title, "members": ["bob"] }));
    let conversation = made["conversation"].clone();
    bob.until("conversation.list", &json!({}), |list| !list.as_array().unwrap().is_empty());
    let say = |text: &str| json!({ "conversation": conversation, "text": text });
    let sent = ada.call("message.send", say(&format!("{MARK} message")));
    bob.call("message.send", say(&MARK.repeat(5_000)));
    let about = |text: &str| json!({ "conversation": conversation, "message": sent["message"], "text": text });
    ada.call("message.edit", about(&format!("{MARK} edited")));
    let key = format!("{MARK}/key");
    ada.call("settings.set", json!({ "key": key, "value": format!("{MARK} value") }));
    ada.wait("stored");
    bob.wait("stored");
    // What goes wrong is logged, too.
    ada.fail("message.send", json!({ "conversation": MARK, "text": MARK }));
    ada.fail("account.create", json!({ "address": "bob", "name": MARK }));
    for person in [ada, bob] {
        person.wait("up_to_date");
        let texts = person.texts(&conversation);
        assert_eq!(texts.iter().filter(|text| text.contains(MARK)).count(), 2);
    }
}

fn get(relay: &str, request: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(relay.trim_start_matches("ws://")).unwrap();
    stream.write_all(request).unwrap();
    let mut answer = Vec::new();
    // A relay may hang up on whom it does not understand.
    let _ = stream.read_to_end(&mut answer);
    answer
}

/// All strings of 32 bytes in the records that hold an account's and its epochs' keys.
fn secrets(store: &Path) -> BTreeSet<[u8; 32]> {
    let store = RedbStore::open(store).unwrap();
    let account = store.read(b"iaccount").unwrap();
    let spaces = store.read(b"s").unwrap();
    let epochs = spaces.into_iter().filter(|(key, _)| key.get(33) == Some(&b'e'));
    let mut found = BTreeSet::new();
    for (_, row) in account.into_iter().chain(epochs) {
        for (at, _) in row.windows(2).enumerate().filter(|(_, head)| *head == [0x58, 32]) {
            found.extend(row.get(at + 2..at + 34).and_then(|key| <[u8; 32]>::try_from(key).ok()));
        }
    }
    found
}

fn files(directory: &Path) -> Vec<u8> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        // The operator's socket holds nothing.
        if entry.file_type().unwrap().is_file() {
            all.extend(std::fs::read(entry.path()).unwrap());
        }
    }
    all
}

fn holds(bytes: &[u8], needle: &[u8]) -> bool {
    bytes.windows(needle.len()).any(|window| window == needle)
}

/// As it is, and as logs print bytes.
fn spellings(secret: &[u8; 32]) -> Vec<Vec<u8>> {
    let hex = data_encoding::HEXLOWER.encode(secret);
    let base32 = data_encoding::BASE32_NOPAD.encode(secret).to_lowercase();
    let base64 = data_encoding::BASE64_NOPAD.encode(secret);
    // A list of numbers: its first eight tell enough.
    let list = format!("{:?}", &secret[..8]).trim_end_matches(']').to_owned();
    let texts = [hex.to_uppercase(), hex, base32, base64, list];
    texts.into_iter().map(String::into_bytes).chain([secret.to_vec()]).collect()
}

#[test]
fn no_plaintext_and_no_secret_lies_anywhere_but_with_its_people() {
    let log = everything_is_logged();
    let world = World::start();
    let (mut ada, mut bob) = (open(&world, "ada"), open(&world, "bob"));
    live(&mut ada, &mut bob);
    let metrics =
        get(&world.relay, b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert!(holds(&metrics, b"relay_"), "metrics are there");
    get(&world.relay, format!("GET /{MARK} HTTP/9.9\r\n\r\n").replace(MARK, "x").as_bytes());
    assert!(ada.close().success() && bob.close().success());
    let mut keys = secrets(&world.data("ada"));
    keys.extend(secrets(&world.data("bob")));
    assert!(keys.len() >= 8, "{} keys", keys.len());
    let relay = files(&world.data("relay"));
    let logged = log.0.lock().unwrap().clone();
    assert!(holds(&logged, b"TRACE") || holds(&logged, b"DEBUG"), "the log is a full one");
    let clients =
        [world.data("ada.log"), world.data("bob.log")].map(|at| std::fs::read(at).unwrap());
    let places = [
        ("the relay's files", &relay),
        ("the relay's log", &logged),
        ("the metrics", &metrics),
        ("ada's log", &clients[0]),
        ("bob's log", &clients[1]),
    ];
    for (place, bytes) in places {
        assert!(!holds(bytes, MARK.as_bytes()), "{place} hold a plaintext");
        for secret in &keys {
            let found = spellings(secret).iter().any(|spelt| holds(bytes, spelt));
            assert!(!found, "{place} hold a key");
        }
    }
}
