//! Methods, by name: what each asks of the client.

use std::time::Duration;

use serde_json::{Map, Value};
use sync_protocol::roster::Role;

use super::contract;
use super::error::CallError;
use super::params::{Params, head};
use crate::api::{Command, Question, Until};
use crate::document::{AppOp, Unit};

/// Messages in a page, unless the request says otherwise.
const PAGE: u64 = 50;
/// What a device is called, unless the request says.
const DEVICE: &str = "device";
/// How long a wait waits, unless the request says otherwise.
const PATIENCE_MS: u64 = 30_000;

/// What to ask the engine, and how to tell what came of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The question.
    pub command: Command,
    /// The answer's form.
    pub shape: Shape,
}

/// How an answer becomes a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// As it is.
    Plain,
    /// With what the host knows about the connection.
    Status,
    /// Whether it came in time.
    Wait(Duration),
}

/// What a method with these parameters asks.
///
/// # Errors
/// `unsupported` for an unknown method, `invalid` for bad parameters and such as it doesn't take.
pub fn plan(method: &str, params: &Map<String, Value>) -> Result<Plan, CallError> {
    contract::check(method, params)?;
    let params = Params(params);
    let (family, verb) = method.split_once('.').unwrap_or((method, ""));
    let command = match family {
        "account" => account(verb, params)?,
        "contact" => contact(verb, params)?,
        "conversation" => conversation(verb, params)?,
        "device" => device(verb, params)?,
        "message" => message(verb, params)?,
        "settings" => settings(verb, params)?,
        "document" => document(verb, params)?,
        "sync" => sync(verb, params)?,
        "network" => network(verb, params)?,
        "edit" => edit(verb, params)?,
        _ => None,
    };
    let command = command.ok_or_else(|| contract::unknown_method(method))?;
    let shape = match command {
        Command::Wait(_) => {
            let patience = params.number("timeout_ms")?.unwrap_or(PATIENCE_MS);
            Shape::Wait(Duration::from_millis(patience))
        }
        Command::Status => Shape::Status,
        _ => Shape::Plain,
    };
    let command = match params.edit()? {
        Some(edit) => Command::Once { edit, command: Box::new(command) },
        None => command,
    };
    Ok(Plan { command, shape })
}

type Found = Result<Option<Command>, CallError>;

fn account(verb: &str, params: Params<'_>) -> Found {
    Ok(Some(match verb {
        "create" => {
            Command::CreateAccount { address: params.address()?, name: params.text("name")? }
        }
        "set_name" => Command::SetName { name: params.text("name")? },
        "recover" => Command::RecoverAccount {
            address: params.address()?,
            code: params.filled("recovery_code")?,
            name: device_name(params)?,
        },
        "new_recovery_code" => Command::NewRecoveryCode,
        "invite" => Command::DrawInvite,
        "status" => Command::Status,
        _ => return Ok(None),
    }))
}

fn contact(verb: &str, params: Params<'_>) -> Found {
    Ok(match verb {
        "lookup" => Some(Command::LookupContact { address: params.address()? }),
        "show" => Some(Command::ShowContact { member: params.member()? }),
        "compare" => {
            let (account, shown) = (params.account()?, params.filled("qr")?);
            Some(Command::CompareContact { account, shown })
        }
        "verify" => {
            let (account, safety_number) =
                (params.account()?, params.optional_text("safety_number")?);
            Some(Command::VerifyContact { account, safety_number })
        }
        "accept_address" => {
            let (address, account) = (params.address()?, params.account()?);
            Some(Command::AcceptAddress { address, account })
        }
        "block" => {
            // Left out, it is more likely a mistake than a wish to see somebody again.
            params.required("blocked")?;
            let blocked = params.flag("blocked")?;
            Some(Command::SetBlocked { member: params.member()?, blocked })
        }
        _ => None,
    })
}

fn device(verb: &str, params: Params<'_>) -> Found {
    Ok(Some(match verb {
        // A program that does not say whose account is taken to know who scans what it offers: it is
        // told whose it is before the code.
        "offer" => Command::OfferDevice { name: device_name(params)?, join: params.join()? },
        "join" => Command::JoinAccount { account: params.account()? },
        "cancel" => Command::CancelLink,
        "accept" => {
            Command::AcceptDevice { offer: params.filled("qr")?, history: history(params)? }
        }
        "confirm" => Command::ConfirmDevice { code: params.filled("code")? },
        "list" => Command::ListDevices,
        "revoke" => Command::RevokeDevice { device: params.device()? },
        "primary" => Command::MakePrimary { device: params.device()? },
        _ => return Ok(None),
    }))
}

/// What a device is to be called.
fn device_name(params: Params<'_>) -> Result<String, CallError> {
    Ok(params.optional_text("name")?.unwrap_or_else(|| DEVICE.to_owned()))
}

/// What was written before is given away only where the request says so.
fn history(params: Params<'_>) -> Result<bool, CallError> {
    match params.optional_text("history")?.as_deref() {
        Some("all") => Ok(true),
        None | Some("none") => Ok(false),
        Some(_) => Err(CallError::params("history is all or none")),
    }
}

fn conversation(verb: &str, params: Params<'_>) -> Found {
    let all = match verb {
        "create" => Some(Command::CreateConversation {
            title: params.optional_text("title")?.unwrap_or_default(),
            members: params.addresses("members")?,
        }),
        "list" => Some(Command::ListConversations),
        "foreground" => Some(Command::Foreground { conversation: params.optional_conversation()? }),
        _ => None,
    };
    if all.is_some() || !of_one_conversation(verb) {
        return Ok(all);
    }
    let conversation = params.conversation()?;
    Ok(Some(match verb {
        "accept" => Command::AcceptConversation { conversation },
        "decline" => Command::DeclineConversation { conversation, block: params.flag("block")? },
        "add" => Command::AddMember {
            conversation,
            address: params.address()?,
            share_history: params.flag("share_history")?,
        },
        "remove" => Command::RemoveMember { conversation, member: params.member()? },
        "role" => Command::SetRole { conversation, member: params.member()?, role: role(params)? },
        "title" => Command::SetTitle { conversation, title: params.text("title")? },
        "read" => Command::MarkRead { conversation, message: params.message("message")? },
        "typing" => Command::Typing { conversation },
        "leave" => Command::Leave { conversation },
        _ => return Ok(None),
    }))
}

fn of_one_conversation(verb: &str) -> bool {
    let verbs = ["accept", "decline", "add", "remove", "role", "title", "read", "typing", "leave"];
    verbs.contains(&verb)
}

fn role(params: Params<'_>) -> Result<Role, CallError> {
    match params.text("role")?.as_str() {
        "admin" => Ok(Role::Admin),
        "member" => Ok(Role::Member),
        "commenter" => Ok(Role::Commenter),
        "reader" => Ok(Role::Reader),
        _ => Err(CallError::params("role is admin, member, commenter or reader")),
    }
}

fn message(verb: &str, params: Params<'_>) -> Found {
    if !["send", "edit", "delete", "react", "list"].contains(&verb) {
        return Ok(None);
    }
    let conversation = params.conversation()?;
    Ok(Some(match verb {
        "send" => Command::SendMessage {
            conversation,
            text: params.text("text")?,
            reply_to: params.optional_message("reply_to")?,
        },
        "edit" => Command::EditMessage {
            conversation,
            message: params.message("message")?,
            text: params.text("text")?,
        },
        "delete" => Command::DeleteMessage { conversation, message: params.message("message")? },
        "react" => {
            // Null takes the reaction back; leaving it out is more likely a mistake.
            params.required("emoji")?;
            Command::React {
                conversation,
                message: params.message("message")?,
                emoji: params.optional_text("emoji")?,
            }
        }
        "list" => Command::ListMessages {
            conversation,
            before: params.optional_message("before")?,
            limit: usize::try_from(params.number("limit")?.unwrap_or(PAGE)).unwrap_or(usize::MAX),
        },
        _ => return Ok(None),
    }))
}

fn settings(verb: &str, params: Params<'_>) -> Found {
    Ok(Some(match verb {
        "get" => Command::Setting { key: params.filled("key")? },
        "set" => Command::SetSetting {
            key: params.filled("key")?,
            value: params.required("value")?.clone(),
        },
        "all" => Command::Settings,
        _ => return Ok(None),
    }))
}

fn document(verb: &str, params: Params<'_>) -> Found {
    let space = params.space()?;
    if verb == "list" {
        return Ok(Some(Command::ListDocuments { space }));
    }
    let name = params.filled("name")?;
    let question = match verb {
        "get" => {
            let (path, at) = (params.path()?, params.heads("at")?);
            let typed = params.one_of("form", &["plain", "typed"])? == 1;
            Question::Content { path, typed, at }
        }
        "history" => Question::History {
            before: params
                .optional_text("before")?
                .map(|text| head("before", &text))
                .transpose()?,
            limit: usize::try_from(params.number("limit")?.unwrap_or(PAGE)).unwrap_or(usize::MAX),
        },
        "conflicts" => Question::Conflicts { path: params.path()? },
        "change" => {
            return Ok(Some(Command::ChangeDocument { space, name, ops: ops(params)? }));
        }
        "import" => {
            let bytes = params.bytes("bytes")?;
            return Ok(Some(Command::ImportDocument { space, name, bytes }));
        }
        "export" => return Ok(Some(Command::ExportDocument { space, name })),
        "archive" => {
            params.required("archived")?;
            let archived = params.flag("archived")?;
            return Ok(Some(Command::ArchiveDocument { space, name, archived }));
        }
        "rename" => {
            params.required("title")?;
            let title = params.optional_text("title")?;
            return Ok(Some(Command::RenameDocument { space, name, title }));
        }
        "delete" => return Ok(Some(Command::DeleteDocument { space, name })),
        "presence" => {
            let state = params.required("state")?.clone();
            return Ok(Some(Command::SetPresence { space, name, state }));
        }
        _ => return Ok(None),
    };
    Ok(Some(Command::AskDocument { space, name, question }))
}

fn ops(params: Params<'_>) -> Result<Vec<AppOp>, CallError> {
    let list = params.required("ops")?.as_array();
    let list = list.ok_or_else(|| CallError::params("ops is a list"))?;
    let op = |(nth, fields): (usize, &Value)| {
        let fields = fields.as_object().ok_or_else(|| CallError::params("an op is an object"));
        let made = fields.and_then(|fields| op(Params(fields)));
        made.map_err(|error| CallError::params(format!("op {nth}: {}", error.message)))
    };
    list.iter().enumerate().map(op).collect()
}

fn op(params: Params<'_>) -> Result<AppOp, CallError> {
    let path = params.path()?;
    let value = || Ok::<_, CallError>(params.required("value")?.to_string().into_bytes().into());
    let kind = params.text("op")?;
    contract::check_op(&kind, params.0)?;
    Ok(match kind.as_str() {
        "put" => AppOp::Put { path, value: value()? },
        "insert" => AppOp::Insert { path, value: value()? },
        "ensure" => AppOp::Ensure { path, value: value()? },
        "convert" => AppOp::Convert { path, value: value()? },
        "delete" => AppOp::Delete { path },
        "move" => {
            let to = params.number("to")?;
            AppOp::Move { path, to: to.ok_or_else(|| CallError::params("to is missing"))? }
        }
        "increment" => {
            let by = params.optional("by").or_else(|| params.optional("value"));
            let by = by.map_or(Some(1), Value::as_i64);
            AppOp::Increment { path, by: by.ok_or_else(|| CallError::params("by is a number"))? }
        }
        "splice_text" => AppOp::SpliceText {
            path,
            index: params.number("index")?.unwrap_or(0),
            delete: params.number("delete")?.unwrap_or(0),
            insert: match params.optional_text("insert")? {
                Some(text) => text,
                None => params.optional_text("value")?.unwrap_or_default(),
            },
            unit: match params.one_of("unit", &["characters", "utf16"])? {
                0 => Unit::Characters,
                _ => Unit::Utf16,
            },
        },
        other => return Err(CallError::params(format!("there is no op {other:?}"))),
    })
}

fn sync(verb: &str, params: Params<'_>) -> Found {
    Ok(Some(match verb {
        "wait" => Command::Wait(match params.text("until")?.as_str() {
            "stored" => Until::Stored,
            "up_to_date" => Until::UpToDate,
            _ => return Err(CallError::params("until is stored or up_to_date")),
        }),
        "digest" => Command::Digest { space: params.space()? },
        _ => return Ok(None),
    }))
}

fn network(verb: &str, params: Params<'_>) -> Found {
    Ok(match verb {
        "offline" => Some(Command::GoOffline),
        "online" => Some(Command::GoOnline),
        "accept_relay" => Some(Command::AcceptRelay { relay: params.relay()? }),
        _ => None,
    })
}

fn edit(verb: &str, params: Params<'_>) -> Found {
    Ok(match verb {
        "forget" => Some(Command::ForgetEdits { edits: params.edits("edits")? }),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::mem::discriminant;

    use super::*;
    use crate::api::every::every_command;
    use crate::api::{Member, Space};
    use crate::document::{OrderKey, Stamp, Step};
    use crate::json::Fault;
    use serde_json::json;
    use sync_protocol::{DeviceId, SpaceId};

    fn command(method: &str, params: &Value) -> Command {
        plan(method, params.as_object().unwrap()).unwrap().command
    }

    fn error(method: &str, params: &Value) -> CallError {
        plan(method, params.as_object().unwrap()).unwrap_err()
    }

    fn space() -> SpaceId {
        SpaceId::from_bytes([7; 32])
    }

    fn device() -> DeviceId {
        DeviceId::of_signing_key(&[3; 32])
    }

    fn account() -> sync_protocol::AccountId {
        sync_protocol::AccountId::of_root_key(&[4; 32])
    }

    fn key() -> OrderKey {
        OrderKey { stamp: Stamp { ms: 5, counter: 1 }, tag: [9; 6] }
    }

    /// A good value of each parameter that some method wants.
    fn request() -> Value {
        json!({
            "address": "ada", "name": "Ada", "title": "t", "members": ["bob"], "text": "hi",
            "conversation": space().to_string(), "message": key().to_string(), "emoji": null,
            "key": "k", "value": 1, "space": "account", "ops": [], "until": "stored",
            "recovery_code": "a b c", "qr": "X", "history": "all", "code": "123 4567",
            "device": device().to_string(), "account": account().to_string(), "join": "ask",
            "relay": sync_protocol::ids::RelayId::from_bytes([5; 32]).to_string(), "safety_number": "12345", "blocked": true, "edits": [], "bytes": "AQI=", "role": "admin",
            "archived": true, "state": { "at": 1 },
        })
    }

    #[test]
    fn every_method_of_the_contract_is_there() {
        let params = request();
        let promised = "account.create account.set_name account.recover account.new_recovery_code account.invite account.status device.offer device.accept \
            device.confirm device.cancel device.list device.revoke device.primary \
            device.join contact.lookup contact.show contact.compare contact.verify contact.accept_address contact.block conversation.create conversation.list conversation.accept conversation.decline conversation.add \
            conversation.remove conversation.leave conversation.read message.send message.edit \
            message.delete message.react message.list settings.get settings.set settings.all \
            document.get document.change document.export document.import document.list document.history \
            document.conflicts document.rename document.archive document.delete document.presence sync.wait sync.digest network.offline \
            network.online network.accept_relay edit.forget";
        for method in promised.split_whitespace() {
            assert!(contract::methods().any(|(known, _)| known == method), "{method}");
        }
        let mut asked = Vec::new();
        for (method, _) in contract::methods() {
            let mut taken = params.as_object().unwrap().clone();
            taken.retain(|name, _| {
                let alone = Map::from_iter([(name.clone(), Value::Null)]);
                contract::check(method, &alone).is_ok()
            });
            let plan = plan(method, &taken);
            assert!(plan.is_ok(), "{method} {taken:?}");
            asked.extend(plan.ok().map(|plan| discriminant(&plan.command)));
        }
        // A document is asked by `AskDocument`; an edit's name stands beside any method.
        let without = ["ReadDocument", "Once"];
        for command in every_command() {
            let name = format!("{command:?}");
            let has_none = without.iter().any(|known| name.starts_with(known));
            assert_ne!(asked.contains(&discriminant(&command)), has_none, "{name}");
        }
    }

    /// Another good value of each parameter than stands in the request.
    fn others(method: &str) -> Value {
        let before = if method == "document.history" { "0a".repeat(32) } else { key().to_string() };
        json!({
            "address": "bob", "name": "Bob", "title": "u", "members": ["cat"], "text": "ho",
            "conversation": SpaceId::from_bytes([8; 32]).to_string(), "before": before,
            "message": OrderKey { tag: [8; 6], ..key() }.to_string(), "reply_to": key().to_string(),
            "emoji": "👍", "key": "l", "value": 2, "space": space().to_string(), "limit": 7,
            "ops": [{ "op": "delete", "path": ["a"] }], "until": "up_to_date", "timeout_ms": 9,
            "recovery_code": "d e f", "qr": "Y", "history": "none", "code": "765 4321",
            "device": DeviceId::of_signing_key(&[8; 32]).to_string(), "join": "any",
            "account": sync_protocol::AccountId::of_root_key(&[8; 32]).to_string(),
            "relay": sync_protocol::ids::RelayId::from_bytes([8; 32]).to_string(),
            "safety_number": "54321", "blocked": false, "block": true, "share_history": true,
            "edits": ["01932c07-209c-7c1b-8d3e-0123456789ab"], "bytes": "AQ==", "role": "member",
            "archived": false, "state": { "at": 2 }, "path": ["a"], "form": "typed",
            "at": ["0a".repeat(32)],
        })
    }

    #[test]
    fn every_parameter_that_is_taken_changes_what_is_asked() {
        for (method, names) in contract::methods() {
            let (known, others) = (request(), others(method));
            let mut given = known.as_object().unwrap().clone();
            given.retain(|name, _| names.contains(&name.as_str()));
            for name in names {
                let other = others.get(name).unwrap_or_else(|| panic!("another value of {name}"));
                let mut changed = given.clone();
                changed.insert((*name).to_owned(), other.clone());
                // Who is meant is said by an account or by an address: the account is looked at first.
                let alone = |params: &Map<String, Value>| {
                    let mut params = params.clone();
                    params.remove("account");
                    plan(method, &params).ok()
                };
                let asked = |params: &Map<String, Value>| plan(method, params).ok();
                let (before, after) = (asked(&given), asked(&changed));
                assert!(after.is_some(), "{method}: {name} may be {other}");
                let differs =
                    before != after || (*name == "address" && alone(&given) != alone(&changed));
                assert!(differs, "{method} passes {name} over");
            }
        }
    }

    #[test]
    fn what_is_not_served_says_so() {
        for method in ["device.x", "account.delete", "message", "x.y", ""] {
            let error = error(method, &json!({}));
            assert_eq!((error.fault, error.kind), (Fault::Method, "unsupported"));
        }
    }

    #[test]
    fn ids_and_addresses_become_what_they_name() {
        let params = json!({
            "conversation": space().to_string(), "text": "hi", "reply_to": key().to_string(),
        });
        let expected = Command::SendMessage {
            conversation: space(),
            text: "hi".into(),
            reply_to: Some(key()),
        };
        assert_eq!(command("message.send", &params), expected);
        let params = json!({ "conversation": space().to_string(), "address": "+4915112345678" });
        let member = Member::Address("+4915112345678".parse().unwrap());
        let expected = Command::RemoveMember { conversation: space(), member };
        assert_eq!(command("conversation.remove", &params), expected);
    }

    #[test]
    fn history_is_given_only_to_a_device_it_is_granted() {
        for (history, granted) in
            [(json!("all"), true), (json!("none"), false), (json!(null), false)]
        {
            let params = json!({ "qr": "X", "history": history });
            let expected = Command::AcceptDevice { offer: "X".into(), history: granted };
            assert_eq!(command("device.accept", &params), expected);
        }
    }

    #[test]
    fn bad_parameters_are_named() {
        let op = |op: Value| json!({ "space": "account", "name": "n", "ops": [op] });
        for (method, params, word) in [
            ("account.create", json!({ "name": "x" }), "address"),
            ("account.create", json!({ "address": "ada" }), "name"),
            ("account.set_name", json!({}), "name"),
            ("account.create", json!({ "address": "?" }), "address"),
            ("message.send", json!({ "conversation": "x", "text": "t" }), "conversation"),
            ("message.send", json!({ "conversation": space().to_string(), "text": 1 }), "text"),
            ("message.react", json!({ "conversation": space().to_string() }), "emoji"),
            ("sync.wait", json!({ "until": "dawn" }), "until"),
            ("sync.wait", json!({ "until": "stored", "timeout_ms": -1 }), "timeout_ms"),
            ("document.change", json!({ "space": "account", "name": "n", "ops": [1] }), "op"),
            ("document.get", json!({ "space": "account", "name": "n", "path": [-1] }), "path"),
            ("settings.set", json!({ "key": "k" }), "value"),
            ("settings.set", json!({ "key": " ", "value": 1 }), "key is empty"),
            ("settings.get", json!({ "key": "" }), "key is empty"),
            ("document.get", json!({ "space": "account", "name": "\u{200b}" }), "name is empty"),
            ("device.confirm", json!({ "code": " " }), "code is empty"),
            ("device.accept", json!({ "qr": "" }), "qr is empty"),
            ("account.recover", json!({ "address": "ada", "recovery_code": "" }), "_code is empty"),
            (
                "conversation.create",
                json!({ "members": ["bob", "0170 123456"] }),
                "\"0170 123456\"",
            ),
            ("device.accept", json!({ "qr": "X", "history": "some" }), "history"),
            ("device.revoke", json!({ "device": "x" }), "device"),
            ("contact.block", json!({ "address": "bob" }), "blocked"),
            ("account.recover", json!({ "address": "ada" }), "recovery_code"),
            ("network.online", json!({ "edit": "short" }), "edit"),
            ("edit.forget", json!({ "edits": ["short"] }), "edits"),
            ("document.rename", json!({ "space": "account", "name": "n" }), "title is missing"),
            (
                "document.rename",
                json!({ "space": "account", "name": "n", "title": 1 }),
                "title is a text",
            ),
            ("document.change", op(json!({ "op": "convert", "path": ["a"] })), "value is missing"),
            ("document.change", op(json!({ "op": "move", "path": ["a", 0], "to": -1 })), "to"),
            ("document.change", op(json!({ "op": "increment", "path": ["a"], "by": 0.5 })), "by"),
            ("document.change", op(json!({ "op": "put", "path": "a", "value": 1 })), "path"),
            ("document.change", op(json!({ "op": "change", "path": ["a"] })), "change"),
            (
                "conversation.role",
                json!({ "conversation": space().to_string(), "address": "bob", "role": "owner" }),
                "admin, member, commenter or reader",
            ),
        ] {
            let error = error(method, &params);
            assert_eq!(error.fault, Fault::Params, "{method} {params}");
            assert!(error.message.contains(word), "{error}");
        }
    }

    #[test]
    fn operations_keep_their_paths_and_values() {
        let params = json!({
            "space": space().to_string(),
            "name": "notes",
            "ops": [
                { "op": "put", "path": ["a", 0], "value": { "b": null } },
                { "op": "increment", "path": ["n"], "value": -2 },
                { "op": "splice_text", "path": ["t"], "index": 1, "delete": 2, "insert": "é" },
                { "op": "delete", "path": ["a"] },
            ],
        });
        let Command::ChangeDocument { space: of, ops, .. } = command("document.change", &params)
        else {
            panic!("another command")
        };
        assert_eq!(of, Space::Conversation(space()));
        let a = Step::Key("a".into());
        let put = AppOp::Put {
            path: vec![a.clone(), Step::Index(0)],
            value: br#"{"b":null}"#.to_vec().into(),
        };
        let splice = AppOp::SpliceText {
            path: vec![Step::Key("t".into())],
            index: 1,
            delete: 2,
            insert: "é".into(),
            unit: Unit::Characters,
        };
        let increment = AppOp::Increment { path: vec![Step::Key("n".into())], by: -2 };
        assert_eq!(ops, [put, increment, splice, AppOp::Delete { path: vec![a] }]);
    }

    #[test]
    fn an_edit_may_be_named_in_hex_or_in_base64url() {
        let named =
            |edit: &str| command("settings.set", &json!({ "key": "k", "value": 1, "edit": edit }));
        let once = named("000102030405060708090a0b0c0d0eff");
        assert_eq!(once, named("AAECAwQFBgcICQoLDA0O_w"));
        let Command::Once { edit, command } = once else { panic!("another command") };
        assert_eq!(*command, Command::SetSetting { key: "k".into(), value: json!(1) });
        assert_eq!(
            self::command("edit.forget", &json!({ "edits": [edit.to_string()] })),
            Command::ForgetEdits { edits: vec![edit] }
        );
    }

    #[test]
    fn a_wait_has_an_end() {
        let wait = |params: Value| plan("sync.wait", params.as_object().unwrap()).unwrap().shape;
        let stated = wait(json!({ "until": "stored", "timeout_ms": 5 }));
        assert_eq!(stated, Shape::Wait(Duration::from_millis(5)));
        let usual = wait(json!({ "until": "up_to_date" }));
        assert_eq!(usual, Shape::Wait(Duration::from_millis(PATIENCE_MS)));
    }
}
