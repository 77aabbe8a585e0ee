//! What the browser gives a worker besides sockets and storage: a clock, turns and failures.

use futures_channel::oneshot;
use js_sys::Reflect;
use wasm_bindgen::prelude::*;
use web_sys::{DedicatedWorkerGlobalScope, DomException, Event, MessageChannel};

/// The worker itself.
pub(crate) fn scope() -> DedicatedWorkerGlobalScope {
    js_sys::global().unchecked_into()
}

/// Unix milliseconds.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a clock's milliseconds"
)]
pub(crate) fn now_ms() -> u64 {
    js_sys::Date::now().max(0.0) as u64
}

/// Milliseconds since the worker began, by a clock that nobody sets.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a clock's milliseconds"
)]
pub(crate) fn steady_ms() -> u64 {
    scope().performance().map_or(0, |clock| clock.now().max(0.0) as u64)
}

/// Lets whatever the browser has queued come first. (A timer of zero would wait for four
/// milliseconds; a promise would let nothing else in.)
pub(crate) async fn turn() {
    let Ok(channel) = MessageChannel::new() else { return };
    let (come, came) = oneshot::channel();
    let closure = Closure::once_into_js(move || {
        let _ = come.send(());
    });
    channel.port1().set_onmessage(Some(closure.unchecked_ref()));
    if channel.port2().post_message(&JsValue::NULL).is_ok() {
        let _ = came.await;
    }
    channel.port1().close();
}

/// The name of a browser's exception, such as `QuotaExceededError`.
pub(crate) fn name_of(error: &JsValue) -> String {
    let named = error.dyn_ref::<DomException>().map(DomException::name);
    named.or_else(|| text(error, "name")).unwrap_or_default()
}

/// A browser's exception in words.
pub(crate) fn words_of(error: &JsValue) -> String {
    let message = text(error, "message").or_else(|| error.as_string());
    match (name_of(error), message) {
        (name, Some(message)) if name.is_empty() => message,
        (name, Some(message)) => format!("{name}: {message}"),
        (name, None) if name.is_empty() => "for no stated reason".to_owned(),
        (name, None) => name,
    }
}

/// A text that an object has under a name.
pub(crate) fn text(object: &JsValue, name: &str) -> Option<String> {
    Reflect::get(object, &name.into()).ok()?.as_string()
}

/// Listens for one kind of event of the worker for as long as this is held.
pub(crate) struct Listener {
    kind: &'static str,
    closure: Closure<dyn FnMut(Event)>,
}

impl std::fmt::Debug for Listener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Listener").field("kind", &self.kind).finish_non_exhaustive()
    }
}

impl Listener {
    /// Calls `happen` at each such event.
    pub(crate) fn new(kind: &'static str, mut happen: impl FnMut() + 'static) -> Self {
        let closure = Closure::<dyn FnMut(Event)>::new(move |_| happen());
        // A worker takes listeners for any kind; it refuses none.
        let _ = scope().add_event_listener_with_callback(kind, closure.as_ref().unchecked_ref());
        Self { kind, closure }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let callback = self.closure.as_ref().unchecked_ref();
        let _ = scope().remove_event_listener_with_callback(self.kind, callback);
    }
}
