//! The number of unread messages beside the program's picture, on desktops that show one.

use adw::prelude::*;

/// Where such desktops listen (the Unity launcher's interface, which KDE and GNOME's docks share).
const INTERFACE: &str = "com.canonical.Unity.LauncherEntry";

/// Shows so many, or none.
pub(crate) fn show(app: &adw::Application, unread: u64) {
    let (Some(bus), Some(id)) = (app.dbus_connection(), app.application_id()) else { return };
    let properties = gtk::glib::VariantDict::new(None);
    properties.insert("count", i64::try_from(unread).unwrap_or(i64::MAX));
    properties.insert("count-visible", unread > 0);
    let said = (format!("application://{id}.desktop"), properties.end()).to_variant();
    // `end` gives the dictionary as it is; a desktop that doesn't listen loses nothing.
    let _ = bus.emit_signal(None, "/org/rejoinder/Desktop", INTERFACE, "Update", Some(&said));
}
