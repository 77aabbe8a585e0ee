//! What somebody asks for last, on a device that has seen the rest, is what shows everywhere: also
//! where that device had asked for it before.

use sync_core::api::{Command, MessageView, Response};
use sync_core::document::OrderKey;
use sync_protocol::SpaceId;

use crate::support::Town;
use crate::support::linking::{link, talking};

/// Ada on two devices, and Bob; a message of Ada's.
fn two_devices() -> (Town, SpaceId, OrderKey, [usize; 2]) {
    let (mut town, conversation) = talking();
    let (second, _) = link(&mut town, 0, true);
    let message = town.say(0, conversation, "first");
    town.settle();
    (town, conversation, message, [0, second])
}

/// The message as each device shows it: to all alike.
fn shown(town: &mut Town, conversation: SpaceId, message: OrderKey) -> MessageView {
    let mut views = Vec::new();
    for device in 0..town.devices.len() {
        let list = Command::ListMessages { conversation, before: None, limit: 100 };
        let Response::Messages(page) = town.run(device, list) else { panic!("another answer") };
        views.extend(page.into_iter().filter(|view| view.message == message));
    }
    assert_eq!(views.len(), town.devices.len());
    let faces = views.iter().map(|view| (&view.text, &view.reactions, view.needs_update));
    let faces: Vec<_> = faces.collect();
    assert!(faces.iter().all(|face| *face == faces[0]), "{faces:?}");
    let digest = town.digest(0, conversation);
    assert!((1..town.devices.len()).all(|device| town.digest(device, conversation) == digest));
    views.remove(0)
}

#[test]
fn the_last_of_two_devices_decides_on_a_reaction_and_on_a_text() {
    let (mut town, conversation, message, devices) = two_devices();
    let [one, two] = devices;
    for (device, word) in [(one, "a"), (two, "b"), (one, "a"), (two, "b"), (two, "a"), (one, "b")] {
        let emoji = Some(word.to_owned());
        town.run(device, Command::React { conversation, message, emoji });
        let text = word.to_owned();
        town.run(device, Command::EditMessage { conversation, message, text });
        town.settle();
        let view = shown(&mut town, conversation, message);
        assert_eq!(view.text, word);
        assert_eq!(view.reactions.values().collect::<Vec<_>>(), [word]);
        assert!(!view.needs_update);
    }
    town.restart(one);
    town.settle();
    assert_eq!(shown(&mut town, conversation, message).text, "b");
}

#[test]
fn the_last_of_two_devices_decides_on_a_setting() {
    let (mut town, _, _, devices) = two_devices();
    let [one, two] = devices;
    for (device, word) in [(one, "a"), (two, "b"), (one, "a"), (two, "b"), (two, "a"), (one, "b")] {
        town.run(device, Command::SetSetting { key: "theme".into(), value: word.into() });
        town.settle();
        for device in devices {
            let asked = town.run(device, Command::Setting { key: "theme".into() });
            assert_eq!(asked, Response::Value(word.into()));
        }
    }
}
