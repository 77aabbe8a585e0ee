//! This system's keyring, by the Secret Service.
//!
//! **libsecret, and neither `oo7` nor `keyring`.** It is the library that the keyrings' own makers keep,
//! small, on every desktop that has GTK, and it stands on the GLib and the main loop that are here
//! already: two crates, none twice. `oo7` and `keyring` speak D-Bus by `zbus`, which is some hundred
//! crates and a second bus connection, with an older generation of RustCrypto beside ours. Within
//! Flatpak it asks the portal by itself.

use std::collections::HashMap;

use gtk::{gio, glib};
use libsecret::{COLLECTION_DEFAULT, Schema, SchemaAttributeType, SchemaFlags};
use zeroize::Zeroizing;

/// Where a store's key lies in it: by the store's folder.
const STORE: &str = "store";

/// The key of a store, as text; `None` if there is none, or the person does not open the keyring.
///
/// # Errors
/// Why there is no keyring, in words.
pub(super) async fn look_up(store: &str) -> Result<Option<Zeroizing<String>>, String> {
    let found = libsecret::password_lookup_future(Some(&schema()), of(store)).await;
    let found = found.map_err(|error| why(&error))?;
    Ok(found.map(|text| Zeroizing::new(text.to_string())))
}

/// Keeps the key of a store, in the place of the one before.
///
/// # Errors
/// Why there is no keyring, in words.
pub(super) async fn keep(store: &str, text: &str) -> Result<(), String> {
    let (schema, label) = (schema(), format!("Rejoinder: the key to what is kept in {store}"));
    let collection = Some(COLLECTION_DEFAULT.as_str());
    let kept =
        libsecret::password_store_future(Some(&schema), of(store), collection, &label, text).await;
    kept.map_err(|error| why(&error))
}

/// Takes the key of a store away.
///
/// # Errors
/// Why there is no keyring, in words.
pub(super) async fn forget(store: &str) -> Result<(), String> {
    let done = libsecret::password_clear_future(Some(&schema()), of(store)).await;
    done.map_err(|error| why(&error))
}

fn schema() -> Schema {
    let attributes = HashMap::from([(STORE, SchemaAttributeType::String)]);
    Schema::new("org.rejoinder.Desktop.Store", SchemaFlags::NONE, attributes)
}

fn of(store: &str) -> HashMap<&str, &str> {
    HashMap::from([(STORE, store)])
}

fn why(error: &glib::Error) -> String {
    let is_missing = error.matches(gio::DBusError::ServiceUnknown)
        || error.matches(gio::DBusError::NameHasNoOwner)
        || error.matches(gio::DBusError::SpawnServiceNotFound);
    match is_missing {
        true => "there is no keyring here".to_owned(),
        false => format!("the keyring can't be used ({})", error.message()),
    }
}
