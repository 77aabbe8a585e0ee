//! What somebody asks for last, after they have seen all else, is what shows: also where they asked
//! for it before.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use super::every_edit::{every_edit, whole_message};
use super::messages::{Message, MessageView};
use super::settings;
use super::testing::{Author, place};
use super::{Edit, Ended, Name, OrderKey, Row, Touched};
use serde_json::json;
use sync_protocol::codec::Blob;

/// Devices of one account, each with its replica, and the log that gives places.
struct Account {
    devices: Vec<Author>,
    log: Vec<Row>,
}

impl Account {
    fn new(name: &Name) -> Self {
        let devices = (1..=2).map(|n| Author::new(n, name.clone())).collect();
        Self { devices, log: Vec::new() }
    }

    /// A device makes an edit; what it wrote gets its place, and both devices see it there.
    fn write(&mut self, device: usize, edit: &Edit) -> usize {
        let rows = self.devices[device].write(edit);
        self.placed(rows)
    }

    fn placed(&mut self, rows: Vec<Row>) -> usize {
        let count = rows.len();
        for mut row in rows {
            row.placement = Some(place(self.log.len() as u64));
            self.log.push(row.clone());
            for device in &mut self.devices {
                assert!(device.document.receive(vec![row.clone()]).refused.is_empty());
            }
        }
        count
    }

    /// The message as every device shows it, and one that reads the log as a whole.
    fn shown(&self, key: &OrderKey) -> Message {
        let mut late = Author::new(9, self.devices[0].document.name().clone());
        assert!(late.document.receive(self.log.clone()).refused.is_empty());
        let all = Touched { all: true, ..Touched::default() };
        let views = self.devices.iter().chain([&late]).map(|device| {
            let mut view = MessageView::default();
            view.update(&device.document, &all);
            view.message(key, &|_, _| true).unwrap()
        });
        let views: Vec<Message> = views.collect();
        assert!(views.iter().all(|view| *view == views[0]), "{views:?}");
        views[0].clone()
    }
}

fn conversation() -> (Account, OrderKey) {
    let mut account = Account::new(&Name::Messages(0));
    let message = account.devices[0].message(0, "first");
    account.write(0, &message);
    let key = account.devices[0].key(0);
    (account, key)
}

fn react(key: OrderKey, emoji: &str) -> Edit {
    Edit::React { key, emoji: Some(emoji.to_owned()) }
}

fn edit(key: OrderKey, text: &str) -> Edit {
    Edit::EditMessage { key, text: text.to_owned() }
}

#[test]
fn the_reaction_that_was_asked_for_last_shows_though_it_was_there_before() {
    for order in [[0, 1], [1, 0]] {
        let (mut account, key) = conversation();
        for (device, emoji) in order.iter().cycle().zip(["a", "b", "a", "b", "b", "a"]) {
            account.write(*device, &react(key, emoji));
            let shown = account.shown(&key);
            assert_eq!(shown.reactions.values().collect::<Vec<_>>(), [emoji]);
            assert!(!shown.needs_update);
        }
        account.write(order[0], &Edit::React { key, emoji: None });
        account.write(order[1], &react(key, "a"));
        account.write(order[0], &Edit::React { key, emoji: None });
        assert!(account.shown(&key).reactions.is_empty(), "taken back twice");
    }
}

#[test]
fn the_text_that_was_asked_for_last_shows_though_it_was_there_before() {
    for order in [[0, 1], [1, 0]] {
        let (mut account, key) = conversation();
        for (device, text) in order.iter().cycle().zip(["x", "y", "x", "y", "first", "x"]) {
            account.write(*device, &edit(key, text));
            assert_eq!(account.shown(&key).text, text);
        }
    }
}

/// The same edit with something else in it; `None` of one that says the same each time.
fn otherwise(edit: &Edit) -> Option<Edit> {
    Some(match edit {
        Edit::EditMessage { key, .. } => self::edit(*key, "otherwise"),
        Edit::React { key, .. } => react(*key, "otherwise"),
        // Every message is another one.
        Edit::Message(_) | Edit::DeleteMessage { .. } => return None,
        // Their documents have tests of their own.
        Edit::Receipt { .. }
        | Edit::Setting { .. }
        | Edit::Contact { .. }
        | Edit::Vault { .. }
        | Edit::Person(_)
        | Edit::App { .. } => return None,
    })
}

/// A message with all that can be in it, as it shows after these edits by these devices.
fn shown_after(edits: &[(usize, &Edit)]) -> Message {
    let mut account = Account::new(&Name::Messages(0));
    let key = account.devices[0].key(0);
    account.write(0, &Edit::Message(whole_message(key, key)));
    for (device, edit) in edits {
        account.write(*device, edit);
    }
    account.shown(&key)
}

#[test]
fn of_every_edit_the_last_of_an_account_shows_as_if_there_were_no_other() {
    let key = Author::new(1, Name::Messages(0)).key(0);
    for edit in every_edit(key) {
        let Some(other) = otherwise(&edit) else { continue };
        for [one, two] in [[0, 0], [0, 1], [1, 0]] {
            let last = shown_after(&[(one, &edit)]);
            let first = shown_after(&[(one, &edit), (two, &other), (one, &edit)]);
            assert_eq!(first, last, "{edit:?} by {one}, otherwise by {two}");
        }
    }
}

#[test]
fn what_waits_for_its_place_is_not_written_again() {
    let (mut account, key) = conversation();
    let rows = account.devices[0].write(&react(key, "a"));
    assert!(account.devices[0].write(&react(key, "a")).is_empty());
    account.write(1, &react(key, "b"));
    account.placed(rows);
    assert_eq!(account.shown(&key).reactions.values().collect::<Vec<_>>(), ["a"]);
}

#[test]
fn what_is_asked_for_twice_in_one_change_shows() {
    let (mut account, key) = conversation();
    account.write(0, &react(key, "a"));
    account.write(1, &react(key, "b"));
    let device = &mut account.devices[0];
    for emoji in ["a", "c", "a", "a"] {
        device.document.edit(&device.writer, &react(key, emoji)).unwrap();
    }
    let rows = device.cut();
    account.placed(rows);
    assert_eq!(account.shown(&key).reactions.values().collect::<Vec<_>>(), ["a"]);
}

#[test]
fn the_setting_that_was_asked_for_last_shows_though_it_was_there_before() {
    let set = |value: &str| Edit::Setting {
        key: "theme".into(),
        value: Some(Blob(json!(value).to_string().into_bytes())),
    };
    for order in [[0, 1], [1, 0]] {
        let mut account = Account::new(&Name::Settings);
        for (device, value) in order.iter().cycle().zip(["dark", "light", "dark", "dark", "light"])
        {
            account.write(*device, &set(value));
            for device in &account.devices {
                assert_eq!(settings::value(&device.document, "theme"), Some(json!(value)));
            }
        }
        assert_eq!(account.write(0, &set("light")), 0, "it shows: nothing is written");
    }
}

#[test]
fn what_an_ended_device_wrote_may_be_asked_for_again() {
    let set = Edit::Setting { key: "theme".into(), value: Some(Blob(b"1".to_vec())) };
    let other = Edit::Setting { key: "theme".into(), value: Some(Blob(b"2".to_vec())) };
    // Alone, and beside what another device wrote at once, whichever of the two Automerge prefers.
    for (ended, living, beside) in [(0, 1, false), (0, 1, true), (1, 0, true)] {
        let mut account = Account::new(&Name::Settings);
        let apart = if beside { account.devices[living].write(&other) } else { Vec::new() };
        account.write(ended, &set);
        account.placed(apart);
        let end = Ended { device: account.devices[ended].writer.device, from: 0, to: 1 };
        for device in &mut account.devices {
            device.document.hide(&[end]);
        }
        account.write(living, &set);
        for device in &account.devices {
            assert_eq!(settings::value(&device.document, "theme"), Some(json!(1)), "{ended}");
        }
    }
}
