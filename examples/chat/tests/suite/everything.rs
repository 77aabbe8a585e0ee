//! Search over all conversations, and export of all that is here.

use std::os::unix::fs::PermissionsExt as _;

use serde_json::{Value, json};

use crate::support::{Person, World};

/// More than are read at once.
const MANY: usize = 620;

/// A person with two conversations, written in while nobody is connected.
fn writer(world: &World) -> (Person, Value, Value) {
    let mut ada = world.sign_up("ada");
    ada.call("network.offline", json!({}));
    let found = |ada: &mut Person, title: &str| {
        ada.call("conversation.create", json!({ "title": title }))["conversation"].take()
    };
    let (team, notes) = (found(&mut ada, "Team"), found(&mut ada, "Notes"));
    let asked: Vec<u64> = (0..MANY)
        .map(|n| {
            let text = if n % 300 == 7 { format!("A NEEDLE {n}") } else { format!("hay {n}") };
            ada.ask("message.send", json!({ "conversation": team, "text": text }))
        })
        .collect();
    for id in asked {
        assert_eq!(ada.answer(id).get("error"), None);
    }
    ada.call("message.send", json!({ "conversation": notes, "text": "one more needle" }));
    (ada, team, notes)
}

fn texts(found: &Value) -> Vec<&str> {
    found.as_array().unwrap().iter().map(|hit| hit["text"].as_str().unwrap()).collect()
}

#[test]
fn a_search_goes_over_all_conversations_and_to_their_beginning() {
    let world = World::start();
    let (mut ada, team, notes) = writer(&world);
    let found = ada.call("message.search", json!({ "text": "needle" }));
    assert_eq!(texts(&found), ["one more needle", "A NEEDLE 607", "A NEEDLE 307", "A NEEDLE 7"]);
    assert_eq!((&found[0]["conversation"], &found[1]["conversation"]), (&notes, &team));
    assert_eq!(found[0]["author_name"], "ADA");
    let newest = ada.call("message.search", json!({ "text": " Needle ", "limit": 2 }));
    assert_eq!(texts(&newest), ["one more needle", "A NEEDLE 607"]);
    let in_team = json!({ "text": "needle", "conversation": team, "limit": 1 });
    assert_eq!(texts(&ada.call("message.search", in_team)), ["A NEEDLE 607"]);
    assert_eq!(ada.call("message.search", json!({ "text": "nowhere" })), json!([]));
    // What was deleted is found no more.
    let message = &found[0]["message"];
    ada.call("message.delete", json!({ "conversation": notes, "message": message }));
    assert_eq!(texts(&ada.call("message.search", json!({ "text": "needle" }))).len(), 3);
    for (params, kind) in [
        (json!({ "text": " " }), "invalid"),
        (json!({ "text": "x", "conversation": "account" }), "invalid"),
        (json!({ "text": "x", "reply-to": 1 }), "invalid"),
    ] {
        assert_eq!(ada.fail("message.search", params)["data"]["kind"], kind);
    }
}

#[test]
fn an_export_holds_everything_in_order_and_says_that_it_is_whole() {
    let world = World::start();
    let (mut ada, team, notes) = writer(&world);
    ada.call("settings.set", json!({ "key": "theme", "value": "dark" }));
    let path = world.data("export.jsonl");
    let counts = ada.call("account.export", json!({ "path": path }));
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let whole = std::fs::read_to_string(&path).unwrap();
    let lines: Vec<Value> = whole.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |kind: &'static str| lines.iter().filter(move |line| line["kind"] == kind);
    assert_eq!((&lines[0]["kind"], &lines[0]["address"]), (&json!("export"), &json!("ada")));
    let end = lines.last().unwrap();
    assert_eq!(end["kind"], "end");
    assert_eq!(end["messages"], json!(MANY + 1));
    assert_eq!(counts["messages"], end["messages"]);
    assert!(of("setting").any(|line| line["key"] == "theme" && line["value"] == "dark"));
    let titles: Vec<_> = of("conversation").map(|line| &line["title"]).collect();
    assert!(titles.contains(&&json!("Team")) && titles.contains(&&json!("Notes")));
    let in_team = of("message").filter(|line| line["conversation"] == team);
    let numbers: Vec<usize> = in_team
        .map(|line| line["text"].as_str().unwrap().rsplit(' ').next().unwrap().parse().unwrap())
        .collect();
    assert_eq!(numbers, Vec::from_iter(0..MANY), "in the order of their writing");
    assert_eq!(of("message").filter(|line| line["conversation"] == notes).count(), 1);
    // Nothing is written over.
    let refused = ada.fail("account.export", json!({ "path": path }));
    assert_eq!(refused["data"]["kind"], "exists");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), whole);
}
