//! Fields, switches, and what is wrong with what was typed.

use adw::prelude::*;

use super::Spoken as _;

/// A field of one line. `hint` is said of it to whoever hovers or can't see.
pub(crate) fn entry(title: &str, hint: &str) -> adw::EntryRow {
    let entry = adw::EntryRow::builder().title(title).build();
    name(&entry, title, hint);
    entry
}

/// A field whose letters are not shown. libadwaita has a row for that, whose button that shows them has
/// no name for whoever can't see it.
pub(crate) fn password(title: &str, hint: &str) -> adw::EntryRow {
    let row = entry(title, hint);
    row.set_input_purpose(gtk::InputPurpose::Password);
    if let Some(text) = row.delegate().and_downcast::<gtk::Text>() {
        text.set_visibility(false);
    }
    row
}

/// The text within a row is what is focused, so it bears the name.
fn name(entry: &adw::EntryRow, title: &str, hint: &str) {
    if let Some(text) = entry.delegate() {
        text.set_spoken_with(title, hint);
    }
    if !hint.is_empty() {
        entry.set_tooltip_text(Some(hint));
    }
}

/// A line with a switch.
pub(crate) fn switch(
    title: &str,
    hint: &str,
    is_on: bool,
    changed: impl Fn(bool) + 'static,
) -> (adw::ActionRow, gtk::Switch) {
    let switch = gtk::Switch::builder().valign(gtk::Align::Center).active(is_on).build();
    // The row that it is activated by gives it its name.
    switch.connect_active_notify(move |switch| changed(switch.is_active()));
    let row = adw::ActionRow::builder().title(title).subtitle(hint).build();
    row.add_suffix(&switch);
    row.set_activatable_widget(Some(&switch));
    (row, switch)
}

/// What is wrong, where something is.
#[derive(Clone, Debug)]
pub(crate) struct Fault(gtk::Label);

impl Fault {
    /// Nothing is wrong.
    pub(crate) fn new() -> Self {
        let label = super::paragraph("");
        label.add_css_class("error");
        label.set_visible(false);
        label.set_role(gtk::AccessibleRole::Alert);
        Self(label)
    }

    /// Says it, or that nothing is wrong.
    pub(crate) fn say(&self, text: Option<&str>) {
        self.0.set_label(text.unwrap_or_default());
        self.0.set_visible(text.is_some());
    }

    /// What is put into a screen.
    pub(crate) fn root(&self) -> &gtk::Label {
        &self.0
    }
}

/// Shows on a button that it works, or that it is ready.
pub(crate) fn busy(button: &gtk::Button, is_busy: bool, label: &str) {
    button.set_label(label);
    button.set_sensitive(!is_busy);
}
