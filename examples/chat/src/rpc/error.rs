//! Errors as programs see them: a JSON-RPC code, a stable word, and whether to wait or to act.

use serde_json::{Map, Value, json};
use sync_core::Failure;
use sync_core::json::{CallError, Fault};

/// JSON-RPC 2.0, section 5.1.
const PARSE: i64 = -32700;
const INVALID_REQUEST: i64 = -32600;
const METHOD_NOT_FOUND: i64 = -32601;
const INVALID_PARAMS: i64 = -32602;
/// Of the range left to servers: the request was understood and could not be done.
const FAILED: i64 = -32000;

/// One error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RpcError {
    code: i64,
    kind: &'static str,
    message: String,
    retry: bool,
    detail: Option<Box<Map<String, Value>>>,
}

impl RpcError {
    fn new(code: i64, kind: &'static str, message: impl Into<String>) -> Self {
        Self { code, kind, message: message.into(), retry: false, detail: None }
    }

    /// The line is no JSON.
    pub(crate) fn parse(message: impl Into<String>) -> Self {
        Self::new(PARSE, "invalid", message)
    }

    /// The JSON is no request.
    pub(crate) fn request(message: impl Into<String>) -> Self {
        Self::new(INVALID_REQUEST, "invalid", message)
    }

    /// The line is longer than any request.
    pub(crate) fn too_long() -> Self {
        let limit = super::lines::LIMIT;
        Self::new(INVALID_REQUEST, "too_large", format!("a line may have {limit} bytes"))
    }

    /// A parameter is missing or makes no sense.
    pub(crate) fn params(message: impl Into<String>) -> Self {
        Self::new(INVALID_PARAMS, "invalid", message)
    }

    /// The `error` member.
    pub(crate) fn to_json(&self) -> Value {
        let mut data = self.detail.as_deref().cloned().unwrap_or_default();
        data.insert("kind".to_owned(), self.kind.into());
        data.insert("retry".to_owned(), self.retry.into());
        json!({ "code": self.code, "message": self.message, "data": data })
    }
}

impl From<CallError> for RpcError {
    fn from(error: CallError) -> Self {
        let code = match error.fault {
            Fault::Method => METHOD_NOT_FOUND,
            Fault::Params => INVALID_PARAMS,
            Fault::Failed => FAILED,
        };
        let CallError { kind, message, retry, detail, .. } = error;
        Self { code, kind, message, retry, detail }
    }
}

impl From<Failure> for RpcError {
    fn from(failure: Failure) -> Self {
        CallError::from(failure).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sync_protocol::Rejection;

    #[test]
    fn failures_keep_their_codes() {
        let cases = [
            (Failure::Offline, FAILED, "offline", false),
            (Failure::Invalid("x".into()), INVALID_PARAMS, "invalid", false),
            (Failure::Refused(Rejection::Rate { retry_ms: 5 }), FAILED, "rate", true),
        ];
        for (failure, code, kind, retry) in cases {
            let json = RpcError::from(failure).to_json();
            assert_eq!(json["code"], code);
            assert_eq!(json["data"], json!({ "kind": kind, "retry": retry }));
        }
    }
}
