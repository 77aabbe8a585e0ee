//! A device's life over a real relay, each device a real client process.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::linking::{
    Step, active_devices, agree, agree_within, copy_store, is_told_that_it_was_removed, link,
    own_device, try_link,
};
use crate::support::{Person, World};

/// Signs up and gives the recovery code too.
fn sign_up(world: &World, store: &str, address: &str) -> (Person, Value) {
    let mut person = world.open(store);
    let params = json!({ "address": address, "name": address.to_uppercase() });
    let code = person.call("account.create", params)["recovery_code"].take();
    person.wait("up_to_date");
    (person, code)
}

/// Links the device of another store.
fn add(world: &World, primary: &mut Person, store: &str) -> Person {
    let mut new = world.open(store);
    link(primary, &mut new, store);
    new
}

/// Founds a conversation and waits until the other has it.
fn found(founder: &mut Person, other: &mut Person, title: &str, address: &str) -> Value {
    let params = json!({ "title": title, "members": [address] });
    let conversation = founder.call("conversation.create", params)["conversation"].take();
    is_there(other, &conversation);
    conversation
}

fn is_there(person: &mut Person, conversation: &Value) {
    person.until("conversation.list", &json!({}), |list| has(list, conversation));
}

fn has(list: &Value, conversation: &Value) -> bool {
    list.as_array().unwrap().iter().any(|view| view["conversation"] == *conversation)
}

fn say(person: &mut Person, conversation: &Value, text: &str) {
    person.call("message.send", json!({ "conversation": conversation, "text": text }));
}

/// Waits until a text is shown.
fn shows(person: &mut Person, conversation: &Value, text: &str) {
    let newest = json!({ "conversation": conversation, "limit": 100 });
    person.until("message.list", &newest, |list| {
        list.as_array().unwrap().iter().any(|message| message["text"] == text)
    });
}

/// Writes many messages, a few thousand of them under way at once.
fn say_many(person: &mut Person, conversation: &Value, texts: impl Iterator<Item = String>) {
    let asked: Vec<u64> = texts
        .map(|text| json!({ "conversation": conversation, "text": text }))
        .map(|params| person.ask("message.send", params))
        .collect();
    for id in asked {
        assert_eq!(person.answer(id).get("error"), None);
    }
}

/// Messages of a conversation, all pages of them.
fn count(person: &mut Person, conversation: &Value) -> usize {
    let mut all = 0;
    let mut params = json!({ "conversation": conversation, "limit": 1_000 });
    loop {
        let Ok(page) = person.attempt("message.list", params.clone()).unwrap() else { return all };
        let page = page.as_array().unwrap().clone();
        let Some(first) = page.first() else { return all };
        all += page.len();
        params["before"] = first["message"].clone();
    }
}

#[test]
fn ten_thousand_messages_follow_to_linked_devices_the_newest_first() {
    let world = World::start();
    let (mut ada, _) = sign_up(&world, "ada-phone", "ada");
    let (mut bob, _) = sign_up(&world, "bob-phone", "bob");
    let conversation = found(&mut ada, &mut bob, "Long", "bob");
    say_many(&mut ada, &conversation, (0..5_000).map(|n| format!("ada {n}")));
    say_many(&mut bob, &conversation, (0..5_000).map(|n| format!("bob {n}")));
    agree_within(&mut [&mut ada, &mut bob], &conversation, Duration::from_secs(240));
    let last = json!({ "conversation": conversation, "limit": 50 });
    let newest = text_list(&ada.call("message.list", last.clone()));
    let mut devices = Vec::new();
    for store in ["ada-laptop", "bob-laptop", "ada-tablet", "bob-tablet"] {
        let primary = if store.starts_with("ada") { &mut ada } else { &mut bob };
        let mut new = world.open(store);
        let mut since = Instant::now();
        let linked = try_link(primary, &mut new, store, |step, _, _| {
            if step == Step::Confirming {
                since = Instant::now();
            }
            true
        });
        assert!(linked.is_some(), "{store} is not linked");
        // Errors until the conversation is known.
        while new.attempt("message.list", last.clone()).unwrap().map(|list| text_list(&list))
            != Ok(newest.clone())
        {
            assert!(since.elapsed() < Duration::from_secs(120), "{store} shows no newest messages");
            std::thread::sleep(Duration::from_millis(10));
        }
        let readable = since.elapsed();
        while count(&mut new, &conversation) < 10_000 {
            assert!(since.elapsed() < Duration::from_secs(240), "{store} lacks messages");
            std::thread::sleep(Duration::from_millis(100));
        }
        let complete = since.elapsed();
        println!("{store}: the last 50 after {readable:.2?}, all 10,000 after {complete:.2?}");
        devices.push(new);
    }
    let [ada_laptop, bob_laptop, ada_tablet, bob_tablet] = devices.as_mut_slice() else {
        unreachable!("four were linked")
    };
    agree(&mut [&mut ada, &mut *ada_laptop, &mut *ada_tablet], &"account".into());
    agree(&mut [&mut bob, &mut *bob_laptop, &mut *bob_tablet], &"account".into());
    let mut all = [&mut ada, &mut bob, ada_laptop, bob_laptop, ada_tablet, bob_tablet];
    agree(&mut all, &conversation);
}

fn text_list(page: &Value) -> Vec<Value> {
    page.as_array().unwrap().iter().map(|message| message["text"].clone()).collect()
}

#[test]
fn a_new_device_writes_in_two_hundred_conversations_while_its_siblings_are_closed() {
    let world = World::start();
    let (mut phone, _) = sign_up(&world, "ada-phone", "ada");
    let (mut bob, _) = sign_up(&world, "bob-phone", "bob");
    let asked: Vec<u64> = (0..200)
        .map(|n| json!({ "title": format!("Talk {n}"), "members": ["bob"] }))
        .map(|params| phone.ask("conversation.create", params))
        .collect();
    let all: Vec<Value> =
        asked.into_iter().map(|id| phone.answer(id)["result"]["conversation"].take()).collect();
    bob.until("conversation.list", &json!({}), |list| list.as_array().unwrap().len() == 200);
    phone.wait("stored");
    let mut tablet = add(&world, &mut phone, "ada-tablet");
    let mut laptop = add(&world, &mut phone, "ada-laptop");
    phone.wait("stored");
    laptop.until("conversation.list", &json!({}), |list| !list.as_array().unwrap().is_empty());
    tablet.wait("stored");
    assert!(phone.close().success() && tablet.close().success());
    laptop.until("conversation.list", &json!({}), |list| list.as_array().unwrap().len() == 200);
    for conversation in &all {
        say(&mut laptop, conversation, "from the laptop, alone");
    }
    laptop.wait("stored");
    for conversation in &all {
        shows(&mut bob, conversation, "from the laptop, alone");
    }
    let (mut phone, mut tablet) = (world.open("ada-phone"), world.open("ada-tablet"));
    for conversation in &all {
        shows(&mut phone, conversation, "from the laptop, alone");
        shows(&mut tablet, conversation, "from the laptop, alone");
    }
    for conversation in all.iter().step_by(20) {
        agree(&mut [&mut phone, &mut tablet, &mut laptop, &mut bob], conversation);
    }
}

/// Ada with phone, laptop and tablet, and Bob, who have talked; a copy of the laptop's store lies
/// beside it.
struct Household {
    world: World,
    phone: Person,
    laptop: Person,
    tablet: Person,
    bob: Person,
    conversation: Value,
    /// The laptop's id.
    device: Value,
}

impl Household {
    fn start() -> Self {
        let world = World::start();
        let (mut phone, _) = sign_up(&world, "ada-phone", "ada");
        let (mut bob, _) = sign_up(&world, "bob-phone", "bob");
        let conversation = found(&mut phone, &mut bob, "Tea", "bob");
        say(&mut bob, &conversation, "hello");
        let mut tablet = add(&world, &mut phone, "ada-tablet");
        let mut laptop = add(&world, &mut phone, "ada-laptop");
        is_there(&mut laptop, &conversation);
        say(&mut laptop, &conversation, "before");
        shows(&mut bob, &conversation, "before");
        agree(&mut [&mut phone, &mut tablet, &mut laptop, &mut bob], &conversation);
        let device = own_device(&mut laptop);
        assert!(laptop.close().success());
        copy_store(&world.data("ada-laptop"), &world.data("copy"));
        let laptop = world.open("ada-laptop");
        Self { world, phone, laptop, tablet, bob, conversation, device }
    }

    fn revoke(&mut self) {
        self.phone.call("device.revoke", json!({ "device": self.device }));
    }

    /// The rest is equal, goes on, and neither the laptop nor the copy of its store reads it.
    fn check(mut self) {
        assert!(!active_devices(&mut self.phone).contains(&self.device));
        self.phone.wait("stored");
        self.others_agree();
        say(&mut self.phone, &self.conversation, "sealed later");
        shows(&mut self.bob, &self.conversation, "sealed later");
        say(&mut self.bob, &self.conversation, "and later still");
        shows(&mut self.tablet, &self.conversation, "and later still");
        let view = self.others_agree();
        is_told_that_it_was_removed(&mut self.laptop);
        assert_eq!(refusal(&mut self.laptop, &self.conversation), "revoked");
        let mut copy = self.world.open("copy");
        is_told_that_it_was_removed(&mut copy);
        for reader in [&mut self.laptop, &mut copy] {
            let shown = reader.texts(&self.conversation);
            assert!(shown.contains(&"before".to_owned()), "what it had it keeps");
            assert!(!shown.iter().any(|text| text.contains("later")), "{shown:?}");
        }
        assert_eq!(self.others_agree(), view);
    }

    /// Waits until all but the laptop show the same, and gives its fingerprint.
    fn others_agree(&mut self) -> Value {
        let mut others = [&mut self.phone, &mut self.tablet, &mut self.bob];
        agree(&mut others, &self.conversation)["view"].take()
    }
}

/// Why a removed device may not write.
fn refusal(person: &mut Person, conversation: &Value) -> Value {
    let params = json!({ "conversation": conversation, "text": "too late" });
    person.fail("message.send", params)["data"]["kind"].take()
}

#[test]
fn a_device_that_is_revoked_while_online_is_told_and_reads_nothing_sealed_later() {
    let mut home = Household::start();
    home.laptop.wait("up_to_date");
    home.revoke();
    let told = home.laptop.hear(|n| n["method"] == "device" && n["params"]["change"] == "revoked");
    assert_eq!(told.unwrap()["params"]["unsent"], 0);
    home.check();
}

#[test]
fn a_device_that_is_revoked_with_unsent_edits_is_told_how_many_nobody_took_in() {
    let mut home = Household::start();
    home.laptop.call("network.offline", json!({}));
    for n in 0..3 {
        say(&mut home.laptop, &home.conversation, &format!("unsent {n}"));
    }
    home.revoke();
    home.laptop.call("network.online", json!({}));
    let told = home.laptop.hear(|n| n["method"] == "device" && n["params"]["change"] == "revoked");
    assert_ne!(told.unwrap()["params"]["unsent"], 0);
    for person in [&mut home.phone, &mut home.tablet, &mut home.bob] {
        let shown = person.texts(&home.conversation);
        assert!(!shown.iter().any(|text| text.starts_with("unsent")), "{shown:?}");
    }
    home.check();
}

#[test]
fn a_device_that_is_revoked_while_it_sends_leaves_a_prefix_that_is_the_same_everywhere() {
    let mut home = Household::start();
    home.laptop.wait("up_to_date");
    let conversation = home.conversation.clone();
    for n in 0..100 {
        let text = format!("mid {n:03}");
        home.laptop.ask("message.send", json!({ "conversation": conversation, "text": text }));
    }
    let revoked = home.phone.ask("device.revoke", json!({ "device": home.device }));
    for n in 100..200 {
        let text = format!("mid {n:03}");
        home.laptop.ask("message.send", json!({ "conversation": conversation, "text": text }));
    }
    assert_eq!(home.phone.answer(revoked).get("error"), None);
    home.phone.wait("stored");
    agree(&mut [&mut home.phone, &mut home.tablet, &mut home.bob], &conversation);
    let shown = home.bob.texts(&conversation);
    let mid: Vec<_> = shown.into_iter().filter(|text| text.starts_with("mid")).collect();
    println!("{} of 200 messages came before the cut", mid.len());
    let expected: Vec<_> = (0..mid.len()).map(|n| format!("mid {n:03}")).collect();
    assert_eq!(mid, expected, "what came before the cut, whole and in order");
    home.check();
}

#[test]
fn a_device_asleep_through_rotations_and_a_recovery_comes_back_equal_or_knows_what_to_do() {
    let world = World::start();
    let (mut phone, code) = sign_up(&world, "ada-phone", "ada");
    let (mut bob, _) = sign_up(&world, "bob-phone", "bob");
    let (cyd, _) = sign_up(&world, "cyd-phone", "cyd");
    drop(cyd);
    let conversation = found(&mut phone, &mut bob, "Tea", "bob");
    say(&mut phone, &conversation, "before the sleep");
    let mut ada_sleeper = add(&world, &mut phone, "ada-sleeper");
    let mut bob_sleeper = add(&world, &mut bob, "bob-sleeper");
    for sleeper in [&mut ada_sleeper, &mut bob_sleeper] {
        is_there(sleeper, &conversation);
        shows(sleeper, &conversation, "before the sleep");
        sleeper.wait("stored");
        sleeper.call("network.offline", json!({}));
        say(sleeper, &conversation, "written before it slept");
    }
    assert!(ada_sleeper.close().success() && bob_sleeper.close().success());
    for round in 0..35 {
        let member = json!({ "conversation": conversation, "address": "cyd" });
        let method = if round % 2 == 0 { "conversation.add" } else { "conversation.remove" };
        // Adding, removing, and every other rotation a change of a role.
        phone.call(method, member);
        phone.wait("stored");
        let role = if round % 2 == 0 { "admin" } else { "member" };
        let bob_as = json!({ "conversation": conversation, "address": "bob", "role": role });
        phone.call("conversation.role", bob_as);
        phone.wait("stored");
        say(&mut bob, &conversation, &format!("round {round}"));
    }
    bob.wait("stored");
    assert!(phone.close().success());
    let mut back = world.open("ada-new");
    let recover = json!({ "address": "ada", "recovery_code": code, "name": "ada-new" });
    back.call("account.recover", recover);
    is_there(&mut back, &conversation);
    say(&mut back, &conversation, "recovered");
    shows(&mut bob, &conversation, "recovered");
    let (mut ada_sleeper, mut bob_sleeper) = (world.open("ada-sleeper"), world.open("bob-sleeper"));
    for sleeper in [&mut ada_sleeper, &mut bob_sleeper] {
        sleeper.call("network.online", json!({}));
    }
    shows(&mut bob, &conversation, "written before it slept");
    agree(&mut [&mut back, &mut bob, &mut bob_sleeper], &conversation);
    agree(&mut [&mut bob, &mut bob_sleeper], &"account".into());
    is_told_that_it_was_removed(&mut ada_sleeper);
    let kept = ada_sleeper.texts(&conversation);
    assert!(kept.contains(&"written before it slept".to_owned()), "{kept:?}");
    let written = bob.texts(&conversation);
    let written = written.iter().filter(|text| *text == "written before it slept");
    assert_eq!(written.count(), 1, "of the sleeper that is still a device, and only of it");
}

#[test]
fn with_all_devices_lost_the_code_brings_every_conversation_back() {
    let world = World::start();
    let (mut phone, code) = sign_up(&world, "ada-phone", "ada");
    let (mut bob, _) = sign_up(&world, "bob-phone", "bob");
    let mut laptop = add(&world, &mut phone, "ada-laptop");
    let mut all = Vec::new();
    for n in 0..10 {
        let conversation = match n % 2 {
            0 => found(&mut phone, &mut bob, &format!("Talk {n}"), "bob"),
            _ => found(&mut bob, &mut phone, &format!("Talk {n}"), "ada"),
        };
        say(&mut phone, &conversation, &format!("from ada {n}"));
        say(&mut bob, &conversation, &format!("from bob {n}"));
        is_there(&mut laptop, &conversation);
        say(&mut laptop, &conversation, &format!("from the laptop {n}"));
        all.push(conversation);
    }
    for conversation in &all {
        agree(&mut [&mut phone, &mut laptop, &mut bob], conversation);
    }
    assert!(phone.close().success() && laptop.close().success());
    for store in ["ada-phone", "ada-laptop"] {
        copy_store(&world.data(store), &world.data(&format!("{store}-copy")));
        std::fs::remove_dir_all(world.data(store)).unwrap();
    }
    let mut new = world.open("ada-new");
    let recover = |code: &Value| json!({ "address": "ada", "recovery_code": code, "name": "new" });
    let wrong = format!("{}about", "abandon ".repeat(11));
    let refused = new.fail("account.recover", recover(&wrong.into()));
    assert_eq!(refused["data"]["kind"], "denied", "{refused}");
    let recovered = new.call("account.recover", recover(&code));
    assert_ne!(recovered["recovery_code"], code);
    for conversation in &all {
        is_there(&mut new, conversation);
        agree(&mut [&mut new, &mut bob], conversation);
        say(&mut new, conversation, "back again");
        shows(&mut bob, conversation, "back again");
    }
    assert_eq!(active_devices(&mut new), [recovered["device"].clone()]);
    for store in ["ada-phone-copy", "ada-laptop-copy"] {
        let mut old = world.open(store);
        is_told_that_it_was_removed(&mut old);
        for conversation in &all {
            assert!(!old.texts(conversation).contains(&"back again".to_owned()));
        }
    }
    let mut thief = world.open("thief");
    let used = thief.fail("account.recover", recover(&code));
    assert_eq!(used["data"]["kind"], "denied", "a code is used once: {used}");
    let mut second = world.open("ada-second");
    second.call("account.recover", recover(&recovered["recovery_code"]));
    is_told_that_it_was_removed(&mut new);
    for conversation in &all {
        is_there(&mut second, conversation);
        agree(&mut [&mut second, &mut bob], conversation);
    }
}
