//! Invites at a real relay: from whoever runs it to the first, and from there to the next.

use serde_json::{Value, json};
use sync_client::{Client, Options, Until};
use sync_server::relay::Registration;
use sync_server::rules::{Action, Invite, TokenHash};

use crate::support::{PATIENCE, Person, World};

/// Somebody whose relay's address has a code behind it, and who asks for an account.
fn comes(world: &World, who: &str, code: &Value) -> Person {
    let code = code.as_str().unwrap();
    let mut person = Person::open(&world.data(who), &format!("{}?token={code}", world.relay));
    person.call("account.create", json!({ "address": who, "name": who }));
    person
}

#[test]
fn a_code_goes_from_one_person_to_the_next_and_lets_one_in() {
    let world = World::letting_in(Registration::Invite);
    let invite = Invite { by: None, until_ms: u64::MAX, used_by: None };
    world.operate(Action::AddInvite { hash: TokenHash::of("first"), invite });
    let mut ada = comes(&world, "ada", &json!("first"));
    ada.wait("up_to_date");
    let code = ada.call("account.invite", json!({}))["code"].take();
    let mut bob = comes(&world, "bob", &code);
    bob.wait("up_to_date");
    // They meet like anybody else.
    ada.call("conversation.create", json!({ "title": "t", "members": ["bob"] }));
    bob.until("conversation.list", &json!({}), |list| !list.as_array().unwrap().is_empty());
    let mut eve = comes(&world, "eve", &code);
    let is_denied = |status: &Value| status["problem"]["kind"] == json!("denied");
    eve.until("account.status", &json!({}), is_denied);
    // A client of another kind draws, and eve comes again with that.
    eve.close();
    bob.close();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let next = runtime.block_on(async {
        let data = world.data("bob");
        let bob = Client::open(&data, &world.relay, Options::default()).await.unwrap();
        assert!(bob.wait(Until::UpToDate, PATIENCE).await.unwrap());
        let next = bob.account().invite().await.unwrap();
        bob.close().await;
        next.code
    });
    let mut eve = Person::open(&world.data("eve"), &format!("{}?token={next}", world.relay));
    eve.wait("up_to_date");
}
