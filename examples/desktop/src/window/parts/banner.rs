//! What concerns a whole screen, above everything else on it.

use std::cell::RefCell;

use adw::prelude::*;

use super::{Spoken as _, paragraph, row};

/// A line with at most two buttons, shown while it says something.
#[derive(Debug)]
pub(crate) struct Banner {
    root: gtk::Revealer,
    text: gtk::Label,
    buttons: gtk::Box,
    handlers: RefCell<Vec<gtk::Button>>,
}

impl Banner {
    /// A banner with a picture: `warning` or not.
    pub(crate) fn new(icon: &str, is_warning: bool) -> Self {
        let text = paragraph("");
        text.set_hexpand(true);
        let buttons = row(6);
        buttons.set_valign(gtk::Align::Center);
        let inner = row(10);
        inner.add_css_class("banner");
        if is_warning {
            inner.add_css_class("warning-banner");
        }
        inner.append(&gtk::Image::from_icon_name(icon));
        inner.append(&text);
        inner.append(&buttons);
        let root =
            gtk::Revealer::builder().child(&inner).reveal_child(false).visible(false).build();
        root.set_role(gtk::AccessibleRole::Alert);
        Self { root, text, buttons, handlers: RefCell::default() }
    }

    /// Adds a button.
    pub(crate) fn button(self, label: &str, pressed: impl Fn() + 'static) -> Self {
        let button = super::button(label, &[]);
        button.connect_clicked(move |_| pressed());
        self.buttons.append(&button);
        self.handlers.borrow_mut().push(button);
        self
    }

    /// Whether its buttons are there.
    pub(crate) fn set_buttons_visible(&self, visible: bool) {
        self.buttons.set_visible(visible);
    }

    /// Says something, or goes away.
    pub(crate) fn say(&self, text: Option<&str>) {
        if let Some(text) = text
            && self.text.label() != text
        {
            self.text.set_label(text);
        }
        self.root.set_visible(text.is_some());
        self.root.set_reveal_child(text.is_some());
    }

    /// What is put into a screen.
    pub(crate) fn root(&self) -> &gtk::Revealer {
        &self.root
    }
}
