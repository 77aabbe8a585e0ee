//! What happened in a world, in plain words: who did what, when and on which device.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use sync_core::document::OrderKey;
use sync_protocol::{AccountId, DeviceId, SpaceId};

use crate::MARK;
use crate::book::Book;
use crate::device::Device;

/// What people are called in a story.
const PEOPLE: [&str; 8] = ["Ada", "Bob", "Cleo", "Dan", "Eve", "Finn", "Gwen", "Hugo"];

/// The lines so far.
#[derive(Clone, Debug, Default)]
pub struct Story {
    lines: Vec<(u64, String)>,
    conversations: BTreeMap<SpaceId, usize>,
}

impl Story {
    /// Takes in what happened so many milliseconds after the world's beginning.
    pub fn line(&mut self, after_ms: u64, line: String) {
        self.lines.push((after_ms, line));
    }

    /// All lines, with the seconds at which each happened.
    #[must_use]
    pub fn text(&self) -> String {
        let mut out = String::new();
        for (after_ms, line) in &self.lines {
            let _ = writeln!(out, "{:>9}.{:03} s  {line}", after_ms / 1000, after_ms % 1000);
        }
        out
    }
}

/// Who can name what occurs in a story.
#[derive(Debug)]
pub struct Teller<'a> {
    /// Letters of conversations are given as they occur.
    pub story: &'a mut Story,
    /// Who people are, and what they wrote.
    pub book: &'a Book,
    /// Whose each device is.
    pub devices: &'a [Device],
}

impl Teller<'_> {
    /// A person, by the world's number.
    #[must_use]
    pub fn person(&self, person: usize) -> String {
        PEOPLE.get(person).map_or_else(|| format!("person {person}"), |name| (*name).to_owned())
    }

    /// A device, with its owner.
    #[must_use]
    pub fn device(&self, device: usize) -> String {
        let owner = self.devices.get(device).map(|slot| self.person(slot.person));
        format!("{}'s device {device}", owner.unwrap_or_else(|| "nobody".into()))
    }

    /// A device, by its id.
    #[must_use]
    pub fn device_of(&self, id: &DeviceId) -> String {
        let known = self.devices.iter().position(|slot| slot.id == Some(*id));
        known.map_or_else(|| format!("the unknown {id:?}"), |device| self.device(device))
    }

    /// A person, by the account.
    #[must_use]
    pub fn account(&self, account: &AccountId) -> String {
        let known = self.book.people.iter().position(|person| person.account == Some(*account));
        known.map_or_else(|| format!("the unknown {account:?}"), |person| self.person(person))
    }

    /// A person, by the address.
    #[must_use]
    pub fn address(&self, address: &str) -> String {
        let is = |person: &crate::book::Person| person.address.to_string() == address;
        let known = self.book.people.iter().position(is);
        known.map_or_else(|| address.to_owned(), |person| self.person(person))
    }

    /// A conversation, by a letter.
    pub fn conversation(&mut self, space: &SpaceId) -> String {
        let next = self.story.conversations.len();
        let number = *self.story.conversations.entry(*space).or_insert(next);
        let letter = u8::try_from(number).ok().filter(|number| *number < 26);
        match letter {
            Some(number) => format!("conversation {}", char::from(b'A' + number)),
            None => format!("conversation {number}"),
        }
    }

    /// A message, by what it said first.
    #[must_use]
    pub fn message(&self, space: &SpaceId, key: &OrderKey) -> String {
        let written = self.book.written.get(&(*space, *key));
        written.map_or_else(|| key.to_string(), |written| label(&written.first))
    }
}

/// A text without the marks and the filler that all of a world have.
#[must_use]
pub fn label(text: &str) -> String {
    let text = text.strip_prefix(MARK).unwrap_or(text);
    text.split('~').next().unwrap_or(text).to_owned()
}
