//! People talk through a real relay, each with a real client process.

use serde_json::{Value, json};

use crate::support::{PATIENCE, Person, World, command};

/// Ada and Bob in one conversation, both up to date.
fn ada_and_bob(world: &World) -> (Person, Person, Value) {
    let (mut ada, mut bob) = (world.sign_up("ada"), world.sign_up("bob"));
    let params = json!({ "title": "Team", "members": ["bob"] });
    let conversation = ada.call("conversation.create", params)["conversation"].take();
    bob.until("conversation.list", &json!({}), |list| list[0]["conversation"] == conversation);
    ada.wait("stored");
    (ada, bob, conversation)
}

/// Waits until both have the same, and checks that they show the same.
fn assert_equal(ada: &mut Person, bob: &mut Person, conversation: &Value) {
    ada.wait("stored");
    bob.wait("stored");
    let params = json!({ "space": conversation });
    let deadline = std::time::Instant::now() + PATIENCE;
    while ada.call("sync.digest", params.clone()) != bob.call("sync.digest", params.clone()) {
        assert!(std::time::Instant::now() < deadline, "the digests stay different");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    assert_eq!(ada.texts(conversation), bob.texts(conversation));
}

#[test]
fn two_people_talk_answer_edit_react_and_end_equal() {
    let world = World::start();
    let (mut ada, mut bob, conversation) = ada_and_bob(&world);
    let send = |text: &str, reply: &Value| json!({ "conversation": conversation, "text": text, "reply_to": reply });
    let hello = ada.call("message.send", send("hello", &Value::Null))["message"].take();
    let about_hello = json!({ "conversation": conversation, "message": hello });
    let list = json!({ "conversation": conversation });
    bob.until("message.list", &list, |list| list[0]["text"] == "hello");
    bob.call("conversation.read", about_hello.clone());
    let mut react = about_hello.clone();
    react["emoji"] = "👍".into();
    bob.call("message.react", react);
    let answer = bob.call("message.send", send("hi", &hello))["message"].take();
    let shown = ada.until("message.list", &list, |list| {
        list[0]["status"] == "read" && list.as_array().unwrap().len() == 2
    });
    assert_eq!(shown[1]["reply_to"], hello);
    assert_eq!(shown[0]["reactions"].as_object().unwrap().values().collect::<Vec<_>>(), ["👍"]);
    let mut edit = about_hello;
    edit["text"] = "hello!".into();
    ada.call("message.edit", edit.clone());
    assert_eq!(bob.fail("message.edit", edit)["data"]["kind"], "denied");
    bob.call("message.delete", json!({ "conversation": conversation, "message": answer }));
    assert_equal(&mut ada, &mut bob, &conversation);
    assert_eq!(ada.texts(&conversation), ["hello!", ""]);
    assert!(bob.notices.iter().any(|notice| notice["method"] == "message"));
    assert!(ada.close().success() && bob.close().success());
}

#[test]
fn what_was_written_apart_comes_together_in_each_ones_order() {
    let world = World::start();
    let (mut ada, mut bob, conversation) = ada_and_bob(&world);
    for person in [&mut ada, &mut bob] {
        person.call("network.offline", json!({}));
    }
    let mut written = Vec::new();
    for (person, who) in [(&mut ada, "ada"), (&mut bob, "bob")] {
        let own: Vec<_> = (0..50).map(|n| format!("{who} {n}")).collect();
        for text in &own {
            person.call("message.send", json!({ "conversation": conversation, "text": text }));
        }
        let status = person.call("account.status", json!({}));
        assert_eq!(status["connected"], false);
        assert_ne!(status["waiting"], 0);
        written.push((who, own));
    }
    assert_eq!(
        ada.fail("contact.lookup", json!({ "address": "carol" }))["data"]["kind"],
        "offline"
    );
    for person in [&mut ada, &mut bob] {
        person.call("network.online", json!({}));
    }
    assert_equal(&mut ada, &mut bob, &conversation);
    let shown = ada.texts(&conversation);
    for (who, own) in written {
        let of_one: Vec<_> = shown.iter().filter(|text| text.starts_with(who)).cloned().collect();
        assert_eq!(of_one, own);
    }
}

#[test]
fn a_killed_client_loses_nothing_it_answered_for() {
    let world = World::start();
    let (mut ada, mut bob, conversation) = ada_and_bob(&world);
    let mut answered = Vec::new();
    for round in 0..5 {
        let mut under_way = Vec::new();
        for n in 0..30 {
            let text = format!("{round}.{n}");
            let params = json!({ "conversation": conversation, "text": text });
            under_way.push((text, ada.ask("message.send", params)));
        }
        for (text, id) in under_way.drain(..20) {
            ada.answer(id);
            answered.push(text);
        }
        ada.kill();
        ada = world.open("ada");
    }
    assert_equal(&mut ada, &mut bob, &conversation);
    let shown = bob.texts(&conversation);
    let kept: Vec<_> = shown.iter().filter(|text| answered.contains(text)).cloned().collect();
    assert_eq!(kept, answered, "all of it, once, and in order");
}

#[test]
fn the_end_of_the_input_ends_what_is_under_way_first() {
    let world = World::start();
    let mut ada = world.sign_up("ada");
    let params = json!({ "title": "Notes", "members": [] });
    let conversation = ada.call("conversation.create", params)["conversation"].take();
    for n in 0..20 {
        ada.ask("message.send", json!({ "conversation": conversation, "text": n.to_string() }));
    }
    assert!(ada.close().success());
    let mut again = world.open("ada");
    assert_eq!(again.texts(&conversation).len(), 20);
}

#[test]
fn a_store_in_use_and_a_bad_relay_are_said_clearly() {
    let world = World::start();
    let _ada = world.sign_up("ada");
    for (data, relay, kind) in [
        (world.data("ada"), world.relay.as_str(), "in_use"),
        (world.data("new"), "relay.example", "relay_url"),
    ] {
        let output = command(&data, relay).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && said.contains(kind), "{said}");
        assert_eq!(output.stdout, b"");
    }
}

#[test]
fn lines_that_are_no_requests_are_answered_and_harm_nobody() {
    let world = World::start();
    let mut ada = world.open("ada");
    assert_eq!(ada.fail("message.list", json!({}))["code"], -32602);
    assert_eq!(ada.fail("device.shake", json!({}))["data"]["kind"], "unsupported");
    assert_eq!(ada.fail("device.list", json!({}))["data"]["kind"], "no_account");
    assert_eq!(ada.fail("conversation.list", json!({}))["data"]["kind"], "no_account");
    assert_eq!(ada.call("account.status", json!({}))["account"], Value::Null);
}
