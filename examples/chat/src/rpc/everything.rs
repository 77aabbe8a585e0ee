//! Calls that go over everything: `message.search` and `account.export`.

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value};
use sync_core::json::{CallError, Fault};
use sync_protocol::SpaceId;

use super::Server;
use super::error::RpcError;
use crate::everything::{self, ExportError};

/// Messages found, unless the request says otherwise, and at most.
const HITS: (u64, u64) = (50, 1_000);

/// One of these calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Call {
    /// Messages that hold a text.
    Search {
        /// The text.
        text: String,
        /// Where; everywhere without.
        only: Option<SpaceId>,
        /// At most so many.
        limit: usize,
    },
    /// All that is here, into a new file.
    Export {
        /// The file.
        path: PathBuf,
    },
}

/// The call that a request is, if it is one of these.
pub(super) fn parse(method: &str, params: &Map<String, Value>) -> Option<Result<Call, CallError>> {
    match method {
        "message.search" => Some(search(params)),
        "account.export" => Some(export(params)),
        _ => None,
    }
}

fn search(params: &Map<String, Value>) -> Result<Call, CallError> {
    check("message.search", params, &["text", "conversation", "limit"])?;
    let text = text(params, "text")?.ok_or_else(|| CallError::params("text is missing"))?;
    let only = match text_of(params, "conversation")? {
        Some(id) => {
            let bad = |error| CallError::params(format!("conversation: {error}"));
            Some(id.parse().map_err(bad)?)
        }
        None => None,
    };
    let limit = match params.get("limit").filter(|value| !value.is_null()) {
        Some(value) => {
            let bad = || CallError::params("limit is a number from 1 to 1000");
            value.as_u64().filter(|limit| (1..=HITS.1).contains(limit)).ok_or_else(bad)?
        }
        None => HITS.0,
    };
    Ok(Call::Search { text, only, limit: usize::try_from(limit).unwrap_or(usize::MAX) })
}

fn export(params: &Map<String, Value>) -> Result<Call, CallError> {
    check("account.export", params, &["path"])?;
    let path = text(params, "path")?.filter(|path| !path.is_empty());
    let path = path.ok_or_else(|| CallError::params("path is missing: a file to be made"))?;
    Ok(Call::Export { path: path.into() })
}

fn text(params: &Map<String, Value>, name: &str) -> Result<Option<String>, CallError> {
    text_of(params, name).map(|text| text.map(str::to_owned))
}

fn text_of<'a>(params: &'a Map<String, Value>, name: &str) -> Result<Option<&'a str>, CallError> {
    match params.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(CallError::params(format!("{name} is a text"))),
    }
}

/// Refuses parameters that the method doesn't take.
fn check(method: &str, params: &Map<String, Value>, names: &[&str]) -> Result<(), CallError> {
    match params.keys().find(|name| !names.contains(&name.as_str())) {
        Some(name) => {
            let known = names.join(", ");
            Err(CallError::params(format!("{method} takes no {name:?}, only {known}")))
        }
        None => Ok(()),
    }
}

impl Server {
    /// Does it. It changes nothing, so it needs no place among the other calls.
    pub(super) async fn over_everything(&self, call: Call) -> Result<Value, RpcError> {
        match call {
            Call::Search { text, only, limit } => self.search(&text, only, limit).await,
            Call::Export { path } => self.export(path).await,
        }
    }

    async fn search(
        &self,
        text: &str,
        only: Option<SpaceId>,
        limit: usize,
    ) -> Result<Value, RpcError> {
        let hits = everything::search(&self.client, text, only, limit).await?;
        let messages: Vec<_> = hits.iter().map(|hit| hit.message.clone()).collect();
        let people = self.people.of(&messages).await;
        let message = |hit: &everything::Hit| sync_core::json::message(&hit.message, &people);
        Ok(hits.iter().map(|hit| found(message(hit), &hit.conversation.to_string())).collect())
    }

    async fn export(&self, path: PathBuf) -> Result<Value, RpcError> {
        let mut options = tokio::fs::OpenOptions::new();
        options.write(true).create_new(true);
        // All that somebody wrote is in it.
        #[cfg(unix)]
        options.mode(0o600);
        let opened = options.open(&path).await;
        let file = opened.map_err(|error| refused(&path, &error))?;
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let at_ms = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        match everything::export(&self.client, at_ms, file).await {
            Ok(counts) => Ok(counts.to_json()),
            Err(ExportError::Client(failure)) => Err(failure.into()),
            Err(ExportError::Write(error)) => Err(refused(&path, &error)),
        }
    }
}

/// A message that was found, with where it is.
pub(super) fn found(mut message: Value, conversation: &str) -> Value {
    message["conversation"] = conversation.into();
    message
}

fn refused(path: &std::path::Path, error: &std::io::Error) -> RpcError {
    let kind = match error.kind() {
        std::io::ErrorKind::AlreadyExists => "exists",
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => "full",
        _ => "io",
    };
    let message = format!("{} can't be written: {error}", path.display());
    CallError { fault: Fault::Failed, kind, message, retry: false, detail: None }.into()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    fn parsed(method: &str, params: Value) -> Result<Call, String> {
        parse(method, params.as_object().unwrap()).unwrap().map_err(|error| error.message)
    }

    #[test]
    fn what_a_search_or_an_export_lacks_is_named() {
        let call = Call::Search { text: "hi".to_owned(), only: None, limit: 50 };
        assert_eq!(parsed("message.search", json!({ "text": "hi" })), Ok(call));
        for (method, params, word) in [
            ("message.search", json!({}), "text is missing"),
            ("message.search", json!({ "text": 1 }), "text is a text"),
            ("message.search", json!({ "text": "x", "limit": 0 }), "limit"),
            ("message.search", json!({ "text": "x", "limit": 1001 }), "limit"),
            ("message.search", json!({ "text": "x", "conversation": "x" }), "conversation"),
            ("message.search", json!({ "text": "x", "query": "x" }), "\"query\""),
            ("account.export", json!({}), "path is missing"),
            ("account.export", json!({ "path": "" }), "path is missing"),
            ("account.export", json!({ "file": "x" }), "\"file\""),
        ] {
            let error = parsed(method, params).unwrap_err();
            assert!(error.contains(word), "{error}");
        }
        assert!(parse("message.list", &Map::new()).is_none());
    }
}
