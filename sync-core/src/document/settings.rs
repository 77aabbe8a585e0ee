//! Settings: JSON values by key, the last writer wins and every device agrees on who that was.
//! Keys under `device/<device id>/` are that device's own.

use serde_json::Value as Json;
use sync_protocol::ids::WriterId;
use sync_protocol::sorted::SortedMap;

use super::{Document, Name};

/// The value of a setting.
#[must_use]
pub fn value(document: &Document, key: &str) -> Option<Json> {
    let entry = is_settings(document).then(|| document.entry(key)).flatten()?;
    serde_json::from_slice(&entry.bytes).ok()
}

/// All settings under a prefix (`""` for all), by full key.
#[must_use]
pub fn all(document: &Document, prefix: &str) -> SortedMap<String, Json> {
    let entries = if is_settings(document) { document.entries() } else { Vec::new() };
    entries
        .into_iter()
        .filter(|(key, _)| key.starts_with(prefix))
        .filter_map(|(key, entry)| Some((key, serde_json::from_slice(&entry.bytes).ok()?)))
        .collect()
}

/// The values under a prefix, each with who wrote it.
pub(crate) fn written(document: &Document, prefix: &str) -> Vec<(WriterId, Json)> {
    let entries = if is_settings(document) { document.entries() } else { Vec::new() };
    entries
        .into_iter()
        .filter(|(key, _)| key.starts_with(prefix))
        .filter_map(|(_, entry)| Some((entry.writer?, serde_json::from_slice(&entry.bytes).ok()?)))
        .collect()
}

fn is_settings(document: &Document) -> bool {
    *document.name() == Name::Settings
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::document::testing::Author;
    use crate::document::{Edit, EditError};
    use serde_json::json;
    use sync_protocol::codec::Blob;

    fn set(key: &str, value: Option<Json>) -> Edit {
        Edit::Setting {
            key: key.into(),
            value: value.map(|json| Blob(json.to_string().into_bytes())),
        }
    }

    #[test]
    fn every_device_agrees_on_the_last_writer() {
        let mut a = Author::new(1, Name::Settings);
        let mut b = Author::new(2, Name::Settings);
        let from_a = a.write(&set("theme", Some(json!("dark"))));
        let from_b = b.write(&set("theme", Some(json!("light"))));
        assert!(a.document.receive(from_b).refused.is_empty());
        assert!(b.document.receive(from_a).refused.is_empty());
        assert_eq!(value(&a.document, "theme"), value(&b.document, "theme"));
        let rows = b.write(&set("theme", Some(json!({"name": "light"}))));
        a.document.receive(rows);
        assert_eq!(value(&a.document, "theme"), Some(json!({"name": "light"})));
        let rows = a.write(&set("theme", None));
        b.document.receive(rows);
        assert_eq!(value(&b.document, "theme"), None);
        assert_eq!(a.document.content_hash(), b.document.content_hash());
    }

    #[test]
    fn what_won_already_may_be_written_again() {
        let mut a = Author::new(1, Name::Settings);
        let mut b = Author::new(2, Name::Settings);
        let from_a = a.write(&set("theme", Some(json!("dark"))));
        let from_b = b.write(&set("theme", Some(json!("light"))));
        a.document.receive(from_b);
        b.document.receive(from_a);
        let won = value(&a.document, "theme");
        let again = a.write(&set("theme", won.clone()));
        assert!(b.document.receive(again).refused.is_empty());
        let more = a.write(&set("font", Some(json!(1))));
        assert!(b.document.receive(more).refused.is_empty());
        let again = b.write(&set("theme", won.clone()));
        assert!(a.document.receive(again).refused.is_empty());
        assert_eq!(value(&b.document, "font"), Some(json!(1)));
        assert_eq!(a.document.content_hash(), b.document.content_hash());
    }

    #[test]
    fn a_devices_own_settings_are_its_own() {
        let mut a = Author::new(1, Name::Settings);
        let mut b = Author::new(2, Name::Settings);
        let key = format!("device/{}/sound", a.writer.device);
        assert_eq!(b.document.edit(&b.writer, &set(&key, Some(json!(1)))), Err(EditError::NotOwn));
        b.document.receive(a.write(&set(&key, Some(json!(2)))));
        assert_eq!(all(&b.document, "device/").len(), 1);
        assert!(all(&b.document, "mute/").is_empty());
        assert_eq!(
            a.document.edit(
                &a.writer,
                &Edit::Setting { key: "x".into(), value: Some(Blob(b"{".to_vec())) }
            ),
            Err(EditError::BadValue)
        );
    }
}
