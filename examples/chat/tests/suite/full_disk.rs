//! A client whose disk is full, for real: the system refuses to let its store grow.
#![cfg(target_os = "linux")]

use std::process::Command;

use serde_json::{Value, json};

use crate::support::{Person, World, command};

/// A client that is told of a full disk as of any other error, instead of being ended.
fn open(world: &World, who: &str) -> Person {
    let chat = command(&world.data(who), &world.relay);
    let mut shell = Command::new("sh");
    shell.args(["-c", r#"trap "" XFSZ; exec "$0" "$@""#]).arg(chat.get_program());
    Person::run(shell.args(chat.get_args()))
}

/// How large a process may make files.
fn limit(person: &Person, bytes: &str) {
    let pid = person.id().to_string();
    let size = format!("--fsize={bytes}:unlimited");
    let done = Command::new("prlimit").args(["--pid", &pid, &size]).status().unwrap();
    assert!(done.success());
}

fn store_size(world: &World, who: &str) -> u64 {
    let files = std::fs::read_dir(world.data(who)).unwrap();
    files.map(|file| file.unwrap().metadata().unwrap().len()).max().unwrap()
}

#[test]
fn a_client_with_a_full_disk_says_so_keeps_what_it_confirmed_and_goes_on_when_there_is_room() {
    let world = World::start();
    let mut ada = open(&world, "ada");
    ada.call("account.create", json!({ "address": "ada", "name": "Ada" }));
    ada.wait("stored");
    let mut bob = world.sign_up("bob");
    let made = ada.call("conversation.create", json!({ "title": "t", "members": ["bob"] }));
    let conversation = made["conversation"].clone();
    bob.until("conversation.list", &json!({}), |list| !list.as_array().unwrap().is_empty());
    let text = |n: usize| format!("{n} {}", "x".repeat(40_000));
    let send = |n: usize| json!({ "conversation": conversation, "text": text(n) });
    let mut confirmed = Vec::new();
    for round in 0..2 {
        limit(&ada, &store_size(&world, "ada").to_string());
        let refusal = (0..500).find_map(|n| {
            let id = ada.ask("message.send", send(round * 1_000 + n));
            let answer = ada.answer(id);
            match answer.get("error") {
                None => confirmed.push(text(round * 1_000 + n)),
                Some(error) => return Some(error.clone()),
            }
            None
        });
        let refusal = refusal.expect("the disk is full at some time");
        assert_eq!(refusal["data"]["kind"], json!("store"), "{refusal}");
        limit(&ada, "unlimited");
        // It opens its store again by itself.
        let n = round * 1_000 + 900;
        let back = (0..600).find(|_| {
            std::thread::sleep(std::time::Duration::from_millis(100));
            let id = ada.ask("message.send", send(n));
            ada.answer(id).get("error").is_none()
        });
        assert!(back.is_some(), "never came back");
        confirmed.push(text(n));
        ada.wait("stored");
    }
    bob.wait("up_to_date");
    bob.until("conversation.list", &json!({}), |list| list[0]["last"] != Value::Null);
    let params = json!({ "conversation": conversation, "limit": 1000 });
    bob.until("message.list", &params, |list| {
        let list = list.as_array().unwrap();
        let texts: Vec<&str> = list.iter().map(|one| one["text"].as_str().unwrap()).collect();
        confirmed.iter().all(|text| texts.contains(&text.as_str()))
    });
    let texts = bob.texts(&conversation);
    for text in &confirmed {
        assert_eq!(texts.iter().filter(|shown| *shown == text).count(), 1);
    }
    assert_eq!(ada.texts(&conversation), texts);
}
