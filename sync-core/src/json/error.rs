//! Errors as programs see them: a stable word, and whether to wait or to act.

use serde_json::{Map, Value};

use super::shapes;
use crate::api::Failure;
use crate::document::OpError;

/// Why a call failed. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct CallError {
    /// What it was about the call.
    pub fault: Fault,
    /// The stable word.
    pub kind: &'static str,
    /// For people.
    pub message: String,
    /// Whether the client tries again by itself.
    pub retry: bool,
    /// More for programs: of an operation on a document, which it is and why it can't be made.
    pub detail: Option<Box<Map<String, Value>>>,
}

/// Where a call went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// There is no such method in this version.
    Method,
    /// A parameter is missing or makes no sense.
    Params,
    /// The call was understood and could not be done.
    Failed,
}

impl CallError {
    /// There is no such method in this version; `meant` is one that there is.
    pub(super) fn unsupported(method: &str, meant: Option<&str>) -> Self {
        let meant = meant.map_or(String::new(), |meant| format!(": did you mean {meant:?}?"));
        let message = format!("there is no method {method:?}{meant}");
        Self { fault: Fault::Method, kind: "unsupported", message, retry: false, detail: None }
    }

    /// A parameter is missing or makes no sense.
    pub fn params(message: impl Into<String>) -> Self {
        Self {
            fault: Fault::Params,
            kind: "invalid",
            message: message.into(),
            retry: false,
            detail: None,
        }
    }
}

impl From<Failure> for CallError {
    fn from(failure: Failure) -> Self {
        let fault = match failure {
            Failure::Invalid(_) | Failure::Op(_) => Fault::Params,
            _ => Fault::Failed,
        };
        let detail = match &failure {
            Failure::Op(error) => Some(Box::new(of_op(error))),
            _ => None,
        };
        let (kind, retry) = (failure.kind(), failure.retry());
        // A program is told by the kind that it is invalid.
        let message = match failure {
            Failure::Invalid(why) => why,
            other => other.to_string(),
        };
        Self { fault, kind, message, retry, detail }
    }
}

fn of_op(error: &OpError) -> Map<String, Value> {
    let fields: [(&str, Value); 4] = [
        ("op", error.op.into()),
        ("operation", error.operation.into()),
        ("path", shapes::path(&error.path)),
        ("reason", error.fault.kind().into()),
    ];
    fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use sync_protocol::Rejection;

    #[test]
    fn failures_keep_their_stable_words() {
        let cases = [
            (Failure::Offline, Fault::Failed, "offline", false),
            (Failure::Partial, Fault::Failed, "partial", false),
            (Failure::Invalid("x".into()), Fault::Params, "invalid", false),
            (Failure::Refused(Rejection::Quota), Fault::Failed, "quota", false),
            (Failure::Refused(Rejection::Rate { retry_ms: 5 }), Fault::Failed, "rate", true),
        ];
        for (failure, fault, kind, retry) in cases {
            let error = CallError::from(failure);
            assert_eq!((error.fault, error.kind, error.retry), (fault, kind, retry));
        }
    }
}
