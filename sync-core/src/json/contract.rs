//! Which parameters each method takes. Any other is more likely a mistake than meant: it is refused.

use serde_json::{Map, Value};

use super::error::CallError;

/// Every method with its parameters. Beside them, any may be named by `edit`.
const METHODS: [(&str, &[&str]); 57] = [
    ("account.create", &["address", "name"]),
    ("account.set_name", &["name"]),
    ("account.recover", &["address", "recovery_code", "name"]),
    ("account.new_recovery_code", &[]),
    ("account.invite", &[]),
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
    ("document.get", &["space", "name", "path", "form", "at"]),
    ("document.list", &["space"]),
    ("document.history", &["space", "name", "before", "limit"]),
    ("document.conflicts", &["space", "name", "path"]),
    ("document.rename", &["space", "name", "title"]),
    ("document.archive", &["space", "name", "archived"]),
    ("document.delete", &["space", "name"]),
    ("document.change", &["space", "name", "ops"]),
    ("document.presence", &["space", "name", "state"]),
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
const OPS: [(&str, &[&str]); 8] = [
    ("put", &["path", "value"]),
    ("insert", &["path", "value"]),
    ("delete", &["path"]),
    ("increment", &["path", "by", "value"]),
    ("splice_text", &["path", "index", "delete", "insert", "value", "unit"]),
    ("ensure", &["path", "value"]),
    ("convert", &["path", "value"]),
    ("move", &["path", "to"]),
];

/// Every method with the parameters that it takes.
pub fn methods() -> impl Iterator<Item = (&'static str, &'static [&'static str])> {
    METHODS.into_iter()
}

/// Refuses a method that there is none of, and parameters that it doesn't take.
pub(super) fn check(method: &str, params: &Map<String, Value>) -> Result<(), CallError> {
    let names = METHODS.iter().find(|(known, _)| *known == method);
    let (_, names) = names.ok_or_else(|| unknown_method(method))?;
    check_names(method, params, names, "edit")
}

/// Refuses a method that there is none of, and names the one that was meant, if one is near.
pub(super) fn unknown_method(method: &str) -> CallError {
    CallError::unsupported(method, nearest(method, METHODS.iter().map(|(known, _)| *known)))
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
    names: &[&'static str],
    always: &'static str,
) -> Result<(), CallError> {
    let all = || names.iter().copied().chain([always]);
    let Some(name) = given.keys().find(|name| !all().any(|known| known == name.as_str())) else {
        return Ok(());
    };
    let known = all().collect::<Vec<_>>().join(", ");
    let meant =
        nearest(name, all()).map_or(String::new(), |meant| format!(": did you mean {meant:?}?"));
    Err(CallError::params(format!("{what} takes no {name:?}, only {known}{meant}")))
}

/// The longest name for which a nearest one is looked for.
const LONGEST_NAME: usize = 48;

/// The known name that was most likely meant: the same but for case and punctuation, or a slip or
/// two of the keyboard away.
fn nearest(name: &str, known: impl Iterator<Item = &'static str>) -> Option<&'static str> {
    if name.len() > LONGEST_NAME {
        return None;
    }
    let name = letters(name);
    let far = known.map(|known| (distance(&name, &letters(known)), known));
    let (slips, meant) = far.min_by_key(|(slips, _)| *slips)?;
    (slips <= name.len().div_ceil(3).min(2)).then_some(meant)
}

fn letters(name: &str) -> Vec<u8> {
    name.bytes().filter(u8::is_ascii_alphanumeric).map(|b| b.to_ascii_lowercase()).collect()
}

/// Letters to be put in, taken out or changed until one is the other (Levenshtein).
fn distance(one: &[u8], other: &[u8]) -> usize {
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (at, letter) in one.iter().enumerate() {
        let mut next = vec![at + 1];
        for (pair, there) in row.windows(2).zip(other) {
            let (&[before, above], Some(&left)) = (pair, next.last()) else { continue };
            let changed = before + usize::from(letter != there);
            next.push(changed.min(above + 1).min(left + 1));
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
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

    #[test]
    fn what_was_most_likely_meant_is_suggested() {
        let meant = |method: &str, name: &str| {
            let given = Map::from_iter([(name.to_owned(), Value::Null)]);
            let error = check(method, &given).unwrap_err().message;
            error.split_once("did you mean \"").map(|(_, rest)| rest.replace("\"?", ""))
        };
        for (given, known) in [
            ("reply-to", "reply_to"),
            ("replyTo", "reply_to"),
            ("Text", "text"),
            ("txet", "text"),
            ("conversatoin", "conversation"),
        ] {
            assert_eq!(meant("message.send", given).as_deref(), Some(known), "{given}");
        }
        assert_eq!(meant("account.create", "adress").as_deref(), Some("address"));
        for strange in ["x", "verbose", "", "ttttext", &"t".repeat(10_000)] {
            assert_eq!(meant("message.send", strange), None, "{strange}");
        }
        let method = unknown_method("message.sned");
        assert_eq!(method.kind, "unsupported");
        assert!(method.message.contains("did you mean \"message.send\"?"), "{method}");
        assert!(!unknown_method("x.y").message.contains("mean"));
    }
}
