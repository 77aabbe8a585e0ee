//! Failures as a page's script sees them: `{kind, message, retry}`, and of an operation on a document
//! `op`, `operation`, `path` and `reason`.

use js_sys::{Object, Reflect};
use sync_core::json::CallError;
use sync_store::StoreError;
use wasm_bindgen::JsValue;

/// Why a client could not be opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    /// The options make no sense.
    #[error("{0}")]
    Options(String),
    /// The relay's address makes no sense.
    #[error("{0:?} is not a relay's address: write wss://host, or ws://host:port (1 to 65535)")]
    RelayUrl(String),
    /// The store can't be used.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl OpenError {
    fn kind(&self) -> &'static str {
        match self {
            Self::Options(_) => "invalid",
            Self::RelayUrl(_) => "relay_url",
            Self::Store(error) => error.kind(),
        }
    }
}

impl From<OpenError> for JsValue {
    fn from(error: OpenError) -> Self {
        let retry = matches!(&error, OpenError::Store(error) if error.passes());
        failure(error.kind(), &error.to_string(), retry)
    }
}

/// A refused call.
pub(crate) fn refusal(error: &CallError) -> JsValue {
    let refusal = failure(error.kind, &error.message, error.retry);
    // What a script is told beside that is plain JSON: read by the browser itself.
    for (name, value) in error.detail.iter().flat_map(|detail| detail.iter()) {
        let value = js_sys::JSON::parse(&value.to_string()).unwrap_or(JsValue::NULL);
        let _ = Reflect::set(&refusal, &JsValue::from_str(name), &value);
    }
    refusal
}

/// The client is closed.
pub(crate) fn closed() -> JsValue {
    failure("closed", "the client is closed", false)
}

fn failure(kind: &str, message: &str, retry: bool) -> JsValue {
    let object = Object::new();
    for (name, value) in
        [("kind", kind.into()), ("message", message.into()), ("retry", retry.into())]
    {
        // A fresh object takes any property.
        let _ = Reflect::set(&object, &JsValue::from_str(name), &value);
    }
    object.into()
}
