//! What may stand in a typed document: which maps, which keys, and whose.

use sync_protocol::hash::{self, Domain};
use sync_protocol::ids::{AccountId, DeviceId, WriterId};
use sync_protocol::limits;
use sync_protocol::text::{HEX, SORTABLE};

use super::clock::OrderKey;
use super::genesis::{self, GENESIS_ACTOR};
use super::history::{History, OpId};
use super::{Edit, Name, Reason};

const VAULT: Domain = Domain::new("rejoinder vault entry v1");
const SHARD: Domain = Domain::new("rejoinder message shard v1");
/// Maps in a message segment. An operation costs with the size of the map it touches.
pub(crate) const SHARDS: u32 = 16;
/// Length of a tag's text.
pub(crate) const TAG_TEXT: usize = 8;

/// A typed document's rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Grammar {
    Messages,
    Receipts,
    Settings,
    Contacts,
    Vault,
    People,
}

impl Grammar {
    /// The rules of a document; `None` for an app's own, which take the general check.
    pub(crate) fn of(name: &Name) -> Option<Self> {
        match name {
            Name::Messages(_) => Some(Self::Messages),
            Name::Receipts(_) => Some(Self::Receipts),
            Name::Settings => Some(Self::Settings),
            Name::Contacts => Some(Self::Contacts),
            Name::Vault(_) => Some(Self::Vault),
            Name::People(_) => Some(Self::People),
            Name::App(..) | Name::Carried(_) | Name::Unknown { .. } => None,
        }
    }

    /// The rules of the documents that take an edit; `None` for an app's own.
    pub(crate) fn that_takes(edit: &Edit) -> Option<Self> {
        match edit {
            Edit::Message(_)
            | Edit::EditMessage { .. }
            | Edit::DeleteMessage { .. }
            | Edit::React { .. } => Some(Self::Messages),
            Edit::Receipt { .. } => Some(Self::Receipts),
            Edit::Setting { .. } => Some(Self::Settings),
            Edit::Contact { .. } => Some(Self::Contacts),
            Edit::Vault { .. } => Some(Self::Vault),
            Edit::Person(_) => Some(Self::People),
            Edit::App { .. } => None,
        }
    }

    /// The root keys of its maps, in the order the genesis makes them.
    pub(crate) fn maps(self) -> &'static [&'static str] {
        match self {
            Self::Messages => &genesis::SHARD_NAMES,
            Self::Receipts => &["receipts"],
            Self::Settings => &["settings"],
            Self::Contacts => &["contacts"],
            Self::Vault => &["vault"],
            Self::People => &["people"],
        }
    }

    /// Which of its maps an object is.
    pub(crate) fn map_number(self, object: OpId, history: &History) -> Option<u32> {
        let number = object.counter.checked_sub(1)?;
        let of_genesis = history.actor_number(&GENESIS_ACTOR) == Some(object.actor);
        (of_genesis && (number as usize) < self.maps().len()).then_some(number)
    }

    /// Whether a key is a message's own.
    pub(crate) fn is_message(self, key: &str) -> bool {
        self == Self::Messages && EntryKey::parse(key).is_some_and(|key| key.kind.is_none())
    }

    /// Whether an entry is never written over: a message, and what is named for its value.
    pub(crate) fn is_written_once(self, key: &str) -> bool {
        self == Self::Vault || self.is_message(key)
    }

    /// Which map an entry of this key belongs in.
    pub(crate) fn map_of(self, key: &str) -> Option<u32> {
        match self {
            Self::Messages => EntryKey::parse(key).map(|entry| shard(&entry.message)),
            _ => Some(0),
        }
    }

    /// Checks an entry's key against its map, its writer and the limits.
    pub(crate) fn check_entry(
        self,
        map: u32,
        key: &str,
        value: &[u8],
        writer: &WriterId,
    ) -> Result<(), Reason> {
        if value.len() > limits::DOCUMENT_ENTRY {
            return Err(Reason::TooLarge("entry"));
        }
        let good = match self {
            Self::Messages => {
                let entry = EntryKey::parse(key).ok_or(Reason::Grammar("a message key"))?;
                entry.tag == writer.tag() && shard(&entry.message) == map
            }
            Self::Receipts | Self::People => key == tag_text(&writer.tag()),
            Self::Settings => {
                is_setting_key(key) && setting_owner(key).is_none_or(|owner| owner == writer.device)
            }
            Self::Contacts => {
                key.parse::<AccountId>().is_ok_and(|account| account.to_string() == key)
            }
            Self::Vault => {
                let (prefix, _) = key.rsplit_once('/').unwrap_or_default();
                key.len() <= limits::DOCUMENT_KEY
                    && key.chars().all(|c| c.is_ascii_graphic())
                    && key == vault_key(prefix, value)
            }
        };
        if good { Ok(()) } else { Err(Reason::Grammar("a key that isn't the writer's to write")) }
    }
}

/// The key of a value in the vault. It names the value, so that no device can put another in its
/// place: a device that was stolen can only add.
pub(crate) fn vault_key(prefix: &str, value: &[u8]) -> String {
    let hash = hash::hash(VAULT, &[value]);
    let name = hash.first_chunk::<16>().map(|name| HEX.encode(name)).unwrap_or_default();
    format!("{prefix}/{name}")
}

/// The map a message and all that amends it lie in.
pub(crate) fn shard(message: &OrderKey) -> u32 {
    let [first, ..] = hash::hash(SHARD, &[&message.to_bytes()]);
    u32::from(first) % SHARDS
}

/// A tag as it stands in keys.
pub(crate) fn tag_text(tag: &[u8; 6]) -> String {
    SORTABLE.encode(tag)
}

/// The key of an entry in a message segment: the message's own, or message, kind and writer tag,
/// and whatever a newer version puts behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EntryKey {
    pub(crate) message: OrderKey,
    /// `None` for the message itself.
    pub(crate) kind: Option<char>,
    /// Whose entry it is.
    pub(crate) tag: [u8; 6],
    /// Whether something stands behind the tag.
    pub(crate) more: bool,
}

impl EntryKey {
    pub(crate) fn parse(key: &str) -> Option<Self> {
        if key.len() > limits::DOCUMENT_KEY {
            return None;
        }
        let (message, rest) = key.split_at_checked(OrderKey::TEXT_LEN)?;
        let message: OrderKey = message.parse().ok()?;
        let mut chars = rest.chars();
        let Some(kind) = chars.next() else {
            return Some(Self { message, kind: None, tag: message.tag, more: false });
        };
        let (tag, more) = chars.as_str().split_at_checked(TAG_TEXT)?;
        let tag = SORTABLE.decode(tag).ok()?.try_into().ok()?;
        let well_formed =
            kind.is_ascii_alphanumeric() && more.chars().all(|c| c.is_ascii_graphic());
        well_formed.then_some(Self { message, kind: Some(kind), tag, more: !more.is_empty() })
    }

    pub(crate) fn amendment(message: &OrderKey, kind: char, tag: &[u8; 6]) -> String {
        format!("{message}{kind}{}", tag_text(tag))
    }
}

/// Whether a setting may have this key.
pub(crate) fn is_setting_key(key: &str) -> bool {
    !key.is_empty() && key.len() <= limits::DOCUMENT_KEY && !key.chars().any(char::is_control)
}

/// The device a setting under `device/<id>/` belongs to.
fn setting_owner(key: &str) -> Option<DeviceId> {
    let (id, _) = key.strip_prefix("device/")?.split_once('/')?;
    id.parse().ok()
}
