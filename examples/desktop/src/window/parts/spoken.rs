//! What is read aloud for widgets that show no words, or other words than those.
//!
//! The functions by which GTK is told are bound for 4.10 and later alone, and 4.8 is what Debian 12 has.
//! What builds screens from descriptions has always told them, so a description with nothing else in it
//! is what is given to it here.

use adw::prelude::*;
use gtk::glib;

/// What a widget is called, and what else there is to say of it.
pub(crate) trait Spoken: IsA<gtk::Widget> {
    /// Calls it something.
    fn set_spoken(&self, name: &str) {
        describe(self.upcast_ref(), &[("label", name)]);
    }

    /// Calls it something, and says more of it.
    fn set_spoken_with(&self, name: &str, more: &str) {
        match more.is_empty() {
            true => self.set_spoken(name),
            false => describe(self.upcast_ref(), &[("label", name), ("description", more)]),
        }
    }

    /// Says more of it.
    fn set_more_spoken(&self, more: &str) {
        describe(self.upcast_ref(), &[("description", more)]);
    }

    /// Says what kind of thing it is, before it is shown.
    fn set_role(&self, role: gtk::AccessibleRole) {
        self.set_property("accessible-role", role);
    }
}

impl<W: IsA<gtk::Widget>> Spoken for W {}

fn describe(widget: &gtk::Widget, properties: &[(&str, &str)]) {
    let kind = widget.type_();
    let mut inner = String::new();
    for (name, value) in properties {
        let value: String = value.chars().filter(|c| !c.is_control()).collect();
        let value = glib::markup_escape_text(&value);
        inner.push_str(&format!("<property name=\"{name}\">{value}</property>"));
    }
    let description = format!(
        "<interface><template class=\"{}\"><accessibility>{inner}</accessibility></template></interface>",
        kind.name()
    );
    if let Err(error) = gtk::Builder::new().extend_with_template(widget, kind, &description) {
        // Nothing but what is read aloud depends on it.
        eprintln!("rejoinder-desktop: {} has no name: {error}", kind.name());
    }
}
