//! Parameters by name, as the types they stand for.

use std::str::FromStr;

use serde_json::{Map, Value};
use sync_protocol::address::Address;
use sync_protocol::ids::RelayId;
use sync_protocol::text::{BASE64, HEX};
use sync_protocol::{AccountId, DeviceId, SpaceId};

use super::error::CallError;
use crate::api::{EditId, Join, Member, Space};
use crate::document::{OrderKey, Step};
use crate::line;

/// Characters of what was given that an error repeats.
const QUOTED: usize = 40;

/// The parameters of one request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Params<'a>(pub(crate) &'a Map<String, Value>);

impl<'a> Params<'a> {
    /// The value, unless it is absent or null.
    pub(crate) fn optional(self, name: &str) -> Option<&'a Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    /// The value, null included.
    pub(crate) fn required(self, name: &str) -> Result<&'a Value, CallError> {
        self.0.get(name).ok_or_else(|| CallError::params(format!("{name} is missing")))
    }

    /// A text.
    pub(crate) fn text(self, name: &str) -> Result<String, CallError> {
        self.optional_text(name)?.ok_or_else(|| CallError::params(format!("{name} is missing")))
    }

    /// A text of which something is seen: a name, a key, a code.
    pub(crate) fn filled(self, name: &str) -> Result<String, CallError> {
        let text = self.text(name)?;
        if line::is_empty(&text) {
            return Err(CallError::params(format!("{name} is empty")));
        }
        Ok(text)
    }

    /// A text, if it is there.
    pub(crate) fn optional_text(self, name: &str) -> Result<Option<String>, CallError> {
        self.optional(name).map(|value| as_text(name, value).map(str::to_owned)).transpose()
    }

    /// A yes or no; no, if it is not there.
    pub(crate) fn flag(self, name: &str) -> Result<bool, CallError> {
        let Some(value) = self.optional(name) else { return Ok(false) };
        value.as_bool().ok_or_else(|| CallError::params(format!("{name} is true or false")))
    }

    /// A number that is not negative, if it is there.
    pub(crate) fn number(self, name: &str) -> Result<Option<u64>, CallError> {
        let Some(value) = self.optional(name) else { return Ok(None) };
        let number = value.as_u64();
        number.map(Some).ok_or_else(|| CallError::params(format!("{name} is a number from 0 up")))
    }

    /// A conversation's id.
    pub(crate) fn conversation(self) -> Result<SpaceId, CallError> {
        parsed("conversation", &self.text("conversation")?)
    }

    /// The id of a conversation, if it is there.
    pub(crate) fn optional_conversation(self) -> Result<Option<SpaceId>, CallError> {
        let text = self.optional_text("conversation")?;
        text.map(|text| parsed("conversation", &text)).transpose()
    }

    /// A device's id.
    pub(crate) fn device(self) -> Result<DeviceId, CallError> {
        parsed("device", &self.text("device")?)
    }

    /// An account's id.
    pub(crate) fn account(self) -> Result<AccountId, CallError> {
        parsed("account", &self.text("account")?)
    }

    /// A relay's id.
    pub(crate) fn relay(self) -> Result<RelayId, CallError> {
        parsed("relay", &self.text("relay")?)
    }

    /// Whose account a new device joins: `any`, `ask` or an account's id; any, if it is not there.
    pub(crate) fn join(self) -> Result<Join, CallError> {
        match self.optional_text("join")?.as_deref() {
            None | Some("any") => Ok(Join::Any),
            Some("ask") => Ok(Join::Ask),
            Some(account) => parsed("join", account).map(Join::Account),
        }
    }

    /// A conversation's id, or `"account"`.
    pub(crate) fn space(self) -> Result<Space, CallError> {
        match self.text("space")?.as_str() {
            "account" => Ok(Space::Account),
            id => parsed("space", id).map(Space::Conversation),
        }
    }

    /// A message's id.
    pub(crate) fn message(self, name: &str) -> Result<OrderKey, CallError> {
        parsed(name, &self.text(name)?)
    }

    /// A message's id, if it is there.
    pub(crate) fn optional_message(self, name: &str) -> Result<Option<OrderKey>, CallError> {
        self.optional_text(name)?.map(|text| parsed(name, &text)).transpose()
    }

    /// An address.
    pub(crate) fn address(self) -> Result<Address, CallError> {
        parsed("address", &self.text("address")?)
    }

    /// Addresses; none, if they are not there.
    pub(crate) fn addresses(self, name: &str) -> Result<Vec<Address>, CallError> {
        self.list(name)
    }

    /// What the edit is called, if it is to be made once only.
    pub(crate) fn edit(self) -> Result<Option<EditId>, CallError> {
        self.optional_text("edit")?.map(|text| parsed("edit", &text)).transpose()
    }

    /// Names of edits.
    pub(crate) fn edits(self, name: &str) -> Result<Vec<EditId>, CallError> {
        self.list(name)
    }

    fn list<T: FromStr<Err: std::fmt::Display>>(self, name: &str) -> Result<Vec<T>, CallError> {
        let Some(value) = self.optional(name) else { return Ok(Vec::new()) };
        let list =
            value.as_array().ok_or_else(|| CallError::params(format!("{name} is a list")))?;
        list.iter().map(|value| parsed(name, as_text(name, value)?)).collect()
    }

    /// A member, by `address` or by `account`.
    pub(crate) fn member(self) -> Result<Member, CallError> {
        match self.optional_text("account")? {
            Some(account) => parsed("account", &account).map(Member::Account),
            None => self.address().map(Member::Address),
        }
    }

    /// A path into a document; the whole of it, if it is not there.
    pub(crate) fn path(self) -> Result<Vec<Step>, CallError> {
        let Some(value) = self.optional("path") else { return Ok(Vec::new()) };
        let bad = || CallError::params("path is a list of keys and indexes");
        let list = value.as_array().ok_or_else(bad)?;
        list.iter()
            .map(|step| match step {
                Value::String(key) => Ok(Step::Key(key.clone())),
                step => step.as_u64().map(Step::Index).ok_or_else(bad),
            })
            .collect()
    }

    /// Which of these words; the first, if it is not there.
    pub(crate) fn one_of(self, name: &str, words: &[&str]) -> Result<usize, CallError> {
        let Some(word) = self.optional_text(name)? else { return Ok(0) };
        let at = words.iter().position(|known| *known == word);
        at.ok_or_else(|| CallError::params(format!("{name} is {}", words.join(" or "))))
    }

    /// Changes of a document, by their hashes.
    pub(crate) fn heads(self, name: &str) -> Result<Vec<[u8; 32]>, CallError> {
        let Some(value) = self.optional(name) else { return Ok(Vec::new()) };
        let list =
            value.as_array().ok_or_else(|| CallError::params(format!("{name} is a list")))?;
        list.iter().map(|value| head(name, as_text(name, value)?)).collect()
    }

    /// Bytes in base64.
    pub(crate) fn bytes(self, name: &str) -> Result<Vec<u8>, CallError> {
        let bytes = BASE64.decode(&self.text(name)?);
        bytes.map_err(|error| CallError::params(format!("{name} is not base64: {error}")))
    }
}

/// A change of a document, by its hash in hex.
pub(crate) fn head(name: &str, text: &str) -> Result<[u8; 32], CallError> {
    let hash = HEX.decode(text).ok().and_then(|bytes| bytes.try_into().ok());
    hash.ok_or_else(|| CallError::params(format!("{name}: a change has 64 hex digits")))
}

fn as_text<'a>(name: &str, value: &'a Value) -> Result<&'a str, CallError> {
    value.as_str().ok_or_else(|| CallError::params(format!("{name} is a text")))
}

fn parsed<T: FromStr<Err: std::fmt::Display>>(name: &str, text: &str) -> Result<T, CallError> {
    text.parse().map_err(|error| {
        // Of several, the one that is meant; of a long one, where it begins.
        let given: String = text.chars().take(QUOTED).collect();
        let more = if given.len() < text.len() { "…" } else { "" };
        CallError::params(format!("{name} (\"{given}{more}\"): {error}"))
    })
}
