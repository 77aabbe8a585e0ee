//! Notifications: what a program should look at, without having asked.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Value, json};
use sync_client::{Events, Notice};
use sync_core::Event;
use sync_core::api::LinkEvent;
use sync_core::document::OrderKey;
use sync_protocol::{DeviceId, SpaceId};
use tokio::sync::mpsc::Sender;

use super::people::People;
use super::shapes;

/// A notification of so many messages carries them whole; of more, only their ids.
const FEW: usize = 16;
/// How far back the few are looked for.
const RECENT: usize = 64;
/// Ids in one notification.
const MANY: usize = 1024;

/// Forwards notices until the client or stdout closes. Messages of one conversation that were
/// announced while stdout was busy are announced together.
pub(crate) async fn forward(mut events: Events, people: Arc<People>, outgoing: Sender<String>) {
    let mut held = None;
    loop {
        let notice = match held.take() {
            Some(notice) => notice,
            None => match events.next().await {
                Some(notice) => notice,
                None => return,
            },
        };
        let message = match notice {
            Notice::Event(Event::Messages { conversation, messages }) => {
                let mut all = BTreeSet::from_iter(messages);
                held = gather(&mut events, conversation, &mut all);
                announce(&people, conversation, &all).await
            }
            notice => {
                if matches!(notice, Notice::Event(Event::Conversation { .. })) {
                    people.forget().await;
                }
                notification(&notice)
            }
        };
        if outgoing.send(message.to_string()).await.is_err() {
            return;
        }
    }
}

/// Takes further messages of the conversation that are announced already; gives back the first
/// notice of another kind.
fn gather(
    events: &mut Events,
    conversation: SpaceId,
    all: &mut BTreeSet<OrderKey>,
) -> Option<Notice> {
    while all.len() < MANY {
        match events.try_next()? {
            Notice::Event(Event::Messages { conversation: of, messages }) if of == conversation => {
                all.extend(messages);
            }
            other => return Some(other),
        }
    }
    None
}

async fn announce(people: &People, conversation: SpaceId, all: &BTreeSet<OrderKey>) -> Value {
    let ids: Vec<_> = all.iter().copied().collect();
    let mut params =
        json!({ "conversation": conversation.to_string(), "messages": shapes::keys(&ids) });
    if all.len() <= FEW
        && let Ok(recent) = people.client().messages(conversation, None, RECENT).await
    {
        let few: Vec<_> =
            recent.into_iter().filter(|message| all.contains(&message.message)).collect();
        let known = people.of(&few).await;
        params["items"] = few.iter().map(|message| shapes::message(message, &known)).collect();
    }
    wrap("message", params)
}

fn notification(notice: &Notice) -> Value {
    match notice {
        Notice::Event(event) => of_event(event),
        Notice::Unreachable(problem) => {
            wrap("connection", json!({ "message": problem.to_string() }))
        }
        Notice::StoreFailed(error) => {
            wrap("store", json!({ "failed": true, "message": error.to_string() }))
        }
        Notice::StoreBack => wrap("store", json!({ "failed": false })),
        Notice::Lagged(missed) => wrap("lagged", json!({ "missed": missed })),
    }
}

fn of_event(event: &Event) -> Value {
    match event {
        Event::Messages { conversation, messages } => wrap(
            "message",
            json!({ "conversation": conversation.to_string(), "messages": shapes::keys(messages) }),
        ),
        Event::Receipts { conversation, accounts } => {
            let accounts: Value = accounts.iter().map(ToString::to_string).collect();
            let conversation = conversation.to_string();
            wrap("receipt", json!({ "conversation": conversation, "accounts": accounts }))
        }
        Event::Conversation { conversation, change } => {
            let mut params = shapes::change(change);
            params["conversation"] = conversation.to_string().into();
            wrap("conversation", params)
        }
        Event::Document { space, name } => {
            wrap("document", json!({ "space": space.to_string(), "name": name }))
        }
        Event::Settings { keys } => wrap("settings", json!({ "keys": keys })),
        Event::Status(status) => wrap("status", shapes::status(status)),
        Event::Typing { conversation, account } => wrap(
            "typing",
            json!({ "conversation": conversation.to_string(), "account": account.to_string() }),
        ),
        Event::Evidence { space, what } => {
            wrap("evidence", json!({ "space": space.to_string(), "what": what }))
        }
        Event::Link(link) => of_link(link),
        Event::Devices { account, added, revoked } => {
            let ids = |ids: &[DeviceId]| ids.iter().map(ToString::to_string).collect::<Value>();
            let params = json!({
                "change": "changed",
                "account": account.to_string(),
                "added": ids(added),
                "revoked": ids(revoked),
            });
            wrap("device", params)
        }
        Event::Revoked { unsent } => {
            wrap("device", json!({ "change": "revoked", "unsent": unsent }))
        }
        Event::History { conversation, read, total } => {
            let conversation = conversation.to_string();
            wrap("history", json!({ "conversation": conversation, "read": read, "total": total }))
        }
    }
}

fn of_link(link: &LinkEvent) -> Value {
    match link {
        LinkEvent::Code(code) => wrap("link.code", json!({ "code": code })),
        LinkEvent::Done { account, device } => {
            let params = json!({ "account": account.to_string(), "device": device.to_string() });
            wrap("link.done", params)
        }
        LinkEvent::Failed(failure) => {
            let message = failure.to_string();
            wrap("link.failed", json!({ "kind": failure.kind(), "message": message }))
        }
    }
}

fn wrap(method: &str, params: Value) -> Value {
    json!({ "jsonrpc": "2.0", "method": method, "params": params })
}

#[cfg(test)]
mod tests {
    use super::*;
    use sync_core::Failure;
    use sync_core::api::ConversationChange;
    use sync_protocol::{AccountId, Rejection};

    #[test]
    fn a_notification_says_what_changed_and_has_no_id() {
        let space = SpaceId::from_bytes([1; 32]);
        let change =
            ConversationChange::NotAdded { address: "bob".into(), reason: Rejection::NotFound };
        let json = of_event(&Event::Conversation { conversation: space, change });
        assert!(json.get("id").is_none());
        assert_eq!(json["method"], "conversation");
        let expected = json!({
            "conversation": space.to_string(), "change": "not_added",
            "address": "bob", "kind": "not_found",
        });
        assert_eq!(json["params"], expected);
    }
    #[test]
    fn a_link_tells_its_code_and_how_it_ended() {
        let of = |link| of_event(&Event::Link(link));
        let code = of(LinkEvent::Code("1234567".into()));
        assert_eq!(
            (&code["method"], &code["params"]["code"]),
            (&json!("link.code"), &json!("1234567"))
        );
        let (account, device) =
            (AccountId::of_root_key(&[1; 32]), DeviceId::of_signing_key(&[1; 32]));
        let done = of(LinkEvent::Done { account, device });
        assert_eq!(done["method"], "link.done");
        assert_eq!(
            done["params"],
            json!({ "account": account.to_string(), "device": device.to_string() })
        );
        let failed = of(LinkEvent::Failed(Failure::Refused(Rejection::Taken)));
        assert_eq!(
            (&failed["method"], &failed["params"]["kind"]),
            (&json!("link.failed"), &json!("taken"))
        );
    }

    #[test]
    fn changed_devices_and_the_own_end_are_told_apart() {
        let (account, device) =
            (AccountId::of_root_key(&[1; 32]), DeviceId::of_signing_key(&[1; 32]));
        let json = of_event(&Event::Devices { account, added: vec![device], revoked: Vec::new() });
        assert_eq!(json["method"], "device");
        let expected = json!({
            "change": "changed", "account": account.to_string(),
            "added": [device.to_string()], "revoked": [],
        });
        assert_eq!(json["params"], expected);
        let json = of_event(&Event::Revoked { unsent: 2 });
        assert_eq!(json["params"], json!({ "change": "revoked", "unsent": 2 }));
    }
}
