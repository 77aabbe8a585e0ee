//! What the keyboard does.

/// The window that lists it.
pub(crate) fn window() -> gtk::ShortcutsWindow {
    let builder = gtk::Builder::from_string(include_str!("shortcuts.ui"));
    // The file is a part of the program, and a test reads it.
    builder
        .object("shortcuts")
        .unwrap_or_else(|| gtk::glib::Object::builder::<gtk::ShortcutsWindow>().build())
}
