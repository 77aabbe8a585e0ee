//! Names of documents, and the actors under which writers appear inside them.

use std::fmt;
use std::str::FromStr;

use automerge::ActorId;
use minicbor::{Decoder, Encoder, decode, encode};
use sync_protocol::codec::{Decode, Encode};
use sync_protocol::hash::{self, Domain};
use sync_protocol::ids::{SpaceId, WriterId};
use sync_protocol::limits;

use super::DocumentError;

/// An actor id from space, document and writer.
const ACTOR: Domain = Domain::new("rejoinder actor v1");

const MESSAGES: u32 = 0;
const RECEIPTS: u32 = 1;
const SETTINGS: u32 = 2;
const CONTACTS: u32 = 3;
const APP: u32 = 4;
const VAULT: u32 = 5;
const PEOPLE: u32 = 6;
const CARRIED: u32 = 7;
/// What an app's name takes beside its bytes, at most: an array, an era, a text's head.
const APP_HEAD: usize = 8;

/// A document's name in its space: CBOR `[kind, argument]` on the wire, text for people (which leaves
/// out the era of an app's own).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Name {
    /// A segment of a conversation's messages.
    Messages(u32),
    /// The receipts beside the segment of the same number.
    Receipts(u32),
    /// Settings.
    Settings,
    /// Contacts.
    Contacts,
    /// An app's own document, in an era. People and apps know the name alone: of all eras one counts.
    App(u32, String),
    /// What the devices of an account must know to read its conversations, from an era on.
    Vault(u32),
    /// What those who write in a conversation call themselves, from an era on.
    People(u32),
    /// What those who were there hand over of an app's documents when an era begins.
    Carried(u32),
    /// A kind of a newer version: stored and forwarded, never interpreted.
    Unknown {
        /// The kind's number.
        kind: u32,
        /// The argument's CBOR, as received.
        argument: Vec<u8>,
    },
}

/// The actor of `writer` in a document: 16 bytes that only this writer may use there.
#[must_use]
pub fn actor(space: &SpaceId, name: &Name, writer: &WriterId) -> ActorId {
    let name = sync_protocol::codec::encode(name);
    let full = hash::hash(ACTOR, &[space.as_bytes(), &name, &writer.to_bytes()]);
    ActorId::from(&full[..16])
}

impl Name {
    fn argument(&self) -> Vec<u8> {
        match self {
            Self::Messages(n)
            | Self::Receipts(n)
            | Self::Vault(n)
            | Self::People(n)
            | Self::Carried(n) => sync_protocol::codec::encode(n),
            Self::Settings | Self::Contacts => sync_protocol::codec::encode(&()),
            Self::App(era, name) => sync_protocol::codec::encode(&(era, name)),
            Self::Unknown { argument, .. } => argument.clone(),
        }
    }

    /// The kind's number on the wire.
    #[must_use]
    pub fn kind(&self) -> u32 {
        match self {
            Self::Messages(_) => MESSAGES,
            Self::Receipts(_) => RECEIPTS,
            Self::Settings => SETTINGS,
            Self::Contacts => CONTACTS,
            Self::App(..) => APP,
            Self::Vault(_) => VAULT,
            Self::People(_) => PEOPLE,
            Self::Carried(_) => CARRIED,
            Self::Unknown { kind, .. } => *kind,
        }
    }

    fn of_parts(kind: u32, argument: &[u8]) -> Option<Self> {
        fn whole<'b, T: Decode<'b, ()>>(bytes: &'b [u8]) -> Option<T> {
            sync_protocol::codec::decode("document name", bytes).ok()
        }
        if argument.len() > limits::DOCUMENT_NAME + APP_HEAD {
            return None;
        }
        let name = match kind {
            MESSAGES => Self::Messages(whole(argument)?),
            RECEIPTS => Self::Receipts(whole(argument)?),
            SETTINGS => whole::<()>(argument).map(|()| Self::Settings)?,
            CONTACTS => whole::<()>(argument).map(|()| Self::Contacts)?,
            APP => {
                let (era, name) = whole::<(u32, String)>(argument)?;
                Self::App(era, Some(name).filter(|name| is_app_name(name))?)
            }
            VAULT => Self::Vault(whole(argument)?),
            PEOPLE => Self::People(whole(argument)?),
            CARRIED => Self::Carried(whole(argument)?),
            kind => Self::Unknown { kind, argument: argument.to_vec() },
        };
        // One name, one spelling: actors are derived from these bytes.
        (name.argument() == argument).then_some(name)
    }
}

fn is_app_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() < limits::DOCUMENT_NAME - 4
        && !name.chars().any(char::is_control)
}

impl<C> Encode<C> for Name {
    fn encode<W: encode::Write>(
        &self,
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), encode::Error<W::Error>> {
        e.array(2)?.u32(self.kind())?;
        e.writer_mut().write_all(&self.argument()).map_err(encode::Error::write)
    }
}

impl<'b, C> Decode<'b, C> for Name {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, decode::Error> {
        if d.array()? != Some(2) {
            return Err(decode::Error::message("a document name is an array of two"));
        }
        let kind = d.u32()?;
        let start = d.position();
        d.skip()?;
        let argument = d.input().get(start..d.position()).unwrap_or_default();
        Self::of_parts(kind, argument).ok_or_else(|| decode::Error::message("bad document name"))
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Messages(n) => write!(f, "messages/{n}"),
            Self::Receipts(n) => write!(f, "receipts/{n}"),
            Self::Settings => f.write_str("settings"),
            Self::Contacts => f.write_str("contacts"),
            Self::App(_, name) => write!(f, "app/{name}"),
            Self::Vault(n) => write!(f, "vault/{n}"),
            Self::People(n) => write!(f, "people/{n}"),
            Self::Carried(n) => write!(f, "carried/{n}"),
            Self::Unknown { kind, argument } => {
                write!(f, "unknown/{kind}/{}", sync_protocol::text::HEX.encode(argument))
            }
        }
    }
}

impl FromStr for Name {
    type Err = DocumentError;

    fn from_str(text: &str) -> Result<Self, DocumentError> {
        let (head, tail) = text.split_once('/').unwrap_or((text, ""));
        let number = || tail.parse::<u32>().map_err(|_| DocumentError::BadName);
        let name = match (head, tail) {
            ("messages", _) => Self::Messages(number()?),
            ("receipts", _) => Self::Receipts(number()?),
            ("settings", "") => Self::Settings,
            ("contacts", "") => Self::Contacts,
            ("vault", _) => Self::Vault(number()?),
            ("people", _) => Self::People(number()?),
            ("carried", _) => Self::Carried(number()?),
            ("app", name) if is_app_name(name) => Self::App(0, name.to_owned()),
            ("unknown", rest) => unknown_of_text(rest).ok_or(DocumentError::BadName)?,
            _ => return Err(DocumentError::BadName),
        };
        if name.to_string() == text { Ok(name) } else { Err(DocumentError::BadName) }
    }
}

fn unknown_of_text(text: &str) -> Option<Name> {
    let (kind, hex) = text.split_once('/')?;
    let argument = sync_protocol::text::HEX.decode(hex).ok()?;
    Name::of_parts(kind.parse().ok()?, &argument)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use sync_protocol::ids::DeviceId;

    fn names() -> Vec<Name> {
        vec![
            Name::Messages(7),
            Name::Receipts(0),
            Name::Settings,
            Name::Contacts,
            Name::App(0, "notes/2026".into()),
            Name::Vault(3),
            Name::People(1),
            Name::Carried(2),
            Name::Unknown { kind: 99, argument: vec![0x82, 1, 2] },
        ]
    }

    #[test]
    fn names_survive_text_and_cbor() {
        for name in names() {
            assert_eq!(name.to_string().parse::<Name>().unwrap(), name);
            let bytes = sync_protocol::codec::encode(&name);
            assert_eq!(minicbor::decode::<Name>(&bytes).unwrap(), name);
        }
    }

    #[test]
    fn a_name_has_one_spelling() {
        for text in ["messages/07", "messages/", "settings/", "app/", "notes", "messages/-1"] {
            assert!(text.parse::<Name>().is_err(), "{text}");
        }
        // [0, 7] with the number in two bytes.
        assert!(minicbor::decode::<Name>(&[0x82, 0, 0x18, 7]).is_err());
    }

    #[test]
    fn the_text_of_an_apps_name_leaves_out_its_era() {
        let name = Name::App(70_000, "n".repeat(123));
        let bytes = sync_protocol::codec::encode(&name);
        assert_eq!(minicbor::decode::<Name>(&bytes).unwrap(), name);
        let Name::App(_, text) = &name else { panic!() };
        assert_eq!(name.to_string().parse(), Ok(Name::App(0, text.clone())));
        assert_eq!(format!("app/{text}n").parse::<Name>(), Err(DocumentError::BadName));
    }

    #[test]
    fn actors_differ_by_space_document_and_writer() {
        let writer = WriterId { device: DeviceId::of_signing_key(&[1; 32]), incarnation: 1 };
        let other = WriterId { incarnation: 2, ..writer };
        let (a, b) = (SpaceId::from_bytes([1; 32]), SpaceId::from_bytes([2; 32]));
        let mut actors: Vec<_> = names().iter().map(|name| actor(&a, name, &writer)).collect();
        actors.push(actor(&b, &Name::Settings, &writer));
        actors.push(actor(&a, &Name::Settings, &other));
        actors.sort();
        actors.dedup();
        assert_eq!(actors.len(), names().len() + 2);
    }
}
