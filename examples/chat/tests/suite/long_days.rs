//! Long days over one real relay process: thousands of messages, members who come and go, and
//! everything killed at any time.

#![allow(clippy::needless_range_loop, reason = "a number is a person here, in more than one list")]

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use crate::support::{PATIENCE, Person};

const NAMES: [&str; 3] = ["ada", "bob", "cyd"];

/// A relay in a process of its own, to be killed.
struct RelayProcess {
    process: Child,
    data: PathBuf,
    port: u16,
}

impl RelayProcess {
    fn start(data: &Path, port: u16) -> Self {
        let mut process = Command::new(binary())
            .args(["--listen", &format!("127.0.0.1:{port}"), "--data"])
            .arg(data)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let port = lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| {
                let (_, address) =
                    line.split_once("127.0.0.1:").filter(|_| line.contains("listening"))?;
                let digits: String = address.chars().take_while(char::is_ascii_digit).collect();
                digits.parse().ok()
            })
            .expect("the relay says where it listens");
        // Its log is read to the end, so that it never waits for a reader.
        std::thread::spawn(move || lines.for_each(drop));
        Self { process, data: data.to_owned(), port }
    }

    fn url(&self) -> String {
        format!("ws://127.0.0.1:{}", self.port)
    }

    fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    fn kill_and_restart(&mut self) {
        self.kill();
        *self = Self::start(&self.data, self.port);
    }
}

impl Drop for RelayProcess {
    fn drop(&mut self) {
        // Already ended, where the test killed it.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The relay's binary, which a build of the workspace puts beside the tests' folder.
fn binary() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let binary = test.parent().and_then(Path::parent).unwrap().join("sync-server");
    assert!(binary.exists(), "build the relay first: cargo build -p sync-server");
    binary
}

struct Town {
    relay: RelayProcess,
    people: Vec<Person>,
    conversation: Value,
    directory: tempfile::TempDir,
}

impl Town {
    /// Three accounts; the first `members` of them are in one conversation.
    fn found(members: usize) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let relay = RelayProcess::start(&directory.path().join("relay"), 0);
        let mut people = Vec::new();
        for name in NAMES {
            let mut person = Person::open(&directory.path().join(name), &relay.url());
            person.call("account.create", json!({ "address": name, "name": name }));
            person.wait("stored");
            people.push(person);
        }
        let others: Vec<&str> = NAMES.into_iter().take(members).skip(1).collect();
        let params = json!({ "title": "Secret Garden", "members": others });
        let conversation = people[0].call("conversation.create", params)["conversation"].take();
        let mut town = Self { relay, people, conversation, directory };
        for n in 0..members {
            town.joined(n);
        }
        town
    }

    fn joined(&mut self, n: usize) {
        self.people[n]
            .until("conversation.list", &json!({}), |list| !list.as_array().unwrap().is_empty());
    }

    fn say(&mut self, n: usize, text: &str) -> u64 {
        let params = json!({ "conversation": self.conversation, "text": text });
        self.people[n].ask("message.send", params)
    }

    fn reopen(&mut self, n: usize) {
        let fresh = Person::open(&self.directory.path().join(NAMES[n]), &self.relay.url());
        std::mem::replace(&mut self.people[n], fresh).kill();
    }

    /// A client may only be opened when the one before has let go of the store.
    fn kill_client(&mut self, n: usize) {
        self.people[n].stop();
        self.reopen(n);
    }

    fn settle(&mut self, among: &[usize]) -> Value {
        for n in among {
            self.people[*n].wait("stored");
        }
        let params = json!({ "space": self.conversation });
        let deadline = std::time::Instant::now() + PATIENCE;
        loop {
            let digests: Vec<Value> = among
                .iter()
                .map(|n| {
                    self.people[*n].wait("up_to_date");
                    self.people[*n].call("sync.digest", params.clone())
                })
                .collect();
            if digests.windows(2).all(|pair| pair[0] == pair[1]) {
                return digests[0].clone();
            }
            assert!(std::time::Instant::now() < deadline, "never equal: {digests:#?}");
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
    }

    fn all_texts(&mut self, n: usize) -> Vec<String> {
        let mut texts = Vec::new();
        let mut before = Value::Null;
        loop {
            let mut params = json!({ "conversation": self.conversation, "limit": 500 });
            if !before.is_null() {
                params["before"] = before;
            }
            let page = self.people[n].call("message.list", params);
            let page = page.as_array().unwrap().clone();
            let Some(first) = page.first() else { return texts };
            before = first["message"].clone();
            let mut older: Vec<String> =
                page.iter().map(|message| message["text"].as_str().unwrap().to_owned()).collect();
            older.append(&mut texts);
            texts = older;
        }
    }
}

#[test]
fn three_accounts_with_a_thousand_messages_each_are_equal_and_the_relay_knows_none() {
    let mut town = Town::found(2);
    let add = json!({ "conversation": town.conversation, "address": "cyd", "share_history": true });
    let before = town.say(0, "plainmark before cyd");
    town.people[0].answer(before);
    town.people[0].call("conversation.add", add);
    town.joined(2);
    let mut ids: Vec<Vec<Value>> = Vec::new();
    for n in 0..3 {
        let asked: Vec<u64> =
            (0..1_000).map(|m| town.say(n, &format!("plainmark {} {m}", NAMES[n]))).collect();
        ids.push(
            asked
                .into_iter()
                .map(|id| town.people[n].answer(id)["result"]["message"].clone())
                .collect(),
        );
    }
    for n in 0..3 {
        let conversation = town.conversation.clone();
        let own = |m: usize| json!({ "conversation": conversation, "message": ids[n][m] });
        let mut edited = own(3);
        edited["text"] = "plainmark edited".into();
        town.people[n].call("message.edit", edited);
        town.people[n].call("message.delete", own(5));
        let value = format!("plainmark {n}");
        town.people[n].call("settings.set", json!({ "key": "theme", "value": value }));
    }
    town.settle(&[0, 1, 2]);
    for n in 0..3 {
        let theirs = &ids[(n + 1) % 3][7];
        let react = json!({ "conversation": town.conversation, "message": theirs, "emoji": "👍" });
        town.people[n].call("message.react", react);
        let read = json!({ "conversation": town.conversation, "message": ids[(n + 1) % 3][999] });
        town.people[n].call("conversation.read", read);
    }
    town.settle(&[0, 1, 2]);
    assert_eq!(town.all_texts(1).len(), 3_001);
    let remove = json!({ "conversation": town.conversation, "address": "bob" });
    town.people[0].call("conversation.remove", remove);
    town.people[0].wait("stored");
    let late = town.say(2, "plainmark after bob");
    town.people[2].answer(late);
    town.settle(&[0, 2]);
    town.people[1].until("conversation.list", &json!({}), |list| list[0]["active"] == json!(false));
    assert!(!town.all_texts(1).iter().any(|text| text.contains("after bob")));
    town.relay.kill();
    for file in std::fs::read_dir(&town.relay.data).unwrap() {
        let file = file.unwrap();
        if !file.file_type().unwrap().is_file() {
            // The operator's socket holds nothing.
            continue;
        }
        let bytes = std::fs::read(file.path()).unwrap();
        for secret in ["plainmark", "Secret Garden", "theme"] {
            let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "the relay's store holds {secret:?}");
        }
    }
}

#[test]
fn twenty_kills_of_the_relay_and_of_each_client_lose_and_double_nothing() {
    let mut town = Town::found(3);
    let mut answered: BTreeMap<usize, Vec<String>> = BTreeMap::new();
    // 0 to 2 a client, 3 the relay: each twenty times, in an order that looks random.
    for event in 0..80_usize {
        let under_way: Vec<Vec<(String, u64)>> = (0..3)
            .map(|n| {
                let texts = (0..6).map(|m| format!("{} {event:03}.{m}", NAMES[n]));
                texts.map(|text| (text.clone(), town.say(n, &text))).collect()
            })
            .collect();
        for (n, asked) in under_way.into_iter().enumerate() {
            for (text, id) in asked.into_iter().take(4) {
                assert_eq!(town.people[n].answer(id).get("error"), None);
                answered.entry(n).or_default().push(text);
            }
        }
        match (event * 7 + event / 4) % 4 {
            3 => town.relay.kill_and_restart(),
            n => town.kill_client(n),
        }
    }
    town.settle(&[0, 1, 2]);
    for n in 0..3 {
        let texts = town.all_texts(n);
        let mut once = texts.clone();
        once.sort();
        once.dedup();
        assert_eq!(once.len(), texts.len(), "nothing is doubled");
        for (author, expected) in &answered {
            let own: Vec<&String> =
                texts.iter().filter(|text| text.starts_with(NAMES[*author])).collect();
            assert!(own.is_sorted(), "in the order written");
            assert!(expected.iter().all(|text| own.contains(&text)), "nothing answered is lost");
        }
    }
}

#[test]
fn two_who_wrote_five_hundred_messages_offline_come_together() {
    let mut town = Town::found(2);
    for n in 0..2 {
        town.people[n].call("network.offline", json!({}));
    }
    for m in 0..500 {
        for n in 0..2 {
            let id = town.say(n, &format!("{} {m:03}", NAMES[n]));
            town.people[n].answer(id);
        }
    }
    for n in 0..2 {
        let ops = json!([{ "op": "put", "path": ["theme"], "value": NAMES[n] }]);
        let change = json!({ "space": town.conversation, "name": "settings-of-all", "ops": ops });
        town.people[n].call("document.change", change);
    }
    for n in 0..2 {
        town.people[n].call("network.online", json!({}));
    }
    town.settle(&[0, 1]);
    let texts = town.all_texts(0);
    assert_eq!(texts, town.all_texts(1));
    assert_eq!(texts.len(), 1_000);
    for name in &NAMES[..2] {
        assert!(texts.iter().filter(|text| text.starts_with(name)).is_sorted());
    }
    let read = json!({ "space": town.conversation, "name": "settings-of-all" });
    let themes: Vec<Value> =
        (0..2).map(|n| town.people[n].call("document.get", read.clone())).collect();
    assert_eq!(themes[0], themes[1]);
}
