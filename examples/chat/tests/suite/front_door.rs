//! Every method of the native client, against a real relay, as an app calls it.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use futures_util::StreamExt as _;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sync_client::{
    Change, Client, Command, Compared, Comparison, Conversation, Event, Events, Failure, Join,
    LinkEvent, Notice, Options, Role, Until, path,
};

use crate::support::{PATIENCE, World};

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Plan {
    title: String,
    items: Vec<String>,
    votes: i64,
    text: String,
}

fn within<T>(story: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async { tokio::time::timeout(PATIENCE, story).await.unwrap() })
}

async fn open(world: &World, who: &str) -> Client {
    Client::open(&world.data(who), &world.relay, Options::default()).await.unwrap()
}

async fn sign_up(world: &World, who: &str) -> (Client, String) {
    let client = open(world, who).await;
    let account = client.account().create(who, &who.to_uppercase()).await.unwrap();
    assert!(client.wait(Until::UpToDate, PATIENCE).await.unwrap());
    (client, account.recovery_code)
}

async fn told<T>(events: &mut Events, wanted: impl Fn(Event) -> Option<T>) -> T {
    loop {
        if let Notice::Event(event) = events.next().await.unwrap()
            && let Some(found) = wanted(event)
        {
            return found;
        }
    }
}

/// The conversation at somebody else's, once they are in it.
async fn arrives(client: &Client, at: &Conversation) -> Conversation {
    let conversation = client.conversation(at.id());
    while conversation.info().await.is_err() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    conversation
}

#[test]
fn an_account_its_people_and_its_settings() {
    let world = World::start();
    within(async {
        let (ada, first_code) = sign_up(&world, "ada").await;
        let (bob, _) = sign_up(&world, "bob").await;
        ada.account().set_name("Ada Lovelace").await.unwrap();
        assert_eq!(ada.status().await.unwrap().name, "Ada Lovelace");
        let code = ada.account().new_recovery_code().await.unwrap();
        assert_ne!(code, first_code);

        let card = ada.contacts().lookup("bob").await.unwrap();
        let hers = bob.contacts().lookup("ada").await.unwrap();
        assert_eq!(card.safety_number, hers.safety_number);
        let compared = ada.contacts().compare(card.account, &hers.shown).await.unwrap();
        assert_eq!(compared, Comparison::Same);
        let number = Some(hers.safety_number.as_str());
        bob.contacts().verify(hers.account, number).await.unwrap();
        assert_ne!(bob.contacts().show(hers.account).await.unwrap().compared, Compared::Never);
        bob.contacts().verify(hers.account, None).await.unwrap();
        assert_eq!(bob.contacts().show(hers.account).await.unwrap().compared, Compared::Never);
        ada.contacts().accept_address("bob", card.account).await.unwrap();
        for blocked in [true, false] {
            ada.contacts().set_blocked(card.account, blocked).await.unwrap();
        }
        let nobody = ada.contacts().lookup("nobody").await;
        assert!(matches!(nobody, Err(Failure::NotFound(_))), "{nobody:?}");
        let nonsense = ada.contacts().lookup("no address").await;
        assert!(matches!(&nonsense, Err(Failure::Invalid(why)) if why.contains("no address")));

        ada.settings().set("theme", "dark").await.unwrap();
        assert_eq!(ada.settings().get("theme").await.unwrap(), "dark");
        assert_eq!(ada.settings().all().await.unwrap().get("theme"), Some(&json!("dark")));
        ada.settings().set("theme", Value::Null).await.unwrap();
        assert_eq!(ada.settings().get("theme").await.unwrap(), Value::Null);

        assert!(ada.wait(Until::Stored, PATIENCE).await.unwrap());
        let digest = ada.digest().await.unwrap();
        ada.go_offline().await.unwrap();
        assert!(!ada.status().await.unwrap().connected);
        assert_eq!(ada.digest().await.unwrap(), digest);
        ada.go_online().await.unwrap();
        assert!(ada.wait(Until::UpToDate, PATIENCE).await.unwrap());
        ada.close().await;

        let again = open(&world, "ada again").await;
        let back = again.account().recover("ada", &code, "Laptop").await.unwrap();
        assert_eq!(Some(back.account), again.status().await.unwrap().account);
        again.close().await;
        bob.close().await;
    });
}

#[test]
fn a_conversation_its_members_and_its_messages() {
    let world = World::start();
    within(async {
        let (ada, _) = sign_up(&world, "ada").await;
        let (bob, _) = sign_up(&world, "bob").await;
        let (eve, _) = sign_up(&world, "eve").await;
        let hers = ada.conversations().create("Tea", &["bob"]).await.unwrap();
        ada.conversations().foreground(Some(hers.id())).await.unwrap();
        let his = arrives(&bob, &hers).await;
        his.accept().await.unwrap();
        let mut pages = pin!(his.newest(10));
        let first = hers.send("hello").await.unwrap();
        let reply = hers.reply(first, "and again").await.unwrap();
        hers.edit(first, "hello, Bob").await.unwrap();
        hers.delete(reply).await.unwrap();
        hers.react(first, Some("👍")).await.unwrap();
        loop {
            let page = pages.next().await.unwrap().unwrap();
            let shown = page.iter().find(|view| view.message == first);
            if shown.is_some_and(|view| view.edited && !view.reactions.is_empty()) {
                break;
            }
        }
        his.mark_read(first).await.unwrap();
        his.typing().await.unwrap();
        let me = hers.info().await.unwrap().members[0].account;
        hers.react(first, None).await.unwrap();
        hers.set_title("Tea at four").await.unwrap();
        hers.add("eve", true).await.unwrap();
        let eves = arrives(&eve, &hers).await;
        let card = ada.contacts().lookup("eve").await.unwrap();
        hers.set_role(card.account, Role::Admin).await.unwrap();
        hers.remove(card.account).await.unwrap();
        eves.decline(true).await.ok();
        assert!(ada.wait(Until::Stored, PATIENCE).await.unwrap());
        assert!(bob.wait(Until::Stored, PATIENCE).await.unwrap());
        while hers.digest().await.unwrap() != his.digest().await.unwrap() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(hers.messages(None, 10).await.unwrap().len(), 2);
        assert!(
            ada.conversations().list().await.unwrap()[0].members.iter().any(|m| m.account == me)
        );
        his.leave().await.unwrap();
        for client in [ada, bob, eve] {
            client.close().await;
        }
    });
}

#[test]
fn a_document_is_read_and_changed_as_what_it_is() {
    let world = World::start();
    within(async {
        let (ada, _) = sign_up(&world, "ada").await;
        let (bob, _) = sign_up(&world, "bob").await;
        let hers = ada.conversations().create("Plans", &["bob"]).await.unwrap();
        let plan = hers.document::<Plan>("plan");
        let begun = Change::new()
            .put("title", "Plan")
            .put("items", ["tea"])
            .put("votes", Change::counter(0))
            .put("text", Change::text("Dear all,"))
            .put("gone", true)
            .insert(path!["items", 1], "milk")
            .increment("votes", 2)
            .splice("text", 5, 3, "Bob")
            .delete("gone");
        plan.change(begun).await.unwrap();
        let expected = Plan {
            title: "Plan".to_owned(),
            items: vec!["tea".to_owned(), "milk".to_owned()],
            votes: 2,
            text: "Dear Bob,".to_owned(),
        };
        assert_eq!(plan.read().await.unwrap().as_ref(), Some(&expected));
        assert_eq!(plan.at(path!["items", 1]).await.unwrap(), "milk");
        let other = hers.document::<Vec<u8>>("plan").read().await;
        assert!(matches!(&other, Err(Failure::Invalid(why)) if why.contains("plan")), "{other:?}");

        let his = arrives(&bob, &hers).await.document::<Plan>(plan.name());
        let mut values = pin!(his.values());
        while values.next().await.unwrap().unwrap().as_ref() != Some(&expected) {}

        let bytes = plan.export().await.unwrap();
        let copy = ada.document::<Plan>("copy");
        assert_eq!(copy.read().await.unwrap(), None);
        copy.import(bytes).await.unwrap();
        assert_eq!(copy.read().await.unwrap(), Some(expected));
        ada.close().await;
        bob.close().await;
    });
}

#[test]
fn every_operation_makes_what_it_says() {
    let world = World::start();
    within(async {
        let (ada, _) = sign_up(&world, "ada").await;
        let plan = ada.document::<Value>("plan");
        let fields = json!({ "$time": "noon" }).as_object().unwrap().clone();
        let begun = Change::new()
            .ensure("items", ["tea", "milk"])
            .put("at", Change::time(5))
            .put("seal", Change::bytes(&[1, 2]))
            .put("when", Change::map(fields))
            .put("text", Change::text("a 🎉 b"))
            .put("old", 1);
        let first = plan.change(begun).await.unwrap();
        let next = Change::new()
            .ensure("items", ["never"])
            .move_to(path!["items", 1], 0)
            .convert("old", "one")
            .splice_utf16("text", 2, 2, "🎈");
        plan.change(next).await.unwrap();
        let shown = plan.at(()).await.unwrap();
        assert_eq!(shown["items"], json!(["milk", "tea"]));
        assert_eq!((&shown["old"], &shown["text"]), (&json!("one"), &json!("a 🎈 b")));
        let typed = plan.typed(()).await.unwrap();
        assert_eq!((&typed["at"], &typed["seal"]), (&Change::time(5), &Change::bytes(&[1, 2])));
        assert_eq!(typed["when"], json!({ "$map": { "$time": "noon" } }));
        assert_eq!(plan.as_of(&first).await.unwrap()["old"], 1);
        assert!(plan.history(None, 10).await.unwrap().len() >= 2);
        assert_eq!(plan.conflicts("old").await.unwrap().len(), 1);
        plan.present(json!({ "at": 1 })).await.unwrap();
        ada.close().await;
    });
}

#[test]
fn what_is_said_of_conversations_and_documents_is_listed() {
    let world = World::start();
    within(async {
        let (ada, _) = sign_up(&world, "ada").await;
        let conversation = ada.conversations().create("Plans", &[]).await.unwrap();
        conversation.set_pinned(true).await.unwrap();
        conversation.set_muted(true).await.unwrap();
        conversation.set_archived(true).await.unwrap();
        let mut events = ada.events();
        assert!(events.try_next().is_none(), "listening begins now");
        conversation.send("hello").await.unwrap();
        let mut heard = pin!(events.into_stream());
        assert!(heard.next().await.is_some());
        let info = conversation.info().await.unwrap();
        assert!(info.pinned && info.muted && info.archived, "{info:?}");
        let shared = conversation.document::<Value>("plan");
        shared.change(Change::new().put("a", 1)).await.unwrap();
        shared.rename(Some("The plan")).await.unwrap();
        shared.archive(true).await.unwrap();
        let all = conversation.documents().await.unwrap().documents;
        assert_eq!((all[0].title.as_deref(), all[0].archived), (Some("The plan"), true));
        shared.delete().await.unwrap();
        assert!(conversation.documents().await.unwrap().documents.is_empty());
        let own = ada.document::<Value>("notes");
        own.change(Change::new().put("a", 1)).await.unwrap();
        assert_eq!(ada.documents().await.unwrap().documents[0].name, "notes");
        let asked = ada.submit(Command::ListConversations).await.answer().await.unwrap();
        assert_eq!(asked, ada.command(Command::ListConversations).await.unwrap());
        assert!(ada.connection_problem().is_none());
        ada.close().await;
        let nowhere = Client::open(&world.data("eve"), "no address", Options::default()).await;
        assert_eq!(nowhere.err().map(|error| error.kind()), Some("relay_url"));
    });
}

#[test]
fn a_device_is_linked_made_the_primary_and_ended() {
    let world = World::start();
    within(async {
        let (phone, _) = sign_up(&world, "ada").await;
        let laptop = open(&world, "laptop").await;
        laptop.devices().offer("Laptop", Join::Ask).await.unwrap();
        laptop.devices().cancel().await.unwrap();
        let mut events = laptop.events();
        let offer = laptop.devices().offer("Laptop", Join::Ask).await.unwrap();
        assert_eq!(phone.devices().accept(&offer, true).await.unwrap(), "Laptop");
        let account = told(&mut events, |event| match event {
            Event::Link(LinkEvent::Account(whose)) => Some(whose.account),
            _ => None,
        });
        laptop.devices().join(account.await).await.unwrap();
        let code = told(&mut events, |event| match event {
            Event::Link(LinkEvent::Code { code, .. }) => Some(code),
            _ => None,
        });
        let device = phone.devices().confirm(&code.await).await.unwrap();
        told(&mut events, |event| {
            matches!(event, Event::Link(LinkEvent::Done { .. })).then_some(())
        })
        .await;
        assert!(laptop.wait(Until::UpToDate, PATIENCE).await.unwrap());
        phone.devices().make_primary(device).await.unwrap();
        while laptop.status().await.unwrap().role != "primary" {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let all = laptop.devices().list().await.unwrap();
        let other = all.iter().find(|view| view.device != device).unwrap().device;
        laptop.devices().revoke(other).await.unwrap();
        phone.close().await;
        laptop.close().await;
    });
}
