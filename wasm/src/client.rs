//! What the worker's script holds.

use std::cell::{Cell, RefCell};

use futures_channel::mpsc::unbounded;
use futures_util::future::{Either, select};
use gloo_timers::future::TimeoutFuture;
use js_sys::{Function, JSON, Promise};
use serde_json::{Map, Value, json};
use sync_core::json::{self, CallError, Plan, Shape};
use sync_core::{Failure, Response};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::{future_to_promise, spawn_local};

use crate::browser::{Listener, text};
use crate::failure::{OpenError, closed, refusal};
use crate::host::{Handle, Host, Inbound, Submitted, Target};
use crate::notices::{People, forward};
use crate::socket::socket_url;
use crate::store::Kind;

/// A browser's timers can't wait longer: 24 days.
const LONGEST_MS: u32 = i32::MAX.unsigned_abs();

/// An account on this device: one store, kept in step with a relay. One worker at a time may have a
/// store open.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Client {
    host: Handle,
    people: People,
    kind: Kind,
    /// Listens for the browser's word about the network.
    network: RefCell<Vec<Listener>>,
    is_closed: Cell<bool>,
}

#[wasm_bindgen]
impl Client {
    /// Opens the store of a name, made if it is not there, and keeps it in step with a relay.
    /// `options` are `{name, relay, storage?}`: the store's name, the relay's address (`ws`, `wss`,
    /// or its `http` or `https` address), and `opfs`, `indexeddb` or `memory` where the best that
    /// the browser gives will not do. Succeeds offline. `notify` is called with the method and the
    /// parameters of each notification.
    ///
    /// # Errors
    /// `{kind, message, retry}`; the kind is `invalid`, `relay_url`, or the store's: `in_use`,
    /// `foreign`, `damaged`, `newer`, `full`, `unsupported` or `io`.
    pub async fn open(options: JsValue, notify: Function) -> Result<Client, JsValue> {
        let target = target(&options)?;
        let (notices, queue) = unbounded();
        let (host, handle, kind) = Host::open(target, notices).await.map_err(OpenError::from)?;
        spawn_local(host.run());
        let people = People::new(handle.clone());
        spawn_local(forward(queue, people.clone(), notify));
        let network = [("online", true), ("offline", false)].map(|(event, is_there)| {
            let host = handle.clone();
            Listener::new(event, move || host.tell(Inbound::Network(is_there)))
        });
        let network = RefCell::new(network.into());
        Ok(Self { host: handle, people, kind, network, is_closed: Cell::new(false) })
    }

    /// Does what a method says. What it changed is durable in the store when this resolves. Calls
    /// take effect in the order in which they were made. With an `edit` (16 random bytes in hex or
    /// base64url) it is done once, however often it is called.
    ///
    /// # Errors
    /// `{kind, message, retry}`. Nothing was changed.
    pub fn call(&self, method: &str, params: &JsValue, edit: Option<String>) -> Promise {
        if self.is_closed.get() {
            return Promise::reject(&closed());
        }
        // Handed over now, and not when the promise is first looked at: that keeps the order.
        let started = plan(method, params, edit)
            .map(|plan| (self.host.submit(plan.command), plan.shape))
            .map_err(|error| refusal(&error));
        let (host, people) = (self.host.clone(), self.people.clone());
        future_to_promise(async move {
            let (submitted, shape) = started?;
            let result = finish(&host, &people, submitted, shape).await;
            result.map(|result| to_js(&result)).map_err(|failure| refusal(&failure.into()))
        })
    }

    /// Makes everything durable, says goodbye to the relay and lets go of the store.
    pub async fn close(&self) {
        if !self.is_closed.replace(true) {
            self.network.borrow_mut().clear();
            self.host.close().await;
        }
    }

    /// Where the records are: `opfs`, `indexeddb`, or `memory`, which is lost with the page.
    #[wasm_bindgen(getter)]
    #[must_use]
    pub fn storage(&self) -> String {
        self.kind.name().to_owned()
    }
}

fn target(options: &JsValue) -> Result<Target, OpenError> {
    let name = text(options, "name").unwrap_or_default();
    let is_name = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if name.is_empty() || name.len() > 64 || !name.chars().all(is_name) || name.starts_with('.') {
        let what = "name is 1 to 64 letters, digits, hyphens, underscores and dots";
        return Err(OpenError::Options(what.to_owned()));
    }
    let relay = text(options, "relay").unwrap_or_default();
    let url = socket_url(&relay).ok_or(OpenError::RelayUrl(relay))?;
    let kind = text(options, "storage")
        .map(|kind| {
            let unknown = || OpenError::Options("storage is opfs, indexeddb or memory".to_owned());
            Kind::of_name(&kind).ok_or_else(unknown)
        })
        .transpose()?;
    Ok(Target { name, kind, url })
}

fn plan(method: &str, params: &JsValue, edit: Option<String>) -> Result<Plan, CallError> {
    let mut params = named(params)?;
    if let Some(edit) = edit {
        params.insert("edit".to_owned(), edit.into());
    }
    json::plan(method, &params)
}

fn named(params: &JsValue) -> Result<Map<String, Value>, CallError> {
    if params.is_undefined() || params.is_null() {
        return Ok(Map::new());
    }
    let text = JSON::stringify(params).ok().and_then(|text| text.as_string());
    let value = text.and_then(|text| serde_json::from_str(&text).ok());
    match value {
        Some(Value::Object(params)) => Ok(params),
        _ => Err(CallError::params("params are named: an object")),
    }
}

async fn finish(
    host: &Handle,
    people: &People,
    submitted: Submitted,
    shape: Shape,
) -> Result<Value, Failure> {
    match shape {
        Shape::Wait(patience) => {
            let id = submitted.id;
            let patience_ms = u32::try_from(patience.as_millis()).unwrap_or(LONGEST_MS);
            let patience = TimeoutFuture::new(patience_ms.min(LONGEST_MS));
            match select(Box::pin(submitted.answer()), patience).await {
                Either::Left((answer, _)) => answer.map(|_| json!({ "reached": true })),
                Either::Right(_) => {
                    host.cancel(id);
                    Ok(json!({ "reached": false }))
                }
            }
        }
        Shape::Status => {
            let mut status = json::response(submitted.answer().await?);
            if let (Some(problem), Value::Object(fields)) = (host.connection_problem(), &mut status)
            {
                fields.insert("connection_problem".to_owned(), problem.to_string().into());
            }
            Ok(status)
        }
        Shape::Plain => match submitted.answer().await? {
            Response::Messages(messages) => {
                let people = people.of(&messages).await;
                Ok(messages.iter().map(|message| json::message(message, &people)).collect())
            }
            other => Ok(json::response(other)),
        },
    }
}

/// JSON as the browser's own values.
pub(crate) fn to_js(value: &Value) -> JsValue {
    // Text that this engine wrote is JSON.
    JSON::parse(&value.to_string()).unwrap_or(JsValue::NULL)
}

/// A panic ends the module with a bare trap; what it was about goes to the console before.
#[wasm_bindgen(start)]
fn start() {
    std::panic::set_hook(Box::new(|panic| {
        web_sys::console::error_1(&panic.to_string().into());
    }));
}
