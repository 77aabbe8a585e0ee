//! Notifications: what a program should look at, without having asked.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Value, json};
use sync_client::{Events, Notice};
use sync_core::Event;
use sync_core::document::OrderKey;
use sync_core::json::{FEW, Notification, RECENT, announcement, notification as of_event};
use sync_protocol::SpaceId;
use tokio::sync::mpsc::Sender;

use super::people::People;
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
                if let Notice::Event(event) = &notice {
                    people.hear(event).await;
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
    let mut few = None;
    if all.len() <= FEW
        && let Ok(mut recent) =
            people.client().conversation(conversation).messages(None, RECENT).await
    {
        recent.retain(|message| all.contains(&message.message));
        let known = people.of(&recent).await;
        few = Some((recent, known));
    }
    let whole = few.as_ref().map(|(messages, known)| (messages.as_slice(), known));
    line(announcement(conversation, all, whole))
}

fn notification(notice: &Notice) -> Value {
    match notice {
        Notice::Event(event) => line(of_event(event)),
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

fn line(notification: Notification) -> Value {
    wrap(notification.method, notification.params)
}

fn wrap(method: &str, params: Value) -> Value {
    json!({ "jsonrpc": "2.0", "method": method, "params": params })
}

#[cfg(test)]
mod tests {
    use super::*;
    use sync_core::api::ConversationChange;

    #[test]
    fn a_notification_has_no_id() {
        let conversation = SpaceId::from_bytes([1; 32]);
        let change = ConversationChange::Joined;
        let json = notification(&Notice::Event(Event::Conversation { conversation, change }));
        assert!(json.get("id").is_none());
        assert_eq!(json["jsonrpc"], "2.0");
        assert_eq!(json["method"], "conversation");
        assert_eq!(json["params"]["change"], "joined");
    }
}
