//! Notifications: what a program should look at, without having asked.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use sync_protocol::{DeviceId, SpaceId};

use super::people::Known;
use super::shapes;
use crate::api::{ContactChange, Event, LinkEvent, MessageView, Space, Whose};
use crate::document::OrderKey;

/// A notification of so many messages carries them whole; of more, only their ids.
pub const FEW: usize = 16;
/// How far back the few are looked for.
pub const RECENT: usize = 64;

/// A notification's method and parameters.
#[derive(Clone, Debug, PartialEq)]
pub struct Notification {
    /// What kind of thing happened.
    pub method: &'static str,
    /// What happened.
    pub params: Value,
}

/// Messages that appeared or look different, with those of them that are given whole.
#[must_use]
pub fn announcement(
    conversation: SpaceId,
    all: &BTreeSet<OrderKey>,
    whole: Option<(&[MessageView], &Known)>,
) -> Notification {
    let ids: Value = all.iter().map(ToString::to_string).collect();
    let mut params = json!({ "conversation": conversation.to_string(), "messages": ids });
    if let Some((messages, known)) = whole {
        params["items"] = messages.iter().map(|message| shapes::message(message, known)).collect();
    }
    wrap("message", params)
}

/// An event as a notification. Messages are told by their ids alone; see [`announcement`].
#[must_use]
pub fn notification(event: &Event) -> Notification {
    match event {
        Event::Messages { conversation, messages } => {
            announcement(*conversation, &messages.iter().copied().collect(), None)
        }
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
        Event::Document { space, name, paths, by } => {
            let paths = paths.as_ref().map(|paths| paths.iter().map(|path| shapes::path(path)));
            let params = json!({
                "space": space.to_string(),
                "name": name,
                "paths": paths.map_or(Value::Null, Iterator::collect),
                "by": by.map(|by| by.origin.kind()),
                "account": by.map(|by| by.account.to_string()),
            });
            wrap("document", params)
        }
        Event::Settings { keys } => wrap("settings", json!({ "keys": keys })),
        Event::Status(status) => wrap("status", shapes::status(status)),
        Event::Typing { conversation, account } => wrap(
            "typing",
            json!({ "conversation": conversation.to_string(), "account": account.to_string() }),
        ),
        Event::Presence { space, name, account, device, state } => {
            let params = json!({
                "space": match space {
                    Space::Account => "account".to_owned(),
                    Space::Conversation(id) => id.to_string(),
                },
                "name": name,
                "account": account.to_string(),
                "device": device.to_string(),
                "state": state,
            });
            wrap("presence", params)
        }
        Event::Evidence { space, why } => {
            let (reason, what) = (why.code(), why.to_string());
            let account = why.account().map(|account| account.to_string());
            let space = space.to_string();
            let params =
                json!({ "space": space, "reason": reason, "what": what, "account": account });
            wrap("evidence", params)
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
        Event::Contact { account, change } => {
            let mut params = json!({ "account": account.to_string(), "change": "devices" });
            if let ContactChange::Moved { address, now } = change {
                params["change"] = json!("moved");
                params["address"] = json!(address);
                params["now"] = json!(now.to_string());
            }
            wrap("contact", params)
        }
        Event::RecoveryCode(code) => wrap("recovery_code", json!({ "recovery_code": code })),
        Event::Revoked { unsent } => {
            wrap("device", json!({ "change": "revoked", "unsent": unsent }))
        }
        Event::History { conversation, read, total } => {
            let conversation = conversation.to_string();
            wrap("history", json!({ "conversation": conversation, "read": read, "total": total }))
        }
    }
}

fn of_link(link: &LinkEvent) -> Notification {
    match link {
        LinkEvent::Account(whose) => wrap("link.account", of_whose(whose)),
        LinkEvent::Code { code, whose } => {
            let mut params = of_whose(whose);
            params["code"] = json!(code);
            wrap("link.code", params)
        }
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

fn of_whose(whose: &Whose) -> Value {
    let Whose { account, address, name } = whose;
    json!({ "account": account.to_string(), "address": address, "name": name })
}

fn wrap(method: &'static str, params: Value) -> Notification {
    Notification { method, params }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{ConversationChange, Failure};
    use sync_protocol::{AccountId, Rejection};

    #[test]
    fn a_notification_says_what_changed() {
        let space = SpaceId::from_bytes([1; 32]);
        let change =
            ConversationChange::NotAdded { address: "bob".into(), reason: Rejection::NotFound };
        let json = notification(&Event::Conversation { conversation: space, change });
        assert_eq!(json.method, "conversation");
        let expected = json!({
            "conversation": space.to_string(), "change": "not_added",
            "address": "bob", "kind": "not_found",
        });
        assert_eq!(json.params, expected);
    }
    #[test]
    fn a_link_tells_its_code_and_how_it_ended() {
        let of = |link| notification(&Event::Link(link));
        let (account, device) =
            (AccountId::of_root_key(&[1; 32]), DeviceId::of_signing_key(&[1; 32]));
        let whose = Whose { account, address: Some("ada".into()), name: "Ada".into() };
        let expected = json!({ "account": account.to_string(), "address": "ada", "name": "Ada" });
        let asks = of(LinkEvent::Account(whose.clone()));
        assert_eq!((asks.method, asks.params), ("link.account", expected));
        let code = of(LinkEvent::Code { code: "1234567".into(), whose });
        assert_eq!((code.method, &code.params["code"]), ("link.code", &json!("1234567")));
        assert_eq!(code.params["address"], json!("ada"));
        let done = of(LinkEvent::Done { account, device });
        assert_eq!(done.method, "link.done");
        assert_eq!(
            done.params,
            json!({ "account": account.to_string(), "device": device.to_string() })
        );
        let failed = of(LinkEvent::Failed(Failure::Refused(Rejection::Taken)));
        assert_eq!((failed.method, &failed.params["kind"]), ("link.failed", &json!("taken")));
    }

    #[test]
    fn changed_devices_and_the_own_end_are_told_apart() {
        let (account, device) =
            (AccountId::of_root_key(&[1; 32]), DeviceId::of_signing_key(&[1; 32]));
        let json =
            notification(&Event::Devices { account, added: vec![device], revoked: Vec::new() });
        assert_eq!(json.method, "device");
        let expected = json!({
            "change": "changed", "account": account.to_string(),
            "added": [device.to_string()], "revoked": [],
        });
        assert_eq!(json.params, expected);
        let json = notification(&Event::Revoked { unsent: 2 });
        assert_eq!(json.params, json!({ "change": "revoked", "unsent": 2 }));
    }
}
