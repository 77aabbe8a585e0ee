//! Notifications: what a page's script should look at, without having asked.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;

use futures_channel::mpsc::UnboundedReceiver;
use futures_util::StreamExt as _;
use js_sys::Function;
use serde_json::{Value, json};
use sync_core::api::MessageView;
use sync_core::document::OrderKey;
use sync_core::json::{self, FEW, Known, Notification, RECENT};
use sync_core::{Command, Event, Response};
use sync_protocol::SpaceId;
use wasm_bindgen::JsValue;

use crate::browser::now_ms;
use crate::client::to_js;
use crate::host::{Handle, Notice};

/// Ids in one notification.
const MANY: usize = 1024;

/// Names and addresses, and the host that is asked for them.
#[derive(Clone, Debug)]
pub(crate) struct People {
    host: Handle,
    known: Rc<RefCell<json::People>>,
}

impl People {
    /// Knows nobody yet.
    pub(crate) fn new(host: Handle) -> Self {
        Self { host, known: Rc::default() }
    }

    /// What is known of the authors of messages.
    pub(crate) async fn of(&self, messages: &[MessageView]) -> Known {
        let now = now_ms();
        let lacks = self.known.borrow().lack(messages, now);
        if lacks
            && let Ok(Response::Conversations(list)) =
                self.host.command(Command::ListConversations).await
        {
            self.known.borrow_mut().learn(list, now);
        }
        self.known.borrow().of(messages)
    }
}

/// Forwards notices until the host ends. Messages of one conversation that are announced already
/// are announced together.
pub(crate) async fn forward(
    mut notices: UnboundedReceiver<Notice>,
    people: People,
    notify: Function,
) {
    let mut held = None;
    loop {
        let notice = match held.take() {
            Some(notice) => notice,
            None => match notices.next().await {
                Some(notice) => notice,
                None => return,
            },
        };
        let Notification { method, params } = match notice {
            Notice::Event(Event::Messages { conversation, messages }) => {
                let mut all = BTreeSet::from_iter(messages);
                held = gather(&mut notices, conversation, &mut all);
                announce(&people, conversation, &all).await
            }
            notice => {
                if let Notice::Event(event) = &notice {
                    people.known.borrow_mut().hear(event);
                }
                notification(&notice)
            }
        };
        // What the script makes of it is its own affair.
        let _ = notify.call2(&JsValue::NULL, &method.into(), &to_js(&params));
    }
}

fn gather(
    notices: &mut UnboundedReceiver<Notice>,
    conversation: SpaceId,
    all: &mut BTreeSet<OrderKey>,
) -> Option<Notice> {
    while all.len() < MANY {
        match notices.try_recv().ok()? {
            Notice::Event(Event::Messages { conversation: of, messages }) if of == conversation => {
                all.extend(messages);
            }
            other => return Some(other),
        }
    }
    None
}

async fn announce(
    people: &People,
    conversation: SpaceId,
    all: &BTreeSet<OrderKey>,
) -> Notification {
    let recent = Command::ListMessages { conversation, before: None, limit: RECENT };
    let mut few = None;
    if all.len() <= FEW
        && let Ok(Response::Messages(mut recent)) = people.host.command(recent).await
    {
        recent.retain(|message| all.contains(&message.message));
        let known = people.of(&recent).await;
        few = Some((recent, known));
    }
    let whole = few.as_ref().map(|(messages, known)| (messages.as_slice(), known));
    json::announcement(conversation, all, whole)
}

fn notification(notice: &Notice) -> Notification {
    let of_host = |method, params: Value| Notification { method, params };
    match notice {
        Notice::Event(event) => json::notification(event),
        Notice::Unreachable(problem) => {
            of_host("connection", json!({ "message": problem.to_string() }))
        }
        Notice::StoreFailed(error) => {
            of_host("store", json!({ "failed": true, "message": error.to_string() }))
        }
        Notice::StoreBack => of_host("store", json!({ "failed": false })),
    }
}
