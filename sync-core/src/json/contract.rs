//! Which parameters each method takes. Any other is more likely a mistake than meant: it is refused.

use serde_json::{Map, Value};

use super::error::CallError;

/// Every method with its parameters. Beside them, any may be named by `edit`.
const METHODS: [(&str, &[&str]); 49] = [
    ("account.create", &["address", "name"]),
    ("account.set_name", &["name"]),
    ("account.recover", &["address", "recovery_code", "name"]),
    ("account.new_recovery_code", &[]),
    ("account.status", &[]),
    ("contact.lookup", &["address"]),
    ("contact.show", &["address", "account"]),
    ("contact.compare", &["account", "qr"]),
    ("contact.verify", &["account", "safety_number"]),
    ("contact.accept_address", &["address", "account"]),
    ("contact.block", &["address", "account", "blocked"]),
    ("device.offer", &["name", "join"]),
    ("device.join", &["account"]),
    ("device.cancel", &[]),
    ("device.accept", &["qr", "history"]),
    ("device.confirm", &["code"]),
    ("device.list", &[]),
    ("device.revoke", &["device"]),
    ("device.primary", &["device"]),
    ("conversation.create", &["title", "members"]),
    ("conversation.list", &[]),
    ("conversation.foreground", &["conversation"]),
    ("conversation.accept", &["conversation"]),
    ("conversation.decline", &["conversation", "block"]),
    ("conversation.add", &["conversation", "address", "share_history"]),
    ("conversation.remove", &["conversation", "address", "account"]),
    ("conversation.role", &["conversation", "address", "account", "role"]),
    ("conversation.title", &["conversation", "title"]),
    ("conversation.read", &["conversation", "message"]),
    ("conversation.typing", &["conversation"]),
    ("conversation.leave", &["conversation"]),
    ("message.send", &["conversation", "text", "reply_to"]),
    ("message.edit", &["conversation", "message", "text"]),
    ("message.delete", &["conversation", "message"]),
    ("message.react", &["conversation", "message", "emoji"]),
    ("message.list", &["conversation", "before", "limit"]),
    ("settings.get", &["key"]),
    ("settings.set", &["key", "value"]),
    ("settings.all", &[]),
    ("document.get", &["space", "name", "path"]),
    ("document.change", &["space", "name", "ops"]),
    ("document.export", &["space", "name"]),
    ("document.import", &["space", "name", "bytes"]),
    ("sync.wait", &["until", "timeout_ms"]),
    ("sync.digest", &["space"]),
    ("network.offline", &[]),
    ("network.online", &[]),
    ("network.accept_relay", &["relay"]),
    ("edit.forget", &["edits"]),
];

/// The operations on documents, with their fields beside `op`.
const OPS: [(&str, &[&str]); 5] = [
    ("put", &["path", "value"]),
    ("insert", &["path", "value"]),
    ("delete", &["path"]),
    ("increment", &["path", "by", "value"]),
    ("splice_text", &["path", "index", "delete", "insert", "value"]),
];

/// Every method's name.
#[cfg(test)]
pub(super) fn methods() -> impl Iterator<Item = &'static str> {
    METHODS.iter().map(|(method, _)| *method)
}

/// Refuses a method that there is none of, and parameters that it doesn't take.
pub(super) fn check(method: &str, params: &Map<String, Value>) -> Result<(), CallError> {
    let names = METHODS.iter().find(|(known, _)| *known == method);
    let (_, names) = names.ok_or_else(|| CallError::unsupported(method))?;
    check_names(method, params, names, "edit")
}

/// Refuses fields that an operation doesn't take. That there is such an operation is for others to
/// say.
pub(super) fn check_op(op: &str, fields: &Map<String, Value>) -> Result<(), CallError> {
    match OPS.iter().find(|(known, _)| *known == op) {
        Some((_, names)) => check_names(op, fields, names, "op"),
        None => Ok(()),
    }
}

fn check_names(
    what: &str,
    given: &Map<String, Value>,
    names: &[&str],
    always: &str,
) -> Result<(), CallError> {
    match given.keys().find(|name| !names.contains(&name.as_str()) && *name != always) {
        Some(name) => {
            let names: Vec<&str> = names.iter().copied().chain([always]).collect();
            let known = names.join(", ");
            Err(CallError::params(format!("{what} takes no {name:?}, only {known}")))
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    #[test]
    fn a_parameter_that_a_method_does_not_take_is_named() {
        for (method, params, name) in [
            (
                "message.send",
                json!({ "conversation": "x", "text": "t", "reply-to": "y" }),
                "reply-to",
            ),
            ("account.status", json!({ "verbose": null }), "verbose"),
            ("account.create", json!({ "adress": "ada" }), "adress"),
        ] {
            let error = check(method, params.as_object().unwrap()).unwrap_err();
            assert_eq!(error.kind, "invalid");
            assert!(error.message.contains(name), "{error}");
        }
        let named = json!({ "edit": "x" });
        assert_eq!(check("account.status", named.as_object().unwrap()), Ok(()));
        let fields = json!({ "op": "put", "path": [], "valeu": 1 });
        assert!(check_op("put", fields.as_object().unwrap()).is_err());
    }
}
